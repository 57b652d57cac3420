#!/usr/bin/env python3
"""Spoken digits, speakers and drums in PyTorch: what recipes/{digits,speakers,sounds}.lua are measured beside.

  speech_classes.py digits FOLDER [--embedding DIR] [--conformer WEIGHTS]
  speech_classes.py speakers FOLDER --voice PRETRAINED.pt
  speech_classes.py sounds FOLDER [--embedding DIR] [--conformer WEIGHTS]

digits and speakers: fsdd's LABEL_SPEAKER_NUMBER.wav, two speakers held out.  sounds: hydrogen-drumkits' KIT/file, kits
held out.  DIR holds openwakeword's melspectrogram.onnx and embedding_model.onnx, PRETRAINED.pt is resemblyzer's."""

import argparse
import collections
import glob
import os
import re

import numpy as np
import soundfile
import soxr
import torch
import torch.nn.functional as F
import torchaudio
from torch import nn

from speech_network import RATE, Conformer, FrontEnd, load_encoder, read_weights

HELD_OUT = ("theo", "yweweler")
TEST_KITS = ("The Black Pearl 1.0", "ColomboAcousticDrumkit", "VariBreaks")
DRUMS = (
    ("hihat", r"hi-?hat|hat|^hh|chh|ohh|^ho_"),
    ("kick", r"^bd|_bd_|kick|bassdrum|_k_0"),
    ("cymbal", r"crash|ride|^rd|^cc_|^rc_|^cra_|china|splash"),
    ("snare", r"snare|^sn\d*_|^sd_|^sr_|_sn_"),
    ("tom", r"tom|^tm|^ft_|^t[12]_"),
)


def read(path, seconds=None):
    wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
    wave = soxr.resample(wave.mean(axis=1), rate, RATE).astype(np.float32)
    return wave[: int(seconds * RATE)] if seconds else wave


def drum(name):
    name = re.sub(r"^\d+__[^_]+__|^(vp|ee)[ _]", "", name.lower())
    return next(
        (kind for kind, pattern in DRUMS if re.search(pattern, name) and not re.search("stick|rim|click", name)), None
    )


def digits(folder, numbers):
    paths = [p for p in sorted(glob.glob(os.path.join(folder, "*.wav"))) if int(p[:-4].split("_")[-1]) < numbers]
    return [
        {"path": p, "label": os.path.basename(p).split("_")[0], "group": os.path.basename(p).split("_")[1]}
        for p in paths
    ]


def sounds(folder):
    out = []
    for path in sorted(glob.glob(os.path.join(folder, "*", "*"))):
        kit, name = path.split(os.sep)[-2:]
        if re.search(r"\.(wav|flac|aiff)$", name) and drum(name):
            out.append({"path": path, "label": drum(name), "group": kit})
    return out


class Network(nn.Module):
    """Log-mel frames -> classes: three 1-D convolutions, the mean and the maximum over time."""

    def __init__(self, classes, width=96):
        super().__init__()
        layers = []
        for a, b in ((64, width), (width, width), (width, width)):
            layers += [nn.Conv1d(a, b, 5, padding=2), nn.BatchNorm1d(b), nn.ReLU(), nn.MaxPool1d(2)]
        self.layers = nn.Sequential(*layers[:-1])
        self.head = nn.Linear(2 * width, classes)

    def forward(self, x):
        x = self.layers(x)
        return self.head(F.dropout(torch.cat([x.mean(-1), x.amax(-1)], 1), 0.3, self.training))


class Recurrent(nn.Module):
    """Log-mel frames -> classes: two 2-D convolutions, an LSTM both ways, the mean over time."""

    def __init__(self, classes, width=32, hidden=64):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d((4, 2)),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d((4, 2)),
        )
        self.lstm = nn.LSTM(4 * width, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, classes)

    def forward(self, x):
        x = self.layers(x[:, None])
        x = self.lstm(x.permute(0, 3, 1, 2).flatten(2))[0].mean(1)
        return self.head(F.dropout(x, 0.3, self.training))


def log_mel(clips, frames):
    """(N, 64, frames): normalised by clip, padded with its smallest value or cut."""
    mel = torchaudio.transforms.MelSpectrogram(RATE, 400, hop_length=160, n_mels=64)
    out = torch.empty(len(clips), 64, frames)
    for k, clip in enumerate(clips):
        x = (mel(torch.from_numpy(clip["wave"])) + 1e-6).log()
        x = (x - x.mean()) / x.std()
        out[k] = F.pad(x, (0, max(0, frames - x.shape[1])), value=x.min().item())[:, :frames]
    return out


def mask(x, generator):
    """SpecAugment on a whole batch, and a shift in time."""
    n, bands, frames = x.shape
    shift = torch.randint(-4, 5, (1,), generator=generator).item()
    x = torch.roll(x, shift, 2)
    for size, axis in ((bands, 1), (frames, 2)):
        width = torch.randint(0, size // 6 + 1, (n, 1), generator=generator)
        start = (torch.rand(n, 1, generator=generator) * (size - width)).long()
        at = torch.arange(size)[None]
        hide = (at >= start) & (at < start + width)
        x = x.masked_fill(hide.unsqueeze(3 - axis), 0.0)
    return x


def train(make, x, y, xt, yt, epochs, seed, rate=2e-3, batch=32, augment=True):
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = make()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    steps = epochs * -(-len(x) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps)
    for _ in range(epochs):
        model.train()
        for rows in torch.randperm(len(x), generator=generator).split(batch):
            loss = F.cross_entropy(
                model(mask(x[rows], generator) if augment else x[rows]), y[rows], label_smoothing=0.1
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.no_grad():
        return (model(xt).argmax(1) == yt).float()


def report(name, right, groups):
    """Accuracy: the mean of the seeds, the interval by bootstrap of the clips, and each held out group's own."""
    each = [r.mean().item() for r in right]
    mean = torch.stack(right).mean(0).numpy()
    picks = np.random.default_rng(0).integers(0, len(mean), (2000, len(mean)))
    low, high = np.quantile(mean[picks].mean(1), [0.025, 0.975])
    by = {g: round(float(mean[[i for i, h in enumerate(groups) if h == g]].mean()), 3) for g in sorted(set(groups))}
    print(
        f"{name}: {np.mean(each):.4f} (seeds {' '.join(f'{e:.4f}' for e in each)};"
        f" by clip {low:.4f} to {high:.4f}) {by}",
        flush=True,
    )


def speech_embedding(clips, folder):
    """openwakeword's embeddings of windows of 76 frames, 8 apart, of 1.28 s with the clip in the middle: (N, 96 x windows)."""
    import onnxruntime

    mel = onnxruntime.InferenceSession(os.path.join(folder, "melspectrogram.onnx"))
    embed = onnxruntime.InferenceSession(os.path.join(folder, "embedding_model.onnx"))
    size, rows = 20480, []
    for clip in clips:
        wave = clip["wave"][:size]
        spare = size - len(wave)
        wave = np.pad(wave, (spare // 2, spare - spare // 2))[None] * 32767
        spectrum = mel.run(None, {"input": wave.astype(np.float32)})[0].reshape(-1, 32) / 10 + 2
        windows = np.stack([spectrum[k : k + 76] for k in range(0, len(spectrum) - 75, 8)])[..., None]
        rows.append(embed.run(None, {"input_1": windows.astype(np.float32)})[0].reshape(-1))
    return torch.from_numpy(np.stack(rows))


@torch.no_grad()
def conformer_embedding(clips, path):
    """Mean and deviation over time of the encoder's last block: (N, 288)."""
    weights = read_weights(path)
    model = Conformer(2).eval()
    load_encoder(model, weights)
    front, rows = FrontEnd(), []
    for clip in clips:
        x = front(torch.from_numpy(clip["wave"]))[None]
        x = model.encode(x, torch.tensor([x.shape[1]]))[0][0]
        rows.append(torch.cat([x.mean(0), x.std(0)]))
    return torch.stack(rows)


def linear(x, xt):
    mean, deviation = x.mean(0), x.std(0) + 1e-5
    return (x - mean) / deviation, (xt - mean) / deviation


def classify(clips, held, args, frames, epochs):
    labels = sorted({c["label"] for c in clips})
    rows = {False: [], True: []}
    for clip in clips:
        rows[clip["group"] in held].append(clip)
    y, yt = (torch.tensor([labels.index(c["label"]) for c in rows[part]]) for part in (False, True))
    groups = [c["group"] for c in rows[True]]
    print(
        f"{len(y)} to train on, {len(yt)} to test; {dict(collections.Counter(c['label'] for c in rows[True]))}",
        flush=True,
    )
    ways = {"embedding": speech_embedding, "conformer": conformer_embedding}
    for name, embed in ways.items():
        if getattr(args, name):
            x, xt = linear(embed(rows[False], getattr(args, name)), embed(rows[True], getattr(args, name)))
            report(
                f"frozen {name}, linear",
                [
                    train(lambda: nn.Linear(x.shape[1], len(labels)), x, y, xt, yt, 30, s, 5e-3, augment=False)
                    for s in args.seeds
                ],
                groups,
            )
    x, xt = log_mel(rows[False], frames), log_mel(rows[True], frames)
    for name, make in (("1-D convolutions", Network), ("CRNN", Recurrent)):
        report(
            f"from scratch, {name}",
            [train(lambda: make(len(labels)), x, y, xt, yt, epochs, s) for s in args.seeds],
            groups,
        )


class Voice(nn.Module):
    def __init__(self, path):
        super().__init__()
        self.lstm, self.linear = nn.LSTM(40, 256, 3, batch_first=True), nn.Linear(256, 256)
        self.load_state_dict(
            {k: v for k, v in torch.load(path, map_location="cpu")["model_state"].items() if k in self.state_dict()}
        )

    def forward(self, x):
        hidden = self.lstm(x)[1][0][-1]
        return F.normalize(F.relu(self.linear(hidden)), dim=1)


@torch.no_grad()
def voices(clips, path, how):
    """`how`: the clip as it is, followed by silence up to 1.6 s, or repeated up to there; all as loud as -30 dBFS."""
    model = Voice(path).eval()
    mel = torchaudio.transforms.MelSpectrogram(
        RATE, 400, hop_length=160, n_mels=40, norm="slaney", mel_scale="slaney", pad_mode="constant"
    )
    rows = []
    for clip in clips:
        wave = clip["wave"]
        wave = wave * 10 ** (-30 / 20) / max(1e-6, float(np.sqrt(np.mean(wave**2))))
        if how == "padded":
            wave = np.pad(wave, (0, max(0, 25600 - len(wave))))
        elif how == "repeated":
            wave = np.tile(wave, -(-25600 // len(wave)))[:25600]
        rows.append(model(mel(torch.from_numpy(wave.astype(np.float32))).T[None])[0])
    return torch.stack(rows)


def equal_error_rate(scores, same):
    order = np.argsort(-scores)
    same = same[order]
    accepted = np.cumsum(~same) / (~same).sum()
    refused = 1 - np.cumsum(same) / same.sum()
    k = np.argmin(np.abs(accepted - refused))
    return (accepted[k] + refused[k]) / 2


def speakers(clips, args):
    names = sorted({c["group"] for c in clips})
    who = np.array([names.index(c["group"]) for c in clips])
    for how in ("as it is", "padded", "repeated"):
        x = voices(clips, args.voice, how)
        for count in (1, 3, 10):
            for centred in (False, True):
                rows = [verify(x, who, count, seed, centred) for seed in args.seeds]
                accuracy, errors = zip(*rows)
                print(
                    f"voice {how}{', centred' if centred else ''}, {count} clips a speaker: accuracy "
                    f"{np.mean(accuracy):.4f} "
                    f"({' '.join(f'{a:.4f}' for a in accuracy)}), equal error rate {np.mean(errors):.4f} "
                    f"({' '.join(f'{e:.4f}' for e in errors)})",
                    flush=True,
                )


def verify(x, who, count, seed, centred):
    """`count` clips of each speaker, drawn by the seed, are enrolled; all others are scored against every speaker.
    `centred`: the mean of the enrolled is taken from all first, so that what all recordings share does not count."""
    generator, speakers_count = np.random.default_rng(seed), who.max() + 1
    enrolled = [generator.choice(np.flatnonzero(who == k), count, replace=False) for k in range(speakers_count)]
    if centred:
        x = F.normalize(x - torch.stack([x[rows].mean(0) for rows in enrolled]).mean(0), dim=1)
    centres = F.normalize(torch.stack([x[rows].mean(0) for rows in enrolled]), dim=1)
    rest = np.setdiff1d(np.arange(len(who)), np.concatenate(enrolled))
    scores = (x[rest] @ centres.T).numpy()
    same = who[rest][:, None] == np.arange(speakers_count)
    return (scores.argmax(1) == who[rest]).mean(), equal_error_rate(scores.ravel(), same.ravel())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("digits", "speakers", "sounds"))
    parser.add_argument("folder")
    parser.add_argument("--embedding")
    parser.add_argument("--conformer")
    parser.add_argument("--voice")
    parser.add_argument(
        "--numbers", type=int, default=50, help="of fsdd: the first so many recordings of each digit by each speaker"
    )
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    clips = sounds(args.folder) if args.task == "sounds" else digits(args.folder, args.numbers)
    for clip in clips:
        clip["wave"] = read(clip["path"], 2.0)
    if args.task == "digits":
        classify(clips, HELD_OUT, args, 100, args.epochs or 8)
    elif args.task == "sounds":
        classify(clips, TEST_KITS, args, 128, args.epochs or 30)
    else:
        speakers(clips, args)


if __name__ == "__main__":
    main()
