#!/bin/sh
# One network written by hand, from training to every command and C; and examples/scores.c and segment.c: networks that give something else
# than one label.
set -u
cd "$(dirname "$0")/../.." || exit 1
T=$PWD/tlua B=$PWD/${BUILD:-build}
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
failed=0
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }
"$T" tests/cli/make_pictures.lua "$W" || exit 1
cat >"$W/own.lua" <<LUA
local tlua = require "tlua"
local nn = tlua.nn
local Block = nn.class "Block"
function Block:init(from, to)
  self.conv = nn.Conv2d(from, to, 3, { stride = 2, padding = 1, bias = false })
  self.bn = nn.BatchNorm2d(to)
  self.short = nn.Conv2d(from, to, 1, { stride = 2 })
end
function Block:forward(x)
  return (self.bn(self.conv(x)) + self.short(x)):relu()
end
return tlua.recipe { model = nn.Sequential(nn.Conv2d(3, 8, 3, { padding = 1 }), nn.ReLU(), Block(8, 16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3)),
  data = tlua.data.folder { root = "$W/good", size = 32, batch = 4, split = 0.34, mean = 0.5, std = 0.25 }, optim = tlua.optim.SGD { lr = 0.05, momentum = 0.9 },
  schedule = { epochs = 3 } }
LUA
"$T" "$W/own.lua" --out "$W/run" --quiet || exit 1
M=$W/run/model.safetensors

# The same classes and probabilities from every side.
"$T" predict "$W/run" "$W"/good/*/*.png --json --batch 18 >"$W/lua.json" || fail "predict"
"$T" export "$W/run" --to "$W/exported.safetensors" >/dev/null || fail "export"
"$T" predict "$W/exported.safetensors" "$W"/good/*/*.png --json --batch 18 >"$W/exported.json" || fail "predict what was exported"
cmp -s "$W/lua.json" "$W/exported.json" || fail "export changes numbers"
for program in predict scores; do "$B/$program" "$M" "$W"/good/*/*.png >"$W/$program.txt" || fail "$program from C"; done
"$T" -e 'local list, best, all = require("tlua.core").json_decode(io.open(arg[1]):read "a"), {}, {}
for line in io.lines(arg[2]) do
  local file, label, score = line:match "^(.-)\t(.-)\t(.*)$"
  best[file] = { label, tonumber(score) }
end
for line in io.lines(arg[3]) do
  local file, label, score = line:match "^(.-)\t(.-)\t(.*)$"
  all[file] = all[file] or {}
  all[file][label] = tonumber(score)
end
for _, each in ipairs(list) do
  local top = each.predictions[1]
  assert(best[each.file][1] == top.label and math.abs(best[each.file][2] - top.score) < 1e-6, each.file)
  for _, p in ipairs(each.predictions) do assert(math.abs(all[each.file][p.label] - p.score) < 1e-6, each.file .. " " .. p.label) end
end
assert(#list == 18)' "$W/lua.json" "$W/predict.txt" "$W/scores.txt" || fail "C and Lua differ"

"$T" eval "$W/run" --json >"$W/eval.json" || fail "eval"
"$T" -e 'local core = require "tlua.core"
local said = core.json_decode(io.open(arg[1]):read "a")
local kept = core.json_decode(select(2, core.entries(arg[2])).tlua).metrics
assert(math.abs(said.accuracy - (kept.accuracy <= 1 and 100 or 1) * kept.accuracy) < 1e-6, said.accuracy)' "$W/eval.json" "$M" || fail "eval gives other figures than the run"
"$T" explain "$W/run" "$W/good/a" --to "$W/looked" >"$W/explained" || fail "explain"
grep -q "relu_[0-9]*, 16 x 16 places" "$W/explained" && [ "$(ls "$W/looked" | wc -l)" = 6 ] || fail "explain: $(cat "$W/explained")"
"$T" explain "$W/run" "$W/good/a/0.png" --layer 2.short --to "$W/looked" | grep -q "2.short, 16 x 16 places" || fail "explain --layer"
"$T" explain "$W/run" "$W/good/a/0.png" --layer 2.shrt --to "$W/looked" 2>&1 | grep -q "unknown layer '2.shrt'; did you mean '2.short'" || fail "explain --layer that is none"
"$T" params "$W/run" '2.*' | grep -q "2.conv.weight" || fail "params"

# A map, and several outputs: files written by hand, as docs/format.md says.
cat >"$W/make.lua" <<'LUA'
local core, plan, nn = require "tlua.core", require "tlua.plan", require("tlua").nn
core.manual_seed(3)
local pipeline = "to_channels(channels=3); resize(size=32); center_crop(size=32); normalize(mean=0.5, std=0.25)"
local function save(name, net, task, size)
  net:ready()
  core.save(arg[1] .. "/" .. name, net:state_dict(), { ["tlua.pipeline"] = size and "to_channels(channels=3); normalize(mean=0.5, std=0.25)" or pipeline,
    tlua = core.json_encode { format = 1, model = "custom", task = task, labels = task.names,
      preprocessing = { size = 32, resize = 32, fit = "shorter", interpolation = "bilinear", mean = { 0.5, 0.5, 0.5 }, std = { 0.25, 0.25, 0.25 } } },
    ["tlua.plan"] = assert(plan.text(net, { { "N", size and "H" or 32, size and "W" or 32, 3, name = "image" } }, nil, { H = 32, W = 16 })) })
end
save("map.safetensors", nn.Sequential(nn.Conv2d(3, 4, 3, { padding = 1 }), nn.ReLU(), nn.Conv2d(4, 3, 1)), { name = "segment", names = { "sky", "sea", "land" } })
save("one.safetensors", nn.Sequential(nn.Conv2d(3, 1, 3, { padding = 1 })), { name = "segment", names = { "thing" } })
save("any.safetensors", nn.Sequential(nn.Conv2d(3, 2, 3, { padding = 1 })), { name = "segment", names = { "sky", "sea" } }, true)
local row = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
save("labels.safetensors", row, { name = "multilabel", names = { "edema", "mass" } })
save("values.safetensors", row, { name = "regress", names = { "age", "weight" } })
local x = core.image_read(arg[2])
local graph = nn.Graph(arg[1] .. "/map.safetensors")
local loader = core.data.loader(core.data.source("files", { paths = { arg[2] } }), core.data.pipeline(require("tlua.data").steps({ size = 32, resize = 32, fit = "shorter",
  interpolation = "bilinear", mean = 0.5, std = 0.25 }, nil, true)), { batch = 1 })
loader:start(1)
local input = loader:next()
local ids, bytes = graph(input):argmax(-1):reshape(-1):tolist(), {}
for i, id in ipairs(ids) do bytes[i] = string.char(id * 255 // 2) end
io.open(arg[1] .. "/want.pgm", "wb"):write("P5\n32 32\n255\n", table.concat(bytes)):close()
for _, v in ipairs(nn.Graph(arg[1] .. "/values.safetensors")(input):reshape(-1):tolist()) do print(("%.5f %.5f"):format(v, 1 / (1 + math.exp(-v)))) end
LUA
"$T" "$W/make.lua" "$W" "$W/good/a/0.png" >"$W/want" || fail "models of maps and values"
"$B/segment" "$W/map.safetensors" "$W/good/a/0.png" "$W/mask.pgm" || fail "segment from C"
cmp -s "$W/mask.pgm" "$W/want.pgm" || fail "the mask from C is another than Lua's"
"$B/segment" "$W/one.safetensors" "$W/good/a/0.png" "$W/one.pgm" && [ "$(head -c 13 "$W/one.pgm" | head -n 2 | tail -n 1)" = "32 32" ] || fail "a mask of one thing"
"$B/segment" "$W/any.safetensors" tests/golden/data/colour.png "$W/any.pgm" && [ "$(head -n 2 "$W/any.pgm" | tail -n 1)" = "61 47" ] || fail "a mask of a picture as it is"
"$B/segment" "$M" "$W/good/a/0.png" "$W/none.pgm" 2>&1 | grep -q "gives no map: its output 'output' has 2 dimensions" || fail "a mask of a row"
"$B/scores" "$W/values.safetensors" "$W/good/a/0.png" >"$W/values" || fail "values from C"
"$B/scores" "$W/labels.safetensors" "$W/good/a/0.png" >"$W/labels" || fail "several labels from C"
[ "$(cut -f2 "$W/values" | tr '\n' ' ')" = "age weight " ] && [ "$(cut -f2 "$W/labels" | tr '\n' ' ')" = "edema mass " ] || fail "names: $(cat "$W/values" "$W/labels")"
cut -f3 "$W/values" | while read -r v; do printf '%.5f\n' "$v"; done >"$W/v"
cut -f3 "$W/labels" | while read -r v; do printf '%.5f\n' "$v"; done | paste -d' ' "$W/v" - | cmp -s - "$W/want" || fail "scores: $(cat "$W/values" "$W/labels" "$W/want")"
"$T" predict "$W/values.safetensors" "$W/good/a/0.png" >"$W/said" || fail "predict of values"
grep -q "age $(cut -f3 "$W/values" | head -n 1 | cut -c1-5)" "$W/said" || fail "values: $(cat "$W/said" "$W/values")"
"$T" explain "$W/values.safetensors" "$W/good/a/0.png" --class age --to "$W/looked" | grep -q "age $(cut -f3 "$W/values" | head -n 1 | cut -c1-5)" || fail "explain of values"
"$T" predict "$W/map.safetensors" "$W/good/a/0.png" --to "$W/masks" >"$W/said" && [ "$(ls "$W/masks" | wc -l)" -ge 1 ] || fail "predict of a map: $(cat "$W/said")"
"$B/predict" "$W/values.safetensors" "$W/good/a/0.png" 2>&1 | grep -q "made for another task: regress; tl_model_run gives what it says" || fail "predict of values"
echo "graphs from every side: $failed failed"
[ "$failed" = 0 ]
