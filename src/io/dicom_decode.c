/* dicom_decode.c - compressed frames: which pieces of the file are which frame, what a frame's own header says, and
 * the library that decodes it. The decoders write as much as a frame's header says, so that header is held against
 * the data set's before they see it. */
#define _GNU_SOURCE /* dladdr */
#include "io/dicom_inside.h"
#include "io/dicom_shim.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the library ---- */

/* Its names go before those of the C library in what it loads (dicom_gdcm.cpp says why), which the sanitizers refuse.
 */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(SANITIZED) || defined(__SANITIZE_ADDRESS__)
#define HOW (RTLD_NOW | RTLD_LOCAL)
#else
#define HOW (RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND)
#endif

static struct {
    __typeof__(&tlua_dicom_decode) decode;
} lib;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static char lacks[200]; /* empty: nothing */

static void look_up(void *handle)
{
    void *f = handle ? dlsym(handle, "tlua_dicom_decode") : NULL;
    memcpy(&lib.decode, &f, sizeof f); /* ISO C has no cast between the two kinds of pointer */
}

/* Tries libtlua_dicom.so in `below` of the folder of the file `beside`. */
static void try_beside(const char *beside, const char *below)
{
    const char *slash = strrchr(beside, '/');
    char *path = slash ? tl__asprintf(NULL, "%.*s%s/libtlua_dicom.so", (int)(slash - beside), beside, below) : NULL;
    void *handle = !lib.decode && path ? dlopen(path, HOW) : NULL;
    if (handle) look_up(handle);
    free(path);
}

/* Beside the program or the library (in a tree that was built: in build), where `make install` puts it, or where the
 * system looks; TLUA_DICOM_LIBRARY says a path of its own. */
static void load(void)
{
    const char *said = getenv("TLUA_DICOM_LIBRARY");
    char program[4096];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    Dl_info about;
    if (said && *said) {
        look_up(dlopen(said, HOW));
    } else {
        if (dladdr((void *)&once, &about) && about.dli_fname && strchr(about.dli_fname, '/'))
            try_beside(about.dli_fname, "");
        program[n > 0 ? n : 0] = 0;
        try_beside(program, "");
        try_beside(program, "/build");
        try_beside(program, "/../lib");
        if (!lib.decode) look_up(dlopen("libtlua_dicom.so", HOW));
    }
    if (!lib.decode)
        strcpy(lacks, "compressed DICOM needs libtlua_dicom.so: apt-get install libgdcm-dev g++, then make");
}

int tl__dicom_library(tl_error *err, const char *name)
{
    pthread_once(&once, load);
    return *lacks ? tl__fail(err, TL_EARG, "%s: %s (and make install, where tlua is installed)", name, lacks) : 0;
}

/* ---- pieces ---- */

#define ITEM 0xfffee000u
#define SEQUENCE_END 0xfffee0ddu

static int bad_pieces(tl_error *err, const tl_dicom *d, const char *what)
{
    return tl__fail(err, TL_EFORMAT, "%s: the pieces of its compressed pixels are damaged (%s); get it anew", d->name,
                    what);
}

static uint32_t tag_at(const uint8_t *p) { return (uint32_t)tl__dicom_u16(p, 0) << 16 | tl__dicom_u16(p + 2, 0); }

static int add_piece(tl_error *err, tl_dicom *d, tl_bytes piece)
{
    tl_dicom_private *own = d->own;
    if ((own->fragments & (own->fragments - 1)) == 0) { /* a power of two is full */
        size_t room = own->fragments ? 2 * (size_t)own->fragments : 1;
        tl_bytes *more = tl__realloc(err, own->fragment, room * sizeof *more);
        if (!more) return -1;
        own->fragment = more;
    }
    own->fragment[own->fragments++] = piece;
    return 0;
}

int tl__dicom_fragments(tl_error *err, tl_dicom *d, tl_bytes pixels)
{
    size_t at = 0;
    for (int64_t i = 0;; i++) {
        if (at == pixels.bytes && i > 1) break; /* only the end mark is missing */
        if (pixels.bytes - at < 8) return bad_pieces(err, d, "the file ends within them");
        uint32_t tag = tag_at(pixels.at + at), length = tl__dicom_u32(pixels.at + at + 4, 0);
        at += 8;
        if (tag == SEQUENCE_END) break;
        if (tag != ITEM) return bad_pieces(err, d, "something else stands between them");
        if (length > pixels.bytes - at) return bad_pieces(err, d, "the file ends within them");
        tl_bytes piece = {pixels.at + at, length};
        if (i == 0) d->own->offsets = piece;
        else if (add_piece(err, d, piece) != 0) return -1;
        at += length;
    }
    if (d->own->fragments < d->frames && d->own->fragments != 1)
        return tl__fail(err, TL_EFORMAT, "%s: it says that it has %d frames, and there are %lld pieces of pixels",
                        d->name, d->frames, (long long)d->own->fragments);
    if (d->own->fragments < d->frames)
        return tl__fail(err, TL_EFORMAT, "%s: it says that it has %d frames, and there is one piece of pixels",
                        d->name, d->frames);
    return 0;
}

/* ---- frames ---- */

/* Does a frame begin with this piece? */
static int begins_frame(const tl_bytes *piece)
{
    return piece->bytes >= 4 && piece->at[0] == 0xff &&
           ((piece->at[1] == 0xd8 && piece->at[2] == 0xff) || (piece->at[1] == 0x4f && piece->at[2] == 0xff));
}

/* The n-th offset of a frame in the pieces, as the file's table has it; -1 where there is none. */
static int64_t offset_of(const tl_dicom *d, int frame)
{
    const tl_dicom_private *own = d->own;
    if (own->wide_offsets.bytes >= 8 * (size_t)d->frames) {
        const uint8_t *p = own->wide_offsets.at + 8 * (size_t)frame;
        return (int64_t)((uint64_t)tl__dicom_u32(p + 4, 0) << 32 | tl__dicom_u32(p, 0));
    }
    if (own->offsets.bytes >= 4 * (size_t)d->frames) return tl__dicom_u32(own->offsets.at + 4 * (size_t)frame, 0);
    return -1;
}

/* The piece that a frame begins with: by their number, by the table of offsets, or by what pieces begin with. The
 * number of pieces where there is no such frame. */
static int64_t first_piece(const tl_dicom *d, int frame)
{
    const tl_dicom_private *own = d->own;
    if (frame == d->frames) return own->fragments;
    if (own->fragments == d->frames || frame == 0) return frame;
    int64_t offset = offset_of(d, frame), seen = 0;
    for (int64_t i = 0; i < own->fragments; i++) {
        if (offset >= 0 && own->fragment[i].at - 8 - own->fragment[0].at + 8 == offset) return i;
        if (offset < 0 && begins_frame(&own->fragment[i]) && seen++ == frame) return i;
    }
    return own->fragments;
}

/* All bytes of a frame, in the file or in `*copy`. */
static int frame_bytes(tl_error *err, const tl_dicom *d, int frame, tl_bytes *out, uint8_t **copy)
{
    const tl_bytes *piece = d->own->fragment;
    int64_t from = first_piece(d, frame), to = first_piece(d, frame + 1);
    if (from >= to || (frame + 1 < d->frames && to == d->own->fragments))
        return tl__fail(err, TL_EFORMAT,
                        "%s: where frame %d begins in the %lld pieces of its pixels cannot be told; get "
                        "it anew",
                        d->name, frame + 1, (long long)d->own->fragments);
    *out = piece[from];
    if (to - from > 1) {
        size_t n = 0;
        for (int64_t i = from; i < to; i++) n += piece[i].bytes;
        *copy = tl__malloc(err, n + 1);
        if (!*copy) return -1;
        *out = (tl_bytes){*copy, 0};
        for (int64_t i = from; i < to; i++) {
            memcpy(*copy + out->bytes, piece[i].at, piece[i].bytes);
            out->bytes += piece[i].bytes;
        }
    }
    return out->bytes > 0xffffffff ? bad_pieces(err, d, "one has more than 4 GB") : 0;
}

/* ---- what a frame says of itself ---- */

typedef struct stream_head {
    uint32_t width, height;
    int samples, bits, is_signed;
} stream_head;

/* JPEG and JPEG-LS: the frame header, SOF0 to SOF15 or SOF55. */
static int jpeg_head(tl_bytes s, stream_head *h)
{
    const uint8_t *p = s.at;
    size_t at = 2;
    if (s.bytes < 4 || p[0] != 0xff || p[1] != 0xd8) return -1;
    while (at + 9 < s.bytes) {
        if (p[at] != 0xff) return -1;
        int marker = p[at + 1];
        if (marker == 0xff) {
            at++;
            continue;
        }
        if (marker == 0xf7 ||
            (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc)) {
            *h = (stream_head){.bits = p[at + 4],
                               .samples = p[at + 9],
                               .height = tl__dicom_u16(p + at + 5, 1),
                               .width = tl__dicom_u16(p + at + 7, 1)};
            return 0;
        }
        at += 2 + (size_t)tl__dicom_u16(p + at + 2, 1);
    }
    return -1;
}

/* JPEG 2000: the size marker behind the start, also in a .jp2 around it. All components must be alike. */
static int jpeg_2000_head(tl_bytes s, stream_head *h)
{
    const uint8_t *p = s.at;
    size_t at = 0, most = s.bytes < 4096 ? s.bytes : 4096;
    while (at + 4 <= most && memcmp(p + at, "\xff\x4f\xff\x51", 4) != 0) at++;
    if (at + 45 > s.bytes || at + 4 > most) return -1;
    p += at + 2;
    *h = (stream_head){.width = tl__dicom_u32(p + 6, 1) - tl__dicom_u32(p + 14, 1),
                       .height = tl__dicom_u32(p + 10, 1) - tl__dicom_u32(p + 18, 1),
                       .samples = tl__dicom_u16(p + 38, 1),
                       .bits = (p[40] & 127) + 1,
                       .is_signed = p[40] >> 7};
    for (int c = 1; c < h->samples && at + 45 + 3 * (size_t)c <= s.bytes; c++)
        if (p[40 + 3 * c] != p[40] || p[41 + 3 * c] != 1 || p[42 + 3 * c] != 1) return -1;
    return 0;
}

static int read_head(tl_error *err, const tl_dicom *d, int frame, tl_dicom_codec codec, tl_bytes s, stream_head *h)
{
    if ((codec == TL_DICOM_JPEG_2000 ? jpeg_2000_head(s, h) : jpeg_head(s, h)) != 0)
        return tl__fail(err, TL_EFORMAT, "%s: frame %d is no %s picture, or its head is damaged; get it anew",
                        d->name, frame + 1,
                        codec == TL_DICOM_JPEG_2000 ? "JPEG 2000"
                        : codec == TL_DICOM_JPEG    ? "JPEG"
                                                    : "JPEG-LS");
    if (h->width != (uint32_t)d->columns || h->height != (uint32_t)d->rows || h->samples != d->samples)
        return tl__fail(err, TL_EFORMAT,
                        "%s: frame %d says that it has %u x %u pixels of %d numbers, and the file %d x %d of %d",
                        d->name, frame + 1, h->height, h->width, h->samples, d->rows, d->columns, d->samples);
    if (h->bits < 2 || h->bits > 16 || h->bits > d->bits_allocated)
        return tl__fail(err, TL_EFORMAT, "%s: frame %d has numbers of %d bits, and the file has room for %d", d->name,
                        frame + 1, h->bits, d->bits_allocated);
    return 0;
}

/* ---- decoding ---- */

/* Lines of equal bytes (the standard, part 5, annex G): a plane for each byte of each sample, the highest byte first.
 */
static int unpack_plane(const uint8_t *p, size_t bytes, uint8_t *to, size_t n)
{
    size_t at = 0, done = 0;
    while (done < n) {
        if (at + 1 >= bytes) return -1;
        int8_t control = (int8_t)p[at++];
        size_t run = control >= 0 ? (size_t)control + 1 : (size_t)1 - control;
        if (control == -128) continue;
        if (run > n - done || (control >= 0 && run > bytes - at)) return -1;
        if (control >= 0) memcpy(to + done, p + at, run);
        else memset(to + done, p[at], run);
        at += control >= 0 ? run : 1;
        done += run;
    }
    return 0;
}

static int run_lengths(tl_error *err, const tl_dicom *d, int frame, tl_bytes s, int32_t *out)
{
    int wide = d->bits_allocated / 8, planes = wide * d->samples, bad = d->bits_allocated < 8 || s.bytes < 64;
    int64_t pixels = (int64_t)d->rows * d->columns;
    uint8_t *plane = bad ? NULL : tl__malloc(err, (size_t)pixels);
    if (!bad && !plane) return -1;
    bad = bad || tl__dicom_u32(s.at, 0) != (uint32_t)planes;
    memset(out, 0, (size_t)pixels * (size_t)d->samples * sizeof *out);
    for (int k = 0; !bad && k < planes; k++) {
        size_t from = tl__dicom_u32(s.at + 4 + 4 * k, 0),
               to = k + 1 < planes ? tl__dicom_u32(s.at + 8 + 4 * k, 0) : s.bytes;
        int shift = 8 * (wide - 1 - k % wide), c = k / wide;
        bad = from < 64 || from > to || to > s.bytes ||
              unpack_plane(s.at + from, to - from, plane, (size_t)pixels) != 0;
        for (int64_t i = 0; !bad && i < pixels; i++)
            out[i * d->samples + c] = (int32_t)((uint32_t)out[i * d->samples + c] | (uint32_t)plane[i] << shift);
    }
    free(plane);
    return bad ? tl__fail(err, TL_EFORMAT, "%s: frame %d is damaged (its runs do not fill it); get it anew", d->name,
                          frame + 1)
               : 0;
}

static void widen(const uint8_t *from, int bytes, int is_signed, int64_t n, int32_t *to)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t w;
        if (bytes == 1) {
            to[i] = is_signed ? (int8_t)from[i] : from[i];
        } else {
            memcpy(&w, from + 2 * i, 2);
            to[i] = is_signed ? (int16_t)w : w;
        }
    }
}

/* Some writers of JPEG-LS put a byte of zeros before the end mark, which CharLS from 2.3 on takes for a mark that it
 * does not know (its issues 365 and 437). A frame that ends so is tried without that byte first: where it is data all
 * the same, the decoder has zeros in its place, or refuses, and the frame as it is comes next. In this order, since
 * GDCM leaks a frame that it refuses, and files of such writers are read again in each epoch. 0, or -1 where that was
 * nothing; then there may be an error of memory. */
static int without_zero(tl_error *err, const tlua_dicom_stream *stream, void *out, size_t bytes, char *said,
                        size_t room)
{
    const uint8_t *p = stream->data;
    size_t n = stream->bytes;
    while (n > 2 && !(p[n - 2] == 0xff && p[n - 1] == 0xd9)) n--;
    if (stream->codec != TLUA_DICOM_SHIM_JPEG_LS || n < 8 || p[n - 3] != 0) return -1;
    uint8_t *copy = tl__malloc(err, n);
    if (!copy) return -1;
    memcpy(copy, p, n - 3);
    memcpy(copy + n - 3, "\xff\xd9", 3); /* and a zero behind, since GDCM's pieces have an even length */
    tlua_dicom_stream again = *stream;
    again.data = copy;
    again.bytes = n - 1 + (n - 1) % 2;
    int bad = lib.decode(&again, out, bytes, said, room);
    free(copy);
    return bad;
}

static int by_library(tl_error *err, const tl_dicom *d, int frame, tl_dicom_codec codec, tl_bytes s, int32_t *out)
{
    stream_head h = {0};
    char said[200] = "";
    if (tl__dicom_library(err, d->name) != 0 || read_head(err, d, frame, codec, s, &h) != 0) return -1;
    int64_t n = tl__dicom_numel(d);
    int wide = h.bits <= 8 ? 1 : 2;
    uint8_t *bytes = tl__malloc(err, (size_t)n * (size_t)wide);
    if (!bytes) return -1;
    tlua_dicom_stream stream = {TLUA_DICOM_SHIM_VERSION, (int)codec,           s.at,   s.bytes,     (unsigned)d->rows,
                                (unsigned)d->columns,    (unsigned)d->samples, h.bits, h.is_signed, d->photometric};
    int bad = without_zero(err, &stream, bytes, (size_t)n * (size_t)wide, said, sizeof said);
    if (bad && !err->code) bad = lib.decode(&stream, bytes, (size_t)n * (size_t)wide, said, sizeof said);
    if (bad) tl__fail(err, TL_EFORMAT, "%s: frame %d is damaged (%s); get it anew", d->name, frame + 1, said);
    else widen(bytes, wide, h.is_signed, n, out);
    free(bytes);
    return bad;
}

int tl__dicom_decode(tl_error *err, const tl_dicom *d, int frame, int32_t *out)
{
    const char *why;
    tl_dicom_codec codec = tl__dicom_codec(d->syntax, &why);
    uint8_t *copy = NULL;
    tl_bytes s = {0};
    int bad = frame_bytes(err, d, frame, &s, &copy);
    if (!bad)
        bad = codec == TL_DICOM_RLE ? run_lengths(err, d, frame, s, out) : by_library(err, d, frame, codec, s, out);
    free(copy);
    return bad;
}
