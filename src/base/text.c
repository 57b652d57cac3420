/* text.c - what must not depend on where a program runs: UTF-8, JSON, and the point of decimal numbers. A program may call
 * setlocale(LC_ALL, "") and live in a country with a decimal comma; a file written there is read elsewhere. */
#include "base/text.h"

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

/* cJSON refuses lone surrogates, so those that stand for bytes are bytes before it sees them. */
cJSON *tl__json_parse(const char *text, size_t bytes)
{
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
    cJSON *j = memchr(own, 0, n) ? NULL : cJSON_ParseWithOpts(own, NULL, 1);
    tl__point_end(before);
    free(own);
    return j;
}

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
