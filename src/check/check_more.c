/* check_more.c - what no sample of an operator shows: types and layouts of copies, rows in their thousands, each maker
 * of the matrix product, what dropout draws, and steps of optimisers. See check.h. */
#include "check/check.h"

#include "check/reference.h"
#include "device/gemm/maker.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The tensor's floats in host memory; NULL after a failure, which is counted. */
static float *host_of(tl__checker *k, const char *what, tl_scope *s, tl_tensor *t)
{
    int64_t n = t ? tl_numel(t) : 0;
    float *x = t ? tl__calloc(&s->err, (size_t)n + 1, sizeof *x) : NULL;
    if (x && tl_read(s, t, x, (size_t)n * 4) == 0) return x;
    tl__check_error(k, what, tl_scope_error(s));
    free(x);
    return NULL;
}

static tl_tensor *numbers(tl_scope *s, const char *name, int rank, const int64_t *dims)
{
    tl_shape shape = tl__shape(rank, dims);
    float *host = tl__check_numbers(name, tl__numel(&shape));
    tl_tensor *t = host ? tl_from(s, TL_F32, rank, dims, host) : NULL;
    free(host);
    return t;
}

/* ---- copies ---- */

static float through(tl_dtype type, float x)
{
    switch (type) {
    case TL_F16: return tl__half_to_float(tl__float_to_half(x));
    case TL_BF16: return tl__bf16_to_float(tl__float_to_bf16(x));
    case TL_I32: return truncf(x);
    default: return x;
    }
}

static void copy_types(tl__checker *k)
{
    static const tl_dtype types[] = {TL_F16, TL_BF16, TL_I32};
    enum { N = 1003 };
    float *x = tl__check_numbers("types", N);
    for (int i = 0; i < 3 && x; i++) {
        tl_scope *s = tl_scope_open(k->d, NULL);
        tl_tensor *t = tl_mul_scalar(s, tl_from(s, TL_F32, 1, (int64_t[]){N}, x), 64); /* exact */
        float *y = host_of(k, "copies between types", s, tl__cast(s, tl__cast(s, t, types[i]), TL_F32));
        int wrong = 0;
        for (int j = 0; j < N && y; j++) wrong += y[j] != through(types[i], 64 * x[j]);
        if (y)
            tl__check_that(k, wrong == 0, "copies: %d of %d numbers are not the same after %s", wrong, N,
                           tl__dtype_name(types[i]));
        free(y);
        tl_scope_close(s);
    }
    free(x);
}

/* All orders of three dimensions, of a part of a larger tensor, into a part of a larger one. */
static void copy_layouts(tl__checker *k)
{
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    const int64_t dims[] = {5, 17, 35};
    float *x = tl__check_numbers("layouts", 5 * 17 * 35);
    for (int o = 0; o < 6 && x; o++) {
        tl_scope *s = tl_scope_open(k->d, NULL);
        tl_tensor *t = tl_slice(s, tl_from(s, TL_F32, 3, dims, x), 2, 1, 33), *from = tl_permute(s, t, 3, orders[o]);
        int64_t size[3] = {dims[orders[o][0]], dims[orders[o][1]], dims[orders[o][2]]}, wide[3];
        for (int i = 0; i < 3; i++) {
            if (orders[o][i] == 2) size[i] = 33;
            wide[i] = size[i] + 2;
        }
        tl_tensor *whole = tl_full(s, TL_F32, 3, wide, 9), *to = whole;
        for (int i = 0; i < 3; i++) to = tl_slice(s, to, i, 1, size[i]);
        if (from && to) tl__copy_into(s, from, to);
        float *y = host_of(k, "copies between layouts", s, whole);
        int wrong = 0;
        for (int64_t at = 0; at < wide[0] * wide[1] * wide[2] && y; at++) {
            int64_t place[3] = {at / (wide[1] * wide[2]) - 1, at / wide[2] % wide[1] - 1, at % wide[2] - 1},
                    own[3] = {0, 0, 0};
            int inside = 1;
            for (int i = 0; i < 3; i++) {
                inside &= place[i] >= 0 && place[i] < size[i];
                own[orders[o][i]] = place[i];
            }
            wrong += y[at] != (inside ? x[(own[0] * 17 + own[1]) * 35 + own[2] + 1] : 9);
        }
        if (y)
            tl__check_that(k, wrong == 0, "copies: %d numbers are wrong in the order %d %d %d", wrong, orders[o][0] + 1,
                           orders[o][1] + 1, orders[o][2] + 1);
        free(y);
        tl_scope_close(s);
    }
    free(x);
}

void tl__check_copies(tl__checker *k)
{
    copy_types(k);
    copy_layouts(k);
}

/* ---- rows ---- */

/* A row longer than any work-group, and more rows than a GPU takes groups along a dimension. Sums of whole numbers are
 * exact. */
static void sums(tl__checker *k, int64_t rows, int64_t n)
{
    tl_scope *s = tl_scope_open(k->d, NULL);
    float *x = tl__calloc(&s->err, (size_t)(rows * n), sizeof *x);
    for (int64_t i = 0; x && i < rows * n; i++) x[i] = (float)((i * 7919) % 13);
    tl_tensor *t = x ? tl_from(s, TL_F32, 2, (int64_t[]){rows, n}, x) : NULL;
    if (!t) tl__check_error(k, "sums", tl_scope_error(s));
    for (int axis = 0; axis < 2 && t; axis++) {
        float *y = host_of(k, "sums", s, tl_sum(s, t, &axis, 1, 0));
        int64_t count = axis ? rows : n, length = axis ? n : rows, wrong = 0;
        for (int64_t i = 0; i < count && y; i++) {
            double sum = 0;
            for (int64_t j = 0; j < length; j++) sum += (double)x[axis ? i * n + j : j * n + i];
            wrong += (double)y[i] != sum;
        }
        if (y)
            tl__check_that(k, wrong == 0, "sum: %lld of %lld sums over %lld numbers are wrong", (long long)wrong,
                           (long long)count, (long long)length);
        free(y);
    }
    free(x);
    tl_scope_close(s);
}

/* Rows that all are one of seven: each must be what the first of its kind is. */
static void many_rows(tl__checker *k)
{
    enum { ROWS = 70001, N = 5, KINDS = 7 };
    tl_scope *s = tl_scope_open(k->d, NULL);
    float *x = tl__calloc(&s->err, ROWS * N, sizeof *x);
    int32_t *labels = tl__calloc(&s->err, ROWS, sizeof *labels);
    for (int64_t i = 0; x && i < ROWS * N; i++) x[i] = (float)((i / N % KINDS * 31 + i % N * 17) % 11) / 4;
    for (int64_t i = 0; labels && i < ROWS; i++) labels[i] = (int32_t)(i % KINDS % N);
    tl_tensor *t = x && labels ? tl_from(s, TL_F32, 2, (int64_t[]){ROWS, N}, x) : NULL,
              *l = t ? tl_from(s, TL_I32, 1, (int64_t[]){ROWS}, labels) : NULL;
    for (int kind = 0; kind < 2 && l; kind++) {
        float *y = host_of(k, "many rows", s, kind ? tl_layer_norm(s, t, NULL, NULL, 1e-5) : tl_softmax(s, t, -1));
        int64_t wrong = 0;
        for (int64_t i = KINDS * N; i < ROWS * N && y; i++) wrong += y[i] != y[i % (KINDS * N)];
        if (y)
            tl__check_that(k, wrong == 0, "%s: %lld numbers of %d rows are wrong", kind ? "layer_norm" : "softmax",
                           (long long)wrong, ROWS);
        free(y);
    }
    double loss = l ? tl_item(s, tl_cross_entropy(s, t, l, NULL, 0)) : 0, want = 0;
    for (int64_t i = 0; i < ROWS && l; i++) {
        double sum = 0;
        for (int j = 0; j < N; j++) sum += exp((double)x[i * N + j]);
        want += (log(sum) - (double)x[i * N + labels[i]]) / ROWS;
    }
    if (tl_scope_failed(s)) tl__check_error(k, "many rows", tl_scope_error(s));
    else
        tl__check_that(k, fabs(loss - want) <= 2e-6 * want, "cross_entropy: the mean of %d rows is %.8g, not %.8g",
                       ROWS, loss, want);
    free(x);
    free(labels);
    tl_scope_close(s);
}

void tl__check_rows(tl__checker *k)
{
    sums(k, 1, 70001);
    sums(k, 70001, 3);
    sums(k, 3, 20001);
    many_rows(k);
}

/* ---- makers of the matrix product ---- */

static tl_buffer *uploaded(tl_error *err, tl_device *d, const float *x, int64_t n)
{
    tl_buffer *b = x ? tl__buffer_new(err, d, (size_t)n * 4) : NULL;
    if (b) tl__buffer_write(err, b, 0, (size_t)n * 4, x);
    return b;
}

/* One product with all that it may end with; b or a lies transposed. */
static void try_maker(tl__checker *k, const tl_gemm_maker *maker, int64_t m, int64_t n, int64_t kk, int transposed)
{
    tl_error err = {0};
    float *a = tl__check_numbers("a", m * kk), *b = tl__check_numbers("b", kk * n), *c = tl__check_numbers("c", m * n),
          *bias = tl__check_numbers("bias", n);
    float *got = tl__calloc(&err, (size_t)(m * n), sizeof *got);
    int across_a = transposed == 2, across_b = transposed == 1;
    tl_gemm g = {.m = m,
                 .n = n,
                 .k = kk,
                 .batch = 1,
                 .alpha = 0.5f,
                 .accumulate = 1,
                 .activation = TL_ACT_RELU,
                 .constant_b = across_b,
                 .a = {uploaded(&err, k->d, a, m * kk), 0, across_a ? 1 : kk, across_a ? m : 1, 0},
                 .b = {uploaded(&err, k->d, b, kk * n), 0, across_b ? 1 : n, across_b ? kk : 1, 0},
                 .c = {uploaded(&err, k->d, c, m * n), 0, n, 1, 0},
                 .bias = uploaded(&err, k->d, bias, n)};
    int can = !err.code && tl__gemm_can(k->d, maker, &g);
    if (can && (tl__gemm_run(&err, k->d, maker, &g, "check") != 0 ||
                tl__buffer_read(&err, g.c.buffer, 0, (size_t)(m * n) * 4, got) != 0))
        can = 0;
    double worst = 0;
    for (int64_t i = 0; i < m && can; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t l = 0; l < kk; l++)
                sum += (double)a[across_a ? l * m + i : i * kk + l] * (double)b[across_b ? j * kk + l : l * n + j];
            double off = fabs((double)got[i * n + j] - fmax(0.5 * sum + (double)c[i * n + j] + (double)bias[j], 0));
            if (!(off <= worst)) worst = isnan(off) ? INFINITY : off;
        }
    if (err.code) tl__check_error(k, maker->name, &err);
    else if (can)
        tl__check_that(k, worst <= 1e-5 * sqrt((double)kk), "matrix product %lld x %lld x %lld by %s is off by %.2g",
                       (long long)m, (long long)n, (long long)kk, maker->name, worst);
    tl_buffer *buffers[] = {g.a.buffer, g.b.buffer, g.c.buffer, g.bias};
    for (int i = 0; i < 4; i++)
        if (buffers[i]) tl__buffer_release(buffers[i]);
    float *host[] = {a, b, c, bias, got};
    for (int i = 0; i < 5; i++) free(host[i]);
}

/* Tiles for GPUs, which are compiled for each layout. */
static int is_tile(const tl_device *d, const tl_gemm_maker *maker)
{
    return !d->traits.is_cpu && strncmp(maker->name, "gpu-", 4) == 0;
}

/* Makers that nobody would take here (tiles of other registers, CLBlast on a processor) only cost time to compile. On a GPU each of those for
 * GPUs may be taken, the widest by products too large to be tried here. */
static int is_used(tl_device *d, const tl_gemm_maker *maker)
{
    if (is_tile(d, maker)) return 1;
    static const int64_t sides[] = {1, 8, 64, 96, 512};
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++)
            for (int batch = 1; batch <= 2; batch++) {
                tl_gemm g = {.m = sides[i],
                             .n = sides[j],
                             .k = 64,
                             .batch = batch,
                             .alpha = 1,
                             .a = {.row = 64, .col = 1},
                             .b = {.row = sides[j], .col = 1},
                             .c = {.row = sides[j], .col = 1}};
                if (tl__gemm_shipped(d, &g) == maker) return 1;
            }
    return 0;
}

void tl__check_makers(tl__checker *k)
{
    static const int64_t shapes[][3] = {{1, 70, 130}, {5, 9, 300}, {64, 64, 64}, {97, 131, 65}, {130, 63, 33}};
    for (const tl_gemm_maker *m = tl__gemm_makers(); m->name; m++) {
        if (!is_used(k->d, m)) continue;
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            for (int transposed = 0; transposed < 3 && tl__check_time_left(k) && !k->lost; transposed++)
                if (!is_tile(k->d, m) || (m - tl__gemm_makers()) % 3 == transposed)
                    try_maker(k, m, shapes[i][0], shapes[i][1], shapes[i][2], transposed);
    }
}

/* ---- dropout ---- */

void tl__check_dropout(tl__checker *k)
{
    enum { N = 1003 };
    tl_scope *s = tl_scope_open(k->d, NULL);
    float *x = tl__check_numbers("dropout", N);
    k->d->ordinal = 12;
    tl_tensor *t = x ? tl_from(s, TL_F32, 1, (int64_t[]){N}, x) : NULL;
    float *y = host_of(k, "dropout", s, tl_dropout(s, t, 0.3, 1));
    tl_rng_key key = tl__rng_key(k->d->seed, TL_RNG_DROPOUT, 12);
    int wrong = 0;
    for (int i = 0; i < N && y; i++) {
        double want = tl__rng_uniform(key, (uint64_t)i) >= 0.3f ? (double)x[i] / 0.7 : 0;
        wrong += !(fabs((double)y[i] - want) <= 1e-6);
    }
    if (y) tl__check_that(k, wrong == 0, "dropout: %d of %d numbers are not what the seed says", wrong, N);
    free(x);
    free(y);
    tl_scope_close(s);
}

/* ---- optimisers ---- */

enum { STEPS = 3, SIZE = 1037 };

/* One number's step t; m and v are its moments. `ratio`: LAMB's |w| / |r|. */
static double stepped(const char *kind, const tl_optim_options *o, int t, double w, double g, double *m, double *v,
                      double ratio)
{
    if (strcmp(kind, "adam") == 0) g += o->weight_decay * w;
    if (strcmp(kind, "sgd") == 0) {
        g += o->weight_decay * w;
        *m = t == 1 ? g : o->momentum * *m + g;
        return w - o->lr * *m;
    }
    if (strcmp(kind, "rmsprop") == 0) {
        *v = o->alpha * *v + (1 - o->alpha) * g * g;
        return w - o->lr * g / (sqrt(*v) + o->eps);
    }
    if (strcmp(kind, "lion") == 0) {
        double c = o->beta1 * *m + (1 - o->beta1) * g;
        *m = o->beta2 * *m + (1 - o->beta2) * g;
        return w * (1 - o->lr * o->weight_decay) - o->lr * (c > 0 ? 1 : c < 0 ? -1 : 0);
    }
    *m = o->beta1 * *m + (1 - o->beta1) * g;
    *v = o->beta2 * *v + (1 - o->beta2) * g * g;
    double direction = *m / (1 - pow(o->beta1, t)) / (sqrt(*v / (1 - pow(o->beta2, t))) + o->eps);
    if (strcmp(kind, "lamb") == 0)
        return ratio == 0 ? direction + o->weight_decay * w : w - o->lr * ratio * (direction + o->weight_decay * w);
    return (strcmp(kind, "adamw") == 0 ? w * (1 - o->lr * o->weight_decay) : w) - o->lr * direction;
}

/* A step of all numbers. LAMB's ratio wants the whole direction first (which `stepped` gives for a ratio of 0). */
static void step_all(const char *kind, const tl_optim_options *o, int t, double *w, const float *g, double *m,
                     double *v)
{
    double weights = 0, directions = 0, ratio = 1;
    for (int i = 0; i < SIZE && strcmp(kind, "lamb") == 0; i++) {
        double own_m = m[i], own_v = v[i], r = stepped(kind, o, t, w[i], (double)g[i], &own_m, &own_v, 0);
        weights += w[i] * w[i];
        directions += r * r;
        ratio = sqrt(weights / directions);
    }
    for (int i = 0; i < SIZE; i++) w[i] = stepped(kind, o, t, w[i], (double)g[i], &m[i], &v[i], ratio);
}

static void try_optimiser(tl__checker *k, const char *kind)
{
    tl_optim_options o;
    double w[SIZE], m[SIZE] = {0}, v[SIZE] = {0}, worst = 0;
    tl_scope *s = tl_scope_open(k->d, NULL);
    tl_optim_defaults(kind, &o);
    o.lr = 0.02;
    o.weight_decay = strcmp(kind, "rmsprop") == 0 ? 0 : 0.1;
    o.momentum = strcmp(kind, "sgd") == 0 ? 0.9 : 0;
    tl_tensor *p = numbers(s, "weights", 1, (int64_t[]){SIZE}), *other = numbers(s, "others", 1, (int64_t[]){9});
    float *start = host_of(k, kind, s, p);
    for (int i = 0; i < SIZE && start; i++) w[i] = (double)start[i];
    if (p && other) {
        tl_require_grad(s, p, 1);
        tl_require_grad(s, other, 1);
    }
    tl_optim *optim = tl_optim_new(s, kind, (tl_tensor *[]){p, other}, 2, &o);
    for (int t = 1; t <= STEPS && optim && start; t++) {
        char name[24];
        snprintf(name, sizeof name, "gradient %d", t);
        float *g = tl__check_numbers(name, SIZE);
        tl_optim_zero_grad(optim);
        tl_backward(s, tl_sum(s, tl_mul(s, numbers(s, name, 1, (int64_t[]){SIZE}), p), NULL, 0, 0), NULL, 0);
        tl_backward(s, tl_sum(s, other, NULL, 0, 0), NULL, 0);
        tl_optim_step(s, optim);
        if (g) step_all(kind, &o, t, w, g, m, v);
        free(g);
    }
    float *got = host_of(k, kind, s, p);
    for (int i = 0; i < SIZE && got; i++) {
        double off = fabs((double)got[i] - w[i]);
        if (!(off <= worst)) worst = isnan(off) ? INFINITY : off;
    }
    if (got)
        tl__check_that(k, worst <= 1e-5, "optimiser %s: after %d steps a weight is off by %.2g", kind, STEPS, worst);
    free(start);
    free(got);
    tl_optim_free(optim);
    tl_scope_close(s);
}

void tl__check_optimisers(tl__checker *k)
{
    static const char *const kinds[] = {"sgd", "adam", "adamw", "rmsprop", "lion", "lamb", NULL};
    for (int i = 0; kinds[i] && !k->lost; i++) try_optimiser(k, kinds[i]);
}
