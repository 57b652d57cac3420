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

static void interpolate(const tl__reference *r)
{
    int spatial = r->out.rank - 2;
    int64_t index[TL_MAX_RANK], at[3][2];
    double share[3];
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
