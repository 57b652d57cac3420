/* nms.c - which of boxes that overlap stays. As torchvision's: areas and overlaps in float32, compared with the
 * threshold in double, so that boxes on the edge fall to the same side. */
#include "task/detect.h"

#include <stdlib.h>

typedef struct entry { float score; int64_t at; } entry;

static int falling(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static float least(float a, float b) { return a < b ? a : b; }
static float largest(float a, float b) { return a > b ? a : b; }
static float area(const float *p) { return (p[2] - p[0]) * (p[3] - p[1]); }

static int overlaps(const float *p, const float *q, double iou)
{
    float w = largest(0.0f, least(p[2], q[2]) - largest(p[0], q[0]));
    float h = largest(0.0f, least(p[3], q[3]) - largest(p[1], q[1]));
    float both = w * h, ratio = both / (area(p) + area(q) - both);
    return (double)ratio > iou;
}

int64_t tl__nms(tl_error *err, const float *box, const float *score, const int32_t *label, int64_t n, double iou,
                int64_t most, int64_t *keep)
{
    entry *order = tl__malloc(err, ((size_t)n + 1) * sizeof *order);
    if (!order) return -1;
    for (int64_t i = 0; i < n; i++) order[i] = (entry){score[i], i};
    qsort(order, (size_t)n, sizeof *order, falling);
    int64_t kept = 0;
    for (int64_t k = 0; k < n && (!most || kept < most); k++) {
        int64_t i = order[k].at, j = 0;
        while (j < kept && ((label && label[keep[j]] != label[i]) || !overlaps(box + 4 * keep[j], box + 4 * i, iou)))
            j++;
        if (j == kept) keep[kept++] = i;
    }
    free(order);
    return kept;
}
