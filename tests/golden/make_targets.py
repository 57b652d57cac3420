"""scikit-learn's and scipy's figures of numbers and findings for lua/tlua/task/regress.lua and multilabel.lua, on made-up answers. Writes targets.json beside
this file. Findings that are not known (null) are left out of their own column."""
import json
import os

import numpy
from scipy import stats
from sklearn import metrics as M

rng = numpy.random.default_rng(1)


def short(a):
    return [[float("%.7g" % v) for v in row] for row in a]


numbers = []
for n, k in [(40, 1), (37, 3)]:
    y = rng.normal(5, 3, (n, k))
    given = y + rng.normal(0.3, 1.5, (n, k))
    y, given = numpy.array(short(y)), numpy.array(short(given))
    numbers.append({"targets": y.tolist(), "given": given.tolist(), "mae": M.mean_absolute_error(y, given),
                    "spearman": float(numpy.mean([stats.spearmanr(y[:, j], given[:, j]).statistic for j in range(k)])),
                    "pearson": float(numpy.mean([stats.pearsonr(y[:, j], given[:, j]).statistic for j in range(k)])),
                    "rmse": float(numpy.sqrt(M.mean_squared_error(y, given))), "r2": M.r2_score(y, given)})

findings = []
for n, k, unknown in [(50, 2, 0), (80, 4, 0.2)]:
    y = (rng.random((n, k)) < 0.4).astype(float)
    logits = numpy.array(short(rng.normal(0, 1.5, (n, k)) + 2 * y - 1))
    known = rng.random((n, k)) >= unknown
    columns = [(y[known[:, j], j], logits[known[:, j], j]) for j in range(k)]
    p = 1 / (1 + numpy.exp(-logits))
    bce = -(y * numpy.log(p) + (1 - y) * numpy.log(1 - p))
    findings.append({"targets": [[v if ok else None for v, ok in zip(*both)] for both in zip(y.tolist(), known.tolist())], "logits": logits.tolist(),
                     "auroc": float(numpy.mean([M.roc_auc_score(*c) for c in columns])),
                     "average_precision": float(numpy.mean([M.average_precision_score(*c) for c in columns])),
                     "right_labels": float(100 * ((logits > 0) == (y > 0.5))[known].mean()), "loss": float(bce[known].mean())})
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "targets.json"), "w") as f:
    json.dump({"numbers": numbers, "findings": findings}, f, separators=(",", ":"))
