-- onnx_files.lua - networks as ONNX files beside what onnxruntime and PyTorch said (onnx_export.py, onnx_real.py):
--   ./tlua tests/interop/onnx_files.lua [--eager] [--only PATTERN] FOLDER...
-- Each FILE.safetensors of the folders has inputs, answers and gradients, and FILE.onnx stands beside it or in its
-- metadata. The file is read into a network (nn.Graph), which answers as a plan for two numbers of pictures; at its cut
-- the gradients of a loss are compared, weights found again by their numbers, since exporters rename. A difference is
-- the largest one in units of the largest answer, and, in brackets, of the answers' mean size; of gradients see below.
local core = require "tlua.core"
local onnx = require "tlua.onnx"
local nn_graph = require "tlua.nn.graph"
local ANSWERS, GRADIENTS = 1e-4, 1e-3

local folders, options = {}, {}
do
  local i = 1
  while arg[i] do
    if arg[i] == "--only" then options.only, i = arg[i + 1], i + 2
    elseif arg[i] == "--eager" then options.eager, i = true, i + 1
    else folders[#folders + 1], i = arg[i], i + 1 end
  end
end

local function files()
  local out = {}
  for _, folder in ipairs(folders) do
    for line in io.popen(("find '%s' -name '*.safetensors' | sort"):format(folder)):lines() do
      if not options.only or line:find(options.only) then out[#out + 1] = line end
    end
  end
  return out
end

-- Largest difference over the largest answer, and over the root of their mean square.
local function apart(got, want)
  if core.is_tensor(got) and table.concat(got:shape(), ",") ~= table.concat(want:shape(), ",") then
    error(("the answer is (%s), not (%s)"):format(table.concat(got:shape(), ", "), table.concat(want:shape(), ", ")), 0)
  end
  local scope <close> = core.scope()
  local a, b = got:to "float32":reshape(-1), want:to "float32":reshape(-1)
  local d = core.ops.amax(core.ops.abs(core.ops.sub(a, b))):item()
  local most = core.ops.amax(core.ops.abs(b)):item()
  local mean = math.sqrt(core.ops.mean(core.ops.mul(b, b)):item())
  if d ~= d then return math.huge, math.huge end
  return d / math.max(most, 1e-30), d / math.max(mean, 1e-30)
end

-- Axes of a tensor that lies channels last here into the file's order, and the other way round.
local function to_file(t)
  local rank, order = #t:shape(), { 1 }
  order[2] = rank
  for i = 2, rank - 1 do order[#order + 1] = i end
  return core.ops.permute(t, { axes = order })
end
local function to_ours(t)
  local rank, order = #t:shape(), { 1 }
  for i = 3, rank do order[#order + 1] = i end
  order[#order + 1] = 2
  return core.ops.permute(t, { axes = order })
end

local function network(path, kept, o)
  o.sizes, o.values = kept.sizes, kept.values
  local file = onnx.open(path, o)
  return nn_graph.from { text = file.text, tensors = file.tensors, label = path }, file
end

local function call(net, file, kept, number)
  local list = {}
  for i, port in ipairs(file.inputs) do
    local t = assert(kept[("in%d.%s"):format(number, port.name)], "no input " .. port.name)
    list[i] = port.picture and to_ours(t) or t
  end
  local answers, out = table.pack(net(table.unpack(list))), {}
  if not core.is_tensor(answers[1]) then answers = answers[1] end -- several outputs come as a list
  for i, o in ipairs(file.outputs) do out[o.name] = o.channels_last and to_file(answers[i]) or answers[i] end
  return out
end

-- ---- answers ----

local function numbered(kept, word)
  local out = {}
  for key, t in pairs(kept) do
    local name = key:match("^" .. word .. "%.(.*)$")
    if name then out[name] = t end
  end
  return out
end

-- Boxes of YOLO's answer (N, 4 + classes, places), centre and size: of the places that onnxruntime's int8 arithmetic is
-- surest of in each picture, what our box and that one have in common; the least of them, and how many there were.
local function boxes_apart(ours, theirs)
  local a, b, least, count = ours:tolist(), theirs:tolist(), 1, 0
  for n = 1, #b do
    local scores, order = {}, {}
    for k = 1, #b[n][1] do
      scores[k], order[k] = 0, k
      for class = 5, #b[n] do scores[k] = math.max(scores[k], b[n][class][k]) end
    end
    table.sort(order, function(p, q) return scores[p] > scores[q] end)
    for i = 1, 5 do
      local k = order[i]
      local function side(axis)
        local x, w, y, v = a[n][axis][k], a[n][axis + 2][k], b[n][axis][k], b[n][axis + 2][k]
        return math.max(0, math.min(x + w / 2, y + v / 2) - math.max(x - w / 2, y - v / 2)), w, v
      end
      local w, w1, w2 = side(1)
      local h, h1, h2 = side(2)
      least, count = math.min(least, w * h / (w1 * h1 + w2 * h2 - w * h)), count + 1
    end
  end
  return least, count
end

local function answers(path, kept, eager)
  local worst, typical, beyond = 0, 0, nil
  local wanted = { numbered(kept, "out1"), numbered(kept, "out2") }
  local names = {}
  for name in pairs(wanted[1]) do names[#names + 1] = name end
  table.sort(names)
  local net, file
  if not eager then
    net, file = network(path, kept, { outputs = names })
    net:eval()
  end
  for number = 1, 2 do
    if next(wanted[number]) then
      local scope <close> = core.scope()
      local guard <close> = core.no_grad()
      local got = eager and onnx.run(path, numbered(kept, "in" .. number)) or call(net, file, kept, number)
      for name, want in pairs(wanted[number]) do
        local y = eager and got[name].tensor or got[name]
        local most, mean = apart(y, want)
        worst, typical = math.max(worst, most), math.max(typical, mean)
        local true_one = kept[("true%d.%s"):format(number, name)]
        if kept.boxes1 then
          local least, count = boxes_apart(y, kept.boxes1)
          print(("   boxes beside int8 arithmetic: of the %d surest places, %.3f at least are common"):format(count,
            least))
          assert(count > 0 and least > 0.9, "boxes differ from those of int8 arithmetic")
        end
        if true_one then beyond = math.max(beyond or 0, (select(2, apart(y, true_one)))) end
      end
    end
  end
  return worst, typical, beyond, file
end

-- ---- gradients ----

local function norm(t) return math.sqrt(core.ops.sum(core.ops.mul(t, t)):item()) end

-- The difference of two gradients as vectors: where the input of a ReLU is zero but for rounding, single numbers of
-- PyTorch's own gradients differ by a hundredth between single and double precision, and vectors of many by a
-- thousandth: three times that is allowed where it is more than GRADIENTS. `largest` is the longest of all gradients:
-- what ought to be zero, a key's bias say, is measured by that.
local function distance(got, want, largest)
  local scope <close> = core.scope()
  local a, b = got:to "float32":reshape(-1), want:reshape(-1)
  local d = norm(core.ops.sub(a, b)) / math.max(norm(b), 1e-4 * largest)
  return d == d and d or math.huge
end

-- What stays the same however the numbers of a weight are turned: their count, absolute sum and sum of squares.
local function print_of(t)
  local scope <close> = core.scope()
  local flat = t:to "float32":reshape(-1)
  return flat:shape()[1], core.ops.sum(core.ops.abs(flat)):item(), core.ops.sum(core.ops.mul(flat, flat)):item()
end

local function alike(a, b) return math.abs(a - b) <= 2e-5 * math.abs(b) + 1e-12 end

local function found(mine, t)
  local n, sum, squares = print_of(t)
  local out = {}
  for name, p in pairs(mine) do
    if p[1] == n and alike(p[2], sum) and alike(p[3], squares) then out[#out + 1] = name end
  end
  return #out == 1 and out[1] or nil, #out
end

-- The gradient as the file's weight lies; nil where the numbers are turned in some other way.
local function turned(weight, gradient, wanted)
  local shape = wanted:shape()
  if #weight:shape() == #shape and table.concat(weight:shape(), ",") == table.concat(shape, ",") and
    apart(weight, wanted) < 1e-6 then return gradient end
  if #weight:shape() == 2 and #shape == 2 then
    local t = core.ops.permute(weight, { axes = { 2, 1 } })
    if table.concat(t:shape(), ",") == table.concat(shape, ",") and apart(t, wanted) < 1e-6 then
      return core.ops.permute(gradient, { axes = { 2, 1 } })
    end
  end
  if apart(weight:reshape(-1), wanted:reshape(-1)) < 1e-6 then return gradient:reshape(shape) end
end

local function gradients(path, kept, cut)
  local net, file = network(path, kept, { outputs = cut and { cut } or nil })
  net:eval()
  local out = call(net, file, kept, 1)
  local name = cut or file.outputs[1].name
  local scope <close> = core.scope()
  local loss = core.ops.sum(core.ops.mul(out[name], kept.weights1):reshape(-1))
  loss:backward()
  local state, mine, all = net:state_dict(), {}, net:gradients()
  for key in pairs(all) do mine[key] = { print_of(state[key]) } end
  local largest = 0
  for key, t in pairs(kept) do
    if key:find "^grad%." then largest = math.max(largest, norm(t:reshape(-1))) end
  end
  local worst, at, same, sets, missing, lost, theirs, list = 0, "", 0, 0, 0, {}, 0, {}
  for number = 1, 100000 do
    local weight, gradient = kept["param." .. number], kept["grad." .. number]
    if not weight then break end
    local key, count = found(mine, weight)
    local as = key and turned(state[key], all[key], weight)
    local d
    if as then
      local true_one = kept["truegrad." .. number]
      d, same = distance(as, gradient, largest), same + 1
      if true_one then
        theirs = math.max(theirs, distance(gradient, true_one, largest))
        d = math.min(d, distance(as, true_one, largest))
      end
    elseif key then -- turned: the numbers as a set
      local _, s, q = print_of(all[key])
      local _, s2, q2 = print_of(gradient)
      d, sets = math.max(math.abs(s / s2 - 1), math.abs(q / q2 - 1)), sets + 1
    else
      missing = missing + 1
      lost[#lost + 1] = ("(%s)%s"):format(table.concat(weight:shape(), ", "), count > 1 and " several" or "")
    end
    list[#list + 1] = d
    if d and not (d <= worst) then worst, at = d, key end
  end
  table.sort(list)
  return { worst = worst, at = at, same = same, sets = sets, missing = missing, lost = lost, theirs = theirs,
    median = list[#list + 1 >> 1] or math.huge }
end

-- ---- all ----

local failed, done = 0, 0
for _, file in ipairs(files()) do
  local scope <close> = core.scope()
  local kept, metadata = core.load(file)
  local path = metadata and metadata.onnx or file:gsub("%.safetensors$", ".onnx")
  for _, word in ipairs { "sizes", "values" } do
    for name, number in (metadata and metadata[word] or ""):gmatch "(%w+)=(%d+)" do
      kept[word] = kept[word] or {}
      kept[word][name] = math.tointeger(number)
    end
  end
  local cut = metadata and metadata.cut ~= "" and metadata.cut or nil
  local short, started = file:gsub("^.*/([^/]+/[^/]+)%.safetensors$", "%1"), os.clock()
  local ok, worst, typical, beyond, about = pcall(answers, path, kept, options.eager)
  done = done + 1
  local function fails(why)
    failed = failed + 1
    print(("FAILED %s: %s"):format(short, why))
  end
  if not ok then fails(worst)
  else
    local line = ("%s: answers %.1e (%.1e)%s"):format(short, worst, typical,
      beyond and (", from double precision %.1e"):format(beyond) or "")
    if not (worst <= ANSWERS) then fails(line)
    else
      local more = ""
      if kept.weights1 and not options.eager then
        local well, g = pcall(gradients, path, kept, cut)
        if not well then more = "FAILED gradients: " .. g
        else
          more = ("; gradients %.1e at most, median %.1e, of %d weights; PyTorch's own %.1e%s%s"):format(g.worst,
            g.median, g.same, g.theirs, g.sets > 0 and ("; %d as sets"):format(g.sets) or "",
            g.missing > 0 and ("; %d not found: %s"):format(g.missing, table.concat(g.lost, " "):sub(1, 60)) or "")
          if not (g.worst <= math.max(GRADIENTS, 3 * g.theirs)) or g.same == 0 then
            more = ("FAILED%s, at %s"):format(more, g.at)
          end
        end
      end
      if more:find "^FAILED" then fails(line .. "; " .. more)
      else
        local notes = about and #(about.notes or {}) or 0
        print(("ok %s%s; %d notes, %.1f s"):format(line, more, notes, os.clock() - started))
      end
    end
  end
  io.stdout:flush()
  collectgarbage()
end
print(("%d files, %d failed"):format(done, failed))
os.exit(failed == 0 and 0 or 1, true)
