"""Speech beside PyTorch on the same cores: they take turns, the median of the ratios counts; peak memory of both.

    build/peers/bin/python bench/speech_speed.py [NAME...] [--peer-alone]

  conformer      a training step of the Conformer-CTC (2.0 M parameters) on 8 clips of 4 s, from the samples to AdamW
  wav2vec2       the same of wav2vec 2.0 base, random weights
  log_mel        log-mel of an hour of audio: 80 bands, n_fft 400, hop 160 (torchaudio's MelSpectrogram)
  recognise      the Conformer's greedy answer to 16 clips of 10 s: seconds of audio a second

tlua's side is bench/speech_speed.lua.  BENCH_ROUNDS pairs (9), BENCH_THREADS threads (2). BENCH_CPU=1 counts processor
time, for a machine that others use too: PyTorch has one thread then, since threads that wait spin."""

import os
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
CPU = "BENCH_CPU" in os.environ
THREADS, ROUNDS = 1 if CPU else int(os.environ.get("BENCH_THREADS", "2")), int(os.environ.get("BENCH_ROUNDS", "9"))
clock = time.process_time if CPU else time.perf_counter
RATE = 16000
# What a piece of work holds, in seconds of audio, and what the ratio should reach.
WORKS = {"conformer": (32, 1.5), "wav2vec2": (32, 1.3), "log_mel": (3600, 3.0), "recognise": (160, 1.0)}


def waves(clips, seconds):
    """A sum of sines that drift, the same on both sides: it is the work that counts, not the words."""
    import torch

    t = torch.arange(clips * seconds * RATE, dtype=torch.float32) / RATE
    return (0.3 * torch.sin(700 * t) + 0.2 * torch.sin(2100 * t + 30 * torch.sin(2 * t))).view(clips, seconds * RATE)


def conformer():
    import torch
    from speech_network import BANDS, HOP, WINDOW, Conformer
    import torchaudio

    mel = torchaudio.transforms.MelSpectrogram(RATE, WINDOW, hop_length=HOP, n_mels=BANDS)
    model = Conformer(35)

    def logits(wave):
        x = mel(wave).clamp_min(1e-10).log().transpose(1, 2)
        return model(x, torch.full((len(wave),), x.shape[1]))

    return model, logits


def step(model, logits):
    """Clips of 4 s with 40 letters each: loss, gradient, AdamW."""
    import torch

    wave = waves(8, 4)
    targets = torch.arange(8 * 40).view(8, 40) % 34 + 1
    optimizer = torch.optim.AdamW(model.parameters(), 1e-5)
    model.train()

    def work():
        out, lengths = logits(wave)
        loss = torch.nn.functional.ctc_loss(
            out.log_softmax(-1).transpose(0, 1), targets, lengths, torch.full((8,), 40)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    return work


def build(name):
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(THREADS)
    if name == "conformer":
        return step(*conformer())
    if name == "wav2vec2":
        from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

        model = Wav2Vec2ForCTC(Wav2Vec2Config(vocab_size=35, apply_spec_augment=False, layerdrop=0.0))

        def logits(wave):
            out = model(wave).logits
            return out, torch.full((len(out),), out.shape[1])

        return step(model, logits)
    if name == "log_mel":
        import torchaudio

        mel, hour = torchaudio.transforms.MelSpectrogram(RATE, 400, hop_length=160, n_mels=80), waves(1, 3600)[0]
        return lambda: mel(hour).clamp_min(1e-10).log()
    model, logits = conformer()
    model.eval()
    wave = waves(16, 10)

    def recognise():
        with torch.no_grad():
            logits(wave)[0].argmax(-1).tolist()

    return recognise


def worker(name):
    work = build(name)
    work()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = clock()
        work()
        print("%.6f" % (clock() - start), flush=True)


def main():
    from compare import Worker

    alone = "--peer-alone" in sys.argv
    for name in [a for a in sys.argv[1:] if a in WORKS] or WORKS:
        seconds, wanted = WORKS[name]
        peer = Worker([sys.executable, os.path.abspath(__file__), "worker", name])
        ours = None if alone else Worker(["./tlua", "bench/speech_speed.lua", name])
        pairs = [(peer.measure(), ours.measure() if ours else float("nan")) for _ in range(ROUNDS)]
        theirs, mine = (statistics.median(p[k] for p in pairs) for k in (0, 1))
        line = "%-10s PyTorch %8.3f s (%.0f x real time), %5.0f MB" % (
            name,
            theirs,
            seconds / theirs,
            peer.peak_memory(),
        )
        if ours:
            line += "; tlua %8.3f s (%.0f x real time), %5.0f MB; ratio %.2f (%.2f to %.2f), wanted %.1f" % (
                mine,
                seconds / mine,
                ours.peak_memory(),
                statistics.median(p / m for p, m in pairs),
                min(p / m for p, m in pairs),
                max(p / m for p, m in pairs),
                wanted,
            )
            ours.close()
        peer.close()
        print(line, flush=True)


if __name__ == "__main__":
    worker(sys.argv[2]) if sys.argv[1:2] == ["worker"] else main()
