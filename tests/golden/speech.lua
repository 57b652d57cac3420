-- speech.lua - the networks for sound against PyTorch (tests/golden/make_speech.py made the goldens): answers and every
-- parameter's gradient, of a padded batch here and of clips one by one there.
--   tlua tests/golden/speech.lua
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local values = dofile "tests/golden/run_values.lua"
local ops = core.ops
local golden, about = core.load "tests/golden/speech.safetensors"
local SEED = 7

-- The first n rows of clip i (from 0), or its only one.
local function clip(y, i, n)
  y = ops.slice(y, 1, i, 1)
  return n and ops.slice(y, 2, 0, n) or y
end

-- Against the size of a typical element; gradients that are zero but for rounding against `floor`.
local function gradient_error(g, want, floor)
  local all = g:reshape(-1):tolist()
  local n, square, got = #all, 0, {}
  for i = 1, n do square = square + all[i] ^ 2 end
  for i = 0, 15 do got[i + 1] = all[1 + math.tointeger(math.floor(i * (n - 1) / 15 + 1e-9))] end
  local typical = math.max(want[1] / math.sqrt(n), floor)
  local worst = math.abs(math.sqrt(square) - want[1]) / math.max(want[1], typical)
  for i = 1, 16 do
    local d = math.abs(got[i] - want[i + 1]) / math.max(typical, math.abs(want[i + 1]))
    if not (d <= worst) then worst = d == d and d or math.huge end
  end
  return worst
end

-- A thousandth of the size of all gradients' elements.
local function floor_of(net, name)
  local square, count = 0, 0
  for key, p in net:parameters() do
    local known = golden[name .. ".grad." .. key]
    square = square + (known and known:tolist()[1] or 0) ^ 2
    local n = 1
    for _, d in ipairs(p:shape()) do n = n * d end
    count = count + n
  end
  return 1e-3 * math.sqrt(square / count)
end

local function case(name, o)
  core.manual_seed(SEED)
  local net = values.fill(tlua.models[o.model](o.options)):eval()
  local most = 0
  for _, n in ipairs(o.lengths) do most = math.max(most, n) end
  local x = core.normal({ #o.lengths, most, table.unpack(o.element) }, 0, 1, "input")
  local lengths = core.tensor(o.lengths, { dtype = "int32" })
  local y, left = net(x, lengths)
  local loss, worst, counts = nil, 0, left and left:tolist()
  local planned
  do
    local guard <close> = core.no_grad()
    planned = net(x, lengths)
  end
  for i = 0, #o.lengths - 1 do
    local want, name_of = golden[("%s.out.%d"):format(name, i)], "weights of clip " .. i
    if counts then t.equal(counts[i + 1], want:shape(1), "frames of clip " .. i) end
    local mine = clip(y, i, counts and want:shape(1))
    worst = math.max(worst, t.distance(mine, want),
      t.distance(clip(planned, i, counts and want:shape(1)), want))
    local part = (mine:reshape(want:shape()) * core.normal(want:shape(), 0, 1, name_of)):sum()
    loss = loss and loss + part or part
  end
  assert(worst < 1e-4, ("the answers are off by %g"):format(worst))
  loss:backward()
  local floor, steepest = floor_of(net, name), 0
  for key, g in pairs(net:gradients()) do
    local e = gradient_error(g, golden[name .. ".grad." .. key]:tolist(), floor)
    assert(e < 1e-3, ("the gradient of %s is off by %g"):format(key, e))
    steepest = math.max(steepest, e)
  end
  print(("%-24s answers %.1e  gradients %.1e"):format(name, worst, steepest))
end

local names = {}
for name in pairs(about) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
  t.test(name, function() case(name, core.json_decode(about[name])) end)
end
t.finish()
