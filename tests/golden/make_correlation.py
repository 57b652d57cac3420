"""scipy's coefficients of correlation and their intervals (lua/tlua/report/correlation.lua), with ties and without.
Writes correlation.json beside this file."""
import json
import math
import os

import numpy
from scipy import stats

rng = numpy.random.default_rng(0)
cases = []
for n, slope, places in [(200, 1.0, None), (300, 0.3, 0), (50, -0.7, 1), (5, 0.0, None), (40, 5.0, 0), (120, 0.5, 1)]:
    x = rng.normal(size=n) * 2
    y = slope * x + rng.normal(size=n)
    if places is not None:  # many equal numbers
        x, y = numpy.round(x, places), numpy.round(y, places)
    x, y = [float("%.9g" % v) for v in x], [float("%.9g" % v) for v in y]
    p, s = stats.pearsonr(x, y), float(stats.spearmanr(x, y).statistic)
    bounds = p.confidence_interval(0.95)
    half = stats.norm.ppf(0.975) * math.sqrt((1 + s * s / 2) / (n - 3))  # Bonett and Wright (2000)
    cases.append({"x": x, "y": y, "pearson": float(p.statistic), "spearman": s,
                  "pearson_interval": [float(bounds.low), float(bounds.high)],
                  "spearman_interval": [math.tanh(math.atanh(s) - half), math.tanh(math.atanh(s) + half)],
                  "ranks": stats.rankdata(x).tolist()})
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "correlation.json"), "w") as f:
    json.dump(cases, f, separators=(",", ":"))
