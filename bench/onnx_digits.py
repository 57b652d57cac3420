"""recipes/onnx_digits.lua in PyTorch: the embedding's features by onnxruntime, a linear layer on them, Adam with a cosine over all steps.

    python bench/onnx_digits.py embedding_model.onnx digits.safetensors SEED..."""
import math
import sys

import numpy
import onnxruntime
import torch
from safetensors.torch import load_file

EPOCHS, LR, BATCH = 10, 1e-2, 64
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
data = load_file(sys.argv[2])


def features(x):
    rows = [session.run(None, {"input_1": numpy.ascontiguousarray(x[i:i + 64, :, :32].numpy())})[0] for i in range(0, len(x), 64)]
    return torch.from_numpy(numpy.concatenate(rows)).flatten(1)


train, test, labels, truth = features(data["images"]), features(data["test_images"]), data["labels"].long(), data["test_labels"].long()
for seed in map(int, sys.argv[3:]):
    torch.manual_seed(seed)
    head = torch.nn.Linear(96, 10)
    optimizer = torch.optim.Adam(head.parameters(), LR)
    steps = EPOCHS * math.ceil(len(train) / BATCH)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: 0.5 * (1 + math.cos(math.pi * i / steps)))
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(train)).split(BATCH):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(head(train[rows]), labels[rows]).backward()
            optimizer.step()
            rate.step()
    with torch.no_grad():
        print("seed %d: %.1f %%" % (seed, 100 * (head(test).argmax(1) == truth).float().mean().item()))
