/* image_webp.c - WebP through libwebp; of an animation the first picture. */
#include "io/image.h"

#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>

/* The first picture of an animation, on its whole canvas. */
static int decode_first(tl_error *err, const char *name, const WebPData *data, tl_image *out)
{
    WebPAnimDecoderOptions options;
    if (!WebPAnimDecoderOptionsInit(&options)) return tl__fail(err, TL_EMEMORY, "%s: the library of WebP is another than this was built with", name);
    options.color_mode = MODE_RGBA;
    WebPAnimDecoder *d = WebPAnimDecoderNew(data, &options);
    if (!d) return tl__fail(err, TL_EFORMAT, "%s: damaged WebP: no animation", name);
    uint8_t *canvas = NULL;
    int when, status = -1;
    size_t pixels = (size_t)out->width * (size_t)out->height;
    WebPAnimInfo info;
    if (!WebPAnimDecoderGetInfo(d, &info) || (int)info.canvas_width != out->width || (int)info.canvas_height != out->height || !WebPAnimDecoderGetNext(d, &canvas, &when))
        tl__fail(err, TL_EFORMAT, "%s: damaged WebP: its first picture cannot be decoded", name);
    else
        for (status = 0; pixels > 0; pixels--) memcpy(out->data + 3 * (pixels - 1), canvas + 4 * (pixels - 1), 3);
    WebPAnimDecoderDelete(d);
    return status;
}

static int decode_single(tl_error *err, const char *name, const uint8_t *data, size_t bytes, tl_image *out)
{
    WebPDecoderConfig config;
    size_t size = (size_t)out->width * (size_t)out->height * 3;
    if (!WebPInitDecoderConfig(&config)) return tl__fail(err, TL_EMEMORY, "%s: the library of WebP is another than this was built with", name);
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA = (WebPRGBABuffer){.rgba = out->data, .stride = 3 * out->width, .size = size};
    VP8StatusCode code = WebPDecode(data, bytes, &config);
    WebPFreeDecBuffer(&config.output);
    if (code == VP8_STATUS_OK) return 0;
    return tl__fail(err, code == VP8_STATUS_OUT_OF_MEMORY ? TL_EMEMORY : TL_EFORMAT, "%s: damaged WebP: %s", name,
                    code == VP8_STATUS_NOT_ENOUGH_DATA ? "it is cut short" : "it cannot be decoded");
}

/* The chunk of that name; NULL where there is none. */
static const uint8_t *find_chunk(const uint8_t *d, size_t n, const char *name, size_t *bytes)
{
    for (size_t at = 12; n >= 8 && at <= n - 8;) {
        size_t size = (size_t)d[at + 4] | (size_t)d[at + 5] << 8 | (size_t)d[at + 6] << 16 | (size_t)d[at + 7] << 24;
        if (size > n - at - 8) break;
        if (memcmp(d + at, name, 4) == 0) {
            *bytes = size;
            return d + at + 8;
        }
        at += 8 + size + (size & 1);
    }
    *bytes = 0;
    return NULL;
}

int tl__webp_decode(tl_error *err, const char *name, const uint8_t *data, size_t bytes, const tl_image_request *request, tl_image *out)
{
    WebPBitstreamFeatures f;
    VP8StatusCode code = WebPGetFeatures(data, bytes, &f);
    size_t riff = bytes < 8 ? 0 : (size_t)data[4] | (size_t)data[5] << 8 | (size_t)data[6] << 16 | (size_t)data[7] << 24, exif_bytes, xmp_bytes;
    if (request->indices) return tl__image_no_mask(err, name, 3, 8);
    if (code != VP8_STATUS_OK || riff > bytes - 8)
        return tl__fail(err, TL_EFORMAT, "%s: damaged WebP: %s", name, code == VP8_STATUS_OK || code == VP8_STATUS_NOT_ENOUGH_DATA ? "it is cut short" : "no header");
    if (tl__image_check_size(err, f.width, f.height) != 0 || tl__image_reserve(err, out, f.width, f.height, 3) != 0) {
        tl__error_prefix(err, "%s: ", name);
        return -1;
    }
    WebPData all = {data, bytes};
    if ((f.has_animation ? decode_first(err, name, &all, out) : decode_single(err, name, data, bytes, out)) != 0) return -1;
    const uint8_t *exif = find_chunk(data, bytes, "EXIF", &exif_bytes), *xmp = find_chunk(data, bytes, "XMP ", &xmp_bytes);
    return tl__image_orient(err, out, tl__orientation(exif, exif_bytes, xmp, xmp_bytes));
}
