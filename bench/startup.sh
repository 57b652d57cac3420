#!/bin/sh
# How long it takes to begin: `tlua -e ''`, and the first training step of a process (ResNet-50, batch 16, 224 pixels, the head
# alone and everything) with kernels from the caches and with empty caches (the driver's own too). Seconds.
#   sh bench/startup.sh [RUNS]
set -e
cd "$(dirname "$0")/.."
runs=${1:-20}
cat >/tmp/tlua-startup-$$.lua <<'LUA'
local begin = require("tlua.core").time()
local tlua, core = require "tlua", require "tlua.core"
local head = arg[1] == "head"
local net = tlua.models.resnet50 { classes = 10 }
if head then net:freeze { "*", "!fc.*" } end
net:train()
net:ready()
local params = net:trained()
local opt = tlua.optim.Adam(params, { lr = 1e-3 })
local x, list = core.randn(16, 224, 224, 3), {}
for i = 1, 16 do list[i] = i % 10 end
local y = core.tensor(list, { dtype = "int32" })
core.sync()
local built, times = core.time() - begin, {}
for i = 1, 4 do
  local s <close> = core.scope()
  local t = core.time()
  opt:zero_grad()
  local loss = tlua.nn.functional.cross_entropy(net(x), y)
  loss:backward()
  opt:step()
  loss:item()
  times[i] = core.time() - t
end
print(("%-8s  network made %.2f  first step %.2f  later steps %.2f"):format(arg[1], built, times[1], math.min(times[2], times[3], times[4])))
LUA
trap 'rm -rf /tmp/tlua-startup-$$ /tmp/tlua-startup-$$.lua' EXIT
start=$(date +%s%N)
i=0
while [ $i -lt "$runs" ]; do ./tlua -e ''; i=$((i + 1)); done
echo "tlua -e ''  $(( ($(date +%s%N) - start) / runs / 1000 )) microseconds (mean of $runs)"
for what in head all; do
    mkdir -p /tmp/tlua-startup-$$/tlua /tmp/tlua-startup-$$/pocl
    printf 'empty caches   '
    TLUA_CACHE=/tmp/tlua-startup-$$/tlua POCL_CACHE_DIR=/tmp/tlua-startup-$$/pocl ./tlua /tmp/tlua-startup-$$.lua $what
    printf 'second run     '
    TLUA_CACHE=/tmp/tlua-startup-$$/tlua POCL_CACHE_DIR=/tmp/tlua-startup-$$/pocl ./tlua /tmp/tlua-startup-$$.lua $what
    rm -rf /tmp/tlua-startup-$$
done
