/* saliency.h - a picture, and beside it the same picture with a heat map laid over what the network saw of it. */
#ifndef TLUA_SALIENCY_H
#define TLUA_SALIENCY_H

#include "io/image.h"

typedef struct tl_saliency {
    const float *map;       /* (height, width), packed, not negative */
    int height, width;
    int resize, size;       /* the network saw the middle `size` of the picture scaled to `resize` on its shorter side; 0: all of it, stretched */
    const char *caption;    /* below the picture: the class and its score */
    const char *origin;     /* below the heat map: what it shows */
} tl_saliency;

/* Where in a picture of this size the network looked: left, top, width, height, in pixels. */
void tl__saliency_box(const tl_saliency *s, int height, int width, double box[4]);
/* A colour of the map for a heat of 0 to 1: matplotlib's plasma, whose steps look evenly large. */
void tl__saliency_colour(double heat, double rgb[3]);
/* Writes the page into `page`. The picture has three channels and its own size there (or a whole multiple, where it is small); the heat is divided by its
 * largest value, scaled up by the bilinear filter, and the more opaque the hotter. 0 or -1. */
int tl__saliency_page(tl_error *err, const tl_saliency *s, const tl_image *picture, tl_image *page);

#endif
