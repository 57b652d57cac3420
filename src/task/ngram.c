/* ngram.c - a language model of characters: counts of all runs of up to `order` symbols, from which chances are made
 * as Witten and Bell did (1991; Chen and Goodman 1998, section 2.5): with c a count and n(h) the number of different
 * symbols that were seen behind h, p(w | h) = (c(h w) + n(h) p(w | h')) / (c(h) + n(h)), h' being h without its
 * oldest symbol, and below the shortest all symbols alike. It needs no held-out text, and sums to one whatever is
 * left out of the counts. Kneser and Ney's is a little better with many texts, but wants discounts that few texts do
 * not tell. */
#include "task/ctc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct gram {
    int32_t symbols[TL_NGRAM_LONGEST];
    int length;
    int64_t count;          /* 0 of what is only in front of others */
    int64_t total, kinds;   /* of what was seen behind it: how many, and how many different */
} gram;

struct tl_ngram {
    int order;
    int32_t classes;
    gram *grams;            /* in the order in which they came */
    int64_t *slots;         /* places in `grams` from 1; 0: free */
    int64_t count, room, slot_count;
};

tl_ngram *tl__ngram_new(tl_error *err, int order, int32_t classes)
{
    if (order < 1 || order > TL_NGRAM_LONGEST) {
        tl__fail(err, TL_EARG, "a language model has an order from 1 to %d, not %d", TL_NGRAM_LONGEST, order);
        return NULL;
    }
    tl_ngram *m = tl__calloc(err, 1, sizeof *m);
    if (!m) return NULL;
    *m = (tl_ngram){.order = order, .classes = classes, .slot_count = 64};
    m->slots = tl__calloc(err, (size_t)m->slot_count, sizeof *m->slots);
    if (m->slots) return m;
    tl__ngram_free(m);
    return NULL;
}

void tl__ngram_free(tl_ngram *m)
{
    if (!m) return;
    free(m->grams);
    free(m->slots);
    free(m);
}

int tl__ngram_order(const tl_ngram *m) { return m->order; }
int32_t tl__ngram_classes(const tl_ngram *m) { return m->classes; }

/* The slot of a gram, or the free one that it would take. */
static int64_t slot_of(const tl_ngram *m, const int32_t *symbols, int length)
{
    size_t bytes = (size_t)length * sizeof *symbols;
    int64_t at = (int64_t)(tl__hash64(symbols, bytes, (uint64_t)length) % (uint64_t)m->slot_count);
    for (; m->slots[at]; at = (at + 1) % m->slot_count) {
        const gram *g = &m->grams[m->slots[at] - 1];
        if (g->length == length && memcmp(g->symbols, symbols, bytes) == 0) break;
    }
    return at;
}

static const gram *look_up(const tl_ngram *m, const int32_t *symbols, int length)
{
    int64_t place = m->slots[slot_of(m, symbols, length)];
    return place ? &m->grams[place - 1] : NULL;
}

/* Room for one more gram, in the list and in the slots, half of which stay free. */
static int make_room(tl_error *err, tl_ngram *m)
{
    if (m->count == m->room) {
        int64_t room = m->room ? 2 * m->room : 64;
        gram *more = tl__realloc(err, m->grams, (size_t)room * sizeof *more);
        if (!more) return -1;
        m->grams = more;
        m->room = room;
    }
    if (2 * (m->count + 1) < m->slot_count) return 0;
    int64_t *old = m->slots, *slots = tl__calloc(err, 2 * (size_t)m->slot_count, sizeof *slots);
    if (!slots) return -1;
    m->slots = slots;
    m->slot_count *= 2;
    for (int64_t i = 0; i < m->count; i++) m->slots[slot_of(m, m->grams[i].symbols, m->grams[i].length)] = i + 1;
    free(old);
    return 0;
}

/* The place of a gram, which is made where there is none; -1 without memory. */
static int64_t place_of(tl_error *err, tl_ngram *m, const int32_t *symbols, int length)
{
    int64_t at = slot_of(m, symbols, length);
    if (m->slots[at]) return m->slots[at] - 1;
    if (make_room(err, m) != 0) return -1;
    gram *g = &m->grams[m->count++];
    *g = (gram){.length = length};
    memcpy(g->symbols, symbols, (size_t)length * sizeof *symbols);
    m->slots[slot_of(m, symbols, length)] = m->count;
    return m->count - 1;
}

int tl__ngram_put(tl_error *err, tl_ngram *m, const int32_t *symbols, int length, int64_t count)
{
    if (length < 1 || length > m->order)
        return tl__fail(err, TL_EARG, "a run of %d symbols is none of a model of order %d", length, m->order);
    for (int i = 0; i < length; i++)
        if (symbols[i] < 0 || symbols[i] > m->classes)
            return tl__fail(err, TL_EARG, "symbol %d is none of the %d of the language model", symbols[i], m->classes);
    if (count < 1 || count > INT32_MAX) /* so that no sum of them is too large */
        return tl__fail(err, TL_EARG, "a run of symbols has a count of %lld", (long long)count);
    int64_t before = place_of(err, m, symbols, length - 1), own = before < 0 ? -1 : place_of(err, m, symbols, length);
    if (own < 0) return -1;
    m->grams[before].total += count;
    m->grams[before].kinds += m->grams[own].count == 0;
    m->grams[own].count += count;
    return 0;
}

int tl__ngram_add(tl_error *err, tl_ngram *m, const int32_t *labels, int64_t count)
{
    int32_t run[TL_NGRAM_LONGEST];
    for (int64_t i = 0; i <= count; i++)
        for (int n = 1; n <= m->order && n <= i + 2; n++) {
            for (int k = 0; k < n; k++) {
                int64_t from = i - n + 1 + k;
                run[k] = from < 0 || from == count ? m->classes : labels[from];
            }
            if (tl__ngram_put(err, m, run, n, 1) != 0) return -1;
        }
    return 0;
}

int64_t tl__ngram_count(const tl_ngram *m)
{
    int64_t n = 0;
    for (int64_t i = 0; i < m->count; i++) n += m->grams[i].count > 0;
    return n;
}

int64_t tl__ngram_next(const tl_ngram *m, int64_t *at, const int32_t **symbols, int *length)
{
    while (*at < m->count && m->grams[*at].count == 0) (*at)++;
    if (*at >= m->count) return 0;
    const gram *g = &m->grams[(*at)++];
    *symbols = g->symbols;
    *length = g->length;
    return g->count;
}

/* Sets counts to 0, rarest first and of these the longest, of one length the newest. Runs of one symbol stay. */
static void forget(gram *grams, int64_t n, int order, int64_t left, int64_t most)
{
    int64_t next = 1;
    for (int64_t rare = 1; left > most && next < INT64_MAX; rare = next) {
        next = INT64_MAX;
        for (int length = order; length > 1; length--)
            for (int64_t i = n - 1; i >= 0; i--) {
                if (grams[i].count > rare && grams[i].length > 1 && grams[i].count < next) next = grams[i].count;
                if (left <= most || grams[i].length != length || grams[i].count != rare) continue;
                grams[i].count = 0;
                left--;
            }
    }
}

int tl__ngram_bound(tl_error *err, tl_ngram *m, int64_t most)
{
    int64_t left = tl__ngram_count(m);
    if (left <= most) return 0;
    tl_ngram *less = tl__ngram_new(err, m->order, m->classes);
    gram *grams = less ? tl__calloc(err, (size_t)m->count, sizeof *grams) : NULL;
    int bad = !grams;
    if (!bad) {
        memcpy(grams, m->grams, (size_t)m->count * sizeof *grams);
        forget(grams, m->count, m->order, left, most);
    }
    for (int64_t i = 0; !bad && i < m->count; i++)
        if (grams[i].count) bad = tl__ngram_put(err, less, grams[i].symbols, grams[i].length, grams[i].count) != 0;
    free(grams);
    if (!bad) {
        tl_ngram other = *m;
        *m = *less;
        *less = other;
    }
    tl__ngram_free(less);
    return bad ? -1 : 0;
}

double tl__ngram_log(const tl_ngram *m, const int32_t *before, int64_t length, int32_t label)
{
    int32_t run[TL_NGRAM_LONGEST];
    double p = 1.0 / (m->classes + 1.0);
    for (int n = 1; n <= m->order && n <= length + 2; n++) {
        for (int k = 0; k < n - 1; k++) {
            int64_t from = length - n + 1 + k;
            run[k] = from < 0 ? m->classes : before[from];
        }
        run[n - 1] = label;
        const gram *h = look_up(m, run, n - 1), *own = look_up(m, run, n);
        if (!h || h->total == 0) break; /* what was never seen has nothing longer in front of it either */
        p = ((double)(own ? own->count : 0) + (double)h->kinds * p) / (double)(h->total + h->kinds);
    }
    return log(p);
}
