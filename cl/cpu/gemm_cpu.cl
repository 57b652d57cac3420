#include "gemm.clh"
#include "cpu/lanes.clh"
/* gemm_cpu.cl - the product on CPU devices: one work-item to a group, a register tile of MR x NR sums, both
 * operands packed so that the inner loop reads memory in order. MR and NR come from the host. */
#define JN (NR / TL_VECTOR)

/* b as it lies in memory: B_TYPE 0 float32, 1 float16, 2 bfloat16. B_ONE is an element, B_VECTOR a vector of them. */
#ifndef B_TYPE
#define B_TYPE 0
#endif
#if TL_VECTOR == 16
#define VLOAD_HALF vload_half16
#define VLOAD_WORDS vload16
#define WIDENED convert_uint16
#elif TL_VECTOR == 8
#define VLOAD_HALF vload_half8
#define VLOAD_WORDS vload8
#define WIDENED convert_uint8
#else
#define VLOAD_HALF vload_half4
#define VLOAD_WORDS vload4
#define WIDENED convert_uint4
#endif
#if B_TYPE == 1
typedef ushort b_t;
#define B_ONE(p) vload_half(0, (G const half *)(p))
#define B_VECTOR(p) VLOAD_HALF(0, (G const half *)(p))
#elif B_TYPE == 2
typedef ushort b_t;
#define B_ONE(p) as_float((uint)*(p) << 16)
#define B_VECTOR(p) VF(WIDENED(VLOAD_WORDS(0, (p))) << 16)
#else
typedef float b_t;
#define B_ONE(p) (*(p))
#define B_VECTOR(p) VLOAD(0, (p))
#endif

/* load_part of gemm.clh. */
static inline vf load_b(G const b_t *p, long stride, int n)
{
    if (stride == 1 && n >= TL_VECTOR) return B_VECTOR(p);
    float t[TL_VECTOR];
    for (int i = 0; i < TL_VECTOR; i++) t[i] = i < n ? B_ONE(p + i * stride) : 0.0f;
    return VLOAD(0, t);
}

/* b becomes panels of NR columns, (z, panel, k, NR), with zeros where columns or the last vector's worth of k end.
 * Work-item (x, y, z): panel x, `length` of k from y on (a multiple of the vector), matrix z. */
__kernel void pack_b(const gemm_args g, G const b_t *restrict B, G float *restrict P, long length, long p_batch)
{
    long j = get_global_id(0) * NR, k0 = get_global_id(1) * length, z = get_global_id(2);
    long kp = (g.k + TL_VECTOR - 1) / TL_VECTOR * TL_VECTOR, k1 = min(k0 + length, kp);
    int cols = (int)min((long)NR, g.n - j);
    G const b_t *b = B + g.b_at + z * g.b_batch + j * g.b_col;
    G float *p = P + z * p_batch + j * kp;
    if (g.b_row == 1 && g.b_col != 1) {
        /* Columns lie along k: squares are turned around. */
        for (long k = k0; k < k1; k += TL_VECTOR) {
            int part = (int)clamp(g.k - k, 0L, (long)TL_VECTOR);
            for (int x = 0; x < NR; x += TL_VECTOR) {
                vf r[TL_VECTOR];
                UNROLL for (int y = 0; y < TL_VECTOR; y++)
                    r[y] = x + y < cols ? load_b(b + (x + y) * g.b_col + k, 1, part) : (vf)0.0f;
                transpose(r);
                UNROLL for (int y = 0; y < TL_VECTOR; y++) VSTORE(r[y], 0, p + (k + y) * NR + x);
            }
        }
        return;
    }
    for (long k = k0; k < k1; k++)
        for (int x = 0; x < NR; x += TL_VECTOR)
            VSTORE(k < g.k && x < cols ? load_b(b + k * g.b_row + x * g.b_col, g.b_col, cols - x) : (vf)0.0f, 0,
                   p + k * NR + x);
}

/* One panel of a in steps of TL_VECTOR columns, each (MR, TL_VECTOR): rows of a are copied as they are. */
static inline void pack_rows(__local float *restrict to, G const float *restrict a, const gemm_args *g, long i, int rows, long k0, long kb)
{
    for (int y = 0; y < MR; y++) {
        G const float *from = a + (i + y) * g->a_row + k0 * g->a_col;
        __local float *t = to + y * TL_VECTOR;
        long k = 0;
        if (y < rows && g->a_col == 1) {
            for (; k0 + k + TL_VECTOR <= g->k && k < kb; k += TL_VECTOR, t += MR * TL_VECTOR) VSTORE((vf)g->alpha * VLOAD(0, from + k), 0, t);
        }
        for (; k < kb; k += TL_VECTOR, t += MR * TL_VECTOR) {
            int part = y < rows ? (int)clamp(g->k - k0 - k, 0L, (long)TL_VECTOR) : 0;
            VSTORE(part > 0 ? (vf)g->alpha * load_part(from + k * g->a_col, g->a_col, part) : (vf)0.0f, 0, t);
        }
    }
}

/* The same for a transposed a: (k, MR), so that columns of a are copied as they are. */
static inline void pack_columns(__local float *restrict to, G const float *restrict a, const gemm_args *g, long i, int rows, long k0, long kb)
{
    G const float *from = a + i * g->a_row + k0 * g->a_col;
    long k = 0, n = min(kb, g->k - k0);
    /* Whole vectors where the matrix goes on that far: what is too much, the next column or panel overwrites. */
    if (g->a_row == 1 && i + (MR + TL_VECTOR - 1) / TL_VECTOR * TL_VECTOR <= g->m)
        for (; k < n; k++, from += g->a_col)
            for (int y = 0; y < MR; y += TL_VECTOR) VSTORE((vf)g->alpha * VLOAD(0, from + y), 0, to + k * MR + y);
    for (; k < kb; k++, from += g->a_col)
        for (int y = 0; y < MR; y++) to[k * MR + y] = k < n && y < rows ? g->alpha * from[y * g->a_row] : 0.0f;
}

/* The end of a tile that waits in `t` (rows of NR): what `finish` of gemm.clh does, alpha being in a already. */
static inline void finish_block(const gemm_args *g, __local const float *t, G float *c, G const float *b, G const float *r, int rows, int cols,
                         int carried, int last)
{
    for (int y = 0; y < rows; y++, c += g->c_row, r += g->r_row)
        for (int x = 0; x < cols; x += TL_VECTOR) {
            int n = cols - x;
            vf v = VLOAD(0, t + y * NR + x);
            if (carried) v += load_part(c + x, 1, n);
            if (last) {
                if (g->bias) v += load_part(b + x, 1, n);
                if (g->residual) v += load_part(r + x, 1, n);
                v = activate(v, g->activation);
            }
            store_part(v, c + x, n);
        }
}

#define GEMM_MORE
#define KERNEL gemm_rows
#define A_AT(i, k) ((i) * TL_VECTOR + (k))
#define PACK_A pack_rows
#include "cpu/gemm_tile.clh"
#undef KERNEL
#undef A_AT
#undef PACK_A

#define KERNEL gemm_columns
#define A_AT(i, k) ((k) * MR + (i))
#define PACK_A pack_columns
#include "cpu/gemm_tile.clh"
#undef KERNEL
#undef A_AT
#undef PACK_A
#undef GEMM_MORE

/* src/device/gemm/gemm.h has the same struct. */
typedef struct patches {
    long in[3], out[3], extent[3], stride[3], padding[3], dilation[3];
    long channels, pixel;
} patches;

/* One panel of patches: row i is output pixel i, column k is (kernel position, channel). Where a vector of
 * columns lies within one kernel position it is copied whole, or zeroed where the position is outside. */
static inline void pack_patches(__local float *restrict to, G const float *restrict a, const gemm_args *g, const patches *p, long i, int rows, long k0, long kb)
{
    for (int y = 0; y < MR; y++) {
        __local float *t = to + y * TL_VECTOR;
        if (y >= rows) {
            for (long k = 0; k < kb; k += TL_VECTOR, t += MR * TL_VECTOR) VSTORE((vf)0.0f, 0, t);
            continue;
        }
        long row = i + y, c = p->channels;
        int w0 = (int)(row % p->out[2] * p->stride[2] - p->padding[2]);
        row /= p->out[2];
        int h0 = (int)(row % p->out[1] * p->stride[1] - p->padding[1]);
        row /= p->out[1];
        int d0 = (int)(row % p->out[0] * p->stride[0] - p->padding[0]);
        G const float *picture = a + row / p->out[0] * p->in[0] * p->in[1] * p->in[2] * p->pixel;
        /* Where in the kernel column k0 lies. */
        long tap = k0 / c, ci = k0 - tap * c;
        int kw = (int)(tap % p->extent[2]), kh = (int)(tap / p->extent[2] % p->extent[1]), kd = (int)(tap / p->extent[2] / p->extent[1]);
        long k = 0;
        if (c % TL_VECTOR == 0) {
            for (; k < kb && k0 + k < g->k;) {
                int d = d0 + kd * (int)p->dilation[0], h = h0 + kh * (int)p->dilation[1], w = w0 + kw * (int)p->dilation[2];
                int inside = d >= 0 && d < p->in[0] && h >= 0 && h < p->in[1] && w >= 0 && w < p->in[2];
                G const float *from = picture + ((d * p->in[1] + h) * p->in[2] + w) * p->pixel + ci;
                long n = min(c - ci, kb - k);
                if (inside)
                    for (long q = 0; q < n; q += TL_VECTOR, t += MR * TL_VECTOR) VSTORE(VLOAD(0, from + q), 0, t);
                else
                    for (long q = 0; q < n; q += TL_VECTOR, t += MR * TL_VECTOR) VSTORE((vf)0.0f, 0, t);
                k += n;
                ci = 0;
                if (++kw == p->extent[2]) {
                    kw = 0;
                    if (++kh == p->extent[1]) kh = 0, kd++;
                }
            }
            for (; k < kb; k += TL_VECTOR, t += MR * TL_VECTOR) VSTORE((vf)0.0f, 0, t);
            continue;
        }
        int lane = 0;
        for (; k < kb;) {
            int d = d0 + kd * (int)p->dilation[0], h = h0 + kh * (int)p->dilation[1], w = w0 + kw * (int)p->dilation[2];
            int inside = k0 + k < g->k && d >= 0 && d < p->in[0] && h >= 0 && h < p->in[1] && w >= 0 && w < p->in[2];
            G const float *from = picture + ((d * p->in[1] + h) * p->in[2] + w) * p->pixel;
            for (; ci < c && k < kb; ci++, k++) {
                t[lane] = inside ? from[ci] : 0.0f;
                if (++lane == TL_VECTOR) lane = 0, t += MR * TL_VECTOR;
            }
            if (ci < c) break;
            ci = 0;
            if (++kw == p->extent[2]) {
                kw = 0;
                if (++kh == p->extent[1]) kh = 0, kd++;
            }
        }
    }
}

#define GEMM_MORE , const patches p
#define KERNEL gemm_patches
#define A_AT(i, k) ((i) * TL_VECTOR + (k))
#define PACK_A(to, a, g, i, rows, k0, kb) pack_patches(to, a, g, &p, i, rows, k0, kb)
#include "cpu/gemm_tile.clh"
