/* characters.c - what Unicode says of the characters of a text; the tables are utf8proc's. */
#include "base/characters.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

int tl__character(const char *text, size_t bytes, tl_character *out)
{
    utf8proc_int32_t point;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)bytes, &point);
    if (n <= 0) return -1;
    *out = (tl_character){.bytes = (size_t)n, .point = point, .category = utf8proc_category_string(point)};
    return 0;
}

char *tl__text_lower(tl_error *err, const char *text)
{
    size_t bytes = strlen(text), at = 0, used = 0;
    char *out = tl__malloc(err, 4 * bytes + 1); /* a small letter may take more bytes than its capital */
    tl_character c;
    while (out && at < bytes && tl__character(text + at, bytes - at, &c) == 0) {
        used += (size_t)utf8proc_encode_char(utf8proc_tolower(c.point), (utf8proc_uint8_t *)out + used);
        at += c.bytes;
    }
    if (out && at < bytes) {
        tl__fail(err, TL_EFORMAT, "byte %zu of a text is no UTF-8", at + 1);
        free(out);
        return NULL;
    }
    if (out) out[used] = 0;
    return out;
}
