"""recipes/onnx_backbone.lua in PyTorch: the same .onnx file run node by node (tests/interop/onnx_torch.py), the same pictures, head,
schedule: a head on frozen features, then the last blocks too.

    python bench/onnx_transfer.py mobilenet_v3_small.onnx CIFAR_FOLDER SEED..."""
import math
import os
import sys

import numpy
import onnx
import torch
from PIL import Image

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests", "interop"))
import onnx_torch  # noqa: E402

torch.set_num_threads(2)
model, folder, seeds = onnx.load(sys.argv[1]), sys.argv[2], [int(s) for s in sys.argv[3:]]
TRAIN, TEST, BATCH = int(os.environ.get("TRAIN", "5000")), int(os.environ.get("TEST", "1000")), 64
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
OUTPUT = model.graph.node[-1].input[0]  # behind it is a view of as many rows as there are pictures
# The blocks that are trained, and the value that goes into them: that of the first node that takes one of their weights.
LAST = ("features.9.", "features.10.", "features.11.", "features.12.")
CUT = next(n.input[0] for n in model.graph.node if any(i.startswith(LAST) for i in n.input))


def pictures(name, count):
    rows = numpy.fromfile(os.path.join(folder, name), numpy.uint8, count * 3073).reshape(count, 3073)
    return rows[:, 1:].reshape(count, 3, 32, 32).transpose(0, 2, 3, 1), torch.from_numpy(rows[:, 0].astype(numpy.int64))


def prepared(x):
    big = numpy.stack([numpy.asarray(Image.fromarray(p).resize((224, 224), Image.BILINEAR)) for p in x])
    return ((torch.from_numpy(big).float() / 255 - MEAN) / STD).permute(0, 3, 1, 2).contiguous()


def through(first, x, last, weights):
    y = onnx_torch.run(model, {first: x}, [last], weights=weights)[0][0]
    return y.flatten(1) if last == OUTPUT else y


weights = onnx_torch.run(model, {model.graph.input[0].name: torch.zeros(1, 3, 224, 224)}, [OUTPUT])[1]
data = []
with torch.no_grad():
    for name, count in (("data_batch_1.bin", TRAIN), ("test_batch.bin", TEST)):
        x, y = pictures(name, count)
        data.append((torch.cat([through(model.graph.input[0].name, prepared(x[i:i + BATCH]), CUT, weights) for i in range(0, count, BATCH)]), y))
(train, labels), (test, truth) = data


def accuracy(head, own):
    with torch.no_grad():
        right = sum((head(through(CUT, test[i:i + BATCH], OUTPUT, own)).argmax(1) == truth[i:i + BATCH]).sum().item() for i in range(0, TEST, BATCH))
    return 100 * right / TEST


for seed in seeds:
    torch.manual_seed(seed)
    own = {k: v.detach().clone().requires_grad_(k.startswith(LAST)) for k, v in weights.items()}
    head = torch.nn.Linear(576, 10)
    with torch.no_grad():
        features = torch.cat([through(CUT, train[i:i + BATCH], OUTPUT, own) for i in range(0, TRAIN, BATCH)])
    optimizer = torch.optim.Adam(head.parameters(), 1e-3)
    for _ in range(5):
        for rows in torch.randperm(TRAIN).split(BATCH):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(head(features[rows]), labels[rows]).backward()
            optimizer.step()
    frozen = accuracy(head, own)
    optimizer = torch.optim.Adam([p for p in own.values() if p.requires_grad] + list(head.parameters()), 1e-4)
    steps = 3 * math.ceil(TRAIN / BATCH)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: 0.5 * (1 + math.cos(math.pi * i / steps)))
    for _ in range(3):
        for rows in torch.randperm(TRAIN).split(BATCH):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(head(through(CUT, train[rows], OUTPUT, own)), labels[rows]).backward()
            optimizer.step()
            rate.step()
    print("seed %d: frozen %.1f, last blocks %.1f %%" % (seed, frozen, accuracy(head, own)), flush=True)
