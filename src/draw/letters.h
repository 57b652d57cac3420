/* letters.h - words in pictures. ASCII is drawn with a font of our own, of 5 x 8 points, the same on every machine;
 * a text with other letters with fonts of the system, shaped, and ordered from right to left where its script is.
 * Where that cannot be, such letters become '?', and tl__letters_note says once what to install. */
#ifndef TLUA_LETTERS_H
#define TLUA_LETTERS_H

#include "io/image.h"

/* Of our own font: characters are six points apart. */
enum { TL_GLYPH_HEIGHT = 8, TL_GLYPH_ADVANCE = 6 };

/* Pixels of a line with the bytes from `text` to `end` in points of `size` pixels: its height, and its width. */
int tl__text_height(int size, const char *text, const char *end);
int tl__text_width(int size, const char *text, const char *end);
/* Draws the text in a colour with its upper left corner at (x, y), neither below 0. What is wider than `width`
 * pixels ends in dots behind a whole character. The page has three channels. */
void tl__draw_text_in(tl_image *page, const uint8_t colour[3], int x, int y, int size, int width, const char *text,
                      const char *end);
/* The same in black. */
void tl__draw_text(tl_image *page, int x, int y, int size, int width, const char *text, const char *end);

/* For pages on which all lines shall look alike: the height of lines with any letters, 0 where they cannot be
 * drawn, and drawing ASCII too with fonts of the system. */
int tl__letters_height(int size);
void tl__draw_letters(tl_image *page, const uint8_t colour[3], int x, int y, int size, int width, const char *text,
                      const char *end);

/* What is to be said of letters that were not drawn, and what to install; NULL: nothing, or it was said. Good for
 * ever. */
const char *tl__letters_note(void);

#endif
