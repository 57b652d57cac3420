"""The classic script, whole: CIFAR-10 at 224 pixels, ResNet-50 frozen, a new Linear(2048, 10), Adam 1e-3, batch 64, five epochs and the
test. tlua runs recipes/cifar_fe.lua as users do, from the process's start to its end, with an empty feature cache. PyTorch (channels_last,
loader with two workers, torchvision's transforms) trains one epoch and tests once, which is then counted as five epochs and one test.
Random weights on both sides. Rounds take turns; the median of the ratios counts. Memory is the peak of the process; PyTorch's without its
loader's workers.

    build/peers/bin/python bench/classic.py FOLDER [PICTURES [TEST [ROUNDS]]]     FOLDER holds CIFAR-10's binary files"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
import torch
import torchvision
from PIL import Image

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
folder = sys.argv[1]
pictures, tests, rounds = [int(sys.argv[i]) if len(sys.argv) > i else d for i, d in ((2, 2000), (3, 400), (4, 3))]
THREADS = int(os.environ.get("BENCH_THREADS", "2"))


class Cifar(torch.utils.data.Dataset):
    def __init__(self, name, count):
        rows = numpy.fromfile(os.path.join(folder, name), numpy.uint8, count * 3073).reshape(count, 3073)
        self.labels, self.pixels = rows[:, 0], rows[:, 1:].reshape(count, 3, 32, 32).transpose(0, 2, 3, 1)
        t = torchvision.transforms
        self.transform = t.Compose([t.Resize(224), t.ToTensor(), t.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.transform(Image.fromarray(self.pixels[i])), int(self.labels[i])


def peer():
    """Seconds of five epochs and one test."""
    torch.manual_seed(0)
    torch.set_num_threads(THREADS)
    net = torchvision.models.resnet50()
    for p in net.parameters():
        p.requires_grad = False
    net.fc = torch.nn.Linear(2048, 10)
    net = net.to(memory_format=torch.channels_last)
    opt = torch.optim.Adam(net.fc.parameters(), lr=1e-3)

    def loader(name, count, shuffle):
        return torch.utils.data.DataLoader(Cifar(name, count), 64, shuffle=shuffle, num_workers=2)

    net.eval()  # the frozen batch norms keep their statistics, as tlua's do
    start = time.perf_counter()
    for x, y in loader("data_batch_1.bin", pictures, True):
        opt.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(x.contiguous(memory_format=torch.channels_last)), y)
        loss.backward()
        opt.step()
        loss.item()
    epoch = time.perf_counter() - start
    start = time.perf_counter()
    right = 0
    with torch.no_grad():
        for x, y in loader("test_batch.bin", tests, False):
            right += (net(x.contiguous(memory_format=torch.channels_last)).argmax(1) == y).sum().item()
    return 5 * epoch + time.perf_counter() - start


def highest(pid):
    """The most memory that a process has had, kilobytes; 0 where it has ended."""
    try:
        with open("/proc/%s/status" % pid) as status:
            return next((int(line.split()[1]) for line in status if line.startswith("VmHWM")), 0)
    except OSError:
        return 0


def ours():
    """Seconds and kilobytes."""
    with tempfile.TemporaryDirectory() as place:
        start = time.perf_counter()
        run = subprocess.Popen(["./tlua", "recipes/cifar_fe.lua", "--weights", "none", "--data.root", folder, "--data.limit", str(pictures), "--data.test_limit", str(tests),
                                "--schedule.epochs", "5", "--cache.folder", place + "/features", "--out", place + "/run"], cwd=ROOT, stdout=subprocess.DEVNULL)
        peak = 0
        while run.poll() is None:
            peak = max(peak, highest(run.pid))
            time.sleep(0.02)
        if run.returncode != 0:
            sys.exit("tlua failed")
        return time.perf_counter() - start, peak


pairs = []
for _ in range(rounds):
    own, kilobytes = ours()
    pairs.append((own, peer()))
    print("tlua %.1f s, PyTorch %.1f s, ratio %.2f; %.0f MB, %.0f MB" % (*pairs[-1], pairs[-1][1] / own, kilobytes / 1e3, highest("self") / 1e3), flush=True)
ratio = statistics.median(t / o for o, t in pairs)
print("the classic script on %d / %d pictures: %.1f x, wanted 8 x" % (pictures, tests, ratio))
sys.exit(0 if ratio >= 8 else 1)
