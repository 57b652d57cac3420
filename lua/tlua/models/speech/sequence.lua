-- sequence.lua - what networks of sound share: waves (N, T) or frames (N, F, C) of any length, each sequence of a batch
-- ending after `lengths`[n] of them, and a row for each frame that is left, or one for each sequence.
local core = require "tlua.core"
local util = require "tlua.util"
local lengths = require "tlua.nn.sound.lengths"
local module = require "tlua.nn.module"
local frontend = require "tlua.models.speech.frontend"
local Network = require "tlua.models.network"
local sequence = {}

-- What a convolution with as much padding at both ends leaves of lengths (N) int32, and of one number.
function sequence.after(list, kernel, stride, padding) return lengths.after(list, kernel, stride, 2 * padding) end
function sequence.count_after(n, kernel, stride, padding) return lengths.count_after(n, kernel, stride, 2 * padding) end
sequence.mask, sequence.masked = lengths.mask, lengths.masked

-- ---- the network ----

-- A subclass has what a Network has, and: gives ("frames" (N, F, K), or "vector" (N, K)), rate (of the waves, in Hz),
-- frame_count(samples), open_sizes (plan.run) where its calls do not depend on the length. Its stages are run(self, x,
-- lengths) -> x, lengths; lengths may be nil: all are full.
local Sequence = module.class("models.Sequence", Network)
sequence.Sequence = Sequence
Sequence.gives, Sequence.takes, Sequence.rate = "frames", "wave", 16000
Sequence.first_name = ""
Sequence.open_sizes = { T = 16000 }

-- wave (N, T), or frames (N, F, C) as the front end would make them -> frames (N, F', K), out_lengths; or (N, K).
-- lengths (N) int32: how many samples (or frames) of each count, nil where all do; out_lengths are nil then too.
function Sequence:forward(x, lengths)
  local y, left = self:features(x, lengths)
  y = self:classify(y)
  if self.gives == "vector" then return y end
  return y, left
end

-- Masks of a recipe's `augment`, for networks with a front end of their own (frontend.lua).
function Sequence:set_masks(masks)
  if not self.frontend then util.failf("%s has no front end whose frames could be masked", self:label()) end
  frontend.set_masks(self, masks)
end

-- How many frames come out for so many samples.
function Sequence:frame_count(_)
  util.failf("%s gives a row a clip and no frames, which a text wants: conformer, wav2vec2_base and crnn give them",
    self:label())
end

-- What a model file says of what goes in and comes out, and of what is open.
function Sequence:plan_inputs() return { { "N", "T", name = "input" }, { "N", name = "lengths", dtype = "int32" } } end
Sequence.output_names = { "output", "output_lengths" }

-- ---- weights from files ----

-- Loads as any network does, and keeps what the file says of its symbols (`tokens`, `blank`, in the metadata).
function Sequence:load_weights(spec, key)
  local report = Network.load_weights(self, spec, key)
  local said = report.metadata or {}
  local ok, tokens = pcall(core.json_decode, said.tokens or "")
  if ok and type(tokens) == "table" then
    rawset(self, "file_vocabulary", { tokens = tokens, blank = math.tointeger(tonumber(said.blank)),
      word_boundary = math.tointeger(tonumber(said.word_boundary)) })
  end
  return report
end

-- {tokens = texts, blank = number of one, word_boundary =} of the published weights; nil where no file says.
function Sequence:vocabulary()
  self:ready()
  return rawget(self, "file_vocabulary")
end

-- The weight of a convolution of one element is a matrix.
function Sequence:adapted(path, t, shape)
  local from = t:shape()
  if path ~= self.head_name .. ".weight" or #from ~= 3 or #shape ~= 2 then return nil end
  if from[1] ~= shape[1] or from[2] ~= shape[2] or from[3] ~= 1 then return nil end
  return t:reshape { from[1], from[2] }
end

function Sequence:preprocessing() return rawget(self, "file_preprocessing") or { rate = self.rate } end
function Sequence:picture_shape(samples) return { 1, samples } end
function Sequence:labels() return rawget(self, "file_labels") end

util.seal(Sequence, "", 1, { forward = true })
util.seal(sequence, "models.")
return sequence
