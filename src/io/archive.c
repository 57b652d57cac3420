/* archive.c - opening a file of weights, whatever its form, and what can be asked of it afterwards. */
#include "io/format.h"

#include <stdlib.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the readers of weights take the host to be little-endian, as every OpenCL host of today is"
#endif

struct tl_archive_private {
    char *path;
    const char *wanted;         /* borrowed while the file is read */
    void *map;
    size_t map_bytes;
    size_t budget;              /* how much more memory tensors may take that are copied out of the file */
    void **buffers;
    int buffer_count, buffer_room, room, meta_room, odd_room, other_room, label_room;
    const tl_entry **by_name;   /* sorted, made when all entries are there */
};

/* ---- small helpers of the readers ---- */

const char *tl__printable(char buf[TL__PRINTABLE_SIZE], const char *text, size_t bytes)
{
    size_t n = 0;
    for (; n < bytes && n < TL__PRINTABLE_SIZE - 4; n++) buf[n] = text[n] < 32 || text[n] > 126 ? '?' : text[n];
    memcpy(buf + n, "...", 4);
    if (n == bytes) buf[n] = 0;
    return buf;
}

int tl__shape_bytes(tl_error *err, const char *name, const tl_shape *shape, tl_dtype dtype, size_t *bytes)
{
    int64_t n = (int64_t)tl__dtype_size(dtype);
    int bad = 0, empty = 0;
    for (int i = 0; i < shape->rank; i++) empty |= shape->dim[i] == 0;
    /* The other dimensions of an empty tensor must fit as well: code that multiplies them would overflow. */
    for (int i = 0; i < shape->rank && !bad; i++) bad = tl__mul_size(n, shape->dim[i] == 0 ? 1 : shape->dim[i], &n);
    char quoted[TL__PRINTABLE_SIZE];
    if (bad) return tl__fail(err, TL_EFORMAT, "the shape of %s is impossible", tl__printable(quoted, name, strlen(name)));
    *bytes = empty ? 0 : (size_t)n;
    return 0;
}

/* ---- filling an archive ---- */

/* Makes room for one more element of `size` bytes. */
static int grow(tl_error *err, void **array, int count, int *room, size_t size)
{
    if (count < *room) return 0;
    if (*room > 1 << 24) return tl__fail(err, TL_EFORMAT, "it holds more than %d tensors", *room);
    int more = *room ? 2 * *room : 16;
    void *larger = tl__realloc(err, *array, (size_t)more * size);
    if (!larger) return -1;
    *array = larger;
    *room = more;
    return 0;
}

int tl__archive_add(tl_error *err, tl_archive *a, const char *name, size_t name_bytes, tl_dtype dtype,
                    const tl_shape *shape, const void *data, size_t bytes)
{
    char quoted[TL__PRINTABLE_SIZE];
    if (memchr(name, 0, name_bytes) || !tl__utf8_valid(name, name_bytes))
        return tl__fail(err, TL_EFORMAT, "the name of the tensor \"%s\" is not UTF-8 text", tl__printable(quoted, name, name_bytes));
    void *entries = a->entries;
    if (grow(err, &entries, a->count, &a->own->room, sizeof *a->entries) != 0) return -1;
    a->entries = entries;
    char *copy = tl__malloc(err, name_bytes + 1);
    if (!copy) return -1;
    memcpy(copy, name, name_bytes);
    copy[name_bytes] = 0;
    a->entries[a->count++] = (tl_entry){copy, dtype, *shape, data, bytes, a->own->path};
    return 0;
}

int tl__archive_add_odd(tl_error *err, tl_archive *a, const char *name, size_t name_bytes, const char *format, ...)
{
    if (memchr(name, 0, name_bytes) || !tl__utf8_valid(name, name_bytes)) return 0;
    void *odd = a->odd;
    if (grow(err, &odd, a->odd_count, &a->own->odd_room, sizeof *a->odd) != 0) return -1;
    a->odd = odd;
    char text[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    tl_odd o = {tl__malloc(err, name_bytes + 1), NULL};
    o.why = o.name ? tl__strdup(err, text) : NULL;
    if (!o.why) {
        free(o.name);
        return -1;
    }
    memcpy(o.name, name, name_bytes);
    o.name[name_bytes] = 0;
    a->odd[a->odd_count++] = o;
    return 0;
}

const char *tl__archive_wanted(const tl_archive *a) { return a->own->wanted; }

int tl__archive_took(tl_error *err, tl_archive *a, const char *key, const char *rest)
{
    free(a->key);
    a->own->wanted = rest;
    return (a->key = tl__strdup(err, key)) ? 0 : -1;
}

/* One more text in a list. */
static int add_text(tl_error *err, char ***list, int *count, int *room, const char *text, size_t bytes)
{
    void *texts = *list;
    if (grow(err, &texts, *count, room, sizeof **list) != 0) return -1;
    *list = texts;
    char *copy = tl__asprintf(err, "%.*s", (int)bytes, text);
    if (!copy) return -1;
    (*list)[(*count)++] = copy;
    return 0;
}

int tl__archive_left(tl_error *err, tl_archive *a, const char *other, size_t bytes)
{
    if (memchr(other, 0, bytes) || !tl__utf8_valid(other, bytes)) return 0;
    return add_text(err, &a->other_keys, &a->other_count, &a->own->other_room, other, bytes < 200 ? bytes : 200);
}

int tl__archive_add_label(tl_error *err, tl_archive *a, const char *label, size_t bytes)
{
    return add_text(err, &a->labels, &a->label_count, &a->own->label_room, label, bytes);
}

void *tl__archive_buffer(tl_error *err, tl_archive *a, size_t bytes)
{
    struct tl_archive_private *own = a->own;
    if (bytes > own->budget) {
        tl__fail(err, TL_EFORMAT, "its tensors unfold into far more memory than the file has bytes");
        return NULL;
    }
    void *buffers = own->buffers;
    if (grow(err, &buffers, own->buffer_count, &own->buffer_room, sizeof *own->buffers) != 0) return NULL;
    own->buffers = buffers;
    void *p = tl__malloc(err, bytes);
    if (p) {
        own->buffers[own->buffer_count++] = p;
        own->budget -= bytes;
    }
    return p;
}

int tl__archive_add_meta(tl_error *err, tl_archive *a, const char *key, const char *value)
{
    int key_room = a->own->meta_room, value_room = key_room;
    void *keys = a->meta_keys, *values = a->meta_values;
    int bad = grow(err, &keys, a->meta_count, &key_room, sizeof *a->meta_keys);
    a->meta_keys = keys;
    bad = bad || grow(err, &values, a->meta_count, &value_room, sizeof *a->meta_values);
    a->meta_values = values;
    if (bad) return -1;
    a->own->meta_room = value_room;
    char *k = tl__strdup(err, key), *v = k ? tl__strdup(err, value) : NULL;
    if (!v) {
        free(k);
        return -1;
    }
    a->meta_keys[a->meta_count] = k;
    a->meta_values[a->meta_count++] = v;
    return 0;
}

static int compare_names(const void *x, const void *y)
{
    const tl_entry *const *a = x, *const *b = y;
    return strcmp((*a)->name, (*b)->name);
}

static int index_names(tl_error *err, tl_archive *a)
{
    const tl_entry **sorted = a->own->by_name = tl__calloc(err, (size_t)a->count, sizeof *sorted);
    if (!sorted) return -1;
    for (int i = 0; i < a->count; i++) sorted[i] = &a->entries[i];
    qsort(sorted, (size_t)a->count, sizeof *sorted, compare_names);
    for (int i = 1; i < a->count; i++) {
        char quoted[TL__PRINTABLE_SIZE];
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
            return tl__fail(err, TL_EFORMAT, "the tensor %s is there twice", tl__printable(quoted, sorted[i]->name, strlen(sorted[i]->name)));
    }
    return 0;
}

/* ---- a part of the file ---- */

/* "KEY." in front of a name. */
static int is_below(const char *name, const char *key)
{
    size_t n = strlen(key);
    return strncmp(name, key, n) == 0 && name[n] == '.' && name[n + 1];
}

/* What there is to choose from instead, some of it: the parts, else the first words of the names. */
static int no_such_part(tl_error *err, const tl_archive *a)
{
    enum { MOST = 6 };
    const char *shown[MOST];
    char list[MOST * (TL__PRINTABLE_SIZE + 2) + 1] = "", quoted[TL__PRINTABLE_SIZE];
    int count = 0, parts = a->key || a->other_count, all = parts ? a->other_count + 1 : a->count;
    size_t n = 0;
    for (int i = 0; i < all && count < MOST; i++) {
        const char *text = !parts ? a->entries[i].name : i == 0 ? a->key : a->other_keys[i - 1];
        size_t bytes = !text ? 0 : parts ? strlen(text) : strcspn(text, ".");
        int seen = !text;
        for (int k = 0; k < count; k++) seen |= strncmp(shown[k], text, bytes) == 0 && (shown[k][bytes] == 0 || shown[k][bytes] == '.');
        if (seen) continue;
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", count ? ", " : "", tl__printable(quoted, text, bytes));
        shown[count++] = text;
    }
    return tl__fail(err, TL_EARG, "there is no part \"%s\" in it%s%s", tl__printable(quoted, a->own->wanted, strlen(a->own->wanted)), count ? "; there is " : "", list);
}

/* Leaves the entries whose names begin with the wanted key, or what is left of it. */
static int keep_part(tl_error *err, tl_archive *a)
{
    const char *key = a->own->wanted;
    size_t skip = strlen(key) + 1;
    int found = 0, kept = 0;
    for (int i = 0; i < a->count; i++) found += is_below(a->entries[i].name, key);
    for (int i = 0; i < a->odd_count; i++) found += is_below(a->odd[i].name, key);
    if (!found) return no_such_part(err, a);
    for (int i = 0; i < a->count; i++) {
        tl_entry e = a->entries[i];
        if (is_below(e.name, key)) {
            memmove(e.name, e.name + skip, strlen(e.name + skip) + 1);
            a->entries[kept++] = e;
        } else {
            free(e.name);
        }
    }
    a->count = kept;
    kept = 0;
    for (int i = 0; i < a->odd_count; i++) {
        tl_odd o = a->odd[i];
        if (is_below(o.name, key)) {
            memmove(o.name, o.name + skip, strlen(o.name + skip) + 1);
            a->odd[kept++] = o;
        } else {
            free(o.name);
            free(o.why);
        }
    }
    a->odd_count = kept;
    return 0;
}

/* A file in which nothing can be read says why at once. */
static int check_content(tl_error *err, tl_archive *a, const char *wanted)
{
    char quoted[TL__PRINTABLE_SIZE];
    if (a->own->wanted && (keep_part(err, a) != 0 || tl__archive_took(err, a, wanted, NULL) != 0)) return -1;
    if (a->count || !a->odd_count) return 0;
    return tl__fail(err, TL_EFORMAT, "it holds no tensor that can be read: %s %s", tl__printable(quoted, a->odd[0].name, strlen(a->odd[0].name)), a->odd[0].why);
}

/* ---- opening ---- */

static int starts_with(const uint8_t *data, size_t bytes, const char *text)
{
    return bytes >= strlen(text) && memcmp(data, text, strlen(text)) == 0;
}

/* A safetensors file begins with the length of its header, whose bytes may look like the beginning of anything else. But
 * headers are below 4 GB, so zeros follow, and then a brace: no zip file, pickle, page or pointer has these. */
static int looks_like_safetensors(const uint8_t *d, size_t n) { return n > 8 && d[8] == '{' && !d[4] && !d[5] && !d[6] && !d[7]; }

/* A pickle begins with 0x80 and its protocol. */
static int looks_pickled(const uint8_t *d, size_t n) { return n >= 3 && d[0] == 0x80 && d[1] >= 2 && d[1] <= 5 && d[2] != 0; }

static int read_any(tl_error *err, tl_archive *a, const uint8_t *d, size_t n)
{
    if (n == 0) return tl__fail(err, TL_EFORMAT, "the file is empty; fetch it again");
    if (looks_like_safetensors(d, n)) return tl__read_safetensors(err, a, d, n);
    if (tl__looks_like_npy(d, n)) return tl__read_npy(err, a, d, n);
    if (tl__looks_like_npz(d, n)) return tl__read_npz(err, a, d, n);
    if (starts_with(d, n, "PK\3\4")) return tl__read_torch_zip(err, a, d, n);
    if (looks_pickled(d, n)) return tl__read_torch_legacy(err, a, d, n);
    if (starts_with(d, n, "version https://git-lfs"))
        return tl__fail(err, TL_EFORMAT, "this is a Git LFS pointer, not the weights; run `git lfs pull` or fetch the file itself");
    if (n > 8 && d[8] == '{') return tl__read_safetensors(err, a, d, n);
    if (d[0] == '<') return tl__fail(err, TL_EFORMAT, "this is a web page, not weights; the download went wrong, fetch it again");
    if (n <= 8) return tl__fail(err, TL_EFORMAT, "the file has only %zu bytes; it is cut short, fetch it again", n);
    return tl__fail(err, TL_EFORMAT, "neither a safetensors file nor one of torch.save; give a .safetensors, .pth, "
                    ".pt, .bin, .npy or .npz file (a network in an ONNX file is called .onnx)");
}

static tl_archive *new_archive(tl_error *err, const char *path, const uint8_t *data, size_t bytes)
{
    tl_archive *a = tl__calloc(err, 1, sizeof *a);
    struct tl_archive_private *own = a ? tl__calloc(err, 1, sizeof *own) : NULL;
    if (!own || (own->path = tl__strdup(err, path)) == NULL) {
        free(own);
        free(a);
        return NULL;
    }
    /* A tensor that is a transposed or broadcast view is copied out. A honest file needs about its own
     * size for that; a dishonest one asks for a terabyte made of one element with stride 0. NumPy's compressed
     * arrays are masks often, which pack well. */
    own->budget = bytes > SIZE_MAX / 128 ? SIZE_MAX : (data && tl__looks_like_npz(data, bytes) ? 64 : 4) * bytes + ((size_t)64 << 20);
    a->own = own;
    return a;
}

tl_archive *tl__archive_read_memory(tl_error *err, const char *path, const char *key, const void *data, size_t bytes)
{
    tl_error inner = {0};
    tl_archive *a = new_archive(&inner, path, data, bytes);
    if (a) a->own->wanted = key;
    if (a && (read_any(&inner, a, data, bytes) != 0 || check_content(&inner, a, key) != 0 || index_names(&inner, a) != 0)) {
        tl__archive_free(a);
        a = NULL;
    }
    if (a) a->own->wanted = NULL;
    if (!a) tl__fail(err, inner.code, "%s: %s", path, inner.text);
    return a;
}

tl_archive *tl__archive_read(tl_error *err, const char *path) { return tl__archive_read_part(err, path, NULL); }

tl_archive *tl__archive_read_part(tl_error *err, const char *path, const char *key)
{
    void *map;
    size_t bytes;
    if (tl__map_file(err, path, "a file of weights", &map, &bytes) != 0) return NULL;
    tl_archive *a = tl__archive_read_memory(err, path, key, map, bytes);
    if (a) {
        a->own->map = map;
        a->own->map_bytes = bytes;
    } else if (map) {
        tl__unmap_file(map, bytes);
    }
    return a;
}

void tl__archive_free(tl_archive *a)
{
    if (!a) return;
    for (int i = 0; i < a->count; i++) free(a->entries[i].name);
    for (int i = 0; i < a->meta_count; i++) {
        free(a->meta_keys[i]);
        free(a->meta_values[i]);
    }
    for (int i = 0; i < a->odd_count; i++) {
        free(a->odd[i].name);
        free(a->odd[i].why);
    }
    for (int i = 0; i < a->other_count; i++) free(a->other_keys[i]);
    for (int i = 0; i < a->label_count; i++) free(a->labels[i]);
    for (int i = 0; i < a->own->buffer_count; i++) free(a->own->buffers[i]);
    tl__unmap_file(a->own->map, a->own->map_bytes);
    free(a->own->buffers);
    free(a->own->by_name);
    free(a->own->path);
    free(a->own);
    free(a->entries);
    free(a->odd);
    free(a->key);
    free(a->other_keys);
    free(a->labels);
    free(a->meta_keys);
    free(a->meta_values);
    free(a);
}

/* ---- asking ---- */

const tl_entry *tl__archive_find(const tl_archive *a, const char *name)
{
    int low = 0, high = a->count;
    while (low < high) {
        int middle = low + (high - low) / 2, order = strcmp(name, a->own->by_name[middle]->name);
        if (order == 0) return a->own->by_name[middle];
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

const char *tl__archive_odd(const tl_archive *a, const char *name)
{
    for (int i = 0; i < a->odd_count; i++)
        if (strcmp(a->odd[i].name, name) == 0) return a->odd[i].why;
    return NULL;
}

const char *tl__archive_meta(const tl_archive *a, const char *key)
{
    for (int i = 0; i < a->meta_count; i++)
        if (strcmp(a->meta_keys[i], key) == 0) return a->meta_values[i];
    return NULL;
}
