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

echo "data: $failed failed"
[ "$failed" = 0 ]
