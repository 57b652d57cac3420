#include "common.clh"
/* optim.cl - one step over a stretch of flat parameters. One work-item: `chunk` elements. Gradients lie in buffers of
 * their own, the first of which belongs to element `from`.
 *
 * With ROWS the stretch is of some rows of a table, `from` numbers each: moments lie by `place`, which says for each
 * the row of the table and that of the gradient (its last row, which is zero, where the step has none). A work-item
 * stays within a row. */
#ifdef ROWS
#define STRETCH                                                       \
    long i = get_global_id(0) * chunk, end = min(i + chunk, n);       \
    long row = i / from;                                              \
    W += at + (place[row].x - row) * from;                            \
    GR += (place[row].y - row) * from
#else
#define STRETCH                                                       \
    long i = get_global_id(0) * chunk + at, end = min(i + chunk, n + at); \
    GR -= from
#endif

/* SGD: g += wd w; v = momentum v + fresh g, fresh = 1 - dampening (first step: v = g); g = nesterov ? g + momentum v : v; w -= lr g */
__kernel void sgd(long at, long n, long chunk, G float *restrict W, G const float *restrict GR, long from,
                  G const int2 *restrict place, G float *restrict V, float lr, float wd, float momentum, float fresh,
                  int nesterov, int first BOUND)
{
    INSIDE;
    STRETCH;
    for (; i < end; i++) {
        float g = GR[i] + wd * W[i];
        if (momentum != 0.0f) {
            float v = first ? g : momentum * V[i] + fresh * g;
            V[i] = v;
            g = nesterov ? g + momentum * v : v;
        }
        W[i] -= lr * g;
    }
}

/* Adam (Kingma and Ba 2015), as torch.optim.Adam: step = lr / (1 - beta1^t), root = sqrt(1 - beta2^t), rest = 1 - beta;
 * w -= step m / (sqrt(v) / root + eps). Decoupled decay (AdamW): w *= 1 - lr wd first, given as `shrink`. */
__kernel void adam(long at, long n, long chunk, G float *restrict W, G const float *restrict GR, long from,
                   G const int2 *restrict place, G float *restrict M, G float *restrict V, float step, float root,
                   float rest1, float beta2, float rest2, float eps, float wd, float shrink BOUND)
{
    INSIDE;
    STRETCH;
    for (; i < end; i++) {
        float w = W[i] * shrink, g = GR[i] + wd * W[i];
        float m = M[i] + (g - M[i]) * rest1, v = beta2 * V[i] + rest2 * g * g;
        M[i] = m;
        V[i] = v;
        W[i] = w - step * (m / (sqrt(v) / root + eps));
    }
}

/* RMSprop, as torch.optim.RMSprop: g += wd w; v = alpha v + rest g g, rest = 1 - alpha; d = sqrt(v) + eps, centered:
 * a += rest (g - a), d = sqrt(v - a a) + eps; with momentum m = momentum m + g / d, w -= lr m; else w -= lr g / d. */
__kernel void rmsprop(long at, long n, long chunk, G float *restrict W, G const float *restrict GR, long from,
                      G const int2 *restrict place, G float *restrict V, G float *restrict M, G float *restrict A,
                      float lr, float wd, float alpha, float rest, float eps, float momentum, int centered BOUND)
{
    INSIDE;
    STRETCH;
    for (; i < end; i++) {
        float g = GR[i] + wd * W[i], v = alpha * V[i] + rest * g * g, square = v;
        V[i] = v;
        if (centered) {
            float a = A[i] + (g - A[i]) * rest;
            A[i] = a;
            square = v - a * a;
            square = square < 0.0f ? 0.0f : square; /* rounding may take it below; a NaN stays */
        }
        float step = g / (sqrt(square) + eps);
        if (momentum != 0.0f) M[i] = step = momentum * M[i] + step;
        W[i] -= lr * step;
    }
}

/* Lion (Chen et al. 2023, algorithm 2): w = shrink w - lr sign(beta1 m + rest1 g), shrink = 1 - lr wd; m = beta2 m + rest2 g;
 * rest = 1 - beta. sign(0) is 0, a NaN stays one. */
__kernel void lion(long at, long n, long chunk, G float *restrict W, G const float *restrict GR, long from,
                   G const int2 *restrict place, G float *restrict M, float lr, float shrink, float beta1, float rest1,
                   float beta2, float rest2 BOUND)
{
    INSIDE;
    STRETCH;
    for (; i < end; i++) {
        float g = GR[i], m = M[i], c = beta1 * m + rest1 * g;
        float way = c > 0.0f ? 1.0f : c < 0.0f ? -1.0f : c; /* sign() would hide a NaN */
        W[i] = shrink * W[i] - lr * way;
        M[i] = beta2 * m + rest2 * g;
    }
}

/* LAMB (You et al. 2020, algorithm 2): with Adam's moments, r = m / (1 - beta1^t) / (sqrt(v) / root + eps) + wd w for each
 * element, and for each parameter as a whole w -= lr |w| / |r| r (the ratio is 1 where a norm is 0). */
#define LAMB_DIRECTION(w, m, v) ((m) * fix1 / (sqrt(v) / root + eps) + wd * (w))

/* Moments, and the sums of the squares of w and r over piece `first + id`: sums[2 id], sums[2 id + 1]. */
__kernel void lamb_moments(long first, G const int4 *restrict pieces, G const float *restrict W, G const float *restrict GR, long from, G float *restrict M,
                           G float *restrict V, G float *restrict sums, float rest1, float beta2, float rest2, float fix1, float root, float eps, float wd BOUND)
{
    INSIDE;
    long id = get_global_id(0);
    int4 piece = pieces[first + id];
    long i = (long)piece.x * 16, end = i + piece.y;
    float8 own = (float8)0.0f, step = (float8)0.0f;
    for (; i + 8 <= end; i += 8) {
        float8 w = vload8(0, W + i), g = vload8(0, GR + i - from), m = vload8(0, M + i), v = vload8(0, V + i);
        m += (g - m) * rest1;
        v = beta2 * v + rest2 * g * g;
        float8 r = LAMB_DIRECTION(w, m, v);
        vstore8(m, 0, M + i);
        vstore8(v, 0, V + i);
        own = fma(w, w, own);
        step = fma(r, r, step);
    }
    float4 a = own.lo + own.hi, b = step.lo + step.hi;
    float own1 = a.x + a.y + a.z + a.w, step1 = b.x + b.y + b.z + b.w;
    for (; i < end; i++) {
        float w = W[i], g = GR[i - from], m = M[i] + (g - M[i]) * rest1, v = beta2 * V[i] + rest2 * g * g, r = LAMB_DIRECTION(w, m, v);
        M[i] = m;
        V[i] = v;
        own1 = fma(w, w, own1);
        step1 = fma(r, r, step1);
    }
    sums[2 * id] = own1;
    sums[2 * id + 1] = step1;
}

/* ratio[id] = |w| / |r| of parameter from + id; its pieces follow each other. */
__kernel void lamb_ratio(long first, long count, int from, G const int4 *restrict pieces, G const float *restrict sums, G float *restrict ratio BOUND)
{
    INSIDE;
    int own = from + (int)get_global_id(0);
    long low = 0, high = count;
    while (low < high) { /* its first piece */
        long middle = (low + high) / 2;
        if (pieces[first + middle].z < own) low = middle + 1;
        else high = middle;
    }
    float w = 0.0f, r = 0.0f;
    for (; low < count && pieces[first + low].z == own; low++) {
        w += sums[2 * low];
        r += sums[2 * low + 1];
    }
    ratio[own - from] = w > 0.0f && r > 0.0f ? sqrt(w) / sqrt(r) : 1.0f;
}

__kernel void lamb_step(long first, int from, G const int4 *restrict pieces, G float *restrict W, G const float *restrict M, G const float *restrict V,
                        G const float *restrict ratio, float lr, float fix1, float root, float eps, float wd BOUND)
{
    INSIDE;
    int4 piece = pieces[first + get_global_id(0)];
    float rate = lr * ratio[piece.z - from];
    for (long i = (long)piece.x * 16, end = i + piece.y; i < end; i++) W[i] -= rate * LAMB_DIRECTION(W[i], M[i], V[i]);
}

/* Gradients times a factor, in place. */
__kernel void scale_gradients(long at, long n, long chunk, G float *restrict GR, long from, float factor BOUND)
{
    INSIDE;
    long i = get_global_id(0) * chunk, end = min(i + chunk, n);
    for (i += at, end += at; i < end; i++) GR[i - from] *= factor;
}

/* out[k]: sum of the squares of gradients k chunk to (k + 1) chunk. */
__kernel void square_sums(long at, long n, long chunk, G const float *restrict GR, long from, G float *restrict out BOUND)
{
    INSIDE;
    long k = get_global_id(0), i = k * chunk, end = min(i + chunk, n);
    float8 s = (float8)0.0f;
    for (i += at, end += at; i + 8 <= end; i += 8) {
        float8 g = vload8(0, GR + i - from);
        s = fma(g, g, s);
    }
    float4 h = s.lo + s.hi;
    float2 p = h.lo + h.hi;
    float sum = p.x + p.y;
    for (; i < end; i++) sum = fma(GR[i - from], GR[i - from], sum);
    out[k] = sum;
}

/* a += rest (x - a): a running average with decay 1 - rest. */
__kernel void ema(long n, long chunk, G float *restrict A, long a0, G const float *restrict X, long x0, float rest BOUND)
{
    INSIDE;
    long i = get_global_id(0) * chunk, end = min(i + chunk, n);
    for (; i < end; i++) A[a0 + i] += rest * (X[x0 + i] - A[a0 + i]);
}

__kernel void swap(long n, long chunk, G float *restrict A, long a0, G float *restrict B, long b0, float unused BOUND)
{
    INSIDE;
    long i = get_global_id(0) * chunk, end = min(i + chunk, n);
    for (; i < end; i++) {
        float a = A[a0 + i];
        A[a0 + i] = B[b0 + i];
        B[b0 + i] = a;
    }
}
