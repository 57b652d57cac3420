/* view.c - operators that look at the same memory otherwise. */
#include "op/op.h"

/* Out shapes are worked out by `view`; nothing to infer before. */
static int infer_nothing(tl_error *err, tl_call *c)
{
    (void)err;
    c->n_out = 1;
    return 0;
}

/* ---- reshape ---- */

static tl_tensor *reshape_view(tl_scope *s, const tl_call *c)
{
    tl_tensor *x = c->in[0];
    const tl_value *v = &c->attr[0];
    char text[TL__SHAPE_TEXT], wanted[TL__SHAPE_TEXT];
    tl_shape shape = tl__shape(v->n, v->list);
    int64_t known = 1, n = tl_numel(x);
    int open = -1, bad = 0;
    for (int i = 0; i < shape.rank; i++) {
        if (shape.dim[i] >= 0) bad |= tl__mul_size(known, shape.dim[i], &known) != 0;
        else if (shape.dim[i] == -1 && open < 0) open = i;
        else bad = 1;
    }
    if (!bad && open >= 0 && known > 0 && n % known == 0) shape.dim[open] = n / known;
    if (bad || tl__numel(&shape) != n || (open >= 0 && shape.dim[open] < 0)) {
        tl_shape asked = tl__shape(v->n, v->list);
        tl__op_fail(&s->err, c, TL_ESHAPE, "%s does not become %s", tl__shape_text(&x->shape, text, sizeof text),
                    tl__shape_text(&asked, wanted, sizeof wanted));
        return NULL;
    }
    int64_t strides[TL_MAX_RANK];
    tl_tensor *p = tl__packed(s, x);
    tl__packed_strides(&shape, strides);
    return p ? tl__scope_own(s, tl__tensor_view(&s->err, p, &shape, strides, p->offset)) : NULL;
}

static void reshape_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    gx[0] = tl_reshape(s, gy[0], c->in_meta[0].shape.rank, c->in_meta[0].shape.dim);
}

extern const tl_op tl__op_reshape;
const tl_op tl__op_reshape = {
    .name = "reshape", .brief = "`x` with another shape of as many elements; one -1 is worked out.",
    .inputs = {"x"}, .attrs = {TL_INTS("shape", "new dimensions")}, .layout = {TL_ANY}, .any_dtype = 1,
    .infer = infer_nothing, .view = reshape_view, .vjp = reshape_vjp, .torch = "x.reshape(shape)",
};

tl_tensor *tl_reshape(tl_scope *s, tl_tensor *x, int rank, const int64_t *dims)
{
    tl_value a[TL_MAX_ATTRS] = {{.n = rank}};
    for (int i = 0; i < rank && i < TL_ATTR_LIST; i++) a[0].list[i] = dims[i];
    return tl__apply(s, &tl__op_reshape, &x, 1, a, NULL);
}

/* ---- permute ---- */

static tl_tensor *permute_view(tl_scope *s, const tl_call *c)
{
    tl_tensor *x = c->in[0];
    const tl_value *v = &c->attr[0];
    int r = x->shape.rank, seen = 0;
    tl_shape shape = {r, {0}};
    int64_t strides[TL_MAX_RANK] = {0};
    for (int i = 0; i < v->n && v->n == r; i++) {
        int a = tl__axis((int)v->list[i], r);
        if (a < 0 || (seen >> a & 1)) break;
        seen |= 1 << a;
        shape.dim[i] = x->shape.dim[a];
        strides[i] = x->stride[a];
    }
    if (v->n != r || seen != (1 << r) - 1) {
        tl__op_fail(&s->err, c, TL_EARG, "the axes must name each of the %d dimensions once", r);
        return NULL;
    }
    return tl__scope_own(s, tl__tensor_view(&s->err, x, &shape, strides, x->offset));
}

static void permute_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    int inverse[TL_MAX_RANK], r = c->in_meta[0].shape.rank;
    for (int i = 0; i < r; i++) inverse[tl__axis((int)c->attr[0].list[i], r)] = i;
    gx[0] = tl_permute(s, gy[0], r, inverse);
}

extern const tl_op tl__op_permute;
const tl_op tl__op_permute = {
    .name = "permute", .brief = "`x` with its dimensions in another order.",
    .inputs = {"x"}, .attrs = {TL_AXES("axes", "where each new dimension comes from")}, .layout = {TL_ANY}, .any_dtype = 1,
    .infer = infer_nothing, .view = permute_view, .vjp = permute_vjp, .torch = "x.permute(axes)",
};

tl_tensor *tl_permute(tl_scope *s, tl_tensor *x, int rank, const int *axes)
{
    tl_value a[TL_MAX_ATTRS] = {{.n = rank}};
    for (int i = 0; i < rank && i < TL_ATTR_LIST; i++) a[0].list[i] = axes[i];
    return tl__apply(s, &tl__op_permute, &x, 1, a, NULL);
}

/* ---- slice ---- */

static tl_tensor *slice_view(tl_scope *s, const tl_call *c)
{
    tl_tensor *x = c->in[0];
    int axis = tl__axis((int)c->attr[0].i, x->shape.rank);
    int64_t start = c->attr[1].i, length = c->attr[2].i;
    if (axis < 0) {
        tl__op_fail(&s->err, c, TL_EARG, "there is no dimension %lld in a tensor of %d", tl__axis_name(c->attr[0].i), x->shape.rank);
        return NULL;
    }
    int64_t d = x->shape.dim[axis];
    if (start < 0 || start > d || (length >= 0 && length > d - start)) {
        tl__op_fail(&s->err, c, TL_EARG, "elements %lld to %lld of a dimension of %lld", (long long)start, (long long)(start + length),
                    (long long)d);
        return NULL;
    }
    tl_shape shape = x->shape;
    shape.dim[axis] = length < 0 ? d - start : length;
    return tl__scope_own(s, tl__tensor_view(&s->err, x, &shape, x->stride, x->offset + start * x->stride[axis]));
}

/* dx is zero but for the slice */
static void slice_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    const tl_shape *shape = &c->in_meta[0].shape;
    tl_tensor *dx = tl_full(s, TL_F32, shape->rank, shape->dim, 0);
    if (!dx) return;
    int axis = tl__axis((int)c->attr[0].i, shape->rank);
    tl_tensor *part = tl_slice(s, dx, axis, c->attr[1].i, gy[0]->shape.dim[axis]);
    if (part && tl__copy_into(s, gy[0], part) == 0) gx[0] = dx;
}

extern const tl_op tl__op_slice;
const tl_op tl__op_slice = {
    .name = "slice", .brief = "`length` elements of `x` along `axis`, from `start` on (counted from 0); length -1: to the end.",
    .inputs = {"x"},
    .attrs = {TL_AXIS("axis", 0, "dimension that is cut"), TL_INT("start", 0, "first element, from 0"), TL_INT("length", -1, "how many; -1: the rest")},
    .layout = {TL_ANY}, .any_dtype = 1,
    .infer = infer_nothing, .view = slice_view, .vjp = slice_vjp, .torch = "x.narrow(axis, start, length)",
};

tl_tensor *tl_slice(tl_scope *s, tl_tensor *x, int axis, int64_t start, int64_t length)
{
    tl_value a[TL_MAX_ATTRS] = {{.i = axis}, {.i = start}, {.i = length}};
    return tl__apply(s, &tl__op_slice, &x, 1, a, NULL);
}

/* ---- expand ---- */

static tl_tensor *expand_view(tl_scope *s, const tl_call *c)
{
    tl_tensor *x = c->in[0];
    char text[TL__SHAPE_TEXT], wanted[TL__SHAPE_TEXT];
    tl_shape shape = tl__shape(c->attr[0].n, c->attr[0].list), both;
    int64_t strides[TL_MAX_RANK] = {0};
    if (tl__broadcast(&x->shape, &shape, &both) != 0 || !tl__shape_equal(&both, &shape)) {
        tl__op_fail(&s->err, c, TL_ESHAPE, "%s does not expand to %s", tl__shape_text(&x->shape, text, sizeof text),
                    tl__shape_text(&shape, wanted, sizeof wanted));
        return NULL;
    }
    for (int i = 0; i < shape.rank; i++) {
        int k = i - (shape.rank - x->shape.rank);
        strides[i] = k < 0 || x->shape.dim[k] == 1 ? 0 : x->stride[k];
    }
    return tl__scope_own(s, tl__tensor_view(&s->err, x, &shape, strides, x->offset));
}

/* The caller sums back what broadcasting repeated. */
static void expand_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    (void)s;
    (void)c;
    gx[0] = gy[0];
}

extern const tl_op tl__op_expand;
const tl_op tl__op_expand = {
    .name = "expand", .brief = "`x` repeated along dimensions of length 1 (or new leading ones) without copying.",
    .inputs = {"x"}, .attrs = {TL_INTS("shape", "new dimensions")}, .layout = {TL_ANY}, .any_dtype = 1,
    .infer = infer_nothing, .view = expand_view, .vjp = expand_vjp, .torch = "x.expand(shape)",
};

tl_tensor *tl_expand(tl_scope *s, tl_tensor *x, int rank, const int64_t *dims)
{
    tl_value a[TL_MAX_ATTRS] = {{.n = rank}};
    for (int i = 0; i < rank && i < TL_ATTR_LIST; i++) a[0].list[i] = dims[i];
    return tl__apply(s, &tl__op_expand, &x, 1, a, NULL);
}
