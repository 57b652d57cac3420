"""Goldens of src/task/surface.c: MONAI's Hausdorff distance, its 95th percentile and the average surface distance of
blobs, hollow and speckled masks in one to four dimensions, with spacings.

    python tests/golden/make_surface.py      writes tests/golden/surface.safetensors (monai 1.6.1)"""
import json
import os

import numpy as np
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from monai.metrics.utils import get_edge_surface_distance
from safetensors.numpy import save_file
from scipy.ndimage import gaussian_filter

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = [("line", (40,), (0.7,), 3), ("picture", (31, 42), (1, 1), 3), ("thin", (1, 30), (2, 0.3), 2),
         ("flat", (33, 17), (0.5, 3.25), 2), ("volume", (18, 25, 21), (1, 1, 1), 3),
         ("slices", (9, 33, 30), (5, 0.43, 0.71), 3), ("speckled", (12, 13, 14), (1.5, 1, 0.8), 2),
         ("movie", (5, 8, 9, 7), (2, 1, 1.1, 0.9), 2)]


def labels(rng, name, shape, classes):
    """Class of the largest of smooth random fields, which reaches over the edges of the grid."""
    smooth = 0 if name == "speckled" else 2
    fields = np.stack([gaussian_filter(rng.normal(size=shape), [min(smooth, n / 4) for n in shape]) for _ in range(classes)])
    return fields.argmax(0).astype(np.uint8)


def percentiles(hot, spacing, of_monai):
    """MONAI's 95th percentiles, of its distances but with the place between two of them worked out in float64: its
    own is of torch.quantile, which does that in float32 and so is up to 1e-5 apart."""
    out = []
    for said, is_ in zip(hot[0][0], hot[1][0]):
        _, both, _ = get_edge_surface_distance(said, is_, spacing=spacing, symmetric=True)
        out.append(max(np.quantile(d.numpy().astype(np.float64), 0.95) for d in both))
    assert np.allclose(out, of_monai[0].numpy(), rtol=2e-5), (out, of_monai)
    return torch.tensor([out], dtype=torch.float64)


def main():
    rng, out, cases = np.random.default_rng(0), {}, []
    for name, shape, spacing, classes in CASES:
        spacing = [float(v) for v in spacing]
        is_ = labels(rng, name, shape, classes)
        moved = np.roll(is_, 2 if name != "thin" else 0, axis=0)
        said = np.where(rng.random(shape) < 0.02, labels(rng, name, shape, classes), moved)
        hot = [torch.from_numpy(np.eye(classes, dtype=np.float32)[m]).movedim(-1, 0)[None] for m in (said, is_)]
        o = {"include_background": True, "spacing": spacing}
        rows = {"hausdorff": compute_hausdorff_distance(*hot, **o),
                "hausdorff_95": percentiles(hot, spacing, compute_hausdorff_distance(*hot, percentile=95, **o)),
                "mean": compute_average_surface_distance(*hot, symmetric=True, **o),
                "mean_said": compute_average_surface_distance(*hot, **o),
                "mean_is": compute_average_surface_distance(*hot[::-1], **o)}
        rows = {k: v[0].tolist() for k, v in rows.items()}
        rows["surface_is"] = [int(get_edge_surface_distance(hot[0][0, c], hot[1][0, c])[0][1].sum()) for c in range(classes)]
        cases.append({"name": name, "spacing": spacing, "classes": classes, **rows})
        out[name + ".said"], out[name + ".is"] = said.astype(np.uint8), is_
    text = json.dumps(cases)
    out["expected"] = np.frombuffer(text.encode(), dtype=np.uint8).copy()
    save_file(out, os.path.join(HERE, "surface.safetensors"))
    print(text)


if __name__ == "__main__":
    main()
