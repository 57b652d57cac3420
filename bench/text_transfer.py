"""A recipe on texts in PyTorch with Hugging Face's transformers: the same weights, pieces, schedule and rates as tlua's, by what
bench/text_parts.lua has written. Seeds decide the head's first values, dropout and order; the two programs draw different ones.

    tlua bench/text_parts.lua recipes/nsmc.lua parts.json --data.limit 1000
    python bench/text_transfer.py parts.json data/e5_small SEED... [--pool mean|first] [--batches shuffled|sorted]

Of classes it tells accuracy and macro F1, of numbers Spearman's and Pearson's correlation, of pieces the accuracy of marked ones; with --write
FILE the answers of the last seed. Adapters (lora_A, lora_B in a recipe's groups) are PEFT's. BENCH_THREADS: threads of PyTorch (2)."""
import argparse
import json
import os
import time

import numpy
import torch
from torch.nn.functional import cross_entropy, mse_loss
from transformers import AutoModel, logging

logging.set_verbosity_error()
torch.set_num_threads(int(os.environ.get("BENCH_THREADS", "2")))


class Net(torch.nn.Module):
    """Encoder, pooling, head; names as in tlua."""

    def __init__(self, folder, pool, outputs, dropout=0.1):
        super().__init__()
        self.bert, self.pool = AutoModel.from_pretrained(folder, attn_implementation="sdpa", dtype=torch.float32), pool
        self.dropout = torch.nn.Dropout(dropout)
        self.classifier = torch.nn.Linear(self.bert.config.hidden_size, outputs)
        self.classifier.weight.data.normal_(0, self.bert.config.initializer_range)
        self.classifier.bias.data.zero_()

    def features(self, ids, mask, types):
        y = self.bert(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state
        if self.pool == "mean":
            y = (y * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        elif self.pool == "first":
            y = y[:, 0]
        return y

    def forward(self, ids, mask, types):
        return self.classifier(self.dropout(self.features(ids, mask, types)))


def adapted(net, about):
    """PEFT's adapters where the recipe has some; returns the name of each parameter as tlua has it."""
    names = {n for s in about["stages"] for g in s["groups"] for n in g["names"]}
    places = sorted({n.split(".lora_")[0] for n in names if ".lora_" in n})
    if places:
        from peft import LoraConfig, inject_adapter_in_model
        o = about["lora"]
        inject_adapter_in_model(LoraConfig(r=o["rank"], lora_alpha=o["alpha"], lora_dropout=o["dropout"], use_rslora=o["rs"],
                                           target_modules=places), net)
    return {n.replace(".default", "").replace(".base_layer", ""): p for n, p in net.named_parameters()}


def collated(rows, about):
    length = max(len(r["ids"]) for r in rows)
    ids = torch.full((len(rows), length), about["pad"], dtype=torch.long)
    mask, types = torch.zeros(len(rows), length), torch.zeros(len(rows), length, dtype=torch.long)
    marks = torch.full((len(rows), length), -100, dtype=torch.long)
    for i, r in enumerate(rows):
        n = len(r["ids"])
        ids[i, :n], mask[i, :n] = torch.tensor(r["ids"]), 1
        if about.get("types"):
            types[i, :n] = torch.tensor(r["types"])
        if r.get("marks"):
            marks[i, :n] = torch.tensor(r["marks"])
    return ids, mask, types, marks


def loss_of(out, rows, marks, task):
    if task == "regress":
        return mse_loss(out, torch.tensor([r["values"] for r in rows], dtype=torch.float32))
    if task == "tokens":
        return cross_entropy(out.reshape(-1, out.shape[-1]), marks.reshape(-1), ignore_index=-100)
    if task == "span":
        ends = torch.tensor([r["span"] for r in rows])
        out = out.masked_fill(collate_hidden(rows, out)[..., None], -1e30)
        return (cross_entropy(out[..., 0], ends[:, 0]) + cross_entropy(out[..., 1], ends[:, 1])) / 2
    return cross_entropy(out, torch.tensor([r["label"] for r in rows]))


def collate_hidden(rows, out):
    return torch.arange(out.shape[1])[None] >= torch.tensor([[len(r["ids"])] for r in rows])


def batches_of(rows, size, rng, way):
    order = rng.permutation(len(rows))
    if way == "sorted":  # of like length, the batches in a drawn order
        order = sorted(order, key=lambda i: len(rows[i]["ids"]))
    lists = [[rows[i] for i in order[k:k + size]] for k in range(0, len(rows), size)]
    return [lists[k] for k in rng.permutation(len(lists))] if way == "sorted" else lists


def kept(net, about, rows):
    """What stands for each text, where the encoder is frozen: computed once, as tlua does."""
    net.eval()
    out = []
    with torch.no_grad():
        for k in range(0, len(rows), 64):
            out.append(net.features(*collated(rows[k:k + 64], about)[:3]))
    return {id(r): y for r, y in zip(rows, torch.cat(out))}


def train(net, about, seed, way):
    params, rows, rng = adapted(net, about), about["parts"]["train"], numpy.random.default_rng(seed)
    steps = (len(rows) + about["batch"] - 1) // about["batch"]
    for stage in about["stages"]:
        trained = {n for g in stage["groups"] for n in g["names"]}
        for name, p in params.items():
            p.requires_grad_(name in trained)
        missing = trained - params.keys()
        assert not missing, sorted(missing)[:3]
        optim = torch.optim.AdamW([{"params": [params[n] for n in g["names"]], "lr": g["lr"], "weight_decay": g["weight_decay"]}
                                   for g in stage["groups"]])
        rates, at = [g["lr"] for g in stage["groups"]], 0
        per_epoch = len(stage["factors"]) // stage["epochs"]
        pooled = about["task"] in ("classify", "regress") and not any("bert." in n for n in trained)
        features = kept(net, about, rows) if pooled else None
        net.train()
        for epoch in range(stage["epochs"]):
            for k, batch in enumerate(batches_of(rows, about["batch"], rng, way)):
                factor = stage["factors"][min(epoch * per_epoch + k * per_epoch // steps, len(stage["factors"]) - 1)]
                for g, lr in zip(optim.param_groups, rates):
                    g["lr"] = lr * factor
                ids, mask, types, marks = collated(batch, about)
                optim.zero_grad()
                if pooled:
                    out = net.classifier(net.dropout(torch.stack([features[id(r)] for r in batch])))
                else:
                    out = net(ids, mask, types)
                loss_of(out, batch, marks, about["task"]).backward()
                if about.get("clip"):
                    torch.nn.utils.clip_grad_norm_([p for p in params.values() if p.requires_grad], about["clip"])
                optim.step()
                at += 1


def answers(net, about):
    net.eval()
    rows, out = about["parts"]["test"], {}
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]["ids"]))
    with torch.no_grad():
        for k in range(0, len(rows), 64):
            chosen = order[k:k + 64]
            ids, mask, types, _ = collated([rows[i] for i in chosen], about)
            for i, y in zip(chosen, net(ids, mask, types)):
                out[i] = y[:len(rows[i]["ids"])].tolist() if y.dim() > 1 else y.tolist()
    return [out[i] for i in range(len(rows))]


def figures(given, about):
    rows = about["parts"]["test"]
    if about["task"] == "regress":
        from scipy.stats import pearsonr, spearmanr
        said, true = [g[0] for g in given], [r["values"][0] for r in rows]
        return {"spearman": spearmanr(said, true)[0], "pearson": pearsonr(said, true)[0]}
    if about["task"] == "classify":
        from sklearn.metrics import accuracy_score, f1_score
        said, true = numpy.argmax(given, 1), [r["label"] for r in rows]
        return {"accuracy": 100 * accuracy_score(true, said), "macro F1": 100 * f1_score(true, said, average="macro")}
    if about["task"] == "tokens":
        pairs = [(int(numpy.argmax(y)), m) for g, r in zip(given, rows) for y, m in zip(g, r["marks"]) if m != -100]
        return {"accuracy": 100 * sum(a == b for a, b in pairs) / len(pairs)}
    return {}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("parts")
    p.add_argument("folder")
    p.add_argument("seeds", nargs="+", type=int)
    p.add_argument("--pool", default="mean", choices=["mean", "first"])
    p.add_argument("--batches", default="sorted", choices=["shuffled", "sorted"])
    p.add_argument("--write")
    o = p.parse_args()
    about = json.load(open(o.parts))
    outputs = {"regress": 1, "span": 2, "classify": len(about["classes"] or [])}.get(about["task"]) or len(about["classes"])
    pool = o.pool if about["task"] in ("classify", "regress") else None
    for seed in o.seeds:
        torch.manual_seed(seed)
        net, begin = Net(o.folder, pool, outputs), time.time()
        train(net, about, seed, o.batches)
        given = answers(net, about)
        print("seed %d: %s (%.0f s)" % (seed, ", ".join("%s %.4g" % f for f in figures(given, about).items()), time.time() - begin), flush=True)
    if o.write:
        json.dump(given, open(o.write, "w"))


main()
