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

/* Whether the head tells the size. */
static int known_size(const char *name, const uint8_t *d, size_t bytes, int *width, int *height)
{
    static const uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    tl_error own = {0};
    if (bytes > 4 && d[0] == 0xff && d[1] == 0xd8)
        return tl__jpeg_size(&own, name, d, bytes, width, height) == 0 && *width > 0 && *height > 0;
    return bytes > sizeof png && memcmp(d, png, sizeof png) == 0 && png_size(d, bytes, width, height);
}

static int check_size(tl_error *err, const char *name, int width, int height)
{
    if (tl__image_check_size(err, width, height) == 0) return 0;
    tl__error_prefix(err, "%s: ", name);
    return -1;
}

/* Of a picture that was read for that alone. */
static int take_size(tl_image *image, int status, int *width, int *height)
{
    *width = image->width;
    *height = image->height;
    tl__image_free(image);
    return status;
}

int tl__image_size(tl_error *err, const char *path, int *width, int *height)
{
    void *map;
    size_t bytes;
    if (tl__map_file(err, path, "a picture", &map, &bytes) != 0) return -1;
    int known = known_size(path, map, bytes, width, height);
    tl__unmap_file(map, bytes);
    if (known) return check_size(err, path, *width, *height);
    tl_image image = {0};
    return take_size(&image, tl__image_read(err, path, 0, &image), width, height);
}

int tl__image_size_memory(tl_error *err, const char *name, const void *data, size_t bytes, int *width, int *height)
{
    if (known_size(name, data, bytes, width, height)) return check_size(err, name, *width, *height);
    tl_image image = {0};
    return take_size(&image, tl__image_decode(err, name, data, bytes, &(tl_image_request){0}, &image), width, height);
}
