"""Speed beside the peers, as ratios taken in the same run: for each piece of work tlua and a peer take turns, nine
pairs, and the median of the ratios counts. Shared machines change speed from minute to minute; turns cancel that. After each
turn all wait a little: some peers' threads spin for a while when their work is done, and would run beside the other's.

    build/peers/bin/python bench/compare.py [WORD...]      only the rows that hold a word"""
import os
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "9"))
PAUSE = 0.15  # seconds
# work, network, batch, peer, what the ratio should reach
ROWS = [
    ("forward", "resnet50", 16, "torch", 1.4),
    ("forward", "efficientnet_lite0", 16, "torch", 2.5),
    ("forward", "resnet50", 16, "onnxruntime", 1.1),
    ("forward", "resnet50", 16, "compile", 1.4),
    ("forward", "resnet50", 1, "onnxruntime", 1.0),
    ("forward", "efficientnet_lite0", 16, "onnxruntime", 1.0),
    ("fe", "resnet50", 16, "torch", 1.9),
    ("layer4", "resnet50", 16, "torch", 1.7),
    ("blocks10", "efficientnet_lite0", 16, "torch", 1.5),
    ("full", "resnet50", 16, "torch", 1.3),
    ("full_recompute", "resnet50", 16, "torch", 1.3),  # less memory: backward computes some blocks again; the peer does not
    ("bert", "bert_6x384", 32, "torch", 1.3),
    ("bert", "bert_base", 32, "torch", 1.3),
    ("bert_recompute", "bert_base", 32, "torch", 1.3),
]


class Worker:
    def __init__(self, command, folder=ROOT):
        self.process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        for line in self.process.stdout:
            if line.strip() == "ready":
                return
        raise RuntimeError("this did not start: " + " ".join(command))

    def measure(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        seconds = float(self.process.stdout.readline())
        time.sleep(PAUSE)
        return seconds

    def peak_memory(self):
        with open("/proc/%d/status" % self.process.pid) as f:
            for line in f:
                if line.startswith("VmHWM"):
                    return int(line.split()[1]) / 1024
        return 0

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    words = sys.argv[1:]
    print("%-10s %-20s %5s  %-12s %9s %9s %8s  %13s  %s" % ("work", "network", "batch", "peer", "tlua/s", "peer/s", "ratio", "memory MB", "wanted"))
    short = False
    for work, network, batch, peer, wanted in ROWS:
        if words and not any(w in (work, network, peer) for w in words):
            continue
        try:
            ours = Worker(["./tlua", "bench/worker.lua", work, network, str(batch)])
            theirs = Worker([sys.executable, "bench/peer_worker.py", peer, work, network, str(batch)])
        except RuntimeError as e:
            print(e)
            short = True
            continue
        pairs = [(ours.measure(), theirs.measure()) for _ in range(ROUNDS)]
        ratio = statistics.median(t / o for o, t in pairs)
        o, t = statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)
        memory = "%5.0f /%6.0f" % (ours.peak_memory(), theirs.peak_memory())
        print("%-10s %-20s %5d  %-12s %9.1f %9.1f %7.2fx  %13s  %s" % (work, network, batch, peer, batch / o, batch / t, ratio, memory,
                                                                     "" if wanted is None else ">= %.2f %s" % (wanted, "yes" if ratio >= wanted else "NO")), flush=True)
        short = short or (wanted is not None and ratio < wanted)
        ours.close()
        theirs.close()
    sys.exit(1 if short else 0)


if __name__ == "__main__":
    main()
