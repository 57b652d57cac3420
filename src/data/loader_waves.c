/* loader_waves.c - clips of any length as a batch: rows as long as the longest, with zeros behind the others. Each clip
 * is written where its row would begin if all drew their longest, and rows are moved together when the batch is whole,
 * so that a batch lies in memory once. */
#include "data/loader_inside.h"

#include "data/waves.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* The longest that clips of a batch of the epoch may come to be. */
static int64_t widest(const tl_loader *l, int64_t batch)
{
    int64_t most = 1;
    for (int64_t i = l->plan.offset[batch]; i < l->plan.offset[batch + 1]; i++)
        if (l->longest[l->plan.order[i]] > most) most = l->longest[l->plan.order[i]];
    return most;
}

static int64_t waves_bytes(const tl_loader *l, int64_t batch)
{
    return (l->plan.offset[batch + 1] - l->plan.offset[batch]) * widest(l, batch) * (int64_t)sizeof(float);
}

static int waves_begin(tl_error *err, const tl_loader *l, tl_slot *s)
{
    free(s->x);
    s->row = widest(l, s->batch);
    s->x = tl__malloc(err, (size_t)s->bytes);
    return s->x ? 0 : -1;
}

static int waves_room(tl_error *err, const tl_loader *l, tl_slot *s)
{
    s->lengths = tl__malloc(err, (size_t)l->batch_room * sizeof *s->lengths);
    return s->lengths ? 0 : -1;
}

static int waves_make(const tl_loader *l, tl_worker *w, int64_t epoch, int64_t index, tl_slot *s, int at, tl_error *err)
{
    tl_draw_key who = {l->config.seed, (uint64_t)epoch, (uint64_t)index};
    if (tl__wave_make(err, l->pipeline, &w->scratch, &who, l->source, l->config.noise, index, &w->wave) != 0) return -1;
    if (w->wave.count > s->row) { /* the file is no longer what it was when its header was read */
        tl__fail(err, TL_EFORMAT, "%lld samples come out, and its length announced %lld at most",
                 (long long)w->wave.count, (long long)s->row);
        return tl__loader_about(l, index, err);
    }
    memcpy(s->x + (size_t)at * (size_t)s->row, w->wave.data, (size_t)w->wave.count * sizeof *s->x);
    s->lengths[at] = (int32_t)w->wave.count;
    if (!s->values) return 0;
    if (tl__source_target(err, l->source, index, TL_FIELD_VALUES, &w->target) != 0) return -1;
    memcpy(s->values + (size_t)at * l->values, w->target.values, l->values * sizeof *s->values);
    return 0;
}

static void waves_move(const tl_loader *l, tl_slot *s, int from, int to)
{
    (void)l;
    memcpy(s->x + (size_t)to * (size_t)s->row, s->x + (size_t)from * (size_t)s->row,
           (size_t)s->lengths[from] * sizeof *s->x);
    s->lengths[to] = s->lengths[from];
}

static int waves_finish(const tl_loader *l, tl_slot *s, int64_t epoch)
{
    (void)l, (void)epoch;
    size_t length = 0, row = (size_t)s->row;
    for (int i = 0; i < s->n; i++)
        if ((size_t)s->lengths[i] > length) length = (size_t)s->lengths[i];
    for (int i = 0; i < s->n; i++) {
        size_t own = (size_t)s->lengths[i], at = (size_t)i;
        memmove(s->x + at * length, s->x + at * row, own * sizeof *s->x);
        memset(s->x + at * length + own, 0, (length - own) * sizeof *s->x);
    }
    s->row = (int64_t)length;
    return 0;
}

static void waves_lend(const tl_loader *l, const tl_slot *s, tl_batch *b)
{
    b->length = s->row;
    b->rate = tl__wave_rate(l->pipeline) ? tl__wave_rate(l->pipeline) : tl__source_clip(l->source, s->indices[0]).rate;
    b->lengths = s->lengths;
}

/* ---- opening ---- */

static int check_options(tl_error *err, const tl_loader *l)
{
    const tl_loader_config *c = &l->config;
    if (c->mixup > 0 || c->cutmix > 0)
        return tl__fail(err, TL_EARG, "mixup and cutmix are for pictures, and these are clips; leave them out");
    if (c->seconds > 0 && c->drop_last)
        return tl__fail(err, TL_EARG,
                        "drop_last is for batches of so many clips, and these are of seconds; leave it out");
    if (c->seconds > 0 && c->shuffle && !c->buckets)
        return tl__fail(err, TL_EARG, "shuffled batches of seconds need buckets = true");
    if (tl__wave_needs_noise(l->pipeline) && !c->noise)
        return tl__fail(err, TL_EARG, "the step noise needs noises: a source of sound for the loader (noise = source)");
    if (c->noise && !(c->noise->fields & TL_FIELD_WAVE))
        return tl__fail(err, TL_EARG, "the noises are a source of pictures, not of sound");
    return tl__pipeline_keeps(err, l->pipeline, l->source->fields);
}

/* Lengths, and one rate for all. */
static int measure(tl_error *err, tl_loader *l, int *rate)
{
    *rate = tl__wave_rate(l->pipeline);
    l->longest = tl__malloc(err, (size_t)l->source->count * sizeof *l->longest);
    for (int64_t i = 0; l->longest && i < l->source->count; i++) {
        tl_clip clip = tl__source_clip(l->source, i);
        if (!*rate) *rate = clip.rate;
        if (clip.frames && !tl__wave_rate(l->pipeline) && clip.rate != *rate) {
            tl__fail(err, TL_EARG, "a rate of %d Hz, others have %d: begin the steps with {\"rate\", rate = %d}",
                     clip.rate, *rate, clip.rate);
            return tl__loader_about(l, i, err);
        }
        l->longest[i] = tl__wave_longest(l->pipeline, clip);
        if (l->longest[i] > INT32_MAX) {
            tl__fail(err, TL_EARG, "%lld samples are too many for one clip; crop it, or list parts of it",
                     (long long)l->longest[i]);
            return tl__loader_about(l, i, err);
        }
    }
    return l->longest ? 0 : -1;
}

static int waves_open(tl_error *err, tl_loader *l)
{
    tl_loader_config *c = &l->config;
    int rate;
    if (check_options(err, l) != 0 || measure(err, l, &rate) != 0) return -1;
    int64_t most = c->seconds > 0 ? (int64_t)(c->seconds * rate) : 0;
    if (!rate) return tl__fail(err, TL_EFORMAT, "none of the %lld clips can be read", (long long)l->source->count);
    if (c->seconds > 0 && most < 1) return tl__fail(err, TL_EARG, "a batch of %g s has no sample", c->seconds);
    for (int64_t i = 0; most && i < l->source->count; i++) {
        if (l->longest[i] <= most) continue;
        tl__fail(err, TL_EARG, "it may come to have %.1f s, and a batch has %g s; make batches longer, or crop it",
                 (double)l->longest[i] / rate, c->seconds);
        return tl__loader_about(l, i, err);
    }
    if (tl__batches_open(err, &l->plan, c, l->source->count, l->longest, most) != 0) return -1;
    tl__batches_epoch(&l->plan, 0); /* sizes of batches are those of all epochs */
    for (int64_t b = 0; b < l->plan.batches; b++) {
        int64_t n = l->plan.offset[b + 1] - l->plan.offset[b];
        if (n > INT_MAX) return tl__fail(err, TL_EARG, "a batch of %lld clips; make batches shorter", (long long)n);
        if (n > l->batch_room) l->batch_room = (int)n;
    }
    return 0;
}

const tl_cargo tl__cargo_waves = {.open = waves_open,
                                  .room = waves_room,
                                  .bytes = waves_bytes,
                                  .begin = waves_begin,
                                  .make = waves_make,
                                  .move = waves_move,
                                  .finish = waves_finish,
                                  .lend = waves_lend};
