/* check.c - see check.h. One sample is run four or five times: recorded, again for its bits, from turned inputs, and in
 * a few steps along random directions, by which the gradient as a whole is held against differences. */
#include "check/check.h"

#include "check/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FEW = 3, MANY = 8 }; /* samples of an operator: of those that work element by element, of others */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int tl__check_time_left(tl__checker *k)
{
    k->cut |= now() >= k->until;
    return !k->cut;
}

int tl__check_that(tl__checker *k, int ok, const char *format, ...)
{
    va_list ap;
    k->family->checks++;
    if (ok) return 1;
    va_start(ap, format);
    if (k->family->failures++ == 0) vsnprintf(k->family->first, sizeof k->family->first, format, ap);
    va_end(ap);
    return 0;
}

void tl__check_error(tl__checker *k, const char *what, const tl_error *err)
{
    k->lost |= err->code == TL_EDEVICE || err->code == TL_EMEMORY;
    tl__check_that(k, 0, "%s: %s", what, err->text);
}

float *tl__check_numbers(const char *name, int64_t n)
{
    float *x = tl__calloc(NULL, (size_t)n + 1, sizeof *x);
    tl_rng_key key = tl__rng_key(0, TL_RNG_UNIFORM, tl__hash64(name, strlen(name), 0));
    for (int64_t i = 0; x && i < n; i++) x[i] = 2 * tl__rng_uniform(key, (uint64_t)i) - 1;
    return x;
}

/* ---- one run of a sample ---- */

typedef struct values { void *in[TL_MAX_INPUTS]; } values;
typedef struct trial { tl_scope *scope; tl_tensor *leaf[TL_MAX_INPUTS], *y; } trial;

static int is_int(const tl_sample *s, int i) { return tl__sample_is_int(s, i); }
static int wants(const tl_sample *s, int i)
{
    return !s->in[i].absent && !is_int(s, i) && !(s->op->constants >> i & 1);
}
static int64_t count_of(const tl_sample *s, int i) { return tl__numel(&s->in[i].shape); }

/* The same tensor, packed the other way round: a view whose first dimension runs fastest. */
static tl_tensor *turned(tl_scope *s, tl_tensor *t)
{
    int order[TL_MAX_RANK], r = t ? t->shape.rank : 0;
    for (int i = 0; i < r; i++) order[i] = r - 1 - i;
    return r > 1 ? tl_permute(s, tl__cast(s, tl_permute(s, t, r, order), t->dtype), r, order) : t;
}

static trial run(tl_device *d, const tl_sample *s, const values *v, int turn, int record)
{
    trial t = {.scope = tl_scope_open(d, NULL)};
    tl_tensor *in[TL_MAX_INPUTS] = {0};
    d->ordinal = 0; /* the same random mask every time */
    if (!t.scope) return t;
    for (int i = 0; i < s->n_in; i++) {
        if (s->in[i].absent) continue;
        t.leaf[i] = tl_from(t.scope, is_int(s, i) ? TL_I32 : TL_F32, s->in[i].shape.rank, s->in[i].shape.dim, v->in[i]);
        if (record && wants(s, i)) tl_require_grad(t.scope, t.leaf[i], 1);
        int as_it_is = !turn || tl__op_mutates(s->op, s->attr) >> i & 1 || s->op->constants >> i & 1;
        in[i] = as_it_is ? t.leaf[i] : turned(t.scope, t.leaf[i]);
    }
    t.y = tl__apply(t.scope, s->op, in, s->n_in, s->attr, NULL);
    return t;
}

/* All elements as numbers; NULL, with the scope's error, where they cannot be read. */
static double *read_all(tl_scope *s, tl_tensor *t)
{
    int64_t n = t ? tl_numel(t) : 0;
    double *out = tl__calloc(&s->err, (size_t)n + 1, sizeof *out);
    float *host = tl__calloc(&s->err, (size_t)n + 1, sizeof *host);
    if (host && t && tl_read(s, t, host, (size_t)n * 4) != 0) s->err.code = s->err.code ? s->err.code : TL_EDEVICE;
    for (int64_t i = 0; i < n && host && out; i++)
        out[i] = t->dtype == TL_I32 ? (double)((int32_t *)(void *)host)[i] : (double)host[i];
    free(host);
    if (!s->err.code) return out;
    free(out);
    return NULL;
}

/* The largest difference of two lists, as a share of the second's largest; not finite where one of them is not. */
static double distance(const double *a, const double *b, int64_t n)
{
    double worst = 0, scale = 1e-3;
    for (int64_t i = 0; i < n; i++) scale = fmax(scale, fabs(b[i]));
    for (int64_t i = 0; i < n; i++) {
        double d = fabs(a[i] - b[i]);
        if (!(d <= worst)) worst = isnan(d) ? INFINITY : d; /* a NaN would be passed by what comes after it */
    }
    return worst / scale;
}

/* ---- what is held against what ---- */

static void check_reference(tl__checker *k, const tl_sample *s, int at, const values *v, const trial *t,
                            const double *y)
{
    tl__reference_fn *f = s->in[0].integer ? NULL : tl__reference_of(s->op); /* of numbers with a point */
    tl__reference r = {.s = s, .out = t->y->shape};
    double *own[TL_MAX_INPUTS] = {0};
    int64_t n = tl_numel(t->y);
    int whole = f != NULL;
    for (int i = 0; i < s->n_in && f; i++) {
        if (s->in[i].absent) continue;
        r.in[i] = own[i] = tl__calloc(NULL, (size_t)count_of(s, i) + 1, sizeof **own);
        whole &= own[i] != NULL;
        for (int64_t j = 0; own[i] && j < count_of(s, i); j++)
            own[i][j] = is_int(s, i) ? (double)((const int32_t *)v->in[i])[j] : (double)((const float *)v->in[i])[j];
    }
    r.y = whole ? tl__calloc(NULL, (size_t)n + 1, sizeof *r.y) : NULL;
    if (r.y) {
        f(&r);
        if (k->wrong && strcmp(k->wrong, s->op->name) == 0) r.y[0] += 1;
        double off = distance(y, r.y, n);
        /* Sums of some hundred products in float32, and functions that OpenCL allows 16 units in the last place. */
        tl__check_that(k, off <= 2e-5, "%s, sample %d: differs from the reference by %.2g of its largest", s->op->name,
                       at + 1, off);
    }
    for (int i = 0; i < s->n_in; i++) free(own[i]);
    free(r.y);
}

/* The random weights of the loss; a plain sum would hide a gradient that sums to zero. */
static float weight(int64_t i) { return tl__rng_uniform(tl__rng_key(3, TL_RNG_UNIFORM, 5), (uint64_t)i) * 2 - 0.8f; }

static int backward(trial *t)
{
    int64_t n = tl_numel(t->y);
    float *host = tl__calloc(&t->scope->err, (size_t)n + 1, sizeof *host);
    for (int64_t i = 0; host && i < n; i++) host[i] = weight(i);
    tl_tensor *g = host ? tl_from(t->scope, TL_F32, t->y->shape.rank, t->y->shape.dim, host) : NULL;
    free(host);
    return tl_backward(t->scope, t->y, g, 0);
}

static double loss_with(tl_device *d, const tl_sample *s, const values *v)
{
    trial t = run(d, s, v, 0, 0);
    double *y = t.y ? read_all(t.scope, t.y) : NULL, sum = y ? 0 : NAN;
    for (int64_t i = 0; y && i < tl_numel(t.y); i++) sum += y[i] * (double)weight(i);
    free(y);
    tl_scope_close(t.scope);
    return sum;
}

/* One element of the direction: 1 or -1. */
static double way(int i, int64_t j)
{
    return tl__rng_uniform(tl__rng_key(7, TL_RNG_UNIFORM, (uint64_t)i), (uint64_t)j) < 0.5f ? -1 : 1;
}

/* Fourth-order central difference of the loss, all elements of input i going `h` in their ways. */
static double slope(tl_device *d, const tl_sample *s, values *v, int i, double h)
{
    static const int steps[] = {1, -1, 2, -2};
    int64_t n = count_of(s, i);
    float *x = v->in[i], *moved = tl__calloc(NULL, (size_t)n + 1, sizeof *moved);
    double f[4];
    if (!moved) return NAN;
    v->in[i] = moved;
    for (int step = 0; step < 4; step++) {
        for (int64_t j = 0; j < n; j++) moved[j] = (float)((double)x[j] + steps[step] * h * way(i, j));
        f[step] = loss_with(d, s, v);
    }
    v->in[i] = x;
    free(moved);
    return (4 * (f[0] - f[1]) / (2 * h) - (f[2] - f[3]) / (4 * h)) / 3;
}

static void check_gradient(tl__checker *k, const tl_sample *s, int at, values *v, trial *t, int i)
{
    tl_tensor *gradient = tl_grad(t->leaf[i]);
    double *g = gradient ? read_all(t->scope, gradient) : NULL, sum = 0, size = 0;
    for (int64_t j = 0; g && j < count_of(s, i); j++) {
        sum += g[j] * way(i, j);
        size += g[j] * g[j];
    }
    free(g);
    double tolerance = (s->tolerance > 0 ? s->tolerance : 5e-3) * fmax(sqrt(size), 0.05),
           h = tl__sample_has_kinks(s->op) ? 1.0 / 512 : 1.0 / 64;
    double numeric = slope(k->d, s, v, i, h);
    /* Where a kink lies within reach a smaller step sees the true slope; a wrong gradient stays wrong. */
    for (h /= 4; !(fabs(numeric - sum) <= tolerance) && h > 1.0 / 8192; h /= 4) numeric = slope(k->d, s, v, i, h);
    tl__check_that(k, fabs(numeric - sum) <= tolerance,
                   "%s, sample %d: the gradient of input %d goes %.6g along a direction, by differences %.6g",
                   s->op->name, at + 1, i + 1, sum, numeric);
}

/* The same bits again, of the result and of all gradients. */
static void check_again(tl__checker *k, const tl_sample *s, int at, const values *v, trial *t, int recorded)
{
    trial again = run(k->d, s, v, 0, recorded);
    int64_t n = tl_numel(t->y);
    double *a = read_all(t->scope, t->y), *b = again.y ? read_all(again.scope, again.y) : NULL;
    tl__check_that(k, a && b && memcmp(a, b, (size_t)n * sizeof *a) == 0,
                   "%s, sample %d: the second run gives other bits", s->op->name, at + 1);
    free(a);
    free(b);
    int back = recorded && again.y && again.y->node && backward(&again) == 0;
    tl__check_that(k, back || !recorded, "%s, sample %d: the second run has no gradients", s->op->name, at + 1);
    if (back)
        for (int i = 0; i < s->n_in; i++) {
            if (!wants(s, i) || !tl_grad(t->leaf[i])) continue;
            a = read_all(t->scope, tl_grad(t->leaf[i]));
            b = tl_grad(again.leaf[i]) ? read_all(again.scope, tl_grad(again.leaf[i])) : NULL;
            tl__check_that(k, a && b && memcmp(a, b, (size_t)count_of(s, i) * sizeof *a) == 0,
                           "%s, sample %d: the second gradient of input %d has other bits", s->op->name, at + 1, i + 1);
            free(a);
            free(b);
        }
    tl_scope_close(again.scope);
}

static void check_layout(tl__checker *k, const tl_sample *s, int at, const values *v, const double *y, int64_t n)
{
    trial t = run(k->d, s, v, 1, 0);
    double *other = t.y ? read_all(t.scope, t.y) : NULL;
    if (!other) tl__check_error(k, s->op->name, tl_scope_error(t.scope));
    else
        tl__check_that(k, distance(other, y, n) <= 2e-6,
                       "%s, sample %d: inputs laid out the other way round give another result", s->op->name, at + 1);
    free(other);
    tl_scope_close(t.scope);
}

static void check_trial(tl__checker *k, const tl_sample *s, int at, values *v, trial *t, const double *y)
{
    int recorded = t->y->node && s->op->vjp && !s->no_gradient;
    check_reference(k, s, at, v, t, y);
    if (!s->only_packed && !s->op->mutates) check_layout(k, s, at, v, y, tl_numel(t->y));
    if (recorded && backward(t) != 0) tl__check_error(k, s->op->name, tl_scope_error(t->scope));
    if (tl_scope_failed(t->scope)) return;
    check_again(k, s, at, v, t, recorded);
    for (int i = 0; i < s->n_in && recorded && !tl_scope_failed(t->scope); i++)
        if (wants(s, i)) check_gradient(k, s, at, v, t, i);
    if (tl_scope_failed(t->scope)) tl__check_error(k, s->op->name, tl_scope_error(t->scope));
}

static void check_sample(tl__checker *k, const tl_sample *s, int at)
{
    tl_error err = {0};
    values v = {{0}};
    size_t live;
    for (int i = 0; i < s->n_in; i++)
        if (!s->in[i].absent) v.in[i] = tl__sample_values(&err, s, at, i);
    trial t = {0};
    if (!err.code) t = run(k->d, s, &v, 0, 1);
    double *y = t.y ? read_all(t.scope, t.y) : NULL;
    if (y) check_trial(k, s, at, &v, &t, y);
    else tl__check_error(k, s->op->name, t.scope ? tl_scope_error(t.scope) : &err);
    free(y);
    tl_scope_close(t.scope);
    for (int i = 0; i < s->n_in; i++) free(v.in[i]);
    tl_device_memory(k->d, &live, NULL, NULL);
    if (!k->lost)
        tl__check_that(k, live == 0, "%s, sample %d: %zu bytes are left on the device", s->op->name, at + 1, live);
}

typedef struct chosen { tl__checker *k; int count, at, most, taken; } chosen;

static void count_sample(tl_sampler *to, const tl_sample *s)
{
    (void)s;
    ((chosen *)to->user)->count++;
}

/* `most` of them, evenly spread from the first to the last. */
static void try_sample(tl_sampler *to, const tl_sample *s)
{
    chosen *c = to->user;
    int at = c->at++, next = c->count > c->most ? c->taken * (c->count - 1) / (c->most - 1) : at;
    if (at != next) return;
    c->taken++;
    if (!c->k->lost && tl__check_time_left(c->k)) check_sample(c->k, s, at);
}

void tl__check_op(tl__checker *k, const tl_op *op)
{
    chosen c = {.k = k, .most = op->samples ? MANY : FEW};
    tl_sampler count = {.take = count_sample, .user = &c}, each = {.take = try_sample, .user = &c};
    tl__samples(op, k->d, &count);
    *(tl__reference_of(op) ? &k->family->compared : &k->family->others) += 1;
    tl__samples(op, k->d, &each);
}

/* ---- families ---- */

static const char *const pointwise[] = {
#define UNARY(name, brief, torch, attrs, y, saves, dx) #name,
#define BINARY(name, brief, torch, y) #name,
#include "op/pointwise.def"
    NULL};

/* Operators in no list come last, under a name of their own. */
static const struct family {
    const char *name, *const *ops;
    void (*more)(tl__checker *k);
} families[] = {
    {"copies and views", (const char *const[]){"reshape", "permute", "slice", "expand", "concat", NULL},
     tl__check_copies},
    {"matrix products", (const char *const[]){"matmul", "linear", NULL}, tl__check_makers},
    {"convolutions", (const char *const[]){"conv", NULL}, NULL},
    {"attention", (const char *const[]){"attention", NULL}, NULL},
    {"norms", (const char *const[]){"batch_norm", "layer_norm", "group_norm", NULL}, NULL},
    {"softmax and losses",
     (const char *const[]){"softmax", "log_softmax", "argmax", "cross_entropy", "soft_cross_entropy", "focal_loss",
                           "ctc_loss", "mse_loss", "smooth_l1_loss", "bce_with_logits", "sigmoid_focal_loss", NULL},
     NULL},
    {"optimisers", (const char *const[]){NULL}, tl__check_optimisers},
    {"reductions and long rows", (const char *const[]){"sum", "mean", "amax", NULL}, tl__check_rows},
    {"pooling", (const char *const[]){"max_pool", "avg_pool", NULL}, NULL},
    {"embedding and dropout", (const char *const[]){"embedding", "dropout", NULL}, tl__check_dropout},
    {"maps and masks", (const char *const[]){"where", "gather", "pad", "interpolate", "conv_transpose", NULL}, NULL},
    {"element by element", pointwise, NULL},
    {"other operators", NULL, NULL},
};
enum { FAMILIES = sizeof families / sizeof *families };

static int is_in(const struct family *f, const char *op)
{
    for (const char *const *name = f->ops; name && *name; name++)
        if (strcmp(*name, op) == 0) return 1;
    return 0;
}

static int belongs(const struct family *f, const char *op)
{
    if (f->ops) return is_in(f, op);
    for (int i = 0; i < FAMILIES; i++)
        if (is_in(&families[i], op)) return 0;
    return 1;
}

static void check_family(tl__checker *k, const struct family *f, const tl__check_listener *listener)
{
    tl__check_family result = {.name = f->name};
    const tl_op *const *ops = tl__ops();
    int any = f->more != NULL;
    for (int i = 0; ops[i]; i++) any |= belongs(f, ops[i]->name);
    if (!any) return;
    double began = now();
    k->family = &result;
    if (tl__check_time_left(k)) listener->begin(listener->user, f->name);
    for (int i = 0; ops[i] && !k->cut && !k->lost; i++)
        if (belongs(f, ops[i]->name)) tl__check_op(k, ops[i]);
    if (f->more && !k->lost && tl__check_time_left(k)) f->more(k);
    result.reached = !k->cut;
    result.seconds = now() - began;
    listener->end(listener->user, &result);
}

int tl__check(tl_error *err, const char *spec, double seconds, const tl__check_listener *listener, tl_traits *traits)
{
    tl__checker k = {.until = now() + seconds, .wrong = getenv("TLUA_CHECK_WRONG")};
    k.d = tl_device_open(spec, err);
    if (!k.d) return -1;
    *traits = k.d->traits;
    for (int i = 0; i < FAMILIES && k.d; i++) {
        check_family(&k, &families[i], listener);
        /* Some drivers are of no use after a failure, until the device is opened anew. */
        if (!k.lost) continue;
        k.lost = 0;
        tl_device_release(k.d);
        k.d = tl_device_open(spec, err);
    }
    int open = k.d != NULL;
    tl_device_release(k.d);
    return open ? 0 : -1;
}
