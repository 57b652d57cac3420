-- data.lua - examples of data and of tasks, on small data that docs/shapes.lua, squares.lua, reviews.lua, tones.lua
-- and scans.lua make: examples/init.lua says the form.
return [==[
# data.cifar10
built = tlua.data.open(tlua.data.cifar10 { root = "cifar10" }, { size = 32 })
built.train:count()  --> 40
# data.cifar100
built = tlua.data.open(tlua.data.cifar100 { root = "cifar100" }, { size = 32 })
built.test:count()  --> 10
# data.mnist
built = tlua.data.open(tlua.data.mnist { root = "mnist" }, { size = 28, channels = 1 })
built.train:count()  --> 40
# data.fashion_mnist
built = tlua.data.open(tlua.data.fashion_mnist { root = "mnist", limit = 20 }, { size = 28 })
built.train:count()  --> 20
# data.folder
built = tlua.data.open(tlua.data.folder { root = "pictures", size = 32 }, {})
built.classes  --> { "circle", "square", "triangle" }
built.train:count()  --> 120
# data.csv
d = tlua.data.csv { path = "squares/findings.csv", image = "file", target = { "red", "blue" }, size = 32 }
built = tlua.data.open(d, {})
built.train:count()  --> 13
# data.masks
built = tlua.data.open(tlua.data.masks { root = "masks", classes = { "background", "square" }, size = 32 }, {})
built.train:count()  --> 8
# data.tensors
pictures, labels = tlua.rand(10, 8, 8, 3), tlua.tensor({ 0, 1, 0, 1, 0, 1, 0, 1, 0, 1 }, { dtype = "int32" })
d = tlua.data.tensors { images = pictures, labels = labels, classes = { "no", "yes" }, size = 8, split = 0.2 }
built = tlua.data.open(d, {})
built.train:count()  --> 8
# data.custom
picture = tlua.full({ 8, 8, 3 }, 100, { dtype = "uint8" })
d = tlua.data.custom { count = 10, size = 8, classes = { "even", "odd" },
  get = function(i) return { image = picture, label = i % 2 } end }
tlua.data.open(d, {}).test:count()  --> 2
# data.dicom
d = tlua.data.dicom { root = "scans", labels = "scans/findings.csv", target = "finding", size = 32, windows = "brain" }
built = tlua.data.open(d, {})
built.classes  --> { "bleeding", "none" }
# data.nifti
d = tlua.data.nifti { root = "volumes", classes = { "background", "sphere" }, patch = 8 }
built = tlua.data.open(d, {})
built.train:count()  --> 4
# data.coco
built = tlua.data.open(tlua.data.coco { annotations = "squares/coco.json", root = "squares", size = 64 }, {})
built.classes  --> { "red", "blue" }
# data.voc
built = tlua.data.open(tlua.data.voc { root = "voc", size = 64 }, {})
built.classes  --> { "blue", "red" }
# data.yolo
built = tlua.data.open(tlua.data.yolo { root = "squares", size = 64 }, {})
built.train:count()  --> 48
# data.boxes
built = tlua.data.open(tlua.data.boxes { path = "squares/boxes.csv", size = 64 }, {})
built.classes  --> { "blue", "red" }
# data.speech
session = tlua.recipe {
  model = tlua.models.conformer { blocks = 1, width = 48, heads = 2, ffn = 96 },
  data = tlua.data.speech { path = "recordings/transcripts.tsv", batch = "20 s" }, schedule = { epochs = 1 },
}:build()
session.data.train:text(1)  --> eiue ieao
# data.sounds
d = tlua.data.sounds { root = "recordings", seconds = 1,
  label = function(path) return tonumber(path:match "%d+") % 2 == 0 and "even" or "odd" end }
tlua.data.open(d, { rate = 16000 }).classes  --> { "even", "odd" }
# data.texts
session = tlua.recipe {
  model = tlua.models.bert { width = 48, layers = 1, heads = 2, inner = 96, vocabulary = 40, positions = 64 },
  data = tlua.data.texts { path = "reviews/reviews.tsv", tokenizer = "reviews/vocab.txt" }, schedule = { epochs = 1 },
}:build()
session.data.classes  --> { "bad", "good" }
# data.conll
session = tlua.recipe {
  model = tlua.models.bert { width = 48, layers = 1, heads = 2, inner = 96, vocabulary = 40, positions = 64 },
  data = tlua.data.conll { path = "reviews/words.txt", tokenizer = "reviews/vocab.txt" }, schedule = { epochs = 1 },
}:build()
session.data.classes  --> { "O", "B-THING", "B-VIEW" }
# data.spacing
session = tlua.recipe {
  model = tlua.models.bert { width = 48, layers = 1, heads = 2, inner = 96, vocabulary = 40, positions = 128 },
  data = tlua.data.spacing { path = "reviews/reviews.tsv", text = "text", tokenizer = "reviews/letters.txt" },
  schedule = { epochs = 1 },
}:build()
session.data.train:count()  --> 48
# data.squad
session = tlua.recipe {
  model = tlua.models.bert { width = 48, layers = 1, heads = 2, inner = 96, vocabulary = 40, positions = 64 },
  data = tlua.data.squad { path = "reviews/questions.json", tokenizer = "reviews/vocab.txt", longest = 64 },
  schedule = { epochs = 1 },
}:build()
session.data.test:count()  --> 12
# data.lines
session = tlua.recipe {
  model = tlua.models.bert { width = 48, layers = 1, heads = 2, inner = 96, vocabulary = 40, positions = 64 },
  data = tlua.data.lines { path = "lines.txt", tokenizer = "reviews/vocab.txt" }, schedule = { epochs = 1 },
}:build()
session.data.train:count()  --> 48
# data.transform
dim = tlua.data.transform {
  name = "dim", touches = { "input" },
  schema = { { "least", "number", 0.5, "share of the light that stays at least" } },
  apply = function(options, batch) batch.input = batch.input * options.least end,
}
recipe_part = { dim { least = 0.8 } }          -- transforms = { dim { least = 0.8 } } of a recipe
# data.open
built = tlua.data.open(tlua.data.folder { root = "pictures" }, tlua.models.mobilenet_v2 {}:preprocessing(), 0)
built.test:label(1)  --> 0
# data.loader
built = tlua.data.open(tlua.data.folder { root = "pictures", size = 32, batch = 10 }, {}, 0)
loader = tlua.data.loader(built, "train", 0)
loader:start(1)
x, labels, n = loader:next()
x:shape()  --> { 10, 32, 32, 3 }
# task.classify
session = tlua.recipe {
  model = tlua.models.mobilenet_v2 {},
  data = tlua.data.folder { root = "pictures", size = 32, classes = { "circle", "square" } },
  task = tlua.task.classify { positive = "circle" }, schedule = { epochs = 1 },
}:build()
session.classes  --> { "circle", "square" }
# task.multilabel
session = tlua.recipe {
  model = tlua.models.mobilenet_v2 {},
  data = tlua.data.csv { path = "squares/findings.csv", image = "file", target = { "red", "blue" }, size = 32 },
  task = tlua.task.multilabel { threshold = 0.4 }, schedule = { epochs = 1 },
}:build()
session.data.train:count()  --> 13
# task.regress
session = tlua.recipe {
  model = tlua.models.mobilenet_v2 {},
  data = tlua.data.csv { path = "squares/findings.csv", image = "file", target = "count", size = 32 },
  task = tlua.task.regress {}, schedule = { epochs = 1 },
}:build()
session.data.train:count()  --> 13
# task.segment
session = tlua.recipe {
  model = tlua.models.unet { encoder = "resnet18" },
  data = tlua.data.masks { root = "masks", classes = { "background", "square" }, size = 32 },
  task = tlua.task.segment {}, loss = tlua.nn.CrossEntropy {} + tlua.nn.Dice {}, schedule = { epochs = 1 },
}:build()
session.classes  --> { "background", "square" }
# task.detect
session = tlua.recipe {
  model = tlua.models.yolox_nano {}, data = tlua.data.yolo { root = "squares", size = 64 },
  task = tlua.task.detect {}, schedule = { epochs = 1 },
}:build()
session.classes  --> { "red", "blue" }
# task.ctc
session = tlua.recipe {
  model = tlua.models.conformer { blocks = 1, width = 48, heads = 2, ffn = 96 },
  data = tlua.data.speech { path = "recordings/transcripts.tsv" }, task = tlua.task.ctc {}, schedule = { epochs = 1 },
}:build()
session.data.test:count()  --> 4
# task.tokens
session = tlua.recipe {
  model = tlua.models.bert { width = 48, layers = 1, heads = 2, inner = 96, vocabulary = 40, positions = 64 },
  data = tlua.data.conll { path = "reviews/words.txt", tokenizer = "reviews/vocab.txt" },
  task = tlua.task.tokens { strict = true }, schedule = { epochs = 1 },
}:build()
session.data.test:count()  --> 12
# task.span
session = tlua.recipe {
  model = tlua.models.bert { width = 48, layers = 1, heads = 2, inner = 96, vocabulary = 40, positions = 64 },
  data = tlua.data.squad { path = "reviews/questions.json", tokenizer = "reviews/vocab.txt", longest = 64 },
  task = tlua.task.span {}, schedule = { epochs = 1 },
}:build()
session.data.train:count()  --> 48
# task.masked
session = tlua.recipe {
  model = tlua.models.bert { width = 48, layers = 1, heads = 2, inner = 96, vocabulary = 40, positions = 64 },
  data = tlua.data.texts { path = "reviews/reviews.tsv", tokenizer = "reviews/vocab.txt" },
  task = tlua.task.masked { share = 0.2 }, schedule = { epochs = 1 },
}:build()
session.data.train:count()  --> 48
# task.causal
session = tlua.recipe {
  model = tlua.models.gpt2 { width = 48, layers = 1, heads = 2, vocabulary = 40, positions = 64 },
  data = tlua.data.lines { path = "lines.txt", tokenizer = "reviews/vocab.txt" },
  task = tlua.task.causal {}, schedule = { epochs = 1 },
}:build()
session.data.train:count()  --> 48
# task.verify
session = tlua.recipe {
  model = tlua.models.mel_cnn { width = 24 },
  data = tlua.data.sounds { root = "recordings", seconds = 1,
    label = function(path) return "speaker" .. path:match "(%d)%.wav" end },
  task = tlua.task.verify {}, schedule = { epochs = 1 },
}:build()
#session.classes  --> 10
# task.define
brightest = tlua.task.define {
  name = "brightest", brief = "a class a picture, for show", wants = { "label" }, takes = "vector",
  figures = { { "accuracy", "accuracy", "%.1f %%", "max" } },
  prepare = function(t, s) t.names, t.width = s.classes, #s.classes end,
  loss = function(t, out, batch) return tlua.cross_entropy(out, batch.label), batch.n end,
  meter = function()
    return { add = function() end, value = function() return { accuracy = 0 } end, state = function() return {} end }
  end,
}
brightest {}.kind  --> brightest
]==]
