#!/usr/bin/env python3
"""The CTC loss beside PyTorch's: forward, and forward with gradient, in turns; medians in milliseconds.

    python bench/ctc.py [ROUNDS]"""
import statistics
import subprocess
import sys
import tempfile
import time

import torch
import torch.nn.functional as F

SIZES = [(16, 400, 40, 60), (16, 1500, 40, 200)]
OURS = """
local core = require "tlua.core"
local n, t, k, l = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3]), tonumber(arg[4])
local x, y = core.randn(n, t, k):requires_grad(true), {}
for i = 1, n do
  y[i] = {}
  for j = 1, l do y[i][j] = 1 + (i * j * 7 + j * j) % (k - 1) end
end
y = core.tensor(y, { dtype = "int32" })
local function once(back)
  local scope <close> = core.scope()
  local loss = core.ops.ctc_loss(x, y)
  if back then
    loss:backward()
    x:zero_grad()
  end
  loss:item()
  core.sync()
end
for _, back in ipairs { false, true } do
  local list = {}
  for i = 1, 8 do
    local begin = core.time()
    once(back)
    list[i] = core.time() - begin
  end
  table.sort(list)
  print(1e3 * list[4])
end
"""


def median_of(f):
    times = []
    for _ in range(8):
        begin = time.perf_counter()
        f()
        times.append(1e3 * (time.perf_counter() - begin))
    return sorted(times)[3]


def theirs(n, t, k, l):
    x = torch.randn(n, t, k, requires_grad=True)
    y = torch.tensor([[1 + (i * j * 7 + j * j) % (k - 1) for j in range(1, l + 1)] for i in range(1, n + 1)])
    frames, labels = torch.full((n,), t), torch.full((n,), l)

    def loss():
        return F.ctc_loss(F.log_softmax(x, -1).transpose(0, 1), y, frames, labels)

    def forward():
        with torch.no_grad():
            loss()

    return median_of(forward), median_of(lambda: loss().backward())


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as f:
        f.write(OURS)
        f.flush()
        for size in SIZES:
            all_of = {"tlua": [], "PyTorch": []}
            for _ in range(rounds):
                text = subprocess.check_output(["./tlua", f.name, *map(str, size)], text=True)
                all_of["tlua"].append([float(v) for v in text.split()])
                all_of["PyTorch"].append(theirs(*size))
            for who, list in all_of.items():
                forward, both = (statistics.median(v[i] for v in list) for i in range(2))
                print("N %d, T %d, K %d, L %d: %-8s forward %7.1f ms, with gradient %7.1f ms" % (*size, who, forward, both))


if __name__ == "__main__":
    main()
