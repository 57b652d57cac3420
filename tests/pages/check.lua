-- check.lua - pages of reports under axe-core, as `make test-pages PAGES="FILE|FOLDER..."`: in light and dark, 400, 800
-- and 1,600 pixels wide, whether anything is wider than the page, and what axe finds (names, roles, contrast, order of
-- headings). AXE names axe.min.js (of the packages axe-core on npm or axe-playwright-python on PyPI). Says loudly what
-- is missing, and ends with status 1 where a page has a fault.
local core = require "tlua.core"

local AXE = os.getenv "AXE"
local function browser()
  for _, name in ipairs { "chromium", "chromium-browser", "google-chrome" } do
    if os.execute("command -v " .. name .. " >/dev/null 2>&1") then return name end
  end
end
local CHROMIUM = browser()
if not CHROMIUM or not AXE or not core.exists(AXE) then
  print("SKIPPED: no page was tested: " .. (not CHROMIUM and "chromium is not installed"
    or "AXE does not name axe.min.js (pip download axe-playwright-python has it)"))
  os.exit(0)
end

local SCHEMES = { { "light", 1 }, { "dark", 0 } }
local WIDTHS = { 400, 800, 1600 }

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- The pages of the command line: files, and below folders all .html.
local function collect(list)
  local out = {}
  for _, path in ipairs(list) do
    if core.is_folder(path) then
      local pipe = assert(io.popen("find " .. quoted(path) .. " -name '*.html' | sort"))
      for line in pipe:lines() do out[#out + 1] = line end
      pipe:close()
    else out[#out + 1] = path end
  end
  return out
end

-- What the page says of itself, in an element that is read from the dumped document.
local PROBE = [[<script>window.__errors=[];addEventListener("error",function(e){__errors.push(String(e.message))})</script>]]
local RUN = [[<script>addEventListener("load",function(){axe.run(document,{resultTypes:["violations"]}).then(function(r){
var wide=document.documentElement.scrollWidth-document.documentElement.clientWidth;
var out={width:innerWidth,dark:matchMedia("(prefers-color-scheme:dark)").matches,wide:wide,errors:__errors,
faults:r.violations.map(function(v){return{id:v.id,impact:v.impact||"",nodes:v.nodes.length,
first:v.nodes[0].html.slice(0,160),why:(v.nodes[0].any[0]||v.nodes[0].all[0]||v.nodes[0].none[0]||{message:""}).message.slice(0,200)}})};
parent.postMessage(JSON.stringify(out),"*")})})</script>]]
-- The page is shown in a frame, since a browser without a screen makes no window of 400 pixels.
local FRAME = [[<!doctype html><style>:root{color-scheme:light dark}</style><title>frame</title><script>
addEventListener("message",function(e){var p=document.createElement("pre");p.id="axe-says";p.textContent=e.data;document.body.appendChild(p)})
</script><body><iframe style="border:0;width:%dpx;height:1100px" srcdoc="%s"></iframe>]]

local function unescaped(text)
  return (text:gsub("&lt;", "<"):gsub("&gt;", ">"):gsub("&quot;", '"'):gsub("&amp;", "&"))
end

local folder = os.tmpname()
os.remove(folder)
core.mkdirs(folder)

local function look(html, width, scheme)
  core.write_file(folder .. "/page.html", FRAME:format(width, (html:gsub("&", "&amp;"):gsub('"', "&quot;"))))
  local pipe = assert(io.popen(("timeout 120 %s --headless --no-sandbox --disable-gpu --user-data-dir=%s/profile "
    .. "--disable-background-networking --no-first-run --host-resolver-rules='MAP * ~NOTFOUND' "
    .. "--blink-settings=preferredColorScheme=%d --window-size=%d,1200 --virtual-time-budget=60000 --dump-dom "
    .. "file://%s/page.html 2>/dev/null"):format(CHROMIUM, folder, scheme[2], math.max(width, 500) + 40, folder)))
  local text = pipe:read "a"
  pipe:close()
  local said = text:match '<pre id="axe%-says">(.-)</pre>'
  return said and core.json_decode(unescaped(said))
end

local axe, faults, looked = core.read_file(AXE), 0, 0
local function fault(path, width, scheme, text)
  faults = faults + 1
  print(("%s, %d, %s: %s"):format(path, width, scheme[1], text))
end

local function check(path)
  local html = core.read_file(path)
  local at = assert(html:find("<style>", 1, true), path .. " is no page of tlua's")
  html = html:sub(1, at - 1) .. PROBE .. html:sub(at) .. "<script>" .. axe .. "</script>" .. RUN
  for _, scheme in ipairs(SCHEMES) do
    for _, width in ipairs(WIDTHS) do
      local said = look(html, width, scheme)
      looked = looked + 1
      if not said then fault(path, width, scheme, "the browser said nothing")
      else
        if said.width ~= width then fault(path, width, scheme, ("it was shown %d wide"):format(said.width)) end
        if said.dark ~= (scheme[1] == "dark") then fault(path, width, scheme, "the colours are the other ones") end
        if said.wide > 1 then fault(path, width, scheme, ("%d pixels wider than the window"):format(said.wide)) end
        for _, e in ipairs(said.errors) do fault(path, width, scheme, "error: " .. e) end
        for _, v in ipairs(said.faults) do
          fault(path, width, scheme, ("%s (%s), %d times: %s: %s"):format(v.id, v.impact, v.nodes, v.first, v.why))
        end
      end
    end
  end
end

local pages = collect { ... }
if #pages == 0 then error("check.lua: files or folders of pages are needed", 0) end
for _, path in ipairs(pages) do check(path) end
os.execute("rm -rf " .. quoted(folder))
print(("%d pages looked at %d times, %d faults"):format(#pages, looked, faults))
os.exit(faults == 0 and 0 or 1)
