-- words.lua - options as everybody types them: --epochs, --lr, --batch-size, --gpu. Where such a word means one field it is taken for that
-- field; where it could mean several, or nothing that is there, the answer names what to type.
local core = require "tlua.core"
local util = require "tlua.util"
local schema = require "tlua.schema"
local words = {}

-- "Batch-Size" -> "batch_size"
local function plain(word) return (word:lower():gsub("-", "_")) end

-- field -> the words that mean it
local function table_of(list)
  local meant = {}
  for field, names in pairs(list) do
    for name in names:gmatch "%S+" do meant[name] = field end
  end
  return meant
end

local FIELDS = table_of {
  ["schedule.epochs"] = "epochs epoch n_epochs num_epochs max_epochs num_train_epochs nb_epochs",
  ["optim.lr"] = "lr learning_rate learningrate base_lr init_lr lr0",
  ["optim.weight_decay"] = "wd weight_decay", ["optim.momentum"] = "momentum",
  ["data.batch"] = "batch batch_size batchsize bs b train_batch_size per_device_train_batch_size",
  ["data.threads"] = "workers num_workers n_workers dataloader_num_workers j jobs threads num_threads",
  ["data.root"] = "data_dir data_path datadir data_root dataset_dir root train_dir",
  ["data.size"] = "size img_size image_size imgsz input_size resolution crop_size img",
  ["data.split"] = "split val_split validation_split test_split val_ratio", ["data.limit"] = "limit limit_train subset max_train_samples",
  ["data.augment"] = "augmentation aug data_augmentation", ["data.mean"] = "mean", ["data.std"] = "std",
  out = "out_dir outdir output output_dir o save_dir save_path run_dir logdir log_dir workdir work_dir project result_dir results",
  model = "arch architecture backbone net network model_name base_model", weights = "pretrained_weights checkpoint_path ckpt init_weights",
  optim = "optimizer optimiser opt", loss = "criterion loss_fn loss_function", ["loss.label_smoothing"] = "label_smoothing smoothing ls",
  ["loss.weight"] = "class_weight class_weights", ["model.dropout"] = "dropout drop drop_rate", ["model.drop_connect"] = "drop_path drop_path_rate stochastic_depth",
  seed = "random_seed manual_seed random_state", stop_after = "patience early_stopping early_stop early_stopping_patience",
  clip = "grad_clip clip_grad clip_norm gradient_clip max_grad_norm gradient_clipping clip_grad_norm gradient_clip_val",
  accumulate = "accum accumulation accumulation_steps grad_accum gradient_accumulation_steps accumulate_grad_batches iters_to_accumulate",
  ["schedule.warmup"] = "warmup warmup_epochs", ["schedule.rate"] = "scheduler lr_scheduler sched lr_schedule lr_scheduler_type",
  test_every = "eval_every val_every test_interval eval_interval val_interval eval_freq check_val_every_n_epoch",
  freeze = "freeze_layers",
  train = "unfreeze trainable train_layers", ema = "ema_decay model_ema", precision = "dtype amp_dtype torch_dtype",
  recompute = "gradient_checkpointing grad_checkpointing",
  ["lora.on"] = "lora target_modules lora_target_modules lora_targets", ["lora.rank"] = "lora_r lora_rank lora_dim",
  ["lora.alpha"] = "lora_alpha", ["lora.dropout"] = "lora_dropout", ["lora.rs"] = "use_rslora rslora",
  ["lora.from"] = "adapter adapter_path peft_model lora_path lora_weights",
  ["augment.flip"] = "flip hflip horizontal_flip", ["augment.mixup"] = "mixup mixup_alpha", ["augment.cutmix"] = "cutmix cutmix_alpha",
  ["augment.rotate"] = "rotate rotation degrees",
}

-- Words that need no value, and the field and value that they mean.
local FLAGS = { cpu = { "device", "cpu" }, no_cuda = { "device", "cpu" }, gpu = { "device", "gpu" }, cuda = { "device", "gpu" }, tensorboard = { "log", "tensorboard" },
  pretrained = { "weights", "imagenet" }, no_pretrained = { "weights", "none" }, from_scratch = { "weights", "none" }, scratch = { "weights", "none" },
  freeze_backbone = { "freeze", "*" }, no_cache = { "cache", "false" },
  amp = { "precision", "mixed" }, fp16 = { "precision", "mixed" }, half = { "precision", "mixed" }, mixed = { "precision", "mixed" },
  mixed_precision = { "precision", "mixed" }, use_amp = { "precision", "mixed" }, bf16 = { "precision", "bfloat16" },
  gradient_checkpointing = { "recompute", "true" }, grad_checkpointing = { "recompute", "true" } }

-- What there is in place of things that are not there.
local ANSWERS = {
  dataset = "--data KIND says the kind of data (cifar10, folder, ...), --data.root DIR where they lie",
  run_name = "--out DIR is the folder of the run",
  name = "--out DIR is the folder of the run",
  verbose = "a run says all it knows; --quiet says nothing", device_ids = "a run has one device: --device N, a number of `tlua devices`",
  save_every = "--checkpoint MINUTES in the middle of epochs; after an epoch it is by itself", val_dir = "--data.root DIR holds the folders train and test",
  config = "the recipe is the configuration: tlua RECIPE.lua --FIELD VALUE", evaluate = "tlua eval RUN", wandb = "--log tensorboard, and metrics.csv in the run's folder",
  num_classes = "the classes are those of the data; --head N makes a head of N outputs",
  iterations = "--schedule.epochs N; --schedule.least_steps N where there are few pictures", local_rank = "a run has one device",
}
local SAME = table_of { run_name = "exp_name experiment experiment_name", verbose = "v verbosity log_level",
  device_ids = "gpus devices gpu_ids num_gpus n_gpu", save_every = "save_interval save_freq save_steps checkpoint_every save_period",
  val_dir = "test_dir val_data validation_data", config = "cfg c config_file", evaluate = "eval test_only eval_only test", wandb = "use_wandb wandb_project",
  iterations = "max_steps steps num_steps iters max_iters", local_rank = "rank world_size distributed dist_url", num_classes = "classes n_classes nclasses nb_classes" }

-- Does the word need no value, as --gpu? `following` is the word behind it.
function words.is_flag(word, following) return FLAGS[plain(word)] ~= nil and (following == nil or following:sub(1, 1) == "-") end

-- ---- of a recipe ----

-- A word that means more than one field of this recipe: what to type.
local function several(r, field, word)
  local function named(key)
    local list = {}
    for i, stage in ipairs(r.stages) do
      if stage[key] then list[#list + 1] = i < #r.stages and ("--schedule.%d.%s"):format(i, key) or "--schedule." .. key end
    end
    return list
  end
  local list = field == "schedule.epochs" and #r.stages > 1 and named "epochs" or field == "optim.lr" and named "lr" or {}
  if field == "schedule.epochs" and #list > 1 then return ("--%s: the recipe has %d stages: %s"):format(word, #r.stages, table.concat(list, ", ")) end
  if field == "optim.lr" and #list > 0 then return ("--%s: rates stand in the schedule of this recipe: %s"):format(word, table.concat(list, ", ")) end
end

-- What to say to a word that means nothing here, nil where nobody knows.
local function answer(word)
  local key = plain(word)
  local text = ANSWERS[key] or ANSWERS[SAME[key]]
  return text and ("unknown option '--%s': %s"):format(word, text)
end

words.answer = answer

-- A word of the command line and its value -> the field that it means and its text. known: the recipe's fields by name; image_size: the
-- network has a size of its own. What is known, and what nobody knows, comes back as it is.
local function meant(r, known, word, text, image_size)
  if known[word] then return word, text end
  local key = plain(word)
  if known[key] then return key, text end
  local flag = FLAGS[key]
  if flag and text == true then return flag[1], flag[2] end
  if flag and not FIELDS[key] then -- some are both, as --gradient-checkpointing
    local value = schema.types.boolean[2](tostring(text))
    if value == true then return flag[1], flag[2] end
    schema.usage(("--%s %s: %s"):format(word, text, flag[1] == "device" and "--device names a device, by a number of `tlua devices` or by cpu or gpu" or
      ("--%s %s is what it means; it takes no value"):format(flag[1], flag[2])))
  end
  local field = FIELDS[key]
  if field == "data.size" and image_size and not known.image_size then
    schema.usage(("--%s: the network has a size of its own: --model.image_size, and the pictures theirs: --data.size"):format(word))
  end
  local why = field and several(r, field, word) or answer(word)
  if why then schema.usage(why) end
  if field and known[field] then return field, text end
  if field then schema.usage(("unknown option '--%s': --%s is what it would mean, and this recipe has no such field"):format(word, field)) end
  return word, text
end

-- All words that are understood, for the near miss of one that is not.
function words.all(names)
  local list = { table.unpack(names) }
  for _, known in ipairs { FIELDS, FLAGS } do
    for _, word in ipairs(util.keys(known)) do
      if #word > 3 then list[#list + 1] = word end
    end
  end
  return list
end

-- What to say to a word of one dash, as -b.
function words.hint(word)
  local key = plain(word:match "^%-*([^=]*)")
  local field = FIELDS[key]
  return field and ("options are --NAME VALUE; did you mean '--%s'?"):format(field) or "options are --NAME VALUE"
end

local function fields_of(r)
  local known = {}
  r:each_field(function(path) known[path] = true end)
  return known
end

-- list: { {"epochs", "5"}, ... } -> the same, with the names of whole constructors (model, optim, ...), which decide what fields there are.
function words.constructors(r, list, constructors)
  local known, out = fields_of(r), {}
  for i, each in ipairs(list) do
    local field = not known[each[1]] and FIELDS[plain(each[1])]
    out[i] = { field and constructors[field] and field or each[1], each[2] }
  end
  return out
end

-- The same with the names of all fields that the recipe has now.
function words.of_recipe(r, list)
  local known, out, entry = fields_of(r), {}, rawget(r.model, "entry")
  local image_size = entry and entry.options and entry.options.image_size ~= nil
  for i, each in ipairs(list) do out[i] = { meant(r, known, each[1], each[2], image_size) } end
  return out
end

-- ---- of the other commands ----

local OPTIONS = table_of { top = "topk top_k k", batch = "batch_size bs b", threads = "workers num_workers j jobs num_threads", to = "output out o output_dir out_dir save_path",
  ["data.root"] = "data_dir root data_path", data = "dataset kind", layer = "target_layer", class = "target class_name target_class", device = "gpu cpu cuda",
  weights = "pretrained checkpoint ckpt", flip = "tta hflip", quiet = "q silent", json = "as_json", csv = "as_csv" }

-- The option of a command that a word means; an error where it means none. names: those there are.
function words.of_command(command, word, names)
  local has = {}
  for _, name in ipairs(names) do has[name] = true end
  local key = plain(word)
  if has[key] then return key end
  local name = OPTIONS[key]
  if name and has[name] and name ~= "device" then return name end
  if name == "device" and has.device then schema.usage(("%s: unknown option '--%s': --device %s"):format(command, word, key == "cpu" and "cpu" or "gpu, or a number of `tlua devices`")) end
  local listed = {}
  for i, each in ipairs(names) do listed[i] = "--" .. each end
  schema.usage(("%s: %s"):format(command, util.unknown_text("option", "--" .. word, listed)))
end

-- What to say to -top, and to -k.
function words.single_dash(word, names)
  local name = word:sub(2):match "^[^=]+"
  for _, each in ipairs(names) do
    if each == name then return ("unknown option '%s'; did you mean '--%s'?"):format(word, name) end
  end
  local near = core.near_miss("-" .. word, (function()
    local list = {}
    for i, each in ipairs(names) do list[i] = "--" .. each end
    return list
  end)())
  return ("unknown option '%s'; %s"):format(word, near and ("did you mean '%s'?"):format(near) or "options begin with two dashes")
end

return words
