"""Speed beside the peers, as ratios taken in the same run: for each piece of work tlua and a peer take turns, nine
pairs, and the median of the ratios counts. Shared machines change speed from minute to minute; turns cancel that. After each
turn all wait a little: some peers' threads spin for a while when their work is done, and would run beside the other's.

    build/peers/bin/python bench/compare.py [OPTION...] [WORD...]      only the rows that hold a word
      --device D          tlua's device (a number of `tlua devices`, cpu, gpu, a part of a name)
      --peer-device cuda  where PyTorch runs; cpu where not given. Memory is then the device's on both sides
      --tf32              PyTorch may use TF32 on cuda; float32 throughout where not given
      --json FILE         also a JSON object a line for each row
      --peer NAME         only the rows beside this peer (torch, compile, onnxruntime)
      --seconds N         begin no row when so many are over
      --measure           no ratio is wanted: 1 only where no row at all could be measured"""
import argparse
import json
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
        reason = ""
        for line in self.process.stdout:
            if line.strip() == "ready":
                return
            if line.startswith("cannot"):
                reason = " (" + line.strip() + ")"
        self.process.wait()
        raise RuntimeError("this did not start: " + " ".join(command) + reason)

    def measure(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        seconds = float(self.process.stdout.readline())
        time.sleep(PAUSE)
        return seconds

    def device_memory(self):
        self.process.stdin.write("memory\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline()) / 2**20

    def peak_memory(self):
        with open("/proc/%d/status" % self.process.pid) as f:
            for line in f:
                if line.startswith("VmHWM"):
                    return int(line.split()[1]) / 1024
        return 0

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def options():
    o = argparse.ArgumentParser(prog="compare.py")
    o.add_argument("--device", default="")
    o.add_argument("--peer-device", default="cpu", choices=("cpu", "cuda"))
    o.add_argument("--tf32", action="store_true")
    o.add_argument("--json")
    o.add_argument("--peer")
    o.add_argument("--measure", action="store_true")
    o.add_argument("--seconds", type=float, default=float("inf"))
    o.add_argument("words", nargs="*")
    return o.parse_args()


def measure(o, work, network, batch, peer):
    """Medians of both sides and of their ratios, and the memory of both, MB."""
    ours = Worker(["./tlua", "bench/worker.lua", work, network, str(batch)] + ([o.device] if o.device else []))
    try:
        theirs = Worker([sys.executable, "bench/peer_worker.py", peer, work, network, str(batch), o.peer_device] + (["tf32"] if o.tf32 else []))
    except RuntimeError:
        ours.close()
        raise
    pairs = [(ours.measure(), theirs.measure()) for _ in range(ROUNDS)]
    memory = [w.device_memory() if o.peer_device == "cuda" else w.peak_memory() for w in (ours, theirs)]
    ours.close()
    theirs.close()
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs), statistics.median(other / own for own, other in pairs), memory


def main():
    o = options()
    begin = time.monotonic()
    print("%-10s %-20s %5s  %-12s %9s %9s %8s  %13s  %s" % ("work", "network", "batch", "peer", "tlua/s", "peer/s", "ratio", "memory MB", "wanted"))
    short, rows = False, 0
    for work, network, batch, peer, wanted in ROWS:
        if (o.words and not any(w in (work, network, peer) for w in o.words)) or (o.peer and o.peer != peer):
            continue
        if time.monotonic() - begin > o.seconds:
            print("the time was over before %s of %s beside %s" % (work, network, peer))
            continue
        if o.peer_device == "cuda" or o.device or o.measure:
            wanted = None  # what is wanted is said for two cores
        try:
            own, other, ratio, memory = measure(o, work, network, batch, peer)
        except (RuntimeError, ValueError, OSError) as e:  # did not start, or died on the way
            print(e, flush=True)
            short = True
            continue
        print("%-10s %-20s %5d  %-12s %9.1f %9.1f %7.2fx  %13s  %s" % (work, network, batch, peer, batch / own, batch / other, ratio, "%5.0f /%6.0f" % tuple(memory),
                                                                     "" if wanted is None else ">= %.2f %s" % (wanted, "yes" if ratio >= wanted else "NO")), flush=True)
        if o.json:
            with open(o.json, "a") as f:
                f.write(json.dumps({"work": work, "network": network, "batch": batch, "peer": peer, "peer_device": o.peer_device, "tf32": o.tf32, "tlua": batch / own,
                                    "other": batch / other, "ratio": ratio, "memory": memory, "rounds": ROUNDS}) + "\n")
        short = short or (wanted is not None and ratio < wanted)
        rows += 1
    sys.exit(1 if (rows == 0 if o.measure else short) else 0)


if __name__ == "__main__":
    main()
