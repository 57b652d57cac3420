/* conv_direct.c - the maker for CPU devices that packs pixels and keeps whole sums in registers: cl/cpu/conv_direct.cl.
 * Decided here: the tile, and how much one group does. */
#include "op/conv.h"

#include <string.h>

static const tl_program program = {"cpu/conv_direct", NULL};

/* MR x NR sums, a vector or two of weights and one of an input must fit the registers: 32 of 16 floats, 16 of 8 or 4. */
static const tl_conv_tile tiles[] = {{16, 14, 32}, {8, 6, 16}, {4, 6, 8}};

static int64_t over(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

const tl_conv_tile *tl__conv_tile(const tl_device *d)
{
    for (size_t i = 0; d->traits.is_cpu && i < sizeof tiles / sizeof *tiles; i++)
        if (tiles[i].vector == d->traits.vector_width) return &tiles[i];
    return NULL;
}

tl_conv_args tl__conv_args(const tl_device *d, const tl_conv_job *j)
{
    const tl_conv_shape *g = &j->g;
    int64_t v = d->traits.vector_width;
    tl_conv_args a = {.n = g->n, .ci = g->ci / g->groups, .co = g->co / g->groups, .x_pixel = g->ci, .y_pixel = g->co,
                     .w_out = j->stride.out, .w_tap = j->stride.tap, .w_in = j->stride.in,
                     .bias = j->bias != NULL, .residual = j->residual != NULL, .activation = (int32_t)j->act};
    a.k = over(g->taps * a.ci, v) * v;
    memcpy(a.in, g->in, sizeof a.in);
    memcpy(a.out, g->out, sizeof a.out);
    memcpy(a.kernel, g->kernel, sizeof a.kernel);
    memcpy(a.stride, g->stride, sizeof a.stride);
    memcpy(a.padding, g->padding, sizeof a.padding);
    memcpy(a.dilation, g->dilation, sizeof a.dilation);
    return a;
}

int tl__conv_is_large(const tl_conv_job *j)
{
    enum { LARGE = 8 << 20 };
    return tl__numel(&j->y->shape) * 4 > LARGE && j->y->offset % 16 == 0;
}

int tl__conv_streams(const tl_device *d, const tl_conv_job *j)
{
    int64_t v = d->traits.vector_width;
    return tl__conv_is_large(j) && j->g.co % v == 0 && j->g.co / j->g.groups % v == 0;
}

int64_t tl__conv_lines(const tl_conv_tile *t, int64_t ci, int64_t k) { return ((ci % t->vector ? t->mr * k : 0) + t->vector) * 4; }

/* Local memory beside the panels: a tile, and rows of ragged patches end to end. */
static int64_t beside(const tl_conv_args *a, const tl_conv_tile *t) { return tl__conv_lines(t, a->ci, a->k) + t->mr * t->nr * 4; }

int tl__conv_direct_needs(const tl_device *d, const tl_conv_job *j)
{
    const tl_conv_tile *t = tl__conv_tile(d);
    if (!t) return 0;
    tl_conv_args a = tl__conv_args(d, j);
    return t->mr * a.k * 4 + beside(&a, t) <= (int64_t)d->traits.local_bytes;
}

int tl__conv_direct_suits(const tl_device *d, const tl_conv_job *j)
{
    (void)d;
    (void)j;
    return 1;
}

/* Into how many equal shares `panels` are cut, `least` at least: as many as leave none smaller than the others, if not too many. */
static int64_t even(int64_t panels, int64_t least)
{
    for (int64_t n = least; n <= 2 * least && n <= panels; n++)
        if (panels % n == 0) return n;
    return least;
}

/* Most of a group's time goes into products when it packs many pixels for many channels; a few groups a unit even out
 * what a busy machine disturbs. Where few pixels meet many weights the channels are shared out, at the price of packing again,
 * so that weights are not fetched once for every few pixels. */
static void divide(const tl_device *d, tl_conv_args *a, const tl_conv_tile *t, int64_t groups)
{
    enum { MOST = 8, FEW = 14, CACHE = 640 << 10 };
    int64_t panel = t->mr * a->k * 4, room = ((int64_t)d->traits.local_bytes - beside(a, t)) / panel, pixels = a->n * a->out[0] * a->out[1] * a->out[2];
    int64_t panels = over(pixels, t->mr), columns = over(a->co, t->nr), wanted = over(4 * d->traits.compute_units, groups), blocks;
    if (panels <= FEW && pixels < a->co) {
        int64_t kept = smaller(room, CACHE / panel);
        blocks = even(panels, over(panels, kept > 1 ? kept : 1));
    } else {
        blocks = over(panels, smaller(room, MOST));
        if (blocks < wanted) blocks = smaller(wanted, panels);
    }
    a->mb = over(panels, blocks) * t->mr;
    int64_t parts = smaller(over(wanted, over(panels * t->mr, a->mb)), columns);
    a->nb = over(columns, parts) * t->nr;
}

static void options_of(const tl_conv_tile *t, char *options, size_t size) { snprintf(options, size, "-DMR=%d -DNR=%d", t->mr, t->nr); }

static int fill_panels(tl_scope *s, const tl_conv_job *j, tl_buffer *p)
{
    const tl_conv_tile *t = tl__conv_tile(s->device);
    tl_conv_args a = tl__conv_args(s->device, j);
    char options[64];
    int64_t length = 256;
    options_of(t, options, sizeof options);
    tl_launch pack = {.program = &program, .options = options, .kernel = "pack_weights", .dims = 3,
                      .global = {(size_t)over(a.co, t->nr), (size_t)over(a.k, length), (size_t)j->g.groups}, .local = {1, 1, 1}};
    return TL__LAUNCH(&s->err, s->device, &pack, "conv", TL_KDATA(&a), TL_KBUF(j->w->buffer), TL_KL(j->w->offset + j->stride.at), TL_KBUF(p), TL_KL(length));
}

tl_buffer *tl__conv_panels(tl_scope *s, const tl_conv_job *j)
{
    const tl_conv_tile *t = tl__conv_tile(s->device);
    tl_conv_args a = tl__conv_args(s->device, j);
    return tl__conv_derived(s, j, 0x64697265, t->nr, j->g.groups * over(a.co, t->nr) * t->nr * a.k, fill_panels);
}

int tl__conv_direct(tl_scope *s, const tl_conv_job *j)
{
    const tl_device *d = s->device;
    const tl_conv_tile *t = tl__conv_tile(d);
    tl_conv_args a = tl__conv_args(d, j);
    char options[64];
    divide(d, &a, t, j->g.groups);
    a.stream = tl__conv_streams(d, j);
    /* The next group's pixels, a few lines with every step of this one. */
    if (a.x_pixel == a.ci) a.ahead = (int32_t)over(t->mr * t->vector * a.stride[0] * a.stride[1] * a.stride[2], a.nb * a.kernel[0] * a.kernel[1] * a.kernel[2]);
    options_of(t, options, sizeof options);
    tl_buffer *p = tl__conv_panels(s, j);
    if (!p) return -1;
    tl_launch l = {.program = &program, .options = options, .kernel = "conv_direct", .dims = 3,
                   .global = {(size_t)over(a.co, a.nb), (size_t)over(a.n * tl__conv_pixels_out(&j->g), a.mb), (size_t)j->g.groups}, .local = {1, 1, 1}};
    int status = TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(&a), TL_KT(j->x), TL_KBUF(p), TL_KT(j->bias), TL_KT(j->residual), TL_KT(j->y),
                            TL_KLOCAL((size_t)(a.mb * a.k * 4)), TL_KLOCAL((size_t)tl__conv_lines(t, a.ci, a.k)), TL_KLOCAL((size_t)(t->mr * t->nr * 4)));
    tl__buffer_release(p);
    return status;
}
