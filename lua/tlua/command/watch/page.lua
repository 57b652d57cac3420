-- page.lua - the page of `tlua watch`: a frame with places, a style sheet and a script of its own address. The
-- script fetches data.json now and then and puts in the places what has changed. It asks nobody else, and the
-- policy that goes with each answer lets it ask nobody else.
local core = require "tlua.core"
local shared = require "tlua.report.parts"
local page = {}

page.STYLE = shared.style .. [[
#progress label{display:grid;grid-template-columns:130px 1fr 48px;gap:12px;align-items:center;margin:10px 0;
font-size:13px}
#progress span:first-child{color:var(--soft);overflow-wrap:anywhere}#progress span:last-child{text-align:right}
progress{width:100%;height:10px;accent-color:var(--c1)}a{color:var(--c1)}#lost{color:var(--c6);font-weight:600}
td.state{font-weight:400;text-align:left;margin:0}
@media (max-width:520px){#progress label{grid-template-columns:90px 1fr 44px}}
]]

page.SCRIPT = [[
"use strict";
const shown = {}, lost = document.getElementById("lost");
async function turn() {
  try {
    const reply = await fetch("data.json", { cache: "no-store", signal: AbortSignal.timeout(10000) });
    if (!reply.ok) throw new Error(reply.status);
    const said = await reply.json();
    for (const [id, html] of Object.entries(said.parts)) {
      if (shown[id] === html) continue;
      shown[id] = html;
      document.getElementById(id).innerHTML = html;
    }
    document.title = said.title;
    lost.hidden = true;
  } catch {
    if (lost.hidden) document.title = "no answer – " + document.title;
    lost.hidden = false;
  }
  setTimeout(turn, document.hidden ? 5000 : 1000);
}
setTimeout(turn, 1000);
]]

local PLACES = { "head", "state", "progress", "tiles", "charts", "epochs", "log", "facts", "list" }
local CLASSES = { tiles = "tiles", charts = "charts" }

-- up: the address of the folder that has the style sheet and the script, like "../../"; parts: what stands there
-- at first.
function page.html(title, parts, up)
  local out = { ('<!doctype html><html lang="en"><meta charset="utf-8">'
    .. '<meta name="viewport" content="width=device-width,initial-scale=1"><title>%s</title><link rel="icon" href="data:,">'
    .. '<link rel="stylesheet" href="%sstyle.css"><body><main>'
    .. '<p id="lost" role="status" hidden>tlua watch does not answer: the page shows what it said last.</p>'
    .. "<noscript><p>Without a script this page stands still; it can be loaded again.</p></noscript>"):format(
    shared.escape(title), up) }
  for _, id in ipairs(PLACES) do
    local class = CLASSES[id] and (' class="%s"'):format(CLASSES[id]) or ""
    out[#out + 1] = ('<div id="%s"%s>%s</div>'):format(id, class, parts[id] or "")
  end
  out[#out + 1] = ('</main><script src="%swatch.js"></script></body></html>\n'):format(up)
  return table.concat(out)
end

function page.json(title, parts) return core.json_encode { title = title, parts = parts } end

return page
