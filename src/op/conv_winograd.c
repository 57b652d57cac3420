/* conv_winograd.c - the maker for 3x3 kernels of stride 1 in inference, and for 3x3x3 ones, by Winograd's F(4x4, 3x3): a quarter of the
 * multiplications for an error some times larger (about 1e-6 of the result). Launches of cl/cpu/conv_winograd.cl. */
#include "op/conv.h"

static const tl_program program = {"cpu/conv_winograd", NULL};

/* cl/cpu/conv_winograd.cl has the same struct. */
typedef struct winograd_args {
    int64_t n, in_h, in_w, out_h, out_w, pad_h, pad_w;
    int64_t in_d, out_d, pad_d, slices, gap;
    int64_t tiles_h, tiles_w, tiles;
    int64_t ci, co, depth, tb, nb, v_point, m_point;
    int64_t w_out, w_tap, w_in;
    int32_t bias, residual, activation, stream, ahead_x, ahead_w;
} winograd_args;

/* Transformed weights of more bytes come from far away every time. */
enum { FAR_AWAY = 4 << 20 };

static int64_t over(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static winograd_args args_of(const tl_device *d, const tl_conv_job *j)
{
    const tl_conv_shape *g = &j->g;
    winograd_args a = {.n = g->n, .in_h = g->in[1], .in_w = g->in[2], .out_h = g->out[1], .out_w = g->out[2], .pad_h = g->padding[1], .pad_w = g->padding[2],
                       .in_d = g->in[0], .out_d = g->out[0], .pad_d = g->padding[0], .slices = g->kernel[0], .gap = g->dilation[0], .depth = g->kernel[0] * g->ci,
                       .tiles_h = over(g->out[1], 4), .tiles_w = over(g->out[2], 4), .ci = g->ci, .co = g->co,
                       .w_out = j->stride.out, .w_tap = j->stride.tap, .w_in = j->stride.in,
                       .bias = j->bias != NULL, .residual = j->residual != NULL, .activation = (int32_t)j->act};
    a.tiles = a.n * a.out_d * a.tiles_h * a.tiles_w;
    a.stream = tl__conv_streams(d, j) && !tl__act_needs_input(j->act);
    return a;
}

/* In three dimensions training has it too, since 27 positions take three times as long as 9. With 64 channels the root mean square
 * of its errors is 2.8e-6 of the results' deviation, the direct form's 0.7e-6. */
static int is_volume(const tl_conv_shape *g) { return g->in[0] > 1 || g->kernel[0] > 1 || g->out[0] > 1; }

/* Panels of tiles that fit local memory; 56 tiles are enough. */
static int64_t panels_that_fit(const tl_device *d, const tl_conv_tile *t, int64_t depth)
{
    int64_t one = 36 * 4 * t->mr * (depth + t->nr), room = (int64_t)d->traits.local_bytes - 2 * 36 * 4 * t->vector;
    return smaller(room / one, 56 / t->mr);
}

int tl__conv_winograd_needs(const tl_device *d, const tl_conv_job *j)
{
    const tl_conv_shape *g = &j->g;
    int64_t v = d->traits.vector_width;
    if (!tl__conv_tile(d) || !(j->inference || is_volume(g)) || g->groups != 1 || g->ci % v || g->co % v || g->stride[0] != 1) return 0;
    for (int i = 1; i < 3; i++)
        if (g->kernel[i] != 3 || g->stride[i] != 1 || g->dilation[i] != 1) return 0;
    return 1;
}

/* Where the tiles, filled up to half panels, leave less than half of the direct form's products, and there are channels
 * enough to make the transforms small beside them. */
int tl__conv_winograd_suits(const tl_device *d, const tl_conv_job *j)
{
    const tl_conv_shape *g = &j->g;
    const tl_conv_tile *t = tl__conv_tile(d);
    int64_t tiles = over(g->n * g->out[0] * over(g->out[1], 4) * over(g->out[2], 4), t->mr / 2) * (t->mr / 2), pixels = g->n * tl__conv_pixels_out(g);
    /* The three launches would lay out a volume in memory 36 / 16 times as large as it is, for every slice of the kernel. */
    if (is_volume(g) && panels_that_fit(d, t, g->kernel[0] * g->ci) < 1) return 0;
    int64_t least = is_volume(g) ? 16 : 32;
    return g->ci >= least && g->co >= least && 2 * 4 * tiles < pixels;
}

/* One group for everything. */
static int fused(tl_scope *s, const tl_conv_job *j, winograd_args *a, const tl_conv_tile *t, const char *options, tl_buffer *u)
{
    const tl_device *d = s->device;
    int64_t panels = over(a->tiles, t->mr), wanted = 4 * d->traits.compute_units, blocks = over(panels, a->tb / t->mr);
    if (blocks < wanted) blocks = smaller(wanted, panels);
    a->tb = over(panels, blocks) * t->mr;
    /* Few tiles: the channels are shared out too, at the price of transforming the inputs again. */
    int64_t columns = over(a->co, t->nr), parts = smaller(over(wanted, over(panels * t->mr, a->tb)), over(columns, 2));
    a->nb = over(columns, parts) * t->nr;
    a->v_point = a->tb * a->depth + t->vector; /* not a power of two, so that the points fall into different sets of the cache */
    a->m_point = a->tb * t->nr + t->vector;
    /* Fetched ahead: weights where they come from far away, else the next inputs. */
    if (36 * a->depth * a->co * 4 > FAR_AWAY) a->ahead_w = (int32_t)over(t->vector * t->nr / 16, a->tb / t->mr);
    else a->ahead_x = (int32_t)over(16 * t->mr * t->vector / 16, 36 * a->nb / t->nr);
    tl_launch l = {.program = &program, .options = options, .kernel = "winograd", .dims = 2,
                   .global = {(size_t)over(a->co, a->nb), (size_t)over(a->tiles, a->tb)}, .local = {1, 1}};
    return TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(a), TL_KT(j->x), TL_KBUF(u), TL_KT(j->bias), TL_KT(j->residual), TL_KT(j->y),
                      TL_KLOCAL((size_t)(36 * a->v_point * 4)), TL_KLOCAL((size_t)(36 * a->m_point * 4)));
}

static int in_launches(tl_scope *s, const tl_conv_job *j, winograd_args *a, const tl_conv_tile *t, const char *options, tl_buffer *u)
{
    int64_t panels = over(a->tiles, t->mr), columns = over(a->co, t->nr);
    a->v_point = panels * t->mr * a->depth + t->vector;
    a->m_point = panels * t->mr * columns * t->nr + t->vector;
    a->nb = over(columns, 4) * t->nr;
    a->ahead_w = (int32_t)over(t->vector * t->nr / 16, panels);
    tl_tensor *v = tl_empty(s, TL_F32, 1, (int64_t[]){36 * a->v_point}), *m = tl_empty(s, TL_F32, 1, (int64_t[]){36 * a->m_point});
    if (!v || !m) return -1;
    tl_launch in = {.program = &program, .options = options, .kernel = "winograd_in", .dims = 1, .global = {(size_t)panels}, .local = {1}};
    tl_launch products = {.program = &program, .options = options, .kernel = "winograd_product", .dims = 2, .global = {(size_t)over(a->co, a->nb), 36}, .local = {1, 1}};
    tl_launch out = {.program = &program, .options = options, .kernel = "winograd_out", .dims = 1, .global = {(size_t)a->tiles}, .local = {1}};
    if (TL__LAUNCH(&s->err, s->device, &in, "conv", TL_KDATA(a), TL_KT(j->x), TL_KBUF(u), TL_KBUF(v->buffer)) != 0) return -1;
    if (TL__LAUNCH(&s->err, s->device, &products, "conv", TL_KDATA(a), TL_KBUF(v->buffer), TL_KBUF(u), TL_KBUF(m->buffer)) != 0) return -1;
    return TL__LAUNCH(&s->err, s->device, &out, "conv", TL_KDATA(a), TL_KBUF(m->buffer), TL_KT(j->bias), TL_KT(j->residual), TL_KT(j->y));
}

static void options_of(const tl_conv_tile *t, char *options, size_t size) { snprintf(options, size, "-DMR=%d -DNR=%d", t->mr, t->nr); }

static int fill_weights(tl_scope *s, const tl_conv_job *j, tl_buffer *u)
{
    const tl_conv_tile *t = tl__conv_tile(s->device);
    winograd_args a = args_of(s->device, j);
    char options[64];
    options_of(t, options, sizeof options);
    tl_launch w = {.program = &program, .options = options, .kernel = "winograd_weights", .dims = 2,
                   .global = {(size_t)over(a.co, t->nr), (size_t)a.depth}, .local = {1, 1}};
    return TL__LAUNCH(&s->err, s->device, &w, "conv", TL_KDATA(&a), TL_KBUF(j->w->buffer), TL_KL(j->w->offset + j->stride.at), TL_KBUF(u));
}

int tl__conv_winograd(tl_scope *s, const tl_conv_job *j)
{
    const tl_device *d = s->device;
    const tl_conv_tile *t = tl__conv_tile(d);
    winograd_args a = args_of(d, j);
    char options[64];
    options_of(t, options, sizeof options);
    tl_buffer *u = tl__conv_derived(s, j, 0x77696e6f, t->nr, over(a.co, t->nr) * 36 * a.depth * t->nr + a.ci, fill_weights);
    if (!u) return -1;
    int64_t most = panels_that_fit(d, t, a.depth);
    a.tb = most * t->mr;
    /* Weights that are far away should be read once for all tiles; many tiles take the time to read them again. */
    int apart = most < 1 || (36 * a.depth * a.co * 4 > FAR_AWAY && a.tiles <= 3 * t->mr);
    int status = apart ? in_launches(s, j, &a, t, options, u) : fused(s, j, &a, t, options, u);
    tl__buffer_release(u);
    return status;
}
