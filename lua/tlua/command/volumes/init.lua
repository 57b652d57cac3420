-- volumes/init.lua - `tlua predict` for networks of volumes: NIfTI files, series of a scanner and folders of either. Of
-- models that segment each gets a mask on its own grid and three slices to look at; of others there are their answers.
local core = require "tlua.core"
local util = require "tlua.util"
local maps = require "tlua.report.maps"
local planes = require "tlua.report.planes"
local model_file = require "tlua.weights.model_file"
local progress = require "tlua.run.progress"
local windows = require "tlua.task.windows"
local commands = require "tlua.command.commands"
local listen = require "tlua.command.listen"
local grid = require "tlua.command.volumes.grid"
local files = require "tlua.data.volumes.files"
local dicom = require "tlua.data.dicom"
local slices = require "tlua.data.dicom.slices"
local volumes = {}

-- ---- what is asked about ----

local function of_series(name, s) return { name = name, volume = s, about = { study = s.study, series = s.series } } end

-- Series of a scanner below a folder: {name =, volume = the series, about = UIDs}. The modality and the series are
-- those of the training where it was of a scanner's. `others`: there is something else to answer, so that none is no
-- fault. Third: how many files cannot be read.
local function series_below(folder, info, say, others)
  local list, notes, _, damaged = core.dicom.series(folder)
  local out, said, known = {}, {}, slices.known(info)
  dicom.left_out({}, notes, damaged, said)
  if #list > 0 then
    local ok, kept = pcall(dicom.select, { root = folder, modality = known.modality, series = known.series }, list,
      said, "predict")
    if not ok and not others then error(kept, 0) end
    list = ok and kept or {}
  end
  for _, line in ipairs(say and said or {}) do say(folder .. ": " .. line:gsub("^skipped%s+", "passed over ")) end
  for _, s in ipairs(list) do
    out[#out + 1] = of_series(folder, s)
    for _, line in ipairs(say and s.notes or {}) do say(("%s: %s"):format(folder, line)) end
  end
  for i, each in ipairs(#out > 1 and out or {}) do
    each.name = ("%s, series %s"):format(folder, each.volume.number and each.volume.number or i)
  end
  return out, notes, #damaged
end

-- A DICOM file by itself: a volume where all slices of its series are its frames; nil of a file that is none.
local function of_dicom(path)
  local ok = core.exists(path) and not files.is_nifti(path) and pcall(core.dicom.info, path)
  if not ok then return nil end
  local folder = path:match "^(.*)/[^/]*$" or "."
  for _, s in ipairs(core.dicom.series(folder)) do
    local own = 0
    for _, slice in ipairs(s.slices) do own = own + (core.same_file(slice.path, path) and 1 or 0) end
    if own == #s.slices and own > 1 then return of_series(path, s) end
    if own > 0 then
      util.failf("%s is %s of a series of %d, and the model takes volumes: name the folder, %s", path,
        own == 1 and "one slice" or own .. " slices", #s.slices, folder)
    end
  end
end

-- How many channels the files of a volume have; nil where nobody knows.
function volumes.channels(net, info)
  local p = info.preprocessing
  return p.windows and 1 or p.channels or (rawget(net, "network_options") or {}).in_channels
end

-- The volumes that words name, in their order; `broken`: how many files of scanners below folders cannot be read.
function volumes.collect(words, info, say)
  local out = { broken = 0 }
  local function take(list) table.move(list, 1, #list, #out + 1, out) end
  for _, word in ipairs(words) do
    local path = #word > 1 and word:gsub("/+$", "") or word
    if not core.is_folder(path) then
      take { of_dicom(path) or { name = path, volume = files.together(path, info.channels), file = path } }
    else
      local list = files.below(path, info.channels)
      local found, notes, broken = series_below(path, info, say, #list > 0)
      out.broken = out.broken + broken
      take(found)
      for _, each in ipairs(list) do
        take { { name = type(each) == "table" and each[1] or each, volume = each,
          file = type(each) == "table" and each[1] or each } }
      end
      if #found + #list == 0 then
        util.failf("%s holds no volumes: %s, and there is no DICOM series%s", path, files.WORDS,
          notes[1] and "; " .. notes[1] or "")
      end
    end
  end
  return out
end

-- A source of one of them. Options of the data that say how files are read are those of the training.
function volumes.source_of(each, info)
  local known = info.data and info.data.options or {}
  local record = { volumes = { each.volume }, asked = true }
  for from, to in pairs { parts = "parts", nan = "nan", gaps = "gaps", repeated = "doubles" } do
    if type(known[from]) == "string" and known[from] ~= "error" then record[to] = known[from] end
  end
  return core.data.source("records", record)
end

-- ---- answers ----

-- Of each volume the file below `to` that is written for it; of a folder it has its name. What would take a volume's
-- own place is an error.
function volumes.places(list, to)
  local names = {}
  for i, each in ipairs(list) do
    local name = each.name:gsub(", series ", "-series-")
    names[i] = (each.file and (files.stem(name) or name) or name) .. ".x"
  end
  for _, each in ipairs(list) do
    if each.file and core.same_file(to, each.file:match "^(.*)/[^/]*$" or ".") then
      util.failf("%s holds the volumes themselves, and a mask would take the place of one: --to another folder", to)
    end
  end
  return listen.places(names, to, "nii.gz")
end

-- What a model that segments says of a volume: the mask is written, and with it three slices.
local function segmented(y, finite, block, own, o, to)
  if not finite then return false end
  local map = grid.back(y, block, own, o.info.preprocessing)
  local counts, shares, ml, all = maps.pixels(map, o.task.width), {}, {}, 0
  for _, n in ipairs(counts) do all = all + n end
  for k, n in ipairs(counts) do shares[k], ml[k] = n / all, n * grid.voxel(own) end
  core.mkdirs(o.to)
  core.nifti.write(to, { x = map:to "float32", affine = own.affine }, { whole = true })
  local is = y:rank() == 5 and y:argmax(-1) or y
  local size = { table.unpack(is:shape(), 2, 4) }
  is = is:reshape(size)
  local g = { size = size, axes = block.axes, spacing = block.spacing }
  local grey = core.ops.slice(block.x, 4, 0, 1):reshape(size)
  local picture = planes.picture(g, grey, planes.place(is, is, -1), { { text = "seen", map = is } },
    { classes = o.task.width, background = o.task.options.background })
  core.image_write((to:gsub("%.nii%.gz$", ".overlay.png")), picture)
  return { shares = shares, ml = ml, voxels = counts, file = to }
end

-- One volume through the network: its answer, false where the network's numbers are none, or nil and why there is none.
local function answered(each, o, to, tell)
  local scope <close> = core.scope()
  local source = volumes.source_of(each, o.info)
  local block = source:volume(1, o.pipeline)
  local own = source:extent(1)
  local shape = block.x:shape()
  if o.channels and shape[4] ~= o.channels then
    util.failf("%s: the model takes %s, and the volume has %d%s", each.name, util.counted(o.channels, "channel"),
      shape[4],
      o.channels > 1 and ": files NAME_0000.nii.gz, NAME_0001.nii.gz and so on are channels of one" or "")
  end
  local x = block.x:reshape(1, table.unpack(shape))
  if o.task.takes ~= "map" then return o.task:decode(o.net(x), o)[1] end
  local y, finite = windows.forward(o.net, x, o.info.preprocessing, { batch = o.batch, tell = tell })
  if not y then return nil, "stopped" end
  return segmented(y, finite, block, own, o, to)
end

local function check_words(task, options, words)
  for _, name in ipairs { "srt", "vtt", "beam", "window", "rate" } do
    if options[name] then
      commands.wrong("predict", ("--%s is for speech, and the model takes volumes"):format(name))
    end
  end
  if options.flip then commands.wrong("predict", "--flip mirrors pictures, and the model takes volumes") end
  if options.by then commands.wrong("predict", "--by is for slices, and the model takes volumes") end
  if options.threads then
    commands.wrong("predict", "--threads reads pictures ahead, and volumes are read one after another")
  end
  if options.top and task.kind ~= "classify" then
    commands.wrong("predict", ("--top is for one class a volume, and the model's task is %s"):format(task.kind))
  end
  if options.to and not task.emit then commands.wrong("predict", "--to: " .. task.kind .. " writes no files") end
  for _, word in ipairs(words) do
    if word == "-" then commands.wrong("predict", "- is a pipe of sound, and the model takes volumes") end
  end
end

-- `tlua predict MODEL FILE|FOLDER...` of a network of volumes. o: top, batch; forms: of predict.lua, with what stands
-- for numbers that are none. Returns the exit status.
function volumes.main(net, info, task, words, options, o, forms)
  check_words(task, options, words)
  if not task.decode then util.failf("predict: the task '%s' says no answers for a volume (decode)", task.kind) end
  info.channels = volumes.channels(net, info)
  local list = volumes.collect(words, info, not options.quiet and util.note or nil)
  o = { info = info, task = task, net = net, channels = info.preprocessing.windows == nil and info.channels or nil,
    pipeline = model_file.pipeline(info), top = math.min(o.top, task.width or o.top),
    batch = options.batch and o.batch or 1,
    to = task.emit and (options.to or "predicted") or nil, volumes = true }
  local to, names = o.to and volumes.places(list, o.to) or {}, {}
  for i, each in ipairs(list) do names[i] = each.name end
  local form = forms[options.json and "json" or options.csv and "csv" or "table"](names, task, o)
  local bar = progress.new((options.quiet or not core.isatty(2)) and "quiet" or nil, 2)
  local guard <close> = core.no_grad()
  if form.begin then form.begin() end
  local bad, strange = 0, 0
  for i, each in ipairs(list) do
    local ok, answer, why = pcall(answered, each, o, to[i], function(done, of)
      bar:update("Predicting", i, #list, ("patch %d of %d"):format(done, of))
      return core.interrupted()
    end)
    bar:clear()
    if not ok then
      answer, why = nil, util.without_place(answer)
      bad = bad + 1
      io.stderr:write("tlua: ", why, "\n")
    elseif answer == false then strange, answer, why = strange + 1, nil, forms.NO_NUMBERS end
    if core.interrupted() then break end
    form.row(each.name, answer, why, each.about)
  end
  if form.finish then form.finish() end
  if bad > 0 and #list > 1 then io.stderr:write(("tlua: %d of %d volumes have no answer\n"):format(bad, #list)) end
  if strange > 0 then
    util.note(("%s for %d of %s; its weights may hold NaN"):format(forms.NO_NUMBERS, strange,
      util.counted(#list, "volume")))
  end
  if list.broken > 0 then
    io.stderr:write(("tlua: %s below the folders could not be read\n"):format(util.counted(list.broken, "DICOM file")))
  end
  return bad + strange + list.broken > 0 and 1 or 0
end

return volumes
