/* sheet.h - pictures on one page with a line or two below each, for people to look at. */
#ifndef TLUA_SHEET_H
#define TLUA_SHEET_H

#include "draw/boxes.h"

/* A page of cells. Zero it; tl__sheet_free frees it. */
typedef struct tl_sheet {
    tl_image page;
    int count, columns, width, height; /* of the pictures */
    int zoom, text, lines;             /* pixels a pixel of a picture, and of the font; lines below a picture */
} tl_sheet;

/* An empty page for `count` pictures of one size, in `columns` columns (0: about as wide as high), with `lines` lines of text
 * each. Small pictures are enlarged. */
int tl__sheet_open(tl_error *err, tl_sheet *s, int count, int columns, int height, int width, int lines);
/* Puts `picture` (grey or colour, of the sheet's size or smaller) at place `at`, from 0. Lines of `caption` are divided
 * by '\n'; what is too long is cut, and what is not ASCII becomes '?'. */
int tl__sheet_put(tl_error *err, tl_sheet *s, int at, const tl_image *picture, const char *caption);
/* Draws boxes on the picture that was put at place `at`. */
void tl__sheet_boxes(tl_sheet *s, int at, const tl_drawn_box *box, int64_t count);
void tl__sheet_free(tl_sheet *s);

/* The font: characters of 5 x 8 points, six apart. Draws the bytes from `text` to `end` in black, with its upper left
 * corner at (x, y), neither below 0, and points of `size` pixels; what is wider than `width` pixels ends in dots. The
 * page has three channels. */
enum { TL_GLYPH_HEIGHT = 8, TL_GLYPH_ADVANCE = 6 };
/* The same in a colour. */
void tl__draw_text_in(tl_image *page, const uint8_t colour[3], int x, int y, int size, int width, const char *text,
                      const char *end);
void tl__draw_text(tl_image *page, int x, int y, int size, int width, const char *text, const char *end);

#endif
