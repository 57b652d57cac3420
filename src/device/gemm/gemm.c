/* gemm.c - choosing a maker for a matrix product. */
#include "device/gemm/maker.h"

#include <stdlib.h>
#include <string.h>

void tl__gemm_fill(tl_gemm_args *x, const tl_gemm *g)
{
    *x = (tl_gemm_args){
        .m = g->m, .n = g->n, .k = g->k,
        .a_at = g->a.offset, .a_row = g->a.row, .a_col = g->a.col, .a_batch = g->a.batch,
        .b_at = g->b.offset, .b_row = g->b.row, .b_col = g->b.col, .b_batch = g->b.batch,
        .c_at = g->c.offset, .c_row = g->c.row, .c_batch = g->c.batch,
        .r_at = g->residual.offset, .r_row = g->residual.row, .r_batch = g->residual.batch,
        .bias_at = g->bias_offset, .alpha = g->alpha, .accumulate = g->accumulate != 0,
        .bias = g->bias != NULL, .residual = g->residual.buffer != NULL, .activation = (int32_t)g->activation,
    };
}

static int any(tl_device *d, const tl_gemm *g)
{
    (void)d;
    (void)g;
    return 1;
}

static int always(const tl_device *d, const tl_gemm *g)
{
    (void)d;
    (void)g;
    return 1;
}

static const tl_gemm_maker makers[] = {
    {"clblast", tl__gemm_clblast_needs, tl__gemm_clblast_suits, tl__gemm_clblast},
    {"gpu", tl__gemm_gpu_needs, tl__gemm_gpu_suits, tl__gemm_gpu},
    {"dots", tl__gemm_dots_needs, tl__gemm_dots_suits, tl__gemm_dots},
    {"strips", tl__gemm_strips_needs, tl__gemm_strips_suits, tl__gemm_strips},
    {"cpu", tl__gemm_cpu_needs, tl__gemm_cpu_suits, tl__gemm_cpu},
    {"plain", any, always, tl__gemm_plain},
    {NULL, NULL, NULL, NULL},
};

const tl_gemm_maker *tl__gemm_makers(void) { return makers; }

const tl_gemm_maker *tl__gemm_choose(tl_device *d, const tl_gemm *g)
{
    const char *forced = getenv("TLUA_GEMM");
    int own = forced && strcmp(forced, "own") == 0, clblast = forced && strcmp(forced, "clblast") == 0;
    const tl_gemm_maker *m = makers;
    if (clblast && m->needs(d, g)) return m;
    /* What suits is asked first: it is cheap, and asking CLBlast what it can do would load it. */
    if (own) m++;
    while (!m->suits(d, g) || !m->needs(d, g)) m++;
    return m;
}

int tl__gemm(tl_error *err, tl_device *d, const tl_gemm *g, const char *label)
{
    if (g->m <= 0 || g->n <= 0 || g->batch <= 0) return 0;
    if (g->patches) return tl__gemm_cpu(err, d, g, label);
    return tl__gemm_choose(d, g)->run(err, d, g, label);
}
