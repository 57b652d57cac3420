/* surface.c - distances between the surfaces of two masks. The exact squared Euclidean distance to the nearest element
 * of a surface is made one dimension at a time, each in linear time (Felzenszwalb and Huttenlocher 2012: the lower
 * envelope of parabolas), inside the box around both masks alone. */
#include "task/surface.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LINES = 16 };  /* neighbouring lines that are brought into the cache together */

/* The box around both masks, and what is made of it. */
typedef struct field {
    tl_shape shape;
    double spacing[TL_MAX_RANK];
    int64_t first[TL_MAX_RANK];
    int64_t count, longest;
    uint8_t *surface[2];
    float *square;          /* squared distances to one of the surfaces */
    float *distance;        /* of the other one's elements */
    float *lines, *values;  /* LINES lines, and the parabolas of one */
    int64_t *places;
    double *bounds;
} field;

/* ---- masks ---- */

static int in_mask(const int32_t *map, const uint8_t *known, int64_t i, int32_t label)
{
    return map[i] == label && (!known || known[i]);
}

/* Goes through the elements in order: sets `at` to the place after it. */
static void step(const tl_shape *s, int64_t *at)
{
    for (int d = s->rank - 1; d >= 0; d--) {
        if (++at[d] < s->dim[d]) return;
        at[d] = 0;
    }
}

/* Counts the elements, and finds the box around those of both masks; an empty one has no size. */
static void find_box(const int32_t *const map[2], const uint8_t *known, int32_t label, const tl_shape *shape, field *f,
                     tl_surface *out)
{
    int64_t last[TL_MAX_RANK], at[TL_MAX_RANK] = {0}, n = tl__numel(shape);
    f->shape.rank = shape->rank;
    for (int d = 0; d < shape->rank; d++) f->first[d] = shape->dim[d], last[d] = -1;
    for (int64_t i = 0; i < n; i++, step(shape, at)) {
        int a = in_mask(map[0], known, i, label), b = in_mask(map[1], known, i, label);
        out->elements[0] += a;
        out->elements[1] += b;
        for (int d = 0; d < shape->rank && (a || b); d++) {
            if (at[d] < f->first[d]) f->first[d] = at[d];
            if (at[d] > last[d]) last[d] = at[d];
        }
    }
    f->count = f->longest = 1;
    for (int d = 0; d < shape->rank; d++) {
        f->shape.dim[d] = last[d] < f->first[d] ? 0 : last[d] - f->first[d] + 1;
        f->count *= f->shape.dim[d];
        if (f->shape.dim[d] > f->longest) f->longest = f->shape.dim[d];
    }
}

static void cut_out(const int32_t *map, const uint8_t *known, int32_t label, const tl_shape *shape, const field *f,
                    uint8_t *mask)
{
    int64_t stride[TL_MAX_RANK], at[TL_MAX_RANK] = {0};
    tl__packed_strides(shape, stride);
    for (int64_t i = 0; i < f->count; i++, step(&f->shape, at)) {
        int64_t from = 0;
        for (int d = 0; d < shape->rank; d++) from += (f->first[d] + at[d]) * stride[d];
        mask[i] = (uint8_t)in_mask(map, known, from, label);
    }
}

/* 1 on the surface of `mask`, else 0. What lies outside of the box is in no mask. */
static void find_surface(const field *f, const uint8_t *mask, uint8_t *surface)
{
    int64_t stride[TL_MAX_RANK];
    tl__packed_strides(&f->shape, stride);
    memset(surface, 0, (size_t)f->count);
    for (int d = 0; d < f->shape.rank; d++) {
        int64_t n = f->shape.dim[d], s = stride[d];
        for (int64_t at = 0; at < f->count; at += n * s)
            for (int64_t k = 0; k < n; k++)
                for (int64_t i = at + k * s; i < at + (k + 1) * s; i++)
                    surface[i] |= (uint8_t)(!(k > 0 && mask[i - s]) | !(k < n - 1 && mask[i + s]));
    }
    for (int64_t i = 0; i < f->count; i++) surface[i] &= mask[i];
}

/* ---- distances ---- */

/* Squared distances along the last dimension, whose elements lie side by side. */
static void first_pass(const field *f, const uint8_t *surface)
{
    int d = f->shape.rank - 1;
    int64_t n = f->shape.dim[d];
    double spacing = f->spacing[d];
    for (int64_t at = 0; at < f->count; at += n) {
        double away = INFINITY;
        for (int64_t i = 0; i < n; i++) {
            away = surface[at + i] ? 0 : away + spacing;
            f->square[at + i] = (float)(away * away);
        }
        away = INFINITY;
        for (int64_t i = n - 1; i >= 0; i--) {
            away = surface[at + i] ? 0 : away + spacing;
            if (away * away < (double)f->square[at + i]) f->square[at + i] = (float)(away * away);
        }
    }
}

/* line[i] = min over j of line[j] + square (i - j)^2. */
static void envelope(const field *f, float *line, int64_t n, double square)
{
    int64_t last = -1, *place = f->places;
    double *from = f->bounds;  /* the parabola of place[k] is the lowest between from[k] and from[k + 1] */
    for (int64_t j = 0; j < n; j++) {
        if (!(line[j] < INFINITY)) continue;
        double crossing = -INFINITY;
        while (last >= 0) {
            int64_t p = place[last];
            double rise = ((double)line[j] - (double)f->values[last]) / square;
            crossing = 0.5 * ((double)(j + p) + rise / (double)(j - p));
            if (crossing > from[last]) break;
            crossing = -INFINITY;
            last--;
        }
        last++;
        place[last] = j;
        f->values[last] = line[j];
        from[last] = crossing;
    }
    if (last < 0) return;
    for (int64_t i = 0, k = 0; i < n; i++) {
        while (k < last && from[k + 1] < (double)i) k++;
        double away = (double)(i - place[k]);
        line[i] = (float)((double)f->values[k] + square * away * away);
    }
}

/* Takes in dimension d, some neighbouring lines at a time. */
static void next_pass(const field *f, int d)
{
    int64_t stride[TL_MAX_RANK];
    tl__packed_strides(&f->shape, stride);
    int64_t n = f->shape.dim[d], s = stride[d];
    for (int64_t at = 0; at < f->count; at += n * s)
        for (int64_t i = at; i < at + s; i += LINES) {
            int64_t many = at + s - i < LINES ? at + s - i : LINES;
            for (int64_t k = 0; k < n; k++)
                for (int64_t j = 0; j < many; j++) f->lines[j * n + k] = f->square[i + k * s + j];
            for (int64_t j = 0; j < many; j++)
                envelope(f, f->lines + j * n, n, f->spacing[d] * f->spacing[d]);
            for (int64_t k = 0; k < n; k++)
                for (int64_t j = 0; j < many; j++) f->square[i + k * s + j] = f->lines[j * n + k];
        }
}

/* Element `rank` in order of size, from 0: by the upper and then the lower halves of their bits, which are in the order
 * of the numbers, since none is negative. */
static double in_order(const float *v, int64_t n, int64_t rank, int64_t *count)
{
    uint32_t bits, above = 0;
    for (int half = 0; half < 2; half++) {
        memset(count, 0, sizeof *count << 16);
        for (int64_t i = 0; i < n; i++) {
            memcpy(&bits, &v[i], sizeof bits);
            if (half == 0) count[bits >> 16]++;
            else if (bits >> 16 == above) count[bits & 0xffff]++;
        }
        uint32_t bin = 0;
        while (rank >= count[bin]) rank -= count[bin++];
        above = half == 0 ? bin : above << 16 | bin;
    }
    float found;
    memcpy(&found, &above, sizeof found);
    return (double)found;
}

/* Distances from the elements of surface `from` to the other one. */
static void measure(const field *f, int from, int64_t *count, tl_surface *out, double *sum)
{
    int64_t n = 0;
    double total = 0, longest = 0;
    first_pass(f, f->surface[!from]);
    for (int d = f->shape.rank - 2; d >= 0; d--) next_pass(f, d);
    for (int64_t i = 0; i < f->count; i++) {
        if (!f->surface[from][i]) continue;
        float distance = sqrtf(f->square[i]);
        f->distance[n++] = distance;
        total += (double)distance;
        if ((double)distance > longest) longest = (double)distance;
    }
    double place = 0.95 * (double)(n - 1);
    int64_t below = (int64_t)place;
    double low = in_order(f->distance, n, below, count);
    double high = below + 1 < n ? in_order(f->distance, n, below + 1, count) : low;
    double at_95 = low + (place - (double)below) * (high - low);
    out->directed[from] = total / (double)n;
    if (longest > out->hausdorff) out->hausdorff = longest;
    if (at_95 > out->hausdorff_95) out->hausdorff_95 = at_95;
    *sum += total;
}

/* ---- all of it ---- */

static int64_t *reserve(tl_error *err, field *f)
{
    size_t n = (size_t)f->count, longest = (size_t)f->longest;
    f->surface[0] = tl__malloc(err, n);
    f->surface[1] = tl__malloc(err, n);
    f->square = tl__calloc(err, n, sizeof *f->square);
    f->lines = tl__calloc(err, longest * LINES, sizeof *f->lines);
    f->values = tl__calloc(err, longest, sizeof *f->values);
    f->places = tl__calloc(err, longest, sizeof *f->places);
    f->bounds = tl__calloc(err, longest, sizeof *f->bounds);
    return tl__calloc(err, 1 << 16, sizeof(int64_t));
}

static int ready(const field *f)
{
    return f->surface[0] && f->surface[1] && f->square && f->lines && f->values && f->places && f->bounds;
}

static void release(field *f)
{
    free(f->surface[0]);
    free(f->surface[1]);
    free(f->square);
    free(f->distance);
    free(f->lines);
    free(f->values);
    free(f->places);
    free(f->bounds);
}

/* Both surfaces, and room for the distances of the larger one. */
static int find_surfaces(tl_error *err, field *f, const int32_t *const map[2], const uint8_t *known, int32_t label,
                         const tl_shape *shape, tl_surface *out)
{
    uint8_t *mask = tl__malloc(err, (size_t)f->count);
    if (!mask) return -1;
    for (int side = 0; side < 2; side++) {
        cut_out(map[side], known, label, shape, f, mask);
        find_surface(f, mask, f->surface[side]);
        for (int64_t i = 0; i < f->count; i++) out->surface[side] += f->surface[side][i];
    }
    free(mask);
    int64_t most = out->surface[0] > out->surface[1] ? out->surface[0] : out->surface[1];
    f->distance = tl__calloc(err, (size_t)most, sizeof *f->distance);
    return f->distance ? 0 : -1;
}

int tl__surface(tl_error *err, const int32_t *first, const int32_t *second, const uint8_t *known, int32_t label,
                const tl_shape *shape, const double *spacing, tl_surface *out)
{
    const int32_t *map[2] = {first, second};
    field f = {0};
    double sum = 0;
    *out = (tl_surface){0};
    for (int d = 0; d < shape->rank; d++) f.spacing[d] = spacing[d];
    find_box(map, known, label, shape, &f, out);
    if (!out->elements[0] || !out->elements[1]) {
        double none = out->elements[0] || out->elements[1] ? (double)INFINITY : (double)NAN;
        out->mean = out->hausdorff = out->hausdorff_95 = out->directed[0] = out->directed[1] = none;
        return 0;
    }
    int64_t *count = reserve(err, &f);
    int bad = !count || !ready(&f) || find_surfaces(err, &f, map, known, label, shape, out) != 0;
    for (int side = 0; side < 2 && !bad; side++) measure(&f, side, count, out, &sum);
    if (!bad) out->mean = sum / (double)(out->surface[0] + out->surface[1]);
    free(count);
    release(&f);
    return bad ? -1 : 0;
}
