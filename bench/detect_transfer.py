"""A recipe on boxes in PyTorch with YOLOX 0.3.0 of PyPI: the same network, weights, changes of pictures, rates and average of
the weights as tlua's, by what bench/detect_parts.lua has written. Seeds decide order and changes; the two programs draw
different ones.

    tlua bench/detect_parts.lua recipes/cells.lua parts.json --data.limit 100
    PYTHONPATH=YOLOX python bench/detect_transfer.py parts.json SEED...

Tells COCO's mAP and mAP50 of the test by pycocotools. BENCH_THREADS: threads of PyTorch (2)."""
import contextlib
import copy
import io
import json
import math
import os
import random
import sys
import time

import cv2
import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from safetensors.torch import load_file
from yolox.data.data_augment import TrainTransform, ValTransform
from yolox.data.datasets.mosaicdetection import MosaicDetection
from yolox.models import YOLOPAFPN, YOLOX, YOLOXHead
from yolox.utils import postprocess

torch.set_num_threads(int(os.environ.get("BENCH_THREADS", "2")))
SIZES = {"yolox_nano": (0.33, 0.25, True), "yolox_tiny": (0.33, 0.375, False), "yolox_s": (0.33, 0.5, False)}


class Pictures:
    """What MosaicDetection asks of a data set."""

    def __init__(self, rows, size):
        self.rows, self.size = rows, (size, size)
        self.input_dim = self._input_dim = self.size
        self.kept = {}

    def __len__(self):
        return len(self.rows)

    def boxes(self, i):
        r = self.rows[i]
        return np.array([b + [k] for b, k in zip(r["boxes"], r["labels"])], dtype=np.float64).reshape(-1, 5)

    def load_anno(self, i):
        scale = self.scale(i)
        out = self.boxes(i)
        out[:, :4] *= scale
        return out

    def scale(self, i):
        r = self.rows[i]
        return min(self.size[0] / r["height"], self.size[1] / r["width"])

    def pull_item(self, i):
        r, s = self.rows[i], self.scale(i)
        if i not in self.kept:
            picture = cv2.imread(r["path"])
            self.kept[i] = cv2.resize(picture, (int(picture.shape[1] * s), int(picture.shape[0] * s)),
                                      interpolation=cv2.INTER_LINEAR).astype(np.uint8)
        return self.kept[i].copy(), self.load_anno(i), (r["height"], r["width"]), np.array([i])


def network(about, path):
    depth, width, depthwise = SIZES[about["model"]]
    net = YOLOX(YOLOPAFPN(depth, width, depthwise=depthwise), YOLOXHead(len(about["classes"]), width, depthwise=depthwise))
    for m in net.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.eps, m.momentum = 1e-3, 0.03
    net.load_state_dict({k: v for k, v in load_file(path).items()}, strict=True)
    return net.to(memory_format=torch.channels_last)


def hsv_of(about):
    """YOLOX's changes of hue, saturation and value are fixed at 5, 30, 30 in its TrainTransform."""
    assert about.get("hsv") in (None, False, [5, 30, 30]), about["hsv"]
    return 1.0 if about.get("hsv") else 0.0


def train(net, about, seed):
    data = Pictures(about["parts"]["train"], about["size"])
    mosaics = MosaicDetection(data, (about["size"],) * 2, mosaic=about["mosaic"] > 0,
                              preproc=TrainTransform(max_labels=120, flip_prob=about["flip"] or 0, hsv_prob=hsv_of(about)),
                              degrees=10.0, translate=0.1, mosaic_scale=tuple(about["scale"]), mixup_scale=(0.5, 1.5), shear=2.0,
                              enable_mixup=about["mixup"] > 0, mosaic_prob=about["mosaic"], mixup_prob=about["mixup"])
    params, average, done = dict(net.named_parameters()), None, 0
    total = sum(s["epochs"] for s in about["stages"])
    epoch = 0
    for stage in about["stages"]:
        trained = {n for g in stage["groups"] for n in g["names"]}
        for name, p in params.items():
            p.requires_grad_(name in trained)
        optim = torch.optim.SGD([{"params": [params[n] for n in g["names"]], "lr": g["lr"], "weight_decay": g["weight_decay"]}
                                 for g in stage["groups"]], lr=1e-3, momentum=about["momentum"], nesterov=True)
        rates, at = [g["lr"] for g in stage["groups"]], 0
        average = copy.deepcopy(net) if about["ema"] else None
        done = 0
        for _ in range(stage["epochs"]):
            closed = epoch >= total - about["close"]
            mosaics.enable_mosaic = about["mosaic"] > 0 and not closed
            net.head.use_l1 = about["l1"] == "always" or about["l1"] == "closed" and closed
            net.train()
            order = list(range(len(data)))
            random.shuffle(order)
            for k in range(0, len(order), about["batch"]):
                items = [mosaics[(mosaics.enable_mosaic, i)] for i in order[k:k + about["batch"]]]
                x = torch.from_numpy(np.stack([i[0] for i in items])).float().to(memory_format=torch.channels_last)
                y = torch.from_numpy(np.stack([i[1] for i in items])).float()
                for g, lr in zip(optim.param_groups, rates):
                    g["lr"] = lr * stage["factors"][min(at, len(stage["factors"]) - 1)]
                optim.zero_grad()
                net(x, y)["total_loss"].backward()
                optim.step()
                at, done = at + 1, done + 1
                if average is not None:
                    decay = about["ema"] * ((1 - math.exp(-done / about["ema_ramp"])) if about["ema_ramp"] else 1)
                    with torch.no_grad():
                        own = net.state_dict()
                        for name, v in average.state_dict().items():
                            if v.dtype.is_floating_point:
                                v.mul_(decay).add_(own[name], alpha=1 - decay)
            epoch += 1
    return average if average is not None else net


def test(net, about):
    rows, n = about["parts"]["test"], len(about["classes"])
    net.eval()
    images, annotations, found = [], [], []
    transform = ValTransform(legacy=False)
    for i, r in enumerate(rows):
        images.append({"id": i + 1, "width": r["width"], "height": r["height"]})
        for b, k in zip(r["boxes"], r["labels"]):
            w, h = b[2] - b[0], b[3] - b[1]
            annotations.append({"id": len(annotations) + 1, "image_id": i + 1, "category_id": k + 1, "area": w * h,
                                "bbox": [b[0], b[1], w, h], "iscrowd": 0})
        x, _ = transform(cv2.imread(r["path"]), None, (about["size"],) * 2)
        with torch.no_grad():
            y = postprocess(net(torch.from_numpy(x)[None].float()), n, 0.01, 0.65)[0]
        if y is None:
            continue
        scale = min(about["size"] / r["height"], about["size"] / r["width"])
        for row in y.tolist():
            b = [max(0, min(row[j] / scale, r["width"] if j % 2 == 0 else r["height"])) for j in range(4)]
            found.append({"image_id": i + 1, "category_id": int(row[6]) + 1, "score": row[4] * row[5],
                          "bbox": [b[0], b[1], b[2] - b[0], b[3] - b[1]]})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {"images": images, "annotations": annotations, "categories": [{"id": k + 1} for k in range(n)]}
        truth.createIndex()
        e = COCOeval(truth, truth.loadRes(found), "bbox") if found else None
        if e is None:
            return 0.0, 0.0
        e.evaluate()
        e.accumulate()
        e.summarize()
    return 100 * e.stats[0], 100 * e.stats[1]


def main():
    path = sys.argv[1]
    with open(path) as f:
        about = json.load(f)
    for seed in (int(s) for s in sys.argv[2:]):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        begin = time.time()
        net = network(about, path.replace(".json", ".safetensors"))
        before = test(net, about)
        net = train(net, about, seed)
        after = test(net, about)
        print("seed %d: mAP %.1f, mAP50 %.1f (before the first step %.1f, %.1f; %.0f s)" % (seed, *after, *before,
                                                                                          time.time() - begin), flush=True)


main()
