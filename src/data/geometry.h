/* geometry.h - where the pixels of a sample have gone. Each step that moves pixels says how; masks, boxes and points go
 * the whole way at once, by one matrix. A step that shows what lies outside of its picture (a shift, a turn, a border)
 * shows nothing there, though the file may have had something: then the way has one more part, with bounds of its own. */
#ifndef TLUA_GEOMETRY_H
#define TLUA_GEOMETRY_H

#include "data/affine.h"
#include "data/target.h"

#define TL_GEOMETRY_PARTS 16

typedef struct tl_geometry {
    int count, width, height; /* parts; size of the picture now */
    double least_visible;     /* boxes that keep less than this share of their area are dropped */
    double least_side;        /* likewise those with a side below so many pixels; 1 to begin with */
    struct tl_geometry_part {
        tl_affine from;       /* where a point of the part's result comes from */
        int width, height;    /* of the picture that it comes from */
    } part[TL_GEOMETRY_PARTS];
} tl_geometry;

/* A picture of this size of which nothing has moved yet. */
void tl__geometry_start(tl_geometry *g, int width, int height);
/* One more step: its result of width x height shows at (x, y) what was at `from` of them. Never fails: too many parts are
 * told when something goes the way. */
void tl__geometry_move(tl_geometry *g, const tl_affine *from, int width, int height);

/* The mask (one byte a pixel, and it must be as large as the picture was: tl__target_fits) as it lies now, (height, width) into `out`: that of the
 * nearest pixel, TL_MASK_IGNORED where the picture shows nothing of its file. */
int tl__geometry_mask(tl_error *err, const tl_geometry *g, const tl_image *mask, int32_t *out);
/* Boxes and points as they lie now. A box is what encloses its turned corners, clipped to the picture; one that has less
 * than a pixel (least_side) left along a side, or less than least_visible of what it covered of the file's picture, is
 * dropped with its label. Shares of `in` that are seen count, and where `out` has room for such it gets those that are
 * left (tl__marks_reserve_seen). Points are all kept, also those outside. */
int tl__geometry_marks(tl_error *err, const tl_geometry *g, const tl_marks *in, tl_marks *out);

/* A box of the picture as it lies now (left, top, right, bottom), where no step has turned it, in pixels of the picture
 * that it was, clipped to that. 0 or -1. */
int tl__geometry_back(tl_error *err, const tl_geometry *g, double box[4]);

#endif
