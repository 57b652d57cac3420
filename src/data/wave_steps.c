/* wave_steps.c - the table of steps of sound, each with what it does. To add one, write a row: the loader, the parser,
 * the Lua interface and the errors follow from it. */
#include "data/waves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double at(const tl_transform *t, int param, int k) { return t->value[param].at[k]; }

/* Whether a step with the chance `p` is done this time. */
static int happens(tl_record *s, double p) { return tl__sample_uniform(s, 0, 1) < p; }

/* A number from a range that is the parameter's two values. */
static double drawn(tl_record *s, const tl_transform *t, int param)
{
    return tl__sample_uniform(s, at(t, param, 0), at(t, param, 1));
}

static int64_t samples_of(double seconds, int rate) { return (int64_t)floor(seconds * rate + 0.5); }

static double mean_square(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    return n ? sum / (double)n : 0;
}

static int range_check(tl_error *err, const tl_transform *t)
{
    for (int i = 0; t->row->param[i].name; i++)
        if (t->row->param[i].most == 2 && at(t, i, 0) > at(t, i, 1))
            return tl__fail(err, TL_EARG, "%s: %s goes from %g to %g, which is backwards", t->row->name,
                            t->row->param[i].name, at(t, i, 0), at(t, i, 1));
    return 0;
}

/* The wave, without what it had before sample `from`, and `n` samples long at most. */
static void keep(tl_wave *w, int64_t from, int64_t n)
{
    if (n > w->count - from) n = w->count - from;
    memmove(w->data, w->data + from, (size_t)n * sizeof *w->data);
    w->count = n;
}

/* Makes the scratch's wave the sample's. */
static void swap(tl_record *s)
{
    tl_wave w = *s->wave;
    *s->wave = s->scratch->wave;
    s->scratch->wave = w;
}

/* ---- lengths ---- */

/* To so many seconds from anywhere, or of the middle. */
static int random_crop_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    (void)err;
    int64_t n = samples_of(at(t, 0, 0), s->wave->rate), room = s->wave->count - n;
    if (room > 0) keep(s->wave, tl__sample_below(s, room + 1), n);
    return 0;
}

static int center_crop_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    (void)err;
    int64_t n = samples_of(at(t, 0, 0), s->wave->rate), room = s->wave->count - n;
    if (room > 0) keep(s->wave, room / 2, n);
    return 0;
}

static int64_t crop_longest(const tl_transform *t, int64_t count, int rate)
{
    int64_t n = samples_of(at(t, 0, 0), rate);
    return count < n ? count : n;
}

static int pad_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    tl_wave *w = s->wave;
    int64_t n = samples_of(at(t, 0, 0), w->rate), room = n - w->count;
    if (room <= 0) return 0;
    if (tl__wave_reserve(err, w, n) != 0) return -1;
    int64_t before = (int)at(t, 1, 0) == 1 ? room / 2 : 0; /* the second of the places: the middle */
    memmove(w->data + before, w->data, (size_t)w->count * sizeof *w->data);
    memset(w->data, 0, (size_t)before * sizeof *w->data);
    memset(w->data + before + w->count, 0, (size_t)(room - before) * sizeof *w->data);
    w->count = n;
    return 0;
}

static int64_t pad_longest(const tl_transform *t, int64_t count, int rate)
{
    int64_t n = samples_of(at(t, 0, 0), rate);
    return count > n ? count : n;
}

/* Frames of 10 ms; what stands `db` below the loudest at either end is left out, but for `keep` seconds of it. */
static int trim_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    (void)err;
    tl_wave *w = s->wave;
    int64_t step = w->rate / 100, frames = (w->count + step - 1) / step, first = 0, last = frames - 1;
    int64_t more = samples_of(at(t, 1, 0), w->rate);
    double loudest = 0;
#define LOUDNESS(i) mean_square(w->data + (i)*step, w->count - (i)*step < step ? w->count - (i)*step : step)
    for (int64_t i = 0; i < frames; i++) loudest = fmax(loudest, LOUDNESS(i));
    double least = loudest * pow(10, -at(t, 0, 0) / 10);
    if (loudest <= 0) return 0; /* all of it is silent */
    while (LOUDNESS(first) < least) first++;
    while (LOUDNESS(last) < least) last--;
    int64_t from = first * step - more, to = (last + 1) * step + more;
    if (from < 0) from = 0;
    keep(w, from, to - from);
    return 0;
}

/* ---- what recordings differ in ---- */

static int gain_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    (void)err;
    if (!happens(s, at(t, 1, 0))) return 0;
    float factor = (float)pow(10, drawn(s, t, 0) / 20);
    for (int64_t i = 0; i < s->wave->count; i++) s->wave->data[i] *= factor;
    return 0;
}

/* Played so many times as fast, which moves the pitch too; in steps of a hundredth, so that the filters are short. */
static int speed_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    if (!happens(s, at(t, 1, 0))) return 0;
    int rate = s->wave->rate, from = (int)floor(rate * floor(drawn(s, t, 0) * 100 + 0.5) / 100 + 0.5);
    if (from == rate) return 0;
    if (tl__audio_resample(err, s->wave->data, s->wave->count, from, rate, &s->scratch->wave) != 0) return -1;
    swap(s);
    return 0;
}

static int64_t speed_longest(const tl_transform *t, int64_t count, int rate)
{
    int from = (int)floor(rate * floor(at(t, 0, 0) * 100 + 0.5) / 100 + 0.5);
    int64_t slow = tl__audio_length(count, from, rate);
    return slow > count ? slow : count;
}

/* Later or earlier by so many seconds; what leaves is lost, and zeros come in. */
static int shift_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    (void)err;
    tl_wave *w = s->wave;
    if (!happens(s, at(t, 1, 0))) return 0;
    int64_t by = samples_of(drawn(s, t, 0), w->rate), far = by < 0 ? -by : by;
    if (far > w->count) far = w->count;
    if (by > 0) memmove(w->data + far, w->data, (size_t)(w->count - far) * sizeof *w->data);
    if (by < 0) memmove(w->data, w->data + far, (size_t)(w->count - far) * sizeof *w->data);
    memset(by > 0 ? w->data : w->data + w->count - far, 0, (size_t)far * sizeof *w->data);
    return 0;
}

/* A part of a noise, or one that is too short over and over from anywhere on. */
static int draw_noise(tl_error *err, tl_record *s, tl_wave *noise)
{
    int64_t k = tl__sample_below(s, s->noise->count), n = s->wave->count;
    int rate = s->wave->rate;
    tl_clip clip = tl__source_clip(s->noise, k);
    tl_audio_request q = {.rate = rate};
    int64_t need = clip.frames ? (int64_t)ceil((double)n * clip.rate / rate) : 0;
    if (need && need < clip.frames) {
        q.from = tl__sample_below(s, clip.frames - need + 1);
        q.count = need;
    }
    if (tl__source_wave(err, s->noise, k, &q, NULL, noise) != 0) return -1;
    int64_t there = noise->count, turn = there < n ? tl__sample_below(s, there) : 0;
    if (there == 0) return tl__fail(err, TL_EFORMAT, "a noise is too short");
    if (there >= n) {
        noise->count = n;
        return 0;
    }
    if (tl__wave_reserve(err, noise, n + there) != 0) return -1;
    for (int64_t i = there; i < n + turn; i++) noise->data[i] = noise->data[i - there];
    noise->count = n + turn;
    keep(noise, turn, n);
    return 0;
}

/* Noise of a mean square that is `snr` dB below that of the clip. */
static int noise_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    if (!happens(s, at(t, 1, 0))) return 0;
    double snr = drawn(s, t, 0), signal = mean_square(s->wave->data, s->wave->count);
    tl_wave *noise = &s->scratch->other;
    if (draw_noise(err, s, noise) != 0) return -1;
    double strength = mean_square(noise->data, noise->count);
    if (strength <= 0) return 0;
    float factor = (float)sqrt(signal / (strength * pow(10, snr / 10)));
    for (int64_t i = 0; i < s->wave->count; i++) s->wave->data[i] += factor * noise->data[i];
    return 0;
}

/* ---- the telephone ---- */

/* One section of a filter, in the form of the Audio EQ Cookbook (R. Bristow-Johnson). */
static void section(tl_wave *w, double hertz, double q, int high)
{
    double v = 2 * 3.14159265358979323846 * hertz / w->rate, c = cos(v), alpha = sin(v) / (2 * q);
    double b0 = (high ? 1 + c : 1 - c) / 2, b1 = high ? -(1 + c) : 1 - c, a0 = 1 + alpha, a1 = -2 * c, a2 = 1 - alpha;
    double x1 = 0, x2 = 0, y1 = 0, y2 = 0;
    for (int64_t i = 0; i < w->count; i++) {
        double x = w->data[i], y = (b0 * x + b1 * x1 + b0 * x2 - a1 * y1 - a2 * y2) / a0;
        x2 = x1, x1 = x;
        y2 = y1, y1 = y;
        w->data[i] = (float)y;
    }
}

/* 8 bits of the law that telephones have (ITU-T G.711, mu = 255). */
static float companded(float x)
{
    double a = fabs((double)x) > 1 ? 1 : fabs((double)x), law = floor(127 * log1p(255 * a) / log(256) + 0.5) / 127;
    return (float)copysign((pow(256, law) - 1) / 255, x);
}

/* To 8 kHz, the band of a Butterworth filter of fourth order on either side, 8 bits, and back. */
static int telephone_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    tl_wave *line = &s->scratch->other, *w = s->wave;
    static const double q[] = {0.54119610, 1.30656296};
    int64_t count = w->count;
    int rate = w->rate, narrow = rate < 8000 ? rate : 8000;
    if (!happens(s, at(t, 1, 0))) return 0;
    if (tl__audio_resample(err, w->data, count, rate, narrow, line) != 0) return -1;
    for (int k = 0; k < 2; k++) {
        section(line, at(t, 0, 0), q[k], 1);
        if (at(t, 0, 1) < narrow * 0.49) section(line, at(t, 0, 1), q[k], 0);
    }
    for (int64_t i = 0; i < line->count; i++) line->data[i] = companded(line->data[i]);
    if (tl__audio_resample(err, line->data, line->count, narrow, rate, w) != 0) return -1;
    if (tl__wave_reserve(err, w, count) != 0) return -1;
    for (; w->count < count; w->count++) w->data[w->count] = 0;
    w->count = count;
    return 0;
}

/* ---- the table ---- */

static const char *const places[] = {"start", "middle", NULL};

#define SECONDS \
    { \
        .name = "seconds", .brief = "how long", .least = 1, .most = 1, .low = 0.001, .high = 86400 \
    }
#define RANGE(what, about, from, to, usual) \
    { \
        .name = what, .brief = about ", from and to", .least = 2, .most = 2, .low = from, .high = to, .initial = usual \
    }
#define CHANCE(usual) \
    { \
        .name = "p", .brief = "probability", .least = 1, .most = 1, .low = 0, .high = 1, .initial = usual \
    }
#define WAVE .stage = TL_STAGE_WAVE, .touches = TL_FIELD_WAVE
#define RANDOM WAVE, .is_random = 1, .check = range_check

const tl_transform_row tl__wave_rows[] = {
    {.name = "rate",
     .brief = "All clips at this rate, before any other step.",
     .stage = TL_STAGE_RATE,
     .touches = TL_FIELD_WAVE,
     .param = {{.name = "rate",
                .brief = "samples a second",
                .least = 1,
                .most = 1,
                .low = TL_AUDIO_LEAST_RATE,
                .high = TL_AUDIO_MOST_RATE,
                .integer = 1}}},
    {.name = "random_crop_seconds",
     .brief = "Any part of a clip that is longer.",
     RANDOM,
     .param = {SECONDS},
     .apply = random_crop_apply,
     .longest = crop_longest},
    {.name = "center_crop_seconds",
     .brief = "The middle of a clip that is longer.",
     WAVE,
     .param = {SECONDS},
     .apply = center_crop_apply,
     .longest = crop_longest},
    {.name = "pad_seconds",
     .brief = "Silence is added to a clip that is shorter.",
     WAVE,
     .param = {SECONDS,
               {.name = "place", .brief = "where the clip comes to lie", .choices = places, .initial = "start"}},
     .apply = pad_apply,
     .longest = pad_longest},
    {.name = "trim",
     .brief = "Silence at both ends is cut off.",
     WAVE,
     .param = {{.name = "db",
                .brief = "how far below the loudest 10 ms is silence",
                .least = 1,
                .most = 1,
                .low = 1,
                .high = 120,
                .initial = "40"},
               {.name = "keep",
                .brief = "seconds of it that stay",
                .least = 1,
                .most = 1,
                .low = 0,
                .high = 60,
                .initial = "0.1"}},
     .apply = trim_apply},
    {.name = "gain",
     .brief = "Louder or softer.",
     RANDOM,
     .param = {RANGE("db", "decibels", -60, 60, "[-6, 6]"), CHANCE("1")},
     .apply = gain_apply},
    {.name = "speed",
     .brief = "Played faster or slower, and so higher or lower.",
     RANDOM,
     .param = {RANGE("factor", "times as fast", 0.5, 2, "[0.9, 1.1]"), CHANCE("1")},
     .apply = speed_apply,
     .longest = speed_longest},
    {.name = "shift",
     .brief = "Later or earlier, at the same length.",
     RANDOM,
     .param = {RANGE("seconds", "later by", -60, 60, "[-0.1, 0.1]"), CHANCE("1")},
     .apply = shift_apply},
    {.name = "noise",
     .brief = "One of the noises that the loader has is added.",
     RANDOM,
     .param = {RANGE("snr", "decibels of the clip above the noise", -30, 100, "[5, 20]"), CHANCE("0.5")},
     .apply = noise_apply},
    {.name = "telephone",
     .brief = "As over a telephone: 8 kHz, a narrow band, 8 bits.",
     RANDOM,
     .param = {RANGE("band", "Hz", 20, 4000, "[300, 3400]"), CHANCE("0.5")},
     .apply = telephone_apply},
    {.name = NULL},
};
