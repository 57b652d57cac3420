/* again.c - results that backward computes again instead of having them kept: the same bits, less memory, and in turn where one
 * result that was not kept is made from another. */
#include "plain_device.h"
#include "op/op.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 128, WIDTH = 64, WIDE = 256 };
enum { X, W1, W2, LEAVES };

typedef struct problem { tl_tensor *leaf[LEAVES], *zero, *one, *mean[2], *var[2], *towards; } problem;

static problem make(tl_scope *s)
{
    const int64_t x[] = {1, SIDE, SIDE, WIDTH}, w1[] = {WIDTH, WIDTH, 1, 1}, w2[] = {WIDE, WIDTH, 1, 1}, y[] = {1, SIDE, SIDE, WIDE}, c[] = {WIDE};
    problem p = {.leaf = {tl_randn(s, 4, x, 1, 1), tl_randn(s, 4, w1, 1, 2), tl_randn(s, 4, w2, 1, 3)}, .towards = tl_randn(s, 4, y, 1, 4)};
    p.zero = tl_full(s, TL_F32, 1, c, 0);
    p.one = tl_full(s, TL_F32, 1, c, 1);
    for (int i = 0; i < 2; i++) {
        p.mean[i] = tl_full(s, TL_F32, 1, (int64_t[]){i ? WIDE : WIDTH}, 0);
        p.var[i] = tl_full(s, TL_F32, 1, (int64_t[]){i ? WIDE : WIDTH}, 1);
    }
    for (int i = 0; i < LEAVES; i++) tl_require_grad(s, p.leaf[i], 1);
    return p;
}

/* The loss of conv, batch norm, relu, conv, batch norm; the second convolution's result is to be had again unless it has a bias. */
static tl_tensor *forward(tl_scope *s, const problem *p, int bias)
{
    tl_scope in;
    tl__scope_begin(&in, s);
    tl_tensor *y = tl_conv(&in, p->leaf[X], p->leaf[W1], NULL, NULL, NULL);
    y = tl_batch_norm(&in, y, NULL, NULL, p->mean[0], p->var[0], 1, 0.1, 1e-5);
    y = tl_conv(&in, tl_relu(&in, y), p->leaf[W2], bias ? p->zero : NULL, NULL, NULL);
    y = tl_batch_norm(&in, y, p->one, p->zero, p->mean[1], p->var[1], 1, 0.1, 1e-5);
    tl_tensor *loss = tl_sum(&in, tl_mul(&in, y, p->towards), NULL, 0, 0);
    if (loss) tl__scope_hand_up(&in, loss);
    tl__scope_end(&in);
    cr_assert(loss && !tl_scope_failed(s), "%s", tl_scope_error(s)->text);
    return loss;
}

static float *values(tl_scope *s, tl_tensor *t)
{
    float *v = malloc((size_t)tl_numel(t) * 4);
    cr_assert_eq(tl_read(s, t, v, (size_t)tl_numel(t) * 4), 0);
    return v;
}

Test(again, a_wide_convolution_is_not_kept_and_gives_the_same_bits)
{
    tl_device *d = open_device();
    tl_scope *s = tl_scope_open(d, NULL);
    problem p = make(s);
    const size_t wide = (size_t)SIDE * SIDE * WIDE * 4;
    size_t held[2];
    float *kept[LEAVES];
    for (int again = 0; again < 2; again++) {
        size_t before = live(d);
        tl_tensor *loss = forward(s, &p, !again);
        held[again] = live(d) - before;
        for (int i = 0; i < LEAVES; i++) tl_zero_grad(p.leaf[i]);
        cr_assert_eq(tl_backward(s, loss, NULL, again), 0, "%s", tl_scope_error(s)->text);
        for (int i = 0; i < LEAVES; i++) {
            float *got = values(s, tl_grad(p.leaf[i]));
            if (again) cr_expect_eq(memcmp(got, kept[i], (size_t)tl_numel(p.leaf[i]) * 4), 0, "the gradient of leaf %d has other bits", i);
            if (again) free(got);
            else kept[i] = got;
        }
        if (!again) continue;
        /* The graph was retained: once more, from the beginning, adds the same. */
        cr_assert_eq(tl_backward(s, loss, NULL, 0), 0, "%s", tl_scope_error(s)->text);
        for (int i = 0; i < LEAVES; i++) {
            float *got = values(s, tl_grad(p.leaf[i]));
            for (int64_t k = 0; k < tl_numel(p.leaf[i]); k++) cr_assert_eq(got[k], 2 * kept[i][k], "leaf %d", i);
            free(got);
        }
    }
    cr_expect_leq(held[1] + wide, held[0], "%zu bytes are held for backward, %zu where nothing is computed again", held[1], held[0]);
    for (int i = 0; i < LEAVES; i++) free(kept[i]);
    tl_scope_close(s);
    cr_expect_eq(live(d), 0);
    tl_device_release(d);
}

Test(again, what_it_is_made_from_must_not_have_changed)
{
    tl_device *d = open_device();
    tl_scope *s = tl_scope_open(d, NULL);
    problem p = make(s);
    tl_tensor *loss = forward(s, &p, 0);
    float one = 1;
    tl_write(s, tl_slice(s, tl_slice(s, p.leaf[W2], 0, 0, 1), 1, 0, 1), &one, sizeof one);
    cr_expect_neq(tl_backward(s, loss, NULL, 0), 0);
    cr_expect(strstr(tl_scope_error(s)->text, "changed in place"), "%s", tl_scope_error(s)->text);
    tl_scope_close(s);
    cr_expect_eq(live(d), 0);
    tl_device_release(d);
}
