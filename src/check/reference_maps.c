/* reference_maps.c - references of operators for maps and masks: chosen elements, edges, other sizes, transposed
 * convolutions. See reference.h. */
#include "check/reference.h"

#include <math.h>
#include <string.h>

/* The indices of element k of a shape. */
static void indices(const tl_shape *s, int64_t k, int64_t *out)
{
    for (int i = s->rank - 1; i >= 0; i--) {
        out[i] = k % s->dim[i];
        k /= s->dim[i];
    }
}

static int64_t place(const tl_shape *s, const int64_t *index)
{
    int64_t at = 0;
    for (int i = 0; i < s->rank; i++) at = at * s->dim[i] + index[i];
    return at;
}

static double broadcast(const tl__reference *r, int input, int64_t k)
{
    const tl_shape *s = &r->s->in[input].shape;
    int64_t index[TL_MAX_RANK] = {0}, own[TL_MAX_RANK] = {0};
    indices(&r->out, k, index);
    for (int i = 0; i < s->rank; i++) own[i] = s->dim[i] == 1 ? 0 : index[r->out.rank - s->rank + i];
    return r->in[input][place(s, own)];
}

static void where(const tl__reference *r)
{
    for (int64_t k = 0, all = tl__numel(&r->out); k < all; k++)
        r->y[k] = broadcast(r, 0, k) != 0 ? broadcast(r, 1, k) : broadcast(r, 2, k);
}

static void gather(const tl__reference *r)
{
    int axis = tl__axis((int)r->s->attr[0].i, r->out.rank);
    int64_t index[TL_MAX_RANK];
    for (int64_t k = 0, all = tl__numel(&r->out); k < all; k++) {
        indices(&r->out, k, index);
        index[axis] = (int64_t)r->in[1][k];
        r->y[k] = r->in[0][place(&r->s->in[0].shape, index)];
    }
}

static void pad(const tl__reference *r)
{
    enum { BEFORE, AFTER, MODE, VALUE };
    enum { CONSTANT, REFLECT };
    const tl_shape *x = &r->s->in[0].shape;
    int64_t index[TL_MAX_RANK], mode = r->s->attr[MODE].i;
    for (int64_t k = 0, all = tl__numel(&r->out); k < all; k++) {
        int inside = 1;
        indices(&r->out, k, index);
        for (int i = 0; i < x->rank; i++) {
            int64_t last = x->dim[i] - 1, at = index[i] - (r->s->attr[BEFORE].n ? r->s->attr[BEFORE].list[i] : 0);
            inside &= at >= 0 && at <= last;
            if (at < 0) at = mode == REFLECT ? -at : 0;
            if (at > last) at = mode == REFLECT ? 2 * last - at : last;
            index[i] = at;
        }
        r->y[k] = inside || mode != CONSTANT ? r->in[0][place(x, index)] : r->s->attr[VALUE].f;
    }
}

/* The two pixels of a dimension that output `o` lies between, and the share of the second. */
static void between(const tl__reference *r, int dimension, int64_t o, int64_t at[2], double *share)
{
    enum { SIZE, SCALE, MODE, ALIGN };
    int64_t in = r->s->in[0].shape.dim[dimension], out = r->out.dim[dimension];
    if (r->s->attr[MODE].i == 0) { /* the nearest, by PyTorch's rule, which rounds in float32 */
        at[0] = at[1] = (int64_t)fminf(floorf((float)o * ((float)in / (float)out)), (float)(in - 1));
        *share = 0;
        return;
    }
    double from = r->s->attr[ALIGN].i ? out > 1 ? (double)o * (double)(in - 1) / (double)(out - 1) : 0
                                      : fmax(((double)o + 0.5) * (double)in / (double)out - 0.5, 0);
    at[0] = (int64_t)from < in - 1 ? (int64_t)from : in - 1;
    at[1] = at[0] + 1 < in ? at[0] + 1 : at[0];
    *share = from - (double)at[0];
}

/* Where ONNX's Resize puts output o of dimension i among the inputs. */
static double coordinate(const tl__reference *r, int i, int64_t o, double f)
{
    enum { ALIGN = 3, COORDINATES, SYMMETRIC = 2, OF_PYTORCH, CORNERS, ASYMMETRIC, OF_TF };
    double in = (double)r->s->in[0].shape.dim[i], out = (double)r->out.dim[i], middle = ((double)o + 0.5) / f;
    int where = r->s->attr[ALIGN].i ? CORNERS : (int)r->s->attr[COORDINATES].i;
    if (where == SYMMETRIC) return in / 2 * (1 - out / (f * in)) + middle - 0.5;
    if (where == CORNERS) return out > 1 ? (double)o * (in - 1) / (out - 1) : 0;
    if (where == ASYMMETRIC) return (double)o / f;
    if (where == OF_PYTORCH && out <= 1) return 0;
    return where == OF_TF ? middle : middle - 0.5;
}

static double cubic(double x, double a)
{
    x = fabs(x);
    return x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : x < 2 ? a * (((x - 5) * x + 8) * x - 4) : 0;
}

/* Cubic, or anything else that is said: four neighbours in each dimension. */
static void resampled(const tl__reference *r)
{
    enum { MODE = 2, ROUNDING = 5, FACTORS, CUBIC_A, EXCLUDE };
    const tl_value *a = r->s->attr;
    const tl_shape *x = &r->s->in[0].shape;
    int spatial = r->out.rank - 2;
    int64_t index[TL_MAX_RANK], low[3];
    double share[3][4];
    for (int64_t k = 0, all = tl__numel(&r->out); k < all; k++) {
        indices(&r->out, k, index);
        for (int i = 0; i < spatial; i++) {
            double f = (double)r->out.dim[1 + i] / (double)x->dim[1 + i], sum = 0;
            if (a[FACTORS].n) f = a[FACTORS].numbers[a[FACTORS].n == 1 ? 0 : i];
            double at = coordinate(r, 1 + i, index[1 + i], f), part = at - floor(at);
            const double rounded[] = {floor(at), ceil(at), ceil(at - 0.5), floor(at + 0.5)};
            low[i] = (int64_t)(a[MODE].i == 0 ? rounded[a[ROUNDING].i] : floor(at)) - 1;
            for (int t = 0; t < 4; t++) {
                int inside = low[i] + t >= 0 && low[i] + t < x->dim[1 + i];
                double linear = t == 1 ? 1 - part : t == 2 ? part : 0;
                share[i][t] = a[MODE].i == 0 ? t == 1 : a[MODE].i == 1 ? linear : cubic(part + 1 - t, a[CUBIC_A].f);
                if (a[EXCLUDE].i && !inside) share[i][t] = 0;
                sum += share[i][t];
            }
            for (int t = 0; t < 4; t++) share[i][t] /= sum;
        }
        for (int tap = 0; tap < 1 << 2 * spatial; tap++) {
            double weight = 1;
            for (int i = 0; i < spatial; i++) {
                int t = tap >> 2 * i & 3;
                int64_t last = x->dim[1 + i] - 1, at = low[i] + t;
                index[1 + i] = at < 0 ? 0 : at > last ? last : at;
                weight *= share[i][t];
            }
            r->y[k] += weight * r->in[0][place(x, index)];
        }
    }
}

static void interpolate(const tl__reference *r)
{
    int spatial = r->out.rank - 2;
    int64_t index[TL_MAX_RANK], at[3][2];
    double share[3];
    if (r->s->attr[2].i == 2 || r->s->attr[4].i || r->s->attr[6].n) { /* cubic, coordinates, factors */
        resampled(r);
        return;
    }
    for (int64_t k = 0, all = tl__numel(&r->out); k < all; k++) {
        indices(&r->out, k, index);
        for (int i = 0; i < spatial; i++) between(r, 1 + i, index[1 + i], at[i], &share[i]);
        for (int corner = 0; corner < 1 << spatial; corner++) {
            double weight = 1;
            for (int i = 0; i < spatial; i++) {
                index[1 + i] = at[i][corner >> i & 1];
                weight *= corner >> i & 1 ? share[i] : 1 - share[i];
            }
            r->y[k] += weight * r->in[0][place(&r->s->in[0].shape, index)];
        }
    }
}

/* Each input pixel is spread over the output by the kernel: y[i stride - padding + t dilation] += x[i] w[t]. */
static void conv_transpose(const tl__reference *r)
{
    enum { STRIDE, PADDING, OUTPUT_PADDING, DILATION, GROUPS };
    const tl_shape *x = &r->s->in[0].shape, *w = &r->s->in[1].shape;
    int spatial = x->rank - 2;
    int64_t from[TL_MAX_RANK], tap[TL_MAX_RANK], to[TL_MAX_RANK], groups = r->s->attr[GROUPS].i,
                                                                  channels = x->dim[spatial + 1];
    for (int64_t k = 0, all = tl__numel(x); k < all; k++) {
        indices(x, k, from);
        int64_t channel = from[spatial + 1], each = tl__numel(w) / w->dim[0];
        for (int64_t t = 0; t < each; t++) {
            int inside = 1;
            indices(w, channel * each + t, tap);
            to[0] = from[0];
            to[spatial + 1] = channel / (channels / groups) * w->dim[1] + tap[1];
            for (int i = 0; i < spatial; i++) {
                const tl_value *a = r->s->attr;
                to[1 + i] = from[1 + i] * tl__reference_number(&a[STRIDE], i, 1) -
                            tl__reference_number(&a[PADDING], i, 0) +
                            tap[2 + i] * tl__reference_number(&a[DILATION], i, 1);
                inside &= to[1 + i] >= 0 && to[1 + i] < r->out.dim[1 + i];
            }
            if (inside) r->y[place(&r->out, to)] += r->in[0][k] * r->in[1][channel * each + t];
        }
    }
    for (int64_t k = 0, all = tl__numel(&r->out); k < all && r->in[2]; k++)
        r->y[k] += r->in[2][k % r->out.dim[spatial + 1]];
}

tl__reference_fn *tl__reference_of_maps(const char *name)
{
    static const struct { const char *name; tl__reference_fn *f;
    } table[] = {{"where", where},
                 {"gather", gather},
                 {"pad", pad},
                 {"interpolate", interpolate},
                 {"conv_transpose", conv_transpose},
                 {NULL, NULL}};
    for (int i = 0; table[i].name; i++)
        if (strcmp(table[i].name, name) == 0) return table[i].f;
    return NULL;
}
