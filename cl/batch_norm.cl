#include "gemm.clh"
/* batch_norm.cl - x (rows, C), statistics along the rows. Vectors run over channels. Sums are taken in parts of
 * `length` rows and then over the parts, always in the same order. Residual and activation are part of it, so that a
 * block of a network costs one pass forward and two backward. */
static inline vf some(G const float *p, int n) { return n == TL_VECTOR ? VLOAD(0, p) : vldn(p, n); }
static inline void put(vf v, G float *p, int n)
{
    if (n == TL_VECTOR) VSTORE(v, 0, p);
    else vstn(v, p, n);
}

/* Part p of channel vector c: mean and sum of squared distances from it, (parts, 2, C). The distances are taken from
 * the part's first row, so that a large mean does not eat the small digits. */
__kernel void moments(G const float *restrict X, long x0, G float *restrict P, long p0, long rows, long channels, long length BOUND)
{
    INSIDE;
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

/* Joins the parts (Chan, Golub, LeVeque 1983) into mean and 1 / sqrt(variance + eps), and works out where the running statistics go:
 * running = (1 - momentum) running + momentum new, with the unbiased variance. S (4, C). One channel a work-item. */
__kernel void statistics(G const float *restrict P, long p0, G float *restrict S, long s0, G const float *restrict mean_, long m0, G const float *restrict var_, long v0,
                         long rows, long channels, long length, long parts, float momentum, float eps BOUND)
{
    INSIDE;
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
    S[s0 + 2 * channels + c] = mean_[m0 + c] + momentum * (mean - mean_[m0 + c]);
    S[s0 + 3 * channels + c] = var_[v0 + c] + momentum * (square / max(n - 1.0f, 1.0f) - var_[v0 + c]);
}

/* The running statistics go there. */
__kernel void follow(G const float *restrict S, long s0, G float *restrict mean_, long m0, G float *restrict var_, long v0, long channels BOUND)
{
    INSIDE;
    long c = get_global_id(0);
    mean_[m0 + c] = S[s0 + 2 * channels + c];
    var_[v0 + c] = S[s0 + 3 * channels + c];
}

/* The same two numbers from running statistics. */
__kernel void running(G const float *restrict mean_, long m0, G const float *restrict var_, long v0, G float *restrict S, long s0, long channels, float eps BOUND)
{
    INSIDE;
    long c = get_global_id(0);
    S[s0 + c] = mean_[m0 + c];
    S[s0 + channels + c] = 1.0f / sqrt(var_[v0 + c] + eps);
}

/* What turns x into z = (x - mean) scale + shift for channels c... It is filled and not returned: Oclgrind stops at the notes that compilers make
 * of returned structs where they inline a function. */
typedef struct affine { vf mean, inverse, scale, shift; } affine;

static inline void affine_of(affine *to, G const float *S, G const float *W, int weighted, G const float *B, int biased, long channels, long c, int m)
{
    affine a;
    a.mean = some(S + c, m);
    a.inverse = some(S + channels + c, m);
    a.scale = weighted ? a.inverse * some(W + c, m) : a.inverse;
    a.shift = biased ? some(B + c, m) : (vf)0.0f;
    *to = a;
}

static inline vf affine_at(const affine *a, vf x) { return fma(x - a->mean, a->scale, a->shift); }

/* g times the activation's slope at z. Relu and relu6 may be given their result instead of z: the same sides of the kinks. */
static inline vf slope(vf g, vf z, int activation)
{
    if (activation == ACT_RELU) return z <= (vf)0.0f ? (vf)0.0f : g;
    if (activation == ACT_RELU6) return z > (vf)0.0f && z < (vf)6.0f ? g : (vf)0.0f;
    if (activation == ACT_SILU) {
        vf p = (vf)1.0f / ((vf)1.0f + fast_exp(-z));
        return g * p * ((vf)1.0f + z * ((vf)1.0f - p));
    }
    if (activation == ACT_HARDSWISH) return z <= (vf)-3.0f ? (vf)0.0f : (z >= (vf)3.0f ? g : g * (z / (vf)3.0f + (vf)0.5f));
    return g;
}

/* y = activation(z + residual); work-item (channel vector, part of `length` rows) */
__kernel void normalise(G const float *restrict X, long x0, G const float *restrict S, long s0, G const float *restrict W, long w0, int weighted,
                        G const float *restrict B, long b0, int biased, G const float *restrict R, long r0, int residual, int activation,
                        G float *restrict Y, long y0, long rows, long channels, long length BOUND)
{
    INSIDE;
    long c = get_global_id(0) * TL_VECTOR, r = get_global_id(1) * length, end = min(r + length, rows);
    int m = (int)min((long)TL_VECTOR, channels - c);
    affine a;
    affine_of(&a, S + s0, W + w0, weighted, B + b0, biased, channels, c, m);
    for (long i = r; i < end; i++) {
        vf z = affine_at(&a, some(X + x0 + i * channels + c, m));
        if (residual) z += some(R + r0 + i * channels + c, m);
        put(activate(z, activation), Y + y0 + i * channels + c, m);
    }
}

/* Parts of sum(g) and sum(g xhat), with xhat = (x - mean) inverse and g = gy activation'(z): P (parts, 2, C). With a
 * residual z is not at hand: the slope comes from the result Y, and g, which is the residual's gradient, is kept in GR. */
__kernel void gradient_sums(G const float *restrict X, long x0, G const float *restrict GY, long g0, G const float *restrict S, long s0,
                            G const float *restrict W, long w0, int weighted, G const float *restrict B, long b0, int biased,
                            G const float *restrict Y, long y0, G float *restrict GR, long gr0, int residual, int activation,
                            G float *restrict P, long p0, long rows, long channels, long length BOUND)
{
    INSIDE;
    long c = get_global_id(0) * TL_VECTOR, part = get_global_id(1), r = part * length, end = min(r + length, rows);
    int m = (int)min((long)TL_VECTOR, channels - c);
    affine a;
    affine_of(&a, S + s0, W + w0, weighted, B + b0, biased, channels, c, m);
    vf sum = (vf)0.0f, product = (vf)0.0f;
    for (long i = r; i < end; i++) {
        vf x = some(X + x0 + i * channels + c, m), g = some(GY + g0 + i * channels + c, m);
        if (activation) g = slope(g, residual ? some(Y + y0 + i * channels + c, m) : affine_at(&a, x), activation);
        if (activation && residual) put(g, GR + gr0 + i * channels + c, m);
        sum += g;
        product = fma(g, (x - a.mean) * a.inverse, product);
    }
    put(sum, P + p0 + 2 * part * channels + c, m);
    put(product, P + p0 + (2 * part + 1) * channels + c, m);
}

/* training: dx = scale (g - mean(g) - xhat mean(g xhat)); else dx = scale g. T (2, C) holds the sums; g as above, or GY
 * itself where `activation` is none. */
__kernel void gradient_x(G const float *restrict X, long x0, G const float *restrict GY, long g0, G const float *restrict S, long s0,
                         G const float *restrict T, long t0, G const float *restrict W, long w0, int weighted, G const float *restrict B, long b0, int biased,
                         int activation, int training, G float *restrict DX, long d0, long rows, long channels, long length BOUND)
{
    INSIDE;
    long c = get_global_id(0) * TL_VECTOR, r = get_global_id(1) * length, end = min(r + length, rows);
    int m = (int)min((long)TL_VECTOR, channels - c);
    affine a;
    affine_of(&a, S + s0, W + w0, weighted, B + b0, biased, channels, c, m);
    vf n = (vf)(float)rows, ga = (vf)0.0f, gb = (vf)0.0f;
    if (training) {
        ga = some(T + t0 + c, m) / n;
        gb = some(T + t0 + channels + c, m) / n;
    }
    for (long i = r; i < end; i++) {
        vf g = some(GY + g0 + i * channels + c, m), x = (vf)0.0f;
        if (training || activation) x = some(X + x0 + i * channels + c, m);
        if (activation) g = slope(g, affine_at(&a, x), activation);
        if (training) g = g - ga - (x - a.mean) * a.inverse * gb;
        put(a.scale * g, DX + d0 + i * channels + c, m);
    }
}
