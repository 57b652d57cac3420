-- onnx_compare.lua - what a reader of ONNX gave beside what it had to give: type, dimensions, and each number within
-- atol + rtol * |want|, as onnx's own backend tests have it; whole numbers, booleans and texts to the last.
--   local compare = dofile "tests/interop/onnx_compare.lua"
--   local distance, why = compare(got, want)  the largest difference in units of the wanted numbers' mean size; why: it
--                                             is wrong
-- Halves are rounded there after each operator, and here not before the last: they may be two steps of their type
-- apart.
local RTOL, ATOL, STEP = 1e-3, 1e-7, { bfloat16 = 2.0 ^ -6, float16 = 2.0 ^ -9 }

local compare

local function listed(v) return v.numbers or v.strings or v.tensor and v.tensor:reshape(-1):tolist() end

local function lists(got, want)
  if type(got) ~= "table" or not got.sequence then return math.huge, "is no sequence" end
  if #got.sequence ~= #want.sequence then
    return math.huge, ("a sequence of %d values, not %d"):format(#got.sequence, #want.sequence)
  end
  local worst = 0
  for i, each in ipairs(want.sequence) do
    local distance, why = compare(got.sequence[i], each)
    if why then return distance, ("value %d of a sequence: %s"):format(i, why) end
    worst = math.max(worst, distance)
  end
  return worst
end

local function numbers_of(got, want, dtype)
  local floats, rtol = dtype:find "float" or dtype:find "complex", STEP[dtype] or RTOL
  local worst, square, why = 0, 0, nil
  for i, w in ipairs(want) do
    local g = got[i]
    if type(g) == "boolean" then g = g and 1 or 0 end
    local same = g == w or g ~= g and w ~= w
    if not same then
      local d = math.abs(g - w)
      if not floats or not (d <= ATOL + rtol * math.abs(w)) or math.abs(w) == math.huge then
        why = why or ("element %d is %s, not %s"):format(i, tostring(g), tostring(w))
      end
      worst = d == d and math.max(worst, d) or math.huge
    end
    if w == w and math.abs(w) < math.huge then square = square + w * w end
  end
  return worst / math.sqrt(square / math.max(#want, 1) + 1e-30), why
end

function compare(got, want)
  if want.sequence then return lists(got, want) end
  if want.optional or not want.dtype then
    if want.optional then return compare(got and got.optional or got, want.optional) end
    local something = got and (got.numbers or got.tensor or got.optional)
    if something then return math.huge, "is something where nothing is wanted" end
    return 0
  end
  if type(got) ~= "table" then return math.huge, "is no tensor" end
  if got.dtype ~= want.dtype then return math.huge, ("is %s, not %s"):format(got.dtype, want.dtype) end
  local dims, wanted = table.concat(got.dims or { "?" }, ", "), table.concat(want.dims, ", ")
  if dims ~= wanted then return math.huge, ("is (%s), not (%s)"):format(dims, wanted) end
  local list = listed(got)
  if want.strings then
    for i, s in ipairs(want.strings) do
      if list[i] ~= s then return math.huge, ("element %d is %s, not %s"):format(i, list[i], s) end
    end
    return 0
  end
  if #list ~= #want.numbers then return math.huge, ("has %d numbers, not %d"):format(#list, #want.numbers) end
  return numbers_of(list, want.numbers, want.dtype)
end

return compare
