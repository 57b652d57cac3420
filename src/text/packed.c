/* packed.c - texts as zlib packs them. */
#include "text/packed.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { LEVEL = 6, LEAST_SHARE = 1100 }; /* deflate makes nothing smaller than a thousandth */

uint8_t *tl__text_pack(tl_error *err, const char *text, size_t bytes, size_t *packed)
{
    if (bytes > TL_PACKED_MOST) {
        tl__fail(err, TL_EARG, "a text of %zu bytes; 1 GiB is the most that is packed", bytes);
        return NULL;
    }
    uLongf room = compressBound((uLong)bytes);
    uint8_t *to = tl__malloc(err, TL_PACKED_HEAD + room);
    if (!to) return NULL;
    for (int i = 0; i < TL_PACKED_HEAD; i++) to[i] = (uint8_t)((uint64_t)bytes >> (8 * i));
    if (compress2(to + TL_PACKED_HEAD, &room, (const Bytef *)text, (uLong)bytes, LEVEL) != Z_OK) {
        tl__fail(err, TL_EMEMORY, "no memory to pack a text of %zu bytes", bytes);
        free(to);
        return NULL;
    }
    *packed = TL_PACKED_HEAD + room;
    return to;
}

char *tl__text_unpack(tl_error *err, const char *name, const uint8_t *packed, size_t count, size_t *bytes)
{
    uint64_t length = 0;
    for (int i = 0; i < TL_PACKED_HEAD && count >= TL_PACKED_HEAD; i++) length |= (uint64_t)packed[i] << (8 * i);
    if (count < TL_PACKED_HEAD || length > TL_PACKED_MOST || length / LEAST_SHARE > count) {
        tl__fail(err, TL_EFORMAT, "%s is damaged: %zu bytes cannot hold a text of %llu", name, count,
                 (unsigned long long)length);
        return NULL;
    }
    char *text = tl__malloc(err, (size_t)length + 1);
    uLongf room = (uLongf)length;
    if (!text) return NULL;
    if (uncompress((Bytef *)text, &room, packed + TL_PACKED_HEAD, (uLong)(count - TL_PACKED_HEAD)) != Z_OK ||
        room != length) {
        tl__fail(err, TL_EFORMAT, "%s is damaged: what is packed there cannot be unpacked", name);
        free(text);
        return NULL;
    }
    text[length] = 0;
    *bytes = (size_t)length;
    return text;
}
