-- tables.lua - what the cells of a comparison say together: means and spreads over the seeds, differences from the baseline, and
-- where transfer does not win. As a table for the terminal, Markdown and CSV.
local core = require "tlua.core"
local util = require "tlua.util"
local ways = require "tlua.command.compare.ways"
local tables = {}

-- ---- statistics ----

local function mean(list)
  local sum = 0
  for _, v in ipairs(list) do sum = sum + v end
  return #list > 0 and sum / #list or nil
end

-- Standard deviation of a sample; nil of fewer than two values.
local function deviation(list)
  if #list < 2 then return nil end
  local m, sum = mean(list), 0
  for _, v in ipairs(list) do sum = sum + (v - m) ^ 2 end
  return math.sqrt(sum / (#list - 1))
end

-- 97.5 % quantile of Student's t with so many degrees of freedom; from 10 on Cornish and Fisher's expansion.
local QUANTILES = { 12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622 }
local function quantile(freedom)
  local z = 1.959964
  return QUANTILES[freedom] or z + (z ^ 3 + z) / (4 * freedom) + (5 * z ^ 5 + 16 * z ^ 3 + 3 * z) / (96 * freedom ^ 2)
end

-- Mean of paired differences and half its 95 % interval: {difference =, half =, verdict =}. Of fewer than three pairs no interval is
-- made: with two it would be 13 standard errors wide. None either where all differences are the same, which few test pictures can make
-- so: an interval of no width would be a promise that nobody can keep.
function tables.paired(differences)
  local d, s = mean(differences), deviation(differences)
  if not d then return {} end
  if #differences < 3 then return { difference = d, verdict = "unknown" } end
  if s < 1e-9 then return { difference = d, verdict = math.abs(d) < 1e-9 and "same" or "even" } end
  local half = quantile(#differences - 1) * s / math.sqrt(#differences)
  return { difference = d, half = half, verdict = d > half and "better" or d < -half and "worse" or "same" }
end

-- ---- the summary ----

local function finished(c, way, per_class)
  local list = {}
  for _, cell in ipairs(c.cells) do
    if cell.result and cell.way == way and cell.per_class == per_class then list[#list + 1] = cell.result end
  end
  return list
end

local function pick(list, name)
  local out = {}
  for _, each in ipairs(list) do out[#out + 1] = each[name] end
  return out
end

-- The task's main figure (tlua/task): {key, words, format, "max" or "min"}.
local ACCURACY = { "accuracy", "accuracy", "%.1f %%", "max" }
local function figure_of(c) return c.figure or ACCURACY end
-- Its number without the sign of percent, and with a sign for differences.
local function number_format(f) return (f[3]:gsub("%s*%%%%", "")) end
local function shown(row, v) return number_format(row.figure or ACCURACY):format(v) end
local function signed(row, v) return ((number_format(row.figure or ACCURACY):gsub("^%%", "%%+"))):format(v) end
local function title_of(f) return f[2] .. (f[3]:find "%%%%" and ", %" or "") end
tables.title_of = title_of

local function against(c, list, base)
  local of_seed, out = {}, {}
  for _, each in ipairs(base) do of_seed[each.seed] = each.accuracy end
  for _, each in ipairs(list) do
    if of_seed[each.seed] then out[#out + 1] = each.accuracy - of_seed[each.seed] end
  end
  local found = tables.paired(out)
  if figure_of(c)[4] == "min" then found.verdict = ({ better = "worse", worse = "better" })[found.verdict] or found.verdict end
  return found
end

-- What samples are called.
local function many_of(c) return c.counts and c.counts.many or "pictures" end

-- Features are computed in one cell and found by the others of the same pictures: each is charged what they cost once.
local function features_of(list)
  local most = 0
  for _, each in ipairs(list) do most = math.max(most, each.feature_seconds) end
  return most
end

local function row_of(c, list, way, per_class, base)
  local accuracy = pick(list, "accuracy")
  local row = { way = way.name, per_class = per_class, unit = select(2, ways.amounts(c.options)), seeds = #list,
    accuracy = mean(accuracy), spread = deviation(accuracy), balanced = mean(pick(list, "balanced_accuracy")),
    seconds = mean(pick(list, "seconds")), features = features_of(list), joules = mean(pick(list, "joules")), peak = 0, trained = list[1].trained, parameters = list[1].parameters,
    epochs = list[1].epochs, pictures = list[1].train_pictures, minutes = list[1].minutes, each = accuracy,
      figure = figure_of(c) }
  for _, each in ipairs(list) do row.peak = math.max(row.peak, each.peak_bytes) end
  for name, value in pairs(base and against(c, list, base) or {}) do row[name] = value end
  return row
end

local function size_text(n) return n == "all" and "all" or ("%g"):format(n) end
tables.size_text = size_text

-- "+12.3 ± 1.0, better"
local VERDICT = { better = "better", worse = "worse", same = "within the spread", unknown = "too few seeds to tell", even = "the same for every seed: no spread to tell it from chance" }
function tables.difference_text(row)
  if not row.difference then return "" end
  return ("%s%s, %s"):format(signed(row, row.difference), row.half and " ± " .. shown(row, row.half) or "", VERDICT[row.verdict])
end

function tables.accuracy_text(row) return shown(row, row.accuracy) .. (row.spread and " ± " .. shown(row, row.spread) or "") end

-- Training and features together.
function tables.seconds_text(row)
  local all = row.seconds + row.features
  return (all < 60 and ("%.1f s"):format(all) or util.clock(all))
end

function tables.joules_text(row) return row.joules and ("%.0f J"):format(row.joules) or "not known" end

local function not_winning(summary)
  local out, count, wins = {}, 0, 0
  for _, row in ipairs(summary.rows) do
    if row.verdict == "even" then
      out[#out + 1] = ("%s with %s %s: the difference of %s is the same for every seed, so no interval can be given."):format(row.way, size_text(row.per_class), row.unit.many, signed(row, row.difference))
    elseif row.verdict and row.verdict ~= "unknown" then
      count = count + 1
      if row.verdict == "better" then wins = wins + 1
      else
        out[#out + 1] = ("%s does not win with %s %s: %s against %s%s, %s (%s)."):format(row.way,
          size_text(row.per_class), row.unit.many, shown(row, row.accuracy),
          shown(row, row.accuracy - row.difference), row.figure[3]:find "%%%%" and " %" or "",
          signed(row, row.difference) .. (row.half and " ± " .. shown(row, row.half) or ""),
          row.verdict == "worse" and ("%s is better beyond the spread"):format(summary.baseline) or row.half and "the difference lies within the spread" or "no seed makes a difference")
      end
    end
  end
  if count > 0 then table.insert(out, 1, ("Transfer wins over %s beyond the spread in %d of %d places."):format(summary.baseline, wins, count)) end
  return out
end

local function notes(c, summary)
  local out, hashes, tests = not_winning(summary), {}, 0
  local known, resumed = 0, 0
  for _, cell in ipairs(c.cells) do
    local r = cell.result
    if r then
      if not hashes[r.test_hash] then hashes[r.test_hash], tests = true, tests + 1 end
      known, resumed = known + (r.joules and 1 or 0), resumed + (r.resumed and 1 or 0)
    end
  end
  if #c.options.seeds < 3 then out[#out + 1] = "Fewer than three seeds tell nothing of the spread: what wins here may lose with the next." end
  local words, many = figure_of(c)[2], c.counts.many
  out[#out + 1] = util.capital(words)
    .. ": mean ± standard deviation over the seeds. Difference: mean over the seeds, each with the same " .. many
    .. " in all ways, ± 95 % (Student's t); beyond that it counts."
  out[#out + 1] = "Time: training, and computing the features once; tests are left out."
  if known == 0 then out[#out + 1] = "Energy is not known: the machine does not tell (no readable counter in /sys/class/powercap), or a GPU does the work." end
  if resumed > 0 then out[#out + 1] = ("%d cells were stopped and taken up again; their energy is not known."):format(resumed) end
  if tests > 1 then out[#out + 1] = ("The test %s are not the same in all cells: files have changed since the first were computed."):format(many) end
  return out
end

-- c: cells with their results (tlua/command/compare/init.lua). {rows =, notes =, baseline =, cells =, all =}.
function tables.summary(c)
  local summary = { rows = {}, many = many_of(c), unit = select(2, ways.amounts(c.options)), figure = figure_of(c),
    baseline = ways.baseline(c.options.ways), cells = 0, all = #c.cells }
  for _, cell in ipairs(c.cells) do summary.cells = summary.cells + (cell.result and 1 or 0) end
  for _, n in ipairs((ways.amounts(c.options))) do
    local base = finished(c, summary.baseline, n)
    for _, way in ipairs(c.options.ways) do
      local list = finished(c, way.name, n)
      if #list > 0 then summary.rows[#summary.rows + 1] = row_of(c, list, way, n, way.name ~= summary.baseline and base or nil) end
    end
  end
  summary.notes = notes(c, summary)
  return summary
end

-- ---- as text ----

local function columns(summary)
  return { { summary.rows[1] and (summary.rows[1].unit.column or summary.rows[1].unit.few) or "a class",
    function(r) return size_text(r.per_class) end }, { summary.many,
    function(r) return util.thousands(r.pictures) end }, { "way", function(r) return r.way end, left = true },
    { title_of(summary.figure), tables.accuracy_text }, { "against " .. summary.baseline, tables.difference_text }, { "epochs", function(r) return ("%d"):format(r.epochs) end },
    { "time", tables.seconds_text }, { "energy", tables.joules_text }, { "peak memory", function(r) return util.bytes(r.peak) end },
    { "trained", function(r) return util.thousands(r.trained) end } }
end
tables.columns = columns

local width_of = core.text.width

function tables.text(summary)
  local list, out = columns(summary), {}
  local widths = {}
  for k, column in ipairs(list) do
    widths[k] = width_of(column[1])
    for _, row in ipairs(summary.rows) do widths[k] = math.max(widths[k], width_of(column[2](row))) end
  end
  local function line(get)
    local parts = {}
    for k, column in ipairs(list) do parts[k] = core.text.pad(get(column), widths[k], not column.left) end
    out[#out + 1] = (table.concat(parts, "  "):gsub("%s+$", "")) .. "\n"
  end
  out[#out + 1] = "\n"
  line(function(column) return column[1] end)
  local last
  for _, row in ipairs(summary.rows) do
    if last and row.per_class ~= last then out[#out + 1] = "\n" end
    last = row.per_class
    line(function(column) return column[2](row) end)
  end
  out[#out + 1] = "\n" .. table.concat(summary.notes, "\n") .. "\n"
  return table.concat(out)
end

function tables.markdown(summary)
  local list, out = columns(summary), {}
  local function line(get)
    local parts = {}
    for k, column in ipairs(list) do parts[k] = get(column) end
    out[#out + 1] = "| " .. table.concat(parts, " | ") .. " |\n"
  end
  line(function(column) return column[1] end)
  line(function(column) return column.left and "---" or "---:" end)
  for _, row in ipairs(summary.rows) do line(function(column) return column[2](row) end) end
  for _, note in ipairs(summary.notes) do out[#out + 1] = "\n" .. note .. "\n" end
  return table.concat(out)
end

local function number(v, format) return v and (format or "%.4f"):format(v) or "" end

function tables.csv(summary)
  local key = summary.figure[1]
  local out = { summary.unit.field .. "," .. summary.many .. ",way,seeds," .. key .. "," .. key
    .. "_spread,balanced_accuracy,difference,difference_95,verdict,epochs,seconds,feature_seconds,joules,peak_bytes,trained,parameters\n" }
  for _, r in ipairs(summary.rows) do
    out[#out + 1] = table.concat({ size_text(r.per_class), r.pictures, r.way, r.seeds, number(r.accuracy), number(r.spread), number(r.balanced), number(r.difference), number(r.half),
      r.verdict or "", r.epochs, number(r.seconds, "%.2f"), number(r.features, "%.2f"), number(r.joules, "%.1f"), r.peak, r.trained, r.parameters }, ",") .. "\n"
  end
  return table.concat(out)
end

function tables.cells_csv(c)
  local _, unit = ways.amounts(c.options)
  local out = { unit.field .. ",way,seed," .. figure_of(c)[1]
    .. (",balanced_accuracy,f1,test_loss,epochs,train_%s,test_%s"):format(many_of(c), many_of(c))
    .. ",seconds,feature_seconds,total_seconds,joules,peak_bytes,trained\n" }
  for _, cell in ipairs(c.cells) do
    local r = cell.result
    if r then
      out[#out + 1] = table.concat({ size_text(r.per_class), r.way, r.seed, number(r.accuracy), number(r.balanced_accuracy), number(r.f1), number(r.loss, "%.6f"), r.epochs, r.train_pictures,
        r.test_pictures, number(r.seconds, "%.2f"), number(r.feature_seconds, "%.2f"), number(r.total_seconds, "%.2f"), number(r.joules, "%.1f"), r.peak_bytes, r.trained }, ",") .. "\n"
    end
  end
  return table.concat(out)
end

return tables
