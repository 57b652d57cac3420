/* conv_depthwise.c - convolutions with one kernel a channel, forward and both gradients: launches of
 * cl/conv_depthwise.cl. */
#include "op/conv.h"

static const tl_program program = {"conv_depthwise", NULL};

/* cl/conv_depthwise.cl has the same struct. */
typedef struct depthwise_args {
    int64_t n, c, in_h, in_w, out_h, out_w, part;
    int32_t stride_h, stride_w, pad_h, pad_w, dil_h, dil_w;
    int32_t bias, residual, activation, stream;
} depthwise_args;

static depthwise_args args_of(const tl_conv_shape *g)
{
    return (depthwise_args){.n = g->n, .c = g->ci, .in_h = g->in[1], .in_w = g->in[2], .out_h = g->out[1], .out_w = g->out[2], .part = g->ci,
                            .stride_h = (int32_t)g->stride[1], .stride_w = (int32_t)g->stride[2], .pad_h = (int32_t)g->padding[1],
                            .pad_w = (int32_t)g->padding[2], .dil_h = (int32_t)g->dilation[1], .dil_w = (int32_t)g->dilation[2]};
}

/* Pixels that a group makes at once: sizes of pictures are often multiples of seven, and 7 sums, 7 columns of the kernel and an
 * input fit 16 registers. */
enum { BLOCK = 7 };

static int in_blocks(const tl_device *d, const tl_conv_shape *g)
{
    return d->traits.is_cpu && d->traits.vector_width > 1 && g->stride[2] <= 2 && g->dilation[2] == 1;
}

static int64_t over(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Names the build and the grid: `rows` in y; in x channels, which are shared out only where the rows give too few groups. */
static void prepare(const tl_device *d, const tl_conv_shape *g, tl_launch *l, char *options, size_t size, depthwise_args *a, int64_t rows, int blocks)
{
    int64_t v = d->traits.vector_width, vectors = over(g->ci, v), wanted = 4 * d->traits.compute_units, parts = rows < wanted ? over(wanted, rows) : 1;
    int n = snprintf(options, size, "-DMR=1 -DNR=1 -DKH=%d -DKW=%d", (int)g->kernel[1], (int)g->kernel[2]);
    if (in_blocks(d, g)) snprintf(options + n, size - (size_t)n, " -DBLOCK=%d -DSW=%d", BLOCK, (int)g->stride[2]);
    if (blocks) {
        a->part = over(vectors, parts < vectors ? parts : vectors) * v;
        l->local[0] = l->local[1] = 1;
    } else a->part = v;
    l->program = &program;
    l->options = options;
    l->dims = 2;
    l->global[0] = (size_t)over(g->ci, a->part);
    l->global[1] = (size_t)rows;
}

static int fill_by_tap(tl_scope *s, const tl_conv_job *j, tl_buffer *b)
{
    tl_shape shape = {2, {j->g.taps, j->g.ci}};
    int64_t strides[TL_MAX_RANK] = {j->stride.tap, j->stride.out};
    tl_tensor *t = tl__conv_on(s, b, &shape);
    tl_tensor *seen = t ? tl__scope_own(s, tl__tensor_view(&s->err, j->w, &shape, strides, j->w->offset + j->stride.at)) : NULL;
    return seen ? tl__copy_into(s, seen, t) : -1;
}

tl_tensor *tl__depthwise_by_tap(tl_scope *s, const tl_conv_job *j)
{
    tl_shape shape = {2, {j->g.taps, j->g.ci}};
    tl_buffer *b = tl__conv_derived(s, j, 0x64776b63, 0, tl__numel(&shape), fill_by_tap);
    tl_tensor *t = b ? tl__conv_on(s, b, &shape) : NULL;
    if (b) tl__buffer_release(b);
    return t;
}

int tl__conv_depthwise_needs(const tl_device *d, const tl_conv_job *j)
{
    (void)d;
    return tl__conv_is_depthwise(&j->g);
}

int tl__conv_depthwise(tl_scope *s, const tl_conv_job *j)
{
    char options[96];
    const tl_conv_shape *g = &j->g;
    int blocks = in_blocks(s->device, g);
    tl_launch l = {.kernel = blocks ? "depthwise" : "depthwise_plain"};
    tl_tensor *t = tl__depthwise_by_tap(s, j);
    if (!t) return -1;
    depthwise_args a = args_of(g);
    a.bias = j->bias != NULL;
    a.residual = j->residual != NULL;
    a.activation = j->act;
    a.stream = g->ci % s->device->traits.vector_width == 0 && !tl__act_needs_input(j->act) && tl__conv_is_large(j);
    prepare(s->device, g, &l, options, sizeof options, &a, g->n * g->out[1], blocks);
    return TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(&a), TL_KT(j->x), TL_KT(t), TL_KT(j->bias), TL_KT(j->residual), TL_KT(j->y));
}

int tl__depthwise_dx(tl_scope *s, const tl_conv_job *j, tl_tensor *gy, tl_tensor *dx)
{
    char options[96];
    const tl_conv_shape *g = &j->g;
    tl_launch l = {.kernel = s->device->traits.is_cpu ? "depthwise_dx" : "depthwise_dx_plain"};
    tl_tensor *t = tl__depthwise_by_tap(s, j);
    if (!t) return -1;
    depthwise_args a = args_of(g);
    prepare(s->device, g, &l, options, sizeof options, &a, g->n * g->in[1], s->device->traits.is_cpu);
    return TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(&a), TL_KT(gy), TL_KT(t), TL_KT(dx));
}

tl_tensor *tl__depthwise_dw(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *x, const tl_shape *w)
{
    char options[96];
    int blocks = in_blocks(s->device, g);
    tl_launch l = {.kernel = blocks ? "depthwise_dw" : "depthwise_dw_plain"};
    int64_t rows = g->n * g->out[1], length = rows > 64 ? over(rows, 64) : 1, parts = over(rows, length); /* by the shape alone, so that the bits are */
    tl_tensor *p = tl_empty(s, TL_F32, 3, (int64_t[]){parts, g->taps, g->ci});
    if (!p) return NULL;
    depthwise_args a = args_of(g);
    prepare(s->device, g, &l, options, sizeof options, &a, parts, blocks);
    if (TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(&a), TL_KT(gy), TL_KT(x), TL_KT(p), TL_KL(length)) != 0) return NULL;
    tl_tensor *sum = tl_sum(s, p, (int[]){0}, 1, 0); /* (taps, C) */
    return tl_reshape(s, tl_permute(s, sum, 2, (int[]){1, 0}), w->rank, w->dim);
}
