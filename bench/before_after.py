"""The rows of compare.py with another checkout of tlua as the peer: what a change made faster or slower. Both take turns, the one that
begins changes from pair to pair, and the median of the ratios counts. Needs no PyTorch.

    python3 bench/before_after.py DIR [WORD...]      DIR: a built checkout of the former commit; only the rows that hold a word"""
import os
import statistics
import sys

from compare import ROOT, ROUNDS, ROWS, Worker


def measure(before, work, network, batch):
    command = ["./tlua", "bench/worker.lua", work, network, str(batch)]
    now, then = Worker(command), Worker(command, before)
    pairs = []
    for i in range(ROUNDS):
        if i % 2:
            t = then.measure()
            pairs.append((now.measure(), t))
        else:
            t = now.measure()
            pairs.append((t, then.measure()))
    memory = now.peak_memory() / then.peak_memory()
    for worker in (now, then):
        worker.close()
    return pairs, memory


def main():
    if len(sys.argv) < 2 or not os.access(os.path.join(sys.argv[1], "tlua"), os.X_OK):
        sys.exit("usage: before_after.py DIR [WORD...]: DIR is a checkout of tlua in which make was run")
    words, works = sys.argv[2:], []
    for work, network, batch, _, _ in ROWS:
        if (work, network, batch) not in works and (not words or any(w in (work, network) for w in words)):
            works.append((work, network, batch))
    print("%-14s %-20s %5s %10s %10s %8s %8s" % ("work", "network", "batch", "before/s", "after/s", "ratio", "memory"))
    for work, network, batch in works:
        pairs, memory = measure(sys.argv[1], work, network, batch)
        after, before = statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)
        ratio = statistics.median(t / o for o, t in pairs)
        print("%-14s %-20s %5d %10.1f %10.1f %7.3fx %7.3fx" % (work, network, batch, batch / before, batch / after, ratio, memory), flush=True)


if __name__ == "__main__":
    main()
