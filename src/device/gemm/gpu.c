/* gpu.c - the maker for devices with many work-items to a group: cl/gpu/gemm_gpu.cl. */
#include "device/gemm/maker.h"

static const tl_program program = {"gpu/gemm_gpu", NULL};

enum { GROUP = 16, DEPTH = 16 };

/* Local memory for both operands' squares. */
static size_t bytes_of(int side) { return (size_t)(2 * DEPTH * (side + 1)) * sizeof(float); }

/* The widest square's inner loops are too long to be unrolled by Mesa, and so come to too many turns there. */
static int fits(const tl_device *d, int side) { return d->traits.local_bytes >= bytes_of(side) && !(d->traits.short_loops && side > 4 * GROUP); }

static void options_for(char *text, size_t room, int side) { snprintf(text, room, "-DMICRO=%d", side / GROUP); }

/* The wider square wants more registers: a device without them says so of the compiled kernel. 1, 0, or -1 with an error where there is no
 * memory to compile it. */
static int kernel_fits(tl_error *err, tl_device *d, int side)
{
    char options[32];
    options_for(options, sizeof options, side);
    return tl__kernel_fits(err, d, &program, options, "gemm_gpu", GROUP * GROUP);
}

/* Who chooses has nowhere to put an error: a square of which nothing is known for lack of memory is taken, and tl__gemm_gpu asks again. */
static int may_fit(tl_device *d, int side)
{
    tl_error ignored = {0};
    return kernel_fits(&ignored, d, side) != 0;
}

int tl__gemm_gpu_needs(tl_device *d, const tl_gemm *g)
{
    return !d->traits.is_cpu && d->traits.vector_width == 1 && !g->patches && d->traits.max_group >= GROUP * GROUP &&
           fits(d, g->tile.rows) && may_fit(d, g->tile.rows);
}

/* Larger squares read less, but only large products give every unit enough of them. */
static int side_for(tl_device *d, const tl_gemm *g)
{
    int64_t large = 8 * GROUP, groups = ((g->m + large - 1) / large) * ((g->n + large - 1) / large) * g->batch;
    int enough = g->m >= large && g->n >= large && groups >= 4 * d->traits.compute_units;
    if (enough && fits(d, 8 * GROUP) && may_fit(d, 8 * GROUP)) return 8 * GROUP;
    return fits(d, 4 * GROUP) && may_fit(d, 4 * GROUP) ? 4 * GROUP : 2 * GROUP;
}

int tl__gemm_gpu_suits(tl_device *d, const tl_gemm *g)
{
    return g->k >= 8 && g->m * g->n >= 256 && g->tile.rows == side_for(d, g);
}

int tl__gemm_gpu(tl_error *err, tl_device *d, const tl_gemm *g, const char *label)
{
    int64_t side = g->tile.rows;
    char options[32];
    tl_gemm_args args;
    int room = kernel_fits(err, d, (int)side);
    if (room < 0) return -1;
    /* It was chosen when there was no memory to find out; tried again, another one is. */
    if (room == 0) return tl__fail(err, TL_EMEMORY, "%s: no host memory to compile the matrix product", label);
    tl__gemm_fill(&args, g);
    options_for(options, sizeof options, (int)side);
    tl_launch l = {.program = &program, .options = options, .kernel = "gemm_gpu", .dims = 3,
                   .global = {(size_t)((g->n + side - 1) / side * GROUP), (size_t)((g->m + side - 1) / side * GROUP), (size_t)g->batch},
                   .local = {GROUP, GROUP, 1}};
    return TL__LAUNCH(err, d, &l, label, TL_KDATA(&args), TL__GEMM_OPERANDS(g));
}
