#include "common.clh"
/* conv_depthwise.cl - each channel with a kernel of its own, KH x KW (given at build). Vectors run over channels, which are
 * adjacent in memory; weights are (KH, KW, C). Bound by memory, so each work-item makes a row of pixels and takes the
 * weights of its channels into registers once. */
typedef struct depthwise_args {
    long n, c, in_h, in_w, out_h, out_w;
    int stride_h, stride_w, pad_h, pad_w, dil_h, dil_w;
    int bias, residual, activation, unused;
} depthwise_args;

enum { ACT_NONE, ACT_RELU, ACT_RELU6, ACT_SILU, ACT_GELU };

inline vf activate(vf x, int activation)
{
    if (activation == ACT_RELU) return x < (vf)0.0f ? (vf)0.0f : x;
    if (activation == ACT_RELU6) return x < (vf)0.0f ? (vf)0.0f : (x > (vf)6.0f ? (vf)6.0f : x);
    if (activation == ACT_SILU) return x / ((vf)1.0f + exp(-x));
    if (activation == ACT_GELU) return (vf)0.5f * x * ((vf)1.0f + erf(x * (vf)0.70710678f));
    return x;
}

inline vf some(G const float *p, int n) { return n == TL_VECTOR ? VLOAD(0, p) : vldn(p, n); }
inline void put(vf v, G float *p, int n)
{
    if (n == TL_VECTOR) VSTORE(v, 0, p);
    else vstn(v, p, n);
}

/* y[n, oh, ow, c] = act(sum over kh, kw of x[n, oh s - p + kh d, ow s - p + kw d, c] w[kh, kw, c] + bias + residual).
 * Work-item (channel vector, n * out_h + oh). */
__kernel void depthwise(const depthwise_args a, G const float *restrict X, long x0, G const float *restrict W, long w0, G const float *restrict B, long b0,
                        G const float *restrict R, long r0, G float *restrict Y, long y0)
{
    long c = get_global_id(0) * TL_VECTOR, row = get_global_id(1), n = row / a.out_h, oh = row - n * a.out_h;
    int m = (int)min((long)TL_VECTOR, a.c - c);
    vf w[KH * KW];
    for (int k = 0; k < KH * KW; k++) w[k] = some(W + w0 + k * a.c + c, m);
    vf start = a.bias ? some(B + b0 + c, m) : (vf)0.0f;
    long h0 = oh * a.stride_h - a.pad_h;
    G const float *picture = X + x0 + n * a.in_h * a.in_w * a.c + c;
    long at = row * a.out_w * a.c + c;
    /* Output columns from `from` to `to` have their whole kernel inside. */
    long from = (a.pad_w + a.stride_w - 1) / a.stride_w, to = a.in_w + a.pad_w - (KW - 1) * a.dil_w - 1;
    to = to < 0 ? 0 : min(to / a.stride_w + 1, a.out_w);
    for (long ow = 0; ow < a.out_w; ow++, at += a.c) {
        long v0 = ow * a.stride_w - a.pad_w;
        vf s = start;
        for (int kh = 0; kh < KH; kh++) {
            long h = h0 + kh * a.dil_h;
            if (h < 0 || h >= a.in_h) continue;
            G const float *p = picture + (h * a.in_w + v0) * a.c;
            if (ow >= from && ow < to && m == TL_VECTOR) {
                UNROLL for (int kw = 0; kw < KW; kw++) s = fma(VLOAD(0, p + kw * a.dil_w * a.c), w[kh * KW + kw], s);
            } else
                for (int kw = 0; kw < KW; kw++) {
                    long v = v0 + kw * a.dil_w;
                    if (v >= 0 && v < a.in_w) s = fma(some(p + kw * a.dil_w * a.c, m), w[kh * KW + kw], s);
                }
        }
        if (a.residual) s += some(R + r0 + at, m);
        put(activate(s, a.activation), Y + y0 + at, m);
    }
}

/* dx[n, h, w, c] = sum over the outputs that saw it of gy w. Work-item (channel vector, n * in_h + h). */
__kernel void depthwise_dx(const depthwise_args a, G const float *restrict GY, long g0, G const float *restrict W, long w0, G float *restrict DX, long d0)
{
    long c = get_global_id(0) * TL_VECTOR, row = get_global_id(1), n = row / a.in_h, h = row - n * a.in_h;
    int m = (int)min((long)TL_VECTOR, a.c - c);
    vf w[KH * KW];
    for (int k = 0; k < KH * KW; k++) w[k] = some(W + w0 + k * a.c + c, m);
    G const float *gy = GY + g0 + n * a.out_h * a.out_w * a.c + c;
    G float *dx = DX + d0 + row * a.in_w * a.c + c;
    for (long v = 0; v < a.in_w; v++, dx += a.c) {
        vf s = (vf)0.0f;
        for (int kh = 0; kh < KH; kh++) {
            long ph = h + a.pad_h - kh * a.dil_h, oh = ph / a.stride_h;
            if (ph < 0 || ph - oh * a.stride_h != 0 || oh >= a.out_h) continue;
            for (int kw = 0; kw < KW; kw++) {
                long pw = v + a.pad_w - kw * a.dil_w, ow = pw / a.stride_w;
                if (pw < 0 || pw - ow * a.stride_w != 0 || ow >= a.out_w) continue;
                s = fma(some(gy + (oh * a.out_w + ow) * a.c, m), w[kh * KW + kw], s);
            }
        }
        put(s, dx, m);
    }
}

/* Partial sums of dw[kh, kw, c] = sum over n, oh, ow of gy x: part p takes `length` rows of outputs.
 * Work-item (channel vector, part); P is (parts, KH, KW, C). */
__kernel void depthwise_dw(const depthwise_args a, G const float *restrict GY, long g0, G const float *restrict X, long x0, G float *restrict P, long p0, long length)
{
    long c = get_global_id(0) * TL_VECTOR, part = get_global_id(1), rows = a.n * a.out_h;
    int m = (int)min((long)TL_VECTOR, a.c - c);
    vf s[KH * KW];
    for (int k = 0; k < KH * KW; k++) s[k] = (vf)0.0f;
    for (long row = part * length; row < min((part + 1) * length, rows); row++) {
        long n = row / a.out_h, h0 = (row - n * a.out_h) * a.stride_h - a.pad_h;
        G const float *picture = X + x0 + n * a.in_h * a.in_w * a.c + c;
        for (long ow = 0; ow < a.out_w; ow++) {
            vf g = some(GY + g0 + (row * a.out_w + ow) * a.c + c, m);
            long v0 = ow * a.stride_w - a.pad_w;
            UNROLL for (int kh = 0; kh < KH; kh++) {
                long h = h0 + kh * a.dil_h;
                if (h >= 0 && h < a.in_h) {
                    UNROLL for (int kw = 0; kw < KW; kw++) {
                        long v = v0 + kw * a.dil_w;
                        if (v >= 0 && v < a.in_w) s[kh * KW + kw] = fma(g, some(picture + (h * a.in_w + v) * a.c, m), s[kh * KW + kw]);
                    }
                }
            }
        }
    }
    for (int k = 0; k < KH * KW; k++) put(s[k], P + p0 + (part * KH * KW + k) * a.c + c, m);
}
