"""Goldens of whole networks: what PyTorch computes with weights and inputs that both sides make by formula.

    python tests/golden/make_models.py          writes tests/golden/models.safetensors

For each network and mode: logits, the loss of each of ten Adam steps, and of every trained parameter's first
gradient the norm, the sum and sixteen samples. Modes: which parameters are trained (all, or the head alone) and
how batch norm runs (train: with the batch's statistics; eval: with the running ones)."""
import os
import sys

import torch
import torchvision
from safetensors.torch import save_file

sys.path.insert(0, os.path.dirname(__file__))
import philox  # noqa: E402

SEED, CLASSES, STEPS = 7, 10, 10
torch.set_num_threads(2)
torch.use_deterministic_algorithms(True)


def value(name, shape):
    """The formula (tests/golden/models.lua has the same): kaiming for weights, batch norms near the identity."""
    if name.endswith("running_var"):
        return philox.uniform(shape, 0.5, 1.5, name, SEED)
    if name.endswith("running_mean"):
        return philox.normal(shape, 0, 0.1, name, SEED)
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


def run(name, batch, size, trained, norm, out):
    net = build(name)
    head = "fc." if name.startswith("resnet") else "_fc."
    for key, p in net.named_parameters():
        p.requires_grad = trained == "all" or key.startswith(head)
    net.train(norm == "train")
    x = torch.from_numpy(philox.normal((batch, size, size, 3), 0, 1, "input", SEED)).permute(0, 3, 1, 2)
    y = torch.arange(batch) % CLASSES
    params = [p for p in net.parameters() if p.requires_grad]
    opt = torch.optim.Adam(params, lr=1e-5 if trained == "all" else 1e-3)
    losses = []
    tag = f"{name}.{trained}.{norm}."
    for step in range(STEPS):
        logits = net(x)
        loss = torch.nn.functional.cross_entropy(logits, y)
        opt.zero_grad()
        loss.backward()
        if step == 0:
            out[tag + "logits"] = logits.detach().clone()
            for key, p in net.named_parameters():
                if not p.requires_grad:
                    continue
                g = p.grad.reshape(-1).double()
                at = torch.linspace(0, g.numel() - 1, 16, dtype=torch.float64).long()
                out[tag + "grad." + key] = torch.cat([g.norm()[None], g.sum()[None], g[at]]).float()
        opt.step()
        losses.append(loss.item())
    out[tag + "losses"] = torch.tensor(losses)
    print(tag, ["%.5f" % v for v in losses], flush=True)


def main():
    out = {}
    for name, batch, size in (("resnet18", 4, 64), ("resnet50", 4, 64), ("efficientnet_lite0", 4, 64)):
        for trained in ("all", "head"):
            for norm in ("train", "eval"):
                run(name, batch, size, trained, norm, out)
    path = os.path.join(os.path.dirname(__file__), "models.safetensors")
    save_file({k: v.contiguous() for k, v in out.items()}, path)
    print(path, os.path.getsize(path))


if __name__ == "__main__":
    main()
