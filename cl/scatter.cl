#include "common.clh"
#include "index.clh"
/* scatter.cl - elements written where numbers say, of type T. y (outer, n, inner), ids and u (outer, m, inner). HOW: 0
 * written over, 1 added, 2 multiplied, 3 the largest, 4 the least. Each line belongs to one work-item (i, o), which
 * goes through k in order: the last that is written stays, and sums have one order. */
#if HOW == 0
#define JOIN(a, b) (b)
#elif HOW == 1
#define JOIN(a, b) ((a) + (b))
#elif HOW == 2
#define JOIN(a, b) ((a) * (b))
#elif HOW == 3
#define JOIN(a, b) ((a) > (b) || (a) != (a) ? (a) : (b))
#else
#define JOIN(a, b) ((a) < (b) || (a) != (a) ? (a) : (b))
#endif

__kernel void scatter(G const int *restrict ids, long i0, G const T *restrict U, long u0, G T *restrict Y, long y0,
                      long n, long m, long inner, G int *error BOUND)
{
    INSIDE;
    long i = get_global_id(0), o = get_global_id(1);
    for (long k = 0; k < m; k++) {
        long e = (o * m + k) * inner + i;
        int id = ids[i0 + e];
        if (!index_ok(id, n, error)) continue;
        G T *y = Y + y0 + (o * n + id) * inner + i;
        *y = JOIN(*y, U[u0 + e]);
    }
}

/* Of products: du[k] = gy x times all other factors of the same element. g and p (outer, m, inner): gy and y gathered;
 * x: the first factors gathered. Only where u[k] is 0 are the others multiplied again. */
__kernel void product_du(G const int *restrict ids, long i0, G const float *restrict U, long u0,
                         G const float *restrict GY, long g0, G const float *restrict P, long p0,
                         G const float *restrict X, long x0, G float *restrict DU, long d0, long m, long inner BOUND)
{
    INSIDE;
    long i = get_global_id(0), o = get_global_id(1);
    for (long k = 0; k < m; k++) {
        long e = (o * m + k) * inner + i;
        float u = U[u0 + e], others = P[p0 + e] / u;
        if (u == 0.0f) {
            others = X[x0 + e];
            for (long j = 0; j < m; j++) {
                long f = (o * m + j) * inner + i;
                if (j != k && ids[i0 + f] == ids[i0 + e]) others *= U[u0 + f];
            }
        }
        DU[d0 + e] = GY[g0 + e] * others;
    }
}
