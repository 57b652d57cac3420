/* prints.c - the difference hashes of a source's pictures (doubles.h), by threads, and the file that keeps them:
 * records of 32 bytes, each of which is believed by itself alone, so that several runs may append at once and one that
 * was cut short costs nothing but itself. */
#include "data/doubles.h"
#include "data/loader.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_THREADS 64
#define SMALLEST_SIDE 256 /* a JPEG may be decoded so small */
#define VERSION "dhash 9 x 8, box, 1"
#define MOST_BYTES (64 << 20) /* of the file; a larger one is begun anew */

typedef struct record {
    uint8_t key[16]; /* the beginning of a SHA-256 */
    uint64_t bits;
    uint32_t kind, check;
} record;

static uint32_t check_of(const record *r) { return (uint32_t)tl__hash64(r, offsetof(record, check), 7); }

static int by_key(const void *a, const void *b)
{
    return memcmp(((const record *)a)->key, ((const record *)b)->key, 16);
}

typedef struct work {
    tl_source *source;
    const record *known;
    size_t known_count;
    record *made; /* one a picture; kind TL_PRINT_NONE: not made, or not to be kept */
    tl_print *print;
    _Atomic int64_t next;
    int keyed;
    pthread_mutex_t lock;
    tl_error error;
} work;

/* ---- the file ---- */

/* The records in it that are whole, by key; an empty list where there is no such file. NULL with an error. */
static record *load(tl_error *err, const char *path, size_t *count)
{
    struct stat st;
    *count = 0;
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    size_t most = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= MOST_BYTES
                      ? (size_t)st.st_size / sizeof(record)
                      : 0;
    record *list = tl__malloc(err, (most + 1) * sizeof *list);
    for (size_t i = 0; list && i < most; i++) {
        if (pread(fd, &list[*count], sizeof *list, (off_t)(i * sizeof *list)) != (ssize_t)sizeof *list) break;
        const record *r = &list[*count];
        *count += r->check == check_of(r) && (r->kind == TL_PRINT_EVEN || r->kind == TL_PRINT_SEEN);
    }
    if (fd >= 0) close(fd);
    if (list) qsort(list, *count, sizeof *list, by_key);
    return list;
}

/* Appends what was made, in one write. Nothing depends on it. */
static void keep(const char *path, record *made, int64_t n)
{
    struct stat st;
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        if (made[i].kind != TL_PRINT_NONE) made[count++] = made[i];
    if (!path || count == 0) return;
    int large = stat(path, &st) == 0 && st.st_size + count * (int64_t)sizeof *made > MOST_BYTES;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (large ? O_TRUNC : 0), 0666);
    if (fd < 0) return;
    /* After a record that was cut short the others would lie across: the file is cut to whole ones. */
    if (fstat(fd, &st) == 0 && st.st_size % (off_t)sizeof *made &&
        ftruncate(fd, st.st_size - st.st_size % (off_t)sizeof *made) != 0)
        count = 0;
    ssize_t written = write(fd, made, (size_t)count * sizeof *made);
    (void)written;
    close(fd);
}

/* What tells that picture i is the same as when its print was kept: 0, or -1 with an error. */
static int key_of(tl_error *err, const tl_source *s, int64_t i, uint8_t key[16])
{
    char *identity = tl__source_identity(err, s, i), decoders[512], hex[65];
    tl_sha256 h;
    if (!identity) return -1;
    tl__sha256_init(&h);
    tl__sha256_update(&h, VERSION, sizeof VERSION);
    tl__image_decoders(decoders, sizeof decoders);
    tl__sha256_update(&h, decoders, strlen(decoders) + 1);
    tl__sha256_update(&h, identity, strlen(identity) + 1);
    free(identity);
    /* Windows of a scanner's values, too. */
    if (s->ops->target_hash && s->ops->target_hash(err, s, i, NULL, &h) != 0) return -1;
    tl__sha256_final(&h, hex);
    for (int k = 0; k < 16; k++) {
        const char digits[3] = {hex[2 * k], hex[2 * k + 1], 0};
        key[k] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return 0;
}

/* ---- one picture ---- */

typedef struct room {
    tl_image image, small;
    tl_resizer resizer;
} room;

static int see(tl_error *err, const tl_source *s, int64_t i, room *r, tl_print *out)
{
    tl_image_request request = {.channels = 1, .smallest_side = SMALLEST_SIDE};
    if (tl__source_read(err, s, i, &request, &r->image) != 0) return -1;
    tl_view view = tl__image_view(&r->image);
    if (tl__resize(err, &r->resizer, &view, NULL, TL_FILTER_BOX, TL_PRINT_WIDTH, TL_PRINT_HEIGHT, &r->small) != 0)
        return -1;
    *out = tl__print_of(r->small.data);
    return 0;
}

/* A picture that cannot be read has no print; a lack of memory ends the work. */
static void print_one(work *w, int64_t i, room *r)
{
    tl_error error = {0};
    record one = {.kind = TL_PRINT_NONE};
    const record *found = NULL;
    int keyed = w->keyed && key_of(&error, w->source, i, one.key) == 0;
    if (keyed) found = bsearch(&one, w->known, w->known_count, sizeof one, by_key);
    if (found) {
        w->print[i] = (tl_print){found->bits, (int)found->kind};
    } else if (!error.code && see(&error, w->source, i, r, &w->print[i]) == 0 && keyed) {
        one.bits = w->print[i].bits;
        one.kind = (uint32_t)w->print[i].kind;
        one.check = check_of(&one);
        w->made[i] = one;
    }
    if (error.code != TL_EMEMORY) return;
    pthread_mutex_lock(&w->lock);
    tl__fail(&w->error, error.code, "%s", error.text);
    pthread_mutex_unlock(&w->lock);
    atomic_store(&w->next, w->source->count);
}

static void *print_some(void *argument)
{
    work *w = argument;
    room r;
    memset(&r, 0, sizeof r);
    for (int64_t i; (i = atomic_fetch_add(&w->next, 1)) < w->source->count;) print_one(w, i, &r);
    tl__image_free(&r.image);
    tl__image_free(&r.small);
    tl__resizer_free(&r.resizer);
    return NULL;
}

static void run_threads(work *w, int threads)
{
    pthread_t thread[MAX_THREADS];
    int started = 0;
    pthread_mutex_init(&w->lock, NULL);
    while (started + 1 < threads && pthread_create(&thread[started], NULL, print_some, w) == 0) started++;
    print_some(w); /* what no thread could be had for, too */
    for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
    pthread_mutex_destroy(&w->lock);
}

tl_print *tl__source_prints(tl_error *err, tl_source *s, int threads, const char *cache)
{
    work w = {.source = s, .keyed = cache && !s->unknown && !s->alone};
    if (!(s->fields & TL_FIELD_IMAGE)) {
        tl__fail(err, TL_EARG, "only pictures can look alike, and the source has none");
        return NULL;
    }
    record *known = load(err, w.keyed ? cache : NULL, &w.known_count);
    w.known = known;
    w.made = known ? tl__calloc(err, (size_t)s->count + 1, sizeof *w.made) : NULL;
    w.print = w.made ? tl__calloc(err, (size_t)s->count + 1, sizeof *w.print) : NULL;
    if (w.print) run_threads(&w, s->alone ? 1 : tl__thread_count(threads));
    if (w.error.code) {
        tl__fail(err, w.error.code, "%s", w.error.text);
        free(w.print);
        w.print = NULL;
    }
    if (w.print && w.keyed) keep(cache, w.made, s->count);
    free(w.made);
    free(known);
    return w.print;
}
