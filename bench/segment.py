"""recipes/brain_segment.lua in PyTorch: the same slices, weights, decoder (segmentation_models_pytorch's), loss, Adam 1e-3 with a cosine over all
steps, batch 8, flips, 12 epochs at 96 pixels; the encoder is frozen and runs in inference mode, the decoder's batch norms have a momentum of 0.1.
Pillow's bicubic and nearest filters make the pictures' size. Prints of each seed Dice of grey and white matter over all test pixels, and the seconds
of a run with its tests. Seeds decide the decoder's first values, the order and the flips; the two programs draw different ones.

    build/peers/bin/python bench/segment.py data/brain efficientnet-lite0-57934424.pth SEED..."""
import glob
import os
import sys
import time

import numpy
import segmentation_models_pytorch as smp
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from segmentation_models_pytorch.base import SegmentationHead
from segmentation_models_pytorch.base import initialization
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder

SIZE, BATCH, EPOCHS, CLASSES = 96, 8, 12, 3
torch.set_num_threads(int(os.environ.get("BENCH_THREADS", "2")))


class UNet(torch.nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        self.decoder = UnetDecoder((3, 16, 24, 40, 112, 320), (256, 128, 64, 32, 16))
        self.segmentation_head = SegmentationHead(16, CLASSES)
        initialization.initialize_decoder(self.decoder)
        initialization.initialize_head(self.segmentation_head)

    def forward(self, x):
        maps = [x]
        with torch.no_grad():
            e = self.encoder
            y = torch.nn.functional.relu6(e._bn0(e._conv_stem(x)))
            for i, block in enumerate(e._blocks):
                y = block(y)
                if i in (0, 2, 4, 10, 15):
                    maps.append(y)
        return self.segmentation_head(self.decoder(maps))


def part(root, name):
    """Pictures (N, 3, H, W) as floats, masks (N, H, W)."""
    images, masks = [], []
    for path in sorted(glob.glob(os.path.join(root, name, "images", "*.png"))):
        picture = Image.open(path).convert("RGB").resize((SIZE, SIZE), Image.BICUBIC)
        images.append((numpy.asarray(picture, numpy.float32) / 255 - 127 / 255) / (128 / 255))
        masks.append(numpy.asarray(Image.open(path.replace("/images/", "/masks/")).resize((SIZE, SIZE), Image.NEAREST), numpy.int64))
    return torch.from_numpy(numpy.stack(images)).permute(0, 3, 1, 2), torch.from_numpy(numpy.stack(masks))


def dice_of(net, x, y):
    """Dice of each class over all pixels."""
    net.eval()
    with torch.no_grad():
        seen = torch.cat([net(x[i:i + BATCH].contiguous(memory_format=torch.channels_last)).argmax(1) for i in range(0, len(x), BATCH)])
    return [2 * ((seen == k) & (y == k)).sum().item() / ((seen == k).sum() + (y == k).sum()).item() for k in range(CLASSES)]


def run(seed, weights, data):
    torch.manual_seed(seed)
    start = time.perf_counter()
    encoder = EfficientNet.from_name("efficientnet-lite0")
    encoder.load_state_dict(torch.load(weights, weights_only=True))
    net = UNet(encoder).to(memory_format=torch.channels_last)
    for p in net.encoder.parameters():
        p.requires_grad = False
    x, y = data["train"]
    steps = EPOCHS * -(-len(x) // BATCH)
    opt = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=1e-3)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(opt, steps)
    dice = smp.losses.DiceLoss("multiclass")
    for _ in range(EPOCHS):
        net.train()
        net.encoder.eval()
        order = torch.randperm(len(x))
        for i in range(0, len(x), BATCH):
            images, masks = x[order[i:i + BATCH]].clone(), y[order[i:i + BATCH]].clone()
            flipped = torch.rand(len(images)) < 0.5
            images[flipped], masks[flipped] = images[flipped].flip(3), masks[flipped].flip(2)
            logits = net(images.contiguous(memory_format=torch.channels_last))
            loss = torch.nn.functional.cross_entropy(logits, masks) + dice(logits, masks)
            opt.zero_grad()
            loss.backward()
            opt.step()
            rate.step()
        dice_of(net, *data["validation"])
    test = dice_of(net, *data["test"])
    print("seed %d: mean Dice %.1f, grey matter %.1f, white matter %.1f; %.1f s" %
          (seed, 50 * (test[1] + test[2]), 100 * test[1], 100 * test[2], time.perf_counter() - start), flush=True)


def main():
    root, weights, seeds = sys.argv[1], sys.argv[2], [int(s) for s in sys.argv[3:]]
    data = {name: part(root, name) for name in ("train", "validation", "test")}
    for seed in seeds:
        run(seed, weights, data)


if __name__ == "__main__":
    main()
