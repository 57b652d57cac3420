#include "conv_gather.clh"
/* conv_weight.cl - the gradient of a convolution towards its weights on CPU devices:
 *
 *     dw[o, k] = sum over output pixels p of gy[p, o] patch[p, k],   k = (kernel position, channel)
 *
 * a product whose long side is the pixels. They are taken in parts, each with sums of its own, and these are added up at
 * the end in a fixed order. A group packs `kc` pixels at a time of its output channels, (panel, pixel, MR), and of its
 * columns k, (panel, pixel, NR), and the tiles' sums wait in P between them: (group and part, rows, columns), both rounded up
 * to whole tiles, so that there are no edges. */

/* Neighbouring pixels lie too far apart for the machine to guess: they are asked for so many pixels early. */
enum { AHEAD = 8 };

/* Pixel p's patch, columns j0 to j0 + cols: vector x goes to panels + x / JN * kc * NR + x % JN * TL_VECTOR. */
INLINE void put_columns(__local float *to, __local float *line, G const float *picture, const conv_args *g, const pixel *at, long j0, long cols, long kc)
{
    long d0 = at->od * g->stride[0] - g->padding[0], h0 = at->oh * g->stride[1] - g->padding[1], w0 = at->ow * g->stride[2] - g->padding[2];
    if (g->ci % TL_VECTOR) {
        gather_ragged(line, picture, g, d0, h0, w0);
        for (long j = 0; j < cols; j += TL_VECTOR) VSTORE(j0 + j < g->k ? VLOAD(0, line + j0 + j) : (vf)0.0f, 0, to + j / NR * kc * NR + j % NR);
        return;
    }
    /* A vector lies within one kernel position. */
    long tap = j0 / g->ci, c = j0 - tap * g->ci;
    for (long j = 0; j < cols; tap++, c = 0) {
        long kw = tap % g->extent[2], kh = tap / g->extent[2] % g->extent[1], kd = tap / g->extent[2] / g->extent[1];
        long d = d0 + kd * g->dilation[0], h = h0 + kh * g->dilation[1], w = w0 + kw * g->dilation[2];
        int inside = kd < g->extent[0] && d >= 0 && d < g->in[0] && h >= 0 && h < g->in[1] && w >= 0 && w < g->in[2];
        G const float *x = picture + ((d * g->in[1] + h) * g->in[2] + w) * g->x_pixel;
        for (; c < g->ci && j < cols; c += TL_VECTOR, j += TL_VECTOR) {
            PREFETCH(x + c + AHEAD * g->stride[2] * g->x_pixel);
            VSTORE(inside ? VLOAD(0, x + c) : (vf)0.0f, 0, to + j / NR * kc * NR + j % NR);
        }
    }
}

/* Panels of gy have room for the whole vectors in which their last row is written. */
#define ROW_PANEL(kc) ((kc) * MR + TL_VECTOR)

/* Rows of gy at one pixel, MR to a panel; zeros behind the last channel. Whole vectors are written where the next pixel's
 * row will overwrite what is too much. */
INLINE void put_rows(__local float *to, G const float *gy, long rows, long left, long kc)
{
    for (long o = 0; o < rows; o += MR, to += ROW_PANEL(kc)) {
        if (left - o >= (MR + TL_VECTOR - 1) / TL_VECTOR * TL_VECTOR)
            UNROLL for (int y = 0; y < MR; y += TL_VECTOR) VSTORE(VLOAD(0, gy + o + y), 0, to + y);
        else
            for (int y = 0; y < MR; y++) to[y] = o + y < left ? gy[o + y] : 0.0f;
    }
}

/* Group (x, y, z): columns from x * nb on, rows (output channels) from y * mb on, z = (group of channels, part). */
ONE_ITEM void conv_weight(const conv_args g, G const float *restrict GY, long gy0, G const float *restrict X, long x0, G float *restrict P,
                          __local float *restrict A, __local float *restrict B, __local float *restrict line, long parts, long length, long kc)
{
    long part = get_group_id(2) % parts, group = get_group_id(2) / parts, j0 = get_group_id(0) * g.nb, o0 = get_group_id(1) * g.mb;
    long width = (g.k + NR - 1) / NR * NR, height = (g.co + MR - 1) / MR * MR, cols = min(g.nb, width - j0), rows = min(g.mb, height - o0);
    long pixels = g.n * g.out[0] * g.out[1] * g.out[2], p1 = min((part + 1) * length, pixels), picture = g.in[0] * g.in[1] * g.in[2] * g.x_pixel;
    G float *sums = P + (get_group_id(2) * height + o0) * width + j0;
    pixel at = pixel_at(&g, part * length);
    for (long p = part * length; p < p1; p += kc) {
        long count = min(kc, p1 - p), first = p == part * length;
        for (long q = 0; q < count; q++, next_pixel(&g, &at)) {
            put_columns(B + q * NR, line, X + x0 + at.n * picture + group * g.ci, &g, &at, j0, cols, kc);
            put_rows(A + q * MR, GY + gy0 + (p + q) * g.y_pixel + group * g.co + o0, rows, g.co - o0, kc);
        }
        for (long j = 0; j < cols; j += NR)
            for (long o = 0; o < rows; o += MR) {
                __local const float *a = A + o / MR * ROW_PANEL(kc), *b = B + j * kc;
                G float *to = sums + o * width + j;
                vf s[MR][JN];
                UNROLL for (int y = 0; y < MR; y++) UNROLL for (int x = 0; x < JN; x++) s[y][x] = first ? (vf)0.0f : VLOAD(x, to + y * width);
                _Pragma("nounroll") for (long q = 0; q < count; q++, a += MR, b += NR) {
                    vf bv[JN];
                    UNROLL for (int x = 0; x < JN; x++) bv[x] = VLOAD(x, b);
                    UNROLL for (int y = 0; y < MR; y++) {
                        vf av = (vf)(a[y]);
                        UNROLL for (int x = 0; x < JN; x++) s[y][x] = fma(av, bv[x], s[y][x]);
                    }
                }
                UNROLL for (int y = 0; y < MR; y++) UNROLL for (int x = 0; x < JN; x++) VSTORE(s[y][x], x, to + y * width);
            }
    }
}

/* dw (O, I, taps) = the parts' sums added up, k = (tap, i) turned around. Work-item: one output channel. */
__kernel void conv_weight_sum(const conv_args g, G const float *restrict P, G float *restrict W, long parts)
{
    long at = get_global_id(0), group = at / g.co, o = at - group * g.co, taps = g.extent[0] * g.extent[1] * g.extent[2];
    long width = (g.k + NR - 1) / NR * NR, height = (g.co + MR - 1) / MR * MR;
    G const float *p = P + (group * parts * height + o) * width;
    for (long tap = 0; tap < taps; tap++)
        for (long i = 0; i < g.ci; i++) {
            float s = 0.0f;
            for (long part = 0; part < parts; part++) s += p[part * height * width + tap * g.ci + i];
            W[(at * g.ci + i) * taps + tap] = s;
        }
}
