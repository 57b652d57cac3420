/* dropout.c - leaving out elements by chance; the mask is drawn again from the call's key and never kept. */
#include "op/op.h"

static const tl_program program = {"random", NULL};

static int dropout_infer(tl_error *err, tl_call *c)
{
    if (!(c->attr[0].f >= 0 && c->attr[0].f < 1))
        return tl__op_fail(err, c, TL_EARG, "p is a share of elements, 0 <= p < 1, not %g", c->attr[0].f);
    return tl__infer_like_first(err, c);
}

static int dropout_apply(tl_scope *s, const tl_call *c, tl_tensor *x, tl_tensor *y)
{
    int64_t n = tl_numel(y), chunk = s->device->traits.is_cpu ? 1024 : 1;
    double p = c->attr[0].f;
    if (!c->attr[1].i || p == 0) return tl__copy_into(s, x, y);
    tl_launch l = {.program = &program, .kernel = "dropout", .dims = 1,
                   .global = {(size_t)((n + 4 * chunk - 1) / (4 * chunk))}};
    return TL__LAUNCH(&s->err, s->device, &l, "dropout", TL_KL(n), TL_KL(chunk), TL_KT(x), TL_KT(y), TL_KF(p),
                      TL_KF(1 / (1 - p)), TL_KI(c->key.k0), TL_KI(c->key.k1));
}

static int dropout_forward(tl_scope *s, const tl_call *c) { return dropout_apply(s, c, c->in[0], c->out[0]); }

/* dx = gy with the same mask, drawn again from the call's key */
static void dropout_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_tensor *g = tl__packed(s, gy[0]), *dx = g ? tl_empty(s, TL_F32, g->shape.rank, g->shape.dim) : NULL;
    if (dx && dropout_apply(s, c, g, dx) == 0) gx[0] = dx;
}

extern const tl_op tl__op_dropout;
const tl_op tl__op_dropout = {
    .name = "dropout",
    .brief = "`x` with a share `p` of its elements set to zero and the others scaled by 1 / (1 - p), while `training`.",
    .inputs = {"x"},
    .attrs = {TL_FLOAT("p", 0.5, "share that is dropped"), TL_BOOL_("training", 0, "otherwise x is returned as it is")},
    .random = 1, .infer = dropout_infer, .forward = dropout_forward, .vjp = dropout_vjp,
    .torch = "F.dropout(x, p, training)",
};

tl_tensor *tl_dropout(tl_scope *s, tl_tensor *x, double p, int training)
{
    tl_value a[TL_MAX_ATTRS] = {{.f = p}, {.i = training != 0}};
    return tl__apply(s, &tl__op_dropout, &x, 1, a, NULL);
}
