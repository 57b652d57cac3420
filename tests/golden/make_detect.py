"""Goldens of src/task/detect*.c and src/task/nms.c: COCO's figures by pycocotools and non-maximum suppression by
torchvision, of small random pictures with what is awkward: equal scores and overlaps, crowds, pictures without boxes,
classes that are never there, boxes on the edge of a size.

    python tests/golden/make_detect.py            writes tests/golden/detect.json (pycocotools 2.0.11, torchvision)
    python tests/golden/make_detect.py random N   N random cases to standard output, for a comparison by hand:
                                                  python ... random 200 > /tmp/cases.json; tlua tests/lua/detect.lua"""
import contextlib
import io
import json
import os
import sys

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

HERE = os.path.dirname(os.path.abspath(__file__))
FIGURES = ["ap", "ap_50", "ap_75", "ap_small", "ap_medium", "ap_large", "ar_1", "ar_10", "ar_100", "ar_small", "ar_medium",
           "ar_large"]


def picture(rng, classes, kind):
    """Truths with marks and areas, and what was found: truths moved about, and boxes out of the air."""
    m = 0 if kind == "empty" else int(rng.integers(0, 9 if kind != "many" else 40))
    side = rng.choice([8, 24, 32, 60, 96, 150], size=(m, 2)).astype(float)
    corner = rng.integers(0, 400, size=(m, 2)).astype(float)
    truth = np.concatenate([corner, corner + side], 1)
    label = rng.integers(0, classes - 1 if kind != "all" else classes, size=m)
    crowd = (rng.random(m) < 0.15).astype(int)
    area = side.prod(1) * rng.choice([1, 1, 0.7], size=m)
    again = rng.integers(0, m, size=int(rng.integers(0, 2 * m + 1))) if m else np.zeros(0, int)
    moved = truth[again] + (rng.integers(-6, 7, size=(len(again), 4)) if kind != "exact" else 0)
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    air = int(rng.integers(0, 5 if kind != "many" else 150))
    at = rng.integers(0, 400, size=(air, 2)).astype(float)
    boxes = np.concatenate([moved, np.concatenate([at, at + rng.integers(1, 200, size=(air, 2))], 1)])
    labels = np.concatenate([np.where(rng.random(len(again)) < 0.85, label[again], rng.integers(0, classes, size=len(again))),
                             rng.integers(0, classes, size=air)]).astype(int)
    steps = 10 if kind in ("ties", "many") else 1000
    scores = rng.integers(0, steps + 1, size=len(boxes)) / steps
    return {"truth": truth.tolist(), "truth_labels": label.tolist(), "crowd": crowd.tolist(), "areas": area.tolist(),
            "boxes": boxes.tolist(), "labels": labels.tolist(), "scores": scores.tolist()}


def wide(p):
    return [p[0], p[1], p[2] - p[0], p[3] - p[1]]


def evaluated(pictures, classes):
    """pycocotools' stats, of all classes and of each; -1 becomes None."""
    images = [{"id": i + 1, "width": 640, "height": 640} for i in range(len(pictures))]
    annotations, found = [], []
    for i, p in enumerate(pictures):
        for box, label, crowd, area in zip(p["truth"], p["truth_labels"], p["crowd"], p["areas"]):
            annotations.append({"id": len(annotations) + 1, "image_id": i + 1, "category_id": label + 1, "bbox": wide(box),
                                "area": area, "iscrowd": crowd})
        for box, label, score in zip(p["boxes"], p["labels"], p["scores"]):
            found.append({"image_id": i + 1, "category_id": label + 1, "bbox": wide(box), "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"images": images, "annotations": annotations, "info": {},
                        "categories": [{"id": k + 1, "name": str(k)} for k in range(classes)]}
        coco.createIndex()
        e = COCOeval(coco, coco.loadRes(found) if found else COCO(), "bbox")
        if not found:
            e.cocoDt.dataset = {"images": images, "annotations": [], "categories": coco.dataset["categories"]}
            e.cocoDt.createIndex()
        e.evaluate()
        e.accumulate()
        e.summarize()
    of_class = []
    for k in range(classes):
        p, r = e.eval["precision"][:, :, k], e.eval["recall"][:, k]
        rows = [p[:, :, 0, 2], p[0, :, 0, 2], p[5, :, 0, 2], p[:, :, 1, 2], p[:, :, 2, 2], p[:, :, 3, 2], r[:, 0, 0], r[:, 0, 1],
                r[:, 0, 2], r[:, 1, 2], r[:, 2, 2], r[:, 3, 2]]
        of_class.append([float(v[v > -1].mean()) if (v > -1).any() else -1 for v in rows])
    clean = lambda row: {key: None if v == -1 else float(v) for key, v in zip(FIGURES, row)}
    return {"all": clean(e.stats), "classes": [clean(row) for row in of_class], "curves": curves(e, classes)}


def curves(e, classes):
    """Hits and false alarms of each class at an IoU of 0.5, by the marks that pycocotools sets."""
    out = []
    for k in range(classes):
        every = e.evalImgs[k * 4 * len(e.params.imgIds):k * 4 * len(e.params.imgIds) + len(e.params.imgIds)]
        every = [one for one in every if one is not None]
        if not every:
            out.append({"truths": 0, "hits": 0, "false_alarms": 0})
            continue
        ignored = np.concatenate([one["dtIgnore"][0] for one in every]).astype(bool)
        hit = np.concatenate([one["dtMatches"][0] for one in every]) > 0
        out.append({"truths": int(sum((one["gtIgnore"] == 0).sum() for one in every)), "hits": int((hit & ~ignored).sum()),
                    "false_alarms": int((~hit & ~ignored).sum())})
    return out


def case(seed):
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 5))
    kind = ["plain", "ties", "exact", "all", "many"][seed % 5]
    pictures = [picture(rng, classes, "empty" if rng.random() < 0.2 else kind) for _ in range(int(rng.integers(1, 8)))]
    return {"kind": kind, "pictures": pictures, "number": classes, **evaluated(pictures, classes)}


def suppressed(seed):
    import torch
    from torchvision.ops import nms
    from torchvision.ops.boxes import _batched_nms_vanilla

    rng = np.random.default_rng(1000 + seed)
    n = [0, 1, 40, 60, 80][seed % 5]
    at = rng.integers(0, 60, size=(n, 2)).astype(np.float32)
    boxes = np.concatenate([at, at + rng.integers(0, 40, size=(n, 2))], 1).astype(np.float32)
    scores = np.float32(rng.permutation(n) / 128)
    labels = rng.integers(0, 3, size=n)
    iou = float(rng.choice([0.3, 0.5, 0.65]))
    b, s, c = torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(labels)
    return {"boxes": boxes.tolist(), "scores": scores.tolist(), "labels": labels.tolist(), "iou": iou,
            "across": nms(b, s, iou).tolist(), "per_class": _batched_nms_vanilla(b, s, c, iou).tolist()}


def main():
    if sys.argv[1:2] == ["random"]:
        json.dump({"average": [case(100 + i) for i in range(int(sys.argv[2]))], "nms": [suppressed(i) for i in range(40)]}, sys.stdout)
        return
    out = {"average": [case(i) for i in (0, 1, 2, 3, 4, 6)], "nms": [suppressed(i) for i in range(5)]}
    with open(os.path.join(HERE, "detect.json"), "w") as f:
        json.dump(out, f, separators=(",", ":"))


if __name__ == "__main__":
    main()
