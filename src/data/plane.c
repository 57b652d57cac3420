/* plane.c - height and width, each in 32 bits of this machine, and then the numbers as zlib packs them. */
#include "data/plane.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { HEAD = 2 * sizeof(int32_t) };

int tl__plane_pack(tl_error *err, const uint8_t *values, int height, int width, tl_plane *out)
{
    const int32_t head[] = {height, width};
    uLong n = (uLong)height * (uLong)width;
    uLongf room = compressBound(n);
    char *data = tl__malloc(err, HEAD + room);
    if (!data) return -1;
    memcpy(data, head, HEAD);
    if (compress2((Bytef *)data + HEAD, &room, values, n, 1) != Z_OK) {
        free(data);
        return tl__fail(err, TL_EMEMORY, "no memory to pack a mask of %d x %d pixels", width, height);
    }
    char *less = realloc(data, HEAD + room); /* what is not given back does no harm */
    *out = (tl_plane){less ? less : data, HEAD + room};
    return 0;
}

int tl__plane_unpack(tl_error *err, const tl_plane *plane, tl_image *out)
{
    int32_t head[2] = {0};
    if (plane->bytes > HEAD) memcpy(head, plane->data, HEAD);
    if (tl__image_reserve(err, out, head[1], head[0], 1) != 0) return -1;
    uLongf n = (uLongf)head[0] * (uLongf)head[1], room = n;
    if (uncompress(out->data, &room, (const Bytef *)plane->data + HEAD, plane->bytes - HEAD) == Z_OK && room == n)
        return 0;
    return tl__fail(err, TL_EFORMAT, "a packed mask of %d x %d pixels is damaged", head[1], head[0]);
}
