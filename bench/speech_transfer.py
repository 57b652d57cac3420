#!/usr/bin/env python3
"""A pretrained Conformer learns a new language in PyTorch: what recipes/speech_new_language.lua is measured beside.

  speech_transfer.py WEIGHTS.safetensors FOLDER --way frozen|tuned|scratch [--seeds 0 1 2] [options]

FOLDER holds transcripts.tsv (file, seconds, split, text) and wav/.  Each run prints one line of JSON: the character
and word error rate on the clips marked `test`, greedy, no language model."""

import argparse
import csv
import json
import math
import os
import time
import unicodedata

import numpy as np
import torch
import torch.nn.functional as F
from rapidfuzz.distance import Levenshtein

from speech_network import HOP, RATE, Conformer, FrontEnd, load_encoder, read_wave, read_weights

BLANK = 0


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("weights")
    add("folder")
    add("--way", choices=("frozen", "tuned", "scratch"), default="tuned")
    add("--seeds", type=int, nargs="+", default=[0])
    add("--epochs", type=int, default=40)
    add("--rate", type=float, default=1e-3, help="learning rate of the head")
    add(
        "--decay",
        type=float,
        default=1.0,
        help="the last block has this many times the rate of the head, each below so of the one above",
    )
    add("--batch", type=float, default=16, help="seconds a batch, padding included")
    add("--warmup", type=float, default=0.1, help="share of the steps")
    add("--weight-decay", type=float, default=0.01)
    add("--dropout", type=float, default=0.1)
    add("--clip", type=float, default=5.0)
    add("--speeds", type=float, nargs="+", default=[0.9, 1.0, 1.1])
    add("--bands", type=int, nargs=2, default=[2, 15], help="SpecAugment: how many masks of bands, and the widest")
    add(
        "--times", type=float, nargs=2, default=[2, 0.1], help="SpecAugment: masks of time, and the widest as a share"
    )
    add(
        "--head-epochs",
        type=int,
        default=0,
        help="the head alone first, for so many epochs on features of no augmentation",
    )
    add("--head-rate", type=float, default=3e-3)
    add(
        "--head",
        choices=("random", "blank"),
        default="random",
        help="new rows; blank: the old row of the blank is kept",
    )
    add("--blank-bias", type=float, default=0.0)
    add("--minutes", type=float, help="train on the first so many minutes of the shuffled training clips")
    add(
        "--develop", action="store_true", help="test on a fifth of the training clips instead (to choose a recipe by)"
    )
    add("--every", type=int, default=0, help="also test after every so many epochs, on the way")
    add(
        "--freeze",
        type=int,
        default=0,
        help="the stem and so many blocks stay as they are, and are computed once; no masks of bands then",
    )
    add("--longest", type=float, help="seconds; longer training clips are left out")
    add("--threads", type=int, default=1)
    add("--state", help="a file for each seed, FILE.SEED, to keep the run in and to go on from")
    add("--save", help="write the clips' edits as JSON lines to this file")
    return parser.parse_args()


def read_clips(folder):
    with open(os.path.join(folder, "transcripts.tsv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    for row in rows:
        row["text"] = unicodedata.normalize("NFC", row["text"].lower())
        row["path"] = os.path.join(folder, "wav", row["file"])
    return [r for r in rows if r["split"] == "train"], [r for r in rows if r["split"] == "test"]


def choose(train, test, args):
    order = np.random.default_rng(11).permutation(len(train))
    train = [train[i] for i in order]
    if args.longest:
        train = [r for r in train if float(r["seconds"]) <= args.longest]
    if args.develop:
        fifth = len(train) // 5
        train, test = train[fifth:], train[:fifth]
    if args.minutes:
        ends = np.cumsum([float(r["seconds"]) for r in train])
        train = train[: max(1, int(np.searchsorted(ends, args.minutes * 60)))]
    return train, test


def batches(clips, seconds, generator):
    """Clips of like length together: sorted by length with a little noise, cut so that clips x longest <= seconds."""
    noise = generator.uniform(0.9, 1.1, len(clips))
    order = np.argsort([c["frames"] * n for c, n in zip(clips, noise)])
    out, batch, longest = [], [], 0
    for i in order:
        longest = max(longest, clips[i]["frames"])
        if batch and longest * (len(batch) + 1) > seconds * RATE / HOP:
            out.append(batch)
            batch, longest = [], clips[i]["frames"]
        batch.append(int(i))
    out.append(batch)
    generator.shuffle(out)
    return out


def augment(x, args, generator):
    """SpecAugment; what is masked takes the mean of the clip, as 0 would be a loud sound in a logarithm."""
    x = x.clone()
    mean = x.mean()
    for _ in range(args.bands[0]):
        width = int(generator.integers(0, args.bands[1] + 1))
        start = int(generator.integers(0, x.shape[1] - width + 1))
        x[:, start : start + width] = mean
    for _ in range(int(args.times[0])):
        width = int(generator.integers(0, int(args.times[1] * x.shape[0]) + 1))
        start = int(generator.integers(0, x.shape[0] - width + 1))
        x[start : start + width] = mean
    return x


def pad(features):
    lengths = torch.tensor([f.shape[0] for f in features])
    return torch.nn.utils.rnn.pad_sequence(features, batch_first=True), lengths


def ctc(logits, lengths, clips):
    targets = torch.cat([c["ids"] for c in clips])
    target_lengths = torch.tensor([len(c["ids"]) for c in clips])
    log_probs = logits.float().log_softmax(-1).transpose(0, 1)
    return F.ctc_loss(log_probs, targets, lengths, target_lengths, blank=BLANK, zero_infinity=True)


def greedy(logits, letters):
    best = logits.argmax(-1).tolist()
    return "".join(letters[c] for t, c in enumerate(best) if c != BLANK and (t == 0 or best[t - 1] != c))


def each_logits(model, clips, size=16):
    """Clips of like length together, each with the logits of its own frames."""
    clips = sorted(clips, key=lambda c: c["frames"])
    for k in range(0, len(clips), size):
        x, lengths = pad([c["features"][1.0] for c in clips[k : k + size]])
        logits, lengths = model(x, lengths)
        for clip, rows, length in zip(clips[k : k + size], logits, lengths):
            yield clip, rows[:length]


@torch.no_grad()
def test(model, clips, letters):
    """Edits and lengths by clip, and the share of frames whose best class is blank."""
    model.eval()
    rows, blanks, frames = [], 0, 0
    for clip, logits in each_logits(model, clips):
        said, text = greedy(logits, letters), clip["text"]
        said = " ".join(said.split())
        blanks += int((logits.argmax(-1) == BLANK).sum())
        frames += logits.shape[0]
        rows.append(
            (
                Levenshtein.distance(said, text),
                len(text),
                Levenshtein.distance(said.split(), text.split()),
                len(text.split()),
                said,
            )
        )
    return rows, blanks / frames


def rates(rows):
    e = np.array([r[:4] for r in rows], float)
    return e[:, 0].sum() / e[:, 1].sum(), e[:, 2].sum() / e[:, 3].sum()


def interval(edits, lengths, draws=2000):
    """95 % bootstrap interval by clip of sum(edits) / sum(lengths)."""
    generator = np.random.default_rng(0)
    picks = generator.integers(0, len(edits), (draws, len(edits)))
    return np.quantile(edits[picks].sum(1) / lengths[picks].sum(1), [0.025, 0.975])


def new_head(model, weights, letters, args):
    weight, bias = model.proj.weight, model.proj.bias
    with torch.no_grad():
        if args.head == "random":
            bias.zero_()
            bias[BLANK] = args.blank_bias
            return
        weight.mul_(0.1)
        bias.zero_()
        weight[BLANK], bias[BLANK] = weights["proj.weight"][-1], weights["proj.bias"][-1] + args.blank_bias


def head_first(model, clips, args, generator):
    """The head alone on features that are computed once: seconds instead of minutes."""
    with torch.no_grad():
        model.eval()
        features = []
        for clip in clips:
            x = clip["features"][1.0]
            features.append(model.encode(x[None], torch.tensor([x.shape[0]]))[0][0])
    fit(
        [{"params": list(model.proj.parameters()), "lr": args.head_rate}],
        clips,
        args,
        generator,
        args.head_epochs,
        lambda i: features[i],
        lambda x, lengths: (model.head(x), lengths),
    )


def fit(groups, clips, args, generator, epochs, features, forward, after=None, keep=None):
    plan = [batches(clips, args.batch, generator) for _ in range(epochs)]
    steps = sum(map(len, plan))
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=args.weight_decay)
    warm = max(1, int(args.warmup * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda s: min((s + 1) / warm, 0.5 + 0.5 * math.cos(math.pi * max(0, s - warm) / max(1, steps - warm))),
    )
    parameters = [p for g in groups for p in g["params"]]
    done = keep.read(optimizer, schedule, generator) if keep else 0
    for epoch, planned in enumerate(plan, 1):
        if epoch <= done:
            continue
        total = 0.0
        for batch in planned:
            x, lengths = pad([features(i) for i in batch])
            logits, lengths = forward(x, lengths)
            loss = ctc(logits, lengths, [clips[i] for i in batch])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, args.clip)
            optimizer.step()
            schedule.step()
            total += loss.item()
        if after:
            after(epoch, total / len(planned))
        if keep:
            keep.write(epoch, optimizer, schedule, generator)


class State:
    """A run in a file, so that it can be cut into slices of time."""

    def __init__(self, path, model):
        self.path, self.model = path, model

    def read(self, optimizer, schedule, generator):
        if not os.path.exists(self.path):
            return 0
        kept = torch.load(self.path, weights_only=False)
        self.model.load_state_dict(kept["model"])
        optimizer.load_state_dict(kept["optimizer"])
        schedule.load_state_dict(kept["schedule"])
        generator.bit_generator.state = kept["numpy"]
        torch.set_rng_state(kept["torch"])
        return kept["epoch"]

    def write(self, epoch, optimizer, schedule, generator):
        kept = {
            "epoch": epoch,
            "model": self.model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "numpy": generator.bit_generator.state,
            "torch": torch.get_rng_state(),
        }
        torch.save(kept, self.path + ".part")
        os.replace(self.path + ".part", self.path)


@torch.no_grad()
def encode_below(model, clips, args):
    """What comes out of the frozen blocks takes the features' place."""
    model.eval()
    for clip in clips:
        clip["below"] = {}
        for speed, x in clip["features"].items():
            clip["below"][speed] = model.encode(x[None], torch.tensor([x.shape[0]]), stop=args.freeze)[0][0]


def groups_of(model, args):
    if args.way == "frozen":
        return [{"params": list(model.proj.parameters()), "lr": args.rate}]
    parts = list(model.blocks[args.freeze :]) if args.freeze else [model.stem] + list(model.blocks)
    groups = [
        {"params": list(p.parameters()), "lr": args.rate * args.decay ** (len(parts) - k + 1)}
        for k, p in enumerate(parts, 1)
    ]
    return groups + [{"params": list(model.proj.parameters()), "lr": args.rate}]


def run(args, seed, weights, train, tests, letters):
    start = time.time()
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    model = Conformer(len(letters), dropout=args.dropout)
    if args.way != "scratch":
        load_encoder(model, weights)
        new_head(model, weights, letters, args)
    state = State(f"{args.state}.{seed}", model) if args.state else None
    if args.head_epochs and not (state and os.path.exists(state.path)):
        head_first(model, train, args, generator)

    if args.freeze:
        args.bands[0] = 0
        encode_below(model, train, args)

    def features(i):
        speeds = train[i]["below" if args.freeze else "features"]
        return augment(speeds[args.speeds[int(generator.integers(len(args.speeds)))]], args, generator)

    def forward(x, lengths):
        if args.way == "frozen":
            model.eval()
            with torch.no_grad():
                x, lengths = model.encode(x, lengths)
            return model.head(F.dropout(x, args.dropout)), lengths
        model.train()
        x, lengths = model.encode(x, lengths, start=args.freeze)
        return model.head(x), lengths

    def after(epoch, loss):
        if args.every and epoch % args.every == 0:
            rows, blanks = test(model, tests, letters)
            cer, wer = rates(rows)
            print(
                f"  epoch {epoch} loss {loss:.3f} CER {cer:.4f} WER {wer:.3f} blank {blanks:.2f}"
                f" {time.time() - start:.0f} s",
                flush=True,
            )

    fit(groups_of(model, args), train, args, generator, args.epochs, features, forward, after, state)
    rows, blanks = test(model, tests, letters)
    cer, wer = rates(rows)
    print(
        json.dumps(
            {
                "way": args.way,
                "seed": seed,
                "cer": round(cer, 4),
                "wer": round(wer, 4),
                "blank": round(blanks, 3),
                "seconds": round(time.time() - start),
            }
        ),
        flush=True,
    )
    if args.save:
        with open(args.save, "a", encoding="utf-8") as file:
            file.write(json.dumps({"way": args.way, "seed": seed, "rows": rows}, ensure_ascii=False) + "\n")
    return rows


def main():
    args = options()
    torch.set_num_threads(args.threads)
    weights = read_weights(args.weights)
    front = FrontEnd()
    train, tests = choose(*read_clips(args.folder), args)
    letters = [""] + sorted(set("".join(c["text"] for c in train)))
    for clip in train + tests:
        speeds = args.speeds if clip in train else [1.0]
        clip["features"] = {s: front(read_wave(clip["path"], s)) for s in {1.0, *speeds}}
        clip["frames"] = clip["features"][1.0].shape[0]
        clip["ids"] = torch.tensor([letters.index(c) for c in clip["text"] if c in letters])
    print(
        f"{len(train)} clips to train on, {sum(float(c['seconds']) for c in train) / 60:.1f} minutes; "
        f"{len(tests)} to test; {len(letters)} classes",
        flush=True,
    )
    runs = [run(args, seed, weights, train, tests, letters) for seed in args.seeds]
    edits = np.mean([[r[:4] for r in rows] for rows in runs], axis=0)
    for name, a, b in (("CER", 0, 1), ("WER", 2, 3)):
        each = [np.sum([r[a] for r in rows]) / np.sum([r[b] for r in rows]) for rows in runs]
        low, high = interval(edits[:, a], edits[:, b])
        print(
            f"{args.way} {name} {np.mean(each):.4f} (seeds {' '.join(f'{e:.4f}' for e in each)};"
            f" by clip {low:.4f} to {high:.4f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
