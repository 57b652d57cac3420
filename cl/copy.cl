#include "common.clh"
/* copy.cl - y[i] = x[i] over any strides, converting FROM into TO
 * (0 float32, 1 float16, 2 bfloat16, 3 int32, 4 uint8). One work-item: row_block rows of chunk elements. */
#if FROM == 0
typedef float from_t;
#define LD(p, i) ((p)[i])
#elif FROM == 1
typedef half from_t;
#define LD(p, i) vload_half(i, p)
#elif FROM == 2
typedef ushort from_t;
#define LD(p, i) as_float((uint)(p)[i] << 16)
#elif FROM == 3
typedef int from_t;
#define LD(p, i) ((p)[i])
#else
typedef uchar from_t;
#define LD(p, i) ((p)[i])
#endif

#if TO == 0
typedef float to_t;
#define ST(v, p, i) ((p)[i] = (float)(v))
#elif TO == 1
typedef half to_t;
#define ST(v, p, i) vstore_half_rte((float)(v), i, p)
#elif TO == 2
typedef ushort to_t;
static inline ushort to_bf16(float f)
{
    uint b = as_uint(f);
    return isnan(f) ? (ushort)(b >> 16 | 0x40) : (ushort)((b + 0x7fff + (b >> 16 & 1)) >> 16);
}
#define ST(v, p, i) ((p)[i] = to_bf16((float)(v)))
#elif TO == 3
typedef int to_t;
#define ST(v, p, i) ((p)[i] = (int)(v))
#else
typedef uchar to_t;
#define ST(v, p, i) ((p)[i] = (uchar)(v))
#endif

__kernel void copy(const tl_walk w, G const from_t *restrict x, long x0, G to_t *restrict y, long y0 BOUND)
{
    INSIDE;
    long r0 = get_global_id(1) * w.row_block, r1 = min(r0 + w.row_block, w.rows);
    long c0 = get_global_id(0) * w.chunk, c1 = min(c0 + w.chunk, w.inner);
    for (long r = r0; r < r1; r++) {
        G const from_t *a = x + x0 + walk_row(&w, 0, r);
        G to_t *b = y + y0 + walk_row(&w, 1, r);
        if (w.inner_stride[0] == 1 && w.inner_stride[1] == 1)
            for (long i = c0; i < c1; i++) ST(LD(a, i), b, i);
        else
            for (long i = c0; i < c1; i++) ST(LD(a, i * w.inner_stride[0]), b, i * w.inner_stride[1]);
    }
}

#if FROM == 0 && TO == 0
/* y[i] += x[i] */
__kernel void add_into(const tl_walk w, G const float *restrict x, long x0, G float *restrict y, long y0 BOUND)
{
    INSIDE;
    long r0 = get_global_id(1) * w.row_block, r1 = min(r0 + w.row_block, w.rows);
    long c0 = get_global_id(0) * w.chunk, c1 = min(c0 + w.chunk, w.inner);
    for (long r = r0; r < r1; r++) {
        G const float *a = x + x0 + walk_row(&w, 0, r);
        G float *b = y + y0 + walk_row(&w, 1, r);
        for (long i = c0; i < c1; i++) b[i * w.inner_stride[1]] += a[i * w.inner_stride[0]];
    }
}
#endif
