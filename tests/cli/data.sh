#!/bin/sh
# Data as people have them: homes in paths, names in two forms of Unicode, folders under other names.
set -u
cd "$(dirname "$0")/../.." || exit 1
T=$PWD/tlua
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
failed=0
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }
"$T" tests/cli/make_pictures.lua "$W" || exit 1
mkdir "$W/home"
cp -r "$W/good" "$W/home/data"
HOME=$W/home
export HOME
tiny() {
    cat <<LUA
local tlua = require "tlua"
local nn = tlua.nn
return tlua.recipe {
  model = nn.Sequential(nn.Conv2d(3, 8, 3, { stride = 2, padding = 1 }), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)),
  data = tlua.data.folder { root = "$1", size = 16, batch = 4, mean = 0.5, std = 0.5 }, optim = tlua.optim.Adam { lr = 1e-2 }, schedule = { epochs = 1 },
}
LUA
}

# "~" in a recipe, after "=", as a word of its own, in the functions of the API.
tiny '~/data' >"$W/t.lua"
"$T" "$W/t.lua" --out=~/a/run --quiet && [ -s "$W/home/a/run/model.safetensors" ] || fail "~ in a recipe and after ="
"$T" "$W/t.lua" --data.root=~/data --out '~/b' --quiet && [ -s "$W/home/b/model.safetensors" ] || fail "~ after = and in a word"
[ ! -e '~' ] || fail "a folder called ~"
"$T" "$W/t.lua" --data.root=~/nothing --out "$W/x" 2>"$W/err" && fail "no such folder in the home"
grep -q "$W/home/nothing: no such folder" "$W/err" || fail "no such folder: $(cat "$W/err")"
"$T" -e 'local tlua = require "tlua"
tlua.image_write("~/p.png", tlua.image_read "~/data/a/0.png")
tlua.save("~/t.safetensors", { x = tlua.zeros(2) })
assert(tlua.load("~/t.safetensors").x and tlua.image_read("~/p.png"):shape()[1] == 32)
local net = tlua.nn.Linear(2, 3)
net:save "~/net.safetensors"
assert(net:load("~/net.safetensors").loaded == 2)' || fail "~ in the functions of the API"

# Parts called otherwise; class names of macOS (decomposed) beside composed ones. What the plan says.
composed=$(printf '\352\263\240\354\226\221\354\235\264')
apart=$(printf '\341\204\200\341\205\251\341\204\213\341\205\243\341\206\274\341\204\213\341\205\265')
mkdir "$W/set"
cp -r "$W/good" "$W/set/Training"
cp -r "$W/good" "$W/set/TEST"
mv "$W/set/Training/c" "$W/set/Training/$composed"
mv "$W/set/TEST/c" "$W/set/TEST/$apart"
cp "$W/good/a/0.png" "$W/set/TEST/a/0.heic"
rm "$W/set/TEST/b/0.png"
tiny "$W/set" >"$W/s.lua"
"$T" "$W/s.lua" --out "$W/set-run" --loss.weight auto >"$W/out" 2>"$W/err" || fail "Training, TEST and Hangul: $(cat "$W/err")"
for line in "^data      Class folders: 18 training and 17 test pictures, 3 classes" "^parts     training $W/set/Training, test $W/set/TEST$" "^classes   a 6 + 6, b 6 + 5, $composed 6 + 6 training + test pictures" \
    "^skipped   test folders: 1 .heic is passed over: JPEG, PNG, WebP, TIFF, BMP, GIF and DICOM are read" "^the same  17 test pictures are a training picture too, byte for byte: $W/set/TEST/a/0.png = $W/set/Training/a/0.png, " \
    "^loss      CrossEntropy, weights a 1, b 1, $composed 1 (auto)"; do
    grep -q "$line" "$W/out" || fail "the plan lacks: $line"
done
mv "$W/set/Training" "$W/set/val"
"$T" "$W/s.lua" --out "$W/x" 2>"$W/err" && fail "a test part alone"
grep -q "s.lua:.*it has a test part ($W/set/TEST) and no training part" "$W/err" || fail "a test part alone: $(cat "$W/err")"
cp -r "$W/good/a" "$W/good/d"
"$T" "$W/t.lua" --data.root "$W/good" --out "$W/x" 2>"$W/err" && fail "four classes, three outputs"
grep -q "t.lua:.*the network gives 3 outputs, but the data has 4 classes (a, b, c, d)" "$W/err" || fail "outputs: $(cat "$W/err")"
rm -r "$W/good/d"
[ ! -e "$W/x" ] || fail "something was written"

echo "data: $failed failed"
[ "$failed" = 0 ]
