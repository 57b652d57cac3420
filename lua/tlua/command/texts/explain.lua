-- explain.lua - `tlua explain` of networks that read: the words of a text in shades of what speaks for an answer, on
-- the terminal and as a page (report/texts).
local core = require "tlua.core"
local util = require "tlua.util"
local commands = require "tlua.command.commands"
local parts = require "tlua.report.parts"
local ask = require "tlua.command.texts.ask"
local asked = require "tlua.command.texts.asked"
local explained = require "tlua.report.texts.explained"
local gradient = require "tlua.report.texts.gradient"
local texts = require "tlua.data.texts"
local words = require "tlua.report.texts.words"
local explain = {}

local function check(task, options)
  if options.layer then
    commands.wrong("explain", "--layer is for pictures; of texts it is always the table of pieces")
  end
  if task.takes ~= "vector" then
    util.failf("explain: of texts it is for a class or numbers of a text, and the model's task is %s", task.kind)
  end
end

-- `tlua explain MODEL TEXT|FILE...`. class: number of an output, from 0, or nil. Returns the exit status.
function explain.main(net, info, task, list, path, options, class)
  check(task, options)
  local items, pipe, paired = asked.of(list, info, options)
  if pipe then pipe(function(each) items[#items + 1] = each end) end
  local p, bad, figures = info.preprocessing, 0, {}
  local tokenizer, encode = ask.tokenizer(net, path), texts.options(p)
  encode.stride = nil
  local colour = core.isatty(1) and (os.getenv "NO_COLOR" or "") == ""
  for _, each in ipairs(items) do
    if each.reason then
      bad = bad + 1
      util.note(("%s: %s"):format(asked.place(each), each.reason))
    else
      local window = tokenizer.handle:encode(each.text, paired and each.pair or nil, encode)[1]
      local scores, rows = explained.scores(net, { window }, p, class and { class + 1 })
      local shown = words.shown(window, scores[1], each.text, paired and each.pair or nil)
      local o = { top = 3, windows = { window } }
      local answer = task:decode(core.tensor(rows), o)[1]
      if not answer then util.failf("%s: the network's outputs are no numbers (nan)", path) end
      local k = class or gradient.likeliest(rows)[1] - 1
      local about = ("%s; for %s"):format(task:text(answer, o), task.names and task.names[k + 1] or tostring(k))
      util.put(words.ansi(shown, colour), "\n  ", about, "\n")
      figures[#figures + 1] = explained.figure(shown, parts.escape(about))
    end
  end
  if #figures > 0 then
    local to = options.to or "explain"
    core.mkdirs(to)
    core.write_file(to .. "/texts.html", table.concat { parts.head "What spoke for it", "<h1>What spoke for it</h1>",
      words.LEGEND, '<div class="texts">', table.concat(figures), "</div>", parts.FOOT })
    if not options.quiet then print(("%s/texts.html: %s"):format(to, gradient.NAME)) end
  end
  return bad > 0 and 1 or 0
end

util.seal(explain, "command.texts.explain.")
return explain
