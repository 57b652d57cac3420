/* geometry.c - the way of a sample's pixels as a short list of affine maps, mostly one. */
#include "data/geometry.h"

#include <math.h>
#include <string.h>

/* A point after `first`, then `second`. */
static tl_affine joined(const tl_affine *first, const tl_affine *second)
{
    const double *a = first->a, *b = second->a;
    return (tl_affine){{b[0] * a[0] + b[1] * a[3], b[0] * a[1] + b[1] * a[4], b[0] * a[2] + b[1] * a[5] + b[2],
                        b[3] * a[0] + b[4] * a[3], b[3] * a[1] + b[4] * a[4], b[3] * a[2] + b[4] * a[5] + b[5]}};
}

static void map(const tl_affine *m, double x, double y, double out[2])
{
    out[0] = m->a[0] * x + m->a[1] * y + m->a[2];
    out[1] = m->a[3] * x + m->a[4] * y + m->a[5];
}

static int inverse(const tl_affine *m, tl_affine *out)
{
    const double *a = m->a, d = a[0] * a[4] - a[1] * a[3];
    if (!(fabs(d) > 0)) return -1;
    *out = (tl_affine){{a[4] / d, -a[1] / d, (a[1] * a[5] - a[4] * a[2]) / d, -a[3] / d, a[0] / d, (a[3] * a[2] - a[0] * a[5]) / d}};
    return 0;
}

void tl__geometry_start(tl_geometry *g, int width, int height)
{
    g->count = 0;
    g->least_visible = 0;
    g->least_side = 1;
    g->width = width;
    g->height = height;
    g->part[0].width = width;
    g->part[0].height = height;
}

/* Does a picture of width x height show through `m` anything outside of the one that it was? By less than a thousandth of
 * a pixel is rounding. */
static int looks_out(const tl_geometry *g, const tl_affine *m, int width, int height)
{
    const double slack = 1e-3;
    for (int k = 0; k < 4; k++) {
        double p[2];
        map(m, k & 1 ? width : 0, k & 2 ? height : 0, p);
        if (!(p[0] >= -slack && p[0] <= g->width + slack && p[1] >= -slack && p[1] <= g->height + slack)) return 1;
    }
    return 0;
}

void tl__geometry_move(tl_geometry *g, const tl_affine *from, int width, int height)
{
    int apart = g->count == 0 || looks_out(g, from, width, height);
    if (apart && g->count < TL_GEOMETRY_PARTS) {
        g->part[g->count].from = *from;
        g->part[g->count].width = g->width;
        g->part[g->count].height = g->height;
    } else if (!apart && g->count <= TL_GEOMETRY_PARTS) {
        g->part[g->count - 1].from = joined(from, &g->part[g->count - 1].from);
    }
    g->count += apart;
    g->width = width;
    g->height = height;
}

static int check_parts(tl_error *err, const tl_geometry *g)
{
    if (g->count <= TL_GEOMETRY_PARTS) return 0;
    return tl__fail(err, TL_EARG, "masks, boxes and points can follow %d turns and shifts of a picture, and these are %d", TL_GEOMETRY_PARTS, g->count);
}

/* Where the middle of pixel (x, y) comes from: an offset into the mask, or -1. */
static int64_t origin(const tl_geometry *g, int x, int y, int stride)
{
    double p[2] = {x + 0.5, y + 0.5};
    for (int k = g->count - 1; k >= 0; k--) {
        map(&g->part[k].from, p[0], p[1], p);
        if (!(p[0] >= 0 && p[0] < g->part[k].width && p[1] >= 0 && p[1] < g->part[k].height)) return -1;
    }
    return (int64_t)p[1] * stride + (int64_t)p[0];
}

/* The same where one map without a turn is all: columns and rows apart. */
static void upright(const tl_geometry *g, const tl_image *mask, int32_t *out)
{
    const double *a = g->part[0].from.a;
    for (int y = 0; y < g->height; y++) {
        double from_y = a[4] * (y + 0.5) + a[5];
        int inside = from_y >= 0 && from_y < mask->height;
        const uint8_t *row = mask->data + (inside ? (size_t)from_y * (size_t)mask->width : 0);
        for (int x = 0; x < g->width; x++) {
            double from_x = a[0] * (x + 0.5) + a[2];
            *out++ = inside && from_x >= 0 && from_x < mask->width ? row[(size_t)from_x] : TL_MASK_IGNORED;
        }
    }
}

int tl__geometry_mask(tl_error *err, const tl_geometry *g, const tl_image *mask, int32_t *out)
{
    if (check_parts(err, g) != 0) return -1;
    if (g->count == 0) {
        size_t n = (size_t)mask->width * (size_t)mask->height;
        for (size_t i = 0; i < n; i++) out[i] = mask->data[i];
        return 0;
    }
    if (g->count == 1 && g->part[0].from.a[1] == 0 && g->part[0].from.a[3] == 0) {
        upright(g, mask, out);
        return 0;
    }
    for (int y = 0; y < g->height; y++)
        for (int x = 0; x < g->width; x++) {
            int64_t at = origin(g, x, y, mask->width);
            *out++ = at < 0 ? TL_MASK_IGNORED : mask->data[at];
        }
    return 0;
}

static double clamped(double v, double most) { return v < 0 ? 0 : v > most ? most : v; }

/* What encloses the corners of `box` after `m`. */
static void map_box(const tl_affine *m, double box[4])
{
    double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
    for (int k = 0; k < 4; k++) {
        double p[2];
        map(m, box[k & 1 ? 2 : 0], box[k & 2 ? 3 : 1], p);
        for (int i = 0; i < 2; i++) {
            if (p[i] < low[i]) low[i] = p[i];
            if (p[i] > high[i]) high[i] = p[i];
        }
    }
    memcpy(box, low, sizeof low);
    memcpy(box + 2, high, sizeof high);
}

static double area_of(const double box[4]) { return (box[2] - box[0]) * (box[3] - box[1]); }

/* Gives the share of its area that the box keeps. */
static double clip_box(double box[4], int width, int height)
{
    double before = area_of(box);
    for (int i = 0; i < 4; i++) box[i] = clamped(box[i], i % 2 ? height : width);
    return before > 0 ? area_of(box) / before : 0;
}

/* The way of one box; the share of its area that is still seen. A turned one has that of what encloses it. */
static double move_box(const tl_geometry *g, const tl_affine *to, double box[4])
{
    double seen = 1;
    for (int k = 0; k < g->count; k++) {
        double share = clip_box(box, g->part[k].width, g->part[k].height);
        if (k > 0) seen *= share; /* what lay outside of the file's picture was never seen */
        map_box(&to[k], box);
    }
    double share = clip_box(box, g->width, g->height);
    return g->count > 0 ? seen * share : 1;
}

int tl__geometry_marks(tl_error *err, const tl_geometry *g, const tl_marks *in, tl_marks *out)
{
    tl_affine to[TL_GEOMETRY_PARTS];
    if (check_parts(err, g) != 0 || tl__marks_reserve(err, out, in->boxes, in->points) != 0) return -1;
    if (out->seen && tl__marks_reserve_seen(err, out, in->boxes) != 0) return -1;
    for (int k = 0; k < g->count; k++)
        if (inverse(&g->part[k].from, &to[k]) != 0) return tl__fail(err, TL_EARG, "boxes and points cannot follow a picture that shrinks to nothing");
    out->boxes = 0;
    for (int64_t i = 0; i < in->boxes; i++) {
        double box[4];
        for (int k = 0; k < 4; k++) box[k] = (double)in->box[4 * i + k];
        double seen = move_box(g, to, box) * (in->seen ? (double)in->seen[i] : 1);
        if (seen < g->least_visible - 1e-9) continue;
        if (!(box[2] - box[0] >= g->least_side && box[3] - box[1] >= g->least_side)) continue;
        if (out->seen) out->seen[out->boxes] = (float)seen;
        for (int k = 0; k < 4; k++) out->box[4 * out->boxes + k] = (float)box[k];
        out->box_label[out->boxes++] = in->box_label[i];
    }
    out->points = in->points;
    for (int64_t i = 0; i < in->points; i++) {
        double p[2] = {(double)in->point[2 * i], (double)in->point[2 * i + 1]};
        for (int k = 0; k < g->count; k++) map(&to[k], p[0], p[1], p);
        out->point[2 * i] = (float)p[0];
        out->point[2 * i + 1] = (float)p[1];
    }
    return 0;
}

int tl__geometry_back(tl_error *err, const tl_geometry *g, double box[4])
{
    if (check_parts(err, g) != 0) return -1;
    for (int k = g->count - 1; k >= 0; k--)
        for (int i = 0; i < 4; i++) { /* each side for itself, so that one which is no number leaves the others alone */
            const double *a = g->part[k].from.a + (i % 2 ? 3 : 0);
            box[i] = a[i % 2] * box[i] + a[2];
        }
    for (int i = 0; i < 4; i++) /* a network may say what is no number */
        box[i] = fmax(0, fmin(box[i], i % 2 ? g->part[0].height : g->part[0].width));
    return 0;
}
