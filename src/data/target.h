/* target.h - what a sample has beside its picture and its class: values, a mask, boxes, points. Positions are pixels
 * of the picture as it is read, from the upper left corner of the upper left pixel. */
#ifndef TLUA_TARGET_H
#define TLUA_TARGET_H

#include "io/image.h"

/* Fields of a sample, as bits: what a source gives, and what a step touches. */
enum {
    TL_FIELD_IMAGE = 1,
    TL_FIELD_LABEL = 2,
    TL_FIELD_VALUES = 4,
    TL_FIELD_MASK = 8,
    TL_FIELD_BOXES = 16,
    TL_FIELD_POINTS = 32,
    TL_FIELD_WAVE = 64,
    TL_FIELD_TEXT = 128,
    TL_FIELD_VOLUME = 256,
    TL_FIELD_PIECES = 512,
    TL_FIELD_MARKS = 1024,
    TL_FIELD_SPANS = 2048
};
/* Those that lie in the picture, and so follow when its pixels move. */
#define TL_FIELDS_PLACED (TL_FIELD_MASK | TL_FIELD_BOXES | TL_FIELD_POINTS)
/* "mask" for TL_FIELD_MASK. */
const char *tl__field_name(unsigned field);

/* The class of a mask's pixels that nobody asks for: it belongs to no class, in losses and in figures. */
#define TL_MASK_IGNORED 255

/* Boxes and points of one sample; zero it, free it with tl__marks_free. */
typedef struct tl_marks {
    int64_t boxes, points;
    int64_t box_room, point_room, seen_room;
    float *box;         /* (boxes, 4): left, top, right, bottom */
    int32_t *box_label; /* (boxes) */
    float *point;       /* (points, 2): x, y */
    float *seen;        /* (boxes) the share of each that is left of what its picture showed; NULL: all of it */
} tl_marks;

/* Room for so many, in all; what is there stays. 0 or -1. */
int tl__marks_reserve(tl_error *err, tl_marks *m, int64_t boxes, int64_t points);
/* The same for so many shares. */
int tl__marks_reserve_seen(tl_error *err, tl_marks *m, int64_t boxes);
void tl__marks_free(tl_marks *m);

/* Memory that one sample after the other is read into; zero it, free it with tl__target_free. */
typedef struct tl_target {
    int value_count, value_room;
    float *values;
    const char *mask_name; /* of its file, borrowed */
    tl_image mask;      /* one byte a pixel: a class, or TL_MASK_IGNORED */
    tl_marks marks;
} tl_target;

/* Copies `count` values. 0 or -1. */
int tl__target_values(tl_error *err, tl_target *t, const float *values, int count);
/* Is the mask as large as its picture? 0, or -1 with an error that names the mask's file. */
int tl__target_fits(tl_error *err, const tl_target *t, int width, int height);
void tl__target_free(tl_target *t);

#endif
