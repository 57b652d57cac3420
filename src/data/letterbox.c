/* letterbox.c - pictures with their shape kept on a grey ground, to the numbers of YOLOX's preproc: the scale is the
 * smaller of both, the size is cut to whole pixels, and boxes go by the scale itself. */
#include "data/letterbox.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double tl__letterbox_scale(int in_width, int in_height, int width, int height, int *wide, int *high)
{
    double scale = fmin((double)height / in_height, (double)width / in_width);
    *wide = (int)(in_width * scale);
    *high = (int)(in_height * scale);
    if (*wide < 1) *wide = 1; /* a picture of 10,000 x 10 */
    if (*high < 1) *high = 1;
    return scale;
}

/* ---- OpenCV's linear filter ---- */

enum { BITS = 11, ONE = 1 << BITS };

/* Of each pixel of a side: the first of the two that it comes from, and their weights. */
typedef struct tap { int at; int16_t weight[2]; } tap;

/* Columns beyond the edge are held there; of rows both are, and their weights stay what they were. */
static void set_taps(tap *taps, int in, int out, int columns)
{
    double scale = (double)in / out;
    for (int i = 0; i < out; i++) {
        float f = (float)((i + 0.5) * scale - 0.5);
        int at = (int)floorf(f);
        f -= (float)at;
        if (columns && at < 0) at = 0, f = 0;
        if (columns && at >= in - 1) at = in - 1, f = 0;
        taps[i] = (tap){at, {(int16_t)lrintf((1.0f - f) * ONE), (int16_t)lrintf(f * ONE)}};
    }
}

/* Row y of the picture at the new width, times ONE. */
static void wide_row(const tl_image *in, int y, const tap *taps, int width, int *row)
{
    int c = in->channels, last = (in->width - 1) * c;
    const uint8_t *p = in->data + (size_t)y * (size_t)in->width * (size_t)c;
    for (int x = 0; x < width; x++) {
        int first = taps[x].at * c, second = first < last ? first + c : first;
        for (int k = 0; k < c; k++)
            *row++ = p[first + k] * taps[x].weight[0] + p[second + k] * taps[x].weight[1];
    }
}

static int row_within(int y, int height) { return y < 0 ? 0 : y >= height ? height - 1 : y; }

/* Half as large on both sides: OpenCV takes the mean of four. */
static void halve(const tl_image *in, tl_image *out)
{
    size_t c = (size_t)in->channels, row = (size_t)in->width * c;
    uint8_t *o = out->data;
    for (int y = 0; y < out->height; y++) {
        const uint8_t *p = in->data + (size_t)(2 * y) * row;
        for (int x = 0; x < out->width; x++, p += 2 * c)
            for (size_t k = 0; k < c; k++) *o++ = (uint8_t)((p[k] + p[k + c] + p[k + row] + p[k + row + c] + 2) >> 2);
    }
}

static void write_rows(const tl_image *in, const tap *across, const tap *down, int *const room[2], tl_image *out)
{
    int width = out->width, height = out->height;
    int kept[2] = {-1, -1}, n = width * in->channels;
    for (int y = 0; y < height; y++) {
        int from[2] = {row_within(down[y].at, in->height), row_within(down[y].at + 1, in->height)};
        for (int k = 0; k < 2; k++) {
            int slot = from[k] & 1;
            if (kept[slot] != from[k]) wide_row(in, from[k], across, width, room[slot]);
            kept[slot] = from[k];
        }
        const int *a = room[from[0] & 1], *b = room[from[1] & 1];
        int wa = down[y].weight[0], wb = down[y].weight[1];
        uint8_t *o = out->data + (size_t)y * (size_t)n;
        for (int i = 0; i < n; i++)
            o[i] = (uint8_t)(((wa * (a[i] >> 4) >> 16) + (wb * (b[i] >> 4) >> 16) + 2) >> 2);
    }
}

int tl__resize_linear(tl_error *err, const tl_image *in, int width, int height, tl_image *out)
{
    size_t n = (size_t)width * (size_t)in->channels;
    tap *across = tl__malloc(err, (size_t)width * sizeof *across);
    tap *down = across ? tl__malloc(err, (size_t)height * sizeof *down) : NULL;
    int *rows = down ? tl__malloc(err, 2 * n * sizeof *rows) : NULL;
    int status = rows ? tl__image_reserve(err, out, width, height, in->channels) : -1;
    if (status == 0 && in->width == 2 * width && in->height == 2 * height) halve(in, out);
    else if (status == 0) {
        set_taps(across, in->width, width, 1);
        set_taps(down, in->height, height, 0);
        write_rows(in, across, down, (int *const[2]){rows, rows + n}, out);
    }
    free(across);
    free(down);
    free(rows);
    return status;
}

/* ---- the step ---- */

/* The spare picture, of another size, in the upper left corner of a grey one: the sample's picture. */
static int place(tl_error *err, tl_record *s, int width, int height, uint8_t fill)
{
    const tl_image *in = &s->scratch->spare;
    tl_image *out = s->image;
    size_t bytes = (size_t)in->width * tl__image_pixel(in);
    if (tl__image_reserve_deep(err, out, width, height, in->channels, in->depth) != 0) return -1;
    tl__image_fill(out, fill);
    for (int y = 0; y < in->height; y++)
        memcpy(out->data + (size_t)y * (size_t)width * tl__image_pixel(in), in->data + (size_t)y * bytes, bytes);
    return 0;
}

int tl__letterbox_fit(tl_error *err, const tl_transform *t, tl_resizer *resizer, const tl_image *in, int height,
                      int width, tl_image *out, double *scale)
{
    int wide, high, status, filter = (int)t->value[2].at[0]; /* after linear those of tl_filter but for the first */
    *scale = tl__letterbox_scale(in->width, in->height, width, height, &wide, &high);
    if (filter == 0 && in->depth != TL_DEPTH_8) filter = TL_FILTER_BILINEAR;
    if (filter == 0) status = tl__resize_linear(err, in, wide, high, out);
    else {
        tl_view all = tl__image_view(in);
        status = tl__resize(err, resizer, &all, NULL, (tl_filter)filter, wide, high, out);
    }
    if (status != 0) tl__error_prefix(err, "letterbox: ");
    return status;
}

void tl__letterbox_from(const tl_transform *t, int *width, int *height, tl_affine *from)
{
    int wide, high, w = (int)t->value[0].at[t->value[0].count - 1], h = (int)t->value[0].at[0];
    double scale = tl__letterbox_scale(*width, *height, w, h, &wide, &high);
    *from = (tl_affine){{1 / scale, 0, 0, 0, 1 / scale, 0}};
    *width = w;
    *height = h;
}

int tl__letterbox_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    tl_scratch *r = s->scratch;
    int height = r->letterbox ? r->letterbox : (int)t->value[0].at[0];
    int width = r->letterbox ? r->letterbox : (int)t->value[0].at[t->value[0].count - 1];
    double scale;
    if (tl__letterbox_fit(err, t, &r->resizer, s->image, height, width, &r->spare, &scale) != 0) return -1;
    if (place(err, s, width, height, (uint8_t)t->value[1].at[0]) != 0) return -1;
    tl__sample_moved(s, &(tl_affine){{1 / scale, 0, 0, 0, 1 / scale, 0}});
    return 0;
}
