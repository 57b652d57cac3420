"""Small tokenizers of every kind, trained on the sentences below, and what Hugging Face's tokenizers make of texts that
are hard on them: numbers, places in bytes, and types. Writes tests/golden/tokenizers/NAME.json and texts.json."""

import base64
import hashlib
import json
import os
import random
import struct

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

OUT = os.path.join(os.path.dirname(__file__), "tokenizers")
SENTENCES = [
    "a network that knows pictures learns new ones from few of them, and keeps what it knows",
    "he said that she'll come, they've gone, and I'm here; 12,345 of 678 in 2026",
    "영화가 정말 재미있었다 다시 보고 싶은 영화 배우들의 연기가 좋았다",
    "너무 지루해서 중간에 나왔어요 ㅋㅋㅋㅋㅋ 돈이 아깝다 ㅠㅠ 별점 1점도 아깝다",
    "日本語の文章と中文的句子 и русский текст, ein paar Wörter über Käse, école été",
]
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LETTERS = pre_tokenizers.ByteLevel.alphabet()


def template(t, cls, sep):
    t.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} $B:1 {sep}:1",
        special_tokens=[(cls, t.token_to_id(cls)), (sep, t.token_to_id(sep))],
    )


def wordpiece():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    t.train_from_iterator(SENTENCES, trainers.WordPieceTrainer(vocab_size=300, special_tokens=special))
    template(t, "[CLS]", "[SEP]")
    t.add_tokens([AddedToken("network", single_word=True), AddedToken("  foo", lstrip=True, rstrip=True)])
    return t


def gpt2():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<|endoftext|>"], initial_alphabet=LETTERS)
    t.train_from_iterator(SENTENCES, trainer)
    t.post_processor = processors.ByteLevel(trim_offsets=True, add_prefix_space=False)
    return t


def roberta():
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    t.train_from_iterator(
        SENTENCES, trainers.BpeTrainer(vocab_size=380, special_tokens=special, initial_alphabet=LETTERS)
    )
    t.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return t


def llama3():
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<|begin|>"], initial_alphabet=LETTERS)
    t.train_from_iterator(SENTENCES, trainer)
    t.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single="<|begin|> $A", pair="<|begin|> $A <|begin|> $B:1", special_tokens=[("<|begin|>", 0)]
            ),
        ]
    )
    return t


def llama2():
    t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    special = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % i for i in range(256)]
    t.train_from_iterator(
        SENTENCES, trainers.BpeTrainer(vocab_size=500, special_tokens=special, max_token_length=8)
    )
    return t


def charsmap():
    """A table of SentencePiece's form: "か゛" -> "が", "ﬁ" -> "fi", "…" -> "...", and one that is taken away."""
    pairs = {"か\u3099": "が", "ﬁ": "fi", "…": "...", "\u200b": "", "Ａ": "A"}
    texts, at = b"", {}
    for key, value in pairs.items():
        at[key] = len(texts)
        texts += value.encode() + b"\0"
    trie = {}
    for key in pairs:
        node = trie
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node["value"] = at[key]
    units = [0] * 4096
    used = {0}

    def place(node, index):
        """A node's children lie at its base xor their byte, its value at the base itself."""
        keys = [k for k in node if k != "value"]
        leaf = "value" in node
        base = 256
        while any(base ^ k in used for k in keys) or (leaf and base in used) or base ^ index >= 1 << 21:
            base += 1
        units[index] |= (index ^ base) << 10 | (1 << 8 if leaf else 0)
        if leaf:
            units[base] = node["value"] | 1 << 31
            used.add(base)
        used.update(base ^ k for k in keys)
        for k in keys:
            units[base ^ k] = k
        for k in keys:
            place(node[k], base ^ k)

    place(trie, 0)
    size = max(used) + 257
    blob = struct.pack("<I", 4 * size) + struct.pack("<%dI" % size, *units[:size]) + texts
    return base64.b64encode(blob).decode()


def unigram():
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.StripAccents(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<unk>", "<s>", "</s>"]
    t.train_from_iterator(
        SENTENCES, trainers.UnigramTrainer(vocab_size=260, special_tokens=special, unk_token="<unk>")
    )
    template(t, "<s>", "</s>")
    return t


def charsmapped():
    t = unigram()
    j = json.loads(t.to_str())
    j["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": charsmap()}
    j["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {
        "type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}]}
    return Tokenizer.from_str(json.dumps(j))


def words():
    t = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    t.normalizer = normalizers.Sequence(
        [normalizers.NFD(), normalizers.StripAccents(), normalizers.Nmt(), normalizers.Strip()]
    )
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Whitespace(),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Punctuation("merged_with_previous"),
        ]
    )
    t.train_from_iterator(SENTENCES, trainers.WordLevelTrainer(vocab_size=200, special_tokens=["[UNK]"]))
    return t


def clip():
    t = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>", fuse_unk=False))
    t.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.Digits()]
    )
    t.train_from_iterator(
        SENTENCES, trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>"], end_of_word_suffix="</w>")
    )
    return t


WORDS = """[CLS] <s> </s> <mask> network networks [UNK] <|endoftext|> <0x41> ▁ ## 's 'LL she'll １２３ ½ ﬁ Ⅷ ｶﾞ İ ß Σς ǆ ﷺ
ㅋㅋㅋㅋㅋ 영화 재미있다 か゛ … Ａ""".split() + [
    "  foo", "   foo  foo", "e\u0301", "\u1112\u1161\u11ab", "\uac00\u11a8", "\u00a0", "\u3000", "\u200b", "\ufeff", "\r\n", "\t", "か\u3099",
    "🏳️\u200d🌈", "👨\u200d👩\u200d👧", "\u0345\u0323", "a\u0315\u0300\u05ae\u0300b", "\u0f71\u0f72", "\u1e0b\u0323",
    "\U0001e2ff", "\u1ac1", "\U00011938", "x" * 30,
]  # fmt: skip
RANGES = [(0x20, 0x7F)] * 4 + [
    (0, 0x20), (0x80, 0x250), (0x300, 0x370), (0x370, 0x600), (0x600, 0xE00), (0x1100, 0x1200), (0x1E00, 0x2100),
    (0x3000, 0x3400), (0x4E00, 0x9FFF), (0xAC00, 0xD7A4), (0xF900, 0x10000), (0x10000, 0x12000), (0x1D000, 0x1FA00),
    (0x20000, 0x2FA20), (0, 0x110000),
]  # fmt: skip


HOSTILE = 460  # 20,000 of them: bench/pieces.py


def hostile(count):
    draw, out = random.Random(1), []
    for _ in range(count):
        text = ""
        for _ in range(draw.randint(0, 10)):
            kind = draw.random()
            if kind < 0.35:
                text += draw.choice(WORDS)
            elif kind < 0.45:
                text += " " * draw.randint(1, 3)
            elif kind < 0.6:
                text += draw.choice(SENTENCES)[: draw.randint(1, 20)]
            else:
                low, high = draw.choice(RANGES)
                points = [draw.randrange(low, high) for _ in range(draw.randint(1, 3))]
                text += "".join(chr(c) for c in points if not 0xD800 <= c < 0xE000)
        out.append(text)
    return out


def places(text, offsets):
    at = [0]
    for c in text:
        at.append(at[-1] + len(c.encode()))
    return [at[p] for pair in offsets for p in pair]


def digest(ids, where):
    """Eight letters that stand for numbers and places: of many texts a file keeps these alone."""
    return hashlib.sha256((" ".join(map(str, ids)) + "|" + " ".join(map(str, where))).encode()).hexdigest()[:8]


def main():
    os.makedirs(OUT, exist_ok=True)
    texts = SENTENCES + WORDS + hostile(60)
    pairs = [(i, (7 * i + 3) % len(texts), 12 + i % 9, i % 3) for i in range(0, len(texts), 3)]
    made = {"texts": texts, "tokenizers": {}, "hostile": hostile(HOSTILE)[60:]}
    for make in (wordpiece, gpt2, roberta, llama3, llama2, unigram, charsmapped, words, clip):
        t, name = make(), make.__name__
        t.save(os.path.join(OUT, name + ".json"), pretty=False)
        rows = []
        for text in texts:
            e = t.encode(text)
            rows.append([e.ids, places(text, e.offsets)])
        windows = []
        for a, b, longest, stride in pairs:
            t.enable_truncation(longest, stride=stride, strategy="only_first")
            e = t.encode(texts[a])
            both = None
            t.enable_truncation(longest + 20, strategy="longest_first")
            both = t.encode(texts[a], texts[b])
            t.no_truncation()
            windows.append(
                [a, b, longest, stride, [e.ids] + [o.ids for o in e.overflowing], both.ids, both.type_ids]
            )
        short = []
        for text in made["hostile"]:
            e = t.encode(text)
            short.append(digest(e.ids, places(text, e.offsets)))
        made["tokenizers"][name] = {"single": rows, "windows": windows, "hostile": short}
    with open(os.path.join(OUT, "texts.json"), "w") as f:
        json.dump(made, f, separators=(",", ":"))


if __name__ == "__main__":
    main()
