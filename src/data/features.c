/* features.c - the file behind features.h. Plain reads and writes at computed places; nothing is mapped, so a
 * file that shrinks under us is an error and not a signal. */
#include "data/features.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum { HEADER = 4096, TEXT_AT = HEADER - TL_FEATURES_TEXT };
static const char magic[16] = "tlua features 2";

typedef struct header {
    char magic[16], key[64];
    int64_t rows, elements;
    int32_t dtype;
    uint32_t order;     /* 1 in the byte order of the machine that wrote it */
    uint32_t checksum;  /* of all before */
} header;

struct tl_features {
    int fd;
    char *path;
    header head;
    int own;                 /* nobody else can open it */
    int64_t done, row_bytes; /* row_bytes: values and checksum */
    unsigned char *row;
};

static int64_t row_bytes(int64_t elements, tl_dtype dtype) { return elements * (int64_t)tl__dtype_size(dtype) + 4; }

int64_t tl__features_bytes(int64_t rows, int64_t elements, tl_dtype dtype) { return HEADER + rows * row_bytes(elements, dtype); }
int64_t tl__features_done(const tl_features *f) { return f->done; }
int64_t tl__features_rows(const tl_features *f) { return f->head.rows; }
int64_t tl__features_elements(const tl_features *f) { return f->head.elements; }

static uint32_t checksum(const void *data, size_t bytes, uint32_t seed) { return (uint32_t)crc32_z(seed, data, bytes); }

static int io_error(tl_error *err, const tl_features *f, const char *what)
{
    return tl__fail(err, TL_EIO, "%s: cannot %s the feature cache: %s", f->path, what, errno ? strerror(errno) : "it is cut short");
}

/* All bytes or an error. */
static int put(tl_error *err, tl_features *f, const void *data, size_t bytes, int64_t at)
{
    for (size_t n = 0; n < bytes;) {
        errno = 0;
        ssize_t k = pwrite(f->fd, (const char *)data + n, bytes - n, (off_t)(at + (int64_t)n));
        if (k <= 0 && errno != EINTR) return io_error(err, f, "write");
        if (k > 0) n += (size_t)k;
    }
    return 0;
}

/* 1, 0 where the file ends before, or -1. */
static int get_if_there(tl_error *err, tl_features *f, void *data, size_t bytes, int64_t at)
{
    for (size_t n = 0; n < bytes;) {
        errno = 0;
        ssize_t k = pread(f->fd, (char *)data + n, bytes - n, (off_t)(at + (int64_t)n));
        if (k == 0) return 0;
        if (k < 0 && errno != EINTR) return io_error(err, f, "read");
        if (k > 0) n += (size_t)k;
    }
    return 1;
}

static int get(tl_error *err, tl_features *f, void *data, size_t bytes, int64_t at)
{
    int there = get_if_there(err, f, data, bytes, at);
    errno = 0;
    return there == 0 ? io_error(err, f, "read") : there < 0 ? -1 : 0;
}

static uint32_t header_checksum(const header *h) { return checksum(h, offsetof(header, checksum), 0); }

/* True if the file on disk is for this header; then `done` is how many whole rows its length holds. */
static int usable(tl_features *f)
{
    tl_error quiet = {0};
    header h;
    struct stat st;
    if (fstat(f->fd, &st) != 0 || st.st_size < HEADER || get(&quiet, f, &h, sizeof h, 0) != 0) return 0;
    if (h.checksum != header_checksum(&h) || memcmp(&h, &f->head, offsetof(header, checksum)) != 0) return 0;
    f->done = (st.st_size - HEADER) / f->row_bytes;
    if (f->done > f->head.rows) f->done = f->head.rows;
    return 1;
}

static int start_anew(tl_error *err, tl_features *f, const char *text)
{
    unsigned char page[HEADER] = {0};
    f->done = 0;
    memcpy(page, &f->head, sizeof f->head);
    if (text) memcpy(page + TEXT_AT, text, strnlen(text, TL_FEATURES_TEXT - 1));
    if (ftruncate(f->fd, 0) != 0) return io_error(err, f, "empty");
    return put(err, f, page, sizeof page, 0);
}

/* The last row may have been cut by a crash whose length looks right: check it before building on it. */
static void check_last(tl_features *f)
{
    tl_error quiet = {0};
    while (f->done > 0) {
        uint32_t sum;
        size_t n = (size_t)f->row_bytes - 4;
        if (get(&quiet, f, f->row, n + 4, HEADER + (f->done - 1) * f->row_bytes) == 0) {
            memcpy(&sum, f->row + n, 4);
            if (sum == checksum(f->row, n, (uint32_t)(f->done - 1))) return;
        }
        quiet = (tl_error){0};
        f->done--;
    }
}

/* ---- sharing a file with other runs ---- */

enum { ATTEMPTS = 12 };
typedef enum outcome { OPENED, AGAIN, BUSY, FAILED } outcome;

/* Whether the file is still the one of that name: others may have removed or replaced it. */
static int is_named(const tl_features *f)
{
    struct stat ours, named;
    return fstat(f->fd, &ours) == 0 && stat(f->path, &named) == 0 && ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

/* From the writer to one of its readers. Where somebody else took the lock in between the file is read without one. */
static void share(tl_features *f) { (void)!flock(f->fd, LOCK_SH | LOCK_NB); }

/* True when nobody else has the file; otherwise it is shared as before. */
static int has_alone(tl_features *f)
{
    if (f->own || flock(f->fd, LOCK_EX | LOCK_NB) == 0) return 1;
    share(f);
    return 0;
}

/* Alone on the file, to write it; or, where it is complete, beside others: each row says by its checksum that it is whole, so a reader needs
 * nobody's leave. What others read and is damaged all the same is not cut under them: in the last attempts another file gets the name. */
static outcome lock_and_look(tl_error *err, tl_features *f, const char *text, int attempt)
{
    int alone = flock(f->fd, LOCK_EX | LOCK_NB) == 0, shared = !alone && errno == EWOULDBLOCK && flock(f->fd, LOCK_SH | LOCK_NB) == 0;
    if (!alone && !shared && errno != EWOULDBLOCK) {
        io_error(err, f, "lock");
        return FAILED;
    }
    if (!is_named(f)) return AGAIN;
    if (usable(f)) check_last(f);
    else if (alone && start_anew(err, f, text) != 0) return FAILED;
    if (!alone && f->done < f->head.rows) {
        if (!shared) return BUSY;
        if (attempt > ATTEMPTS / 2 && is_named(f)) unlink(f->path);
        return AGAIN;
    }
    if (alone && f->done == f->head.rows) share(f);
    futimens(f->fd, NULL); /* last used now: what was not for long is removed first */
    return OPENED;
}

static int open_shared(tl_error *err, tl_features *f, const char *text)
{
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        f->done = 0;
        f->fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (f->fd < 0) return io_error(err, f, "open");
        outcome o = lock_and_look(err, f, text, attempt);
        if (o == OPENED) return 0;
        close(f->fd);
        f->fd = -1;
        if (o == FAILED) return -1;
        if (o == BUSY) break;
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL); /* somebody only looked at it */
    }
    return tl__fail(err, TL_ESTATE, "%s: another run is making this feature cache", f->path);
}

/* A file without a name, of this run alone. */
static int open_own(tl_error *err, tl_features *f, const char *text)
{
    f->own = 1;
    unlink(f->path);
    f->fd = open(f->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (f->fd < 0) return io_error(err, f, "open");
    unlink(f->path);
    return start_anew(err, f, text);
}

/* Whether there can be no such file; else its rows' bytes in *size. */
static int impossible(int64_t rows, int64_t elements, int dtype, int64_t *size)
{
    return rows < 0 || elements <= 0 || elements > INT64_MAX / 8 || (dtype != TL_F32 && dtype != TL_F16) ||
           tl__mul_size(rows, row_bytes(elements, (tl_dtype)dtype), size) != 0 || *size > INT64_MAX - HEADER;
}

static tl_features *open_by(int (*way)(tl_error *, tl_features *, const char *), tl_error *err, const char *path, const char *key, int64_t rows,
                            int64_t elements, tl_dtype dtype, const char *text)
{
    int64_t size;
    if (strlen(key) != 64 || impossible(rows, elements, (int)dtype, &size)) {
        tl__fail(err, TL_EARG, "%s: impossible feature cache of %lld rows of %lld", path, (long long)rows, (long long)elements);
        return NULL;
    }
    tl_features *f = tl__calloc(err, 1, sizeof *f);
    if (!f) return NULL;
    f->fd = -1;
    f->row_bytes = row_bytes(elements, dtype);
    f->head = (header){.rows = rows, .elements = elements, .dtype = (int32_t)dtype, .order = 1};
    memcpy(f->head.magic, magic, sizeof magic);
    memcpy(f->head.key, key, 64);
    f->head.checksum = header_checksum(&f->head);
    f->path = tl__strdup(err, path);
    f->row = tl__malloc(err, (size_t)f->row_bytes);
    if (f->path && f->row && way(err, f, text) == 0) return f;
    tl__features_close(f);
    return NULL;
}

tl_features *tl__features_open(tl_error *err, const char *path, const char *key, int64_t rows, int64_t elements, tl_dtype dtype, const char *text)
{
    return open_by(open_shared, err, path, key, rows, elements, dtype, text);
}

tl_features *tl__features_own(tl_error *err, const char *path, const char *key, int64_t rows, int64_t elements, tl_dtype dtype, const char *text)
{
    return open_by(open_own, err, path, key, rows, elements, dtype, text);
}

int tl__features_about(tl_error *err, const char *path, tl_features_about *about)
{
    header h;
    struct stat st = {0};
    tl_features f = {.path = (char *)(uintptr_t)path};
    memset(about, 0, sizeof *about);
    f.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (f.fd < 0) return io_error(err, &f, "open");
    int bad = fstat(f.fd, &st) != 0 || get(err, &f, &h, sizeof h, 0) != 0 || get(err, &f, about->text, sizeof about->text - 1, TEXT_AT) != 0;
    about->busy = flock(f.fd, LOCK_EX | LOCK_NB) != 0;
    close(f.fd);
    about->bytes = st.st_size;
    about->used = st.st_mtime;
    if (bad) return err->code ? -1 : io_error(err, &f, "read");
    int64_t size;
    if (h.checksum != header_checksum(&h) || memcmp(h.magic, magic, sizeof magic) != 0 || impossible(h.rows, h.elements, h.dtype, &size))
        return tl__fail(err, TL_EFORMAT, "%s: no feature cache of this version, or damaged", path);
    memcpy(about->key, h.key, 64);
    about->rows = h.rows;
    about->elements = h.elements;
    about->dtype = (tl_dtype)h.dtype;
    about->done = (st.st_size - HEADER) / row_bytes(h.elements, about->dtype);
    if (about->done > h.rows) about->done = h.rows;
    return 0;
}

void tl__features_close(tl_features *f)
{
    if (!f) return;
    if (f->fd >= 0) close(f->fd);
    free(f->path);
    free(f->row);
    free(f);
}

/* One row as it lies in the file, without its checksum. All bits set, which no computed number has, mark a missing one. */
static int encode(tl_error *err, tl_features *f, const float *x)
{
    size_t n = (size_t)f->row_bytes - 4;
    if (!x) memset(f->row, 0xff, n);
    else if (f->head.dtype == TL_F32) memcpy(f->row, x, n);
    else
        for (int64_t i = 0; i < f->head.elements; i++) {
            if (fabsf(x[i]) >= 65520.0f && !isinf(x[i])) return tl__fail(err, TL_EARG, "%s: %g does not fit float16", f->path, (double)x[i]);
            uint16_t h = tl__float_to_half(x[i]);
            memcpy(f->row + 2 * i, &h, 2);
        }
    return 0;
}

int tl__features_append(tl_error *err, tl_features *f, const float *rows, int64_t count)
{
    size_t n = (size_t)f->row_bytes - 4;
    if (count > f->head.rows - f->done) return tl__fail(err, TL_EARG, "%s: more rows than the feature cache was made for", f->path);
    for (int64_t r = 0; r < count; r++) {
        if (encode(err, f, rows ? rows + r * f->head.elements : NULL) != 0) return -1;
        uint32_t sum = checksum(f->row, n, (uint32_t)f->done); /* the row's number is in it: no row stands in for another */
        memcpy(f->row + n, &sum, 4);
        if (put(err, f, f->row, n + 4, HEADER + f->done * f->row_bytes) != 0) {
            if (ftruncate(f->fd, (off_t)(HEADER + f->done * f->row_bytes)) != 0) return -1; /* what is cut is seen at the next opening */
            return -1;
        }
        f->done++;
    }
    return 0;
}

int tl__features_missing(tl_error *err, tl_features *f, int64_t r)
{
    unsigned char first[4];
    if (r < 0 || r >= f->done) return tl__fail(err, TL_EARG, "%s: there is no row %lld", f->path, (long long)r);
    size_t n = f->row_bytes - 4 < 4 ? (size_t)f->row_bytes - 4 : 4;
    int there = get_if_there(err, f, first, n, HEADER + r * f->row_bytes);
    if (there <= 0) return there; /* where the file was cut, reading it will tell */
    for (size_t i = 0; i < n; i++)
        if (first[i] != 0xff) return 0;
    return 1;
}

/* The next opening makes it again from row r on. Under others who read it nothing is cut: another file is to get the name. */
static void cut_before(tl_features *f, int64_t r)
{
    if (has_alone(f)) {
        if (ftruncate(f->fd, (off_t)(HEADER + r * f->row_bytes)) == 0) f->done = r;
    } else if (is_named(f) && unlink(f->path) == 0)
        f->done = r;
}

int tl__features_read(tl_error *err, tl_features *f, const int64_t *index, int64_t count, float *out)
{
    int64_t elements = f->head.elements;
    size_t n = (size_t)f->row_bytes - 4;
    for (int64_t k = 0; k < count; k++, out += elements) {
        int64_t r = index[k];
        uint32_t sum;
        if (r < 0 || r >= f->done) return tl__fail(err, TL_EARG, "%s: there is no row %lld", f->path, (long long)r);
        int there = get_if_there(err, f, f->row, n + 4, HEADER + r * f->row_bytes);
        if (there < 0) return -1;
        memcpy(&sum, f->row + n, 4);
        if (!there || sum != checksum(f->row, n, (uint32_t)r)) {
            cut_before(f, r);
            return tl__fail(err, TL_EFORMAT, "%s: row %lld of the feature cache is damaged", f->path, (long long)r);
        }
        if (f->head.dtype == TL_F16)
            for (int64_t i = 0; i < elements; i++) {
                uint16_t h;
                memcpy(&h, f->row + 2 * i, 2);
                out[i] = tl__half_to_float(h);
            }
        else memcpy(out, f->row, n);
    }
    return 0;
}

int tl__features_sync(tl_error *err, tl_features *f)
{
    errno = 0;
    if (!f->own && fsync(f->fd) != 0) return io_error(err, f, "sync");
    if (!f->own && f->done == f->head.rows) share(f); /* whoever waits for it reads it now */
    return 0;
}
