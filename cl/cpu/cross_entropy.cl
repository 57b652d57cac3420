#include "softmax.clh"
#include "labels.clh"
/* cross_entropy.cl - losses between rows of logits and classes: one work-item a row of length C. X, T are
 * packed (rows, C). */
/* loss[2r] = the row's loss, loss[2r + 1] = its weight. With smoothing e:
 * (1 - e) w_y (lse - x_y) + e / C sum_c w_c (lse - x_c). */
__kernel void cross_entropy_rows(G const float *restrict X, long x0, G const int *restrict labels, long l0,
                                 G const float *restrict W, long w0, int weighted, G float *restrict loss, long o0,
                                 long n, float smoothing, int ignore, G int *error BOUND)
{
    INSIDE;
    long r = get_global_id(0);
    G const float *x = X + x0 + r * n;
    G float *o = loss + o0 + 2 * r;
    int label = labels[l0 + r];
    o[0] = o[1] = 0.0f;
    if (!label_ok(label, n, ignore, error)) return;
    float m = row_max(x, n), lse = m + log(row_exp_sum(x, n, m)), w = weighted ? W[w0 + label] : 1.0f;
    float value = (1.0f - smoothing) * w * (lse - x[label]);
    if (smoothing > 0.0f) {
        float rest = 0.0f;
        for (long i = 0; i < n; i++) rest += (weighted ? W[w0 + i] : 1.0f) * (lse - x[i]);
        value += smoothing / n * rest;
    }
    o[0] = value;
    o[1] = w;
}

/* total[p, 0] = sum of the losses of `length` rows from p length on (divided by the weights for the mean), total[p, 1]
 * = sum of their weights; work-item p. Many rows are summed in parts, and these again. What rounding loses of a sum is
 * kept in `lost` (Kahan 1965): a plain sum is off in the sixth digit after a million rows. An infinite loss would make
 * NaN of what is lost. */
__kernel void cross_entropy_total(G const float *restrict loss, long o0, long rows, long length, int mean,
                                  G float *restrict total, long t0 BOUND)
{
    INSIDE;
    long p = get_global_id(0), end = min((p + 1) * length, rows);
    float2 sum = (float2)0.0f, lost = (float2)0.0f;
    for (long r = p * length; r < end; r++) {
        float2 own = vload2(r, loss + o0) - lost, more = sum + own;
        lost = isfinite(more) ? (more - sum) - own : (float2)0.0f;
        sum = more;
    }
    float a = sum.x, b = sum.y;
    total[t0 + 2 * p] = mean ? a / b : a;
    total[t0 + 2 * p + 1] = b;
}

/* dx_c = s ( ((1 - e) w_y + e / C sum w) p_c - (1 - e) w_y [c = y] - e / C w_c ),
 * s = gy (over the sum of weights for the mean) */
__kernel void cross_entropy_grad(G const float *restrict X, long x0, G const int *restrict labels, long l0,
                                 G const float *restrict W, long w0, int weighted, G const float *restrict GY,
                                 long g0, int per_row, G const float *restrict total, long t0, int mean,
                                 G float *restrict DX, long d0, long n, float smoothing, int ignore BOUND)
{
    INSIDE;
    long r = get_global_id(0);
    G const float *x = X + x0 + r * n;
    G float *d = DX + d0 + r * n;
    int label = labels[l0 + r];
    if (label == ignore || label < 0 || label >= n) {
        for (long i = 0; i < n; i++) d[i] = 0.0f;
        return;
    }
    float s = GY[g0 + (per_row ? r : 0)] / (mean ? total[t0 + 1] : 1.0f);
    float m = row_max(x, n), scale = 1.0f / row_exp_sum(x, n, m), w = weighted ? W[w0 + label] : 1.0f, all = (float)n;
    if (weighted && smoothing > 0.0f) {
        all = 0.0f;
        for (long i = 0; i < n; i++) all += W[w0 + i];
    }
    float factor = (1.0f - smoothing) * w + smoothing / n * all;
    for (long i = 0; i < n; i++) {
        float own = smoothing / n * (weighted ? W[w0 + i] : 1.0f) + (i == label ? (1.0f - smoothing) * w : 0.0f);
        d[i] = s * (factor * exp(x[i] - m) * scale - own);
    }
}

/* loss[2r] = sum_c w_c t_c (lse - x_c), t smoothed; loss[2r + 1] = 1 */
__kernel void soft_cross_entropy_rows(G const float *restrict X, long x0, G const float *restrict T, long t0,
                                      G const float *restrict W, long w0, int weighted, G float *restrict loss,
                                      long o0, long n, float smoothing BOUND)
{
    INSIDE;
    long r = get_global_id(0);
    G const float *x = X + x0 + r * n, *t = T + t0 + r * n;
    float m = row_max(x, n), lse = m + log(row_exp_sum(x, n, m)), sum = 0.0f;
    for (long i = 0; i < n; i++) sum += (weighted ? W[w0 + i] : 1.0f) * smoothed(t[i], smoothing, n) * (lse - x[i]);
    loss[o0 + 2 * r] = sum;
    loss[o0 + 2 * r + 1] = 1.0f;
}

/* dx_c = s (p_c sum_k(w_k t_k) - w_c t_c), t smoothed; dt_c = s (1 - e) w_c (lse - x_c); s = gy times `share` */
__kernel void soft_cross_entropy_grad(G const float *restrict X, long x0, G const float *restrict T, long t0,
                                      G const float *restrict W, long w0, int weighted, G const float *restrict GY,
                                      long g0, int per_row, float share, G float *restrict DX, long d0, int for_x,
                                      G float *restrict DT, long e0, int for_t, long n, float smoothing BOUND)
{
    INSIDE;
    long r = get_global_id(0);
    G const float *x = X + x0 + r * n, *t = T + t0 + r * n;
    float s = GY[g0 + (per_row ? r : 0)] * share, all = 0.0f;
    float m = row_max(x, n), sum = row_exp_sum(x, n, m), lse = m + log(sum);
    for (long i = 0; i < n; i++) all += (weighted ? W[w0 + i] : 1.0f) * smoothed(t[i], smoothing, n);
    for (long i = 0; i < n; i++) {
        float w = weighted ? W[w0 + i] : 1.0f;
        if (for_x) DX[d0 + r * n + i] = s * (all * exp(x[i] - m) / sum - w * smoothed(t[i], smoothing, n));
        if (for_t) DT[e0 + r * n + i] = s * (1.0f - smoothing) * w * (lse - x[i]);
    }
}

/* Focal loss (Lin et al. 2017, equation 5): with l = lse - x_y = -log p_y, loss[2r] = w_y (1 - p_y)^gamma l and
 * loss[2r + 1] = 1. 1 - p_y is -expm1(-l): nothing cancels where p_y is near one. */
__kernel void focal_rows(G const float *restrict X, long x0, G const int *restrict labels, long l0,
                         G const float *restrict W, long w0, int weighted, G float *restrict loss, long o0, long n,
                         float gamma, int ignore, G int *error BOUND)
{
    INSIDE;
    long r = get_global_id(0);
    G const float *x = X + x0 + r * n;
    G float *o = loss + o0 + 2 * r;
    int label = labels[l0 + r];
    o[0] = o[1] = 0.0f;
    if (!label_ok(label, n, ignore, error)) return;
    float m = row_max(x, n), l = m + log(row_exp_sum(x, n, m)) - x[label], q = -expm1(-l);
    o[0] = (weighted ? W[w0 + label] : 1.0f) * (q > 0.0f ? pow(q, gamma) * l : gamma == 0.0f ? l : 0.0f * l);
    o[1] = 1.0f;
}

/* dx_c = s w_y k (p_c - [c = y]), k = q^gamma + gamma p_y q^(gamma - 1) l with q = 1 - p_y;
 * s = gy (over the counted rows for the mean) */
__kernel void focal_grad(G const float *restrict X, long x0, G const int *restrict labels, long l0,
                         G const float *restrict W, long w0, int weighted, G const float *restrict GY, long g0,
                         int per_row, G const float *restrict total, long t0, int mean, G float *restrict DX, long d0,
                         long n, float gamma, int ignore BOUND)
{
    INSIDE;
    long r = get_global_id(0);
    G const float *x = X + x0 + r * n;
    G float *d = DX + d0 + r * n;
    int label = labels[l0 + r];
    if (label == ignore || label < 0 || label >= n) {
        for (long i = 0; i < n; i++) d[i] = 0.0f;
        return;
    }
    float m = row_max(x, n), sum = row_exp_sum(x, n, m), l = m + log(sum) - x[label], q = -expm1(-l);
    float k = q > 0.0f ? pow(q, gamma) + gamma * exp(-l) * pow(q, gamma - 1.0f) * l : gamma == 0.0f ? 1.0f : 0.0f * l;
    float s = GY[g0 + (per_row ? r : 0)] / (mean ? total[t0 + 1] : 1.0f) * (weighted ? W[w0 + label] : 1.0f) * k;
    for (long i = 0; i < n; i++) d[i] = s * (exp(x[i] - m) / sum - (i == label ? 1.0f : 0.0f));
}
