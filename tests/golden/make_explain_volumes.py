"""Heat maps of Grad-CAM by PyTorch for networks of volumes, as make_explain.py has them for pictures.

    python tests/golden/make_explain_volumes.py      writes tests/golden/explain_volumes.safetensors

Networks, weights and inputs are those of make_volumes.py, in float64. Of a network that gives a map of classes what is
explained is the mean of a class's logits over all voxels (Vinogradova et al. 2020), and its scores are the logarithms of
the mean probabilities. NAME.best is of the likeliest class of each volume, NAME.other of class 0."""
import os
import sys

import torch
from safetensors.torch import save_file

sys.path.insert(0, os.path.dirname(__file__))
from make_volumes import CASES, filled, formula  # noqa: E402

# The module whose output, behind its activation, is explained.
LAYERS = {
    "resnet18_3d": lambda n: n.layer4,
    "meshnet": lambda n: n.model[17],
    "unet3d": lambda n: n.decoder.stages[1],
}


def maps(name):
    make, _, options, shape, _ = CASES[name]
    net, kept = filled(make(**options)).eval(), {}
    for p in net.parameters():
        p.requires_grad = False

    def leaf(_, __, y):
        kept["a"] = y.detach().clone().requires_grad_(True)
        return kept["a"].clone()

    LAYERS[name](net).register_forward_hook(leaf)
    out, x = {}, formula(shape, "input").movedim(-1, 1)
    for what in ("best", "other"):
        y = net(x)
        logits, scores = (y, y) if y.dim() == 2 else (y.mean((2, 3, 4)), y.softmax(1).mean((2, 3, 4)).log())
        classes = scores.argmax(1) if what == "best" else torch.zeros(len(x), dtype=torch.int64)
        logits.gather(1, classes[:, None]).sum().backward()
        a, g = kept["a"].detach(), kept["a"].grad
        out["%s.%s" % (name, what)] = torch.relu((g.mean((2, 3, 4), keepdim=True) * a).sum(1)).float()
    out[name + ".scores"] = scores.detach().float()
    return out


if __name__ == "__main__":
    torch.set_num_threads(1)  # one order of sums
    every = {}
    for each in LAYERS:
        every.update(maps(each))
        print(each, tuple(every[each + ".best"].shape), every[each + ".best"].amax((1, 2, 3)).tolist(),
              every[each + ".other"].amax((1, 2, 3)).tolist())
    save_file(every, os.path.join(os.path.dirname(__file__), "explain_volumes.safetensors"))
