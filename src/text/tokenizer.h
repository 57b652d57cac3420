/* tokenizer.h - texts to numbers of pieces, as networks of text want them, and back to places in the text. A tokenizer
 * is read from a tokenizer.json of Hugging Face's library, and gives the numbers and offsets that the library gives. */
#ifndef TLUA_TEXT_TOKENIZER_H
#define TLUA_TEXT_TOKENIZER_H

#include "base/base.h"

typedef struct tl_tokenizer tl_tokenizer;

/* A tokenizer.json in memory; `name` is for messages. NULL on failure; freed with tl__tokenizer_free. */
tl_tokenizer *tl__tokenizer_read(tl_error *err, const char *name, const char *json, size_t bytes);
tl_tokenizer *tl__tokenizer_open(tl_error *err, const char *path);
void tl__tokenizer_free(tl_tokenizer *t); /* NULL is allowed */

/* Numbers are below this: the vocabulary and what was added to it. */
int32_t tl__tokenizer_size(const tl_tokenizer *t);
/* The number of a piece; -1. The text of a number, the tokenizer's own; NULL. */
int32_t tl__tokenizer_id(const tl_tokenizer *t, const char *piece);
const char *tl__tokenizer_piece(const tl_tokenizer *t, int32_t id);
/* Is it one of those that stand for no text ([CLS], </s>)? */
int tl__tokenizer_is_special(const tl_tokenizer *t, int32_t id);

/* What one text, or a pair, becomes. Zero it, free it with tl__encoding_free. */
typedef struct tl_encoding {
    int64_t count, room;
    int32_t *ids;
    int32_t *from, *to;  /* bytes of the text that each stands for; 0, 0 of what the template put in */
    int8_t *types;       /* token type ids of the template */
    int8_t *sequence;    /* 0: of the first text, 1: of the second, -1: of the template */
    int32_t *word;       /* number of the word in its text; -1 */
    int32_t *lead, *trail; /* how many spaces its text has at both ends, as byte-level pieces do */
} tl_encoding;
void tl__encoding_free(tl_encoding *e);

enum { TL_CUT_LONGEST = 0, TL_CUT_FIRST, TL_CUT_SECOND };

typedef struct tl_encode_options {
    int64_t longest; /* numbers at most, with those of the template; 0: any */
    int cut;         /* what is cut where a pair is longer: the longer of both, the first, the second */
    int64_t stride;  /* what is cut off comes in windows of its own, which share so many numbers with the one before;
                        of a pair cut in one of its texts, or of one text. < 0: it is dropped */
    int plain;       /* without the template's pieces */
} tl_encode_options;

/* Memory that one thread uses from text to text. */
typedef struct tl_text_work tl_text_work;
tl_text_work *tl__text_work_new(tl_error *err);
void tl__text_work_free(tl_text_work *w);

/* The numbers of a text (UTF-8), or of a pair where `b` is not NULL, in one or several windows, of which `*count` lie
 * at `*windows` until the work is used again. 0 or -1. */
int tl__tokenizer_encode(tl_error *err, const tl_tokenizer *t, tl_text_work *w, const char *a, size_t a_bytes,
                         const char *b, size_t b_bytes, const tl_encode_options *options, tl_encoding **windows,
                         int64_t *count);

/* A text, or a pair where `b` is not NULL. */
typedef struct tl_text_pair {
    const char *a, *b;
    size_t a_bytes, b_bytes;
} tl_text_pair;

/* Windows of many texts, one behind the other. Zero it, free it with tl__encodings_free. */
typedef struct tl_encodings {
    tl_encoding all;
    int64_t windows;
    int64_t *offset; /* (windows + 1): window k is offset[k] to offset[k + 1] of `all` */
    int64_t *text;   /* (windows): of which text */
} tl_encodings;
void tl__encodings_free(tl_encodings *e);

/* The same of many texts, by `threads` (0: as many as there are processors), in their order. An error names the text's
 * number, from 1, as "text 3: ". 0 or -1. */
int tl__tokenizer_encode_all(tl_error *err, const tl_tokenizer *t, const tl_text_pair *texts, int64_t count,
                             const tl_encode_options *options, int threads, tl_encodings *out);

#endif
