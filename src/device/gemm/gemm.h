/* gemm.h - the matrix product, one door with several makers behind it.
 *
 *     c = activation(alpha * a b + bias + residual + (accumulate ? c : 0))
 *
 * a (m, k), b (k, n), c (m, n), and `batch` of each. A transposed operand is one with its strides
 * exchanged. The same problem on the same device with the same table of choices (device/gemm/tuning.h) always takes
 * the same maker and gives the same bits. */
#ifndef TLUA_GEMM_H
#define TLUA_GEMM_H

#include "device/device.h"

/* TL_ACT_NONE and so on. */
typedef enum tl_act {
#define ACT(NUMBER, name) TL_ACT_##NUMBER,
#include "../../../cl/activations.clh"
} tl_act;
/* The gradient of these needs what went into them; that of the others is read off the result. */
static inline int tl__act_needs_input(tl_act act) { return act > TL_ACT_RELU6; }

/* A matrix inside a buffer of float32. Strides in elements; a batch stride of 0 repeats one matrix. */
typedef struct tl_matrix {
    tl_buffer *buffer;
    int64_t offset, row, col, batch;
} tl_matrix;

/* Pictures seen as the matrix that a convolution multiplies: row = output pixel (n, d, h, w), column = (kernel position
 * d, h, w; channel). Elements outside the picture are zero. Nothing of it is stored: makers gather it as they pack.
 * Pictures are channels-last with `pixel` elements from one pixel to the next (more than `channels` in a group). */
typedef struct tl_patches {
    int64_t in[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
    int64_t channels, pixel;
} tl_patches;

/* Where rows of c lie that are output pixels of patches and belong to a larger picture: pixel i of an axis is pixel
 * first + stride i there, of `size`. */
typedef struct tl_spread {
    int64_t size[3], stride[3], first[3];
} tl_spread;

/* The piece of c that stays in registers (CPU) or that a group makes (GPU). */
typedef struct tl_gemm_tile { int rows, columns; } tl_gemm_tile;

typedef struct tl_gemm {
    int64_t m, n, k, batch;
    tl_matrix a, b;
    tl_matrix c;             /* its column stride is 1 */
    float alpha;
    int accumulate;          /* adds to what c holds */
    tl_buffer *bias;         /* one number per column of c, from bias_offset on; NULL: none */
    int64_t bias_offset,
        bias_batch;          /* bias_batch: from one matrix's to the next one's; not 0 only where tl__gemm_gathers */
    tl_matrix residual;      /* added; buffer NULL: none. Its column stride is 1. It may not overlap c: that is `accumulate` */
    tl_act activation;
    const tl_patches *patches; /* a is these instead, from a's buffer and offset on; see tl__gemm_takes_patches */
    int gathers_b;             /* b is the patches instead; see tl__gemm_gathers */
    const tl_spread *spread;   /* NULL: row i of c is row i. Only with patches for a, where tl__gemm_gathers */
    tl_dtype b_type;         /* b is float16 or bfloat16 instead of float32; see tl__gemm_takes_half */
    int constant_b;          /* b is weights that seldom change: what is packed of it is kept beside its buffer */
    tl_gemm_tile tile;       /* not the caller's: tl__gemm_run sets it to the maker's */
} tl_gemm;

/* Enqueues the product; `label` names the operator in errors. Nothing happens when m, n or batch is 0;
 * k = 0 is a sum of nothing. Returns 0 or -1. */
int tl__gemm(tl_error *err, tl_device *d, const tl_gemm *g, const char *label);

/* Called once when a device is opened: where CLBlast will be used it compiles now, so that no step waits for it. (Where
 * a tuned table names it, it compiles with the first product that takes it.) */
void tl__gemm_prepare(tl_device *d);

/* Whether tl__gemm gathers patches on this device; elsewhere the caller lays them out (op/conv). */
int tl__gemm_takes_patches(const tl_device *d);

/* The same of this product on GPUs, whose maker gathers patches for either operand, batches of them (groups of
 * channels), and spreads c. */
int tl__gemm_gathers(tl_device *d, const tl_gemm *g);

/* Whether the maker that this product takes reads a b of halves as it packs; elsewhere the caller converts it. */
int tl__gemm_takes_half(tl_device *d, const tl_gemm *g);

/* The register tile of the maker that large products take on this device, for tests that walk its edges. */
void tl__gemm_tile(const tl_device *d, int *rows, int *columns);

#endif
