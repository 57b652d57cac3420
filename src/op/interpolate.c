/* interpolate.c - pictures at another size, by the nearest pixel or linearly between neighbours, in one to three dimensions. */
#include "op/op.h"

#include <math.h>
#include <string.h>

static const tl_program program = {"interpolate", NULL}, resample_program = {"resample", NULL};
enum { SIZE, SCALE, MODE, ALIGN, COORDINATES, ROUNDING, FACTORS, CUBIC_A, EXCLUDE };
enum { NEAREST, LINEAR, CUBIC };
static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
enum { USUAL, HALF_PIXEL, HALF_PIXEL_SYMMETRIC, PYTORCH_HALF_PIXEL, ALIGN_CORNERS, ASYMMETRIC, TF_HALF_PIXEL };
static const char *const coordinates[] = {"usual",         "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",
                                          "align_corners", "asymmetric", "tf_half_pixel_for_nn", NULL};
static const char *const roundings[] = {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil", NULL};

/* cl/interpolate.cl has the same struct. */
typedef struct resize_args {
    int64_t in[3], out[3];
    int64_t channels, part;
    float scale[3];
    int32_t linear, align_corners, unused;
} resize_args;

/* cl/resample.cl has the same struct. */
typedef struct resample_args {
    int64_t in[3], out[3];
    int64_t channels, part;
    float factor[3], cubic;
    int32_t mode, coordinates, rounding, exclude;
} resample_args;

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
    const tl_value *factors = &c->attr[FACTORS];
    if (factor > 0 ? size->n + factors->n > 0 : size->n + factors->n == 0)
        return tl__op_fail(err, c, TL_EARG, "give either a size or a scale");
    if (factors->n > 1 && factors->n != spatial)
        return tl__op_fail(err, c, TL_EARG, "factors has %d numbers for %d dimensions", factors->n, spatial);
    if (size->n > 1 && size->n != spatial) return tl__op_fail(err, c, TL_EARG, "size has %d numbers for %d dimensions", size->n, spatial);
    if (c->attr[ALIGN].i && c->attr[MODE].i == NEAREST) return tl__op_fail(err, c, TL_EARG, "align_corners goes with the linear mode");
    if (c->attr[ALIGN].i && c->attr[COORDINATES].i != USUAL)
        return tl__op_fail(err, c, TL_EARG, "give either align_corners or coordinates");
    *a = (resize_args){.channels = x->dim[x->rank - 1], .linear = c->attr[MODE].i == LINEAR, .align_corners = c->attr[ALIGN].i != 0};
    for (int i = 0; i < 3; i++) {
        a->in[i] = i < lead ? 1 : x->dim[1 + i - lead];
        double times = factors->n ? factors->numbers[factors->n == 1 || i < lead ? 0 : i - lead] : 1;
        if (!(times > 0 && times <= 1 << 24)) return tl__op_fail(err, c, TL_EARG, "a factor of %g", times);
        a->out[i] = i < lead      ? 1
                    : factor > 0  ? a->in[i] * factor
                    : size->n > 0 ? size->list[size->n == 1 ? 0 : i - lead]
                                  : (int64_t)fmin(floor((double)a->in[i] * times), 1 << 25);
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

/* Whether cl/interpolate.cl has it: PyTorch's nearest and linear ways, by sizes alone. */
static int is_usual(const tl_call *c)
{
    int64_t mode = c->attr[MODE].i, where = c->attr[COORDINATES].i, usual = mode == NEAREST ? ASYMMETRIC : HALF_PIXEL;
    if (mode == CUBIC || c->attr[FACTORS].n || c->attr[EXCLUDE].i) return 0;
    return (where == USUAL || where == usual) && (mode != NEAREST || c->attr[ROUNDING].i == 0);
}

static int resample(tl_scope *s, const tl_call *c, const resize_args *size, int backward, tl_tensor *from,
                    tl_tensor *to)
{
    const tl_value *factors = &c->attr[FACTORS];
    int spatial = c->in_meta[0].shape.rank - 2, lead = 3 - spatial;
    resample_args a = {.channels = size->channels,
                       .cubic = (float)c->attr[CUBIC_A].f,
                       .mode = (int32_t)c->attr[MODE].i,
                       .coordinates = (int32_t)(c->attr[ALIGN].i ? ALIGN_CORNERS : c->attr[COORDINATES].i),
                       .rounding = (int32_t)c->attr[ROUNDING].i,
                       .exclude = c->attr[EXCLUDE].i != 0};
    if (a.coordinates == USUAL && a.mode == NEAREST) a.coordinates = ASYMMETRIC;
    memcpy(a.in, size->in, sizeof a.in);
    memcpy(a.out, size->out, sizeof a.out);
    for (int i = 0; i < 3; i++) {
        a.factor[i] = (float)a.out[i] / (float)a.in[i];
        if (factors->n && i >= lead) a.factor[i] = (float)factors->numbers[factors->n == 1 ? 0 : i - lead];
    }
    const int64_t *written = backward ? a.in : a.out;
    int64_t v = s->device->traits.vector_width,
            pixels = c->in_meta[0].shape.dim[0] * written[0] * written[1] * written[2];
    a.part = s->device->traits.is_cpu && pixels > 64 * s->device->traits.compute_units ? a.channels : v;
    if (a.channels == 0) return 0;
    tl_launch l = {.program = &resample_program,
                   .kernel = backward ? "resample_dx" : "resample",
                   .dims = 2,
                   .global = {(size_t)((a.channels + a.part - 1) / a.part), (size_t)pixels}};
    return TL__LAUNCH(&s->err, s->device, &l, "interpolate", TL_KDATA(&a), TL_KT(from), TL_KT(to));
}

static int interpolate_forward(tl_scope *s, const tl_call *c)
{
    resize_args a;
    if (geometry(&s->err, c, &a) != 0) return -1;
    if (!is_usual(c)) return resample(s, c, &a, 0, c->in[0], c->out[0]);
    return launch(s, &a, "interpolate", c->in_meta[0].shape.dim[0], a.out, c->in[0], c->out[0]);
}

static void interpolate_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    resize_args a;
    const tl_shape *x = &c->in_meta[0].shape;
    tl_tensor *g = tl__packed(s, gy[0]), *dx = tl_empty(s, TL_F32, x->rank, x->dim);
    if (!g || !dx || geometry(&s->err, c, &a) != 0) return;
    int bad = is_usual(c) ? launch(s, &a, "interpolate_dx", x->dim[0], a.in, g, dx) : resample(s, c, &a, 1, g, dx);
    if (bad == 0) gx[0] = dx;
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
    take(to, 2, DIMS(2, 5, 6, 3), DIMS(8, 4), 0, CUBIC, 0);
    take(to, 2, DIMS(1, 4, 3, 17), DIMS(7, 9), 0, CUBIC, 1);
    take(to, 1, DIMS(1, 6, 2), NULL, 2, CUBIC, 0);
    take(to, 3, DIMS(1, 3, 4, 3, 2), DIMS(5, 3, 4), 0, CUBIC, 0);
    for (int where = HALF_PIXEL; where <= TF_HALF_PIXEL; where++)
        for (int mode = NEAREST; mode <= CUBIC; mode++)
            for (int k = 0; k < (where == HALF_PIXEL || mode == NEAREST ? 2 : 1); k++) {
                tl_sample v = tl__sample(&tl__op_interpolate);
                tl__sample_input(&v, 4, DIMS(1, 5, 4, 3), -1, 1);
                if (k == 0) v.attr[FACTORS] = (tl_value){.n = 2, .numbers = {1.7, 0.6}};
                else v.attr[SIZE] = (tl_value){.n = 2, .list = {3, 9}};
                v.attr[MODE].i = mode;
                v.attr[COORDINATES].i = where;
                v.attr[ROUNDING].i = (where + k) % 4;
                v.attr[EXCLUDE].i = mode == CUBIC && k;
                v.attr[CUBIC_A].f = k ? -0.5 : -0.75;
                to->take(to, &v);
            }
}

const tl_op tl__op_interpolate = {
    .name = "interpolate",
    .brief =
        "`x` (N, ..., C) at another size, by the nearest pixel, or linearly or by cubic curves between neighbours.",
    .inputs = {"x"},
    .attrs =
        {TL_INTS("size", "of the result, one number or one a dimension"),
         TL_INT("scale", 0, "instead of a size: how many times as large"),
         TL_CHOICE("mode", modes, "nearest, or linear or cubic in each dimension"),
         TL_BOOL_("align_corners", 0, "linear: the corner pixels' centres stay where they are, instead of their edges"),
         TL_CHOICE("coordinates", coordinates,
                   "where a pixel of the result lies among those of `x`, as ONNX's Resize calls it; usual: half_pixel, "
                   "and asymmetric where the mode is nearest"),
         TL_CHOICE("rounding", roundings, "nearest: which pixel that is"),
         TL_FLOATS("factors", "how many times as large, one number or one a dimension: by these coordinates are worked "
                              "out, and without a size that, "
                              "rounded down"),
         TL_FLOAT("cubic_a", -0.75, "cubic: the curve's slope one pixel away"),
         TL_BOOL_("exclude_outside", 0, "pixels beyond the edge have no share, instead of being the last ones again")},
    .infer = interpolate_infer,
    .forward = interpolate_forward,
    .vjp = interpolate_vjp,
    .torch =
        "interpolate(x, size, scale, mode, align_corners, coordinates, rounding, factors, cubic_a, exclude_outside)",
    .samples = interpolate_samples,
};

tl_tensor *tl_interpolate(tl_scope *s, tl_tensor *x, const int64_t *size, int scale, int linear, int align_corners)
{
    tl_value a[TL_MAX_ATTRS];
    tl__attr_defaults(&tl__op_interpolate, a);
    a[SCALE].i = scale;
    a[MODE].i = linear ? LINEAR : NEAREST;
    a[ALIGN].i = align_corners != 0;
    if (!s || s->err.code || !x) return NULL;
    for (int i = 0; size && i < x->shape.rank - 2 && i < 3; i++) a[SIZE].list[a[SIZE].n++] = size[i];
    return tl__apply(s, &tl__op_interpolate, &x, 1, a, NULL);
}
