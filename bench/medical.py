"""The recipes of X-rays and slices in PyTorch, with the same weights, parts, preprocessing, changes and schedule, and
the figures of both. Seeds decide the head's first values, order and changes; the two programs draw different ones.

    tlua bench/parts.lua recipes/chest_xray.lua --model efficientnet_lite0 > parts.csv
    python bench/medical.py xray parts.csv efficientnet-lite0-57934424.pth SEED...      (tumor the same)
    python bench/medical.py pneumonia pneumoniamnist.npz efficientnet-lite0-57934424.pth SEED...
    python bench/medical.py scores parts.csv SCORES.csv    of tlua predict RUN PICTURES --csv, pictures of parts.csv
    python bench/medical.py pictures pneumoniamnist.npz DIR     its validation and test pictures as files, and parts.csv

Of each: the area under the ROC curve with DeLong's interval (DeLong et al. 1988), and with the threshold at which nine
in ten of the validation pictures without a finding have a lower score: sensitivity and specificity of the test part, with
Wilson's intervals. BENCH_THREADS: threads of PyTorch (2)."""
import csv
import math
import os
import sys

import numpy
import torch
from PIL import Image
from torchvision.transforms import ColorJitter, InterpolationMode, RandomAffine

BILINEAR = InterpolationMode.BILINEAR
torch.set_num_threads(int(os.environ.get("BENCH_THREADS", "2")))


# ---- figures ----

def auroc(scores, labels):
    """AUROC and its interval by DeLong's variance."""
    ill, well = scores[labels == 1], scores[labels == 0]
    wins = (ill[:, None] > well[None]) + 0.5 * (ill[:, None] == well[None])
    area = wins.mean()
    error = math.sqrt(wins.mean(1).var(ddof=1) / len(ill) + wins.mean(0).var(ddof=1) / len(well))
    return area, area - 1.959964 * error, min(1, area + 1.959964 * error)


def wilson(k, n):
    z = 1.959964
    middle, half = (k + z * z / 2) / (n + z * z), z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    return "%.1f (%.1f to %.1f)" % (100 * k / n, 100 * (middle - half), 100 * (middle + half))


def said(name, scores, labels):
    """scores and labels: {part: numbers}."""
    well = numpy.sort(scores["validation"][labels["validation"] == 0])
    at = well[math.ceil(0.9 * len(well)) - 1]  # of what lies above it is said that there is something
    above, truth = scores["test"] > at, labels["test"] == 1
    area = auroc(scores["test"], labels["test"])
    print("%s: AUROC %.4f (%.4f to %.4f); threshold %.4f, sensitivity %s, specificity %s" % (
        name, *area, at, wilson((above & truth).sum(), truth.sum()), wilson((~above & ~truth).sum(), (~truth).sum())),
        flush=True)
    return area[0]


# ---- the network ----

class Lite0:
    """EfficientNet-Lite0 in parts: blocks below `cut` are frozen. Batch norms keep their statistics, as in recipes."""

    def __init__(self, weights, cut):
        from efficientnet_lite_pytorch import EfficientNet
        self.net, self.cut = EfficientNet.from_name("efficientnet-lite0"), cut
        self.net.load_state_dict(torch.load(weights, weights_only=True))
        self.net._fc = torch.nn.Linear(1280, 2)
        self.net.to(memory_format=torch.channels_last).eval()

    def lower(self, x):
        """What is frozen; with `cut` 16 up to the features."""
        net, results = self.net, []
        with torch.no_grad():
            for i in range(0, len(x), 50):
                y = net._swish(net._bn0(net._conv_stem(x[i:i + 50].contiguous(memory_format=torch.channels_last))))
                results.append(self.blocks(y, 0, self.cut, False))
        return torch.cat(results)

    def blocks(self, x, first, last, train):
        net = self.net
        for i in range(first, last):
            net._blocks[i].training = train
            x = net._blocks[i](x, drop_connect_rate=0.2 * i / len(net._blocks) if train else None)
        return x if last < 16 else net._swish(net._bn1(net._conv_head(x))).mean((2, 3))

    def upper(self, x, train=False):
        net = self.net
        if self.cut == 0:
            x = net._swish(net._bn0(net._conv_stem(x.contiguous(memory_format=torch.channels_last))))
        return net._fc(self.blocks(x, self.cut, 16, train) if self.cut < 16 else x)

    def scores(self, x):
        with torch.no_grad():
            return torch.cat([self.upper(x[i:i + 64]).softmax(1)[:, 1] for i in range(0, len(x), 64)]).numpy()


def rate(step, steps, warm):
    """A line for `warm` steps, then a cosine, as tlua/train/schedule.lua."""
    if step < warm:
        return 0.01 + 0.99 * step / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def train(model, groups, views, labels, epochs, batch, warm, make):
    """views: a list of (N, ...), or a function that draws one; epoch e takes the one of its turn."""
    optimizer = make(groups)
    first, steps = [g["lr"] for g in optimizer.param_groups], math.ceil(len(labels) / batch)
    weight, step = len(labels) / (2 * torch.bincount(labels).float()), 0
    for epoch in range(epochs):
        x = views() if callable(views) else views[epoch % len(views)]
        for rows in torch.randperm(len(labels)).split(batch):
            for g, lr in zip(optimizer.param_groups, first):
                g["lr"] = lr * rate(step, steps * epochs, round(warm * steps))
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model.upper(x[rows], True), labels[rows], weight=weight).backward()
            optimizer.step()
            step += 1


# ---- pictures ----

def prepared(image):
    return torch.from_numpy((numpy.asarray(image, numpy.float32) / 255 - 127 / 255) / (128 / 255)).permute(2, 0, 1)


def middle(image):
    """The shorter side to 256, the middle 224 of it."""
    w, h = image.size
    short, long = (w, h) if w <= h else (h, w)
    size = (256, int(256 * long / short)) if w <= h else (int(256 * long / short), 256)
    image = image.resize(size, Image.BICUBIC)
    left, top = round((size[0] - 224) / 2.0), round((size[1] - 224) / 2.0)
    return image.crop((left, top, left + 224, top + 224))


def stretched(image):
    return image.resize((224, 224), Image.BICUBIC)


def read_parts(path, fit, ill):
    """{part: pictures}, {part: labels}; the folder's name is the class."""
    images, labels = {}, {}
    for line in open(path):
        name, part = line.rstrip("\n").rsplit(",", 1)
        images.setdefault(part, []).append(fit(Image.open(name).convert("RGB")))
        labels.setdefault(part, []).append(int(os.path.basename(os.path.dirname(name)) == ill))
    return images, {k: numpy.array(v) for k, v in labels.items()}


def stack(images, *changes):
    out = []
    for image in images:
        for change in changes:
            image = change(image)
        out.append(prepared(image))
    return torch.stack(out)


# ---- recipes ----

XRAY = (RandomAffine(7, (0.03, 0.03), (0.95, 1.1), interpolation=BILINEAR), ColorJitter(0.15, 0.15))


def xray(parts, weights, seed):
    """The head, then blocks 10 to 15 too, on four views that went through what is frozen once."""
    images, labels = read_parts(parts, middle, "pneumonia")
    truth = torch.from_numpy(labels["train"])
    torch.manual_seed(seed)
    model = Lite0(weights, 10)
    views = [model.lower(stack(images["train"], *XRAY)) for _ in range(4)]
    plain = {k: model.lower(stack(images[k])) for k in ("validation", "test")}
    for p in model.net.parameters():
        p.requires_grad = False
    head = list(model.net._fc.parameters())
    for p in head:
        p.requires_grad = True
    with torch.no_grad():
        features = [torch.cat([model.blocks(x, 10, 16, False) for x in view.split(50)]) for view in views]
    model.cut = 16
    train(model, head, features, truth, 8, 32, 0, lambda g: torch.optim.Adam(g, 1e-3))
    model.cut = 10
    upper = [p for n, p in model.net.named_parameters()
             if n.startswith(("_conv_head", "_bn1")) or (n.startswith("_blocks.") and int(n.split(".")[1]) >= 10)]
    for p in upper:
        p.requires_grad = True
    train(model, upper + head, views, truth, 8, 32, 1, lambda g: torch.optim.Adam(g, 1e-4))
    return {k: model.scores(x) for k, x in plain.items()}, labels


def tumor(parts, weights, seed):
    """A head on features of frozen layers."""
    images, labels = read_parts(parts, stretched, "yes")
    torch.manual_seed(seed)
    model = Lite0(weights, 16)
    x = {k: model.lower(stack(v)) for k, v in images.items()}
    train(model, list(model.net._fc.parameters()), [x["train"]], torch.from_numpy(labels["train"]), 60, 32, 0,
          lambda g: torch.optim.Adam(g, 1e-3))
    return {k: model.scores(x[k]) for k in ("validation", "test")}, labels


def pneumonia(path, weights, seed):
    """Everything, lower layers at lower rates, on pictures that are changed anew in each epoch."""
    z = numpy.load(path)
    images, labels = {}, {}
    for part, key in (("train", "train"), ("validation", "val"), ("test", "test")):
        images[part] = [Image.fromarray(x).convert("RGB").resize((64, 64), Image.BICUBIC) for x in z[key + "_images"]]
        labels[part] = z[key + "_labels"].reshape(-1).astype(numpy.int64)
    torch.manual_seed(seed)
    model, change = Lite0(weights, 0), RandomAffine(10, (0.05, 0.05), (0.9, 1.1), interpolation=BILINEAR)

    def depth(name):  # stages above it: the stem, 16 blocks, _conv_head, the pooling, the head
        below = int(name.split(".")[1]) + 1 if name.startswith("_blocks.") else {"_conv_stem": 0, "_bn0": 0,
                                                                                  "_fc": 19}.get(name.split(".")[0], 17)
        return 19 - below

    groups = [{"params": [p], "lr": 1e-3 * 0.8 ** depth(n), "weight_decay": 1e-2 if p.dim() > 1 else 0}
              for n, p in model.net.named_parameters()]
    train(model, groups, lambda: stack(images["train"], change), torch.from_numpy(labels["train"]), 6, 64, 1,
          torch.optim.AdamW)
    return {k: model.scores(stack(images[k])) for k in ("validation", "test")}, labels


def write_pictures(path, folder):
    z, lines = numpy.load(path), []
    for part, key in (("validation", "val"), ("test", "test")):
        for i, (x, label) in enumerate(zip(z[key + "_images"], z[key + "_labels"].reshape(-1))):
            name = os.path.join(folder, part, "pneumonia" if label else "normal", "%04d.png" % i)
            os.makedirs(os.path.dirname(name), exist_ok=True)
            Image.fromarray(x).save(name)
            lines.append("%s,%s\n" % (name, part))
    with open(os.path.join(folder, "parts.csv"), "w") as f:
        f.writelines(lines)


def of_tlua(parts, path):
    """The scores of `tlua predict --csv` of all pictures that the parts name."""
    scores, labels, found = {}, {}, {}
    with open(path) as f:
        for row in csv.DictReader(f):
            ill = [float(row["score" + k]) for k in ("", "_2") if row["label" + k] in ("pneumonia", "yes")]
            found[os.path.abspath(row["file"])] = ill[0]
    for line in open(parts):
        name, part = line.rstrip("\n").rsplit(",", 1)
        if part != "train":
            scores.setdefault(part, []).append(found[os.path.abspath(name)])
            labels.setdefault(part, []).append(int(os.path.basename(os.path.dirname(name)) in ("pneumonia", "yes")))
    return {k: numpy.array(v) for k, v in scores.items()}, {k: numpy.array(v) for k, v in labels.items()}


def main():
    what, data = sys.argv[1], sys.argv[2]
    if what == "pictures":
        return write_pictures(data, sys.argv[3])
    if what == "scores":
        return said(sys.argv[3], *of_tlua(data, sys.argv[3]))
    areas = []
    for seed in sys.argv[4:]:
        scores, labels = {"xray": xray, "tumor": tumor, "pneumonia": pneumonia}[what](data, sys.argv[3], int(seed))
        areas.append(said("%s, seed %s" % (what, seed), scores, labels))
    print("mean AUROC %.4f" % numpy.mean(areas))


if __name__ == "__main__":
    main()
