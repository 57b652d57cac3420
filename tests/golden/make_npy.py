"""Makes tests/golden/io/numpy.npz, numpy_packed.npz and numpy.npy: arrays in every layout and type that tlua reads, and some that it
does not. tests/unit/tables.c knows what is in them.

    python tests/golden/make_npy.py
"""
import os

import numpy as np

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "io")
x = np.arange(24).reshape(2, 3, 4)
arrays = {
    "f4": x.astype("<f4"), "f8": x.astype("<f8"), "f2": x.astype("<f2"), "i1": x.astype("i1"), "i2": x.astype("<i2"), "i4": x.astype("<i4"), "i8": x.astype("<i8"),
    "u1": x.astype("u1"), "u2": (x + 65512).astype("<u2"), "u4": x.astype("<u4"), "u8": x.astype("<u8"), "bool": x % 2 == 1,
    "columns": np.asfortranarray(x.astype("<f4")), "big": x.astype(">f8"), "big_columns": np.asfortranarray(x.astype(">i2")), "reversed": x.astype("<f4")[::-1, :, ::2],
    "scalar": np.float32(7), "none": np.zeros((0, 3), "<f4"), "huge": np.array([2**64 - 1], "<u8"),
    "objects": np.array([None, "x"], dtype=object), "words": np.array(["a", "bc"]), "complex": np.array([1j], "<c8"), "fields": np.zeros(2, [("a", "<f4"), ("b", "<i4")]),
}
np.savez(os.path.join(HERE, "numpy.npz"), **arrays)
np.savez_compressed(os.path.join(HERE, "numpy_packed.npz"), **arrays)
np.save(os.path.join(HERE, "numpy.npy"), np.asfortranarray(x.astype("<f4")))
