/* conv_gather.c - convolutions on GPUs: the matrix product gathers patches as it loads them (src/device/gemm/gpu.c),
 * for the forward, for both gradients and for all groups of channels at once, so that no patches lie in memory. */
#include "op/conv.h"

#include <string.h>

/* Patches of a group of channels of pictures `from`, seen by the convolution's output pixels. */
static tl_patches patches_of(const tl_conv_shape *g)
{
    tl_patches p = {.channels = g->ci / g->groups, .pixel = g->ci};
    memcpy(p.in, g->in, sizeof p.in);
    memcpy(p.out, g->out, sizeof p.out);
    memcpy(p.kernel, g->kernel, sizeof p.kernel);
    memcpy(p.stride, g->stride, sizeof p.stride);
    memcpy(p.padding, g->padding, sizeof p.padding);
    memcpy(p.dilation, g->dilation, sizeof p.dilation);
    return p;
}

static tl_matrix matrix(const tl_tensor *t, int64_t row, int64_t col, int64_t batch)
{
    return (tl_matrix){t->buffer, t->offset, row, col, batch};
}

/* ---- forward ---- */

/* All but the weights, which are not made before it is known that they are wanted. */
static tl_gemm forward_of(const tl_conv_job *j, const tl_patches *p)
{
    const tl_conv_shape *g = &j->g;
    int64_t ig = g->ci / g->groups, og = g->co / g->groups, k = g->taps * ig;
    tl_gemm f = {.m = g->n * tl__conv_pixels_out(g),
                 .n = og,
                 .k = k,
                 .batch = g->groups,
                 .alpha = 1,
                 .a = matrix(j->x, g->ci, 1, ig),
                 .b = {NULL, 0, 1, k, og * k},
                 .c = matrix(j->y, g->co, 1, og),
                 .bias = j->bias ? j->bias->buffer : NULL,
                 .bias_offset = j->bias ? j->bias->offset : 0,
                 .bias_batch = og,
                 .activation = j->act,
                 .patches = p,
                 .constant_b = j->keep};
    if (j->residual) f.residual = matrix(j->residual, g->co, 1, og);
    return f;
}

int tl__conv_gather_needs(const tl_device *d, const tl_conv_job *j)
{
    if (d->traits.is_cpu || tl__conv_is_pointwise(&j->g)) return 0;
    tl_conv_job bare = *j;
    tl_tensor none = {.buffer = NULL};
    if (!bare.x) bare.x = &none;
    tl_patches p = patches_of(&j->g);
    tl_gemm f = forward_of(&bare, &p);
    return tl__gemm_gathers((tl_device *)(uintptr_t)d, &f);
}

int tl__conv_gather_suits(const tl_device *d, const tl_conv_job *j)
{
    (void)d;
    (void)j;
    return 1;
}

int tl__conv_gather(tl_scope *s, const tl_conv_job *j)
{
    tl_patches p = patches_of(&j->g);
    tl_gemm f = forward_of(j, &p);
    tl_tensor *w = tl__conv_weight_rows(s, j);
    if (!w) return -1;
    f.b.buffer = w->buffer;
    f.b.offset = w->offset;
    return tl__gemm(&s->err, s->device, &f, "conv");
}

/* ---- towards the pictures ---- */

/* Along one axis the pixels i = stride m + r of dx meet the elements k0 + step t of the kernel, `count` of them, and of
 * gy the pixels m - padding + dilation (count - 1 - t): a convolution of stride 1 of gy with these, turned around. With
 * q the greatest common divisor of stride and dilation, step is stride / q and its dilation is dilation / q. */
typedef struct residue {
    int64_t r, k0, step, count, pixels, padding, dilation;
} residue;

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

static residue residue_of(const tl_conv_shape *g, int axis, int64_t r)
{
    int64_t stride = g->stride[axis], q = common_divisor(stride, g->dilation[axis]);
    residue x = {.r = r,
                 .step = stride / q,
                 .dilation = g->dilation[axis] / q,
                 .pixels = (g->in[axis] - r + stride - 1) / stride};
    while (x.k0 < x.step && (r + g->padding[axis] - x.k0 * g->dilation[axis]) % stride) x.k0++;
    if (x.k0 == x.step || x.k0 >= g->kernel[axis] || x.pixels < 1) return x;
    x.count = (g->kernel[axis] - x.k0 + x.step - 1) / x.step;
    x.padding = (x.count - 1) * x.dilation - (r + g->padding[axis] - x.k0 * g->dilation[axis]) / stride;
    return x;
}

/* The weights that a residue meets, as (groups, I, taps turned around, O): a packed copy. */
static tl_tensor *residue_weights(tl_scope *s, const tl_conv_shape *g, const residue *x, tl_tensor *weight)
{
    int64_t ig = g->ci / g->groups, og = g->co / g->groups, at = weight->offset, tap = 1;
    tl_shape shape = {6, {g->groups, ig, x[0].count, x[1].count, x[2].count, og}};
    int64_t strides[TL_MAX_RANK] = {og * ig * g->taps, g->taps, 0, 0, 0, ig * g->taps};
    for (int i = 2; i >= 0; i--) {
        strides[2 + i] = -x[i].step * tap;
        at += (x[i].k0 + (x[i].count - 1) * x[i].step) * tap;
        tap *= g->kernel[i];
    }
    tl_tensor *seen = tl__scope_own(s, tl__tensor_view(&s->err, weight, &shape, strides, at)),
              *own = seen ? tl_empty(s, TL_F32, 6, shape.dim) : NULL;
    return own && tl__copy_into(s, seen, own) == 0 ? own : NULL;
}

typedef struct backward {
    tl_patches patches;
    tl_spread spread;
    tl_gemm product;
} backward;

/* The product that makes the pixels of a residue; its weights are not made yet. */
static void backward_of(const tl_conv_shape *g, const residue *x, const tl_tensor *gy, const tl_tensor *dx,
                        backward *out)
{
    int64_t ig = g->ci / g->groups, og = g->co / g->groups, taps = 1, pixels = g->n;
    int strided = g->stride[0] > 1 || g->stride[1] > 1 || g->stride[2] > 1;
    *out = (backward){.patches = {.channels = og, .pixel = g->co}};
    for (int i = 0; i < 3; i++) {
        out->patches.in[i] = g->out[i];
        out->patches.out[i] = x[i].pixels;
        out->patches.kernel[i] = x[i].count;
        out->patches.stride[i] = 1;
        out->patches.padding[i] = x[i].padding;
        out->patches.dilation[i] = x[i].dilation;
        out->spread.size[i] = g->in[i];
        out->spread.stride[i] = g->stride[i];
        out->spread.first[i] = x[i].r;
        taps *= x[i].count;
        pixels *= x[i].pixels;
    }
    out->product = (tl_gemm){.m = pixels,
                             .n = ig,
                             .k = taps * og,
                             .batch = g->groups,
                             .alpha = 1,
                             .a = matrix(gy, g->co, 1, og),
                             .b = {NULL, 0, 1, taps * og, ig * taps * og},
                             .c = matrix(dx, g->ci, 1, ig)};
    out->product.patches = &out->patches;
    if (strided) out->product.spread = &out->spread;
}

/* Calls `each` for every residue that meets anything until one gives what is not 0; `missing` says whether some meet
 * nothing. */
typedef int residue_each(void *user, const residue *x);
static int each_residue(const tl_conv_shape *g, residue_each *each, void *user, int *missing)
{
    const int64_t *s = g->stride;
    for (int64_t at = 0; at < s[0] * s[1] * s[2]; at++) {
        residue x[3] = {residue_of(g, 0, at / s[2] / s[1]), residue_of(g, 1, at / s[2] % s[1]),
                        residue_of(g, 2, at % s[2])};
        if (x[0].pixels < 1 || x[1].pixels < 1 || x[2].pixels < 1) continue;
        if (x[0].count < 1 || x[1].count < 1 || x[2].count < 1) {
            *missing = 1;
            continue;
        }
        int status = each ? each(user, x) : 0;
        if (status != 0) return status;
    }
    return 0;
}

typedef struct walk {
    tl_scope *s;
    const tl_conv_shape *g;
    tl_device *d;
    tl_tensor *gy, *weight, *dx;
} walk;

static int cannot(void *user, const residue *x)
{
    const walk *w = user;
    backward b;
    backward_of(w->g, x, w->gy, w->dx, &b);
    return !tl__gemm_gathers(w->d, &b.product);
}

static int one_residue(void *user, const residue *x)
{
    const walk *w = user;
    backward b;
    tl_scope inner;
    tl__scope_begin(&inner, w->s);
    tl_tensor *weights = residue_weights(&inner, w->g, x, w->weight);
    int status = -1;
    backward_of(w->g, x, w->gy, w->dx, &b);
    if (weights) {
        b.product.b.buffer = weights->buffer;
        b.product.b.offset = weights->offset;
        status = tl__gemm(&inner.err, w->d, &b.product, "conv");
    }
    tl__scope_end(&inner);
    return status;
}

int tl__conv_gather_dx_needs(tl_device *d, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *dx)
{
    walk w = {.g = g, .d = d, .gy = gy, .dx = dx};
    int missing = 0;
    return !d->traits.is_cpu && each_residue(g, cannot, &w, &missing) == 0;
}

int tl__conv_gather_dx(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *weight, tl_tensor *dx)
{
    walk w = {.s = s, .g = g, .d = s->device, .gy = gy, .weight = weight, .dx = dx};
    int missing = 0;
    each_residue(g, NULL, NULL, &missing);
    if (missing && tl__buffer_fill(&s->err, dx->buffer, (size_t)dx->offset * sizeof(float),
                                   (size_t)tl_numel(dx) * sizeof(float), 0) != 0)
        return -1;
    return each_residue(g, one_residue, &w, &missing);
}

/* ---- towards the weights ---- */

/* dw[o, (tap, i)] = sum over output pixels of gy[pixel, o] patches[pixel, (tap, i)], for each group. */
static tl_gemm weight_product(const tl_conv_shape *g, const tl_patches *p, const tl_tensor *gy, const tl_tensor *x)
{
    int64_t ig = g->ci / g->groups, og = g->co / g->groups, k = g->taps * ig;
    tl_gemm w = {.m = og,
                 .n = k,
                 .k = g->n * tl__conv_pixels_out(g),
                 .batch = g->groups,
                 .alpha = 1,
                 .a = matrix(gy, 1, g->co, og),
                 .b = matrix(x, k, 1, ig),
                 .c = {NULL, 0, k, 1, og * k},
                 .patches = p,
                 .gathers_b = 1};
    return w;
}

int tl__conv_gather_dw_needs(tl_device *d, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *x)
{
    tl_patches p = patches_of(g);
    tl_gemm w = weight_product(g, &p, gy, x);
    return !d->traits.is_cpu && !tl__conv_is_pointwise(g) && tl__gemm_gathers(d, &w);
}

tl_tensor *tl__conv_gather_dw(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *x, const tl_shape *shape)
{
    tl_tensor *rows = tl_empty(s, TL_F32, 3, (int64_t[]){g->co, g->taps, g->ci / g->groups});
    if (!rows) return NULL;
    tl_patches p = patches_of(g);
    tl_gemm w = weight_product(g, &p, gy, x);
    w.c.buffer = rows->buffer;
    w.c.offset = rows->offset;
    if (tl__gemm(&s->err, s->device, &w, "conv") != 0) return NULL;
    return tl_reshape(s, tl_permute(s, rows, 3, (int[]){0, 2, 1}), shape->rank, shape->dim);
}
