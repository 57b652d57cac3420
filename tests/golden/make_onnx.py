"""Small ONNX models, a family of operators each, with onnxruntime's answers, for tests/golden/onnx.lua: data/onnx/NAME.onnx and onnx.safetensors
(`NAME/in.INPUT`, `NAME/out.OUTPUT`). Every value of a model is an output of it. Whole numbers and booleans are int64 there."""
import os

import numpy
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
R = numpy.random.default_rng(0)
kept = {}


def floats(*shape):
    return R.normal(0, 1, shape).astype(numpy.float32)


def ints(*numbers):
    return numpy.array(numbers, numpy.int64)


def model(name, version, inputs, nodes, free=True):
    """inputs: {name: array}; nodes: (operator, inputs, attributes, number of outputs); an input is a name or an array."""
    made, constants, outputs = [], [], []
    for i, (op, taken, *rest) in enumerate(nodes):
        attrs, count, names = rest[0] if rest else {}, rest[1] if len(rest) > 1 else 1, []
        for k, each in enumerate(taken):
            if not isinstance(each, str):
                constants.append(numpy_helper.from_array(numpy.asarray(each), "c%d_%d" % (i, k)))
                each = "c%d_%d" % (i, k)
            names.append(each)
        out = ["y%d%s" % (i, "abc"[k] if count > 1 else "") for k in range(count)]
        made.append(helper.make_node(op, names, out, name="%s_%d" % (op, i), **attrs))
        outputs += out
    ports = [helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), (["N"] if free else [v.shape[0]]) + list(v.shape[1:])) for k, v in inputs.items()]
    graph = helper.make_graph(made, name, ports, [helper.make_empty_tensor_value_info(o) for o in outputs], constants)
    m = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8)
    inferred = onnx.shape_inference.infer_shapes(m)
    types = {v.name: v for v in list(inferred.graph.value_info) + list(inferred.graph.output)}
    del m.graph.output[:]
    m.graph.output.extend(types[o] for o in outputs)
    onnx.checker.check_model(m)
    os.makedirs(os.path.join(HERE, "data", "onnx"), exist_ok=True)
    onnx.save(m, os.path.join(HERE, "data", "onnx", name + ".onnx"))
    answers = onnxruntime.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"]).run(outputs, inputs)
    for word, values in (("in", inputs), ("out", dict(zip(outputs, answers)))):
        for k, v in values.items():
            v = torch.from_numpy(numpy.ascontiguousarray(v).copy())
            kept["%s/%s.%s" % (name, word, k)] = v if v.is_floating_point() else v.long()


x, picture = floats(3, 4, 5), floats(2, 4, 6, 5)
small = numpy.clip(floats(3, 4, 5), -0.9, 0.9)
model("unary", 20, {"x": x, "s": small}, [(op, ["x"]) for op in (
    "Abs", "Ceil", "Cos", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Neg", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign",
    "Sin", "Softplus", "Softsign", "Tan", "Tanh", "ThresholdedRelu", "Celu", "Sinh", "Cosh", "Asinh", "Atan", "IsNaN")] +
    [(op, ["s"]) for op in ("Asin", "Acos", "Atanh")] + [("Abs", ["x"]), ("Sqrt", ["y34"]), ("Log", ["y34"]), ("Clip", ["x", numpy.float32(-0.3), numpy.float32(0.8)])])
model("binary", 14, {"x": x, "z": floats(3, 4, 5)}, [(op, ["x", c]) for op in ("Add", "Sub", "Mul", "Div", "Max", "Min") for c in (floats(5), floats(4, 1), "z")] + [
    ("Pow", ["y0", numpy.float32(2)]), ("Greater", ["x", "z"]), ("Less", ["x", floats(4, 5)]), ("GreaterOrEqual", ["x", "z"]), ("And", ["y19", "y20"]), ("Or", ["y19", "y20"]),
    ("Xor", ["y19", "y20"]), ("Not", ["y19"]), ("Where", ["y19", "x", "z"]), ("Where", ["y20", "x", numpy.float32(7)]), ("Cast", ["y19"], {"to": TensorProto.FLOAT}),
    ("Sum", ["x", "z", floats(5)]), ("Mean", ["x", "z"]), ("PRelu", ["x", floats(4, 1)])])
for version in (11, 18):
    axes = [("axes", a, k) for a in ([1], [2], [1, 2], [-1]) for k in (0, 1)]
    nodes = []
    for op in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceL1", "ReduceL2", "ReduceProd", "ReduceLogSumExp", "ReduceSumSquare"):
        for _, a, k in (axes if op == "ReduceMean" else axes[3:5]):
            nodes.append((op, ["x", ints(*a)], {"keepdims": k}) if version == 18 else (op, ["x"], {"axes": a, "keepdims": k}))
    nodes += [("ArgMax", ["x"], {"axis": 1}), ("ArgMin", ["x"], {"axis": -1, "keepdims": 0}), ("TopK", ["x", ints(2)], {"axis": 2}, 2), ("CumSum", ["x", numpy.int32(1)], {"reverse": 1}),
              ("Softmax", ["x"], {"axis": 2}), ("LogSoftmax", ["x"], {"axis": 2 if version == 11 else 1}), ("Hardmax", ["x"], {"axis": 2})]
    model("reduce_%d" % version, version, {"x": x}, nodes)
model("shape", 17, {"x": picture}, [
    ("Transpose", ["x"], {"perm": [0, 2, 3, 1]}), ("Transpose", ["x"], {"perm": [0, 3, 1, 2]}), ("Reshape", ["x", ints(0, 4, -1)]), ("Reshape", ["y0", ints(-1, 120)]),
    ("Flatten", ["y0"]), ("Unsqueeze", ["x", ints(2)]), ("Squeeze", ["y5", ints(2)]), ("Concat", ["x", "x"], {"axis": 1}), ("Concat", ["y0", "y0"], {"axis": -2}),
    ("Slice", ["x", ints(1, -1), ints(4, -9), ints(1, 3), ints(2, -2)]), ("Split", ["x", ints(1, 3)], {"axis": 1}, 2), ("Pad", ["x", ints(0, 0, 1, 2, 0, 0, 0, 1), numpy.float32(0.5)]),
    ("Pad", ["x", ints(0, 0, 1, 2, 0, 0, 2, 0)], {"mode": "reflect"}), ("Pad", ["x", ints(0, 0, 1, 0, 0, 0, 0, 2)], {"mode": "edge"}), ("Tile", ["x", ints(1, 2, 1, 1)]),
    ("Gather", ["x", ints(3, 0, -1)], {"axis": 1}), ("Gather", ["x", numpy.int64(2)], {"axis": 2}), ("DepthToSpace", ["x"], {"blocksize": 2}),
    ("DepthToSpace", ["x"], {"blocksize": 2, "mode": "CRD"}), ("Resize", ["x", "", numpy.array([1, 1, 2, 2], numpy.float32)], {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}),
    ("Resize", ["x", "", numpy.array([1, 1, 2, 2], numpy.float32)], {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}), ("Shape", ["x"]),
    ("Gather", ["y21", ints(0, 2)]), ("Expand", [floats(1, 3), ints(2, 3)]), ("Trilu", ["x"], {"upper": 0}), ("GatherElements", ["x", R.integers(0, 4, (2, 4, 6, 5)).astype(numpy.int64)], {"axis": 1})], free=False)
model("windows", 17, {"x": picture, "s": floats(2, 3, 9), "v": floats(2, 2, 4, 5, 4)}, [
    ("Conv", ["x", floats(6, 4, 3, 3), floats(6)], {"pads": [1, 0, 2, 1], "strides": [2, 1]}), ("Conv", ["x", floats(8, 2, 2, 3)], {"group": 2, "dilations": [2, 1]}),
    ("Conv", ["x", floats(4, 1, 3, 3), floats(4)], {"group": 4, "auto_pad": "SAME_UPPER"}), ("Conv", ["s", floats(4, 3, 3)], {"pads": [1, 1], "strides": [2]}),
    ("Conv", ["v", floats(3, 2, 2, 3, 2), floats(3)], {"pads": [0, 1, 0, 1, 1, 0]}), ("ConvTranspose", ["x", floats(4, 3, 3, 3), floats(3)], {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}),
    ("MaxPool", ["x"], {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 0, 1]}), ("MaxPool", ["x"], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
    ("AveragePool", ["x"], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}), ("AveragePool", ["x"], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}),
    ("GlobalAveragePool", ["x"]), ("GlobalMaxPool", ["v"]), ("BatchNormalization", ["x", floats(4), floats(4), floats(4), numpy.abs(floats(4)) + 0.5]),
    ("InstanceNormalization", ["x", floats(4), floats(4)]), ("LayerNormalization", ["x", floats(5), floats(5)], {"axis": -1}), ("LRN", ["x"], {"size": 3}),
    ("MatMul", ["s", floats(9, 4)]), ("MatMul", ["s", floats(9)]), ("Flatten", ["s"]), ("Gemm", ["y18", floats(5, 27), floats(5)], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    ("Einsum", ["s", floats(9, 2)], {"equation": "nct,tk->nkc"})])
model("rows", 16, {"x": floats(5, 2, 3)}, [
    ("LSTM", ["x", floats(2, 16, 3), floats(2, 16, 4), floats(2, 32)], {"hidden_size": 4, "direction": "bidirectional"}, 3),
    ("GRU", ["x", floats(1, 12, 3), floats(1, 12, 4), floats(1, 24)], {"hidden_size": 4, "linear_before_reset": 1}, 2),
    ("RNN", ["x", floats(1, 4, 3), floats(1, 4, 4), floats(1, 8)], {"hidden_size": 4, "direction": "reverse"}, 2)], free=False)
ids = R.integers(0, 7, (3, 4)).astype(numpy.int64)
model("whole", 17, {"ids": ids}, [
    ("Gather", [floats(7, 5), "ids"]), ("Equal", ["ids", ints(3)]), ("Cast", ["y1"], {"to": TensorProto.FLOAT}), ("Add", ["ids", ints(10)]), ("Div", ["y3", ints(3)]), ("Mod", ["ids", ints(3)]),
    ("Less", ["ids", ints(4)]), ("Where", ["y6", "ids", ints(-1)]), ("OneHot", ["ids", numpy.int64(7), numpy.array([0, 1], numpy.float32)]), ("Max", ["ids", ints(2)]),
    ("ReduceSum", ["ids", ints(1)], {"keepdims": 0}), ("Neg", ["ids"])])
save_file(kept, os.path.join(HERE, "onnx.safetensors"))
