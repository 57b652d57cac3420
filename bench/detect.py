"""Steps and forwards of detectors beside PyTorch and ONNX Runtime on the same cores: both take turns, the median of the
ratios counts; peak memory of both.

    PYTHONPATH=YOLOX build/peers/bin/python bench/detect.py [WORD...]     only the rows whose name holds a word

  yolox_nano_step     forward, assignment, loss, backward, SGD; 8 pictures of 416, 6 boxes each, 15 classes
  yolox_nano_forward  the network of YOLOX without gradients, batch 1 and 8, in ONNX Runtime (a file that PyTorch exports)
  yolov8n_step        the same step of YOLOv8n at 640, batch 4: task-aligned assignment, CIoU, the distribution focal loss
  yolov8n_forward     the network of YOLOv8n without gradients, batch 1 and 4, in ONNX Runtime

YOLOX is 0.3.0 of PyPI (its folder in PYTHONPATH, with loguru, thop and tabulate), YOLOv8 that of
tests/golden/make_detect_nets.py with the loss of keras-cv 0.9.0; pictures are channels last. tlua's side is bench/detect.lua.
BENCH_THREADS (2) threads on both sides; BENCH_TIME=processor counts processor time, so that others may use the machine; then
give PyTorch one thread, since threads that wait spin. BENCH_ROUNDS pairs (5)."""
import os
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "tests", "golden")]
ROUNDS, THREADS = int(os.environ.get("BENCH_ROUNDS", "5")), int(os.environ.get("BENCH_THREADS", "2"))
CLASSES, BOXES = 15, 6
# work: (size, batch, what the ratio should reach)
ROWS = {"yolox_nano_step": (416, 8, 1.5), "yolox_nano_forward": (416, 8, 1.0), "yolox_nano_forward_1": (416, 1, 1.0),
        "yolov8n_step": (640, 4, 1.3), "yolov8n_forward": (640, 4, 1.0), "yolov8n_forward_1": (640, 1, 1.0)}
CLOCK = time.process_time if os.environ.get("BENCH_TIME") == "processor" else time.perf_counter


def yolox(torch):
    from yolox.models import YOLOPAFPN, YOLOX, YOLOXHead
    net = YOLOX(YOLOPAFPN(0.33, 0.25, depthwise=True), YOLOXHead(CLASSES, 0.25, depthwise=True))
    for m in net.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.eps, m.momentum = 1e-3, 0.03
    net.head.initialize_biases(1e-2)
    return net.to(memory_format=torch.channels_last)


def boxes(torch, size, batch):
    """The boxes of bench/detect.lua, and their classes."""
    out, labels = torch.zeros(batch, BOXES, 4), torch.zeros(batch, BOXES, dtype=torch.long)
    for i in range(batch):
        for k in range(BOXES):
            side = size * (k + 1) / (BOXES + 3)
            left, top = (size - side) * (i % 4) / 4, (size - side) * k / BOXES
            out[i, k], labels[i, k] = torch.tensor([left, top, left + side, top + side]), (i + k) % CLASSES
    return out, labels


class TaskAligned:
    """YOLOv8's loss, all pictures at once: keras-cv's assignment, CIoU, classes, the distribution focal loss."""

    def __init__(self, torch, size, bins=16):
        self.torch, self.bins = torch, bins
        cells = []
        for s in (8, 16, 32):
            y, x = torch.meshgrid(torch.arange(size // s), torch.arange(size // s), indexing="ij")
            cells.append(torch.stack([x.flatten() + 0.5, y.flatten() + 0.5, torch.full((x.numel(),), float(s))], 1))
        self.cells = torch.cat(cells)

    def assign(self, found, scores, truth, label):
        """Which box each cell learns (-1: none), and how well it should say so."""
        import torchvision.ops as tv
        torch, p = self.torch, self.cells[:, :2] * self.cells[:, 2:]
        which = torch.full(found.shape[:2], -1, dtype=torch.long)
        share = torch.zeros(found.shape[:2])
        for i in range(len(found)):
            over = tv.complete_box_iou(truth[i], found[i]).clamp(min=0)
            align = scores[i].sigmoid()[:, label[i]].T ** 0.5 * over ** 6
            inside = (p[None] > truth[i, :, None, :2]).all(-1) & (p[None] < truth[i, :, None, 2:]).all(-1)
            align = align * inside
            value, at = align.topk(10, dim=1)
            mask = torch.zeros_like(align).scatter_(1, at, (value > 0).float())
            over, align = over * mask, align * mask
            share[i] = (align * over.amax(1, keepdim=True) / (align.amax(1, keepdim=True) + 1e-9)).amax(0)
            best, box = over.max(0)
            which[i] = torch.where(best > 0, box, -1)
        return which, share

    def __call__(self, out, truth, label):
        import torchvision.ops as tv
        torch, functional, b = self.torch, self.torch.nn.functional, self.bins
        logits, scores = out[..., :4 * b].unflatten(-1, (4, b)), out[..., 4 * b:]
        far = (logits.softmax(-1) * torch.arange(b)).sum(-1)
        centre, stride = self.cells[:, :2], self.cells[:, 2:]
        found = torch.cat([centre - far[..., :2], centre + far[..., 2:]], 2) * stride
        with torch.no_grad():
            which, share = self.assign(found, scores, truth, label)
        at = which >= 0
        wanted = truth.gather(1, which.clamp(min=0)[..., None].expand(-1, -1, 4))[at]
        targets = torch.zeros_like(scores)
        picture, cell = at.nonzero(as_tuple=True)
        targets[picture, cell, label.gather(1, which.clamp(min=0))[at]] = share[at]
        total, weight = targets.sum().clamp(min=1), share[at]
        box = (tv.complete_box_iou_loss(found[at], wanted) * weight).sum() / total
        kinds = functional.binary_cross_entropy_with_logits(scores, targets, reduction="sum") / total
        c, s = self.cells[cell, :2], self.cells[cell, 2:]
        aim = torch.cat([c - wanted[:, :2] / s, wanted[:, 2:] / s - c], 1).clamp(0, b - 1.01)
        left, x = aim.long(), logits[at]
        ce = [functional.cross_entropy(x.flatten(0, 1), t.flatten(), reduction="none").view(-1, 4) for t in (left, left + 1)]
        dfl = ((ce[0] * (left + 1 - aim) + ce[1] * (aim - left)).mean(1) * weight).sum() / total
        return 7.5 * box + 0.5 * kinds + 1.5 * dfl


def network(torch, name):
    if name.startswith("yolox"):
        return yolox(torch)
    from make_detect_nets import YOLOV8, YOLOv8
    return YOLOv8(*YOLOV8["n"], CLASSES).to(memory_format=torch.channels_last)


def step(torch, name, size, batch):
    net = network(torch, name).train()
    x = torch.randn(batch, 3, size, size).to(memory_format=torch.channels_last)
    truth, label = boxes(torch, size, batch)
    optim = torch.optim.SGD(net.parameters(), 1e-4, 0.9, nesterov=True)
    if name.startswith("yolox"):
        centre, side = (truth[..., :2] + truth[..., 2:]) / 2, truth[..., 2:] - truth[..., :2]
        targets = torch.cat([label[..., None].float(), centre, side], 2)

        def loss_of():
            return net(x, targets)["total_loss"]
    else:
        aligned = TaskAligned(torch, size)

        def loss_of():
            return aligned(net(x), truth, label)

    def work():
        optim.zero_grad()
        loss = loss_of()
        loss.backward()
        optim.step()
        loss.item()
    return work


def forward(torch, name, size, batch):
    import onnxruntime
    net = network(torch, name).eval()
    if name.startswith("yolox"):
        net.head.decode_in_inference = False
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "net.onnx")
        torch.onnx.export(net, (torch.randn(batch, 3, size, size),), path, opset_version=13, dynamo=False)
        o = onnxruntime.SessionOptions()
        o.intra_op_num_threads = THREADS
        session = onnxruntime.InferenceSession(path, o, providers=["CPUExecutionProvider"])
    x = torch.randn(batch, 3, size, size).numpy()
    given = session.get_inputs()[0].name
    return lambda: session.run(None, {given: x})


def worker(name):
    import torch
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    work = (step if name.endswith("step") else forward)(torch, name, *ROWS[name][:2])
    work()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = CLOCK()
        work()
        print("%.6f" % (CLOCK() - start), flush=True)


def main():
    from compare import Worker
    print("%-22s %9s %9s %7s %16s  %s" % ("work", "tlua s", "peer s", "ratio", "memory MB", "wanted"))
    for name, (size, batch, wanted) in ROWS.items():
        if sys.argv[1:] and not any(w in name for w in sys.argv[1:]):
            continue
        ours = name[:-2] if name.endswith("_1") else name
        sides = (Worker(["./tlua", "bench/detect.lua", ours, str(size), str(batch)]),
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
