/* gemm.c - choosing a maker for a matrix product. */
#include "device/gemm/maker.h"
#include "device/gemm/tuning.h"

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
        .bias_at = g->bias_offset, .bias_batch = g->bias_batch, .alpha = g->alpha, .accumulate = g->accumulate != 0,
        .bias = g->bias != NULL, .residual = g->residual.buffer != NULL, .activation = (int32_t)g->activation,
    };
}

static int any(tl_device *d, const tl_gemm *g)
{
    (void)d;
    return !g->patches || g->k == 0; /* which nobody else takes */
}

static int always(tl_device *d, const tl_gemm *g)
{
    (void)d;
    (void)g;
    return 1;
}

#define MAKER(f) tl__gemm_##f##_needs, tl__gemm_##f##_suits, tl__gemm_##f
static const tl_gemm_maker makers[] = {
    {"gpu-128x128", {128, 128}, MAKER(gpu)}, {"gpu-128x64", {128, 64}, MAKER(gpu)},
    {"gpu-64x128", {64, 128}, MAKER(gpu)}, {"gpu-64x64", {64, 64}, MAKER(gpu)},
    {"gpu-128x32", {128, 32}, MAKER(gpu)}, {"gpu-32x128", {32, 128}, MAKER(gpu)},
    {"gpu-64x32", {64, 32}, MAKER(gpu)}, {"gpu-32x64", {32, 64}, MAKER(gpu)},
    {"gpu-128x16", {128, 16}, MAKER(gpu)}, {"gpu-16x128", {16, 128}, MAKER(gpu)},
    {"gpu-32x32", {32, 32}, MAKER(gpu)},
    {"clblast", {0, 0}, MAKER(clblast)},
    {"dots", {0, 0}, MAKER(dots)},
    {"strips", {0, 0}, MAKER(strips)},
    {"cpu-6x64", {6, 64}, MAKER(cpu)}, {"cpu-14x32", {14, 32}, MAKER(cpu)}, {"cpu-12x32", {12, 32}, MAKER(cpu)}, {"cpu-14x16", {14, 16}, MAKER(cpu)},
    {"cpu-6x16", {6, 16}, MAKER(cpu)}, {"cpu-12x8", {12, 8}, MAKER(cpu)}, {"cpu-6x8", {6, 8}, MAKER(cpu)}, {"cpu-12x4", {12, 4}, MAKER(cpu)},
    {"plain", {0, 0}, any, always, tl__gemm_plain},
    {0},
};

const tl_gemm_maker *tl__gemm_makers(void) { return makers; }

const tl_gemm_maker *tl__gemm_maker_named(const char *name)
{
    const tl_gemm_maker *m = makers;
    while (m->name && strcmp(m->name, name) != 0) m++;
    return m->name ? m : NULL;
}

static tl_gemm with_tile(const tl_gemm_maker *m, const tl_gemm *g)
{
    tl_gemm own = *g;
    own.tile = m->tile;
    return own;
}

int tl__gemm_can(tl_device *d, const tl_gemm_maker *m, const tl_gemm *g)
{
    tl_gemm own = with_tile(m, g);
    return m->needs(d, &own);
}

int tl__gemm_run(tl_error *err, tl_device *d, const tl_gemm_maker *m, const tl_gemm *g, const char *label)
{
    tl_gemm own = with_tile(m, g);
    return m->run(err, d, &own, label);
}

/* What suits is asked first: it is cheap, and asking CLBlast what it can do would load it. The tiles for GPUs are
 * weighed against each other, so once for all of them. */
static const tl_gemm_maker *first_that_suits(tl_device *d, const tl_gemm *g, int clblast)
{
    tl_gemm_tile best = {-1, -1};
    for (const tl_gemm_maker *m = makers;; m++) {
        tl_gemm own = with_tile(m, g);
        if (m->run == tl__gemm_clblast && !clblast) continue;
        if (m->run != tl__gemm_gpu) {
            if (m->suits(d, &own) && m->needs(d, &own)) return m;
            continue;
        }
        if (best.rows < 0) best = tl__gemm_gpu_tile(d, g);
        if (best.rows && best.rows == m->tile.rows && best.columns == m->tile.columns) return m;
    }
}

const tl_gemm_maker *tl__gemm_shipped(tl_device *d, const tl_gemm *g) { return first_that_suits(d, g, 1); }

const tl_gemm_maker *tl__gemm_choose(tl_device *d, const tl_gemm *g)
{
    const char *forced = getenv("TLUA_GEMM");
    const tl_gemm_maker *clblast = tl__gemm_maker_named("clblast");
    if (forced && strcmp(forced, "clblast") == 0 && tl__gemm_can(d, clblast, g)) return clblast;
    if (forced && strcmp(forced, "own") == 0) return first_that_suits(d, g, 0);
    const tl_gemm_maker *tuned = tl__tuning_find(d, g);
    return tuned && tl__gemm_can(d, tuned, g) ? tuned : tl__gemm_shipped(d, g);
}

int tl__gemm_takes_half(tl_device *d, const tl_gemm *g) { return tl__gemm_choose(d, g)->run == tl__gemm_cpu; }

int tl__gemm(tl_error *err, tl_device *d, const tl_gemm *g, const char *label)
{
    if (g->m <= 0 || g->n <= 0 || g->batch <= 0) return 0;
    if (d->traits.short_loops && g->k > 32768)
        return tl__fail(err, TL_EDEVICE, "%s: sums of %lld products come out wrong on %s, whose loops end early; choose another device (tlua devices)", label,
                        (long long)g->k, d->traits.name);
    return tl__gemm_run(err, d, tl__gemm_choose(d, g), g, label);
}
