#include "conv_tile.clh"
/* resample.cl - pictures at another size in the ways that interpolate.cl has not: by cubic curves, or where pixels lie
 * and how numbers are rounded is said. x (N, D, H, W, C), y (N, OD, OH, OW, C). Work-item (part of the channels,
 * pixel): of the output going forward, of the input going backward, where each gathers what reached the outputs from
 * it. */

/* src/op/interpolate.c has the same struct, and the order of names. */
typedef struct resample_args {
    long in[3], out[3];
    long channels, part;
    float factor[3], cubic;     /* outputs for one step of the input; the curve's slope */
    int mode, coordinates, rounding, exclude;
} resample_args;
enum { NEAREST, LINEAR, CUBIC };
enum { USUAL, HALF_PIXEL, HALF_PIXEL_SYMMETRIC, PYTORCH_HALF_PIXEL, ALIGN_CORNERS, ASYMMETRIC, TF_HALF_PIXEL };
enum { FLOOR, CEIL, PREFER_FLOOR, PREFER_CEIL };

/* Where output o of dimension i lies among the inputs: ONNX's definitions (Resize). */
INLINE float coordinate(const resample_args *a, int i, long o)
{
    float in = (float)a->in[i], out = (float)a->out[i], f = a->factor[i], middle = ((float)o + 0.5f) / f;
    switch (a->coordinates) {
    case HALF_PIXEL_SYMMETRIC: return in / 2.0f * (1.0f - out / (f * in)) + middle - 0.5f;
    case PYTORCH_HALF_PIXEL: return a->out[i] > 1 ? middle - 0.5f : 0.0f;
    case ALIGN_CORNERS: return a->out[i] > 1 ? (float)o * (in - 1.0f) / (out - 1.0f) : 0.0f;
    case ASYMMETRIC: return (float)o / f;
    case TF_HALF_PIXEL: return middle;
    default: return middle - 0.5f;
    }
}

/* The cubic curve of Keys 1981 at distance x. */
INLINE float curve(float x, float a)
{
    x = fabs(x);
    if (x <= 1.0f) return ((a + 2.0f) * x - (a + 3.0f)) * x * x + 1.0f;
    return x < 2.0f ? ((x - 5.0f) * x + 8.0f) * x * a - 4.0f * a : 0.0f;
}

/* Where an output lies among four neighbours, the first `low`: how far behind the second, and what their shares come
 * to. Shares are worked out from it one by one: four of each dimension in arrays would lie in memory, since which of
 * them is read is known at run time alone. */
typedef struct place { long low; float part, all; } place;

/* The share of neighbour k, before all are brought to a sum of 1. */
INLINE float raw_share(const resample_args *a, int i, place p, int k)
{
    if (a->mode == NEAREST) return k == 1 ? 1.0f : 0.0f;
    if (a->exclude && (p.low + k < 0 || p.low + k >= a->in[i])) return 0.0f;
    if (a->mode == CUBIC) return curve(p.part + 1.0f - (float)k, a->cubic);
    return k == 1 ? 1.0f - p.part : k == 2 ? p.part : 0.0f;
}
INLINE float share_at(const resample_args *a, int i, place p, int k)
{
    return a->exclude && a->mode != NEAREST ? raw_share(a, i, p, k) / p.all : raw_share(a, i, p, k);
}

INLINE place place_of(const resample_args *a, int i, long o)
{
    float at = coordinate(a, i, o), low = floor(at);
    place p = {(long)low - 1, at - low, 0.0f};
    if (a->mode == NEAREST)
        p.low = (long)(a->rounding == FLOOR          ? low
                       : a->rounding == CEIL         ? ceil(at)
                       : a->rounding == PREFER_FLOOR ? ceil(at - 0.5f)
                                                     : floor(at + 0.5f)) - 1;
    for (int k = 0; k < 4 && a->exclude; k++) p.all += raw_share(a, i, p, k);
    return p;
}

/* Beyond the edge lies the last pixel again. */
INLINE long clamped(const resample_args *a, int i, long at) { return clamp(at, 0L, a->in[i] - 1); }

/* How much of output o came from input k. */
INLINE float share_of(const resample_args *a, int i, long o, long k)
{
    place p = place_of(a, i, o);
    float sum = 0.0f;
    for (int t = 0; t < 4; t++) sum += clamped(a, i, p.low + t) == k ? share_at(a, i, p, t) : 0.0f;
    return sum;
}

/* The outputs that may have something of input k: some too many rather than one too few. */
INLINE float steps(const resample_args *a, int i)
{
    return a->coordinates == ALIGN_CORNERS ? (float)(a->out[i] - 1) / (float)(a->in[i] - 1) : a->factor[i];
}
INLINE long first_output(const resample_args *a, int i, long k)
{
    return k < 2 ? 0 : clamp((long)floor((float)(k - 4) * steps(a, i)) - 2, 0L, a->out[i]);
}
INLINE long last_output(const resample_args *a, int i, long k)
{
    return k > a->in[i] - 3 ? a->out[i] : clamp((long)ceil((float)(k + 5) * steps(a, i)) + 2, 0L, a->out[i]);
}

INLINE void add_pixel(G float *y, G const float *x, float share, long n)
{
    long c = 0;
    for (; c + TL_VECTOR <= n; c += TL_VECTOR) VSTORE(fma((vf)share, VLOAD(0, x + c), VLOAD(0, y + c)), 0, y + c);
    for (; c < n; c++) y[c] = fma(share, x[c], y[c]);
}

__kernel void resample(const resample_args a, G const float *restrict X, long x0, G float *restrict Y, long y0 BOUND)
{
    INSIDE;
    long c = get_global_id(0) * a.part, at = get_global_id(1), n = min(a.part, a.channels - c);
    place d = place_of(&a, 0, at / a.out[2] / a.out[1] % a.out[0]), h = place_of(&a, 1, at / a.out[2] % a.out[1]);
    place w = place_of(&a, 2, at % a.out[2]);
    G const float *x = X + x0 + at / (a.out[0] * a.out[1] * a.out[2]) * a.in[0] * a.in[1] * a.in[2] * a.channels + c;
    G float *y = Y + y0 + at * a.channels + c;
    for (long k = 0; k < n; k++) y[k] = 0.0f;
    LOOP for (int kd = 0; kd < 4; kd++) {
        float sd = share_at(&a, 0, d, kd);
        LOOP for (int kh = 0; kh < 4 && sd != 0.0f; kh++) {
            float sh = sd * share_at(&a, 1, h, kh);
            long row = clamped(&a, 0, d.low + kd) * a.in[1] + clamped(&a, 1, h.low + kh);
            LOOP for (int kw = 0; kw < 4 && sh != 0.0f; kw++) {
                float share = sh * share_at(&a, 2, w, kw);
                if (share != 0.0f)
                    add_pixel(y, x + (row * a.in[2] + clamped(&a, 2, w.low + kw)) * a.channels, share, n);
            }
        }
    }
}

/* dx[k] = sum over the outputs o of gy[o] times what o has of k */
__kernel void resample_dx(const resample_args a, G const float *restrict GY, long g0, G float *restrict DX,
                          long d0 BOUND)
{
    INSIDE;
    long c = get_global_id(0) * a.part, at = get_global_id(1), n = min(a.part, a.channels - c);
    long w = at % a.in[2], h = at / a.in[2] % a.in[1], d = at / a.in[2] / a.in[1] % a.in[0];
    G const float *gy = GY + g0 + at / (a.in[0] * a.in[1] * a.in[2]) * a.out[0] * a.out[1] * a.out[2] * a.channels + c;
    G float *dx = DX + d0 + at * a.channels + c;
    for (long k = 0; k < n; k++) dx[k] = 0.0f;
    LOOP for (long od = first_output(&a, 0, d); od < last_output(&a, 0, d); od++) {
        float sd = share_of(&a, 0, od, d);
        if (sd == 0.0f) continue;
        LOOP for (long oh = first_output(&a, 1, h); oh < last_output(&a, 1, h); oh++) {
            float sh = sd * share_of(&a, 1, oh, h);
            if (sh == 0.0f) continue;
            LOOP for (long ow = first_output(&a, 2, w); ow < last_output(&a, 2, w); ow++) {
                float share = sh * share_of(&a, 2, ow, w);
                if (share != 0.0f) add_pixel(dx, gy + ((od * a.out[1] + oh) * a.out[2] + ow) * a.channels, share, n);
            }
        }
    }
}
