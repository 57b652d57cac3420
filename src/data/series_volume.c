/* series_volume.c - the slices of a series as a volume, decoded by several threads. */
#include "data/loader.h"
#include "data/series.h"
#include "io/dicom.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define MOST_THREADS 64
#define SAME 0.01

/* Slices to be decoded, of which threads take one after the other. */
typedef struct job {
    const tl_series *s;
    const int64_t *which; /* (n) of the series' slices */
    int64_t n;
    float *out;
    atomic_llong next;
    atomic_int failed;
    pthread_mutex_t lock;
    tl_error err;
} job;

static int decode(tl_error *err, const job *j, int64_t i)
{
    const tl_series_slice *x = &j->s->slice[j->which[i]];
    tl_dicom *d = tl__dicom_open(err, x->path);
    int64_t each = (int64_t)j->s->rows * j->s->columns;
    if (!d) return -1;
    int bad =
        d->rows != j->s->rows || d->columns != j->s->columns || tl__dicom_channels(d) != 1 || x->frame >= d->frames
            ? tl__fail(err, TL_EIO, "%s: the file has changed since its folder was looked at", x->path)
            : tl__dicom_values(err, d, x->frame, 0, j->out + i * each);
    tl__dicom_close(d);
    return bad;
}

static void *work(void *with)
{
    job *j = with;
    for (int64_t i; !atomic_load(&j->failed) && (i = atomic_fetch_add(&j->next, 1)) < j->n;) {
        tl_error err = {0};
        if (decode(&err, j, i) == 0) continue;
        atomic_store(&j->failed, 1);
        pthread_mutex_lock(&j->lock);
        if (!j->err.code) j->err = err;
        pthread_mutex_unlock(&j->lock);
    }
    return NULL;
}

static int decode_all(tl_error *err, const tl_series *s, const int64_t *which, int64_t n, int threads, float *out)
{
    job j = {.s = s, .which = which, .n = n, .out = out};
    pthread_t thread[MOST_THREADS];
    int wanted = tl__thread_count(threads), started = 0;
    pthread_mutex_init(&j.lock, NULL);
    while (started < wanted - 1 && started < MOST_THREADS && started < n - 1 &&
           pthread_create(&thread[started], NULL, work, &j) == 0)
        started++;
    work(&j); /* this thread too: where none could be made all is done all the same */
    for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
    pthread_mutex_destroy(&j.lock);
    return j.err.code ? tl__fail(err, j.err.code, "%s", j.err.text) : 0;
}

/* ---- which slices ---- */

/* Those that are taken: all, but of several at one place the first. `which` has room for all. */
static int64_t choose(const tl_series *s, int64_t *which)
{
    int64_t n = 0;
    for (int64_t i = 0; i < s->count; i++) {
        double apart = n ? s->slice[i].along - s->slice[which[n - 1]].along : INFINITY;
        if (s->doubles && n && apart <= SAME * s->spacing[2]) continue;
        which[n++] = i;
    }
    return n;
}

static int refuse(tl_error *err, const tl_series *s, int flags)
{
    const char *said = s->notes.count ? s->notes.at[0] : "";
    const char *what = *s->modality ? s->modality : "picture";
    int asked = flags & TL_SERIES_ASKED;
    if (s->mixed) return tl__fail(err, TL_EARG, "this %s series is no volume: %s", what, said);
    if (s->doubles && !(flags & TL_SERIES_FIRST))
        return tl__fail(err, TL_EARG,
                        "this %s series is no volume: %lld of its %lld slices lie at the place of another; %s",
                        what, (long long)s->doubles, (long long)s->count,
                        asked                      ? "leave out the files of all but one time, echo or copy"
                        : flags & TL_SERIES_RECIPE ? "repeated = \"first\" takes the first of each place"
                                                   : "doubles = \"first\" takes the first of each place");
    if ((s->missing || s->uneven) && !(flags & TL_SERIES_FILL))
        return tl__fail(err, TL_EARG,
                        "this %s series is no volume: %s; %s", what, said,
                        asked ? "get the slices that are not there"
                              : "gaps = \"fill\" takes values between the slices that are there");
    return 0;
}

/* The affine in RAS: columns along rows' cosines, and slices from the first to the last of `n` places. */
static void place(const tl_series *s, const tl_series_slice *first, const tl_series_slice *last, int64_t n,
                  tl_volume *v)
{
    const double *o = s->orientation;
    double normal[3] = {o[1] * o[5] - o[2] * o[4], o[2] * o[3] - o[0] * o[5], o[0] * o[4] - o[1] * o[3]};
    double thick = s->spacing[2] > 0 ? s->spacing[2] : 1;
    memset(v->affine, 0, sizeof v->affine);
    for (int r = 0; r < 3; r++) {
        double sign = r < 2 ? -1 : 1; /* LPS to RAS */
        double along_row = s->placed ? o[r] : r == 0, along_column = s->placed ? o[3 + r] : r == 1;
        double along = s->placed ? normal[r] : r == 2;
        double step = s->placed && n > 1 ? (last->position[r] - first->position[r]) / (double)(n - 1) : along * thick;
        v->affine[r][0] = sign * along_row * (s->spacing[0] > 0 ? s->spacing[0] : 1);
        v->affine[r][1] = sign * along_column * (s->spacing[1] > 0 ? s->spacing[1] : 1);
        v->affine[r][2] = sign * step;
        v->affine[r][3] = s->placed ? sign * first->position[r] : 0;
    }
}

/* ---- gaps ---- */

/* (n, each) at uneven places to `m` even ones between the first and the last. */
static void fill(const tl_series *s, const int64_t *which, int64_t n, const float *from, int64_t m, float *to)
{
    int64_t each = (int64_t)s->rows * s->columns, low = 0;
    double first = s->slice[which[0]].along, last = s->slice[which[n - 1]].along;
    for (int64_t k = 0; k < m; k++) {
        double at = m > 1 ? first + (last - first) * (double)k / (double)(m - 1) : first;
        while (low + 2 < n && s->slice[which[low + 1]].along <= at) low++;
        int64_t high = low + 1 < n ? low + 1 : low;
        double a = s->slice[which[low]].along, b = s->slice[which[high]].along;
        float share = b > a ? (float)((at - a) / (b - a)) : 0;
        if (fabsf(share) < 1e-4f) share = 0; /* a slice that is there stays as it is */
        if (fabsf(share - 1) < 1e-4f) share = 1;
        const float *x = from + low * each, *y = from + high * each;
        for (int64_t i = 0; i < each; i++)
            to[k * each + i] = share == 0 ? x[i] : share == 1 ? y[i] : x[i] + share * (y[i] - x[i]);
    }
}

static int read_filled(tl_error *err, const tl_series *s, const int64_t *which, int64_t n, int64_t m, int threads,
                       tl_volume *out)
{
    tl_volume all = {0};
    const int64_t all_size[4] = {s->columns, s->rows, n, 1}, size[4] = {s->columns, s->rows, m, 1};
    int bad = tl__volume_reserve(err, &all, all_size) != 0 || decode_all(err, s, which, n, threads, all.data) != 0 ||
              tl__volume_reserve(err, out, size) != 0;
    if (!bad) fill(s, which, n, all.data, m, out->data);
    tl__volume_free(&all);
    return bad ? -1 : 0;
}

/* As many slices as are chosen or, between uneven ones, as many as fit. */
static int64_t places(const tl_series *s, const int64_t *which, int64_t n)
{
    if (!s->missing && !s->uneven) return n;
    double m = floor((s->slice[which[n - 1]].along - s->slice[which[0]].along) / s->spacing[2] + 0.5) + 1;
    return m < 1e6 ? (int64_t)m : (int64_t)1e6;
}

static int make(tl_error *err, const tl_series *s, int flags, int values, int threads, tl_volume *out)
{
    if (refuse(err, s, flags) != 0) return -1;
    int64_t *which = tl__malloc(err, (size_t)s->count * sizeof *which);
    if (!which) return -1;
    int64_t n = choose(s, which), m = places(s, which, n);
    const int64_t size[4] = {s->columns, s->rows, m, 1};
    int bad = 0;
    if (!values) memcpy(out->size, size, sizeof size);
    else if (s->missing || s->uneven) bad = read_filled(err, s, which, n, m, threads, out);
    else bad = tl__volume_reserve(err, out, size) != 0 || decode_all(err, s, which, n, threads, out->data) != 0;
    if (!bad) place(s, &s->slice[which[0]], &s->slice[which[n - 1]], m, out);
    free(which);
    return bad ? -1 : 0;
}

int tl__series_volume(tl_error *err, const tl_series *s, int flags, int threads, tl_volume *out)
{
    return make(err, s, flags, 1, threads, out);
}

int tl__series_head(tl_error *err, const tl_series *s, int flags, tl_volume *out)
{
    return make(err, s, flags, 0, TL_THREADS_NONE, out);
}
