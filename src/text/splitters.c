/* splitters.c - where a text is cut into words: one row each. Their names and fields are those of tokenizer.json's
 * pre_tokenizer. */
#include "text/inside.h"

#include <string.h>

/* ---- by classes of characters ---- */

typedef int (*is_function)(const uint16_t *classes, int32_t point);

static int find_character(const void *what, tl_text_work *w, const char *text, size_t bytes, size_t at, size_t *from,
                          size_t *to, is_function is)
{
    (void)what;
    for (size_t n; at < bytes; at += n) {
        if (!is(w->classes, tl__utf8_read(text + at, &n))) continue;
        *from = at;
        *to = at + n;
        return 1;
    }
    return 0;
}

static int is_space(const uint16_t *classes, int32_t point) { return (void)classes, tl__unicode_is_space(point); }
static int is_punctuation(const uint16_t *classes, int32_t p) { return classes[p] & TL_CHAR_PUNCTUATION; }
static int is_numeric(const uint16_t *classes, int32_t p) { return classes[p] & TL_CHAR_NUMERIC; }

#define FIND(name) \
    static int find_##name(tl_error *err, const void *what, tl_text_work *w, const char *text, size_t bytes, \
                           size_t at, size_t *from, size_t *to)
FIND(space) { return (void)err, find_character(what, w, text, bytes, at, from, to, is_space); }
FIND(punctuation) { return (void)err, find_character(what, w, text, bytes, at, from, to, is_punctuation); }
FIND(numeric) { return (void)err, find_character(what, w, text, bytes, at, from, to, is_numeric); }

/* \w+|[^\w\s]+ */
FIND(word)
{
    (void)err, (void)what;
    size_t n;
    while (at < bytes && tl__unicode_is_space(tl__utf8_read(text + at, &n))) at += n;
    if (at >= bytes) return 0;
    int first = w->classes[tl__utf8_read(text + at, &n)] & TL_CHAR_WORD;
    *from = at;
    for (; at < bytes; at += n) {
        int32_t c = tl__utf8_read(text + at, &n);
        if ((w->classes[c] & TL_CHAR_WORD) != first || (!first && tl__unicode_is_space(c))) break;
    }
    *to = at;
    return 1;
}

FIND(regex) { return tl__regex_next(err, ((const tl_text_step *)what)->regex, w, text, bytes, at, from, to); }

FIND(text) { return (void)err, (void)w, tl__step_find(what, text, bytes, at, from, to); }

/* GPT-2's: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ , which always matches. */
static size_t short_form(const char *t, size_t left)
{
    if (left < 2 || t[0] != '\'') return 0;
    if (memchr("stmd", t[1], 4)) return 2;
    if (left >= 3 && ((t[1] == 'r' && t[2] == 'e') || (t[1] == 'v' && t[2] == 'e') || (t[1] == 'l' && t[2] == 'l')))
        return 3;
    return 0;
}

static int kind_of(const uint16_t *classes, int32_t c)
{
    if (tl__unicode_is_space(c)) return 0;
    return classes[c] & TL_CHAR_LETTER ? 1 : classes[c] & TL_CHAR_NUMBER ? 2 : 3;
}

FIND(gpt2)
{
    (void)err, (void)what;
    size_t n, first = at, last = at;
    if (at >= bytes) return 0;
    *from = at;
    if ((n = short_form(text + at, bytes - at)) > 0) return *to = at + n, 1;
    if (text[at] == ' ' && at + 1 < bytes && kind_of(w->classes, tl__utf8_read(text + at + 1, &n))) first = at + 1;
    int kind = kind_of(w->classes, tl__utf8_read(text + first, &n));
    for (at = first; at < bytes; at += n) {
        if (kind_of(w->classes, tl__utf8_read(text + at, &n)) != kind) break;
        last = at;
    }
    /* Spaces leave their last one to the word behind them. */
    *to = kind == 0 && at < bytes && last > first ? last : at;
    return 1;
}

/* ---- rows ---- */

static int run_spaces(tl_error *err, const tl_text_step *s, tl_text_work *w)
{
    return (void)s, tl__work_split(err, w, find_space, s, TL_SPLIT_REMOVED, 0);
}

static int run_bert(tl_error *err, const tl_text_step *s, tl_text_work *w)
{
    if (tl__work_split(err, w, find_space, s, TL_SPLIT_REMOVED, 0) != 0) return -1;
    return tl__work_split(err, w, find_punctuation, s, TL_SPLIT_ISOLATED, 0);
}

static int run_words(tl_error *err, const tl_text_step *s, tl_text_work *w)
{
    return tl__work_split(err, w, find_word, s, TL_SPLIT_REMOVED, 1);
}

static const struct {
    const char *name;
    int behaviour;
} behaviours[] = {{"Removed", TL_SPLIT_REMOVED},
                  {"Isolated", TL_SPLIT_ISOLATED},
                  {"MergedWithPrevious", TL_SPLIT_PREVIOUS},
                  {"MergedWithNext", TL_SPLIT_NEXT},
                  {"Contiguous", TL_SPLIT_CONTIGUOUS}};

static int read_behaviour(tl_error *err, const char *name, const cJSON *j, tl_text_step *s, int otherwise)
{
    const char *said = tl__json_string(j, "behavior");
    s->behaviour = otherwise;
    for (size_t i = 0; said && i < sizeof behaviours / sizeof *behaviours; i++)
        if (strcmp(said, behaviours[i].name) == 0) return s->behaviour = behaviours[i].behaviour, 0;
    if (!said && otherwise >= 0) return 0;
    return tl__fail(err, TL_EFORMAT, "%s: %s has the behavior \"%s\", which is not known", name, s->row->name,
                    said ? said : "");
}

static int read_punctuation(tl_error *err, const char *name, const cJSON *j, tl_text_step *s)
{
    return read_behaviour(err, name, j, s, TL_SPLIT_ISOLATED);
}

static int run_punctuation(tl_error *err, const tl_text_step *s, tl_text_work *w)
{
    return tl__work_split(err, w, find_punctuation, s, s->behaviour, 0);
}

static int read_digits(tl_error *err, const char *name, const cJSON *j, tl_text_step *s)
{
    (void)err, (void)name;
    s->each = tl__json_flag(j, "individual_digits", 0);
    return 0;
}

static int run_digits(tl_error *err, const tl_text_step *s, tl_text_work *w)
{
    return tl__work_split(err, w, find_numeric, s, s->each ? TL_SPLIT_ISOLATED : TL_SPLIT_CONTIGUOUS, 0);
}

static int read_split(tl_error *err, const char *name, const cJSON *j, tl_text_step *s)
{
    s->invert = tl__json_flag(j, "invert", 0);
    if (read_behaviour(err, name, j, s, -1) != 0) return -1;
    return tl__read_pattern(err, name, j, s);
}

static int run_split(tl_error *err, const tl_text_step *s, tl_text_work *w)
{
    return tl__work_split(err, w, s->regex ? find_regex : find_text, s, s->behaviour, s->invert);
}

static int read_delimiter(tl_error *err, const char *name, const cJSON *j, tl_text_step *s)
{
    const char *text = tl__json_string(j, "delimiter");
    if (!text || !*text) return tl__fail(err, TL_EFORMAT, "%s: CharDelimiterSplit has no delimiter", name);
    s->behaviour = TL_SPLIT_REMOVED;
    return (s->text = tl__strdup(err, text)) ? 0 : -1;
}

/* ---- words marked by a letter, as in SentencePiece ---- */

enum { PREFIX_NEVER, PREFIX_FIRST, PREFIX_ALWAYS };

static int read_metaspace(tl_error *err, const char *name, const cJSON *j, tl_text_step *s)
{
    const char *letter = tl__json_string(j, "replacement"), *scheme = tl__json_string(j, "prepend_scheme");
    if (!letter || !*letter) return tl__fail(err, TL_EFORMAT, "%s: Metaspace has no replacement", name);
    s->prefix = !scheme || strcmp(scheme, "always") == 0 ? PREFIX_ALWAYS
                : strcmp(scheme, "first") == 0           ? PREFIX_FIRST
                                                         : PREFIX_NEVER;
    if (!tl__json_flag(j, "add_prefix_space", 1)) s->prefix = PREFIX_NEVER;
    s->each = tl__json_flag(j, "split", 1);
    return (s->text = tl__strdup(err, letter)) ? 0 : -1;
}

static int metaspace_piece(tl_error *err, const tl_text_step *s, tl_cursor *c)
{
    const char *text = c->w->now.text;
    size_t n;
    int32_t letter = tl__utf8_read(s->text, &n), first = tl__utf8_read(text + c->begin, &n);
    int marked = first == letter || first == ' ';
    if (!marked && (s->prefix == PREFIX_ALWAYS || (s->prefix == PREFIX_FIRST && c->w->now.span[c->begin].from == 0))) {
        if (tl__cursor_put(err, c, letter, 0) != 0 || tl__cursor_put(err, c, first, 1) != 0) return -1;
    } else if (tl__cursor_put(err, c, first == ' ' ? letter : first, 0) != 0) {
        return -1;
    }
    for (size_t at = c->begin + n; at < c->end; at += n) {
        int32_t point = tl__utf8_read(text + at, &n);
        if (tl__cursor_put(err, c, point == ' ' ? letter : point, 0) != 0) return -1;
    }
    return 0;
}

static int run_metaspace(tl_error *err, const tl_text_step *s, tl_text_work *w)
{
    if (tl__work_each(err, w, s, metaspace_piece) != 0) return -1;
    return s->each ? tl__work_split(err, w, find_text, s, TL_SPLIT_NEXT, 0) : 0;
}

/* ---- bytes as letters, as in GPT-2 ---- */

static int read_bytes(tl_error *err, const char *name, const cJSON *j, tl_text_step *s)
{
    (void)err, (void)name;
    s->prefix = tl__json_flag(j, "add_prefix_space", 1);
    s->each = tl__json_flag(j, "use_regex", 1);
    return 0;
}

static int space_piece(tl_error *err, const tl_text_step *s, tl_cursor *c)
{
    (void)s;
    if (c->w->now.text[c->begin] == ' ') return tl__work_copy(err, c->w, c->begin, c->end);
    return tl__prepend(err, c, " ");
}

static int run_bytes(tl_error *err, const tl_text_step *s, tl_text_work *w)
{
    if (s->prefix && tl__work_each(err, w, s, space_piece) != 0) return -1;
    if (s->each && tl__work_split(err, w, find_gpt2, s, TL_SPLIT_ISOLATED, 0) != 0) return -1;
    return tl__work_each(err, w, s, tl__letters_piece);
}

const tl_text_step_row tl__splitter_rows[] = {{"BertPreTokenizer", NULL, run_bert},
                                              {"ByteLevel", read_bytes, run_bytes},
                                              {"Whitespace", NULL, run_words},
                                              {"WhitespaceSplit", NULL, run_spaces},
                                              {"Metaspace", read_metaspace, run_metaspace},
                                              {"Punctuation", read_punctuation, run_punctuation},
                                              {"Digits", read_digits, run_digits},
                                              {"Split", read_split, run_split},
                                              {"CharDelimiterSplit", read_delimiter, run_split},
                                              {NULL, NULL, NULL}};
