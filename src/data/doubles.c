/* doubles.c - difference hashes, pairs of them that are near, and the groups that these make. Hashes that are at most d
 * bits apart are equal in one of d + 1 bands of bits at least, so only those that share a band are compared. */
#include "data/doubles.h"

#include <stdlib.h>
#include <string.h>

tl_print tl__print_of(const uint8_t *grey)
{
    tl_print p = {0, TL_PRINT_EVEN};
    int steps = 0;
    for (int y = 0; y < TL_PRINT_HEIGHT; y++)
        for (int x = 0; x + 1 < TL_PRINT_WIDTH; x++) {
            const uint8_t *at = grey + y * TL_PRINT_WIDTH + x;
            p.bits = p.bits << 1 | (at[1] > at[0]);
            steps += abs(at[1] - at[0]) >= TL_PRINT_STEP;
        }
    if (steps >= TL_PRINT_STEPS) p.kind = TL_PRINT_SEEN;
    return p;
}

static int bits_of(uint64_t v)
{
    v -= v >> 1 & 0x5555555555555555u;
    v = (v & 0x3333333333333333u) + (v >> 2 & 0x3333333333333333u);
    return (int)(((v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u >> 56);
}

/* ---- comparing what shares a band ---- */

typedef struct entry {
    uint64_t bits, band;
    int64_t index;
    int side; /* 0: of a, 1: of b */
} entry;

/* Called for two entries that are near, each pair once. 0, or -1 with an error. */
typedef int near_taker(tl_error *err, void *with, const entry *x, const entry *y, int distance);

static int by_band(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    return x->band != y->band ? (x->band < y->band ? -1 : 1) : x->side - y->side;
}

/* The bits of band k of `bands`. */
static uint64_t mask_of(int k, int bands)
{
    int from = 64 * k / bands, to = 64 * (k + 1) / bands;
    return (to - from == 64 ? ~(uint64_t)0 : ((uint64_t)1 << (to - from)) - 1) << from;
}

/* Do two hashes share a band before band k? Then they have been compared. */
static int seen_before(uint64_t difference, int k, int bands)
{
    for (int e = 0; e < k; e++)
        if ((difference & mask_of(e, bands)) == 0) return 1;
    return 0;
}

/* Compares the entries [from, to) of one band, each with those behind it; `across`: with the other side's alone. */
static int compare_run(tl_error *err, const entry *from, const entry *to, int k, int most, int across, near_taker *take,
                       void *with)
{
    for (const entry *x = from; x < to; x++) {
        const entry *y = x + 1;
        if (across && x->side == 1) break; /* those of a come first */
        while (across && y < to && y->side == 0) y++;
        for (; y < to; y++) {
            uint64_t difference = x->bits ^ y->bits;
            int distance = bits_of(difference);
            if (distance > most || seen_before(difference, k, most + 1)) continue;
            if (take(err, with, x, y, distance) != 0) return -1;
        }
    }
    return 0;
}

static int each_near(tl_error *err, entry *list, int64_t n, int most, int across, near_taker *take, void *with)
{
    if (most < 0 || most > 15) return tl__fail(err, TL_EARG, "near is %d bits, and must be from 0 to 15", most);
    for (int k = 0; k <= most; k++) {
        uint64_t mask = mask_of(k, most + 1);
        for (int64_t i = 0; i < n; i++) list[i].band = list[i].bits & mask;
        qsort(list, (size_t)n, sizeof *list, by_band);
        for (int64_t from = 0, to; from < n; from = to) {
            for (to = from + 1; to < n && list[to].band == list[from].band; to++) {}
            if (compare_run(err, list + from, list + to, k, most, across, take, with) != 0) return -1;
        }
    }
    return 0;
}

static int64_t add_entries(const tl_print *p, int64_t count, int side, entry *list, int64_t n)
{
    for (int64_t i = 0; i < count; i++)
        if (p[i].kind == TL_PRINT_SEEN) list[n++] = (entry){.bits = p[i].bits, .index = i, .side = side};
    return n;
}

/* ---- pairs ---- */

typedef struct pairs {
    tl_near *at;
    int64_t count, capacity, room, found;
} pairs;

static int take_pair(tl_error *err, void *with, const entry *x, const entry *y, int distance)
{
    pairs *p = with;
    p->found++;
    if (p->count == p->room) return 0;
    if (p->count == p->capacity) {
        int64_t capacity = 2 * p->capacity;
        tl_near *at = tl__realloc(err, p->at, (size_t)capacity * sizeof *at);
        if (!at) return -1;
        p->at = at;
        p->capacity = capacity;
    }
    if (x->side == y->side && x->index > y->index) { /* of one list */
        const entry *other = x;
        x = y;
        y = other;
    }
    p->at[p->count++] = (tl_near){x->index, y->index, distance};
    return 0;
}

static int by_number(int64_t a, int64_t b) { return a < b ? -1 : a > b; }

static int by_b(const void *a, const void *b)
{
    const tl_near *x = a, *y = b;
    int d = by_number(x->b, y->b);
    if (d == 0) d = x->distance - y->distance;
    return d ? d : by_number(x->a, y->a);
}

tl_near *tl__near_pairs(tl_error *err, const tl_print *a, int64_t a_count, const tl_print *b, int64_t b_count, int most,
                        int64_t room, int64_t *count, int64_t *found)
{
    int across = a != b;
    pairs p = {.capacity = 16, .room = room};
    p.at = tl__malloc(err, (size_t)p.capacity * sizeof *p.at);
    entry *list = p.at ? tl__malloc(err, (size_t)(a_count + b_count + 1) * sizeof *list) : NULL;
    int64_t n = list ? add_entries(a, a_count, 0, list, 0) : 0;
    if (list && across) n = add_entries(b, b_count, 1, list, n);
    int bad = !list || each_near(err, list, n, most, across, take_pair, &p) != 0;
    free(list);
    if (bad) {
        free(p.at);
        return NULL;
    }
    qsort(p.at, (size_t)p.count, sizeof *p.at, by_b);
    *count = p.count;
    *found = p.found;
    return p.at;
}

/* ---- groups ---- */

static int64_t root_of(int64_t *parent, int64_t i)
{
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
}

static int join(tl_error *err, void *with, const entry *x, const entry *y, int distance)
{
    (void)err, (void)distance;
    int64_t *parent = with, a = root_of(parent, x->index), b = root_of(parent, y->index);
    if (a < b)
        parent[b] = a;
    else
        parent[a] = b;
    return 0;
}

static int by_bits(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    return x->bits != y->bits ? (x->bits < y->bits ? -1 : 1) : by_number(x->index, y->index);
}

/* Joins entries of equal hashes, and leaves the first of each: many may be the same, and need no comparing. */
static int64_t join_equal(entry *list, int64_t n, int64_t *parent)
{
    int64_t kept = 0;
    qsort(list, (size_t)n, sizeof *list, by_bits);
    for (int64_t i = 0; i < n; i++) {
        if (kept && list[kept - 1].bits == list[i].bits)
            join(NULL, parent, &list[kept - 1], &list[i], 0);
        else
            list[kept++] = list[i];
    }
    return kept;
}

int tl__near_groups(tl_error *err, const tl_print *prints, int64_t n, int most, int64_t *group)
{
    int64_t *parent = tl__malloc(err, (size_t)(n + 1) * sizeof *parent), groups = 0;
    entry *list = parent ? tl__malloc(err, (size_t)(n + 1) * sizeof *list) : NULL;
    for (int64_t i = 0; list && i < n; i++) parent[i] = i;
    int64_t kept = list ? join_equal(list, add_entries(prints, n, 0, list, 0), parent) : 0;
    int bad = !list || each_near(err, list, kept, most, 0, join, parent) != 0;
    /* A root is the first of its group, so it has its number before the others ask for it. */
    for (int64_t i = 0; !bad && i < n; i++) {
        int64_t root = root_of(parent, i);
        group[i] = root == i ? groups++ : group[root];
    }
    free(list);
    free(parent);
    return bad ? -1 : 0;
}
