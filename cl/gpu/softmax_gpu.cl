#include "gpu/row_softmax.clh"
/* softmax_gpu.cl - cpu/softmax.cl's work with lanes to a row: x, y packed (rows, n). */
__kernel void softmax_gpu(G const float *restrict X, long x0, G float *restrict Y, long y0, long n, ROW_ARGS)
{
    __local float2 t[MOST_ITEMS];
    ROW_PLACE(n);
    G const float *x = X + x0 + r * n;
    G float *y = Y + y0 + r * n;
    float2 s = softmax_of_row(x, t, id, lanes, own);
    float scale = 1.0f / s.y;
    EACH_OF_ROW y[i] = exp(x[i] - s.x) * scale;
}

__kernel void log_softmax_gpu(G const float *restrict X, long x0, G float *restrict Y, long y0, long n, ROW_ARGS)
{
    __local float2 t[MOST_ITEMS];
    ROW_PLACE(n);
    G const float *x = X + x0 + r * n;
    G float *y = Y + y0 + r * n;
    float2 s = softmax_of_row(x, t, id, lanes, own);
    float shift = s.x + log(s.y);
    EACH_OF_ROW y[i] = x[i] - shift;
}

/* dx = y (gy - sum(gy y)) */
__kernel void softmax_grad_gpu(G const float *restrict Y, long y0, G const float *restrict GY, long g0,
                               G float *restrict DX, long d0, long n, ROW_ARGS)
{
    __local float t[MOST_ITEMS];
    ROW_PLACE(n);
    G const float *y = Y + y0 + r * n, *g = GY + g0 + r * n;
    G float *d = DX + d0 + r * n;
    float dot = 0.0f;
    EACH_OF_ROW dot = fma(y[i], g[i], dot);
    dot = sum_over_lanes(t, dot, id, lanes);
    EACH_OF_ROW d[i] = y[i] * (g[i] - dot);
}

/* dx = gy - exp(y) sum(gy) */
__kernel void log_softmax_grad_gpu(G const float *restrict Y, long y0, G const float *restrict GY, long g0,
                                   G float *restrict DX, long d0, long n, ROW_ARGS)
{
    __local float t[MOST_ITEMS];
    ROW_PLACE(n);
    G const float *y = Y + y0 + r * n, *g = GY + g0 + r * n;
    G float *d = DX + d0 + r * n;
    float sum = 0.0f;
    EACH_OF_ROW sum += g[i];
    sum = sum_over_lanes(t, sum, id, lanes);
    EACH_OF_ROW d[i] = g[i] - exp(y[i]) * sum;
}
