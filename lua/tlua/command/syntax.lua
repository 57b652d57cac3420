-- syntax.lua - what Lua's parser says of a recipe, in the words of who writes recipes: a comma that is missing, a brace
-- that is never closed.
local syntax = {}

-- The number of the last line before `line` that holds more than blanks and a comment.
local function line_before(text, line)
  local number, found = 0, nil
  for each in (text .. "\n"):gmatch "(.-)\r?\n" do
    number = number + 1
    if number >= line then break end
    if each:find "%S" and not each:find "^%s*%-%-" then found = number end
  end
  return found
end

local function line_of(text, line)
  local number = 0
  for each in (text .. "\n"):gmatch "(.-)\r?\n" do
    number = number + 1
    if number == line then return each end
  end
  return ""
end

local function begins(text, line, token) return line_of(text, line):match "^%s*(.*)$":sub(1, #token) == token end

-- A hint for an error of the parser about `text`; nil where there is none.
function syntax.hint(message, text)
  local line, what = message:match ":(%d+): (.*)$"
  line = tonumber(line)
  if not line then return nil end
  local close, open, from, near = what:match "^'([%]})])' expected %(to close '([%[({])' at line (%d+)%) near (.+)$"
  if not close then close, near = what:match "^'([%]})])' expected near (.+)$" end
  near = near or what:match " near (.+)$"
  local token = near and (near:match "^'(.*)'$" or near)
  if what:find "^unfinished string" then return "a quotation mark is missing" end
  if close and near == "<eof>" then
    return ("a '%s' is missing: the '%s' of line %s, or one within it, is never closed"):format(close, open or close,
      from or line)
  end
  if what:find "^<name> expected" and line_of(text, line):find "^%s*[%a_][%w_]*%s*:" or token == ":" then
    return "a field is written NAME = VALUE"
  end
  if close and begins(text, line, token) then
    local before = line_before(text, line)
    return ("a comma is missing at the end of line %s%s"):format(before or line - 1,
      from and (", or a '%s' for the '%s' of line %s"):format(close, open, from) or "")
  end
  if close then return ("a comma is missing before %s, or a '%s'"):format(near, close) end
end

-- The message with its hint.
function syntax.explain(message, text)
  local hint = text and syntax.hint(message, text)
  return hint and ("%s; %s"):format(message, hint) or message
end

return syntax
