/* cpu.c - the maker for large products on CPU devices: cl/cpu/gemm_cpu.cl. What is decided here is the tile,
 * the block that a group makes, and whether the packed b is kept. */
#include "device/gemm/maker.h"

#include <string.h>

static const tl_program program = {"cpu/gemm_cpu", NULL};

/* Register tiles: those of the first row whose vector and name fit, best first; the narrower ones serve products of few
 * columns. MR x NR sums, one row's worth of b and one number of a must fit the registers (32 of 16 floats, 16 of 8 or 4),
 * and more than eight sums must be under way to hide the latency of a multiply-add. Zen 5 reads b from its second cache fast
 * enough for wide tiles; Intel's cores do better with tall ones. */
static const struct { const char *name; int vector; tl_gemm_tile tiles[4]; } table[] = {
    {"AMD", 16, {{6, 64}, {12, 32}, {14, 16}}},
    {"", 16, {{14, 32}, {14, 16}}},
    {"", 8, {{6, 16}, {12, 8}}},
    {"", 4, {{6, 8}, {12, 4}}},
};

static const tl_gemm_tile *tiles_of(const tl_device *d)
{
    size_t i = 0, last = sizeof table / sizeof *table - 1;
    while (i < last && (table[i].vector != d->traits.vector_width || !strstr(d->traits.name, table[i].name))) i++;
    return table[i].tiles;
}

void tl__gemm_tile(const tl_device *d, int *rows, int *columns)
{
    const tl_gemm_tile *t = tiles_of(d);
    int cpu = d->traits.is_cpu && d->traits.vector_width > 1;
    *rows = cpu ? t->rows : 64; /* gpu.c's middle square */
    *columns = cpu ? t->columns : 64;
}

static int64_t over(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* Elements of whole tiles. */
static int64_t covered(const tl_gemm *g, const tl_gemm_tile *t) { return over(g->m, t->rows) * t->rows * over(g->n, t->columns) * t->columns; }

/* The tile that computes the fewest elements beside the matrix. */
static tl_gemm_tile choose_tile(const tl_device *d, const tl_gemm *g)
{
    const tl_gemm_tile *best = tiles_of(d);
    for (const tl_gemm_tile *t = best; t->rows; t++)
        if (covered(g, t) < covered(g, best) * 15 / 16) best = t;
    return *best;
}

/* How much one group does. */
typedef struct block { int64_t mb, nb, kc; } block;

/* Of k in a stretch; bytes of packed a; elements of c that are too many for the caches. */
enum { LONGEST = 512, PANELS = 512 * 1024, STREAMED = 2 * 1024 * 1024 };

static block divide(const tl_device *d, const tl_gemm *g, int mr, int nr)
{
    int64_t v = d->traits.vector_width, units = d->traits.compute_units, kp = over(g->k, v) * v;
    int64_t room = (int64_t)(d->traits.local_bytes / 2) < PANELS ? (int64_t)(d->traits.local_bytes / 2) : PANELS;
    block b;
    /* Equal stretches of k; their number depends on k alone, so that the bits do. */
    int64_t longest = smaller(LONGEST, room / (4 * mr) / v * v);
    b.kc = over(over(kp, over(kp, longest)), v) * v;
    int64_t panels = over(g->m, mr), most = room / (b.kc * mr * 4);
    if (most < 1) most = 1;
    /* A few groups per unit even out what a busy machine disturbs; equal shares, as many for each unit, so that none is left alone at the end. */
    int64_t groups = over(panels, most), wanted = over(4 * units, g->batch);
    if (groups < wanted) groups = wanted;
    groups = smaller(g->batch % units ? over(groups, units) * units : groups, panels);
    b.mb = over(panels, groups) * mr;
    /* Where the rows do not give enough groups the columns are shared out too, at the price of packing a again. */
    int64_t columns = over(g->n, nr), parts = over(wanted, over(g->m, b.mb));
    int64_t fewest = over(128, nr);
    parts = smaller(parts, over(columns, fewest));
    b.nb = over(columns, parts) * nr;
    return b;
}

/* What the kernels are compiled for; a b of halves has a program of its own, for pack_b alone. */
enum { OPTIONS = 64 };
static void options_for(char *text, const tl_gemm *g, tl_dtype b_type)
{
    snprintf(text, OPTIONS, "-DMR=%d -DNR=%d", g->tile.rows, g->tile.columns);
    if (b_type == TL_F32) return;
    size_t n = strlen(text);
    snprintf(text + n, OPTIONS - n, " -DB_TYPE=%d", b_type == TL_F16 ? 1 : 2);
}

/* Which packed b this is, kept beside its buffer. All 64-bit, so that no padding is compared. */
typedef struct packed_key { int64_t kind, offset, row, col, batch, k, n, count, nr; } packed_key;

static tl_buffer *packed_b(tl_error *err, tl_device *d, const tl_gemm *g, const tl_gemm_args *args, int nr,
                           int64_t *p_batch, const char *label)
{
    /* Kept beside halves it would take twice their memory. */
    int kept = g->constant_b && g->b_type == TL_F32;
    char options[OPTIONS];
    options_for(options, g, g->b_type);
    int64_t v = d->traits.vector_width, kp = over(g->k, v) * v, panels = over(g->n, nr), count = g->b.batch ? g->batch : 1;
    packed_key key = {0x676d6d70, g->b.offset, g->b.row, g->b.col, g->b.batch, g->k, g->n, count, nr};
    *p_batch = count > 1 ? panels * nr * kp : 0;
    tl_buffer *p = kept ? tl__buffer_find_derived(g->b.buffer, &key, sizeof key) : NULL;
    if (p) {
        tl__buffer_retain(p);
        return p;
    }
    p = tl__buffer_new(err, d, (size_t)(count * panels * nr * kp) * sizeof(float));
    if (!p) return NULL;
    int64_t length = 16 * v;
    tl_launch l = {.program = &program, .options = options, .kernel = "pack_b", .dims = 3,
                   .global = {(size_t)panels, (size_t)over(kp, length), (size_t)count}, .local = {1, 1, 1}};
    if (TL__LAUNCH(err, d, &l, label, TL_KDATA(args), TL_KBUF(g->b.buffer), TL_KBUF(p), TL_KL(length), TL_KL(*p_batch)) != 0 ||
        (kept && tl__buffer_keep_derived(err, g->b.buffer, &key, sizeof key, p) != 0)) {
        tl__buffer_release(p);
        return NULL;
    }
    return p;
}

int tl__gemm_cpu_needs(tl_device *d, const tl_gemm *g)
{
    int v = d->traits.vector_width, across = g->tile.columns / v, registers = v == 16 ? 32 : 16;
    return d->traits.is_cpu && v > 1 && g->k > 0 && !g->bias_batch && g->tile.columns % v == 0 &&
           (g->tile.rows + 1) * across + 1 <= registers;
}

int tl__gemm_takes_patches(const tl_device *d) { return d->traits.is_cpu && d->traits.vector_width > 1; }

/* Whether c should be written past the caches. */
static int streams(const tl_device *d, const tl_gemm *g)
{
    int64_t v = d->traits.vector_width;
    return g->m * g->n * g->batch > STREAMED && g->c.offset % v == 0 && g->c.row % v == 0 && g->c.batch % v == 0;
}

/* Packing is a launch of its own: not for a handful of numbers, unless nobody else takes them. */
int tl__gemm_cpu_suits(tl_device *d, const tl_gemm *g)
{
    if (!g->patches && g->m * g->n * g->k <= 4096) return 0;
    tl_gemm_tile t = choose_tile(d, g);
    return t.rows == g->tile.rows && t.columns == g->tile.columns;
}

int tl__gemm_cpu(tl_error *err, tl_device *d, const tl_gemm *g, const char *label)
{
    int mr = g->tile.rows, nr = g->tile.columns;
    char options[OPTIONS];
    int64_t p_batch;
    tl_gemm_args args;
    options_for(options, g, TL_F32);
    block b = divide(d, g, mr, nr);
    tl__gemm_fill(&args, g);
    args.stream = streams(d, g);
    tl_buffer *p = packed_b(err, d, g, &args, nr, &p_batch, label);
    if (!p) return -1;
    int transposed = g->a.row == 1 && g->a.col != 1;
    tl_launch l = {.program = &program, .options = options, .kernel = transposed ? "gemm_columns" : "gemm_rows", .dims = 3,
                   .global = {(size_t)over(g->n, b.nb), (size_t)over(g->m, b.mb), (size_t)g->batch}, .local = {1, 1, 1}};
    if (g->patches) l.kernel = "gemm_patches";
    tl_karg k[] = {TL_KDATA(&args), TL_KBUF(g->a.buffer), TL_KBUF(p), TL_KBUF(g->c.buffer), TL_KBUF(g->bias), TL_KBUF(g->residual.buffer),
                   TL_KLOCAL((size_t)(b.mb * b.kc + d->traits.vector_width) * 4), TL_KLOCAL((size_t)(mr * nr) * 4), TL_KL(b.mb), TL_KL(b.nb), TL_KL(b.kc), TL_KL(p_batch),
                   TL_KDATA(g->patches)};
    int status = tl__launch(err, d, &l, k, (int)(sizeof k / sizeof *k) - !g->patches, label);
    tl__buffer_release(p);
    return status;
}
