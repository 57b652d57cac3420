"""A training step of a text classifier (the BERT in FOLDER, the mean of its pieces, a linear layer; everything trained, AdamW) beside
PyTorch's with transformers on the same cores, on the same real reviews: seconds and processor time a step, and the most memory of both.

    build/peers/bin/python bench/text_speed.py FOLDER REVIEWS.tsv [usual|packed...] [--peer-fused]

FOLDER has config.json, model.safetensors and tokenizer.json, as multilingual-e5-small has; REVIEWS.tsv the columns
id, document, label as NSMC has them; the first BENCH_BATCHES (16) x 32 reviews are taken, cut at 128 pieces.

  usual     both take the reviews as they come and pad to the longest of the batch
  packed    the same for PyTorch; tlua puts like lengths together (buckets) and computes nothing for padding

A round is a pass over all reviews, both sides taking turns batch by batch; the ratio is that of the rounds' seconds, the median counts
(BENCH_ROUNDS, 3). Processor time is of all threads, user and system; PyTorch's threads spin while they wait, so BENCH_THREADS=1 (2) gives
its honest figure there. Memory is VmHWM, with what the process had once its libraries were loaded. --peer-fused: PyTorch's fused AdamW
instead of its default."""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
THREADS, ROUNDS = os.environ.get("BENCH_THREADS", "2"), int(os.environ.get("BENCH_ROUNDS", "3"))
BATCHES, BATCH, LONGEST = int(os.environ.get("BENCH_BATCHES", "16")), 32, 128
TICK = os.sysconf("SC_CLK_TCK")
WANTED = {"usual": 1.5, "packed": 3.0}


def read_batches(path):
    """(label, ids) of each review, cut into batches."""
    rows = [[int(x) for x in line.split()] for line in open(path)]
    return [[(r[0], r[1:]) for r in rows[i : i + BATCH]] for i in range(0, len(rows), BATCH)]


def peer(folder, path, fused):
    import torch
    from transformers import BertModel

    torch.set_num_threads(int(THREADS))
    torch.manual_seed(0)
    print("loaded", flush=True)
    net = BertModel.from_pretrained(folder, add_pooling_layer=False, dtype=torch.float32).train()
    head, dropout = torch.nn.Linear(net.config.hidden_size, 2), torch.nn.Dropout(0.1)
    optimizer = torch.optim.AdamW([*net.parameters(), *head.parameters()], lr=2e-5, **({"fused": True} if fused else {}))
    batches = read_batches(path)

    def step(batch):
        longest = max(len(ids) for _, ids in batch)
        ids = torch.full((len(batch), longest), 1)
        mask = torch.zeros(len(batch), longest, dtype=torch.long)
        for i, (_, row) in enumerate(batch):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        optimizer.zero_grad()
        rows = net(input_ids=ids, attention_mask=mask).last_hidden_state * mask[:, :, None]
        logits = head(dropout(rows.sum(1) / mask.sum(1, keepdim=True)))
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor([label for label, _ in batch]))
        loss.backward()
        optimizer.step()
        return loss.item()

    serve(step, batches)


def serve(step, batches):
    step(batches[0])
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        step(batches[int(line) % len(batches)])
        print("%.6f" % (time.perf_counter() - start), flush=True)


class Side:
    """A process that makes one step for each number of a batch."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.wait("loaded")
        self.loaded = self.memory()
        self.wait("ready")

    def wait(self, word):
        for line in self.process.stdout:
            if line.strip() == word:
                return
        sys.exit("this did not start: " + " ".join(self.process.args))

    def memory(self):
        with open("/proc/%d/status" % self.process.pid) as f:
            return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmHWM"))

    def processor(self):
        with open("/proc/%d/stat" % self.process.pid) as f:
            fields = f.read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def step(self, batch):
        before = self.processor()
        self.process.stdin.write("%d\n" % batch)
        self.process.stdin.flush()
        seconds = float(self.process.stdout.readline())
        time.sleep(0.15)  # threads that spin when their work is done
        return seconds, self.processor() - before

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def by_length(path, to):
    """The same reviews with like lengths together, the batches in any order."""
    rows = sorted(open(path), key=lambda line: len(line.split()))
    batches = [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]
    random.Random(0).shuffle(batches)
    with open(to, "w") as f:
        f.writelines(line for batch in batches for line in batch)


def describe(path):
    batches = read_batches(path)
    real = sum(len(ids) for b in batches for _, ids in b)
    padded = sum(len(b) * max(len(ids) for _, ids in b) for b in batches)
    return "%d reviews, %.1f pieces each, %.1f with padding" % (len(batches) * BATCH, real / len(batches) / BATCH, padded / len(batches) / BATCH)


def measure(folder, usual, bucketed, work, fused):
    own = bucketed if work == "packed" else usual
    print("%s: %s; tlua's: %s" % (work, describe(usual), describe(own)), flush=True)
    sides = (
        Side([sys.executable, os.path.abspath(__file__), "peer", folder, usual] + (["--peer-fused"] if fused else [])),
        Side(["./tlua", "bench/text_speed.lua", work, folder, own]),
    )
    rounds = []
    for _ in range(ROUNDS):
        sums = [[0.0, 0.0], [0.0, 0.0]]
        for k in range(BATCHES):
            for side, total in zip(sides, sums):
                for i, value in enumerate(side.step(k)):
                    total[i] += value / BATCHES
        rounds.append(sums)
    for i, name in enumerate(("seconds", "processor seconds")):
        theirs, mine = (statistics.median(r[k][i] for r in rounds) for k in (0, 1))
        ratios = [r[0][i] / r[1][i] for r in rounds]
        print("  %-18s a step: PyTorch %.3f, tlua %.3f; ratio %.2f (%.2f to %.2f), wanted %.1f"
              % (name, theirs, mine, statistics.median(ratios), min(ratios), max(ratios), WANTED[work]))
    (a, b), (c, d) = ((s.memory(), s.loaded) for s in sides)
    print("  memory at most: PyTorch %.0f MB (%.0f of them its libraries), tlua %.0f MB (%.0f); %.2f of it, %.2f without libraries; wanted 0.5"
          % (a, b, c, d, c / a, (c - d) / (a - b)), flush=True)
    for side in sides:
        side.close()


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    if len(arguments) < 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as t:
        usual, bucketed = os.path.join(t, "usual.txt"), os.path.join(t, "bucketed.txt")
        subprocess.run(["./tlua", "bench/text_speed.lua", "encode", arguments[0], arguments[1], usual, str(BATCHES * BATCH), str(LONGEST)], cwd=ROOT, check=True)
        by_length(usual, bucketed)
        for work in arguments[2:] or WANTED:
            measure(arguments[0], usual, bucketed, work, "--peer-fused" in sys.argv)


if __name__ == "__main__":
    if sys.argv[1:2] == ["peer"]:
        peer(sys.argv[2], sys.argv[3], "--peer-fused" in sys.argv)
    else:
        main()
