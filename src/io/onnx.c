/* onnx.c - opening an .onnx file: everything in it that has a size is checked here, once; files that hold numbers
 * beside it are mapped. */
#include "io/format.h"
#include "io/onnx.h"

#include <stdlib.h>
#include <string.h>

/* A file beside the model, by the name that the model has for it. */
typedef struct beside {
    char *location;
    void *map;
    size_t bytes;
} beside;

struct tl_onnx_private {
    char *path, *folder; /* the folder as realpath has it; NULL until something beside the file is wanted */
    void *map;
    size_t map_bytes;
    tl_unpacking memory;
    beside *beside;
    int beside_count, beside_room;
};

enum { MOST_FILES = 4096, MOST_MESSAGES = 4000000, DEEPEST = 4 * TL__ONNX_GRAPHS };
/* What nodes and names may take as structures, beside twice the file's own size. */
#define ROOM ((size_t)128 << 20)

/* ---- numbers that lie in other files ---- */

/* A whole number as a text; -1 where it is none. */
static int64_t whole(const char *text)
{
    int64_t v = 0;
    if (!text || !*text) return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || v > (INT64_MAX - 9) / 10) return -1;
        v = 10 * v + (*text - '0');
    }
    return v;
}

static const char *external(const Onnx__TensorProto *t, const char *key)
{
    for (size_t i = 0; i < t->n_external_data; i++)
        if (t->external_data[i]->key && strcmp(t->external_data[i]->key, key) == 0) return t->external_data[i]->value;
    return NULL;
}

/* Absolute, or with a ".." in it? */
static int leaves(const char *location)
{
    if (*location == '/') return 1;
    for (const char *p = location; *p; p += strcspn(p, "/"), p += *p == '/')
        if (strncmp(p, "..", 2) == 0 && (p[2] == 0 || p[2] == '/')) return 1;
    return 0;
}

/* The path of the folder that the model lies in, without links. */
static int find_folder(tl_error *err, struct tl_onnx_private *own)
{
    if (own->folder) return 0;
    const char *slash = strrchr(own->path, '/');
    char *name = slash ? tl__asprintf(err, "%.*s", (int)(slash - own->path + 1), own->path) : tl__strdup(err, ".");
    if (name) own->folder = realpath(name, NULL);
    free(name);
    return own->folder ? 0 : tl__fail(err, TL_EIO, "its folder cannot be found");
}

/* Opens the file of that name in the model's folder, which no link may lead out of. */
static int open_beside(tl_error *err, struct tl_onnx_private *own, const char *location, beside *b)
{
    char quoted[TL__PRINTABLE_SIZE];
    tl__printable(quoted, location, strlen(location));
    if (!*location || leaves(location))
        return tl__fail(err, TL_EFORMAT,
                        "its numbers are said to be in \"%s\", which is not in the folder of the model; files "
                        "elsewhere are not opened",
                        quoted);
    if (find_folder(err, own) != 0) return -1;
    size_t n = strlen(own->folder);
    char *name = tl__asprintf(err, "%s/%s", own->folder, location), *real = name ? realpath(name, NULL) : NULL;
    int bad = !name ? -1 : 0;
    if (name && !real)
        bad = tl__fail(err, TL_EIO,
                       "its numbers are in the file \"%s\" beside the model, which is missing; fetch it too", quoted);
    if (real && (strncmp(real, own->folder, n) != 0 || (real[n] != '/' && n > 1)))
        bad = tl__fail(
            err, TL_EFORMAT,
            "its numbers are in \"%s\", a link that leaves the folder of the model; put the file itself there", quoted);
    if (!bad) bad = tl__map_file(err, real, "the file that the model wants", &b->map, &b->bytes);
    free(name);
    free(real);
    if (!bad && !(b->location = tl__strdup(err, location))) {
        tl__unmap_file(b->map, b->bytes);
        bad = -1;
    }
    return bad;
}

static const beside *find_beside(tl_error *err, struct tl_onnx_private *own, const char *location)
{
    for (int i = own->beside_count - 1; i >= 0; i--)
        if (strcmp(own->beside[i].location, location) == 0) return &own->beside[i];
    if (own->beside_count == own->beside_room) {
        int more = own->beside_room ? 2 * own->beside_room : 4;
        beside *larger = more > MOST_FILES ? NULL : tl__realloc(err, own->beside, (size_t)more * sizeof *larger);
        if (!larger) {
            tl__fail(err, TL_EFORMAT, "its numbers are in more than %d files", MOST_FILES / 2);
            return NULL;
        }
        own->beside = larger;
        own->beside_room = more;
    }
    beside *b = &own->beside[own->beside_count];
    *b = (beside){0};
    if (open_beside(err, own, location, b) != 0) return NULL;
    own->beside_count++;
    return b;
}

static int external_values(tl_error *err, const tl_onnx *o, tl_onnx_values *v)
{
    const char *location = external(v->t, "location"), *offset = external(v->t, "offset"),
               *length = external(v->t, "length");
    if (!location) return tl__fail(err, TL_EFORMAT, "its numbers are in another file, but not said in which");
    const beside *b = find_beside(err, o->own, location);
    if (!b) return -1;
    int64_t from = offset && *offset ? whole(offset) : 0, bytes = length && *length ? whole(length) : (int64_t)v->bytes;
    if (from < 0 || bytes < 0) return tl__fail(err, TL_EFORMAT, "where its numbers lie in the other file is no number");
    if ((uint64_t)bytes != v->bytes)
        return tl__fail(err, TL_EFORMAT, "its numbers take %zu bytes, %lld are said to be in the other file", v->bytes,
                        (long long)bytes);
    if ((uint64_t)from > b->bytes || (uint64_t)bytes > b->bytes - (uint64_t)from) {
        char quoted[TL__PRINTABLE_SIZE];
        return tl__fail(
            err, TL_EFORMAT,
            "its numbers are bytes %lld to %lld of \"%s\", which has %zu; that is cut short or another file",
            (long long)from, (long long)(from + bytes), tl__printable(quoted, location, strlen(location)), b->bytes);
    }
    v->raw = (const uint8_t *)b->map + from;
    return 0;
}

/* ---- tensors ---- */

static int wrong_count(tl_error *err, const tl_onnx_values *v, size_t there)
{
    return tl__fail(err, TL_EFORMAT, "its shape wants %lld numbers, %zu are there", (long long)v->count, there);
}

/* Numbers in one of the lists, of which the type says which. */
static int listed_values(tl_error *err, tl_onnx_values *v)
{
    const Onnx__TensorProto *t = v->t;
    size_t n = 0, width = 4, each = v->type->kind == 'c' ? 2 : 1;
    const void *list = t->int32_data;
    int32_t type = t->data_type;
    if (type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT || type == ONNX__TENSOR_PROTO__DATA_TYPE__COMPLEX64)
        list = t->float_data, n = t->n_float_data;
    else if (v->type->kind == 'f' && v->type->bits == 64) list = t->double_data, n = t->n_double_data, width = 8;
    else if (v->type->kind == 'c') list = t->double_data, n = t->n_double_data, width = 8;
    else if (type == ONNX__TENSOR_PROTO__DATA_TYPE__INT64) list = t->int64_data, n = t->n_int64_data, width = 8;
    else if (v->type->kind == 'u' && v->type->bits >= 32) list = t->uint64_data, n = t->n_uint64_data, width = 8;
    else n = t->n_int32_data;
    size_t wanted = v->type->bits < 8 ? v->bytes : (size_t)v->count * each;
    if (n != wanted) return wrong_count(err, v, n / each);
    v->raw = list;
    v->stride = width * each;
    return 0;
}

/* Elements of the shape, and the bytes that they take; what is not to be multiplied is refused. */
static int measure(tl_error *err, tl_onnx_values *v)
{
    const Onnx__TensorProto *t = v->t;
    int64_t bits = v->type->bits ? v->type->bits : 8, all = bits, empty = 0;
    int bad = 0;
    for (size_t i = 0; i < t->n_dims && !bad; i++) {
        empty |= t->dims[i] == 0;
        bad = tl__mul_size(all, t->dims[i] == 0 ? 1 : t->dims[i], &all);
    }
    if (bad || all > INT64_MAX - 7) return tl__fail(err, TL_EFORMAT, "its shape is impossible");
    v->count = empty ? 0 : all / bits;
    v->bytes = empty ? 0 : (size_t)((all + 7) / 8);
    return 0;
}

int tl__onnx_values(tl_error *err, const tl_onnx *o, const Onnx__TensorProto *t, tl_onnx_values *v)
{
    *v = (tl_onnx_values){.t = t, .type = tl__onnx_type(t->data_type)};
    if (!v->type)
        return tl__fail(err, TL_EFORMAT, "its elements are of type %d, which ONNX has not", (int)t->data_type);
    if (t->segment) return tl__fail(err, TL_EFORMAT, "is one of several segments, which is not read");
    if (measure(err, v) != 0) return -1;
    v->stride = v->type->bits < 8 ? 1 : (size_t)v->type->bits / 8;
    if (v->type->kind == 's') return (size_t)v->count == t->n_string_data ? 0 : wrong_count(err, v, t->n_string_data);
    if (t->has_data_location && t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
        return external_values(err, o, v);
    if (!t->has_raw_data || (t->raw_data.len == 0 && v->bytes)) return listed_values(err, v);
    if (t->raw_data.len != v->bytes)
        return tl__fail(err, TL_EFORMAT, "its numbers take %zu bytes, %zu are there", v->bytes, t->raw_data.len);
    v->raw = t->raw_data.data;
    return 0;
}

/* ---- looking at the whole ---- */

static int check_tensor(tl_error *err, const tl_onnx *o, const Onnx__TensorProto *t, const char *role, const char *name)
{
    tl_onnx_values v;
    char quoted[TL__PRINTABLE_SIZE];
    if (!t || !tl__onnx_type(t->data_type) || tl__onnx_values(err, o, t, &v) == 0)
        return 0; /* a type of the future fails when it is asked for */
    const char *said = t->name && *t->name ? t->name : name ? name : "";
    tl__error_prefix(err, "%s '%s': ", role, tl__printable(quoted, said, strlen(said)));
    return -1;
}

static int check_nodes(tl_error *err, const tl_onnx *o, Onnx__NodeProto *const *nodes, size_t count, int depth);

static int check_graph(tl_error *err, const tl_onnx *o, const Onnx__GraphProto *g, int depth)
{
    if (depth > TL__ONNX_GRAPHS)
        return tl__fail(err, TL_EFORMAT, "graphs lie within graphs more than %d deep", TL__ONNX_GRAPHS);
    for (size_t i = 0; i < g->n_initializer; i++)
        if (check_tensor(err, o, g->initializer[i], "tensor", NULL) != 0) return -1;
    return check_nodes(err, o, g->node, g->n_node, depth);
}

static int check_nodes(tl_error *err, const tl_onnx *o, Onnx__NodeProto *const *nodes, size_t count, int depth)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < nodes[i]->n_attribute; k++) {
            const Onnx__AttributeProto *a = nodes[i]->attribute[k];
            int bad = check_tensor(err, o, a->t, "a tensor of node", nodes[i]->name);
            for (size_t j = 0; j < a->n_tensors && !bad; j++)
                bad = check_tensor(err, o, a->tensors[j], "a tensor of node", nodes[i]->name);
            if (a->g && !bad) bad = check_graph(err, o, a->g, depth + 1);
            for (size_t j = 0; j < a->n_graphs && !bad; j++) bad = check_graph(err, o, a->graphs[j], depth + 1);
            if (bad) return -1;
        }
    return 0;
}

static int check(tl_error *err, const tl_onnx *o)
{
    const Onnx__ModelProto *m = o->model;
    if (!m->graph) return tl__fail(err, TL_EFORMAT, "holds no graph; give an .onnx file");
    if (check_graph(err, o, m->graph, 1) != 0) return -1;
    for (size_t i = 0; i < m->n_functions; i++)
        if (check_nodes(err, o, m->functions[i]->node, m->functions[i]->n_node, 1) != 0) return -1;
    return 0;
}

/* ---- opening ---- */

static int starts_with(const uint8_t *d, size_t n, const char *text)
{
    return n >= strlen(text) && memcmp(d, text, strlen(text)) == 0;
}

/* What is something else says so in the words of that. */
static int looks_wrong(tl_error *err, const uint8_t *d, size_t n)
{
    if (n == 0) return tl__fail(err, TL_EFORMAT, "the file is empty; fetch it again");
    if (starts_with(d, n, "version https://git-lfs"))
        return tl__fail(err, TL_EFORMAT,
                        "this is a Git LFS pointer, not the model; run `git lfs pull` or fetch the file itself");
    if (starts_with(d, n, "PK\3\4"))
        return tl__fail(err, TL_EFORMAT, "this is a zip file, not an .onnx file; unpack it first");
    if (d[0] == '<')
        return tl__fail(err, TL_EFORMAT, "this is a web page, not a model; the download went wrong, fetch it again");
    return 0;
}

static int read_model(tl_error *err, tl_onnx *o, const uint8_t *data, size_t bytes)
{
    if (looks_wrong(err, data, bytes) != 0) return -1;
    o->own->memory = (tl_unpacking){
        .bytes = bytes > SIZE_MAX / 4 ? SIZE_MAX : 2 * bytes + ROOM, .messages = MOST_MESSAGES, .deepest = DEEPEST};
    o->model =
        (const Onnx__ModelProto *)tl__unpack_message(err, &o->own->memory, &onnx__model_proto__descriptor, data, bytes);
    return o->model ? check(err, o) : -1;
}

tl_onnx *tl__onnx_open_memory(tl_error *err, const char *path, const void *data, size_t bytes)
{
    tl_error inner = {0};
    tl_onnx *o = tl__calloc(&inner, 1, sizeof *o);
    if (o && (o->own = tl__calloc(&inner, 1, sizeof *o->own)) == NULL) {
        free(o);
        o = NULL;
    }
    if (o && ((o->own->path = tl__strdup(&inner, path)) == NULL || read_model(&inner, o, data, bytes) != 0)) {
        tl__onnx_free(o);
        o = NULL;
    }
    if (!o) tl__fail(err, inner.code, "%s: %s", path, inner.text);
    return o;
}

tl_onnx *tl__onnx_open(tl_error *err, const char *path)
{
    void *map;
    size_t bytes;
    if (tl__map_file(err, path, "an .onnx file", &map, &bytes) != 0) return NULL;
    tl_onnx *o = tl__onnx_open_memory(err, path, map, bytes);
    if (o) {
        o->own->map = map;
        o->own->map_bytes = bytes;
    } else {
        tl__unmap_file(map, bytes);
    }
    return o;
}

void tl__onnx_free(tl_onnx *o)
{
    if (!o) return;
    tl__unpacking_free(&o->own->memory);
    for (int i = 0; i < o->own->beside_count; i++) {
        free(o->own->beside[i].location);
        tl__unmap_file(o->own->beside[i].map, o->own->beside[i].bytes);
    }
    tl__unmap_file(o->own->map, o->own->map_bytes);
    free(o->own->beside);
    free(o->own->folder);
    free(o->own->path);
    free(o->own);
    free(o);
}

const ProtobufCMessage *tl__onnx_newer(tl_error *err, tl_onnx *o, const ProtobufCMessage *m, uint32_t tag, int i,
                                       const ProtobufCMessageDescriptor *kind)
{
    for (unsigned k = 0; k < m->n_unknown_fields; k++) {
        const ProtobufCMessageUnknownField *f = &m->unknown_fields[k];
        if (f->tag == tag && i-- == 0) return tl__unpack_message(err, &o->own->memory, kind, f->data, f->len);
    }
    return NULL;
}
