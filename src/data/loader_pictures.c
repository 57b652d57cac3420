/* loader_pictures.c - pictures of one size as a batch, with masks, boxes and points, and mixed where that is wanted. */
#include "data/loader_inside.h"

#include <stdlib.h>
#include <string.h>

/* What else is known of the picture that was made last, into its place. */
static int make_target(const tl_loader *l, tl_worker *w, int64_t index, tl_slot *s, int at, tl_error *err)
{
    const tl_geometry *g = &w->scratch.geometry;
    if (!(l->source->fields & ~(unsigned)(TL_FIELD_IMAGE | TL_FIELD_LABEL))) return 0;
    if (tl__source_target(err, l->source, index, l->source->fields, &w->target) != 0) return -1;
    if (s->values) memcpy(s->values + (size_t)at * l->values, w->target.values, l->values * sizeof *s->values);
    if (s->mask && tl__target_fits(err, &w->target, g->part[0].width, g->part[0].height) != 0) return -1;
    if (s->mask && tl__geometry_mask(err, g, &w->target.mask, s->mask + (size_t)at * l->mask_pixels) != 0)
        return tl__loader_about(l, index, err);
    if (s->marks && tl__geometry_marks(err, g, &w->target.marks, &s->marks[at]) != 0)
        return tl__loader_about(l, index, err);
    return 0;
}

static int pictures_make(const tl_loader *l, tl_worker *w, int64_t epoch, int64_t index, tl_slot *s, int at,
                         tl_error *err)
{
    tl_draw_key who = {l->config.seed, (uint64_t)epoch, (uint64_t)index};
    if (tl__source_read(err, l->source, index, &l->request, &w->image) != 0) return -1;
    if (tl__pipeline_run(err, l->pipeline, &w->scratch, &who, &w->image, l->hwc,
                         s->x + (size_t)at * l->picture_floats) != 0)
        return tl__loader_about(l, index, err);
    return make_target(l, w, index, s, at, err);
}

static void pictures_move(const tl_loader *l, tl_slot *s, int from, int to)
{
    memcpy(s->x + (size_t)to * l->picture_floats, s->x + (size_t)from * l->picture_floats,
           l->picture_floats * sizeof(float));
    if (s->mask)
        memcpy(s->mask + (size_t)to * l->mask_pixels, s->mask + (size_t)from * l->mask_pixels,
               l->mask_pixels * sizeof *s->mask);
    if (s->marks) { /* memory is exchanged, so that each has its own */
        tl_marks swap = s->marks[to];
        s->marks[to] = s->marks[from];
        s->marks[from] = swap;
    }
}

/* Boxes and points of all pictures in a row. */
static int join_marks(tl_slot *s, tl_error *err)
{
    int64_t boxes = 0, points = 0;
    tl_marks *to = &s->joined;
    for (int i = 0; i < s->n; i++) {
        const tl_marks *m = &s->marks[i];
        if (tl__marks_reserve(err, to, boxes + m->boxes, points + m->points) != 0) return -1;
        if (m->boxes) memcpy(to->box + 4 * boxes, m->box, (size_t)m->boxes * 4 * sizeof *to->box);
        if (m->boxes) memcpy(to->box_label + boxes, m->box_label, (size_t)m->boxes * sizeof *to->box_label);
        if (m->points) memcpy(to->point + 2 * points, m->point, (size_t)m->points * 2 * sizeof *to->point);
        s->box_offsets[i] = boxes;
        s->point_offsets[i] = points;
        boxes += m->boxes;
        points += m->points;
    }
    s->box_offsets[s->n] = to->boxes = boxes;
    s->point_offsets[s->n] = to->points = points;
    return 0;
}

static int pictures_finish(const tl_loader *l, tl_slot *s, int64_t epoch)
{
    const tl_loader_config *c = &l->config;
    if (s->marks && join_marks(s, &s->error) != 0) return -1;
    if (c->unmixed_from && epoch >= c->unmixed_from) return 0;
    tl_rng_key key = tl__rng_key(c->seed, TL_RNG_MIX, (uint64_t)epoch << 40 ^ (uint64_t)s->batch);
    s->mix = tl__mix_draw(key, c->mixup, c->cutmix, l->hwc[0], l->hwc[1]);
    tl__mix_pictures(&s->mix, s->x, s->n, l->hwc);
    return 0;
}

static void pictures_lend(const tl_loader *l, const tl_slot *s, tl_batch *b)
{
    b->height = l->hwc[0];
    b->width = l->hwc[1];
    b->channels = l->hwc[2];
    if (l->source->fields & TL_FIELD_BOXES) {
        b->boxes = s->joined.box;
        b->box_labels = s->joined.box_label;
        b->box_offsets = s->box_offsets;
    }
    if (l->source->fields & TL_FIELD_POINTS) {
        b->points = s->joined.point;
        b->point_offsets = s->point_offsets;
    }
}

/* ---- opening ---- */

/* The size that the pipeline gives: from the source's, or from the first picture that can be read. */
static int find_shape(tl_error *err, tl_loader *l)
{
    int *hwc = l->hwc;
    hwc[0] = l->source->height;
    hwc[1] = l->source->width;
    hwc[2] = l->source->channels;
    tl__pipeline_shape(l->pipeline, hwc);
    if (hwc[0] && hwc[1] && hwc[2]) return 0;
    tl_worker *w = &l->worker[0];
    tl_error error = {0};
    int status = -1;
    for (int64_t i = 0; status != 0 && i < l->source->count && i < 100; i++) {
        error = (tl_error){0};
        status = tl__source_read(&error, l->source, i, &l->request, &w->image);
        if (status != 0 && l->config.on_bad != TL_BAD_SKIP) break;
    }
    tl_draw_key who = {l->config.seed, 0, 0};
    if (status == 0) status = tl__pipeline_run_bytes(&error, l->pipeline, &w->scratch, &who, &w->image);
    if (status != 0) return tl__fail(err, error.code, "%s", error.text);
    hwc[0] = w->image.height;
    hwc[1] = w->image.width;
    hwc[2] = w->image.channels;
    return 0;
}

static int pictures_room(tl_error *err, const tl_loader *l, tl_slot *s)
{
    size_t batch = (size_t)l->config.batch;
    s->x = tl__malloc(err, batch * l->picture_floats * sizeof *s->x);
    if (!s->x) return -1;
    if (l->mask_pixels && !(s->mask = tl__malloc(err, batch * l->mask_pixels * sizeof *s->mask))) return -1;
    if (!l->marked) return 0;
    s->marks = tl__calloc(err, batch, sizeof *s->marks);
    s->box_offsets = s->marks ? tl__malloc(err, (batch + 1) * sizeof *s->box_offsets) : NULL;
    s->point_offsets = s->box_offsets ? tl__malloc(err, (batch + 1) * sizeof *s->point_offsets) : NULL;
    return s->point_offsets ? 0 : -1;
}

/* Fields that the pipeline, or mixing, would spoil. */
static int check_fields(tl_error *err, const tl_source *source, const tl_pipeline *pipeline, const tl_loader_config *c)
{
    unsigned unmixed = source->fields & (TL_FIELD_VALUES | TL_FIELDS_PLACED);
    if ((c->mixup > 0 || c->cutmix > 0) && unmixed)
        return tl__fail(err, TL_EARG, "%s cannot mix %s; leave it out, or take a source with labels alone",
                        c->mixup > 0 ? "mixup" : "cutmix", tl__field_name(unmixed & (~unmixed + 1)));
    return tl__pipeline_keeps(err, pipeline, source->fields);
}

static int64_t pictures_bytes(const tl_loader *l, int64_t batch)
{
    (void)batch;
    return (int64_t)((size_t)l->config.batch * (l->picture_floats * sizeof(float) + l->mask_pixels * sizeof(int32_t)));
}

static int pictures_open(tl_error *err, tl_loader *l)
{
    const tl_loader_config *c = &l->config;
    if (c->seconds > 0)
        return tl__fail(err, TL_EARG,
                        "batches by seconds are of sound, and these are pictures; say how many (batch = 64)");
    if (check_fields(err, l->source, l->pipeline, c) != 0) return -1;
    tl__pipeline_request(l->pipeline, &l->request);
    /* Masks, boxes and points are of the picture at full size. */
    if (l->source->fields & TL_FIELDS_PLACED) l->request.smallest_side = 0;
    if (find_shape(err, l) != 0) return -1;
    l->picture_floats = (size_t)l->hwc[0] * (size_t)l->hwc[1] * (size_t)l->hwc[2];
    l->mask_pixels = l->source->fields & TL_FIELD_MASK ? (size_t)l->hwc[0] * (size_t)l->hwc[1] : 0;
    l->marked = (l->source->fields & (TL_FIELD_BOXES | TL_FIELD_POINTS)) != 0;
    l->batch_room = c->batch;
    return tl__batches_open(err, &l->plan, c, l->source->count, NULL, 0);
}

const tl_cargo tl__cargo_pictures = {.open = pictures_open,
                                     .room = pictures_room,
                                     .bytes = pictures_bytes,
                                     .make = pictures_make,
                                     .move = pictures_move,
                                     .finish = pictures_finish,
                                     .lend = pictures_lend};
