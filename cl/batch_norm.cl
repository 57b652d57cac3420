#include "conv_tile.clh"
/* batch_norm.cl - x (rows, C), statistics along the rows. Vectors run over channels. Sums are taken in parts of
 * `length` rows and then over the parts, always in the same order. Residual and activation are part of it, so that a
 * block of a network costs one pass forward and two backward.
 *
 * Work-item (x, y) of what goes over the rows: channels from x * SPAN vectors on, part y. Processors take `TURN` rows at a
 * time of BESIDE vectors after others, so that memory is read and written nearly in its order and the constants of a channel
 * stay in registers meanwhile; elsewhere a work-item has one vector. (src/op/batch_norm.c has SPAN, too.) */
#if TL_CPU && TL_VECTOR > 1
#define SPAN 16
enum { TURN = 8 };
/* DO(n, m) for each n vectors of the work-item and each turn of its rows: vectors from number v, channels c, on, with m channels
 * each; rows i0 to i1. */
#define EACH_TURN(DO)                                                                                           \
    long first = get_global_id(0) * SPAN * TL_VECTOR, r = get_global_id(1) * length, end = min(r + length, rows);\
    long count = min((long)(SPAN * TL_VECTOR), channels - first);                                               \
    for (long i0 = r; i0 < end; i0 += TURN) {                                                                   \
        long i1 = min(i0 + TURN, end);                                                                          \
        int v = 0;                                                                                              \
        for (; (v + 4) * TL_VECTOR <= count; v += 4) {                                                          \
            long c = first + v * TL_VECTOR;                                                                     \
            DO(4, TL_VECTOR)                                                                                    \
        }                                                                                                       \
        for (; (v + 2) * TL_VECTOR <= count; v += 2) {                                                          \
            long c = first + v * TL_VECTOR;                                                                     \
            DO(2, TL_VECTOR)                                                                                    \
        }                                                                                                       \
        for (; v * TL_VECTOR < count; v++) {                                                                    \
            long c = first + v * TL_VECTOR;                                                                     \
            int m = (int)min((long)TL_VECTOR, channels - c);                                                    \
            DO(1, m)                                                                                            \
        }                                                                                                       \
    }
#else
#define SPAN 1
#define EACH_TURN(DO)                                                                                           \
    long c = get_global_id(0) * TL_VECTOR, r = get_global_id(1) * length, end = min(r + length, rows);          \
    const int v = 0, m = (int)min((long)TL_VECTOR, channels - c);                                               \
    const long i0 = r, i1 = end;                                                                                \
    DO(1, m)
#endif
/* Vector q of those, at pointer p. */
#define GET(p, m) load_part((p) + q * TL_VECTOR, m)
#define PUT(x, p, m) store_part((x), (p) + q * TL_VECTOR, m)

/* Part p: mean and sum of squared distances from it, (parts, 2, C). The distances are taken from the part's first row, so that a
 * large mean does not eat the small digits. */
#define MOMENTS(N, M)                                                                                           \
    {                                                                                                           \
        G const float *x = X + x0 + c;                                                                          \
        G float *p = P + p0 + 2 * get_global_id(1) * channels + c;                                              \
        vf shift[BESIDE], sum[BESIDE], square[BESIDE], d[BESIDE];                                               \
        EACH(N, shift[q] = GET(x + r * channels, M))                                                            \
        EACH(N, sum[q] = sums[v + q])                                                                           \
        EACH(N, square[q] = squares[v + q])                                                                     \
        for (long i = i0; i < i1; i++) {                                                                        \
            EACH(N, d[q] = GET(x + i * channels, M) - shift[q])                                                 \
            EACH(N, sum[q] += d[q])                                                                             \
            EACH(N, square[q] = fma(d[q], d[q], square[q]))                                                     \
        }                                                                                                       \
        EACH(N, sums[v + q] = sum[q])                                                                           \
        EACH(N, squares[v + q] = square[q])                                                                     \
        if (i1 == end) {                                                                                        \
            vf number = (vf)(float)(end - r);                                                                   \
            EACH(N, PUT(shift[q] + sum[q] / number, p, M))                                                      \
            EACH(N, PUT(square[q] - sum[q] * sum[q] / number, p + channels, M))                                 \
        }                                                                                                       \
    }
__kernel void moments(G const float *restrict X, long x0, G float *restrict P, long p0, long rows, long channels, long length BOUND)
{
    INSIDE;
    vf sums[SPAN], squares[SPAN];
    for (int i = 0; i < SPAN; i++) sums[i] = squares[i] = (vf)0.0f;
    EACH_TURN(MOMENTS)
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

INLINE void affine_of(affine *to, G const float *S, G const float *W, int weighted, G const float *B, int biased, long channels, long c, int m)
{
    affine a;
    a.mean = load_part(S + c, m);
    a.inverse = load_part(S + channels + c, m);
    a.scale = weighted ? a.inverse * load_part(W + c, m) : a.inverse;
    a.shift = biased ? load_part(B + c, m) : (vf)0.0f;
    *to = a;
}
#define AFFINES(N, M)                                                                                           \
    affine a[BESIDE];                                                                                           \
    EACH(N, affine_of(&a[q], S + s0, W + w0, weighted, B + b0, biased, channels, c + q * TL_VECTOR, M))

INLINE vf affine_at(const affine *a, vf x) { return fma(x - a->mean, a->scale, a->shift); }

/* g[q] times the activation's slope at z[q]. Relu and relu6 may be given their result instead of z: the same sides of the kinks. */
INLINE vf slope(vf g, vf z, int activation)
{
    if (activation == ACT_RELU) return z <= (vf)0.0f ? (vf)0.0f : g;
    if (activation == ACT_RELU6) return z > (vf)0.0f && z < (vf)6.0f ? g : (vf)0.0f;
    if (activation == ACT_HARDSWISH) return z <= (vf)-3.0f ? (vf)0.0f : (z >= (vf)3.0f ? g : g * (z / (vf)3.0f + (vf)0.5f));
    return g;
}
INLINE void slopes(vf *g, const vf *z, int activation, int n)
{
    if (activation == ACT_SILU) {
        vf p[BESIDE];
        ones_and_exps_of_minus(z, p, n);
        EACH(n, p[q] = (vf)1.0f / p[q])
        EACH(n, g[q] = g[q] * p[q] * ((vf)1.0f + z[q] * ((vf)1.0f - p[q])))
    } else EACH(n, g[q] = slope(g[q], z[q], activation))
}

/* y = activation(z + residual) */
#define NORMALISE(N, M)                                                                                         \
    {                                                                                                           \
        AFFINES(N, M)                                                                                           \
        for (long i = i0; i < i1; i++) {                                                                        \
            long at = i * channels + c;                                                                         \
            vf z[BESIDE];                                                                                       \
            EACH(N, z[q] = affine_at(&a[q], GET(X + x0 + at, M)))                                               \
            if (residual) EACH(N, z[q] += GET(R + r0 + at, M))                                                  \
            activate_all(z, activation, N);                                                                     \
            EACH(N, PUT(z[q], Y + y0 + at, M))                                                                  \
        }                                                                                                       \
    }
__kernel void normalise(G const float *restrict X, long x0, G const float *restrict S, long s0, G const float *restrict W, long w0, int weighted,
                        G const float *restrict B, long b0, int biased, G const float *restrict R, long r0, int residual, int activation,
                        G float *restrict Y, long y0, long rows, long channels, long length BOUND)
{
    INSIDE;
    EACH_TURN(NORMALISE)
}

/* Parts of sum(g) and sum(g xhat), with xhat = (x - mean) inverse and g = gy activation'(z): P (parts, 2, C). With a
 * residual z is not at hand: the slope comes from the result Y, and g, which is the residual's gradient, is kept in GR. */
#define GRADIENT_SUMS(N, M)                                                                                     \
    {                                                                                                           \
        vf sum[BESIDE], product[BESIDE];                                                                        \
        AFFINES(N, M)                                                                                           \
        EACH(N, sum[q] = sums[v + q])                                                                           \
        EACH(N, product[q] = products[v + q])                                                                   \
        for (long i = i0; i < i1; i++) {                                                                        \
            long at = i * channels + c;                                                                         \
            vf x[BESIDE], g[BESIDE], z[BESIDE];                                                                 \
            EACH(N, x[q] = GET(X + x0 + at, M))                                                                 \
            EACH(N, g[q] = GET(GY + g0 + at, M))                                                                \
            if (activation) {                                                                                   \
                EACH(N, z[q] = residual ? GET(Y + y0 + at, M) : affine_at(&a[q], x[q]))                         \
                slopes(g, z, activation, N);                                                                    \
                if (residual) EACH(N, PUT(g[q], GR + gr0 + at, M))                                              \
            }                                                                                                   \
            EACH(N, sum[q] += g[q])                                                                             \
            EACH(N, product[q] = fma(g[q], (x[q] - a[q].mean) * a[q].inverse, product[q]))                      \
        }                                                                                                       \
        EACH(N, sums[v + q] = sum[q])                                                                           \
        EACH(N, products[v + q] = product[q])                                                                   \
        if (i1 == end) {                                                                                        \
            G float *p = P + p0 + 2 * get_global_id(1) * channels + c;                                          \
            EACH(N, PUT(sum[q], p, M))                                                                          \
            EACH(N, PUT(product[q], p + channels, M))                                                           \
        }                                                                                                       \
    }
__kernel void gradient_sums(G const float *restrict X, long x0, G const float *restrict GY, long g0, G const float *restrict S, long s0,
                            G const float *restrict W, long w0, int weighted, G const float *restrict B, long b0, int biased,
                            G const float *restrict Y, long y0, G float *restrict GR, long gr0, int residual, int activation,
                            G float *restrict P, long p0, long rows, long channels, long length BOUND)
{
    INSIDE;
    vf sums[SPAN], products[SPAN];
    for (int i = 0; i < SPAN; i++) sums[i] = products[i] = (vf)0.0f;
    EACH_TURN(GRADIENT_SUMS)
}

/* training: dx = scale (g - mean(g) - xhat mean(g xhat)); else dx = scale g. T (2, C) holds the sums; g as above, or GY
 * itself where `activation` is none. */
#define GRADIENT_X(N, M)                                                                                        \
    {                                                                                                           \
        vf ga[BESIDE], gb[BESIDE];                                                                              \
        AFFINES(N, M)                                                                                           \
        EACH(N, ga[q] = training ? GET(T + t0 + c, M) / (vf)(float)rows : (vf)0.0f)                             \
        EACH(N, gb[q] = training ? GET(T + t0 + channels + c, M) / (vf)(float)rows : (vf)0.0f)                  \
        for (long i = i0; i < i1; i++) {                                                                        \
            long at = i * channels + c;                                                                         \
            vf x[BESIDE], g[BESIDE], z[BESIDE];                                                                 \
            EACH(N, g[q] = GET(GY + g0 + at, M))                                                                \
            EACH(N, x[q] = training || activation ? GET(X + x0 + at, M) : (vf)0.0f)                             \
            if (activation) {                                                                                   \
                EACH(N, z[q] = affine_at(&a[q], x[q]))                                                          \
                slopes(g, z, activation, N);                                                                    \
            }                                                                                                   \
            if (training) EACH(N, g[q] = g[q] - ga[q] - (x[q] - a[q].mean) * a[q].inverse * gb[q])              \
            EACH(N, PUT(a[q].scale * g[q], DX + d0 + at, M))                                                    \
        }                                                                                                       \
    }
__kernel void gradient_x(G const float *restrict X, long x0, G const float *restrict GY, long g0, G const float *restrict S, long s0,
                         G const float *restrict T, long t0, G const float *restrict W, long w0, int weighted, G const float *restrict B, long b0, int biased,
                         int activation, int training, G float *restrict DX, long d0, long rows, long channels, long length BOUND)
{
    INSIDE;
    EACH_TURN(GRADIENT_X)
}
