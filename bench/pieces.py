"""Tokenizers beside Hugging Face's library: numbers, and places in bytes and in characters, of every line of real texts and
of hostile ones, pairs in windows, and how long it takes on one thread and on two.

    python bench/pieces.py compare DATA TOKENIZER...     DATA: a folder with nsmc/, text/KorQuAD_v1.0_dev.json, text/xquad/
    python bench/pieces.py windows DATA TOKENIZER...         of those the pairs alone
    python bench/pieces.py sentencepiece DATA MODEL...       plain .model files: numbers beside transformers' and SentencePiece's
    python bench/pieces.py train DATA FOLDER                 some of those, trained on the reviews, into FOLDER/NAME/own.model
    python bench/pieces.py speed DATA TOKENIZER... [--rounds N]

TOKENIZER is a tokenizer.json or another form's file or folder (tlua converts it, and the library reads the same JSON where
there is none of its own). `compare` ends with 1 where anything differs and shows the first texts that do."""

import importlib.util
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
HOSTILE = 20000
SHOWN = 3
SPEED = 30000  # texts of each source


def golden_maker():
    path = os.path.join(HERE, "..", "tests", "golden", "make_tokenizers.py")
    spec = importlib.util.spec_from_file_location("make_tokenizers", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def nsmc(data):
    out = []
    for part in ("train", "test"):
        with open(os.path.join(data, "nsmc", "ratings_%s.txt" % part), encoding="utf-8", newline="\n") as f:
            out += [line.rstrip("\n") for line in f]
    return [line.split("\t")[1] if line.count("\t") == 2 else line for line in out]


def squad(path):
    """Texts, and pairs of question and paragraph."""
    texts, pairs = [], []
    with open(path, encoding="utf-8") as f:
        articles = json.load(f)["data"]
    for article in articles:
        for paragraph in article["paragraphs"]:
            texts.append(paragraph["context"])
            for one in paragraph["qas"]:
                texts.append(one["question"])
                texts += [a["text"] for a in one["answers"]]
                pairs.append((one["question"], paragraph["context"]))
    return texts, pairs


def sources(data):
    korquad, korquad_pairs = squad(os.path.join(data, "text", "KorQuAD_v1.0_dev.json"))
    xquad, xquad_pairs = squad(os.path.join(data, "text", "xquad", "xquad.en.json"))
    lines = {"NSMC": nsmc(data), "KorQuAD": korquad, "XQuAD": xquad, "hostile": golden_maker().hostile(HOSTILE)}
    return lines, {"KorQuAD, windows": korquad_pairs, "XQuAD, windows": xquad_pairs}


def put(path, texts):
    with open(path, "wb") as f:
        for text in texts:
            raw = text.encode()
            f.write(struct.pack("<I", len(raw)) + raw)


def ours(folder, tokenizer, texts, *options):
    put(folder + "/texts", texts)
    subprocess.run(["./tlua", "bench/pieces.lua", "compare", tokenizer, folder + "/texts", folder + "/out",
                    *map(str, options)], check=True)  # fmt: skip
    with open(folder + "/out", "rb") as f:
        raw = f.read()
    at = 0

    def numbers():
        nonlocal at
        n = struct.unpack_from("<i", raw, at)[0]
        out = struct.unpack_from("<%di" % n, raw, at + 4)
        at += 4 + 4 * n
        return out

    while at < len(raw):
        number = struct.unpack_from("<i", raw, at)[0]
        at += 4
        yield (number, *[numbers() for _ in range(6)])


def bytes_before(text):
    at = [0]
    for c in text:
        at.append(at[-1] + len(c.encode()))
    return at


def wanted(e, texts):
    """(numbers, from and to in bytes, from and to in characters, sequence) of one of the library's encodings."""
    at = [bytes_before(t) for t in texts]
    # Of windows behind the first the library forgets which are of the second text where there is no template.
    sequence = [(-1 if special else 1) if s is None else s for s, special in zip(e.sequence_ids, e.special_tokens_mask)]
    places = [(0, 0) if s < 0 else o for s, o in zip(sequence, e.offsets)]
    in_bytes = [(0, 0) if s < 0 else (at[s][a], at[s][b]) for s, (a, b) in zip(sequence, places)]
    columns = [[p[0] for p in in_bytes], [p[1] for p in in_bytes], [p[0] for p in places], [p[1] for p in places]]
    return (tuple(e.ids), *map(tuple, columns), tuple(sequence))


NAMES = ("numbers", "first bytes", "last bytes", "first characters", "last characters", "sequences")


def differences(rows, expected):
    """How many windows differ; the first few are shown."""
    bad = count = 0
    for number, *own in rows:
        text, want = next(expected, (None, None))
        count += 1
        if want == tuple(own):
            continue
        bad += 1
        if bad <= SHOWN:
            what = next((n for n, a, b in zip(NAMES, own, want or own) if a != b), "number of windows")
            k = NAMES.index(what) if what in NAMES else 0
            print("    text %d, %r: %s %s, not %s" % (number, (text or "")[:200], what, own[k][:40], want and want[k][:40]))
    bad += sum(1 for _ in expected)
    return bad, count


def library(path):
    from tokenizers import Tokenizer

    if os.path.isdir(path):
        path = os.path.join(path, "tokenizer.json")
    if path.endswith(".json"):
        t = Tokenizer.from_file(path)
    else:
        made = subprocess.run(["./tlua", "-e", "io.write(require('tlua.data.texts.tokenizer').open(%r).json)" % path],
                              check=True, capture_output=True, text=True).stdout  # fmt: skip
        t = Tokenizer.from_str(made)
    t.no_padding()
    t.no_truncation()
    return t


def compare(data, paths, alone=True):
    lines, pairs = sources(data)
    wrong = 0
    lines = lines if alone else {}
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            t = library(path)
            for name, texts in lines.items():
                expected = ((text, wanted(t.encode(text), [text])) for text in texts)
                bad, count = differences(ours(folder, path, texts), expected)
                print("%s, %s: %d texts, %d differ" % (path, name, count, bad), flush=True)
                wrong += bad
            longest, stride = 128, 32
            t.enable_truncation(longest, stride=stride, strategy="only_second")
            for name, both in pairs.items():
                # Where the question leaves fewer numbers than windows share, tlua says so and the library panics.
                room = longest - t.num_special_tokens_to_add(True) - stride
                t.no_truncation()
                both = [p for p in both if len(t.encode(p[0], add_special_tokens=False).ids) < room]
                t.enable_truncation(longest, stride=stride, strategy="only_second")
                flat = [text for p in both for text in p]
                expected = ((p[1], wanted(w, p)) for p in both for e in [t.encode(*p)] for w in [e, *e.overflowing])
                bad, count = differences(ours(folder, path, flat, longest, stride), expected)
                print("%s, %s: %d pairs, %d windows, %d differ" % (path, name, len(both), count, bad), flush=True)
                wrong += bad
    return wrong


TRAINED = {
    "unigram": dict(model_type="unigram", normalization_rule_name="nmt_nfkc"),
    "bpe": dict(model_type="bpe", normalization_rule_name="nmt_nfkc", byte_fallback=True),
    "unigram_folded": dict(model_type="unigram", normalization_rule_name="nmt_nfkc_cf", byte_fallback=True),
    "bpe_symbols": dict(model_type="bpe", normalization_rule_name="identity", user_defined_symbols=["영화", "ㅋㅋㅋ"]),
    "unigram_bare": dict(model_type="unigram", normalization_rule_name="nfkc", remove_extra_whitespaces=False,
                         add_dummy_prefix=False),
}  # fmt: skip


def train(data, folder):
    import sentencepiece

    lines, _ = sources(data)
    for name, options in TRAINED.items():
        os.makedirs(os.path.join(folder, name), exist_ok=True)
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines["NSMC"][:20000] + lines["XQuAD"][:1000]), vocab_size=4000, minloglevel=2,
            model_prefix=os.path.join(folder, name, "own"), num_threads=1, **options)  # fmt: skip


def beside_sentencepiece(data, paths):
    """What transformers converts must be equal; how SentencePiece itself differs from that is said."""
    import sentencepiece
    import transformers

    lines, _ = sources(data)
    wrong = 0
    for path in paths:
        original = sentencepiece.SentencePieceProcessor(model_file=path)
        folder = os.path.dirname(path)
        converted = transformers.PreTrainedTokenizerFast.from_pretrained(folder, vocab_file=path)._tokenizer
        for name, texts in lines.items():
            texts = texts[:30000]
            with tempfile.TemporaryDirectory() as where:
                rows = [list(row[1]) for row in ours(where, path, texts)]
            theirs = [converted.encode(text).ids for text in texts]
            bad = sum(a != b for a, b in zip(rows, theirs))
            apart = sum(a != original.encode(text) for a, text in zip(theirs, texts))
            print("%s, %s: %d texts, %d differ from transformers', whose own differ from SentencePiece's in %d" % (
                path, name, len(texts), bad, apart), flush=True)  # fmt: skip
            wrong += bad
    return wrong


class Peer:
    """A process that does its work once for every line it gets and says how long that took."""

    def __init__(self, command, **more):
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                  env=dict(os.environ, **more))  # fmt: skip
        assert self.p.stdout.readline() == "ready\n"

    def run(self):
        self.p.stdin.write("\n")
        self.p.stdin.flush()
        return tuple(map(float, self.p.stdout.readline().split()))

    def close(self):
        self.p.stdin.close()
        self.p.wait()


def worker(path, file):
    with open(file, "rb") as f:
        raw, texts, at = f.read(), [], 0
    while at < len(raw):
        n = struct.unpack_from("<I", raw, at)[0]
        texts.append(raw[at + 4:at + 4 + n].decode())
        at += 4 + n
    t = library(path)
    t.encode_batch(texts)
    print("ready", flush=True)
    for _ in sys.stdin:
        wall, own = time.perf_counter(), time.process_time()
        t.encode_batch(texts)
        print("%.6f %.6f" % (time.perf_counter() - wall, time.process_time() - own), flush=True)


def speed(data, paths, rounds):
    lines, _ = sources(data)
    print("| tokenizer | texts | threads | tlua, texts a second | tokenizers | ratio | by processor time |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            for name in ("NSMC", "KorQuAD", "XQuAD"):
                texts = lines[name][:SPEED]
                put(folder + "/texts", texts)
                for threads in (1, 2):
                    own = Peer(["./tlua", "bench/pieces.lua", "speed", path, folder + "/texts", str(threads)])
                    peer = Peer([sys.executable, __file__, "worker", path, folder + "/texts"],
                                RAYON_NUM_THREADS=str(threads), RAYON_RS_NUM_THREADS=str(threads),
                                TOKENIZERS_PARALLELISM="true" if threads > 1 else "false")  # fmt: skip
                    took = [own.run() + peer.run() for _ in range(rounds)]
                    own.close(), peer.close()
                    wall = statistics.median(theirs / mine for mine, _, theirs, _ in took)
                    cpu = statistics.median(theirs / mine for _, mine, _, theirs in took)
                    mine, theirs = (len(texts) / statistics.median(row[k] for row in took) for k in (0, 2))
                    print("| %s | %s, %s | %d | %s | %s | %.2f | %.2f |" % (os.path.basename(path.rstrip("/")), name,
                          format(len(texts), ","), threads, format(round(mine), ","), format(round(theirs), ","),
                          wall, cpu), flush=True)  # fmt: skip


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    what, data, *paths = sys.argv[1:]
    rounds = 7
    if "--rounds" in paths:
        at = paths.index("--rounds")
        rounds = int(paths[at + 1])
        del paths[at:at + 2]
    if what == "worker":
        worker(data, paths[0])
    elif what == "train":
        train(data, paths[0])
    elif what == "sentencepiece":
        sys.exit(beside_sentencepiece(data, paths) > 0)
    elif what == "speed":
        speed(data, paths, rounds)
    elif what in ("compare", "windows"):
        sys.exit(compare(data, paths, what == "compare") > 0)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
