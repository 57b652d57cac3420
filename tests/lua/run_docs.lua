-- run_docs.lua - for tests/docs.sh, in the folder where the guides have been run: run_docs.lua ROOT makes the data,
-- runs and weights that the other documents name; run_docs.lua ROOT BLOCK runs a block of Lua, or reads one of JSON.
local root, block = arg[1], arg[2]
local core = require "tlua.core"
local tlua = require "tlua"
local nn = tlua.nn

if block and block:find "%.json$" then
  assert(core.json_decode(core.read_file(block)), block)
  return
elseif block then
  -- Fields of a recipe that stand alone, as "model = ...,", are those of a table.
  local text, env = core.read_file(block), setmetatable({ tlua = tlua }, { __index = _G })
  local f = load(text, "@" .. block, "t", env) or assert(load("return { " .. text .. "\n}", "@" .. block, "t", env))
  f()
  return
end

local function sh(...) assert(os.execute(string.format(...))) end
local function link(to, ...)
  for _, name in ipairs { ... } do sh("ln -sfn '%s' '%s'", to, name) end
end

-- ---- pictures, texts, sounds under the names that the documents have for them ----

local function copy(from, ...)
  for _, to in ipairs { ... } do core.write_file(to, core.read_file(from)) end
end
copy("pictures/test/circle/01.png", "picture.jpg", "사진.jpg")
copy("squares/images/test/square60.png", "field.jpg")
copy("recordings/001.wav", "talk.mp3", "door.wav")
copy(root .. "/examples/predict.c", "predict.c")
copy("reviews/reviews.tsv", "more.tsv", "new.tsv", "더.tsv")
for i, name in ipairs { "anna", "ben" } do
  core.mkdirs("people/" .. name)
  copy(("recordings/%03d.wav"):format(i), ("people/%s/%03d.wav"):format(name, i))
end
link("pictures", "DIR", "elsewhere", "폴더")
link("squares/images/test", "field")
link("scans/p01", "series")
core.mkdirs "data"
dofile(root .. "/tests/lua/run_pictures.lua").cifar("data/cifar10", 40)
for _, class in ipairs { "circle", "square", "triangle" } do
  core.mkdirs("data/chest_xray/" .. class)
  for i = 1, 5 do
    copy(("pictures/train/%s/%02d.png"):format(class, i), ("data/chest_xray/%s/%d0%d_1.png"):format(class, #class, i))
  end
end
dofile(root .. "/tests/lua/run_spheres.lua").write("volumes", core, { count = 5 })
link("volumes/images/case01.nii.gz", "t1.nii.gz")
link(root .. "/tests/golden/text/bert", "data/e5_small")

-- ---- weights and networks ----

local function random_weights(name)
  local entry = tlua.models.registry.entry(name)
  local net = tlua.models[name] {}
  net:ready()
  core.save(("%s/weights/%s"):format(os.getenv "TLUA_CACHE", entry.weights.imagenet.file), net:state_dict(),
    { format = "pt" })
end
random_weights "resnet50"
tlua.models.speaker_lstm {}:ready():save "voices.safetensors"
for name, to in pairs { mobilenet_v2 = "data/net.onnx", mobilenet_v3_small = "data/mobilenetv3.onnx" } do
  sh("tlua export %s --weights none --to %s", name, to)
end
copy("data/net.onnx", "data/mobilenet.onnx")
sh "tlua export runs/mine --to net.onnx"
-- A network whose file leaves height and width open.
core.onnx_write("detector.onnx", { ir_version = 8, producer = "tests", opsets = { [""] = 17 }, metadata = {},
  functions = {}, graph = { name = "open", nodes = {
      { op = "Conv", name = "conv", inputs = { "image", "weight" }, outputs = { "a" },
        attrs = { kernel_shape = { 3, 3 }, pads = { 1, 1, 1, 1 }, strides = { 2, 2 } } },
      { op = "Relu", name = "relu", inputs = { "a" }, outputs = { "b" }, attrs = {} } },
    inputs = { { name = "image", dtype = "float32", shape = { "N", 3, "height", "width" } } },
    outputs = { { name = "b", dtype = "float32", shape = { "N", 4, "h", "w" } } }, values = {},
    tensors = { { name = "weight", tensor = core.randn(4, 3, 3, 3) } } } })

-- ---- runs ----

local function train(fields)
  fields.schedule = { epochs = 1 }
  tlua.recipe(fields):run { style = "quiet", force = true }
end
train { model = tlua.models.mel_cnn { width = 24 }, task = tlua.task.verify {}, out = "runs/voices",
  data = tlua.data.sounds { root = "recordings", seconds = 1,
    label = function(path) return "speaker" .. path:match "(%d)%.wav" end } }
train { model = tlua.models.meshnet {}, loss = nn.CrossEntropy {}, optim = tlua.optim.Adam { lr = 1e-3 },
  data = tlua.data.nifti { root = "volumes", classes = { "background", "sphere" }, patch = 8 }, out = "runs/brain" }
link("mine", "runs/NAME", "runs/이름", "runs/a", "runs/A", "runs/own", "runs/cifar_ft-20260101-1")
link("deeper", "runs/b", "runs/B")
link("texts", "runs/REVIEWS", "runs/reviews", "runs/리뷰")
link("speech", "runs/SPEECH", "runs/말")
link("squares", "runs/PESTS", "runs/pests", "runs/해충")
link("voices", "runs/VOICES", "runs/목소리")
link("adapters", "runs/lora")
link("runs/mine", "RUN")
core.mkdirs "runs/mine-compare"
link("../mine", "runs/mine-compare/frozen")
link("../deeper", "runs/mine-compare/tuned")
