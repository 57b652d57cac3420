"""Goldens of src/task/roc.c and lua/tlua/report/findings/binary.lua: scikit-learn's areas, curves, calibration and Brier score;
DeLong's standard error by its definition (DeLong, DeLong and Clarke-Pearson 1988, equations 3 to 7: all pairs, where
ours walks through ranks); and what scikit-learn says of the same draws of groups, by sample weights.

    python tests/golden/make_roc.py      writes tests/golden/roc.json (scikit-learn 1.9.1)"""
import json
import os

import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, brier_score_loss, confusion_matrix, roc_auc_score, roc_curve

import philox

HERE = os.path.dirname(os.path.abspath(__file__))
BOOTSTRAP, DRAWS, SEED = 9, 60, 5  # TL_RNG_BOOTSTRAP


def delong(y, s):
    """Standard error of the area, from the kernel over all pairs."""
    x, z = s[y == 1], s[y == 0]
    psi = (x[:, None] > z[None]) + 0.5 * (x[:, None] == z[None])
    return float(np.sqrt(psi.mean(1).var(ddof=1) / len(x) + psi.mean(0).var(ddof=1) / len(z)))


def below(key, i, n):
    r = philox.philox(key[0], key[1], [i])
    return ((int(r[0][0]) << 32 | int(r[1][0])) * n) >> 64


def draws(groups):
    """Weight of each sample in each draw of as many groups."""
    n = max(groups)
    for k in range(DRAWS):
        key = philox.key(SEED, BOOTSTRAP, k)
        count = np.bincount([below(key, i, n) for i in range(n)], minlength=n)
        yield count[np.array(groups) - 1]


def operating(y, s, w, specificity, sensitivity):
    fpr, tpr, _ = roc_curve(y, s, sample_weight=w, drop_intermediate=False)
    return float(tpr[1 - fpr >= specificity - 1e-12].max()), float((1 - fpr)[tpr >= sensitivity].max())


def case(name, y, s, groups, threshold):
    at = s >= threshold
    tn, fp, fn, tp = confusion_matrix(y, at, labels=[0, 1]).ravel().tolist()
    fpr, tpr, thresholds = roc_curve(y, s, drop_intermediate=False)
    youden = thresholds[np.argmax(np.round(tpr - fpr, 12))]
    truth, mean = calibration_curve(y, s, n_bins=10)
    out = {"name": name, "positive": y.tolist(), "scores": s.tolist(), "groups": groups, "threshold": threshold,
           "auroc": roc_auc_score(y, s), "average_precision": average_precision_score(y, s), "error": delong(y, s),
           "brier": brier_score_loss(y, s), "tp": tp, "fp": fp, "tn": tn, "fn": fn, "youden": float(youden),
           "calibration": {"share": truth.tolist(), "mean": mean.tolist()},
           "curve": {"fpr": fpr[1:].tolist(), "tpr": tpr[1:].tolist(), "thresholds": thresholds[1:].tolist()},
           "operating": operating(y, s, None, 0.8, 0.9)}
    bins = np.clip(np.ceil(s * 10).astype(int) - 1, 0, 9)
    out["calibration_error"] = float(sum(abs(s[bins == b].mean() - y[bins == b].mean()) * (bins == b).mean()
                                         for b in range(10) if (bins == b).any()))
    boot = {"auroc": [], "average_precision": [], "sensitivity": [], "specificity": [], "share": []}
    for w in draws(groups):
        if w[y == 1].sum() == 0 or w[y == 0].sum() == 0:
            for key in list(boot)[:4]:
                boot[key].append(None)
        else:
            kept = w > 0
            boot["auroc"].append(roc_auc_score(y, s, sample_weight=w))
            boot["average_precision"].append(average_precision_score(y, s, sample_weight=w))
            a, b = operating(y[kept], s[kept], w[kept], 0.8, 0.9)
            boot["sensitivity"].append(a)
            boot["specificity"].append(b)
        boot["share"].append(float((w * at * y).sum() / (w * y).sum()) if (w * y).sum() > 0 else None)
    out["draws"] = boot
    for key in ("auroc", "share"):
        got = np.array([v for v in boot[key] if v is not None])
        out[key + "_middle"] = np.quantile(got, [0.025, 0.975]).tolist()
    return out


def main():
    rng, cases = np.random.default_rng(0), []
    for name, n, digits in [("distinct", 80, 9), ("ties", 150, 1), ("few", 9, 9), ("patients", 120, 2)]:
        y = (rng.random(n) < 0.4).astype(int)
        y[:2] = 0, 1
        s = np.round(1 / (1 + np.exp(-(1.2 * y - 0.5 + rng.normal(size=n)))), digits)
        groups = (np.arange(n) // 4 + 1).tolist() if name == "patients" else list(range(1, n + 1))
        cases.append(case(name, y, s, groups, 0.5))
    # The ratings of 109 CT images in Hanley and McNeil 1982, table I, whose area they give as 0.893.
    ratings = [(0, [33, 6, 6, 11, 2]), (1, [3, 2, 2, 11, 33])]
    y = np.array([k for k, row in ratings for n in row for _ in range(n)])
    s = np.array([r / 5 for _, row in ratings for r, n in enumerate(row, 1) for _ in range(n)])
    cases.append(case("Hanley and McNeil", y, s, list(range(1, len(y) + 1)), 0.7))
    assert round(cases[-1]["auroc"], 3) == 0.893
    with open(os.path.join(HERE, "roc.json"), "w") as f:
        json.dump(cases, f, separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    main()
