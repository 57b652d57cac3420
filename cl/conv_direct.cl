#include "conv_gather.clh"
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

/* One row of a panel whose channels fill whole vectors: each kernel position is copied as it lies. */
INLINE void pack_whole(__local float *t, G const float *picture, const conv_args *g, long d0, long h0, long w0)
{
    for (long kd = 0; kd < g->extent[0]; kd++)
        for (long kh = 0; kh < g->extent[1]; kh++)
            for (long kw = 0; kw < g->extent[2]; kw++) {
                long d = d0 + kd * g->dilation[0], h = h0 + kh * g->dilation[1], w = w0 + kw * g->dilation[2];
                int inside = d >= 0 && d < g->in[0] && h >= 0 && h < g->in[1] && w >= 0 && w < g->in[2];
                G const float *x = picture + ((d * g->in[1] + h) * g->in[2] + w) * g->x_pixel;
                if (inside)
                    for (long c = 0; c < g->ci; c += TL_VECTOR, t += MR * TL_VECTOR) VSTORE(VLOAD(0, x + c), 0, t);
                else
                    for (long c = 0; c < g->ci; c += TL_VECTOR, t += MR * TL_VECTOR) VSTORE((vf)0.0f, 0, t);
            }
}

/* The panels of output pixels p0 to p0 + count, rows behind them zero. Ragged rows wait in `lines` until their panel is
 * whole: a vector read back at once would wait for the two stores that it straddles. */
INLINE void pack_panels(__local float *panels, __local float *lines, G const float *X, const conv_args *g, long p0, int count)
{
    pixel x = pixel_at(g, p0);
    long picture = g->in[0] * g->in[1] * g->in[2] * g->x_pixel;
    int whole = g->ci % TL_VECTOR == 0;
    for (int p = 0; p < count; p += MR, panels += MR * g->k) {
        for (int r = 0; r < MR; r++) {
            __local float *t = panels + r * TL_VECTOR, *line = lines + r * g->k;
            if (p + r >= count) {
                for (long k = 0; k < g->k; k += TL_VECTOR, t += MR * TL_VECTOR) VSTORE((vf)0.0f, 0, whole ? t : line + k);
                continue;
            }
            long d0 = x.od * g->stride[0] - g->padding[0], h0 = x.oh * g->stride[1] - g->padding[1], w0 = x.ow * g->stride[2] - g->padding[2];
            if (whole) pack_whole(t, X + x.n * picture, g, d0, h0, w0);
            else gather_ragged(line, X + x.n * picture, g, d0, h0, w0);
            next_pixel(g, &x);
        }
        __local float *t = panels;
        for (long k = 0; !whole && k < g->k; k += TL_VECTOR)
            for (int r = 0; r < MR; r++, t += TL_VECTOR) VSTORE(VLOAD(0, lines + r * g->k + k), 0, t);
    }
}

/* The end of a tile that waits in `t`: an edge, or an activation too long to be repeated for each register. */
INLINE void finish_rows(const conv_args *g, __local const float *t, G const float *b, G const float *r, G float *y, int rows, int cols)
{
    for (int i = 0; i < rows; i++, r += g->y_pixel, y += g->y_pixel)
        for (int x = 0; x < cols; x += TL_VECTOR) {
            int n = cols - x;
            vf v = VLOAD(0, t + i * NR + x);
            if (g->bias) v += load_part(b + x, n);
            if (g->residual) v += load_part(r + x, n);
            store_part(activate(v, g->activation), y + x, n);
        }
}

/* One tile: `rows` pixels from p on by `cols` channels (at most COLS vectors) from j on. */
#define TILE(COLS)                                                                                                       \
    {                                                                                                                    \
        vf s[MR][COLS];                                                                                                  \
        G float *y = Y + p * g.y_pixel + j;                                                                              \
        G const float *r = R + p * g.y_pixel + j;                                                                        \
        if (g.residual) for (int i = 0; i < rows; i++) for (int x = 0; x < COLS; x++) PREFETCH(r + i * g.y_pixel + x * TL_VECTOR); \
        PRODUCT(s, a, b, steps, COLS, next, g.ahead)                                                                     \
        if (smooth || rows < MR || cols < COLS * TL_VECTOR) {                                                            \
            UNROLL for (int i = 0; i < MR; i++) UNROLL for (int x = 0; x < COLS; x++) VSTORE(s[i][x], x, spare + i * NR); \
            finish_rows(&g, spare, B + j, r, y, rows, cols);                                                             \
        } else {                                                                                                         \
            if (g.bias) UNROLL for (int i = 0; i < MR; i++) UNROLL for (int x = 0; x < COLS; x++) s[i][x] += VLOAD(x, B + j); \
            if (g.residual) UNROLL for (int i = 0; i < MR; i++) UNROLL for (int x = 0; x < COLS; x++) s[i][x] += VLOAD(x, r + i * g.y_pixel); \
            UNROLL for (int i = 0; i < MR; i++) UNROLL for (int x = 0; x < COLS; x++) {                                  \
                s[i][x] = s[i][x] < low ? low : s[i][x];                                                                 \
                s[i][x] = s[i][x] > high ? high : s[i][x];                                                               \
            }                                                                                                            \
            if (g.stream) UNROLL for (int i = 0; i < MR; i++) UNROLL for (int x = 0; x < COLS; x++) STREAM(s[i][x], y + i * g.y_pixel + x * TL_VECTOR); \
            else UNROLL for (int i = 0; i < MR; i++) UNROLL for (int x = 0; x < COLS; x++) VSTORE(s[i][x], x, y + i * g.y_pixel); \
        }                                                                                                                \
    }

/* Group (x, y, z): channels from x * nb on, output pixels from y * mb on, group of channels z. */
ONE_ITEM void conv_direct(const conv_args g, G const float *restrict X, long x0, G const float *restrict P, G const float *restrict B, long b0,
                          G const float *restrict R, long r0, G float *restrict Y, long y0, __local float *restrict panels,
                          __local float *restrict lines, __local float *restrict spare)
{
    long group = get_group_id(2), p0 = get_group_id(1) * g.mb, j0 = get_group_id(0) * g.nb, steps = g.k / TL_VECTOR;
    long pixels = g.n * g.out[0] * g.out[1] * g.out[2], p1 = min(p0 + g.mb, pixels), j1 = min(j0 + g.nb, g.co);
    int smooth = g.activation == ACT_SILU || g.activation == ACT_GELU;
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
            if (wide) TILE(JN) else TILE(1)
        }
        j += cols;
    }
}
