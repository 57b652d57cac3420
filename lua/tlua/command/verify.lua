-- verify.lua - `tlua verify`: whose voice it is. A few clips enrol each speaker, without training; others are said to
-- be of the nearest one, or of nobody known.
local core = require "tlua.core"
local util = require "tlua.util"
local commands = require "tlua.command.commands"
local model_file = require "tlua.weights.model_file"
local input = require "tlua.data.input"
local predict = require "tlua.command.predict"
local waves = require "tlua.data.waves"
local voices = require "tlua.report.voices"
local verify = {}

-- Folders below `root` are speakers: names and their clips.
local function known_speakers(root)
  local missing = util.missing(root, "folder")
  if missing then util.failf("--known: %s", missing) end
  local names, clips, of = {}, {}, {}
  for _, name in ipairs(core.list_folder(root)) do
    if name:sub(1, 1) ~= "." and core.is_folder(root .. "/" .. name) then
      local list = waves.below(root .. "/" .. name)
      if #list > 0 then names[#names + 1] = core.composed(name) end
      for _, path in ipairs(list) do clips[#clips + 1], of[#clips + 1] = path, #names end
    end
  end
  if #names == 0 then
    util.failf("--known: %s holds no folder with recordings: one for each speaker is wanted, like %s/anna/1.wav", root,
      root)
  end
  return names, clips, of
end

-- Embeddings of length 1, by number of the path; nil where one cannot be read. And the exit status.
local function embeddings(net, info, paths, o, quiet, label)
  local rows = {}
  local status = predict.each(info, paths, o, quiet, label, function(x, _, more)
    local y = more and more.lengths and net(x, more.lengths) or net(x)
    return voices.unit(y):tolist()
  end, function(i, row) rows[i] = row end)
  return rows, status
end

-- The rows of each speaker.
local function groups_of(names, rows, of)
  local out = {}
  for k = 1, #names do out[k] = {} end
  for i, k in ipairs(of) do
    if rows[i] then table.insert(out[k], rows[i]) end
  end
  for k, list in ipairs(out) do
    if #list == 0 then util.failf("--known: none of the clips of %s can be read", names[k]) end
  end
  return out
end

-- The threshold of the option, or that of the model's own test, where as many speakers were known that their mean was
-- taken off, or as few.
local function threshold_of(options, info, centred)
  if options.threshold then
    local v = tonumber(options.threshold)
    if not v or v < -1 or v > 1 then
      commands.wrong("verify", ("--threshold: a cosine from -1 to 1 is needed, not '%s'"):format(options.threshold))
    end
    return v
  end
  local m = info.metrics and info.metrics.metrics
  return type(m) == "table" and type(m.threshold) == "number" and (m.centred or false) == centred and m.threshold or nil
end

function verify.main(args)
  local options, rest = commands.parse("verify", args)
  if #rest < 2 or not options.known then commands.usage("verify", "a model, --known DIR and recordings are needed") end
  local o = commands.numbers(options, { batch = 8, threads = 0 })
  if options.device then core.device(options.device) end
  local net, info = model_file.open(rest[1], options.weights, options["weights.key"])
  local kind = input.of(info.preprocessing)
  if kind.kind ~= "clip" then util.failf("verify: %s sees pictures, and a network that hears is needed", rest[1]) end
  local t = info.task and info.task.name
  if t and t ~= "verify" and net.gives ~= "frames" and not options.quiet then
    util.note(("the task of %s is %s, and what it gives are no embeddings of voices; task.verify trains one "
      .. "(recipes/speakers.lua)"):format(rest[1], t))
  end
  if net.gives == "frames" then
    util.failf("verify: %s gives frames, and a voice is one row a clip, as speaker_lstm gives it: recipes/speakers.lua",
      rest[1])
  end
  for i = 2, #rest do
    if rest[i] == "-" then commands.wrong("verify", "-: a pipe is not listened to; recordings in files are") end
  end
  local names, clips, of = known_speakers(options.known)
  local paths = predict.collect({ table.unpack(rest, 2) }, not options.quiet and util.note or nil, kind)
  local guard <close> = core.no_grad()
  local enrolled, bad = embeddings(net, info, clips, o, options.quiet, "Enrolling")
  local centres, origin = voices.centres(groups_of(names, enrolled, of))
  local threshold = threshold_of(options, info, origin ~= nil)
  local rows, status = embeddings(net, info, paths, o, options.quiet, "Listening")
  if not threshold then
    util.note "no threshold is known: the nearest speaker is named, be it the right one or not (--threshold)"
  end
  local out = {}
  for i, path in ipairs(paths) do
    if rows[i] then
      local best, score = voices.nearest(rows[i], centres, origin)
      local said = (not threshold or score >= threshold) and names[best] or nil
      if options.json then out[#out + 1] = { file = path, speaker = said, nearest = names[best], score = score,
        threshold = threshold }
      else print(("%s  %s  %.3f%s"):format(path, said or "nobody known", score, said and ""
        or (" (nearest %s)"):format(names[best]))) end
    end
  end
  if options.json then print(#out > 0 and core.json_encode(out) or "[]") end
  return math.max(bad, status)
end

return verify
