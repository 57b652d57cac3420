/* loader_check.c - every picture or clip read once before training starts, so that a damaged file stops a run in its
 * first minute and not in its second night. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "data/loader.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_THREADS 64
#define NAMED 3 /* damaged pictures that the error names */

int tl__thread_count(int threads)
{
    if (threads == TL_THREADS_NONE) return 0;
    if (threads <= 0) {
        /* The processors that this process may use, not those of the machine. */
        cpu_set_t set;
        threads = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
        if (threads > 8) threads = 8;
    }
    return threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads;
}

/* A list that grows. */
typedef struct bad_list {
    tl_bad_picture *at;
    int64_t count, capacity;
} bad_list;

/* State that the threads of a check share, behind the lock. */
typedef struct check {
    const tl_source *source;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int64_t next, done;
    int stopping, running;
    bad_list bad, note;
    tl_error error; /* what is not a damaged picture: a lack of memory */
} check;

/* Puts a line about a sample on a list. The lock is held. */
static void add_to(check *c, bad_list *list, int64_t index, const tl_error *error)
{
    if (error->code == TL_EMEMORY) tl__fail(&c->error, error->code, "%s", error->text);
    if (list->count == list->capacity && !c->error.code) {
        int64_t capacity = list->capacity ? 2 * list->capacity : 16;
        tl_bad_picture *at = tl__realloc(&c->error, list->at, (size_t)capacity * sizeof *at);
        if (at) {
            list->at = at;
            list->capacity = capacity;
        }
    }
    char *reason = c->error.code ? NULL : tl__strdup(&c->error, error->text);
    if (reason) list->at[list->count++] = (tl_bad_picture){index, reason};
    if (c->error.code) c->stopping = 1;
}

/* A mask is read too, and must be as large as its picture. */
static int read_sample(tl_error *err, const tl_source *s, int64_t i, tl_image *image, tl_target *target)
{
    int masked = (s->fields & TL_FIELD_MASK) != 0;
    tl_image_request request = {.smallest_side = masked ? 0 : 1};
    if (tl__source_read(err, s, i, &request, image) != 0) return -1;
    if (!masked || tl__source_target(err, s, i, TL_FIELD_MASK, target) != 0) return masked ? -1 : 0;
    return tl__target_fits(err, target, image->width, image->height);
}

/* All of a volume is read, with its mask. */
static int read_volume(tl_error *err, const tl_source *s, int64_t i)
{
    tl_volume image = {.data = NULL}, mask = {.data = NULL};
    int bad = tl__source_volume(err, s, i, &image, s->fields & TL_FIELD_MASK ? &mask : NULL);
    tl__volume_free(&image);
    tl__volume_free(&mask);
    return bad;
}

#define CLIPPED 1e-3 /* a share of samples at full scale that is heard */

/* A clip in which nothing is heard is bad; what can be learnt from all the same is a note. */
static int hear_clip(tl_error *err, tl_error *note, const tl_source *s, int64_t i)
{
    tl_audio_heard h = {0};
    char sides[64] = "";
    if (tl__source_wave(err, s, i, &(tl_audio_request){0}, &h, NULL) != 0) return -1;
    char *name = tl__source_name(err, s, i);
    if (!name) return -1;
    for (int c = 0; c < h.channels && strlen(sides) < 40; c++)
        if (h.silent >> c & 1)
            snprintf(sides + strlen(sides), sizeof sides - strlen(sides), "%s%d", *sides ? ", " : "", c + 1);
    if (tl__audio_is_silent(&h))
        tl__fail(err, TL_EFORMAT, "%s: nothing is heard in it, no sample is louder than -66 dB; leave it out", name);
    else if (h.peak > 8)
        tl__fail(note, TL_EFORMAT, "%s: samples go up to %g, and sound of floats goes from -1 to 1", name,
                 (double)h.peak);
    else if (h.clipped > CLIPPED)
        tl__fail(note, TL_EFORMAT, "%s: %.1f %% of its samples are at full scale: it was recorded too loud", name,
                 100 * h.clipped);
    else if (*sides)
        tl__fail(note, TL_EFORMAT, "%s: channel %s of %d is silent, the others are taken whole", name, sides,
                 h.channels);
    free(name);
    return err->code ? -1 : 0;
}

/* Is sample i a tile of the same picture as the one before it? That one has been read as a whole. */
static int goes_with_last(const tl_source *s, int64_t i)
{
    int64_t number;
    if (!s->tiled || i == 0) return 0;
    return strcmp(s->ops->locate(s, i, &number), s->ops->locate(s, i - 1, &number)) == 0;
}

/* Checks samples until none is left. The lock is held on entry and exit. */
static void check_one(check *c, tl_image *image, tl_target *target)
{
    int64_t i = c->next++;
    tl_error error = {0}, note = {0};
    unsigned fields = c->source->fields;
    if (goes_with_last(c->source, i)) return;
    pthread_mutex_unlock(&c->lock);
    int bad = (fields & TL_FIELD_WAVE     ? hear_clip(&error, &note, c->source, i)
               : fields & TL_FIELD_VOLUME ? read_volume(&error, c->source, i)
                                          : read_sample(&error, c->source, i, image, target)) != 0;
    pthread_mutex_lock(&c->lock);
    c->done++;
    if (bad) add_to(c, &c->bad, i, &error);
    if (note.code) add_to(c, &c->note, i, &note);
}

static void *check_some(void *argument)
{
    check *c = argument;
    tl_image image = {0};
    tl_target target = {0};
    pthread_mutex_lock(&c->lock);
    while (c->next < c->source->count && !c->stopping) check_one(c, &image, &target);
    c->running--;
    pthread_cond_signal(&c->moved);
    pthread_mutex_unlock(&c->lock);
    tl__image_free(&image);
    tl__target_free(&target);
    return NULL;
}

/* Asks the caller, every fifth of a second, whether to go on. The lock is held. */
static void ask(check *c, tl_check_report *report)
{
    int64_t done = c->done;
    if (!report->progress) return;
    pthread_mutex_unlock(&c->lock);
    int stop = report->progress(report->user, done, c->source->count);
    pthread_mutex_lock(&c->lock);
    if (stop && !c->error.code) {
        tl__fail(&c->error, TL_EINTERRUPT, "stopped after %lld of %lld %s were checked", (long long)done,
                 (long long)c->source->count, tl__source_word(c->source, 0));
        c->stopping = 1;
    }
}

static void run_threads(check *c, int threads, tl_check_report *report)
{
    pthread_t thread[MAX_THREADS];
    int started = 0;
    pthread_mutex_lock(&c->lock);
    ask(c, report); /* once at least, however quick the threads are */
    c->running = threads;
    pthread_mutex_unlock(&c->lock);
    while (started < threads && pthread_create(&thread[started], NULL, check_some, c) == 0) started++;
    pthread_mutex_lock(&c->lock);
    c->running -= threads - started;
    while (c->running > 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 200000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&c->moved, &c->lock, &until);
        ask(c, report);
    }
    pthread_mutex_unlock(&c->lock);
    for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
    /* Where no thread could be had, and for what is left then. */
    if (c->next < c->source->count && !c->stopping) {
        c->running = 1;
        check_some(c);
    }
}

static int by_index(const void *a, const void *b)
{
    int64_t x = ((const tl_bad_picture *)a)->index, y = ((const tl_bad_picture *)b)->index;
    return x < y ? -1 : x > y;
}

/* "picture", without its article. */
static const char *one_of(const tl_source *s) { return tl__source_word(s, 1) + 2; }

/* "3 of 500 pictures are damaged: A; B; C (on_bad = "skip" leaves them out)" */
static void fail_with_names(tl_error *err, const tl_source *s, const tl_check_report *r)
{
    char list[900] = ""; /* what the error's text holds beside the words around it */
    int named = r->bad_count < NAMED ? (int)r->bad_count : NAMED, each = 880 / named;
    for (int i = 0; i < named; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%.*s", i ? "; " : "", each, r->bad[i].reason);
    }
    tl__fail(err, TL_EFORMAT, "%lld of %lld %s cannot be %s: %s%s (on_bad = \"skip\" leaves them out)",
             (long long)r->bad_count, (long long)r->checked, r->checked == 1 ? one_of(s) : tl__source_word(s, 0),
             s->fields & TL_FIELD_WAVE ? "learnt from" : "read", list, r->bad_count > NAMED ? "; ..." : "");
}

/* The source without the damaged pictures. */
static tl_source *without_bad(tl_error *err, tl_source *source, const tl_check_report *r)
{
    if (r->bad_count == r->checked) {
        if (r->checked == 1)
            tl__fail(err, TL_EFORMAT, "the only %s cannot be read: %s", one_of(source), r->bad[0].reason);
        else
            tl__fail(err, TL_EFORMAT, "none of the %lld %s can be read; the first: %s", (long long)r->checked,
                     tl__source_word(source, 0), r->bad[0].reason);
        return NULL;
    }
    int64_t *index = tl__malloc(err, (size_t)source->count * sizeof *index), n = 0;
    int with_bad = 0;
    for (int64_t i = 0, b = 0; index && i < source->count; i++) {
        int bad = b < r->bad_count && r->bad[b].index == i;
        if (bad) b++;
        else if (!goes_with_last(source, i) || !with_bad) index[n++] = i;
        with_bad = bad || (with_bad && goes_with_last(source, i));
    }
    tl_source *view = index ? tl__source_subset(err, source, index, n) : NULL;
    free(index);
    return view;
}

tl_source *tl__loader_check(tl_error *err, tl_source *source, int threads, int on_bad, tl_check_report *report)
{
    report->checked = report->bad_count = report->note_count = 0;
    report->bad = report->note = NULL;
    if (source->alone || (!source->ops->from_files && !(source->fields & (TL_FIELD_MASK | TL_FIELD_WAVE))))
        return tl__source_retain(source);
    check c = {.source = source};
    pthread_mutex_init(&c.lock, NULL);
    pthread_cond_init(&c.moved, NULL);
    run_threads(&c, tl__thread_count(threads), report);
    pthread_mutex_destroy(&c.lock);
    pthread_cond_destroy(&c.moved);
    if (c.bad.count) qsort(c.bad.at, (size_t)c.bad.count, sizeof *c.bad.at, by_index);
    if (c.note.count) qsort(c.note.at, (size_t)c.note.count, sizeof *c.note.at, by_index);
    report->checked = c.done;
    report->bad = c.bad.at;
    report->bad_count = c.bad.count;
    report->note = c.note.at;
    report->note_count = c.note.count;
    if (c.error.code) {
        tl__fail(err, c.error.code, "%s", c.error.text);
        return NULL;
    }
    if (c.bad.count == 0) return tl__source_retain(source);
    if (on_bad == TL_BAD_SKIP) return without_bad(err, source, report);
    fail_with_names(err, source, report);
    return NULL;
}

static void free_list(tl_bad_picture *list, int64_t count)
{
    for (int64_t i = 0; i < count; i++) free(list[i].reason);
    free(list);
}

void tl__check_report_free(tl_check_report *report)
{
    free_list(report->bad, report->bad_count);
    free_list(report->note, report->note_count);
    report->bad = report->note = NULL;
    report->bad_count = report->note_count = 0;
}
