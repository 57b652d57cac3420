#include "activate.clh"
#include "depthwise.clh"
/* depthwise_gpu.cl - convolutions with one kernel a channel on devices with many work-items to a group: a group has
 * WIDTH neighbouring channels of a tile of pixels, TH rows of SEGMENTS times TW. What the tile's windows see goes to
 * local memory once. A work-item has one channel of TW neighbouring pixels, and takes a row of its windows to registers
 * at a time, where each number serves all pixels that see it. Built for the kernel (KH, KW), stride (SH, SW), dilation
 * (DH, DW), padding (PH, PW) and the tile; with BACKWARD for dx alone, since a tile that has room for its gy may have
 * none for the others' x. Weights are (KH, KW, C). */
#define WIDTH 32
#define COLUMNS (SEGMENTS * TW)
#define SHARES (TH * SEGMENTS)
#define AS_GROUP __kernel __attribute__((reqd_work_group_size(WIDTH, SHARES, 1)))

/* Rows and columns of the input that the tile sees, and of what a work-item sees of a row. */
#define IN_H ((TH - 1) * SH + (KH - 1) * DH + 1)
#define IN_W ((COLUMNS - 1) * SW + (KW - 1) * DW + 1)
#define SEEN ((TW - 1) * SW + (KW - 1) * DW + 1)
/* The same of the outputs' gradient that a tile of inputs was seen by. */
#define OUT_H ((SH - 1 + TH - 1 + (KH - 1) * DH) / SH + 1)
#define OUT_W ((SW - 1 + COLUMNS - 1 + (KW - 1) * DW) / SW + 1)
/* Where the first of those columns begins, as what is left over of a stride: the same for all tiles, since SW divides
 * their width. */
#define LEFT (((PW - (KW - 1) * DW) % SW + SW) % SW)

/* The channel of this work-item, the row of the tile and the first column that it has. */
#define PLACE                                                                                                      \
    int lx = get_local_id(0), ly = get_local_id(1), row = ly / SEGMENTS, column = ly % SEGMENTS * TW;              \
    long c = GROUP_OF(0) * WIDTH + lx;                                                                             \
    int there = c < a.c;

/* rows x columns pixels from (h0, w0) on of a picture of height x width into local memory, zeros outside. */
static inline void fetch(__local float *to, G const float *picture, int rows, int columns, long h0, long w0,
                         long height, long width, long channels, int there)
{
    LOOP for (int p = get_local_id(1); p < rows * columns; p += SHARES) {
        long h = h0 + p / columns, w = w0 + p % columns;
        int inside = there && h >= 0 && h < height && w >= 0 && w < width;
        to[p * WIDTH] = inside ? picture[(h * width + w) * channels] : 0.0f;
    }
}

static inline long floored(long x, int by) { return x >= 0 ? x / by : -((by - 1 - x) / by); }

#if !BACKWARD
/* y = act(sum over kh, kw of x w + bias + residual). Group (channels, tile across, tile down of all pictures). */
AS_GROUP void depthwise_gpu(const depthwise_args a, G const float *restrict X, long x0, G const float *restrict W,
                            long w0, G const float *restrict B, long b0, G const float *restrict R, long r0,
                            G float *restrict Y, long y0)
{
    __local float tile[IN_H * IN_W * WIDTH];
    PLACE
    long downs = (a.out_h + TH - 1) / TH, n = GROUP_OF(2) / downs;
    long oh = (GROUP_OF(2) - n * downs) * TH, ow = GROUP_OF(1) * COLUMNS;
    G const float *picture = X + x0 + n * a.in_h * a.in_w * a.c + c;
    fetch(tile + lx, picture, IN_H, IN_W, oh * SH - PH, ow * SW - PW, a.in_h, a.in_w, a.c, there);
    barrier(CLK_LOCAL_MEM_FENCE);
    oh += row;
    ow += column;
    if (!there || oh >= a.out_h || ow >= a.out_w) return;
    float s[TW], start = a.bias ? B[b0 + c] : 0.0f;
    UNROLL for (int x = 0; x < TW; x++) s[x] = start;
    LOOP for (int kh = 0; kh < KH; kh++) {
        __local const float *line = tile + ((row * SH + kh * DH) * IN_W + column * SW) * WIDTH + lx;
        G const float *w = W + w0 + kh * KW * a.c + c;
        float seen[SEEN];
        UNROLL for (int x = 0; x < SEEN; x++) seen[x] = line[x * WIDTH];
        UNROLL for (int kw = 0; kw < KW; kw++) {
            float t = w[kw * a.c];
            UNROLL for (int x = 0; x < TW; x++) s[x] = fma(seen[x * SW + kw * DW], t, s[x]);
        }
    }
    long at = ((n * a.out_h + oh) * a.out_w + ow) * a.c + c;
    UNROLL for (int x = 0; x < TW; x++)
        if (ow + x < a.out_w) {
            float t = a.residual ? s[x] + R[r0 + at + x * a.c] : s[x];
            Y[y0 + at + x * a.c] = activate(t, a.activation);
        }
}

/* Partial sums of dw[kh, kw] = sum over n, oh, ow of gy x: part p takes the tiles from p `length` on, counted across,
 * down and through the pictures. Each work-item adds up the pixels it has; the group's are added in their order. P is
 * (parts, KH, KW, C). Group (channels, part). */
AS_GROUP void depthwise_gpu_dw(const depthwise_args a, G const float *restrict GY, long g0, G const float *restrict X,
                               long x0, G float *restrict P, long p0, int length)
{
    __local float tile[IN_H * IN_W > SHARES ? IN_H * IN_W * WIDTH : SHARES * WIDTH];
    PLACE
    long part = GROUP_OF(1), across = (a.out_w + COLUMNS - 1) / COLUMNS, downs = (a.out_h + TH - 1) / TH;
    long last = min((part + 1) * length, across * downs * a.n);
    float s[KH * KW];
    UNROLL for (int k = 0; k < KH * KW; k++) s[k] = 0.0f;
    LOOP for (long t = part * length; t < last; t++) {
        long n = t / (across * downs), oh = (t / across - n * downs) * TH, ow = t % across * COLUMNS;
        G const float *picture = X + x0 + n * a.in_h * a.in_w * a.c + c;
        fetch(tile + lx, picture, IN_H, IN_W, oh * SH - PH, ow * SW - PW, a.in_h, a.in_w, a.c, there);
        barrier(CLK_LOCAL_MEM_FENCE);
        oh += row;
        ow += column;
        float gy[TW];
        G const float *g = GY + g0 + ((n * a.out_h + oh) * a.out_w + ow) * a.c + c;
        int present = there && oh < a.out_h;
        UNROLL for (int x = 0; x < TW; x++) gy[x] = present && ow + x < a.out_w ? g[x * a.c] : 0.0f;
        UNROLL for (int kh = 0; kh < KH; kh++) {
            __local const float *line = tile + ((row * SH + kh * DH) * IN_W + column * SW) * WIDTH + lx;
            UNROLL for (int kw = 0; kw < KW; kw++)
                UNROLL for (int x = 0; x < TW; x++)
                    s[kh * KW + kw] = fma(gy[x], line[(x * SW + kw * DW) * WIDTH], s[kh * KW + kw]);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    UNROLL for (int k = 0; k < KH * KW; k++) {
        tile[ly * WIDTH + lx] = s[k];
        barrier(CLK_LOCAL_MEM_FENCE);
        if (ly == 0 && there) {
            float sum = 0.0f;
            for (int y = 0; y < SHARES; y++) sum += tile[y * WIDTH + lx];
            P[p0 + (part * KH * KW + k) * a.c + c] = sum;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}
#else
/* dx[n, h, v] = sum over the outputs that saw it of gy w, where SW divides TW. Group (channels, tile across, tile down
 * of all pictures). */
AS_GROUP void depthwise_gpu_dx(const depthwise_args a, G const float *restrict GY, long g0, G const float *restrict W,
                               long w0, G float *restrict DX, long d0)
{
    __local float tile[OUT_H * OUT_W * WIDTH];
    PLACE
    long downs = (a.in_h + TH - 1) / TH, n = GROUP_OF(2) / downs;
    long h = (GROUP_OF(2) - n * downs) * TH, v = GROUP_OF(1) * COLUMNS;
    long first = floored(h + PH - (KH - 1) * DH, SH), second = floored(v + PW - (KW - 1) * DW, SW);
    int left = (int)(h + PH - (KH - 1) * DH - first * SH);
    G const float *picture = GY + g0 + n * a.out_h * a.out_w * a.c + c;
    fetch(tile + lx, picture, OUT_H, OUT_W, first, second, a.out_h, a.out_w, a.c, there);
    barrier(CLK_LOCAL_MEM_FENCE);
    h += row;
    v += column;
    if (!there || h >= a.in_h || v >= a.in_w) return;
    float s[TW];
    UNROLL for (int x = 0; x < TW; x++) s[x] = 0.0f;
    LOOP for (int kh = 0; kh < KH; kh++) {
        int y = left + row + (KH - 1 - kh) * DH;
        if (y % SH != 0) continue;
        __local const float *line = tile + (y / SH * OUT_W + column / SW) * WIDTH + lx;
        G const float *w = W + w0 + kh * KW * a.c + c;
        UNROLL for (int kw = 0; kw < KW; kw++) {
            float t = w[kw * a.c];
            UNROLL for (int x = 0; x < TW; x++)
                if ((LEFT + x + (KW - 1 - kw) * DW) % SW == 0)
                    s[x] = fma(line[(LEFT + x + (KW - 1 - kw) * DW) / SW * WIDTH], t, s[x]);
        }
    }
    G float *dx = DX + d0 + ((n * a.in_h + h) * a.in_w + v) * a.c + c;
    UNROLL for (int x = 0; x < TW; x++)
        if (v + x < a.in_w) dx[x * a.c] = s[x];
}
#endif
