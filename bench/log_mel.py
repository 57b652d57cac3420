"""Log-mel bands (16 kHz, n_fft 400, hop 160, 80 bands) of an hour of sound beside torchaudio's. Both take turns, the one that
begins changes from pair to pair, and the median of the ratios counts; memory is that of the process at its most.

    python bench/log_mel.py [SECONDS [PAIRS]]"""
import os
import statistics
import sys
import time

from compare import Worker


def torchaudio_worker(seconds):
    import torch
    import torchaudio
    torch.set_num_threads(int(os.environ.get("BENCH_THREADS", "2")))
    torch.manual_seed(0)
    wave = torch.randn(1, seconds * 16000)
    mel = torchaudio.transforms.MelSpectrogram(16000, n_fft=400, hop_length=160, n_mels=80)

    def work():
        with torch.no_grad():
            return torch.log(torch.clamp(mel(wave), min=1e-10))

    work()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        work()
        print("%.6f" % (time.perf_counter() - start), flush=True)


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 3600
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    ours = Worker(["./tlua", "bench/log_mel.lua", str(seconds)])
    peer = Worker([sys.executable, "bench/log_mel.py", "worker", str(seconds)])
    pairs = []
    for i in range(count):
        order = (ours, peer) if i % 2 else (peer, ours)
        took = {w: w.measure() for w in order}
        pairs.append((took[ours], took[peer]))
    print("%d s of sound: tlua %.2f s, torchaudio %.2f s, %.1f times as fast (%.1f to %.1f)" % (
        seconds, statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs),
        statistics.median(t / o for o, t in pairs), min(t / o for o, t in pairs), max(t / o for o, t in pairs)))
    print("memory at its most: tlua %.0f MB, torchaudio %.0f MB, %.2f of it" % (
        ours.peak_memory(), peer.peak_memory(), ours.peak_memory() / peer.peak_memory()))
    for worker in (ours, peer):
        worker.close()


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] == "worker":
        torchaudio_worker(int(sys.argv[2]))
    else:
        main()
