/* clips.c - sound by list: headers read once by several threads, samples when they are asked for. */
#include "data/clips.h"

#include "data/loader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MAX_THREADS 64

struct tl_clips {
    int64_t count;
    char **path;             /* NULL: in memory */
    int64_t *first, *frames; /* of files: as asked; frames 0: to the end */
    tl_wave *wave;
    char (*hash)[65]; /* of each of these */
    tl_clip *about;
};

void tl__clips_free(tl_clips *c)
{
    if (!c) return;
    tl__names_free(c->path, c->count);
    for (int64_t i = 0; c->wave && i < c->count; i++) tl__wave_free(&c->wave[i]);
    free(c->wave);
    free(c->hash);
    free(c->first);
    free(c->frames);
    free(c->about);
    free(c);
}

/* ---- headers ---- */

typedef struct headers {
    tl_clips *clips;
    pthread_mutex_t lock;
    int64_t next;
    tl_error error; /* what is no fault of a file */
} headers;

/* Clips that a thread takes at once, so that parts of one file mostly need its header once. */
#define SOME 64

static void read_header(headers *h, int64_t i, tl_audio_info *info, const char **before)
{
    tl_clips *c = h->clips;
    tl_error error = {0};
    if (!*before || strcmp(*before, c->path[i]) != 0) {
        *before = c->path[i];
        if (tl__audio_info(&error, c->path[i], info) != 0) *info = (tl_audio_info){0};
    }
    if (error.code && error.code != TL_EFORMAT && error.code != TL_EIO) {
        pthread_mutex_lock(&h->lock);
        tl__fail(&h->error, error.code, "%s", error.text);
        pthread_mutex_unlock(&h->lock);
    }
    int64_t first = c->first ? c->first[i] : 0, left = info->frames - first, asked = c->frames ? c->frames[i] : 0;
    int64_t frames = asked ? asked : left;
    c->about[i] = (tl_clip){.frames = left > 0 && frames <= left ? frames : 0, .rate = info->rate};
}

static void *read_headers(void *argument)
{
    headers *h = argument;
    for (;;) {
        tl_audio_info info = {0};
        const char *before = NULL;
        pthread_mutex_lock(&h->lock);
        int64_t from = h->next, to = from + SOME < h->clips->count ? from + SOME : h->clips->count;
        h->next = to;
        int stop = from >= to || h->error.code;
        pthread_mutex_unlock(&h->lock);
        if (stop) return NULL;
        for (int64_t i = from; i < to; i++) read_header(h, i, &info, &before);
    }
}

static int measure_files(tl_error *err, tl_clips *c)
{
    pthread_t thread[MAX_THREADS];
    headers h = {.clips = c};
    int threads = c->count > SOME ? tl__thread_count(0) : 0, started = 0;
    pthread_mutex_init(&h.lock, NULL);
    while (started < threads && pthread_create(&thread[started], NULL, read_headers, &h) == 0) started++;
    read_headers(&h);
    for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
    pthread_mutex_destroy(&h.lock);
    return h.error.code ? tl__fail(err, h.error.code, "%s", h.error.text) : 0;
}

/* ---- opening ---- */

static int64_t *numbers(tl_error *err, const int64_t *from, int64_t count)
{
    int64_t *to = tl__malloc(err, (size_t)count * sizeof *to + 1);
    if (to && count) memcpy(to, from, (size_t)count * sizeof *to);
    return to;
}

static int take_files(tl_error *err, tl_clips *c, const char *const *path, const int64_t *first, const int64_t *frames)
{
    for (int64_t i = 0; i < c->count; i++)
        if ((first && first[i] < 0) || (frames && frames[i] < 0))
            return tl__fail(err, TL_EARG, "%s: first and frames count from 0", path[i]);
    if ((c->path = tl__names_copy(err, path, c->count)) == NULL) return -1;
    if (first && (c->first = numbers(err, first, c->count)) == NULL) return -1;
    if (frames && (c->frames = numbers(err, frames, c->count)) == NULL) return -1;
    return measure_files(err, c);
}

/* The waves themselves, at the very end: until then they are the caller's. */
static int take_waves(tl_error *err, tl_clips *c, tl_wave *wave)
{
    for (int64_t i = 0; i < c->count; i++) {
        char name[40];
        snprintf(name, sizeof name, "waves#%lld", (long long)i + 1);
        if (wave[i].rate < TL_AUDIO_LEAST_RATE || wave[i].rate > TL_AUDIO_MOST_RATE)
            return tl__fail(err, TL_EARG, "%s: a rate of %d Hz, and sound has %d to %d", name, wave[i].rate,
                            TL_AUDIO_LEAST_RATE, TL_AUDIO_MOST_RATE);
        if (wave[i].count < 1) return tl__fail(err, TL_EARG, "%s: there are no samples", name);
    }
    c->hash = tl__malloc(err, (size_t)c->count * sizeof *c->hash + 1);
    c->wave = c->hash ? tl__calloc(err, (size_t)c->count, sizeof *c->wave) : NULL;
    for (int64_t i = 0; c->wave && i < c->count; i++) {
        tl_sha256 h;
        tl__sha256_init(&h);
        tl__sha256_update(&h, &wave[i].rate, sizeof wave[i].rate);
        tl__sha256_update(&h, wave[i].data, (size_t)wave[i].count * sizeof *wave[i].data);
        tl__sha256_final(&h, c->hash[i]);
        c->about[i] = (tl_clip){.frames = wave[i].count, .rate = wave[i].rate};
        c->wave[i] = wave[i];
        wave[i] = (tl_wave){0};
    }
    return c->wave ? 0 : -1;
}

tl_clips *tl__clips_open(tl_error *err, int64_t count, const char *const *path, const int64_t *first,
                         const int64_t *frames, tl_wave *wave)
{
    tl_clips *c = tl__calloc(err, 1, sizeof *c);
    if (!c) return NULL;
    c->count = count;
    c->about = tl__calloc(err, (size_t)count, sizeof *c->about);
    if (c->about && (path ? take_files(err, c, path, first, frames) : take_waves(err, c, wave)) == 0) return c;
    tl__clips_free(c);
    return NULL;
}

/* ---- asking ---- */

tl_clip tl__clips_about(const tl_clips *c, int64_t i) { return c->about[i]; }

/* Samples in memory: any window of them is there. */
static int read_memory(tl_error *err, const tl_wave *w, const tl_audio_request *q, tl_audio_heard *heard, tl_wave *out)
{
    tl_error error = {0};
    if (q->from < 0 || q->from >= w->count || q->count > w->count - q->from)
        return tl__fail(err, TL_EARG, "samples %lld to %lld are wanted, and there are %lld", (long long)q->from + 1,
                        (long long)(q->from + q->count), (long long)w->count);
    int64_t n = q->count ? q->count : w->count - q->from;
    if (out && tl__audio_resample(&error, w->data + q->from, n, w->rate, q->rate ? q->rate : w->rate, out) != 0)
        return tl__fail(err, error.code, "%s", error.text);
    if (!heard) return 0;
    *heard = (tl_audio_heard){.channels = 1};
    for (int64_t i = 0; i < n; i++) {
        float a = w->data[q->from + i] < 0 ? -w->data[q->from + i] : w->data[q->from + i];
        if (!(a <= 3e38f))
            return tl__fail(err, TL_EFORMAT, "sample %lld is not a number", (long long)(q->from + i + 1));
        if (a > heard->peak) heard->peak = a;
        heard->clipped += a >= 32767.0f / 32768;
    }
    heard->clipped /= (double)n;
    heard->silent = tl__audio_is_silent(heard);
    return 0;
}

int tl__clips_read(tl_error *err, const tl_clips *c, int64_t i, const tl_audio_request *request, tl_audio_heard *heard,
                   tl_wave *out)
{
    if (c->wave) {
        if (read_memory(err, &c->wave[i], request, heard, out) == 0) return 0;
        tl__error_prefix(err, "waves#%lld: ", (long long)i + 1);
        return -1;
    }
    tl_audio_request q = *request;
    int64_t asked = c->frames ? c->frames[i] : 0;
    if (asked && q.count == 0) q.count = asked - q.from;
    if (asked && (q.from < 0 || q.count < 1 || q.from + q.count > asked))
        return tl__fail(err, TL_EARG, "%s: samples %lld to %lld of a clip of %lld", c->path[i], (long long)q.from + 1,
                        (long long)(q.from + q.count), (long long)asked);
    q.from += c->first ? c->first[i] : 0;
    return tl__audio_read(err, c->path[i], &q, heard, out);
}

const char *tl__clips_locate(const tl_clips *c, int64_t i, int64_t *number)
{
    int part = c->first && (c->first[i] || (c->frames && c->frames[i]));
    *number = c->wave ? i + 1 : part ? c->first[i] : -1;
    return c->wave ? "waves" : c->path[i];
}

void tl__clips_hash(const tl_clips *c, int64_t i, tl_sha256 *h)
{
    if (c->hash) tl__sha256_update(h, c->hash[i], sizeof c->hash[i]);
    if (c->frames) tl__sha256_update(h, &c->frames[i], sizeof c->frames[i]);
}

char *tl__clips_identity(tl_error *err, const tl_clips *c, int64_t i)
{
    return tl__asprintf(err, "waves#%lld %s", (long long)i + 1, c->hash[i]);
}
