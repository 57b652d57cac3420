/* conv_winograd_weight.c - the gradient of a 3x3x3 convolution towards its weights on CPU devices by the transpose of
 * Winograd's form: launches of cl/cpu/conv_winograd_weight.cl. Decided here, by the shape and the device alone: blocks of
 * channels, and what is transformed at a time. */
#include "op/conv.h"

#include <string.h>

static const tl_program program = {"cpu/conv_winograd_weight", NULL};

/* cl/cpu/conv_winograd_weight.cl has the same struct. */
typedef struct weight_args {
    int64_t n, in[3], out[3], padding[3], slices;
    int64_t tiles_h, tiles_w;
    int64_t ci, co, cb, ob;
    int64_t deep, pieces, columns, wide, parts;
    int64_t v_point, z_point;
} weight_args;

enum { POINTS = 36, BLOCK = 32 };

static int64_t over(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* Sums of a register tile: input channels by vectors of output channels. */
typedef struct tile { int64_t rows, vectors; } tile;

static tile tile_of(const tl_device *d, const weight_args *a)
{
    int64_t v = d->traits.vector_width, vectors = a->ob % (2 * v) ? 1 : 2;
    return (tile){v == 16 ? 16 / vectors : 4, vectors};
}

/* The largest multiple of a vector up to BLOCK that divides the channels. */
static int64_t block_of(int64_t channels, int64_t vector)
{
    int64_t b = BLOCK;
    while (b > vector && channels % b) b -= vector;
    return b;
}

static weight_args args_of(const tl_device *d, const tl_conv_shape *g)
{
    enum { DEEPEST = 16, TERMS = 32 };
    int64_t v = d->traits.vector_width;
    weight_args a = {.n = g->n, .slices = g->kernel[0], .tiles_h = over(g->out[1], 4), .tiles_w = over(g->out[2], 4),
                     .ci = g->ci, .co = g->co, .cb = block_of(g->ci, v), .ob = block_of(g->co, v)};
    memcpy(a.in, g->in, sizeof a.in);
    memcpy(a.out, g->out, sizeof a.out);
    memcpy(a.padding, g->padding, sizeof a.padding);
    a.deep = over(g->out[0], over(g->out[0], DEEPEST));
    a.pieces = over(g->out[0], a.deep);
    a.columns = g->n * a.pieces * a.tiles_h * a.tiles_w;
    int64_t one = POINTS * 4 * ((a.deep + a.slices - 1) * a.cb + a.deep * a.ob), room = (int64_t)d->traits.local_bytes;
    a.wide = smaller(smaller(over(TERMS, a.deep), (room - POINTS * 8 * v) / one), a.columns);
    /* Points fall into different sets of the cache. */
    a.v_point = a.wide * (a.deep + a.slices - 1) * a.cb + v;
    a.z_point = a.wide * a.deep * a.ob + v;
    int64_t blocks = a.ci / a.cb * (a.co / a.ob);
    a.parts = a.wide > 0 ? smaller(over(4 * d->traits.compute_units, blocks), over(a.columns, a.wide)) : 1;
    return a;
}

int tl__conv_winograd_weight_needs(const tl_device *d, const tl_conv_shape *g)
{
    int64_t v = d->traits.vector_width;
    if (!tl__conv_tile(d) || g->groups != 1 || g->ci % v || g->co % v || g->ci < 16 || g->co < 16) return 0;
    for (int i = 0; i < 3; i++)
        if (g->stride[i] != 1 || g->dilation[i] != 1 || (i > 0 && g->kernel[i] != 3)) return 0;
    /* Pictures keep the direct form, which rounds less; of volumes, those whose tiles are filled. */
    int volume = g->in[0] > 1 || g->kernel[0] > 1;
    int64_t tiles = g->out[0] * over(g->out[1], 4) * over(g->out[2], 4);
    return volume && 2 * 4 * tiles < tl__conv_pixels_out(g) && args_of(d, g).wide > 0;
}

tl_tensor *tl__conv_winograd_weight(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *x, const tl_shape *w)
{
    weight_args a = args_of(s->device, g);
    tile t = tile_of(s->device, &a);
    char options[64];
    snprintf(options, sizeof options, "-DRT=%d -DCT=%d", (int)t.rows, (int)t.vectors);
    tl_tensor *p = tl_empty(s, TL_F32, 5, (int64_t[]){a.parts, POINTS, a.slices, a.ci, a.co});
    tl_tensor *dw = tl_empty(s, TL_F32, w->rank, w->dim);
    if (!p || !dw) return NULL;
    tl_launch l = {.program = &program, .options = options, .kernel = "winograd_weight", .dims = 3,
                   .global = {(size_t)(a.co / a.ob), (size_t)(a.ci / a.cb), (size_t)a.parts}, .local = {1, 1, 1}};
    if (TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(&a), TL_KT(gy), TL_KT(x), TL_KBUF(p->buffer),
                   TL_KLOCAL((size_t)(POINTS * a.v_point * 4)), TL_KLOCAL((size_t)(POINTS * a.z_point * 4))) != 0)
        return NULL;
    tl_launch out = {.program = &program, .options = options, .kernel = "winograd_weight_out", .dims = 3,
                     .global = {(size_t)(a.co / s->device->traits.vector_width), (size_t)a.ci, (size_t)a.slices}};
    int status = TL__LAUNCH(&s->err, s->device, &out, "conv", TL_KDATA(&a), TL_KBUF(p->buffer), TL_KBUF(dw->buffer));
    return status == 0 ? dw : NULL;
}
