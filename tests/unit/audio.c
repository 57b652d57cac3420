/* audio.c - sound files of all formats, whole, in windows and as streams, and what is refused of them in one line. */
#define _GNU_SOURCE /* F_SETPIPE_SZ */
#include "sound_files.h"

#include <fcntl.h>
#include <unistd.h>

#define RATE 16000

/* 1 minus the cosine of the angle between two signals, whatever their strength. */
static double unlike(const float *a, const float *b, int64_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < n; i++) ab += (double)a[i] * b[i], aa += (double)a[i] * a[i], bb += (double)b[i] * b[i];
    return 1 - ab / sqrt(aa * bb + 1e-30);
}

static double largest_difference(const float *a, const float *b, int64_t n)
{
    double worst = 0;
    for (int64_t i = 0; i < n; i++) worst = fmax(worst, fabs((double)a[i] - b[i]));
    return worst;
}

static void read_ok(const char *path, tl_audio_request q, tl_audio_heard *heard, tl_wave *w)
{
    tl_error err = {0};
    cr_assert_eq(tl__audio_read(&err, path, &q, heard, w), 0, "%s", err.text);
}

Test(audio, formats)
{
    static const struct {
        int format, rate;
        const char *name, *coding;
        double unlike;
        int slack; /* samples that a codec adds at the end */
    } all[] = {{SF_FORMAT_WAV | SF_FORMAT_PCM_16, RATE, "WAV", "Signed 16 bit PCM", 1e-8, 0},
               {SF_FORMAT_WAV | SF_FORMAT_PCM_24, RATE, "WAV", "Signed 24 bit PCM", 1e-8, 0},
               {SF_FORMAT_WAV | SF_FORMAT_PCM_U8, RATE, "WAV", "Unsigned 8 bit PCM", 1e-3, 0},
               {SF_FORMAT_WAV | SF_FORMAT_FLOAT, RATE, "WAV", "32 bit float", 1e-8, 0},
               {SF_FORMAT_WAV | SF_FORMAT_ULAW, 8000, "WAV", "U-Law", 1e-3, 0},
               {SF_FORMAT_AIFF | SF_FORMAT_PCM_16, RATE, "AIFF", "Signed 16 bit PCM", 1e-8, 0},
               {SF_FORMAT_FLAC | SF_FORMAT_PCM_16, RATE, "FLAC", "Signed 16 bit PCM", 1e-8, 0},
               {SF_FORMAT_OGG | SF_FORMAT_VORBIS, RATE, "OGG", "Vorbis", 1e-2, 0},
               {SF_FORMAT_OGG | SF_FORMAT_OPUS, 48000, "OGG", "Opus", 1e-2, 0},
               {SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, RATE, "MPEG-1/2 Audio", "MPEG Layer III", 1e-2, 0}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        tl_error err = {0};
        int64_t n = all[i].rate;
        float *x = tones(all[i].rate, 1, n);
        sound_bytes *b = encoded(all[i].format, all[i].rate, 1, x, n);
        tl_audio_info info = {0};
        tl_audio_heard heard;
        tl_wave w = {0};
        cr_assert_eq(tl__audio_decode(&err, "f", b->data, (size_t)b->size, &(tl_audio_request){0}, &info, &heard, &w),
                     0, "%s: %s", all[i].coding, err.text);
        cr_assert_str_eq(info.format, all[i].name);
        cr_assert_str_eq(info.coding, all[i].coding);
        cr_assert(info.rate == all[i].rate && info.channels == 1 && w.rate == info.rate, "%s", all[i].coding);
        cr_assert(info.frames == n && w.count == n, "%s: %lld", all[i].coding, (long long)w.count);
        cr_assert_leq(unlike(w.data, x, n), all[i].unlike, "%s: %g", all[i].coding, unlike(w.data, x, n));
        cr_assert(fabsf(heard.peak - 0.5f) < 0.1f && heard.clipped == 0 && !heard.silent, "%s: %g, %g", all[i].coding,
                  heard.peak, heard.clipped);
        tl__wave_free(&w);
        free(b);
        free(x);
    }
}

Test(audio, windows_are_parts_of_the_whole)
{
    char *root = temporary_folder(), *path = tl__path_join(NULL, root, "a.wav");
    int64_t n = 44100;
    float *x = tones(44100, 1, n);
    for (int64_t i = 0; i < n; i++) x[i] *= (float)(i % 1000) / 1000; /* no window is like another */
    put_wav(path, 3, 44100, 1, x, n);
    static const int rates[] = {0, 16000, 8000, 48000, 44101};
    for (size_t k = 0; k < sizeof rates / sizeof *rates; k++) {
        int rate = rates[k] ? rates[k] : 44100;
        tl_wave whole = {0}, part = {0};
        read_ok(path, (tl_audio_request){.rate = rates[k]}, NULL, &whole);
        cr_assert_eq(whole.count, tl__audio_length(n, 44100, rate));
        for (int64_t from = 0; from < n; from += 4410) {
            if (rates[k] == 44101 && from) break; /* the two rates meet once a second */
            read_ok(path, (tl_audio_request){.from = from, .count = 4410, .rate = rates[k]}, NULL, &part);
            int64_t at = from * rate / 44100;
            cr_assert_eq(part.count, tl__audio_length(4410, 44100, rate));
            cr_assert_leq(largest_difference(part.data, whole.data + at, part.count), 2e-5, "%d Hz from %lld: %g", rate,
                          (long long)from, largest_difference(part.data, whole.data + at, part.count));
        }
        tl__wave_free(&whole);
        tl__wave_free(&part);
    }
    free(path);
    free(x);
    remove_folder(root);
}

Test(audio, channels)
{
    char *root = temporary_folder(), *path = tl__path_join(NULL, root, "a.wav");
    int64_t n = 3000;
    float *x = tones(RATE, 2, n), *left = malloc((size_t)n * sizeof *left), *right = malloc((size_t)n * sizeof *right);
    for (int64_t i = 0; i < n; i++) left[i] = x[2 * i], right[i] = x[2 * i + 1];
    tl_audio_heard heard;
    tl_wave w = {0};
    put_wav(path, 3, RATE, 2, x, n);
    read_ok(path, (tl_audio_request){.channel = 2}, &heard, &w);
    cr_assert_eq(largest_difference(w.data, right, n), 0);
    read_ok(path, (tl_audio_request){0}, &heard, &w);
    for (int64_t i = 0; i < n; i++) cr_assert_float_eq(w.data[i], (left[i] + right[i]) / 2, 1e-6);
    cr_assert(heard.channels == 2 && heard.silent == 0);
    /* One side was not connected: the other is taken whole. */
    for (int64_t i = 0; i < n; i++) x[2 * i] = i % 2 ? 1e-5f : 0;
    put_wav(path, 3, RATE, 2, x, n);
    read_ok(path, (tl_audio_request){0}, &heard, &w);
    cr_assert_leq(largest_difference(w.data, right, n), 2e-5);
    cr_assert(heard.silent == 1 && !tl__audio_is_silent(&heard));
    /* Nothing is heard, or too much of it. */
    for (int64_t i = 0; i < 2 * n; i++) x[i] = 0;
    put_wav(path, 1, RATE, 2, x, n);
    read_ok(path, (tl_audio_request){0}, &heard, &w);
    cr_assert(heard.silent == 3 && tl__audio_is_silent(&heard));
    for (int64_t i = 0; i < 2 * n; i++) x[i] = i % 4 == 0 ? 1 : 0.1f;
    put_wav(path, 1, RATE, 2, x, n);
    read_ok(path, (tl_audio_request){0}, &heard, &w);
    cr_assert_float_eq(heard.clipped, 0.25, 1e-9);
    tl_error err = {0};
    cr_assert_eq(tl__audio_read(&err, path, &(tl_audio_request){.channel = 3}, NULL, &w), -1);
    cr_assert(strstr(err.text, "channel 3, and there are 2"), "%s", err.text);
    tl__wave_free(&w);
    free(path);
    free(x);
    free(left);
    free(right);
    remove_folder(root);
}

/* ---- what is refused ---- */

static void refused(const char *what, const void *data, size_t bytes)
{
    tl_error err = {0};
    tl_wave w = {0};
    cr_assert_eq(tl__audio_decode(&err, "clip", data, bytes, &(tl_audio_request){0}, NULL, NULL, &w), -1, "%s", what);
    cr_assert(strncmp(err.text, "clip: ", 6) == 0 && strstr(err.text, what) && !strchr(err.text, '\n'),
              "\"%s\" is not \"%s\"", err.text, what);
    cr_assert_eq(err.code, TL_EFORMAT);
    tl__wave_free(&w);
}

Test(audio, refused)
{
    float *x = tones(RATE, 1, RATE);
    uint8_t *b = malloc(44 + 4 * RATE);
    size_t n = wav_bytes(b, 1, RATE, 1, x, RATE);
    refused("the file is empty", "", 0);
    refused("no sound file of a known format (WAV, FLAC", "this is a text, not a sound", 27);
    refused("an MP4 (AAC) file, which is not read; make a FLAC of it: ffmpeg -i",
            "\0\0\0\x20"
            "ftypM4A isommp42",
            20);
    refused("a WebM file", "\x1a\x45\xdf\xa3\1\0\0\0\0\0\0\x1f\x42\x86\x81\1", 16);
    refused("the WAV file was cut short", b, n / 2);
    refused("a WAV file without samples", b, 40);
    wav_bytes(b, 1, RATE, 1, x, 0);
    refused("the file has no samples", b, 44);
    n = wav_bytes(b, 1, 10, 1, x, 1000);
    refused("a rate of 10 Hz, and sound has 1000 to 768000", b, n);
    n = wav_bytes(b, 1, 900000, 1, x, 1000);
    refused("a rate of 900000 Hz", b, n);
    n = wav_bytes(b, 1, RATE, 100, x, 100);
    refused("100 channels, and 1 to 64 are read", b, n);
    x[500] = NAN;
    n = wav_bytes(b, 3, RATE, 1, x, 1000);
    refused("sample 501 is not a number", b, n);
    x[500] = INFINITY;
    n = wav_bytes(b, 3, RATE, 1, x, 1000);
    refused("sample 501 is infinite", b, n);
    x[500] = 0;
    static const int formats[] = {SF_FORMAT_FLAC | SF_FORMAT_PCM_16, SF_FORMAT_OGG | SF_FORMAT_VORBIS,
                                  SF_FORMAT_AIFF | SF_FORMAT_PCM_16};
    for (size_t i = 0; i < 3; i++) {
        sound_bytes *e = encoded(formats[i], RATE, 1, x, RATE);
        refused(i == 0 ? "" : "was cut short", e->data, (size_t)e->size * 2 / 3);
        if (i == 0) memset(e->data + e->size / 2, 0x55, 400); /* the middle is something else */
        if (i == 0) refused("the file is damaged", e->data, (size_t)e->size);
        free(e);
    }
    /* The decoder would look for the next frame by itself, and tell people instead of us. */
    sound_bytes *e = encoded(SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, RATE, 1, x, RATE);
    refused("the MP3 file was cut short", e->data, (size_t)e->size * 2 / 3);
    memset(e->data + e->size / 2, 0x55, 400);
    refused("the MP3 file is damaged: there is no frame at byte", e->data, (size_t)e->size);
    free(e);
    free(b);
    free(x);
}

/* A header that announces more than the disk holds takes no memory for it. */
Test(audio, lies_take_no_memory)
{
    float *x = tones(RATE, 1, RATE);
    sound_bytes *e = encoded(SF_FORMAT_FLAC | SF_FORMAT_PCM_16, RATE, 1, x, RATE);
    e->data[21] |= 7; /* the highest bits of the number of samples */
    refused("", e->data, (size_t)e->size);
    setenv("TLUA_MAX_SAMPLES", "1000", 1);
    refused("samples that are read at once; read it in windows", e->data, (size_t)e->size);
    unsetenv("TLUA_MAX_SAMPLES");
    free(e);
    free(x);
}

/* ---- streams ---- */

static int64_t drain(tl_audio_stream *s, int64_t piece, float *to)
{
    tl_error err = {0};
    tl_wave w = {0};
    int64_t n = 0;
    int status;
    while ((status = tl__audio_next(&err, s, piece, &w)) == 1) {
        cr_assert(w.count == piece || w.count > 0);
        memcpy(to + n, w.data, (size_t)w.count * sizeof *to);
        n += w.count;
    }
    cr_assert_eq(status, 0, "%s", err.text);
    tl__wave_free(&w);
    tl__audio_close(s);
    return n;
}

Test(audio, streams)
{
    char *root = temporary_folder(), *path = tl__path_join(NULL, root, "a.wav");
    tl_error err = {0};
    cr_assert_eq(tl__audio_length((int64_t)1 << 40, 1000, 768000), ((int64_t)1 << 40) * 768); /* headers may lie */
    cr_assert_eq(tl__audio_length(((int64_t)1 << 40) + 1, 44100, 768000), 19147957599382);
    int64_t n = 44100, m = tl__audio_length(n, 44100, RATE);
    float *x = tones(44100, 1, n), *y = malloc((size_t)n * sizeof *y);
    uint8_t *b = malloc(44 + 4 * (size_t)n);
    put_wav(path, 1, 44100, 1, x, n);
    tl_wave whole = {0};
    read_ok(path, (tl_audio_request){.rate = RATE}, NULL, &whole);
    tl_audio_stream *s = tl__audio_open(&err, path, RATE, 0);
    cr_assert(s, "%s", err.text);
    cr_assert_eq(drain(s, 777, y), m);
    cr_assert_eq(largest_difference(y, whole.data, m), 0);
    /* The same through a pipe, with a header whose sizes are made up, and without one. */
    size_t size = wav_bytes(b, 1, 44100, 1, x, n);
    low_first(b + 40, 0xffffffff, 4);
    for (int raw = 0; raw < 2; raw++) {
        int end[2];
        cr_assert_eq(pipe(end), 0);
        cr_assert_geq(fcntl(end[1], F_SETPIPE_SZ, 1 << 18), 1 << 17);
        size_t from = raw ? 44 : 0;
        cr_assert_eq(write(end[1], b + from, size - from), (ssize_t)(size - from));
        close(end[1]);
        cr_assert_eq(dup2(end[0], STDIN_FILENO), STDIN_FILENO);
        close(end[0]);
        s = tl__audio_open(&err, "-", RATE, raw ? 44100 : 0);
        cr_assert(s, "%s", err.text);
        cr_assert_eq(drain(s, 1000, y), m);
        cr_assert_eq(largest_difference(y, whole.data, m), 0, "raw %d", raw);
    }
    tl__wave_free(&whole);
    free(path);
    free(x);
    free(y);
    free(b);
    remove_folder(root);
}

Test(audio, pipe_without_a_header)
{
    tl_error err = {0};
    int end[2];
    cr_assert_eq(pipe(end), 0);
    cr_assert_eq(write(end[1], "abcdefghijklmnopqrstuvwxyz", 26), 26);
    close(end[1]);
    cr_assert_eq(dup2(end[0], STDIN_FILENO), STDIN_FILENO);
    cr_assert_null(tl__audio_open(&err, "-", RATE, 0));
    cr_assert(strstr(err.text, "standard input: no WAV header at the front; for samples alone"), "%s", err.text);
}

/* ---- writing, and want of memory ---- */

Test(audio, written_and_read_again)
{
    char *root = temporary_folder();
    static const char *const names[] = {"a.wav", "a.flac"};
    tl_error err = {0};
    float *x = tones(RATE, 1, 1000);
    x[3] = 2; /* is clipped */
    for (int i = 0; i < 2; i++) {
        char *path = tl__path_join(NULL, root, names[i]);
        tl_wave w = {0};
        cr_assert_eq(tl__audio_write(&err, path, x, 1000, RATE), 0, "%s", err.text);
        read_ok(path, (tl_audio_request){0}, NULL, &w);
        cr_assert_eq(w.count, 1000);
        cr_assert_eq(w.data[3], 32767.0f / 32768);
        w.data[3] = 2;
        cr_assert_leq(largest_difference(w.data, x, 1000), 0.5 / 32768 + 1e-7);
        tl__wave_free(&w);
        free(path);
    }
    cr_assert_eq(tl__audio_write(&err, "a.mp3", x, 1000, RATE), -1);
    cr_assert(strstr(err.text, "a.mp3: sound is written as .wav or .flac"), "%s", err.text);
    free(x);
    remove_folder(root);
}

Test(audio, every_allocation_may_fail)
{
    char *root = temporary_folder(), *path = tl__path_join(NULL, root, "a.wav"),
         *copy = tl__path_join(NULL, root, "b.flac");
    float *x = tones(44100, 2, 20000);
    put_wav(path, 1, 44100, 2, x, 20000);
    int done = 0;
    for (long nth = 1; !done; nth++) {
        tl_error err = {0};
        tl_wave w = {0};
        tl__inject_failure(nth);
        int bad = tl__audio_read(&err, path, &(tl_audio_request){.rate = RATE}, NULL, &w) != 0;
        tl_audio_stream *s = bad ? NULL : tl__audio_open(&err, path, RATE, 0);
        bad = bad || !s || tl__audio_next(&err, s, 1000, &w) != 1;
        tl__audio_close(s);
        done = tl__inject_failure(0) < nth;
        cr_assert_eq(bad, !done, "allocation %ld: %s", nth, done ? err.text : "nothing was said");
        if (bad) cr_assert_eq(err.code, TL_EMEMORY, "allocation %ld: %s", nth, err.text);
        cr_assert(!done || nth > 8);
        tl__wave_free(&w);
    }
    for (long nth = 1, written = 0; !written; nth++) { /* a folder that could not be synced is no failure */
        tl_error err = {0};
        tl__inject_failure(nth);
        written = tl__audio_write(&err, copy, x, 20000, RATE) == 0;
        tl__inject_failure(0);
        cr_assert_eq(err.code, written ? TL_OK : TL_EMEMORY, "allocation %ld: %s", nth, err.text);
        cr_assert_eq(access(copy, F_OK) == 0, written);
    }
    free(path);
    free(copy);
    free(x);
    remove_folder(root);
}
