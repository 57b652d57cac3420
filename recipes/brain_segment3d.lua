-- brain_segment3d.lua - cerebrum, deep grey matter and cerebellum of a brain, voxel by voxel: brainchop's MeshNet,
-- which knows white and grey matter of T1 heads, learns another labelling, structures of the atlas AAL put together.
--
--   apt-get install mricron-data
--   pip download --no-deps nilearn==0.14.1
--   python3 tools/wheel_files.py nilearn-0.14.1-py3-none-any.whl data/brain3d
--   tlua tools/brain_atlas.lua data/brain3d                    lays out both brains and the atlas on their grids
--   tlua recipes/brain_segment3d.lua
--
-- The weights: github.com/neuroneural/brainchop-models, meshnet/model5_gw_ae (MIT; SHA-256 8b83b35b9713...), which are
-- downloaded; 5,600 parameters. Training is on one person's brain (a mean of 27 scans), the test on the MNI152
-- template, a mean of 152: two templates and not patients, with one atlas that was drawn on the first. Figures say that
-- a labelling is carried from one to the other, and nothing of other people or of illness.
local tlua = require "tlua"
local nn, data, optim, task = tlua.nn, tlua.data, tlua.optim, tlua.task

-- A patch holds a whole brain at 2 mm: where a voxel lies is told by the edges, which dilated kernels reach.

-- The atlas numbers its regions; those from 1 on and from 79 on are of the cerebrum, 71 to 78 lie deep in it.
local function numbers(first, last, more)
  for v = first, last do more[#more + 1] = v end
  return more
end

return tlua.recipe {
  model    = tlua.models.meshnet { weights = "model5_gw_ae" },
  data     = data.nifti { root = "data/brain3d", spacing = 2, patch = 112, patches = 16, batch = 1, foreground = 0.5,
    overlap = 0.25, classes = { "background", "cerebrum", "deep grey", "cerebellum" },
    values = { 0, numbers(79, 90, numbers(1, 70, {})), numbers(71, 78, {}), numbers(91, 116, {}) } },
  task     = task.segment {},
  loss     = nn.CrossEntropy {} + nn.Dice { background = false },
  optim    = optim.Adam { lr = 1e-2 },
  schedule = { { epochs = 2, freeze = "*" }, { epochs = 16, lr = 5e-3, warmup = 1, rate = "cosine" } },
  test_every = 0,
}
