/* image_size.c - how large a picture is as it is read, turned upright, without its pixels where its head tells. */
#include "io/image.h"

#include <string.h>

static uint32_t big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The size in a PNG's head where no chunk may turn it; 0 where one may, or it is damaged. */
static int png_size(const uint8_t *d, size_t bytes, int *width, int *height)
{
    static const char turning[][5] = {"eXIf", "iTXt", "zTXt", "tEXt"};
    if (bytes < 33 || memcmp(d + 12, "IHDR", 4) != 0) return 0;
    uint32_t w = big_endian(d + 16), h = big_endian(d + 20);
    for (size_t at = 8; at + 12 <= bytes;) {
        size_t length = big_endian(d + at);
        for (size_t k = 0; k < sizeof turning / sizeof *turning; k++)
            if (memcmp(d + at + 4, turning[k], 4) == 0) return 0;
        if (length > bytes - at - 12) break;
        at += 12 + length;
    }
    if (w == 0 || h == 0 || w > INT32_MAX || h > INT32_MAX) return 0;
    *width = (int)w;
    *height = (int)h;
    return 1;
}

int tl__image_size(tl_error *err, const char *path, int *width, int *height)
{
    static const uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    void *map;
    size_t bytes;
    if (tl__map_file(err, path, "a picture", &map, &bytes) != 0) return -1;
    const uint8_t *d = map;
    tl_error own = {0};
    int known = 0;
    if (bytes > 4 && d[0] == 0xff && d[1] == 0xd8)
        known = tl__jpeg_size(&own, path, d, bytes, width, height) == 0 && *width > 0 && *height > 0;
    else if (bytes > sizeof png && memcmp(d, png, sizeof png) == 0) known = png_size(d, bytes, width, height);
    tl__unmap_file(map, bytes);
    if (known) return tl__image_check_size(err, *width, *height) == 0 ? 0 : (tl__error_prefix(err, "%s: ", path), -1);
    tl_image image = {0};
    int status = tl__image_read(err, path, 0, &image);
    *width = image.width;
    *height = image.height;
    tl__image_free(&image);
    return status;
}
