/* batch_norm.c - batch normalisation over all but the last dimension (Ioffe and Szegedy 2015) with the residual and the
 * activation that follow it, and folding it into the weights before it. */
#include "device/gemm/gemm.h"
#include "op/op.h"

static const tl_program program = {"batch_norm", NULL}, grouped = {"gpu/batch_norm_gpu", NULL};
enum { X, WEIGHT, BIAS, MEAN, VAR, RESIDUAL };
enum { TRAINING, MOMENTUM, EPS, ACTIVATION };

/* In the order of tl_act. */
static const char *const activations[] = {
#define ACT(NUMBER, name) #name,
#define ACT_OF_PRODUCT(NUMBER, name)
#include "../../cl/activations.clh"
    NULL};

typedef struct geometry { int64_t rows, channels, length, parts; } geometry;

static geometry geometry_of(const tl_shape *x)
{
    geometry g = {.channels = x->dim[x->rank - 1]};
    g.rows = g.channels ? tl__numel(x) / g.channels : 0;
    g.length = g.rows > 128 * 64 ? (g.rows + 127) / 128 : 64; /* depends on the shape alone, so that sums do */
    g.parts = (g.rows + g.length - 1) / g.length;
    return g;
}

static int batch_norm_infer(tl_error *err, tl_call *c)
{
    static const char *const names[] = {"", "weight", "bias", "running mean", "running variance"};
    const tl_shape *x = &c->in_meta[X].shape;
    char text[TL__SHAPE_TEXT];
    if (x->rank < 2) return tl__op_fail(err, c, TL_ESHAPE, "(N, ..., C) is needed, not %s", tl__shape_text(x, text, sizeof text));
    for (int i = WEIGHT; i <= VAR; i++)
        if (c->present[i] && (c->in_meta[i].shape.rank != 1 || c->in_meta[i].shape.dim[0] != x->dim[x->rank - 1]))
            return tl__op_fail(err, c, TL_ESHAPE, "the input has %lld channels, the %s is %s", (long long)x->dim[x->rank - 1], names[i],
                               tl__shape_text(&c->in_meta[i].shape, text, sizeof text));
    if (c->n_in > RESIDUAL && c->present[RESIDUAL]) {
        char other[TL__SHAPE_TEXT];
        if (!tl__shape_equal(&c->in_meta[RESIDUAL].shape, x))
            return tl__op_fail(err, c, TL_ESHAPE, "the residual is %s, the input %s", tl__shape_text(&c->in_meta[RESIDUAL].shape, other, sizeof other),
                               tl__shape_text(x, text, sizeof text));
        if (tl__act_needs_input((tl_act)c->attr[ACTIVATION].i)) return tl__op_fail(err, c, TL_EARG, "with a residual the activation can be relu or relu6");
    }
    geometry g = geometry_of(x);
    if (c->attr[TRAINING].i && g.rows < 2) return tl__op_fail(err, c, TL_ESHAPE, "training needs more than one value a channel, not %s", tl__shape_text(x, text, sizeof text));
    c->n_out = 2;
    c->out_meta[0] = (tl_meta){*x, TL_F32};
    /* Mean and inverse deviation that were used, for the gradient; in training also where the running statistics go. */
    c->out_meta[1] = (tl_meta){{2, {c->attr[TRAINING].i ? 4 : 2, g.channels}}, TL_F32};
    return 0;
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

enum { SPAN = 16 }; /* vectors of a group on processors, as in cl/batch_norm.cl */

static void over_parts(const tl_scope *s, const geometry *g, tl_launch *l, const char *kernel)
{
    int64_t v = s->device->traits.vector_width;
    if (s->device->traits.is_cpu && v > 1) v *= SPAN;
    *l = (tl_launch){.program = &program, .kernel = kernel, .dims = 2, .global = {(size_t)((g->channels + v - 1) / v), (size_t)g->parts}};
    if (s->device->traits.is_cpu) l->local[0] = l->local[1] = 1;
}

static tl_tensor *residual_of(const tl_call *c) { return c->n_in > RESIDUAL ? c->in[RESIDUAL] : NULL; }

/* The running statistics are moved by training alone, and not by a momentum of 0 (a part that is computed again). */
static unsigned batch_norm_mutates(const tl_value *attr) { return attr[TRAINING].i && attr[MOMENTUM].f != 0 ? 1u << MEAN | 1u << VAR : 0; }

/* Fills out[1], from the batch or from the running ones. */
static int statistics(tl_scope *s, const tl_call *c, const geometry *g)
{
    tl_tensor *x = c->in[X], *stats = c->out[1];
    tl_launch l = {.program = &program, .kernel = "running", .dims = 1, .global = {(size_t)g->channels}}, p;
    if (!c->attr[TRAINING].i)
        return TL__LAUNCH(&s->err, s->device, &l, "batch_norm", TL_KT(c->in[MEAN]), TL_KT(c->in[VAR]), TL_KT(stats), TL_KL(g->channels), TL_KF(c->attr[EPS].f));
    l.kernel = "statistics";
    if (tl__in_groups(s->device)) { /* all of it as one part */
        tl_tensor *all = tl__moments_in_groups(s, x, 1, g->rows, g->channels, "batch_norm");
        return all ? TL__LAUNCH(&s->err, s->device, &l, "batch_norm", TL_KT(all), TL_KT(stats), TL_KT(c->in[MEAN]),
                                TL_KT(c->in[VAR]), TL_KL(g->rows), TL_KL(g->channels), TL_KL(g->rows), TL_KL(1),
                                TL_KF(c->attr[MOMENTUM].f), TL_KF(c->attr[EPS].f))
                   : -1;
    }
    tl_tensor *parts = tl_empty(s, TL_F32, 3, (int64_t[]){g->parts, 2, g->channels});
    if (!parts) return -1;
    over_parts(s, g, &p, "moments");
    if (TL__LAUNCH(&s->err, s->device, &p, "batch_norm", TL_KT(x), TL_KT(parts), TL_KL(g->rows), TL_KL(g->channels), TL_KL(g->length)) != 0) return -1;
    return TL__LAUNCH(&s->err, s->device, &l, "batch_norm", TL_KT(parts), TL_KT(stats), TL_KT(c->in[MEAN]), TL_KT(c->in[VAR]), TL_KL(g->rows), TL_KL(g->channels),
                      TL_KL(g->length), TL_KL(g->parts), TL_KF(c->attr[MOMENTUM].f), TL_KF(c->attr[EPS].f));
}

static int batch_norm_move(tl_scope *s, const tl_call *c, tl_tensor *const *in)
{
    int64_t channels = c->out_meta[1].shape.dim[1];
    tl_launch l = {.program = &program, .kernel = "follow", .dims = 1, .global = {(size_t)channels}};
    if (tl__numel(&c->out_meta[0].shape) == 0) return 0;
    return TL__LAUNCH(&s->err, s->device, &l, "batch_norm", TL_KT(c->out[1]), TL_KT(in[MEAN]), TL_KT(in[VAR]), TL_KL(channels));
}

#define AFFINE(c) TL_KT((c)->in[WEIGHT]), TL_KI((c)->in[WEIGHT] != NULL), TL_KT((c)->in[BIAS]), TL_KI((c)->in[BIAS] != NULL)

static int normalise(tl_scope *s, const tl_call *c, const geometry *g, tl_tensor *residual, tl_tensor *y)
{
    tl_launch l;
    geometry e = for_elements(s, *g);
    over_parts(s, &e, &l, "normalise");
    return TL__LAUNCH(&s->err, s->device, &l, "batch_norm", TL_KT(c->in[X]), TL_KT(c->out[1]), AFFINE(c), TL_KT(residual), TL_KI(residual != NULL),
                      TL_KI(c->attr[ACTIVATION].i), TL_KT(y), TL_KL(e.rows), TL_KL(e.channels), TL_KL(e.length));
}

static int batch_norm_forward(tl_scope *s, const tl_call *c)
{
    geometry g = geometry_of(&c->in[X]->shape);
    if (g.rows == 0 || g.channels == 0) return 0;
    return statistics(s, c, &g) == 0 ? normalise(s, c, &g, residual_of(c), c->out[0]) : -1;
}

/* The result is cheap to have again from x and the statistics, where no residual went into it. */
static tl_tensor *batch_norm_again(tl_scope *s, const tl_call *c)
{
    geometry g = geometry_of(&c->in_meta[X].shape);
    tl_tensor *y = tl_empty(s, TL_F32, c->out_meta[0].shape.rank, c->out_meta[0].shape.dim);
    return y && (g.rows == 0 || g.channels == 0 || normalise(s, c, &g, NULL, y) == 0) ? y : NULL;
}

static int has_no_residual(const tl_call *c) { return !(c->n_in > RESIDUAL && c->present[RESIDUAL]); }
static int has_residual(const tl_call *c) { return !has_no_residual(c); }

/* With a residual the slope of the activation is read off the result. */
static unsigned batch_norm_saves(const tl_call *c)
{
    unsigned saves = TL_SAVE_IN(X) | TL_SAVE_IN(WEIGHT) | TL_SAVE_IN(BIAS) | TL_SAVE_OUT(1);
    return has_residual(c) && c->attr[ACTIVATION].i ? saves | TL_SAVE_OUT(0) : saves;
}

/* Parts of sum(g) and sum(g xhat), (parts, 2, C); `through` not NULL gets g, of an activation behind a residual. */
static tl_tensor *parts_of_sums(tl_scope *s, const tl_call *c, const geometry *g, tl_tensor *grad, tl_tensor *through)
{
    int in_groups = tl__in_groups(s->device);
    tl_column_parts by = tl__column_parts(1, g->rows, g->channels);
    tl_tensor *parts = tl_empty(s, TL_F32, 3, (int64_t[]){in_groups ? by.parts : g->parts, 2, g->channels});
    if (!parts) return NULL;
    tl_karg args[] = {TL_KT(c->in[X]), TL_KT(grad), TL_KT(c->out[1]), AFFINE(c), TL_KT(c->out[0]), TL_KT(through),
                      TL_KI(through != NULL), TL_KI(c->attr[ACTIVATION].i), TL_KT(parts), TL_KL(g->rows),
                      TL_KL(g->channels), TL_KL(g->length)};
    enum { COUNT = sizeof args / sizeof *args };
    tl_launch l = {.program = &grouped, .kernel = "gradient_sums_gpu"};
    if (in_groups) return tl__launch_columns(s, &l, "batch_norm", &by, args, COUNT - 3) == 0 ? parts : NULL;
    over_parts(s, g, &l, "gradient_sums");
    return tl__launch(&s->err, s->device, &l, args, COUNT, "batch_norm") == 0 ? parts : NULL;
}

/* dbias = sum(g), dweight = sum(g xhat), dresidual = g, dx as written at the kernel; g = gy activation' */
static void batch_norm_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_tensor *x = c->in[X], *stats = c->out[1], *grad = tl__packed(s, gy[0]), *sums = NULL;
    geometry g = geometry_of(&c->in_meta[X].shape);
    int training = (int)c->attr[TRAINING].i, act = (int)c->attr[ACTIVATION].i, masked = act && has_residual(c);
    tl_tensor *through = masked ? tl_empty(s, TL_F32, c->in_meta[X].shape.rank, c->in_meta[X].shape.dim) : grad;
    tl_launch l;
    if (!grad || !through) return;
    if (training || c->needs[WEIGHT] || c->needs[BIAS] || masked) {
        tl_tensor *parts = parts_of_sums(s, c, &g, grad, masked ? through : NULL);
        if (!parts) return;
        sums = tl_sum(s, parts, (int[]){0}, 1, 0);
        if (!sums) return;
        if (c->needs[BIAS]) gx[BIAS] = tl_reshape(s, tl_slice(s, sums, 0, 0, 1), 1, &g.channels);
        if (c->needs[WEIGHT]) gx[WEIGHT] = tl_reshape(s, tl_slice(s, sums, 0, 1, 1), 1, &g.channels);
    }
    if (has_residual(c) && c->needs[RESIDUAL]) gx[RESIDUAL] = through;
    if (!c->needs[X]) return;
    tl_tensor *dx = tl_empty(s, TL_F32, c->in_meta[X].shape.rank, c->in_meta[X].shape.dim);
    if (!dx) return;
    g = for_elements(s, g);
    over_parts(s, &g, &l, "gradient_x");
    if (TL__LAUNCH(&s->err, s->device, &l, "batch_norm", TL_KT(x), TL_KT(through), TL_KT(stats), TL_KT(sums), AFFINE(c), TL_KI(masked ? TL_ACT_NONE : act),
                   TL_KI(training), TL_KT(dx), TL_KL(g.rows), TL_KL(g.channels), TL_KL(g.length)) == 0)
        gx[X] = dx;
}

extern const tl_op tl__op_batch_norm;

static void take(tl_sampler *to, const int64_t *x, int training, int act, int residual)
{
    tl_sample v = tl__sample(&tl__op_batch_norm);
    double reach = act == TL_ACT_HARDSWISH ? 6 : 1; /* past both ends of its middle */
    tl__sample_input(&v, 4, x, -reach, reach);
    tl__sample_input(&v, 1, &x[3], 0.5, 1.5);
    tl__sample_input(&v, 1, &x[3], -reach, reach);
    tl__sample_input(&v, 1, &x[3], -0.5, 0.5);
    tl__sample_input(&v, 1, &x[3], 0.5, 1.5);
    if (residual) tl__sample_input(&v, 4, x, -1, 1);
    else tl__sample_absent(&v);
    v.attr[TRAINING].i = training;
    v.attr[ACTIVATION].i = act;
    to->take(to, &v);
}

static void batch_norm_samples(tl_sampler *to)
{
    static const int64_t dims[][4] = {{2, 3, 3, 4}, {3, 2, 1, 1}, {1, 5, 4, 17}, {2, 6, 7, 16}, {4, 1, 1, 3}};
    for (int i = 0; i < 10; i++) take(to, dims[i / 2], i & 1, TL_ACT_NONE, 0);
    for (int i = 0; i < 6; i++) take(to, dims[i / 2 * 2], i & 1, TL_ACT_RELU + i / 2, i / 2 < 2);
    for (int i = 0; i < 2; i++) take(to, dims[2], i & 1, TL_ACT_HARDSWISH, 0);
    for (int i = 0; i < 4; i++) take(to, dims[1 + i / 2], i & 1, i / 2 ? TL_ACT_RELU : TL_ACT_NONE, i / 2 == 0);
}

const tl_op tl__op_batch_norm = {
    .name = "batch_norm", .mixed = TL_AS_FIRST,
    .brief = "activation(`x` (N, ..., C) normalised by channel, times `weight` plus `bias`, plus `residual`). In training by the batch's own statistics, "
             "which also move the running ones.",
    .inputs = {"x", "weight?", "bias?", "running_mean", "running_var", "residual?"},
    .attrs = {TL_BOOL_("training", 0, "use the batch's statistics"), TL_RANGE("momentum", 0.1, 0, 1, "share of the new statistics"), TL_FROM_0("eps", 1e-5, "added to the variance"),
              TL_CHOICE("activation", activations, "applied to the sum; silu and hardswish only without a residual")},
    .infer = batch_norm_infer, .forward = batch_norm_forward, .vjp = batch_norm_vjp,
    .saves_for = batch_norm_saves, .again = batch_norm_again, .can_again = has_no_residual, .mutates = batch_norm_mutates, .move = batch_norm_move, .hidden = 1, .constants = 1u << MEAN | 1u << VAR,
    .torch = "batch_norm(x, weight, bias, running_mean, running_var, residual, training, momentum, eps, activation)", .samples = batch_norm_samples,
};

tl_tensor *tl_batch_norm(tl_scope *s, tl_tensor *x, tl_tensor *weight, tl_tensor *bias, tl_tensor *mean, tl_tensor *var, int training, double momentum, double eps)
{
    tl_value a[TL_MAX_ATTRS] = {{.i = training != 0}, {.f = momentum}, {.f = eps}};
    return tl__apply(s, &tl__op_batch_norm, (tl_tensor *[]){x, weight, bias, mean, var}, 5, a, NULL);
}

/* w2 = w weight / sqrt(var + eps) by output channel, b2 = (b - mean) weight / sqrt(var + eps) + bias */
int tl_fold_batch_norm(tl_scope *s, tl_tensor *w, tl_tensor *b, tl_tensor *weight, tl_tensor *bias, tl_tensor *mean, tl_tensor *var, double eps, tl_tensor **w2,
                       tl_tensor **b2)
{
    int64_t dims[TL_MAX_RANK];
    if (!s || s->err.code || !w) return -1;
    for (int i = 0; i < w->shape.rank; i++) dims[i] = i ? 1 : w->shape.dim[0];
    tl_tensor *scale = tl_rsqrt(s, tl_add_scalar(s, var, eps));
    if (weight) scale = tl_mul(s, scale, weight);
    *w2 = tl_mul(s, w, tl_reshape(s, scale, w->shape.rank, dims));
    tl_tensor *from = b ? tl_sub(s, b, mean) : tl_neg(s, mean);
    *b2 = tl_mul(s, from, scale);
    if (bias) *b2 = tl_add(s, *b2, bias);
    return s->err.code ? -1 : 0;
}
