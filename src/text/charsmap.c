/* charsmap.c - the table by which SentencePiece's models change characters: a trie in a double array (of the units of
 * github.com/s-yata/darts-clone) and the texts that it leads to. It comes as base64 and from a stranger: every step is
 * held against its size. */
#include "text/inside.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

struct tl_charsmap {
    uint8_t *bytes; /* all of it */
    const uint8_t *unit;
    size_t units;
    const char *text;
    size_t text_bytes;
};

static int sextet(int c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Returns the bytes, or -1. */
static int64_t decode(const char *base64, uint8_t *out)
{
    uint32_t held = 0;
    int bits = 0;
    int64_t n = 0;
    for (; *base64 && *base64 != '='; base64++) {
        int v = sextet((unsigned char)*base64);
        if (v < 0) return -1;
        held = held << 6 | (uint32_t)v;
        if ((bits += 6) < 8) continue;
        bits -= 8;
        out[n++] = (uint8_t)(held >> bits);
    }
    return n;
}

static uint32_t word(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

tl_charsmap *tl__charsmap_new(tl_error *err, const char *name, const char *base64)
{
    tl_charsmap *m = tl__calloc(err, 1, sizeof *m);
    if (!m) return NULL;
    m->bytes = tl__malloc(err, strlen(base64) + 1);
    int64_t n = m->bytes ? decode(base64, m->bytes) : -1;
    if (m->bytes && (n < 4 || word(m->bytes) > (uint64_t)n - 4 || word(m->bytes) % 4)) {
        tl__fail(err, TL_EFORMAT, "%s: precompiled_charsmap is damaged; get the file anew", name);
        n = -1;
    }
    if (n < 0) {
        tl__charsmap_free(m);
        return NULL;
    }
    m->unit = m->bytes + 4;
    m->units = word(m->bytes) / 4;
    m->text = (const char *)m->unit + 4 * m->units;
    m->text_bytes = (size_t)n - 4 - 4 * m->units;
    return m;
}

void tl__charsmap_free(tl_charsmap *m)
{
    if (m) free(m->bytes);
    free(m);
}

static size_t offset_of(uint32_t unit) { return (size_t)(unit >> 10) << ((unit & 1 << 9) >> 6); }

/* The shortest text in the table that this one begins with, whatever is behind it, as the library has it. */
const char *tl__charsmap_find(const tl_charsmap *m, const char *text, size_t bytes, size_t *length)
{
    if (!m->units) return NULL;
    size_t node = offset_of(word(m->unit));
    for (size_t i = 0; i < bytes && text[i]; i++) {
        node ^= (uint8_t)text[i];
        if (node >= m->units) return NULL;
        uint32_t unit = word(m->unit + 4 * node);
        if ((unit & (1u << 31 | 255)) != (uint8_t)text[i]) return NULL;
        node ^= offset_of(unit);
        if (!(unit >> 8 & 1)) continue;
        if (node >= m->units) return NULL;
        size_t at = word(m->unit + 4 * node) & 0x7fffffff;
        if (at >= m->text_bytes) return NULL;
        const char *end = memchr(m->text + at, 0, m->text_bytes - at);
        *length = end ? (size_t)(end - m->text) - at : m->text_bytes - at;
        return tl__utf8_valid(m->text + at, *length) ? m->text + at : NULL;
    }
    return NULL;
}

/* ---- as a normalizer ---- */

/* New characters take the places of the old ones in order; what is more has none, what is fewer goes with the last. */
static int exchange(tl_error *err, tl_changes *list, const char *old, size_t old_bytes, const char *text,
                    size_t bytes)
{
    int64_t had = tl__utf8_count(old, old_bytes), has = tl__utf8_count(text, bytes), k = 0;
    for (size_t at = 0, n; at < bytes; at += n, k++)
        if (tl__changes_add(err, list, tl__utf8_read(text + at, &n), k >= had) != 0) return -1;
    if (has < had && list->count) list->at[list->count - 1].change += (int16_t)(has - had);
    return 0;
}

/* The end of the grapheme cluster at `at`. */
static size_t cluster_end(const char *text, size_t bytes, size_t at)
{
    size_t n;
    utf8proc_int32_t state = 0, last = tl__utf8_read(text + at, &n);
    for (at += n; at < bytes; at += n) {
        int32_t next = tl__utf8_read(text + at, &n);
        if (utf8proc_grapheme_break_stateful(last, next, &state)) break;
        last = next;
    }
    return at;
}

static int map_piece(tl_error *err, const tl_text_step *s, tl_cursor *c)
{
    const char *text = c->w->now.text + c->begin, *found;
    size_t bytes = c->end - c->begin, length = 0;
    tl_changes *list = &c->w->changes;
    list->count = 0;
    for (size_t at = 0, end; at < bytes; at = end) {
        end = cluster_end(text, bytes, at);
        if (end - at < 6 && (found = tl__charsmap_find(s->map, text + at, end - at, &length)) != NULL) {
            if (exchange(err, list, text + at, end - at, found, length) != 0) return -1;
            continue;
        }
        for (size_t k = at, n; k < end; k += n) {
            int32_t point = tl__utf8_read(text + k, &n);
            found = tl__charsmap_find(s->map, text + k, n, &length);
            if ((found ? exchange(err, list, text + k, n, found, length) : tl__changes_add(err, list, point, 0)) != 0)
                return -1;
        }
    }
    for (size_t i = 0; i < list->count; i++)
        if (tl__cursor_put(err, c, list->at[i].point, list->at[i].change) != 0) return -1;
    return 0;
}

int tl__run_charsmap(tl_error *err, const tl_text_step *s, tl_text_work *w)
{
    return tl__work_each(err, w, s, map_piece);
}
