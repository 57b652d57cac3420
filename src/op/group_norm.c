/* group_norm.c - normalisation for each sample and group of channels, over all places (Wu and He 2018); as many groups as channels are
 * instance norm (Ulyanov et al. 2016). A rectifier behind it, leaky or not, is part of it. */
#include "op/op.h"

static const tl_program program = {"group_norm", NULL}, grouped = {"gpu/group_norm_gpu", NULL};
enum { X, WEIGHT, BIAS };
enum { GROUPS, EPS, SLOPE };

/* The division into parts depends on the shape alone, so that sums do. */
typedef struct geometry { int64_t n, rows, channels, groups, length, parts; } geometry;

static geometry geometry_of(const tl_call *c)
{
    enum { LEAST = 64, MOST = 1024 };
    const tl_shape *x = &c->in_meta[X].shape;
    geometry g = {.n = x->dim[0], .rows = 1, .channels = x->dim[x->rank - 1], .groups = c->attr[GROUPS].i};
    for (int i = 1; i < x->rank - 1; i++) g.rows *= x->dim[i];
    if (g.groups == 0) g.groups = g.channels;
    g.length = g.rows > LEAST * MOST ? (g.rows + MOST - 1) / MOST : LEAST;
    g.parts = (g.rows + g.length - 1) / g.length;
    return g;
}

/* Rows that a work-item goes down where nothing is summed: few on GPUs, whose work-items stand side by side. */
static geometry for_elements(const tl_scope *s, geometry g)
{
    enum { FEW = 4 };
    if (!tl__in_groups(s->device)) return g;
    g.length = FEW;
    g.parts = (g.rows + FEW - 1) / FEW;
    return g;
}

static int is_empty(const geometry *g) { return g->n == 0 || g->rows == 0 || g->channels == 0; }

static int group_norm_infer(tl_error *err, tl_call *c)
{
    static const char *const names[] = {"", "weight", "bias"};
    const tl_shape *x = &c->in_meta[X].shape;
    char text[TL__SHAPE_TEXT];
    if (x->rank < 2) return tl__op_fail(err, c, TL_ESHAPE, "(N, ..., C) is needed, not %s", tl__shape_text(x, text, sizeof text));
    geometry g = geometry_of(c);
    if (g.groups < 0 || (g.channels && (g.groups == 0 || g.channels % g.groups)))
        return tl__op_fail(err, c, TL_EARG, "%lld channels do not divide into %lld groups", (long long)g.channels, (long long)g.groups);
    for (int i = WEIGHT; i <= BIAS; i++)
        if (i < c->n_in && c->present[i] && (c->in_meta[i].shape.rank != 1 || c->in_meta[i].shape.dim[0] != g.channels))
            return tl__op_fail(err, c, TL_ESHAPE, "the input has %lld channels, the %s is %s", (long long)g.channels, names[i],
                               tl__shape_text(&c->in_meta[i].shape, text, sizeof text));
    c->n_out = 2;
    c->out_meta[0] = (tl_meta){*x, TL_F32};
    /* Mean and inverse deviation of each channel's group, for the gradient. */
    c->out_meta[1] = (tl_meta){{3, {g.n, 2, g.channels}}, TL_F32};
    return 0;
}

static tl_tensor *given(const tl_call *c, int i) { return i < c->n_in ? c->in[i] : NULL; }

#define AFFINE(c) TL_KT(given(c, WEIGHT)), TL_KI(given(c, WEIGHT) != NULL), TL_KT(given(c, BIAS)), TL_KI(given(c, BIAS) != NULL)
#define SIZES(g) TL_KL((g)->rows), TL_KL((g)->channels), TL_KL((g)->length)

static tl_launch over_parts(const tl_scope *s, const geometry *g, const char *kernel)
{
    int64_t v = s->device->traits.vector_width;
    tl_launch l = {.program = &program, .kernel = kernel, .dims = 3, .global = {(size_t)((g->channels + v - 1) / v), (size_t)g->parts, (size_t)g->n}};
    if (s->device->traits.is_cpu) l.local[0] = l.local[1] = l.local[2] = 1;
    return l;
}

static tl_launch over_samples(const geometry *g, const char *kernel, int64_t each)
{
    return (tl_launch){.program = &program, .kernel = kernel, .dims = 2, .global = {(size_t)each, (size_t)g->n}};
}

#define IN_GROUPS(s, name, g, ...)                                                                                    \
    tl__launch_row_groups(s, &(tl_launch){.program = &grouped, .kernel = name}, "group_norm", (g)->n *(g)->groups,    \
                          (g)->channels / (g)->groups, (tl_karg[]){__VA_ARGS__},                                      \
                          (int)(sizeof((tl_karg[]){__VA_ARGS__}) / sizeof(tl_karg)))
#define OF_GROUPS(g) TL_KL((g)->rows), TL_KL((g)->channels), TL_KL((g)->channels / (g)->groups)

static int statistics(tl_scope *s, const tl_call *c, const geometry *g)
{
    if (tl__in_groups(s->device)) {
        tl_tensor *all = tl__moments_in_groups(s, c->in[X], g->n, g->rows, g->channels, "group_norm");
        return all ? IN_GROUPS(s, "group_statistics_gpu", g, TL_KT(all), TL_KT(c->out[1]), OF_GROUPS(g),
                               TL_KF(c->attr[EPS].f))
                   : -1;
    }
    tl_tensor *parts = tl_empty(s, TL_F32, 4, (int64_t[]){g->n, g->parts, 2, g->channels}), *joined = tl_empty(s, TL_F32, 3, (int64_t[]){g->n, 2, g->channels});
    if (!parts || !joined) return -1;
    tl_launch moments = over_parts(s, g, "group_moments"), join = over_samples(g, "group_join", g->channels);
    tl_launch last = over_samples(g, "group_statistics", g->groups);
    if (TL__LAUNCH(&s->err, s->device, &moments, "group_norm", TL_KT(c->in[X]), TL_KT(parts), SIZES(g)) != 0) return -1;
    if (TL__LAUNCH(&s->err, s->device, &join, "group_norm", TL_KT(parts), TL_KT(joined), SIZES(g)) != 0) return -1;
    return TL__LAUNCH(&s->err, s->device, &last, "group_norm", TL_KT(joined), TL_KT(c->out[1]), TL_KL(g->rows), TL_KL(g->channels),
                      TL_KL(g->channels / g->groups), TL_KF(c->attr[EPS].f));
}

static int normalise(tl_scope *s, const tl_call *c, const geometry *g, tl_tensor *y)
{
    geometry e = for_elements(s, *g);
    tl_launch l = over_parts(s, &e, "group_normalise");
    return TL__LAUNCH(&s->err, s->device, &l, "group_norm", TL_KT(c->in[X]), TL_KT(c->out[1]), AFFINE(c),
                      TL_KF(c->attr[SLOPE].f), TL_KT(y), SIZES(&e));
}

static int group_norm_forward(tl_scope *s, const tl_call *c)
{
    geometry g = geometry_of(c);
    if (is_empty(&g)) return 0;
    return statistics(s, c, &g) == 0 ? normalise(s, c, &g, c->out[0]) : -1;
}

/* The result is cheap to have again from x and the statistics. */
static tl_tensor *group_norm_again(tl_scope *s, const tl_call *c)
{
    geometry g = geometry_of(c);
    tl_tensor *y = tl_empty(s, TL_F32, c->out_meta[0].shape.rank, c->out_meta[0].shape.dim);
    return y && (is_empty(&g) || normalise(s, c, &g, y) == 0) ? y : NULL;
}

/* Parts of sum(g) and sum(g xhat): (N, parts, 2, C). */
static tl_tensor *parts_of_sums(tl_scope *s, const tl_call *c, const geometry *g, tl_tensor *grad)
{
    int in_groups = tl__in_groups(s->device);
    tl_column_parts by = tl__column_parts(g->n, g->rows, g->channels);
    tl_tensor *parts = tl_empty(s, TL_F32, 4, (int64_t[]){g->n, in_groups ? by.parts : g->parts, 2, g->channels});
    if (!parts || is_empty(g)) return parts;
    tl_karg args[] = {TL_KT(c->in[X]), TL_KT(grad), TL_KT(c->out[1]), AFFINE(c), TL_KF(c->attr[SLOPE].f), TL_KT(parts),
                      SIZES(g)};
    enum { COUNT = sizeof args / sizeof *args };
    tl_launch l = over_parts(s, g, "group_gradient_sums");
    if (!in_groups) return tl__launch(&s->err, s->device, &l, args, COUNT, "group_norm") == 0 ? parts : NULL;
    l = (tl_launch){.program = &grouped, .kernel = "group_gradient_sums_gpu"};
    args[COUNT - 3] = TL_KL(by.parts);
    return tl__launch_columns(s, &l, "group_norm", &by, args, COUNT - 2) == 0 ? parts : NULL;
}

/* Means over the groups: (N, 2, C). */
static int shares_of(tl_scope *s, const tl_call *c, const geometry *g, tl_tensor *sums, tl_tensor *shares)
{
    tl_launch l = over_samples(g, "group_shares", g->groups);
    if (tl__in_groups(s->device))
        return IN_GROUPS(s, "group_shares_gpu", g, TL_KT(sums), TL_KT(given(c, WEIGHT)),
                         TL_KI(given(c, WEIGHT) != NULL), TL_KT(shares), OF_GROUPS(g));
    return TL__LAUNCH(&s->err, s->device, &l, "group_norm", TL_KT(sums), TL_KT(given(c, WEIGHT)),
                      TL_KI(given(c, WEIGHT) != NULL), TL_KT(shares), OF_GROUPS(g));
}

/* dbias = sum(g), dweight = sum(g xhat), dx as written at the kernel; g = gy times the rectifier's slope */
static void group_norm_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    geometry g = geometry_of(c);
    tl_tensor *x = c->in[X], *stats = c->out[1], *grad = tl__packed(s, gy[0]);
    if (!grad) return;
    tl_tensor *parts = parts_of_sums(s, c, &g, grad);
    tl_tensor *sums = parts ? tl_sum(s, parts, (int[]){1}, 1, 0) : NULL;
    if (!sums) return;
    if ((c->n_in > WEIGHT && c->needs[WEIGHT]) || (c->n_in > BIAS && c->needs[BIAS])) {
        tl_tensor *all = tl_sum(s, sums, (int[]){0}, 1, 0);
        if (c->n_in > BIAS && c->needs[BIAS]) gx[BIAS] = tl_reshape(s, tl_slice(s, all, 0, 0, 1), 1, &g.channels);
        if (c->needs[WEIGHT]) gx[WEIGHT] = tl_reshape(s, tl_slice(s, all, 0, 1, 1), 1, &g.channels);
    }
    if (!c->needs[X]) return;
    tl_tensor *dx = tl_empty(s, TL_F32, c->in_meta[X].shape.rank, c->in_meta[X].shape.dim), *shares = tl_empty(s, TL_F32, 3, sums->shape.dim);
    if (!dx || !shares) return;
    geometry e = for_elements(s, g);
    tl_launch back = over_parts(s, &e, "group_gradient_x");
    if (!is_empty(&g) &&
        (shares_of(s, c, &g, sums, shares) != 0 ||
         TL__LAUNCH(&s->err, s->device, &back, "group_norm", TL_KT(x), TL_KT(grad), TL_KT(stats), TL_KT(shares), AFFINE(c), TL_KF(c->attr[SLOPE].f),
                    TL_KT(dx), SIZES(&e)) != 0))
        return;
    gx[X] = dx;
}

extern const tl_op tl__op_group_norm;

static void group_norm_samples(tl_sampler *to)
{
    static const struct { int64_t x[5]; int rank, affine; int64_t groups; double slope; } cases[] = {
        {{2, 5, 4}, 3, 1, 0, 1}, {{2, 3, 3, 6}, 4, 1, 2, 1}, {{1, 4, 5, 17}, 4, 0, 0, 0.01}, {{2, 3, 2, 3, 4}, 5, 1, 0, 0.1}, {{1, 2, 3, 4, 16}, 5, 1, 4, 0},
        {{2, 9, 8, 3}, 4, 1, 1, 0.2}, {{2, 3, 3, 8, 5}, 5, 0, 5, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_sample v = tl__sample(&tl__op_group_norm);
        const int64_t *channels = &cases[i].x[cases[i].rank - 1];
        tl__sample_input(&v, cases[i].rank, cases[i].x, -1, 1);
        if (cases[i].affine) {
            tl__sample_input(&v, 1, channels, 0.5, 1.5);
            tl__sample_input(&v, 1, channels, -1, 1);
        } else {
            tl__sample_absent(&v);
            tl__sample_absent(&v);
        }
        v.attr[GROUPS].i = cases[i].groups;
        v.attr[SLOPE].f = cases[i].slope;
        to->take(to, &v);
    }
}

const tl_op tl__op_group_norm = {
    .name = "group_norm", .mixed = TL_AS_FIRST,
    .brief = "`x` (N, ..., C) normalised for each sample over all places and the channels of a group, times `weight` plus `bias`; what is below zero "
             "times `slope`.",
    .inputs = {"x", "weight?", "bias?"},
    .attrs = {TL_INT("groups", 0, "channels are split into so many; 0: each is its own, instance norm"), TL_FROM_0("eps", 1e-5, "added to the variance"),
              TL_FLOAT("slope", 1, "of a rectifier behind it: 0 is relu, 0.01 a leaky one, 1 none")},
    .infer = group_norm_infer, .forward = group_norm_forward, .vjp = group_norm_vjp, .again = group_norm_again,
    .saves = TL_SAVE_IN(X) | TL_SAVE_IN(WEIGHT) | TL_SAVE_IN(BIAS) | TL_SAVE_OUT(1), .hidden = 1,
    .torch = "group_norm(x, weight, bias, groups, eps, slope)", .samples = group_norm_samples,
};

tl_tensor *tl_group_norm(tl_scope *s, tl_tensor *x, tl_tensor *weight, tl_tensor *bias, int64_t groups, double eps)
{
    tl_value a[TL_MAX_ATTRS];
    tl__attr_defaults(&tl__op_group_norm, a);
    a[GROUPS].i = groups;
    a[EPS].f = eps;
    return tl__apply(s, &tl__op_group_norm, (tl_tensor *[]){x, weight, bias}, 3, a, NULL);
}
