-- values.lua - what the tasks of several numbers a picture share (multilabel.lua, regress.lua): the shape of the network's outputs, answers in a
-- table, the pictures whose answer lies farthest from what is so.
local util = require "tlua.util"
local nn = require "tlua.nn"
local parts = require "tlua.report.parts"
local gallery = require "tlua.report.page.gallery"
local explained = require "tlua.report.texts.explained"
local values = {}

-- Refuses outputs that are not one row of t.width for each picture; `what`: "targets" or "numbers".
function values.check(what)
  return function(t, shape)
    if #shape ~= 2 or shape[2] ~= t.width then
      util.failf("the network gives outputs of shape %s, and the data have %d %s (%s)", util.shape_text(shape), t.width, what,
        util.first_few(t.names, 6))
    end
  end
end

function values.head(t) return nn.Linear(t.width) end
function values.columns(t) return t.names end
function values.fields(_, row)
  local out = {}
  for k, v in ipairs(row) do out[k] = ("%.9g"):format(v) end
  return out
end

-- Means of the numbers of several pictures of one thing.
function values.mean(_, rows)
  local out = {}
  for k = 1, #rows[1] do
    out[k] = 0
    for _, row in ipairs(rows) do out[k] = out[k] + row[k] / #rows end
  end
  return out
end

-- Calls f(part, source, i, k, v) for every target of every part.
function values.each(s, f)
  for _, part in ipairs { "train", "validation", "test" } do
    local source = s.data[part]
    for i = 1, source and source:count() or 0 do
      for k, v in ipairs(source:values(i)) do f(part, source, i, k, v) end
    end
  end
end

local MOST = 12

-- The pictures with the largest distances (a list, one of each picture), largest first: a list of what make(i, data address or nil) gives. Those
-- of at most `least` are left out.
function values.farthest(run, distances, least, make)
  local out, at, texts = {}, {}, run.session and run.session.data.texts
  for rank, i in ipairs(util.descending(distances)) do
    if rank > MOST or distances[i] <= least then break end
    local ok, image
    if not texts then ok, image = pcall(parts.embedded, run.source, run.seen.indices[i], parts.stripped(run)) end
    out[rank] = make(i, ok and image or nil)
    out[rank].sample = gallery.about(run, run.seen.indices[i])
    at[rank] = run.seen.indices[i]
  end
  local shades = texts and explained.of_run(run, at)
  for rank, each in ipairs(texts and out or {}) do
    each.words, each.place = shades[rank], run.source:title(at[rank])
  end
  return out
end

-- One of them on a page, with a line of HTML; and their gallery's class. said: what it is, in words.
function values.figure(run, each, line, said)
  if each.words then
    return explained.figure(each.words, ('%s <span class="soft">%s</span>'):format(line:gsub("div>", "span>"):gsub(
      "<div ", "<span "), parts.escape(each.place)))
  end
  local about = each.sample or {}
  return gallery.figure(run, { image = each.image, name = about.name, row = about.row, folder = about.folder,
    file = about.file }, said or "picture", { { "name", about.name } }, line)
end

-- The gallery of such figures.
function values.gallery(run, figures)
  return gallery.of("Farthest from what is so", figures, values.class(run.wrong), not values.class(run.wrong)
    and { { "name", "name" } } or nil, gallery.list_note(run))
end

function values.class(list) return list[1] and list[1].words and "texts" or nil end

return values
