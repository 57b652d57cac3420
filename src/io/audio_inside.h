/* audio_inside.h - what the files of src/io/audio*.c share: the library behind them, and frames from wherever they
 * come. */
#ifndef TLUA_AUDIO_INSIDE_H
#define TLUA_AUDIO_INSIDE_H

#include "io/audio.h"

#include <sndfile.h>

#define TL__SNDFILE_FUNCTIONS(X) \
    X(sf_open_virtual) \
    X(sf_close) X(sf_readf_float) X(sf_writef_short) X(sf_seek) X(sf_error) X(sf_error_number) X(sf_command)
#define TL__SNDFILE_MEMBER(f) __typeof__(&f) f;
/* Filled by tl__sndfile_load, and never unloaded. */
extern struct tl__sndfile_library {
    TL__SNDFILE_FUNCTIONS(TL__SNDFILE_MEMBER)
} tl__sndfile;
/* 0, or -1 with an error that begins with `name` and says what to install. */
int tl__sndfile_load(tl_error *err, const char *name);

/* Interleaved frames, one window after the other. */
typedef struct tl_frames tl_frames;
typedef struct tl_frames_ops {
    /* Up to `count` frames; how many, 0 at the end, or -1. */
    int64_t (*read)(tl_error *err, tl_frames *f, float *to, int64_t count);
    void (*close)(tl_frames *f);
} tl_frames_ops;
struct tl_frames {
    const tl_frames_ops *ops;
    char *name;
    int rate, channels;
    int64_t frames; /* -1: not known */
};

/* A sound file by path, or in memory (`path` is a name then). `info` may be NULL. */
tl_frames *tl__sound_file(tl_error *err, const char *path, const void *data, size_t bytes, tl_audio_info *info);
/* Goes to a frame of such a file. 0 or -1. */
int tl__sound_seek(tl_error *err, tl_frames *f, int64_t frame);
/* What can be read once only; the file descriptor is closed with it where `own`. raw_rate: there is no header. */
tl_frames *tl__sound_pipe(tl_error *err, const char *name, int fd, int own, int raw_rate);

/* Up to `n` bytes from `at` of whatever `from` is; how many. */
typedef int64_t tl__bytes_at(const void *from, int64_t at, void *to, int64_t n);
/* Are the frames of an MP3 file all there, one behind the other? 0 or -1. `samples`: how many they hold, where no
 * header of the file says so and the library would have to guess; else 0. */
int tl__mp3_check(tl_error *err, const char *name, const void *from, tl__bytes_at *bytes, int64_t size,
                  int64_t *samples);

/* Is this a rate, and a number of channels, of sound? 0, or -1 with an error. */
int tl__sound_check(tl_error *err, const char *name, int64_t rate, int64_t channels);

/* From one rate to another, piece by piece; with equal rates pieces are copied. */
typedef struct tl_rates tl_rates;
tl_rates *tl__rates_open(tl_error *err, const char *name, int from, int to);
/* Appends to `out` what comes of `count` samples more; `in` NULL: of the end. 0 or -1. */
int tl__rates_push(tl_error *err, tl_rates *r, const float *in, int64_t count, tl_wave *out);
void tl__rates_close(tl_rates *r);

#endif
