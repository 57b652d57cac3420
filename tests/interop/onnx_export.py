"""Networks from a seed as ONNX files, by both exporters of PyTorch, with what PyTorch and onnxruntime say to two inputs of different batch
(and length):

    python tests/interop/onnx_export.py FOLDER [--only NAME,...] [--kinds script11,dynamo23,...]

FOLDER/NAME/KIND.onnx and FOLDER/NAME/KIND.safetensors: `in1.INPUT`, `out1.OUTPUT` (onnxruntime's), `true1.OUTPUT` (PyTorch's in double
precision), `in2...`; and where NAME is one of GRADIENTS: `grad.N`, the gradient of sum(weights1 * output) of each parameter that onnx2torch
or PyTorch knows (`truegrad.N`: in double precision), beside `param.N`, its values, by which it is found again, since exporters rename. onnx_files.lua holds tlua against all."""
import argparse
import contextlib
import copy
import os
import sys
import time
import warnings

import onnx
import onnxruntime
import torch
from safetensors.torch import save_file

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from onnx_networks import NETWORKS  # noqa: E402

KINDS = ["script11", "script13", "script17", "script20", "dynamo18", "dynamo20", "dynamo23"]
GRADIENTS = ["resnet18", "mobilenet_v3_small", "convnext_tiny", "vit_tiny", "shufflenet_v2_x1_0", "bert", "gpt", "lstm", "gru", "encoder"]
torch.set_num_threads(2)
warnings.filterwarnings("ignore")


def shaken(net):
    """Statistics and scales as a trained network might have them: none is 0 or 1."""
    for m in net.modules():
        if getattr(m, "running_mean", None) is not None:
            m.running_mean.normal_(0, 0.2)
            m.running_var.uniform_(0.6, 1.6)
        if isinstance(m, (torch.nn.modules.batchnorm._BatchNorm, torch.nn.LayerNorm, torch.nn.GroupNorm)) and m.weight is not None:
            torch.nn.init.uniform_(m.weight, 0.7, 1.3)
            torch.nn.init.normal_(m.bias, 0, 0.1)
    for name, p in net.named_parameters():
        if name.endswith(("gamma", "layer_scale", "gain")) and p.abs().max() < 1e-2:
            torch.nn.init.uniform_(p, 0.3, 0.8)
        if p.numel() > 1:  # no two are equal, and no gradient is found under another's name
            p.data.add_(torch.randn_like(p) * max(0.1 * p.std().item(), 0.01))
    return net.eval()


@contextlib.contextmanager
def quiet():
    """The exporter prints the whole graph where it fails, and onnxruntime colours what it says."""
    kept = [os.dup(1), os.dup(2)]
    sys.stdout.flush()
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1), os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        for i in (1, 2):
            os.dup2(kept[i - 1], i)
            os.close(kept[i - 1])


def export(net, inputs, axes, kind, path):
    version = int(kind[-2:])
    args, names = tuple(inputs.values()), list(inputs)
    for m in net.modules():  # older versions cannot say it
        if hasattr(m, "fused_attn"):
            m.fused_attn = version >= 14
    if kind.startswith("script"):
        open_axes = dict(axes)
        torch.onnx.export(net, args, path, dynamo=False, opset_version=version, input_names=names, output_names=["output"], dynamic_axes=open_axes)
    else:
        dims = tuple({i: torch.export.Dim.DYNAMIC for i in axes.get(n, {})} for n in names)
        program = torch.onnx.export(net, args, dynamo=True, opset_version=version, input_names=names, output_names=["output"],
                                    dynamic_shapes=dims, verbose=False)
        program.save(path, external_data=False)


def ask(path, inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 2, 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["output"], {k: v.numpy() for k, v in inputs.items()})[0])


def gradients(net, inputs, answer, path):
    """Of onnx2torch's module where it can read the file, else of PyTorch's own; by number."""
    weights = torch.randn(answer.shape, generator=torch.Generator().manual_seed(7))
    try:
        import onnx2torch
        other, who = onnx2torch.convert(onnx.load(path)).eval(), "onnx2torch"
        y = other(*inputs.values())
        assert torch.allclose(y, answer, rtol=1e-3, atol=1e-3 * answer.abs().max().item())
    except Exception as e:  # noqa: BLE001 - any operator that it lacks
        other, who = copy.deepcopy(net), "PyTorch"
        y = other(*inputs.values())
        print("    onnx2torch: %s: %s" % (type(e).__name__, str(e).split("\n")[0][:90]))
    (y * weights).sum().backward()
    wide = copy.deepcopy(other).double()
    wide.zero_grad()
    (wide(*(v.double() if v.is_floating_point() else v for v in inputs.values())) * weights.double()).sum().backward()
    kept, n = {"weights1": weights}, 0
    for p, q in zip(other.parameters(), wide.parameters()):
        if p.requires_grad and p.grad is not None and p.numel() > 8:
            n += 1
            kept["param.%d" % n], kept["grad.%d" % n], kept["truegrad.%d" % n] = p.detach().contiguous(), p.grad.contiguous(), q.grad.float().contiguous()
    print("    gradients of %d parameters by %s" % (n, who))
    return kept


def main():
    ask_for = argparse.ArgumentParser()
    ask_for.add_argument("folder")
    ask_for.add_argument("--only", default=",".join(NETWORKS))
    ask_for.add_argument("--kinds", default=",".join(KINDS))
    given = ask_for.parse_args()
    failed = []
    for name in given.only.split(","):
        torch.manual_seed(0)
        net, (inputs, axes) = NETWORKS[name]()
        net = shaken(net)
        with torch.no_grad():
            true = [copy.deepcopy(net).double()(*(v.double() if v.is_floating_point() else v for v in x.values())).float() for x in inputs]
        os.makedirs(os.path.join(given.folder, name), exist_ok=True)
        for kind in given.kinds.split(","):
            path, start = os.path.join(given.folder, name, kind + ".onnx"), time.perf_counter()
            try:
                with quiet():
                    export(net, inputs[0], axes, kind, path)
                    answers = [ask(path, inputs[0])]
                    try:
                        answers.append(ask(path, inputs[1]))
                    except Exception:  # noqa: BLE001 - an exporter may have fixed what was to stay open
                        export(net, inputs[0], {}, kind, path)
            except Exception as e:  # noqa: BLE001 - exporters fail in many ways; the file is then not there
                failed.append("%s %s: %s: %s" % (name, kind, type(e).__name__, " ".join(str(e).split())[:160]))
                print("  no " + failed[-1], flush=True)
                if os.path.exists(path):
                    os.remove(path)
                continue
            if len(answers) < 2:
                print("  %s %s: the exporter has fixed the sizes" % (name, kind))
            kept = {}
            for i, (x, y, t) in enumerate(zip(inputs, answers, true), 1):
                kept.update({"in%d.%s" % (i, k): v.contiguous() for k, v in x.items()})
                kept["out%d.output" % i], kept["true%d.output" % i] = y.contiguous(), t.contiguous()
            apart = max(((y - t).abs().max() / t.pow(2).mean().sqrt()).item() for y, t in zip(answers, true))
            print("  %s %s: onnxruntime from double precision %.1e; %.1f s" % (name, kind, apart, time.perf_counter() - start), flush=True)
            if name in GRADIENTS and kind in ("script17", "dynamo18"):
                kept.update(gradients(net, inputs[0], answers[0], path))
            save_file(kept, path[:-5] + ".safetensors")
    for line in failed:
        print("not exported: " + line)


main()
