"""Goldens of the operators: evaluates each sample's PyTorch expression (the descriptor's `torch`) and its gradients.

    make build/tests/op/golden && python tests/golden/make_ops.py     writes tests/golden/ops.safetensors, and special.safetensors of
                                                                      the samples with NaN and infinities (their number is -1)

The samples come from the test program itself, so a new operator needs nothing here unless its expression needs a new name."""
import json
import math
import os
import subprocess
import tempfile

import torch
import torch.nn.functional as F
import torchvision
from safetensors import safe_open
from safetensors.torch import load_file, save_file

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
torch.set_num_threads(1)

ACTIVATIONS = {"none": lambda v: v, "relu": torch.relu, "relu6": F.relu6, "silu": F.silu, "hardswish": F.hardswish, "gelu": F.gelu}


def first(x):
    """Channels last to channels first."""
    return x.permute(0, x.dim() - 1, *range(1, x.dim() - 1))


def last(x):
    return x.permute(0, *range(2, x.dim()), 1)


def spread(values, n, fallback):
    return list(values) * n if len(values) == 1 else list(values) if values else [fallback] * n


def conv(x, weight, bias, residual, stride, padding, padding_end, dilation, groups, activation):
    n = x.dim() - 2
    begin = spread(padding, n, 0)
    end = spread(padding_end, n, 0) if padding_end else begin
    pads = []
    for b, e in zip(reversed(begin), reversed(end)):
        pads += [b, e]
    f = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[n]
    y = last(f(F.pad(first(x), pads), weight, bias, spread(stride, n, 1), 0, spread(dilation, n, 1), groups))
    return ACTIVATIONS[activation](y if residual is None else y + residual)


def conv_transpose(x, weight, bias, stride, padding, output_padding, dilation, groups, padding_end):
    n = x.dim() - 2
    f = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}[n]
    if not padding_end:
        return last(f(first(x), weight, bias, spread(stride, n, 1), spread(padding, n, 0), spread(output_padding, n, 0), groups, spread(dilation, n, 1)))
    y = last(f(first(x), weight, bias, spread(stride, n, 1), 0, spread(output_padding, n, 0), groups, spread(dilation, n, 1)))
    for i, (b, e) in enumerate(zip(spread(padding, n, 0), spread(padding_end, n, 0))):
        y = y.narrow(1 + i, b, y.shape[1 + i] - b - e)
    return y


def interpolate(x, size, scale, mode, align_corners, coordinates, rounding, factors, cubic_a, exclude_outside):
    n = x.dim() - 2
    how = {"size": spread(size, n, 0)} if size else {"scale_factor": scale}
    if coordinates == "usual" and not factors and (mode != "cubic" or n == 2):
        mode = mode if mode == "nearest" else "bicubic" if mode == "cubic" else {1: "linear", 2: "bilinear", 3: "trilinear"}[n]
        return last(F.interpolate(first(x), mode=mode, align_corners=align_corners if mode != "nearest" else None, **how))
    for i in range(n):
        in_size = x.shape[1 + i]
        f = spread(factors, n, 1)[i] if factors else None
        out_size = spread(size, n, 0)[i] if size else int(in_size * (f or scale))
        where = "align_corners" if align_corners else coordinates
        m = weights(in_size, out_size, f or out_size / in_size, mode, where, rounding, cubic_a, exclude_outside)
        x = torch.tensordot(x, m, ([1 + i], [1])).movedim(-1, 1 + i)
    return x


def weights(in_size, out_size, f, mode, where, rounding, a, exclude):
    """What each output has of each input: ONNX's definition of Resize."""
    def curve(d):
        d = abs(d)
        return (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1 if d <= 1 else a * (d ** 3 - 5 * d ** 2 + 8 * d - 4) if d < 2 else 0
    m = torch.zeros(out_size, in_size)
    for o in range(out_size):
        middle = (o + 0.5) / f
        at = {"half_pixel_symmetric": in_size / 2 * (1 - out_size / (f * in_size)) + middle - 0.5,
              "pytorch_half_pixel": middle - 0.5 if out_size > 1 else 0,
              "align_corners": o * (in_size - 1) / (out_size - 1) if out_size > 1 else 0,
              "asymmetric": o / f, "tf_half_pixel_for_nn": middle}.get(where, middle - 0.5)
        low = math.floor(at)
        if mode == "nearest":
            k = {"floor": low, "ceil": math.ceil(at), "round_prefer_floor": math.ceil(at - 0.5), "round_prefer_ceil": math.floor(at + 0.5)}[rounding]
            taps = {k: 1}
        elif mode == "linear":
            taps = {low: 1 - (at - low), low + 1: at - low}
        else:
            taps = {k: curve(at - k) for k in range(low - 1, low + 3)}
        if exclude:
            taps = {k: w for k, w in taps.items() if 0 <= k < in_size}
            taps = {k: w / sum(taps.values()) for k, w in taps.items()}
        for k, w in taps.items():
            m[o, min(max(k, 0), in_size - 1)] += w
    return m


def pad(x, before, after, mode, value):
    if mode == "constant":
        return F.pad(x, [v for b, a in zip(reversed(before), reversed(after)) for v in (b, a)], value=value)
    for axis, (b, a) in enumerate(zip(before, after)):  # F.pad takes the last dimensions only
        n = x.shape[axis]
        at = torch.arange(-b, n + a)
        at = at.clamp(0, n - 1) if mode == "replicate" else torch.where(at < 0, -at, torch.where(at >= n, 2 * (n - 1) - at, at))
        x = x.index_select(axis, at)
    return x


def recurrent(cell, x, states, lengths, reverse):
    """The outputs of a cell over whole sequences, 0 behind their ends; PyTorch wants them packed for that."""
    n, t = x.shape[:2]
    ends = lengths.tolist() if lengths is not None else [t] * n
    rows = []
    for i in range(n):
        state, y = tuple(v[i : i + 1] for v in states), [None] * ends[i]
        for k in reversed(range(ends[i])) if reverse else range(ends[i]):
            state = cell(x[i : i + 1, k], state)
            y[k] = state[0]
        rows.append(torch.cat(y + [torch.zeros_like(states[0][:1])] * (t - ends[i])))
    return torch.stack(rows)


def rnn(x, wx, wh, bx, bh, h, lengths, reverse, activation):
    f = {"tanh": torch.rnn_tanh_cell, "relu": torch.rnn_relu_cell}[activation]
    h = x.new_zeros(x.shape[0], wh.shape[1]) if h is None else h
    return recurrent(lambda v, state: (f(v, state[0], wx, wh, bx, bh),), x, (h,), lengths, reverse)


def gru(x, wx, wh, bx, bh, h, lengths, reverse):
    h = x.new_zeros(x.shape[0], wh.shape[1]) if h is None else h
    return recurrent(lambda v, state: (torch.gru_cell(v, state[0], wx, wh, bx, bh),), x, (h,), lengths, reverse)


def lstm(x, wx, wh, bx, bh, h, c, lengths, reverse):
    h = x.new_zeros(x.shape[0], wh.shape[1]) if h is None else h
    c = torch.zeros_like(h) if c is None else c
    return recurrent(lambda v, state: torch.lstm_cell(v, state, wx, wh, bx, bh), x, (h, c), lengths, reverse)


def grid_sample(x, grid, mode, padding, align_corners):
    mode = {"linear": "bilinear", "nearest": "nearest", "cubic": "bicubic"}[mode]
    return last(F.grid_sample(first(x), grid, mode=mode, padding_mode=padding, align_corners=align_corners))


def roi_align(x, boxes, picture, size, scale, points, aligned):
    boxes = torch.cat([picture[:, None].float(), boxes], 1)
    return last(torchvision.ops.roi_align(first(x), boxes, size, scale, points if points else -1, aligned))


def padded(clip, before, after, mode):
    """torch.stft's pad knows reflect up to the clip's length, and no mirror behind the last sample."""
    n = clip.shape[0]
    i = torch.arange(-before, n + after)
    inside = (i >= 0) & (i < n)
    if mode == "constant" or n == 0:
        return torch.where(inside, F.pad(clip, (before, after)), torch.zeros(()))
    if mode == "replicate":
        return clip[i.clamp(0, n - 1)]
    if mode == "symmetric":
        i = i % (2 * n)
        return clip[torch.where(i < n, i, 2 * n - 1 - i)]
    i = i % max(2 * (n - 1), 1)
    return clip[torch.where(i < n, i, 2 * (n - 1) - i)]


def stft(wave, window, lengths, n_fft, hop, pad, pad_mode, remove_mean, preemphasis, power):
    w = window.shape[0]
    n = n_fft or w
    hop = hop or max(n // 4, 1)
    before, after = spread(pad, 2, 0)
    count = (wave.shape[1] + before + after - w) // hop + 1
    clips = []
    for i, clip in enumerate(wave):
        clip = clip if lengths is None else clip[: int(lengths[i])]
        clip = padded(clip, before, after, pad_mode)
        if clip.shape[0] < w:
            clips.append(torch.zeros(count, n // 2 + 1, dtype=torch.complex64))
            continue
        frames = clip.unfold(0, w, hop)
        if remove_mean:
            frames = frames - frames.mean(1, keepdim=True)
        frames = frames - preemphasis * torch.cat([frames[:, :1], frames[:, :-1]], 1)
        x = torch.fft.rfft(frames * window, n)
        clips.append(F.pad(x, (0, 0, 0, count - x.shape[0])))
    x = torch.stack(clips)
    return torch.view_as_real(x) if power == 0 else x.abs() if power == 1 else x.abs() ** 2


def mel_spectrogram(wave, window, bank, lengths, n_fft, hop, pad, pad_mode, remove_mean, preemphasis, power, log, floor, offset):
    v = stft(wave, window, lengths, n_fft, hop, pad, pad_mode, remove_mean, preemphasis, power) @ bank.T
    if log == "none":
        return v
    v = torch.log(torch.clamp(v, min=floor) + offset)
    return v * {"log": 1, "log10": 1 / math.log(10), "db": (20 if power == 1 else 10) / math.log(10)}[log]


def deltas(x, lengths, reach):
    rows = []
    for i, clip in enumerate(x):
        n = clip.shape[0] if lengths is None else int(lengths[i])
        at = torch.arange(n)
        y = sum(k * (clip[(at + k).clamp(max=n - 1)] - clip[(at - k).clamp(min=0)]) for k in range(1, reach + 1))
        rows.append(F.pad(y / sum(2 * k * k for k in range(1, reach + 1)), (0, 0, 0, clip.shape[0] - n)))
    return torch.stack(rows)


def scatter(x, axis, index, updates, reduce):
    if reduce == "none":
        return x.scatter(axis, index, updates)
    return x.scatter_reduce(axis, index, updates, {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}[reduce])


def prod(x, axes, keep):
    for axis in sorted((a % x.dim() for a in axes), reverse=True) if x.dim() else ():
        x = x.prod(axis, keepdim=keep)
    return x


def cumsum(x, axis, exclusive, reverse):
    x = x.flip(axis) if reverse else x
    y = torch.cumsum(x, axis) - (x if exclusive else 0)
    return y.flip(axis) if reverse else y


def max_pool(x, kernel, stride, padding, padding_end, ceil_mode, dilation, places=False):
    n = x.dim() - 2
    f = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[n]
    y = f(first(x), spread(kernel, n, 1), spread(stride, n, 1), spread(padding, n, 0), spread(dilation, n, 1), ceil_mode, True)
    return last(y[places])


def avg_pool(x, kernel, stride, padding, padding_end, ceil_mode, count_include_pad, dilation):
    n = x.dim() - 2
    if any(d > 1 for d in dilation):  # PyTorch has none: a mean is a convolution with ones, by how many there are
        f = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[n]
        kernel, stride, pads = spread(kernel, n, 1), spread(stride, n, 1), spread(padding, n, 0)
        dilation, more, ends = spread(dilation, n, 1), [], []
        for size, k, s, p, d in zip(x.shape[1:], kernel, stride, pads, dilation):
            reach = size + 2 * p - (k - 1) * d - 1
            over = (-reach) % s if ceil_mode and (reach // s + 1) * s < size + p else 0
            ends = [p, p] + ends
            more = [0, over] + more
        w = torch.ones(1, 1, *kernel)
        def windows(v):
            v = first(v)
            return f(v.reshape(-1, 1, *v.shape[2:]), w, None, stride, 0, dilation).reshape(*v.shape[:2], *y)
        def added(v, value):
            return last(F.pad(F.pad(first(v), ends, value=value), more))
        wide = added(x, 0.0)
        y = [(size - (k - 1) * d - 1) // s + 1 for size, k, s, d in zip(wide.shape[1:], kernel, stride, dilation)]
        return last(windows(wide) / windows(added(torch.ones_like(x), 1.0 if count_include_pad else 0.0)))
    f = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[n]
    return last(f(first(x), spread(kernel, n, 1), spread(stride, n, 1), spread(padding, n, 0), ceil_mode=ceil_mode, count_include_pad=count_include_pad))


def batch_norm(x, weight, bias, running_mean, running_var, residual, training, momentum, eps, activation):
    y = last(F.batch_norm(first(x), running_mean.clone(), running_var.clone(), weight, bias, training, momentum, eps))
    return ACTIVATIONS[activation](y if residual is None else y + residual)


def group_norm(x, weight, bias, groups, eps, slope):
    y = last(F.group_norm(first(x), groups or x.shape[-1], weight, bias, eps))
    return F.leaky_relu(y, slope)


def pack(x, lengths, rows):
    counts = lengths.long().clamp(0, x.shape[1])
    y = torch.cat([x[i, :k] for i, k in enumerate(counts.tolist())])[:rows]
    return torch.cat([y, y.new_zeros(rows - len(y), *x.shape[2:])])


def unpack(x, lengths, longest):
    y, at = [], 0
    for k in lengths.long().clamp(0, longest).tolist():
        own = x[at : at + k]
        y.append(torch.cat([own, x.new_zeros(longest - len(own), *x.shape[1:])]))
        at += k
    return torch.stack(y)


def attention(q, k, v, lengths, bias, heads, causal, scale, longest=0, offset=0):
    if q.dim() == 2:  # sequences one behind the other
        longest = longest or len(q)
        return pack(attention(*(unpack(x, lengths, longest) for x in (q, k, v)), lengths.clamp(0, longest), bias, heads, causal, scale, 0, offset),
                    lengths.clamp(0, longest), len(q))

    def split(x):
        return x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)
    n, t, s = q.shape[0], q.shape[1], k.shape[1]
    seen = torch.ones(n, 1, t, s, dtype=torch.bool)
    if lengths is not None:
        seen = seen & (torch.arange(s) < lengths.reshape(n, 1, 1, 1))
    if causal:
        seen = seen & torch.ones(t, s, dtype=torch.bool).tril(offset)
    some = seen.any(-1, keepdim=True)
    y = F.scaled_dot_product_attention(split(q), split(k), split(v), attn_mask=torch.where(seen | ~some, torch.zeros(()) if bias is None else bias, torch.full((), -torch.inf)),
                                       scale=scale or None)
    y = torch.where(some, y, torch.zeros(()))  # a row that sees nothing is zero
    if lengths is not None and t == s:
        y = torch.where(torch.arange(t).reshape(1, 1, t, 1) < lengths.reshape(n, 1, 1, 1), y, torch.zeros(()))
    return y.transpose(1, 2).reshape(q.shape)


def focal_loss(logits, labels, weights, gamma, reduction, ignore_index):
    """Lin et al. 2017, equation 5, of a softmax; the weights are its alpha."""
    logits, labels = logits.reshape(-1, logits.shape[-1]), labels.long().reshape(-1)
    p = torch.exp(-F.cross_entropy(logits, labels, reduction="none", ignore_index=ignore_index))
    loss = (1 - p) ** gamma * F.cross_entropy(logits, labels, weight=weights, reduction="none", ignore_index=ignore_index)
    loss = torch.where(labels == ignore_index, torch.zeros(()), loss)
    return {"none": loss, "sum": loss.sum(), "mean": loss.sum() / (labels != ignore_index).sum()}[reduction]


def ctc_loss(logits, targets, input_lengths, target_lengths, reduction, blank, zero_infinity):
    n, t = logits.shape[:2]
    frames = input_lengths if input_lengths is not None else torch.full((n,), t)
    labels = target_lengths if target_lengths is not None else torch.full((n,), targets.shape[1])
    return F.ctc_loss(F.log_softmax(logits, -1).transpose(0, 1), targets.long(), frames.long(), labels.long(), blank, reduction, zero_infinity)


# What stands for an expression where both are whole numbers.
WHOLE = {"a / b": "torch.div(a, b, rounding_mode='trunc')"}


def evaluate(sample, inputs):
    names = {"torch": torch, "F": F, "conv": conv, "max_pool": max_pool, "avg_pool": avg_pool, "batch_norm": batch_norm, "group_norm": group_norm, "attention": attention, "pack": pack, "unpack": unpack,
             "torchvision": torchvision, "focal_loss": focal_loss, "ctc_loss": ctc_loss, "conv_transpose": conv_transpose,
             "interpolate": interpolate, "pad": pad, "prod": prod, "roi_align": roi_align, "grid_sample": grid_sample, "rnn": rnn, "gru": gru, "lstm": lstm, "scatter": scatter, "cumsum": cumsum,
             "stft": stft, "mel_spectrogram": mel_spectrogram, "deltas": deltas}
    tensors = []
    for i, spec in enumerate(sample["inputs"]):
        t = None
        if not spec["absent"]:
            t = inputs["%s.%d" % (sample["name"], i)].clone()
            if spec["grad"]:
                t.requires_grad_(True)
        tensors.append(t)
        names[spec["as"]] = t
    names["xs"] = tensors
    names.update(sample["attrs"])
    # An empty list of axes means all of them here; torch says that with None or the full list.
    if sample["attrs"].get("axes") == []:
        names["axes"] = list(range(tensors[0].dim()))
    if "axes" in names and tensors[0].dim() == 0:
        names["axes"] = ()
    whole = all(t is None or not t.is_floating_point() for t in tensors)
    return eval(WHOLE.get(sample["torch"], sample["torch"]) if whole else sample["torch"], names), tensors


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "samples.safetensors")
        subprocess.run([os.path.join(ROOT, "build/tests/op/golden")], cwd=ROOT, env=dict(os.environ, TLUA_OP_DUMP=path), check=True)
        inputs = load_file(path)
        with safe_open(path, "pt") as f:
            samples = json.loads(f.metadata()["samples"])
    out, weights = {}, inputs["loss_weights"]
    for sample in samples:
        y, tensors = evaluate(sample, inputs)
        y = y[0] if isinstance(y, tuple) else y
        out[sample["name"] + ".y"] = y.detach().float().contiguous().clone()
        if not any(t is not None and t.requires_grad for t in tensors) or not y.requires_grad:
            continue
        (y.reshape(-1) * weights[: y.numel()]).sum().backward()
        for i, t in enumerate(tensors):
            if t is not None and t.requires_grad:
                g = t.grad if t.grad is not None else torch.zeros_like(t)
                out["%s.g%d" % (sample["name"], i)] = g.contiguous().clone()
    special = {name: t for name, t in out.items() if ".-1." in name}
    for file, tensors in (("ops.safetensors", {name: t for name, t in out.items() if name not in special}), ("special.safetensors", special)):
        path = os.path.join(HERE, file)
        save_file(tensors, path)
        print(path, len(tensors), "tensors", os.path.getsize(path), "bytes")


if __name__ == "__main__":
    main()
