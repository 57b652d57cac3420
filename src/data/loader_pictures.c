/* loader_pictures.c - pictures of one size as a batch, with masks, boxes and points, and mixed where that is wanted.
 * Those with boxes may be mosaics, and have another size in each batch. */
#include "data/loader_inside.h"

#include <stdlib.h>
#include <string.h>

/* Height, width and channels of a batch of the epoch under way. */
static void size_of_batch(const tl_loader *l, int64_t batch, int hwc[3])
{
    const int *sizes = l->config.sizes;
    memcpy(hwc, l->hwc, sizeof l->hwc);
    if (sizes[0] <= 0) return;
    tl_rng_key key = tl__rng_key(l->config.seed, TL_RNG_SIZES, (uint64_t)l->epoch << 40 ^ (uint64_t)batch);
    uint64_t steps = (uint64_t)((sizes[1] - sizes[0]) / TL_SIZES_STEP + 1);
    hwc[0] = hwc[1] = sizes[0] + TL_SIZES_STEP * (int)tl__rng_below(key, 0, steps);
}

static size_t floats_of(const int hwc[3]) { return (size_t)hwc[0] * (size_t)hwc[1] * (size_t)hwc[2]; }

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

/* A mosaic goes through the steps behind the letterbox, and its boxes with it. */
static int make_mosaic(const tl_loader *l, tl_worker *w, const tl_mosaic_from *from, const tl_draw_key *who,
                       const int hwc[3], float *out, tl_marks *marks, tl_error *err)
{
    int64_t index = (int64_t)who->index;
    tl_mosaic *m = &w->mosaic;
    if (tl__mosaic_make(err, from, &w->scratch, index, hwc[0], hwc[1], m) != 0) return -1;
    if (tl__pipeline_run_from(err, l->pipeline, &w->scratch, who, &m->picture, l->letterbox + 1, hwc, out) != 0 ||
        tl__geometry_marks(err, &w->scratch.geometry, &m->marks, marks) != 0)
        return tl__loader_about(l, index, err);
    return 0;
}

static int pictures_make(const tl_loader *l, tl_worker *w, int64_t epoch, int64_t index, tl_slot *s, int at,
                         tl_error *err)
{
    tl_draw_key who = {l->config.seed, (uint64_t)epoch, (uint64_t)index};
    tl_mosaic_from from = {&l->config.mosaic, l->source, l->pipeline, &l->request, l->letterbox, who.seed, who.epoch};
    int hwc[3];
    size_of_batch(l, s->batch, hwc);
    float *out = s->x + (size_t)at * floats_of(hwc);
    w->scratch.letterbox = l->config.sizes[0] > 0 ? hwc[0] : 0;
    if (l->config.mosaic.chance > 0 && tl__mosaic_drawn(&from, index))
        return make_mosaic(l, w, &from, &who, hwc, out, &s->marks[at], err);
    if (tl__source_read(err, l->source, index, &l->request, &w->image) != 0) return -1;
    if (tl__pipeline_run(err, l->pipeline, &w->scratch, &who, &w->image, hwc, out) != 0)
        return tl__loader_about(l, index, err);
    return make_target(l, w, index, s, at, err);
}

static void pictures_move(const tl_loader *l, tl_slot *s, int from, int to)
{
    int hwc[3];
    size_of_batch(l, s->batch, hwc);
    size_t floats = floats_of(hwc);
    memcpy(s->x + (size_t)to * floats, s->x + (size_t)from * floats, floats * sizeof(float));
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
    int hwc[3];
    size_of_batch(l, s->batch, hwc);
    b->height = hwc[0];
    b->width = hwc[1];
    b->channels = hwc[2];
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

/* Sizes that change are those of the letterbox: no other step may have one, and no other field a place in a row. */
static int check_sizes(tl_error *err, tl_loader *l)
{
    const int *sizes = l->config.sizes;
    const tl_pipeline *p = l->pipeline;
    l->letterbox = tl__pipeline_find(p, "letterbox");
    if (sizes[0] < TL_SIZES_STEP || sizes[0] % TL_SIZES_STEP || sizes[1] % TL_SIZES_STEP || sizes[1] < sizes[0] ||
        sizes[1] > 16384)
        return tl__fail(err, TL_EARG, "sizes from %d to %d: both are multiples of %d, the smaller one first", sizes[0],
                        sizes[1], TL_SIZES_STEP);
    if (l->letterbox < 0)
        return tl__fail(err, TL_EARG, "sizes that change are those of letterboxes, and pictures are made otherwise: "
                        "fit = \"letterbox\", and no crop");
    for (int i = 0; i < p->count; i++)
        if (i != l->letterbox && p->step[i].row->shape && strcmp(p->step[i].row->name, "to_channels") != 0)
            return tl__fail(err, TL_EARG, "%s has a size of its own, and those of batches change; leave that step out",
                            p->step[i].row->name);
    l->hwc[0] = l->hwc[1] = sizes[1];
    return 0;
}

/* Mosaics and changing sizes, which are of pictures with boxes alone. */
static int open_changes(tl_error *err, tl_loader *l)
{
    const tl_loader_config *c = &l->config;
    unsigned more = l->source->fields & ~(unsigned)(TL_FIELD_IMAGE | TL_FIELD_LABEL | TL_FIELD_BOXES);
    if (!(c->mosaic.chance > 0) && c->sizes[0] <= 0) return 0;
    if (more || !(l->source->fields & TL_FIELD_BOXES))
        return tl__fail(err, TL_EARG, "%s of pictures with boxes and nothing else",
                        c->mosaic.chance > 0 ? "mosaics are made" : "sizes change");
    if (c->sizes[0] > 0 && check_sizes(err, l) != 0) return -1;
    if (!(c->mosaic.chance > 0)) return 0;
    if (l->request.deep == TL_DEEP_ALL) l->request.deep = TL_DEEP_FLOATS;
    return tl__mosaic_check(err, &c->mosaic, l->pipeline, &l->letterbox);
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
    if (find_shape(err, l) != 0 || open_changes(err, l) != 0) return -1;
    l->picture_floats = floats_of(l->hwc);
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
