"""Makes the inputs that the fuzz targets begin with: small files of each form, right and nearly right.

    python tests/fuzz/make_inputs.py        (needs Pillow, soundfile)

Inputs that found a fault are called found-*; they stay as they are."""
import gzip
import io
import json
import math
import pathlib
import struct
import tarfile
import zipfile
import zlib

from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent / "inputs"


def put(target, name, data):
    (HERE / target).mkdir(parents=True, exist_ok=True)
    (HERE / target / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def pictures():
    colour = Image.new("RGB", (9, 7))
    colour.putdata([(x * 28, y * 36, (x * y) % 256) for y in range(7) for x in range(9)])

    def save(name, image, wanted=0, **options):
        file = io.BytesIO()
        image.save(file, name.split(".")[-1], **options)
        put("picture", name, bytes([wanted]) + file.getvalue())
    save("colour.jpeg", colour, 0, quality=60)
    save("progressive.jpeg", colour, 2, quality=60, progressive=True)
    save("whole.jpeg", colour, 1 | 4 << 2, quality=90, subsampling=0)
    save("grey.jpeg", colour.convert("L"), 2)
    save("inks.jpeg", colour.convert("CMYK"))
    save("large.jpeg", colour.resize((64, 48)), 2 | 8 << 2, quality=20, restart_marker_blocks=2)
    save("colour.png", colour)
    save("alpha.png", colour.convert("RGBA"), 2)
    save("grey.png", colour.convert("L"), 2)
    save("grey_alpha.png", colour.convert("LA"), 1)
    save("bits.png", colour.convert("1"))
    save("palette.png", colour.quantize(5), 2, bits=4)
    save("wide.png", Image.frombytes("I;16", (4, 3), bytes(range(24))))
    others(save, colour)
    for name, wanted in (("explicit", 3), ("monochrome1", 7), ("window_sigmoid", 2), ("window_exact", 7), ("palette", 0),
                         ("rle", 0), ("ybr_full_0", 1), ("seg", 255)):
        file = HERE.parents[1] / "golden" / "dicom" / (name + ".dcm")
        put("picture", name + ".dcm", bytes([wanted]) + file.read_bytes())


def sounds():
    """A byte that says how the sound is wanted (tests/fuzz/audio.c), then a file."""
    import soundfile  # only here
    tone = [[math.sin(i / 3) / 2, 0] for i in range(300)]

    def save(name, coding, wanted=0, rate=8000, frames=300):
        file = io.BytesIO()
        soundfile.write(file, tone[:frames], rate, subtype=coding, format=name.split(".")[-1].upper())
        put("audio", name, bytes([wanted]) + file.getvalue())
    save("words.wav", "PCM_16", 1)
    save("bytes.wav", "PCM_U8")
    save("floats.wav", "FLOAT", 2 | 4)
    save("alaw.wav", "ALAW", 8)
    save("adpcm.wav", "IMA_ADPCM", 1)
    save("sound.aiff", "PCM_24", 1 | 2)
    save("sound.flac", "PCM_16", 1 | 2 | 4)
    save("vorbis.ogg", "VORBIS", 1)
    save("opus.ogg", "OPUS", 2 | 4)
    save("sound.mp3", "MPEG_LAYER_III", 1)
    words = (HERE / "audio" / "words.wav").read_bytes()[1:]
    put("audio", "pipe.wav", b"\x80" + words)
    put("audio", "pipe.raw", b"\x81" + words[44:])
    put("audio", "open_end.wav", b"\x80" + words[:40] + b"\xff\xff\xff\xff" + words[44:])
    put("audio", "short.wav", b"\0" + words[:500])
    put("audio", "no_data.wav", b"\0" + words[:36])
    put("audio", "nan.wav", b"\0" + (HERE / "audio" / "floats.wav").read_bytes()[1:-4] + b"\0\0\xc0\x7f")
    put("audio", "rate.wav", b"\0" + words[:24] + struct.pack("<I", 5) + words[28:])
    put("audio", "movie.mp4", b"\0\0\0\0\x18ftypisom")


def others(save, colour):
    few, grey = colour.quantize(5), colour.convert("L")
    numbers = 63 << 2  # a mask's
    save("lossy.webp", colour, 0, quality=50)
    save("lossless.webp", colour.convert("RGBA"), 2, lossless=True)
    save("animated.webp", colour, 0, save_all=True, append_images=[colour.rotate(180)], lossless=True)
    save("palette.gif", few)
    save("numbers.gif", few, numbers, interlace=1)
    save("animated.gif", few, 1, save_all=True, append_images=[few.rotate(180)])
    save("colour.bmp", colour)
    save("numbers.bmp", few, numbers)
    save("bits.bmp", grey.convert("1"), 2)
    put("picture", "runs.bmp", b"\0BM" + struct.pack("<IHHIIiiHHIIiiII", 70, 0, 0, 62, 40, 5, 2, 1, 8, 1, 8, 0, 0, 2, 0) + bytes([1, 2, 3, 0, 9, 8, 7, 0])
        + bytes([3, 1, 0, 0, 0, 3, 0, 1, 0, 0, 0, 2, 1, 0, 1, 1, 0, 1]))
    put("picture", "words.bmp", b"\2BM" + struct.pack("<IHHIIiiHHIIiiII", 70, 0, 0, 66, 40, 2, -1, 1, 16, 3, 4, 0, 0, 0, 0) + struct.pack("<3I", 0xf800, 0x7e0, 0x1f) + b"abcd")
    for compression in ("raw", "tiff_lzw", "jpeg", "packbits"):
        save("%s.tiff" % compression, colour, 3, compression=compression)
    save("fax.tiff", grey.convert("1"), 1, compression="group4")
    save("numbers.tiff", few, numbers)
    save("inks.tiff", colour.convert("CMYK"), 2)
    save("wide.tiff", Image.frombytes("I;16", (4, 3), bytes(range(24))), 3)
    save("floats.tiff", Image.frombytes("F", (2, 3), bytes(range(24))), 3)
    exif = Image.Exif()
    exif[0x0112] = 6
    save("turned.jpeg", colour, 2, exif=exif)
    save("turned.png", colour, 0, exif=exif)
    save("turned.webp", colour, 0, exif=exif)
    save("turned.tiff", colour, 0, exif=exif)


def tables():
    put("csv", "plain", "file,label\na.png,1\nb.png,0\n")
    put("csv", "quotes", b'\xef\xbb\xbf"a;b";c\r\n"x ""y"";\r\nz";\r\n\r\n1;"2"')
    put("csv", "tabs", "a\tb\r1\t2\r")
    put("csv", "open", 'a,b\n1,"2\n')
    put("csv", "bytes", b"a\n\xff\n")
    text = b'{"version": "1.0"}' * 3
    put("packed", "text", struct.pack("<Q", len(text)) + zlib.compress(text, 6))
    put("packed", "lie", struct.pack("<Q", 1 << 40) + zlib.compress(text, 6))
    put("packed", "short", struct.pack("<Q", len(text)) + zlib.compress(text, 6)[:-4])


def arrays():
    def npy(descr, shape, data, fortran=False, version=1):
        text = ("{'descr': %s, 'fortran_order': %s, 'shape': %s, }" % (descr, fortran, shape)).encode()
        head = struct.pack("<H" if version == 1 else "<I", -(-(len(text) + 1) // 16) * 16)
        return b"\x93NUMPY" + bytes([version, 0]) + head + text.ljust(-(-(len(text) + 1) // 16) * 16 - 1) + b"\n" + data

    def npz(name, files, method):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as z:
            for inner, data in files.items():
                z.writestr(zipfile.ZipInfo(inner), data, method)
        put("archive", name, file.getvalue())
    floats = struct.pack("<6f", *range(6))
    put("archive", "floats.npy", npy("'<f4'", "(2, 3)", floats))
    put("archive", "columns.npy", npy("'<f4'", "(2, 3)", floats, True))
    put("archive", "big.npy", npy("'>u2'", "(3L,)", bytes(range(6)), version=2))
    put("archive", "unsigned.npy", npy("'<u8'", "(2,)", b"\xff" * 8 + bytes(8), version=3))
    put("archive", "scalar.npy", npy("'|b1'", "()", b"\1"))
    put("archive", "objects.npy", npy("'|O'", "(2,)", b"\x80\4K\1."))
    put("archive", "fields.npy", npy("[('a', '<f4'), ('b', '<i2', (3,))]", "(1,)", bytes(10)))
    put("archive", "huge.npy", npy("'<f8'", "(4611686018427387904, 4)", bytes(8)))
    put("archive", "many.npy", npy("'|u1'", "(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)", b"\7"))
    put("archive", "short.npy", npy("'<i4'", "(100,)", bytes(8)))
    pair = {"x.npy": npy("'<f4'", "(2, 3)", floats), "words.npy": npy("'<U3'", "(1,)", bytes(12)), "y.npy": npy("'|u1'", "(4, 4)", bytes(16))}
    npz("stored.npz", pair, zipfile.ZIP_STORED)
    npz("packed.npz", pair, zipfile.ZIP_DEFLATED)


def sources():
    def mnist(first, images, labels):
        return bytes([first, -(-255 * len(images) // (len(images) + len(labels)))]) + images + labels
    images = struct.pack(">4I", 0x803, 3, 2, 2) + bytes(range(12))
    labels = struct.pack(">2I", 0x801, 3) + bytes([0, 9, 3])
    put("source", "mnist", mnist(0, images, labels))
    put("source", "mnist_limit", mnist(1 | 2 << 2, images, labels))
    put("source", "mnist_packed", mnist(1, gzip.compress(images, mtime=0), gzip.compress(labels, mtime=0)))
    put("source", "cifar10", mnist(2, bytes([1, 50, 9, 60]), b"a\nb\r\nc\n" + b"\n".join(b"%d" % i for i in range(7))))
    put("source", "cifar100", mnist(3, bytes([1, 99, 60, 0, 0, 1]), b"\n".join(b"%d" % i for i in range(100))))


def features():
    def header(rows, elements, dtype):
        return b"tlua features 2\0" + b"a" * 64 + struct.pack("<2qiI", rows, elements, dtype, 1) + b"\0" * 24
    row = struct.pack("<3f", 1, 2, 3)
    for dtype in (0, 1):
        put("features", f"rows{dtype}", b"\1" + header(4, 3, dtype) + (row + b"1234") * 3)
    put("features", "short", b"\3" + header(4, 3, 0))
    put("features", "huge", b"\1" + header(2**62, 2**61, 0))


def prints():
    def record(kind, bits=5):
        return b"k" * 16 + struct.pack("<QII", bits, kind, 0)
    put("prints", "whole", b"\1" + record(1) + record(2, 9))
    put("prints", "own", b"\3" + record(2))
    put("prints", "own_even", b"\3" + record(1) + record(7))
    put("prints", "unchecked", b"\2" + record(2))
    put("prints", "cut", b"\1" + record(2) + record(2)[:11])


def tuning():
    put("tuning", "table", "t4096 512 512 nt kept one cpu-14x32 108\n64 64 64 nn fresh many gpu-64x64 150\n1 1 1 tt kept one plain 103\n")
    put("tuning", "strangers", "t4096 512 512 nt kept one somebody 108\n")
    put("tuning", "unchecked", "c4096 512 512 nt kept one plain 108\n")
    put("tuning", "whole", "ftlua-tuning 1\n")


def pipelines():
    put("pipeline", "eval", "decode(gap=2); to_channels(channels=3); resize(size=12, interpolation=bilinear); center_crop(size=8); "
                            "normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])")
    put("pipeline", "grey", "to_channels(channels=1); resize(size=[6, 7], interpolation=bicubic); normalize(mean=0.5, std=0.25)")
    put("pipeline", "train", "random_resized_crop(size=8); random_horizontal_flip(p=0.5); color_jitter(brightness=[0.8, 1.2], contrast=[0.8, 1.2], "
                             "saturation=[0, 2], hue=[-0.1, 0.1]); rand_augment(operations=3, magnitude=20); normalize(mean=0, std=1); random_erasing(p=1, noise=1)")
    put("pipeline", "turn", "random_rotation(degrees=[-30, 30], fill=7); random_affine(degrees=[-9, 9], translate=[0.2, 0.2], scale=[0.5, 2], shear=[-8, 8]); "
                            "random_crop(size=8, padding=3, mode=reflect); random_vertical_flip(); random_grayscale(p=1)")
    put("pipeline", "one", "augment_operation(name=equalize); augment_operation(name=posterize, magnitude=3, bins=31, negative=1); center_crop(size=[64, 3])")


def jsons():
    put("json", "values", json.dumps({"a": [1, -2.5e-7, True, None, "\u00e9\n\U0001f600"], "b": {"c": {}}, "d": [[[]]], "e": 1e308}))
    put("json", "bytes", b'{"\xff\xfe": "\\udc80\\udcff", "\\ud83d\\ude00": "\\\\udc80", "x": "\xed\xb2\x80"}')
    put("json", "nested", "[" * 999 + "]" * 999)


def conv(given, **attributes):
    return ["conv", [given, "8x3x3x3", "8", None], attributes]


def plans():
    norm = ["batch_norm", [1, "8", "8", "8", "8", None], {"activation": "relu", "eps": 0.001}]
    nets = {
        "conv": [conv(0, stride=[2, 2], padding=[1, 1], padding_end=[1, 1], dilation=[1, 1]), norm,
                 ["conv", [2, "8x1x3x3", None, None], {"padding": [1, 1], "groups": 8}], ["add", [3, 2]], ["relu", [4]],
                 ["mean", [5], {"axes": [1, 2]}], ["linear", [6, "5x8", "5", None]]],
        "pool": [conv(0), ["max_pool", [1], {"kernel": [2, 2], "stride": [1, 1], "padding": [1, 1], "ceil_mode": 1}],
                 ["avg_pool", [2], {"kernel": [3, 3], "padding": [1, 1], "count_include_pad": 0}], ["concat", [2, 2], {"axis": -1}],
                 ["hardswish", [4]], ["amax", [5], {"axes": [1, 2]}], ["linear", [6, "5x16", None, None], {"activation": "gelu"}]],
        "tokens": [["conv", [0, "8x3x4x4", "8", None], {"stride": [4, 4]}], ["reshape", [1], {"shape": [37, 4, 8]}],
                   ["expand", ["1x1x8"], {"shape": [37, 1, 8]}], ["concat", [3, 2], {"axis": 1}], ["add", [4, "1x5x8"]],
                   ["layer_norm", [5, "8", "8"], {"eps": 1e-6}], ["linear", [6, "24x8", "24", None]],
                   ["slice", [7], {"axis": -1, "start": 0, "length": 8}], ["slice", [7], {"axis": -1, "start": 8, "length": 8}],
                   ["slice", [7], {"axis": -1, "start": 16}], ["attention", [8, 9, 10, None], {"heads": 2}],
                   ["linear", [11, "8x8", "8", 5], {}], ["slice", [12], {"axis": 1, "start": 0, "length": 1}], ["reshape", [13], {"shape": [37, 8]}],
                   ["linear", [14, "5x8", "5", None]]],
        "shapes": [["permute", [0], {"axes": [0, 3, 1, 2]}], ["pad", [0], {"before": [0, 1, 1, 0], "after": [0, 2, 2, 0], "mode": "reflect"}],
                   ["interpolate", [2], {"scale": 2, "mode": "linear"}], ["conv_transpose", [3, "3x2x2x2", "2"], {"stride": [2, 2]}],
                   ["softmax", [4], {"axis": -1}], ["sum", [5], {"axes": [1, 2]}], ["matmul", [6, "2x5"], {}], ["log_softmax", [7], {}]],
        "inverted": [["conv", [0, "12x3x1x1", None, None]], ["batch_norm", [1, "12", "12", "12", "12", None], {"activation": "relu6"}],
                     ["conv", [2, "12x1x3x3", None, None], {"padding": [1, 1], "groups": 12}],
                     ["batch_norm", [3, "12", "12", "12", "12", None], {"activation": "relu6"}],
                     ["conv", [4, "3x12x1x1", None, None]], ["batch_norm", [5, "3", "3", "3", "3", 0]], ["mean", [6], {"axes": [1, 2]}],
                     ["dropout", [7], {"p": 0.5}], ["argmax", [8], {}]],
        "losses": [["mean", [0], {"axes": [1, 2]}], ["linear", [1, "5x3", None, None]], ["mse_loss", [2, 2]], ["where", [2, 2, 2]],
                   ["argmax", [2], {}],
                   ["cross_entropy", [2, 5, None], {"label_smoothing": 0.1}]],
    }
    for name, calls in nets.items():
        put("plan", name, json.dumps({"format": 1, "batch": 37, "input": [8, 8, 3], "calls": calls, "output": len(calls)}, separators=(",", ":")))
    # Format 2: sizes by name, several inputs and outputs.
    picture = {"name": "image", "dtype": "float32", "shape": ["N", "H", "W", 3]}
    listing = {"format": 2, "symbols": {"N": 3, "H": 8, "W": 8, "T": 4},
               "inputs": [picture, {"name": "ids", "dtype": "int32", "shape": ["N", "T"]}],
               "outputs": [{"name": "map", "value": 3, "dtype": "float32", "shape": ["N", None, None, 16]},
                           {"name": "rows", "value": 6, "dtype": "float32", "shape": ["N", {"T": 2}, 4]}],
               "buffers": ["9x8"],
               "calls": [conv(0, stride=[2, 2]), ["concat", [2, 2], {"axis": -1}], ["embedding", ["9x8", 1]],
                         ["expand", [4], {"shape": [{"N": 1}, {"T": 1}, 8]}], ["reshape", [5], {"shape": [{"N": 1}, {"T": 2}, -1]}]]}
    graph = json.dumps(listing, separators=(",", ":"))
    put("plan", "named", graph)
    # A whole model file: the weights of "conv" under the names that its calls give them.
    old = json.dumps({"format": 1, "batch": 37, "input": [8, 8, 3], "calls": nets["conv"], "output": 7}, separators=(",", ":"))
    model("model", old, {"8x3x3x3": 216, "8": 8, "8x1x3x3": 72, "5x8": 40, "5": 5}, {"labels": list("abcde")},
          "to_channels(channels=3); resize(size=8); center_crop(size=8); normalize(mean=0.5, std=0.25)")
    model("named", graph, {"8x3x3x3": 216, "8": 8, "9x8": 72}, {"task": {"name": "detect", "names": list("abcde")}}, None)
    # Boxes: one level of stride 4, two classes, offsets and distributions of two bins.
    for name, width, levels in (("boxes", 7, {"strides": [4], "form": "offsets", "objectness": True}),
                                ("bins", 10, {"strides": [4], "form": "distribution", "bins": 2, "objectness": False})):
        weight = f"{width}x3x4x4"
        rows = {"format": 2, "symbols": {"N": 3}, "inputs": [{"name": "image", "dtype": "float32", "shape": ["N", 8, 8, 3]}],
                "outputs": [{"name": "output", "value": 2, "dtype": "float32", "shape": ["N", 4, width]}],
                "calls": [["conv", [0, weight, None, None], {"stride": [4, 4]}], ["reshape", [1], {"shape": [{"N": 1}, 4, width]}]]}
        task = {"name": "detect", "names": ["a", "b"], "options": {"confidence": 0.1, "iou": 0.5, "per_class": True, "most": 10},
                "kept": {"levels": levels, "confidences": [0.1, 0.2]}}
        model(name, json.dumps(rows, separators=(",", ":")), {weight: width * 48}, {"task": task},
              "to_channels(channels=3); letterbox(size=8); normalize(mean=0, std=1)")


def model(file, plan, names, description, pipeline):
    header, at = {}, 0
    header["__metadata__"] = {"tlua.plan": plan, "tlua": json.dumps(description)}
    if pipeline:
        header["__metadata__"]["tlua.pipeline"] = pipeline
    for name, count in names.items():
        header[name] = {"dtype": "F16", "shape": [int(n) for n in name.split("x")], "data_offsets": [at, at + 2 * count]}
        at += 2 * count
    text = json.dumps(header, separators=(",", ":")).encode()
    put("model", file, struct.pack("<Q", len(text)) + text + bytes(at))


def pickles():
    tensor = (b"ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0000X\3\0\0\0cpuK\x40tQK\1K\2K\3\x86K\3K\1\x86\x89"
              b"ccollections\nOrderedDict\n)RtR")
    put("pickle", "tensor", b"\x80\2}X\1\0\0\0w" + tensor + b"s.")
    put("pickle", "checkpoint", b"\x80\4}(\x8c\5model}\x8c\1w" + tensor + b"s\x8c\3ema}\x8c\1w" + tensor + b"s\x8c\4argscargparse\nNamespace\n)\x81}\x8c\1aK\1sb"
        b"\x8c\1b\x8c\5numpy\x8c\6scalar\x93C\1a\x85Ru.")
    put("pickle", "old", b"(dp0\nS'n'\np1\n(iargparse\nNamespace\np2\n(dp3\nS'a'\nI01\nsbsS'x'\nL12L\nsVt\nF1.5\nsg1\n(cm\nC\nI2\nosS'l'\n(lp4\nI1\nasS'w'\n" + tensor + b"s.")
    modules(tensor)


def modules(tensor):
    def text(t):
        return b"\x8c" + bytes([len(t)]) + t
    def module(children=b"}", more=b""):
        return (b"cm\nC\n)\x81}(" + text(b"_parameters") + b"}" + text(b"w") + b"ctorch._utils\n_rebuild_parameter\n(" + tensor + b"\x88}tRs"
                + text(b"_buffers") + b"}(" + text(b"b") + tensor + text(b"n") + tensor + text(b"x") + b"Nu" + text(b"_modules") + children + more + b"ub")
    children = b"ccollections\nOrderedDict\n)R(" + text(b"0") + module() + b"q\1" + text(b"again") + b"h\1" + text(b"gone") + b"Nu"
    more = (text(b"_non_persistent_buffers_set") + b"cbuiltins\nset\n](" + text(b"n") + b"e\x85R" + text(b"names") + b"}(K\0" + text(b"cat") + b"K\1" + text(b"dog") + b"u")
    whole = module(children, more)
    put("pickle", "module", b"\x80\2" + whole + b".")
    put("pickle", "modules", b"\x80\4}(" + text(b"model") + whole + text(b"ema") + module() + text(b"epoch") + b"K\1u.")
    put("pickle", "module_circle", b"\x80\2cm\nC\n)\x81q\1}q\2(" + text(b"_parameters") + b"}" + text(b"_buffers") + b"h\2" + text(b"_modules") + b"}("
        + text(b"a") + b"h\1" + text(b"b") + b"h\2uub.")
    put("pickle", "module_lies", b"\x80\2ccopy_reg\n_reconstructor\n(cm\nC\nc__builtin__\nobject\nNtR}(" + text(b"_parameters") + b"]" + text(b"_buffers") + b"N"
        + text(b"_modules") + b"]ub.")


def archives():
    def tar(name, members, mode="w"):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode=mode) as t:
            for path, kind, content in members:
                info = tarfile.TarInfo(path)
                info.type, info.size = kind, len(content)
                info.linkname = "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
                t.addfile(info, io.BytesIO(content))
        put("unpack", name, file.getvalue())
    f, d = tarfile.REGTYPE, tarfile.DIRTYPE
    tar("good.tar", [("a", d, b""), ("a/b.txt", f, b"content"), ("c", f, b"")])
    tar("good.tar.gz", [("a/b.txt", f, b"content" * 100)], "w:gz")
    tar("outside.tar", [("../x", f, b"y")])
    tar("absolute.tar", [("/tmp/tlua-fuzz-x", f, b"y")])
    tar("link.tar", [("x", tarfile.SYMTYPE, b""), ("x/y", f, b"y")])
    tar("hard.tar", [("x", tarfile.LNKTYPE, b"")])
    tar("device.tar", [("x", tarfile.CHRTYPE, b"")])
    tar("folder_and_file.tar", [("a", f, b"1"), ("a/b", f, b"2"), ("a", d, b"")])
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("a/b.txt", b"content" * 50)
    put("unpack", "good.zip", file.getvalue())
    put("unpack", "list.mtree", b"#mtree\n./x type=file contents=/etc/hostname\n")


def varint(v):
    v &= (1 << 64) - 1
    out = b""
    while v > 127:
        out, v = out + bytes([v & 127 | 128]), v >> 7
    return out + bytes([v])


def field(number, value):
    """A number, or what has a length: a message is the join of its fields."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def onnx_files():
    def tensor(name, kind, dims, *data):
        return b"".join(field(1, d) for d in dims) + field(2, kind) + field(8, name) + b"".join(data)

    def model(graph, *more):
        return field(1, 8) + field(7, graph) + field(8, field(2, 17)) + b"".join(more)

    def attribute(name, kind, *data):
        return field(5, field(1, name) + field(20, kind) + b"".join(data))

    def node(op, *more):
        return field(1, field(1, "x") + field(1, "w") + field(2, "y") + field(4, op) + b"".join(more))
    floats = struct.pack("<4f", 1, -2, 0.5, 4)
    shape = field(2, field(1, field(2, "N")) + field(1, field(1, 3)))
    value = field(11, field(1, "x") + field(2, field(1, field(1, 1) + shape)))
    body = node("Add") + field(2, "body")
    put("onnx", "conv", model(field(5, tensor("w", 1, [2, 2], field(9, floats))) + value + node(
        "Conv", attribute("pads", 7, field(8, b"\1\1\1\1")), attribute("alpha", 1, varint(2 << 3 | 5) + floats[:4]), attribute("mode", 3, field(4, "same")),
        attribute("t", 4, field(5, tensor("", 7, [1], field(7, b"\3")))), attribute("body", 5, field(6, body)), field(9, field(1, "k") + field(2, "v")))))
    put("onnx", "types", model(b"".join(field(5, tensor(f"w{kind}", kind, [2], field(9, bytes(range(2 * width)))))
                                       for kind, width in enumerate([0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8, 8, 16, 2, 1, 1, 1, 1]) if width)))
    put("onnx", "lists", model(field(5, tensor("f", 1, [2], field(4, floats[:8]))) + field(5, tensor("h", 10, [2], field(5, b"\1\2"))) +
                               field(5, tensor("s", 8, [2], field(6, "a"), field(6, b"\0"))) + field(5, tensor("i", 22, [3], field(5, b"\1\2")))))
    beside = [field(13, field(1, "location") + field(2, "w.bin")), field(13, field(1, "offset") + field(2, "8")), field(13, field(1, "length") + field(2, "16")), field(14, 1)]
    put("onnx", "external", model(field(5, tensor("w", 1, [4], *beside))))
    put("onnx", "outside", model(field(5, tensor("w", 1, [4], field(13, field(1, "location") + field(2, "../../etc/passwd")), field(14, 1)))))
    put("onnx", "lies", model(field(5, tensor("w", 1, [1 << 40, 1 << 40], field(9, floats)))))
    put("onnx", "function", model(node("F"), field(25, field(1, "F") + field(4, "x") + field(5, "y") + field(6, "a") + field(7, node("Relu")[2:]) +
                                                   field(11, field(1, "b") + field(2, b"")))))
    deep = b""
    for _ in range(40):
        deep = node("If", attribute("then_branch", 5, field(6, deep)))
    put("onnx", "deep", model(deep))
    put("onnx", "sparse", model(field(15, field(1, tensor("s", 1, [1], field(9, floats[:4]))) + field(2, tensor("", 7, [1], field(7, b"\1"))) + field(3, 9))))


def xmls():
    box = "<object><name>a &amp; b&#x1F600;</name><bndbox><xmin>1</xmin><ymin>2</ymin></bndbox></object>"
    put("xml", "voc", f"\ufeff<?xml version='1.0' encoding=\"utf-8\"?>\n<!-- LabelImg --><annotation verified='yes'>{box}<segmented/></annotation>\n")
    put("xml", "entities", "<!DOCTYPE a [<!ENTITY b 'bbbb'>]><a>&b;&b;</a>")
    put("xml", "unknown", "<a>&b; &#0; &#xD800; &#1114112;</a>")
    put("xml", "deep", "<a>" * 40 + "</a>" * 40)
    put("xml", "cdata", "<a><![CDATA[<b>]]>c<![CDATA[]]></a>")
    put("xml", "open", "<a b='c")


for make in (onnx_files, archives, arrays, tables, pictures, sounds, sources, features, prints, tuning, pipelines, jsons, plans, pickles, xmls):
    make()
