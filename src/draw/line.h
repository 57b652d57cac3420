/* line.h - one line of text as glyphs of fonts. One thread at a time (letters.c). */
#ifndef TLUA_LINE_H
#define TLUA_LINE_H

#include "draw/fonts.h"

enum { TL_LINE_CHARACTERS = 1024, TL_LINE_GLYPHS = 4 * TL_LINE_CHARACTERS }; /* more are cut off */

typedef struct tl_placed_glyph {
    tl_font *font;
    uint32_t number;
    int x, y; /* of its origin, from the beginning of the base line, y upwards; in 64ths of a pixel */
} tl_placed_glyph;

typedef struct tl_line {
    int em;                                 /* pixels */
    int width, left, top, bottom;           /* of the ink in pixels, from its leftmost; over the base line, and below */
    int glyphs;
    tl_placed_glyph glyph[TL_LINE_GLYPHS];
    int32_t missing;                        /* the first character that no font has; 0: none */
    /* the text: */
    int count, more;                        /* characters, and whether some are left out */
    uint32_t point[TL_LINE_CHARACTERS + 3];
    uint8_t ends[TL_LINE_CHARACTERS + 3];   /* does a cluster end behind this character? */
} tl_line;

/* The characters of a text in Unicode's composed form. Bytes that are no UTF-8, and control characters, become
 * U+FFFD. */
void tl__line_read(tl_line *l, const char *text, const char *end);
/* Sets the line in fonts of `em` pixels. What is wider than `width` pixels (0: anything may be) loses clusters at
 * its end, and gets dots. */
void tl__line_set(tl_line *l, tl_fonts *fonts, int em, int width);
/* "ko" where there is Hangul, "ja" where there is Kana, else "". */
const char *tl__line_language(const tl_line *l);

#endif
