#include "common.clh"
#include "index.clh"
/* select.cl - elements chosen by others: where, gather; and edges added to a dimension: pad. T is their type, C that of
 * a condition. */
#ifndef T
#define T float
#endif
#ifndef CONDITION
#define CONDITION float
#endif

/* y[i] = c[i] is not 0 ? a[i] : b[i]; packed. Work-item: `chunk` elements. A NaN in c is not 0. */
__kernel void where(long n, long chunk, G const CONDITION *restrict C, long c0, G const T *restrict A, long a0,
                    G const T *restrict B, long b0, G T *restrict Y, long y0 BOUND)
{
    INSIDE;
    for (long i = get_global_id(0) * chunk, end = min(i + chunk, n); i < end; i++)
        Y[y0 + i] = C[c0 + i] != 0 ? A[a0 + i] : B[b0 + i];
}

/* x (outer, n, inner), ids and y (outer, m, inner): y[o, k, i] = x[o, ids[o, k, i], i]. Work-item: `chunk` elements of y. */
__kernel void gather(long count, long chunk, G const T *restrict X, long x0, G const int *restrict ids, long i0,
                     G T *restrict Y, long y0, long n, long m, long inner, G int *error BOUND)
{
    INSIDE;
    for (long e = get_global_id(0) * chunk, end = min(e + chunk, count); e < end; e++) {
        int id = ids[i0 + e];
        Y[y0 + e] = index_ok(id, n, error) ? X[x0 + (e / (m * inner) * n + id) * inner + e % inner] : 0;
    }
}

/* dx[o, ids[o, k, i], i] += gy[o, k, i], dx being zero: work-item (i, o), k in ascending order, so that sums have one order. */
__kernel void gather_grad(G const float *restrict GY, long g0, G const int *restrict ids, long i0, G float *restrict DX, long d0, long n, long m, long inner BOUND)
{
    INSIDE;
    long i = get_global_id(0), o = get_global_id(1);
    for (long k = 0; k < m; k++) {
        long e = (o * m + k) * inner + i;
        int id = ids[i0 + e];
        if (id >= 0 && id < n) DX[d0 + (o * n + id) * inner + i] += GY[g0 + e];
    }
}

/* Along one dimension: x (outer, n, inner), y (outer, before + n + after, inner). `reflect`: as in a mirror that stands on the last
 * element; else the last element again. Work-item (part of inner, row of what is written). */
__kernel void pad_edges(G const T *restrict X, long x0, G T *restrict Y, long y0, long n, long inner, long before,
                        long after, long part, int reflect BOUND)
{
    INSIDE;
    long row = get_global_id(1), length = before + n + after, at = row % length - before, from = get_global_id(0) * part, to = min(from + part, inner);
    if (reflect) at = at < 0 ? -at : at >= n ? 2 * (n - 1) - at : at;
    else at = clamp(at, 0L, n - 1);
    G const T *x = X + x0 + (row / length * n + at) * inner;
    G T *y = Y + y0 + row * inner;
    for (long i = from; i < to; i++) y[i] = x[i];
}

/* dx[k] = the sum of gy where x[k] was copied to. */
__kernel void pad_edges_dx(G const float *restrict GY, long g0, G float *restrict DX, long d0, long n, long inner, long before, long after, long part, int reflect BOUND)
{
    INSIDE;
    long row = get_global_id(1), k = row % n, length = before + n + after, from = get_global_id(0) * part, to = min(from + part, inner);
    G const float *gy = GY + g0 + row / n * length * inner;
    G float *dx = DX + d0 + row * inner;
    for (long i = from; i < to; i++) {
        float sum = gy[(before + k) * inner + i];
        if (reflect) {
            if (k >= 1 && k <= before) sum += gy[(before - k) * inner + i];
            if (k <= n - 2 && n - 1 - k <= after) sum += gy[(before + 2 * (n - 1) - k) * inner + i];
        } else {
            for (long j = 0; k == 0 && j < before; j++) sum += gy[j * inner + i];
            for (long j = 0; k == n - 1 && j < after; j++) sum += gy[(before + n + j) * inner + i];
        }
        dx[i] = sum;
    }
}
