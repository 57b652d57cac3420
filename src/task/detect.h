/* detect.h - boxes that were found beside those that are there, on the host: which of boxes that overlap stays, and
 * the figures of COCO's evaluation with what they are made of. Boxes are left, top, right, bottom. */
#ifndef TLUA_TASK_DETECT_H
#define TLUA_TASK_DETECT_H

#include "base/base.h"

/* Non-maximum suppression: boxes from the highest score down, but for those whose overlap (IoU) with one that stays is
 * above `iou`. With labels only boxes of one label take each other out. At most `most` stay (0: any number). Equal
 * scores keep their order. Writes numbers from 0 into keep (n); gives how many, or -1. */
int64_t tl__nms(tl_error *err, const float *box, const float *score, const int32_t *label, int64_t n, double iou,
                int64_t most, int64_t *keep);

typedef struct tl_found { double box[4], score; int32_t label; } tl_found;
typedef struct tl_truth { double box[4], area; int32_t label; uint8_t crowd; } tl_truth;

/* All that was found in a part, and all that is there, by pictures in the order in which they came. Zero it but for
 * `classes`, free it with tl__boxes_free. */
typedef struct tl_boxes {
    int classes;
    int64_t pictures, room, found_room, truth_room;
    int64_t *found_from, *truth_from; /* (pictures + 1) */
    tl_found *found;
    tl_truth *truth;
} tl_boxes;

/* Adds a picture. Labels must be from 0 below `classes`, scores no NaN. 0 or -1. */
int tl__boxes_add(tl_error *err, tl_boxes *b, const tl_found *found, int64_t n, const tl_truth *truth, int64_t m);
void tl__boxes_free(tl_boxes *b);

/* ---- COCO's figures ---- */

/* In the order of pycocotools' stats. */
enum {
    TL_AP, TL_AP_50, TL_AP_75, TL_AP_SMALL, TL_AP_MEDIUM, TL_AP_LARGE,
    TL_AR_1, TL_AR_10, TL_AR_100, TL_AR_SMALL, TL_AR_MEDIUM, TL_AR_LARGE, TL_BOX_FIGURES
};
enum { TL_IOUS = 10, TL_AREAS = 4, TL_MOST_FOUND = 100 };

/* What became of a box that was found, by area (all, small, medium, large) and IoU (0.50, 0.55, ... 0.95) as bits. */
typedef struct tl_fate {
    double score;
    int64_t at;       /* in the order in which pictures came */
    int32_t label;
    uint16_t hit[TL_AREAS], ignored[TL_AREAS];
    uint8_t rank;     /* among those of its picture and class, below TL_MOST_FOUND */
} tl_fate;

typedef struct tl_fates {
    int64_t n, room;
    tl_fate *fate;            /* by class, then falling score */
    int64_t *from;            /* (classes + 1) */
    int64_t (*truths)[TL_AREAS]; /* by class: those that count */
} tl_fates;

/* Matches all pictures as pycocotools does. Zero `out`, free it with tl__fates_free. 0 or -1. */
int tl__fates(tl_error *err, const tl_boxes *b, tl_fates *out);
void tl__fates_free(tl_fates *f);

/* Figures of each class into rows, NaN where there is no truth to find; and the means over classes into `mean`.
 * 0 or -1. */
int tl__box_figures(tl_error *err, const tl_fates *f, int classes, double (*rows)[TL_BOX_FIGURES],
                    double mean[TL_BOX_FIGURES]);

/* A step of the curve at an IoU of 0.5: so many have this score at least. */
typedef struct tl_box_step { double score; int64_t hits, false_alarms; } tl_box_step;
/* The steps of class `label` from the highest score down into `out`, which has room for as many as the class has
 * fates (label -1: all classes together, fates->n). Gives how many, or -1. */
int64_t tl__box_curve(tl_error *err, const tl_fates *f, int label, int classes, tl_box_step *out);

/* What is taken for what in one picture by boxes of a confidence (by class) at least, at an IoU of `iou`. First each
 * class by itself as above; then what is left over, by falling IoU, of whatever class. of_found (n): the truth's number
 * from 0, -1 none, -2 lies in a crowd, -3 below its confidence or beyond TL_MOST_FOUND; of_truth (m): the box's
 * number, -1 none, -2 a crowd. 0 or -1. */
int tl__boxes_paired(tl_error *err, const tl_boxes *b, int64_t picture, const double *confidence, double iou,
                     int64_t *of_found, int64_t *of_truth);
/* Counts pairs of all pictures: table[truth][found] of (classes + 1) x (classes + 1), the last is background. 0 or
 * -1. */
int tl__boxes_confused(tl_error *err, const tl_boxes *b, const double *confidence, double iou, int64_t *table);

#endif
