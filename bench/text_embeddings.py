"""Mean-pooled embeddings of real texts by real weights, tlua's beside transformers', from the same numbers of pieces.

    python bench/text_embeddings.py FOLDER TEXTS [TEXTS...] [--lines 256] [--batch 16] [--config FILE]

FOLDER is as Hugging Face lays it out (tokenizer.json, model.safetensors, config.json); --config gives another
config.json. TEXTS: files of lines; of a TSV the longest column. Tells the largest 1 - cosine and the largest difference,
relative to the largest number. TLUA: the program (./tlua)."""

import argparse
import os
import shutil
import subprocess
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer


def lines_of(path, most):
    with open(path, encoding="utf-8") as f:
        rows = [max(line.rstrip("\n").split("\t"), key=len) for line in f]
    rows = [row for row in rows if row.strip()]
    return rows[:: max(1, len(rows) // most)][:most]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("folder")
    p.add_argument("texts", nargs="+")
    p.add_argument("--lines", type=int, default=256)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--config")
    o = p.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = os.path.join(work, "model")
        os.makedirs(folder)
        for name in "model.safetensors", "tokenizer.json":
            os.symlink(os.path.abspath(os.path.join(o.folder, name)), os.path.join(folder, name))
        shutil.copy(o.config or os.path.join(o.folder, "config.json"), os.path.join(folder, "config.json"))
        tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        tokenizer.enable_truncation(256)
        tokenizer.no_padding()
        texts = [line for path in o.texts for line in lines_of(path, o.lines // len(o.texts))]
        rows = [e.ids for e in tokenizer.encode_batch(texts)]
        model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32, add_pooling_layer=False).eval()
        given, wanted = {}, []
        for i in range(0, len(rows), o.batch):
            part, k = rows[i : i + o.batch], i // o.batch
            lengths = torch.tensor([len(r) for r in part])
            ids = torch.full((len(part), int(lengths.max())), model.config.pad_token_id or 0)
            for n, r in enumerate(part):
                ids[n, : len(r)] = torch.tensor(r)
            mask = (torch.arange(ids.shape[1])[None] < lengths[:, None]).long()
            with torch.no_grad():
                y = model(input_ids=ids, attention_mask=mask).last_hidden_state
            wanted.append((y * mask[..., None]).sum(1) / lengths[:, None])
            given["ids.%d" % k], given["lengths.%d" % k] = ids.int(), lengths.int()
        save_file(given, os.path.join(work, "in.safetensors"))
        subprocess.run([os.environ.get("TLUA", "./tlua"), "bench/text_embeddings.lua", folder,
                        os.path.join(work, "in.safetensors"), os.path.join(work, "out.safetensors")], check=True)  # fmt: skip
        made = load_file(os.path.join(work, "out.safetensors"))
    ours = torch.cat([made["embeddings.%d" % k] for k in range(len(wanted))]).double()
    theirs = torch.cat(wanted).double()
    apart = 1 - torch.nn.functional.cosine_similarity(ours, theirs)
    print("%d texts, %d pieces: 1 - cosine at most %.1e, difference at most %.1e of the largest number" % (
        len(rows), sum(map(len, rows)), apart.max(), (ours - theirs).abs().max() / theirs.abs().max()))  # fmt: skip


main()
