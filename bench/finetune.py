"""What fine-tuning gains in PyTorch with the settings of recipes/cifar_ft.lua's first stage on EfficientNet-Lite0: blocks 10 to 15,
_conv_head, _bn1 and a new head are trained, all else is frozen and its batch norms keep their statistics. The first 5,000 training and
1,000 test pictures of CIFAR-10's binary files at 224 pixels (Pillow's bilinear filter), flips, Adam 1e-4, batch 64, three epochs. `frozen`: the head alone,
Adam 1e-3, five epochs, no flips, as recipes/cifar_fe.lua. What is frozen runs in inference mode (no drop_connect either), as in tlua.

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


def upper(net, x):  # blocks from CUT on, with the drop rates that the whole network gives them
    for i in range(CUT, len(net._blocks)):
        x = net._blocks[i](x, drop_connect_rate=0.2 * i / len(net._blocks))
    return net._fc(net._swish(net._bn1(net._conv_head(x))).mean((2, 3)))


def lower(net, x):  # what is frozen and runs in inference mode: each picture passes through it once
    results = []
    with torch.no_grad():
        for i in range(0, len(x), 50):
            y = net._swish(net._bn0(net._conv_stem(prepared(x[i:i + 50]))))
            for block in net._blocks[:CUT]:
                y = block(y)
            results.append(y)
    return torch.cat(results)


CUT = 10 if mode == "tuned" else 16
net = EfficientNet.from_name("efficientnet-lite0")
state = torch.load(weights, weights_only=True)
net.load_state_dict(state)
net = net.to(memory_format=torch.channels_last).eval()
train_x, train_y = pictures("data_batch_1.bin", 5000)
test_x, test_y = pictures("test_batch.bin", 1000)
views = [lower(net, train_x)] + ([lower(net, train_x.flip(2))] if mode == "tuned" else [])
test_x = lower(net, test_x)
for seed in seeds:
    torch.manual_seed(seed)
    net.load_state_dict(state)
    net._fc = torch.nn.Linear(1280, 10)
    for name, p in net.named_parameters():
        p.requires_grad = TRAINED.match(name) is not None
    opt = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=1e-4 if mode == "tuned" else 1e-3)
    for epoch in range(3 if mode == "tuned" else 5):
        net.train()
        for m in net.modules():
            if not any(p.requires_grad for p in m.parameters()):
                m.eval()
        order = torch.randperm(5000)
        for i in range(0, 5000, 64):
            which = order[i:i + 64]
            x = views[0][which]
            if mode == "tuned":
                flipped = torch.rand(len(x)) < 0.5
                x[flipped] = views[1][which[flipped]]
            opt.zero_grad()
            torch.nn.functional.cross_entropy(upper(net, x), train_y[which]).backward()
            opt.step()
    net.eval()
    with torch.no_grad():
        right = sum((upper(net, test_x[i:i + 100]).argmax(1) == test_y[i:i + 100]).sum().item() for i in range(0, 1000, 100))
    print("%s, seed %d: %.1f %%" % (mode, seed, right / 10), flush=True)
    net._fc = torch.nn.Linear(1280, 1000)  # what the file fits
