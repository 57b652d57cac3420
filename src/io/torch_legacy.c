/* torch_legacy.c - the form of torch.save before PyTorch 1.6, which many published weights still have:
 * five pickles one after the other (a magic number, the version, facts about the writer, the object, the
 * keys of its storages), then each storage as a 64-bit count of elements and the elements, little-endian. */
#include "io/pickle.h"

#include <stdlib.h>
#include <string.h>

enum { PROTOCOL = 1001 };

/* 0x1950a86a20f9469cfc6c, as the pickle keeps it. */
static const char magic[] = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

typedef struct place { const char *key; size_t key_bytes; const uint8_t *data; size_t bytes; } place;

typedef struct reader {
    const uint8_t *data;
    size_t bytes, at;
    tl_pickle head, object, keys;
    const tl_pstorage **storages;  /* of the object, sorted by key, each key once */
    place *places;                 /* the same order */
    size_t count;
} reader;

static int next_pickle(tl_error *err, reader *r, tl_pickle *p)
{
    int bad = tl__pickle_read(err, p, r->data + r->at, r->bytes - r->at);
    r->at += p->used;
    return bad;
}

/* The three pickles in front of the object. What the writer says about itself is of no use: the bytes
 * of the storages are little-endian whatever it was. */
static int read_head(tl_error *err, reader *r)
{
    for (int i = 0; i < 3; i++) {
        if (next_pickle(err, r, &r->head) != 0) return -1;
        const tl_pvalue *v = r->head.root;
        if (i == 0 && (v->kind != TL_P_BIG || v->as.text.n != sizeof magic - 1 || memcmp(v->as.text.at, magic, sizeof magic - 1) != 0))
            return tl__fail(err, TL_EFORMAT, "a pickle, but not one of torch.save; save with torch.save(model.state_dict(), ...)");
        if (i == 1 && (v->kind != TL_P_INT || v->as.i != PROTOCOL))
            return tl__fail(err, TL_EFORMAT, "an unknown version of torch.save's old form");
        tl__pickle_free(&r->head);
    }
    return 0;
}

static int compare_keys(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    int order = memcmp(a, b, a_bytes < b_bytes ? a_bytes : b_bytes);
    return order ? order : (a_bytes > b_bytes) - (a_bytes < b_bytes);
}

static int compare_storages(const void *x, const void *y)
{
    const tl_pstorage *a = *(const tl_pstorage *const *)x, *b = *(const tl_pstorage *const *)y;
    return compare_keys(a->key, a->key_bytes, b->key, b->key_bytes);
}

static int sort_storages(tl_error *err, reader *r)
{
    size_t n = r->object.storages->as.items.n, kept = 0;
    r->storages = tl__calloc(err, n, sizeof *r->storages);
    r->places = r->storages ? tl__calloc(err, n, sizeof *r->places) : NULL;
    if (!r->places) return -1;
    for (size_t i = 0; i < n; i++) r->storages[i] = r->object.storages->as.items.at[i]->as.storage;
    qsort(r->storages, n, sizeof *r->storages, compare_storages);
    for (size_t i = 0; i < n; i++) {
        if (kept && compare_storages(&r->storages[kept - 1], &r->storages[i]) == 0) {
            const tl_pstorage *a = r->storages[kept - 1], *b = r->storages[i];
            if (a->dtype != b->dtype || a->size != b->size) return tl__fail(err, TL_EFORMAT, "a storage has two types");
        } else {
            r->storages[kept++] = r->storages[i];
        }
    }
    r->count = kept;
    return 0;
}

static place *find_place(const reader *r, const char *key, size_t key_bytes)
{
    size_t low = 0, high = r->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_keys(key, key_bytes, r->storages[middle]->key, r->storages[middle]->key_bytes);
        if (order == 0) return &r->places[middle];
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

/* Finds where each storage stands; its type, known from the object, says how long it is. */
static int place_storages(tl_error *err, reader *r)
{
    const tl_pvalue *keys = r->keys.root;
    if (keys->kind != TL_P_LIST) return tl__fail(err, TL_EFORMAT, "the list of its storages is %s", tl__pickle_kind(keys));
    for (uint32_t i = 0; i < keys->as.items.n; i++) {
        const tl_pvalue *key = keys->as.items.at[i];
        place *p = key->kind == TL_P_TEXT ? find_place(r, key->as.text.at, key->as.text.n) : NULL;
        if (!p || p->key) return tl__fail(err, TL_EFORMAT, "the list of its storages names one that is unknown or twice there");
        const tl_pstorage *s = r->storages[p - r->places];
        uint64_t size = s->size;
        if (!size) return tl__fail(err, TL_EFORMAT, "it holds a storage of the type torch.%.100s, which tlua does not know; save it anew with a PyTorch from 1.6 on", s->foreign);
        uint64_t left = r->bytes - r->at, numel = left >= 8 ? tl__le64(r->data + r->at) : 0;
        if (left < 8 || numel > (left - 8) / size)
            return tl__fail(err, TL_EFORMAT, "the file ends inside storage %u of %u; it is cut short, fetch it again", (unsigned)i + 1, (unsigned)keys->as.items.n);
        *p = (place){key->as.text.at, key->as.text.n, r->data + r->at + 8, (size_t)(numel * size)};
        r->at += 8 + p->bytes;
    }
    return 0;
}

static int find_storage(tl_error *err, void *user, const tl_pstorage *s, const uint8_t **data, size_t *bytes)
{
    const place *p = find_place(user, s->key, s->key_bytes);
    char quoted[TL__PRINTABLE_SIZE];
    if (!p || !p->key) return tl__fail(err, TL_EFORMAT, "the storage %s is missing; fetch the file again", tl__printable(quoted, s->key, s->key_bytes));
    *data = p->data;
    *bytes = p->bytes;
    return 0;
}

int tl__read_torch_legacy(tl_error *err, tl_archive *a, const uint8_t *data, size_t bytes)
{
    reader r = {.data = data, .bytes = bytes};
    tl_pstore store = {.find = find_storage, .user = &r};
    int bad = read_head(err, &r) || next_pickle(err, &r, &r.object) || next_pickle(err, &r, &r.keys) || sort_storages(err, &r) ||
              place_storages(err, &r) || tl__state_dict(err, a, r.object.root, &store);
    tl__pickle_free(&r.head);
    tl__pickle_free(&r.object);
    tl__pickle_free(&r.keys);
    free(r.storages);
    free(r.places);
    return bad ? -1 : 0;
}
