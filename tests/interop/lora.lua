-- lora.lua - folders of adapters for PEFT, on the encoders of tests/golden/text, with the logits that they give: read
-- by tests/interop/lora.py. Run by hand: tlua tests/interop/lora.lua FOLDER
local tlua = require "tlua"
local core = require "tlua.core"
local TEXT, out = "tests/golden/text/", arg[1]

local CASES = {
  { "bert", "bert", { on = "*.query,*.value", rank = 4, alpha = 8 }, task = "SEQ_CLS" },
  { "bert_all", "bert", { on = "*", rank = 3, alpha = 6, rs = true }, train = { "*.LayerNorm.*" } },
  { "roberta", "roberta", { on = "*.word_embeddings,*.position_embeddings,*.key", rank = 2, alpha = 3 },
    task = "SEQ_CLS" },
  { "electra", "electra", { on = "*.query,*.dense", rank = 4 }, task = "SEQ_CLS" },
  { "roberta_pieces", "roberta", { on = "*.query", rank = 2 }, task = "TOKEN_CLS", gives = "frames" },
  { "electra_spans", "electra", { on = "*.key", rank = 2 }, task = "QUESTION_ANS", gives = "frames",
    head = "qa_outputs" },
  { "gpt2", "gpt2", { on = "*.c_attn,*.c_fc,*.wpe", rank = 2 }, task = "SEQ_CLS" },
  { "gpt2_words", "gpt2", { on = "*.c_proj", rank = 2 }, task = "CAUSAL_LM", gives = "vocabulary" },
  { "bert_words", "bert", { on = "*.query", rank = 2 }, gives = "vocabulary" },
  { "distilbert", "distilbert", { on = "*_lin", rank = 4 }, train = { "*.bias" }, task = "SEQ_CLS" },
}

for _, case in ipairs(CASES) do
  local name, family, options = table.unpack(case)
  local golden = core.load(TEXT .. family .. "/golden.safetensors")
  local net = tlua.models.from_folder { path = TEXT .. family, classes = case.head and 2 or nil }
  net:give(case.gives or "vector", case.head)
  net:add_lora(options)
  if case.train then net:unfreeze(case.train) end
  for path, p in net:parameters() do
    if p:requires_grad() then p:copy_(p:detach() + core.normal(p:shape(), 0, 0.2, path)) end
  end
  net:eval()
  local x = golden.ids
  if family == "bert" or family == "electra" then
    local n, steps = table.unpack(x:shape())
    x = core.ops.concat(x:reshape(n, steps, 1), golden.types:reshape(n, steps, 1), { axis = 3 })
  end
  net:save_lora(out .. "/" .. name, { task = case.task })
  local kind = case.head == "qa_outputs" and "QuestionAnswering" or case.gives == "frames" and "TokenClassification"
    or case.gives ~= "vocabulary" and "SequenceClassification" or family == "gpt2" and "CausalLM" or "MaskedLM"
  core.write_file(out .. "/" .. name .. "/family", family .. " " .. kind)
  local y = net(x, golden.lengths)
  if case.gives == "vocabulary" then y = net:vocabulary(y) end
  core.save(out .. "/" .. name .. "/logits.safetensors", { logits = y:detach() }, {})
end
