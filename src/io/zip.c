/* zip.c - zip files, as PKWARE's APPNOTE.TXT describes them. The directory at the end is the truth about
 * a zip file; of the local headers only the lengths are taken, to find where the data begins. */
#include "io/zip.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { END_BYTES = 22, LOCATOR_BYTES = 20, END64_BYTES = 56, ENTRY_BYTES = 46, LOCAL_BYTES = 30 };

typedef struct directory { uint64_t at, bytes, count; } directory;

static int damaged(tl_error *err, const char *why) { return tl__fail(err, TL_EFORMAT, "the zip file is damaged: %s; fetch it again", why); }

/* Looks backwards for the end record, which only a comment may follow. */
static int find_end(tl_error *err, const uint8_t *data, size_t bytes, size_t *at)
{
    for (size_t back = END_BYTES; back <= bytes && back <= END_BYTES + 65535; back++) {
        const uint8_t *p = data + bytes - back;
        if (tl__le32(p) == 0x06054b50 && tl__le16(p + 20) == back - END_BYTES) {
            *at = bytes - back;
            return 0;
        }
    }
    return tl__fail(err, TL_EFORMAT, "the zip file is cut short (its directory at the end is missing); fetch it again");
}

static int find_directory(tl_error *err, const uint8_t *data, size_t bytes, directory *d)
{
    size_t end = 0;
    if (find_end(err, data, bytes, &end) != 0) return -1;
    const uint8_t *p = data + end;
    *d = (directory){tl__le32(p + 16), tl__le32(p + 12), tl__le16(p + 10)};
    if (end >= LOCATOR_BYTES && tl__le32(p - LOCATOR_BYTES) == 0x07064b50) {
        uint64_t at = tl__le64(p - LOCATOR_BYTES + 8);
        if (end < LOCATOR_BYTES + END64_BYTES || at > end - LOCATOR_BYTES - END64_BYTES || tl__le32(data + at) != 0x06064b50)
            return damaged(err, "its 64-bit directory is not where it should be");
        *d = (directory){tl__le64(data + at + 48), tl__le64(data + at + 40), tl__le64(data + at + 32)};
    }
    if (d->bytes > end || d->at > end - d->bytes) return damaged(err, "its directory lies outside of it");
    if (d->count > d->bytes / ENTRY_BYTES || d->count > INT_MAX) return damaged(err, "its directory is too short");
    return 0;
}

/* Replaces the fields that are all ones by those of the 64-bit extra field. */
static int read_extra(tl_error *err, const uint8_t *p, size_t n, uint64_t *size, uint64_t *packed, uint64_t *at)
{
    uint64_t *const fields[] = {size, packed, at};
    while (n >= 4) {
        size_t length = tl__le16(p + 2), used = 0;
        if (length > n - 4) return damaged(err, "an extra field is too long");
        for (int i = 0; i < 3 && tl__le16(p) == 1; i++) {
            if (*fields[i] != 0xffffffff) continue;
            if (length - used < 8) return damaged(err, "a 64-bit size is missing");
            *fields[i] = tl__le64(p + 4 + used);
            used += 8;
        }
        p += 4 + length;
        n -= 4 + length;
    }
    return 0;
}

/* One entry of the directory at `p`, with `left` bytes there; *used gets its length. */
static int read_record(tl_error *err, const uint8_t *data, size_t bytes, const uint8_t *p, size_t left, size_t *used, tl_zip_record *r)
{
    if (left < ENTRY_BYTES || tl__le32(p) != 0x02014b50) return damaged(err, "its directory is not one");
    size_t name = tl__le16(p + 28), extra = tl__le16(p + 30), comment = tl__le16(p + 32);
    uint64_t size = tl__le32(p + 24), packed = tl__le32(p + 20), at = tl__le32(p + 42);
    *used = ENTRY_BYTES + name + extra + comment;
    if (*used > left) return damaged(err, "its directory is too short");
    if (read_extra(err, p + ENTRY_BYTES + name, extra, &size, &packed, &at) != 0) return -1;
    char quoted[TL__PRINTABLE_SIZE];
    tl__printable(quoted, (const char *)p + ENTRY_BYTES, name);
    if (tl__le16(p + 8) & 1) return tl__fail(err, TL_EFORMAT, "its record %s is encrypted; save it without a password", quoted);
    int method = tl__le16(p + 10);
    if (method != 0 && method != 8) return tl__fail(err, TL_EFORMAT, "its record %s is packed by method %d, which tlua does not know; store it plainly", quoted, method);
    if (bytes < LOCAL_BYTES || at > bytes - LOCAL_BYTES || tl__le32(data + at) != 0x04034b50) return damaged(err, "a record is not where the directory says");
    uint64_t begin = at + LOCAL_BYTES + tl__le16(data + at + 26) + tl__le16(data + at + 28);
    if (begin > bytes || packed > bytes - begin) return damaged(err, "a record reaches over the end");
    if (tl__le16(data + at + 26) != name || memcmp(data + at + LOCAL_BYTES, p + ENTRY_BYTES, name) != 0) return damaged(err, "a record has two names");
    if (method == 0 && packed != size) return damaged(err, "a stored record has two sizes");
    if (size > SIZE_MAX / 2) return damaged(err, "a record is impossibly large");
    *r = (tl_zip_record){(const char *)p + ENTRY_BYTES, name, data + begin, (size_t)packed, (size_t)size, tl__le32(p + 16), method == 8, NULL};
    return 0;
}

static int compare(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    int order = memcmp(a, b, a_bytes < b_bytes ? a_bytes : b_bytes);
    return order ? order : (a_bytes > b_bytes) - (a_bytes < b_bytes);
}

static int compare_records(const void *x, const void *y)
{
    const tl_zip_record *a = x, *b = y;
    return compare(a->name, a->name_bytes, b->name, b->name_bytes);
}

int tl__zip_open(tl_error *err, tl_zip *z, const uint8_t *data, size_t bytes)
{
    directory d;
    *z = (tl_zip){0};
    if (find_directory(err, data, bytes, &d) != 0 || (z->records = tl__calloc(err, (size_t)d.count, sizeof *z->records)) == NULL) return -1;
    const uint8_t *p = data + d.at;
    size_t left = (size_t)d.bytes, used = 0;
    z->without_crc = 1;
    for (; z->count < (int)d.count; p += used, left -= used) {
        if (read_record(err, data, bytes, p, left, &used, &z->records[z->count]) != 0) return -1;
        z->without_crc &= z->records[z->count++].crc == 0;
    }
    qsort(z->records, (size_t)z->count, sizeof *z->records, compare_records);
    for (int i = 1; i < z->count; i++)
        if (compare_records(&z->records[i - 1], &z->records[i]) == 0) return damaged(err, "two records have the same name");
    return 0;
}

void tl__zip_close(tl_zip *z)
{
    free(z->records);
    *z = (tl_zip){0};
}

tl_zip_record *tl__zip_find(const tl_zip *z, const char *name, size_t name_bytes)
{
    int low = 0, high = z->count;
    while (low < high) {
        int middle = low + (high - low) / 2, order = compare(name, name_bytes, z->records[middle].name, z->records[middle].name_bytes);
        if (order == 0) return &z->records[middle];
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

/* zlib asks for its memory here, so that the lack of it is tested like any other. */
static voidpf inflate_alloc(voidpf err, uInt count, uInt size) { return tl__calloc(err, count, size); }
static void inflate_free(voidpf err, voidpf p)
{
    (void)err;
    free(p);
}

/* Inflates in pieces, since zlib counts bytes in 32 bits. */
static int inflate_all(tl_error *err, const tl_zip_record *r, uint8_t *out)
{
    z_stream s = {.zalloc = inflate_alloc, .zfree = inflate_free, .opaque = err};
    if (inflateInit2(&s, -MAX_WBITS) != Z_OK) return tl__fail(err, TL_EMEMORY, "no memory to inflate");
    size_t in = 0, done = 0;
    uint8_t spare;
    int state = Z_OK;
    while (state == Z_OK) {
        size_t in_left = r->packed_bytes - in, out_left = r->bytes - done;
        uInt in_now = in_left < INT_MAX ? (uInt)in_left : INT_MAX, out_now = out_left < INT_MAX ? (uInt)out_left : INT_MAX;
        s.next_in = (z_const Bytef *)(r->packed + in);
        s.avail_in = in_now;
        s.next_out = out_now ? out + done : &spare;
        s.avail_out = out_now ? out_now : 1;
        state = inflate(&s, Z_NO_FLUSH);
        in += in_now - s.avail_in;
        size_t made = (out_now ? out_now : 1) - s.avail_out;
        if (!out_now && made) state = Z_DATA_ERROR;
        else done += made;
    }
    inflateEnd(&s);
    return state == Z_STREAM_END && done == r->bytes ? 0 : damaged(err, "a record does not inflate to its size");
}

static uint32_t checksum(const uint8_t *p, size_t n)
{
    uLong crc = crc32(0, NULL, 0);
    for (size_t part; n; p += part, n -= part) {
        part = n < INT_MAX ? n : INT_MAX;
        crc = crc32(crc, p, (uInt)part);
    }
    return (uint32_t)crc;
}

int tl__zip_data(tl_error *err, const tl_zip *z, tl_archive *a, tl_zip_record *r)
{
    if (r->data) return 0;
    const uint8_t *data = r->packed;
    if (r->deflated) {
        /* Deflate packs at most 1032 to 1; a larger claim is a lie that would cost memory first. */
        if (r->bytes / 1032 > r->packed_bytes) return damaged(err, "a record cannot be that large");
        uint8_t *plain = tl__archive_buffer(err, a, r->bytes);
        if (!plain || inflate_all(err, r, plain) != 0) return -1;
        data = plain;
    }
    if (!z->without_crc && checksum(data, r->bytes) != r->crc) {
        char quoted[TL__PRINTABLE_SIZE];
        return tl__fail(err, TL_EFORMAT, "the checksum of its record %s is wrong; the file is damaged, fetch it again", tl__printable(quoted, r->name, r->name_bytes));
    }
    r->data = data;
    return 0;
}
