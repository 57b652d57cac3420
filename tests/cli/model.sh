#!/bin/sh
# examples/predict.c and predict_memory.c: a model from C gives what `tlua predict` gives, and a file that is not one is refused in one line.
set -u
cd "$(dirname "$0")/../.." || exit 1
T=$PWD/tlua B=$PWD/${BUILD:-build}
P=$B/predict
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
failed=0
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }
"$T" tests/cli/make_pictures.lua "$W" || exit 1
cat >"$W/r.lua" <<LUA
local tlua = require "tlua"
return tlua.recipe { model = tlua.models.mobilenet_v2 {}, freeze = "*", head = tlua.nn.Sequential(tlua.nn.Linear(8), tlua.nn.ReLU(), tlua.nn.Linear(3)), cache = false,
  optim = tlua.optim.Adam { lr = 1e-2 }, data = tlua.data.folder { root = "$W/good", size = 64, batch = 4 }, schedule = { epochs = 2 } }
LUA
"$T" "$W/r.lua" --out "$W/run" --quiet || exit 1
M=$W/run/model.safetensors
cp "$W/good/a/0.png" "$W/grey.png"
"$T" -e 'local core = require "tlua.core" core.image_write(arg[1], core.image_read(arg[1], 1))' "$W/grey.png"

# The same classes and probabilities, of colour and of grey pictures, in batches.
same() {
    "$P" "$1" "$W"/good/*/*.png "$W/grey.png" >"$W/c.txt" || fail "$1 from C"
    "$T" predict "$2" "$W"/good/*/*.png "$W/grey.png" --json --batch 16 >"$W/lua.json" || fail "$2 from Lua"
    "$T" -e 'local list, k = require("tlua.core").json_decode(io.open(arg[2]):read "a"), 0
    for line in io.lines(arg[1]) do
      k = k + 1
      local file, label, score = line:match "^(.-)\t(.-)\t(.*)$"
      local best = list[k].predictions[1]
      assert(file == list[k].file and label == best.label and math.abs(score - best.score) < 1e-6, line)
    end
    assert(k == #list and k == 19, k)' "$W/c.txt" "$W/lua.json" || fail "C and Lua differ on $1"
}
same "$M" "$M"
"$T" export "$W/run/last.safetensors" --to "$W/exported.safetensors" >/dev/null || fail "export of a checkpoint"
same "$W/exported.safetensors" "$W/run/last.safetensors"

# Pictures in memory: the contents of a file, and its pixels in any order.
"$T" -e 'local core = require "tlua.core"
local x = core.image_read(arg[1])
local values, out, back = x:reshape(-1):tolist(), {}, {}
for i, v in ipairs(values) do out[i] = string.char(v // 1 | 0) end
for i = 1, #out, 3 do back[i], back[i + 1], back[i + 2] = out[i + 2], out[i + 1], out[i] end
io.open(arg[2], "wb"):write(table.concat(out)):close()
io.open(arg[3], "wb"):write(table.concat(back)):close()
print(x:shape()[2], x:shape()[1])' "$W/good/a/0.png" "$W/rgb" "$W/bgr" >"$W/size" || fail "pixels"
read -r width height <"$W/size"
"$B/embedding" "$M" "$W/good/a/0.png" "$W/rgb" "$width" "$height" >"$W/out" 2>&1 || fail "pictures in memory: $(cat "$W/out")"
"$B/predict_memory" "$M" <"$W/good/a/0.png" >"$W/encoded" || fail "the contents of a file"
"$B/predict_memory" "$M" "$width" "$height" <"$W/bgr" >"$W/pixels" || fail "pixels over a pipe"
cmp -s "$W/encoded" "$W/pixels" || fail "pixels are not the file: $(cat "$W/encoded" "$W/pixels")"
[ "$(sort -k2,2 -t"$(printf '\t')" -g "$W/encoded" | tail -n 1)" = "$("$P" "$M" "$W/good/a/0.png" | cut -f2-)" ] || fail "predict and predict_memory differ"
"$B/predict_memory" "$M" </dev/null 2>&1 | grep -q "standard input: data is NULL" || fail "an empty input"
head -c 90 "$W/good/a/0.png" | "$B/predict_memory" "$M" 2>&1 | grep -q "^standard input: damaged PNG" || fail "half a picture"

# One line, which names the file, and nothing else.
refused() {
    "$P" "$1" "$W/good/a/0.png" >"$W/out" 2>"$W/err"
    status=$?
    [ $status = 1 ] && [ "$(wc -l <"$W/err")" = 1 ] && grep -q "$2" "$W/err" && [ ! -s "$W/out" ] || fail "$1: status $status, wanted /$2/: $(cat "$W/err")"
}
for bytes in 0 5 200 5000 100000; do
    head -c $bytes "$M" >"$W/cut.safetensors"
    refused "$W/cut.safetensors" "^$W/cut.safetensors: "
done
refused tests/golden/ops.safetensors "^tests/golden/ops.safetensors: .*no plan.*tlua export"
refused "$W/run/last.safetensors" "last.safetensors: .*no plan.*tlua export"
refused "$W/good/a/0.png" "a/0.png: "
refused "$W/gone.safetensors" "gone.safetensors: "
"$P" "$M" "$W/good/a/0.png" "$W/cut/b/cut.jpg" 2>&1 >/dev/null | grep -q "^$W/cut/b/cut.jpg: damaged" || fail "a damaged picture"

# Plans that lie: each change is refused in one line that begins with the path.
cat >"$W/lie.lua" <<'LUA'
local core = require "tlua.core"
local model, to, which = arg[1], arg[2], tonumber(arg[3])
local tensors, meta = core.load(model)
local function plan(pattern, by)
  local text, n = meta["tlua.plan"]:gsub(pattern, by, 1)
  assert(n == 1, pattern)
  meta["tlua.plan"] = text
end
local lies = {
  function() plan('%["N",64,', '["N",2147483647,') end,
  function() plan('%["N",64,', '["N",-1,') end,
  function() plan('%["N",64,64,3%]', '["N",3,64,64]') end,
  function() plan('%["N",64,64,3%]', '[{"N":1},64,64,3]') end,
  function() plan('%["N",64,64,3%]', '["M",64,64,3]') end,
  function() plan('"format":2', '"format":3') end,
  function() plan('"format":2', '"format":1') end,
  function() plan('"symbols":{"N":3', '"symbols":{"N":0') end,
  function() plan('"symbols":{"N":3', '"symbols":{"N":3,"T":3') end,
  function() plan('"symbols":{"N":3', '"symbols":{"N":2147483647') end,
  function() plan('"name":"image"', '"name":""') end,
  function() plan('"dtype":"float32"', '"dtype":"float64"') end,
  function() plan('"inputs":%[.-%]}%]', '"inputs":[]') end,
  function() plan('"shape":%["N",3%]', '"shape":["N",4]') end,
  function() plan('"shape":%["N",3%]', '"shape":[3,3]') end,
  function() plan('"shape":%["N",3%]', '"shape":[{"N":2},3]') end,
  function() plan('%["conv"', '["convolve"') end,
  function() plan('%["conv"', '["checkpoint"') end,
  function() plan('%["conv",%[0', '["conv",[7') end,
  function() plan('%["conv",%[0', '["conv",[-1') end,
  function() plan('%["conv",%[0', '["conv",[0.5') end,
  function() plan('%["conv",%[0,', '["conv",[null,') end,
  function() plan('%["conv",%[0', '["conv",[0,0,0,0,0,0,0,0,0,0') end,
  function() plan('features.0.0.weight', 'features.9.9.weight') end,
  function() plan('features.0.0.weight', 'features.0.1.weight') end,
  function() plan('"stride":%[2,2%]', '"stride":[0,2]') end,
  function() plan('"stride":%[2,2%]', '"stride":[2,2,2,2,2,2,2,2,2,2]') end,
  function() plan('"stride":%[2,2%]', '"stride":"two"') end,
  function() plan('"padding":%[1,1%]', '"padding":[2147483647,2147483647]') end,
  function() plan('"padding":%[1,1%]', '"padding":[1e300,1]') end,
  function() plan('"activation":"relu6"', '"activation":"relu7"') end,
  function() plan('"value":%d+', '"value":100000') end,
  function() plan('"value":%d+', '"value":0') end,
  function() plan('"value":%d+', '"value":1') end,
  function() plan('"value":%d+', '"value":-1') end,
  function() plan('"calls":%[%[.*%]%]', '"calls":[[]]') end,
  function() meta["tlua.plan"] = "[1, 2" end,
  function() meta.tlua = '{"labels":["a"' end,
  function() meta.tlua = '["a","b","c"]' end,
  function() meta.tlua = '{"labels":["a",2,"c"]}' end,
  function() meta.tlua = '{"labels":{"a":"b"}}' end,
  function() meta.tlua = '{"labels":["a","b"]}' end,
  function() meta["tlua.pipeline"] = "resize(size=-3)" end,
  function() meta["tlua.pipeline"] = "normalize(mean=[0, 0, 0], std=[1, 1, 1])" end,
  function() meta["tlua.pipeline"] = meta["tlua.pipeline"]:gsub("center_crop%(size=64%)", "center_crop(size=32)") end,
  function() meta.tlua = meta.tlua:gsub('"names":%["a",', '"names":[') end,
  function() tensors["features.0.0.weight"] = core.zeros { 32, 3, 5 } end,
  function() tensors["features.0.1.running_var"] = core.zeros { 31 } end,
  function() tensors["classifier.1.2.weight"] = nil end,
}
if which > #lies then os.exit(9) end
lies[which]()
core.save(to, tensors, meta)
LUA
i=1
while :; do
    "$T" "$W/lie.lua" "$M" "$W/lie$i.safetensors" $i 2>"$W/err"
    status=$?
    [ $status = 9 ] && break
    [ $status = 0 ] || { fail "lie $i: $(cat "$W/err")"; break; }
    refused "$W/lie$i.safetensors" "^$W/lie$i.safetensors: "
    [ -n "${VERBOSE:-}" ] && cat "$W/err"
    rm -f "$W/lie$i.safetensors"
    i=$((i + 1))
done
[ $i -ge 45 ] || fail "only $((i - 1)) plans that lie were tried"
echo "models from C: $((i - 1)) lies refused, $failed failed"
[ "$failed" = 0 ]
