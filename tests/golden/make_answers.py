"""Exact match and F1 of answers (lua/tlua/report/texts/answers.lua) as the official scripts of SQuAD 1.1, SQuAD 2.0 and
KorQuAD 1.0 define them, written down here after them. Writes answers.json beside this file; with the name of a copy of
transformers' squad_metrics.py (which has left transformers with version 5) SQuAD 2.0's must agree with that too."""
import json
import os
import random
import re
import string
import sys
from collections import Counter

random.seed(0)
theirs = {"collections": __import__("collections"), "re": re, "string": string}
if len(sys.argv) > 1:
    with open(sys.argv[1]) as f:  # its functions alone
        exec(f.read().split("logger = logging.get_logger(__name__)")[1], theirs)


def without_punctuation(text):
    return "".join(c for c in text if c not in set(string.punctuation))


def squad(text):
    text = without_punctuation(text.lower())
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def korquad(text):
    for mark in "'\"《》<>〈〉()‘’":
        text = text.replace(mark, " ")
    return " ".join(without_punctuation(text.lower()).split())


def overlap(a, b):
    same = sum((Counter(a) & Counter(b)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(a), same / len(b)
    return 2 * precision * recall / (precision + recall)


def squad_f1(a, b):
    return overlap(squad(a).split(), squad(b).split())


def squad2_f1(a, b):
    a, b = squad(a).split(), squad(b).split()
    return float(a == b) if not a or not b else overlap(a, b)


def korquad_f1(a, b):
    return overlap(list(korquad(a).replace(" ", "")), list(korquad(b).replace(" ", "")))


def scores(given, right):
    known = [r for r in right if squad(r)] or [""]
    out = {"squad": [max(squad(given) == squad(r) for r in right), max(squad_f1(given, r) for r in right)],
           "squad2": [max(squad(given) == squad(r) for r in known), max(squad2_f1(given, r) for r in known)],
           "korquad": [max(korquad(given) == korquad(r) for r in right), max(korquad_f1(given, r) for r in right)]}
    if "compute_f1" in theirs:
        assert out["squad2"][0] == max(theirs["compute_exact"](r, given) for r in known), (given, right)
        assert out["squad2"][1] == max(theirs["compute_f1"](r, given) for r in known), (given, right)
    return {name: [int(v[0]), float(v[1])] for name, v in out.items()}


PAIRS = [
    ("The Eiffel Tower", ["Eiffel Tower", "the tower of Eiffel"]), ("an apple a day", ["apple, day!"]), ("", ["x"]),
    ("the", ["a", "b"]), ("", [""]), ("a.", ["the"]), ("U.S.", ["US", "the U.S. of A."]), ("tea-a-the", ["teaathe"]),
    ("caf\u00e9 a la carte", ["Caf\u00c9 la carte"]), ("\u00e9a the\u0300 a", ["\u00e9a"]), ("a\u4e00 the b", ["b"]),
    ("no-break\u00a0space\u3000wide\u2003em", ["no-break space wide em"]), ("1,000 km", ["1000 km", "1000km"]),
    ("2\u00b2a a\u00b2 a_b", ["b"]), ("\u0130stanbul", ["istanbul"]), ("tab\there\x1cthere\x85x", ["tab here there x"]),
    ("\u300a\uc0bc\uad6d\uc9c0\u300b", ["\uc0bc\uad6d\uc9c0", "\u2018\uc0bc\uad6d\uc9c0\u2019"]),
    ("1989\ub144 2\uc6d4 15\uc77c", ["1989\ub144 2\uc6d4", "2\uc6d4 15\uc77c"]),
    ("\uae40\uc601\uc0bc(\u91d1\u6cf3\u4e09)", ["\uae40\uc601\uc0bc", "\u91d1\u6cf3\u4e09"]),
    ("'Don't' \"say\" <so>", ["Don t say so"]), ("\uc11c\uc6b8 \ub300\ud559\uad50", ["\uc11c\uc6b8\ub300\ud559\uad50"]),
    ("!?.", ["..."]), ("\u3008\ubd80\ubd80\u3009, \uc601\ud654", ["\ubd80\ubd80 \uc601\ud654"]),
]
WORDS = ["the", "a", "Seoul", "\uc11c\uc6b8", "\ub300\ud559", "1.5", "(x)", "\u201cq\u201d", "\u2014", "river's", "An"]
for _ in range(60):
    PAIRS.append((" ".join(random.choices(WORDS, k=random.randint(0, 5))),
                  [" ".join(random.choices(WORDS, k=random.randint(1, 5))) for _ in range(random.randint(1, 3))]))



def best_threshold(score, none, answerable):
    sum_ = best = sum(not v for v in answerable.values())
    at = 0.0
    for k in sorted(none, key=lambda k: none[k]):
        sum_ += score[k] if answerable[k] else -1
        if sum_ > best:
            best, at = sum_, none[k]
    return best / len(score), at


rows = [{"given": g, "right": r, "scores": scores(g, r), "squad": squad(g), "korquad": korquad(g)} for g, r in PAIRS]

# The threshold of "no answer".
thresholds = []
for n, share in [(40, 0.5), (30, 0.0), (30, 1.0), (60, 0.2)]:
    names = ["q%d" % i for i in range(n)]
    answerable = {k: random.random() >= share for k in names}
    none = {k: random.gauss(-1 if answerable[k] else 1, 1.5) for k in names}
    score = {k: random.choice([0.0, 0.5, 1.0]) if answerable[k] else 0.0 for k in names}
    best, at = best_threshold(score, none, answerable)
    if "find_best_thresh" in theirs:
        other = theirs["find_best_thresh"](dict.fromkeys(names, "x"), score, none, answerable)
        assert abs(100 * best - other[0]) < 1e-9 and at == other[1]
    thresholds.append({"rows": [{"none": none[k], "score": score[k], "answerable": answerable[k]} for k in names],
                       "best": best, "at": at})
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "answers.json"), "w") as f:
    json.dump({"answers": rows, "thresholds": thresholds}, f, separators=(",", ":"), ensure_ascii=False)
