"""Attention of one sequence of 12 heads of 64 beside PyTorch's scaled_dot_product_attention, forward and forward with
the gradients of q, k and v, two threads each: interleaved runs, medians, and the median of the ratios. What is measured
comes after WARM seconds of the same: the other side's threads may still wait for work in a loop, one's own be asleep.

    python bench/attention.py [--rounds N] [LENGTH...]"""

import os
import statistics
import subprocess
import sys

HEADS, WIDTH, THREADS, WARM = 12, 64, 2, 0.02
LENGTHS = (128, 512, 1024, 2048)


class Peer:
    """A process that works once for every line it gets and says how many milliseconds that took."""

    def __init__(self, command):
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.p.stdout.readline() != "ready\n":
            sys.exit("%s did not start" % " ".join(command))

    def run(self):
        self.p.stdin.write("\n")
        self.p.stdin.flush()
        return float(self.p.stdout.readline())

    def close(self):
        self.p.stdin.close()
        self.p.wait()


def worker(length, what):
    import time

    import torch

    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    # As a layer has them: (N, T, C), seen by heads.
    flat = [torch.randn(1, length, HEADS * WIDTH, requires_grad=what == "both") for _ in range(3)]
    gy = torch.randn(1, length, HEADS * WIDTH)

    def work():
        q, k, v = (x.view(1, length, HEADS, WIDTH).transpose(1, 2) for x in flat)
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(1, length, -1)
        if what == "both":
            y.backward(gy)
            for x in flat:
                x.grad = None

    work(), work()
    print("ready", flush=True)
    for _ in sys.stdin:
        end = time.perf_counter() + WARM
        while time.perf_counter() < end:
            work()
        start = time.perf_counter()
        work()
        print("%.3f" % (1e3 * (time.perf_counter() - start)), flush=True)


def main():
    args, rounds = sys.argv[1:], 9
    if args[:1] == ["worker"]:
        return worker(int(args[1]), args[2])
    if args[:1] == ["--rounds"]:
        rounds, args = int(args[1]), args[2:]
    print("| length | what | tlua, ms | PyTorch, ms | ratio |")
    print("|---:|---|---:|---:|---:|")
    for length in [int(a) for a in args] or LENGTHS:
        for what in ("forward", "both"):
            own = Peer(["./tlua", "bench/attention.lua", "1", str(length), str(HEADS), str(WIDTH), what, str(WARM)])
            peer = Peer([sys.executable, os.path.abspath(__file__), "worker", str(length), what])
            took = [(own.run(), peer.run()) for _ in range(rounds)]
            own.close(), peer.close()
            mine, theirs = (statistics.median(row[k] for row in took) for k in (0, 1))
            ratio = statistics.median(theirs / mine for mine, theirs in took)
            print("| %d | %s | %.2f | %.2f | %.2f |" % (length, what, mine, theirs, ratio), flush=True)


if __name__ == "__main__":
    main()
