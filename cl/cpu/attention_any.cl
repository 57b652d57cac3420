#include "common.clh"
#include "random.clh"
/* attention_any.cl - attention.cl's work for heads of any width and sequences of any length: one work-item a query row (or key
 * row), groups of GROUP rows that share tiles of TILE rows in local memory. The softmax is taken along the tiles (Milakov,
 * Gimelshein 2018). Plain code, for processors: a row stands in an array, which GPUs have no registers for (attention_gpu.cl). */
#include "attention.clh"

/* Rows first..first + TILE - 1 of a head, as far as there are, into local memory by all work-items of the group. */
static inline void fetch(__local float *to, G const float *from, long row, int first, int count)
{
    for (int x = get_local_id(0); x < TILE * HEAD; x += GROUP) {
        int j = first + x / HEAD;
        to[x] = j < count ? from[j * row + x % HEAD] : 0.0f;
    }
}

static inline float dot(const float *x, __local const float *y)
{
    float s = 0.0f;
    for (int d = 0; d < HEAD; d++) s = fma(x[d], y[d], s);
    return s;
}

__kernel void attention_any(const attention_args given, G const float *restrict Q, G const float *restrict K,
                            G const float *restrict V, G const int *restrict L, G const float *restrict B,
                            G float *restrict O, G float *restrict S)
{
    __local float kt[TILE * HEAD], vt[TILE * HEAD];
    int i = get_global_id(0);
    long h = get_global_id(1), b = get_global_id(2);
    SEQUENCE_OF(a);
    long line = s_first + i;
    HEAD_OF(a);
    BIAS_OF(a);
    int keys = lengths_of(&a, L, b), inside = i < queries_of(&a, keys), n = min(keys, i + a.reach);
    float q[HEAD], acc[HEAD], best = -INFINITY, sum = 0.0f;
    for (int d = 0; d < HEAD; d++) {
        q[d] = inside ? Q[q_at + i * a.q_row + d] * a.scale : 0.0f;
        acc[d] = 0.0f;
    }
    for (int j0 = 0; j0 < keys; j0 += TILE) {
        barrier(CLK_LOCAL_MEM_FENCE);
        fetch(kt, K + k_at, a.k_row, j0, keys);
        fetch(vt, V + v_at, a.v_row, j0, keys);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int j = j0; j < min(j0 + TILE, n) && inside; j++) {
            float s = BIASED(dot(q, kt + (j - j0) * HEAD), a, i, j), higher = fmax(best, s), shift = shift_of(higher), old = exp(best - shift), e = exp(s - shift);
            float w = e * factor(&a, line, j);
            for (int d = 0; d < HEAD; d++) acc[d] = fma(w, vt[(j - j0) * HEAD + d], acc[d] * old);
            sum = sum * old + e;
            best = higher;
        }
    }
    if (i >= a.tq) return;
    float inverse = inside && sum != 0.0f ? 1.0f / sum : 0.0f;
    for (int d = 0; d < HEAD; d++) O[o_at + i * a.o_row + d] = acc[d] * inverse;
    S[line] = inside && sum != 0.0f ? best + log(sum) : 0.0f;
}

/* dq, one work-item a query row. The formulas stand at attention_gradient. */
__kernel void attention_any_dq(const attention_args given, G const float *restrict Q, G const float *restrict K,
                               G const float *restrict V, G const int *restrict L, G const float *restrict B,
                               G const float *restrict O, G const float *restrict S, G const float *restrict GO,
                               G float *restrict D, G float *restrict DQ)
{
    __local float kt[TILE * HEAD], vt[TILE * HEAD];
    int i = get_global_id(0);
    long h = get_global_id(1), b = get_global_id(2);
    SEQUENCE_OF(a);
    long line = s_first + i;
    HEAD_OF(a);
    BIAS_OF(a);
    GO += a.go_at;
    int keys = lengths_of(&a, L, b), inside = i < queries_of(&a, keys), n = min(keys, i + a.reach);
    float q[HEAD], go[HEAD], dq[HEAD], own = 0.0f, shift = inside ? S[line] : 0.0f;
    for (int d = 0; d < HEAD; d++) {
        q[d] = inside ? Q[q_at + i * a.q_row + d] * a.scale : 0.0f;
        go[d] = inside ? GO[o_at + i * a.o_row + d] : 0.0f;
        own += inside ? O[o_at + i * a.o_row + d] * go[d] : 0.0f;
        dq[d] = 0.0f;
    }
    for (int j0 = 0; j0 < keys; j0 += TILE) {
        barrier(CLK_LOCAL_MEM_FENCE);
        fetch(kt, K + k_at, a.k_row, j0, keys);
        fetch(vt, V + v_at, a.v_row, j0, keys);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int j = j0; j < min(j0 + TILE, n) && inside; j++) {
            /* The factor in a statement of its own: contracted to fma(factor, dp, -own), Intel's runtime for processors
             * loses `own` where the factor is 1. */
            float e = exp(BIASED(dot(q, kt + (j - j0) * HEAD), a, i, j) - shift), dp = dot(go, vt + (j - j0) * HEAD);
            dp *= factor(&a, line, j);
            float ds = e * (dp - own) * a.scale;
            for (int d = 0; d < HEAD; d++) dq[d] = fma(ds, kt[(j - j0) * HEAD + d], dq[d]);
        }
    }
    if (i >= a.tq) return;
    D[line] = own;
    for (int d = 0; d < HEAD; d++) DQ[o_at + i * a.o_row + d] = dq[d];
}

/* dk and dv, one work-item a key row; D is what attention_any_dq left. */
__kernel void attention_any_dkv(const attention_args given, G const float *restrict Q, G const float *restrict K,
                                G const float *restrict V, G const int *restrict L, G const float *restrict B,
                                G const float *restrict O, G const float *restrict S, G const float *restrict GO,
                                G const float *restrict D, G float *restrict DK, G float *restrict DV)
{
    __local float qt[TILE * HEAD], gt[TILE * HEAD];
    int j = get_global_id(0);
    long h = get_global_id(1), b = get_global_id(2);
    SEQUENCE_OF(a);
    long lines = s_first;
    HEAD_OF(a);
    BIAS_OF(a);
    GO += a.go_at;
    int keys = lengths_of(&a, L, b), queries = queries_of(&a, keys), inside = j < keys;
    float k[HEAD], v[HEAD], dk[HEAD], dv[HEAD];
    for (int d = 0; d < HEAD; d++) {
        k[d] = inside ? K[k_at + j * a.k_row + d] * a.scale : 0.0f;
        v[d] = inside ? V[v_at + j * a.v_row + d] : 0.0f;
        dk[d] = dv[d] = 0.0f;
    }
    for (int i0 = 0; i0 < queries; i0 += TILE) {
        barrier(CLK_LOCAL_MEM_FENCE);
        fetch(qt, Q + q_at, a.q_row, i0, queries);
        fetch(gt, GO + o_at, a.o_row, i0, queries);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int i = i0; i < min(i0 + TILE, queries) && inside; i++) {
            if (j >= i + a.reach) continue;
            float e = exp(BIASED(dot(k, qt + (i - i0) * HEAD), a, i, j) - S[lines + i]), f = factor(&a, lines + i, j);
            float ds = e * (f * dot(v, gt + (i - i0) * HEAD) - D[lines + i]) * a.scale;
            for (int d = 0; d < HEAD; d++) {
                dk[d] = fma(ds, qt[(i - i0) * HEAD + d], dk[d]);
                dv[d] = fma(e * f, gt[(i - i0) * HEAD + d], dv[d]);
            }
        }
    }
    if (j >= a.tk) return;
    long at = (k_first + j) * a.o_row + h * HEAD;
    for (int d = 0; d < HEAD; d++) {
        DK[at + d] = dk[d];
        DV[at + d] = dv[d];
    }
}
