#include "common.clh"
/* pooling.cl - largest and mean of windows. x (N, D, H, W, C), y (N, OD, OH, OW, C); vectors over channels.
 * Work-item (channel vector, output or input pixel). */
typedef struct pool_args {
    long in[3], out[3], extent[3], stride[3], padding[3];
    long channels;
    int count_padding, unused;
} pool_args;

inline vf some(G const float *p, int n) { return n == TL_VECTOR ? VLOAD(0, p) : vldn(p, n); }
inline void put(vf v, G float *p, int n)
{
    if (n == TL_VECTOR) VSTORE(v, 0, p);
    else vstn(v, p, n);
}

/* First and last input index of output `o` along dimension `i`. */
#define FIRST(o, i) max((o) * a.stride[i] - a.padding[i], 0L)
#define LAST(o, i) min((o) * a.stride[i] - a.padding[i] + a.extent[i], a.in[i])

#define OUTPUT_PIXEL                                                                                            \
    long c = get_global_id(0) * TL_VECTOR, at = get_global_id(1);                                               \
    int m = (int)min((long)TL_VECTOR, a.channels - c);                                                          \
    long ow = at % a.out[2], oh = at / a.out[2] % a.out[1], od = at / a.out[2] / a.out[1] % a.out[0];           \
    long n = at / (a.out[0] * a.out[1] * a.out[2]);                                                             \
    G const float *x = X + x0 + n * a.in[0] * a.in[1] * a.in[2] * a.channels + c;

__kernel void max_pool(const pool_args a, G const float *restrict X, long x0, G float *restrict Y, long y0)
{
    OUTPUT_PIXEL
    vf best = (vf)(-INFINITY);
    for (long d = FIRST(od, 0); d < LAST(od, 0); d++)
        for (long h = FIRST(oh, 1); h < LAST(oh, 1); h++)
            for (long w = FIRST(ow, 2); w < LAST(ow, 2); w++) {
                vf v = some(x + ((d * a.in[1] + h) * a.in[2] + w) * a.channels, m);
                best = v <= best ? best : v; /* a NaN wins, as in PyTorch */
            }
    put(best, Y + y0 + at * a.channels + c, m);
}

/* How many elements the mean of this window is over: with padding its whole extent (which ceil mode may cut), else what is inside. */
inline float window(const pool_args *a, long od, long oh, long ow)
{
    long o[3] = {od, oh, ow};
    float n = 1.0f;
    for (int i = 0; i < 3; i++) {
        long from = o[i] * a->stride[i] - a->padding[i], to = from + a->extent[i];
        if (a->count_padding) n *= (float)(min(to, a->in[i] + a->padding[i]) - from);
        else n *= (float)(min(to, a->in[i]) - max(from, 0L));
    }
    return n;
}

__kernel void avg_pool(const pool_args a, G const float *restrict X, long x0, G float *restrict Y, long y0)
{
    OUTPUT_PIXEL
    vf sum = (vf)0.0f;
    for (long d = FIRST(od, 0); d < LAST(od, 0); d++)
        for (long h = FIRST(oh, 1); h < LAST(oh, 1); h++)
            for (long w = FIRST(ow, 2); w < LAST(ow, 2); w++) sum += some(x + ((d * a.in[1] + h) * a.in[2] + w) * a.channels, m);
    put(sum / (vf)window(&a, od, oh, ow), Y + y0 + at * a.channels + c, m);
}

/* The outputs whose windows hold input index `i`, along dimension `k`. */
#define FROM(i, k) max(((i) + a.padding[k] - a.extent[k] + a.stride[k]) / a.stride[k], 0L)
#define UPTO(i, k) min(((i) + a.padding[k]) / a.stride[k] + 1, a.out[k])
#define INPUT_PIXEL                                                                                             \
    long c = get_global_id(0) * TL_VECTOR, at = get_global_id(1);                                               \
    int m = (int)min((long)TL_VECTOR, a.channels - c);                                                          \
    long w = at % a.in[2], h = at / a.in[2] % a.in[1], d = at / a.in[2] / a.in[1] % a.in[0];                    \
    long n = at / (a.in[0] * a.in[1] * a.in[2]), out0 = n * a.out[0] * a.out[1] * a.out[2];

/* dx = the gradients of the windows whose first largest element is this one */
__kernel void max_pool_dx(const pool_args a, G const float *restrict X, long x0, G const float *restrict Y, long y0, G const float *restrict GY, long g0,
                          G float *restrict DX, long d0)
{
    INPUT_PIXEL
    G const float *x = X + x0 + n * a.in[0] * a.in[1] * a.in[2] * a.channels + c;
    float own[TL_VECTOR], sum[TL_VECTOR];
    VSTORE(some(X + x0 + at * a.channels + c, m), 0, own);
    for (int i = 0; i < TL_VECTOR; i++) sum[i] = 0.0f;
    for (long od = FROM(d, 0); od < UPTO(d, 0); od++)
        for (long oh = FROM(h, 1); oh < UPTO(h, 1); oh++)
            for (long ow = FROM(w, 2); ow < UPTO(w, 2); ow++) {
                long o = (out0 + (od * a.out[1] + oh) * a.out[2] + ow) * a.channels + c;
                for (int i = 0; i < m; i++) {
                    float top = Y[y0 + o + i];
                    if (!(own[i] == top || (isnan(own[i]) && isnan(top)))) continue;
                    int first = 1; /* an equal element earlier in the window takes the gradient */
                    for (long dd = FIRST(od, 0); dd < LAST(od, 0) && first; dd++)
                        for (long hh = FIRST(oh, 1); hh < LAST(oh, 1) && first; hh++)
                            for (long ww = FIRST(ow, 2); ww < LAST(ow, 2) && first; ww++) {
                                long place = (dd * a.in[1] + hh) * a.in[2] + ww;
                                if (place >= (d * a.in[1] + h) * a.in[2] + w) break;
                                if (x[place * a.channels + i] == top) first = 0;
                            }
                    if (first) sum[i] += GY[g0 + o + i];
                }
            }
    put(VLOAD(0, sum), DX + d0 + at * a.channels + c, m);
}

__kernel void avg_pool_dx(const pool_args a, G const float *restrict GY, long g0, G float *restrict DX, long d0)
{
    INPUT_PIXEL
    vf sum = (vf)0.0f;
    for (long od = FROM(d, 0); od < UPTO(d, 0); od++)
        for (long oh = FROM(h, 1); oh < UPTO(h, 1); oh++)
            for (long ow = FROM(w, 2); ow < UPTO(w, 2); ow++)
                sum += some(GY + g0 + (out0 + (od * a.out[1] + oh) * a.out[2] + ow) * a.channels + c, m) / (vf)window(&a, od, oh, ow);
    put(sum, DX + d0 + at * a.channels + c, m);
}
