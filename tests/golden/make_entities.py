"""seqeval's counts of entities (lua/tlua/report/texts/entities.lua) in tags that make sense and in tags that make none.
Writes entities.json beside this file."""
import json
import os
import random

from seqeval import metrics as M
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.metrics.v1 import precision_recall_fscore_support
from seqeval.scheme import IOB2

random.seed(0)
TYPES = ["PER", "LOC", "A-B"]


def tidy(n):
    """BIO as people write it."""
    out = []
    while len(out) < n:
        kind, length = random.choice(TYPES), random.randint(1, 3)
        out += ["O"] * random.randint(0, 3) + ["B-" + kind] + ["I-" + kind] * (length - 1)
    return out[:n]


def wild(n, letters):
    tags = [letter if letter == "O" else letter + "-" + random.choice(TYPES) for letter in random.choices(letters, k=n)]
    return [random.choice(["B", "I", "O"]) if random.random() < 0.1 else tag for tag in tags]


def changed(tags, share, letters):
    other = wild(len(tags), letters)
    return [o if random.random() < share else t for t, o in zip(tags, other)]


def scores(true, given, **options):
    options["zero_division"] = 0
    out = {}
    for average in ("micro", "macro", "weighted"):
        p, r, f, _ = precision_recall_fscore_support(true, given, average=average, **options) if options.get("mode") \
            else (M.precision_score(true, given, average=average, zero_division=0),
                  M.recall_score(true, given, average=average, zero_division=0),
                  M.f1_score(true, given, average=average, zero_division=0), 0)
        out[average] = {"precision": float(p), "recall": float(r), "f1": float(f)}
    report = M.classification_report(true, given, output_dict=True, **options)
    out["types"] = {name: {"precision": float(v["precision"]), "recall": float(v["recall"]), "f1": float(v["f1-score"]),
                           "support": int(v["support"])} for name, v in report.items() if not name.endswith(" avg")}
    return out


cases = []
for sentences, letters, share in [(20, "BIO", 0.2), (20, "BIO", 0.9), (20, "BIOES", 0.5), (3, "O", 0), (8, "IO", 1)]:
    true = [tidy(random.randint(1, 12)) for _ in range(sentences)]
    if letters == "IO":
        true = [wild(len(tags), letters) for tags in true]
    given = [changed(tags, share, letters) for tags in true]
    case = {"true": true, "given": given, "lenient": scores(true, given),
            "accuracy": float(M.accuracy_score(true, given)),
            "entities": [[[kind, a + 1, b + 1] for kind, a, b in get_entities(tags)] for tags in given]}
    if letters == "BIO":
        case["strict"] = scores(true, given, mode="strict", scheme=IOB2)
    cases.append(case)
nothing = [["O", "O"], ["O"]]
cases.append({"true": nothing, "given": [["O", "B-PER"], ["O"]], "lenient": scores(nothing, [["O", "B-PER"], ["O"]]),
              "accuracy": 2 / 3, "entities": [[["PER", 2, 2]], []]})
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "entities.json"), "w") as f:
    json.dump(cases, f, separators=(",", ":"))
