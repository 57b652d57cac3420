"""The networks that onnx_export.py exports: torchvision's and timm's, with random weights from a seed, and a few of text. A network is
(module, inputs of two sizes, the names of axes that stay open). Sizes are small, so that all of them together take minutes."""
import math

import torch
from torch import nn


def torchvision_net(name, size=64, **options):
    def build():
        import torchvision
        net = getattr(torchvision.models, name)(weights=None, num_classes=10, **options)
        return net, pictures(size)
    return build


def timm_net(name, size=64, **options):
    def build():
        import timm
        net = timm.create_model(name, pretrained=False, num_classes=10, **options)
        return net, pictures(size)
    return build


def pictures(size):
    return [{"image": torch.randn(n, 3, size, size)} for n in (2, 3)], {"image": {0: "N"}}


def ids(words):
    return [{"ids": torch.randint(0, words, (n, t))} for n, t in ((2, 12), (3, 7))], {"ids": {0: "N", 1: "T"}}


class Bert(nn.Module):
    """Encoder layers as BERT has them: a mask over padding (id 0), learned positions, layer norm behind."""

    def __init__(self, words=100, width=48, heads=4, layers=2):
        super().__init__()
        self.words, self.positions = nn.Embedding(words, width), nn.Embedding(64, width)
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList([Layer(width, heads, False) for _ in range(layers)])
        self.pooler, self.classifier = nn.Linear(width, width), nn.Linear(width, 10)

    def forward(self, ids):
        places = torch.arange(ids.shape[1], device=ids.device)
        x = self.norm(self.words(ids) + self.positions(places))
        mask = (1.0 - (ids != 0).to(x.dtype))[:, None, None, :] * -10000.0
        for layer in self.layers:
            x = layer(x, mask)
        return self.classifier(torch.tanh(self.pooler(x[:, 0])))


class Layer(nn.Module):
    def __init__(self, width, heads, first):
        super().__init__()
        self.heads, self.first = heads, first
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def attend(self, x, mask):
        n, t, c = x.shape
        q, k, v = (f(x).view(n, t, self.heads, c // self.heads).transpose(1, 2) for f in (self.query, self.key, self.value))
        scores = q @ k.transpose(-1, -2) / math.sqrt(c // self.heads) + mask
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(n, t, c))

    def forward(self, x, mask):
        gelu = nn.functional.gelu
        if self.first:
            x = x + self.attend(self.norm1(x), mask)
            return x + self.down(gelu(self.up(self.norm2(x)), approximate="tanh"))
        x = self.norm1(x + self.attend(x, mask))
        return self.norm2(x + self.down(gelu(self.up(x))))


class Gpt(nn.Module):
    """Causal, norm in front, the output tied to the words."""

    def __init__(self, words=100, width=48, heads=4, layers=2):
        super().__init__()
        self.words, self.positions = nn.Embedding(words, width), nn.Embedding(64, width)
        self.layers = nn.ModuleList([Layer(width, heads, True) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)

    def forward(self, ids):
        t = ids.shape[1]
        places = torch.arange(t, device=ids.device)
        x = self.words(ids) + self.positions(places)
        mask = torch.where(places[None, :] > places[:, None], -10000.0, 0.0).to(x.dtype)
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x) @ self.words.weight.t()


class Tagger(nn.Module):
    def __init__(self, kind, words=100, width=24):
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.rnn = getattr(nn, kind)(width, 20, num_layers=2, bidirectional=True, batch_first=True)
        self.out = nn.Linear(40, 9)

    def forward(self, ids):
        return self.out(self.rnn(self.words(ids))[0])


class Encoder(nn.Module):
    """PyTorch's own encoder over features."""

    def __init__(self, width=32):
        super().__init__()
        layer = nn.TransformerEncoderLayer(width, 4, 64, activation="gelu", batch_first=True, norm_first=True)
        self.encoder, self.out = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(width, 5)

    def forward(self, x):
        return self.out(self.encoder(x).mean(1))


def text(make):
    return lambda: (make(), ids(100))


def features():
    return Encoder(), ([{"x": torch.randn(n, t, 32)} for n, t in ((2, 12), (3, 7))], {"x": {0: "N", 1: "T"}})


NETWORKS = {
    "resnet18": torchvision_net("resnet18"),
    "mobilenet_v3_small": torchvision_net("mobilenet_v3_small"),
    "efficientnet_b0": torchvision_net("efficientnet_b0"),
    "convnext_tiny": torchvision_net("convnext_tiny"),
    "densenet121": torchvision_net("densenet121"),
    "squeezenet1_1": torchvision_net("squeezenet1_1"),
    "shufflenet_v2_x1_0": torchvision_net("shufflenet_v2_x1_0"),
    "regnet_y_400mf": torchvision_net("regnet_y_400mf"),
    "mnasnet0_5": torchvision_net("mnasnet0_5"),
    "swin_t": torchvision_net("swin_t"),
    "inception_v3": torchvision_net("inception_v3", 96, aux_logits=False, init_weights=False),
    "googlenet": torchvision_net("googlenet", aux_logits=False, init_weights=False),
    "vit_tiny": timm_net("vit_tiny_patch16_224", img_size=64, depth=4),
    "deit_tiny_distilled": timm_net("deit_tiny_distilled_patch16_224", img_size=64, depth=4),
    "mixer_s16": timm_net("mixer_s16_224", img_size=64, num_blocks=4),
    "edgenext_xx_small": timm_net("edgenext_xx_small"),
    "coatnet_pico_rw": timm_net("coatnet_pico_rw_224", img_size=64),
    "maxvit_rmlp_pico_rw": timm_net("maxvit_rmlp_pico_rw_256", img_size=64),
    "resnetv2_50": timm_net("resnetv2_50"),
    "nfnet_l0": timm_net("nfnet_l0"),
    "levit_128s": timm_net("levit_128s", 224),
    "ghostnet_100": timm_net("ghostnet_100"),
    "mobilevit_xxs": timm_net("mobilevit_xxs"),
    "fastvit_t8": timm_net("fastvit_t8"),
    "bert": text(Bert), "gpt": text(Gpt),
    "lstm": text(lambda: Tagger("LSTM")), "gru": text(lambda: Tagger("GRU")),
    "encoder": features,
}
