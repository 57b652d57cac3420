#!/usr/bin/env python3
"""Writes src/text/unicode_tables.c: what Hugging Face's tokenizers take each character for. Their normalizers and
splitters know the Unicode of different years (8, 9 and 16), which no library has all of, so the classes are asked of
the package itself, one character at a time.

    python3 -m pip install tokenizers==0.23.3
    python3 tools/unicode_tables.py > src/text/unicode_tables.c
"""
import ctypes
import sys

from tokenizers import Regex, normalizers, pre_tokenizers

CHARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
NAMES = ["PUNCTUATION", "REMOVED", "NONSPACING", "COMBINING", "NUMERIC", "WORD", "LETTER", "NUMBER", "INERT"]


def splits(tokenizer, c):
    return len(tokenizer.pre_tokenize_str("\x01" + chr(c) + "\x01")) == 3


def own(pattern):
    tokenizer = pre_tokenizers.Split(Regex(pattern), "isolated")
    return lambda c: splits(tokenizer, c)


def gone(normalizer):
    return lambda c: normalizer.normalize_str("a" + chr(c) + "b") == "ab"


def inert():
    """Characters that utf8proc decomposes or reorders, and these normalizers, of Unicode 9, do not."""
    lib = ctypes.CDLL("libutf8proc.so.2")
    lib.utf8proc_NFD.restype = lib.utf8proc_NFKD.restype = ctypes.c_char_p
    nfd, nfkd = normalizers.NFD(), normalizers.NFKD()

    def asks(c):
        text = chr(c)
        if c == 0:
            return False
        if nfd.normalize_str(text) != lib.utf8proc_NFD(text.encode()).decode():
            return True
        if nfkd.normalize_str(text) != lib.utf8proc_NFKD(text.encode()).decode():
            return True
        moved = "a\u0345" + text
        return nfd.normalize_str(moved) != lib.utf8proc_NFD(moved.encode()).decode()

    return asks


def main():
    bert = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    accents = normalizers.BertNormalizer(
        clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False
    )
    punctuation, digits, words = (
        pre_tokenizers.Punctuation("isolated"),
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.Whitespace(),
    )
    asks = [
        lambda c: splits(punctuation, c),
        gone(bert),
        gone(accents),
        gone(normalizers.StripAccents()),
        lambda c: splits(digits, c),
        lambda c: len(words.pre_tokenize_str("a" + chr(c) + "b")) == 1,
        own(r"\p{L}"),
        own(r"\p{N}"),
        inert(),
    ]
    rows, before = [], 0
    for c in CHARS:
        flags = sum(1 << k for k, ask in enumerate(asks) if ask(c))
        if flags != before:
            rows.append((c, flags))
            before = flags
    print("/* unicode_tables.c - made by tools/unicode_tables.py. Each row says from which character on the classes hold. */")
    print('#include "text/unicode.h"\n')
    print("const tl_unicode_row tl__unicode_rows[] = {")
    for i in range(0, len(rows), 6):
        print("    " + " ".join("{0x%x, 0x%x}," % row for row in rows[i : i + 6]))
    print("};\nconst int tl__unicode_row_count = sizeof tl__unicode_rows / sizeof *tl__unicode_rows;")
    print(len(rows), "rows", file=sys.stderr)


main()
