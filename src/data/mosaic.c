/* mosaic.c - mosaics and mixup of pictures with boxes. What YOLOX draws one after the other has a number here, so that
 * what is drawn does not hang on who draws first. Boxes keep the share that every cut left of them; those of which too
 * little is seen are dropped where the sample is finished, by the same rule as all. */
#include "data/mosaic.h"

#include "data/letterbox.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of the draws of a sample. */
enum {
    DRAW_MOSAIC, DRAW_Y, DRAW_X, DRAW_SECOND, DRAW_ANGLE = DRAW_SECOND + 3, DRAW_SCALE, DRAW_SHEAR_X, DRAW_SHEAR_Y,
    DRAW_SHIFT_X, DRAW_SHIFT_Y, DRAW_MIXUP, DRAW_JITTER, DRAW_FLIP, DRAW_TOP, DRAW_LEFT, DRAW_OTHER
};
#define ATTEMPTS 256 /* to find a picture with boxes */
#define RADIANS 0.017453292519943295

void tl__mosaic_free(tl_mosaic *m)
{
    tl__image_free(&m->canvas);
    tl__image_free(&m->tile);
    tl__image_free(&m->picture);
    tl__image_free(&m->other);
    tl__marks_free(&m->marks);
    tl__marks_free(&m->part);
    tl__target_free(&m->target);
}

static int check_range(tl_error *err, const char *name, const double *range, double low, double high)
{
    if (range[0] >= low && range[0] <= range[1] && range[1] <= high) return 0;
    return tl__fail(err, TL_EARG, "mosaic: %s goes from %g to %g, and must go up within %g and %g", name, range[0],
                    range[1], low, high);
}

int tl__mosaic_check(tl_error *err, const tl_mosaic_options *o, const tl_pipeline *p, int *step)
{
    *step = tl__pipeline_find(p, "letterbox");
    if (*step < 0)
        return tl__fail(err, TL_EARG, "mosaics are put together of letterboxes, and pictures are made otherwise: "
                        "fit = \"letterbox\", and no crop");
    for (int i = *step + 1; i < p->count; i++)
        if (p->step[i].row->shape && strcmp(p->step[i].row->name, "to_channels") != 0)
            return tl__fail(err, TL_EARG, "%s stands behind the letterbox, where mosaics have their size already; "
                            "leave that step out", p->step[i].row->name);
    if (check_range(err, "rotate", o->degrees, -3600, 3600) != 0 || check_range(err, "scale", o->scale, 0.01, 100) != 0)
        return -1;
    if (check_range(err, "shear", o->shear, -89, 89) != 0 || check_range(err, "shear", o->shear + 2, -89, 89) != 0)
        return -1;
    return o->mixup > 0 ? check_range(err, "mixup_scale", o->mixup_scale, 0.01, 100) : 0;
}

/* ---- draws ---- */

static tl_rng_key key_of(const tl_mosaic_from *from, int64_t index)
{
    return tl__rng_key(from->seed, TL_RNG_MOSAIC, from->epoch << 40 ^ (uint64_t)index);
}

static double uniform(tl_rng_key key, uint64_t draw, double low, double high)
{
    uint32_t bits[4];
    tl__philox(key, draw, bits);
    return low + (high - low) * (double)tl__uniform(bits[0]);
}

int tl__mosaic_drawn(const tl_mosaic_from *from, int64_t index)
{
    const tl_mosaic_options *o = from->options;
    if (o->until > 0 && (int64_t)from->epoch >= o->until) return 0;
    return uniform(key_of(from, index), DRAW_MOSAIC, 0, 1) < o->chance;
}

static int64_t draw_index(const tl_mosaic_from *from, tl_rng_key key, uint64_t draw)
{
    return (int64_t)tl__rng_below(key, draw, (uint64_t)from->source->count);
}

/* Where a point of the canvas goes: YOLOX's get_affine_matrix. */
static tl_affine draw_map(const tl_mosaic_options *o, tl_rng_key key, int height, int width)
{
    double angle = uniform(key, DRAW_ANGLE, o->degrees[0], o->degrees[1]) * RADIANS;
    double scale = uniform(key, DRAW_SCALE, o->scale[0], o->scale[1]);
    double along_x = tan(uniform(key, DRAW_SHEAR_X, o->shear[0], o->shear[1]) * RADIANS);
    double along_y = tan(uniform(key, DRAW_SHEAR_Y, o->shear[2], o->shear[3]) * RADIANS);
    double c = scale * cos(angle), s = scale * sin(angle);
    double right = uniform(key, DRAW_SHIFT_X, -1, 1) * o->translate[0] * width;
    double down = uniform(key, DRAW_SHIFT_Y, -1, 1) * o->translate[1] * height;
    return (tl_affine){{c - along_x * s, s + along_x * c, right, along_y * c - s, along_y * s + c, down}};
}

/* ---- boxes ---- */

/* Adds the boxes of m->part, each changed by change(box, with), clipped to width x height. */
static int add_boxes(tl_error *err, tl_mosaic *m, void (*change)(double box[4], const double *with), const double *with,
                     int width, int height)
{
    const tl_marks *in = &m->part;
    tl_marks *out = &m->marks;
    int64_t n = out->boxes + in->boxes;
    if (tl__marks_reserve(err, out, n, 0) != 0 || tl__marks_reserve_seen(err, out, n) != 0) return -1;
    for (int64_t i = 0; i < in->boxes; i++) {
        double box[4], area, size[2] = {width, height};
        for (int k = 0; k < 4; k++) box[k] = (double)in->box[4 * i + k];
        change(box, with);
        area = (box[2] - box[0]) * (box[3] - box[1]);
        for (int k = 0; k < 4; k++) box[k] = fmin(fmax(box[k], 0), size[k % 2]);
        double left = area > 0 ? (box[2] - box[0]) * (box[3] - box[1]) / area : 0;
        for (int k = 0; k < 4; k++) out->box[4 * out->boxes + k] = (float)box[k];
        out->seen[out->boxes] = (float)((double)in->seen[i] * left);
        out->box_label[out->boxes++] = in->box_label[i];
    }
    return 0;
}

static void shift(double box[4], const double *by)
{
    for (int k = 0; k < 4; k++) box[k] += by[k % 2];
}

/* What encloses the corners behind the map. */
static void map(double box[4], const double *a)
{
    double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
    for (int k = 0; k < 4; k++) {
        double x = box[k & 1 ? 2 : 0], y = box[k & 2 ? 3 : 1];
        double p[2] = {a[0] * x + a[1] * y + a[2], a[3] * x + a[4] * y + a[5]};
        for (int i = 0; i < 2; i++) {
            low[i] = fmin(low[i], p[i]);
            high[i] = fmax(high[i], p[i]);
        }
    }
    memcpy(box, low, sizeof low);
    memcpy(box + 2, high, sizeof high);
}

/* ---- pictures ---- */

static int about(tl_error *err, const tl_mosaic_from *from, int64_t index)
{
    char *name = tl__source_name(NULL, from->source, index);
    tl__error_prefix(err, "%s: ", name ? name : "a picture");
    free(name);
    return -1;
}

/* What stands round a picture in its letterbox: the step's second parameter, `fill`. */
static uint8_t ground_of(const tl_mosaic_from *from)
{
    return (uint8_t)from->pipeline->step[from->step].value[1].at[0];
}

/* The letterbox of a picture without its ground into m->tile, its boxes there into m->part. */
static int read_tile(tl_error *err, const tl_mosaic_from *from, tl_scratch *scratch, int64_t index, int height,
                     int width, tl_mosaic *m)
{
    const tl_draw_key who = {from->seed, from->epoch, (uint64_t)index};
    double scale;
    if (tl__source_read(err, from->source, index, from->request, &m->other) != 0) return -1;
    if (tl__pipeline_run_before(err, from->pipeline, scratch, &who, &m->other, from->step) != 0)
        return about(err, from, index);
    if (m->other.depth != TL_DEPTH_8 || (m->other.channels != 1 && m->other.channels != 3)) {
        tl__fail(err, TL_EARG, "mosaics are of pictures of 8 bits with 1 or 3 channels, and this is none");
        return about(err, from, index);
    }
    if (tl__letterbox_fit(err, &from->pipeline->step[from->step], &scratch->resizer, &m->other, height, width, &m->tile,
                          &scale) != 0)
        return about(err, from, index);
    tl_geometry *g = &scratch->geometry;
    tl__geometry_move(g, &(tl_affine){{1 / scale, 0, 0, 0, 1 / scale, 0}}, width, height);
    g->least_side = 0;
    if (tl__source_target(err, from->source, index, TL_FIELD_BOXES, &m->target) != 0) return -1;
    if (tl__marks_reserve_seen(err, &m->part, m->target.marks.boxes) != 0) return -1;
    return tl__geometry_marks(err, g, &m->target.marks, &m->part) == 0 ? 0 : about(err, from, index);
}

/* Copies a rectangle of m->tile at (from_x, from_y) to the canvas. */
static void paste(tl_mosaic *m, int from_x, int from_y, int x, int y, int width, int height)
{
    size_t c = (size_t)m->tile.channels;
    for (int j = 0; j < height; j++)
        memcpy(m->canvas.data + ((size_t)(y + j) * (size_t)m->canvas.width + (size_t)x) * c,
               m->tile.data + ((size_t)(from_y + j) * (size_t)m->tile.width + (size_t)from_x) * c, (size_t)width * c);
}

/* Puts the tile into quarter k (from the upper left, row by row) of the canvas about (cx, cy), as much as fits. */
static int put_tile(tl_error *err, tl_mosaic *m, int k, int cx, int cy)
{
    int w = m->tile.width, h = m->tile.height, right = k & 1, below = k & 2;
    int left = right ? cx : cx - w, top = below ? cy : cy - h; /* of the whole tile */
    int x = left < 0 ? 0 : left, y = top < 0 ? 0 : top;
    int end_x = left + w < m->canvas.width ? left + w : m->canvas.width;
    int end_y = top + h < m->canvas.height ? top + h : m->canvas.height;
    paste(m, x - left, y - top, x, y, end_x - x, end_y - y);
    return add_boxes(err, m, shift, (double[2]){left, top}, m->canvas.width, m->canvas.height);
}

static int put_together(tl_error *err, const tl_mosaic_from *from, tl_scratch *scratch, tl_rng_key key, int64_t index,
                        int height, int width, tl_mosaic *m)
{
    uint8_t ground = ground_of(from);
    int cy = (int)uniform(key, DRAW_Y, 0.5 * height, 1.5 * height);
    int cx = (int)uniform(key, DRAW_X, 0.5 * width, 1.5 * width);
    m->marks.boxes = 0;
    for (int k = 0; k < 4; k++) {
        int64_t each = k ? draw_index(from, key, DRAW_SECOND + (uint64_t)k - 1) : index;
        if (read_tile(err, from, scratch, each, height, width, m) != 0) return -1;
        if (k == 0) {
            if (tl__image_reserve(err, &m->canvas, 2 * width, 2 * height, m->tile.channels) != 0) return -1;
            tl__image_fill(&m->canvas, ground);
        } else if (m->tile.channels != m->canvas.channels) {
            tl__fail(err, TL_ESHAPE, "%d channels, and others of its mosaic have %d: add to_channels { channels = 3 }",
                     m->tile.channels, m->canvas.channels);
            return about(err, from, each);
        }
        if (put_tile(err, m, k, cx, cy) != 0) return -1;
    }
    tl_affine to = draw_map(from->options, key, height, width);
    tl_marks swap = m->part; /* what was added up is what is mapped */
    m->part = m->marks;
    m->marks = swap;
    m->marks.boxes = 0;
    if (add_boxes(err, m, map, to.a, width, height) != 0) return -1;
    return tl__warp_linear(err, &m->canvas, &to, width, height, ground, &m->picture);
}

/* ---- mixup ---- */

static void mirror(tl_image *image)
{
    size_t c = (size_t)image->channels, w = (size_t)image->width;
    for (int y = 0; y < image->height; y++) {
        uint8_t *row = image->data + (size_t)y * w * c;
        for (size_t i = 0, j = w - 1; i < j; i++, j--)
            for (size_t k = 0; k < c; k++) {
                uint8_t swap = row[i * c + k];
                row[i * c + k] = row[j * c + k];
                row[j * c + k] = swap;
            }
    }
}

/* The number of a drawn picture that has boxes; -1: none was found, -2: an error. */
static int64_t draw_other(tl_error *err, const tl_mosaic_from *from, tl_rng_key key, tl_mosaic *m)
{
    for (uint64_t i = 0; i < ATTEMPTS; i++) {
        int64_t other = draw_index(from, key, DRAW_OTHER + i);
        if (tl__source_target(err, from->source, other, TL_FIELD_BOXES, &m->target) != 0) return -2;
        if (m->target.marks.boxes > 0) return other;
    }
    return -1;
}

/* Of the picture that is mixed in: how many times as large its letterbox is, its width then, 1 if it is mirrored, and
 * what is cut off at the left and at the top. */
enum { MIX_SCALE, MIX_WIDTH, MIX_HEIGHT, MIX_FLIP, MIX_LEFT, MIX_TOP, MIX_NUMBERS };

static void mix_box(double box[4], const double *with)
{
    const double most[2] = {with[MIX_WIDTH], with[MIX_HEIGHT]};
    for (int k = 0; k < 4; k++) box[k] = fmin(fmax(box[k] * with[MIX_SCALE], 0), most[k % 2]);
    if (with[MIX_FLIP] > 0) {
        double left = most[0] - box[2];
        box[2] = most[0] - box[0];
        box[0] = left;
    }
    shift(box, (double[2]){-with[MIX_LEFT], -with[MIX_TOP]});
}

/* m->other over m->picture by half, cut down as YOLOX does: black where there is nothing of it. */
static void blend(tl_mosaic *m, int left, int top)
{
    const tl_image *in = &m->other;
    size_t c = (size_t)m->picture.channels;
    for (int y = 0; y < m->picture.height; y++) {
        uint8_t *o = m->picture.data + (size_t)y * (size_t)m->picture.width * c;
        int inside = y + top < in->height ? in->width - left : 0;
        if (inside > m->picture.width) inside = m->picture.width;
        const uint8_t *p = in->data + ((size_t)(inside ? y + top : 0) * (size_t)in->width + (size_t)left) * c;
        size_t n = (size_t)inside * c, all = (size_t)m->picture.width * c;
        for (size_t i = 0; i < n; i++) o[i] = (uint8_t)((o[i] + p[i]) >> 1);
        for (size_t i = n; i < all; i++) o[i] >>= 1;
    }
}

static int mix(tl_error *err, const tl_mosaic_from *from, tl_scratch *scratch, tl_rng_key key, tl_mosaic *m)
{
    int width = m->picture.width, height = m->picture.height;
    int64_t other = draw_other(err, from, key, m);
    if (other < 0) return other == -1 ? 0 : -1;
    if (read_tile(err, from, scratch, other, height, width, m) != 0) return -1;
    if (m->tile.channels != m->picture.channels) {
        tl__fail(err, TL_ESHAPE, "%d channels, and the picture that it is mixed with has %d", m->tile.channels,
                 m->picture.channels);
        return about(err, from, other);
    }
    /* The canvas has done its work and takes the letterbox. */
    if (tl__image_reserve(err, &m->canvas, width, height, m->tile.channels) != 0) return -1;
    tl__image_fill(&m->canvas, ground_of(from));
    paste(m, 0, 0, 0, 0, m->tile.width, m->tile.height);
    double scale = uniform(key, DRAW_JITTER, from->options->mixup_scale[0], from->options->mixup_scale[1]);
    int wide = (int)(width * scale), high = (int)(height * scale), flip = uniform(key, DRAW_FLIP, 0, 1) > 0.5;
    if (wide < 1) wide = 1;
    if (high < 1) high = 1;
    if (tl__resize_linear(err, &m->canvas, wide, high, &m->other) != 0) return about(err, from, other);
    if (flip) mirror(&m->other);
    int top = high > height ? (int)tl__rng_below(key, DRAW_TOP, (uint64_t)(high - height)) : 0;
    int left = wide > width ? (int)tl__rng_below(key, DRAW_LEFT, (uint64_t)(wide - width)) : 0;
    blend(m, left, top);
    const double with[MIX_NUMBERS] = {scale, wide, high, flip, left, top};
    return add_boxes(err, m, mix_box, with, width, height);
}

int tl__mosaic_make(tl_error *err, const tl_mosaic_from *from, tl_scratch *scratch, int64_t index, int height,
                    int width, tl_mosaic *m)
{
    tl_rng_key key = key_of(from, index);
    if (put_together(err, from, scratch, key, index, height, width, m) != 0) return -1;
    if (m->marks.boxes == 0 || !(uniform(key, DRAW_MIXUP, 0, 1) < from->options->mixup)) return 0;
    return mix(err, from, scratch, key, m);
}
