/* pointwise.c - operators that work element by element: descriptors and kernels made from the rows
 * of pointwise.def. */
#include "op/op.h"

#include <stdlib.h>
#include <string.h>

#define UNARY(name, brief, torch, attrs, y, saves, dx) extern const tl_op tl__op_##name;
#define BINARY(name, brief, torch, y) extern const tl_op tl__op_##name;
#include "op/pointwise.def"

/* ---- the kernels' source ---- */

static int append(tl_error *err, char **text, size_t *used, size_t *room, const char *piece)
{
    size_t n = strlen(piece);
    if (*used + n + 1 > *room) {
        size_t bigger = 2 * (*used + n + 1) + 4096;
        char *t = tl__realloc(err, *text, bigger);
        if (!t) return -1;
        *text = t;
        *room = bigger;
    }
    memcpy(*text + *used, piece, n + 1);
    *used += n;
    return 0;
}

static const char *const rows[][4] = {
#define UNARY(name, brief, torch, attrs, y, saves, dx) {#name, "UNARY", #name, y}, {#name, "GRADIENT", #name "_grad", dx},
#define UNARY_WHOLE(name, brief, torch, y, saves, dx, whole) \
    UNARY(name, brief, torch, NO_ATTRS, y, saves, dx) {#name "_whole", "UNARY_WHOLE", #name "_whole", whole},
#define BINARY(name, brief, torch, y) {#name, "BINARY", #name, y},
#define BINARY_WHOLE(name, brief, torch, y, whole) \
    BINARY(name, brief, torch, y) {#name "_whole", "BINARY_WHOLE", #name "_whole", whole},
#include "op/pointwise.def"
};

static char *pointwise_source(tl_error *err)
{
    char *text = NULL, line[1200];
    size_t used = 0, room = 0;
    int bad = append(err, &text, &used, &room, "#include \"pointwise.clh\"\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows && !bad; i++) {
        snprintf(line, sizeof line, "#ifdef OP_%s\n%s(k_%s, %s)\n#endif\n", rows[i][0], rows[i][1], rows[i][2], rows[i][3]);
        bad = append(err, &text, &used, &room, line);
    }
    if (!bad) return text;
    free(text);
    return NULL;
}

/* One text, compiled with -DOP_name for one operator at a time: all of them would take seconds, and a run needs few. */
static const tl_program program = {"pointwise", pointwise_source};
enum { NAME = 64 };

/* What stands behind the names of kernels for whole numbers. */
static const char *type_of(const tl_call *c) { return c->out_meta[0].dtype == TL_I32 ? "_whole" : ""; }

static tl_launch launch_of(const tl_call *c, const char *suffix, char *kernel, char *options)
{
    snprintf(kernel, NAME, "k_%s%s%s", c->op->name, type_of(c), suffix);
    snprintf(options, NAME, "-DOP_%s%s", c->op->name, type_of(c));
    return (tl_launch){.program = &program, .options = options, .kernel = kernel};
}

/* ---- launches ---- */

static void flat(const tl_device *d, tl_launch *l, int64_t n, int64_t *chunk)
{
    int64_t v = d->traits.vector_width;
    *chunk = d->traits.is_cpu ? 16 * 1024 : v;
    while (*chunk > 64 * v && n / *chunk < 2 * d->traits.compute_units) *chunk /= 2;
    l->dims = 1;
    l->global[0] = (size_t)((n + *chunk - 1) / *chunk);
    l->local[0] = d->traits.is_cpu ? 1 : 0;
}

static void parameters(const tl_call *c, float *p, float *q)
{
    int one = c->op->attrs[0].kind != TL_A_END;
    *p = one ? (float)c->attr[0].f : 0.0f;
    *q = one && c->op->attrs[1].kind != TL_A_END ? (float)c->attr[1].f : 0.0f;
}

static int unary_into(tl_scope *s, const tl_call *c, tl_tensor *y)
{
    char kernel[NAME], options[NAME];
    float p, q;
    int64_t n = tl_numel(y), chunk;
    tl_launch l = launch_of(c, "", kernel, options);
    flat(s->device, &l, n, &chunk);
    parameters(c, &p, &q);
    return TL__LAUNCH(&s->err, s->device, &l, c->op->name, TL_KL(n), TL_KL(chunk), TL_KT(c->in[0]), TL_KT(y), TL_KF(p), TL_KF(q));
}

static int unary_forward(tl_scope *s, const tl_call *c) { return unary_into(s, c, c->out[0]); }

/* Where x is kept for the gradient, y need not be kept by anybody. */
static int keeps_x(const tl_call *c) { return c->op->saves == TL_SAVE_IN(0); }
static tl_tensor *unary_again(tl_scope *s, const tl_call *c)
{
    tl_tensor *y = tl_empty(s, TL_F32, c->out_meta[0].shape.rank, c->out_meta[0].shape.dim);
    return y && unary_into(s, c, y) == 0 ? y : NULL;
}

/* dx = E(gy, x or y), E from the row */
static void unary_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    char kernel[NAME], options[NAME];
    float p, q;
    tl_tensor *g = tl__packed(s, gy[0]), *saved = c->in[0] ? c->in[0] : c->out[0] ? c->out[0] : g;
    tl_tensor *dx = tl_empty(s, TL_F32, c->in_meta[0].shape.rank, c->in_meta[0].shape.dim);
    if (!g || !dx) return;
    int64_t n = tl_numel(dx), chunk;
    tl_launch l = launch_of(c, "_grad", kernel, options);
    flat(s->device, &l, n, &chunk);
    parameters(c, &p, &q);
    if (TL__LAUNCH(&s->err, s->device, &l, c->op->name, TL_KL(n), TL_KL(chunk), TL_KT(g), TL_KT(saved), TL_KT(dx), TL_KF(p), TL_KF(q)) == 0)
        gx[0] = dx;
}

static int binary_forward(tl_scope *s, const tl_call *c)
{
    char kernel[NAME], options[NAME];
    int64_t strides[2][TL_MAX_RANK] = {{0}, {0}};
    tl_tensor *y = c->out[0];
    int r = y->shape.rank;
    for (int o = 0; o < 2; o++) {
        const tl_tensor *x = c->in[o];
        for (int i = 0; i < r; i++) {
            int k = i - (r - x->shape.rank);
            strides[o][i] = k < 0 || x->shape.dim[k] == 1 ? 0 : x->stride[k];
        }
    }
    tl_walk w;
    const int64_t *all[] = {strides[0], strides[1], y->stride};
    tl__walk(&w, s->device, &y->shape, 3, all);
    tl_launch l = launch_of(c, "", kernel, options);
    tl__walk_grid(&w, &l);
    return TL__LAUNCH(&s->err, s->device, &l, c->op->name, TL_KDATA(&w), TL_KT(c->in[0]), TL_KT(c->in[1]), TL_KT(y));
}

/* ---- gradients of the binary operators ---- */

static void add_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    (void)s;
    for (int i = 0; i < 2; i++)
        if (c->needs[i]) gx[i] = gy[0];
}

static void sub_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    if (c->needs[0]) gx[0] = gy[0];
    if (c->needs[1]) gx[1] = tl_neg(s, gy[0]);
}

/* da = gy b, db = gy a */
static void mul_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    if (c->needs[0]) gx[0] = tl_mul(s, gy[0], c->in[1]);
    if (c->needs[1]) gx[1] = tl_mul(s, gy[0], c->in[0]);
}

/* da = gy / b, db = -gy a / b^2 */
static void div_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_tensor *da = tl_div(s, gy[0], c->in[1]);
    if (c->needs[0]) gx[0] = da;
    if (c->needs[1]) gx[1] = tl_neg(s, tl_div(s, tl_mul(s, da, c->in[0]), c->in[1]));
}

/* To the one that was chosen; in halves where both were, and to both where one of them is NaN (as torch.maximum): what was passed
 * over is taken off, since a comparison with NaN is never true. */
static void choice_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx, int larger)
{
    tl_tensor *half = tl_mul_scalar(s, tl_eq(s, c->in[0], c->in[1]), 0.5);
    for (int i = 0; i < 2; i++) {
        if (!c->needs[i]) continue;
        tl_tensor *own = c->in[i], *other = c->in[1 - i], *passed = larger ? tl_lt(s, own, other) : tl_gt(s, own, other);
        gx[i] = tl_mul(s, gy[0], tl_rsub_scalar(s, tl_add(s, passed, half), 1));
    }
}

static void maximum_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx) { choice_vjp(s, c, gy, gx, 1); }
static void minimum_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx) { choice_vjp(s, c, gy, gx, 0); }

/* da = gy b a^(b-1), 0 where b is; db = gy y log a, 0 where a is 0 and y is finite (as torch.pow) */
static void pow_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_tensor *a = c->in[0], *b = c->in[1], *zero = tl_full(s, TL_F32, 0, NULL, 0);
    if (c->needs[0]) {
        tl_tensor *slope = tl_mul(s, b, tl_pow(s, a, tl_add_scalar(s, b, -1)));
        gx[0] = tl_where(s, tl_eq(s, b, zero), zero, tl_mul(s, gy[0], slope));
    }
    if (c->needs[1]) {
        tl_tensor *flat = tl_mul(s, tl_eq(s, a, zero), tl_ge(s, b, zero));
        gx[1] = tl_where(s, flat, zero, tl_mul(s, gy[0], tl_mul(s, c->out[0], tl_log(s, a))));
    }
}

/* a = q b + y with a whole q, which does not move: da = gy, db = -gy q */
static void mod_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    if (c->needs[0]) gx[0] = gy[0];
    if (c->needs[1]) gx[1] = tl_mul(s, gy[0], tl_div(s, tl_sub(s, c->out[0], c->in[0]), c->in[1]));
}
#define fmod_vjp mod_vjp

/* Comparisons are flat: they have no gradient. */
#define eq_vjp NULL
#define gt_vjp NULL
#define lt_vjp NULL
#define ge_vjp NULL
#define le_vjp NULL
#define ne_vjp NULL
enum {
    add_saves = 0,
    sub_saves = 0,
    mul_saves = 3,
    div_saves = 3,
    maximum_saves = 3,
    minimum_saves = 3,
    eq_saves = 0,
    gt_saves = 0,
    lt_saves = 0,
    ge_saves = 0,
    pow_saves = TL_SAVE_IN(0) | TL_SAVE_IN(1) | TL_SAVE_OUT(0),
    le_saves = 0,
    ne_saves = 0,
    mod_saves = TL_SAVE_IN(0) | TL_SAVE_IN(1) | TL_SAVE_OUT(0),
    fmod_saves = mod_saves
};

/* ---- the C interface ---- */

#define ONE(name) tl_tensor *tl_##name(tl_scope *s, tl_tensor *x) { return tl__apply(s, &tl__op_##name, (tl_tensor *[]){x}, 1, NULL, NULL); }
#define TWO(name) tl_tensor *tl_##name(tl_scope *s, tl_tensor *a, tl_tensor *b) { return tl__apply(s, &tl__op_##name, (tl_tensor *[]){a, b}, 2, NULL, NULL); }
#define NUMBER(name) tl_tensor *tl_##name(tl_scope *s, tl_tensor *x, double value) { return with_numbers(s, &tl__op_##name, x, value, 0); }

static tl_tensor *with_numbers(tl_scope *s, const tl_op *op, tl_tensor *x, double p, double q)
{
    tl_value attr[TL_MAX_ATTRS] = {{.f = p}, {.f = q}};
    return tl__apply(s, op, &x, 1, attr, NULL);
}

ONE(neg) ONE(exp) ONE(log) ONE(sqrt) ONE(rsqrt) ONE(square) ONE(abs) ONE(sin) ONE(cos) ONE(tanh) ONE(sigmoid) ONE(softplus)
ONE(relu) ONE(relu6) ONE(silu) ONE(gelu) ONE(gelu_tanh) ONE(hardsigmoid) ONE(hardswish)
ONE(erf) ONE(expm1) ONE(log1p) ONE(reciprocal) ONE(floor) ONE(ceil) ONE(round) ONE(sign)
ONE(tan) ONE(asin) ONE(acos) ONE(atan) ONE(sinh) ONE(cosh) ONE(asinh) ONE(acosh) ONE(atanh)
ONE(selu) ONE(softsign) ONE(mish) ONE(isnan) ONE(isinf)
NUMBER(elu) NUMBER(celu) NUMBER(leaky_relu)
NUMBER(add_scalar) NUMBER(mul_scalar) NUMBER(rsub_scalar) NUMBER(rdiv_scalar) NUMBER(pow_scalar)
TWO(add) TWO(sub) TWO(mul) TWO(div) TWO(maximum) TWO(minimum) TWO(eq) TWO(gt) TWO(lt)
TWO(ge) TWO(le) TWO(ne) TWO(pow) TWO(mod) TWO(fmod)

tl_tensor *tl_clamp(tl_scope *s, tl_tensor *x, double min, double max)
{
    return with_numbers(s, &tl__op_clamp, x, min, max);
}

tl_tensor *tl_threshold(tl_scope *s, tl_tensor *x, double threshold, double value)
{
    return with_numbers(s, &tl__op_threshold, x, threshold, value);
}

tl_tensor *tl_shrink(tl_scope *s, tl_tensor *x, double lambd, double bias)
{
    return with_numbers(s, &tl__op_shrink, x, lambd, bias);
}

/* ---- descriptors ---- */

enum { SAVES_NONE = 0, SAVES_X = TL_SAVE_IN(0), SAVES_Y = TL_SAVE_OUT(0) };
#define FLOATS_OR_WHOLE(n, b, t, s, i, ...)                                                                            \
    const tl_op tl__op_##n = {.name = #n,                                                                              \
                              .brief = b,                                                                              \
                              .inputs = {"x"},                                                                         \
                              .attrs = __VA_ARGS__,                                                                    \
                              .infer = tl__infer_like_first,                                                           \
                              .forward = unary_forward,                                                                \
                              .vjp = unary_vjp,                                                                        \
                              .saves = SAVES_##s,                                                                      \
                              .again = unary_again,                                                                    \
                              .can_again = keeps_x,                                                                    \
                              .ints = i,                                                                               \
                              .torch = t};
#define UNARY(n, b, t, a, y, s, dx) FLOATS_OR_WHOLE(n, b, t, s, 0, a)
#define UNARY_WHOLE(n, b, t, y, s, dx, w) FLOATS_OR_WHOLE(n, b, t, s, 1, NO_ATTRS)
#define UNARY_FLAT(n, b, t, y)                                                                                         \
    const tl_op tl__op_##n = {                                                                                         \
        .name = #n, .brief = b, .inputs = {"x"}, .infer = tl__infer_like_first, .forward = unary_forward, .torch = t};
#define FLOATS_OR_PAIRS(n, b, t, i)                                                                          \
    const tl_op tl__op_##n = {.name = #n, .brief = b, .inputs = {"a", "b"}, .layout = {TL_ANY, TL_ANY},      \
                              .infer = tl__infer_broadcast, .forward = binary_forward, .vjp = n##_vjp,       \
                              .saves = n##_saves, .ints = i, .alike = i, .torch = t};
#define BINARY(n, b, t, y) FLOATS_OR_PAIRS(n, b, t, 0)
#define BINARY_WHOLE(n, b, t, y, w) FLOATS_OR_PAIRS(n, b, t, 3)
#include "op/pointwise.def"
