/* clblast.c - CLBlast as a maker. The library is loaded when it is first wanted, since loading it would
 * cost every start; where it is absent the other makers do the work. One thread calls it. It has no
 * epilogue, so a small kernel follows, and its scratch memory comes from our pool. */
#define CL_TARGET_OPENCL_VERSION 120
#include "device/gemm/maker.h"
#include "device/profile.h"

#include <clblast_c.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef CLBlastStatusCode gemm_call(CLBlastLayout, CLBlastTranspose, CLBlastTranspose, size_t, size_t, size_t, float, cl_mem, size_t, size_t,
                                    cl_mem, size_t, size_t, float, cl_mem, size_t, size_t, cl_command_queue *, cl_event *, cl_mem);
typedef CLBlastStatusCode size_call(CLBlastLayout, CLBlastTranspose, CLBlastTranspose, size_t, size_t, size_t, size_t, size_t, size_t, size_t,
                                    size_t, size_t, cl_command_queue *, size_t *);
typedef CLBlastStatusCode batched_call(CLBlastLayout, CLBlastTranspose, CLBlastTranspose, size_t, size_t, size_t, float, cl_mem, size_t, size_t,
                                       size_t, cl_mem, size_t, size_t, size_t, float, cl_mem, size_t, size_t, size_t, size_t,
                                       cl_command_queue *, cl_event *);

/* Of one device; freed with it by free(), so it holds nothing that needs more. */
typedef struct library {
    int absent;
    gemm_call *gemm;
    size_call *size;
    batched_call *batched;
} library;

static library *load(tl_device *d)
{
    if (d->clblast) return d->clblast;
    tl_error quiet = {0};
    library *l = tl__calloc(&quiet, 1, sizeof *l);
    if (!l) return NULL;
    void *handle = dlopen("libclblast.so.1", RTLD_NOW | RTLD_LOCAL);
    if (handle) {
        /* POSIX gives functions as void *; ISO C has no such conversion but through memory. */
        *(void **)&l->gemm = dlsym(handle, "CLBlastSgemmWithTempBuffer");
        *(void **)&l->size = dlsym(handle, "CLBlastSGemmTempBufferSize");
        *(void **)&l->batched = dlsym(handle, "CLBlastSgemmStridedBatched");
    }
    l->absent = !l->gemm || !l->size || !l->batched;
    d->clblast = l;
    return l;
}

/* BLAS wants one stride of 1 and the other at least as long as the line; a single row or column has any. */
static int lines(const tl_matrix *x, int64_t rows, int64_t cols, CLBlastTranspose *how, size_t *ld)
{
    if (x->col == 1 && x->row >= cols && cols > 0) {
        *how = CLBlastTransposeNo;
        *ld = (size_t)x->row;
        return 1;
    }
    *how = CLBlastTransposeYes;
    *ld = (size_t)x->col;
    return x->row == 1 && x->col >= rows && rows > 0;
}

int tl__gemm_clblast_needs(tl_device *d, const tl_gemm *g)
{
    CLBlastTranspose how;
    size_t ld;
    if (g->patches || !lines(&g->a, g->m, g->k, &how, &ld) || !lines(&g->b, g->k, g->n, &how, &ld) || g->c.row < g->n || g->k <= 0) return 0;
    const library *l = load(d);
    return !l || !l->absent; /* without memory to load it nobody knows: the product will say so, and not be another one's */
}

static int device_suits(tl_device *d) { return !d->traits.is_cpu && !d->traits.fragile; }

/* On GPUs that have no room for our tiles (gemm.c asks those first), and where `tlua tune` finds it faster: for
 * products large enough to pay for its launches; not where the driver is known to break easily. Not for batches:
 * CLBlast compiles another program for them. */
int tl__gemm_clblast_suits(tl_device *d, const tl_gemm *g)
{
    return device_suits(d) && g->m >= 64 && g->n >= 64 && g->k >= 64 && g->batch == 1;
}

static int check(tl_error *err, CLBlastStatusCode status, const char *label)
{
    if (status == CLBlastSuccess) return 0;
    if (status > -1024) return tl__cl_check(err, (int)status, "CLBlast failed", label);
    return tl__fail(err, TL_EDEVICE, "%s: CLBlast failed (%d)", label, (int)status);
}

static const tl_program epilogue_program = {"gemm_epilogue", NULL};

static int epilogue(tl_error *err, tl_device *d, const tl_gemm *g, const char *label)
{
    int64_t v = d->traits.vector_width;
    if (!g->bias && !g->residual.buffer && g->activation == TL_ACT_NONE) return 0;
    tl_gemm_args args;
    tl__gemm_fill(&args, g);
    tl_launch l = {.program = &epilogue_program, .kernel = "gemm_epilogue", .dims = 3,
                   .global = {(size_t)((g->n + v - 1) / v), (size_t)g->m, (size_t)g->batch}};
    return TL__LAUNCH(err, d, &l, label, TL_KDATA(&args), TL_KBUF(g->c.buffer), TL_KBUF(g->bias), TL_KBUF(g->residual.buffer));
}

/* The library keeps its programs for all devices together, and is called by one thread at a time (CLBlast 486). */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static int multiply(tl_error *err, tl_device *d, const library *lib, const tl_gemm *g, const char *label)
{
    CLBlastTranspose ta, tb;
    size_t lda, ldb, temporary = 0, m = (size_t)g->m, n = (size_t)g->n, k = (size_t)g->k, ldc = (size_t)g->c.row;
    size_t a0 = (size_t)g->a.offset, b0 = (size_t)g->b.offset, c0 = (size_t)g->c.offset;
    cl_command_queue queue = d->queue;
    float beta = g->accumulate ? 1.0f : 0.0f;
    if (tl__buffer_settle(err, g->a.buffer) != 0 || tl__buffer_settle(err, g->b.buffer) != 0) return -1;
    lines(&g->a, g->m, g->k, &ta, &lda);
    lines(&g->b, g->k, g->n, &tb, &ldb);
    if (g->batch <= 1 && check(err, lib->size(CLBlastLayoutRowMajor, ta, tb, m, n, k, a0, lda, b0, ldb, c0, ldc, &queue, &temporary), label) != 0) return -1;
    tl_buffer *t = temporary ? tl__buffer_new(err, d, temporary) : NULL;
    if (temporary && !t) return -1;
    cl_event from = NULL, last = NULL, *wanted = tl__profile_wants_events(d) ? &last : NULL;
    if (wanted) clEnqueueMarkerWithWaitList(queue, 0, NULL, &from); /* without it the profile has the last command alone */
    int status = check(err, g->batch > 1
        ? lib->batched(CLBlastLayoutRowMajor, ta, tb, m, n, k, g->alpha, g->a.buffer->mem, a0, lda, (size_t)g->a.batch, g->b.buffer->mem, b0, ldb,
                       (size_t)g->b.batch, beta, g->c.buffer->mem, c0, ldc, (size_t)g->c.batch, (size_t)g->batch, &queue, wanted)
        : lib->gemm(CLBlastLayoutRowMajor, ta, tb, m, n, k, g->alpha, g->a.buffer->mem, a0, lda, g->b.buffer->mem, b0, ldb, beta, g->c.buffer->mem, c0, ldc,
                    &queue, wanted, t ? t->mem : NULL), label);
    if (last) tl__profile_stretch(d, "clblast", label, from, last);
    else if (from) clReleaseEvent(from);
    d->launches++;
    if (t) tl__buffer_release(t);
    return status == 0 && d->sync_each ? tl__cl_check(err, clFinish(queue), "CLBlast", label) : status;
}

int tl__gemm_clblast(tl_error *err, tl_device *d, const tl_gemm *g, const char *label)
{
    const library *lib = load(d);
    if (!lib) return tl__fail(err, TL_EMEMORY, "%s: no host memory for CLBlast", label);
    if (lib->absent) return tl__fail(err, TL_EDEVICE, "%s: there is no libclblast.so.1", label);
    if (d->dry) return 0;
    if (tl__buffer_check(err, g->a.buffer, label) != 0 || tl__buffer_check(err, g->b.buffer, label) != 0) return -1;
    if (tl__may_launch(err, d) != 0) return -1;
    pthread_mutex_lock(&one_at_a_time);
    int status = multiply(err, d, lib, g, label);
    pthread_mutex_unlock(&one_at_a_time);
    return status == 0 ? epilogue(err, d, g, label) : -1;
}

static int try_square(tl_error *err, tl_device *d, int64_t side)
{
    tl_gemm g = {.m = side, .n = side, .k = side, .batch = 1, .alpha = 1};
    tl_buffer *all = tl__buffer_new(err, d, (size_t)(3 * side * side) * sizeof(float));
    if (!all) return -1;
    for (int i = 0; i < 3; i++) *(i == 0 ? &g.a : i == 1 ? &g.b : &g.c) = (tl_matrix){all, i * side * side, side, 1, 0};
    int bad = tl__buffer_fill(err, all, 0, all->bytes, 0) != 0 || !tl__gemm_clblast_needs(d, &g) || tl__gemm_clblast(err, d, &g, "clblast") != 0 ||
              tl__device_finish(err, d) != 0;
    tl__buffer_release(all);
    return bad ? -1 : 0;
}

/* CLBlast keeps compiled programs for the process alone, and its CLBlastFillCache compiles every routine it has. One small and one
 * large product have it compile its two ways to multiply, and nothing else. */
void tl__gemm_prepare(tl_device *d)
{
    const char *forced = getenv("TLUA_GEMM");
    int clblast = forced && strcmp(forced, "clblast") == 0, own = forced && strcmp(forced, "own") == 0;
    if (own || !(clblast || (device_suits(d) && !tl__gemm_gpu_has_room(d)))) return;
    tl_error err = {0}; /* where it is forced, a product will say what is wrong */
    library *l = load(d);
    if (l && !l->absent && (try_square(&err, d, 64) != 0 || try_square(&err, d, 1024) != 0) && !clblast && err.code && err.code != TL_EMEMORY) {
        l->absent = 1;
        snprintf(d->note, sizeof d->note, "CLBlast does not work here (%.200s); tlua's own kernels multiply", err.text);
    }
    tl__pool_flush(d->pool);
    tl__pool_reset_peak(d->pool);
}
