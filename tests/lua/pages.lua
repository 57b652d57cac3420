-- pages.lua - the pages of a run, of several runs and of a comparison in a real browser: nothing on the console, no request to anywhere. Says
-- so and ends well where chromium is not installed. Run by `tlua tests/lua/pages.lua`.
local t = dofile "tests/lua/run_tests.lua"
local pictures = dofile "tests/lua/run_pictures.lua"
local core = require "tlua.core"

local function browser()
  for _, name in ipairs { "chromium", "chromium-browser", "google-chrome" } do
    if t.run("command -v " .. name) == 0 then return name end
  end
end

local CHROMIUM = browser()
if not CHROMIUM then
  print "skipped: chromium is not installed, so no page was loaded"
  os.exit(0)
end
local folder = t.folder()

-- Lines of the console, and addresses that the page asked for, when `path` is loaded. The browser's own requests have no origin.
local function load_page(path)
  local net = folder .. "/net.json"
  local _, _, err = t.run(("timeout 60 %s --headless --no-sandbox --disable-gpu --user-data-dir=%s/profile --disable-background-networking --disable-component-update " ..
    "--no-first-run --host-resolver-rules='MAP * ~NOTFOUND' --enable-logging=stderr --log-net-log=%s --virtual-time-budget=2000 --window-size=1000,2000 --screenshot=%s/page.png file://%s")
    :format(CHROMIUM, folder, net, folder, path))
  assert(core.exists(folder .. "/page.png") and core.exists(net), "chromium has drawn nothing: " .. err)
  core.remove(folder .. "/page.png")
  local console, requests = {}, {}
  for line in err:gmatch "[^\n]*:CONSOLE[^\n]*" do console[#console + 1] = line end
  for line in core.read_file(net):gmatch "[^\n]+" do
    local initiator, url = line:match '"initiator":"([^"]*)"', line:match '"url":"([^"]*)"'
    if initiator and initiator ~= "not an origin" then requests[#requests + 1] = url end
  end
  core.remove(net)
  return console, requests
end

local function silent(path)
  local console, requests = load_page(path)
  t.equal(table.concat(console, "\n"), "", "the console")
  t.equal(table.concat(requests, "\n"), "", "what the page asked for")
end

t.test("errors and requests are seen where there are some", function()
  core.write_file(folder .. "/bad.html", '<!doctype html><title>bad</title><img src="http://127.0.0.1:9/a.png"><link rel="stylesheet" href="https://example.invalid/a.css"><script>nothing();</script>')
  local console, requests = load_page(folder .. "/bad.html")
  assert(table.concat(console):find("nothing is not defined", 1, true), "an error was not seen")
  local all = table.concat(requests, " ")
  assert(all:find("http://127.0.0.1:9/a.png", 1, true) and all:find("https://example.invalid/a.css", 1, true), "a request was not seen: " .. all)
end)

pictures.idx(folder .. "/idx", 40)
local LINE = ("--data.root %s/idx --data.size 32 --data.batch 8"):format(folder)

local function run(line)
  local status, out, err = t.run("./tlua " .. line)
  if status ~= 0 then error(("tlua %s: status %s: %s%s"):format(line, tostring(status), out, err), 2) end
end

t.test("the report of a run, and two side by side", function()
  run(("recipes/fashion_fe.lua --weights none --schedule.epochs 2 %s --out %s/a"):format(LINE, folder))
  run(("recipes/fashion_fe.lua --weights none --schedule.epochs 2 --optim.lr 0.01 %s --out %s/b"):format(LINE, folder))
  silent(folder .. "/a/report.html")
  run(("report %s/a %s/b --to %s/both.html"):format(folder, folder, folder))
  silent(folder .. "/both.html")
end)

t.test("a comparison", function()
  run(("compare recipes/transfer_vs_scratch.lua --weights %s/a/model.safetensors %s --compare.per_class 2 --compare.seeds 0 --compare.scratch.schedule.least_steps 1 " ..
    "--compare.scratch.schedule.epochs 1 --compare.frozen.schedule.least_steps 1 --compare.finetuned.schedule.least_steps 1 --compare.finetuned.schedule.1.least_steps 1 --out %s/c"):format(folder, LINE, folder))
  silent(folder .. "/c/compare.html")
end)

os.execute("rm -rf " .. folder)
print(("%s loaded the pages"):format(CHROMIUM))
t.finish()
