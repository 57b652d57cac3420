/* image_exif.c - the orientation that cameras note instead of turning the picture: read from Exif (TIFF 6.0 in its two byte orders), or from
 * XMP where that has none, and applied as Pillow's ImageOps.exif_transpose does it. */
#include "io/image.h"

#include <stdlib.h>
#include <string.h>

enum { TAG_ORIENTATION = 0x0112 };

static unsigned get(const uint8_t *p, int bytes, int big)
{
    unsigned v = 0;
    for (int i = 0; i < bytes; i++) v |= (unsigned)p[i] << 8 * (big ? bytes - 1 - i : i);
    return v;
}

/* From the first directory of a TIFF header; 0: none. */
static int from_exif(const uint8_t *d, size_t n)
{
    if (n >= 6 && memcmp(d, "Exif\0\0", 6) == 0) d += 6, n -= 6;
    if (n < 8 || (memcmp(d, "II*\0", 4) != 0 && memcmp(d, "MM\0*", 4) != 0)) return 0;
    int big = d[0] == 'M';
    size_t at = get(d + 4, 4, big);
    if (at > n - 2) return 0;
    size_t entries = get(d + at, 2, big);
    for (at += 2; entries > 0 && n >= 12 && at <= n - 12; entries--, at += 12) {
        if (get(d + at, 2, big) != TAG_ORIENTATION) continue;
        unsigned type = get(d + at + 2, 2, big);
        return type == 3 ? (int)get(d + at + 8, 2, big) : type == 4 ? (int)get(d + at + 8, 4, big) : 0;
    }
    return 0;
}

/* tiff:Orientation="6" or >6 */
static int from_xmp(const uint8_t *d, size_t n)
{
    static const char word[] = "tiff:Orientation";
    size_t m = sizeof word - 1;
    for (size_t i = 0; n >= m + 3 && i <= n - m - 3; i++) {
        if (d[i] != 't' || memcmp(d + i, word, m) != 0) continue;
        const uint8_t *p = d + i + m;
        if (p[0] == '>') return p[1] - '0';
        if (p[0] == '=' && p[1] == '"') return p[2] - '0';
    }
    return 0;
}

int tl__orientation(const uint8_t *exif, size_t exif_bytes, const uint8_t *xmp, size_t xmp_bytes)
{
    int o = exif ? from_exif(exif, exif_bytes) : 0;
    if (!o && xmp) o = from_xmp(xmp, xmp_bytes);
    return o >= 1 && o <= 8 ? o : 1;
}

int tl__image_orient(tl_error *err, tl_image *image, int orientation)
{
    /* Of each orientation: rows become columns; then columns, rows are in reverse. */
    static const struct {
        int transposed, flip_x, flip_y;
    } ways[9] = {{0, 0, 0}, {0, 0, 0}, {0, 1, 0}, {0, 1, 1}, {0, 0, 1}, {1, 0, 0}, {1, 1, 0}, {1, 1, 1}, {1, 0, 1}};
    if (orientation < 2 || orientation > 8) return 0;
    tl_image out = {0};
    int t = ways[orientation].transposed, w = t ? image->height : image->width, h = t ? image->width : image->height;
    size_t pixel = tl__image_pixel(image);
    if (tl__image_reserve_deep(err, &out, w, h, image->channels, image->depth) != 0) return -1;
    uint8_t *to = out.data;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++, to += pixel) {
            int sx = ways[orientation].flip_x ? w - 1 - x : x, sy = ways[orientation].flip_y ? h - 1 - y : y;
            size_t from = t ? (size_t)sx * (size_t)image->width + (size_t)sy : (size_t)sy * (size_t)image->width + (size_t)sx;
            memcpy(to, image->data + from * pixel, pixel);
        }
    tl__image_free(image);
    *image = out;
    return 0;
}
