"""Goldens of the losses as modules: values and gradients by PyTorch's own, with the options that a recipe gives.

    python tests/golden/make_loss.py     writes tests/golden/loss.json

Losses of maps: Dice is segmentation_models_pytorch's DiceLoss in multiclass mode, and where it leaves out classes MONAI's.

The operators below them are compared sample by sample in make_ops.py; here are names, options and what follows from them."""
import json
import os

import torch
import torchvision
from torch import nn

import philox

HERE = os.path.dirname(os.path.abspath(__file__))
N, C = 6, 4
LABELS = [3, 0, 1, 1, 2, 0]
WEIGHT = [0.5, 2.0, 1.0, 3.0]
T = torch.tensor


def balanced(labels):
    """scikit-learn's class_weight="balanced"."""
    counts = torch.bincount(torch.tensor(labels), minlength=C).float()
    return len(labels) / (C * counts)


def focal(logits, labels, gamma, weight, ignore, reduction):
    p = torch.softmax(logits, -1).gather(-1, labels.clamp(0).unsqueeze(-1)).squeeze(-1)
    counts = labels != ignore
    loss = torch.where(counts, -(1 - p) ** gamma * torch.log(p) * (1.0 if weight is None else T(weight)[labels.clamp(0)]), T(0.0))
    return {"none": loss, "sum": loss.sum(), "mean": loss.sum() / counts.sum()}[reduction]


def cases(labels, shares, hot):
    """kind, options, target, the value as a function of the logits."""
    ce = nn.CrossEntropyLoss
    yield "CrossEntropy", {}, "labels", lambda x: ce()(x, labels)
    yield "CrossEntropy", {"weight": WEIGHT, "ignore_index": 1}, "labels", lambda x: ce(weight=T(WEIGHT), ignore_index=1)(x, labels)
    smooth = {"weight": WEIGHT, "label_smoothing": 0.2, "ignore_index": 0}
    yield "CrossEntropy", smooth, "labels", lambda x: ce(weight=T(WEIGHT), label_smoothing=0.2, ignore_index=0)(x, labels)
    yield "CrossEntropy", dict(smooth, reduction="sum"), "labels", lambda x: ce(weight=T(WEIGHT), label_smoothing=0.2, ignore_index=0, reduction="sum")(x, labels)
    yield "CrossEntropy", {"weight": "auto"}, "labels", lambda x: ce(weight=balanced(LABELS))(x, labels)
    yield "CrossEntropy", {}, "shares", lambda x: ce()(x, shares)
    yield "CrossEntropy", {"weight": WEIGHT, "label_smoothing": 0.1}, "shares", lambda x: ce(weight=T(WEIGHT), label_smoothing=0.1)(x, shares)
    yield "FocalLoss", {}, "labels", lambda x: focal(x, labels, 2, None, -100, "mean")
    yield "FocalLoss", {"gamma": 0.5, "weight": WEIGHT, "ignore_index": 1}, "labels", lambda x: focal(x, labels, 0.5, WEIGHT, 1, "mean")
    yield "FocalLoss", {"gamma": 0, "reduction": "sum"}, "labels", lambda x: ce(reduction="sum")(x, labels)
    yield "MSELoss", {}, "shares", lambda x: nn.MSELoss()(x, shares)
    yield "MSELoss", {"reduction": "sum"}, "labels", lambda x: nn.MSELoss(reduction="sum")(x, hot)
    yield "SmoothL1Loss", {}, "shares", lambda x: nn.SmoothL1Loss()(x, shares)
    yield "SmoothL1Loss", {"beta": 0, "reduction": "sum"}, "shares", lambda x: nn.L1Loss(reduction="sum")(x, shares)
    yield "BCEWithLogits", {}, "shares", lambda x: nn.BCEWithLogitsLoss()(x, shares)
    yield "BCEWithLogits", {"pos_weight": WEIGHT}, "labels", lambda x: nn.BCEWithLogitsLoss(pos_weight=T(WEIGHT))(x, hot)
    yield "BCEWithLogits", {"pos_weight": 3.0}, "shares", lambda x: nn.BCEWithLogitsLoss(pos_weight=T(3.0))(x, shares)
    yield "SigmoidFocalLoss", {}, "labels", lambda x: torchvision.ops.sigmoid_focal_loss(x, hot, reduction="mean")
    yield "SigmoidFocalLoss", {"alpha": -1, "gamma": 1.5}, "shares", lambda x: torchvision.ops.sigmoid_focal_loss(x, shares, -1, 1.5, "mean")


def map_cases(labels, whole):
    """kind, options (for a sum a list of parts), target, the value as a function of the logits (N, C, H, W)."""
    from monai.losses import DiceLoss as Monai
    from segmentation_models_pytorch.losses import DiceLoss, TverskyLoss
    ce = nn.CrossEntropyLoss

    def dice(**options):
        return DiceLoss("multiclass", **options)

    counted = labels.reshape(-1) != 255

    def rows(x):
        return x.permute(0, 2, 3, 1).reshape(-1, C)[counted], labels.reshape(-1)[counted]

    yield "CrossEntropy", {"ignore_index": 255}, "labels", lambda x: ce(ignore_index=255)(x, labels)
    yield "CrossEntropy", {"ignore_index": 255, "weight": WEIGHT}, "labels", lambda x: ce(ignore_index=255, weight=T(WEIGHT))(x, labels)
    yield "CrossEntropy", {"ignore_index": 255, "weight": "auto"}, "labels", lambda x: ce(ignore_index=255, weight=map_balanced(labels))(x, labels)
    yield "FocalLoss", {"ignore_index": 255, "weight": WEIGHT}, "labels", lambda x: focal(*rows(x), 2, WEIGHT, 255, "mean")
    yield "Dice", {}, "whole", lambda x: dice()(x, whole)
    yield "Dice", {"ignore_index": 255}, "labels", lambda x: dice(ignore_index=255)(x, labels)
    yield "Dice", {"ignore_index": 255, "smooth": 1, "log": True}, "labels", lambda x: dice(ignore_index=255, smooth=1.0, log_loss=True)(x, labels)
    yield "Dice", {"ignore_index": 255, "weight": WEIGHT}, "labels", lambda x: dice(ignore_index=255, class_weights=WEIGHT)(x, labels)
    # Class 3 occurs in no pixel: smp's mean over the three that do.
    yield "Dice", {"ignore_index": 255, "over": "present"}, "labels", lambda x: dice(ignore_index=255, classes=[0, 1, 2])(x, labels)
    yield "Dice", {"background": False}, "whole", lambda x: Monai(include_background=False, softmax=True, to_onehot_y=True, batch=True,
                                                                  smooth_nr=0, smooth_dr=0)(x, whole[:, None])
    tversky = {"alpha": 0.3, "beta": 0.7}
    yield "Tversky", tversky, "whole", lambda x: TverskyLoss("multiclass", **tversky)(x, whole)
    yield "Tversky", dict(tversky, ignore_index=255, smooth=1, gamma=0.75), "labels", \
        lambda x: TverskyLoss("multiclass", ignore_index=255, smooth=1.0, gamma=0.75, **tversky)(x, labels)
    yield "Sum", [["CrossEntropy", {"ignore_index": 255}, 1], ["Dice", {"ignore_index": 255}, 0.5]], "labels", \
        lambda x: ce(ignore_index=255)(x, labels) + 0.5 * dice(ignore_index=255)(x, labels)


def map_balanced(labels):
    """scikit-learn's "balanced" over the pixels that count; a class without any has 1."""
    counts = torch.bincount(labels[labels != 255], minlength=C).float()
    present = counts > 0
    return torch.where(present, counts.sum() / (present.sum() * counts.clamp(1)), T(1.0))


def maps():
    logits = torch.from_numpy(philox.normal((2, 5, 6, C), 0, 2, "map", 1))
    at = torch.arange(60).reshape(2, 5, 6)
    labels = torch.where(at % 7 == 6, 255, at // 4 % 3)  # none of class 3
    whole = at // 5 % C
    out = []
    for kind, options, target, value in map_cases(labels, whole):
        x = logits.permute(0, 3, 1, 2).clone().requires_grad_(True)
        y = value(x)
        y.backward()
        out.append({"kind": kind, "options": options, "target": target, "value": y.item(), "gradient": x.grad.permute(0, 2, 3, 1).flatten().tolist()})
    return {"logits": logits.tolist(), "labels": labels.tolist(), "whole": whole.tolist(), "cases": out}


def main():
    logits = torch.from_numpy(philox.normal((N, C), 0, 2, "logits", 1))
    labels = torch.tensor(LABELS)
    shares = torch.softmax(torch.from_numpy(philox.normal((N, C), 0, 1, "shares", 1)), -1)
    hot = nn.functional.one_hot(labels, C).float()
    out = []
    for kind, options, target, value in cases(labels, shares, hot):
        x = logits.clone().requires_grad_(True)
        y = value(x)
        y.backward()
        out.append({"kind": kind, "options": options, "target": target, "value": y.item(), "gradient": x.grad.flatten().tolist()})
    path = os.path.join(HERE, "loss.json")
    with open(path, "w") as f:
        json.dump({"logits": logits.tolist(), "labels": LABELS, "shares": shares.tolist(), "counts": torch.bincount(labels, minlength=C).tolist(), "cases": out, "maps": maps()}, f)
    print(path, len(out), "cases", os.path.getsize(path), "bytes")


if __name__ == "__main__":
    main()
