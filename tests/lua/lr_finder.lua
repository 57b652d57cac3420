-- lr_finder.lua - `tlua lr`: what it suggests from curves made here, with noise and without, that it says so where there is nothing to suggest,
-- and that it leaves no trace in what it measured. Run by `tlua tests/lua/lr_finder.lua`.
local t = dofile "tests/lua/run_tests.lua"
local pictures = dofile "tests/lua/run_pictures.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local schema = require "tlua.schema"
local progress = require "tlua.run.progress"
local finder = require "tlua.command.lr_finder"
local rule = require "tlua.command.lr_finder.rule"
local drawing = require "tlua.command.lr_finder.picture"
local nn = tlua.nn
local folder = t.folder()
pictures.cifar(folder .. "/cifar", 60)

-- ---- curves ----

local rates = {}
for i = 1, 100 do rates[i] = 1e-7 * 1e8 ^ ((i - 1) / 99) end

-- A source of normal numbers, the same each time.
local function normal(seed)
  local x = seed * 7919 + 1
  local function uniform()
    x = (x * 1103515245 + 12345) & 0x7fffffff
    return (x + 0.5) / 2147483648
  end
  for _ = 1, 5 do uniform() end
  return function() return math.sqrt(-2 * math.log(uniform())) * math.cos(2 * math.pi * uniform()) end
end

-- The loss of f at every rate, with noise.
local function curve(f, noise, seed)
  local draw, out = normal(seed or 1), {}
  for i, rate in ipairs(rates) do out[i] = f(math.log(rate, 10)) + (noise or 0) * draw() end
  return out
end

-- Falls from 2.3 to 1.1 about 10^-2.5, fastest there; grows from 10^-0.7 on.
local function valley(e) return 2.3 - 1.2 / (1 + math.exp(-5 * (e + 2.5))) + (e > -0.7 and 3 * (e + 0.7) or 0) end

local function within(got, low, high, what) assert(got and got >= low and got <= high, ("%s: %s is not in %g to %g"):format(what, tostring(got), low, high)) end

t.test("a clean valley", function()
  local found = rule.suggest(rates, curve(valley))
  within(found.steepest, 10 ^ -2.7, 10 ^ -2.3, "steepest")
  within(found.valley, 10 ^ -2.5, 10 ^ -1.9, "valley")
  within(found.from, 10 ^ -3.3, 10 ^ -2.8, "from")
  within(found.to, 10 ^ -2.3, 10 ^ -1.7, "to")
  within(found.lowest, 10 ^ -1.8, 10 ^ -0.6, "lowest")
  assert(not found.reason and not found.open)
end)

t.test("noise of a tenth of the fall moves the suggestions little, and makes none at rates that do nothing", function()
  for seed = 1, 40 do
    local found = rule.suggest(rates, curve(valley, 0.12, seed))
    within(found.steepest, 10 ^ -3.1, 10 ^ -1.6, "steepest, seed " .. seed)
    within(found.valley, 10 ^ -2.9, 10 ^ -1.4, "valley, seed " .. seed)
  end
  -- An outlier among the first steps, which the steepest place of the raw curve would be.
  local losses = curve(valley, 0.05)
  losses[2], losses[3] = 3.2, 1.7
  within(rule.suggest(rates, losses).steepest, 10 ^ -3, 10 ^ -2, "steepest beside an outlier")
end)

t.test("where the curve does not fall there is no rate to suggest", function()
  local function none(losses, reason, what)
    local found = rule.suggest(rates, losses)
    assert(not found.valley and not found.steepest and found.reason:find(reason, 1, true), ("%s: %s"):format(what, found.reason or "a suggestion"))
  end
  none(curve(function() return 2.3 end), "the curve does not fall", "constant")
  none(curve(function() return 0 end), "the curve does not fall", "zero")
  none(curve(function(e) return 2.3 - 1e-7 * e end), "the curve does not fall", "rounding")
  none(curve(function(e) return 2.3 + math.exp(2 * (e + 7)) end), "the curve does not fall before it grows", "diverging at once")
  none({ 0 / 0 }, "the loss is no number after 0 steps", "NaN at once")
  none({ 2.3, 2.2, 2.1, 2, math.huge }, "the loss is no number after 4 steps", "infinite")
  local suggested = 0
  for seed = 1, 300 do
    if rule.suggest(rates, curve(function() return 2.3 end, 0.2, seed)).valley then suggested = suggested + 1 end
  end
  assert(suggested <= 1, suggested .. " of 300 curves of noise have a suggestion")
end)

t.test("what is no number ends a curve, and what runs away does not draw the suggestion along", function()
  local losses = curve(valley)
  local whole = rule.suggest(rates, losses)
  for i = 80, 100 do losses[i] = 0 / 0 end
  local cut = rule.suggest(rates, losses)
  within(cut.valley, whole.valley / 1.5, whole.valley * 1.5, "valley")
  t.equal(#cut.smooth, 79)
  losses = curve(valley)
  for i = 76, 80 do losses[i] = 10.0 ^ (i - 74) end -- the last before a stop
  for i = 81, 100 do losses[i] = nil end
  local wild = rule.suggest(rates, losses)
  within(wild.steepest, whole.steepest / 1.5, whole.steepest * 1.5, "steepest")
  within(wild.valley, whole.valley / 1.5, whole.valley * 1.5, "valley")
  -- A curve that ends while it falls says so.
  losses = {}
  for i = 1, 58 do losses[i] = valley(math.log(rates[i], 10)) end
  assert(rule.suggest(rates, losses).open)
end)

t.test("wild steps at too large a rate do not hide a plain fall", function()
  local draw, losses = normal(4), {}
  for i, rate in ipairs(rates) do
    local e = math.log(rate, 10)
    losses[i] = 1.2 - 0.45 / (1 + math.exp(-4 * (e + 3.5))) + (e > -3.3 and 0.45 or 0.02) * draw() + (e > -2.3 and 0.8 * (e + 2.3) or 0)
  end
  within(rule.suggest(rates, losses).valley, 10 ^ -4, 10 ^ -2.3, "valley")
end)

t.test("each batch is compared with itself", function()
  local before, losses, draw = {}, {}, normal(3)
  for i, rate in ipairs(rates) do
    before[i] = 2.3 + draw() -- batches that differ by as much as the fall
    losses[i] = before[i] + valley(math.log(rate, 10)) - 2.3
  end
  local found = rule.suggest(rates, finder.curve(before, losses))
  within(found.steepest, 10 ^ -2.7, 10 ^ -2.3, "steepest")
  assert(rule.suggest(rates, losses).reason, "the losses alone tell nothing")
end)

-- ---- trainings ----

local function network()
  return nn.Sequential(nn.Conv2d(3, 8, 3, { stride = 2, padding = 1, bias = false }), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.2),
    nn.Linear(128, 10))
end

local function recipe(fields)
  local r = { model = network(), data = tlua.data.cifar10 { root = folder .. "/cifar", size = 32, batch = 8, mean = 0.5, std = 0.25, threads = 1, augment = "flip" },
    optim = tlua.optim.Adam { lr = 1e-3 }, schedule = { epochs = 2 }, out = folder .. "/run", accumulate = 2, clip = 5, ema = 0.9, seed = 3 }
  for key, value in pairs(fields or {}) do r[key] = value end
  return tlua.recipe(r)
end

local function session(fields)
  local s = recipe(fields):build()
  s.progress = progress.new "quiet"
  return s
end

local function hashes(net)
  local out = {}
  for name, x in net:named_tensors() do out[#out + 1] = name .. " " .. x:hash() end
  net:walk(function(m, path)
    for name, n in pairs(m:counters()) do out[#out + 1] = ("%s.%s %d"):format(path, name, n) end
  end)
  return table.concat(out, "\n")
end

local function trained(r)
  r:run { force = true, style = "quiet" }
  local out = {}
  for _, name in ipairs { "model", "last" } do
    local scope <close> = core.scope()
    for key, x in pairs(core.load(("%s/%s.safetensors"):format(r.out, name))) do
      if core.is_tensor(x) then out[#out + 1] = key .. " " .. x:hash() end
    end
  end
  table.sort(out)
  return table.concat(out, "\n")
end

t.test("a training's own curve: the suggested rate learns, the same twice", function()
  local found, again = finder.find(session(), { steps = 60 }), finder.find(session(), { steps = 60 })
  within(found.valley, 1e-4, 1, "valley")
  within(found.steepest, 1e-5, 1, "steepest")
  t.equal(found.valley, again.valley)
  t.equal(table.concat(found.curve, " "), table.concat(again.curve, " "))
  t.equal(found.field, "optim.lr")
  local function loss(rate) return recipe({ optim = tlua.optim.Adam { lr = rate }, ema = 0.0, schedule = { epochs = 6 } }):run({ force = true, style = "quiet" }).epochs[6].loss end
  local low, good = loss(found.valley / 300), loss(found.valley)
  assert(good < low - 0.3, ("%g at the suggestion, %g far below"):format(good, low))
  -- As long as the rate does nothing, the curve is flat, whatever the batches.
  for i = 1, 10 do within(found.curve[i], found.curve[1] - 1e-3, found.curve[1] + 1e-3, "step " .. i) end
end)

t.test("the finder leaves weights, statistics, counters, optimiser and draws as they were", function()
  local plain = trained(recipe())
  local r = recipe()
  local s = r:build()
  s.progress = progress.new "quiet"
  local before = hashes(s.model)
  finder.find(s, { steps = 30 })
  t.equal(hashes(s.model), before)
  for key, x in pairs(s.optim:state()) do
    local sum = core.is_tensor(x) and (x:to "float32" * x:to "float32"):sum():item() or x.int64
    assert(sum == 0, ("the optimiser has %s: %s"):format(key, tostring(sum)))
  end
  assert(s.ema and not s.ema:begun(), "an average has begun")
  t.equal(s.optim:lr(), 1e-3)
  s.optim:close()
  t.equal(trained(r), plain, "the run after it")
  -- With an error in its middle too.
  s = session()
  before = hashes(s.model)
  local count = 0
  t.fails("enough", finder.find, s, { steps = 30 }, function(_, i)
    count = count + 1
    if count == 45 then error("enough at " .. i, 0) end
  end)
  t.equal(hashes(s.model), before)
end)

t.test("groups with a rate of their own keep it; stages are found by their epochs", function()
  local s = session { groups = { { "0.*", lr = 1e-6 } } }
  local least, most = math.huge, 0
  local set = 0
  local trial = finder.find(s, { steps = 20 }, function() set = set + 1 end)
  t.equal(trial.field, "optim.lr")
  for k, g in ipairs(s.groups) do
    if g.own_rate then least, most = math.min(least, s.optim:lr(k)), math.max(most, s.optim:lr(k)) end
  end
  assert(least == 1e-6 and most == 1e-6 and set > 20)
  t.fails("all that is trained has a rate of its own", finder.find, session { groups = { { "*", lr = 1e-3 } } }, { steps = 20 })
  local staged = { schedule = { { epochs = 0, lr = 1 }, { epochs = 1, lr = 1e-2, freeze = "0.*" }, { epochs = 1 } } }
  local found = finder.find(session(staged), { steps = 20 })
  t.equal(found.stage, 2)
  t.equal(found.field, "schedule.2.lr")
  t.equal(finder.find(session(staged), { steps = 20, stage = 3 }).field, "optim.lr")
  t.equal(finder.find(session { schedule = { epochs = 1, lr = 1 } }, { steps = 20 }).field, "schedule.lr")
  t.fails("--stage 4: the schedule has 3 stages", finder.find, session(staged), { stage = 4 })
end)

t.test("losses that say nothing", function()
  local found = finder.find(session { loss = function(y) return (y * 0):mean() + 2 end }, { steps = 20 })
  t.equal(found.reason, "the curve does not fall")
  found = finder.find(session { loss = function(y) return (y * (0 / 0)):mean() end }, { steps = 20 })
  assert(found.reason:find("before the first step", 1, true) and not found.valley, found.reason)
  -- Losses below 0 do not end the sweep at once.
  found = finder.find(session { loss = function(y, labels) return nn.functional.cross_entropy(y, labels) - 10 end }, { steps = 60 })
  assert(#found.rates > 30 and found.valley, #found.rates)
end)

-- ---- the command ----

local HEAD = [[
local tlua = require "tlua"
local nn = tlua.nn
return tlua.recipe { model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)), optim = tlua.optim.SGD { lr = 0.01 }, loss = LOSS,
  data = tlua.data.cifar10 { root = "ROOT/cifar", size = 32, batch = 8, mean = 0.5, std = 0.25, threads = 1 }, schedule = SCHEDULE }
]]

local function write(name, loss, schedule)
  local path = folder .. "/" .. name
  core.write_file(path, (HEAD:gsub("LOSS", loss or "nn.CrossEntropy {}"):gsub("SCHEDULE", schedule or "{ epochs = 1 }"):gsub("ROOT", folder)))
  return path
end

t.test("the command: two rates and what to type, a picture with any name in its title", function()
  local path = write [[a<b>&"c'.lua]]
  local quoted = ("'%s'"):format(path:gsub("'", [['\'']]))
  local status, out, err = t.run(("./tlua lr %s --steps 60 --to %s/lr.svg"):format(quoted, folder))
  assert(status == 0, err)
  local valley = out:match "\nvalley    (%S+)"
  assert(valley and out:find("--optim.lr " .. valley, 1, true) and out:find "\nsteepest  %S+", out)
  assert(out:find "^rate +first loss %+ change on the batch\n1e%-07 +%-?%d", out)
  local svg = core.read_file(folder .. "/lr.svg")
  assert(svg:find([[>a&lt;b&gt;&amp;&quot;c', nn.Sequential]], 1, true), svg:match "<text[^\n]*")
  assert(svg:find("^<svg") and svg:find("polyline", 1, true) and svg:find("</svg>", 1, true) and svg:find(">valley ", 1, true) and svg:find(">first loss + change on the batch<", 1, true))
  assert(not svg:gsub("&%a+;", ""):find("&", 1, true) and not svg:find("[<>]&"), "not XML")
  status, out = t.run(("./tlua lr %s --steps 60 --to %s/lr.svg --json"):format(quoted, folder))
  local found = core.json_decode(out)
  assert(status == 0 and found.field == "optim.lr" and #found.rates == #found.curve and found.stage == 1, out)
  t.equal(("%.1e"):format(found.valley), valley)
  local changed = drawing.svg({ 1e-3, 1e-2 }, { 1, 1 }, { smooth = { 1, 1 } }, "x\1\n\xff")
  assert(changed:find(">x  \\xFF<", 1, true), "control characters and bytes in a title")
end)

t.test("the command: a plain word where there is nothing", function()
  local status, out, err = t.run(("./tlua lr %s --steps 20 --to %s/lr.svg"):format(write("constant.lua", "function(y) return (y * 0):mean() end"), folder))
  assert(status == 0 and out:find("no rate to suggest: the curve does not fall between 1e-07 and 10", 1, true), out .. err)
  status, out = t.run(("./tlua lr %s --steps 20 --to %s/lr.svg --json"):format(folder .. "/constant.lua", folder))
  local found = core.json_decode(out)
  assert(status == 0 and found.valley == nil and found.reason == "the curve does not fall", out)
  status, _, err = t.run(("./tlua lr %s --steps 20 --to %s/lr.svg"):format(write("nan.lua", "function(y) return (y * (0 / 0)):mean() end"), folder))
  assert(status == 1 and err:find("no rate to suggest: the loss is no number before the first step", 1, true), err)
  status, out, err = t.run(("./tlua lr %s --steps 60 --to %s/lr.svg"):format(write("staged.lua", nil, "{ { epochs = 1, lr = 0.1 }, { epochs = 2 } }"), folder))
  assert(status == 0 and out:find("--schedule.1.lr ", 1, true) and out:find("of stage 1", 1, true), out .. err)
  status, _, err = t.run "./tlua lr recipes/cifar_fe.lua --from 0"
  assert(status == 2 and err:find("--from must be above 0", 1, true), err)
  status, _, err = t.run "./tlua lr recipes/cifar_fe.lua --from 1 --up_to 0.1"
  assert(status == 2 and err:find("rates go from --from", 1, true), err)
  status, _, err = t.run "./tlua lr recipes/cifar_fe.lua --steps 3"
  assert(status == 2 and err:find("--steps must be from 10 on", 1, true), err)
  status, _, err = t.run "./tlua lr"
  assert(status == 2 and err:find("a recipe is needed", 1, true), err)
  local o, rest = finder.options { { "steps", "50" }, { "optim.lr", "1" } }
  assert(o.steps == 50 and o.stage == 0 and #rest == 1 and rest[1][1] == "optim.lr")
  assert(schema.find(finder.SCHEMA, "stage"))
end)

os.execute("rm -rf " .. folder)
t.finish()
