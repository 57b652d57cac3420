#include "common.clh"
/* pack.cl - sequences of different lengths, padded to one or one behind the other. A row has `inner` numbers of which a
 * work-item moves `chunk`: all of them on processors. Work-item (part of a row, row of what is written). */
#ifndef T
#define T float
#endif

/* Y (rows, inner) = the rows of X (n, steps, inner) that count, sequence by sequence; zeros behind them. */
__kernel void pack(G const T *restrict X, long x0, G const int *restrict L, long l0, G T *restrict Y, long y0, long n,
                   long steps, long inner, long chunk BOUND)
{
    INSIDE;
    long k = get_global_id(0) * chunk, end = min(k + chunk, inner), left = get_global_id(1), b = 0;
    Y += y0 + left * inner;
    LOOP for (; b < n; b++) {
        long length = clamp((long)L[l0 + b], 0L, steps);
        if (left < length) break;
        left -= length;
    }
    X += x0 + (b * steps + left) * inner;
    for (; k < end; k++) Y[k] = b < n ? X[k] : 0;
}

/* Y (n, steps, inner) = X (rows, inner), each sequence at its place; zeros behind its end. */
__kernel void unpack(G const T *restrict X, long x0, G const int *restrict L, long l0, G T *restrict Y, long y0,
                     long rows, long steps, long inner, long chunk BOUND)
{
    INSIDE;
    long k = get_global_id(0) * chunk, end = min(k + chunk, inner), row = get_global_id(1), b = row / steps;
    long t = row - b * steps, from = t;
    LOOP for (long i = 0; i < b; i++) from += clamp((long)L[l0 + i], 0L, steps);
    int counts = t < L[l0 + b] && from < rows;
    Y += y0 + row * inner;
    X += x0 + from * inner;
    for (; k < end; k++) Y[k] = counts ? X[k] : 0;
}
