/* safetensors.c - the format that tlua writes, and reads first: eight bytes with the length of a JSON
 * header, the header, and the tensors one after the other. The header may lie about everything, so
 * its claims are held against the true size of the file before any is used. The format is described
 * at github.com/huggingface/safetensors. */
#include "io/format.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER = 100 * 1000 * 1000, MAX_NODES = 4 * 1000 * 1000, MAX_META = 10000 };

static const struct { const char *name; tl_dtype dtype; } dtypes[] = {
    {"F64", TL_F64}, {"F32", TL_F32}, {"F16", TL_F16}, {"BF16", TL_BF16}, {"I64", TL_I64},
    {"I32", TL_I32}, {"I16", TL_I16}, {"I8", TL_I8}, {"U8", TL_U8}, {"BOOL", TL_BOOL},
};

/* ---- reading ---- */

/* The place of a tensor in the data. */
typedef struct span { const char *name; int64_t begin, end; } span;

/* cJSON turns \u0000 into the end of a string and makes a node of 64 bytes from two bytes of text, so
 * both are looked for before it sees the header. */
static int scan_header(tl_error *err, const char *text, size_t bytes)
{
    if (!tl__utf8_valid(text, bytes) || memchr(text, 0, bytes)) return tl__fail(err, TL_EFORMAT, "the safetensors header is not UTF-8 text");
    long nodes = 0;
    int quoted = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (quoted && text[i] == '\\') {
            i++;
            if (bytes - i >= 5 && memcmp(text + i, "u0000", 5) == 0)
                return tl__fail(err, TL_EFORMAT, "the safetensors header has a zero character in a string");
        } else if (text[i] == '"') {
            quoted = !quoted;
        } else if (!quoted && strchr(",[{:", text[i])) {
            nodes++;
        }
    }
    if (nodes > MAX_NODES) return tl__fail(err, TL_EFORMAT, "the safetensors header has %ld values, which is too many", nodes);
    return 0;
}

/* The header as JSON, freed with cJSON_Delete. cJSON wants its text to end with a zero (older versions
 * read past the end otherwise), so it gets a copy. */
static cJSON *parse_header(tl_error *err, const uint8_t *data, size_t bytes)
{
    if (scan_header(err, (const char *)data, bytes) != 0) return NULL;
    char *text = tl__malloc(err, bytes + 1);
    if (!text) return NULL;
    memcpy(text, data, bytes);
    text[bytes] = 0;
    locale_t before = tl__point_begin();
    cJSON *json = cJSON_ParseWithLengthOpts(text, bytes + 1, NULL, 1);
    tl__point_end(before);
    free(text);
    if (!json) tl__fail(err, TL_EFORMAT, "the safetensors header is not JSON");
    return json;
}

/* A whole number of 0 or more; doubles hold them up to 2^53, far above any file. */
static int whole(const cJSON *json, int64_t *out)
{
    if (!cJSON_IsNumber(json) || !(json->valuedouble >= 0) || json->valuedouble > 9007199254740992.0) return -1;
    *out = (int64_t)json->valuedouble;
    return (double)*out == json->valuedouble ? 0 : -1;
}

/* The shape as far as TL_MAX_RANK; *rank is how many dimensions there are in truth. */
static int read_shape(tl_error *err, const char *name, const cJSON *json, tl_shape *shape, int *rank)
{
    *shape = (tl_shape){0};
    *rank = 0;
    int bad = !cJSON_IsArray(json);
    const cJSON *item = bad ? NULL : json->child;
    for (; item && !bad; item = item->next) {
        int64_t n;
        bad = whole(item, &n);
        if ((*rank)++ < TL_MAX_RANK && !bad) shape->dim[shape->rank++] = n;
    }
    return bad ? tl__fail(err, TL_EFORMAT, "the shape of the tensor %s is not a list of whole numbers", name) : 0;
}

/* Whether tlua knows the type. */
static int read_dtype(const char *text, tl_dtype *dtype)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(text, dtypes[i].name) == 0) {
            *dtype = dtypes[i].dtype;
            return 1;
        }
    }
    return 0;
}

/* Where the bytes of the tensor stand. */
static int read_range(tl_error *err, const char *name, const cJSON *offsets, size_t bytes, span *s)
{
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 || whole(offsets->child, &s->begin) != 0 ||
        whole(offsets->child->next, &s->end) != 0 || s->begin > s->end)
        return tl__fail(err, TL_EFORMAT, "the data_offsets of the tensor %s are not a range", name);
    if ((uint64_t)s->end > bytes)
        return tl__fail(err, TL_EFORMAT, "the tensor %s should end at byte %lld of the data, but the file has only %zu; it is cut short, fetch it again",
                        name, (long long)s->end, bytes);
    return 0;
}

/* A type or a rank that tlua does not have is told to who asks for the tensor; all else must be right. */
static int read_tensor(tl_error *err, tl_archive *a, const cJSON *json, const uint8_t *data, size_t bytes, span *s)
{
    char quoted[TL__PRINTABLE_SIZE], type[TL__PRINTABLE_SIZE];
    const char *name = tl__printable(quoted, json->string, strlen(json->string));
    const cJSON *dtype_json = cJSON_GetObjectItemCaseSensitive(json, "dtype"), *shape_json = cJSON_GetObjectItemCaseSensitive(json, "shape");
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(json, "data_offsets");
    if (!cJSON_IsObject(json) || cJSON_GetArraySize(json) != 3 || !dtype_json || !shape_json || !offsets)
        return tl__fail(err, TL_EFORMAT, "the tensor %s must have dtype, shape and data_offsets and nothing else", name);
    tl_dtype dtype = TL_F32;
    tl_shape shape;
    size_t need;
    int rank;
    s->name = json->string;
    if (!cJSON_IsString(dtype_json)) return tl__fail(err, TL_EFORMAT, "the type of the tensor %s is not a text", name);
    if (read_shape(err, name, shape_json, &shape, &rank) != 0 || read_range(err, name, offsets, bytes, s) != 0) return -1;
    if (!read_dtype(dtype_json->valuestring, &dtype))
        return tl__archive_add_odd(err, a, json->string, strlen(json->string), "has the type %s, which tlua does not read; convert it to F32 or F16",
                                   tl__printable(type, dtype_json->valuestring, strlen(dtype_json->valuestring)));
    if (rank > TL_MAX_RANK)
        return tl__archive_add_odd(err, a, json->string, strlen(json->string), "has %d dimensions, and tlua has at most %d", rank, TL_MAX_RANK);
    if (tl__shape_bytes(err, json->string, &shape, dtype, &need) != 0) return -1;
    if ((uint64_t)(s->end - s->begin) != need)
        return tl__fail(err, TL_EFORMAT, "the tensor %s needs %zu bytes for its shape, but its data_offsets give it %lld", name, need, (long long)(s->end - s->begin));
    return tl__archive_add(err, a, json->string, strlen(json->string), dtype, &shape, data + s->begin, need);
}

/* null stands for none: some writers have no other way to say so. */
static int read_metadata(tl_error *err, tl_archive *a, const cJSON *json)
{
    char quoted[TL__PRINTABLE_SIZE];
    if (cJSON_IsNull(json)) return 0;
    if (!cJSON_IsObject(json)) return tl__fail(err, TL_EFORMAT, "its __metadata__ is not an object");
    for (const cJSON *item = json->child; item; item = item->next) {
        const char *name = tl__printable(quoted, item->string, strlen(item->string));
        if (!cJSON_IsString(item)) return tl__fail(err, TL_EFORMAT, "the metadata %s is not text", name);
        if (a->meta_count == MAX_META) return tl__fail(err, TL_EFORMAT, "it has more than %d keys of metadata", MAX_META);
        if (tl__archive_meta(a, item->string)) return tl__fail(err, TL_EFORMAT, "the metadata %s is there twice", name);
        if (tl__archive_add_meta(err, a, item->string, item->valuestring) != 0) return -1;
    }
    return 0;
}

static int compare_places(const void *x, const void *y)
{
    const span *a = x, *b = y;
    return a->begin != b->begin ? (a->begin > b->begin) - (a->begin < b->begin) : (a->end > b->end) - (a->end < b->end);
}

/* The tensors must cover the data from end to end: a hole could hide something and an overlap is a lie. */
static int check_cover(tl_error *err, span *spans, size_t count, size_t bytes)
{
    qsort(spans, count, sizeof *spans, compare_places);
    int64_t expected = 0;
    for (size_t i = 0; i < count; i++) {
        char quoted[TL__PRINTABLE_SIZE];
        if (spans[i].begin != expected)
            return tl__fail(err, TL_EFORMAT, "the tensor %s %s", tl__printable(quoted, spans[i].name, strlen(spans[i].name)),
                            spans[i].begin < expected ? "overlaps another one" : "leaves a hole before it");
        expected = spans[i].end;
    }
    if ((uint64_t)expected != bytes)
        return tl__fail(err, TL_EFORMAT, "%zu bytes behind the last tensor belong to none", bytes - (size_t)expected);
    return 0;
}

/* Everything in the header; the names in `spans` belong to it. */
static int read_items(tl_error *err, tl_archive *a, const cJSON *json, const uint8_t *data, size_t bytes)
{
    size_t count = 0;
    span *spans = tl__calloc(err, (size_t)cJSON_GetArraySize(json), sizeof *spans);
    int bad = !spans, seen = 0;
    for (const cJSON *item = bad ? NULL : json->child; item && !bad; item = item->next) {
        if (strcmp(item->string, "__metadata__") != 0) bad = read_tensor(err, a, item, data, bytes, &spans[count++]);
        else if (seen++) bad = tl__fail(err, TL_EFORMAT, "__metadata__ is there twice");
        else bad = read_metadata(err, a, item);
    }
    if (!bad) bad = check_cover(err, spans, count, bytes);
    free(spans);
    return bad;
}

int tl__read_safetensors(tl_error *err, tl_archive *a, const uint8_t *data, size_t bytes)
{
    uint64_t header = tl__le64(data);
    if (header > MAX_HEADER) return tl__fail(err, TL_EFORMAT, "its header claims %llu bytes, more than the 100 MB that safetensors allows", (unsigned long long)header);
    if (header > bytes - 8)
        return tl__fail(err, TL_EFORMAT, "its header claims %llu bytes, but the file has only %zu; it is cut short, fetch it again", (unsigned long long)header, bytes);
    cJSON *json = parse_header(err, data + 8, (size_t)header);
    if (!json) return -1;
    int bad = cJSON_IsObject(json) ? read_items(err, a, json, data + 8 + header, bytes - 8 - (size_t)header)
                                   : tl__fail(err, TL_EFORMAT, "the safetensors header is not an object");
    cJSON_Delete(json);
    return bad ? -1 : 0;
}

/* ---- writing ---- */

typedef struct text { tl_error *err; char *at; size_t n, room; int bad; } text;

static void put(text *t, const char *s, size_t n)
{
    if (!t->bad && t->n + n > t->room) {
        size_t room = 2 * t->room + n + 256;
        char *larger = tl__realloc(t->err, t->at, room);
        t->bad = larger == NULL;
        if (larger) {
            t->at = larger;
            t->room = room;
        }
    }
    if (t->bad) return;
    memcpy(t->at + t->n, s, n);
    t->n += n;
}

static void puts_text(text *t, const char *s) { put(t, s, strlen(s)); }

static void put_number(text *t, uint64_t x)
{
    char digits[24];
    put(t, digits, (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)x));
}

static void put_string(text *t, const char *s)
{
    if (!tl__utf8_valid(s, strlen(s))) {
        char quoted[TL__PRINTABLE_SIZE];
        t->bad |= tl__fail(t->err, TL_EARG, "\"%s\" is not UTF-8 text", tl__printable(quoted, s, strlen(s)));
    }
    puts_text(t, "\"");
    for (; *s; s++) {
        char escape[8];
        if (*s == '"' || *s == '\\') put(t, escape, (size_t)snprintf(escape, sizeof escape, "\\%c", *s));
        else if ((unsigned char)*s < 32) put(t, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", (unsigned)*s));
        else put(t, s, 1);
    }
    puts_text(t, "\"");
}

static void put_metadata(text *t, const char *const *keys, const char *const *values, int count)
{
    puts_text(t, "\"__metadata__\":{");
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < i; j++)
            if (strcmp(keys[i], keys[j]) == 0) t->bad |= tl__fail(t->err, TL_EARG, "the metadata %s is given twice", keys[i]);
        if (i) puts_text(t, ",");
        put_string(t, keys[i]);
        puts_text(t, ":");
        put_string(t, values[i]);
    }
    puts_text(t, "}");
}

static void put_tensor(text *t, const tl_entry *e, uint64_t at)
{
    put_string(t, e->name);
    puts_text(t, ":{\"dtype\":\"");
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (dtypes[i].dtype == e->dtype) puts_text(t, dtypes[i].name);
    puts_text(t, "\",\"shape\":[");
    for (int i = 0; i < e->shape.rank; i++) {
        if (i) puts_text(t, ",");
        put_number(t, (uint64_t)e->shape.dim[i]);
    }
    puts_text(t, "],\"data_offsets\":[");
    put_number(t, at);
    puts_text(t, ",");
    put_number(t, at + e->bytes);
    puts_text(t, "]}");
}

static int compare_names(const void *x, const void *y)
{
    return strcmp((*(const tl_entry *const *)x)->name, (*(const tl_entry *const *)y)->name);
}

static int compare_widths(const void *x, const void *y)
{
    size_t a = tl__dtype_size((*(const tl_entry *const *)x)->dtype), b = tl__dtype_size((*(const tl_entry *const *)y)->dtype);
    return a != b ? (a < b) - (a > b) : compare_names(x, y);
}

/* The entries in the order of the file, checked; the caller frees the array. */
static const tl_entry **arrange(tl_error *err, const tl_entry *entries, int count)
{
    const tl_entry **sorted = tl__calloc(err, (size_t)count, sizeof *sorted);
    int bad = !sorted;
    for (int i = 0; i < count && !bad; i++) {
        size_t need;
        sorted[i] = &entries[i];
        bad = tl__shape_bytes(err, entries[i].name, &entries[i].shape, entries[i].dtype, &need);
        if (!bad && need != entries[i].bytes)
            bad = tl__fail(err, TL_EARG, "the tensor %s has %zu bytes where its shape needs %zu", entries[i].name, entries[i].bytes, need);
        if (!bad && strcmp(entries[i].name, "__metadata__") == 0) bad = tl__fail(err, TL_EARG, "a tensor cannot have the name __metadata__");
    }
    if (!bad) qsort(sorted, (size_t)count, sizeof *sorted, compare_names);
    for (int i = 1; i < count && !bad; i++)
        if (strcmp(sorted[i]->name, sorted[i - 1]->name) == 0) bad = tl__fail(err, TL_EARG, "the tensor %s is given twice", sorted[i]->name);
    if (!bad) qsort(sorted, (size_t)count, sizeof *sorted, compare_widths);
    if (!bad) return sorted;
    free(sorted);
    return NULL;
}

/* Eight bytes of length, the header padded with spaces to a multiple of eight, and the data. */
static int write_parts(tl_error *err, const char *path, const text *header, const tl_entry *const *sorted, int count)
{
    uint8_t length[8];
    for (int i = 0; i < 8; i++) length[i] = (uint8_t)((uint64_t)header->n >> 8 * i);
    tl_atomic_file file;
    if (tl__atomic_open(err, &file, path) != 0) return -1;
    int bad = tl__atomic_write(err, &file, length, 8) || tl__atomic_write(err, &file, header->at, header->n);
    for (int i = 0; i < count && !bad; i++) bad = tl__atomic_write(err, &file, sorted[i]->data, sorted[i]->bytes);
    if (!bad) return tl__atomic_commit(err, &file);
    tl__atomic_abort(&file);
    return -1;
}

int tl__safetensors_write(tl_error *err, const char *path, const tl_entry *entries, int count,
                          const char *const *meta_keys, const char *const *meta_values, int meta_count)
{
    tl_error inner = {0};
    const tl_entry **sorted = arrange(&inner, entries, count);
    text header = {.err = &inner, .bad = sorted == NULL};
    puts_text(&header, "{");
    if (meta_count) put_metadata(&header, meta_keys, meta_values, meta_count);
    uint64_t at = 0;
    for (int i = 0; i < count && !header.bad; i++) {
        if (i || meta_count) puts_text(&header, ",");
        put_tensor(&header, sorted[i], at);
        at += sorted[i]->bytes;
    }
    puts_text(&header, "}");
    while (!header.bad && header.n % 8) puts_text(&header, " ");
    if (!header.bad && header.n > MAX_HEADER)
        header.bad = tl__fail(&inner, TL_EARG, "names and metadata take %zu bytes, more than the 100 MB that safetensors allows", header.n);
    int bad = header.bad ? tl__fail(err, inner.code, "%s: %s", path, inner.text) : write_parts(err, path, &header, sorted, count);
    free(sorted);
    free(header.at);
    return bad ? -1 : 0;
}
