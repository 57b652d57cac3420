/* conv.c - every maker of the convolution, and its gradients, against sums in double precision: tile edges, strides,
 * uneven padding, dilation, groups, one to three dimensions, epilogues; the same bits twice; nothing left on the device.
 * Batch norm likewise. */
#include "op/conv.h"

#include "device_tests.h"

#include <math.h>
#include <string.h>

/* ---- one convolution ---- */

typedef struct problem {
    int n, in[3], ci, co, kernel[3], stride[3], padding[3], more_at_end[3], dilation[3], groups;
    int bias, residual;
    tl_act act;
} problem;

/* Values and their sum's magnitude, by which roundings are judged. */
typedef struct host { float *x, *w, *b, *r, *gy; double *y, *size; int64_t nx, nw, ny; } host;

static tl_conv_shape shape_of(const problem *p)
{
    tl_conv_shape g = {.spatial = 3, .n = p->n, .ci = p->ci, .co = p->co, .groups = p->groups, .taps = 1};
    for (int i = 0; i < 3; i++) {
        g.in[i] = p->in[i];
        g.kernel[i] = p->kernel[i];
        g.stride[i] = p->stride[i];
        g.padding[i] = p->padding[i];
        g.padding_end[i] = p->padding[i] + p->more_at_end[i];
        g.dilation[i] = p->dilation[i];
        g.taps *= p->kernel[i];
        g.out[i] = (g.in[i] + g.padding[i] + g.padding_end[i] - g.dilation[i] * (g.kernel[i] - 1) - 1) / g.stride[i] + 1;
    }
    return g;
}

static double activated(double x, tl_act act)
{
    switch (act) {
    case TL_ACT_RELU: return x < 0 ? 0 : x;
    case TL_ACT_RELU6: return x < 0 ? 0 : x > 6 ? 6 : x;
    case TL_ACT_SILU: return x / (1 + exp(-x));
    case TL_ACT_HARDSWISH: return x * fmin(fmax(x + 3, 0), 6) / 6;
    case TL_ACT_GELU: return 0.5 * x * (1 + erf(x * sqrt(0.5)));
    default: return x;
    }
}

/* Calls `each` for all (y, x, w) that are multiplied. */
static void each_product(const tl_conv_shape *g, void (*each)(void *user, int64_t y, int64_t x, int64_t w), void *user)
{
    int64_t ig = g->ci / g->groups, og = g->co / g->groups, pixels = tl__conv_pixels_out(g);
    for (int64_t at = 0; at < g->n * pixels; at++)
        for (int64_t tap = 0; tap < g->taps; tap++) {
            int64_t k[3] = {tap / g->kernel[2] / g->kernel[1], tap / g->kernel[2] % g->kernel[1], tap % g->kernel[2]};
            int64_t o[3] = {at % pixels / g->out[2] / g->out[1], at / g->out[2] % g->out[1], at % g->out[2]}, pixel = at / pixels, inside = 1;
            for (int i = 0; i < 3; i++) {
                int64_t v = o[i] * g->stride[i] - g->padding[i] + k[i] * g->dilation[i];
                inside &= v >= 0 && v < g->in[i];
                pixel = pixel * g->in[i] + v;
            }
            for (int64_t co = 0; inside && co < g->co; co++)
                for (int64_t c = 0; c < ig; c++) each(user, at * g->co + co, pixel * g->ci + co / og * ig + c, (co * ig + c) * g->taps + tap);
        }
}

static void add_forward(void *user, int64_t y, int64_t x, int64_t w)
{
    host *h = user;
    double t = (double)h->x[x] * h->w[w];
    h->y[y] += t;
    h->size[y] += fabs(t);
}

static host make_host(const problem *p)
{
    tl_conv_shape g = shape_of(p);
    host h = {.nx = g.n * tl__conv_pixels_in(&g) * g.ci, .nw = g.co * g.ci / g.groups * g.taps, .ny = g.n * tl__conv_pixels_out(&g) * g.co};
    h.x = random_floats(h.nx, 1);
    h.w = random_floats(h.nw, 2);
    h.b = random_floats(g.co, 3);
    h.r = random_floats(h.ny, 4);
    h.gy = random_floats(h.ny, 5);
    h.y = calloc((size_t)h.ny + 1, sizeof *h.y);
    h.size = calloc((size_t)h.ny + 1, sizeof *h.size);
    for (int64_t i = 0; p->act == TL_ACT_RELU6 && i < h.nx; i++) h.x[i] *= 4; /* so that some reach 6 */
    each_product(&g, add_forward, &h);
    for (int64_t i = 0; i < h.ny; i++) {
        double extra = (p->bias ? h.b[i % g.co] : 0) + (p->residual ? h.r[i] : 0);
        h.y[i] = activated(h.y[i] + extra, p->act);
        h.size[i] += fabs(extra);
    }
    return h;
}

static void drop_host(host *h)
{
    free(h->x);
    free(h->w);
    free(h->b);
    free(h->r);
    free(h->gy);
    free(h->y);
    free(h->size);
}

static const char *text_of(const problem *p)
{
    static char t[300];
    snprintf(t, sizeof t, "x (%d, %d, %d, %d, %d) co %d kernel %dx%dx%d stride %d %d padding %d %d +%d dilation %d groups %d bias %d residual %d act %d", p->n,
             p->in[0], p->in[1], p->in[2], p->ci, p->co, p->kernel[0], p->kernel[1], p->kernel[2], p->stride[1], p->stride[2], p->padding[1],
             p->padding[2], p->more_at_end[2], p->dilation[2], p->groups, p->bias, p->residual, (int)p->act);
    return t;
}

/* Sums of k products of float32 are off by some roundings of their magnitude; Winograd's transforms enlarge that. */
static double bound_of(const char *maker, const tl_conv_shape *g)
{
    double k = (double)(g->taps * g->ci / g->groups);
    return strncmp(maker, "winograd", 8) == 0 ? 3e-5 : ldexp(8 + 2 * sqrt(k), -24);
}

static void check_maker(tl_device *d, const problem *p, const host *h, const tl_conv_maker *m, int keep)
{
    tl_scope *s = open_scope(d);
    tl_conv_job j = {.g = shape_of(p), .act = p->act, .keep = keep, .inference = 1};
    int64_t wide = (int64_t)3 + h->nx, bound_y = h->ny;
    /* The input and the output lie behind an offset in larger buffers, as slices do. */
    tl_tensor *room = tl_empty(s, TL_F32, 1, &wide), *w = tl_from(s, TL_F32, 1, &h->nw, h->w);
    tl_shape sx = {1, {h->nx}};
    j.x = tl__scope_own(s, tl__tensor_view(&s->err, room, &sx, (int64_t[TL_MAX_RANK]){1}, 3));
    tl_write(s, j.x, h->x, (size_t)h->nx * 4);
    tl__conv_plain_weight(&j, w);
    j.bias = p->bias ? tl_from(s, TL_F32, 1, &j.g.co, h->b) : NULL;
    j.residual = p->residual ? tl_from(s, TL_F32, 1, &h->ny, h->r) : NULL;
    j.y = tl_full(s, TL_F32, 1, &bound_y, 77);
    if (!m->needs(d, &j)) {
        close_scope(s);
        return;
    }
    float *got = malloc((size_t)h->ny * 4), *again = malloc((size_t)h->ny * 4);
    cr_assert_eq(m->run(s, &j), 0, "%s: %s: %s", m->name, text_of(p), s->err.text);
    tl_read(s, j.y, got, (size_t)h->ny * 4);
    double bound = bound_of(m->name, &j.g);
    for (int64_t i = 0; i < h->ny; i++)
        cr_assert(fabs(got[i] - h->y[i]) <= bound * (h->size[i] + 1), "%s, width %d: %s: element %d is %.9g, not %.9g", m->name, d->traits.vector_width,
                  text_of(p), (int)i, got[i], h->y[i]);
    cr_assert_eq(m->run(s, &j), 0);
    tl_read(s, j.y, again, (size_t)h->ny * 4);
    cr_assert_eq(memcmp(got, again, (size_t)h->ny * 4), 0, "%s: %s: not the same bits twice", m->name, text_of(p));
    free(got);
    free(again);
    close_scope(s);
}

#define ONES {1, 1, 1}
/* Shapes that are worth a look whatever the tile. */
static const problem problems[] = {
    {2, {1, 5, 6}, 3, 4, {1, 3, 3}, ONES, {0, 1, 1}, {0}, ONES, 1, 1, 0, TL_ACT_NONE},
    {2, {1, 17, 19}, 3, 33, {1, 7, 7}, {1, 2, 2}, {0, 3, 3}, {0}, ONES, 1, 1, 0, TL_ACT_RELU},
    {1, {1, 16, 14}, 3, 32, {1, 3, 3}, {1, 2, 2}, {0}, {0, 1, 1}, ONES, 1, 1, 0, TL_ACT_RELU6},
    {2, {1, 9, 7}, 16, 24, {1, 1, 1}, ONES, {0}, {0}, ONES, 1, 1, 1, TL_ACT_RELU},
    {1, {1, 7, 8}, 24, 40, {1, 1, 1}, ONES, {0}, {0}, ONES, 1, 0, 1, TL_ACT_NONE},
    {2, {1, 8, 9}, 32, 65, {1, 1, 1}, {1, 2, 2}, {0}, {0}, ONES, 1, 1, 0, TL_ACT_RELU6},
    {1, {1, 9, 10}, 32, 32, {1, 3, 3}, ONES, {0, 1, 1}, {0}, ONES, 1, 1, 1, TL_ACT_RELU},
    {2, {1, 8, 8}, 48, 17, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {0}, ONES, 1, 1, 0, TL_ACT_SILU},
    {1, {1, 9, 9}, 5, 6, {1, 3, 2}, ONES, {0, 2, 1}, {0, 0, 1}, {1, 2, 2}, 1, 0, 0, TL_ACT_NONE},
    {1, {1, 9, 9}, 16, 16, {1, 3, 3}, ONES, {0, 2, 2}, {0}, {1, 2, 2}, 1, 1, 0, TL_ACT_GELU},
    {2, {1, 5, 6}, 6, 9, {1, 3, 3}, ONES, {0, 1, 1}, {0}, ONES, 3, 1, 1, TL_ACT_RELU},
    {1, {1, 6, 6}, 64, 64, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {0}, ONES, 2, 1, 0, TL_ACT_RELU},
    {1, {1, 4, 4}, 64, 64, {1, 1, 1}, ONES, {0}, {0}, ONES, 4, 0, 0, TL_ACT_NONE},
    {1, {1, 1, 1}, 40, 30, {1, 1, 1}, ONES, {0}, {0}, ONES, 1, 1, 0, TL_ACT_NONE},
    {1, {1, 1, 1}, 3, 2, {1, 3, 3}, ONES, {0, 1, 1}, {0}, ONES, 1, 1, 0, TL_ACT_NONE},
    {3, {1, 1, 11}, 8, 12, {1, 1, 3}, {1, 1, 2}, {0, 0, 1}, {0}, ONES, 1, 1, 0, TL_ACT_GELU},
    {2, {1, 1, 70}, 16, 20, {1, 1, 5}, ONES, {0, 0, 2}, {0}, ONES, 1, 1, 0, TL_ACT_RELU},
    {1, {4, 5, 6}, 3, 5, {2, 3, 3}, {2, 1, 1}, {1, 1, 1}, {0}, ONES, 1, 1, 0, TL_ACT_RELU},
    {2, {3, 4, 3}, 16, 18, {3, 3, 3}, ONES, {1, 1, 1}, {0}, {1, 1, 1}, 1, 0, 1, TL_ACT_NONE},
    {1, {3, 3, 5}, 4, 4, {1, 3, 3}, ONES, {0, 1, 1}, {0}, ONES, 4, 1, 0, TL_ACT_NONE},
    {1, {4, 9, 10}, 16, 32, {3, 3, 3}, ONES, {1, 1, 1}, {0}, ONES, 1, 1, 1, TL_ACT_RELU},
    {2, {4, 8, 5}, 16, 16, {2, 3, 3}, ONES, {1, 0, 1}, {1, 1, 0}, {2, 1, 1}, 1, 1, 0, TL_ACT_SILU},
    {1, {2, 6, 7}, 16, 16, {1, 3, 3}, ONES, {0, 1, 1}, {0}, ONES, 1, 0, 0, TL_ACT_NONE},
    {1, {5, 6, 7}, 5, 5, {3, 3, 3}, ONES, {2, 2, 2}, {0}, {2, 2, 2}, 1, 1, 0, TL_ACT_RELU},
    {1, {1, 11, 12}, 6, 8, {1, 3, 3}, {1, 2, 3}, {0, 2, 1}, {0}, {1, 2, 2}, 2, 1, 0, TL_ACT_RELU},
    {1, {1, 9, 10}, 12, 16, {1, 5, 3}, {1, 2, 2}, {0, 2, 1}, {0}, {1, 1, 3}, 1, 1, 0, TL_ACT_NONE},
    {1, {1, 8, 6}, 128, 96, {1, 3, 3}, ONES, {0, 1, 1}, {0}, ONES, 1, 1, 1, TL_ACT_RELU},
    /* volumes of few channels */
    {2, {3, 5, 41}, 5, 5, {3, 3, 3}, ONES, {1, 1, 1}, {0}, ONES, 1, 1, 1, TL_ACT_RELU},
    {1, {9, 10, 70}, 1, 17, {3, 3, 3}, ONES, {1, 1, 1}, {0}, ONES, 1, 1, 0, TL_ACT_SILU},
    {1, {4, 5, 150}, 3, 2, {3, 3, 3}, ONES, {1, 1, 1}, {0}, ONES, 1, 0, 0, TL_ACT_NONE},
    {1, {11, 7, 19}, 21, 19, {3, 3, 3}, ONES, {4, 4, 4}, {0}, {4, 4, 4}, 1, 1, 0, TL_ACT_NONE},
    {2, {5, 6, 33}, 4, 7, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {0}, ONES, 1, 1, 1, TL_ACT_RELU6},
    {1, {5, 12, 50}, 1, 9, {3, 7, 7}, {1, 2, 2}, {1, 3, 3}, {0}, ONES, 1, 1, 0, TL_ACT_NONE},
    {2, {21, 9, 8}, 16, 48, {3, 3, 3}, ONES, {1, 1, 1}, {0}, ONES, 1, 1, 0, TL_ACT_NONE},
    {1, {5, 11, 12}, 64, 16, {3, 3, 3}, ONES, {0, 0, 1}, {0}, ONES, 1, 0, 0, TL_ACT_RELU},
    {2, {5, 6, 7}, 16, 24, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {0}, ONES, 1, 1, 0, TL_ACT_RELU},
    {1, {8, 9, 10}, 3, 5, {4, 3, 5}, {3, 2, 4}, {2, 0, 4}, {0, 1, 0}, ONES, 1, 1, 0, TL_ACT_NONE},
    {1, {7, 6, 5}, 4, 3, {3, 2, 1}, {1, 2, 3}, {2, 1, 0}, {0}, ONES, 1, 0, 0, TL_ACT_NONE},
    {1, {6, 5, 18}, 2, 33, {1, 2, 5}, {1, 1, 3}, {0, 1, 2}, {0, 0, 1}, {3, 1, 1}, 1, 0, 0, TL_ACT_NONE},
    /* one kernel a channel */
    {2, {1, 7, 6}, 6, 6, {1, 3, 3}, ONES, {0, 1, 1}, {0}, ONES, 6, 1, 1, TL_ACT_RELU6},
    {1, {1, 12, 13}, 32, 32, {1, 3, 3}, ONES, {0, 1, 1}, {0}, ONES, 32, 1, 0, TL_ACT_RELU6},
    {1, {1, 14, 14}, 35, 35, {1, 5, 5}, {1, 2, 2}, {0, 1, 1}, {0, 1, 1}, ONES, 35, 1, 0, TL_ACT_RELU6},
    {2, {1, 7, 7}, 48, 48, {1, 5, 5}, ONES, {0, 2, 2}, {0}, ONES, 48, 1, 0, TL_ACT_SILU},
    {1, {1, 7, 14}, 32, 32, {1, 5, 5}, ONES, {0, 2, 2}, {0}, ONES, 32, 1, 0, TL_ACT_HARDSWISH},
    {2, {1, 8, 7}, 24, 40, {1, 1, 1}, ONES, {0}, {0}, ONES, 1, 1, 0, TL_ACT_HARDSWISH},
    {1, {1, 9, 8}, 20, 20, {1, 3, 3}, {1, 1, 2}, {0, 0, 1}, {0, 1, 0}, {1, 2, 1}, 20, 0, 1, TL_ACT_NONE},
    {1, {1, 3, 2}, 17, 17, {1, 5, 5}, ONES, {0, 2, 2}, {0}, ONES, 17, 1, 0, TL_ACT_NONE},
    {1, {1, 1, 9}, 16, 16, {1, 1, 3}, ONES, {0, 0, 1}, {0}, ONES, 16, 1, 0, TL_ACT_NONE},
    {1, {1, 1, 1}, 19, 19, {1, 3, 3}, ONES, {0, 1, 1}, {0}, ONES, 19, 1, 0, TL_ACT_NONE},
    /* one plane, and padding beside it: all of what comes out, or planes of it, see no picture */
    {1, {1, 5, 6}, 4, 8, {1, 3, 3}, {2, 1, 1}, {1, 1, 1}, {-1, 0, 0}, ONES, 1, 1, 0, TL_ACT_NONE},
    {1, {1, 5, 6}, 6, 6, {1, 3, 3}, ONES, {1, 1, 1}, {0}, ONES, 6, 1, 0, TL_ACT_NONE},
    {1, {1, 5, 6}, 16, 16, {1, 3, 3}, ONES, {1, 1, 1}, {0}, ONES, 1, 1, 0, TL_ACT_NONE},
};
enum { PROBLEMS = sizeof problems / sizeof *problems };

static void check_all(tl_device *d, const problem *p)
{
    host h = make_host(p);
    for (const tl_conv_maker *m = tl__conv_makers(); m->name; m++)
        for (int keep = 0; keep < 2; keep++) check_maker(d, p, &h, m, keep);
    drop_host(&h);
}

/* Around the tile: pixels and channels one less, equal, one more; inner channels around the vector. */
static void check_edges(tl_device *d)
{
    static const int kernels[][3] = {{1, 1, 1}, {1, 3, 3}};
    int mr, nr, v = d->traits.vector_width;
    tl__gemm_tile(d, &mr, &nr);
    if (v == 1) mr = nr = 8;
    for (int k = 0; k < 2; k++)
        for (int i = -1; i <= 1; i++)
            for (int c = -1; c <= 1; c++) {
                problem p = {1, {1, 2, 14 + i}, v + 3 + c, 32 + i, {1, kernels[k][1], kernels[k][2]}, ONES, {0, k, k}, {0}, ONES, 1, 1, i == 0, TL_ACT_RELU};
                check_all(d, &p);
                problem q = {1, {1, 4 + i, 8 + c}, 16 + 16 * k, nr + c, {1, kernels[k][1], kernels[k][2]}, ONES, {0, k, k}, {0}, ONES, 1, 1, c == 0, TL_ACT_NONE};
                check_all(d, &q);
            }
}

/* Small tiles, as on a GPU of many units, for four of five problems: each tile is another program. */
static void choose_tiles(tl_device *d, int which)
{
    static int units;
    if (!units) units = d->traits.compute_units;
    if (d->traits.vector_width == 1) d->traits.compute_units = which % 5 ? 64 : units;
}

/* Every second problem on the kernels for GPUs, of which each wants programs of its own, where not all is tried. */
static int is_left_out(const tl_device *d, int i) { return d->traits.vector_width == 1 && !is_whole() && i % 2; }

static void check_width(const char *vector)
{
    compile_quickly(vector);
    tl_device *d = open_device(vector);
    for (int i = 0; i < PROBLEMS; i++) {
        if (is_left_out(d, i)) continue;
        choose_tiles(d, i);
        check_all(d, &problems[i]);
    }
    check_edges(d);
    close_device(d);
}

/* More tiles than Winograd's form for GPUs has at once, in two pieces of which the first ends within a picture. */
Test(conv, winograd_in_pieces)
{
    static const problem p = {2, {1, 33, 40}, 16, 12, {1, 3, 3}, ONES, {0, 1, 1}, {0}, ONES, 1, 1, 1, TL_ACT_RELU};
    compile_quickly("1");
    tl_device *d = open_device("1");
    d->traits.budget = 1 << 20;
    host h = make_host(&p);
    for (const tl_conv_maker *m = tl__conv_makers(); m->name; m++)
        if (strcmp(m->name, "winograd_gpu") == 0) check_maker(d, &p, &h, m, 0);
    drop_host(&h);
    close_device(d);
}

/* Of no pictures there is nothing to gather, and nothing to divide by; gradients of what they share are zero. */
Test(conv, no_pictures)
{
    static const problem p = {0, {1, 9, 9}, 4, 4, {1, 3, 3}, {1, 2, 2}, {0}, {0}, ONES, 1, 0, 0, TL_ACT_NONE};
    static const char *const vectors[] = {"1", "16"};
    for (int i = 0; i < 2; i++) {
        tl_device *d = open_device(vectors[i]);
        tl_scope *s = open_scope(d);
        tl_conv_shape g = shape_of(&p);
        tl_tensor *x = tl_empty(s, TL_F32, 4, (int64_t[]){0, 9, 9, 4}),
                  *gy = tl_empty(s, TL_F32, 4, (int64_t[]){0, 4, 4, 4});
        cr_expect_eq(tl__conv_gather_dx_needs(d, &g, gy, x), 0);
        cr_expect_eq(tl__conv_gather_dw_needs(d, &g, gy, x), 0);
        tl_tensor *w = tl_full(s, TL_F32, 4, (int64_t[]){4, 4, 3, 3}, 1), *b = tl_full(s, TL_F32, 1, (int64_t[]){4}, 1);
        tl_tensor *of[] = {x, w, b};
        for (int k = 0; k < 3; k++) tl_require_grad(s, of[k], 1);
        tl_conv_options o = {.stride = {2, 2}};
        float got[144];
        tl_tensor *y = tl_conv(s, x, w, b, NULL, &o);
        cr_assert_eq(tl_backward(s, tl_sum(s, y, NULL, 0, 0), NULL, 0), 0, "%s", s->err.text);
        for (int k = 1; k < 3; k++) {
            tl_read(s, tl_grad(of[k]), got, (size_t)tl_numel(of[k]) * 4);
            for (int64_t e = 0; e < tl_numel(of[k]); e++) cr_assert_eq(got[e], 0, "vector %s, input %d", vectors[i], k);
        }
        close_scope(s);
        close_device(d);
    }
}

/* A device with little local memory: panels no longer fit, and Winograd's form goes through global memory. */
Test(conv, makers_without_local_memory)
{
    tl_device *d = open_device("16");
    static const problem p[] = {{2, {1, 9, 10}, 32, 48, {1, 3, 3}, ONES, {0, 1, 1}, {0}, ONES, 1, 1, 1, TL_ACT_RELU},
                                {1, {3, 9, 10}, 16, 32, {3, 3, 3}, ONES, {1, 1, 1}, {0}, ONES, 1, 1, 1, TL_ACT_RELU},
                                {1, {1, 30, 31}, 16, 16, {1, 3, 3}, ONES, {0, 0, 1}, {0, 1, 1}, ONES, 1, 1, 0, TL_ACT_SILU}};
    d->traits.local_bytes = 20000;
    for (int i = 0; i < 3; i++) check_all(d, &p[i]);
    close_device(d);
}

/* What runs where: the names of the makers for shapes of known networks. */
Test(conv, choice_of_makers)
{
    static const struct { problem p; int inference; const char *maker; } rows[] = {
        {{16, {1, 56, 56}, 64, 64, {1, 3, 3}, ONES, {0, 1, 1}, {0}, ONES, 1, 1, 0, TL_ACT_RELU}, 1, "winograd"},
        {{16, {1, 56, 56}, 64, 64, {1, 3, 3}, ONES, {0, 1, 1}, {0}, ONES, 1, 1, 0, TL_ACT_RELU}, 0, "direct"},
        {{1, {1, 7, 7}, 512, 512, {1, 3, 3}, ONES, {0, 1, 1}, {0}, ONES, 1, 1, 0, TL_ACT_RELU}, 1, "direct"},
        {{1, {1, 14, 14}, 256, 256, {1, 3, 3}, ONES, {0, 1, 1}, {0}, ONES, 1, 1, 0, TL_ACT_RELU}, 1, "winograd"},
        {{1, {32, 32, 32}, 16, 16, {3, 3, 3}, ONES, {1, 1, 1}, {0}, ONES, 1, 1, 0, TL_ACT_NONE}, 0, "winograd"},
        {{1, {32, 32, 32}, 16, 16, {3, 3, 3}, ONES, {2, 2, 2}, {0}, {2, 2, 2}, 1, 1, 0, TL_ACT_NONE}, 0, "direct"},
        {{1, {32, 32, 32}, 5, 5, {3, 3, 3}, ONES, {2, 2, 2}, {0}, {2, 2, 2}, 1, 1, 0, TL_ACT_NONE}, 0, "narrow"},
        {{1, {64, 64, 64}, 1, 32, {3, 3, 3}, ONES, {1, 1, 1}, {0}, ONES, 1, 1, 0, TL_ACT_NONE}, 1, "narrow"},
        {{1, {64, 64, 64}, 32, 2, {1, 1, 1}, ONES, {0}, {0}, ONES, 1, 1, 0, TL_ACT_NONE}, 1, "direct"},
        {{16, {1, 224, 224}, 3, 64, {1, 7, 7}, {1, 2, 2}, {0, 3, 3}, {0}, ONES, 1, 1, 0, TL_ACT_RELU}, 1, "direct"},
        {{16, {1, 56, 56}, 5, 5, {1, 3, 3}, ONES, {0, 1, 1}, {0}, ONES, 1, 1, 0, TL_ACT_RELU}, 1, "direct"},
        {{16, {1, 56, 56}, 128, 128, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {0}, ONES, 1, 1, 0, TL_ACT_RELU}, 1, "direct"},
        {{16, {1, 56, 56}, 144, 144, {1, 3, 3}, ONES, {0, 1, 1}, {0}, ONES, 144, 1, 0, TL_ACT_RELU6}, 1, "depthwise"}};
    tl_device *d = open_device("16");
    for (size_t i = 0; d->traits.is_cpu && i < sizeof rows / sizeof *rows; i++) {
        tl_shape none = {1, {1}};
        tl_tensor y = {.shape = none};
        tl_conv_job j = {.g = shape_of(&rows[i].p), .y = &y, .inference = rows[i].inference};
        cr_expect_str_eq(tl__conv_choose(d, &j)->name, rows[i].maker, "%s", text_of(&rows[i].p));
    }
    close_device(d);
}

Test(conv, makers_16) { check_width("16"); }
Test(conv, makers_8) { check_width("8"); }
Test(conv, makers_4) { check_width("4"); }
Test(conv, makers_gpu) { check_width("1"); }

/* ---- gradients ---- */

typedef struct gradient { const host *h; const double *g; double *dx, *dw, *sx, *sw; } gradient;

static void add_gradient(void *user, int64_t y, int64_t x, int64_t w)
{
    gradient *a = user;
    double tx = a->g[y] * a->h->w[w], tw = a->g[y] * a->h->x[x];
    a->dx[x] += tx;
    a->sx[x] += fabs(tx);
    a->dw[w] += tw;
    a->sw[w] += fabs(tw);
}

/* Of pixels that Winograd's form makes, roundings are judged as in the test of the makers. */
static int is_transformed(const tl_device *d, const tl_conv_shape *g)
{
    tl_conv_job j = {.g = *g};
    return tl__conv_winograd_needs(d, &j) && tl__conv_winograd_suits(d, &j);
}

static void compare(tl_scope *s, tl_tensor *t, const double *want, const double *size, int64_t n, double bound,
                    const char *what, const problem *p)
{
    float *got = malloc((size_t)(n + 1) * 4);
    cr_assert(t, "%s of %s is missing: %s", what, text_of(p), s->err.text);
    cr_assert_eq(tl_numel(t), n);
    tl_read(s, t, got, (size_t)n * 4);
    for (int64_t i = 0; i < n; i++)
        cr_assert(fabs(got[i] - want[i]) <= bound * (size[i] + 1), "%s, width %d: %s: element %d is %.9g, not %.9g",
                  what, s->device->traits.vector_width, text_of(p), (int)i, got[i], want[i]);
    free(got);
}

/* Rank and dimensions as a user gives them: leading spatial ones of size 1 are left out. */
static int dims_of(const problem *p, int64_t *x, int64_t *w)
{
    int volume = p->in[0] > 1 || p->kernel[0] > 1 || p->padding[0];
    int lead = volume ? 0 : p->in[1] > 1 || p->kernel[1] > 1 ? 1 : 2, sp = 3 - lead;
    x[0] = p->n;
    w[0] = p->co;
    w[1] = p->ci / p->groups;
    for (int i = 0; i < sp; i++) x[1 + i] = p->in[lead + i], w[2 + i] = p->kernel[lead + i];
    x[1 + sp] = p->ci;
    return sp;
}

static void check_gradients(tl_device *d, const problem *p, unsigned wanted)
{
    static const char *const names[] = {"none", "relu", "relu6", "silu", "gelu"};
    host h = make_host(p);
    tl_conv_shape g = shape_of(p);
    double *grad = calloc((size_t)h.ny + 1, 8), *ones = calloc((size_t)h.ny + 1, 8), *db = calloc((size_t)g.co, 8), *sb = calloc((size_t)g.co, 8);
    gradient a = {.h = &h, .g = grad, .dx = calloc((size_t)h.nx, 8), .dw = calloc((size_t)h.nw, 8), .sx = calloc((size_t)h.nx, 8), .sw = calloc((size_t)h.nw, 8)};
    tl_scope *s = open_scope(d);
    int64_t dx[TL_MAX_RANK] = {0}, dw[TL_MAX_RANK] = {0};
    int sp = dims_of(p, dx, dw);
    tl_conv_options o = {.groups = p->groups, .activation = names[p->act]};
    for (int i = 0; i < sp; i++) {
        o.stride[i] = p->stride[3 - sp + i];
        o.padding[i] = p->padding[3 - sp + i];
        o.dilation[i] = p->dilation[3 - sp + i];
        o.more_at_end[i] = p->more_at_end[3 - sp + i];
    }
    tl_tensor *x = tl_from(s, TL_F32, sp + 2, dx, h.x), *w = tl_from(s, TL_F32, sp + 2, dw, h.w), *b = p->bias ? tl_from(s, TL_F32, 1, &g.co, h.b) : NULL;
    if (wanted & 1) tl_require_grad(s, x, 1);
    if (wanted & 2) tl_require_grad(s, w, 1);
    if (b && wanted & 4) tl_require_grad(s, b, 1);
    int64_t dy[TL_MAX_RANK];
    memcpy(dy, dx, sizeof dy);
    for (int i = 0; i < sp; i++) dy[1 + i] = g.out[3 - sp + i];
    dy[1 + sp] = g.co;
    tl_tensor *r = p->residual ? tl_from(s, TL_F32, sp + 2, dy, h.r) : NULL;
    if (r && wanted & 8) tl_require_grad(s, r, 1);
    tl_tensor *y = tl_conv(s, x, w, b, r, &o);
    cr_assert(y, "%s: %s", text_of(p), s->err.text);
    double least = 3e-6, most = is_transformed(d, &g) ? bound_of("winograd", &g) : least;
    compare(s, y, h.y, h.size, h.ny, most, "output", p);
    /* The reference differentiates at what the device computed: at a kink the two may be on different sides. */
    float *out = malloc((size_t)h.ny * 4);
    tl_read(s, y, out, (size_t)h.ny * 4);
    for (int64_t i = 0; i < h.ny; i++) {
        double slope = p->act == TL_ACT_RELU ? out[i] > 0 : p->act == TL_ACT_RELU6 ? out[i] > 0 && out[i] < 6 : 1;
        grad[i] = slope * h.gy[i];
        ones[i] = 1;
        db[i % g.co] += grad[i];
        sb[i % g.co] += fabs(grad[i]);
    }
    each_product(&g, add_gradient, &a);
    cr_assert_eq(tl_backward(s, y, tl_from(s, TL_F32, sp + 2, dy, h.gy), 0), 0, "%s: %s", text_of(p), s->err.text);
    if (wanted & 1) compare(s, tl_grad(x), a.dx, a.sx, h.nx, most, "gradient of x", p);
    else cr_expect_null(tl_grad(x));
    if (wanted & 2) compare(s, tl_grad(w), a.dw, a.sw, h.nw, least, "gradient of the weight", p);
    else cr_expect_null(tl_grad(w));
    if (b && wanted & 4) compare(s, tl_grad(b), db, sb, g.co, least, "gradient of the bias", p);
    if (r && wanted & 8) compare(s, tl_grad(r), grad, ones, h.ny, least, "gradient of the residual", p);
    close_scope(s);
    free(out);
    free(grad);
    free(ones);
    free(db);
    free(sb);
    free(a.dx);
    free(a.dw);
    free(a.sx);
    free(a.sw);
    drop_host(&h);
}

static void check_gradients_width(const char *vector)
{
    compile_quickly(vector);
    tl_device *d = open_device(vector);
    for (int i = 0; i < PROBLEMS; i++) {
        if (tl__act_needs_input(problems[i].act) || is_left_out(d, i)) continue; /* the operators' own test has the former */
        choose_tiles(d, i);
        check_gradients(d, &problems[i], 15);
        check_gradients(d, &problems[i], 1);
        check_gradients(d, &problems[i], 2);
    }
    close_device(d);
}

/* Small enough for Oclgrind: patches gathered as they load, steps of two and odd edges, Winograd's form, one kernel a
 * channel, groups; forward by each maker that can, and all gradients. */
Test(conv, small)
{
    static const problem small[] = {
        {1, {1, 5, 6}, 4, 20, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {0, 0, 1}, ONES, 1, 1, 1, TL_ACT_RELU},
        {1, {1, 7, 6}, 4, 8, {1, 3, 3}, ONES, {0, 1, 1}, {0}, ONES, 1, 1, 0, TL_ACT_RELU},
        {1, {1, 5, 6}, 6, 6, {1, 3, 3}, ONES, {0, 1, 1}, {0}, ONES, 6, 1, 0, TL_ACT_NONE},
        {1, {1, 4, 5}, 6, 4, {1, 3, 2}, ONES, {0, 1, 0}, {0}, ONES, 2, 1, 0, TL_ACT_NONE},
        {1, {1, 5, 4}, 12, 16, {1, 1, 1}, ONES, {0}, {0}, ONES, 1, 1, 0, TL_ACT_RELU},
    };
    tl_device *d = open_device("1");
    for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
        host h = make_host(&small[i]);
        for (const tl_conv_maker *m = tl__conv_makers(); m->name; m++) check_maker(d, &small[i], &h, m, 0);
        drop_host(&h);
        check_gradients(d, &small[i], 15);
    }
    close_device(d);
}

Test(conv, gradients_16) { check_gradients_width("16"); }
Test(conv, gradients_8) { check_gradients_width("8"); }
Test(conv, gradients_gpu) { check_gradients_width("1"); }

/* ---- what a user meets ---- */

Test(conv, errors_name_the_shapes)
{
    tl_device *d = open_device("16");
    tl_scope *s = open_scope(d);
    tl_conv(s, tl_full(s, TL_F32, 4, (int64_t[]){1, 8, 8, 3}, 1), tl_full(s, TL_F32, 4, (int64_t[]){64, 64, 3, 3}, 1), NULL, NULL, NULL);
    cr_expect_str_eq(tl_scope_error(s)->text, "conv: the input has 3 channels, the weight wants 64 (64, 64, 3, 3)");
    tl_scope_close(s);
    s = open_scope(d);
    tl_conv(s, tl_full(s, TL_F32, 4, (int64_t[]){1, 2, 2, 3}, 1), tl_full(s, TL_F32, 4, (int64_t[]){4, 3, 3, 3}, 1), NULL, NULL, NULL);
    cr_expect(strstr(tl_scope_error(s)->text, "larger than the padded input"), "%s", tl_scope_error(s)->text);
    tl_scope_close(s);
    close_device(d);
}

/* What is kept packed of weights follows a write to them. */
Test(conv, packed_weights_follow_writes)
{
    tl_device *d = open_device("16");
    tl_scope *s = open_scope(d);
    tl_conv_options o = {.padding = {1, 1}};
    tl_tensor *x = tl_full(s, TL_F32, 4, (int64_t[]){1, 9, 9, 16}, 1), *w = tl_full(s, TL_F32, 4, (int64_t[]){32, 16, 3, 3}, 1);
    float *ones = malloc(32 * 16 * 9 * 4), *y = malloc(9 * 9 * 32 * 4);
    for (int i = 0; i < 32 * 16 * 9; i++) ones[i] = 2;
    tl_read(s, tl_conv(s, x, w, NULL, NULL, &o), y, 9 * 9 * 32 * 4);
    cr_expect_float_eq(y[(4 * 9 + 4) * 32], 144, 1e-2);
    tl_write(s, w, ones, 32 * 16 * 9 * 4);
    tl_read(s, tl_conv(s, x, w, NULL, NULL, &o), y, 9 * 9 * 32 * 4);
    cr_expect_float_eq(y[(4 * 9 + 4) * 32], 288, 1e-2);
    free(ones);
    free(y);
    close_scope(s);
    close_device(d);
}

/* A NaN among the inputs is seen in every output that depends on it, through every activation. */
Test(conv, nan_stays_visible)
{
    static const char *const acts[] = {"none", "relu", "relu6", "silu", "gelu"};
    tl_device *d = open_device("16");
    for (int i = 0; i < 10; i++) {
        tl_scope *s = open_scope(d);
        int depthwise = i & 1;
        tl_conv_options o = {.padding = {1, 1}, .activation = acts[i / 2], .groups = depthwise ? 32 : 1};
        tl_tensor *x = tl_full(s, TL_F32, 4, (int64_t[]){1, 12, 12, 32}, 1), *w = tl_full(s, TL_F32, 4, (int64_t[]){32, depthwise ? 1 : 32, 3, 3}, -1);
        float *h = malloc(12 * 12 * 32 * 4);
        tl_read(s, x, h, 12 * 12 * 32 * 4);
        h[(5 * 12 + 5) * 32 + 7] = NAN;
        tl_write(s, x, h, 12 * 12 * 32 * 4);
        tl_read(s, tl_conv(s, x, w, NULL, NULL, &o), h, 12 * 12 * 32 * 4);
        for (int v = 4; v <= 6; v++)
            for (int u = 4; u <= 6; u++) cr_assert(isnan(h[(v * 12 + u) * 32 + 7]), "%s %d: (%d, %d) is %g", acts[i / 2], depthwise, v, u, h[(v * 12 + u) * 32 + 7]);
        free(h);
        close_scope(s);
    }
    close_device(d);
}

/* ---- batch norm ---- */

/* Forward, running statistics and gradients; a mean far from zero would show sums of squares that cancel. */
static void check_batch_norm(tl_device *d, int64_t rows, int64_t c, double mean, int training)
{
    const double eps = 1e-3, momentum = 0.1;
    float *x = random_floats(rows * c, 31), *gy = random_floats(rows * c, 32), *w = random_floats(c, 33), *b = random_floats(c, 34), *got = malloc((size_t)(rows * c) * 4);
    float *rm = random_floats(c, 35), *rv = random_floats(c, 36), *now = malloc((size_t)c * 4);
    tl_scope *s = open_scope(d);
    for (int64_t i = 0; i < rows * c; i++) x[i] += (float)mean;
    for (int64_t i = 0; i < c; i++) rv[i] = rv[i] * rv[i] + 0.5f;
    tl_tensor *tx = tl_from(s, TL_F32, 2, (int64_t[]){rows, c}, x), *tw = tl_from(s, TL_F32, 1, &c, w), *tb = tl_from(s, TL_F32, 1, &c, b);
    tl_tensor *tm = tl_from(s, TL_F32, 1, &c, rm), *tv = tl_from(s, TL_F32, 1, &c, rv);
    tl_require_grad(s, tx, 1);
    tl_require_grad(s, tw, 1);
    tl_require_grad(s, tb, 1);
    tl_tensor *y = tl_batch_norm(s, tx, tw, tb, tm, tv, training, momentum, eps);
    cr_assert(y, "%s", s->err.text);
    tl_backward(s, y, tl_from(s, TL_F32, 2, (int64_t[]){rows, c}, gy), 0);
    for (int64_t k = 0; k < c; k++) {
        double m = rm[k], v = rv[k], sg = 0, sgx = 0, n = (double)rows, sum = 0, square = 0;
        for (int64_t i = 0; i < rows; i++) sum += x[i * c + k];
        for (int64_t i = 0; i < rows; i++) square += (x[i * c + k] - sum / n) * (x[i * c + k] - sum / n);
        if (training) m = sum / n, v = square / n;
        double inverse = 1 / sqrt(v + eps);
        for (int64_t i = 0; i < rows; i++) sg += gy[i * c + k], sgx += gy[i * c + k] * (x[i * c + k] - m) * inverse;
        tl_read(s, y, got, (size_t)(rows * c) * 4);
        for (int64_t i = 0; i < rows; i++)
            cr_assert_float_eq(got[i * c + k], (x[i * c + k] - m) * inverse * w[k] + b[k], 2e-5 + 1e-6 * fabs(mean), "training %d mean %g: output", training, mean);
        tl_read(s, tl_grad(tx), got, (size_t)(rows * c) * 4);
        for (int64_t i = 0; i < rows; i++) {
            double hat = (x[i * c + k] - m) * inverse, want = w[k] * inverse * (gy[i * c + k] - (training ? sg / n + hat * sgx / n : 0));
            cr_assert_float_eq(got[i * c + k], want, 2e-5 + 1e-6 * fabs(mean), "training %d mean %g: gradient of x is %g, not %g", training, mean, got[i * c + k], want);
        }
        tl_read(s, tl_grad(tw), now, (size_t)c * 4);
        cr_assert_float_eq(now[k], sgx, 1e-4 * sqrt(n) + 1e-6 * fabs(mean) * n, "training %d mean %g: gradient of the weight is %g, not %g", training, mean, now[k], sgx);
        tl_read(s, tl_grad(tb), now, (size_t)c * 4);
        cr_assert_float_eq(now[k], sg, 1e-4 * sqrt(n));
        tl_read(s, tm, now, (size_t)c * 4);
        cr_assert_float_eq(now[k], training ? rm[k] + momentum * (m - rm[k]) : rm[k], 1e-6 * (1 + fabs(mean)));
        tl_read(s, tv, now, (size_t)c * 4);
        cr_assert_float_eq(now[k], training ? rv[k] + momentum * (square / (n - 1) - rv[k]) : rv[k], 1e-5);
    }
    close_scope(s);
    free(x);
    free(gy);
    free(w);
    free(b);
    free(rm);
    free(rv);
    free(now);
    free(got);
}

static void check_batch_norms(const char *vector)
{
    static const struct { int64_t rows, c; double mean; } cases[] = {{18, 4, 0}, {2, 1, 0}, {65, 17, 3}, {64, 16, 0}, {129, 33, 100}, {9000, 3, 10}};
    tl_device *d = open_device(vector);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int training = 0; training < 2; training++) check_batch_norm(d, cases[i].rows, cases[i].c, cases[i].mean, training);
    close_device(d);
}

Test(batch_norm, makers_16) { check_batch_norms("16"); }
Test(batch_norm, makers_4) { check_batch_norms("4"); }
Test(batch_norm, makers_gpu) { check_batch_norms("1"); }

/* A folded convolution is the convolution followed by the batch norm. */
Test(batch_norm, folds_into_a_convolution)
{
    tl_device *d = open_device("16");
    for (int with = 0; with < 2; with++) {
        tl_scope *s = open_scope(d);
        int64_t c = 20, n = 2 * 5 * 5 * c;
        tl_tensor *x = tl_randn(s, 4, (int64_t[]){2, 7, 7, 5}, 1, 1), *w = tl_randn(s, 4, (int64_t[]){c, 5, 3, 3}, 1, 2), *b = with ? tl_randn(s, 1, &c, 1, 3) : NULL;
        tl_tensor *g = with ? tl_randn(s, 1, &c, 1, 4) : NULL, *beta = with ? tl_randn(s, 1, &c, 1, 5) : NULL, *mean = tl_randn(s, 1, &c, 1, 6), *var = tl_rand(s, 1, &c, 1, 7);
        tl_tensor *w2 = NULL, *b2 = NULL;
        cr_assert_eq(tl_fold_batch_norm(s, w, b, g, beta, mean, var, 1e-3, &w2, &b2), 0);
        float *plain = malloc((size_t)n * 4), *folded = malloc((size_t)n * 4);
        tl_read(s, tl_batch_norm(s, tl_conv(s, x, w, b, NULL, NULL), g, beta, mean, var, 0, 0.1, 1e-3), plain, (size_t)n * 4);
        tl_read(s, tl_conv(s, x, w2, b2, NULL, NULL), folded, (size_t)n * 4);
        for (int64_t i = 0; i < n; i++) cr_assert_float_eq(plain[i], folded[i], 2e-4 * (1 + fabs(plain[i])));
        free(plain);
        free(folded);
        close_scope(s);
    }
    close_device(d);
}
