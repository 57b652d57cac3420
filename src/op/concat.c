/* concat.c - tensors put together along an axis. */
#include "op/op.h"

static int concat_infer(tl_error *err, tl_call *c)
{
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT];
    if (c->n_in < 1) return tl__op_fail(err, c, TL_EARG, "nothing to put together");
    tl_shape y = c->in_meta[0].shape;
    int axis = tl__axis((int)c->attr[0].i, y.rank);
    if (axis < 0)
        return tl__op_fail(err, c, TL_EARG, "there is no dimension %lld in a tensor of %d",
                           tl__axis_name(c->attr[0].i), y.rank);
    for (int i = 1; i < c->n_in; i++) {
        tl_shape x = c->in_meta[i].shape, like = x;
        if (x.rank == y.rank) like.dim[axis] = y.dim[axis];
        if (!tl__shape_equal(&like, &y) || c->in_meta[i].dtype != c->in_meta[0].dtype)
            return tl__op_fail(err, c, TL_ESHAPE, "%s and %s differ in more than dimension %lld",
                               tl__shape_text(&c->in_meta[0].shape, a, sizeof a), tl__shape_text(&x, b, sizeof b),
                               tl__axis_name(axis));
        y.dim[axis] += x.dim[axis];
    }
    c->n_out = 1;
    c->out_meta[0] = (tl_meta){y, c->in_meta[0].dtype};
    return 0;
}

static int concat_forward(tl_scope *s, const tl_call *c)
{
    tl_tensor *y = c->out[0];
    int axis = tl__axis((int)c->attr[0].i, y->shape.rank);
    for (int64_t i = 0, at = 0; i < c->n_in; at += c->in_meta[i++].shape.dim[axis]) {
        tl_tensor *part = tl_slice(s, y, axis, at, c->in_meta[i].shape.dim[axis]);
        if (!part || tl__copy_into(s, c->in[i], part) != 0) return -1;
    }
    return 0;
}

/* Each takes its slice of gy. */
static void concat_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    int axis = tl__axis((int)c->attr[0].i, c->in_meta[0].shape.rank);
    for (int64_t i = 0, at = 0; i < c->n_in; at += c->in_meta[i++].shape.dim[axis])
        if (c->needs[i]) gx[i] = tl_slice(s, gy[0], axis, at, c->in_meta[i].shape.dim[axis]);
}

extern const tl_op tl__op_concat;

static void concat_samples(tl_sampler *to)
{
    for (int axis = 0; axis < 3; axis++) {
        tl_sample v = tl__sample(&tl__op_concat);
        for (int i = 0; i < 3; i++) {
            int64_t d[] = {2, 3, 4};
            d[axis] = i + 1;
            tl__sample_input(&v, 3, d, -1, 1);
        }
        v.attr[0].i = axis;
        to->take(to, &v);
    }
    for (int whole = 1; whole < 3; whole++) { /* all, and one of two */
        tl_sample v = tl__sample(&tl__op_concat);
        tl__sample_whole(&v, 2, (int64_t[]){2, 3}, -9, 9);
        if (whole == 1) tl__sample_whole(&v, 2, (int64_t[]){2, 17}, -9, 9);
        else tl__sample_input(&v, 2, (int64_t[]){2, 17}, -1, 1);
        to->take(to, &v);
    }
}

const tl_op tl__op_concat = {
    .name = "concat",
    .brief = "Tensors put together along `axis`; their other dimensions agree.",
    .inputs = {"x..."},
    .attrs = {TL_AXIS("axis", -1, "dimension along which they follow each other")},
    .layout = {TL_ANY, TL_ANY, TL_ANY, TL_ANY, TL_ANY, TL_ANY, TL_ANY, TL_ANY},
    .ints = ~0u,
    .alike = ~0u,
    .infer = concat_infer,
    .forward = concat_forward,
    .vjp = concat_vjp,
    .torch = "torch.cat(xs, dim=axis)",
    .samples = concat_samples,
};

tl_tensor *tl_concat(tl_scope *s, tl_tensor *const *xs, int n, int axis)
{
    tl_value a[TL_MAX_ATTRS] = {{.i = axis}};
    return tl__apply(s, &tl__op_concat, xs, n, a, NULL);
}
