/* pool.c - device memory on a card of 64 MB (TLUA_MEMORY): what is asked for again and again is there again, what is old goes first,
 * and no more goes than must. */
#include "device_tests.h"

#include <string.h>

enum { MB = 1 << 20, CARD = 64 };

static tl_device *open_card(void)
{
    setenv("TLUA_MEMORY", "64", 1);
    setenv("TLUA_GEMM", "own", 1);
    tl_device *d = open_device("1");
    unsetenv("TLUA_MEMORY");
    cr_assert(d->traits.global_bytes == CARD * MB && d->traits.budget == 48 * MB, "a quarter of a small card is left to others");
    cr_assert_eq(tl__device_room(d), 48 * MB);
    return d;
}

/* All of `sizes` (MB) at once, then none. Returns how many the driver was asked for. */
static long round_of(tl_device *d, const int *sizes, int count)
{
    tl_error err = {0};
    tl_buffer *b[32];
    long before = d->buffers_made;
    for (int i = 0; i < count; i++) cr_assert(b[i] = tl__buffer_new(&err, d, (size_t)sizes[i] * MB), "%s", err.text);
    for (int i = count; i-- > 0;) tl__buffer_release(b[i]);
    return d->buffers_made - before;
}

static void check_held(tl_device *d, size_t most)
{
    size_t live, pooled;
    tl__pool_stats(d->pool, &live, &pooled, NULL);
    cr_assert_leq(live + pooled, most, "%zu MB are held", (live + pooled) / MB);
}

/* Steps of sizes that fit within the budget, but are more than half of the card: the driver is asked in the first alone. */
Test(pool, a_steady_state_asks_for_nothing)
{
    static const int sizes[] = {16, 1, 8, 2, 10, 4, 1, 5};
    tl_device *d = open_card();
    cr_assert_eq(round_of(d, sizes, 8), 8);
    for (int step = 0; step < 50; step++) cr_assert_eq(round_of(d, sizes, 8), 0, "step %d", step);
    cr_assert_eq(d->buffers_dropped, 0);
    close_device(d);
}

/* Three kinds after each other, 85 MB in all where 48 may be held, none of which can take another's place. All cannot be kept, but
 * giving up what has lain longest would lose every one of the 28 each time round. */
Test(pool, what_goes_round_is_not_emptied)
{
    enum { ROUNDS = 40 };
    static const int large[] = {10, 10, 10}, middle[] = {4, 4, 4, 4, 4, 4, 4}, small[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    tl_device *d = open_card();
    long made = 0;
    for (int i = 0; i < ROUNDS + 3; i++) {
        long now = round_of(d, large, 3) + round_of(d, middle, 7) + round_of(d, small, 27);
        check_held(d, 48 * MB);
        if (i >= 3) made += now;
    }
    cr_assert_lt(made, ROUNDS * 37 * 3 / 4, "%ld of %d", made, ROUNDS * 37);
    close_device(d);
}

/* Buffers of a kind that is not asked for any more make room, the oldest first; those of the step that runs now stay. */
Test(pool, what_is_old_goes_first)
{
    static const int first[] = {5, 10, 20}, then[] = {3, 6, 12};
    tl_device *d = open_card();
    cr_assert_eq(round_of(d, first, 3), 3);
    long made = 0;
    for (int step = 0; step < 10; step++) made += round_of(d, then, 3);
    cr_assert_leq(made, 3, "%ld", made);
    static const int last[] = {24, 7};
    for (int step = 0; step < 10; step++) cr_assert_leq(round_of(d, last, 2), step ? 0 : 2);
    check_held(d, 48 * MB);
    close_device(d);
}

/* A card has no more than it has: that is an error with a way out, and afterwards all is as before. */
Test(pool, no_more_than_the_card_has)
{
    tl_device *d = open_card();
    tl_error err = {0};
    tl_buffer *a = tl__buffer_new(&err, d, 40 * MB);
    cr_assert(a, "%s", err.text);
    cr_assert_null(tl__buffer_new(&err, d, 32 * MB));
    cr_assert(err.code == TL_EMEMORY && strstr(err.text, "a smaller batch needs less"), "%s", err.text);
    tl__buffer_release(a);
    err = (tl_error){0};
    cr_assert(a = tl__buffer_new(&err, d, 60 * MB), "%s", err.text); /* over the budget, within the card: what is free goes */
    check_held(d, CARD * MB);
    tl__buffer_release(a);
    close_device(d);
}

/* Steps of a real network, forward and backward, with the pool more than half full. */
Test(pool, training_steps_ask_for_nothing)
{
    tl_device *d = open_card();
    tl_scope *keep = open_scope(d);
    float *host = random_floats(65536 * 16, 1);
    tl_tensor *x = tl_from(keep, TL_F32, 2, (int64_t[]){65536, 16}, host), *w[3];
    for (int i = 0; i < 3; i++) {
        w[i] = tl_from(keep, TL_F32, 2, (int64_t[]){16, 16}, host + i);
        cr_assert_eq(tl_require_grad(keep, w[i], 1), 0);
    }
    long made = 0, seen = 0;
    for (int step = 0; step < 6; step++) {
        tl_scope *s = open_scope(d);
        tl_tensor *y = x;
        long before = d->buffers_made;
        for (int i = 0; i < 3; i++) y = tl_gelu(s, tl_linear(s, y, w[i], NULL, NULL, "none"));
        cr_assert_eq(tl_backward(s, tl_mean(s, tl_square(s, y), NULL, 0, 0), NULL, 0), 0, "%s", s->err.text);
        for (int i = 0; i < 3; i++) tl_zero_grad(w[i]);
        close_scope(s);
        if (step > 1) made += d->buffers_made - before;
        else seen += d->buffers_made - before;
    }
    size_t live, pooled;
    tl__pool_stats(d->pool, &live, &pooled, NULL);
    cr_assert_gt(live + pooled, 24 * MB, "the pool is more than half full: %zu", live + pooled);
    cr_assert(seen > 10 && made == 0, "%ld buffers in the first two steps, %ld in four more", seen, made);
    free(host);
    close_scope(keep);
    close_device(d);
}

/* What a dry run keeps beside a weight was counted in that run: the next one counts its own, and one within another has
 * what the outer one made. */
Test(pool, dry_runs_after_each_other_count_the_same)
{
    tl_error err = {0};
    tl_device *d = open_card();
    tl_buffer *weight = tl__buffer_new(&err, d, 4 * MB);
    size_t most[2], live;
    tl__pool_stats(d->pool, &live, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(tl__dry_begin(&err, d), 0);
        cr_assert_null(tl__buffer_find_derived(weight, "packed", 6), "run %d", i);
        tl_buffer *packed = tl__buffer_new(&err, d, 8 * MB);
        cr_assert_eq(tl__buffer_keep_derived(&err, weight, "packed", 6, packed), 0);
        cr_assert_eq(tl__dry_begin(&err, d), 0);
        cr_assert_eq(tl__buffer_find_derived(weight, "packed", 6), packed, "run %d", i);
        tl__buffer_release(packed);
        cr_assert_eq(tl__dry_end(d), live + 8 * MB);
        tl_buffer *other = tl__buffer_new(&err, d, MB); /* of this run, given back within another */
        cr_assert_eq(tl__dry_begin(&err, d), 0);
        tl__buffer_release(other);
        cr_assert_eq(tl__dry_end(d), live + 9 * MB);
        tl__buffer_release(tl__buffer_new(&err, d, MB));
        most[i] = tl__dry_end(d);
    }
    cr_assert_eq(most[0], live + 9 * MB);
    cr_assert_eq(most[1], live + 9 * MB);
    tl__buffer_release(weight);
    close_device(d);
}
