/* state_dict.c - from the values of a pickle to named tensors: finds the state dict in a checkpoint,
 * joins the names of nested dicts with dots, and makes every view of a storage a packed tensor. */
#include "io/pickle.h"

#include <string.h>

enum { MAX_DEPTH = 16, MAX_NAME_BYTES = 1024, MAX_VISITS = 1 << 22 };

typedef struct walker {
    tl_error *err;
    tl_archive *archive;
    const tl_pstore *store;
    char name[MAX_NAME_BYTES];
    long visits;
} walker;

/* ---- tensors ---- */

/* Copies a view row by row; `from` is its first element. Elements of `size` bytes, reversed if `swap`. */
static void repack(const tl_ptensor *t, const uint8_t *from, uint8_t *to, size_t size, int swap)
{
    int last = t->shape.rank - 1;
    int64_t at[TL_MAX_RANK] = {0}, row = last >= 0 ? t->shape.dim[last] : 1, step = last >= 0 ? t->stride[last] : 0;
    for (;;) {
        const uint8_t *p = from;
        for (int d = 0; d < last; d++) p += (size_t)(at[d] * t->stride[d]) * size;
        for (int64_t i = 0; i < row; i++, to += size) {
            const uint8_t *element = p + (size_t)(i * step) * size;
            for (size_t b = 0; b < size; b++) to[b] = element[swap ? size - 1 - b : b];
        }
        int d = last - 1;
        while (d >= 0 && ++at[d] == t->shape.dim[d]) at[d--] = 0;
        if (d < 0) return;
    }
}

static int is_packed(const tl_ptensor *t)
{
    int64_t expected = 1;
    for (int d = t->shape.rank - 1; d >= 0; d--) {
        if (t->shape.dim[d] != 1 && t->stride[d] != expected) return 0;
        expected *= t->shape.dim[d];
    }
    return 1;
}

/* Whether the highest element that a view reaches lies in its storage. The view is not empty. */
static int inside(const tl_ptensor *t)
{
    int64_t end = t->offset;
    for (int d = 0; d < t->shape.rank; d++) {
        int64_t reach;
        if (tl__mul_size(t->shape.dim[d] - 1, t->stride[d], &reach) != 0 || reach > INT64_MAX - end) return 0;
        end += reach;
    }
    return end < t->storage->view_numel;
}

static int add_tensor(walker *w, size_t name_bytes, const tl_ptensor *t)
{
    const tl_pstorage *s = t->storage;
    const uint8_t *data;
    size_t have, need, size = tl__dtype_size(s->dtype);
    int64_t claimed;
    char quoted[TL__PRINTABLE_SIZE];
    const char *name = tl__printable(quoted, w->name, name_bytes);
    if (tl__shape_bytes(w->err, name, &t->shape, s->dtype, &need) != 0 || w->store->find(w->err, w->store->user, s, &data, &have) != 0) return -1;
    if (tl__mul_size(s->numel, (int64_t)size, &claimed) != 0 || (uint64_t)claimed > have)
        return tl__fail(w->err, TL_EFORMAT, "the storage of %s should have %lld elements of %s, but the file has only %zu bytes of it", name,
                        (long long)s->numel, tl__dtype_name(s->dtype), have);
    if (need && !inside(t)) return tl__fail(w->err, TL_EFORMAT, "the tensor %s reaches out of its storage", name);
    const uint8_t *first = need ? data + (size_t)(s->view_at + t->offset) * size : data;
    if (need && (!is_packed(t) || (w->store->swap && size > 1))) {
        uint8_t *copy = tl__archive_buffer(w->err, w->archive, need);
        if (!copy) return -1;
        repack(t, first, copy, size, w->store->swap);
        first = copy;
    }
    return tl__archive_add(w->err, w->archive, w->name, name_bytes, s->dtype, &t->shape, first, need);
}

/* ---- dicts ---- */

/* Puts ".key" behind the name of `n` bytes. The new length, 0 for a key that names nothing, or -1. */
static long extend_name(walker *w, size_t n, const tl_pvalue *key)
{
    char digits[24];
    const char *text = digits;
    size_t bytes = 0;
    if (key->kind == TL_P_TEXT) {
        text = key->as.text.at;
        bytes = key->as.text.n;
    } else if (key->kind == TL_P_INT) {
        bytes = (size_t)snprintf(digits, sizeof digits, "%lld", (long long)key->as.i);
    } else {
        return 0;
    }
    if (bytes > MAX_NAME_BYTES - 2 - n) return tl__fail(w->err, TL_EFORMAT, "the name of a tensor is longer than %d bytes", MAX_NAME_BYTES - 2);
    if (n) w->name[n++] = '.';
    memcpy(w->name + n, text, bytes);
    return (long)(n + bytes);
}

/* A dict may hold itself, or the same dict many times over; depth and visits are bounded for that. */
static int walk(walker *w, const tl_pvalue *dict, size_t name_bytes, int depth)
{
    if (depth > MAX_DEPTH) return tl__fail(w->err, TL_EFORMAT, "dicts stand in dicts more than %d deep, which no state dict needs", MAX_DEPTH);
    for (uint32_t i = 0; i + 1 < dict->as.items.n; i += 2) {
        const tl_pvalue *value = dict->as.items.at[i + 1];
        if (++w->visits > MAX_VISITS) return tl__fail(w->err, TL_EFORMAT, "it has more than %d values, which no state dict has", MAX_VISITS);
        if (value->kind != TL_P_TENSOR && value->kind != TL_P_DICT) continue;
        long n = extend_name(w, name_bytes, dict->as.items.at[i]);
        if (n < 0) return -1;
        if (n == 0) continue;
        int bad = value->kind == TL_P_TENSOR ? add_tensor(w, (size_t)n, value->as.tensor) : walk(w, value, (size_t)n, depth + 1);
        if (bad) return -1;
    }
    return 0;
}

static const tl_pvalue *dict_under(const tl_pvalue *dict, const char *key)
{
    for (uint32_t i = 0; i + 1 < dict->as.items.n; i += 2) {
        const tl_pvalue *k = dict->as.items.at[i], *v = dict->as.items.at[i + 1];
        if (k->kind == TL_P_TEXT && k->as.text.n == strlen(key) && memcmp(k->as.text.at, key, k->as.text.n) == 0 && v->kind == TL_P_DICT) return v;
    }
    return NULL;
}

int tl__state_dict(tl_error *err, tl_archive *a, const tl_pvalue *root, const tl_pstore *store)
{
    static const char *const keys[] = {"state_dict", "model_state_dict", "model"};
    if (root->kind != TL_P_DICT)
        return tl__fail(err, TL_EFORMAT, "it holds %s, not a state dict; save with torch.save(model.state_dict(), ...)", tl__pickle_kind(root));
    const tl_pvalue *inner = NULL;
    for (size_t i = 0; i < sizeof keys / sizeof *keys && !inner; i++) inner = dict_under(root, keys[i]);
    walker w = {.err = err, .archive = a, .store = store};
    return walk(&w, inner ? inner : root, 0, 0);
}
