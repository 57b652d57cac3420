/* roc.c - areas and draws: every allocation made to fail, and many scores in little time. What scikit-learn gives is in
 * tests/lua/roc.lua. */
#include "task/roc.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

enum { N = 200, DRAWS = 20 };

static int all(tl_error *err, double *area, double *share)
{
    double score[N], a[N], b[N], values[DRAWS], figures[DRAWS][TL_ROC_FIGURES];
    uint8_t positive[N];
    int32_t group[N];
    tl_roc r;
    tl_roc_areas areas;
    const tl_roc_wanted wanted = {0.9, 0.9};
    tl_rng_key key = tl__rng_key(1, TL_RNG_UNIFORM, 2);
    for (int i = 0; i < N; i++) {
        positive[i] = i % 3 == 0;
        score[i] = (double)tl__rng_uniform(key, (uint64_t)i) + 0.3 * positive[i];
        group[i] = i / 4;
        a[i] = positive[i];
        b[i] = 1;
    }
    if (tl__roc_open(err, &r, score, positive, group, N / 4, N) != 0) return -1;
    tl__roc_areas(&r, &areas);
    *area = areas.auroc;
    int bad = tl__roc_bootstrap(err, &r, &wanted, DRAWS, 3, figures) != 0 ||
              tl__share_bootstrap(err, a, b, group, N / 4, N, DRAWS, 3, values) != 0;
    tl__roc_close(&r);
    *share = bad ? 0 : values[0];
    return bad ? -1 : 0;
}

Test(roc, allocation_failures)
{
    long failed = 0;
    for (long nth = 1, done = 0; !done; nth++) {
        tl_error err = {0};
        double area = 0, share = 0;
        tl__inject_failure(nth);
        int bad = all(&err, &area, &share);
        done = tl__inject_failure(0) < nth;
        cr_assert_eq(bad == 0, done, "allocation %ld: %s", nth, err.text);
        cr_assert_eq(err.code, done ? TL_OK : TL_EMEMORY, "%s", err.text);
        cr_assert(!done || (area > 0.6 && area < 0.9 && share > 0.2 && share < 0.5));
        failed += !done;
    }
    cr_assert(failed >= 10, "%ld allocations were made to fail", failed);
}

Test(roc, many_scores)
{
    enum { MANY = 60000, TIMES = 500 };
    double *score = calloc(MANY, sizeof *score);
    uint8_t *positive = calloc(MANY, 1);
    double (*figures)[TL_ROC_FIGURES] = calloc(TIMES, sizeof *figures);
    const tl_roc_wanted wanted = {0.9, 0.9};
    tl_error err = {0};
    tl_roc r;
    tl_roc_areas areas;
    tl_rng_key key = tl__rng_key(1, TL_RNG_UNIFORM, 2);
    cr_assert(score && positive && figures);
    for (int i = 0; i < MANY; i++) {
        positive[i] = i % 2;
        score[i] = (double)tl__rng_uniform(key, (uint64_t)i) + 0.5 * positive[i];
    }
    clock_t begin = clock();
    cr_assert_eq(tl__roc_open(&err, &r, score, positive, NULL, 0, MANY), 0, "%s", err.text);
    tl__roc_areas(&r, &areas);
    cr_assert_eq(tl__roc_bootstrap(&err, &r, &wanted, TIMES, 0, figures), 0, "%s", err.text);
    fprintf(stderr, "roc: 60000 scores, 500 draws: %.2f s of one core\n", (double)(clock() - begin) / CLOCKS_PER_SEC);
    /* Of two uniform kinds that are half their width apart the area is 7/8. */
    cr_assert_float_eq(areas.auroc, 0.875, 0.01, "%g", areas.auroc);
    double mean = 0, square = 0;
    for (int k = 0; k < TIMES; k++) mean += figures[k][0] / TIMES;
    for (int k = 0; k < TIMES; k++) square += (figures[k][0] - mean) * (figures[k][0] - mean) / (TIMES - 1);
    cr_assert_float_eq(sqrt(square) / areas.error, 1, 0.12, "%g, %g", sqrt(square), areas.error);
    tl__roc_close(&r);
    free(score);
    free(positive);
    free(figures);
}
