/* tune.c - measuring the makers of a class of matrix products, in turns. The only place where a stopwatch has a say in what
 * is computed, and only when `tlua tune` asks for it. */
#define _POSIX_C_SOURCE 200809L
#include "device/gemm/maker.h"
#include "device/gemm/tuning.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PROBLEMS = 2, MOST_ROUNDS = 32, MANY = 32 };
#define SECONDS 0.004   /* of one measurement at least */
#define TOO_SLOW 0.6    /* of the best one's rate in the first round: not worth more rounds */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- a product of the class ---- */

/* The largest side of the class, or three quarters of it. */
static int64_t side(unsigned e, int problem) { return problem && e > 1 ? 3LL << (e - 2) : 1LL << e; }

static int filled(tl_error *err, tl_device *d, tl_buffer **out, int64_t n, uint64_t stream)
{
    float *x = tl__malloc(err, (size_t)n * sizeof *x);
    for (int64_t i = 0; x && i < n; i++) x[i] = tl__rng_uniform(tl__rng_key(1, TL_RNG_UNIFORM, stream), (uint64_t)(i & 0xffff)) - 0.5f;
    *out = x ? tl__buffer_new(err, d, (size_t)n * sizeof *x) : NULL;
    int bad = !*out || tl__buffer_write(err, *out, 0, (size_t)n * sizeof *x, x) != 0;
    free(x);
    return bad ? -1 : 0;
}

static void drop(tl_gemm *g)
{
    tl_buffer *b[] = {g->a.buffer, g->b.buffer, g->c.buffer};
    for (int i = 0; i < 3; i++)
        if (b[i]) tl__buffer_release(b[i]);
}

static int prepare(tl_error *err, tl_device *d, tl_gemm_class what, int problem, tl_gemm *g)
{
    int64_t m = side(what >> 19 & 31, problem), n = side(what >> 14 & 31, problem), k = side(what >> 9 & 31, problem), batch = what & 1 ? MANY : 1;
    *g = (tl_gemm){.m = m, .n = n, .k = k, .batch = batch, .alpha = 1, .constant_b = (what & 2) != 0};
    g->a = (tl_matrix){NULL, 0, what & 8 ? 1 : k, what & 8 ? m : 1, m * k};
    g->b = (tl_matrix){NULL, 0, what & 4 ? 1 : n, what & 4 ? k : 1, k * n};
    g->c = (tl_matrix){NULL, 0, n, 1, m * n};
    if (filled(err, d, &g->a.buffer, batch * m * k, 0) == 0 && filled(err, d, &g->b.buffer, batch * k * n, 1) == 0 &&
        filled(err, d, &g->c.buffer, batch * m * n, 2) == 0) return 0;
    drop(g);
    return -1;
}

/* ---- one measurement ---- */

/* Seconds of one product, of `times` in a row; 0 on failure. */
static double seconds(tl_error *err, tl_device *d, const tl_gemm *g, const tl_gemm_maker *m, int times)
{
    double start = now();
    for (int i = 0; i < times; i++)
        if (tl__gemm_run(err, d, m, g, "tune") != 0) return 0;
    return tl__device_finish(err, d) == 0 ? (now() - start) / times : 0;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(const double *x, int n)
{
    double sorted[MOST_ROUNDS];
    memcpy(sorted, x, (size_t)n * sizeof *x);
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* ---- all makers ---- */

typedef struct measured {
    double time[TL_TUNE_MAKERS][MOST_ROUNDS];
    int times[TL_TUNE_MAKERS], out[TL_TUNE_MAKERS], shipped;
} measured;

/* CLBlast compiles for seconds to be several times slower on processors, so it is measured on GPUs only. */
static int comes_into_question(tl_device *d, const tl_gemm_maker *m, const tl_gemm *g)
{
    if (strcmp(m->name, "clblast") == 0 && !m->suits(d, g)) return 0;
    return tl__gemm_can(d, m, g);
}

/* Whether two results are the same but for rounding: elements of a and b lie in -0.5 ... 0.5, a product's mean is 1/16. */
static int agree(const float *x, const float *y, int64_t n, int64_t k)
{
    double most = ldexp(8 + 2 * sqrt((double)k), -24) * ((double)k / 8 + 1);
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)x[i] - (double)y[i]) <= most)) return 0;
    return 1;
}

/* Runs each maker once, which compiles it and packs weights, and compares its result with that of the shipped one. A maker
 * that the driver refuses is out. */
static int first_runs(tl_error *err, tl_device *d, const tl_gemm *g, measured *x, tl_tuned *out)
{
    int64_t n = g->m * g->n * g->batch;
    float *wanted = tl__malloc(err, (size_t)n * sizeof *wanted), *got = tl__malloc(err, (size_t)n * sizeof *got);
    int bad = !wanted || !got;
    for (int i = -1; i < out->count && !bad; i++) {
        tl_error own = {0};
        int which = i < 0 ? x->shipped : i;
        if (seconds(&own, d, g, out->each[which].maker, 1) > 0 && tl__buffer_read(&own, g->c.buffer, 0, (size_t)n * sizeof *got, i < 0 ? wanted : got) == 0) {
            if (i >= 0 && !agree(wanted, got, n, g->k)) x->out[i] = out->each[i].wrong = 1;
        } else if (i < 0)
            bad = tl__fail(err, own.code, "%s", own.text);
        else
            x->out[i] = 1;
    }
    free(wanted);
    free(got);
    return bad ? -1 : 0;
}

static int measure(tl_error *err, tl_device *d, const tl_gemm *g, int rounds, measured *x, tl_tuned *out)
{
    const tl_gemm_maker *shipped = tl__gemm_shipped(d, g);
    for (int i = 0; i < out->count; i++)
        if (out->each[i].maker == shipped) x->shipped = i;
    if (first_runs(err, d, g, x, out) != 0) return -1;
    double best = 0;
    for (int i = 0; i < out->count; i++) {
        double t = x->out[i] ? 0 : seconds(err, d, g, out->each[i].maker, 1);
        x->times[i] = t > 0 && t < SECONDS ? (int)(SECONDS / t) + 1 : 1;
    }
    for (int r = 0; r < rounds && !err->code; r++) {
        for (int i = 0; i < out->count && !err->code; i++)
            if (!x->out[i]) x->time[i][r] = seconds(err, d, g, out->each[i].maker, x->times[i]);
        if (r) continue;
        for (int i = 0; i < out->count; i++)
            if (!x->out[i] && (best == 0 || x->time[i][0] < best)) best = x->time[i][0];
        for (int i = 0; i < out->count; i++)
            if (i != x->shipped && best < TOO_SLOW * x->time[i][0]) x->out[i] = 1;
    }
    return err->code ? -1 : 0;
}

/* How many times faster maker i is than the shipped one, by the median of the rounds' ratios; and in how many rounds. */
static double ratio(const measured *x, int i, int rounds, int *wins)
{
    double r[MOST_ROUNDS];
    *wins = 0;
    for (int k = 0; k < rounds; k++) {
        r[k] = x->time[x->shipped][k] / x->time[i][k];
        *wins += r[k] > 1;
    }
    return median(r, rounds);
}

static void conclude(const measured *x, const double *flops, int rounds, tl_tuned *out)
{
    out->shipped = out->choice = x[0].shipped;
    out->gain = 1;
    for (int i = 0; i < out->count; i++) {
        double gain = 1, rate = 1;
        int whole = !x[0].out[i] && !x[1].out[i], least = rounds;
        for (int p = 0; p < PROBLEMS && whole; p++) {
            int wins;
            gain *= sqrt(ratio(&x[p], i, rounds, &wins));
            if (wins < least) least = wins;
        }
        /* Of those that were too slow for more than one round, what that showed. */
        for (int p = 0; p < PROBLEMS; p++) {
            double t = x[p].out[i] ? x[p].time[i][0] : median(x[p].time[i], rounds);
            rate *= t > 0 ? sqrt(flops[p] / t / 1e9) : 0;
        }
        out->each[i].gflops = rate;
        /* Other work on the machine may favour anyone once or twice, but not in nearly all rounds of both products. */
        if (whole && gain >= TL_TUNE_MARGIN && 9 * least >= 8 * rounds && gain > out->gain) {
            out->choice = i;
            out->gain = gain;
        }
    }
}

int tl__tune(tl_error *err, tl_device *d, tl_gemm_class what, int rounds, tl_tuned *out)
{
    double flops[PROBLEMS];
    measured *x = tl__calloc(err, PROBLEMS, sizeof *x);
    *out = (tl_tuned){0};
    if (rounds < 1) rounds = 1;
    if (rounds > MOST_ROUNDS) rounds = MOST_ROUNDS;
    for (int p = 0; p < PROBLEMS && x && !err->code; p++) {
        tl_gemm g;
        if (prepare(err, d, what, p, &g) != 0) break;
        flops[p] = 2.0 * (double)(g.m * g.n) * (double)(g.k * g.batch);
        for (const tl_gemm_maker *m = tl__gemm_makers(); m->name && p == 0 && out->count < TL_TUNE_MAKERS; m++)
            if (comes_into_question(d, m, &g)) out->each[out->count++].maker = m;
        measure(err, d, &g, rounds, &x[p], out);
        drop(&g);
        tl__pool_flush(d->pool);
    }
    if (x && !err->code) conclude(x, flops, rounds, out);
    free(x);
    return err->code ? -1 : 0;
}
