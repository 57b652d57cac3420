/* conv_backward.c - gradients of the convolution. */
#include "op/activation.h"
#include "op/conv.h"

#include <string.h>

/* The convolution whose forward is the gradient towards x: kernel turned by 180 degrees, in and out exchanged. Only for
 * stride 1, without groups or with one kernel a channel. */
static tl_conv_job turned(const tl_conv_job *j, tl_tensor *gy, tl_tensor *dx)
{
    tl_conv_job t = *j;
    t.x = gy;
    t.y = dx;
    t.g.ci = j->g.co;
    t.g.co = j->g.ci;
    memcpy(t.g.in, j->g.out, sizeof t.g.in);
    memcpy(t.g.out, j->g.in, sizeof t.g.out);
    for (int i = 0; i < 3; i++) t.g.padding[i] = j->g.dilation[i] * (j->g.kernel[i] - 1) - j->g.padding[i];
    t.stride.at = j->stride.at + (j->g.taps - 1) * j->stride.tap;
    t.stride.out = j->stride.in;
    t.stride.in = j->stride.out;
    t.stride.tap = -j->stride.tap;
    return t;
}

static tl_matrix matrix(const tl_tensor *t, int64_t at, int64_t row, int64_t col) { return (tl_matrix){t->buffer, t->offset + at, row, col, 0}; }

/* A kernel of one element and a stride: a product on the small grid, spread over the large one. */
static tl_tensor *spread_product(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *w, tl_tensor *dx)
{
    int64_t rows = g->n * tl__conv_pixels_out(g);
    tl_tensor *small = tl_empty(s, TL_F32, 5, (int64_t[]){g->n, g->out[0], g->out[1], g->out[2], g->ci});
    if (!small) return NULL;
    tl_gemm p = {.m = rows, .n = g->ci, .k = g->co, .batch = 1, .alpha = 1, .a = matrix(gy, 0, g->co, 1), .b = matrix(w, 0, g->ci, 1),
                 .c = matrix(small, 0, g->ci, 1)};
    if (tl__gemm(&s->err, s->device, &p, "conv") != 0) return NULL;
    int64_t row = g->in[2] * g->ci, plane = g->in[1] * row, strides[TL_MAX_RANK] = {g->in[0] * plane, g->stride[0] * plane, g->stride[1] * row,
                                                                                   g->stride[2] * g->ci, 1};
    tl_tensor *spots = tl__scope_own(s, tl__tensor_view(&s->err, dx, &small->shape, strides, dx->offset));
    return spots && tl__copy_into(s, small, spots) == 0 ? dx : NULL;
}

/* dx = (gy w) gathered from patches to pictures, some pictures at a time. */
static tl_tensor *gathered(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *rows, tl_tensor *dx)
{
    int64_t ig = g->ci / g->groups, og = g->co / g->groups, k = g->taps * ig, pixels = tl__conv_pixels_out(g), step = tl__conv_chunk(g);
    tl_tensor *laid = tl_empty(s, TL_F32, 2, (int64_t[]){step * pixels, k});
    for (int64_t first = 0; laid && first < g->n; first += step) {
        int64_t count = first + step < g->n ? step : g->n - first;
        for (int64_t group = 0; group < g->groups; group++) {
            tl_gemm p = {.m = count * pixels, .n = k, .k = og, .batch = 1, .alpha = 1, .a = matrix(gy, first * pixels * g->co + group * og, g->co, 1),
                         .b = matrix(rows, group * og * k, k, 1), .c = matrix(laid, 0, k, 1)};
            if (tl__gemm(&s->err, s->device, &p, "conv") != 0 || tl__conv_unpatch(s, g, laid, first, count, group, dx) != 0) return NULL;
        }
    }
    return laid ? dx : NULL;
}

/* ---- a stride in three dimensions ---- */

/* Along one axis the pixels i = stride m + r meet every stride-th element of the kernel from k0 on, `count` of them:
 * dx[i] = sum over t of gy[m + c - t] w[k0 + stride t], c = (r + padding - k0) / stride. */
typedef struct phase { int64_t r, k0, count, pixels, padding; } phase;

static phase phase_of(const tl_conv_shape *g, int axis, int64_t r)
{
    int64_t step = g->stride[axis], k0 = (r + g->padding[axis]) % step;
    phase p = {.r = r, .k0 = k0, .count = (g->kernel[axis] - k0 + step - 1) / step,
               .pixels = (g->in[axis] - r + step - 1) / step};
    p.padding = p.count - 1 - (r + g->padding[axis] - k0) / step;
    return p;
}

/* The pixels of one phase along each axis: a convolution of stride 1 with its elements of the kernel, turned around. */
static int one_phase(tl_scope *s, const tl_conv_shape *g, const phase *p, tl_tensor *gy, tl_tensor *weight,
                     tl_tensor *dx)
{
    tl_conv_shape part = {.spatial = 3, .n = g->n, .ci = g->ci, .co = g->co, .groups = 1, .taps = 1};
    int64_t kernel[TL_MAX_RANK] = {g->ci * g->taps, g->taps, g->kernel[1] * g->kernel[2], g->kernel[2], 1};
    int64_t to[TL_MAX_RANK] = {0};
    int64_t row = g->in[2] * g->ci, plane = g->in[1] * row, first = dx->offset, w0 = weight->offset;
    const int64_t rows[3] = {plane, row, g->ci};
    for (int i = 0; i < 3; i++) {
        part.kernel[i] = p[i].count;
        part.taps *= p[i].count;
        part.stride[i] = part.dilation[i] = 1;
        /* Of the convolution that is turned around. */
        part.padding[i] = part.padding_end[i] = p[i].count - 1 - p[i].padding;
        part.in[i] = p[i].pixels;
        part.out[i] = g->out[i];
        w0 += p[i].k0 * kernel[2 + i];
        kernel[2 + i] *= g->stride[i];
        first += p[i].r * rows[i];
        to[1 + i] = g->stride[i] * rows[i];
    }
    to[0] = g->in[0] * plane;
    to[4] = 1;
    tl_shape small = {5, {g->n, part.in[0], part.in[1], part.in[2], g->ci}};
    tl_shape few = {5, {g->co, g->ci, part.kernel[0], part.kernel[1], part.kernel[2]}};
    tl_tensor *seen = tl__scope_own(s, tl__tensor_view(&s->err, weight, &few, kernel, w0));
    tl_tensor *spots = tl__scope_own(s, tl__tensor_view(&s->err, dx, &small, to, first));
    tl_tensor *w = tl_empty(s, TL_F32, 5, few.dim), *own = tl_empty(s, TL_F32, 5, small.dim);
    if (!seen || !w || !own || !spots || tl__copy_into(s, seen, w) != 0) return -1;
    tl_conv_job j = {.g = part};
    tl__conv_plain_weight(&j, w);
    tl_conv_job back = turned(&j, gy, own);
    return tl__conv_run(s, &back) == 0 ? tl__copy_into(s, own, spots) : -1;
}

/* Patches of a volume would take the kernel's size times its memory; its phases take one eighth of dx at a time. */
static int has_phases(const tl_conv_shape *g)
{
    int volume = g->spatial == 3 && (g->in[0] > 1 || g->kernel[0] > 1), overlap = 0;
    for (int i = 0; i < 3; i++) {
        if (g->dilation[i] != 1) return 0;
        overlap |= g->kernel[i] > g->stride[i];
    }
    return volume && overlap && g->groups == 1;
}

static int by_phases(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *weight, tl_tensor *dx)
{
    int64_t wide = g->stride[2], high = g->stride[1];
    for (int64_t at = 0; at < g->stride[0] * high * wide; at++) {
        phase p[3] = {phase_of(g, 0, at / wide / high), phase_of(g, 1, at / wide % high), phase_of(g, 2, at % wide)};
        int empty = 0, status;
        for (int i = 0; i < 3; i++) empty |= p[i].count < 1 || p[i].pixels < 1;
        if (empty) continue; /* dx is zero there */
        tl_scope inner;
        tl__scope_begin(&inner, s);
        status = one_phase(&inner, g, p, gy, weight, dx);
        tl__scope_end(&inner);
        if (status != 0) return -1;
    }
    return 0;
}

int tl__conv_gradient_x(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *weight, int keep, tl_tensor *dx)
{
    tl_conv_job j = {.g = *g, .keep = keep};
    tl__conv_plain_weight(&j, weight);
    int depthwise = tl__conv_is_depthwise(g), stride1 = g->stride[0] == 1 && g->stride[1] == 1 && g->stride[2] == 1, padded = 0;
    for (int i = 0; i < 3; i++) padded |= g->padding[i] || g->padding_end[i];
    if (stride1 && (depthwise || (g->groups == 1 && (tl__gemm_takes_patches(s->device) || g->taps == 1)))) {
        tl_conv_job back = turned(&j, gy, dx);
        return tl__conv_run(s, &back);
    }
    if (depthwise) return tl__depthwise_dx(s, &j, gy, dx);
    tl_conv_job back = turned(&j, gy, dx);
    if (stride1 && tl__conv_winograd_gpu_needs(s->device, &back) && tl__conv_winograd_gpu_suits(s->device, &back))
        return tl__conv_run(s, &back);
    if (tl__conv_gather_dx_needs(s->device, g, gy, dx)) return tl__conv_gather_dx(s, g, gy, weight, dx);
    if (tl__buffer_fill(&s->err, dx->buffer, (size_t)dx->offset * sizeof(float), (size_t)tl_numel(dx) * sizeof(float), 0) != 0) return -1;
    if (g->groups == 1 && g->taps == 1 && !padded) return spread_product(s, g, gy, j.w, dx) ? 0 : -1;
    if (has_phases(g)) return by_phases(s, g, gy, weight, dx);
    tl_tensor *rows = tl__conv_weight_rows(s, &j);
    return rows && gathered(s, g, gy, rows, dx) ? 0 : -1;
}

static tl_tensor *gradient_x(tl_scope *s, const tl_call *c, const tl_conv_shape *g, tl_tensor *gy)
{
    const tl_shape *shape = &c->in_meta[TL_CONV_X].shape;
    tl_tensor *dx = tl_empty(s, TL_F32, shape->rank, shape->dim);
    return dx && tl__conv_gradient_x(s, g, gy, c->in[TL_CONV_WEIGHT], !c->needs[TL_CONV_WEIGHT], dx) == 0 ? dx : NULL;
}

/* dw[o, (tap, i)] = sum over output pixels of gy[pixel, o] patches[pixel, (tap, i)] */
tl_tensor *tl__conv_gradient_w(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *x, const tl_shape *shape)
{
    if (g->n == 0) return tl_full(s, TL_F32, shape->rank, shape->dim, 0); /* there is nothing to sum */
    if (tl__conv_is_depthwise(g)) return tl__depthwise_dw(s, g, gy, x, shape);
    if (tl__conv_gather_dw_needs(s->device, g, gy, x)) return tl__conv_gather_dw(s, g, gy, x, shape);
    if (tl__conv_winograd_weight_needs(s->device, g)) return tl__conv_winograd_weight(s, g, gy, x, shape);
    if (tl__conv_narrow_weight_needs(s->device, g)) return tl__conv_narrow_weight(s, g, gy, x, shape);
    if (tl__conv_weight_gradient_needs(s->device, g)) return tl__conv_weight_gradient(s, g, gy, x, shape);
    int64_t ig = g->ci / g->groups, og = g->co / g->groups, k = g->taps * ig, pixels = tl__conv_pixels_out(g), step = tl__conv_chunk(g);
    tl_tensor *rows = tl_empty(s, TL_F32, 3, (int64_t[]){g->co, g->taps, ig});
    int direct = tl__conv_is_pointwise(g);
    if (direct) step = g->n;
    tl_tensor *laid = direct ? x : tl_empty(s, TL_F32, 2, (int64_t[]){step * pixels, k});
    for (int64_t first = 0; rows && laid && first < g->n; first += step) {
        int64_t count = first + step < g->n ? step : g->n - first;
        for (int64_t group = 0; group < g->groups; group++) {
            if (!direct && tl__conv_patches(s, g, x, first, count, group, laid) != 0) return NULL;
            tl_gemm p = {.m = og, .n = k, .k = count * pixels, .batch = 1, .alpha = 1, .accumulate = first > 0,
                         .a = matrix(gy, first * pixels * g->co + group * og, 1, g->co), .b = matrix(laid, 0, k, 1),
                         .c = matrix(rows, group * og * k, k, 1)};
            if (tl__gemm(&s->err, s->device, &p, "conv") != 0) return NULL;
        }
    }
    if (!rows || !laid) return NULL;
    return tl_reshape(s, tl_permute(s, rows, 3, (int[]){0, 2, 1}), shape->rank, shape->dim);
}

/* g = gy * act'(.); then x, weight as above, db = sums over pixels, dresidual = g */
void tl__conv_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_conv_shape g;
    if (tl__conv_shape(&s->err, c, &g) != 0) return;
    tl_act act = (tl_act)c->attr[TL_CONV_ACTIVATION].i;
    tl_tensor *grad = tl__packed(s, gy[0]), *from = c->out[0];
    if (tl__act_needs_input(act)) { /* what went in is computed again; tl_conv avoids this */
        tl_value attr[TL_MAX_ATTRS];
        tl_tensor *in[4] = {c->in[0], c->in[1], c->n_in > 2 ? c->in[2] : NULL, c->n_in > 3 ? c->in[3] : NULL};
        memcpy(attr, c->attr, sizeof attr);
        attr[TL_CONV_ACTIVATION].i = TL_ACT_NONE;
        from = tl__apply(s, c->op, in, 4, attr, NULL);
    }
    if (act != TL_ACT_NONE) grad = tl__activation_gradient(s, act, grad, from);
    if (!grad) return;
    if (c->needs[TL_CONV_X]) gx[TL_CONV_X] = gradient_x(s, c, &g, grad);
    if (c->needs[TL_CONV_WEIGHT]) gx[TL_CONV_WEIGHT] = tl__conv_gradient_w(s, &g, grad, c->in[TL_CONV_X], &c->in_meta[TL_CONV_WEIGHT].shape);
    if (c->n_in > TL_CONV_BIAS && c->needs[TL_CONV_BIAS])
        gx[TL_CONV_BIAS] = tl__sum_columns(s, tl_reshape(s, grad, 2, (int64_t[]){-1, g.co}));
    if (c->n_in > TL_CONV_RESIDUAL && c->needs[TL_CONV_RESIDUAL]) gx[TL_CONV_RESIDUAL] = grad;
}

/* Worth it where a result is large, so that it has left the caches, and a few multiplications give each of its numbers: the
 * expansions that end a residual network's first blocks. */
enum { AGAIN_BYTES = 16 << 20, AGAIN_CHANNELS = 128 };

int tl__conv_can_again(const tl_call *c)
{
    const tl_shape *x = &c->in_meta[TL_CONV_X].shape, *w = &c->in_meta[TL_CONV_WEIGHT].shape, *y = &c->out_meta[0].shape;
    for (int i = TL_CONV_BIAS; i < c->n_in; i++)
        if (c->present[i]) return 0;
    for (int i = 2; i < w->rank; i++)
        if (w->dim[i] != 1) return 0;
    return c->needs[TL_CONV_X] && c->needs[TL_CONV_WEIGHT] && c->attr[TL_CONV_ACTIVATION].i == TL_ACT_NONE && c->attr[TL_CONV_GROUPS].i == 1 &&
           w->dim[1] <= AGAIN_CHANNELS && tl__numel(y) >= 4 * tl__numel(x) && tl__numel(y) * 4 >= AGAIN_BYTES;
}

tl_tensor *tl__conv_again(tl_scope *s, const tl_call *c)
{
    const tl_shape *y = &c->out_meta[0].shape;
    tl_conv_job j = {.x = c->in[TL_CONV_X], .y = tl_empty(s, TL_F32, y->rank, y->dim), .act = TL_ACT_NONE};
    if (!j.y || tl__conv_shape(&s->err, c, &j.g) != 0) return NULL;
    tl__conv_plain_weight(&j, c->in[TL_CONV_WEIGHT]);
    return tl__conv_run(s, &j) == 0 ? j.y : NULL;
}
