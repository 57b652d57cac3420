"""Files in both directions, with the real PyTorch: weights made by torchvision from a seed are read by tlua in each of
the forms that torch.save and safetensors write; logits and gradients agree; what tlua writes is taken back with
strict=True. The events of a run are read by the real TensorBoard. `make test-interop`."""
import csv
import math
import os
import subprocess
import sys
import tempfile

import torch
import torchvision
from safetensors.torch import load_file, save_file

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
torch.set_num_threads(2)

SCRIPT = """
local tlua = require "tlua"
local core = require "tlua.core"
local name, weights, input, out = arg[1], arg[2], arg[3], arg[4]
local net = tlua.models[name] { weights = weights, classes = 10 }
local x, y = core.load(input).x, core.load(input).y
net:eval()
local logits = net(x)
local loss = tlua.nn.functional.cross_entropy(logits, y)
loss:backward()
local result = { logits = logits:detach(), loss = loss:detach():reshape(1) }
for key, g in pairs(net:gradients()) do result["grad." .. key] = g end
core.save(out .. ".results", result)
core.save(out .. ".weights", net:state_dict())
"""


def build(name):
    torch.manual_seed(0)
    if name.startswith("efficientnet"):
        from efficientnet_lite_pytorch import EfficientNet
        return EfficientNet.from_name(name.replace("_", "-"), num_classes=10).eval()
    return getattr(torchvision.models, name)(num_classes=10).eval()


def check(what, got, want, limit):
    wanted = want if isinstance(want, list) else [want]
    error = min(((got - w).abs().max() / w.pow(2).mean().sqrt().clamp_min(1e-12)).item() for w in wanted)
    ok = error <= limit
    if not ok:
        print("FAILED %s: %.3g > %.3g" % (what, error, limit))
    return ok, error


def gradients(name, x, y):
    """PyTorch's own answers: float32, channels last, float64. Where the input of a ReLU is zero but for rounding they
    differ by up to a tenth of a typical element, so ours is held against the nearest of them."""
    out = []
    for dtype, layout in ((torch.float32, torch.contiguous_format), (torch.float32, torch.channels_last), (torch.float64, torch.contiguous_format)):
        net = build(name).to(dtype).to(memory_format=layout)
        torch.nn.functional.cross_entropy(net(x.to(dtype).contiguous(memory_format=layout)), y).backward()
        out.append({key: p.grad for key, p in net.named_parameters()})
    return out


MAKE_DATA = 'dofile("tests/lua/run_pictures.lua").idx(arg[1], 40)'


def tensorboard(folder):
    """A run of two epochs, its last one done again from the checkpoint before: TensorBoard's reader finds each step once, with the
    figures of metrics.csv. Returns passed, failed."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    run, data = os.path.join(folder, "run"), os.path.join(folder, "idx")
    subprocess.run(["./tlua", "-e", MAKE_DATA, data], cwd=ROOT, check=True)
    line = ["./tlua", "recipes/fashion_fe.lua", "--weights", "none", "--data.size", "32", "--data.batch", "8", "--schedule.epochs", "2",
            "--data.root", data, "--log", "tensorboard"]
    subprocess.run(line + ["--out", run], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(line + ["--resume", os.path.join(run, "previous.safetensors")], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    events = EventAccumulator(run, size_guidance={"scalars": 0}).Reload()
    with open(os.path.join(run, "metrics.csv")) as f:
        rows = list(csv.DictReader(f))

    def same(tag, column):
        read = [(e.step, e.value) for e in events.Scalars(tag)]
        return [s for s, _ in read] == [1, 2] and all(math.isclose(v, float(r[column]), rel_tol=1e-5, abs_tol=1e-4) for (_, v), r in zip(read, rows))

    results = [same("epoch/" + tag, column) for tag, column in (("loss", "loss"), ("accuracy", "train_accuracy"), ("test_loss", "test_loss"),
                                                               ("test_accuracy", "test_accuracy"))]
    results.append([e.step for e in events.Scalars("step/loss")] == list(range(1, 11)))
    results.append(events.file_version == 2.0)
    print("%-20s %s, tags %s" % ("TensorBoard", "reads the run" if all(results) else "FAILED", " ".join(sorted(events.Tags()["scalars"]))))
    return sum(results), len(results) - sum(results)


def main():
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        passed, failed = tensorboard(folder)
        script = os.path.join(folder, "run.lua")
        with open(script, "w") as f:
            f.write(SCRIPT)
        for name in ("resnet18", "resnet50", "efficientnet_lite0"):
            net = build(name)
            x = torch.randn(4, 3, 96, 96, generator=torch.Generator().manual_seed(3))
            y = torch.arange(4) % 10
            answers = gradients(name, x, y)
            with torch.no_grad():
                logits = net(x)
            inputs = os.path.join(folder, "input.safetensors")
            save_file({"x": x.permute(0, 2, 3, 1).contiguous(), "y": y.int()}, inputs)
            for form in ("zip", "legacy", "safetensors"):
                path, out = os.path.join(folder, name + "." + form), os.path.join(folder, "out")
                if form == "safetensors":
                    save_file(net.state_dict(), path)
                else:
                    torch.save(net.state_dict(), path, _use_new_zipfile_serialization=form == "zip")
                subprocess.run(["./tlua", script, name, path, inputs, out], cwd=ROOT, check=True)
                results = load_file(out + ".results")
                worst = 0
                for ok, error in [check(name + " logits", results["logits"], logits, 1e-4)]:
                    passed, failed, first = passed + ok, failed + (not ok), error
                for key, p in net.named_parameters():
                    ok, error = check(name + " grad " + key, results["grad." + key], [a[key] for a in answers], 1e-3)
                    passed, failed, worst = passed + ok, failed + (not ok), max(worst, error)
                again = build(name)
                again.load_state_dict(load_file(out + ".weights"), strict=True)
                same = all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), again.state_dict().values()))
                passed, failed = passed + same, failed + (not same)
                print("%-20s %-12s logits %.1e  gradients %.1e  written weights %s" % (name, form, first, worst, "taken back" if same else "DIFFER"))
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
