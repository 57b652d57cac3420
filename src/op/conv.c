/* conv.c - convolution in one, two or three dimensions: the descriptor, its shapes, and the forward. Pictures are
 * channels-last, weights keep PyTorch's layout (O, I / groups, kernel...). */
#include "op/activation.h"
#include "op/conv.h"

#include <string.h>

static tl_tensor *input(const tl_call *c, int i) { return i < c->n_in ? c->in[i] : NULL; }

/* ---- shapes ---- */

int tl__conv_spread(tl_error *err, const tl_call *c, int attr, int spatial, int64_t fallback, int64_t least, int64_t *out)
{
    const tl_value *v = &c->attr[attr];
    if (v->n > 1 && v->n != spatial)
        return tl__op_fail(err, c, TL_EARG, "%s has %d numbers for %d dimensions", c->op->attrs[attr].name, v->n, spatial);
    for (int i = 0; i < spatial; i++) {
        out[3 - spatial + i] = v->n == 0 ? fallback : v->list[v->n == 1 ? 0 : i];
        if (out[3 - spatial + i] < least || out[3 - spatial + i] > 1 << 24)
            return tl__op_fail(err, c, TL_EARG, "%s is %lld", c->op->attrs[attr].name, (long long)out[3 - spatial + i]);
    }
    return 0;
}

int tl__conv_shape(tl_error *err, const tl_call *c, tl_conv_shape *g)
{
    const tl_shape *x = &c->in_meta[TL_CONV_X].shape, *w = &c->in_meta[TL_CONV_WEIGHT].shape;
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT];
    *g = (tl_conv_shape){.spatial = x->rank - 2, .groups = c->attr[TL_CONV_GROUPS].i};
    int sp = g->spatial, lead = 3 - sp;
    if (sp < 1 || sp > 3 || w->rank != x->rank)
        return tl__op_fail(err, c, TL_ESHAPE, "pictures (N, ..., C) and weights (O, I, ...) of as many dimensions are needed, not %s and %s",
                           tl__shape_text(x, a, sizeof a), tl__shape_text(w, b, sizeof b));
    g->n = x->dim[0];
    g->ci = x->dim[sp + 1];
    g->co = w->dim[0];
    g->taps = 1;
    if (g->groups < 1 || g->ci % g->groups || g->co % g->groups)
        return tl__op_fail(err, c, TL_EARG, "%lld groups do not divide %lld and %lld channels", (long long)g->groups, (long long)g->ci, (long long)g->co);
    if (w->dim[1] != g->ci / g->groups)
        return tl__op_fail(err, c, TL_ESHAPE, "the input has %lld channels, the weight wants %lld %s", (long long)g->ci,
                           (long long)(w->dim[1] * g->groups), tl__shape_text(w, a, sizeof a));
    for (int i = 0; i < 3; i++) {
        g->in[i] = i < lead ? 1 : x->dim[1 + i - lead];
        g->kernel[i] = i < lead ? 1 : w->dim[2 + i - lead];
        g->stride[i] = g->dilation[i] = 1;
        g->padding[i] = 0;
        g->taps *= g->kernel[i];
    }
    if (tl__conv_spread(err, c, TL_CONV_STRIDE, sp, 1, 1, g->stride) || tl__conv_spread(err, c, TL_CONV_PADDING, sp, 0, 0, g->padding) ||
        tl__conv_spread(err, c, TL_CONV_DILATION, sp, 1, 1, g->dilation))
        return -1;
    memcpy(g->padding_end, g->padding, sizeof g->padding_end);
    if (c->attr[TL_CONV_PADDING_END].n && tl__conv_spread(err, c, TL_CONV_PADDING_END, sp, 0, 0, g->padding_end)) return -1;
    for (int i = 0; i < 3; i++) {
        int64_t reach = g->in[i] + g->padding[i] + g->padding_end[i] - g->dilation[i] * (g->kernel[i] - 1) - 1;
        if (reach < 0 || g->kernel[i] < 1)
            return tl__op_fail(err, c, TL_ESHAPE, "the kernel of %s is larger than the padded input %s", tl__shape_text(w, a, sizeof a),
                               tl__shape_text(x, b, sizeof b));
        g->out[i] = reach / g->stride[i] + 1;
    }
    return 0;
}

int64_t tl__conv_pixels_out(const tl_conv_shape *g) { return g->out[0] * g->out[1] * g->out[2]; }
int64_t tl__conv_pixels_in(const tl_conv_shape *g) { return g->in[0] * g->in[1] * g->in[2]; }

int tl__conv_is_pointwise(const tl_conv_shape *g)
{
    if (g->taps != 1 || g->groups != 1) return 0;
    for (int i = 0; i < 3; i++)
        if (g->stride[i] != 1 || g->padding[i] || g->padding_end[i]) return 0;
    return 1;
}

int tl__conv_is_depthwise(const tl_conv_shape *g)
{
    /* Its kernels know no more than a plane. */
    int plane = g->kernel[0] == 1 && g->in[0] == 1 && g->out[0] == 1 && g->padding[0] == 0;
    return plane && g->groups == g->ci && g->groups == g->co && g->groups > 1 && g->taps <= 49;
}

static int conv_infer(tl_error *err, tl_call *c)
{
    tl_conv_shape g;
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT];
    if (tl__conv_shape(err, c, &g) != 0) return -1;
    tl_shape y = c->in_meta[TL_CONV_X].shape;
    for (int i = 0; i < g.spatial; i++) y.dim[1 + i] = g.out[3 - g.spatial + i];
    y.dim[g.spatial + 1] = g.co;
    c->n_out = 1;
    c->out_meta[0] = (tl_meta){y, TL_F32};
    const tl_shape *bias = &c->in_meta[TL_CONV_BIAS].shape;
    if (c->n_in > TL_CONV_BIAS && c->present[TL_CONV_BIAS] && (bias->rank != 1 || bias->dim[0] != g.co))
        return tl__op_fail(err, c, TL_ESHAPE, "the bias is %s, the weight gives %lld channels", tl__shape_text(bias, a, sizeof a), (long long)g.co);
    if (c->n_in > TL_CONV_RESIDUAL && c->present[TL_CONV_RESIDUAL] && !tl__shape_equal(&c->in_meta[TL_CONV_RESIDUAL].shape, &y))
        return tl__op_fail(err, c, TL_ESHAPE, "the residual is %s, the output %s",
                           tl__shape_text(&c->in_meta[TL_CONV_RESIDUAL].shape, a, sizeof a), tl__shape_text(&y, b, sizeof b));
    return 0;
}

/* ---- forward ---- */

static int conv_forward(tl_scope *s, const tl_call *c)
{
    tl_conv_job j = {.x = c->in[TL_CONV_X], .bias = input(c, TL_CONV_BIAS), .residual = input(c, TL_CONV_RESIDUAL), .y = c->out[0],
                     .act = (tl_act)c->attr[TL_CONV_ACTIVATION].i, .inference = 1};
    if (tl__conv_shape(&s->err, c, &j.g) != 0) return -1;
    tl__conv_plain_weight(&j, c->in[TL_CONV_WEIGHT]);
    /* A weight that is trained is written in every step; a frozen one is worth keeping packed. */
    j.keep = j.w->node == NULL;
    for (int i = 0; i < c->n_in; i++) j.inference &= !c->in[i] || !c->in[i]->node;
    return tl__conv_run(s, &j);
}

/* A frozen weight needs no input kept, a first layer no weight; the smooth activations are computed again from all. */
static unsigned conv_saves(const tl_call *c)
{
    tl_act act = (tl_act)c->attr[TL_CONV_ACTIVATION].i;
    unsigned saves = 0;
    if (tl__act_needs_input(act)) return TL_SAVE_IN(0) | TL_SAVE_IN(1) | TL_SAVE_IN(2) | TL_SAVE_IN(3);
    if (c->needs[TL_CONV_WEIGHT]) saves |= TL_SAVE_IN(TL_CONV_X);
    if (c->needs[TL_CONV_X]) saves |= TL_SAVE_IN(TL_CONV_WEIGHT);
    return act == TL_ACT_NONE ? saves : saves | TL_SAVE_OUT(0);
}

static double conv_flops(const tl_call *c)
{
    const tl_shape *w = &c->in_meta[TL_CONV_WEIGHT].shape;
    return 2.0 * (double)tl__numel(&c->out_meta[0].shape) * (double)(tl__numel(w) / (w->dim[0] ? w->dim[0] : 1));
}

/* ---- samples and descriptor ---- */

extern const tl_op tl__op_conv;

static void take(tl_sampler *to, int spatial, const int64_t *x, int64_t co, const int64_t *kernel, int64_t stride, int64_t padding, int64_t end,
                 int64_t dilation, int64_t groups, int extras, int act)
{
    tl_sample v = tl__sample(&tl__op_conv);
    int64_t w[TL_MAX_RANK] = {co, x[spatial + 1] / groups};
    memcpy(w + 2, kernel, (size_t)spatial * sizeof *w);
    tl__sample_input(&v, spatial + 2, x, -1, 1);
    tl__sample_input(&v, spatial + 2, w, -1, 1);
    if (extras) tl__sample_input(&v, 1, &co, -1, 1);
    else tl__sample_absent(&v);
    tl__sample_absent(&v);
    v.attr[TL_CONV_STRIDE] = (tl_value){.n = 1, .list = {stride}};
    v.attr[TL_CONV_PADDING] = (tl_value){.n = 1, .list = {padding}};
    if (end >= 0) v.attr[TL_CONV_PADDING_END] = (tl_value){.n = 1, .list = {end}};
    v.attr[TL_CONV_DILATION] = (tl_value){.n = 1, .list = {dilation}};
    v.attr[TL_CONV_GROUPS].i = groups;
    v.attr[TL_CONV_ACTIVATION].i = act;
    to->take(to, &v);
}

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})
static void conv_samples(tl_sampler *to)
{
    take(to, 2, DIMS(2, 5, 6, 3), 4, DIMS(3, 3), 1, 1, -1, 1, 1, 1, TL_ACT_NONE);
    take(to, 2, DIMS(1, 6, 5, 4), 5, DIMS(3, 3), 2, 1, -1, 1, 1, 1, TL_ACT_RELU);
    take(to, 2, DIMS(2, 4, 4, 5), 3, DIMS(1, 1), 1, 0, -1, 1, 1, 0, TL_ACT_NONE);
    take(to, 2, DIMS(1, 5, 4, 3), 4, DIMS(1, 1), 2, 0, -1, 1, 1, 0, TL_ACT_RELU6);
    take(to, 2, DIMS(1, 7, 7, 2), 3, DIMS(3, 3), 2, 0, 1, 1, 1, 1, TL_ACT_SILU);
    take(to, 2, DIMS(1, 7, 6, 2), 3, DIMS(3, 2), 1, 2, -1, 2, 1, 0, TL_ACT_NONE);
    take(to, 2, DIMS(1, 4, 4, 24), 5, DIMS(1, 1), 1, 0, -1, 1, 1, 1, TL_ACT_HARDSWISH);
    take(to, 2, DIMS(2, 4, 5, 4), 6, DIMS(3, 3), 1, 1, -1, 1, 2, 1, TL_ACT_NONE);
    take(to, 2, DIMS(2, 5, 4, 6), 6, DIMS(3, 3), 1, 1, -1, 1, 6, 1, TL_ACT_RELU6);
    take(to, 2, DIMS(1, 6, 7, 5), 5, DIMS(5, 5), 2, 1, 2, 1, 5, 0, TL_ACT_NONE);
    take(to, 2, DIMS(1, 1, 1, 3), 2, DIMS(3, 3), 1, 1, -1, 1, 1, 1, TL_ACT_NONE);
    take(to, 1, DIMS(2, 9, 3), 4, DIMS(3), 2, 1, -1, 1, 1, 1, TL_ACT_GELU);
    take(to, 3, DIMS(1, 3, 4, 3, 2), 3, DIMS(2, 3, 2), 1, 1, -1, 1, 1, 1, TL_ACT_NONE);
    for (int i = -1; i <= 1 && !to->small; i++) {
        take(to, 2, DIMS(1, 1, to->tile_m + i, 16), to->tile_n + i, DIMS(1, 3), 1, 1, -1, 1, 1, 1, TL_ACT_NONE);
        take(to, 2, DIMS(1, 3, 6, 16 + i), 16 + i, DIMS(3, 3), 1, 1, -1, 1, 16 + i, 1, TL_ACT_NONE);
    }
    take(to, 3, DIMS(1, 5, 4, 5, 4), 6, DIMS(3, 3, 3), 2, 1, -1, 1, 2, 1, TL_ACT_NONE);
    take(to, 3, DIMS(2, 4, 5, 4, 3), 3, DIMS(2, 2, 2), 1, 1, 0, 2, 1, 1, TL_ACT_RELU);
    take(to, 3, DIMS(1, 4, 3, 4, 4), 4, DIMS(3, 3, 3), 1, 1, -1, 1, 4, 0, TL_ACT_NONE);
    take(to, 1, DIMS(2, 9, 4), 4, DIMS(3), 1, 2, 0, 2, 4, 1, TL_ACT_NONE);
    take(to, 1, DIMS(1, 12, 6), 4, DIMS(5), 3, 1, 3, 1, 2, 0, TL_ACT_NONE);
    take(to, 1, DIMS(2, 19, 18), 18, DIMS(15), 1, 7, -1, 1, 18, 1, TL_ACT_SILU); /* a kernel longer than registers have room for */
    take(to, 1, DIMS(1, 21, 8), 8, DIMS(9), 2, 3, 4, 1, 8, 0, TL_ACT_NONE);
    take(to, 1, DIMS(1, 40, 8), 8, DIMS(31), 1, 15, -1, 1, 8, 0, TL_ACT_NONE);
}

const tl_op tl__op_conv = {
    .name = "conv", .mixed = TL_LOWERED,
    .brief = "activation(convolution of `x` (N, ..., C) with `weight` (O, C / groups, ...) + `bias` (O) + `residual`), in one to three dimensions.",
    .inputs = {"x", "weight", "bias?", "residual?"},
    .attrs = {TL_INTS("stride", "step, one number or one a dimension; 1 where not given"), TL_INTS("padding", "zeros before (and after)"),
              TL_INTS("padding_end", "zeros after, where they differ"), TL_INTS("dilation", "distance of kernel elements; 1 where not given"),
              TL_INT("groups", 1, "channels are split into so many"),
              TL_CHOICE("activation", tl__activations, "applied to the sum")},
    .infer = conv_infer, .forward = conv_forward, .vjp = tl__conv_vjp,
    .saves_for = conv_saves, .again = tl__conv_again, .can_again = tl__conv_can_again, .flops = conv_flops,
    .torch = "conv(x, weight, bias, residual, stride, padding, padding_end, dilation, groups, activation)", .samples = conv_samples,
};

tl_tensor *tl_conv(tl_scope *s, tl_tensor *x, tl_tensor *weight, tl_tensor *bias, tl_tensor *residual, const tl_conv_options *o)
{
    static const tl_conv_options plain = {0};
    tl_tensor *in[] = {x, weight, bias, residual};
    tl_value a[TL_MAX_ATTRS];
    if (!s || s->err.code || !x) return NULL;
    if (!o) o = &plain;
    tl__attr_defaults(&tl__op_conv, a);
    int sp = x->shape.rank - 2 > 3 ? 3 : x->shape.rank - 2, recorded = 0, ends = 0;
    tl_act act;
    for (int i = 0; i < sp; i++) {
        a[TL_CONV_STRIDE].list[i] = o->stride[i] ? o->stride[i] : 1;
        a[TL_CONV_PADDING].list[i] = o->padding[i];
        a[TL_CONV_PADDING_END].list[i] = o->padding[i] + o->more_at_end[i];
        a[TL_CONV_DILATION].list[i] = o->dilation[i] ? o->dilation[i] : 1;
        ends |= o->more_at_end[i] != 0;
    }
    a[TL_CONV_STRIDE].n = a[TL_CONV_PADDING].n = a[TL_CONV_DILATION].n = sp;
    a[TL_CONV_PADDING_END].n = ends ? sp : 0;
    a[TL_CONV_GROUPS].i = o->groups ? o->groups : 1;
    if (tl__activation_named(&s->err, "conv", o->activation, &act) != 0) return NULL;
    for (int i = 0; i < 4; i++) recorded |= s->recording && in[i] && in[i]->node;
    /* The gradient of a smooth one needs what went in: while recording it is made as a result of its own. */
    int smooth = tl__act_needs_input(act);
    a[TL_CONV_ACTIVATION].i = recorded && smooth ? TL_ACT_NONE : act;
    tl_tensor *y = tl__apply(s, &tl__op_conv, in, 4, a, NULL);
    if (!recorded || !smooth) return y;
    return tl__activation(s, act, y);
}
