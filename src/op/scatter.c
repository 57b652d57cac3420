/* scatter.c - elements written into a tensor where numbers say. */
#include "op/op.h"

#include <string.h>

enum { X, INDEX, UPDATES };
enum { NONE, ADD, MUL, MAX, MIN };
static const char *const reductions[] = {"none", "add", "mul", "max", "min", NULL};
static const tl_program program = {"scatter", NULL};
extern const tl_op tl__op_scatter;

static int scatter_infer(tl_error *err, tl_call *c)
{
    const tl_shape *x = &c->in_meta[X].shape, *index = &c->in_meta[INDEX].shape;
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT];
    tl_lines g;
    if (tl__lines(err, c, 0, &g) != 0) return -1;
    if (!tl__shape_equal(index, &c->in_meta[UPDATES].shape))
        return tl__op_fail(err, c, TL_ESHAPE, "the index is %s, the updates %s", tl__shape_text(index, a, sizeof a),
                           tl__shape_text(&c->in_meta[UPDATES].shape, b, sizeof b));
    int fits = index->rank == x->rank;
    for (int i = 0; i < x->rank && fits; i++) fits = i == g.axis || index->dim[i] <= x->dim[i];
    if (!fits)
        return tl__op_fail(err, c, TL_ESHAPE, "the index %s is larger than %s in another dimension than %lld",
                           tl__shape_text(index, a, sizeof a), tl__shape_text(x, b, sizeof b), tl__axis_name(g.axis));
    return tl__infer_like_first(err, c);
}

/* The part of t, shaped like x, that an index may reach: the first elements of all other dimensions. */
static tl_tensor *reach(tl_scope *s, const tl_call *c, tl_tensor *t)
{
    const tl_shape *x = &c->in_meta[X].shape, *index = &c->in_meta[INDEX].shape;
    int axis = tl__axis((int)c->attr[0].i, x->rank);
    for (int i = 0; i < x->rank && t; i++)
        if (i != axis && index->dim[i] != x->dim[i]) t = tl_slice(s, t, i, 0, index->dim[i]);
    return t;
}

static int scatter_into(tl_scope *s, const tl_call *c, tl_tensor *y)
{
    const tl_shape *index = &c->in_meta[INDEX].shape;
    char options[48];
    tl_tensor *part = reach(s, c, y), *packed = tl__packed(s, part);
    int64_t outer = 1, inner = 1;
    int axis = tl__axis((int)c->attr[0].i, index->rank);
    if (!packed) return -1;
    for (int i = 0; i < index->rank; i++)
        if (i != axis) *(i < axis ? &outer : &inner) *= index->dim[i];
    snprintf(options, sizeof options, "-DT=%s -DHOW=%d", y->dtype == TL_I32 ? "int" : "float", (int)c->attr[1].i);
    tl_launch l = {.program = &program,
                   .options = options,
                   .kernel = "scatter",
                   .dims = 2,
                   .global = {(size_t)inner, (size_t)outer}};
    tl__arm_error_word(s->device);
    if (TL__LAUNCH(&s->err, s->device, &l, "scatter", TL_KT(c->in[INDEX]), TL_KT(c->in[UPDATES]), TL_KT(packed),
                   TL_KL(y->shape.dim[axis]), TL_KL(index->dim[axis]), TL_KL(inner),
                   TL_KBUF(s->device->error_word)) != 0)
        return -1;
    return packed == part ? 0 : tl__copy_into(s, packed, part);
}

static int scatter_forward(tl_scope *s, const tl_call *c)
{
    return tl__copy_into(s, c->in[X], c->out[0]) == 0 ? scatter_into(s, c, c->out[0]) : -1;
}

/* ---- gradients ---- */

static tl_tensor *gathered(tl_scope *s, const tl_call *c, tl_tensor *t)
{
    return tl_gather(s, reach(s, c, t), c->in[INDEX], (int)c->attr[0].i);
}

static tl_tensor *scattered(tl_scope *s, const tl_call *c, tl_tensor *t, tl_tensor *updates, const char *how)
{
    return tl_scatter(s, t, c->in[INDEX], updates, (int)c->attr[0].i, how);
}

static tl_tensor *filled(tl_scope *s, const tl_shape *shape, tl_dtype dtype, double value)
{
    return tl_full(s, dtype, shape->rank, shape->dim, value);
}

/* 1 for the updates that stayed: the last at each place. */
static tl_tensor *stayed(tl_scope *s, const tl_call *c)
{
    const tl_shape *index = &c->in_meta[INDEX].shape;
    int axis = tl__axis((int)c->attr[0].i, index->rank);
    tl_shape row = {index->rank, {0}};
    for (int i = 0; i < row.rank; i++) row.dim[i] = i == axis ? index->dim[i] : 1;
    tl_tensor *number = tl_reshape(s, tl_range(s, 0, index->dim[axis], 1), row.rank, row.dim);
    number = tl_expand(s, number, index->rank, index->dim);
    tl_tensor *last = scattered(s, c, filled(s, &c->in_meta[X].shape, TL_I32, 0), number, "none");
    return tl_eq(s, gathered(s, c, last), number);
}

/* Written over: dx = gy elsewhere, du = gy where the update stayed. */
static void none_vjp(tl_scope *s, const tl_call *c, tl_tensor *gy, tl_tensor **gx)
{
    tl_tensor *none = filled(s, &c->in_meta[INDEX].shape, TL_F32, 0);
    if (c->needs[X]) gx[X] = scattered(s, c, gy, none, "none");
    if (c->needs[UPDATES]) gx[UPDATES] = tl_where(s, stayed(s, c), gathered(s, c, gy), none);
}

/* dx = gy times all updates of the element, du = gy x times all others */
static void mul_vjp(tl_scope *s, const tl_call *c, tl_tensor *gy, tl_tensor **gx)
{
    tl_tensor *u = c->in[UPDATES], *one = filled(s, &c->in_meta[X].shape, TL_F32, 1);
    if (c->needs[X]) gx[X] = tl_mul(s, gy, scattered(s, c, one, u, "mul"));
    if (!c->needs[UPDATES]) return;
    const tl_shape *index = &c->in_meta[INDEX].shape;
    int axis = tl__axis((int)c->attr[0].i, index->rank);
    int64_t outer = 1, inner = 1;
    for (int i = 0; i < index->rank; i++)
        if (i != axis) *(i < axis ? &outer : &inner) *= index->dim[i];
    tl_tensor *g = gathered(s, c, gy), *p = gathered(s, c, c->out[0]), *x = gathered(s, c, c->in[X]);
    tl_tensor *du = tl_empty(s, TL_F32, index->rank, index->dim);
    if (!g || !p || !x || !du) return;
    tl_launch l = {.program = &program,
                   .options = "-DT=float -DHOW=2",
                   .kernel = "product_du",
                   .dims = 2,
                   .global = {(size_t)inner, (size_t)outer}};
    if (TL__LAUNCH(&s->err, s->device, &l, "scatter", TL_KT(c->in[INDEX]), TL_KT(u), TL_KT(g), TL_KT(p), TL_KT(x),
                   TL_KT(du), TL_KL(index->dim[axis]), TL_KL(inner)) == 0)
        gx[UPDATES] = du;
}

/* Among all that are equal to the result the gradient is shared (as torch.scatter_reduce). */
static void extreme_vjp(tl_scope *s, const tl_call *c, tl_tensor *gy, tl_tensor **gx)
{
    tl_tensor *x_hit = tl_eq(s, c->in[X], c->out[0]), *u_hit = tl_eq(s, c->in[UPDATES], gathered(s, c, c->out[0]));
    tl_tensor *share = tl_div(s, gy, scattered(s, c, x_hit, u_hit, "add"));
    if (c->needs[X]) gx[X] = tl_mul(s, share, x_hit);
    if (c->needs[UPDATES]) gx[UPDATES] = tl_mul(s, gathered(s, c, share), u_hit);
}

static void scatter_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    int how = (int)c->attr[1].i;
    if (how == NONE) none_vjp(s, c, gy[0], gx);
    else if (how == MUL) mul_vjp(s, c, gy[0], gx);
    else if (how != ADD) extreme_vjp(s, c, gy[0], gx);
    else {
        if (c->needs[X]) gx[X] = gy[0];
        if (c->needs[UPDATES]) gx[UPDATES] = gathered(s, c, gy[0]);
    }
}

static unsigned scatter_saves(const tl_call *c)
{
    int how = (int)c->attr[1].i;
    unsigned saves = TL_SAVE_IN(INDEX);
    return how == NONE || how == ADD ? saves : saves | TL_SAVE_IN(X) | TL_SAVE_IN(UPDATES) | TL_SAVE_OUT(0);
}

/* ---- samples and descriptor ---- */

static void scatter_samples(tl_sampler *to)
{
    static const struct { int rank, axis; int64_t x[3], index[3]; int only;
    } shapes[] = {{1, 0, {7}, {16}, -1},
                  {2, 1, {3, 5}, {3, 4}, -1},
                  {3, 1, {2, 6, 17}, {2, 9, 16}, -1},
                  {3, -1, {2, 3, 9}, {1, 3, 1}, NONE},
                  {2, 0, {6, 4}, {1, 4}, NONE},
                  {2,
                   1,
                   {17, 100},
                   {3, 7},
                   NONE}}; /* too large for PyTorch's file: it gives all that were written over a gradient */
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int how = NONE; how <= MIN; how++)
            for (int whole = 0; whole < (i == 1 ? 2 : 1); whole++) {
                if (shapes[i].only >= 0 ? how != shapes[i].only : how == NONE && !whole) continue;
                tl_sample v = tl__sample(&tl__op_scatter);
                int64_t n = shapes[i].x[tl__axis(shapes[i].axis, shapes[i].rank)];
                if (whole) tl__sample_whole(&v, shapes[i].rank, shapes[i].x, -9, 9);
                else tl__sample_input(&v, shapes[i].rank, shapes[i].x, -1, 1);
                tl__sample_input(&v, shapes[i].rank, shapes[i].index, 0, (double)n - 1);
                if (whole) tl__sample_whole(&v, shapes[i].rank, shapes[i].index, -9, 9);
                else tl__sample_input(&v, shapes[i].rank, shapes[i].index, -1, 1);
                v.attr[0].i = shapes[i].axis;
                v.attr[1].i = how;
                to->take(to, &v);
            }
}

const tl_op tl__op_scatter = {
    .name = "scatter",
    .brief = "`x` with `updates` written along `axis` where `index` (int32, counted from 0) says, or joined to what is "
             "there. "
             "The index has the updates' shape, which may be smaller than x's in other dimensions; of several for one "
             "element all "
             "are joined, in order, or the last stays.",
    .inputs = {"x", "index", "updates"},
    .attrs = {TL_AXIS("axis", -1, "dimension that the numbers count along"),
              TL_CHOICE("reduce", reductions, "written over, or how they are joined")},
    .int_inputs = 1u << INDEX,
    .ints = 1u << X | 1u << UPDATES,
    .alike = 1u << X | 1u << UPDATES,
    .infer = scatter_infer,
    .forward = scatter_forward,
    .vjp = scatter_vjp,
    .saves_for = scatter_saves,
    .torch = "scatter(x, axis, index.long(), updates, reduce)",
    .samples = scatter_samples,
};

tl_tensor *tl_scatter(tl_scope *s, tl_tensor *x, tl_tensor *index, tl_tensor *updates, int axis, const char *reduce)
{
    tl_value a[TL_MAX_ATTRS] = {{.i = axis}, {.i = NONE}};
    if (!s || s->err.code) return NULL;
    while (reduce && reductions[a[1].i] && strcmp(reduce, reductions[a[1].i]) != 0) a[1].i++;
    if (!reductions[a[1].i]) {
        tl__fail(&s->err, TL_EARG, "scatter: reduce is none, add, mul, max or min, not %s", reduce);
        return NULL;
    }
    return tl__apply(s, &tl__op_scatter, (tl_tensor *[]){x, index, updates}, 3, a, NULL);
}
