#include "winograd.clh"
/* conv_winograd_weight.cl - the gradient of a 3x3x3 convolution of stride 1 towards its weights on CPU devices, by the
 * transpose of Winograd's F(4x4, 3x3). As the outputs of a tile are A' [(G g G') * (B' d B)] A,
 *
 *     dg = G' [sum over tiles (B' d B) * (A gy A')] G
 *
 * so that over channels there are 36 products with as many terms as there are tiles, a quarter of the direct form's.
 * Slice kd of a kernel of three dimensions meets the inputs kd slices further on, whose transforms are shared.
 *
 * A group has `cb` input and `ob` output channels and a part of the columns, `deep` slices of a tile each; `wide`
 * columns at a time are transformed into local memory, inputs as (point, column, slice, cb), gradients as (point,
 * column, slice, ob). RT x CT: a register tile of input channels by vectors of output channels. */

/* src/op/conv_winograd_weight.c has the same struct. */
typedef struct weight_args {
    long n, in[3], out[3], padding[3], slices;
    long tiles_h, tiles_w;
    long ci, co, cb, ob;
    long deep, pieces, columns, wide, parts; /* a column of the volume is cut into `pieces` */
    long v_point, z_point;                   /* floats from one point to the next */
} weight_args;

/* Where a column begins: its picture, its first output slice, its tile's first output row and pixel. */
typedef struct column { long n, d, h, w; } column;

INLINE column column_at(const weight_args *a, long i)
{
    column c = {.w = i % a->tiles_w * 4, .h = i / a->tiles_w % a->tiles_h * 4};
    i /= a->tiles_w * a->tiles_h;
    c.d = i % a->pieces * a->deep;
    c.n = i / a->pieces;
    return c;
}

/* Pixel (i, j) of a tile from row h and pixel w on of a slice, zeros outside of it. */
INLINE vf pixel_of(G const float *x, long channels, long high, long wide, long h, long w)
{
    return h >= 0 && h < high && w >= 0 && w < wide ? VLOAD(0, x + (h * wide + w) * channels) : (vf)0.0f;
}

/* The `side` x `side` pixels of a tile. */
#define LOAD_TILE(v, side, x, channels, high, wide, h, w)                                          \
    if (h >= 0 && h + side <= high && w >= 0 && w + side <= wide) {                                \
        G const float *first = x + (h * wide + w) * channels;                                      \
        UNROLL for (int r = 0; r < side; r++)                                                      \
            UNROLL for (int t = 0; t < side; t++)                                                  \
                v[r * side + t] = VLOAD(0, first + (r * wide + t) * channels);                     \
    } else                                                                                         \
        UNROLL for (int r = 0; r < side; r++)                                                      \
            UNROLL for (int t = 0; t < side; t++)                                                  \
                v[r * side + t] = pixel_of(x, channels, high, wide, h + r, w + t);

#define INPUT(v, step, o) \
    input_1d((v)[0], (v)[step], (v)[2 * step], (v)[3 * step], (v)[4 * step], (v)[5 * step], o, step)
#define GRADIENT(v, step, o, way) gradient_1d((v)[0], (v)[step], (v)[2 * step], (v)[3 * step], o, way)
#define KERNEL(v, step, o, way) \
    kernel_1d((v)[0], (v)[step], (v)[2 * step], (v)[3 * step], (v)[4 * step], (v)[5 * step], o, way)

/* B' d B of the column's input slices, channels c0 on. */
INLINE void put_inputs(__local float *to, const weight_args *a, column c, G const float *X, long c0)
{
    for (long k = 0; k < a->deep + a->slices - 1; k++) {
        long d = c.d - a->padding[0] + k, h = c.h - a->padding[1], w = c.w - a->padding[2];
        int there = d >= 0 && d < a->in[0];
        G const float *x = X + (c.n * a->in[0] + d) * a->in[1] * a->in[2] * a->ci + c0;
        for (long i = 0; i < a->cb; i += TL_VECTOR, x += TL_VECTOR, to += TL_VECTOR) {
            vf v[36], u[36];
            if (there) {
                LOAD_TILE(v, 6, x, a->ci, a->in[1], a->in[2], h, w)
                UNROLL for (int j = 0; j < 6; j++) INPUT(v + j, 6, u + j);
                UNROLL for (int j = 0; j < 36; j += 6) INPUT(u + j, 1, v + j);
            } else
                UNROLL for (int j = 0; j < 36; j++) v[j] = (vf)0.0f;
            UNROLL for (int j = 0; j < 36; j++) VSTORE(v[j], 0, to + j * a->v_point);
        }
    }
}

/* A gy A' of the column's output slices, channels o0 on. */
INLINE void put_gradients(__local float *to, const weight_args *a, column c, G const float *GY, long o0)
{
    for (long d = c.d; d < c.d + a->deep; d++) {
        G const float *gy = GY + (c.n * a->out[0] + d) * a->out[1] * a->out[2] * a->co + o0;
        for (long i = 0; i < a->ob; i += TL_VECTOR, gy += TL_VECTOR, to += TL_VECTOR) {
            vf v[36], u[24], y[16];
            if (d < a->out[0]) {
                LOAD_TILE(y, 4, gy, a->co, a->out[1], a->out[2], c.h, c.w)
                UNROLL for (int j = 0; j < 4; j++) GRADIENT(y + j, 4, u + j, 4);
                UNROLL for (int j = 0; j < 6; j++) GRADIENT(u + 4 * j, 1, v + 6 * j, 1);
            } else
                UNROLL for (int j = 0; j < 36; j++) v[j] = (vf)0.0f;
            UNROLL for (int j = 0; j < 36; j++) VSTORE(v[j], 0, to + j * a->z_point);
        }
    }
}

#define EACH_SUM UNROLL for (int r = 0; r < RT; r++) UNROLL for (int x = 0; x < CT; x++)

/* sums (ci, co) of one point and one slice of the kernel += the products of `count` columns. */
INLINE void add_products(const weight_args *a, __local const float *V, __local const float *Z, G float *sums,
                         long count, int first)
{
    for (long r0 = 0; r0 < a->cb; r0 += RT)
        for (long x0 = 0; x0 < a->ob; x0 += CT * TL_VECTOR) {
            vf s[RT][CT];
            G float *to = sums + r0 * a->co + x0;
            EACH_SUM s[r][x] = first ? (vf)0.0f : VLOAD(x, to + r * a->co);
            for (long q = 0; q < count; q++) {
                __local const float *v = V + q * (a->deep + a->slices - 1) * a->cb + r0;
                __local const float *z = Z + q * a->deep * a->ob + x0;
                _Pragma("nounroll") for (long k = 0; k < a->deep; k++, v += a->cb, z += a->ob) {
                    vf zv[CT];
                    UNROLL for (int x = 0; x < CT; x++) zv[x] = VLOAD(x, z);
                    UNROLL for (int r = 0; r < RT; r++) {
                        vf m = (vf)(v[r]);
                        UNROLL for (int x = 0; x < CT; x++) s[r][x] = fma(m, zv[x], s[r][x]);
                    }
                }
            }
            EACH_SUM VSTORE(s[r][x], x, to + r * a->co);
        }
}

/* Group (block of output channels, of input channels, part): P (part, point, slice, ci, co). */
ONE_ITEM void winograd_weight(const weight_args a, G const float *restrict GY, long gy0, G const float *restrict X,
                              long x0, G float *restrict P, __local float *restrict V, __local float *restrict Z)
{
    long o0 = get_group_id(0) * a.ob, c0 = get_group_id(1) * a.cb, part = get_group_id(2);
    long blocks = (a.columns + a.wide - 1) / a.wide, from = part * blocks / a.parts * a.wide;
    long stop = min((part + 1) * blocks / a.parts * a.wide, a.columns);
    P += part * 36 * a.slices * a.ci * a.co + c0 * a.co + o0;
    for (long i = from; i < stop; i += a.wide) {
        long count = min(a.wide, stop - i);
        for (long q = 0; q < count; q++) {
            column c = column_at(&a, i + q);
            put_inputs(V + q * (a.deep + a.slices - 1) * a.cb, &a, c, X + x0, c0);
            put_gradients(Z + q * a.deep * a.ob, &a, c, GY + gy0, o0);
        }
        for (long p = 0; p < 36; p++)
            for (long kd = 0; kd < a.slices; kd++)
                add_products(&a, V + p * a.v_point + kd * a.cb, Z + p * a.z_point,
                             P + (p * a.slices + kd) * a.ci * a.co, count, i == from);
    }
}

/* dw (O, I, slices, 3, 3) = G' (sum of the parts) G. Work-item (vector of output channels, input channel, slice). */
__kernel void winograd_weight_out(const weight_args a, G const float *restrict P, G float *restrict W BOUND)
{
    INSIDE;
    long o = get_global_id(0) * TL_VECTOR, c = get_global_id(1), kd = get_global_id(2), plane = a.ci * a.co;
    vf m[36], u[18], w[9];
    for (int p = 0; p < 36; p++) {
        G const float *from = P + (p * a.slices + kd) * plane + c * a.co + o;
        vf s = VLOAD(0, from);
        for (long part = 1; part < a.parts; part++) s += VLOAD(0, from + part * 36 * a.slices * plane);
        m[p] = s;
    }
    UNROLL for (int j = 0; j < 6; j++) KERNEL(m + j, 6, u + j, 6);
    UNROLL for (int j = 0; j < 3; j++) KERNEL(u + 6 * j, 1, w + 3 * j, 1);
    UNROLL for (int t = 0; t < 9; t++) {
        float lane[TL_VECTOR];
        VSTORE(w[t], 0, lane);
        for (int i = 0; i < TL_VECTOR; i++) W[((o + i) * a.ci + c) * a.slices * 9 + kd * 9 + t] = lane[i];
    }
}
