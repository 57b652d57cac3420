/* line.c - a line of text becomes glyphs: embedding levels (Unicode Standard Annex 9, by FriBidi), a font for each
 * cluster, runs of one level, script and font in the order in which they are seen, and shaping (HarfBuzz). The
 * direction of the line is that of its first strong character, as of HTML's dir=auto. */
#include "draw/line.h"

#include "base/columns.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { MOST = TL_LINE_CHARACTERS + 3, REPLACED = 0xFFFD, JOINER = 0x200C };

/* ---- reading ---- */

static int32_t shown(int32_t point)
{
    utf8proc_category_t c = utf8proc_category(point);
    return c == UTF8PROC_CATEGORY_CC || c == UTF8PROC_CATEGORY_ZL || c == UTF8PROC_CATEGORY_ZP ? REPLACED : point;
}

/* Up to `most` characters as UTF-8, of at most four bytes each; whether there are more. */
static int clean(char *out, int most, const char *text, const char *end)
{
    int count = 0;
    while (text < end && count < most) {
        size_t n = tl__utf8_length(text, (size_t)(end - text));
        utf8proc_int32_t point = REPLACED;
        if (n > 0) utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, &point);
        out += utf8proc_encode_char(shown(point), (utf8proc_uint8_t *)out);
        text += n > 0 ? n : 1;
        count++;
    }
    *out = 0;
    return text < end;
}

void tl__line_read(tl_line *l, const char *text, const char *end)
{
    static char bytes[4 * TL_LINE_CHARACTERS + 1];
    utf8proc_uint8_t *composed = NULL;
    l->more = clean(bytes, TL_LINE_CHARACTERS, text, end);
    l->count = 0;
    utf8proc_map((const utf8proc_uint8_t *)bytes, 0, &composed, UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    const char *p = composed ? (const char *)composed : bytes; /* not composed where memory is short: fonts do it too */
    size_t left = strlen(p);
    while (left > 0 && l->count < TL_LINE_CHARACTERS) {
        size_t cluster = tl__cluster(p, left, NULL);
        for (size_t at = 0; at < cluster && l->count < TL_LINE_CHARACTERS;) {
            utf8proc_int32_t point = REPLACED;
            size_t n = tl__utf8_length(p + at, cluster - at);
            if (n > 0) utf8proc_iterate((const utf8proc_uint8_t *)p + at, (utf8proc_ssize_t)n, &point);
            at += n > 0 ? n : 1;
            l->ends[l->count] = at >= cluster;
            l->point[l->count++] = (uint32_t)point;
        }
        p += cluster;
        left -= cluster;
    }
    if (l->count > 0) l->ends[l->count - 1] = 1;
    l->more |= left > 0;
    free(composed);
}

const char *tl__line_language(const tl_line *l)
{
    const char *language = "";
    for (int i = 0; i < l->count; i++) {
        uint32_t c = l->point[i];
        if ((c >= 0xAC00 && c <= 0xD7FF) || (c >= 0x1100 && c <= 0x11FF) || (c >= 0x3130 && c <= 0x318F)) return "ko";
        if (c >= 0x3040 && c <= 0x30FF) language = "ja";
    }
    return language;
}

/* ---- fonts and runs ---- */

/* The text on its way: its first `count` characters, perhaps with dots behind them. */
typedef struct work {
    int count;
    uint32_t point[MOST];
    uint8_t ends[MOST];
    FriBidiLevel level[MOST];
    hb_script_t script[MOST];
    tl_font *font[MOST];
} work;

static int ignorable(uint32_t c)
{
    int selector = (c >= 0xFE00 && c <= 0xFE0F) || c == 0x034F;
    return selector || utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_CF;
}

static int has_all(const tl_font *f, const uint32_t *point, int count)
{
    for (int i = 0; i < count; i++)
        if (!ignorable(point[i]) && !tl__font.FcCharSetHasChar(f->covers, point[i])) return 0;
    return 1;
}

/* The first font with all of a cluster; NULL: none. What belongs to no script (blanks, digits) stays in the font
 * before it. */
static tl_font *font_of(tl_fonts *fonts, tl_font *before, const uint32_t *point, int count, hb_script_t script, int em)
{
    if (before && script == HB_SCRIPT_COMMON && has_all(before, point, count)) return before;
    for (int i = 0; i < fonts->count; i++)
        if (has_all(&fonts->at[i], point, count) && tl__font_set(&fonts->at[i], em) == 0) return &fonts->at[i];
    return NULL;
}

/* Is it worth a word that no font has it? Nobody has unassigned and private characters, and U+FFFD stands for what
 * is none. */
static int is_letter(uint32_t c)
{
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return c != REPLACED && k != UTF8PROC_CATEGORY_CN && k != UTF8PROC_CATEGORY_CO;
}

/* A font for each character. A cluster that no font has becomes '?'. */
static void choose_fonts(tl_line *l, work *w, tl_fonts *fonts)
{
    tl_font *before = NULL;
    for (int from = 0, to; from < w->count; from = to) {
        for (to = from + 1; to < w->count && !w->ends[to - 1]; to++) {}
        tl_font *f = font_of(fonts, before, w->point + from, to - from, w->script[from], l->em);
        if (!f) {
            if (!l->missing && is_letter(w->point[from])) l->missing = (int32_t)w->point[from];
            w->point[from] = '?';
            for (int i = from + 1; i < to; i++) w->point[i] = JOINER; /* it is not seen */
            f = font_of(fonts, before, w->point + from, 1, HB_SCRIPT_COMMON, l->em);
        }
        for (int i = from; i < to; i++) w->font[i] = f;
        before = f ? f : before;
    }
}

/* What belongs to no script takes that before it, at the beginning that behind it. */
static void choose_scripts(work *w)
{
    hb_unicode_funcs_t *of = tl__font.hb_unicode_funcs_get_default();
    for (int i = 0; i < w->count; i++) w->script[i] = tl__font.hb_unicode_script(of, w->point[i]);
}

static void spread_scripts(work *w)
{
    hb_script_t last = HB_SCRIPT_COMMON;
    for (int i = 0; i < w->count; i++) {
        if (w->script[i] == HB_SCRIPT_COMMON || w->script[i] == HB_SCRIPT_INHERITED) w->script[i] = last;
        last = w->script[i];
    }
    for (int i = w->count - 1; i >= 0; i--) {
        if (w->script[i] == HB_SCRIPT_COMMON) w->script[i] = last;
        last = w->script[i];
    }
}

static void choose_levels(work *w)
{
    static FriBidiCharType type[MOST];
    static FriBidiBracketType bracket[MOST];
    FriBidiParType direction = FRIBIDI_PAR_ON;
    tl__font.fribidi_get_bidi_types(w->point, w->count, type);
    tl__font.fribidi_get_bracket_types(w->point, w->count, type, bracket);
    if (!tl__font.fribidi_get_par_embedding_levels_ex(type, bracket, w->count, &direction, w->level))
        memset(w->level, 0, sizeof w->level); /* no memory: from left to right */
}

typedef struct run {
    int from, to;
    FriBidiLevel level;
} run;

static int find_runs(const work *w, run *runs)
{
    int count = 0;
    for (int i = 0; i < w->count; i++) {
        int same = i > 0 && w->level[i] == w->level[i - 1] && w->font[i] == w->font[i - 1];
        same = same && w->script[i] == w->script[i - 1];
        if (!same) runs[count++] = (run){.from = i, .level = w->level[i]};
        runs[count - 1].to = i + 1;
    }
    return count;
}

/* Rule L2: from the highest level to the lowest odd one, whatever lies at it or above is turned around. */
static void order_runs(run *runs, int count)
{
    int highest = 0;
    for (int i = 0; i < count; i++)
        if (runs[i].level > highest) highest = runs[i].level;
    for (int level = highest; level > 0; level--) {
        for (int from = 0, to; from < count; from = to) {
            for (to = from; to < count && runs[to].level >= level; to++) {}
            for (int a = from, b = to - 1; a < b; a++, b--) {
                run r = runs[a];
                runs[a] = runs[b];
                runs[b] = r;
            }
            if (to == from) to++;
        }
    }
}

/* ---- glyphs ---- */

static void add_ink(tl_line *l, const tl_placed_glyph *g)
{
    hb_glyph_extents_t e;
    if (!tl__font.hb_font_get_glyph_extents(g->font->shaper, g->number, &e) || e.width == 0) return;
    int left = g->x + e.x_bearing, top = g->y + e.y_bearing;
    if (left < l->left) l->left = left;
    if (left + e.width > l->width) l->width = left + e.width;
    if (top > l->top) l->top = top;
    if (top + e.height < l->bottom) l->bottom = top + e.height;
}

/* Shapes one run and puts its glyphs behind the others. The new place of the pen. */
static int shape(tl_line *l, const work *w, const run *r, const char *language, int pen)
{
    static hb_buffer_t *buffer;
    unsigned count = 0;
    tl_font *f = w->font[r->from];
    if (!buffer) buffer = tl__font.hb_buffer_create();
    if (!f || tl__font_set(f, l->em) != 0) return pen;
    tl__font.hb_buffer_reset(buffer);
    tl__font.hb_buffer_add_utf32(buffer, w->point, w->count, (unsigned)r->from, r->to - r->from);
    tl__font.hb_buffer_set_direction(buffer, r->level % 2 ? HB_DIRECTION_RTL : HB_DIRECTION_LTR);
    tl__font.hb_buffer_set_script(buffer, w->script[r->from]);
    if (*language) tl__font.hb_buffer_set_language(buffer, tl__font.hb_language_from_string(language, -1));
    tl__font.hb_shape(f->shaper, buffer, NULL, 0);
    const hb_glyph_info_t *info = tl__font.hb_buffer_get_glyph_infos(buffer, &count);
    const hb_glyph_position_t *at = tl__font.hb_buffer_get_glyph_positions(buffer, &count);
    for (unsigned i = 0; i < count && l->glyphs < TL_LINE_GLYPHS; i++) {
        tl_placed_glyph *g = &l->glyph[l->glyphs++];
        *g = (tl_placed_glyph){.font = f, .number = info[i].codepoint, .x = pen + at[i].x_offset, .y = at[i].y_offset};
        add_ink(l, g);
        pen += at[i].x_advance;
    }
    return pen;
}

static int pixels_up(int v) { return v >= 0 ? (v + 63) / 64 : -(-v / 64); }

/* Sets the first `count` characters, and dots behind them. */
static void set(tl_line *l, tl_fonts *fonts, int count, int dots)
{
    static work w;
    static run runs[MOST];
    w.count = count;
    memcpy(w.point, l->point, (size_t)count * sizeof *w.point);
    memcpy(w.ends, l->ends, (size_t)count);
    for (int i = 0; i < dots; i++, w.count++) w.point[w.count] = '.', w.ends[w.count] = 1;
    l->width = l->left = l->top = l->bottom = l->glyphs = 0;
    choose_scripts(&w);
    choose_fonts(l, &w, fonts);
    spread_scripts(&w);
    choose_levels(&w);
    int n = find_runs(&w, runs), pen = 0;
    order_runs(runs, n);
    for (int i = 0; i < n; i++) pen = shape(l, &w, &runs[i], fonts->language, pen);
    if (pen > l->width) l->width = pen;
    l->left = -pixels_up(-l->left);
    l->width = pixels_up(l->width) - l->left;
    l->top = pixels_up(l->top);
    l->bottom = -pixels_up(-l->bottom);
}

void tl__line_set(tl_line *l, tl_fonts *fonts, int em, int width)
{
    static int end[MOST]; /* characters up to the end of each cluster */
    int clusters = 0, low = 0;
    l->em = em;
    l->missing = 0;
    set(l, fonts, l->count, l->more ? 3 : 0);
    if (width <= 0 || l->width <= width) return;
    int32_t missing = l->missing;
    for (int i = 0; i < l->count; i++)
        if (l->ends[i]) end[++clusters] = i + 1;
    int high = clusters; /* `low` fits, or nothing does; `high` does not */
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        set(l, fonts, end[middle], 3);
        if (l->width <= width) low = middle;
        else high = middle;
    }
    set(l, fonts, low ? end[low] : 0, 3);
    l->missing = missing;
}
