#include "common.clh"
/* reduce.cl - (outer, n, inner) -> (outer, inner). `_rows`: (outer, n) -> (outer, parts), work-item (x, y): part y of row x,
 * `length` elements, whole vectors (what would lie behind the row's end adds nothing); `_middle`: one work-item a vector of
 * inner columns. The order of additions depends on the shape alone. */
#ifndef WHOLE
#define REDUCE(NAME, START, JOIN)                                                                              \
    __kernel void NAME##_rows(G const float *restrict X, long x0, G float *restrict Y, long y0, long n,        \
                              long length, float scale BOUND)                                                  \
    {                                                                                                          \
        INSIDE;                                                                                                \
        long o = get_global_id(0), i = get_global_id(1) * length, end = min(i + length, n);                    \
        X += x0 + o * n;                                                                                       \
        vf acc = (vf)(START);                                                                                  \
        for (; i + TL_VECTOR <= end; i += TL_VECTOR) {                                                         \
            vf x = VLOAD(0, X + i);                                                                            \
            acc = JOIN(acc, x);                                                                                \
        }                                                                                                      \
        float part[TL_VECTOR], total = START;                                                                  \
        VSTORE(acc, 0, part);                                                                                  \
        for (int k = 0; k < TL_VECTOR; k++) total = JOIN(total, part[k]);                                      \
        for (; i < end; i++) total = JOIN(total, X[i]);                                                        \
        Y[y0 + o * bound.y + get_global_id(1)] = total * scale;                                                \
    }                                                                                                          \
    __kernel void NAME##_middle(G const float *restrict X, long x0, G float *restrict Y, long y0, long n,      \
                                long inner, float scale BOUND)                                                 \
    {                                                                                                          \
        INSIDE;                                                                                                \
        long c = get_global_id(0) * TL_VECTOR, o = get_global_id(1);                                           \
        int m = (int)min((long)TL_VECTOR, inner - c);                                                          \
        X += x0 + o * n * inner + c;                                                                           \
        Y += y0 + o * inner + c;                                                                               \
        vf acc = (vf)(START);                                                                                  \
        if (m == TL_VECTOR) {                                                                                  \
            for (long i = 0; i < n; i++) acc = JOIN(acc, VLOAD(0, X + i * inner));                             \
            VSTORE(acc * (vf)scale, 0, Y);                                                                     \
        } else {                                                                                               \
            for (long i = 0; i < n; i++) acc = JOIN(acc, vldn(X + i * inner, m));                              \
            vstn(acc * (vf)scale, Y, m);                                                                       \
        }                                                                                                      \
    }
#define PLUS(a, b) ((a) + (b))
#define MOST(a, b) ((((a) > (b)) | ((a) != (a))) ? (a) : (b)) /* fmax would drop a NaN */
REDUCE(sum, 0.0f, PLUS)
REDUCE(max, -INFINITY, MOST)
#define LEAST(a, b) ((((a) < (b)) | ((a) != (a))) ? (a) : (b))
#define TIMES(a, b) ((a) * (b))
REDUCE(min, INFINITY, LEAST)
REDUCE(prod, 1.0f, TIMES)
#else
/* The same index map for int32. */
#define REDUCE(NAME, START, JOIN)                                                                              \
    __kernel void NAME##_rows(G const int *restrict X, long x0, G int *restrict Y, long y0, long n,            \
                              long length, float scale BOUND)                                                  \
    {                                                                                                          \
        INSIDE;                                                                                                \
        long o = get_global_id(0), i = get_global_id(1) * length, end = min(i + length, n);                    \
        int total = START;                                                                                     \
        for (; i < end; i++) total = JOIN(total, X[x0 + o * n + i]);                                           \
        Y[y0 + o * bound.y + get_global_id(1)] = total;                                                        \
    }                                                                                                          \
    __kernel void NAME##_middle(G const int *restrict X, long x0, G int *restrict Y, long y0, long n,          \
                                long inner, float scale BOUND)                                                 \
    {                                                                                                          \
        INSIDE;                                                                                                \
        long c = get_global_id(0) * TL_VECTOR, o = get_global_id(1), end = min(c + TL_VECTOR, inner);          \
        for (; c < end; c++) {                                                                                 \
            int total = START;                                                                                 \
            for (long i = 0; i < n; i++) total = JOIN(total, X[x0 + (o * n + i) * inner + c]);                 \
            Y[y0 + o * inner + c] = total;                                                                     \
        }                                                                                                      \
    }
#define PLUS(a, b) (int)((uint)(a) + (uint)(b))
#define MOST(a, b) max(a, b)
REDUCE(sum, 0, PLUS)
REDUCE(max, INT_MIN, MOST)
#define LEAST(a, b) min(a, b)
#define TIMES(a, b) (int)((uint)(a) * (uint)(b))
REDUCE(min, INT_MAX, LEAST)
REDUCE(prod, 1, TIMES)
#endif
