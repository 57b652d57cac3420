"""Files that people have, with onnxruntime's answers to inputs from a seed and PyTorch's gradients at a cut, for onnx_files.lua:

    python tests/interop/onnx_real.py OUT FILE...

OUT/NAME.safetensors for each FILE that stands in FILES below, whatever folder it lies in (docs/onnx.md says where they are from). Keys as in
onnx_export.py; the metadata has the file's path and its cut."""
import os
import sys

import numpy
import onnx
import onnxruntime
import torch
from safetensors.torch import save_file

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import onnx_torch  # noqa: E402

torch.set_num_threads(2)
WAVE = {"input": ("wave", [(1, 16000), (2, 24000)])}
TEXT = {"input_ids": ("ids", [(2, 24), (3, 9)]), "attention_mask": ("mask", [(2, 24), (3, 9)])}
WORD = {None: ("normal", [(1, 16, 96)])}
# Inputs: how they are drawn, and the sizes of one or two; the value at which the loss of the gradients stands.
FILES = {
    "mobilenet_v3_small.onnx": ({"input": ("normal", [(2, 3, 224, 224), (1, 3, 224, 224)])}, "hardswish_17"),
    "open-nsfw.onnx": ({"input:0": ("centred", [(2, 224, 224, 3), (1, 224, 224, 3)])}, "Reshape:0"),
    "embedding_model.onnx": ({"input_1": ("normal", [(2, 76, 32, 1), (5, 76, 32, 1)])}, "conv2d_19"),
    "melspectrogram.onnx": (WAVE, None),
    "silero_vad.onnx": ({"input": ("wave", [(1, 512), (2, 512)]), "sr": (16000, [(), ()]), "h": ("normal", [(2, 1, 64), (2, 2, 64)]), "c": ("normal", [(2, 1, 64), (2, 2, 64)])}, None),
    "hey_mycroft_v0.1.onnx": ({None: ("normal", [(2, 16, 96), (3, 16, 96)])}, None),
    "alexa_v0.1.onnx": (WORD, None), "hey_marvin_v0.1.onnx": (WORD, None), "hey_jarvis_v0.1.onnx": (WORD, None),
    "weather_v0.1.onnx": ({None: ("normal", [(1, 22, 96)])}, None), "timer_v0.1.onnx": ({None: ("normal", [(1, 34, 96)])}, None),
    "paraphrase-MiniLM-L3-v2.onnx": (TEXT, "461"),
    "hama_conformer_ctc.onnx": ({"logmel": ("normal", [(1, 120, 80), (2, 75, 80)])}, "t208"),
    "yolox_nano.onnx": ({"images": ("pixels", [(1, 3, 416, 416)])}, "input.807"),
    "axial_model.onnx": ({"input_5": ("uniform", [(1, 256, 256, 1)]), "input_6": ("uniform", [(1, 256, 256, 3)])}, "model_2/conv2d_77/BiasAdd:0"),
    "consensus_layer.onnx": ({None: ("normal", [(1, 8, 8, 8, 22)])}, None),
    "320n.onnx": ({"images": ("uniform", [(1, 3, 320, 320), (2, 3, 320, 320)])}, None),
    "yolov8n_coco_float_from_int8.onnx": ({"images": ("photo", [(2, 3, 640, 640)])}, None),
    "yolov8n_coco_int8.onnx": ({"images": ("photo", [(2, 3, 640, 640)])}, None),
}
# A quantised file is opened as its float twin: that one's answers are wanted, and boxes like those of onnxruntime's int8 arithmetic.
TWINS = {"yolov8n_coco_int8.onnx": "yolov8n_coco_float_from_int8.onnx"}
# Sizes that the network hangs on in a way that a plan cannot say.
SIZES = {"320n.onnx": "height=320 width=320", "silero_vad.onnx": "sequence=512"}
# Outputs in which pictures (or rows) do not come first, which a plan has not.
STATES = ("hn", "cn")
# Inputs that decide which way is taken.
VALUES = {"silero_vad.onnx": "sr=16000"}


def drawn(kind, shape):
    if kind == "normal":
        return torch.randn(shape)
    if kind == "uniform":  # as smooth as a picture
        first = shape[1] in (1, 3)
        n, (h, w), c = shape[0], shape[2:] if first else shape[1:3], shape[1] if first else shape[3]
        x = torch.nn.functional.interpolate(torch.rand(n, c, h // 16, w // 16), size=(h, w), mode="bicubic").clamp(0, 1)
        return x if first else x.permute(0, 2, 3, 1)
    if kind == "photo":  # two pictures that scikit-learn brings
        from PIL import Image
        from sklearn.datasets import load_sample_images
        rows = [numpy.asarray(Image.fromarray(p).resize((shape[3], shape[2]), Image.BILINEAR), numpy.float32) / 255 for p in load_sample_images().images]
        return torch.from_numpy(numpy.stack(rows)).permute(0, 3, 1, 2).contiguous()
    if kind in ("pixels", "centred"):
        return drawn("uniform", shape) * 255 - (110 if kind == "centred" else 0)
    if kind == "wave":
        return torch.sin(torch.cumsum(torch.rand(shape) * 0.3, -1)) * 0.5
    if kind == "ids":
        return torch.randint(100, 20000, shape)
    if kind == "mask":
        return (torch.arange(shape[1])[None] < torch.tensor([shape[1] - 3 * k for k in range(shape[0])])[:, None]).long()
    return torch.full(shape, kind, dtype=torch.int64)


def gradients(path, inputs, cut, kept):
    model = onnx.load(path)
    names = [cut] + [o.name for o in model.graph.output]
    for name in names[1:]:
        if ("out1." + name) in kept:
            y = onnx_torch.run(model, inputs, [name], double=True)[0][0].detach()
            apart = ((y - kept["out1." + name]).abs().max() / y.pow(2).mean().sqrt()).item()
            print("    onnxruntime from PyTorch in double precision: %s %.1e" % (name, apart))
            assert apart < 5e-4
            kept["true1." + name] = y.float().contiguous()
    (y,), weights = onnx_torch.run(model, inputs, [cut])
    kept["weights1"] = torch.randn(y.shape, generator=torch.Generator().manual_seed(7)) / y.numel() ** 0.5
    (y * kept["weights1"]).sum().backward()
    (z,), doubles = onnx_torch.run(model, inputs, [cut], double=True)
    (z * kept["weights1"].double()).sum().backward()
    n, worst = 0, 0.0
    largest = max(p.grad.norm() for p in doubles.values() if p.grad is not None)
    for name, p in weights.items():
        if p.grad is not None:
            n, true = n + 1, doubles[name].grad
            kept["param.%d" % n], kept["grad.%d" % n], kept["truegrad.%d" % n] = p.detach().contiguous(), p.grad.contiguous(), true.float().contiguous()
            worst = max(worst, ((p.grad - true).norm() / max(true.norm(), 1e-4 * largest)).item())
    print("    gradients of %d tensors at %s %s; in single from double precision %.1e" % (n, cut, tuple(y.shape), worst))


def main(out, paths):
    os.makedirs(out, exist_ok=True)
    for path in paths:
        name = os.path.basename(path)
        if name not in FILES:
            continue
        torch.manual_seed(0)
        table, cut = FILES[name]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 2, 3
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        table = {(session.get_inputs()[0].name if k is None else k): v for k, v in table.items()}
        kept, first = {}, None
        for i in range(len(next(iter(table.values()))[1])):
            kind = next(iter(table.values()))[0]
            inputs = {k: drawn(of, shapes[i]) for k, (of, shapes) in table.items()}
            first = first or inputs
            answers = [session.run(None, {k: v[j:j + 1].numpy() for k, v in inputs.items()}) for j in range(2)] if kind == "photo" else \
                [session.run(None, {k: v.numpy() for k, v in inputs.items()})]
            answers = [numpy.concatenate(ys) for ys in zip(*answers)]  # files of one picture get one at a time
            if name in TWINS:
                kept["boxes1"] = torch.from_numpy(answers[0])
                twin = onnxruntime.InferenceSession(os.path.join(os.path.dirname(path), TWINS[name]), options, providers=["CPUExecutionProvider"])
                answers = [numpy.concatenate([twin.run(None, {k: v[j:j + 1].numpy() for k, v in inputs.items()})[0] for j in range(2)])]
            kept.update({"in%d.%s" % (i + 1, k): v.contiguous() for k, v in inputs.items()})
            for o, y in zip(session.get_outputs(), answers):
                y = torch.from_numpy(numpy.ascontiguousarray(y))
                if o.name not in table and y.is_floating_point() and o.name not in STATES:
                    kept["out%d.%s" % (i + 1, o.name)] = y.float()
        print("%s: %s" % (name, {k: tuple(v.shape) for k, v in kept.items()}), flush=True)
        if cut:
            gradients(path, first, cut, kept)
        save_file(kept, os.path.join(out, name[:-5] + ".safetensors"), {"onnx": os.path.abspath(path), "cut": cut or "", "sizes": SIZES.get(name, ""), "values": VALUES.get(name, "")})


main(sys.argv[1], sys.argv[2:])
