"""Slices of a brain with masks of its grey and white matter, for recipes/brain_segment.lua: the MNI152 template at 1 mm (ICBM 2009a, a mean of
152 people: one brain, so what is learnt here says nothing of others), from nilearn's wheel. Nothing but Python's own library is needed.

    pip download --no-deps nilearn==0.14.1
    python3 tools/brain_slices.py nilearn-0.14.1-py3-none-any.whl data/brain

Writes DIR/{train,validation,test}/{images,masks}/zNNN.png and DIR/classes.txt. Neighbouring slices are nearly the same, so the parts are slabs of
20, 4 and 4 slices with 4 mm between them, three or four times from below upwards. A pixel is grey or white matter where its map says so with more
than a half; all else is background."""
import gzip
import os
import struct
import sys
import zipfile
import zlib

DATA = "nilearn/datasets/data/mni_icbm152_%s_tal_nlin_sym_09a_converted.nii.gz"
SLABS = [("train", 20), (None, 4), ("validation", 4), (None, 4), ("test", 4), (None, 4)]
FEWEST = 400  # pixels of grey and white matter that a slice must have
TYPES = {2: "B", 4: "h", 8: "i", 16: "f", 64: "d", 256: "b", 512: "H"}


def volume(wheel, name):
    """A NIfTI-1 file: its values scaled to 0..1, by x, then y, then z; and the three sizes."""
    raw = gzip.decompress(wheel.read(DATA % name))
    sizes = struct.unpack_from("<8h", raw, 40)[1:4]
    kind, = struct.unpack_from("<h", raw, 70)
    offset, = struct.unpack_from("<f", raw, 108)
    count = sizes[0] * sizes[1] * sizes[2]
    values = struct.unpack_from("<%d%s" % (count, TYPES[kind]), raw, int(offset))
    most = max(values)
    return [v / most for v in values], sizes


def png(path, rows):
    """A grey picture of 8 bits from rows of bytes."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    head = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows), 9)) + chunk(b"IEND", b""))


def rows_of(values, sizes, z):
    """Slice z as rows of values, the nose upwards."""
    x, y, _ = sizes
    start = z * x * y
    return [values[start + row * x:start + (row + 1) * x] for row in reversed(range(y))]


def part_of(i):
    """The part of the i-th slice of the brain; None: between two."""
    at = i % sum(n for _, n in SLABS)
    for name, n in SLABS:
        if at < n:
            return name
        at -= n


def main():
    wheel, root = zipfile.ZipFile(sys.argv[1]), sys.argv[2]
    (head, sizes), (grey, _), (white, _) = (volume(wheel, name) for name in ("t1", "gm", "wm"))
    for part in ("train", "validation", "test"):
        for kind in ("images", "masks"):
            os.makedirs(os.path.join(root, part, kind), exist_ok=True)
    with open(os.path.join(root, "classes.txt"), "w") as f:
        f.write("background\ngrey matter\nwhite matter\n")
    i, written = 0, {}
    for z in range(sizes[2]):
        mask = [bytes(1 if g > 0.5 else 2 if w > 0.5 else 0 for g, w in zip(a, b)) for a, b in zip(rows_of(grey, sizes, z), rows_of(white, sizes, z))]
        if sum(len(row) - row.count(0) for row in mask) < FEWEST:
            continue
        part, i = part_of(i), i + 1
        if part:
            name = os.path.join(root, part, "%s", "z%03d.png" % z)
            png(name % "images", [bytes(round(255 * min(max(v, 0), 1)) for v in row) for row in rows_of(head, sizes, z)])
            png(name % "masks", mask)
            written[part] = written.get(part, 0) + 1
    print(root, written)


if __name__ == "__main__":
    main()
