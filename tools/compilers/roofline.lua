-- roofline.lua - what kernels would take on cards that are not at hand, by arithmetic alone: a card's published peaks, and the operations and
-- bytes of every call of three pieces of work, which run on cards of paper (tests/compilers/fake_gpu.c). Nothing of it is measured: it is the
-- least that the work takes there, and says which kernels matter and what bounds them.
--   tlua tools/compilers/roofline.lua walk KIND NAME BATCH FILE     on a card of paper: what the second of two runs launches, as JSON
--   tlua tools/compilers/roofline.lua table FOLDER [docs]           prints the tables; docs: writes them into docs/gpu.md
-- `make roofline-docs` does both.
local core = require "tlua.core"
local module = require "tlua.nn.module"

-- Operations a second (a multiply-add is two), bytes a second, and whose kernels are walked. Sources: NVIDIA, GeForce GTX 1080 whitepaper (2016):
-- 2560 cores, 1733 MHz boost, 320 GB/s. AMD, product page of the Radeon RX 6600 XT: 2048 stream processors, 2589 MHz boost, 256 GB/s. Intel, ARK,
-- Arc A380: 8 Xe cores of 128 lanes, 2000 MHz, 186 GB/s. NVIDIA, H200 datasheet (SXM): 67 TFLOP/s in FP32 without tensor cores, 4.8 TB/s.
local CARDS = {
  { name = "GTX 1080", target = "sm_80", flops = 2 * 2560 * 1.733e9, bytes = 320e9, source = "NVIDIA's whitepaper of 2016" },
  { name = "RX 6600 XT", target = "gfx1030", flops = 2 * 2048 * 2.589e9, bytes = 256e9, source = "AMD's product page" },
  { name = "Arc A380", target = "dg2", flops = 2 * 1024 * 2.0e9, bytes = 186e9, source = "Intel ARK" },
  { name = "H200", target = "sm_80", flops = 67e12, bytes = 4.8e12, source = "NVIDIA's datasheet, SXM, FP32 without tensor cores" },
}
local WORKS = {
  { kind = "forward", name = "resnet50", batch = 16, text = "ResNet-50, frozen, forward of 16 pictures" },
  { kind = "full", name = "resnet50", batch = 16, text = "ResNet-50, whole step of 16 pictures, Adam" },
  { kind = "bert", name = "bert_base", batch = 32, text = "BERT-base, whole step of 32 x 128 tokens, Adam" },
}
local ROWS = 12
local PAGE, BEGIN, END = "docs/gpu.md", "<!-- made by: make roofline-docs -->", "<!-- end of the roofline -->"

-- ---- on paper ----

-- Elements that an optimiser's kernel goes over are not known to a profile: a number of Adam is read and written three times and its
-- gradient read once, in about 12 operations.
local ADAM = { bytes = 28, flops = 12 }

local function walk(kind, name, batch, path)
  local trained = 0
  local optimizer = core.optimizer
  core.optimizer = function(which, groups)
    for _, g in ipairs(groups) do
      for _, p in ipairs(g.params) do trained = trained + p:numel() end
    end
    return optimizer(which, groups)
  end
  local work = dofile "bench/works.lua"(kind, name, batch)
  core.optimizer = optimizer
  work()
  module.profiling = true
  core.profile_begin()
  work()
  module.profiling = false
  local result = core.profile_end()
  assert(result.lost == 0 and #result > 0)
  -- Calls, each with the kernels that it launched.
  local calls, order, rest = {}, {}, {}
  for _, l in ipairs(result) do
    if l.span then
      local c = calls[l.span]
      if not c then
        c = { op = l.op .. (l.backward and " gradient" or ""), flops = l.flops, bytes = l.bytes, kernels = {}, launches = 0 }
        calls[l.span], order[#order + 1] = c, c
      end
      c.launches = c.launches + 1
      c.kernels[l.kernel] = true
    else rest[l.kernel] = (rest[l.kernel] or 0) + 1 end
  end
  if rest.adam then
    order[#order + 1] = { op = "adam", flops = ADAM.flops * trained, bytes = ADAM.bytes * trained, kernels = { adam = true },
      launches = rest.adam }
    rest.adam = nil
  end
  for _, c in ipairs(order) do
    local names = {}
    for k in pairs(c.kernels) do names[#names + 1] = k end
    table.sort(names)
    c.kernels = names
  end
  core.write_file(path, core.json_encode { calls = order, rest = rest, launches = #result })
end

-- ---- tables ----

-- Registers on sm_80 and waves of a SIMD on gfx1030, by kernel, from the compilers' table of the page.
local function occupancy()
  local out = {}
  local head
  for line in core.read_file(PAGE):gmatch "[^\n]+" do
    local cells = {}
    for cell in line:gmatch "|%s*([^|]-)%s*%f[|]" do cells[#cells + 1] = cell end
    if cells[1] == "kernel" and line:find("sm_80 registers", 1, true) then
      head = {}
      for i, c in ipairs(cells) do head[c] = i end
    elseif head and #cells > 5 and tonumber(cells[head["sm_80 registers"]]) then
      out[cells[1]] = { registers = tonumber(cells[head["sm_80 registers"]]), waves = tonumber(cells[head["gfx1030 waves"]]) }
    end
  end
  return out
end

-- Of 64 warps a unit, how many have registers (65,536, given out by eight), in percent; of 16 waves a SIMD.
local function held(kernels, known)
  local nvidia, amd
  for _, name in ipairs(kernels) do
    local k = known[name] or name:find "^k_" and known["pointwise operators"]
    if k then
      local warps = math.min(64, 65536 // ((k.registers + 7) // 8 * 8 * 32))
      nvidia = math.min(nvidia or 100, 100 * warps // 64)
      amd = math.min(amd or 100, 100 * (k.waves or 0) // 16)
    end
  end
  return nvidia and ("%d"):format(nvidia) or "-", amd and ("%d"):format(amd) or "-"
end

local function seconds(card, c) return math.max(c.flops / card.flops, c.bytes / card.bytes) end

-- {name, kernels, calls, launches, flops, bytes, by = {card name = {seconds, seconds bound by operations}}}, longest on the first card first.
local function rows_of(walked)
  local rows, all = {}, {}
  for _, card in ipairs(CARDS) do
    for _, c in ipairs(walked[card.target].calls) do
      local key = c.op .. ": " .. table.concat(c.kernels, ", ")
      local row = rows[key]
      if not row then
        row = { op = c.op, kernels = c.kernels, calls = {}, launches = {}, flops = {}, bytes = {}, by = {} }
        rows[key], all[#all + 1] = row, row
      end
      local by = row.by[card.name] or { 0, 0 }
      row.by[card.name] = by
      local s = seconds(card, c)
      by[1] = by[1] + s
      if c.flops / card.flops >= c.bytes / card.bytes then by[2] = by[2] + s end
      for _, f in ipairs { { "launches", c.launches }, { "flops", c.flops }, { "bytes", c.bytes } } do
        row[f[1]][card.name] = (row[f[1]][card.name] or 0) + f[2]
      end
    end
  end
  local first = CARDS[1].name
  table.sort(all, function(a, b)
    local x, y = a.by[first] and a.by[first][1] or 0, b.by[first] and b.by[first][1] or 0
    return x == y and a.op .. table.concat(a.kernels) < b.op .. table.concat(b.kernels) or x > y
  end)
  return all
end

local function ms(s) return s and ("%.2f"):format(1e3 * s) or "-" end

local function any(t)
  for _, card in ipairs(CARDS) do if t[card.name] then return t[card.name] end end
  return 0
end

local function table_of(out, work, walked, known)
  local rows, totals = rows_of(walked), {}
  local heads, line = {}, {}
  for i, card in ipairs(CARDS) do heads[i], line[i] = card.name .. " ms", "--:" end
  out[#out + 1] = ("\n%s: %d launches.\n"):format(work.text, walked[CARDS[1].target].launches)
  out[#out + 1] = ("| operator | kernels | launches | GFLOP | MB | bound by | NVIDIA warps %% | AMD waves %% | %s |"):format(table.concat(heads, " | "))
  out[#out + 1] = ("|:--|:--|--:|--:|--:|:--|--:|--:|%s|"):format(table.concat(line, "|"))
  local rest, count = {}, 0
  for i, r in ipairs(rows) do
    for _, card in ipairs(CARDS) do
      local s = r.by[card.name] and r.by[card.name][1] or 0
      totals[card.name] = (totals[card.name] or 0) + s
      if i > ROWS then rest[card.name] = (rest[card.name] or 0) + s end
    end
    if i > ROWS then count = count + 1 else
      local by, cells = r.by[CARDS[1].name] or { 1, 0 }, {}
      for k, card in ipairs(CARDS) do cells[k] = ms(r.by[card.name] and r.by[card.name][1]) end
      local share = by[2] / by[1]
      local nvidia, amd = held(r.kernels, known)
      out[#out + 1] = ("| %s | %s | %d | %.1f | %.0f | %s | %s | %s | %s |"):format(r.op, table.concat(r.kernels, ", "), any(r.launches),
        any(r.flops) / 1e9, any(r.bytes) / 1e6, share > 0.9 and "operations" or share < 0.1 and "bytes" or
        ("operations, %d %%"):format(math.floor(100 * share + 0.5)), nvidia, amd, table.concat(cells, " | "))
    end
  end
  local function sum(name, list)
    local cells = {}
    for k, card in ipairs(CARDS) do cells[k] = ms(list[card.name] or 0) end
    out[#out + 1] = ("| %s | | | | | | | | %s |"):format(name, table.concat(cells, " | "))
  end
  if count > 0 then sum(("%d other rows"):format(count), rest) end
  sum("all", totals)
  return totals
end

local function tables(folder)
  local known, out, totals = occupancy(), {}, {}
  local body = {}
  for i, work in ipairs(WORKS) do
    local walked = {}
    for _, card in ipairs(CARDS) do
      walked[card.target] = walked[card.target] or
        core.json_decode(core.read_file(("%s/%s-%s-%s.json"):format(folder, card.target, work.kind, work.name)))
    end
    totals[i] = table_of(body, work, walked, known)
  end
  local heads, line = {}, {}
  for i, work in ipairs(WORKS) do heads[i], line[i] = work.text .. ", ms", "--:" end
  out[#out + 1] = ("| card | TFLOP/s | GB/s | from | %s |"):format(table.concat(heads, " | "))
  out[#out + 1] = ("|:--|--:|--:|:--|%s|"):format(table.concat(line, "|"))
  for _, card in ipairs(CARDS) do
    local cells = {}
    for i in ipairs(WORKS) do cells[i] = ("%.1f"):format(1e3 * totals[i][card.name]) end
    out[#out + 1] = ("| %s | %.1f | %.0f | %s | %s |"):format(card.name, card.flops / 1e12, card.bytes / 1e9, card.source, table.concat(cells, " | "))
  end
  for _, l in ipairs(body) do out[#out + 1] = l end
  return table.concat(out, "\n") .. "\n"
end

local function write(text)
  local page = core.read_file(PAGE)
  local from, to = page:find(BEGIN, 1, true), page:find(END, 1, true)
  assert(from and to, PAGE .. " has no place for the roofline")
  core.write_file(PAGE, page:sub(1, from - 1) .. BEGIN .. "\n" .. text .. page:sub(to))
end

if arg[1] == "walk" then walk(arg[2], arg[3], math.tointeger(arg[4]), arg[5])
elseif arg[1] == "table" then
  local text = tables(arg[2])
  if arg[3] == "docs" then write(text) else io.stdout:write(text) end
elseif arg[1] == "list" then -- what is to be walked: TARGET KIND NAME BATCH
  local seen = {}
  for _, card in ipairs(CARDS) do
    for _, w in ipairs(WORKS) do
      local l = ("%s %s %s %d"):format(card.target, w.kind, w.name, w.batch)
      if not seen[l] then print(l) end
      seen[l] = true
    end
  end
else error("walk, table or list", 0) end
