-- parts.lua - what pages say of a run that need not be at its end: where it stands, what is known so far, the
-- curves of its steps. run: what told.read gives, or report.gather.
local util = require "tlua.util"
local parts = require "tlua.report.parts"
local going = {}
local escape, figure, tile = parts.escape, parts.figure, parts.tile

-- Where the run stands, as a line; nothing of reports of earlier tluas, which do not know.
function going.state(run)
  if not run.state then return "" end
  return ('<p class="state %s"><i></i>%s</p>'):format(escape(run.state.state), escape(run.state.text))
end

-- The last row that has this column.
local function last_with(rows, key)
  for i = #rows, 1, -1 do
    if rows[i][key] then return rows[i] end
  end
end

local function epoch_tile(run)
  local now = run.now
  if not now then return tile(("%d"):format(#run.rows), "epochs so far") end
  local goes = now.state == "running"
  return tile(("%d / %d"):format(goes and now.epoch or now.rows, now.epochs), goes and "epoch" or "epochs done")
end

local function loss_tile(run)
  local now, last = run.now, run.rows[#run.rows]
  if now and now.state == "running" and now.loss then
    return tile(util.figure("%.4f", now.loss), "training loss of the epoch so far")
  end
  if not last or not last.loss then return "" end
  return tile(util.figure("%.4f", last.loss), ("training loss, epoch %d"):format(last.epoch))
end

-- f: the main figure, prefix: of the columns of the part that is looked at, which is called `part`.
function going.tiles(run, f, prefix, part)
  local now, key = run.now, prefix .. "_" .. f[1]
  local row, goes = last_with(run.rows, key), now and now.state == "running"
  return table.concat { epoch_tile(run),
    row and tile(util.figure(f[3], row[key]), ("%s %s, epoch %d"):format(part, f[2], row.epoch))
      or tile("–", ("%s %s: not known yet"):format(part, f[2])), loss_tile(run),
    goes and now.eta and tile(util.clock(now.eta), "ETA of the epoch") or "",
    goes and now.eta_all and tile(util.clock(now.eta_all), "ETA of the whole run") or "",
    run.seconds and tile(util.clock(run.seconds), goes and "so far" or "from start to end") or "" }
end

-- Points without those between two of the same height, which a line does not need.
local function bends(points)
  local out = {}
  for i, p in ipairs(points) do
    local before, behind = points[i - 1], points[i + 1]
    if not before or not behind or before[2] ~= p[2] or behind[2] ~= p[2] then out[#out + 1] = p end
  end
  return out
end

local function of_steps(run, k)
  local out = {}
  for i, p in ipairs(run.steps.points) do out[i] = { p[1], p[k] } end
  return bends(out)
end

-- Whole epochs, from the first one on.
local function axis(run, y)
  local points = run.steps.points
  return { x = "epoch", x_whole = true, y = y, x_range = { 0, math.max(1, math.ceil(points[#points][1] - 1e-6)) } }
end

-- The losses of single steps, or means of some; nothing where none are known.
function going.losses(run)
  if not run.steps then return "" end
  local many = run.steps.every
  return figure(many == 1 and "Loss, step by step" or ("Loss, means of %d steps"):format(many),
    { { name = "training", points = of_steps(run, 2), plain = true } }, axis(run, "loss"))
end

-- The learning rate of the steps; nil where they are not known.
function going.rates(run)
  if not run.steps then return nil end
  return figure("Learning rate", { { name = "rate", points = of_steps(run, 3), plain = true } }, axis(run, "rate"))
end

return going
