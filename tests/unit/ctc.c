/* ctc.c - from frames to texts without a device: every allocation is made to fail, and long texts. What is found is
 * held against all paths in tests/lua/ctc.lua. */
#include "task/ctc.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES = 12, CLASSES = 5 };

static void fill(float *x, int64_t n)
{
    tl_rng_key key = tl__rng_key(1, TL_RNG_UNIFORM, 2);
    for (int64_t i = 0; i < n; i++) x[i] = 6 * tl__rng_uniform(key, (uint64_t)i) - 3;
}

/* All that there is, once; 0, or -1 where something failed. */
static int all(tl_error *err)
{
    static const int32_t said[] = {1, 2, 2, 3}, heard[] = {1, 3, 2};
    float x[FRAMES * CLASSES];
    fill(x, FRAMES * CLASSES);
    tl_ctc_scores s = {x, FRAMES, CLASSES, 0};
    tl_ctc_text text = {0}, best[3] = {{0}};
    tl_edit e = {0};
    tl_ngram *m = tl__ngram_new(err, 3, CLASSES);
    int bad = !m;
    for (int i = 0; i < 12 && !bad; i++) bad = tl__ngram_add(err, m, said, i % 5) != 0;
    bad = bad || tl__ngram_bound(err, m, 10) != 0;
    tl_ctc_search o = {.width = 20, .least = -INFINITY, .behind = INFINITY, .model = m, .alpha = 0.5, .beta = 1};
    int told = bad ? -1 : tl__ctc_beam(err, &s, &o, 3, best);
    for (int i = 0; i < told; i++) tl__ctc_text_free(&best[i]);
    bad = told < 0 || tl__ctc_greedy(err, &s, &text) != 0;
    tl__ctc_text_free(&text);
    bad = bad || tl__ctc_align(err, &s, said, 4, &text) != 0;
    tl__ctc_text_free(&text);
    bad = bad || tl__edit(err, said, 4, heard, 3, 1, &e) != 0;
    free(e.pairs);
    tl__ngram_free(m);
    return bad ? -1 : 0;
}

Test(ctc, allocation_failures)
{
    long failed = 0;
    for (long nth = 1, done = 0; !done; nth++) {
        tl_error err = {0};
        tl__inject_failure(nth);
        int bad = all(&err);
        done = tl__inject_failure(0) < nth;
        cr_assert_eq(bad == 0, done, "allocation %ld: %s", nth, err.text);
        cr_assert_eq(err.code, done ? TL_OK : TL_EMEMORY, "%s", err.text);
        failed += !done;
    }
    cr_assert(failed > 15, "%ld allocations were made to fail", failed);
}

/* A long clip, a wide search: symbols lie where they were put, in order and without overlap. */
Test(ctc, long_clips)
{
    enum { T = 1500, K = 40, L = 200 };
    float *x = calloc(T * K, sizeof *x);
    int32_t labels[L];
    for (int l = 0; l < L; l++) labels[l] = 1 + l * l % (K - 1);
    for (int t = 0; t < T; t++) x[t * K + (t % 7 == 3 && t / 7 < L ? labels[t / 7] : 0)] = 5;
    tl_ctc_scores s = {x, T, K, 0};
    tl_ctc_search o = {.width = 30, .least = -8, .behind = 20};
    tl_ctc_text text[3];
    tl_error err = {0};
    cr_assert_eq(tl__ctc_greedy(&err, &s, &text[0]), 0);
    cr_assert_eq(tl__ctc_align(&err, &s, labels, L, &text[1]), 0);
    cr_assert_eq(tl__ctc_beam(&err, &s, &o, 1, &text[2]), 1);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(text[i].count, L);
        cr_assert_eq(text[i].blanks, T - L);
        for (int l = 0; l < L; l++) {
            const tl_ctc_symbol *own = &text[i].symbols[l];
            cr_assert(own->label == labels[l] && own->first == 7 * l + 3 && own->end == own->first + 1);
            cr_assert(own->chance > 0.7f && own->peak == own->first);
        }
        tl__ctc_text_free(&text[i]);
    }
    free(x);
}

Test(ctc, too_long_to_be_paired)
{
    enum { N = 20000 };
    int32_t *a = calloc(N, sizeof *a);
    tl_error err = {0};
    tl_edit e;
    cr_assert_eq(tl__edit(&err, a, N, a, N, 1, &e), -1);
    cr_assert(strstr(err.text, "compare them in parts"), "%s", err.text);
    cr_assert_eq(tl__ctc_frames_wanted(a, 3), 5);
    free(a);
}
