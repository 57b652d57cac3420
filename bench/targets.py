"""recipes/xray_multilabel.lua and recipes/cell_count.lua in PyTorch, with the same weights, parts, preprocessing and schedule: features of
EfficientNet-Lite0 in inference mode, a new linear layer on them, Adam with a cosine over all steps.

    tlua bench/parts.lua recipes/xray_multilabel.lua --data.path findings.csv --weights WEIGHTS.pth > parts.csv
    python bench/targets.py xray parts.csv findings.csv WEIGHTS.pth SEED...      (or: cells parts.csv counts.csv ...)"""
import csv
import math
import os
import sys

import numpy
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from sklearn.metrics import average_precision_score, mean_absolute_error, mean_squared_error, r2_score, roc_auc_score

what, parts_file, table, weights, seeds = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], [int(s) for s in sys.argv[5:]]
XRAY = what == "xray"
NAMES = ["pneumonia", "covid19"] if XRAY else ["RBC"]
EPOCHS, LR, BATCH = (20, 1e-3, 32) if XRAY else (60, 3e-3, 32)
torch.set_num_threads(2)

folder = os.path.dirname(os.path.abspath(table))
with open(table) as f:
    rows = {os.path.join(folder, r["file"]): [float(r[n]) for n in NAMES] for r in csv.DictReader(f)}
parts = {"train": [], "validation": [], "test": []}
for line in open(parts_file):
    path, part = line.rstrip("\n").rsplit(",", 1)
    parts[part].append(os.path.abspath(path))


def prepared(path):
    image = Image.open(path).convert("RGB")
    if XRAY:  # the shorter side to 256, the middle of it
        w, h = image.size
        short, long = (w, h) if w <= h else (h, w)
        size = (256, int(256 * long / short)) if w <= h else (int(256 * long / short), 256)
        image = image.resize(size, Image.BICUBIC)
        left, top = round((size[0] - 224) / 2.0), round((size[1] - 224) / 2.0)
        image = image.crop((left, top, left + 224, top + 224))
    else:
        image = image.resize((224, 224), Image.BICUBIC)
    return torch.from_numpy((numpy.asarray(image, numpy.float32) / 255 - 127 / 255) / (128 / 255)).permute(2, 0, 1)


net = EfficientNet.from_name("efficientnet-lite0")
net.load_state_dict(torch.load(weights, weights_only=True))
net.eval()


def features(paths):
    out = []
    with torch.no_grad():
        for i in range(0, len(paths), 16):
            x = torch.stack([prepared(p) for p in paths[i:i + 16]])
            y = net._swish(net._bn0(net._conv_stem(x)))
            for block in net._blocks:
                y = block(y)
            out.append(net._swish(net._bn1(net._conv_head(y))).mean((2, 3)))
    return torch.cat(out)


data = {k: (features(v), torch.tensor([rows[p] for p in v])) for k, v in parts.items() if v}
train_x, train_y = data["train"]
steps = math.ceil(len(train_x) / BATCH)


def figures(layer, part):
    with torch.no_grad():
        out = layer(data[part][0]).numpy()
    y = data[part][1].numpy()
    if XRAY:
        return roc_auc_score(y, out), average_precision_score(y, out)
    return mean_absolute_error(y, out), math.sqrt(mean_squared_error(y, out)), r2_score(y, out)


for seed in seeds:
    torch.manual_seed(seed)
    layer = torch.nn.Linear(1280, len(NAMES))
    if not XRAY:
        layer.bias.data.copy_(train_y.mean(0))
    opt, best = torch.optim.Adam(layer.parameters(), lr=LR), None
    loss = torch.nn.BCEWithLogitsLoss() if XRAY else torch.nn.MSELoss()
    for epoch in range(EPOCHS):
        order = torch.randperm(len(train_x))
        for i in range(steps):
            for g in opt.param_groups:
                g["lr"] = LR * 0.5 * (1 + math.cos(math.pi * (epoch * steps + i) / (EPOCHS * steps)))
            which = order[i * BATCH:(i + 1) * BATCH]
            opt.zero_grad()
            loss(layer(train_x[which]), train_y[which]).backward()
            opt.step()
        if not XRAY:  # keep = "best"
            mae = figures(layer, "validation")[0]
            if best is None or mae < best[0]:
                best = (mae, {k: v.clone() for k, v in layer.state_dict().items()})
    if best:
        layer.load_state_dict(best[1])
    if XRAY:
        print("xray, seed %d: AUROC %.4f, average precision %.4f" % (seed, *figures(layer, "test")), flush=True)
    else:
        print("cells, seed %d: mean absolute error %.3f, root mean square error %.3f, R2 %.4f" % (seed, *figures(layer, "test")), flush=True)
