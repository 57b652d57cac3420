/* waves.c - sources, steps and batches of sound: the same bits whatever the threads, lengths and strengths as they are
 * said. */
#include "data/waves.h"
#include "data/loader_inside.h"
#include "sound_files.h"

#include <time.h>

#define RATE 8000

static tl_pipeline *steps(const char *text)
{
    tl_error err = {0};
    tl_pipeline *p = tl__pipeline_parse(&err, text);
    cr_assert(p, "%s", err.text);
    return p;
}

/* `count` clips of 0.1 to 0.9 seconds at three rates, with texts, labels and a value each. */
static tl_source *clips(const char *root, int count)
{
    static const int rates[] = {8000, 16000, 11025};
    static const char *const classes[] = {"a", "b", "c"};
    char **path = calloc((size_t)count, sizeof *path), **text = calloc((size_t)count, sizeof *text);
    int32_t *label = calloc((size_t)count, sizeof *label);
    float *value = calloc((size_t)count, sizeof *value);
    tl_error err = {0};
    for (int i = 0; i < count; i++) {
        int rate = rates[i % 3], n = rate / 10 + (i * 7919 % 100) * rate / 125;
        float *x = tones(rate, 1, n);
        for (int k = 0; k < n; k++) x[k] *= (float)((k + i) % 97) / 97;
        path[i] = tl__asprintf(NULL, "%s/%02d.wav", root, i);
        text[i] = tl__asprintf(NULL, "clip %d", i);
        label[i] = i % 3;
        value[i] = (float)i;
        put_wav(path[i], 1, rate, 1, x, n);
        free(x);
    }
    tl_records r = {.count = count,
                    .wave = (const char *const *)path,
                    .text = (const char *const *)text,
                    .label = label,
                    .class_name = classes,
                    .class_count = 3,
                    .values = value,
                    .value_count = 1};
    tl_source *s = tl__source_records(&err, &r);
    cr_assert(s, "%s", err.text);
    tl__names_free(path, count);
    tl__names_free(text, count);
    free(label);
    free(value);
    return s;
}

/* One clip in memory, which is copied. */
static tl_source *one(const float *x, int64_t n, int rate)
{
    tl_error err = {0};
    tl_wave w = {.rate = rate};
    cr_assert_eq(tl__wave_reserve(&err, &w, n), 0);
    memcpy(w.data, x, (size_t)n * sizeof *x);
    w.count = n;
    tl_source *s = tl__source_records(&err, &(tl_records){.count = 1, .waves = &w});
    cr_assert(s && !w.data, "%s", err.text);
    return s;
}

static tl_loader *open_loader(tl_source *s, const tl_pipeline *p, tl_loader_config c)
{
    tl_error err = {0};
    tl_loader *l = tl__loader_open(&err, s, p, &c);
    cr_assert(l, "%s", err.text);
    return l;
}

/* A hash of each batch of an epoch from batch `from` on; how many there were. */
static int hashes(tl_loader *l, int64_t epoch, int64_t from, uint64_t *hash)
{
    tl_error err = {0};
    tl_batch b;
    int status, n = 0;
    cr_assert_eq(tl__loader_start_at(l, &err, epoch, from), 0);
    while ((status = tl__loader_next(l, &err, &b)) == 1) {
        uint64_t h = tl__hash64(b.x, sizeof(float) * (size_t)(b.n * b.length), 1);
        h = tl__hash64(b.lengths, sizeof *b.lengths * (size_t)b.n, h);
        h = tl__hash64(b.labels, sizeof *b.labels * (size_t)b.n, h);
        h = tl__hash64(b.values, sizeof *b.values * (size_t)b.n, h);
        h = tl__hash64(b.indices, sizeof *b.indices * (size_t)b.n, h);
        int64_t longest = 0;
        for (int i = 0; i < b.n; i++) {
            cr_assert(b.labels[i] == b.indices[i] % 3 && b.values[i] == (float)b.indices[i] &&
                      atoi(b.texts[i] + 5) == b.indices[i]);
            if (b.lengths[i] > longest) longest = b.lengths[i];
            for (int64_t k = b.lengths[i]; k < b.length; k++) cr_assert_eq(b.x[i * b.length + k], 0);
        }
        cr_assert(longest == b.length && b.rate == RATE);
        hash[n++] = h;
        tl__loader_recycle(l, &b);
    }
    cr_assert_eq(status, 0, "%s", err.text);
    return n;
}

static const char *const all_steps =
    "rate(rate=8000); random_crop_seconds(seconds=0.7); trim(); speed(); gain(); shift(seconds=[-0.05, 0.05]); "
    "noise(p=1); telephone(); pad_seconds(seconds=0.2, place=middle)";

Test(waves, same_batches_for_any_number_of_threads)
{
    char *root = temporary_folder();
    tl_source *s = clips(root, 60);
    tl_pipeline *p = steps(all_steps);
    static const int threads[] = {TL_THREADS_NONE, 1, 4};
    static const double seconds[] = {0, 0, 4};
    uint64_t first[3][2][40], hash[40];
    int count[3];
    for (int kind = 0; kind < 3; kind++)
        for (int t = 0; t < 3; t++) {
            tl_loader_config c = {.batch = 7,
                                  .seconds = seconds[kind],
                                  .threads = threads[t],
                                  .shuffle = 1,
                                  .buckets = kind > 0,
                                  .seed = 9,
                                  .noise = s,
                                  .max_prefetch = t == 1 ? 1 : 0};
            tl_loader *l = open_loader(s, p, c);
            for (int epoch = 0; epoch < 2; epoch++) {
                int n = hashes(l, epoch, 0, hash);
                cr_assert_eq(n, tl__loader_batches(l));
                if (t == 0 && epoch == 0) count[kind] = n;
                if (t == 0) memcpy(first[kind][epoch], hash, sizeof hash);
                cr_assert_eq(n, count[kind]);
                cr_assert_eq(memcmp(hash, first[kind][epoch], (size_t)n * sizeof *hash), 0, "kind %d, %d threads", kind,
                             threads[t]);
                /* Going on in mid-epoch gives the batches that were left. */
                cr_assert_eq(hashes(l, epoch, 3, hash), n - 3);
                cr_assert_eq(memcmp(hash, first[kind][epoch] + 3, (size_t)(n - 3) * sizeof *hash), 0);
            }
            cr_assert_neq(first[kind][0][0], first[kind][1][0]);
            tl__loader_close(l);
        }
    tl__pipeline_free(p);
    tl__source_free(s);
    remove_folder(root);
}

/* Every clip once an epoch; seconds are kept, buckets save, the rest is dropped where that is wanted. */
static void look_at(tl_source *s, const tl_pipeline *p, tl_loader_config c, double *padding, int *sizes)
{
    tl_error err = {0};
    tl_loader *l = open_loader(s, p, c);
    tl_batch b;
    int64_t all = 0, own = 0;
    int seen[200] = {0}, clips_seen = 0;
    cr_assert_eq(tl__loader_start(l, &err, 3), 0);
    for (*sizes = 0; tl__loader_next(l, &err, &b) == 1; tl__loader_recycle(l, &b)) {
        if (c.seconds > 0) cr_assert_leq((double)(b.n * b.length), c.seconds * RATE);
        else cr_assert_leq(b.n, c.batch);
        if (c.drop_last) cr_assert_eq(b.n, c.batch);
        all += b.n * b.length;
        for (int i = 0; i < b.n; i++) {
            own += b.lengths[i];
            cr_assert_eq(seen[b.indices[i]]++, 0);
            clips_seen++;
        }
        ++*sizes;
    }
    cr_assert_eq(err.code, 0, "%s", err.text);
    cr_assert_eq(*sizes, tl__loader_batches(l));
    cr_assert_eq(clips_seen, c.drop_last ? s->count / c.batch * c.batch : s->count);
    *padding = (double)all / (double)own;
    tl__loader_close(l);
}

Test(waves, batches)
{
    char *root = temporary_folder();
    tl_source *s = clips(root, 200);
    tl_pipeline *p = steps("rate(rate=8000)");
    double plain, sorted;
    int n, few;
    look_at(s, p, (tl_loader_config){.batch = 8, .shuffle = 1}, &plain, &n);
    cr_assert_eq(n, 25);
    look_at(s, p, (tl_loader_config){.batch = 8, .shuffle = 1, .buckets = 1}, &sorted, &n);
    cr_assert(sorted < 1.25 && plain > 1.4, "%g, %g", sorted, plain);
    cr_assert(n >= 25 && n <= 29, "%d", n);
    look_at(s, p, (tl_loader_config){.batch = 9, .shuffle = 1, .buckets = 1, .drop_last = 1}, &sorted, &n);
    look_at(s, p, (tl_loader_config){.batch = 9, .drop_last = 1}, &sorted, &n);
    look_at(s, p, (tl_loader_config){.seconds = 5}, &plain, &n);
    look_at(s, p, (tl_loader_config){.seconds = 5, .buckets = 1}, &sorted, &few);
    cr_assert(few < n && sorted < plain, "%d, %d", few, n);
    look_at(s, p, (tl_loader_config){.seconds = 5, .buckets = 1, .shuffle = 1}, &sorted, &few);
    cr_assert(few < n);
    tl__pipeline_free(p);
    tl__source_free(s);
    remove_folder(root);
}

/* Batches under way take no more than is allowed, but for the first two; what each takes follows from its longest clip.
 */
Test(waves, memory_of_batches_under_way)
{
    char *root = temporary_folder();
    tl_source *s = clips(root, 60);
    tl_pipeline *p = steps("rate(rate=8000); speed(factor=[0.8, 1.2])");
    for (int k = 0; k < 2; k++) {
        int64_t most = k ? 1 << 20 : 1, bytes = 0;
        int used = 0;
        tl_error err = {0};
        tl_loader *l = open_loader(s, p, (tl_loader_config){.batch = 6, .threads = 2, .max_prefetch = most});
        cr_assert_eq(tl__loader_start(l, &err, 0), 0);
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
        pthread_mutex_lock(&l->lock);
        for (int i = 0; i < l->slots; i++) {
            const tl_slot *slot = &l->slot[i];
            if (slot->state == TL_SLOT_FREE) continue;
            int64_t longest = 0;
            for (int64_t c = 6 * slot->batch; c < 6 * slot->batch + 6; c++)
                if (l->longest[c] > longest) longest = l->longest[c];
            cr_assert_eq(slot->bytes, 6 * longest * 4);
            bytes += slot->bytes;
            used++;
        }
        pthread_mutex_unlock(&l->lock);
        cr_assert_eq(used, k ? 3 : 2);
        cr_assert(!k || bytes <= most);
        tl__loader_close(l);
    }
    tl__pipeline_free(p);
    tl__source_free(s);
    remove_folder(root);
}

/* ---- steps ---- */

static tl_wave made(const char *text, tl_source *s, tl_source *noise, uint64_t index)
{
    tl_error err = {0};
    tl_pipeline *p = steps(text);
    tl_scratch scratch = {0};
    tl_wave w = {0};
    cr_assert_eq(tl__wave_make(&err, p, &scratch, &(tl_draw_key){4, 0, index}, s, noise, 0, &w), 0, "%s", err.text);
    cr_assert_leq(w.count, tl__wave_longest(p, tl__source_clip(s, 0)));
    tl__scratch_free(&scratch);
    tl__pipeline_free(p);
    return w;
}

static double power(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    return sum / (double)n;
}

static double decibels(double ratio) { return 10 * log10(ratio); }

Test(waves, lengths)
{
    float *x = tones(RATE, 1, 8000);
    for (int i = 0; i < 8000; i++) x[i] = (float)i / 8000;
    tl_source *s = one(x, 8000, RATE);
    tl_wave w = made("center_crop_seconds(seconds=0.5)", s, NULL, 0);
    cr_assert(w.count == 4000 && w.data[0] == x[2000]);
    tl__wave_free(&w);
    int64_t least = 8000, most = 0;
    for (uint64_t i = 0; i < 50; i++) {
        w = made("random_crop_seconds(seconds=0.5)", s, NULL, i);
        int64_t from = (int64_t)floor(w.data[0] * 8000 + 0.5);
        cr_assert_eq(w.count, 4000);
        cr_assert_eq(memcmp(w.data, x + from, 4000 * sizeof *x), 0);
        if (from < least) least = from;
        if (from > most) most = from;
        tl__wave_free(&w);
    }
    cr_assert(least < 400 && most > 3600, "%lld, %lld", (long long)least, (long long)most);
    w = made("center_crop_seconds(seconds=0.5); pad_seconds(seconds=1.5, place=middle)", s, NULL, 0);
    cr_assert(w.count == 12000 && w.data[3999] == 0 && w.data[4000] == x[2000] && w.data[7999] == x[5999] &&
              w.data[8000] == 0);
    tl__wave_free(&w);
    w = made("shift(seconds=[0.25, 0.25])", s, NULL, 0);
    cr_assert(w.count == 8000 && w.data[1999] == 0 && w.data[2000] == x[0] && w.data[7999] == x[5999]);
    tl__wave_free(&w);
    w = made("shift(seconds=[-0.25, -0.25])", s, NULL, 0);
    cr_assert(w.count == 8000 && w.data[0] == x[2000] && w.data[6000] == 0);
    tl__wave_free(&w);
    w = made("gain(db=[6, 6])", s, NULL, 0);
    cr_assert_float_eq(w.data[7999] / x[7999], 1.9952623, 1e-5);
    tl__wave_free(&w);
    for (int i = 0; i < 8000; i++) x[i] = i >= 3040 && i < 5040 ? x[i] : 1e-4f;
    tl__source_free(s);
    s = one(x, 8000, RATE);
    w = made("trim(db=40, keep=0.05)", s, NULL, 0);
    cr_assert(w.count == 2000 + 2 * 400, "%lld", (long long)w.count);
    tl__wave_free(&w);
    tl__source_free(s);
    free(x);
}

/* At 1.1 times the speed a clip is that much shorter, and its tone that much higher. */
Test(waves, speed)
{
    float *x = tones(RATE, 1, 8000);
    tl_source *s = one(x, 8000, RATE);
    static const struct {
        const char *text;
        double factor;
    } all[] = {{"speed(factor=[1.1, 1.1])", 1.1}, {"speed(factor=[0.9, 0.9])", 0.9}, {"speed(factor=[1, 1])", 1}};
    for (int k = 0; k < 3; k++) {
        tl_wave w = made(all[k].text, s, NULL, 0);
        cr_assert_leq(llabs(w.count - (int64_t)(8000 / all[k].factor + 0.5)), 1, "%lld", (long long)w.count);
        double worst = 0; /* away from the ends */
        for (int64_t i = 200; i < w.count - 200; i++)
            worst =
                fmax(worst, fabs(w.data[i] - 0.5 * sin(2 * 3.14159265358979 * 440 * all[k].factor * (double)i / RATE)));
        cr_assert_leq(worst, 1e-4, "%g: %g", all[k].factor, worst);
        tl__wave_free(&w);
    }
    tl__source_free(s);
    free(x);
}

Test(waves, noise_has_the_ratio_that_is_asked_for)
{
    float *x = tones(RATE, 1, 8000), *n = malloc(3000 * sizeof *n);
    for (int i = 0; i < 3000; i++) n[i] = 0.01f * tl__rng_normal(tl__rng_key(1, TL_RNG_RANDN, 0), (uint64_t)i);
    tl_source *s = one(x, 8000, RATE),
              *noises[] = {one(n, 3000, RATE), one(n, 3000, 2 * RATE)}; /* shorter than the clip, and at another rate */
    static const double ratios[] = {-5, 0, 12.5, 30};
    for (int k = 0; k < 2; k++)
        for (int r = 0; r < 4; r++) {
            char text[80];
            snprintf(text, sizeof text, "noise(snr=[%g, %g], p=1)", ratios[r], ratios[r]);
            tl_wave w = made(text, s, noises[k], (uint64_t)r);
            for (int i = 0; i < 8000; i++) w.data[i] -= x[i];
            double measured = decibels(power(x, 8000) / power(w.data, 8000));
            cr_assert_float_eq(measured, ratios[r], 0.01, "%g, not %g", measured, ratios[r]);
            tl__wave_free(&w);
        }
    int done = 0; /* the chance is what it says */
    for (uint64_t i = 0; i < 200; i++) {
        tl_wave w = made("noise(p=0.3)", s, noises[0], i);
        done += memcmp(w.data, x, 8000 * sizeof *x) != 0;
        tl__wave_free(&w);
    }
    cr_assert(done > 40 && done < 80, "%d", done);
    for (int k = 0; k < 2; k++) tl__source_free(noises[k]);
    tl__source_free(s);
    free(x);
    free(n);
}

/* What a telephone lets through of tones: the middle of its band, not what lies below and above. */
Test(waves, telephone)
{
    static const struct {
        double hertz, least, most;
    } all[] = {{100, -200, -30}, {300, -4, -2},     {1000, -0.5, 0.5},
               {3000, -2, 0.5},  {3900, -200, -15}, {6000, -200, -40}};
    float *x = malloc(16000 * sizeof *x);
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        for (int i = 0; i < 16000; i++) x[i] = 0.5f * (float)sin(2 * 3.14159265358979 * all[k].hertz * i / 16000);
        tl_source *s = one(x, 16000, 16000);
        tl_wave w = made("telephone(p=1)", s, NULL, 0);
        double db = decibels(power(w.data + 2000, 12000) / power(x + 2000, 12000) + 1e-12);
        cr_assert(w.count == 16000 && db >= all[k].least && db <= all[k].most, "%g Hz: %g dB", all[k].hertz, db);
        tl__wave_free(&w);
        tl__source_free(s);
    }
    free(x);
}

/* ---- sources ---- */

Test(waves, parts_of_files)
{
    char *root = temporary_folder(), *path = tl__path_join(NULL, root, "long.wav");
    tl_error err = {0};
    float *x = tones(RATE, 1, 8000);
    put_wav(path, 3, RATE, 1, x, 8000);
    const char *paths[] = {path, path, path, "/nowhere.wav"};
    tl_records r = {
        .count = 4, .wave = paths, .first = (int64_t[]){0, 2000, 7000, 0}, .frames = (int64_t[]){1000, 0, 2000, 0}};
    tl_source *s = tl__source_records(&err, &r);
    cr_assert(s, "%s", err.text);
    cr_assert(tl__source_clip(s, 0).frames == 1000 && tl__source_clip(s, 1).frames == 6000 &&
              !tl__source_clip(s, 2).frames && !tl__source_clip(s, 3).frames);
    tl_source *view = tl__source_subset(&err, s, (int64_t[]){1}, 1);
    tl_wave w = {0};
    cr_assert_eq(tl__source_wave(&err, view, 0, &(tl_audio_request){0}, NULL, &w), 0, "%s", err.text);
    cr_assert(w.count == 6000 && memcmp(w.data, x + 2000, 6000 * sizeof *x) == 0 &&
              tl__source_clip(view, 0).frames == 6000);
    cr_assert_eq(tl__source_wave(&err, s, 0, &(tl_audio_request){.from = 100, .count = 50}, NULL, &w), 0, "%s",
                 err.text);
    cr_assert(w.count == 50 && memcmp(w.data, x + 100, 50 * sizeof *x) == 0);
    char *name = tl__source_name(&err, s, 1);
    cr_assert(strstr(name, "long.wav#2000"), "%s", name);
    cr_assert_eq(tl__source_wave(&err, s, 2, &(tl_audio_request){0}, NULL, &w), -1);
    cr_assert(strstr(err.text, "samples 7001 to 9000 are wanted, and there are 8000"), "%s", err.text);
    tl_image m = {0};
    err = (tl_error){0};
    cr_assert_eq(tl__source_read(&err, s, 0, &(tl_image_request){0}, &m), -1);
    cr_assert_str_eq(err.text, "a source of sound has no pictures");
    free(name);
    tl__wave_free(&w);
    tl__source_free(view);
    tl__source_free(s);
    free(path);
    free(x);
    remove_folder(root);
}

/* A damaged and a silent clip are bad; one that is clipped, and one with a silent side, are noted. */
Test(waves, check_before_training)
{
    char *root = temporary_folder(), *paths[5];
    tl_error err = {0};
    float *x = tones(RATE, 2, 1000), *silence = calloc(2000, sizeof *silence);
    for (int i = 0; i < 5; i++) paths[i] = tl__asprintf(NULL, "%s/%d.wav", root, i);
    put_wav(paths[0], 1, RATE, 2, x, 1000);
    put_bytes(paths[1], "RIFF\1\2\3\4WAVEnothing", 19);
    put_wav(paths[2], 1, RATE, 2, silence, 1000);
    for (int i = 0; i < 100; i++) x[20 * i] = 1;
    put_wav(paths[3], 1, RATE, 2, x, 1000);
    for (int i = 0; i < 1000; i++) x[2 * i] = 0;
    put_wav(paths[4], 1, RATE, 2, x, 1000);
    tl_source *s = tl__source_records(&err, &(tl_records){.count = 5, .wave = (const char *const *)paths}), *use;
    tl_check_report report = {0};
    cr_assert(s && !tl__loader_check(&err, s, 2, TL_BAD_ERROR, &report));
    cr_assert(strstr(err.text, "2 of 5 clips cannot be learnt from: ") &&
                  strstr(err.text, "(on_bad = \"skip\" leaves them out)"),
              "%s", err.text);
    tl__check_report_free(&report);
    err = (tl_error){0};
    use = tl__loader_check(&err, s, 2, TL_BAD_SKIP, &report);
    cr_assert(use && use->count == 3 && report.checked == 5 && report.bad_count == 2 && report.note_count == 2);
    cr_assert(report.bad[0].index == 1 && report.bad[1].index == 2 &&
              strstr(report.bad[1].reason, "nothing is heard in it"));
    cr_assert(report.note[0].index == 3 && strstr(report.note[0].reason, "5.0 % of its samples are at full scale"),
              "%s", report.note[0].reason);
    cr_assert(report.note[1].index == 4 &&
                  strstr(report.note[1].reason, "channel 1 of 2 is silent, the others are taken whole"),
              "%s", report.note[1].reason);
    tl__check_report_free(&report);
    /* A loader without the check leaves out what it cannot read. */
    tl_pipeline *p = steps("rate(rate=8000)");
    tl_loader *l = open_loader(s, p, (tl_loader_config){.batch = 5, .on_bad = TL_BAD_SKIP});
    tl_batch b;
    cr_assert_eq(tl__loader_start(l, &err, 0), 0);
    cr_assert_eq(tl__loader_next(l, &err, &b), 1, "%s", err.text);
    cr_assert(b.n == 4 && b.indices[1] == 2 && tl__loader_batches(l) == 1);
    tl__loader_recycle(l, &b);
    cr_assert_eq(tl__loader_next(l, &err, &b), 0);
    cr_assert_eq(tl__loader_skipped(l), 1);
    tl__loader_close(l);
    tl__pipeline_free(p);
    tl__source_free(use);
    tl__source_free(s);
    for (int i = 0; i < 5; i++) free(paths[i]);
    free(x);
    free(silence);
    remove_folder(root);
}

Test(waves, what_does_not_go_together)
{
    char *root = temporary_folder();
    tl_source *s = clips(root, 6);
    static const struct {
        const char *steps;
        tl_loader_config c;
        const char *said;
    } all[] = {{"",
                {.batch = 2},
                "01.wav: a rate of 16000 Hz, others have 8000: begin the steps with {\"rate\", rate = 16000}"},
               {"resize(size=3)", {.batch = 2}, "resize is a step of pictures, and the samples are sound"},
               {"rate(rate=8000); noise()", {.batch = 2}, "the step noise needs noises"},
               {"rate(rate=8000)", {.seconds = 0.5}, "s, and a batch has 0.5 s; make batches longer, or crop it"},
               {"rate(rate=8000)", {.seconds = 1e-5}, "a batch of 1e-05 s has no sample"},
               {"rate(rate=8000)", {.seconds = 5, .shuffle = 1}, "shuffled batches of seconds need buckets"},
               {"rate(rate=8000)", {.seconds = 5, .drop_last = 1}, "drop_last is for batches of so many clips"},
               {"rate(rate=8000)", {.batch = 2, .mixup = 1}, "mixup and cutmix are for pictures"},
               {"rate(rate=8000)", {.batch = 7, .drop_last = 1}, "6 clips do not fill a batch of 7"}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        tl_error err = {0};
        tl_pipeline *p = steps(all[i].steps);
        cr_assert_null(tl__loader_open(&err, s, p, &all[i].c));
        cr_assert(strstr(err.text, all[i].said), "\"%s\" is not \"%s\"", err.text, all[i].said);
        tl__pipeline_free(p);
    }
    tl_error none = {0};
    tl_pipeline *nothing = steps("");
    tl_source *gone = tl__source_records(&none, &(tl_records){.count = 1, .wave = (const char *[]){"/nowhere.wav"}});
    cr_assert(gone && !tl__loader_open(&none, gone, nothing, &(tl_loader_config){.seconds = 5}));
    cr_assert_str_eq(none.text, "none of the 1 clips can be read");
    tl__source_free(gone);
    tl__pipeline_free(nothing);
    static const char *const texts[][2] = {
        {"resize(size=3); trim()", "trim is a step of sound, and resize one of pictures"},
        {"trim(); rate(rate=8000)", "rate stands in front of all other steps"},
        {"gain(db=[3, -3])", "gain: db goes from 3 to -3, which is backwards"},
        {"gian()", "unknown transform \"gian\"; did you mean \"gain\"?"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        tl_error err = {0};
        cr_assert_null(tl__pipeline_parse(&err, texts[i][0]));
        cr_assert(strstr(err.text, texts[i][1]), "%s", err.text);
    }
    tl__source_free(s);
    remove_folder(root);
}

Test(waves, every_allocation_may_fail)
{
    char *root = temporary_folder();
    tl_source *s = clips(root, 6);
    tl_pipeline *p = steps(all_steps);
    int done = 0;
    for (long nth = 1; !done; nth++) {
        tl_error err = {0};
        tl_batch b;
        tl__inject_failure(nth);
        tl_source *view = tl__source_subset(&err, s, (int64_t[]){0, 1, 2, 3, 4}, 5);
        tl_loader_config c = {.seconds = 2, .threads = TL_THREADS_NONE, .shuffle = 1, .buckets = 1, .noise = s};
        tl_loader *l = view ? tl__loader_open(&err, view, p, &c) : NULL;
        int bad = !l || tl__loader_start(l, &err, 0) != 0, status = bad ? -1 : 1;
        while (status == 1)
            if ((status = tl__loader_next(l, &err, &b)) == 1) tl__loader_recycle(l, &b);
        done = tl__inject_failure(0) < nth;
        cr_assert_eq(status, done ? 0 : -1, "allocation %ld: %s", nth, err.text);
        if (!done) cr_assert_eq(err.code, TL_EMEMORY, "allocation %ld: %s", nth, err.text);
        tl__loader_close(l);
        if (view) tl__source_free(view);
    }
    tl__pipeline_free(p);
    tl__source_free(s);
    remove_folder(root);
}
