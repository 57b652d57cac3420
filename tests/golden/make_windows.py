"""MONAI's sliding windows, for lua/tlua/task/windows.lua. Writes windows.safetensors beside this file, whose metadata have the cases.

The network is one convolution of 3 in each direction with padding, so that what a patch says hangs on where it was cut, with inputs
and weights by formula (philox.py)."""
import json
import os
import sys

import numpy
import torch
from monai.inferers import sliding_window_inference
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import philox  # noqa: E402

SEED = 7
CASES = [  # size, channels, classes, patch, overlap, weights
    ([9, 11, 13], 1, 3, [4, 6, 5], 0.5, "gaussian"),
    ([9, 11, 13], 1, 3, [4, 6, 5], 0.5, "constant"),
    ([16, 7, 12], 2, 2, [8, 8, 4], 0.25, "gaussian"),  # smaller than a patch in one direction
    ([3, 5, 6], 1, 4, [8, 8, 8], 0.5, "gaussian"),  # in all
    ([24, 6, 6], 1, 2, [5, 6, 6], 0.7, "gaussian"),
    ([17, 21], 3, 4, [8, 10], 0.5, "gaussian"),  # a picture
]


def normal(shape, key):
    return torch.from_numpy(philox.normal(shape, 0, 1, key, SEED).copy())


out, cases = {}, []
for number, (size, channels, classes, patch, overlap, mode) in enumerate(CASES):
    x = normal([1, *size, channels], f"x {number}").movedim(-1, 1)
    weight = normal([classes, channels] + [3] * len(size), f"w {number}")
    conv = torch.nn.functional.conv3d if len(size) == 3 else torch.nn.functional.conv2d
    y = sliding_window_inference(x.double(), patch, 2, lambda v, f=conv, w=weight: f(v, w.double(), padding=1), overlap, mode=mode)
    out[f"{number}"] = y.movedim(1, -1).float().contiguous()
    cases.append({"size": size, "channels": channels, "classes": classes, "patch": patch, "overlap": overlap, "weights": mode})
save_file(out, os.path.join(HERE, "windows.safetensors"), metadata={"cases": json.dumps(cases)})
print(os.path.getsize(os.path.join(HERE, "windows.safetensors")))
