#include "gpu/column_group.clh"
/* batch_norm_gpu.cl - batch_norm.cl's gradient sums with lanes down the columns; its statistics are moments_gpu.cl's.
 */
#define ACT(NUMBER, name) ACT_##NUMBER,
enum {
#include "activations.clh"
};

/* g times the activation's slope at z, which batch_norm.cl has for vectors. */
static inline float slope(float g, float z, int activation)
{
    if (activation == ACT_RELU) return z <= 0.0f ? 0.0f : g;
    if (activation == ACT_RELU6) return z > 0.0f && z < 6.0f ? g : 0.0f;
    if (activation == ACT_SILU) {
        float p = 1.0f / (1.0f + exp(-z));
        return g * p * (1.0f + z * (1.0f - p));
    }
    if (activation == ACT_HARDSWISH) return z <= -3.0f ? 0.0f : z >= 3.0f ? g : g * (z / 3.0f + 0.5f);
    return g;
}

/* Parts of sum(g) and sum(g xhat), with xhat = (x - mean) inverse and g = gy activation'(z): P (parts, 2, columns).
 * With a residual the slope comes from the result Y, and g is kept in GR. */
__kernel void gradient_sums_gpu(G const float *restrict X, long x0, G const float *restrict GY, long g0,
                                G const float *restrict S, long s0, G const float *restrict W, long w0, int weighted,
                                G const float *restrict B, long b0, int biased, G const float *restrict Y, long y0,
                                G float *restrict GR, long gr0, int residual, int activation, G float *restrict P,
                                long p0, COLUMN_ARGS)
{
    __local float2 t[MOST_ITEMS];
    COLUMN_PLACE;
    long own = min(c, columns - 1);
    float mean = S[s0 + own], inverse = S[s0 + columns + own], shift = biased ? B[b0 + own] : 0.0f;
    float scale = weighted ? inverse * W[w0 + own] : inverse;
    float2 sums = (float2)0.0f;
    EACH_OF_COLUMN {
        long at = r * columns + c;
        float d = X[x0 + at] - mean, g = GY[g0 + at];
        if (activation) g = slope(g, residual ? Y[y0 + at] : fma(d, scale, shift), activation);
        if (activation && residual) GR[gr0 + at] = g;
        sums = fma((float2)(1.0f, d * inverse), (float2)g, sums);
    }
    sums = sums_down(t, sums, id, across);
    if (lane != 0 || !inside) return;
    P[p0 + 2 * part * columns + c] = sums.x;
    P[p0 + (2 * part + 1) * columns + c] = sums.y;
}
