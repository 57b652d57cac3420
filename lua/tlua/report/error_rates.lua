-- error_rates.lua - how far what was heard is from what was said: character and word error rates over clips, their
-- intervals, and which letters are taken for which. A rate is the changes of all clips over what was said in all, as is
-- usual: long clips count more. It may be above 1, where much is heard that nobody said.
local core = require "tlua.core"
local util = require "tlua.util"
local intervals = require "tlua.report.intervals"
local error_rates = {}

local function words_of(text)
  local list = {}
  for word in text:gmatch "[^ \t\n\r]+" do list[#list + 1] = word end
  return list
end

-- One clip: what was said and heard, in the form in which they are to be compared (Vocabulary:normal). `pairs`: with
-- what stands for what. { characters = {n =, distance =, substitutions =, insertions =, deletions =, pairs =}, words =
-- the same, said =, heard = }; n is what was said.
function error_rates.clip(said, heard, options)
  local o = util.options("error_rates.clip", options, { pairs = false })
  local clip = { said = said, heard = heard }
  for name, split in pairs { characters = core.characters, words = words_of } do
    local a, b = split(said), split(heard)
    local e = core.ctc.edit(a, b, { pairs = o.pairs and name == "characters" })
    e.n = #a
    for _, p in ipairs(e.pairs or {}) do p[1], p[2] = p[1] and a[p[1]], p[2] and b[p[2]] end
    clip[name] = e
  end
  return clip
end

-- The rate over clips (all, or those of a list of indices) in "characters" or "words"; NaN where nothing was said.
function error_rates.rate(clips, name, indices)
  local changes, n = 0, 0
  for i = 1, indices and #indices or #clips do
    local e = clips[indices and indices[i] or i][name]
    changes, n = changes + e.distance, n + e.n
  end
  return changes / n
end

-- Bounds of the rate when the clips are drawn anew (intervals.bootstrap); nil where that tells nothing.
function error_rates.interval(clips, name, options)
  return intervals.bootstrap(#clips, function(indices) return error_rates.rate(clips, name, indices) end, options)
end

-- { substitutions =, insertions =, deletions =, n = } of all clips.
function error_rates.changes(clips, name)
  local all = { substitutions = 0, insertions = 0, deletions = 0, n = 0 }
  for _, clip in ipairs(clips) do
    for key, v in pairs(all) do all[key] = v + clip[name][key] end
  end
  return all
end

-- What was heard for another character, most often first: { { said =, heard =, count = } ... }, "" where nothing was
-- said or heard. The clips were made with pairs = true.
function error_rates.confusions(clips)
  local counts, list = {}, {}
  for _, clip in ipairs(clips) do
    for _, p in ipairs(clip.characters.pairs) do
      if p[1] ~= p[2] then
        local key = (p[1] or "") .. "\0" .. (p[2] or "")
        counts[key] = (counts[key] or 0) + 1
      end
    end
  end
  for key, count in pairs(counts) do
    local said, heard = key:match "^(.-)%z(.*)$"
    list[#list + 1] = { said = said, heard = heard, count = count }
  end
  table.sort(list, function(a, b)
    if a.count ~= b.count then return a.count > b.count end
    return a.said < b.said or (a.said == b.said and a.heard < b.heard)
  end)
  return list
end

-- The share of frames that are blank, of what core.ctc.greedy said of clips with so many frames each; nil of no frame.
-- It is near 1 early in training, of a network that says nothing yet.
function error_rates.blank_share(said, frame_counts)
  local blanks, frames = 0, 0
  for i, each in ipairs(said) do blanks, frames = blanks + each.blanks, frames + frame_counts[i] end
  return frames > 0 and blanks / frames or nil
end

return error_rates
