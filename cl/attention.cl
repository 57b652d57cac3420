#include "common.clh"
#include "random.clh"
/* attention.cl - softmax(scale q k^T) v by heads on CPU devices: one work-item a head of a sequence. q, k, v are rows of
 * HEAD features a head, HEAD a multiple of two vectors; tiles of MR rows by two vectors are summed in registers. Nothing
 * of T x T leaves a tile of rows. The arguments and the dropout stream are those of attention_any.cl. */
#include "attention.clh"

/* acc (MR, 2 vectors) += sum over k < COUNT of A(r, k) B[k * LD ...] */
#define SUMS(acc, COUNT, A, B, LD)                                             \
    for (int k = 0; k < (COUNT); k++) {                                        \
        vf b0 = VLOAD(0, (B) + (long)k * (LD)), b1 = VLOAD(1, (B) + (long)k * (LD)); \
        UNROLL for (int r = 0; r < MR; r++) {                                  \
            vf a = (vf)(A(r, k));                                              \
            acc[r][0] = fma(a, b0, acc[r][0]);                                 \
            acc[r][1] = fma(a, b1, acc[r][1]);                                 \
        }                                                                      \
    }
#define ZERO(acc) UNROLL for (int r = 0; r < MR; r++) acc[r][0] = acc[r][1] = (vf)0.0f

/* rows (n, HEAD) become columns (HEAD, width), zeros behind them. */
static inline void turn(__local float *restrict to, G const float *restrict from, long row, int n, int width)
{
    for (int j = 0; j < n; j++)
        for (int d = 0; d < HEAD; d++) to[d * width + j] = from[j * row + d];
    for (int d = 0; d < HEAD; d++)
        for (int j = n; j < width; j++) to[d * width + j] = 0.0f;
}

/* The rows of one tile: those beyond the end repeat the last one, and are not stored. */
#define TILE_ROWS(P, base, stride) G const float *P[MR]; for (int r = 0; r < MR; r++) P[r] = (base) + (long)min(i0 + r, a.tq - 1) * (stride)

/* to (MR, width) = sum over d of rows[r][d] columns[d], for the first `used` columns */
static inline void against(__local float *restrict to, G const float *const *rows, __local const float *restrict columns, int used, int width, float scale)
{
#define A(r, k) rows[r][k]
    for (int j = 0; j < used; j += 2 * TL_VECTOR) {
        vf acc[MR][2];
        ZERO(acc);
        SUMS(acc, HEAD, A, columns + j, width)
        UNROLL for (int r = 0; r < MR; r++) {
            VSTORE(acc[r][0] * (vf)scale, 0, to + r * width + j);
            VSTORE(acc[r][1] * (vf)scale, 1, to + r * width + j);
        }
    }
#undef A
}

/* How many keys row i may look at. */
static inline int seen(const attention_args *a, int i, int keys) { return a->causal ? min(keys, i + 1) : keys; }

static inline int whole(int n) { return (n + 2 * TL_VECTOR - 1) / (2 * TL_VECTOR) * (2 * TL_VECTOR); }

/* Factor of dropout for all keys of query row `line` (counted over everything). */
static inline void factors(__local float *restrict m, const attention_args *a, long line, int width)
{
    for (int j = 0; j < width; j += 4 * TL_VECTOR) {
        vf u[4];
        units(a->key0, a->key1, (ulong)(line * ((a->tk + 3) / 4) + j / 4), u);
        for (int k = 0; k < 4; k++) VSTORE(u[k] >= (vf)a->p ? (vf)a->keep : (vf)0.0f, k, m + j);
    }
}

static inline float total(vf v)
{
    float t[TL_VECTOR], s = 0.0f;
    VSTORE(v, 0, t);
    for (int k = 0; k < TL_VECTOR; k++) s += t[k];
    return s;
}

/* Scores become exp(s - their maximum); the logarithm of their sum, the maximum added, is returned, 1 / sum in *inverse. */
static inline float exponentials(__local float *restrict s, int n, int used, float *inverse)
{
    float best = -INFINITY;
    for (int j = n; j < used; j++) s[j] = -INFINITY;
    vf m = (vf)(-INFINITY), sum = (vf)0.0f;
    for (int j = 0; j < used; j += TL_VECTOR) m = fmax(m, VLOAD(0, s + j));
    float t[TL_VECTOR];
    VSTORE(m, 0, t);
    for (int k = 0; k < TL_VECTOR; k++) best = fmax(best, t[k]);
    if (n == 0) best = 0.0f;
    for (int j = 0; j < used; j += TL_VECTOR) {
        vf e = exp(VLOAD(0, s + j) - (vf)best);
        VSTORE(e, 0, s + j);
        sum += e;
    }
    float all = total(sum);
    *inverse = n == 0 ? 0.0f : 1.0f / all;
    return n == 0 ? 0.0f : best + log(all);
}

__kernel void attention(const attention_args a, G const float *restrict Q, G const float *restrict K, G const float *restrict V, G const int *restrict L,
                        G float *restrict O, G float *restrict S, __local float *restrict kt, __local float *restrict s, __local float *restrict m, int width)
{
    long h = get_global_id(0), b = get_global_id(1);
    HEAD_OF(a);
    int keys = lengths_of(&a, L, b), queries = queries_of(&a, keys);
    turn(kt, K + k_at, a.k_row, keys, width);
    for (int i0 = 0; i0 < a.tq; i0 += MR) {
        TILE_ROWS(q, Q + q_at, a.q_row);
        int used = whole(seen(&a, min(i0 + MR, a.tq) - 1, keys)), rows = clamp(queries - i0, 0, MR);
        float inverse[MR];
        if (rows > 0) against(s, q, kt, used, width, a.scale);
        for (int r = 0; r < MR && i0 + r < a.tq; r++) {
            long line = (b * a.heads + h) * a.tq + i0 + r;
            S[line] = r < rows ? exponentials(s + r * width, seen(&a, i0 + r, keys), used, &inverse[r]) : 0.0f;
            if (r >= rows || a.p == 0.0f) continue;
            factors(m, &a, line, width);
            for (int j = 0; j < used; j += TL_VECTOR) VSTORE(VLOAD(0, s + r * width + j) * VLOAD(0, m + j), 0, s + r * width + j);
        }
        int last = seen(&a, min(i0 + MR, a.tq) - 1, keys);
#define A(r, k) s[(r) * width + k]
        for (int d = 0; d < HEAD; d += 2 * TL_VECTOR) {
            vf acc[MR][2];
            ZERO(acc);
            if (rows > 0) SUMS(acc, last, A, V + v_at + d, a.v_row)
            for (int r = 0; r < MR && i0 + r < a.tq; r++) {
                vf scale = (vf)(r < rows ? inverse[r] : 0.0f);
                VSTORE(r < rows ? acc[r][0] * scale : (vf)0.0f, 0, O + o_at + (long)(i0 + r) * a.o_row + d);
                VSTORE(r < rows ? acc[r][1] * scale : (vf)0.0f, 1, O + o_at + (long)(i0 + r) * a.o_row + d);
            }
        }
#undef A
    }
}

/* acc (columns of HEAD a key) += sum over rows of w[r][j] x[r] */
static inline void spread(__local float *restrict to, __local const float *restrict w, G const float *const *x, int rows, int keys, int width)
{
    for (int j = 0; j < keys; j++)
        UNROLL for (int d = 0; d < HEAD; d += TL_VECTOR) {
            vf v = VLOAD(0, to + j * HEAD + d);
            for (int r = 0; r < rows; r++) v = fma((vf)w[r * width + j], VLOAD(0, x[r] + d), v);
            VSTORE(v, 0, to + j * HEAD + d);
        }
}

/* P = exp(score - S), m its dropout factor, D = sum of dO O: dS = P (m dP - D), dP = dO v^T; dq = scale dS k, dk = scale dS^T q,
 * dv = (P m)^T dO. */
__kernel void attention_gradient(const attention_args a, G const float *restrict Q, G const float *restrict K, G const float *restrict V,
                                 G const int *restrict L, G const float *restrict O, G const float *restrict S, G const float *restrict GO,
                                 G float *restrict DQ, G float *restrict DK, G float *restrict DV, __local float *restrict kt, __local float *restrict vt,
                                 __local float *restrict s, __local float *restrict ds, __local float *restrict m, __local float *restrict dk,
                                 __local float *restrict dv, int width)
{
    long h = get_global_id(0), b = get_global_id(1);
    HEAD_OF(a);
    GO += a.go_at;
    long dq_at = o_at, dk_at = b * a.tk * a.o_row + h * HEAD;
    int keys = lengths_of(&a, L, b), queries = queries_of(&a, keys);
    turn(kt, K + k_at, a.k_row, keys, width);
    turn(vt, V + v_at, a.v_row, keys, width);
    for (int j = 0; j < a.tk * HEAD; j += TL_VECTOR) {
        VSTORE((vf)0.0f, 0, dk + j);
        VSTORE((vf)0.0f, 0, dv + j);
    }
    for (int i0 = 0; i0 < a.tq; i0 += MR) {
        TILE_ROWS(q, Q + q_at, a.q_row);
        TILE_ROWS(go, GO + o_at, a.o_row);
        int last = seen(&a, min(i0 + MR, a.tq) - 1, keys), used = whole(last), rows = clamp(queries - i0, 0, MR);
        if (rows > 0) {
            against(s, q, kt, used, width, a.scale);
            against(ds, go, vt, used, width, 1.0f);
        }
        for (int r = 0; r < rows; r++) {
            long line = (b * a.heads + h) * a.tq + i0 + r;
            int n = seen(&a, i0 + r, keys);
            G const float *o = O + o_at + (long)(i0 + r) * a.o_row;
            vf dot = (vf)0.0f;
            for (int d = 0; d < HEAD; d += TL_VECTOR) dot = fma(VLOAD(0, o + d), VLOAD(0, go[r] + d), dot);
            float own = total(dot), shift = S[line];
            __local float *sr = s + r * width, *dr = ds + r * width;
            for (int j = n; j < used; j++) sr[j] = -INFINITY;
            if (a.p > 0.0f) factors(m, &a, line, width);
            for (int j = 0; j < used; j += TL_VECTOR) {
                vf e = exp(VLOAD(0, sr + j) - (vf)shift), f = a.p > 0.0f ? VLOAD(0, m + j) : (vf)1.0f;
                VSTORE(e * f, 0, sr + j);
                VSTORE(e * (f * VLOAD(0, dr + j) - (vf)own) * (vf)a.scale, 0, dr + j);
            }
        }
#define A(r, k) ds[(r) * width + k]
        for (int d = 0; d < HEAD; d += 2 * TL_VECTOR) {
            vf acc[MR][2];
            ZERO(acc);
            if (rows > 0) SUMS(acc, last, A, K + k_at + d, a.k_row)
            for (int r = 0; r < MR && i0 + r < a.tq; r++) {
                VSTORE(r < rows ? acc[r][0] : (vf)0.0f, 0, DQ + dq_at + (long)(i0 + r) * a.o_row + d);
                VSTORE(r < rows ? acc[r][1] : (vf)0.0f, 1, DQ + dq_at + (long)(i0 + r) * a.o_row + d);
            }
        }
#undef A
        spread(dv, s, go, rows, last, width);
        spread(dk, ds, q, rows, last, width);
    }
    for (int j = 0; j < a.tk; j++)
        for (int d = 0; d < HEAD; d += TL_VECTOR) {
            VSTORE(VLOAD(0, dk + j * HEAD + d), 0, DK + dk_at + (long)j * a.o_row + d);
            VSTORE(VLOAD(0, dv + j * HEAD + d), 0, DV + dk_at + (long)j * a.o_row + d);
        }
}
