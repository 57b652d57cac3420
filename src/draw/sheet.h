/* sheet.h - pictures on one page with a line or two below each, for people to look at. */
#ifndef TLUA_SHEET_H
#define TLUA_SHEET_H

#include "draw/boxes.h"

/* A page of cells. Zero it; tl__sheet_free frees it. */
typedef struct tl_sheet {
    tl_image page;
    int count, columns, width, height; /* of the pictures */
    int zoom, text, lines;             /* pixels a pixel of a picture, and of the font; lines below a picture */
    int letters;                       /* height of lines that may have letters of any script; 0: all are ASCII */
} tl_sheet;

/* An empty page for `count` pictures of one size, in `columns` columns (0: about as wide as high), with `lines`
 * lines of text each. Small pictures are enlarged. `letters`: some caption has other letters than ASCII's, and all
 * look alike then. */
int tl__sheet_open(tl_error *err, tl_sheet *s, int count, int columns, int height, int width, int lines, int letters);
/* Puts `picture` (grey or colour, of the sheet's size or smaller) at place `at`, from 0. Lines of `caption` are divided
 * by '\n'; what is too long ends in dots. */
int tl__sheet_put(tl_error *err, tl_sheet *s, int at, const tl_image *picture, const char *caption);
/* Draws boxes on the picture that was put at place `at`. */
void tl__sheet_boxes(tl_sheet *s, int at, const tl_drawn_box *box, int64_t count);
void tl__sheet_free(tl_sheet *s);

#endif
