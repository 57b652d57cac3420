/* text.c - what must not depend on where a program runs: UTF-8, JSON, and the point of decimal numbers. A program may call
 * setlocale(LC_ALL, "") and live in a country with a decimal comma; a file written there is read elsewhere. */
#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- UTF-8 ---- */

size_t tl__utf8_length(const char *text, size_t bytes)
{
    const unsigned char *p = (const unsigned char *)text;
    if (bytes == 0) return 0;
    unsigned c = p[0], more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xf0 && c < 0xf5 ? 3 : 9;
    if (more >= bytes) return 0;
    if (more >= 2 && ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) || (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f)))
        return 0;
    for (unsigned i = 1; i <= more; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    return more + 1;
}

int tl__utf8_valid(const char *text, size_t bytes)
{
    while (bytes) {
        size_t n = tl__utf8_length(text, bytes);
        if (n == 0) return 0;
        text += n;
        bytes -= n;
    }
    return 1;
}

/* ---- numbers ---- */

locale_t tl__point_begin(void)
{
    /* Made by whoever comes first; two at once make two, and one of them is left over. The C locale of glibc and musl takes no memory. */
    static _Atomic(locale_t) c_locale;
    locale_t c = c_locale;
    if (!c) c_locale = c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return uselocale(c);
}

void tl__point_end(locale_t before) { uselocale(before); }

double tl__read_number(const char *text, char **end)
{
    locale_t before = tl__point_begin();
    double v = strtod(text, end);
    tl__point_end(before);
    return v;
}

int tl__print(char *out, size_t size, const char *format, ...)
{
    locale_t before = tl__point_begin();
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(out, size, format, ap);
    va_end(ap);
    tl__point_end(before);
    return n;
}

/* ---- JSON ---- */

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;
    int n = at ? (int)(at - digits) : -1;
    return n > 15 ? n - 6 : n;
}

/* The byte that \udc80 ... \udcff at p[0..5] stands for; -1 for anything else. */
static int escaped_byte(const char *p, size_t bytes)
{
    if (bytes < 6 || p[1] != 'u' || hex_digit(p[2]) != 13 || hex_digit(p[3]) != 12) return -1;
    int high = hex_digit(p[4]), low = hex_digit(p[5]);
    return high < 8 || low < 0 ? -1 : 16 * high + low;
}

/* Is it \ud800 ... \udbff, the first half of a pair? */
static int is_high_surrogate(const char *p, size_t bytes)
{
    return bytes >= 6 && p[1] == 'u' && hex_digit(p[2]) == 13 && hex_digit(p[3]) >= 8 && hex_digit(p[3]) < 12;
}

/* ---- whole numbers of 64 bits ---- */

enum { EXACT = 16 }; /* digits from which on a double may be another number */

/* Length of the number that `text` begins with, and its value where it is a whole one of 64 bits that a double might not hold. */
static size_t number_at(const char *text, int64_t *v, int *large)
{
    size_t digits = text[0] == '-', n = strspn(text, "+-.0123456789eE"), start = digits;
    digits += strspn(text + digits, "0123456789");
    *large = 0;
    if (digits != n || n - start < EXACT || n - start > 19) return n;
    char copy[24], *end;
    memcpy(copy, text, n);
    copy[n] = 0;
    errno = 0;
    *v = strtoll(copy, &end, 10);
    *large = errno == 0 && !*end;
    return n;
}

/* The next number of `text` after *at, outside of strings; 0 at the end. cJSON's items come in the same order. */
static int next_number(const char *text, size_t *at, int64_t *v, int *large)
{
    for (size_t i = *at; text[i]; i++) {
        if (text[i] == '"') {
            for (i++; text[i] && text[i] != '"'; i++)
                if (text[i] == '\\' && text[i + 1]) i++;
            if (!text[i]) return 0;
        } else if (text[i] == '-' || (text[i] >= '0' && text[i] <= '9')) {
            *at = i + number_at(text + i, v, large);
            return 1;
        }
    }
    return 0;
}

/* Numbers get the digits that they were read from as a text, where a double might not hold them. */
static void keep_digits(cJSON *j, const char *text, size_t *at)
{
    int64_t v;
    int large;
    char digits[24];
    for (; j; j = j->next) {
        if (cJSON_IsNumber(j) && next_number(text, at, &v, &large) && large) {
            snprintf(digits, sizeof digits, "%lld", (long long)v);
            if ((j->valuestring = cJSON_malloc(strlen(digits) + 1))) memcpy(j->valuestring, digits, strlen(digits) + 1);
        }
        keep_digits(j->child, text, at);
    }
}

cJSON *tl__json_whole(int64_t v)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", (long long)v);
    return strlen(digits) < EXACT ? cJSON_CreateNumber((double)v) : cJSON_CreateRaw(digits);
}

int tl__json_is_whole(const cJSON *j, int64_t *v)
{
    if (!cJSON_IsNumber(j)) return 0;
    if (j->valuestring) *v = strtoll(j->valuestring, NULL, 10);
    else if (j->valuedouble == floor(j->valuedouble) && fabs(j->valuedouble) < 9e15) *v = (int64_t)j->valuedouble;
    else return 0;
    return 1;
}

/* Tells where `own` stops to be JSON, at `at`: the line, the byte in it, and what stands there. */
static void say_place(const char *own, const char *at, char place[TL_JSON_PLACE])
{
    int64_t line = 1;
    const char *begin = own;
    for (const char *p = own; p < at; p++)
        if (*p == '\n') line++, begin = p + 1;
    int n = snprintf(place, TL_JSON_PLACE, "line %lld, byte %lld", (long long)line, (long long)(at - begin) + 1);
    if (!*at) {
        snprintf(place + n, TL_JSON_PLACE - (size_t)n, ", where the text ends");
        return;
    }
    char shown[TL_JSON_PLACE] = {0};
    for (size_t i = 0; i < 24 && at[i] && at[i] != '\n'; i++)
        shown[i] = at[i] >= ' ' && at[i] <= '~' ? at[i] : '?';
    snprintf(place + n, TL_JSON_PLACE - (size_t)n, ": '%s'", shown);
}

/* cJSON refuses lone surrogates, so those that stand for bytes are bytes before it sees them. */
cJSON *tl__json_parse_at(const char *text, size_t bytes, char *place)
{
    const char *end = NULL;
    if (place) *place = 0;
    char *own = tl__malloc(NULL, bytes + 1);
    if (!own) return NULL;
    size_t n = 0;
    for (size_t i = 0; i < bytes;) {
        size_t left = bytes - i, take = text[i] != '\\' ? 1 : left < 2 ? left : 2;
        int byte = text[i] == '\\' ? escaped_byte(text + i, left) : -1;
        if (text[i] == '\\' && is_high_surrogate(text + i, left)) take = left < 12 ? left : 12;
        if (byte >= 0) {
            own[n++] = (char)byte;
            i += 6;
            continue;
        }
        memcpy(own + n, text + i, take);
        n += take;
        i += take;
    }
    own[n] = 0;
    locale_t before = tl__point_begin();
    cJSON *j = memchr(own, 0, n) ? NULL : cJSON_ParseWithOpts(own, &end, 1);
    tl__point_end(before);
    if (!j && place) say_place(own, end ? end : own + strlen(own), place);
    size_t at = 0;
    keep_digits(j, own, &at);
    free(own);
    return j;
}

cJSON *tl__json_parse(const char *text, size_t bytes) { return tl__json_parse_at(text, bytes, NULL); }

/* `text` with each byte that is no UTF-8 as six characters. cJSON copies such bytes, and they stand inside strings only. */
static char *escape_bytes(tl_error *err, const char *text)
{
    size_t bytes = strlen(text), bad = 0, n = 0;
    for (size_t i = 0, k; i < bytes; i += k ? k : 1) {
        k = tl__utf8_length(text + i, bytes - i);
        bad += k == 0;
    }
    char *out = tl__malloc(err, bytes + 5 * bad + 1);
    for (size_t i = 0, k; out && i < bytes; i += k ? k : 1) {
        k = tl__utf8_length(text + i, bytes - i);
        if (k == 0) n += (size_t)snprintf(out + n, 7, "\\udc%02x", (unsigned char)text[i]);
        memcpy(out + n, text + i, k);
        n += k;
    }
    if (out) out[n] = 0;
    return out;
}

char *tl__json_text(tl_error *err, const cJSON *j, int indented)
{
    locale_t before = tl__point_begin();
    char *text = indented ? cJSON_Print(j) : cJSON_PrintUnformatted(j);
    tl__point_end(before);
    if (!text) {
        tl__fail(err, TL_EMEMORY, "no host memory for a text in JSON");
        return NULL;
    }
    char *whole = escape_bytes(err, text);
    cJSON_free(text);
    return whole;
}
