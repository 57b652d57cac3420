-- sequence.lua - what networks of sound share: waves (N, T) or frames (N, F, C) of any length, each sequence of a batch
-- ending after `lengths`[n] of them, and a row for each frame that is left, or one for each sequence.
local core = require "tlua.core"
local util = require "tlua.util"
local module = require "tlua.nn.module"
local Network = require "tlua.models.network"
local ops = core.ops
local sequence = {}

-- ---- lengths, all by operators, so that a plan works them out for any batch ----

local function whole(n) return ops.range { start = n, count = 1 } end

-- What a convolution leaves of lengths (N) int32: floor((L + 2 padding - kernel) / stride) + 1, none where it does not
-- fit.
function sequence.after(lengths, kernel, stride, padding)
  local scope <close> = core.scope()
  local room = ops.maximum(ops.add(lengths, whole(2 * padding - kernel + stride)), whole(0))
  local n = stride == 1 and room or ops.div(room, whole(stride))
  return scope:keep(n)
end

-- The same of one number.
function sequence.count_after(n, kernel, stride, padding)
  return math.max(0, (n + 2 * padding - kernel + stride) // stride)
end

-- (N, T, 1): 1 where x (N, T, C) counts, 0 behind `lengths`. Steps are counted by a sum along x itself: so nothing in
-- the calls depends on T.
function sequence.mask(x, lengths)
  local scope <close> = core.scope()
  local guard <close> = core.no_grad()
  local first = ops.isnan(ops.slice(x, 3, 0, 1))
  local at = ops.cumsum(ops.cast(first * 0 + 1, { dtype = "int32" }), { axis = 2 })
  local inside = ops.le(at, lengths:reshape { -1, 1, 1 })
  return scope:keep(ops.cast(inside, { dtype = "float32" }))
end

-- x with zeros behind `lengths`, so that a convolution sees there what it sees at the end of a sequence that stands
-- alone.
function sequence.masked(x, lengths)
  if not lengths then return x end
  return x * sequence.mask(x, lengths)
end

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

-- How many frames come out for so many samples.
function Sequence:frame_count(_) util.failf("%s gives no frames", self:label()) end

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
