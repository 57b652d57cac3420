#include "gpu/column_group.clh"
/* layer_norm_gpu.cl - cpu/layer_norm.cl's work with lanes to a row: x (rows, n), S (rows, 2) keeps mean and inverse
 * deviation. */
OVER_LANES(sum_over_lanes, float, ADDED)
OVER_LANES(sums_over_lanes, float2, ADDED)

__kernel void layer_norm_gpu(G const float *restrict X, long x0, G const float *restrict W, long w0, int weighted,
                             G const float *restrict B, long b0, int biased, G float *restrict Y, long y0,
                             G float *restrict S, long s0, long n, float eps, ROW_ARGS)
{
    __local float t[MOST_ITEMS];
    ROW_PLACE(n);
    G const float *x = X + x0 + r * n, *w = W + w0, *b = B + b0;
    G float *y = Y + y0 + r * n;
    float sum = 0.0f, square = 0.0f;
    EACH_OF_ROW sum += x[i];
    float mean = sum_over_lanes(t, sum, id, lanes) / n;
    EACH_OF_ROW {
        float d = x[i] - mean;
        square = fma(d, d, square);
    }
    float inverse = 1.0f / sqrt(sum_over_lanes(t, square, id, lanes) / n + eps);
    EACH_OF_ROW y[i] = (x[i] - mean) * inverse * (weighted ? w[i] : 1.0f) + (biased ? b[i] : 0.0f);
    if (lane == 0 && r < rows) {
        S[s0 + 2 * r] = mean;
        S[s0 + 2 * r + 1] = inverse;
    }
}

/* dx = inverse (g - mean(g) - xhat mean(g xhat)), g = gy weight */
__kernel void layer_norm_dx_gpu(G const float *restrict X, long x0, G const float *restrict GY, long g0,
                                G const float *restrict W, long w0, int weighted, G const float *restrict S, long s0,
                                G float *restrict DX, long d0, long n, ROW_ARGS)
{
    __local float2 t[MOST_ITEMS];
    ROW_PLACE(n);
    G const float *x = X + x0 + r * n, *gy = GY + g0 + r * n, *w = W + w0, *s = S + s0 + 2 * min(r, rows - 1);
    G float *dx = DX + d0 + r * n;
    float mean = s[0], inverse = s[1];
    float2 sums = (float2)0.0f;
    EACH_OF_ROW {
        float g = gy[i] * (weighted ? w[i] : 1.0f);
        sums += (float2)(g, g * (x[i] - mean) * inverse);
    }
    sums = sums_over_lanes(t, sums, id, lanes) / (float)n;
    EACH_OF_ROW
        dx[i] = inverse * (gy[i] * (weighted ? w[i] : 1.0f) - sums.x - (x[i] - mean) * inverse * sums.y);
}

/* Parts of dweight = sum over rows of gy xhat and dbias = sum of gy: P (parts, 2, columns). */
__kernel void layer_norm_sums_gpu(G const float *restrict X, long x0, G const float *restrict GY, long g0,
                                  G const float *restrict S, long s0, G float *restrict P, long p0, COLUMN_ARGS)
{
    __local float2 t[MOST_ITEMS];
    COLUMN_PLACE;
    float2 sums = (float2)0.0f;
    EACH_OF_COLUMN {
        float g = GY[g0 + r * columns + c];
        sums += (float2)(g * (X[x0 + r * columns + c] - S[s0 + 2 * r]) * S[s0 + 2 * r + 1], g);
    }
    sums = sums_down(t, sums, id, across);
    if (lane != 0 || !inside) return;
    P[p0 + 2 * part * columns + c] = sums.x;
    P[p0 + (2 * part + 1) * columns + c] = sums.y;
}
