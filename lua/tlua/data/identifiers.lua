-- identifiers.lua - salted names for the samples of medical data. What a run writes says
-- "p-4f1c09d2ab/s-09ab77e012/012" (patient, series, number) or "f-1c9a..." (a file) instead of a path, and "path-..."
-- instead of a folder; which is which stands in identifiers.csv of the run's folder, which none but its owner may read
-- and which is left out of what is passed on. An alias is an HMAC-SHA-256 of the name by a random salt, which stands in
-- the same table: without it nobody can try names until one fits.
local core = require "tlua.core"
local util = require "tlua.util"
local split = require "tlua.data.split"
local identifiers = {}

local FILE = "identifiers.csv"
identifiers.FILE = FILE
local HEADER = "alias,path,patient"
local DIGITS = { p = 10, s = 10, f = 12, path = 12 } -- of a hash; names that have the same ones are told apart
local SHORTEST = 5 -- bytes of a patient's identifier that is looked for in texts: shorter ones are parts of words

local Identifiers = {}
Identifiers.__index = Identifiers

local function salt_of_system()
  local file = io.open("/dev/urandom", "rb")
  local bytes = file and file:read(32)
  if file then file:close() end
  if not bytes or #bytes < 32 then util.fail "data: private = true wants a random salt, and /dev/urandom gives none" end
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

-- `salt`: of an earlier run, 64 hexadecimal digits; without it a new one.
function identifiers.new(salt)
  return setmetatable({ salt = salt or salt_of_system(), given = {}, plain = {}, places = {}, rows = {}, samples = {},
    lengths = {}, patients = {} }, Identifiers)
end

-- ---- aliases ----

-- The alias of a name, the same for the same name: "p-" and digits.
local function alias_of(self, kind, name)
  local known = self.given[kind .. ":" .. name]
  if known then return known end
  local base = kind .. "-" .. core.hmac_sha256(self.salt, kind .. ":" .. name):sub(1, DIGITS[kind])
  local alias, n = base, 1
  while self.plain[alias] do
    n = n + 1
    alias = ("%sx%d"):format(base, n)
  end
  self.given[kind .. ":" .. name], self.plain[alias] = alias, name
  return alias
end

-- The alias of a patient by what the data call them, which is hidden in texts from now on.
function Identifiers:patient(key)
  local alias = alias_of(self, "p", key)
  if not self.patients[key] then
    self.patients[key] = alias
    if #key >= SHORTEST and key:find "[%a\x80-\xFF]" then table.insert(self.patients, key) end
  end
  return alias
end

local function add_row(self, alias, path, patient)
  self.rows[#self.rows + 1] = { alias, path, patient or "" }
  self.written = nil -- the table says more than what was written of it
end

local function add_sample(self, path, alias, patient)
  add_row(self, alias, path, patient)
  if self.samples[path] then return end -- a file may hold several
  self.samples[path] = alias
  if not self.lengths[#path] then
    self.lengths[#path] = true
    table.insert(self.lengths, #path)
    table.sort(self.lengths, function(a, b) return a > b end)
  end
end

-- Gives the samples of a source their aliases. about: root, below which names are taken, so that data that are moved
-- keep theirs; and, in the order of the samples, what is known of them: patients, series (of a scanner), numbers (in a
-- series); an element that is not known is nil or false.
function Identifiers:name(source, about)
  local list, taken = {}, {}
  local function known(name, i) return about[name] and about[name][i] or nil end
  for i = 1, source:count() do
    local path, patient, series, number = source:path(i), known("patients", i), known("series", i), known("numbers", i)
    local alias = series and alias_of(self, "s", series) .. (number and ("/%03d"):format(number) or "")
      or alias_of(self, "f", split.below(about.root, path))
    if patient then alias = self:patient(patient) .. "/" .. alias end
    taken[alias] = (taken[alias] or 0) + 1
    list[i] = taken[alias] > 1 and ("%s.%d"):format(alias, taken[alias]) or alias -- a number may be there twice
    add_sample(self, path, list[i], patient)
  end
  source:set_aliases(list)
end

-- The folder that a path lies in, below the home and of two names at least; nil where it is another.
local function folder_above(path)
  local folder = path and path:gsub("(.)/+$", "%1"):match "^(.*[^/])/+[^/]*$"
  return folder and folder:find "[^/]/+[^/]" and folder ~= os.getenv "HOME" and folder or nil
end

-- The identifiers of a description's data: its folders and files are hidden in texts. `known`: those of a run that
-- goes on.
function identifiers.of_data(d, known)
  local self = known or identifiers.new()
  for _, field in ipairs(d.schema) do
    local path = field[2] == "path" and d.options[field[1]]
    -- The folder that it lies in may be a patient's too, and have the recipe beside it.
    for _ = 1, path and 2 or 0 do
      self:add_place(path)
      path = folder_above(path)
    end
  end
  return self
end

-- ---- texts ----

-- Folders that are called so say nothing of anybody.
local INNOCENT = { data = true, dataset = true, datasets = true, images = true, pictures = true, train = true,
  test = true, val = true, validation = true, ["."] = true, [".."] = true, ["/"] = true, [""] = true }

-- A folder or file of the data, whose path may hold a name: it is hidden in all texts, as it is written and as ~
-- shortens it.
function Identifiers:add_place(path)
  if type(path) ~= "string" then return end
  path = path:gsub("(.)/+$", "%1")
  local home = os.getenv "HOME"
  local below = home and home ~= "" and path:sub(1, #home + 1) == home .. "/"
  for _, each in ipairs { path, below and "~" .. path:sub(#home + 1) or nil } do
    if not INNOCENT[each] and not self.places[each] then
      self.places[each] = true
      table.insert(self.places, each)
    end
  end
end

-- Is what stands at [from, to] of a text the place, and not a part of another word? A path of several parts counts
-- wherever it stands.
local function stands_alone(text, place, from, to)
  if place:find "/" then return true end
  return not text:sub(from - 1, from - 1):find "[%w_%-%./]" and not text:sub(to + 1, to + 1):find "[%w_%-%.]"
end

-- Where the first place in a text from `at` on begins and ends; of those that begin there the longest.
local function next_place(self, text, at)
  local first, last
  for _, place in ipairs(self.places) do
    local from, to = text:find(place, at, true)
    while from and not stands_alone(text, place, from, to) do from, to = text:find(place, to + 1, true) end
    if from and (not first or from < first or from == first and to > last) then first, last = from, to end
  end
  return first, last
end

local LONGEST_PATH = 1024

-- The end of the path that begins with a place at [from, to] of a text: of its words, or farther, where there is a file
-- with blanks in its name.
local function end_of_path(text, from, to)
  local _, last = text:find("^/[^%s\"'`,;()<>|]*", to + 1)
  last = last or to
  while last > to and text:sub(last, last):find "[:%.,/]" do last = last - 1 end
  local line = text:match("^[^\n\"']*", from):sub(1, LONGEST_PATH)
  for at in (line .. " "):gmatch "()[%s:,;)|]" do
    local to_here = from + at - 2
    if to_here > last and core.exists(line:sub(1, at - 1)) then last = to_here end
  end
  return last
end

-- What stands for the path that begins with a place at [from, to], and where that path ends.
local function stand_in(self, text, from, to)
  for _, n in ipairs(self.lengths) do
    local alias = self.samples[text:sub(from, from + n - 1)]
    if alias then return alias, from + n - 1 end
  end
  local last = end_of_path(text, from, to)
  local path = text:sub(from, last)
  local fresh = not self.given["path:" .. path]
  local alias = alias_of(self, "path", path)
  if fresh then add_row(self, alias, path) end
  return alias, last
end

local function hide_paths(self, text)
  local out, at = {}, 1
  while true do
    local from, to = next_place(self, text, at)
    if not from then break end
    local alias, last = stand_in(self, text, from, to)
    out[#out + 1] = text:sub(at, from - 1) .. alias
    at = last + 1
  end
  return at == 1 and text or table.concat(out) .. text:sub(at)
end

local function hide_patients(self, text)
  for _, key in ipairs(self.patients) do
    local from, to = text:find(key, 1, true)
    while from do
      local alias = self.patients[key]
      text = text:sub(1, from - 1) .. alias .. text:sub(to + 1)
      from, to = text:find(key, from + #alias, true)
    end
  end
  return text
end

local LONG = 1 << 16 -- bytes: a picture of a page, and no text of somebody's

-- A value with f(text) in the place of each text, those in tables too; the tables stay as they are.
local function mapped(value, f)
  if type(value) == "string" then return #value < LONG and f(value) or value end
  if type(value) ~= "table" then return value end
  local out = {}
  for key, each in pairs(value) do out[type(key) == "string" and f(key) or key] = mapped(each, f) end
  return setmetatable(out, getmetatable(value))
end

-- A text, or a tree of tables, with aliases in the place of all paths and patients that are known.
function Identifiers:hide(value)
  return mapped(value, function(text) return hide_patients(self, hide_paths(self, text)) end)
end

-- What was hidden, with its paths again.
function Identifiers:shown(value)
  return mapped(value, function(text)
    return (text:gsub("path%-%x+x?%d*", self.plain):gsub("%f[%w]p%-%x+x?%d*", self.plain))
  end)
end

-- ---- the table ----

local function file_in(folder) return folder .. "/" .. FILE end

-- Writes the table into a run's folder, if there is more to say than what stands there.
function Identifiers:write(folder)
  if self.written == folder then return end
  local lines = { HEADER, ("salt,%s,"):format(self.salt) }
  for _, row in ipairs(self.rows) do
    lines[#lines + 1] = ("%s,%s,%s"):format(row[1], util.csv(row[2]), util.csv(row[3]))
  end
  core.write_private(file_in(folder), table.concat(lines, "\n") .. "\n")
  self.written = folder
end

-- Those of a run, by its folder or a file in it; nil where it has no such table.
function identifiers.of_run(path)
  local folder = core.is_folder(path) and path or path:match "^(.*)/[^/]+$" or "."
  local file = file_in(folder)
  if not core.exists(file) then return nil end
  local header, rows = core.csv(file)
  local salt = rows[1] and rows[1][1] == "salt" and rows[1][2] or ""
  if table.concat(header, ",") ~= HEADER or not salt:find("^" .. ("%x"):rep(64) .. "$") then
    util.failf("%s is damaged: it must begin with %s and a salt of 64 digits", file, HEADER)
  end
  local self = identifiers.new(salt)
  for i = 2, #rows do
    local alias, text = rows[i][1], rows[i][2]
    if alias:find "^path%-" then
      self.given["path:" .. text], self.plain[alias] = alias, text
      add_row(self, alias, text)
    elseif (rows[i][3] or "") ~= "" then self:patient(rows[i][3]) end
  end
  return self
end

-- The same as hide, for a page about several runs of a recipe: what its texts say of the folders of its data `d`.
function identifiers.hidden(d, value)
  return d.options.private and identifiers.of_data(d):hide(value) or value
end

-- What a run's file says, with its paths again, where the table lies beside it.
function identifiers.restored(path, value)
  local known = identifiers.of_run(path)
  return known and known:shown(value) or value
end

util.seal(Identifiers, "identifiers:", 1)
util.seal(identifiers, "identifiers.")
return identifiers
