#include "gpu/row_group.clh"
/* order_gpu.cl - order.cl's `arg` with lanes to a row: the place of the largest (LARGEST 1) or least element along the
 * last dimension of x (rows, n). T is its type. A NaN counts as what is looked for; among equals the first is taken. */
#define NONE(a) ((a) != (a))
#if LARGEST
#define BEFORE(a, b) ((a) > (b) || (NONE(a) && !NONE(b)))
#else
#define BEFORE(a, b) ((a) < (b) || (NONE(a) && !NONE(b)))
#endif

__kernel void arg_gpu(G const T *restrict X, long x0, G int *restrict Y, long y0, long n, ROW_ARGS)
{
    __local T best[MOST_ITEMS];
    __local int at[MOST_ITEMS];
    ROW_PLACE(n);
    G const T *x = X + x0 + r * n;
    /* Lanes behind the end of a row have none. */
    T v = 0;
    int place = -1;
    EACH_OF_ROW {
        T other = x[i];
        if (place < 0 || BEFORE(other, v)) {
            v = other;
            place = (int)i;
        }
    }
    best[id] = v;
    at[id] = place;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int k = lanes / 2; k > 0; k /= 2) {
        if (lane < k && at[id + k] >= 0) {
            T a = best[id], b = best[id + k];
            if (at[id] < 0 || BEFORE(b, a) || (!(BEFORE(a, b)) && at[id + k] < at[id])) {
                best[id] = b;
                at[id] = at[id + k];
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (lane == 0 && r < rows) Y[y0 + r] = at[id];
}
