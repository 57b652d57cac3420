-- wrong.lua - `tlua eval MODEL --wrong FILE`: a table of what the network takes for something else, the surest first, so
-- that labels which are wrong themselves are found and mended.
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

local OF = { classify = of_classes, detect = of_boxes }

-- Refuses a task of which nothing is simply wrong.
function wrong.check(task)
  if OF[task.kind] then return end
  util.failf("eval: --wrong lists classes and boxes that were taken for something else, and the model's task is %s",
    task.kind)
end

-- Writes the table of a session that was tested; gives how many rows it has.
function wrong.write(path, s)
  local head, rows, scores = OF[s.task.kind](s)
  local lines = { table.concat(head, ",") }
  for n, i in ipairs(util.descending(scores)) do
    local cells = {}
    for k, cell in ipairs(rows[i]) do cells[k] = util.csv(cell) end
    lines[n + 1] = table.concat(cells, ",")
  end
  core.write_file(path, table.concat(lines, "\n") .. "\n")
  return #rows
end

util.seal(wrong, "")
return wrong
