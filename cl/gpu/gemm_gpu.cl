#include "gemm.clh"
/* gemm_gpu.cl - the product on devices with many work-items to a group. A group makes BM x BN elements of c, each
 * work-item TM x TN of them in registers: fours of rows and columns, so that local memory is read in vectors of four.
 * The operands go through local memory BK of k at a time, in two buffers: while one is multiplied the next stretch is
 * on its way from memory to registers, and one barrier a turn is enough.
 *
 * Built for a layout: A_ALONG_K and B_ALONG_K say along which of its axes an operand lies together, WIDE is 4 where
 * that axis can be read in aligned fours (its length, too, is a multiple of four) and 1 elsewhere. GATHER 1: a is
 * patches of pictures, 2: b is (gather.clh); VOLUME: they have more than one plane; SPREAD: rows of c go to a part of
 * the pixels of a larger picture.
 *
 * Rows and columns that are not there repeat the last one and are not stored; beyond k both operands are zero. */
#define ACROSS (BN / TN)
#define ITEMS ((BM / TM) * ACROSS)
/* Four more: scalars that fill columns then go to different banks, and vectors stay aligned. */
#define LINE_A (BM + 4)
#define LINE_B (BN + 4)
#define STAGE (BK * (LINE_A + LINE_B))
#define ROOM (2 * STAGE)
#define FOURS (TN / 4)

/* How many of k at once: unrolled whole, the loads of all are moved together until they take 160 registers. */
#if TM * TN > 32 || WIDE == 1
#define FEW _Pragma("unroll 1")
#else
#define FEW _Pragma("unroll 2")
#endif

/* ---- what a work-item loads ---- */

/* Vectors v0, v1, ... of an operand, whose k is the same and whose place along the other axis is APART further each.
 * Along k: BK / WIDE vectors of a row lie together. Along the other axis: the work-items of one k do. */
#define COUNT(SIDE) ((SIDE) * BK / WIDE > ITEMS ? (SIDE) * BK / WIDE / ITEMS : 1)
#define K_OF(ALONG_K, id) ((ALONG_K) ? (id) % (BK / WIDE) * WIDE : (id) / (ITEMS / BK))
#define FIRST_OF(ALONG_K, id) ((ALONG_K) ? (id) / (BK / WIDE) : (id) % (ITEMS / BK) * WIDE)
#define APART(ALONG_K) ((ALONG_K) ? ITEMS / (BK / WIDE) : ITEMS / BK * WIDE)
#define EACH_LOAD(t, SIDE) UNROLL for (int t = 0; t < COUNT(SIDE); t++)
/* Where vector t is along the other axis, and at most: from there on the last one is repeated. */
#define A_PLACE(t) min(ai + (t) * APART(A_ALONG_K), rows - (A_ALONG_K ? 1 : WIDE))
#define B_PLACE(t) min(bj + (t) * APART(B_ALONG_K), columns - (B_ALONG_K ? 1 : WIDE))
/* From one row of a, or column of b, to the next. */
#if A_ALONG_K || WIDE == 1
#define A_STEP (int)g.a_row
#else
#define A_STEP 1
#endif
#if B_ALONG_K || WIDE == 1
#define B_STEP (int)g.b_col
#else
#define B_STEP 1
#endif

#if WIDE == 4
typedef float4 wide;
#define LOAD(p) (*(G const float4 *)(p))
#else
typedef float wide;
#define LOAD(p) (*(p))
#endif

#define TAKE(v, SIDE, X, off, there) EACH_LOAD(t, SIDE) (v)[t] = (there) ? LOAD((X) + (off)[t]) : (wide)0.0f;

#if GATHER
#include "gpu/gather.clh"
#define GATHERED const gather_args p,
#define TAKE_PATCHES(v, SIDE, X, moving, there) \
    EACH_LOAD(t, SIDE)                               \
        (v)[t] = (there) && meets(&p, fixed[t], moving) ? LOAD((X) + (fixed[t].off + (moving).off)) : (wide)0.0f;
#else
#define GATHERED
#endif

/* What is worked out before the first load, and the loads of the stretch that begins at k0. */
#if GATHER == 1
#define PREPARE_A                                                                                        \
    place fixed[COUNT(BM)];                                                                              \
    EACH_LOAD(t, BM) fixed[t] = pixel_place(&p, digits_of((int)i0 + A_PLACE(t), PIXEL_RADICES(&p)));          \
    digits count = digits_of(from + ak, TAP_RADICES(&p));
#define TAKE_A(k0)                                       \
    {                                                    \
        place moving = tap_place(&p, count);             \
        TAKE_PATCHES(va, BM, a, moving, (k0) + ak < to)  \
        count_on(&count, BK, TAP_RADICES(&p));           \
    }
#else
#define PREPARE_A                                \
    int a_off[COUNT(BM)];                        \
    a += i0 * g.a_row + (from + ak) * g.a_col;   \
    EACH_LOAD(t, BM) a_off[t] = A_PLACE(t) * A_STEP;
#define TAKE_A(k0)                            \
    TAKE(va, BM, a, a_off, (k0) + ak < to)    \
    a += BK * g.a_col;
#endif
#if GATHER == 2
#define PREPARE_B                                                                                        \
    place fixed[COUNT(BN)];                                                                              \
    EACH_LOAD(t, BN) fixed[t] = tap_place(&p, digits_of((int)j0 + B_PLACE(t), TAP_RADICES(&p)));              \
    digits count = digits_of(from + bk, PIXEL_RADICES(&p));
#define TAKE_B(k0)                                       \
    {                                                    \
        place moving = pixel_place(&p, count);           \
        TAKE_PATCHES(vb, BN, b, moving, (k0) + bk < to)  \
        count_on(&count, BK, PIXEL_RADICES(&p));         \
    }
#else
#define PREPARE_B                                \
    int b_off[COUNT(BN)];                        \
    b += j0 * g.b_col + (from + bk) * g.b_row;   \
    EACH_LOAD(t, BN) b_off[t] = B_PLACE(t) * B_STEP;
#define TAKE_B(k0)                            \
    TAKE(vb, BN, b, b_off, (k0) + bk < to)    \
    b += BK * g.b_row;
#endif

/* ---- to local memory, and from there ---- */

#if WIDE == 4
#define PUT_LINES(to, LINE, v, k, i)       \
    (to)[(k) * (LINE) + (i)] = (v).s0;       \
    (to)[((k) + 1) * (LINE) + (i)] = (v).s1; \
    (to)[((k) + 2) * (LINE) + (i)] = (v).s2; \
    (to)[((k) + 3) * (LINE) + (i)] = (v).s3;
#define PUT_TOGETHER(to, LINE, v, k, i) *(__local float4 *)((to) + (k) * (LINE) + (i)) = (v);
#else
#define PUT_LINES(to, LINE, v, k, i) (to)[(k) * (LINE) + (i)] = (v);
#define PUT_TOGETHER PUT_LINES
#endif
#define PUT(to, LINE, SIDE, ALONG_K, v, k, first)                                                     \
    EACH_LOAD(t, SIDE)                                                                                     \
        if ((SIDE) * BK / WIDE >= ITEMS || (first) < (SIDE)) {                                        \
            if (ALONG_K) { PUT_LINES(to, LINE, (v)[t], k, (first) + t * APART(ALONG_K)) }             \
            else { PUT_TOGETHER(to, LINE, (v)[t], k, (first) + t * APART(ALONG_K)) }                  \
        }
#define PUT_BOTH(to)                                     \
    PUT(to, LINE_A, BM, A_ALONG_K, va, ak, ai)           \
    PUT((to) + BK * LINE_A, LINE_B, BN, B_ALONG_K, vb, bk, bj)

/* N floats of a line of local memory: fours, PART apart. */
#define GET(v, N, line, PART)                                              \
    UNROLL for (int y = 0; y < N; y += 4) {                                \
        float4 t = *(__local const float4 *)((line) + y / 4 * (PART));     \
        v[y] = t.s0, v[y + 1] = t.s1, v[y + 2] = t.s2, v[y + 3] = t.s3;    \
    }

/* ---- to c ---- */

/* Four of c at once, or one by one where they are not aligned or not all there. Sums come from local memory, so that
 * this is written once for all of them: for all registers at once it would take more registers than there are. */
INLINE void finish_four(__local float4 *at, const gemm_args *g, G float *C, G const float *bias, G const float *R,
                        long c, long r, long b, int n, int whole)
{
    int act = g->activation;
    if (whole) {
        float4 x = *at * g->alpha;
        if (g->bias) x += *(G const float4 *)(bias + b);
        if (g->residual) x += *(G const float4 *)(R + r);
        if (g->accumulate) x += *(G const float4 *)(C + c);
        x = (float4)(activate(x.s0, act), activate(x.s1, act), activate(x.s2, act), activate(x.s3, act));
        *(G float4 *)(C + c) = x;
        return;
    }
    __local float *one = (__local float *)at;
    LOOP for (int j = 0; j < n; j++) {
        float x = one[j] * g->alpha;
        if (g->bias) x += bias[b + j];
        if (g->residual) x += R[r + j];
        if (g->accumulate) x += C[c + j];
        C[c + j] = activate(x, act);
    }
}

/* Rows of sums whose place in local memory each work-item has to itself. */
#define SLOTS (ROOM / (4 * ITEMS) / FOURS)
#define AT_ONCE (SLOTS >= TM ? TM : SLOTS >= 4 && TM >= 4 ? 4 : SLOTS >= 2 ? 2 : 1)
#define ROW_OF(y) ((y) / 4 * (BM / (TM / 4)) + ty * 4 + (y) % 4)
#define COLUMN_OF(x) ((x) * (BN / FOURS) + tx * 4)
#if SPREAD
#define LINE_OF(i) spread_to(&p, (int)(i))
#else
#define LINE_OF(i) (i)
#endif
/* Rows y0 to y0 + AT_ONCE of this work-item's sums to c. Written out for each y0: a compiler that does not unroll so
 * long a loop keeps the sums in memory. */
#define STORE_ROWS(y0)                                                                                                 \
    UNROLL for (int y = 0; y < AT_ONCE; y++)                                                                           \
        UNROLL for (int x = 0; x < TN; x += 4)                                                                         \
            slot[(y * FOURS + x / 4) * ITEMS] =                                                                        \
                (float4)(s[(y0) + y][x], s[(y0) + y][x + 1], s[(y0) + y][x + 2], s[(y0) + y][x + 3]);                  \
    LOOP for (int v = 0; v < AT_ONCE * FOURS; v++) {                                                                   \
        int i = ROW_OF((y0) + v / FOURS), j = COLUMN_OF(v % FOURS), n = min(columns - j, 4);                           \
        if (i >= rows || n <= 0) continue;                                                                             \
        finish_four(slot + v * ITEMS, &g, C, bias, R, g.c_at + z * g.c_batch + LINE_OF(i0 + i) * g.c_row + j0 + j,     \
                    g.r_at + z * g.r_batch + (i0 + i) * g.r_row + j0 + j, g.bias_at + matrix * g.bias_batch + j0 + j,  \
                    n, together && n == 4);                                                                            \
    }
#define STORE_TWICE(y0) STORE_ROWS(y0) STORE_ROWS((y0) + AT_ONCE)
#define STORE_FOUR_TIMES(y0) STORE_TWICE(y0) STORE_TWICE((y0) + 2 * AT_ONCE)
#if AT_ONCE == TM
#define STORE_ALL STORE_ROWS(0)
#elif 2 * AT_ONCE == TM
#define STORE_ALL STORE_TWICE(0)
#elif 4 * AT_ONCE == TM
#define STORE_ALL STORE_FOUR_TIMES(0)
#else
#define STORE_ALL STORE_FOUR_TIMES(0) STORE_FOUR_TIMES(4 * AT_ONCE)
#endif

/* Group (x, y, z): columns from BN x on, rows from BM y on, of matrix z / parts the part z % parts of k, `length` long.
 * `together`: rows of c, the residual and the bias lie on fours. */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void gemm_gpu(const gemm_args g, GATHERED G const float *restrict A, G const float *restrict B, G float *C,
              G const float *restrict bias, G const float *restrict R, int parts, int length, int together)
{
    __local float room[ROOM] __attribute__((aligned(16)));
    int id = get_local_id(0), tx = id % ACROSS, ty = id / ACROSS;
    long z = GROUP_OF(2), matrix = parts > 1 ? z / parts : z, j0 = GROUP_OF(0) * BN, i0 = GROUP_OF(1) * BM;
    int from = parts > 1 ? (int)(z % parts) * length : 0, to = min((int)g.k, parts > 1 ? from + length : (int)g.k);
    int ak = K_OF(A_ALONG_K, id), ai = FIRST_OF(A_ALONG_K, id), bk = K_OF(B_ALONG_K, id), bj = FIRST_OF(B_ALONG_K, id);
    int rows = (int)min((long)BM, g.m - i0), columns = (int)min((long)BN, g.n - j0), stage = 0;
    G const float *a = A + g.a_at + matrix * g.a_batch, *b = B + g.b_at + matrix * g.b_batch;
    wide va[COUNT(BM)], vb[COUNT(BN)];
    float s[TM][TN];
    PREPARE_A
    PREPARE_B
    UNROLL for (int y = 0; y < TM; y++) UNROLL for (int x = 0; x < TN; x++) s[y][x] = 0.0f;
    TAKE_A(from)
    TAKE_B(from)
    PUT_BOTH(room)
    barrier(CLK_LOCAL_MEM_FENCE);
    LOOP for (int k0 = from; k0 < to; k0 += BK) {
        int more = k0 + BK < to;
        if (more) {
            TAKE_A(k0 + BK)
            TAKE_B(k0 + BK)
        }
        __local const float *la = room + stage + ty * 4, *lb = room + stage + BK * LINE_A + tx * 4;
        FEW for (int k = 0; k < BK; k++) {
            float av[TM], bv[TN];
            GET(av, TM, la + k * LINE_A, BM / (TM / 4))
            GET(bv, TN, lb + k * LINE_B, BN / FOURS)
            UNROLL for (int y = 0; y < TM; y++)
                UNROLL for (int x = 0; x < TN; x++) s[y][x] = fma(av[y], bv[x], s[y][x]);
        }
        stage = STAGE - stage;
        if (more) {
            PUT_BOTH(room + stage)
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    __local float4 *slot = (__local float4 *)room + id;
    STORE_ALL
}

/* c = finish(the sum of `parts` products of stretches of k, in their order). P is (batch, parts, m, row). Work-item
 * (column, row, matrix). */
__kernel void gemm_parts(const gemm_args g, G const float *restrict P, G float *C, G const float *restrict bias,
                         G const float *restrict R, int parts, long row BOUND)
{
    INSIDE;
    long j = get_global_id(0), i = get_global_id(1), z = get_global_id(2);
    G const float *x = P + (z * parts * g.m + i) * row + j;
    float s = 0.0f;
    LOOP for (int t = 0; t < parts; t++) s += x[t * g.m * row];
    finish_one(s, &g, C, bias, R, i, j, z);
}
