-- listen.lua - `tlua predict` for networks that hear: recordings of any length and what comes through a pipe, window by
-- window. A window ends where it is quiet, so that no word is cut; texts come with their times, also as subtitles.
local core = require "tlua.core"
local util = require "tlua.util"
local commands = require "tlua.command.commands"
local progress = require "tlua.run.progress"
local listen = {}

local FRAME = 0.02  -- seconds over which loudness is measured
local PIECE, LIVE = 8, 0.2 -- seconds that are read at once; of a pipe, whose text somebody waits for
local QUIET = 35    -- decibels below the loudest so far: nobody speaks
local PAUSE = 0.4   -- seconds of quiet after which a window of a pipe may end
local NEAR = 8      -- frames to either side that tell how quiet a place is
local LEAST = 0.6   -- seconds of a window of a pipe

-- ---- windows ----

local Windows = {}
Windows.__index = Windows

-- Takes pieces of sound and gives windows of at most `seconds`. `live`: a pause ends a window at once, since somebody
-- waits for its text.
function listen.windows(rate, seconds, live)
  return setmetatable({ rate = rate, frame = math.max(1, math.floor(rate * FRAME)), most = math.floor(seconds / FRAME),
    live = live, pieces = {}, energy = {}, at = 0, loudest = 1e-9 }, Windows)
end

local function energies(wave, frame)
  local n = wave:shape(1) // frame
  if n == 0 then return {} end
  return wave:slice(1, 0, n * frame):reshape(n, frame):square():mean(2):tolist()
end

-- The sound that waits, as one tensor.
local function joined(self)
  if #self.pieces == 0 then return nil end
  local all = #self.pieces == 1 and self.pieces[1] or core.ops.concat(self.pieces[1], self.pieces[2], { axis = 1 })
  self.pieces = { all }
  return all
end

local function is_quiet(self, k) return self.energy[k] < self.loudest * 10 ^ (-QUIET / 10) end

-- How many frames the next window has; nil: more is needed.
local function next_end(self)
  local n = #self.energy
  if self.live then
    local spoken, quiet = false, 0
    for k = 1, math.min(n, self.most) do
      quiet = is_quiet(self, k) and quiet + 1 or 0
      spoken = spoken or quiet == 0
      if spoken and k * FRAME >= LEAST and quiet * FRAME >= PAUSE then return k - quiet // 2 end
    end
  end
  if n < self.most then return nil end
  -- Where it is quietest around: a pause between words, rather than one within a word.
  local best, least = self.most, math.huge
  for k = self.most // 2, self.most do
    local around = 0
    for i = math.max(1, k - NEAR), math.min(n, k + NEAR) do around = around + self.energy[i] end
    if around <= least then best, least = k, around end
  end
  return best
end

-- Cuts `frames` off the front: {wave =, from = seconds, loud = is anything to be heard}.
local function cut(self, frames)
  local all = joined(self)
  local samples = frames and math.min(frames * self.frame, all:shape(1)) or all:shape(1)
  local loud, count = false, frames or #self.energy
  for k = 1, math.min(count, #self.energy) do loud = loud or not is_quiet(self, k) end
  local out = { wave = all:slice(1, 0, samples):clone(), from = self.at / self.rate, loud = loud
    or self.loudest <= 1e-9 }
  self.at = self.at + samples
  self.pieces = samples < all:shape(1) and { all:slice(1, samples, all:shape(1) - samples):clone() } or {}
  self.energy = table.move(self.energy, count + 1, #self.energy, 1, {})
  return out
end

-- Takes a piece (nil: that was all). Returns the windows that are whole now.
function Windows:push(wave)
  local out = {}
  if wave then
    self.pieces[#self.pieces + 1] = wave
    local all = joined(self)
    local known = #self.energy * self.frame
    for _, e in ipairs(known < all:shape(1) and energies(all:slice(1, known, all:shape(1) - known), self.frame)
      or {}) do
      self.energy[#self.energy + 1] = e
      self.loudest = math.max(self.loudest, e)
    end
  end
  while true do
    local frames = next_end(self)
    if not frames or frames < 1 then break end
    out[#out + 1] = cut(self, frames)
  end
  if not wave and #self.pieces > 0 then out[#out + 1] = cut(self, nil) end
  return out
end

-- ---- answers ----

-- Windows as one padded batch.
local function batch_of(list)
  local most, lengths, rows = 0, {}, {}
  for i, each in ipairs(list) do
    lengths[i] = each.wave:shape(1)
    most = math.max(most, lengths[i])
  end
  for i, each in ipairs(list) do
    local missing = most - lengths[i]
    local row = missing > 0 and core.ops.concat(each.wave, core.zeros(missing), { axis = 1 }) or each.wave
    rows[i] = row:reshape(1, most)
  end
  rows[#rows + 1] = { axis = 1 }
  return #list == 1 and rows[1] or core.ops.concat(table.unpack(rows)), lengths
end

-- What is said in the windows: {{from =, to =, text =, words =}, ...}; windows in which nothing is said are left out.
local function said_in(net, task, list, o)
  if #list == 0 then return {} end
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  local x, lengths = batch_of(list)
  local out, out_lengths = net(x, core.tensor(lengths, { dtype = "int32" }))
  local given = out_lengths and out_lengths:tolist() or nil
  local answers = task:decode(out, { lengths = given, beam = o.beam,
    frame_seconds = x:shape(2) / out:shape(2) / o.rate })
  local segments = {}
  for i, each in ipairs(answers) do
    local from = list[i].from
    if not each then
      util.failf("%s: the network's outputs are no numbers (nan) from %.1f s on; its weights may hold NaN", o.name,
        from)
    end
    local segment = { from = from, to = from + lengths[i] / o.rate, text = each.text, words = {} }
    for k, word in ipairs(each.words) do
      segment.words[k] = { text = word.text, from = from + word.from, to = math.min(segment.to, from + word.to),
        score = word.score }
    end
    if #segment.words > 0 then segment.from, segment.to = segment.words[1].from, segment.words[#segment.words].to end
    if segment.text ~= "" then segments[#segments + 1] = segment end
  end
  return segments
end

-- Reads a recording (`open` gives it) to its end; f(segments) is told of every batch of windows.
local function through(net, task, source, o, f, tell)
  local windows, waiting = listen.windows(o.rate, o.window, o.live), {}
  local function flush(all)
    if #waiting > 0 and (all or #waiting >= o.batch) then
      f(said_in(net, task, waiting, o))
      waiting = {}
    end
  end
  while true do
    local wave = source:read(o.live and LIVE or PIECE)
    for _, each in ipairs(windows:push(wave)) do
      if each.loud then waiting[#waiting + 1] = each end
      flush(o.live)
    end
    if not wave then break end
    if tell then tell(windows.at / o.rate) end
    if core.interrupted() then break end
  end
  flush(true)
end

-- ---- forms ----

local function clock(seconds, mark)
  local ms = math.floor(seconds * 1000 + 0.5)
  return ("%02d:%02d:%02d%s%03d"):format(ms // 3600000, ms // 60000 % 60, ms // 1000 % 60, mark, ms % 1000)
end

local LINE = 84 -- columns of a subtitle, two lines of 42; letters of East Asia take two

-- Words as subtitles: a few seconds and two lines each.
local function subtitles(segments)
  local out, now = {}, nil
  for _, segment in ipairs(segments) do
    now = nil
    for _, word in ipairs(segment.words) do
      if now and core.text.width(now.text) + core.text.width(word.text) < LINE
        and word.from - now.to < 1.5 and word.to - now.from < 7 then
        now.text, now.to = now.text .. " " .. word.text, word.to
      else
        now = { text = word.text, from = word.from, to = word.to }
        out[#out + 1] = now
      end
    end
  end
  return out
end

listen.subtitles = subtitles

local function joined_text(segments)
  local out = {}
  for i, each in ipairs(segments) do out[i] = each.text end
  return table.concat(out, " ")
end

-- Texts of JSON as an array, which may be empty.
local function array(list) return "[" .. table.concat(list, ",") .. "]" end

-- name -> function(path, segments) -> text
local forms = {
  text = function(path, segments, alone) return (alone and "" or path .. "\t") .. joined_text(segments) .. "\n" end,
  json = function(path, segments)
    local list = {}
    for i, each in ipairs(segments) do
      local words = {}
      for k, w in ipairs(each.words) do
        words[k] = ('{"text":%s,"from":%.3f,"to":%.3f,"score":%s}'):format(core.json_encode(w.text), w.from, w.to,
          w.score and ("%.4f"):format(w.score) or "null")
      end
      list[i] = ('{"from":%.3f,"to":%.3f,"text":%s,"words":%s}'):format(each.from, each.to, core.json_encode(each.text),
        array(words))
    end
    return ('{"file":%s,"text":%s,"segments":%s}\n'):format(core.json_encode(path),
      core.json_encode(joined_text(segments)), array(list))
  end,
  csv = function(path, segments)
    local out = {}
    for i, each in ipairs(segments) do
      local text = util.csv(each.text)
      out[i] = ("%s,%.2f,%.2f,%s\n"):format(util.csv(path), each.from, each.to, text)
    end
    return table.concat(out)
  end,
  srt = function(_, segments)
    local out = {}
    for i, each in ipairs(subtitles(segments)) do
      out[i] = ("%d\n%s --> %s\n%s\n\n"):format(i, clock(each.from, ","), clock(each.to, ","), each.text)
    end
    return table.concat(out)
  end,
  vtt = function(_, segments)
    local out = { "WEBVTT\n\n" }
    for _, each in ipairs(subtitles(segments)) do
      out[#out + 1] = ("%s --> %s\n%s\n\n"):format(clock(each.from, "."), clock(each.to, "."), each.text)
    end
    return table.concat(out)
  end,
}

local function form_of(options)
  local found
  for _, name in ipairs { "json", "csv", "srt", "vtt" } do
    if options[name] then
      if found then commands.wrong("predict", ("--%s and --%s do not go together"):format(found, name)) end
      found = name
    end
  end
  return found or "text"
end

-- ---- the command ----

-- A pipe: each window is written as soon as it is whole.
local function from_pipe(net, task, o, form, options)
  local source <close> = core.audio.open("-", { rate = o.rate, raw_rate = options.rate and o.raw_rate or nil })
  o.live, o.name = true, "standard input"
  local all = {}
  if form == "csv" then util.put "file,from,to,text\n" end
  through(net, task, source, o, function(segments)
    for _, each in ipairs(segments) do
      all[#all + 1] = each
      if form == "text" then util.put(("%s  %s\n"):format(clock(each.from, "."), each.text))
      elseif form == "json" then util.put(forms.json("-", { each }))
      elseif form == "csv" then util.put(forms.csv("-", { each })) end
    end
    io.flush()
  end)
  if form == "srt" or form == "vtt" then util.put(forms[form]("-", all)) end
  return 0
end

-- Where the answer of each recording goes, no two to one place: a.wav to a.txt; where there is an a.mp3 too, each keeps
-- its ending, and where two folders have an a.wav, their names stand before.
function listen.places(paths, to, ending)
  local ways = {
    function(path) return (path:match "[^/]+$":gsub("%.[^.]*$", "")) end,
    function(path) return path:match "[^/]+$" end,
    function(path) return (path:gsub("^[./]+", ""):gsub("%.[^./]*$", ""):gsub("/", "_")) end,
    function(path) return (path:gsub("^[./]+", ""):gsub("/", "_")) end,
  }
  local out, taken, counts = {}, {}, {}
  for k, way in ipairs(ways) do
    counts[k] = {}
    for _, path in ipairs(paths) do counts[k][way(path)] = (counts[k][way(path)] or 0) + 1 end
  end
  for i, path in ipairs(paths) do
    local k, number = 1, 1
    while k < #ways and counts[k][ways[k](path)] > 1 do k = k + 1 end
    local name = ways[k](path)
    while taken[name] do
      number = number + 1
      name = ("%s-%d"):format(ways[k](path), number)
    end
    taken[name], out[i] = true, ("%s/%s.%s"):format(to, name, ending)
  end
  return out
end

-- What does not go together with where the sound comes from.
local function check_paths(paths, form, options)
  local pipe = false
  for _, path in ipairs(paths) do pipe = pipe or path == "-" end
  if pipe and #paths > 1 then commands.wrong("predict", "-, what comes through a pipe, stands alone") end
  if pipe and options.to then
    commands.wrong("predict", "--to is for files; what comes through a pipe is written to standard output")
  end
  if options.rate and not pipe then
    commands.wrong("predict", "--rate is for bare samples through a pipe (-); files say their rate themselves")
  end
  if (form == "srt" or form == "vtt") and #paths > 1 and not options.to then
    commands.wrong("predict", ("--%s of %d recordings wants --to DIR, where each has a file"):format(form, #paths))
  end
  return pipe
end

-- `tlua predict MODEL FILE|FOLDER|-...` of a network that turns speech into text. Returns the exit status.
function listen.main(net, info, task, paths, options, o)
  local form = form_of(options)
  o.rate = info.preprocessing.rate
  for _, name in ipairs { "top", "flip", "threads" } do
    if options[name] then
      commands.wrong("predict", ("--%s: of speech there is one text, and recordings are read one by one"):format(name))
    end
  end
  if check_paths(paths, form, options) then return from_pipe(net, task, o, form, options) end
  if options.to then core.mkdirs(options.to) end
  local files = options.to and listen.places(paths, options.to, form == "text" and "txt" or form)
  local bar = progress.new((options.quiet or not core.isatty(2)) and "quiet" or nil, 2)
  local bad, begin, heard = 0, core.time(), 0
  if form == "csv" and not options.to then util.put "file,from,to,text\n" end
  for i, path in ipairs(paths) do
    local segments, at = {}, 0
    o.name = path
    local ok, e = pcall(function()
      local source <close> = core.audio.open(path, { rate = o.rate })
      through(net, task, source, o, function(list) table.move(list, 1, #list, #segments + 1, segments) end,
        function(seconds)
          at = seconds
          bar:update("Listening", i, #paths, ("%.0f s of %s, %.0f x real time"):format(at, path:match "[^/]+$",
            (heard + at) / math.max(1e-3, core.time() - begin)))
        end)
    end)
    heard = heard + at
    bar:clear()
    if not ok then
      bad = bad + 1
      io.stderr:write("tlua: ", util.without_place(e), "\n")
    else
      local text = forms[form](path, segments, #paths == 1)
      if options.to then
        if form == "csv" then text = "file,from,to,text\n" .. text end
        core.write_file(files[i], text)
        util.put(files[i], "\n")
      else util.put(text) end
    end
    if core.interrupted() then break end
  end
  if bad > 0 and #paths > 1 then
    io.stderr:write(("tlua: %d of %d recordings could not be read\n"):format(bad, #paths))
  end
  return bad > 0 and 1 or 0
end

return listen
