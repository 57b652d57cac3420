#include "gpu/row_softmax.clh"
#include "labels.clh"
/* cross_entropy_gpu.cl - cpu/cross_entropy.cl's work with lanes to a row, whose formulas and arguments these are: X, T
 * packed (rows, n). A row that does not count goes through all barriers with the others. */
OVER_LANES(pair_over_lanes, float2, ADDED)

static inline float weight_of(G const float *W, int weighted, long i) { return weighted ? W[i] : 1.0f; }

__kernel void cross_entropy_rows_gpu(G const float *restrict X, long x0, G const int *restrict labels, long l0,
                                     G const float *restrict W, long w0, int weighted, G float *restrict loss,
                                     long o0, long n, float smoothing, int ignore, G int *error, ROW_ARGS)
{
    __local float2 t[MOST_ITEMS];
    __local float rests[MOST_ITEMS];
    ROW_PLACE(n);
    G const float *x = X + x0 + r * n;
    G float *o = loss + o0 + 2 * r;
    float2 s = softmax_of_row(x, t, id, lanes, own);
    float lse = s.x + log(s.y), rest = 0.0f;
    if (smoothing > 0.0f) {
        EACH_OF_ROW rest += weight_of(W + w0, weighted, i) * (lse - x[i]);
        rest = sum_over_lanes(rests, rest, id, lanes);
    }
    if (lane != 0 || r >= rows) return;
    int label = labels[l0 + r];
    o[0] = o[1] = 0.0f;
    if (!label_ok(label, n, ignore, error)) return;
    float w = weight_of(W + w0, weighted, label), value = (1.0f - smoothing) * w * (lse - x[label]);
    o[0] = smoothing > 0.0f ? value + smoothing / n * rest : value;
    o[1] = w;
}

/* Row p of the launch is part p of `length` rows' losses, summed with what rounding loses (Kahan 1965) by each lane. */
__kernel void cross_entropy_total_gpu(G const float *restrict loss, long o0, long count, long length, int mean,
                                      G float *restrict total, long t0, ROW_ARGS)
{
    __local float2 t[MOST_ITEMS];
    ROW_PLACE(min(length, count - r * length));
    float2 sum = (float2)0.0f, lost = (float2)0.0f;
    LOOP for (long i = lane; i < own; i += lanes) {
        float2 mine = vload2(r * length + i, loss + o0) - lost, more = sum + mine;
        lost = isfinite(more) ? (more - sum) - mine : (float2)0.0f;
        sum = more;
    }
    sum = pair_over_lanes(t, sum, id, lanes);
    if (lane != 0 || r >= rows) return;
    total[t0 + 2 * r] = mean ? sum.x / sum.y : sum.x;
    total[t0 + 2 * r + 1] = sum.y;
}

__kernel void cross_entropy_grad_gpu(G const float *restrict X, long x0, G const int *restrict labels, long l0,
                                     G const float *restrict W, long w0, int weighted, G const float *restrict GY,
                                     long g0, int per_row, G const float *restrict total, long t0, int mean,
                                     G float *restrict DX, long d0, long n, float smoothing, int ignore, ROW_ARGS)
{
    __local float2 t[MOST_ITEMS];
    __local float weights[MOST_ITEMS];
    ROW_PLACE(n);
    G const float *x = X + x0 + r * n;
    G float *d = DX + d0 + r * n;
    int label = labels[l0 + min(r, rows - 1)], counts = label != ignore && label >= 0 && label < n;
    float s = GY[g0 + (per_row ? min(r, rows - 1) : 0)] / (mean ? total[t0 + 1] : 1.0f), all = (float)n;
    float2 e = softmax_of_row(x, t, id, lanes, own);
    if (weighted && smoothing > 0.0f) {
        all = 0.0f;
        EACH_OF_ROW all += W[w0 + i];
        all = sum_over_lanes(weights, all, id, lanes);
    }
    float w = counts ? (1.0f - smoothing) * weight_of(W + w0, weighted, label) : 0.0f, scale = 1.0f / e.y;
    float factor = w + smoothing / n * all;
    EACH_OF_ROW {
        float mine = smoothing / n * weight_of(W + w0, weighted, i) + (i == label ? w : 0.0f);
        d[i] = counts ? s * (factor * exp(x[i] - e.x) * scale - mine) : 0.0f;
    }
}

__kernel void soft_cross_entropy_rows_gpu(G const float *restrict X, long x0, G const float *restrict T, long t0,
                                          G const float *restrict W, long w0, int weighted, G float *restrict loss,
                                          long o0, long n, float smoothing, ROW_ARGS)
{
    __local float2 t[MOST_ITEMS];
    __local float sums[MOST_ITEMS];
    ROW_PLACE(n);
    G const float *x = X + x0 + r * n, *target = T + t0 + r * n;
    float2 s = softmax_of_row(x, t, id, lanes, own);
    float lse = s.x + log(s.y), sum = 0.0f;
    EACH_OF_ROW sum += weight_of(W + w0, weighted, i) * smoothed(target[i], smoothing, n) * (lse - x[i]);
    sum = sum_over_lanes(sums, sum, id, lanes);
    if (lane != 0 || r >= rows) return;
    loss[o0 + 2 * r] = sum;
    loss[o0 + 2 * r + 1] = 1.0f;
}

__kernel void soft_cross_entropy_grad_gpu(G const float *restrict X, long x0, G const float *restrict T, long t0,
                                          G const float *restrict W, long w0, int weighted,
                                          G const float *restrict GY, long g0, int per_row, float share,
                                          G float *restrict DX, long d0, int for_x, G float *restrict DT, long e0,
                                          int for_t, long n, float smoothing, ROW_ARGS)
{
    __local float2 t[MOST_ITEMS];
    __local float sums[MOST_ITEMS];
    ROW_PLACE(n);
    G const float *x = X + x0 + r * n, *target = T + t0 + r * n;
    float s = GY[g0 + (per_row ? min(r, rows - 1) : 0)] * share, all = 0.0f;
    float2 e = softmax_of_row(x, t, id, lanes, own);
    float lse = e.x + log(e.y);
    EACH_OF_ROW all += weight_of(W + w0, weighted, i) * smoothed(target[i], smoothing, n);
    all = sum_over_lanes(sums, all, id, lanes);
    EACH_OF_ROW {
        float w = weight_of(W + w0, weighted, i);
        if (for_x) DX[d0 + r * n + i] = s * (all * exp(x[i] - e.x) / e.y - w * smoothed(target[i], smoothing, n));
        if (for_t) DT[e0 + r * n + i] = s * (1.0f - smoothing) * w * (lse - x[i]);
    }
}

__kernel void focal_rows_gpu(G const float *restrict X, long x0, G const int *restrict labels, long l0,
                             G const float *restrict W, long w0, int weighted, G float *restrict loss, long o0, long n,
                             float gamma, int ignore, G int *error, ROW_ARGS)
{
    __local float2 t[MOST_ITEMS];
    ROW_PLACE(n);
    G const float *x = X + x0 + r * n;
    G float *o = loss + o0 + 2 * r;
    float2 s = softmax_of_row(x, t, id, lanes, own);
    if (lane != 0 || r >= rows) return;
    int label = labels[l0 + r];
    o[0] = o[1] = 0.0f;
    if (!label_ok(label, n, ignore, error)) return;
    float l = s.x + log(s.y) - x[label], q = -expm1(-l);
    o[0] = weight_of(W + w0, weighted, label) * (q > 0.0f ? pow(q, gamma) * l : gamma == 0.0f ? l : 0.0f * l);
    o[1] = 1.0f;
}

__kernel void focal_grad_gpu(G const float *restrict X, long x0, G const int *restrict labels, long l0,
                             G const float *restrict W, long w0, int weighted, G const float *restrict GY, long g0,
                             int per_row, G const float *restrict total, long t0, int mean, G float *restrict DX,
                             long d0, long n, float gamma, int ignore, ROW_ARGS)
{
    __local float2 t[MOST_ITEMS];
    ROW_PLACE(n);
    G const float *x = X + x0 + r * n;
    G float *d = DX + d0 + r * n;
    int label = labels[l0 + min(r, rows - 1)], counts = r < rows && label != ignore && label >= 0 && label < n;
    float2 e = softmax_of_row(x, t, id, lanes, own);
    float l = counts ? e.x + log(e.y) - x[label] : 1.0f, q = -expm1(-l);
    float k = q > 0.0f ? pow(q, gamma) + gamma * exp(-l) * pow(q, gamma - 1.0f) * l : gamma == 0.0f ? 1.0f : 0.0f * l;
    float s = GY[g0 + (per_row ? min(r, rows - 1) : 0)] / (mean ? total[t0 + 1] : 1.0f);
    s *= (counts ? weight_of(W + w0, weighted, label) : 0.0f) * k;
    EACH_OF_ROW d[i] = counts ? s * (exp(x[i] - e.x) / e.y - (i == label ? 1.0f : 0.0f)) : 0.0f;
}
