"""Goldens of the optimisers: twenty steps of torch.optim on parameters and gradients made by formula.

    python tests/golden/make_optim.py     writes tests/golden/optim.safetensors

tests/unit/optim.c makes the same parameters and gradients, and has the same table of cases."""
import os

import torch
from safetensors.torch import save_file

import philox

HERE = os.path.dirname(os.path.abspath(__file__))
SHAPES = [(3, 5), (17,), (2, 2, 4)]
STEPS = 20
KEPT = (1, 5, 20)

CASES = {
    "sgd": (torch.optim.SGD, dict(lr=0.1)),
    "sgd_momentum": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, weight_decay=0.01)),
    "sgd_nesterov": (torch.optim.SGD, dict(lr=0.05, momentum=0.8, nesterov=True)),
    "sgd_dampening": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, dampening=0.3)),
    "adam": (torch.optim.Adam, dict(lr=0.01)),
    "adam_decay": (torch.optim.Adam, dict(lr=0.02, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)),
    "adamw": (torch.optim.AdamW, dict(lr=0.01)),
    "adamw_decay": (torch.optim.AdamW, dict(lr=0.02, betas=(0.85, 0.99), weight_decay=0.2)),
}


def run(kind, options, out, name):
    params = [torch.nn.Parameter(torch.from_numpy(philox.normal(s, 0, 1, "p%d" % i, 1))) for i, s in enumerate(SHAPES)]
    optim = kind(params, foreach=False, **options)
    for step in range(1, STEPS + 1):
        if step == 11:
            optim.param_groups[0]["lr"] *= 0.1
        for i, p in enumerate(params):
            # The second has no gradient for a while: it and its moments must stay as they are.
            missing = i == 1 and 3 <= step <= 5
            p.grad = None if missing else torch.from_numpy(philox.normal(SHAPES[i], 0.1, 0.5, "g%d.%d" % (i, step), 1))
        optim.step()
        if step in KEPT:
            for i, p in enumerate(params):
                out["%s.%d.%d" % (name, step, i)] = p.detach().clone()


def main():
    out = {}
    for name, (kind, options) in CASES.items():
        run(kind, options, out, name)
    path = os.path.join(HERE, "optim.safetensors")
    save_file(out, path)
    print(path, len(out), "tensors", os.path.getsize(path), "bytes")


if __name__ == "__main__":
    main()
