/* optim.c - optimisers against PyTorch over twenty steps (tests/golden/optim.safetensors), their state, and that whatever
 * fails no parameter is lost. */
#include "plain_device.h"
#include "grad/optim.h"
#include "io/io.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PARAMS = 3, LARGEST = 17 };
static const tl_shape shapes[PARAMS] = {{2, {3, 5}}, {1, {17}}, {3, {2, 2, 4}}};

static const struct { const char *name, *kind; tl_optim_options o; } cases[] = {
    {"sgd", "sgd", {.lr = 0.1}},
    {"sgd_momentum", "sgd", {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01}},
    {"sgd_nesterov", "sgd", {.lr = 0.05, .momentum = 0.8, .nesterov = 1}},
    {"sgd_dampening", "sgd", {.lr = 0.1, .momentum = 0.9, .dampening = 0.3}},
    {"adam", "adam", {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8}},
    {"adam_decay", "adam", {.lr = 0.02, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.1}},
    {"adamw", "adamw", {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.01}},
    {"adamw_decay", "adamw", {.lr = 0.02, .beta1 = 0.85, .beta2 = 0.99, .eps = 1e-8, .weight_decay = 0.2}},
    {"rmsprop", "rmsprop", {.lr = 0.01, .alpha = 0.99, .eps = 1e-8}},
    {"rmsprop_momentum", "rmsprop", {.lr = 0.01, .alpha = 0.9, .eps = 1e-3, .momentum = 0.9, .weight_decay = 0.1}},
    {"rmsprop_centered", "rmsprop", {.lr = 0.02, .alpha = 0.95, .eps = 1e-8, .momentum = 0.5, .centered = 1}},
    {"lion", "lion", {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.99}},
    {"lion_decay", "lion", {.lr = 0.02, .beta1 = 0.95, .beta2 = 0.98, .weight_decay = 0.3}},
    {"lamb", "lamb", {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-6}},
    {"lamb_decay", "lamb", {.lr = 0.05, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.1}},
};
enum { CASES = sizeof cases / sizeof *cases };

/* As tests/golden/philox.py: normal(shape, mean, deviation, name, seed 1). */
static tl_tensor *normal(tl_scope *s, const tl_shape *shape, double mean, double deviation, const char *name)
{
    float host[LARGEST];
    tl_rng_key key = tl__rng_key(1, TL_RNG_INIT, tl__hash64(name, strlen(name), 0));
    for (int64_t i = 0; i < tl__numel(shape); i++) host[i] = (float)(mean + deviation * (double)tl__rng_normal(key, (uint64_t)i));
    return tl_from(s, TL_F32, shape->rank, shape->dim, host);
}

static void make_params(tl_scope *s, tl_tensor **p)
{
    char name[16];
    for (int i = 0; i < PARAMS; i++) {
        snprintf(name, sizeof name, "p%d", i);
        p[i] = normal(s, &shapes[i], 0, 1, name);
        tl_require_grad(s, p[i], 1);
    }
}

/* Gradients as the golden script makes them, through backward: loss = sum(g p). */
static void one_step(tl_scope *keep, tl_optim *o, tl_tensor **p, int step)
{
    char name[32];
    tl_scope *s = tl_scope_open(tl_scope_device(keep), NULL);
    if (step == 11) tl_optim_set_lr(o, -1, tl_optim_lr(o, 0) * 0.1);
    tl_optim_zero_grad(o);
    for (int i = 0; i < PARAMS; i++) {
        if (i == 1 && step >= 3 && step <= 5) continue;
        snprintf(name, sizeof name, "g%d.%d", i, step);
        tl_backward(s, tl_sum(s, tl_mul(s, normal(s, &shapes[i], 0.1, 0.5, name), p[i]), NULL, 0, 0), NULL, 0);
    }
    tl_optim_step(s, o);
    cr_assert(!tl_scope_failed(s), "%s", tl_scope_error(s)->text);
    tl_scope_close(s);
}

static double distance(tl_scope *s, const tl_archive *golden, const char *name, tl_tensor *t)
{
    const tl_entry *want = tl__archive_find(golden, name);
    float a[LARGEST], b[LARGEST];
    tl_error err = {0};
    cr_assert(want, "%s is not in the golden file", name);
    cr_assert_eq(tl__entry_to_f32(&err, want, b), 0, "%s", err.text);
    int64_t n = tl_numel(t);
    tl_read(s, t, a, (size_t)n * 4);
    double worst = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]) / fmax(fabs((double)b[i]), 0.1);
        if (!(d <= worst)) worst = isnan(d) ? INFINITY : d; /* fmax would pass over a NaN */
    }
    return worst;
}

Test(optim, twenty_steps_agree_with_pytorch)
{
    tl_error err = {0};
    tl_device *d = open_device();
    tl_archive *golden = tl__archive_read(&err, "tests/golden/optim.safetensors");
    cr_assert(golden, "%s", err.text);
    double worst = 0;
    char name[64];
    for (int c = 0; c < CASES; c++) {
        tl_tensor *p[PARAMS];
        tl_scope *s = tl_scope_open(d, NULL);
        make_params(s, p);
        tl_optim *o = tl_optim_new(s, cases[c].kind, p, PARAMS, &cases[c].o);
        cr_assert(o, "%s", tl_scope_error(s)->text);
        for (int step = 1; step <= 20; step++) {
            one_step(s, o, p, step);
            for (int i = 0; i < PARAMS && (step == 1 || step == 5 || step == 20); i++) {
                snprintf(name, sizeof name, "%s.%d.%d", cases[c].name, step, i);
                double error = distance(s, golden, name, p[i]);
                cr_expect_leq(error, 1e-5, "%s differs from PyTorch by %.2g", name, error);
                worst = fmax(worst, error);
            }
        }
        tl_optim_free(o);
        tl_scope_close(s);
        cr_expect_eq(live(d), 0, "%s leaves %zu bytes", cases[c].name, live(d));
    }
    tl__archive_free(golden);
    tl_device_release(d);
    fprintf(stderr, "%d optimisers, largest difference from PyTorch %.1e\n", CASES, worst);
}

Test(optim, a_step_is_one_launch_and_gradients_add_up)
{
    tl_device *d = open_device();
    tl_scope *s = tl_scope_open(d, NULL);
    tl_tensor *p[PARAMS];
    float before[17], after[17], g[17];
    make_params(s, p);
    tl_optim *o = tl_optim_new(s, "sgd", p, PARAMS, &(tl_optim_options){.lr = 0.5});
    for (int i = 0; i < PARAMS; i++)
        for (int twice = 0; twice < 2; twice++) tl_backward(s, tl_sum(s, tl_square(s, p[i]), NULL, 0, 0), NULL, 0);
    tl_read(s, p[1], before, sizeof before);
    tl_read(s, tl_grad(p[1]), g, sizeof g);
    long launches = d->launches;
    cr_assert_eq(tl_optim_step(s, o), 0);
    cr_assert_eq(d->launches - launches, 1);
    launches = d->launches;
    tl_read(s, p[1], after, sizeof after);
    for (int i = 0; i < 17; i++) {
        cr_expect_float_eq(g[i], 4 * before[i], 1e-5);
        cr_expect_float_eq(after[i], before[i] - 0.5f * g[i], 1e-5);
    }
    tl_optim_zero_grad(o);
    cr_assert_null(tl_grad(p[1]));
    cr_assert_eq(tl_optim_step(s, o), 0);
    cr_assert_eq(d->launches, launches, "nothing has a gradient, yet something was launched");
    tl_optim_free(o);
    tl_scope_close(s);
    cr_assert_eq(live(d), 0);
    tl_device_release(d);
}

/* Two parameters too large to have their gradients in one flat buffer, each with a small neighbour. */
Test(optim, gradients_have_memory_only_while_there_are_some)
{
    enum { LARGE = 5 << 20, SMALL = 17, FOUR = 4 };
    static const int64_t lengths[FOUR] = {SMALL, LARGE, LARGE, SMALL};
    tl_device *d = open_device();
    tl_scope *s = tl_scope_open(d, NULL);
    tl_tensor *p[FOUR];
    double norm;
    float x[SMALL];
    for (int i = 0; i < FOUR; i++) {
        p[i] = tl_full(s, TL_F32, 1, &lengths[i], 1);
        tl_require_grad(s, p[i], 1);
    }
    tl_optim *o = tl_optim_new(s, "sgd", p, FOUR, &(tl_optim_options){.lr = 0.25});
    size_t none = live(d), one = (size_t)LARGE * 4;
    long launches = d->launches;
    for (int round = 0; round < 2; round++) {
        tl_scope *in = tl_scope_open(d, NULL);
        /* What gradients find in their memory: one for each, since without an arena one of both is taken whole. */
        for (int i = 0; i < 2; i++) tl_full(in, TL_F32, 1, (int64_t[]){LARGE + 64}, NAN);
        tl_scope_close(in);
        in = tl_scope_open(d, NULL);
        for (int i = FOUR - 1; i >= 0; i--) {
            tl_backward(in, tl_sum(in, p[i], NULL, 0, 0), NULL, 0);
            size_t homes = live(d) - none;
            cr_expect(i > 1 ? homes >= one && homes < one + one / 2 : homes >= 2 * one, "%zu bytes with parameter %d", homes, i);
            if (i == 2 && round) break; /* then only the second home */
        }
        int count = round ? LARGE + SMALL : 2 * (LARGE + SMALL);
        cr_assert_eq(tl_optim_grad_norm(in, o, -1, &norm), 0);
        cr_expect_float_eq(norm, sqrt(count), 1e-3 * sqrt(count));
        launches = d->launches;
        cr_assert_eq(tl_optim_step(in, o), 0);
        cr_expect_eq(d->launches - launches, round ? 1 : 2);
        tl_optim_zero_grad(o);
        tl_scope_close(in);
        cr_expect_eq(live(d), none, "%zu bytes are left of gradients", live(d) - none);
        for (int i = 0; i < FOUR; i++) {
            int64_t last = lengths[i] - SMALL;
            tl_read(s, tl_slice(s, p[i], 0, last, SMALL), x, sizeof x);
            for (int k = 0; k < SMALL; k++) cr_assert_float_eq(x[k], round && i > 1 ? 0.5 : 0.75, 1e-6, "parameter %d", i);
        }
    }
    tl_optim_free(o);
    tl_scope_close(s);
    cr_assert_eq(live(d), 0);
    tl_device_release(d);
}

/* ---- state ---- */

typedef struct state { int count; struct { char name[64]; float values[LARGEST]; tl_shape shape; tl_dtype dtype; } item[64]; tl_scope *s; } state;

static void take(void *user, const char *name, tl_tensor *t)
{
    state *st = user;
    snprintf(st->item[st->count].name, 64, "%s", name);
    st->item[st->count].shape = t->shape;
    st->item[st->count].dtype = t->dtype;
    tl_read(st->s, t, st->item[st->count].values, (size_t)tl_numel(t) * 4);
    st->count++;
}

static tl_tensor *give(void *user, const char *name)
{
    state *st = user;
    for (int i = 0; i < st->count; i++)
        if (strcmp(st->item[i].name, name) == 0) return tl_from(st->s, st->item[i].dtype, st->item[i].shape.rank, st->item[i].shape.dim, st->item[i].values);
    return NULL;
}

Test(optim, state_goes_out_and_comes_back)
{
    tl_device *d = open_device();
    for (int c = 0; c < CASES; c++) {
        tl_scope *s = tl_scope_open(d, NULL);
        tl_tensor *p[PARAMS], *q[PARAMS];
        float values[PARAMS][LARGEST], other[LARGEST];
        make_params(s, p);
        make_params(s, q);
        tl_optim *o = tl_optim_new(s, cases[c].kind, p, PARAMS, &cases[c].o);
        for (int step = 1; step <= 7; step++) one_step(s, o, p, step);
        state *st = calloc(1, sizeof *st);
        st->s = s;
        cr_assert_eq(tl_optim_state(s, o, take, st), 0);
        tl_optim *again = tl_optim_new(s, cases[c].kind, q, PARAMS, &cases[c].o);
        for (int i = 0; i < PARAMS; i++) {
            tl_read(s, p[i], values[i], (size_t)tl_numel(p[i]) * 4);
            tl_write(s, q[i], values[i], (size_t)tl_numel(p[i]) * 4);
        }
        cr_assert_eq(tl_optim_load_state(s, again, give, st), 0, "%s", tl_scope_error(s)->text);
        for (int step = 8; step <= 12; step++) {
            one_step(s, o, p, step);
            one_step(s, again, q, step);
        }
        for (int i = 0; i < PARAMS; i++) {
            tl_read(s, p[i], values[i], (size_t)tl_numel(p[i]) * 4);
            tl_read(s, q[i], other, (size_t)tl_numel(p[i]) * 4);
            cr_expect_eq(memcmp(values[i], other, (size_t)tl_numel(p[i]) * 4), 0, "%s, parameter %d", cases[c].name, i);
        }
        st->count--;
        cr_expect_neq(tl_optim_load_state(s, again, give, st), 0);
        cr_expect(strstr(tl_scope_error(s)->text, "has no 1.3.step"), "%s", tl_scope_error(s)->text);
        free(st);
        tl_optim_free(o);
        tl_optim_free(again);
        tl_scope_close(s);
        cr_assert_eq(live(d), 0);
    }
    tl_device_release(d);
}

Test(optim, released_leaves_its_parameters_usable)
{
    tl_device *d = open_device();
    tl_scope *s = tl_scope_open(d, NULL);
    tl_tensor *p[PARAMS];
    float g[17], x[17], y[17];
    make_params(s, p);
    tl_optim *o = tl_optim_new(s, "adam", p, PARAMS, NULL);
    cr_assert_eq(tl_optim_lr(o, 0), 1e-3);
    one_step(s, o, p, 1);
    tl_read(s, p[1], x, sizeof x);
    tl_optim_free(o);
    tl_read(s, p[1], y, sizeof y);
    cr_assert_eq(memcmp(x, y, sizeof x), 0);
    cr_assert_not_null(tl_grad(p[1]));
    tl_zero_grad(p[1]);
    tl_backward(s, tl_sum(s, tl_square(s, p[1]), NULL, 0, 0), NULL, 0);
    tl_read(s, tl_grad(p[1]), g, sizeof g);
    cr_assert_float_eq(g[3], 2 * x[3], 1e-5);
    /* The next takes them over, with the gradients they have. */
    o = tl_optim_new(s, "sgd", p, PARAMS, &(tl_optim_options){.lr = 1});
    cr_assert(o, "%s", tl_scope_error(s)->text);
    cr_assert_eq(tl_optim_step(s, o), 0);
    tl_read(s, p[1], y, sizeof y);
    cr_assert_float_eq(y[3], -x[3], 1e-5);
    tl_optim_free(o);
    tl_scope_close(s);
    cr_assert_eq(live(d), 0);
    tl_device_release(d);
}

Test(optim, groups_have_rates_of_their_own)
{
    tl_device *d = open_device();
    tl_scope *s = tl_scope_open(d, NULL);
    tl_tensor *p[PARAMS];
    float x[16], y[16];
    make_params(s, p);
    tl_optim *o = tl_optim_new(s, "sgd", p, 2, &(tl_optim_options){.lr = 0.1});
    cr_assert_eq(tl_optim_add_group(s, o, p + 2, 1, &(tl_optim_options){.lr = 1}), 0);
    tl_read(s, p[2], x, sizeof x);
    tl_backward(s, tl_sum(s, p[2], NULL, 0, 0), NULL, 0);
    tl_optim_set_lr(o, 0, 7);
    tl_optim_step(s, o);
    tl_read(s, p[2], y, sizeof y);
    cr_assert_float_eq(y[5], x[5] - 1, 1e-5);
    cr_assert(tl_optim_lr(o, 0) == 7 && tl_optim_lr(o, 1) == 1);
    tl_optim_free(o);
    tl_scope_close(s);
    tl_device_release(d);
}

Test(optim, what_is_refused)
{
    static const struct { const char *kind, *want; tl_optim_options o; int what; } wrong[] = {
        {"adm", "\"adm\" is unknown", {.lr = 1}, 0},          {"sgd", "must not be negative", {.lr = -1}, 0},
        {"rmsprop", "alpha lies", {.lr = 1, .alpha = 1}, 0},  {"sgd", "must not be negative", {.lr = 1, .momentum = -1}, 0},
        {"sgd", "Nesterov", {.lr = 1, .nesterov = 1}, 0},     {"adam", "betas", {.lr = 1, .beta1 = 1, .eps = 1}, 0},
        {"sgd", "named twice", {.lr = 1}, 1},                 {"sgd", "not a leaf", {.lr = 1}, 2},
        {"sgd", "not a leaf", {.lr = 1}, 3},                  {"sgd", "train float32", {.lr = 1}, 4},
        {"sgd", "nothing to train", {.lr = 1}, 5},            {"sgd", "belongs to an optimiser", {.lr = 1}, 6},
    };
    tl_device *d = open_device();
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        tl_scope *s = tl_scope_open(d, NULL);
        tl_tensor *p[PARAMS];
        tl_optim *first = NULL;
        make_params(s, p);
        tl_buffer *was = p[0]->buffer;
        if (wrong[k].what == 1) p[2] = p[0];
        if (wrong[k].what == 2) p[2] = tl_neg(s, p[2]);
        if (wrong[k].what == 3) tl_require_grad(s, p[2], 0);
        if (wrong[k].what == 4) p[2] = tl__cast(s, p[2], TL_F16);
        if (wrong[k].what == 6) first = tl_optim_new(s, "sgd", p + 2, 1, NULL);
        cr_expect_null(tl_optim_new(s, wrong[k].kind, p, wrong[k].what == 5 ? 0 : PARAMS, &wrong[k].o));
        cr_expect(strstr(tl_scope_error(s)->text, wrong[k].want), "%s", tl_scope_error(s)->text);
        cr_expect_eq(p[0]->buffer, was, "a parameter moved");
        tl_optim_free(first);
        tl_scope_close(s);
        cr_expect_eq(live(d), 0);
    }
    tl_device_release(d);
}

/* A limit of 0 would train nothing, and a NaN among gradients makes all of them NaN, as torch.nn.utils.clip_grad_norm_ does: never a step
 * that was not clipped. */
Test(optim, clipping_to_nothing_is_refused_and_a_nan_is_not_lost)
{
    tl_device *d = open_device();
    tl_scope *s = tl_scope_open(d, NULL);
    tl_tensor *p[PARAMS];
    make_params(s, p);
    tl_optim *o = tl_optim_new(s, "sgd", p, PARAMS, &(tl_optim_options){.lr = 1});
    double norm = 0;
    float g[1] = {0};
    for (int i = 0; i < PARAMS; i++) tl_backward(s, tl_sum(s, tl_mul_scalar(s, p[i], i ? 3 : NAN), NULL, 0, 0), NULL, 0);
    cr_assert_eq(tl_optim_clip_grad_norm(s, o, -1, 1, &norm), 0, "%s", tl_scope_error(s)->text);
    cr_expect(isnan(norm));
    for (int i = 0; i < PARAMS; i++) {
        tl_read(s, tl_sum(s, tl_grad(p[i]), NULL, 0, 0), g, sizeof g);
        cr_expect(isnan(g[0]), "parameter %d: %g", i, (double)g[0]);
    }
    for (int k = 0; k < 3; k++) {
        tl_scope *in = tl_scope_open(d, NULL);
        cr_expect_eq(tl_optim_clip_grad_norm(in, o, -1, (double[]){0, -1, NAN}[k], &norm), -1);
        cr_expect(strstr(tl_scope_error(in)->text, "above 0"), "%s", tl_scope_error(in)->text);
        tl_scope_close(in);
    }
    tl_optim_free(o);
    tl_scope_close(s);
    tl_device_release(d);
}

/* One step of LAMB on parameters longer than its kernels' pieces, worked out here in double precision. */
Test(optim, lamb_takes_norms_over_whole_parameters)
{
    enum { MOST = 9001 };
    static const int64_t lengths[] = {MOST, 4096, 5, 4097};
    static float w[MOST], g[MOST], got[MOST];
    tl_device *d = open_device();
    tl_scope *s = tl_scope_open(d, NULL);
    tl_tensor *p[4];
    const tl_optim_options o = {.lr = 0.1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-6, .weight_decay = 0.5};
    for (int i = 0; i < 4; i++) {
        for (int64_t k = 0; k < lengths[i]; k++) w[k] = i == 2 ? 0 : (float)(k % 7) - 2.5f;
        p[i] = tl_from(s, TL_F32, 1, &lengths[i], w);
        tl_require_grad(s, p[i], 1);
    }
    tl_optim *lamb = tl_optim_new(s, "lamb", p, 4, &o);
    for (int64_t k = 0; k < MOST; k++) g[k] = (float)(k % 5) - 1.7f;
    for (int i = 0; i < 4; i++) tl_backward(s, tl_sum(s, tl_mul(s, tl_from(s, TL_F32, 1, &lengths[i], g), p[i]), NULL, 0, 0), NULL, 0);
    long launches = d->launches;
    cr_assert_eq(tl_optim_step(s, lamb), 0, "%s", tl_scope_error(s)->text);
    cr_expect_eq(d->launches - launches, 3);
    for (int i = 0; i < 4; i++) {
        double own = 0, step = 0;
        for (int64_t k = 0; k < lengths[i]; k++) {
            double x = i == 2 ? 0 : (double)(k % 7) - 2.5, r = (double)g[k] / (fabs((double)g[k]) + o.eps) + o.weight_decay * x;
            own += x * x;
            step += r * r;
        }
        tl_read(s, p[i], got, (size_t)lengths[i] * 4);
        for (int64_t k = 0; k < lengths[i]; k++) {
            double x = i == 2 ? 0 : (double)(k % 7) - 2.5, r = (double)g[k] / (fabs((double)g[k]) + o.eps) + o.weight_decay * x;
            double want = x - o.lr * (own > 0 ? sqrt(own / step) : 1) * r;
            cr_assert(fabs((double)got[k] - want) < 1e-5, "parameter %d, element %d: %g, not %g", i, (int)k, (double)got[k], want);
        }
    }
    tl_optim_free(lamb);
    tl_scope_close(s);
    cr_assert_eq(live(d), 0);
    tl_device_release(d);
}

/* Every allocation of making an optimiser and of its first step fails once. */
static void fail_each_allocation(const char *kind)
{
    tl_device *d = open_device();
    float x[17], y[17];
    for (long nth = 1;; nth++) {
        tl_scope *s = tl_scope_open(d, NULL);
        tl_tensor *p[PARAMS];
        make_params(s, p);
        tl_backward(s, tl_sum(s, tl_square(s, p[1]), NULL, 0, 0), NULL, 0);
        tl_read(s, p[1], x, sizeof x);
        tl_scope *inner = tl_scope_open(d, NULL);
        tl__inject_failure(nth);
        tl_optim *o = tl_optim_new(inner, kind, p, PARAMS, NULL);
        if (o && tl_optim_step(inner, o) == 0) tl_optim_ema(inner, o, 0.9);
        tl__inject_failure(0);
        int failed = tl_scope_failed(inner);
        cr_expect(failed || o);
        tl_optim_free(o);
        tl_scope_close(inner);
        tl_read(s, p[1], y, sizeof y);
        cr_expect(!tl_scope_failed(s), "%ld: %s", nth, tl_scope_error(s)->text);
        if (!o) cr_expect_eq(memcmp(x, y, sizeof x), 0, "failure %ld changed a parameter", nth);
        cr_expect_not_null(tl_grad(p[1]), "failure %ld lost a gradient", nth);
        tl_scope_close(s);
        cr_assert_eq(live(d), 0, "failure %ld leaves %zu bytes", nth, live(d));
        if (!failed) break;
        cr_assert_lt(nth, 1000);
    }
    tl_device_release(d);
}

Test(optim, whichever_allocation_fails_nothing_is_lost)
{
    fail_each_allocation("adam");
    fail_each_allocation("lamb");
}

/* ---- the average of the weights ---- */

static void read_params(tl_scope *s, tl_tensor **p, float values[PARAMS][LARGEST])
{
    for (int i = 0; i < PARAMS; i++) tl_read(s, p[i], values[i], (size_t)tl_numel(p[i]) * 4);
}

Test(optim, averages_agree_with_pytorch)
{
    tl_error err = {0};
    tl_device *d = open_device();
    tl_archive *golden = tl__archive_read(&err, "tests/golden/optim.safetensors");
    tl_scope *s = tl_scope_open(d, NULL);
    tl_tensor *p[PARAMS];
    char name[64];
    float before[PARAMS][LARGEST] = {{0}}, after[PARAMS][LARGEST] = {{0}};
    cr_assert(golden, "%s", err.text);
    make_params(s, p);
    tl_optim *o = tl_optim_new(s, "adam", p, PARAMS, &(tl_optim_options){.lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8});
    for (int step = 1; step <= 20; step++) {
        one_step(s, o, p, step);
        long launches = d->launches;
        cr_assert_eq(tl_optim_ema(s, o, 0.8), 0, "%s", tl_scope_error(s)->text);
        if (step > 1) cr_expect_eq(d->launches - launches, 1);
        read_params(s, p, before);
        cr_assert_eq(tl_optim_swap_ema(s, o), 0);
        for (int i = 0; i < PARAMS && (step == 1 || step == 5 || step == 20); i++) {
            snprintf(name, sizeof name, "ema.%d.%d", step, i);
            double error = distance(s, golden, name, p[i]);
            cr_expect_leq(error, 1e-5, "%s differs from PyTorch by %.2g", name, error);
        }
        cr_assert_eq(tl_optim_swap_ema(s, o), 0);
        read_params(s, p, after);
        cr_assert_eq(memcmp(before, after, sizeof before), 0, "swapping twice changed the weights");
    }
    tl_optim_free(o);
    tl__archive_free(golden);
    tl_scope_close(s);
    cr_assert_eq(live(d), 0);
    tl_device_release(d);
}

Test(optim, averages_are_part_of_the_state)
{
    tl_device *d = open_device();
    tl_scope *s = tl_scope_open(d, NULL);
    tl_tensor *p[PARAMS], *q[PARAMS];
    float x[PARAMS][LARGEST] = {{0}}, y[PARAMS][LARGEST] = {{0}};
    make_params(s, p);
    make_params(s, q);
    tl_optim *o = tl_optim_new(s, "sgd", p, PARAMS, &(tl_optim_options){.lr = 0.1}), *again = tl_optim_new(s, "sgd", q, PARAMS, &(tl_optim_options){.lr = 0.1});
    for (int step = 1; step <= 4; step++) {
        one_step(s, o, p, step);
        one_step(s, again, q, step);
        tl_optim_ema(s, o, 0.5);
    }
    state *st = calloc(1, sizeof *st);
    st->s = s;
    cr_assert_eq(tl_optim_state(s, o, take, st), 0);
    cr_assert_eq(tl_optim_load_state(s, again, give, st), 0, "%s", tl_scope_error(s)->text);
    free(st);
    for (int step = 5; step <= 7; step++) {
        one_step(s, o, p, step);
        one_step(s, again, q, step);
        tl_optim_ema(s, o, 0.5);
        tl_optim_ema(s, again, 0.5);
    }
    tl_optim_swap_ema(s, o);
    tl_optim_swap_ema(s, again);
    cr_assert(!tl_scope_failed(s), "%s", tl_scope_error(s)->text);
    read_params(s, p, x);
    read_params(s, q, y);
    cr_assert_eq(memcmp(x, y, sizeof x), 0);
    tl_optim_free(o);
    tl_optim_free(again);
    tl_scope_close(s);
    cr_assert_eq(live(d), 0);
    tl_device_release(d);
}

Test(optim, averages_that_cannot_be)
{
    tl_device *d = open_device();
    tl_scope *s = tl_scope_open(d, NULL);
    tl_tensor *p[PARAMS];
    make_params(s, p);
    tl_optim *o = tl_optim_new(s, "sgd", p, PARAMS, &(tl_optim_options){.lr = 0.1});
    for (int what = 0; what < 3; what++) {
        static const char *const want[] = {"no average yet", "between 0 and 1, not 1.5", "packed float32 of one shape"};
        tl_scope *inner = tl_scope_open(d, NULL);
        int bad = what == 0 ? tl_optim_swap_ema(inner, o) : what == 1 ? tl_optim_ema(inner, o, 1.5) : tl_ema(inner, p[0], p[1], 0.5);
        cr_expect_neq(bad, 0);
        cr_expect(strstr(tl_scope_error(inner)->text, want[what]), "%s", tl_scope_error(inner)->text);
        tl_scope_close(inner);
    }
    tl_optim_free(o);
    tl_scope_close(s);
    tl_device_release(d);
}
