"""Heat maps of Grad-CAM by PyTorch for networks whose weights and pictures both sides make by formula.

    python tests/golden/make_explain.py      writes tests/golden/explain.safetensors

The map is relu(sum of mean gradient times activation) of the last convolution's output (Selvaraju et al. 2017, equations 1 and 2),
in float64, for the likeliest class and for class 4. Weights are those of make_models.py, the reference for which is checked there.
Where the weighted maps cancel, rounding shows: NAME.rounding is how far the map moves (as a share of the hottest place) when PyTorch computes
it in float32, for each of the two classes."""
import os
import sys

import torch
from safetensors.torch import save_file

sys.path.insert(0, os.path.dirname(__file__))
import make_models  # noqa: E402
from make_models import philox  # noqa: E402

SIDE, PICTURES, SEED, OTHER = 96, 2, 11, 4  # of densenet121 that map is empty



# The module whose output is explained. An activation that forward applies after it as a function must come before the leaf: a second relu would
# block the gradient where the first gave 0.
LAYERS = {
    "resnet18": lambda n: n.layer4,
    "mobilenet_v2": lambda n: n.features,
    "mobilenet_v3_small": lambda n: n.features,
    "squeezenet1_1": lambda n: n.features,
    "vgg16_bn": lambda n: n.features[42],  # the last activation, before the pooling
    "efficientnet_b0": lambda n: n.features,
    "efficientnet_lite0": lambda n: n._avg_pooling,  # its input
    "densenet121": lambda n: n.features,
    "convnext_tiny": lambda n: n.features,
}


def maps(name, dtype=torch.float64):
    make_models.SEED, make_models.SIZE = SEED, SIDE
    net = make_models.build(name).to(dtype).eval()
    for p in net.parameters():
        p.requires_grad = False
    x = torch.from_numpy(philox.normal((PICTURES, SIDE, SIDE, 3), 0, 1, "input", SEED)).permute(0, 3, 1, 2).to(dtype)
    kept = {}

    def leaf(a):
        kept["a"] = a.detach().clone().requires_grad_(True)
        return kept["a"].clone()  # what follows may work in place

    layer = LAYERS[name](net)
    if name == "efficientnet_lite0":
        layer.register_forward_pre_hook(lambda _, inputs: (leaf(inputs[0]),))
    elif name == "densenet121":
        net.forward = lambda pictures: net.classifier(leaf(torch.relu(layer(pictures))).mean((2, 3)))
    else:
        layer.register_forward_hook(lambda _, __, y: leaf(y))
    out = {}
    for what in ("best", "other"):
        logits = net(x)
        classes = logits.argmax(1) if what == "best" else torch.full((PICTURES,), OTHER)
        logits.gather(1, classes[:, None]).sum().backward()
        a, g = kept["a"].detach(), kept["a"].grad
        out[f"{name}.{what}"] = torch.relu((g.mean((2, 3), keepdim=True) * a).sum(1)).float()
    out[f"{name}.logits"] = logits.detach().float()
    return out


def with_rounding(name):
    out, rough = maps(name), maps(name, torch.float32)
    distance = [((rough[k] - out[k]).abs().max() / out[k].abs().max().clamp_min(1e-30)).float() for k in (f"{name}.best", f"{name}.other")]
    out[f"{name}.rounding"] = torch.stack(distance)
    return out


if __name__ == "__main__":
    torch.set_num_threads(1)  # one order of sums
    every = {}
    for each in LAYERS:
        every.update(with_rounding(each))
        print(each, tuple(every[each + ".best"].shape), every[each + ".best"].amax((1, 2)).tolist())
    save_file(every, os.path.join(os.path.dirname(__file__), "explain.safetensors"))
