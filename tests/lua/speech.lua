-- speech.lua - networks for sound: lengths through all stages, model files that leave them open, options. Values are
-- held against PyTorch's in tests/golden/speech.lua. Run by `tlua tests/lua/speech.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local plan = require "tlua.plan"
local nn = tlua.nn
local folder = t.folder()
local SMALL = { classes = 7, blocks = 2, width = 16, heads = 2, ffn = 32, kernel = 5, bands = 8 }

local function whole(list) return core.tensor(list, { dtype = "int32" }) end

local function small(more)
  local o = {}
  for _, list in ipairs { SMALL, more or {} } do
    for key, value in pairs(list) do o[key] = value end
  end
  return tlua.models.conformer(o)
end

-- Writes the calls of a network beside its tensors, as model files have them, and opens that.
local function from_file(net, name)
  local path = folder .. "/" .. name .. ".safetensors"
  local text = assert(plan.text(net, net:plan_inputs(), net.output_names, net.open_sizes))
  core.save(path, net:state_dict(), { tlua = core.json_encode { format = 1, model = "custom" }, ["tlua.plan"] = text })
  return nn.Graph { path = path }:eval()
end

t.test("a model file of a conformer leaves batch and length open", function()
  core.manual_seed(1)
  local net = small { batchnorm = true, dropout = 0.1 }:eval()
  local again = from_file(net, "conformer")
  t.equal(again.inputs[2].name, "lengths")
  for _, lengths in ipairs { { 3700, 500, 2210 }, { 6400, 401 }, { 480 }, { 20100, 20000 } } do
    local x = core.randn(#lengths, lengths[1])
    local y, left = net(x, whole(lengths))
    local out = again(x, whole(lengths))
    assert(t.distance(out[1], y) < 1e-5)
    t.equal(table.concat(out[2]:tolist(), " "), table.concat(left:tolist(), " "))
    for i, n in ipairs(lengths) do t.equal(left:tolist()[i], net:frame_count(n)) end
  end
end)

t.test("a wave gives the same alone and beside a longer one", function()
  core.manual_seed(12)
  local net = small { normalize = "clip" }:eval()
  local x = core.randn(2, 4000)
  local guard <close> = core.no_grad()
  local y, left = net(x, whole { 4000, 2500 })
  local alone = net(core.ops.slice(core.ops.slice(x, 1, 1, 1), 2, 0, 2500))
  local n = left:tolist()[2]
  t.equal(alone:shape(2), n)
  assert(t.distance(core.ops.slice(core.ops.slice(y, 1, 1, 1), 2, 0, n), alone) < 1e-4)
  t.equal(t.distance(net(x), net(x)), 0)
end)

t.test("masks over bands and frames are for training", function()
  core.manual_seed(13)
  local net, x = small { freq_masks = 1, freq_width = 3, time_masks = 1, time_width = 9 }:train(), core.randn(2, 4000)
  t.equal(net:fixed_stages(), 1)
  assert(t.distance(net(x), net(x)) > 1e-3)
end)

t.test("without lengths all are full, and none come out", function()
  core.manual_seed(2)
  local net = small():eval()
  local x = core.randn(2, 20, 8)
  local y, none = net(x)
  t.equal(none, nil)
  assert(t.distance(net(x, whole { 20, 20 }), y) < 1e-5)
  t.equal(net:frame_count(16000), 51)
end)

t.test("one plan serves every length", function()
  core.manual_seed(3)
  local net = small():eval()
  local guard <close> = core.no_grad()
  net(core.randn(2, 20, 8), whole { 20, 7 })
  local name = ("below %d with lengths"):format(net:stage_count())
  local first = plan.of(net, name)
  assert(first)
  net(core.randn(3, 31, 8), whole { 31, 7, 9 })
  t.equal(plan.of(net, name), first)
end)

t.test("frozen stages run as a plan, and the rest gets its gradients", function()
  core.manual_seed(4)
  local net = small():train()
  net:freeze { "stem.*", "blocks.0.*" }
  t.equal(net:fixed_stages(), 3)
  local x, lengths = core.randn(2, 20, 8), whole { 20, 9 }
  local y = net(x, lengths)
  y:square():sum():backward()
  local some = net:gradients()
  t.equal(some["blocks.0.ffn1.fc1.weight"], nil)
  assert(some["blocks.1.ffn1.fc1.weight"] and some["proj.bias"])
  assert(plan.of(net, "below 3 with lengths"))
end)

t.test("recomputed blocks give the same gradients, dropout too", function()
  local function gradients(recomputed)
    core.manual_seed(5)
    local net = small { dropout = 0.2 }:train()
    if recomputed then require("tlua.recompute").mark(net) end
    core.random_step(1)
    net(core.randn(2, 20, 8), whole { 20, 9 }):square():sum():backward()
    return net:gradients()
  end
  local a, b = gradients(false), gradients(true)
  for name, g in pairs(a) do assert(t.distance(b[name], g) < 1e-5, name) end
end)

t.test("options that make no sense, and weights that are not at hand", function()
  t.fails("5 heads do not share a width of 16", small, { heads = 5 })
  t.fails("kernel must be odd, not 4", small, { kernel = 4 })
  t.fails("unknown option of models.conformer: 'in_channels'", small, { in_channels = 1 })
  t.fails("waves (N, T) or frames (N, F, 8) are needed", small(), core.randn(2))
  local path = folder .. "/hama_conformer_ctc.safetensors"
  t.fails("python3 tools/hama_conformer.py", function() small { weights = path }:ready() end)
end)

t.test("what a file says of its symbols, and a last layer that was a convolution", function()
  core.manual_seed(6)
  local net, path = small(), folder .. "/symbols.safetensors"
  local state = net:state_dict()
  state["proj.weight"] = state["proj.weight"]:reshape { 7, 16, 1 }
  core.save(path, state, { tokens = core.json_encode { "a", "b", "c", "d", "e", "f", "<blank>" }, blank = "6" })
  local again = small { weights = path }
  t.equal(again:vocabulary().blank, 6)
  t.equal(again:vocabulary().tokens[7], "<blank>")
  local x = core.randn(1, 9, 8)
  t.equal(t.distance(again:eval()(x), net:eval()(x)), 0)
  t.equal(small():vocabulary(), nil)
end)

t.test("a model file of the LSTM for voices, and recurrent layers of both directions", function()
  core.manual_seed(14)
  local net = tlua.models.speaker_lstm { classes = 5, width = 8, layers = 2, bands = 8 }:eval()
  local again = from_file(net, "speaker")
  local x, lengths = core.randn(2, 3000), whole { 3000, 1700 }
  local y = net(x, lengths)
  assert(t.distance(again(x, lengths), y) < 1e-5)
  local alone = net(core.ops.slice(core.ops.slice(x, 1, 1, 1), 2, 0, 1700))
  assert(t.distance(core.ops.slice(y, 1, 1, 1), alone) < 1e-5)
  for _, class in ipairs { nn.LSTM, nn.GRU } do
    local both = class(3, 4, { layers = 2, bidirectional = true })
    local f = core.randn(2, 7, 3)
    local out, last = both(f, whole { 7, 4 })
    local out4, last4 = both(core.ops.slice(core.ops.slice(f, 1, 1, 1), 2, 0, 4))
    t.equal(table.concat(out:shape(), " "), "2 7 8")
    assert(t.distance(core.ops.slice(core.ops.slice(out, 1, 1, 1), 2, 0, 4), out4) < 1e-5)
    assert(t.distance(core.ops.slice(last, 1, 1, 1), last4) < 1e-5)
    out:sum():backward()
    for name, g in pairs(both:gradients()) do assert(g, name) end
  end
end)

-- ---- wav2vec 2.0, and folders ----

local WAV = { classes = 5, width = 16, layers = 2, heads = 2, ffn = 24, conv_widths = "8,8", conv_kernels = "10,3",
  conv_strides = "5,2", position_kernel = 8, position_groups = 2 }
local CONFIG = { model_type = "wav2vec2", vocab_size = 5, hidden_size = 16, num_hidden_layers = 2,
  num_attention_heads = 2, intermediate_size = 24, conv_dim = { 8, 8 }, conv_kernel = { 10, 3 }, conv_stride = { 5, 2 },
  num_conv_pos_embeddings = 8, num_conv_pos_embedding_groups = 2, pad_token_id = 0 }

local function write_text(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local function write_folder(name, config, files)
  local path = folder .. "/" .. name
  core.mkdirs(path)
  write_text(path .. "/config.json", core.json_encode(config))
  for file, tensors in pairs(files) do core.save(path .. "/" .. file, tensors, {}) end
  return path
end

t.test("a model file of wav2vec 2.0 takes waves of any length", function()
  core.manual_seed(7)
  local net = tlua.models.wav2vec2_base(WAV):eval()
  local again = from_file(net, "wav2vec2")
  for _, lengths in ipairs { { 400, 300 }, { 123 } } do
    local x = core.randn(#lengths, lengths[1])
    local y, left = net(x, whole(lengths))
    local out = again(x, whole(lengths))
    assert(t.distance(out[1], y) < 1e-5)
    t.equal(out[2]:tolist()[1], left:tolist()[1])
    t.equal(net:frame_count(lengths[1]), y:shape(2))
  end
end)

t.test("spans are hidden in training alone, and what stands for them learns", function()
  core.manual_seed(8)
  local o = { mask_time = 0.5, mask_time_length = 3, mask_features = 0.2, mask_features_length = 2,
    layer_dropout = 0.5 }
  for key, value in pairs(WAV) do o[key] = value end
  local net = tlua.models.wav2vec2_base(o):train()
  local x = core.randn(2, 400)
  local y = net(x)
  y:square():sum():backward()
  assert(net.wav2vec2.masked_spec_embed.grad:abs():sum():item() > 0)
  assert(t.distance(net(x), y) > 1e-3)
  net:eval()
  t.equal(t.distance(net(x), net(x)), 0)
  net:train()
  net:freeze { "*", "!lm_head.*", "!*.masked_spec_embed" }
  t.equal(net:stage_name(net:fixed_stages()), "wav2vec2.feature_projection")
end)

t.test("a folder as transformers lays it out", function()
  core.manual_seed(9)
  local net = tlua.models.wav2vec2_base(WAV):eval()
  local state, first, second = net:state_dict(), {}, {}
  local path = write_folder("whole", CONFIG, { ["model.safetensors"] = state })
  write_text(path .. "/vocab.json", '{"<pad>": 0, "a": 1, "b": 2, "c": 3, "|": 4}')
  local again = tlua.models.from_folder(path):eval()
  local x = core.randn(1, 300)
  t.equal(t.distance(again(x), net(x)), 0)
  t.equal(again:vocabulary().blank, 0)
  t.equal(again:vocabulary().tokens[5], "|")
  -- In pieces, with the old names of weight norm, and what belongs to another way of training.
  local map, i = {}, 0
  for name, v in pairs(state) do
    name = name:gsub("parametrizations.weight.original0", "weight_g")
      :gsub("parametrizations.weight.original1", "weight_v")
    i = i + 1
    map[name] = i % 2 == 0 and "b.safetensors" or "a.safetensors";
    (i % 2 == 0 and second or first)[name] = v
  end
  second["project_q.weight"] = core.zeros(2)
  path = write_folder("pieces", CONFIG, { ["a.safetensors"] = first, ["b.safetensors"] = second })
  write_text(path .. "/model.safetensors.index.json", core.json_encode { weight_map = map })
  t.equal(t.distance(tlua.models.from_folder { path = path, mask_time = 0.1 }:eval()(x), net(x)), 0)
  t.equal(tlua.models.from_folder { path = path, classes = 3 }:eval()(x):shape(3), 3)
end)

t.test("folders that cannot be read say why", function()
  local open = tlua.models.from_folder
  t.fails("the folder is missing", open, {})
  t.fails("nothing/config.json is not there", open, folder .. "/nothing")
  local other = write_folder("other", { model_type = "mamba" }, {})
  t.fails("networks of the model_type mamba are not known here", open, other)
  t.fails("has no model.safetensors or pytorch_model.bin", open, write_folder("empty", CONFIG, {}))
  local path = write_folder("odd", { model_type = "wav2vec2", hidden_act = "relu" }, {})
  t.fails("hidden_act = relu is not known here, only gelu", open, path)
  path = write_folder("size", { model_type = "wav2vec2", hidden_size = "big" }, {})
  t.fails("hidden_size must be an integer", open, path)
  path = write_folder("index", CONFIG, {})
  write_text(path .. "/model.safetensors.index.json", '{"weight_map": {"a": "../../etc/passwd"}}')
  t.fails("weight_map", open, path)
end)

t.finish()
