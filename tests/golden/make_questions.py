"""Questions in the form of SQuAD (questions.json beside this file, which tlua reads too), and under "golden" which pieces
their answers begin and end with in each window: prepare_train_features of transformers' run_qa.py, with the tokenizers
of tokenizers/. "answers" are what comes of random logits: postprocess_qa_predictions of its utils_qa.py, written down after
it."""
import json
import math
import os
import random

from tokenizers import Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
LONGEST, STRIDE = 40, 12

PARAGRAPHS = [
    ("Networks", "A network that knows pictures learns new ones from few of them, and keeps what it knows. In 2026 it was "
     "trained with 12,345 of them; he said that she'll come, and that they've gone. Few pictures were there then.",
     [("What learns new ones?", "A network that knows pictures"), ("How many of them?", "12,345"),
      ("  When was it trained?", "2026"), ("Who said it?", "he"), ("What were there then?", "Few pictures")]),
    ("\uc601\ud654", "\uc601\ud654\uac00 \uc815\ub9d0 \uc7ac\ubbf8\uc788\uc5c8\ub2e4. \ub2e4\uc2dc \ubcf4\uace0 \uc2f6\uc740"
     " \uc601\ud654, \ubc30\uc6b0\ub4e4\uc758 \uc5f0\uae30\uac00 \uc88b\uc558\ub2e4. \ub108\ubb34 \uc9c0\ub8e8\ud574\uc11c"
     " \uc911\uac04\uc5d0 \ub098\uc654\uc5b4\uc694. \ub3c8\uc774 \uc544\uae5d\ub2e4, \ubcc4\uc810 1\uc810\ub3c4 \uc544\uae5d\ub2e4.",
     [("\ubb34\uc5c7\uc774 \uc88b\uc558\ub098?", "\ubc30\uc6b0\ub4e4\uc758 \uc5f0\uae30"), ("\uc5b8\uc81c?", "\uc911\uac04"),
      ("\ubcc4\uc810\uc740?", "1\uc810")]),
    ("\u00c9cole", "Caf\u00e9 \u2014 \u00e9cole \u00e9t\u00e9; K\u00e4se \U0001F9C0 und W\u00f6rter. \u65e5\u672c\u8a9e\u306e\u6587\u7ae0.",
     [("Welcher?", "K\u00e4se"), ("Was?", "W\u00f6rter"), ("\u4f55?", "\u65e5\u672c\u8a9e")]),
]


def data():
    articles, n = [], 0
    for title, context, qas in PARAGRAPHS:
        rows = []
        for question, answer in qas:
            n += 1
            rows.append({"id": "q%d" % n, "question": question,
                         "answers": [{"text": answer, "answer_start": context.index(answer)}]})
        articles.append({"title": title, "paragraphs": [{"context": context, "qas": rows}]})
    return {"version": "1.1", "data": articles}


def span(encoding, start, end):
    places = [i for i, s in enumerate(encoding.sequence_ids) if s == 1]
    offsets = encoding.offsets
    a, b = places[0], places[-1]
    if not (offsets[a][0] <= start and offsets[b][1] >= end):
        return [0, 0]
    while a <= places[-1] and offsets[a][0] <= start:
        a += 1
    while b >= places[0] and offsets[b][1] >= end:
        b -= 1
    return sorted([a - 1, b + 1])  # two pieces of one character may stand at one place


def answered(windows, context, best_of=20, longest=30):
    """windows: [(encoding, begins, ends)]; the answer, its share, and the share of none, with and without "none"."""
    found, none = [], math.inf
    for e, begins, ends in windows:
        none = min(none, begins[0] + ends[0])
        order = lambda v: sorted(range(len(v)), key=lambda i: -v[i])
        inside = [s == 1 for s in e.sequence_ids]
        for a in [i for i in order(begins) if inside[i]][:best_of]:
            for b in [i for i in order(ends) if inside[i]][:best_of]:
                if a <= b < a + longest:
                    found.append((begins[a] + ends[b], e.offsets[a][0], e.offsets[b][1]))
    best = sorted(found, key=lambda f: -f[0])[:best_of]
    out = {"none": none - best[0][0]}
    for name, scores in (("plain", [f[0] for f in best]), ("with_none", [f[0] for f in best] + [none])):
        out[name] = math.exp(best[0][0] - max(scores)) / sum(math.exp(s - max(scores)) for s in scores)
    out["text"] = context[best[0][1]:best[0][2]]
    return out


def asked(name):
    """Each question of `made` beside its paragraph, through a tokenizer: (qa, context, [encoding of each window])."""
    tokenizer = Tokenizer.from_file(os.path.join(HERE, "tokenizers", name + ".json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST, stride=STRIDE, strategy="only_second")
    for article in made["data"]:
        for p in article["paragraphs"]:
            for qa in p["qas"]:
                first = tokenizer.encode(qa["question"].lstrip(), p["context"])
                yield qa, p["context"], [first] + first.overflowing


random.seed(5)
made = data()
golden = {}
for name in ("wordpiece", "unigram", "roberta"):
    rows = []
    for qa, _, encodings in asked(name):
        start = qa["answers"][0]["answer_start"]
        end = start + len(qa["answers"][0]["text"])
        rows.append([{"ids": e.ids, "span": span(e, start, end)} for e in encodings])
    golden[name] = rows
answers = []
for _, context, encodings in asked("wordpiece"):
    windows = [(e, [round(random.gauss(0, 2), 4) for _ in e.ids], [round(random.gauss(0, 2), 4) for _ in e.ids])
               for e in encodings]
    answers.append({"logits": [[b, e] for _, b, e in windows], **answered(windows, context)})
with open(os.path.join(HERE, "questions.json"), "w") as f:
    json.dump({"longest": LONGEST, "stride": STRIDE, "golden": golden, "answers": answers, **made}, f, ensure_ascii=False,
              separators=(",", ":"))
