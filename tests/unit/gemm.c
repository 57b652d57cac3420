/* gemm.c - every maker of the matrix product against sums in double precision: tile edges, strides, offsets,
 * broadcast batches, epilogues; the same bits twice; nothing left on the device. */
#include "plain_device.h"
#include "device/gemm/maker.h"
#include "op/op.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- one problem ---- */

typedef struct problem {
    tl_gemm g;
    int trans_a, trans_b, offsets, wide_rows, residual, bias, shared_b;
    float *a, *b, *c, *bias_values, *r;
    int64_t a_count, b_count, c_count, r_count;
} problem;

static uint64_t draws;

static float draw(void)
{
    return 2 * tl__rng_uniform(tl__rng_key(5, TL_RNG_UNIFORM, 0), draws++) - 1;
}

static int64_t pick(int64_t n) { return (int64_t)tl__rng_below(tl__rng_key(6, TL_RNG_UNIFORM, 1), draws++, (uint64_t)n); }

/* Lays out one operand of `rows` x `cols`: transposed, behind an offset, with longer rows, as asked. */
static tl_matrix lay_out(int64_t rows, int64_t cols, int64_t batch, int transposed, int offset, int wide, int shared, int64_t *count)
{
    int64_t inner = transposed ? rows : cols, outer = transposed ? cols : rows, row = inner + (wide ? 3 : 0);
    tl_matrix x = {.offset = offset ? 5 : 0, .row = transposed ? 1 : row, .col = transposed ? row : 1, .batch = shared ? 0 : outer * row + (wide ? 7 : 0)};
    *count = x.offset + (shared ? 1 : batch) * (outer * row + 7) + 16;
    return x;
}

static float *filled(tl_device *d, int64_t n, tl_buffer **buffer)
{
    tl_error err = {0};
    float *x = malloc((size_t)n * sizeof *x);
    cr_assert(x);
    for (int64_t i = 0; i < n; i++) x[i] = draw();
    *buffer = tl__buffer_new(&err, d, (size_t)n * sizeof *x);
    cr_assert(*buffer, "%s", err.text);
    cr_assert_eq(tl__buffer_write(&err, *buffer, 0, (size_t)n * sizeof *x, x), 0);
    return x;
}

static void prepare(tl_device *d, problem *p)
{
    tl_gemm *g = &p->g;
    g->a = lay_out(g->m, g->k, g->batch, p->trans_a, p->offsets, p->wide_rows, 0, &p->a_count);
    g->b = lay_out(g->k, g->n, g->batch, p->trans_b, p->offsets, p->wide_rows, p->shared_b, &p->b_count);
    g->c = lay_out(g->m, g->n, g->batch, 0, p->offsets, p->wide_rows, 0, &p->c_count);
    p->a = filled(d, p->a_count, &g->a.buffer);
    p->b = filled(d, p->b_count, &g->b.buffer);
    p->c = filled(d, p->c_count, &g->c.buffer);
    if (p->residual) {
        g->residual = lay_out(g->m, g->n, g->batch, 0, p->offsets, 0, 0, &p->r_count);
        p->r = filled(d, p->r_count, &g->residual.buffer);
    }
    if (p->bias) {
        p->bias_values = filled(d, g->n + 3, &g->bias);
        g->bias_offset = p->offsets ? 3 : 0;
    }
}

static void drop(problem *p)
{
    tl__buffer_release(p->g.a.buffer);
    tl__buffer_release(p->g.b.buffer);
    tl__buffer_release(p->g.c.buffer);
    if (p->g.residual.buffer) tl__buffer_release(p->g.residual.buffer);
    if (p->g.bias) tl__buffer_release(p->g.bias);
    free(p->a);
    free(p->b);
    free(p->c);
    free(p->r);
    free(p->bias_values);
}

static double activated(double x, tl_act act)
{
    switch (act) {
    case TL_ACT_RELU: return x < 0 ? 0 : x;
    case TL_ACT_RELU6: return x < 0 ? 0 : x > 6 ? 6 : x;
    case TL_ACT_SILU: return x / (1 + exp(-x));
    case TL_ACT_HARDSWISH: return x * fmin(fmax(x + 3, 0), 6) / 6;
    case TL_ACT_GELU: return 0.5 * x * (1 + erf(x * sqrt(0.5)));
    default: return x;
    }
}

/* One element in double precision, and the sum of the magnitudes of its terms. */
static double wanted(const problem *p, int64_t z, int64_t i, int64_t j, double *magnitude)
{
    const tl_gemm *g = &p->g;
    const float *a = p->a + g->a.offset + z * g->a.batch + i * g->a.row, *b = p->b + g->b.offset + z * g->b.batch + j * g->b.col;
    double sum = 0, size = 0;
    for (int64_t k = 0; k < g->k; k++) {
        double t = (double)a[k * g->a.col] * b[k * g->b.row];
        sum += t;
        size += fabs(t);
    }
    sum *= (double)g->alpha;
    size *= fabs((double)g->alpha);
    double bias = p->bias ? p->bias_values[g->bias_offset + j] : 0;
    double rest = p->residual ? p->r[g->residual.offset + z * g->residual.batch + i * g->residual.row + j] : 0;
    double old = g->accumulate ? p->c[g->c.offset + z * g->c.batch + i * g->c.row + j] : 0;
    *magnitude = size + fabs(bias) + fabs(rest) + fabs(old) + 1e-3;
    return activated(sum + bias + rest + old, g->activation);
}

/* Each product of k terms is off by at most about k roundings of the terms' magnitudes; in practice they cancel and
 * grow as the square root, so 2^-24 * (8 + 2 sqrt(k)) is generous, and a wrong or missing term is far outside. */
static void check(const problem *p, const float *got, const char *maker)
{
    const tl_gemm *g = &p->g;
    double bound = ldexp(8 + 2 * sqrt((double)g->k), -24);
    float *touched = malloc((size_t)p->c_count * sizeof *touched);
    memcpy(touched, p->c, (size_t)p->c_count * sizeof *touched);
    for (int64_t z = 0; z < g->batch; z++)
        for (int64_t i = 0; i < g->m; i++)
            for (int64_t j = 0; j < g->n; j++) {
                int64_t at = g->c.offset + z * g->c.batch + i * g->c.row + j;
                double size, want = wanted(p, z, i, j, &size);
                cr_assert(fabs(got[at] - want) <= bound * size,
                          "%s m %d n %d k %d batch %d, trans %d%d offsets %d wide %d shared %d bias %d residual %d accumulate %d act %d constant %d: "
                          "(%d, %d, %d) is %.9g, not %.9g",
                          maker, (int)g->m, (int)g->n, (int)g->k, (int)g->batch, p->trans_a, p->trans_b, p->offsets, p->wide_rows, p->shared_b,
                          p->bias, p->residual, g->accumulate, (int)g->activation, g->constant_b, (int)z, (int)i, (int)j, got[at], want);
                touched[at] = got[at];
            }
    /* Between and behind the rows nothing is written. */
    cr_assert_eq(memcmp(touched, got, (size_t)p->c_count * sizeof *touched), 0, "%s wrote outside of c (m %d n %d k %d)", maker, (int)g->m, (int)g->n, (int)g->k);
    free(touched);
}

static void run_on(tl_device *d, problem *p, const tl_gemm_maker *m)
{
    tl_error err = {0};
    size_t bytes = (size_t)p->c_count * sizeof(float);
    float *got[2] = {malloc(bytes), malloc(bytes)};
    for (int round = 0; round < 2; round++) {
        tl__buffer_write(&err, p->g.c.buffer, 0, bytes, p->c);
        cr_assert_eq(tl__gemm_run(&err, d, m, &p->g, "test"), 0, "%s: %s", m->name, err.text);
        cr_assert_eq(tl__buffer_read(&err, p->g.c.buffer, 0, bytes, got[round]), 0, "%s", err.text);
    }
    check(p, got[0], m->name);
    cr_assert_eq(memcmp(got[0], got[1], bytes), 0, "%s: two runs differ", m->name);
    free(got[0]);
    free(got[1]);
}

static int problems;

/* CLBlast compiles for seconds; and a tile for GPUs for each layout, so that each has half of them, and each layout
 * half of the tiles. */
static int is_left_out(const tl_gemm_maker *m, const problem *p)
{
    if (strcmp(m->name, "clblast") == 0) return !getenv("TLUA_TEST_CLBLAST");
    return m->run == tl__gemm_gpu && (m - tl__gemm_makers() + p->trans_a + p->trans_b) % 2;
}

static void on_all_makers(tl_device *d, problem p)
{
    prepare(d, &p);
    for (const tl_gemm_maker *m = tl__gemm_makers(); m->name; m++) {
        if (is_left_out(m, &p)) continue;
        if (tl__gemm_can(d, m, &p.g)) run_on(d, &p, m);
    }
    drop(&p);
    problems++;
}

static problem plain(int64_t m, int64_t n, int64_t k) { return (problem){.g = {.m = m, .n = n, .k = k, .batch = 1, .alpha = 1}}; }

/* Small shapes only, under simulators. */
static int small(void) { return getenv("TLUA_TEST_SMALL") != NULL; }

/* ---- tests ---- */

Test(gemm, tile_edges)
{
    tl_device *d = open_device();
    int tm, tn;
    tl__gemm_tile(d, &tm, &tn);
    /* Edges inside tiles, and more than one of the small ones. */
    if (small() && d->traits.vector_width == 1) tm = tn = 16;
    int64_t ms[] = {1, tm - 1, tm, tm + 1, 3 * tm + 2}, ns[] = {1, tn - 1, tn, tn + 1, 2 * tn + 5}, ks[] = {1, 7, 16, 33};
    int step = small() ? 2 : 1;
    for (int i = 0; i < 5; i += step)
        for (int j = 0; j < 5; j += step)
            for (int k = 0; k < 4; k += step) {
                problem p = plain(ms[i], ns[j], ks[k]);
                p.trans_a = (i + j) & 1;
                p.trans_b = (j + k) & 1;
                p.bias = i & 1;
                p.g.constant_b = j & 1;
                on_all_makers(d, p);
            }
    cr_assert_eq(live(d), 0);
    tl_device_release(d);
}

Test(gemm, strides_offsets_batches_and_epilogues)
{
    tl_device *d = open_device();
    int tm, tn, count = small() ? 12 : 150;
    tl__gemm_tile(d, &tm, &tn);
    for (int i = 0; i < count; i++) {
        int64_t most = small() ? 20 : 3 * tn;
        problem p = plain(1 + pick(i % 5 == 0 ? 8 : most), 1 + pick(i % 7 == 0 ? 12 : most), 1 + pick(small() ? 20 : 90));
        p.g.batch = 1 + (i % 3 == 0 ? pick(4) : 0);
        p.g.alpha = i % 4 == 0 ? -0.7f : 1.0f;
        p.g.accumulate = (int)pick(2);
        p.g.activation = (tl_act)(i % 5);
        p.g.constant_b = (int)pick(2);
        p.trans_a = (int)pick(2);
        p.trans_b = (int)pick(2);
        p.offsets = (int)pick(2);
        p.wide_rows = (int)pick(2);
        p.bias = (int)pick(2);
        p.residual = (int)pick(2);
        p.shared_b = (int)pick(2);
        if (i % 3 == 2) { /* what can be read and written in fours */
            p.g.m = (p.g.m + 3) & ~3;
            p.g.n = (p.g.n + 3) & ~3;
            p.g.k = (p.g.k + 3) & ~3;
            p.offsets = p.wide_rows = 0;
        }
        on_all_makers(d, p);
    }
    cr_assert_eq(problems, count);
    cr_assert_eq(live(d), 0);
    tl_device_release(d);
}

Test(gemm, long_and_primes)
{
    tl_device *d = open_device();
    static const int64_t shapes[][3] = {{127, 131, 257}, {1, 1000, 2048}, {64, 10, 2048}, {10, 2048, 64}, {3, 5, 5003}, {251, 67, 1031},
                                        {300, 130, 1}, {17, 1, 513}, {1, 1, 4099}, {512, 96, 520}, {33, 515, 64}, {2048, 10, 37}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes && !small(); i++)
        for (int t = 0; t < 4; t++) {
            problem p = plain(shapes[i][0], shapes[i][1], shapes[i][2]);
            p.trans_a = t & 1;
            p.trans_b = t >> 1;
            p.bias = p.residual = p.g.accumulate = t == 2;
            p.g.constant_b = t == 2;
            p.g.alpha = t == 3 ? 0.5f : 1;
            p.wide_rows = t == 1;
            on_all_makers(d, p);
        }
    cr_assert_eq(live(d), 0);
    tl_device_release(d);
}

/* Few sums of many products, which makers for GPUs split: parts of one length and a shorter one, and everything that is
 * added to their sum. */
Test(gemm, long_sums_in_parts)
{
    tl_device *d = open_device();
    static const int64_t shapes[][3] = {{5, 9, 520}, {12, 20, 1028}, {33, 70, 2049}, {64, 36, 4100}};
    for (int i = 0; i < (small() ? 2 : 4); i++) {
        problem p = plain(shapes[i][0], shapes[i][1], shapes[i][2]);
        p.trans_a = p.trans_b = i & 1;
        p.bias = p.residual = p.g.accumulate = 1;
        p.g.batch = 1 + (i & 1);
        p.g.activation = TL_ACT_RELU;
        p.offsets = i == 2;
        on_all_makers(d, p);
    }
    cr_assert_eq(live(d), 0);
    tl_device_release(d);
}

Test(gemm, nothing_to_do_and_a_sum_of_nothing)
{
    tl_device *d = open_device();
    tl_error err = {0};
    for (int what = 0; what < 4; what++) {
        problem p = plain(what == 0 ? 0 : 5, what == 1 ? 0 : 7, what == 3 ? 0 : 3);
        if (what == 2) p.g.batch = 0;
        p.bias = 1;
        prepare(d, &p);
        cr_assert_eq(tl__gemm(&err, d, &p.g, "test"), 0, "%s", err.text);
        if (what == 3) {
            float got[60];
            tl__buffer_read(&err, p.g.c.buffer, 0, sizeof(float) * (size_t)p.c_count, got);
            check(&p, got, "default");
        }
        drop(&p);
    }
    cr_assert_eq(live(d), 0);
    tl_device_release(d);
}

/* Weights packed once: a write to them must be seen, and what was packed goes with them. */
Test(gemm, constant_weights_follow_writes)
{
    tl_device *d = open_device();
    tl_error err = {0};
    for (const tl_gemm_maker *m = tl__gemm_makers(); m->name; m++) {
        if (strcmp(m->name, "clblast") == 0) continue;
        problem p = plain(70, 90, 50);
        p.g.constant_b = p.trans_b = 1;
        prepare(d, &p);
        if (tl__gemm_can(d, m, &p.g)) {
            run_on(d, &p, m);
            for (int64_t i = 0; i < p.b_count; i++) p.b[i] = draw();
            tl__buffer_write(&err, p.g.b.buffer, 0, (size_t)p.b_count * 4, p.b);
            p.g.b.buffer->version++;
            run_on(d, &p, m);
        }
        drop(&p);
        cr_assert_eq(live(d), 0, "%s", m->name);
    }
    tl_device_release(d);
}

/* A number that is not finite stays visible through every epilogue. */
Test(gemm, not_a_number_passes)
{
    tl_device *d = open_device();
    tl_error err = {0};
    for (const tl_gemm_maker *m = tl__gemm_makers(); m->name; m++)
        for (int act = TL_ACT_NONE; act <= TL_ACT_GELU && strcmp(m->name, "clblast") != 0; act++) {
            problem p = plain(40, 80, 20);
            p.g.activation = (tl_act)act;
            prepare(d, &p);
            p.a[21 * p.g.k + 3] = NAN;
            tl__buffer_write(&err, p.g.a.buffer, 0, (size_t)p.a_count * 4, p.a);
            if (tl__gemm_can(d, m, &p.g)) {
                cr_assert_eq(tl__gemm_run(&err, d, m, &p.g, "test"), 0, "%s", err.text);
                tl__buffer_read(&err, p.g.c.buffer, 0, (size_t)p.c_count * 4, p.c);
                for (int i = 0; i < 40 * 80; i++) cr_assert_eq(isnan(p.c[i]) != 0, i / 80 == 21, "%s, activation %d, element %d", m->name, act, i);
            }
            drop(&p);
        }
    tl_device_release(d);
}

/* ---- the operators ---- */

static tl_tensor *random_tensor(tl_scope *s, const tl_shape *shape)
{
    int64_t n = tl__numel(shape);
    float *x = malloc((size_t)(n + 1) * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = draw();
    tl_tensor *t = tl_from(s, TL_F32, shape->rank, shape->dim, x);
    free(x);
    return t;
}

/* a b by broadcasting, multiplying and adding up. */
static tl_tensor *slow_matmul(tl_scope *s, tl_tensor *a, tl_tensor *b, int ta, int tb)
{
    int ra = tl_rank(a), rb = tl_rank(b), swap[TL_MAX_RANK];
    for (int o = 0; o < 2; o++) {
        tl_tensor **t = o ? &b : &a;
        int r = tl_rank(*t);
        for (int i = 0; i < r; i++) swap[i] = i;
        if (r < 2 || !(o ? tb : ta)) continue;
        swap[r - 1] = r - 2;
        swap[r - 2] = r - 1;
        *t = tl_permute(s, *t, r, swap);
    }
    int64_t da[TL_MAX_RANK], db[TL_MAX_RANK];
    int na = ra, nb = 0;
    memcpy(da, tl_dims(a), sizeof(int64_t) * (size_t)ra);
    if (rb > 1) da[na++] = 1;
    for (int i = 0; i < rb; i++) {
        if (ra > 1 && i == (rb > 1 ? rb - 2 : 0)) db[nb++] = 1;
        db[nb++] = tl_dims(b)[i];
    }
    tl_tensor *y = tl_mul(s, tl_reshape(s, a, na, da), tl_reshape(s, b, nb, db));
    return tl_sum(s, y, (int[]){rb > 1 ? -2 : -1}, 1, 0);
}

/* Operands as they are (0), as slices of longer rows (1), as transposed memory (2). */
static tl_tensor *as_view(tl_scope *s, tl_tensor *t, int how)
{
    int r = tl_rank(t), swap[TL_MAX_RANK];
    if (how == 0 || r < 2) return t;
    for (int i = 0; i < r; i++) swap[i] = r - 1 - i;
    if (how == 2) {
        tl_tensor *p = tl_permute(s, t, r, swap);
        tl_tensor *packed = tl_mul_scalar(s, p, 1);
        return tl_permute(s, packed, r, swap);
    }
    int64_t dims[TL_MAX_RANK];
    for (int i = 0; i < r; i++) dims[i] = tl_dims(t)[i];
    dims[r - 1] += 4;
    tl_tensor *wide = tl_full(s, TL_F32, r, dims, 0), *part = tl_slice(s, wide, -1, 2, dims[r - 1] - 4);
    return tl__copy_into(s, t, part) == 0 ? part : NULL;
}

static double loss_of(tl_scope *s, const tl_sample *x, tl_tensor *const *in, const tl_tensor *weights)
{
    tl_tensor *y = tl__apply(s, x->op, in, x->n_in, x->attr, NULL);
    return y ? (double)tl_item(s, tl_sum(s, tl_mul(s, y, (tl_tensor *)(uintptr_t)weights), NULL, 0, 0)) : NAN;
}

/* One sample: values against another way to compute them, gradients against differences along a random direction. */
static void try_sample(tl_sampler *to, const tl_sample *x)
{
    tl_device *d = to->user;
    for (int how = 0; how < 3; how++) {
        tl_scope *s = tl_scope_open(d, NULL);
        tl_tensor *in[TL_MAX_INPUTS] = {0}, *step[TL_MAX_INPUTS] = {0};
        for (int i = 0; i < x->n_in; i++) {
            if (x->in[i].absent) continue;
            in[i] = as_view(s, random_tensor(s, &x->in[i].shape), how);
            step[i] = random_tensor(s, &x->in[i].shape);
            tl_require_grad(s, in[i], 1);
        }
        tl_tensor *y = tl__apply(s, x->op, in, x->n_in, x->attr, NULL);
        cr_assert(y, "%s", tl_scope_error(s)->text);
        if (strcmp(x->op->name, "matmul") == 0) {
            tl_tensor *gap = tl_amax(s, tl_abs(s, tl_sub(s, y, slow_matmul(s, in[0], in[1], (int)x->attr[0].i, (int)x->attr[1].i))), NULL, 0, 0);
            cr_assert(tl_item(s, gap) < 1e-5, "matmul is wrong: %s", tl_scope_error(s)->text);
        }
        tl_shape shape = tl__shape(tl_rank(y), tl_dims(y));
        tl_tensor *weights = random_tensor(s, &shape);
        tl_backward(s, tl_sum(s, tl_mul(s, y, weights), NULL, 0, 0), NULL, 0);
        double predicted = 0, up, down, h = 1.0 / 2048, size = 1;
        tl_tensor *moved[2][TL_MAX_INPUTS] = {{0}};
        for (int i = 0; i < x->n_in; i++) {
            if (!in[i]) continue;
            tl_tensor *t = tl_sum(s, tl_mul(s, tl_grad(in[i]), step[i]), NULL, 0, 0);
            predicted += (double)tl_item(s, t);
            size += fabs((double)tl_item(s, t));
            for (int k = 0; k < 2; k++) moved[k][i] = tl_add(s, in[i], tl_mul_scalar(s, step[i], k ? -h : h));
        }
        up = loss_of(s, x, moved[0], weights);
        down = loss_of(s, x, moved[1], weights);
        double slope = (up - down) / (2 * h);
        cr_assert(fabs(slope - predicted) < 0.02 * size, "%s %d: gradient %g, slope %g; %s", x->op->name, how, predicted, slope, tl_scope_error(s)->text);
        tl_scope_close(s);
        cr_assert_eq(live(d), 0);
        problems++;
    }
}

Test(gemm, operators_and_their_gradients)
{
    tl_device *d = open_device();
    tl_sampler sampler = {.take = try_sample, .user = d, .small = small()};
    tl__gemm_tile(d, &sampler.tile_m, &sampler.tile_n);
    tl__op_find("matmul")->samples(&sampler);
    tl__op_find("linear")->samples(&sampler);
    cr_assert_gt(problems, 40);
    tl_device_release(d);
}

static void expect_error(tl_device *d, int ra, const int64_t *a, int rb, const int64_t *b, int tb, int is_linear, const char *text)
{
    tl_scope *s = tl_scope_open(d, NULL);
    tl_tensor *x = tl_full(s, TL_F32, ra, a, 0), *w = tl_full(s, TL_F32, rb, b, 0);
    cr_assert_null(is_linear ? tl_linear(s, x, w, NULL, NULL, NULL) : tl_matmul(s, x, w, 0, tb));
    cr_assert_str_eq(tl_scope_error(s)->text, text);
    tl_scope_close(s);
}

Test(gemm, operators_say_what_is_wrong)
{
    tl_device *d = open_device();
    expect_error(d, 2, (int64_t[]){3, 4}, 2, (int64_t[]){2, 5}, 1, 0, "matmul: (3, 4) x (2, 5), second transposed");
    expect_error(d, 2, (int64_t[]){3, 4}, 3, (int64_t[]){2, 5, 1}, 0, 0, "matmul: (3, 4) x (2, 5, 1)");
    expect_error(d, 3, (int64_t[]){2, 3, 4}, 3, (int64_t[]){3, 4, 5}, 0, 0, "matmul: (2, 3, 4) x (3, 4, 5); the batches do not broadcast");
    expect_error(d, 2, (int64_t[]){3, 512}, 2, (int64_t[]){10, 2048}, 0, 1, "linear: the input has 512 features, the weight wants 2048");
    tl_scope *s = tl_scope_open(d, NULL);
    tl_tensor *x = tl_full(s, TL_F32, 2, (int64_t[]){2, 3}, 0);
    cr_assert_null(tl_linear(s, x, x, NULL, NULL, "tanh"));
    cr_assert_str_eq(tl_scope_error(s)->text, "linear: there is no activation \"tanh\"");
    tl_scope_close(s);
    tl_device_release(d);
}

/* What is asked for by name is taken where it can be, and `own` never loads CLBlast. */
Test(gemm, makers_can_be_forced)
{
    tl_device *d = open_device();
    problem p = plain(256, 256, 256);
    prepare(d, &p);
    setenv("TLUA_GEMM", "own", 1);
    cr_assert_str_neq(tl__gemm_choose(d, &p.g)->name, "clblast");
    cr_assert_null(d->clblast);
    setenv("TLUA_GEMM", "clblast", 1);
    int there = tl__gemm_maker_named("clblast")->needs(d, &p.g);
    cr_assert_eq(strcmp(tl__gemm_choose(d, &p.g)->name, "clblast") == 0, there);
    unsetenv("TLUA_GEMM");
    drop(&p);
    tl_device_release(d);
}

/* It is not loaded for those who do not use it; for those who do, what it compiles leaves nothing behind. */
Test(gemm, clblast_is_ready_when_a_device_is_open)
{
    const char *choices[] = {"own", "", "clblast"};
    for (int i = 0; i < 3; i++) {
        if (i == 2 && !getenv("TLUA_TEST_CLBLAST")) continue;
        setenv("TLUA_GEMM", choices[i], 1);
        tl_device *d = open_device();
        if (i == 0 || d->traits.is_cpu || d->traits.fragile) cr_assert_eq(d->clblast != NULL, i == 2);
        size_t l, pooled, peak;
        tl_device_memory(d, &l, &pooled, &peak);
        cr_assert_eq(l, 0);
        cr_assert_eq(pooled, 0);
        cr_assert_lt(peak, 1 << 20);
        tl_device_release(d);
    }
}

static int linear_step(tl_device *d)
{
    tl_error err = {0};
    tl_scope *s = tl_scope_open(d, &err);
    if (!s) return err.code;
    tl_tensor *x = tl_full(s, TL_F32, 2, (int64_t[]){70, 40}, 0.1), *frozen = tl_full(s, TL_F32, 2, (int64_t[]){50, 40}, 0.2);
    tl_tensor *w = tl_full(s, TL_F32, 2, (int64_t[]){30, 50}, 0.1), *b = tl_full(s, TL_F32, 1, (int64_t[]){30}, 0.3);
    tl_require_grad(s, w, 1);
    tl_require_grad(s, b, 1);
    tl_tensor *y = tl_linear(s, tl_linear(s, x, frozen, NULL, NULL, "gelu"), w, b, NULL, "relu");
    tl_backward(s, tl_sum(s, tl_matmul(s, y, y, 1, 0), NULL, 0, 0), NULL, 0);
    int code = tl_scope_error(s)->code;
    tl_scope_close(s);
    return code;
}

/* Scratch, packed weights and what is kept beside them: whichever fails, nothing is left behind. */
Test(gemm, every_allocation_may_fail)
{
    tl_device *d = open_device();
    cr_assert_eq(linear_step(d), TL_OK);
    long failures = 0;
    for (long nth = 1; nth < 1000; nth++, failures++) {
        tl_device_flush(d);
        tl__inject_failure(nth);
        int code = linear_step(d);
        long n = tl__inject_failure(0);
        cr_assert_eq(live(d), 0, "allocation %ld left bytes on the device", nth);
        if (n < nth) break;
        cr_assert_eq(code, TL_EMEMORY, "allocation %ld failed, code %d", nth, code);
    }
    cr_assert_gt(failures, 50);
    cr_assert_eq(linear_step(d), TL_OK);
    tl_device_release(d);
}

/* Compiling is what tells whether a square of the kernel for GPUs fits. Where there is no memory for it, nothing is told: the same maker is chosen, and
 * says that there is none. */
Test(gemm, no_memory_is_no_reason_for_another_maker)
{
    setenv("TLUA_VECTOR", "1", 1);
    setenv("TLUA_KERNEL_CACHE", "0", 1);
    setenv("TLUA_GEMM", "own", 1);
    tl_gemm g = {.m = 1024, .n = 1024, .k = 64, .batch = 1, .alpha = 1};
    for (int i = 0; i < 3; i++) *(i == 0 ? &g.a : i == 1 ? &g.b : &g.c) = (tl_matrix){NULL, 0, i == 0 ? 64 : 1024, 1, 0};
    tl_device *d = open_device();
    const tl_gemm_maker *wanted = tl__gemm_choose(d, &g);
    int of_intel = strstr(d->traits.platform, "Intel") != NULL; /* few registers: no sums of 8 x 8 there */
    int narrow = d->traits.short_loops; /* Mesa's llvmpipe has no square of 128 (src/device/gemm/gpu.c), so nothing is to be found out there */
    tl_device_release(d);
    if (narrow) return;
    cr_assert_str_eq(wanted->name, of_intel ? "gpu-128x64" : "gpu-128x128");
    long failed = 0;
    d = open_device();
    tl__inject_failure(1000000);
    tl__gemm_choose(d, &g);
    long last = tl__inject_failure(0);
    tl_device_release(d);
    for (long nth = 1; nth <= last; nth += nth < 12 ? 1 : 41) {
        d = open_device();
        tl__inject_failure(nth);
        long before = tl__memory_failures();
        const tl_gemm_maker *got = tl__gemm_choose(d, &g);
        int met = tl__memory_failures() != before;
        tl__inject_failure(0);
        cr_expect_str_eq(got->name, wanted->name, "allocation %ld failed", nth);
        failed += met;
        tl_device_release(d);
    }
    cr_expect_gt(failed, 10);
    /* And where memory stays away: an error of memory, which the bindings try again. */
    tl_error err = {0};
    d = open_device();
    g.a.buffer = g.b.buffer = g.c.buffer = tl__buffer_new(&err, d, (size_t)1024 * 1024 * sizeof(float));
    tl__inject_failure(3);
    cr_expect_neq(tl__gemm_run(&err, d, wanted, &g, "test"), 0);
    tl__inject_failure(0);
    cr_expect_eq(err.code, TL_EMEMORY, "%s", err.text);
    tl__buffer_release(g.a.buffer);
    tl_device_release(d);
}
