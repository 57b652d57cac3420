#include "gemm.clh"
/* gemm_plain.cl - the product with any strides, straight from memory. */
#define ROWS 4

/* Work-item (x, y, z): ROWS rows from y * ROWS on, one vector of columns from x * TL_VECTOR on, matrix z. */
__kernel void gemm_plain(const gemm_args g, G const float *restrict A, G const float *restrict B, G float *C,
                         G const float *restrict bias, G const float *restrict R BOUND)
{
    INSIDE;
    long j = get_global_id(0) * TL_VECTOR, i = get_global_id(1) * ROWS, z = get_global_id(2);
    int n = (int)min((long)TL_VECTOR, g.n - j), rows = (int)min((long)ROWS, g.m - i);
    G const float *a = A + g.a_at + z * g.a_batch + i * g.a_row, *b = B + g.b_at + z * g.b_batch + j * g.b_col;
    /* Rows that are not there repeat the last one and are not written. */
    long r1 = min(1, rows - 1) * g.a_row, r2 = min(2, rows - 1) * g.a_row, r3 = min(3, rows - 1) * g.a_row;
    vf c0 = (vf)0.0f, c1 = (vf)0.0f, c2 = (vf)0.0f, c3 = (vf)0.0f;
    for (long k = 0; k < g.k; k++) {
        vf bv = load_part(b + k * g.b_row, g.b_col, n);
        G const float *ak = a + k * g.a_col;
        c0 = fma((vf)ak[0], bv, c0);
        c1 = fma((vf)ak[r1], bv, c1);
        c2 = fma((vf)ak[r2], bv, c2);
        c3 = fma((vf)ak[r3], bv, c3);
    }
    finish(c0, &g, C, bias, R, i, j, z, n);
    if (rows > 1) finish(c1, &g, C, bias, R, i + 1, j, z, n);
    if (rows > 2) finish(c2, &g, C, bias, R, i + 2, j, z, n);
    if (rows > 3) finish(c3, &g, C, bias, R, i + 3, j, z, n);
}
