-- wrong.lua - `tlua eval MODEL --wrong FILE`: a table of what is wrong, the surest or the farthest first, so that
-- labels which are wrong themselves are found and mended. A run keeps the same of its test, wrong.csv.
local core = require "tlua.core"
local util = require "tlua.util"
local found = require "tlua.task.boxes.found"
local wrong = {}

local function number(v) return ("%.6f"):format(v) end

-- Of classes: {file, its label, what was said, the probability of that, the probability of the label}.
local function of_classes(s)
  local t, names, rows, scores = s.task, s.task.names or {}, {}, {}
  local one = t.options.positive and t:positive_class() -- of two classes a threshold decides then
  for i, label in ipairs(s.seen.labels) do
    local p, best = s.seen.probabilities[i], 1
    for k, v in ipairs(p) do
      if v > p[best] then best = k end
    end
    if one then best = p[one] >= t:threshold_of() and one or 3 - one end
    if best - 1 ~= label then
      local function name(k) return names[k] or tostring(k - 1) end
      scores[#scores + 1] = p[best]
      rows[#rows + 1] = { s.data.test:path(s.seen.indices[i]), name(label + 1), name(best), number(p[best]),
        number(p[label + 1]) }
    end
  end
  return { "file", "label", "said", "score", "score_of_label" }, rows, scores
end

-- Of boxes: {file, "missed" or "false", class, score (of what is missed none), left, top, right, bottom}, in pixels of
-- the picture; false alarms before what was missed.
local function of_boxes(s)
  local t, seen, rows, scores = s.task, s.seen, {}, {}
  local confidence = found.confidences(t, seen.meter:best().confidence)
  local function add(i, what, label, score, b)
    scores[#scores + 1] = score or -1
    local row = { s.data.test:path(seen.indices[i]), what, t.names[label + 1], score and number(score) or "" }
    for k = 1, 4 do row[4 + k] = ("%.2f"):format(b[k]) end
    rows[#rows + 1] = row
  end
  for i, each in ipairs(seen.pictures) do
    local fate = found.fate(seen, i, confidence)
    for _, k in ipairs(fate.wrong) do add(i, "false", each.labels[k], each.scores[k], each.boxes[k]) end
    for _, k in ipairs(fate.missed) do add(i, "missed", each.truth_labels[k], nil, each.truth[k]) end
  end
  return { "file", "what", "label", "score", "left", "top", "right", "bottom" }, rows, scores
end

-- Of masks: {file, the mean Dice of its classes, then of each class its Dice and the pixels that are there and that
-- were seen}, the worst first. All pictures that have a class.
local function of_masks(s)
  local t, seen, rows, scores = s.task, s.seen, {}, {}
  local width, first = t.width, t.options.background and 2 or 1
  local head, format = { "file", "dice" }, ("I4"):rep(3 * width)
  for k = first, width do
    local name = t.names and t.names[k] or tostring(k - 1)
    for _, what in ipairs { "", " there", " seen" } do head[#head + 1] = name .. what end
  end
  for i, packed in ipairs(seen.pictures) do
    local sums, sum, n = { string.unpack(format, packed) }, 0, 0
    local row = { s.data.test:path(seen.indices[i]), "" }
    for k = first, width do
      local both, is, said = sums[3 * k - 2], sums[3 * k - 1], sums[3 * k]
      local dice = is + said > 0 and 2 * both / (is + said) or nil
      if dice then sum, n = sum + dice, n + 1 end
      row[#row + 1], row[#row + 2], row[#row + 3] = dice and number(dice) or "", ("%d"):format(is), ("%d"):format(said)
    end
    if n > 0 then
      row[2] = number(sum / n)
      rows[#rows + 1], scores[#scores + 1] = row, -sum / n
    end
  end
  return head, rows, scores
end

-- Of numbers: {file, of each target what was given and what is so, how far they are apart}, the farthest first.
local function of_numbers(s)
  local t, seen, rows, scores, head = s.task, s.seen, {}, {}, { "file" }
  for _, name in ipairs(t.names) do
    for _, what in ipairs { " given", " true", " error" } do head[#head + 1] = name .. what end
  end
  for i, given in ipairs(seen.given) do
    local row, most = { s.data.test:path(seen.indices[i]) }, 0
    for k, v in ipairs(given) do
      local y = seen.targets[i][k]
      row[#row + 1], row[#row + 2], row[#row + 3] = ("%.9g"):format(v), ("%.9g"):format(y), ("%.9g"):format(v - y)
      most = math.max(most, math.abs(v - y))
    end
    rows[i], scores[i] = row, most
  end
  return head, rows, scores
end

-- Of findings: {file, target, "missed" or "false", the probability, the threshold}, the farthest from the threshold
-- first.
local function of_findings(s)
  local t, seen, rows, scores = s.task, s.seen, {}, {}
  for i, row in ipairs(seen.scores) do
    for k, v in ipairs(row) do
      local y, threshold = seen.targets[i][k], (t:threshold_of(k))
      local is = y > 0.5
      if y == y and y >= 0 and (v >= threshold) ~= is then
        rows[#rows + 1] = { s.data.test:path(seen.indices[i]), t.names[k], is and "missed" or "false", number(v),
          number(threshold) }
        scores[#scores + 1] = math.abs(v - threshold)
      end
    end
  end
  return { "file", "target", "what", "score", "threshold" }, rows, scores
end

local OF = { classify = of_classes, detect = of_boxes, segment = of_masks, regress = of_numbers,
  multilabel = of_findings }

-- Refuses a task of which nothing is simply wrong.
function wrong.check(task)
  if OF[task.kind] then return end
  util.failf("eval: --wrong lists classes, boxes, masks, numbers and findings that are wrong, and the model's task is "
    .. "%s", task.kind)
end

-- The table of a session that was tested as text, and how many rows it has. A row says which sample of the tested part
-- it is of by its file.
function wrong.text(s)
  local head, rows, scores = OF[s.task.kind](s)
  local lines = { {} }
  for k, cell in ipairs(head) do lines[1][k] = util.csv(cell) end
  lines[1] = table.concat(lines[1], ",")
  for n, i in ipairs(util.descending(scores)) do
    local cells = {}
    for k, cell in ipairs(rows[i]) do cells[k] = util.csv(cell) end
    lines[n + 1] = table.concat(cells, ",")
  end
  return table.concat(lines, "\n") .. "\n", #rows
end

-- Writes it; gives how many rows it has.
function wrong.write(path, s)
  local text, n = wrong.text(s)
  core.write_file(path, text)
  return n
end

-- Writes wrong.csv, what is wrong of a run's test, into its folder, without names where the data are private. Gives its
-- name; nil where there is nothing to list. seen: what its task collected.
function wrong.keep(s, seen)
  local FILE = "wrong.csv"
  local collected = seen.labels or seen.pictures or seen.given or seen.scores
  if seen.part ~= "test" or not OF[s.task.kind] or not collected or #collected == 0 then return nil end
  local ok, e = pcall(function()
    local text = wrong.text { task = s.task, data = s.data, seen = seen }
    core.write_file(s.out .. "/" .. FILE, s.data.private and s.data.private:hide(text) or text)
  end)
  if not ok then s.progress:say(("%s not written: %s"):format(FILE, util.reason(e))) end
  return ok and FILE or nil
end

util.seal(wrong, "")
return wrong
