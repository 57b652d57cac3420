/* audio_write.c - sound files of one channel and 16 bits, for people to listen to: WAV, which every player and browser
 * knows, by hand, and FLAC, half as large, through libsndfile. */
#include "io/audio_inside.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A file that grows in memory. */
typedef struct memory {
    uint8_t *data;
    int64_t bytes, room, at;
    tl_error *err;
} memory;

static sf_count_t size_of(void *user) { return ((memory *)user)->bytes; }
static sf_count_t tell(void *user) { return ((memory *)user)->at; }

static sf_count_t seek_to(sf_count_t offset, int whence, void *user)
{
    memory *m = user;
    m->at = offset + (whence == SEEK_CUR ? m->at : whence == SEEK_END ? m->bytes : 0);
    return m->at;
}

static sf_count_t read_back(void *to, sf_count_t n, void *user)
{
    memory *m = user;
    int64_t left = m->at < m->bytes ? m->bytes - m->at : 0;
    if (n > left) n = left;
    memcpy(to, m->data + m->at, (size_t)n);
    m->at += n;
    return n;
}

static sf_count_t write_some(const void *from, sf_count_t n, void *user)
{
    memory *m = user;
    if (m->at + n > m->room) {
        int64_t room = 2 * (m->at + n);
        uint8_t *data = tl__realloc(m->err, m->data, (size_t)room);
        if (!data) return 0;
        memset(data + m->room, 0, (size_t)(room - m->room));
        m->data = data;
        m->room = room;
    }
    memcpy(m->data + m->at, from, (size_t)n);
    m->at += n;
    if (m->at > m->bytes) m->bytes = m->at;
    return n;
}

/* 16 bits, the same that reading divides by 32768. */
static int16_t *whole_numbers(tl_error *err, const char *path, const float *data, int64_t count)
{
    int16_t *to = tl__malloc(err, (size_t)count * sizeof *to + 1);
    for (int64_t i = 0; to && i < count; i++) {
        float v = data[i] * 32768.0f;
        if (isnan(v)) {
            tl__fail(err, TL_EARG, "%s: sample %lld is not a number", path, (long long)i + 1);
            free(to);
            return NULL;
        }
        to[i] = (int16_t)(v >= 32767 ? 32767 : v <= -32768 ? -32768 : lrintf(v));
    }
    return to;
}

static void put(uint8_t *to, uint32_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(v >> 8 * i);
}

static int write_wav(tl_error *err, const char *path, const int16_t *data, int64_t count, int rate)
{
    size_t bytes = (size_t)count * 2;
    if (bytes > UINT32_MAX - 36)
        return tl__fail(err, TL_EARG, "%s: a WAV of %lld samples; write a FLAC", path, (long long)count);
    uint8_t *file = tl__malloc(err, 44 + bytes);
    if (!file) return -1;
    memcpy(file, "RIFF....WAVEfmt ", 16);
    put(file + 4, (uint32_t)(36 + bytes), 4);
    put(file + 16, 16, 4);
    put(file + 20, 1, 2);
    put(file + 22, 1, 2);
    put(file + 24, (uint32_t)rate, 4);
    put(file + 28, (uint32_t)rate * 2, 4);
    put(file + 32, 2, 2);
    put(file + 34, 16, 2);
    memcpy(file + 36, "data", 4);
    put(file + 40, (uint32_t)bytes, 4);
    for (int64_t i = 0; i < count; i++) put(file + 44 + 2 * i, (uint16_t)data[i], 2);
    int status = tl__write_file(err, path, file, 44 + bytes);
    free(file);
    return status;
}

static int write_flac(tl_error *err, const char *path, const int16_t *data, int64_t count, int rate)
{
    static SF_VIRTUAL_IO vio = {size_of, seek_to, read_back, write_some, tell};
    memory m = {.err = err};
    SF_INFO about = {.samplerate = rate, .channels = 1, .format = SF_FORMAT_FLAC | SF_FORMAT_PCM_16};
    if (tl__sndfile_load(err, path) != 0) return -1;
    SNDFILE *f = tl__sndfile.sf_open_virtual(&vio, SFM_WRITE, &about, &m);
    int status = f && tl__sndfile.sf_writef_short(f, data, count) == count ? 0 : -1;
    if (f && tl__sndfile.sf_close(f) != 0) status = -1;
    if (status != 0 && !err->code)
        tl__fail(err, TL_EARG, "%s: a FLAC of %d Hz could not be made; write a WAV", path, rate);
    if (err->code) status = -1;
    if (status == 0) status = tl__write_file(err, path, m.data, (size_t)m.bytes);
    free(m.data);
    return status;
}

int tl__audio_write(tl_error *err, const char *path, const float *data, int64_t count, int rate)
{
    const char *dot = strrchr(path, '.');
    int flac = dot && strcasecmp(dot, ".flac") == 0;
    if (!flac && (!dot || strcasecmp(dot, ".wav") != 0))
        return tl__fail(err, TL_EARG, "%s: sound is written as .wav or .flac", path);
    if (tl__sound_check(err, path, rate, 1) != 0) return -1;
    if (count < 1) return tl__fail(err, TL_EARG, "%s: there are no samples to write", path);
    int16_t *whole = whole_numbers(err, path, data, count);
    int status = whole ? (flac ? write_flac : write_wav)(err, path, whole, count, rate) : -1;
    free(whole);
    return status;
}
