#include "conv_tile.clh"
/* pooling.cl - largest and mean of windows. x (N, D, H, W, C), y (N, OD, OH, OW, C); vectors over channels.
 * Work-item (channel vector, output or input pixel) unless another is named. */
typedef struct pool_args {
    long in[3], out[3], extent[3], stride[3], padding[3], padding_end[3];
    long channels, part;        /* part: channels of a work-item, where it takes more than a vector */
    int count_padding, unused;
} pool_args;

/* First and last input index of output `o` along dimension `i`. */
#define FIRST(o, i) max((o) * a.stride[i] - a.padding[i], 0L)
#define LAST(o, i) min((o) * a.stride[i] - a.padding[i] + a.extent[i], a.in[i])

#define OUTPUT_PIXEL                                                                                            \
    long c = get_global_id(0) * TL_VECTOR, at = get_global_id(1);                                               \
    int m = (int)min((long)TL_VECTOR, a.channels - c);                                                          \
    long ow = at % a.out[2], oh = at / a.out[2] % a.out[1], od = at / a.out[2] / a.out[1] % a.out[0];           \
    long n = at / (a.out[0] * a.out[1] * a.out[2]);                                                             \
    G const float *x = X + x0 + n * a.in[0] * a.in[1] * a.in[2] * a.channels + c;

/* PyTorch's rule: of equal elements the first stays; a NaN is taken, and only a later one takes its place. */
#define TAKES(v, best) (((v) > (best)) | ((v) != (v)))

/* One output: n channels of the window of output (od, oh, ow). */
INLINE vf max_of_window(const pool_args a, G const float *x, long od, long oh, long ow, int n)
{
    vf best = (vf)(-INFINITY);
    LOOP for (long d = FIRST(od, 0); d < LAST(od, 0); d++)
        LOOP for (long h = FIRST(oh, 1); h < LAST(oh, 1); h++)
            LOOP for (long w = FIRST(ow, 2); w < LAST(ow, 2); w++) {
                vf v = load_part(x + ((d * a.in[1] + h) * a.in[2] + w) * a.channels, n);
                best = TAKES(v, best) ? v : best;
            }
    return best;
}

/* Work-item (part of the channels, row of the output): through a row in the order of memory. */
__kernel void max_pool(const pool_args a, G const float *restrict X, long x0, G float *restrict Y, long y0 BOUND)
{
    INSIDE;
    long c0 = get_global_id(0) * a.part, c1 = min(c0 + a.part, a.channels), row = get_global_id(1);
    long oh = row % a.out[1], od = row / a.out[1] % a.out[0], n = row / (a.out[0] * a.out[1]);
    G const float *x = X + x0 + n * a.in[0] * a.in[1] * a.in[2] * a.channels;
    G float *y = Y + y0 + row * a.out[2] * a.channels;
    LOOP for (long ow = 0; ow < a.out[2]; ow++, y += a.channels) {
        long c = c0;
        for (; c + TL_VECTOR <= c1; c += TL_VECTOR) VSTORE(max_of_window(a, x + c, od, oh, ow, TL_VECTOR), 0, y + c);
        if (c < c1) store_part(max_of_window(a, x + c, od, oh, ow, (int)(c1 - c)), y + c, (int)(c1 - c));
    }
}

/* How many elements the mean of this window is over: with padding its whole extent, but for what ceil mode lets hang over the padding at
 * the end (PyTorch, ONNX); else what is inside. */
static inline float window(const pool_args *a, long od, long oh, long ow)
{
    long o[3] = {od, oh, ow};
    float n = 1.0f;
    for (int i = 0; i < 3; i++) {
        long from = o[i] * a->stride[i] - a->padding[i], to = from + a->extent[i];
        if (a->count_padding) n *= (float)(min(to, a->in[i] + a->padding_end[i]) - from);
        else n *= (float)(min(to, a->in[i]) - max(from, 0L));
    }
    return n;
}

__kernel void avg_pool(const pool_args a, G const float *restrict X, long x0, G float *restrict Y, long y0 BOUND)
{
    INSIDE;
    OUTPUT_PIXEL
    vf sum = (vf)0.0f;
    LOOP for (long d = FIRST(od, 0); d < LAST(od, 0); d++)
        LOOP for (long h = FIRST(oh, 1); h < LAST(oh, 1); h++)
            LOOP for (long w = FIRST(ow, 2); w < LAST(ow, 2); w++) sum += load_part(x + ((d * a.in[1] + h) * a.in[2] + w) * a.channels, m);
    store_part(sum / (vf)window(&a, od, oh, ow), Y + y0 + at * a.channels + c, m);
}

/* The outputs whose windows hold input index `i`, along dimension `k`. */
#define FROM(i, k) max(((i) + a.padding[k] - a.extent[k] + a.stride[k]) / a.stride[k], 0L)
#define UPTO(i, k) min(((i) + a.padding[k]) / a.stride[k] + 1, a.out[k])
#define INPUT_PIXEL                                                                                             \
    long c = get_global_id(0) * TL_VECTOR, at = get_global_id(1);                                               \
    int m = (int)min((long)TL_VECTOR, a.channels - c);                                                          \
    long w = at % a.in[2], h = at / a.in[2] % a.in[1], d = at / a.in[2] / a.in[1] % a.in[0];                    \
    long n = at / (a.in[0] * a.in[1] * a.in[2]), out0 = n * a.out[0] * a.out[1] * a.out[2];

/* Row (d, h) of one picture's gradient, n channels of it: all windows that touch the row are searched again, and what falls
 * into the row is added in their order. */
INLINE void max_pool_dx_row(const pool_args a, G const float *x, G const float *gy, G float *dx, long d, long h, int n)
{
    LOOP for (long w = 0; w < a.in[2]; w++) store_part((vf)0.0f, dx + w * a.channels, n);
    LOOP for (long od = FROM(d, 0); od < UPTO(d, 0); od++)
        LOOP for (long oh = FROM(h, 1); oh < UPTO(h, 1); oh++)
            LOOP for (long ow = 0; ow < a.out[2]; ow++) {
                vf best = (vf)(-INFINITY), g = load_part(gy + ((od * a.out[1] + oh) * a.out[2] + ow) * a.channels, n);
                int place = 0, own = 0; /* elements of the window, counted; own: the first in this row */
                vi at = (vi)0;
                LOOP for (long dd = FIRST(od, 0); dd < LAST(od, 0); dd++)
                    LOOP for (long hh = FIRST(oh, 1); hh < LAST(oh, 1); hh++) {
                        if (dd == d && hh == h) own = place;
                        LOOP for (long w = FIRST(ow, 2); w < LAST(ow, 2); w++, place++) {
                            vf v = load_part(x + ((dd * a.in[1] + hh) * a.in[2] + w) * a.channels, n);
                            at = TAKES(v, best) ? (vi)place : at;
                            best = TAKES(v, best) ? v : best;
                        }
                    }
                LOOP for (long w = FIRST(ow, 2); w < LAST(ow, 2); w++, own++) {
                    G float *to = dx + w * a.channels;
                    store_part(load_part(to, n) + (at == (vi)own ? g : (vf)0.0f), to, n);
                }
            }
}

/* dx = the gradients of the windows that took their largest element there. Work-item (channel vector, row of the input). */
__kernel void max_pool_dx(const pool_args a, G const float *restrict X, long x0, G const float *restrict GY, long g0, G float *restrict DX, long d0 BOUND)
{
    INSIDE;
    long c = get_global_id(0) * TL_VECTOR, row = get_global_id(1);
    long h = row % a.in[1], d = row / a.in[1] % a.in[0], n = row / (a.in[0] * a.in[1]);
    G const float *x = X + x0 + n * a.in[0] * a.in[1] * a.in[2] * a.channels + c;
    G const float *gy = GY + g0 + n * a.out[0] * a.out[1] * a.out[2] * a.channels + c;
    G float *dx = DX + d0 + row * a.in[2] * a.channels + c;
    if (c + TL_VECTOR <= a.channels) max_pool_dx_row(a, x, gy, dx, d, h, TL_VECTOR);
    else max_pool_dx_row(a, x, gy, dx, d, h, (int)(a.channels - c));
}

__kernel void avg_pool_dx(const pool_args a, G const float *restrict GY, long g0, G float *restrict DX, long d0 BOUND)
{
    INSIDE;
    INPUT_PIXEL
    vf sum = (vf)0.0f;
    LOOP for (long od = FROM(d, 0); od < UPTO(d, 0); od++)
        LOOP for (long oh = FROM(h, 1); oh < UPTO(h, 1); oh++)
            LOOP for (long ow = FROM(w, 2); ow < UPTO(w, 2); ow++)
                sum += load_part(GY + g0 + (out0 + (od * a.out[1] + oh) * a.out[2] + ow) * a.channels + c, m) / (vf)window(&a, od, oh, ow);
    store_part(sum, DX + d0 + at * a.channels + c, m);
}
