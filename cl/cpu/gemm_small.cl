#include "gemm.clh"
/* gemm_small.cl - products that do not repay packing: few rows, few columns or a short k. Operands are read in place. */

/* Rows behind the last one repeat it, so that the loops need no test; they are not written. */
#define AT(p, count, i, stride) ((p) + min((long)(i), (long)(count) - 1) * (stride))

/* Both operands lie along k: a tile of 4 x 4 dot products, each a vector of partial sums that is added up at the end.
 * Work-item (x, y, z): columns from 4 x on, rows from 4 y on, matrix z. */
__kernel void gemm_dots(const gemm_args g, G const float *restrict A, G const float *restrict B, G float *C, G const float *restrict bias,
                        G const float *restrict R)
{
    long j = get_global_id(0) * 4, i = get_global_id(1) * 4, z = get_global_id(2), k = 0;
    int rows = (int)min(4L, g.m - i), cols = (int)min(4L, g.n - j);
    G const float *a[4], *b[4];
    vf s[4][4];
    UNROLL for (int y = 0; y < 4; y++) {
        a[y] = AT(A + g.a_at + z * g.a_batch + i * g.a_row, rows, y, g.a_row);
        b[y] = AT(B + g.b_at + z * g.b_batch + j * g.b_col, cols, y, g.b_col);
        UNROLL for (int x = 0; x < 4; x++) s[y][x] = (vf)0.0f;
    }
    for (; k + TL_VECTOR <= g.k; k += TL_VECTOR) {
        vf bv[4];
        UNROLL for (int x = 0; x < 4; x++) bv[x] = VLOAD(0, b[x] + k);
        UNROLL for (int y = 0; y < 4; y++) {
            vf av = VLOAD(0, a[y] + k);
            UNROLL for (int x = 0; x < 4; x++) s[y][x] = fma(av, bv[x], s[y][x]);
        }
    }
    float sums[16 * TL_VECTOR];
    UNROLL for (int y = 0; y < 4; y++) UNROLL for (int x = 0; x < 4; x++) VSTORE(s[y][x], y * 4 + x, sums);
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < cols; x++) {
            float *t = sums + (y * 4 + x) * TL_VECTOR;
            for (long q = k; q < g.k; q++) t[0] += AT(A + g.a_at + z * g.a_batch + i * g.a_row, rows, y, g.a_row)[q] *
                                                   AT(B + g.b_at + z * g.b_batch + j * g.b_col, cols, x, g.b_col)[q];
            for (int h = TL_VECTOR / 2; h; h /= 2)
                for (int q = 0; q < h; q++) t[q] += t[q + h];
            finish_one(t[0], &g, C, bias, R, i + y, j + x, z);
        }
}

/* b lies along n: a tile of 8 rows x 2 vectors. Work-item (x, y, z): columns from 2 x TL_VECTOR on, rows from 8 y on, matrix z. */
__kernel void gemm_strips(const gemm_args g, G const float *restrict A, G const float *restrict B, G float *C, G const float *restrict bias,
                          G const float *restrict R)
{
    long j = get_global_id(0) * (2 * TL_VECTOR), i = get_global_id(1) * 8, z = get_global_id(2);
    int rows = (int)min(8L, g.m - i), cols = (int)min(2L * TL_VECTOR, g.n - j);
    G const float *a[8], *b = B + g.b_at + z * g.b_batch + j;
    vf s[8][2];
    UNROLL for (int y = 0; y < 8; y++) {
        a[y] = AT(A + g.a_at + z * g.a_batch + i * g.a_row, rows, y, g.a_row);
        s[y][0] = s[y][1] = (vf)0.0f;
    }
    if (cols == 2 * TL_VECTOR) {
        for (long k = 0; k < g.k; k++, b += g.b_row) {
            vf b0 = VLOAD(0, b), b1 = VLOAD(1, b);
            UNROLL for (int y = 0; y < 8; y++) {
                vf av = (vf)a[y][k * g.a_col];
                s[y][0] = fma(av, b0, s[y][0]);
                s[y][1] = fma(av, b1, s[y][1]);
            }
        }
    } else {
        for (long k = 0; k < g.k; k++, b += g.b_row) {
            vf b0 = load_part(b, 1, cols), b1 = cols > TL_VECTOR ? load_part(b + TL_VECTOR, 1, cols - TL_VECTOR) : (vf)0.0f;
            UNROLL for (int y = 0; y < 8; y++) {
                vf av = (vf)a[y][k * g.a_col];
                s[y][0] = fma(av, b0, s[y][0]);
                s[y][1] = fma(av, b1, s[y][1]);
            }
        }
    }
    vf spare[16];
    UNROLL for (int y = 0; y < 8; y++) {
        spare[2 * y] = s[y][0];
        spare[2 * y + 1] = s[y][1];
    }
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < 2 && x * TL_VECTOR < cols; x++)
            finish(spare[2 * y + x], &g, C, bias, R, i + y, j + x * TL_VECTOR, z, min(TL_VECTOR, cols - x * TL_VECTOR));
}
