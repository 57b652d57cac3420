#include "gemm.clh"
/* gemm_epilogue.cl - the epilogue by itself, after a product that has none: c = activation(c + bias + residual).
 * Work-item (x, y, z): one vector of columns from x * TL_VECTOR on, row y, matrix z. */
__kernel void gemm_epilogue(const gemm_args g, G float *C, G const float *restrict bias, G const float *restrict R BOUND)
{
    INSIDE;
    long j = get_global_id(0) * TL_VECTOR, i = get_global_id(1), z = get_global_id(2);
    int n = (int)min((long)TL_VECTOR, g.n - j);
    G float *c = C + g.c_at + z * g.c_batch + i * g.c_row + j;
    vf x = load_part(c, 1, n);
    if (g.bias) x += load_part(bias + g.bias_at + z * g.bias_batch + j, 1, n);
    if (g.residual) x += load_part(R + g.r_at + z * g.r_batch + i * g.r_row + j, 1, n);
    store_part(activate(x, g.activation), c, n);
}
