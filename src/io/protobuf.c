/* protobuf.c - unpacking by descriptors. Each message is walked twice: once to count the elements of its lists, once to
 * store them. */
#include "io/protobuf.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* ---- memory ---- */

typedef struct tl_block {
    struct tl_block *before;
    size_t used, size;
    max_align_t memory[];
} tl_block;

enum { BLOCK = 64 << 10, MOST_FIELDS = 32 };

void *tl__unpacking_take(tl_error *err, tl_unpacking *u, size_t bytes)
{
    size_t align = _Alignof(max_align_t);
    if (bytes > u->bytes || bytes > SIZE_MAX / 2) {
        tl__fail(err, TL_EFORMAT, "what it describes takes far more memory than the file has bytes");
        return NULL;
    }
    bytes = (bytes + align - 1) / align * align;
    tl_block *b = u->block;
    if (!b || b->size - b->used < bytes) {
        size_t size = bytes > BLOCK ? bytes : BLOCK;
        b = tl__malloc(err, sizeof *b + size);
        if (!b) return NULL;
        *b = (tl_block){u->block, 0, size};
        u->block = b;
    }
    void *p = (char *)b->memory + b->used;
    b->used += bytes;
    u->bytes -= bytes < u->bytes ? bytes : u->bytes;
    memset(p, 0, bytes);
    return p;
}

void tl__unpacking_free(tl_unpacking *u)
{
    while (u->block) {
        tl_block *before = u->block->before;
        free(u->block);
        u->block = before;
    }
}

/* ---- the wire ---- */

/* One field as it stands there: `value` of numbers, `data` and `bytes` of what has a length. */
typedef struct wire_field {
    uint32_t id;
    int type;
    uint64_t value;
    const uint8_t *data;
    size_t bytes;
} wire_field;

/* A number of seven bits a byte, the lowest first; NULL where it does not end. */
static const uint8_t *varint(const uint8_t *p, const uint8_t *end, uint64_t *value)
{
    uint64_t v = 0;
    for (int shift = 0; p < end && shift < 70; shift += 7) {
        v |= (uint64_t)(*p & 0x7f) << (shift < 64 ? shift : 63);
        if (!(*p++ & 0x80)) {
            *value = v;
            return p;
        }
    }
    return NULL;
}

static const uint8_t *fixed(const uint8_t *p, const uint8_t *end, int bytes, uint64_t *value)
{
    if (end - p < bytes) return NULL;
    *value = 0;
    for (int i = 0; i < bytes; i++) *value |= (uint64_t)p[i] << 8 * i;
    return p + bytes;
}

/* The next field, and where the one behind it begins; NULL with an error. */
static const uint8_t *next_field(tl_error *err, const ProtobufCMessageDescriptor *kind, const uint8_t *p,
                                 const uint8_t *end, wire_field *f)
{
    uint64_t tag;
    *f = (wire_field){0};
    p = varint(p, end, &tag);
    if (p) {
        f->id = (uint32_t)(tag >> 3);
        f->type = (int)(tag & 7);
        if (tag >> 32 || !f->id || f->type == 3 || f->type == 4 || f->type > 5) {
            tl__fail(err, TL_EFORMAT, "its bytes make no sense in a %s; it is broken, or no file of this kind",
                     kind->short_name);
            return NULL;
        }
        if (f->type == PROTOBUF_C_WIRE_TYPE_VARINT) p = varint(p, end, &f->value);
        else if (f->type == PROTOBUF_C_WIRE_TYPE_64BIT) p = fixed(p, end, 8, &f->value);
        else if (f->type == PROTOBUF_C_WIRE_TYPE_32BIT) p = fixed(p, end, 4, &f->value);
        else if ((p = varint(p, end, &f->value)) != NULL) {
            if (f->value > (uint64_t)(end - p)) {
                tl__fail(
                    err, TL_EFORMAT,
                    "a part of a %s has %llu bytes, %zu are there; the file is cut short or broken, fetch it again",
                    kind->short_name, (unsigned long long)f->value, (size_t)(end - p));
                return NULL;
            }
            f->data = p;
            f->bytes = (size_t)f->value;
            p += f->bytes;
        }
    }
    if (!p)
        tl__fail(err, TL_EFORMAT, "it ends within a number of a %s; the file is cut short or broken, fetch it again",
                 kind->short_name);
    return p;
}

/* ---- fields ---- */

static int wire_type(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE: return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32: return PROTOBUF_C_WIRE_TYPE_32BIT;
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64: return PROTOBUF_C_WIRE_TYPE_64BIT;
    default: return PROTOBUF_C_WIRE_TYPE_VARINT;
    }
}

/* What an element takes in the structure. */
static size_t element_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return 8;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE: return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
    default: return 4;
    }
}

/* The descriptor's field of that number; NULL where there is none, or it has another form on the wire. */
static const ProtobufCFieldDescriptor *known_field(const ProtobufCMessageDescriptor *kind, const wire_field *f)
{
    for (unsigned i = 0; i < kind->n_fields && kind->fields[i].id <= f->id; i++) {
        const ProtobufCFieldDescriptor *d = &kind->fields[i];
        if (d->id != f->id) continue;
        int wire = wire_type(d->type);
        int packed = d->label == PROTOBUF_C_LABEL_REPEATED && wire != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED &&
                     f->type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
        return f->type == wire || packed ? d : NULL;
    }
    return NULL;
}

static int is_packed(const ProtobufCFieldDescriptor *d, const wire_field *f)
{
    return f->type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED &&
           wire_type(d->type) != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
}

/* How many numbers a packed list has, more than there are rather than fewer where it is broken. */
static size_t packed_count(const ProtobufCFieldDescriptor *d, const wire_field *f)
{
    int wire = wire_type(d->type);
    if (wire == PROTOBUF_C_WIRE_TYPE_32BIT) return f->bytes / 4;
    if (wire == PROTOBUF_C_WIRE_TYPE_64BIT) return f->bytes / 8;
    size_t n = 0;
    for (size_t i = 0; i < f->bytes; i++) n += f->data[i] < 0x80;
    return n;
}

static void store_number(ProtobufCType type, uint64_t v, void *to)
{
    uint32_t low = (uint32_t)v;
    if (type == PROTOBUF_C_TYPE_BOOL) low = v != 0;
    if (type == PROTOBUF_C_TYPE_SINT32) low = (low >> 1) ^ (0 - (low & 1));
    if (type == PROTOBUF_C_TYPE_SINT64) v = (v >> 1) ^ (0 - (v & 1));
    if (element_size(type) == 8) memcpy(to, &v, 8);
    else memcpy(to, &low, 4);
}

static int unpack_into(tl_error *err, tl_unpacking *u, ProtobufCMessage *m, const uint8_t *data, size_t bytes,
                       int depth);

/* A message, made where there is none yet: a second one of the same field adds to the first. */
static int store_message(tl_error *err, tl_unpacking *u, const ProtobufCFieldDescriptor *d, const wire_field *f,
                         ProtobufCMessage **to, int depth)
{
    const ProtobufCMessageDescriptor *kind = d->descriptor;
    if (u->messages-- <= 0) return tl__fail(err, TL_EFORMAT, "it has too many parts; no network has as many");
    if (!*to) {
        *to = tl__unpacking_take(err, u, kind->sizeof_message);
        if (!*to) return -1;
        kind->message_init(*to);
    }
    return unpack_into(err, u, *to, f->data, f->bytes, depth + 1);
}

static int store_text(tl_error *err, tl_unpacking *u, const ProtobufCMessageDescriptor *kind, const wire_field *f,
                      char **to)
{
    if (memchr(f->data, 0, f->bytes) || !tl__utf8_valid((const char *)f->data, f->bytes))
        return tl__fail(err, TL_EFORMAT, "a name in a %s is not UTF-8 text", kind->short_name);
    *to = tl__unpacking_take(err, u, f->bytes + 1);
    if (!*to) return -1;
    memcpy(*to, f->data, f->bytes);
    return 0;
}

/* One value of a field into its place. */
static int store(tl_error *err, tl_unpacking *u, ProtobufCMessage *m, const ProtobufCFieldDescriptor *d,
                 const wire_field *f, void *to, int depth)
{
    if (d->type == PROTOBUF_C_TYPE_MESSAGE) return store_message(err, u, d, f, to, depth);
    if (d->type == PROTOBUF_C_TYPE_STRING) return store_text(err, u, m->descriptor, f, to);
    /* protobuf-c's structure has no const; nothing writes there. */
    union {
        const uint8_t *from;
        uint8_t *to;
    } place = {.from = f->data};
    if (d->type == PROTOBUF_C_TYPE_BYTES) *(ProtobufCBinaryData *)to = (ProtobufCBinaryData){f->bytes, place.to};
    else store_number(d->type, f->value, to);
    return 0;
}

/* The numbers of a packed list into `to`, in which there is room for packed_count. */
static int store_packed(tl_error *err, ProtobufCMessage *m, const ProtobufCFieldDescriptor *d, const wire_field *f,
                        char *to)
{
    int wire = wire_type(d->type), width = wire == PROTOBUF_C_WIRE_TYPE_32BIT ? 4 : 8;
    const uint8_t *p = f->data, *end = p + f->bytes;
    uint64_t v;
    while (p < end) {
        p = wire == PROTOBUF_C_WIRE_TYPE_VARINT ? varint(p, end, &v) : fixed(p, end, width, &v);
        if (!p)
            return tl__fail(err, TL_EFORMAT, "a list of a %s ends within a number; the file is broken, fetch it again",
                            m->descriptor->short_name);
        store_number(d->type, v, to);
        to += element_size(d->type);
    }
    return 0;
}

static size_t *count_of(ProtobufCMessage *m, const ProtobufCFieldDescriptor *d)
{
    return (size_t *)((char *)m + d->quantifier_offset);
}

/* A field that may stand once: its value, and that it is there. */
static int store_single(tl_error *err, tl_unpacking *u, ProtobufCMessage *m, const ProtobufCFieldDescriptor *d,
                        const wire_field *f, int depth)
{
    void *to = (char *)m + d->offset;
    if (d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        uint32_t *which = (uint32_t *)((char *)m + d->quantifier_offset);
        if (*which != d->id) memset(to, 0, element_size(d->type));
        *which = d->id;
    } else if (d->label == PROTOBUF_C_LABEL_OPTIONAL && d->type != PROTOBUF_C_TYPE_STRING &&
               d->type != PROTOBUF_C_TYPE_MESSAGE) {
        *(protobuf_c_boolean *)((char *)m + d->quantifier_offset) = 1;
    }
    return store(err, u, m, d, f, to, depth);
}

static int is_passed_over(const ProtobufCFieldDescriptor *d)
{
    return d->type == PROTOBUF_C_TYPE_STRING && strcmp(d->name, "doc_string") == 0;
}

/* Room behind what the lists hold already, for what this stretch of the wire adds. */
static int make_room(tl_error *err, tl_unpacking *u, ProtobufCMessage *m, const size_t *more, size_t unknown)
{
    const ProtobufCMessageDescriptor *kind = m->descriptor;
    for (unsigned i = 0; i < kind->n_fields; i++) {
        const ProtobufCFieldDescriptor *d = &kind->fields[i];
        if (!more[i]) continue;
        size_t size = element_size(d->type), old = *count_of(m, d);
        void *list = more[i] + old > SIZE_MAX / 32 ? NULL : tl__unpacking_take(err, u, (more[i] + old) * size),
             **to = (void **)((char *)m + d->offset);
        if (!list) return -1;
        if (old) memcpy(list, *to, old * size);
        *to = list;
    }
    if (!unknown) return 0;
    size_t old = m->n_unknown_fields, size = sizeof *m->unknown_fields;
    void *list = unknown + old > UINT32_MAX ? NULL : tl__unpacking_take(err, u, (unknown + old) * size);
    if (!list) return tl__fail(err, TL_EFORMAT, "it has too many parts that this program does not know");
    if (old) memcpy(list, m->unknown_fields, old * size);
    m->unknown_fields = list;
    return 0;
}

static int count_fields(tl_error *err, ProtobufCMessage *m, const uint8_t *p, const uint8_t *end, size_t *more,
                        size_t *unknown)
{
    const ProtobufCMessageDescriptor *kind = m->descriptor;
    wire_field f;
    while (p < end) {
        if (!(p = next_field(err, kind, p, end, &f))) return -1;
        const ProtobufCFieldDescriptor *d = known_field(kind, &f);
        if (!d) *unknown += f.type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
        else if (d->label == PROTOBUF_C_LABEL_REPEATED)
            more[d - kind->fields] += is_packed(d, &f) ? packed_count(d, &f) : 1;
    }
    return 0;
}

static int unpack_into(tl_error *err, tl_unpacking *u, ProtobufCMessage *m, const uint8_t *data, size_t bytes,
                       int depth)
{
    const ProtobufCMessageDescriptor *kind = m->descriptor;
    const uint8_t *p = data, *end = data + bytes;
    size_t more[MOST_FIELDS] = {0}, unknown = 0;
    wire_field f;
    if (depth > u->deepest)
        return tl__fail(err, TL_EFORMAT, "its parts lie within each other more than %d deep", u->deepest);
    if (kind->n_fields > MOST_FIELDS) return tl__fail(err, TL_EFORMAT, "a %s has too many fields", kind->short_name);
    if (count_fields(err, m, p, end, more, &unknown) != 0 || make_room(err, u, m, more, unknown) != 0) return -1;
    while (p < end) {
        if (!(p = next_field(err, kind, p, end, &f))) return -1;
        const ProtobufCFieldDescriptor *d = known_field(kind, &f);
        int bad = 0;
        if (!d) {
            union {
                const uint8_t *from;
                uint8_t *to;
            } place = {.from = f.data};
            if (f.type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
                m->unknown_fields[m->n_unknown_fields++] =
                    (ProtobufCMessageUnknownField){f.id, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, f.bytes, place.to};
        } else if (d->label != PROTOBUF_C_LABEL_REPEATED) {
            bad = !is_passed_over(d) && store_single(err, u, m, d, &f, depth) != 0;
        } else {
            size_t *n = count_of(m, d), size = element_size(d->type);
            char *list = *(char **)((char *)m + d->offset),
                 *to = list ? list + *n * size : NULL; /* none for an empty packed list */
            bad = (is_packed(d, &f) ? store_packed(err, m, d, &f, to) : store(err, u, m, d, &f, to, depth)) != 0;
            *n += is_packed(d, &f) ? packed_count(d, &f) : 1;
        }
        if (bad) return -1;
    }
    return 0;
}

ProtobufCMessage *tl__unpack_message(tl_error *err, tl_unpacking *u, const ProtobufCMessageDescriptor *kind,
                                     const uint8_t *data, size_t bytes)
{
    ProtobufCMessage *m = tl__unpacking_take(err, u, kind->sizeof_message);
    if (!m) return NULL;
    kind->message_init(m);
    return unpack_into(err, u, m, data, bytes, 0) == 0 ? m : NULL;
}
