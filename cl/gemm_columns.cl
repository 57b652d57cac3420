#include "gemm.clh"
/* gemm_columns.cl - what the gradient of a linear layer wants beside its products: the gradient of the
 * activation, and sums of columns. Both are bound by memory. */

/* y[i] = g[i] * activation'(.), where s is the activated output for relu and relu6, and what went into the activation for the
 * others; packed. Work-item x: `chunk` elements, a multiple of the vector. Expressions as in src/op/pointwise.def. */
__kernel void activation_gradient(long n, long chunk, int activation, G const float *restrict X, long x_at,
                                  G const float *restrict S, long s_at, G float *restrict Y, long y_at BOUND)
{
    INSIDE;
    long i = get_global_id(0) * chunk, end = min(i + chunk, n);
    const vf zero = (vf)0.0f, one = (vf)1.0f;
    for (; i < end; i += TL_VECTOR) {
        int part = (int)min((long)TL_VECTOR, end - i);
        vf g = load_part(X + x_at + i, 1, part), s = load_part(S + s_at + i, 1, part);
        if (activation == ACT_RELU) g = s > zero ? g : zero;
        else if (activation == ACT_RELU6) g = s > zero ? (s < (vf)6.0f ? g : zero) : zero;
        else if (activation == ACT_SILU) {
            vf e = one / (one + fast_exp(-s));
            g = g * e * (one + s * (one - e));
        } else if (activation == ACT_HARDSWISH)
            g = s <= (vf)-3.0f ? zero : (s < (vf)3.0f ? g * (s / (vf)3.0f + (vf)0.5f) : g);
        else if (activation == ACT_GELU)
            g = g * ((vf)0.5f * (one + fast_erf(s * (vf)0.70710678f)) + s * (vf)0.39894228f * fast_exp((vf)-0.5f * s * s));
        store_part(g, Y + y_at + i, part);
    }
}

/* y[part][j] = sum of rows part * length ... + length of column j. Work-item (x, part): four vectors of columns, so
 * that whole cache lines of each row are used and four additions are under way. */
__kernel void sum_columns(long m, long n, long length, G const float *restrict X, long x_at, long row, G float *restrict Y, long y_at BOUND)
{
    INSIDE;
    long j = get_global_id(0) * (4 * TL_VECTOR), i = get_global_id(1) * length, end = min(i + length, m);
    G const float *x = X + x_at + j;
    G float *y = Y + y_at + get_global_id(1) * n + j;
    if (j + 4 * TL_VECTOR <= n) {
        vf s0 = (vf)0.0f, s1 = (vf)0.0f, s2 = (vf)0.0f, s3 = (vf)0.0f;
        for (; i < end; i++) {
            s0 += VLOAD(0, x + i * row);
            s1 += VLOAD(1, x + i * row);
            s2 += VLOAD(2, x + i * row);
            s3 += VLOAD(3, x + i * row);
        }
        VSTORE(s0, 0, y);
        VSTORE(s1, 1, y);
        VSTORE(s2, 2, y);
        VSTORE(s3, 3, y);
        return;
    }
    for (long first = i; j < n; j += TL_VECTOR, x += TL_VECTOR, y += TL_VECTOR) {
        int part = (int)min((long)TL_VECTOR, n - j);
        vf s = (vf)0.0f;
        for (i = first; i < end; i++) s += load_part(x + i * row, 1, part);
        store_part(s, y, part);
    }
}
