/* colour_deep.c - the changes of colour.c on samples of 16 bits and floats, as torchvision does them on float tensors: white is 1, the grey of a
 * pixel that of ITU-R 601. 16 bits are cut to their range; floats are not, since theirs is the user's (hue alone wants 0 to 1). */
#include "data/colour.h"

#include <math.h>

static size_t pixels_of(const tl_image *m) { return (size_t)m->width * (size_t)m->height; }

static float get(const tl_image *m, size_t i)
{
    union { const uint8_t *bytes; const uint16_t *words; const float *floats; } p = {m->data};
    return m->depth == TL_DEPTH_16 ? (float)p.words[i] / 65535.0f : p.floats[i];
}

static void set(tl_image *m, size_t i, float v)
{
    union { uint8_t *bytes; uint16_t *words; float *floats; } p = {m->data};
    if (m->depth == TL_DEPTH_16) p.words[i] = (uint16_t)(v <= 0 ? 0 : v >= 1 ? 65535 : v * 65535.0f + 0.5f);
    else p.floats[i] = v;
}

static float grey_of(const tl_image *m, size_t pixel)
{
    size_t i = pixel * (size_t)m->channels;
    return m->channels == 3 ? 0.299f * get(m, i) + 0.587f * get(m, i + 1) + 0.114f * get(m, i + 2) : get(m, i);
}

void tl__deep_blend(tl_image *image, double from, double factor)
{
    size_t n = pixels_of(image) * (size_t)image->channels;
    for (size_t i = 0; i < n; i++) set(image, i, (float)(from + factor * ((double)get(image, i) - from)));
}

double tl__deep_mean(const tl_image *image)
{
    size_t n = pixels_of(image), all = image->channels == 3 ? n : n * (size_t)image->channels;
    double sum = 0;
    for (size_t i = 0; i < all; i++) sum += (double)(image->channels == 3 ? grey_of(image, i) : get(image, i));
    return sum / (double)all;
}

void tl__deep_saturation(tl_image *image, double factor)
{
    for (size_t i = 0; i < pixels_of(image); i++) {
        float grey = grey_of(image, i);
        for (size_t k = 3 * i; k < 3 * i + 3; k++) set(image, k, grey + (float)factor * (get(image, k) - grey));
    }
}

/* Hue (in turns), saturation and value, as Python's colorsys has them. */
static void to_hsv(const float rgb[3], float hsv[3])
{
    float high = fmaxf(rgb[0], fmaxf(rgb[1], rgb[2])), low = fminf(rgb[0], fminf(rgb[1], rgb[2])), range = high - low, h = 0;
    if (range > 0 && rgb[0] == high) h = (rgb[1] - rgb[2]) / range;
    else if (range > 0 && rgb[1] == high) h = 2 + (rgb[2] - rgb[0]) / range;
    else if (range > 0) h = 4 + (rgb[0] - rgb[1]) / range;
    hsv[0] = h / 6;
    hsv[1] = high > 0 ? range / high : 0;
    hsv[2] = high;
}

static void from_hsv(const float hsv[3], float rgb[3])
{
    float sixths = (hsv[0] - floorf(hsv[0])) * 6, s = hsv[1], v = hsv[2];
    int sector = (int)sixths % 6;
    float f = sixths - floorf(sixths), p = v * (1 - s), q = v * (1 - s * f), t = v * (1 - s * (1 - f));
    const float by_sector[6][3] = {{v, t, p}, {q, v, p}, {p, v, t}, {p, q, v}, {t, p, v}, {v, p, q}};
    for (int k = 0; k < 3; k++) rgb[k] = by_sector[sector][k];
}

void tl__deep_hue(tl_image *image, double shift)
{
    for (size_t i = 0; i < pixels_of(image); i++) {
        float rgb[3], hsv[3];
        for (size_t k = 0; k < 3; k++) rgb[k] = fminf(fmaxf(get(image, 3 * i + k), 0), 1); /* what is no number is 0 */
        to_hsv(rgb, hsv);
        hsv[0] += (float)shift;
        from_hsv(hsv, rgb);
        for (size_t k = 0; k < 3; k++) set(image, 3 * i + k, rgb[k]);
    }
}

void tl__deep_greyscale(tl_image *image)
{
    for (size_t i = 0; i < pixels_of(image); i++) {
        float grey = grey_of(image, i);
        for (size_t k = 0; k < 3; k++) set(image, 3 * i + k, grey);
    }
}
