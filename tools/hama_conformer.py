"""The phoneme recogniser of PyPI's package hama 1.7.0 (Apache-2.0; a Conformer with CTC, 2.0 million parameters) for models.conformer
{ weights = "hama" }, out of its wheel. Nothing but Python's own library is needed.

    pip download --no-deps hama==1.7.0
    python3 tools/hama_conformer.py hama-1.7.0-py3-none-any.whl DIR          writes DIR/hama_conformer_ctc.safetensors

The wheel holds what an exporter to ONNX had made: matrices of linear layers are transposed and have lost their names, convolutions with a
batch norm folded in too. Both are given back, in the order in which the network calls them. Numbers stay as they are (float16 or float32).
In the metadata stand the symbols, the blank and the front end."""
import hashlib
import json
import math
import os
import struct
import sys
import zipfile
from array import array

MODEL, WORDS = "hama/assets/asr_waveform.hama", "hama/assets/g2p_vocab.json"
SHA256 = {
    MODEL: "a9fcfe73e179ca48e399cd76a90a6b3e1887bf5037ecc52b778d13a149563328",
    WORDS: "520d19e4e6ae58658eed53594e0feab8ea8e1b4b04a7746e25e50c16c29b91bf",
}
BLOCKS = 4
TYPES = {0: ("F32", "I", 4), 1: ("F16", "H", 2)}  # of the archive: safetensors' name, an array's letter for as many bytes, bytes


class Tensor:
    def __init__(self, kind, shape, data):
        self.kind, self.shape, self.data = kind, shape, data

    def transposed(self):
        letter, (rows, columns) = TYPES[self.kind][1], self.shape
        have, out = array(letter, self.data), array(letter)
        for k in range(columns):
            out.extend(have[k::columns])
        return Tensor(self.kind, (columns, rows), out.tobytes())


class Reader:
    """The archive: a mark, the number of tensors, of each its name, type, shape, place and size, and then all their bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values if len(values) > 1 else values[0]

    def text(self, length):
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def tensors(self):
        if self.data[:6] != b"HAMAPK":
            sys.exit("%s is not what it was: another version" % MODEL)
        self.at, rows = 8, []
        for _ in range(self.take("I")):
            name = self.text(self.take("H"))
            kind, rank = self.take("BB")
            shape = struct.unpack_from("<%dI" % rank, self.data, self.at)
            self.at += 4 * rank
            rows.append((name, kind, shape) + self.take("QQ"))
        begin = len(self.data) - max(place + size for _, _, _, place, size in rows)
        out = {}
        for name, kind, shape, place, size in rows:
            if size != math.prod(shape) * TYPES[kind][2]:
                sys.exit("%s: the tensor %s has another size than its shape says" % (MODEL, name))
            out[name] = Tensor(kind, shape, self.data[begin + place:begin + place + size])
        return out


def numbered(tensors, part):
    """Names like onnx::MatMul_805, which count calls, in their order."""
    return sorted((n for n in tensors if part in n), key=lambda n: int(n.rsplit("_", 1)[1]))


def network(tensors):
    products, convolutions = iter(numbered(tensors, "MatMul")), iter(numbered(tensors, "onnx::Conv"))
    out = {"stem.weight": tensors[next(convolutions)], "stem.bias": tensors[next(convolutions)]}
    for k in range(BLOCKS):
        theirs, ours = "acoustic_model.model.blocks.%d." % k, "blocks.%d." % k
        for name in ("ffn1.fc1", "ffn1.fc2", "attn.in_proj", "attn.out_proj", "ffn2.fc1", "ffn2.fc2"):
            end = "_" if name == "attn.in_proj" else "."  # as torch.nn.MultiheadAttention has them
            out[ours + name + end + "weight"] = tensors[next(products)].transposed()
            out[ours + name + end + "bias"] = tensors[theirs + name + end + "bias"]
        out[ours + "conv.depthwise.weight"], out[ours + "conv.depthwise.bias"] = tensors[next(convolutions)], tensors[next(convolutions)]
        for name in ("ffn1.norm", "attn_norm", "conv.norm", "conv.pointwise1", "conv.pointwise2", "ffn2.norm", "norm"):
            for end in (".weight", ".bias"):
                out[ours + name + end] = tensors[theirs + name + end]
    for end in ("weight", "bias"):
        out["proj." + end] = tensors["acoustic_model.model.proj." + end]
    # The row of the transform for a frequency of 0 is the window.
    kernel = tensors["stft_real_kernel"]
    out["frontend.window"] = Tensor(kernel.kind, kernel.shape[-1:], kernel.data[:kernel.shape[-1] * TYPES[kernel.kind][2]])
    out["frontend.bank"] = tensors["mel_fb"].transposed()
    return out


def save(path, tensors, metadata):
    header, at = {"__metadata__": metadata}, 0
    for name in sorted(tensors):
        t = tensors[name]
        header[name] = {"dtype": TYPES[t.kind][0], "shape": list(t.shape), "data_offsets": [at, at + len(t.data)]}
        at += len(t.data)
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with open(path + ".part", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for name in sorted(tensors):
            f.write(tensors[name].data)
    os.replace(path + ".part", path)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    wheel, folder = sys.argv[1:]
    files = {}
    with zipfile.ZipFile(wheel) as z:
        for name, want in SHA256.items():
            if name not in z.namelist():
                sys.exit("%s has no %s: hama 1.7.0 has" % (wheel, name))
            files[name] = z.read(name)
            found = hashlib.sha256(files[name]).hexdigest()
            if found != want:
                sys.exit("%s: %s has the SHA-256 %s, not %s: another version" % (wheel, name, found, want))
    tokens = json.loads(files[WORDS])["decoder"] + ["<wb>", "<blank>"]
    tensors = network(Reader(files[MODEL]).tensors())
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "hama_conformer_ctc.safetensors")
    save(path, tensors, {
        "source": "PyPI hama 1.7.0, %s, SHA-256 %s" % (MODEL, SHA256[MODEL]), "license": "Apache-2.0",
        "tokens": json.dumps(tokens, ensure_ascii=False), "blank": str(tokens.index("<blank>")), "word_boundary": str(tokens.index("<wb>")),
        "frontend": json.dumps({"rate": 16000, "n_fft": 400, "hop": 160, "window": "hann", "center": True, "pad_mode": "reflect", "power": 2,
                                "bands": 80, "log": "natural", "floor": 1e-10}),
    })
    print(path)


main()
