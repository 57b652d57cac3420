/* inside.h - what the files of tokenizers share. A text goes through them as bytes of which each knows what it stands
 * for in the original, cut into pieces: normalizers and splitters write the other of two buffers, and change them. */
#ifndef TLUA_TEXT_INSIDE_H
#define TLUA_TEXT_INSIDE_H

#include "text/tokenizer.h"
#include "text/trie.h"
#include "text/unicode.h"

#include <cJSON.h>

/* ---- a text at work ---- */

typedef struct tl_span {
    uint32_t from, to;
} tl_span;

typedef struct tl_piece {
    uint32_t begin, end;
    int32_t id; /* a token already; -1: not yet */
} tl_piece;

typedef struct tl_pieces {
    tl_piece *at;
    size_t count, room;
} tl_pieces;

typedef struct tl_buffer {
    char *text;
    tl_span *span;
    size_t bytes, room;
} tl_buffer;

typedef struct tl_token {
    int32_t id;
    uint32_t begin, end; /* of the buffer */
    int32_t word;
} tl_token;

typedef struct tl_tokens {
    tl_token *at;
    size_t count, room;
} tl_tokens;

struct tl_text_work {
    tl_buffer now, next;
    tl_pieces pieces, other;
    tl_changes changes;
    tl_tokens tokens;
    const uint16_t *classes;
    size_t most; /* bytes that the steps may make of the text: what a file's rules can do to it has an end */
    void *match_data;          /* of regular expressions */
    struct tl_merge *heap;     /* of byte pairs */
    struct tl_symbol *symbols;
    size_t heap_room, symbol_room;
    struct tl_best *best;      /* of unigrams */
    size_t best_room;
    tl_encoding one[2];        /* a text's numbers before the template */
    const char *text[2];       /* the texts, while they are encoded */
    tl_encoding *window;
    int64_t windows, window_room;
};

int tl__pieces_add(tl_error *err, tl_pieces *p, size_t begin, size_t end, int32_t id);
int tl__tokens_add(tl_error *err, tl_tokens *t, int32_t id, size_t begin, size_t end, int32_t word);
/* Room for so many bytes, in all; more than `most` of them are an error. 0 or -1. */
int tl__buffer_reserve(tl_error *err, tl_buffer *b, size_t bytes, size_t most);
/* Copies bytes of `now` to the end of `next`. 0 or -1. */
int tl__work_copy(tl_error *err, tl_text_work *w, size_t begin, size_t end);

/* Characters of a piece are given in their new form one by one, and the cursor keeps what they stand for. */
typedef struct tl_cursor {
    tl_text_work *w;
    size_t begin, at, end;
} tl_cursor;
/* Passes over characters that leave nothing behind. */
void tl__cursor_skip(tl_cursor *c, int64_t count);
/* Writes a character to `next`; `change` is as in tl_change. 0 or -1. */
int tl__cursor_put(tl_error *err, tl_cursor *c, int32_t point, int change);

/* ---- steps ---- */

typedef struct tl_regex tl_regex;
/* PCRE2, loaded when the first expression comes. `name` is for messages. */
tl_regex *tl__regex_new(tl_error *err, const char *name, const char *pattern);
void tl__regex_free(tl_regex *r);
/* The first match at or behind `at` in text[0..bytes): 1, none: 0, an error: -1. */
int tl__regex_next(tl_error *err, const tl_regex *r, tl_text_work *w, const char *text, size_t bytes, size_t at,
                   size_t *from, size_t *to);
void tl__regex_work_free(tl_text_work *w);

enum { TL_SPLIT_REMOVED, TL_SPLIT_ISOLATED, TL_SPLIT_PREVIOUS, TL_SPLIT_NEXT, TL_SPLIT_CONTIGUOUS };

typedef struct tl_charsmap tl_charsmap;

/* One normalizer or splitter. */
typedef struct tl_text_step {
    const struct tl_text_step_row *row;
    int form, lower, accents, clean, chinese; /* of normalizers */
    int left, right;
    char *text, *content; /* what is looked for, and put in its place */
    tl_regex *regex;
    tl_charsmap *map;
    int behaviour, invert, prefix, each; /* of splitters */
    struct tl_text_step *next;
} tl_text_step;

typedef struct tl_text_step_row {
    const char *name;
    int (*read)(tl_error *err, const char *name, const cJSON *j, tl_text_step *s); /* NULL: no options */
    int (*run)(tl_error *err, const tl_text_step *s, tl_text_work *w);
} tl_text_step_row;
extern const tl_text_step_row tl__normalizer_rows[], tl__splitter_rows[]; /* end with a NULL name */

/* A step's `text` or `regex` from its field "pattern". 0 or -1. */
int tl__read_pattern(tl_error *err, const char *name, const cJSON *j, tl_text_step *s);
/* The first place of the step's text at or behind `at`: 1, or 0. */
int tl__step_find(const tl_text_step *s, const char *text, size_t bytes, size_t at, size_t *from, size_t *to);
/* Of one piece: a text before it, and its bytes as letters. */
int tl__prepend(tl_error *err, tl_cursor *c, const char *text);
int tl__letters_piece(tl_error *err, const tl_text_step *s, tl_cursor *c);
int tl__run_charsmap(tl_error *err, const tl_text_step *s, tl_text_work *w);
/* All steps of the list, on what is not a token yet. 0 or -1. */
int tl__steps_run(tl_error *err, const tl_text_step *list, tl_text_work *w);
/* Goes through the pieces that are no tokens with `step`, which writes to `next`; the others are copied. */
int tl__work_each(tl_error *err, tl_text_work *w, const tl_text_step *s,
                  int (*step)(tl_error *err, const tl_text_step *s, tl_cursor *c));
/* Bytes are cut at what `find` finds, as `behaviour` says. `find` gives 1 and the next match at or behind `at`, or
 * 0. */
typedef int (*tl_text_find)(tl_error *err, const void *what, tl_text_work *w, const char *text, size_t bytes,
                            size_t at, size_t *from, size_t *to);
int tl__work_split(tl_error *err, tl_text_work *w, tl_text_find find, const void *what, int behaviour, int invert);

tl_charsmap *tl__charsmap_new(tl_error *err, const char *name, const char *base64);
void tl__charsmap_free(tl_charsmap *m);
/* What stands for this text, at most `*bytes` of it; NULL: it stays. */
const char *tl__charsmap_find(const tl_charsmap *m, const char *text, size_t bytes, size_t *length);

/* The character that stands for each byte in byte-level vocabularies (GPT-2's). */
extern const uint16_t tl__byte_letters[256];

/* ---- models ---- */

enum { TL_MODEL_WORDPIECE, TL_MODEL_BPE, TL_MODEL_UNIGRAM, TL_MODEL_WORDLEVEL };

typedef struct tl_merges {
    struct {
        uint64_t pair; /* left << 32 | right, plus 1; 0: free */
        int32_t rank, id;
    } * at;
    size_t mask, count;
} tl_merges;

typedef struct tl_text_model {
    int kind;
    tl_trie trie;        /* every piece */
    char **piece;        /* by number; NULL: a gap */
    int32_t size;
    int64_t most;        /* numbers are below this */
    int32_t unknown;     /* -1: none */
    char *prefix, *suffix;
    uint32_t prefix_node; /* of the trie, where pieces within words begin */
    int64_t longest_word;
    int fuse_unknown, byte_fallback, whole_words;
    int32_t byte_piece[256];
    tl_merges merges;
    double *score, least;
} tl_text_model;

int tl__model_read(tl_error *err, const char *name, const cJSON *j, tl_text_model *m);
void tl__text_model_free(tl_text_model *m);
/* Adds the tokens of bytes begin..end of `now` to w->tokens. 0 or -1. */
int tl__model_tokens(tl_error *err, const tl_text_model *m, tl_text_work *w, size_t begin, size_t end, int32_t word);
int tl__bpe_tokens(tl_error *err, const tl_text_model *m, tl_text_work *w, size_t begin, size_t end, int32_t word);
int tl__bpe_read(tl_error *err, const char *name, const cJSON *j, tl_text_model *m);
int tl__unigram_tokens(tl_error *err, const tl_text_model *m, tl_text_work *w, size_t begin, size_t end, int32_t word);
int tl__unigram_read(tl_error *err, const char *name, const cJSON *j, tl_text_model *m);
int tl__model_piece(tl_error *err, tl_text_model *m, const char *text, int64_t id);

/* ---- templates ---- */

typedef struct tl_template_part {
    int sequence; /* 0, 1; -1: a special piece */
    int type;
    int32_t *ids;
    int count;
} tl_template_part;

typedef struct tl_template {
    tl_template_part *at;
    int count;
} tl_template;

typedef struct tl_post {
    tl_template single, pair;
    int has;           /* there is a template */
    int zero_types;    /* all types are 0 */
    int trim, prefix;  /* spaces at the ends of byte-level pieces are not in their offsets */
} tl_post;

int tl__post_read(tl_error *err, const char *name, const cJSON *j, tl_post *p);
void tl__post_free(tl_post *p);
/* Room for so many numbers, in all. 0 or -1. */
int tl__encoding_reserve(tl_error *err, tl_encoding *e, int64_t room);
int64_t tl__post_added(const tl_post *p, int pair);
/* Cuts what is in w->one, puts it into templates, and leaves windows in w. 0 or -1. */
int tl__post_run(tl_error *err, const tl_post *p, tl_text_work *w, int pair, const tl_encode_options *o);

/* ---- the whole ---- */

typedef struct tl_added {
    char *content;
    int32_t id;
    int single_word, left, right, normalized, special;
} tl_added;

struct tl_tokenizer {
    char *name;
    tl_text_step *normalizers, *splitters;
    tl_text_model model;
    tl_post post;
    tl_added *added;
    int added_count;
    tl_trie plain, normal; /* of the added ones: places in `added` */
    uint8_t first_plain[256], first_normal[256];
    int32_t size;
};

/* A field of an object; a wrong type is an error that names it. */
const cJSON *tl__json_field(const cJSON *j, const char *key);
int tl__json_flag(const cJSON *j, const char *key, int otherwise);
const char *tl__json_string(const cJSON *j, const char *key);
/* A whole number from 0 to 2^31 - 1; `otherwise` where it is anything else. */
int32_t tl__json_number(const cJSON *j, int32_t otherwise);

#endif
