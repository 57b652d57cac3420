/* state_dict.c - from the values of a pickle to named tensors: finds the state dict or the pickled module in a
 * checkpoint, joins the names of nested dicts and modules with dots, and makes every view of a storage a packed tensor.
 * What stands beside the tensors is passed over, or noted where it stands in the place of one. */
#include "io/pickle.h"

#include <string.h>

enum { MAX_DEPTH = 16, MAX_MODULES = 64, MAX_NAME_BYTES = 1024, MAX_VISITS = 1 << 22, MAX_NAMES = 128 << 20 };

typedef struct walker {
    tl_error *err;
    tl_archive *archive;
    const tl_pstore *store;
    char name[MAX_NAME_BYTES];
    size_t names;  /* bytes of all names so far: the same part may stand in many places */
    long visits;
    const tl_pvalue *above[MAX_MODULES];  /* the modules that the one at hand stands in */
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

static int add_tensor(walker *w, size_t name_bytes, tl_ptensor *t)
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
    const uint8_t *first = t->packed ? t->packed : need ? data + (size_t)(s->view_at + t->offset) * size : data;
    if (need && !t->packed && (!is_packed(t) || (w->store->swap && size > 1))) {
        uint8_t *copy = tl__archive_buffer(w->err, w->archive, need);
        if (!copy) return -1;
        repack(t, first, copy, size, w->store->swap);
        first = t->packed = copy;
    }
    return tl__archive_add(w->err, w->archive, w->name, name_bytes, s->dtype, &t->shape, first, need);
}

/* ---- names ---- */

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
    w->names += n + bytes;
    if (w->names > MAX_NAMES)
        return tl__fail(w->err, TL_EFORMAT, "the names of its tensors take more than %d MB, which no state dict needs",
                        MAX_NAMES >> 20);
    return (long)(n + bytes);
}

static int count_visits(walker *w, long more)
{
    w->visits += more;
    if (w->visits <= MAX_VISITS) return 0;
    return tl__fail(w->err, TL_EFORMAT, "it has more than %d values, which no state dict has", MAX_VISITS);
}

static int add_value(walker *w, size_t name_bytes, const tl_pvalue *v)
{
    tl_archive *a = w->archive;
    if (v->kind == TL_P_TENSOR) return add_tensor(w, name_bytes, v->as.tensor);
    if (v->kind != TL_P_OPAQUE)
        return tl__archive_add_odd(w->err, a, w->name, name_bytes, "is %s, not a tensor", tl__pickle_kind(v));
    return tl__archive_add_odd(w->err, a, w->name, name_bytes,
                               "is what %.200s makes, not a tensor, and nothing is run for it; %s", v->as.object.maker,
                               "torch.save(model.state_dict(), ...) makes a file of tensors");
}

/* ---- pickled modules ---- */

static int is_text(const tl_pvalue *v, const char *text, size_t n)
{
    return v->kind == TL_P_TEXT && v->as.text.n == n && memcmp(v->as.text.at, text, n) == 0;
}

/* The attributes that torch.nn.Module.__init__ gives every module, and the names of those buffers that are in no state
 * dict (NULL: none). */
typedef struct module { const tl_pvalue *parameters, *buffers, *modules, *passing; } module;

/* Whether an object has the attributes of a module. What these are is not looked at. */
static int is_module(const tl_pvalue *v, module *m)
{
    const tl_pvalue *state = v->kind == TL_P_OPAQUE ? v->as.object.state : NULL;
    *m = (module){0};
    for (uint32_t i = 0; state && i + 1 < state->as.items.n; i += 2) {
        const tl_pvalue *key = state->as.items.at[i], *value = state->as.items.at[i + 1];
        if (is_text(key, "_parameters", 11)) m->parameters = value;
        else if (is_text(key, "_buffers", 8)) m->buffers = value;
        else if (is_text(key, "_modules", 8)) m->modules = value;
        else if (is_text(key, "_non_persistent_buffers_set", 27)) m->passing = value;
    }
    return m->parameters && m->buffers && m->modules;
}

/* How long is_module() looks. */
static long attributes(const tl_pvalue *v)
{
    return v->kind == TL_P_OPAQUE && v->as.object.state ? (long)v->as.object.state->as.items.n / 2 : 0;
}

/* The name of an attribute that is not what it must be, and what it is; NULL: all are. */
static const char *wrong_attribute(const module *m, const tl_pvalue **value)
{
    static const char *const names[] = {"_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"};
    const tl_pvalue *const values[] = {m->parameters, m->buffers, m->modules, m->passing};
    for (int i = 0; i < 4; i++) {
        *value = values[i];
        if (*value && (*value)->kind != (i < 3 ? TL_P_DICT : TL_P_LIST)) return names[i];
    }
    return NULL;
}

/* Adds the parameters, or the buffers but for those of the names `passing`. A None holds the place of a tensor that is
 * not there. */
static int add_tensors(walker *w, const tl_pvalue *dict, const tl_pvalue *passing, size_t name_bytes)
{
    for (uint32_t i = 0; i + 1 < dict->as.items.n; i += 2) {
        const tl_pvalue *key = dict->as.items.at[i], *value = dict->as.items.at[i + 1];
        int left = value->kind == TL_P_NONE;
        if (count_visits(w, 1 + (passing ? (long)passing->as.items.n : 0)) != 0) return -1;
        for (uint32_t k = 0; key->kind == TL_P_TEXT && passing && k < passing->as.items.n; k++)
            left |= is_text(passing->as.items.at[k], key->as.text.at, key->as.text.n);
        long n = left ? 0 : extend_name(w, name_bytes, key);
        if (n < 0 || (n > 0 && add_value(w, (size_t)n, value) != 0)) return -1;
    }
    return 0;
}

/* What a child, or the whole, is that gives no tensors. */
static int odd_module(walker *w, size_t name_bytes, const char *why, const char *more)
{
    if (name_bytes) return tl__archive_add_odd(w->err, w->archive, w->name, name_bytes, "%s%s", why, more);
    return tl__fail(w->err, TL_EFORMAT, "it %s%s; save with torch.save(model.state_dict(), ...)", why, more);
}

/* Adds what module.state_dict() has, in its order and by its names: parameters, buffers, and those of the children. A
 * module may stand at several places, which are all named; one that stands in itself has no state dict in PyTorch. */
static int walk_module(walker *w, const tl_pvalue *v, size_t name_bytes, int depth)
{
    module m;
    const tl_pvalue *value;
    if (depth == MAX_MODULES)
        return tl__fail(w->err, TL_EFORMAT, "modules stand in modules more than %d deep, which tlua does not follow",
                        MAX_MODULES);
    if (count_visits(w, attributes(v)) != 0) return -1;
    if (v->kind != TL_P_OPAQUE) return odd_module(w, name_bytes, "stands for a module and is ", tl__pickle_kind(v));
    if (!is_module(v, &m)) return add_value(w, name_bytes, v);
    for (int i = 0; i < depth; i++)
        if (w->above[i] == v) return odd_module(w, name_bytes, "is a module that it stands in itself", "");
    w->above[depth] = v;
    const char *wrong = wrong_attribute(&m, &value);
    if (wrong) {
        char text[80];
        snprintf(text, sizeof text, "%s is %s", wrong, tl__pickle_kind(value));
        return odd_module(w, name_bytes, "is a damaged module: its ", text);
    }
    if (add_tensors(w, m.parameters, NULL, name_bytes) != 0) return -1;
    if (add_tensors(w, m.buffers, m.passing, name_bytes) != 0) return -1;
    for (uint32_t i = 0; i + 1 < m.modules->as.items.n; i += 2) {
        const tl_pvalue *child = m.modules->as.items.at[i + 1];
        if (count_visits(w, 1) != 0) return -1;
        long n = child->kind == TL_P_NONE ? 0 : extend_name(w, name_bytes, m.modules->as.items.at[i]);
        if (n < 0 || (n > 0 && walk_module(w, child, (size_t)n, depth + 1) != 0)) return -1;
    }
    return 0;
}

static int is_label(const tl_pvalue *v)
{
    return v->kind == TL_P_TEXT && v->as.text.n <= MAX_NAME_BYTES && !memchr(v->as.text.at, 0, v->as.text.n) &&
           tl__utf8_valid(v->as.text.at, v->as.text.n);
}

/* Notes the names of the classes where the module has them as published detectors do: an attribute `names`, {0: text,
 * 1: text, ...} or a list of texts. Whatever else it is tells nothing. */
static int note_labels(tl_error *err, tl_archive *a, const tl_pvalue *v)
{
    const tl_pvalue *state = v->as.object.state, *names = NULL;
    for (uint32_t i = 0; i + 1 < state->as.items.n; i += 2)
        if (is_text(state->as.items.at[i], "names", 5)) names = state->as.items.at[i + 1];
    if (!names || (names->kind != TL_P_DICT && names->kind != TL_P_LIST)) return 0;
    uint32_t step = names->kind == TL_P_DICT ? 2 : 1, n = names->as.items.n / step;
    for (uint32_t i = 0; i < n; i++) {
        const tl_pvalue *key = names->as.items.at[i * step], *text = names->as.items.at[i * step + step - 1];
        if (!is_label(text) || (step == 2 && (key->kind != TL_P_INT || key->as.i != i))) return 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        const tl_pvalue *text = names->as.items.at[i * step + step - 1];
        if (tl__archive_add_label(err, a, text->as.text.at, text->as.text.n) != 0) return -1;
    }
    return 0;
}

/* ---- dicts ---- */

/* A dict may hold itself, or the same dict many times over; depth and visits are bounded for that. */
static int walk(walker *w, const tl_pvalue *dict, size_t name_bytes, int depth)
{
    if (depth > MAX_DEPTH) return tl__fail(w->err, TL_EFORMAT, "dicts stand in dicts more than %d deep, which no state dict needs", MAX_DEPTH);
    for (uint32_t i = 0; i + 1 < dict->as.items.n; i += 2) {
        const tl_pvalue *value = dict->as.items.at[i + 1];
        if (count_visits(w, 1) != 0) return -1;
        if (value->kind != TL_P_TENSOR && value->kind != TL_P_DICT && value->kind != TL_P_OPAQUE) continue;
        long n = extend_name(w, name_bytes, dict->as.items.at[i]);
        if (n < 0) return -1;
        if (n == 0) continue;
        int bad = value->kind == TL_P_DICT ? walk(w, value, (size_t)n, depth + 1)
                  : value->kind == TL_P_OPAQUE ? walk_module(w, value, (size_t)n, 0) : add_value(w, (size_t)n, value);
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

/* What may be a part of a checkpoint. */
static int is_part(const tl_pvalue *v)
{
    module m;
    return v->kind == TL_P_DICT || is_module(v, &m);
}

static const tl_pvalue *part_under(const tl_pvalue *dict, const char *key, size_t n)
{
    for (uint32_t i = 0; dict->kind == TL_P_DICT && i + 1 < dict->as.items.n; i += 2)
        if (is_text(dict->as.items.at[i], key, n) && is_part(dict->as.items.at[i + 1])) return dict->as.items.at[i + 1];
    return NULL;
}

/* Whether a tensor, readable or not, stands in the dict or module or in those in it, as far as `visits` reach. */
static int has_tensors(const tl_pvalue *v, int depth, long *visits)
{
    module m;
    if (v->kind == TL_P_TENSOR) return 1;
    if (depth >= 2 * MAX_MODULES || (*visits -= attributes(v)) <= 0) return 0;
    if (is_module(v, &m)) {
        const tl_pvalue *const parts[] = {m.parameters, m.buffers, m.modules};
        for (int i = 0; i < 3; i++)
            if (has_tensors(parts[i], depth + 1, visits)) return 1;
        return 0;
    }
    for (uint32_t i = 0; v->kind == TL_P_DICT && i + 1 < v->as.items.n && --*visits > 0; i += 2)
        if (has_tensors(v->as.items.at[i + 1], depth + 1, visits)) return 1;
    return 0;
}

/* The same, of a value among many; *all is how far may be looked in all of them. */
static int holds_tensors(const tl_pvalue *v, long *all)
{
    long visits = *all < 100000 ? *all : 100000, before = visits;
    int found = has_tensors(v, 0, &visits);
    *all -= before - visits;
    return found;
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
    long visits = MAX_VISITS;
    for (uint32_t i = 0; root->kind == TL_P_DICT && i + 1 < root->as.items.n; i += 2) {
        const tl_pvalue *key = root->as.items.at[i], *value = root->as.items.at[i + 1];
        int rank = usual_rank(key);
        if (is_training_state(key) || !holds_tensors(value, &visits)) continue;
        if (value->kind == TL_P_TENSOR)
            others |= value->as.tensor->odd || value->as.tensor->shape.rank > 0; /* not a counter */
        else if (rank == USUAL) others = 1;
        else if (rank < best) best = rank;
    }
    return best < WELL_KNOWN || (best < USUAL && !others) ? usual[best] : NULL;
}

/* Notes the other dicts and modules with tensors. */
static int note_others(tl_error *err, tl_archive *a, const tl_pvalue *root, const char *taken)
{
    long visits = MAX_VISITS;
    for (uint32_t i = 0; i + 1 < root->as.items.n; i += 2) {
        const tl_pvalue *key = root->as.items.at[i], *value = root->as.items.at[i + 1];
        if (key->kind != TL_P_TEXT || value->kind == TL_P_TENSOR) continue;
        if (is_training_state(key) || is_text(key, taken, strlen(taken))) continue;
        if (!holds_tensors(value, &visits)) continue;
        if (tl__archive_left(err, a, key->as.text.at, key->as.text.n) != 0) return -1;
    }
    return 0;
}

/* "a.b" is the dict or module of that name, or b in the dict a. What of the key none has the name of is the rest: in a
 * module it is a beginning of names. */
static const tl_pvalue *wanted_part(const tl_pvalue *root, const char *key, const char **rest)
{
    const tl_pvalue *dict = root;
    while (*(*rest = key)) {
        size_t n = strlen(key);
        const tl_pvalue *next = part_under(dict, key, n);
        if (!next) next = part_under(dict, key, n = strcspn(key, "."));
        if (!next) break;
        dict = next;
        key += n + (key[n] == '.');
    }
    return dict;
}

/* The dict or module that is asked for, else the usual one. */
static const tl_pvalue *choose(tl_error *err, tl_archive *a, const tl_pvalue *root)
{
    const char *wanted = tl__archive_wanted(a), *rest = wanted, *key = wanted;
    const tl_pvalue *dict = wanted ? wanted_part(root, wanted, &rest) : root;
    if (dict == root && (key = usual_key(root)) != NULL) dict = part_under(root, key, strlen(key));
    if (dict == root) return root;
    if (rest && !*rest) rest = NULL;
    return tl__archive_took(err, a, key, rest) == 0 && note_others(err, a, root, key) == 0 ? dict : NULL;
}

int tl__state_dict(tl_error *err, tl_archive *a, const tl_pvalue *root, const tl_pstore *store)
{
    if (root->kind == TL_P_OPAQUE && !is_part(root))
        return tl__fail(err, TL_EFORMAT, "it holds what %.200s makes, not a state dict, and nothing is run for it; %s",
                        root->as.object.maker, "save with torch.save(model.state_dict(), ...)");
    if (root->kind != TL_P_DICT && root->kind != TL_P_OPAQUE)
        return tl__fail(err, TL_EFORMAT, "it holds %s, not a state dict; save with torch.save(model.state_dict(), ...)", tl__pickle_kind(root));
    const tl_pvalue *part = choose(err, a, root);
    walker w = {.err = err, .archive = a, .store = store};
    if (!part) return -1;
    if (part->kind == TL_P_DICT) return walk(&w, part, 0, 0);
    return walk_module(&w, part, 0, 0) == 0 ? note_labels(err, a, part) : -1;
}
