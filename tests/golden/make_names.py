"""Names and shapes of every network's state dict, in PyTorch's order: what tests/lua/models.lua compares ours with.

    python tests/golden/make_names.py          writes tests/golden/names/*.txt"""
import os

import segmentation_models_pytorch as smp
import timm
import torchvision
from efficientnet_lite_pytorch import EfficientNet

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "names")
LITE = ["efficientnet_lite%d" % i for i in range(5)]
TORCHVISION = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large",
               "squeezenet1_1", "vgg16", "vgg16_bn", "densenet121", "convnext_tiny"] + ["efficientnet_b%d" % i for i in range(5)]
TIMM = ["vit_small_patch16_224", "vit_base_patch16_224", "deit_tiny_patch16_224"]
# U-Nets as segmentation_models_pytorch has them; its other encoders have other names than torchvision.
UNETS = {"unet": "resnet34", "unet_resnet50": "resnet50", "unet_mobilenet_v2": "mobilenet_v2", "unet_vgg16": "vgg16", "unet_vgg16_bn": "vgg16_bn"}

os.makedirs(OUT, exist_ok=True)
for name in TORCHVISION + TIMM + LITE + list(UNETS):
    if name in TORCHVISION:
        net = getattr(torchvision.models, name)(weights=None)
    elif name in UNETS:
        net = smp.Unet(UNETS[name], encoder_weights=None, classes=2)
    elif name in TIMM:
        net = timm.create_model(name, pretrained=False)
    else:
        net = EfficientNet.from_name(name.replace("_", "-"))
    with open(os.path.join(OUT, name + ".txt"), "w") as f:
        for key, value in net.state_dict().items():
            f.write(key + " " + "x".join(map(str, value.shape)) + "\n")
