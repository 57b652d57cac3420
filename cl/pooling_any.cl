#include "common.clh"
/* pooling_any.cl - largest and mean of windows whose elements lie `dilation` apart. x (N, D, H, W, C), y (N, OD, OH,
 * OW, C). Work-item (channel, output or input pixel). Those without gaps are in pooling.cl. */
typedef struct gap_args {
    long in[3], out[3], taps[3], stride[3], padding[3], padding_end[3], dilation[3];
    long channels;
    int count_padding, unused;
} gap_args;

typedef struct place { long n, c, at[3]; } place;
INLINE place place_of(const long *size, long channels)
{
    long p = get_global_id(1);
    place q = {p / (size[0] * size[1] * size[2]),
               get_global_id(0),
               {p / size[2] / size[1] % size[0], p / size[2] % size[1], p % size[2]}};
    return q;
}

/* Where element `tap` of a window lies, along dimension i of output o. */
#define AT(o, tap, i) ((o) * a.stride[i] - a.padding[i] + (tap) * a.dilation[i])
#define INSIDE_OF(at, i) ((at) >= 0 && (at) < a.in[i])
#define EACH_TAP                                                                                                \
    LOOP for (long td = 0; td < a.taps[0]; td++)                                                              \
        LOOP for (long th = 0; th < a.taps[1]; th++)                                                          \
            LOOP for (long tw = 0; tw < a.taps[2]; tw++)

/* Of equal elements the first, of NaN the last: PyTorch's rule. Gives the place within the picture; -1: none inside. */
INLINE long largest(const gap_args a, G const float *x, long od, long oh, long ow)
{
    float best = -INFINITY;
    long found = -1;
    EACH_TAP {
        long d = AT(od, td, 0), h = AT(oh, th, 1), w = AT(ow, tw, 2), at = (d * a.in[1] + h) * a.in[2] + w;
        if (!INSIDE_OF(d, 0) || !INSIDE_OF(h, 1) || !INSIDE_OF(w, 2)) continue;
        float v = x[at * a.channels];
        if (found < 0 || v > best || v != v) best = v, found = at;
    }
    return found;
}

__kernel void max_pool(const gap_args a, G const float *restrict X, long x0, G float *restrict Y, long y0 BOUND)
{
    INSIDE;
    place o = place_of(a.out, a.channels);
    G const float *x = X + x0 + o.n * a.in[0] * a.in[1] * a.in[2] * a.channels + o.c;
    long at = largest(a, x, o.at[0], o.at[1], o.at[2]);
    Y[y0 + get_global_id(1) * a.channels + o.c] = at < 0 ? -INFINITY : x[at * a.channels];
}

/* The number of that pixel within its picture; -1: the window has none. */
__kernel void max_pool_places(const gap_args a, G const float *restrict X, long x0, G int *restrict Y, long y0 BOUND)
{
    INSIDE;
    place o = place_of(a.out, a.channels);
    G const float *x = X + x0 + o.n * a.in[0] * a.in[1] * a.in[2] * a.channels + o.c;
    Y[y0 + get_global_id(1) * a.channels + o.c] = (int)largest(a, x, o.at[0], o.at[1], o.at[2]);
}

/* How many elements a mean is over: src/op/pooling.c. */
INLINE float window(const gap_args a, long od, long oh, long ow)
{
    float n = 0.0f;
    EACH_TAP {
        long d = AT(od, td, 0), h = AT(oh, th, 1), w = AT(ow, tw, 2);
        if (a.count_padding)
            n += d < a.in[0] + a.padding_end[0] && h < a.in[1] + a.padding_end[1] && w < a.in[2] + a.padding_end[2];
        else n += INSIDE_OF(d, 0) && INSIDE_OF(h, 1) && INSIDE_OF(w, 2);
    }
    return n;
}

__kernel void avg_pool(const gap_args a, G const float *restrict X, long x0, G float *restrict Y, long y0 BOUND)
{
    INSIDE;
    place o = place_of(a.out, a.channels);
    G const float *x = X + x0 + o.n * a.in[0] * a.in[1] * a.in[2] * a.channels + o.c;
    float sum = 0.0f;
    EACH_TAP {
        long d = AT(o.at[0], td, 0), h = AT(o.at[1], th, 1), w = AT(o.at[2], tw, 2);
        if (INSIDE_OF(d, 0) && INSIDE_OF(h, 1) && INSIDE_OF(w, 2))
            sum += x[((d * a.in[1] + h) * a.in[2] + w) * a.channels];
    }
    Y[y0 + get_global_id(1) * a.channels + o.c] = sum / window(a, o.at[0], o.at[1], o.at[2]);
}

/* The output of which input `at` is element `tap`, along dimension i; -1: there is none. */
INLINE long output_of(const gap_args a, long at, long tap, int i)
{
    long o = at + a.padding[i] - tap * a.dilation[i];
    return o < 0 || o % a.stride[i] || o / a.stride[i] >= a.out[i] ? -1 : o / a.stride[i];
}

/* dx = the gradients of the windows that hold the pixel: as they are where it was the largest (MEAN 0), or shared. */
__kernel void pool_dx(const gap_args a, G const float *restrict X, long x0, G const float *restrict GY, long g0,
                      G float *restrict DX, long d0 BOUND)
{
    INSIDE;
    place p = place_of(a.in, a.channels);
    G const float *x = X + x0 + p.n * a.in[0] * a.in[1] * a.in[2] * a.channels + p.c;
    G const float *gy = GY + g0 + p.n * a.out[0] * a.out[1] * a.out[2] * a.channels + p.c;
    long own = (p.at[0] * a.in[1] + p.at[1]) * a.in[2] + p.at[2];
    float sum = 0.0f;
    EACH_TAP {
        long od = output_of(a, p.at[0], td, 0), oh = output_of(a, p.at[1], th, 1), ow = output_of(a, p.at[2], tw, 2);
        if (od < 0 || oh < 0 || ow < 0) continue;
        float g = gy[((od * a.out[1] + oh) * a.out[2] + ow) * a.channels];
        if (MEAN) sum += g / window(a, od, oh, ow);
        else if (largest(a, x, od, oh, ow) == own) sum += g;
    }
    DX[d0 + get_global_id(1) * a.channels + p.c] = sum;
}
