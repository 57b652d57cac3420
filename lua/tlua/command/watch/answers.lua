-- answers.lua - what the server of `tlua watch` answers: who is let in, which addresses there are, and the fields
-- that keep the page to itself.
local core = require "tlua.core"
local util = require "tlua.util"
local report = require "tlua.report"
local told = require "tlua.run.told"
local parts = require "tlua.command.watch.parts"
local page = require "tlua.command.watch.page"
local script = require "tlua.report.page.script"
local answers = {}

-- Nothing is kept, guessed, framed or told to others; a page gets what it needs from its own address alone.
local ALWAYS = "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
  .. "Cross-Origin-Resource-Policy: same-origin\r\nCross-Origin-Opener-Policy: same-origin\r\nX-Frame-Options: DENY\r\n"
local CLOSED = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
local function hash_of(text)
  return util.base64((core.sha256(text):gsub("%x%x", function(x) return string.char(tonumber(x, 16)) end)))
end

local POLICIES = {
  page = CLOSED .. "; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:",
  -- A report is one file with its style sheet, pictures and sounds in it, and the one script that is known.
  report = CLOSED .. "; script-src 'sha256-" .. hash_of(script) .. "'; style-src 'unsafe-inline'; img-src data:; media-src data:",
  none = CLOSED,
}
local TYPES = { html = "text/html", json = "application/json", css = "text/css", js = "text/javascript",
  txt = "text/plain" }

local function answer(status, kind, body, policy)
  return status, ("Content-Type: %s; charset=utf-8\r\nContent-Security-Policy: %s\r\n%s"):format(TYPES[kind],
    POLICIES[policy or "none"], ALWAYS), body
end

-- A token of 128 random bits in hexadecimal digits.
function answers.token()
  local file <close> = assert(io.open("/dev/urandom", "rb"))
  return (file:read(16):gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

-- A page of another site whose name has been made to lead here (DNS rebinding) says that name as the host. Numbers
-- cannot be made to lead elsewhere; `own`: names beside localhost that are let in.
local function is_host(host, own)
  return host == "localhost" or host:find "^%d+%.%d+%.%d+%.%d+$" ~= nil or host:find(":", 1, true) ~= nil
    or own[host] == true
end

-- By their hashes, so that the time it takes says nothing of how much of it was right.
local function is_same(a, b) return core.sha256(a) == core.sha256(b) end

local FIXED = { ["style.css"] = { "css", page.STYLE }, ["watch.js"] = { "js", page.SCRIPT } }

-- The answer about one run: its page, its data, its report.
local function of_run(folder, rest, back, up)
  if rest == "" then
    local title, pieces = parts.run(folder, back)
    return answer(200, "html", page.html(title, pieces, up), "page")
  elseif rest == "data.json" then return answer(200, "json", page.json(parts.run(folder, back)))
  elseif rest == "report.html" then
    local run = told.read(folder, "watch")
    return answer(200, "html", told.shown(run, "watch", report.page, run), "report")
  end
end

local function of_list(folder, rest)
  if rest == "" then
    local title, pieces = parts.list(folder)
    return answer(200, "html", page.html(title, pieces, ""), "page")
  elseif rest == "data.json" then return answer(200, "json", page.json(parts.list(folder))) end
  local id, behind = rest:match "^run/(%x+)/(.*)$"
  for _, run in ipairs(id and parts.runs(folder) or {}) do
    if run.id == id then return of_run(run.folder, behind, "../../", "../../") end
  end
end

-- The function that answers requests: path, host -> status, fields, body. folder: of a run, or of several (`several`).
function answers.open(folder, several, token, own)
  local function find(rest)
    local fixed = FIXED[rest]
    if fixed then return answer(200, fixed[1], fixed[2]) end
    if several then return of_list(folder, rest) end
    return of_run(folder, rest, nil, "")
  end
  return function(path, host)
    if not is_host(host, own) then
      return answer(403, "txt", "forbidden: " .. host .. " is not a name of this machine that tlua watch knows\n")
    end
    local given, rest = path:match "^/([^/]*)/(.*)$"
    if not given or not is_same(given, token) then
      return answer(403, "txt", "forbidden: the address of this page has a token, which tlua watch says at first\n")
    end
    local ok, status, fields, body = pcall(find, rest)
    if not ok then return answer(500, "txt", util.reason(status) .. "\n") end
    if not status then return answer(404, "txt", "there is nothing at this address\n") end
    return status, fields, body
  end
end

return answers
