"""The rows of compare.py with another checkout of tlua as the peer: what a change made faster or slower. Needs no PyTorch.

A process's own luck (which pages it got, what its neighbours did as it started) moves its calls by several percent, as much as is asked
about. So each of the rounds begins both anew; within a round both take turns, the one that begins changes, and the quickest call of
each counts. The median of the rounds' ratios is printed with their lowest and highest: a loss is one where the whole span lies below 1.

    python3 bench/before_after.py DIR [WORD...]      DIR: a built checkout of the former commit; only the rows that hold a word"""
import os
import statistics
import sys

from compare import ROOT, ROUNDS, ROWS, Worker

CALLS = 7
LONG = 3.0  # seconds: of calls longer than this three a round must do


def one_round(before, command, begins):
    """The quickest call of both, seconds, and the most memory of both, MB."""
    places = [ROOT, before] if begins else [before, ROOT]
    workers = {place: Worker(command, place) for place in places}
    calls, turn = {place: [] for place in places}, 0
    while turn < (3 if turn and min(calls[ROOT]) > LONG else CALLS):
        for place in places if turn % 2 else places[::-1]:
            calls[place].append(workers[place].measure())
        turn += 1
    memory = {place: workers[place].peak_memory() for place in places}
    for worker in workers.values():
        worker.close()
    return min(calls[ROOT]), min(calls[before]), memory[ROOT] / memory[before]


def main():
    if len(sys.argv) < 2 or not os.access(os.path.join(sys.argv[1], "tlua"), os.X_OK):
        sys.exit("usage: before_after.py DIR [WORD...]: DIR is a checkout of tlua in which make was run")
    before, words, works = os.path.abspath(sys.argv[1]), sys.argv[2:], []
    for work, network, batch, _, _ in ROWS:
        if (work, network, batch) not in works and (not words or any(w in (work, network) for w in words)):
            works.append((work, network, batch))
    print("%-14s %-20s %5s %10s %10s %8s %16s %8s" % ("work", "network", "batch", "before/s", "after/s", "ratio", "lowest, highest", "memory"))
    for work, network, batch in works:
        command = ["./tlua", "bench/worker.lua", work, network, str(batch)]
        rounds = [one_round(before, command, i % 2 == 0) for i in range(ROUNDS)]
        ratios = [then / now for now, then, _ in rounds]
        print("%-14s %-20s %5d %10.1f %10.1f %7.3fx %16s %7.3fx" % (
            work, network, batch, batch / min(r[1] for r in rounds), batch / min(r[0] for r in rounds), statistics.median(ratios),
            "%.3f to %.3f" % (min(ratios), max(ratios)), statistics.median(r[2] for r in rounds)), flush=True)


if __name__ == "__main__":
    main()
