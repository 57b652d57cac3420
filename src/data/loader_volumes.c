/* loader_volumes.c - samples of volumes as a batch. A volume is read and made ready once for all of its samples in
 * an epoch: its block stays until they are taken, and from epoch to epoch as long as all that stay fit into what
 * is allowed. Samples of few volumes go together in an epoch (loader_plan.c), so that few blocks are alive at a
 * time. Which blocks stay changes no bit. */
#include "data/loader_inside.h"

#include "data/blocks.h"

#include <stdlib.h>
#include <string.h>

enum { EMPTY, MAKING, READY };

/* The block of one volume. */
typedef struct kept {
    int state;
    int stays;    /* from epoch to epoch */
    int users;    /* threads that take samples of it */
    int64_t left; /* samples of the epoch that are still to be taken */
    int64_t bytes;
    tl_block block;
} kept;

struct tl_blocks {
    pthread_mutex_t lock;
    pthread_cond_t ready;
    int64_t count, staying; /* bytes that stay */
    tl_extent *extent;      /* of each block */
    kept *at;
};

static int64_t volume_of(const tl_loader *l, int64_t item)
{
    return item / l->repeats;
}

static int64_t block_bytes(const tl_block *b)
{
    int64_t n = b->size[0] * b->size[1] * b->size[2];
    return n * (b->channels * (int64_t)sizeof(float) + (b->mask ? 1 : 0));
}

/* The block of a volume, made by one thread while others that want it wait; NULL on failure. */
static const tl_block *acquire(const tl_loader *l, int64_t i, tl_error *err)
{
    tl_blocks *all = l->blocks;
    kept *k = &all->at[i];
    pthread_mutex_lock(&all->lock);
    while (k->state == MAKING) pthread_cond_wait(&all->ready, &all->lock);
    if (k->state == EMPTY) {
        k->state = MAKING;
        pthread_mutex_unlock(&all->lock);
        int bad = tl__block_make(err, l->pipeline, l->source, i, &k->block) != 0;
        pthread_mutex_lock(&all->lock);
        k->state = bad ? EMPTY : READY;
        k->bytes = bad ? 0 : block_bytes(&k->block);
        k->stays = !bad && all->staying + k->bytes <= l->config.keep;
        if (k->stays) all->staying += k->bytes;
        pthread_cond_broadcast(&all->ready);
    }
    int there = k->state == READY;
    if (there) k->users++;
    else k->left--;
    pthread_mutex_unlock(&all->lock);
    return there ? &k->block : NULL;
}

static void drop(kept *k)
{
    if (k->state != READY || k->stays || k->users) return;
    tl__block_free(&k->block);
    k->state = EMPTY;
}

static void release(const tl_loader *l, int64_t i)
{
    kept *k = &l->blocks->at[i];
    pthread_mutex_lock(&l->blocks->lock);
    k->users--;
    if (--k->left <= 0) drop(k);
    pthread_mutex_unlock(&l->blocks->lock);
}

/* An epoch begins with the sample at `place` of its order; nothing is under way. */
static void volumes_start(tl_loader *l, int64_t place)
{
    tl_blocks *all = l->blocks;
    int64_t last = l->plan.offset[l->plan.batches];
    pthread_mutex_lock(&all->lock);
    for (int64_t i = 0; i < all->count; i++) {
        all->at[i].left = 0;
        drop(&all->at[i]);
    }
    for (; place < last; place++) all->at[volume_of(l, l->plan.order[place])].left++;
    pthread_mutex_unlock(&all->lock);
}

/* ---- batches ---- */

/* The size of the samples of a batch: of one whose volume can be read. */
static void batch_size(const tl_loader *l, int64_t batch, int64_t size[3], int *channels)
{
    const tl_extent *e = NULL;
    for (int64_t i = l->plan.offset[batch]; i < l->plan.offset[batch + 1]; i++)
        if (!e || !e->channels) e = &l->blocks->extent[volume_of(l, l->plan.order[i])];
    int64_t block[3] = {e->grid.size[2], e->grid.size[1], e->grid.size[0]};
    tl__block_sample_size(l->pipeline, block, size);
    *channels = e->channels ? e->channels : l->hwc[2];
}

static int64_t sample_bytes(const tl_loader *l, const int64_t size[3], int channels)
{
    int64_t masked = l->source->fields & TL_FIELD_MASK ? (int64_t)sizeof(int32_t) : 0;
    return size[0] * size[1] * size[2] * (channels * (int64_t)sizeof(float) + masked);
}

static int64_t volumes_bytes(const tl_loader *l, int64_t batch)
{
    int64_t size[3];
    int channels;
    batch_size(l, batch, size, &channels);
    int64_t bytes = (l->plan.offset[batch + 1] - l->plan.offset[batch]) * sample_bytes(l, size, channels);
    return bytes > 0 ? bytes : 1;
}

static int volumes_room(tl_error *err, const tl_loader *l, tl_slot *s)
{
    (void)err, (void)l, (void)s;
    return 0;
}

static int volumes_begin(tl_error *err, const tl_loader *l, tl_slot *s)
{
    batch_size(l, s->batch, s->size, &s->channels);
    size_t n = (size_t)(s->size[0] * s->size[1] * s->size[2]) * (size_t)s->n;
    free(s->x);
    free(s->mask);
    s->mask = NULL;
    s->x = tl__malloc(err, n * (size_t)s->channels * sizeof *s->x + 1);
    if (!s->x) return -1;
    if (l->source->fields & TL_FIELD_MASK && !(s->mask = tl__malloc(err, n * sizeof *s->mask + 1))) return -1;
    return 0;
}

static int take_sample(const tl_loader *l, const tl_draw_key *who, const tl_block *b, tl_slot *s, int at,
                       tl_error *err)
{
    int64_t size[3];
    size_t n = (size_t)(s->size[0] * s->size[1] * s->size[2]) * (size_t)at;
    tl__block_sample_size(l->pipeline, b->size, size);
    if (memcmp(size, s->size, sizeof size) != 0 || b->channels != s->channels)
        return tl__fail(
            err, TL_EFORMAT,
            "%lld x %lld x %lld voxels of %d channels come out, and its header announced %lld x %lld x %lld "
            "of %d",
            (long long)size[0], (long long)size[1], (long long)size[2], b->channels, (long long)s->size[0],
            (long long)s->size[1], (long long)s->size[2], s->channels);
    return tl__block_sample(err, l->pipeline, who, b, s->x + n * (size_t)s->channels, s->mask ? s->mask + n : NULL);
}

static int volumes_make(const tl_loader *l, tl_worker *w, int64_t epoch, int64_t item, tl_slot *s, int at,
                        tl_error *err)
{
    tl_draw_key who = {l->config.seed, (uint64_t)epoch, (uint64_t)item};
    int64_t i = volume_of(l, item);
    const tl_block *b = acquire(l, i, err);
    if (!b) return -1;
    int bad = take_sample(l, &who, b, s, at, err) != 0;
    release(l, i);
    if (bad) return tl__loader_about(l, i, err);
    if (!s->values) return 0;
    if (tl__source_target(err, l->source, i, TL_FIELD_VALUES, &w->target) != 0) return -1;
    memcpy(s->values + (size_t)at * l->values, w->target.values, l->values * sizeof *s->values);
    return 0;
}

static void volumes_move(const tl_loader *l, tl_slot *s, int from, int to)
{
    (void)l;
    size_t n = (size_t)(s->size[0] * s->size[1] * s->size[2]), c = (size_t)s->channels;
    memcpy(s->x + (size_t)to * n * c, s->x + (size_t)from * n * c, n * c * sizeof *s->x);
    if (s->mask) memcpy(s->mask + (size_t)to * n, s->mask + (size_t)from * n, n * sizeof *s->mask);
}

static int volumes_finish(const tl_loader *l, tl_slot *s, int64_t epoch)
{
    (void)l, (void)s, (void)epoch;
    return 0;
}

static void volumes_lend(const tl_loader *l, const tl_slot *s, tl_batch *b)
{
    (void)l;
    b->depth = (int)s->size[0];
    b->height = (int)s->size[1];
    b->width = (int)s->size[2];
    b->channels = s->channels;
}

/* ---- opening ---- */

static int check_options(tl_error *err, const tl_loader *l)
{
    const tl_loader_config *c = &l->config;
    if (c->mixup > 0 || c->cutmix > 0)
        return tl__fail(err, TL_EARG, "%s is for pictures, and these are volumes; leave it out",
                        c->mixup > 0 ? "mixup" : "cutmix");
    if (c->seconds > 0)
        return tl__fail(err, TL_EARG,
                        "batches by seconds are of sound, and these are volumes; say how many (batch = 2)");
    const tl_transform *patch = tl__pipeline_step(l->pipeline, "volume_patch");
    if (patch && patch->value[1].at[0] > 0 && !(l->source->fields & TL_FIELD_MASK))
        return tl__fail(err, TL_EARG, "volume_patch: foreground is found in masks, and these volumes have none");
    if (c->repeats > 1 && !tl__pipeline_is_random(l->pipeline))
        return tl__fail(err, TL_EARG, "%d samples of each volume would be the same; no step draws", c->repeats);
    return tl__pipeline_keeps(err, l->pipeline, l->source->fields);
}

static int unlike(tl_error *err, const tl_loader *l, int64_t i, const tl_extent *a, const tl_extent *b)
{
    if (a->channels != b->channels)
        tl__fail(err, TL_EARG, "it has %d channel%s, and others have %d", a->channels, a->channels == 1 ? "" : "s",
                 b->channels);
    else
        tl__fail(err, TL_EARG,
                 "it has %lld x %lld x %lld voxels, and others have %lld x %lld x %lld, which make no batch of %d; "
                 "take patches (patch), one size (size), or one a batch (batch = 1)",
                 (long long)a->grid.size[2], (long long)a->grid.size[1], (long long)a->grid.size[0],
                 (long long)b->grid.size[2], (long long)b->grid.size[1], (long long)b->grid.size[0], l->config.batch);
    return tl__loader_about(l, i, err);
}

/* Sizes and channels of all, which must go together where they share batches. */
static int measure(tl_error *err, tl_loader *l)
{
    tl_blocks *all = l->blocks;
    int one = l->config.batch == 1 || tl__pipeline_step(l->pipeline, "volume_patch") != NULL;
    const tl_extent *first = NULL;
    for (int64_t i = 0; i < all->count; i++) {
        tl_extent own = tl__source_extent(l->source, i);
        tl_extent *e = &all->extent[i];
        tl__block_extent(l->pipeline, &own, e);
        if (!e->channels) continue;
        if (!first) first = e;
        if (e->channels != first->channels ||
            (!one && memcmp(e->grid.size, first->grid.size, sizeof e->grid.size) != 0))
            return unlike(err, l, i, e, first);
    }
    l->hwc[2] = first ? first->channels : 1;
    return 0;
}

static int volumes_open(tl_error *err, tl_loader *l)
{
    tl_loader_config *c = &l->config;
    tl_blocks *all = l->blocks = tl__calloc(err, 1, sizeof *all);
    if (!all) return -1;
    pthread_mutex_init(&all->lock, NULL);
    pthread_cond_init(&all->ready, NULL);
    all->count = l->source->count;
    all->extent = tl__calloc(err, (size_t)all->count, sizeof *all->extent);
    all->at = all->extent ? tl__calloc(err, (size_t)all->count, sizeof *all->at) : NULL;
    if (!all->at || check_options(err, l) != 0 || measure(err, l) != 0) return -1;
    l->batch_room = c->batch;
    if (tl__batches_open(err, &l->plan, c, l->source->count * l->repeats, NULL, 0) != 0) return -1;
    tl__batches_epoch(&l->plan, 0);
    return 0;
}

static void volumes_close(tl_loader *l)
{
    tl_blocks *all = l->blocks;
    if (!all) return;
    for (int64_t i = 0; all->at && i < all->count; i++) tl__block_free(&all->at[i].block);
    pthread_mutex_destroy(&all->lock);
    pthread_cond_destroy(&all->ready);
    free(all->extent);
    free(all->at);
    free(all);
}

const tl_cargo tl__cargo_volumes = {.open = volumes_open,
                                    .close = volumes_close,
                                    .start = volumes_start,
                                    .room = volumes_room,
                                    .bytes = volumes_bytes,
                                    .begin = volumes_begin,
                                    .make = volumes_make,
                                    .move = volumes_move,
                                    .finish = volumes_finish,
                                    .lend = volumes_lend};
