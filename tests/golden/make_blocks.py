"""Goldens of the steps of volumes: what SciPy and NumPy make of one small volume.

    python tests/golden/make_blocks.py      writes tests/golden/blocks.safetensors

Arrays are (slices, rows, columns). Affine maps and the blur are SciPy's, with spacing in millimetres, quantiles
NumPy's."""
import os

import numpy as np
import scipy.ndimage
from safetensors.numpy import save_file

HERE = os.path.dirname(__file__)
RNG = np.random.default_rng(5)
SIZE = (9, 12, 10)
X = (RNG.normal(size=SIZE) * 40 + 100).astype(np.float32)
X[:2] = 0
MASK = RNG.integers(0, 3, SIZE).astype(np.uint8)
OUT = {"x": X.copy(), "mask": MASK.astype(np.int32)}


def turn(axis, degrees):
    i, j = (axis + 1) % 3, (axis + 2) % 3
    m, r = np.eye(3), np.deg2rad(degrees)
    m[i, i] = m[j, j] = np.cos(r)
    m[i, j], m[j, i] = -np.sin(r), np.sin(r)
    return m


def affine(name, mm, degrees, scale, shear, move):
    """What lies at o from the middle comes from turns * shear * o / scale in millimetres, moved by shares of the sides."""
    skew = np.full((3, 3), np.tan(np.deg2rad(shear)))
    np.fill_diagonal(skew, 1)
    m = turn(0, degrees[0]) @ turn(1, degrees[1]) @ turn(2, degrees[2]) @ skew / scale
    m = np.diag(1 / np.array(mm)) @ m @ np.diag(mm)
    middle, by = (np.array(SIZE) - 1) / 2, move * np.array(SIZE)
    offset = middle + by - m @ middle
    y = scipy.ndimage.affine_transform(X.astype(np.float64), m, offset, order=1, mode="grid-constant", cval=0)
    near = scipy.ndimage.affine_transform(MASK.astype(np.int32), m, offset, order=0, mode="constant", cval=255)
    at = np.stack(np.meshgrid(*[np.arange(n) for n in SIZE], indexing="ij"), -1) @ m.T + offset
    inside = np.all((at >= -0.5) & (at < np.array(SIZE) - 0.5), -1)
    grid = [np.clip(np.floor(at[..., d] + 0.5).astype(int), 0, SIZE[d] - 1) for d in range(3)]
    nearest = np.where(inside, MASK[tuple(grid)], 255).astype(np.int32)
    whole = np.all((at >= 0) & (at <= np.array(SIZE) - 1), -1)
    assert np.array_equal(nearest[whole], near[whole])  # at the rim SciPy knows no half voxel
    OUT["affine." + name], OUT["affine." + name + ".mask"] = y.astype(np.float32), nearest


affine("turned", (1, 1, 1), (11, -7, 5), 1, 0, 0)
affine("all", (2, 2, 2), (-20, 33, 14), 1.3, 6, 0.07)
affine("apart", (5, 0.8, 0.8), (10, 20, -30), 0.8, -4, -0.1)


D = X.astype(np.float64)
LEAST, MOST, MEAN = D.min(), D.max(), D.mean()


def middle(size):
    """The middle of both lies together, a half voxel rounded down; zeros around what is smaller."""
    y = X
    for d, n in enumerate(size):
        m = y.shape[d]
        y = np.take(y, range(m // 2 - n // 2, m // 2 - n // 2 + n), d) if n < m else y
        pad = [(0, 0)] * 3
        pad[d] = (max(0, n - m) // 2, max(0, n - m) - max(0, n - m) // 2)
        y = np.pad(y, pad)
    return y


OUT["zscore"] = ((D - MEAN) / D.std()).astype(np.float32)
OUT["nonzero"] = np.where(D != 0, (D - D[D != 0].mean()) / D[D != 0].std(), 0).astype(np.float32)
OUT["range"] = ((D - LEAST) / (MOST - LEAST)).astype(np.float32)
LOW, HIGH = np.percentile(D, 2), np.percentile(D, 90)
OUT["quantiles"] = np.clip((D - LOW) / (HIGH - LOW), 0, 1).astype(np.float32)
OUT["fit"], OUT["fit_odd"] = middle((6, 15, 10)), middle((8, 5, 13))
OUT["gamma"] = (((D - LEAST) / (MOST - LEAST)) ** 1.7 * (MOST - LEAST) + LEAST).astype(np.float32)
OUT["blur"] = scipy.ndimage.gaussian_filter(X.astype(np.float64), 1.3, mode="reflect", truncate=4).astype(np.float32)
OUT["contrast"] = np.clip((D - MEAN) * 1.6 + MEAN, LEAST, MOST).astype(np.float32)
save_file({k: np.ascontiguousarray(v) for k, v in OUT.items()}, os.path.join(HERE, "blocks.safetensors"))
