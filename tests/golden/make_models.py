"""Goldens of whole networks: what PyTorch computes with weights and inputs that both sides make by formula.

    python tests/golden/make_models.py [NAME...]      writes tests/golden/models.safetensors, or what is in it of some networks

For each network and mode: logits, the loss of each of ten Adam steps, and of every trained parameter's first
gradient the norm and sixteen samples, in float64. Modes: which parameters are trained (all, or the head alone: of a U-Net all but
its encoder) and how batch norm runs (train: with the batch's statistics; eval: with the running ones; frozen: a U-Net's encoder
with the running ones, its decoder with the batch's). U-Nets are segmentation_models_pytorch's decoder over an encoder.

A value within rounding of a ReLU's kink falls on one side or the other, and each such value moves the gradients of all
layers below it by up to some percent, in PyTorch's own float32 too. So the distance from the exact gradient that rounding
may cause is measured (float32 in two memory layouts, and float64 with weights disturbed in their seventh digit) and
stored as `noise`; and where gradients pass through the whole network with running statistics, a seed is taken for which
no value lies so near a kink, so that the strict limit of 1e-3 holds there for every parameter."""
import functools
import os
import sys

import torch
import torchvision
from safetensors.torch import load_file, save_file

sys.path.insert(0, os.path.dirname(__file__))
import philox  # noqa: E402

CLASSES, STEPS = 10, 10
SEED = 7  # changed by run()
SIZE = 64  # side of the pictures, by run() too
LAST_NORM = ("bn3.weight", "_bn2.weight", "conv.3.weight", "layer_scale")
torch.set_num_threads(2)
torch.use_deterministic_algorithms(True)


def value(name, shape):
    """The formula (tests/golden/models.lua has the same): kaiming for weights, batch norms near the identity."""
    if name.endswith("running_var"):
        return philox.uniform(shape, 0.5, 1.5, name, SEED)
    if name.endswith("running_mean"):
        return philox.normal(shape, 0, 0.1, name, SEED)
    # The last norm or scale of a residual branch is small: fifty layers then keep the rounding errors of the first ones small too.
    if name.endswith(LAST_NORM):
        return philox.uniform(shape, 0.1, 0.3, name, SEED)
    if len(shape) == 1:
        weight = name.endswith("weight")
        return philox.uniform(shape, 0.4 if weight else -0.1, 0.8 if weight else 0.1, name, SEED)
    fan_in = 1
    for d in shape[1:]:
        fan_in *= d
    return philox.normal(shape, 0, (2.0 / fan_in) ** 0.5, name, SEED)


def from_torchvision(name, **options):
    return getattr(torchvision.models, name)(weights=None, num_classes=CLASSES, **options)


def from_lukemelas(name):
    from efficientnet_lite_pytorch import EfficientNet
    return EfficientNet.from_name(name.replace("_", "-"), num_classes=CLASSES, dropout_rate=0.0, drop_connect_rate=0.0)


def no_dropout(name):
    return from_torchvision(name, dropout=0.0)


def no_depth(name):
    return from_torchvision(name, stochastic_depth_prob=0.0)


def no_chance(name):
    return from_torchvision(name, dropout=0.0, stochastic_depth_prob=0.0)


def from_timm(name):
    import timm
    return timm.create_model(name, pretrained=False, num_classes=CLASSES, img_size=SIZE)


class Maps(torch.nn.Module):
    """An encoder whose maps are the last of each stride. `steps`: its modules in order; `at`: behind which the sizes are halved."""

    def __init__(self, net, steps, at, dropped):
        super().__init__()
        for name, m in net.named_children():
            if name not in dropped:
                self.add_module(name, m)
        self.steps, self.at = steps, at  # in a list of functions, so that no name is theirs

    def forward(self, x):
        out = [x]
        for i, step in enumerate(self.steps(self)):
            x = step(x)
            if i in self.at:
                out.append(x)
        return out


class UNet(torch.nn.Module):
    """smp's decoder and head, as its Unet puts them together."""

    def __init__(self, encoder, channels):
        super().__init__()
        from segmentation_models_pytorch.base import SegmentationHead
        from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
        self.encoder = encoder
        self.decoder = UnetDecoder(channels, (256, 128, 64, 32, 16))
        self.segmentation_head = SegmentationHead(16, CLASSES)

    def forward(self, x):
        return self.segmentation_head(self.decoder(self.encoder(x)))


def lite0_steps(net):
    relu6 = torch.nn.functional.relu6
    return [lambda x: relu6(net._bn0(net._conv_stem(x)))] + list(net._blocks)


def unet(name):
    import segmentation_models_pytorch as smp
    name = name[len("unet_"):]
    if name == "efficientnet_lite0":
        return UNet(Maps(from_lukemelas(name), lite0_steps, (1, 3, 5, 11, 16), ("_conv_head", "_bn1", "_fc", "_avg_pooling", "_dropout")),
                    (3, 16, 24, 40, 112, 320))
    if name == "mobilenet_v3_small":
        return UNet(Maps(no_dropout(name), lambda net: net.features, (0, 1, 3, 8, 12), ("avgpool", "classifier")), (3, 16, 16, 24, 48, 576))
    return smp.Unet(name, encoder_weights=None, classes=CLASSES)


NOT_ENCODER = ("decoder.", "segmentation_head.")
EVERY = [("all", "train"), ("all", "eval"), ("head", "train"), ("head", "eval")]
# name: (how it is made, its head, (batch, side of the pictures), modes)
NETS = {
    "resnet18": (from_torchvision, "fc.", (4, 64), EVERY),
    "resnet50": (from_torchvision, "fc.", (4, 64), EVERY),
    # Sixteen values a channel at the top of this one: a single value on the other side of a kink moves every
    # gradient below by a percent, so only its other modes are compared.
    "efficientnet_lite0": (from_lukemelas, "_fc.", (4, 64), EVERY[1:]),
    "mobilenet_v2": (no_dropout, "classifier.1.", (4, 64), EVERY[1:3]),
    "mobilenet_v3_small": (no_dropout, "classifier.3.", (4, 64), EVERY[:3]),
    "mobilenet_v3_large": (no_dropout, "classifier.3.", (4, 64), EVERY[1:2]),
    "squeezenet1_1": (no_dropout, "classifier.1.", (4, 64), EVERY[1:3]),
    "vgg16": (no_dropout, "classifier.6.", (2, 64), EVERY[1:2]),
    "vgg16_bn": (no_dropout, "classifier.6.", (2, 64), EVERY[2:3]),
    "densenet121": (from_torchvision, "classifier.", (4, 64), EVERY[1:3]),
    "efficientnet_b0": (no_chance, "classifier.1.", (4, 64), EVERY[:3]),
    "efficientnet_b2": (no_chance, "classifier.1.", (4, 64), EVERY[2:3]),
    "convnext_tiny": (no_depth, "classifier.2.", (4, 64), EVERY[:1]),
    "vit_small_patch16_224": (from_timm, "head.", (2, 64), EVERY[:1]),
    "vit_base_patch16_224": (from_timm, "head.", (2, 64), EVERY[2:3]),
    "deit_tiny_patch16_224": (from_timm, "head.", (4, 64), EVERY[:1]),
    "unet_resnet18": (unet, NOT_ENCODER, (4, 64), [("all", "train"), ("head", "frozen"), ("head", "eval")]),
    "unet_efficientnet_lite0": (unet, NOT_ENCODER, (4, 64), [("all", "eval")]),
    "unet_mobilenet_v3_small": (unet, NOT_ENCODER, (4, 64), [("head", "eval")]),
    "unet_vgg16_bn": (unet, NOT_ENCODER, (2, 64), [("head", "eval")]),
}


@functools.lru_cache(maxsize=1)
def weights_of(name, seed, size):
    state = NETS[name][0](name).state_dict()
    return {k: torch.from_numpy(value(k, tuple(t.shape))) for k, t in state.items() if t.dtype.is_floating_point}


def build(name):
    net = NETS[name][0](name)
    state = net.state_dict()
    for key, t in weights_of(name, SEED, SIZE).items():
        state[key].copy_(t)
    net.load_state_dict(state)
    return net


def first_gradient(name, batch, size, trained, norm, dtype, layout, disturbed=0):
    """Samples of the gradients of the first step by name with this arithmetic; `disturbed`: the number of a draw, or 0."""
    net = prepared(name, trained, norm).to(dtype).to(memory_format=layout)
    x, y = inputs(name, batch, size)
    if disturbed:
        disturb(net, disturbed)
    logits = net(x.to(dtype).contiguous(memory_format=layout))
    torch.nn.functional.cross_entropy(logits, y).backward()
    return {k: (sampled(p.grad.reshape(-1).double()), p.numel()) for k, p in net.named_parameters() if p.requires_grad}


def inputs(name, batch, size):
    """Pictures, and classes of them; for a U-Net of squares of 8 x 8 pixels."""
    x = torch.from_numpy(philox.normal((batch, size, size, 3), 0, 1, "input", SEED)).permute(0, 3, 1, 2)
    n, at = torch.arange(batch), torch.arange(size) // 8
    return x, (n[:, None, None] + at[:, None] + at if name.startswith("unet_") else n) % CLASSES


def prepared(name, trained, norm):
    net = build(name)
    head = NETS[name][1]
    for key, p in net.named_parameters():
        p.requires_grad = trained == "all" or key.startswith(head)
    net.train(norm in ("train", "frozen"))
    if norm == "frozen":
        net.encoder.eval()
    return net


def sampled(g):
    at = torch.linspace(0, g.numel() - 1, 16, dtype=torch.float64).long()
    return torch.cat([g.norm()[None], g[at]])


def distance(got, want, count, floor):
    """As tests/golden/models.lua: errors of samples against the size of a typical element, that of the norm against it."""
    typical = max(want[0].item() / count ** 0.5, floor)
    worst = abs(got[0] - want[0]).item() / max(want[0].item(), typical)
    return max(worst, ((got[1:] - want[1:]).abs() / want[1:].abs().clamp_min(typical)).max().item())


def noise_of(name, batch, size, trained, norm):
    """Exact gradients, a floor for their elements' size, and for each parameter the distance that rounding may cause."""
    how = (name, batch, size, trained, norm)
    exact = first_gradient(*how, torch.float64, torch.contiguous_format)
    others = [first_gradient(*how, torch.float32, f) for f in (torch.contiguous_format, torch.channels_last)]
    others += [first_gradient(*how, torch.float64, torch.contiguous_format, n) for n in range(1, 13 if norm == "frozen" else 7)]
    # Some gradients are zero but for rounding (a bias before a batch norm): they are measured against the others' size.
    total = sum(g[0].item() ** 2 for g, _ in exact.values()) / sum(n for _, n in exact.values())
    floor = 1e-3 * total ** 0.5
    noise = {k: max(distance(o[k][0], g, n, floor) for o in others) for k, (g, n) in exact.items()}
    return exact, floor, noise


def run(name, batch, size, trained, norm, out):
    global SEED, SIZE
    SEED = 7
    if (trained, norm) == ("all", "eval"):
        batch, size = 2, 32
    SIZE = size
    if (trained, norm) == ("all", "eval"):
        while max(noise_of(name, batch, size, trained, norm)[2].values()) > 2e-4:
            SEED += 1
    tag = f"{name}.{trained}.{norm}."
    exact, floor, noise = noise_of(name, batch, size, trained, norm)
    out[tag + "config"] = torch.tensor([SEED, batch, size], dtype=torch.int32)
    out[tag + "floor"] = torch.tensor([floor])
    for key, (g, _) in exact.items():
        out[tag + "grad." + key] = torch.cat([g, torch.tensor([noise[key]], dtype=torch.float64)]).float()
    worst = max(noise.values())
    out[tag + "logits"], losses, spread = losses_of(name, batch, size, trained, norm)
    out[tag + "losses"] = torch.tensor(losses + [spread])
    print(tag, "seed %d, noise of gradients %.1e, of losses %.1e" % (SEED, worst, spread), ["%.5f" % v for v in losses], flush=True)


def losses_of(name, batch, size, trained, norm):
    """Logits, losses, and how far rounding may move the losses: the other layout and disturbed weights, as for gradients."""
    how = (name, batch, size, trained, norm)
    logits, losses = train(*how, torch.contiguous_format)
    others = [train(*how, torch.channels_last)[1]]
    if (trained, norm) == ("all", "train") or norm == "frozen":
        others += [train(*how, torch.contiguous_format, n)[1] for n in range(1, 5)]
    spread = max(abs(a - b) / max(a, 0.1) for o in others for a, b in zip(losses, o))
    return logits, losses, spread


def disturb(net, number):
    g = torch.Generator().manual_seed(number)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(1 + 5e-7 * torch.randn(p.shape, generator=g, dtype=torch.float64).to(p.dtype))


def train(name, batch, size, trained, norm, layout, disturbed=0):
    """Logits of the first and losses of ten Adam steps, in float32."""
    net = prepared(name, trained, norm).to(memory_format=layout)
    x, y = inputs(name, batch, size)
    if disturbed:
        disturb(net, disturbed)
    x = x.contiguous(memory_format=layout)
    opt = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=1e-5 if trained == "all" else 1e-3)
    losses, first = [], None
    for step in range(STEPS):
        logits = net(x)
        loss = torch.nn.functional.cross_entropy(logits, y)
        opt.zero_grad()
        loss.backward()
        first = logits.detach().clone() if first is None else first
        opt.step()
        losses.append(loss.item())
    if first.dim() == 4:  # 2000 of a map's logits tell enough
        first = first.permute(0, 2, 3, 1).reshape(-1)
        first = first[torch.linspace(0, first.numel() - 1, 2000, dtype=torch.float64).long()]
    return first, losses


def main():
    path, wanted = os.path.join(os.path.dirname(__file__), "models.safetensors"), sys.argv[1:] or list(NETS)
    out = {k: v for k, v in (load_file(path) if sys.argv[1:] else {}).items() if k.split(".")[0] not in wanted}
    for name in wanted:
        _, _, (batch, size), modes = NETS[name]
        for trained, norm in modes:
            run(name, batch, size, trained, norm, out)
        save_file({k: v.contiguous() for k, v in out.items()}, path)
    print(path, os.path.getsize(path))


if __name__ == "__main__":
    main()
