/* loader.c - a window of batches that threads fill in order. Work is handed out sample by sample, so that
 * one large sample delays its own batch only; a batch is delivered when its last sample is in place. All
 * shared state is behind one mutex, taken twice per sample. */
#include "data/loader_inside.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- work; the lock is held on entry and exit of these ---- */

static tl_slot *slot_of_batch(tl_loader *l, int64_t batch)
{
    for (int i = 0; i < l->slots; i++)
        if (l->slot[i].state == TL_SLOT_FILLING && l->slot[i].batch == batch) return &l->slot[i];
    return NULL;
}

/* Is there memory for a batch more? The one that is delivered next always has it; further ones as long as all together
 * stay below what is allowed, and one beside that which the caller holds. */
static int may_begin(const tl_loader *l, int64_t bytes)
{
    int used = 0, filling = 0;
    for (int i = 0; i < l->slots; i++) {
        const tl_slot *s = &l->slot[i];
        if (s->state == TL_SLOT_FREE) continue;
        used++;
        filling += s->state == TL_SLOT_FILLING;
        bytes += s->bytes;
    }
    return filling == 0 || used < 2 || bytes <= l->most_bytes;
}

/* A free slot for the batch, taken into use; NULL where there is none. */
static tl_slot *begin_batch(tl_loader *l, int64_t batch)
{
    int64_t bytes = l->cargo->bytes(l, batch);
    tl_slot *s = NULL;
    for (int i = 0; !s && i < l->slots; i++)
        if (l->slot[i].state == TL_SLOT_FREE) s = &l->slot[i];
    if (!s || !may_begin(l, bytes)) return NULL;
    s->state = TL_SLOT_FILLING;
    s->batch = batch;
    s->bytes = bytes;
    s->n = s->left = s->failed_at = (int)(l->plan.offset[batch + 1] - l->plan.offset[batch]);
    s->skipped = 0;
    s->error = (tl_error){0};
    if (l->cargo->begin && l->cargo->begin(&s->error, l, s) != 0) s->failed_at = -1; /* before all samples */
    return s;
}

/* The next sample's slot; NULL where there is no work or no room. */
static tl_slot *next_work(tl_loader *l)
{
    if (!l->started || l->stopping || l->next_fill >= l->plan.batches) return NULL;
    tl_slot *s = slot_of_batch(l, l->next_fill);
    return s ? s : begin_batch(l, l->next_fill);
}

int tl__loader_about(const tl_loader *l, int64_t index, tl_error *err)
{
    char *name = tl__source_name(NULL, l->source, index);
    tl__error_prefix(err, "%s: ", name ? name : tl__source_word(l->source, 1));
    free(name);
    return -1;
}

/* Moves sample `from` of a batch to the place `to` before it. */
static void move_sample(const tl_loader *l, tl_slot *s, int from, int to)
{
    l->cargo->move(l, s, from, to);
    s->labels[to] = s->labels[from];
    s->indices[to] = s->indices[from];
    if (s->values) memcpy(s->values + (size_t)to * l->values, s->values + (size_t)from * l->values, l->values * sizeof *s->values);
    if (s->texts) s->texts[to] = s->texts[from];
}

/* Closes the gaps that skipped samples have left. */
static void leave_out(const tl_loader *l, tl_slot *s)
{
    int kept = 0;
    for (int i = 0; i < s->n; i++) {
        if (s->bad[i]) continue;
        if (kept != i) move_sample(l, s, i, kept);
        kept++;
    }
    s->skipped = s->n - kept;
    s->n = kept;
}

/* What is left to do when all samples of a batch are in place. Called without the lock. */
static void finish_batch(const tl_loader *l, tl_slot *s, int64_t epoch)
{
    leave_out(l, s);
    s->mix = (tl_mix){.share = 1};
    l->cargo->finish(l, s, epoch);
}

static void do_sample(tl_loader *l, tl_worker *w, tl_slot *s)
{
    int64_t place = l->next_place++, epoch = l->epoch, item = l->plan.order[place], index = item / l->repeats;
    int at = (int)(place - l->plan.offset[s->batch]), begun = s->failed_at >= 0;
    tl_error error = {0};
    if (l->next_place == l->plan.offset[s->batch + 1]) l->next_fill++;
    l->busy++;
    pthread_mutex_unlock(&l->lock);
    int failed = begun && l->cargo->make(l, w, epoch, item, s, at, &error) != 0;
    pthread_mutex_lock(&l->lock);
    s->labels[at] = l->source->label[index];
    s->indices[at] = index;
    if (s->texts) s->texts[at] = tl__source_text(l->source, index);
    /* Only what lies in the sample itself may be skipped, not a lack of memory or a missing crop. */
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
    tl_worker *w = argument;
    tl_loader *l = w->loader;
    pthread_mutex_lock(&l->lock);
    while (!l->stopping) {
        tl_slot *s = next_work(l);
        if (s) do_sample(l, w, s);
        else
            pthread_cond_wait(&l->work, &l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* ---- opening and closing ---- */

static void free_slot(tl_slot *s, int batch)
{
    free(s->x);
    free(s->ids);
    free(s->spans);
    free(s->labels);
    free(s->indices);
    free(s->bad);
    free(s->values);
    free(s->mask);
    free(s->lengths);
    free(s->texts);
    for (int i = 0; s->marks && i < batch; i++) tl__marks_free(&s->marks[i]);
    free(s->marks);
    tl__marks_free(&s->joined);
    free(s->box_offsets);
    free(s->point_offsets);
}

static int make_slot(tl_error *err, const tl_loader *l, tl_slot *s)
{
    size_t batch = (size_t)l->batch_room;
    s->labels = tl__malloc(err, batch * sizeof *s->labels);
    s->indices = s->labels ? tl__malloc(err, batch * sizeof *s->indices) : NULL;
    s->bad = s->indices ? tl__malloc(err, batch) : NULL;
    if (!s->bad || (l->values && !(s->values = tl__malloc(err, batch * l->values * sizeof *s->values)))) return -1;
    if (l->source->fields & TL_FIELD_TEXT && !(s->texts = tl__malloc(err, batch * sizeof *s->texts))) return -1;
    return l->cargo->room(err, l, s);
}

static int make_slots(tl_error *err, tl_loader *l, int threads)
{
    int64_t fit = l->most_bytes / l->cargo->bytes(l, 0), wanted = threads > 0 ? 3 : 2;
    /* Two at least: one that the caller holds and one that is filled meanwhile. Where batches differ, each is weighed
     * when it begins. */
    if (l->cargo->begin) fit = wanted;
    l->slots = (int)(fit < 2 ? 2 : fit > wanted ? wanted : fit);
    if (l->slots > l->plan.batches + 1) l->slots = (int)l->plan.batches + 1;
    for (int i = 0; i < l->slots; i++)
        if (make_slot(err, l, &l->slot[i]) != 0) return -1;
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

static int open_parts(tl_error *err, tl_loader *l)
{
    int threads = l->source->alone ? 0 : tl__thread_count(l->config.threads);
    l->values = l->source->fields & TL_FIELD_VALUES ? (size_t)l->source->value_count : 0;
    l->most_bytes = l->config.max_prefetch > 0 ? l->config.max_prefetch : TL_LOADER_PREFETCH;
    if (l->cargo->open(err, l) != 0 || make_slots(err, l, threads) != 0) return -1;
    return start_threads(err, l, threads);
}

tl_loader *tl__loader_open(tl_error *err, tl_source *source, const tl_pipeline *pipeline, const tl_loader_config *config)
{
    int64_t repeats = config->repeats > 1 ? config->repeats : 1;
    if (config->batch < 1 && !(config->seconds > 0) && config->pieces < 1) {
        tl__fail(err, TL_EARG, "batch is %d, and must be at least 1", config->batch);
        return NULL;
    }
    if (source->count < 1 || (config->drop_last && source->count * repeats < config->batch)) {
        tl__fail(err, TL_EARG, "%lld %s do not fill a batch of %d", (long long)source->count,
                 tl__source_word(source, 0), config->batch);
        return NULL;
    }
    if (repeats > 1 && !(source->fields & TL_FIELD_VOLUME)) {
        tl__fail(err, TL_EARG, "repeats are of volumes, and these are %s", tl__source_word(source, 0));
        return NULL;
    }
    tl_loader *l = tl__calloc(err, 1, sizeof *l);
    if (!l) return NULL;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->ready, NULL);
    l->source = source;
    l->pipeline = pipeline;
    l->config = *config;
    l->repeats = repeats;
    l->cargo = source->fields & TL_FIELD_WAVE     ? &tl__cargo_waves
               : source->fields & TL_FIELD_VOLUME ? &tl__cargo_volumes
               : source->fields & TL_FIELD_PIECES ? &tl__cargo_pieces
                                                  : &tl__cargo_pictures;
    if (open_parts(err, l) == 0) return l;
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
    for (int i = 0; i < TL_LOADER_THREADS; i++) {
        tl__scratch_free(&l->worker[i].scratch);
        tl__image_free(&l->worker[i].image);
        tl__wave_free(&l->worker[i].wave);
        tl__target_free(&l->worker[i].target);
        tl__mosaic_free(&l->worker[i].mosaic);
    }
    for (int i = 0; i < TL_LOADER_SLOTS; i++) free_slot(&l->slot[i], l->batch_room);
    if (l->cargo->close) l->cargo->close(l);
    tl__batches_free(&l->plan);
    free(l->longest);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->work);
    pthread_cond_destroy(&l->ready);
    free(l);
}

/* ---- an epoch ---- */

/* Stops handing out work and waits until no sample is under way. The lock is held. */
static void halt(tl_loader *l)
{
    l->started = 0;
    while (l->busy > 0) pthread_cond_wait(&l->ready, &l->lock);
    for (int i = 0; i < l->slots; i++)
        if (l->slot[i].state == TL_SLOT_FILLING) l->slot[i].state = TL_SLOT_FREE;
}

int tl__loader_start_at(tl_loader *l, tl_error *err, int64_t epoch, int64_t batch)
{
    if (batch < 0 || batch > l->plan.batches)
        return tl__fail(err, TL_EARG, "loader: batch %lld of an epoch of %lld", (long long)batch,
                        (long long)l->plan.batches);
    pthread_mutex_lock(&l->lock);
    halt(l);
    tl__batches_epoch(&l->plan, epoch);
    l->epoch = epoch;
    l->next_batch = l->next_fill = batch;
    l->next_place = l->plan.offset[batch];
    if (l->cargo->start) l->cargo->start(l, l->next_place);
    l->started = 1;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    return 0;
}

int tl__loader_start(tl_loader *l, tl_error *err, int64_t epoch) { return tl__loader_start_at(l, err, epoch, 0); }

/* Waits until the batch to be delivered is complete, or makes it where there are no threads. NULL with an
 * error where all memory is lent. The lock is held. */
static tl_slot *await(tl_loader *l, tl_error *err)
{
    double from = now();
    tl_slot *s;
    for (;;) {
        s = slot_of_batch(l, l->next_batch);
        if (s && s->left == 0) break;
        tl_slot *next = l->threads == 0 ? next_work(l) : NULL;
        int lent = 0;
        for (int i = 0; i < l->slots; i++) lent += l->slot[i].state == TL_SLOT_LENT;
        if (!s && lent == l->slots) {
            tl__fail(err, TL_ESTATE, "loader: all %d batches are lent; give one back before the next", l->slots);
            break;
        }
        if (next) do_sample(l, &l->worker[0], next);
        else
            pthread_cond_wait(&l->ready, &l->lock);
    }
    l->waited += now() - from;
    return s;
}

static void lend(const tl_loader *l, const tl_slot *s, tl_batch *b)
{
    *b = (tl_batch){.x = s->x,
                    .labels = s->labels,
                    .indices = s->indices,
                    .n = s->n,
                    .share = s->mix.share,
                    .values = s->values,
                    .value_count = (int)l->values,
                    .mask = s->mask,
                    .texts = s->texts,
                    .slot = (int)(s - l->slot)};
    l->cargo->lend(l, s, b);
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
        if (l->next_batch >= l->plan.batches) {
            result = 0;
            break;
        }
        tl_slot *s = await(l, err);
        if (!s) break;
        if (s->error.code) {
            tl__fail(err, s->error.code, "%s", s->error.text);
            halt(l);
            break;
        }
        l->next_batch++;
        l->skipped += s->skipped;
        s->state = s->n ? TL_SLOT_LENT : TL_SLOT_FREE; /* a batch of damaged samples only is passed over */
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
    l->slot[b->slot].state = TL_SLOT_FREE;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    *b = (tl_batch){.slot = -1};
}

int64_t tl__loader_batches(const tl_loader *l) { return l->plan.batches; }
int64_t tl__loader_samples(const tl_loader *l) { return l->plan.count - l->plan.drop; }
int tl__loader_threads(const tl_loader *l) { return l->threads; }
void tl__loader_shape(const tl_loader *l, int hwc[3]) { memcpy(hwc, l->hwc, sizeof l->hwc); }
double tl__loader_waited(const tl_loader *l) { return l->waited; }
int64_t tl__loader_skipped(const tl_loader *l) { return l->skipped; }
