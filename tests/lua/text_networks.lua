-- text_networks.lua - encoders of text out of folders as transformers lays them out (tests/golden/make_text.py):
-- logits, gradients and ten losses as theirs, of every family and whatever it gives; plans, heads, files, and what is
-- refused.
-- Run by `tlua tests/lua/text_networks.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local plan = require "tlua.plan"
local nn, ops = tlua.nn, core.ops

local FOLDER = "tests/golden/text/"
local FAMILIES = { "bert", "roberta", "electra", "distilbert", "gpt2" }
local LABELS, BEGINS, ENDS = { 0, 2, 1 }, { 1, 0, 2 }, { 4, 5, 2 }
-- What is given, under which name of a head, and how many numbers a row then has.
local FORMS = { vector = { "vector", nil, 3 }, frames = { "frames", nil, 3 }, spans = { "frames", "qa_outputs", 2 },
  vocabulary = { "vocabulary", nil, 50 } }
local ORDER = { "vector", "frames", "spans", "vocabulary" }

local goldens = {}
local function golden_of(family)
  goldens[family] = goldens[family] or core.load(FOLDER .. family .. "/golden.safetensors")
  return goldens[family]
end

local function described(family, form, more)
  local what, head, outputs = table.unpack(FORMS[form], 1, 3)
  local options = { path = FOLDER .. family, dropout = 0, attention_dropout = 0, classifier_dropout = 0 }
  if family == "gpt2" then options.embedding_dropout = 0 end
  if form ~= "vocabulary" then options.classes = outputs end
  for key, value in pairs(more or {}) do options[key] = value end
  return tlua.models.from_folder(options):give(what, head)
end
local function opened(...)
  local net = described(...)
  net:ready()
  return net
end

-- Numbers, with their types where the family has types.
local function input_of(family, golden)
  if family ~= "bert" and family ~= "electra" then return golden.ids end
  local n, steps = table.unpack(golden.ids:shape())
  return ops.concat(golden.ids:reshape(n, steps, 1), golden.types:reshape(n, steps, 1), { axis = 3 })
end

local function largest(x) return x:abs():amax():item() end
local function ints(list) return core.tensor(list, { dtype = "int32" }) end

-- Logits of a form, and the golden's with the rows of padding taken out of both.
local function logits_of(net, form, x, lengths)
  local y = net(x, lengths)
  return form == "vocabulary" and net:vocabulary(y) or y
end

local function mask_of(golden) -- (3, 10, 1): 1 where a piece counts
  local rows = {}
  for i, n in ipairs(golden.lengths:tolist()) do
    rows[i] = {}
    for k = 1, 10 do rows[i][k] = { k <= n and 1 or 0 } end
  end
  return core.tensor(rows)
end

local function loss_of(form, out, golden)
  if form == "vector" then return nn.functional.cross_entropy(out, ints(LABELS)) end
  if form ~= "spans" then return ops.cross_entropy(out, golden[form .. ".marks"]) end
  local seen = out + (mask_of(golden) - 1) * 1e9
  local function side(k, at)
    return ops.cross_entropy(ops.slice(seen, 3, k, 1):reshape { 3, 10 }, ints(at))
  end
  return (side(0, BEGINS) + side(1, ENDS)) * 0.5
end

for _, family in ipairs(FAMILIES) do
  for _, form in ipairs(ORDER) do
    local what = ("%s, %s: "):format(family, form)

    t.test(what .. "logits and gradients", function()
      local net, golden = opened(family, form), golden_of(family)
      net:train()
      local out, left = net(input_of(family, golden), golden.lengths)
      t.equal(net.gives == "vector" and left == nil or left:tolist()[3], net.gives == "vector" or 3, "lengths")
      if form == "vocabulary" then out = net:vocabulary(out) end
      local want, apart = golden[form .. ".logits"], out - golden[form .. ".logits"]
      if form ~= "vector" then apart = apart * mask_of(golden) end
      assert(largest(apart) < 2e-6 * largest(want), "logits")
      if form == "spans" then return end -- its gradients are those of "frames"
      loss_of(form, out, golden):backward()
      local most, count, prefix = 0, 0, form .. ".grad."
      for path in net:parameters() do most = math.max(most, largest(golden[prefix .. path])) end
      for path, p in net:parameters() do
        local gradient = golden[prefix .. path]
        -- A bias of keys moves all scores of a query alike: its gradient is rounding, and held against the others'.
        local scale = (path:find "key.bias" or path:find "k_lin.bias") and most or largest(gradient)
        assert(largest(p.grad - gradient) <= 1e-5 * scale, path)
        count = count + 1
      end
      for name in pairs(golden) do count = count - (name:sub(1, #prefix) == prefix and 1 or 0) end
      t.equal(count, 0, "parameters that are not theirs")
    end)

    t.test(what .. "ten losses", function()
      local net, golden, params = opened(family, form), golden_of(family), {}
      for _, p in net:parameters() do params[#params + 1] = p end
      local adam = tlua.optim.AdamW(params, { lr = 0.01, weight_decay = 0.01 })
      local want, x = golden[form .. ".losses"]:tolist(), input_of(family, golden)
      for i = 1, 10 do
        adam:zero_grad()
        local loss = loss_of(form, logits_of(net, form, x, golden.lengths), golden)
        loss:backward()
        adam:step()
        assert(math.abs(loss:item() - want[i]) < 5e-6, ("loss %d: %.7g, not %.7g"):format(i, loss:item(), want[i]))
      end
    end)

    t.test(what .. "frozen, as a plan, in batches of any length", function()
      local net, golden = opened(family, form), golden_of(family)
      net:eval()
      local guard <close> = core.no_grad()
      local x, want = input_of(family, golden), golden[form .. ".logits"]
      local apart = logits_of(net, form, x, golden.lengths) - want
      if form ~= "vector" then apart = apart * mask_of(golden) end
      assert(largest(apart) < 2e-6 * largest(want), "the plan")
      local name = ("below %d with lengths"):format(net:stage_count())
      assert(plan.of(net, name), "there is no plan")
      assert(net._plans[name].open, "the plan is of one length")
      -- The second text alone, without padding.
      local alone, row = ops.slice(ops.slice(x, 1, 1, 1), 2, 0, 6), ops.slice(want, 1, 1, 1)
      if form ~= "vector" then row = ops.slice(row, 2, 0, 6) end
      assert(largest(logits_of(net, form, alone) - row) < 5e-6 * largest(want), "alone")
      assert(largest(logits_of(net, form, alone, ints { 6 }) - row) < 5e-6 * largest(want))
    end)
  end
end

-- The loss, all gradients, and how many rows of pieces the layers of a network saw.
local function trained(family, form, more, packs)
  local net, golden = opened(family, form, more), golden_of(family)
  local rows = {}
  rawset(net, "packs", packs)
  net:train()
  core.manual_seed(5)
  core.random_step(1)
  local layers = net:find(family == "gpt2" and "transformer.h" or net.family.body .. "." .. net.family.layers)
  require("tlua.nn.module").watching = function(m, y)
    if m == layers:at(1) then rows[1] = table.concat(y:shape(), " ") end
  end
  local loss = loss_of(form, logits_of(net, form, input_of(family, golden), golden.lengths), golden)
  require("tlua.nn.module").watching = nil
  loss:backward()
  return loss:item(), net, rows[1]
end

t.test("what is trained computes nothing for padding, and gives what it gave with it", function()
  for _, family in ipairs { "bert", "gpt2" } do
    for _, form in ipairs { "vector", "frames" } do
      local a, packed, rows = trained(family, form, nil, true)
      local b, padded, all = trained(family, form, nil, false)
      t.equal(rows, "19 16")
      t.equal(all, "3 10 16")
      assert(math.abs(a - b) < 1e-6, form)
      local other = {}
      for path, p in padded:parameters() do other[path] = p.grad end
      for path, p in packed:parameters() do
        assert(largest(p.grad - other[path]) < 1e-6 + 1e-5 * largest(other[path]), path)
      end
    end
  end
end)

t.test("without padding the same seed draws the same, and so does what backward makes again", function()
  for _, family in ipairs { "bert", "gpt2" } do
    local dropped = { dropout = 0.3, attention_dropout = 0.2 }
    local a, first = trained(family, "vector", dropped, true)
    local b, second = trained(family, "vector", dropped, true)
    local c, third = trained(family, "vector", { dropout = 0.3, attention_dropout = 0.2 }, true)
    t.equal(a, b)
    t.equal(a, c)
    require("tlua.recompute").mark(third, true)
    third:zero_grad()
    core.manual_seed(5)
    core.random_step(1)
    local golden = golden_of(family)
    loss_of("vector", third(input_of(family, golden), golden.lengths), golden):backward()
    for path, p in first:parameters() do
      t.equal(p.grad:hash(), second:find(path:match "^(.*)%.")._tensors[path:match "[^.]+$"].grad:hash(), path)
      t.equal(p.grad:hash(), third:find(path:match "^(.*)%.")._tensors[path:match "[^.]+$"].grad:hash(), path)
    end
  end
end)

t.test("the mean over pieces leaves padding out", function()
  local golden = golden_of "bert"
  local net = tlua.models.bert { vocabulary = 50, positions = 20, width = 16, layers = 2, heads = 2, inner = 24,
    pool = "mean", dropout = 0, attention_dropout = 0 }
  net:ready()
  net:eval()
  local guard <close> = core.no_grad()
  local both = net:features(golden.ids, golden.lengths)
  local alone = net:features(ops.slice(ops.slice(golden.ids, 1, 2, 1), 2, 0, 3))
  assert(largest(ops.slice(both, 1, 2, 1) - alone) < 1e-5)
  local first = tlua.models.bert { vocabulary = 50, positions = 20, width = 16, layers = 2, heads = 2, inner = 24,
    pool = "first", dropout = 0, attention_dropout = 0 }
  first:ready()
  t.equal(table.concat(first:features(golden.ids, golden.lengths):shape(), " "), "3 16")
end)

t.test("what is given changes, before and after the file was read", function()
  local golden = golden_of "bert"
  local net = opened("bert", "vector")
  local guard <close> = core.no_grad()
  net:eval()
  local function near(form, y) return largest((y - golden[form .. ".logits"]) * mask_of(golden)) < 1e-5 end
  net:give "vocabulary"
  t.equal(net.head_name, "cls.predictions")
  assert(near("vocabulary", net:vocabulary((net(input_of("bert", golden), golden.lengths)))), "its words")
  net:give "frames"
  assert(near("frames", (net(input_of("bert", golden), golden.lengths))), "its pieces")
  t.equal(net.head_name, "classifier")
  assert(not net:find "cls" and not net:find "bert.pooler", "modules of other heads are left")
  net:give "vector"
  assert(largest(net(input_of("bert", golden), golden.lengths) - golden["vector.logits"]) < 1e-5, "its rows")
end)

t.test("the table of words is one parameter, frozen with the encoder", function()
  for _, family in ipairs(FAMILIES) do
    local net, golden, tables = opened(family, "vocabulary"), golden_of(family), 0
    for path, p in net:parameters() do
      if p:shape(1) == 50 and p:rank() == 2 then tables = tables + 1 end
      assert(not path:find "decoder" and path ~= "lm_head.weight", path)
    end
    t.equal(tables, 1, family)
    net:freeze(net.family.body .. ".*")
    net:train()
    local rows = net(input_of(family, golden), golden.lengths)
    assert(not rows:requires_grad(), "the encoder is frozen")
    local logits = net:vocabulary(rows)
    if not net.family.words.dense then assert(not logits:requires_grad()) else
      logits:sum():backward()
      for path, p in net:parameters() do
        t.equal(p.grad ~= nil, path:sub(1, #net.family.body) ~= net.family.body, path)
      end
    end
    net:unfreeze() -- the table alone gets a gradient from the words
    net:freeze { "*", "!*." .. net.family.tables .. ".*" }
    net:vocabulary((net(input_of(family, golden), golden.lengths))):sum():backward()
    assert(net:words().grad, "no gradient of the table")
  end
end)

-- A folder of its own, with the files of FOLDER/family where `change` gives no others.
local function folder_of(family, change)
  local path = t.folder()
  local config = core.json_decode(core.read_file(FOLDER .. family .. "/config.json"))
  local tensors = core.load(FOLDER .. family .. (family == "electra" and "/pytorch_model.bin" or "/model.safetensors"))
  change(path, config, tensors)
  core.write_file(path .. "/config.json", core.json_encode(config))
  return path
end

t.test("XLM-R and CamemBERT are RoBERTa, KoELECTRA's config is read as it was published", function()
  local golden = golden_of "roberta"
  local guard <close> = core.no_grad()
  for _, kind in ipairs { "xlm-roberta", "camembert" } do
    local path = folder_of("roberta", function(path, config, tensors)
      config.model_type, config.architectures = kind, nil
      core.save(path .. "/model.safetensors", tensors)
    end)
    local net = tlua.models.from_folder { path = path }
    net:eval()
    assert(largest(net(golden.ids, golden.lengths) - golden["vector.logits"]) < 1e-5, kind)
  end
  local path = folder_of("electra", function(path, config, tensors)
    for key in pairs(config) do config[key] = nil end
    for key, value in pairs { architectures = { "ElectraForPreTraining" }, attention_probs_dropout_prob = 0.1,
      embedding_size = 8, hidden_act = "gelu", hidden_dropout_prob = 0.1, hidden_size = 16, initializer_range = 0.02,
      intermediate_size = 24, layer_norm_eps = 1e-12, max_position_embeddings = 20, model_type = "electra",
      num_attention_heads = 2, num_hidden_layers = 2, pad_token_id = 0, summary_activation = "gelu",
      summary_last_dropout = 0.1, summary_type = "first", summary_use_proj = true, type_vocab_size = 2,
      vocab_size = 50 } do config[key] = value end
    local own = {}
    for name, each in pairs(tensors) do own[name] = name:find "^electra" and each or nil end
    own["discriminator_predictions.dense.weight"] = core.zeros(16, 16)
    own["electra.embeddings.position_ids"] = core.zeros({ 1, 20 }, { dtype = "int32" })
    core.save(path .. "/model.safetensors", own)
  end)
  local net = tlua.models.from_folder { path = path, classes = 3 }
  net:ready()
  t.equal(table.concat(net.weights_report.drawn, " "), "classifier.dense.weight classifier.dense.bias")
  t.equal(table.concat(net.weights_report.aside, " "), "discriminator_predictions.dense.weight")
  t.equal(net.weights_report.head_dropped, "classifier.out_proj")
  golden = golden_of "electra"
  net:give "vocabulary":eval()
  t.equal(table.concat(net(input_of("electra", golden), golden.lengths):shape(), " "), "3 10 16")
end)

t.test("names of older files, without the body", function()
  local golden, guard <close> = golden_of "gpt2", core.no_grad()
  local path = folder_of("gpt2", function(path, _, tensors)
    local old = {}
    for name, each in pairs(tensors) do old[name:gsub("^transformer%.", "")] = each end
    old["h.0.attn.bias"], old["h.1.attn.masked_bias"] = core.zeros(1, 1, 20, 20), core.zeros(1)
    core.save(path .. "/model.safetensors", old)
  end)
  local net = tlua.models.from_folder { path = path }
  net:eval()
  assert(largest(net(golden.ids, golden.lengths) - golden["vector.logits"]) < 1e-5)
  t.equal(#net.weights_report.unexpected, 0)
end)

t.test("files in halves are read as float32 with the values that they hold", function()
  for family, dtype in pairs { roberta = "float16", gpt2 = "bfloat16" } do
    local golden, guard <close> = golden_of(family), core.no_grad()
    local function logits(change)
      local path = folder_of(family, function(path, _, tensors)
        for name, each in pairs(tensors) do tensors[name] = change(each) end
        core.save(path .. "/model.safetensors", tensors)
      end)
      t.equal(core.entries(path .. "/model.safetensors")[1].dtype, change(core.ones(1)):dtype())
      local net = tlua.models.from_folder { path = path, gives = "vocabulary" }
      net:eval()
      t.equal(net:words():dtype(), "float32")
      return net:vocabulary((net(golden.ids, golden.lengths)))
    end
    local half = logits(function(x) return x:to(dtype) end)
    t.equal(half:hash(), logits(function(x) return x:to(dtype):to "float32" end):hash(), family)
    local apart = largest((half - golden["vocabulary.logits"]) * mask_of(golden)) / largest(half)
    assert(apart > 1e-5 and apart < 0.05, family .. ": " .. apart)
  end
end)

t.test("the vocabulary is resized: rows are kept, new ones are their mean", function()
  for _, family in ipairs(FAMILIES) do
    local golden, guard <close> = golden_of(family), core.no_grad()
    local net = opened(family, "vocabulary", { vocabulary = 53 })
    net:eval()
    local before = opened(family, "vocabulary")
    before:eval()
    local want = before:words():mean { axes = { 1 } }
    local rows = net(input_of(family, golden), golden.lengths)
    local words = net:vocabulary(rows)
    assert(largest((ops.slice(words, 3, 0, 50) - golden["vocabulary.logits"]) * mask_of(golden)) < 2e-5, family)
    t.equal(words:shape(3), 53)
    for _, each in ipairs { 50, 52 } do
      assert(largest(ops.slice(net:words(), 1, each, 1):reshape { -1 } - want) < 1e-6, family)
    end
    net:resize_vocabulary(40)
    assert(largest(net:vocabulary(rows) - ops.slice(words, 3, 0, 40)) == 0, family)
    t.equal(net.classes, 40)
    t.equal(net:state_dict()[net.family.body .. "." .. net.family.tables .. ".weight"]:shape(1), 40)
    before:resize_vocabulary(53)
    assert(largest(before:vocabulary(rows) - words) == 0, "as from the file")
    t.fails("resize_vocabulary: the number of words", before.resize_vocabulary, before, 0)
  end
  local net = described("bert", "vector", { vocabulary = 60 })
  net:resize_vocabulary(55)
  net:ready()
  t.equal(net:words():shape(1), 55)
end)

t.test("a model file of whatever is given opens again to the same bits, and so do its calls alone", function()
  local folder, guard <close> = t.folder(), core.no_grad()
  for _, family in ipairs(FAMILIES) do
    for _, form in ipairs(ORDER) do
      local net, golden, what = opened(family, form), golden_of(family), family .. ", " .. form
      net:eval()
      local options = {}
      for key, value in pairs(net.network_options) do options[key] = value end
      options.classes = net.classes
      local text, why = plan.text(net, net:plan_inputs(), net.output_names, net.open_sizes)
      assert(text, why)
      local path = ("%s/%s_%s.safetensors"):format(folder, family, form)
      core.save(path, net:state_dict(), { format = "pt", ["tlua.plan"] = text, tlua = core.json_encode { format = 1,
        tlua = core.version, model = net.entry.name, options = options, labels = { "a", "b", "c" },
        task = { name = "regress" }, preprocessing = { longest = net:most_pieces(), pad = 0, types = false } } })
      local again = tlua.models.load(path)
      local want = logits_of(net, form, golden.ids, golden.lengths)
      t.equal(logits_of(again, form, golden.ids, golden.lengths):hash(), want:hash(), what)
      t.equal(again.gives .. tostring(again.head_name), net.gives .. tostring(net.head_name), what)
      local graph = nn.Graph { path = path }
      graph:eval()
      local y, left = graph(golden.ids, golden.lengths), nil
      if form ~= "vector" then y, left = table.unpack(y) end
      t.equal(y:hash(), want:hash(), what .. ": its calls")
      t.equal(left and left:hash(), form ~= "vector" and golden.lengths:hash() or nil, what .. ": lengths")
    end
  end
end)

t.test("the network of a run goes on in another task, with its tokenizer", function()
  local folder, golden, guard <close> = t.folder(), golden_of "bert", core.no_grad()
  local net = opened("bert", "vocabulary")
  net:eval()
  local want = net(input_of("bert", golden), golden.lengths)
  local options, tensors = {}, net:state_dict()
  for key, value in pairs(net.network_options) do options[key] = value end
  local json = core.read_file "tests/golden/tokenizers/wordpiece.json"
  tensors["tlua.tokenizer"] = core.pack(json)
  local preprocessing = { longest = 12, pad = 0, types = true }
  core.save(folder .. "/model.safetensors", tensors, { tlua = core.json_encode { format = 1, tlua = core.version,
    model = "bert", options = options, preprocessing = preprocessing } })
  local again = tlua.models.from_folder { path = folder, gives = "frames", classes = 5 }
  t.equal(again.gives .. again.head_name, "framesclassifier")
  t.equal(again:tokenizer().json, json)
  t.equal(again:preprocessing().longest, 12)
  again:eval()
  t.equal(again:features(input_of("bert", golden), golden.lengths):hash(), want:hash())
  t.equal(again.weights_report.head_dropped, "classifier")
  again:give "vocabulary"
  t.equal(again:vocabulary(want):hash(), net:vocabulary(want):hash(), "its words")
  t.fails("config.json is not there, nor the model file of a run", tlua.models.from_folder, t.folder())
end)

t.test("what is refused", function()
  t.fails("3 heads do not share a width of 16", tlua.models.bert, { width = 16, heads = 3 })
  local net = opened("bert", "vector")
  t.fails("a text of 21 pieces, and the network knows 20 places: --data.longest 20", net,
    core.zeros({ 1, 21 }, { dtype = "int32" }))
  t.fails("numbers of pieces (N, T), or with their types (N, T, 2), are needed, not (1, 2, 3)", net,
    core.zeros({ 1, 2, 3 }, { dtype = "int32" }))
  t.fails("unknown word of net:give: 'frame'; did you mean 'frames'?", net.give, net, "frame")
  t.fails('a head is named for "frames" alone, not for "vector"', net.give, net, "vector", "classifier")
  t.fails("unknown head of net:give: 'qa_output'; did you mean 'qa_outputs'?", net.give, net, "frames", "qa_output")
  t.fails('bert gives vector: net:give "vocabulary" makes it one that tells words', net.vocabulary, net,
    core.zeros(1, 16))
  net:give "vocabulary"
  t.fails("bert gives rows for its table of words, which has the network's own head: name none", net.set_head, net,
    nn.Linear(3))
  t.fails("gpt2: numbers of pieces (N, T) are needed: it has no types of pieces", opened("gpt2", "vector"),
    core.zeros({ 1, 2, 2 }, { dtype = "int32" }))
end)

t.test("a frozen part drops nothing in training", function()
  for _, family in ipairs { "bert", "gpt2" } do
    local net = tlua.models.from_folder { path = FOLDER .. family, dropout = 0.5 }
    net:freeze { "*", "!" .. net.head_name .. ".*" }
    net:train()
    t.equal(net:fixed_stages(), net:stage_count())
    local ids = core.load(FOLDER .. family .. "/golden.safetensors").ids
    t.equal(largest(net:features(ids) - net:features(ids)), 0.0, family)
    net:unfreeze "*"
    assert(largest(net:features(ids) - net:features(ids)) > 0.1, family)
  end
end)

t.finish()
