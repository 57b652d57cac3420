-- tables.lua - `tlua eval MODEL --csv FILE`: the figures of each class, or of each target, as a table for other programs.
-- Shares are between 0 and 1; what is not defined is an empty cell.
local core = require "tlua.core"
local util = require "tlua.util"
local tables = {}

-- Columns of each task: {name, how it is read from a row}; those with bounds become three.
local function of(key) return function(r) return r[key] end end
local function bounded(name, key, interval)
  return { name, of(key or name), of(interval or (key or name) .. "_interval") }
end
-- {value, low, high}, as findings have them.
local function share(name)
  return { name, function(r) return r[name] and r[name][1] end,
    function(r) return r[name] and r[name][2] and { r[name][2], r[name][3] } end }
end

local COLUMNS = {
  classify = { { "class", of "name" }, { "count", of "support" }, { "predicted", of "predicted" },
    bounded "precision", bounded "recall", bounded "f1", bounded "auroc", bounded "average_precision" },
  multilabel = { { "target", of "name" }, { "count", of "count" }, { "positive", of "positive" }, bounded "auroc",
    bounded "average_precision", { "threshold", of "threshold" }, share "sensitivity", share "specificity", share "ppv",
    share "npv" },
  regress = { { "target", of "name" }, { "mae", of "mae" }, { "rmse", of "rmse" }, { "r2", of "r2" },
    bounded "spearman", bounded "pearson", { "mean", of "mean" } },
  segment = { { "class", of "name" }, bounded "dice", { "iou", of "iou" }, { "pixels", of "pixels" },
    { "seen", of "seen" } },
  detect = { { "class", of "name" }, { "boxes", of "truths" }, { "found", of "found" }, { "map", of "map" },
    { "map_50", of "map_50" }, { "precision", of "precision" }, { "recall", of "recall" }, { "f1", of "f1" } },
}

-- Refuses a task that has no figures of single classes or targets.
function tables.check(task)
  if COLUMNS[task.kind] then return end
  util.failf("eval: --csv is a table of classes or targets, and the model's task is %s", task.kind)
end

local function cell(v)
  if v == "NaN" or v == nil or v ~= v or type(v) == "table" then return "" end
  if math.type(v) == "float" then return v == math.floor(v) and math.abs(v) < 1e15 and ("%d"):format(v)
    or ("%.9g"):format(v) end
  return util.csv(tostring(v))
end

-- Rows of figures that have names of their own, or the class's.
local function rows_of(found)
  if not found.per_class then return found.targets or {} end
  local out = {}
  for k, row in ipairs(found.per_class) do
    out[k] = setmetatable({ name = found.names[k] }, { __index = row })
  end
  return out
end

-- The table as text, and how many rows it has.
function tables.text(task, found)
  local lines, list = {}, rows_of(found)
  local head = {}
  for _, column in ipairs(COLUMNS[task.kind]) do
    head[#head + 1] = column[1]
    if column[3] then head[#head + 1], head[#head + 2] = column[1] .. "_low", column[1] .. "_high" end
  end
  lines[1] = table.concat(head, ",")
  for k, row in ipairs(list) do
    local cells = {}
    for _, column in ipairs(COLUMNS[task.kind]) do
      cells[#cells + 1] = cell(column[2](row))
      if column[3] then
        local bounds = column[3](row) or {}
        cells[#cells + 1], cells[#cells + 2] = cell(bounds[1]), cell(bounds[2])
      end
    end
    lines[k + 1] = table.concat(cells, ",")
  end
  return table.concat(lines, "\n") .. "\n", #list
end

function tables.write(path, task, found)
  local text, n = tables.text(task, found)
  core.write_file(path, text)
  return n
end

return tables
