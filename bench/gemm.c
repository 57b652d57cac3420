/* gemm.c - how fast the matrix product is, beside the rate that plain multiply-adds reach in the same minute:
 * shapes from networks, by the maker that is chosen or by those that are named.  bench/gemm [MAKER...] */
#include "device/gemm/maker.h"
#include "device/profile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double peak_rate(tl_error *err, tl_device *d)
{
    double gflops = 0, gbytes = 0;
    return tl__device_peaks(err, d, &gflops, &gbytes) == 0 ? gflops : 0;
}

typedef struct shape { const char *what; int64_t m, n, k, batch; int trans_a, trans_b, constant_b; } shape;

static const shape shapes[] = {
    {"1024 cubed, weights packed", 1024, 1024, 1024, 1, 0, 0, 1},
    {"1024 cubed", 1024, 1024, 1024, 1, 0, 0, 0},
    {"2048 cubed, weights packed", 2048, 2048, 2048, 1, 0, 0, 1},
    {"2048 cubed", 2048, 2048, 2048, 1, 0, 0, 0},
    {"1x1 convolution 56x56x64 to 256, batch 16", 50176, 256, 64, 1, 0, 1, 1},
    {"1x1 convolution 14x14x1024 to 256, batch 16", 3136, 256, 1024, 1, 0, 1, 1},
    {"1x1 convolution 7x7x512 to 2048, batch 16", 784, 2048, 512, 1, 0, 1, 1},
    {"its weight gradient", 2048, 512, 784, 1, 1, 0, 0},
    {"BERT projection, 32 x 128 tokens", 4096, 384, 384, 1, 0, 1, 1},
    {"BERT-base feed forward", 4096, 3072, 768, 1, 0, 1, 0},
    {"its weight gradient", 3072, 768, 4096, 1, 1, 0, 0},
    {"attention scores, 128 tokens, 384 heads", 128, 128, 64, 384, 0, 1, 0},
    {"classifier 2048 to 1000, batch 1", 1, 1000, 2048, 1, 0, 1, 1},
    {"head 2048 to 10, batch 64", 64, 10, 2048, 1, 0, 1, 0},
    {"its weight gradient", 10, 2048, 64, 1, 1, 0, 0},
    {"its data gradient", 64, 2048, 10, 1, 0, 0, 0},
    {"linear 512 to 512, batch 16", 16, 512, 512, 1, 0, 1, 0},
};

static tl_buffer *filled(tl_error *err, tl_device *d, int64_t n)
{
    float *x = malloc((size_t)n * sizeof *x);
    tl_buffer *b = x ? tl__buffer_new(err, d, (size_t)n * sizeof *x) : NULL;
    for (int64_t i = 0; x && i < n; i++) x[i] = (float)(i % 97) / 97 - 0.5f;
    if (b) tl__buffer_write(err, b, 0, (size_t)n * sizeof *x, x);
    free(x);
    return b;
}

static double rate(tl_error *err, tl_device *d, const shape *s, const tl_gemm_maker *maker, const char **name)
{
    tl_gemm g = {.m = s->m, .n = s->n, .k = s->k, .batch = s->batch, .alpha = 1, .constant_b = s->constant_b};
    g.a = (tl_matrix){filled(err, d, s->m * s->k * s->batch), 0, s->trans_a ? 1 : s->k, s->trans_a ? s->m : 1, s->m * s->k};
    g.b = (tl_matrix){filled(err, d, s->k * s->n * s->batch), 0, s->trans_b ? 1 : s->n, s->trans_b ? s->k : 1, s->k * s->n};
    g.c = (tl_matrix){filled(err, d, s->m * s->n * s->batch), 0, s->n, 1, s->m * s->n};
    if (!g.a.buffer || !g.b.buffer || !g.c.buffer) return 0;
    if (!maker) maker = tl__gemm_choose(d, &g);
    *name = maker->name;
    double flops = 2.0 * (double)s->m * (double)s->n * (double)s->k * (double)s->batch, best = 0;
    /* Small products are enqueued many times, as in a step: as many as take five milliseconds. The first rounds warm up. */
    int times = 1;
    for (int r = 0; r < 8 && tl__gemm_can(d, maker, &g); r++) {
        double start = now();
        for (int i = 0; i < times; i++)
            if (tl__gemm_run(err, d, maker, &g, "bench") != 0) break;
        if (tl__device_finish(err, d) != 0) break;
        double took = now() - start, x = flops * times / took / 1e9;
        if (r > 1 && x > best) best = x;
        if (r == 1) times = took < 0.005 ? (int)fmin(0.005 / took + 1, 200) : 1;
    }
    tl__buffer_release(g.a.buffer);
    tl__buffer_release(g.b.buffer);
    tl__buffer_release(g.c.buffer);
    return best;
}

int main(int argc, char **argv)
{
    tl_error err = {0};
    tl_device *d = tl_device_open(NULL, &err);
    double peak = d ? peak_rate(&err, d) : 0;
    if (!d || err.code) {
        fprintf(stderr, "bench/gemm: %s\n", err.text);
        return 1;
    }
    printf("%s: multiply-adds alone %.0f GFLOP/s\n", tl_device_name(d), peak);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes && !err.code; i++) {
        const shape *s = &shapes[i];
        printf("%-44s", s->what);
        for (int a = argc > 1 ? 1 : 0; a < argc; a++) {
            const tl_gemm_maker *m = a ? tl__gemm_makers() : NULL;
            const char *name = "";
            while (m && m->name && strcmp(m->name, argv[a]) != 0) m++;
            if (a && (!m || !m->name)) continue;
            /* Other work on the machine changes from minute to minute: the peak is taken around each measurement. */
            double before = peak_rate(&err, d), x = rate(&err, d, s, m, &name), after = peak_rate(&err, d);
            peak = before > after ? before : after;
            printf("  %9s %7.1f GFLOP/s %5.1f %%", name, x, 100 * x / peak);
            fflush(stdout);
        }
        printf("\n");
    }
    if (err.code) fprintf(stderr, "bench/gemm: %s\n", err.text);
    tl_device_release(d);
    return err.code != 0;
}
