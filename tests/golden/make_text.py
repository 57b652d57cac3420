"""Small encoders of text of each family, from a seed, as transformers saves them (tests/golden/text/FAMILY), and beside
each what it makes of three texts of different lengths: logits, gradients of a cross-entropy, ten losses of SGD; logits
of the mean over pieces where a family has no other layer for that."""

import os
import shutil

import torch
import transformers
from safetensors.torch import load_file, save_file

OUT = os.path.join(os.path.dirname(__file__), "text")
SIZES = dict(vocab_size=50, max_position_embeddings=20, num_labels=3)
USUAL = dict(SIZES, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24)
CONFIGS = {
    "bert": transformers.BertConfig(**USUAL),
    "roberta": transformers.RobertaConfig(**USUAL, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1),
    "electra": transformers.ElectraConfig(**USUAL, embedding_size=8),
    "distilbert": transformers.DistilBertConfig(**SIZES, dim=16, n_layers=2, n_heads=2, hidden_dim=24),
}
STEPS, LENGTHS = 10, [10, 6, 3]


def names():
    """Names and shapes of BERT base, for tests/lua/models.lua."""
    with torch.device("meta"):
        model = transformers.AutoModelForSequenceClassification.from_config(transformers.BertConfig(num_labels=2))
    with open(os.path.join(os.path.dirname(__file__), "names", "bert.txt"), "w") as f:
        for name, tensor in model.state_dict().items():
            f.write("%s %s\n" % (name, "x".join(map(str, tensor.shape))))


def main():
    names()
    for name, config in CONFIGS.items():
        torch.manual_seed(0)
        ids = torch.randint(3, 50, (3, STEPS))
        types = (torch.arange(STEPS) >= 4).long().expand(3, -1)
        labels = torch.tensor([0, 2, 1])
        mask = (torch.arange(STEPS)[None] < torch.tensor(LENGTHS)[:, None]).long()
        model = transformers.AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")
        for p in model.parameters():
            p.data += 0.1 * torch.randn_like(p)  # biases and norms are not as they begin
        model.eval()
        folder = os.path.join(OUT, name)
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder)
        x = ids * mask + (config.pad_token_id or 0) * (1 - mask)
        more = dict(token_type_ids=types) if name in ("bert", "electra") else {}

        def loss():
            logits = model(input_ids=x, attention_mask=mask, **more).logits
            return logits, torch.nn.functional.cross_entropy(logits, labels)

        logits, value = loss()
        value.backward()
        made = {"grad." + k: v.grad.clone() for k, v in model.named_parameters() if v.grad is not None}
        sgd, losses = torch.optim.SGD(model.parameters(), lr=0.1), []
        for _ in range(10):
            sgd.zero_grad()
            step = loss()[1]
            step.backward()
            sgd.step()
            losses.append(step.item())
        made.update(
            ids=x.int(), types=types.int().contiguous(), lengths=torch.tensor(LENGTHS).int(), logits=logits.detach(),
            losses=torch.tensor(losses),
        )  # fmt: skip
        save_file(made, os.path.join(folder, "golden.safetensors"))
        load_file(os.path.join(folder, "model.safetensors"))


main()
