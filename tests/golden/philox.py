"""tlua's random numbers in NumPy: number i of the stream that belongs to (seed, purpose, name).

The same as src/base/rng.c, so that weights and inputs of golden tests are made by a formula on both sides
and need not be stored."""
import numpy as np

INIT = 1  # TL_RNG_INIT


def philox(k0, k1, at):
    """Philox4x32-10 at the counters `at` (uint64 array) -> four uint32 arrays."""
    at = np.asarray(at, dtype=np.uint64)
    mask = np.uint64(0xFFFFFFFF)
    c0, c1 = at & mask, at >> np.uint64(32)
    c2, c3 = np.zeros_like(at), np.zeros_like(at)
    k0, k1 = int(k0), int(k1)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        n0 = (p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0)
        n2 = (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1)
        c0, c1, c2, c3 = n0, p1 & mask, n2, p0 & mask
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return [c.astype(np.uint32) for c in (c0, c1, c2, c3)]


def key(seed, purpose, index):
    a = philox(seed & 0xFFFFFFFF, seed >> 32, [purpose])
    b = philox(a[0][0], a[1][0], [index])
    return int(b[0][0]), int(b[1][0])


def hash64(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h


def bits(k, n):
    groups = philox(k[0], k[1], np.arange((n + 3) // 4, dtype=np.uint64))
    return np.stack(groups, axis=1)  # (n / 4, 4)


def uniform01(k, n):
    r = bits(k, n)
    return ((r >> np.uint32(8)).astype(np.float32) * np.float32(1 / 16777216)).reshape(-1)[:n]


def normal01(k, n):
    u = uniform01(k, (n + 3) // 4 * 4).astype(np.float64).reshape(-1, 2)
    radius, angle = np.sqrt(-2 * np.log(1 - u[:, 0])), 6.283185307179586 * u[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)[:n].astype(np.float32)


def normal(shape, mean, std, name, seed):
    n = int(np.prod(shape))
    z = normal01(key(seed, INIT, hash64(name)), n).astype(np.float64)
    return (mean + std * z).astype(np.float32).reshape(shape)


def uniform(shape, low, high, name, seed):
    n = int(np.prod(shape))
    u = uniform01(key(seed, INIT, hash64(name)), n).astype(np.float64)
    return (low + (high - low) * u).astype(np.float32).reshape(shape)
