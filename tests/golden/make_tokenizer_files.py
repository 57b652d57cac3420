"""Tokenizers in all forms of files but tokenizer.json, and what transformers makes of texts with them: numbers and places
in bytes. Writes tests/golden/tokenizer_files/NAME/ and golden.json; the texts are those of make_tokenizers.py."""

import json
import os
import shutil
import tempfile

import sentencepiece
import transformers
from tokenizers import Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "tokenizer_files")
JSON = os.path.join(HERE, "tokenizers")
with open(os.path.join(JSON, "texts.json")) as f:
    TEXTS = json.load(f)["texts"]
EVERY = 2  # of the texts, to keep the file small


def model_of(name):
    with open(os.path.join(JSON, name + ".json")) as f:
        return json.load(f)["model"]


def write(folder, name, text):
    with open(os.path.join(folder, name), "w") as f:
        f.write(text if isinstance(text, str) else json.dumps(text, ensure_ascii=False))


def vocabulary(folder, more=()):
    pieces = sorted(model_of("wordpiece")["vocab"].items(), key=lambda each: each[1])
    write(folder, "vocab.txt", "".join(piece + "\n" for piece, _ in pieces) + "".join(more))


def bert(folder):
    vocabulary(folder)
    return transformers.BertTokenizer


def bert_cased(folder):
    """Other names, spaces behind pieces, pieces that stand there twice or in a table of their own, and no settings left out."""
    vocabulary(folder, ["Käse \n", "Käse\u3000\n", "\n", "<start>\n", "정말\r\n", "##foo"])
    write(folder, "tokenizer_config.json", {
        "do_lower_case": False, "strip_accents": False, "tokenize_chinese_chars": False, "cls_token": "<start>",
        "tokenizer_class": "BertTokenizerFast", "additional_special_tokens": ["<new>"],
        "added_tokens_decoder": {
            "306": {"content": "  foo", "lstrip": True, "rstrip": True, "single_word": False, "normalized": True, "special": False},
            "4": {"content": "[MASK]", "lstrip": True, "rstrip": False, "single_word": False, "normalized": False, "special": True},
        }})  # fmt: skip
    return transformers.BertTokenizer


def pairs(folder, name):
    model = model_of(name)
    write(folder, "vocab.json", model["vocab"])
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    write(folder, "merges.txt", "#version: 0.2\n" + "".join(m + "\n" for m in merges))


def gpt2(folder):
    pairs(folder, "gpt2")
    write(folder, "tokenizer_config.json", {"add_bos_token": True, "pad_token": "<pad>"})
    write(folder, "config.json", {"model_type": "gpt2"})
    return transformers.GPT2Tokenizer


def roberta(folder):
    pairs(folder, "roberta")
    mask = {"content": "<mask>", "lstrip": True, "rstrip": False, "single_word": False, "normalized": True}
    write(folder, "tokenizer_config.json", {"add_prefix_space": True})
    write(folder, "special_tokens_map.json", {"mask_token": mask})
    write(folder, "added_tokens.json", {"재미있다": 381, "<mask>": 380})
    return transformers.RobertaTokenizer


RULES = {"か\u3099": "が", "ﬁ": "fi", "…": "...", "\u200b": "", "Ａ": "A", "\t": " ", "\u3000": " ", "①": "1", "Ｅ": "e"}


def trained(folder, name, kind, size, **options):
    with open(os.path.join(HERE, "make_tokenizers.py")) as f:
        sentences = f.read().split("SENTENCES = ")[1].split("\n]")[0] + "\n]"
    where = tempfile.mkdtemp()
    with open(where + "/texts", "w") as f:
        f.write("\n".join(eval(sentences) * 3) + "\n")
    with open(where + "/rules", "w") as f:
        for key, value in RULES.items():
            f.write("%s\t%s\n" % (" ".join("%X" % ord(c) for c in key), " ".join("%X" % ord(c) for c in value)))
    back = os.getcwd()
    os.chdir(where)  # names of files go into the model
    if options.pop("rules", False):
        options["normalization_rule_tsv"] = "rules"
    else:
        options["normalization_rule_name"] = "identity"
    sentencepiece.SentencePieceTrainer.train(
        input="texts", model_prefix="own", model_type=kind, vocab_size=size, hard_vocab_limit=False,
        num_threads=1, minloglevel=2, **options)  # fmt: skip
    os.chdir(back)
    shutil.copy(where + "/own.model", os.path.join(folder, name))
    shutil.rmtree(where)


def xlm_roberta(folder):
    trained(folder, "sentencepiece.bpe.model", "unigram", 250, rules=True, user_defined_symbols=["ㅋㅋ", "."])
    write(folder, "config.json", {"model_type": "xlm-roberta"})
    return transformers.XLMRobertaTokenizer


def camembert(folder):
    trained(folder, "sentencepiece.bpe.model", "unigram", 200, remove_extra_whitespaces=False)
    write(folder, "tokenizer_config.json", {"tokenizer_class": "CamembertTokenizer"})
    return transformers.CamembertTokenizer


def plain_unigram(folder):
    trained(folder, "spiece.model", "unigram", 460, rules=True, byte_fallback=True, bos_id=-1, pad_id=3)
    return transformers.PreTrainedTokenizerFast


def plain_pairs(folder):
    trained(folder, "tokenizer.model", "bpe", 420, byte_fallback=True, user_defined_symbols=["<sep>", "영화", "(", "foo"])
    write(folder, "tokenizer_config.json", {"add_bos_token": True, "add_eos_token": True, "legacy": False})
    return transformers.PreTrainedTokenizerFast


def plain_bare(folder):
    trained(folder, "own.model", "bpe", 170, add_dummy_prefix=False, remove_extra_whitespaces=False)
    return transformers.PreTrainedTokenizerFast


def places(text, offsets):
    at = [0]
    for c in text:
        at.append(at[-1] + len(c.encode()))
    return [at[p] for pair in offsets for p in pair]


def main():
    made = {}
    for make in (bert, bert_cased, gpt2, roberta, xlm_roberta, camembert, plain_unigram, plain_pairs, plain_bare):
        folder = os.path.join(OUT, make.__name__)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        kind = make(folder)
        given = {}
        if kind is transformers.PreTrainedTokenizerFast:
            given["vocab_file"] = [os.path.join(folder, n) for n in os.listdir(folder) if n.endswith(".model")][0]
        whole = kind.from_pretrained(folder, **given)._tokenizer.to_str()
        t = Tokenizer.from_str(whole)  # as a file of it would be read
        rows = []
        for text in TEXTS[::EVERY]:
            e = t.encode(text)
            rows.append([e.ids, places(text, e.offsets)])
        both = t.encode(TEXTS[0], TEXTS[2])
        rest = json.loads(whole)  # all but the vocabulary
        for long in ("vocab", "merges"):
            rest["model"].pop(long, None)
        made[make.__name__] = {"rows": rows, "pair": both.ids, "types": both.type_ids, "rest": rest}
    with open(os.path.join(OUT, "golden.json"), "w") as f:
        json.dump({"every": EVERY, "made": made}, f, separators=(",", ":"))


main()
