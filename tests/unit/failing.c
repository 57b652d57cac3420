/* failing.c - a whole training step and a plan while launches fail, each in turn, once for lack of memory and once by an interrupt. Never
 * a wrong number: what is tried again gives the bits of an undisturbed one, or says that it cannot. Never a leak. */
#include "device_tests.h"
#include "op/conv.h"
#include "plan/plan.h"

#include <string.h>

static size_t live(tl_device *d)
{
    size_t l;
    tl_device_memory(d, &l, NULL, NULL);
    return l;
}

static tl_tensor *tensor(tl_scope *s, int rank, const int64_t *dims, uint64_t stream, float scale, float shift)
{
    tl_shape shape = tl__shape(rank, dims);
    int64_t n = tl__numel(&shape);
    float *x = random_floats(n, stream);
    for (int64_t i = 0; i < n; i++) x[i] = x[i] * scale + shift;
    tl_tensor *t = tl_from(s, TL_F32, rank, dims, x);
    free(x);
    return t;
}

static uint64_t bits(tl_scope *s, tl_tensor *t, uint64_t h)
{
    size_t n = t ? (size_t)tl_numel(t) * 4 : 0;
    char *host = malloc(n + 1);
    cr_assert(t && tl_read(s, t, host, n) == 0, "%s", tl_scope_error(s)->text);
    h = tl__hash64(host, n, h);
    free(host);
    return h;
}

/* ---- a training step ---- */

enum { STEM, NORM_WEIGHT, NORM_BIAS, HEAD, HEAD_BIAS, TRAINED, DEPTHWISE = TRAINED, DEEP, POINTWISE, MEAN, VAR, ALL };

/* A small network, partly frozen, its optimiser (two groups), a batch. */
typedef struct work {
    tl_scope *s;
    tl_tensor *p[ALL], *x, *labels;
    tl_optim *o;
    int step_done, average_done;
} work;

static work begin(tl_device *d, const char *rule)
{
    work w = {.s = open_scope(d)};
    static const int64_t dims[ALL][4] = {[STEM] = {32, 3, 3, 3}, [NORM_WEIGHT] = {32}, [NORM_BIAS] = {32}, [HEAD] = {5, 32}, [HEAD_BIAS] = {5},
                                         [DEPTHWISE] = {32, 1, 3, 3}, [DEEP] = {32, 32, 3, 3}, [POINTWISE] = {32, 32, 1, 1}, [MEAN] = {32}, [VAR] = {32}};
    for (int i = 0; i < ALL; i++) {
        int rank = 0, flat = i == VAR || i == NORM_WEIGHT;
        while (rank < 4 && dims[i][rank]) rank++;
        w.p[i] = tensor(w.s, rank, dims[i], (uint64_t)i + 1, flat ? 0.1f : 0.3f, flat ? 1 : 0);
        if (i < TRAINED) tl_require_grad(w.s, w.p[i], 1);
    }
    w.x = tensor(w.s, 4, (int64_t[]){4, 8, 8, 3}, 50, 1, 0);
    w.labels = tl_from(w.s, TL_I32, 1, (int64_t[]){4}, (int32_t[]){0, 3, 4, 1});
    tl_optim_options rate;
    tl_optim_defaults(rule, &rate);
    w.o = tl_optim_new(w.s, rule, w.p, 3, &rate);
    rate.lr *= 3;
    tl_optim_add_group(w.s, w.o, w.p + 3, TRAINED - 3, &rate);
    cr_assert(!tl_scope_failed(w.s), "%s", tl_scope_error(w.s)->text);
    return w;
}

static void finish(work *w)
{
    tl_optim_free(w->o);
    close_scope(w->s);
}

/* Forward and backward in a scope of its own, then the optimiser. Parts that are done are not done again. 0 or the code of the failure. */
static int step(tl_device *d, work *w, char *text, size_t room)
{
    tl_scope *s = open_scope(d);
    tl_conv_options pad = {.padding = {1, 1}}, apart = {.padding = {1, 1}, .groups = 32};
    double norm;
    tl_manual_seed(d, 7);
    if (!w->step_done) {
        tl_optim_zero_grad(w->o);
        tl_tensor *y = tl_conv(s, w->x, w->p[STEM], NULL, NULL, &pad);
        y = tl_relu(s, tl_batch_norm(s, y, w->p[NORM_WEIGHT], w->p[NORM_BIAS], w->p[MEAN], w->p[VAR], 1, 0.1, 1e-5));
        y = tl_conv(s, tl_conv(s, tl_conv(s, y, w->p[DEPTHWISE], NULL, NULL, &apart), w->p[DEEP], NULL, NULL, &pad), w->p[POINTWISE], NULL, NULL, NULL);
        y = tl_dropout(s, tl_mean(s, tl_max_pool(s, y, 2, 2, 0), (int[]){1, 2}, 2, 0), 0.3, 1);
        tl_backward(s, tl_cross_entropy(s, tl_linear(s, y, w->p[HEAD], w->p[HEAD_BIAS], NULL, NULL), w->labels, NULL, 0.1), NULL, 0);
        tl_optim_clip_grad_norm(s, w->o, -1, 0.01, &norm);
        w->step_done = tl_optim_step(s, w->o) == 0;
    }
    if (w->step_done && !w->average_done) w->average_done = tl_optim_ema(s, w->o, 0.9) == 0;
    if (w->average_done && tl_optim_swap_ema(s, w->o) == 0) w->step_done = w->average_done = 0;
    int code = tl_scope_error(s)->code;
    snprintf(text, room, "%s", tl_scope_error(s)->text);
    tl_scope_close(s);
    return code;
}

static void hash_state(void *user, const char *name, tl_tensor *t)
{
    work *w = ((void **)user)[0];
    uint64_t *h = ((void **)user)[1];
    *h = bits(w->s, t, *h ^ tl__hash64(name, strlen(name), 0));
}

static uint64_t outcome(work *w)
{
    uint64_t h = 1;
    for (int i = 0; i < ALL; i++) h = bits(w->s, w->p[i], h);
    for (int i = 0; i < TRAINED; i++) h = bits(w->s, tl_grad(w->p[i]), h);
    cr_assert_eq(tl_optim_state(w->s, w->o, hash_state, (void *[]){w, &h}), 0);
    return h;
}

/* The running statistics are a state that a forward moves by design; who tries a step again puts them back, as a checkpoint does. */
static void put_back(work *w, const float *mean, const float *var)
{
    if (w->step_done) return;
    tl_write(w->s, w->p[MEAN], mean, 32 * sizeof *mean);
    tl_write(w->s, w->p[VAR], var, 32 * sizeof *var);
}

/* Two steps, the second on what the first left, with the n-th order of the second failing. */
static long two_steps(tl_device *d, const char *rule, long nth, int wanted, uint64_t *result, int *half)
{
    float mean[32], var[32];
    char text[1024];
    work w = begin(d, rule);
    cr_assert_eq(step(d, &w, text, sizeof text), TL_OK, "%s", text);
    tl_read(w.s, w.p[MEAN], mean, sizeof mean);
    tl_read(w.s, w.p[VAR], var, sizeof var);
    tl__inject_launch_failure(d, nth ? nth : 1000000, wanted);
    int code = step(d, &w, text, sizeof text);
    long orders = tl__inject_launch_failure(d, 0, 0);
    if (nth) {
        cr_assert_eq(code, wanted, "order %ld failed, and the step: %d %s", nth, code, text);
        put_back(&w, mean, var);
        code = step(d, &w, text, sizeof text);
    }
    if (code == TL_ESTATE) {
        cr_expect(strstr(text, "half-way"), "%s", text);
        ++*half;
        cr_expect_eq(step(d, &w, text, sizeof text), TL_ESTATE, "the second time it is not said any more");
        *result = 0;
    } else {
        cr_assert_eq(code, TL_OK, "order %ld failed, and the step after it: %d %s", nth, code, text);
        *result = outcome(&w);
    }
    finish(&w);
    cr_expect_eq(live(d), 0, "order %ld failed, and %zu bytes are left", nth, live(d));
    return orders;
}

static void every_order(const char *rule, int code, int halves)
{
    tl_device *d = open_device("");
    uint64_t want, got;
    int half = 0;
    long orders = two_steps(d, rule, 0, 0, &want, &half);
    cr_assert_gt(orders, 50);
    for (long nth = 1; nth <= orders; nth++) {
        tl_device_flush(d); /* so that no buffer holds by chance what should be computed */
        two_steps(d, rule, nth, code, &got, &half);
        cr_expect(got == want || got == 0, "%s: order %ld of %ld failed, and the step after it gives other numbers", rule, nth, orders);
    }
    /* Of the two groups one had moved: in the step (LAMB has three launches a group), the average, the exchange. Where the scaling was
     * half-done the gradients were computed again. */
    cr_expect_eq(half, halves, "%d", half);
    close_device(d);
}

Test(failing, a_training_step_without_memory) { every_order("adam", TL_EMEMORY, 3); }
Test(failing, a_training_step_interrupted) { every_order("sgd", TL_EINTERRUPT, 3); }
Test(failing, a_training_step_of_many_launches) { every_order("lamb", TL_EMEMORY, 7); }

Test(failing, half_scaled_gradients_are_not_stepped_by)
{
    tl_device *d = open_device("");
    char text[1024];
    work w = begin(d, "sgd");
    cr_assert_eq(step(d, &w, text, sizeof text), TL_OK, "%s", text);
    for (int nth = 1; nth <= 2; nth++) {
        tl_scope *s = open_scope(d);
        tl__inject_launch_failure(d, nth, TL_EMEMORY);
        cr_assert_neq(tl_optim_scale_grad(s, w.o, -1, 0.5), 0);
        tl__inject_launch_failure(d, 0, 0);
        tl_scope_close(s);
        s = open_scope(d);
        int bad = tl_optim_step(s, w.o);
        cr_expect_eq(bad != 0, nth == 2); /* nothing had been scaled, or half of it */
        if (bad) cr_expect(strstr(tl_scope_error(s)->text, "zero_grad and compute them again"), "%s", tl_scope_error(s)->text);
        tl_scope_close(s);
    }
    cr_expect_eq(step(d, &w, text, sizeof text), TL_OK, "%s", text);
    finish(&w);
    close_device(d);
}

/* What a step left half-done is mended by the state of a checkpoint. */
typedef struct kept { char name[32]; float values[1024]; } kept;
typedef struct checkpoint { tl_scope *s; kept of[32]; int count; tl_tensor *t[32]; } checkpoint;

static void keep(void *user, const char *name, tl_tensor *t)
{
    checkpoint *c = user;
    kept *k = &c->of[c->count++];
    snprintf(k->name, sizeof k->name, "%s", name);
    cr_assert_eq(tl_read(c->s, t, k->values, (size_t)tl_numel(t) * 4), 0);
    c->t[c->count - 1] = tl_from(c->s, tl_dtype_of(t), tl_rank(t), tl_dims(t), k->values);
}

static tl_tensor *find(void *user, const char *name)
{
    checkpoint *c = user;
    for (int i = 0; i < c->count; i++)
        if (strcmp(c->of[i].name, name) == 0) return c->t[i];
    return NULL;
}

Test(failing, a_checkpoint_mends_what_is_half_done)
{
    tl_device *d = open_device("");
    char text[1024];
    work w = begin(d, "adam");
    cr_assert_eq(step(d, &w, text, sizeof text), TL_OK, "%s", text);
    static checkpoint c;
    static float params[ALL][32 * 32 * 9];
    c.s = w.s;
    cr_assert_eq(tl_optim_state(w.s, w.o, keep, &c), 0);
    for (int i = 0; i < ALL; i++) tl_read(w.s, w.p[i], params[i], (size_t)tl_numel(w.p[i]) * 4);
    tl__inject_launch_failure(d, 1000000, TL_EMEMORY);
    cr_assert_eq(step(d, &w, text, sizeof text), TL_OK);
    long orders = tl__inject_launch_failure(d, 0, 0);
    uint64_t want = outcome(&w);
    int mended = 0;
    for (long nth = orders - 5; nth <= orders; nth++) {
        for (int i = 0; i < ALL; i++) tl_write(w.s, w.p[i], params[i], (size_t)tl_numel(w.p[i]) * 4);
        cr_assert_eq(tl_optim_load_state(w.s, w.o, find, &c), 0, "%s", tl_scope_error(w.s)->text);
        w.step_done = w.average_done = 0;
        tl__inject_launch_failure(d, nth, TL_EMEMORY);
        cr_assert_eq(step(d, &w, text, sizeof text), TL_EMEMORY);
        tl__inject_launch_failure(d, 0, 0);
        for (int i = 0; i < ALL; i++) tl_write(w.s, w.p[i], params[i], (size_t)tl_numel(w.p[i]) * 4);
        cr_assert_eq(tl_optim_load_state(w.s, w.o, find, &c), 0, "%s", tl_scope_error(w.s)->text);
        w.step_done = w.average_done = 0;
        cr_assert_eq(step(d, &w, text, sizeof text), TL_OK, "%s", text);
        cr_expect_eq(outcome(&w), want, "order %ld", nth);
        mended++;
    }
    cr_expect_eq(mended, 6);
    finish(&w);
    close_device(d);
}

/* ---- a plan ---- */

typedef struct frozen { tl_scope *s; tl_tensor *conv[5], *norm[4], *head; tl_plan *p; } frozen;

static tl_tensor *network(tl_scope *s, const frozen *f, tl_tensor *x)
{
    tl_conv_options pad = {.padding = {1, 1}}, down = {.stride = {2, 2}, .padding = {1, 1}}, apart = {.padding = {1, 1}, .groups = 64};
    x = tl_conv(s, x, f->conv[0], NULL, NULL, &down);
    x = tl_relu(s, tl_batch_norm(s, x, f->norm[0], f->norm[1], f->norm[2], f->norm[3], 0, 0.1, 1e-5));
    x = tl_conv(s, x, f->conv[1], NULL, NULL, &pad);
    tl_tensor *wide = tl_relu6(s, tl_conv(s, x, f->conv[2], NULL, NULL, NULL));
    x = tl_add(s, x, tl_conv(s, tl_relu6(s, tl_conv(s, wide, f->conv[3], NULL, NULL, &apart)), f->conv[4], NULL, NULL, NULL));
    return tl_linear(s, tl_mean(s, x, (int[]){1, 2}, 2, 0), f->head, NULL, NULL, NULL);
}

static frozen make_plan(tl_device *d)
{
    static const int64_t conv[5][4] = {{32, 3, 3, 3}, {32, 32, 3, 3}, {64, 32, 1, 1}, {64, 1, 3, 3}, {32, 64, 1, 1}};
    frozen f = {.s = open_scope(d)};
    tl_error err = {0};
    tl_tensor *x, *y;
    for (int i = 0; i < 5; i++) f.conv[i] = tensor(f.s, 4, conv[i], (uint64_t)i + 1, 0.3f, 0);
    for (int i = 0; i < 4; i++) f.norm[i] = tensor(f.s, 1, (int64_t[]){32}, (uint64_t)i + 10, 0.2f, i == 0 || i == 3);
    f.head = tensor(f.s, 2, (int64_t[]){40, 32}, 20, 0.3f, 0);
    static const tl_signature g = {.symbol = {{"N", 3}}, .symbols = 1, .inputs = 1,
                                   .in = {{.name = "image", .rank = 4, .dim = {{0, 1}, {TL_SIZE_FIXED, 32}, {TL_SIZE_FIXED, 32}, {TL_SIZE_FIXED, 3}}}}};
    f.p = tl__plan_begin(&err, d, &g, &x);
    cr_assert(f.p, "%s", err.text);
    tl_scope *s = open_scope(d);
    y = network(s, &f, x);
    int bad = tl__plan_stop(&err, f.p, &y, 1);
    f.p->out[0].dim[0] = (tl_size){0, 1};
    bad = bad || tl__plan_improve(&err, f.p);
    tl_scope_close(s);
    tl_tensor_release(x);
    cr_assert_eq(bad, 0, "%s", err.text);
    return f;
}

/* Its n-th order fails (0: none). Returns how many there were. */
static long run_plan(tl_device *d, frozen *f, int64_t batch, long nth, int wanted, int *code, uint64_t *result)
{
    tl_scope *s = open_scope(d);
    tl_tensor *x = tensor(s, 4, (int64_t[]){batch, 32, 32, 3}, 30, 1, 0);
    tl__inject_launch_failure(d, nth ? nth : 1000000, wanted);
    tl_tensor *y;
    tl__plan_run(s, f->p, &x, &y);
    long orders = tl__inject_launch_failure(d, 0, 0);
    *code = tl_scope_error(s)->code;
    if (y) *result = bits(s, y, 1);
    tl_scope_close(s);
    return orders;
}

/* Eight pictures, one, a weight that has changed (which folds anew), another number of pictures: each of these runs with the n-th order
 * failing, then again. Returns the most orders that a run has. */
static long disturbed(tl_device *d, long nth, int wanted, const uint64_t *want, uint64_t *result)
{
    static const int64_t batches[] = {8, 1, 8, 3};
    frozen f = make_plan(d);
    long most = 0;
    int code;
    float scale[32];
    for (int i = 0; i < 32; i++) scale[i] = 0.5f;
    for (int k = 0; k < 4; k++) {
        if (k == 2) tl_write(f.s, f.norm[0], scale, sizeof scale);
        long orders = run_plan(d, &f, batches[k], nth, wanted, &code, &result[k]);
        if (orders > most) most = orders;
        int struck = nth && nth <= orders;
        cr_assert_eq(code, struck ? wanted : TL_OK, "run %d, order %ld of %ld: %d", k, nth, orders, code);
        if (struck) run_plan(d, &f, batches[k], 0, 0, &code, &result[k]);
        cr_assert_eq(code, TL_OK, "run %d after order %ld failed: %d", k, nth, code);
        if (want) cr_expect_eq(result[k], want[k], "order %ld failed, and run %d after it gives other numbers", nth, k);
    }
    tl__plan_free(f.p);
    close_scope(f.s);
    cr_expect_eq(live(d), 0, "order %ld failed, and %zu bytes are left", nth, live(d));
    return most;
}

static void every_order_of_a_plan(const char *vector, int code)
{
    tl_device *d = open_device(vector);
    uint64_t want[4], got[4];
    long orders = disturbed(d, 0, 0, NULL, want);
    cr_assert_gt(orders, 15, "%ld", orders);
    cr_assert(want[0] != want[2], "the change of a weight has no effect");
    for (long nth = 1; nth <= orders; nth++) {
        tl_device_flush(d);
        disturbed(d, nth, code, want, got);
    }
    close_device(d);
}

Test(failing, a_plan_without_memory) { every_order_of_a_plan("", TL_EMEMORY); }
Test(failing, a_plan_interrupted) { every_order_of_a_plan("4", TL_EINTERRUPT); }

/* Every allocation, of host memory and of the device's, of a run whose weights have changed, so that they are folded anew; then the same plan
 * runs again. */
Test(failing, a_plan_whose_allocations_fail)
{
    tl_device *d = open_device("");
    uint64_t want = 0, got;
    int code, done = 0, failed = 0;
    float scale[32];
    for (int i = 0; i < 32; i++) scale[i] = 0.5f;
    for (long nth = 0; !done; nth++) {
        frozen f = make_plan(d);
        run_plan(d, &f, 2, 0, 0, &code, &got);
        tl_write(f.s, f.norm[0], scale, sizeof scale);
        tl_device_flush(d);
        tl_scope *s = open_scope(d);
        tl_tensor *x = tensor(s, 4, (int64_t[]){2, 32, 32, 3}, 30, 1, 0);
        tl__inject_failure(nth);
        tl_tensor *y;
        tl__plan_run(s, f.p, &x, &y);
        done = tl__inject_failure(0) < nth;
        if (nth == 0) want = bits(s, y, 1);
        cr_assert(y ? tl_scope_error(s)->code == TL_OK : !done && tl_scope_error(s)->code == TL_EMEMORY, "allocation %ld: %s", nth, tl_scope_error(s)->text);
        /* A weight that cannot be given back stays: that is no failure. */
        if (y) cr_expect_eq(bits(s, y, 1), want, "allocation %ld failed, and the run itself gives other numbers", nth);
        failed += y == NULL;
        tl_scope_close(s);
        run_plan(d, &f, 2, 0, 0, &code, &got);
        cr_assert_eq(code, TL_OK, "the run after allocation %ld failed: %d", nth, code);
        cr_expect_eq(got, want, "allocation %ld failed, and the run after it gives other numbers", nth);
        tl__plan_free(f.p);
        close_scope(f.s);
        cr_expect_eq(live(d), 0, "allocation %ld", nth);
    }
    cr_assert_gt(failed, 60, "%d", failed);
    close_device(d);
}

/* What a call of a plan would write is refused, in a text of a stranger's and when it is run by hand. */
static tl_tensor *same_tensor(void *user, const char *name)
{
    (void)name;
    return user;
}

Test(failing, a_plan_changes_none_of_its_inputs)
{
    tl_device *d = open_device("");
    tl_scope *s = open_scope(d);
    tl_tensor *ones = tl_full(s, TL_F32, 1, (int64_t[]){8}, 1), *x = tl_full(s, TL_F32, 2, (int64_t[]){3, 8}, 2), *out[TL_MAX_OUTPUTS] = {0};
    char text[300];
    float host[8];
    for (int training = 0; training < 2; training++) {
        tl_error err = {0};
        snprintf(text, sizeof text, "{\"format\": 1, \"batch\": %d, \"input\": [8], \"calls\": [[\"batch_norm\", [0, \"w\", \"b\", \"m\", \"v\"], {\"training\": %d}]], \"output\": 1}",
                 TL_PLAN_BATCH, training);
        tl_plan *p = tl__plan_read(&err, d, text, same_tensor, ones);
        cr_assert_eq(p == NULL, training, "%s", err.text);
        if (!p) cr_expect(strstr(err.text, "batch_norm changes its input"), "%s", err.text);
        tl__plan_free(p);
    }
    const tl_op *norm = tl__op_find("batch_norm");
    tl_value attr[TL_MAX_ATTRS];
    tl__attr_defaults(norm, attr);
    attr[0].i = 1;
    tl_scope *inner = open_scope(d);
    cr_expect_neq(tl__apply_into(inner, norm, (tl_tensor *[]){x, ones, ones, ones, ones}, 5, attr, out), 0);
    cr_expect(strstr(tl_scope_error(inner)->text, "changes its input"), "%s", tl_scope_error(inner)->text);
    tl_scope_close(inner);
    /* Statistics that are no packed float32 would be moved in a copy, so that nothing moved. */
    inner = open_scope(d);
    tl_tensor *half = tl__cast(inner, ones, TL_F16);
    cr_expect_null(tl_batch_norm(inner, x, NULL, NULL, half, ones, 1, 0.1, 1e-5));
    cr_expect(strstr(tl_scope_error(inner)->text, "is written in place and must be packed float32"), "%s", tl_scope_error(inner)->text);
    tl_scope_close(inner);
    cr_assert_eq(tl_read(s, ones, host, sizeof host), 0);
    for (int i = 0; i < 8; i++) cr_expect_eq(host[i], 1);
    close_scope(s);
    close_device(d);
}
