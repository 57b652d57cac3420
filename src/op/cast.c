/* cast.c - between types, and whole numbers that stand for nothing but their places. */
#include "op/op.h"

/* ---- cast ---- */

static const char *const types[] = {"float32", "int32", NULL};
static const tl_dtype dtypes[] = {TL_F32, TL_I32};

static int cast_infer(tl_error *err, tl_call *c)
{
    (void)err;
    c->n_out = 1;
    c->out_meta[0] = (tl_meta){c->in_meta[0].shape, dtypes[c->attr[0].i]};
    return 0;
}

static int cast_forward(tl_scope *s, const tl_call *c) { return tl__copy_into(s, c->in[0], c->out[0]); }

/* dx = gy; a result of whole numbers has no gradient */
static void cast_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    (void)s;
    (void)c;
    gx[0] = gy[0];
}

extern const tl_op tl__op_cast, tl__op_range;

static void cast_samples(tl_sampler *to)
{
    for (int from = 0; from < 2; from++)
        for (int type = 0; type < 2; type++) {
            tl_sample v = tl__sample(&tl__op_cast);
            if (from) tl__sample_whole(&v, 2, (const int64_t[]){3, 17}, -9, 9);
            else tl__sample_input(&v, 2, (const int64_t[]){3, 17}, -4, 4);
            v.attr[0].i = type;
            to->take(to, &v);
        }
}

const tl_op tl__op_cast = {
    .name = "cast",
    .brief = "`x` in another type; floats become whole numbers towards 0.",
    .inputs = {"x"},
    .layout = {TL_ANY},
    .any_dtype = 1,
    .ints = 1,
    .attrs = {TL_CHOICE("dtype", types, "the type")},
    .infer = cast_infer,
    .forward = cast_forward,
    .vjp = cast_vjp,
    .torch = "x.to(getattr(torch, dtype))",
    .samples = cast_samples,
};

tl_tensor *tl_cast(tl_scope *s, tl_tensor *x, tl_dtype dtype)
{
    tl_value a[TL_MAX_ATTRS] = {{.i = dtype == TL_I32}};
    if (s && !s->err.code && dtype != TL_F32 && dtype != TL_I32) {
        tl__fail(&s->err, TL_EDTYPE, "cast: to float32 or int32, not %s", tl__dtype_name(dtype));
        return NULL;
    }
    return tl__apply(s, &tl__op_cast, &x, 1, a, NULL);
}

/* ---- range ---- */

enum { START, COUNT, STEP };
static const tl_program program = {"range", NULL};

static int range_infer(tl_error *err, tl_call *c)
{
    int64_t start = c->attr[START].i, n = c->attr[COUNT].i, step = c->attr[STEP].i, most = INT32_MAX;
    if (n < 0 || n > most) return tl__op_fail(err, c, TL_EARG, "%lld numbers", (long long)n);
    if (start < -most || start > most || step < -most || step > most || start + (n ? n - 1 : 0) * step < -most ||
        start + (n ? n - 1 : 0) * step > most)
        return tl__op_fail(err, c, TL_EARG, "%lld numbers from %lld on, %lld apart, are not all int32", (long long)n,
                           (long long)start, (long long)step);
    c->n_out = 1;
    c->out_meta[0] = (tl_meta){{1, {n}}, TL_I32};
    return 0;
}

static int range_forward(tl_scope *s, const tl_call *c)
{
    tl_launch l = {.program = &program, .kernel = "range", .dims = 1, .global = {(size_t)c->attr[COUNT].i}};
    return TL__LAUNCH(&s->err, s->device, &l, "range", TL_KT(c->out[0]), TL_KI((int)c->attr[START].i),
                      TL_KI((int)c->attr[STEP].i));
}

static void range_samples(tl_sampler *to)
{
    static const int64_t shapes[][3] = {{0, 5, 1}, {-3, 17, 2}, {40, 33, -3}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        tl_sample v = tl__sample(&tl__op_range);
        for (int k = START; k <= STEP; k++) v.attr[k].i = shapes[i][k];
        to->take(to, &v);
    }
}

const tl_op tl__op_range = {
    .name = "range",
    .brief = "`count` whole numbers (int32) from `start` on, `step` apart.",
    .attrs = {TL_INT("start", 0, "the first"),
              {TL_A_INT, "count", "how many", 0, NULL, 1, 0, 0},
              TL_INT("step", 1, "from each to the next")},
    .infer = range_infer,
    .forward = range_forward,
    .torch = "start + step * torch.arange(count)",
    .samples = range_samples,
};

tl_tensor *tl_range(tl_scope *s, int64_t start, int64_t count, int64_t step)
{
    tl_value a[TL_MAX_ATTRS] = {{.i = start}, {.i = count}, {.i = step}};
    return tl__apply(s, &tl__op_range, NULL, 0, a, NULL);
}
