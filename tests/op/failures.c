/* failures.c - every operator while something fails: each order to the device in turn, and each allocation, forward and backward. What is
 * tried again after a failure gives the bits of an undisturbed call on the same inputs, inputs that are written in place are moved
 * once, and nothing is left on the device. */
#include "op/samples.h"

#include <criterion/criterion.h>

static long failures, injected;

/* What is made to fail. */
enum { ORDERS, ALLOCATIONS };
static const char *const kinds[] = {"order", "allocation"};

static long inject(tl_device *d, int kind, long nth)
{
    return kind == ORDERS ? tl__inject_launch_failure(d, nth, TL_EMEMORY) : tl__inject_failure(nth);
}

static void check(int ok, const tl_sample *s, int at, const char *format, ...)
{
    char text[300];
    va_list ap;
    if (ok) return;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (++failures <= 20) fprintf(stderr, "%s, sample %d: %s\n", s->op->name, at, text);
}

/* Which inputs want a gradient: none (inference, kept weights), all, or the first alone (frozen weights, kept in the gradient too). */
enum { NONE, ALL, FIRST, MODES };

typedef struct inputs {
    tl_scope *scope;
    tl_tensor *in[TL_MAX_INPUTS];
} inputs;

static int is_int(const tl_sample *s, int i) { return tl__sample_is_int(s, i); }
static int wants(const tl_sample *s, int i, int mode)
{
    if (s->in[i].absent || is_int(s, i) || s->op->constants >> i & 1) return 0;
    return mode == ALL || (mode == FIRST && i == 0);
}

static inputs make_inputs(tl_device *d, const tl_sample *s, int at, int mode)
{
    inputs x = {.scope = tl_scope_open(d, NULL)};
    for (int i = 0; i < s->n_in; i++) {
        if (s->in[i].absent) continue;
        void *values = sample_values(s, at, i);
        x.in[i] = tl_from(x.scope, is_int(s, i) ? TL_I32 : TL_F32, s->in[i].shape.rank, s->in[i].shape.dim, values);
        free(values);
        if (wants(s, i, mode)) tl_require_grad(x.scope, x.in[i], 1);
    }
    cr_assert(!tl_scope_failed(x.scope), "%s", tl_scope_error(x.scope)->text);
    return x;
}

/* All that came of a call, as text of bits: the result, the inputs as they are now, their gradients. */
typedef struct outcome { uint64_t y, in[TL_MAX_INPUTS], gradient[TL_MAX_INPUTS]; int forward, code; } outcome;

static uint64_t bits(tl_scope *s, tl_tensor *t)
{
    if (!t) return 0;
    size_t n = (size_t)tl_numel(t) * tl__dtype_size(t->dtype);
    char *host = malloc(n + 1);
    uint64_t h = tl_read(s, t, host, n) == 0 ? tl__hash64(host, n, 1) : 0;
    free(host);
    return h;
}

/* Forward and, where something wants it, backward; the n-th order or allocation fails (0: none). Returns how many there were. */
static long call(tl_device *d, const tl_sample *s, const inputs *x, int mode, int kind, long nth, outcome *o)
{
    tl_scope *scope = tl_scope_open(d, NULL);
    memset(o, 0, sizeof *o);
    d->ordinal = 5; /* the same random mask every time */
    for (int i = 0; i < s->n_in; i++)
        if (x->in[i]) tl_zero_grad(x->in[i]);
    inject(d, kind, nth ? nth : 1000000);
    tl_tensor *y = tl__apply(scope, s->op, x->in, s->n_in, s->attr, NULL);
    o->forward = y != NULL;
    if (y && d->ordinal - 5 != (uint64_t)s->op->random) check(0, s, 0, "the ordinal is %d", (int)d->ordinal);
    if (y && y->node && mode != NONE) tl_backward(scope, y, tl_add_scalar(scope, tl_mul_scalar(scope, y, 0.25), 1), 0);
    long count = inject(d, kind, 0);
    o->code = tl_scope_error(scope)->code;
    if (o->code == TL_OK) o->y = bits(scope, y);
    for (int i = 0; i < s->n_in; i++) {
        if (!x->in[i]) continue;
        o->in[i] = bits(x->scope, x->in[i]);
        o->gradient[i] = bits(x->scope, tl_grad(x->in[i]));
    }
    tl_scope_close(scope);
    return count;
}

static void compare(const tl_sample *s, int at, int kind, long nth, const outcome *want, const outcome *first, const outcome *again)
{
    unsigned mutates = tl__op_mutates(s->op, s->attr);
    check(first->code == TL_EMEMORY, s, at, "%s %ld failed, and the code is %d", kinds[kind], nth, first->code);
    check(again->code == TL_OK, s, at, "%s %ld failed, and the call after it: %d", kinds[kind], nth, again->code);
    check(again->y == want->y, s, at, "%s %ld failed, and the call after it gives another result", kinds[kind], nth);
    for (int i = 0; i < s->n_in; i++) {
        check(again->gradient[i] == want->gradient[i], s, at, "%s %ld failed, and the call after it gives another gradient %d", kinds[kind], nth, i);
        /* Where the forward was done it has moved them, and a second one does so again, as it should. */
        if (!(mutates >> i & 1) || !first->forward) check(again->in[i] == want->in[i], s, at, "%s %ld failed, and input %d is not what it should be", kinds[kind], nth, i);
    }
}

static void check_sample(tl_device *d, const tl_sample *s, int at, int mode, int kind)
{
    outcome want, first, again;
    size_t live;
    inputs x = make_inputs(d, s, at, mode);
    long count = call(d, s, &x, mode, kind, 0, &want);
    tl_scope_close(x.scope);
    check(want.code == TL_OK, s, at, "undisturbed: %d", want.code);
    for (long nth = 1; nth <= count; nth++) {
        x = make_inputs(d, s, at, mode); /* anew, so that nothing is kept beside them yet */
        call(d, s, &x, mode, kind, nth, &first);
        call(d, s, &x, mode, kind, 0, &again);
        compare(s, at, kind, nth, &want, &first, &again);
        tl_scope_close(x.scope);
        tl_device_memory(d, &live, NULL, NULL);
        check(live == 0, s, at, "%s %ld failed, and %zu bytes are left on the device", kinds[kind], nth, live);
        injected++;
    }
}

static void check_op(tl_device *d, const tl_op *op)
{
    sample_list l = samples_of(op, d);
    for (int i = 0; i < l.count; i++)
        for (int mode = 0; mode < (op->vjp ? MODES : 1); mode++) {
            check_sample(d, &l.items[i], i, mode, ORDERS);
            if (mode != FIRST) check_sample(d, &l.items[i], i, mode, ALLOCATIONS);
        }
    free(l.items);
}

static tl_device *open_device(void)
{
    tl_error err = {0};
    tl_device *d = tl_device_open(NULL, &err);
    cr_assert(d, "%s", err.text);
    return d;
}

static void check_every(int remainder)
{
    tl_device *d = open_device();
    const char *only = getenv("TLUA_TEST_OP");
    for (int i = 0; tl__ops()[i]; i++)
        if (i % 4 == remainder && (!only || strcmp(only, tl__ops()[i]->name) == 0)) check_op(d, tl__ops()[i]);
    tl_device_release(d);
    cr_assert_eq(failures, 0, "%ld failures of %ld injected ones", failures, injected);
    fprintf(stderr, "%ld orders and allocations were made to fail\n", injected);
}

Test(failures, first) { check_every(0); }
Test(failures, second) { check_every(1); }
Test(failures, third) { check_every(2); }
Test(failures, fourth) { check_every(3); }

/* ---- the check itself can fail ---- */

/* Twice its input, which it also counts up, before the launch that may fail: tried again it counts twice. */
static int careless_forward(tl_scope *s, const tl_call *c)
{
    return tl__add_into(s, c->in[1], c->in[0]) == 0 ? tl__copy_into(s, tl_mul_scalar(s, c->in[0], 2), c->out[0]) : -1;
}
static int nothing_left(tl_scope *s, const tl_call *c, tl_tensor *const *in)
{
    (void)s, (void)c, (void)in;
    return 0;
}
static unsigned second(const tl_value *attr)
{
    (void)attr;
    return 2;
}
static void samples(tl_sampler *to);
static const tl_op careless = {.name = "careless", .inputs = {"x", "sum"}, .infer = tl__infer_like_first, .forward = careless_forward, .mutates = second, .move = nothing_left,
                               .samples = samples};
static void samples(tl_sampler *to)
{
    tl_sample s = tl__sample(&careless);
    for (int i = 0; i < 2; i++) tl__sample_input(&s, 1, (const int64_t[]){5}, -1, 1);
    to->take(to, &s);
}

Test(failures, what_is_moved_before_all_else_is_done_is_caught)
{
    tl_device *d = open_device();
    check_op(d, &careless);
    cr_assert_gt(failures, 0);
    tl_device_release(d);
}
