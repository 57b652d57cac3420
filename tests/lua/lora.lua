-- lora.lua - adapters of low rank: PEFT's folders read (tests/golden/make_lora.py), written and read again, merged;
-- recipes that train them, resume to the same bits, and what is refused. Run by `tlua tests/lua/lora.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local nn, ops = tlua.nn, core.ops

local LORA, TEXT = "tests/golden/lora/", "tests/golden/text/"
local FAMILY = { attention = "bert", all = "bert", tables = "roberta", patterns = "distilbert",
  transposed = "gpt2" }
local LABELS = core.tensor({ 0, 2, 1 }, { dtype = "int32" })

local function opened(family)
  return tlua.models.from_folder { path = TEXT .. family, dropout = 0, attention_dropout = 0, classifier_dropout = 0,
    embedding_dropout = family == "gpt2" and 0 or nil }
end

local function input_of(family)
  local g = core.load(TEXT .. family .. "/golden.safetensors")
  if family ~= "bert" then return g.ids, g.lengths end
  local n, steps = table.unpack(g.ids:shape())
  return ops.concat(g.ids:reshape(n, steps, 1), g.types:reshape(n, steps, 1), { axis = 3 }), g.lengths
end

local function largest(x) return x:abs():amax():item() end
local function apart(a, b) return largest(a - b) end

-- Values for all adapters, so that they change something.
local function drawn(net, deviation)
  for name, p in net:parameters() do
    if name:find "lora_" then p:copy_(core.normal(p:shape(), 0, deviation or 0.2, name)) end
  end
  return net
end

-- ---- PEFT's folders ----

-- PEFT's name of a gradient -> ours
local function own_name(key)
  return (key:gsub("^grad%.base_model%.model%.", ""):gsub("%.modules_to_save", ""):gsub("%.base_layer", ""))
end

for _, name in ipairs { "attention", "all", "tables", "patterns", "transposed" } do
  local golden = core.load(LORA .. name .. "/golden.safetensors")

  t.test(name .. ": PEFT's folder gives PEFT's logits, gradients, losses and merged logits", function()
    local net = opened(FAMILY[name]):add_lora { from = LORA .. name }
    local x, lengths = input_of(FAMILY[name])
    assert(apart(net(x, lengths), golden.logits) < 2e-6 * largest(golden.logits), "logits")
    local trained, want = {}, {}
    for key, g in pairs(golden) do
      if key:find "^grad%." then trained[#trained + 1], want[own_name(key)] = own_name(key), g end
    end
    net:freeze "*"
    net:unfreeze(trained)
    nn.functional.cross_entropy(net(x, lengths), LABELS):backward()
    local count, most = 0, 0
    for _, g in pairs(want) do most = math.max(most, largest(g)) end
    for path, p in net:parameters() do
      assert((p.grad ~= nil) == (want[path] ~= nil), path)
      if p.grad then
        local scale = (path:find "key.bias" or path:find "k_lin.bias") and most or largest(want[path])
        assert(apart(p.grad, want[path]) <= 2e-5 * scale, path)
        count = count + 1
      end
    end
    assert(count >= 8, "gradients")
    net:zero_grad()
    local sgd = tlua.optim.SGD((net:trained()), { lr = 0.1 })
    for i, loss_wanted in ipairs(golden.losses:tolist()) do
      sgd:zero_grad()
      local loss = nn.functional.cross_entropy(net(x, lengths), LABELS)
      loss:backward()
      sgd:step()
      assert(math.abs(loss:item() - loss_wanted) < 3e-6, "loss " .. i)
    end
    net:eval()
    local before = net(x, lengths)
    net:merge_lora()
    assert(apart(net(x, lengths), before) < 1e-6 * math.max(1, largest(before)), "merged")
    assert(apart(net(x, lengths), golden.merged) < 1e-5 * largest(golden.merged), "merged as PEFT's")
    for path in net:named_tensors() do assert(not path:find "lora", path) end
  end)

  t.test(name .. ": a folder of ours has the tensors of PEFT's, and gives the same bits", function()
    local net, folder = opened(FAMILY[name]):add_lora { from = LORA .. name }, t.folder()
    local theirs, had = core.load(LORA .. name .. "/adapter_model.safetensors"), {}
    for key in pairs(theirs) do
      if key:find "%.modules_to_save%." or key:find "%.original_module%." then theirs[key] = nil end -- biases once more
    end
    for key in pairs(theirs) do
      had[(key:gsub("^base_model%.model%.", ""):gsub("%.base_layer%.", "."))] = true
    end
    net:save_lora(folder, { trained = had })
    local ours = core.load(folder .. "/adapter_model.safetensors")
    for key, want in pairs(theirs) do
      assert(ours[key], key)
      t.equal(apart(ours[key], want), 0.0, key)
    end
    local x, lengths = input_of(FAMILY[name])
    net:eval()
    local again = opened(FAMILY[name]):add_lora { from = folder }
    again:eval()
    t.equal(apart(again(x, lengths), net(x, lengths)), 0.0)
    local a = core.json_decode(core.read_file(folder .. "/adapter_config.json"))
    local b = core.json_decode(core.read_file(LORA .. name .. "/adapter_config.json"))
    for _, key in ipairs { "r", "lora_alpha", "use_rslora", "bias", "peft_type" } do t.equal(a[key], b[key], key) end
  end)
end

-- ---- adding and merging ----

t.test("a fresh adapter changes nothing, and is drawn as PEFT draws it", function()
  local net, x, lengths = opened "bert", input_of "bert"
  net:eval()
  local before = net(x, lengths)
  net:add_lora { on = "*.query,*.word_embeddings", rank = 4, alpha = 8 }
  t.equal(apart(net(x, lengths), before), 0.0)
  local query = net:find "bert.encoder.layer.0.attention.self.query"
  local a = query.lora_A.weight
  local most = largest(a)
  assert(most <= 1 / math.sqrt(16) and most > 0.9 / math.sqrt(16), "A is uniform in +-1/sqrt(in)")
  t.equal(largest(query.lora_B.weight), 0.0)
  local words = net:find "bert.embeddings.word_embeddings"
  t.equal(largest(words.lora_embedding_A), 0.0)
  assert(largest(words.lora_embedding_B) > 1, "B is normal")
  t.equal(table.concat(words.lora_embedding_A:shape(), " "), "4 50")
  local all, trained = net:count()
  t.equal(trained, 2 * 2 * 4 * 16 + 4 * (50 + 16) + 3 * 16 + 3, "adapters and the head")
  assert(all > trained)
end)

t.test("scales: alpha / rank, of rsLoRA alpha / sqrt(rank)", function()
  for _, rs in ipairs { false, true } do
    local net = nn.Sequential(nn.Linear(3, 2))
    net:add_lora { on = "0", rank = 4, alpha = 6, rs = rs }
    drawn(net)
    local layer, x = net:find "0", core.randn(5, 3)
    local low = x:matmul(layer.lora_A.weight:transpose()):matmul(layer.lora_B.weight:transpose())
    local want = x:matmul(layer.weight:transpose()) + layer.bias + low * (rs and 3 or 1.5)
    assert(t.distance(net(x), want) < 1e-6)
  end
end)

t.test("dropout is the adapter's alone, and none in inference", function()
  local net = nn.Sequential(nn.Linear(64, 8))
  net:add_lora { on = "0", rank = 4, dropout = 0.5 }
  local x = core.randn(5, 64)
  local plain = net(x)
  t.equal(apart(net(x), plain), 0.0, "B is 0")
  drawn(net)
  assert(apart(net(x), net(x)) > 0, "two draws")
  net:eval()
  t.equal(apart(net(x), net(x)), 0.0)
end)

t.test("a layer with an activation behind it", function()
  local net = tlua.models.vit_small_patch16_224 { image_size = 32, classes = 3 }
  net:add_lora { on = "*.fc1,*.qkv", rank = 2 }
  drawn(net, 0.05)
  net:eval()
  local x = core.randn(2, 32, 32, 3)
  local before = net(x)
  net:merge_lora()
  assert(t.distance(net(x), before) < 3e-6)
  t.fails("merge_lora: vit_small_patch16_224 has no adapters", net.merge_lora, net)
end)

-- ---- what is refused ----

t.test("globs and options that mean nothing are one line", function()
  local function refused(pattern, options) t.fails(pattern, function() opened "bert":add_lora(options) end) end
  refused("no layer of bert matches 'query'; did you mean '*.query'?", { on = "query" })
  refused("'classifier' is the head, which is trained as a whole", { on = "classifier" })
  refused("'*.LayerNorm' is nn.LayerNorm(16), bert.embeddings.LayerNorm, which cannot have an adapter",
    { on = "*.LayerNorm" })
  refused("'*.query.weight' matches parameters; layers are named without .weight", { on = "*.query.weight" })
  refused("rank must be from 1 to 65536, not 0", { on = "*.query", rank = 0 })
  refused("alpha must be above 0", { on = "*.query", alpha = 0 })
  refused("PEFT's r is called rank here", { on = "*.query", r = 8 })
  refused("there is no modules_to_save: the recipe's `train`", { on = "*.query", modules_to_save = {} })
  refused("on is missing", { rank = 4 })
  refused("from and rank: the folder says", { from = LORA .. "all", rank = 4 })
  refused("nothing of bert is left to have an adapter", { on = { "*", "!*" } })
  local net = opened "bert":add_lora { on = "*.query" }
  t.fails("bert has adapters already", net.add_lora, net, { on = "*.key" })
  local conv = nn.Sequential(nn.Conv2d(3, 4, 3))
  t.fails("has no nn.Linear and no nn.Embedding below its head", conv.add_lora, conv, { on = "*" })
  t.fails("save_lora: bert has no adapters", function() opened "bert":save_lora(t.folder()) end)
end)

local function folder_with(config, tensors)
  local folder = t.folder()
  core.write_file(folder .. "/adapter_config.json", config)
  if tensors then core.save(folder .. "/adapter_model.safetensors", tensors, {}) end
  return folder
end

t.test("folders that cannot be taken are one line", function()
  local layer = "base_model.model.bert.encoder.layer.0.attention.self.query."
  local fine = { [layer .. "lora_A.weight"] = core.zeros(2, 16), [layer .. "lora_B.weight"] = core.zeros(16, 2) }
  local function with(name, value)
    local out = {}
    for key, v in pairs(fine) do out[key] = v end
    out[name] = value
    return out
  end
  local function refused(pattern, config, tensors)
    t.fails(pattern, function() opened "bert":add_lora { from = folder_with(config, tensors) } end)
  end
  local LINE = '{"peft_type":"LORA","r":2,"lora_alpha":4%s}'
  local plain = LINE:format ""
  opened "bert":add_lora { from = folder_with(plain, fine) }
  refused("is damaged: it is not JSON", "{", fine)
  refused("adapters of the peft_type LOHA are not known here", '{"peft_type":"LOHA"}', fine)
  refused("use_dora is not known here", LINE:format ',"use_dora":true', fine)
  refused("init_lora_weights = pissa has changed the base's weights", LINE:format ',"init_lora_weights":"pissa"', fine)
  refused("'.*query' is a regular expression", LINE:format ',"alpha_pattern":{".*query":3}', fine)
  refused("adapter_model.safetensors", plain, nil)
  refused("holds no adapters", plain, { ["base_model.model.classifier.weight"] = core.zeros(3, 16) })
  refused("and bert has no such layer", plain, with("base_model.model.h.0.c_attn.lora_A.weight", core.zeros(2, 16)))
  refused("do not fit nn.Linear(16 -> 16)", plain, with(layer .. "lora_B.weight", core.zeros(16, 3)))
  refused("do not fit nn.Linear(16 -> 16)", plain, { [layer .. "lora_A.weight"] = core.zeros(2, 16) })
  refused("which bert has not", plain, with("base_model.model.bert.other.weight", core.zeros(3)))
  refused("lora_magnitude_vector", plain, with(layer .. "lora_magnitude_vector", core.zeros(3)))
end)

t.test("the table of a vocabulary that was resized is kept with the adapters", function()
  local function larger() return tlua.models.from_folder { path = TEXT .. "bert", vocabulary = 53 } end
  local folder, x, lengths = t.folder(), input_of "bert"
  core.manual_seed(7)
  local net = larger():add_lora { on = "*.query" }
  drawn(net):save_lora(folder)
  local config = core.json_decode(core.read_file(folder .. "/adapter_config.json"))
  t.equal(config.bias, "none")
  core.manual_seed(8)
  local other = larger():add_lora { from = folder }
  t.equal(largest(other:words() - net:words()), 0.0)
  net:eval()
  other:eval()
  t.equal(apart(net(x, lengths), other(x, lengths)), 0.0)
  t.fails("bert: an adapter stands beside the table of words", function()
    larger():add_lora({ on = "*.word_embeddings" }):resize_vocabulary(60)
  end)
  t.fails("is (53, 16), and bert.embeddings.word_embeddings.weight of bert is (50, 16)", function()
    opened "bert":add_lora { from = folder }
  end)
end)

t.test("a head of another size is left aside", function()
  local net = tlua.models.from_folder { path = TEXT .. "bert", classes = 5 }
  net:add_lora { from = LORA .. "attention" }
  t.equal(net:find("classifier").out_features, 5)
  t.equal(net:find("bert.encoder.layer.1.attention.self.value").lora.rank, 4)
end)

-- ---- recipes ----

local pictures = dofile "tests/lua/run_pictures.lua"
local resumed = dofile "tests/lua/run_resumed.lua"
local model_file = require "tlua.weights.model_file"
local folder = t.folder()
pictures.cifar(folder .. "/cifar", 20)

local function recipe_of(name, changes)
  local fields = { model = tlua.models.deit_tiny_patch16_224 { image_size = 32 }, head = nn.Linear(10),
    lora = { on = "blocks.11.attn.*,blocks.10.mlp.fc1", rank = 4, alpha = 8, dropout = 0.2 },
    data = tlua.data.cifar10 { root = folder .. "/cifar", size = 32, batch = 4 },
    optim = tlua.optim.Adam { lr = 1e-2 }, ema = 0.9, schedule = { epochs = 2 }, out = folder .. "/" .. name,
    cache = { folder = folder .. "/features" } }
  for key, value in pairs(changes or {}) do fields[key] = value end
  return tlua.recipe(fields)
end

local run, hashes = resumed.run, resumed.hashes

local function says(text, part) assert(text:find(part, 1, true), ("no %q in:\n%s"):format(part, text)) end

-- A run whose checkpoint in the middle of its second epoch is kept in another folder.
local function run_with_middle(name, changes)
  local more = { checkpoint = 1e-5 }
  for key, value in pairs(changes or {}) do more[key] = value end
  local result, text = resumed.with_middle(folder .. "/" .. name .. "-middle", 2, run, recipe_of(name, more))
  return result, text, more
end

t.test("a run: the base stays, features are kept below the lowest adapter, it resumes to the same bits", function()
  local result, text, more = run_with_middle "run"
  says(text, "lora      rank 4, alpha 8, dropout 0.2 on 3 layers, 8,448 parameters")
  says(text, "cache     after blocks.9")
  says(text, "frozen    the base; 10,378 of 5,497,930 parameters are trained")
  says(text, "tensors unchanged")
  says(text, "model.safetensors, adapter, ")
  more.out = folder .. "/run-middle"
  local again, said = run(recipe_of("run-middle", more), { resume = folder .. "/run-middle" })
  says(said, "resumed")
  t.equal(hashes(folder .. "/run-middle"), hashes(folder .. "/run"))
  t.equal(again.epochs[2].loss, result.epochs[2].loss)
  local b = result.model:find "blocks.11.attn.qkv".lora_B.weight
  assert(largest(b) > 0, "the adapter was trained")
end)

local function answers(net)
  net:eval()
  local guard <close> = core.no_grad()
  core.manual_seed(5)
  return net(core.randn(3, 32, 32, 3))
end

t.test("its model file, its folder and weights = RUN give the same answers", function()
  local out = folder .. "/run"
  local net, info = model_file.load(out)
  t.equal(#info.lora.layers, 3)
  local want = answers(net)
  local base = tlua.models.deit_tiny_patch16_224 { image_size = 32, classes = 10 }
  base:load(out .. "/model.safetensors") -- adapters become part of the weights
  for path in base:named_tensors() do assert(not path:find "lora") end
  assert(t.distance(answers(base), want) < 2e-6)
  -- The base as it was before, with the run's folder.
  core.manual_seed(0)
  local fresh = tlua.models.deit_tiny_patch16_224 { image_size = 32 }
  fresh:ready()
  fresh:set_head(nn.Linear(10))
  fresh:add_lora { from = out .. "/adapter" }
  t.equal(apart(answers(fresh), want), 0.0)
  local size = core.file_size(out .. "/adapter/adapter_model.safetensors")
  assert(size < 60000, size)
  net:merge_lora()
  assert(t.distance(answers(net), want) < 2e-6)
end)

t.test("tlua params, predict and export know a run with adapters", function()
  local out = folder .. "/run"
  local status, text, err = t.run("./tlua params " .. out .. " 'blocks.11.attn.qkv.*'")
  assert(status == 0, err)
  says(text, "blocks.11.attn.qkv.lora_A.weight  (4, 192)")
  status, text, err = t.run(("./tlua export %s --to %s/merged.safetensors --merge"):format(out, folder))
  assert(status == 0, text .. err)
  local net, info = model_file.load(folder .. "/merged.safetensors")
  assert(info.lora == nil)
  assert(t.distance(answers(net), answers((model_file.load(out)))) < 2e-6)
  status, text, err = t.run(("./tlua export %s/merged.safetensors --to %s/x.safetensors --merge"):format(folder,
    folder))
  assert(status == 1 and err:find("--merge: deit_tiny_patch16_224 has no adapters", 1, true), text .. err)
end)

t.test("stages: freeze holds adapters where it says lora_, train names what is trained beside them", function()
  local net = recipe_of("stages", { train = "norm.*",
    schedule = { { epochs = 1, freeze = "*.lora_*" }, { epochs = 1 } } }):build().model
  local names = table.concat((select(2, net:trained())), " ")
  t.equal(names, "head.weight head.bias")
  local _, text = run(recipe_of("stages", { train = "norm.*",
    schedule = { { epochs = 1, freeze = "*.lora_*" }, { epochs = 1 } } }))
  says(text, "cache     after norm")
  says(text, "frozen    the base and *.lora_*; ")
  says(text, "frozen    the base, but norm.*; ")
  says(text, "cache     after blocks.9")
  local config = core.json_decode(core.read_file(folder .. "/stages/adapter/adapter_config.json"))
  t.equal(table.concat(config.modules_to_save, " "), "norm head")
  t.equal(table.concat(config.target_modules, " "), "blocks.10.mlp.fc1 blocks.11.attn.qkv blocks.11.attn.proj")
end)

t.test("an encoder of texts, whose table has an adapter and is held in halves", function()
  local words = { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "plot", "was", "the" }
  core.write_file(folder .. "/vocab.txt", table.concat(words, "\n") .. "\n")
  local lines = { "text\tlabel" }
  for i = 1, 40 do
    local what, how = i % 3 == 0 and "film" or "plot", i % 2 == 0 and "good" or "bad"
    lines[#lines + 1] = ("the %s was %s\t%d"):format(what, how, i % 2)
  end
  core.write_file(folder .. "/texts.tsv", table.concat(lines, "\n") .. "\n")
  local function texts(name, changes)
    local more = { frozen = "float16", cache = false, head = nn.Linear(2),
      model = tlua.models.bert { width = 32, layers = 2, heads = 2, inner = 48, vocabulary = 11, positions = 16 },
      data = tlua.data.texts { path = folder .. "/texts.tsv", tokenizer = folder .. "/vocab.txt", batch = 8 },
      lora = { on = "*.query,*.value,*.word_embeddings", rank = 4, rs = true, dropout = 0.1 } }
    for key, value in pairs(changes or {}) do more[key] = value end
    return recipe_of(name, more)
  end
  local first = run(texts "texts")
  t.equal(first.model:words():dtype(), "float16")
  assert(largest(first.model:find("bert.embeddings.word_embeddings").lora_embedding_A) > 0)
  local config = core.json_decode(core.read_file(folder .. "/texts/adapter/adapter_config.json"))
  t.equal(config.task_type, "SEQ_CLS")
  t.equal(table.concat(config.modules_to_save, " "), "classifier")
  -- Its folder and its base, once more, without a step: the same answers.
  local again = texts("texts-from", { frozen = "float32", lora = { from = folder .. "/texts/adapter" } }):build().model
  local net = model_file.load(folder .. "/texts")
  local ids = core.tensor({ { 2, 10, 7, 9, 5, 3 }, { 2, 10, 8, 9, 6, 3 } }, { dtype = "int32" })
  again:eval()
  local guard <close> = core.no_grad()
  assert(t.distance(again(ids), net(ids)) < 2e-3) -- its base is not rounded
  local status, out, err = t.run(("./tlua predict %s/texts 'the film was good' --json"):format(folder))
  assert(status == 0, out .. err)
  t.fails("tells words too, where an adapter would not count", function()
    tlua.models.bert { width = 32, layers = 1, heads = 2, inner = 48, gives = "vocabulary" }
      :add_lora { on = "*.word_embeddings" }
  end)
end)

t.test("recipes that make no sense are one line", function()
  local function refused(pattern, changes) t.fails(pattern, function() recipe_of("refused", changes):build() end) end
  refused("recipe: lora: on: no layer of deit_tiny_patch16_224 matches '*.query'", { lora = { on = "*.query" } })
  refused("recipe: train names blocks.10.mlp.fc1.weight, beside which an adapter stands", { train = "*" })
  refused("recipe: lora: freeze holds every adapter still in every stage", { freeze = "*.lora_*" })
  t.fails("recipe: lora must be like", function() recipe_of("refused", { lora = 3 }) end)
  t.fails("--lora.rank: the recipe has no adapters: --lora.on GLOBS", function()
    local fields = recipe_of "refused"
    fields.lora = require("tlua.nn.lora").none()
    fields:override { { "lora.rank", "3" } }
  end)
  t.fails("--lora.rank: the folder of --lora.from says it", function()
    recipe_of("refused"):override { { "lora.from", "x" }, { "lora.rank", "3" } }
  end)
  local r = recipe_of("refused"):override { { "lora.on", "blocks.3.mlp.*" }, { "lora_r", "2" } }
  t.equal(r.lora.on[1], "blocks.3.mlp.*")
  t.equal(r.lora.rank, 2)
end)

t.finish()
