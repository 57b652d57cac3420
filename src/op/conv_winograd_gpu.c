/* conv_winograd_gpu.c - the maker for 3x3 kernels of stride 1 with many channels on GPUs, by Winograd's F(4x4, 3x3) in
 * inference and F(2x2, 3x3) in training (Lavin and Gray 2015): launches of cl/gpu/winograd_gpu.cl around a batch of
 * matrix products, one for each point of the tiles. F(4x4) has a quarter of the multiplications for an error some times
 * larger; F(2x2) has four ninths of them, and errors like the direct form's. */
#include "op/conv.h"

#include <limits.h>

static const tl_program program = {"gpu/winograd_gpu", NULL};

/* cl/gpu/winograd_gpu.cl has the same struct. */
typedef struct winograd_args {
    int32_t in_h, in_w, out_h, out_w, pad_h, pad_w, tiles_h, tiles_w, tiles, ci, co, first;
    int64_t w_out, w_tap, w_in;
    int32_t bias, residual, activation, unused;
} winograd_args;

static int64_t over(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int side_of(const tl_conv_job *j) { return j->inference ? 4 : 2; }
static int64_t points_of(const tl_conv_job *j) { return (side_of(j) + 2) * (side_of(j) + 2); }
/* Tiles of one picture. */
static int64_t tiles_of(const tl_conv_job *j) { return over(j->g.out[1], side_of(j)) * over(j->g.out[2], side_of(j)); }

int tl__conv_winograd_gpu_needs(const tl_device *d, const tl_conv_job *j)
{
    const tl_conv_shape *g = &j->g;
    if (d->traits.is_cpu || d->traits.vector_width != 1 || d->traits.short_loops || g->groups != 1 || g->in[0] != 1 ||
        g->out[0] != 1 || g->kernel[0] != 1 || g->padding[0] != 0)
        return 0;
    for (int i = 1; i < 3; i++)
        if (g->kernel[i] != 3 || g->stride[i] != 1 || g->dilation[i] != 1 || g->padding[i] > 1000 ||
            g->padding[i] < -1000)
            return 0;
    return g->ci * g->co < INT_MAX && g->n * tiles_of(j) < INT_MAX && g->in[1] < INT_MAX / 2 && g->in[2] < INT_MAX / 2;
}

/* Multiply-adds in the time that a number takes to or from memory; what the direct form's cost is taken for, in
 * percent: it has neither three launches nor workspace. */
enum { PRICE = 16, DIRECT = 80 };

/* Where the products over the points of all tiles, and the numbers that go to memory and back before and after them,
 * cost less than the direct form's nine products a pixel. So from about 32 channels on by F(4x4), from about 80 on by
 * F(2x2), and later where tiles hang over. */
int tl__conv_winograd_gpu_suits(const tl_device *d, const tl_conv_job *j)
{
    (void)d;
    const tl_conv_shape *g = &j->g;
    double points = (double)(points_of(j) * tiles_of(j)), ci = (double)g->ci, co = (double)g->co;
    return points * (ci * co + 2 * (ci + co) * PRICE) < DIRECT / 100.0 * 9 * ci * co * (double)tl__conv_pixels_out(g);
}

static winograd_args args_of(const tl_conv_job *j)
{
    const tl_conv_shape *g = &j->g;
    int side = side_of(j);
    return (winograd_args){.in_h = (int32_t)g->in[1],
                           .in_w = (int32_t)g->in[2],
                           .out_h = (int32_t)g->out[1],
                           .out_w = (int32_t)g->out[2],
                           .pad_h = (int32_t)g->padding[1],
                           .pad_w = (int32_t)g->padding[2],
                           .tiles_h = (int32_t)over(g->out[1], side),
                           .tiles_w = (int32_t)over(g->out[2], side),
                           .ci = (int32_t)g->ci,
                           .co = (int32_t)g->co,
                           .w_out = j->stride.out,
                           .w_tap = j->stride.tap,
                           .w_in = j->stride.in,
                           .bias = j->bias != NULL,
                           .residual = j->residual != NULL,
                           .activation = (int32_t)j->act};
}

static const char *options_of(const tl_conv_job *j)
{
    return side_of(j) == 4 ? "-DOUT=4 -DMR=1 -DNR=1" : "-DOUT=2 -DMR=1 -DNR=1";
}

static int fill_weights(tl_scope *s, const tl_conv_job *j, tl_buffer *u)
{
    winograd_args a = args_of(j);
    tl_launch l = {.program = &program,
                   .options = options_of(j),
                   .kernel = "winograd_gpu_weights",
                   .dims = 2,
                   .global = {(size_t)a.co, (size_t)a.ci}};
    return TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(&a), TL_KBUF(j->w->buffer),
                      TL_KL(j->w->offset + j->stride.at), TL_KBUF(u));
}

/* Floats of transformed pictures and results at once, on small cards a sixteenth of what may be held; or those of so
 * many tiles where that is more. */
#define WORKSPACE ((int64_t)16 << 20)
enum { LEAST_TILES = 128, SHARE = 16 };

/* Tiles at once, of `all` there are: in as few pieces as there is room for, which are about as large as each other.
 * They need not be whole pictures: one of 1,024 x 1,024 with 64 channels would have 1.2 GB of transformed numbers. */
static int64_t tiles_at_once(const tl_device *d, const tl_conv_job *j, int64_t all)
{
    int64_t room = (int64_t)(d->traits.budget / SHARE / sizeof(float));
    int64_t most = (room < WORKSPACE ? room : WORKSPACE) / (points_of(j) * (j->g.ci + j->g.co));
    int64_t pieces = over(all, most < LEAST_TILES ? LEAST_TILES : most);
    int64_t step = pieces > 1 ? over(over(all, pieces), LEAST_TILES) * LEAST_TILES : all;
    return step < all ? step : all;
}

/* Some tiles, as many as `a` says, from its first on. */
static int some(tl_scope *s, const tl_conv_job *j, const winograd_args *a, tl_buffer *u, tl_tensor *v, tl_tensor *m)
{
    int64_t tiles = a->tiles, ci = a->ci, co = a->co;
    tl_launch l = {.program = &program,
                   .options = options_of(j),
                   .kernel = "winograd_gpu_in",
                   .dims = 2,
                   .global = {(size_t)ci, (size_t)tiles}};
    if (TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(a), TL_KT(j->x), TL_KBUF(v->buffer)) != 0) return -1;
    tl_gemm p = {.m = tiles,
                 .n = co,
                 .k = ci,
                 .batch = points_of(j),
                 .alpha = 1,
                 .a = {v->buffer, 0, ci, 1, tiles * ci},
                 .b = {u, 0, co, 1, ci * co},
                 .c = {m->buffer, 0, co, 1, tiles * co}};
    if (tl__gemm(&s->err, s->device, &p, "conv") != 0) return -1;
    l.kernel = "winograd_gpu_out";
    l.global[0] = (size_t)co;
    return TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(a), TL_KBUF(m->buffer), TL_KT(j->bias),
                      TL_KT(j->residual), TL_KT(j->y));
}

int tl__conv_winograd_gpu(tl_scope *s, const tl_conv_job *j)
{
    const tl_conv_shape *g = &j->g;
    winograd_args a = args_of(j);
    int64_t points = points_of(j), all = g->n * tiles_of(j), step = tiles_at_once(s->device, j, all);
    tl_tensor *v = tl_empty(s, TL_F32, 1, (int64_t[]){points * step * g->ci}),
              *m = tl_empty(s, TL_F32, 1, (int64_t[]){points * step * g->co});
    tl_buffer *u = v && m ? tl__conv_derived(s, j, 0x77696e67, side_of(j), points * g->ci * g->co, fill_weights) : NULL;
    if (!u) return -1;
    int status = 0;
    for (int64_t first = 0; first < all && status == 0; first += step) {
        a.first = (int32_t)first;
        a.tiles = (int32_t)(first + step < all ? step : all - first);
        status = some(s, j, &a, u, v, m);
    }
    tl__buffer_release(u);
    return status;
}
