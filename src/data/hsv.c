/* hsv.c - colours moved as YOLOX does it (data_augment.py: augment_hsv), in OpenCV's hue of 0 to 179, saturation and
 * value of 0 to 255, with the roundings of its conversions of 8 bits: the way there is to the number, the way back
 * cuts, and is a level off where OpenCV's float32 is. */
#include "data/augment.h"

#include <math.h>

enum { SHIFT = 12, HUES = 180 };

/* What a division by a difference or a value would give. */
typedef struct quotients {
    int hue[256], saturation[256];
} quotients;

static void set_quotients(quotients *q)
{
    q->hue[0] = q->saturation[0] = 0;
    for (int i = 1; i < 256; i++) {
        q->saturation[i] = (int)lrint((255 << SHIFT) / (double)i);
        q->hue[i] = (int)lrint((HUES << SHIFT) / (6.0 * i));
    }
}

static int largest(int a, int b, int c) { return a > b ? (a > c ? a : c) : b > c ? b : c; }
static int least(int a, int b, int c) { return a < b ? (a < c ? a : c) : b < c ? b : c; }
static int byte(int v) { return v < 0 ? 0 : v > 255 ? 255 : v; }

static void to_hsv(const quotients *q, const uint8_t *p, int hsv[3])
{
    int r = p[0], g = p[1], b = p[2], v = largest(r, g, b), d = v - least(r, g, b);
    int h = v == r ? g - b : v == g ? b - r + 2 * d : r - g + 4 * d, half = 1 << (SHIFT - 1);
    h = (h * q->hue[d] + half) >> SHIFT;
    hsv[0] = h < 0 ? h + HUES : h;
    hsv[1] = (d * q->saturation[v] + half) >> SHIFT;
    hsv[2] = v;
}

static void from_hsv(const int hsv[3], uint8_t *p)
{
    float h = (float)hsv[0] * (6.0f / HUES), s = (float)hsv[1] * (1.0f / 255.0f), v = (float)hsv[2] * (1.0f / 255.0f);
    int sector = (int)h;
    float f = h - (float)sector, t[4] = {v, v * (1 - s), v * (1 - s * f), v * (1 - s * (1 - f))};
    static const uint8_t which[6][3] = {{0, 3, 1}, {2, 0, 1}, {1, 0, 3}, {1, 2, 0}, {3, 1, 0}, {0, 1, 2}};
    for (int k = 0; k < 3; k++) p[k] = (uint8_t)(t[which[sector % 6][k]] * 255.0f);
}

int tl__random_hsv_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    tl_image *image = s->image;
    size_t n = (size_t)image->width * (size_t)image->height;
    int by[3];
    quotients q;
    (void)err;
    for (int k = 0; k < 3; k++) by[k] = (int)(tl__sample_uniform(s, -1, 1) * t->value[k].at[0]);
    for (int k = 0; k < 3; k++) by[k] *= (int)tl__sample_below(s, 2);
    if (image->channels == 1) {
        for (size_t i = 0; i < n; i++) image->data[i] = (uint8_t)byte(image->data[i] + by[2]);
        return 0;
    }
    if (by[0] == 0 && by[1] == 0 && by[2] == 0) return 0;
    set_quotients(&q);
    for (size_t i = 0; i < n; i++) {
        uint8_t *p = image->data + 3 * i;
        int hsv[3];
        to_hsv(&q, p, hsv);
        hsv[0] = (hsv[0] + by[0] + HUES) % HUES;
        hsv[1] = byte(hsv[1] + by[1]);
        hsv[2] = byte(hsv[2] + by[2]);
        from_hsv(hsv, p);
    }
    return 0;
}
