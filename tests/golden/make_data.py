"""Makes tests/golden/data: small pictures in every form that tlua reads, and what Pillow and torchvision
make of them. Each list (*.txt) has one line per case, with the place of its values in the file *.bin.

    python tests/golden/make_data.py
"""
import os
import struct
import zlib

import numpy as np
import torch
from PIL import Image
from torchvision import transforms as T
from torchvision.transforms import InterpolationMode
from torchvision.transforms import v2
from torchvision.transforms.autoaugment import _apply_op
from torchvision.transforms import functional as F

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
FILTERS = {"nearest": Image.NEAREST, "box": Image.BOX, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}
os.makedirs(HERE, exist_ok=True)


def path(name):
    return os.path.join(HERE, name)


class Cases:
    """A list of cases beside one file of values."""

    def __init__(self, name):
        self.text, self.data = open(path(name + ".txt"), "w"), open(path(name + ".bin"), "wb")

    def add(self, line, values):
        self.text.write("%s @ %d\n" % (line, self.data.tell()))
        self.data.write(np.ascontiguousarray(values).tobytes())


def png(name, pixels, bits, colour, extra=b"", interlaced=False):
    """A PNG of samples (height, width, channels), in forms that Pillow does not write."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    def rows(part):
        out = b""
        for row in part:
            flat = row.reshape(-1)
            if bits == 16:
                packed = flat.astype(">u2").tobytes()
            elif bits == 8:
                packed = flat.astype(np.uint8).tobytes()
            else:
                digits = ((flat[:, None] >> np.arange(bits - 1, -1, -1)) & 1).reshape(-1)
                packed = np.packbits(digits.astype(np.uint8)).tobytes()
            out += b"\0" + packed
        return out

    height, width = pixels.shape[:2]
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    body = b"".join(rows(pixels[y::dy, x::dx]) for y, x, dy, dx in passes if pixels[y::dy, x::dx].size)
    with open(path(name), "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)) + extra
                + chunk(b"IDAT", zlib.compress(body, 9)) + chunk(b"IEND", b""))
    return chunk


def scene(width, height, seed):
    """Slopes, edges and some noise, so that filters and chroma have something to go wrong on."""
    g = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    a = np.stack([255 * x / width, 255 * y / height, 127 + 127 * np.sin((x + y) / 5)], -1)
    a[(x - width / 3) ** 2 + (y - height / 2) ** 2 < (height / 4) ** 2] = [250, 20, 40]
    a[:, width * 3 // 4:width * 3 // 4 + 3] = 255
    return np.clip(a + g.normal(0, 12, a.shape), 0, 255).astype(np.uint8)


def pictures():
    colour = Image.fromarray(scene(61, 47, 1))
    colour.save(path("colour.png"), optimize=True)
    colour.convert("L").resize((33, 40), Image.BILINEAR).save(path("grey.png"), optimize=True)
    small = Image.fromarray(scene(31, 23, 2))
    a, grey = np.asarray(small), np.asarray(small.convert("L"))
    small.save(path("420.jpg"), quality=85, subsampling=2)
    small.save(path("422.jpg"), quality=85, subsampling=1)
    small.save(path("444.jpg"), quality=95, subsampling=0)
    small.save(path("progressive.jpg"), quality=85, progressive=True)
    small.convert("L").save(path("grey.jpg"), quality=85)
    small.convert("CMYK").save(path("cmyk.jpg"), quality=90)
    raw = open(path("cmyk.jpg"), "rb").read()
    mark = raw.index(b"\xff\xee")
    size = struct.unpack(">H", raw[mark + 2:mark + 4])[0]
    assert raw[mark + 4:mark + 9] == b"Adobe"
    with open(path("ycck.jpg"), "wb") as f:
        f.write(raw[:mark + 15] + b"\2" + raw[mark + 16:])
    with open(path("cmyk_plain.jpg"), "wb") as f:
        f.write(raw[:mark] + raw[mark + 2 + size:])
    small.convert("RGBA").save(path("rgba.png"))
    alpha = (np.arange(31 * 23) % 256).astype(np.uint8).reshape(23, 31, 1)
    Image.fromarray(np.concatenate([a, alpha], -1)).save(path("rgba.png"), optimize=True)
    Image.fromarray(np.concatenate([grey[..., None], alpha], -1), "LA").save(path("la.png"), optimize=True)
    small.quantize(30).save(path("palette.png"), optimize=True)
    small.quantize(10).save(path("palette_trns.png"), optimize=True, transparency=3)
    wide = a.astype(np.uint16) * 256 + np.random.default_rng(3).integers(0, 256, a.shape, dtype=np.uint16)
    png("rgb16.png", wide, 16, 2)
    png("grey16.png", wide[..., :1], 16, 0)
    png("la16.png", wide[..., :2], 16, 4)
    png("rgba16.png", np.concatenate([wide, wide[..., :1]], -1), 16, 6)
    for bits in (1, 2, 4):
        png("grey%d.png" % bits, (grey >> (8 - bits))[..., None], bits, 0)
    chunk = png("interlaced.png", a, 8, 2, interlaced=True)
    png("trns.png", a, 8, 2, extra=chunk(b"tRNS", struct.pack(">HHH", *[int(v) for v in a[0, 0]])))
    Image.fromarray(a[:1, :1]).save(path("one.png"))
    Image.fromarray(a[:1, :1]).save(path("one.jpg"), quality=90)


def decodes():
    cases = Cases("decode")
    for name in sorted(os.listdir(HERE)):
        if not name.endswith((".png", ".jpg")) or name in ("colour.png", "grey.png"):
            continue
        for mode, channels in (("RGB", 3), ("L", 1)):
            im = Image.open(path(name))
            if name == "grey16.png":
                # Pillow cuts 16-bit grey at 255, which leaves white; the upper bytes are the picture.
                im = Image.fromarray((np.asarray(im) >> 8).astype(np.uint8))
            if channels == 1 and name in ("422.jpg", "444.jpg", "rgba.png", "rgba16.png", "trns.png"):
                continue
            im = im.convert(mode)
            cases.add("%s %d %d %d" % (name, im.width, im.height, channels), np.asarray(im))


def resizes():
    cases = Cases("resize")
    for name, filter_name, size, box in [
            ("colour.png", "bilinear", (24, 20), None), ("colour.png", "bilinear", (97, 71), None), ("colour.png", "bicubic", (24, 20), None),
            ("colour.png", "bicubic", (97, 71), None), ("colour.png", "box", (24, 20), None), ("colour.png", "lanczos", (24, 50), None),
            ("colour.png", "nearest", (24, 70), None), ("colour.png", "bilinear", (61, 20), None), ("colour.png", "bicubic", (20, 47), None),
            ("colour.png", "bilinear", (61, 12), (0.0, 3.5, 61.0, 40.25)), ("colour.png", "bicubic", (30, 30), (10.25, 3.5, 50.75, 40.125)),
            ("colour.png", "nearest", (30, 30), (10.25, 3.5, 50.75, 40.125)), ("colour.png", "lanczos", (3, 2), (1.0, 1.0, 60.0, 46.0)),
            ("colour.png", "bilinear", (60, 5), None), ("colour.png", "bicubic", (80, 9), None), ("colour.png", "bilinear", (1, 1), None),
            ("grey.png", "bilinear", (12, 9), None), ("grey.png", "bilinear", (80, 60), None), ("grey.png", "bicubic", (12, 9), None),
            ("grey.png", "bicubic", (80, 60), None), ("grey.png", "lanczos", (3, 40), None), ("grey.png", "bicubic", (33, 7), None),
            ("one.png", "bilinear", (9, 5), None), ("one.png", "bicubic", (1, 4), None)]:
        out = Image.open(path(name)).resize(size, FILTERS[filter_name], box=box)
        b = box or (0, 0, 0, 0)
        cases.add("%s %s %d %d %g %g %g %g" % ((name, filter_name) + size + b), np.asarray(out))


def pipelines():
    cases = Cases("pipeline")
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    normal, bicubic = T.Normalize(mean, std), InterpolationMode.BICUBIC
    tail = "normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])"
    identity = "normalize(mean=0, std=1)"
    for name, text, steps, last in [
            ("colour.png", "resize(size=24); center_crop(size=20); " + tail, [T.Resize(24), T.CenterCrop(20)], normal),
            ("colour.png", "resize(size=40, interpolation=bicubic); center_crop(size=[33, 36]); " + tail,
             [T.Resize(40, bicubic), T.CenterCrop((33, 36))], normal),
            ("grey.png", "resize(size=[17, 50]); to_channels(channels=3); " + tail, [T.Resize((17, 50)), T.Grayscale(3)], normal),
            ("colour.png", "to_channels(channels=1); resize(size=20); normalize(mean=0.5, std=0.25)", [T.Grayscale(1), T.Resize(20)], T.Normalize([0.5], [0.25])),
            ("grey.png", "center_crop(size=[45, 20]); " + identity, [T.CenterCrop((45, 20))], None),
            ("grey.png", "center_crop(size=[41, 36]); " + identity, [T.CenterCrop((41, 36))], None),
            ("grey.png", "center_crop(size=[37, 30]); " + identity, [T.CenterCrop((37, 30))], None),
            ("grey.png", "center_crop(size=[35, 28])", [T.CenterCrop((35, 28))], None),
            ("colour.png", "random_resized_crop(size=16, scale=[1, 1], ratio=[2, 2])", [T.RandomResizedCrop(16, (1, 1), (2, 2))], None),
            ("colour.png", "random_resized_crop(size=[15, 18], scale=[1, 1], ratio=[0.5, 0.5], interpolation=bicubic)",
             [T.RandomResizedCrop((15, 18), (1, 1), (0.5, 0.5), bicubic)], None),
            ("grey.png", "random_horizontal_flip(p=1)", [T.RandomHorizontalFlip(1)], None),
            ("colour.png", "resize(size=9); random_vertical_flip(p=1); random_horizontal_flip(p=0)", [T.Resize(9), T.RandomVerticalFlip(1)], None),
            ("grey.png", "random_crop(size=[46, 39], padding=3, fill=9)", [T.RandomCrop((46, 39), 3, fill=9)], None),
            ("grey.png", "random_crop(size=[48, 41], padding=4, mode=reflect)", [T.RandomCrop((48, 41), 4, padding_mode="reflect")], None)]:
        x = F.to_tensor(T.Compose(steps)(Image.open(path(name))))
        x = (last(x) if last else x).permute(1, 2, 0).contiguous().to(torch.float32)
        cases.add("%s %d %d %d %s" % ((name,) + tuple(x.shape) + (text,)), x.numpy())


def augmentations():
    """Bytes in, bytes out, with given parameters: the draws are not compared."""
    cases = Cases("augment")
    bilinear = InterpolationMode.BILINEAR

    def add(name, size, text, *functions):
        im = Image.open(path(name)).resize((size[1], size[0]), Image.BILINEAR)
        for f in functions:
            im = f(im)
        out = np.asarray(im)
        cases.add("%s %d %d %d resize(size=[%d, %d]); %s" % (name, size[0], size[1], 1 if out.ndim == 2 else 3, size[0], size[1], text), out)

    def affine(angle, translate, scale, shear, **options):
        """random_affine with ranges of no width; `translate` in shares of the size."""
        def f(im):
            move = [round(translate[0] * im.width), round(translate[1] * im.height)]
            return F.affine(im, angle, move, scale, shear, **options)
        text = "random_affine(degrees=[%r, %r], translate=[%r, %r, %r, %r], scale=[%r, %r], shear=[%r, %r, %r, %r]%%s)" % (
            angle, angle, translate[0], translate[0], translate[1], translate[1], scale, scale, shear[0], shear[0], shear[1], shear[1])
        more = (", interpolation=bilinear" if "interpolation" in options else "") + (", fill=%d" % options["fill"] if "fill" in options else "")
        return text % more, f

    for name, size in (("colour.png", (23, 31)), ("grey.png", (24, 24)), ("colour.png", (1, 5)), ("colour.png", (47, 61))):
        large = size == (47, 61)
        for degrees in (15, -37.5) if large else (15, -37.5, 90, 180, -90, 360, 405):
            text = "random_rotation(degrees=[%r, %r]" % (degrees, degrees)
            add(name, size, text + ")", lambda im: F.rotate(im, degrees))
            add(name, size, text + ", interpolation=bilinear, fill=77)", lambda im: F.rotate(im, degrees, bilinear, fill=77))
        for change in [affine(0, (0, 0), 1.37, (0, 0)), affine(0, (0.1, -0.2), 0.8, (0, 0), fill=200), affine(20, (-0.1, 0.15), 1.2, (10, -5)),
                       affine(-75.5, (0.3, 0.1), 0.6, (0, 20), interpolation=bilinear), affine(0, (0.25, 0), 1, (0, 0), interpolation=bilinear, fill=9)]:
            add(name, size, *change)
        if large:
            continue
        for factor in (0, 0.35, 1, 1.6, 3.3):
            add(name, size, "color_jitter(brightness=[%r, %r])" % (factor, factor), lambda im: F.adjust_brightness(im, factor))
            add(name, size, "color_jitter(contrast=[%r, %r])" % (factor, factor), lambda im: F.adjust_contrast(im, factor))
            add(name, size, "color_jitter(saturation=[%r, %r])" % (factor, factor), lambda im: F.adjust_saturation(im, factor))
        for shift in (-0.5, -0.21, -0.003, 0.1, 0.5):
            add(name, size, "color_jitter(hue=[%r, %r])" % (shift, shift), lambda im: F.adjust_hue(im, shift))
        channels = 1 if name == "grey.png" else 3
        add(name, size, "random_grayscale(p=1)", lambda im: F.rgb_to_grayscale(im, channels))
    add("colour.png", (20, 21), "color_jitter(hue=[0.2, 0.2]); color_jitter(contrast=[1.4, 1.4]); random_rotation(degrees=[5, 5])",
        lambda im: F.adjust_hue(im, 0.2), lambda im: F.adjust_contrast(im, 1.4), lambda im: F.rotate(im, 5))
    operations(add)


def operations(add):
    """Every operation of RandAugment, with torchvision's own table of magnitudes."""
    for number, name in enumerate(["Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast", "Sharpness",
                                   "Posterize", "Solarize", "AutoContrast", "Equalize"]):
        text = "".join(("_" if i and c.isupper() else "") + c.lower() for i, c in enumerate(name)).replace("auto_contrast", "autocontrast")
        for image, size, bin_, bins in (("colour.png", (23, 31), 9, 31), ("grey.png", (19, 18), 30, 31), ("colour.png", (17, 22), 4, 10), ("colour.png", (2, 2), 14, 31)):
            magnitudes, signed = T.RandAugment(num_magnitude_bins=bins)._augmentation_space(bins, size)[name]
            for negative in (0, 1) if signed else (0,):
                magnitude = (float(magnitudes[bin_].item()) if magnitudes.ndim > 0 else 0.0) * (-1 if negative else 1)
                for interpolation in ("nearest", "bilinear") if 1 <= number <= 5 and bins == 31 else ("nearest",):
                    add(image, size, "augment_operation(name=%s, magnitude=%d, bins=%d, negative=%d, interpolation=%s, fill=0)"
                        % (text, bin_, bins, negative, interpolation),
                        lambda im: _apply_op(im, name, magnitude, InterpolationMode(interpolation), 0))


def mixes():
    """Mixup and cutmix with given parameters, on a batch made by a formula that the test knows too."""
    cases = Cases("mix")
    for shape in ((4, 7, 9, 3), (2, 2, 350, 3), (2, 5, 6, 1), (1, 4, 4, 3)):
        n = int(np.prod(shape))
        x = torch.from_numpy(((np.arange(n) * 37 % 101 - 50) / 16).astype(np.float32).reshape(shape)).permute(0, 3, 1, 2)
        height, width = shape[1:3]
        for lam in (0.7, 0.25, 1.0):
            out = v2.MixUp(num_classes=2).transform(x, {"lam": lam, "labels": None, "batch_size": shape[0]})
            cases.add("1 %d %d %d %d %r 0 0 0 0" % (shape + (lam,)), out.permute(0, 2, 3, 1).numpy())
        for box in ((1, 0, width - 1, height), (0, 1, width // 2, 2), (2, 1, 2, 2)):
            out = v2.CutMix(num_classes=2).transform(x, {"box": box, "lam_adjusted": 0.5, "labels": None, "batch_size": shape[0]})
            cases.add("2 %d %d %d %d 0.5 %d %d %d %d" % (shape + box), out.permute(0, 2, 3, 1).numpy())


def sizes():
    """What Resize(size) makes of widths and heights: its rounding."""
    with open(path("sizes.txt"), "w") as f:
        for w, h, size in [(500, 375, 256), (375, 500, 256), (640, 427, 256), (333, 500, 232), (100, 100, 224), (1, 7, 5), (1023, 767, 224), (61, 47, 24), (3, 1000, 10)]:
            out = F._compute_resized_output_size((h, w), [size])
            f.write("%d %d %d %d %d\n" % (w, h, size, out[1], out[0]))


pictures()
decodes()
resizes()
pipelines()
augmentations()
mixes()
sizes()
print(sum(os.path.getsize(path(n)) for n in os.listdir(HERE)), "bytes")
