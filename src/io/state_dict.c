/* state_dict.c - from the values of a pickle to named tensors: finds the state dict in a checkpoint,
 * joins the names of nested dicts with dots, and makes every view of a storage a packed tensor. What stands
 * beside the tensors is passed over, or noted where it stands in the place of one. */
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
    size_t have, need, size = s ? s->size : 0;
    int64_t claimed;
    char quoted[TL__PRINTABLE_SIZE];
    const char *name = tl__printable(quoted, w->name, name_bytes);
    if (t->odd) return tl__archive_add_odd(w->err, w->archive, w->name, name_bytes, "%s", t->odd);
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

static int add_value(walker *w, size_t name_bytes, const tl_pvalue *v)
{
    if (v->kind == TL_P_TENSOR) return add_tensor(w, name_bytes, v->as.tensor);
    return tl__archive_add_odd(w->err, w->archive, w->name, name_bytes, "is what %.200s makes, not a tensor, and nothing is run for it; %s", v->as.text.at,
                               "torch.save(model.state_dict(), ...) makes a file of tensors");
}

/* A dict may hold itself, or the same dict many times over; depth and visits are bounded for that. */
static int walk(walker *w, const tl_pvalue *dict, size_t name_bytes, int depth)
{
    if (depth > MAX_DEPTH) return tl__fail(w->err, TL_EFORMAT, "dicts stand in dicts more than %d deep, which no state dict needs", MAX_DEPTH);
    for (uint32_t i = 0; i + 1 < dict->as.items.n; i += 2) {
        const tl_pvalue *value = dict->as.items.at[i + 1];
        if (++w->visits > MAX_VISITS) return tl__fail(w->err, TL_EFORMAT, "it has more than %d values, which no state dict has", MAX_VISITS);
        if (value->kind != TL_P_TENSOR && value->kind != TL_P_DICT && value->kind != TL_P_OPAQUE) continue;
        long n = extend_name(w, name_bytes, dict->as.items.at[i]);
        if (n < 0) return -1;
        if (n == 0) continue;
        int bad = value->kind == TL_P_DICT ? walk(w, value, (size_t)n, depth + 1) : add_value(w, (size_t)n, value);
        if (bad) return -1;
    }
    return 0;
}

/* ---- which dict of a checkpoint ---- */

/* Where the weights of the network lie in people's checkpoints, the likeliest first, and running averages of them last. The first
 * WELL_KNOWN are such keys whatever stands beside them; the others also serve as names of modules. */
static const char *const usual[] = {
    "state_dict", "model_state_dict", "model", "model_state", "net_state_dict", "network_state_dict", "net", "network", "weights", "model_weights", "params",
    "module", "state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict", "ema", "ema_model", "params_ema",
};
enum { USUAL = sizeof usual / sizeof *usual, WELL_KNOWN = 3 };

static int is_text(const tl_pvalue *v, const char *text, size_t n) { return v->kind == TL_P_TEXT && v->as.text.n == n && memcmp(v->as.text.at, text, n) == 0; }

static const tl_pvalue *dict_under(const tl_pvalue *dict, const char *key, size_t n)
{
    for (uint32_t i = 0; i + 1 < dict->as.items.n; i += 2)
        if (is_text(dict->as.items.at[i], key, n) && dict->as.items.at[i + 1]->kind == TL_P_DICT) return dict->as.items.at[i + 1];
    return NULL;
}

/* Whether a tensor, readable or not, stands in the dict or in dicts of it, as far as `visits` reach. */
static int has_tensors(const tl_pvalue *v, int depth, long *visits)
{
    if (v->kind != TL_P_DICT) return v->kind == TL_P_TENSOR;
    for (uint32_t i = 0; depth < MAX_DEPTH && i + 1 < v->as.items.n && --*visits > 0; i += 2)
        if (has_tensors(v->as.items.at[i + 1], depth + 1, visits)) return 1;
    return 0;
}

static int holds_tensors(const tl_pvalue *v)
{
    long visits = 100000;
    return has_tensors(v, 0, &visits);
}

/* State of the training, which is no weights: optimiser, schedule, gradient scaler, random numbers. */
static int is_training_state(const tl_pvalue *key)
{
    static const char *const words[] = {"optim", "sched", "scaler", "rng"};
    for (size_t i = 0; key->kind == TL_P_TEXT && i < sizeof words / sizeof *words; i++)
        for (size_t k = 0, n = strlen(words[i]); k + n <= key->as.text.n; k++)
            if (memcmp(key->as.text.at + k, words[i], n) == 0) return 1;
    return is_text(key, "amp", 3);
}

static int usual_rank(const tl_pvalue *key)
{
    int i = 0;
    while (i < USUAL && !is_text(key, usual[i], strlen(usual[i]))) i++;
    return i;
}

/* The key of the usual dict, NULL where the whole is the state dict: a key that might also be the name of a module counts only
 * where no other tensors stand beside it. */
static const char *usual_key(const tl_pvalue *root)
{
    int best = USUAL, others = 0;
    for (uint32_t i = 0; i + 1 < root->as.items.n; i += 2) {
        const tl_pvalue *key = root->as.items.at[i], *value = root->as.items.at[i + 1];
        int rank = usual_rank(key);
        if (is_training_state(key) || !holds_tensors(value)) continue;
        if (value->kind != TL_P_DICT) others |= value->as.tensor->odd || value->as.tensor->shape.rank > 0; /* not a counter */
        else if (rank == USUAL) others = 1;
        else if (rank < best) best = rank;
    }
    return best < WELL_KNOWN || (best < USUAL && !others) ? usual[best] : NULL;
}

/* Notes the other dicts with tensors. */
static int note_others(tl_error *err, tl_archive *a, const tl_pvalue *root, const char *taken)
{
    for (uint32_t i = 0; i + 1 < root->as.items.n; i += 2) {
        const tl_pvalue *key = root->as.items.at[i], *value = root->as.items.at[i + 1];
        if (key->kind != TL_P_TEXT || value->kind != TL_P_DICT || is_training_state(key) || is_text(key, taken, strlen(taken)) || !holds_tensors(value)) continue;
        if (tl__archive_left(err, a, key->as.text.at, key->as.text.n) != 0) return -1;
    }
    return 0;
}

/* "a.b" is the dict of that name, or b in the dict a. What of the key no dict has the name of is the rest. */
static const tl_pvalue *wanted_dict(const tl_pvalue *root, const char *key, const char **rest)
{
    const tl_pvalue *dict = root;
    while (*(*rest = key)) {
        size_t n = strlen(key);
        const tl_pvalue *next = dict_under(dict, key, n);
        if (!next) next = dict_under(dict, key, n = strcspn(key, "."));
        if (!next) break;
        dict = next;
        key += n + (key[n] == '.');
    }
    return dict;
}

/* The dict that is asked for, else the usual one. */
static const tl_pvalue *choose(tl_error *err, tl_archive *a, const tl_pvalue *root)
{
    const char *wanted = tl__archive_wanted(a), *rest = wanted, *key = wanted;
    const tl_pvalue *dict = wanted ? wanted_dict(root, wanted, &rest) : root;
    if (dict == root && (key = usual_key(root)) != NULL) dict = dict_under(root, key, strlen(key));
    if (dict == root) return root;
    if (rest && !*rest) rest = NULL;
    return tl__archive_took(err, a, key, rest) == 0 && note_others(err, a, root, key) == 0 ? dict : NULL;
}

int tl__state_dict(tl_error *err, tl_archive *a, const tl_pvalue *root, const tl_pstore *store)
{
    if (root->kind == TL_P_OPAQUE)
        return tl__fail(err, TL_EFORMAT, "it holds what %.200s makes, not a state dict, and nothing is run for it; save with torch.save(model.state_dict(), ...)", root->as.text.at);
    if (root->kind != TL_P_DICT)
        return tl__fail(err, TL_EFORMAT, "it holds %s, not a state dict; save with torch.save(model.state_dict(), ...)", tl__pickle_kind(root));
    const tl_pvalue *dict = choose(err, a, root);
    walker w = {.err = err, .archive = a, .store = store};
    return dict ? walk(&w, dict, 0, 0) : -1;
}
