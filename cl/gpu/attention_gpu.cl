#include "common.clh"
#include "random.clh"
/* attention_gpu.cl - cpu/attention.cl's work for devices with many work-items to a group, for heads of any width and
 * sequences of any length. A group of ITEMS has ROWS rows of a head (queries; keys in attention_gpu_dkv) and goes
 * through the other side in tiles of TILE rows, the softmax taken along the tiles (Milakov, Gimelshein 2018; Dao
 * 2022, FlashAttention). LANES work-items side by side share SR rows: each makes SR x 4 scores in registers, of
 * pieces of DEPTH features that the group lays into local memory with the features outermost; then each sums SR rows
 * by 4 QUADS features in registers. So local memory does not grow with width or length, and each number read from it
 * is used several times. */
#include "attention.clh"

#define TILE (4 * LANES)
#define DEPTH 16
#define ROWS (ITEMS / LANES * SR)
/* Features of a head in quads of four for each lane; behind the last there are zeros. */
#define QUADS ((HEAD + 4 * LANES - 1) / (4 * LANES))
#define WIDE (4 * LANES * QUADS)
/* Rows of values (or of what else is summed) in local memory at once: at most VROOM numbers, and a power of two, which
 * divides TILE, so that the last rows of a tile end with it. */
#define ROOM (VROOM / WIDE)
#define UP_TO_8 (ROOM >= 8 ? 8 : ROOM >= 4 ? 4 : ROOM >= 2 ? 2 : 1)
#define FEW (ROOM >= TILE ? TILE : ROOM >= 32 ? 32 : ROOM >= 16 ? 16 : UP_TO_8)
#if TILE % FEW
#error "sums would read behind a tile of scores"
#endif
/* Lines of local memory are four numbers longer than they need be: whole vectors, in different banks. */
#define ROW_LINE (ROWS + 4)
#define TILE_LINE (TILE + 4)
#define AS_GROUP __kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))

/* Who a work-item is: its first row among those of the group, and its lane. */
#define PLACE int id = get_local_id(0), row = id / LANES * SR, lane = id % LANES, first = (int)(GROUP_OF(0) * ROWS)
#define EACH_ROW UNROLL for (int r = 0; r < SR; r++)
#define EACH_QUAD UNROLL for (int x = 0; x < QUADS; x++)
#define ZERO_SCORES(s) EACH_ROW s[r] = (float4)0.0f
#define ZERO_SUMS(acc) EACH_ROW EACH_QUAD acc[r][x] = (float4)0.0f

/* DEPTH features from d0 on of `rows` rows, of which the first `count` are there, into `to` (DEPTH, line). */
INLINE void fetch_depth(__local float *to, int line, int rows, G const float *from, long stride, int count, int d0)
{
    LOOP for (int x = get_local_id(0); x < rows * DEPTH; x += ITEMS) {
        int j = x / DEPTH, d = x % DEPTH;
        to[d * line + j] = j < count && (HEAD % DEPTH == 0 || d0 + d < HEAD) ? from[j * stride + d0 + d] : 0.0f;
    }
}

/* s (SR rows of the work-item, 4 of the tile's) = A B^T over all features; A and B are the first rows of a group and
 * of a tile, `a_count` and `b_count` of them are there. at (DEPTH, ROW_LINE) and bt (DEPTH, TILE_LINE) are room. */
INLINE void scores(float4 *s, __local float *at, __local float *bt, G const float *A, long a_row, int a_count,
                   G const float *B, long b_row, int b_count, int row, int lane)
{
    ZERO_SCORES(s);
    LOOP for (int d0 = 0; d0 < HEAD; d0 += DEPTH) {
        barrier(CLK_LOCAL_MEM_FENCE);
        fetch_depth(at, ROW_LINE, ROWS, A, a_row, a_count, d0);
        fetch_depth(bt, TILE_LINE, TILE, B, b_row, b_count, d0);
        barrier(CLK_LOCAL_MEM_FENCE);
        _Pragma("unroll 4") for (int d = 0; d < DEPTH; d++)
        {
            float4 b = vload4(lane, bt + d * TILE_LINE);
            EACH_ROW s[r] = fma((float4)at[d * ROW_LINE + row + r], b, s[r]);
        }
    }
}

/* A work-item's scores into w (TILE, ROW_LINE), where all of a row's lanes find them. */
INLINE void put_scores(__local float *w, const float4 *s, int row, int lane)
{
    EACH_ROW {
        __local float *at = w + 4 * lane * ROW_LINE + row + r;
        at[0] = s[r].x;
        at[ROW_LINE] = s[r].y;
        at[2 * ROW_LINE] = s[r].z;
        at[3 * ROW_LINE] = s[r].w;
    }
}

/* acc (SR rows, 4 QUADS features of the lane) += sum over `count` rows t of a tile of w[t] V[t]; vt (FEW, WIDE) is
 * room. */
#define SUM_TILE(acc, w, vt, V, v_row, count)                                                                       \
    LOOP for (int t0 = 0; t0 < (count); t0 += FEW)                                                                  \
    {                                                                                                               \
        barrier(CLK_LOCAL_MEM_FENCE);                                                                               \
        LOOP for (int x = id; x < FEW * WIDE; x += ITEMS)                                                           \
        {                                                                                                           \
            int t = t0 + x / WIDE, d = x % WIDE;                                                                    \
            vt[x] = t < (count) && (HEAD == WIDE || d < HEAD) ? (V)[t * (v_row) + d] : 0.0f;                        \
        }                                                                                                           \
        barrier(CLK_LOCAL_MEM_FENCE);                                                                               \
        LOOP for (int t = 0; t < FEW; t++)                                                                          \
        {                                                                                                           \
            float e[SR];                                                                                            \
            EACH_ROW e[r] = w[(t0 + t) * ROW_LINE + row + r];                                                       \
            EACH_QUAD                                                                                               \
            {                                                                                                       \
                float4 v = vload4(lane + LANES * x, vt + t * WIDE);                                                 \
                EACH_ROW acc[r][x] = fma((float4)e[r], v, acc[r][x]);                                               \
            }                                                                                                       \
        }                                                                                                           \
    }

/* The features of row i of a result, times `by`. */
INLINE void put_row(G float *to, const float4 *acc, float by, int lane)
{
    EACH_QUAD {
        int d = 4 * (lane + LANES * x);
        float4 v = acc[x] * by;
        if (HEAD % 4 == 0) {
            if (HEAD == WIDE || d < HEAD) vstore4(v, 0, to + d);
        } else {
            if (d < HEAD) to[d] = v.x;
            if (d + 1 < HEAD) to[d + 1] = v.y;
            if (d + 2 < HEAD) to[d + 2] = v.z;
            if (d + 3 < HEAD) to[d + 3] = v.w;
        }
    }
}

/* What the lanes of row `row` have put into `parts` (ROWS, LANES). */
INLINE float lanes_sum(__local const float *parts, int row)
{
    float s = 0.0f;
    UNROLL for (int x = 0; x < LANES; x++) s += parts[row * LANES + x];
    return s;
}
INLINE float lanes_most(__local const float *parts, int row)
{
    float m = -INFINITY;
    UNROLL for (int x = 0; x < LANES; x++) m = fmax(m, parts[row * LANES + x]);
    return m;
}

/* Keys that query i sees. */
static inline int seen(const attention_args *a, int i, int queries, int keys)
{
    return i >= queries ? 0 : min(keys, i + a->reach);
}

/* The place of the work-item's score c (0 to 4 SR - 1) of a tile in w, its row among the group's and its column.
 * Scores are finished one by one: all at once, as many exponentials are worked out as there are scores, in as many
 * registers. */
#define EACH_SCORE LOOP for (int c = 0; c < 4 * SR; c++)
#define SCORE_PLACE int y = row + c / 4, t = 4 * lane + c % 4, e = t * ROW_LINE + y

/* Factors of dropout for the scores of the work-item's rows with keys j..j + 3, j a multiple of 4, multiplied in. */
INLINE void drop_out(__local float *w, const attention_args *a, long line, int j, int row, int lane)
{
    LOOP for (int r = 0; r < SR; r++) {
        __local float *at = w + 4 * lane * ROW_LINE + row + r;
        uint4 u = philox(a->key0, a->key1, (ulong)((line + row + r) * a->quads + j / 4));
        at[0] *= unit(u.x) >= a->p ? a->keep : 0.0f;
        at[ROW_LINE] *= unit(u.y) >= a->p ? a->keep : 0.0f;
        at[2 * ROW_LINE] *= unit(u.z) >= a->p ? a->keep : 0.0f;
        at[3 * ROW_LINE] *= unit(u.w) >= a->p ? a->keep : 0.0f;
    }
}

/* The scores of a tile in w become exp(score - largest so far) of their rows, and what is kept of these goes on. */
INLINE void soften(__local float *w, __local float *parts, __local float *best, __local float *sum, __local float *old,
                   const attention_args *a, G const float *B, int first, int j0, int queries, int keys, int row,
                   int lane)
{
    LOOP for (int y = row; y < row + SR; y++) {
        int i = first + y, n = seen(a, i, queries, keys);
        float m = -INFINITY;
        LOOP for (int t = 4 * lane; t < 4 * lane + 4; t++) {
            float v = j0 + t < n ? BIASED(w[t * ROW_LINE + y] * a->scale, *a, i, j0 + t) : -INFINITY;
            w[t * ROW_LINE + y] = v;
            m = fmax(m, v);
        }
        parts[y * LANES + lane] = m;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    LOOP for (int y = row; y < row + SR; y++) {
        int own = y * LANES + lane;
        float before = best[own], higher = fmax(before, lanes_most(parts, y)), shift = shift_of(higher), all = 0.0f;
        LOOP for (int t = 4 * lane; t < 4 * lane + 4; t++) {
            float e = exp(w[t * ROW_LINE + y] - shift);
            w[t * ROW_LINE + y] = e;
            all += e;
        }
        before = exp(before - shift);
        best[own] = higher;
        sum[own] = sum[own] * before + all;
        old[own] = before;
    }
}

AS_GROUP void attention_gpu(const attention_args given, G const float *restrict Q, G const float *restrict K,
                            G const float *restrict V, G const int *restrict L, G const float *restrict B,
                            G float *restrict O, G float *restrict S)
{
    __local float at[DEPTH * ROW_LINE], bt[DEPTH * TILE_LINE], w[TILE * ROW_LINE], vt[FEW * WIDE], parts[ROWS * LANES];
    /* A work-item's own, in local memory since there are not registers enough: the largest score of each of its rows
     * so far, its share of the sum of exponentials, and by what the row's sums are multiplied. */
    __local float best[ROWS * LANES], sum[ROWS * LANES], old[ROWS * LANES];
    PLACE;
    long h = get_global_id(1), b = get_global_id(2);
    SEQUENCE_OF(a);
    HEAD_OF(a);
    BIAS_OF(a);
    int keys = lengths_of(&a, L, b), queries = queries_of(&a, keys);
    int most = first < queries ? seen(&a, min(first + ROWS, queries) - 1, queries, keys) : 0;
    float4 acc[SR][QUADS], s[SR];
    ZERO_SUMS(acc);
    EACH_ROW {
        best[(row + r) * LANES + lane] = -INFINITY;
        sum[(row + r) * LANES + lane] = 0.0f;
    }
    LOOP for (int j0 = 0; j0 < most; j0 += TILE) {
        int count = min(TILE, most - j0);
        scores(s, at, bt, Q + q_at + first * a.q_row, a.q_row, queries - first, K + k_at + j0 * a.k_row, a.k_row, count,
               row, lane);
        put_scores(w, s, row, lane);
        soften(w, parts, best, sum, old, &a, B, first, j0, queries, keys, row, lane);
        EACH_ROW {
            float by = old[(row + r) * LANES + lane];
            EACH_QUAD acc[r][x] *= by;
        }
        if (a.p > 0.0f) drop_out(w, &a, s_first + first, j0 + 4 * lane, row, lane);
        SUM_TILE(acc, w, vt, V + v_at + j0 * a.v_row, a.v_row, count)
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    EACH_ROW {
        int i = first + row + r;
        float all = lanes_sum(sum, row + r);
        if (i >= a.tq) continue;
        put_row(O + o_at + i * a.o_row, acc[r], all != 0.0f ? 1.0f / all : 0.0f, lane);
        if (lane == 0) S[s_first + i] = all != 0.0f ? best[(row + r) * LANES] + log(all) : 0.0f;
    }
}

/* dq. The formulas stand at attention_gradient. D keeps sum of dO O for attention_gpu_dkv. */
AS_GROUP void attention_gpu_dq(const attention_args given, G const float *restrict Q, G const float *restrict K,
                               G const float *restrict V, G const int *restrict L, G const float *restrict B,
                               G const float *restrict O, G const float *restrict S, G const float *restrict GO,
                               G float *restrict D, G float *restrict DQ)
{
    __local float at[DEPTH * ROW_LINE], bt[DEPTH * TILE_LINE], w[TILE * ROW_LINE], dp[TILE * ROW_LINE], vt[FEW * WIDE],
        parts[ROWS * LANES], own[ROWS], shift[ROWS];
    PLACE;
    long h = get_global_id(1), b = get_global_id(2);
    SEQUENCE_OF(a);
    HEAD_OF(a);
    BIAS_OF(a);
    GO += a.go_at;
    int keys = lengths_of(&a, L, b), queries = queries_of(&a, keys);
    int most = first < queries ? seen(&a, min(first + ROWS, queries) - 1, queries, keys) : 0;
    float4 acc[SR][QUADS], s[SR];
    ZERO_SUMS(acc);
    LOOP for (int y = row; y < row + SR; y++) {
        float part = 0.0f;
        LOOP for (int d = lane; d < HEAD && first + y < queries; d += LANES)
            part = fma(O[o_at + (first + y) * a.o_row + d], GO[o_at + (first + y) * a.o_row + d], part);
        parts[y * LANES + lane] = part;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    LOOP for (int y = row; y < row + SR && lane == 0; y++) {
        own[y] = lanes_sum(parts, y);
        shift[y] = first + y < queries ? S[s_first + first + y] : 0.0f;
        if (first + y < a.tq) D[s_first + first + y] = own[y];
    }
    LOOP for (int j0 = 0; j0 < most; j0 += TILE) {
        int count = min(TILE, most - j0);
        scores(s, at, bt, Q + q_at + first * a.q_row, a.q_row, queries - first, K + k_at + j0 * a.k_row, a.k_row, count,
               row, lane);
        put_scores(w, s, row, lane);
        scores(s, at, bt, GO + o_at + first * a.o_row, a.o_row, queries - first, V + v_at + j0 * a.v_row, a.v_row,
               count, row, lane);
        put_scores(dp, s, row, lane);
        if (a.p > 0.0f) drop_out(dp, &a, s_first + first, j0 + 4 * lane, row, lane);
        EACH_SCORE {
            SCORE_PLACE;
            int i = first + y;
            float v = 0.0f;
            if (j0 + t < seen(&a, i, queries, keys))
                v = exp(BIASED(w[e] * a.scale, a, i, j0 + t) - shift[y]) * (dp[e] - own[y]);
            w[e] = v;
        }
        SUM_TILE(acc, w, vt, K + k_at + j0 * a.k_row, a.k_row, count)
    }
    EACH_ROW
        if (first + row + r < a.tq) put_row(DQ + o_at + (first + row + r) * a.o_row, acc[r], a.scale, lane);
}

/* dk and dv; rows are keys and tiles queries. D is what attention_gpu_dq left. */
AS_GROUP void attention_gpu_dkv(const attention_args given, G const float *restrict Q, G const float *restrict K,
                                G const float *restrict V, G const int *restrict L, G const float *restrict B,
                                G const float *restrict O, G const float *restrict S, G const float *restrict GO,
                                G const float *restrict D, G float *restrict DK, G float *restrict DV)
{
    __local float at[DEPTH * ROW_LINE], bt[DEPTH * TILE_LINE], w[TILE * ROW_LINE], ds[TILE * ROW_LINE], vt[FEW * WIDE];
    PLACE;
    long h = get_global_id(1), b = get_global_id(2);
    SEQUENCE_OF(a);
    HEAD_OF(a);
    BIAS_OF(a);
    GO += a.go_at;
    int keys = lengths_of(&a, L, b), queries = first < keys ? queries_of(&a, keys) : 0;
    float4 dk[SR][QUADS], dv[SR][QUADS], s[SR];
    ZERO_SUMS(dk);
    ZERO_SUMS(dv);
    LOOP for (int i0 = max(0, first - a.reach + 1) / TILE * TILE; i0 < queries; i0 += TILE) {
        int count = min(TILE, queries - i0);
        G const float *q = Q + q_at + i0 * a.q_row, *go = GO + o_at + i0 * a.o_row;
        scores(s, at, bt, K + k_at + first * a.k_row, a.k_row, keys - first, q, a.q_row, count, row, lane);
        put_scores(w, s, row, lane);
        scores(s, at, bt, V + v_at + first * a.v_row, a.v_row, keys - first, go, a.o_row, count, row, lane);
        put_scores(ds, s, row, lane);
        EACH_SCORE {
            SCORE_PLACE;
            int i = i0 + t, j = first + y;
            float p = 0.0f, g = 0.0f;
            if (j < keys && i < queries && j < i + a.reach) {
                float f = factor(&a, s_first + i, j), dp = ds[e];
                p = exp(BIASED(w[e] * a.scale, a, i, j) - S[s_first + i]);
                /* The factor in a statement of its own: contracted to fma(factor, dp, -own), Intel's runtime for
                 * processors loses `own` where the factor is 1. */
                dp *= f;
                g = p * (dp - D[s_first + i]);
                p *= f;
            }
            w[e] = p;
            ds[e] = g;
        }
        SUM_TILE(dv, w, vt, go, a.o_row, count)
        SUM_TILE(dk, ds, vt, q, a.q_row, count)
    }
    EACH_ROW {
        long to = (k_first + first + row + r) * a.o_row + h * HEAD;
        if (first + row + r >= a.tk) continue;
        put_row(DK + to, dk[r], a.scale, lane);
        put_row(DV + to, dv[r], 1.0f, lane);
    }
}
