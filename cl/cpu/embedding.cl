#include "common.clh"
#include "index.clh"
/* embedding.cl - rows of a table by number; T is their type. */
#ifndef T
#define T float
#endif

/* y[i, :] = table[ids[i], :]; work-item i */
__kernel void embedding(G const T *restrict table, long t0, G const int *restrict ids, long i0, G T *restrict Y,
                        long y0, long rows, long width, G int *error BOUND)
{
    INSIDE;
    long i = get_global_id(0);
    int id = ids[i0 + i], ok = index_ok(id, rows, error);
    for (long c = 0; c < width; c++) Y[y0 + i * width + c] = ok ? table[t0 + id * width + c] : 0;
}

/* The same of a table whose rows owe factors (tl_debt in src/device/device.h), which what is read has. */
__kernel void embedding_owing(G const float *restrict table, long t0, G const int *restrict ids, long i0,
                              G float *restrict Y, long y0, long rows, long width, G int *error,
                              G const int *restrict paid, G const float *restrict factors, long count BOUND)
{
    INSIDE;
    long i = get_global_id(0);
    int id = ids[i0 + i], ok = index_ok(id, rows, error), owes = ok && paid[id] == 0;
    Y += y0 + i * width;
    for (long c = 0; c < width; c++) Y[c] = ok ? table[t0 + id * width + c] : 0;
    LOOP for (long k = 0; owes && k < count; k++) {
        float f = factors[k];
        for (long c = 0; c < width; c++) Y[c] *= f;
    }
}

/* dtable[id, :] += gy over the places `order[first..last)` that hold `id`, which the host has sorted: one work-item an
 * id that occurs, places in ascending order, so that sums are always taken in the same order. */
__kernel void embedding_grad(G const float *restrict GY, long g0, G const int *restrict order, G const int *restrict segments, G float *restrict D, long d0,
                             long width, long count BOUND)
{
    INSIDE;
    long s = get_global_id(0);
    int id = segments[2 * s], first = segments[2 * s + 1], last = segments[2 * s + 3];
    for (int k = first; k < last; k++)
        for (long c = 0; c < width; c++) D[d0 + id * width + c] += GY[g0 + (long)order[k] * width + c];
}
