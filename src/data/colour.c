/* colour.c - brightness, contrast, saturation, hue and the rest. Where a value depends on nothing but the value
 * before, all 256 are worked out once. */
#include "data/colour.h"

#include <string.h>

static size_t values_of(const tl_image *m) { return (size_t)m->width * (size_t)m->height * (size_t)m->channels; }
static size_t pixels_of(const tl_image *m) { return (size_t)m->width * (size_t)m->height; }

/* ITU-R 601 in 16-bit fixed point, as in tl__image_to_channels. */
static uint8_t luma(const uint8_t *p) { return (uint8_t)(((uint32_t)p[0] * 19595 + (uint32_t)p[1] * 38470 + (uint32_t)p[2] * 7471 + 0x8000) >> 16); }

/* `table` has 256 values for each channel. */
static void look_up(tl_image *image, uint8_t (*table)[256])
{
    size_t n = values_of(image);
    int c = image->channels;
    for (size_t i = 0; i < n; i += (size_t)c)
        for (int k = 0; k < c; k++) image->data[i + (size_t)k] = table[k][image->data[i + (size_t)k]];
}

static void look_up_all(tl_image *image, const uint8_t *table)
{
    size_t n = values_of(image);
    for (size_t i = 0; i < n; i++) image->data[i] = table[image->data[i]];
}

/* Pillow's blend: in float32, cut to whole numbers. */
static uint8_t blend(uint8_t from, uint8_t to, float alpha)
{
    float v = (float)from + alpha * (float)((int)to - (int)from);
    return v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)v;
}

static void blend_with(tl_image *image, uint8_t from, double factor)
{
    uint8_t table[256];
    for (int v = 0; v < 256; v++) table[v] = blend(from, (uint8_t)v, (float)factor);
    look_up_all(image, table);
}

void tl__adjust_brightness(tl_image *image, double factor)
{
    if (image->depth == TL_DEPTH_8) blend_with(image, 0, factor);
    else tl__deep_blend(image, 0, factor);
}

void tl__adjust_contrast(tl_image *image, double factor)
{
    size_t n = image->channels == 3 ? pixels_of(image) : values_of(image);
    uint64_t sum = 0;
    if (image->depth != TL_DEPTH_8) {
        tl__deep_blend(image, tl__deep_mean(image), factor);
        return;
    }
    for (size_t i = 0; i < n; i++) sum += image->channels == 3 ? luma(image->data + 3 * i) : image->data[i];
    blend_with(image, (uint8_t)((double)sum / (double)n + 0.5), factor);
}

void tl__adjust_saturation(tl_image *image, double factor)
{
    size_t n = pixels_of(image);
    if (image->channels != 3) return;
    if (image->depth != TL_DEPTH_8) {
        tl__deep_saturation(image, factor);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t *p = image->data + 3 * i, grey = luma(p);
        for (int k = 0; k < 3; k++) p[k] = blend(grey, p[k], (float)factor);
    }
}

/* The 3 x 3 mean whose middle counts five times; the outermost pixels stay as they are. */
static int smooth(tl_error *err, const tl_image *in, tl_image *out)
{
    if (tl__image_reserve(err, out, in->width, in->height, in->channels) != 0) return -1;
    memcpy(out->data, in->data, values_of(in));
    if (in->width < 3) return 0;
    ptrdiff_t c = in->channels, row = in->width * c;
    for (int y = 1; y + 1 < in->height; y++) {
        for (ptrdiff_t i = y * row + c; i < y * row + row - c; i++) {
            const uint8_t *p = in->data + i;
            int sum = p[-row - c] + p[-row] + p[-row + c] + p[-c] + 5 * p[0] + p[c] + p[row - c] + p[row] + p[row + c];
            out->data[i] = (uint8_t)((2 * sum + 13) / 26);
        }
    }
    return 0;
}

int tl__adjust_sharpness(tl_error *err, tl_image *image, double factor, tl_image *spare)
{
    if (smooth(err, image, spare) != 0) return -1;
    size_t n = values_of(image);
    for (size_t i = 0; i < n; i++) image->data[i] = blend(spare->data[i], image->data[i], (float)factor);
    return 0;
}

/* ---- hue ---- */

/* Hue, saturation, value of one pixel as bytes; the names are those of Python's colorsys. */
static void to_hsv(const uint8_t *p, uint8_t *hue, uint8_t *saturation, uint8_t *value)
{
    uint8_t r = p[0], g = p[1], b = p[2];
    uint8_t high = r > g ? (r > b ? r : b) : g > b ? g : b, low = r < g ? (r < b ? r : b) : g < b ? g : b;
    *value = high;
    *hue = *saturation = 0;
    if (high == low) return;
    float range = (float)(high - low), s = range / (float)high, h;
    float rc = (float)(high - r) / range, gc = (float)(high - g) / range, bc = (float)(high - b) / range;
    if (r == high)
        h = bc - gc;
    else if (g == high)
        h = (float)(2.0 + (double)rc - (double)bc);
    else
        h = (float)(4.0 + (double)gc - (double)rc);
    double turn = (double)h / 6.0 + 1.0; /* in 5/6 to 11/6 */
    h = (float)(turn >= 1 ? turn - 1 : turn);
    *hue = (uint8_t)((double)h * 255.0);
    *saturation = (uint8_t)((double)s * 255.0);
}

static uint8_t rounded(double v) { return (uint8_t)(v + 0.5); } /* of numbers from 0 on */

/* What follows from a hue, and from a saturation, alone. */
typedef struct wheel {
    int sector[256];
    float rest[256];
    float share[256];
} wheel;

static void make_wheel(wheel *w)
{
    for (int v = 0; v < 256; v++) {
        double sixths = v * 6.0 / 255.0;
        w->sector[v] = (int)sixths % 6;
        w->rest[v] = (float)(sixths - (int)sixths);
        w->share[v] = (float)(v / 255.0);
    }
}

static void from_hsv(const wheel *w, uint8_t hue, uint8_t saturation, uint8_t v, uint8_t *out)
{
    float s = w->share[saturation], f = w->rest[hue];
    uint8_t p = rounded(v * (1.0 - (double)s)), q = rounded(v * (1.0 - (double)(s * f))), t = rounded(v * (1.0 - (double)s * (1.0 - (double)f)));
    const uint8_t by_sector[6][3] = {{v, t, p}, {q, v, p}, {p, v, t}, {p, q, v}, {t, p, v}, {v, p, q}};
    memcpy(out, by_sector[w->sector[hue]], 3);
}

void tl__adjust_hue(tl_image *image, double shift)
{
    size_t n = pixels_of(image);
    uint8_t step = (uint8_t)(int)(shift * 255), h, s, v;
    wheel w;
    if (image->channels != 3) return;
    if (image->depth != TL_DEPTH_8) {
        tl__deep_hue(image, shift);
        return;
    }
    make_wheel(&w);
    for (size_t i = 0; i < n; i++) {
        to_hsv(image->data + 3 * i, &h, &s, &v);
        if (s == 0)
            memset(image->data + 3 * i, v, 3);
        else
            from_hsv(&w, (uint8_t)(h + step), s, v, image->data + 3 * i);
    }
}

/* ---- tables ---- */

void tl__greyscale(tl_image *image)
{
    size_t n = pixels_of(image);
    if (image->channels != 3) return;
    if (image->depth != TL_DEPTH_8) {
        tl__deep_greyscale(image);
        return;
    }
    for (size_t i = 0; i < n; i++) memset(image->data + 3 * i, luma(image->data + 3 * i), 3);
}

void tl__posterize(tl_image *image, int bits)
{
    uint8_t table[256];
    for (int v = 0; v < 256; v++) table[v] = (uint8_t)(v & ~((1 << (8 - bits)) - 1));
    look_up_all(image, table);
}

void tl__solarize(tl_image *image, double threshold)
{
    uint8_t table[256];
    for (int v = 0; v < 256; v++) table[v] = (uint8_t)(v < threshold ? v : 255 - v);
    look_up_all(image, table);
}

static void count(const tl_image *image, int channel, int64_t histogram[256])
{
    size_t n = values_of(image);
    memset(histogram, 0, 256 * sizeof *histogram);
    for (size_t i = (size_t)channel; i < n; i += (size_t)image->channels) histogram[image->data[i]]++;
}

static void ends(const int64_t h[256], int *low, int *high)
{
    for (*low = 0; *low < 255 && h[*low] == 0;) (*low)++;
    for (*high = 255; *high > 0 && h[*high] == 0;) (*high)--;
}

void tl__autocontrast(tl_image *image)
{
    uint8_t table[3][256];
    int64_t h[256];
    for (int k = 0; k < image->channels; k++) {
        int low, high;
        count(image, k, h);
        ends(h, &low, &high);
        double scale = high > low ? 255.0 / (high - low) : 1, offset = high > low ? -low * scale : 0;
        for (int v = 0; v < 256; v++) {
            int x = (int)(v * scale + offset);
            table[k][v] = (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
        }
    }
    look_up(image, table);
}

void tl__equalize(tl_image *image)
{
    uint8_t table[3][256];
    int64_t h[256];
    for (int k = 0; k < image->channels; k++) {
        int low, high;
        count(image, k, h);
        ends(h, &low, &high);
        int64_t step = ((int64_t)pixels_of(image) - h[high]) / 255, n = step / 2;
        for (int v = 0; v < 256; v++) {
            int64_t x = step ? n / step : v;
            table[k][v] = (uint8_t)(x > 255 ? 255 : x);
            n += h[v];
        }
    }
    look_up(image, table);
}
