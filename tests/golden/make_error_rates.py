"""Goldens of error rates: jiwer's character and word error rates of pairs of texts.

    python tests/golden/make_error_rates.py     writes tests/golden/error_rates.json"""
import json
import os
import random

import jiwer

HERE = os.path.dirname(os.path.abspath(__file__))
WORDS = "мама мила раму а рама мала мамо під'їзд об'єкт ні so few words".split()


def changed(rng, text):
    out = []
    for c in text:
        r = rng.random()
        if r < 0.08:
            continue
        out.append(rng.choice("абвяїs ") if r < 0.16 else c)
        if r > 0.94:
            out.append(rng.choice("абвяїs "))
    return " ".join("".join(out).split())


def main():
    rng = random.Random(1)
    clips = []
    for _ in range(60):
        said = " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 9)))
        heard = changed(rng, said) if rng.random() < 0.8 else said
        rates = {"characters": jiwer.cer(said, heard), "words": jiwer.wer(said, heard)}
        clips.append({"said": said, "heard": heard, **rates})
    said, heard = [c["said"] for c in clips], [c["heard"] for c in clips]
    out = {"clips": clips, "characters": jiwer.cer(said, heard), "words": jiwer.wer(said, heard)}
    with open(os.path.join(HERE, "error_rates.json"), "w") as f:
        json.dump(out, f, ensure_ascii=False, indent=0)
        f.write("\n")


if __name__ == "__main__":
    main()
