/* resize.h - Pillow's antialiased resize, bit for bit: the published weights were trained and measured
 * behind it, and a resize that skips the filter costs a pretrained network several points. */
#ifndef TLUA_RESIZE_H
#define TLUA_RESIZE_H

#include "io/image.h"

typedef enum tl_filter { TL_FILTER_NEAREST = 0, TL_FILTER_BOX, TL_FILTER_BILINEAR, TL_FILTER_BICUBIC, TL_FILTER_LANCZOS } tl_filter;
#define TL_FILTER_COUNT 5
/* "nearest", "box", "bilinear", "bicubic", "lanczos", then NULL. */
extern const char *const tl__filter_names[TL_FILTER_COUNT + 1];

/* A rectangle of a picture, seen in place. Filters do not look outside it. */
typedef struct tl_view {
    int width, height, channels;
    size_t stride; /* bytes from a row to the next */
    const uint8_t *data;
    tl_depth depth;
} tl_view;

tl_view tl__image_view(const tl_image *image);
/* The part of `image` at (x, y) with the given size, which must lie inside it. */
tl_view tl__image_crop(const tl_image *image, int x, int y, int width, int height);

/* The weights of one axis: output i sums count[i] inputs from first[i] on, weight[i * stride + k], fixed
 * point with 22 fractional bits for 8-bit pictures, exact[i * stride + k] for deeper ones. */
typedef struct tl_resize_table {
    int in, out, filter, deep;
    float from, to;
    int taps, stride;
    int *first, *count;
    int32_t *weight;
    double *exact;
    uint64_t used;
} tl_resize_table;

/* Tables of the latest sizes and the picture between the two passes. Zero it; one per thread. */
#define TL_RESIZE_TABLES 8
typedef struct tl_resizer {
    tl_resize_table table[TL_RESIZE_TABLES];
    uint64_t clock;
    tl_image between;
} tl_resizer;

void tl__resizer_free(tl_resizer *r);
/* Writes `in` at width x height into `out` (another picture). `box` is Pillow's: left, top, right, bottom
 * in the coordinates of `in`, NULL for all of it; unlike a view, it lets filters see what lies around. */
int tl__resize(tl_error *err, tl_resizer *r, const tl_view *in, const float box[4], tl_filter filter, int width, int height, tl_image *out);

/* For tests: not 0 takes the plain loops where there are vector instructions too. */
extern _Atomic int tl__resize_plain;

#endif
