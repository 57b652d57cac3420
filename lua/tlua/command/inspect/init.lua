-- inspect - `tlua inspect FILE`: what a file holds: where it comes from, what goes in and comes out, operators,
-- parameters, multiply-adds, where the network could be cut, and a picture of it.
local core = require "tlua.core"
local util = require "tlua.util"
local commands = require "tlua.command.commands"
local facts = require "tlua.command.inspect.facts"
local schema = require "tlua.schema"
local inspect = {}

-- ---- lines ----

local function say(name, format, ...) print(("%-14s %s"):format(name, format:format(...))) end

local function list_text(list, most, f)
  local out = {}
  for i = 1, math.min(most, #list) do out[i] = f(list[i]) end
  if #list > most then out[#out + 1] = ("and %d more"):format(#list - most) end
  return table.concat(out, ", ")
end

-- Lines with columns as wide as they must be; those named in `right` are set to the right.
local function print_table(rows, right)
  local widths = {}
  for _, row in ipairs(rows) do
    for k, text in ipairs(row) do widths[k] = math.max(widths[k] or 0, core.text.width(text)) end
  end
  for _, row in ipairs(rows) do
    local out = {}
    for k, text in ipairs(row) do
      out[k] = core.text.pad(text, widths[k], right[k])
    end
    print((table.concat(out, "  "):gsub("%s+$", "")))
  end
end

local function print_ports(name, list)
  for i, p in ipairs(list) do say(i == 1 and name or "", "%s %s %s", util.shown(p.name), p.shape, p.dtype) end
end

local function shape_at(f)
  local out = {}
  for i, p in ipairs(f.inputs) do out[i] = ("%s %s"):format(util.shown(p.name), util.shape_text(p.at)) end
  return table.concat(out, ", ")
end

local function print_origin(f)
  local size = f.bytes and ", " .. util.bytes(f.bytes) or ""
  say(f.file and "file" or "network", "%s, %s%s", f.file or f.net:label(), f.kind, size)
  if f.producer then say("producer", "%s", f.producer) end
  if f.opset then say("opset", "%s (version %d of the format)", f.opset, f.ir_version) end
  if f.written_by then say("written by", "%s", f.written_by) end
  if f.model and f.model ~= "custom" then say("made as", "%s", f.model) end
  if f.task then say("task", "%s", f.task) end
  for _, key in ipairs(util.keys(f.metadata or {})) do say("metadata", "%s: %s", util.shown(key), f.metadata[key]) end
  if f.part then say("part", "%s", f.part) end
  if f.other_parts then say("other parts", "%s", table.concat(f.other_parts, ", ")) end
end

local function print_labels(f)
  if f.labels then say("labels", "%d: %s", #f.labels, list_text(f.labels, 8, util.shown)) end
end

local function print_network(f)
  print_ports("inputs", f.inputs)
  print_ports("outputs", f.outputs)
  say("operators", "%s%s", f.operators_of and ("of %s: "):format(f.operators_of) or "",
    list_text(f.operators, 24, function(o) return ("%s %d"):format(o.op, o.count) end))
  if f.calls then say("calls", "%d", f.calls) end
  say("parameters", "%s", util.thousands(f.parameters))
  if f.multiply_adds then say("multiply-adds", "%s for %s", util.short(f.multiply_adds), shape_at(f)) end
  local p = f.preprocessing
  if p and p.size then
    local size = type(p.size) == "table" and table.concat(p.size, " x ") or ("%d x %d"):format(p.size, p.size)
    say("pictures", "%s%s", size, p.mean and (", mean %s, deviation %s"):format(
      type(p.mean) == "table" and table.concat(p.mean, ", ") or p.mean,
      type(p.std) == "table" and table.concat(p.std, ", ") or p.std) or "")
  end
  print_labels(f)
  for _, text in ipairs(f.notes or {}) do say("note", "%s", text) end
  if f.why_not then say("cannot run", "%s", f.why_not) end
end

local function print_stages(f)
  local rows = { { "stage", "what comes out", "parameters", "multiply-adds" } }
  for _, s in ipairs(f.stages) do
    rows[#rows + 1] = { s.name, s.shape or "several values", util.thousands(s.parameters),
      (util.short(s.multiply_adds):gsub(" $", "")) }
  end
  print ""
  print_table(rows, { [3] = true, [4] = true })
end

local function print_cuts(f)
  if #f.cuts == 0 then
    return say("cut points", "none: at no place does a single value pass%s", f.inputs[2]
      and (" (%s goes along)"):format(util.shown(f.inputs[2].name)) or "")
  end
  local rows = { { "cut =", "what comes out", "parameters below", "above", "end of stage" } }
  for _, c in ipairs(f.cuts) do
    rows[#rows + 1] = { c.name, c.shape, util.thousands(c.below), util.thousands(c.above), c.stage or "" }
  end
  print ""
  print_table(rows, { [3] = true, [4] = true })
end

local function print_modules(f)
  local rows = { { "module", "parameters", "tensors" } }
  for _, m in ipairs(f.modules) do
    rows[#rows + 1] = { m.module == "" and "-" or util.shown(m.module), util.thousands(m.parameters),
      list_text(m.tensors, 12, function(e)
        return ("%s %s%s"):format(util.shown(e.name), util.shape_text(e.shape),
          e.dtype == "float32" and "" or " " .. e.dtype)
      end) }
  end
  print ""
  print_table(rows, { [2] = true })
end

local function print_text(f, o)
  print_origin(f)
  if f.inputs then print_network(f)
  else
    say("parameters", "%s in %d tensors", util.thousands(f.parameters), f.tensors)
    print_labels(f)
  end
  if o["cut-points"] then print_cuts(f) elseif f.stages then print_stages(f) end
  if f.modules then print_modules(f) end
end

-- ---- JSON ----

local HIDDEN = { net = true, found = true, types = true, multiply_adds_of = true, parameters_of = true }

local function print_json(f)
  local out = {}
  for key, value in pairs(f) do
    if not HIDDEN[key] then out[key] = util.for_json(value) end
  end
  print(core.json_encode(out))
end

-- ---- the command ----

local FIELDS = { sizes = { "sizes", "sizes_by_name" }, values = { "values", "numbers_by_name" } }

function inspect.main(args)
  local o, rest = commands.parse("inspect", args)
  for name, field in pairs(FIELDS) do
    if o[name] then o[name] = schema.parse(field, name, o[name]) end
  end
  if #rest ~= 1 then commands.usage("inspect", #rest == 0 and "a file is needed" or "one file at a time") end
  if o.device then core.device(o.device) end
  local ok, f = pcall(facts.of, rest[1], o)
  if not ok then error(type(f) == "string" and f:match "^[^\n]*" or f, 0) end
  if not f.net and (o.svg or o["cut-points"]) then
    local why = f.why_not and "it cannot be run: " .. f.why_not
    util.failf("%s: --%s wants a network, and %s", rest[1], o.svg and "svg" or "cut-points",
      why or "the file holds weights alone: no calls say what is done with them")
  end
  if o.svg then
    core.write_file(o.svg, require("tlua.command.inspect.picture").svg(f))
    f.picture = o.svg
  end
  if o.json then print_json(f) return 0 end
  print_text(f, o)
  if o.svg then print "" say("picture", "%s", o.svg) end
  return 0
end

return inspect
