#include "common.clh"
/* conv_patches.cl - pictures as the matrix a convolution multiplies, laid out in memory, and its transpose. */
typedef struct patches_args {
    long in[3], out[3], extent[3], stride[3], padding[3], dilation[3];
    long channels, pixel, first, rows;
} patches_args;

/* P (rows, taps, channels): work-item (tap, row) copies the channels of one pixel, or zeros outside. */
__kernel void lay_out(const patches_args a, G const float *restrict X, long x0, G float *restrict P, long p0 BOUND)
{
    INSIDE;
    long tap = get_global_id(0), row = get_global_id(1), taps = a.extent[0] * a.extent[1] * a.extent[2];
    long kw = tap % a.extent[2], kh = tap / a.extent[2] % a.extent[1], kd = tap / a.extent[2] / a.extent[1];
    long ow = row % a.out[2], oh = row / a.out[2] % a.out[1], od = row / a.out[2] / a.out[1] % a.out[0];
    long n = a.first + row / (a.out[0] * a.out[1] * a.out[2]);
    long d = od * a.stride[0] - a.padding[0] + kd * a.dilation[0], h = oh * a.stride[1] - a.padding[1] + kh * a.dilation[1];
    long w = ow * a.stride[2] - a.padding[2] + kw * a.dilation[2];
    int inside = d >= 0 && d < a.in[0] && h >= 0 && h < a.in[1] && w >= 0 && w < a.in[2];
    G const float *x = X + x0 + (((n * a.in[0] + d) * a.in[1] + h) * a.in[2] + w) * a.pixel;
    G float *p = P + p0 + (row * taps + tap) * a.channels;
    if (inside)
        for (long c = 0; c < a.channels; c++) p[c] = x[c];
    else
        for (long c = 0; c < a.channels; c++) p[c] = 0.0f;
}

/* x[n, d, h, w, :] = sum of the patches' elements that were copied from there. Work-item: one pixel of the input. */
__kernel void gather(const patches_args a, G const float *restrict P, long p0, G float *restrict X, long x0 BOUND)
{
    INSIDE;
    long at = get_global_id(0), taps = a.extent[0] * a.extent[1] * a.extent[2];
    long w = at % a.in[2], h = at / a.in[2] % a.in[1], d = at / a.in[2] / a.in[1] % a.in[0], n = at / (a.in[0] * a.in[1] * a.in[2]);
    G float *x = X + x0 + (a.first * a.in[0] * a.in[1] * a.in[2] + at) * a.pixel;
    for (long c = 0; c < a.channels; c++) x[c] = 0.0f;
    for (long kd = 0; kd < a.extent[0]; kd++) {
        long pd = d + a.padding[0] - kd * a.dilation[0], od = pd / a.stride[0];
        if (pd < 0 || pd % a.stride[0] || od >= a.out[0]) continue;
        for (long kh = 0; kh < a.extent[1]; kh++) {
            long ph = h + a.padding[1] - kh * a.dilation[1], oh = ph / a.stride[1];
            if (ph < 0 || ph % a.stride[1] || oh >= a.out[1]) continue;
            for (long kw = 0; kw < a.extent[2]; kw++) {
                long pw = w + a.padding[2] - kw * a.dilation[2], ow = pw / a.stride[2];
                if (pw < 0 || pw % a.stride[2] || ow >= a.out[2]) continue;
                long row = ((n * a.out[0] + od) * a.out[1] + oh) * a.out[2] + ow, tap = (kd * a.extent[1] + kh) * a.extent[2] + kw;
                G const float *p = P + p0 + (row * taps + tap) * a.channels;
                for (long c = 0; c < a.channels; c++) x[c] += p[c];
            }
        }
    }
}
