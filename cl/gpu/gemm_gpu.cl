#include "gemm.clh"
/* gemm_gpu.cl - the product on devices with many work-items to a group: a group of 16 x 16 makes a square of c,
 * each work-item MICRO x MICRO elements of it, sixteen apart so that neighbours touch neighbouring memory. Scalars
 * and local memory only: it must run on any driver. */
#define SIDE (16 * MICRO)
#define DEPTH 16

/* Sums y of all work-items go out by way of local memory, where each finds its own again: finish() for every register at once would take more
 * registers than there are. Written out for each y, since compilers that would not unroll so long a loop keep the sums in memory. */
#define STORE_ROW(y)                                                                                        \
    UNROLL for (int x = 0; x < MICRO; x++) a[ly][lx + 16 * x] = s[y][x];                                    \
    LOOP for (int x = lx; x < SIDE; x += 16)                                                                \
        if (i0 + ly + 16 * y < g.m && j0 + x < g.n)                                                         \
            finish((vf)a[ly][x], &g, C, bias, R, i0 + ly + 16 * y, j0 + x, z, 1);

/* Group (x, y, z): the square of c at column SIDE x, row SIDE y of matrix z. */
__kernel __attribute__((reqd_work_group_size(16, 16, 1)))
void gemm_gpu(const gemm_args g, G const float *restrict A, G const float *restrict B, G float *C, G const float *restrict bias,
              G const float *restrict R)
{
    /* One more than SIDE: work-items that fill a column of the square then use different banks. */
    __local float a[DEPTH][SIDE + 1], b[DEPTH][SIDE + 1];
    long j0 = GROUP_OF(0) * SIDE, i0 = GROUP_OF(1) * SIDE, z = GROUP_OF(2);
    int lx = get_local_id(0), ly = get_local_id(1), id = ly * 16 + lx;
    G const float *az = A + g.a_at + z * g.a_batch, *bz = B + g.b_at + z * g.b_batch;
    float s[MICRO][MICRO];
    UNROLL for (int y = 0; y < MICRO; y++) UNROLL for (int x = 0; x < MICRO; x++) s[y][x] = 0.0f;
    for (long k0 = 0; k0 < g.k; k0 += DEPTH) {
        /* Each operand is read along whichever of its axes lies together in memory. */
        for (int e = id; e < DEPTH * SIDE; e += 256) {
            int k = g.a_col == 1 ? e % DEPTH : e / SIDE, i = g.a_col == 1 ? e / DEPTH : e % SIDE;
            a[k][i] = i0 + i < g.m && k0 + k < g.k ? az[(i0 + i) * g.a_row + (k0 + k) * g.a_col] : 0.0f;
        }
        for (int e = id; e < DEPTH * SIDE; e += 256) {
            int k = g.b_row == 1 ? e % DEPTH : e / SIDE, j = g.b_row == 1 ? e / DEPTH : e % SIDE;
            b[k][j] = j0 + j < g.n && k0 + k < g.k ? bz[(k0 + k) * g.b_row + (j0 + j) * g.b_col] : 0.0f;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int k = 0; k < DEPTH; k++) {
            float bv[MICRO];
            UNROLL for (int x = 0; x < MICRO; x++) bv[x] = b[k][lx + 16 * x];
            UNROLL for (int y = 0; y < MICRO; y++) {
                float av = a[k][ly + 16 * y];
                UNROLL for (int x = 0; x < MICRO; x++) s[y][x] = fma(av, bv[x], s[y][x]);
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    STORE_ROW(0) STORE_ROW(1)
#if MICRO >= 4
    STORE_ROW(2) STORE_ROW(3)
#endif
#if MICRO >= 8
    STORE_ROW(4) STORE_ROW(5) STORE_ROW(6) STORE_ROW(7)
#endif
}
