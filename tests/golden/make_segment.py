"""scikit-learn's figures of class maps, for lua/tlua/report/maps.lua. Writes segment.json beside this file.

Dice is f1_score, IoU jaccard_score, over all pixels that count (255 does not); a class that neither occurs nor was seen has none and stays out
of means, as with zero_division=nan. Of each picture alone the mean Dice without class 0 too, and MONAI's of the same (ignore_empty leaves out
classes that do not occur, so only pictures in which all occur are compared)."""
import json
import os

import numpy
import torch
from monai.metrics import DiceMetric
from sklearn import metrics as M

IGNORED = 255
rng = numpy.random.default_rng(3)


def none(v):
    return None if numpy.isnan(v) else float(v)


def figures(labels, predicted, classes):
    counted = labels != IGNORED
    y, p = labels[counted], predicted[counted]
    with numpy.errstate(all="ignore"):
        dice = M.f1_score(y, p, labels=range(classes), average=None, zero_division=numpy.nan)
        iou = M.jaccard_score(y, p, labels=range(classes), average=None, zero_division=0)
    there = [(y == k).any() or (p == k).any() for k in range(classes)]
    iou = numpy.where(there, iou, numpy.nan)
    return {"dice": [none(v) for v in dice], "iou": [none(v) for v in iou], "mean_dice": none(numpy.nanmean(dice[1:])),
            "mean_iou": none(numpy.nanmean(iou[1:])), "accuracy": float(M.accuracy_score(y, p)),
            "confusion": M.confusion_matrix(y, p, labels=range(classes)).tolist()}


def monai(labels, predicted, classes):
    hot = [torch.nn.functional.one_hot(torch.from_numpy(v), classes).permute(0, 3, 1, 2) for v in (predicted, labels)]
    return DiceMetric(include_background=False, reduction="none")(*hot).mean(1).tolist()


cases = []
for *shape, classes, absent, ignored in [(3, 6, 7, 4, None, 0.2), (2, 9, 5, 3, 2, 0.1), (4, 8, 8, 2, None, 0.0), (2, 5, 33, 6, None, 0.05),
                                         (2, 4, 5, 6, 3, None, 0.1)]:  # the last are volumes
    n = shape[0]
    labels = rng.integers(0, classes, shape)
    predicted = numpy.where(rng.random(shape) < 0.6, labels, rng.integers(0, classes, shape))
    if absent is not None:
        labels[labels == absent], predicted[predicted == absent] = 0, 1
    whole = labels.copy()
    labels[rng.random(shape) < ignored] = IGNORED
    case = {"classes": classes, "labels": labels.tolist(), "predicted": predicted.tolist()}
    case.update(figures(labels, predicted, classes))
    case["pictures"] = [figures(labels[i], predicted[i], classes)["mean_dice"] for i in range(n)]
    if absent is None and ignored == 0.0:
        case["monai"] = monai(whole, predicted, classes)
    cases.append(case)
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "segment.json")
with open(path, "w") as f:
    json.dump(cases, f, separators=(",", ":"))
print(path, os.path.getsize(path))
