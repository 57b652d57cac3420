/* select.c - elements chosen by a condition or by numbers, and edges added to dimensions. */
#include "op/op.h"

#include <string.h>

static const tl_program program = {"select", NULL};
extern const tl_op tl__op_where, tl__op_gather, tl__op_pad;

/* Elements of one work-item where they follow each other. */
static tl_launch flat(const tl_device *d, const char *kernel, int64_t n, int64_t *chunk)
{
    *chunk = d->traits.is_cpu ? 4096 : 1;
    while (*chunk > 64 && n / *chunk < 2 * d->traits.compute_units) *chunk /= 2;
    return (tl_launch){.program = &program, .kernel = kernel, .dims = 1, .global = {(size_t)((n + *chunk - 1) / *chunk)}, .local = {d->traits.is_cpu ? 1u : 0u}};
}

/* The option for kernels over whole numbers; NULL: floats. */
static const char *typed(const tl_tensor *t) { return t && t->dtype == TL_I32 ? "-DT=int" : NULL; }

/* ---- where ---- */

enum { CONDITION, A, B };

static int where_infer(tl_error *err, tl_call *c)
{
    if (tl__infer_broadcast(err, c) != 0) return -1;
    c->out_meta[0].dtype = c->in_meta[A].dtype;
    return 0;
}

static int where_forward(tl_scope *s, const tl_call *c)
{
    tl_tensor *y = c->out[0], *in[3];
    int64_t n = tl_numel(y), chunk;
    for (int i = CONDITION; i <= B; i++)
        if (!(in[i] = tl__packed(s, tl_expand(s, c->in[i], y->shape.rank, y->shape.dim)))) return -1;
    tl_launch l = flat(s->device, "where", n, &chunk);
    char options[64];
    int whole = in[CONDITION]->dtype == TL_I32;
    snprintf(options, sizeof options, "%s%s", whole ? "-DCONDITION=int " : "", typed(y) ? typed(y) : "");
    if (options[0]) l.options = options;
    return TL__LAUNCH(&s->err, s->device, &l, "where", TL_KL(n), TL_KL(chunk), TL_KT(in[CONDITION]), TL_KT(in[A]), TL_KT(in[B]), TL_KT(y));
}

/* da = gy where the condition holds, db = gy where it does not */
static void where_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_tensor *zero = tl_full(s, TL_F32, 0, NULL, 0);
    if (c->needs[A]) gx[A] = tl_where(s, c->in[CONDITION], gy[0], zero);
    if (c->needs[B]) gx[B] = tl_where(s, c->in[CONDITION], zero, gy[0]);
}

static void where_samples(tl_sampler *to)
{
    static const struct { int rank[3]; int64_t dims[3][3]; } shapes[] = {
        {{2, 2, 2}, {{3, 5}, {3, 5}, {3, 5}}}, {{2, 1, 2}, {{3, 1}, {17}, {3, 17}}}, {{1, 3, 0}, {{4}, {2, 3, 4}, {0}}}, {{3, 0, 1}, {{2, 16, 1}, {0}, {33}}}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        tl_sample v = tl__sample(&tl__op_where);
        for (int k = 0; k < 3; k++) tl__sample_input(&v, shapes[i].rank[k], shapes[i].dims[k], k == CONDITION ? 0 : -1, 1);
        v.in[CONDITION].whole = 1; /* 0 must be among them */
        to->take(to, &v);
    }
    for (int whole = 0; whole < 4;
         whole++) { /* a bit each for the condition and for a, b of int32 beside it; at last a alone */
        tl_sample v = tl__sample(&tl__op_where);
        for (int k = 0; k < 3; k++)
            tl__sample_input(&v, 2, shapes[0].dims[0], k == CONDITION ? 0 : -4, k == CONDITION ? 1 : 4);
        v.in[CONDITION].whole = 1;
        v.in[CONDITION].integer = whole != 1;
        v.in[A].integer = whole != 0;
        v.in[B].integer = whole == 1 || whole == 2;
        to->take(to, &v);
    }
}

const tl_op tl__op_where = {
    .name = "where",
    .brief = "`a` where `condition` is not 0, elsewhere `b`; all three broadcast.",
    .inputs = {"condition", "a", "b"},
    .layout = {TL_ANY, TL_ANY, TL_ANY},
    .constants = 1u << CONDITION,
    .ints = 7,
    .alike = 6,
    .infer = where_infer,
    .forward = where_forward,
    .vjp = where_vjp,
    .saves = TL_SAVE_IN(CONDITION),
    .torch = "torch.where(condition != 0, a, b)",
    .samples = where_samples,
};

tl_tensor *tl_where(tl_scope *s, tl_tensor *condition, tl_tensor *a, tl_tensor *b)
{
    return tl__apply(s, &tl__op_where, (tl_tensor *[]){condition, a, b}, 3, NULL, NULL);
}

/* ---- gather ---- */

enum { X, INDEX };

/* x as (outer, n, inner), index as (outer, m, inner). */
typedef struct lines { int axis; int64_t outer, n, m, inner; } lines;

static int lines_of(tl_error *err, const tl_call *c, lines *g)
{
    const tl_shape *x = &c->in_meta[X].shape, *index = &c->in_meta[INDEX].shape;
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT];
    *g = (lines){.axis = tl__axis((int)c->attr[0].i, x->rank), .outer = 1, .inner = 1};
    if (g->axis < 0) return tl__op_fail(err, c, TL_EARG, "there is no such dimension in a tensor of %d", x->rank);
    int fits = index->rank == x->rank;
    for (int i = 0; i < x->rank && fits; i++) {
        fits = i == g->axis || index->dim[i] == x->dim[i];
        if (i != g->axis) *(i < g->axis ? &g->outer : &g->inner) *= x->dim[i];
    }
    if (!fits)
        return tl__op_fail(err, c, TL_ESHAPE, "the index %s may differ from %s in the gathered dimension only", tl__shape_text(index, a, sizeof a), tl__shape_text(x, b, sizeof b));
    g->n = x->dim[g->axis];
    g->m = index->dim[g->axis];
    return 0;
}

static int gather_infer(tl_error *err, tl_call *c)
{
    lines g;
    if (lines_of(err, c, &g) != 0) return -1;
    c->n_out = 1;
    c->out_meta[0] = (tl_meta){c->in_meta[INDEX].shape, c->in_meta[X].dtype};
    return 0;
}

static int gather_forward(tl_scope *s, const tl_call *c)
{
    lines g;
    int64_t n = tl_numel(c->out[0]), chunk;
    if (lines_of(&s->err, c, &g) != 0) return -1;
    tl_launch l = flat(s->device, "gather", n, &chunk);
    l.options = typed(c->out[0]);
    tl__arm_error_word(s->device);
    return TL__LAUNCH(&s->err, s->device, &l, "gather", TL_KL(n), TL_KL(chunk), TL_KT(c->in[X]), TL_KT(c->in[INDEX]), TL_KT(c->out[0]), TL_KL(g.n), TL_KL(g.m),
                      TL_KL(g.inner), TL_KBUF(s->device->error_word));
}

/* dx[index[k]] += gy[k]; each line of the gathered dimension belongs to one work-item, so that sums keep their order */
tl_tensor *tl__gather_gradient(tl_scope *s, tl_tensor *gy, tl_tensor *index, const tl_shape *x, int axis)
{
    tl_tensor *gradient = tl__packed(s, gy), *dx = tl_full(s, TL_F32, x->rank, x->dim, 0);
    int64_t outer = 1, inner = 1;
    for (int i = 0; i < x->rank; i++)
        if (i != axis) *(i < axis ? &outer : &inner) *= x->dim[i];
    if (!gradient || !dx) return NULL;
    tl_launch l = {.program = &program, .kernel = "gather_grad", .dims = 2, .global = {(size_t)inner, (size_t)outer}};
    int bad = TL__LAUNCH(&s->err, s->device, &l, "gather", TL_KT(gradient), TL_KT(index), TL_KT(dx),
                         TL_KL(x->dim[axis]), TL_KL(index->shape.dim[axis]), TL_KL(inner));
    return bad ? NULL : dx;
}

static void gather_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    const tl_shape *x = &c->in_meta[X].shape;
    gx[X] = tl__gather_gradient(s, gy[0], c->in[INDEX], x, tl__axis((int)c->attr[0].i, x->rank));
}

static void gather_samples(tl_sampler *to)
{
    static const struct { int rank, axis; int64_t x[3], m; } shapes[] = {{1, 0, {7}, 16}, {2, 1, {3, 5}, 4}, {2, 0, {6, 17}, 9}, {3, 1, {2, 4, 3}, 1}, {3, -1, {2, 3, 9}, 33}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        tl_sample v = tl__sample(&tl__op_gather);
        int axis = tl__axis(shapes[i].axis, shapes[i].rank);
        int64_t index[3] = {shapes[i].x[0], shapes[i].x[1], shapes[i].x[2]};
        index[axis] = shapes[i].m;
        tl__sample_input(&v, shapes[i].rank, shapes[i].x, -1, 1);
        tl__sample_input(&v, shapes[i].rank, index, 0, (double)shapes[i].x[axis] - 1);
        v.attr[0].i = shapes[i].axis;
        to->take(to, &v);
    }
    tl_sample v = tl__sample(&tl__op_gather);
    tl__sample_whole(&v, 2, (const int64_t[]){3, 5}, -9, 9);
    tl__sample_input(&v, 2, (const int64_t[]){3, 7}, 0, 4);
    to->take(to, &v);
}

const tl_op tl__op_gather = {
    .name = "gather",
    .brief = "Elements of `x` along `axis` by `index` (int32, counted from 0), of x's shape but for that dimension.",
    .inputs = {"x", "index"},
    .attrs = {TL_AXIS("axis", -1, "dimension that the numbers count along")},
    .int_inputs = 1u << INDEX,
    .ints = 1u << X,
    .infer = gather_infer,
    .forward = gather_forward,
    .vjp = gather_vjp,
    .saves = TL_SAVE_IN(INDEX),
    .torch = "x.gather(axis, index.long())",
    .samples = gather_samples,
};

tl_tensor *tl_gather(tl_scope *s, tl_tensor *x, tl_tensor *index, int axis)
{
    tl_value a[TL_MAX_ATTRS] = {{.i = axis}};
    return tl__apply(s, &tl__op_gather, (tl_tensor *[]){x, index}, 2, a, NULL);
}

/* ---- pad ---- */

enum { BEFORE, AFTER, MODE, VALUE };
enum { CONSTANT, REFLECT, REPLICATE };
static const char *const modes[] = {"constant", "reflect", "replicate", NULL};

static int64_t edge(const tl_call *c, int attr, int i) { return i < c->attr[attr].n ? c->attr[attr].list[i] : 0; }

static int pad_infer(tl_error *err, tl_call *c)
{
    tl_shape y = c->in_meta[0].shape;
    int mode = (int)c->attr[MODE].i;
    for (int k = BEFORE; k <= AFTER; k++)
        if (c->attr[k].n != y.rank && c->attr[k].n != 0)
            return tl__op_fail(err, c, TL_EARG, "%s has %d numbers for %d dimensions", c->op->attrs[k].name, c->attr[k].n, y.rank);
    for (int i = 0; i < y.rank; i++) {
        int64_t n = y.dim[i], b = edge(c, BEFORE, i), a = edge(c, AFTER, i), most = mode == REFLECT ? n - 1 : mode == REPLICATE && n == 0 ? 0 : (int64_t)1 << 24;
        if (b < 0 || a < 0 || b > most || a > most)
            return tl__op_fail(err, c, TL_ESHAPE, "dimension %d of %lld elements cannot be padded by %lld and %lld", i + 1, (long long)n, (long long)b, (long long)a);
        y.dim[i] = n + b + a;
    }
    c->n_out = 1;
    c->out_meta[0] = (tl_meta){y, c->in_meta[0].dtype};
    return 0;
}

/* The part of y that is x itself. */
static tl_tensor *middle(tl_scope *s, const tl_call *c, tl_tensor *y)
{
    for (int i = 0; i < c->in_meta[0].shape.rank; i++) y = tl_slice(s, y, i, edge(c, BEFORE, i), c->in_meta[0].shape.dim[i]);
    return y;
}

/* One dimension: from (outer, n, inner) to (outer, n + edges, inner), or the gradient the other way. `shape` is that of the result. */
static tl_tensor *pad_one(tl_scope *s, const tl_call *c, const char *kernel, int i, tl_tensor *from, const tl_shape *shape, int64_t n)
{
    int64_t inner = 1, v = 16, rows = 1, part;
    tl_tensor *to = from ? tl_empty(s, from->dtype, shape->rank, shape->dim) : NULL;
    for (int k = 0; k < shape->rank; k++) *(k <= i ? &rows : &inner) *= shape->dim[k];
    part = s->device->traits.is_cpu ? (inner + v - 1) / v * v : 1;
    if (!from || !to) return NULL;
    tl_launch l = {.program = &program,
                   .options = typed(to),
                   .kernel = kernel,
                   .dims = 2,
                   .global = {(size_t)(inner ? (inner + part - 1) / part : 0), (size_t)rows}};
    return TL__LAUNCH(&s->err, s->device, &l, "pad", TL_KT(from), TL_KT(to), TL_KL(n), TL_KL(inner), TL_KL(edge(c, BEFORE, i)), TL_KL(edge(c, AFTER, i)),
                      TL_KL(part), TL_KI(c->attr[MODE].i == REFLECT)) == 0 ? to : NULL;
}

static int pad_forward(tl_scope *s, const tl_call *c)
{
    tl_tensor *x = c->in[0], *y = c->out[0];
    if (c->attr[MODE].i == CONSTANT) {
        float value = (float)c->attr[VALUE].f;
        tl_tensor *all = tl_full(s, y->dtype, 0, NULL, (double)value), *part = middle(s, c, y);
        return all && part && tl__copy_into(s, tl_expand(s, all, y->shape.rank, y->shape.dim), y) == 0 ? tl__copy_into(s, x, part) : -1;
    }
    for (int i = 0; i < y->shape.rank && x; i++) {
        if (x->shape.dim[i] == y->shape.dim[i]) continue;
        tl_shape shape = x->shape;
        shape.dim[i] = y->shape.dim[i];
        x = pad_one(s, c, "pad_edges", i, x, &shape, x->shape.dim[i]);
    }
    return x ? tl__copy_into(s, x, y) : -1;
}

/* dx: the middle of gy; mirrored and repeated edges are added to where they came from, last dimension first */
static void pad_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_tensor *g = gy[0];
    if (c->attr[MODE].i == CONSTANT) {
        gx[0] = middle(s, c, g);
        return;
    }
    g = tl__packed(s, g);
    for (int i = c->in_meta[0].shape.rank - 1; i >= 0 && g; i--) {
        if (g->shape.dim[i] == c->in_meta[0].shape.dim[i]) continue;
        tl_shape shape = g->shape;
        shape.dim[i] = c->in_meta[0].shape.dim[i];
        g = pad_one(s, c, "pad_edges_dx", i, g, &shape, shape.dim[i]);
    }
    gx[0] = g;
}

static void pad_samples(tl_sampler *to)
{
    static const struct { int rank; int64_t x[4], before[4], after[4]; } shapes[] = {
        {1, {5}, {2}, {4}}, {2, {3, 17}, {0, 1}, {2, 0}}, {4, {1, 4, 3, 2}, {0, 2, 1, 0}, {0, 3, 2, 0}}, {3, {2, 1, 33}, {0, 0, 3}, {1, 0, 16}}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int mode = CONSTANT; mode <= REPLICATE; mode++) {
            tl_sample v = tl__sample(&tl__op_pad);
            tl__sample_input(&v, shapes[i].rank, shapes[i].x, -1, 1);
            v.attr[BEFORE].n = v.attr[AFTER].n = shapes[i].rank;
            for (int k = 0; k < shapes[i].rank; k++) {
                v.attr[BEFORE].list[k] = shapes[i].before[k];
                v.attr[AFTER].list[k] = shapes[i].after[k];
            }
            v.attr[MODE].i = mode;
            v.attr[VALUE].f = mode == CONSTANT ? 0.25 : 0;
            to->take(to, &v);
        }
    for (int mode = CONSTANT; mode <= REPLICATE; mode++) {
        tl_sample v = tl__sample(&tl__op_pad);
        tl__sample_whole(&v, 2, (const int64_t[]){3, 17}, -9, 9);
        v.attr[BEFORE] = (tl_value){.n = 2, .list = {0, 1}};
        v.attr[AFTER] = (tl_value){.n = 2, .list = {2, 0}};
        v.attr[MODE].i = mode;
        v.attr[VALUE].f = mode == CONSTANT ? 3 : 0;
        to->take(to, &v);
    }
}

const tl_op tl__op_pad = {
    .name = "pad",
    .brief = "`x` with elements added before and after its dimensions.",
    .inputs = {"x"},
    .attrs = {TL_INTS("before", "how many before each dimension's elements; none where not given"),
              TL_INTS("after", "how many after them"),
              TL_CHOICE("mode", modes, "a constant, or x itself: reflected at its last element, or that one again"),
              TL_FLOAT("value", 0, "the constant")},
    .ints = 1,
    .infer = pad_infer,
    .forward = pad_forward,
    .vjp = pad_vjp,
    .torch = "pad(x, before, after, mode, value)",
    .samples = pad_samples,
};

tl_tensor *tl_pad(tl_scope *s, tl_tensor *x, const int64_t *before, const int64_t *after, const char *mode, double value)
{
    tl_value a[TL_MAX_ATTRS] = {{.n = 0}, {.n = 0}, {.i = CONSTANT}, {.f = value}};
    if (!s || s->err.code || !x) return NULL;
    for (int k = BEFORE; k <= AFTER; k++) {
        const int64_t *list = k == BEFORE ? before : after;
        for (int i = 0; list && i < x->shape.rank && i < TL_ATTR_LIST; i++) a[k].list[a[k].n++] = list[i];
    }
    while (mode && modes[a[MODE].i] && strcmp(mode, modes[a[MODE].i]) != 0) a[MODE].i++;
    if (!modes[a[MODE].i]) {
        tl__fail(&s->err, TL_EARG, "pad: the mode is constant, reflect or replicate, not %s", mode);
        return NULL;
    }
    return tl__apply(s, &tl__op_pad, &x, 1, a, NULL);
}
