#include "cpu/transpose.clh"
/* conv_narrow.cl - convolution of volumes with few channels on CPU devices, where vectors of channels would be mostly
 * empty: the lanes are neighbouring pixels of a row. A group lays the input rows that it needs into local memory as
 * planes, one a channel, so that each kernel position is an unaligned load away, and keeps the sums of OT channels and
 * WT vectors of pixels in registers. KW: the kernel's width.
 *
 * A group has rows[0] x rows[1] rows of tw pixels. Where there is a dilation its rows are those that share their
 * inputs, `apart` from each other. */

/* src/op/conv_narrow.c has the same struct. Along depth and height: how many rows a group has, how far apart they are,
 * how many input rows they need, and how many groups there are. */
typedef struct narrow_args {
    conv_args g;
    long rows[2], apart[2], slots[2], groups[2];
    long tw, sub, line;      /* pixels of a row; floats of a plane's phase, and of a plane */
    long parts;              /* of OT channels */
} narrow_args;

/* Weights become (part, kd, kh, channel, kw, OT), zeros for channels behind the last. Work-item: one element. */
__kernel void narrow_weights(const narrow_args a, G const float *restrict W, long w0, G float *restrict P BOUND)
{
    INSIDE;
    conv_args g = a.g;
    long at = get_global_id(0), o = at % OT, kw = at / OT % g.extent[2], c = at / OT / g.extent[2] % g.ci;
    long row = at / OT / g.extent[2] / g.ci, rows = g.extent[0] * g.extent[1], out = row / rows * OT + o;
    long tap = row % rows * g.extent[2] + kw;
    P[at] = out < g.co ? W[w0 + out * g.w_out + tap * g.w_tap + c * g.w_in] : 0.0f;
}

/* Where a group works: its first output row along depth and height, its picture, and its first pixel; and how far into
 * a plane each position of the kernel's width begins. */
typedef struct place { long n, first[2], w, width, shift[KW]; } place;

/* Not as a value: what inlining notes of a struct that is returned, Oclgrind does not know. */
INLINE void find_place(place *p, const narrow_args *a)
{
    p->n = get_group_id(2) / a->groups[0];
    p->w = get_group_id(0) * a->tw;
    long at[2] = {get_group_id(2) % a->groups[0], get_group_id(1)};
    for (int i = 0; i < 2; i++) p->first[i] = at[i] % a->apart[i] + at[i] / a->apart[i] * a->rows[i] * a->apart[i];
    p->width = min(a->tw, a->g.out[2] - p->w);
    UNROLL for (int kw = 0; kw < KW; kw++) {
        long t = kw * a->g.dilation[2];
        p->shift[kw] = t % a->g.stride[2] * a->sub + t / a->g.stride[2];
    }
}

/* Output row i, j of the group, as a row of all; -1 where it is behind the last. */
INLINE long row_out(const narrow_args *a, const place *p, long i, long j)
{
    long d = p->first[0] + i * a->apart[0], h = p->first[1] + j * a->apart[1];
    return d < a->g.out[0] && h < a->g.out[1] ? (p->n * a->g.out[0] + d) * a->g.out[1] + h : -1;
}

/* Input row `slot` along one axis; -1 where there is none. */
INLINE long row_in(const narrow_args *a, const place *p, int axis, long slot)
{
    long x = p->first[axis] * a->g.stride[axis] - a->g.padding[axis] + slot * a->g.dilation[axis];
    return x >= 0 && x < a->g.in[axis] ? x : -1;
}

/* Where the input row of kernel position kd, kh for output row i, j lies among the planes; -1 where there is none. */
INLINE long slot_of(const narrow_args *a, const place *p, long i, long j, long kd, long kh)
{
    long d = i * a->g.stride[0] + kd, h = j * a->g.stride[1] + kh;
    return row_in(a, p, 0, d) < 0 || row_in(a, p, 1, h) < 0 ? -1 : (d * a->slots[1] + h) * a->g.ci * a->line;
}

/* All input rows: planes (slot of depth, slot of height, channel, line). */
INLINE void put_rows_in(__local float *planes, const narrow_args *a, const place *p, G const float *X, long floats)
{
    const conv_args *g = &a->g;
    for (long i = 0; i < a->slots[0]; i++)
        for (long j = 0; j < a->slots[1]; j++) {
            long d = row_in(a, p, 0, i), h = row_in(a, p, 1, j), row = (p->n * g->in[0] + d) * g->in[1] + h;
            if (d < 0 || h < 0) continue;
            put_planes(planes + (i * a->slots[1] + j) * g->ci * a->line, a->line, X + row * g->in[2] * g->ci,
                       X + floats, p->w * g->stride[2] - g->padding[2], g->in[2], g->ci, g->stride[2], a->sub);
        }
}

#define EACH_SUM UNROLL for (int o = 0; o < OT; o++) UNROLL for (int x = 0; x < WT; x++)

/* The sums of one part of channels for WT vectors of pixels from w on of output row i, j: to `out`, where a residual
 * waits if there is one. */
INLINE void sum_row(const narrow_args *a, const place *p, long i, long j, long part, long w,
                    __local const float *planes, G const float *weights, G const float *bias, __local float *out)
{
    const conv_args *g = &a->g;
    vf s[OT][WT];
    EACH_SUM s[o][x] = (vf)(g->bias && part * OT + o < g->co ? bias[part * OT + o] : 0.0f);
    if (g->residual) EACH_SUM s[o][x] += VLOAD(x, out + o * a->tw);
    for (long kd = 0; kd < g->extent[0]; kd++)
        for (long kh = 0; kh < g->extent[1]; kh++) {
            long slot = slot_of(a, p, i, j, kd, kh);
            if (slot < 0) continue;
            __local const float *in = planes + slot + w;
            G const float *b = weights + ((part * g->extent[0] + kd) * g->extent[1] + kh) * g->ci * KW * OT;
            _Pragma("nounroll") for (long c = 0; c < g->ci; c++, in += a->line)
                UNROLL for (int kw = 0; kw < KW; kw++, b += OT) {
                    vf v[WT];
                    UNROLL for (int x = 0; x < WT; x++) v[x] = VLOAD(x, in + p->shift[kw]);
                    UNROLL for (int o = 0; o < OT; o++) {
                        vf m = (vf)(b[o]);
                        UNROLL for (int x = 0; x < WT; x++) s[o][x] = fma(m, v[x], s[o][x]);
                    }
                }
        }
    if (g->activation == ACT_NONE) EACH_SUM VSTORE(s[o][x], x, out + o * a->tw);
    else UNROLL for (int o = 0; o < OT; o++) for (int x = 0; x < WT; x++)
        VSTORE(activate(s[o][x], g->activation), x, out + o * a->tw);
}

/* Group (part of a row, height, picture and depth). */
ONE_ITEM void conv_narrow(const narrow_args a, G const float *restrict X, long x0, long floats,
                          G const float *restrict P, G const float *restrict B, long b0, G const float *restrict R,
                          long r0, G float *restrict Y, long y0, __local float *restrict planes,
                          __local float *restrict out)
{
    place p;
    find_place(&p, &a);
    put_rows_in(planes, &a, &p, X + x0, floats);
    for (long i = 0; i < a.rows[0]; i++)
        for (long j = 0; j < a.rows[1]; j++) {
            long row = row_out(&a, &p, i, j), at = (row * a.g.out[2] + p.w) * a.g.co;
            if (row < 0) continue;
            if (a.g.residual) {
                G const float *r = R + r0 + at;
                put_planes(out, a.tw, r, r + p.width * a.g.co, 0, p.width, a.g.co, 1, a.tw);
            }
            for (long part = 0; part < a.parts; part++)
                for (long w = 0; w < p.width; w += WT * TL_VECTOR)
                    sum_row(&a, &p, i, j, part, w, planes, P, B + b0, out + part * OT * a.tw + w);
            join_planes(Y + y0 + at, out, a.tw, p.width, a.g.co);
        }
}

/* ---- the gradient towards the weights ---- */

/* The gradients of all output rows as planes: (row of depth, channel, row of height, tw). */
INLINE void put_gradients(__local float *grads, const narrow_args *a, const place *p, G const float *GY)
{
    long co = a->g.co, wide = a->g.out[2] * co, plane = a->rows[1] * a->tw;
    G const float *end = GY + a->g.n * a->g.out[0] * a->g.out[1] * wide;
    for (long i = 0; i < a->rows[0]; i++)
        for (long j = 0; j < a->rows[1]; j++) {
            long row = row_out(a, p, i, j);
            if (row < 0) continue;
            put_planes(grads + i * co * plane + j * a->tw, plane, GY + row * wide, end, p->w, a->g.out[2], co, 1,
                       a->tw);
        }
}

/* A group's share of dw[o, k] = sum over output pixels of gy[pixel, o] x[pixel + k]: P (group, part, kd, kh, channel,
 * kw, OT). Sums of OT channels and KW positions stay in registers over all pixels of the group, each lane with its
 * own. */
ONE_ITEM void narrow_weight(const narrow_args a, G const float *restrict GY, long gy0, G const float *restrict X,
                            long x0, long floats, G float *restrict P, __local float *restrict planes,
                            __local float *restrict grads)
{
    place p;
    find_place(&p, &a);
    long ci = a.g.ci, kernel_rows = a.g.extent[0] * a.g.extent[1], plane = a.rows[1] * a.tw;
    long group = (get_group_id(2) * get_num_groups(1) + get_group_id(1)) * get_num_groups(0) + get_group_id(0);
    put_rows_in(planes, &a, &p, X + x0, floats);
    put_gradients(grads, &a, &p, GY + gy0);
    P += group * a.parts * kernel_rows * ci * KW * OT;
    for (long k = 0; k < a.parts * kernel_rows * ci; k++, P += KW * OT) {
        long part = k / ci / kernel_rows, kd = k / ci / a.g.extent[1] % a.g.extent[0], kh = k / ci % a.g.extent[1];
        vf s[OT][KW];
        long from[OT];
        UNROLL for (int o = 0; o < OT; o++) from[o] = min(part * OT + o, a.g.co - 1) * plane;
        UNROLL for (int o = 0; o < OT; o++) UNROLL for (int x = 0; x < KW; x++) s[o][x] = (vf)0.0f;
        for (long i = 0; i < a.rows[0]; i++)
            for (long j = 0; j < a.rows[1]; j++) {
                long slot = slot_of(&a, &p, i, j, kd, kh);
                if (slot < 0 || row_out(&a, &p, i, j) < 0) continue;
                __local const float *y = grads + i * a.g.co * plane + j * a.tw, *in = planes + slot + k % ci * a.line;
                _Pragma("nounroll") for (long w = 0; w < p.width; w += TL_VECTOR) {
                    vf v[KW];
                    UNROLL for (int x = 0; x < KW; x++) v[x] = VLOAD(0, in + w + p.shift[x]);
                    UNROLL for (int o = 0; o < OT; o++) {
                        vf m = VLOAD(0, y + from[o] + w);
                        UNROLL for (int x = 0; x < KW; x++) s[o][x] = fma(m, v[x], s[o][x]);
                    }
                }
            }
        UNROLL for (int x = 0; x < KW; x++) for (int o = 0; o < OT; o++) P[x * OT + o] = sum_of_lanes(s[o][x]);
    }
}

/* dw (O, I, taps) = the groups' shares added up in their order. Work-item: one element of dw. */
__kernel void narrow_weight_sum(const narrow_args a, G const float *restrict P, G float *restrict W, long groups BOUND)
{
    INSIDE;
    long kernel_rows = a.g.extent[0] * a.g.extent[1], taps = kernel_rows * KW, size = a.parts * taps * a.g.ci * OT;
    long at = get_global_id(0), tap = at % taps, c = at / taps % a.g.ci, o = at / taps / a.g.ci;
    G const float *p = P + (((o / OT * kernel_rows + tap / KW) * a.g.ci + c) * KW + tap % KW) * OT + o % OT;
    float s = 0.0f;
    for (long i = 0; i < groups; i++) s += p[i * size];
    W[at] = s;
}
