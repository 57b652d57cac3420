/* layer_norm.c - rows normalised by their own mean and variance. The gradient keeps them, not the result. */
#include "op/op.h"

#include <string.h>

static const tl_program program = {"cpu/layer_norm", NULL}, grouped = {"gpu/layer_norm_gpu", NULL};
#define ROWS(s, kernel, rows, n, ...)                                                                    \
    tl__launch_by_rows(s, &program, &grouped, kernel, "layer_norm", rows, n, (tl_karg[]){__VA_ARGS__}, \
                       (int)(sizeof((tl_karg[]){__VA_ARGS__}) / sizeof(tl_karg)))
static int64_t width_of(const tl_shape *x) { return x->dim[x->rank - 1]; }

static int layer_norm_infer(tl_error *err, tl_call *c)
{
    const tl_shape *x = &c->in_meta[0].shape;
    char text[TL__SHAPE_TEXT];
    if (x->rank < 1 || width_of(x) < 1)
        return tl__op_fail(err, c, TL_ESHAPE, "rows of one number or more are needed, not %s",
                           tl__shape_text(x, text, sizeof text));
    for (int i = 1; i <= 2; i++)
        if (c->present[i] && (c->in_meta[i].shape.rank != 1 || c->in_meta[i].shape.dim[0] != width_of(x)))
            return tl__op_fail(err, c, TL_ESHAPE, "the input has %lld features, the %s is %s", (long long)width_of(x),
                               i == 1 ? "weight" : "bias", tl__shape_text(&c->in_meta[i].shape, text, sizeof text));
    c->n_out = 2;
    c->out_meta[0] = c->in_meta[0];
    c->out_meta[1] = (tl_meta){{2, {tl__numel(x) / width_of(x), 2}}, TL_F32};
    return 0;
}

/* Statistics and result; the same bits each time. */
static int layer_norm_into(tl_scope *s, const tl_call *c, tl_tensor *y)
{
    tl_tensor *x = c->in[0], *w = c->in[1], *b = c->in[2];
    int64_t n = width_of(&x->shape);
    return ROWS(s, "layer_norm", tl_numel(x) / n, n, TL_KT(x), TL_KT(w), TL_KI(w != NULL), TL_KT(b), TL_KI(b != NULL),
                TL_KT(y), TL_KT(c->out[1]), TL_KL(n), TL_KF(c->attr[0].f));
}

static int layer_norm_forward(tl_scope *s, const tl_call *c) { return layer_norm_into(s, c, c->out[0]); }

static tl_tensor *layer_norm_again(tl_scope *s, const tl_call *c)
{
    tl_tensor *y = tl_empty(s, TL_F32, c->out_meta[0].shape.rank, c->out_meta[0].shape.dim);
    return y && layer_norm_into(s, c, y) == 0 ? y : NULL;
}

/* Parts of the gradients of weight and bias, (parts, 2, n). */
static tl_tensor *parts_of_sums(tl_scope *s, tl_tensor *x, tl_tensor *g, tl_tensor *stats, int64_t rows, int64_t n)
{
    int64_t length = rows > 64 * 32 ? (rows + 63) / 64 : 32, parts = (rows + length - 1) / length,
            v = s->device->traits.vector_width;
    tl_column_parts by = tl__column_parts(1, rows, n);
    tl_karg args[] = {TL_KT(x), TL_KT(g), TL_KT(stats), {0}, {0}, TL_KL(rows), TL_KL(n), TL_KL(length)};
    enum { P = 6, COUNT = sizeof args / sizeof *args };
    tl_launch l = {.program = &program, .kernel = "layer_norm_sums", .dims = 2,
                   .global = {(size_t)((n + v - 1) / v), (size_t)parts}},
              of_group = {.program = &grouped, .kernel = "layer_norm_sums_gpu"};
    int in_groups = tl__in_groups(s->device);
    tl_tensor *p = tl_empty(s, TL_F32, 3, (int64_t[]){in_groups ? by.parts : parts, 2, n});
    if (!p) return NULL;
    memcpy(args + P, (tl_karg[]){TL_KT(p)}, 2 * sizeof *args);
    return (in_groups ? tl__launch_columns(s, &of_group, "layer_norm", &by, args, P + 2)
                      : tl__launch(&s->err, s->device, &l, args, COUNT, "layer_norm")) == 0
               ? p
               : NULL;
}

/* The formulas stand at the kernels. */
static void layer_norm_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_tensor *x = c->in[0], *w = c->in[1], *stats = c->out[1], *g = tl__packed(s, gy[0]);
    if (!g) return;
    int64_t n = width_of(&x->shape), rows = tl_numel(x) / n;
    if (c->needs[0]) {
        tl_tensor *dx = tl_empty(s, TL_F32, x->shape.rank, x->shape.dim);
        if (!dx || ROWS(s, "layer_norm_dx", rows, n, TL_KT(x), TL_KT(g), TL_KT(w), TL_KI(w != NULL), TL_KT(stats),
                        TL_KT(dx), TL_KL(n)) != 0)
            return;
        gx[0] = dx;
    }
    if (!c->needs[1] && !c->needs[2]) return;
    tl_tensor *p = parts_of_sums(s, x, g, stats, rows, n);
    if (!p) return;
    tl_tensor *sums = tl_sum(s, p, (int[]){0}, 1, 0);
    for (int i = 1; i <= 2; i++)
        if (c->needs[i]) gx[i] = tl_reshape(s, tl_slice(s, sums, 0, i - 1, 1), 1, &n);
}

extern const tl_op tl__op_layer_norm;

static void layer_norm_samples(tl_sampler *to)
{
    static const int64_t dims[][3] = {{2, 3, 5}, {1, 2, 1}, {2, 2, 17}, {3, 1, 32}, {9, 8, 3}};
    for (int i = 0; i < 5; i++) {
        tl_sample v = tl__sample(&tl__op_layer_norm);
        tl__sample_input(&v, 3, dims[i], -1, 1);
        tl__sample_input(&v, 1, &dims[i][2], 0.5, 1.5);
        tl__sample_input(&v, 1, &dims[i][2], -1, 1);
        v.no_gradient = dims[i][2] == 1; /* one number a row is always normalised to zero */
        to->take(to, &v);
    }
}

const tl_op tl__op_layer_norm = {
    .name = "layer_norm", .mixed = TL_AS_FIRST,
    .brief = "`x` normalised along its last dimension, times `weight` plus `bias` (Ba, Kiros, Hinton 2016).",
    .inputs = {"x", "weight?", "bias?"}, .attrs = {TL_FROM_0("eps", 1e-5, "added to the variance")},
    .infer = layer_norm_infer, .forward = layer_norm_forward, .vjp = layer_norm_vjp, .again = layer_norm_again,
    .saves = TL_SAVE_IN(0) | TL_SAVE_IN(1) | TL_SAVE_IN(2) | TL_SAVE_OUT(1), .hidden = 1,
    .torch = "F.layer_norm(x, x.shape[-1:], weight, bias, eps)", .samples = layer_norm_samples,
};

tl_tensor *tl_layer_norm(tl_scope *s, tl_tensor *x, tl_tensor *weight, tl_tensor *bias, double eps)
{
    tl_value a[TL_MAX_ATTRS] = {{.f = eps}};
    return tl__apply(s, &tl__op_layer_norm, (tl_tensor *[]){x, weight, bias}, 3, a, NULL);
}
