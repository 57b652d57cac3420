"""An ONNX graph run by PyTorch, node by node, so that autograd tells gradients of the weights of files that onnx2torch does not read.
As many operators as those files have; whatever it answers is held against onnxruntime before its gradients are believed."""
import numpy
import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional as F


def same_pads(auto, size, kernel, stride, dilation):
    pads = []
    for s, k, t, d in zip(size, kernel, stride, dilation):
        whole = max((-(-s // t) - 1) * t + (k - 1) * d + 1 - s, 0)
        pads.append((whole // 2, whole - whole // 2) if auto == "SAME_UPPER" else (whole - whole // 2, whole // 2))
    return [p[0] for p in pads] + [p[1] for p in pads]


def windowed(x, a, kernel, value):
    """x padded, strides, dilations: what convolutions and pools have in common."""
    n = len(kernel)
    stride, dilation = a.get("strides", [1] * n), a.get("dilations", [1] * n)
    auto, pads = a.get("auto_pad", "NOTSET"), a.get("pads", [0] * 2 * n)
    if auto.startswith("SAME"):
        pads = same_pads(auto, x.shape[2:], kernel, stride, dilation)
    elif auto == "VALID":
        pads = [0] * 2 * n
    flat = [p for i in reversed(range(n)) for p in (pads[i], pads[n + i])]
    return (F.pad(x, flat, value=value) if any(flat) else x), stride, dilation


def conv(x, w, b, a):
    x, stride, dilation = windowed(x, a, w.shape[2:], 0.0)
    return (F.conv1d, F.conv2d, F.conv3d)[w.dim() - 3](x, w, b, stride, 0, dilation, a.get("group", 1))


def max_pool(x, a):
    x, stride, dilation = windowed(x, a, a["kernel_shape"], -float("inf"))
    return (F.max_pool1d, F.max_pool2d, F.max_pool3d)[x.dim() - 3](x, a["kernel_shape"], stride, 0, dilation, bool(a.get("ceil_mode", 0)))


def average_pool(x, a):
    assert a.get("count_include_pad", 0) or not any(a.get("pads", [0]))
    x, stride, _ = windowed(x, a, a["kernel_shape"], 0.0)
    return (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[x.dim() - 3](x, a["kernel_shape"], stride, 0, bool(a.get("ceil_mode", 0)))


def conv_transpose(x, w, b, a):
    n = w.dim() - 2
    stride, pads = a.get("strides", [1] * n), a.get("pads", [0] * 2 * n)
    if a.get("auto_pad", "NOTSET").startswith("SAME"):
        kernel = w.shape[2:]
        whole = [k - s for k, s in zip(kernel, stride)]
        assert all(t >= 0 and t % 2 == 0 for t in whole)
        pads = [t // 2 for t in whole] * 2
    assert pads[:n] == pads[n:]
    return (F.conv_transpose1d, F.conv_transpose2d)[n - 1](x, w, b, stride, pads[:n], a.get("output_padding", 0), a.get("group", 1), a.get("dilations", 1))


def reduce(f):
    def run(a, x, axes=None):
        axes = [int(i) for i in (axes.tolist() if axes is not None else a.get("axes", range(x.dim())))]
        return f(x, axes, bool(a.get("keepdims", 1)))
    return run


def cut(a, x, start, end, axes=None, steps=None):
    for i in range(len(start)):
        axis = int(axes[i]) if axes is not None else i
        size, step = x.shape[axis], int(steps[i]) if steps is not None else 1
        places = torch.arange(size)[slice(int(start[i]), int(max(min(int(end[i]), 2**31), -2**31)), step)] if step > 0 else \
            torch.from_numpy(numpy.arange(size)[int(start[i]):(None if int(end[i]) < -size else int(end[i])):step].copy())
        x = x.index_select(axis, places)
    return x


def reshape(a, x, shape):
    sizes = [int(n) for n in shape]
    if not a.get("allowzero", 0):
        sizes = [x.shape[i] if n == 0 else n for i, n in enumerate(sizes)]
    return x.reshape(sizes)


def resize(a, x, roi=None, scales=None, sizes=None):
    assert a.get("mode", "nearest") == "nearest" and a.get("coordinate_transformation_mode") == "asymmetric"
    size = [int(n) for n in sizes][2:] if sizes is not None and sizes.numel() else [int(n * s) for n, s in zip(x.shape[2:], scales.tolist()[2:])]
    return F.interpolate(x, size=size, mode="nearest")


def clip(a, x, low=None, high=None):
    return x.clamp(low if low is not None else a.get("min"), high if high is not None else a.get("max"))


def split(a, x, sizes=None):
    axis, sizes = a.get("axis", 0), sizes.tolist() if sizes is not None else a.get("split")
    return x.split(sizes or x.shape[axis] // a["outputs"], axis)


def norm(a, x, w, b=None):
    axis = a.get("axis", -1) % x.dim()
    return F.layer_norm(x, x.shape[axis:], w, b, a.get("epsilon", 1e-5))


def batch_norm(x, w, b, m, v, epsilon):
    w, b, m, v = (t.reshape([-1] + [1] * (x.dim() - 2)) for t in (w, b, m, v))
    return (x - m) / (v + epsilon).sqrt() * w + b


def gather(a, x, i):
    axis = a.get("axis", 0) % x.dim()
    i = torch.where(i < 0, i + x.shape[axis], i)
    return x.index_select(axis, i.reshape(-1)).reshape([*x.shape[:axis], *i.shape, *x.shape[axis + 1:]])


def softmax(f):
    return lambda a, x: f(x, a.get("axis", -1))


def unsqueeze(a, x, axes=None):
    rank = x.dim() + len(axes if axes is not None else a["axes"])
    for i in sorted(int(i) % rank for i in (axes if axes is not None else a["axes"])):
        x = x.unsqueeze(i)
    return x


def folded(f):
    def run(a, *xs):
        out = xs[0]
        for x in xs[1:]:
            out = f(out, x)
        return out
    return run


TYPES = {onnx.TensorProto.FLOAT: torch.float32, onnx.TensorProto.INT64: torch.int64, onnx.TensorProto.INT32: torch.int32, onnx.TensorProto.BOOL: torch.bool}
OPS = {
    "Conv": lambda a, x, w, b=None: conv(x, w, b, a), "MaxPool": lambda a, x: max_pool(x, a), "AveragePool": lambda a, x: average_pool(x, a),
    "ConvTranspose": lambda a, x, w, b=None: conv_transpose(x, w, b, a), "GlobalAveragePool": lambda a, x: x.mean(list(range(2, x.dim())), True),
    "Relu": lambda a, x: x.relu(), "Sigmoid": lambda a, x: x.sigmoid(), "Tanh": lambda a, x: x.tanh(), "Erf": lambda a, x: x.erf(),
    "LeakyRelu": lambda a, x: F.leaky_relu(x, a.get("alpha", 0.01)), "HardSwish": lambda a, x: x * (x / 6 + 0.5).clamp(0, 1),
    "HardSigmoid": lambda a, x: (x * a.get("alpha", 0.2) + a.get("beta", 0.5)).clamp(0, 1), "Exp": lambda a, x: x.exp(), "Log": lambda a, x: x.log(),
    "Sqrt": lambda a, x: x.sqrt(), "Neg": lambda a, x: -x, "Abs": lambda a, x: x.abs(), "Not": lambda a, x: ~x, "Cos": lambda a, x: x.cos(),
    "Add": lambda a, x, y: x + y, "Sub": lambda a, x, y: x - y, "Mul": lambda a, x, y: x * y, "Pow": lambda a, x, y: x ** y,
    "Div": lambda a, x, y: x / y if x.is_floating_point() else torch.div(x, y, rounding_mode="trunc"),
    "Max": folded(torch.maximum), "Min": folded(torch.minimum), "Sum": folded(torch.add), "Equal": lambda a, x, y: x == y, "Less": lambda a, x, y: x < y,
    "Greater": lambda a, x, y: x > y, "Where": lambda a, c, x, y: torch.where(c, x, y), "And": lambda a, x, y: x & y,
    "MatMul": lambda a, x, y: x @ y, "Flatten": lambda a, x: x.flatten(a.get("axis", 1)), "Clip": clip, "Identity": lambda a, x: x, "Dropout": lambda a, x, *_: x,
    "Gemm": lambda a, x, w, b=0.0: a.get("alpha", 1.0) * (x.t() if a.get("transA") else x) @ (w.t() if a.get("transB") else w) + a.get("beta", 1.0) * b,
    "ReduceMean": reduce(lambda x, axes, keep: x.mean(axes, keep)), "ReduceSum": reduce(lambda x, axes, keep: x.sum(axes, keep)),
    "ReduceMax": reduce(lambda x, axes, keep: x.amax(axes, keep)),
    "Concat": lambda a, *xs: torch.cat(xs, a["axis"]), "Reshape": reshape, "Slice": cut, "Resize": resize, "Split": split, "Gather": gather,
    "Transpose": lambda a, x: x.permute(a.get("perm", list(reversed(range(x.dim()))))), "LayerNormalization": norm, "Unsqueeze": unsqueeze,
    "Squeeze": lambda a, x, axes=None: x.squeeze([int(i) for i in (axes if axes is not None else a["axes"])]),
    "Softmax": softmax(lambda x, i: x.softmax(i)), "LogSoftmax": softmax(lambda x, i: x.log_softmax(i)), "Cast": lambda a, x: x.to(TYPES[a["to"]]),
    "Shape": lambda a, x: torch.tensor(x.shape[a.get("start", 0):a.get("end")], dtype=torch.int64), "Expand": lambda a, x, s: x * torch.ones([int(n) for n in s], dtype=x.dtype),
    "ConstantOfShape": lambda a, s: torch.ones([int(n) for n in s], dtype=a["value"].dtype) * a["value"] if "value" in a else torch.zeros([int(n) for n in s]),
    "Constant": lambda a: a["value"] if "value" in a else torch.tensor(a.get("value_ints", a.get("value_int", a.get("value_float")))),
    "Range": lambda a, start, end, step: torch.arange(start.item(), end.item(), step.item()),
    "BatchNormalization": lambda a, x, w, b, m, v: batch_norm(x, w, b, m, v, a.get("epsilon", 1e-5)),
    "Pad": lambda a, x, pads, value=None, axes=None: F.pad(x, [int(pads[i + k * x.dim()]) for i in reversed(range(x.dim())) for k in (0, 1)], value=float(value or 0)),
    "Trilu": lambda a, x, k=0: x.triu(int(k)) if a.get("upper", 1) else x.tril(int(k)),
}


def tensor(proto):
    return torch.from_numpy(numpy_helper.to_array(proto).copy())


def attributes(node):
    out = {"outputs": len(node.output)}
    for a in node.attribute:
        v = onnx.helper.get_attribute_value(a)
        out[a.name] = v.decode() if isinstance(v, bytes) else tensor(v) if isinstance(v, onnx.TensorProto) else list(v) if isinstance(v, (list, tuple)) or hasattr(v, "append") else v
    return out


def needed(model, given, wanted):
    """The nodes between the values that are given, which may stand in the middle of the graph, and those that are wanted."""
    missing, out = set(wanted), []
    for node in reversed(model.graph.node):
        if missing.intersection(node.output):
            out.append(node)
            missing.update(i for i in node.input if i not in given)
    return reversed(out)


def run(model, inputs, wanted, double=False, weights=None):
    """The values named in `wanted`, and the file's floating-point tensors of more than 8 numbers, which want gradients, by name; `weights`, as it
    was returned once, instead of the file's."""
    def wide(x):
        return x.double() if double and isinstance(x, torch.Tensor) and x.is_floating_point() else x
    values = {t.name: wide(tensor(t)) for t in model.graph.initializer if not weights or t.name not in weights}
    weights = weights or {k: v.requires_grad_() for k, v in values.items() if v.is_floating_point() and v.numel() > 8}
    values.update(weights)
    values.update({k: wide(v) for k, v in inputs.items()})
    values[""] = None
    for node in needed(model, inputs, wanted):
        y = OPS[node.op_type](attributes(node), *(values[i] for i in node.input))
        values.update(zip(node.output, map(wide, y if isinstance(y, (tuple, list)) else [y])))
    return [values[w] for w in wanted], weights
