#include "conv_tile.clh"
/* roi_align.cl - means over regions of pictures x (N, H, W, C): boxes (R, 4) as x1, y1, x2, y2 are cut into (out[0],
 * out[1]) bins, and in each some points are read between pixels (He et al. 2017, as torchvision has it): y (R, OH, OW,
 * C). */

/* src/op/roi_align.c has the same struct. */
typedef struct roi_args {
    long in[2], out[2];
    long channels, part, pictures, regions;
    float scale, offset;
    int points, aligned;
} roi_args;

/* The points of one bin along a dimension: the first, their distance, how many. */
typedef struct row { float first, step; int points; } row;
INLINE row row_of(const roi_args *a, int i, float from, float to, long bin)
{
    float begin = from * a->scale - a->offset, size = to * a->scale - a->offset - begin;
    if (!a->aligned) size = fmax(size, 1.0f);
    float each = size / (float)a->out[i];
    row r = {0.0f, 0.0f, a->points > 0 ? a->points : max((int)ceil(size / (float)a->out[i]), 0)};
    r.step = each / (float)r.points;
    r.first = begin + (float)bin * each + 0.5f * r.step;
    return r;
}

/* The pixels on both sides of a point and the share of the second; low -1: outside. */
typedef struct between { long low, high; float share; } between;
INLINE between between_of(const roi_args *a, int i, float at)
{
    between b = {-1, -1, 0.0f};
    if (!(at >= -1.0f && at <= (float)a->in[i])) return b;
    at = fmax(at, 0.0f);
    b.low = min((long)at, a->in[i] - 1);
    b.high = min(b.low + 1, a->in[i] - 1);
    b.share = b.high == b.low ? 0.0f : at - (float)b.low;
    return b;
}

/* BODY for each pixel of a point, with its `share` and place `at` within the picture. */
#define EACH_PIXEL(BOX, OH, OW, BODY)                                                                           \
    {                                                                                                           \
        row v = row_of(&a, 0, (BOX)[1], (BOX)[3], OH), u = row_of(&a, 1, (BOX)[0], (BOX)[2], OW);               \
        float count = (float)max(v.points * u.points, 1);                                                       \
        LOOP for (int i = 0; i < v.points; i++) {                                                               \
            between y = between_of(&a, 0, v.first + (float)i * v.step);                                         \
            LOOP for (int j = 0; j < u.points; j++) {                                                           \
                between x = between_of(&a, 1, u.first + (float)j * u.step);                                     \
                LOOP for (int k = 0; k < 4 && y.low >= 0 && x.low >= 0; k++) {                                  \
                    float sy = k & 2 ? y.share : 1.0f - y.share, sx = k & 1 ? x.share : 1.0f - x.share;         \
                    float share = sy * sx / count;                                                              \
                    long at = (k & 2 ? y.high : y.low) * a.in[1] + (k & 1 ? x.high : x.low);                    \
                    if (share == 0.0f) continue;                                                                \
                    BODY                                                                                        \
                }                                                                                               \
            }                                                                                                   \
        }                                                                                                       \
    }

INLINE void add_pixel(G float *y, G const float *x, float share, long n)
{
    for (long c = 0; c < n; c++) y[c] = fma(share, x[c], y[c]);
}

/* Work-item (part of the channels, bin). A picture that is not there gives 0. */
__kernel void roi_align(const roi_args a, G const float *restrict X, long x0, G const float *restrict BOXES, long b0,
                        G const int *restrict OF, long o0, G float *restrict Y, long y0 BOUND)
{
    INSIDE;
    long c = get_global_id(0) * a.part, bin = get_global_id(1), n = min(a.part, a.channels - c);
    long region = bin / (a.out[0] * a.out[1]), picture = OF[o0 + region];
    G float *to = Y + y0 + bin * a.channels + c;
    G const float *from = X + x0 + picture * a.in[0] * a.in[1] * a.channels + c, *box = BOXES + b0 + 4 * region;
    for (long k = 0; k < n; k++) to[k] = 0.0f;
    if (picture < 0 || picture >= a.pictures) return;
    EACH_PIXEL(box, bin / a.out[1] % a.out[0], bin % a.out[1], add_pixel(to, from + at * a.channels, share, n);)
}

/* dx (zero before): work-item (part of the channels, picture), through its regions in order. */
__kernel void roi_align_dx(const roi_args a, G const float *restrict BOXES, long b0, G const int *restrict OF, long o0,
                           G const float *restrict GY, long g0, G float *restrict DX, long d0 BOUND)
{
    INSIDE;
    long c = get_global_id(0) * a.part, picture = get_global_id(1), n = min(a.part, a.channels - c);
    G float *to = DX + d0 + picture * a.in[0] * a.in[1] * a.channels + c;
    LOOP for (long region = 0; region < a.regions; region++) {
        if (OF[o0 + region] != picture) continue;
        G const float *box = BOXES + b0 + 4 * region;
        LOOP for (long oh = 0; oh < a.out[0]; oh++)
            LOOP for (long ow = 0; ow < a.out[1]; ow++) {
                G const float *gy = GY + g0 + ((region * a.out[0] + oh) * a.out[1] + ow) * a.channels + c;
                EACH_PIXEL(box, oh, ow, add_pixel(to + at * a.channels, gy, share, n);)
            }
    }
}
