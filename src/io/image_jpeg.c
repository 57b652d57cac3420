/* image_jpeg.c - JPEG through libturbojpeg. The markers before the scan are walked here, because the
 * library's own header call refuses sampling factors that its decoder takes, and because whether the end
 * marker is there tells a harmless warning from a file that was cut short. */
#include "io/image.h"

#include <string.h>
#include <turbojpeg.h>

typedef struct jpeg_header {
    int width, height, components;
    size_t scan; /* offset of the first scan's marker */
    const uint8_t *exif, *xmp;
    size_t exif_bytes, xmp_bytes;
} jpeg_header;

static int is_frame(int marker) /* SOF0..SOF15 without DHT, JPG and DAC, which lie between them */
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

/* An APP1 segment may be Exif or XMP. */
static void note_application(const uint8_t *d, size_t bytes, size_t at, size_t length, jpeg_header *h)
{
    static const char xmp[] = "http://ns.adobe.com/xap/1.0/";
    if (length < 2 || length - 2 > bytes - at - 4) return;
    const uint8_t *p = d + at + 4;
    size_t n = length - 2;
    if (n > 6 && memcmp(p, "Exif\0\0", 6) == 0 && !h->exif) h->exif = p, h->exif_bytes = n;
    if (n > sizeof xmp && memcmp(p, xmp, sizeof xmp) == 0 && !h->xmp) h->xmp = p, h->xmp_bytes = n;
}

/* Fills `h` from the markers up to the first scan. Returns 0, or -1 with an error recorded. */
static int walk_markers(tl_error *err, const char *name, const uint8_t *d, size_t bytes, jpeg_header *h)
{
    size_t at = 2;
    *h = (jpeg_header){0};
    while (at + 4 <= bytes) {
        if (d[at] != 0xff) { /* stray bytes between segments are skipped by every decoder */
            at++;
            continue;
        }
        int marker = d[at + 1];
        if (marker == 0xff) {
            at++;
            continue;
        }
        if (marker == 0 || marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8)) { /* no length follows */
            at += 2;
            continue;
        }
        if (marker == 0xd9) break;
        size_t length = (size_t)d[at + 2] << 8 | d[at + 3];
        if (marker == 0xda) {
            h->scan = at;
            if (h->components == 0) return tl__fail(err, TL_EFORMAT, "%s: damaged JPEG: a scan without a frame header", name);
            return 0;
        }
        if (is_frame(marker)) {
            if (length < 8 || at + 10 > bytes) break;
            h->height = d[at + 5] << 8 | d[at + 6];
            h->width = d[at + 7] << 8 | d[at + 8];
            h->components = d[at + 9];
        }
        if (marker == 0xe1) note_application(d, bytes, at, length, h);
        at += 2 + length;
    }
    return tl__fail(err, TL_EFORMAT, "%s: damaged JPEG: it ends before the picture", name);
}

int tl__jpeg_size(tl_error *err, const char *name, const uint8_t *data, size_t bytes, int *width, int *height)
{
    jpeg_header h;
    if (walk_markers(err, name, data, bytes, &h) != 0) return -1;
    int turned = tl__orientation(h.exif, h.exif_bytes, h.xmp, h.xmp_bytes) >= 5;
    *width = turned ? h.height : h.width;
    *height = turned ? h.width : h.height;
    return 0;
}

static int ends_properly(const uint8_t *d, size_t bytes, size_t scan)
{
    for (size_t i = bytes; i >= scan + 2; i--)
        if (d[i - 2] == 0xff && d[i - 1] == 0xd9) return 1;
    return 0;
}

/* The library reports the first warning only. These are about oddities that cost no pixel; all others
 * (premature end, bad Huffman code, missing restart marker) mean that part of the picture is made up. */
static int is_harmless(const char *warning)
{
    static const char *const harmless[] = {"extraneous bytes before marker", "Invalid SOS parameters", "unknown Adobe color transform",
                                           "unknown JFIF revision", "Unknown Adobe", "Inconsistent progression sequence"};
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (strstr(warning, harmless[i])) return 1;
    return 0;
}

/* The largest reduction that keeps both sides at `side` or more. */
static int reduction(const jpeg_header *h, int side)
{
    int by = 1;
    while (side > 0 && by < 8 && (h->width + 2 * by - 1) / (2 * by) >= side && (h->height + 2 * by - 1) / (2 * by) >= side) by *= 2;
    return by;
}

/* Pillow takes CMYK files to be stored inverted, as Adobe's are, and multiplies each ink by what black leaves. */
static void colour_from_cmyk(const uint8_t *cmyk, uint8_t *rgb, size_t pixels)
{
    for (size_t i = 0; i < pixels; i++) {
        unsigned left = cmyk[4 * i + 3];
        for (size_t c = 0; c < 3; c++) {
            unsigned t = (255u - cmyk[4 * i + c]) * left + 128u, ink = ((t >> 8) + t) >> 8;
            rgb[3 * i + c] = (uint8_t)(left > ink ? left - ink : 0);
        }
    }
}

static int decompress(tl_error *err, const char *name, const uint8_t *data, size_t bytes, const jpeg_header *h, int format, tl_image *out)
{
    tjhandle tj = tjInitDecompress();
    if (!tj) return tl__fail(err, TL_EMEMORY, "%s: no memory for a JPEG decoder", name);
    int status = tjDecompress2(tj, data, (unsigned long)bytes, out->data, out->width, 0, out->height, format, TJFLAG_LIMITSCANS);
    if (status != 0) {
        const char *text = tjGetErrorStr2(tj);
        int harmless = tjGetErrorCode(tj) == TJERR_WARNING && is_harmless(text);
        if (harmless && ends_properly(data, bytes, h->scan))
            status = 0;
        else
            tl__fail(err, strstr(text, "memory") ? TL_EMEMORY : TL_EFORMAT, "%s: damaged JPEG: %s", name, harmless ? "it is cut short" : text);
    }
    tjDestroy(tj);
    return status;
}

int tl__jpeg_decode(tl_error *err, const char *name, const uint8_t *data, size_t bytes, const tl_image_request *request, tl_image *out)
{
    jpeg_header h;
    if (walk_markers(err, name, data, bytes, &h) != 0) return -1;
    if (h.components != 1 && h.components != 3 && h.components != 4)
        return tl__fail(err, TL_EFORMAT, "%s: a JPEG of %d components (1, 3 and 4 are known)", name, h.components);
    if (tl__image_check_size(err, h.width, h.height) != 0) {
        tl__error_prefix(err, "%s: ", name);
        return -1;
    }
    int by = reduction(&h, request->smallest_side), width = (h.width + by - 1) / by, height = (h.height + by - 1) / by;
    /* A grey file wanted in colour is decoded grey; the caller's conversion makes three channels of it. */
    int channels = h.components == 1 ? 1 : h.components == 3 ? 3 : 4;
    tl_image raw = {0}, *to = channels == 4 ? &raw : out;
    int status = tl__image_reserve(err, to, width, height, channels);
    if (status == 0 && channels == 4) status = tl__image_reserve(err, out, width, height, 3);
    if (status != 0) {
        tl__error_prefix(err, "%s: ", name);
    } else {
        status = decompress(err, name, data, bytes, &h, channels == 1 ? TJPF_GRAY : channels == 3 ? TJPF_RGB : TJPF_CMYK, to);
        if (status == 0 && channels == 4) colour_from_cmyk(raw.data, out->data, (size_t)width * (size_t)height);
    }
    tl__image_free(&raw);
    if (status != 0) return -1;
    if (tl__image_orient(err, out, tl__orientation(h.exif, h.exif_bytes, h.xmp, h.xmp_bytes)) == 0) return 0;
    tl__error_prefix(err, "%s: ", name);
    return -1;
}
