/* shared.c - finding the same files in two sources by size, a part in the middle, and SHA-256. */
#include "data/shared.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAMPLE 4096

typedef struct file {
    const char *path;
    int64_t size, index;
    int side;        /* 0: of a, 1: of b */
    uint64_t sample; /* of the bytes in the middle; headers of pictures are much the same */
} file;

typedef struct hashed {
    const file *file;
    char hex[65];
} hashed;

static int by_number(uint64_t a, uint64_t b) { return a < b ? -1 : a > b; }

static int by_size(const void *a, const void *b) { return by_number((uint64_t)((const file *)a)->size, (uint64_t)((const file *)b)->size); }

static int by_sample(const void *a, const void *b) { return by_number(((const file *)a)->sample, ((const file *)b)->sample); }

/* Within the same bytes: those of a first, in their order. */
static int by_hash(const void *a, const void *b)
{
    const hashed *x = a, *y = b;
    int d = strcmp(x->hex, y->hex);
    if (d == 0) d = x->file->side - y->file->side;
    return d ? d : by_number((uint64_t)x->file->index, (uint64_t)y->file->index);
}

static int by_b(const void *a, const void *b) { return by_number((uint64_t)((const tl_shared *)a)->b, (uint64_t)((const tl_shared *)b)->b); }

static int64_t add_files(const tl_source *s, int side, file *list, int64_t n)
{
    for (int64_t i = 0; i < s->count; i++) {
        int64_t number;
        struct stat st;
        const char *path = s->ops->locate(s, i, &number);
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) list[n++] = (file){.path = path, .size = st.st_size, .index = i, .side = side};
    }
    return n;
}

/* Reads what can be had of [at, at + n). */
static size_t read_part(const char *path, void *to, size_t n, int64_t at)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? pread(fd, to, n, (off_t)at) : -1;
    if (fd >= 0) close(fd);
    return got > 0 ? (size_t)got : 0;
}

/* A file that cannot be read gets a number of its own. */
static void take_sample(file *f)
{
    uint8_t part[SAMPLE];
    int64_t at = f->size > SAMPLE ? (f->size - SAMPLE) / 2 : 0;
    size_t got = read_part(f->path, part, sizeof part, at);
    f->sample = got || f->size == 0 ? tl__hash64(part, got, 0) : (uint64_t)f->index << 1 | (uint64_t)f->side;
}

static int hash_file(tl_error *err, const file *f, char hex[65])
{
    FILE *in = fopen(f->path, "rb");
    size_t got, room = 1 << 16;
    uint8_t *buffer = tl__malloc(err, room);
    tl_sha256 h;
    tl__sha256_init(&h);
    while (in && buffer && (got = fread(buffer, 1, room, in)) > 0) tl__sha256_update(&h, buffer, got);
    if (in && !ferror(in))
        tl__sha256_final(&h, hex);
    else
        snprintf(hex, 65, "%d %lld", f->side, (long long)f->index);
    if (in) fclose(in);
    free(buffer);
    return buffer ? 0 : -1;
}

/* Calls f(err, run, n, with) for each run of files that `compare` finds equal and that has files of both sources; sorts by it first. */
typedef int run_taker(tl_error *err, file *run, int64_t n, tl_shared *out, int64_t *count);

static int each_run(tl_error *err, file *list, int64_t n, int (*compare)(const void *, const void *), run_taker *take, tl_shared *out, int64_t *count)
{
    qsort(list, (size_t)n, sizeof *list, compare);
    for (int64_t from = 0, to; from < n; from = to) {
        int sides = 0;
        for (to = from; to < n && compare(&list[from], &list[to]) == 0; to++) sides |= 1 << list[to].side;
        if (sides == 3 && take(err, list + from, to - from, out, count) != 0) return -1;
    }
    return 0;
}

static int take_same_sample(tl_error *err, file *run, int64_t n, tl_shared *out, int64_t *count)
{
    hashed *h = tl__malloc(err, (size_t)n * sizeof *h);
    int status = h ? 0 : -1;
    for (int64_t i = 0; status == 0 && i < n; i++) {
        h[i].file = &run[i];
        status = hash_file(err, &run[i], h[i].hex);
    }
    if (status == 0) qsort(h, (size_t)n, sizeof *h, by_hash);
    for (int64_t i = 0, first = 0; status == 0 && i < n; i++) {
        if (strcmp(h[first].hex, h[i].hex) != 0) first = i;
        if (h[first].file->side == 0 && h[i].file->side == 1) out[(*count)++] = (tl_shared){h[first].file->index, h[i].file->index};
    }
    free(h);
    return status;
}

static int take_same_size(tl_error *err, file *run, int64_t n, tl_shared *out, int64_t *count)
{
    for (int64_t i = 0; i < n; i++) take_sample(&run[i]);
    return each_run(err, run, n, by_sample, take_same_sample, out, count);
}

tl_shared *tl__source_shared(tl_error *err, const tl_source *a, const tl_source *b, int64_t *count)
{
    *count = 0;
    tl_shared *out = tl__malloc(err, (size_t)(b->count + 1) * sizeof *out);
    if (!out || !a->ops->from_files || !b->ops->from_files) return out;
    file *list = tl__malloc(err, (size_t)(a->count + b->count + 1) * sizeof *list);
    int64_t n = list ? add_files(b, 1, list, add_files(a, 0, list, 0)) : 0;
    int status = list ? each_run(err, list, n, by_size, take_same_size, out, count) : -1;
    free(list);
    if (status == 0) {
        qsort(out, (size_t)*count, sizeof *out, by_b);
        return out;
    }
    free(out);
    return NULL;
}
