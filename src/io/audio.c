/* audio.c - from interleaved frames to samples of one channel at one rate: whole files, windows of them, and streams.
 * Frames go through in small windows, so that only what comes out lies in memory. */
#define _POSIX_C_SOURCE 200809L
#include "io/audio_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW 65536 /* samples of all channels that are decoded at once */
#define FULL_SCALE (32767.0f / 32768)

int tl__wave_reserve(tl_error *err, tl_wave *w, int64_t capacity)
{
    if (capacity <= w->capacity) return 0;
    if (capacity < w->capacity + w->capacity / 2) capacity = w->capacity + w->capacity / 2;
    float *data = tl__realloc(err, w->data, (size_t)capacity * sizeof *data);
    if (!data) return -1;
    w->data = data;
    w->capacity = capacity;
    return 0;
}

void tl__wave_free(tl_wave *w)
{
    free(w->data);
    *w = (tl_wave){0};
}

/* The most samples that are read, or -1. */
static int64_t most_samples(tl_error *err)
{
    const char *text = getenv("TLUA_MAX_SAMPLES");
    if (!text || !*text) return TL_AUDIO_MOST_SAMPLES;
    char *end;
    errno = 0;
    long long most = strtoll(text, &end, 10);
    if (*end || errno || most < 1 || most > TL_AUDIO_MOST_SAMPLES)
        return tl__fail(err, TL_EARG, "TLUA_MAX_SAMPLES is %.40s, and must be a whole number from 1 to %lld", text,
                        (long long)TL_AUDIO_MOST_SAMPLES);
    return most;
}

/* ---- many channels become one ---- */

/* What was heard so far, and memory of one window. */
typedef struct ear {
    int channels, channel; /* channel from 1 is taken alone; 0: all are mixed */
    int64_t window;        /* frames */
    int64_t frames, clipped;
    float peak[TL_AUDIO_MOST_CHANNELS];
    float *frame, *mono;
} ear;

static int ear_open(tl_error *err, ear *e, const tl_frames *f, int channel)
{
    *e = (ear){.channels = f->channels, .channel = channel, .window = WINDOW / f->channels};
    if (channel < 0 || channel > f->channels)
        return tl__fail(err, TL_EARG, "%s: channel %d, and there %s %d", f->name, channel,
                        f->channels > 1 ? "are" : "is", f->channels);
    e->frame = tl__malloc(err, (size_t)e->window * (size_t)f->channels * sizeof *e->frame);
    e->mono = e->frame ? tl__malloc(err, (size_t)e->window * sizeof *e->mono) : NULL;
    return e->mono ? 0 : -1;
}

static void ear_close(ear *e)
{
    free(e->frame);
    free(e->mono);
}

/* What the sum of the channels is multiplied by: silent ones do not count, unless all are. */
static float share_of(const ear *e)
{
    int loud = 0;
    for (int c = 0; c < e->channels; c++) loud += e->peak[c] > TL_AUDIO_SILENCE;
    return e->channel ? 1 : 1.0f / (float)(loud ? loud : e->channels);
}

/* Looks at a window of frames, and puts their sum, or the channel that is wanted, into `mono`. */
static int listen(tl_error *err, ear *e, const char *name, int64_t frames)
{
    for (int64_t i = 0; i < frames; i++) {
        const float *x = e->frame + i * e->channels;
        float sum = 0;
        for (int c = 0; c < e->channels; c++) {
            float a = fabsf(x[c]);
            if (!(a < INFINITY))
                return tl__fail(err, TL_EFORMAT,
                                "%s: sample %lld is %s; write the file anew without such, or leave it out", name,
                                (long long)(e->frames + i + 1), isnan(x[c]) ? "not a number" : "infinite");
            if (a > e->peak[c]) e->peak[c] = a;
            e->clipped += a >= FULL_SCALE;
            sum += x[c];
        }
        e->mono[i] = e->channel ? x[e->channel - 1] : sum;
    }
    e->frames += frames;
    return 0;
}

static void tell_heard(const ear *e, tl_audio_heard *h)
{
    *h = (tl_audio_heard){.channels = e->channels};
    for (int c = 0; c < e->channels; c++) {
        if (e->peak[c] <= TL_AUDIO_SILENCE) h->silent |= (uint64_t)1 << c;
        if (e->peak[c] > h->peak) h->peak = e->peak[c];
    }
    if (e->frames) h->clipped = (double)e->clipped / ((double)e->frames * e->channels);
}

int tl__audio_is_silent(const tl_audio_heard *h) { return h->peak <= TL_AUDIO_SILENCE; }

/* ---- a file, or a window of one ---- */

/* A window in frames of the file, with room on both sides for what the filter of another rate looks at. */
typedef struct span {
    int64_t begin, end; /* below 0: nothing is there, zeros stand for it; end -1: not known */
    int64_t lead;       /* samples that come out before the first that is wanted */
    int64_t wanted;     /* samples; -1: all that come */
} span;

static int64_t common(int64_t a, int64_t b)
{
    while (b) {
        int64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

static int too_long(tl_error *err, const char *name, int64_t most)
{
    return tl__fail(
        err, TL_EFORMAT,
        "%s: more than the %lld samples that are read at once; read it in windows (from, seconds), or as a stream",
        name, (long long)most);
}

static int plan(tl_error *err, const tl_frames *f, const tl_audio_request *q, int rate, int64_t most, span *s)
{
    int64_t n = f->frames, count = q->count ? q->count : n < 0 ? -1 : n - q->from;
    if (n >= 0 && q->from >= n)
        return tl__fail(err, TL_EFORMAT, "%s: sample %lld is wanted, and there are %lld", f->name,
                        (long long)q->from + 1, (long long)n);
    if (q->from < 0 || q->count < 0 || (n >= 0 && count > n - q->from))
        return tl__fail(err, TL_EFORMAT, "%s: samples %lld to %lld are wanted, and there are %lld", f->name,
                        (long long)q->from + 1, (long long)(q->from + q->count), (long long)n);
    if (count >= 0 && (count > most || (double)count * rate / f->rate > (double)most))
        return too_long(err, f->name, most);
    *s = (span){.begin = q->from,
                .end = count < 0 ? -1 : q->from + count,
                .wanted = count < 0 ? -1 : tl__audio_length(count, f->rate, rate)};
    if (rate == f->rate) return 0;
    /* 20 ms at the lower rate are more than the filter's reach; both rates meet every `step` frames. */
    int64_t step = f->rate / common(f->rate, rate),
            reach = f->rate / 50 + 256 * (int64_t)f->rate / (rate < f->rate ? rate : f->rate);
    reach = (reach + step - 1) / step * step;
    if (q->from > 0) {
        s->begin = q->from - reach;
        s->lead = reach / step * (rate / common(f->rate, rate));
    }
    if (s->end >= 0) s->end = n >= 0 && n - s->end < reach ? n : s->end + reach;
    return 0;
}

static int push_zeros(tl_error *err, ear *e, tl_rates *r, int64_t count, tl_wave *out)
{
    int status = 0;
    memset(e->mono, 0, (size_t)e->window * sizeof *e->mono);
    for (int64_t n; status == 0 && count > 0; count -= n) {
        n = count < e->window ? count : e->window;
        status = tl__rates_push(err, r, e->mono, n, out);
    }
    return status;
}

static int push_frames(tl_error *err, tl_frames *f, ear *e, tl_rates *r, int64_t count, int64_t most, tl_wave *out)
{
    while (count != 0) {
        int64_t n = f->ops->read(err, f, e->frame, count < 0 || count > e->window ? e->window : count);
        if (n <= 0) return n < 0 ? -1 : 0;
        if (listen(err, e, f->name, n) != 0 || tl__rates_push(err, r, e->mono, n, out) != 0) return -1;
        if (count > 0) count -= n;
        if (count < 0 && out->count > most) return too_long(err, f->name, most);
    }
    return 0;
}

/* Leaves what is wanted of what came out, each channel with its share. */
static int settle(tl_error *err, const ear *e, const span *s, tl_wave *out)
{
    int64_t n = s->wanted < 0 ? out->count - s->lead : s->wanted,
            there = out->count - s->lead < n ? out->count - s->lead : n;
    float share = share_of(e);
    if (tl__wave_reserve(err, out, n) != 0) return -1;
    for (int64_t i = 0; i < there; i++) out->data[i] = out->data[i + s->lead] * share;
    for (int64_t i = there < 0 ? 0 : there; i < n; i++) out->data[i] = 0; /* soxr may round a half the other way */
    out->count = n;
    return 0;
}

/* Nothing but what is to be noticed. */
static int hear_frames(tl_error *err, tl_frames *f, const tl_audio_request *q, tl_audio_heard *heard)
{
    ear e = {0};
    span s = {0};
    int status = plan(err, f, q, f->rate, INT64_MAX, &s) == 0 ? ear_open(err, &e, f, q->channel) : -1;
    if (status == 0 && s.begin > 0) status = tl__sound_seek(err, f, s.begin);
    for (int64_t n = 1, left = s.end - s.begin; status == 0 && n > 0 && (s.end < 0 || left > 0); left -= n) {
        n = f->ops->read(err, f, e.frame, s.end < 0 || left > e.window ? e.window : left);
        status = n < 0 ? -1 : listen(err, &e, f->name, n);
    }
    if (status == 0 && e.frames == 0)
        status = tl__fail(err, TL_EFORMAT, "%s: the file has no samples; get it anew, or leave it out", f->name);
    if (heard) tell_heard(&e, heard);
    ear_close(&e);
    return status;
}

static int read_frames(tl_error *err, tl_frames *f, const tl_audio_request *q, tl_audio_heard *heard, tl_wave *out)
{
    int rate = q->rate ? q->rate : f->rate, status = -1;
    int64_t most = most_samples(err);
    ear e = {0};
    span s = {0};
    out->count = 0;
    out->rate = rate;
    tl_rates *r = most < 0 ? NULL : tl__rates_open(err, f->name, f->rate, rate);
    if (r && plan(err, f, q, rate, most, &s) == 0 && ear_open(err, &e, f, q->channel) == 0) {
        status = s.begin > 0 ? tl__sound_seek(err, f, s.begin) : 0;
        if (status == 0 && s.begin < 0) status = push_zeros(err, &e, r, -s.begin, out);
        int64_t first = s.begin > 0 ? s.begin : 0;
        if (status == 0) status = push_frames(err, f, &e, r, s.end < 0 ? -1 : s.end - first, most, out);
        if (status == 0 && e.frames == 0)
            status = tl__fail(err, TL_EFORMAT, "%s: the file has no samples; get it anew, or leave it out", f->name);
        if (status == 0) status = tl__rates_push(err, r, NULL, 0, out);
        if (status == 0) status = settle(err, &e, &s, out);
        if (heard) tell_heard(&e, heard);
    }
    ear_close(&e);
    tl__rates_close(r);
    return status;
}

/* How long a file is that does not say so. */
static int count_frames(tl_error *err, tl_frames *f, int64_t *frames)
{
    float *window = tl__malloc(err, WINDOW * sizeof *window);
    int64_t n = window ? 1 : -1;
    for (*frames = 0; n > 0; *frames += n) n = f->ops->read(err, f, window, WINDOW / f->channels);
    free(window);
    if (n == 0 && *frames == 0)
        return tl__fail(err, TL_EFORMAT, "%s: the file has no samples; get it anew, or leave it out", f->name);
    return n < 0 ? -1 : 0;
}

int tl__audio_info(tl_error *err, const char *path, tl_audio_info *info)
{
    tl_frames *f = tl__sound_file(err, path, NULL, 0, info);
    int status = !f ? -1 : info->frames < 0 ? count_frames(err, f, &info->frames) : 0;
    if (f) f->ops->close(f);
    return status;
}

int tl__audio_read(tl_error *err, const char *path, const tl_audio_request *request, tl_audio_heard *heard,
                   tl_wave *out)
{
    return tl__audio_decode(err, path, NULL, 0, request, NULL, heard, out);
}

int tl__audio_decode(tl_error *err, const char *name, const void *data, size_t bytes, const tl_audio_request *request,
                     tl_audio_info *info, tl_audio_heard *heard, tl_wave *out)
{
    tl_frames *f = tl__sound_file(err, name, data, bytes, info);
    int status = !f ? -1 : out ? read_frames(err, f, request, heard, out) : hear_frames(err, f, request, heard);
    if (f) f->ops->close(f);
    return status;
}

/* ---- streams ---- */

struct tl_audio_stream {
    tl_frames *frames;
    tl_rates *rates;
    ear ear;
    tl_wave ready;
    int ended, rate;
};

/* Standard input that is a file is read as one, and so is every path to one; the rest are pipes. */
static tl_frames *open_frames(tl_error *err, const char *path, int raw_rate)
{
    struct stat st;
    int standard = strcmp(path, "-") == 0;
    if (standard && (raw_rate || fstat(STDIN_FILENO, &st) != 0 || !S_ISREG(st.st_mode)))
        return tl__sound_pipe(err, "standard input", STDIN_FILENO, 0, raw_rate);
    if (standard) path = "/dev/stdin";
    if (!raw_rate && (stat(path, &st) != 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
        return tl__sound_file(err, path, NULL, 0, NULL);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) return tl__sound_pipe(err, path, fd, 1, raw_rate);
    tl__fail(err, TL_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    return NULL;
}

tl_audio_stream *tl__audio_open(tl_error *err, const char *path, int rate, int raw_rate)
{
    tl_audio_stream *s = tl__calloc(err, 1, sizeof *s);
    if (s && (s->frames = open_frames(err, path, raw_rate)) != NULL && ear_open(err, &s->ear, s->frames, 0) == 0) {
        s->rate = rate ? rate : s->frames->rate;
        s->rates = tl__rates_open(err, s->frames->name, s->frames->rate, s->rate);
        if (s->rates) return s;
    }
    tl__audio_close(s);
    return NULL;
}

/* One window more, no longer than what is wanted, so that a pipe is not waited for in vain. */
static int hear_more(tl_error *err, tl_audio_stream *s, int64_t wanted)
{
    ear *e = &s->ear;
    int64_t most = wanted * s->frames->rate / s->rate + 1;
    int64_t n = s->frames->ops->read(err, s->frames, e->frame, most < e->window ? most : e->window);
    if (n < 0 || listen(err, e, s->frames->name, n) != 0) return -1;
    s->ended = n == 0;
    float share = share_of(e);
    for (int64_t i = 0; i < n; i++) e->mono[i] *= share;
    return tl__rates_push(err, s->rates, n ? e->mono : NULL, n, &s->ready);
}

int tl__audio_next(tl_error *err, tl_audio_stream *s, int64_t count, tl_wave *out)
{
    tl_wave *from = &s->ready;
    out->count = 0;
    out->rate = s->rate;
    int64_t most = most_samples(err);
    if (most < 0) return -1;
    if (count > most) return too_long(err, s->frames->name, most);
    while (from->count < count && !s->ended)
        if (hear_more(err, s, count - from->count) != 0) return -1;
    int64_t n = from->count < count ? from->count : count;
    if (n == 0) return 0;
    if (tl__wave_reserve(err, out, n) != 0) return -1;
    memcpy(out->data, from->data, (size_t)n * sizeof *out->data);
    out->count = n;
    from->count -= n;
    memmove(from->data, from->data + n, (size_t)from->count * sizeof *from->data);
    return 1;
}

int tl__audio_stream_rate(const tl_audio_stream *s) { return s->rate; }

void tl__audio_close(tl_audio_stream *s)
{
    if (!s) return;
    if (s->frames) s->frames->ops->close(s->frames);
    tl__rates_close(s->rates);
    ear_close(&s->ear);
    tl__wave_free(&s->ready);
    free(s);
}
