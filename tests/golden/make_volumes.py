"""Goldens of the networks of volumes: what PyTorch computes with weights and inputs that both sides make by formula (make_models.py has it).

    python tests/golden/make_volumes.py      writes tests/golden/volumes.safetensors, and the names in tests/golden/names

Of each network: its answers in inference in double precision, of every parameter the norm and sixteen samples of the gradient of
sum(answers * numbers by formula), and the losses of ten steps of SGD (momentum 0.9) in training, in double precision too. resnet18_3d is
torchvision's r3d_18; the U-Net is written down here after nnU-Net's ResidualEncoderUNet, whose names it has."""
import json
import os
import re
import sys

import numpy as np
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

sys.path.insert(0, os.path.dirname(__file__))
import philox  # noqa: E402
from make_models import sampled, value  # noqa: E402

HERE = os.path.dirname(__file__)
SEED, STEPS = 7, 10
torch.set_num_threads(2)


class MeshNet(nn.Module):
    def __init__(self, classes=3, channels=5, in_channels=1):
        super().__init__()
        layers, w = [], in_channels
        for d in (1, 2, 4, 8, 16, 8, 4, 2, 1):
            layers += [nn.Conv3d(w, channels, 3, padding=d, dilation=d), nn.ReLU()]
            w = channels
        self.model = nn.Sequential(*layers, nn.Conv3d(w, classes, 1))

    def forward(self, x):
        return self.model(x)


class ConvNorm(nn.Module):
    def __init__(self, w, out, kernel, stride=1, plain=False, bias=True):
        super().__init__()
        self.conv, self.norm, self.plain = nn.Conv3d(w, out, kernel, stride, kernel // 2, bias=bias), nn.InstanceNorm3d(out, affine=True), plain

    def forward(self, x):
        y = self.norm(self.conv(x))
        return y if self.plain else nn.functional.leaky_relu(y)


class Convs(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.convs = nn.Sequential(*layers)

    def forward(self, x):
        return self.convs(x)


class Block(nn.Module):
    def __init__(self, w, out, stride):
        super().__init__()
        self.conv1, self.conv2 = ConvNorm(w, out, 3, stride), ConvNorm(out, out, 3, plain=True)
        skip = ([nn.AvgPool3d(stride)] if stride > 1 else []) + ([ConvNorm(w, out, 1, plain=True, bias=False)] if w != out else [])
        self.skip = nn.Sequential(*skip)

    def forward(self, x):
        return nn.functional.leaky_relu(self.conv2(self.conv1(x)) + self.skip(x))


class UNet3d(nn.Module):
    def __init__(self, classes=2, levels=5, width=32, blocks=2, in_channels=1, deep_supervision=False):
        super().__init__()
        widths, self.deep = [min(width << i, 320) for i in range(levels)], deep_supervision
        self.encoder, self.decoder = nn.Module(), nn.Module()
        self.encoder.stem, stages, w = Convs(ConvNorm(in_channels, width, 3)), [], width
        for i, out in enumerate(widths):
            stage, each = nn.Module(), []
            for k in range(blocks if i else 1):
                each.append(Block(w, out, 2 if i and not k else 1))
                w = out
            stage.blocks = nn.Sequential(*each)
            stages.append(stage)
        self.encoder.stages = nn.ModuleList(stages)
        order = range(levels - 2, -1, -1)
        self.decoder.transpconvs = nn.ModuleList([nn.ConvTranspose3d(widths[i + 1], widths[i], 2, 2) for i in order])
        self.decoder.stages = nn.ModuleList([Convs(ConvNorm(2 * widths[i], widths[i], 3)) for i in order])
        self.decoder.seg_layers = nn.ModuleList([nn.Conv3d(widths[i], classes, 1) if deep_supervision or not i else nn.Identity() for i in order])

    def forward(self, x):
        maps, y, out = [], self.encoder.stem(x), []
        for stage in self.encoder.stages:
            y = stage.blocks(y)
            maps.append(y)
        for up, stage, head, beside in zip(self.decoder.transpconvs, self.decoder.stages, self.decoder.seg_layers, maps[-2::-1]):
            y = stage(torch.cat([up(y), beside], 1))
            out.insert(0, head(y))
        return out if self.deep else out[0]


def r3d_18(classes=400, in_channels=3):
    net = torchvision.models.video.r3d_18(weights=None, num_classes=classes)
    if in_channels != 3:
        net.stem[0] = nn.Conv3d(in_channels, 64, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False)
    return net


# name: (network, that of the registry, options of both, shape of the inputs, learning rate)
CASES = {
    "meshnet": (MeshNet, "meshnet", dict(classes=3, channels=5), (2, 9, 8, 11, 1), 0.05),
    "meshnet_wide": (MeshNet, "meshnet", dict(classes=4, channels=21, in_channels=2), (1, 7, 8, 6, 2), 0.02),
    "unet3d": (UNet3d, "unet3d", dict(classes=3, levels=3, width=8, blocks=2), (2, 8, 12, 8, 1), 0.05),
    "unet3d_deep": (UNet3d, "unet3d", dict(classes=2, levels=3, width=16, blocks=1, in_channels=2, deep_supervision=True), (1, 8, 8, 12, 2), 0.05),
    "resnet18_3d": (r3d_18, "resnet18_3d", dict(classes=4, in_channels=1), (3, 8, 24, 32, 1), 0.01),
}
NAMES = {"meshnet": MeshNet, "unet3d": UNet3d, "resnet18_3d": lambda: r3d_18(400, 1)}


def formula(shape, name):
    return torch.from_numpy(philox.normal(shape, 0, 1, name, SEED)).double()


def filled(net):
    state = net.state_dict()
    for key, t in state.items():
        if t.dtype.is_floating_point:
            t.copy_(torch.from_numpy(value(key, tuple(t.shape))))
    net.load_state_dict(state)
    return net.double()


def last(y):
    return y.permute(0, *range(2, y.dim()), 1) if y.dim() > 2 else y


def labels_of(shape, classes):
    return torch.arange(torch.Size(shape).numel()).reshape(shape) // 3 % classes


def cross_entropy(maps, labels):
    """Of maps of several sizes: weights 1, 1/2, 1/4, labels of every second voxel."""
    if torch.is_tensor(maps):
        return nn.functional.cross_entropy(maps, labels)
    total, weights = 0, 0
    for i, y in enumerate(maps):
        total, weights = total + 0.5 ** i * nn.functional.cross_entropy(y, labels), weights + 0.5 ** i
        labels = labels[:, ::2, ::2, ::2]
    return total / weights


def run(name, out):
    make, _, options, shape, rate = CASES[name]
    net = filled(make(**options)).eval()
    x = formula(shape, "input").movedim(-1, 1)
    maps, total = net(x), 0
    for i, y in enumerate(maps if isinstance(maps, list) else [maps]):
        y = last(y)
        out["%s.out.%d" % (name, i)] = y.detach().float()
        total = total + (y * formula(tuple(y.shape), "weights %d" % i)).sum()
    total.backward()
    for key, p in net.named_parameters():
        out["%s.grad.%s" % (name, key)] = sampled(p.grad.reshape(-1)).float()
    net, losses = filled(make(**options)).train(), []
    opt = torch.optim.SGD(net.parameters(), rate, momentum=0.9)
    labels = labels_of(shape[:1] if make is r3d_18 else shape[:-1], options["classes"])
    for _ in range(STEPS):
        opt.zero_grad()
        loss = cross_entropy(net(x), labels)
        loss.backward()
        opt.step()
        losses.append(loss.item())
    print(name, ["%.5f" % v for v in losses])
    return losses


def inflated(rule):
    """Answers of r3d_18 for volumes of one channel with the weights of torchvision's resnet18, whose kernels become
    those of volumes in NumPy: all slices alike and their sum the picture's (Carreira and Zisserman 2017), or the middle
    one alone."""
    flat = filled(torchvision.models.resnet18(weights=None, num_classes=4)).state_dict()
    flat["conv1.weight"] = flat["conv1.weight"].sum(1, keepdim=True)
    net = r3d_18(4, 1).double()
    state = net.state_dict()
    for key, t in state.items():
        own = re.sub(r"\.conv(\d)\.0\.", r".conv\1.", re.sub(r"\.conv(\d)\.1\.", r".bn\1.", key))
        own = own.replace("stem.0.", "conv1.").replace("stem.1.", "bn1.")
        value2 = flat[own].numpy()
        if value2.ndim == 4:
            depth = t.shape[2]
            value2 = np.repeat(value2[:, :, None], depth, 2) / depth
            if rule == "centre":
                value2 *= depth * (np.arange(depth) == depth // 2)[:, None, None]
        state[key] = torch.from_numpy(np.asarray(value2))
    net.load_state_dict(state)
    with torch.no_grad():
        return net.eval()(formula((2, 6, 24, 20, 1), "input").movedim(-1, 1)).float()


def main():
    out, about = {"inflated." + rule: inflated(rule) for rule in ("repeat", "centre")}, {}
    for name, (_, model, options, shape, rate) in CASES.items():
        losses = run(name, out)
        about[name] = json.dumps({"model": model, "options": options, "shape": shape, "rate": rate, "losses": losses})
    path = os.path.join(HERE, "volumes.safetensors")
    save_file({k: v.contiguous() for k, v in out.items()}, path, about)
    for name, make in NAMES.items():
        with open(os.path.join(HERE, "names", name + ".txt"), "w") as f:
            for key, t in make().state_dict().items():
                f.write(key + " " + "x".join(map(str, t.shape)) + "\n")
    print(path, os.path.getsize(path))


if __name__ == "__main__":
    main()
