/* unicode.c - classes of characters and normalization. utf8proc has the tables of decomposition; what is newer than the
 * normalizers of the files know is left alone. Which character of the result stands for which of the text is kept, as
 * offsets of tokens need it, and that is what utf8proc's own functions do not tell. */
#include "text/unicode.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define POINTS 0x110000

static uint16_t *classes;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_classes(void)
{
    uint16_t *all = malloc(POINTS * sizeof *all);
    for (int i = 0; all && i < tl__unicode_row_count; i++) {
        int32_t end = i + 1 < tl__unicode_row_count ? tl__unicode_rows[i + 1].first : POINTS;
        for (int32_t c = tl__unicode_rows[i].first; c < end; c++) all[c] = tl__unicode_rows[i].classes;
    }
    classes = all;
}

const uint16_t *tl__unicode_classes(tl_error *err)
{
    pthread_once(&once, make_classes);
    if (!classes) tl__fail(err, TL_EMEMORY, "no memory for the classes of characters");
    return classes;
}

int tl__unicode_is_space(int32_t c)
{
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
           c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Pairs of capital and small letter since Unicode 15.1, which utf8proc 2.8 has not. */
static const struct {
    int32_t first, last, to;
} capitals[] = {{0x1c89, 0x1c89, 0x1c8a},    {0xa7cb, 0xa7cb, 0x264},     {0xa7cc, 0xa7cc, 0xa7cd},
                {0xa7ce, 0xa7ce, 0xa7cf},    {0xa7d2, 0xa7d2, 0xa7d3},    {0xa7d4, 0xa7d4, 0xa7d5},
                {0xa7da, 0xa7da, 0xa7db},    {0xa7dc, 0xa7dc, 0x19b},     {0x10d50, 0x10d65, 0x10d70},
                {0x16ea0, 0x16eb8, 0x16ebb}};

int tl__unicode_lower(int32_t point, int32_t out[2])
{
    if (point < 128) {
        out[0] = point >= 'A' && point <= 'Z' ? point + 32 : point;
        return 1;
    }
    if (point == 0x130) { /* I with a dot: i, and the dot as a mark (SpecialCasing.txt) */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    out[0] = utf8proc_tolower(point);
    for (size_t i = 0; i < sizeof capitals / sizeof *capitals; i++)
        if (point >= capitals[i].first && point <= capitals[i].last)
            out[0] = capitals[i].to + (point - capitals[i].first);
    return 1;
}

/* ---- UTF-8 ---- */

int32_t tl__utf8_read(const char *text, size_t *bytes)
{
    const uint8_t *t = (const uint8_t *)text;
    if (t[0] < 0x80) return *bytes = 1, t[0];
    if (t[0] < 0xe0) return *bytes = 2, (t[0] & 31) << 6 | (t[1] & 63);
    if (t[0] < 0xf0) return *bytes = 3, (t[0] & 15) << 12 | (t[1] & 63) << 6 | (t[2] & 63);
    return *bytes = 4, (t[0] & 7) << 18 | (t[1] & 63) << 12 | (t[2] & 63) << 6 | (t[3] & 63);
}

int64_t tl__utf8_count(const char *text, size_t bytes)
{
    int64_t n = 0;
    for (size_t i = 0; i < bytes; i++) n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

size_t tl__utf8_write(int32_t point, char *out)
{
    return (size_t)utf8proc_encode_char(point, (utf8proc_uint8_t *)out);
}

/* ---- normalization ---- */

int tl__changes_add(tl_error *err, tl_changes *c, int32_t point, int change)
{
    if (c->count == c->room) {
        size_t room = c->room ? 2 * c->room : 64;
        tl_change *more = tl__realloc(err, c->at, room * sizeof *more);
        if (!more) return -1;
        c->at = more;
        c->room = room;
    }
    c->at[c->count++] = (tl_change){.point = point, .change = (int16_t)change};
    return 0;
}

enum { HANGUL = 0xac00, HANGULS = 11172, LEAD = 0x1100, VOWEL = 0x1161, TAIL = 0x11a7 };

static int class_of(const uint16_t *known, int32_t point)
{
    if (point < 0x300 || (known[point] & TL_CHAR_INERT)) return 0;
    return (int)utf8proc_get_property(point)->combining_class;
}

/* The decomposition of one character, at most 18 of them (U+FDFA). */
static int decompose(const uint16_t *known, int32_t point, int compatible, int32_t out[32])
{
    if (point >= HANGUL && point < HANGUL + HANGULS) {
        int32_t s = point - HANGUL, tail = s % 28;
        out[0] = LEAD + s / 588;
        out[1] = VOWEL + s % 588 / 28;
        out[2] = TAIL + tail;
        return tail ? 3 : 2;
    }
    out[0] = point;
    if (point < 0xa0 || (known[point] & TL_CHAR_INERT)) return 1;
    utf8proc_ssize_t n = utf8proc_decompose_char(
        point, out, 32, compatible ? UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT : UTF8PROC_DECOMPOSE, NULL);
    return n >= 1 && n <= 32 ? (int)n : 1;
}

/* What two characters make together; -1: nothing. */
static int32_t compose(const uint16_t *known, int32_t a, int32_t b)
{
    if (a >= LEAD && a < LEAD + 19 && b >= VOWEL && b < VOWEL + 21)
        return HANGUL + (a - LEAD) * 588 + (b - VOWEL) * 28;
    if (a >= HANGUL && a < HANGUL + HANGULS && (a - HANGUL) % 28 == 0 && b > TAIL && b < TAIL + 28)
        return a + (b - TAIL);
    if (b < 0x300 || utf8proc_get_property(a)->comb_index == UINT16_MAX ||
        utf8proc_get_property(b)->comb_index == UINT16_MAX)
        return -1;
    utf8proc_int32_t pair[3] = {a, b, 0};
    if (utf8proc_normalize_utf32(pair, 2, UTF8PROC_COMPOSE | UTF8PROC_STABLE) != 1) return -1;
    return known[pair[0]] & TL_CHAR_INERT ? -1 : pair[0];
}

/* A few marks by insertion; thousands, which no language has, by counting. */
static int order_run(tl_error *err, tl_change *at, size_t count)
{
    if (count > 32) {
        size_t begins[257] = {0};
        tl_change *copy = tl__malloc(err, count * sizeof *copy);
        if (!copy) return -1;
        memcpy(copy, at, count * sizeof *copy);
        for (size_t i = 0; i < count; i++) begins[copy[i].class + 1]++;
        for (int k = 0; k < 256; k++) begins[k + 1] += begins[k];
        for (size_t i = 0; i < count; i++) at[begins[copy[i].class]++] = copy[i];
        free(copy);
        return 0;
    }
    for (size_t i = 1; i < count; i++) {
        tl_change own = at[i];
        size_t k = i;
        for (; k > 0 && at[k - 1].class > own.class; k--) at[k] = at[k - 1];
        at[k] = own;
    }
    return 0;
}

/* Marks between two starters stand in the order of their classes; those of one class keep theirs. */
static int order_marks(tl_error *err, tl_change *at, size_t count)
{
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i; end < count && at[end].class; end++) {}
        if (end > i + 1 && order_run(err, at + i, end - i) != 0) return -1;
        end += end == i;
    }
    return 0;
}

/* In place: the result is never longer. A starter waits (`first`, written when its marks are through), and so do marks
 * that it did not take. */
static void compose_all(const uint16_t *known, tl_changes *c)
{
    size_t used = 0, first = SIZE_MAX;
    int last = -1; /* the class of the last mark that waits */
    for (size_t i = 0; i < c->count; i++) {
        tl_change own = c->at[i];
        if (first == SIZE_MAX) {
            if (!own.class) first = used, last = -1;
            c->at[used++] = own;
            continue;
        }
        tl_change *starter = &c->at[first];
        int32_t made = last < own.class || last < 0 ? compose(known, starter->point, own.point) : -1;
        if (made >= 0) {
            starter->point = made;
            starter->change = (int16_t)(starter->change + own.change - 1);
            continue;
        }
        if (!own.class) first = used, last = -1;
        else last = own.class;
        c->at[used++] = own;
    }
    c->count = used;
}

int tl__unicode_normalize(tl_error *err, int form, const char *text, size_t bytes, tl_changes *out)
{
    const uint16_t *known = tl__unicode_classes(err);
    out->count = 0;
    if (!known) return -1;
    for (size_t at = 0, n; at < bytes; at += n) {
        int32_t parts[32];
        int count = decompose(known, tl__utf8_read(text + at, &n), form & 2, parts);
        for (int i = 0; i < count; i++) {
            if (tl__changes_add(err, out, parts[i], i > 0) != 0) return -1;
            out->at[out->count - 1].class = (uint8_t)class_of(known, parts[i]);
        }
    }
    if (order_marks(err, out->at, out->count) != 0) return -1;
    if (!(form & 1)) compose_all(known, out);
    return 0;
}

int tl__unicode_is_normal(int form, const char *text, size_t bytes)
{
    int32_t plain = form == TL_FORM_NFC ? 0x300 : form == TL_FORM_NFD ? 0xc0 : 0xa0;
    for (size_t at = 0, n; at < bytes; at += n) {
        if (!((unsigned char)text[at] & 0x80)) {
            n = 1;
            continue;
        }
        int32_t c = tl__utf8_read(text + at, &n);
        if (c < plain || (c >= 0x4e00 && c <= 0x9fff)) continue;
        if (!(form & 1) && c >= HANGUL && c < HANGUL + HANGULS) continue;
        return 0;
    }
    return 1;
}
