"""Goldens of src/data/mosaic.c and hsv.c: what YOLOX's MosaicDetection makes of small pictures with boxes, by OpenCV, with
the numbers that tlua draws.

    python tests/golden/make_mosaic.py     writes tests/golden/mosaic.safetensors

opencv-python-headless 5.0.0 wants NumPy 2, so it is run in an environment of its own and is not in requirements.txt.
The functions follow yolox/data/datasets/mosaicdetection.py and yolox/data/data_augment.py (YOLOX 0.3.0, Apache-2.0) line
by line where pixels and boxes are concerned."""
import math
import os

import cv2
import numpy as np
from philox import key, philox
from safetensors.numpy import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
AUGMENT, MOSAIC = 5, 10  # TL_RNG_AUGMENT, TL_RNG_MOSAIC
SIZE, SEED = 64, 7
DEGREES, TRANSLATE, SCALE, SHEAR, MIXUP_SCALE = 10.0, 0.1, (0.5, 1.5), 2.0, (0.5, 1.5)
SHAPES = [(48, 64), (90, 60), (30, 33), (64, 64), (12, 100), (128, 128)]
# Numbers of the draws of a sample (src/data/mosaic.c).
Y, X, SECOND, ANGLE, ZOOM, SHEAR_X, SHEAR_Y, SHIFT_X, SHIFT_Y, MIX, JITTER, FLIP, TOP, LEFT, OTHER = 1, 2, 3, *range(6, 18)


class Draws:
    def __init__(self, purpose, epoch, index, first=0):
        self.key, self.first = key(SEED, purpose, epoch << 40 ^ index), first

    def bits(self, i):
        return [int(r[0]) for r in philox(*self.key, [self.first + i])]

    def uniform(self, i, low, high):
        return low + (high - low) * ((self.bits(i)[0] >> 8) / 16777216)

    def below(self, i, n):
        r = self.bits(i)
        return ((r[0] << 32 | r[1]) * n) >> 64


def coordinates(k, xc, yc, w, h):
    if k == 0:
        x1, y1, x2, y2 = max(xc - w, 0), max(yc - h, 0), xc, yc
        small = w - (x2 - x1), h - (y2 - y1), w, h
    elif k == 1:
        x1, y1, x2, y2 = xc, max(yc - h, 0), min(xc + w, SIZE * 2), yc
        small = 0, h - (y2 - y1), min(w, x2 - x1), h
    elif k == 2:
        x1, y1, x2, y2 = max(xc - w, 0), yc, xc, min(SIZE * 2, yc + h)
        small = w - (x2 - x1), 0, w, min(y2 - y1, h)
    else:
        x1, y1, x2, y2 = xc, yc, min(xc + w, SIZE * 2), min(SIZE * 2, yc + h)
        small = 0, 0, min(w, x2 - x1), min(y2 - y1, h)
    return (x1, y1, x2, y2), small


def fitted(img):
    scale = min(SIZE / img.shape[0], SIZE / img.shape[1])
    return scale, cv2.resize(img, (int(img.shape[1] * scale), int(img.shape[0] * scale)), interpolation=cv2.INTER_LINEAR)


def affine(img, boxes, d):
    # YOLOX's names of the shears are exchanged: what it calls shear_y moves along x.
    angle, scale = d.uniform(ANGLE, -DEGREES, DEGREES), d.uniform(ZOOM, *SCALE)
    r = cv2.getRotationMatrix2D(angle=angle, center=(0, 0), scale=scale)
    along_x, along_y = (math.tan(d.uniform(i, -SHEAR, SHEAR) * math.pi / 180) for i in (SHEAR_X, SHEAR_Y))
    m = np.ones([2, 3])
    m[0], m[1] = r[0] + along_x * r[1], r[1] + along_y * r[0]
    m[0, 2] = d.uniform(SHIFT_X, -1, 1) * TRANSLATE * SIZE
    m[1, 2] = d.uniform(SHIFT_Y, -1, 1) * TRANSLATE * SIZE
    img = cv2.warpAffine(img, m, dsize=(SIZE, SIZE), borderValue=(114, 114, 114))
    n = len(boxes)
    points = np.ones((4 * n, 3))
    points[:, :2] = boxes[:, [0, 1, 2, 3, 0, 3, 2, 1]].reshape(4 * n, 2)
    points = (points @ m.T).reshape(n, 8)
    xs, ys = points[:, 0::2], points[:, 1::2]
    out = np.concatenate((xs.min(1), ys.min(1), xs.max(1), ys.max(1))).reshape(4, n).T
    return img, out.clip(0, SIZE)


def mixup(img, boxes, labels, data, d):
    i = 0
    while True:
        other = data[d.below(OTHER + i, len(data))]
        i += 1
        if len(other[1]):
            break
    scale, resized = fitted(other[0])
    letterbox = np.ones((SIZE, SIZE, 3), dtype=np.uint8) * 114
    letterbox[:resized.shape[0], :resized.shape[1]] = resized
    jitter = d.uniform(JITTER, *MIXUP_SCALE)
    letterbox = cv2.resize(letterbox, (int(SIZE * jitter), int(SIZE * jitter)))
    scale *= jitter
    flip = d.uniform(FLIP, 0, 1) > 0.5
    if flip:
        letterbox = letterbox[:, ::-1, :]
    h, w = letterbox.shape[:2]
    padded = np.zeros((max(h, SIZE), max(w, SIZE), 3), dtype=np.uint8)
    padded[:h, :w] = letterbox
    top = d.below(TOP, padded.shape[0] - SIZE) if padded.shape[0] > SIZE else 0
    left = d.below(LEFT, padded.shape[1] - SIZE) if padded.shape[1] > SIZE else 0
    b = other[1] * scale
    b[:, 0::2], b[:, 1::2] = b[:, 0::2].clip(0, w), b[:, 1::2].clip(0, h)
    if flip:
        b[:, 0::2] = w - b[:, 0::2][:, ::-1]
    b[:, 0::2], b[:, 1::2] = (b[:, 0::2] - left).clip(0, SIZE), (b[:, 1::2] - top).clip(0, SIZE)
    img = 0.5 * img.astype(np.float32) + 0.5 * padded[top:top + SIZE, left:left + SIZE].astype(np.float32)
    return img.astype(np.uint8), np.vstack((boxes, b)), np.concatenate((labels, other[2]))


def mosaic(data, epoch, index, mixed):
    d = Draws(MOSAIC, epoch, index)
    yc, xc = int(d.uniform(Y, 0.5 * SIZE, 1.5 * SIZE)), int(d.uniform(X, 0.5 * SIZE, 1.5 * SIZE))
    canvas = np.full((SIZE * 2, SIZE * 2, 3), 114, dtype=np.uint8)
    boxes, labels = [], []
    for k, i in enumerate([index] + [d.below(SECOND + j, len(data)) for j in range(3)]):
        scale, img = fitted(data[i][0])
        h, w = img.shape[:2]
        (l_x1, l_y1, l_x2, l_y2), (s_x1, s_y1, s_x2, s_y2) = coordinates(k, xc, yc, w, h)
        canvas[l_y1:l_y2, l_x1:l_x2] = img[s_y1:s_y2, s_x1:s_x2]
        b = data[i][1] * scale
        b[:, 0::2] += l_x1 - s_x1
        b[:, 1::2] += l_y1 - s_y1
        boxes.append(b)
        labels.append(data[i][2])
    boxes, labels = np.concatenate(boxes, 0).clip(0, 2 * SIZE), np.concatenate(labels)
    img, boxes = affine(canvas, boxes, d)
    if mixed and len(boxes):
        img, boxes, labels = mixup(img, boxes, labels, data, d)
    keep = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) >= 1
    return img, boxes[keep], labels[keep]


def hsv(img, epoch, index, step):
    """augment_hsv of a picture in red, green, blue."""
    d = Draws(AUGMENT, epoch, index, step << 32)
    by = np.array([d.uniform(i, -1, 1) for i in range(3)]) * [5, 30, 30]
    by *= [d.below(3 + i, 2) for i in range(3)]
    by = by.astype(np.int16)
    v = cv2.cvtColor(img, cv2.COLOR_RGB2HSV).astype(np.int16)
    v[..., 0] = (v[..., 0] + by[0]) % 180
    v[..., 1:] = np.clip(v[..., 1:] + by[1:], 0, 255)
    return cv2.cvtColor(v.astype(np.uint8), cv2.COLOR_HSV2RGB)


def main():
    rng, data, out = np.random.default_rng(0), [], {}
    for i, (h, w) in enumerate(SHAPES):
        img = rng.integers(0, 256, size=(h, w, 3), dtype=np.uint8)
        corners = rng.uniform(0, 1, size=(0 if i == 2 else 3, 2, 2))
        boxes = np.concatenate((corners.min(1), corners.max(1)), 1) * [w, h, w, h]
        data.append((img, np.float64(np.float32(boxes)), np.arange(len(boxes), dtype=np.int32) + 3 * i))
        out.update({f"{i}.in": img, f"{i}.boxes": boxes.astype(np.float32)})
    for epoch, mixed in ((1, False), (2, True)):
        for i in range(len(data)):
            img, boxes, labels = mosaic(data, epoch, i, mixed)
            out.update({f"{epoch}.{i}.out": img, f"{epoch}.{i}.moved": boxes.astype(np.float32), f"{epoch}.{i}.labels": labels})
    out["hsv"] = np.stack([hsv(data[3][0], epoch, 0, 1) for epoch in range(1, 7)])
    save_file(out, os.path.join(HERE, "mosaic.safetensors"))


if __name__ == "__main__":
    main()
