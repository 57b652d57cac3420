"""Loads the folders that tests/interop/lora.lua has written into PEFT, and compares logits, merged ones too.
python tests/interop/lora.py FOLDER"""

import os
import sys
import warnings

import peft
import torch
import transformers
from safetensors.torch import load_file

TEXT = os.path.join(os.path.dirname(__file__), "..", "golden", "text")
worst = 0
for name in sorted(os.listdir(sys.argv[1])):
    folder = os.path.join(sys.argv[1], name)
    family, kind = open(os.path.join(folder, "family")).read().split()
    given = load_file(os.path.join(TEXT, family, "golden.safetensors"))
    labels = dict(num_labels=2) if kind == "QuestionAnswering" else {}
    base = getattr(transformers, "AutoModelFor" + kind).from_pretrained(
        os.path.join(TEXT, family), attn_implementation="eager", **labels
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # keys that are missing or not expected
        model = peft.PeftModel.from_pretrained(base, folder).eval()
    mask = (torch.arange(given["ids"].shape[1])[None] < given["lengths"][:, None]).long()
    x = dict(input_ids=given["ids"].long(), attention_mask=mask)
    if family in ("bert", "electra"):
        x["token_type_ids"] = given["types"].long()
    want = load_file(os.path.join(folder, "logits.safetensors"))["logits"]
    counts = mask[..., None] if want.dim() == 3 else 1

    def distance(out):
        if kind == "QuestionAnswering":
            out = dict(logits=torch.stack([out.start_logits, out.end_logits], -1))
        return ((out["logits"] - want) * counts).abs().max().item()

    with torch.no_grad():
        apart = distance(model.base_model(**x))  # PeftModelForQuestionAnswering drops the types of pieces
        merged = distance(model.merge_and_unload()(**x))
    size = os.path.getsize(os.path.join(folder, "adapter_model.safetensors"))
    print("%-12s %-32s logits apart %.1e, merged %.1e, %d bytes" % (name, type(model).__name__, apart, merged, size))
    worst = max(worst, apart, merged)
sys.exit(worst > 1e-5)
