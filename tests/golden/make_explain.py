"""Heat maps of Grad-CAM by PyTorch for networks whose weights and pictures both sides make by formula.

    python tests/golden/make_explain.py      writes tests/golden/explain.safetensors

The map is relu(sum of mean gradient times activation) of the last convolution's output (Selvaraju et al. 2017, equations 1 and 2),
in float64, for the likeliest class and for class 3. Weights are those of make_models.py, the reference for which is checked there."""
import os
import sys

import torch
from safetensors.torch import save_file

sys.path.insert(0, os.path.dirname(__file__))
import make_models  # noqa: E402
from make_models import philox  # noqa: E402

SIDE, PICTURES, SEED, OTHER = 96, 2, 11, 3



# The module whose output is explained.
LAYERS = {
    "resnet18": lambda n: n.layer4,
    "mobilenet_v2": lambda n: n.features,
    "mobilenet_v3_small": lambda n: n.features,
    "squeezenet1_1": lambda n: n.features,
    "vgg16_bn": lambda n: n.features[42],  # the last activation, before the pooling
    "efficientnet_b0": lambda n: n.features,
    "efficientnet_lite0": lambda n: n._bn1,  # the activation follows in forward: below
    "densenet121": lambda n: n.features,  # the same
    "convnext_tiny": lambda n: n.features,
}
ACTIVATION = {"densenet121": torch.relu, "efficientnet_lite0": torch.nn.functional.relu6}


def maps(name):
    make_models.SEED, make_models.SIZE = SEED, SIDE
    net = make_models.build(name).double().eval()
    for p in net.parameters():
        p.requires_grad = False
    x = torch.from_numpy(philox.normal((PICTURES, SIDE, SIDE, 3), 0, 1, "input", SEED)).permute(0, 3, 1, 2).double()
    kept = {}

    def hook(_, __, y):
        # The output becomes a leaf; an activation that forward applies in place afterwards must not touch it.
        a = ACTIVATION[name](y) if name in ACTIVATION else y
        kept["a"] = a.detach().clone().requires_grad_(True)
        return kept["a"].clone()

    LAYERS[name](net).register_forward_hook(hook)
    out = {}
    for what in ("best", "other"):
        logits = net(x)
        classes = logits.argmax(1) if what == "best" else torch.full((PICTURES,), OTHER)
        logits.gather(1, classes[:, None]).sum().backward()
        a, g = kept["a"].detach(), kept["a"].grad
        out[f"{name}.{what}"] = torch.relu((g.mean((2, 3), keepdim=True) * a).sum(1)).float()
    out[f"{name}.logits"] = logits.detach().float()
    return out


if __name__ == "__main__":
    every = {}
    for each in LAYERS:
        every.update(maps(each))
        print(each, tuple(every[each + ".best"].shape), every[each + ".best"].amax((1, 2)).tolist())
    save_file(every, os.path.join(os.path.dirname(__file__), "explain.safetensors"))
