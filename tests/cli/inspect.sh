#!/bin/sh
# `tlua inspect`: files of networks and of weights, as text, as JSON and as a picture; what cannot be looked into.
set -u
cd "$(dirname "$0")/../.." || exit 1
T=$PWD/tlua
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
failed=0
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }
# has TEXT: the last output holds it
has() { grep -qF -- "$1" "$W/out" || fail "$2: no '$1' in: $(cat "$W/out")"; }
# refused STATUS TEXT WORDS...: one line that says so
refused() {
    status=$1 text=$2
    shift 2
    "$T" inspect "$@" >"$W/out" 2>"$W/err"
    [ $? = "$status" ] && grep -qF -- "$text" "$W/err" && [ "$(wc -l <"$W/err")" = 1 ] || fail "inspect $*: $(cat "$W/out" "$W/err")"
}
cat >"$W/make.lua" <<'LUA'
local tlua, core, plan = require "tlua", require "tlua.core", require "tlua.plan"
local nn, folder = tlua.nn, arg[1]
local Block = nn.class "Block"
function Block:init(n) self.conv1, self.conv2 = nn.Conv2d(n, n, 3, { padding = 1 }), nn.Conv2d(n, n, 3, { padding = 1 }) end
function Block:forward(x) return (self.conv2(self.conv1(x):relu()) + x):relu() end
core.manual_seed(1)
local net = nn.Sequential(nn.Conv2d(3, 8, 3, { stride = 2, padding = 1 }), nn.ReLU(), Block(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
net:ready()
net:eval()
core.save(folder .. "/own.safetensors", net:state_dict(), { ["tlua.plan"] = assert(plan.text(net, { { "N", 32, 32, 3, name = "image" } })),
  tlua = core.json_encode { format = 1, tlua = core.version, model = "custom", labels = { "a", "b", "c" },
    preprocessing = { size = 32, resize = 32, fit = "shorter", interpolation = "bilinear", mean = { 0.5 }, std = { 0.25 } } } })
core.save(folder .. "/weights.safetensors", net:state_dict(), { author = "some<body>" })
local function node(op, x, y, attrs) return { op = op, name = "/" .. y, inputs = x, outputs = { y }, attrs = attrs or {} } end
local function write(name, extra, op)
  local nodes = { node("Conv", { "x", "stem.weight" }, "a", { kernel_shape = { 3, 3 }, pads = { 1, 1, 1, 1 }, strides = { 2, 2 } }), node("Relu", { "a" }, "b"),
    node(op or "GlobalAveragePool", { "b" }, "c"), node("Flatten", { "c" }, "d", { axis = 1 }) }
  for i = 1, extra do nodes[#nodes + 1] = node("Relu", { i == 1 and "d" or "e" .. i - 1 }, "e" .. i) end
  core.onnx_write(folder .. "/" .. name, { ir_version = 8, producer = "by hand 1", opsets = { [""] = 17 }, metadata = { author = "me" }, functions = {},
    graph = { name = "g", nodes = nodes, values = {}, inputs = { { name = "x", dtype = "float32", shape = { "batch", 3, "H", "W" } } },
      outputs = { { name = extra > 0 and "e" .. extra or "d", dtype = "float32", shape = { "batch", 8 } } },
      tensors = { { name = "stem.weight", tensor = core.randn(8, 3, 3, 3) } } } })
end
write("small.onnx", 0)
write("long.onnx", 300)
write("odd.onnx", 0, "NoSuchThing")
LUA
"$T" "$W/make.lua" "$W" || exit 1

"$T" inspect "$W/own.safetensors" >"$W/out" 2>&1 || fail "a model: $(cat "$W/out")"
for each in "own.safetensors, model, " "image (N, 32, 32, 3) float32" "output (N, 3) float32" "conv 3, relu 3" "1,419" \
    "350 k for image (1, 32, 32, 3)" "32 x 32, mean 0.5, deviation 0.25" "3: a, b, c" "head: 5" "(N, 16, 16, 8)"; do has "$each" "a model"; done
"$T" inspect "$W/own.safetensors" --cut-points >"$W/out" 2>&1 || fail "cut points"
for each in "cut =" "relu_2" "parameters below" "1,195" "pool"; do has "$each" "cut points"; done
# Each name that is listed is one that cut takes, and gives what the list says.
"$T" -e 'local core, tlua = require "tlua.core", require "tlua"
local shapes = require "tlua.nn.graph.shapes"
for _, each in ipairs(core.json_decode(io.read "a").cuts) do
  local net = tlua.nn.Graph { path = arg[1], cut = each.name }
  assert(shapes.text(shapes.of(net)[net.outputs[1].value]) == each.shape, each.name)
  assert(net:count() == each.below, each.name)
end' "$W/own.safetensors" <<JSON || fail "names of cuts"
$("$T" inspect "$W/own.safetensors" --json)
JSON

"$T" inspect "$W/small.onnx" >"$W/out" 2>&1 || fail "ONNX: $(cat "$W/out")"
for each in "small.onnx, ONNX, " "producer       by hand 1" "opset          17 (version 8 of the format)" "author: me" "x (N, H, W, 3) float32" \
    "d (N, 8) float32" "of ONNX: Conv 1, Flatten 1, GlobalAveragePool 1, Relu 1" "(N, H/2, W/2, 8)"; do has "$each" "ONNX"; done
"$T" inspect "$W/odd.onnx" >"$W/out" 2>&1 || fail "ONNX that cannot be run: $(cat "$W/out")"
has "NoSuchThing 1" "ONNX that cannot be run"
has "cannot run" "ONNX that cannot be run"
has "x (batch, 3, H, W) float32" "ONNX that cannot be run"

"$T" inspect "$W/weights.safetensors" >"$W/out" 2>&1 || fail "weights: $(cat "$W/out")"
for each in "weights.safetensors, weights, " "1,419 in 8 tensors" "author: some<body>" "2.conv1" "bias (8), weight (8, 8, 3, 3)"; do has "$each" "weights"; done
"$T" inspect tests/golden/io/module_pair.pt >"$W/out" 2>&1 || fail "a pickled module: $(cat "$W/out")"
for each in "part           model" "other parts    ema" "327 in 36 tensors" "3: cat, déjà vu, stop sign" "weight (2, 3, 3, 3) float16"; do has "$each" "a pickled module"; done
[ "$("$T" inspect "$W/weights.safetensors" --json | "$T" -e 'local f = require("tlua.core").json_decode(io.read "a")
print(f.kind, #f.modules, f.parameters)')" = "weights	4	1419" ] || fail "weights as JSON"

"$T" inspect mobilenet_v3_small --svg "$W/m.svg" >"$W/out" 2>&1 || fail "a network of the registry"
has "features.12" "a network of the registry"
for each in "$W/own.safetensors" "$W/long.onnx" resnet18 unet; do
    "$T" inspect "$each" --svg "$W/p.svg" >/dev/null || fail "a picture of $each"
    grep -q "</svg>" "$W/p.svg" && grep -q 'class="conv b"' "$W/p.svg" || fail "the picture of $each"
    if command -v xmllint >/dev/null; then xmllint --noout "$W/p.svg" || fail "the picture of $each is no XML"; fi
done
grep -q "layer\|encoder" "$W/p.svg" || fail "names in the picture"

refused 2 "inspect: a file is needed"
refused 2 "one file at a time" a b
refused 1 "there is no file nothing.onnx" nothing.onnx
refused 1 "did you mean 'resnet18'?" resnet81
refused 1 "--svg wants a network, and the file holds weights alone" "$W/weights.safetensors" --svg "$W/no.svg"
refused 1 "--cut-points wants a network, and it cannot be run" "$W/odd.onnx" --cut-points
refused 1 "--sizes: is for .onnx files" "$W/own.safetensors" --sizes N=2
refused 2 "numbers by name, like length=128" "$W/small.onnx" --sizes 2
refused 2 "did you mean '--svg'?" "$W/own.safetensors" --svgg x
head -c 400 "$W/small.onnx" >"$W/cut.onnx"
refused 1 "cut.onnx" "$W/cut.onnx"
echo text >"$W/text.pth"
refused 1 "text.pth" "$W/text.pth"
echo "inspect: $failed failed"
[ "$failed" = 0 ]
