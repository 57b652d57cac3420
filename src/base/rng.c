/* rng.c - counter-based random numbers: number i of a stream is a function of (key, i), so draws do
 * not depend on threads, launch geometry or the order of construction.
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. */
#include "base/base.h"

#include <math.h>
#include <string.h>

void tl__philox(tl_rng_key key, uint64_t at, uint32_t out[4])
{
    uint32_t c0 = (uint32_t)at, c1 = (uint32_t)(at >> 32), c2 = 0, c3 = 0, k0 = key.k0, k1 = key.k1;
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

tl_rng_key tl__rng_key(uint64_t seed, uint32_t purpose, uint64_t index)
{
    uint32_t a[4], b[4];
    tl_rng_key first = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    tl__philox(first, purpose, a);
    tl_rng_key second = {a[0], a[1]};
    tl__philox(second, index, b);
    return (tl_rng_key){b[0], b[1]};
}

float tl__uniform(uint32_t bits) { return (float)(bits >> 8) * (1.0f / 16777216.0f); }

float tl__rng_uniform(tl_rng_key key, uint64_t i)
{
    uint32_t r[4];
    tl__philox(key, i / 4, r);
    return tl__uniform(r[i % 4]);
}

/* Two numbers of a normal distribution out of two words (Box, Muller 1958). */
static void normal_pair(const uint32_t r[2], float out[2])
{
    /* 1 - u lies in (0, 1], so that the logarithm is finite. */
    double radius = sqrt(-2.0 * log(1.0 - tl__uniform(r[0]))), angle = 6.283185307179586 * tl__uniform(r[1]);
    out[0] = (float)(radius * cos(angle));
    out[1] = (float)(radius * sin(angle));
}

float tl__rng_normal(tl_rng_key key, uint64_t i)
{
    uint32_t r[4];
    float pair[2];
    tl__philox(key, i / 4, r);
    normal_pair(r + i % 4 / 2 * 2, pair);
    return pair[i % 2];
}

void tl__rng_normals(tl_rng_key key, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i += 4) {
        uint32_t r[4];
        float four[4];
        tl__philox(key, (uint64_t)i / 4, r);
        normal_pair(r, four);
        normal_pair(r + 2, four + 2);
        memcpy(out + i, four, (size_t)(n - i < 4 ? n - i : 4) * sizeof *out);
    }
}

void tl__rng_uniforms(tl_rng_key key, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i += 4) {
        uint32_t r[4];
        tl__philox(key, (uint64_t)i / 4, r);
        for (int k = 0; k < 4 && i + k < n; k++) out[i + k] = tl__uniform(r[k]);
    }
}

uint64_t tl__rng_below(tl_rng_key key, uint64_t i, uint64_t n)
{
    uint32_t r[4];
    tl__philox(key, i, r);
    uint64_t x = (uint64_t)r[0] << 32 | r[1];
    /* high 64 bits of x * n, in halves */
    uint64_t xl = (uint32_t)x, xh = x >> 32, nl = (uint32_t)n, nh = n >> 32;
    uint64_t mid = xh * nl + ((xl * nl) >> 32), mid2 = xl * nh + (uint32_t)mid;
    return xh * nh + (mid >> 32) + (mid2 >> 32);
}

void tl__rng_permutation(tl_rng_key key, int64_t n, int64_t *out)
{
    for (int64_t i = 0; i < n; i++) out[i] = i;
    for (int64_t i = 0; i + 1 < n; i++) {
        int64_t j = i + (int64_t)tl__rng_below(key, (uint64_t)i, (uint64_t)(n - i)), t = out[i];
        out[i] = out[j];
        out[j] = t;
    }
}
