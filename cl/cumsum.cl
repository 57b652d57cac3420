#include "common.clh"
/* cumsum.cl - running sums along the middle of (outer, n, inner), of type T: y[o, i, k] = x[o, 0, k] + ... + x[o, i,
 * k], or without x[o, i, k] where EXCLUSIVE, and from the other end where FROM_END. Work-item (k, o). */
__kernel void cumsum(G const T *restrict X, long x0, G T *restrict Y, long y0, long n, long inner BOUND)
{
    INSIDE;
    long at = get_global_id(1) * n * inner + get_global_id(0);
    T sum = 0;
    for (long i = 0; i < n; i++) {
        long j = at + (FROM_END ? n - 1 - i : i) * inner;
        T x = X[x0 + j];
        Y[y0 + j] = EXCLUSIVE ? sum : sum + x;
        sum += x;
    }
}
