#!/usr/bin/env python3
"""The Conformer-CTC of `hama` in PyTorch, with its front end: what recipes/speech_new_language.lua is measured beside.
Names and layouts are those of the safetensors file that a converter under tools/ writes of the public wheel."""

import librosa
import numpy as np
import soundfile
import soxr
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

RATE = 16000
WINDOW, HOP, BANDS = 400, 160, 80


def filters(low=40.0, high=7600.0):
    """Triangles whose corners are moved down to whole bins, one apart at least; Slaney's mels, all of one area."""
    hertz = librosa.mel_to_hz(np.linspace(librosa.hz_to_mel(low), librosa.hz_to_mel(high), BANDS + 2))
    out = np.zeros((WINDOW // 2 + 1, BANDS), np.float32)
    for band, (left, middle, right) in enumerate(zip(hertz, hertz[1:], hertz[2:])):
        a, b, c = (int((WINDOW + 1) * f / RATE) for f in (left, middle, right))
        b = max(a + 1, b)
        c = max(b + 1, c)
        out[a:b, band] = (np.arange(a, b) - a) / (b - a)
        out[b:c, band] = (c - np.arange(b, c)) / (c - b)
        out[:, band] *= 2 / (right - left)
    return torch.from_numpy(out)


class FrontEnd(nn.Module):
    """|STFT|^2 x mel filters, then log(max(x, 1e-10))."""

    def __init__(self):
        super().__init__()
        self.register_buffer("window", torch.hann_window(WINDOW))
        self.register_buffer("filters", filters())

    def forward(self, wave):
        """(T) samples -> (frames, bands)."""
        spectrum = torch.stft(
            wave, WINDOW, HOP, WINDOW, self.window, center=True, pad_mode="reflect", return_complex=True
        )
        power = spectrum.abs().square().transpose(-1, -2)
        return (power @ self.filters).clamp_min(1e-10).log()


class FeedForward(nn.Module):
    def __init__(self, width, inner, dropout):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, width)
        self.dropout = dropout

    def forward(self, x):
        return F.dropout(self.fc2(F.silu(self.fc1(self.norm(x)))), self.dropout, self.training)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.in_proj, self.out_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.heads = heads

    def forward(self, x, mask):
        n, t, c = x.shape
        q, k, v = self.in_proj(x).view(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out_proj(x.transpose(1, 2).reshape(n, t, c))


class Convolution(nn.Module):
    """Gated pointwise, depthwise over time (its batch norm is folded into it in the file), pointwise."""

    def __init__(self, width, kernel):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.pointwise1 = nn.Conv1d(width, 2 * width, 1)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.pointwise2 = nn.Conv1d(width, width, 1)

    def forward(self, x, keep):
        x = F.linear(self.norm(x), self.pointwise1.weight[:, :, 0], self.pointwise1.bias)
        x = F.glu(x, -1) * keep
        x = F.silu(self.depthwise(x.transpose(1, 2))).transpose(1, 2)
        return F.linear(x, self.pointwise2.weight[:, :, 0], self.pointwise2.bias)


class Block(nn.Module):
    def __init__(self, width, inner, heads, kernel, dropout):
        super().__init__()
        self.ffn1, self.ffn2 = FeedForward(width, inner, dropout), FeedForward(width, inner, dropout)
        self.attn_norm, self.attn = nn.LayerNorm(width), Attention(width, heads)
        self.conv = Convolution(width, kernel)
        self.norm = nn.LayerNorm(width)
        self.dropout = dropout

    def forward(self, x, keep, mask):
        x = x + 0.5 * self.ffn1(x)
        x = x + F.dropout(self.attn(self.attn_norm(x), mask), self.dropout, self.training)
        x = x + F.dropout(self.conv(x, keep), self.dropout, self.training)
        x = x + 0.5 * self.ffn2(x)
        return self.norm(x)


class Conformer(nn.Module):
    """(N, frames, 80) and lengths in frames -> logits (N, steps, classes), lengths in steps: 20 ms a step."""

    def __init__(self, classes, width=144, inner=576, heads=4, blocks=4, kernel=31, dropout=0.1):
        super().__init__()
        self.stem = nn.Conv1d(BANDS, width, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(Block(width, inner, heads, kernel, dropout) for _ in range(blocks))
        self.proj = nn.Conv1d(width, classes, 1)

    def encode(self, x, lengths, start=0, stop=None):
        """Through the blocks start + 1 to stop; from the stem on where start is 0."""
        if start == 0:
            x = F.gelu(self.stem(x.transpose(1, 2))).transpose(1, 2)
            lengths = (lengths + 1) // 2
        inside = torch.arange(x.shape[1])[None] < lengths[:, None]
        keep, mask = inside[:, :, None].to(x.dtype), inside[:, None, None, :]
        for block in self.blocks[start:stop]:
            x = block(x, keep, mask)
        return x, lengths

    def head(self, x):
        return F.linear(x, self.proj.weight[:, :, 0], self.proj.bias)

    def forward(self, x, lengths):
        x, lengths = self.encode(x, lengths)
        return self.head(x), lengths


def read_wave(path, speed=1.0):
    """Mono float32 at RATE; `speed` 1.1 plays it faster (and higher), as a resampler alone does."""
    wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
    wave = wave.mean(axis=1)
    if rate * speed != RATE:
        wave = soxr.resample(wave, rate * speed, RATE)
    return torch.from_numpy(np.ascontiguousarray(wave, dtype=np.float32))


def read_weights(path):
    """In float32; attention's names as torch.nn.MultiheadAttention has them are taken too."""
    return {name.replace("in_proj_", "in_proj."): value.float() for name, value in load_file(path).items()}


def load_encoder(model, weights):
    """All but the head, whose classes are others."""
    own = model.state_dict()
    kept = {name: value for name, value in weights.items() if name in own and not name.startswith("proj.")}
    missing, unexpected = model.load_state_dict(kept, strict=False)
    if unexpected or any(not name.startswith("proj.") for name in missing):
        raise SystemExit(f"the weights do not fit: missing {missing}, unexpected {unexpected}")
