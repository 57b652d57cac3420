#include "common.clh"
/* batch_norm.cl - x (rows, C), statistics along the rows. Vectors run over channels. Sums are taken in parts of
 * `length` rows and then over the parts, always in the same order. */
inline vf some(G const float *p, int n) { return n == TL_VECTOR ? VLOAD(0, p) : vldn(p, n); }
inline void put(vf v, G float *p, int n)
{
    if (n == TL_VECTOR) VSTORE(v, 0, p);
    else vstn(v, p, n);
}

/* Part p of channel vector c: mean and sum of squared distances from it, (parts, 2, C). The distances are taken from
 * the part's first row, so that a large mean does not eat the small digits. */
__kernel void moments(G const float *restrict X, long x0, G float *restrict P, long p0, long rows, long channels, long length)
{
    long c = get_global_id(0) * TL_VECTOR, part = get_global_id(1), r = part * length, end = min(r + length, rows);
    int m = (int)min((long)TL_VECTOR, channels - c);
    G const float *x = X + x0 + c;
    vf shift = some(x + r * channels, m), sum = (vf)0.0f, square = (vf)0.0f, count = (vf)(float)(end - r);
    for (long i = r; i < end; i++) {
        vf d = some(x + i * channels, m) - shift;
        sum += d;
        square = fma(d, d, square);
    }
    put(shift + sum / count, P + p0 + 2 * part * channels + c, m);
    put(square - sum * sum / count, P + p0 + (2 * part + 1) * channels + c, m);
}

/* Joins the parts (Chan, Golub, LeVeque 1983) into mean and 1 / sqrt(variance + eps), S (2, C), and moves the running
 * statistics: running = (1 - momentum) running + momentum new, with the unbiased variance. One channel a work-item. */
__kernel void statistics(G const float *restrict P, long p0, G float *restrict S, long s0, G float *restrict mean_, long m0, G float *restrict var_, long v0,
                         long rows, long channels, long length, long parts, float momentum, float eps)
{
    long c = get_global_id(0);
    float mean = 0.0f, square = 0.0f, n = 0.0f;
    for (long p = 0; p < parts; p++) {
        float k = (float)(min((p + 1) * length, rows) - p * length), pm = P[p0 + 2 * p * channels + c], d = pm - mean;
        square += P[p0 + (2 * p + 1) * channels + c] + d * d * (n * k / (n + k));
        n += k;
        mean += d * (k / n);
    }
    S[s0 + c] = mean;
    S[s0 + channels + c] = 1.0f / sqrt(square / n + eps);
    mean_[m0 + c] += momentum * (mean - mean_[m0 + c]);
    var_[v0 + c] += momentum * (square / max(n - 1.0f, 1.0f) - var_[v0 + c]);
}

/* The same two numbers from running statistics. */
__kernel void running(G const float *restrict mean_, long m0, G const float *restrict var_, long v0, G float *restrict S, long s0, long channels, float eps)
{
    long c = get_global_id(0);
    S[s0 + c] = mean_[m0 + c];
    S[s0 + channels + c] = 1.0f / sqrt(var_[v0 + c] + eps);
}

/* y = (x - mean) inverse weight + bias; work-item (channel vector, part of `length` rows) */
__kernel void normalise(G const float *restrict X, long x0, G const float *restrict S, long s0, G const float *restrict W, long w0, int weighted,
                        G const float *restrict B, long b0, int biased, G float *restrict Y, long y0, long rows, long channels, long length)
{
    long c = get_global_id(0) * TL_VECTOR, r = get_global_id(1) * length, end = min(r + length, rows);
    int m = (int)min((long)TL_VECTOR, channels - c);
    vf mean = some(S + s0 + c, m), scale = some(S + s0 + channels + c, m);
    if (weighted) scale *= some(W + w0 + c, m);
    vf shift = biased ? some(B + b0 + c, m) : (vf)0.0f;
    for (long i = r; i < end; i++) put(fma(some(X + x0 + i * channels + c, m) - mean, scale, shift), Y + y0 + i * channels + c, m);
}

/* Parts of sum(gy) and sum(gy xhat), xhat = (x - mean) inverse: P (parts, 2, C) */
__kernel void gradient_sums(G const float *restrict X, long x0, G const float *restrict GY, long g0, G const float *restrict S, long s0,
                            G float *restrict P, long p0, long rows, long channels, long length)
{
    long c = get_global_id(0) * TL_VECTOR, part = get_global_id(1), r = part * length, end = min(r + length, rows);
    int m = (int)min((long)TL_VECTOR, channels - c);
    vf mean = some(S + s0 + c, m), inverse = some(S + s0 + channels + c, m), a = (vf)0.0f, b = (vf)0.0f;
    for (long i = r; i < end; i++) {
        vf g = some(GY + g0 + i * channels + c, m);
        a += g;
        b = fma(g, (some(X + x0 + i * channels + c, m) - mean) * inverse, b);
    }
    put(a, P + p0 + 2 * part * channels + c, m);
    put(b, P + p0 + (2 * part + 1) * channels + c, m);
}

/* training: dx = weight inverse (gy - mean(gy) - xhat mean(gy xhat)); else dx = weight inverse gy. T (2, C) holds the sums. */
__kernel void gradient_x(G const float *restrict X, long x0, G const float *restrict GY, long g0, G const float *restrict S, long s0,
                         G const float *restrict T, long t0, G const float *restrict W, long w0, int weighted, int training, G float *restrict DX, long d0,
                         long rows, long channels, long length)
{
    long c = get_global_id(0) * TL_VECTOR, r = get_global_id(1) * length, end = min(r + length, rows);
    int m = (int)min((long)TL_VECTOR, channels - c);
    vf mean = some(S + s0 + c, m), inverse = some(S + s0 + channels + c, m), scale = weighted ? inverse * some(W + w0 + c, m) : inverse;
    if (!training) {
        for (long i = r; i < end; i++) put(scale * some(GY + g0 + i * channels + c, m), DX + d0 + i * channels + c, m);
        return;
    }
    vf n = (vf)(float)rows, ga = some(T + t0 + c, m) / n, gb = some(T + t0 + channels + c, m) / n;
    for (long i = r; i < end; i++) {
        vf hat = (some(X + x0 + i * channels + c, m) - mean) * inverse;
        put(scale * (some(GY + g0 + i * channels + c, m) - ga - hat * gb), DX + d0 + i * channels + c, m);
    }
}
