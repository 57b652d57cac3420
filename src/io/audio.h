/* audio.h - sound in and out: files to float32 samples of one channel at the rate that is asked for, and back. Files
 * are WAV, FLAC, OGG, Opus, MP3 and AIFF, read through libsndfile and brought to other rates by soxr, both loaded when
 * first needed. A file is data from a stranger: what its header says is checked before it is used, memory grows with
 * what was really decoded, and each failure is one line that begins with the path and says the way out. Samples of 16
 * bits become numbers from -1 to 1; those of float files stay as they are. */
#ifndef TLUA_AUDIO_H
#define TLUA_AUDIO_H

#include "base/base.h"

#define TL_AUDIO_FORMATS "WAV, FLAC, OGG, Opus, MP3, AIFF"
/* Rates outside are mistakes of a header, or no sound. */
#define TL_AUDIO_LEAST_RATE 1000
#define TL_AUDIO_MOST_RATE 768000
#define TL_AUDIO_MOST_CHANNELS 64
/* The most samples of one channel that one call reads (6 hours at 48 kHz); longer ones are read in windows.
 * TLUA_MAX_SAMPLES in the environment says another number. */
#define TL_AUDIO_MOST_SAMPLES ((int64_t)1 << 30)

/* Samples of one channel; zero it, free it with tl__wave_free. Reading into one uses its memory again. */
typedef struct tl_wave {
    float *data;
    int64_t count, capacity;
    int rate; /* samples a second */
} tl_wave;
/* Room for `capacity` samples in all; what is there stays. 0 or -1. */
int tl__wave_reserve(tl_error *err, tl_wave *w, int64_t capacity);
void tl__wave_free(tl_wave *w);

typedef struct tl_audio_info {
    int rate, channels;
    int64_t frames;  /* one sample of each channel; >= 1 */
    char format[32]; /* "WAV", "FLAC", "OGG", "MPEG-1/2 Audio" */
    char coding[48]; /* "Signed 16 bit PCM", "Vorbis", "Opus" */
} tl_audio_info;

/* What of a file is wanted; zeroed: all of it, channels mixed, at its own rate. */
typedef struct tl_audio_request {
    int64_t from, count; /* frames at the file's rate; count 0: to the end */
    int rate;            /* 0: the file's */
    int channel;         /* from 1; 0: the mean of those channels that are not silent */
} tl_audio_request;

/* What was noticed while reading. A channel is silent where it never leaves -66 dB: of a stereo file of which one side
 * was not connected the other is taken whole, not at half its strength. */
typedef struct tl_audio_heard {
    int channels;
    uint64_t silent; /* bit c: channel c */
    float peak;      /* of all channels */
    double clipped;  /* share of samples at full scale */
} tl_audio_heard;
#define TL_AUDIO_SILENCE 5e-4f
/* Is there nothing to be heard at all? */
int tl__audio_is_silent(const tl_audio_heard *h);

/* What the header says, and for files without a length (a stream's) how long it is by decoding it. 0 or -1. */
int tl__audio_info(tl_error *err, const char *path, tl_audio_info *info);
/* Reads what is asked into `out`; a window has the samples that it has within the whole file at that rate, edges too.
 * `heard` may be NULL, and so may `out`: then all is decoded and nothing kept, however long it is. 0 or -1: TL_EFORMAT
 * and TL_EIO are faults of the file. */
int tl__audio_read(tl_error *err, const char *path, const tl_audio_request *request, tl_audio_heard *heard,
                   tl_wave *out);
/* Both of a file in memory; `name` is for messages. */
int tl__audio_decode(tl_error *err, const char *name, const void *data, size_t bytes, const tl_audio_request *request,
                     tl_audio_info *info, tl_audio_heard *heard, tl_wave *out);

/* Writes a .wav or .flac of 16 bits, whole or not at all; beyond -1 and 1 it is clipped. 0 or -1. */
int tl__audio_write(tl_error *err, const char *path, const float *data, int64_t count, int rate);

/* How many samples `count` at rate `from` become at rate `to`: rounded, a half upwards. */
int64_t tl__audio_length(int64_t count, int64_t from, int64_t to);
/* All of `in` at another rate, by soxr at its high quality (20 bits), into `out`. 0 or -1. */
int tl__audio_resample(tl_error *err, const float *in, int64_t count, int from, int to, tl_wave *out);

/* ---- piece by piece: long files, and pipes ---- */

typedef struct tl_audio_stream tl_audio_stream;

/* A file, or "-" for standard input, where a pipe has a WAV header, or with `raw_rate` none: then 16 bits a sample, the
 * lowest first, one channel (what `arecord -f S16_LE -t raw` and `ffmpeg -f s16le -ac 1` write). rate 0: the one it
 * has. Channels are mixed, each counted from the moment on when it is first heard. NULL on failure. */
tl_audio_stream *tl__audio_open(tl_error *err, const char *path, int rate, int raw_rate);
/* The next `count` samples into `out`, fewer at the end. 1, 0 where nothing is left, or -1. */
int tl__audio_next(tl_error *err, tl_audio_stream *s, int64_t count, tl_wave *out);
int tl__audio_stream_rate(const tl_audio_stream *s);
void tl__audio_close(tl_audio_stream *s);

#endif
