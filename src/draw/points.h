/* points.h - a font of our own, 5 x 8 points, for ASCII: it draws the same everywhere. */
#ifndef TLUA_POINTS_H
#define TLUA_POINTS_H

#include "io/image.h"

/* Paints a square of `side` pixels; what lies outside the page is left out. */
void tl__draw_point(tl_image *page, int x, int y, int side, const uint8_t colour[3]);
/* As tl__draw_text_in (letters.h); what is not ASCII becomes '?'. */
void tl__draw_points(tl_image *page, const uint8_t colour[3], int x, int y, int size, int width, const char *text,
                     const char *end);
/* How many of its characters stand for a text. */
int tl__points_length(const char *text, const char *end);

#endif
