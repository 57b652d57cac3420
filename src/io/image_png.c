/* image_png.c - PNG through libspng, in and out. */
#include "io/image.h"

#include <gif_lib.h>
#include <spng.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>
#include <webp/decode.h>

#ifndef TLUA_JPEG_VERSION /* its library does not tell its own */
#define TLUA_JPEG_VERSION "of unknown version"
#endif

const char *tl__image_decoders(char *text, size_t size)
{
    int webp = WebPGetDecoderVersion();
    char tiff[32] = "";
    sscanf(TIFFLIB_VERSION_STR, "LIBTIFF, Version %31[0-9.]", tiff);
    snprintf(text, size, "libjpeg-turbo %s, libspng %s, libwebp %d.%d.%d, libtiff %s, giflib %d.%d.%d", TLUA_JPEG_VERSION, spng_version_string(), webp >> 16,
             webp >> 8 & 255, webp & 255, tiff, GIFLIB_MAJOR, GIFLIB_MINOR, GIFLIB_RELEASE);
    return text;
}

/* Text and profile chunks are read past; none of them needs more than this. */
#define MAX_CHUNK_BYTES ((size_t)64 << 20)

/* The first `kept` of `samples` of each pixel, of 16 bits: without alpha. */
static void first_words(const uint8_t *raw, uint8_t *to, size_t pixels, size_t samples, size_t kept)
{
    for (size_t i = 0; i < pixels; i++) memcpy(to + 2 * kept * i, raw + 2 * samples * i, 2 * kept);
}

/* The first sample of each pixel, as 8 bits. Of 16 bits the upper 8 are kept, which is what Pillow does
 * with colour; its conversion of 16-bit grey instead cuts every value above 255 to white, which leaves
 * nothing of a radiograph, and is not followed. */
static void first_samples(const uint8_t *raw, uint8_t *grey, size_t pixels, int samples, int bits)
{
    size_t step = (size_t)samples * (size_t)(bits / 8);
    for (size_t i = 0; i < pixels; i++) {
        uint16_t wide;
        if (bits == 8) {
            grey[i] = raw[i * step];
        } else { /* two bytes in the order of this machine */
            memcpy(&wide, raw + i * step, 2);
            grey[i] = (uint8_t)(wide >> 8);
        }
    }
}

static int decode_pixels(tl_error *err, const char *name, spng_ctx *png, const struct spng_ihdr *h, int deep, tl_image *out)
{
    int alpha = h->color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA;
    int grey = alpha || h->color_type == SPNG_COLOR_TYPE_GRAYSCALE;
    deep = deep && h->bit_depth == 16;
    int direct = !deep && (!grey || (!alpha && h->bit_depth <= 8)); /* the library gives what is wanted at once */
    int format = deep ? SPNG_FMT_PNG : !grey ? SPNG_FMT_RGB8 : direct ? SPNG_FMT_G8 : SPNG_FMT_PNG;
    size_t bytes = 0, pixels = (size_t)h->width * h->height;
    uint8_t *raw = NULL;
    size_t samples = grey ? 1 + (size_t)alpha : h->color_type == SPNG_COLOR_TYPE_TRUECOLOR ? 3 : 4;
    int status = tl__image_reserve_deep(err, out, (int)h->width, (int)h->height, grey ? 1 : 3, deep ? TL_DEPTH_16 : TL_DEPTH_8), code = 0;
    if (status == 0 && (code = spng_decoded_image_size(png, format, &bytes)) == 0) {
        if (deep && bytes != 2 * samples * pixels)
            status = tl__fail(err, TL_EFORMAT, "damaged PNG: inconsistent header");
        else if (direct && bytes != pixels * (grey ? 1 : 3))
            status = tl__fail(err, TL_EFORMAT, "damaged PNG: inconsistent header");
        else if (!direct)
            status = (raw = tl__malloc(err, bytes)) ? 0 : -1;
        if (status == 0) code = spng_decode_image(png, direct ? out->data : raw, bytes, format, 0);
        if (status == 0 && code == 0) code = spng_decode_chunks(png); /* up to the end mark, so that a cut behind the pixels shows */
        if (status == 0 && code == 0 && deep) first_words(raw, out->data, pixels, samples, grey ? 1 : 3);
        else if (status == 0 && code == 0 && !direct) first_samples(raw, out->data, pixels, alpha ? 2 : 1, h->bit_depth);
    }
    if (code) status = tl__fail(err, code == SPNG_EMEM ? TL_EMEMORY : TL_EFORMAT, "damaged PNG: %s", spng_strerror(code));
    if (status != 0) tl__error_prefix(err, "%s: ", name);
    free(raw);
    return status;
}

/* Rows of packed numbers of 1, 2, 4 or 8 bits, one byte each. */
static void unpack(const uint8_t *raw, size_t row_bytes, int bits, tl_image *out)
{
    uint8_t *to = out->data;
    int each = 8 / bits, mask = (1 << bits) - 1;
    for (int y = 0; y < out->height; y++, raw += row_bytes)
        for (int x = 0; x < out->width; x++) *to++ = (uint8_t)(raw[x / each] >> (8 - bits - x % each * bits) & mask);
}

/* The numbers of a grey picture or a palette as they stand in the file. */
static int decode_indices(tl_error *err, const char *name, spng_ctx *png, const struct spng_ihdr *h, tl_image *out)
{
    int palette = h->color_type == SPNG_COLOR_TYPE_INDEXED, code = 0;
    if ((!palette && h->color_type != SPNG_COLOR_TYPE_GRAYSCALE) || h->bit_depth > 8) {
        static const int channels[] = {1, 0, 3, 1, 2, 0, 4};
        return tl__image_no_mask(err, name, channels[h->color_type], h->bit_depth);
    }
    size_t bytes = 0, row = ((size_t)h->width * h->bit_depth + 7) / 8;
    uint8_t *raw = NULL;
    int status = tl__image_reserve(err, out, (int)h->width, (int)h->height, 1);
    if (status == 0 && (code = spng_decoded_image_size(png, SPNG_FMT_PNG, &bytes)) == 0) {
        if (bytes != row * h->height)
            status = tl__fail(err, TL_EFORMAT, "damaged PNG: inconsistent header");
        else
            status = (raw = tl__malloc(err, bytes)) ? 0 : -1;
        if (status == 0) code = spng_decode_image(png, raw, bytes, SPNG_FMT_PNG, 0);
        if (status == 0 && code == 0) code = spng_decode_chunks(png);
        if (status == 0 && code == 0) unpack(raw, row, h->bit_depth, out);
    }
    if (code) status = tl__fail(err, code == SPNG_EMEM ? TL_EMEMORY : TL_EFORMAT, "damaged PNG: %s", spng_strerror(code));
    if (status != 0) tl__error_prefix(err, "%s: ", name);
    free(raw);
    return status;
}

/* The orientation, which may stand behind the pixels. */
static int finish(tl_error *err, const char *name, spng_ctx *png, tl_image *out, int status)
{
    struct spng_exif exif;
    if (status != 0 || spng_get_exif(png, &exif) != 0) return status;
    if (tl__image_orient(err, out, tl__orientation((const uint8_t *)exif.data, exif.length, NULL, 0)) == 0) return 0;
    tl__error_prefix(err, "%s: ", name);
    return -1;
}

int tl__png_decode(tl_error *err, const char *name, const uint8_t *data, size_t bytes, const tl_image_request *request, tl_image *out)
{
    spng_ctx *png = spng_ctx_new(0);
    if (!png) return tl__fail(err, TL_EMEMORY, "%s: no memory for a PNG decoder", name);
    struct spng_ihdr h;
    int status = -1;
    spng_set_chunk_limits(png, MAX_CHUNK_BYTES, MAX_CHUNK_BYTES);
    int code = spng_set_png_buffer(png, data, bytes);
    if (code == 0) code = spng_get_ihdr(png, &h);
    if (code)
        tl__fail(err, code == SPNG_EMEM ? TL_EMEMORY : TL_EFORMAT, "%s: damaged PNG: %s", name, spng_strerror(code));
    else if (tl__image_check_size(err, h.width, h.height) != 0)
        tl__error_prefix(err, "%s: ", name);
    else
        status = finish(err, name, png, out, request->indices ? decode_indices(err, name, png, &h, out) : decode_pixels(err, name, png, &h, request->deep == TL_DEEP_ALL, out));
    spng_ctx_free(png);
    return status;
}

int tl__image_write_png(tl_error *err, const char *path, const tl_image *image)
{
    spng_ctx *png = spng_ctx_new(SPNG_CTX_ENCODER);
    if (!png) return tl__fail(err, TL_EMEMORY, "%s: no memory for a PNG encoder", path);
    struct spng_ihdr h = {.width = (uint32_t)image->width, .height = (uint32_t)image->height, .bit_depth = 8,
                          .color_type = image->channels == 1 ? SPNG_COLOR_TYPE_GRAYSCALE : SPNG_COLOR_TYPE_TRUECOLOR};
    size_t bytes = (size_t)image->width * (size_t)image->height * (size_t)image->channels, size = 0;
    void *file = NULL;
    spng_set_option(png, SPNG_ENCODE_TO_BUFFER, 1);
    int code = spng_set_ihdr(png, &h), status = -1;
    if (code == 0) code = spng_encode_image(png, image->data, bytes, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    if (code == 0) file = spng_get_png_buffer(png, &size, &code);
    if (file)
        status = tl__write_file(err, path, file, size);
    else
        tl__fail(err, TL_EFORMAT, "%s: cannot be made a PNG: %s", path, spng_strerror(code));
    free(file);
    spng_ctx_free(png);
    return status;
}
