/* reduce.c - sums, means, products and extremes over some dimensions. The reduced dimensions are permuted to the
 * end or, where they already come first, summed row by row: both walk memory in order. */
#include "op/op.h"

#include <string.h>

static const tl_program program = {"cpu/reduce", NULL}, grouped = {"gpu/reduce_gpu", NULL};

/* The axes as a bit mask; -1 on a bad one. An empty list means all. */
static int axes_mask(tl_error *err, const tl_call *c)
{
    const tl_value *v = &c->attr[0];
    int r = c->in_meta[0].shape.rank, mask = v->n ? 0 : (1 << r) - 1;
    for (int i = 0; i < v->n; i++) {
        int a = tl__axis((int)v->list[i], r);
        if (a < 0) return tl__op_fail(err, c, TL_EARG, "there is no dimension %lld in a tensor of %d", tl__axis_name(v->list[i]), r);
        mask |= 1 << a;
    }
    return mask;
}

static tl_shape reduced(const tl_shape *x, int mask, int keep)
{
    tl_shape y = {0, {0}};
    for (int i = 0; i < x->rank; i++) {
        if (!(mask >> i & 1)) y.dim[y.rank++] = x->dim[i];
        else if (keep) y.dim[y.rank++] = 1;
    }
    return y;
}

static int reduce_infer(tl_error *err, tl_call *c)
{
    int mask = axes_mask(err, c);
    if (mask < 0) return -1;
    c->n_out = 1;
    c->out_meta[0].dtype = c->in_meta[0].dtype;
    c->out_meta[0].shape = reduced(&c->in_meta[0].shape, mask, (int)c->attr[1].i);
    return 0;
}

static const char *typed(const tl_tensor *x) { return x->dtype == TL_I32 ? "-DWHOLE" : NULL; }

/* (outer, n) -> (outer, parts). */
static int reduce_rows(tl_scope *s, const char *kernel, tl_tensor *x, tl_tensor *y, int64_t outer, int64_t n, int64_t parts, float scale)
{
    char name[64];
    int64_t v = s->device->traits.vector_width, length = (n + parts * v - 1) / (parts * v) * v;
    snprintf(name, sizeof name, "%s_rows", kernel);
    tl_launch l = {
        .program = &program, .options = typed(x), .kernel = name, .dims = 2, .global = {(size_t)outer, (size_t)parts}};
    return TL__LAUNCH(&s->err, s->device, &l, kernel, TL_KT(x), TL_KT(y), TL_KL(n), TL_KL(length), TL_KF(scale));
}

/* (outer, n, inner) -> (outer, inner): dimensions that lie together in memory reduce in one launch. */
static int reduce_middle(tl_scope *s, const char *kernel, tl_tensor *x, tl_tensor *y, int64_t outer, int64_t n, int64_t inner, float scale)
{
    char name[64];
    int64_t v = s->device->traits.vector_width;
    snprintf(name, sizeof name, "%s_middle", kernel);
    tl_launch l = {.program = &program,
                   .options = typed(x),
                   .kernel = name,
                   .dims = 2,
                   .global = {(size_t)((inner + v - 1) / v), (size_t)outer}};
    return TL__LAUNCH(&s->err, s->device, &l, kernel, TL_KT(x), TL_KT(y), TL_KL(n), TL_KL(inner), TL_KF(scale));
}

/* ---- on GPUs ---- */

/* Numbers of a row to a group; rows that keep all units busy as they are; rows down which one work-item goes, and
 * numbers along which it does. */
enum { TO_A_GROUP = 8192, ENOUGH_ROWS = 1024, FEW_ROWS = 64, SHORT = 8 };

/* (outer, n) -> (outer, parts). */
static int grouped_rows(tl_scope *s, const char *kernel, tl_tensor *x, tl_tensor *y, int64_t outer, int64_t n,
                        int64_t parts, float scale)
{
    char name[64];
    int64_t length = (n + parts - 1) / parts;
    snprintf(name, sizeof name, "%s_rows_gpu", kernel);
    tl_launch l = {.program = &grouped, .options = typed(x), .kernel = name};
    tl_karg args[] = {TL_KT(x), TL_KT(y), TL_KL(n), TL_KL(length), TL_KL(parts), TL_KF(scale)};
    return tl__launch_row_groups(s, &l, kernel, outer * parts, length, args, (int)(sizeof args / sizeof *args));
}

/* (outer, n, inner) -> (outer, inner), in parts where that is more than one group has to do. */
static int grouped_columns(tl_scope *s, const char *kernel, tl_tensor *x, tl_tensor *y, int64_t outer, int64_t n,
                           int64_t inner, float scale)
{
    char name[64];
    tl_launch l = {.program = &grouped, .options = typed(x), .kernel = name, .dims = 1,
                   .global = {(size_t)(outer * inner)}};
    if (n <= FEW_ROWS) {
        snprintf(name, sizeof name, "%s_middle_gpu", kernel);
        return TL__LAUNCH(&s->err, s->device, &l, kernel, TL_KT(x), TL_KT(y), TL_KL(n), TL_KL(inner), TL_KF(scale));
    }
    tl_column_parts g = tl__column_parts(outer, n, inner);
    tl_tensor *to = g.parts > 1 ? tl_empty(s, y->dtype, 3, (int64_t[]){outer, g.parts, inner}) : y;
    if (!to) return -1;
    snprintf(name, sizeof name, "%s_columns_gpu", kernel);
    tl_karg args[] = {TL_KT(x), TL_KT(to), TL_KL(g.parts), TL_KF(to == y ? scale : 1.0f)};
    if (tl__launch_columns(s, &l, kernel, &g, args, (int)(sizeof args / sizeof *args)) != 0) return -1;
    return to == y ? 0 : grouped_columns(s, kernel, to, y, outer, g.parts, inner, scale);
}

/* Like reduce_rows and reduce_middle; the bits follow from the shape. */
static int reduce_grouped(tl_scope *s, const char *kernel, tl_tensor *x, tl_tensor *y, int64_t outer, int64_t n,
                          int64_t inner, float scale)
{
    if (inner > 1 || n <= SHORT) return grouped_columns(s, kernel, x, y, outer, n, inner, scale);
    int64_t parts = outer < ENOUGH_ROWS && n > TO_A_GROUP ? (n + TO_A_GROUP - 1) / TO_A_GROUP : 1;
    if (parts > ENOUGH_ROWS) parts = ENOUGH_ROWS;
    tl_tensor *partial = parts > 1 ? tl_empty(s, y->dtype, 2, (int64_t[]){outer, parts}) : y;
    if (!partial || grouped_rows(s, kernel, x, partial, outer, n, parts, parts > 1 ? 1.0f : scale) != 0) return -1;
    return parts > 1 ? grouped_rows(s, kernel, partial, y, outer, parts, 1, scale) : 0;
}

static const char *kernel_of(const tl_op *op)
{
    if (strcmp(op->name, "amax") == 0) return "max";
    if (strcmp(op->name, "amin") == 0) return "min";
    return strcmp(op->name, "prod") == 0 ? "prod" : "sum";
}

static int reduce_forward(tl_scope *s, const tl_call *c)
{
    tl_tensor *x = c->in[0], *y = c->out[0];
    int mask = axes_mask(&s->err, c), r = x->shape.rank, first = r, last = -1, together = 1;
    int64_t n = 1, inner = 1, outer = 1;
    const char *kernel = kernel_of(c->op);
    for (int i = 0; i < r; i++)
        if (mask >> i & 1) {
            if (first == r) first = i;
            last = i;
            n *= x->shape.dim[i];
        }
    for (int i = first; i <= last; i++)
        if (!(mask >> i & 1) && x->shape.dim[i] != 1) together = 0;
    float scale = c->op->name[0] == 'm' ? 1.0f / (float)n : 1.0f;
    if (n == 0 && kernel[0] == 'm')
        return tl__op_fail(&s->err, c, TL_ESHAPE, "there is nothing to take the %s of",
                           kernel[1] == 'a' ? "largest" : "least");
    if (!together) {
        int order[TL_MAX_RANK], k = 0;
        for (int pass = 0; pass < 2; pass++)
            for (int i = 0; i < r; i++)
                if ((mask >> i & 1) == pass) order[k++] = i;
        x = tl_permute(s, x, r, order);
        inner = 1;
    }
    x = tl__packed(s, x);
    if (!x) return -1;
    if (together)
        for (int i = last + 1; i < r; i++) inner *= x->shape.dim[i];
    outer = tl_numel(y) / (inner ? inner : 1);
    if (tl_numel(y) == 0) return 0;
    if (tl__in_groups(s->device)) return reduce_grouped(s, kernel, x, y, outer, n, inner, scale);
    /* Few long rows would keep few units busy: each is cut into parts first, by the shape alone, so that bits are. */
    const int64_t parts = 256;
    int few = outer < 2 * s->device->traits.compute_units;
    if (inner == 1 && few && n >= 64 * parts) {
        tl_tensor *partial = tl_empty(s, y->dtype, 2, (int64_t[]){outer, parts});
        if (!partial || reduce_rows(s, kernel, x, partial, outer, n, parts, 1.0f) != 0) return -1;
        return reduce_rows(s, kernel, partial, y, outer, parts, 1, scale);
    }
    if (inner == 1) return reduce_rows(s, kernel, x, y, outer, n, 1, scale);
    return reduce_middle(s, kernel, x, y, outer, n, inner, scale);
}

/* The gradient with the reduced dimensions back in place, of length 1. */
static tl_tensor *kept(tl_scope *s, const tl_call *c, tl_tensor *t)
{
    tl_shape k = reduced(&c->in_meta[0].shape, axes_mask(&s->err, c), 1);
    return tl_reshape(s, t, k.rank, k.dim);
}

/* dx = gy, repeated */
static void sum_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    gx[0] = tl_expand(s, kept(s, c, gy[0]), c->in_meta[0].shape.rank, c->in_meta[0].shape.dim);
}

/* dx = gy / n, repeated */
static void mean_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    double n = (double)tl__numel(&c->in_meta[0].shape) / (double)tl__numel(&c->out_meta[0].shape);
    gx[0] = tl_expand(s, tl_mul_scalar(s, kept(s, c, gy[0]), 1.0 / n), c->in_meta[0].shape.rank, c->in_meta[0].shape.dim);
}

/* dx = gy shared evenly among the elements equal to the extreme (as torch.amax) */
static void amax_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_tensor *hit = tl_eq(s, c->in[0], kept(s, c, c->out[0]));
    tl_tensor *count = kept(s, c, tl__apply(s, tl__op_find("sum"), &hit, 1, c->attr, NULL));
    gx[0] = tl_mul(s, hit, tl_div(s, kept(s, c, gy[0]), count));
}

/* dx = gy times the product of the others: y / x where nothing is 0, and at a 0 that is the only one */
static void prod_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_tensor *x = c->in[0], *zero = tl_full(s, TL_F32, 0, NULL, 0), *one = tl_full(s, TL_F32, 0, NULL, 1);
    tl_tensor *is_zero = tl_eq(s, x, zero), *others = tl_where(s, is_zero, one, x);
    tl_tensor *zeros = kept(s, c, tl__apply(s, tl__op_find("sum"), &is_zero, 1, c->attr, NULL));
    tl_tensor *product = kept(s, c, tl__apply(s, tl__op_find("prod"), &others, 1, c->attr, NULL));
    tl_tensor *all = tl_mul(s, kept(s, c, gy[0]), tl_div(s, product, others));
    gx[0] = tl_where(s, tl_eq(s, zeros, is_zero), all, zero);
}

#define ATTRS {TL_AXES("axes", "dimensions that disappear; none named: all"), TL_BOOL_("keep", 0, "keep them with length 1")}
extern const tl_op tl__op_sum, tl__op_mean, tl__op_amax, tl__op_amin, tl__op_prod;
const tl_op tl__op_sum = {
    .name = "sum", .mixed = TL_WIDE, .brief = "Sum of `x` over `axes`.", .inputs = {"x"}, .attrs = ATTRS, .layout = {TL_ANY}, .ints = 1,
    .infer = reduce_infer, .forward = reduce_forward, .vjp = sum_vjp, .torch = "x.sum(axes, keepdim=keep)",
};
const tl_op tl__op_mean = {
    .name = "mean", .mixed = TL_WIDE, .brief = "Mean of `x` over `axes`.", .inputs = {"x"}, .attrs = ATTRS, .layout = {TL_ANY},
    .infer = reduce_infer, .forward = reduce_forward, .vjp = mean_vjp, .torch = "x.mean(axes, keepdim=keep)",
};
const tl_op tl__op_amax = {
    .name = "amax",
    .brief = "Largest element of `x` over `axes`, NaN where one is; among equals the gradient is shared.",
    .inputs = {"x"},
    .attrs = ATTRS,
    .layout = {TL_ANY},
    .ints = 1,
    .infer = reduce_infer,
    .forward = reduce_forward,
    .vjp = amax_vjp,
    .saves = TL_SAVE_IN(0) | TL_SAVE_OUT(0),
    .torch = "x.amax(axes, keepdim=keep)",
};

const tl_op tl__op_amin = {
    .name = "amin",
    .brief = "Least element of `x` over `axes`, NaN where one is; among equals the gradient is shared.",
    .inputs = {"x"},
    .attrs = ATTRS,
    .layout = {TL_ANY},
    .ints = 1,
    .infer = reduce_infer,
    .forward = reduce_forward,
    .vjp = amax_vjp,
    .saves = TL_SAVE_IN(0) | TL_SAVE_OUT(0),
    .torch = "x.amin(axes, keepdim=keep)",
};
const tl_op tl__op_prod = {
    .name = "prod",
    .brief = "Product of `x` over `axes`.",
    .inputs = {"x"},
    .attrs = ATTRS,
    .layout = {TL_ANY},
    .ints = 1,
    .infer = reduce_infer,
    .forward = reduce_forward,
    .vjp = prod_vjp,
    .saves = TL_SAVE_IN(0),
    .torch = "prod(x, axes, keep)",
};

static tl_tensor *reduce(tl_scope *s, const tl_op *op, tl_tensor *x, const int *axes, int n, int keep)
{
    tl_value a[TL_MAX_ATTRS] = {{.n = n}, {.i = keep}};
    for (int i = 0; i < n && i < TL_ATTR_LIST; i++) a[0].list[i] = axes[i];
    return tl__apply(s, op, &x, 1, a, NULL);
}

tl_tensor *tl_sum(tl_scope *s, tl_tensor *x, const int *axes, int n, int keep) { return reduce(s, &tl__op_sum, x, axes, n, keep); }
tl_tensor *tl_mean(tl_scope *s, tl_tensor *x, const int *axes, int n, int keep) { return reduce(s, &tl__op_mean, x, axes, n, keep); }
tl_tensor *tl_amax(tl_scope *s, tl_tensor *x, const int *axes, int n, int keep) { return reduce(s, &tl__op_amax, x, axes, n, keep); }
tl_tensor *tl_amin(tl_scope *s, tl_tensor *x, const int *axes, int n, int keep)
{
    return reduce(s, &tl__op_amin, x, axes, n, keep);
}
tl_tensor *tl_prod(tl_scope *s, tl_tensor *x, const int *axes, int n, int keep)
{
    return reduce(s, &tl__op_prod, x, axes, n, keep);
}
