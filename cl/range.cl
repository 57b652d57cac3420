#include "common.clh"
/* range.cl - y[i] = start + i * step; work-item i. */
__kernel void range(G int *restrict Y, long y0, int start, int step BOUND)
{
    INSIDE;
    Y[y0 + get_global_id(0)] = (int)(start + (long)get_global_id(0) * step);
}
