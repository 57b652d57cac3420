/* normalizers.c - what is done to a text before it is cut: one row each. Their names and fields are those of
 * tokenizer.json. */
#include "text/inside.h"

#include <stdlib.h>
#include <string.h>

/* ---- unicode ---- */

static int copy_piece(tl_error *err, tl_cursor *c) { return tl__work_copy(err, c->w, c->begin, c->end); }

static int put_all(tl_error *err, tl_cursor *c, const tl_changes *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (tl__cursor_put(err, c, list->at[i].point, list->at[i].change) != 0) return -1;
    return 0;
}

static int form_piece(tl_error *err, const tl_text_step *s, tl_cursor *c)
{
    const char *text = c->w->now.text + c->begin;
    size_t bytes = c->end - c->begin;
    if (tl__unicode_is_normal(s->form, text, bytes)) return copy_piece(err, c);
    if (tl__unicode_normalize(err, s->form, text, bytes, &c->w->changes) != 0) return -1;
    return put_all(err, c, &c->w->changes);
}

static int read_form(tl_error *err, const char *name, const cJSON *j, tl_text_step *s)
{
    (void)err, (void)name, (void)j;
    const char *form = s->row->name;
    s->form = strcmp(form, "NFC") == 0    ? TL_FORM_NFC
              : strcmp(form, "NFD") == 0  ? TL_FORM_NFD
              : strcmp(form, "NFKC") == 0 ? TL_FORM_NFKC
                                          : TL_FORM_NFKD;
    return 0;
}

static int run_form(tl_error *err, const tl_text_step *s, tl_text_work *w)
{
    return tl__work_each(err, w, s, form_piece);
}

static int lower_piece(tl_error *err, const tl_text_step *s, tl_cursor *c)
{
    (void)s;
    const char *text = c->w->now.text;
    for (size_t at = c->begin, n; at < c->end; at += n) {
        int32_t out[2];
        int count = tl__unicode_lower(tl__utf8_read(text + at, &n), out);
        for (int i = 0; i < count; i++)
            if (tl__cursor_put(err, c, out[i], i > 0) != 0) return -1;
    }
    return 0;
}

static int run_lower(tl_error *err, const tl_text_step *s, tl_text_work *w)
{
    return tl__work_each(err, w, s, lower_piece);
}

/* ---- taking characters out ---- */

/* Writes characters for which `keeps` says so, changed; the others go with the one before them. */
typedef int (*keeps_function)(const uint16_t *classes, int32_t *point);

static int filter_piece(tl_error *err, tl_cursor *c, keeps_function keeps)
{
    const char *text = c->w->now.text;
    int32_t waiting = -1;
    int removed = 0;
    for (size_t at = c->begin, n; at < c->end; at += n) {
        int32_t point = tl__utf8_read(text + at, &n);
        if (!keeps(c->w->classes, &point)) {
            removed++;
            continue;
        }
        if (waiting < 0) tl__cursor_skip(c, removed);
        else if (tl__cursor_put(err, c, waiting, -removed) != 0) return -1;
        waiting = point;
        removed = 0;
    }
    return waiting >= 0 ? tl__cursor_put(err, c, waiting, -removed) : 0;
}

static int keeps_unaccented(const uint16_t *classes, int32_t *point)
{
    return !(classes[*point] & TL_CHAR_COMBINING);
}

static int keeps_spacing(const uint16_t *classes, int32_t *point) { return !(classes[*point] & TL_CHAR_NONSPACING); }

static int keeps_clean(const uint16_t *classes, int32_t *point)
{
    if (classes[*point] & TL_CHAR_REMOVED) return 0;
    if (tl__unicode_is_space(*point)) *point = ' ';
    return 1;
}

/* Google's rules for translation (nmt_nfkc of SentencePiece). */
static int keeps_nmt(const uint16_t *classes, int32_t *point)
{
    (void)classes;
    int32_t p = *point;
    if ((p >= 1 && p <= 8) || p == 0xb || (p >= 0xe && p <= 0x1f) || p == 0x7f || p == 0x8f || p == 0x9f) return 0;
    if (p == 9 || p == 0xa || p == 0xc || p == 0xd || p == 0x1680 || (p >= 0x200b && p <= 0x200f) || p == 0x2028 ||
        p == 0x2029 || p == 0x2581 || p == 0xfeff || p == 0xfffd)
        *point = ' ';
    return 1;
}

static int accents_piece(tl_error *err, const tl_text_step *s, tl_cursor *c)
{
    return (void)s, filter_piece(err, c, keeps_unaccented);
}
static int spacing_piece(tl_error *err, const tl_text_step *s, tl_cursor *c)
{
    return (void)s, filter_piece(err, c, keeps_spacing);
}
static int clean_piece(tl_error *err, const tl_text_step *s, tl_cursor *c)
{
    return (void)s, filter_piece(err, c, keeps_clean);
}
static int nmt_piece(tl_error *err, const tl_text_step *s, tl_cursor *c)
{
    return (void)s, filter_piece(err, c, keeps_nmt);
}

static int run_accents(tl_error *err, const tl_text_step *s, tl_text_work *w)
{
    return tl__work_each(err, w, s, accents_piece);
}

static int run_nmt(tl_error *err, const tl_text_step *s, tl_text_work *w)
{
    return tl__work_each(err, w, s, nmt_piece);
}

/* ---- BERT's ---- */

static int is_chinese(int32_t c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df) ||
           (c >= 0x2a700 && c <= 0x2b73f) || (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

static int chinese_piece(tl_error *err, const tl_text_step *s, tl_cursor *c)
{
    (void)s;
    const char *text = c->w->now.text;
    for (size_t at = c->begin, n; at < c->end; at += n) {
        int32_t point = tl__utf8_read(text + at, &n);
        if (!is_chinese(point)) {
            if (tl__cursor_put(err, c, point, 0) != 0) return -1;
        } else if (tl__cursor_put(err, c, ' ', 0) != 0 || tl__cursor_put(err, c, point, 1) != 0 ||
                   tl__cursor_put(err, c, ' ', 1) != 0) {
            return -1;
        }
    }
    return 0;
}

static int read_bert(tl_error *err, const char *name, const cJSON *j, tl_text_step *s)
{
    (void)err, (void)name;
    s->clean = tl__json_flag(j, "clean_text", 1);
    s->chinese = tl__json_flag(j, "handle_chinese_chars", 1);
    s->lower = tl__json_flag(j, "lowercase", 1);
    s->accents = tl__json_flag(j, "strip_accents", s->lower);
    s->form = TL_FORM_NFD;
    return 0;
}

static int run_bert(tl_error *err, const tl_text_step *s, tl_text_work *w)
{
    if (s->clean && tl__work_each(err, w, s, clean_piece) != 0) return -1;
    if (s->chinese && tl__work_each(err, w, s, chinese_piece) != 0) return -1;
    if (s->accents && tl__work_each(err, w, s, form_piece) != 0) return -1;
    if (s->accents && tl__work_each(err, w, s, spacing_piece) != 0) return -1;
    return s->lower ? tl__work_each(err, w, s, lower_piece) : 0;
}

/* ---- replacing ---- */

static int put_text(tl_error *err, tl_cursor *c, const char *text, int change)
{
    for (size_t at = 0, n, bytes = strlen(text); at < bytes; at += n)
        if (tl__cursor_put(err, c, tl__utf8_read(text + at, &n), change) != 0) return -1;
    return 0;
}

static int replace_piece(tl_error *err, const tl_text_step *s, tl_cursor *c)
{
    tl_text_work *w = c->w;
    const char *text = w->now.text + c->begin;
    size_t bytes = c->end - c->begin, done = 0, at = 0, from = 0, to = 0;
    int found = 0;
    while (at <= bytes && (found = s->regex ? tl__regex_next(err, s->regex, w, text, bytes, at, &from, &to)
                                            : tl__step_find(s, text, bytes, at, &from, &to)) > 0) {
        if (tl__work_copy(err, w, c->begin + done, c->begin + from) != 0) return -1;
        c->at = c->begin + to;
        if (put_text(err, c, s->content, 1) != 0) return -1;
        done = to;
        at = to > at ? to : at + 1;
    }
    return found < 0 ? -1 : tl__work_copy(err, w, c->begin + done, c->end);
}

int tl__read_pattern(tl_error *err, const char *name, const cJSON *j, tl_text_step *s)
{
    const cJSON *pattern = tl__json_field(j, "pattern");
    const char *plain = tl__json_string(pattern, "String"), *regex = tl__json_string(pattern, "Regex");
    if (!plain && !regex)
        return tl__fail(err, TL_EFORMAT, "%s: %s has no pattern, {\"String\": ...} or {\"Regex\": ...}", name,
                        s->row->name);
    if (plain) return (s->text = tl__strdup(err, plain)) ? 0 : -1;
    return (s->regex = tl__regex_new(err, name, regex)) ? 0 : -1;
}

static int read_replace(tl_error *err, const char *name, const cJSON *j, tl_text_step *s)
{
    const char *content = tl__json_string(j, "content");
    if (!content) return tl__fail(err, TL_EFORMAT, "%s: Replace has no content", name);
    if (!(s->content = tl__strdup(err, content))) return -1;
    return tl__read_pattern(err, name, j, s);
}

static int run_replace(tl_error *err, const tl_text_step *s, tl_text_work *w)
{
    return tl__work_each(err, w, s, replace_piece);
}

/* The text before a piece stands for its first character, and so does that. */
int tl__prepend(tl_error *err, tl_cursor *c, const char *text)
{
    size_t n, first = c->begin;
    int32_t next = tl__utf8_read(c->w->now.text + first, &n);
    for (size_t at = 0, m, bytes = strlen(text); at < bytes; at += m)
        if (tl__cursor_put(err, c, tl__utf8_read(text + at, &m), at > 0) != 0) return -1;
    if (!*text) return copy_piece(err, c);
    if (tl__cursor_put(err, c, next, 1) != 0) return -1;
    return tl__work_copy(err, c->w, first + n, c->end);
}

static int prepend_piece(tl_error *err, const tl_text_step *s, tl_cursor *c)
{
    return tl__prepend(err, c, s->content);
}

static int read_prepend(tl_error *err, const char *name, const cJSON *j, tl_text_step *s)
{
    const char *text = tl__json_string(j, "prepend");
    if (!text) return tl__fail(err, TL_EFORMAT, "%s: Prepend has no text", name);
    return (s->content = tl__strdup(err, text)) ? 0 : -1;
}

static int run_prepend(tl_error *err, const tl_text_step *s, tl_text_work *w)
{
    return tl__work_each(err, w, s, prepend_piece);
}

/* ---- spaces at the ends ---- */

static int strip_piece(tl_error *err, const tl_text_step *s, tl_cursor *c)
{
    const char *text = c->w->now.text;
    size_t begin = c->begin, end = c->end, n;
    while (s->left && begin < end && tl__unicode_is_space(tl__utf8_read(text + begin, &n))) begin += n;
    while (s->right && end > begin) {
        size_t last = end - 1;
        while (last > begin && (text[last] & 0xc0) == 0x80) last--;
        if (!tl__unicode_is_space(tl__utf8_read(text + last, &n))) break;
        end = last;
    }
    return tl__work_copy(err, c->w, begin, end);
}

static int read_strip(tl_error *err, const char *name, const cJSON *j, tl_text_step *s)
{
    (void)err, (void)name;
    s->left = tl__json_flag(j, "strip_left", 1);
    s->right = tl__json_flag(j, "strip_right", 1);
    return 0;
}

static int run_strip(tl_error *err, const tl_text_step *s, tl_text_work *w)
{
    return tl__work_each(err, w, s, strip_piece);
}

/* ---- bytes as letters ---- */

int tl__letters_piece(tl_error *err, const tl_text_step *s, tl_cursor *c)
{
    (void)s;
    const char *text = c->w->now.text;
    for (size_t at = c->begin; at < c->end; at++) {
        uint8_t byte = (uint8_t)text[at];
        if (tl__cursor_put(err, c, tl__byte_letters[byte], (byte & 0xc0) == 0x80) != 0) return -1;
    }
    return 0;
}

static int run_letters(tl_error *err, const tl_text_step *s, tl_text_work *w)
{
    return tl__work_each(err, w, s, tl__letters_piece);
}

/* ---- SentencePiece's table ---- */

static int read_map(tl_error *err, const char *name, const cJSON *j, tl_text_step *s)
{
    const char *map = tl__json_string(j, "precompiled_charsmap");
    if (!map) return tl__fail(err, TL_EFORMAT, "%s: Precompiled has no precompiled_charsmap", name);
    return (s->map = tl__charsmap_new(err, name, map)) ? 0 : -1;
}

const tl_text_step_row tl__normalizer_rows[] = {{"BertNormalizer", read_bert, run_bert},
                                                {"NFC", read_form, run_form},
                                                {"NFD", read_form, run_form},
                                                {"NFKC", read_form, run_form},
                                                {"NFKD", read_form, run_form},
                                                {"Lowercase", NULL, run_lower},
                                                {"StripAccents", NULL, run_accents},
                                                {"Nmt", NULL, run_nmt},
                                                {"Replace", read_replace, run_replace},
                                                {"Prepend", read_prepend, run_prepend},
                                                {"Strip", read_strip, run_strip},
                                                {"ByteLevel", NULL, run_letters},
                                                {"Precompiled", read_map, tl__run_charsmap},
                                                {NULL, NULL, NULL}};
