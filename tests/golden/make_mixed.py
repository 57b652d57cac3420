"""Goldens of training in half precision: losses of two small networks under PyTorch's autocast on the processor, in bfloat16 and in float16
(whose loss is scaled by 65536), and in float32.

    python tests/golden/make_mixed.py     writes tests/golden/mixed.json

Weights and inputs are made by formula (philox.py), so that tests/golden/mixed.lua has the same."""
import json
import os

import torch
from torch import nn

import philox

HERE = os.path.dirname(os.path.abspath(__file__))
SEED, STEPS, N = 7, 20, 16
torch.set_num_threads(1)


class Pictures(nn.Module):
    """Convolutions with batch norms and a residual."""

    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.conv2, self.norm2 = nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.conv3, self.head = nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.Linear(32, 10)

    def forward(self, x):
        x = torch.relu(self.norm1(self.conv1(x)))
        x = torch.relu(self.norm2(self.conv2(x)) + x)
        return self.head(torch.relu(self.conv3(x)).mean((2, 3)))


class Rows(nn.Module):
    """Blocks of a transformer without attention between rows: layer norms in front, a stream of float32."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(48, 32)
        self.norm1, self.up1, self.down1 = nn.LayerNorm(32), nn.Linear(32, 64), nn.Linear(64, 32)
        self.norm2, self.up2, self.down2 = nn.LayerNorm(32), nn.Linear(32, 64), nn.Linear(64, 32)
        self.last, self.head = nn.LayerNorm(32), nn.Linear(32, 10)

    def forward(self, x):
        x = self.first(x)
        x = x + self.down1(nn.functional.gelu(self.up1(self.norm1(x))))
        x = x + self.down2(nn.functional.gelu(self.up2(self.norm2(x))))
        return self.head(self.last(x))


def losses(make, x, dtype):
    net = make()
    for name, p in net.named_parameters():
        if p.dim() > 1:
            fan = p[0].numel()
            p.data = torch.from_numpy(philox.normal(tuple(p.shape), 0, (2.0 / fan) ** 0.5, name, SEED))
        else:
            p.data = torch.full_like(p, 1.0 if "norm" in name or "last" in name else 0.0) if name.endswith("weight") else torch.zeros_like(p)
    labels = torch.tensor([(7 * i) % 10 for i in range(N)])
    optim = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    scale, out = 65536.0 if dtype == torch.float16 else 1.0, []
    for _ in range(STEPS):
        with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
            y = net(x)
        loss = nn.functional.cross_entropy(y.float(), labels)
        optim.zero_grad()
        (loss * scale).backward()
        for p in net.parameters():
            p.grad /= scale
        optim.step()
        out.append(loss.item())
    return out


def main():
    pictures = torch.from_numpy(philox.normal((N, 12, 12, 3), 0, 1, "pictures", SEED)).permute(0, 3, 1, 2).contiguous()
    rows = torch.from_numpy(philox.normal((N, 48), 0, 1, "rows", SEED))
    result = {"seed": SEED, "torch": torch.__version__}
    for name, make, x in (("pictures", Pictures, pictures), ("rows", Rows, rows)):
        result[name] = {str(t): losses(make, x, d) for t, d in (("float32", None), ("bfloat16", torch.bfloat16), ("float16", torch.float16))}
    with open(os.path.join(HERE, "mixed.json"), "w") as f:
        json.dump(result, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
