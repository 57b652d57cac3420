"""Steps and forwards of detectors beside PyTorch and ONNX Runtime on the same cores: both take turns, the median of the
ratios counts; peak memory of both.

    PYTHONPATH=YOLOX build/peers/bin/python bench/detect.py [WORD...]     only the rows whose name holds a word

  yolox_nano_step     forward, assignment, loss, backward, SGD; 8 pictures of 416, 6 boxes each, 15 classes
  yolox_nano_forward  the network of YOLOX without gradients, batch 1 and 8, in ONNX Runtime (a file that PyTorch exports)

YOLOX is 0.3.0 of PyPI (its folder in PYTHONPATH, with loguru, thop and tabulate), its pictures channels last. tlua's side is bench/detect.lua.
BENCH_THREADS (2) threads on both sides; BENCH_TIME=processor counts processor time, so that others may use the machine; then
give PyTorch one thread, since threads that wait spin. BENCH_ROUNDS pairs (5)."""
import os
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
ROUNDS, THREADS = int(os.environ.get("BENCH_ROUNDS", "5")), int(os.environ.get("BENCH_THREADS", "2"))
SIZE, CLASSES, BOXES = 416, 15, 6
# work: (batch, what the ratio should reach)
ROWS = {"yolox_nano_step": (8, 1.5), "yolox_nano_forward": (8, 1.0), "yolox_nano_forward_1": (1, 1.0)}
CLOCK = time.process_time if os.environ.get("BENCH_TIME") == "processor" else time.perf_counter


def yolox(torch):
    from yolox.models import YOLOPAFPN, YOLOX, YOLOXHead
    net = YOLOX(YOLOPAFPN(0.33, 0.25, depthwise=True), YOLOXHead(CLASSES, 0.25, depthwise=True))
    for m in net.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.eps, m.momentum = 1e-3, 0.03
    net.head.initialize_biases(1e-2)
    return net.to(memory_format=torch.channels_last)


def targets(torch, batch):
    """The boxes of bench/detect.lua: class, centre, size."""
    out = torch.zeros(batch, BOXES, 5)
    for i in range(batch):
        for k in range(BOXES):
            side = SIZE * (k + 1) / (BOXES + 3)
            left, top = (SIZE - side) * (i % 4) / 4, (SIZE - side) * k / BOXES
            out[i, k] = torch.tensor([(i + k) % CLASSES, left + side / 2, top + side / 2, side, side])
    return out


def step(torch, batch):
    net = yolox(torch).train()
    x = torch.randn(batch, 3, SIZE, SIZE).to(memory_format=torch.channels_last)
    boxes = targets(torch, batch)
    optim = torch.optim.SGD(net.parameters(), 1e-4, 0.9, nesterov=True)

    def work():
        optim.zero_grad()
        loss = net(x, boxes)["total_loss"]
        loss.backward()
        optim.step()
        loss.item()
    return work


def forward(torch, batch):
    import onnxruntime
    net = yolox(torch).eval()
    net.head.decode_in_inference = False
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "yolox.onnx")
        torch.onnx.export(net, (torch.randn(batch, 3, SIZE, SIZE),), path, opset_version=13, dynamo=False)
        o = onnxruntime.SessionOptions()
        o.intra_op_num_threads = THREADS
        session = onnxruntime.InferenceSession(path, o, providers=["CPUExecutionProvider"])
    x = torch.randn(batch, 3, SIZE, SIZE).numpy()
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: x})


def worker(name):
    import torch
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    work = (step if name.endswith("step") else forward)(torch, ROWS[name][0])
    work()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = CLOCK()
        work()
        print("%.6f" % (CLOCK() - start), flush=True)


def main():
    from compare import Worker
    print("%-22s %9s %9s %7s %16s  %s" % ("work", "tlua s", "peer s", "ratio", "memory MB", "wanted"))
    for name, (batch, wanted) in ROWS.items():
        if sys.argv[1:] and not any(w in name for w in sys.argv[1:]):
            continue
        ours = name[:-2] if name.endswith("_1") else name
        sides = (Worker(["./tlua", "bench/detect.lua", ours, str(SIZE), str(batch)]),
                 Worker([sys.executable, os.path.abspath(__file__), "worker", name]))
        pairs = [tuple(s.measure() for s in sides) for _ in range(ROUNDS)]
        memory = "%6.0f / %6.0f" % tuple(s.peak_memory() for s in sides)
        for s in sides:
            s.close()
        a, b = (statistics.median(p[k] for p in pairs) for k in (0, 1))
        ratio = statistics.median(p[1] / p[0] for p in pairs)
        print("%-22s %9.4f %9.4f %7.2f %16s  >= %.1f %s" % (name, a, b, ratio, memory, wanted,
                                                            "yes" if ratio >= wanted else "NO"), flush=True)


if __name__ == "__main__":
    worker(sys.argv[2]) if sys.argv[1:2] == ["worker"] else main()
