"""Goldens of detectors: what PyTorch computes with weights and inputs that both sides make by formula.

    python tests/golden/make_detect_nets.py          writes tests/golden/detect_nets.safetensors, names/yolo*.txt

For each network, in float64: every third row of the raw outputs in inference and with the batch's statistics, a running
mean and a running variance after that, and of every parameter's gradient towards sum(outputs * fixed numbers) the norm
and sixteen samples, in the network's order. Batch norms over few numbers magnify rounding, in PyTorch too: so how far
PyTorch's own float32 is from that, in two memory layouts, and how far float64 moves with weights disturbed in their
seventh digit, is stored as noise.

YOLOX is PyPI's yolox 0.3.0 (Apache-2.0; pip install --no-deps --no-build-isolation, with loguru, tabulate, thop, psutil
and opencv-python-headless for its imports). YOLOv8 is the network below, written after keras-cv 0.9.0's (Apache-2.0:
keras_cv/src/models/object_detection/yolo_v8) with the names that the state dicts of published files have; it differs from
keras-cv where these files do: all blocks above the backbone are as deep as one another."""
import os
import sys

import torch
from safetensors.torch import save_file
from torch import nn
from yolox.models import YOLOPAFPN, YOLOX, YOLOXHead

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import philox  # noqa: E402

CLASSES, SEED, SHAPE = 5, 7, (4, 64, 96, 3)
# With "input" two values under a pooling of yolox_s are so near that rounding decides which is the largest.
INPUTS = {"yolox_s": "another input"}
torch.set_num_threads(2)
torch.use_deterministic_algorithms(True)

# ---- YOLOX ----

CHANNELS = [256, 512, 1024]
# name: depth, width, depthwise convolutions (exps/default)
YOLOX_NETS = {"yolox_nano": (0.33, 0.25, True), "yolox_tiny": (0.33, 0.375, False), "yolox_s": (0.33, 0.5, False),
              "yolox_m": (0.67, 0.75, False)}


def yolox(name, classes):
    depth, width, depthwise = YOLOX_NETS[name]
    net = YOLOX(YOLOPAFPN(depth, width, in_channels=CHANNELS, depthwise=depthwise),
                YOLOXHead(classes, width, in_channels=CHANNELS, depthwise=depthwise))
    for m in net.modules():  # as yolox/exp/yolox_base.py has it
        if isinstance(m, nn.BatchNorm2d):
            m.eps, m.momentum = 1e-3, 0.03
    return net


def rows(levels):
    return torch.cat([y.flatten(2) for y in levels], 2).transpose(1, 2)


def raw_yolox(net, x):
    """YOLOXHead.forward in front of sigmoids, losses and boxes. Pictures are blue, green, red there."""
    levels, head = [], net.head
    for k, y in enumerate(net.backbone(x.flip(1))):
        y = head.stems[k](y)
        box = head.reg_convs[k](y)
        levels.append(torch.cat([head.reg_preds[k](box), head.obj_preds[k](box), head.cls_preds[k](head.cls_convs[k](y))], 1))
    return rows(levels)


# ---- YOLOv8 ----

BINS = 16
# letter: depth, width, the most channels before they are multiplied
YOLOV8 = {"n": (1 / 3, 0.25, 1024), "s": (1 / 3, 0.5, 1024), "m": (2 / 3, 0.75, 768), "l": (1, 1, 512), "x": (1, 1.25, 512)}


class ConvNorm(nn.Module):
    """apply_conv_bn"""

    def __init__(self, width, out, kernel, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(width, out, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=1e-3, momentum=0.03)

    def forward(self, x):
        return nn.functional.silu(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.cv1 = ConvNorm(width, width, 3)
        self.cv2 = ConvNorm(width, width, 3)

    def forward(self, x):
        return self.cv2(self.cv1(x))


class C2f(nn.Module):
    """apply_csp_block"""

    def __init__(self, width, out, depth, shortcut):
        super().__init__()
        self.half, self.shortcut = out // 2, shortcut
        self.cv1 = ConvNorm(width, 2 * self.half, 1)
        self.cv2 = ConvNorm((2 + depth) * self.half, out, 1)
        self.m = nn.ModuleList(Bottleneck(self.half) for _ in range(depth))

    def forward(self, x):
        short, deep = self.cv1(x).split(self.half, 1)
        out = [short, deep]
        for m in self.m:
            deep = m(deep)
            deep = out[-1] + deep if self.shortcut else deep
            out.append(deep)
        return self.cv2(torch.cat(out, 1))


class SPPF(nn.Module):
    """apply_spatial_pyramid_pooling_fast"""

    def __init__(self, width):
        super().__init__()
        self.cv1 = ConvNorm(width, width // 2, 1)
        self.cv2 = ConvNorm(width // 2 * 4, width, 1)

    def forward(self, x):
        out = [self.cv1(x)]
        for _ in range(3):
            out.append(nn.functional.max_pool2d(out[-1], 5, 1, 2))
        return self.cv2(torch.cat(out, 1))


class Head(nn.Module):
    """apply_yolo_v8_head"""

    def __init__(self, widths, classes):
        super().__init__()
        box, name = max(4 * BINS, widths[0] // 4), max(classes, widths[0])
        self.cv2 = nn.ModuleList(nn.Sequential(ConvNorm(w, box, 3), ConvNorm(box, box, 3), nn.Conv2d(box, 4 * BINS, 1)) for w in widths)
        self.cv3 = nn.ModuleList(nn.Sequential(ConvNorm(w, name, 3), ConvNorm(name, name, 3), nn.Conv2d(name, classes, 1)) for w in widths)
        self.dfl = nn.Module()
        self.dfl.conv = nn.Conv2d(BINS, 1, 1, bias=False).requires_grad_(False)

    def forward(self, maps):
        return rows([torch.cat([box(y), name(y)], 1) for box, name, y in zip(self.cv2, self.cv3, maps)])


class YOLOv8(nn.Module):
    def __init__(self, depth, width, most, classes):
        super().__init__()
        c = [int(min(n, most) * width) for n in (64, 128, 256, 512, 1024)]

        def times(n):
            return max(1, round(n * depth))
        m = {0: ConvNorm(3, c[0], 3, 2)}
        for i, n in enumerate((3, 6, 6, 3)):
            m[2 * i + 1] = ConvNorm(c[i], c[i + 1], 3, 2)
            m[2 * i + 2] = C2f(c[i + 1], c[i + 1], times(n), True)
        m[9] = SPPF(c[4])
        m[12] = C2f(c[4] + c[3], c[3], times(3), False)
        m[15] = C2f(c[3] + c[2], c[2], times(3), False)
        m[16] = ConvNorm(c[2], c[2], 3, 2)
        m[18] = C2f(c[2] + c[3], c[3], times(3), False)
        m[19] = ConvNorm(c[3], c[3], 3, 2)
        m[21] = C2f(c[3] + c[4], c[4], times(3), False)
        m[22] = Head(c[2:], classes)
        self.model = nn.ModuleDict({str(k): v for k, v in m.items()})

    def forward(self, x):
        m, kept = self.model, {}
        for k in range(10):
            x = kept[k] = m[str(k)](x)

        def up(y):
            return nn.functional.interpolate(y, scale_factor=2, mode="nearest")
        f4 = m["12"](torch.cat([up(x), kept[6]], 1))  # apply_path_aggregation_fpn
        p3 = m["15"](torch.cat([up(f4), kept[4]], 1))
        p4 = m["18"](torch.cat([m["16"](p3), f4], 1))
        p5 = m["21"](torch.cat([m["19"](p4), x], 1))
        return m["22"]([p3, p4, p5])


def make(name, classes):
    if name in YOLOX_NETS:
        return yolox(name, classes), raw_yolox
    return YOLOv8(*YOLOV8[name[-1]], classes), lambda net, x: net(x)


# ---- values ----

def value(name, shape):
    """The formula (tests/golden/detect_nets.lua has the same): kaiming for weights, norms that make up for what SiLU halves."""
    if name.endswith("running_var"):
        return philox.uniform(shape, 0.5, 1.5, name, SEED)
    if name.endswith("running_mean"):
        return philox.normal(shape, 0, 0.1, name, SEED)
    if len(shape) == 1:
        weight = name.endswith("weight")
        return philox.uniform(shape, 0.8 if weight else -0.1, 1.2 if weight else 0.1, name, SEED)
    fan_in = 1
    for d in shape[1:]:
        fan_in *= d
    return philox.normal(shape, 0, (2.0 / fan_in) ** 0.5, name, SEED)


def filled(name):
    net, raw = make(name, CLASSES)
    state = net.state_dict()
    for key, t in state.items():
        if t.dtype.is_floating_point:
            t.copy_(torch.from_numpy(value(key, tuple(t.shape))))
    net.load_state_dict(state)
    return net.double(), raw


def sampled(g):
    g = g.reshape(-1)
    at = torch.linspace(0, g.numel() - 1, 16, dtype=torch.float64).long()
    return torch.cat([g.norm()[None], g[at]])


NORMS = {"yolox": ["backbone.backbone.dark3.1.conv1.bn", "head.stems.2.bn"], "yolov": ["model.4.cv1.bn", "model.22.cv2.2.0.bn"]}


def step(name, mode, dtype, layout=torch.contiguous_format, disturbed=0):
    """Outputs, samples of gradients by name with how many there are, and the state afterwards."""
    x = torch.from_numpy(philox.normal(SHAPE, 0, 1, INPUTS.get(name, "input"), SEED)).permute(0, 3, 1, 2)
    net, raw = filled(name)
    if disturbed:
        g = torch.Generator().manual_seed(disturbed)
        with torch.no_grad():
            for p in net.parameters():
                p.mul_(1 + 5e-7 * torch.randn(p.shape, generator=g, dtype=torch.float64))
    net.to(dtype).to(memory_format=layout).train(mode == "train")
    y = raw(net, x.to(dtype).contiguous(memory_format=layout))
    (y * torch.from_numpy(philox.normal(tuple(y.shape), 0, 1, "target", SEED)).to(dtype)).sum().backward()
    grads = {k: (sampled(p.grad.double()), p.numel()) for k, p in net.named_parameters() if p.requires_grad}
    return y.detach().double(), grads, net.state_dict()


def distance(got, want, count, floor):
    """As tests/golden/detect_nets.lua: errors of samples against the size of a typical element, that of the norm against it."""
    typical = max(want[0].item() / count ** 0.5, floor)
    worst = abs(got[0] - want[0]).item() / max(want[0].item(), typical)
    return max(worst, ((got[1:] - want[1:]).abs() / want[1:].abs().clamp_min(typical)).max().item())


def run(name, out):
    for mode in ("eval", "train"):
        tag = "%s.%s." % (name, mode)
        y, grads, state = step(name, mode, torch.float64)
        others = [step(name, mode, torch.float32, layout) for layout in (torch.contiguous_format, torch.channels_last)]
        others += [step(name, mode, torch.float64, disturbed=n) for n in (1, 2)]
        total = sum(g[0].item() ** 2 for g, _ in grads.values()) / sum(n for _, n in grads.values())
        floor = 1e-3 * total ** 0.5  # some gradients are zero but for rounding
        noise = {k: max(distance(o[1][k][0], g, n, floor) for o in others) for k, (g, n) in grads.items()}
        far = max((o[0] - y).abs().max().item() for o in others) / y[:, ::3].square().mean().sqrt().item()
        out[tag + "outputs"] = y[:, ::3]
        out[tag + "floor"], out[tag + "noise"] = torch.tensor([floor]), torch.tensor([far])
        out[tag + "gradients"] = torch.stack([torch.cat([g, torch.tensor([noise[k]])]) for k, (g, _) in grads.items()])
        for k in NORMS[name[:5]] if mode == "train" else []:
            for part in ("running_mean", "running_var"):
                out[tag + k + "." + part] = state[k + "." + part]
        print(tag, "outputs %.3g, by picture %.3g, noise %.1e, of gradients %.1e" % (
            y.std().item(), y.sub(y.mean(0)).std().item(), far, max(noise.values())), flush=True)


def write_names(name):
    with open(os.path.join(HERE, "names", name + ".txt"), "w") as f:
        for key, t in make(name, 80)[0].state_dict().items():
            f.write(key + " " + "x".join(map(str, t.shape)) + "\n")


def main():
    for name in list(YOLOX_NETS) + ["yolov8" + letter for letter in YOLOV8]:
        write_names(name)
    out = {}
    for name in ("yolox_nano", "yolox_s", "yolov8n"):
        run(name, out)
    path = os.path.join(HERE, "detect_nets.safetensors")
    save_file({k: v.float().contiguous() for k, v in out.items()}, path)
    print(path, os.path.getsize(path))


if __name__ == "__main__":
    main()
