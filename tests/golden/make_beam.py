"""Goldens of the prefix beam search: pyctcdecode's best text and its score, without a language model.

    python tests/golden/make_beam.py     writes tests/golden/beam.json (pyctcdecode 0.5.0)"""
import json
import os

import numpy as np
from pyctcdecode import build_ctcdecoder

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    rng, clips = np.random.default_rng(0), []
    decoder = build_ctcdecoder(["", "a", "b", "c", "d", "e"])
    for _ in range(16):
        x = (rng.normal(size=(20, 6)) * 2.5).round(2)
        rows = x - np.log(np.exp(x).sum(-1, keepdims=True))
        best = decoder.decode_beams(rows, beam_width=100, beam_prune_logp=-10, token_min_logp=-5)[0]
        clips.append({"x": x.tolist(), "text": best[0], "score": float(best[-1])})
    with open(os.path.join(HERE, "beam.json"), "w") as f:
        json.dump({"clips": clips}, f)
        f.write("\n")


if __name__ == "__main__":
    main()
