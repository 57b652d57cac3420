"""Learning rates of torch.optim.lr_scheduler, step by step, for tests/lua/schedule.lua. Writes schedule.json beside this file."""
import json
import os

import torch
from torch.optim import lr_scheduler as L

torch.manual_seed(0)


def rates(make, n, losses=None):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    out = []
    for i in range(n):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if losses is None:
            scheduler.step()
        else:
            scheduler.step(losses[i])
    return out


def warm(n, after):
    return lambda o: L.SequentialLR(o, [L.LinearLR(o, start_factor=0.01, end_factor=1.0, total_iters=n), after(o)], milestones=[n])


losses = [2.0, 1.0, 0.9, 0.95, 0.91, 0.89999, 0.92, 0.93, 0.5, 0.6, 0.7, 0.8, 0.55, 0.56, 0.3, 0.31]
STEPS, EPOCHS = 7, 6  # to an epoch, of the stage
total = STEPS * EPOCHS
out = [
    {"name": "step", "options": {"rate": "step", "per": "epoch", "every": [2], "gamma": 0.3}, "rates": rates(lambda o: L.StepLR(o, 2, 0.3), EPOCHS)},
    {"name": "step, by steps", "options": {"rate": "step", "every": [2], "gamma": 0.3}, "rates": rates(lambda o: L.StepLR(o, 2 * STEPS, 0.3), total)},
    {"name": "multistep", "options": {"rate": "step", "per": "epoch", "every": [1, 4], "gamma": 0.2}, "rates": rates(lambda o: L.MultiStepLR(o, [1, 4], 0.2), EPOCHS)},
    {"name": "cosine", "options": {"rate": "cosine", "final": 0.05}, "rates": rates(lambda o: L.CosineAnnealingLR(o, total, eta_min=0.05), total)},
    {"name": "cosine, by epochs", "options": {"rate": "cosine", "per": "epoch"}, "rates": rates(lambda o: L.CosineAnnealingLR(o, EPOCHS), EPOCHS)},
    {"name": "warm-up, cosine", "options": {"rate": "cosine", "warmup": 1.5},
     "rates": rates(warm(11, lambda o: L.CosineAnnealingLR(o, total - 11)), total)},
    {"name": "warm-up, constant", "options": {"rate": "constant", "warmup": 2, "per": "epoch"},
     "rates": rates(lambda o: L.LinearLR(o, start_factor=0.01, total_iters=2), EPOCHS)},
    {"name": "one_cycle", "options": {"rate": "one_cycle"}, "rates": rates(lambda o: L.OneCycleLR(o, 1.0, total_steps=total), total)},
    {"name": "one_cycle, other options", "options": {"rate": "one_cycle", "peak": 0.6, "div": 5, "final": 0.2 / 300},
     "rates": rates(lambda o: L.OneCycleLR(o, 1.0, total_steps=total, pct_start=0.6, div_factor=5, final_div_factor=300), total)},
    {"name": "plateau", "options": {"rate": "plateau", "per": "epoch", "patience": 1, "gamma": 0.5}, "losses": losses,
     "rates": rates(lambda o: L.ReduceLROnPlateau(o, factor=0.5, patience=1), len(losses), losses)},
]
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "schedule.json"), "w") as f:
    json.dump({"steps": STEPS, "epochs": EPOCHS, "cases": out}, f, indent=None, separators=(",", ":"))
