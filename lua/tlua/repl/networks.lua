-- networks.lua - what help() says of each network of the registry: name -> text, whose first sentence is the short
-- form.
local networks = {}

local function family(names, text)
  for name, own in pairs(names) do networks[name] = own .. " " .. text end
end

family({ resnet18 = "ResNet with 18 layers.", resnet34 = "ResNet with 34 layers.",
  resnet50 = "ResNet with 50 layers in bottlenecks.", resnet101 = "ResNet with 101 layers in bottlenecks.",
  resnet152 = "ResNet with 152 layers in bottlenecks." },
  "Residual networks (He et al. 2015) as torchvision has them: pictures (N, H, W, C) to logits (N, classes).")
family({ efficientnet_lite0 = "EfficientNet-Lite0, for pictures of 224 pixels.",
  efficientnet_lite1 = "EfficientNet-Lite1, for pictures of 240 pixels.",
  efficientnet_lite2 = "EfficientNet-Lite2, for pictures of 260 pixels.",
  efficientnet_lite3 = "EfficientNet-Lite3, for pictures of 280 pixels.",
  efficientnet_lite4 = "EfficientNet-Lite4, for pictures of 300 pixels." },
  "Mobile inverted bottlenecks without squeeze-and-excitation and with ReLU6, small and quick on processors.")
family({ efficientnet_b0 = "EfficientNet-B0.", efficientnet_b1 = "EfficientNet-B1.",
  efficientnet_b2 = "EfficientNet-B2.", efficientnet_b3 = "EfficientNet-B3.", efficientnet_b4 = "EfficientNet-B4." },
  "Inverted residuals with squeeze-and-excitation and SiLU (Tan and Le 2019) as torchvision has them.")
networks.mobilenet_v2 = "MobileNetV2 (Sandler et al. 2018). Inverted residuals with ReLU6 and linear bottlenecks, " ..
  "as torchvision has it."
family({ mobilenet_v3_small = "MobileNetV3, the small one.", mobilenet_v3_large = "MobileNetV3, the large one." },
  "Inverted residuals with squeeze-and-excitation and hard swish (Howard et al. 2019) as torchvision has them.")
networks.squeezenet1_1 = "SqueezeNet 1.1 (Iandola et al. 2016). Few parameters; its classifier is a 1 x 1 " ..
  "convolution with a mean over the places behind it."
family({ vgg16 = "VGG-16.", vgg16_bn = "VGG-16 with batch norms." },
  "Convolutions of 3 x 3 (Simonyan and Zisserman 2014) as torchvision has them; large, and easy to read.")
networks.densenet121 = "DenseNet-121 (Huang et al. 2017). Each layer sees what all before it in its block have made."
networks.convnext_tiny = "ConvNeXt-Tiny (Liu et al. 2022). Depthwise 7 x 7, layer norm, two linear layers with GELU."
family({ vit_small_patch16_224 = "Vision transformer, small.", vit_base_patch16_224 = "Vision transformer, base.",
  deit_tiny_patch16_224 = "DeiT, tiny (Touvron et al. 2020)." },
  "Squares of 16 x 16 pixels become tokens (Dosovitskiy et al. 2020), as timm has them. image_size: pictures of " ..
  "another size, for which the table of places is stretched.")
networks.unet = "U-Net (Ronneberger et al. 2015) over a network of the registry, for task.segment. Pictures " ..
  "(N, H, W, C) to a class for each place, (N, H, W, classes); sides are multiples of 32."
family({ yolox_nano = "YOLOX-Nano.", yolox_tiny = "YOLOX-Tiny.", yolox_s = "YOLOX-S.", yolox_m = "YOLOX-M." },
  "Finds boxes, for task.detect (Ge et al. 2021). Pictures (N, H, W, C) to a row of box, objectness and classes for "
  .. "each cell of three levels, (N, cells, 5 + classes).")
family({ yolov8n = "YOLOv8, n.", yolov8s = "YOLOv8, s.", yolov8m = "YOLOv8, m.", yolov8l = "YOLOv8, l.",
  yolov8x = "YOLOv8, x." },
  "Finds boxes, for task.detect, after keras-cv's networks. Each cell of three levels gives a distribution of 16 "
  .. "bins for each side and the classes, (N, cells, 64 + classes).")
networks.conformer = "A Conformer (Gulati et al. 2020), for speech into text. Waves (N, samples) to a row of symbols "
  .. "for each frame, for task.ctc; sizes are options."
networks.wav2vec2_base = "wav2vec 2.0 (Baevski et al. 2020). Convolutions over the wave, a transformer over what "
  .. "they give, a row of symbols for each frame; folders of Hugging Face are read by models.from_folder."
networks.speaker_lstm = "An embedding of a speaker's voice (GE2E, Wan et al. 2018). Three LSTM layers over mel "
  .. "bands, for task.verify."
networks.wave_cnn = "A small network over waves, from scratch. Waves (N, samples) to a row of classes for each clip."
networks.mel_cnn = "A small network over mel bands, from scratch. Waves (N, samples) to a row of classes for each "
  .. "clip."
networks.crnn = "Convolutions and an LSTM over mel bands, from scratch. A row of symbols for each frame, for task.ctc."
networks.bert = "An encoder of texts (BERT, Devlin et al. 2018). Pieces (N, T) int32 and lengths (N) to a row a text; "
  .. "sizes are options, and models.from_folder reads pretrained folders."
networks.gpt2 = "A transformer whose pieces see those before them alone (GPT-2, Radford et al. 2019). For "
  .. "task.causal, or with a head for classes; models.from_folder reads pretrained folders."
networks.meshnet = "MeshNet (Fedorov et al. 2017). A class for each voxel of volumes (N, D, H, W, C), by dilated "
  .. "convolutions alone; brainchop's weights fit."
networks.resnet18_3d = "A residual network of volumes (Tran et al. 2018). Volumes (N, D, H, W, C) to logits, with the "
  .. "names of torchvision's r3d_18."
networks.unet3d = "A U-Net of volumes as nnU-Net has it in its residual form (Isensee et al. 2024). A class for each "
  .. "voxel of (N, D, H, W, C)."

return networks
