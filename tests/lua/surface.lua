-- surface.lua - distances between the surfaces of masks against MONAI's (tests/golden/make_surface.py), and what there
-- is to say of empty and ignored ones. Run by `tlua tests/lua/surface.lua`.
local t = dofile "tests/lua/run_tests.lua"
local core = require "tlua.core"
local distances = core.surface.distances

local golden = core.load "tests/golden/surface.safetensors"

local function expected()
  local bytes = golden.expected:tolist()
  for i, b in ipairs(bytes) do bytes[i] = string.char(b) end
  return core.json_decode(table.concat(bytes))
end

local function near(got, want, what, most)
  assert(math.abs(got - want) <= (most or 1e-6) * math.max(1, math.abs(want)),
    ("%s is %.9g, not %.9g"):format(what, got, want))
end

t.test("distances are MONAI's", function()
  local n = 0
  for _, case in ipairs(expected()) do
    local classes = {}
    for k = 1, case.classes do classes[k] = k - 1 end
    local said, is = golden[case.name .. ".said"], golden[case.name .. ".is"]
    local rows = distances(said, is, { class = classes, spacing = case.spacing })
    t.equal(#rows, case.classes)
    for k, row in ipairs(rows) do
      for _, key in ipairs { "hausdorff", "hausdorff_95", "mean", "mean_said", "mean_is", "surface_is" } do
        near(row[key], case[key][k], ("%s, class %d: %s"):format(case.name, k - 1, key), 2e-6)
      end
      local one = distances(said, is, { class = k - 1, spacing = case.spacing })
      for key, v in pairs(one) do t.equal(v, row[key], key) end
      n = n + 1
    end
  end
  assert(n == 20, n)
end)

t.test("volumes and what is counted", function()
  local said = core.tensor { { { 0, 1, 1, 0 }, { 0, 7, 1, 0 } } }
  local is = core.tensor { { { 0, 0, 1, 0 }, { 0, 0, 1, 0 } } }
  local r = distances(said, is, { spacing = { 3, 2, 0.5 } })
  t.equal(r.elements_said, 4)
  t.equal(r.elements_is, 2)
  t.equal(r.volume_said, 12.0)
  t.equal(r.volume_is, 6.0)
  t.equal(r.volume_error, 1.0)
  t.equal(r.hausdorff, 0.5)
  t.equal(r.mean_said, 0.25)
  t.equal(r.mean_is, 0.0)
  near(r.mean, 1 / 6, "mean")
  t.equal(r.empty, nil)
  t.equal(distances(said, is, { spacing = 2 }).volume_said, 32.0)
end)

t.test("empty masks are told", function()
  local none, some = core.tensor { { 0, 0 }, { 0, 0 } }, core.tensor { { 0, 1 }, { 0, 0 } }
  local r = distances(none, some)
  t.equal(r.empty, "said")
  for _, key in ipairs { "hausdorff", "hausdorff_95", "mean", "mean_said", "mean_is" } do t.equal(r[key], math.huge) end
  t.equal(r.volume_error, -1.0)
  r = distances(some, none)
  t.equal(r.empty, "is")
  t.equal(r.hausdorff_95, math.huge)
  assert(r.volume_error ~= r.volume_error)
  r = distances(none, none)
  t.equal(r.empty, "both")
  assert(r.hausdorff ~= r.hausdorff and r.mean ~= r.mean)
  t.equal(distances(core.zeros(0, 3), core.zeros(0, 3)).empty, "both")
end)

t.test("what is ignored is in no mask", function()
  local said, is = core.tensor { 1, 1, 0, 0, 0, 1 }, core.tensor { 1, 1, 0, 0, 0, 255 }
  t.equal(distances(said, is, { class = 1 }).hausdorff, 4.0)
  t.equal(distances(said, is, { class = 1, ignore = 255 }).hausdorff, 0.0)
end)

t.test("errors", function()
  local a = core.zeros(2, 3)
  t.fails("the maps are (2, 3) and (3, 2); they must be of one grid", distances, a, core.zeros(3, 2))
  t.fails("spacing has 3 numbers, and the maps have 2 dimensions", distances, a, a, { spacing = { 1, 1, 1 } })
  t.fails("spacing 2 must be a number from 1e-06 to 1e+06", distances, a, a, { spacing = { 1, 0 } })
  t.fails("spacing 1 must be a number", distances, a, a, { spacing = "x" })
  t.fails("class is a label or a list of such", distances, a, a, { class = 0.5 })
  t.fails("class is a label or a list of such", distances, a, a, { class = { "a" } })
  t.fails("element 1 of the second map is 0.5, and labels are whole numbers", distances, a, a + 0.5, { class = 1 })
  t.fails("unknown option of distances: 'spacings'; did you mean 'spacing'?", distances, a, a, { spacings = 1 })
  t.fails("a number is no map", distances, core.tensor(1), core.tensor(1))
end)

t.finish()
