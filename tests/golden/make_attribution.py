"""Gradient times input at the table of pieces (what captum calls LayerGradientXActivation of the embedding), of the
small encoders that make_text.py has made, for their likeliest class: scores of the pieces, and logits, in double
precision."""

import os

import torch
import transformers
from safetensors.torch import load_file, save_file

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    out = {}
    for name in "bert", "roberta", "electra", "distilbert", "gpt2":
        folder = os.path.join(HERE, "text", name)
        golden = load_file(os.path.join(folder, "golden.safetensors"))
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, attn_implementation="eager", dtype=torch.float64, num_labels=3
        ).eval()
        ids, types, lengths = (golden[k].long() for k in ("ids", "types", "lengths"))
        mask = (torch.arange(ids.shape[1])[None] < lengths[:, None]).long()
        rows = []
        table = model.get_input_embeddings()

        def keep(module, taken, y):
            y = y.detach().requires_grad_()
            rows.append(y)
            return y

        handle = table.register_forward_hook(keep)
        more = dict(token_type_ids=types) if name in ("bert", "electra") else {}
        logits = model(input_ids=ids, attention_mask=mask, **more).logits
        handle.remove()
        logits.max(-1).values.sum().backward()
        out[name + ".scores"] = (rows[0].grad * rows[0]).sum(-1).detach().float()
        out[name + ".logits"] = logits.detach().float()
        print(name, out[name + ".scores"][0])
    save_file(out, os.path.join(HERE, "attribution.safetensors"))


main()
