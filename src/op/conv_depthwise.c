/* conv_depthwise.c - convolutions with one kernel a channel, forward and both gradients: launches of
 * cl/conv_depthwise.cl, and on GPUs of cl/gpu/depthwise_gpu.cl wherever its tiles have room. */
#include "op/conv.h"

#include <string.h>

static const tl_program program = {"conv_depthwise", NULL};
enum { OPTIONS = 160 };

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

/* ---- tiles of GPUs ---- */

static const tl_program tiled = {"gpu/depthwise_gpu", NULL};

/* Channels of a group, and what may be kept of a row in registers: longer kernels, or more sums for dw, would not fit.
 */
enum { TILE_CHANNELS = 32, TILE_REACH = 14, TILE_TAPS = 49, TILE_BYTES = 32768 };

/* TH rows of SEGMENTS times TW pixels, as cl/gpu/depthwise_gpu.cl has them. */
typedef struct tile {
    int th, segments, tw;
} tile;

static int is_small(int64_t x, int64_t most) { return x >= -most && x <= most; }

/* Bytes of the inputs that a tile of outputs sees, or of the outputs that a tile of inputs was seen by. */
static int64_t tile_bytes(const tl_conv_shape *g, const tile *t, int backward)
{
    int64_t pixels = 1, side[2] = {t->th, (int64_t)t->segments * t->tw};
    for (int i = 0; i < 2; i++) {
        int64_t reach = (g->kernel[1 + i] - 1) * g->dilation[1 + i], stride = g->stride[1 + i];
        pixels *= backward ? (stride - 1 + side[i] - 1 + reach) / stride + 1 : (side[i] - 1) * stride + reach + 1;
    }
    return pixels * TILE_CHANNELS * 4;
}

/* The tile for pictures of h x w, by the shape and the device's local memory: eight rows where there are as many, and
 * four or eight pixels for each work-item. 0: none fits, and a work-item makes a row (`_plain`). */
static int tile_for(const tl_device *d, const tl_conv_shape *g, int64_t h, int backward, tile *t)
{
    int64_t room = (int64_t)d->traits.local_bytes < TILE_BYTES ? (int64_t)d->traits.local_bytes : TILE_BYTES;
    if (d->traits.is_cpu || d->traits.vector_width > 1 || g->taps > TILE_TAPS) return 0;
    for (int i = 1; i < 3; i++)
        if ((g->kernel[i] - 1) * g->dilation[i] > TILE_REACH || g->stride[i] > 8 || !is_small(g->padding[i], 1000))
            return 0;
    for (int shares = 8; shares >= 4; shares /= 2)
        for (int tw = 8; tw >= 4; tw /= 2) {
            *t = (tile){.th = h > 4 ? shares : h > 2 ? 4 : h > 1 ? 2 : 1, .tw = tw};
            t->segments = shares / t->th;
            if (backward && tw % g->stride[2] != 0) continue;
            if (tile_bytes(g, t, backward) <= room && d->traits.max_group >= (size_t)(TILE_CHANNELS * shares)) return 1;
        }
    return 0;
}

/* The launch of a kernel over tiles of pictures of h x w: 1 with it, or 0 where it has no room after all and -1 with an
 * error, which leave `l` as it is. */
static int tiled_launch(tl_scope *s, const tl_conv_shape *g, const char *kernel, const tile *t, int64_t h, int64_t w,
                        tl_launch *l, char *options, size_t size)
{
    int shares = t->th * t->segments;
    snprintf(options, size,
             "-DKH=%d -DKW=%d -DSH=%d -DSW=%d -DDH=%d -DDW=%d -DPH=%d -DPW=%d -DTH=%d -DSEGMENTS=%d -DTW=%d "
             "-DBACKWARD=%d",
             (int)g->kernel[1], (int)g->kernel[2], (int)g->stride[1], (int)g->stride[2], (int)g->dilation[1],
             (int)g->dilation[2], (int)g->padding[1], (int)g->padding[2], t->th, t->segments, t->tw,
             strcmp(kernel, "depthwise_gpu_dx") == 0);
    int room = tl__kernel_fits(&s->err, s->device, &tiled, options, kernel, (size_t)(TILE_CHANNELS * shares));
    if (room > 0)
        *l = (tl_launch){.program = &tiled,
                         .options = options,
                         .kernel = kernel,
                         .dims = 3,
                         .local = {TILE_CHANNELS, (size_t)shares, 1},
                         .global = {(size_t)(over(g->ci, TILE_CHANNELS) * TILE_CHANNELS),
                                    (size_t)(over(w, t->segments * t->tw) * shares), (size_t)(g->n * over(h, t->th))}};
    return room;
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
    char options[OPTIONS];
    const tl_conv_shape *g = &j->g;
    int blocks = in_blocks(s->device, g);
    tl_launch l = {.kernel = blocks ? "depthwise" : "depthwise_plain"};
    tl_tensor *t = tl__depthwise_by_tap(s, j);
    if (!t) return -1;
    depthwise_args a = args_of(g);
    a.bias = j->bias != NULL;
    a.residual = j->residual != NULL;
    a.activation = j->act;
    tile size;
    int tiles = tile_for(s->device, g, g->out[1], 0, &size)
                    ? tiled_launch(s, g, "depthwise_gpu", &size, g->out[1], g->out[2], &l, options, sizeof options)
                    : 0;
    if (tiles < 0) return -1;
    if (tiles)
        return TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(&a), TL_KT(j->x), TL_KT(t), TL_KT(j->bias),
                          TL_KT(j->residual), TL_KT(j->y));
    a.stream = g->ci % s->device->traits.vector_width == 0 && !tl__act_needs_input(j->act) && tl__conv_is_large(j);
    prepare(s->device, g, &l, options, sizeof options, &a, g->n * g->out[1], blocks);
    return TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(&a), TL_KT(j->x), TL_KT(t), TL_KT(j->bias), TL_KT(j->residual), TL_KT(j->y));
}

int tl__depthwise_dx(tl_scope *s, const tl_conv_job *j, tl_tensor *gy, tl_tensor *dx)
{
    char options[OPTIONS];
    const tl_conv_shape *g = &j->g;
    tl_launch l = {.kernel = s->device->traits.is_cpu ? "depthwise_dx" : "depthwise_dx_plain"};
    tl_tensor *t = tl__depthwise_by_tap(s, j);
    if (!t) return -1;
    depthwise_args a = args_of(g);
    tile size;
    int tiles = tile_for(s->device, g, g->in[1], 1, &size)
                    ? tiled_launch(s, g, "depthwise_gpu_dx", &size, g->in[1], g->in[2], &l, options, sizeof options)
                    : 0;
    if (tiles < 0) return -1;
    if (tiles) return TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(&a), TL_KT(gy), TL_KT(t), TL_KT(dx));
    prepare(s->device, g, &l, options, sizeof options, &a, g->n * g->in[1], s->device->traits.is_cpu);
    return TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(&a), TL_KT(gy), TL_KT(t), TL_KT(dx));
}

/* Partial sums of dw by tiles: so many parts, by the shape alone, so that the bits are; 0: no tile has room; -1: an
 * error. P is NULL at first. */
static int64_t dw_parts_by_tiles(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *x, tl_tensor **p)
{
    char options[OPTIONS];
    tl_launch l;
    tile size;
    int room = tile_for(s->device, g, g->out[1], 0, &size)
                   ? tiled_launch(s, g, "depthwise_gpu_dw", &size, g->out[1], g->out[2], &l, options, sizeof options)
                   : 0;
    if (room <= 0) return room;
    int64_t tiles = g->n * over(g->out[1], size.th) * over(g->out[2], size.segments * size.tw),
            length = over(tiles, 64), parts = over(tiles, length);
    if (tiles > INT32_MAX) return 0;
    *p = tl_empty(s, TL_F32, 3, (int64_t[]){parts, g->taps, g->ci});
    if (!*p) return -1;
    depthwise_args a = args_of(g);
    l.dims = 2;
    l.global[1] = (size_t)parts * l.local[1];
    return TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(&a), TL_KT(gy), TL_KT(x), TL_KT(*p), TL_KI(length)) == 0
               ? parts
               : -1;
}

/* The sum over parts (parts, taps, C) as the weight's shape. */
static tl_tensor *sum_of_parts(tl_scope *s, tl_tensor *p, const tl_shape *w)
{
    tl_tensor *sum = tl_sum(s, p, (int[]){0}, 1, 0); /* (taps, C) */
    return tl_reshape(s, tl_permute(s, sum, 2, (int[]){1, 0}), w->rank, w->dim);
}

tl_tensor *tl__depthwise_dw(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *x, const tl_shape *w)
{
    char options[OPTIONS];
    int blocks = in_blocks(s->device, g);
    tl_launch l = {.kernel = blocks ? "depthwise_dw" : "depthwise_dw_plain"};
    int64_t rows = g->n * g->out[1], length = rows > 64 ? over(rows, 64) : 1, parts = over(rows, length); /* by the shape alone, so that the bits are */
    tl_tensor *p = NULL;
    int64_t tiles = dw_parts_by_tiles(s, g, gy, x, &p);
    if (tiles != 0) return tiles > 0 ? sum_of_parts(s, p, w) : NULL;
    if (!(p = tl_empty(s, TL_F32, 3, (int64_t[]){parts, g->taps, g->ci}))) return NULL;
    depthwise_args a = args_of(g);
    prepare(s->device, g, &l, options, sizeof options, &a, parts, blocks);
    if (TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(&a), TL_KT(gy), TL_KT(x), TL_KT(p), TL_KL(length)) != 0) return NULL;
    return sum_of_parts(s, p, w);
}
