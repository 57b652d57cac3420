/* interpolate.c - pictures at another size, by the nearest pixel or linearly between neighbours, in one to three dimensions. */
#include "op/op.h"

static const tl_program program = {"interpolate", NULL};
enum { SIZE, SCALE, MODE, ALIGN };
enum { NEAREST, LINEAR };
static const char *const modes[] = {"nearest", "linear", NULL};

/* cl/interpolate.cl has the same struct. */
typedef struct resize_args {
    int64_t in[3], out[3];
    int64_t channels, part;
    float scale[3];
    int32_t linear, align_corners, unused;
} resize_args;

/* PyTorch's: the corners of both grids meet, or the edges of their first and last pixels. */
static float scale_of(int64_t in, int64_t out, int corners) { return corners ? out > 1 ? (float)(in - 1) / (float)(out - 1) : 0.0f : (float)in / (float)out; }

static int geometry(tl_error *err, const tl_call *c, resize_args *a)
{
    const tl_shape *x = &c->in_meta[0].shape;
    const tl_value *size = &c->attr[SIZE];
    int64_t factor = c->attr[SCALE].i;
    char text[TL__SHAPE_TEXT];
    int spatial = x->rank - 2, lead = 3 - spatial;
    if (spatial < 1 || spatial > 3) return tl__op_fail(err, c, TL_ESHAPE, "pictures (N, ..., C) of one to three dimensions are needed, not %s", tl__shape_text(x, text, sizeof text));
    if ((size->n > 0) == (factor > 0)) return tl__op_fail(err, c, TL_EARG, "give either a size or a scale");
    if (size->n > 1 && size->n != spatial) return tl__op_fail(err, c, TL_EARG, "size has %d numbers for %d dimensions", size->n, spatial);
    if (c->attr[ALIGN].i && c->attr[MODE].i == NEAREST) return tl__op_fail(err, c, TL_EARG, "align_corners goes with the linear mode");
    *a = (resize_args){.channels = x->dim[x->rank - 1], .linear = c->attr[MODE].i == LINEAR, .align_corners = c->attr[ALIGN].i != 0};
    for (int i = 0; i < 3; i++) {
        a->in[i] = i < lead ? 1 : x->dim[1 + i - lead];
        a->out[i] = i < lead ? 1 : factor > 0 ? a->in[i] * factor : size->list[size->n == 1 ? 0 : i - lead];
        if (a->in[i] < 1 || a->out[i] < 1 || a->out[i] > 1 << 24)
            return tl__op_fail(err, c, TL_ESHAPE, "%lld pixels do not become %lld", (long long)a->in[i], (long long)a->out[i]);
        a->scale[i] = scale_of(a->in[i], a->out[i], a->align_corners);
    }
    return 0;
}

static int interpolate_infer(tl_error *err, tl_call *c)
{
    resize_args a;
    if (geometry(err, c, &a) != 0) return -1;
    tl_shape y = c->in_meta[0].shape;
    for (int i = 0; i < y.rank - 2; i++) y.dim[1 + i] = a.out[3 - (y.rank - 2) + i];
    c->n_out = 1;
    c->out_meta[0] = (tl_meta){y, TL_F32};
    return 0;
}

/* Work-items over parts of the channels and over the pixels of the side that is written. */
static int launch(tl_scope *s, resize_args *a, const char *kernel, int64_t n, const int64_t *size, tl_tensor *from, tl_tensor *to)
{
    int64_t v = s->device->traits.vector_width, pixels = n * size[0] * size[1] * size[2];
    a->part = s->device->traits.is_cpu && pixels > 64 * s->device->traits.compute_units ? a->channels : v;
    if (a->channels == 0) return 0;
    tl_launch l = {.program = &program, .kernel = kernel, .dims = 2, .global = {(size_t)((a->channels + a->part - 1) / a->part), (size_t)pixels}};
    return TL__LAUNCH(&s->err, s->device, &l, "interpolate", TL_KDATA(a), TL_KT(from), TL_KT(to));
}

static int interpolate_forward(tl_scope *s, const tl_call *c)
{
    resize_args a;
    return geometry(&s->err, c, &a) == 0 ? launch(s, &a, "interpolate", c->in_meta[0].shape.dim[0], a.out, c->in[0], c->out[0]) : -1;
}

static void interpolate_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    resize_args a;
    const tl_shape *x = &c->in_meta[0].shape;
    tl_tensor *g = tl__packed(s, gy[0]), *dx = tl_empty(s, TL_F32, x->rank, x->dim);
    if (g && dx && geometry(&s->err, c, &a) == 0 && launch(s, &a, "interpolate_dx", x->dim[0], a.in, g, dx) == 0) gx[0] = dx;
}

extern const tl_op tl__op_interpolate;

static void take(tl_sampler *to, int spatial, const int64_t *x, const int64_t *size, int64_t scale, int mode, int align)
{
    tl_sample v = tl__sample(&tl__op_interpolate);
    tl__sample_input(&v, spatial + 2, x, -1, 1);
    for (int i = 0; size && i < spatial; i++) v.attr[SIZE].list[v.attr[SIZE].n++] = size[i];
    v.attr[SCALE].i = scale;
    v.attr[MODE].i = mode;
    v.attr[ALIGN].i = align;
    to->take(to, &v);
}

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})
static void interpolate_samples(tl_sampler *to)
{
    for (int mode = NEAREST; mode <= LINEAR; mode++)
        for (int align = 0; align <= mode; align++) {
            take(to, 2, DIMS(2, 3, 4, 3), NULL, 2, mode, align);
            take(to, 2, DIMS(1, 5, 4, 17), DIMS(8, 3), 0, mode, align);
            take(to, 2, DIMS(1, 7, 6, 1), DIMS(3, 13), 0, mode, align);
            take(to, 2, DIMS(1, 1, 3, 4), DIMS(4, 1), 0, mode, align);
            take(to, 1, DIMS(2, 6, 5), DIMS(9), 0, mode, align);
            take(to, 3, DIMS(1, 2, 3, 2, 3), DIMS(3, 2, 4), 0, mode, align);
        }
}

const tl_op tl__op_interpolate = {
    .name = "interpolate", .brief = "`x` (N, ..., C) at another size, by the nearest pixel or linearly between neighbours.", .inputs = {"x"},
    .attrs = {TL_INTS("size", "of the result, one number or one a dimension"), TL_INT("scale", 0, "instead of a size: how many times as large"),
              TL_CHOICE("mode", modes, "nearest, or linear in each dimension"),
              TL_BOOL_("align_corners", 0, "linear: the corner pixels' centres stay where they are, instead of their edges")},
    .infer = interpolate_infer, .forward = interpolate_forward, .vjp = interpolate_vjp, .torch = "interpolate(x, size, scale, mode, align_corners)",
    .samples = interpolate_samples,
};

tl_tensor *tl_interpolate(tl_scope *s, tl_tensor *x, const int64_t *size, int scale, int linear, int align_corners)
{
    tl_value a[TL_MAX_ATTRS] = {{.n = 0}, {.i = scale}, {.i = linear ? LINEAR : NEAREST}, {.i = align_corners != 0}};
    if (!s || s->err.code || !x) return NULL;
    for (int i = 0; size && i < x->shape.rank - 2 && i < 3; i++) a[SIZE].list[a[SIZE].n++] = size[i];
    return tl__apply(s, &tl__op_interpolate, &x, 1, a, NULL);
}
