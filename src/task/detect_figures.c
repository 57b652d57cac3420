/* detect_figures.c - what follows from the fates of boxes: COCO's average precision and recall, and curves.
 * Precision is made falling from the right and read at 101 recalls, as pycocotools' accumulate does. */
#include "task/detect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RECALLS = 101 };

typedef struct curve { double *recall, *precision; } curve;

/* Average precision (over the recalls) and the recall at the end, of one class, area, IoU and number of boxes. */
static void walk(const tl_fate *fate, int64_t n, int64_t truths, int area, int t, int most, curve *c, double *ap,
                 double *ar)
{
    int64_t tp = 0, fp = 0, nd = 0, at = 0;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        if (fate[i].rank >= most) continue;
        int hit = fate[i].hit[area] >> t & 1, ignored = fate[i].ignored[area] >> t & 1;
        tp += hit && !ignored;
        fp += !hit && !ignored;
        c->recall[nd] = (double)tp / (double)truths;
        c->precision[nd++] = (double)tp / ((double)fp + (double)tp + 2.220446049250313e-16);
    }
    for (int64_t i = nd - 1; i > 0; i--)
        if (c->precision[i] > c->precision[i - 1]) c->precision[i - 1] = c->precision[i];
    for (int r = 0; r < RECALLS; r++) {
        double wanted = r == RECALLS - 1 ? 1.0 : r * 0.01;
        while (at < nd && c->recall[at] < wanted) at++;
        if (at < nd) sum += c->precision[at];
    }
    *ap = sum / RECALLS;
    *ar = nd ? c->recall[nd - 1] : 0;
}

/* Mean over all IoUs; `some`: the values at 0.50 and 0.75. */
static void mean_of(const tl_fates *f, int k, int area, int most, curve *c, double *ap, double *ar, double some[2])
{
    const tl_fate *fate = f->fate ? f->fate + f->from[k] : NULL;
    *ap = *ar = 0;
    for (int t = 0; t < TL_IOUS; t++) {
        double a, r;
        walk(fate, f->from[k + 1] - f->from[k], f->truths[k][area], area, t, most, c, &a, &r);
        *ap += a / TL_IOUS;
        *ar += r / TL_IOUS;
        if (t == 0) some[0] = a;
        if (t == 5) some[1] = a;
    }
}

static void class_figures(const tl_fates *f, int k, curve *c, double *row)
{
    double some[2], unused;
    for (int i = 0; i < TL_BOX_FIGURES; i++) row[i] = (double)NAN;
    if (f->truths[k][0]) {
        mean_of(f, k, 0, 1, c, &unused, &row[TL_AR_1], some);
        mean_of(f, k, 0, 10, c, &unused, &row[TL_AR_10], some);
        mean_of(f, k, 0, TL_MOST_FOUND, c, &row[TL_AP], &row[TL_AR_100], some);
        row[TL_AP_50] = some[0];
        row[TL_AP_75] = some[1];
    }
    for (int a = 1; a < TL_AREAS; a++)
        if (f->truths[k][a])
            mean_of(f, k, a, TL_MOST_FOUND, c, &row[TL_AP_SMALL + a - 1], &row[TL_AR_SMALL + a - 1], some);
}

int tl__box_figures(tl_error *err, const tl_fates *f, int classes, double (*rows)[TL_BOX_FIGURES],
                    double mean[TL_BOX_FIGURES])
{
    int64_t most = 0;
    for (int k = 0; k < classes; k++)
        if (f->from[k + 1] - f->from[k] > most) most = f->from[k + 1] - f->from[k];
    curve c = {tl__malloc(err, ((size_t)most + 1) * sizeof(double)), NULL};
    c.precision = c.recall ? tl__malloc(err, ((size_t)most + 1) * sizeof(double)) : NULL;
    int status = c.precision ? 0 : -1;
    for (int k = 0; k < classes && status == 0; k++) class_figures(f, k, &c, rows[k]);
    free(c.recall);
    free(c.precision);
    for (int i = 0; i < TL_BOX_FIGURES && status == 0; i++) {
        double sum = 0, n = 0;
        for (int k = 0; k < classes; k++) {
            if (isnan(rows[k][i])) continue;
            sum += rows[k][i];
            n++;
        }
        mean[i] = n > 0 ? sum / n : (double)NAN;
    }
    return status;
}

/* ---- curves ---- */

typedef struct entry { double score; int hit; } entry;

static int falling(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    return x->score < y->score ? 1 : x->score > y->score ? -1 : 0;
}

int64_t tl__box_curve(tl_error *err, const tl_fates *f, int label, int classes, tl_box_step *out)
{
    int64_t first = label < 0 ? 0 : f->from[label], end = f->from[label < 0 ? classes : label + 1];
    int64_t n = 0, steps = 0, hits = 0, alarms = 0;
    entry *list = tl__malloc(err, (size_t)(end - first) * sizeof *list + 1);
    if (!list) return -1;
    for (int64_t i = first; i < end; i++)
        if (!(f->fate[i].ignored[0] & 1)) list[n++] = (entry){f->fate[i].score, f->fate[i].hit[0] & 1};
    qsort(list, (size_t)n, sizeof *list, falling);
    for (int64_t i = 0; i < n; i++) {
        hits += list[i].hit;
        alarms += !list[i].hit;
        if (i + 1 < n && list[i + 1].score == list[i].score) continue;
        out[steps++] = (tl_box_step){list[i].score, hits, alarms};
    }
    free(list);
    return steps;
}
