/* assign.h - networks whose outputs are a row for each cell of several levels (YOLOX, YOLOv8), on the host: where cells
 * lie, which boxes rows stand for, and which cells are to learn which box. Boxes are left, top, right, bottom in
 * pixels of the network's input; rows are float32 and not changed. */
#ifndef TLUA_TASK_ASSIGN_H
#define TLUA_TASK_ASSIGN_H

#include "base/base.h"

enum { TL_MOST_LEVELS = 8, TL_MOST_BINS = 64 };

/* Levels of a picture of height x width pixels: a cell for every stride x stride of them, level after level, cells row
 * by row. A row is
 *   bins = 0: x, y (of the centre, from the cell's corner) and log width, log height in strides; the logit of there
 *             being an object; a logit for each class (Ge et al. 2021, YOLOX);
 *   bins > 0: for left, top, right, bottom `bins` logits each of the distance from the cell's centre being 0, 1, ...
 *             strides (Li et al. 2020, GFL); a logit for each class. */
typedef struct tl_levels {
    int count, bins, classes;
    int stride[TL_MOST_LEVELS];
    int64_t height, width;
} tl_levels;

/* 0, or -1 where a stride does not divide both sides of the picture, or a count is out of its bounds. */
int tl__levels_check(tl_error *err, const tl_levels *l);
/* Of levels that are checked: how many cells all of them have, and how many numbers a row has. */
int64_t tl__levels_cells(const tl_levels *l);
int64_t tl__levels_width(const tl_levels *l);
/* Column and row, from 0, and stride of each cell into cell (cells, 3). */
void tl__levels_place(const tl_levels *l, float *cell);
/* The box that a row (width) of a cell (3) stands for; infinite or NaN where the row's numbers are. */
void tl__levels_box(const tl_levels *l, const float *cell, const float *row, float box[4]);

float tl__sigmoid(float x);

/* What the rows (cells, width) of one picture say: box, score and class of each whose likeliest class has a score of
 * `confidence` at least, or with `several` of each such class; into lists with room for all cells, with `several` for
 * as many as there are classes in each. Gives how many; -1 where a number of the rows is none. */
int64_t tl__levels_found(const tl_levels *l, const float *cell, const float *rows, float confidence, int several,
                         float *box, float *score, int32_t *label);

/* ---- which cells learn which box ---- */

/* A cell that is to learn a box, both by their numbers from 0. */
typedef struct tl_match { int32_t cell, truth; float score; } tl_match;
/* Zero it; who has it frees `match`. */
typedef struct tl_matches { int64_t n, room; tl_match *match; } tl_matches;

/* 0, or -1 where memory is short. */
int tl__matches_add(tl_error *err, tl_matches *m, tl_match one);
/* By cell, those of one cell by truth. */
void tl__matches_sort(tl_matches *m);

/* Both ways of assignment are for one picture: cell (cells, 3) as tl__levels_place has it, rows (cells, width), truth
 * (n, 4) and label (n), which must be below l->classes. They add to m, each cell at most once and in the order of
 * cells. 0, or -1 where memory is short; m is then to be freed as ever. */

/* SimOTA (Ge et al. 2021) as YOLOX 0.3.0 has it: score is the IoU of the cell's box with the truth. */
int tl__assign_simota(tl_error *err, const tl_levels *l, const float *cell, const float *rows, const float *truth,
                      const int32_t *label, int64_t n, tl_matches *m);

/* Task-aligned assignment (Feng et al. 2021, TOOD; ten cells a box, score^0.5 CIoU^6) as keras-cv 0.9.0 has it: score
 * is the alignment, scaled so that the best cell of a box has its largest CIoU. */
int tl__assign_aligned(tl_error *err, const tl_levels *l, const float *cell, const float *rows, const float *truth,
                       const int32_t *label, int64_t n, tl_matches *m);

#endif
