/* transforms.c - the table of steps, each with what it does. To add one, write a row: the loader, the
 * parser, the Lua interface and the errors follow from it. */
#include "data/augment.h"
#include "data/letterbox.h"

#include <math.h>
#include <string.h>

static double at(const tl_transform *t, int param, int k) { return t->value[param].at[k]; }

/* "size" as one number or two (height, width) is the first parameter of every step that has one. */
static void size_of(const tl_transform *t, int *height, int *width)
{
    *height = (int)at(t, 0, 0);
    *width = (int)at(t, 0, t->value[0].count - 1);
}

static void shape_is_size(const tl_transform *t, int hwc[3]) { size_of(t, &hwc[0], &hwc[1]); }

/* The picture, new already, shows a part at (left, top) of the one before, `x` and `y` times as small. */
static void moved(tl_record *s, double x, double y, double left, double top)
{
    tl__sample_moved(s, &(tl_affine){{x, 0, left, 0, y, top}});
}

/* ---- resize ---- */

/* torchvision: one number is for the shorter side, and the other is cut, not rounded, to whole pixels. */
static void resized(const tl_transform *t, int in_h, int in_w, int *height, int *width)
{
    if (t->value[0].count == 2) {
        size_of(t, height, width);
        return;
    }
    int size = (int)at(t, 0, 0), shorter = in_h < in_w ? in_h : in_w, longer = in_h < in_w ? in_w : in_h;
    int other = (int)((double)size * longer / shorter);
    *height = in_h <= in_w ? size : other;
    *width = in_h <= in_w ? other : size;
}

static void resize_shape(const tl_transform *t, int hwc[3])
{
    if (t->value[0].count == 2 || (hwc[0] && hwc[1])) resized(t, hwc[0], hwc[1], &hwc[0], &hwc[1]);
}

static double resize_need(const tl_transform *t) { return fmax(at(t, 0, 0), at(t, 0, t->value[0].count - 1)); }

static void resize_from(const tl_transform *t, int *width, int *height, tl_affine *from)
{
    int w = *width, h = *height;
    resized(t, h, w, height, width);
    *from = (tl_affine){{(double)w / *width, 0, 0, 0, (double)h / *height, 0}};
}

static int resize_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    int height, width;
    resized(t, s->image->height, s->image->width, &height, &width);
    if (height == s->image->height && width == s->image->width) return 0;
    double x = (double)s->image->width / width, y = (double)s->image->height / height;
    tl_view in = tl__image_view(s->image);
    if (tl__resize(err, &s->scratch->resizer, &in, NULL, (tl_filter)at(t, 1, 0), width, height, &s->scratch->spare) != 0) {
        tl__error_prefix(err, "resize: ");
        return -1;
    }
    tl__sample_swap(s);
    moved(s, x, y, 0, 0);
    return 0;
}

/* ---- crops ---- */

enum { PAD_CONSTANT, PAD_REFLECT };
static const char *const padding_modes[] = {"constant", "reflect", NULL};

/* Where index i of a row of n pixels lies when the row is mirrored at its end pixels. */
static int mirrored(int i, int n)
{
    if (n == 1) return 0;
    int period = 2 * (n - 1), k = i % period;
    if (k < 0) k += period;
    return k < n ? k : period - k;
}

/* Columns x to end of an output row that lie outside of the input row `in` of `width` pixels of c bytes. */
static void border(uint8_t *out, const uint8_t *in, int x, int end, int left, int width, size_t c)
{
    for (; x < end; x++) memcpy(out + (size_t)x * c, in + (size_t)mirrored(left + x, width) * c, c);
}

/* Takes the rectangle at (left, top), which may reach out of the picture. */
static int cut(tl_error *err, tl_record *s, int left, int top, int width, int height, int mode, uint8_t fill)
{
    const tl_image *in = s->image;
    tl_image *out = &s->scratch->spare;
    if (tl__image_reserve_deep(err, out, width, height, in->channels, in->depth) != 0) return -1;
    size_t c = tl__image_pixel(in), row = (size_t)width * c;
    if (mode == PAD_CONSTANT && (left < 0 || top < 0 || left + width > in->width || top + height > in->height)) tl__image_fill(out, fill);
    int from = left < 0 ? -left : 0, to = left + width > in->width ? in->width - left : width; /* columns inside */
    if (from > width) from = width;
    if (to < from) to = from;
    for (int y = 0; y < height; y++) {
        uint8_t *o = out->data + (size_t)y * row;
        int source = mode == PAD_REFLECT ? mirrored(top + y, in->height) : top + y;
        if (source < 0 || source >= in->height) continue;
        const uint8_t *i = in->data + (size_t)source * (size_t)in->width * c;
        if (mode == PAD_REFLECT) border(o, i, 0, from, left, in->width, c);
        if (to > from) memcpy(o + (size_t)from * c, i + (size_t)(left + from) * c, (size_t)(to - from) * c);
        if (mode == PAD_REFLECT) border(o, i, to, width, left, in->width, c);
    }
    tl__sample_swap(s);
    moved(s, 1, 1, left, top);
    return 0;
}

/* torchvision: a picture that is too small is padded with black first; halves round to even. */
static int center_start(int size, int wanted)
{
    return wanted > size ? -((wanted - size) / 2) : (int)rint((size - wanted) / 2.0);
}

static void center_crop_from(const tl_transform *t, int *width, int *height, tl_affine *from)
{
    int w = *width, h = *height;
    size_of(t, height, width);
    *from = (tl_affine){{1, 0, center_start(w, *width), 0, 1, center_start(h, *height)}};
}

static int center_crop_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    int height, width, h = s->image->height, w = s->image->width;
    size_of(t, &height, &width);
    if (height == h && width == w) return 0;
    return cut(err, s, center_start(w, width), center_start(h, height), width, height, PAD_CONSTANT, 0);
}

/* size, padding, fill, mode, pad_if_needed */
static int random_crop_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    int height, width, padding = (int)at(t, 1, 0);
    size_of(t, &height, &width);
    int pad_y = padding, pad_x = padding;
    if (at(t, 4, 0) != 0) { /* torchvision pads by the whole difference on both sides */
        if (s->image->width + 2 * pad_x < width) pad_x += width - (s->image->width + 2 * pad_x);
        if (s->image->height + 2 * pad_y < height) pad_y += height - (s->image->height + 2 * pad_y);
    }
    int h = s->image->height + 2 * pad_y, w = s->image->width + 2 * pad_x;
    if (h < height || w < width)
        return tl__fail(err, TL_ESHAPE, "random_crop: a picture of %d x %d (height x width, padded) is smaller than %d x %d; resize it first, or set pad_if_needed = 1",
                        h, w, height, width);
    int top = (int)tl__sample_below(s, h - height + 1), left = (int)tl__sample_below(s, w - width + 1);
    return cut(err, s, left - pad_x, top - pad_y, width, height, (int)at(t, 3, 0), (uint8_t)at(t, 2, 0));
}

static int random_crop_keeps(tl_error *err, const tl_transform *t, unsigned fields)
{
    unsigned lost = fields & (TL_FIELD_BOXES | TL_FIELD_POINTS);
    if (!lost || (int)at(t, 3, 0) != PAD_REFLECT || (at(t, 1, 0) == 0 && at(t, 4, 0) == 0)) return 0;
    return tl__fail(err, TL_EARG, "random_crop with mode = reflect cannot keep %s: what it mirrors would have none; take mode = constant",
                    tl__field_name(lost & (~lost + 1)));
}

/* ---- random_resized_crop: size, scale, ratio, interpolation ---- */

/* A rectangle of a random share of the area and a random (log-uniform) ratio; after ten that do not fit,
 * the largest central one within the ratios. */
static void random_rectangle(const tl_transform *t, tl_record *s, int *left, int *top, int *width, int *height)
{
    int w = s->image->width, h = s->image->height;
    double low = at(t, 2, 0), high = at(t, 2, 1), area = (double)w * h;
    for (int attempt = 0; attempt < 10; attempt++) {
        double target = area * tl__sample_uniform(s, at(t, 1, 0), at(t, 1, 1));
        double ratio = exp(tl__sample_uniform(s, log(low), log(high)));
        double cw = rint(sqrt(target * ratio)), ch = rint(sqrt(target / ratio));
        if (cw > 0 && cw <= w && ch > 0 && ch <= h) {
            *width = (int)cw;
            *height = (int)ch;
            *top = (int)tl__sample_below(s, h - *height + 1);
            *left = (int)tl__sample_below(s, w - *width + 1);
            return;
        }
    }
    double ratio = (double)w / h;
    *width = ratio > high ? (int)rint(h * high) : w;
    *height = ratio < low ? (int)rint(w / low) : h;
    if (*width < 1) *width = 1; /* a strip one pixel wide, with an extreme ratio */
    if (*height < 1) *height = 1;
    *top = (h - *height) / 2;
    *left = (w - *width) / 2;
}

static double random_resized_crop_need(const tl_transform *t)
{
    return fmax(at(t, 0, 0), at(t, 0, t->value[0].count - 1)) / sqrt(at(t, 1, 0));
}

static int random_resized_crop_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    int left, top, crop_width, crop_height, height, width;
    size_of(t, &height, &width);
    random_rectangle(t, s, &left, &top, &crop_width, &crop_height);
    /* The filter does not see what was cut away, as in torchvision. */
    tl_view part = tl__image_crop(s->image, left, top, crop_width, crop_height);
    if (tl__resize(err, &s->scratch->resizer, &part, NULL, (tl_filter)at(t, 3, 0), width, height, &s->scratch->spare) != 0) return -1;
    tl__sample_swap(s);
    moved(s, (double)crop_width / width, (double)crop_height / height, left, top);
    return 0;
}

/* ---- flips ---- */

static int horizontal_flip_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    (void)err;
    if (!(tl__sample_uniform(s, 0, 1) < at(t, 0, 0))) return 0;
    size_t c = tl__image_pixel(s->image), w = (size_t)s->image->width;
    for (int y = 0; y < s->image->height; y++) {
        uint8_t *row = s->image->data + (size_t)y * w * c;
        for (size_t i = 0, j = w - 1; i < j; i++, j--) {
            for (size_t k = 0; k < c; k++) {
                uint8_t swap = row[i * c + k];
                row[i * c + k] = row[j * c + k];
                row[j * c + k] = swap;
            }
        }
    }
    moved(s, -1, 1, s->image->width, 0);
    return 0;
}

static int vertical_flip_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    if (!(tl__sample_uniform(s, 0, 1) < at(t, 0, 0))) return 0;
    tl_image *in = s->image, *out = &s->scratch->spare;
    if (tl__image_reserve_deep(err, out, in->width, in->height, in->channels, in->depth) != 0) return -1;
    size_t row = (size_t)in->width * tl__image_pixel(in);
    for (int y = 0; y < in->height; y++) memcpy(out->data + (size_t)y * row, in->data + (size_t)(in->height - 1 - y) * row, row);
    tl__sample_swap(s);
    moved(s, 1, -1, 0, s->image->height);
    return 0;
}

/* ---- channels and numbers ---- */

static int to_channels_check(tl_error *err, const tl_transform *t)
{
    int n = (int)at(t, 0, 0);
    return n == 1 || n == 3 ? 0 : tl__fail(err, TL_EARG, "to_channels: channels is %d, and must be 1 or 3", n);
}

static void to_channels_shape(const tl_transform *t, int hwc[3]) { hwc[2] = (int)at(t, 0, 0); }

static int to_channels_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    tl_image *in = s->image, *out = &s->scratch->spare;
    int n = (int)at(t, 0, 0);
    if (in->channels != 1 || n != 3 || in->depth != TL_DEPTH_8) return tl__image_to_channels(err, in, n);
    if (tl__image_reserve(err, out, in->width, in->height, n) != 0) return -1;
    size_t pixels = (size_t)in->width * (size_t)in->height;
    for (size_t i = 0; i < pixels; i++) out->data[3 * i] = out->data[3 * i + 1] = out->data[3 * i + 2] = in->data[i];
    tl__sample_swap(s);
    return 0;
}

static int normalize_check(tl_error *err, const tl_transform *t)
{
    int m = t->value[0].count, n = t->value[1].count;
    return m == n ? 0 : tl__fail(err, TL_EARG, "normalize: %d numbers in mean and %d in std", m, n);
}

/* Any depth and number of channels, sample by sample. */
static void normalize_deep(const tl_transform *t, tl_record *s)
{
    size_t n = (size_t)s->image->width * (size_t)s->image->height, c = (size_t)s->image->channels;
    float *o = s->values;
    tl__image_floats(s->image, o);
    for (size_t k = 0; k < c; k++) {
        size_t own = t->value[0].count == 1 ? 0 : k;
        float mean = (float)t->value[0].at[own], deviation = (float)t->value[1].at[own];
        for (size_t i = k; i < n * c; i += c) o[i] = (o[i] - mean) / deviation;
    }
}

/* Every byte's value is worked out once, with the roundings of PyTorch's float32: (x / 255 - mean) / std. */
static int normalize_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    const tl_image *in = s->image;
    int c = in->channels, n = t->value[0].count;
    float table[3][256];
    if (n != 1 && n != c)
        return tl__fail(err, TL_ESHAPE, "normalize: %d means for a picture of %d channel%s; %s", n, c, c > 1 ? "s" : "",
                        n == 3 ? "put to_channels { channels = 3 } before it" : "one for each, or one for all");
    if (in->depth != TL_DEPTH_8 || (c != 1 && c != 3)) {
        normalize_deep(t, s);
        return 0;
    }
    for (int k = 0; k < c; k++) {
        float mean = (float)at(t, 0, n == 1 ? 0 : k), deviation = (float)at(t, 1, n == 1 ? 0 : k);
        for (int v = 0; v < 256; v++) table[k][v] = ((float)v / 255.0f - mean) / deviation;
    }
    size_t pixels = (size_t)in->width * (size_t)in->height;
    const uint8_t *p = in->data;
    float *o = s->values;
    if (c == 3) {
        for (size_t i = 0; i < pixels; i++, p += 3, o += 3) {
            o[0] = table[0][p[0]];
            o[1] = table[1][p[1]];
            o[2] = table[2][p[2]];
        }
    } else {
        for (size_t i = 0; i < pixels; i++) o[i] = table[0][p[i]];
    }
    return 0;
}

/* ---- boxes ---- */

static int least_visible_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    (void)err;
    s->scratch->geometry.least_visible = at(t, 0, 0);
    return 0;
}

/* ---- strip_corners ---- */

static int strip_corners_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    (void)err;
    tl_image *image = s->image;
    size_t pixel = tl__image_pixel(image), row = (size_t)image->width * pixel;
    int high = (int)(at(t, 0, 0) * image->height + 0.5);
    size_t wide = (size_t)(at(t, 0, 0) * image->width + 0.5) * pixel;
    for (int y = 0; y < image->height; y++) {
        if (y >= high && y < image->height - high) continue;
        memset(image->data + (size_t)y * row, 0, wide);
        memset(image->data + (size_t)(y + 1) * row - wide, 0, wide);
    }
    return 0;
}

/* ---- window ---- */

static int window_check(tl_error *err, const tl_transform *t)
{
    if (t->value[0].count != t->value[1].count)
        return tl__fail(err, TL_EARG, "window: %d numbers of centre and %d of width; a window has both",
                        t->value[0].count, t->value[1].count);
    for (int i = 0; i < t->value[1].count; i++) {
        double width = at(t, 1, i);
        if (width < 1 && width != TL_WINDOW_FILE && width != TL_WINDOW_RANGE)
            return tl__fail(err, TL_EARG, "window: a width of %g; 1 is the least", width);
    }
    return 0;
}

/* ---- the table ---- */

#define SIDE(about) {.name = "size", .brief = about, .least = 1, .most = 2, .low = 1, .high = 16384, .integer = 1}
#define INTERPOLATION {.name = "interpolation", .brief = "filter", .choices = tl__filter_names_here, .initial = "bilinear"}
#define CHANCE {.name = "p", .brief = "probability", .least = 1, .most = 1, .low = 0, .high = 1, .initial = "0.5"}

/* A copy of tl__filter_names, since a table of constants cannot refer to an array in another file. */
static const char *const tl__filter_names_here[] = {"nearest", "box", "bilinear", "bicubic", "lanczos", NULL};
static const char *const affine_filters[] = {TL_AFFINE_FILTER_NAMES};
static const char *const operations[] = {TL_OPERATION_NAMES};
static const char *const letterbox_filters[] = {TL_LETTERBOX_FILTERS};

#define AFFINE_FILTER {.name = "interpolation", .brief = "filter", .choices = affine_filters, .initial = "nearest"}
#define FILL {.name = "fill", .brief = "value of pixels from outside", .least = 1, .most = 1, .low = 0, .high = 255, .integer = 1, .initial = "0"}
#define FACTOR(what) {.name = what, .brief = "factor, from and to", .least = 2, .most = 2, .low = 0, .high = 100, .initial = "[1, 1]"}
#define MAGNITUDE {.name = "magnitude", .brief = "one of the bins, from 0", .least = 1, .most = 1, .low = 0, .high = 999, .integer = 1, .initial = "9"}
#define BINS {.name = "bins", .brief = "steps from none to the strongest", .least = 1, .most = 1, .low = 2, .high = 1000, .integer = 1, .initial = "31"}

/* A limit of random_hsv, which draws from minus to plus that much. */
#define HSV(what, unit, most_, usual) \
    {.name = what, .brief = unit, .least = 1, .most = 1, .low = 0, .high = most_, .initial = usual}

/* For what changes colours, and for what moves pixels. */
#define COLOURS .stage = TL_STAGE_BYTES, .touches = TL_FIELD_IMAGE
#define MOVES .stage = TL_STAGE_BYTES, .moves = 1, .touches = TL_FIELD_IMAGE | TL_FIELDS_PLACED

const tl_transform_row tl__transform_rows[] = {
    {.name = "decode", .brief = "Lets large JPEGs be decoded at 1/2, 1/4 or 1/8, with `gap` times the pixels the next step needs; 0: at full size.",
     .stage = TL_STAGE_DECODE, .touches = TL_FIELD_IMAGE,
     .param = {{.name = "gap", .brief = "0, or 1 and more; 2 is hardly seen", .least = 1, .most = 1, .low = 0, .high = 16, .initial = "0"}}},
    {.name = "window",
     .brief = "Of DICOM files: values to 0 to 1, a channel for each window; a width of 0 is the file's own, "
              "-1 from the least value to the greatest.",
     .stage = TL_STAGE_DECODE, .touches = TL_FIELD_IMAGE, .check = window_check,
     .param = {{.name = "centre", .brief = "of each", .least = 1, .most = TL_IMAGE_MOST_WINDOWS, .low = -1e6,
                .high = 1e6},
               {.name = "width", .brief = "of each", .least = 1, .most = TL_IMAGE_MOST_WINDOWS, .low = -1,
                .high = 1e6}}},
    {.name = "resize", .brief = "To `size` on the shorter side, or to exactly (height, width); antialiased.", MOVES,
     .param = {SIDE("shorter side, or height and width"), INTERPOLATION}, .shape = resize_shape, .need = resize_need,
     .from = resize_from, .apply = resize_apply},
    {.name = "center_crop", .brief = "The middle; a smaller picture gets a black border.", MOVES,
     .param = {SIDE("side, or height and width")}, .shape = shape_is_size, .from = center_crop_from,
     .apply = center_crop_apply},
    {.name = "letterbox",
     .brief = "As large as fits into `size` in its own shape, in the upper left corner, `fill` around it.", MOVES,
     .param = {SIDE("side, or height and width"),
               {.name = "fill", .brief = "value of the ground", .least = 1, .most = 1, .low = 0, .high = 255,
                .integer = 1, .initial = "114"},
               {.name = "interpolation", .brief = "linear is OpenCV's, the others those of resize",
                .choices = letterbox_filters, .initial = "linear"}},
     .shape = shape_is_size, .from = tl__letterbox_from, .apply = tl__letterbox_apply},
    {.name = "least_visible", .brief = "Boxes are dropped of which less than `share` is seen in the end.",
     .stage = TL_STAGE_BYTES, .touches = TL_FIELD_BOXES,
     .param = {{.name = "share", .brief = "of the area that the file's picture shows", .least = 1, .most = 1, .low = 0,
                .high = 1}},
     .apply = least_visible_apply},
    {.name = "random_crop", .brief = "Any part of that size, after padding.", MOVES, .is_random = 1,
     .param = {SIDE("side, or height and width"),
               {.name = "padding", .brief = "pixels on each side", .least = 1, .most = 1, .low = 0, .high = 4096, .integer = 1, .initial = "0"},
               {.name = "fill", .brief = "value of padded pixels", .least = 1, .most = 1, .low = 0, .high = 255, .integer = 1, .initial = "0"},
               {.name = "mode", .brief = "what padding shows", .choices = padding_modes, .initial = "constant"},
               {.name = "pad_if_needed", .brief = "1: pad a picture that is too small", .least = 1, .most = 1, .low = 0, .high = 1, .integer = 1, .initial = "0"}},
     .keeps = random_crop_keeps, .shape = shape_is_size, .apply = random_crop_apply},
    {.name = "random_resized_crop", .brief = "A part of random area and ratio, resized.", MOVES, .is_random = 1,
     .param = {SIDE("side, or height and width"),
               {.name = "scale", .brief = "share of the area, from and to", .least = 2, .most = 2, .low = 1e-4, .high = 1, .initial = "[0.08, 1]"},
               {.name = "ratio", .brief = "width by height, from and to", .least = 2, .most = 2, .low = 1e-2, .high = 1e2, .initial = "[0.75, 1.3333333333333333]"},
               INTERPOLATION},
     .check = tl__ranges_check, .shape = shape_is_size, .need = random_resized_crop_need, .apply = random_resized_crop_apply},
    {.name = "random_horizontal_flip", .brief = "Left and right exchanged.", MOVES, .is_random = 1,
     .param = {CHANCE}, .apply = horizontal_flip_apply},
    {.name = "random_vertical_flip", .brief = "Top and bottom exchanged.", MOVES, .is_random = 1,
     .param = {CHANCE}, .apply = vertical_flip_apply},
    {.name = "random_rotation", .brief = "Turned about the middle, counter-clockwise.", MOVES, .is_random = 1,
     .param = {{.name = "degrees", .brief = "from and to", .least = 2, .most = 2, .low = -3600, .high = 3600}, AFFINE_FILTER, FILL},
     .check = tl__ranges_check, .apply = tl__random_rotation_apply},
    {.name = "random_affine", .brief = "Turned clockwise, moved, scaled and sheared.", MOVES, .is_random = 1,
     .param = {{.name = "degrees", .brief = "from and to", .least = 2, .most = 2, .low = -3600, .high = 3600, .initial = "[0, 0]"},
               {.name = "translate", .brief = "shares of width and height: the largest either way, or from and to of both", .least = 2, .most = 4, .low = -1, .high = 1, .initial = "[0, 0]"},
               {.name = "scale", .brief = "from and to", .least = 2, .most = 2, .low = 1e-3, .high = 1e3, .initial = "[1, 1]"},
               {.name = "shear", .brief = "degrees along x, from and to; the same along y", .least = 2, .most = 4, .low = -89, .high = 89, .initial = "[0, 0]"},
               AFFINE_FILTER, FILL},
     .check = tl__random_affine_check, .apply = tl__random_affine_apply},
    {.name = "color_jitter", .brief = "Brightness, contrast, saturation and hue changed in random order.", COLOURS, .is_random = 1,
     .param = {FACTOR("brightness"), FACTOR("contrast"), FACTOR("saturation"),
               {.name = "hue", .brief = "turns, from and to", .least = 2, .most = 2, .low = -0.5, .high = 0.5, .initial = "[0, 0]"}},
     .check = tl__ranges_check, .apply = tl__color_jitter_apply},
    {.name = "random_hsv",
     .brief = "Hue, saturation and value of OpenCV moved, each by an even chance, by up to so much either way.",
     COLOURS, .bytes_only = 1, .is_random = 1,
     .param = {HSV("hue", "of 180", 90, "5"), HSV("saturation", "of 255", 255, "30"),
               HSV("value", "of 255", 255, "30")},
     .apply = tl__random_hsv_apply},
    {.name = "random_grayscale", .brief = "All channels become the grey picture.", COLOURS, .is_random = 1,
     .param = {{.name = "p", .brief = "probability", .least = 1, .most = 1, .low = 0, .high = 1, .initial = "0.1"}}, .apply = tl__random_grayscale_apply},
    {.name = "rand_augment", .brief = "Some of 14 operations, drawn for each picture, all of one magnitude.", MOVES, .bytes_only = 1, .is_random = 1,
     .param = {{.name = "operations", .brief = "how many", .least = 1, .most = 1, .low = 0, .high = 100, .integer = 1, .initial = "2"}, MAGNITUDE, BINS, AFFINE_FILTER, FILL},
     .check = tl__bins_check, .apply = tl__rand_augment_apply},
    {.name = "augment_operation", .brief = "One of the operations of rand_augment.", MOVES, .bytes_only = 1,
     .param = {{.name = "name", .brief = "which", .choices = operations}, MAGNITUDE, BINS,
               {.name = "negative", .brief = "1: the other way", .least = 1, .most = 1, .low = 0, .high = 1, .integer = 1, .initial = "0"}, AFFINE_FILTER, FILL},
     .check = tl__bins_check, .apply = tl__operation_apply},
    {.name = "strip_corners", .brief = "The four corners become black: text is burnt in there.", COLOURS,
     .param = {{.name = "share", .brief = "of the height and of the width, each corner", .least = 1, .most = 1,
                .low = 0, .high = 0.5}},
     .apply = strip_corners_apply},
    {.name = "to_channels", .brief = "Grey to three equal channels, or colour to grey.", .stage = TL_STAGE_BYTES, .touches = TL_FIELD_IMAGE,
     .param = {{.name = "channels", .brief = "1 or 3", .least = 1, .most = 1, .low = 1, .high = 3, .integer = 1}}, .check = to_channels_check,
     .shape = to_channels_shape, .apply = to_channels_apply},
    {.name = "normalize", .brief = "To float32: (x - mean) / std, where white is 1.", .stage = TL_STAGE_TO_FLOAT, .touches = TL_FIELD_IMAGE,
     .param = {{.name = "mean", .brief = "one number, or one per channel", .least = 1, .most = TL_IMAGE_MOST_CHANNELS, .low = -1e6, .high = 1e6},
               {.name = "std", .brief = "one number, or one per channel", .least = 1, .most = TL_IMAGE_MOST_CHANNELS, .low = 1e-6, .high = 1e6}},
     .check = normalize_check, .apply = normalize_apply},
    {.name = "random_erasing", .brief = "A rectangle is painted over, after the normalisation.", .stage = TL_STAGE_FLOATS, .touches = TL_FIELD_IMAGE, .is_random = 1,
     .param = {CHANCE, {.name = "scale", .brief = "share of the area, from and to", .least = 2, .most = 2, .low = 0, .high = 1, .initial = "[0.02, 0.33]"},
               {.name = "ratio", .brief = "height by width, from and to", .least = 2, .most = 2, .low = 1e-2, .high = 1e2, .initial = "[0.3, 3.3]"},
               {.name = "value", .brief = "one number, or one per channel, in normalised units", .least = 1, .most = TL_IMAGE_MOST_CHANNELS, .low = -1e6, .high = 1e6, .initial = "0"},
               {.name = "noise", .brief = "1: normal numbers instead", .least = 1, .most = 1, .low = 0, .high = 1, .integer = 1, .initial = "0"}},
     .check = tl__ranges_check, .apply = tl__random_erasing_apply},
    {.name = NULL},
};
