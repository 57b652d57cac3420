"""Goldens of the optimisers: twenty steps of torch.optim, and of Lion and LAMB as their papers write them, on parameters and
gradients made by formula.

    python tests/golden/make_optim.py     writes tests/golden/optim.safetensors

tests/unit/optim.c makes the same parameters and gradients, and has the same table of cases."""
import os

import torch
from torch.optim import swa_utils
from safetensors.torch import save_file

import philox

HERE = os.path.dirname(os.path.abspath(__file__))
SHAPES = [(3, 5), (17,), (2, 2, 4)]
STEPS = 20
KEPT = (1, 5, 20)


class PaperOptimizer:
    """One group in double precision: `rule(w, g, state, step)` gives the new w."""

    def __init__(self, params, foreach, lr, betas, weight_decay=0.0, eps=1e-6):
        self.params, self.betas, self.eps, self.weight_decay = params, betas, eps, weight_decay
        self.param_groups = [{"lr": lr}]
        self.w = [p.detach().double() for p in params]
        self.state = [{"m": torch.zeros_like(w), "v": torch.zeros_like(w), "step": 0} for w in self.w]

    def step(self):
        for i, p in enumerate(self.params):
            if p.grad is None:
                continue
            self.state[i]["step"] += 1
            self.w[i] = self.rule(self.w[i], p.grad.double(), self.state[i], self.param_groups[0]["lr"])
            p.data.copy_(self.w[i])


class Lion(PaperOptimizer):
    """Chen et al. 2023, Symbolic Discovery of Optimization Algorithms, algorithm 2."""

    def rule(self, w, g, state, lr):
        b1, b2 = self.betas
        update = torch.sign(b1 * state["m"] + (1 - b1) * g)
        state["m"] = b2 * state["m"] + (1 - b2) * g
        return w - lr * (update + self.weight_decay * w)


class LAMB(PaperOptimizer):
    """You et al. 2020, Large Batch Optimization for Deep Learning, algorithm 2, with phi(z) = z."""

    def rule(self, w, g, state, lr):
        b1, b2 = self.betas
        state["m"] = b1 * state["m"] + (1 - b1) * g
        state["v"] = b2 * state["v"] + (1 - b2) * g * g
        m, v = state["m"] / (1 - b1 ** state["step"]), state["v"] / (1 - b2 ** state["step"])
        r = m / (torch.sqrt(v) + self.eps) + self.weight_decay * w
        return w - lr * torch.linalg.vector_norm(w) / torch.linalg.vector_norm(r) * r


CASES = {
    "sgd": (torch.optim.SGD, dict(lr=0.1)),
    "sgd_momentum": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, weight_decay=0.01)),
    "sgd_nesterov": (torch.optim.SGD, dict(lr=0.05, momentum=0.8, nesterov=True)),
    "sgd_dampening": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, dampening=0.3)),
    "adam": (torch.optim.Adam, dict(lr=0.01)),
    "adam_decay": (torch.optim.Adam, dict(lr=0.02, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)),
    "adamw": (torch.optim.AdamW, dict(lr=0.01)),
    "adamw_decay": (torch.optim.AdamW, dict(lr=0.02, betas=(0.85, 0.99), weight_decay=0.2)),
    "rmsprop": (torch.optim.RMSprop, dict(lr=0.01)),
    "rmsprop_momentum": (torch.optim.RMSprop, dict(lr=0.01, alpha=0.9, eps=1e-3, momentum=0.9, weight_decay=0.1)),
    "rmsprop_centered": (torch.optim.RMSprop, dict(lr=0.02, alpha=0.95, momentum=0.5, centered=True)),
    "lion": (Lion, dict(lr=0.01, betas=(0.9, 0.99))),
    "lion_decay": (Lion, dict(lr=0.02, betas=(0.95, 0.98), weight_decay=0.3)),
    "lamb": (LAMB, dict(lr=0.01, betas=(0.9, 0.999))),
    "lamb_decay": (LAMB, dict(lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)),
}


def run(kind, options, out, name, decay=None):
    """With a decay, what is kept is the average of the parameters."""
    params = [torch.nn.Parameter(torch.from_numpy(philox.normal(s, 0, 1, "p%d" % i, 1))) for i, s in enumerate(SHAPES)]
    optim = kind(params, foreach=False, **options)
    average = swa_utils.AveragedModel(torch.nn.ParameterList(params), multi_avg_fn=swa_utils.get_ema_multi_avg_fn(decay)) if decay else None
    for step in range(1, STEPS + 1):
        if step == 11:
            optim.param_groups[0]["lr"] *= 0.1
        for i, p in enumerate(params):
            # The second has no gradient for a while: it and its moments must stay as they are.
            missing = i == 1 and 3 <= step <= 5
            p.grad = None if missing else torch.from_numpy(philox.normal(SHAPES[i], 0.1, 0.5, "g%d.%d" % (i, step), 1))
        optim.step()
        if average:
            average.update_parameters(torch.nn.ParameterList(params))
        if step in KEPT:
            for i, p in enumerate(average.module if average else params):
                out["%s.%d.%d" % (name, step, i)] = p.detach().clone()


def main():
    out = {}
    for name, (kind, options) in CASES.items():
        run(kind, options, out, name)
    run(*CASES["adam"], out, "ema", 0.8)
    path = os.path.join(HERE, "optim.safetensors")
    save_file(out, path)
    print(path, len(out), "tensors", os.path.getsize(path), "bytes")


if __name__ == "__main__":
    main()
