#include "gemm.clh"
/* group_norm.cl - x (N, rows, C) normalised for each sample and group of channels. Vectors run over channels. Sums are taken by channel
 * in parts of `length` rows, then over the parts, then over the channels of a group, always in the same order. What is below zero is
 * multiplied by `slope` at the end, so that the rectifier behind a norm costs no pass of its own. */
static inline vf some(G const float *p, int n) { return n == TL_VECTOR ? VLOAD(0, p) : vldn(p, n); }
static inline void put(vf v, G float *p, int n)
{
    if (n == TL_VECTOR) VSTORE(v, 0, p);
    else vstn(v, p, n);
}

/* Where work-item (channel vector, part, sample) works. */
#define PLACE                                                                                                              \
    long c = get_global_id(0) * TL_VECTOR, part = get_global_id(1), n = get_global_id(2), parts = (rows + length - 1) / length; \
    long r = part * length, end = min(r + length, rows), at = n * rows * channels + c;                                     \
    int m = (int)min((long)TL_VECTOR, channels - c)

/* Mean and sum of squared distances from it: P (N, parts, 2, C). Distances are taken from the part's first row, so that a large mean
 * does not eat the small digits. */
__kernel void group_moments(G const float *restrict X, long x0, G float *restrict P, long p0, long rows, long channels, long length BOUND)
{
    INSIDE;
    PLACE;
    G const float *x = X + x0 + at;
    vf shift = some(x + r * channels, m), sum = (vf)0.0f, square = (vf)0.0f, count = (vf)(float)(end - r);
    for (long i = r; i < end; i++) {
        vf d = some(x + i * channels, m) - shift;
        sum += d;
        square = fma(d, d, square);
    }
    G float *p = P + p0 + (n * parts + part) * 2 * channels + c;
    put(shift + sum / count, p, m);
    put(square - sum * sum / count, p + channels, m);
}

/* Joins the parts of a channel (Chan, Golub, LeVeque 1983): J (N, 2, C). Work-item (channel, sample). */
__kernel void group_join(G const float *restrict P, long p0, G float *restrict J, long j0, long rows, long channels, long length BOUND)
{
    INSIDE;
    long c = get_global_id(0), sample = get_global_id(1), parts = (rows + length - 1) / length;
    float mean = 0.0f, square = 0.0f, n = 0.0f;
    for (long part = 0; part < parts; part++) {
        G const float *p = P + p0 + (sample * parts + part) * 2 * channels + c;
        float k = (float)(min((part + 1) * length, rows) - part * length), d = p[0] - mean;
        square += p[channels] + d * d * (n * k / (n + k));
        n += k;
        mean += d * (k / n);
    }
    J[j0 + 2 * sample * channels + c] = mean;
    J[j0 + (2 * sample + 1) * channels + c] = square;
}

/* Joins the `wide` channels of a group, and writes mean and 1 / sqrt(variance + eps) for each of them: S (N, 2, C). Work-item
 * (group, sample). */
__kernel void group_statistics(G const float *restrict J, long j0, G float *restrict S, long s0, long rows, long channels, long wide, float eps BOUND)
{
    INSIDE;
    long c = get_global_id(0) * wide, n = get_global_id(1);
    G const float *j = J + j0 + 2 * n * channels + c;
    G float *s = S + s0 + 2 * n * channels + c;
    float mean = 0.0f, square = 0.0f;
    for (long i = 0; i < wide; i++) mean += j[i];
    mean /= (float)wide;
    for (long i = 0; i < wide; i++) square += j[channels + i] + (float)rows * (j[i] - mean) * (j[i] - mean);
    float inverse = 1.0f / sqrt(square / ((float)rows * (float)wide) + eps);
    for (long i = 0; i < wide; i++) {
        s[i] = mean;
        s[channels + i] = inverse;
    }
}

/* y = z where z = (x - mean) inverse weight + bias is positive, slope z elsewhere. */
__kernel void group_normalise(G const float *restrict X, long x0, G const float *restrict S, long s0, G const float *restrict W, long w0, int weighted,
                              G const float *restrict B, long b0, int biased, float slope, G float *restrict Y, long y0, long rows, long channels,
                              long length BOUND)
{
    INSIDE;
    PLACE;
    G const float *x = X + x0 + at, *s = S + s0 + 2 * n * channels + c;
    G float *y = Y + y0 + at;
    vf mean = some(s, m), scale = some(s + channels, m), shift = biased ? some(B + b0 + c, m) : (vf)0.0f;
    if (weighted) scale *= some(W + w0 + c, m);
    for (long i = r; i < end; i++) {
        vf z = fma(some(x + i * channels, m) - mean, scale, shift);
        put(z > (vf)0.0f ? z : (vf)slope * z, y + i * channels, m);
    }
    (void)parts;
}

/* Parts of sum(g) and sum(g xhat), where g = gy times the slope at z: P (N, parts, 2, C). */
__kernel void group_gradient_sums(G const float *restrict X, long x0, G const float *restrict GY, long g0, G const float *restrict S, long s0,
                                  G const float *restrict W, long w0, int weighted, G const float *restrict B, long b0, int biased, float slope,
                                  G float *restrict P, long p0, long rows, long channels, long length BOUND)
{
    INSIDE;
    PLACE;
    G const float *x = X + x0 + at, *gy = GY + g0 + at, *s = S + s0 + 2 * n * channels + c;
    vf mean = some(s, m), inverse = some(s + channels, m), shift = biased ? some(B + b0 + c, m) : (vf)0.0f;
    vf scale = weighted ? inverse * some(W + w0 + c, m) : inverse, sum = (vf)0.0f, product = (vf)0.0f;
    for (long i = r; i < end; i++) {
        vf d = some(x + i * channels, m) - mean, g = some(gy + i * channels, m);
        g = fma(d, scale, shift) > (vf)0.0f ? g : (vf)slope * g;
        sum += g;
        product = fma(g, d * inverse, product);
    }
    G float *p = P + p0 + (n * parts + part) * 2 * channels + c;
    put(sum, p, m);
    put(product, p + channels, m);
}

/* Means over a group of w g and of w g xhat, for each of its channels: from sums T (N, 2, C) to M (N, 2, C). Work-item (group, sample). */
__kernel void group_shares(G const float *restrict T, long t0, G const float *restrict W, long w0, int weighted, G float *restrict M, long m0,
                           long rows, long channels, long wide BOUND)
{
    INSIDE;
    long c = get_global_id(0) * wide, n = get_global_id(1);
    G const float *t = T + t0 + 2 * n * channels + c;
    G float *m = M + m0 + 2 * n * channels + c;
    float a = 0.0f, b = 0.0f, count = (float)rows * (float)wide;
    for (long i = 0; i < wide; i++) {
        float w = weighted ? W[w0 + c + i] : 1.0f;
        a = fma(w, t[i], a);
        b = fma(w, t[channels + i], b);
    }
    for (long i = 0; i < wide; i++) {
        m[i] = a / count;
        m[channels + i] = b / count;
    }
}

/* dx = inverse (w g - mean(w g) - xhat mean(w g xhat)) */
__kernel void group_gradient_x(G const float *restrict X, long x0, G const float *restrict GY, long g0, G const float *restrict S, long s0,
                               G const float *restrict M, long m0, G const float *restrict W, long w0, int weighted, G const float *restrict B, long b0,
                               int biased, float slope, G float *restrict DX, long d0, long rows, long channels, long length BOUND)
{
    INSIDE;
    PLACE;
    G const float *x = X + x0 + at, *gy = GY + g0 + at, *s = S + s0 + 2 * n * channels + c, *shares = M + m0 + 2 * n * channels + c;
    G float *dx = DX + d0 + at;
    vf mean = some(s, m), inverse = some(s + channels, m), shift = biased ? some(B + b0 + c, m) : (vf)0.0f;
    vf w = weighted ? some(W + w0 + c, m) : (vf)1.0f, scale = weighted ? inverse * w : inverse, ga = some(shares, m), gb = some(shares + channels, m);
    for (long i = r; i < end; i++) {
        vf d = some(x + i * channels, m) - mean, g = some(gy + i * channels, m);
        g = fma(d, scale, shift) > (vf)0.0f ? g : (vf)slope * g;
        put(inverse * (w * g - ga - d * inverse * gb), dx + i * channels, m);
    }
    (void)parts;
}
