/* columns.c - columns of a terminal and clusters; the tables are utf8proc's, of Unicode 14. Where it knows one
 * width for what never stands alone, the C library's are taken, which terminals follow: spacing marks (Devanagari's
 * vowels) have a column, vowels and finals of decomposed Hangul none. */
#include "base/columns.h"

#include "base/text.h"

#include <utf8proc.h>

static int is_joined_hangul(int32_t c) { return (c >= 0x1160 && c <= 0x11ff) || (c >= 0xd7b0 && c <= 0xd7ff); }

static int columns_of(int32_t point)
{
    if (is_joined_hangul(point)) return 0;
    if (utf8proc_category(point) == UTF8PROC_CATEGORY_MC) return 1;
    return utf8proc_charwidth(point);
}

/* The next character, -1 for a byte that is no UTF-8, and its bytes. */
static int32_t next(const char *text, size_t bytes, size_t *n)
{
    utf8proc_int32_t point = -1;
    *n = tl__utf8_length(text, bytes);
    if (*n) utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)*n, &point);
    else *n = 1;
    return point;
}

int64_t tl__columns(const char *text, size_t bytes)
{
    int64_t all = 0;
    for (size_t at = 0, n; at < bytes; at += n) {
        int32_t point = next(text + at, bytes - at, &n);
        all += point < 0 ? 1 : columns_of(point);
    }
    return all;
}

/* Rule GB9c, newer than utf8proc 2.8: consonants that a virama joins are one, in the six scripts of India that have
 * it. */
static int is_virama(int32_t c)
{
    return c == 0x94d || c == 0x9cd || c == 0xacd || c == 0xb4d || c == 0xc4d || c == 0xd4d;
}

static int joins(int32_t virama, int32_t c)
{
    int at = c & 0x7f;
    int consonant = (at >= 0x15 && at <= 0x3a) || (at >= 0x58 && at <= 0x5f);
    return is_virama(virama) && consonant && (c & ~0x7f) == (virama & ~0x7f) &&
           utf8proc_category(c) == UTF8PROC_CATEGORY_LO;
}

size_t tl__cluster(const char *text, size_t bytes, int64_t *columns)
{
    size_t at = 0, n;
    utf8proc_int32_t state = 0, last = -1, virama = 0;
    int64_t wide = 0;
    while (at < bytes) {
        int32_t point = next(text + at, bytes - at, &n);
        if (at > 0 && (point < 0 || last < 0)) break;
        if (at > 0 && utf8proc_grapheme_break_stateful(last, point, &state) && !joins(virama, point)) break;
        if (is_virama(point)) virama = point;
        else if (point != 0x200d && utf8proc_category(point) != UTF8PROC_CATEGORY_MN) virama = 0;
        wide += point < 0 ? 1 : columns_of(point);
        last = point;
        at += n;
    }
    if (columns) *columns = wide;
    return at;
}

size_t tl__columns_fit(const char *text, size_t bytes, int64_t most, int from_end)
{
    int64_t left = from_end ? tl__columns(text, bytes) - most : most, wide;
    size_t at = 0;
    while (at < bytes) {
        size_t n = tl__cluster(text + at, bytes - at, &wide);
        if (from_end ? left <= 0 : wide > left) break;
        left -= wide;
        at += n;
    }
    return from_end ? bytes - at : at;
}
