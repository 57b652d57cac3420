/* warp.c - affine maps as OpenCV takes them. Positions have 32 fractional bits and are added up from pixel to pixel,
 * weights have 11: that is within one level of OpenCV 5's arithmetic in floats, whose older versions took 5 bits. */
#include "data/affine.h"

#include <math.h>
#include <string.h>

enum { WEIGHT_BITS = 11, WEIGHT = 1 << WEIGHT_BITS };

static int64_t fixed(double v) { return (int64_t)floor(v * 4294967296.0 + 0.5); }

/* One of four pixels, or the ground. */
static const uint8_t *pixel_or(const tl_image *in, int64_t x, int64_t y, const uint8_t *ground)
{
    if (x < 0 || x >= in->width || y < 0 || y >= in->height) return ground;
    return in->data + ((size_t)y * (size_t)in->width + (size_t)x) * (size_t)in->channels;
}

static void blend(const uint8_t *const p[4], int wx, int wy, int channels, uint8_t *o)
{
    for (int k = 0; k < channels; k++) {
        int upper = p[0][k] * (WEIGHT - wx) + p[1][k] * wx, lower = p[2][k] * (WEIGHT - wx) + p[3][k] * wx;
        o[k] = (uint8_t)((upper * (WEIGHT - wy) + lower * wy + (1 << (2 * WEIGHT_BITS - 1))) >> (2 * WEIGHT_BITS));
    }
}

/* A row of the result whose first pixel comes from (x, y), each next one `step` further. */
static void warp_row(const tl_image *in, int64_t x, int64_t y, const int64_t step[2], const uint8_t *ground,
                     tl_image *out, uint8_t *o)
{
    int c = in->channels;
    size_t row = (size_t)in->width * (size_t)c;
    for (int i = 0; i < out->width; i++, x += step[0], y += step[1], o += c) {
        int64_t xi = x >> 32, yi = y >> 32;
        int wx = (int)(x >> (32 - WEIGHT_BITS)) & (WEIGHT - 1), wy = (int)(y >> (32 - WEIGHT_BITS)) & (WEIGHT - 1);
        if (xi < -1 || xi >= in->width || yi < -1 || yi >= in->height) {
            memcpy(o, ground, (size_t)c);
        } else if (xi >= 0 && xi + 1 < in->width && yi >= 0 && yi + 1 < in->height) {
            const uint8_t *p = in->data + (size_t)yi * row + (size_t)xi * (size_t)c;
            blend((const uint8_t *const[4]){p, p + c, p + row, p + row + c}, wx, wy, c, o);
        } else {
            const uint8_t *const p[4] = {pixel_or(in, xi, yi, ground), pixel_or(in, xi + 1, yi, ground),
                                         pixel_or(in, xi, yi + 1, ground), pixel_or(in, xi + 1, yi + 1, ground)};
            blend(p, wx, wy, c, o);
        }
    }
}

/* Positions that 31 whole bits hold. */
static int fits(const double *a, int width, int height)
{
    for (int k = 0; k < 4; k++) {
        double x = k & 1 ? width : 0, y = k & 2 ? height : 0;
        if (!(fabs(a[0] * x + a[1] * y + a[2]) < 1e9 && fabs(a[3] * x + a[4] * y + a[5]) < 1e9)) return 0;
    }
    return 1;
}

int tl__warp_linear(tl_error *err, const tl_image *in, const tl_affine *m, int width, int height, uint8_t fill,
                    tl_image *out)
{
    const double *a = m->a, d = a[0] * a[4] - a[1] * a[3];
    double back[6] = {a[4] / d, -a[1] / d, (a[1] * a[5] - a[4] * a[2]) / d, -a[3] / d, a[0] / d,
                      (a[3] * a[2] - a[0] * a[5]) / d};
    uint8_t ground[TL_IMAGE_MOST_CHANNELS];
    if (in->depth != TL_DEPTH_8 || in->channels > TL_IMAGE_MOST_CHANNELS)
        return tl__fail(err, TL_EARG, "this map is of pictures of 8 bits");
    if (!(fabs(d) > 0) || !fits(back, width, height))
        return tl__fail(err, TL_EARG, "a picture that shrinks to nothing, or comes from too far away");
    if (tl__image_reserve(err, out, width, height, in->channels) != 0) return -1;
    memset(ground, fill, sizeof ground);
    const int64_t across[2] = {fixed(back[0]), fixed(back[3])}, down[2] = {fixed(back[1]), fixed(back[4])};
    int64_t x = fixed(back[2]), y = fixed(back[5]);
    size_t row = (size_t)width * (size_t)in->channels;
    for (int j = 0; j < height; j++, x += down[0], y += down[1])
        warp_row(in, x, y, across, ground, out, out->data + (size_t)j * row);
    return 0;
}
