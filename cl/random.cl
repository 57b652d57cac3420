#include "common.clh"
#include "random.clh"
/* random.cl - operators that draw numbers (random.clh). */

/* y = x / (1 - p) where number i of the stream is at least p, else 0. Work-item: `chunk` blocks of four. The gradient is
 * the same map. */
__kernel void dropout(long n, long chunk, G const float *restrict X, long x0, G float *restrict Y, long y0, float p, float scale, uint k0, uint k1 BOUND)
{
    INSIDE;
    long block = get_global_id(0) * chunk, end = min(block + chunk, (n + 3) / 4);
#if TL_VECTOR > 1
    uint least = least_word(p);
    for (; block + TL_VECTOR <= end && 4 * (block + TL_VECTOR) <= n && (uint)block <= 0xffffffffu - TL_VECTOR; block += TL_VECTOR) {
        vu r[4];
        words(k0, k1, (ulong)block, r);
        UNROLL for (int k = 0; k < 4; k++) {
            vf x = VLOAD(0, X + x0 + 4 * block + k * TL_VECTOR) * (vf)scale;
            VSTORE(r[k] >= (vu)least ? x : (vf)0.0f, 0, Y + y0 + 4 * block + k * TL_VECTOR);
        }
    }
#endif
    for (; block < end; block++) {
        uint4 r = philox(k0, k1, (ulong)block);
        uint bits[4] = {r.x, r.y, r.z, r.w};
        for (int k = 0; k < 4 && 4 * block + k < n; k++) {
            long i = 4 * block + k;
            Y[y0 + i] = unit(bits[k]) >= p ? X[x0 + i] * scale : 0.0f;
        }
    }
}
