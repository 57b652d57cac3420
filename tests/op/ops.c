/* ops.c - every operator: gradients against central differences, the same result from transposed, sliced and expanded
 * inputs, the same bits when repeated, frozen inputs, half-precision inputs, and nothing left on the device. */
#include "op/samples.h"

#include <criterion/criterion.h>
#include <float.h>

enum { PLAIN, TRANSPOSED, SLICED, EXPANDED, LAYOUTS };
static const char *const layout_names[] = {"plain", "transposed", "sliced", "expanded"};
static long checks, failures;

static void check(int ok, const tl_sample *s, int at, const char *format, ...)
{
    char text[300];
    va_list ap;
    checks++;
    if (ok) return;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (++failures <= 20) fprintf(stderr, "%s, sample %d: %s\n", s->op->name, at, text);
}

static int is_int(const tl_sample *s, int i) { return tl__sample_is_int(s, i); }
static int wants(const tl_sample *s, int i) { return !s->in[i].absent && !is_int(s, i) && !(s->op->constants >> i & 1); }

/* One run: leaves in a layout, the tensors that the operator sees, its output. */
typedef struct trial {
    tl_scope *scope;
    tl_tensor *leaf[TL_MAX_INPUTS], *in[TL_MAX_INPUTS], *y;
} trial;

/* A tensor with these values in the wanted layout; the leaf beneath it. */
static tl_tensor *lay(tl_scope *s, const tl_shape *shape, tl_dtype dtype, const void *values, int layout, tl_tensor **leaf)
{
    int r = shape->rank, axes[TL_MAX_RANK];
    tl_tensor *plain = tl_from(s, dtype, r, shape->dim, values);
    if (layout == TRANSPOSED && r > 1) {
        for (int i = 0; i < r; i++) axes[i] = r - 1 - i;
        tl_tensor *turned = tl_permute(s, plain, r, axes);
        *leaf = tl__cast(s, turned, dtype); /* packed the other way round */
        return *leaf;
    }
    if (layout == SLICED && r > 0) {
        int64_t dims[TL_MAX_RANK];
        for (int i = 0; i < r; i++) dims[i] = shape->dim[i] + 3;
        *leaf = tl_full(s, dtype, r, dims, 0.4);
        tl_tensor *part = *leaf;
        for (int i = 0; i < r; i++) part = tl_slice(s, part, i, 2, shape->dim[i]);
        if (part) tl__copy_into(s, plain, part);
        return *leaf;
    }
    if (layout == EXPANDED && r > 1) {
        *leaf = tl__cast(s, tl_slice(s, plain, 0, 0, shape->dim[0] ? 1 : 0), dtype);
        return *leaf;
    }
    return *leaf = plain;
}

/* From the leaf to what the operator sees, recorded. */
static tl_tensor *seen(tl_scope *s, tl_tensor *leaf, const tl_shape *shape, int layout)
{
    int r = shape->rank, axes[TL_MAX_RANK];
    if (layout == TRANSPOSED && r > 1) {
        for (int i = 0; i < r; i++) axes[i] = r - 1 - i;
        return tl_permute(s, leaf, r, axes);
    }
    if (layout == SLICED)
        for (int i = 0; i < r; i++) leaf = tl_slice(s, leaf, i, 2, shape->dim[i]);
    if (layout == EXPANDED && r > 1) return tl_expand(s, leaf, r, shape->dim);
    return leaf;
}

/* `repeat` (EXPANDED): the values that an expanded leaf stands for, written back into `values`. */
static void repeat_first(const tl_shape *shape, void *values)
{
    int64_t one = shape->dim[0] ? tl__numel(shape) / shape->dim[0] : 0;
    for (int64_t k = 1; k < shape->dim[0]; k++) memcpy((char *)values + 4 * k * one, values, (size_t)one * 4);
}

static trial run(tl_device *d, const tl_sample *s, void *const *values, int layout, unsigned frozen, tl_dtype dtype)
{
    trial t = {.scope = tl_scope_open(d, NULL)};
    d->ordinal = 0; /* the same random mask every time */
    for (int i = 0; i < s->n_in; i++) {
        if (s->in[i].absent) continue;
        int mutated = tl__op_mutates(s->op, s->attr) >> i & 1, own = mutated || s->op->constants >> i & 1 ? PLAIN : layout;
        lay(t.scope, &s->in[i].shape, is_int(s, i) ? TL_I32 : TL_F32, values[i], own, &t.leaf[i]);
        if (dtype != TL_F32 && !is_int(s, i) && !mutated) t.leaf[i] = tl__cast(t.scope, t.leaf[i], dtype);
        if (wants(s, i) && dtype == TL_F32 && !(frozen >> i & 1)) tl_require_grad(t.scope, t.leaf[i], 1);
        t.in[i] = seen(t.scope, t.leaf[i], &s->in[i].shape, own);
    }
    t.y = tl__apply(t.scope, s->op, t.in, s->n_in, s->attr, NULL);
    return t;
}

/* The random weights of the loss; a plain sum would hide a gradient that sums to zero. */
static float weight(int64_t i) { return tl__rng_uniform(tl__rng_key(3, TL_RNG_UNIFORM, 5), (uint64_t)i) * 2 - 0.8f; }

static double loss_of(tl_scope *s, tl_tensor *y)
{
    int64_t n = tl_numel(y);
    float *host = malloc((size_t)(n + 1) * 4);
    double sum = 0;
    if (tl_read(s, y, host, (size_t)n * 4) != 0) sum = NAN;
    for (int64_t i = 0; i < n; i++) sum += (double)host[i] * (double)weight(i);
    free(host);
    return sum;
}

static int backward(trial *t)
{
    int64_t n = tl_numel(t->y);
    float *host = malloc((size_t)(n + 1) * 4);
    for (int64_t i = 0; i < n; i++) host[i] = weight(i);
    tl_tensor *g = tl_from(t->scope, TL_F32, t->y->shape.rank, t->y->shape.dim, host);
    free(host);
    return tl_backward(t->scope, t->y, g, 0);
}

static float *read_all(tl_scope *s, tl_tensor *t)
{
    int64_t n = t ? tl_numel(t) : 0;
    float *host = malloc((size_t)(n + 1) * 4);
    if (t && tl_read(s, t, host, (size_t)n * 4) != 0) fprintf(stderr, "%s\n", tl_scope_error(s)->text);
    for (int64_t i = 0; t && t->dtype == TL_I32 && i < n; i++)
        host[i] = (float)((const int32_t *)(const void *)host)[i];
    return host;
}

static double largest(const float *a, int64_t n)
{
    double m = 0;
    for (int64_t i = 0; i < n; i++) m = fmax(m, fabs((double)a[i]));
    return m;
}

static int close_to(const float *a, const float *b, int64_t n, double tolerance)
{
    double scale = fmax(largest(b, n), 1e-3);
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)a[i] - (double)b[i]) <= tolerance * scale)) return 0;
    return 1;
}

static double loss_with(tl_device *d, const tl_sample *s, void *const *values)
{
    trial t = run(d, s, values, PLAIN, ~0u, TL_F32);
    double l = t.y ? loss_of(t.scope, t.y) : NAN;
    tl_scope_close(t.scope);
    return l;
}

/* Fourth-order central difference of the loss towards element k of input i. */
static double difference(tl_device *d, const tl_sample *s, void **values, int i, int64_t k, double h)
{
    float *v = values[i], x = v[k];
    double f[4], at[4];
    static const int steps[] = {1, -1, 2, -2};
    for (int j = 0; j < 4; j++) {
        v[k] = (float)((double)x + steps[j] * h);
        at[j] = (double)v[k] - (double)x;
        f[j] = loss_with(d, s, values);
    }
    v[k] = x;
    double first = (f[0] - f[1]) / (at[0] - at[1]), second = (f[2] - f[3]) / (at[2] - at[3]);
    return (4 * first - second) / 3;
}

static void check_gradient(tl_device *d, const tl_sample *s, int at, void **values, const float *gradient, int i)
{
    int64_t n = tl__numel(&s->in[i].shape), step = n > 24 ? n / 24 : 1;
    double scale = fmax(largest(gradient, n), 0.05), tolerance = s->tolerance > 0 ? s->tolerance : 5e-3;
    double h = tl__sample_has_kinks(s->op) ? 0.002 : 0.02;
    for (int64_t k = 0; k < n; k += step) {
        double g = (double)gradient[k], numeric = difference(d, s, values, i, k, h);
        /* Where a kink lies within reach a smaller step sees the true slope, a wrong gradient stays wrong. */
        for (double smaller = h / 4; fabs(numeric - g) > tolerance * scale && smaller > 2e-4; smaller /= 4) numeric = difference(d, s, values, i, k, smaller);
        check(fabs(numeric - g) <= tolerance * scale, s, at, "gradient of input %d, element %lld: %.6g, by differences %.6g", i, (long long)k, g, numeric);
    }
}

/* The gradient of a leaf, as that of the tensor which the operator saw in the plain layout. */
static float *plain_gradient(trial *t, const tl_sample *s, int i, int layout)
{
    tl_tensor *g = tl_grad(t->leaf[i]);
    if (g && layout != EXPANDED) g = seen(t->scope, g, &s->in[i].shape, layout);
    return read_all(t->scope, g);
}

static void check_layout(tl_device *d, const tl_sample *s, int at, void **values, int layout)
{
    void *own[TL_MAX_INPUTS] = {0};
    for (int i = 0; i < s->n_in; i++) {
        if (s->in[i].absent) continue;
        size_t bytes = (size_t)tl__numel(&s->in[i].shape) * 4;
        own[i] = memcpy(malloc(bytes + 4), values[i], bytes);
        if (layout == EXPANDED && s->in[i].shape.rank > 1 && !(s->op->constants >> i & 1)) repeat_first(&s->in[i].shape, own[i]);
    }
    trial plain = run(d, s, own, PLAIN, 0, TL_F32), other = run(d, s, own, layout, 0, TL_F32);
    if (!plain.y || !other.y) check(0, s, at, "%s: %s", layout_names[layout], tl_scope_error(other.scope)->text);
    else {
        int64_t n = tl_numel(plain.y);
        float *a = read_all(plain.scope, plain.y), *b = read_all(other.scope, other.y);
        check(close_to(b, a, n, 2e-6), s, at, "%s inputs give another result", layout_names[layout]);
        free(a);
        free(b);
        if (s->op->vjp && plain.y->node && backward(&plain) == 0) {
            check(backward(&other) == 0, s, at, "%s: %s", layout_names[layout], tl_scope_error(other.scope)->text);
            for (int i = 0; i < s->n_in; i++) {
                if (!wants(s, i) || tl_scope_failed(other.scope)) continue;
                int64_t m = tl__numel(&s->in[i].shape), one = layout == EXPANDED && s->in[i].shape.rank > 1 ? m / s->in[i].shape.dim[0] : m;
                a = plain_gradient(&plain, s, i, PLAIN);
                b = plain_gradient(&other, s, i, layout);
                for (int64_t k = one; k < m; k++) a[k % one] += a[k];
                check(close_to(b, a, one, 5e-5), s, at, "%s input %d gets another gradient", layout_names[layout], i);
                free(a);
                free(b);
            }
        }
    }
    tl_scope_close(plain.scope);
    tl_scope_close(other.scope);
    for (int i = 0; i < s->n_in; i++) free(own[i]);
}

/* The same bits again; and each input frozen in turn leaves the others' gradients as they were. */
static void check_again(tl_device *d, const tl_sample *s, int at, void **values)
{
    trial first = run(d, s, values, PLAIN, 0, TL_F32);
    int bad = !first.y || (first.y->node && backward(&first) != 0);
    check(!bad, s, at, "%s", tl_scope_error(first.scope)->text);
    for (int f = -1; f < s->n_in && !bad; f++) {
        if (f >= 0 && !wants(s, f)) continue;
        trial again = run(d, s, values, PLAIN, f < 0 ? 0 : 1u << f, TL_F32);
        if (again.y && again.y->node) backward(&again);
        int64_t n = tl_numel(first.y);
        float *a = read_all(first.scope, first.y), *b = read_all(again.scope, again.y);
        check(memcmp(a, b, (size_t)n * 4) == 0, s, at, "the second run gives other bits");
        free(a);
        free(b);
        for (int i = 0; i < s->n_in && first.y->node; i++) {
            if (!wants(s, i) || i == f || !tl_grad(first.leaf[i])) continue;
            a = read_all(first.scope, tl_grad(first.leaf[i]));
            b = read_all(again.scope, tl_grad(again.leaf[i]));
            check(memcmp(a, b, (size_t)tl__numel(&s->in[i].shape) * 4) == 0, s, at, "input %d gets another gradient with input %d frozen", i, f);
            free(a);
            free(b);
        }
        tl_scope_close(again.scope);
    }
    tl_scope_close(first.scope);
}

/* Inputs in half precision: the result of float32 on the rounded values, itself rounded. */
static void check_half(tl_device *d, const tl_sample *s, int at, void **values)
{
    void *own[TL_MAX_INPUTS] = {0};
    for (int i = 0; i < s->n_in; i++) {
        if (s->in[i].absent) continue;
        int64_t n = tl__numel(&s->in[i].shape);
        float *v = memcpy(malloc((size_t)n * 4 + 4), values[i], (size_t)n * 4);
        for (int64_t k = 0; k < n && !is_int(s, i); k++) v[k] = tl__half_to_float(tl__float_to_half(v[k]));
        own[i] = v;
    }
    trial full = run(d, s, own, PLAIN, ~0u, TL_F32), half = run(d, s, own, PLAIN, ~0u, TL_F16);
    check(half.y != NULL, s, at, "float16: %s", tl_scope_error(half.scope)->text);
    if (full.y && half.y) {
        tl_tensor *wide = tl__cast(half.scope, half.y, full.y->dtype);
        float *a = read_all(full.scope, full.y), *b = read_all(half.scope, wide);
        check(full.y->dtype != TL_F32 || close_to(b, a, tl_numel(full.y), 1e-3), s, at, "float16 inputs give another result");
        free(a);
        free(b);
    }
    tl_scope_close(full.scope);
    tl_scope_close(half.scope);
    for (int i = 0; i < s->n_in; i++) free(own[i]);
}

static void check_sample(tl_device *d, const tl_sample *s, int at)
{
    void *values[TL_MAX_INPUTS] = {0};
    for (int i = 0; i < s->n_in; i++)
        if (!s->in[i].absent) values[i] = sample_values(s, at, i);
    check_again(d, s, at, values);
    for (int layout = TRANSPOSED; layout < LAYOUTS && !s->only_packed; layout++) check_layout(d, s, at, values, layout);
    check_half(d, s, at, values);
    trial t = run(d, s, values, PLAIN, 0, TL_F32);
    if (t.y && t.y->node && !s->no_gradient && s->op->vjp && backward(&t) == 0)
        for (int i = 0; i < s->n_in; i++) {
            if (!wants(s, i)) continue;
            float *g = read_all(t.scope, tl_grad(t.leaf[i]));
            check_gradient(d, s, at, values, g, i);
            free(g);
        }
    tl_scope_close(t.scope);
    for (int i = 0; i < s->n_in; i++) free(values[i]);
    size_t live;
    tl_device_memory(d, &live, NULL, NULL);
    check(live == 0, s, at, "%zu bytes are left on the device", live);
}

static tl_device *open_device(void)
{
    tl_error err = {0};
    tl_device *d = tl_device_open(NULL, &err);
    cr_assert(d, "%s", err.text);
    return d;
}

static long check_op(tl_device *d, const tl_op *op)
{
    sample_list l = samples_of(op, d);
    cr_assert_gt(l.count, 0, "%s has no samples", op->name);
    for (int i = 0; i < l.count; i++) check_sample(d, &l.items[i], i);
    free(l.items);
    return l.count;
}

/* Criterion runs each test in a process of its own, and these side by side: every fourth operator. */
static void check_every(int remainder)
{
    tl_device *d = open_device();
    const char *only = getenv("TLUA_TEST_OP");
    int builtins = d->traits.takes_builtins;
    long n = 0, samples = 0;
    for (int i = 0; tl__ops()[i]; i++) {
        const tl_op *op = tl__ops()[i];
        /* -x, comparisons and the like are flat or exact: all take part, dropout's mask is fixed by its key. */
        if (i % 4 != remainder || (only && strcmp(only, op->name) != 0)) continue;
        samples += check_op(d, op);
        n++;
    }
    cr_expect_eq(d->traits.takes_builtins, builtins, "cl/builtins.clh lacks what a kernel calls");
    tl_device_release(d);
    cr_assert_eq(failures, 0, "%ld of %ld checks failed", failures, checks);
    fprintf(stderr, "%ld operators, %ld samples, %ld checks\n", n, samples, checks);
}

Test(ops, first) { check_every(0); }
Test(ops, second) { check_every(1); }
Test(ops, third) { check_every(2); }
Test(ops, fourth) { check_every(3); }

/* Rows longer than the samples': whole and ragged parts (src/op/reduce.c), few rows and many. */
Test(ops, long_rows)
{
    tl_device *d = open_device();
    static const int64_t shapes[][2] = {{1, 16383}, {1, 16384}, {3, 16385}, {40, 20001}, {1, 70001}, {2, 140000}};
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        tl_scope *s = tl_scope_open(d, NULL);
        int64_t rows = shapes[k][0], n = shapes[k][1];
        float *x = malloc((size_t)(rows * n) * 4);
        for (int64_t i = 0; i < rows * n; i++) x[i] = (float)(i / n + 1);
        for (int64_t r = 0; r < rows; r++) x[r * n + n - 1 - r] = 1000; /* near the end, where a part could be forgotten */
        tl_tensor *t = tl_from(s, TL_F32, 2, shapes[k], x);
        float *sums = read_all(s, tl_sum(s, t, (int[]){1}, 1, 0)), *most = read_all(s, tl_amax(s, t, (int[]){1}, 1, 0));
        for (int64_t r = 0; r < rows; r++) {
            cr_assert_float_eq(sums[r], (double)((r + 1) * (n - 1) + 1000), 1, "row %d of %d, n %d: %g", (int)r, (int)rows, (int)n, sums[r]);
            cr_assert_eq(most[r], 1000);
        }
        free(x);
        free(sums);
        free(most);
        tl_scope_close(s);
    }
    tl_device_release(d);
}

/* What flows into the last states: the gradient of the weights through a sequence is that through its two halves, and h
 * is the last of y. `halves` 0: as a whole, h out of y; 1: as a whole, 2: the second half begins with the states of the
 * first. */
static float *weight_gradient(tl_device *d, int is_lstm, int halves)
{
    tl_scope *s = tl_scope_open(d, NULL);
    int64_t gates = is_lstm ? 16 : 12;
    float host[200];
    for (int i = 0; i < 200; i++) host[i] = weight(i);
    tl_tensor *x = tl_from(s, TL_F32, 3, (int64_t[]){2, 5, 3}, host),
              *w = tl_from(s, TL_F32, 2, (int64_t[]){gates, 4}, host + 60);
    tl_recurrent o = {.weight_x = tl_from(s, TL_F32, 2, (int64_t[]){gates, 3}, host + 40), .weight_h = w};
    tl_tensor *(*f)(tl_scope *, tl_tensor *, const tl_recurrent *, int, tl_tensor **) = is_lstm ? tl_lstm : tl_gru;
    tl_tensor *end[2] = {0}, *y;
    tl_require_grad(s, w, 1);
    y = f(s, halves == 2 ? tl_slice(s, x, 1, 0, 2) : x, &o, 0, end);
    if (halves == 2) {
        o.h = end[0];
        o.c = end[1];
        f(s, tl_slice(s, x, 1, 2, 3), &o, 0, end);
    }
    if (halves == 0) end[0] = tl_slice(s, y, 1, 4, 1);
    tl_tensor *loss = tl_sum(s, tl_square(s, end[0]), NULL, 0, 0);
    if (is_lstm) loss = tl_add(s, loss, tl_sum(s, end[1], NULL, 0, 0));
    cr_assert_eq(tl_backward(s, loss, NULL, 0), 0, "%s", tl_scope_error(s)->text);
    float *g = read_all(s, tl_grad(w));
    tl_scope_close(s);
    return g;
}

Test(ops, last_states_of_recurrent_layers_have_gradients)
{
    tl_device *d = open_device();
    for (int is_lstm = 0; is_lstm < 2; is_lstm++) {
        float *want = weight_gradient(d, is_lstm, 0);
        cr_assert_gt(largest(want, 48), 0.01);
        for (int halves = 1; halves <= 2; halves++) {
            float *g = weight_gradient(d, is_lstm, halves);
            cr_assert(close_to(g, want, is_lstm ? 64 : 48, 1e-5), "LSTM %d, halves %d", is_lstm, halves);
            free(g);
        }
        free(want);
    }
    tl_device_release(d);
}

/* ---- the checks themselves can fail ---- */

static int square_forward(tl_scope *s, const tl_call *c) { return tl__copy_into(s, tl_square(s, c->in[0]), c->out[0]); }
static void wrong_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx) { gx[0] = tl_mul_scalar(s, tl_mul(s, gy[0], c->in[0]), 2.05); }
static int ignores_strides(tl_scope *s, const tl_call *c)
{
    tl_tensor *x = tl__scope_own(s, tl__tensor_new(&s->err, s->device, TL_F32, &c->in[0]->shape));
    return tl__buffer_copy(&s->err, c->in[0]->buffer, 0, c->out[0]->buffer, 0, (size_t)tl_numel(x) * 4);
}
static void through(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    (void)s;
    (void)c;
    gx[0] = gy[0];
}

Test(ops, a_wrong_gradient_and_a_wrong_layout_are_caught)
{
    static const tl_op wrong = {.name = "wrong", .inputs = {"x"}, .infer = tl__infer_like_first, .forward = square_forward, .vjp = wrong_vjp, .saves = 1};
    static const tl_op strides = {.name = "strides", .inputs = {"x"}, .layout = {TL_ANY}, .infer = tl__infer_like_first, .forward = ignores_strides, .vjp = through};
    tl_device *d = open_device();
    check_op(d, &wrong);
    cr_assert_gt(failures, 10);
    failures = 0;
    check_op(d, &strides);
    cr_assert_gt(failures, 3);
    tl_device_release(d);
}
