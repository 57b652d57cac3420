"""Adapters as PEFT writes them (tests/golden/lora/NAME) on the encoders of tests/golden/text, with what the network
makes of three texts with them: logits, gradients of all that is trained, losses of SGD, logits once they are merged.
Adapters are drawn at random, A and B, since fresh ones change nothing."""

import os
import shutil

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

HERE = os.path.dirname(__file__)
OUT = os.path.join(HERE, "lora")
LABELS = torch.tensor([0, 2, 1])
# The family, then PEFT's options.
CASES = {
    "attention": ("bert", dict(r=4, lora_alpha=8, target_modules=["query", "value"], task_type="SEQ_CLS")),
    "all": ("bert", dict(r=3, lora_alpha=6, use_rslora=True, target_modules="all-linear",
                         modules_to_save=["classifier", "LayerNorm"])),
    "tables": ("roberta", dict(r=2, lora_alpha=3, task_type="SEQ_CLS",
                               target_modules=["word_embeddings", "position_embeddings", "token_type_embeddings", "key"])),
    "patterns": ("distilbert", dict(r=4, lora_alpha=8, target_modules=["q_lin", "v_lin", "lin1"], bias="all",
                                    rank_pattern={"layer.0.attention.q_lin": 2}, alpha_pattern={"lin1": 5},
                                    modules_to_save=["classifier", "pre_classifier"])),
    "transposed": ("gpt2", dict(r=3, lora_alpha=6, target_modules=["c_attn", "c_fc", "wte"], fan_in_fan_out=True,
                                task_type="SEQ_CLS")),
}  # fmt: skip


def main():
    for name, (family, options) in CASES.items():
        torch.manual_seed(1)
        base = os.path.join(HERE, "text", family)
        given = load_file(os.path.join(base, "golden.safetensors"))
        plain = transformers.AutoModelForSequenceClassification.from_pretrained(base, attn_implementation="eager")
        model = peft.get_peft_model(plain, peft.LoraConfig(**options))
        for key, p in model.named_parameters():
            if p.requires_grad:
                p.data += 0.2 * torch.randn_like(p)
        model.eval()
        mask = (torch.arange(given["ids"].shape[1])[None] < given["lengths"][:, None]).long()
        x = dict(input_ids=given["ids"].long(), attention_mask=mask)
        if family in ("bert", "electra"):
            x["token_type_ids"] = given["types"].long()
        folder = os.path.join(OUT, name)
        shutil.rmtree(folder, ignore_errors=True)
        model.peft_config["default"].base_model_name_or_path = family
        model.save_pretrained(folder, save_embedding_layers=False)
        os.remove(os.path.join(folder, "README.md"))

        logits = model(**x).logits
        torch.nn.functional.cross_entropy(logits, LABELS).backward()
        made = {"logits": logits.detach()}
        for key, p in model.named_parameters():
            if p.grad is not None:
                made["grad." + key.replace(".default", "")] = p.grad.clone()
        sgd, losses = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1), []
        for _ in range(5):
            sgd.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(**x).logits, LABELS)
            loss.backward()
            sgd.step()
            losses.append(loss.item())
        made["losses"] = torch.tensor(losses)
        made["merged"] = model.merge_and_unload()(**x).logits.detach()  # after the five steps
        save_file(made, os.path.join(folder, "golden.safetensors"))


main()
