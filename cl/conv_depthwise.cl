#include "conv_tile.clh"
#include "depthwise.clh"
/* conv_depthwise.cl - each channel with a kernel of its own, KH x KW (given at build). Vectors run over channels, which are
 * adjacent in memory; weights are (KH, KW, C). Bound by memory on paper, by loads in practice. So on CPU devices a group
 * makes BLOCK neighbouring pixels of a row at once, each input serving all outputs that see it, and goes through the
 * channels innermost, in the order of memory. Elsewhere (`_plain`) a work-item makes a row of one vector of channels. */

#define CHANNELS                                                          \
    long c = get_global_id(0) * TL_VECTOR;                                \
    int m = (int)min((long)TL_VECTOR, a.c - c);

/* One output: channels c to c + m of the pixel whose window begins at row h, column v of `picture`. */
INLINE vf one_pixel(const depthwise_args *a, G const float *picture, G const float *W, vf s, long h0, long v0, long c, int m)
{
    LOOP for (int kh = 0; kh < KH; kh++)
        for (int kw = 0; kw < KW; kw++) {
            long h = h0 + kh * a->dil_h, v = v0 + kw * a->dil_w;
            if (h >= 0 && h < a->in_h && v >= 0 && v < a->in_w)
                s = fma(load_part(picture + (h * a->in_w + v) * a->c + c, m), load_part(W + (kh * KW + kw) * a->c + c, m), s);
        }
    return s;
}

/* y[n, oh, ow, c] = act(sum over kh, kw of x[n, oh s - p + kh d, ow s - p + kw d, c] w[kh, kw, c] + bias + residual).
 * Work-item (channel vector, n * out_h + oh). */
__kernel void depthwise_plain(const depthwise_args a, G const float *restrict X, long x0, G const float *restrict W, long w0, G const float *restrict B, long b0,
                              G const float *restrict R, long r0, G float *restrict Y, long y0 BOUND)
{
    INSIDE;
    CHANNELS
    long row = get_global_id(1), n = row / a.out_h, oh = row - n * a.out_h, at = row * a.out_w * a.c + c;
    vf start = a.bias ? load_part(B + b0 + c, m) : (vf)0.0f;
    G const float *picture = X + x0 + n * a.in_h * a.in_w * a.c;
    LOOP for (long ow = 0; ow < a.out_w; ow++, at += a.c) {
        vf s = one_pixel(&a, picture, W + w0, start, oh * a.stride_h - a.pad_h, ow * a.stride_w - a.pad_w, c, m);
        if (a.residual) s += load_part(R + r0 + at, m);
        store_part(activate(s, a.activation), Y + y0 + at, m);
    }
}

/* Partial sums of dw[kh, kw, c] = sum over n, oh, ow of gy x: part p takes `length` rows of outputs; P is (parts, KH, KW, C).
 * Work-item (channel vector, part). */
__kernel void depthwise_dw_plain(const depthwise_args a, G const float *restrict GY, long g0, G const float *restrict X, long x0, G float *restrict P, long p0,
                                 long length BOUND)
{
    INSIDE;
    CHANNELS
    long part = get_global_id(1), rows = a.n * a.out_h;
    for (int kh = 0; kh < KH; kh++)
        for (int kw = 0; kw < KW; kw++) {
            vf s = (vf)0.0f;
            for (long row = part * length; row < min((part + 1) * length, rows); row++) {
                long n = row / a.out_h, h = (row - n * a.out_h) * a.stride_h - a.pad_h + kh * a.dil_h;
                if (h < 0 || h >= a.in_h) continue;
                for (long ow = 0; ow < a.out_w; ow++) {
                    long v = ow * a.stride_w - a.pad_w + kw * a.dil_w;
                    if (v < 0 || v >= a.in_w) continue;
                    s = fma(load_part(GY + g0 + (row * a.out_w + ow) * a.c + c, m), load_part(X + x0 + ((n * a.in_h + h) * a.in_w + v) * a.c + c, m), s);
                }
            }
            store_part(s, P + p0 + ((part * KH + kh) * KW + kw) * a.c + c, m);
        }
}

/* dx[n, h, v, c] = sum over the outputs that saw it of gy w. Work-item (channel vector, n * in_h + h). */
__kernel void depthwise_dx_plain(const depthwise_args a, G const float *restrict GY, long g0, G const float *restrict W, long w0, G float *restrict DX, long d0 BOUND)
{
    INSIDE;
    CHANNELS
    long row = get_global_id(1), n = row / a.in_h, h = row - n * a.in_h;
    G float *dx = DX + d0 + row * a.in_w * a.c + c;
    LOOP for (long v = 0; v < a.in_w; v++, dx += a.c) {
        vf s = (vf)0.0f;
        for (int kh = 0; kh < KH; kh++) {
            long ph = h + a.pad_h - kh * a.dil_h, oh = ph / a.stride_h;
            if (ph < 0 || ph - oh * a.stride_h != 0 || oh >= a.out_h) continue;
            for (int kw = 0; kw < KW; kw++) {
                long pw = v + a.pad_w - kw * a.dil_w, ow = pw / a.stride_w;
                if (pw < 0 || pw - ow * a.stride_w != 0 || ow >= a.out_w) continue;
                s = fma(load_part(GY + g0 + ((n * a.out_h + oh) * a.out_w + ow) * a.c + c, m), load_part(W + w0 + (kh * KW + kw) * a.c + c, m), s);
            }
        }
        store_part(s, dx, m);
    }
}

#if TL_CPU
/* The same. Which outputs those are is the same for all channels, so they are listed first; GPUs would keep the lists in memory. Work-item
 * (part of the channels, n * in_h + h). */
__kernel void depthwise_dx(const depthwise_args a, G const float *restrict GY, long g0, G const float *restrict W, long w0, G float *restrict DX, long d0 BOUND)
{
    INSIDE;
    long c0 = get_global_id(0) * a.part, c1 = min(c0 + a.part, a.c), row = get_global_id(1), n = row / a.in_h, h = row - n * a.in_h;
    G float *dx = DX + d0 + row * a.in_w * a.c;
    for (long v = 0; v < a.in_w; v++, dx += a.c) {
        long gy_at[KH * KW], w_at[KH * KW];
        int count = 0;
        for (int kh = 0; kh < KH; kh++) {
            long ph = h + a.pad_h - kh * a.dil_h, oh = ph / a.stride_h;
            if (ph < 0 || ph - oh * a.stride_h != 0 || oh >= a.out_h) continue;
            for (int kw = 0; kw < KW; kw++) {
                long pw = v + a.pad_w - kw * a.dil_w, ow = pw / a.stride_w;
                if (pw < 0 || pw - ow * a.stride_w != 0 || ow >= a.out_w) continue;
                gy_at[count] = g0 + ((n * a.out_h + oh) * a.out_w + ow) * a.c;
                w_at[count++] = w0 + (kh * KW + kw) * a.c;
            }
        }
        for (long c = c0; c < c1; c += TL_VECTOR) {
            int m = (int)min((long)TL_VECTOR, c1 - c);
            vf s = (vf)0.0f;
            for (int t = 0; t < count; t++) s = fma(load_part(GY + gy_at[t] + c, m), load_part(W + w_at[t] + c, m), s);
            store_part(s, dx + c, m);
        }
    }
}
#endif

#ifdef BLOCK
/* ---- blocks of a row; SW is stride_w, dil_w is 1 ---- */
/* A long kernel is taken TAPS of its columns at a time, as many as have registers, and what is left of it at the end. */
#define TAPS (KW < 7 ? KW : 7)
#define REST (KW % TAPS)
#define COLUMNS ((BLOCK - 1) * SW + KW)

/* Column `i` of the inputs of `TAKEN` kernel columns meets output j through column i - j SW of those. */
#define EACH_MEETING(i, TAKEN, DO)                                                                 \
    UNROLL for (int k = 0; k < TAKEN; k++)                                                         \
        if ((i) >= k && ((i) - k) % SW == 0 && ((i) - k) / SW < BLOCK) DO(((i) - k) / SW, k)
#define ADD_OUTPUT(j, k) s[j] = fma(v, w[k], s[j]);
#define ADD_WEIGHT(j, k) s[k] = fma(v, g[j], s[k]);
#define EACH_COLUMN(CHECK, TAKEN, DO)                                                              \
    UNROLL for (int i = 0; i < (BLOCK - 1) * SW + TAKEN; i++)                                      \
        if (CHECK) {                                                                               \
            vf v = VLOAD(0, x + i * a.c);                                                          \
            EACH_MEETING(i, TAKEN, DO)                                                             \
        }
#define EACH_COLUMN_INSIDE(k0, TAKEN, DO)                                                          \
    if (inside) { EACH_COLUMN(1, TAKEN, DO) }                                                      \
    else { EACH_COLUMN(v0 + k0 + i >= 0 && v0 + k0 + i < a.in_w, TAKEN, DO) }

/* s += the products of TAKEN kernel columns from k0 on. */
#define ADD_OUTPUTS(k0, TAKEN)                                                                     \
    {                                                                                              \
        G const float *x = picture + (h * a.in_w + v0 + k0) * a.c + c;                             \
        vf w[TAPS];                                                                                \
        UNROLL for (int k = 0; k < TAKEN; k++) w[k] = VLOAD(0, W + w0 + (kh * KW + k0 + k) * a.c + c); \
        EACH_COLUMN_INSIDE(k0, TAKEN, ADD_OUTPUT)                                                  \
    }
/* The sums of TAKEN kernel columns from k0 on += the products with the gradients g. */
#define ADD_WEIGHTS(k0, TAKEN)                                                                     \
    {                                                                                              \
        G const float *x = picture + (h * a.in_w + v0 + k0) * a.c + c;                             \
        G float *to = sums + (kh * KW + k0) * a.c + c;                                             \
        vf s[TAPS];                                                                                \
        UNROLL for (int k = 0; k < TAKEN; k++) s[k] = VLOAD(0, to + k * a.c);                      \
        EACH_COLUMN_INSIDE(k0, TAKEN, ADD_WEIGHT)                                                  \
        UNROLL for (int k = 0; k < TAKEN; k++) VSTORE(s[k], 0, to + k * a.c);                      \
    }

/* The outputs j to j + n have their activation, where it is too long to be repeated for each of them. */
#define ACTIVATE(n)                                                                                \
    {                                                                                              \
        vf v[BESIDE];                                                                              \
        G float *to = y + j * a.c + c;                                                             \
        EACH(n, v[q] = VLOAD(0, to + q * a.c))                                                     \
        activate_all(v, a.activation, n);                                                          \
        EACH(n, VSTORE(v[q], 0, to + q * a.c))                                                     \
    }

/* As depthwise_plain. Group (part of the channels, n * out_h + oh). */
ONE_ITEM void depthwise(const depthwise_args a, G const float *restrict X, long x0, G const float *restrict W, long w0, G const float *restrict B, long b0,
                        G const float *restrict R, long r0, G float *restrict Y, long y0)
{
    long c0 = get_group_id(0) * a.part, c1 = min(c0 + a.part, a.c), row = get_group_id(1), n = row / a.out_h, h0 = (row - n * a.out_h) * a.stride_h - a.pad_h;
    int smooth = a.activation > ACT_RELU6;
    const vf low = (vf)(a.activation == ACT_RELU || a.activation == ACT_RELU6 ? 0.0f : -INFINITY);
    const vf high = (vf)(a.activation == ACT_RELU6 ? 6.0f : INFINITY);
    G const float *picture = X + x0 + n * a.in_h * a.in_w * a.c;
    for (long ow = 0; ow < a.out_w; ow += BLOCK) {
        long v0 = ow * SW - a.pad_w, at = (row * a.out_w + ow) * a.c, c = c0;
        int count = (int)min((long)BLOCK, a.out_w - ow), inside = v0 >= 0 && v0 + COLUMNS <= a.in_w;
        G const float *r = R + r0 + at;
        G float *y = Y + y0 + at;
        for (; c + TL_VECTOR <= c1; c += TL_VECTOR) {
            vf s[BLOCK], start = a.bias ? VLOAD(0, B + b0 + c) : (vf)0.0f;
            UNROLL for (int j = 0; j < BLOCK; j++) s[j] = start;
            for (int kh = 0; kh < KH; kh++) {
                long h = h0 + kh * a.dil_h;
                if (h < 0 || h >= a.in_h) continue;
                LOOP for (int k0 = 0; k0 + TAPS <= KW; k0 += TAPS) ADD_OUTPUTS(k0, TAPS)
                if (REST) ADD_OUTPUTS((KW - REST), REST)
            }
            UNROLL for (int j = 0; j < BLOCK; j++)
                if (j < count) {
                    if (a.residual) s[j] += VLOAD(0, r + j * a.c + c);
                    s[j] = s[j] < low ? low : s[j];
                    s[j] = s[j] > high ? high : s[j];
                    if (a.stream) STREAM(s[j], y + j * a.c + c);
                    else VSTORE(s[j], 0, y + j * a.c + c);
                }
            int j = 0;
            for (; smooth && j + 4 <= count; j += 4) ACTIVATE(4)
            for (; smooth && j + 2 <= count; j += 2) ACTIVATE(2)
            for (; smooth && j < count; j++) ACTIVATE(1)
        }
        for (int j = 0; c < c1 && j < count; j++) {
            int m = (int)(c1 - c);
            vf s = one_pixel(&a, picture, W + w0, a.bias ? load_part(B + b0 + c, m) : (vf)0.0f, h0, v0 + j * SW, c, m);
            if (a.residual) s += load_part(r + j * a.c + c, m);
            store_part(activate(s, a.activation), y + j * a.c + c, m);
        }
    }
}

/* As depthwise_dw_plain, with the sums of a part growing in P. Group (part of the channels, part of the rows). */
ONE_ITEM void depthwise_dw(const depthwise_args a, G const float *restrict GY, long g0, G const float *restrict X, long x0, G float *restrict P, long p0,
                           long length)
{
    long c0 = get_group_id(0) * a.part, c1 = min(c0 + a.part, a.c), part = get_group_id(1), whole = c0 + (c1 - c0) / TL_VECTOR * TL_VECTOR;
    G float *sums = P + p0 + part * KH * KW * a.c;
    for (int k = 0; k < KH * KW; k++)
        for (long c = c0; c < c1; c++) sums[k * a.c + c] = 0.0f;
    for (long row = part * length; row < min((part + 1) * length, a.n * a.out_h); row++) {
        long n = row / a.out_h, h0 = (row - n * a.out_h) * a.stride_h - a.pad_h;
        G const float *picture = X + x0 + n * a.in_h * a.in_w * a.c;
        for (long ow = 0; ow < a.out_w; ow += BLOCK) {
            long v0 = ow * SW - a.pad_w;
            int count = (int)min((long)BLOCK, a.out_w - ow), inside = v0 >= 0 && v0 + COLUMNS <= a.in_w;
            G const float *gy = GY + g0 + (row * a.out_w + ow) * a.c;
            for (long c = c0; c < whole; c += TL_VECTOR) {
                vf g[BLOCK];
                UNROLL for (int j = 0; j < BLOCK; j++) g[j] = j < count ? VLOAD(0, gy + j * a.c + c) : (vf)0.0f;
                for (int kh = 0; kh < KH; kh++) {
                    long h = h0 + kh * a.dil_h;
                    if (h < 0 || h >= a.in_h) continue;
                    LOOP for (int k0 = 0; k0 + TAPS <= KW; k0 += TAPS) ADD_WEIGHTS(k0, TAPS)
                    if (REST) ADD_WEIGHTS((KW - REST), REST)
                }
            }
            /* Channels that fill no vector. */
            for (int j = 0; j < count; j++)
                for (int k = 0; k < KH * KW; k++) {
                    long h = h0 + k / KW * a.dil_h, v = v0 + j * SW + k % KW;
                    if (h < 0 || h >= a.in_h || v < 0 || v >= a.in_w) continue;
                    for (long c = whole; c < c1; c++) sums[k * a.c + c] += gy[j * a.c + c] * picture[(h * a.in_w + v) * a.c + c];
                }
        }
    }
}
#endif
