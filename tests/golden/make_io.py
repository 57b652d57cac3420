"""Makes the small files of weights that tests/unit/io.c reads: every element type, views that are not
contiguous, both forms of torch.save, and files that must be refused.

    python tests/golden/make_io.py

expect.safetensors holds what the other files must read as. The legacy form names its storages by
their addresses, so its bytes differ from one making to the next; what they mean does not."""
import argparse
import collections
import datetime
import os
import pathlib
import pickle
import zipfile

import numpy
import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).resolve().parent / "io"


def tensors():
    g = torch.Generator().manual_seed(7)
    t = collections.OrderedDict()
    base = torch.randn(4, 6, generator=g)
    t["plain"] = base.clone()
    t["transposed"] = base.t()
    t["slice"] = base[1:3, ::2]
    t["expanded"] = torch.arange(3.0).reshape(3, 1).expand(3, 4)
    t["channels_last"] = torch.randn(2, 3, 2, 2, generator=g).contiguous(memory_format=torch.channels_last)
    t["scalar"] = torch.tensor(3.5)
    t["empty"] = torch.zeros(0, 3)
    t["double"] = torch.tensor([1e-300, -2.5, 1e300, 5e-324], dtype=torch.float64)
    t["half"] = torch.tensor([6e-8, -6.1e-5, 65504, float("inf"), float("nan"), -0.0, 1 / 3], dtype=torch.float16)
    t["bfloat"] = torch.tensor([9.2e-41, -1e-38, 3.38e38, float("-inf"), 1 / 3], dtype=torch.bfloat16)
    t["int64"] = torch.tensor([[-(2**31), 2**31 - 1], [0, 5]]).t()
    t["int32"] = torch.tensor([-(2**31), 7], dtype=torch.int32)
    t["int16"] = torch.tensor([-32768, 32767], dtype=torch.int16)
    t["int8"] = torch.tensor([-128, 127, 0], dtype=torch.int8)
    t["uint8"] = torch.tensor([0, 200, 255], dtype=torch.uint8)
    t["bool"] = torch.tensor([True, False, True])
    t["parameter"] = torch.nn.Parameter(torch.randn(5, generator=g))
    t["näme"] = torch.ones(2)
    return t


def repack(source, target, method=zipfile.ZIP_STORED, change=lambda name, data: data):
    with zipfile.ZipFile(HERE / source) as z, zipfile.ZipFile(HERE / target, "w", method) as out:
        for info in z.infolist():
            out.writestr(info.filename, change(info.filename, z.read(info)))


def evil_zip(target, data):
    repack("checkpoint.pth", target, change=lambda name, old: data if name.endswith("data.pkl") else old)


class Runs:
    def __reduce__(self):
        return os.system, ("touch tests/golden/io/WAS_RUN",)


def checkpoint():
    torch.manual_seed(3)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.randn(2, 1, 4, 4)).sum().backward()
    optimizer.step()
    state = net.state_dict()
    whole = {"epoch": 3, "best": 0.5, "note": "text", "shape": torch.Size((1, 2)), "device": torch.device("cpu"), "type": torch.float16,
             "big": 2**80, "negative": -5, "bytes": b"abc", "set": {1, 2}, "state_dict": state, "optimizer": optimizer.state_dict()}
    torch.save(whole, HERE / "checkpoint.pth")
    save_file(dict(state), HERE / "checkpoint.safetensors")
    torch.save({"encoder": {"weight": torch.ones(2), "layers": {0: torch.zeros(3)}}}, HERE / "nested.pth")
    attributed = torch.nn.Parameter(torch.arange(3.0))
    attributed.note = "x"
    torch.save({"weight": attributed}, HERE / "attributes.pth")


class Note:
    """Somebody's own class: its items and its state go nowhere."""
    def __init__(self):
        self.text = "x"


class Items(dict):
    pass


def people():
    """Checkpoints as people write them: the weights of interest under one of several keys, all sorts of things beside."""
    state = collections.OrderedDict(w=torch.arange(3.0))
    whole = {"model_state": state, "ema": {"w": torch.arange(3.0) + 0.5}, "args": argparse.Namespace(lr=0.1, path=pathlib.Path("x")),
             "best": numpy.float64(0.5), "table": numpy.arange(3.0), "history": collections.defaultdict(list, loss=[1.0, 0.5]),
             "counts": collections.Counter("aab"), "date": datetime.date(2020, 1, 1), "note": Note(), "items": Items(a=1), "epoch": 3,
             "rng_state": torch.zeros(4, dtype=torch.uint8), "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}}
    torch.save(whole, HERE / "people.pth")
    torch.save(whole, HERE / "people_legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(collections.defaultdict(dict, model=state), HERE / "defaultdict.pth")


def odd():
    """Two good tensors, one of them behind all the others, between such as tlua does not read."""
    t = collections.OrderedDict(first=torch.arange(2.0))
    t["rank9"] = torch.zeros((1,) * 9)
    t["sparse"] = torch.eye(2).to_sparse()
    t["quantised"] = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)
    t["quantised_wide"] = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint32)
    t["complex"] = torch.ones(2, dtype=torch.complex64)
    t["conjugate"] = torch.ones(2, dtype=torch.complex128).conj()
    t["uint16"] = torch.ones(2, dtype=torch.uint16)
    t["array"] = numpy.ones(2)
    t["_extra_state"] = Note()
    t["last"] = torch.arange(3.0)
    torch.save(t, HERE / "odd.pth")
    torch.save(t, HERE / "odd_legacy.pth", _use_new_zipfile_serialization=False)


def refused():
    torch.save({"weight": Runs()}, HERE / "evil.pth")
    torch.save({"weight": Runs()}, HERE / "evil_legacy.pth", _use_new_zipfile_serialization=False)
    (HERE / "evil.pkl").write_bytes(pickle.dumps(Runs(), protocol=4))
    evil_zip("evil_os.pth", b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.")
    evil_zip("evil_inst.pth", b"\x80\x02(X\x04\x00\x00\x00trueios\nsystem\n.")
    torch.save(torch.nn.Linear(2, 2), HERE / "module.pth")
    torch.save(torch.ones(2), HERE / "tensor.pth")
    torch.save({"w": torch.ones(2, dtype=torch.complex64)}, HERE / "complex.pth")
    torch.save({"w": torch.ones(2, dtype=torch.uint16)}, HERE / "uint16.pth")
    with zipfile.ZipFile(HERE / "other.zip", "w") as z:
        z.writestr("readme.txt", "no weights")


def swapped(sizes):
    def change(name, data):
        if name.endswith("/byteorder"):
            return b"big"
        key = name.split("/data/")[-1]
        size = sizes.get(key, 1) if "/data/" in name else 1
        return b"".join(data[i:i + size][::-1] for i in range(0, len(data), size))
    return change


def main():
    HERE.mkdir(exist_ok=True)
    t = tensors()
    save_file({k: v.detach().clone(memory_format=torch.contiguous_format) for k, v in t.items()}, HERE / "expect.safetensors",
              metadata={"format": "pt", "tlua": '{"a": [1, "é\\n"]}'})
    torch.save(t, HERE / "zip.pth")
    for protocol in (3, 4, 5):
        torch.save(t, HERE / f"protocol{protocol}.pth", pickle_protocol=protocol)
    torch.save(t, HERE / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(t, HERE / "legacy4.pth", _use_new_zipfile_serialization=False, pickle_protocol=4)
    repack("zip.pth", "deflated.pth", zipfile.ZIP_DEFLATED)
    limit, zipfile.ZIP64_LIMIT = zipfile.ZIP64_LIMIT, 8  # sizes and places as in a file above 4 GB
    repack("zip.pth", "zip64.pth")
    zipfile.ZIP64_LIMIT = limit
    torch.serialization.set_crc32_options(False)
    torch.save(t, HERE / "without_crc.pth")
    torch.serialization.set_crc32_options(True)
    sizes, storages = {}, {}
    for v in t.values():  # storages are numbered in the order in which they are met
        sizes.setdefault(str(storages.setdefault(v.untyped_storage()._cdata, len(storages))), v.element_size())
    repack("zip.pth", "big_endian.pth", change=swapped(sizes))
    checkpoint()
    people()
    odd()
    refused()


main()
