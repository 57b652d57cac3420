"""Small ONNX graphs of operators drawn at random, with onnxruntime's answers: what a reader makes of axes, layouts, constants and open
sizes, in combinations that no network has.

    python tests/interop/onnx_random.py FOLDER COUNT [SEED]

FOLDER/N.onnx and FOLDER/N.safetensors as in onnx_export.py, for onnx_files.lua. Two of three graphs leave the number of pictures open; the
place of that axis is followed through the graph, so that only what is defined for any number of them is drawn."""
import os
import random
import sys

import numpy
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper
from safetensors.torch import save_file


class Value:
    """name, shape for N of 3 (or the fixed first size), and the axis that is N or None."""

    def __init__(self, name, shape, batch):
        self.name, self.shape, self.batch = name, list(shape), batch

    @property
    def rank(self):
        return len(self.shape)

    def count(self):
        return int(numpy.prod(self.shape))


class Graph:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.np = numpy.random.default_rng(seed)
        self.nodes, self.constants, self.values, self.used, self.n = [], [], [], set(), 0

    def constant(self, array, name="w"):
        self.n += 1
        name = "%s%d" % (name, self.n)
        self.constants.append(onnx.numpy_helper.from_array(numpy.ascontiguousarray(array), name))
        return name

    def floats(self, *shape):
        return self.constant(self.np.normal(0, 0.7, shape).astype(numpy.float32))

    def ints(self, *numbers):
        return self.constant(numpy.array(numbers, numpy.int64), "i")

    def node(self, op, inputs, shapes, batches, **attrs):
        """Makes one; shapes and N's axes of its results. Returns the values."""
        out = []
        for shape, batch in zip(shapes, batches):
            self.n += 1
            out.append(Value("v%d" % self.n, shape, batch))
        names = [i.name if isinstance(i, Value) else i for i in inputs]
        self.used.update(names)
        self.nodes.append(helper.make_node(op, names, [v.name for v in out], name="n%d" % self.n, **attrs))
        self.values.extend(v for v in out if 0 < v.count() <= 6000)
        return out


def open_axes(v):
    return [i for i in range(v.rank) if i != v.batch]


# ---- each operator: f(graph, value) -> True where it could be drawn ----

def unary(g, x):
    op, attrs = g.r.choice([("Relu", {}), ("Sigmoid", {}), ("Tanh", {}), ("Abs", {}), ("HardSwish", {}), ("LeakyRelu", {"alpha": 0.1}), ("Elu", {}), ("Neg", {}),
                            ("Softplus", {}), ("Erf", {}), ("Identity", {}), ("HardSigmoid", {}), ("Floor", {}), ("Dropout", {})])
    g.node(op, [x], [x.shape], [x.batch], **attrs)
    return True


def clip(g, x):
    g.node("Clip", [x, g.constant(numpy.float32(-0.5)), g.constant(numpy.float32(g.r.uniform(0, 2)))], [x.shape], [x.batch])
    return True


def with_constant(g, x):
    """A constant that is broadcast: ones at random axes, fewer dimensions, or one more."""
    shape = [1 if i == x.batch or g.r.random() < 0.4 else n for i, n in enumerate(x.shape)]
    batch, out = x.batch, list(x.shape)
    if g.r.random() < 0.4 and shape:
        drop = g.r.randrange(len(shape) + 1)
        if x.batch is None or drop > x.batch or True:
            shape = shape[drop:]
    elif x.rank < 5 and g.r.random() < 0.15:
        shape, out, batch = [2] + shape, [2] + out, None if batch is None else batch + 1
    w = g.floats(*shape)
    op = g.r.choice(["Add", "Mul", "Sub", "Max", "Min"])
    g.node(op, [x, w] if g.r.random() < 0.7 else [w, x], [out], [batch])
    return True


def pair(g, x):
    def fits(y):
        k = max(x.rank, y.rank)
        a, b = [1] * (k - x.rank) + x.shape, [1] * (k - y.rank) + y.shape
        pa, pb = (None if v.batch is None else v.batch + k - v.rank for v in (x, y))
        if pa is not None and pb is not None and pa != pb:
            return False
        if any(i != j and 1 not in (i, j) for i, j in zip(a, b)):
            return False
        for p, o in ((pa, b), (pb, a)):  # an open size beside a fixed one that happens to be equal
            if p is not None and o[p] != 1 and pa != pb:
                return False
        return True
    others = [y for y in g.values if y is not x and fits(y)]
    if not others:
        return False
    y = g.r.choice(others)
    k = max(x.rank, y.rank)
    a, b = [1] * (k - x.rank) + x.shape, [1] * (k - y.rank) + y.shape
    pa, pb = (None if v.batch is None else v.batch + k - v.rank for v in (x, y))
    shape = [max(i, j) for i, j in zip(a, b)]
    if numpy.prod(shape) > 6000:
        return False
    g.node(g.r.choice(["Add", "Mul", "Sub", "Max"]), [x, y], [shape], [pa if pa is not None else pb])
    return True


def transpose(g, x):
    if x.rank < 2:
        return False
    perm = list(range(x.rank))
    g.r.shuffle(perm)
    if x.rank == 4 and g.r.random() < 0.4:
        perm = g.r.choice([[0, 2, 3, 1], [0, 3, 1, 2]])
    g.node("Transpose", [x], [[x.shape[p] for p in perm]], [None if x.batch is None else perm.index(x.batch)], perm=perm)
    return True


def reshape(g, x):
    """Neighbours joined, or one split; N stays an axis of its own."""
    shape, batch = list(x.shape), x.batch
    for _ in range(g.r.randrange(1, 3)):
        if g.r.random() < 0.5 and len(shape) > 1:
            i = g.r.randrange(len(shape) - 1)
            if batch in (i, i + 1):
                continue
            shape[i:i + 2] = [shape[i] * shape[i + 1]]
            batch = batch - 1 if batch is not None and batch > i else batch
        elif len(shape) < 5:
            i = g.r.randrange(len(shape))
            parts = [p for p in range(2, shape[i]) if shape[i] % p == 0]
            if i == batch or not parts:
                continue
            p = g.r.choice(parts)
            shape[i:i + 1] = [p, shape[i] // p]
            batch = batch + 1 if batch is not None and batch > i else batch
    if shape == x.shape:
        return False
    wanted = list(shape)
    if batch is not None:
        if batch == x.batch and g.r.random() < 0.5:
            wanted[batch] = 0
        elif g.r.random() < 0.4:  # as PyTorch writes it: the size taken from the value
            s = g.node("Shape", [x], [[x.rank]], [None])[0]
            n = g.node("Gather", [s, g.ints(x.batch)], [[1]], [None], axis=0)[0]
            g.values = [v for v in g.values if v not in (s, n)]
            before, after = wanted[:batch], wanted[batch + 1:]
            c = g.node("Concat", [i for i in (g.ints(*before) if before else None, n, g.ints(*after) if after else None) if i is not None], [[len(shape)]], [None], axis=0)[0]
            g.values.remove(c)
            g.node("Reshape", [x, c], [shape], [batch])
            return True
        else:
            wanted[batch] = -1
    elif g.r.random() < 0.5:
        wanted[g.r.randrange(len(wanted))] = -1
    g.node("Reshape", [x, g.ints(*wanted)], [shape], [batch])
    return True


def flatten(g, x):
    axis = 1 if x.batch == 0 else g.r.randrange(x.rank + 1) if x.batch is None else x.rank + 1
    if axis > x.rank:
        return False
    g.node("Flatten", [x], [[int(numpy.prod(x.shape[:axis])), int(numpy.prod(x.shape[axis:]))]], [x.batch], axis=axis)
    return True


def unsqueeze(g, x):
    if x.rank > 4:
        return False
    axis = g.r.randrange(x.rank + 1)
    shape = x.shape[:axis] + [1] + x.shape[axis:]
    g.node("Unsqueeze", [x, g.ints(axis if g.r.random() < 0.5 else axis - x.rank - 1)], [shape], [None if x.batch is None else x.batch + (axis <= x.batch)])
    return True


def squeeze(g, x):
    ones = [i for i in open_axes(x) if x.shape[i] == 1]
    if not ones or x.rank < 2:
        return False
    axis = g.r.choice(ones)
    g.node("Squeeze", [x, g.ints(axis)], [x.shape[:axis] + x.shape[axis + 1:]], [None if x.batch is None else x.batch - (axis < x.batch)])
    return True


def concat(g, x):
    axes = open_axes(x)
    if not axes:
        return False
    axis = g.r.choice(axes)
    others = [y for y in g.values if y.rank == x.rank and y.batch == x.batch and all(i == axis or a == b for i, (a, b) in enumerate(zip(x.shape, y.shape)))]
    parts = [x] + [g.r.choice(others) for _ in range(g.r.randrange(1, 3))]
    shape = list(x.shape)
    shape[axis] = sum(p.shape[axis] for p in parts)
    if x.batch is None and g.r.random() < 0.3:
        parts.append(g.floats(*x.shape))
        shape[axis] += x.shape[axis]
    g.node("Concat", parts, [shape], [x.batch], axis=axis if g.r.random() < 0.5 else axis - x.rank)
    return True


def slice_(g, x):
    axes = [i for i in open_axes(x) if x.shape[i] > 1]
    if not axes:
        return False
    axes = g.r.sample(axes, min(len(axes), g.r.randrange(1, 3)))
    starts, ends, steps, shape = [], [], [], list(x.shape)
    for a in axes:
        n = shape[a]
        if g.r.random() < 0.2:
            start, end, step = n - 1, -(2 ** 31), -1
        else:
            start = g.r.randrange(n)
            end, step = g.r.choice([g.r.randrange(start + 1, n + 1), 2 ** 31 - 1]), g.r.choice([1, 1, 2])
            if start and g.r.random() < 0.3:
                start -= n
        shape[a] = len(range(n)[slice(start, None if end in (-(2 ** 31), 2 ** 31 - 1) else end, step)])
        starts.append(start), ends.append(end), steps.append(step)
    g.node("Slice", [x, g.ints(*starts), g.ints(*ends), g.ints(*axes), g.ints(*steps)], [shape], [x.batch])
    return True


def split(g, x):
    axes = [i for i in open_axes(x) if x.shape[i] > 1]
    if not axes:
        return False
    axis = g.r.choice(axes)
    first = g.r.randrange(1, x.shape[axis])
    sizes = [first, x.shape[axis] - first]
    g.node("Split", [x, g.ints(*sizes)], [x.shape[:axis] + [n] + x.shape[axis + 1:] for n in sizes], [x.batch] * 2, axis=axis)
    return True


def pad(g, x):
    axes = open_axes(x)
    if not axes:
        return False
    before, after, shape = [0] * x.rank, [0] * x.rank, list(x.shape)
    mode = g.r.choice(["constant", "constant", "edge", "reflect"])
    for a in g.r.sample(axes, min(len(axes), 2)):
        most = min(2, x.shape[a] - 1) if mode == "reflect" else 2
        before[a], after[a] = g.r.randrange(most + 1), g.r.randrange(most + 1)
        shape[a] += before[a] + after[a]
    g.node("Pad", [x, g.ints(*before, *after)] + ([g.constant(numpy.float32(0.25))] if mode == "constant" and g.r.random() < 0.5 else []), [shape], [x.batch], mode=mode)
    return True


def reduce(g, x):
    axes = open_axes(x)
    if not axes or x.rank < 2:
        return False
    axes = sorted(g.r.sample(axes, g.r.randrange(1, min(len(axes), 3) + 1)))
    keep = g.r.randrange(2)
    shape = [1 if i in axes else n for i, n in enumerate(x.shape)] if keep else [n for i, n in enumerate(x.shape) if i not in axes]
    batch = None if x.batch is None else x.batch if keep else x.batch - sum(a < x.batch for a in axes)
    if not shape:
        return False
    said = [a if g.r.random() < 0.5 else a - x.rank for a in axes]
    op = g.r.choice(["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceSumSquare"])
    if op == "ReduceSum" or g.version >= 18:
        g.node(op, [x, g.ints(*said)], [shape], [batch], keepdims=keep)
    else:
        g.node(op, [x], [shape], [batch], axes=said, keepdims=keep)
    return True


def softmax(g, x):
    axes = open_axes(x)
    if not axes:
        return False
    g.node(g.r.choice(["Softmax", "LogSoftmax"]), [x], [x.shape], [x.batch], axis=g.r.choice(axes))
    return True


def layer_norm(g, x):
    first = g.r.randrange(x.rank) if x.batch is None else g.r.randrange(x.batch + 1, x.rank + 1)
    if first >= x.rank or numpy.prod(x.shape[first:]) < 4:
        return False
    g.node("LayerNormalization", [x, g.floats(*x.shape[first:]), g.floats(*x.shape[first:])], [x.shape], [x.batch], axis=first)
    return True


def picture(x, ranks=(3, 4, 5)):
    return x.rank in ranks and x.batch in (None, 0) and min(x.shape[2:]) > 2


def conv(g, x):
    if not picture(x):
        return False
    c, n = x.shape[1], x.rank - 2
    groups = g.r.choice([1, 1, c] + [d for d in (2, 3) if c % d == 0])
    o = groups * g.r.randrange(1, 4)
    kernel, stride, dilation = ([g.r.choice(k) for _ in range(n)] for k in ((1, 2, 3), (1, 1, 2), (1, 1, 2)))
    pads = [g.r.randrange(2) for _ in range(2 * n)]
    out = [(s + pads[i] + pads[n + i] - (kernel[i] - 1) * dilation[i] - 1) // stride[i] + 1 for i, s in enumerate(x.shape[2:])]
    if min(out) < 1:
        return False
    inputs = [x, g.floats(o, c // groups, *kernel)] + ([g.floats(o)] if g.r.random() < 0.7 else [])
    g.node("Conv", inputs, [[x.shape[0], o] + out], [x.batch], kernel_shape=kernel, strides=stride, dilations=dilation, pads=pads, group=groups)
    return True


def conv_transpose(g, x):
    if not picture(x, (3, 4)):
        return False
    c, n = x.shape[1], x.rank - 2
    groups = g.r.choice([1, 1] + [d for d in (2, 3) if c % d == 0])
    o = g.r.randrange(1, 4)
    kernel, stride = ([g.r.choice(k) for _ in range(n)] for k in ((2, 3), (1, 2)))
    pads = [g.r.randrange(2) for _ in range(n)] * 2
    out = [(s - 1) * stride[i] + kernel[i] - 2 * pads[i] for i, s in enumerate(x.shape[2:])]
    if numpy.prod(out) * o * groups > 3000 or min(out) < 1:
        return False
    g.node("ConvTranspose", [x, g.floats(c, o, *kernel), g.floats(o * groups)], [[x.shape[0], o * groups] + out], [x.batch], kernel_shape=kernel, strides=stride, pads=pads, group=groups)
    return True


def pool(g, x):
    if not picture(x):
        return False
    n = x.rank - 2
    if g.r.random() < 0.3:
        g.node(g.r.choice(["GlobalAveragePool", "GlobalMaxPool"]), [x], [x.shape[:2] + [1] * n], [x.batch])
        return True
    kernel, stride = [g.r.choice((2, 3)) for _ in range(n)], [g.r.choice((1, 2)) for _ in range(n)]
    pads = [g.r.randrange(2) for _ in range(2 * n)]
    out = [(s + pads[i] + pads[n + i] - kernel[i]) // stride[i] + 1 for i, s in enumerate(x.shape[2:])]
    if min(out) < 1:
        return False
    op = g.r.choice(["MaxPool", "AveragePool"])
    more = {"count_include_pad": g.r.randrange(2)} if op == "AveragePool" else {}
    g.node(op, [x], [x.shape[:2] + out], [x.batch], kernel_shape=kernel, strides=stride, pads=pads, **more)
    return True


def norm(g, x):
    if x.rank < 2 or x.batch not in (None, 0):
        return False
    c = x.shape[1]
    if x.rank > 2 and g.r.random() < 0.4 and numpy.prod(x.shape[2:]) > 3:
        g.node("InstanceNormalization", [x, g.floats(c), g.floats(c)], [x.shape], [x.batch])
    else:
        g.node("BatchNormalization", [x, g.floats(c), g.floats(c), g.floats(c), g.constant(g.np.uniform(0.5, 2, c).astype(numpy.float32))], [x.shape], [x.batch])
    return True


def resize(g, x):
    if not picture(x, (4,)) or x.count() > 1200:
        return False
    mode = g.r.choice(["nearest", "linear"])
    how = g.r.choice(["asymmetric", "half_pixel", "pytorch_half_pixel"] + (["align_corners"] if mode == "linear" else []))
    more = {"nearest_mode": "floor"} if mode == "nearest" else {}
    g.node("Resize", [x, "", g.constant(numpy.array([1, 1, 2, 2], numpy.float32))], [x.shape[:2] + [2 * s for s in x.shape[2:]]], [x.batch], mode=mode, coordinate_transformation_mode=how, **more)
    return True


def matmul(g, x):
    if x.rank < 2 or x.batch == x.rank - 1:
        return False
    o = g.r.randrange(2, 7)
    if x.rank == 2 and g.r.random() < 0.4:
        g.node("Gemm", [x, g.floats(o, x.shape[1]), g.floats(o)], [[x.shape[0], o]], [x.batch], transB=1)
    else:
        g.node("MatMul", [x, g.floats(x.shape[-1], o)], [x.shape[:-1] + [o]], [x.batch])
    return True


def attention(g, x):
    """x (..., t, c) times its own transpose, softmax, times x."""
    if x.rank < 3 or x.batch in (x.rank - 1, x.rank - 2) or x.count() * x.shape[-2] > 60000:
        return False
    perm = list(range(x.rank - 2)) + [x.rank - 1, x.rank - 2]
    y = g.node("Transpose", [x], [[x.shape[p] for p in perm]], [x.batch], perm=perm)[0]
    s = g.node("MatMul", [x, y], [x.shape[:-1] + [x.shape[-2]]], [x.batch])[0]
    s = g.node("Mul", [s, g.constant(numpy.float32(x.shape[-1] ** -0.5))], [s.shape], [s.batch])[0]
    s = g.node("Softmax", [s], [s.shape], [s.batch], axis=-1)[0]
    g.node("MatMul", [s, x], [x.shape], [x.batch])
    return True


def gather(g, x):
    axes = open_axes(x)
    if not axes:
        return False
    axis = g.r.choice(axes)
    kind = g.r.randrange(3)
    n = x.shape[axis]
    if kind == 0:  # one
        if x.rank < 2:
            return False
        g.node("Gather", [x, g.constant(numpy.int64(g.r.randrange(-n, n)), "i")], [x.shape[:axis] + x.shape[axis + 1:]], [None if x.batch is None else x.batch - (axis < x.batch)], axis=axis)
    else:
        shape = [g.r.randrange(1, 4)] if kind == 1 or x.rank > 4 else [2, 2]
        i = g.constant(g.np.integers(-n, n, shape).astype(numpy.int64), "i")
        g.node("Gather", [x, i], [x.shape[:axis] + shape + x.shape[axis + 1:]], [None if x.batch is None else x.batch + (len(shape) - 1) * (axis < x.batch)], axis=axis)
    return True


def depth(g, x):
    if x.rank != 4 or x.batch not in (None, 0):
        return False
    n, c, h, w = x.shape
    if c % 4 == 0 and g.r.random() < 0.7:
        g.node("DepthToSpace", [x], [[n, c // 4, 2 * h, 2 * w]], [x.batch], blocksize=2, mode=g.r.choice(["DCR", "CRD"]))
    elif h % 2 == 0 and w % 2 == 0:
        g.node("SpaceToDepth", [x], [[n, 4 * c, h // 2, w // 2]], [x.batch], blocksize=2)
    else:
        return False
    return True


def tile(g, x):
    times = [1 if i == x.batch or g.r.random() < 0.6 else 2 for i in range(x.rank)]
    shape = [n * t for n, t in zip(x.shape, times)]
    if numpy.prod(shape) > 6000:
        return False
    g.node("Tile", [x, g.ints(*times)], [shape], [x.batch])
    return True


def expand(g, x):
    ones = [i for i in open_axes(x) if x.shape[i] == 1]
    if not ones:
        return False
    axis = g.r.choice(ones)
    shape = list(x.shape)
    shape[axis] = 3
    g.node("Expand", [x, g.ints(*(1 if i == x.batch else n for i, n in enumerate(shape)))], [shape], [x.batch])
    return True


def where(g, x):
    c = g.node("Greater", [x, g.constant(numpy.float32(0.1))], [x.shape], [x.batch])[0]
    if c in g.values:
        g.values.remove(c)
    g.node("Where", [c, x, g.constant(numpy.float32(-1.5))], [x.shape], [x.batch])
    return True


def arg(g, x):
    axes = [i for i in open_axes(x) if x.shape[i] > 1]
    if not axes:
        return False
    axis = g.r.choice(axes)
    shape = list(x.shape)
    x = g.node("Add", [x, g.floats(*([shape[axis]] + [1] * (x.rank - 1 - axis)))], [shape], [x.batch])[0]  # no two are equal but for rounding
    if g.r.random() < 0.5:
        shape = list(shape)
        shape[axis] = 1
        i = g.node(g.r.choice(["ArgMax", "ArgMin"]), [x], [shape], [x.batch], axis=axis, keepdims=1)[0]
        if i in g.values:
            g.values.remove(i)
        g.node("Cast", [i], [shape], [x.batch], to=TensorProto.FLOAT)
    else:
        shape = list(shape)
        shape[axis] = g.r.randrange(1, x.shape[axis] + 1)
        i = g.node("TopK", [x, g.ints(shape[axis])], [shape, shape], [x.batch] * 2, axis=axis)[1]
        if i in g.values:
            g.values.remove(i)
    return True


COMMON = [unary, with_constant, pair, transpose, transpose, reshape, concat, reduce]
RARE = [clip, flatten, unsqueeze, squeeze, slice_, split, pad, softmax, layer_norm, conv, conv, conv_transpose, pool, norm, resize, matmul, attention, gather, depth, tile, expand, where, arg]


def build(seed):
    g = Graph(seed)
    g.version = g.r.choice([17, 18, 20])
    rank = g.r.choice([2, 3, 4, 4, 4, 4, 5])
    free = g.r.random() < 0.67
    shape = [3] + [g.r.choice([2, 3, 4, 5, 6, 8]) for _ in range(rank - 1)]
    x = Value("x", shape, 0 if free else None)
    g.values.append(x)
    for _ in range(g.r.randrange(4, 16)):
        for _ in range(20):
            # Often the newest, so that chains become long.
            v = g.values[-1] if g.r.random() < 0.6 else g.r.choice(g.values)
            if g.r.choice(COMMON if g.r.random() < 0.4 else RARE)(g, v):
                break
    results = [v for v in g.values if v.name not in g.used and v.name != "x"][-3:] or [g.values[-1]]
    for i, v in enumerate(results):  # pictures come first in what a network gives
        if v.batch:
            perm = [v.batch] + open_axes(v)
            results[i] = g.node("Transpose", [v], [[v.shape[p] for p in perm]], [0], perm=perm)[0]
    outputs = [helper.make_tensor_value_info(v.name, TensorProto.FLOAT, ["N" if i == v.batch else n for i, n in enumerate(v.shape)]) for v in results]
    graph = helper.make_graph(g.nodes, "random", [helper.make_tensor_value_info("x", TensorProto.FLOAT, (["N"] if free else [3]) + shape[1:])], outputs, g.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", g.version)], ir_version=8)
    inputs = [g.np.normal(0, 1, [n] + shape[1:]).astype(numpy.float32) for n in ((3, 2) if free else (3,))]
    return model, inputs, [v.name for v in results]


def main(folder, count, first):
    os.makedirs(folder, exist_ok=True)
    for seed in range(first, first + count):
        model, inputs, names = build(seed)
        onnx.checker.check_model(model)
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.graph_optimization_level = 4, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
            answers = [session.run(names, {"x": x}) for x in inputs]
        except Exception as e:  # noqa: BLE001 - what onnxruntime has not in some type or rank
            print("  %d: %s" % (seed, " ".join(str(e).split())[:150]))
            continue
        if not all(numpy.isfinite(y).all() and numpy.abs(y).max() > 0 for ys in answers for y in ys):
            continue
        kept = {}
        for i, (x, ys) in enumerate(zip(inputs, answers), 1):
            kept["in%d.x" % i] = torch.from_numpy(x)
            kept.update({"out%d.%s" % (i, n): torch.from_numpy(numpy.ascontiguousarray(y)) for n, y in zip(names, ys)})
        onnx.save(model, os.path.join(folder, "%d.onnx" % seed))
        save_file(kept, os.path.join(folder, "%d.safetensors" % seed))


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
