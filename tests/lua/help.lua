-- help.lua - the manual knows everything that is public, and tells the options that the code has. What the prompt shows of tensors
-- asks the device for the excerpt alone.
local core = require "tlua.core"
local tlua = require "tlua"
local util = require "tlua.util"
local help = require "tlua.repl.help"
local inspect = require "tlua.repl.inspect"
local complete = require "tlua.repl.complete"
local repl = require "tlua.repl"
local t = dofile "tests/lua/run_tests.lua"
local nn = tlua.nn

local topics = help.topics()
local function known(name) assert(topics[name], "help knows nothing of " .. name) end

t.test("everything public has an entry", function()
  for name in pairs(nn.layers) do known("nn." .. name) end
  for _, name in ipairs(tlua.optim.names) do known("optim." .. name) end
  for _, name in ipairs(tlua.data.names) do known("data." .. name) end
  for _, name in ipairs(tlua.task.names()) do known("task." .. name) end
  for _, name in ipairs(tlua.models.names()) do
    known(name)
    t.equal(help.entry(tlua.models[name]).name, "models." .. name)
  end
  local parts = { nn = 1, models = 1, optim = 1, data = 1, task = 1, ops = 1, version = 1 }
  for _, name in ipairs(getmetatable(tlua).names()) do
    if not parts[name] and not core.ops[name] then known("tlua." .. name) end
  end
  for name in pairs(debug.getmetatable(tlua.zeros(1)).methods) do
    if not core.ops[name] then known("x:" .. name) end
  end
  local inner = { __gc = 1, __name = 1, __index = 1, close = 1, ema = 1, swap_ema = 1, has_ema = 1 } -- tlua.optim.ema has them
  for name in pairs(core.optimizer_methods) do
    if not inner[name] then known("opt:" .. name) end
  end
end)

t.test("every option has a type", function()
  for _, section in ipairs(help.sections()) do
    for _, entry in ipairs(section) do
      for _, form in ipairs(entry.forms) do
        for _, o in ipairs(form.options or {}) do assert(o.type and o.type ~= "any", ("%s: %s has a type that help.lua does not know"):format(entry.name, o.name)) end
      end
    end
  end
end)

t.test("every entry stands for something", function()
  for _, section in ipairs(help.sections()) do
    for _, entry in ipairs(section) do
      assert(entry.text ~= "", entry.name .. " has no text")
      local owner, name = entry.name:match "^(%w+)[.:]([%w_]+)$"
      if owner == "x" then assert(tlua.zeros(1)[name], entry.name)
      elseif owner == "net" then assert(nn.Module[name], entry.name)
      elseif owner == "encoder" then assert(require("tlua.models.text.texts")[name], entry.name)
      elseif owner == "detector" then assert(require("tlua.models.detect.detector")[name], entry.name)
      elseif owner == "opt" then assert(core.optimizer_methods[name], entry.name)
      elseif owner == "tlua" then assert(tlua[name], entry.name)
      elseif owner then assert(tlua[owner][name], entry.name) end
    end
  end
end)

-- The options that a constructor names when it meets one that it does not know.
local function options_of(class, entry)
  local args = {}
  for i = 1, #entry.forms[1].params do args[i] = 4 end
  args[#args + 1] = { xyzzyxyzzy = 1 }
  local text = t.fails("unknown option of", class, table.unpack(args))
  local list = {}
  for name in (text:match "there is ([%w_, ]+)" or ""):gmatch "[%w_]+" do list[name] = true end
  list.none = nil
  return list
end

t.test("options of layers are those of the code", function()
  for _, section in ipairs(help.sections()) do
    for _, entry in ipairs(section) do
      local name = entry.name:match "^nn%.(%u%w+)$"
      local params = entry.forms[1].params
      if name and not (params[1] and params[1].name == "...") then
        local own = options_of(nn[name], entry)
        for _, o in ipairs(entry.forms[1].options or {}) do
          assert(own[o.name], ("%s has no option %s"):format(name, o.name))
          own[o.name] = nil
        end
        for _, p in ipairs(params) do own[p.name] = nil end
        assert(next(own) == nil, ("the option %s of %s is not in the manual"):format(next(own), name))
      end
    end
  end
end)

t.test("help by value and by name", function()
  t.equal(help.entry(nn.Linear).name, "nn.Linear")
  t.equal(help.entry(nn.Linear(2, 3)).name, "nn.Linear")
  t.equal(help.entry(tlua.ops.matmul).name, "matmul")
  t.equal(help.entry(tlua.zeros(1).matmul).name, "matmul")
  t.equal(help.entry(tlua.optim.Adam).name, "optim.Adam")
  t.equal(help.entry(tlua.zeros(1).tolist).name, "x:tolist")
  t.equal(help.entry(print), nil)
  assert(help.page(help.entry(tlua.optim.SGD), 80):find("nesterov", 1, true))
  assert(help.page(help.entry(nn.CrossEntropy), 80):find("label_smoothing", 1, true))
  for line in help.page(help.entry(tlua.ops.conv), 80):gmatch "[^\n]+" do assert(#line <= 100, line) end
end)

t.test("an excerpt reads its own elements and no others", function()
  local x = tlua.arange(60):reshape { 3, 4, 5 }
  local got = core.excerpt(x:transpose(1, 3), { { 1, 5 }, { 2 }, { 1, 3 } })
  t.equal(table.concat(got, " "), "5.0 45.0 9.0 49.0")
  t.fails("there is no element 6 of 5", core.excerpt, x:transpose(1, 3), { { 6 }, { 1 }, { 1 } })
  local y = tlua.zeros(4000, 4000):transpose()
  core.sync()
  local launches, copies = core.counters()
  local _, _, before = core.memory()
  assert(inspect.text(y, 80):find("tensor (4000, 4000) float32", 1, true))
  assert(tostring(y):find("...", 1, true))
  local after, more = core.counters()
  local _, _, peak = core.memory()
  t.equal(after, launches, "launches")
  t.equal(more, copies, "copies")
  t.equal(peak, before, "peak memory")
end)

t.test("tensors as text", function()
  t.equal(inspect.text(tlua.tensor { { 1, -2.5 }, { 0 / 0, 1 / 0 } }, 80), "tensor (2, 2) float32\n   1.0000  -2.5000\n      nan      inf")
  t.equal(inspect.text(tlua.tensor({ 1, 20, 3 }, { dtype = "int32" }), 80), "tensor (3) int32\n   1  20   3")
  t.equal(inspect.text(tlua.tensor(2.5), 80):match "^%S+", "2.5")
  assert(inspect.text(tlua.zeros(0, 3), 80):find("without elements", 1, true))
  for _, shape in ipairs { { 1000 }, { 1000, 1000 }, { 50, 50, 50 }, { 9, 8, 7, 6, 5 } } do
    local lines = 0
    for line in inspect.text(tlua.zeros(table.unpack(shape)), 60):gmatch "[^\n]+" do
      lines = lines + 1
      assert(#line <= 60, line)
    end
    assert(lines <= 40, lines)
  end
  local w = tlua.ones(2, 2)
  w:requires_grad(true)
  assert(inspect.text(w, 80):find("requires grad", 1, true))
end)

t.test("modules as text", function()
  local net = tlua.models.resnet18 { classes = 10 }
  net:freeze "*"
  net.fc:unfreeze()
  local text = inspect.text(net, 100)
  assert(text:find("11,181,642 parameters, 5,130 trained", 1, true), text)
  assert(text:find("layer4 .*frozen"), text)
  assert(text:find("weight (10, 512), bias (10)", 1, true), text)
  local lines = select(2, text:gsub("\n", "\n"))
  assert(lines < 35, lines)
  assert(inspect.text(nn.Sequential(nn.Linear(3), nn.ReLU()), 80):find("not all known", 1, true))
end)

t.test("what is open goes on", function()
  local function more(text) return select(2, repl.compile(text)) end
  for _, text in ipairs { "for i = 1, 2 do", "f(1,", "x = {", "1 +", "{ 1, 2,", "print([[a", '"abc\\', "local function f()", "--[[ a" } do
    assert(more(text) == true, text)
  end
  for _, text in ipairs { "x = = 3", "end", '"abc', "1 1", "x =" .. " )" } do assert(more(text) == false, text) end
  for _, text in ipairs { "1 + 1", "x = 1", "= 3", "for i = 1, 2 do end", "f { 1 }", "-- a comment" } do assert(repl.compile(text), text) end
end)

local function list(line) return table.concat(complete.candidates(line)[1], " ") end

t.test("completion", function()
  rawset(_G, "tlua", tlua)
  rawset(_G, "thing", setmetatable({ alpha = { beta = 1 } }, { __index = setmetatable({ method = print }, { __index = { deeper = 2 } }) }))
  rawset(_G, "net", nn.Sequential(nn.Linear(2, 3)))
  t.equal(list "tlua.nn.Lin", "Linear")
  t.equal(list "x = tlua.optim.Ada", "Adam AdamW")
  t.equal(list "thing.", "alpha deeper method")
  t.equal(list "thing:", "method")
  t.equal(list "thing.alpha.b", "beta")
  t.equal(list "print(thing.de", "deeper")
  t.equal(list "net:para", "parameter parameters")
  t.equal(list "net.modu", "modules")
  assert(rawget(net, "_built") == nil, "completion has built the network")
  t.equal(list "nothing.at.", "")
  t.equal(list "3.", "")
  t.equal(list "f(x).", "")
  t.equal(list "thing..thin", "thing")
  t.equal(list "require 'tlua.train.s", "tlua.train.scaling tlua.train.schedule tlua.train.stage tlua.train.step")
  t.equal(list 'x("tests/cli/err', "errors.sh")
  t.equal(list 'x("tes', "tests/")
  t.equal(list 'help "matm', "matmul")
  t.equal(list "-- it's tlua.nn.Lin", "Linear")
  rawset(_G, "trap", setmetatable({}, { __index = function() error "was called" end }))
  t.equal(list "trap.some.", "")
  t.equal(complete.tab "tlua.nn.Line", "ar")
  t.equal(complete.tab 'x("tests/cli/err', 'ors.sh"')
  t.equal(complete.tab "  ", "  ")
end)

t.test("pictures", function()
  local picture = require "tlua.repl.picture"
  local x = tlua.tensor { { { 1, 0, 0 }, { 0, 1, 0 } }, { { 0, 0, 1 }, { 1, 1, 1 } } }
  local pixels, low, high = core.picture(x, 2, 2)
  t.equal(pixels, "\255\0\0\0\255\0\0\0\255\255\255\255")
  t.equal(low, 0.0)
  t.equal(high, 1.0)
  t.equal(picture.blocks(pixels, 2, 2, true), "\27[38;2;255;0;0;48;2;0;0;255m▀\27[38;2;0;255;0;48;2;255;255;255m▀\27[0m")
  t.equal(picture.blocks(pixels, 2, 2), "\27[38;5;196;48;5;21m▀\27[38;5;46;48;5;231m▀\27[0m")
  t.equal(picture.kitty("abc", 1, 1), "\27_Ga=T,f=24,s=1,v=1,m=0;YWJj\27\\")
  t.equal(core.picture(x:mean { axes = { 3 } }, 1, 1), "\128\128\128")
  t.equal(core.picture(x * 2 - 1, 2, 2), pixels)
  t.equal(core.picture(tlua.tensor { { 0 / 0, 1 } }, 2, 1), "\0\0\0\255\255\255")
  -- A sixel picture, read again: every pixel is painted once.
  local w, h, painted = 7, 9, 0
  local text = picture.sixel(("\255\0\0"):rep(w * h), w, h)
  for bits in text:match "#215;2;[%d;]+(.*)\27\\$":gsub("#%d+", ""):gsub("!(%d+)(.)", function(n, c) return c:rep(tonumber(n)) end):gmatch "[?-~]" do
    local v = bits:byte() - 63
    while v > 0 do painted, v = painted + (v & 1), v >> 1 end
  end
  t.equal(painted, w * h)
  t.fails("a picture is", core.picture, tlua.zeros(3), 1, 1)
end)

t.finish()
