/* pooling.c - largest and mean of windows and their gradients against plain loops, and what happens to NaN. */
#include "device_tests.h"

#include <math.h>

typedef struct window { int in[2], c, kernel, stride, padding, end, ceil, no_padding; } window;

/* Outputs along a side. */
static int64_t outputs(const window *p, int in)
{
    int64_t reach = in + p->padding + p->end - p->kernel, n = reach / p->stride + 1;
    return p->ceil && reach % p->stride && n * p->stride < in + p->padding ? n + 1 : n;
}

/* What the mean of a window counts along a side: PyTorch's definition, with ONNX's padding of its own at the end. */
static int64_t counted(const window *p, int in, int64_t from)
{
    int64_t to = from + p->kernel, last = in + (p->no_padding ? 0 : p->end);
    return (to < last ? to : last) - (p->no_padding && from < 0 ? 0 : from);
}

static tl_tensor *pooled(tl_scope *s, const window *p, int is_max, tl_tensor *x)
{
    const tl_op *op = tl__op_find(is_max ? "max_pool" : "avg_pool");
    tl_value a[TL_MAX_ATTRS];
    tl__attr_defaults(op, a);
    const int64_t lists[] = {p->kernel, p->stride, p->padding, p->end};
    for (int i = 0; i < 4; i++) a[i] = (tl_value){.n = 1, .list = {lists[i]}};
    a[4].i = p->ceil;
    if (!is_max) a[5].i = !p->no_padding;
    return tl__apply(s, op, &x, 1, a, NULL);
}

/* Largest, or mean, of each window; then the gradient of sum(gy y) towards x. */
static void check_pool(tl_device *d, const window *p, int is_max)
{
    int64_t out[2], nx = 2 * p->in[0] * p->in[1] * p->c, ny = 2 * p->c;
    for (int i = 0; i < 2; i++) ny *= out[i] = outputs(p, p->in[i]);
    float *x = random_floats(nx, 21), *gy = random_floats(ny, 22), *got = malloc((size_t)(nx > ny ? nx : ny) * 4);
    double *y = calloc((size_t)ny, 8), *dx = calloc((size_t)nx, 8);
    for (int64_t i = 0; i < nx; i++) x[i] = (float)(int)(x[i] * 4); /* equal elements, of which the first takes the gradient */
    for (int64_t at = 0; at < ny; at++) {
        int64_t c = at % p->c, w = at / p->c % out[1], h = at / p->c / out[1] % out[0], n = at / p->c / out[1] / out[0], best = -1;
        double sum = 0, area = (double)(counted(p, p->in[0], h * p->stride - p->padding) * counted(p, p->in[1], w * p->stride - p->padding));
        for (int pass = 0; pass < 2; pass++)
            for (int64_t k = 0; k < p->kernel * p->kernel; k++) {
                int64_t v = h * p->stride - p->padding + k / p->kernel, u = w * p->stride - p->padding + k % p->kernel;
                int64_t from = ((n * p->in[0] + v) * p->in[1] + u) * p->c + c;
                if (v < 0 || v >= p->in[0] || u < 0 || u >= p->in[1]) continue;
                if (pass == 0) {
                    sum += x[from];
                    if (best < 0 || x[from] > x[best]) best = from;
                } else if (!is_max) dx[from] += gy[at] / area;
            }
        y[at] = is_max ? x[best] : sum / area;
        if (is_max) dx[best] += gy[at];
    }
    tl_scope *s = open_scope(d);
    tl_tensor *tx = tl_from(s, TL_F32, 4, (int64_t[]){2, p->in[0], p->in[1], p->c}, x);
    tl_require_grad(s, tx, 1);
    tl_tensor *ty = pooled(s, p, is_max, tx);
    cr_assert(ty, "%s", s->err.text);
    cr_assert(tl_numel(ty) == ny && tl_dim(ty, 1) == out[0] && tl_dim(ty, 2) == out[1]);
    tl_read(s, ty, got, (size_t)ny * 4);
    for (int64_t i = 0; i < ny; i++) cr_assert_float_eq(got[i], y[i], 2e-6, "max %d, %dx%dx%d: output %d", is_max, p->in[0], p->in[1], p->c, (int)i);
    tl_backward(s, ty, tl_from(s, TL_F32, 4, (int64_t[]){2, out[0], out[1], p->c}, gy), 0);
    tl_read(s, tl_grad(tx), got, (size_t)nx * 4);
    for (int64_t i = 0; i < nx; i++) cr_assert_float_eq(got[i], dx[i], 4e-6, "max %d, %dx%dx%d: gradient %d", is_max, p->in[0], p->in[1], p->c, (int)i);
    close_scope(s);
    free(x);
    free(gy);
    free(got);
    free(y);
    free(dx);
}

static void check_pools(const char *vector)
{
    /* size, channels, kernel, stride, padding before and after, ceil mode, whether padding is left out of means */
    static const window windows[] = {{{6, 5}, 3, 2, 2, 0, 0, 0, 0}, {{7, 7}, 16, 3, 2, 1, 1, 0, 0}, {{9, 8}, 33, 3, 1, 1, 1, 0, 0}, {{12, 13}, 17, 3, 2, 1, 1, 0, 0},
                                     {{5, 5}, 64, 5, 5, 0, 0, 0, 0}, {{3, 3}, 8, 3, 1, 0, 0, 0, 0}, {{6, 7}, 5, 3, 2, 0, 1, 0, 0}, {{6, 7}, 17, 3, 2, 0, 2, 0, 0},
                                     {{6, 7}, 5, 3, 2, 1, 0, 0, 0}, {{8, 6}, 4, 3, 2, 0, 1, 0, 1}, {{7, 8}, 3, 4, 3, 2, 1, 1, 0}, {{7, 8}, 3, 4, 3, 1, 3, 1, 0},
                                     {{6, 9}, 16, 3, 2, 1, 1, 1, 0}, {{6, 9}, 16, 3, 2, 0, 1, 1, 1}};
    tl_device *d = open_device(vector);
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        check_pool(d, &windows[i], 0);
        check_pool(d, &windows[i], 1);
    }
    close_device(d);
}

Test(pooling, makers_16) { check_pools("16"); }
Test(pooling, makers_4) { check_pools("4"); }
Test(pooling, makers_gpu) { check_pools("1"); }

/* A NaN is the result of its window wherever it lies, and takes the gradient; of several, the last (as PyTorch does). Where all
 * are equal, were it -infinity, the first element takes it. */
static void check_nan(const char *vector)
{
    enum { C = 17, LAST = C - 1 };
    static const struct { float x[4]; int winner; } windows[] = {
        {{1, NAN, 3, 2}, 1}, {{NAN, 1, 2, 3}, 0}, {{1, 2, 3, NAN}, 3}, {{NAN, 5, NAN, 1}, 2}, {{-INFINITY, -INFINITY, -INFINITY, -INFINITY}, 0}};
    tl_device *d = open_device(vector);
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        tl_scope *s = open_scope(d);
        float x[4 * C], y[C], gx[4 * C];
        for (int k = 0; k < 4 * C; k++) x[k] = (float)k;
        for (int k = 0; k < 4; k++) x[k * C + 3] = x[k * C + LAST] = windows[i].x[k];
        tl_tensor *tx = tl_from(s, TL_F32, 4, (int64_t[]){1, 2, 2, C}, x);
        tl_require_grad(s, tx, 1);
        tl_tensor *ty = tl_max_pool(s, tx, 2, 2, 0);
        tl_read(s, ty, y, sizeof y);
        tl_backward(s, ty, tl_full(s, TL_F32, 4, (int64_t[]){1, 1, 1, C}, 1), 0);
        tl_read(s, tl_grad(tx), gx, sizeof gx);
        for (int c = 0; c < C; c++) {
            int set = c == 3 || c == LAST, winner = set ? windows[i].winner : 3;
            float top = x[winner * C + c];
            cr_expect(isnan(top) ? isnan(y[c]) : y[c] == top, "window %zu: channel %d is %g, not %g", i, c, y[c], top);
            for (int k = 0; k < 4; k++) cr_expect_float_eq(gx[k * C + c], k == winner, 0, "window %zu, channel %d: gradient %d is %g", i, c, k, gx[k * C + c]);
        }
        close_scope(s);
    }
    close_device(d);
}

Test(pooling, nan_16) { check_nan("16"); }
Test(pooling, nan_4) { check_nan("4"); }
Test(pooling, nan_gpu) { check_nan("1"); }
