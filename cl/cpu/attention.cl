#include "common.clh"
#include "random.clh"
#include "cpu/lanes.clh"
/* attention.cl - softmax(scale q k^T + bias) v by heads on CPU devices, for heads of any width and sequences of any
 * length: a work-item has a stretch of a head's queries (in the gradient all of them) and goes through the keys block
 * by block, the softmax taken along the blocks (Dao 2022, FlashAttention; Milakov, Gimelshein 2018). Keys and values
 * of a block lie in local memory in panels of two vectors, a head that is no whole number of them filled up with zeros
 * there; every product is a tile of MR rows by a panel, summed in registers. The arguments and the dropout stream are
 * those of attention_any.cl. KEYS, at least the keys of a block, is how far rows of scores lie apart. */
#include "attention.clh"

#define PANEL (2 * TL_VECTOR)
#define VECTORS ((HEAD + TL_VECTOR - 1) / TL_VECTOR)
#define PANELS ((VECTORS + 1) / 2)
#define WIDTH (PANELS * PANEL)

/* acc (MR, a panel) += sum over FROM <= k < END of A(r, k) B[k], the rows of B following one another. */
#define SUMS(acc, FROM, END, A, B)                                             \
    for (int k = (FROM); k < (END); k++) {                                     \
        vf b0 = VLOAD(0, (B) + k * PANEL), b1 = VLOAD(1, (B) + k * PANEL);     \
        UNROLL for (int r = 0; r < MR; r++) {                                  \
            vf x = (vf)(A(r, k));                                              \
            acc[r][0] = fma(x, b0, acc[r][0]);                                 \
            acc[r][1] = fma(x, b1, acc[r][1]);                                 \
        }                                                                      \
    }
/* The same for the last panel of a head, where one vector is all it has. */
#define SUMS_OF_ONE(acc, FROM, END, A, B)                                      \
    for (int k = (FROM); k < (END); k++) {                                     \
        vf b0 = VLOAD(0, (B) + k * PANEL);                                     \
        UNROLL for (int r = 0; r < MR; r++) acc[r][0] = fma((vf)(A(r, k)), b0, acc[r][0]); \
    }
#define SUMS_OF_HEAD(acc, p, FROM, END, A, B)                                  \
    if (2 * (p) + 1 < VECTORS) SUMS(acc, FROM, END, A, B)                      \
    else SUMS_OF_ONE(acc, FROM, END, A, B)
#define ZERO(acc) UNROLL for (int r = 0; r < MR; r++) acc[r][0] = acc[r][1] = (vf)0.0f

/* Vector x of the features of a head from global memory and back; behind the last feature there are zeros. */
INLINE vf features(G const float *p, int x)
{
    if (HEAD % TL_VECTOR == 0 || x < VECTORS - 1) return VLOAD(x, p);
    return vldn(p + x * TL_VECTOR, HEAD % TL_VECTOR);
}
INLINE void put_features(vf v, int x, G float *p)
{
    if (HEAD % TL_VECTOR == 0 || x < VECTORS - 1) VSTORE(v, x, p);
    else vstn(v, p + x * TL_VECTOR, HEAD % TL_VECTOR);
}

/* Scores are kept times log2(e), so that their exponential is a power of two. */
#define LOG2_E 1.44269504088896341f

/* 2^x to one unit in the last place for x up to 126, 0 below -126; the polynomial is the minimax of relative error for
 * -1/2 to 1/2 (Remez). A NaN stays one. */
INLINE vf power_of_two(vf x)
{
    vf at = x < (vf)-126.0f ? (vf)-126.0f : x, n = at + (vf)12583039.0f; /* as in exp_within */
    vf power = VF(AS_VI(n) << 23), r = at - (n - (vf)12583039.0f), p = (vf)1.534581243e-4f;
    p = fma(p, r, (vf)1.33999309e-3f);
    p = fma(p, r, (vf)9.618489072e-3f);
    p = fma(p, r, (vf)5.550328642e-2f);
    p = fma(p, r, (vf)2.402264625e-1f);
    p = fma(p, r, (vf)6.931471825e-1f);
    p = fma(p, r, (vf)1.0f);
    return at > x ? (vf)0.0f : p * power; /* x < -126: Oclgrind errs at two choices by one condition */
}

/* How many keys row i may look at. */
static inline int seen(const attention_args *a, int i, int keys) { return min(keys, i + a->reach); }
static inline int whole(int n) { return (n + PANEL - 1) / PANEL * PANEL; }

/* `factor` times rows (n, HEAD) as panels of columns, panel after panel (HEAD, PANEL), a square of them at a time;
 * zeros behind the last row. */
static inline void pack_columns(__local float *restrict to, G const float *restrict from, long row, int n,
                                float factor)
{
    for (int j = 0; j < whole(n); j += TL_VECTOR) {
        __local float *panel = to + j / PANEL * HEAD * PANEL + j % PANEL;
        UNROLL for (int x = 0; x < VECTORS; x++) {
            vf square[TL_VECTOR];
            UNROLL for (int i = 0; i < TL_VECTOR; i++)
                square[i] = j + i < n ? features(from + (j + i) * row, x) * (vf)factor : (vf)0.0f;
            transpose(square);
            UNROLL for (int i = 0; i < TL_VECTOR; i++)
                if (x * TL_VECTOR + i < HEAD) VSTORE(square[i], 0, panel + (x * TL_VECTOR + i) * PANEL);
        }
    }
}

/* `factor` times rows (n, HEAD) as panels of features, each of `room` rows (room, PANEL); zeros behind the last row up
 * to a whole tile of them. */
static inline void pack_rows(__local float *restrict to, G const float *restrict from, long row, int n, int room,
                             float factor)
{
    for (int j = 0; j < n; j++)
        UNROLL for (int x = 0; x < VECTORS; x++)
            VSTORE(features(from + j * row, x) * (vf)factor, 0,
                   to + (x / 2 * room + j) * PANEL + x % 2 * TL_VECTOR);
    for (int j = n; j < min(room, (n + MR - 1) / MR * MR); j++)
        for (int p = 0; p < PANELS; p++)
            UNROLL for (int x = 0; x < 2; x++) VSTORE((vf)0.0f, x, to + (p * room + j) * PANEL);
}

/* A stretch of queries against a block of keys. */
typedef struct block {
    int i0, rows;     /* the first query, and how many */
    int j0, keys;     /* the first key, and how many of the block count */
} block;

/* Keys of the block that the tile of rows r0.. looks at: those of its last row. */
static inline int of_tile(const attention_args *a, const block *t, int r0)
{
    return clamp(seen(a, t->i0 + min(r0 + MR, t->rows) - 1, t->j0 + t->keys) - t->j0, 0, t->keys);
}
static inline int of_row(const attention_args *a, const block *t, int r)
{
    return clamp(seen(a, t->i0 + r, t->j0 + t->keys) - t->j0, 0, t->keys);
}

/* to (rows, KEYS) = x columns, as far as each tile of rows looks: x is panels of features, of `room` rows each. */
static inline void against(__local float *restrict to, __local const float *restrict x, int room,
                           __local const float *restrict columns, const attention_args *a, const block *t)
{
#define A(r, k) at[(r) * PANEL + (k)]
    for (int j = 0; j < t->keys; j += PANEL)
        for (int r0 = 0; r0 < t->rows; r0 += MR) {
            if (j >= of_tile(a, t, r0)) continue;
            vf acc[MR][2];
            ZERO(acc);
            for (int p = 0; p < PANELS; p++) {
                __local const float *at = x + (p * room + r0) * PANEL, *b = columns + (j * HEAD + p * PANEL * PANEL);
                SUMS(acc, 0, min(PANEL, HEAD - p * PANEL), A, b)
            }
            UNROLL for (int r = 0; r < MR; r++) {
                VSTORE(acc[r][0], 0, to + (r0 + r) * KEYS + j);
                VSTORE(acc[r][1], 1, to + (r0 + r) * KEYS + j);
            }
        }
#undef A
}

/* Factor of dropout for `n` keys from j0 on, of query row `line` (counted over everything). */
static inline void factors(__local float *restrict m, const attention_args *a, long line, int j0, int n)
{
    vu least = (vu)least_word(a->p);
    for (int j = 0; j < n; j += 4 * TL_VECTOR) {
        vu r[4];
        words(a->key0, a->key1, (ulong)(line * a->quads + (j0 + j) / 4), r);
        UNROLL for (int k = 0; k < 4; k++) VSTORE(r[k] >= least ? (vf)a->keep : (vf)0.0f, k, m + j);
    }
}

/* What a bias of -INFINITY hides is hidden, by the lowest number it is not: that stays finite, though log2(e) times it
 * is beyond all. */
#define BIAS_OF_SCORE(b) ((b) < -2e38f ? (b) : (b) * LOG2_E)

/* log2(e) times the bias of query i on scores of n keys from j0 on, then -INFINITY up to `used`. */
static inline void finish_scores(__local float *restrict s, const attention_args *a, G const float *restrict B, int i,
                                 int j0, int n, int used)
{
#if BIAS
    B += i * a->bias_q + j0 * a->bias_k;
    int j = 0;
    for (; a->bias_k == 1 && j + TL_VECTOR <= n; j += TL_VECTOR)
        VSTORE(VLOAD(0, s + j) + BIAS_OF_SCORE(VLOAD(0, B + j)), 0, s + j);
    for (; j < n; j++) s[j] += BIAS_OF_SCORE(B[j * a->bias_k]);
#endif
    for (int j = n; j < used; j++) s[j] = -INFINITY;
}

/* What the softmax along the blocks remembers of a row: the largest score, the sum of exponentials, and by what
 * factors the row of the result and what this block adds go in. */
typedef struct rows_so_far { __local float *restrict best, *restrict sum, *restrict old, *restrict more; } rows_so_far;

/* Scores of row r become 2^(score - largest so far), dropped ones 0. In the last block S gets the logarithm of the
 * row's sum, to base 2 times `unit`. */
static inline void soften(__local float *restrict s, const attention_args *a, G const float *restrict B,
                          G float *restrict S, float unit, const block *t, int r, int used, int last,
                          rows_so_far so, __local float *restrict m, long line)
{
    vf most = (vf)(-INFINITY), sum = (vf)0.0f;
    finish_scores(s, a, B, t->i0 + r, t->j0, of_row(a, t, r), used);
    for (int j = 0; j < used; j += TL_VECTOR) {
        vf x = VLOAD(0, s + j);
        most = LARGER(x, most);
    }
    float before = t->j0 ? so.best[r] : -INFINITY, best = fmax(before, largest_of_lanes(most)), shift = shift_of(best);
    for (int j = 0; j < used; j += TL_VECTOR) {
        vf e = power_of_two(VLOAD(0, s + j) - (vf)shift);
        VSTORE(e, 0, s + j);
        sum += e;
    }
    float old = t->j0 ? exp2(before - shift) : 0.0f, all = (t->j0 ? so.sum[r] * old : 0.0f) + sum_of_lanes(sum),
          inverse = !last         ? 1.0f
                    : all == 0.0f ? 0.0f
                                  : 1.0f / all;
    so.best[r] = best;
    so.sum[r] = all;
    so.old[r] = old * inverse;
    so.more[r] = inverse;
    if (last) S[line] = all == 0.0f ? 0.0f : unit * fma(log(all), LOG2_E, shift);
    if (a->p == 0.0f) return;
    factors(m, a, line, t->j0, used);
    for (int j = 0; j < used; j += TL_VECTOR) VSTORE(VLOAD(0, s + j) * VLOAD(0, m + j), 0, s + j);
}

/* Rows first..last - 1 of a head's result become zero. */
static inline void no_rows(G float *restrict to, long row, int first, int last)
{
    for (int i = first; i < last; i++)
        for (int x = 0; x < VECTORS; x++) put_features((vf)0.0f, x, to + i * row);
}

__kernel void attention(const attention_args given, G const float *restrict Q, G const float *restrict K,
                        G const float *restrict V, G const int *restrict L, G const float *restrict B,
                        G float *restrict O, G float *restrict S, float unit, __local float *restrict space)
{
    long h = get_global_id(1), b = get_global_id(2);
    SEQUENCE_OF(a);
    long line = s_first;
    int first = get_global_id(0) * a.rows, end = min(first + a.rows, a.tq);
    HEAD_OF(a);
    BIAS_OF(a);
    int keys = lengths_of(&a, L, b), queries = keys == 0 ? 0 : min(queries_of(&a, keys), end);
    __local float *kt = space, *v = kt + HEAD * a.block_k, *q = v + WIDTH * a.block_k, *s = q + WIDTH * a.block_q,
                  *m = s + a.block_q * KEYS;
    __local float *best = m + a.block_k + 4 * TL_VECTOR, *sum = best + a.rows, *old = sum + a.rows,
                  *more = old + a.block_q;
    for (int i = max(first, queries); i < end; i++) S[line + i] = 0.0f;
    no_rows(O + o_at, a.o_row, max(first, queries), end);
    for (int j0 = 0; first < queries && j0 < seen(&a, queries - 1, keys); j0 += a.block_k) {
        int some = min(a.block_k, keys - j0);
        pack_columns(kt, K + k_at + j0 * a.k_row, a.k_row, some, a.scale * LOG2_E);
        pack_rows(v, V + v_at + j0 * a.v_row, a.v_row, some, a.block_k, 1.0f);
        for (int i0 = first; i0 < queries; i0 += a.block_q) {
            block t = {i0, min(a.block_q, queries - i0), j0, some};
            if (of_tile(&a, &t, t.rows - 1) == 0) continue;
            pack_rows(q, Q + q_at + i0 * a.q_row, a.q_row, t.rows, a.block_q, 1.0f);
            against(s, q, a.block_q, kt, &a, &t);
            for (int r = 0; r < t.rows; r++) {
                int r0 = r / MR * MR, of = of_tile(&a, &t, r0),
                    last = seen(&a, i0 + min(r0 + MR, t.rows) - 1, keys) <= j0 + a.block_k;
                rows_so_far so = {best + i0 - first, sum + i0 - first, old, more};
                if (of > 0) soften(s + r * KEYS, &a, B, S, unit, &t, r, whole(of), last, so, m, line + i0 + r);
            }
#define A(r, k) s[(r0 + r) * KEYS + k]
            for (int p = 0; p < PANELS; p++)
                for (int r0 = 0; r0 < t.rows; r0 += MR) {
                    int of = of_tile(&a, &t, r0);
                    vf acc[MR][2];
                    ZERO(acc);
                    if (of == 0) continue;
                    SUMS_OF_HEAD(acc, p, 0, of, A, v + p * a.block_k * PANEL)
                    UNROLL for (int r = 0; r < MR; r++) {
                        if (r0 + r >= t.rows) continue;
                        G float *o = O + o_at + (long)(i0 + r0 + r) * a.o_row;
                        UNROLL for (int x = 0; x < 2; x++) {
                            if (2 * p + x >= VECTORS) continue;
                            vf y = acc[r][x] * (vf)more[r0 + r];
                            if (j0) y = fma(features(o, 2 * p + x), (vf)old[r0 + r], y);
                            put_features(y, 2 * p + x, o);
                        }
                    }
                }
#undef A
        }
    }
}

/* What the gradient of a stretch of queries reads: its result, gradient and sums, logarithms to base 2. */
typedef struct gradient_rows {
    G const float *restrict o, *restrict go, *restrict s;
    long line;
} gradient_rows;

/* P = 2^(score - S), m its dropout factor, D = sum of dO O: dS = P (m dP - D), dP = dO v^T. s becomes P m and ds
 * becomes dS for a block, zeros for what is not seen. */
static inline void scores_back(__local float *restrict s, __local float *restrict ds, __local float *restrict m,
                               const attention_args *a, G const float *restrict B, gradient_rows g,
                               __local const float *restrict q, __local const float *restrict go,
                               __local const float *restrict kt, __local const float *restrict vt, const block *t)
{
    against(s, q, a->block_q, kt, a, t);
    against(ds, go, a->block_q, vt, a, t);
    for (int r = 0; r < t->rows; r++) {
        int i = t->i0 + r, used = whole(of_tile(a, t, r / MR * MR));
        G const float *o = g.o + i * a->o_row, *own_go = g.go + i * a->o_row;
        __local float *sr = s + r * KEYS, *dr = ds + r * KEYS;
        vf dot = (vf)0.0f;
        for (int x = 0; x < VECTORS; x++) dot = fma(features(o, x), features(own_go, x), dot);
        float own = sum_of_lanes(dot), shift = g.s[i];
        finish_scores(sr, a, B, i, t->j0, of_row(a, t, r), used);
        if (a->p > 0.0f) factors(m, a, g.line + i, t->j0, used);
        for (int j = 0; j < used; j += TL_VECTOR) {
            vf e = power_of_two(VLOAD(0, sr + j) - (vf)shift), f = a->p > 0.0f ? VLOAD(0, m + j) : (vf)1.0f,
               dp = VLOAD(0, dr + j);
            /* The factor in a statement of its own: contracted to fma(factor, dp, -own), Intel's runtime for
             * processors loses `own` where the factor is 1. */
            dp *= f;
            VSTORE(e * f, 0, sr + j);
            VSTORE(e * (dp - (vf)own), 0, dr + j);
        }
        for (int j = used; j < whole(t->keys); j += TL_VECTOR) {
            VSTORE((vf)0.0f, 0, sr + j);
            VSTORE((vf)0.0f, 0, dr + j);
        }
    }
}

/* to (keys, WIDTH) += w^T x: w (rows, KEYS) by tiles of its columns, x panels of features of `room` rows. Rows whose
 * keys come later are left out. */
static inline void turned_product(__local float *restrict to, __local const float *restrict w,
                                  __local const float *restrict x, int room, const attention_args *a, const block *t)
{
#define A(r, k) w[(k) * KEYS + j + (r)]
    for (int p = 0; p < PANELS; p++)
        for (int j = 0; j < t->keys; j += MR) {
            int from = max(0, t->j0 + j - t->i0 - a->reach + 1);
            vf acc[MR][2];
            ZERO(acc);
            SUMS_OF_HEAD(acc, p, from, t->rows, A, x + p * room * PANEL)
            UNROLL for (int r = 0; r < MR; r++) {
                __local float *at = to + (j + r) * WIDTH + p * PANEL;
                if (j + r >= t->keys) continue;
                VSTORE(VLOAD(0, at) + acc[r][0], 0, at);
                VSTORE(VLOAD(1, at) + acc[r][1], 1, at);
            }
        }
#undef A
}

/* dq = dS k_rows, which are scale k: of the first block of keys, to which others are added. */
static inline void product_of_keys(G float *restrict to, __local const float *restrict ds,
                                   __local const float *restrict k_rows, const attention_args *a, const block *t)
{
#define A(r, k) ds[(r0 + r) * KEYS + k]
    for (int p = 0; p < PANELS; p++)
        for (int r0 = 0; r0 < t->rows; r0 += MR) {
            int of = of_tile(a, t, r0);
            vf acc[MR][2];
            ZERO(acc);
            if (of == 0) continue;
            SUMS_OF_HEAD(acc, p, 0, of, A, k_rows + p * a->block_k * PANEL)
            UNROLL for (int r = 0; r < MR; r++) {
                if (r0 + r >= t->rows) continue;
                G float *at = to + (long)(t->i0 + r0 + r) * a->o_row;
                UNROLL for (int x = 0; x < 2; x++) {
                    if (2 * p + x >= VECTORS) continue;
                    vf y = acc[r][x];
                    if (t->j0) y += features(at, 2 * p + x);
                    put_features(y, 2 * p + x, at);
                }
            }
        }
#undef A
}

/* dS of a block is the gradient of its scores' bias; here no two scores share one. */
static inline void keep_scores(G float *restrict to, __local const float *restrict ds, const attention_args *a,
                               const block *t)
{
    for (int r = 0; r < t->rows; r++) {
        G float *at = to + (long)(t->i0 + r) * a->tk + t->j0;
        for (int j = 0, n = of_row(a, t, r); j < n; j++) at[j] = ds[r * KEYS + j];
    }
}

/* dq = scale dS k, dk = scale dS^T q, dv = (P m)^T dO; DB, where there is one, (batch, heads, tq, tk) gets dS, and was
 * zero. */
__kernel void attention_gradient(const attention_args given, G const float *restrict Q, G const float *restrict K,
                                 G const float *restrict V, G const int *restrict L, G const float *restrict B,
                                 G const float *restrict O, G const float *restrict S, G const float *restrict GO,
                                 G float *restrict DQ, G float *restrict DK, G float *restrict DV,
                                 G float *restrict DB, int keep, __local float *restrict space)
{
    long h = get_global_id(0), b = get_global_id(1);
    SEQUENCE_OF(a);
    long line = s_first, dk_at = k_first * a.o_row + h * HEAD;
    HEAD_OF(a);
    BIAS_OF(a);
    GO += a.go_at;
    int keys = lengths_of(&a, L, b), queries = keys == 0 ? 0 : queries_of(&a, keys),
        most = queries == 0 ? 0 : seen(&a, queries - 1, keys), bk = a.block_k, bq = a.block_q;
    __local float *kt = space, *vt = kt + HEAD * bk, *k_rows = vt + HEAD * bk, *dk = k_rows + WIDTH * bk,
                  *dv = dk + WIDTH * bk, *q = dv + WIDTH * bk, *go = q + WIDTH * bq;
    __local float *s = go + WIDTH * bq, *ds = s + bq * KEYS + PANEL, *m = ds + bq * KEYS + PANEL;
    gradient_rows g = {O + o_at, GO + o_at, S + line, line};
    no_rows(DQ + o_at, a.o_row, queries, a.tq);
    no_rows(DK + dk_at, a.o_row, most, a.tk);
    no_rows(DV + dk_at, a.o_row, most, a.tk);
    for (int j0 = 0; j0 < most; j0 += bk) {
        int some = min(bk, most - j0);
        pack_columns(kt, K + k_at + j0 * a.k_row, a.k_row, some, a.scale * LOG2_E);
        pack_columns(vt, V + v_at + j0 * a.v_row, a.v_row, some, 1.0f);
        pack_rows(k_rows, K + k_at + j0 * a.k_row, a.k_row, some, bk, a.scale);
        for (int x = 0; x < 2 * WIDTH * bk; x += TL_VECTOR) VSTORE((vf)0.0f, 0, dk + x); /* and dv */
        for (int i0 = 0; i0 < queries; i0 += bq) {
            block t = {i0, min(bq, queries - i0), j0, some};
            if (of_tile(&a, &t, t.rows - 1) == 0) continue;
            pack_rows(q, Q + q_at + i0 * a.q_row, a.q_row, t.rows, bq, 1.0f);
            pack_rows(go, GO + o_at + i0 * a.o_row, a.o_row, t.rows, bq, 1.0f);
            scores_back(s, ds, m, &a, B, g, q, go, kt, vt, &t);
            if (keep) keep_scores(DB + line * a.tk, ds, &a, &t);
            product_of_keys(DQ + o_at, ds, k_rows, &a, &t);
            turned_product(dv, s, go, bq, &a, &t);
            turned_product(dk, ds, q, bq, &a, &t);
        }
        for (int j = 0; j < some; j++)
            for (int x = 0; x < VECTORS; x++) {
                put_features(VLOAD(x, dk + j * WIDTH) * (vf)a.scale, x, DK + dk_at + (j0 + j) * a.o_row);
                put_features(VLOAD(x, dv + j * WIDTH), x, DV + dk_at + (j0 + j) * a.o_row);
            }
    }
}

/* The gradient of a bias that several scores share: a work-item has `rows` queries of one head of the bias (all of
 * them where they share it) and adds up dS over the sequences and heads that have it in common, in their order. DB (N
 * or 1, heads or 1, tq or 1, tk) was zero. */
__kernel void attention_bias(const attention_args a, G const float *restrict Q, G const float *restrict K,
                             G const float *restrict V, G const int *restrict L, G const float *restrict B,
                             G const float *restrict O, G const float *restrict S, G const float *restrict GO,
                             G float *restrict DB, __local float *restrict space)
{
    long own_h = get_global_id(1), own_b = get_global_id(2);
    int first = get_global_id(0) * a.rows, end = min(first + a.rows, a.tq), bk = a.block_k, bq = a.block_q;
    long hs = a.bias_h ? 1 : a.heads, bs = a.bias_n ? 1 : a.batch;
    __local float *kt = space, *vt = kt + HEAD * bk, *q = vt + HEAD * bk, *go = q + WIDTH * bq, *s = go + WIDTH * bq,
                  *ds = s + bq * KEYS + PANEL, *m = ds + bq * KEYS + PANEL;
    G const float *bias = B, *result = O, *sums = S;
    GO += a.go_at;
    DB += own_b * a.bias_n + own_h * a.bias_h;
    for (long x = 0; x < hs * bs; x++) {
        long h = own_h + x % hs, b = own_b + x / hs, line = (b * a.heads + h) * a.tq, q_first = b * a.tq,
             k_first = b * a.tk;
        B = bias;
        O = result;
        S = sums;
        HEAD_OF(a);
        BIAS_OF(a);
        int keys = lengths_of(&a, L, b), queries = keys == 0 ? 0 : min(queries_of(&a, keys), end);
        gradient_rows g = {O + o_at, GO + o_at, S + line, line};
        for (int j0 = 0; first < queries && j0 < seen(&a, queries - 1, keys); j0 += bk) {
            int some = min(bk, keys - j0);
            pack_columns(kt, K + k_at + j0 * a.k_row, a.k_row, some, a.scale * LOG2_E);
            pack_columns(vt, V + v_at + j0 * a.v_row, a.v_row, some, 1.0f);
            for (int i0 = first; i0 < queries; i0 += bq) {
                block t = {i0, min(bq, queries - i0), j0, some};
                pack_rows(q, Q + q_at + i0 * a.q_row, a.q_row, t.rows, bq, 1.0f);
                pack_rows(go, GO + o_at + i0 * a.o_row, a.o_row, t.rows, bq, 1.0f);
                scores_back(s, ds, m, &a, B, g, q, go, kt, vt, &t);
                for (int r = 0; r < t.rows; r++) {
                    G float *at = DB + (i0 + r) * a.bias_q + j0;
                    for (int j = 0, n = of_row(&a, &t, r); j < n; j++) at[j] += ds[r * KEYS + j];
                }
            }
        }
    }
}
