-- gallery.lua - pictures of a page with who they are: the name, which leads to the file, the folder and the number in
-- the tested part. Of private data a name is an alias, and no file is named.
local core = require "tlua.core"
local parts = require "tlua.report.parts"
local links = require "tlua.report.page.links"
local util = require "tlua.util"
local gallery = {}
local escape = parts.escape

-- ---- what is kept ----

-- What a report keeps of sample `at` of a run's tested part: {name =, row =, folder =, file =}. folder and file are
-- there for files on the disk of data that are not private: from the page's folder (run.place), with which they move.
local function is_private(run) return run.session and run.session.data and run.session.data.private end

function gallery.about(run, at)
  local out = { name = run.source and run.source:title(at) or nil, row = at }
  if is_private(run) or not run.source or not run.place then return out end
  local ok, path = pcall(run.source.path, run.source, at)
  if not ok or not core.exists(path) or core.is_folder(path) then return out end
  out.file = links.relative(run.place, path)
  out.folder = links.folder_of(path):match "[^/]+$"
  return out
end

-- The same with more fields. more.missing, the error that left no picture, names the file: of private data no word of
-- it is kept.
function gallery.entry(run, at, more)
  if more.missing then more.missing = is_private(run) and "it cannot be read" or util.reason(more.missing) end
  for key, v in pairs(gallery.about(run, at)) do more[key] = more[key] == nil and v or more[key] end
  return more
end

-- ---- what is shown ----

-- The address of an entry's file from the page; nil where none is known. run.moved leads from the page's folder to the
-- run's, where they are two.
local function address(run, each)
  if type(each.file) ~= "string" then return nil end
  if run.moved and each.file:sub(1, 1) ~= "/" then return links.address(run.moved .. "/" .. each.file) end
  return links.address(each.file)
end

-- "03.png" as a link, and below it "circle, no. 17"; "" of reports of older tluas.
function gallery.caption(run, each)
  if not each.name then return "" end
  local to, place = address(run, each), {}
  place[1] = each.folder and parts.name(each.folder)
  if each.row then place[#place + 1] = ("no. %d"):format(each.row) end
  local name = to and ('<a href="%s">%s</a>'):format(to, parts.name(each.name)) or parts.name(each.name)
  return ('<div class="soft">%s%s</div>'):format(name,
    #place > 0 and (" <span>%s</span>"):format(table.concat(place, ", ")) or "")
end

-- What is said of a picture to who cannot see it.
local function alternative(each, text) return each.name and ("%s: %s"):format(each.name, text) or text end

-- A picture with lines of HTML; each.missing: why there is none. said: what it is, in words; keys: {name = text} by
-- which it can be sorted. The picture leads to its file, too.
function gallery.figure(run, each, said, keys, ...)
  local to, list = address(run, each), {}
  for k, key in ipairs(keys or {}) do list[k] = (' data-%s="%s"'):format(key[1], escape(key[2] or "")) end
  local image = each.image and ('<img alt="%s" src="%s">'):format(escape(alternative(each, said)), each.image) or ""
  if image == "" and each.missing then
    image = ('<div class="soft">cannot be shown: %s</div>'):format(escape(each.missing))
  elseif to and image ~= "" then
    image = ('<a href="%s" tabindex="-1">%s</a>'):format(to, image)
  end
  return ("<figure%s>%s%s%s</figure>"):format(table.concat(list), image, table.concat { ... },
    gallery.caption(run, each))
end

-- Where the whole list is, which is kept beside the page.
function gallery.list_note(run)
  if not run.list then return "" end
  local to = links.address(run.moved and run.moved .. "/" .. run.list or run.list)
  return ('<p class="soft">All of them as a table: <a href="%s">%s</a></p>'):format(to, escape(run.list))
end

-- Figures below a title; `sorts`: { {key, words}, ... } by which they can be put into another order.
function gallery.of(title, figures, class, sorts, note)
  if #figures == 0 then return "" end
  local choice = {}
  for k, each in ipairs(sorts or {}) do choice[k] = ("%s=%s"):format(each[1], each[2]) end
  return ('<h2>%s</h2>%s<div class="%s"%s>%s</div>'):format(escape(title), note or "", class or "pictures",
    #choice > 0 and #figures > 2 and (' data-sorts="%s"'):format(escape(table.concat(choice, ";"))) or "",
    table.concat(figures))
end

return gallery
