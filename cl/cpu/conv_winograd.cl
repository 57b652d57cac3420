#include "winograd.clh"
/* conv_winograd.cl - 3x3 convolution of stride 1 by Winograd's F(4x4, 3x3) (Lavin and Gray 2015): a tile of 6 x 6 inputs d
 * and a kernel g give 4 x 4 outputs A' [(G g G') * (B' d B)] A, where * is a product for each of 36 points, so that over
 * channels there are 36 matrix products in place of 9 * 16 / 4 as many. Vectors run over channels.
 *
 * A kernel of three dimensions is a sum over its slices kd: their inputs' transforms lie one behind the other, so that the products are as deep
 * as kd times the channels, and each slice of the outputs is a picture of tiles.
 *
 * Panels at each point: activations as in conv_tile.clh with tiles for pixels, weights (channels out / NR, point, depth, NR).
 * Where one point's activations of a few tiles fit local memory everything happens in one group (`winograd`); else
 * in three launches through global memory. */

/* src/op/conv_winograd.c has the same struct. */
typedef struct winograd_args {
    long n, in_h, in_w, out_h, out_w, pad_h, pad_w;
    long in_d, out_d, pad_d, slices, gap; /* slices of the kernel and their distance */
    long tiles_h, tiles_w, tiles;      /* of a slice, and of all */
    long ci, co, depth;                /* depth: slices times ci */
    long tb, nb;                       /* tiles and channels of a group */
    long v_point, m_point;             /* floats from one point to the next: activations, products */
    long w_out, w_tap, w_in;
    int bias, residual, activation, stream, ahead_x, ahead_w;
} winograd_args;

/* ---- weights ---- */

/* U = G g G' for every pair of channels, in panels; zeros for channels behind the last. Work-item (panel, slice and input
 * channel).
 * The first panel's also clear a pixel of zeros behind U, which stands for inputs outside the picture. */
__kernel void winograd_weights(const winograd_args g, G const float *restrict W, long w0, G float *restrict U)
{
    long j = get_global_id(0) * NR, k = get_global_id(1), c = k % g.ci, first = k / g.ci * 9, panels = (g.co + NR - 1) / NR;
    if (j == 0) U[panels * 36 * g.depth * NR + c] = 0.0f;
    for (int x = 0; x < NR; x += TL_VECTOR) {
        vf w[9], u[18], o[36];
        UNROLL for (int t = 0; t < 9; t++) {
            float lane[TL_VECTOR];
            for (int i = 0; i < TL_VECTOR; i++) lane[i] = j + x + i < g.co ? W[w0 + (j + x + i) * g.w_out + (first + t) * g.w_tap + c * g.w_in] : 0.0f;
            w[t] = VLOAD(0, lane);
        }
        UNROLL for (int i = 0; i < 3; i++) weights_1d(w[i], w[3 + i], w[6 + i], u + i, 3);
        UNROLL for (int i = 0; i < 6; i++) weights_1d(u[3 * i], u[3 * i + 1], u[3 * i + 2], o + 6 * i, 1);
        UNROLL for (int p = 0; p < 36; p++) VSTORE(o[p], 0, U + ((j / NR * 36 + p) * g.depth + k) * NR + x);
    }
}

/* ---- inputs and outputs ---- */

/* Where the 36 pixels of a tile lie in the inputs' slice for the kernel's slice k; those outside the picture are `zeros`. */
INLINE void find_pixels(const winograd_args *g, G const float *X, G const float *zeros, long tile, long k, G const float **at)
{
    long tw = tile % g->tiles_w, th = tile / g->tiles_w % g->tiles_h, slice = tile / (g->tiles_w * g->tiles_h);
    long d = slice % g->out_d - g->pad_d + k * g->gap, n = slice / g->out_d * g->in_d + d;
    int there = d >= 0 && d < g->in_d;
    UNROLL for (int i = 0; i < 6; i++) UNROLL for (int j = 0; j < 6; j++) {
        long h = th * 4 - g->pad_h + i, w = tw * 4 - g->pad_w + j;
        at[i * 6 + j] = there && h >= 0 && h < g->in_h && w >= 0 && w < g->in_w ? X + ((n * g->in_h + h) * g->in_w + w) * g->ci : zeros;
    }
}

/* B' d B of one tile and one vector of channels at c. */
INLINE void transform_input(G const float *const *at, long c, vf *v)
{
    vf u[36];
    UNROLL for (int j = 0; j < 6; j++) input_1d(VLOAD(0, at[j] + c), VLOAD(0, at[6 + j] + c), VLOAD(0, at[12 + j] + c), VLOAD(0, at[18 + j] + c),
                                                VLOAD(0, at[24 + j] + c), VLOAD(0, at[30 + j] + c), u + j, 6);
    UNROLL for (int i = 0; i < 6; i++) input_1d(u[i * 6], u[i * 6 + 1], u[i * 6 + 2], u[i * 6 + 3], u[i * 6 + 4], u[i * 6 + 5], v + i * 6, 1);
}

/* A' m A of one tile, channels co on; then bias, residual and activation. */
INLINE void transform_output(const winograd_args *g, const vf *m, G const float *B, G const float *R, G float *Y, long tile, long co)
{
    long tw = tile % g->tiles_w, th = tile / g->tiles_w % g->tiles_h, n = tile / (g->tiles_w * g->tiles_h);
    vf u[24], o[16], add = g->bias ? VLOAD(0, B + co) : (vf)0.0f;
    const vf low = (vf)(g->activation == ACT_RELU || g->activation == ACT_RELU6 ? 0.0f : -INFINITY);
    const vf high = (vf)(g->activation == ACT_RELU6 ? 6.0f : INFINITY);
    UNROLL for (int j = 0; j < 6; j++) output_1d(m[j], m[6 + j], m[12 + j], m[18 + j], m[24 + j], m[30 + j], u + j, 6);
    UNROLL for (int i = 0; i < 4; i++) output_1d(u[i * 6], u[i * 6 + 1], u[i * 6 + 2], u[i * 6 + 3], u[i * 6 + 4], u[i * 6 + 5], o + i * 4, 1);
    int smooth = g->activation > ACT_RELU6;
    UNROLL for (int i = 0; i < 4; i++) UNROLL for (int j = 0; j < 4; j++) {
        long h = th * 4 + i, w = tw * 4 + j, to = ((n * g->out_h + h) * g->out_w + w) * g->co + co;
        if (h < g->out_h && w < g->out_w) {
            vf v = o[i * 4 + j] + add;
            if (g->residual) v += VLOAD(0, R + to);
            v = v < low ? low : v;
            v = v > high ? high : v;
            if (g->stream) STREAM(v, Y + to);
            else VSTORE(v, 0, Y + to);
        }
    }
    /* Too long to be repeated for each of the sixteen. */
    for (int i = 0; smooth && i < 4 && th * 4 + i < g->out_h; i++) {
        vf v[BESIDE];
        G float *y = Y + ((n * g->out_h + th * 4 + i) * g->out_w + tw * 4) * g->co + co;
        int cols = (int)min(4L, g->out_w - tw * 4);
        if (cols == 4) {
            EACH(4, v[q] = VLOAD(0, y + q * g->co))
            activate_all(v, g->activation, 4);
            EACH(4, VSTORE(v[q], 0, y + q * g->co))
        } else
            for (int j = 0; j < cols; j++) VSTORE(activate(VLOAD(0, y + j * g->co), g->activation), 0, y + j * g->co);
    }
}

/* ---- in one group ---- */

/* The products of a panel of tiles by COLS vectors of channels. */
#define PANELS(COLS)                                                                      \
    vf s[MR][COLS];                                                                       \
    if (g.ahead_w) { PRODUCT(s, a, b, g.depth, MR, COLS, next_w, g.ahead_w) }             \
    else { PRODUCT(s, a, b, g.depth, MR, COLS, next_x, g.ahead_x) }                       \
    UNROLL for (int y = 0; y < MR; y++) UNROLL for (int x = 0; x < COLS; x++) VSTORE(s[y][x], x, m + y * NR);

/* Group (x, y): channels from x * nb on, tiles from y * tb on. V (36, panels of the depth), M (36, tb, NR). */
ONE_ITEM void winograd(const winograd_args g, G const float *restrict X, long x0, G const float *restrict U, G const float *restrict B, long b0,
                       G const float *restrict R, long r0, G float *restrict Y, long y0, __local float *restrict V, __local float *restrict M)
{
    long t0 = get_group_id(1) * g.tb, j0 = get_group_id(0) * g.nb, t1 = min(t0 + g.tb, g.tiles), j1 = min(j0 + g.nb, g.co);
    long rows = (t1 - t0 + MR - 1) / MR * MR;
    G const float *zeros = U + (g.co + NR - 1) / NR * 36 * g.depth * NR;
    X += x0;
    for (long t = 0; t < rows; t++) {
        G const float *at[36];
        __local float *to = V + t / MR * MR * g.depth + t % MR * TL_VECTOR;
        for (long k = 0; k < g.slices; k++) {
            find_pixels(&g, X, zeros, min(t0 + t, t1 - 1), k, at);
            for (long c = 0; c < g.ci; c += TL_VECTOR, to += MR * TL_VECTOR) {
                vf v[36];
                transform_input(at, c, v);
                UNROLL for (int p = 0; p < 36; p++) VSTORE(v[p], 0, to + p * g.v_point);
            }
        }
    }
    /* The pictures' rows where the next tiles begin; of a volume the slice that was not there before. */
    long per = g.tiles_w * g.tiles_h, slice = t1 / per, d = slice % g.out_d - g.pad_d + (g.slices - 1) * g.gap;
    G const float *next_x = X + ((slice / g.out_d * g.in_d + d) * g.in_h + t1 % per / g.tiles_w * 4) * g.in_w * g.ci;
    for (long j = j0; j < j1; j += NR) {
        for (int p = 0; p < 36; p++) {
            G const float *panel = U + (j / NR * 36 + p) * g.depth * NR, *next_w = panel + g.depth * NR;
            for (long t = 0; t < rows; t += MR) {
                G const float *b = panel;
                __local const float *a = V + p * g.v_point + t * g.depth;
                __local float *m = M + p * g.m_point + t * NR;
                if (j1 - j <= TL_VECTOR) { /* the last panel is half empty */
                    PANELS(1)
                } else {
                    PANELS(JN)
                }
            }
        }
        for (long t = t0; t < t1; t++)
            for (long x = 0; x < NR && j + x < j1; x += TL_VECTOR) {
                vf m[36];
                UNROLL for (int p = 0; p < 36; p++) m[p] = VLOAD(0, M + p * g.m_point + (t - t0) * NR + x);
                transform_output(&g, m, B + b0, R + r0, Y + y0, t, j + x);
            }
    }
}

/* ---- in three launches, where the weights are too many for every group to read them all ---- */

/* The products of ROWS tiles. */
#define TILES(ROWS)                                                                                                  \
    {                                                                                                                \
        vf s[ROWS][JN];                                                                                              \
        PRODUCT(s, a, b, g.depth, ROWS, JN, next, g.ahead_w)                                                          \
        UNROLL for (int y = 0; y < ROWS; y++) UNROLL for (int x = 0; x < JN; x++) VSTORE(s[y][x], x, m + y * width); \
    }


/* Work-item (panel of tiles): V (36, panels of the depth) in global memory. */
ONE_ITEM void winograd_in(const winograd_args g, G const float *restrict X, long x0, G const float *restrict U, G float *restrict V)
{
    long panel = get_group_id(0);
    G const float *zeros = U + (g.co + NR - 1) / NR * 36 * g.depth * NR;
    for (int r = 0; r < MR; r++) {
        G const float *at[36];
        G float *to = V + panel * MR * g.depth + r * TL_VECTOR;
        for (long k = 0; k < g.slices; k++) {
            find_pixels(&g, X + x0, zeros, min(panel * MR + r, g.tiles - 1), k, at);
            for (long c = 0; c < g.ci; c += TL_VECTOR, to += MR * TL_VECTOR) {
                vf v[36];
                transform_input(at, c, v);
                UNROLL for (int p = 0; p < 36; p++) VSTORE(v[p], 0, to + p * g.v_point);
            }
        }
    }
}

/* Group (x, point): channels from x * nb on, all tiles. M (36, tiles in whole panels, co in whole panels). */
ONE_ITEM void winograd_product(const winograd_args g, G const float *restrict V, G const float *restrict U, G float *restrict M)
{
    long p = get_group_id(1), j0 = get_group_id(0) * g.nb, j1 = min(j0 + g.nb, g.co), width = (g.co + NR - 1) / NR * NR;
    for (long j = j0; j < j1; j += NR) {
        G const float *panel = U + (j / NR * 36 + p) * g.depth * NR, *next = panel + 36 * g.depth * NR;
        for (long t = 0; t < g.tiles; t += MR) {
            G const float *b = panel, *a = V + p * g.v_point + t * g.depth;
            G float *m = M + p * g.m_point + t * width + j;
            if (g.tiles - t > HALF) TILES(MR) else TILES(HALF)
        }
    }
}

/* Work-item (tile). */
ONE_ITEM void winograd_out(const winograd_args g, G const float *restrict M, G const float *restrict B, long b0, G const float *restrict R, long r0,
                           G float *restrict Y, long y0)
{
    long t = get_group_id(0), width = (g.co + NR - 1) / NR * NR;
    for (long j = 0; j < g.co; j += TL_VECTOR) {
        vf m[36];
        UNROLL for (int p = 0; p < 36; p++) m[p] = VLOAD(0, M + p * g.m_point + t * width + j);
        transform_output(&g, m, B + b0, R + r0, Y + y0, t, j);
    }
}
