#include "common.clh"
/* rows.cl - gradients that have some rows of a table only, and what the other rows owe. A work-item has `chunk` numbers
 * of a row: all of it on processors, one elsewhere. */

/* D[id[r], :] += X[r, :] */
__kernel void rows_add(long n, long chunk, long width, G const int *restrict id, G const float *restrict X, long x0,
                       G float *restrict D, long d0 BOUND)
{
    INSIDE;
    long i = get_global_id(0) * chunk, end = min(i + chunk, n), r = i / width;
    D += d0 + (id[r] - r) * width;
    for (; i < end; i++) D[i] += X[x0 + i];
}

/* Y[r, :] = A[from[r].x, :] + B[from[r].y, :]; the last row of each is zero. */
__kernel void rows_sum(long n, long chunk, long width, G const int2 *restrict from, G const float *restrict A,
                       G const float *restrict B, G float *restrict Y BOUND)
{
    INSIDE;
    long i = get_global_id(0) * chunk, end = min(i + chunk, n), r = i / width;
    A += (from[r].x - r) * width;
    B += (from[r].y - r) * width;
    for (; i < end; i++) Y[i] = A[i] + B[i];
}

/* Rows that have not paid are multiplied by the factors, one after the other: the bits are those of a table that was
 * multiplied by each when it came. */
__kernel void rows_settle(long n, long chunk, long width, G float *restrict W, long w0, G const int *restrict paid,
                          G const float *restrict factors, long count BOUND)
{
    INSIDE;
    long i = get_global_id(0) * chunk, end = min(i + chunk, n);
    if (paid[i / width]) return;
    LOOP for (long k = 0; k < count; k++) {
        float f = factors[k];
        for (long c = i; c < end; c++) W[w0 + c] *= f;
    }
}

/* The same for the rows `place[first..].x` alone, which owe nothing from now on. */
__kernel void rows_pay(long n, long chunk, long width, G const int2 *restrict place, long first, G float *restrict W,
                       long w0, G int *restrict paid, G const float *restrict factors, long count BOUND)
{
    INSIDE;
    long i = get_global_id(0) * chunk, end = min(i + chunk, n), r = i / width, row = place[first + r].x;
    if (i == r * width) paid[row] = 1;
    W += w0 + (row - r) * width;
    LOOP for (long k = 0; k < count; k++) {
        float f = factors[k];
        for (long c = i; c < end; c++) W[c] *= f;
    }
}
