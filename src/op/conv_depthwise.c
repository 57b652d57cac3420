/* conv_depthwise.c - convolutions with one kernel a channel, forward and both gradients: launches of
 * cl/conv_depthwise.cl. */
#include "op/conv.h"

static const tl_program program = {"conv_depthwise", NULL};

typedef struct depthwise_args {
    int64_t n, c, in_h, in_w, out_h, out_w;
    int32_t stride_h, stride_w, pad_h, pad_w, dil_h, dil_w;
    int32_t bias, residual, activation, unused;
} depthwise_args;

static depthwise_args args_of(const tl_conv_shape *g)
{
    return (depthwise_args){.n = g->n, .c = g->ci, .in_h = g->in[1], .in_w = g->in[2], .out_h = g->out[1], .out_w = g->out[2],
                            .stride_h = (int32_t)g->stride[1], .stride_w = (int32_t)g->stride[2], .pad_h = (int32_t)g->padding[1],
                            .pad_w = (int32_t)g->padding[2], .dil_h = (int32_t)g->dilation[1], .dil_w = (int32_t)g->dilation[2]};
}

static size_t vectors(const tl_scope *s, const tl_conv_shape *g)
{
    int64_t v = s->device->traits.vector_width;
    return (size_t)((g->ci + v - 1) / v);
}

static void prepare(const tl_scope *s, const tl_conv_shape *g, tl_launch *l, char *options, size_t size)
{
    snprintf(options, size, "-DKH=%d -DKW=%d", (int)g->kernel[1], (int)g->kernel[2]);
    l->program = &program;
    l->options = options;
    l->dims = 2;
    l->global[0] = vectors(s, g);
    if (s->device->traits.is_cpu) l->local[0] = l->local[1] = 1; /* each makes a whole row: work enough for a group */
}

/* Weights (C, 1, KH, KW) as (KH * KW, C). */
static tl_tensor *by_tap(tl_scope *s, const tl_conv_job *j)
{
    tl_shape shape = {2, {j->g.taps, j->g.ci}};
    int64_t strides[TL_MAX_RANK] = {j->stride.tap, j->stride.out}, packed[TL_MAX_RANK];
    int fresh;
    tl__packed_strides(&shape, packed);
    tl_buffer *b = tl__conv_derived(s, j, 0x64776b63, 0, tl__numel(&shape), &fresh);
    tl_tensor bare = {.buffer = b, .dtype = TL_F32}, *t = b ? tl__scope_own(s, tl__tensor_view(&s->err, &bare, &shape, packed, 0)) : NULL;
    if (b) tl__buffer_release(b);
    if (!t || !fresh) return t;
    tl_tensor *seen = tl__scope_own(s, tl__tensor_view(&s->err, j->w, &shape, strides, j->w->offset + j->stride.at));
    return seen && tl__copy_into(s, seen, t) == 0 ? t : NULL;
}

int tl__conv_depthwise_needs(const tl_device *d, const tl_conv_job *j)
{
    (void)d;
    return tl__conv_is_depthwise(&j->g);
}

int tl__conv_depthwise(tl_scope *s, const tl_conv_job *j)
{
    char options[48];
    tl_launch l = {.kernel = "depthwise"};
    tl_tensor *t = by_tap(s, j);
    if (!t) return -1;
    depthwise_args a = args_of(&j->g);
    a.bias = j->bias != NULL;
    a.residual = j->residual != NULL;
    a.activation = j->act;
    prepare(s, &j->g, &l, options, sizeof options);
    l.global[1] = (size_t)(j->g.n * j->g.out[1]);
    return TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(&a), TL_KT(j->x), TL_KT(t), TL_KT(j->bias), TL_KT(j->residual), TL_KT(j->y));
}

tl_tensor *tl__depthwise_dx(tl_scope *s, const tl_conv_job *j, tl_tensor *gy)
{
    char options[48];
    const tl_conv_shape *g = &j->g;
    tl_launch l = {.kernel = "depthwise_dx"};
    tl_tensor *t = by_tap(s, j), *dx = tl_empty(s, TL_F32, 4, (int64_t[]){g->n, g->in[1], g->in[2], g->ci});
    if (!t || !dx) return NULL;
    depthwise_args a = args_of(g);
    prepare(s, g, &l, options, sizeof options);
    l.global[1] = (size_t)(g->n * g->in[1]);
    return TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(&a), TL_KT(gy), TL_KT(t), TL_KT(dx)) == 0 ? dx : NULL;
}

tl_tensor *tl__depthwise_dw(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *x, const tl_shape *w)
{
    char options[48];
    tl_launch l = {.kernel = "depthwise_dw"};
    int64_t rows = g->n * g->out[1], length = rows > 64 ? (rows + 63) / 64 : 1, parts = (rows + length - 1) / length;
    tl_tensor *p = tl_empty(s, TL_F32, 3, (int64_t[]){parts, g->taps, g->ci});
    if (!p) return NULL;
    depthwise_args a = args_of(g);
    prepare(s, g, &l, options, sizeof options);
    l.global[1] = (size_t)parts;
    if (TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(&a), TL_KT(gy), TL_KT(x), TL_KT(p), TL_KL(length)) != 0) return NULL;
    tl_tensor *sum = tl_sum(s, p, (int[]){0}, 1, 0); /* (taps, C); in parts whose number depends on the shape alone */
    return tl_reshape(s, tl_permute(s, sum, 2, (int[]){1, 0}), w->rank, w->dim);
}
