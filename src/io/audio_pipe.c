/* audio_pipe.c - sound that comes once and from the front: standard input and named pipes, with the header of a WAV
 * file or with none. Sizes in such a header are mostly made up, since who wrote it could not go back, and so the end of
 * the pipe is the end. */
#define _POSIX_C_SOURCE 200809L
#include "io/audio_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct pipe_frames {
    tl_frames base;
    int fd, own;
    int width, is_float; /* bytes of a sample */
    int64_t left;        /* bytes of samples; -1: until the end */
    uint8_t *buffer;
    int64_t room;
} pipe_frames;

/* As many bytes as there are until the end of the pipe; -1 with an error. */
static int64_t take(tl_error *err, const pipe_frames *p, void *to, int64_t n)
{
    int64_t got = 0;
    while (got < n) {
        ssize_t r = read(p->fd, (char *)to + got, (size_t)(n - got));
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return tl__fail(err, TL_EIO, "%s: cannot be read: %s", p->base.name, strerror(errno));
        if (r == 0) break;
        got += r;
    }
    return got;
}

static uint32_t word(const uint8_t *b, int bytes)
{
    uint32_t v = 0;
    for (int i = bytes - 1; i >= 0; i--) v = v << 8 | b[i];
    return v;
}

static float sample(const pipe_frames *p, const uint8_t *b)
{
    uint32_t v = word(b, p->width);
    float f;
    if (p->is_float) {
        memcpy(&f, &v, sizeof f);
        return f;
    }
    if (p->width == 1) return ((float)v - 128.0f) / 128.0f; /* 8 bits have no sign */
    int32_t whole = (int32_t)(v << (32 - 8 * p->width));
    return (float)((double)whole / 2147483648.0);
}

static int64_t pipe_read(tl_error *err, tl_frames *f, float *to, int64_t count)
{
    pipe_frames *p = (pipe_frames *)f;
    int64_t frame = (int64_t)p->width * f->channels, want = count * frame;
    if (p->left >= 0 && want > p->left) want = p->left - p->left % frame;
    if (want > p->room) {
        uint8_t *buffer = tl__realloc(err, p->buffer, (size_t)want);
        if (!buffer) return -1;
        p->buffer = buffer;
        p->room = want;
    }
    int64_t got = want ? take(err, p, p->buffer, want) : 0;
    if (got < 0) return -1;
    if (p->left >= 0) p->left -= got;
    got /= frame;
    for (int64_t i = 0; i < got * f->channels; i++) to[i] = sample(p, p->buffer + i * p->width);
    return got;
}

static void pipe_close(tl_frames *f)
{
    pipe_frames *p = (pipe_frames *)f;
    if (p->own) close(p->fd);
    free(p->buffer);
    free(f->name);
    free(p);
}

static const tl_frames_ops pipe_ops = {pipe_read, pipe_close};

static int no_header(tl_error *err, const pipe_frames *p)
{
    return tl__fail(
        err, TL_EFORMAT,
        "%s: no WAV header at the front; for samples alone (16 bits, one channel) say their rate (--rate 16000, in Lua "
        "raw_rate = 16000); of another form make WAV first: ffmpeg -i - -f wav -",
        p->base.name);
}

static int pass_over(tl_error *err, const pipe_frames *p, int64_t n)
{
    uint8_t dust[4096];
    for (int64_t got; n > 0; n -= got) {
        got = take(err, p, dust, n < (int64_t)sizeof dust ? n : (int64_t)sizeof dust);
        if (got < 0) return -1;
        if (got == 0) return no_header(err, p);
    }
    return 0;
}

/* "fmt ": coding (1 whole numbers, 3 floats, 0xfffe: the first two bytes of what stands at 24), channels, rate, and
 * bits a sample at 14. */
static int read_format(tl_error *err, pipe_frames *p, int64_t size)
{
    uint8_t b[40] = {0};
    int64_t some = size < (int64_t)sizeof b ? size : (int64_t)sizeof b, got = take(err, p, b, some);
    if (got < 0) return -1;
    if (got < 16) return no_header(err, p);
    uint32_t coding = word(b, 2), bits = word(b + 14, 2);
    if (coding == 0xfffe) coding = word(b + 24, 2);
    p->base.channels = (int)word(b + 2, 2);
    p->base.rate = (int)(word(b + 4, 4) & 0x7fffffff);
    p->width = (int)bits / 8;
    p->is_float = coding == 3;
    int known = (coding == 1 && bits % 8 == 0 && bits >= 8 && bits <= 32) || (coding == 3 && bits == 32);
    if (!known)
        return tl__fail(
            err, TL_EFORMAT,
            "%s: a WAV of coding %u with %u bits, and a pipe has whole numbers of 8 to 32 bits or floats of 32",
            p->base.name, coding, bits);
    if (tl__sound_check(err, p->base.name, p->base.rate, p->base.channels) != 0) return -1;
    return pass_over(err, p, size - some + (size & 1));
}

static int read_header(tl_error *err, pipe_frames *p)
{
    uint8_t b[12];
    int64_t got = take(err, p, b, 12);
    if (got < 0) return -1;
    if (got < 12 || memcmp(b, "RIFF", 4) != 0 || memcmp(b + 8, "WAVE", 4) != 0) return no_header(err, p);
    for (;;) {
        if ((got = take(err, p, b, 8)) < 8) return got < 0 ? -1 : no_header(err, p);
        uint32_t size = word(b + 4, 4);
        if (memcmp(b, "data", 4) == 0) {
            if (!p->base.channels) return no_header(err, p);
            p->left = size == 0 || size >= 0x7fff0000 ? -1 : (int64_t)size;
            return 0;
        }
        if ((memcmp(b, "fmt ", 4) == 0 ? read_format(err, p, size) : pass_over(err, p, (int64_t)size + (size & 1))) !=
            0)
            return -1;
    }
}

tl_frames *tl__sound_pipe(tl_error *err, const char *name, int fd, int own, int raw_rate)
{
    pipe_frames *p = tl__calloc(err, 1, sizeof *p);
    if (!p) return NULL;
    p->base = (tl_frames){.ops = &pipe_ops, .rate = raw_rate, .channels = raw_rate ? 1 : 0, .frames = -1};
    p->fd = fd;
    p->own = own;
    p->width = 2;
    p->left = -1;
    p->base.name = tl__strdup(err, name);
    if (p->base.name && (raw_rate ? tl__sound_check(err, name, raw_rate, 1) : read_header(err, p)) == 0)
        return &p->base;
    pipe_close(&p->base);
    return NULL;
}
