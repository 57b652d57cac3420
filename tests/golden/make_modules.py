"""Makes files of torch.save that hold whole pickled modules instead of state dicts, as many published detectors do, and
the state dicts that they must read as: tests/golden/io/module_*.pt, for tests/unit/modules.c and tests/lua/checkpoints.lua.

    python tests/golden/make_modules.py

The modules' classes are of a package that exists in this process alone. The legacy form names its storages by their
addresses, so its bytes differ from one making to the next; what they mean does not."""
import argparse
import collections
import pathlib
import sys
import types
import zipfile

import torch
from safetensors.torch import save_file
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent / "io"


class Conv(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.act = nn.SiLU()


class Detect(nn.Module):
    """A shared part, what is in no state dict, and attributes of Python that hold tensors and the module itself."""
    def __init__(self):
        super().__init__()
        self.cv2 = nn.ModuleList(nn.Sequential(Conv(2, 3), nn.Conv2d(3, 4, 1)) for _ in range(2))
        self.cv2[1][0].conv.to(memory_format=torch.channels_last)
        self.again = self.cv2[1]
        self.dropped = None
        self.parts = nn.ModuleDict({"left": nn.Linear(2, 1), "none": nn.Identity()})
        self.scales = nn.ParameterList([nn.Parameter(torch.tensor(0.5)), nn.Parameter(torch.tensor([1.0, 2.0]))])
        self.register_buffer("anchors", torch.arange(6.0).reshape(3, 2).t())
        self.register_buffer("grid", torch.ones(2), persistent=False)
        self.register_buffer("nothing", None)
        self.register_parameter("absent", None)
        self.register_module("gone", None)
        self.stride = torch.tensor([8.0, 16.0])
        self.noted = nn.Parameter(torch.arange(3.0))
        self.noted.note = "x"
        self.me = [self]


class DetectionModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(Conv(3, 2), Detect())
        self.model[0].conv.to(memory_format=torch.channels_last)
        self.names = {0: "cat", 1: "déjà vu", 2: "stop sign"}
        self.args = argparse.Namespace(lr=0.1, path=pathlib.Path("x"))


class Namespace:
    """Somebody's own class with slots, whose state is a pair."""
    __slots__ = ("imgsz",)


def package():
    """somewhere.nn.tasks, where pickle looks for the classes."""
    for name in ("somewhere", "somewhere.nn", "somewhere.nn.tasks"):
        sys.modules[name] = types.ModuleType(name)
    for kind in (Conv, Detect, DetectionModel, Namespace):
        kind.__module__ = "somewhere.nn.tasks"
        setattr(sys.modules["somewhere.nn.tasks"], kind.__name__, kind)


def network(seed):
    torch.manual_seed(seed)
    net = DetectionModel()
    with torch.no_grad():
        for t in (*net.parameters(), *net.buffers()):
            if t.dtype == torch.float32:
                t.copy_(torch.randn(t.shape))
    return net.half()


def save(whole, name, protocol=2, legacy=False):
    torch.save(whole, HERE / name, pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)


def expected(net, name):
    """What the state dict has, without what is shared, which safetensors refuses."""
    save_file({key: v.detach().clone(memory_format=torch.contiguous_format) for key, v in net.state_dict().items()}, HERE / name)


def without_storage(source, target):
    """The same file without one of its storages."""
    with zipfile.ZipFile(HERE / source) as z, zipfile.ZipFile(HERE / target, "w") as out:
        for info in z.infolist():
            if not info.filename.endswith("/data/1"):
                out.writestr(info.filename, z.read(info))


def odd():
    """Modules that lie, beside one that is whole: a list of children, one that stands in itself, a child that is none."""
    net = nn.Module()
    net.good = nn.Linear(2, 1)
    net.lies = nn.Linear(2, 1)
    net.lies.__dict__["_modules"] = [nn.Linear(1, 1)]
    net.turns = nn.Module()
    net.turns.back = net
    net.turns.weight = nn.Parameter(torch.ones(1))
    net._modules["thing"] = Namespace()
    net._modules["number"] = 7
    net._parameters["text"] = "x"
    with torch.no_grad():
        net.good.weight.copy_(torch.tensor([[1.0, 2.0]]))
        net.good.bias.copy_(torch.tensor([3.0]))
    save({"model": net}, "module_odd.pt")
    save(net.lies, "module_lies.pt")


def main():
    package()
    # The old form keeps the source text of each class, which nobody needs here.
    torch.serialization.get_source_lines_and_file = lambda kind: ([f"class {kind.__name__}:\n"], 0, "tasks.py")
    net, ema = network(1), network(2)
    args = Namespace()
    args.imgsz = 640
    whole = {"epoch": -1, "best_fitness": None, "model": net, "ema": ema, "updates": 12, "optimizer": None, "train_args": vars(net.args),
             "settings": args, "date": "2024-01-01"}
    save(whole, "module_pair.pt")
    save(whole, "module_pair_legacy.pt", legacy=True)
    for protocol in (2, 3, 4):
        save(net, f"module_{protocol}.pt", protocol)
    save(net, "module_legacy_4.pt", 4, legacy=True)
    expected(net, "module.safetensors")
    expected(ema, "module_ema.safetensors")
    save({**whole, "ema": None}, "module_alone.pt", 4)
    save({**whole, "model": None}, "module_of_ema.pt", 4)
    save(collections.OrderedDict(encoder={"first": nn.DataParallel(nn.Linear(2, 1)), "note": "x"}, loss=nn.CrossEntropyLoss()), "module_in_dict.pt")
    without_storage("module_alone.pt", "module_cut.pt")
    odd()


main()
