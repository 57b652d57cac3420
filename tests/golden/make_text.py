"""Small encoders of text of each family, from a seed, with all the heads that transformers has for them in one file
(tests/golden/text/FAMILY), and beside it what transformers makes of three texts of different lengths: for a row a text
("vector"), a row a piece ("frames", and "spans" for where an answer lies) and the words ("vocabulary") the logits,
gradients of a cross-entropy, and ten losses of AdamW."""

import json
import os
import shutil

import torch
import transformers
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "text")
SIZES = dict(vocab_size=50, max_position_embeddings=20, num_labels=3)
USUAL = dict(SIZES, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24)
CONFIGS = {
    "bert": transformers.BertConfig(**USUAL),
    "roberta": transformers.RobertaConfig(**USUAL, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1),
    "electra": transformers.ElectraConfig(**USUAL, embedding_size=8),
    "distilbert": transformers.DistilBertConfig(**SIZES, dim=16, n_layers=2, n_heads=2, hidden_dim=24),
    "gpt2": transformers.GPT2Config(vocab_size=50, n_positions=20, n_embd=16, n_layer=2, n_head=2, n_inner=24,
                                    num_labels=3, pad_token_id=0, bos_token_id=0, eos_token_id=0),
}  # fmt: skip
FORMS = {
    "vector": transformers.AutoModelForSequenceClassification,
    "frames": transformers.AutoModelForTokenClassification,
    "spans": transformers.AutoModelForQuestionAnswering,
    "vocabulary": transformers.AutoModelForMaskedLM,
}
STEPS, LENGTHS, BATCH = 10, [10, 6, 3], 3


def names():
    """Names and shapes of the base sizes, for tests/lua/models.lua."""
    for name, config in ("bert", transformers.BertConfig(num_labels=2)), ("gpt2", transformers.GPT2Config(num_labels=2)):
        with torch.device("meta"):
            model = transformers.AutoModelForSequenceClassification.from_config(config)
        with open(os.path.join(HERE, "names", name + ".txt"), "w") as f:
            for key, tensor in model.state_dict().items():
                f.write("%s %s\n" % (key, "x".join(map(str, tensor.shape))))


def of_form(name, config, form):
    """The network with that head; where an answer lies takes two numbers a piece."""
    config = type(config)(**dict(config.to_dict(), num_labels=2 if form == "spans" else 3))
    kind = transformers.AutoModelForCausalLM if name == "gpt2" and form == "vocabulary" else FORMS[form]
    return kind.from_config(config, attn_implementation="eager").eval()


def marks_of(name, form, ids, mask):
    """What each piece should be: a class of three, or a word, next ones for GPT-2; -100 does not count."""
    n, steps = ids.shape
    if form == "frames":
        marks = (ids * 7 + torch.arange(steps)) % 3
        marks[:, 0] = -100
    elif name == "gpt2":
        marks = torch.cat([ids[:, 1:], torch.full((n, 1), -100)], 1)
        mask = torch.cat([mask[:, 1:], mask[:, :1] * 0], 1)
    else:
        marks = torch.where((ids + torch.arange(steps)) % 3 == 0, (ids * 3) % 50, -100)
    return torch.where(mask == 1, marks, -100)


def of(name, model, form, x, types, mask, labels, marks):
    """Logits and loss."""
    more = dict(token_type_ids=types) if name in ("bert", "electra") else {}
    out = model(input_ids=x, attention_mask=mask, **more)
    if form == "spans":
        logits = torch.stack([out.start_logits, out.end_logits], -1)
        places = torch.tensor([[1, 4], [0, 5], [2, 2]])
        seen = logits.masked_fill(mask[..., None] == 0, -1e9)
        f = torch.nn.functional.cross_entropy
        return logits, (f(seen[..., 0], places[:, 0]) + f(seen[..., 1], places[:, 1])) / 2
    wanted = labels if form == "vector" else marks
    return out.logits, torch.nn.functional.cross_entropy(
        out.logits.reshape(-1, out.logits.shape[-1]), wanted.reshape(-1), ignore_index=-100
    )


def save(name, tensors, folder):
    """As folders come: one file, one of PyTorch's own kind, or several and their index."""
    if name == "electra":
        torch.save(tensors, os.path.join(folder, "pytorch_model.bin"))
    elif name == "distilbert":
        keys, where = list(tensors), {}
        for i, part in enumerate((keys[: len(keys) // 2], keys[len(keys) // 2 :])):
            file = "model-%05d-of-00002.safetensors" % (i + 1)
            save_file({k: tensors[k] for k in part}, os.path.join(folder, file))
            where.update({k: file for k in part})
        with open(os.path.join(folder, "model.safetensors.index.json"), "w") as f:
            json.dump(dict(metadata={}, weight_map=where), f)
    else:
        save_file(tensors, os.path.join(folder, "model.safetensors"))


def main():
    names()
    for name, config in CONFIGS.items():
        torch.manual_seed(0)
        ids = torch.randint(3, 50, (BATCH, STEPS))
        types = (torch.arange(STEPS) >= 4).long().expand(BATCH, -1).contiguous()
        labels = torch.tensor([0, 2, 1])
        mask = (torch.arange(STEPS)[None] < torch.tensor(LENGTHS)[:, None]).long()
        x = ids * mask + (config.pad_token_id or 0) * (1 - mask)
        made = dict(ids=x.int(), types=types.int(), lengths=torch.tensor(LENGTHS).int())
        whole = {}  # the tensors of all forms
        for form in FORMS:
            model = of_form(name, config, form)
            for key, p in model.named_parameters():
                p.data += 0.1 * torch.randn_like(p)  # biases and norms are not as they begin
            known = model.state_dict()
            model.load_state_dict({k: v for k, v in whole.items() if k in known and v.shape == known[k].shape},
                                  strict=False)  # fmt: skip
            tied = set(model.all_tied_weights_keys)
            whole.update({k: v.clone() for k, v in model.state_dict().items() if k not in tied})
            marks = marks_of(name, form, ids, mask) if form in ("frames", "vocabulary") else None
            logits, value = of(name, model, form, x, types, mask, labels, marks)
            value.backward()
            if form != "spans":
                made.update({form + ".grad." + k: v.grad.clone() for k, v in model.named_parameters()
                             if v.grad is not None})  # fmt: skip
            if marks is not None:
                made[form + ".marks"] = marks.int()
            adam, losses = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.01), []
            for _ in range(10):
                adam.zero_grad()
                step = of(name, model, form, x, types, mask, labels, marks)[1]
                step.backward()
                adam.step()
                losses.append(step.item())
            made.update({form + ".logits": logits.detach().clone(), form + ".losses": torch.tensor(losses)})
        folder = os.path.join(OUT, name)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        config.save_pretrained(folder)
        save(name, whole, folder)
        save_file(made, os.path.join(folder, "golden.safetensors"))
        print(name, len(whole), {k: v for k, v in made.items() if k.endswith("losses")})


main()
