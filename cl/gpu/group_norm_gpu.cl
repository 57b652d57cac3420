#include "gpu/column_group.clh"
/* group_norm_gpu.cl - group_norm.cl's work over rows and over the channels of a group with lanes; the moments of
 * channels are moments_gpu.cl's. */
OVER_LANES(sum_over_lanes, float, ADDED)
OVER_LANES(pair_over_lanes, float2, ADDED)

/* Where row r, group r % (channels / wide) of a sample, has its first channel in (N, 2, channels). */
#define FIRST_CHANNEL                                                                             \
    long of = min(r, rows - 1), groups = channels / wide, sample = of / groups,                   \
         c = (of - sample * groups) * wide, at = 2 * sample * channels + c

/* Joins the `wide` channels of a group, and writes mean and 1 / sqrt(variance + eps) for each of them: S (N, 2,
 * channels) from J. `places` are the rows of a channel. */
__kernel void group_statistics_gpu(G const float *restrict J, long j0, G float *restrict S, long s0, long places,
                                   long channels, long wide, float eps, ROW_ARGS)
{
    __local float t[MOST_ITEMS];
    ROW_PLACE(wide);
    FIRST_CHANNEL;
    G const float *j = J + j0 + at;
    G float *s = S + s0 + at;
    float mean = 0.0f, square = 0.0f;
    EACH_OF_ROW mean += j[i];
    mean = sum_over_lanes(t, mean, id, lanes) / (float)wide;
    EACH_OF_ROW square += j[channels + i] + (float)places * (j[i] - mean) * (j[i] - mean);
    square = sum_over_lanes(t, square, id, lanes);
    float inverse = 1.0f / sqrt(square / ((float)places * (float)wide) + eps);
    EACH_OF_ROW {
        s[i] = mean;
        s[channels + i] = inverse;
    }
}

/* Means over a group of w g and of w g xhat, for each of its channels: from sums T (N, 2, channels) to M. */
__kernel void group_shares_gpu(G const float *restrict T, long t0, G const float *restrict W, long w0, int weighted,
                               G float *restrict M, long m0, long places, long channels, long wide, ROW_ARGS)
{
    __local float2 sums[MOST_ITEMS];
    ROW_PLACE(wide);
    FIRST_CHANNEL;
    G const float *t = T + t0 + at;
    G float *m = M + m0 + at;
    float2 mine = (float2)0.0f;
    EACH_OF_ROW mine += (weighted ? W[w0 + c + i] : 1.0f) * (float2)(t[i], t[channels + i]);
    mine = pair_over_lanes(sums, mine, id, lanes) / ((float)places * (float)wide);
    EACH_OF_ROW {
        m[i] = mine.x;
        m[channels + i] = mine.y;
    }
}

/* Parts of sum(g) and sum(g xhat), where g = gy times the slope at z: P (N, parts, 2, columns). */
__kernel void group_gradient_sums_gpu(G const float *restrict X, long x0, G const float *restrict GY, long g0,
                                      G const float *restrict S, long s0, G const float *restrict W, long w0,
                                      int weighted, G const float *restrict B, long b0, int biased, float slope,
                                      G float *restrict P, long p0, long parts, COLUMN_ARGS)
{
    __local float2 t[MOST_ITEMS];
    COLUMN_PLACE;
    long own = min(c, columns - 1), from = outer * rows * columns + c;
    G const float *s = S + s0 + 2 * outer * columns;
    float mean = s[own], inverse = s[columns + own], shift = biased ? B[b0 + own] : 0.0f;
    float scale = weighted ? inverse * W[w0 + own] : inverse;
    float2 sums = (float2)0.0f;
    EACH_OF_COLUMN {
        float d = X[x0 + from + r * columns] - mean, g = GY[g0 + from + r * columns];
        g = fma(d, scale, shift) > 0.0f ? g : slope * g;
        sums = fma((float2)(1.0f, d * inverse), (float2)g, sums);
    }
    sums = sums_down(t, sums, id, across);
    if (lane != 0 || !inside) return;
    G float *p = P + p0 + (outer * parts + part) * 2 * columns + c;
    p[0] = sums.x;
    p[columns] = sums.y;
}
