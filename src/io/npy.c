/* npy.c - NumPy's .npy files and the zip files of them, .npz (numpy.lib.format). The header is a Python dict of three keys, read by a
 * scanner for just that; arrays of objects hold pickles and are never opened. What stands in another order or width than here (columns
 * first, big-endian, unsigned of 16 bits and more) is copied out. */
#include "io/zip.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

typedef struct header {
    char kind, order;    /* 'f', 'i', ...; '<', '>' or '|' */
    int width;           /* bytes of an element */
    char descr[40];      /* for messages */
    int fortran;
    int ndim;            /* may be more than a tensor has */
    tl_shape shape;
    const uint8_t *data;
    size_t bytes;        /* behind the header */
} header;

static int damaged(tl_error *err, const char *why) { return tl__fail(err, TL_EFORMAT, "the header of the NumPy array is damaged: %s", why); }

/* ---- the dict ---- */

typedef struct scanner {
    const char *at, *end;
} scanner;

static void blanks(scanner *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r')) s->at++;
}

static int take(scanner *s, char c)
{
    blanks(s);
    if (s->at >= s->end || *s->at != c) return 0;
    s->at++;
    return 1;
}

static int take_word(scanner *s, const char *word)
{
    size_t n = strlen(word);
    blanks(s);
    if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0) return 0;
    s->at += n;
    return 1;
}

/* A text in either kind of quotes; 0 where there is none, or a longer one than there is room for. */
static int take_text(scanner *s, char *to, size_t room)
{
    blanks(s);
    if (s->at >= s->end || (*s->at != '\'' && *s->at != '"')) return 0;
    char quote = *s->at++;
    const char *close = memchr(s->at, quote, (size_t)(s->end - s->at));
    if (!close || (size_t)(close - s->at) >= room) return 0;
    memcpy(to, s->at, (size_t)(close - s->at));
    to[close - s->at] = 0;
    s->at = close + 1;
    return 1;
}

/* Passes over a list in brackets: the fields of a structured array. */
static int take_list(scanner *s)
{
    int depth = 0;
    blanks(s);
    if (s->at >= s->end || *s->at != '[') return 0;
    for (; s->at < s->end; s->at++) {
        depth += *s->at == '[';
        depth -= *s->at == ']';
        if (depth == 0) break;
    }
    return take(s, ']');
}

static int take_size(scanner *s, int64_t *n)
{
    blanks(s);
    const char *from = s->at;
    *n = 0;
    for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++) {
        if (*n > (INT64_MAX - 9) / 10) return 0;
        *n = *n * 10 + (*s->at - '0');
    }
    take_word(s, "L"); /* Python 2 wrote long numbers so */
    return s->at > from;
}

static int read_shape(tl_error *err, scanner *s, header *h)
{
    if (!take(s, '(')) return damaged(err, "its shape is no tuple");
    h->ndim = 0;
    while (!take(s, ')')) {
        int64_t n;
        if (!take_size(s, &n) || h->ndim == 1000) return damaged(err, "its shape is impossible");
        if (h->ndim < TL_MAX_RANK) h->shape.dim[h->ndim] = n;
        h->ndim++;
        if (!take(s, ',') && !(s->at < s->end && *s->at == ')')) return damaged(err, "its shape is no tuple");
    }
    h->shape.rank = h->ndim < TL_MAX_RANK ? h->ndim : TL_MAX_RANK;
    return 0;
}

/* "<f4" */
static int read_descr(tl_error *err, scanner *s, header *h)
{
    if (take_list(s)) {
        h->kind = 'V';
        h->order = '|';
        snprintf(h->descr, sizeof h->descr, "fields");
        return 0;
    }
    if (!take_text(s, h->descr, sizeof h->descr) || strlen(h->descr) < 2) return damaged(err, "its descr is no type");
    h->order = h->descr[0];
    h->kind = h->descr[1];
    h->width = (int)strtol(h->descr + 2, NULL, 10);
    if (!strchr("<>|=", h->order)) return damaged(err, "its descr has no byte order");
    return 0;
}

static int read_dict(tl_error *err, scanner *s, header *h)
{
    char key[24];
    int have = 0;
    if (!take(s, '{')) return damaged(err, "it is no dict");
    while (!take(s, '}')) {
        if (!take_text(s, key, sizeof key) || !take(s, ':')) return damaged(err, "it is no dict");
        if (strcmp(key, "descr") == 0) {
            have |= 1;
            if (read_descr(err, s, h) != 0) return -1;
        } else if (strcmp(key, "fortran_order") == 0) {
            have |= 2;
            h->fortran = take_word(s, "True");
            if (!h->fortran && !take_word(s, "False")) return damaged(err, "its fortran_order is neither True nor False");
        } else if (strcmp(key, "shape") == 0) {
            have |= 4;
            if (read_shape(err, s, h) != 0) return -1;
        } else {
            return damaged(err, "it has a key that is not known");
        }
        if (!take(s, ',') && !(s->at < s->end && *s->at == '}')) return damaged(err, "it is no dict");
    }
    return have == 7 ? 0 : damaged(err, "descr, fortran_order or shape is missing");
}

static int read_header(tl_error *err, const uint8_t *data, size_t bytes, header *h)
{
    *h = (header){0};
    if (bytes < 10 || memcmp(data, magic, sizeof magic) != 0) return damaged(err, "it does not begin as one");
    size_t start = data[6] == 1 ? 10 : 12, length = tl__le16(data + 8);
    if (data[6] < 1 || data[6] > 3) return tl__fail(err, TL_EFORMAT, "a NumPy array in version %d.%d of the format; 1.0 to 3.0 are known", data[6], data[7]);
    if (start == 12 && bytes >= 12) length = tl__le32(data + 8);
    if (start > bytes || length > bytes - start) return damaged(err, "the file ends before it does");
    scanner s = {(const char *)data + start, (const char *)data + start + length};
    h->data = data + start + length;
    h->bytes = bytes - start - length;
    return read_dict(err, &s, h);
}

/* ---- elements ---- */

/* The type here, and how wide elements are then; 0 where there is none. */
static size_t type_of(const header *h, tl_dtype *dtype)
{
    static const struct {
        char kind;
        int width;
        tl_dtype dtype;
    } types[] = {{'f', 4, TL_F32}, {'f', 8, TL_F64}, {'f', 2, TL_F16}, {'i', 1, TL_I8},  {'i', 2, TL_I16}, {'i', 4, TL_I32},
                 {'i', 8, TL_I64}, {'u', 1, TL_U8},  {'u', 2, TL_I32}, {'u', 4, TL_I64}, {'u', 8, TL_I64}, {'b', 1, TL_BOOL}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].kind != h->kind || types[i].width != h->width) continue;
        *dtype = types[i].dtype;
        return tl__dtype_size(*dtype);
    }
    return 0;
}

/* One element, in this machine's order and as wide as it is here; an unsigned one of 64 bits that does not fit becomes
 * the largest that does, which no 32 bits of a device hold. */
static void element(const header *h, const uint8_t *from, size_t width, uint8_t *to)
{
    uint8_t swapped[8];
    size_t n = (size_t)h->width;
    if (h->order == '>')
        for (size_t k = 0; k < n; k++) swapped[k] = from[n - 1 - k];
    memset(to, 0, width);
    memcpy(to, h->order == '>' ? swapped : from, n);
    if (h->kind == 'u' && n == 8 && to[7] & 0x80) memcpy(to, &(int64_t){INT64_MAX}, 8);
}

/* Copies the elements, rows first. */
static void copy_out(const header *h, size_t width, uint8_t *to)
{
    int64_t n = tl__numel(&h->shape), at[TL_MAX_RANK] = {0}, step[TL_MAX_RANK], offset = 0, all = 1;
    for (int i = 0; i < h->shape.rank; i++) { /* columns first: the first axis lies closest */
        step[i] = all;
        all *= h->shape.dim[i];
    }
    if (!h->fortran) tl__packed_strides(&h->shape, step);
    for (int64_t i = 0; i < n; i++, to += width) {
        element(h, h->data + (size_t)offset * (size_t)h->width, width, to);
        for (int k = h->shape.rank - 1; k >= 0; k--) {
            offset += step[k];
            if (++at[k] < h->shape.dim[k]) break;
            offset -= step[k] * h->shape.dim[k];
            at[k] = 0;
        }
    }
}

/* What kind of thing an array holds that is no tensor. */
static const char *odd_kind(const header *h)
{
    switch (h->kind) {
    case 'O': return "is an array of Python objects, which tlua does not open; save it as an array of numbers";
    case 'V': return "is a structured array; save each of its fields as an array of its own";
    case 'U':
    case 'S': return "is an array of texts; a table (CSV) holds those";
    case 'c': return "has complex numbers; save the real and the imaginary part apart";
    default: return "has a type that tlua does not know; save it as float32, int32 or uint8";
    }
}

static int read_array(tl_error *err, tl_archive *a, const char *name, size_t name_bytes, const uint8_t *data, size_t bytes)
{
    header h;
    tl_dtype dtype = TL_F32;
    size_t width, there, need;
    char quoted[TL__PRINTABLE_SIZE];
    if (read_header(err, data, bytes, &h) != 0) return -1;
    if ((width = type_of(&h, &dtype)) == 0) return tl__archive_add_odd(err, a, name, name_bytes, "(%s) %s", tl__printable(quoted, h.descr, strlen(h.descr)), odd_kind(&h));
    if (h.ndim > TL_MAX_RANK) return tl__archive_add_odd(err, a, name, name_bytes, "has %d dimensions, and a tensor at most %d", h.ndim, TL_MAX_RANK);
    if (tl__shape_bytes(err, "the array", &h.shape, dtype, &need) != 0) return -1;
    there = need / width * (size_t)h.width;
    if (there > h.bytes) return tl__fail(err, TL_EFORMAT, "the NumPy array is cut short: its shape takes %zu bytes, and there are %zu", there, h.bytes);
    const void *elements = h.data;
    if ((h.fortran && h.shape.rank > 1) || (h.order == '>' && h.width > 1) || width != (size_t)h.width || (h.kind == 'u' && h.width == 8)) {
        uint8_t *copy = tl__archive_buffer(err, a, need);
        if (!copy) return -1;
        copy_out(&h, width, copy);
        elements = copy;
    }
    return tl__archive_add(err, a, name, name_bytes, dtype, &h.shape, elements, need);
}

/* ---- files ---- */

int tl__looks_like_npy(const uint8_t *d, size_t n) { return n >= sizeof magic && memcmp(d, magic, sizeof magic) == 0; }

int tl__looks_like_npz(const uint8_t *d, size_t n)
{
    if (n < 30 || memcmp(d, "PK\3\4", 4) != 0) return 0;
    size_t name = tl__le16(d + 26);
    return name > 4 && n - 30 >= name && memcmp(d + 30 + name - 4, ".npy", 4) == 0;
}

int tl__read_npy(tl_error *err, tl_archive *a, const uint8_t *data, size_t bytes) { return read_array(err, a, "arr_0", 5, data, bytes); }

int tl__read_npz(tl_error *err, tl_archive *a, const uint8_t *data, size_t bytes)
{
    tl_zip zip;
    int bad = tl__zip_open(err, &zip, data, bytes);
    for (int i = 0; !bad && i < zip.count; i++) {
        tl_zip_record *r = &zip.records[i];
        if (r->name_bytes <= 4 || memcmp(r->name + r->name_bytes - 4, ".npy", 4) != 0) continue;
        tl_error inner = {0};
        bad = tl__zip_data(err, &zip, a, r);
        if (bad || read_array(&inner, a, r->name, r->name_bytes - 4, r->data, r->bytes) == 0) continue;
        char quoted[TL__PRINTABLE_SIZE];
        bad = tl__fail(err, inner.code, "%s: %s", tl__printable(quoted, r->name, r->name_bytes), inner.text);
    }
    tl__zip_close(&zip);
    return bad ? -1 : 0;
}
