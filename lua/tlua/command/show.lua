-- show.lua - `tlua show RECIPE.lua`: a page with the pictures that the network is fed, after all changes and with the
-- normalisation undone, and their labels; of clips of sound one that can be heard, with their spectrograms; of volumes
-- three slices of each; of texts their pieces.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local data = require "tlua.data"
local augment = require "tlua.data.augment"
local data_text = require "tlua.data.text"
local parts = require "tlua.report.parts"
local planes = require "tlua.report.planes"
local sound = require "tlua.report.sound"
local pieces = require "tlua.report.texts.pieces"
local show = {}

local IGNORED = 255
local VOLUMES, TEXTS = 8, 24 -- on a page, where nobody says

show.SCHEMA = {
  { "to", "path", nil, "the PNG file (show.png), of sound, volumes and texts a page (show.html); of texts also .txt" },
  { "pictures", "integer", 36, "how many pictures or clips; volumes: 8, texts: 24 where nothing is said", least = 1 },
  { "columns", "integer", 0, "in a row; 0: about as many as rows", least = 0 },
  { "epoch", "integer", 1, "the epoch that they are drawn for", least = 1 },
  { "part", "choice", "train", "training or test samples", { "train", "test" } },
}

-- Captions of a batch: class names, and of mixed pictures both with their shares.
local function captions(classes, labels, n, share)
  local out = {}
  for i = 1, n do
    local name = classes[labels[i] + 1]
    if share == 1 then out[i] = name else
      local other = classes[labels[i > 1 and i - 1 or n] + 1]
      out[i] = ("%.2f %s\n%.2f %s"):format(share, name, 1 - share, other)
    end
  end
  return out
end

-- Of a batch with boxes: the list of each picture for sheet:add, and captions with numbers of boxes and, on a line of
-- their own, since a phone gives long ones, names.
local function boxes_of(source, classes, n, indices, more)
  local at, labels, lists, words = more.boxes:tolist(), more.box_labels:tolist(), {}, {}
  for i = 1, n do
    local list = {}
    for k = more.boxes_offsets[i] + 1, more.boxes_offsets[i + 1] do
      list[#list + 1] = { at[k][1], at[k][2], at[k][3], at[k][4], labels[k], classes[labels[k] + 1] }
    end
    lists[i] = list
    words[i] = ("%s\n%s"):format(#list == 0 and "no box" or #list == 1 and "1 box" or #list .. " boxes",
      source:title(indices[i]))
  end
  return words, lists
end

-- Has a text of the list other letters than ASCII's? Lines are higher then.
local function has_letters(list)
  for _, text in ipairs(list or {}) do
    if text:find "[\x80-\xFF]" then return true end
  end
  return false
end

local function titles_of(source)
  local list = {}
  for i = 1, source:count() do list[i] = source:title(i) end
  return list
end

-- Takes the options of `show` out of a list of overrides { {name, text}, ... }; returns them and the rest.
function show.options(list)
  local given, rest = {}, {}
  for _, each in ipairs(list) do
    local field = schema.find(show.SCHEMA, each[1])
    if field then given[field[1]] = schema.parse(field, each[1], each[2]) else rest[#rest + 1] = each end
  end
  local o = schema.options("show", show.SCHEMA, given)
  o.pictures_given = given.pictures ~= nil
  return o, rest
end

-- Calls f for the first `count` samples that the network is fed: the i-th of a batch.
local function each_fed(s, o, count, f)
  local loader <close> = data.loader(s.data, o.part, s.seed)
  local done = 0
  loader:start(o.epoch)
  while done < count do
    local scope <close> = core.scope()
    local x, labels, n, indices, _, more = loader:next()
    if not x then break end
    for i = 1, math.min(n, count - done) do f(i, x, labels, indices, more) end
    done = done + n
  end
end

-- The page of clips: each with what stands beside it in the data.
local function clips_page(s, o, name)
  local d, figures, rate = s.data, {}, s.data.preprocessing.rate
  local count = math.min(o.pictures, d[o.part]:count())
  each_fed(s, o, count, function(i, x, labels, indices, more)
    local length = more.length_list[i]
    local found = sound.of(x:slice(1, i - 1, 1):reshape(x:shape(2)):slice(1, 0, length), rate)
    local said = more.text and more.text[i] or d.fields.label and s.classes[labels:tolist()[i] + 1] or ""
    figures[#figures + 1] = sound.figure(found.image, found.sound, "",
      ('<div lang="und">%s</div><div class="soft">%s · %.2f s</div>'):format(parts.escape(said),
      parts.escape(d[o.part]:title(indices[i])), length / rate))
  end)
  local title = ("%s: %s clips of epoch %d"):format(name, o.part == "train" and "training" or "test", o.epoch)
  core.write_file(o.to, table.concat { parts.head(title), "<h1>", parts.escape(title), '</h1><p class="soft">',
    parts.escape(augment.text(d.augment, d.input) or "nothing is changed"),
    ('</p><div class="sounds">%s</div>'):format(table.concat(figures)), parts.FOOT })
  return #figures, s
end

-- Three slices of a sample (D, H, W), with its mask where there is one: through the middle of what is marked, else
-- through its own.
local function volume_figure(s, g, x, mask, said)
  local size = { x:shape(1), x:shape(2), x:shape(3) }
  local rows, at = { { text = "input" } }, { size[1] // 2, size[2] // 2, size[3] // 2 }
  if mask then
    at, rows[2] = planes.place(mask, mask, IGNORED), { text = "mask", map = mask }
  end
  local place = { size = size, axes = g.axes, spacing = g.spacing }
  local picture = planes.picture(place, x, at, rows, { classes = #s.classes, background = true })
  return parts.shown(parts.picture(picture), ('<div>%s</div><div class="soft">%s</div>'):format(said,
    planes.text(place, at)))
end

-- The page of volumes: three slices of each sample, as the network is fed it.
local function volumes_page(s, o, name)
  local d, figures = s.data, {}
  local there = o.part == "train" and d.input.samples(d) or d[o.part]:count()
  local count = math.min(o.pictures_given and o.pictures or VOLUMES, there)
  each_fed(s, o, count, function(i, x, labels, indices, more)
    local shape = { x:shape(2), x:shape(3), x:shape(4) }
    local part = core.ops.slice(core.ops.slice(x, 1, i - 1, 1), 5, 0, 1):clone():reshape(shape)
    local mask = more and more.mask and core.ops.slice(more.mask, 1, i - 1, 1):clone():reshape(shape)
    local label = d.fields.label and s.classes[labels:tolist()[i] + 1] or ""
    figures[#figures + 1] = volume_figure(s, d[o.part]:extent(indices[i], d.test_pipeline), part, mask,
      parts.escape(("%s %s"):format(label, d[o.part]:title(indices[i]))))
  end)
  local title = ("%s: %s volumes of epoch %d"):format(name, o.part == "train" and "training" or "test", o.epoch)
  core.write_file(o.to, table.concat { parts.head(title), "<h1>", parts.escape(title), '</h1><p class="soft">',
    parts.escape(o.part == "train" and augment.text(d.augment, d.input) or "nothing is changed"), "</p><p>",
    planes.WORDS, "</p>", parts.below_each_other(('<div class="pictures">%s</div>'):format(
      table.concat(figures))), parts.FOOT })
  return #figures, s
end

-- The page of texts: the pieces of each, as the network is fed them.
local function texts_page(s, o, name)
  local r, d = s.recipe, s.data
  s.task = require("tlua.task").open(r.task, r.loss)
  util.at(r.task_given and r.task.where or r.data.where, s.task.prepare, s.task, s)
  local fed = pieces.fed(s, o, o.pictures_given and o.pictures or TEXTS, s.task.names)
  local title = ("%s: %s texts of epoch %d"):format(name, o.part == "train" and "training" or "test", o.epoch)
  local about = ("%s, %d pieces at most; %.0f %% of %s is padding"):format(d.tokenizer.name, d.preprocessing.longest,
    100 * fed.pad, util.counted(#fed.batches, "batch"):gsub("batchs", "batches"))
  local html = o.to:lower():find "%.html?$" ~= nil
  local out = {}
  for i, each in ipairs(fed.rows) do out[i] = (html and pieces.html or pieces.plain)(table.unpack(each)) end
  if not html then
    core.write_file(o.to, table.concat { title, "\n", about, "\n", table.concat(fed.batches, "\n"), "\n\n",
      table.concat(out) })
    return #out, s, about
  end
  core.write_file(o.to, table.concat { parts.head(title), "<h1>", parts.escape(title), '</h1><p class="soft">',
    parts.escape(about), "<br>", parts.escape(table.concat(fed.batches, "; ")), "</p>", pieces.legend(d),
    '<div class="texts">', table.concat(out), "</div>", parts.FOOT })
  return #out, s, about
end

-- Writes the page of a recipe. Returns how many samples stand on it, the session, and what else is to be said.
function show.page(recipe, o)
  local s = require("tlua.train.build").pictures(recipe)
  local d = s.data
  o.to = o.to or (d.input.kind == "picture" and "show.png" or "show.html")
  if d.input.kind == "text" then return texts_page(s, o, recipe.name) end
  if d.input.kind == "volume" then return volumes_page(s, o, recipe.name) end
  if d.input.kind == "clip" then return clips_page(s, o, recipe.name) end
  local source = d[o.part]
  local count, side = math.min(o.pictures, source:count()), d.preprocessing.size
  local sizes = o.part == "train" and d.augment.sizes
  if sizes then side = sizes[2] end
  local mixed = o.part == "train" and augment.mixes(d.augment)
  local sheet = core.data.sheet(count, side, side, (mixed or d.fields.boxes) and 2 or 1, o.columns,
    has_letters(s.classes) or (d.fields.boxes and has_letters(titles_of(source))))
  local loader <close> = data.loader(d, o.part, s.seed, { batch = recipe.data.options.batch == "auto" and 64 or nil })
  loader:start(o.epoch)
  local done = 0
  while done < count do
    local scope <close> = core.scope()
    local x, labels, n, indices, share, more = loader:next()
    if not x then break end
    local words, boxes
    if d.fields.boxes then words, boxes = boxes_of(source, s.classes, n, indices, more)
    else words = captions(s.classes, labels:tolist(), n, share) end
    n = math.min(n, count - done)
    sheet:add(d[o.part .. "_pipeline"], x, { table.unpack(words, 1, n) }, boxes)
    done = done + n
  end
  sheet:write(o.to)
  return done, s
end

-- The command, with the recipe as the command line has changed it.
function show.main(recipe, o)
  local n, s, about = show.page(recipe, o)
  local changes = o.part == "train" and not about and augment.text(s.data.augment, s.data.input)
  print(("%s: %s %s %s of epoch %d%s"):format(o.to, util.thousands(n), o.part == "train" and "training" or "test",
    s.data.input.many, o.epoch, about and "; " .. about or changes and ("; augment: " .. changes) or ""))
  local burnt = data_text.burnt_in(s.data)
  if burnt then print("burnt in: " .. burnt) end
  return 0
end

return show
