/* loader_plan.c - which samples make up the batches of an epoch, planned before any is read. Clips differ in
 * length, and what is added to the shorter ones of a batch is computed with for nothing; so clips of about one
 * length go together, in buckets: shuffled within their bucket, cut into batches of equal number, and the batches
 * shuffled among each other. Sizes and number of batches follow from the lengths alone, members and order from
 * (seed, epoch) too. */
#include "data/loader_inside.h"

#include <stdlib.h>
#include <string.h>

/* A bucket ends where a clip is a tenth longer than its first, once it has so many batches that shuffling is worth
 * its name. */
#define TENTH 10
#define LEAST_BATCHES 2
#define WINDOW 8 /* volumes */

typedef struct ranked {
    int64_t longest, index;
} ranked;

static int by_length(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->longest != y->longest) return x->longest < y->longest ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int sort_by_length(tl_error *err, tl_batches *p, const int64_t *longest)
{
    ranked *list = tl__malloc(err, (size_t)p->count * sizeof *list);
    if (!list) return -1;
    for (int64_t i = 0; i < p->count; i++) list[i] = (ranked){longest[i], i};
    qsort(list, (size_t)p->count, sizeof *list, by_length);
    for (int64_t i = 0; i < p->count; i++) p->rank[i] = list[i].index;
    free(list);
    return 0;
}

/* Samples that a batch holds whose longest has `length`. */
static int64_t fit(const tl_batches *p, int64_t length, int64_t most)
{
    if (p->batch) return p->batch;
    int64_t n = length > 0 ? most / length : most;
    return n < 1 ? 1 : n;
}

/* Where the bucket that begins at rank `from` ends. */
static int64_t end_of_bucket(const tl_batches *p, const int64_t *longest, int64_t most, int64_t from, int drop_last)
{
    int64_t first = longest[p->rank[from]], to = from + 1;
    for (; to < p->count; to++) {
        int64_t length = longest[p->rank[to]];
        if (length > first + first / TENTH && to - from >= LEAST_BATCHES * fit(p, length, most)) break;
    }
    /* Whole batches, so that only the last bucket has a rest to drop. */
    if (drop_last && to < p->count) to = from + (to - from) / p->batch * p->batch;
    return to;
}

static int make_buckets(tl_error *err, tl_batches *p, const int64_t *longest, int64_t most, int drop_last)
{
    size_t n = (size_t)p->count + 1;
    p->rank = tl__malloc(err, n * sizeof *p->rank);
    p->bucket = p->rank ? tl__malloc(err, n * sizeof *p->bucket) : NULL;
    p->parts = p->bucket ? tl__malloc(err, n * sizeof *p->parts) : NULL;
    p->spare = p->parts ? tl__malloc(err, 3 * n * sizeof *p->spare) : NULL;
    if (!p->spare || sort_by_length(err, p, longest) != 0) return -1;
    p->bucket[0] = 0;
    for (int64_t from = 0; from < p->count; from = p->bucket[++p->buckets]) {
        int64_t to = end_of_bucket(p, longest, most, from, drop_last);
        int64_t each = fit(p, longest[p->rank[to - 1]], most);
        p->parts[p->buckets] = drop_last ? (to - from) / each : (to - from + each - 1) / each;
        p->batches += p->parts[p->buckets];
        p->bucket[p->buckets + 1] = to;
        if (drop_last) p->drop += (to - from) % each;
    }
    return 0;
}

/* In the order of the source, as many in a batch as fit, which is the same in every epoch. */
static void fill_in_order(tl_batches *p, const int64_t *longest, int64_t most)
{
    int64_t from = 0, widest = 0;
    for (int64_t i = 0; i < p->count; i++) {
        int64_t wider = longest[i] > widest ? longest[i] : widest;
        if (i > from && (i - from + 1) * wider > most) {
            p->offset[++p->batches] = from = i;
            wider = longest[i];
        }
        widest = wider;
    }
    p->offset[++p->batches] = p->count;
}

int tl__batches_open(tl_error *err, tl_batches *p, const tl_loader_config *config, int64_t count,
                     const int64_t *longest, int64_t most)
{
    *p = (tl_batches){
        .count = count,
        .seed = config->seed,
        .shuffle = config->shuffle,
        .batch = most ? 0 : config->batch,
        .repeats = config->repeats > 1 ? config->repeats : 1};
    size_t spare = p->repeats > 1 ? (size_t)(count + WINDOW * p->repeats) : 0;
    if (spare && (p->spare = tl__malloc(err, spare * sizeof *p->spare)) == NULL) return -1;
    p->order = tl__malloc(err, ((size_t)count + 1) * sizeof *p->order);
    p->offset = p->order ? tl__calloc(err, (size_t)count + 2, sizeof *p->offset) : NULL;
    if (!p->offset) return -1;
    if (longest && config->buckets) return make_buckets(err, p, longest, most, config->drop_last);
    if (most) {
        fill_in_order(p, longest, most);
        return 0;
    }
    p->drop = config->drop_last ? count % config->batch : 0;
    p->batches = (count - p->drop + config->batch - 1) / config->batch;
    for (int64_t b = 1; b <= p->batches; b++)
        p->offset[b] = b * config->batch < count - p->drop ? b * config->batch : count - p->drop;
    return 0;
}

/* The members of each bucket in a new order, and the batches of all buckets likewise. */
static void draw_buckets(tl_batches *p, int64_t epoch)
{
    int64_t *member = p->spare, *first = member + p->count + 1, *turn = first + p->count + 1, b = 0;
    for (int64_t k = 0; k < p->buckets; k++) {
        int64_t from = p->bucket[k], n = p->bucket[k + 1] - from, parts = p->parts[k];
        /* Epochs alone are the key of the order of batches, and of pictures. */
        if (p->shuffle)
            tl__rng_permutation(tl__rng_key(p->seed, TL_RNG_SHUFFLE, (uint64_t)(k + 1) << 40 ^ (uint64_t)epoch), n,
                                turn);
        for (int64_t i = 0; i < n; i++) member[from + i] = p->rank[from + (p->shuffle ? turn[i] : i)];
        for (int64_t j = 0; j < parts; j++) first[b++] = from + (p->drop ? j * p->batch : j * n / parts);
    }
    if (p->shuffle) tl__rng_permutation(tl__rng_key(p->seed, TL_RNG_SHUFFLE, (uint64_t)epoch), p->batches, turn);
    int64_t at = 0;
    for (int64_t i = 0; i < p->batches; i++) {
        int64_t c = p->shuffle ? turn[i] : i, from = first[c];
        int64_t to = c + 1 < p->batches ? first[c + 1] : p->count - p->drop;
        p->offset[i] = at;
        memcpy(p->order + at, member + from, (size_t)(to - from) * sizeof *member);
        at += to - from;
    }
    p->offset[p->batches] = at;
}

/* Volumes in a new order, and the samples of WINDOW of them at a time shuffled among each other: so few volumes
 * have to be in memory, and a batch has several. */
static void draw_windows(tl_batches *p, int64_t epoch)
{
    int64_t volumes = p->count / p->repeats, *turn = p->spare, *within = turn + volumes, at = 0;
    tl__rng_permutation(tl__rng_key(p->seed, TL_RNG_SHUFFLE, (uint64_t)epoch), volumes, turn);
    for (int64_t from = 0, window = 1; from < volumes; from += WINDOW, window++) {
        int64_t n = (volumes - from < WINDOW ? volumes - from : WINDOW) * p->repeats;
        tl__rng_permutation(tl__rng_key(p->seed, TL_RNG_SHUFFLE, (uint64_t)window << 40 ^ (uint64_t)epoch), n, within);
        for (int64_t k = 0; k < n; k++)
            p->order[at++] = turn[from + within[k] / p->repeats] * p->repeats + within[k] % p->repeats;
    }
}

void tl__batches_epoch(tl_batches *p, int64_t epoch)
{
    if (p->rank) draw_buckets(p, epoch);
    else if (p->shuffle && p->repeats > 1) draw_windows(p, epoch);
    else if (p->shuffle) tl__rng_permutation(tl__rng_key(p->seed, TL_RNG_SHUFFLE, (uint64_t)epoch), p->count, p->order);
    else
        for (int64_t i = 0; i < p->count; i++) p->order[i] = i;
}

void tl__batches_free(tl_batches *p)
{
    free(p->order);
    free(p->offset);
    free(p->rank);
    free(p->bucket);
    free(p->parts);
    free(p->spare);
    *p = (tl_batches){0};
}
