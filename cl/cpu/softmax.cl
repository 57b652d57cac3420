#include "softmax.clh"
/* softmax.cl - rows of length C: one work-item a row, vectors along it. x, y are packed (rows, C). */
__kernel void softmax(G const float *restrict X, long x0, G float *restrict Y, long y0, long n BOUND)
{
    INSIDE;
    long r = get_global_id(0), i = 0;
    G const float *x = X + x0 + r * n;
    G float *y = Y + y0 + r * n;
    float m = row_max(x, n), scale = 1.0f / row_exp_sum(x, n, m);
    for (; i + TL_VECTOR <= n; i += TL_VECTOR) VSTORE(fast_exp(VLOAD(0, x + i) - (vf)m) * (vf)scale, 0, y + i);
    for (; i < n; i++) y[i] = exp(x[i] - m) * scale;
}

__kernel void log_softmax(G const float *restrict X, long x0, G float *restrict Y, long y0, long n BOUND)
{
    INSIDE;
    long r = get_global_id(0);
    G const float *x = X + x0 + r * n;
    G float *y = Y + y0 + r * n;
    float m = row_max(x, n), shift = m + log(row_exp_sum(x, n, m));
    for (long i = 0; i < n; i++) y[i] = x[i] - shift;
}

/* dx = y (gy - sum(gy y)) */
__kernel void softmax_grad(G const float *restrict Y, long y0, G const float *restrict GY, long g0, G float *restrict DX, long d0, long n BOUND)
{
    INSIDE;
    long r = get_global_id(0);
    G const float *y = Y + y0 + r * n, *g = GY + g0 + r * n;
    G float *d = DX + d0 + r * n;
    float dot = 0.0f;
    for (long i = 0; i < n; i++) dot += y[i] * g[i];
    for (long i = 0; i < n; i++) d[i] = y[i] * (g[i] - dot);
}

/* dx = gy - exp(y) sum(gy) */
__kernel void log_softmax_grad(G const float *restrict Y, long y0, G const float *restrict GY, long g0, G float *restrict DX, long d0, long n BOUND)
{
    INSIDE;
    long r = get_global_id(0);
    G const float *y = Y + y0 + r * n, *g = GY + g0 + r * n;
    G float *d = DX + d0 + r * n;
    float sum = 0.0f;
    for (long i = 0; i < n; i++) sum += g[i];
    for (long i = 0; i < n; i++) d[i] = g[i] - exp(y[i]) * sum;
}
