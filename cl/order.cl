#include "common.clh"
/* order.cl - the largest (LARGEST 1) or least elements along the middle of x (outer, n, inner) and where they are. T is
 * their type. A NaN counts as the largest, as in PyTorch; among equals the first comes first. Work-item (i, o). */
#define NONE(a) ((a) != (a))
#if LARGEST
#define BEFORE(a, b) ((a) > (b) || (NONE(a) && !NONE(b)))
#else
#define BEFORE(a, b) ((a) < (b) || (NONE(b) && !NONE(a)))
#endif

/* NaN is taken for the least of all here as well. */
__kernel void arg(G const T *restrict X, long x0, G int *restrict Y, long y0, long n, long inner BOUND)
{
    INSIDE;
    long i = get_global_id(0), o = get_global_id(1);
    G const T *x = X + x0 + o * n * inner + i;
    T best = x[0];
    int at = 0;
    for (long k = 1; k < n; k++) {
        T v = x[k * inner];
        if ((LARGEST ? v > best : v < best) || (NONE(v) && !NONE(best))) {
            best = v;
            at = (int)k;
        }
    }
    Y[y0 + o * inner + i] = at;
}

/* y and places (outer, m, inner), in order: each element is put behind the last that is not after it. */
__kernel void topk(G const T *restrict X, long x0, G T *restrict Y, long y0, G int *restrict places, long p0, long n,
                   long m, long inner BOUND)
{
    INSIDE;
    long i = get_global_id(0), o = get_global_id(1), have = 0;
    G const T *x = X + x0 + o * n * inner + i;
    G T *y = Y + y0 + o * m * inner + i;
    G int *p = places + p0 + o * m * inner + i;
    for (long k = 0; k < n; k++) {
        T v = x[k * inner];
        if (have == m && !(BEFORE(v, y[(m - 1) * inner]))) continue;
        long at = have < m ? have++ : m - 1;
        for (; at > 0 && BEFORE(v, y[(at - 1) * inner]); at--) {
            y[at * inner] = y[(at - 1) * inner];
            p[at * inner] = p[(at - 1) * inner];
        }
        y[at * inner] = v;
        p[at * inner] = (int)k;
    }
}
