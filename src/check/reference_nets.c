/* reference_nets.c - references of the operators that networks are made of. See reference.h. */
#include "check/reference.h"

#include <math.h>
#include <string.h>

/* ---- products ---- */

/* Where matrix `z` of `out`'s leading dimensions lies in an operand whose own leading dimensions are broadcast to them.
 */
static int64_t batch_at(const tl_shape *out, int leading, const tl_shape *in, int in_leading, int64_t z)
{
    int64_t at = 0, step = 1;
    for (int i = leading - 1, j = in_leading - 1; i >= 0; i--, j--) {
        int64_t index = z % out->dim[i];
        z /= out->dim[i];
        if (j < 0) continue;
        if (in->dim[j] > 1) at += index * step;
        step *= in->dim[j];
    }
    return at;
}

static void matmul(const tl__reference *r)
{
    tl_shape a = r->s->in[0].shape, b = r->s->in[1].shape;
    int ta = (int)r->s->attr[0].i, tb = (int)r->s->attr[1].i, leading = r->out.rank - (a.rank > 1) - (b.rank > 1);
    int64_t k = a.dim[a.rank > 1 && ta ? a.rank - 2 : a.rank - 1];
    int64_t m = a.rank > 1 ? a.dim[ta ? a.rank - 1 : a.rank - 2] : 1,
            n = b.rank > 1 ? b.dim[tb ? b.rank - 2 : b.rank - 1] : 1;
    int64_t a_row = ta && a.rank > 1 ? 1 : k, a_col = ta && a.rank > 1 ? m : 1, b_row = tb && b.rank > 1 ? 1 : n,
            b_col = tb && b.rank > 1 ? k : 1;
    for (int64_t at = 0, all = tl__numel(&r->out); at < all; at++) {
        int64_t z = at / (m * n), i = at / n % m, j = at % n;
        const double *x = r->in[0] + m * k * batch_at(&r->out, leading, &a, a.rank - 2, z),
                     *y = r->in[1] + k * n * batch_at(&r->out, leading, &b, b.rank - 2, z);
        for (int64_t l = 0; l < k; l++) r->y[at] += x[i * a_row + l * a_col] * y[l * b_row + j * b_col];
    }
}

static void linear(const tl__reference *r)
{
    int64_t in = r->s->in[1].shape.dim[1], out = r->s->in[1].shape.dim[0];
    for (int64_t at = 0, all = tl__numel(&r->out); at < all; at++) {
        double sum = (r->in[2] ? r->in[2][at % out] : 0) + (r->in[3] ? r->in[3][at] : 0);
        for (int64_t l = 0; l < in; l++) sum += r->in[0][at / out * in + l] * r->in[1][at % out * in + l];
        r->y[at] = tl__reference_activation((int)r->s->attr[0].i, sum);
    }
}

/* ---- windows: convolution and pooling ---- */

/* Pictures (N, D, H, W, C), with a length of 1 for the dimensions that there are not. */
typedef struct windows {
    int64_t in[3], out[3], kernel[3], stride[3], before[3], after[3], dilation[3], channels;
} windows;

static void spread(const windows *w, int spatial, const tl_shape *x, const tl_shape *y, windows *to)
{
    *to = *w;
    for (int i = 0; i < 3; i++) {
        int k = i - (3 - spatial);
        to->in[i] = k < 0 ? 1 : x->dim[1 + k];
        to->out[i] = k < 0 ? 1 : y->dim[1 + k];
    }
    to->channels = x->dim[spatial + 1];
}

/* The place in x of window element `t` (its three indices) of output pixel `o`, of channel 0 of picture n; -1: outside.
 */
static int64_t place(const windows *w, int64_t n, const int64_t o[3], const int64_t t[3])
{
    int64_t at = n;
    for (int i = 0; i < 3; i++) {
        int64_t index = o[i] * w->stride[i] - w->before[i] + t[i] * w->dilation[i];
        if (index < 0 || index >= w->in[i]) return -1;
        at = at * w->in[i] + index;
    }
    return at * w->channels;
}

static void split(int64_t k, const int64_t dims[3], int64_t out[3])
{
    out[2] = k % dims[2];
    out[1] = k / dims[2] % dims[1];
    out[0] = k / dims[2] / dims[1] % dims[0];
}

static void conv(const tl__reference *r)
{
    enum { STRIDE, PADDING, PADDING_END, DILATION, GROUPS, ACTIVATION };
    const tl_shape *x = &r->s->in[0].shape, *weight = &r->s->in[1].shape;
    const tl_value *a = r->s->attr;
    int spatial = x->rank - 2;
    windows w = {.channels = 0};
    int64_t taps = 1, co = weight->dim[0], share = weight->dim[1];
    for (int i = 0; i < 3; i++) {
        int k = i - (3 - spatial);
        w.kernel[i] = k < 0 ? 1 : weight->dim[2 + k];
        w.stride[i] = k < 0 ? 1 : tl__reference_number(&a[STRIDE], k, 1);
        w.before[i] = k < 0 ? 0 : tl__reference_number(&a[PADDING], k, 0);
        w.dilation[i] = k < 0 ? 1 : tl__reference_number(&a[DILATION], k, 1);
        taps *= w.kernel[i];
    }
    spread(&w, spatial, x, &r->out, &w);
    for (int64_t at = 0, all = tl__numel(&r->out); at < all; at++) {
        int64_t channel = at % co, pixel = at / co, o[3], t[3], first = channel / (co / a[GROUPS].i) * share;
        int64_t n = pixel / (w.out[0] * w.out[1] * w.out[2]);
        double sum = (r->in[2] ? r->in[2][channel] : 0) + (r->in[3] ? r->in[3][at] : 0);
        split(pixel, w.out, o);
        for (int64_t tap = 0; tap < taps; tap++) {
            split(tap, w.kernel, t);
            int64_t from = place(&w, n, o, t);
            for (int64_t c = 0; c < share && from >= 0; c++)
                sum += r->in[0][from + first + c] * r->in[1][(channel * share + c) * taps + tap];
        }
        r->y[at] = tl__reference_activation((int)a[ACTIVATION].i, sum);
    }
}

static void pool(const tl__reference *r)
{
    enum { KERNEL, STRIDE, PADDING, PADDING_END, CEIL, COUNT_PADDING, OF_MAX = 5, OF_MEAN };
    const tl_shape *x = &r->s->in[0].shape;
    const tl_value *a = r->s->attr;
    int spatial = x->rank - 2, most = r->s->op->name[0] == 'm';
    windows w = {.channels = 0};
    int64_t taps = 1;
    for (int i = 0; i < 3; i++) {
        int k = i - (3 - spatial);
        w.kernel[i] = k < 0 ? 1 : tl__reference_number(&a[KERNEL], k, 1);
        w.stride[i] = k < 0 ? 1 : tl__reference_number(&a[STRIDE], k, w.kernel[i]);
        w.before[i] = k < 0 ? 0 : tl__reference_number(&a[PADDING], k, 0);
        w.after[i] = k < 0 ? 0 : tl__reference_number(&a[PADDING_END], k, w.before[i]);
        w.dilation[i] = k < 0 ? 1 : tl__reference_number(&a[most ? OF_MAX : OF_MEAN], k, 1);
        taps *= w.kernel[i];
    }
    spread(&w, spatial, x, &r->out, &w);
    for (int64_t at = 0, all = tl__numel(&r->out); at < all; at++) {
        int64_t pixel = at / w.channels, o[3], t[3], inside = 0, whole = 1;
        double sum = 0, best = -INFINITY;
        split(pixel, w.out, o);
        for (int64_t tap = 0; tap < taps; tap++) {
            split(tap, w.kernel, t);
            int64_t from = place(&w, pixel / (w.out[0] * w.out[1] * w.out[2]), o, t);
            if (from < 0) continue;
            inside++;
            sum += r->in[0][from + at % w.channels];
            best = fmax(best, r->in[0][from + at % w.channels]);
        }
        /* In ceil mode a window that hangs over the end of the padding is cut there. */
        for (int i = 0; i < 3; i++) {
            int64_t first = o[i] * w.stride[i] - w.before[i], most_end = w.in[i] + w.after[i], some = 0;
            for (int64_t tap = 0; tap < w.kernel[i]; tap++) some += first + tap * w.dilation[i] < most_end;
            whole *= some;
        }
        r->y[at] = most ? best : sum / (double)(a[COUNT_PADDING].i ? whole : inside);
    }
}

/* ---- norms ---- */

/* Mean and variance of n numbers that lie `step` apart. */
static void moments(const double *x, int64_t n, int64_t step, double *mean, double *variance)
{
    *mean = *variance = 0;
    for (int64_t i = 0; i < n; i++) *mean += x[i * step] / (double)n;
    for (int64_t i = 0; i < n; i++) *variance += (x[i * step] - *mean) * (x[i * step] - *mean) / (double)n;
}

static void layer_norm(const tl__reference *r)
{
    const tl_shape *x = &r->s->in[0].shape;
    int64_t n = x->dim[x->rank - 1];
    double mean = 0, variance = 0;
    for (int64_t at = 0, all = tl__numel(x); at < all; at++) {
        if (at % n == 0) moments(r->in[0] + at, n, 1, &mean, &variance);
        double y = (r->in[0][at] - mean) / sqrt(variance + r->s->attr[0].f);
        r->y[at] = y * (r->in[1] ? r->in[1][at % n] : 1) + (r->in[2] ? r->in[2][at % n] : 0);
    }
}

/* By sample and group: the mean of the channels' means, and of their squares. */
static void group_norm(const tl__reference *r)
{
    enum { GROUPS, EPS, SLOPE };
    const tl_shape *x = &r->s->in[0].shape;
    int64_t channels = x->dim[x->rank - 1], rows = tl__numel(x) / channels / x->dim[0], groups = r->s->attr[GROUPS].i ? r->s->attr[GROUPS].i : channels;
    int64_t wide = channels / groups;
    for (int64_t n = 0; n < x->dim[0]; n++)
        for (int64_t c = 0; c < channels; c++) {
            const double *from = r->in[0] + n * rows * channels + c / wide * wide;
            double mean = 0, variance = 0;
            for (int64_t i = 0; i < wide; i++) {
                double m, v;
                moments(from + i, rows, channels, &m, &v);
                mean += m / (double)wide;
                variance += (v + m * m) / (double)wide;
            }
            variance -= mean * mean;
            for (int64_t i = 0; i < rows; i++) {
                int64_t at = (n * rows + i) * channels + c;
                double z = (r->in[0][at] - mean) / sqrt(variance + r->s->attr[EPS].f) * (r->in[1] ? r->in[1][c] : 1) + (r->in[2] ? r->in[2][c] : 0);
                r->y[at] = z > 0 ? z : z * r->s->attr[SLOPE].f;
            }
        }
}

static void batch_norm(const tl__reference *r)
{
    enum { TRAINING, MOMENTUM, EPS, ACTIVATION };
    const tl_shape *x = &r->s->in[0].shape;
    int64_t channels = x->dim[x->rank - 1], rows = tl__numel(x) / channels;
    for (int64_t c = 0; c < channels; c++) {
        double mean = r->in[3][c], variance = r->in[4][c];
        if (r->s->attr[TRAINING].i) moments(r->in[0] + c, rows, channels, &mean, &variance);
        for (int64_t i = 0; i < rows; i++) {
            int64_t at = i * channels + c;
            double y = (r->in[0][at] - mean) / sqrt(variance + r->s->attr[EPS].f) * (r->in[1] ? r->in[1][c] : 1) +
                       (r->in[2] ? r->in[2][c] : 0);
            r->y[at] = tl__reference_activation((int)r->s->attr[ACTIVATION].i,
                                                y + (r->s->n_in > 5 && r->in[5] ? r->in[5][at] : 0));
        }
    }
}

/* ---- sequences ---- */

/* One row of one head: y = sum_j p_j v_j, p = softmax of scale q k_j + bias_j over the keys that count. */
static void attend(const double *q, const double *k, const double *v, const double *bias, int64_t keys, int64_t row, int64_t width,
                   double scale, double *y)
{
    double sum = 0, most = -INFINITY;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t j = 0; j < keys; j++) {
            double score = bias ? bias[j] : 0;
            for (int64_t c = 0; c < width; c++) score += scale * q[c] * k[j * row + c];
            if (pass == 0) most = fmax(most, score);
            else sum += exp(score - most);
            for (int64_t c = 0; c < width && pass; c++) y[c] += exp(score - most) * v[j * row + c];
        }
    for (int64_t c = 0; c < width && keys > 0; c++) y[c] /= sum;
}

/* Where the bias of row i begins; it may be shared by sequences, heads and rows. */
static const double *bias_row(const tl__reference *r, int64_t n, int64_t h, int64_t i)
{
    enum { BIAS = 4 };
    if (!r->in[BIAS]) return NULL;
    const int64_t *dim = r->s->in[BIAS].shape.dim;
    return r->in[BIAS] + (((dim[0] > 1 ? n : 0) * dim[1] + (dim[1] > 1 ? h : 0)) * dim[2] + (dim[2] > 1 ? i : 0)) * dim[3];
}

enum { HEADS, CAUSAL, SCALE, LONGEST = 5, OFFSET }; /* attributes of attention */

/* Of `all` keys so many are seen by row `i`. */
static int64_t keys_of_row(const tl__reference *r, int64_t i, int64_t all)
{
    int64_t reach = i + 1 + r->s->attr[OFFSET].i;
    return r->s->attr[CAUSAL].i && reach < all ? reach : all;
}

/* Sequences one behind the other: each among its own rows. */
static void packed_attention(const tl__reference *r, double scale)
{
    const tl_shape *q = &r->s->in[0].shape;
    int64_t row = q->dim[1], heads = r->s->attr[HEADS].i, width = row / heads, start = 0;
    int64_t longest = r->s->attr[LONGEST].i;
    for (int64_t n = 0; n < r->s->in[3].shape.dim[0]; n++) {
        int64_t length = (int64_t)r->in[3][n], left = q->dim[0] - start;
        if (longest > 0 && length > longest) length = longest;
        if (length > left) length = left;
        for (int64_t i = 0; i < length; i++)
            for (int64_t h = 0; h < heads; h++)
                attend(r->in[0] + (start + i) * row + h * width, r->in[1] + start * row + h * width,
                       r->in[2] + start * row + h * width, NULL, keys_of_row(r, i, length), row, width, scale,
                       r->y + (start + i) * row + h * width);
        start += length;
    }
}

static void attention(const tl__reference *r)
{
    if (r->s->in[0].shape.rank == 2) {
        double own = sqrt((double)(r->s->in[0].shape.dim[1] / r->s->attr[HEADS].i));
        packed_attention(r, r->s->attr[SCALE].f > 0 ? r->s->attr[SCALE].f : 1 / own);
        return;
    }
    const tl_shape *q = &r->s->in[0].shape, *k = &r->s->in[1].shape;
    int64_t tq = q->dim[1], tk = k->dim[1], row = q->dim[2], heads = r->s->attr[HEADS].i, width = row / heads;
    double scale = r->s->attr[SCALE].f > 0 ? r->s->attr[SCALE].f : 1 / sqrt((double)width);
    for (int64_t n = 0; n < q->dim[0]; n++) {
        int64_t length = r->in[3] ? (int64_t)r->in[3][n] : tk;
        for (int64_t i = 0; i < tq; i++) {
            int64_t keys = keys_of_row(r, i, length), at = (n * tq + i) * row;
            if (tq == tk && i >= length) continue; /* a row of padding */
            for (int64_t h = 0; h < heads; h++)
                attend(r->in[0] + at + h * width, r->in[1] + n * tk * row + h * width,
                       r->in[2] + n * tk * row + h * width, bias_row(r, n, h, i), keys, row, width, scale, r->y + at + h * width);
        }
    }
}

static void embedding(const tl__reference *r)
{
    int64_t width = r->s->in[0].shape.dim[1];
    for (int64_t at = 0, all = tl__numel(&r->out); at < all; at++)
        r->y[at] = r->in[0][(int64_t)r->in[1][at / width] * width + at % width];
}

static void concat(const tl__reference *r)
{
    int axis = tl__axis((int)r->s->attr[0].i, r->out.rank);
    int64_t inner = 1, before = 0;
    for (int i = axis + 1; i < r->out.rank; i++) inner *= r->out.dim[i];
    int64_t row = r->out.dim[axis] * inner;
    for (int k = 0; k < r->s->n_in; k++) {
        int64_t own = r->s->in[k].shape.dim[axis] * inner;
        for (int64_t at = 0, all = tl__numel(&r->s->in[k].shape); at < all; at++)
            r->y[at / own * row + before + at % own] = r->in[k][at];
        before += own;
    }
}

/* Not while training: then a mask is drawn, which has a check of its own. */
static void dropout(const tl__reference *r)
{
    for (int64_t at = 0, all = tl__numel(&r->out); at < all; at++) r->y[at] = r->in[0][at];
}

tl__reference_fn *tl__reference_of_nets(const char *name)
{
    static const struct { const char *name; tl__reference_fn *f;
    } table[] = {{"matmul", matmul},         {"linear", linear},       {"conv", conv},
                 {"max_pool", pool},         {"avg_pool", pool},       {"layer_norm", layer_norm},
                 {"batch_norm", batch_norm}, {"group_norm", group_norm}, {"attention", attention}, {"embedding", embedding},
                 {"concat", concat},         {"dropout", dropout},     {NULL, NULL}};
    for (int i = 0; table[i].name; i++)
        if (strcmp(table[i].name, name) == 0) return table[i].f;
    return NULL;
}
