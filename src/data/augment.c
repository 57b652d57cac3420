/* augment.c - what random steps draw, and what they then do by affine.c and colour.c. */
#include "data/augment.h"

#include "data/affine.h"
#include "data/colour.h"

#include <math.h>
#include <string.h>

static double at(const tl_transform *t, int param, int k) { return t->value[param].at[k]; }

static double between(tl_record *s, const tl_transform *t, int param) { return tl__sample_uniform(s, at(t, param, 0), at(t, param, 1)); }

int tl__ranges_check(tl_error *err, const tl_transform *t)
{
    for (int i = 0; t->row->param[i].name; i++) {
        const tl_param *p = &t->row->param[i];
        if (p->least == 2 && p->most == 2 && at(t, i, 0) > at(t, i, 1))
            return tl__fail(err, TL_EARG, "%s: %s goes from %.9g down to %.9g", t->row->name, p->name, at(t, i, 0), at(t, i, 1));
    }
    return 0;
}

/* ---- affine maps ---- */

static int map(tl_error *err, tl_record *s, const tl_affine *m, int filter, double fill)
{
    if (tl__affine(err, s->image, m, filter, (uint8_t)fill, &s->scratch->spare) != 0) return -1;
    tl__sample_swap(s);
    tl__sample_moved(s, m);
    return 0;
}

int tl__random_rotation_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    tl_affine m = tl__affine_rotation(s->image->width, s->image->height, between(s, t, 0));
    return map(err, s, &m, (int)at(t, 1, 0), at(t, 2, 0));
}

enum { DEGREES, TRANSLATE, SCALE, SHEAR, FILTER, FILL };

int tl__random_affine_check(tl_error *err, const tl_transform *t)
{
    for (int i = TRANSLATE; i <= SHEAR; i += SHEAR - TRANSLATE) {
        if (t->value[i].count == 3) return tl__fail(err, TL_EARG, "random_affine: %s takes 2 numbers or 4, not 3", t->row->param[i].name);
        int ranges = i == SHEAR || t->value[i].count == 4;
        for (int k = 0; ranges && k < t->value[i].count; k += 2)
            if (at(t, i, k) > at(t, i, k + 1))
                return tl__fail(err, TL_EARG, "random_affine: %s goes from %.9g down to %.9g", t->row->param[i].name, at(t, i, k), at(t, i, k + 1));
    }
    for (int k = 0; t->value[TRANSLATE].count == 2 && k < 2; k++)
        if (at(t, TRANSLATE, k) < 0) return tl__fail(err, TL_EARG, "random_affine: translate is %.9g; two numbers go both ways, and must not be negative", at(t, TRANSLATE, k));
    return tl__ranges_check(err, t);
}

/* Shares of width and height: two numbers are the largest either way, four the ranges. */
static void draw_translation(const tl_transform *t, tl_record *s, double out[2])
{
    double size[2] = {s->image->width, s->image->height};
    for (int k = 0; k < 2; k++) {
        int ranges = t->value[TRANSLATE].count == 4;
        double low = ranges ? at(t, TRANSLATE, 2 * k) : -at(t, TRANSLATE, k), high = ranges ? at(t, TRANSLATE, 2 * k + 1) : at(t, TRANSLATE, k);
        out[k] = rint(tl__sample_uniform(s, low * size[k], high * size[k]));
    }
}

int tl__random_affine_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    tl_affine_change c = {.center = {s->image->width * 0.5, s->image->height * 0.5}};
    c.angle = between(s, t, DEGREES);
    draw_translation(t, s, c.translate);
    c.scale = between(s, t, SCALE);
    for (int k = 0; 2 * k < t->value[SHEAR].count; k++) c.shear[k] = tl__sample_uniform(s, at(t, SHEAR, 2 * k), at(t, SHEAR, 2 * k + 1));
    tl_affine m = tl__affine_inverse(&c);
    return map(err, s, &m, (int)at(t, FILTER, 0), at(t, FILL, 0));
}

/* ---- colours ---- */

/* Brightness, contrast, saturation and hue in random order. What has the range [1, 1] (hue: [0, 0]) is left
 * out: the way to hue and back rounds. */
int tl__color_jitter_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    int order[4] = {0, 1, 2, 3};
    double factor[4];
    (void)err;
    for (int i = 0; i < 3; i++) {
        int j = i + (int)tl__sample_below(s, 4 - i), k = order[i];
        order[i] = order[j];
        order[j] = k;
    }
    for (int i = 0; i < 4; i++) factor[i] = between(s, t, i);
    for (int i = 0; i < 4; i++) {
        int k = order[i];
        double neutral = k == 3 ? 0 : 1;
        if (at(t, k, 0) == neutral && at(t, k, 1) == neutral) continue;
        if (k == 0) tl__adjust_brightness(s->image, factor[k]);
        if (k == 1) tl__adjust_contrast(s->image, factor[k]);
        if (k == 2) tl__adjust_saturation(s->image, factor[k]);
        if (k == 3) tl__adjust_hue(s->image, factor[k]);
    }
    return 0;
}

int tl__random_grayscale_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    (void)err;
    if (tl__sample_uniform(s, 0, 1) < at(t, 0, 0)) tl__greyscale(s->image);
    return 0;
}

/* ---- erasing ---- */

/* A rectangle of a random share of the area and a random (log-uniform) ratio of height to width, smaller than the
 * picture on both sides. 0 where ten attempts gave none. */
static int draw_hole(const tl_transform *t, tl_record *s, int *left, int *top, int *width, int *height)
{
    double area = (double)s->width * s->height;
    for (int attempt = 0; attempt < 10; attempt++) {
        double erased = area * between(s, t, 1), ratio = exp(tl__sample_uniform(s, log(at(t, 2, 0)), log(at(t, 2, 1))));
        double h = rint(sqrt(erased * ratio)), w = rint(sqrt(erased / ratio));
        if (!(h < s->height && w < s->width)) continue;
        *height = (int)h;
        *width = (int)w;
        *top = (int)tl__sample_below(s, s->height - *height + 1);
        *left = (int)tl__sample_below(s, s->width - *width + 1);
        return 1;
    }
    return 0;
}

int tl__random_erasing_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    int left, top, width, height, c = s->channels, n = t->value[3].count, noise = at(t, 4, 0) != 0;
    if (n != 1 && n != c) return tl__fail(err, TL_ESHAPE, "random_erasing: %d values for a picture of %d channel%s", n, c, c > 1 ? "s" : "");
    if (!(tl__sample_uniform(s, 0, 1) < at(t, 0, 0)) || !draw_hole(t, s, &left, &top, &width, &height)) return 0;
    uint64_t first = 4 * s->draw, i = 0; /* a block of random bits gives four normal numbers */
    for (int y = top; y < top + height; y++) {
        float *o = s->values + ((size_t)y * (size_t)s->width + (size_t)left) * (size_t)c;
        for (int k = 0; k < width * c; k++) o[k] = noise ? tl__rng_normal(s->key, first + i++) : (float)at(t, 3, n == 1 ? 0 : k % c);
    }
    s->draw += (i + 3) / 4;
    return 0;
}

/* ---- RandAugment ---- */

enum { IDENTITY, SHEAR_X, SHEAR_Y, TRANSLATE_X, TRANSLATE_Y, ROTATE, BRIGHTNESS, COLOR, CONTRAST, SHARPNESS, POSTERIZE, SOLARIZE, AUTOCONTRAST, EQUALIZE, OPERATIONS };

/* Number `i` of `n` from `from` to `to`, as torch.linspace rounds it in float32. */
static double linspace(double from, double to, int i, int n)
{
    float a = (float)from, b = (float)to, step = (b - a) / (float)(n - 1);
    return i < n / 2 ? a + step * (float)i : b - step * (float)(n - 1 - i);
}

/* The magnitude of an operation for bin `i` of `n`, without its sign. */
static double magnitude_of(int operation, int i, int n, const tl_image *image)
{
    switch (operation) {
    case SHEAR_X:
    case SHEAR_Y: return linspace(0, 0.3, i, n);
    case TRANSLATE_X: return linspace(0, 150.0 / 331.0 * image->width, i, n);
    case TRANSLATE_Y: return linspace(0, 150.0 / 331.0 * image->height, i, n);
    case ROTATE: return linspace(0, 30, i, n);
    case POSTERIZE: return 8 - rintf((float)i / (float)((n - 1) / 4.0));
    case SOLARIZE: return linspace(255, 0, i, n);
    default: return linspace(0, 0.9, i, n);
    }
}

static int is_signed(int operation) { return operation >= SHEAR_X && operation <= SHARPNESS; }

static int operate_affine(tl_error *err, tl_record *s, int operation, double m, int filter, double fill)
{
    tl_affine_change c = {.scale = 1};
    double degrees = atan(m) * 57.29577951308232;
    if (operation == SHEAR_X) c.shear[0] = degrees;
    if (operation == SHEAR_Y) c.shear[1] = degrees;
    if (operation == TRANSLATE_X) c.translate[0] = trunc(m);
    if (operation == TRANSLATE_Y) c.translate[1] = trunc(m);
    if (operation == TRANSLATE_X || operation == TRANSLATE_Y) { /* shears keep the upper left corner */
        c.center[0] = s->image->width * 0.5;
        c.center[1] = s->image->height * 0.5;
    }
    tl_affine a = operation == ROTATE ? tl__affine_rotation(s->image->width, s->image->height, m) : tl__affine_inverse(&c);
    return map(err, s, &a, filter, fill);
}

static int operate(tl_error *err, tl_record *s, int operation, double m, int filter, double fill)
{
    switch (operation) {
    case IDENTITY: return 0;
    case BRIGHTNESS: tl__adjust_brightness(s->image, 1 + m); return 0;
    case COLOR: tl__adjust_saturation(s->image, 1 + m); return 0;
    case CONTRAST: tl__adjust_contrast(s->image, 1 + m); return 0;
    case SHARPNESS: return tl__adjust_sharpness(err, s->image, 1 + m, &s->scratch->spare);
    case POSTERIZE: tl__posterize(s->image, (int)m); return 0;
    case SOLARIZE: tl__solarize(s->image, m); return 0;
    case AUTOCONTRAST: tl__autocontrast(s->image); return 0;
    case EQUALIZE: tl__equalize(s->image); return 0;
    default: return operate_affine(err, s, operation, m, filter, fill);
    }
}

int tl__bins_check(tl_error *err, const tl_transform *t)
{
    if (at(t, 1, 0) < at(t, 2, 0)) return 0;
    return tl__fail(err, TL_EARG, "%s: magnitude is %.9g, and must be below %.9g (bins)", t->row->name, at(t, 1, 0), at(t, 2, 0));
}

int tl__rand_augment_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    for (int i = 0; i < (int)at(t, 0, 0); i++) {
        int operation = (int)tl__sample_below(s, OPERATIONS), negative = (int)tl__sample_below(s, 2);
        double m = magnitude_of(operation, (int)at(t, 1, 0), (int)at(t, 2, 0), s->image);
        if (is_signed(operation) && negative) m = -m;
        if (operate(err, s, operation, m, (int)at(t, 3, 0), at(t, 4, 0)) != 0) return -1;
    }
    return 0;
}

int tl__operation_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    int operation = (int)at(t, 0, 0);
    double m = magnitude_of(operation, (int)at(t, 1, 0), (int)at(t, 2, 0), s->image);
    if (is_signed(operation) && at(t, 3, 0) != 0) m = -m;
    return operate(err, s, operation, m, (int)at(t, 4, 0), at(t, 5, 0));
}
