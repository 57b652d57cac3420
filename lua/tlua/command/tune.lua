-- tune.lua - `tlua tune`: which maker of the matrix product is fastest on this device, class of products by class. What
-- is better than the shipped choice by a clear margin is kept in the cache folder and used from then on. Nothing else
-- measures.
local core = require "tlua.core"
local util = require "tlua.util"
local commands = require "tlua.command.commands"
local tune = {}

-- ---- what is measured ----

-- Sides are upper ends of classes: 50,176 rows of a ResNet are in that of 65536. "nt": the second operand lies
-- transposed, as weights do; "tn": the first, as in a weight's gradient. "kept": weights that are packed once.
tune.CLASSES = {
  { "heads", quick = true, "64 16 2048 nt fresh one", "64 16 512 nt fresh one", "16 16 2048 nt fresh one",
    "64 1024 2048 nt fresh one" },
  { "gradients of heads", "16 2048 64 tn fresh one", "16 512 64 tn fresh one", "64 2048 16 nn fresh one",
    "1024 2048 64 tn fresh one", "64 2048 1024 nn fresh one" },
  { "one row, sixteen rows", quick = true, "1 1024 2048 nt kept one", "16 512 512 nt fresh one",
    "16 512 512 nn fresh one" },
  { "one row, sixteen rows", "1 1024 1024 nt kept one", "1 512 512 nt kept one", "8 512 512 nt kept one",
    "16 512 512 nt kept one", "32 512 512 nt kept one", "32 512 512 nt fresh one", "128 512 512 nt kept one",
    "128 1024 1024 nt kept one", "128 4096 1024 nt kept one", "128 1024 4096 nt kept one" },
  { "ResNet-50, batch 16, frozen", quick = true, "65536 64 256 nt kept one", "16384 128 512 nt kept one",
    "4096 256 1024 nt kept one", "1024 2048 512 nt kept one" },
  { "ResNet-50, batch 16, frozen", "65536 64 64 nt kept one", "65536 256 64 nt kept one", "16384 512 128 nt kept one",
    "16384 128 256 nt kept one", "16384 512 256 nt kept one", "4096 1024 256 nt kept one", "4096 256 512 nt kept one",
    "4096 1024 512 nt kept one", "1024 512 2048 nt kept one", "1024 512 1024 nt kept one", "1024 2048 1024 nt kept one",
    "262144 64 256 nt kept one" },
  { "ResNet-50, batch 1, frozen", "4096 64 64 nt kept one", "4096 256 64 nt kept one", "4096 64 256 nt kept one",
    "1024 128 512 nt kept one", "1024 512 128 nt kept one", "256 256 1024 nt kept one", "256 1024 256 nt kept one",
    "64 512 2048 nt kept one", "64 2048 512 nt kept one" },
  { "ResNet-50, trained", quick = true, "1024 2048 512 nt fresh one", "1024 512 2048 nn fresh one",
    "2048 512 1024 tn fresh one" },
  { "ResNet-50, trained", "65536 64 256 nt fresh one", "65536 256 64 nt fresh one", "16384 128 512 nt fresh one",
    "16384 512 128 nt fresh one", "4096 256 1024 nt fresh one", "4096 1024 256 nt fresh one",
    "1024 512 2048 nt fresh one" },
  { "its gradients", "65536 64 256 nn fresh one", "65536 256 64 nn fresh one", "16384 512 128 nn fresh one",
    "4096 1024 256 nn fresh one", "4096 256 1024 nn fresh one", "1024 2048 512 nn fresh one",
    "256 64 65536 tn fresh one", "64 256 65536 tn fresh one", "512 128 16384 tn fresh one",
    "128 512 16384 tn fresh one", "1024 256 4096 tn fresh one", "256 1024 4096 tn fresh one",
    "512 2048 1024 tn fresh one" },
  { "3 x 3 convolutions as products", "65536 64 1024 nt fresh one", "16384 128 2048 nt fresh one",
    "4096 256 4096 nt fresh one", "1024 512 8192 nt fresh one" },
  { "BERT, 32 x 128 tokens", quick = true, "4096 512 512 nt kept one", "4096 2048 512 nt fresh one",
    "4096 1024 1024 nt fresh one" },
  { "BERT, 32 x 128 tokens", "4096 512 512 nt fresh one", "4096 512 2048 nt fresh one", "4096 512 512 nn fresh one",
    "4096 512 2048 nn fresh one", "4096 2048 512 nn fresh one", "4096 4096 1024 nt fresh one",
    "4096 1024 4096 nt fresh one", "4096 1024 1024 nn fresh one" },
  { "its gradients", "512 512 4096 tn fresh one", "2048 512 4096 tn fresh one", "512 2048 4096 tn fresh one",
    "1024 1024 4096 tn fresh one", "4096 1024 4096 tn fresh one" },
  { "heads of attention", quick = true, "128 128 64 nt fresh many", "128 64 128 nn fresh many" },
  { "heads of attention", "512 512 64 nt fresh many", "512 64 512 nn fresh many", "64 64 64 nt fresh many",
    "256 64 256 nn fresh many" },
  { "squares", quick = true, "1024 1024 1024 nn fresh one", "256 256 256 nn fresh one", "64 64 64 nn fresh one",
    "16 16 16 nn fresh one" },
  { "squares", "2048 2048 2048 nn fresh one", "512 512 512 nn fresh one", "128 128 128 nn fresh one",
    "32 32 32 nn fresh one" },
}

local function wanted(quick)
  local list = {}
  for _, group in ipairs(tune.CLASSES) do
    for _, class in ipairs(group.quick == true and group or quick and {} or group) do
      if class ~= group[1] then list[#list + 1] = { class = class, what = group[1] } end
    end
  end
  return list
end

-- ---- measuring ----

local COLUMNS = "%-28s %-11s %6s  %s"

-- "cpu-6x64 281  cpu-14x32 262": all that were measured, the fastest first.
local function rates(result)
  local list, words = {}, {}
  for i, m in ipairs(result) do list[i] = m end
  table.sort(list, function(a, b) return a.gflops == b.gflops and a.name < b.name or a.gflops > b.gflops end)
  for i, m in ipairs(list) do
    words[i] = ("%s %s"):format(m.name,
      m.wrong and "WRONG" or m.gflops > 0 and (m.gflops < 10 and "%.1f" or "%.0f"):format(m.gflops) or "refused")
  end
  return table.concat(words, "  ")
end

-- Measures one class, prints its line, and puts the choice into `kept` (class -> row) or takes it out.
local function one(each, rounds, kept)
  local result, why = core.tune(each.class, rounds)
  if not result then
    print(("%-28s not measured: %s"):format(each.class, why))
    return
  end
  local changed = result.choice ~= result.shipped
  local name = result[result.choice].name
  print(COLUMNS:format(each.class, name, changed and ("%+.0f %%"):format(100 * result.gain - 100) or "", rates(result)))
  io.stdout:flush()
  kept[each.class] = changed
    and { class = each.class, maker = name, percent = math.floor(100 * result.gain + 0.5) } or nil
end

local function rows_of(kept)
  local list = {}
  for _, class in ipairs(util.keys(kept)) do list[#list + 1] = kept[class] end
  return list
end

-- Measures `list` (wanted()) and keeps the choices beside those of classes that are not in it. Returns whether it came
-- to the end.
local function measure(list, rounds)
  local kept, done = {}, 0
  for _, row in ipairs(core.tuning()) do kept[row.class] = row end
  core.catch_interrupt(true)
  local ok, e = pcall(function()
    for i, each in ipairs(list) do
      if core.interrupted() then break end
      if i == 1 or each.what ~= list[i - 1].what then print(each.what) end
      one(each, rounds, kept)
      done = i
    end
  end)
  core.catch_interrupt(false)
  if not ok then error(e, 0) end
  core.tuning_save(rows_of(kept))
  if done < #list then print(("stopped after %d of %d classes; what they gave is kept"):format(done, #list)) end
  return done == #list
end

-- ---- the command ----

local function show()
  local table_ = core.tuning()
  if #table_ == 0 then
    print(("%s has no tuned table: the shipped choices hold"):format(core.device_info().name))
    return
  end
  print(("%-28s %-11s %6s"):format("class", "maker", "gain"))
  for _, row in ipairs(table_) do print(("%-28s %-11s %+5d %%"):format(row.class, row.maker, row.percent - 100)) end
  local forbids = os.getenv "TLUA_TUNING" == "0" and "TLUA_TUNING=0" or "TLUA_GEMM=" .. (os.getenv "TLUA_GEMM" or "")
  print(("%d %s in %s%s"):format(#table_, #table_ == 1 and "class" or "classes", core.tuning_path(),
    table_.hash == "shipped" and ("; not used, since %s forbids it"):format(forbids) or ", table " .. table_.hash))
end

local function run(quick)
  local d, begin = core.device_info(), core.time()
  print(("%s (%s): GFLOP/s of each maker; another one than the shipped is chosen where it is faster by 3 %% and more, "
    .. "in nearly all rounds"):format(d.name, d.platform))
  print(COLUMNS:format("class", "choice", "gain", "measured"))
  local whole = measure(wanted(quick), quick and 5 or 9)
  local now = core.tuning()
  if #now == 0 then
    print(("in %s: nothing is faster than the shipped choices, which hold"):format(util.clock(core.time() - begin)))
  else
    print(("in %s: %d %s another maker than the shipped one, kept in %s"):format(util.clock(core.time() - begin), #now,
      #now == 1 and "class takes" or "classes take", core.tuning_path()))
    print("results differ in their last bits from those without the table; TLUA_TUNING=0 goes without, " ..
      "`tlua tune --clear` removes it")
  end
  return whole and 0 or 130
end

local function options(argv)
  local o, rest = commands.parse("tune", argv)
  if #rest > 0 then commands.usage("tune", ("'%s' is not understood"):format(rest[1])) end
  if (o.show and 1 or 0) + (o.clear and 1 or 0) + (o.quick and 1 or 0) > 1 then
    commands.wrong("tune", "one of --quick, --show and --clear")
  end
  return o
end

-- argv: what stands behind `tlua tune`. Returns the exit status.
function tune.main(argv)
  local o = options(argv)
  core.device(o.device)
  if o.show then show()
  elseif o.clear then
    core.tuning_save {}
    print(("the shipped choices hold on %s"):format(core.device_info().name))
  else return run(o.quick) end
  return 0
end

return tune
