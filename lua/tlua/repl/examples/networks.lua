-- networks.lua - examples of networks, which begin with random weights, and of those that stand in files:
-- examples/init.lua says the form.
return [==[
# models.load
net = tlua.models.load "runs/mine"
net:count()  --> 251 251
# models.onnx
net = tlua.models.onnx { path = "net.onnx" }
net(tlua.ones(1, 16, 16, 3)):shape()  --> { 1, 3 }
# models.graph
net = tlua.models.graph { path = "runs/mine" }
net(tlua.ones(1, 16, 16, 3)):shape()  --> { 1, 3 }
# models.from_folder
net = tlua.models.from_folder { path = "bert", pool = "mean", classes = 2 }
ids, lengths = tlua.tensor({ { 2, 5, 6, 3 } }, { dtype = "int32" }), tlua.tensor({ 4 }, { dtype = "int32" })
net(ids, lengths):shape()  --> { 1, 2 }
# models.names
tlua.models.names()[1]  --> resnet18
# models.list
tlua.models.list()[1].parameters  --> 11689512
# models.build
tlua.models.build("resnet18", { classes = 10 }):count()  --> 11181642 11181642
# models.resnet18
net = tlua.models.resnet18 { classes = 10 }    -- weights = "imagenet": pretrained
net:count()  --> 11181642 11181642
net(tlua.randn(1, 64, 64, 3)):shape()  --> { 1, 10 }
# models.resnet34
tlua.models.resnet34 { classes = 10 }:count()  --> 21289802 21289802
# models.resnet50
tlua.models.resnet50 { classes = 10 }:count()  --> 23528522 23528522
# models.resnet101
tlua.models.resnet101 { classes = 10 }:count()  --> 42520650 42520650
# models.resnet152
tlua.models.resnet152 { classes = 10 }:count()  --> 58164298 58164298
# models.efficientnet_lite0
tlua.models.efficientnet_lite0 { classes = 10, drop_connect = 0 }:count()  --> 3383818 3383818
# models.efficientnet_lite1
tlua.models.efficientnet_lite1 { classes = 10 }:count()  --> 4148490 4148490
# models.efficientnet_lite2
tlua.models.efficientnet_lite2 { classes = 10 }:count()  --> 4823882 4823882
# models.efficientnet_lite3
tlua.models.efficientnet_lite3 { classes = 10 }:count()  --> 6928906 6928906
# models.efficientnet_lite4
tlua.models.efficientnet_lite4 { classes = 10 }:count()  --> 11738378 11738378
# models.mobilenet_v2
net = tlua.models.mobilenet_v2 { classes = 10 }
net(tlua.randn(1, 64, 64, 3)):shape()  --> { 1, 10 }
# models.mobilenet_v3_small
tlua.models.mobilenet_v3_small { classes = 10 }:count()  --> 1528106 1528106
# models.mobilenet_v3_large
tlua.models.mobilenet_v3_large { classes = 10 }:count()  --> 4214842 4214842
# models.squeezenet1_1
tlua.models.squeezenet1_1 { classes = 10 }:count()  --> 727626 727626
# models.vgg16
tlua.models.vgg16 { classes = 10 }:count()  --> 134301514 134301514
# models.vgg16_bn
tlua.models.vgg16_bn { classes = 10 }:count()  --> 134309962 134309962
# models.densenet121
tlua.models.densenet121 { classes = 10 }:count()  --> 6964106 6964106
# models.efficientnet_b0
tlua.models.efficientnet_b0 { classes = 10 }:count()  --> 4020358 4020358
# models.efficientnet_b1
tlua.models.efficientnet_b1 { classes = 10 }:count()  --> 6525994 6525994
# models.efficientnet_b2
tlua.models.efficientnet_b2 { classes = 10 }:count()  --> 7715084 7715084
# models.efficientnet_b3
tlua.models.efficientnet_b3 { classes = 10 }:count()  --> 10711602 10711602
# models.efficientnet_b4
tlua.models.efficientnet_b4 { classes = 10 }:count()  --> 17566546 17566546
# models.convnext_tiny
tlua.models.convnext_tiny { classes = 10 }:count()  --> 27827818 27827818
# models.vit_small_patch16_224
tlua.models.vit_small_patch16_224 { classes = 10, image_size = 96 }:count()  --> 21608074 21608074
# models.vit_base_patch16_224
tlua.models.vit_base_patch16_224 { classes = 10 }:count()  --> 85806346 85806346
# models.deit_tiny_patch16_224
tlua.models.deit_tiny_patch16_224 { classes = 10 }:count()  --> 5526346 5526346
# models.unet
net = tlua.models.unet { encoder = "resnet18", classes = 2 }:eval()
net(tlua.randn(1, 32, 32, 3)):shape()  --> { 1, 32, 32, 2 }
# models.yolox_nano
net = tlua.models.yolox_nano { classes = 2 }   -- 4 numbers of a box, whether one is there, 2 classes
net(tlua.randn(1, 64, 64, 3)):shape()  --> { 1, 84, 7 }
# models.yolox_tiny
tlua.models.yolox_tiny { classes = 2 }:count()  --> 5033157 5033157
# models.yolox_s
tlua.models.yolox_s { classes = 2 }:count()  --> 8938069 8938069
# models.yolox_m
tlua.models.yolox_m { classes = 2 }:count()  --> 25281333 25281333
# models.yolov8n
net = tlua.models.yolov8n { classes = 2 }      -- 4 sides of 16 bins, 2 classes
net(tlua.randn(1, 64, 64, 3)):shape()  --> { 1, 84, 66 }
# models.yolov8s
tlua.models.yolov8s { classes = 2 }:count()  --> 11136358 11136358
# models.yolov8m
tlua.models.yolov8m { classes = 2 }:count()  --> 25857462 25857462
# models.yolov8l
tlua.models.yolov8l { classes = 2 }:count()  --> 43631366 43631366
# models.yolov8x
tlua.models.yolov8x { classes = 2 }:count()  --> 68154518 68154518
# models.conformer
net = tlua.models.conformer { blocks = 1, width = 48, heads = 2, ffn = 96, classes = 7 }
net(tlua.randn(1, 16000), tlua.tensor({ 16000 }, { dtype = "int32" })):shape()  --> { 1, 51, 7 }
# models.wav2vec2_base
tlua.models.wav2vec2_base { classes = 32 }:count()  --> 94396320 94396320
# models.speaker_lstm
tlua.models.speaker_lstm {}:count()  --> 1423616 1423616
# models.wave_cnn
net = tlua.models.wave_cnn { classes = 4 }
net(tlua.randn(1, 16000), tlua.tensor({ 16000 }, { dtype = "int32" })):shape()  --> { 1, 4 }
# models.mel_cnn
net = tlua.models.mel_cnn { width = 24, classes = 4 }
net(tlua.randn(1, 16000), tlua.tensor({ 16000 }, { dtype = "int32" })):shape()  --> { 1, 4 }
# models.crnn
tlua.models.crnn { classes = 10 }:count()  --> 1934570 1934570
# models.bert
net = tlua.models.bert { width = 48, layers = 1, heads = 2, inner = 96, vocabulary = 40, positions = 64, classes = 2 }
ids, lengths = tlua.tensor({ { 2, 5, 6, 3 } }, { dtype = "int32" }), tlua.tensor({ 4 }, { dtype = "int32" })
net(ids, lengths):shape()  --> { 1, 2 }
# models.gpt2
net = tlua.models.gpt2 { width = 48, layers = 1, heads = 2, vocabulary = 40, positions = 64 }
net:count()  --> 33456 33456
# models.meshnet
net = tlua.models.meshnet { classes = 3 }
net(tlua.randn(1, 16, 16, 16, 1)):shape()  --> { 1, 16, 16, 16, 3 }
# models.resnet18_3d
tlua.models.resnet18_3d { classes = 2 }:count()  --> 33148482 33148482
# models.unet3d
tlua.models.unet3d { classes = 2 }:count()  --> 24528450 24528450
]==]
