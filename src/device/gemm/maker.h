/* maker.h - what the makers of the matrix product share. */
#ifndef TLUA_GEMM_MAKER_H
#define TLUA_GEMM_MAKER_H

#include "device/gemm/gemm.h"

/* The problem as kernels see it, passed by value; cl/gemm.clh has the same struct. */
typedef struct tl_gemm_args {
    int64_t m, n, k;
    int64_t a_at, a_row, a_col, a_batch;
    int64_t b_at, b_row, b_col, b_batch;
    int64_t c_at, c_row, c_batch;
    int64_t r_at, r_row, r_batch;   /* residual */
    int64_t bias_at, bias_batch;
    float alpha;
    int32_t accumulate, bias, residual, activation;
    int32_t stream;                 /* c is larger than the caches and lies on whole vectors: write past them */
} tl_gemm_args;

void tl__gemm_fill(tl_gemm_args *args, const tl_gemm *g);

/* A way to compute the product: `needs` says whether it can, `suits` whether it should where it can and nothing was
 * measured. Kernels that are compiled for a tile are a maker for each tile; all three find it in the problem. */
typedef struct tl_gemm_maker {
    const char *name;
    tl_gemm_tile tile;      /* {0, 0}: the maker has none to choose */
    int (*needs)(tl_device *d, const tl_gemm *g);
    int (*suits)(tl_device *d, const tl_gemm *g);
    int (*run)(tl_error *err, tl_device *d, const tl_gemm *g, const char *label);
} tl_gemm_maker;

/* Ends with a row without a name. The order is that of preference. */
const tl_gemm_maker *tl__gemm_makers(void);
/* The row of that name, or NULL. */
const tl_gemm_maker *tl__gemm_maker_named(const char *name);
/* Which row tl__gemm takes: what TLUA_GEMM forces, else what was measured for the class, else what is shipped. */
const tl_gemm_maker *tl__gemm_choose(tl_device *d, const tl_gemm *g);
const tl_gemm_maker *tl__gemm_shipped(tl_device *d, const tl_gemm *g);
/* Whether a maker can, and having it done by it. */
int tl__gemm_can(tl_device *d, const tl_gemm_maker *m, const tl_gemm *g);
int tl__gemm_run(tl_error *err, tl_device *d, const tl_gemm_maker *m, const tl_gemm *g, const char *label);

#define TL__GEMM_OPERANDS(g) TL_KBUF((g)->a.buffer), TL_KBUF((g)->b.buffer), TL_KBUF((g)->c.buffer), TL_KBUF((g)->bias), TL_KBUF((g)->residual.buffer)

#define TL__GEMM_MAKER(name)                                                  \
    int tl__gemm_##name##_needs(tl_device *d, const tl_gemm *g);              \
    int tl__gemm_##name##_suits(tl_device *d, const tl_gemm *g);        \
    int tl__gemm_##name(tl_error *err, tl_device *d, const tl_gemm *g, const char *label);
TL__GEMM_MAKER(clblast)
TL__GEMM_MAKER(gpu)
TL__GEMM_MAKER(dots)
TL__GEMM_MAKER(strips)
TL__GEMM_MAKER(cpu)
#undef TL__GEMM_MAKER
/* The tile that tl__gemm_gpu should take; no rows: it should not, or cannot. */
tl_gemm_tile tl__gemm_gpu_tile(tl_device *d, const tl_gemm *g);
/* Whether a group of this device has room for any of its tiles. */
int tl__gemm_gpu_has_room(const tl_device *d);
int tl__gemm_plain(tl_error *err, tl_device *d, const tl_gemm *g, const char *label);

#endif
