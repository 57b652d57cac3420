-- tiled.lua - `tlua predict` on large pictures with small things in them: each picture is cut into tiles that overlap,
-- as training has them (tlua/data/boxes/tiles.lua), and what was found in all of them is put together; of boxes that
-- two tiles saw the surer stays.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local tiles = require "tlua.data.boxes.tiles"
local placed = require "tlua.task.boxes.placed"
local tiled = {}

-- What --tiles says: "640,64", or none; nil where it was not given: that of the training.
function tiled.option(text, info)
  if text == nil then
    local known = info.data and info.data.options and info.data.options.tiles
    return type(known) == "table" and not tiles.wrong(known) and known or nil
  end
  if text == "none" then return nil end
  local size, overlap = text:match "^%s*(%d+)%s*,%s*(%d+)%s*$"
  local list = size and { math.tointeger(tonumber(size)), math.tointeger(tonumber(overlap)) }
  local wrong = not list and "takes two numbers, like 640,64: the side and the overlap in pixels; or none"
    or tiles.wrong(list)
  if wrong then schema.usage("--tiles " .. wrong) end
  return list
end

-- All tiles of the pictures at `paths`: a source of them, the path of each, and of each its picture's number and place.
-- Pictures whose size cannot be told go to failed(i, reason).
local function cut(paths, o, failed)
  local list, places, of = {}, {}, {}
  for i, path in ipairs(paths) do
    local ok, width, height = pcall(core.image_size, path)
    if not ok then failed(i, util.without_place(width))
    else
      for k, tile in ipairs(tiles.list(width, height, o[1], o[2])) do
        local n = #list + 1
        list[n], places[n] = path, { tile[1], tile[2], tile[3] - tile[1], tile[4] - tile[2], k }
        of[n] = { picture = i, tile = places[n], width = width, height = height }
      end
    end
  end
  return list, places, of
end

-- What was found in all tiles of a picture, as one answer of the task in pixels of the picture.
local function joined(t, each)
  local out = { boxes = {}, scores = {}, labels = {}, doubt = each.doubt, width = each.width, height = each.height }
  for n, k in ipairs(core.detect.nms(each.boxes, each.scores, each.labels, { iou = t.options.iou, most = t.options.most,
    per_class = t.options.per_class })) do
    out.boxes[n], out.scores[n], out.labels[n] = each.boxes[k], each.scores[k], each.labels[k]
  end
  return out
end

-- Adds the answer of a tile, in pixels of the network's input.
local function add(to, answer, tile, p)
  local back = placed.back(p, tile[3], tile[4])
  for k, b in ipairs(answer.boxes) do
    local at, n = back(b), #to.boxes + 1
    to.boxes[n] = { at[1] + tile[1], at[2] + tile[2], at[3] + tile[1], at[4] + tile[2] }
    to.scores[n], to.labels[n] = answer.scores[k], answer.labels[k]
  end
  to.doubt = to.doubt + (answer.doubt or 0)
end

-- For predict.answers: the paths of all tiles, their source, what takes the answer of each and tells said(i, answer,
-- reason) of whole pictures, in their order, and {of = whose each tile is, pictures = how many there are, bad = how many
-- have no tile}. o: tiles, info.
function tiled.open(t, paths, o, said)
  local bad, count = {}, 0
  local list, places, of = cut(paths, o.tiles, function(i, reason)
    util.note(reason)
    bad[i], count = reason, count + 1
  end)
  local function tell_bad(i) -- those from picture i on that cannot be read
    while bad[i] do
      said(i, nil, bad[i])
      i = i + 1
    end
  end
  tell_bad(1)
  local about = { of = of, pictures = #paths, bad = count }
  if #list == 0 then return list, nil, nil, about end
  local source = core.data.source("records", { paths = list, tiles = places })
  local now
  local function take(n, answer, reason)
    local at = of[n]
    if not now or now.picture ~= at.picture then
      now = { picture = at.picture, boxes = {}, scores = {}, labels = {}, doubt = 0, width = at.width,
        height = at.height }
    end
    if answer then add(now, answer, at.tile, o.info.preprocessing) end
    now.reason, now.none = now.reason or reason, now.none or answer == false
    local last = not of[n + 1] or of[n + 1].picture ~= at.picture
    if not last then return end
    if now.reason then said(at.picture, nil, now.reason)
    elseif now.none then said(at.picture, false)
    else said(at.picture, joined(t, now)) end
    tell_bad(at.picture + 1)
  end
  return list, source, take, about
end

util.seal(tiled, "")
return tiled
