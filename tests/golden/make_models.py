"""Goldens of whole networks: what PyTorch computes with weights and inputs that both sides make by formula.

    python tests/golden/make_models.py          writes tests/golden/models.safetensors

For each network and mode: logits, the loss of each of ten Adam steps, and of every trained parameter's first
gradient the norm and sixteen samples. Gradients are those of float64: with batch statistics, a value next to a
ReLU's kink falls on one side or the other by rounding, and PyTorch's own float32 then differs from float64 (and from itself in
another memory layout) by up to some percent. That distance is stored beside each gradient as `noise`: it is what the same
arithmetic in another order cannot avoid. Modes: which parameters are trained (all, or the head alone) and
how batch norm runs (train: with the batch's statistics; eval: with the running ones)."""
import os
import sys

import torch
import torchvision
from safetensors.torch import save_file

sys.path.insert(0, os.path.dirname(__file__))
import philox  # noqa: E402

SEED, CLASSES, STEPS = 7, 10, 10
LAST_NORM = ("bn3.weight", "_bn2.weight")
torch.set_num_threads(2)
torch.use_deterministic_algorithms(True)


def value(name, shape):
    """The formula (tests/golden/models.lua has the same): kaiming for weights, batch norms near the identity."""
    if name.endswith("running_var"):
        return philox.uniform(shape, 0.5, 1.5, name, SEED)
    if name.endswith("running_mean"):
        return philox.normal(shape, 0, 0.1, name, SEED)
    # The last norm of a residual branch is small: fifty layers then keep the rounding errors of the first ones small too.
    if name.endswith(LAST_NORM):
        return philox.uniform(shape, 0.1, 0.3, name, SEED)
    if len(shape) == 1:
        weight = name.endswith("weight")
        return philox.uniform(shape, 0.4 if weight else -0.1, 0.8 if weight else 0.1, name, SEED)
    fan_in = 1
    for d in shape[1:]:
        fan_in *= d
    return philox.normal(shape, 0, (2.0 / fan_in) ** 0.5, name, SEED)


def build(name):
    if name.startswith("resnet"):
        net = getattr(torchvision.models, name)(weights=None, num_classes=CLASSES)
    else:
        from efficientnet_lite_pytorch import EfficientNet
        net = EfficientNet.from_name("efficientnet-lite0", num_classes=CLASSES, dropout_rate=0.0, drop_connect_rate=0.0)
    state = net.state_dict()
    for key, t in state.items():
        if t.dtype.is_floating_point:
            t.copy_(torch.from_numpy(value(key, tuple(t.shape))))
    net.load_state_dict(state)
    return net


def first_gradient(name, batch, size, trained, norm, dtype, layout):
    """Gradients of the first step by name, and the logits, with this arithmetic."""
    net = prepared(name, trained, norm).to(dtype).to(memory_format=layout)
    x, y = inputs(batch, size)
    logits = net(x.to(dtype).contiguous(memory_format=layout))
    torch.nn.functional.cross_entropy(logits, y).backward()
    return {k: p.grad.reshape(-1).double() for k, p in net.named_parameters() if p.requires_grad}


def inputs(batch, size):
    x = torch.from_numpy(philox.normal((batch, size, size, 3), 0, 1, "input", SEED)).permute(0, 3, 1, 2)
    return x, torch.arange(batch) % CLASSES


def prepared(name, trained, norm):
    net = build(name)
    head = "fc." if name.startswith("resnet") else "_fc."
    for key, p in net.named_parameters():
        p.requires_grad = trained == "all" or key.startswith(head)
    return net.train(norm == "train")


def sampled(g):
    at = torch.linspace(0, g.numel() - 1, 16, dtype=torch.float64).long()
    return torch.cat([g.norm()[None], g[at]])


def distance(got, want, count, floor):
    """As tests/golden/models.lua: errors of samples against the size of a typical element, that of the norm against it."""
    typical = max(want[0].item() / count ** 0.5, floor)
    worst = abs(got[0] - want[0]).item() / max(want[0].item(), typical)
    return max(worst, ((got[1:] - want[1:]).abs() / want[1:].abs().clamp_min(typical)).max().item())


def run(name, batch, size, trained, norm, out):
    tag = f"{name}.{trained}.{norm}."
    exact = first_gradient(name, batch, size, trained, norm, torch.float64, torch.contiguous_format)
    others = [first_gradient(name, batch, size, trained, norm, torch.float32, f) for f in (torch.contiguous_format, torch.channels_last)]
    # Some gradients are zero but for rounding (a bias before a batch norm): they are measured against the others' size.
    total = sum(g.pow(2).sum().item() for g in exact.values()) / sum(g.numel() for g in exact.values())
    floor = 1e-3 * total ** 0.5
    out[tag + "floor"] = torch.tensor([floor])
    worst = 0
    for key, g in exact.items():
        want = sampled(g)
        noise = max(distance(sampled(o[key]), want, g.numel(), floor) for o in others)
        out[tag + "grad." + key] = torch.cat([want, torch.tensor([noise], dtype=torch.float64)]).float()
        worst = max(worst, noise)
    runs = [train(name, batch, size, trained, norm, f) for f in (torch.contiguous_format, torch.channels_last)]
    out[tag + "logits"], losses = runs[0]
    noise = max(abs(a - b) / max(a, 0.1) for a, b in zip(losses, runs[1][1]))
    out[tag + "losses"] = torch.tensor(losses + [noise])
    print(tag, "noise of gradients %.1e, of losses %.1e" % (worst, noise), ["%.5f" % v for v in losses], flush=True)


def train(name, batch, size, trained, norm, layout):
    """Logits of the first and losses of ten Adam steps, in float32."""
    net = prepared(name, trained, norm).to(memory_format=layout)
    x, y = inputs(batch, size)
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
    return first, losses


def main():
    out = {}
    for name, batch, size in (("resnet18", 4, 64), ("resnet50", 4, 64), ("efficientnet_lite0", 4, 64)):
        for trained in ("all", "head"):
            for norm in ("train", "eval"):
                # Sixteen values a channel at the top of this one: a single value on the other side of a kink moves every
                # gradient below by a percent, so only its other modes are compared.
                if (name, trained, norm) == ("efficientnet_lite0", "all", "train"):
                    continue
                run(name, batch, size, trained, norm, out)
    path = os.path.join(os.path.dirname(__file__), "models.safetensors")
    save_file({k: v.contiguous() for k, v in out.items()}, path)
    print(path, os.path.getsize(path))


if __name__ == "__main__":
    main()
