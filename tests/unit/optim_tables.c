/* optim_tables.c - parameters of many rows whose gradients come by rows: a step over the rows that were touched, with
 * the debts of the others, gives the numbers of a step over all of them. */
#include "plain_device.h"
#include "grad/optim.h"
#include "op/op.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 4200, WIDTH = 7, IDS = 12 };
static const int64_t table_dims[2] = {ROWS, WIDTH};

static tl_tensor *new_table(tl_scope *s)
{
    tl_tensor *t = tl_randn(s, 2, table_dims, 3, 1);
    tl_require_grad(s, t, 1);
    return t;
}

/* Numbers of a step: a few of the first 300 rows, some of them twice. */
static tl_tensor *ids_of(tl_scope *s, int step)
{
    int32_t ids[IDS];
    for (int i = 0; i < IDS; i++) ids[i] = (int32_t)((step * 37 + i * i * 11) % 300);
    ids[IDS - 1] = ids[0];
    return tl_from(s, TL_I32, 1, (int64_t[]){IDS}, ids);
}

/* The gradient of a random sum of rows; `whole`: by a way that makes it one of all rows. */
static void backward(tl_scope *s, tl_tensor *table, int step, int whole)
{
    tl_tensor *from = whole ? tl_mul_scalar(s, table, 1) : table;
    tl_tensor *y = tl_embedding(s, from, ids_of(s, step)),
              *w = tl_randn(s, 2, (int64_t[]){IDS, WIDTH}, 5, (uint64_t)step);
    tl_backward(s, tl_sum(s, tl_mul(s, y, w), NULL, 0, 0), NULL, 0);
}

static void read_table(tl_scope *s, tl_tensor *t, float *to) { tl_read(s, t, to, (size_t)(ROWS * WIDTH) * sizeof *to); }

static void same(tl_scope *s, tl_tensor *a, tl_tensor *b, double tolerance, const char *what)
{
    float *x = malloc((size_t)(ROWS * WIDTH) * sizeof *x), *y = malloc((size_t)(ROWS * WIDTH) * sizeof *y);
    read_table(s, a, x);
    read_table(s, b, y);
    cr_assert(!tl_scope_failed(s), "%s: %s", what, tl_scope_error(s)->text);
    if (tolerance == 0) cr_assert(memcmp(x, y, (size_t)(ROWS * WIDTH) * sizeof *x) == 0, "%s", what);
    for (int i = 0; i < ROWS * WIDTH; i++)
        cr_assert(fabs(x[i] - y[i]) <= tolerance, "%s: element %d is %g, not %g", what, i, x[i], y[i]);
    free(x);
    free(y);
}

static const struct { const char *kind; tl_optim_options o; } cases[] = {
    {"adamw", {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.1}},
    {"adamw", {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8}},
    {"adam", {.lr = 0.01, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3}},
    {"sgd", {.lr = 0.1, .momentum = 0.9, .dampening = 0.3}},
    {"sgd", {.lr = 0.1}},
    {"rmsprop", {.lr = 0.02, .alpha = 0.95, .eps = 1e-8, .momentum = 0.5, .centered = 1}},
    {"lion", {.lr = 0.02, .beta1 = 0.95, .beta2 = 0.98, .weight_decay = 0.3}},
};

/* Two tables side by side, one trained by rows and one as a whole. */
typedef struct pair { tl_scope *keep; tl_tensor *t[2]; tl_optim *o[2]; } pair;

static pair new_pair(tl_device *d, const char *kind, const tl_optim_options *options)
{
    pair p = {.keep = tl_scope_open(d, NULL)};
    for (int k = 0; k < 2; k++) {
        p.t[k] = new_table(p.keep);
        p.o[k] = tl_optim_new(p.keep, kind, &p.t[k], 1, options);
    }
    cr_assert(!tl_scope_failed(p.keep), "%s", tl_scope_error(p.keep)->text);
    return p;
}

static void end_pair(pair *p)
{
    for (int k = 0; k < 2; k++) tl_optim_free(p->o[k]);
    tl_scope_close(p->keep);
}

static void step_pair(pair *p, int step, double clip)
{
    tl_scope *s = tl_scope_open(tl_scope_device(p->keep), NULL);
    for (int k = 0; k < 2; k++) {
        double norm;
        tl_optim_zero_grad(p->o[k]);
        backward(s, p->t[k], step, k);
        if (clip > 0) {
            backward(s, p->t[k], step + 1, k); /* gradients add up */
            tl_optim_clip_grad_norm(s, p->o[k], -1, clip, &norm);
        }
        tl_optim_step(s, p->o[k]);
    }
    cr_assert(!tl_scope_failed(s), "%s", tl_scope_error(s)->text);
    tl_scope_close(s);
}

Test(optim_tables, every_kind_gives_the_bits_of_a_step_over_all_rows)
{
    tl_device *d = open_device();
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        pair p = new_pair(d, cases[c].kind, &cases[c].o);
        for (int step = 0; step < 40; step++) {
            if (step == 20)
                for (int k = 0; k < 2; k++) tl_optim_set_lr(p.o[k], -1, 0.003);
            step_pair(&p, step, 0);
            cr_assert(tl__optim_rows(p.keep, p.o[0], 0, 0) && !tl__optim_rows(p.keep, p.o[1], 0, 0),
                      "one by rows, one whole");
        }
        same(p.keep, p.t[0], p.t[1], 0, cases[c].kind);
        end_pair(&p);
    }
    cr_assert_eq(live(d), 0);
    tl_device_release(d);
}

Test(optim_tables, rows_that_owe_are_read_as_if_they_had_paid)
{
    tl_device *d = open_device();
    pair p = new_pair(d, cases[0].kind, &cases[0].o);
    const int32_t untouched[IDS] = {4000, 4001, 0, 1, 2, 11, 4000, 37, 299, 4199, 300, 301};
    for (int step = 0; step < 300; step++) { /* more than it may owe at once */
        step_pair(&p, step, 0);
        if (step % 50 != 49) continue;
        tl_scope *s = tl_scope_open(d, NULL);
        float x[2][IDS * WIDTH];
        tl_tensor *ids = tl_from(s, TL_I32, 1, (int64_t[]){IDS}, untouched);
        for (int k = 0; k < 2; k++) tl_read(s, tl_embedding(s, p.t[k], ids), x[k], sizeof x[k]);
        cr_assert(!tl_scope_failed(s), "%s", tl_scope_error(s)->text);
        cr_assert(memcmp(x[0], x[1], sizeof x[0]) == 0, "after step %d", step);
        cr_assert(p.t[0]->buffer->debt->count > 0, "reading some rows pays nothing");
        tl_scope_close(s);
    }
    tl_tensor *plain = tl_add_scalar(p.keep, tl_detach(p.keep, p.t[0]), 0);
    cr_assert_eq(p.t[0]->buffer->debt->count, 0, "who reads all of it sees it paid");
    same(p.keep, plain, p.t[1], 0, "the whole table");
    end_pair(&p);
    tl_device_release(d);
}

Test(optim_tables, memory_is_of_the_rows_that_were_touched)
{
    tl_device *d = open_device();
    tl_scope *keep = tl_scope_open(d, NULL);
    tl_tensor *t = tl_full(keep, TL_F32, 2, (int64_t[]){200000, 32}, 1);
    tl_require_grad(keep, t, 1);
    size_t table = (size_t)200000 * 32 * 4, before = live(d), most;
    tl_optim *o = tl_optim_new(keep, "adamw", &t, 1, NULL);
    tl_scope *s = tl_scope_open(d, NULL);
    tl_device_reset_peak(d);
    tl_backward(s, tl_sum(s, tl_embedding(s, t, ids_of(s, 1)), NULL, 0, 0), NULL, 0);
    tl_optim_step(s, o);
    cr_assert(!tl_scope_failed(s), "%s", tl_scope_error(s)->text);
    tl_device_memory(d, NULL, NULL, &most);
    cr_assert_lt(most - before, table / 4, "%zu bytes beside a table of %zu", most - before, table);
    tl_tensor *g = tl_grad(t);
    cr_assert(g && tl_dim(g, 0) == 200000, "who asks for the gradient gets all of it");
    cr_assert_eq(tl_item(s, tl_sum(s, g, NULL, 0, 0)), IDS * 32);
    tl_scope_close(s);
    tl_optim_free(o);
    tl_scope_close(keep);
    cr_assert_eq(live(d), 0);
    tl_device_release(d);
}

Test(optim_tables, gradients_add_up_are_scaled_and_clipped)
{
    tl_device *d = open_device();
    pair p = new_pair(d, cases[0].kind, &cases[0].o);
    for (int step = 0; step < 20; step++) step_pair(&p, step, 0.5);
    same(p.keep, p.t[0], p.t[1], 1e-6, "clipped");
    tl_scope *s = tl_scope_open(d, NULL);
    double norm[2];
    for (int k = 0; k < 2; k++) {
        tl_optim_zero_grad(p.o[k]);
        backward(s, p.t[k], 3, k);
        tl_optim_scale_grad(s, p.o[k], -1, 3);
        tl_optim_grad_norm(s, p.o[k], -1, &norm[k]);
    }
    cr_assert_float_eq(norm[0], norm[1], 1e-5 * norm[1]);
    same(s, tl_grad(p.t[0]), tl_grad(p.t[1]), 0, "gradients");
    tl_scope_close(s);
    end_pair(&p);
    tl_device_release(d);
}

Test(optim_tables, a_whole_gradient_makes_it_whole_at_any_time)
{
    tl_device *d = open_device();
    for (int order = 0; order < 2; order++) {
        pair p = new_pair(d, cases[0].kind, &cases[0].o);
        for (int step = 0; step < 10; step++) step_pair(&p, step, 0);
        for (int step = 10; step < 14; step++) {
            tl_scope *s = tl_scope_open(d, NULL);
            for (int k = 0; k < 2; k++) {
                tl_optim_zero_grad(p.o[k]);
                backward(s, p.t[k], step,
                         k || order); /* by rows first, or the whole first, as where a head shares the table */
                backward(s, p.t[k], step + 1, k || !order);
                tl_optim_step(s, p.o[k]);
            }
            cr_assert(!tl_scope_failed(s), "%s", tl_scope_error(s)->text);
            cr_assert_null(tl__optim_rows(s, p.o[0], 0, 0), "whole now");
            tl_scope_close(s);
        }
        same(p.keep, p.t[0], p.t[1], 0, "by rows, then whole");
        end_pair(&p);
    }
    cr_assert_eq(live(d), 0);
    tl_device_release(d);
}

/* ---- state ---- */

typedef struct entry { char name[64]; tl_tensor *t; } entry;
typedef struct states { tl_scope *keep; entry list[16]; int count; } states;

static void take_state(void *user, const char *name, tl_tensor *t)
{
    states *st = user;
    entry *e = &st->list[st->count++];
    snprintf(e->name, sizeof e->name, "%s", name);
    void *host = malloc((size_t)tl_numel(t) * 4 + 4);
    tl_read(st->keep, t, host, (size_t)tl_numel(t) * 4);
    e->t = tl_from(st->keep, t->dtype, t->shape.rank, t->shape.dim, host);
    free(host);
}

static tl_tensor *find_state(void *user, const char *name)
{
    states *st = user;
    for (int i = 0; i < st->count; i++)
        if (strcmp(st->list[i].name, name) == 0) return st->list[i].t;
    return NULL;
}

/* What was trained by rows, or as a whole, goes on from its state in an optimiser that is new, or has gone its own way.
 */
Test(optim_tables, state_goes_out_and_comes_back)
{
    tl_device *d = open_device();
    for (int way = 0; way < 4; way++) {
        int from = way & 1, used = way >> 1;
        pair p = new_pair(d, cases[0].kind, &cases[0].o), q = new_pair(d, cases[0].kind, &cases[0].o);
        states st = {.keep = p.keep};
        for (int step = 0; step < 8; step++) step_pair(&p, step, 0);
        tl_optim_state(p.keep, p.o[from], take_state, &st);
        if (used) step_pair(&q, 5, 0);
        for (int k = 0; k < 2; k++) {
            float *host = malloc((size_t)(ROWS * WIDTH) * sizeof *host);
            cr_assert_eq(tl_optim_load_state(q.keep, q.o[k], find_state, &st), 0, "%s", tl_scope_error(q.keep)->text);
            read_table(p.keep, p.t[from], host);
            tl_write(q.keep, q.t[k], host, (size_t)(ROWS * WIDTH) * sizeof *host);
            free(host);
        }
        for (int step = 8; step < 16; step++) {
            step_pair(&p, step, 0);
            step_pair(&q, step, 0);
        }
        for (int k = 0; k < 2; k++) same(p.keep, q.t[k], p.t[1], 0, from ? "from a whole one" : "from one by rows");
        end_pair(&p);
        end_pair(&q);
    }
    cr_assert_eq(live(d), 0);
    tl_device_release(d);
}

Test(optim_tables, a_state_of_another_table_is_refused)
{
    tl_device *d = open_device();
    pair p = new_pair(d, cases[0].kind, &cases[0].o);
    states st = {.keep = p.keep};
    step_pair(&p, 0, 0);
    tl_optim_state(p.keep, p.o[0], take_state, &st);
    for (int i = 0; i < st.count; i++)
        if (strcmp(st.list[i].name, "1.1.rows") == 0) {
            int32_t *rows = malloc((size_t)tl_numel(st.list[i].t) * 4);
            tl_read(p.keep, st.list[i].t, rows, (size_t)tl_numel(st.list[i].t) * 4);
            rows[0] = ROWS;
            tl_write(p.keep, st.list[i].t, rows, (size_t)tl_numel(st.list[i].t) * 4);
            free(rows);
        }
    tl_scope *s = tl_scope_open(d, NULL);
    cr_assert_eq(tl_optim_load_state(s, p.o[0], find_state, &st), -1);
    cr_assert(strstr(tl_scope_error(s)->text, "row 4200"), "%s", tl_scope_error(s)->text);
    tl_scope_close(s);
    end_pair(&p);
    tl_device_release(d);
}

/* ---- averages, other parameters beside it, and what is left when the optimiser goes ---- */

Test(optim_tables, averages_are_those_of_all_rows)
{
    tl_device *d = open_device();
    pair p = new_pair(d, cases[0].kind, &cases[0].o);
    for (int step = 0; step < 6; step++) {
        step_pair(&p, step, 0);
        for (int k = 0; k < 2; k++) tl_optim_ema(p.keep, p.o[k], 0.9);
    }
    for (int k = 0; k < 2; k++) tl_optim_swap_ema(p.keep, p.o[k]);
    same(p.keep, p.t[0], p.t[1], 0, "averages");
    for (int k = 0; k < 2; k++) tl_optim_swap_ema(p.keep, p.o[k]);
    same(p.keep, p.t[0], p.t[1], 0, "weights");
    end_pair(&p);
    tl_device_release(d);
}

Test(optim_tables, stands_between_other_parameters_and_outlives_its_optimiser)
{
    tl_device *d = open_device();
    tl_scope *keep = tl_scope_open(d, NULL);
    const int64_t five = 5;
    float ends[2][10];
    pair p = new_pair(d, cases[0].kind, &cases[0].o);
    for (int k = 0; k < 2; k++) {
        tl_optim_free(p.o[k]);
        tl_tensor *a = tl_randn(keep, 1, &five, 1, 1), *b = tl_randn(keep, 1, &five, 1, 2), *all[] = {a, p.t[k], b};
        tl_require_grad(keep, a, 1);
        tl_require_grad(keep, b, 1);
        p.o[k] = tl_optim_new(keep, "adamw", all, 3, &cases[0].o);
        cr_assert(p.o[k], "%s", tl_scope_error(keep)->text);
        for (int step = 0; step < 5; step++) {
            tl_scope *s = tl_scope_open(d, NULL);
            tl_optim_zero_grad(p.o[k]);
            backward(s, p.t[k], step, k);
            tl_backward(s, tl_sum(s, tl_mul(s, a, b), NULL, 0, 0), NULL, 0);
            tl_optim_step(s, p.o[k]);
            cr_assert(!tl_scope_failed(s), "%s", tl_scope_error(s)->text);
            tl_scope_close(s);
        }
        tl_read(keep, a, ends[k], 20);
        tl_read(keep, b, ends[k] + 5, 20);
        tl_optim_free(p.o[k]);
        p.o[k] = tl_optim_new(keep, cases[0].kind, &p.t[k], 1, &cases[0].o);
    }
    cr_assert(memcmp(ends[0], ends[1], sizeof ends[0]) == 0);
    for (int step = 5; step < 9; step++) step_pair(&p, step, 0); /* another optimiser takes the table with its debts */
    same(keep, p.t[0], p.t[1], 0, "two optimisers, one after the other");
    end_pair(&p);
    tl_scope_close(keep);
    cr_assert_eq(live(d), 0);
    tl_device_release(d);
}

/* ---- whatever fails ---- */

/* Steps, and a second time where a failure was injected: a step that failed before it wrote is made again. */
static int try_steps(pair *p, int from, int to)
{
    for (int step = from; step < to; step++) {
        tl_scope *s = tl_scope_open(tl_scope_device(p->keep), NULL);
        if (!s) return step;
        tl_optim_zero_grad(p->o[0]);
        backward(s, p->t[0], step, 0);
        int bad = tl_optim_step(s, p->o[0]);
        tl_scope_close(s);
        if (bad) return step;
    }
    return -1;
}

Test(optim_tables, whichever_allocation_fails_a_step_can_be_made_again)
{
    tl_device *d = open_device();
    pair good = new_pair(d, cases[0].kind, &cases[0].o);
    try_steps(&good, 0, 4);
    for (long nth = 1, at = 0; at >= 0; nth++) {
        pair p = new_pair(d, cases[0].kind, &cases[0].o);
        tl__inject_failure(nth);
        at = try_steps(&p, 0, 4);
        tl__inject_failure(0);
        if (at >= 0) cr_assert_eq(try_steps(&p, (int)at, 4), -1, "allocation %ld", nth);
        same(p.keep, p.t[0], good.t[0], 0, "after a failed allocation");
        end_pair(&p);
        cr_assert_lt(nth, 3000);
    }
    end_pair(&good);
    cr_assert_eq(live(d), 0);
    tl_device_release(d);
}
