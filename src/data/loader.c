/* loader.c - a window of batches that threads fill in order. Work is handed out picture by picture, so that
 * one large picture delays its own batch only; a batch is delivered when its last picture is in place. All
 * shared state is behind one mutex, taken twice per picture. */
#include "data/loader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_THREADS 64
#define MAX_SLOTS 8
#define DEFAULT_PREFETCH ((int64_t)256 << 20)

enum { SLOT_FREE, SLOT_FILLING, SLOT_LENT };

/* Memory of one batch. */
typedef struct slot {
    int state;
    int64_t batch;       /* its number in the epoch */
    int n, left;         /* pictures in it, and how many are not yet in place */
    float *x;
    int32_t *labels;
    int64_t *indices;
    float *values;       /* (n, value_count) */
    int32_t *mask;       /* (n, height, width) */
    tl_marks *marks;     /* of each picture */
    tl_marks joined;     /* those of all, in a row */
    int64_t *box_offsets, *point_offsets;
    uint8_t *bad;        /* 1: left out */
    int failed_at;       /* place of the first picture that failed, or n */
    int skipped;         /* pictures left out */
    tl_mix mix;
    tl_error error;
} slot;

/* What a thread keeps from picture to picture. */
typedef struct worker {
    tl_loader *loader;
    pthread_t thread;
    tl_scratch scratch;
    tl_image image;
    tl_target target;
} worker;

struct tl_loader {
    tl_source *source;
    const tl_pipeline *pipeline;
    tl_loader_config config;
    tl_image_request request;
    int hwc[3];
    size_t picture_floats;
    size_t values, mask_pixels; /* of a picture; 0: none */
    int marked;                 /* there are boxes or points */
    int64_t *order;
    int64_t pictures;          /* that an epoch uses */
    int64_t batches;

    pthread_mutex_t lock;
    pthread_cond_t work, ready; /* there is something to do; a batch is complete, or a worker has come to rest */
    int64_t epoch;
    int64_t next_picture;      /* first place in `order` not yet handed out */
    int64_t next_batch;        /* to be delivered */
    int started, stopping, busy;
    int slots;
    slot slot[MAX_SLOTS];

    int threads;
    worker worker[MAX_THREADS]; /* [0] also serves the caller where there are no threads */
    double waited;
    int64_t skipped;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- work; the lock is held on entry and exit of these ---- */

static slot *slot_of_batch(tl_loader *l, int64_t batch)
{
    for (int i = 0; i < l->slots; i++)
        if (l->slot[i].state == SLOT_FILLING && l->slot[i].batch == batch) return &l->slot[i];
    return NULL;
}

/* The next picture's slot, taken into use if it is the first of its batch; NULL where there is no work or
 * no room. */
static slot *next_work(tl_loader *l)
{
    if (!l->started || l->stopping || l->next_picture >= l->pictures) return NULL;
    int64_t batch = l->next_picture / l->config.batch;
    slot *s = slot_of_batch(l, batch);
    for (int i = 0; !s && i < l->slots; i++) {
        if (l->slot[i].state != SLOT_FREE) continue;
        s = &l->slot[i];
        int64_t left = l->pictures - batch * l->config.batch;
        s->state = SLOT_FILLING;
        s->batch = batch;
        s->n = s->left = s->failed_at = left < l->config.batch ? (int)left : l->config.batch;
        s->error = (tl_error){0};
    }
    return s;
}

/* Puts the picture's name before an error about it. */
static int about_picture(const tl_loader *l, int64_t index, tl_error *err)
{
    char *name = tl__source_name(NULL, l->source, index);
    tl__error_prefix(err, "%s: ", name ? name : "a picture");
    free(name);
    return -1;
}

/* What else is known of the picture that was made last, into its place. */
static int make_target(const tl_loader *l, worker *w, int64_t index, slot *s, int at, tl_error *err)
{
    const tl_geometry *g = &w->scratch.geometry;
    if (!(l->source->fields & ~(unsigned)(TL_FIELD_IMAGE | TL_FIELD_LABEL))) return 0;
    if (tl__source_target(err, l->source, index, l->source->fields, &w->target) != 0) return -1;
    if (s->values) memcpy(s->values + (size_t)at * l->values, w->target.values, l->values * sizeof *s->values);
    if (s->mask && tl__target_fits(err, &w->target, g->part[0].width, g->part[0].height) != 0) return -1;
    if (s->mask && tl__geometry_mask(err, g, &w->target.mask, s->mask + (size_t)at * l->mask_pixels) != 0) return about_picture(l, index, err);
    if (s->marks && tl__geometry_marks(err, g, &w->target.marks, &s->marks[at]) != 0) return about_picture(l, index, err);
    return 0;
}

/* Reads and transforms one picture into its place. Called without the lock. */
static int make_picture(const tl_loader *l, worker *w, int64_t epoch, int64_t index, slot *s, int at, tl_error *err)
{
    tl_draw_key who = {l->config.seed, (uint64_t)epoch, (uint64_t)index};
    if (tl__source_read(err, l->source, index, &l->request, &w->image) != 0) return -1;
    if (tl__pipeline_run(err, l->pipeline, &w->scratch, &who, &w->image, l->hwc, s->x + (size_t)at * l->picture_floats) != 0)
        return about_picture(l, index, err);
    return make_target(l, w, index, s, at, err);
}

/* Moves picture `from` of a batch to the place `to` before it. */
static void move_picture(const tl_loader *l, slot *s, int from, int to)
{
    memcpy(s->x + (size_t)to * l->picture_floats, s->x + (size_t)from * l->picture_floats, l->picture_floats * sizeof(float));
    s->labels[to] = s->labels[from];
    s->indices[to] = s->indices[from];
    if (s->values) memcpy(s->values + (size_t)to * l->values, s->values + (size_t)from * l->values, l->values * sizeof *s->values);
    if (s->mask) memcpy(s->mask + (size_t)to * l->mask_pixels, s->mask + (size_t)from * l->mask_pixels, l->mask_pixels * sizeof *s->mask);
    if (s->marks) { /* memory is exchanged, so that each has its own */
        tl_marks swap = s->marks[to];
        s->marks[to] = s->marks[from];
        s->marks[from] = swap;
    }
}

/* Closes the gaps that skipped pictures have left. */
static void leave_out(const tl_loader *l, slot *s)
{
    int kept = 0;
    for (int i = 0; i < s->n; i++) {
        if (s->bad[i]) continue;
        if (kept != i) move_picture(l, s, i, kept);
        kept++;
    }
    s->skipped = s->n - kept;
    s->n = kept;
}

/* Boxes and points of all pictures in a row. */
static int join_marks(slot *s, tl_error *err)
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

/* What is left to do when all pictures of a batch are in place. Called without the lock. */
static void finish_batch(const tl_loader *l, slot *s, int64_t epoch)
{
    const tl_loader_config *c = &l->config;
    leave_out(l, s);
    if (s->marks && join_marks(s, &s->error) != 0) return;
    s->mix = (tl_mix){.share = 1};
    if (c->unmixed_from && epoch >= c->unmixed_from) return;
    tl_rng_key key = tl__rng_key(c->seed, TL_RNG_MIX, (uint64_t)epoch << 40 ^ (uint64_t)s->batch);
    s->mix = tl__mix_draw(key, c->mixup, c->cutmix, l->hwc[0], l->hwc[1]);
    tl__mix_pictures(&s->mix, s->x, s->n, l->hwc);
}

static void do_picture(tl_loader *l, worker *w, slot *s)
{
    int64_t place = l->next_picture++, epoch = l->epoch, index = l->order[place];
    int at = (int)(place - s->batch * l->config.batch);
    tl_error error = {0};
    l->busy++;
    pthread_mutex_unlock(&l->lock);
    int failed = make_picture(l, w, epoch, index, s, at, &error) != 0;
    pthread_mutex_lock(&l->lock);
    s->labels[at] = l->source->label[index];
    s->indices[at] = index;
    /* Only what lies in the picture itself may be skipped, not a lack of memory or a missing crop. */
    s->bad[at] = failed && l->config.on_bad == TL_BAD_SKIP && (error.code == TL_EFORMAT || error.code == TL_EIO);
    if (failed && !s->bad[at] && at < s->failed_at) {
        s->failed_at = at;
        s->error = error;
    }
    if (s->left == 1 && !s->error.code) { /* nobody else touches the batch any more */
        pthread_mutex_unlock(&l->lock);
        finish_batch(l, s, epoch);
        pthread_mutex_lock(&l->lock);
    }
    l->busy--;
    if (--s->left == 0 || (l->busy == 0 && !l->started)) pthread_cond_signal(&l->ready);
}

static void *work(void *argument)
{
    worker *w = argument;
    tl_loader *l = w->loader;
    pthread_mutex_lock(&l->lock);
    while (!l->stopping) {
        slot *s = next_work(l);
        if (s)
            do_picture(l, w, s);
        else
            pthread_cond_wait(&l->work, &l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* ---- opening and closing ---- */

/* The size that the pipeline gives: from the source's, or from the first picture that can be read. */
static int find_shape(tl_error *err, tl_loader *l)
{
    int *hwc = l->hwc;
    hwc[0] = l->source->height;
    hwc[1] = l->source->width;
    hwc[2] = l->source->channels;
    tl__pipeline_shape(l->pipeline, hwc);
    if (hwc[0] && hwc[1] && hwc[2]) return 0;
    worker *w = &l->worker[0];
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

static int make_target_room(tl_error *err, const tl_loader *l, slot *s)
{
    size_t batch = (size_t)l->config.batch;
    if (l->values && !(s->values = tl__malloc(err, batch * l->values * sizeof *s->values))) return -1;
    if (l->mask_pixels && !(s->mask = tl__malloc(err, batch * l->mask_pixels * sizeof *s->mask))) return -1;
    if (!l->marked) return 0;
    s->marks = tl__calloc(err, batch, sizeof *s->marks);
    s->box_offsets = s->marks ? tl__malloc(err, (batch + 1) * sizeof *s->box_offsets) : NULL;
    s->point_offsets = s->box_offsets ? tl__malloc(err, (batch + 1) * sizeof *s->point_offsets) : NULL;
    return s->point_offsets ? 0 : -1;
}

static void free_slot(slot *s, int batch)
{
    free(s->x);
    free(s->labels);
    free(s->indices);
    free(s->bad);
    free(s->values);
    free(s->mask);
    for (int i = 0; s->marks && i < batch; i++) tl__marks_free(&s->marks[i]);
    free(s->marks);
    tl__marks_free(&s->joined);
    free(s->box_offsets);
    free(s->point_offsets);
}

static int make_slots(tl_error *err, tl_loader *l)
{
    size_t batch = (size_t)l->config.batch;
    int64_t bytes = (int64_t)(batch * (l->picture_floats * sizeof(float) + l->mask_pixels * sizeof(int32_t))), most = l->config.max_prefetch > 0 ? l->config.max_prefetch : DEFAULT_PREFETCH;
    int64_t fit = most / bytes, wanted = l->threads > 0 ? 3 : 2;
    /* Two at least: one that the caller holds and one that is filled meanwhile. */
    l->slots = (int)(fit < 2 ? 2 : fit > wanted ? wanted : fit);
    if (l->slots > l->batches + 1) l->slots = (int)l->batches + 1;
    for (int i = 0; i < l->slots; i++) {
        slot *s = &l->slot[i];
        s->x = tl__malloc(err, batch * l->picture_floats * sizeof *s->x);
        s->labels = s->x ? tl__malloc(err, batch * sizeof *s->labels) : NULL;
        s->indices = s->labels ? tl__malloc(err, batch * sizeof *s->indices) : NULL;
        s->bad = s->indices ? tl__malloc(err, batch) : NULL;
        if (!s->bad || make_target_room(err, l, s) != 0) return -1;
    }
    return 0;
}

static int start_threads(tl_error *err, tl_loader *l, int wanted)
{
    for (int i = 0; i < wanted; i++) {
        l->worker[i].loader = l;
        if (pthread_create(&l->worker[i].thread, NULL, work, &l->worker[i]) != 0)
            return tl__fail(err, TL_EMEMORY, "loader: thread %d of %d could not be started", i + 1, wanted);
        l->threads = i + 1;
    }
    return 0;
}

/* Fields that the pipeline, or mixing, would spoil. */
static int check_fields(tl_error *err, const tl_source *source, const tl_pipeline *pipeline, const tl_loader_config *c)
{
    unsigned unmixed = source->fields & (TL_FIELD_VALUES | TL_FIELDS_PLACED);
    if ((c->mixup > 0 || c->cutmix > 0) && unmixed)
        return tl__fail(err, TL_EARG, "%s cannot mix %s; leave it out, or take a source with labels alone", c->mixup > 0 ? "mixup" : "cutmix",
                        tl__field_name(unmixed & (~unmixed + 1)));
    return tl__pipeline_keeps(err, pipeline, source->fields);
}

tl_loader *tl__loader_open(tl_error *err, tl_source *source, const tl_pipeline *pipeline, const tl_loader_config *config)
{
    if (config->batch < 1) {
        tl__fail(err, TL_EARG, "batch is %d, and must be at least 1", config->batch);
        return NULL;
    }
    if (source->count < 1 || (config->drop_last && source->count < config->batch)) {
        tl__fail(err, TL_EARG, "%lld pictures do not fill a batch of %d", (long long)source->count, config->batch);
        return NULL;
    }
    if (check_fields(err, source, pipeline, config) != 0) return NULL;
    tl_loader *l = tl__calloc(err, 1, sizeof *l);
    if (!l) return NULL;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->ready, NULL);
    l->source = source;
    l->pipeline = pipeline;
    l->config = *config;
    l->batches = config->drop_last ? source->count / config->batch : (source->count + config->batch - 1) / config->batch;
    l->pictures = config->drop_last ? l->batches * config->batch : source->count;
    tl__pipeline_request(pipeline, &l->request);
    /* Masks, boxes and points are of the picture at full size. */
    if (source->fields & TL_FIELDS_PLACED) l->request.smallest_side = 0;
    int wanted = source->alone ? 0 : tl__thread_count(config->threads), status = find_shape(err, l);
    l->picture_floats = (size_t)l->hwc[0] * (size_t)l->hwc[1] * (size_t)l->hwc[2];
    l->values = source->fields & TL_FIELD_VALUES ? (size_t)source->value_count : 0;
    l->mask_pixels = source->fields & TL_FIELD_MASK ? (size_t)l->hwc[0] * (size_t)l->hwc[1] : 0;
    l->marked = (source->fields & (TL_FIELD_BOXES | TL_FIELD_POINTS)) != 0;
    l->threads = wanted; /* for the number of slots; counted anew below */
    if (status == 0) status = make_slots(err, l);
    l->threads = 0;
    if (status == 0) status = (l->order = tl__malloc(err, (size_t)source->count * sizeof *l->order)) ? 0 : -1;
    if (status == 0) status = start_threads(err, l, wanted);
    if (status == 0) return l;
    tl__loader_close(l);
    return NULL;
}

void tl__loader_close(tl_loader *l)
{
    if (!l) return;
    pthread_mutex_lock(&l->lock);
    l->stopping = 1;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    for (int i = 0; i < l->threads; i++) pthread_join(l->worker[i].thread, NULL);
    for (int i = 0; i < MAX_THREADS; i++) {
        tl__scratch_free(&l->worker[i].scratch);
        tl__image_free(&l->worker[i].image);
        tl__target_free(&l->worker[i].target);
    }
    for (int i = 0; i < MAX_SLOTS; i++) free_slot(&l->slot[i], l->config.batch);
    free(l->order);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->work);
    pthread_cond_destroy(&l->ready);
    free(l);
}

/* ---- an epoch ---- */

/* Stops handing out work and waits until no picture is under way. The lock is held. */
static void halt(tl_loader *l)
{
    l->started = 0;
    while (l->busy > 0) pthread_cond_wait(&l->ready, &l->lock);
    for (int i = 0; i < l->slots; i++)
        if (l->slot[i].state == SLOT_FILLING) l->slot[i].state = SLOT_FREE;
}

int tl__loader_start_at(tl_loader *l, tl_error *err, int64_t epoch, int64_t batch)
{
    if (batch < 0 || batch > l->batches)
        return tl__fail(err, TL_EARG, "loader: batch %lld of an epoch of %lld", (long long)batch, (long long)l->batches);
    pthread_mutex_lock(&l->lock);
    halt(l);
    if (l->config.shuffle)
        tl__rng_permutation(tl__rng_key(l->config.seed, TL_RNG_SHUFFLE, (uint64_t)epoch), l->source->count, l->order);
    else
        for (int64_t i = 0; i < l->source->count; i++) l->order[i] = i;
    l->epoch = epoch;
    l->next_batch = batch;
    l->next_picture = batch * l->config.batch;
    l->started = 1;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    return 0;
}

int tl__loader_start(tl_loader *l, tl_error *err, int64_t epoch) { return tl__loader_start_at(l, err, epoch, 0); }

/* Waits until the batch to be delivered is complete, or makes it where there are no threads. NULL with an
 * error where all memory is lent. The lock is held. */
static slot *await(tl_loader *l, tl_error *err)
{
    double from = now();
    slot *s;
    for (;;) {
        s = slot_of_batch(l, l->next_batch);
        if (s && s->left == 0) break;
        slot *next = l->threads == 0 ? next_work(l) : NULL;
        int lent = 0;
        for (int i = 0; i < l->slots; i++) lent += l->slot[i].state == SLOT_LENT;
        if (!s && lent == l->slots) {
            tl__fail(err, TL_ESTATE, "loader: all %d batches are lent; give one back before the next", l->slots);
            break;
        }
        if (next)
            do_picture(l, &l->worker[0], next);
        else
            pthread_cond_wait(&l->ready, &l->lock);
    }
    l->waited += now() - from;
    return s;
}

static void lend(const tl_loader *l, const slot *s, tl_batch *b)
{
    *b = (tl_batch){.x = s->x, .labels = s->labels, .indices = s->indices, .n = s->n, .height = l->hwc[0], .width = l->hwc[1], .channels = l->hwc[2],
                    .share = s->mix.share, .values = s->values, .value_count = (int)l->values, .mask = s->mask, .slot = (int)(s - l->slot)};
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

int tl__loader_next(tl_loader *l, tl_error *err, tl_batch *b)
{
    int result = -1;
    *b = (tl_batch){.slot = -1};
    pthread_mutex_lock(&l->lock);
    while (result < 0) {
        if (!l->started) {
            tl__fail(err, TL_ESTATE, "loader: no epoch has been started");
            break;
        }
        if (l->next_batch >= l->batches) {
            result = 0;
            break;
        }
        slot *s = await(l, err);
        if (!s) break;
        if (s->error.code) {
            tl__fail(err, s->error.code, "%s", s->error.text);
            halt(l);
            break;
        }
        l->next_batch++;
        l->skipped += s->skipped;
        s->state = s->n ? SLOT_LENT : SLOT_FREE; /* a batch of damaged pictures only is passed over */
        if (s->n == 0) {
            pthread_cond_broadcast(&l->work);
            continue;
        }
        lend(l, s, b);
        result = 1;
    }
    pthread_mutex_unlock(&l->lock);
    return result;
}

void tl__loader_recycle(tl_loader *l, tl_batch *b)
{
    if (b->slot < 0) return;
    pthread_mutex_lock(&l->lock);
    l->slot[b->slot].state = SLOT_FREE;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    *b = (tl_batch){.slot = -1};
}

int64_t tl__loader_batches(const tl_loader *l) { return l->batches; }
int tl__loader_threads(const tl_loader *l) { return l->threads; }
void tl__loader_shape(const tl_loader *l, int hwc[3]) { memcpy(hwc, l->hwc, sizeof l->hwc); }
double tl__loader_waited(const tl_loader *l) { return l->waited; }
int64_t tl__loader_skipped(const tl_loader *l) { return l->skipped; }
