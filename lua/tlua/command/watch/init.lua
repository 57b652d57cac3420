-- watch - `tlua watch RUN`: a run followed while it goes, in a page that a small server on this machine's own
-- address gives, or as text. It reads files and asks for a lock, so it cannot disturb the run; that may begin,
-- end, be killed and be taken up again meanwhile.
local core = require "tlua.core"
local util = require "tlua.util"
local commands = require "tlua.command.commands"
local told = require "tlua.run.told"
local parts = require "tlua.command.watch.parts"
local answers = require "tlua.command.watch.answers"
local text = require "tlua.command.watch.text"
local watch = {}

local TURN = 1 -- seconds; Ctrl-C ends one at once

local WARNING = "whoever can reach %s and learns the page's address sees this run, and what is sent is not " ..
  "encrypted; `ssh -L %d:127.0.0.1:%d` from the other machine needs no --address"

-- The folder that is watched, and whether it holds several runs instead of being one.
local function folder_of(rest)
  if #rest == 0 then commands.usage("watch", "the folder of a run is needed") end
  if #rest > 1 then commands.usage("watch", "one folder at a time") end
  local folder = told.folder(core.path(rest[1]))
  local missing = util.missing(folder, "folder")
  if missing or not core.is_folder(folder) then util.failf("watch: %s", missing or folder .. " is no folder") end
  if told.is_run(folder) then return folder, false end
  if #parts.runs(folder) > 0 or core.exists(folder .. "/cells") then return folder, true end
  util.failf("watch: %s is not the folder of a run, and holds none", folder)
end

-- Names by which this machine may be asked, beside localhost and numbers, when others may ask it.
local function own_names(server)
  local own, name = {}, core.host_name():lower()
  if server:is_loopback() or name == "" then return own end
  own[name], own[name .. ".local"] = true, true
  return own
end

-- The name of an address in a URL; every address of the machine is said as its name.
local function url_name(address)
  if address == "0.0.0.0" or address == "::" then return core.host_name() end
  return address:find(":", 1, true) and ("[%s]"):format(address) or address
end

local function serve(folder, several, address, port)
  local server <close> = core.serve(address, port)
  local token = answers.token()
  if not server:is_loopback() then util.note("warning: " .. WARNING:format(address, server:port(), server:port())) end
  print(("http://%s:%d/%s/"):format(url_name(address), server:port(), token))
  print(("follows %s; Ctrl-C ends this, and not the run"):format(folder))
  io.stdout:flush()
  local answer = answers.open(folder, several, token, own_names(server))
  while not core.interrupted() do server:turn(TURN, answer) end
end

-- argv: what stands behind `tlua watch`. Returns the exit status.
function watch.main(argv)
  local options, rest = commands.parse("watch", argv)
  local folder, several = folder_of(rest)
  local port = commands.numbers(options, { port = 0 }, { port = { 0, 65535 } }).port
  for _, name in ipairs { "address", "port" } do
    if options[name] and (options.text or options.once) then
      commands.wrong("watch", ("--%s is of the page"):format(name))
    end
  end
  if several and (options.text or options.once) then text.list(folder)
  elseif options.once then text.once(folder)
  else
    core.catch_interrupt(true)
    local ok, e
    if options.text then ok, e = pcall(text.follow, folder)
    else ok, e = pcall(serve, folder, several, options.address or "127.0.0.1", port) end
    core.catch_interrupt(false)
    if not ok then error(e, 0) end
  end
  return 0
end

return watch
