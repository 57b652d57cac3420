/* roc.h - how well scores tell the positive from the negative, on the host: the area under the ROC curve with DeLong's
 * standard error, average precision, and what figures become when whole groups (patients) are drawn anew. */
#ifndef TLUA_TASK_ROC_H
#define TLUA_TASK_ROC_H

#include "base/base.h"

typedef struct tl_roc {
    int64_t n, positive, negative;
    double *score;        /* falling */
    uint8_t *is_positive; /* of each in this order */
    uint8_t *last;        /* 1 at the last of those with one score */
    int32_t *group;       /* NULL: each is a group of its own */
    int64_t groups;
} tl_roc;

/* Sorts n scores, none of which may be NaN. group: from 0 below `groups`, or NULL. 0 or -1. */
int tl__roc_open(tl_error *err, tl_roc *r, const double *score, const uint8_t *positive, const int32_t *group,
                 int64_t groups, int64_t n);
void tl__roc_close(tl_roc *r);

typedef struct tl_roc_areas {
    double auroc;     /* NaN where one of both kinds is missing */
    double precision; /* average precision: the sum of precision times the growth of recall; NaN without a positive */
    double error;     /* DeLong's standard error of auroc; NaN where one kind has fewer than two */
} tl_roc_areas;

void tl__roc_areas(const tl_roc *r, tl_roc_areas *out);

typedef struct tl_roc_wanted { double specificity, sensitivity; } tl_roc_wanted;
/* Of each draw of as many groups with replacement: auroc, average precision, the best sensitivity whose specificity is
 * as wanted or more, and the reverse; NaN where one of both kinds was not drawn. 0 or -1. */
enum { TL_ROC_FIGURES = 4 };
int tl__roc_bootstrap(tl_error *err, const tl_roc *r, const tl_roc_wanted *wanted, int64_t draws, uint64_t seed,
                      double (*out)[TL_ROC_FIGURES]);

/* Of each draw the share sum(a) / sum(b), or NaN where b sums to 0; draws are those of tl__roc_bootstrap. 0 or -1. */
int tl__share_bootstrap(tl_error *err, const double *a, const double *b, const int32_t *group, int64_t groups,
                        int64_t n, int64_t draws, uint64_t seed, double *out);

/* Between what the middle `share` of n values lies, interpolated linearly between two; NaN are left out, and the values
 * sorted. Gives how many are left. */
int64_t tl__middle_of(double *values, int64_t n, double share, double *low, double *high);

#endif
