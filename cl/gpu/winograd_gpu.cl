#include "winograd.clh"
/* winograd_gpu.cl - convolutions of 3 x 3 and stride 1 by Winograd's F(OUT x OUT, 3 x 3), OUT 2 or 4, for devices with
 * many work-items to a group: the pictures in tiles of POINTS x POINTS that overlap by two, transformed; a product over
 * the channels for each of their POINTS x POINTS points, all of them one batch of the matrix product; and back.
 * Work-items run over channels, which are adjacent in memory. */
typedef struct winograd_args {
    int in_h, in_w, out_h, out_w, pad_h, pad_w, tiles_h, tiles_w, tiles, ci, co, first;
    long w_out, w_tap, w_in;
    int bias, residual, activation, unused;
} winograd_args;

#define POINTS (OUT + 2)
#if OUT == 4
#define WEIGHTS_1D weights_1d
#define INPUT_1D(d, s, o, t) input_1d(d[0], d[s], d[2 * (s)], d[3 * (s)], d[4 * (s)], d[5 * (s)], o, t)
#define OUTPUT_1D(m, s, o, t) output_1d(m[0], m[s], m[2 * (s)], m[3 * (s)], m[4 * (s)], m[5 * (s)], o, t)
#else
/* The same of F(2x2, 3x3). */
INLINE void weights_of_two(float a, float b, float c, float *o, int step)
{
    float s = 0.5f * (a + c);
    o[0] = a;
    o[step] = s + 0.5f * b;
    o[2 * step] = s - 0.5f * b;
    o[3 * step] = c;
}
#define WEIGHTS_1D weights_of_two
#define INPUT_1D(d, s, o, t) \
    (o)[0] = d[0] - d[2 * (s)], (o)[t] = d[s] + d[2 * (s)], (o)[2 * (t)] = d[2 * (s)] - d[s], \
    (o)[3 * (t)] = d[s] - d[3 * (s)]
#define OUTPUT_1D(m, s, o, t) (o)[0] = m[0] + m[s] + m[2 * (s)], (o)[t] = m[s] - m[2 * (s)] - m[3 * (s)]
#endif

/* U (POINTS * POINTS, I, O) = G w G'. Work-item (o, i). */
__kernel void winograd_gpu_weights(const winograd_args a, G const float *restrict W, long w0, G float *restrict U BOUND)
{
    INSIDE;
    long o = get_global_id(0), i = get_global_id(1);
    G const float *w = W + w0 + o * a.w_out + i * a.w_in;
    float part[3 * POINTS], out[POINTS * POINTS];
    UNROLL for (int y = 0; y < 3; y++, w += 3 * a.w_tap)
        WEIGHTS_1D(w[0], w[a.w_tap], w[2 * a.w_tap], part + y * POINTS, 1);
    UNROLL for (int x = 0; x < POINTS; x++)
        WEIGHTS_1D(part[x], part[POINTS + x], part[2 * POINTS + x], out + x, POINTS);
    UNROLL for (int p = 0; p < POINTS * POINTS; p++) U[((long)p * a.ci + i) * a.co + o] = out[p];
}

/* V (POINTS * POINTS, tiles, I) = B' x B. Work-item (i, tile). */
__kernel void winograd_gpu_in(const winograd_args a, G const float *restrict X, long x0, G float *restrict V BOUND)
{
    INSIDE;
    int i = get_global_id(0), tile = get_global_id(1), t = a.first + tile;
    int tw = t % a.tiles_w, th = t / a.tiles_w % a.tiles_h, n = t / a.tiles_w / a.tiles_h;
    int h0 = th * OUT - a.pad_h, v0 = tw * OUT - a.pad_w;
    G const float *x = X + x0 + (long)n * a.in_h * a.in_w * a.ci + i;
    float part[POINTS * POINTS], line[POINTS], out[POINTS];
    UNROLL for (int y = 0; y < POINTS; y++) {
        UNROLL for (int u = 0; u < POINTS; u++) {
            int h = h0 + y, v = v0 + u;
            line[u] = h >= 0 && h < a.in_h && v >= 0 && v < a.in_w ? x[((long)h * a.in_w + v) * a.ci] : 0.0f;
        }
        INPUT_1D(line, 1, part + y * POINTS, 1);
    }
    G float *to = V + (long)tile * a.ci + i;
    UNROLL for (int u = 0; u < POINTS; u++) {
        INPUT_1D((part + u), POINTS, out, 1);
        UNROLL for (int y = 0; y < POINTS; y++) to[(long)(y * POINTS + u) * a.tiles * a.ci] = out[y];
    }
}

/* y = act(A' m A + bias + residual) of M (POINTS * POINTS, tiles, O). Work-item (o, tile). */
__kernel void winograd_gpu_out(const winograd_args a, G const float *restrict M, G const float *restrict B, long b0,
                               G const float *restrict R, long r0, G float *restrict Y, long y0 BOUND)
{
    INSIDE;
    int o = get_global_id(0), tile = get_global_id(1), t = a.first + tile;
    int tw = t % a.tiles_w, th = t / a.tiles_w % a.tiles_h, n = t / a.tiles_w / a.tiles_h;
    float part[OUT * POINTS], line[POINTS], out[OUT], bias = a.bias ? B[b0 + o] : 0.0f;
    G const float *m = M + (long)tile * a.co + o;
    UNROLL for (int u = 0; u < POINTS; u++) {
        UNROLL for (int y = 0; y < POINTS; y++) line[y] = m[(long)(y * POINTS + u) * a.tiles * a.co];
        OUTPUT_1D(line, 1, out, 1);
        UNROLL for (int y = 0; y < OUT; y++) part[y * POINTS + u] = out[y];
    }
    UNROLL for (int y = 0; y < OUT; y++) {
        OUTPUT_1D((part + y * POINTS), 1, out, 1);
        UNROLL for (int u = 0; u < OUT; u++) {
            int h = th * OUT + y, v = tw * OUT + u;
            if (h >= a.out_h || v >= a.out_w) continue;
            long at = (((long)n * a.out_h + h) * a.out_w + v) * a.co + o;
            Y[y0 + at] = activate(a.residual ? out[u] + bias + R[r0 + at] : out[u] + bias, a.activation);
        }
    }
}
