/* gemm.c - every maker of the matrix product against sums in double precision: tile edges, strides, offsets,
 * broadcast batches, epilogues; the same bits twice; nothing left on the device. */
#include "device/gemm/maker.h"
#include "op/op.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static tl_device *open_device(void)
{
    tl_error err = {0};
    tl_device *d = tl_device_open(NULL, &err);
    cr_assert(d, "%s", err.text);
    return d;
}

static size_t live(tl_device *d)
{
    size_t l;
    tl_device_memory(d, &l, NULL, NULL);
    return l;
}

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
        cr_assert_eq(m->run(&err, d, &p->g, "test"), 0, "%s: %s", m->name, err.text);
        cr_assert_eq(tl__buffer_read(&err, p->g.c.buffer, 0, bytes, got[round]), 0, "%s", err.text);
    }
    check(p, got[0], m->name);
    cr_assert_eq(memcmp(got[0], got[1], bytes), 0, "%s: two runs differ", m->name);
    free(got[0]);
    free(got[1]);
}

static int problems;

static void on_all_makers(tl_device *d, problem p)
{
    prepare(d, &p);
    for (const tl_gemm_maker *m = tl__gemm_makers(); m->name; m++) {
        if (strcmp(m->name, "clblast") == 0 && !getenv("TLUA_TEST_CLBLAST")) continue; /* compiles for seconds per shape */
        if (m->needs(d, &p.g)) run_on(d, &p, m);
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
        if (m->needs(d, &p.g)) {
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
            if (m->needs(d, &p.g)) {
                cr_assert_eq(m->run(&err, d, &p.g, "test"), 0, "%s", err.text);
                tl__buffer_read(&err, p.g.c.buffer, 0, (size_t)p.c_count * 4, p.c);
                for (int i = 0; i < 40 * 80; i++) cr_assert_eq(isnan(p.c[i]) != 0, i / 80 == 21, "%s, activation %d, element %d", m->name, act, i);
            }
            drop(&p);
        }
    tl_device_release(d);
}
