/* cumsum.c - running sums along an axis. */
#include "op/op.h"

enum { AXIS, EXCLUSIVE, REVERSE };
static const tl_program program = {"cumsum", NULL};

static int cumsum_infer(tl_error *err, tl_call *c)
{
    tl_lines g;
    return tl__lines(err, c, AXIS, &g) != 0 ? -1 : tl__infer_like_first(err, c);
}

static int cumsum_into(tl_scope *s, const tl_call *c, tl_tensor *x, tl_tensor *y, int from_end)
{
    tl_lines g;
    char options[64];
    if (tl__lines(&s->err, c, AXIS, &g) != 0) return -1;
    snprintf(options, sizeof options, "-DT=%s -DEXCLUSIVE=%d -DFROM_END=%d", x->dtype == TL_I32 ? "int" : "float",
             c->attr[EXCLUSIVE].i != 0, from_end);
    tl_launch l = {.program = &program,
                   .options = options,
                   .kernel = "cumsum",
                   .dims = 2,
                   .global = {(size_t)g.inner, (size_t)g.outer}};
    return TL__LAUNCH(&s->err, s->device, &l, "cumsum", TL_KT(x), TL_KT(y), TL_KL(g.n), TL_KL(g.inner));
}

static int cumsum_forward(tl_scope *s, const tl_call *c)
{
    return cumsum_into(s, c, c->in[0], c->out[0], c->attr[REVERSE].i != 0);
}

/* dx[i] = gy[i] + gy[i + 1] + ...: the same sums from the other end */
static void cumsum_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_tensor *g = tl__packed(s, gy[0]), *dx = g ? tl_empty(s, TL_F32, g->shape.rank, g->shape.dim) : NULL;
    if (dx && cumsum_into(s, c, g, dx, c->attr[REVERSE].i == 0) == 0) gx[0] = dx;
}

extern const tl_op tl__op_cumsum;

static void cumsum_samples(tl_sampler *to)
{
    for (int i = 0; i < 8; i++) {
        tl_sample v = tl__sample(&tl__op_cumsum);
        if (i < 6) tl__sample_input(&v, 3, (int64_t[]){2, 17, 3}, -1, 1);
        else tl__sample_whole(&v, 2, (int64_t[]){3, 17}, -9, 9);
        v.attr[AXIS].i = i % 3 - 1;
        v.attr[EXCLUSIVE].i = i > 3;
        v.attr[REVERSE].i = i % 2;
        to->take(to, &v);
    }
}

const tl_op tl__op_cumsum = {
    .name = "cumsum",
    .brief = "Sums of `x` along `axis`, each of all elements up to its place.",
    .inputs = {"x"},
    .attrs = {TL_AXIS("axis", -1, "dimension along which is summed"),
              TL_BOOL_("exclusive", 0, "without the element at the place itself"),
              TL_BOOL_("reverse", 0, "from the last element on")},
    .ints = 1,
    .infer = cumsum_infer,
    .forward = cumsum_forward,
    .vjp = cumsum_vjp,
    .torch = "cumsum(x, axis, exclusive, reverse)",
    .samples = cumsum_samples,
};

tl_tensor *tl_cumsum(tl_scope *s, tl_tensor *x, int axis, int exclusive, int reverse)
{
    tl_value a[TL_MAX_ATTRS] = {{.i = axis}, {.i = exclusive}, {.i = reverse}};
    return tl__apply(s, &tl__op_cumsum, &x, 1, a, NULL);
}
