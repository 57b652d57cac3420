/* gpu.c - the maker for devices with many work-items to a group: cl/gemm_gpu.cl. */
#include "device/gemm/maker.h"

static const tl_program program = {"gemm_gpu", NULL};

enum { GROUP = 16, DEPTH = 16 };

int tl__gemm_gpu_needs(tl_device *d, const tl_gemm *g)
{
    (void)g;
    return !d->traits.is_cpu && d->traits.vector_width == 1 && d->traits.max_group >= GROUP * GROUP &&
           d->traits.local_bytes >= 2 * DEPTH * (4 * GROUP + 1) * sizeof(float);
}

int tl__gemm_gpu_suits(const tl_device *d, const tl_gemm *g)
{
    (void)d;
    return g->k >= 8 && g->m * g->n >= 256;
}

/* Larger squares read less, but only large products give every unit enough of them. */
static int micro(const tl_device *d, const tl_gemm *g)
{
    int64_t side = 8 * GROUP, groups = ((g->m + side - 1) / side) * ((g->n + side - 1) / side) * g->batch;
    int fits = d->traits.local_bytes >= 2 * DEPTH * (8 * GROUP + 1) * sizeof(float);
    return fits && g->m >= side && g->n >= side && groups >= 4 * d->traits.compute_units ? 8 : 4;
}

int tl__gemm_gpu(tl_error *err, tl_device *d, const tl_gemm *g, const char *label)
{
    int each = micro(d, g);
    int64_t side = each * GROUP;
    tl_gemm_args args;
    tl__gemm_fill(&args, g);
    tl_launch l = {.program = &program, .options = each == 8 ? "-DMICRO=8" : "-DMICRO=4", .kernel = "gemm_gpu", .dims = 3,
                   .global = {(size_t)((g->n + side - 1) / side * GROUP), (size_t)((g->m + side - 1) / side * GROUP), (size_t)g->batch},
                   .local = {GROUP, GROUP, 1}};
    return TL__LAUNCH(err, d, &l, label, TL_KDATA(&args), TL__GEMM_OPERANDS(g));
}
