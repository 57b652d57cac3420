"""Goldens of the networks for sound: what PyTorch computes with weights and inputs that both sides make by formula (make_models.py has it).

    python tests/golden/make_speech.py      writes tests/golden/speech.safetensors, and the names in tests/golden/names

PyTorch gets each clip alone, at its own length (but for wav2vec 2.0, where transformers masks a padded batch), and we get them as one padded
batch: so they agree only where nothing of a clip's answer comes from its neighbours. Of each network: the answers, and of every parameter the norm and sixteen samples of the gradient of
sum(answers * numbers by formula) over all clips."""
import json
import os
import sys

import torch
import transformers
from safetensors.torch import save_file
from torch import nn

sys.path.insert(0, os.path.dirname(__file__))
import philox  # noqa: E402
from make_models import sampled, value  # noqa: E402

HERE = os.path.dirname(__file__)
SEED = 7
torch.set_num_threads(2)


# ---- Conformer ----

class FeedForward(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.norm, self.fc1, self.fc2 = nn.LayerNorm(width), nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x):
        return self.fc2(nn.functional.silu(self.fc1(self.norm(x))))


class Convolution(nn.Module):
    def __init__(self, width, kernel, batchnorm):
        super().__init__()
        self.norm, self.pointwise1 = nn.LayerNorm(width), nn.Conv1d(width, 2 * width, 1)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        if batchnorm:
            self.batch_norm = nn.BatchNorm1d(width)
        self.pointwise2 = nn.Conv1d(width, width, 1)

    def forward(self, x):
        y = self.depthwise(nn.functional.glu(self.pointwise1(self.norm(x).transpose(1, 2)), 1))
        if hasattr(self, "batch_norm"):
            y = self.batch_norm(y)
        return self.pointwise2(nn.functional.silu(y)).transpose(1, 2)


class Block(nn.Module):
    def __init__(self, width, heads, ffn, kernel, batchnorm):
        super().__init__()
        self.ffn1, self.attn_norm = FeedForward(width, ffn), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.conv, self.ffn2, self.norm = Convolution(width, kernel, batchnorm), FeedForward(width, ffn), nn.LayerNorm(width)

    def forward(self, x):
        x = x + 0.5 * self.ffn1(x)
        y = self.attn_norm(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        x = x + self.conv(x)
        return self.norm(x + 0.5 * self.ffn2(x))


class Conformer(nn.Module):
    def __init__(self, classes=191, blocks=4, width=144, heads=4, ffn=576, kernel=31, bands=80, batchnorm=False):
        super().__init__()
        self.frontend = nn.Module()  # frames go in here: its numbers are not looked at
        self.frontend.register_buffer("window", torch.zeros(400))
        self.frontend.register_buffer("bank", torch.zeros(bands, 201))
        self.stem = nn.Conv1d(bands, width, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(*[Block(width, heads, ffn, kernel, batchnorm) for _ in range(blocks)])
        self.proj = nn.Linear(width, classes)

    def forward(self, x):
        x = nn.functional.gelu(self.stem(x.transpose(1, 2))).transpose(1, 2)
        return self.proj(self.blocks(x))


# ---- wav2vec 2.0: transformers' own, with all clips in one batch as it masks them ----

class Wav2Vec2(nn.Module):
    batched = True

    def __new__(cls, **o):
        net = transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(
            vocab_size=o["classes"], hidden_size=o["width"], num_hidden_layers=o["layers"], num_attention_heads=o["heads"],
            intermediate_size=o["ffn"], conv_dim=numbers(o["conv_widths"]), conv_kernel=numbers(o["conv_kernels"]),
            conv_stride=numbers(o["conv_strides"]), num_feat_extract_layers=len(numbers(o["conv_widths"])), conv_bias=o["conv_bias"],
            feat_extract_norm=o["conv_norm"], num_conv_pos_embeddings=o["position_kernel"],
            num_conv_pos_embedding_groups=o["position_groups"], do_stable_layer_norm=o["stable_layer_norm"]))
        net.batched, net.normalize = True, o["normalize"]
        return net


def numbers(text):
    return [int(n) for n in text.split(",")]


def wav2vec2(net, x, lengths):
    """Logits of each clip; the padded batch goes in, and an attention mask."""
    mask = torch.arange(x.shape[1])[None] < torch.tensor(lengths)[:, None]
    if net.normalize:  # as Wav2Vec2FeatureExtractor does with each clip
        clips = [(x[i, :n] - x[i, :n].mean()) / torch.sqrt(x[i, :n].var(unbiased=False) + 1e-7) for i, n in enumerate(lengths)]
        x = nn.utils.rnn.pad_sequence(clips, batch_first=True)
    y = net(x, attention_mask=mask.long()).logits
    left = net._get_feat_extract_output_lengths(torch.tensor(lengths)).tolist()
    return [y[i, :n] for i, n in enumerate(left)]


# ---- resemblyzer's ----

class SpeakerLSTM(nn.Module):
    def __init__(self, classes=256, width=256, layers=3, bands=40):
        super().__init__()
        self.frontend = nn.Module()
        self.frontend.register_buffer("window", torch.zeros(400))
        self.frontend.register_buffer("bank", torch.zeros(bands, 201))
        self.lstm, self.linear = nn.LSTM(bands, width, layers, batch_first=True), nn.Linear(width, classes)

    def forward(self, x):
        return nn.functional.normalize(torch.relu(self.linear(self.lstm(x)[1][0][-1])))


# ---- small ones ----

def norms(net, x, layers):
    for i in range(0, len(layers), 2):
        x = torch.relu(layers[i + 1](layers[i](x)))
    return x


class WaveCNN(nn.Module):
    def __init__(self, classes=10, width=32):
        super().__init__()
        layers, w = [], 1
        for kernel, step, times in ((80, 16, 1), (5, 4, 1), (5, 4, 2), (5, 2, 4)):
            layers += [nn.Conv1d(w, width * times, kernel, step, kernel // 2, bias=False), nn.BatchNorm1d(width * times)]
            w = width * times
        self.features_of, self.fc = nn.Sequential(*layers), nn.Linear(w, classes)

    def forward(self, x):
        return self.fc(norms(self, x[:, None], self.features_of).mean(2))


class MelConvs(nn.Module):
    def __init__(self, steps, width, bands):
        super().__init__()
        self.frontend = nn.Module()
        self.frontend.register_buffer("window", torch.zeros(400))
        self.frontend.register_buffer("bank", torch.zeros(bands, 201))
        layers, w = [], 1
        for i, step in enumerate(steps):
            layers += [nn.Conv2d(w, width << i, 3, step, 1, bias=False), nn.BatchNorm2d(width << i)]
            w = width << i
        self.convs = nn.Sequential(*layers)


class MelCNN(nn.Module):
    def __init__(self, classes=10, width=96, bands=64, normalize="none"):
        super().__init__()
        self.frontend = nn.Module()
        self.frontend.register_buffer("window", torch.zeros(400))
        self.frontend.register_buffer("bank", torch.zeros(bands, 201))
        layers, w = [], bands
        for _ in range(3):
            layers += [nn.Conv1d(w, width, 5, padding=2, bias=False), nn.BatchNorm1d(width)]
            w = width
        self.convs, self.fc = nn.Sequential(*layers), nn.Linear(2 * width, classes)

    def forward(self, x):
        x = x.mT
        for i in range(0, 6, 2):
            x = torch.relu(self.convs[i + 1](self.convs[i](x)))
            if i < 4:
                x = nn.functional.max_pool1d(x, 2)
        return self.fc(torch.cat([x.mean(2), x.amax(2)], 1))


class CRNN(MelConvs):
    def __init__(self, classes=32, width=32, bands=80, hidden=128, layers=2, normalize="none"):
        super().__init__(((1, 2), (2, 2), (1, 2)), width, bands)
        self.lstm = nn.LSTM(4 * width * ((bands + 7) // 8), hidden, layers, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * hidden, classes)

    def forward(self, x):
        y = norms(self, x[:, None], self.convs).permute(0, 2, 3, 1)
        return self.fc(self.lstm(y.flatten(2))[0])


# ---- all of them ----

W2V = dict(classes=7, width=16, layers=2, heads=2, ffn=24, conv_widths="8,8,8", conv_kernels="10,3,2", conv_strides="5,2,2", conv_bias=False,
           conv_norm="group", position_kernel=8, position_groups=2, stable_layer_norm=False, normalize=False)

SMALL = dict(classes=7, blocks=2, width=16, heads=2, ffn=32, kernel=5, bands=8)
# name: (class, network of the registry, options of both, shape of an element, lengths of the clips)
CASES = {
    "conformer": (Conformer, "conformer", SMALL, (8,), (37, 5, 22)),
    "conformer_norm": (Conformer, "conformer", dict(SMALL, batchnorm=True), (8,), (12, 30)),
    "speaker_lstm": (SpeakerLSTM, "speaker_lstm", dict(classes=6, width=12, layers=2, bands=8), (8,), (9, 14, 3)),
    "wave_cnn": (WaveCNN, "wave_cnn", dict(classes=5, width=4), (), (2000, 1331)),
    "mel_cnn": (MelCNN, "mel_cnn", dict(classes=5, width=4, bands=12, normalize="none"), (12,), (19, 8)),
    "crnn": (CRNN, "crnn", dict(classes=5, width=4, bands=12, hidden=6, layers=2, normalize="none"), (12,), (19, 8, 3)),
    "wav2vec2": (Wav2Vec2, "wav2vec2_base", W2V, (), (400, 217)),
    "wav2vec2_stable": (Wav2Vec2, "wav2vec2_base", dict(W2V, conv_norm="layer", conv_bias=True, stable_layer_norm=True, normalize=True,
                                                        position_kernel=5), (), (200, 333, 150)),
}
NAMES = {"wave_cnn": WaveCNN, "mel_cnn": MelCNN, "crnn": CRNN, "speaker_lstm": SpeakerLSTM, "conformer": Conformer, "wav2vec2_base": lambda: transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config())}


def filled(net):
    state = net.state_dict()
    for key, t in state.items():
        if t.dtype.is_floating_point:
            t.copy_(torch.from_numpy(value(key, tuple(t.shape))))
    net.load_state_dict(state)
    return net.double().eval()


def formula(shape, name):
    return torch.from_numpy(philox.normal(shape, 0, 1, name, SEED)).double()


def run(name, out):
    make, _, options, element, lengths = CASES[name]
    net, total = filled(make(**options)), 0
    x = formula((len(lengths), max(lengths)) + element, "input")
    batched = hasattr(net, "batched")
    answers = wav2vec2(net, x, lengths) if batched else [net(x[i:i + 1, :n])[0] for i, n in enumerate(lengths)]
    for i, y in enumerate(answers):
        out["%s.out.%d" % (name, i)] = y.detach().float()
        total = total + (y * formula(tuple(y.shape), "weights of clip %d" % i)).sum()
    total.backward()
    for key, p in net.named_parameters():
        if p.grad is None:  # what stands for hidden frames, in training alone
            continue
        out["%s.grad.%s" % (name, key)] = sampled(p.grad.reshape(-1)).float()


def main():
    out, about = {}, {}
    for name in CASES:
        run(name, out)
        about[name] = json.dumps({"model": CASES[name][1], "options": CASES[name][2], "element": CASES[name][3], "lengths": CASES[name][4]})
    path = os.path.join(HERE, "speech.safetensors")
    save_file({k: v.contiguous() for k, v in out.items()}, path, about)
    for name, make in NAMES.items():
        with open(os.path.join(HERE, "names", name + ".txt"), "w") as f:
            for key, t in make().state_dict().items():
                f.write(key + " " + "x".join(map(str, t.shape)) + "\n")
    print(path, os.path.getsize(path))


if __name__ == "__main__":
    main()
