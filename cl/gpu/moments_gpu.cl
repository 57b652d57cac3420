#include "gpu/column_group.clh"
/* moments_gpu.cl - for batch and group norm on GPUs: mean and sum of squared distances from it of the columns of x
 * (outer, rows, columns), in parts that moments_joined puts together. Three numbers stand for a stretch of a column:
 * how many rows, their mean, the sum of squares. */

/* Two stretches as one (Chan, Golub, LeVeque 1983). */
INLINE float4 join(float4 a, float4 b)
{
    float n = a.x + b.x, share = n > 0.0f ? b.x / n : 0.0f, d = b.y - a.y;
    return (float4)(n, a.y + d * share, a.z + b.z + d * d * a.x * share, 0.0f);
}
DOWN_LANES(moments_down, float4, join)

static inline void put(float4 m, G float *p, long columns)
{
    p[0] = m.y;
    p[columns] = m.z;
}

/* P (outer, parts, 2, columns). Distances are taken from the lane's first row, so that a large mean does not eat the
 * small digits. */
__kernel void moments_gpu(G const float *restrict X, long x0, G float *restrict P, long p0, long parts, COLUMN_ARGS)
{
    __local float4 t[MOST_ITEMS];
    COLUMN_PLACE;
    G const float *x = X + x0 + outer * rows * columns + c;
    float shift = first < end ? x[first * columns] : 0.0f, sum = 0.0f, square = 0.0f, n = 0.0f;
    EACH_OF_COLUMN {
        float d = x[r * columns] - shift;
        sum += d;
        square = fma(d, d, square);
    }
    if (first < end) n = (float)((end - first + down - 1) / down);
    float mean = n > 0.0f ? sum / n : 0.0f;
    float4 m = moments_down(t, (float4)(n, shift + mean, square - sum * mean, 0.0f), id, across);
    if (lane == 0 && inside) put(m, P + p0 + (outer * parts + part) * 2 * columns + c, columns);
}

/* J (outer, 2, columns) of P, whose parts are the rows here: all have `each` of `total` rows but the last. */
__kernel void moments_joined_gpu(G const float *restrict P, long p0, G float *restrict J, long j0, long total,
                                 long each, COLUMN_ARGS)
{
    __local float4 t[MOST_ITEMS];
    COLUMN_PLACE;
    G const float *p = P + p0 + outer * rows * 2 * columns + c;
    float4 m = (float4)0.0f;
    EACH_OF_COLUMN m = join(m, (float4)((float)min(each, total - r * each), p[2 * r * columns],
                                        p[(2 * r + 1) * columns], 0.0f));
    m = moments_down(t, m, id, across);
    if (lane == 0 && inside) put(m, J + j0 + outer * 2 * columns + c, columns);
}
