/* affine.c - affine maps of pictures. The three ways of taking the nearest pixel round in their own way, as
 * Pillow's do (Geometry.c: ImagingScaleAffine, affine_fixed, ImagingGenericTransform). */
#include "data/affine.h"

#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RADIANS 0.017453292519943295

tl_affine tl__affine_inverse(const tl_affine_change *c)
{
    double rot = c->angle * RADIANS, sx = c->shear[0] * RADIANS, sy = c->shear[1] * RADIANS;
    double a = cos(rot - sy) / cos(sy), b = -cos(rot - sy) * tan(sx) / cos(sy) - sin(rot);
    double d = sin(rot - sy) / cos(sy), e = -sin(rot - sy) * tan(sx) / cos(sy) + cos(rot);
    double x = -c->center[0] - c->translate[0], y = -c->center[1] - c->translate[1];
    /* The inverse of a matrix of determinant one. */
    tl_affine m = {{e / c->scale, -b / c->scale, 0, -d / c->scale, a / c->scale, 0}};
    m.a[2] = m.a[0] * x + m.a[1] * y + c->center[0];
    m.a[5] = m.a[3] * x + m.a[4] * y + c->center[1];
    return m;
}

/* To 15 decimals, so that a right angle has a sine of exactly one. Rounded as a text, since a product with 1e15
 * rounds before. */
static double rounded(double v)
{
    char text[40];
    tl__print(text, sizeof text, "%.15f", v);
    return tl__read_number(text, NULL);
}

tl_affine tl__affine_rotation(int width, int height, double degrees)
{
    double angle = -fmod(degrees, 360.0), cx = width / 2.0, cy = height / 2.0;
    if (angle > 0) angle -= 360;
    angle *= RADIANS;
    double c = rounded(cos(angle)), s = rounded(sin(angle));
    tl_affine m = {{c, s, 0, -s, c, 0}};
    m.a[2] = c * -cx + s * -cy + cx;
    m.a[5] = -s * -cx + c * -cy + cy;
    return m;
}

static const uint8_t *pixel(const tl_image *in, int x, int y)
{
    return in->data + ((size_t)y * (size_t)in->width + (size_t)x) * tl__image_pixel(in);
}

void tl__image_fill(tl_image *image, uint8_t value)
{
    size_t n = (size_t)image->width * (size_t)image->height * (size_t)image->channels;
    union { uint8_t *bytes; float *floats; } p = {image->data};
    if (image->depth != TL_DEPTH_FLOAT) /* both bytes of 16 bits: 257 times the value */
        memset(p.bytes, value, n * tl__depth_bytes(image->depth));
    else
        for (size_t i = 0; i < n; i++) p.floats[i] = (float)value / 255.0f;
}

static uint8_t *put(uint8_t *o, const uint8_t *p, int bytes)
{
    for (int k = 0; k < bytes; k++) o[k] = p[k];
    return o + bytes;
}

static int inside(const tl_image *in, int x, int y) { return x >= 0 && x < in->width && y >= 0 && y < in->height; }

static int whole(double v) { return v < 0 ? -1 : (int)v; }

/* Rows and columns stay such: the position is summed up, pixel by pixel. */
static void nearest_scaled(const tl_image *in, const double *a, tl_image *out)
{
    double yo = a[5] + a[4] * 0.5;
    int c = (int)tl__image_pixel(in);
    for (int y = 0; y < out->height; y++, yo += a[4]) {
        double xo = a[2] + a[0] * 0.5;
        uint8_t *o = out->data + (size_t)y * (size_t)out->width * (size_t)c;
        for (int x = 0; x < out->width; x++, xo += a[0], o += c)
            if (inside(in, whole(xo), whole(yo))) put(o, pixel(in, whole(xo), whole(yo)), c);
    }
}

static int64_t fixed(double v) { return (int64_t)floor(v * 65536.0 + 0.5); }

/* Positions with 16 fractional bits, for pictures within 32768 pixels. */
static void nearest_fixed(const tl_image *in, const double *a, tl_image *out)
{
    int64_t a0 = fixed(a[0]), a1 = fixed(a[1]), a3 = fixed(a[3]), a4 = fixed(a[4]);
    int64_t x0 = fixed(a[2] + a[0] * 0.5 + a[1] * 0.5), y0 = fixed(a[5] + a[3] * 0.5 + a[4] * 0.5);
    int c = (int)tl__image_pixel(in);
    for (int y = 0; y < out->height; y++, x0 += a1, y0 += a4) {
        int64_t xx = x0, yy = y0;
        uint8_t *o = out->data + (size_t)y * (size_t)out->width * (size_t)c;
        for (int x = 0; x < out->width; x++, xx += a0, yy += a3, o += c) {
            int xin = xx < 0 ? -1 : (int)(xx >> 16), yin = yy < 0 ? -1 : (int)(yy >> 16);
            if (inside(in, xin, yin)) put(o, pixel(in, xin, yin), c);
        }
    }
}

static void nearest_exact(const tl_image *in, const double *a, tl_image *out)
{
    int c = (int)tl__image_pixel(in);
    uint8_t *o = out->data;
    for (int y = 0; y < out->height; y++) {
        for (int x = 0; x < out->width; x++, o += c) {
            double xin = a[0] * (x + 0.5) + a[1] * (y + 0.5) + a[2], yin = a[3] * (x + 0.5) + a[4] * (y + 0.5) + a[5];
            if (inside(in, whole(xin), whole(yin))) put(o, pixel(in, whole(xin), whole(yin)), c);
        }
    }
}

/* All corners stay where 16 whole bits reach. */
static int fits_fixed(const double *a, int width, int height)
{
    for (int k = 0; k < 4; k++) {
        double x = k & 1 ? width : 0, y = k & 2 ? height : 0;
        if (!(fabs(x * a[0] + y * a[1] + a[2]) < 32768.0 && fabs(x * a[3] + y * a[4] + a[5]) < 32768.0)) return 0;
    }
    return 1;
}

static int clipped(int v, int n) { return v < 0 ? 0 : v < n ? v : n - 1; }

/* Sample k of a pixel that is deeper than 8 bits. */
static float sample_at(const tl_image *in, const uint8_t *p, int k)
{
    union { const uint8_t *bytes; const uint16_t *words; const float *floats; } u = {p};
    return in->depth == TL_DEPTH_16 ? u.words[k] : u.floats[k];
}

static void put_sample(const tl_image *in, uint8_t *o, int k, double v)
{
    union { uint8_t *bytes; uint16_t *words; float *floats; } u = {o};
    if (in->depth == TL_DEPTH_16) u.words[k] = (uint16_t)v;
    else u.floats[k] = (float)v;
}

/* The mean of four pixels, cut to whole numbers, not rounded. */
static void bilinear(const tl_image *in, const double *a, tl_image *out)
{
    int c = in->channels, bytes = (int)tl__image_pixel(in), w = in->width, h = in->height;
    uint8_t *o = out->data;
    for (int y = 0; y < out->height; y++) {
        for (int x = 0; x < out->width; x++, o += bytes) {
            double xin = a[0] * (x + 0.5) + a[1] * (y + 0.5) + a[2], yin = a[3] * (x + 0.5) + a[4] * (y + 0.5) + a[5];
            if (!(xin >= 0 && xin < w && yin >= 0 && yin < h)) continue;
            int xi = (int)floor(xin - 0.5), yi = (int)floor(yin - 0.5);
            double dx = xin - 0.5 - xi, dy = yin - 0.5 - yi;
            int left = clipped(xi, w), right = clipped(xi + 1, w), top = clipped(yi, h), bottom = yi + 1 < h ? yi + 1 : top;
            const uint8_t *p = pixel(in, left, top), *q = pixel(in, right, top), *r = pixel(in, left, bottom), *s = pixel(in, right, bottom);
            for (int k = 0; k < c && in->depth == TL_DEPTH_8; k++) {
                double upper = p[k] + (q[k] - p[k]) * dx, lower = r[k] + (s[k] - r[k]) * dx;
                o[k] = (uint8_t)(upper + (lower - upper) * dy);
            }
            for (int k = 0; k < c && in->depth != TL_DEPTH_8; k++) {
                double pk = (double)sample_at(in, p, k), qk = (double)sample_at(in, q, k), rk = (double)sample_at(in, r, k), sk = (double)sample_at(in, s, k);
                double upper = pk + (qk - pk) * dx, lower = rk + (sk - rk) * dx;
                put_sample(in, o, k, upper + (lower - upper) * dy);
            }
        }
    }
}

int tl__affine(tl_error *err, const tl_image *in, const tl_affine *m, int filter, uint8_t fill, tl_image *out)
{
    const double *a = m->a;
    if (tl__image_reserve_deep(err, out, in->width, in->height, in->channels, in->depth) != 0) return -1;
    tl__image_fill(out, fill);
    if (filter == TL_AFFINE_BILINEAR)
        bilinear(in, a, out);
    else if (a[1] == 0 && a[3] == 0)
        nearest_scaled(in, a, out);
    else if (fits_fixed(a, in->width, in->height))
        nearest_fixed(in, a, out);
    else
        nearest_exact(in, a, out);
    return 0;
}
