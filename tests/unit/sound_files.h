/* sound_files.h - sound files that tests make for themselves: WAV byte by byte, right or wrong, and what libsndfile
 * writes. */
#ifndef TLUA_TEST_SOUND_FILES_H
#define TLUA_TEST_SOUND_FILES_H

#include "data_files.h"
#include "io/audio_inside.h"

#include <math.h>

/* Bytes that grow. */
typedef struct sound_bytes {
    uint8_t data[1 << 21];
    int64_t size, at;
} sound_bytes;

static inline sf_count_t bytes_size(void *user) { return ((sound_bytes *)user)->size; }
static inline sf_count_t bytes_tell(void *user) { return ((sound_bytes *)user)->at; }
static inline sf_count_t bytes_seek(sf_count_t offset, int whence, void *user)
{
    sound_bytes *b = user;
    return b->at = offset + (whence == SEEK_CUR ? b->at : whence == SEEK_END ? b->size : 0);
}
static inline sf_count_t bytes_read(void *to, sf_count_t n, void *user)
{
    sound_bytes *b = user;
    if (n > b->size - b->at) n = b->size - b->at;
    memcpy(to, b->data + b->at, (size_t)n);
    b->at += n;
    return n;
}
static inline sf_count_t bytes_write(const void *from, sf_count_t n, void *user)
{
    sound_bytes *b = user;
    cr_assert_leq(b->at + n, (sf_count_t)sizeof b->data);
    memcpy(b->data + b->at, from, (size_t)n);
    b->at += n;
    if (b->at > b->size) b->size = b->at;
    return n;
}

/* Encodes (frames, channels) with libsndfile; the caller frees it. */
static inline sound_bytes *encoded(int format, int rate, int channels, const float *x, int64_t frames)
{
    static SF_VIRTUAL_IO vio = {bytes_size, bytes_seek, bytes_read, bytes_write, bytes_tell};
    tl_error err = {0};
    sound_bytes *b = calloc(1, sizeof *b);
    SF_INFO about = {.samplerate = rate, .channels = channels, .format = format};
    cr_assert_eq(tl__sndfile_load(&err, "test"), 0, "%s", err.text);
    SNDFILE *f = tl__sndfile.sf_open_virtual(&vio, SFM_WRITE, &about, b);
    cr_assert(f, "format %x", format);
    tl__sndfile.sf_command(f, SFC_SET_SCALE_INT_FLOAT_WRITE, NULL, SF_TRUE);
    int16_t *whole = malloc((size_t)(frames * channels) * sizeof *whole);
    for (int64_t i = 0; i < frames * channels; i++) whole[i] = (int16_t)lrintf(x[i] * 32767);
    cr_assert_eq(tl__sndfile.sf_writef_short(f, whole, frames), frames);
    tl__sndfile.sf_close(f);
    free(whole);
    return b;
}

static inline void low_first(uint8_t *to, uint32_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(v >> 8 * i);
}

/* A WAV of 16 bits (coding 1) or floats (coding 3), (frames, channels); returns its size, `to` has 44 + 4 * frames *
 * channels bytes. */
static inline size_t wav_bytes(uint8_t *to, int coding, int rate, int channels, const float *x, int64_t frames)
{
    uint32_t width = coding == 3 ? 4 : 2, bytes = (uint32_t)(frames * channels) * width;
    memcpy(to, "RIFF....WAVEfmt ", 16);
    low_first(to + 4, 36 + bytes, 4);
    low_first(to + 16, 16, 4);
    low_first(to + 20, (uint32_t)coding, 2);
    low_first(to + 22, (uint32_t)channels, 2);
    low_first(to + 24, (uint32_t)rate, 4);
    low_first(to + 28, (uint32_t)rate * (uint32_t)channels * width, 4);
    low_first(to + 32, (uint32_t)channels * width, 2);
    low_first(to + 34, 8 * width, 2);
    memcpy(to + 36, "data", 4);
    low_first(to + 40, bytes, 4);
    for (int64_t i = 0; i < frames * channels; i++) {
        if (coding == 3) memcpy(to + 44 + 4 * i, &x[i], 4);
        else low_first(to + 44 + 2 * i, (uint16_t)(int16_t)(x[i] >= 1 ? 32767 : lrintf(x[i] * 32768)), 2);
    }
    return 44 + bytes;
}

static inline void put_bytes(const char *path, const void *data, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    cr_assert(f && fwrite(data, 1, bytes, f) == bytes && fclose(f) == 0, "%s", path);
}

/* Writes a WAV to `path`. */
static inline void put_wav(const char *path, int coding, int rate, int channels, const float *x, int64_t frames)
{
    uint8_t *b = malloc(44 + 4 * (size_t)(frames * channels) + 1);
    put_bytes(path, b, wav_bytes(b, coding, rate, channels, x, frames));
    free(b);
}

/* Tones of 440 Hz and its multiples, one of each channel, of half the strength; the caller frees it. */
static inline float *tones(int rate, int channels, int64_t frames)
{
    float *x = malloc((size_t)(frames * channels) * sizeof *x + 1);
    for (int64_t i = 0; i < frames; i++)
        for (int c = 0; c < channels; c++)
            x[i * channels + c] = 0.5f * (float)sin(2 * 3.14159265358979 * 440 * (c + 1) * (double)i / rate);
    return x;
}

#endif
