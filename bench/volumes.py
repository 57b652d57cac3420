"""Networks and convolutions of volumes beside PyTorch on the same cores: both take turns, the median of the ratios
counts; peak memory of both.

    build/peers/bin/python bench/volumes.py [WORD...]        only the rows whose name holds a word

  conv_CI_CO_SIDE[_dDILATION][_sSTRIDE]   a 3 x 3 x 3 convolution of one volume, its gradients towards the weight, and
                                          towards the input where that has more than one channel
  forward_CI_CO_SIDE...                   the same without gradients
  meshnet5, meshnet21                     brainchop's networks of 5 and 21 channels on 256^3, without gradients
  meshnet5_step, meshnet21_step           a step of Adam on 128^3 and 96^3
  unet3d, unet3d_2                        a step of SGD on one and two volumes of 96^3, 32 to 320 channels, two classes
  resnet18_3d                             a step of Adam on two volumes of 64^3

tlua's side is bench/volumes.lua. Processor time, so that others may use the machine; PyTorch has one thread, since
threads that wait spin, and by BENCH_LAYOUT channels last (`last`, where not given) or first. BENCH_ROUNDS pairs (5)."""
import os
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "tests", "golden")]
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
CONVS = ["1_32_64", "5_5_96", "5_5_96_d2", "5_5_96_d4", "5_5_96_d8", "5_5_96_d16", "21_21_64", "21_21_64_d8",
         "16_16_48", "32_32_48", "64_64_32", "128_128_24", "32_64_48_s2"]
NETWORKS = ["meshnet5", "meshnet21", "meshnet5_step", "meshnet21_step", "unet3d", "unet3d_2", "resnet18_3d"]
# What the ratio should reach.
ROWS = {kind + c: 1.5 for kind in ("conv_", "forward_") for c in CONVS} | dict.fromkeys(NETWORKS, 1.3)
LAYOUT = os.environ.get("BENCH_LAYOUT", "last")


def placed(torch, what):
    return what.to(memory_format=torch.channels_last_3d) if LAYOUT == "last" else what


def conv(torch, name, backward):
    words = name.split("_")
    ci, co, side = (int(w) for w in words[:3])
    more = {w[0]: int(w[1:]) for w in words[3:]}
    net = placed(torch, torch.nn.Conv3d(ci, co, 3, more.get("s", 1), more.get("d", 1), more.get("d", 1)))
    x = placed(torch, torch.randn(1, ci, side, side, side)).requires_grad_(backward and ci > 1)
    gy = torch.ones_like(net(x)).detach()

    def forward():
        with torch.no_grad():
            net(x)

    def both():
        net.zero_grad()
        x.grad = None
        net(x).backward(gy)
    return both if backward else forward


def network(torch, name):
    from make_volumes import MeshNet, UNet3d, r3d_18
    if name.startswith("meshnet"):
        channels = 21 if "21" in name else 5
        step = name.endswith("step")
        side = 256 if not step else 96 if channels == 21 else 128
        return MeshNet(18 if channels == 21 else 3, channels), (1, 1, side, side, side), "adam" if step else None
    if name.startswith("unet3d"):
        return UNet3d(), (2 if name.endswith("_2") else 1, 1, 96, 96, 96), "sgd"
    return r3d_18(2, 1), (2, 1, 64, 64, 64), "adam"


def build(name):
    import torch
    torch.set_num_threads(1)
    torch.manual_seed(0)
    kind, _, rest = name.partition("_")
    if kind in ("conv", "forward"):
        return conv(torch, rest, kind == "conv")
    net, shape, rule = network(torch, name)
    placed(torch, net)
    x = placed(torch, torch.randn(*shape))
    if not rule:
        net.eval()

        def forward():
            with torch.no_grad():
                net(x)
        return forward
    with torch.no_grad():
        y = net.eval()(x)
    labels = torch.arange(y.numel() // y.shape[1]).view(y.shape[0], *y.shape[2:]) % 2
    net.train()
    opt = torch.optim.SGD(net.parameters(), 1e-3, 0.9) if rule == "sgd" else torch.optim.Adam(net.parameters(), 1e-4)

    def step():
        opt.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(x), labels)
        loss.backward()
        opt.step()
        loss.item()
    return step


def worker(name):
    work = build(name)
    work()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.process_time()
        work()
        print("%.6f" % (time.process_time() - start), flush=True)


def main():
    from compare import Worker
    print("%-20s %9s %9s %7s %16s  %s" % ("work", "tlua s", "PyTorch s", "ratio", "memory MB", "wanted"))
    for name, wanted in ROWS.items():
        if sys.argv[1:] and not any(w in name for w in sys.argv[1:]):
            continue
        peer = [sys.executable, os.path.abspath(__file__), "worker", name]
        sides = Worker(["./tlua", "bench/volumes.lua", name]), Worker(peer)
        pairs = [tuple(s.measure() for s in sides) for _ in range(ROUNDS)]
        memory = "%6.0f / %6.0f" % tuple(s.peak_memory() for s in sides)
        for s in sides:
            s.close()
        ours, theirs = (statistics.median(p[k] for p in pairs) for k in (0, 1))
        ratio = statistics.median(p[1] / p[0] for p in pairs)
        print("%-20s %9.4f %9.4f %7.2f %16s  >= %.1f %s" % (name, ours, theirs, ratio, memory, wanted,
                                                            "yes" if ratio >= wanted else "NO"), flush=True)


if __name__ == "__main__":
    worker(sys.argv[2]) if sys.argv[1:2] == ["worker"] else main()
