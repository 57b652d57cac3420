/* assign_simota.c - SimOTA for one picture: each box takes as many of the cells near it as their boxes overlap it in
 * sum, those of the least cost; a cell that several boxes took stays with the one to which it costs least. The table of
 * costs, boxes by cells, is never kept: a row of it is worked out when it is wanted. */
#include "task/assign.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RADIUS 2.5f    /* a cell is near a box's centre within so many strides on both sides */
#define FAR 100000.0f  /* what a cell costs that does not lie in the box and near its centre too */
#define BY_IOU 3.0f    /* how the logarithm of the IoU weighs beside the classes */
#define LEAST_LOG -100.0f /* logarithms of probabilities, as PyTorch's binary_cross_entropy cuts them */
enum { OVERLAPS = 10 };   /* how many of the largest overlaps are added up */

typedef struct room {
    const tl_levels *l;
    const float *cell, *rows;
    int64_t count;     /* candidates */
    int32_t *at;       /* their cells */
    float *box, *none; /* (candidates, 4); what it costs to be of no class at all */
    float *iou, *cost; /* of the box at hand */
    int32_t *order;
} room;

static int is_near(const float *cell, const float *b, int *both)
{
    float s = cell[2], x = (cell[0] + 0.5f) * s, y = (cell[1] + 0.5f) * s;
    float cx = 0.5f * (b[0] + b[2]), cy = 0.5f * (b[1] + b[3]);
    int inside = x > b[0] && x < b[2] && y > b[1] && y < b[3];
    int centre = fabsf(x - cx) < RADIUS * s && fabsf(y - cy) < RADIUS * s;
    *both = inside && centre;
    return inside || centre;
}

/* How probable class k is in a row: the geometric mean of the class's sigmoid and that of there being an object. */
static float probability(const float *row, int64_t k)
{
    return sqrtf(tl__sigmoid(row[5 + k]) * tl__sigmoid(row[4]));
}

static float log_of(float v) { return v > 0.0f ? fmaxf(logf(v), LEAST_LOG) : LEAST_LOG; }

static void free_room(room *r)
{
    free(r->at);
    free(r->box);
    free(r->none);
    free(r->iou);
    free(r->cost);
    free(r->order);
}

/* The cells that any of the boxes may take, and what does not hang on the box. */
static int set_candidates(tl_error *err, room *r, const float *truth, int64_t n)
{
    int64_t cells = tl__levels_cells(r->l), width = tl__levels_width(r->l);
    size_t all = (size_t)cells + 1;
    if (!(r->at = tl__malloc(err, all * sizeof *r->at))) return -1;
    for (int64_t c = 0; c < cells; c++) {
        int near = 0, both;
        for (int64_t i = 0; i < n && !near; i++) near = is_near(r->cell + 3 * c, truth + 4 * i, &both);
        if (near) r->at[r->count++] = (int32_t)c;
    }
    size_t count = (size_t)r->count + 1;
    if (!(r->box = tl__malloc(err, count * 4 * sizeof *r->box)) ||
        !(r->none = tl__malloc(err, count * sizeof *r->none)) || !(r->iou = tl__malloc(err, count * sizeof *r->iou)) ||
        !(r->cost = tl__malloc(err, count * sizeof *r->cost)) ||
        !(r->order = tl__malloc(err, count * sizeof *r->order)))
        return -1;
    for (int64_t j = 0; j < r->count; j++) {
        const float *row = r->rows + r->at[j] * width;
        float sum = 0.0f;
        for (int64_t k = 0; k < r->l->classes; k++) sum -= log_of(1.0f - probability(row, k));
        tl__levels_box(r->l, r->cell + 3 * r->at[j], row, r->box + 4 * j);
        r->none[j] = sum;
    }
    return 0;
}

static float iou_of(const float *a, const float *b)
{
    float w = fminf(a[2], b[2]) - fmaxf(a[0], b[0]), h = fminf(a[3], b[3]) - fmaxf(a[1], b[1]);
    float both = w > 0.0f && h > 0.0f ? w * h : 0.0f;
    float iou = both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both);
    return iou > 0.0f ? iou : 0.0f; /* no number where a box is none */
}

/* What candidate j costs a box; a row without numbers costs more than any other. */
static float cost_of(const room *r, int64_t j, const float *b, int32_t label, float *iou)
{
    int both;
    const float *row = r->rows + r->at[j] * tl__levels_width(r->l);
    float p = probability(row, label);
    *iou = iou_of(b, r->box + 4 * j);
    is_near(r->cell + 3 * r->at[j], b, &both);
    float cost = r->none[j] + log_of(1.0f - p) - log_of(p) - BY_IOU * logf(*iou + 1e-8f) + (both ? 0.0f : FAR);
    return isnan(cost) ? HUGE_VALF : cost;
}

/* How many cells a box takes: the sum of the largest overlaps, one at least. */
static int64_t count_of(const room *r)
{
    float top[OVERLAPS] = {0}, sum = 0.0f;
    for (int64_t j = 0; j < r->count; j++) {
        float v = r->iou[j];
        for (int k = 0; k < OVERLAPS && v > 0.0f; k++)
            if (v > top[k]) {
                float less = top[k];
                top[k] = v;
                v = less;
            }
    }
    for (int k = 0; k < OVERLAPS; k++) sum += top[k];
    return sum < 1.0f ? 1 : (int64_t)sum;
}

/* The `k` candidates of least cost, equal ones in their order, into r->order. */
static void take_least(room *r, int64_t k)
{
    int64_t n = 0;
    for (int64_t j = 0; j < r->count; j++) {
        if (n == k && !(r->cost[j] < r->cost[r->order[n - 1]])) continue;
        int64_t at = n < k ? n++ : n - 1;
        for (; at > 0 && r->cost[j] < r->cost[r->order[at - 1]]; at--) r->order[at] = r->order[at - 1];
        r->order[at] = (int32_t)j;
    }
}

/* Of all boxes the one to which candidate j costs least. */
static tl_match cheapest(const room *r, int64_t j, const float *truth, const int32_t *label, int64_t n)
{
    tl_match best = {.cell = r->at[j]};
    float least = 0.0f;
    for (int64_t i = 0; i < n; i++) {
        float iou, cost = cost_of(r, j, truth + 4 * i, label[i], &iou);
        if (i > 0 && !(cost < least)) continue;
        least = cost;
        best.truth = (int32_t)i;
        best.score = iou;
    }
    return best;
}

/* Matches of `from` name candidates; those of `m` name cells, one each. */
static int settle(tl_error *err, const room *r, tl_matches *from, const float *truth, const int32_t *label, int64_t n,
                  tl_matches *m)
{
    tl__matches_sort(from);
    for (int64_t i = 0; i < from->n;) {
        int64_t j = i;
        while (j < from->n && from->match[j].cell == from->match[i].cell) j++;
        tl_match one = from->match[i];
        if (j - i > 1) one = cheapest(r, one.cell, truth, label, n);
        else one.cell = r->at[one.cell];
        if (tl__matches_add(err, m, one) != 0) return -1;
        i = j;
    }
    return 0;
}

int tl__assign_simota(tl_error *err, const tl_levels *l, const float *cell, const float *rows, const float *truth,
                      const int32_t *label, int64_t n, tl_matches *m)
{
    room r = {.l = l, .cell = cell, .rows = rows};
    tl_matches taken = {0};
    int bad = n > 0 ? set_candidates(err, &r, truth, n) : 0;
    for (int64_t i = 0; i < n && r.count > 0 && !bad; i++) {
        for (int64_t j = 0; j < r.count; j++) r.cost[j] = cost_of(&r, j, truth + 4 * i, label[i], &r.iou[j]);
        int64_t k = count_of(&r);
        if (k > r.count) k = r.count;
        take_least(&r, k);
        for (int64_t j = 0; j < k && !bad; j++)
            bad = tl__matches_add(err, &taken, (tl_match){r.order[j], (int32_t)i, r.iou[r.order[j]]});
    }
    if (!bad) bad = settle(err, &r, &taken, truth, label, n, m);
    free(taken.match);
    free_room(&r);
    return bad;
}
