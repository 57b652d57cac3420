/* bpe.c - byte pair encoding (Sennrich et al., arXiv:1508.07909): the pair that was learnt first is joined first, the
 * leftmost of several. */
#include "text/inside.h"

#include <stdlib.h>
#include <string.h>

typedef struct tl_symbol {
    int32_t id;
    int32_t before, next; /* -1: none */
    uint32_t length;      /* 0: joined to the one before */
} tl_symbol;

typedef struct tl_merge {
    int32_t rank, at, id;
} tl_merge;

/* ---- pairs ---- */

static size_t slot_of(const tl_merges *m, uint64_t pair)
{
    uint64_t h = pair * 0x9E3779B97F4A7C15ull;
    return (size_t)(h >> 20) & m->mask;
}

static int find_pair(const tl_merges *m, int32_t a, int32_t b, int32_t *rank, int32_t *id)
{
    uint64_t pair = ((uint64_t)(uint32_t)a << 32 | (uint32_t)b) + 1;
    if (!m->at) return 0;
    for (size_t i = slot_of(m, pair);; i = (i + 1) & m->mask) {
        if (!m->at[i].pair) return 0;
        if (m->at[i].pair != pair) continue;
        *rank = m->at[i].rank;
        *id = m->at[i].id;
        return 1;
    }
}

/* Of a pair that is listed twice the last counts. */
static void put_pair(tl_merges *m, int32_t a, int32_t b, int32_t rank, int32_t id)
{
    uint64_t pair = ((uint64_t)(uint32_t)a << 32 | (uint32_t)b) + 1;
    size_t i = slot_of(m, pair);
    while (m->at[i].pair && m->at[i].pair != pair) i = (i + 1) & m->mask;
    m->at[i].pair = pair;
    m->at[i].rank = rank;
    m->at[i].id = id;
}

/* Both sides of a merge: ["a", "b"], or "a b" in older files. */
static int sides(const cJSON *j, const char **a, size_t *a_bytes, const char **b)
{
    if (cJSON_IsArray(j) && cJSON_GetArraySize(j) == 2) {
        *a = cJSON_GetStringValue(cJSON_GetArrayItem(j, 0));
        *b = cJSON_GetStringValue(cJSON_GetArrayItem(j, 1));
        if (*a) *a_bytes = strlen(*a);
        return *a && *b;
    }
    *a = cJSON_GetStringValue(j);
    const char *space = *a ? strchr(*a, ' ') : NULL;
    if (!space || strchr(space + 1, ' ')) return 0;
    *a_bytes = (size_t)(space - *a);
    *b = space + 1;
    return 1;
}

static int add_merge(tl_error *err, const char *name, const cJSON *j, int rank, tl_text_model *m)
{
    const char *a, *b;
    size_t n = 0, prefix = m->prefix ? strlen(m->prefix) : 0;
    if (!sides(j, &a, &n, &b)) return tl__fail(err, TL_EFORMAT, "%s: merge %d is no pair", name, rank + 1);
    size_t b_bytes = strlen(b);
    int32_t left = tl__trie_find(&m->trie, a, n), right = tl__trie_find(&m->trie, b, b_bytes), joined = -1;
    if (left >= 0 && right >= 0 && b_bytes >= prefix) {
        char *text = tl__malloc(err, n + b_bytes + 1);
        if (!text) return -1;
        memcpy(text, a, n);
        memcpy(text + n, b + prefix, b_bytes - prefix);
        joined = tl__trie_find(&m->trie, text, n + b_bytes - prefix);
        free(text);
    }
    if (joined < 0)
        return tl__fail(err, TL_EFORMAT, "%s: merge %d, %.*s %.60s, speaks of a piece that is not in the vocabulary",
                        name, rank + 1, n > 60 ? 60 : (int)n, a, b);
    put_pair(&m->merges, left, right, rank, joined);
    return 0;
}

static int read_affix(tl_error *err, const cJSON *j, const char *key, char **out)
{
    const char *text = tl__json_string(j, key);
    return text && *text && !(*out = tl__strdup(err, text)) ? -1 : 0;
}

int tl__bpe_read(tl_error *err, const char *name, const cJSON *j, tl_text_model *m)
{
    const cJSON *merges = tl__json_field(j, "merges"), *each, *dropout = tl__json_field(j, "dropout");
    int count = cJSON_IsArray(merges) ? cJSON_GetArraySize(merges) : 0, rank = 0;
    size_t slots = 16;
    if (cJSON_IsNumber(dropout) && dropout->valuedouble > 0)
        return tl__fail(err, TL_EFORMAT, "%s: it leaves out merges by chance (dropout), which is not done here", name);
    if (read_affix(err, j, "continuing_subword_prefix", &m->prefix) != 0 ||
        read_affix(err, j, "end_of_word_suffix", &m->suffix) != 0)
        return -1;
    while (slots < 2 * (size_t)count) slots *= 2;
    if (!(m->merges.at = tl__calloc(err, slots, sizeof *m->merges.at))) return -1;
    m->merges.mask = slots - 1;
    cJSON_ArrayForEach(each, merges)
    {
        if (add_merge(err, name, each, rank++, m) != 0) return -1;
    }
    return 0;
}

/* ---- the heap of pairs: the lowest rank first, then the leftmost ---- */

static int is_before(tl_merge a, tl_merge b) { return a.rank != b.rank ? a.rank < b.rank : a.at < b.at; }

static void push(tl_merge *heap, size_t *count, tl_merge own)
{
    size_t i = (*count)++;
    for (; i && is_before(own, heap[(i - 1) / 2]); i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = own;
}

static tl_merge pop(tl_merge *heap, size_t *count)
{
    tl_merge top = heap[0], own = heap[--*count];
    size_t i = 0, n = *count;
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && is_before(heap[child + 1], heap[child])) child++;
        if (!is_before(heap[child], own)) break;
        heap[i] = heap[child];
    }
    if (n) heap[i] = own;
    return top;
}

static void offer(const tl_text_model *m, tl_text_work *w, size_t *count, int32_t left)
{
    int32_t rank, id, right = w->symbols[left].next;
    if (right < 0 || !find_pair(&m->merges, w->symbols[left].id, w->symbols[right].id, &rank, &id)) return;
    push(w->heap, count, (tl_merge){rank, left, id});
}

static void join_all(const tl_text_model *m, tl_text_work *w, int32_t symbols)
{
    size_t count = 0;
    for (int32_t i = 0; i + 1 < symbols; i++) offer(m, w, &count, i);
    while (count) {
        tl_merge top = pop(w->heap, &count);
        tl_symbol *left = &w->symbols[top.at];
        int32_t rank, id;
        if (!left->length || left->next < 0) continue;
        tl_symbol *right = &w->symbols[left->next];
        /* What it was made for may have been joined otherwise since. */
        if (!find_pair(&m->merges, left->id, right->id, &rank, &id) || id != top.id) continue;
        left->id = top.id;
        left->length += right->length;
        left->next = right->next;
        right->length = 0;
        if (left->next >= 0) w->symbols[left->next].before = top.at;
        if (left->before >= 0) offer(m, w, &count, left->before);
        offer(m, w, &count, top.at);
    }
}

/* ---- words ---- */

static int reserve(tl_error *err, tl_text_work *w, size_t symbols)
{
    if (symbols > w->symbol_room) {
        tl_symbol *more = tl__realloc(err, w->symbols, 2 * symbols * sizeof *more);
        if (!more) return -1;
        w->symbols = more;
        w->symbol_room = 2 * symbols;
    }
    if (3 * symbols > w->heap_room) { /* one pair each at first, and two with each join */
        tl_merge *more = tl__realloc(err, w->heap, 6 * symbols * sizeof *more);
        if (!more) return -1;
        w->heap = more;
        w->heap_room = 6 * symbols;
    }
    return 0;
}

static int32_t add_symbol(tl_text_work *w, int32_t count, int32_t id, size_t length)
{
    w->symbols[count] = (tl_symbol){id, count - 1, -1, (uint32_t)length};
    if (count) w->symbols[count - 1].next = count;
    return count + 1;
}

/* The piece of one character, with what its place in the word adds. */
static int32_t first_piece(const tl_text_model *m, const char *text, size_t n, int first, int last)
{
    char own[512];
    size_t used = 0, suffix = m->suffix && last ? strlen(m->suffix) : 0;
    size_t prefix = m->prefix && !first ? strlen(m->prefix) : 0;
    if (!prefix && !suffix) return tl__trie_find(&m->trie, text, n);
    if (prefix + suffix + n > sizeof own) return -1;
    if (prefix) memcpy(own, m->prefix, prefix), used = prefix;
    memcpy(own + used, text, n);
    used += n;
    if (suffix) memcpy(own + used, m->suffix, suffix), used += suffix;
    return tl__trie_find(&m->trie, own, used);
}

static int has_bytes(const tl_text_model *m, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (m->byte_piece[(uint8_t)text[i]] < 0) return 0;
    return m->byte_fallback;
}

/* The characters of a word as symbols; returns how many. */
static int32_t spell(const tl_text_model *m, tl_text_work *w, const char *text, size_t bytes)
{
    int32_t count = 0;
    size_t unknown = 0;
    for (size_t at = 0, n; at < bytes; at += n) {
        tl__utf8_read(text + at, &n);
        int32_t id = first_piece(m, text + at, n, at == 0, at + n >= bytes);
        if (id >= 0) {
            if (unknown) count = add_symbol(w, count, m->unknown, unknown), unknown = 0;
            count = add_symbol(w, count, id, n);
        } else if (has_bytes(m, text + at, n)) {
            for (size_t i = 0; i < n; i++) count = add_symbol(w, count, m->byte_piece[(uint8_t)text[at + i]], 1);
        } else if (m->unknown >= 0) {
            if (unknown && !m->fuse_unknown) count = add_symbol(w, count, m->unknown, unknown), unknown = 0;
            unknown += n;
        }
    }
    if (unknown) count = add_symbol(w, count, m->unknown, unknown);
    return count;
}

int tl__bpe_tokens(tl_error *err, const tl_text_model *m, tl_text_work *w, size_t begin, size_t end, int32_t word)
{
    const char *text = w->now.text + begin;
    size_t bytes = end - begin;
    if (m->whole_words) {
        int32_t id = tl__trie_find(&m->trie, text, bytes);
        if (id >= 0) return tl__tokens_add(err, &w->tokens, id, begin, end, word);
    }
    if (reserve(err, w, bytes) != 0) return -1;
    int32_t count = spell(m, w, text, bytes);
    join_all(m, w, count);
    size_t at = begin;
    for (int32_t i = 0; i < count; i++) {
        size_t n = w->symbols[i].length;
        if (!n) continue;
        if (tl__tokens_add(err, &w->tokens, w->symbols[i].id, at, at + n, word) != 0) return -1;
        at += n;
    }
    return 0;
}
