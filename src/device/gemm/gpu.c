/* gpu.c - the maker for devices with many work-items to a group: cl/gpu/gemm_gpu.cl. What is decided here is the tile,
 * into how many parts k is split, and for which layout the kernel is built. */
#include "device/gemm/maker.h"

#include <limits.h>
#include <string.h>

static const tl_program program = {"gpu/gemm_gpu", NULL};

/* What a group makes: the tile, the part of it that a work-item has, k in a stretch, and how much of the device's rate
 * it reaches where groups are plenty, in percent. That is a reckoning: of the instructions in the inner loop the share
 * that multiplies (docs/gpu.md has them counted), and of the memory it reads for each. Large tiles come first. */
typedef struct shape {
    tl_gemm_tile tile;
    int tm, tn, bk, rate;
} shape;
static const shape shapes[] = {
    {{128, 128}, 8, 8, 8, 100}, {{128, 64}, 8, 4, 8, 90}, {{64, 128}, 4, 8, 8, 90}, {{64, 64}, 8, 4, 8, 85},
    {{128, 32}, 4, 4, 8, 68},   {{32, 128}, 4, 4, 8, 68}, {{64, 32}, 4, 4, 8, 65},  {{32, 64}, 4, 4, 8, 65},
    {{128, 16}, 4, 4, 8, 50},   {{16, 128}, 4, 4, 8, 50}, {{32, 32}, 4, 4, 8, 55},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static const shape *shape_of(const tl_gemm_tile *t)
{
    for (int i = 0; i < SHAPES; i++)
        if (shapes[i].tile.rows == t->rows && shapes[i].tile.columns == t->columns) return &shapes[i];
    return NULL;
}

static int64_t over(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int items_of(const shape *s) { return s->tile.rows / s->tm * (s->tile.columns / s->tn); }

/* Local memory for two stretches of both operands. */
static size_t bytes_of(const shape *s)
{
    return (size_t)(2 * s->bk * (s->tile.rows + s->tile.columns + 8)) * sizeof(float);
}

/* ---- the build ---- */

/* What the kernel is built for. */
typedef struct layout {
    int a_along_k, b_along_k, wide, gather, volume, spread;
} layout;

/* Whether aligned fours of an operand can be read along an axis of `length` on which it lies together. */
static int in_fours(const tl_matrix *x, int64_t line, int64_t length)
{
    return x->offset % 4 == 0 && line % 4 == 0 && x->batch % 4 == 0 && length % 4 == 0;
}

static layout layout_of(const tl_gemm *g)
{
    const tl_patches *p = g->patches;
    layout l = {.a_along_k = g->a.col == 1, .b_along_k = g->b.row == 1 && g->b.col != 1};
    int a_fours =
        in_fours(&g->a, l.a_along_k ? g->a.row : g->a.col, l.a_along_k ? g->k : g->m) && (l.a_along_k || g->a.row == 1);
    int b_fours =
        in_fours(&g->b, l.b_along_k ? g->b.col : g->b.row, l.b_along_k ? g->k : g->n) && (l.b_along_k || g->b.col == 1);
    if (p) {
        int fours = p->channels % 4 == 0 && p->pixel % 4 == 0;
        const tl_matrix *x = g->gathers_b ? &g->b : &g->a;
        fours = fours && x->offset % 4 == 0 && x->batch % 4 == 0;
        l.gather = g->gathers_b ? 2 : 1;
        l.volume = p->in[0] > 1 || p->kernel[0] > 1 || p->out[0] > 1 || p->padding[0] != 0;
        l.spread = g->spread != NULL;
        if (g->gathers_b) {
            l.b_along_k = 0;
            b_fours = fours;
        } else {
            l.a_along_k = 1;
            a_fours = fours;
        }
    }
    l.wide = a_fours && b_fours;
    return l;
}

enum { OPTIONS = 160 };
static void options_for(char *text, const shape *s, const layout *l)
{
    snprintf(text, OPTIONS,
             "-DBM=%d -DBN=%d -DTM=%d -DTN=%d -DBK=%d -DA_ALONG_K=%d -DB_ALONG_K=%d -DWIDE=%d -DGATHER=%d -DVOLUME=%d "
             "-DSPREAD=%d",
             s->tile.rows, s->tile.columns, s->tm, s->tn, s->bk, l->a_along_k, l->b_along_k, l->wide ? 4 : 1, l->gather,
             l->volume, l->spread);
}

/* ---- whether it can ---- */

/* Numbers that the kernel counts in 32 bits. */
static int is_short(const tl_gemm *g)
{
    const tl_patches *p = g->patches;
    int64_t most = INT_MAX / 256, rows = INT_MAX - 256;
    if (g->k > rows || g->a.row > most || g->a.col > most || g->b.row > most || g->b.col > most) return 0;
    if (!p) return 1;
    int64_t pixels = g->gathers_b ? g->k : g->m, whole = p->in[0] * p->in[1] * p->in[2],
            out = p->out[0] * p->out[1] * p->out[2], reach = 0;
    int64_t far[3] = {p->in[1] * p->in[2], p->in[2], 1};
    for (int i = 0; i < 3; i++)
        reach += (p->padding[i] + p->kernel[i] * p->dilation[i] + p->out[i] * p->stride[i]) * far[i];
    return pixels <= rows && over(pixels, out) * whole * p->pixel + 2 * reach * p->pixel <= rows;
}

/* Sums of 8 x 8 leave registers for loads in fours alone; and Intel's GPUs, which have 128 registers for all that eight
 * work-items keep, would have some of them in memory. Inner loops of so many multiply-adds are too long to be unrolled
 * by Mesa, and so come to too many turns there. */
static int has_room(const tl_device *d, const shape *s, const layout *l)
{
    if (s->tm * s->tn > 32 && (!l->wide || strstr(d->traits.platform, "Intel"))) return 0;
    return d->traits.max_group >= (size_t)items_of(s) && d->traits.local_bytes >= bytes_of(s) &&
           !(d->traits.short_loops && s->tm * s->tn > 16);
}

/* Many sums want many registers: a device without them says so of the compiled kernel. 1, 0, or -1 with an error where
 * there is no memory to compile it. */
static int kernel_fits(tl_error *err, tl_device *d, const shape *s, const layout *l)
{
    char options[OPTIONS];
    options_for(options, s, l);
    return tl__kernel_fits(err, d, &program, options, "gemm_gpu", (size_t)items_of(s));
}

/* Who chooses has nowhere to put an error: a tile of which nothing is known for lack of memory is taken, and
 * tl__gemm_gpu asks again. */
static int may_fit(tl_device *d, const shape *s, const layout *l)
{
    tl_error ignored = {0};
    return kernel_fits(&ignored, d, s, l) != 0;
}

static int on_gpu(const tl_device *d) { return !d->traits.is_cpu && d->traits.vector_width == 1; }

int tl__gemm_gpu_has_room(const tl_device *d)
{
    const layout any = {.wide = 1};
    return on_gpu(d) && has_room(d, &shapes[SHAPES - 1], &any);
}

int tl__gemm_gpu_needs(tl_device *d, const tl_gemm *g)
{
    const shape *s = shape_of(&g->tile);
    if (!on_gpu(d) || !s || g->k <= 0 || !is_short(g)) return 0;
    layout l = layout_of(g);
    return has_room(d, s, &l) && may_fit(d, s, &l);
}

/* ---- which tile, and how many parts of k ---- */

/* Of k in a part at least; most parts; work-items that a compute unit is given by parts; work-items that it holds at
 * once, and with how many it reaches half its rate; multiply-adds of the whole device in the time that a number takes
 * to be written to memory and read again by another kernel. */
enum { SHORTEST = 256, MOST_PARTS = 64, BUSY = 512, HELD = 1024, HALF = 192, PRICE = 64 };
#define WORKSPACE ((int64_t)64 << 20)

/* Units that hold groups of their own. Intel counts what executes one thread; sixteen of them share what a group
 * needs. */
static int64_t units_of(const tl_device *d)
{
    int64_t n = d->traits.compute_units / (strstr(d->traits.platform, "Intel") ? 16 : 1);
    return n < 1 ? 1 : n;
}

static int64_t groups_of(const tl_gemm *g, const shape *s)
{
    return over(g->m, s->tile.rows) * over(g->n, s->tile.columns) * g->batch;
}

/* Parts of k, so that groups of this tile keep every unit busy: by the shape and the number of units alone. */
static int64_t parts_of(const tl_device *d, const tl_gemm *g, const shape *s)
{
    int64_t parts = units_of(d) * BUSY / items_of(s) / groups_of(g, s), most = g->k / SHORTEST;
    int64_t fits = WORKSPACE / 4 / (g->m * over(g->n, 4) * 4 * g->batch);
    if (parts > most) parts = most;
    if (parts > fits) parts = fits;
    if (parts > MOST_PARTS) parts = MOST_PARTS;
    if (parts < 2 || g->spread) return 1;
    /* No part is empty. */
    return over(g->k, over(over(g->k, parts), s->bk) * s->bk);
}

/* What the product costs by this tile, in multiply-adds of one unit: those of the whole tiles that the unit with most
 * of them makes, at the tile's rate and that of so many work-items; and what parts cost to be added. */
static double cost_of(const tl_device *d, const tl_gemm *g, const shape *s)
{
    int64_t parts = parts_of(d, g, s), units = units_of(d), each = over(groups_of(g, s) * parts, units);
    double held = (double)(each * items_of(s) < HELD ? each * items_of(s) : HELD);
    double cost = (double)(each * s->tile.rows * s->tile.columns) * (double)over(g->k, parts);
    cost *= 100.0 / s->rate * (held + HALF) / held;
    return parts > 1 ? cost + (double)(parts + 1) * (double)(g->m * g->n * g->batch) * PRICE / (double)units : cost;
}

/* The cheapest by that reckoning; a tile whose kernel the device has no room for is passed over. */
static const shape *choose(tl_device *d, const tl_gemm *g)
{
    layout l = layout_of(g);
    int refused[SHAPES] = {0};
    for (int round = 0; round < SHAPES; round++) {
        const shape *best = NULL;
        for (int i = 0; i < SHAPES; i++)
            if (!refused[i] && has_room(d, &shapes[i], &l) &&
                (!best || cost_of(d, g, &shapes[i]) < cost_of(d, g, best)))
                best = &shapes[i];
        if (!best || may_fit(d, best, &l)) return best;
        refused[best - shapes] = 1;
    }
    return NULL;
}

tl_gemm_tile tl__gemm_gpu_tile(tl_device *d, const tl_gemm *g)
{
    const tl_gemm_tile none = {0, 0};
    if (!on_gpu(d) || g->m <= 0 || g->n <= 0 || g->k <= 0 || g->batch <= 0 || !is_short(g)) return none;
    if (!g->patches && (g->k < 8 || g->m * g->n < 256)) return none;
    const shape *s = choose(d, g);
    return s ? s->tile : none;
}

int tl__gemm_gpu_suits(tl_device *d, const tl_gemm *g)
{
    tl_gemm_tile t = tl__gemm_gpu_tile(d, g);
    return t.rows && t.rows == g->tile.rows && t.columns == g->tile.columns;
}

int tl__gemm_gathers(tl_device *d, const tl_gemm *g) { return g->patches && tl__gemm_gpu_tile(d, g).rows; }

/* ---- the launches ---- */

/* The gathering as kernels see it; cl/gpu/gather.clh has the same struct. */
typedef struct gather_args {
    int32_t in[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
    int32_t channels, pixel;
    int32_t to[3], to_stride[3], to_first[3];
    int32_t unused;
} gather_args;

static gather_args gather_of(const tl_gemm *g)
{
    const tl_patches *p = g->patches;
    gather_args a = {.channels = (int32_t)p->channels, .pixel = (int32_t)p->pixel};
    for (int i = 0; i < 3; i++) {
        a.in[i] = (int32_t)p->in[i];
        a.out[i] = (int32_t)p->out[i];
        a.kernel[i] = (int32_t)p->kernel[i];
        a.stride[i] = (int32_t)p->stride[i];
        a.padding[i] = (int32_t)p->padding[i];
        a.dilation[i] = (int32_t)p->dilation[i];
        a.to[i] = g->spread ? (int32_t)g->spread->size[i] : 0;
        a.to_stride[i] = g->spread ? (int32_t)g->spread->stride[i] : 0;
        a.to_first[i] = g->spread ? (int32_t)g->spread->first[i] : 0;
    }
    return a;
}

/* Whether fours of c, and of what is added to it, are aligned. */
static int lies_together(const tl_gemm *g)
{
    const tl_matrix *r = &g->residual;
    return g->c.offset % 4 == 0 && g->c.row % 4 == 0 && g->c.batch % 4 == 0 &&
           (!g->bias || (g->bias_offset % 4 == 0 && g->bias_batch % 4 == 0)) &&
           (!r->buffer || (r->offset % 4 == 0 && r->row % 4 == 0 && r->batch % 4 == 0));
}

static int multiply(tl_error *err, tl_device *d, const tl_gemm *g, const shape *s, int64_t parts, const char *label)
{
    char options[OPTIONS];
    layout lay = layout_of(g);
    tl_gemm_args args;
    options_for(options, s, &lay);
    tl__gemm_fill(&args, g);
    int items = items_of(s);
    int64_t length = over(over(g->k, parts), s->bk) * s->bk;
    tl_launch l = {.program = &program,
                   .options = options,
                   .kernel = "gemm_gpu",
                   .dims = 3,
                   .global = {(size_t)(over(g->n, s->tile.columns) * items), (size_t)over(g->m, s->tile.rows),
                              (size_t)(g->batch * parts)},
                   .local = {(size_t)items, 1, 1}};
    if (!g->patches)
        return TL__LAUNCH(err, d, &l, label, TL_KDATA(&args), TL__GEMM_OPERANDS(g), TL_KI(parts), TL_KI(length),
                          TL_KI(lies_together(g)));
    gather_args gather = gather_of(g);
    return TL__LAUNCH(err, d, &l, label, TL_KDATA(&args), TL_KDATA(&gather), TL__GEMM_OPERANDS(g), TL_KI(parts),
                      TL_KI(length), TL_KI(lies_together(g)));
}

/* The parts into memory of their own, and their sums from there to c. */
static int multiply_in_parts(tl_error *err, tl_device *d, const tl_gemm *g, const shape *s, int64_t parts,
                             const char *label)
{
    int64_t row = over(g->n, 4) * 4;
    char options[OPTIONS];
    layout lay = layout_of(g);
    tl_gemm_args args;
    tl_gemm raw = *g;
    raw.c = (tl_matrix){tl__buffer_new(err, d, (size_t)(g->batch * parts * g->m * row) * sizeof(float)), 0, row, 1,
                        g->m * row};
    if (!raw.c.buffer) return -1;
    raw.alpha = 1;
    raw.accumulate = 0;
    raw.bias = raw.residual.buffer = NULL;
    raw.activation = TL_ACT_NONE;
    options_for(options, s, &lay);
    tl__gemm_fill(&args, g);
    tl_launch l = {.program = &program,
                   .options = options,
                   .kernel = "gemm_parts",
                   .dims = 3,
                   .global = {(size_t)g->n, (size_t)g->m, (size_t)g->batch}};
    int status = multiply(err, d, &raw, s, parts, label);
    if (status == 0)
        status = TL__LAUNCH(err, d, &l, label, TL_KDATA(&args), TL_KBUF(raw.c.buffer), TL_KBUF(g->c.buffer),
                            TL_KBUF(g->bias), TL_KBUF(g->residual.buffer), TL_KI(parts), TL_KL(row));
    tl__buffer_release(raw.c.buffer);
    return status;
}

int tl__gemm_gpu(tl_error *err, tl_device *d, const tl_gemm *g, const char *label)
{
    const shape *s = shape_of(&g->tile);
    layout l = layout_of(g);
    int room = kernel_fits(err, d, s, &l);
    if (room < 0) return -1;
    /* It was chosen when there was no memory to find out; tried again, another one is. */
    if (room == 0) return tl__fail(err, TL_EMEMORY, "%s: no host memory to compile the matrix product", label);
    int64_t parts = parts_of(d, g, s);
    return parts > 1 ? multiply_in_parts(err, d, g, s, parts, label) : multiply(err, d, g, s, 1, label);
}
