/* softmax.c - softmax and log-softmax. Rows along the last dimension; another axis is brought there. */
#include "op/op.h"

static const tl_program program = {"cpu/softmax", NULL}, grouped = {"gpu/softmax_gpu", NULL};

static int64_t last(const tl_shape *s) { return s->rank ? s->dim[s->rank - 1] : 1; }

/* ---- softmax and log_softmax ---- */

static int softmax_infer(tl_error *err, tl_call *c)
{
    if (tl__axis((int)c->attr[0].i, c->in_meta[0].shape.rank) < 0)
        return tl__op_fail(err, c, TL_EARG, "there is no dimension %lld in a tensor of %d", tl__axis_name(c->attr[0].i), c->in_meta[0].shape.rank);
    return tl__infer_like_first(err, c);
}

/* x with `axis` exchanged with the last dimension: its own inverse. */
static tl_tensor *axis_last(tl_scope *s, tl_tensor *x, int64_t axis)
{
    int r = x ? x->shape.rank : 0, a = x ? tl__axis((int)axis, r) : -1, order[TL_MAX_RANK];
    if (!x || a == r - 1) return x;
    for (int i = 0; i < r; i++) order[i] = i == a ? r - 1 : i == r - 1 ? a : i;
    return tl_permute(s, x, r, order);
}

static int softmax_forward(tl_scope *s, const tl_call *c)
{
    tl_tensor *y = c->out[0], *x = tl__packed(s, axis_last(s, c->in[0], c->attr[0].i));
    tl_tensor *target = axis_last(s, y, c->attr[0].i), *direct = target;
    if (!x || !target || tl_numel(y) == 0) return s->err.code ? -1 : 0;
    if (!tl__is_packed(target)) direct = tl_empty(s, TL_F32, x->shape.rank, x->shape.dim);
    int64_t n = last(&x->shape);
    if (!direct || tl__launch_by_rows(s, &program, &grouped, c->op->name, c->op->name, tl_numel(x) / n, n,
                                      (tl_karg[]){TL_KT(x), TL_KT(direct), TL_KL(n)}, 5) != 0)
        return -1;
    return direct == target ? 0 : tl__copy_into(s, direct, target);
}

static void rows_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx, const char *kernel)
{
    tl_tensor *y = tl__packed(s, axis_last(s, c->out[0], c->attr[0].i)), *g = tl__packed(s, axis_last(s, gy[0], c->attr[0].i));
    tl_tensor *d = y ? tl_empty(s, TL_F32, y->shape.rank, y->shape.dim) : NULL;
    if (!g || !d) return;
    int64_t n = last(&y->shape);
    if (tl_numel(y) && tl__launch_by_rows(s, &program, &grouped, kernel, kernel, tl_numel(y) / n, n,
                                          (tl_karg[]){TL_KT(y), TL_KT(g), TL_KT(d), TL_KL(n)}, 7) != 0)
        return;
    gx[0] = axis_last(s, d, c->attr[0].i);
}

static void softmax_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx) { rows_vjp(s, c, gy, gx, "softmax_grad"); }
static void log_softmax_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx) { rows_vjp(s, c, gy, gx, "log_softmax_grad"); }

extern const tl_op tl__op_softmax, tl__op_log_softmax;

static void softmax_samples_of(tl_sampler *to, const tl_op *op)
{
    static const int64_t dims[][3] = {{2, 3, 5}, {1, 1, 1}, {3, 2, 17}, {2, 4, 16}, {1, 3, 33}};
    for (int i = 0; i < 5; i++)
        for (int axis = -1; axis <= 1; axis++) {
            tl_sample s = tl__sample(op);
            tl__sample_input(&s, 3, dims[i], -2, 2);
            s.attr[0].i = axis;
            to->take(to, &s);
        }
}
static void softmax_samples(tl_sampler *to) { softmax_samples_of(to, &tl__op_softmax); }
static void log_softmax_samples(tl_sampler *to) { softmax_samples_of(to, &tl__op_log_softmax); }

const tl_op tl__op_softmax = {
    .name = "softmax", .mixed = TL_WIDE, .brief = "Exponentials of `x`, scaled to sum to one along `axis`.", .inputs = {"x"},
    .attrs = {TL_AXIS("axis", -1, "dimension that sums to one")}, .layout = {TL_ANY}, .infer = softmax_infer, .forward = softmax_forward,
    .vjp = softmax_vjp, .saves = TL_SAVE_OUT(0), .torch = "torch.softmax(x, dim=axis)", .samples = softmax_samples,
};
const tl_op tl__op_log_softmax = {
    .name = "log_softmax", .mixed = TL_WIDE, .brief = "Logarithm of the softmax of `x` along `axis`, without overflow.", .inputs = {"x"},
    .attrs = {TL_AXIS("axis", -1, "dimension whose exponentials sum to one")}, .layout = {TL_ANY}, .infer = softmax_infer,
    .forward = softmax_forward, .vjp = log_softmax_vjp, .saves = TL_SAVE_OUT(0), .torch = "torch.log_softmax(x, dim=axis)",
    .samples = log_softmax_samples,
};

/* ---- the C interface ---- */

static tl_tensor *with_axis(tl_scope *s, const tl_op *op, tl_tensor *x, int axis)
{
    tl_value a[TL_MAX_ATTRS] = {{.i = axis}};
    return tl__apply(s, op, &x, 1, a, NULL);
}

tl_tensor *tl_softmax(tl_scope *s, tl_tensor *x, int axis) { return with_axis(s, &tl__op_softmax, x, axis); }
tl_tensor *tl_log_softmax(tl_scope *s, tl_tensor *x, int axis) { return with_axis(s, &tl__op_log_softmax, x, axis); }
