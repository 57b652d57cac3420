"""Makes tests/golden/pictures: small WebP, TIFF, BMP and GIF files, pictures with an orientation, pictures of 16 bits and floats, and what
Pillow makes of them. decode.txt: file, width, height, channels, depth (0: 8 bits, 1: 16, 2: float). resize.txt: file, filter, width, height. colour.txt: steps, and what torchvision gives for them on the floats of unit_colour.tif.
masks.txt: file, width, height. Values stand in the file *.bin beside each list.

    python tests/golden/make_pictures.py
"""
import os
import struct
import zlib

import numpy as np
import torch
from PIL import Image, ImageOps
from torchvision.transforms import functional as F

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pictures")
FILTERS = {"nearest": Image.NEAREST, "box": Image.BOX, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}
os.makedirs(HERE, exist_ok=True)


def path(name):
    return os.path.join(HERE, name)


class Cases:
    def __init__(self, name):
        self.text, self.data = open(path(name + ".txt"), "w"), open(path(name + ".bin"), "wb")

    def add(self, line, values):
        self.text.write("%s @ %d\n" % (line, self.data.tell()))
        self.data.write(np.ascontiguousarray(values).tobytes())


decode, resize, masks, changes = Cases("decode"), Cases("resize"), Cases("masks"), Cases("colour")
names = []


def scene(width, height, seed):
    g = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    a = np.stack([255 * x / width, 255 * y / height, 127 + 127 * np.sin((x + y) / 5)], -1)
    a[(x - width / 3) ** 2 + (y - height / 2) ** 2 < (height / 4) ** 2] = [250, 20, 40]
    return np.clip(a + g.normal(0, 12, a.shape), 0, 255).astype(np.uint8)


def write(name, data):
    with open(path(name), "wb") as f:
        f.write(data)
    names.append(name)


def save(name, image, **options):
    image.save(path(name), **options)
    names.append(name)


pixels = scene(27, 19, 1)
colour, grey = Image.fromarray(pixels), Image.fromarray(scene(27, 19, 2)).convert("L")
alpha = np.concatenate([pixels, (np.arange(27 * 19) % 256).astype(np.uint8).reshape(19, 27, 1)], -1)
few = colour.quantize(11)

# WebP
save("lossy.webp", colour, quality=70)
save("lossless.webp", colour, lossless=True)
save("alpha.webp", Image.fromarray(alpha), lossless=True, exact=True)
save("lossy_alpha.webp", Image.fromarray(alpha), quality=60)
save("animated.webp", colour, save_all=True, append_images=[colour.rotate(90)], lossless=True, duration=100)

# TIFF
for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
    save("colour_%s.tif" % compression, colour, compression=compression)
save("jpeg.tif", colour, compression="jpeg", quality=90)
save("grey.tif", grey)
save("one_bit.tif", grey.convert("1"), compression="group4")
save("palette.tif", few)
save("alpha.tif", Image.fromarray(alpha))
save("inks.tif", colour.convert("CMYK"))


def tiff(name, samples, bits, photometric, planar=1, tile=None, form=1, order="<", extra=(), more=()):
    """A plain TIFF of samples (height, width, n) in forms that Pillow does not write."""
    height, width, n = samples.shape
    raw = lambda a: np.ascontiguousarray(a).astype(samples.dtype.newbyteorder(order)).tobytes()
    if bits < 8:
        flat = np.pad(samples[..., 0], ((0, 0), (0, -width % (8 // bits)))).reshape(height, -1, 8 // bits)
        blocks = [(flat << (8 - bits - bits * np.arange(8 // bits))).sum(-1).astype(np.uint8).tobytes()]
    elif tile:
        parts = [samples[..., k:k + 1] for k in range(n)] if planar == 2 else [samples]
        blocks = []
        for part in parts:
            for y in range(0, height, tile):
                for x in range(0, width, tile):
                    block = part[y:y + tile, x:x + tile]
                    blocks.append(raw(np.pad(block, ((0, tile - block.shape[0]), (0, tile - block.shape[1]), (0, 0)))))
    elif planar == 2:
        blocks = [raw(samples[..., k]) for k in range(n)]
    else:
        blocks = [raw(samples[:7]), raw(samples[7:14]), raw(samples[14:])]
    out = bytearray(b"II*\0" if order == "<" else b"MM\0*") + bytes(4)

    def append(data):
        at = len(out)
        out.extend(data)
        out.extend(bytes(-len(out) % 2))
        return at
    offsets = [append(b) for b in blocks]
    tags = [(256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * n), (259, 3, [1]), (262, 3, [photometric]), (277, 3, [n]), (284, 3, [planar]), (339, 3, [form] * n)] + list(more)
    if tile:
        tags += [(322, 3, [tile]), (323, 3, [tile]), (324, 4, offsets), (325, 4, [len(b) for b in blocks])]
    else:
        tags += [(273, 4, offsets), (278, 3, [height if planar == 2 or bits < 8 else 7]), (279, 4, [len(b) for b in blocks])]
    if extra:
        tags.append((338, 3, list(extra)))
    entries = b""
    for tag, kind, values in sorted(tags):
        data = struct.pack(order + str(len(values)) + {3: "H", 4: "I"}[kind], *values)
        entries += struct.pack(order + "HHI", tag, kind, len(values)) + (data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(order + "I", append(data)))
    at = append(struct.pack(order + "H", len(tags)) + entries + bytes(4))
    out[4:8] = struct.pack(order + "I", at)
    with open(path(name), "wb") as f:
        f.write(bytes(out))


wide = pixels.astype(np.uint16) * 256 + np.random.default_rng(3).integers(0, 256, pixels.shape, dtype=np.uint16)
floats = (wide / 65535).astype(np.float32) * 3 - 1
many = np.concatenate([wide, wide[::-1], wide[:, ::-1]], -1)[..., :7]
tiff("planes.tif", pixels, 8, 2, planar=2)
tiff("tiles.tif", pixels, 8, 2, tile=16)
tiff("tiled_planes.tif", pixels, 8, 2, planar=2, tile=16, order=">")
tiff("white.tif", pixels[..., :1], 8, 0)
tiff("two_bits.tif", pixels[..., :1] >> 6, 2, 1)
tiff("four_bits.tif", pixels[..., :1] >> 4, 4, 1)
for name in ("planes.tif", "tiles.tif", "tiled_planes.tif"):
    decode.add("%s 27 19 3 0" % name, pixels)
decode.add("white.tif 27 19 1 0", 255 - pixels[..., 0])
decode.add("two_bits.tif 27 19 1 0", (pixels[..., 0] >> 6) * 85)
decode.add("four_bits.tif 27 19 1 0", (pixels[..., 0] >> 4) * 17)
for name, a, photometric, options in [
        ("wide_grey.tif", wide[..., :1], 1, {}), ("wide_big.tif", wide[..., :1], 1, {"order": ">"}), ("wide_colour.tif", wide, 2, {}), ("wide_tiles.tif", wide, 2, {"tile": 16, "planar": 2}),
        ("seven.tif", many, 1, {"extra": [0] * 6}), ("grey_alpha.tif", wide[..., :2], 1, {"extra": [2]})]:
    tiff(name, a, 16, photometric, **options)
    kept = a[..., :1] if name == "grey_alpha.tif" else a
    decode.add("%s 27 19 %d 1" % (name, kept.shape[-1]), kept)
tiff("float_grey.tif", floats[..., :1], 32, 1, form=3)
unit = (wide / 65535).astype(np.float32)
tiff("unit_colour.tif", unit, 32, 2, form=3)
tiff("float_colour.tif", floats, 32, 2, form=3, order=">")
decode.add("float_grey.tif 27 19 1 2", floats[..., :1])
decode.add("float_colour.tif 27 19 3 2", floats)


# PNG of 16 bits
def png(name, samples, kind):
    def chunk(word, body):
        return struct.pack(">I", len(body)) + word + body + struct.pack(">I", zlib.crc32(word + body))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    with open(path(name), "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 27, 19, 16, kind, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


png("wide_grey.png", wide[..., :1], 0)
png("wide_alpha.png", wide[..., :2], 4)
png("wide_colour.png", wide, 2)
png("wide_colour_alpha.png", np.concatenate([wide, wide[..., :1]], -1), 6)
for name, channels in (("wide_grey.png", 1), ("wide_alpha.png", 1), ("wide_colour.png", 3), ("wide_colour_alpha.png", 3)):
    decode.add("%s 27 19 %d 1" % (name, channels), wide[..., :channels])

# BMP
save("colour.bmp", colour)
save("palette.bmp", few)
save("grey.bmp", grey)
save("one_bit.bmp", grey.convert("1"))
save("alpha.bmp", Image.fromarray(alpha))


def bmp(name, bits, coding, data, palette=b"", masks=b"", height=19, header=40):
    body = struct.pack("<IiiHHIIiiII", header, 27, height, 1, bits, coding, len(data), 0, 0, 0, 0) if header == 40 else struct.pack("<IHHHH", 12, 27, height, 1, bits)
    start = 14 + len(body) + len(masks) + len(palette)
    write(name, b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + body + masks + palette + data)


palette = b"".join(bytes([i * 5 % 256, i * 7 % 256, i * 11 % 256, 0]) for i in range(256))
small = palette[:64]
index = np.random.default_rng(4).integers(0, 16, (19, 27))
rows4 = b"".join(bytes((int(r[i]) << 4) | (int(r[i + 1]) if i + 1 < 27 else 0) for i in range(0, 27, 2)).ljust(16, b"\0") for r in index)
bmp("four_bits.bmp", 4, 0, rows4, small)
bmp("os2.bmp", 4, 0, rows4, b"".join(small[i:i + 3] for i in range(0, 64, 4)), header=12)
bmp("down.bmp", 4, 0, rows4, small, height=-19)
words = np.random.default_rng(5).integers(0, 65536, (19, 28), dtype=np.uint16).astype("<u2").tobytes()
bmp("fifteen.bmp", 16, 0, words)
bmp("sixteen.bmp", 16, 3, words, masks=struct.pack("<III", 0xf800, 0x7e0, 0x1f))
bmp("masked.bmp", 32, 3, np.random.default_rng(6).integers(0, 256, 19 * 27 * 4, dtype=np.uint8).tobytes(), masks=struct.pack("<III", 0xff000000, 0xff0000, 0xff00))
runs = b"".join(bytes([20, 3 + y, 0, 4, 1, 2, 3, 4, 3, 9, 0, 0]) for y in range(18)) + bytes([5, 7, 0, 2, 3, 0, 19, 8, 0, 1])
bmp("runs8.bmp", 8, 1, runs, palette)
runs = b"".join(bytes([20, 0x34 + y, 0, 5, 0x12, 0x34, 0x50, 0, 2, 0x98, 0, 0]) for y in range(18)) + bytes([27, 0x71, 0, 1])
bmp("runs4.bmp", 4, 2, runs, small)

# GIF
save("palette.gif", few)
save("grey.gif", grey)
save("interlaced.gif", few, interlace=1)
save("animated.gif", few, save_all=True, append_images=[few.rotate(180)], duration=100)
save("clear.gif", few, transparency=3)
plain = open(path("palette.gif"), "rb").read()
at = plain.index(b",\0\0\0\0")
# A picture that begins at (3, 2) and so reaches out of its canvas; one that is smaller than its canvas.
write("offset.gif", plain[:at + 1] + struct.pack("<HH", 3, 2) + plain[at + 5:])
write("canvas.gif", plain[:6] + struct.pack("<HH", 40, 30) + plain[10:at + 1] + struct.pack("<HH", 3, 2) + plain[at + 5:])

for name in names:
    image = ImageOps.exif_transpose(Image.open(path(name)))
    channels = 1 if image.mode in ("L", "1") and not name.endswith((".gif", ".bmp", ".webp")) else 3
    image = image.convert("L" if channels == 1 else "RGB")
    decode.add("%s %d %d %d 0" % (name, image.width, image.height, channels), np.asarray(image))

# Orientations
for o in range(1, 9):
    for form, options in (("jpg", {"quality": 95, "subsampling": 0}), ("png", {}), ("webp", {"lossless": True}), ("tif", {})):
        if form != "jpg" and o not in (3, 6, 7):
            continue
        name = "turned%d.%s" % (o, form)
        exif = Image.Exif()
        exif[0x0112] = o
        colour.save(path(name), exif=exif, **options)
        image = ImageOps.exif_transpose(Image.open(path(name))).convert("RGB")
        assert (image.width == 19) == (o > 4), name
        decode.add("%s %d %d 3 0" % (name, image.width, image.height), np.asarray(image))
xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'
colour.save(path("xmp.jpg"), quality=95, subsampling=0, xmp=xmp)
image = ImageOps.exif_transpose(Image.open(path("xmp.jpg"))).convert("RGB")
assert image.width == 19
decode.add("xmp.jpg 19 27 3 0", np.asarray(image))

# Resizing what is deeper than 8 bits
for filter_name in ("bilinear", "bicubic", "box", "lanczos", "nearest"):
    for w, h in ((11, 8), (40, 33), (27, 7), (60, 5)):
        for name, a in (("wide_grey.tif", wide[..., 0]), ("float_grey.tif", floats[..., 0])):
            out = Image.fromarray(a).resize((w, h), FILTERS[filter_name])
            resize.add("%s %s %d %d" % (name, filter_name, w, h), np.asarray(out))

# Masks: numbers as they stand in the file
for name, values in (("palette.tif", np.asarray(few)), ("palette.bmp", np.asarray(few)), ("palette.gif", np.asarray(Image.open(path("palette.gif")))), ("grey.tif", np.asarray(grey)),
                     ("two_bits.tif", pixels[..., 0] >> 6), ("four_bits.bmp", index[::-1])):
    masks.add("%s 27 19" % name, values.astype(np.uint8))
# Colours of floats
x = torch.from_numpy(unit).permute(2, 0, 1)
for text, y in (("color_jitter(brightness=[0.6, 0.6])", F.adjust_brightness(x, 0.6)), ("color_jitter(brightness=[1.5, 1.5])", F.adjust_brightness(x, 1.5)),
                ("color_jitter(contrast=[0.5, 0.5])", F.adjust_contrast(x, 0.5)), ("color_jitter(saturation=[0.3, 0.3])", F.adjust_saturation(x, 0.3)),
                ("color_jitter(hue=[0.2, 0.2])", F.adjust_hue(x, 0.2)), ("color_jitter(hue=[-0.4, -0.4])", F.adjust_hue(x, -0.4)),
                ("random_grayscale(p=1)", F.rgb_to_grayscale(x, 3))):
    changes.add(text, y.permute(1, 2, 0).numpy().astype(np.float32))
print("%d files" % len(os.listdir(HERE)))
