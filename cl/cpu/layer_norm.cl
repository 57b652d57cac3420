#include "common.clh"
/* layer_norm.cl - x (rows, C), statistics along each row: one work-item a row. S (rows, 2) keeps mean and inverse deviation. */
__kernel void layer_norm(G const float *restrict X, long x0, G const float *restrict W, long w0, int weighted, G const float *restrict B, long b0, int biased,
                         G float *restrict Y, long y0, G float *restrict S, long s0, long n, float eps BOUND)
{
    INSIDE;
    long r = get_global_id(0), i = 0;
    G const float *x = X + x0 + r * n, *w = W + w0, *b = B + b0;
    G float *y = Y + y0 + r * n;
    float part[TL_VECTOR], sum = 0.0f, square = 0.0f;
    vf a = (vf)0.0f;
    for (; i + TL_VECTOR <= n; i += TL_VECTOR) a += VLOAD(0, x + i);
    VSTORE(a, 0, part);
    for (int k = 0; k < TL_VECTOR; k++) sum += part[k];
    for (; i < n; i++) sum += x[i];
    float mean = sum / n;
    a = (vf)0.0f;
    for (i = 0; i + TL_VECTOR <= n; i += TL_VECTOR) {
        vf d = VLOAD(0, x + i) - (vf)mean;
        a = fma(d, d, a);
    }
    VSTORE(a, 0, part);
    for (int k = 0; k < TL_VECTOR; k++) square += part[k];
    for (; i < n; i++) square += (x[i] - mean) * (x[i] - mean);
    float inverse = 1.0f / sqrt(square / n + eps);
    for (i = 0; i + TL_VECTOR <= n; i += TL_VECTOR) {
        vf v = (VLOAD(0, x + i) - (vf)mean) * (vf)inverse;
        if (weighted) v *= VLOAD(0, w + i);
        if (biased) v += VLOAD(0, b + i);
        VSTORE(v, 0, y + i);
    }
    for (; i < n; i++) y[i] = (x[i] - mean) * inverse * (weighted ? w[i] : 1.0f) + (biased ? b[i] : 0.0f);
    S[s0 + 2 * r] = mean;
    S[s0 + 2 * r + 1] = inverse;
}

/* dx = inverse (g - mean(g) - xhat mean(g xhat)), g = gy weight */
__kernel void layer_norm_dx(G const float *restrict X, long x0, G const float *restrict GY, long g0, G const float *restrict W, long w0, int weighted,
                            G const float *restrict S, long s0, G float *restrict DX, long d0, long n BOUND)
{
    INSIDE;
    long r = get_global_id(0);
    G const float *x = X + x0 + r * n, *gy = GY + g0 + r * n, *w = W + w0;
    G float *dx = DX + d0 + r * n;
    float mean = S[s0 + 2 * r], inverse = S[s0 + 2 * r + 1], a = 0.0f, b = 0.0f;
    for (long i = 0; i < n; i++) {
        float g = gy[i] * (weighted ? w[i] : 1.0f);
        a += g;
        b += g * (x[i] - mean) * inverse;
    }
    a /= n;
    b /= n;
    for (long i = 0; i < n; i++) dx[i] = inverse * (gy[i] * (weighted ? w[i] : 1.0f) - a - (x[i] - mean) * inverse * b);
}

/* Parts of dweight = sum over rows of gy xhat and dbias = sum of gy: P (parts, 2, C). Work-item (column vector, part). */
__kernel void layer_norm_sums(G const float *restrict X, long x0, G const float *restrict GY, long g0, G const float *restrict S, long s0, G float *restrict P,
                              long p0, long rows, long n, long length BOUND)
{
    INSIDE;
    long c = get_global_id(0) * TL_VECTOR, part = get_global_id(1);
    int m = (int)min((long)TL_VECTOR, n - c);
    vf a = (vf)0.0f, b = (vf)0.0f;
    for (long r = part * length; r < min((part + 1) * length, rows); r++) {
        vf g = m == TL_VECTOR ? VLOAD(0, GY + g0 + r * n + c) : vldn(GY + g0 + r * n + c, m);
        vf x = m == TL_VECTOR ? VLOAD(0, X + x0 + r * n + c) : vldn(X + x0 + r * n + c, m);
        a = fma(g, (x - (vf)S[s0 + 2 * r]) * (vf)S[s0 + 2 * r + 1], a);
        b += g;
    }
    G float *p = P + p0 + 2 * part * n + c;
    if (m == TL_VECTOR) {
        VSTORE(a, 0, p);
        VSTORE(b, 0, p + n);
    } else {
        vstn(a, p, m);
        vstn(b, p + n, m);
    }
}
