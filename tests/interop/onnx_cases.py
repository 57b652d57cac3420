"""The models of single operators that the onnx package makes, versions up to its own (Debian's libonnx-testdata ends at 17), in the layout of
those: python tests/interop/onnx_cases.py FOLDER, then ./tlua tests/interop/onnx_conformance.lua --data FOLDER --least 18."""
import os
import sys
import warnings

import numpy
import onnx
import onnx.backend.test.case.node as node
from onnx import numpy_helper

warnings.filterwarnings("ignore")


def proto(value, info):
    if isinstance(value, onnx.TensorProto):
        return value
    if info.type.HasField("sequence_type"):
        return numpy_helper.from_list(value, info.name)
    if info.type.HasField("optional_type"):
        return numpy_helper.from_optional(value, info.name)
    return numpy_helper.from_array(numpy.asarray(value), info.name)


for case in node.collect_testcases(None):
    if case.model is None:
        continue
    folder = os.path.join(sys.argv[1], "node", case.name)
    os.makedirs(os.path.join(folder, "test_data_set_0"), exist_ok=True)
    onnx.save(case.model, os.path.join(folder, "model.onnx"))
    for word, values, infos in zip(("input", "output"), case.data_sets[0], (case.model.graph.input, case.model.graph.output)):
        for i, (value, info) in enumerate(zip(values, infos)):
            with open(os.path.join(folder, "test_data_set_0", "%s_%d.pb" % (word, i)), "wb") as f:
                f.write(proto(value, info).SerializeToString())
