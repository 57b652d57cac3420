"""Goldens of src/data/letterbox.c: YOLOX's preproc of small pictures, by OpenCV, with its boxes.

    python tests/golden/make_letterbox.py     writes tests/golden/letterbox.safetensors

opencv-python-headless 5.0.0 wants NumPy 2, so it is run in an environment of its own and is not in requirements.txt."""
import os

import cv2
import numpy as np
from safetensors.numpy import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
# height, width of the picture and of what it becomes: smaller, larger, half as large, thin, of another shape.
CASES = [(48, 64, 32, 32), (37, 23, 64, 64), (64, 64, 32, 32), (3, 90, 40, 40), (50, 31, 24, 48), (33, 33, 33, 33), (7, 5, 31, 17)]


def preproc(img, size):
    """What yolox.data.data_augment.preproc does (YOLOX 0.3.0, Apache-2.0), but for the change of axes."""
    padded = np.ones((size[0], size[1], 3), dtype=np.uint8) * 114
    r = min(size[0] / img.shape[0], size[1] / img.shape[1])
    resized = cv2.resize(img, (int(img.shape[1] * r), int(img.shape[0] * r)), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    padded[:int(img.shape[0] * r), :int(img.shape[1] * r)] = resized
    return padded, r


def main():
    rng, out = np.random.default_rng(0), {}
    for i, (h, w, high, wide) in enumerate(CASES):
        img = rng.integers(0, 256, size=(h, w, 3), dtype=np.uint8)
        boxes = np.array([[0, 0, w, h], [w // 4, h // 3, w // 2 + 1, h // 2 + 1]], dtype=np.float32)
        padded, r = preproc(img, (high, wide))
        out.update({f"{i}.in": img, f"{i}.out": padded, f"{i}.boxes": boxes, f"{i}.moved": boxes * np.float32(r)})
    save_file(out, os.path.join(HERE, "letterbox.safetensors"))


if __name__ == "__main__":
    main()
