/* audio_file.c - sound files through libsndfile, from a file or from memory by the same way. The library mends what it
 * can in silence, so what it would not say is looked at here first: whether a file was cut short, and what it is where
 * it is no sound file. */
#define _POSIX_C_SOURCE 200809L
#include "io/audio_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct sound {
    tl_frames base;
    int fd; /* -1: in memory */
    const uint8_t *data;
    int64_t bytes, at;
    SNDFILE *file;
    int64_t given;    /* frames read since the last seek, and how many there must be */
    int64_t expected; /* -1: not known */
    int64_t counted;  /* samples of an MP3 whose header does not tell; a decoder may leave out its first or last */
} sound;

/* ---- bytes ---- */

/* Up to `n` bytes from `at`; fewer at the end, and where the disk fails. */
static int64_t bytes_at(const void *from, int64_t at, void *to, int64_t n)
{
    const sound *s = from;
    int64_t left = at >= 0 && at < s->bytes ? s->bytes - at : 0, want = n < 0 ? 0 : n < left ? n : left, got = 0;
    if (s->fd < 0) {
        if (want) memcpy(to, s->data + at, (size_t)want);
        return want;
    }
    while (got < want) {
        ssize_t r = pread(s->fd, (char *)to + got, (size_t)(want - got), at + got);
        if (r < 0 && errno == EINTR) continue;
        if (r <= 0) break;
        got += r;
    }
    return got;
}

static sf_count_t size_of(void *user) { return ((sound *)user)->bytes; }

static sf_count_t seek_to(sf_count_t offset, int whence, void *user)
{
    sound *s = user;
    int64_t base = whence == SEEK_CUR ? s->at : whence == SEEK_END ? s->bytes : 0, to;
    if (__builtin_add_overflow(base, (int64_t)offset, &to) || to < 0) return -1;
    return s->at = to;
}

static sf_count_t read_some(void *to, sf_count_t n, void *user)
{
    sound *s = user;
    int64_t got = bytes_at(s, s->at, to, n);
    s->at += got;
    return got;
}

static sf_count_t write_none(const void *from, sf_count_t n, void *user)
{
    (void)from, (void)n, (void)user;
    return 0;
}

static sf_count_t tell(void *user) { return ((sound *)user)->at; }

/* ---- what it is, and whether all of it is there ---- */

static uint32_t low_first(const uint8_t *b)
{
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static uint32_t high_first(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int cut_short(tl_error *err, const sound *s, const char *what)
{
    return tl__fail(
        err, TL_EFORMAT,
        "%s: the %s file was cut short: %lld bytes are there, and more are announced; get it anew, or leave it out",
        s->base.name, what, (long long)s->bytes);
}

/* The samples of a WAV are one chunk with its size before it; a program that wrote into a pipe could not know that, and
 * put nothing or about the most. */
static int check_wav(tl_error *err, sound *s)
{
    uint8_t head[8];
    for (int64_t at = 12; bytes_at(s, at, head, 8) == 8;) {
        uint32_t size = low_first(head + 4);
        if (memcmp(head, "data", 4) == 0)
            return size < 0x7fff0000 && at + 8 + (int64_t)size > s->bytes ? cut_short(err, s, "WAV") : 0;
        at += 8 + (int64_t)size + (size & 1);
    }
    return tl__fail(err, TL_EFORMAT,
                    "%s: a WAV file without samples (there is no data chunk); get it anew, or leave it out",
                    s->base.name);
}

static int check_aiff(tl_error *err, sound *s)
{
    uint8_t head[8];
    return bytes_at(s, 0, head, 8) == 8 && (int64_t)high_first(head + 4) + 8 > s->bytes + 1 ? cut_short(err, s, "AIFF")
                                                                                            : 0;
}

/* How long the page of an OGG stream at `b` is, of `n` bytes that are there; 0 where there is none. */
static int64_t page_length(const uint8_t *b, int64_t n)
{
    if (n < 27 || memcmp(b, "OggS", 4) != 0 || b[4] != 0) return 0;
    int64_t length = 27 + b[26];
    for (int i = 0; i < b[26]; i++) length += 27 + i < n ? b[27 + i] : 255;
    return length;
}

/* The last page of an OGG file must be whole. Pages follow one another, so that the last two longest pages' worth of
 * bytes are enough to find one. */
static int check_ogg(tl_error *err, sound *s)
{
    int64_t most = 2 * 65536, from = s->bytes > most ? s->bytes - most : 0, n = s->bytes - from;
    uint8_t *tail = tl__malloc(err, (size_t)n + 1);
    if (!tail) return -1;
    int whole = 0, cut = 0;
    n = bytes_at(s, from, tail, n);
    for (int64_t i = 0; i + 4 <= n && !whole; i++) {
        int64_t at = i, length;
        while ((length = page_length(tail + at, n - at)) > 0 && at + length < n) at += length;
        if (length > 0 && at + length == n) whole = 1;
        if (length > 0 && at + length > n) cut = 1;
    }
    free(tail);
    return cut && !whole ? cut_short(err, s, "OGG") : 0;
}

static int check_mp3(tl_error *err, sound *s)
{
    return tl__mp3_check(err, s->base.name, s, bytes_at, s->bytes, &s->counted);
}

static int check_nothing(tl_error *err, sound *s)
{
    (void)err, (void)s;
    return 0;
}

/* What begins how. Those without a check are no sound files that are read, and `check` tells what to do. */
static const struct {
    int at;
    const char *bytes, *name;
    int (*check)(tl_error *err, sound *s);
} kinds[] = {
    {8, "WAVE", "WAV", check_wav},      {8, "AIFF", "AIFF", check_aiff},         {8, "AIFC", "AIFF", check_aiff},
    {0, "fLaC", "FLAC", check_nothing}, {0, "OggS", "OGG", check_ogg},           {0, "ID3", "MP3", check_mp3},
    {4, "ftyp", "an MP4 (AAC)", NULL},  {0, "\x1a\x45\xdf\xa3", "a WebM", NULL}, {0, "\x30\x26\xb2\x75", "a WMA", NULL},
    {0, "#!AMR", "an AMR", NULL},       {0, "\xff\xf1", "an AAC", NULL},         {0, "\xff\xf9", "an AAC", NULL}};

/* Looks at the first bytes; "" where nothing is known of them. NULL with an error. */
static const char *look(tl_error *err, sound *s)
{
    uint8_t head[16] = {0};
    if (s->bytes == 0) {
        tl__fail(err, TL_EFORMAT, "%s: the file is empty; get it anew, or leave it out", s->base.name);
        return NULL;
    }
    bytes_at(s, 0, head, sizeof head);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (memcmp(head + kinds[i].at, kinds[i].bytes, strlen(kinds[i].bytes)) != 0) continue;
        if (kinds[i].check) return kinds[i].check(err, s) == 0 ? kinds[i].name : NULL;
        tl__fail(err, TL_EFORMAT, "%s: %s file, which is not read; make a FLAC of it: ffmpeg -i FILE FILE.flac",
                 s->base.name, kinds[i].name);
        return NULL;
    }
    if (head[0] != 0xff || (head[1] & 0xe0) != 0xe0) return "";
    return check_mp3(err, s) == 0 ? "MP3" : NULL;
}

int tl__sound_check(tl_error *err, const char *name, int64_t rate, int64_t channels)
{
    if (rate < TL_AUDIO_LEAST_RATE || rate > TL_AUDIO_MOST_RATE)
        return tl__fail(err, TL_EFORMAT,
                        "%s: a rate of %lld Hz, and sound has %d to %d; write the file with its true rate", name,
                        (long long)rate, TL_AUDIO_LEAST_RATE, TL_AUDIO_MOST_RATE);
    if (channels < 1 || channels > TL_AUDIO_MOST_CHANNELS)
        return tl__fail(err, TL_EFORMAT, "%s: %lld channels, and 1 to %d are read; write those that are wanted alone",
                        name, (long long)channels, TL_AUDIO_MOST_CHANNELS);
    return 0;
}

/* ---- frames ---- */

static int damaged(tl_error *err, const sound *s)
{
    const char *said = s->file ? tl__sndfile.sf_error_number(tl__sndfile.sf_error(s->file)) : NULL;
    return tl__fail(err, TL_EFORMAT, "%s: the file is damaged%s%s; get it anew, or leave it out", s->base.name,
                    said ? ": " : "", said ? said : "");
}

/* Samples that decoders leave out without being told: two frames. */
#define FIRST_OF_MP3 2304

static int64_t sound_read(tl_error *err, tl_frames *f, float *to, int64_t count)
{
    sound *s = (sound *)f;
    int64_t left = s->expected < 0 ? count : s->expected - s->given, want = count < left ? count : left;
    int64_t got = want > 0 ? tl__sndfile.sf_readf_float(s->file, to, want) : 0;
    if (got < 0 || (got < want && tl__sndfile.sf_error(s->file) != 0)) return damaged(err, s);
    if (got < want && s->counted) { /* some of the first or last are silence that was never there */
        if (left - got > FIRST_OF_MP3)
            return tl__fail(err, TL_EFORMAT,
                            "%s: the MP3 file cannot be decoded to its end; get it anew, or leave it out", f->name);
        s->expected = s->given + got;
    } else if (got < want && s->expected >= 0) /* the library is silent about an end that comes too early */
        return tl__fail(err, TL_EFORMAT,
                        "%s: the file was cut short: it ends after %lld of %lld samples; get it anew, or leave it out",
                        f->name, (long long)(f->frames - left + got), (long long)f->frames);
    s->given += got;
    return got;
}

static void sound_close(tl_frames *f)
{
    sound *s = (sound *)f;
    if (s->file) tl__sndfile.sf_close(s->file);
    if (s->fd >= 0) close(s->fd);
    free(f->name);
    free(s);
}

static const tl_frames_ops sound_ops = {sound_read, sound_close};

int tl__sound_seek(tl_error *err, tl_frames *f, int64_t frame)
{
    sound *s = (sound *)f;
    if (tl__sndfile.sf_seek(s->file, frame, SEEK_SET) != frame) return damaged(err, s);
    s->given = 0;
    s->expected = f->frames < 0 ? -1 : f->frames - frame;
    return 0;
}

/* ---- opening ---- */

static int open_bytes(tl_error *err, sound *s, const char *path, const void *data, size_t bytes)
{
    struct stat st;
    if (data) {
        s->data = data;
        s->bytes = (int64_t)bytes;
        return 0;
    }
    s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe that nobody writes into is not waited for */
    if (s->fd < 0 || fstat(s->fd, &st) != 0) {
        /* What the process or the machine is short of now says nothing of the file, which on_bad = "skip" would leave
         * out. */
        int short_of = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
        return tl__fail(err, short_of ? TL_EMEMORY : TL_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    }
    if (S_ISDIR(st.st_mode)) return tl__fail(err, TL_EIO, "%s: a folder, not a sound file", path);
    if (!S_ISREG(st.st_mode))
        return tl__fail(err, TL_EIO, "%s: a pipe or a device, not a sound file; leave it out", path);
    s->bytes = st.st_size;
    return 0;
}

/* More than that (two years at 16 kHz) is a mistake of a header: how many there are is counted then. */
#define MOST_FRAMES ((sf_count_t)1 << 40)

/* The library's name of a format or of a coding, without what stands in brackets. */
static void name_of(int format, char *to, size_t size)
{
    SF_FORMAT_INFO about = {.format = format};
    tl__sndfile.sf_command(NULL, SFC_GET_FORMAT_INFO, &about, sizeof about);
    snprintf(to, size, "%s", about.name ? about.name : "unknown");
    char *bracket = strstr(to, " (");
    if (bracket) *bracket = 0;
}

static int open_sound(tl_error *err, sound *s, tl_audio_info *info)
{
    static SF_VIRTUAL_IO vio = {size_of, seek_to, read_some, write_none, tell};
    SF_INFO about = {0};
    const char *kind = look(err, s);
    if (!kind) return -1;
    s->file = tl__sndfile.sf_open_virtual(&vio, SFM_READ, &about, s);
    if (!s->file && !*kind)
        return tl__fail(err, TL_EFORMAT, "%s: no sound file of a known format (" TL_AUDIO_FORMATS ")", s->base.name);
    if (!s->file)
        return tl__fail(err, TL_EFORMAT, "%s: a damaged %s file; get it anew, or leave it out", s->base.name, kind);
    if (tl__sound_check(err, s->base.name, about.samplerate, about.channels) != 0) return -1;
    s->base.rate = about.samplerate;
    s->base.channels = about.channels;
    s->base.frames = s->expected = about.frames >= 0 && about.frames < MOST_FRAMES ? about.frames : -1;
    if (s->counted) s->base.frames = s->expected = s->counted;
    if (about.frames == 0)
        return tl__fail(err, TL_EFORMAT, "%s: the file has no samples; get it anew, or leave it out", s->base.name);
    if (!info) return 0;
    *info = (tl_audio_info){.rate = about.samplerate, .channels = about.channels, .frames = s->base.frames};
    name_of(about.format & SF_FORMAT_TYPEMASK, info->format, sizeof info->format);
    name_of(about.format & SF_FORMAT_SUBMASK, info->coding, sizeof info->coding);
    return 0;
}

tl_frames *tl__sound_file(tl_error *err, const char *path, const void *data, size_t bytes, tl_audio_info *info)
{
    if (tl__sndfile_load(err, path) != 0) return NULL;
    sound *s = tl__calloc(err, 1, sizeof *s);
    if (!s) return NULL;
    s->base.ops = &sound_ops;
    s->fd = -1;
    s->base.name = tl__strdup(err, path);
    if (s->base.name && open_bytes(err, s, path, data, bytes) == 0 && open_sound(err, s, info) == 0) return &s->base;
    sound_close(&s->base);
    return NULL;
}
