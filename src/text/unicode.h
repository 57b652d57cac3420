/* unicode.h - what tokenizers take a character for, and the forms of normalization (Unicode Standard Annex 15).
 * Classes are those of Hugging Face's tokenizers, whose tables are of several years; so a file means here what it means
 * there. */
#ifndef TLUA_TEXT_UNICODE_H
#define TLUA_TEXT_UNICODE_H

#include "base/base.h"

enum {
    TL_CHAR_PUNCTUATION = 1,
    TL_CHAR_REMOVED = 2, /* by BERT's cleaning: control characters, formats, private ones */
    TL_CHAR_NONSPACING = 4,
    TL_CHAR_COMBINING = 8,
    TL_CHAR_NUMERIC = 16,
    TL_CHAR_WORD = 32,
    TL_CHAR_LETTER = 64,
    TL_CHAR_NUMBER = 128,
    TL_CHAR_INERT = 256 /* newer than the normalizers know: neither decomposed nor moved */
};

/* From this character on, up to the next row's. */
typedef struct tl_unicode_row {
    int32_t first;
    uint16_t classes;
} tl_unicode_row;
extern const tl_unicode_row tl__unicode_rows[];
extern const int tl__unicode_row_count;

/* The classes of every character, one after the other (0x110000 of them), made with the first call; NULL without
 * memory. Any thread. */
const uint16_t *tl__unicode_classes(tl_error *err);
/* White_Space of the standard. */
int tl__unicode_is_space(int32_t point);
/* The small letters of a character, one or two; returns how many. */
int tl__unicode_lower(int32_t point, int32_t out[2]);

/* The character at `text`, which is valid UTF-8; `*bytes` of it. */
int32_t tl__utf8_read(const char *text, size_t *bytes);
/* How many characters. */
int64_t tl__utf8_count(const char *text, size_t bytes);
/* Writes a character; returns its bytes, 1 to 4. */
size_t tl__utf8_write(int32_t point, char *out);

enum { TL_FORM_NFC = 0, TL_FORM_NFD = 1, TL_FORM_NFKC = 2, TL_FORM_NFKD = 3 };

/* A character of the result, and what it takes of the text before: 0, the place of one; 1, of none; -n, of one and of
 * the n behind it. */
typedef struct tl_change {
    int32_t point;
    int16_t change;
    uint8_t class;
} tl_change;

typedef struct tl_changes {
    tl_change *at;
    size_t count, room;
} tl_changes;
int tl__changes_add(tl_error *err, tl_changes *c, int32_t point, int change);
/* The text in this form into `out`, which is emptied before. 0 or -1. */
int tl__unicode_normalize(tl_error *err, int form, const char *text, size_t bytes, tl_changes *out);
/* Is the text in this form already, as far as can be seen at a glance? */
int tl__unicode_is_normal(int form, const char *text, size_t bytes);

#endif
