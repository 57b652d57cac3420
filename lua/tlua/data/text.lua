-- data_text.lua - what a run says of its data before it begins: parts and their folders, classes and how many pictures each has, files
-- that are passed over, pictures that stand on both sides.
local util = require "tlua.util"
local identifiers = require "tlua.data.identifiers"
local doubles = require "tlua.data.doubles"
local data_text = {}

local MOST = 12 -- classes that are named

-- What was passed over in a folder (src/data/folders.h) as a text, nil where nothing was.
function data_text.passed(list)
  local parts = {}
  for i, each in ipairs(list) do
    parts[i] = ("%s %s"):format(util.thousands(each.count), each.ending ~= "" and each.ending or "without an ending")
  end
  if #parts == 0 then return nil end
  local text = #parts > 1 and table.concat(parts, ", ", 1, #parts - 1) .. " and " .. parts[#parts] or parts[1]
  return text .. (" %s passed over: JPEG, PNG, WebP, TIFF, BMP, GIF and DICOM are read"):format(#list == 1
    and list[1].count == 1 and "is" or "are")
end

local function share_text(split) return ("%g %% of each class"):format(100 * split) end

local function parts_of(d, say)
  local p = d.parts
  if not p then return end
  if not p.apart then say(("parts     %s has none; %s are held out for testing"):format(p.train, share_text(d.split)))
  elseif not p.test then say(("parts     training %s; %s of it are held out for testing"):format(p.train, share_text(d.split)))
  else say(("parts     training %s, test %s"):format(p.train, p.test)) end
  if #p.unused > 0 and d.private then say(("unused    %d more beside the parts"):format(#p.unused))
  elseif #p.unused > 0 then say(("unused    %s: beside the parts"):format(util.first_few(p.unused, 4))) end
end

-- "a 9 + 3", or "a 9 + 2 + 3" where there is a validation part: how many samples of class k each part has.
local function of_parts(lists, k)
  local words = {}
  for i, counts in ipairs(lists) do words[i] = util.thousands(counts[k]) end
  return table.concat(words, " + ")
end

local function classes_of(d, say)
  local lists, same = { d.train:counts() }, true
  if d.validation then lists[2] = d.validation:counts() end
  lists[#lists + 1] = d.test:counts()
  for k = 2, #d.classes do
    for _, counts in ipairs(lists) do same = same and counts[k] == counts[1] end
  end
  local shown = {}
  for k = 1, math.min(MOST, #d.classes) do
    local name = util.on_line(d.classes[k])
    shown[k] = same and name or name .. " " .. of_parts(lists, k)
  end
  local text = table.concat(shown, ", ")
  if #d.classes > MOST then
    local least, most = math.huge, 0
    for _, n in ipairs(lists[1]) do least, most = math.min(least, n), math.max(most, n) end
    text = ("%s, ... (%d in all%s)"):format(text, #d.classes, same and ""
      or (", from %s to %s training %s"):format(util.thousands(least), util.thousands(most), d.input.many))
  end
  if same then text = ("%s: %s each"):format(text, of_parts(lists, 1)) end
  say(("classes   %s training + %stest %s"):format(text, d.validation and "validation + " or "", d.input.many))
end

local function passed_of(d, say)
  if not d.passed then return end
  for _, part in ipairs { "train", "test" } do
    local list = d.passed[part]
    local text = list and data_text.passed(list)
    local name = part == "train" and "training" or "test"
    if text then say(("skipped   %s folders: %s"):format(name, text)) end
    if list and list.stray > 0 then
      say(("skipped   %s folder: %s %s beside the class folders and has no class"):format(name, util.thousands(list.stray), list.stray == 1 and "picture lies" or "pictures lie"))
    end
  end
end

-- What is counted: long texts are in windows, each a sample.
function data_text.samples(d, one)
  if d.windowed then return one and "window of a text" or "windows of texts" end
  return one and d.input.one or d.input.many
end

-- "Shapes: 120 training and 30 test pictures, 3 classes"
function data_text.data(s)
  local d = s.data
  local validation = d.validation and (", %s validation"):format(util.thousands(d.validation:count())) or ""
  local what = s.task.kind == "classify" and ("%d classes"):format(#s.classes) or d.fields_text or table.concat(util.keys(d.fields), ", ")
  return ("data      %s: %s training%s and %s test %s, %s"):format(d.title, util.thousands(d.train:count()),
    validation, util.thousands(d.test:count()), data_text.samples(d), what)
end

local function shared_of(d, say)
  local list, names = d.shared, {}
  if not list or #list == 0 then return end
  for i = 1, math.min(3, #list) do
    names[i] = ("%s = %s"):format(util.on_line(d.test:name(list[i][2])), util.on_line(d.train:name(list[i][1])))
  end
  say(("the same  %s test %s a training %s too, byte for byte: %s%s"):format(util.thousands(#list),
    #list == 1 and d.input.one .. " is" or d.input.many .. " are", d.input.one, table.concat(names, ", "),
    #list > 3 and ", ..." or ""))
end

-- What is known of text that is burnt into pictures, and what becomes of their corners; nil where nothing is.
function data_text.burnt_in(d)
  local share, said = d.preprocessing and d.preprocessing.strip_corners, d.burnt_in
  if share then return ("the corners are black, %g %% of the height and of the width each"):format(100 * share) end
  if not said or said.yes + said.unsaid == 0 then return nil end
  local parts = {}
  if said.yes > 0 then
    parts[1] = ("%s %s that text is burnt in"):format(util.thousands(said.yes), said.yes == 1 and "picture says" or
      "pictures say")
  end
  if said.unsaid > 0 then
    parts[#parts + 1] = ("%s %s not say whether text is burnt in"):format(util.thousands(said.unsaid),
      said.unsaid == 1 and "picture does" or "pictures do")
  end
  return table.concat(parts, ", ") .. " (BurnedInAnnotation); they are shown as they are: --data.strip_corners 0.15 " ..
    "makes their corners black"
end

-- Lines of the plan for what data.open gave.
function data_text.lines(d, say)
  for _, line in ipairs(d.said or {}) do say(line) end
  parts_of(d, say)
  if d.validation then say(("validation %s"):format(d.validation_text)) end
  if d.fields.label and d.counted ~= false then classes_of(d, say) end
  passed_of(d, say)
  shared_of(d, say)
  doubles.lines(d, say)
  local burnt = data_text.burnt_in(d)
  if burnt then say("burnt in  " .. burnt) end
  if d.private then
    say(("private   what is written names %s by aliases; %s in the run's folder says whose they are: pass it to nobody")
      :format(d.input.many, identifiers.FILE))
  end
end

-- The loss with its options; weights stand beside the classes' names.
function data_text.loss(loss, classes)
  if type(loss) == "function" then return "a function of the recipe" end
  local o, parts = loss.options or {}, { loss.kind or loss:label() }
  for _, field in ipairs(loss.schema or {}) do
    local name, value = field[1], o[field[1]]
    if name ~= "weight" and value ~= nil and value ~= field[3] then
      parts[#parts + 1] = ("%s %s"):format(name, require("tlua.schema").show(value))
    end
  end
  local weights = o.weight == "auto" and rawget(loss, "counted") or o.weight
  if type(weights) == "table" then
    local shown = {}
    for k = 1, math.min(MOST, #weights) do shown[k] = ("%s %.4g"):format(classes[k] or k - 1, weights[k]) end
    parts[#parts + 1] = ("weights %s%s%s"):format(table.concat(shown, ", "), #weights > MOST and (", ... (%d in all)"):format(#weights) or "", o.weight == "auto" and " (auto)" or "")
  end
  return table.concat(parts, ", ")
end

return data_text
