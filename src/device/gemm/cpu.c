/* cpu.c - the maker for large products on CPU devices: cl/gemm_cpu.cl. What is decided here is the tile,
 * the block that a group makes, and whether the packed b is kept. */
#include "device/gemm/maker.h"

static const tl_program program = {"gemm_cpu", NULL};

/* Register tiles by vector width. The sums, one row's worth of b and one number of a must fit the registers:
 * 32 of them with 16 floats, 16 with 8 or 4. */
static void tile(const tl_device *d, int *mr, int *nr)
{
    int v = d->traits.vector_width;
    *mr = v == 16 ? 14 : 6;
    *nr = 2 * v;
}

void tl__gemm_tile(const tl_device *d, int *rows, int *columns)
{
    tile(d, rows, columns);
}

static int64_t over(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* How much one group does. */
typedef struct block { int64_t mb, nb, kc; } block;

enum { LONGEST = 1024, PANELS = 256 * 1024 };

static block divide(const tl_device *d, const tl_gemm *g, int mr, int nr)
{
    int64_t v = d->traits.vector_width, units = d->traits.compute_units, kp = over(g->k, v) * v;
    int64_t room = (int64_t)(d->traits.local_bytes / 2) < PANELS ? (int64_t)(d->traits.local_bytes / 2) : PANELS;
    block b;
    /* Equal stretches of k; their number depends on k alone, so that the bits do. */
    b.kc = over(over(kp, over(kp, LONGEST)), v) * v;
    int64_t panels = over(g->m, mr), most = room / (b.kc * mr * 4);
    if (most < 1) most = 1;
    /* A few groups per unit even out what a busy machine disturbs; equal shares, so that none is left alone at the end. */
    int64_t groups = over(panels, most), wanted = over(4 * units, g->batch);
    if (groups < wanted) groups = smaller(wanted, panels);
    b.mb = over(panels, groups) * mr;
    /* Where the rows do not give enough groups the columns are shared out too, at the price of packing a again. */
    int64_t columns = over(g->n, nr), parts = over(wanted, over(g->m, b.mb));
    int64_t fewest = over(128, nr);
    parts = smaller(parts, over(columns, fewest));
    b.nb = over(columns, parts) * nr;
    return b;
}

/* Which packed b this is, kept beside its buffer. All 64-bit, so that no padding is compared. */
typedef struct packed_key { int64_t kind, offset, row, col, batch, k, n, count, nr; } packed_key;

static tl_buffer *packed_b(tl_error *err, tl_device *d, const tl_gemm *g, const tl_gemm_args *args, const char *options, int nr, int64_t *p_batch,
                           const char *label)
{
    int64_t v = d->traits.vector_width, kp = over(g->k, v) * v, panels = over(g->n, nr), count = g->b.batch ? g->batch : 1;
    packed_key key = {0x676d6d70, g->b.offset, g->b.row, g->b.col, g->b.batch, g->k, g->n, count, nr};
    *p_batch = count > 1 ? panels * nr * kp : 0;
    tl_buffer *p = g->constant_b ? tl__buffer_find_derived(g->b.buffer, &key, sizeof key) : NULL;
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
        (g->constant_b && tl__buffer_keep_derived(err, g->b.buffer, &key, sizeof key, p) != 0)) {
        tl__buffer_release(p);
        return NULL;
    }
    return p;
}

int tl__gemm_cpu_needs(const tl_device *d, const tl_gemm *g)
{
    return d->traits.is_cpu && d->traits.vector_width > 1 && g->k > 0;
}

int tl__gemm_takes_patches(const tl_device *d) { return d->traits.is_cpu && d->traits.vector_width > 1; }

int tl__gemm_cpu(tl_error *err, tl_device *d, const tl_gemm *g, const char *label)
{
    int mr, nr;
    char options[64];
    int64_t p_batch;
    tl_gemm_args args;
    tile(d, &mr, &nr);
    snprintf(options, sizeof options, "-DMR=%d -DNR=%d", mr, nr);
    block b = divide(d, g, mr, nr);
    tl__gemm_fill(&args, g);
    tl_buffer *p = packed_b(err, d, g, &args, options, nr, &p_batch, label);
    if (!p) return -1;
    int transposed = g->a.row == 1 && g->a.col != 1;
    tl_launch l = {.program = &program, .options = options, .kernel = transposed ? "gemm_columns" : "gemm_rows", .dims = 3,
                   .global = {(size_t)over(g->n, b.nb), (size_t)over(g->m, b.mb), (size_t)g->batch}, .local = {1, 1, 1}};
    if (g->patches) l.kernel = "gemm_patches";
    tl_karg k[] = {TL_KDATA(&args), TL_KBUF(g->a.buffer), TL_KBUF(p), TL_KBUF(g->c.buffer), TL_KBUF(g->bias), TL_KBUF(g->residual.buffer),
                   TL_KLOCAL((size_t)(b.mb * b.kc) * 4), TL_KLOCAL((size_t)(mr * nr) * 4), TL_KL(b.mb), TL_KL(b.nb), TL_KL(b.kc), TL_KL(p_batch),
                   TL_KDATA(g->patches)};
    int status = tl__launch(err, d, &l, k, (int)(sizeof k / sizeof *k) - !g->patches, label);
    tl__buffer_release(p);
    return status;
}
