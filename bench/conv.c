/* conv.c - how fast the convolutions of two networks are, layer by layer: forward as inference runs it (folded bias,
 * activation, residual), and each gradient.   bench/conv [forward|training] [batch [NETWORK]]
 *   cc -std=c11 -D_POSIX_C_SOURCE=200809L -O2 -Isrc -o build/bench_conv bench/conv.c build/libtlua.a $(pkg-config --libs \
 *      nettle spng libturbojpeg libcjson libutf8proc zlib) -lOpenCL -lclblast -lm -ldl -pthread
 * TLUA_CONV names the way that is taken (src/op/conv_makers.c). Times are the best of several rounds; in
 * brackets what the processor's own time says, which a busy machine disturbs less; then the share of what the device was measured
 * to do: multiply-adds, or memory copied where a convolution is a matter of that (depthwise). */
#include "device/profile.h"
#include "tlua.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct layer {
    int size, ci, co, kernel, stride, groups; /* pictures are square; padding is a third of a same-padded kernel */
    int times, residual;                      /* how many such layers the network has */
} layer;

typedef struct network {
    const char *name, *activation;
    int uneven;               /* TensorFlow's "same": what padding is odd goes to the end */
    layer layers[40];
} network;

static const network networks[] = {
    {"ResNet-50", "relu", 0, {
        {224, 3, 64, 7, 2, 1, 1, 0}, {56, 64, 64, 1, 1, 1, 1, 0}, {56, 64, 64, 3, 1, 1, 3, 0}, {56, 64, 256, 1, 1, 1, 1, 0}, {56, 64, 256, 1, 1, 1, 3, 1},
        {56, 256, 64, 1, 1, 1, 2, 0}, {56, 256, 128, 1, 1, 1, 1, 0}, {56, 128, 128, 3, 2, 1, 1, 0}, {28, 128, 512, 1, 1, 1, 4, 1},
        {56, 256, 512, 1, 2, 1, 1, 0}, {28, 512, 128, 1, 1, 1, 3, 0}, {28, 128, 128, 3, 1, 1, 3, 0}, {28, 512, 256, 1, 1, 1, 1, 0},
        {28, 256, 256, 3, 2, 1, 1, 0}, {14, 256, 1024, 1, 1, 1, 6, 1}, {28, 512, 1024, 1, 2, 1, 1, 0}, {14, 1024, 256, 1, 1, 1, 5, 0},
        {14, 256, 256, 3, 1, 1, 5, 0}, {14, 1024, 512, 1, 1, 1, 1, 0}, {14, 512, 512, 3, 2, 1, 1, 0}, {7, 512, 2048, 1, 1, 1, 3, 1},
        {14, 1024, 2048, 1, 2, 1, 1, 0}, {7, 2048, 512, 1, 1, 1, 2, 0}, {7, 512, 512, 3, 1, 1, 2, 0}}},
    {"EfficientNet-Lite0", "relu6", 1, {
        {224, 3, 32, 3, 2, 1, 1, 0}, {112, 32, 32, 3, 1, 32, 1, 0}, {112, 32, 16, 1, 1, 1, 1, 0}, {112, 16, 96, 1, 1, 1, 1, 0},
        {112, 96, 96, 3, 2, 96, 1, 0}, {56, 96, 24, 1, 1, 1, 1, 0}, {56, 24, 144, 1, 1, 1, 2, 0}, {56, 144, 144, 3, 1, 144, 1, 0},
        {56, 144, 24, 1, 1, 1, 1, 1}, {56, 144, 144, 5, 2, 144, 1, 0}, {28, 144, 40, 1, 1, 1, 1, 0}, {28, 40, 240, 1, 1, 1, 2, 0},
        {28, 240, 240, 5, 1, 240, 1, 0}, {28, 240, 40, 1, 1, 1, 1, 1}, {28, 240, 240, 3, 2, 240, 1, 0}, {14, 240, 80, 1, 1, 1, 1, 0},
        {14, 80, 480, 1, 1, 1, 3, 0}, {14, 480, 480, 3, 1, 480, 2, 0}, {14, 480, 80, 1, 1, 1, 2, 1}, {14, 480, 480, 5, 1, 480, 1, 0},
        {14, 480, 112, 1, 1, 1, 1, 0}, {14, 112, 672, 1, 1, 1, 3, 0}, {14, 672, 672, 5, 1, 672, 2, 0}, {14, 672, 112, 1, 1, 1, 2, 1},
        {14, 672, 672, 5, 2, 672, 1, 0}, {7, 672, 192, 1, 1, 1, 1, 0}, {7, 192, 1152, 1, 1, 1, 4, 0}, {7, 1152, 1152, 5, 1, 1152, 3, 0},
        {7, 1152, 192, 1, 1, 1, 3, 1}, {7, 1152, 1152, 3, 1, 1152, 1, 0}, {7, 1152, 320, 1, 1, 1, 1, 0}, {7, 320, 1280, 1, 1, 1, 1, 0}}},
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double busy(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum { FORWARD, TO_X, TO_WEIGHT, KINDS };

typedef struct tensors { tl_tensor *x, *w, *b, *r, *gy; tl_conv_options o; } tensors;

static tensors make(tl_scope *s, const network *net, const layer *l, int batch, int training)
{
    tensors t = {.o = {.groups = l->groups, .activation = training ? NULL : net->activation}};
    int out = (l->size + l->stride - 1) / l->stride, total = (out - 1) * l->stride + l->kernel - l->size;
    if (total < 0) total = 0;
    for (int i = 0; i < 2; i++) {
        t.o.stride[i] = l->stride;
        t.o.padding[i] = net->uneven ? total / 2 : l->kernel / 2;
        t.o.more_at_end[i] = net->uneven ? total - 2 * t.o.padding[i] : 0;
    }
    t.x = tl_randn(s, 4, (int64_t[]){batch, l->size, l->size, l->ci}, 1, 1);
    t.w = tl_randn(s, 4, (int64_t[]){l->co, l->ci / l->groups, l->kernel, l->kernel}, 1, 2);
    t.b = tl_randn(s, 1, (int64_t[]){l->co}, 1, 3);
    t.gy = tl_randn(s, 4, (int64_t[]){batch, out, out, l->co}, 1, 4);
    t.r = l->residual ? t.gy : NULL;
    return t;
}

/* Seconds of one call, by the clock and by the processor (over its units): the second is what a quiet machine would show. */
typedef struct took { double wall, busy; } took;

/* One call, or several in a row without waiting between them. Backward alone is timed, call by call. */
static took calls(tl_scope *outer, const tensors *t, int kind, int times)
{
    tl_device *d = tl_scope_device(outer);
    tl_error err = {0};
    took sum = {0, 0};
    for (int i = 0; i < times; i++) {
        tl_scope *s = tl_scope_open(d, &err);
        if (!s) return sum;
        tl_tensor *y = NULL;
        double start = now(), work = busy();
        if (kind == FORWARD) y = tl_conv(s, t->x, t->w, t->b, t->r, &t->o);
        else {
            y = tl_conv(s, t->x, t->w, NULL, NULL, &t->o);
            tl_device_sync(d, &err);
            start = now();
            work = busy();
            tl_backward(s, y, t->gy, 0);
            tl_zero_grad(kind == TO_X ? t->x : t->w);
        }
        if (kind != FORWARD || i == times - 1) tl_device_sync(d, &err);
        sum.wall += now() - start;
        sum.busy += (busy() - work) / d->traits.compute_units;
        if (tl_scope_failed(s) || err.code) {
            fprintf(stderr, "bench/conv: %s\n", err.code ? err.text : tl_scope_error(s)->text);
            exit(1);
        }
        tl_scope_close(s);
    }
    return (took){sum.wall / times, sum.busy / times};
}

/* The best of several. Forwards too short for the clock (a wait costs a GPU some hundredths of a millisecond) are made in a row. */
static took measure(tl_scope *outer, const tensors *t, int kind)
{
    took best = {1e9, 1e9};
    double begun = now();
    int times = 1;
    tl_require_grad(outer, t->x, kind == TO_X);
    tl_require_grad(outer, t->w, kind == TO_WEIGHT);
    for (int r = 0; r < 4 || (r < 40 && now() - begun < 0.25); r++) {
        took one = calls(outer, t, kind, times);
        if (one.wall < best.wall) best.wall = one.wall;
        if (one.busy < best.busy) best.busy = one.busy;
        if (r == 1 && kind == FORWARD && best.wall < 5e-4) times = best.wall > 2.5e-5 ? (int)(1e-3 / best.wall) : 40;
    }
    tl_require_grad(outer, t->x, 0);
    tl_require_grad(outer, t->w, 0);
    return best;
}

/* GFLOP/s and GB/s that the device was measured to do. */
typedef struct peaks { double gflops, gbytes; } peaks;

static void run(tl_device *d, const network *net, int training, int batch, peaks peak)
{
    took sum[KINDS] = {{0, 0}}, all = {0, 0};
    printf("%s, batch %d\n", net->name, batch);
    for (const layer *l = net->layers; l->size; l++) {
        tl_error err = {0};
        tl_scope *s = tl_scope_open(d, &err);
        tensors t = make(s, net, l, batch, training);
        double out = (l->size + l->stride - 1) / l->stride, pixels = batch * out * out;
        double flops = 2.0 * pixels * l->co * (l->ci / l->groups) * l->kernel * l->kernel;
        double bytes = 4.0 * (batch * (double)l->size * l->size * l->ci + pixels * l->co * (1 + l->residual));
        printf("%3d  %4d to %4d  %dx%d/%d %s%s x%d ", l->size, l->ci, l->co, l->kernel, l->kernel, l->stride, l->groups > 1 ? "depthwise" : "         ",
               l->residual ? " +residual" : "          ", l->times);
        for (int kind = FORWARD; kind < (training ? KINDS : TO_X); kind++) {
            took one = measure(s, &t, kind);
            double amount = l->groups > 1 ? bytes : flops;
            /* The first layer's pictures need no gradient. */
            if (kind != TO_X || l != net->layers) {
                sum[kind].wall += one.wall * l->times;
                sum[kind].busy += one.busy * l->times;
            }
            double rate = amount / one.wall / 1e9, share = 100 * rate / (l->groups > 1 ? peak.gbytes : peak.gflops);
            printf("  %8.3f ms %7.1f (%7.1f) %s %5.1f %%", one.wall * 1e3, rate, amount / one.busy / 1e9, l->groups > 1 ? "GB/s   " : "GFLOP/s", share);
            fflush(stdout);
        }
        printf("\n");
        tl_scope_close(s);
    }
    for (int kind = 0; kind < KINDS; kind++) {
        static const char *const names[] = {"forward", "to x", "to the weights"};
        if (sum[kind].wall <= 0) continue;
        all.wall += sum[kind].wall;
        all.busy += sum[kind].busy;
        printf("%s %.1f (%.1f) ms; ", names[kind], sum[kind].wall * 1e3, sum[kind].busy * 1e3);
    }
    printf("%.1f (%.1f) pictures/s\n\n", batch / all.wall, batch / all.busy);
}

int main(int argc, char **argv)
{
    tl_error err = {0};
    tl_device *d = tl_device_open(NULL, &err);
    int training = argc > 1 && strcmp(argv[1], "training") == 0, batch = argc > 2 ? atoi(argv[2]) : 16;
    const char *only = argc > 3 ? argv[3] : "";
    if (!d || batch < 1) {
        fprintf(stderr, "bench/conv: %s\n", d ? "the batch must be a positive number" : err.text);
        return 1;
    }
    peaks peak;
    if (tl__device_peaks(&err, d, &peak.gflops, &peak.gbytes) != 0) {
        fprintf(stderr, "bench/conv: %s\n", err.text);
        return 1;
    }
    printf("%s: multiply-adds alone %.0f GFLOP/s, copies %.0f GB/s\n", tl_device_name(d), peak.gflops, peak.gbytes);
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        if (strstr(networks[i].name, only)) run(d, &networks[i], training, batch, peak);
    tl_device_release(d);
    return 0;
}
