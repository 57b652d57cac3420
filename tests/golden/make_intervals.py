"""scipy's intervals of shares, for lua/tlua/report/intervals.lua: Wilson's and Clopper and Pearson's. Writes intervals.json beside this file.

    python tests/golden/make_intervals.py     needs scipy"""
import json
import os

from scipy.stats import binomtest

cases = []
for n in (1, 2, 5, 10, 30, 97, 1000, 10000, 250000):
    for right in sorted({0, 1, n // 20, n // 3, n // 2, n - n // 20, n - 1, n}):
        if not 0 <= right <= n:
            continue
        for share in (0.95, 0.5, 0.9, 0.99, 0.9999):
            test = binomtest(right, n)
            row = {"right": right, "n": n, "share": share}
            for key, method in (("wilson", "wilson"), ("clopper_pearson", "exact")):
                ci = test.proportion_ci(confidence_level=share, method=method)
                row[key] = [float(ci.low), float(ci.high)]
            cases.append(row)
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "intervals.json"), "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")
print(len(cases), "cases")
