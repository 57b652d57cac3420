/* conv_transpose.c - the transposed convolution: forward the gradient of a convolution towards its input, backward that convolution
 * itself (Dumoulin and Visin 2016, section 4). Pictures are channels-last, weights keep PyTorch's layout (C, O / groups, kernel...). */
#include "op/conv.h"

#include <string.h>

enum { X, WEIGHT, BIAS };
enum { STRIDE, PADDING, OUTPUT_PADDING, DILATION, GROUPS, PADDING_END };
extern const tl_op tl__op_conv_transpose;

/* The convolution that this one is the transpose of: it makes our input of our output. */
static int shape_of(tl_error *err, const tl_call *c, tl_conv_shape *g)
{
    const tl_shape *x = &c->in_meta[X].shape, *w = &c->in_meta[WEIGHT].shape;
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT];
    int64_t extra[3] = {0, 0, 0};
    *g = (tl_conv_shape){.spatial = x->rank - 2, .groups = c->attr[GROUPS].i, .taps = 1};
    int sp = g->spatial, lead = 3 - sp;
    if (sp < 1 || sp > 3 || w->rank != x->rank)
        return tl__op_fail(err, c, TL_ESHAPE, "pictures (N, ..., C) and weights (C, O, ...) of as many dimensions are needed, not %s and %s",
                           tl__shape_text(x, a, sizeof a), tl__shape_text(w, b, sizeof b));
    g->n = x->dim[0];
    g->co = x->dim[sp + 1];
    if (w->dim[0] != g->co)
        return tl__op_fail(err, c, TL_ESHAPE, "the input has %lld channels, the weight wants %lld %s", (long long)g->co, (long long)w->dim[0], tl__shape_text(w, a, sizeof a));
    if (g->groups < 1 || g->co % g->groups) return tl__op_fail(err, c, TL_EARG, "%lld groups do not divide %lld channels", (long long)g->groups, (long long)g->co);
    g->ci = w->dim[1] * g->groups;
    for (int i = 0; i < 3; i++) {
        g->out[i] = i < lead ? 1 : x->dim[1 + i - lead];
        g->kernel[i] = i < lead ? 1 : w->dim[2 + i - lead];
        g->stride[i] = g->dilation[i] = 1;
        g->taps *= g->kernel[i];
    }
    if (tl__conv_spread(err, c, STRIDE, sp, 1, 1, g->stride) || tl__conv_spread(err, c, PADDING, sp, 0, 0, g->padding) ||
        tl__conv_spread(err, c, OUTPUT_PADDING, sp, 0, 0, extra) || tl__conv_spread(err, c, DILATION, sp, 1, 1, g->dilation))
        return -1;
    memcpy(g->padding_end, g->padding, sizeof g->padding_end);
    if (c->attr[PADDING_END].n && tl__conv_spread(err, c, PADDING_END, sp, 0, 0, g->padding_end)) return -1;
    for (int i = 0; i < 3; i++) {
        if (extra[i] >= g->stride[i] && extra[i] >= g->dilation[i])
            return tl__op_fail(err, c, TL_EARG, "an output_padding of %lld must be smaller than the stride or the dilation", (long long)extra[i]);
        int64_t taken = g->padding[i] + g->padding_end[i], window = g->dilation[i] * (g->kernel[i] - 1) + 1;
        g->in[i] = (g->out[i] - 1) * g->stride[i] - taken + window + extra[i];
        if (g->in[i] < 1 || g->out[i] < 1 || g->kernel[i] < 1)
            return tl__op_fail(err, c, TL_ESHAPE, "nothing is left of %s with this kernel and padding", tl__shape_text(x, a, sizeof a));
        /* Rows of zeros that the convolution would not have looked at. */
        g->padding_end[i] -= g->in[i] + taken - window - (g->out[i] - 1) * g->stride[i];
    }
    return 0;
}

static int transpose_infer(tl_error *err, tl_call *c)
{
    tl_conv_shape g;
    char a[TL__SHAPE_TEXT];
    if (shape_of(err, c, &g) != 0) return -1;
    tl_shape y = c->in_meta[X].shape;
    for (int i = 0; i < g.spatial; i++) y.dim[1 + i] = g.in[3 - g.spatial + i];
    y.dim[g.spatial + 1] = g.ci;
    if (c->n_in > BIAS && c->present[BIAS] && (c->in_meta[BIAS].shape.rank != 1 || c->in_meta[BIAS].shape.dim[0] != g.ci))
        return tl__op_fail(err, c, TL_ESHAPE, "the bias is %s, the weight gives %lld channels", tl__shape_text(&c->in_meta[BIAS].shape, a, sizeof a), (long long)g.ci);
    c->n_out = 1;
    c->out_meta[0] = (tl_meta){y, TL_F32};
    return 0;
}

static int transpose_forward(tl_scope *s, const tl_call *c)
{
    tl_conv_shape g;
    tl_tensor *y = c->out[0], *bias = c->n_in > BIAS ? c->in[BIAS] : NULL;
    if (shape_of(&s->err, c, &g) != 0 || tl__conv_gradient_x(s, &g, c->in[X], c->in[WEIGHT], c->in[WEIGHT]->node == NULL, y) != 0) return -1;
    if (!bias) return 0;
    tl_tensor *wide = tl_expand(s, bias, y->shape.rank, y->shape.dim);
    return wide ? tl__add_into(s, y, wide) : -1;
}

/* dx = the convolution of gy; dw: as of that convolution, with gy for its pictures and x for its gradient; db = sums over pixels */
static void transpose_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_conv_shape g;
    const tl_shape *x = &c->in_meta[X].shape;
    tl_tensor *grad = tl__packed(s, gy[0]);
    if (!grad || shape_of(&s->err, c, &g) != 0) return;
    if (c->needs[X]) {
        tl_conv_job j = {.g = g, .x = grad, .y = tl_empty(s, TL_F32, x->rank, x->dim), .act = TL_ACT_NONE, .keep = !c->needs[WEIGHT]};
        if (!j.y) return;
        tl__conv_plain_weight(&j, c->in[WEIGHT]);
        if (tl__conv_run(s, &j) == 0) gx[X] = j.y;
    }
    if (c->needs[WEIGHT]) gx[WEIGHT] = tl__conv_gradient_w(s, &g, c->in[X], grad, &c->in_meta[WEIGHT].shape);
    if (c->n_in > BIAS && c->needs[BIAS]) gx[BIAS] = tl__sum_columns(s, tl_reshape(s, grad, 2, (int64_t[]){-1, g.ci}));
}

static unsigned transpose_saves(const tl_call *c) { return (c->needs[WEIGHT] ? TL_SAVE_IN(X) : 0) | (c->needs[X] ? TL_SAVE_IN(WEIGHT) : 0); }

static double transpose_flops(const tl_call *c)
{
    const tl_shape *w = &c->in_meta[WEIGHT].shape;
    return 2.0 * (double)tl__numel(&c->in_meta[X].shape) * (double)(tl__numel(w) / (w->dim[0] ? w->dim[0] : 1));
}

static void take(tl_sampler *to, int spatial, const int64_t *x, int64_t co, const int64_t *kernel, int64_t stride, int64_t padding, int64_t extra, int64_t dilation,
                 int64_t groups, int biased)
{
    tl_sample v = tl__sample(&tl__op_conv_transpose);
    int64_t w[TL_MAX_RANK] = {x[spatial + 1], co / groups};
    memcpy(w + 2, kernel, (size_t)spatial * sizeof *w);
    tl__sample_input(&v, spatial + 2, x, -1, 1);
    tl__sample_input(&v, spatial + 2, w, -1, 1);
    if (biased) tl__sample_input(&v, 1, &co, -1, 1);
    else tl__sample_absent(&v);
    v.attr[STRIDE] = (tl_value){.n = 1, .list = {stride}};
    v.attr[PADDING] = (tl_value){.n = 1, .list = {padding}};
    v.attr[OUTPUT_PADDING] = (tl_value){.n = 1, .list = {extra}};
    v.attr[DILATION] = (tl_value){.n = 1, .list = {dilation}};
    v.attr[GROUPS].i = groups;
    to->take(to, &v);
}

/* More taken away at the end than at the beginning, and another number for each dimension. */
static void take_uneven(tl_sampler *to)
{
    for (int i = 0; i < 2; i++) {
        tl_sample v = tl__sample(&tl__op_conv_transpose);
        tl__sample_input(&v, 4, (const int64_t[]){1, 4, 3, 4}, -1, 1);
        tl__sample_input(&v, 4, (const int64_t[]){4, 3, 3, 4}, -1, 1);
        tl__sample_absent(&v);
        v.attr[STRIDE] = (tl_value){.n = 2, .list = {2, 3}};
        v.attr[PADDING] = (tl_value){.n = 2, .list = {i, 0}};
        v.attr[PADDING_END] = (tl_value){.n = 2, .list = {1 - i, 2}};
        v.attr[OUTPUT_PADDING] = (tl_value){.n = 2, .list = {0, i}};
        to->take(to, &v);
    }
}

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})
static void transpose_samples(tl_sampler *to)
{
    take(to, 2, DIMS(2, 3, 4, 3), 5, DIMS(2, 2), 2, 0, 0, 1, 1, 1);
    take(to, 2, DIMS(1, 4, 3, 4), 3, DIMS(3, 3), 2, 1, 1, 1, 1, 1);
    take(to, 2, DIMS(1, 5, 4, 2), 3, DIMS(3, 3), 1, 1, 0, 1, 1, 0);
    take(to, 2, DIMS(1, 3, 3, 4), 6, DIMS(3, 2), 2, 0, 0, 1, 2, 1);
    take(to, 2, DIMS(1, 4, 4, 3), 4, DIMS(1, 1), 2, 0, 1, 1, 1, 0);
    take(to, 2, DIMS(1, 3, 4, 17), 16, DIMS(3, 3), 3, 2, 1, 2, 1, 1);
    take(to, 1, DIMS(2, 6, 3), 4, DIMS(4), 2, 1, 0, 1, 1, 1);
    take(to, 3, DIMS(1, 2, 3, 2, 2), 3, DIMS(2, 2, 2), 2, 0, 0, 1, 1, 1);
    take(to, 3, DIMS(1, 3, 2, 3, 4), 6, DIMS(3, 2, 3), 2, 1, 1, 2, 2, 1);
    take_uneven(to);
}

const tl_op tl__op_conv_transpose = {
    .name = "conv_transpose", .mixed = TL_LOWERED,
    .brief = "Transposed convolution of `x` (N, ..., C) with `weight` (C, O / groups, ...) + `bias` (O), in one to "
             "three dimensions.",
    .inputs = {"x", "weight", "bias?"},
    .attrs = {TL_INTS("stride", "step of the output, one number or one a dimension; 1 where not given"),
              TL_INTS("padding", "rows taken away on each side"), TL_INTS("output_padding", "rows added at the end"),
              TL_INTS("dilation", "distance of kernel elements; 1 where not given"),
              TL_INT("groups", 1, "channels are split into so many"),
              TL_INTS("padding_end", "rows taken away at the end, where they differ")},
    .infer = transpose_infer,
    .forward = transpose_forward,
    .vjp = transpose_vjp,
    .saves_for = transpose_saves,
    .flops = transpose_flops,
    .torch = "conv_transpose(x, weight, bias, stride, padding, output_padding, dilation, groups, padding_end)",
    .samples = transpose_samples,
};

tl_tensor *tl_conv_transpose(tl_scope *s, tl_tensor *x, tl_tensor *weight, tl_tensor *bias, const tl_conv_transpose_options *o)
{
    static const tl_conv_transpose_options plain = {0};
    tl_value a[TL_MAX_ATTRS];
    if (!s || s->err.code || !x) return NULL;
    if (!o) o = &plain;
    tl__attr_defaults(&tl__op_conv_transpose, a);
    int sp = x->shape.rank - 2 > 3 ? 3 : x->shape.rank - 2;
    for (int i = 0; i < sp; i++) {
        a[STRIDE].list[i] = o->stride[i] ? o->stride[i] : 1;
        a[PADDING].list[i] = o->padding[i];
        a[OUTPUT_PADDING].list[i] = o->output_padding[i];
        a[DILATION].list[i] = o->dilation[i] ? o->dilation[i] : 1;
    }
    a[STRIDE].n = a[PADDING].n = a[OUTPUT_PADDING].n = a[DILATION].n = sp;
    a[GROUPS].i = o->groups ? o->groups : 1;
    return tl__apply(s, &tl__op_conv_transpose, (tl_tensor *[]){x, weight, bias}, 3, a, NULL);
}
