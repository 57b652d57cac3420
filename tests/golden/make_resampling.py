"""Sound at other rates, by soxr's own Python module: tests/golden/resampling.safetensors.

    python tests/golden/make_resampling.py        (needs soxr, which tests/golden/requirements.txt pins)"""
import pathlib

import numpy as np
import soxr
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
tensors = {}
for rate, others in ((8000, (16000,)), (44100, (16000, 48000)), (16000, (8000, 11025))):
    noise = np.random.default_rng(rate).standard_normal(600).astype(np.float32) * 0.2
    tensors[str(rate)] = noise
    for to in others:
        tensors["%d to %d" % (rate, to)] = soxr.resample(noise, rate, to, "HQ").astype(np.float32)
save_file(tensors, HERE / "resampling.safetensors")
