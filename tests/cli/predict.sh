#!/bin/sh
# `tlua predict`: forms, order, pictures that cannot be read, batches and threads, and that it agrees with `tlua eval`.
set -u
cd "$(dirname "$0")/../.." || exit 1
T=$PWD/tlua
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
failed=0
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }
"$T" tests/cli/make_pictures.lua "$W" || exit 1
mkdir -p "$W/set"
cp -r "$W/good" "$W/set/train"
cp -r "$W/good" "$W/set/test"
cat >"$W/r.lua" <<LUA
local tlua = require "tlua"
return tlua.recipe { model = tlua.models.resnet18 { width = 8 }, freeze = "*", head = tlua.nn.Linear(3), cache = false,
  optim = tlua.optim.Adam { lr = 1e-2 }, data = tlua.data.folder { root = "$W/set", size = 32, batch = 4 }, schedule = { epochs = 3 } }
LUA
"$T" "$W/r.lua" --out "$W/run" --quiet || exit 1
M=$W/run/model.safetensors
cd "$W/set/test" || exit 1

# The same share of right answers as `tlua eval`; the order of the folders.
"$T" predict "$M" . --csv --top 1 >"$W/all.csv" || fail "predict . --csv"
share=$(awk -F, 'NR > 1 { split($1, part, "/"); n++; right += part[2] == $2 } END { printf "%.6f", 100 * right / n }' "$W/all.csv")
"$T" eval "$M" --json | grep -q "\"accuracy\":$(echo "$share" | sed 's/\.\{0,1\}0*$//')" || fail "predict has $share % right, eval says $("$T" eval "$M" --json)"

# Where test pictures are held out, eval holds out the same ones again.
"$T" "$W/r.lua" --data.root "$W/good" --data.split 0.4 --data.split_seed 5 --data.group '(%d)%.' --schedule.epochs 1 --out "$W/held" --quiet || fail "pictures held out"
loss=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "test_loss") at = i } END { print substr($at, 1, 6) }' "$W/held/metrics.csv")
"$T" eval "$W/held/model.safetensors" --json | grep -q "\"loss\":$loss" || fail "the test loss was $loss, eval says $("$T" eval "$W/held/model.safetensors" --json)"

# eval says what it tests: a part, what was held out (also where the data were moved), all of other folders.
tested() {
    wanted=$1
    shift
    "$T" eval "$@" >"$W/said" 2>&1 || fail "eval $*: $(cat "$W/said")"
    grep -q "^tested   $wanted\$" "$W/said" || fail "eval $*: $(cat "$W/said"); wanted: $wanted"
}
H=$W/held/model.safetensors
cp -r "$W/good" "$W/moved"
cp -r "$W/good" "$W/foreign"
rm "$W/foreign/a/0.png"
mkdir "$W/parted"
cp -r "$W/good" "$W/parted/Test"
tested "18 pictures of the test part, $W/set/test, in 3 classes" "$M"
tested "all 18 pictures of $W/set/train, in 3 classes; these are the pictures that the network was trained on" "$M" --data.root "$W/set/train"
tested "all 17 pictures of $W/foreign, in 3 classes" "$M" --data.root "$W/foreign"
tested "18 pictures of the test part, $W/parted/Test, in 3 classes" "$M" --data.root "$W/parted"
tested "the [0-9]* pictures held out of $W/good, in 3 classes" "$H"
sum=$(tail -n 1 "$W/said")
tested "the [0-9]* pictures held out of $W/moved, in 3 classes" "$H" --data.root "$W/moved"
[ "$sum" = "$(tail -n 1 "$W/said")" ] || fail "the same data elsewhere: $(cat "$W/said")"
tested "all 17 pictures of $W/foreign, in 3 classes" "$H" --data.root "$W/foreign"
grep -q "of 17[,)]" "$W/said" || fail "not all of a foreign folder: $(cat "$W/said")"
tested "all 18 pictures of $W/good, in 3 classes; the network was trained on a part of them" "$H" --data.split 1
tested "the [0-9]* pictures held out of $W/foreign, in 3 classes; it is not the data of the training, and only a part of it is tested" "$H" --data.root "$W/foreign" --data.split 0.3
# A network that was trained on data of another kind, whose lists are others.
"$T" -e 'local core = require "tlua.core"
local tensors, meta = core.load(arg[1])
local info = core.json_decode(meta.tlua)
info.data = { kind = "cifar10", options = {}, list = { train = info.data.list.train, test = info.data.list.test } }
meta.tlua = core.json_encode(info)
core.save(arg[2], tensors, meta)' "$H" "$W/other.safetensors" || fail "a model of other data"
tested "all 18 pictures of $W/good, in 3 classes" "$W/other.safetensors" --data folder --data.root "$W/good"
tested "the [0-9]* pictures held out of $W/good, in 3 classes" "$W/other.safetensors" --data folder --data.root "$W/good" --data.split 0.3
mkdir -p "$W/only"
cp -r "$W/good" "$W/only/test"
tested "18 pictures of the test part, $W/only/test, in 3 classes" "$H" --data.root "$W/only"
"$T" eval "$H" --data.root "$W/only" --data.split 1 >"$W/said" 2>&1 && fail "all of a test part alone"
grep -q "has a test part ($W/only/test) and no training part" "$W/said" || fail "a test part alone: $(cat "$W/said")"
"$T" eval "$H" --data.root "$W/foreign" --json | grep -q '"tested":"all"' || fail "--json does not say what was tested"
mv "$W/good/a/0.png" "$W/kept.png"
tested "the [0-9]* pictures held out of $W/good, in 3 classes; its pictures have changed since the training (18 then, 17 now), so those that are held out now may have been trained on" "$H"
mv "$W/kept.png" "$W/good/a/0.png"

tail -n +2 "$W/all.csv" | cut -d, -f1 | LC_ALL=C sort -c || fail "the order of a folder"
[ "$(wc -l <"$W/all.csv")" = 19 ] || fail "not all pictures: $(wc -l <"$W/all.csv") lines"

# Threads change nothing, the batch rounding only (another kernel may be taken for another number of rows).
"$T" predict "$M" . --csv --top 1 --threads 1 | cmp -s - "$W/all.csv" || fail "--threads 1 changes the numbers"
for batch in 1 7 100; do
    "$T" predict "$M" . --csv --top 1 --batch $batch | paste -d, "$W/all.csv" - |
        awk -F, 'NR > 1 { d = $3 - $7; if ($1 != $5 || $2 != $6 || d > 1e-6 || d < -1e-6) bad = 1 } END { exit bad || NR != 19 }' ||
        fail "--batch $batch changes the numbers"
done

# What cannot be read is named, and the rest goes on, in order.
odd='odd, "name".png'
cp a/0.png "$odd"
for batch in 1 2 32; do
    "$T" predict "$M" c/1.png "$W/gone.png" "$W/cut/b/cut.jpg" "$odd" a/0.png --csv --batch $batch >"$W/out" 2>"$W/err"
    [ $? = 1 ] || fail "exit status with pictures that cannot be read"
    [ "$(grep -c '^tlua: .*\(gone.png\|cut.jpg\)' "$W/err")" = 2 ] && grep -q "2 of 5 pictures" "$W/err" || fail "messages: $(cat "$W/err")"
    tail -n +2 "$W/out" | awk 'BEGIN { split("^c/1.png, gone.png, cut.jpg, odd, a/0.png", want, " ") } $0 !~ want[NR] { bad = 1 } END { exit bad }' || fail "order: $(cat "$W/out")"
    [ "$(wc -l <"$W/out")" = 6 ] || fail "a line is missing"
    grep -q '^"odd, ""name"".png",' "$W/out" || fail "quotes: $(cat "$W/out")"
    [ "$(tail -n 1 "$W/out" | cut -d, -f2-)" = "$(sed -n 5p "$W/out" | sed 's/^"odd, ""name"".png",//')" ] || fail "the same picture has other scores"
done
"$T" predict "$M" c/1.png "$W/gone.png" a/0.png --json 2>/dev/null >"$W/out"
"$T" -e 'local list = require("tlua.core").json_decode(io.read "a")
assert(#list == 3 and list[1].file == "c/1.png" and list[3].file == "a/0.png" and #list[3].predictions == 3)
assert(list[2].error:find "gone.png" and not list[2].predictions)' <"$W/out" || fail "--json: $(cat "$W/out")"
"$T" predict "$M" "$W/gone.png" --json 2>/dev/null | grep -q '"error"' || fail "no picture at all"

# A folder typed in the other form of Unicode is the one on the disk; what is passed over is said.
apart=$(printf 'e\314\201') composed=$(printf '\303\251')
cp -r a "$W/$apart" && cp a/0.png "$W/$apart/0.heic"
"$T" predict "$M" "$W/$composed" --csv --top 1 >"$W/out" 2>"$W/err" && [ "$(wc -l <"$W/out")" = 7 ] || fail "a folder in the other form: $(cat "$W/err")"
grep -q "^tlua: $W/$apart: 1 .heic is passed over: JPEG, PNG, WebP, TIFF, BMP, GIF and DICOM are read" "$W/err" || fail "predict passes a file over in silence: $(cat "$W/err")"
"$T" predict "$M" "$W/$apart" --quiet 2>&1 >"$W/out" | grep -q . && fail "--quiet is not quiet"

# A bar on a terminal's stderr only; none with --quiet.
"$T" predict "$M" . >"$W/out" 2>"$W/err" && [ -s "$W/err" ] && fail "stderr without a terminal: $(cat "$W/err")"
if command -v script >/dev/null 2>&1; then
    TERM=xterm script -qec "'$T' predict '$M' . --batch 1 >/dev/null" /dev/null </dev/null >"$W/bar" 2>&1
    grep -q "pictures/s  ETA" "$W/bar" || fail "no bar on a terminal"
    TERM=xterm script -qec "'$T' predict '$M' . --batch 1 --quiet >/dev/null" /dev/null </dev/null >"$W/bar" 2>&1
    [ -s "$W/bar" ] && fail "--quiet: $(cat "$W/bar")"
fi
"$T" predict "$M" . --json --csv >/dev/null 2>&1
[ $? = 2 ] || fail "--json and --csv"
"$T" predict "$M" . --batch 0 >/dev/null 2>&1
[ $? = 2 ] || fail "--batch 0"
echo "predict: $failed failed"
[ "$failed" = 0 ]
