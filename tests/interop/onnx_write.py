"""What tlua writes as .onnx, beside onnx's checker and onnxruntime: python tests/interop/onnx_write.py FOLDER [PATTERN]. Files
whose names match the pattern (of Lua) are written there first, by tests/interop/onnx_write.lua. Answers agree to 1e-5 of their length, and those of networks depend on what goes in.
With onnxsim installed, what it makes of the networks gives the same too."""
import glob
import os
import re
import subprocess
import sys

import numpy
import onnx
import onnxruntime
from safetensors.numpy import load_file

try:
    import onnxsim
except ImportError:
    onnxsim = None

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIMIT, LEAST = 1e-5, 1e-2


def length(v):
    return numpy.sqrt((v.astype(numpy.float64) ** 2).sum())


def apart(a, b):
    """Relative to b; what is no number in one alone is infinitely far."""
    if a.shape != b.shape or (numpy.isfinite(a) != numpy.isfinite(b)).any():
        return numpy.inf
    a, b = (numpy.where(numpy.isfinite(v), v, 0) for v in (a, b))
    return length(a - b) / max(length(b), 1e-30)


def answers(model, data):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 2, 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    given = {i.name: numpy.ascontiguousarray(data["in1." + i.name]) for i in session.get_inputs()}
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, given)))


def check(path):
    """What is wrong with a file, or None; and how far it is at most."""
    data = load_file(path[:-5] + ".safetensors")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    got, worst = answers(path, data), 0
    for name, y in got.items():
        wanted = data["out1." + name]
        worst = max(worst, apart(y, wanted))
        if "zero." + name in data and min(apart(data["zero." + name], wanted), apart(wanted[:1], wanted[1:])) < LEAST:
            return "the answer hangs on nothing that goes in: nothing is tested", worst
    if worst > LIMIT:
        return "%.2g apart" % worst, worst
    is_net = os.path.basename(path).startswith(("net_", "folded_"))
    turned = sum(n.op_type == "Transpose" for n in model.graph.node)
    if is_net and turned and not re.search("vit|deit|convnext|conformer|wav2vec|crnn|_cnn|speaker|speech", path):
        return "%d Transpose nodes in a convolutional network" % turned, worst
    if os.path.basename(path).startswith("folded_") and "densenet" not in path and any(n.op_type == "BatchNormalization" for n in model.graph.node):
        return "a batch norm is left", worst
    if is_net and onnxsim and "net_" in path:
        simple, same = onnxsim.simplify(model)
        again = answers(simple.SerializeToString(), data)
        if not same or any(apart(again[k], got[k]) > 10 * LIMIT for k in got):
            return "onnxsim makes something else of it", worst
    return None, worst


def main():
    folder, pattern = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    # Winograd's convolution rounds some times more than the plain one (src/op/conv_winograd.c), and so do not others.
    subprocess.run(["./tlua", "tests/interop/onnx_write.lua", os.path.abspath(folder), pattern], cwd=ROOT, check=True,
                   env=dict(os.environ, TLUA_CONV="gemm"))
    passed = failed = 0
    for path in sorted(glob.glob(os.path.join(folder, "*.onnx"))):
        name = os.path.basename(path)[:-5]
        try:
            wrong, worst = check(path)
        except Exception as e:  # the checker's and the runtime's own
            wrong, worst = str(e).split("\n")[0][:200], numpy.inf
        passed, failed = passed + (not wrong), failed + bool(wrong)
        if wrong or not name.startswith(("op_", "boxes_")):
            print("%-30s %s" % (name, "FAILED: " + wrong if wrong else "%.2g" % worst), flush=True)
    print("written for onnxruntime: %d agree, %d do not%s" % (passed, failed, "" if onnxsim else " (without onnxsim)"))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
