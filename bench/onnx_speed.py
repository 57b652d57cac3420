"""Frozen forward of imported ONNX files beside onnxruntime on the same cores: pictures (or texts) a second, the median ratio of interleaved
pairs, and the peak memory of both processes.

    build/peers/bin/python bench/onnx_speed.py FOLDER [NAME...]

FOLDER holds the files of FILES, at any depth (docs/onnx.md says where they are from). onnxruntime has its defaults and BENCH_THREADS (2)
threads; tlua has the device's own. BENCH_CPU=1 counts processor time, for a machine that others use too: onnxruntime has one thread then,
since threads that wait spin. A file that takes one picture alone (yolox_nano) is given more by tlua alone, so it is measured with one."""
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
CPU = "BENCH_CPU" in os.environ
THREADS, ROUNDS = 1 if CPU else int(os.environ.get("BENCH_THREADS", "2")), int(os.environ.get("BENCH_ROUNDS", "9"))
clock = time.process_time if CPU else time.perf_counter
# Inputs: sizes in the file's order (NCHW where it is `first`), and what they are of.
FILES = {
    "mobilenet_v3_small.onnx": [(1, {"input": ([1, 3, 224, 224], "first")}), (16, {"input": ([16, 3, 224, 224], "first")})],
    "open-nsfw.onnx": [(1, {"input:0": ([1, 224, 224, 3], "last")}), (16, {"input:0": ([16, 224, 224, 3], "last")})],
    "yolox_nano.onnx": [(1, {"images": ([1, 3, 416, 416], "first")})],
    "paraphrase-MiniLM-L3-v2.onnx": [(1, {"input_ids": ([1, 64], "ids"), "attention_mask": ([1, 64], "ones")}),
                                     (16, {"input_ids": ([16, 64], "ids"), "attention_mask": ([16, 64], "ones")})],
    "embedding_model.onnx": [(16, {"input_1": ([16, 76, 32, 1], "last")})],
}


def peer(path, words):
    """A worker of its own, so that its memory is its own."""
    import numpy
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = THREADS, 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = {}
    for word in words:
        name, rest = word.split("=")
        sizes, kind = rest.split(":")
        shape = [int(n) for n in sizes.split(",")]
        x = numpy.sin(numpy.arange(numpy.prod(shape)) * 0.37)
        inputs[name] = (numpy.abs(x) * 20000).astype(numpy.int64).reshape(shape) if kind == "ids" else \
            numpy.ones(shape, numpy.int64) if kind == "ones" else x.astype(numpy.float32).reshape(shape)
    for _ in range(2):
        session.run(None, inputs)
    print("ready", flush=True)
    for _ in sys.stdin:
        start = clock()
        session.run(None, inputs)
        print("%.6f" % (clock() - start), flush=True)


def main():
    from compare import Worker
    found = {f: os.path.join(d, f) for d, _, files in os.walk(sys.argv[1]) for f in files if f in FILES}
    short = False
    print("%-30s %5s %9s %9s %7s  %s" % ("file", "batch", "tlua/s", "peer/s", "ratio", "memory MB"))
    for name, cases in FILES.items():
        if name not in found or len(sys.argv) > 2 and not any(w in name for w in sys.argv[2:]):
            continue
        for batch, inputs in cases:
            words = ["%s=%s:%s" % (k, ",".join(map(str, shape)), kind) for k, (shape, kind) in inputs.items()]
            ours = Worker(["./tlua", "bench/onnx_worker.lua", os.path.abspath(found[name])] + words)
            theirs = Worker([sys.executable, "bench/onnx_speed.py", "--peer", os.path.abspath(found[name])] + words)
            pairs = [(ours.measure(), theirs.measure()) for _ in range(ROUNDS)]
            memory = ours.peak_memory(), theirs.peak_memory()
            ours.close(), theirs.close()
            ratio = statistics.median(t / o for o, t in pairs)
            print("%-30s %5d %9.1f %9.1f %6.2fx  %5.0f / %5.0f" % (name, batch, batch / statistics.median(o for o, _ in pairs),
                                                                    batch / statistics.median(t for _, t in pairs), ratio, *memory), flush=True)
            short = short or ratio < 1 or memory[0] > memory[1] / 2
    sys.exit(1 if short else 0)


if __name__ == "__main__":
    peer(sys.argv[2], sys.argv[3:]) if sys.argv[1] == "--peer" else main()
