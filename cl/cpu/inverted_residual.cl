#include "cpu/conv_pack.clh"
/* inverted_residual.cl - three convolutions in one on CPU devices: any that fills a wide middle, a depthwise one, and a 1x1
 * that makes few channels of it, plus a residual. The middle is many times larger than what goes in and comes out, and stays
 * in the cache: a group makes `band` rows of a picture's outputs, with NR channels of the middle at a time.
 *
 *     E (row, column, NR)                 a block of the middle as the depthwise kernel sees it, with padding
 *     D (panel of MR pixels, V, MR, V)    the block behind it, as the product wants it (conv_tile.clh)
 *     A (pixel, wide)                     sums of outputs, which grow with every block
 *
 * KH, KW and STRIDE of the depthwise convolution come from the host. */

/* src/op/inverted_residual.c has the same struct. */
typedef struct residual_args {
    long out_h, out_w, pad_h, pad_w;   /* of the depthwise convolution */
    long band, bands;                  /* rows of a group, groups of a picture */
    long width;                        /* of a row of E, in pixels */
    long co, wide;                     /* channels out, and those rounded up to whole vectors */
    int expand_bias, middle_bias, bias, residual;
    int expand_activation, middle_activation, activation, unused;
} residual_args;

/* Where the bounds of an activation lie; ReLU and ReLU6 only. */
INLINE vf lower(int activation) { return (vf)(activation == ACT_NONE ? -INFINITY : 0.0f); }
INLINE vf upper(int activation) { return (vf)(activation == ACT_RELU6 ? 6.0f : INFINITY); }
INLINE vf clamped(vf v, vf low, vf high)
{
    v = v < low ? low : v;
    return v > high ? high : v;
}

/* Rows of E from `high` on, and columns beside the picture, are padding. `top`: E's first row in the picture. */
INLINE void clear_padding(__local float *E, const conv_args *g, const residual_args *a, long top, long h0, long h1, long high)
{
    long row = a->width * NR;
    for (long r = 0; r < high; r++) {
        __local float *e = E + r * row;
        if (r + top < h0 || r + top >= h1) clear_floats(e, row);
        else {
            clear_floats(e, a->pad_w * NR);
            clear_floats(e + (a->pad_w + g->out[2]) * NR, (a->width - a->pad_w - g->out[2]) * NR);
        }
    }
}

/* ROWS pixels of the middle from p on, channels c on, into E: from its pixel `e` in column `w` of the picture on. */
#define EXPAND(ROWS, COLS)                                                                       \
    {                                                                                            \
        vf s[ROWS][COLS];                                                                        \
        __local const float *x = panels + p * g.k;                                               \
        G const float *b = P1 + c * g.k;                                                         \
        PRODUCT(s, x, b, depth, ROWS, COLS, b, 0)                                                \
        if (a.expand_bias) UNROLL for (int y = 0; y < ROWS; y++) UNROLL for (int i = 0; i < COLS; i++) s[y][i] += VLOAD(i, B1 + c); \
        const vf low = lower(a.expand_activation), high = upper(a.expand_activation);            \
        UNROLL for (int y = 0; y < ROWS; y++)                                                    \
            if (p + y < count) {                                                                 \
                UNROLL for (int i = 0; i < COLS; i++) VSTORE(clamped(s[y][i], low, high), i, e); \
                e += NR;                                                                         \
                if (++w == g.out[2]) {                                                           \
                    w = 0;                                                                       \
                    e += (a.width - g.out[2]) * NR;                                              \
                }                                                                                \
            }                                                                                    \
    }

/* One vector of the depthwise convolution, channels c on: from E (at its vector) to D (at its vector). */
INLINE void depthwise_block(__local const float *E, __local float *D, G const float *W, G const float *B, const residual_args *a, long channels, long c, long rows)
{
    vf w[KH * KW], start = a->middle_bias ? VLOAD(0, B + c) : (vf)0.0f;
    const vf low = lower(a->middle_activation), high = upper(a->middle_activation);
    int at = 0;
    UNROLL for (int t = 0; t < KH * KW; t++) w[t] = VLOAD(0, W + t * channels + c);
    for (long r = 0; r < rows; r++) {
        __local const float *e = E + r * STRIDE * a->width * NR;
        for (long v = 0; v < a->out_w; v++, e += STRIDE * NR) {
            vf s = start;
            UNROLL for (int i = 0; i < KH; i++) UNROLL for (int j = 0; j < KW; j++) s = fma(w[i * KW + j], VLOAD(0, e + (i * a->width + j) * NR), s);
            VSTORE(clamped(s, low, high), 0, D + at * TL_VECTOR);
            if (++at == MR) {
                at = 0;
                D += MR * NR;
            }
        }
    }
}

/* A += D times the projection's rows c to c + n, for ROWS pixels from p on and COLS vectors of columns from j on. */
#define PROJECT(ROWS, COLS)                                                                                              \
    {                                                                                                                    \
        vf s[ROWS][COLS];                                                                                                \
        __local const float *d = D + p * NR;                                                                             \
        __local float *to = A + p * a.wide + j;                                                                          \
        G const float *b = P3 + j / NR * NR * g.co + c * NR + j % NR;                                                    \
        UNROLL for (int y = 0; y < ROWS; y++) UNROLL for (int i = 0; i < COLS; i++) s[y][i] = VLOAD(i, to + y * a.wide); \
        ADD_PRODUCT(s, d, b, n, ROWS, COLS, b, 0)                                                                        \
        UNROLL for (int y = 0; y < ROWS; y++) UNROLL for (int i = 0; i < COLS; i++) VSTORE(s[y][i], i, to + y * a.wide); \
        j += COLS * TL_VECTOR;                                                                                           \
    }

/* Outputs in the order of memory: whole vectors, of which later pixels overwrite what is too much, up to the group's end.
 * `bias` has a whole row. */
INLINE void finish_sums(__local const float *A, __local const float *bias, G const float *R, G float *Y, const residual_args *a, long pixels)
{
    const vf low = lower(a->activation), high = upper(a->activation);
    for (long p = 0; p < pixels; p++, A += a->wide, R += a->co, Y += a->co)
        for (long j = 0; j < a->co; j += TL_VECTOR) {
            int n = (pixels - p) * a->co - j >= TL_VECTOR ? TL_VECTOR : (int)min((long)TL_VECTOR, a->co - j);
            vf v = VLOAD(0, A + j) + VLOAD(0, bias + j);
            if (a->residual) v += load_part(R + j, n);
            store_part(clamped(v, low, high), Y + j, n);
        }
}

/* Group (picture and band). P1 and P3: panels of weights as conv_direct.cl packs them; W2 (KH, KW, channels). */
ONE_ITEM void inverted_residual(const conv_args g, const residual_args a, G const float *restrict X, long x0, G const float *restrict P1, G const float *restrict B1,
                                long b1, G const float *restrict W2, long w2, G const float *restrict B2, long b2, G const float *restrict P3,
                                G const float *restrict B3, long b3, G const float *restrict R, long r0, G float *restrict Y, long y0,
                                __local float *restrict panels, __local float *restrict lines, __local float *restrict E, __local float *restrict D,
                                __local float *restrict A, __local float *restrict bias)
{
    long picture = get_group_id(0) / a.bands, first = get_group_id(0) % a.bands * a.band, rows = min(a.band, a.out_h - first), pixels = rows * a.out_w;
    long top = first * STRIDE - a.pad_h, high = (rows - 1) * STRIDE + KH, h0 = max(top, 0L), h1 = min(top + high, g.out[1]);
    long count = (h1 - h0) * g.out[2], depth = g.extent[1] * g.extent[2] * g.ci, out = ((picture * a.out_h + first) * a.out_w) * a.co;
    B1 += b1;
    pack_panels(panels, lines, X + x0, &g, (picture * g.out[1] + h0) * g.out[2], (int)count);
    clear_padding(E, &g, &a, top, h0, h1, high);
    if (pixels % MR) clear_floats(D + pixels / MR * MR * NR, MR * NR);
    clear_floats(A, (pixels + MR - 1) / MR * MR * a.wide);
    clear_floats(bias, a.wide);
    if (a.bias) copy_floats(bias, B3 + b3, a.co);
    for (long c = 0; c < g.co; c += NR) {
        long n = min((long)NR, g.co - c), w = 0;
        __local float *e = E + ((h0 - top) * a.width + a.pad_w) * NR;
        for (long p = 0; p < count; p += MR)
            if (n <= NR - TL_VECTOR) EXPAND(MR, 1)
            else if (count - p <= HALF) EXPAND(HALF, JN)
            else EXPAND(MR, JN)
        for (long v = 0; v < n; v += TL_VECTOR) depthwise_block(E + v, D + v * MR, W2 + w2, B2 + b2, &a, g.co, c + v, rows);
        for (long p = 0; p < pixels; p += MR)
            for (long j = 0; j < a.wide;)
                if (a.wide - j <= NR - TL_VECTOR) PROJECT(MR, 1)
                else if (pixels - p <= HALF) PROJECT(HALF, JN)
                else PROJECT(MR, JN)
    }
    finish_sums(A, bias, R + r0 + out, Y + y0 + out, &a, pixels);
}
