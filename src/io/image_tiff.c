/* image_tiff.c - the first picture of a TIFF through libtiff: grey, palette and colour of 1 to 16 bits and floats, in strips or tiles, planes
 * together or apart. Colour spaces that need more than copying (YCbCr that is no JPEG, Lab) are left to the library's own 8-bit reading.
 * The library is loaded with the first TIFF: it brings many others along, and most runs never see one. */
#include "io/image.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

#define FUNCTIONS(X) \
    X(TIFFClientOpenExt) X(TIFFOpenOptionsAlloc) X(TIFFOpenOptionsFree) X(TIFFOpenOptionsSetErrorHandlerExtR) X(TIFFOpenOptionsSetWarningHandlerExtR) \
    X(TIFFOpenOptionsSetMaxSingleMemAlloc) X(TIFFClose) X(TIFFGetField) X(TIFFGetFieldDefaulted) X(TIFFSetField) X(TIFFIsTiled) X(TIFFTileSize) \
    X(TIFFStripSize) X(TIFFComputeTile) X(TIFFComputeStrip) X(TIFFReadEncodedTile) X(TIFFReadEncodedStrip) X(TIFFReadRGBAImageOriented)

/* Filled once, and never unloaded. */
#define MEMBER(f) __typeof__(&f) f;
static struct {
    FUNCTIONS(MEMBER)
} lib;
static pthread_once_t lib_once = PTHREAD_ONCE_INIT;
static const char *lib_lacks = ""; /* NULL: nothing */

static void load_library(void)
{
    void *handle = dlopen("libtiff.so.6", RTLD_NOW | RTLD_LOCAL), *f;
    lib_lacks = handle ? NULL : "libtiff";
#define LOOK_UP(name) \
    f = handle ? dlsym(handle, #name) : NULL; \
    memcpy(&lib.name, &f, sizeof f); /* ISO C has no cast between the two kinds of pointer */ \
    if (!f && !lib_lacks) lib_lacks = #name " of libtiff 4.5";
    FUNCTIONS(LOOK_UP)
}

/* No strip or tile of a picture that is read takes more. */
#define MOST_BYTES ((tmsize_t)1 << 30)

/* A file in memory, and what the library said first. */
typedef struct reader {
    const uint8_t *data;
    size_t bytes, at;
    char said[160];
} reader;

static tsize_t read_some(thandle_t handle, void *to, tsize_t n)
{
    reader *r = handle;
    size_t left = r->at < r->bytes ? r->bytes - r->at : 0, some = n < 0 ? 0 : (size_t)n < left ? (size_t)n : left;
    memcpy(to, r->data + (some ? r->at : 0), some);
    r->at += some;
    return (tsize_t)some;
}

static tsize_t write_none(thandle_t handle, void *from, tsize_t n)
{
    (void)handle, (void)from, (void)n;
    return 0;
}

static toff_t seek_to(thandle_t handle, toff_t offset, int whence)
{
    reader *r = handle;
    r->at = (size_t)(whence == SEEK_CUR ? r->at + offset : whence == SEEK_END ? r->bytes + offset : offset);
    return r->at;
}

static int close_none(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t size_of(thandle_t handle) { return ((reader *)handle)->bytes; }

static int note(TIFF *tiff, void *user, const char *module, const char *format, va_list ap)
{
    reader *r = user;
    (void)tiff, (void)module;
    if (!r->said[0]) vsnprintf(r->said, sizeof r->said, format, ap);
    for (char *c = r->said; *c; c++)
        if ((unsigned char)*c < 32) *c = ' ';
    return 1;
}

static int pass_over(TIFF *tiff, void *user, const char *module, const char *format, va_list ap)
{
    (void)tiff, (void)user, (void)module, (void)format, (void)ap;
    return 1;
}

static int damaged(tl_error *err, const reader *r) { return tl__fail(err, TL_EFORMAT, "damaged TIFF: %s", r->said[0] ? r->said : "it cannot be decoded"); }

typedef struct layout {
    uint32_t width, height;
    uint16_t bits, samples, format, photometric, planar, compression, orientation;
    int kept;               /* samples of a pixel that become channels */
    int tiled;
    uint32_t block_width, block_height;
} layout;

/* Samples that are alpha, or without a name beside red, green and blue, are not kept; those of a picture without colours are. */
static int channels_of(TIFF *tiff, const layout *l)
{
    uint16_t extras = 0, *kinds = NULL;
    int colours = l->photometric == PHOTOMETRIC_RGB || l->photometric == PHOTOMETRIC_YCBCR ? 3 : l->photometric == PHOTOMETRIC_SEPARATED ? 4 : 1;
    if (colours > 1 || l->photometric == PHOTOMETRIC_PALETTE) return colours;
    int kept = l->samples;
    if (lib.TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &extras, &kinds))
        for (int i = 0; i < extras && kept > 1; i++) kept -= kinds[i] != EXTRASAMPLE_UNSPECIFIED;
    return kept;
}

static int read_layout(tl_error *err, TIFF *tiff, const reader *r, layout *l)
{
    *l = (layout){.orientation = 1};
    lib.TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &l->bits);
    lib.TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &l->samples);
    lib.TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &l->format);
    lib.TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &l->planar);
    lib.TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &l->compression);
    lib.TIFFGetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &l->orientation);
    if (!lib.TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &l->width) || !lib.TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &l->height)) return damaged(err, r);
    if (!lib.TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &l->photometric)) l->photometric = l->samples >= 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK;
    if (l->photometric == PHOTOMETRIC_YCBCR && l->compression == COMPRESSION_JPEG) {
        lib.TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        l->photometric = PHOTOMETRIC_RGB;
    }
    l->tiled = lib.TIFFIsTiled(tiff);
    l->block_width = l->width;
    if (l->tiled) {
        if (!lib.TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &l->block_width) || !lib.TIFFGetField(tiff, TIFFTAG_TILELENGTH, &l->block_height)) return damaged(err, r);
    } else {
        lib.TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &l->block_height);
        if (l->block_height > l->height) l->block_height = l->height;
    }
    if (!l->block_width || !l->block_height || !l->samples) return damaged(err, r);
    l->kept = channels_of(tiff, l);
    return tl__image_check_size(err, l->width, l->height);
}

/* Can samples be copied as they are? */
static int is_plain(const layout *l)
{
    int known = l->photometric == PHOTOMETRIC_MINISBLACK || l->photometric == PHOTOMETRIC_MINISWHITE || l->photometric == PHOTOMETRIC_RGB ||
                l->photometric == PHOTOMETRIC_PALETTE || l->photometric == PHOTOMETRIC_SEPARATED;
    int whole = l->format == SAMPLEFORMAT_UINT || l->format == SAMPLEFORMAT_VOID;
    int depth = (whole && (l->bits == 8 || l->bits == 16)) || (whole && l->kept == 1 && l->samples == 1 && (l->bits == 1 || l->bits == 2 || l->bits == 4)) ||
                (l->format == SAMPLEFORMAT_IEEEFP && l->bits == 32);
    return known && depth && l->kept <= l->samples && l->kept <= TL_IMAGE_MOST_CHANNELS;
}

/* ---- blocks of samples ---- */

/* Copies what a block holds of the picture; `plane`: the channel where planes stand apart, else -1. */
static void place(const layout *l, const uint8_t *block, size_t block_row, uint32_t x0, uint32_t y0, int plane, tl_image *out)
{
    size_t size = tl__depth_bytes(out->depth), channels = (size_t)out->channels, samples = plane < 0 ? l->samples : 1;
    uint32_t w = l->width - x0 < l->block_width ? l->width - x0 : l->block_width, h = l->height - y0 < l->block_height ? l->height - y0 : l->block_height;
    for (uint32_t y = 0; y < h; y++) {
        const uint8_t *from = block + y * block_row;
        uint8_t *to = out->data + ((size_t)(y0 + y) * l->width + x0) * channels * size + (plane < 0 ? 0 : (size_t)plane * size);
        for (uint32_t x = 0; x < w; x++, to += channels * size) {
            if (l->bits < 8) *to = (uint8_t)(from[x * l->bits / 8] >> (8 - l->bits - x * l->bits % 8) & ((1 << l->bits) - 1));
            else memcpy(to, from + x * samples * size, (plane < 0 ? channels : 1) * size);
        }
    }
}

static int read_blocks(tl_error *err, TIFF *tiff, const reader *r, const layout *l, tl_image *out)
{
    int apart = l->planar == PLANARCONFIG_SEPARATE && l->samples > 1;
    tmsize_t size = l->tiled ? lib.TIFFTileSize(tiff) : lib.TIFFStripSize(tiff);
    size_t per_row = ((size_t)l->block_width * (size_t)(apart ? 1 : l->samples) * l->bits + 7) / 8;
    if (size <= 0 || (size_t)size / per_row < l->block_height || size > MOST_BYTES) return damaged(err, r);
    uint8_t *block = tl__calloc(err, 1, (size_t)size);
    int status = block ? 0 : -1;
    for (int plane = 0; status == 0 && plane < (apart ? l->kept : 1); plane++)
        for (uint32_t y = 0; status == 0 && y < l->height; y += l->block_height)
            for (uint32_t x = 0; status == 0 && x < l->width; x += l->block_width) {
                uint32_t number = l->tiled ? lib.TIFFComputeTile(tiff, x, y, 0, (uint16_t)plane) : lib.TIFFComputeStrip(tiff, y, (uint16_t)plane);
                uint32_t rows = l->height - y < l->block_height ? l->height - y : l->block_height;
                tmsize_t need = l->tiled ? size : (tmsize_t)(per_row * rows), got;
                got = l->tiled ? lib.TIFFReadEncodedTile(tiff, number, block, size) : lib.TIFFReadEncodedStrip(tiff, number, block, need);
                if (got < need) status = damaged(err, r);
                else place(l, block, per_row, x, y, apart ? plane : -1, out);
            }
    free(block);
    return status;
}

/* ---- colours ---- */

/* Grey of few bits to the whole range, and white as the largest. */
static void settle_grey(const layout *l, tl_image *m)
{
    size_t n = (size_t)m->width * (size_t)m->height * (size_t)m->channels;
    union { uint8_t *bytes; uint16_t *words; } p = {m->data};
    int most = (1 << (l->bits < 8 ? l->bits : 8)) - 1, invert = l->photometric == PHOTOMETRIC_MINISWHITE;
    for (size_t i = 0; m->depth == TL_DEPTH_8 && i < n; i++) {
        int v = p.bytes[i] * 255 / most;
        p.bytes[i] = (uint8_t)(invert ? 255 - v : v);
    }
    for (size_t i = 0; invert && m->depth == TL_DEPTH_16 && i < n; i++) p.words[i] = (uint16_t)(65535 - p.words[i]);
}

static int settle_palette(tl_error *err, TIFF *tiff, const reader *r, const layout *l, tl_image *m)
{
    uint16_t *map[3];
    tl_image out = {0};
    if (l->bits > 8 || !lib.TIFFGetField(tiff, TIFFTAG_COLORMAP, &map[0], &map[1], &map[2])) return damaged(err, r);
    if (tl__image_reserve(err, &out, m->width, m->height, 3) != 0) return -1;
    size_t n = (size_t)m->width * (size_t)m->height;
    for (size_t i = 0; i < n; i++)
        for (int c = 0; c < 3; c++) out.data[3 * i + (size_t)c] = (uint8_t)(map[c][m->data[i]] >> 8);
    tl__image_free(m);
    *m = out;
    return 0;
}

/* Pillow's: each ink takes its share of what black leaves. */
static void settle_inks(tl_image *m)
{
    size_t n = (size_t)m->width * (size_t)m->height;
    for (size_t i = 0; i < n; i++) {
        int left = 255 - m->data[4 * i + 3];
        for (size_t c = 0; c < 3; c++) {
            int t = m->data[4 * i + c] * left + 128, ink = ((t >> 8) + t) >> 8;
            m->data[3 * i + c] = (uint8_t)(left > ink ? left - ink : 0);
        }
    }
    m->channels = 3;
}

/* What the library itself makes of it: 8 bits of red, green and blue. */
static int read_as_colour(tl_error *err, TIFF *tiff, const reader *r, const layout *l, tl_image *out)
{
    size_t n = (size_t)l->width * l->height;
    if (l->bits > 16 || l->format == SAMPLEFORMAT_IEEEFP)
        return tl__fail(err, TL_EFORMAT, "a TIFF of %d samples of %d bits, which is not read; save it with 8 or 16 bits, or as float32", l->samples, l->bits);
    uint32_t *raster = tl__malloc(err, n * sizeof *raster);
    int status = raster ? tl__image_reserve(err, out, (int)l->width, (int)l->height, 3) : -1;
    if (status == 0 && !lib.TIFFReadRGBAImageOriented(tiff, l->width, l->height, raster, ORIENTATION_TOPLEFT, 1)) status = damaged(err, r);
    for (size_t i = 0; status == 0 && i < n; i++) {
        out->data[3 * i] = (uint8_t)TIFFGetR(raster[i]);
        out->data[3 * i + 1] = (uint8_t)TIFFGetG(raster[i]);
        out->data[3 * i + 2] = (uint8_t)TIFFGetB(raster[i]);
    }
    free(raster);
    return status;
}

static int decode(tl_error *err, const char *name, TIFF *tiff, const reader *r, const tl_image_request *request, tl_image *out)
{
    layout l;
    if (read_layout(err, tiff, r, &l) != 0) return -1;
    int indices = request->indices, inks = l.photometric == PHOTOMETRIC_SEPARATED;
    if (indices && (!is_plain(&l) || l.kept != 1 || l.bits > 8)) return tl__image_no_mask(err, name, l.samples, l.bits);
    if (!is_plain(&l) || (inks && l.bits != 8)) return read_as_colour(err, tiff, r, &l, out);
    tl_depth depth = l.bits == 32 ? TL_DEPTH_FLOAT : l.bits == 16 ? TL_DEPTH_16 : TL_DEPTH_8;
    if (tl__image_reserve_deep(err, out, (int)l.width, (int)l.height, l.kept, depth) != 0 || read_blocks(err, tiff, r, &l, out) != 0) return -1;
    if (!indices && l.photometric == PHOTOMETRIC_PALETTE && settle_palette(err, tiff, r, &l, out) != 0) return -1;
    if (!indices && (l.photometric == PHOTOMETRIC_MINISBLACK || l.photometric == PHOTOMETRIC_MINISWHITE)) settle_grey(&l, out);
    if (inks) settle_inks(out);
    tl__image_settle(out, request);
    return tl__image_orient(err, out, l.orientation);
}

int tl__tiff_decode(tl_error *err, const char *name, const uint8_t *data, size_t bytes, const tl_image_request *request, tl_image *out)
{
    reader r = {.data = data, .bytes = bytes};
    int status = -1;
    pthread_once(&lib_once, load_library);
    if (lib_lacks) return tl__fail(err, TL_EARG, "%s: reading a TIFF needs %s: install it (Debian package libtiff6)", name, lib_lacks);
    TIFFOpenOptions *options = lib.TIFFOpenOptionsAlloc();
    if (!options) return tl__fail(err, TL_EMEMORY, "%s: no memory for a TIFF decoder", name);
    lib.TIFFOpenOptionsSetMaxSingleMemAlloc(options, MOST_BYTES);
    lib.TIFFOpenOptionsSetErrorHandlerExtR(options, note, &r);
    lib.TIFFOpenOptionsSetWarningHandlerExtR(options, pass_over, NULL);
    TIFF *tiff = lib.TIFFClientOpenExt("picture", "rm", &r, read_some, write_none, seek_to, close_none, size_of, NULL, NULL, options);
    lib.TIFFOpenOptionsFree(options);
    if (tiff)
        status = decode(err, name, tiff, &r, request, out);
    else
        damaged(err, &r);
    if (tiff) lib.TIFFClose(tiff);
    if (status != 0 && strncmp(err->text, name, strlen(name)) != 0) tl__error_prefix(err, "%s: ", name);
    return status;
}
