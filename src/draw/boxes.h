/* boxes.h - boxes with their classes on pictures, for people to look at. */
#ifndef TLUA_BOXES_H
#define TLUA_BOXES_H

#include "io/image.h"

/* One box in pixels of its picture: left, top, right, bottom. */
typedef struct tl_drawn_box {
    double at[4];
    int colour;       /* any number, as that of its class: each has a colour of its own */
    const char *text; /* borrowed; NULL: none */
} tl_drawn_box;

/* The colour of number k: neighbours lie far apart on the wheel. */
void tl__box_colour(int k, uint8_t colour[3]);
/* Draws the frame of a box `line` pixels wide within its edges, and its text, with points of `size` pixels, in a tag
 * at its upper edge. `area` is where the picture stands on the page: left, top, width, height. The box counts from
 * there, `zoom` pixels a pixel, and nothing is drawn outside of it. The page has three channels. */
void tl__draw_box(tl_image *page, const tl_drawn_box *box, const int area[4], int zoom, int line, int size);

#endif
