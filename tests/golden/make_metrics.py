"""scikit-learn's values of the metrics in lua/tlua/report/metrics.lua on made-up predictions. Writes metrics.json beside this file."""
import json
import os

import numpy
from sklearn import metrics as M

rng = numpy.random.default_rng(0)
cases = []
# The last two: the first class has no picture; it is never predicted, and then it is.
for n, classes, rounded, absent in [(200, 10, False, None), (150, 2, False, None), (120, 3, True, None), (90, 7, False, None), (60, 5, False, -9), (60, 5, False, 0.5)]:
    labels = rng.integers(0 if absent is None else 1, classes, n)
    logits = rng.normal(size=(n, classes))
    logits[numpy.arange(n), labels] += 1.2
    logits[:, 0] += absent or 0
    p = numpy.exp(logits) / numpy.exp(logits).sum(1, keepdims=True)
    if rounded:  # many equal scores
        p = numpy.round(p, 1) + 1e-3
        p /= p.sum(1, keepdims=True)
    if classes == 7:  # a class that is never predicted, and one that hardly occurs
        p[:, 6] *= 1e-3
        p /= p.sum(1, keepdims=True)
    p = numpy.array([[float("%.9g" % v) for v in row] for row in p])  # what the file will say: ties are ties there too
    predicted = p.argmax(1)
    one = numpy.eye(classes, dtype=int)[labels]
    pr, rc, f1, support = M.precision_recall_fscore_support(labels, predicted, labels=range(classes), zero_division=0)
    averages = {a: dict(zip(("precision", "recall", "f1"), M.precision_recall_fscore_support(labels, predicted, average=a, zero_division=0)[:3])) for a in ("macro", "weighted")}
    cases.append({
        "labels": labels.tolist(), "probabilities": p.tolist(), "accuracy": M.accuracy_score(labels, predicted),
        "balanced_accuracy": M.balanced_accuracy_score(labels, predicted), "kappa": M.cohen_kappa_score(labels, predicted),
        "top_2": M.top_k_accuracy_score(labels, p, k=2, labels=range(classes)) if classes > 2 and not rounded else None,
        "confusion": M.confusion_matrix(labels, predicted, labels=range(classes)).tolist(), "precision": pr.tolist(), "recall": rc.tolist(), "f1": f1.tolist(), "support": support.tolist(),
        "averages": averages,
        # Not defined where a class has no picture: scikit-learn gives NaN for the one, and 0 with a warning for that class in the other.
        "auroc": None if absent else M.roc_auc_score(labels, p[:, 1]) if classes == 2 else M.roc_auc_score(labels, p, multi_class="ovr"),
        "average_precision": None if absent else M.average_precision_score(labels, p[:, 1]) if classes == 2 else M.average_precision_score(one, p, average="macro"),
    })
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "metrics.json"), "w") as f:
    json.dump(cases, f, separators=(",", ":"))
