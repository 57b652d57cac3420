"""What fine-tuning gains in PyTorch with the settings of recipes/cifar_ft.lua's first stage on EfficientNet-Lite0: blocks 10 to 15,
_conv_head, _bn1 and a new head are trained, all else is frozen and its batch norms keep their statistics. The first 5,000 training and
1,000 test pictures of CIFAR-10's binary files at 224 pixels (Pillow's bilinear filter), flips, Adam 1e-4, batch 64, three epochs. `frozen`: the head alone,
Adam 1e-3, five epochs, no flips, as recipes/cifar_fe.lua.

    python bench/finetune.py FOLDER WEIGHTS.pth frozen|tuned SEED..."""
import re
import sys

import numpy
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

folder, weights, mode, seeds = sys.argv[1], sys.argv[2], sys.argv[3], [int(s) for s in sys.argv[4:]]
TRAINED = re.compile(r"_blocks\.1[0-5]\.|_conv_head\.|_bn1\.|_fc\.") if mode == "tuned" else re.compile(r"_fc\.")
torch.set_num_threads(2)


def pictures(name, count):
    rows = numpy.fromfile(folder + "/" + name, numpy.uint8, count * 3073).reshape(count, 3073)
    pixels = rows[:, 1:].reshape(count, 3, 32, 32).transpose(0, 2, 3, 1)
    large = numpy.stack([numpy.asarray(Image.fromarray(p).resize((224, 224), Image.BILINEAR)) for p in pixels])
    return torch.from_numpy(large), torch.from_numpy(rows[:, 0].astype(numpy.int64))


def prepared(x):  # uint8 NHWC -> float NCHW, channels last
    return ((x.permute(0, 3, 1, 2).float() / 255 - 0.498) / 0.502).contiguous(memory_format=torch.channels_last)


train_x, train_y = pictures("data_batch_1.bin", 5000)
test_x, test_y = pictures("test_batch.bin", 1000)
for seed in seeds:
    torch.manual_seed(seed)
    net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(weights, weights_only=True))
    net._fc = torch.nn.Linear(1280, 10)
    net._dropout = torch.nn.Identity()
    net = net.to(memory_format=torch.channels_last)
    for name, p in net.named_parameters():
        p.requires_grad = TRAINED.match(name) is not None
    opt = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=1e-4 if mode == "tuned" else 1e-3)
    for epoch in range(3 if mode == "tuned" else 5):
        net.train()
        for name, m in net.named_modules():
            if isinstance(m, torch.nn.BatchNorm2d) and not m.weight.requires_grad:
                m.eval()
        order = torch.randperm(5000)
        for i in range(0, 5000, 64):
            which = order[i:i + 64]
            x = prepared(train_x[which])
            if mode == "tuned":
                flipped = torch.rand(len(x)) < 0.5
                x[flipped] = x[flipped].flip(3)
            opt.zero_grad()
            torch.nn.functional.cross_entropy(net(x), train_y[which]).backward()
            opt.step()
    net.eval()
    with torch.no_grad():
        right = sum((net(prepared(test_x[i:i + 100])).argmax(1) == test_y[i:i + 100]).sum().item() for i in range(0, 1000, 100))
    print("%s, seed %d: %.1f %%" % (mode, seed, right / 10), flush=True)
