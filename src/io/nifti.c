/* nifti.c - NIfTI-1 and -2. The header is 348 or 540 bytes at fixed places and the values follow as they are, so
 * there is no library behind this: libnifti2 takes the memory that a header asks for, writes its complaints to
 * standard error, and reads files by name alone. Sizes are held against the bytes that there are, or can be behind
 * gzip, before any memory is taken. */
#include "base/text.h"
#include "io/volume.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* ---- bytes, packed or not ---- */

typedef struct bytes {
    const uint8_t *data;
    size_t size, at;
    int packed, ended;
    z_stream z;
} bytes;

static int bytes_open(tl_error *err, bytes *b, const void *data, size_t size)
{
    *b = (bytes){.data = data, .size = size};
    b->packed = size >= 2 && b->data[0] == 0x1f && b->data[1] == 0x8b;
    if (!b->packed) return 0;
    return inflateInit2(&b->z, 16 + MAX_WBITS) == Z_OK ? 0 : tl__fail(err, TL_EMEMORY, "no memory to inflate");
}

static void bytes_close(bytes *b)
{
    if (b->packed) inflateEnd(&b->z);
}

/* The next `n` bytes; fewer at the end, and where gzip's own sums say that they are damaged. Several packed files
 * behind each other are one, as gzip has it. */
static size_t bytes_read(bytes *b, void *to, size_t n)
{
    if (!b->packed) {
        size_t some = n < b->size - b->at ? n : b->size - b->at;
        memcpy(to, b->data + b->at, some);
        b->at += some;
        return some;
    }
    b->z.next_out = to;
    b->z.avail_out = (uInt)n;
    while (b->z.avail_out && !b->ended) {
        size_t left = b->size - b->at;
        b->z.next_in = (Bytef *)(b->data + b->at);
        b->z.avail_in = (uInt)(left > 1 << 30 ? 1 << 30 : left);
        uInt before = b->z.avail_in;
        int status = inflate(&b->z, Z_NO_FLUSH);
        b->at += before - b->z.avail_in;
        const uint8_t *next = b->data + b->at;
        int more = status == Z_STREAM_END && b->size - b->at >= 2 && next[0] == 0x1f && next[1] == 0x8b;
        if (more) status = inflateReset(&b->z);
        b->ended = status == Z_STREAM_END;
        if (status != Z_OK) break; /* its end, or damage, which shows in too few bytes */
    }
    return n - b->z.avail_out;
}

/* Whether what is left is whole: gzip's sum of the values stands behind them. */
static int bytes_whole(bytes *b)
{
    uint8_t unread[16384];
    while (b->packed && !b->ended && bytes_read(b, unread, sizeof unread) == sizeof unread) continue;
    return !b->packed || b->ended;
}

/* The most bytes that can still come: gzip makes 1032 of one at best. */
static double bytes_most(const bytes *b)
{
    return (double)(b->size - b->at) * (b->packed ? 1040 : 1) + (b->packed ? 65536 : 0);
}

/* ---- the header ---- */

typedef struct header {
    int version, swapped, pair, datatype, placed_by_sform, placed_by_qform;
    int64_t dim[8];
    double pixdim[8], offset, slope, intercept;
    double quaternion[3], shift[3], rows[3][4];
} header;

static uint64_t number(const uint8_t *p, int n, int swapped)
{
    uint64_t v = 0;
    for (int i = 0; i < n; i++) v |= (uint64_t)p[swapped ? n - 1 - i : i] << 8 * i;
    return v;
}

static int64_t whole(const uint8_t *p, int n, int swapped)
{
    uint64_t v = number(p, n, swapped);
    return n == 2 ? (int16_t)v : n == 4 ? (int32_t)v : (int64_t)v;
}

static double real(const uint8_t *p, int n, int swapped)
{
    uint64_t v = number(p, n, swapped);
    uint32_t small = (uint32_t)v;
    float f;
    double d;
    memcpy(&f, &small, 4);
    memcpy(&d, &v, 8);
    return n == 4 ? f : d;
}

/* Both versions have the same fields, at other places and of other widths. */
static void parse(const uint8_t *p, header *h)
{
    int two = h->version == 2, s = h->swapped, f = two ? 8 : 4;
    h->datatype = (int)whole(p + (two ? 12 : 70), 2, s);
    for (int i = 0; i < 8; i++) {
        h->dim[i] = two ? whole(p + 16 + 8 * i, 8, s) : whole(p + 40 + 2 * i, 2, s);
        h->pixdim[i] = real(p + (two ? 104 : 76) + f * i, f, s);
    }
    h->offset = two ? (double)whole(p + 168, 8, s) : real(p + 108, 4, s);
    h->slope = real(p + (two ? 176 : 112), f, s);
    h->intercept = real(p + (two ? 184 : 116), f, s);
    h->placed_by_qform = whole(p + (two ? 344 : 252), two ? 4 : 2, s) > 0;
    h->placed_by_sform = whole(p + (two ? 348 : 254), two ? 4 : 2, s) > 0;
    for (int i = 0; i < 3; i++) {
        h->quaternion[i] = real(p + (two ? 352 : 256) + f * i, f, s);
        h->shift[i] = real(p + (two ? 376 : 268) + f * i, f, s);
        for (int c = 0; c < 4; c++) h->rows[i][c] = real(p + (two ? 400 : 280) + f * (4 * i + c), f, s);
    }
}

static int read_header(tl_error *err, const char *name, bytes *b, header *h)
{
    uint8_t p[540];
    *h = (header){0};
    if (bytes_read(b, p, 348) != 348)
        return tl__fail(err, TL_EFORMAT, "%s: no NIfTI file: it ends within its header, or is damaged", name);
    int64_t size = whole(p, 4, 0), turned = whole(p, 4, 1);
    h->swapped = size != 348 && size != 540;
    if (h->swapped) size = turned;
    h->version = size == 348 ? 1 : size == 540 ? 2 : 0;
    if (h->version == 2 && bytes_read(b, p + 348, 192) != 192)
        return tl__fail(err, TL_EFORMAT, "%s: the NIfTI file ends within its header; get it anew", name);
    const uint8_t *magic = h->version == 2 ? p + 4 : p + 344;
    if (h->version == 1 && magic[0] == 0)
        return tl__fail(err, TL_EFORMAT,
                        "%s: an Analyze file, which does not say where left and right are; make a NIfTI "
                        "file of it",
                        name);
    if (!h->version || magic[0] != 'n' || (magic[1] != '+' && magic[1] != 'i') || magic[2] != '0' + h->version)
        return tl__fail(err, TL_EFORMAT, "%s: no NIfTI file", name);
    h->pair = magic[1] == 'i';
    parse(p, h);
    return 0;
}

/* ---- types of values ---- */

enum { UNSIGNED, SIGNED, FLOAT };
static const struct {
    int number, bytes, kind;
} types[] = {{2, 1, UNSIGNED}, {4, 2, SIGNED},     {8, 4, SIGNED},     {16, 4, FLOAT},    {64, 8, FLOAT},
             {256, 1, SIGNED}, {512, 2, UNSIGNED}, {768, 4, UNSIGNED}, {1024, 8, SIGNED}, {1280, 8, UNSIGNED}};

static int type_of(tl_error *err, const char *name, int datatype)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].number == datatype) return (int)i;
    const char *what = datatype == 128 || datatype == 2304                      ? "colours"
                       : datatype == 32 || datatype == 1792 || datatype == 2048 ? "complex numbers"
                       : datatype == 1536                                       ? "floats of 128 bits"
                       : datatype == 1                                          ? "single bits"
                                                                                : "of an unknown type";
    return tl__fail(err, TL_EFORMAT, "%s: its values are %s (NIfTI type %d), which are not read", name, what,
                    datatype);
}

static double value_of(const uint8_t *p, int wide, int kind, int swapped)
{
    if (kind == FLOAT) return real(p, wide, swapped);
    uint64_t v = number(p, wide, swapped);
    if (kind == UNSIGNED) return (double)v;
    return wide == 1 ? (int8_t)v : (double)whole(p, wide, swapped);
}

/* ---- where it lies ---- */

/* The standard's quaternion: a follows from the three others. */
static void place_by_qform(const header *h, double affine[3][4])
{
    double b = h->quaternion[0], c = h->quaternion[1], d = h->quaternion[2], rest = 1 - (b * b + c * c + d * d);
    double a = rest > 3 * 1.1920929e-7 ? sqrt(rest) : 0;
    double w = a * a + b * b + c * c + d * d, s = w > 0 ? 2 / w : 0;
    double m[3][3] = {{1 - s * (c * c + d * d), s * (b * c - a * d), s * (b * d + a * c)},
                      {s * (b * c + a * d), 1 - s * (b * b + d * d), s * (c * d - a * b)},
                      {s * (b * d - a * c), s * (c * d + a * b), 1 - s * (b * b + c * c)}};
    for (int r = 0; r < 3; r++) {
        for (int k = 0; k < 3; k++) affine[r][k] = m[r][k] * h->pixdim[1 + k] * (k == 2 && h->pixdim[0] < 0 ? -1 : 1);
        affine[r][3] = h->shift[r];
    }
}

/* Without either: the spacing around the middle, x to the left, as nibabel has it. */
static void place_by_spacing(const header *h, const int64_t size[4], double affine[3][4])
{
    memset(affine, 0, 12 * sizeof(double));
    for (int r = 0; r < 3; r++) {
        double step = h->pixdim[1 + r] > 0 ? h->pixdim[1 + r] : 1;
        affine[r][r] = r == 0 ? -step : step;
        affine[r][3] = -affine[r][r] * (double)(size[r] - 1) / 2;
    }
}

static int place(tl_error *err, const char *name, const header *h, tl_volume *v, tl_nifti *about)
{
    if (h->placed_by_sform) memcpy(v->affine, h->rows, sizeof v->affine);
    else if (h->placed_by_qform) place_by_qform(h, v->affine);
    else place_by_spacing(h, v->size, v->affine);
    strcpy(about->placed, h->placed_by_sform ? "sform" : h->placed_by_qform ? "qform" : "spacing");
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 4; c++)
            if (!isfinite(v->affine[r][c]))
                return tl__fail(err, TL_EFORMAT, "%s: its affine (%s) has a number that is not finite", name,
                                about->placed);
    return 0;
}

/* ---- reading ---- */

static int check_size(tl_error *err, const char *name, const header *h, const bytes *b, int wide, int64_t size[4])
{
    int64_t n = wide;
    if (h->dim[0] < 1 || h->dim[0] > 7)
        return tl__fail(err, TL_EFORMAT, "%s: the NIfTI file is damaged: it has %lld dimensions", name,
                        (long long)h->dim[0]);
    for (int i = 0; i < 4; i++) size[i] = 1;
    for (int i = 0; i < h->dim[0]; i++) {
        int64_t d = h->dim[1 + i], *to = &size[i < 3 ? i : 3];
        if (d < 1)
            return tl__fail(err, TL_EFORMAT, "%s: the NIfTI file is damaged: dimension %d has %lld voxels", name,
                            i + 1, (long long)d);
        if (tl__mul_size(n, d, &n) != 0) n = INT64_MAX;
        if (n == INT64_MAX || (double)n > bytes_most(b))
            return tl__fail(err, TL_EFORMAT,
                            "%s: its header says that it has more voxels than the file has bytes for; get it anew",
                            name);
        *to *= d;
    }
    return 0;
}

/* Values in pieces, scaled. */
static int read_values(tl_error *err, const char *name, bytes *b, const header *h, int type, tl_volume *v,
                       tl_nifti *about)
{
    uint8_t piece[16384];
    int wide = types[type].bytes, kind = types[type].kind;
    int64_t n = tl__volume_numel(v), done = 0;
    about->scaled = isfinite(h->slope) && h->slope != 0 && (h->slope != 1 || h->intercept != 0);
    double slope = about->scaled ? h->slope : 1,
           intercept = about->scaled && isfinite(h->intercept) ? h->intercept : 0;
    while (done < n) {
        int64_t some = n - done < (int64_t)sizeof piece / wide ? n - done : (int64_t)sizeof piece / wide;
        if (bytes_read(b, piece, (size_t)(some * wide)) != (size_t)(some * wide))
            return tl__fail(
                err, TL_EFORMAT,
                "%s: the NIfTI file ends within its values (%lld of %lld are there), or is damaged; get it anew",
                name, (long long)done, (long long)n);
        for (int64_t i = 0; i < some; i++) {
            double x = value_of(piece + i * wide, wide, kind, h->swapped);
            v->data[done + i] = (float)(about->scaled ? x * slope + intercept : x);
        }
        done += some;
    }
    if (bytes_whole(b)) return 0;
    return tl__fail(err, TL_EFORMAT, "%s: the NIfTI file is damaged: gzip's sum of its bytes is another; get it anew",
                    name);
}

/* The values are in `image`, which is the rest of the header's file where they are one; without `values` what the
 * header says is all. */
static int read_both(tl_error *err, const char *name, bytes *head, bytes *image, int values, tl_volume *v,
                     tl_nifti *about)
{
    header h;
    tl_nifti unused;
    if (!about) about = &unused;
    if (read_header(err, name, head, &h) != 0) return -1;
    int type = type_of(err, name, h.datatype);
    if (type < 0) return -1;
    if (h.pair && image == head)
        return tl__fail(err, TL_EFORMAT,
                        "%s: the header of a pair of files; the .img with its values belongs beside it", name);
    double at = image == head ? (h.version == 2 ? 540 : 348) : 0;
    if (!isfinite(h.offset) || h.offset > bytes_most(image) + at || (h.offset > 0 && h.offset < at && image == head))
        return tl__fail(err, TL_EFORMAT, "%s: the NIfTI file is damaged: its values begin at byte %g", name,
                        h.offset);
    int64_t skip = (int64_t)(h.offset > at ? h.offset - at : image == head ? 4 : 0), size[4];
    for (uint8_t unread[4096]; skip > 0;) {
        size_t some = bytes_read(image, unread, (size_t)(skip < 4096 ? skip : 4096));
        if (some == 0)
            return tl__fail(err, TL_EFORMAT, "%s: the NIfTI file ends before its values; get it anew", name);
        skip -= (int64_t)some;
    }
    if (check_size(err, name, &h, image, types[type].bytes, size) != 0) return -1;
    if (!values) memcpy(v->size, size, sizeof size);
    if (values && tl__volume_reserve(err, v, size) != 0) {
        tl__error_prefix(err, "%s: ", name);
        return -1;
    }
    about->version = h.version;
    about->datatype = h.datatype;
    if (place(err, name, &h, v, about) != 0) return -1;
    return values ? read_values(err, name, image, &h, type, v, about) : 0;
}

static int decode(tl_error *err, const char *name, const void *data, size_t size, int values, tl_volume *v,
                  tl_nifti *about)
{
    bytes b;
    if (bytes_open(err, &b, data, size) != 0) return -1;
    int bad = read_both(err, name, &b, &b, values, v, about);
    bytes_close(&b);
    return bad;
}

int tl__nifti_decode(tl_error *err, const char *name, const void *data, size_t size, tl_volume *v, tl_nifti *about)
{
    return decode(err, name, data, size, 1, v, about);
}

/* ---- files ---- */

/* The other of a pair: "a.hdr" or "a.hdr.gz" for "a.img"; NULL where the name has neither ending, or nothing is
 * there. */
static char *other_of(const char *path, const char *ending, const char *other)
{
    static const char *const packed[] = {"", ".gz"};
    size_t n = strlen(path), e = strlen(ending);
    for (int i = 0; i < 2; i++) {
        size_t tail = e + strlen(packed[i]);
        if (n <= tail || strncmp(path + n - tail, ending, e) != 0 || strcmp(path + n - tail + e, packed[i]) != 0)
            continue;
        for (int k = 0; k < 2; k++) {
            char *there = tl__asprintf(NULL, "%.*s%s%s", (int)(n - tail), path, other, packed[i ^ k]);
            if (there && access(there, R_OK) == 0) return there;
            free(there);
        }
    }
    return NULL;
}

static int read_pair(tl_error *err, const char *path, const char *image_path, int values, tl_volume *v,
                     tl_nifti *about)
{
    void *map[2] = {NULL, NULL};
    size_t size[2] = {0, 0};
    bytes head, image;
    int bad = tl__map_file(err, path, "a NIfTI file", &map[0], &size[0]);
    if (!bad) bad = tl__map_file(err, image_path, "a NIfTI file", &map[1], &size[1]);
    if (!bad && (bad = bytes_open(err, &head, map[0], size[0])) == 0) {
        if ((bad = bytes_open(err, &image, map[1], size[1])) == 0) {
            bad = read_both(err, path, &head, &image, values, v, about);
            bytes_close(&image);
        }
        bytes_close(&head);
    }
    for (int i = 0; i < 2; i++) tl__unmap_file(map[i], size[i]);
    return bad;
}

static int read_file(tl_error *err, const char *path, int values, tl_volume *v, tl_nifti *about)
{
    char *image = other_of(path, ".hdr", ".img"), *head = image ? NULL : other_of(path, ".img", ".hdr");
    void *map;
    size_t size;
    int bad;
    if (image || head) {
        bad = read_pair(err, head ? head : path, head ? path : image, values, v, about);
    } else if ((bad = tl__map_file(err, path, "a NIfTI file", &map, &size)) == 0) {
        bad = size ? decode(err, path, map, size, values, v, about)
                   : tl__fail(err, TL_EFORMAT, "%s: the file is empty", path);
        tl__unmap_file(map, size);
    }
    free(image);
    free(head);
    return bad;
}

int tl__nifti_read(tl_error *err, const char *path, tl_volume *v, tl_nifti *about)
{
    return read_file(err, path, 1, v, about);
}

int tl__nifti_head(tl_error *err, const char *path, tl_volume *v, tl_nifti *about)
{
    return read_file(err, path, 0, v, about);
}
