#!/bin/sh
# `tlua explain`: pages of the right size that show the picture beside heat, names, classes, layers, and what cannot be explained.
set -u
cd "$(dirname "$0")/../.." || exit 1
T=$PWD/tlua
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
failed=0
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }
"$T" tests/cli/make_pictures.lua "$W" || exit 1
composed=$(printf '\352\263\240\354\226\221\354\235\264') apart=$(printf '\341\204\200\341\205\251\341\204\213\341\205\243\341\206\274\341\204\213\341\205\265')
mv "$W/good/c" "$W/good/$composed"
cat >"$W/r.lua" <<LUA
local tlua = require "tlua"
return tlua.recipe { model = tlua.models.resnet18 { width = 8 }, freeze = "*", head = tlua.nn.Linear(3), cache = false,
  optim = tlua.optim.Adam { lr = 1e-2 }, data = tlua.data.folder { root = "$W/good", size = 64, batch = 4 }, schedule = { epochs = 2 } }
LUA
"$T" "$W/r.lua" --out "$W/run" --quiet || exit 1
M=$W/run/model.safetensors
# A wide picture, larger than the network's: its sides are cut off before the network sees it.
"$T" -e 'local core, rows = require "tlua.core", {}
for y = 1, 240 do
  rows[y] = {}
  for x = 1, 400 do rows[y][x] = { x % 256, y, (x + y) % 256 } end
end
core.image_write(arg[1], core.tensor(rows, { dtype = "uint8" }))' "$W/wide.png"

"$T" explain "$M" "$W/good/a/0.png" "$W/good/b/0.png" "$W/wide.png" "$W/gone.png" --to "$W/out" >"$W/said" 2>"$W/err"
[ $? = 1 ] || fail "exit status with a picture that cannot be read"
grep -q "^tlua: $W/gone.png: " "$W/err" && grep -q "1 of 4 pictures" "$W/err" || fail "messages: $(cat "$W/err")"
[ "$(wc -l <"$W/said")" = 3 ] && [ "$(ls "$W/out" | wc -l)" = 3 ] || fail "pages: $(ls "$W/out")"
# The likeliest class and its score are those of `tlua predict`.
"$T" predict "$M" "$W/wide.png" --top 1 | sed 's/.*png  //' >"$W/top.txt"
grep -q "/wide.png  $(cat "$W/top.txt")" "$W/said" || fail "explain says $(grep wide "$W/said"), predict $(cat "$W/top.txt")"

# The page: the picture as it is on the left; on the right grey, darker where the network saw nothing, coloured where it looked.
"$T" -e 'local core = require "tlua.core"
local page, wide = core.image_read(arg[1]):tolist(), core.image_read(arg[2]):tolist()
assert(#page[1] == 2 * 400 + 24 and #page > 240 + 24, #page[1] .. " x " .. #page)
local coloured, dark = 0, 0
for y = 1, 240 do
  for x = 1, 400 do
    local own, left, right = wide[y][x], page[y + 8][x + 8], page[y + 8][x + 416]
    for c = 1, 3 do assert(left[c] == own[c], "the picture itself changed") end
    local grey = 0.299 * own[1] + 0.587 * own[2] + 0.114 * own[3]
    local flat = right[1] == right[2] and right[2] == right[3]
    if x < 60 or x > 340 then -- resized to 73 x 122, of which the middle 64 are seen
      assert(flat and math.abs(right[1] - 0.35 * grey) < 1, ("unseen at %d, %d: %d of %.1f"):format(x, y, right[1], grey))
      dark = dark + 1
    elseif not flat then coloured = coloured + 1 end
  end
end
assert(coloured > 1000 and dark > 1000, coloured)' "$W/out/wide.png" "$W/wide.png" || fail "the page"
# Small pictures are enlarged by a whole number.
"$T" -e 'local s = require("tlua.core").image_read(arg[1]):shape() assert(s[2] == 2 * 224 + 24, s[2])' "$W/out/$(ls "$W/out" | head -n 1)" || fail "a small picture"

"$T" explain "$M" "$W/wide.png" --class b --layer layer2 --to "$W/b" --quiet >"$W/said" || fail "--class and --layer"
[ -s "$W/said" ] && fail "--quiet"
"$T" explain "$M" "$W/wide.png" --class "$apart" --to "$W/c" >"$W/said" && grep -q "  $composed " "$W/said" || fail "a class in the other form of Unicode"
cmp -s "$W/b/wide.png" "$W/out/wide.png" && fail "another class and layer give the same page"
# How fine the map is stands beside each answer; one of few places is warned of, with a layer that has more.
"$T" explain "$M" "$W/wide.png" --to "$W/fine" >"$W/said" 2>"$W/err" || fail "explain"
grep -q "  layer4, 2 x 2 places$" "$W/said" || fail "the number of places: $(cat "$W/said")"
grep -q "^tlua: the map of layer4 has 2 x 2 places, too few to say where: --layer layer2 has 8 x 8$" "$W/err" || fail "a coarse map: $(cat "$W/err")"
"$T" explain "$M" "$W/wide.png" --layer layer2 --to "$W/fine" >"$W/said" 2>"$W/err"
[ ! -s "$W/err" ] && grep -q "  layer2, 8 x 8 places" "$W/said" || fail "a finer map: $(cat "$W/said" "$W/err")"
"$T" explain "$M" "$W/wide.png" --layer layer4 --to "$W/fine" 2>&1 | grep -q "layer layer2 has 8 x 8" || fail "a coarse map that was asked for"
# A picture of one colour: whatever the network pads, there is nowhere to look.
"$T" -e 'local core, rows = require "tlua.core", {}
for y = 1, 70 do
  rows[y] = {}
  for x = 1, 90 do rows[y][x] = { 120, 60, 200 } end
end
core.image_write(arg[1], core.tensor(rows, { dtype = "uint8" }))' "$W/one.png"
"$T" explain "$M" "$W/one.png" "$W/wide.png" --layer layer1 --to "$W/fine" >"$W/said" || fail "a picture of one colour"
grep -q "one.png .*; of one colour: nowhere to look$" "$W/said" && [ "$(grep -c 'of one colour' "$W/said")" = 1 ] || fail "one colour: $(cat "$W/said")"
"$T" -e 'local page = require("tlua.core").image_read(arg[1]):tolist()
for y = 9, 100 do
  for x = 9 + 360 + 8, #page[1] - 8 do
    local p = page[y][x]
    assert(p[1] == p[2] and p[2] == p[3], "colour in a map of nothing")
  end
end' "$W/fine/one.png" || fail "the map of one colour"
# A map that is the same everywhere, or 0 everywhere, says so.
"$T" -e 'local note = require("tlua.command.explain").note
assert(note({ 0, 0, 0 }, false) == "no place speaks for it" and note({ 0.5, 0.5 }, false) == "every place speaks for it alike" and note({ 0.5, 0.6 }, false) == nil)' || fail "notes"

refused() {
    name=$1 status=$2 pattern=$3
    shift 3
    "$T" explain "$@" --to "$W/no" >"$W/said" 2>"$W/err"
    [ $? = "$status" ] && [ "$(wc -l <"$W/err")" = 1 ] && grep -q "$pattern" "$W/err" || fail "$name: $(cat "$W/err")"
    [ -e "$W/no" ] && fail "$name left a folder behind"
}
refused "an unknown class" 2 "unknown class 'd'" "$M" "$W/wide.png" --class d
refused "an unknown layer" 1 "unknown layer 'layer9'; did you mean" "$M" "$W/wide.png" --layer layer9
refused "a layer without places" 1 "no map of places" "$M" "$W/wide.png" --layer pool
refused "no picture" 2 "a model and pictures are needed" "$M"
sed 's/resnet18 { width = 8 }/deit_tiny_patch16_224 { image_size = 64 }/' "$W/r.lua" >"$W/vit.lua"
"$T" "$W/vit.lua" --out "$W/vit" --schedule.epochs 1 --quiet || fail "a vision transformer"
refused "a vision transformer" 1 "deit_tiny_patch16_224 is a map of places.*Grad-CAM needs the output of a convolution" "$W/vit/model.safetensors" "$W/wide.png"
echo "explain: $failed failed"
[ "$failed" = 0 ]
