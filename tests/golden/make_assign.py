"""Goldens of src/task/assign_*.c, lua/tlua/task/boxes/levels.lua and lua/tlua/task/boxes/losses.lua: which cells learn which boxes,
the parts of the losses and their gradients.

    PYTHONPATH=YOLOX python tests/golden/make_assign.py        writes tests/golden/assign.json

SimOTA and its loss are those of YOLOX 0.3.0 (PyPI, Apache-2.0), called as they stand. The task-aligned assignment is
written here after keras-cv 0.9.0 (Apache-2.0; YOLOV8LabelEncoder), but for CIoU, whose v is squared there together with
its factor 4 / pi^2: it is as Zheng et al. 2020 and torchvision have it, and not below 0; the distribution focal loss is that of
Li et al. 2020. Losses of boxes are torchvision's. Outputs of networks are numbers of a rule that the test in Lua knows as well."""
import json
import math
import os

import numpy as np
import torch
import torch.nn.functional as F
import torchvision.ops as tv

HERE = os.path.dirname(os.path.abspath(__file__))
STRIDES, HEIGHT, WIDTH, CLASSES = [8, 16, 32], 64, 96, 3
BOXES = [[[10.5, 8.25, 40, 41], [12, 10, 36, 44], [50, 2, 95.5, 60], [1, 1, 7, 5]],
         [[20, 20, 84, 52.5], [22, 18, 80, 50], [60, 30, 64, 36]]]
LABELS = [[0, 1, 2, 1], [0, 0, 2]]


def numbers(n, seed):
    """n numbers from -1 to 1: the rule."""
    i = np.arange(n, dtype=np.int64)
    return ((i * i % 65521 * 31 + i * 48271 + seed * 7919) % 65521) / 65521 * 2 - 1


def cells():
    out = []
    for s in STRIDES:
        y, x = np.mgrid[0:HEIGHT // s, 0:WIDTH // s]
        out.append(np.stack([x.ravel(), y.ravel(), np.full(x.size, s)], 1))
    return torch.tensor(np.concatenate(out), dtype=torch.float32)


def summary(grad, rows):
    """What is kept of a gradient (N, A, width): sums by column, their sizes, and some rows whole."""
    flat = grad.reshape(-1, grad.shape[-1]).double()
    return {"columns": flat.sum(0).tolist(), "sizes": flat.abs().sum(0).tolist(),
            "rows": [flat[r].tolist() for r in rows[:6]]}


def simota(seed, scale, l1, lift=0.0):
    from yolox.models.yolo_head import YOLOXHead
    head = YOLOXHead(CLASSES, width=0.25)
    head.use_l1 = l1
    c = cells()
    n, a = len(BOXES), len(c)
    raw = torch.tensor(numbers(n * a * (5 + CLASSES), seed) * scale, dtype=torch.float32).reshape(n, a, -1)
    raw[..., 2:4] += lift
    raw.requires_grad_()
    origin = raw[..., :4]
    out = torch.cat([(raw[..., :2] + c[:, :2]) * c[:, 2:], raw[..., 2:4].exp() * c[:, 2:], raw[..., 4:]], 2)
    labels = torch.zeros(n, 5, 5)
    for i, (boxes, names) in enumerate(zip(BOXES, LABELS)):
        for j, (b, k) in enumerate(zip(boxes, names)):
            labels[i, j] = torch.tensor([k, (b[0] + b[2]) / 2, (b[1] + b[3]) / 2, b[2] - b[0], b[3] - b[1]])
    matched = []
    keep = head.get_assignments

    def watch(*args, **more):
        got = keep(*args, **more)
        matched.append((got[1].nonzero()[:, 0], got[3], got[2]))
        return got

    head.get_assignments = watch
    xs, ys, strides = [c[None, :, 0]], [c[None, :, 1]], [c[None, :, 2]]
    loss = head.get_losses(None, xs, ys, strides, labels, out, [origin], raw.dtype)
    loss[0].backward()
    rows, truths, scores = [], [], []
    for i, (at, truth, iou) in enumerate(matched):
        rows += (at + i * a).tolist()
        truths += truth.tolist()
        scores += iou.tolist()
    parts = {"box": loss[1].item(), "object": loss[2].item(), "class": loss[3].item()}
    if l1:
        parts["l1"] = loss[4].item()
    return {"seed": seed, "scale": scale, "l1": l1, "lift": lift, "rows": rows, "truths": truths, "scores": scores, "loss": loss[0].item(),
            "parts": parts, "grad": summary(raw.grad, rows)}


def ciou(a, b):
    """CIoU of all pairs of boxes (n, 4) and (m, 4)."""
    return tv.complete_box_iou(a, b).clamp(min=0)


def aligned(seed, scale, bins):
    c = cells()
    n, a = len(BOXES), len(c)
    width = 4 * bins + CLASSES
    raw = torch.tensor(numbers(n * a * width, seed) * scale, dtype=torch.float32).reshape(n, a, width).requires_grad_()
    logits = raw[..., :4 * bins].reshape(n, a, 4, bins)
    far = (logits.softmax(-1) * torch.arange(bins)).sum(-1)
    centre = c[:, :2] + 0.5
    boxes = torch.cat([centre - far[..., :2], centre + far[..., 2:]], 2)
    scores = raw[..., 4 * bins:]
    targets, rows, truths, weights, wanted = torch.zeros(n, a, CLASSES), [], [], [], []
    for i in range(n):
        truth, label = torch.tensor(BOXES[i]), torch.tensor(LABELS[i])
        with torch.no_grad():
            over = ciou(truth, boxes[i] * c[:, 2:])
            align = scores[i].sigmoid()[:, label].T ** 0.5 * over ** 6
            p = centre * c[:, 2:]
            inside = (p[None] > truth[:, None, :2]).all(-1) & (p[None] < truth[:, None, 2:]).all(-1)
            align = torch.where(inside, align, torch.zeros(()))
            value, at = align.topk(10, dim=1)
            mask = torch.zeros_like(align)
            for g in range(len(truth)):
                mask[g, at[g][value[g] > 0]] = 1
            over, align = over * mask, align * mask
            share = (align * over.amax(1, keepdim=True) / (align.amax(1, keepdim=True) + 1e-9)).amax(0)
            for cell in (over.amax(0) > 0).nonzero()[:, 0].tolist():
                g = over[:, cell].argmax().item()
                targets[i, cell, label[g]] = share[cell]
                rows.append(i * a + cell)
                truths.append(g)
                weights.append(share[cell])
                wanted.append(truth[g])
    total = max(targets.sum().item(), 1)
    weights, wanted = torch.stack(weights), torch.stack(wanted)
    place = c.repeat(n, 1)[rows]
    got = boxes.reshape(-1, 4)[rows] * place[:, 2:]
    each = tv.complete_box_iou_loss(got, wanted)
    box = 7.5 * (each * weights).sum() / total
    kind = 0.5 * F.binary_cross_entropy_with_logits(scores, targets, reduction="sum") / total
    aim = torch.cat([place[:, :2] + 0.5 - wanted[:, :2] / place[:, 2:], wanted[:, 2:] / place[:, 2:] - place[:, :2] - 0.5], 1)
    aim = aim.clamp(0, bins - 1 - 0.01)
    left = aim.long()
    x = raw.reshape(-1, width)[rows][:, :4 * bins].reshape(-1, 4, bins)
    ce = [F.cross_entropy(x.reshape(-1, bins), t.reshape(-1), reduction="none").reshape(-1, 4) for t in (left, left + 1)]
    dfl = (ce[0] * (left + 1 - aim) + ce[1] * (aim - left)).mean(1)
    dist = 1.5 * (dfl * weights).sum() / total
    loss = box + kind + dist
    loss.backward()
    return {"seed": seed, "scale": scale, "bins": bins, "rows": rows, "truths": truths, "scores": weights.tolist(),
            "loss": loss.item(), "parts": {"box": box.item(), "class": kind.item(), "distribution": dist.item()},
            "grad": summary(raw.grad, rows)}


def box_losses():
    corner = torch.tensor(numbers(40, 5) * 20, dtype=torch.float32).reshape(20, 2)
    side = torch.tensor(numbers(40, 6) * 9 + 10, dtype=torch.float32).reshape(20, 2)
    a = torch.cat([corner, corner + side], 1)
    b = a.roll(3, 0) * 0.5 + a * 0.5 + torch.tensor([0.5, -1, 2, 1])
    out = {"a": a.tolist(), "b": b.tolist(), "losses": {}}
    kinds = {"giou": tv.generalized_box_iou_loss, "diou": tv.distance_box_iou_loss, "ciou": tv.complete_box_iou_loss}
    for name, f in kinds.items():
        x = a.clone().requires_grad_()
        loss = f(x, b)
        loss.sum().backward()
        out["losses"][name] = {"loss": loss.tolist(), "grad": x.grad.tolist()}
    return out


def main():
    golden = {"strides": STRIDES, "height": HEIGHT, "width": WIDTH, "classes": CLASSES, "boxes": BOXES, "labels": LABELS,
              "simota": [simota(1, 1.0, False), simota(2, 3.0, False), simota(3, 0.2, True),
                         simota(7, 0.25, True, 1.25)],
              "aligned": [aligned(4, 1.0, 16), aligned(5, 4.0, 8), aligned(6, 12.0, 16)], "box": box_losses()}
    with open(os.path.join(HERE, "assign.json"), "w") as f:
        json.dump(golden, f)
        f.write("\n")


main()
