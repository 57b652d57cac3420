-- kinds.lua - the kinds of data sets: what each is called, its options, and what its samples are.
-- title    for people
-- small    all pictures have one small size and are stretched to the network's
-- grey     all or some of them may be grey
-- open     samples are a list (tlua/data/records.lua); task(options): the name of the task that its fields imply
-- clips    samples are sound
-- texts    samples are texts; pairs: always two; longest, stride, cut: what texts.preprocessing takes where nobody says
-- volumes  samples are volumes
-- url      of a download that no folder had; it stands in the cache folder afterwards, in the folder `inside`
local volume_fields = require "tlua.data.volumes.fields"
local volume_files = require "tlua.data.volumes.files"

local doubles = require "tlua.data.doubles"
local changes = require "tlua.data.boxes.changes"
local tiles = require "tlua.data.boxes.tiles"
local kinds_of = {}

local ROOT = { "root", "path", nil, "folder where the data lie" }
local COMMON = {
  { "channels", "integer", nil,
    "of the pictures (the network's, else 3); other than 1 and 3 for tensors and functions that give so many",
    least = 1, most = 64 },
  { "size", "integer", nil, "side of the pictures in pixels (the network's own)", least = 1 },
  { "batch", "batch", 64, "pictures a step; auto: what the memory allows, up to 256", least = 1 },
  { "limit", "integer", nil, "at most so many training pictures (all)", least = 1 },
  { "test_limit", "integer", nil, "at most so many test pictures (a fifth of limit, else all)", least = 1 },
  { "per_class", "integer", nil, "at most so many training pictures of each class, drawn by the seed (all)",
    least = 1 },
  { "validation", "number", nil,
    "share of the training pictures held out: what keeps the best, stops or lowers the rate looks at them (0.1 " ..
    "where something selects so and the data have no validation part)", least = 0, below = 1 },
  { "split_seed", "seed", nil, "of the draws that hold test pictures out and keep to limits (the run's seed)" },
  { "threads", "integer", 0, "threads that read pictures; 0: one a processor", least = 0, most = 64 },
  { "fit", "choice", nil,
    "stretch to a square, scale the shorter side and crop, or letterbox: scale the longer side, grey beside it",
    { "stretch", "shorter", "letterbox" } },
  { "resize", "integer", nil, "the shorter side before the crop (the weights' own)", least = 1 },
  { "interpolation", "choice", nil, "filter of the resize; linear: OpenCV's, of letterboxes alone",
    { "nearest", "box", "bilinear", "bicubic", "lanczos", "linear" } },
  { "mean", "numbers", nil, "subtracted from pixels in 0..1 (the weights' own)", count = { 1, 3 } },
  { "std", "numbers", nil, "then divided by (the weights' own)", above = 0, count = { 1, 3 } },
  { "augment", "choice", "none", "random changes of training pictures: flips, or flips and crops",
    { "none", "flip", "standard" } },
  { "drop_last", "boolean", false, "leave out the last batch of an epoch when it is smaller" },
}

-- Of data that patients may be in.
local function private(default)
  return { "private", "boolean", default,
    "what a run writes names samples by salted identifiers, and no path; identifiers.csv in its folder says whose " ..
    "they are" }
end

local CORNERS = { "strip_corners", "number", nil,
  "each corner of so much of the height and the width becomes black, for the network and in all that is shown: text " ..
  "of patients is burnt in there (none)", least = 0, most = 0.5 }

local function fields(...)
  local list = { ROOT }
  for _, field in ipairs { ... } do list[#list + 1] = field end
  for _, field in ipairs(COMMON) do list[#list + 1] = field end
  return list
end

-- The fields of a kind whose samples are a list (tlua/data/records.lua).
local function listed(...)
  local list = { ... }
  list[#list + 1] = { "split", "number", nil,
    "share held out for testing where the data do not say which; 0.2 where nothing is said", least = 0, below = 1 }
  list[#list + 1] = { "on_bad", "choice", "error", "what a damaged picture means", { "error", "skip" } }
  for _, field in ipairs(COMMON) do list[#list + 1] = field end
  return list
end

-- The fields of a kind whose samples are pictures with boxes.
local function boxed(...)
  local list = { ... }
  for _, field in ipairs {
    { "classes", "texts", nil, "names of the classes, in this order (the data's own)" },
    { "background", "choice", "error",
      "what a picture without a box means: a fault of the labels; keep: it shows nothing to find; skip: it is left out",
      { "error", "keep", "skip" } },
    { "faults", "choice", "error",
      "what labels that cannot be right mean: an error that counts them; skip: they are left out, and the plan says so",
      { "error", "skip" } },
    { "least_visible", "number", 0.1,
      "share of its area that a box keeps where training pictures are cut; with less it is dropped", least = 0,
      most = 1 },
  } do list[#list + 1] = field end
  list[#list + 1] = { "tiles", "range", nil,
    "side and overlap in pixels of tiles that pictures are cut into, each a sample of its own (none: whole pictures)",
    check = tiles.wrong }
  for _, field in ipairs(changes.SCHEMA) do list[#list + 1] = field end
  return listed(table.unpack(list))
end
local function detects() return "detect" end
local GROUP = { "group", "text", nil,
  "Lua pattern that finds in a picture's path whose it is: pictures of one field, patient or camera stay in one part" }

-- The fields of a kind whose samples are clips of sound.
local function clips(...)
  local list = { ... }
  for _, field in ipairs {
    { "group", "text", nil,
      "column, or for sounds a Lua pattern in paths, that says whose a clip is: a speaker's, a session's; those " ..
      "stay in one part" },
    { "split", "number", nil, "share held out for testing where the data do not say which; 0.2 where nothing is said",
      least = 0, below = 1 },
    { "validation", "number", nil,
      "share of the training clips held out: what keeps the best, stops or lowers the rate looks at them (0.1 where " ..
      "something selects so and the data have no validation part)", least = 0, below = 1 },
    { "split_seed", "seed", nil, "of the draws that hold test clips out and keep to limits (the run's seed)" },
    { "rate", "integer", nil, "samples a second that the network hears, where it does not say so itself", least = 1000,
      most = 192000 },
    { "seconds", "number", nil,
      "of each clip: longer ones are cut, at a random place in training, and shorter ones padded (the network's; " ..
      "none: whole)", above = 0 },
    { "place", "choice", "any",
      "of what is cut: any place in training and the middle else, or the start of each clip, as of a drum",
      { "any", "start" } },
    { "trim", "number", nil, "silence at both ends is cut away where it is so many decibels below the loudest",
      least = 1, most = 120 },
    { "longest", "number", nil, "seconds; longer clips are left out, and counted", above = 0 },
    { "shortest", "number", nil, "seconds; shorter clips are left out, and counted", least = 0 },
    { "batch", "load", 16, "clips a step, or as many as make so many seconds with their padding, like '60 s'",
      least = 1 },
    { "limit", "integer", nil, "at most so many training clips (all)", least = 1 },
    { "test_limit", "integer", nil, "at most so many test clips (a fifth of limit, else all)", least = 1 },
    { "minutes", "number", nil,
      "at most so many minutes of training clips, drawn by the seed (all); fewer minutes are among more", above = 0 },
    { "per_class", "integer", nil, "at most so many training clips of each class, drawn by the seed (all)", least = 1 },
    { "threads", "integer", 0, "threads that read clips; 0: one a processor", least = 0, most = 64 },
    { "drop_last", "boolean", false, "leave out the last batch of an epoch when it is smaller" },
    { "on_bad", "choice", "error", "what a damaged, empty or silent clip means", { "error", "skip" } },
  } do list[#list + 1] = field end
  return list
end

local STRIDE = { "stride", "integer", nil,
  "texts that are longer become windows, each of which shares so many pieces with the one before", least = 0,
  most = 1 << 20 }

-- The fields of a kind whose samples are texts.
local function written(...)
  local list = { ... }
  for _, field in ipairs {
    { "test", "path", nil, "another file, which is the test part" },
    { "validation", "file_or_share", nil,
      "another file, or the share of the training texts held out: what keeps the best, stops or lowers the rate " ..
      "looks at them (0.1 where something selects so and the data have no validation part)" },
    { "split", "number", nil, "share held out for testing where the data do not say which; 0.2 where nothing is said",
      least = 0, below = 1 },
    { "split_seed", "seed", nil, "of the draws that hold test texts out and keep to limits (the run's seed)" },
    { "tokenizer", "path", nil, "a tokenizer.json or another form, or a folder with one (the network's own)" },
    { "longest", "integer", nil,
      "pieces of a text at most, with those of the template; longer ones are cut, and counted (128, or what the " ..
      "network knows)", least = 3, most = 1 << 20 },
    { "cut", "choice", nil, "what is cut of a pair that is longer: the longer of both, the first, the second (longest)",
      { "longest", "first", "second" } },
    { "batch", "pieces", 32,
      "texts a step, or as many as have together so many pieces with padding, like '4096 pieces'",
      least = 1 },
    { "buckets", "boolean", true,
      "texts of about one length stand in a batch together, which leaves less to pad; else they come as they are " ..
      "drawn" },
    { "limit", "integer", nil, "at most so many training texts (all)", least = 1 },
    { "test_limit", "integer", nil, "at most so many test texts (a fifth of limit, else all)", least = 1 },
    { "per_class", "integer", nil, "at most so many training texts of each class, drawn by the seed (all)", least = 1 },
    { "threads", "integer", 0, "threads that make numbers of texts; 0: one a processor", least = 0, most = 64 },
    { "drop_last", "boolean", false, "leave out the last batch of an epoch when it is smaller" },
    { "on_bad", "choice", "error", "what an empty text means", { "error", "skip" } },
  } do list[#list + 1] = field end
  return list
end

-- The same of single texts, or of pairs of which always the second is cut; long ones may become windows.
local function in_windows(...)
  local list = {}
  for _, field in ipairs(written(...)) do
    if field[1] ~= "cut" and field[1] ~= "per_class" then list[#list + 1] = field end
  end
  list[#list + 1] = STRIDE
  return list
end

-- How many samples a step has where nothing is said: kinds_of.batch(d).
local PICTURES, VOLUMES = 64, 2

-- A list of fields and those of series as volumes, of which a step has fewer.
local function with_volumes(list)
  local out = { table.unpack(list) }
  for i, field in ipairs(out) do
    if field[1] == "batch" then
      out[i] = { "batch", "batch", nil,
        ("pictures (%d) or volumes (%d) a step; auto: what the memory allows, up to 256"):format(PICTURES, VOLUMES),
        least = 1 }
    end
  end
  for _, field in ipairs(volume_fields.SERIES) do out[#out + 1] = field end
  return out
end

-- One target is a class, several are findings, unless the recipe's task says otherwise.
local function task_of_targets(o) return type(o.target) == "table" and #o.target > 1 and "multilabel" or "classify" end
-- Masks are learnt where there are any.
local function task_of_volumes(o)
  if o.path then return o.mask and "segment" or task_of_targets(o) end
  return o.root and not volume_files.has_pairs(o.root) and "classify" or "segment"
end
local function task_of_fields(o) return (o.labels ~= nil or o.classes ~= nil) and "classify" or "regress" end

local CIFAR = "https://www.cs.toronto.edu/~kriz/"
kinds_of.all = {
  cifar10 = { title = "CIFAR-10", small = 32, schema = fields(), url = CIFAR .. "cifar-10-binary.tar.gz",
    inside = "cifar-10-batches-bin" },
  cifar100 = { title = "CIFAR-100", small = 32, schema = fields(), url = CIFAR .. "cifar-100-binary.tar.gz",
    inside = "cifar-100-binary" },
  mnist = { title = "MNIST", small = 28, grey = true, schema = fields(), roots = { "/usr/share/datasets/mnist" } },
  fashion_mnist = { title = "Fashion-MNIST", small = 28, grey = true, schema = fields(),
    roots = { "/usr/share/datasets/fashion-mnist" }, package = "dataset-fashion-mnist" },
  folder = { title = "Class folders", grey = true, schema = fields(
    { "classes", "texts", nil, "these folders alone, as classes in this order (all of them, by name)" },
    { "split", "number", nil, "share held out for testing where there is no folder test; 0.2 where nothing is said",
      least = 0, below = 1 },
    { "group", "text", nil,
      "Lua pattern that finds in a picture's path whose it is: pictures of one patient, field or camera are " ..
      "held out together" },
    { "decode", "choice", "whole",
      "reduced: large JPEGs are decoded at 1/2, 1/4 or 1/8, with twice the pixels that are needed at least",
      { "whole", "reduced" } },
    { "on_bad", "choice", "error", "what a damaged picture means", { "error", "skip" } }, private(false),
    CORNERS, table.unpack(doubles.FIELDS)) },
  csv = { title = "CSV", grey = true, open = true, task = task_of_targets, needed = { "path", "image", "target" },
    schema = listed(
    { "path", "path", nil, "the CSV file: a line for each picture, the first with the names of the columns" },
    { "image", "text", nil, "column with the pictures' files, relative to the CSV's folder" },
    { "target", "texts", nil, "column, or columns, with what is to be learnt" },
    { "group", "text", nil,
      "column that says whose a picture is: pictures of one patient, field or camera stay in one part" },
    { "part", "text", nil, "column that says which part a picture belongs to: train, validation or test" },
    { "attributes", "texts", nil, "columns, like sex,age,scanner, for each of whose values the report has figures" },
    { "root", "path", nil, "folder that the files are relative to (the CSV's own)" }, private(false),
    CORNERS, table.unpack(doubles.FIELDS)) },
  masks = { title = "Masks", grey = true, open = true, task = function() return "segment" end, schema = listed(
    { "root", "path", nil, "folder with images and masks, or with such folders in train, validation and test" },
    { "classes", "texts", nil, "names of what the masks' values 0, 1, ... mean (the lines of classes.txt)" },
    { "values", "numbers", nil, "the value of each class in the masks (0, 1, 2, ...)", least = 0, most = 255 },
    { "group", "text", nil,
      "Lua pattern that finds in a picture's path whose it is: those of one patient stay in one part" },
    private(false), CORNERS, table.unpack(doubles.FIELDS)) },
  dicom = { title = "DICOM", grey = true, open = true,
    task = function(o) return o.masks and "segment" or task_of_targets(o) end, needed = { "root" },
    schema = with_volumes(listed(
    { "root", "path", nil, "folder with the files, in any order and depth" },
    { "unit", "choice", "picture", "what a sample is: a slice, or a series as a volume", { "picture", "volume" } },
    { "labels", "path", nil,
      "a CSV with what is to be learnt, a line for each patient, study, series or file; without it the folders are " ..
      "classes" },
    { "by", "choice", nil, "what a line of labels is about (patient)", { "patient", "study", "series", "file" } },
    { "key", "text", nil, "column of labels that says whose a line is (the one that is called as such columns are)" },
    { "target", "texts", nil, "column, or columns, with what is to be learnt" },
    { "part", "text", nil, "column that says which part a sample belongs to: train, validation or test" },
    { "masks", "path", nil,
      "folder with masks, which may be root: DICOM SEG objects, and NIfTI volumes called as the series' folders" },
    { "classes", "texts", nil, "names of what the masks' values 0, 1, ... mean (background and the segments)" },
    { "values", "numbers", nil, "the value of each class in NIfTI masks (0, 1, 2, ...)", least = 0, most = 255 },
    { "unmatched", "choice", nil,
      "what pictures without a line or mask, and lines without pictures, mean (error)", { "error", "skip" } },
    { "windows", "windows", nil,
      "which values are seen, each window a channel: file (the file's own, as where nothing is said), range, lung, " ..
      "bone, brain, soft, or centre/width" },
    { "neighbours", "integer", nil, "slices of the series on each side that are channels too (none)", least = 0,
      most = 16 },
    { "modality", "texts", nil, "of the series that are taken, like CT,MR (all pictures)" },
    { "series", "text", nil, "which of a study's series: all, most (that of most slices), a number, or words of the " ..
      "description (all)" },
    { "every", "integer", 1, "of a series every so many-th slice", least = 1 },
    { "group", "choice", "patient", "what stays in one part", { "patient", "study", "series", "none" } },
    private(true), CORNERS, table.unpack(doubles.FIELDS))) },
  coco = { title = "COCO labels", grey = true, open = true, task = detects, needed = { "annotations" }, schema = boxed(
    { "annotations", "path", nil, "the JSON of COCO's form: all pictures, or with test_annotations the training part" },
    { "validation_annotations", "path", nil, "another JSON, which is the validation part" },
    { "test_annotations", "path", nil, "another JSON, which is the test part" },
    { "root", "path", nil, "folder with the pictures (that of the JSON, or images beside it)" }, GROUP) },
  voc = { title = "VOC labels", grey = true, open = true, task = detects, needed = { "root" }, schema = boxed(
    { "root", "path", nil,
      "folder with Annotations, JPEGImages and ImageSets, or with pictures and an XML beside each" }, GROUP) },
  yolo = { title = "YOLO labels", grey = true, open = true, task = detects, needed = { "root" }, schema = boxed(
    { "root", "path", nil,
      "folder with images and labels, and data.yaml, classes.txt or obj.names; parts are folders in it" }, GROUP) },
  boxes = { title = "Boxes", grey = true, open = true, task = detects, needed = { "path" }, schema = boxed(
    { "path", "path", nil, "a table: a line for each box, the first with the names of the columns" },
    { "file", "text", "file", "column with the pictures' files, relative to root" },
    { "left", "text", "left", "column with the left edge in pixels" },
    { "top", "text", "top", "column with the upper edge" },
    { "right", "text", "right", "column with the right edge" },
    { "bottom", "text", "bottom", "column with the lower edge" },
    { "target", "text", "class", "column with the class" },
    { "part", "text", nil, "column that says which part a picture belongs to: train, validation or test" },
    { "group", "text", nil, "column that says whose a picture is: those of one stay in one part" },
    { "root", "path", nil, "folder that the files are relative to (the table's own)" }) },
  speech = { title = "Speech", open = true, clips = true, task = function() return "ctc" end, needed = { "path" },
    schema = clips(
    { "path", "path", nil, "a table (TSV or CSV): a line for each recording, the first with the names of the columns" },
    { "file", "text", "file", "column with the recordings, relative to root" },
    { "text", "text", "text", "column with what is said" },
    { "part", "text", nil, "column that says which part a clip belongs to: train, validation or test" },
    { "root", "path", nil, "folder that the files are relative to (the table's own)" }) },
  sounds = { title = "Sounds", open = true, clips = true, task = function() return "classify" end, schema = clips(
    { "root", "path", nil,
      "folder with a folder of sounds for each class, or with such folders in train, validation and test" },
    { "label", "pattern", nil,
      "Lua pattern that finds the class in a sound's path, instead of folders; or a function: path -> class, nil " ..
      "where the sound is to be left out" },
    { "held_out", "texts", nil, "groups that are the test part" }) },
  nifti = { title = "NIfTI", open = true, volumes = true, task = task_of_volumes, schema = volume_fields.with(
    { "root", "path", nil,
      "folder with images and masks, or imagesTr and labelsTr, or with a folder of volumes for each class; or such " ..
      "folders in train, validation and test; of a table: what its files are relative to (its own folder)" },
    { "path", "path", nil, "a table instead: a line for each volume, the first with the names of the columns" },
    { "image", "texts", nil, "column with the files (image); of several columns each is a channel" },
    { "mask", "text", nil, "column with the files of masks" },
    { "target", "texts", nil, "column with the class, or columns with numbers, that is to be learnt" },
    { "part", "text", nil, "column that says which part a volume belongs to: train, validation or test" },
    { "attributes", "texts", nil, "columns that figures are also told by: sex, age, scanner" },
    { "group", "text", nil,
      "column, or without a table a Lua pattern in paths, that says whose a volume is: those of one patient stay in " ..
      "one part" }, private(true)) },
  texts = { title = "Texts", open = true, texts = true, task = task_of_targets, needed = { "path" }, schema = written(
    { "path", "path", nil,
      "a table (TSV or CSV): a line for each text, the first with the names of the columns; with `test` the " ..
      "training part" },
    { "text", "text", "text", "column with the texts" },
    { "pair", "text", nil, "column with a second text of each, as in comparisons" },
    { "target", "texts", "label", "column, or columns, with what is to be learnt" },
    { "part", "text", nil, "column that says which part a text belongs to: train, validation or test" },
    { "group", "text", nil,
      "column that says whose a text is: those of one writer, article or thread stay in one part" },
    { "quotes", "choice", "auto",
      "double quotes around a cell: yes, they hold it together; no, they are letters; auto, letters where tabs " ..
      "separate",
      { "auto", "yes", "no" } }) },
  lines = { title = "Lines", open = true, texts = true, task = function() return "masked" end, needed = { "path" },
    schema = in_windows({ "path", "path", nil, "a file with a text in each line; with `test` the training part" }) },
  conll = { title = "Words with tags", open = true, texts = true, task = function() return "tokens" end,
    needed = { "path" }, schema = in_windows(
    { "path", "path", nil,
      "a file of columns: a line for each word, an empty one behind each sentence; with `test` the training part" },
    { "token", "text", "1", "column with the words: its number (-1: the last), or its name in the first line" },
    { "tag", "text", "-1", "column with what is to be learnt of each word" },
    { "between", "choice", "space", "what stands between the words of a text: a space, or nothing where words are " ..
      "single characters", { "space", "nothing" } }) },
  spacing = { title = "Texts and their spaces", open = true, texts = true, task = function() return "tokens" end,
    needed = { "path" }, schema = in_windows(
    { "path", "path", nil, "a file with a text in each line, or a table; with `test` the training part" },
    { "text", "text", nil, "of a table (TSV or CSV): the column with the texts" },
    { "quotes", "choice", "auto", "double quotes around a cell of a table, as in data.texts",
      { "auto", "yes", "no" } }) },
  squad = { title = "Questions", open = true, texts = true, pairs = true, task = function() return "span" end,
    longest = 384, stride = 128, cut = "second", needed = { "path" }, schema = in_windows(
    { "path", "path", nil, "questions about paragraphs in the JSON of SQuAD 1.1, 2.0 or KorQuAD 1.0; with `test` " ..
      "the training part, else whole articles are held out" }) },
  tensors = { title = "Tensors", grey = true, open = true, task = task_of_fields, schema = listed(
    { "path", "path", nil, "a .safetensors, .npz or .npy file with the tensors; without it they are given themselves" },
    { "images", "tensor", nil, "tensor (N, H, W, C), or its name in the file" },
    { "labels", "tensor", nil, "class numbers (N) from 0, or their name in the file" },
    { "values", "tensor", nil, "numbers (N) or (N, K), or their name in the file" },
    { "test_images", "tensor", nil, "the same for testing; without them a part is held out" },
    { "test_labels", "tensor", nil, "their class numbers" },
    { "test_values", "tensor", nil, "their numbers" },
    { "validation_images", "tensor", nil, "the same for validation, beside those for testing" },
    { "validation_labels", "tensor", nil, "their class numbers" },
    { "validation_values", "tensor", nil, "their numbers" },
    { "classes", "texts", nil, "names of the classes (their numbers)" },
    { "value_names", "texts", nil, "names of the numbers" }) },
  custom = { title = "Custom", grey = true, open = true, task = task_of_fields, needed = { "count", "get" },
    schema = listed(
    { "count", "integer", nil, "how many samples there are", least = 1 },
    { "get", "func", nil,
      "function: number from 1 -> { image = path or tensor, label = class number or values = numbers, mask = ... }" },
    { "classes", "texts", nil, "names of the classes" }, { "value_names", "texts", nil, "names of the numbers" },
    { "key", "text", nil, "names what get gives: features are kept on disk under it; without a key they are not" }) },
}

kinds_of.COMMON = COMMON

-- How many samples of a description a step has.
function kinds_of.batch(d) return d.options.batch or kinds_of.has_volumes(d) and VOLUMES or PICTURES end

-- Are the samples of a description volumes?
function kinds_of.has_volumes(d)
  return kinds_of.all[d.kind].volumes or d.kind == "dicom" and d.options.unit == "volume" or false
end

return kinds_of
