#include "conv_tile.clh"
/* interpolate.cl - pictures at another size. x (N, D, H, W, C), y (N, OD, OH, OW, C). Work-item (part of the channels, pixel): of the
 * output going forward, of the input going backward, where each gathers what reached the outputs from it. */

/* src/op/interpolate.c has the same struct. */
typedef struct resize_args {
    long in[3], out[3];
    long channels, part;
    float scale[3];             /* inputs for one step of the output */
    int linear, align_corners;
    int unused;
} resize_args;

/* Where output `o` of a dimension lies among the inputs: the lower neighbour, and the share of the upper one. The arithmetic is
 * PyTorch's, in float32 too, so that both round to the same neighbour. */
typedef struct place { long low; float high_share; } place;
INLINE place place_of(const resize_args *a, int i, long o)
{
    place p = {0, 0.0f};
    float at = a->align_corners ? a->scale[i] * (float)o : a->linear ? fmax(a->scale[i] * ((float)o + 0.5f) - 0.5f, 0.0f) : floor((float)o * a->scale[i]);
    p.low = min((long)at, a->in[i] - 1);
    if (a->linear && p.low + 1 < a->in[i]) p.high_share = clamp(at - (float)p.low, 0.0f, 1.0f);
    return p;
}

/* How much of output `o` came from input `k`. */
INLINE float share_of(const resize_args *a, int i, long o, long k)
{
    place p = place_of(a, i, o);
    return p.low == k ? 1.0f - p.high_share : p.low + 1 == k ? p.high_share : 0.0f;
}

/* The outputs that may have something of input `k`: a few too many rather than one too few. */
INLINE long first_output(const resize_args *a, int i, long k)
{
    float s = a->scale[i];
    if (k == 0 || s <= 0.0f) return 0;
    return max((long)floor(a->linear && !a->align_corners ? ((float)k - 0.5f) / s - 0.5f : ((float)k - (a->linear ? 1.0f : 0.0f)) / s) - 1, 0L);
}
INLINE long last_output(const resize_args *a, int i, long k)
{
    float s = a->scale[i];
    if (k == a->in[i] - 1 || s <= 0.0f) return a->out[i];
    return min((long)ceil(a->linear && !a->align_corners ? ((float)k + 1.5f) / s - 0.5f : ((float)k + 1.0f) / s) + 2, a->out[i]);
}

INLINE void add_pixel(G float *y, G const float *x, float share, long n)
{
    long c = 0;
    for (; c + TL_VECTOR <= n; c += TL_VECTOR) VSTORE(fma((vf)share, VLOAD(0, x + c), VLOAD(0, y + c)), 0, y + c);
    for (; c < n; c++) y[c] = fma(share, x[c], y[c]);
}

INLINE void clear_pixel(G float *y, long n)
{
    long c = 0;
    for (; c + TL_VECTOR <= n; c += TL_VECTOR) VSTORE((vf)0.0f, 0, y + c);
    for (; c < n; c++) y[c] = 0.0f;
}

__kernel void interpolate(const resize_args a, G const float *restrict X, long x0, G float *restrict Y, long y0 BOUND)
{
    INSIDE;
    long c = get_global_id(0) * a.part, at = get_global_id(1), n = min(a.part, a.channels - c);
    place w = place_of(&a, 2, at % a.out[2]), h = place_of(&a, 1, at / a.out[2] % a.out[1]), d = place_of(&a, 0, at / a.out[2] / a.out[1] % a.out[0]);
    G const float *x = X + x0 + at / (a.out[0] * a.out[1] * a.out[2]) * a.in[0] * a.in[1] * a.in[2] * a.channels + c;
    G float *y = Y + y0 + at * a.channels + c;
    clear_pixel(y, n);
    for (int corner = 0; corner < 8; corner++) {
        int kd = corner >> 2, kh = corner >> 1 & 1, kw = corner & 1;
        float share = (kd ? d.high_share : 1.0f - d.high_share) * (kh ? h.high_share : 1.0f - h.high_share) * (kw ? w.high_share : 1.0f - w.high_share);
        if (share != 0.0f) add_pixel(y, x + (((d.low + kd) * a.in[1] + h.low + kh) * a.in[2] + w.low + kw) * a.channels, share, n);
    }
}

/* dx[k] = sum over the outputs o of gy[o] times what o has of k */
__kernel void interpolate_dx(const resize_args a, G const float *restrict GY, long g0, G float *restrict DX, long d0 BOUND)
{
    INSIDE;
    long c = get_global_id(0) * a.part, at = get_global_id(1), n = min(a.part, a.channels - c);
    long w = at % a.in[2], h = at / a.in[2] % a.in[1], d = at / a.in[2] / a.in[1] % a.in[0];
    G const float *gy = GY + g0 + at / (a.in[0] * a.in[1] * a.in[2]) * a.out[0] * a.out[1] * a.out[2] * a.channels + c;
    G float *dx = DX + d0 + at * a.channels + c;
    clear_pixel(dx, n);
    for (long od = first_output(&a, 0, d); od < last_output(&a, 0, d); od++) {
        float sd = share_of(&a, 0, od, d);
        if (sd == 0.0f) continue;
        for (long oh = first_output(&a, 1, h); oh < last_output(&a, 1, h); oh++) {
            float sh = sd * share_of(&a, 1, oh, h);
            if (sh == 0.0f) continue;
            for (long ow = first_output(&a, 2, w); ow < last_output(&a, 2, w); ow++) {
                float share = sh * share_of(&a, 2, ow, w);
                if (share != 0.0f) add_pixel(dx, gy + ((od * a.out[1] + oh) * a.out[2] + ow) * a.channels, share, n);
            }
        }
    }
}
