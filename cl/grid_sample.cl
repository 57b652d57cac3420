#include "conv_tile.clh"
/* grid_sample.cl - pictures x (N, D, H, W, C) read where a grid (N, OD, OH, OW, axes) says, from -1 to 1 over each
 * axis, the last axis of the pictures first: y (N, OD, OH, OW, C). The arithmetic is PyTorch's. */

/* src/op/grid_sample.c has the same struct, and the order of names. */
typedef struct grid_args {
    long in[3], places;         /* places: outputs of one picture */
    long channels, part;
    int axes, mode, padding, corners;
} grid_args;
enum { LINEAR, NEAREST, CUBIC };
enum { ZEROS, BORDER, REFLECTION };

/* Folds x back between the edges; *sign: its direction there. */
INLINE float reflected(float x, float low, float high, float *sign)
{
    float span = high - low, away = fabs(x - low), over = span > 0.0f ? fmod(away, span) : 0.0f;
    int flips = span > 0.0f ? (int)(((long)floor(away / span)) & 1) : 0;
    *sign = (x < low ? -1.0f : 1.0f) * (flips ? -1.0f : 1.0f);
    return flips ? high - over : low + over;
}

/* A coordinate as the padding has it, and its slope. */
INLINE float padded(const grid_args *a, int i, float x, float *slope)
{
    float most = (float)(a->in[i] - 1), sign = 1.0f;
    *slope = 1.0f;
    if (a->padding == ZEROS) return x;
    if (a->padding == REFLECTION) {
        float margin = 0.5f - 0.5f * (float)a->corners;
        x = reflected(x, -margin, most + margin, &sign);
        *slope = sign;
    }
    if (!(x > 0.0f)) { /* NaN too */
        *slope = 0.0f;
        return 0.0f;
    }
    if (x >= most) {
        *slope = 0.0f;
        return most;
    }
    return x;
}

INLINE float curve(float x) /* Keys 1981 with a slope of -0.75 one pixel away */
{
    x = fabs(x);
    if (x <= 1.0f) return (1.25f * x - 2.25f) * x * x + 1.0f;
    return x < 2.0f ? ((x - 5.0f) * x + 8.0f) * x * -0.75f + 3.0f : 0.0f;
}
INLINE float curve_slope(float x)
{
    float d = fabs(x), s = d <= 1.0f ? (3.75f * d - 4.5f) * d : d < 2.0f ? (-2.25f * d + 7.5f) * d - 6.0f : 0.0f;
    return x < 0.0f ? -s : s;
}

/* Where a coordinate lies between the neighbours in a dimension: how far behind the one at `low`, and how that changes
 * with the grid. Neighbours are worked out from it one by one: four of each dimension in arrays would lie in memory,
 * since which of them is read is known at run time alone. */
typedef struct between { float low, part, slope; int there; } between;
INLINE between between_of(const grid_args *a, int i, float g)
{
    /* From the middle of the first pixel to that of the last with corners, else from edge to edge. Both in one formula:
     * AMD's compiler keeps each of such choices in two scalar registers. */
    float in = (float)a->in[i], corners = (float)a->corners, half_size = (in - corners) / 2.0f, slope = 1.0f;
    float at = ((g + 1.0f) * (in - corners) - (1.0f - corners)) / 2.0f;
    if (a->mode != CUBIC) at = padded(a, i, at, &slope);
    float low = a->mode == NEAREST ? rint(at) : floor(at);
    /* Else far outside, or no number. */
    int there = a->mode == CUBIC || (at > -2.0f && at < in + 1.0f);
    return (between){low, at - low, a->mode == NEAREST ? 0.0f : half_size * slope, there};
}

/* Neighbour k in a dimension: where it is (-1: outside), what share it has, and how that changes with the grid. */
typedef struct spot { long at; float share, slope; } spot;
INLINE spot spot_of(const grid_args *a, int i, between p, int k)
{
    float unused;
    if (!p.there) return (spot){-1, 0.0f, 0.0f};
    if (a->mode == CUBIC) {
        float where = padded(a, i, p.low - 1.0f + (float)k, &unused), away = p.part + 1.0f - (float)k;
        long at = where >= 0.0f && where < (float)a->in[i] ? (long)where : -1;
        return (spot){at, curve(away), curve_slope(away) * p.slope};
    }
    long at = (long)p.low + k;
    float share = a->mode == NEAREST ? 1.0f : k ? p.part : 1.0f - p.part;
    return (spot){at >= 0 && at < a->in[i] ? at : -1, share, k ? p.slope : -p.slope};
}

/* BODY for each neighbour d, h, w of the grid's numbers g that is inside, at pixel `at`. */
#define EACH_NEIGHBOUR(g, BODY)                                                                                  \
    {                                                                                                            \
        int most = a.mode == CUBIC ? 4 : a.mode == LINEAR ? 2 : 1, deep = a.axes == 3;                           \
        between pw = between_of(&a, 2, (g)[0]), ph = between_of(&a, 1, (g)[1]);                                  \
        between pd = deep ? between_of(&a, 0, (g)[2]) : pw;                                                      \
        LOOP for (int kd = 0; kd < (deep ? most : 1); kd++) {                                                    \
            spot d = deep ? spot_of(&a, 0, pd, kd) : (spot){0, 1.0f, 0.0f};                                      \
            LOOP for (int kh = 0; kh < most && d.at >= 0; kh++) {                                                \
                spot h = spot_of(&a, 1, ph, kh);                                                                 \
                LOOP for (int kw = 0; kw < most && h.at >= 0; kw++) {                                            \
                    spot w = spot_of(&a, 2, pw, kw);                                                             \
                    if (w.at < 0) continue;                                                                      \
                    long at = (d.at * a.in[1] + h.at) * a.in[2] + w.at;                                          \
                    BODY                                                                                         \
                }                                                                                                \
            }                                                                                                    \
        }                                                                                                        \
    }
#define SHARE (d.share * h.share * w.share)

INLINE void add_pixel(G float *y, G const float *x, float share, long n)
{
    for (long c = 0; c < n; c++) y[c] = fma(share, x[c], y[c]);
}

/* Work-item (part of the channels, output). */
__kernel void grid_sample(const grid_args a, G const float *restrict X, long x0, G const float *restrict GRID, long g0,
                          G float *restrict Y, long y0 BOUND)
{
    INSIDE;
    long c = get_global_id(0) * a.part, o = get_global_id(1), n = min(a.part, a.channels - c);
    G const float *x = X + x0 + o / a.places * a.in[0] * a.in[1] * a.in[2] * a.channels + c;
    G float *y = Y + y0 + o * a.channels + c;
    for (long k = 0; k < n; k++) y[k] = 0.0f;
    EACH_NEIGHBOUR(GRID + g0 + o * a.axes, add_pixel(y, x + at * a.channels, SHARE, n);)
}

/* dx (zero before): work-item (part of the channels, picture), through its outputs in order. */
__kernel void grid_sample_dx(const grid_args a, G const float *restrict GRID, long g0, G const float *restrict GY,
                             long gy0, G float *restrict DX, long d0 BOUND)
{
    INSIDE;
    long c = get_global_id(0) * a.part, picture = get_global_id(1), n = min(a.part, a.channels - c);
    G float *dx = DX + d0 + picture * a.in[0] * a.in[1] * a.in[2] * a.channels + c;
    LOOP for (long o = picture * a.places; o < (picture + 1) * a.places; o++) {
        G const float *gy = GY + gy0 + o * a.channels + c;
        EACH_NEIGHBOUR(GRID + g0 + o * a.axes, add_pixel(dx + at * a.channels, gy, SHARE, n);)
    }
}

/* dgrid = sum over channels and neighbours of gy x times the slope of the share. Work-item (1, output). */
__kernel void grid_sample_dgrid(const grid_args a, G const float *restrict X, long x0, G const float *restrict GRID,
                                long g0, G const float *restrict GY, long gy0, G float *restrict DG, long d0 BOUND)
{
    INSIDE;
    long o = get_global_id(1);
    G const float *x = X + x0 + o / a.places * a.in[0] * a.in[1] * a.in[2] * a.channels,
                  *gy = GY + gy0 + o * a.channels;
    float dw = 0.0f, dh = 0.0f, dd = 0.0f;
    EACH_NEIGHBOUR(GRID + g0 + o * a.axes, {
        float sum = 0.0f;
        for (long c = 0; c < a.channels; c++) sum += gy[c] * x[at * a.channels + c];
        dw += sum * d.share * h.share * w.slope;
        dh += sum * d.share * h.slope * w.share;
        dd += sum * d.slope * h.share * w.share;
    })
    G float *to = DG + d0 + o * a.axes;
    to[0] = dw;
    to[1] = dh;
    if (a.axes == 3) to[2] = dd;
}
