/* plain.c - the maker that takes anything: any strides, any device, no packing and no local memory. */
#include "device/gemm/maker.h"

static const tl_program program = {"gemm_plain", NULL};

enum { ROWS = 4 };  /* rows of c per work-item, as in cl/gemm_plain.cl */

int tl__gemm_plain(tl_error *err, tl_device *d, const tl_gemm *g, const char *label)
{
    int64_t v = d->traits.vector_width;
    tl_gemm_args args;
    tl__gemm_fill(&args, g);
    tl_launch l = {.program = &program, .kernel = "gemm_plain", .dims = 3,
                   .global = {(size_t)((g->n + v - 1) / v), (size_t)((g->m + ROWS - 1) / ROWS), (size_t)g->batch}};
    return TL__LAUNCH(err, d, &l, label, TL_KDATA(&args), TL__GEMM_OPERANDS(g));
}
