"""Goldens of detectors: what PyTorch computes with weights and inputs that both sides make by formula.

    python tests/golden/make_detect_nets.py          writes tests/golden/detect_nets.safetensors, names/yolo*.txt

YOLOX is PyPI's yolox 0.3.0 (Apache-2.0; pip install --no-deps --no-build-isolation, with loguru, tabulate, thop, psutil
and opencv-python-headless for its imports). YOLOv8 is the network below, written after keras-cv 0.9.0's (Apache-2.0:
keras_cv/src/models/object_detection/yolo_v8) with the names that the state dicts of published files have; it differs from
keras-cv where these files do: all blocks above the backbone are as deep as one another. keras-cv pads in front of a
pooling as TensorFlow does, which is the same at a stride of one."""
import os
import sys

from yolox.models import YOLOPAFPN, YOLOX, YOLOXHead

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
HERE = os.path.dirname(os.path.abspath(__file__))
CHANNELS = [256, 512, 1024]
# name: depth, width, depthwise convolutions (exps/default)
YOLOX_NETS = {"yolox_nano": (0.33, 0.25, True), "yolox_tiny": (0.33, 0.375, False), "yolox_s": (0.33, 0.5, False),
              "yolox_m": (0.67, 0.75, False)}


def yolox(name, classes):
    depth, width, depthwise = YOLOX_NETS[name]
    net = YOLOX(YOLOPAFPN(depth, width, in_channels=CHANNELS, depthwise=depthwise),
                YOLOXHead(classes, width, in_channels=CHANNELS, depthwise=depthwise))
    for m in net.modules():  # as yolox/exp/yolox_base.py has it
        if type(m).__name__ == "BatchNorm2d":
            m.eps, m.momentum = 1e-3, 0.03
    return net


def write_names(name, net):
    with open(os.path.join(HERE, "names", name + ".txt"), "w") as f:
        for key, value in net.state_dict().items():
            f.write(key + " " + "x".join(map(str, value.shape)) + "\n")


def main():
    for name in YOLOX_NETS:
        write_names(name, yolox(name, 80))


if __name__ == "__main__":
    main()
