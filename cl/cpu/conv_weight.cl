#include "cpu/conv_gather.clh"
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

/* A column k = (kd, kh, kw, c): kernel position and channel. */
typedef struct column { long kd, kh, kw, c; } column;

INLINE column column_at(const conv_args *g, long k)
{
    long tap = k / g->ci;
    column x = {tap / g->extent[2] / g->extent[1], tap / g->extent[2] % g->extent[1], tap % g->extent[2], k - tap * g->ci};
    return x;
}

/* Pixel `at`'s patch, columns j0 = `from` to j0 + cols: vector x goes to panels + x / JN * kc * NR + x % JN * TL_VECTOR. */
INLINE void put_columns(__local float *to, __local float *line, G const float *picture, const conv_args *g, const pixel *at, column from, long j0, long cols, long kc)
{
    long d0 = at->od * g->stride[0] - g->padding[0], h0 = at->oh * g->stride[1] - g->padding[1], w0 = at->ow * g->stride[2] - g->padding[2];
    if (g->ci % TL_VECTOR) {
        gather_ragged(line, picture, g, d0, h0, w0);
        for (long j = 0; j < cols; j += TL_VECTOR) VSTORE(j0 + j < g->k ? VLOAD(0, line + j0 + j) : (vf)0.0f, 0, to + j / NR * kc * NR + j % NR);
        return;
    }
    /* A vector lies within one kernel position. */
    for (long j = 0; j < cols; from.c = 0) {
        long d = d0 + from.kd * g->dilation[0], h = h0 + from.kh * g->dilation[1], w = w0 + from.kw * g->dilation[2];
        int inside = from.kd < g->extent[0] && d >= 0 && d < g->in[0] && h >= 0 && h < g->in[1] && w >= 0 && w < g->in[2];
        G const float *x = picture + ((d * g->in[1] + h) * g->in[2] + w) * g->x_pixel;
        for (; from.c < g->ci && j < cols; from.c += TL_VECTOR, j += TL_VECTOR) {
            PREFETCH(x + from.c + AHEAD * g->stride[2] * g->x_pixel);
            VSTORE(inside ? VLOAD(0, x + from.c) : (vf)0.0f, 0, to + j / NR * kc * NR + j % NR);
        }
        if (++from.kw == g->extent[2]) {
            from.kw = 0;
            if (++from.kh == g->extent[1]) from.kh = 0, from.kd++;
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

/* While one block of pixels is computed, the next is asked for, `step` pixels with each tile: packing is bound by memory, tiles by
 * arithmetic. Of the inputs it is the row of the columns' last kernel position, the others have been there for rows above. */
typedef struct request { pixel at; long p, end, step, d, h, w, channels; } request;

INLINE request request_of(const conv_args *g, long j0, long cols)
{
    column last = column_at(g, min(j0 + cols, g->k) - 1);
    request e = {.d = last.kd * g->dilation[0] - g->padding[0], .h = last.kh * g->dilation[1] - g->padding[1],
                 .w = last.kw * g->dilation[2] - g->padding[2], .channels = min(cols, g->ci)};
    return e;
}

INLINE void ask_early(request *e, const conv_args *g, G const float *gy, long rows, G const float *x, long picture)
{
    enum { LINE = 16 };
    for (long stop = min(e->p + e->step, e->end); e->p < stop; e->p++, next_pixel(g, &e->at)) {
        long d = clamp(e->at.od * g->stride[0] + e->d, 0L, g->in[0] - 1), h = clamp(e->at.oh * g->stride[1] + e->h, 0L, g->in[1] - 1);
        long w = clamp(e->at.ow * g->stride[2] + e->w, 0L, g->in[2] - 1);
        G const float *row = gy + e->p * g->y_pixel, *in = x + e->at.n * picture + ((d * g->in[1] + h) * g->in[2] + w) * g->x_pixel;
        for (long c = 0; c < rows; c += LINE) PREFETCH(row + c);
        for (long c = 0; c < e->channels; c += LINE) PREFETCH(in + c);
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
    G const float *gy = GY + gy0 + group * g.co + o0, *x = X + x0 + group * g.ci;
    pixel at = pixel_at(&g, part * length);
    column from = column_at(&g, j0);
    request early = request_of(&g, j0, cols);
    for (long p = part * length; p < p1; p += kc) {
        long count = min(kc, p1 - p), first = p == part * length;
        for (long q = 0; q < count; q++, next_pixel(&g, &at)) {
            put_columns(B + q * NR, line, x + at.n * picture, &g, &at, from, j0, cols, kc);
            put_rows(A + q * MR, gy + (p + q) * g.y_pixel, rows, g.co - o0, kc);
        }
        early.at = at;
        early.p = p + count;
        early.end = min(early.p + kc, p1);
        early.step = kc * (MR * NR) / (rows * cols) + 1;
        for (long j = 0; j < cols; j += NR)
            for (long o = 0; o < rows; o += MR) {
                ask_early(&early, &g, gy, min(rows, g.co - o0), x + from.c, picture);
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
__kernel void conv_weight_sum(const conv_args g, G const float *restrict P, G float *restrict W, long parts BOUND)
{
    INSIDE;
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
