#include "gpu/column_group.clh"
/* reduce_gpu.cl - cpu/reduce.cl's work for GPUs: T is float, or int with -DWHOLE. `_rows`: (outer, n) -> (outer,
 * parts), lanes to a part of `length`; `_columns`: (outer, rows, columns) -> (outer, parts, columns), lanes down a
 * part; `_middle`: the same of few rows, a work-item a column, which goes down all of it. */
#ifdef WHOLE
#define T int
#define SCALED(v) (v)
#define PLUS(a, b) (int)((uint)(a) + (uint)(b))
#define TIMES(a, b) (int)((uint)(a) * (uint)(b))
#define MOST(a, b) max(a, b)
#define LEAST(a, b) min(a, b)
#define LOWEST INT_MIN
#define HIGHEST INT_MAX
#else
#define T float
#define SCALED(v) ((v) * scale)
#define PLUS(a, b) ((a) + (b))
#define TIMES(a, b) ((a) * (b))
#define MOST(a, b) ((((a) > (b)) | ((a) != (a))) ? (a) : (b)) /* fmax would drop a NaN */
#define LEAST(a, b) ((((a) < (b)) | ((a) != (a))) ? (a) : (b))
#define LOWEST (-INFINITY)
#define HIGHEST INFINITY
#endif
#define REDUCE(NAME, START, JOIN)                                                                                  \
    OVER_LANES(NAME##_over_lanes, T, JOIN)                                                                         \
    DOWN_LANES(NAME##_down_lanes, T, JOIN)                                                                         \
    __kernel void NAME##_rows_gpu(G const T *restrict X, long x0, G T *restrict Y, long y0, long n, long length,   \
                                  long parts, float scale, ROW_ARGS)                                               \
    {                                                                                                              \
        __local T t[MOST_ITEMS];                                                                                   \
        long o = get_global_id(0) / lanes / parts, from = (get_global_id(0) / lanes - o * parts) * length;         \
        ROW_PLACE(min(length, n - from));                                                                          \
        G const T *x = X + x0 + o * n + from;                                                                      \
        T acc = START;                                                                                             \
        EACH_OF_ROW                                                                                                \
        {                                                                                                          \
            T v = x[i];                                                                                            \
            acc = JOIN(acc, v);                                                                                    \
        }                                                                                                          \
        acc = NAME##_over_lanes(t, acc, id, lanes);                                                                \
        if (lane == 0 && r < rows) Y[y0 + r] = SCALED(acc);                                                        \
    }                                                                                                              \
    __kernel void NAME##_columns_gpu(G const T *restrict X, long x0, G T *restrict Y, long y0, long parts,         \
                                     float scale, COLUMN_ARGS)                                                     \
    {                                                                                                              \
        __local T t[MOST_ITEMS];                                                                                   \
        COLUMN_PLACE;                                                                                              \
        G const T *x = X + x0 + outer * rows * columns + c;                                                        \
        T acc = START;                                                                                             \
        EACH_OF_COLUMN                                                                                             \
        {                                                                                                          \
            T v = x[r * columns];                                                                                  \
            acc = JOIN(acc, v);                                                                                    \
        }                                                                                                          \
        acc = NAME##_down_lanes(t, acc, id, across);                                                               \
        if (lane == 0 && inside) Y[y0 + (outer * parts + part) * columns + c] = SCALED(acc);                       \
    }                                                                                                              \
    __kernel void NAME##_middle_gpu(G const T *restrict X, long x0, G T *restrict Y, long y0, long n, long inner,  \
                                    float scale BOUND)                                                             \
    {                                                                                                              \
        INSIDE;                                                                                                    \
        long e = get_global_id(0), o = e / inner;                                                                  \
        G const T *x = X + x0 + o * n * inner + e - o * inner;                                                     \
        T acc = START;                                                                                             \
        _Pragma("unroll 4") for (long i = 0; i < n; i++)                                                           \
        {                                                                                                          \
            T v = x[i * inner];                                                                                    \
            acc = JOIN(acc, v);                                                                                    \
        }                                                                                                          \
        Y[y0 + e] = SCALED(acc);                                                                                   \
    }
REDUCE(sum, 0, PLUS)
REDUCE(max, LOWEST, MOST)
REDUCE(min, HIGHEST, LEAST)
REDUCE(prod, 1, TIMES)
