/* roofline.c - a model of the device in four numbers, measured: multiply-adds in registers, memory that is copied, what a launch costs
 * in a queue that is full, and with waiting for it. No kernel can be faster than the largest of the three that its work takes. */
#define CL_TARGET_OPENCL_VERSION 120
#include "device/profile.h"

#include <CL/cl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Ten independent chains of multiply-adds in a work-item's registers: nothing but arithmetic. With TL_HALF the same in float16, two at
 * a time, as packed instructions of GPUs take them. A copy. And a kernel that does nothing. */
static char *peak_source(tl_error *err)
{
    return tl__strdup(err,
                      "#include \"common.clh\"\n"
                      "#ifdef TL_HALF\n"
                      "#pragma OPENCL EXTENSION cl_khr_fp16 : enable\n"
                      "__kernel void peak_half(G float *Y, int n BOUND)\n{\n    INSIDE;\n"
                      "    half2 s[10], a = (half2)((half)Y[0]), b = (half2)((half)Y[1]);\n"
                      "    UNROLL for (int i = 0; i < 10; i++) s[i] = (half2)((half)i);\n"
                      "    for (int k = 0; k < n; k++) UNROLL for (int i = 0; i < 10; i++) s[i] = fma(s[i], a, b);\n"
                      "    UNROLL for (int i = 1; i < 10; i++) s[0] += s[i];\n"
                      "    Y[2 + get_global_id(0)] = (float)s[0].x + (float)s[0].y;\n}\n"
                      "#else\n"
                      "__kernel void peak(G float *Y, int n BOUND)\n{\n    INSIDE;\n"
                      "    vf s[10], a = (vf)Y[0], b = (vf)Y[1];\n"
                      "    UNROLL for (int i = 0; i < 10; i++) s[i] = (vf)(float)i;\n"
                      "    for (int k = 0; k < n; k++) UNROLL for (int i = 0; i < 10; i++) s[i] = fma(s[i], a, b);\n"
                      "    UNROLL for (int i = 1; i < 10; i++) s[0] += s[i];\n"
                      "    VSTORE(s[0], get_global_id(0), Y + 2);\n}\n"
                      "__kernel void peak_copy(G const float *restrict X, G float *restrict Y, long n, long chunk BOUND)\n{\n    INSIDE;\n"
                      "    for (long i = get_global_id(0) * chunk, end = min(i + chunk, n); i + TL_VECTOR <= end; i += TL_VECTOR) VSTORE(VLOAD(0, X + i), 0, Y + i);\n}\n"
                      "__kernel void peak_idle(G float *Y, int n BOUND)\n{\n    INSIDE;\n    if (n) Y[get_global_id(0)] = 0;\n}\n"
                      "#endif\n");
}

static const tl_program peak_program = {"peak", peak_source};

/* GFLOP/s of the kernel, `wide` numbers of a work-item in each chain. */
static int arithmetic(tl_error *err, tl_device *d, const char *kernel, const char *options, int wide, double *gflops)
{
    enum { STEPS = 400000, LONGEST = 1 << 20 };
    const double enough = 0.02; /* seconds: a launch costs a GPU up to a hundredth of a millisecond, and its clock takes a while to rise */
    const tl_traits *t = &d->traits;
    size_t items = (size_t)t->compute_units * (t->is_cpu ? 4 : 2048);
    int steps = t->is_cpu ? STEPS : STEPS / 256, bad;
    tl_buffer *y = tl__buffer_new(err, d, (items * 16 + 32) * sizeof(float));
    if (!y) return -1;
    bad = tl__buffer_fill(err, y, 0, y->bytes, 0);
    tl_launch l = {.program = &peak_program, .options = options, .kernel = kernel, .dims = 1, .global = {items}, .local = {(size_t)t->is_cpu}};
    *gflops = 0;
    for (int r = 0; r < 6 && !bad; r++) {
        double start = now();
        bad = TL__LAUNCH(err, d, &l, "peak", TL_KBUF(y), TL_KI(steps)) != 0 || tl__device_finish(err, d) != 0;
        double took = now() - start, rate = 2.0 * 10 * wide * (double)items * steps / took / 1e9;
        if (rate > *gflops) *gflops = rate;
        if (took < enough && steps < LONGEST) steps *= 4, r = r > 0 ? r - 1 : 0; /* more turns are no further round */
    }
    tl__buffer_release(y);
    return bad ? -1 : 0;
}

static int copying(tl_error *err, tl_device *d, double *gbytes)
{
    /* More than the caches of a large GPU hold, but an eighth of its memory at most. */
    int64_t n = 16 << 20, chunk = d->traits.is_cpu ? 1 << 16 : d->traits.vector_width;
    while (!d->traits.is_cpu && n < 128 << 20 && (uint64_t)n * 4 * 16 <= d->traits.global_bytes && (uint64_t)n * 8 <= d->traits.max_buffer) n *= 2;
    while (n > 1 << 18 && (uint64_t)n * 4 * 8 > d->traits.global_bytes) n /= 2;
    tl_buffer *x = tl__buffer_new(err, d, (size_t)n * 4), *y = x ? tl__buffer_new(err, d, (size_t)n * 4) : NULL;
    int bad = !y || tl__buffer_fill(err, x, 0, x->bytes, 0) != 0;
    tl_launch l = {.program = &peak_program, .kernel = "peak_copy", .dims = 1, .global = {(size_t)((n + chunk - 1) / chunk)}, .local = {(size_t)d->traits.is_cpu}};
    *gbytes = 0;
    for (int r = 0; r < 6 && !bad; r++) {
        double start = now();
        bad = TL__LAUNCH(err, d, &l, "peak", TL_KBUF(x), TL_KBUF(y), TL_KL(n), TL_KL(chunk)) != 0 || tl__device_finish(err, d) != 0;
        double rate = 8.0 * (double)n / (now() - start) / 1e9;
        if (rate > *gbytes) *gbytes = rate;
    }
    if (x) tl__buffer_release(x);
    if (y) tl__buffer_release(y);
    return bad ? -1 : 0;
}

/* Seconds a launch of nothing takes when `together` of them stand in the queue, the best of some tries. */
static int launching(tl_error *err, tl_device *d, int together, double *seconds)
{
    tl_buffer *y = tl__buffer_new(err, d, 256);
    tl_launch l = {.program = &peak_program, .kernel = "peak_idle", .dims = 1, .global = {1}, .local = {1}};
    int bad = !y;
    *seconds = 0;
    for (int r = 0; r < 20 && !bad; r++) {
        double start = now();
        for (int i = 0; i < together && !bad; i++) bad = TL__LAUNCH(err, d, &l, "peak", TL_KBUF(y), TL_KI(0)) != 0;
        bad = bad || tl__device_finish(err, d) != 0;
        double took = (now() - start) / together;
        if (r == 1 || (r > 1 && took < *seconds)) *seconds = took; /* the first compiles */
    }
    if (y) tl__buffer_release(y);
    return bad ? -1 : 0;
}

static int has_half(const tl_device *d)
{
    size_t n = 0;
    if (clGetDeviceInfo(d->id, CL_DEVICE_EXTENSIONS, 0, NULL, &n) != CL_SUCCESS || n == 0 || n > 1 << 20) return 0;
    char *text = tl__calloc(NULL, n + 1, 1);
    int has = text && clGetDeviceInfo(d->id, CL_DEVICE_EXTENSIONS, n, text, NULL) == CL_SUCCESS && strstr(text, "cl_khr_fp16");
    free(text);
    return has;
}

int tl__device_peaks(tl_error *err, tl_device *d, double *gflops, double *gbytes)
{
    int bad = arithmetic(err, d, "peak", NULL, d->traits.vector_width, gflops) != 0 || copying(err, d, gbytes) != 0;
    tl__pool_flush(d->pool); /* the copies were large */
    return bad ? -1 : 0;
}

int tl__device_roofline(tl_error *err, tl_device *d, tl_roofline *r)
{
    tl_error refused = {0};
    *r = (tl_roofline){0};
    if (tl__device_peaks(err, d, &r->gflops, &r->gbytes) != 0 || launching(err, d, 200, &r->launch) != 0 ||
        launching(err, d, 1, &r->round_trip) != 0)
        return -1;
    /* A driver that has the extension and no compiler for it has no float16. */
    if (has_half(d) && arithmetic(&refused, d, "peak_half", "-DTL_HALF", 2, &r->half_gflops) != 0) r->half_gflops = 0;
    if (refused.code == TL_EMEMORY || refused.code == TL_EINTERRUPT) return tl__fail(err, refused.code, "%s", refused.text);
    return 0;
}
