#include "common.clh"
#include "random.clh"
/* attention_gpu.cl - attention.cl's work for devices with many work-items to a group, and for heads of any width. A group has ROWS rows of a
 * head (queries; keys in attention_gpu_dkv) in local memory and goes through the other side in tiles of TILE rows. First each work-item
 * makes whole products of two rows, then OWNERS of them share a row's sums: each has SLICE of the HEAD features, OWNERS apart, in
 * registers. So nothing depends on the width but local memory. The softmax is taken along the tiles (Milakov, Gimelshein 2018). Plain
 * code: no vectors, no sub-groups. */
#include "attention.clh"

#define OWNERS ((HEAD + SLICE - 1) / SLICE)
#define GROUP (ROWS * OWNERS)
/* Loops whose number of turns is known when they are compiled: left to themselves, compilers unroll them whole and run out of registers. */
#define A_FEW _Pragma("unroll 4")
#define ONE_BY_ONE _Pragma("unroll 1")
/* Rows in local memory are an odd number of floats apart, so that neighbouring rows lie in different banks. */
#define LINE (HEAD | 1)
#define SCORES (TILE | 1)
#define AS_GROUP __kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))

/* Who a work-item is: the row of the group that it shares, and which of its owners. */
#define PLACE int id = get_local_id(0), r = id / OWNERS, owner = id % OWNERS, first = (int)(GROUP_OF(0) * ROWS)
/* Feature x of an owner. Where SLICE does not divide HEAD the last owners have the last feature several times, and store it once. */
#define FEATURE(x) (HEAD % SLICE == 0 ? owner + (x) * OWNERS : min(owner + (x) * OWNERS, HEAD - 1))
#define STORED(x) (HEAD % SLICE == 0 || owner + (x) * OWNERS < HEAD)
#define EACH_FEATURE UNROLL for (int x = 0; x < SLICE; x++)
/* All pairs (y, t) of a row of the group and a row of the tile. */
#define EACH_PAIR ONE_BY_ONE for (int p = id, y = p / TILE, t = p % TILE; p < ROWS * TILE; p += GROUP, y = p / TILE, t = p % TILE)

/* Rows first..first + rows - 1 of a head, zeros from row `count` on, into local memory by all work-items of the group. */
static inline void fetch(__local float *to, int rows, G const float *from, long stride, int first, int count, float scale)
{
    A_FEW for (int x = get_local_id(0); x < rows * HEAD; x += GROUP) {
        int j = x / HEAD, d = x - j * HEAD;
        to[j * LINE + d] = first + j < count ? from[(first + j) * stride + d] * scale : 0.0f;
    }
}

static inline float dot(__local const float *x, __local const float *y)
{
    float s = 0.0f;
    A_FEW for (int d = 0; d < HEAD; d++) s = fma(x[d], y[d], s);
    return s;
}

/* The sum over the owners of row r of what each put into `parts`. */
static inline float over_owners(__local const float *parts, int r)
{
    float s = 0.0f;
    for (int x = 0; x < OWNERS; x++) s += parts[r * OWNERS + x];
    return s;
}

/* Keys that query i sees. */
static inline int seen(const attention_args *a, int i, int queries, int keys) { return i >= queries ? 0 : a->causal ? min(keys, i + 1) : keys; }

AS_GROUP void attention_gpu(const attention_args given, G const float *restrict Q, G const float *restrict K,
                            G const float *restrict V, G const int *restrict L, G const float *restrict B,
                            G float *restrict O, G float *restrict S)
{
    __local float q[ROWS * LINE], k[TILE * LINE], v[TILE * LINE], s[ROWS * SCORES], w[ROWS * SCORES], parts[GROUP];
    PLACE;
    int i = first + r;
    long h = get_global_id(1), b = get_global_id(2);
    SEQUENCE_OF(a);
    long line = s_first + i;
    HEAD_OF(a);
    BIAS_OF(a);
    int keys = lengths_of(&a, L, b), queries = queries_of(&a, keys), n = seen(&a, i, queries, keys);
    int most = first < queries ? seen(&a, min(first + ROWS, queries) - 1, queries, keys) : 0;
    float acc[SLICE], best = -INFINITY, sum = 0.0f;
    EACH_FEATURE acc[x] = 0.0f;
    fetch(q, ROWS, Q + q_at, a.q_row, first, queries, a.scale);
    for (int j0 = 0; j0 < most; j0 += TILE) {
        barrier(CLK_LOCAL_MEM_FENCE);
        fetch(k, TILE, K + k_at, a.k_row, j0, keys, 1.0f);
        fetch(v, TILE, V + v_at, a.v_row, j0, keys, 1.0f);
        barrier(CLK_LOCAL_MEM_FENCE);
        EACH_PAIR s[y * SCORES + t] = BIASED(dot(q + y * LINE, k + t * LINE), a, min(first + y, a.tq - 1), min(j0 + t, a.tk - 1));
        barrier(CLK_LOCAL_MEM_FENCE);
        int m = clamp(n - j0, 0, TILE);
        float higher = best;
        for (int t = 0; t < m; t++) higher = fmax(higher, s[r * SCORES + t]);
        float shift = shift_of(higher), old = m > 0 ? exp(best - shift) : 1.0f;
        best = higher;
        sum *= old;
        for (int t = owner; t < m; t += OWNERS) {
            float e = exp(s[r * SCORES + t] - shift);
            sum += e;
            w[r * SCORES + t] = e * factor(&a, line, j0 + t);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        EACH_FEATURE acc[x] *= old;
        for (int t = 0; t < m; t++) {
            float e = w[r * SCORES + t];
            EACH_FEATURE acc[x] = fma(e, v[t * LINE + FEATURE(x)], acc[x]);
        }
    }
    parts[id] = sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (i >= a.tq) return;
    sum = over_owners(parts, r);
    float inverse = sum != 0.0f ? 1.0f / sum : 0.0f;
    EACH_FEATURE if (STORED(x)) O[o_at + i * a.o_row + FEATURE(x)] = acc[x] * inverse;
    if (owner == 0) S[line] = sum != 0.0f ? best + log(sum) : 0.0f;
}

/* dq. The formulas stand at attention_gradient. D keeps sum of dO O for attention_gpu_dkv. */
AS_GROUP void attention_gpu_dq(const attention_args given, G const float *restrict Q, G const float *restrict K,
                               G const float *restrict V, G const int *restrict L, G const float *restrict B,
                               G const float *restrict O, G const float *restrict S, G const float *restrict GO,
                               G float *restrict D, G float *restrict DQ)
{
    __local float q[ROWS * LINE], go[ROWS * LINE], k[TILE * LINE], v[TILE * LINE], ds[ROWS * SCORES], parts[GROUP], own[ROWS], shift[ROWS];
    PLACE;
    int i = first + r;
    long h = get_global_id(1), b = get_global_id(2);
    SEQUENCE_OF(a);
    long lines = s_first;
    HEAD_OF(a);
    BIAS_OF(a);
    GO += a.go_at;
    int keys = lengths_of(&a, L, b), queries = queries_of(&a, keys), n = seen(&a, i, queries, keys);
    int most = first < queries ? seen(&a, min(first + ROWS, queries) - 1, queries, keys) : 0;
    float dq[SLICE], part = 0.0f;
    EACH_FEATURE dq[x] = 0.0f;
    fetch(q, ROWS, Q + q_at, a.q_row, first, queries, a.scale);
    fetch(go, ROWS, GO + o_at, a.o_row, first, queries, 1.0f);
    barrier(CLK_LOCAL_MEM_FENCE);
    if (i < queries) EACH_FEATURE if (STORED(x)) part = fma(O[o_at + i * a.o_row + FEATURE(x)], go[r * LINE + FEATURE(x)], part);
    parts[id] = part;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (owner == 0) {
        own[r] = over_owners(parts, r);
        shift[r] = i < queries ? S[lines + i] : 0.0f;
        if (i < a.tq) D[lines + i] = own[r];
    }
    for (int j0 = 0; j0 < most; j0 += TILE) {
        barrier(CLK_LOCAL_MEM_FENCE);
        fetch(k, TILE, K + k_at, a.k_row, j0, keys, 1.0f);
        fetch(v, TILE, V + v_at, a.v_row, j0, keys, 1.0f);
        barrier(CLK_LOCAL_MEM_FENCE);
        EACH_PAIR {
            /* The factor in a statement of its own: contracted to fma(factor, dp, -own), Intel's runtime for processors
             * loses `own` where the factor is 1. */
            float e = exp(BIASED(dot(q + y * LINE, k + t * LINE), a, min(first + y, a.tq - 1), min(j0 + t, a.tk - 1)) - shift[y]), dp = dot(go + y * LINE, v + t * LINE);
            dp *= factor(&a, lines + first + y, j0 + t);
            ds[y * SCORES + t] = e * (dp - own[y]) * a.scale;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int t = 0; t < clamp(n - j0, 0, TILE); t++) {
            float e = ds[r * SCORES + t];
            EACH_FEATURE dq[x] = fma(e, k[t * LINE + FEATURE(x)], dq[x]);
        }
    }
    if (i >= a.tq) return;
    EACH_FEATURE if (STORED(x)) DQ[o_at + i * a.o_row + FEATURE(x)] = dq[x];
}

/* dk and dv; rows are keys and tiles queries. D is what attention_gpu_dq left. */
AS_GROUP void attention_gpu_dkv(const attention_args given, G const float *restrict Q, G const float *restrict K,
                                G const float *restrict V, G const int *restrict L, G const float *restrict B,
                                G const float *restrict O, G const float *restrict S, G const float *restrict GO,
                                G const float *restrict D, G float *restrict DK, G float *restrict DV)
{
    __local float k[ROWS * LINE], v[ROWS * LINE], q[TILE * LINE], go[TILE * LINE], w[ROWS * SCORES], ds[ROWS * SCORES];
    PLACE;
    int j = first + r;
    long h = get_global_id(1), b = get_global_id(2);
    SEQUENCE_OF(a);
    long lines = s_first;
    HEAD_OF(a);
    BIAS_OF(a);
    GO += a.go_at;
    int keys = lengths_of(&a, L, b), queries = first < keys ? queries_of(&a, keys) : 0;
    float dk[SLICE], dv[SLICE];
    EACH_FEATURE dk[x] = dv[x] = 0.0f;
    fetch(k, ROWS, K + k_at, a.k_row, first, keys, a.scale);
    fetch(v, ROWS, V + v_at, a.v_row, first, keys, 1.0f);
    for (int i0 = a.causal ? first / TILE * TILE : 0; i0 < queries; i0 += TILE) {
        barrier(CLK_LOCAL_MEM_FENCE);
        fetch(q, TILE, Q + q_at, a.q_row, i0, queries, 1.0f);
        fetch(go, TILE, GO + o_at, a.o_row, i0, queries, 1.0f);
        barrier(CLK_LOCAL_MEM_FENCE);
        EACH_PAIR {
            int i = i0 + t, meets = first + y < keys && i < queries && (!a.causal || first + y <= i);
            float e = 0.0f, g = 0.0f;
            if (meets) {
                float f = factor(&a, lines + i, first + y), dp = dot(v + y * LINE, go + t * LINE);
                e = exp(BIASED(dot(k + y * LINE, q + t * LINE), a, i, first + y) - S[lines + i]);
                dp *= f;
                g = e * (dp - D[lines + i]) * a.scale;
                e *= f;
            }
            w[y * SCORES + t] = e;
            ds[y * SCORES + t] = g;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        /* Not those that do not meet: 0 times what is not finite would be seen. */
        int from = a.causal ? max(j - i0, 0) : 0, to = j < keys ? min(TILE, queries - i0) : 0;
        for (int t = from; t < to; t++) {
            float e = w[r * SCORES + t], g = ds[r * SCORES + t];
            EACH_FEATURE {
                dk[x] = fma(g, q[t * LINE + FEATURE(x)], dk[x]);
                dv[x] = fma(e, go[t * LINE + FEATURE(x)], dv[x]);
            }
        }
    }
    if (j >= a.tk) return;
    long at = (k_first + j) * a.o_row + h * HEAD;
    EACH_FEATURE
        if (STORED(x)) {
            DK[at + FEATURE(x)] = dk[x];
            DV[at + FEATURE(x)] = dv[x];
        }
}
