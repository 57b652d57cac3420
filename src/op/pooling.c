/* pooling.c - max and mean pooling in one to three dimensions, channels last. */
#include "op/op.h"

#include <string.h>

static const tl_program program = {"pooling", NULL}, any_program = {"pooling_any", NULL};
enum { KERNEL, STRIDE, PADDING, PADDING_END, CEIL, COUNT_PADDING, OF_MAX = 5, OF_MEAN };
extern const tl_op tl__op_max_pool, tl__op_max_pool_places, tl__op_avg_pool;

/* cl/pooling.cl has the same struct. */
typedef struct pool_args {
    int64_t in[3], out[3], kernel[3], stride[3], padding[3], padding_end[3];
    int64_t channels, part;
    int32_t count_padding, unused;
} pool_args;

/* Of windows with gaps: cl/pooling_any.cl has the same struct. */
typedef struct gap_args {
    int64_t in[3], out[3], kernel[3], stride[3], padding[3], padding_end[3], dilation[3];
    int64_t channels;
    int32_t count_padding, unused;
} gap_args;

/* Which attribute of an operator is the dilation. */
static int dilation_of(const tl_op *op) { return op == &tl__op_avg_pool ? OF_MEAN : OF_MAX; }

static int64_t number(const tl_value *v, int i, int64_t fallback) { return v->n == 0 ? fallback : v->list[v->n == 1 ? 0 : i]; }

static int geometry(tl_error *err, const tl_call *c, pool_args *a, gap_args *gaps)
{
    const tl_shape *x = &c->in_meta[0].shape;
    int sp = x->rank - 2, lead = 3 - sp;
    char text[TL__SHAPE_TEXT];
    memset(a, 0, sizeof *a);
    memset(gaps, 0, sizeof *gaps);
    if (sp < 1 || sp > 3) return tl__op_fail(err, c, TL_ESHAPE, "(N, ..., C) with one to three dimensions is needed, not %s", tl__shape_text(x, text, sizeof text));
    if (c->attr[KERNEL].n == 0) return tl__op_fail(err, c, TL_EARG, "kernel is missing");
    int dilation = dilation_of(c->op);
    for (int k = KERNEL; k <= OF_MEAN; k++)
        if ((k <= PADDING_END || k == dilation) && c->attr[k].n > 1 && c->attr[k].n != sp)
            return tl__op_fail(err, c, TL_EARG, "%s has %d numbers for %d dimensions", c->op->attrs[k].name,
                               c->attr[k].n, sp);
    for (int i = 0; i < 3; i++) {
        int k = i - lead, real = k >= 0;
        a->in[i] = real ? x->dim[1 + k] : 1;
        gaps->kernel[i] = real ? number(&c->attr[KERNEL], k, 1) : 1;
        gaps->dilation[i] = real ? number(&c->attr[dilation], k, 1) : 1;
        if (gaps->dilation[i] < 1 || gaps->dilation[i] > 1 << 24 || gaps->kernel[i] > 1 << 24)
            return tl__op_fail(err, c, TL_EARG, "a window of %lld with a dilation of %lld", (long long)gaps->kernel[i],
                               (long long)gaps->dilation[i]);
        a->kernel[i] = (gaps->kernel[i] - 1) * gaps->dilation[i] + 1;
        a->stride[i] = real ? number(&c->attr[STRIDE], k, gaps->kernel[i]) : 1;
        a->padding[i] = real ? number(&c->attr[PADDING], k, 0) : 0;
        int64_t end = a->padding_end[i] = real ? number(&c->attr[PADDING_END], k, a->padding[i]) : 0, reach = a->in[i] + a->padding[i] + end - a->kernel[i];
        if (a->kernel[i] < 1 || a->stride[i] < 1 || a->padding[i] < 0 || end < 0 || a->padding[i] >= a->kernel[i] || end >= a->kernel[i] || reach < 0)
            return tl__op_fail(err, c, TL_EARG, "a window of %lld, stride %lld, padding %lld does not fit %s", (long long)a->kernel[i], (long long)a->stride[i],
                               (long long)a->padding[i], tl__shape_text(x, text, sizeof text));
        a->out[i] = reach / a->stride[i] + 1;
        /* In ceil mode a last window may hang over the end, if it begins inside the input or its leading padding. */
        if (c->attr[CEIL].i && reach % a->stride[i] && a->out[i] * a->stride[i] < a->in[i] + a->padding[i]) a->out[i]++;
    }
    a->channels = x->dim[x->rank - 1];
    a->count_padding = gaps->count_padding = c->op == &tl__op_avg_pool && c->attr[COUNT_PADDING].i;
    gaps->channels = a->channels;
    memcpy(gaps->in, a->in, sizeof a->in);
    memcpy(gaps->out, a->out, sizeof a->out);
    memcpy(gaps->stride, a->stride, sizeof a->stride);
    memcpy(gaps->padding, a->padding, sizeof a->padding);
    memcpy(gaps->padding_end, a->padding_end, sizeof a->padding_end);
    return 0;
}

static int has_gaps(const gap_args *a)
{
    return a->dilation[0] > 1 || a->dilation[1] > 1 || a->dilation[2] > 1;
}

/* A kernel of windows with gaps, a work-item for each channel of `pixels`. */
static int gap_launch(tl_scope *s, const gap_args *a, const char *kernel, int mean, int64_t pixels, tl_karg *args,
                      int n)
{
    tl_launch l = {.program = &any_program,
                   .options = mean ? "-DMEAN=1" : "-DMEAN=0",
                   .kernel = kernel,
                   .dims = 2,
                   .global = {(size_t)a->channels, (size_t)pixels}};
    return tl__launch(&s->err, s->device, &l, args, n, "pool");
}

static int pool_infer(tl_error *err, tl_call *c)
{
    pool_args a;
    gap_args gaps;
    if (geometry(err, c, &a, &gaps) != 0) return -1;
    tl_shape y = c->in_meta[0].shape;
    for (int i = 0; i < y.rank - 2; i++) y.dim[1 + i] = a.out[3 - (y.rank - 2) + i];
    c->n_out = 1;
    c->out_meta[0] = (tl_meta){y, TL_F32};
    return 0;
}

/* Work-items over parts of the channels, and over `items`: pixels, or rows of them. */
static int pool_launch(tl_scope *s, const pool_args *a, const char *kernel, int64_t items, tl_karg *args, int n)
{
    tl_launch l = {.program = &program, .kernel = kernel, .dims = 2, .global = {(size_t)((a->channels + a->part - 1) / a->part), (size_t)items}};
    if (s->device->traits.is_cpu) l.local[0] = l.local[1] = 1;
    return tl__launch(&s->err, s->device, &l, args, n, kernel);
}

#define COUNT(a) (int)(sizeof(a) / sizeof *(a))

static int gap_forward(tl_scope *s, const tl_call *c, const gap_args *a, int mean)
{
    tl_karg args[] = {TL_KDATA(a), TL_KT(c->in[0]), TL_KT(c->out[0])};
    int64_t pixels = c->in_meta[0].shape.dim[0] * a->out[0] * a->out[1] * a->out[2];
    return gap_launch(s, a, mean ? "avg_pool" : "max_pool", mean, pixels, args, COUNT(args));
}

static int gap_backward(tl_scope *s, const gap_args *a, int mean, tl_tensor *x, tl_tensor *g, tl_tensor *dx)
{
    tl_karg args[] = {TL_KDATA(a), TL_KT(x ? x : g), TL_KT(g), TL_KT(dx)};
    return gap_launch(s, a, "pool_dx", mean, dx->shape.dim[0] * a->in[0] * a->in[1] * a->in[2], args, COUNT(args));
}

static int max_pool_forward(tl_scope *s, const tl_call *c)
{
    pool_args a;
    gap_args gaps;
    if (geometry(&s->err, c, &a, &gaps) != 0) return -1;
    if (has_gaps(&gaps)) return gap_forward(s, c, &gaps, 0);
    int64_t v = s->device->traits.vector_width;
    a.part = s->device->traits.is_cpu ? (a.channels + v - 1) / v * v : v;
    tl_karg args[] = {TL_KDATA(&a), TL_KT(c->in[0]), TL_KT(c->out[0])};
    return pool_launch(s, &a, "max_pool", c->in_meta[0].shape.dim[0] * a.out[0] * a.out[1], args, COUNT(args));
}

static int places_infer(tl_error *err, tl_call *c)
{
    if (pool_infer(err, c) != 0) return -1;
    c->out_meta[0].dtype = TL_I32;
    return 0;
}

static int places_forward(tl_scope *s, const tl_call *c)
{
    pool_args a;
    gap_args gaps;
    if (geometry(&s->err, c, &a, &gaps) != 0) return -1;
    tl_karg args[] = {TL_KDATA(&gaps), TL_KT(c->in[0]), TL_KT(c->out[0])};
    int64_t pixels = c->in_meta[0].shape.dim[0] * a.out[0] * a.out[1] * a.out[2];
    return gap_launch(s, &gaps, "max_pool_places", 0, pixels, args, COUNT(args));
}

static int avg_pool_forward(tl_scope *s, const tl_call *c)
{
    pool_args a;
    gap_args gaps;
    if (geometry(&s->err, c, &a, &gaps) != 0) return -1;
    if (has_gaps(&gaps)) return gap_forward(s, c, &gaps, 1);
    a.part = s->device->traits.vector_width;
    tl_karg args[] = {TL_KDATA(&a), TL_KT(c->in[0]), TL_KT(c->out[0])};
    return pool_launch(s, &a, "avg_pool", c->in_meta[0].shape.dim[0] * a.out[0] * a.out[1] * a.out[2], args, COUNT(args));
}

static void max_pool_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    pool_args a;
    gap_args gaps;
    const tl_shape *x = &c->in_meta[0].shape;
    tl_tensor *g = tl__packed(s, gy[0]), *dx = tl_empty(s, TL_F32, x->rank, x->dim);
    if (!g || !dx || geometry(&s->err, c, &a, &gaps) != 0) return;
    if (has_gaps(&gaps)) {
        if (gap_backward(s, &gaps, 0, c->in[0], g, dx) == 0) gx[0] = dx;
        return;
    }
    a.part = s->device->traits.vector_width;
    tl_karg args[] = {TL_KDATA(&a), TL_KT(c->in[0]), TL_KT(g), TL_KT(dx)};
    if (pool_launch(s, &a, "max_pool_dx", x->dim[0] * a.in[0] * a.in[1], args, COUNT(args)) == 0) gx[0] = dx;
}

static void avg_pool_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    pool_args a;
    gap_args gaps;
    const tl_shape *x = &c->in_meta[0].shape;
    tl_tensor *g = tl__packed(s, gy[0]), *dx = tl_empty(s, TL_F32, x->rank, x->dim);
    if (!g || !dx || geometry(&s->err, c, &a, &gaps) != 0) return;
    if (has_gaps(&gaps)) {
        if (gap_backward(s, &gaps, 1, c->in[0], g, dx) == 0) gx[0] = dx;
        return;
    }
    a.part = s->device->traits.vector_width;
    tl_karg args[] = {TL_KDATA(&a), TL_KT(g), TL_KT(dx)};
    if (pool_launch(s, &a, "avg_pool_dx", x->dim[0] * a.in[0] * a.in[1] * a.in[2], args, COUNT(args)) == 0) gx[0] = dx;
}

static void pool_samples(tl_sampler *to, const tl_op *op)
{
    static const struct { int64_t x[5]; int rank; int64_t k, s, p; int ceil; } cases[] = {
        {{2, 6, 5, 3}, 4, 2, 2, 0, 0}, {{1, 7, 7, 2}, 4, 3, 2, 1, 0}, {{1, 6, 7, 17}, 4, 3, 1, 1, 0}, {{1, 6, 6, 4}, 4, 3, 2, 0, 1},
        {{2, 9, 3}, 3, 3, 2, 1, 0}, {{1, 4, 3, 4, 2}, 5, 2, 1, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_sample v = tl__sample(op);
        tl__sample_input(&v, cases[i].rank, cases[i].x, -4, 4);
        v.attr[KERNEL] = (tl_value){.n = 1, .list = {cases[i].k}};
        v.attr[STRIDE] = (tl_value){.n = 1, .list = {cases[i].s}};
        v.attr[PADDING] = (tl_value){.n = 1, .list = {cases[i].p}};
        v.attr[CEIL].i = cases[i].ceil;
        to->take(to, &v);
    }
    /* Gaps, and another number for each dimension. */
    static const struct { int64_t x[5]; int rank; tl_value k, s, p, d; int ceil;
    } more[] = {{{1, 7, 8, 3},
                 4,
                 {.n = 1, .list = {3}},
                 {.n = 1, .list = {2}},
                 {.n = 1, .list = {1}},
                 {.n = 1, .list = {2}},
                 0},
                {{2, 6, 9, 2},
                 4,
                 {.n = 2, .list = {2, 3}},
                 {.n = 2, .list = {1, 2}},
                 {.n = 2, .list = {0, 1}},
                 {.n = 2, .list = {3, 1}},
                 1},
                {{2, 11, 3}, 3, {.n = 1, .list = {3}}, {.n = 1, .list = {1}}, {.n = 0}, {.n = 1, .list = {3}}, 0},
                {{1, 5, 4, 6, 2},
                 5,
                 {.n = 3, .list = {2, 1, 3}},
                 {.n = 3, .list = {2, 1, 2}},
                 {.n = 3, .list = {1, 0, 1}},
                 {.n = 3, .list = {2, 1, 2}},
                 0},
                {{1, 5, 4, 6, 2},
                 5,
                 {.n = 3, .list = {3, 2, 2}},
                 {.n = 3, .list = {2, 1, 2}},
                 {.n = 3, .list = {1, 1, 0}},
                 {.n = 0},
                 1}};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        tl_sample v = tl__sample(op);
        tl__sample_input(&v, more[i].rank, more[i].x, -4, 4);
        v.attr[KERNEL] = more[i].k;
        v.attr[STRIDE] = more[i].s;
        v.attr[PADDING] = more[i].p;
        v.attr[dilation_of(op)] = more[i].d;
        v.attr[CEIL].i = more[i].ceil;
        if (op == &tl__op_avg_pool) v.attr[COUNT_PADDING].i = i % 2 == 0;
        to->take(to, &v);
    }
}
static void places_samples(tl_sampler *to) { pool_samples(to, &tl__op_max_pool_places); }
static void max_pool_samples(tl_sampler *to) { pool_samples(to, &tl__op_max_pool); }
static void avg_pool_samples(tl_sampler *to) { pool_samples(to, &tl__op_avg_pool); }

#define WINDOW                                                                                                         \
    TL_INTS("kernel", "size of the window, one number or one a dimension"),                                            \
        TL_INTS("stride", "step; the window's size where not given"), TL_INTS("padding", "cells before (and after)"),  \
        TL_INTS("padding_end", "cells after, where they differ"),                                                      \
        TL_BOOL_("ceil_mode", 0, "windows may hang over the end")
#define DILATION TL_INTS("dilation", "distance of a window's elements; 1 where not given")
const tl_op tl__op_max_pool = {
    .name = "max_pool",
    .brief = "Largest element of each window of `x` (N, ..., C), by channel.",
    .inputs = {"x"},
    .attrs = {WINDOW, DILATION},
    .infer = pool_infer,
    .forward = max_pool_forward,
    .vjp = max_pool_vjp,
    .saves = TL_SAVE_IN(0),
    .torch = "max_pool(x, kernel, stride, padding, padding_end, ceil_mode, dilation)",
    .samples = max_pool_samples,
};
const tl_op tl__op_max_pool_places = {
    .name = "max_pool_places",
    .brief = "Where `max_pool` has its elements from: numbers of pixels within a picture of `x`, row by row from 0, as "
             "int32.",
    .inputs = {"x"},
    .attrs = {WINDOW, DILATION},
    .infer = places_infer,
    .forward = places_forward,
    .torch = "max_pool(x, kernel, stride, padding, padding_end, ceil_mode, dilation, True)",
    .samples = places_samples,
};
const tl_op tl__op_avg_pool = {
    .name = "avg_pool",
    .brief = "Mean of each window of `x` (N, ..., C), by channel.",
    .inputs = {"x"},
    .attrs = {WINDOW, TL_BOOL_("count_include_pad", 1, "padding counts as zeros"), DILATION},
    .infer = pool_infer,
    .forward = avg_pool_forward,
    .vjp = avg_pool_vjp,
    .torch = "avg_pool(x, kernel, stride, padding, padding_end, ceil_mode, count_include_pad, dilation)",
    .samples = avg_pool_samples,
};

static tl_tensor *pool(tl_scope *s, const tl_op *op, tl_tensor *x, int kernel, int stride, int padding)
{
    tl_value a[TL_MAX_ATTRS];
    tl__attr_defaults(op, a);
    a[KERNEL] = (tl_value){.n = 1, .list = {kernel}};
    a[STRIDE] = (tl_value){.n = 1, .list = {stride}};
    a[PADDING] = (tl_value){.n = 1, .list = {padding}};
    return tl__apply(s, op, &x, 1, a, NULL);
}

tl_tensor *tl_max_pool(tl_scope *s, tl_tensor *x, int kernel, int stride, int padding) { return pool(s, &tl__op_max_pool, x, kernel, stride, padding); }
tl_tensor *tl_max_pool_places(tl_scope *s, tl_tensor *x, int kernel, int stride, int padding)
{
    return pool(s, &tl__op_max_pool_places, x, kernel, stride, padding);
}
tl_tensor *tl_avg_pool(tl_scope *s, tl_tensor *x, int kernel, int stride, int padding) { return pool(s, &tl__op_avg_pool, x, kernel, stride, padding); }
