/* assign_aligned.c - task-aligned assignment for one picture: each box takes the ten cells within it whose class and
 * whose box agree with it best; a cell that several boxes took stays with the one that it overlaps most. Overlaps are
 * CIoU (Zheng et al. 2020), from 0 up. What a cell is to learn for its class is its alignment, so scaled that the best
 * of a box has the box's largest overlap. */
#include "task/assign.h"

#include <math.h>
#include <stdlib.h>

#define EPSILON 1e-7f    /* of CIoU */
#define LEAST 1e-9f      /* of an alignment that is divided by */
#define PI 3.14159265358979f
enum { MOST = 10 };      /* cells a box */

typedef struct taken { int32_t cell, truth; float align, overlap; } taken;

/* IoU less the distance of the centres and the difference of the shapes. */
static float ciou(const float *a, const float *b)
{
    float wa = a[2] - a[0], ha = a[3] - a[1] + EPSILON, wb = b[2] - b[0], hb = b[3] - b[1] + EPSILON;
    float w = fmaxf(fminf(a[2], b[2]) - fmaxf(a[0], b[0]), 0.0f);
    float h = fmaxf(fminf(a[3], b[3]) - fmaxf(a[1], b[1]), 0.0f);
    float iou = w * h / (wa * ha + wb * hb - w * h + EPSILON);
    float cw = fmaxf(a[2], b[2]) - fminf(a[0], b[0]), ch = fmaxf(a[3], b[3]) - fminf(a[1], b[1]);
    float dx = 0.5f * (a[0] + a[2] - b[0] - b[2]), dy = 0.5f * (a[1] + a[3] - b[1] - b[3]);
    float turn = atanf(wa / ha) - atanf(wb / hb), v = 4.0f / (PI * PI) * turn * turn;
    return iou - (dx * dx + dy * dy) / (cw * cw + ch * ch + EPSILON) - v * v / (v - iou + 1.0f + EPSILON);
}

/* The cells that box i takes, the best first, equal ones in their order; how many. */
static int best_cells(const tl_levels *l, const float *cell, const float *rows, const float *b, int32_t label,
                      int32_t i, taken *best)
{
    int64_t width = tl__levels_width(l), cells = tl__levels_cells(l);
    int n = 0;
    for (int64_t c = 0; c < cells; c++, cell += 3, rows += width) {
        float x = (cell[0] + 0.5f) * cell[2], y = (cell[1] + 0.5f) * cell[2], box[4];
        if (!(x > b[0] && x < b[2] && y > b[1] && y < b[3])) continue;
        tl__levels_box(l, cell, rows, box);
        float over = ciou(b, box);
        if (!(over > 0.0f)) continue;
        float o2 = over * over, align = sqrtf(tl__sigmoid(rows[4 * l->bins + label])) * o2 * o2 * o2;
        if (!(align > 0.0f) || (n == MOST && !(align > best[n - 1].align))) continue;
        int at = n < MOST ? n++ : n - 1;
        for (; at > 0 && align > best[at - 1].align; at--) best[at] = best[at - 1];
        best[at] = (taken){(int32_t)c, i, align, over};
    }
    return n;
}

static int by_cell(const void *a, const void *b)
{
    const taken *x = a, *y = b;
    if (x->cell != y->cell) return x->cell < y->cell ? -1 : 1;
    return x->truth < y->truth ? -1 : x->truth > y->truth;
}

/* Alignments of a box's cells are scaled to its largest overlap. */
static void scale(taken *best, int n)
{
    float align = 0.0f, overlap = 0.0f;
    for (int j = 0; j < n; j++) {
        align = fmaxf(align, best[j].align);
        overlap = fmaxf(overlap, best[j].overlap);
    }
    for (int j = 0; j < n; j++) best[j].align *= overlap / (align + LEAST);
}

int tl__assign_aligned(tl_error *err, const tl_levels *l, const float *cell, const float *rows, const float *truth,
                       const int32_t *label, int64_t n, tl_matches *m)
{
    int64_t count = 0;
    int bad = 0;
    taken *list = tl__malloc(err, ((size_t)n * MOST + 1) * sizeof *list);
    if (!list) return -1;
    for (int64_t i = 0; i < n; i++) {
        int k = best_cells(l, cell, rows, truth + 4 * i, label[i], (int32_t)i, list + count);
        scale(list + count, k);
        count += k;
    }
    qsort(list, (size_t)count, sizeof *list, by_cell);
    for (int64_t i = 0; i < count && !bad;) {
        taken one = list[i];
        int64_t j = i + 1;
        for (; j < count && list[j].cell == one.cell; j++) {
            float align = fmaxf(one.align, list[j].align);
            if (list[j].overlap > one.overlap) one = list[j];
            one.align = align;
        }
        bad = tl__matches_add(err, m, (tl_match){one.cell, one.truth, one.align});
        i = j;
    }
    free(list);
    return bad;
}
