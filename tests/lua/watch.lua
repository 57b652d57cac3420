-- watch.lua - runs told of at any moment: `tlua report` of a run that goes, was stopped, killed or failed; `tlua watch`
-- as text and as a page, its server (who is let in, where it listens, who can make it wait), and a run followed in a
-- real browser through kill -9 and --resume. Run by `tlua tests/lua/watch.lua [SECONDS]`: how long the run in the
-- browser is followed (`make test-watch`: ten minutes); without it through one kill.
local t = dofile "tests/lua/run_tests.lua"
local pictures = dofile "tests/lua/run_pictures.lua"
local core = require "tlua.core"
local util = require "tlua.util"
local steps = require "tlua.run.steps"
local status = require "tlua.run.status"
local SECONDS = tonumber(arg[1])
local ASK = (os.getenv "BUILD" or "build") .. "/ask"
local folder = t.folder()
local LIMIT = 1200 -- looks, a tenth of a second apart, after which something is waited for in vain

local function write(path, text) core.write_file(folder .. "/" .. path, text) end

-- Calls f until it gives something. Looks are counted and not seconds: a busy machine may stand still for a while.
local function wait(what, f)
  for _ = 1, LIMIT do
    local value = f()
    if value then return value end
    core.sleep(0.1)
  end
  error("waited in vain for " .. what, 2)
end

local function read(path)
  local file = io.open(path)
  local text = file and file:read "a" or ""
  if file then file:close() end
  return text
end

local started = {}

-- Starts a command in the background, its output in folder/NAME.log; gives its process.
local function start(name, command)
  local log = ("%s/%s.log"):format(folder, name)
  os.execute(("%s >%s 2>&1 & echo $! >%s/%s.pid"):format(command, log, folder, name))
  local function pid() return read(("%s/%s.pid"):format(folder, name)):match "%d+" end
  started[#started + 1] = { log = log, pid = wait("a process", pid) }
  return started[#started]
end

local function lives(p) return os.execute(("kill -0 %s 2>/dev/null"):format(p.pid)) == true end
local function send(p, signal) os.execute(("kill -%s %s 2>/dev/null"):format(signal, p.pid)) end
local function gone(p) wait("the end of a process", function() return not lives(p) end) end

-- ---- what is kept of steps ----

t.test("steps are thinned evenly, and the same where a run was taken up again", function()
  local whole, pieces = steps.new(), steps.new()
  for i = 1, 50000 do
    whole:add(i / 100, i % 7, 1 / i)
    if i % 1234 == 0 then pieces = steps.new(core.json_decode(core.json_encode(pieces:state()))) end
    pieces:add(i / 100, i % 7, 1 / i)
    assert(#whole.points < steps.MOST)
  end
  t.equal(whole.every, 32)
  t.equal(#whole.points, 50000 // 32)
  t.equal(whole:csv(), pieces:csv())
  local mean = 0
  for _, p in ipairs(whole.points) do mean = mean + p[2] / #whole.points end
  assert(math.abs(mean - 3) < 0.01, mean)
  for i = 2, #whole.points do assert(math.abs(whole.points[i][1] - whole.points[i - 1][1] - 0.32) < 0.011) end
  assert(#whole:csv() < 80000 and #core.json_encode(whole:state()) < 100000)
  whole:add(600, 0 / 0, 1)
  whole:add(600, math.huge, 1)
  t.equal(whole:csv(), pieces:csv())
  whole:cut(20)
  assert(whole.points[#whole.points][1] <= 20)
end)

t.test("steps.csv is read again; one of another form is none", function()
  local s = steps.new()
  for i = 1, 5 do s:add(i / 2, i, 0.1) end
  write("steps.csv", s:csv())
  local again = steps.read(folder)
  t.equal(again.every, 1)
  t.equal(core.json_encode(again.points), core.json_encode(s.points))
  for _, text in ipairs { "", "a\nb\n", "h\n1,x,2,3\n", "h\n1,2,3,0.5\n" } do
    write("steps.csv", text)
    t.equal(steps.read(folder), nil, text)
  end
  os.remove(folder .. "/steps.csv")
end)

-- ---- where a run stands ----

-- A folder as a run leaves it.
local function made(name, state, more)
  local path = ("%s/%s"):format(folder, name)
  core.mkdirs(path)
  local out = { format = 1, state = state, pid = 1, host = "x", seen = true, begun = os.time() - 60,
    updated = os.time(), epoch = 3, epochs = 12, batches = 5, seconds = 60, loss = 0.5, rows = 2, many = "pictures" }
  for key, value in pairs(more or {}) do out[key] = value end
  core.write_file(path .. "/status.json", core.json_encode(out))
  core.write_file(path .. "/run.json", core.json_encode { format = 1, begun = out.begun, title = "<net> on data",
    name = name, task = "classify", prefix = "test", many = "pictures", epochs = 12,
    commands = { "tlua r.lua --x '<y>'" },
    ran = { { "seed", "7" } }, recipe = "return 1 < 2", fields = { seed = "7" },
    figures = { { "accuracy", "accuracy", "%.1f %%", "max" } } })
  core.write_file(path .. "/metrics.csv", "epoch,loss,train_accuracy,test_loss,test_accuracy,learning_rate,seconds\n" ..
    "1,0.9,50,0.8,60,0.001,3\n2,0.7,70,nan,,0.001,3\n")
  core.write_file(path .. "/log.txt", "[Epoch 1] <script>alert(1)</script>\n")
  local s = steps.new()
  for i = 1, 9 do s:add(i / 4, 1 / i, 0.001) end
  core.write_file(path .. "/steps.csv", s:csv())
  return path
end

local function text_of(path) return status.text(status.read(path), path) end

t.test("the lock tells a run that goes from one that was killed", function()
  local path = made("lock", "running", { done = 45, total = 100, eta = 12, eta_all = 200, doing = "Epoch 3/12" })
  local killed = "^no longer running since %d+%-%d+%-%d+ [%d:]+, when it was in epoch 3 of 12: killed"
  assert(text_of(path):find(killed), text_of(path))
  assert(text_of(path):find("it kept nothing to go on from", 1, true))
  local lock, seen = core.lock(path .. "/run.lock")
  assert(lock and seen == true)
  t.equal(core.is_locked(path .. "/run.lock"), true)
  t.equal(text_of(path), "running, epoch 3 of 12, 45 %, ETA 0:12, ETA of the whole run 3:20")
  t.equal(core.lock(path .. "/run.lock"), false, "who asks takes nothing, and the lock holds")
  core.unlock(lock)
  t.equal(core.is_locked(path .. "/run.lock"), false)
  -- however often it is asked, a run that begins gets it
  local again = core.lock(path .. "/run.lock")
  assert(again)
  core.unlock(again)
  t.equal(core.is_locked(folder .. "/nowhere/run.lock"), false)
end)

t.test("a process that is killed leaves no lock behind", function()
  local path = made("process", "running")
  local hold = "./tlua -e 'local c = require [[tlua.core]] c.lock([[%s/run.lock]]) c.sleep(500)'"
  local p = start("holder", hold:format(path))
  wait("the lock", function() return core.is_locked(path .. "/run.lock") end)
  t.equal(status.read(path).state, "running")
  send(p, "KILL")
  gone(p)
  t.equal(status.read(path).state, "killed")
end)

t.test("words for every state", function()
  t.equal(text_of(made("finished", "finished", { rows = 12 })), "finished, 12 epochs")
  t.equal(text_of(made("early", "finished", { rows = 7 })), "finished after epoch 7 of 12")
  local path = made("stopped", "stopped", { kept = "epoch 3, step 5" })
  t.equal(text_of(path),
    ("stopped in epoch 3 after 5 batches: tlua --resume %s goes on from epoch 3, step 5"):format(path))
  path = made("failed", "failed", { reason = "no room" })
  assert(text_of(path):find("ended by an error in epoch 3 of 12: no room; ", 1, true))
  assert(text_of(made("unseen", "running", { seen = false })):find("not known whether it runs", 1, true))
  local silent = made("silent", "running", { updated = os.time() - 100, doing = "Testing" })
  local lock = core.lock(silent .. "/run.lock")
  assert(text_of(silent):find "^running, epoch 3 of 12, testing, without a word for 1:4%d$", text_of(silent))
  core.unlock(lock)
  for _, bad in ipairs { "", "[]", "{\"format\":2}", "{\"format\":1,\"state\":\"running\"}", "{" } do
    write("silent/status.json", bad)
    t.equal(status.read(silent), nil, bad)
  end
end)

local function run(line)
  local code, out, err = t.run("./tlua " .. line)
  if code ~= 0 then error(("tlua %s: status %s: %s%s"):format(line, tostring(code), out, err), 2) end
  return out
end

t.test("tlua report and tlua watch --once of a run at any moment", function()
  for _, state in ipairs { "killed", "stopped", "failed" } do
    local path = made(state, state == "killed" and "running" or state)
    local said = run("report " .. path)
    assert(said:find("written: " .. path .. "/report.html", 1, true), said)
    local page = read(path .. "/report.html")
    local text = text_of(path)
    assert(page:find(('<p class="state %s"><i></i>%s</p>'):format(state, text), 1, true), page)
    for _, part in ipairs { "Loss, step by step", "<figcaption>Loss</figcaption>", "Learning rate",
      "&lt;net&gt; on data", "2 / 12", "60.0 %", "test accuracy, epoch 1", "return 1 &lt; 2",
      "tlua r.lua --x '&lt;y&gt;'" } do
      assert(page:find(part, 1, true), part .. " in " .. page)
    end
    for _, none in ipairs { "Confusion", "no test picture", "nan" } do
      assert(not page:find(none, 1, true), none)
    end
    local once = run("watch --once " .. path)
    assert(once:find("[Epoch 1] loss: 0.9000  test accuracy 60.0 %  test loss 0.8000  (3.0 s)\n", 1, true), once)
    assert(once:find("[Epoch 2] loss: 0.7000  test loss nan  (3.0 s)\n" .. text, 1, true), once)
  end
  -- one that has only just begun
  local path = made("begun", "running", { rows = 0, epoch = 1 })
  for _, name in ipairs { "metrics.csv", "steps.csv" } do os.remove(path .. "/" .. name) end
  run("report " .. path)
  assert(read(path .. "/report.html"):find("No step has been made yet", 1, true))
end)

t.test("a report of before the run was taken up again is none of the run that goes", function()
  local path = made("again", "stopped", { begun = 1000 })
  local report = { format = 1, begun = 1000, metrics = { count = 0 }, rows = {},
    figures = { { "accuracy", "accuracy", "%.1f %%", "max" } }, title = "the report", subtitle = "of then",
    facts = { { "network", "x" } }, seconds = 5 }
  core.write_file(path .. "/report.json", core.json_encode(report))
  run("report " .. path)
  assert(read(path .. "/report.html"):find("the report", 1, true))
  made("again", "running", { begun = 2000 })
  run("report " .. path)
  local page = read(path .. "/report.html")
  assert(not page:find("the report", 1, true) and page:find("no longer running", 1, true))
end)

t.test("a damaged report is told by its field, and so is what cannot be shown of its task", function()
  local path = made("damaged", "finished", { begun = 1000, rows = 12 })
  local told, report = require "tlua.run.told", require "tlua.report"
  local NONE = {}
  local function refused(fields, message)
    local found = { format = 1, begun = 1000, metrics = { count = 1 }, facts = {}, title = "x", prefix = "test",
      rows = { { epoch = 1, loss = 0.5, test_accuracy = 50 } }, figures = { { "accuracy", "accuracy", "%.1f %%", "max" } } }
    for name, value in pairs(fields) do found[name] = value ~= NONE and value or nil end
    core.write_file(path .. "/report.json", core.json_encode(found))
    local ok, e = pcall(function()
      local run = told.read(path, "report")
      return told.shown(run, "report", report.page, run)
    end)
    assert(not ok and e:find(("report: %s/report.json is damaged: "):format(path), 1, true) and e:find(message, 1, true)
      and e:find("without the file the page is made", 1, true) and not e:find "\n" and not e:find "tlua/%w", e)
  end
  for _, name in ipairs { "metrics", "rows", "facts" } do refused({ [name] = NONE }, ("'%s' is missing"):format(name)) end
  for name, bad in pairs { rows = { { epoch = "x" } }, facts = { 3 }, metrics = 7, prefix = {}, seconds = "x", recipe = {},
    steps = { every = 1, points = {} }, figures = { { "a", "b", "%s %s", "max" } }, test = { count = 3 }, title = 1,
    fields = { 1 }, commands = { {} } } do
    refused({ [name] = bad }, ("'%s' is of another form"):format(name))
  end
  refused({ metrics = { count = 1, classes = { 1 }, accuracy = "x" }, right = { 3 }, wrong = { true } }, "cannot be shown")
  core.write_file(path .. "/report.json", "{")
  local code, _, err = t.run("./tlua report " .. path)
  assert(code == 1 and err:find("it is not JSON of a report", 1, true), err)
end)

t.test("what else may lie in a run's folder ends nothing", function()
  local path = made("odd", "running", { done = 1e300, total = 1 })
  t.equal(status.read(path), nil)
  path = made("odd", "running", { eta = 1e300 })
  local lock = core.lock(path .. "/run.lock")
  t.equal(text_of(path), "running, epoch 3 of 12, ETA ?")
  core.unlock(lock)
  for name, bad in pairs { figures = { 1 }, prefix = "x", ran = { 3 }, test = { count = "x" } } do
    core.write_file(path .. "/run.json", core.json_encode { format = 1, title = "x", [name] = bad })
    t.equal(status.begun(path), nil, name)
  end
  core.write_file(path .. "/metrics.csv", "epoch,loss\n1.5,1\n1e999,1\n2,3\n")
  t.equal(#require("tlua.run.told").rows(path), 1)
  core.remove(path .. "/log.txt")
  os.execute(("mkfifo %s/log.txt"):format(path)) -- whoever opened it would wait for a writer
  local _, pieces = require("tlua.command.watch.parts").run(path)
  t.equal(pieces.log, "")
end)

t.test("a folder of several runs as text; errors", function()
  core.mkdirs(folder .. "/many")
  for _, name in ipairs { "b", "cells/a" } do made("many/" .. name, "finished", { rows = 12 }) end
  t.equal(run("watch --text " .. folder .. "/many"), "b  finished, 12 epochs\ncells/a  finished, 12 epochs\n")
  local function refused(line, code, message)
    local got, _, err = t.run("./tlua watch " .. line)
    assert(got == code and err:find(message, 1, true), err)
  end
  core.mkdirs(folder .. "/empty")
  refused("", 2, "the folder of a run is needed")
  refused("a b", 2, "one folder at a time")
  refused(folder .. "/nowhere", 1, "there is no folder")
  refused(folder .. "/empty", 1, "is not the folder of a run, and holds none")
  refused(folder .. "/many --text --port 5", 2, "--port is of the page")
  refused(folder .. "/many --port 70000", 2, "port")
  refused(folder .. "/many --address example.com", 1, "'example.com' is no numeric address")
end)

-- ---- the server ----

-- Starts tlua watch; its process with port and token.
local function watch(name, words)
  local p = start(name, "./tlua watch " .. words)
  p.port, p.token = wait("an address", function()
    local text = read(p.log)
    if not lives(p) then error(text) end
    return text:find "follows " and text
  end):match "http://[^/]+:(%d+)/(%x+)/"
  t.equal(#p.token, 32)
  return p
end

-- What is answered to these bytes: status, body, all of it.
local function ask(p, bytes, how)
  core.write_file(folder .. "/request", bytes)
  local code, out = t.run(("%s %s %s <%s/request"):format(ASK, p.port, how or "", folder))
  t.equal(code, 0, "the connection stays open")
  return tonumber(out:match "^HTTP/1%.1 (%d+) "), out:match "\r\n\r\n(.*)$", out
end

local function get(p, path, more)
  return ask(p, ("GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n%s\r\n"):format(path, p.port, more or ""))
end

-- Addresses on which a process listens, as /proc/net/tcp has them.
local function listens(p)
  local own, found = {}, {}
  for link in io.popen(("ls -l /proc/%s/fd 2>/dev/null"):format(p.pid)):lines() do
    local inode = link:match "socket:%[(%d+)%]"
    if inode then own[inode] = true end
  end
  for _, name in ipairs { "tcp", "tcp6", "udp", "udp6" } do
    for line in read("/proc/net/" .. name):gmatch "[^\n]+" do
      local words = {}
      for word in line:gmatch "%S+" do words[#words + 1] = word end
      local tcp = name:find "^tcp"
      if own[words[10]] and (not tcp or words[4] == "0A") then found[#found + 1] = name .. " " .. words[2] end
    end
  end
  return table.concat(found, ", ")
end

local path = made("served", "stopped", { kept = "epoch 3, step 5" })
local server = watch("server", path)

t.test("it listens on the loopback address alone", function()
  if not core.exists "/proc/net/tcp" then
    print "skipped: no /proc/net/tcp here tells who listens where"
    return
  end
  t.equal(listens(server), ("tcp 0100007F:%04X"):format(server.port))
end)

t.test("the page, its data, its style and its script, each with a strict policy", function()
  local base = ("/%s/"):format(server.token)
  local code, body, all = get(server, base)
  t.equal(code, 200)
  assert(body:find("stopped in epoch 3", 1, true) and body:find("&lt;net&gt; on data", 1, true), body)
  for _, none in ipairs { "<script>", "<style", " style=" } do assert(not body:find(none, 1, true), none) end
  for _, field in ipairs { "Content-Security-Policy: default-src 'none'; ",
    "script-src 'self'; style-src 'self'; connect-src 'self'", "Cache-Control: no-store\r\n",
    "X-Content-Type-Options: nosniff\r\n", "Referrer-Policy: no-referrer\r\n", "frame-ancestors 'none'",
    "Connection: close\r\n" } do
    assert(all:find(field, 1, true), field)
  end
  code, body = get(server, base .. "data.json")
  t.equal(code, 200)
  local data = core.json_decode(body)
  t.equal(data.title, "stopped – served")
  assert(data.parts.state:find("stopped in epoch 3", 1, true) and data.parts.charts:find("<svg", 1, true))
  assert(data.parts.log:find("&lt;script&gt;", 1, true), data.parts.log)
  t.equal(get(server, base .. "style.css"), 200)
  t.equal(get(server, base .. "watch.js?x=y"), 200)
  code, body, all = get(server, base .. "report.html")
  assert(code == 200 and body:find("stopped in epoch 3", 1, true) and all:find("script-src 'sha256-", 1, true), all)
  code, body = ask(server, ("HEAD %s HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(base))
  assert(code == 200 and body == "", body)
  t.equal(get(server, base .. "status.json"), 404)
  t.equal(get(server, base .. "../served/log.txt"), 404)
end)

t.test("nobody without the token, and no name that leads here", function()
  local base = ("/%s/"):format(server.token)
  for _, wrong in ipairs { "/", "/data.json", "/" .. ("0"):rep(32) .. "/", "/" .. server.token, "/x" .. base,
    "/" .. base, "/" .. server.token:sub(1, 31) .. "/" } do
    local code, body = get(server, wrong)
    t.equal(code, 403, wrong)
    assert(not body:find(server.token, 1, true))
  end
  for _, host in ipairs { "evil.example", "evil.example:" .. server.port, "localhost.evil.example",
    "127.0.0.1.evil.example" } do
    local code, body = ask(server, ("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n"):format(base, host))
    assert(code == 403 and body:find("is not a name of this machine", 1, true), body)
  end
  for _, host in ipairs { "localhost:8080", "LOCALHOST", "[::1]:9" } do
    t.equal(ask(server, ("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n"):format(base, host)), 200, host)
  end
end)

t.test("requests that are too large or none are refused, and end nothing", function()
  local base, long = ("/%s/"):format(server.token), ("a"):rep(9000)
  t.equal(get(server, base, "X: " .. long .. "\r\n"), 431)
  t.equal(get(server, base, ("X: y\r\n"):rep(70)), 431)
  t.equal(get(server, "/" .. long:sub(1, 400)), 414)
  t.equal(ask(server, ("POST %s HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(base)), 405)
  t.equal(ask(server, ("GET %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\nsurplus"):format(base)), 413)
  t.equal(ask(server, ("GET %s HTTP/1.1\r\n\r\n"):format(base)), 400)
  t.equal(ask(server, "\22\3\1\0\165\1\0\0\161 hello of another protocol\r\n\r\n"), 400)
  t.equal(ask(server, long .. long .. long), 431)
  t.equal(get(server, base .. "style.css"), 200)
end)

t.test("neither slow nor silent guests make it wait", function()
  local base = ("/%s/"):format(server.token)
  local holders = {}
  for i = 1, 3 do holders[i] = io.popen(("%s %s hold 30 >%s/held%d"):format(ASK, server.port, folder, i), "w") end
  for i = 1, 3 do
    wait("held connections", function() return read(("%s/held%d"):format(folder, i)):find "held" end)
  end
  local fastest = math.huge
  local function look()
    local begin = core.time()
    t.equal(get(server, base .. "watch.js"), 200)
    fastest = math.min(fastest, core.time() - begin)
  end
  for _ = 1, 5 do look() end
  -- byte by byte, while others ask
  local served
  for _ = 1, 3 do -- a machine that stands still makes it slower than is allowed
    local slow = io.popen(("printf 'GET %s HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n' | %s %s 20"):format(base, ASK,
      server.port))
    for _ = 1, 5 do look() end
    served = served or slow:read("a"):find "^HTTP/1.1 200 OK"
    slow:close()
  end
  assert(served, "the slow one")
  assert(fastest < 5, fastest) -- a guest has ten seconds for its request
  for _, holder in ipairs(holders) do holder:close() end
  local fds = 0
  for _ in io.popen(("ls /proc/%s/fd"):format(server.pid)):lines() do fds = fds + 1 end
  assert(fds < 60, fds)
end)

t.test("it follows what becomes of the run, also where there is nothing readable for a while", function()
  local base = ("/%s/data.json"):format(server.token)
  local function title()
    local _, body = get(server, base)
    return core.json_decode(body).title
  end
  made("served", "running")
  t.equal(title(), "killed – served")
  local lock = core.lock(path .. "/run.lock")
  t.equal(title(), "running 3/12 – served")
  write("served/status.json", "{")
  t.equal(title(), "unknown – served")
  os.execute(("mv %s %s.away"):format(path, path))
  t.equal(get(server, base), 500)
  os.execute(("mv %s.away %s"):format(path, path))
  core.unlock(lock)
  made("served", "finished", { rows = 12 })
  t.equal(title(), "finished – served")
end)

t.test("Ctrl-C ends it well, and its port is free again", function()
  local port = server.port
  send(server, "INT")
  gone(server)
  local said = read(server.log)
  assert(not said:find("traceback", 1, true) and not said:find("tlua:", 1, true), said)
  local again = watch("again", ("%s --port %s"):format(path, port))
  t.equal(again.port, port)
  assert(again.token ~= server.token, "a token is used twice")
  local code, _, err = t.run(("./tlua watch %s --port %s"):format(path, port))
  assert(code == 1 and err:find(("cannot listen on 127.0.0.1, port %s: "):format(port), 1, true), err)
  send(again, "TERM")
  gone(again)
end)

t.test("another address is warned of; several runs are a list with a page each", function()
  local p = watch("list", ("%s/many --address 0.0.0.0"):format(folder))
  local warning = "tlua: warning: whoever can reach 0.0.0.0 and learns the page's address sees this run"
  assert(read(p.log):find(warning, 1, true), read(p.log))
  local base = ("/%s/"):format(p.token)
  local _, body = get(p, base)
  assert(body:find(">cells/a</a>", 1, true) and body:find(">b</a>", 1, true) and body:find("2 finished", 1, true), body)
  local id = body:match 'href="run/(%x+)/">cells/a<'
  local code, page = get(p, base .. "run/" .. id .. "/")
  assert(code == 200 and page:find("finished, 12 epochs", 1, true) and page:find('src="../../watch.js"', 1, true), page)
  t.equal(get(p, base .. "run/" .. id .. "/data.json"), 200)
  t.equal(get(p, base .. "run/" .. ("0"):rep(16) .. "/"), 404)
  t.equal(ask(p, ("GET %s HTTP/1.1\r\nHost: evil.example\r\n\r\n"):format(base)), 403)
  send(p, "INT")
  gone(p)
end)

-- ---- a real run ----

pictures.idx(folder .. "/idx", 80)
local out = folder .. "/run"
local RUN = ("./tlua recipes/fashion_fe.lua --weights none --data.size 32 --data.batch 4 --data.root %s/idx " ..
  "--out %s --schedule.epochs 100000 --checkpoint 0.02"):format(folder, out)

local function browser()
  for _, name in ipairs { "chromium", "chromium-browser", "google-chrome" } do
    if t.run("command -v " .. name) == 0 then return name end
  end
end

-- A browser that stays open at an address; title() of its page.
local function open(name, url)
  local profile = folder .. "/profile"
  local p = start("browser", ("exec %s --headless --no-sandbox --disable-gpu --user-data-dir=%s --no-first-run "
    .. "--disable-background-networking --disable-component-update "
    .. "--host-resolver-rules='MAP * ~NOTFOUND, EXCLUDE 127.0.0.1' --remote-debugging-port=0 --log-net-log=%s/net.json "
    .. "--enable-logging=stderr '%s'"):format(name, profile, folder, url))
  p.port = wait("the browser", function() return read(profile .. "/DevToolsActivePort"):match "^(%d+)\n" end)
  function p.title()
    local _, body = ask(p, ("GET /json/list HTTP/1.1\r\nHost: localhost:%s\r\n\r\n"):format(p.port), "pause")
    local ok, list = pcall(core.json_decode, body)
    for _, each in ipairs(ok and list or {}) do
      if each.type == "page" then return each.title end
    end
    return ""
  end
  return p
end

local function epoch_of(title) return tonumber(title:match "^running (%d+)/") end

t.test("a run followed in a browser: it goes, is killed, is taken up again, comes to its end", function()
  local name = browser()
  if not name then print "skipped: chromium is not installed, so no page was followed" end
  local begin, kills, sizes = core.time(), 0, {}
  local going = start("going", RUN)
  wait("the run", function() return core.exists(out .. "/status.json") end)
  local p = watch("watched", out)
  local url = ("http://127.0.0.1:%s/%s/"):format(p.port, p.token)
  local page, follower = name and open(name, url), start("follower", "./tlua watch --text " .. out)
  local function title()
    if page then return page.title() end
    local _, body = get(p, ("/%s/data.json"):format(p.token))
    return core.json_decode(body).title
  end
  -- What the one that follows as text says next.
  local at = 1
  local function says(part)
    at = 1 + wait(part, function() return select(2, read(follower.log):find(part, at, true)) end)
  end
  repeat
    says "running, epoch"
    local first = wait("an epoch", function() return epoch_of(title()) end)
    wait("a later epoch", function() return (epoch_of(title()) or 0) > first end)
    wait("an ETA", function()
      local _, body = get(p, ("/%s/data.json"):format(p.token))
      return core.json_decode(body).parts.tiles:find("ETA of the whole run", 1, true)
    end)
    wait("a checkpoint", function() return core.exists(out .. "/last.safetensors") end)
    if SECONDS then core.sleep(SECONDS / 8) end
    local _, body = get(p, ("/%s/data.json"):format(p.token))
    sizes[#sizes + 1] = #body
    send(going, "KILL")
    gone(going)
    kills = kills + 1
    wait("the word that it was killed", function() return title():find "^killed " end)
    says "no longer running since"
    assert(run("watch --once " .. out):find("no longer running since .* goes on from epoch %d+, step %d+\n$"))
    going = start("going", ("./tlua --resume %s"):format(out))
    wait("the word that it goes again", function() return epoch_of(title()) end)
  until not SECONDS or core.time() - begin > SECONDS
  send(going, "INT")
  gone(going)
  wait("the word that it was stopped", function() return title():find "^stopped " end)
  says "stopped in epoch"
  local done = status.read(out).rows
  run(("--resume %s --schedule.epochs %d --force --quiet"):format(out, done + 2))
  wait("the word that it is at its end", function() return title():find "^finished " end)
  says(("finished, %d epochs\n"):format(done + 2))
  gone(follower) -- it ends with the run
  local body = select(2, get(p, ("/%s/data.json"):format(p.token)))
  assert(#body < 400000, #body)
  print(("followed for %.0f s through %d kills; %d epochs, data of %d to %d bytes"):format(core.time() - begin, kills,
    done, sizes[1], #body))
  send(p, "INT")
  gone(p)
  if not page then return end
  wait("the word that nobody answers", function() return title():find "^no answer " end)
  send(page, "TERM")
  gone(page)
  for line in read(page.log):gmatch "[^\n]*:CONSOLE[^\n]*" do
    assert(line:find("ERR_CONNECTION_REFUSED", 1, true), line) -- of the time when nobody answers any more
  end
  local asked = 0
  for line in read(folder .. "/net.json"):gmatch "[^\n]+" do
    local initiator, to = line:match '"initiator":"([^"]*)"', line:match '"url":"([^"]*)"'
    if initiator and initiator ~= "not an origin" then
      asked = asked + 1
      assert(to:sub(1, #url) == url, "the page asked for " .. to)
    end
  end
  assert(asked > 5, "no request was seen: " .. asked)
end)

t.test("the same report as the run's own when it is at its end, and the page of its steps", function()
  local before = read(out .. "/report.html")
  assert(before:find("Loss, ", 1, true) and before:find('<p class="state finished"', 1, true))
  assert(#before < 600000, #before)
  run("report " .. out)
  t.equal(read(out .. "/report.html") == before, true, "it is the same page")
  local line = "%[Epoch %d+%] loss: [%d.]+  train accuracy [%d.]+ %%  test accuracy [%d.]+ %%  test loss [%d.]+  %("
  local text = read(out .. "/log.txt")
  assert(text:find(line), text)
end)

for _, p in ipairs(started) do
  if lives(p) then send(p, "KILL") end -- where a test has failed
end
os.execute("rm -rf " .. folder)
t.finish()
