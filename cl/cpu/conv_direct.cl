#include "cpu/conv_pack.clh"
/* conv_direct.cl - convolution on CPU devices. A group packs the inputs of `mb` output pixels into local memory, every
 * kernel position of every channel, and runs all panels of `nb` output channels against them: the whole sum of an
 * output stays in a register, and is finished with bias, residual and activation before it is written once. */

/* Weights become panels of NR columns, (group, panel, k, NR), k = (kernel position, channel), with zeros behind the ends.
 * Work-item (panel, part of k, group). */
__kernel void pack_weights(const conv_args g, G const float *restrict W, long w0, G float *restrict P, long length)
{
    long j = get_global_id(0) * NR, k0 = get_global_id(1) * length, group = get_global_id(2);
    long panels = (g.co + NR - 1) / NR, taps = g.extent[0] * g.extent[1] * g.extent[2], k1 = min(k0 + length, g.k);
    int cols = (int)min((long)NR, g.co - j);
    G const float *w = W + w0 + (group * g.co + j) * g.w_out;
    G float *p = P + (group * panels * NR + j) * g.k + k0 * NR;
    for (long k = k0; k < k1; k++, p += NR) {
        long tap = k / g.ci, c = k - tap * g.ci;
        for (int x = 0; x < NR; x++) p[x] = tap < taps && x < cols ? w[x * g.w_out + tap * g.w_tap + c * g.w_in] : 0.0f;
    }
}

/* n vectors of a row from the tile in `t` on, finished. */
#define FINISH(n)                                                                                               \
    {                                                                                                           \
        vf v[BESIDE];                                                                                           \
        EACH(n, v[q] = VLOAD(q, t + i * NR + x))                                                                \
        if (g->bias) EACH(n, v[q] += VLOAD(q, b + x))                                                           \
        if (g->residual) EACH(n, v[q] += VLOAD(q, r + x))                                                       \
        activate_all(v, g->activation, n);                                                                      \
        EACH(n, VSTORE(v[q], q, y + x))                                                                         \
    }

/* The end of a tile that waits in `t`: an edge, or an activation too long to be repeated for each register. */
INLINE void finish_rows(const conv_args *g, __local const float *t, G const float *b, G const float *r, G float *y, int rows, int cols)
{
    int i = 0;
    if (JN == 2 && cols == NR && !g->residual)
        for (; i + 2 <= rows; i += 2, r += 2 * g->y_pixel, y += 2 * g->y_pixel) { /* two rows lie behind each other */
            vf v[BESIDE];
            EACH(4, v[q] = VLOAD(q, t + i * NR))
            if (g->bias) EACH(4, v[q] += VLOAD(q % 2, b))
            activate_all(v, g->activation, 4);
            EACH(4, VSTORE(v[q], q % 2, y + q / 2 * g->y_pixel))
        }
    for (; i < rows; i++, r += g->y_pixel, y += g->y_pixel) {
        int x = 0;
        for (; x + 2 * TL_VECTOR <= cols; x += 2 * TL_VECTOR) FINISH(2)
        for (; x + TL_VECTOR <= cols; x += TL_VECTOR) FINISH(1)
        if (x < cols) {
            int n = cols - x;
            vf v = VLOAD(0, t + i * NR + x);
            if (g->bias) v += load_part(b + x, n);
            if (g->residual) v += load_part(r + x, n);
            store_part(activate(v, g->activation), y + x, n);
        }
    }
}

/* How far ahead the first tile of a panel of weights asks for them, in floats: the machine's own guess ends with each page. */
enum { EARLY = 8 * NR * TL_VECTOR };

/* One tile: `rows` pixels from p on by `cols` channels (at most ROWS by COLS vectors) from j on. */
#define TILE(ROWS, COLS)                                                                                                    \
    {                                                                                                                       \
        vf s[ROWS][COLS];                                                                                                   \
        G float *y = Y + p * g.y_pixel + j;                                                                                 \
        G const float *r = R + p * g.y_pixel + j;                                                                           \
        if (g.residual) for (int i = 0; i < rows; i++) for (int x = 0; x < COLS; x++) PREFETCH(r + i * g.y_pixel + x * TL_VECTOR); \
        G const float *soon = p == p0 ? b + EARLY : next;                                                                   \
        PRODUCT(s, a, b, depth, ROWS, COLS, soon, p == p0 ? NR : g.ahead)                                                   \
        if (p != p0) next = soon;                                                                                           \
        if (smooth || rows < ROWS || cols < COLS * TL_VECTOR) {                                                             \
            UNROLL for (int i = 0; i < ROWS; i++) UNROLL for (int x = 0; x < COLS; x++) VSTORE(s[i][x], x, spare + i * NR); \
            finish_rows(&g, spare, B + j, r, y, rows, cols);                                                                \
        } else {                                                                                                            \
            if (g.bias) UNROLL for (int i = 0; i < ROWS; i++) UNROLL for (int x = 0; x < COLS; x++) s[i][x] += VLOAD(x, B + j); \
            if (g.residual) UNROLL for (int i = 0; i < ROWS; i++) UNROLL for (int x = 0; x < COLS; x++) s[i][x] += VLOAD(x, r + i * g.y_pixel); \
            UNROLL for (int i = 0; i < ROWS; i++) UNROLL for (int x = 0; x < COLS; x++) {                                   \
                s[i][x] = s[i][x] < low ? low : s[i][x];                                                                    \
                s[i][x] = s[i][x] > high ? high : s[i][x];                                                                  \
            }                                                                                                               \
            if (g.stream) UNROLL for (int i = 0; i < ROWS; i++) UNROLL for (int x = 0; x < COLS; x++) STREAM(s[i][x], y + i * g.y_pixel + x * TL_VECTOR); \
            else UNROLL for (int i = 0; i < ROWS; i++) UNROLL for (int x = 0; x < COLS; x++) VSTORE(s[i][x], x, y + i * g.y_pixel); \
        }                                                                                                                   \
    }

/* Group (x, y, z): channels from x * nb on, output pixels from y * mb on, group of channels z. */
ONE_ITEM void conv_direct(const conv_args g, G const float *restrict X, long x0, G const float *restrict P, G const float *restrict B, long b0,
                          G const float *restrict R, long r0, G float *restrict Y, long y0, __local float *restrict panels,
                          __local float *restrict lines, __local float *restrict spare)
{
    long group = get_group_id(2), p0 = get_group_id(1) * g.mb, j0 = get_group_id(0) * g.nb;
    long depth = g.extent[0] * g.extent[1] * g.extent[2] * g.ci;
    long pixels = g.n * g.out[0] * g.out[1] * g.out[2], p1 = min(p0 + g.mb, pixels), j1 = min(j0 + g.nb, g.co);
    int smooth = g.activation > ACT_RELU6;
    const vf low = (vf)(g.activation == ACT_RELU || g.activation == ACT_RELU6 ? 0.0f : -INFINITY);
    const vf high = (vf)(g.activation == ACT_RELU6 ? 6.0f : INFINITY);
    X += x0 + group * g.ci;
    P += group * ((g.co + NR - 1) / NR * NR) * g.k;
    B += b0 + group * g.co;
    R += r0 + group * g.co;
    Y += y0 + group * g.co;
    pack_panels(panels, lines, X, &g, p0, (int)(p1 - p0));
    /* What the next group along the pixels reads, fetched a little in every step of this one. */
    G const float *next = X + p1 * g.stride[0] * g.stride[1] * g.stride[2] * g.x_pixel;
    for (long j = j0; j < j1;) {
        /* Whole panels, then what is left of the last one vector by vector. */
        int cols = (int)min((long)NR, j1 - j), wide = cols > NR - TL_VECTOR;
        if (!wide) cols = min(cols, TL_VECTOR);
        for (long p = p0; p < p1; p += MR) {
            __local const float *a = panels + (p - p0) * g.k;
            G const float *b = P + j / NR * NR * g.k + j % NR;
            int rows = (int)min((long)MR, p1 - p);
            if (wide && rows <= HALF) TILE(HALF, JN)
            else if (wide) TILE(MR, JN)
            else TILE(MR, 1)
        }
        j += cols;
    }
}
