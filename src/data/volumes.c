/* volumes.c - volumes by list: headers read once by several threads, values when they are asked for. */
#include "data/volumes.h"

#include "data/loader.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MAX_THREADS 64
#define OFF 0.1 /* of a voxel: a mask that lies farther from its volume is another place's */

struct tl_volumes {
    int64_t count;
    int files;
    char **path;       /* (count * files); empty where the volume is a series */
    tl_series *series; /* (count), or NULL; of NIfTI files zeroed */
    char **mask;
    int16_t *meaning; /* of each value of a mask; -1: none */
    unsigned flags;
    tl_extent *about;
};

void tl__volumes_free(tl_volumes *v)
{
    if (!v) return;
    tl__names_free(v->path, v->count * v->files);
    tl__names_free(v->mask, v->count);
    for (int64_t i = 0; v->series && i < v->count; i++) tl__series_clear(&v->series[i]);
    free(v->series);
    free(v->meaning);
    free(v->about);
    free(v);
}

static int is_series(const tl_volumes *v, int64_t i)
{
    return v->series && v->series[i].count > 0;
}

const char *tl__volumes_locate(const tl_volumes *v, int64_t i)
{
    return is_series(v, i) ? v->series[i].slice[0].path : v->path[i * v->files];
}

const tl_extent *tl__volumes_about(const tl_volumes *v, int64_t i)
{
    return &v->about[i];
}

/* ---- grids ---- */

static tl_grid grid_of(const tl_volume *v)
{
    tl_grid g = {.size = {v->size[0], v->size[1], v->size[2]}};
    memcpy(g.affine, v->affine, sizeof g.affine);
    return g;
}

/* "181 x 217 x 181 voxels of 1 x 1 x 1 mm, RAS" */
static void grid_text(const tl_volume *v, char *text, size_t size)
{
    double s[3];
    char axes[4];
    tl__volume_spacing(v, s);
    tl__volume_axes(v, axes);
    snprintf(text, size, "%lld x %lld x %lld voxels of %.4g x %.4g x %.4g mm, %s", (long long)v->size[0],
             (long long)v->size[1], (long long)v->size[2], s[0], s[1], s[2], axes);
}

/* How many voxels the corners of two grids of one size are apart at most. */
static double apart(const tl_volume *a, const tl_volume *b)
{
    double most = 0, s[3];
    tl__volume_spacing(a, s);
    double least = fmin(s[0], fmin(s[1], s[2]));
    for (int corner = 0; corner < 8; corner++) {
        double square = 0;
        for (int r = 0; r < 3; r++) {
            double d = a->affine[r][3] - b->affine[r][3];
            for (int c = 0; c < 3; c++)
                if (corner >> c & 1) d += (a->affine[r][c] - b->affine[r][c]) * (double)(a->size[c] - 1);
            square += d * d;
        }
        most = fmax(most, sqrt(square));
    }
    return least > 0 ? most / least : INFINITY;
}

/* Is `b`, read from `name`, on the grid of `a`, read from `beside`? */
static int same_grid(tl_error *err, const char *name, const char *what, const tl_volume *b, const char *beside,
                     const tl_volume *a)
{
    char own[120], other[120];
    int sizes = memcmp(a->size, b->size, 3 * sizeof *a->size) == 0;
    double off = sizes ? apart(a, b) : 0;
    if (sizes && off <= OFF) return 0;
    grid_text(b, own, sizeof own);
    grid_text(a, other, sizeof other);
    if (strcmp(own, other) == 0)
        return tl__fail(err, TL_EFORMAT,
                        "%s: %s has the size of its volume %s, but lies up to %.3g voxels beside it; bring it to the "
                        "volume's grid (core.volume.transform with like = and nearest = true)",
                        name, what, beside, off);
    return tl__fail(err, TL_EFORMAT,
                    "%s: %s has another grid (%s) than its volume %s (%s); bring it to the volume's grid "
                    "(core.volume.transform with like = and nearest = true)",
                    name, what, own, beside, other);
}

/* ---- headers ---- */

/* Parts that count as channels; -1 where there are several and nobody said what they mean. */
static int64_t channels_of(tl_error *err, const tl_volumes *v, const char *path, const tl_volume *image)
{
    if (image->size[3] == 1 || v->flags & TL_VOLUMES_FIRST) return 1;
    if (v->flags & TL_VOLUMES_PARTS) return image->size[3];
    return tl__fail(err, TL_EFORMAT,
                    "%s: the file has 4 dimensions: %lld parts (times, contrasts) of one volume; %s", path,
                    (long long)image->size[3],
                    v->flags & TL_SERIES_ASKED
                        ? "the network was trained on files of one; write one of them into a file of its own"
                        : "parts = \"channels\" takes them as channels, parts = \"first\" the first alone");
}

static int head_of(tl_error *err, const tl_volumes *v, int64_t i, tl_volume *head)
{
    tl_volume more = {0};
    const char *first = tl__volumes_locate(v, i);
    if (is_series(v, i)) {
        if (tl__series_head(err, &v->series[i], (int)v->flags, head) == 0) return 1;
        tl__error_prefix(err, "%s: ", first);
        return -1;
    }
    int64_t channels = 0;
    for (int k = 0; k < v->files; k++) {
        const char *path = v->path[i * v->files + k];
        if (tl__nifti_head(err, path, k ? &more : head, NULL) != 0) return -1;
        int64_t n = channels_of(err, v, path, k ? &more : head);
        if (n < 0 || (k && same_grid(err, path, "it", &more, first, head) != 0)) return -1;
        channels += n;
    }
    if (channels > 64)
        return tl__fail(err, TL_EFORMAT, "%s: %lld channels, and volumes have at most 64", first,
                        (long long)channels);
    return (int)channels;
}

static int check_mask(tl_error *err, const tl_volumes *v, int64_t i, const tl_volume *mask, const tl_volume *head)
{
    const char *path = v->mask[i];
    if (mask->size[3] != 1)
        return tl__fail(err, TL_EFORMAT, "%s: the mask has %lld parts, and one is wanted", path,
                        (long long)mask->size[3]);
    return same_grid(err, path, "the mask", mask, tl__volumes_locate(v, i), head);
}

typedef struct headers {
    tl_volumes *volumes;
    pthread_mutex_t lock;
    int64_t next;
    tl_error error; /* what is no fault of a file */
} headers;

static void *read_headers(void *argument)
{
    headers *h = argument;
    tl_volumes *v = h->volumes;
    for (;;) {
        pthread_mutex_lock(&h->lock);
        int64_t i = h->next++;
        int stop = i >= v->count || h->error.code;
        pthread_mutex_unlock(&h->lock);
        if (stop) return NULL;
        tl_error error = {0};
        tl_volume head = {0};
        int channels = head_of(&error, v, i, &head);
        if (channels > 0) v->about[i] = (tl_extent){.grid = grid_of(&head), .channels = channels};
        if (error.code != TL_EMEMORY) continue;
        pthread_mutex_lock(&h->lock);
        tl__fail(&h->error, error.code, "%s", error.text);
        pthread_mutex_unlock(&h->lock);
    }
}

static int measure(tl_error *err, tl_volumes *v)
{
    pthread_t thread[MAX_THREADS];
    headers h = {.volumes = v};
    int threads = v->count > 8 ? tl__thread_count(0) : 0, started = 0;
    pthread_mutex_init(&h.lock, NULL);
    while (started < threads && pthread_create(&thread[started], NULL, read_headers, &h) == 0) started++;
    read_headers(&h);
    for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
    pthread_mutex_destroy(&h.lock);
    return h.error.code ? tl__fail(err, h.error.code, "%s", h.error.text) : 0;
}

/* ---- opening ---- */

static int take_meanings(tl_error *err, tl_volumes *v, const tl_volume_list *l)
{
    v->meaning = tl__malloc(err, (TL_VOLUMES_MOST_VALUE + 1) * sizeof *v->meaning);
    if (!v->meaning) return -1;
    for (int k = 0; k <= TL_VOLUMES_MOST_VALUE; k++)
        v->meaning[k] = (int16_t)(!l->value && (k < l->classes || k == TL_MASK_IGNORED) ? k : l->rest);
    for (int64_t k = 0; l->value && k < l->values; k++) {
        int32_t value = l->value[k], meaning = l->meaning[k];
        if (value < 0 || value > TL_VOLUMES_MOST_VALUE)
            return tl__fail(err, TL_EARG, "values of masks are whole numbers from 0 to %d, not %d",
                            TL_VOLUMES_MOST_VALUE, value);
        if (meaning < 0 || (meaning >= l->classes && meaning != TL_MASK_IGNORED))
            return tl__fail(err, TL_EARG, "mask value %d is to be class %d, and there are %d", value, meaning,
                            l->classes);
        v->meaning[value] = (int16_t)meaning;
    }
    return 0;
}

static int take(tl_error *err, tl_volumes *v, const tl_volume_list *l)
{
    static const char none[] = "";
    if (l->files < 1 || l->files > TL_VOLUMES_MOST_FILES)
        return tl__fail(err, TL_EARG, "a volume of %d files, and it has at most %d", l->files, TL_VOLUMES_MOST_FILES);
    if (l->classes > TL_MASK_IGNORED)
        return tl__fail(err, TL_EARG, "%d classes, and masks have %d at most", l->classes, TL_MASK_IGNORED);
    int64_t files = l->count * l->files;
    v->about = tl__calloc(err, (size_t)l->count + 1, sizeof *v->about);
    const char **path = v->about ? tl__malloc(err, (size_t)files * sizeof *path + 1) : NULL;
    for (int64_t k = 0; path && k < files; k++) path[k] = l->path && l->path[k] ? l->path[k] : none;
    v->path = path ? tl__names_copy(err, path, files) : NULL;
    free(path);
    if (!v->path || (l->mask && !(v->mask = tl__names_copy(err, l->mask, l->count)))) return -1;
    if (l->series && !(v->series = tl__calloc(err, (size_t)l->count + 1, sizeof *v->series))) return -1;
    for (int64_t i = 0; l->series && i < l->count; i++)
        if (l->series[i] && tl__series_copy(err, l->series[i], &v->series[i]) != 0) return -1;
    return l->mask ? take_meanings(err, v, l) : 0;
}

tl_volumes *tl__volumes_open(tl_error *err, const tl_volume_list *l)
{
    tl_volumes *v = tl__calloc(err, 1, sizeof *v);
    if (!v) return NULL;
    v->count = l->count;
    v->files = l->files;
    v->flags = l->flags | (l->flags & TL_SERIES_ASKED ? 0 : TL_SERIES_RECIPE);
    if (take(err, v, l) == 0 && measure(err, v) == 0) return v;
    tl__volumes_free(v);
    return NULL;
}

/* ---- reading ---- */

static int all_finite(tl_error *err, const tl_volumes *v, const char *path, tl_volume *x)
{
    int64_t n = tl__volume_numel(x), bad = 0, first = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isfinite(x->data[i])) continue;
        if (!bad++) first = i;
        if (v->flags & TL_VOLUMES_NAN) x->data[i] = 0;
    }
    if (!bad || v->flags & TL_VOLUMES_NAN) return 0;
    int64_t row = x->size[0], slice = row * x->size[1];
    return tl__fail(
        err, TL_EFORMAT,
        "%s: %lld of its %lld voxels are not finite (NaN or infinite), the first in column %lld, row %lld, "
        "slice %lld; %s",
        path, (long long)bad, (long long)n, (long long)(first % row + 1), (long long)(first / row % x->size[1] + 1),
        (long long)(first / slice % x->size[2] + 1),
        v->flags & TL_SERIES_ASKED ? "write numbers in their place" : "nan = \"zero\" takes 0 for them");
}

/* One file; of several parts those that count. */
static int read_file(tl_error *err, const tl_volumes *v, const char *path, tl_volume *x)
{
    if (tl__nifti_read(err, path, x, NULL) != 0) return -1;
    int64_t n = channels_of(err, v, path, x);
    if (n < 0) return -1;
    x->size[3] = n;
    return all_finite(err, v, path, x);
}

/* Several files, one behind the other. */
static int read_files(tl_error *err, const tl_volumes *v, int64_t i, tl_volume *out)
{
    tl_volume one = {0};
    const tl_extent *e = &v->about[i];
    const char *first = v->path[i * v->files];
    int64_t size[4] = {e->grid.size[0], e->grid.size[1], e->grid.size[2], e->channels};
    int bad = tl__volume_reserve(err, out, size);
    float *to = out->data;
    memcpy(out->affine, e->grid.affine, sizeof out->affine);
    for (int k = 0; !bad && k < v->files; k++) {
        const char *path = v->path[i * v->files + k];
        bad = read_file(err, v, path, &one) != 0 || same_grid(err, path, "it", &one, first, out) != 0;
        int64_t n = bad ? 0 : tl__volume_numel(&one), left = tl__volume_numel(out) - (to - out->data);
        if (!bad && n > left) bad = tl__fail(err, TL_EIO, "%s: the file has changed since its header was read", path);
        if (bad) break;
        memcpy(to, one.data, (size_t)n * sizeof *to);
        to += n;
    }
    tl__volume_free(&one);
    return bad ? -1 : 0;
}

static int read_image(tl_error *err, const tl_volumes *v, int64_t i, tl_volume *out)
{
    tl_volume again = {0};
    const char *path = tl__volumes_locate(v, i);
    if (is_series(v, i)) {
        if (tl__series_volume(err, &v->series[i], (int)v->flags, TL_THREADS_NONE, out) == 0)
            return all_finite(err, v, path, out);
        if (err->code == TL_EARG) tl__error_prefix(err, "%s: ", path); /* of the series, and not of a file in it */
        return -1;
    }
    if (v->about[i].channels == 0) { /* say why */
        if (head_of(err, v, i, &again) < 0) return -1;
        return tl__fail(err, TL_EIO, "%s: the file has changed since its header was read", path);
    }
    return v->files > 1 ? read_files(err, v, i, out) : read_file(err, v, path, out);
}

/* Values to classes in place. */
static int to_classes(tl_error *err, const tl_volumes *v, const char *path, tl_volume *mask)
{
    int64_t n = tl__volume_numel(mask), row = mask->size[0], slice = row * mask->size[1];
    for (int64_t i = 0; i < n; i++) {
        float x = mask->data[i];
        int known = x >= 0 && x <= TL_VOLUMES_MOST_VALUE && x == floorf(x), class = known ? v->meaning[(int)x] : -1;
        if (class < 0)
            return tl__fail(err, TL_EFORMAT,
                            "%s: the mask has the value %g in column %lld, row %lld, slice %lld, and no class has it",
                            path, (double)x, (long long)(i % row + 1), (long long)(i / row % mask->size[1] + 1),
                            (long long)(i / slice + 1));
        mask->data[i] = (float)class;
    }
    return 0;
}

int tl__volumes_read(tl_error *err, const tl_volumes *v, int64_t i, tl_volume *image, tl_volume *mask)
{
    if (read_image(err, v, i, image) != 0) return -1;
    if (!mask) return 0;
    if (tl__nifti_read(err, v->mask[i], mask, NULL) != 0 || check_mask(err, v, i, mask, image) != 0) return -1;
    return to_classes(err, v, v->mask[i], mask);
}

/* ---- what tells that files have changed ---- */

int tl__volumes_hash(tl_error *err, const tl_volumes *v, int64_t i, const char *root, tl_sha256 *h)
{
    unsigned flags = v->flags & ~(unsigned)(TL_SERIES_ASKED | TL_SERIES_RECIPE);
    tl__sha256_update(h, &flags, sizeof flags);
    for (int64_t k = 0; is_series(v, i) && k < v->series[i].count; k++)
        if (tl__hash_file(err, v->series[i].slice[k].path, root, h) != 0) return -1;
    for (int k = 0; !is_series(v, i) && k < v->files; k++)
        if (tl__hash_file(err, v->path[i * v->files + k], root, h) != 0) return -1;
    if (!v->mask) return 0;
    tl__sha256_update(h, v->meaning, (TL_VOLUMES_MOST_VALUE + 1) * sizeof *v->meaning);
    return tl__hash_file(err, v->mask[i], root, h);
}
