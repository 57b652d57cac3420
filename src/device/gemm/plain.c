/* plain.c - the makers without packing: for small products on CPU devices (cl/cpu/gemm_small.cl), and one that takes
 * any strides on any device (cl/gemm_plain.cl). */
#include "device/gemm/maker.h"

static const tl_program program = {"gemm_plain", NULL}, small_program = {"cpu/gemm_small", NULL};

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

int tl__gemm_dots_needs(tl_device *d, const tl_gemm *g)
{
    return d->traits.is_cpu && d->traits.vector_width > 1 && !g->patches && (g->a.col == 1 || g->k == 1) && (g->b.row == 1 || g->k == 1);
}

int tl__gemm_strips_needs(tl_device *d, const tl_gemm *g)
{
    return d->traits.is_cpu && d->traits.vector_width > 1 && !g->patches && (g->b.col == 1 || g->n == 1);
}

/* A single row, a head of few classes: b is read once and packing it would cost as much as the product. */
int tl__gemm_dots_suits(tl_device *d, const tl_gemm *g)
{
    return g->k >= 4 * d->traits.vector_width && (g->m <= 8 || g->n <= 16 || (g->m <= 16 && !g->constant_b));
}

int tl__gemm_strips_suits(tl_device *d, const tl_gemm *g)
{
    (void)d;
    return g->m <= 8 || (g->m <= 16 && !g->constant_b);
}

static int small(tl_error *err, tl_device *d, const tl_gemm *g, const char *kernel, int64_t rows, int64_t columns, const char *label)
{
    tl_gemm_args args;
    tl__gemm_fill(&args, g);
    tl_launch l = {.program = &small_program, .kernel = kernel, .dims = 3,
                   .global = {(size_t)((g->n + columns - 1) / columns), (size_t)((g->m + rows - 1) / rows), (size_t)g->batch}, .local = {1, 1, 1}};
    return TL__LAUNCH(err, d, &l, label, TL_KDATA(&args), TL__GEMM_OPERANDS(g));
}

int tl__gemm_dots(tl_error *err, tl_device *d, const tl_gemm *g, const char *label) { return small(err, d, g, "gemm_dots", 4, 4, label); }

int tl__gemm_strips(tl_error *err, tl_device *d, const tl_gemm *g, const char *label)
{
    return small(err, d, g, "gemm_strips", 8, 2 * d->traits.vector_width, label);
}
