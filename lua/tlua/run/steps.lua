-- steps.lua - the loss and the rate of each step of a run, for curves: however long the run is it keeps MOST
-- points at most. A point is the mean of `every` steps; when there are MOST of them each two neighbours become
-- one, so what is kept is thinned evenly, and the same of a run that was stopped and went on as of one that was
-- not. steps.csv in the run's folder has them, with the number of steps of a point.
local core = require "tlua.core"
local util = require "tlua.util"

local MOST = 2000 -- an even number

local Steps = {}
Steps.__index = Steps
local steps = { FILE = "steps.csv", MOST = MOST }

-- Six digits are more than a curve shows, and keep a checkpoint small.
local function short(v) return tonumber(("%.6g"):format(v)) end

-- state: what state() gave.
function steps.new(state)
  state = state or {}
  return setmetatable({ every = state.every or 1, points = state.points or {}, sum = state.sum or 0, n = state.n or 0 },
    Steps)
end

-- epoch: how far the run is, like 2.25 after a quarter of the third epoch. A loss that is no number has no place
-- in a curve.
function Steps:add(epoch, loss, rate)
  if not util.is_finite(loss) then return end
  self.sum, self.n = self.sum + loss, self.n + 1
  if self.n < self.every then return end
  self.points[#self.points + 1] = { short(epoch), short(self.sum / self.n), short(rate) }
  self.sum, self.n = 0, 0
  if #self.points < MOST then return end
  local half = {}
  for i = 2, MOST, 2 do
    local a, b = self.points[i - 1], self.points[i]
    half[#half + 1] = { b[1], short((a[2] + b[2]) / 2), b[3] }
  end
  self.every, self.points = 2 * self.every, half
end

function Steps:state() return { every = self.every, points = self.points, sum = self.sum, n = self.n } end

-- Back to the end of epoch `epoch`, where the rest begins anew with other data.
function Steps:cut(epoch)
  while #self.points > 0 and self.points[#self.points][1] > epoch do self.points[#self.points] = nil end
  self.sum, self.n = 0, 0
end

-- For a report: {every =, points = { {epoch, loss, rate}, ... }}; nil where there are none.
function Steps:told() return #self.points > 0 and { every = self.every, points = self.points } or nil end

function Steps:csv()
  local lines = { "epoch,loss,learning_rate,steps\n" }
  for i, p in ipairs(self.points) do lines[i + 1] = ("%.6g,%.6g,%.6g,%d\n"):format(p[1], p[2], p[3], self.every) end
  return table.concat(lines)
end

-- The same from the steps.csv of a folder; nil where it has none, or one that is not of this form.
function steps.read(folder)
  local ok, text = pcall(core.read_file, ("%s/%s"):format(folder, steps.FILE))
  local points, every = {}, nil
  for line in (ok and text:match "\n.*" or ""):gmatch "[^\n]+" do
    local epoch, loss, rate, n = line:match "^([^,]+),([^,]+),([^,]+),(%d+)$"
    local point = { tonumber(epoch or ""), tonumber(loss or ""), tonumber(rate or "") }
    every = every or math.tointeger(tonumber(n or ""))
    if not (point[1] and point[2] and point[3] and every) or #points == MOST then return nil end
    points[#points + 1] = point
  end
  return every and { every = every, points = points } or nil
end

return steps
