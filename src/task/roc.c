/* roc.c - scores in falling order, and what follows from walking through them. Equal scores are one step of the curve.
 * The standard error is DeLong's (DeLong, DeLong and Clarke-Pearson 1988), with ranks as Sun and Xu (2014) made it
 * fast: what a positive contributes is how many negatives stand below it, and half of those beside it, and both are
 * known as the walk arrives there. */
#include "task/roc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry { double score; int64_t at; } entry;

static int falling(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return x->at < y->at ? -1 : x->at > y->at;
}

int tl__roc_open(tl_error *err, tl_roc *r, const double *score, const uint8_t *positive, const int32_t *group,
                 int64_t groups, int64_t n)
{
    size_t count = (size_t)n + 1;
    *r = (tl_roc){.n = n, .groups = group ? groups : n};
    entry *order = tl__calloc(err, count, sizeof *order);
    r->score = tl__calloc(err, count, sizeof *r->score);
    r->is_positive = tl__calloc(err, count, 1);
    r->last = tl__calloc(err, count, 1);
    r->group = group ? tl__calloc(err, count, sizeof *r->group) : NULL;
    int bad = !order || !r->score || !r->is_positive || !r->last || (group && !r->group);
    for (int64_t i = 0; i < n && !bad; i++) order[i] = (entry){score[i], i};
    if (!bad) qsort(order, (size_t)n, sizeof *order, falling);
    for (int64_t i = 0; i < n && !bad; i++) {
        r->score[i] = order[i].score;
        r->is_positive[i] = positive[order[i].at] != 0;
        r->last[i] = i + 1 == n || order[i + 1].score != order[i].score;
        if (group) r->group[i] = group[order[i].at];
        r->positive += r->is_positive[i];
    }
    r->negative = n - r->positive;
    free(order);
    if (bad) tl__roc_close(r);
    return bad ? -1 : 0;
}

void tl__roc_close(tl_roc *r)
{
    free(r->score);
    free(r->is_positive);
    free(r->last);
    free(r->group);
    *r = (tl_roc){0};
}

/* Variance of n values with this mean, of which `squares` is the sum of squared distances. */
static double variance(double squares, double n) { return n > 1 ? squares / (n - 1) : (double)NAN; }

void tl__roc_areas(const tl_roc *r, tl_roc_areas *out)
{
    double m = (double)r->positive, n = (double)r->negative, area = 0, precision = 0;
    int64_t tp = 0, fp = 0, last_tp = 0, last_fp = 0;
    for (int64_t i = 0; i < r->n; i++) {
        if (r->is_positive[i]) tp++;
        else fp++;
        if (!r->last[i]) continue;
        area += (double)(fp - last_fp) * (double)(tp + last_tp) / 2;
        precision += (double)(tp - last_tp) * (double)tp / (double)(tp + fp);
        last_tp = tp;
        last_fp = fp;
    }
    out->auroc = m > 0 && n > 0 ? area / (m * n) : (double)NAN;
    out->precision = m > 0 ? precision / m : (double)NAN;
    double of_positive = 0, of_negative = 0;
    tp = fp = last_tp = last_fp = 0;
    for (int64_t i = 0; i < r->n; i++) {
        if (r->is_positive[i]) tp++;
        else fp++;
        if (!r->last[i]) continue;
        double below = (n - (double)fp + (double)(fp - last_fp) / 2) / n - out->auroc;
        double above = ((double)last_tp + (double)(tp - last_tp) / 2) / m - out->auroc;
        of_positive += (double)(tp - last_tp) * below * below;
        of_negative += (double)(fp - last_fp) * above * above;
        last_tp = tp;
        last_fp = fp;
    }
    out->error = sqrt(variance(of_positive, m) / m + variance(of_negative, n) / n);
}

/* ---- drawing anew ---- */

/* How often each group is drawn in draw number `at`. */
static void draw(int32_t *count, int64_t groups, uint64_t seed, int64_t at)
{
    tl_rng_key key = tl__rng_key(seed, TL_RNG_BOOTSTRAP, (uint64_t)at);
    memset(count, 0, (size_t)groups * sizeof *count);
    for (int64_t i = 0; i < groups; i++) count[tl__rng_below(key, (uint64_t)i, (uint64_t)groups)]++;
}

static void figures_of(const tl_roc *r, const int32_t *weight, const tl_roc_wanted *wanted, double *out)
{
    int64_t m = 0, n = 0, tp = 0, fp = 0, last_tp = 0, last_fp = 0;
    double area = 0, precision = 0, sensitivity = 0, specificity = 0;
    for (int64_t i = 0; i < r->n; i++)
        if (r->is_positive[i]) m += weight[i];
        else n += weight[i];
    for (int64_t i = 0; i < r->n; i++) {
        if (r->is_positive[i]) tp += weight[i];
        else fp += weight[i];
        if (!r->last[i] || (tp == last_tp && fp == last_fp)) continue;
        area += (double)(fp - last_fp) * (double)(tp + last_tp) / 2;
        precision += (double)(tp - last_tp) * (double)tp / (double)(tp + fp);
        double sens = (double)tp / (double)m, spec = (double)(n - fp) / (double)n;
        if (spec >= wanted->specificity && sens > sensitivity) sensitivity = sens;
        if (sens >= wanted->sensitivity && spec > specificity) specificity = spec;
        last_tp = tp;
        last_fp = fp;
    }
    int both = m > 0 && n > 0;
    double figures[TL_ROC_FIGURES] = {area / ((double)m * (double)n), precision / (double)m, sensitivity, specificity};
    for (int k = 0; k < TL_ROC_FIGURES; k++) out[k] = both ? figures[k] : (double)NAN;
}

int tl__roc_bootstrap(tl_error *err, const tl_roc *r, const tl_roc_wanted *wanted, int64_t draws, uint64_t seed,
                      double (*out)[TL_ROC_FIGURES])
{
    int32_t *count = tl__calloc(err, (size_t)r->groups + 1, sizeof *count);
    int32_t *weight = tl__calloc(err, (size_t)r->n + 1, sizeof *weight);
    int bad = !count || !weight;
    for (int64_t k = 0; k < draws && !bad; k++) {
        draw(count, r->groups, seed, k);
        for (int64_t i = 0; i < r->n; i++) weight[i] = count[r->group ? r->group[i] : i];
        figures_of(r, weight, wanted, out[k]);
    }
    free(count);
    free(weight);
    return bad ? -1 : 0;
}

int tl__share_bootstrap(tl_error *err, const double *a, const double *b, const int32_t *group, int64_t groups,
                        int64_t n, int64_t draws, uint64_t seed, double *out)
{
    if (!group) groups = n;
    int32_t *count = tl__calloc(err, (size_t)groups + 1, sizeof *count);
    double *of_a = tl__calloc(err, (size_t)groups + 1, sizeof *of_a);
    double *of_b = tl__calloc(err, (size_t)groups + 1, sizeof *of_b);
    int bad = !count || !of_a || !of_b;
    for (int64_t i = 0; i < n && !bad; i++) {
        of_a[group ? group[i] : i] += a[i];
        of_b[group ? group[i] : i] += b[i];
    }
    for (int64_t k = 0; k < draws && !bad; k++) {
        double above = 0, below = 0;
        draw(count, groups, seed, k);
        for (int64_t g = 0; g < groups; g++) {
            above += count[g] * of_a[g];
            below += count[g] * of_b[g];
        }
        out[k] = below > 0 ? above / below : (double)NAN;
    }
    free(count);
    free(of_a);
    free(of_b);
    return bad ? -1 : 0;
}

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double at_share(const double *sorted, int64_t n, double share)
{
    double place = share * (double)(n - 1);
    int64_t below = (int64_t)place;
    if (below + 1 >= n) return sorted[n - 1];
    return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

int64_t tl__middle_of(double *values, int64_t n, double share, double *low, double *high)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(values[i])) values[kept++] = values[i];
    *low = *high = (double)NAN;
    if (kept == 0) return 0;
    qsort(values, (size_t)kept, sizeof *values, rising);
    *low = at_share(values, kept, (1 - share) / 2);
    *high = at_share(values, kept, (1 + share) / 2);
    return kept;
}
