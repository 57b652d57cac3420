"""Goldens of nn/sound/spectra.lua and nn/sound/frames.lua: what torchaudio and librosa make of a small wave, and gradients. Where
float32 has rounding of its own that shows (logarithms of quiet bands), PyTorch works in float64.

    python tests/golden/make_audio.py        writes tests/golden/audio.safetensors"""
import math
import os

import librosa
import numpy as np
import torch
import torchaudio
from safetensors.torch import save_file
from torchaudio.compliance import kaldi
from torchaudio.functional import preemphasis

HERE = os.path.dirname(os.path.abspath(__file__))
torch.set_num_threads(1)
RATE = 16000


def wave():
    """A rising tone, two quiet ones, some noise, and a silent end."""
    t = torch.arange(3200, dtype=torch.float64) / RATE
    noise = torch.rand(3200, generator=torch.Generator().manual_seed(7), dtype=torch.float64) - 0.5
    x = 0.5 * torch.sin(2 * math.pi * (300 + 6000 * t) * t) + 0.05 * torch.sin(2 * math.pi * 5200 * t) + 0.1 * noise
    return torch.where(t < 0.17, x, torch.zeros(())).float()


def frames_first(y):
    return y.transpose(-1, -2).contiguous()


def whole_bins(x):
    """The front end of PyPI's package hama: corners of the triangles at whole bins, one apart at least."""
    step = math.log(6.4) / 27
    low, high = 40 * 3 / 200, 15 + math.log(7.6) / step
    mels = [low + (high - low) * i / 81 for i in range(82)]
    hz = [m * 200 / 3 if m < 15 else 1000 * math.exp(step * (m - 15)) for m in mels]
    bank = np.zeros((201, 80))
    for b in range(80):
        i, j, k = (int(f * 401 / RATE) for f in hz[b:b + 3])
        j = max(i + 1, j)
        k = max(j + 1, k)
        for at in range(i, k):
            bank[at, b] = ((at - i) / (j - i) if at < j else (k - at) / (k - j)) * 2 / (hz[b + 2] - hz[b])
    spectrum = torchaudio.functional.spectrogram(x, 0, torch.hann_window(400), 400, 160, 400, 2.0, False).T
    return torch.log(torch.clamp(spectrum @ torch.from_numpy(bank).float(), min=1e-10))


def main():
    x = wave()
    t = torchaudio.transforms
    row = x[None]
    short = x[:2000]
    out = {"wave": x}

    def put(name, y):
        out[name] = y.detach().float().squeeze(0).contiguous().clone()

    put("spectrogram", frames_first(t.Spectrogram(400, hop_length=100)(x))[::8])
    put("magnitude", frames_first(t.Spectrogram(512, 300, 128, power=1, window_fn=torch.hamming_window,
        center=False)(x))[::8])
    mel = {"htk": {}, "slaney": {"norm": "slaney", "mel_scale": "slaney", "f_min": 60.0, "f_max": 7600.0}}
    for name, o in mel.items():
        m = t.MelSpectrogram(RATE, 400, 400, 160, n_mels=40, **o)
        put("mel." + name, frames_first(m(x)))
        put("log." + name, torch.log(torch.clamp(frames_first(m(x)), min=1e-10)))
        put("short." + name, torch.log(torch.clamp(frames_first(m(short)), min=1e-10)))
    put("db", frames_first(t.AmplitudeToDB("power", 60)(t.MelSpectrogram(RATE, 400, 400, 160, n_mels=40)(row))))
    put("db.magnitude", frames_first(t.AmplitudeToDB("magnitude", 30)(t.MelSpectrogram(RATE, 512, 400, 160, n_mels=40,
        power=1.0)(row))))
    m = librosa.feature.melspectrogram(y=x.numpy(), sr=RATE, n_fft=400, hop_length=160, n_mels=40)
    put("librosa.db", torch.from_numpy(librosa.power_to_db(m, top_db=50).T.copy()))
    put("librosa.mfcc", torch.from_numpy(librosa.feature.mfcc(y=x.numpy(), sr=RATE, n_mfcc=13, n_fft=512,
        hop_length=160, n_mels=40).T.copy()))
    torch.set_default_dtype(torch.float64)  # of banks too
    arguments = {"n_fft": 400, "hop_length": 160, "n_mels": 40}
    put("mfcc", frames_first(t.MFCC(RATE, 13, melkwargs=arguments).double()(row.double())))
    put("mfcc.log", frames_first(t.MFCC(RATE, 13, log_mels=True, melkwargs=arguments).double()(row.double())))
    deltas = torchaudio.functional.compute_deltas(out["mfcc"].double().T[None])
    put("deltas", frames_first(deltas))
    put("deltas.2", frames_first(torchaudio.functional.compute_deltas(deltas)))
    for name, o in {"kaldi": {}, "kaldi.edges": {"snip_edges": False}, "kaldi.hamming": {"window_type": "hamming",
        "high_freq": -400.0, "low_freq": 40.0, "use_power": False}}.items():
        put(name, kaldi.fbank(row.double() * 32768, num_mel_bins=40, sample_frequency=RATE, dither=0.0, **o))
    torch.set_default_dtype(torch.float32)
    put("preemphasis", preemphasis(row.clone(), 0.97))
    out["bins"] = whole_bins(x)
    leaf = row.clone().requires_grad_(True)
    y = torch.log(torch.clamp(frames_first(t.MelSpectrogram(RATE, 400, 400, 160, n_mels=40, **mel["slaney"])(leaf)),
        min=1e-6))
    (y.reshape(-1) * torch.cos(torch.arange(y.numel()))).sum().backward()
    put("gradient", leaf.grad)
    torch.set_default_dtype(torch.float64)
    leaf = row.clone().requires_grad_(True)
    y = kaldi.fbank(leaf.double() * 32768, num_mel_bins=40, sample_frequency=RATE, dither=0.0)
    (y.reshape(-1) * torch.cos(torch.arange(y.numel()))).sum().backward()
    put("gradient.kaldi", leaf.grad)
    path = os.path.join(HERE, "audio.safetensors")
    save_file(out, path)
    print(path, len(out), "tensors", os.path.getsize(path), "bytes")


if __name__ == "__main__":
    main()
