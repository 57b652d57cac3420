-- bindings.lua - ownership seen from Lua: errors in mid-step, scopes, coroutines that are abandoned, closures that
-- keep tensors, and the lines that errors name. Run by `tlua tests/lua/bindings.lua`.
local core = require "tlua.core"
local passed, failed = 0, 0
local function test(name, f)
  local ok, e = xpcall(f, debug.traceback)
  if ok then passed = passed + 1 else failed = failed + 1 print("FAILED " .. name .. ": " .. e) end
end
local function fails(pattern, f, ...)
  local ok, e = pcall(f, ...)
  assert(not ok, "no error where one was expected: " .. pattern)
  assert(tostring(e):find(pattern, 1, true), ("the error is %q, not %q"):format(tostring(e), pattern))
  return e
end
local function live() collectgarbage() collectgarbage() return (core.memory()) end
core.zeros(1)
local base = live()

test("a scope frees what was made in it, and says so", function()
  local kept, out
  do
    local s <close> = core.scope()
    kept = core.ones(1000) * 2
    out = s:keep(kept + 1)
  end
  assert(kept:freed() and not out:freed() and out[1]:item() == 3)
  local line = fails("was freed with the scope opened at tests/lua/bindings.lua:", function() return kept + 1 end)
  assert(line:find("^tests/lua/bindings.lua:%d+: "))
end)

test("nested scopes keep into the one around", function()
  local x
  do
    local outer <close> = core.scope()
    do
      local inner <close> = core.scope()
      x = inner:keep(core.ones(3))
    end
    assert(not x:freed())
  end
  assert(x:freed())
end)

test("an error in mid-step frees the step", function()
  local w = core.randn(4, 4):requires_grad(true)
  local before = live()
  for _ = 1, 50 do
    local ok = pcall(function()
      local s <close> = core.scope()
      local y = (core.randn(4, 4) * w):exp()
      local z = y + core.zeros(3)
      z:sum():backward()
    end)
    assert(not ok)
  end
  assert((core.memory()) == before, "bytes are left")
end)

test("an abandoned coroutine frees its scope when it is collected", function()
  local before = live()
  for _ = 1, 20 do
    local co = coroutine.create(function()
      local s <close> = core.scope()
      local x = core.randn(1000)
      coroutine.yield(x:sum():item())
      error("never reached")
    end)
    assert(coroutine.resume(co))
  end
  assert(live() == before, "bytes are left")
end)

test("scopes and recording are per coroutine", function()
  local co = coroutine.wrap(function()
    local g <close> = core.no_grad()
    local s <close> = core.scope()
    coroutine.yield(core.recording())
    coroutine.yield(core.recording())
  end)
  assert(co() == false and core.recording() == true)
  local x = core.ones(2)
  assert(co() == false)
  co()
  assert(not x:freed())
end)

test("closures keep tensors, tensors die with them", function()
  local before = live()
  local f = (function() local big = core.ones(100000) return function() return big:sum():item() end end)()
  assert(f() == 100000)
  assert(live() > before)
  f = nil
  assert(live() == before)
end)

test("the collector follows device bytes", function()
  core.reset_peak()
  local base_live = core.memory()
  for _ = 1, 300 do local x = core.zeros(4 * 1024 * 1024) end -- 16 MB each, no scope
  local _, _, peak = core.memory()
  assert(peak - base_live < 1.5e9, ("peak %.0f MB"):format(peak / 1e6))
end)

test("every allocation may fail, from Lua too", function()
  local w = core.randn(3, 4):requires_grad(true)
  local function step()
    local s <close> = core.scope()
    local y = ((core.ones(2, 3, 4) * w):relu():mean(3) + 1):sum()
    y:backward()
    w:zero_grad()
    return y:item()
  end
  local want = step()
  local before, count = live(), 0
  for n = 1, 2000 do
    core.inject_failure(n)
    local ok, e = pcall(step)
    local used = core.inject_failure(0)
    if not ok then count = count + 1 assert(tostring(e):find("memory"), e) end
    w:zero_grad()
    assert(live() == before, "bytes are left after allocation " .. n)
    if used < n then break end
  end
  assert(step() == want)
end)

test("no_grad records nothing", function()
  local w = core.ones(3):requires_grad(true)
  local y
  do
    local g <close> = core.no_grad()
    y = (w * 2):sum()
  end
  fails("nothing that led to this tensor wants a gradient", function() y:backward() end)
  assert(core.recording())
end)

test("gradients accumulate, and the graph is used once", function()
  local w = core.tensor { 1, 2, 3 }:requires_grad(true)
  local y = (w * w):sum()
  y:backward(nil, { retain = true })
  y:backward()
  assert(w.grad[2]:item() == 8)
  fails("earlier backward", function() y:backward() end)
  w:zero_grad()
  assert(w.grad == nil)
  local z = (w * w):sum()
  w:fill_(2)
  fails("changed in place", function() z:backward() end)
end)

test("messages name what was meant", function()
  local x = core.ones(2, 3)
  fails("did you mean 'shape'", function() return x:shpae() end)
  fails("unknown option of sum: 'axs'; did you mean 'axes'?", function() return x:sum { axs = 1 } end)
  fails("dimensions count from 1", function() return x:sum(0) end)
  -- Dimensions are called what the user called them.
  for _, d in ipairs { 3, 7, -3 } do
    local text = ("there is no dimension %d in a tensor of 2"):format(d)
    fails(text, function() return x:sum(d) end)
    fails(text, function() return x:mean { axes = { 1, d } } end)
    fails(text, function() return x:softmax(d) end)
    fails(text, function() return x:argmax(d) end)
    fails(text, function() return core.ops.slice(x, d, 0, 1) end)
    fails(text, function() return core.ops.concat(x, x, { axis = d }) end)
    fails(text, function() return x:shape(d) end)
  end
  fails("(2, 3) and (4, 5) differ in more than dimension 1", function() return core.ops.concat(x, core.ones(4, 5), { axis = 1 }) end)
  fails("add: (2, 3) and (4) do not broadcast", function() return x + core.ones(4) end)
  fails("the rows of a tensor must be equally long", core.tensor, { { 1, 2 }, { 3 } })
  fails("1.5 is not an int32", core.tensor, { 1.5 }, { dtype = "int32" })
  fails("there is no element 3 of 2", function() return x[3] end)
  fails("unknown dtype 'float23'; did you mean 'float32'?", core.zeros, 2, { dtype = "float23" })
end)

test("elements, shapes and arithmetic count from 1", function()
  local x = core.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
  assert(#x == 2 and x:shape()[2] == 3 and x:shape(-1) == 3 and x[2][3]:item() == 6 and x[-1][1]:item() == 4)
  assert(table.concat(x:sum(1):tolist(), " ") == "5.0 7.0 9.0")
  assert(table.concat(x:transpose(1, 2):reshape(-1):tolist(), " ") == "1.0 4.0 2.0 5.0 3.0 6.0")
  assert((2 - x)[1][1]:item() == 1 and (x - 2)[1][1]:item() == -1 and (6 / x)[2][3]:item() == 1 and (x ^ 2)[2][1]:item() == 16)
  local t = core.tensor({ 1, 2 }, { dtype = "int32" })
  assert(math.type(t:tolist()[1]) == "integer" and t:dtype() == "int32")
  local h = x:to("float16")
  assert(h:dtype() == "float16" and (h * 2):dtype() == "float16" and (h * 2)[2][3]:item() == 12)
end)

test("whole numbers stay whole", function()
  local ops = core.ops
  local function whole(list) return core.tensor(list, { dtype = "int32" }) end
  local a, b = whole { 7, -7, 5, -2147483647 }, whole { 2, 2, 0, -1 }
  local function is(want, t, dtype)
    local text = table.concat(t:tolist(), " ")
    assert(text == want and t:dtype() == (dtype or "int32"), text)
  end
  is("9 -5 5 -2147483648", a + b)
  is("3 -3 0 2147483647", a / b)
  is("1 1 0 0", ops.mod(a, b))
  is("1 -1 0 0", ops.fmod(a, b))
  is("1 0 1 0", ops.ge(a, b))
  is("0 1 0 1", a:lt(b))
  is("9 -5 7 -2147483645", a + 2)
  is("2 2 0 -1", 2 * b / 2)
  is("7.5 -6.5 5.5 -2147483648.0", a + 0.5, "float32")
  is("1.0 0.0 1.0 0.0", ops.gt(a, b:cast()), "float32")
  is("-7 7 -5 2147483647", -a)
  is("3 7 11", ops.range { start = 3, count = 3, step = 4 })
  is("", ops.range(0, 0))
  is("16777217 16777219", whole { { 16777216, 1 }, { 16777216, 3 } }:sum(2))
  is("16777217 0", ops.pad(whole { 16777217 }, { after = { 1 } }))
  is("16777217 16777217", whole { 16777217, 0 }:gather(whole { 0, 0 }))
  is("7 2 5 -1", ops.where(whole { 1, 0, 1, 0 }, a, b))
  is("3 -3 0 0", core.tensor({ 3.9, -3.9, 0.5, -0.5 }):cast "int32")
  local x = core.tensor { { 3, 0 / 0, 5, 5 }, { -1, 2, 0, 2 } }
  local values, places = x:topk { k = 3 }
  assert(values[1][1]:item() ~= values[1][1]:item() and table.concat(values[1]:tolist(), " ", 2) == "5.0 5.0")
  is("1 2 3", places[1])
  is("1 3 2", places[2])
  is("-1.0 0.0", x:topk({ k = 2, largest = false })[2], "float32")
  is("2 1", whole { { 1, 3, 9 }, { 1, 8, 8 } }:argmax())
  fails("topk: 5 elements of a dimension of 4", function() x:topk(5) end)
  fails("exp: x must be a float tensor, not int32", function() return a:exp() end)
  fails("range: 3 numbers from 2147483647 on, 1 apart, are not all int32", ops.range, 2147483647, 3)
end)

test("random numbers depend on the seed and the name", function()
  core.manual_seed(3)
  local a, b = core.randn(5), core.randn(5)
  core.manual_seed(3)
  assert(core.randn(5):hash() == a:hash() and core.randn(5):hash() == b:hash() and a:hash() ~= b:hash())
  assert(core.normal({ 4 }, 0, 1, "w"):hash() == core.normal({ 4 }, 0, 1, "w"):hash())
  assert(core.normal({ 4 }, 0, 1, "w"):hash() ~= core.normal({ 4 }, 0, 1, "v"):hash())
end)

collectgarbage() collectgarbage()
test("nothing is left at the end", function() assert(live() <= base, live() .. " bytes") end)
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and 0 or 1, true)
