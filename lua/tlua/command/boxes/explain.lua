-- explain.lua - `tlua explain` for networks that find boxes: where the network looked for the surest box of a picture,
-- or the surest of a class. The maps of all levels that leave the backbone times their gradients, channel by channel
-- (HiResCAM, Draelos and Carin 2020: a box hangs on places, and Grad-CAM's mean over places would lose them), what
-- speaks for the box added up, from coarse to fine.
local core = require "tlua.core"
local util = require "tlua.util"
local predict = require "tlua.command.predict"
local explain = require "tlua.command.explain"
local found = require "tlua.task.boxes.found"
local levels = require "tlua.task.boxes.levels"
local placed = require "tlua.task.boxes.placed"
local ops = core.ops
local M = {}

-- The stage behind which maps of all levels lie side by side: its number, and its name. `layer`: one that was asked
-- for.
local function stage_of(net, x, layer)
  local guard <close> = core.no_grad()
  local scope <close> = core.scope()
  local strides, names, found_at = net:levels().strides, {}, nil
  for k = 1, net:stage_count() do
    x = net:stage(x, k)
    names[k] = net:stage_name(k)
    local sides = {}
    for _, each in ipairs(core.is_tensor(x) and { x } or x) do sides[each:shape(2)] = true end
    local all = 0
    for _ in pairs(sides) do all = all + 1 end
    if layer == names[k] then return k, names[k] end
    if not layer and all >= #strides and not found_at then found_at = k end
  end
  if layer then util.fail("explain: " .. util.unknown_text("layer", layer, names)) end
  if not found_at then util.failf("explain: no stage of %s has maps of all levels", net:label()) end
  return found_at, names[found_at]
end

-- Of outputs (N, A, width): the row of each picture whose score is the highest, of class `class` where that is given;
-- {row, label, score}, row and label from 0.
local function surest(t, out, class)
  local n, cells = table.unpack(out:shape())
  local scores = ops.slice(out, 3, levels.first_class(t.levels), t.width):sigmoid()
  if not t.levels.bins then scores = scores * ops.slice(out, 3, 4, 1):sigmoid() end
  if class then scores = ops.slice(scores, 3, class, 1) end
  local classes = scores:shape(3)
  local flat = scores:reshape(n, cells * classes)
  local at, most, list = flat:argmax(-1):tolist(), flat:amax { axes = { 2 } }:tolist(), {}
  for i = 1, n do list[i] = { row = at[i] // classes, label = class or at[i] % classes, score = most[i] } end
  return list
end

-- Maps (N, size, size) of what speaks for the box of each picture, and the boxes.
local function maps_of(net, t, x, k, class)
  local scope <close> = core.scope()
  local below, rest = net:split(x, k)
  local list, passed = {}, {} -- stages drop what they were given once nobody behind them takes it
  for i, each in ipairs(core.is_tensor(below) and { below } or below) do
    list[i] = each:detach():requires_grad(true)
    passed[i] = list[i] * 1
  end
  local out, chosen = rest(core.is_tensor(below) and passed[1] or passed), nil
  do
    local guard <close> = core.no_grad()
    chosen = surest(t, out, class)
  end
  local n, cells, width = table.unpack(out:shape())
  local rows, from = {}, levels.first_class(t.levels)
  for i, each in ipairs(chosen) do rows[i] = (i - 1) * cells + each.row end
  local taken = ops.embedding(out:reshape(n * cells, width), core.tensor(rows, { dtype = "int32" }))
  local weight = {}
  for i, each in ipairs(chosen) do -- the logits that a score is made of: of the class, and of YOLOX's object
    weight[i] = {}
    for j = 1, width do weight[i][j] = (j == from + each.label + 1 or not t.levels.bins and j == 5) and 1 or 0 end
  end
  local judged = (taken * core.tensor(weight)):sum()
  judged:backward()
  local guard <close> = core.no_grad()
  local size, map = { x:shape(2), x:shape(3) }, nil
  for _, each in ipairs(list) do
    if each.grad then
      local one = (each:detach() * each.grad):sum { axes = { 4 }, keep = true }:relu()
      one = ops.interpolate(one, { size = size, mode = "linear" })
      map = map and map + one or one
    end
  end
  local boxes = core.detect.row_boxes(out:detach(), rows, levels.options(t.levels, t.width, size[1], size[2]))
  for i, each in ipairs(chosen) do each.box = boxes[i] end
  map = map:reshape(n, size[1], size[2])
  scope:keep(map)
  return map, chosen
end

-- The part of a map (H, W) that the picture takes, which was letterboxed or stretched.
local function visible(map, p, width, height)
  if p.fit ~= "letterbox" then return map end
  local h, w = map:shape(1), map:shape(2)
  local scale = math.min(w / width, h / height)
  local wide, high = math.max(1, math.min(w, width * scale // 1)), math.max(1, math.min(h, height * scale // 1))
  return ops.slice(ops.slice(map, 1, 0, math.tointeger(high)), 2, 0, math.tointeger(wide)):clone()
end

-- A picture with the box on it, in a file of its own for the time being.
local function with_box(path, box, label, text)
  local picture, to = core.image_read(path, 3), os.tmpname()
  core.image_write(to, core.data.boxed(picture, { { box[1], box[2], box[3], box[4], label, text } },
    found.stroke(picture:shape(2), picture:shape(1))))
  return to
end

-- o: batch, threads, class, layer; to: a file for each path.
function M.main(net, info, t, paths, to, o, options)
  local p, made, at, name = info.preprocessing, false, nil, nil
  o.info = info
  local function batch_of(x, n)
    if not at then at, name = stage_of(net, ops.slice(x, 1, 0, 1), o.layer) end
    local maps, chosen = maps_of(net, t, x, at, o.class)
    for i = 1, n do
      chosen[i].map = ops.slice(maps, 1, i - 1, 1):reshape { maps:shape(2), maps:shape(3) }
    end
    return chosen
  end
  return predict.each(info, paths, o, options.quiet, "Explaining", batch_of, function(i, row)
    if not row then return end
    local width, height = core.image_size(paths[i])
    local box = placed.back(p, width, height)(row.box)
    local text = ("%s %.2f"):format(info.labels and info.labels[row.label + 1] or tostring(row.label), row.score)
    if not made then core.mkdirs(options.to or "explain") end
    made = true
    local from = with_box(paths[i], box, row.label, text)
    local ok, e = pcall(core.data.saliency, { from = from, to = to[i], map = visible(row.map, p, width, height),
      resize = 0, size = p.size, caption = text, origin = ("HiResCAM, %s: 0 to most"):format(name) })
    os.remove(from)
    if not ok then error(e, 0) end
    if options.quiet then return end
    print(("%s  %s at %.0f, %.0f, %.0f, %.0f  %s"):format(to[i], text, box[1], box[2], box[3], box[4], name))
  end)
end

util.seal(M, "")
return M
