#include "common.clh"
/* random.cl - Philox4x32-10 (Salmon et al. 2011), the numbers of src/base/rng.c: number i of a stream is word i % 4 of
 * the block at counter i / 4. */
inline uint4 philox(uint k0, uint k1, ulong at)
{
    uint4 c = (uint4)((uint)at, (uint)(at >> 32), 0u, 0u);
    for (int round = 0; round < 10; round++) {
        uint h0 = mul_hi(0xD2511F53u, c.x), l0 = 0xD2511F53u * c.x, h1 = mul_hi(0xCD9E8D57u, c.z), l1 = 0xCD9E8D57u * c.z;
        c = (uint4)(h1 ^ c.y ^ k0, l1, h0 ^ c.w ^ k1, l0);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c;
}

/* y = x / (1 - p) where number i of the stream is at least p, else 0. Work-item: `chunk` blocks of four. The gradient is
 * the same map. */
__kernel void dropout(long n, long chunk, G const float *restrict X, long x0, G float *restrict Y, long y0, float p, float scale, uint k0, uint k1)
{
    long block = get_global_id(0) * chunk, end = min(block + chunk, (n + 3) / 4);
    for (; block < end; block++) {
        uint4 r = philox(k0, k1, (ulong)block);
        uint bits[4] = {r.x, r.y, r.z, r.w};
        for (int k = 0; k < 4 && 4 * block + k < n; k++) {
            long i = 4 * block + k;
            Y[y0 + i] = (float)(bits[k] >> 8) * (1.0f / 16777216.0f) >= p ? X[x0 + i] * scale : 0.0f;
        }
    }
}
