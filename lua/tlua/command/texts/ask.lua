-- ask.lua - texts through a network: numbers of pieces, batches of like length, answers in the order asked.
local core = require "tlua.core"
local util = require "tlua.util"
local texts = require "tlua.data.texts"
local ask = {}

-- What a model file says of how texts become numbers, and its tokenizer.
function ask.tokenizer(net, path)
  local found = net.tokenizer and net:tokenizer()
  return found or util.failf("%s holds no tokenizer, so nobody knows which pieces its numbers mean", path)
end

-- The windows of items that are texts: {set =, of = {number of the item of each text}}; nil where none is.
local function windows_of(items, task, tokenizer, p, paired, threads)
  local own, second, of = {}, paired and {} or nil, {}
  for i, each in ipairs(items) do
    if not each.reason then
      local at = #own + 1
      own[at], of[at] = task.fed and task:fed(each.text) or each.text, i
      if paired then second[at] = each.pair end
    end
  end
  if #own == 0 then return nil end
  local options = texts.options(p)
  options.threads = threads
  local set = tokenizer.handle:encode_all(own, second, options)
  return { set = set, of = of, texts = own, cut = texts.count_cut({ texts = own, pairs = second }, set, p) }
end

-- Windows by their lengths, in batches of at most `most`.
local function batches_of(set, most)
  local order, out = {}, {}
  for k = 1, set:count() do order[k] = k end
  table.sort(order, function(a, b)
    local m, n = set:length(a), set:length(b)
    return m == n and a < b or m < n
  end)
  for at = 1, #order, most do out[#out + 1] = table.move(order, at, math.min(at + most - 1, #order), 1, {}) end
  return out
end

-- The input of a batch of windows: numbers (N, T), or with types (N, T, 2), and lengths (N).
function ask.input(set, batch, p)
  local ids, types, lengths = set:batch(batch, p.pad)
  if not p.types then return ids, lengths end
  local n, t = ids:shape(1), ids:shape(2)
  return core.ops.concat(ids:reshape(n, t, 1), types:reshape(n, t, 1), { axis = 3 }), lengths
end

-- Windows of a batch, each with its text and pair: what tasks of pieces and of spans decode by.
local function windows_in(found, batch, items)
  local out = {}
  for r, k in ipairs(batch) do
    local window = found.set:window(k)
    local each = items[found.of[found.set:text(k)]]
    window.text, window.pair = found.texts[found.set:text(k)], each.pair
    out[r] = window
  end
  return out
end

-- What the windows of one text say together: the task's join, the mean of its outputs, or the one window's own answer.
local function joined(task, parts, o)
  if #parts == 1 then return parts[1].answer end
  if task.join then
    local answers, windows = {}, {}
    for k, each in ipairs(parts) do
      if not each.answer then return false end
      answers[k], windows[k] = each.answer, each.window
    end
    return task:join(answers, windows, o)
  end
  local rows = {}
  for k, each in ipairs(parts) do rows[k] = each.row end
  return task:decode(core.tensor { task:mean(rows) }, o)[1]
end

-- Asks the network about items (asked.lua). Calls f(i, answer, reason) for each of them in their order: false is an
-- answer whose numbers are none. o: batch, threads, info, tokenizer, paired, and what the task's decode is told; at
-- decode o.windows has the windows of the batch. `tell(done, all)`: of texts, for a bar. Returns how many were cut.
function ask.through(net, task, items, o, f, tell)
  local p = o.info.preprocessing
  local found = windows_of(items, task, o.tokenizer, p, o.paired, o.threads)
  local parts, done = {}, 0
  for k = 1, #items do parts[k] = {} end
  local several = found and found.set:count() > #found.of
  if several and not (task.join or task.mean) then
    util.failf("predict: the model cuts texts into windows, and the task '%s' says nothing of several", task.kind)
  end
  for _, batch in ipairs(found and batches_of(found.set, o.batch) or {}) do
    local scope <close> = core.scope()
    local input, lengths = ask.input(found.set, batch, p)
    local out = net(input, lengths)
    o.windows, o.length_list = windows_in(found, batch, items), lengths:tolist()
    local answers, rows = task:decode(out, o), several and not task.join and out:tolist() or {}
    for r, k in ipairs(batch) do
      local own = parts[found.of[found.set:text(k)]]
      own[#own + 1] = { at = k, answer = answers[r], row = rows[r], window = o.windows[r] }
    end
    done = done + #batch
    if tell then tell(done, found.set:count()) end
  end
  for i, each in ipairs(items) do
    table.sort(parts[i], function(a, b) return a.at < b.at end)
    if each.reason then f(i, nil, each.reason) else f(i, joined(task, parts[i], o)) end
  end
  return found and found.cut or 0
end

util.seal(ask, "command.texts.ask.")
return ask
