/* matmul.c - the matrix product and the linear layer. Both are one call of tl__gemm where the operands'
 * strides allow it, which they do for everything but batches that are spread unevenly. */
#include "op/activation.h"
#include "op/conv.h"

/* ---- matmul ---- */

/* An operand seen as a batch of matrices; a vector is a matrix of one row (a) or one column (b). */
typedef struct operand {
    int64_t rows, cols, row, col;
    int batch_rank;
} operand;

static void see(operand *o, const tl_shape *shape, const int64_t *stride, int transposed, int is_b)
{
    int r = shape->rank;
    *o = (operand){.rows = 1, .cols = 1, .batch_rank = r > 2 ? r - 2 : 0};
    if (r == 1) {
        *(is_b ? &o->rows : &o->cols) = shape->dim[0];
        if (stride) *(is_b ? &o->row : &o->col) = stride[0];
        return;
    }
    int row = transposed ? r - 1 : r - 2, col = transposed ? r - 2 : r - 1;
    o->rows = shape->dim[row];
    o->cols = shape->dim[col];
    if (stride) {
        o->row = stride[row];
        o->col = stride[col];
    }
}

static int matmul_refused(tl_error *err, const tl_call *c, const char *why)
{
    static const char *const note[] = {"", ", first transposed", ", second transposed", ", both transposed"};
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT];
    return tl__op_fail(err, c, TL_ESHAPE, "%s x %s%s%s", tl__shape_text(&c->in_meta[0].shape, a, sizeof a),
                       tl__shape_text(&c->in_meta[1].shape, b, sizeof b), note[(c->attr[0].i != 0) + 2 * (c->attr[1].i != 0)], why);
}

static int matmul_infer(tl_error *err, tl_call *c)
{
    const tl_shape *sa = &c->in_meta[0].shape, *sb = &c->in_meta[1].shape;
    operand a, b;
    if (sa->rank == 0 || sb->rank == 0) return matmul_refused(err, c, "; a single number is multiplied with mul");
    see(&a, sa, NULL, (int)c->attr[0].i, 0);
    see(&b, sb, NULL, (int)c->attr[1].i, 1);
    if (a.cols != b.rows) return matmul_refused(err, c, "");
    tl_shape batch_a = tl__shape(a.batch_rank, sa->dim), batch_b = tl__shape(b.batch_rank, sb->dim), y;
    if (tl__broadcast(&batch_a, &batch_b, &y) != 0) return matmul_refused(err, c, "; the batches do not broadcast");
    if (sa->rank > 1) y.dim[y.rank++] = a.rows;
    if (sb->rank > 1) y.dim[y.rank++] = b.cols;
    c->n_out = 1;
    c->out_meta[0] = (tl_meta){y, TL_F32};
    return 0;
}

/* The batch dimensions of a, b and c walked together, those of length 1 left out and those that advance evenly merged. */
typedef struct batches {
    int rank;
    int64_t dim[TL_MAX_RANK], stride[3][TL_MAX_RANK];
} batches;

static void walk_batches(batches *w, const tl_tensor *const *t, const int *batch_rank)
{
    int r = batch_rank[0] > batch_rank[1] ? batch_rank[0] : batch_rank[1];
    w->rank = 0;
    for (int i = 0; i < r; i++) {
        int64_t dim = t[2]->shape.dim[i], s[3];
        if (dim == 1) continue;
        for (int o = 0; o < 3; o++) {
            int k = o == 2 ? i : i - (r - batch_rank[o]);
            s[o] = k < 0 || t[o]->shape.dim[k] == 1 ? 0 : t[o]->stride[k];
        }
        int last = w->rank - 1, even = last >= 0;
        for (int o = 0; o < 3 && even; o++) even = w->stride[o][last] == s[o] * dim;
        int at = even ? last : w->rank++;
        w->dim[at] = even ? w->dim[last] * dim : dim;
        for (int o = 0; o < 3; o++) w->stride[o][at] = s[o];
    }
}

/* b of g is `w`, a matrix of halves whose rows or columns (`transposed`) are b's: read as the product packs it, or
 * converted before. 0 or -1. */
static int take_half(tl_scope *s, tl_gemm *g, tl_tensor *w, int transposed)
{
    g->b_type = w->dtype;
    if (tl__gemm_takes_half(s->device, g)) return 0;
    g->b_type = TL_F32;
    if (!(w = tl__cast(s, w, TL_F32))) return -1;
    s->device->casts++;
    g->b = (tl_matrix){w->buffer, w->offset, w->stride[transposed ? 1 : 0], w->stride[transposed ? 0 : 1], 0};
    return 0;
}

static int matmul_forward(tl_scope *s, const tl_call *c)
{
    const tl_tensor *t[3] = {c->in[0], c->in[1], c->out[0]};
    operand a, b;
    if (t[1]->dtype != TL_F32 && t[1]->shape.rank != 2 && !(t[1] = tl__cast(s, c->in[1], TL_F32))) return -1;
    see(&a, &t[0]->shape, t[0]->stride, (int)c->attr[0].i, 0);
    see(&b, &t[1]->shape, t[1]->stride, (int)c->attr[1].i, 1);
    tl_gemm g = {.m = a.rows, .n = b.cols, .k = a.cols, .batch = 1, .alpha = 1,
                 .a = {t[0]->buffer, t[0]->offset, a.row, a.col, 0}, .b = {t[1]->buffer, t[1]->offset, b.row, b.col, 0},
                 .c = {t[2]->buffer, t[2]->offset, b.cols, 1, 0}};
    batches w;
    walk_batches(&w, t, (int[]){a.batch_rank, b.batch_rank});
    /* One b for many a whose rows follow one another: a single tall product. */
    while (w.rank && w.stride[1][w.rank - 1] == 0 && w.stride[2][w.rank - 1] == g.m * g.c.row &&
           (g.m == 1 || w.stride[0][w.rank - 1] == g.m * g.a.row)) {
        if (g.m == 1) g.a.row = w.stride[0][w.rank - 1];
        g.m *= w.dim[--w.rank];
    }
    if (w.rank) {
        w.rank--;
        g.batch = w.dim[w.rank];
        g.a.batch = w.stride[0][w.rank];
        g.b.batch = w.stride[1][w.rank];
        g.c.batch = w.stride[2][w.rank];
    }
    if (t[1]->dtype != TL_F32 && take_half(s, &g, c->in[1], c->attr[1].i != 0) != 0) return -1;
    int64_t count = 1, base[3] = {g.a.offset, g.b.offset, g.c.offset};
    for (int i = 0; i < w.rank; i++) count *= w.dim[i];
    for (int64_t x = 0; x < count; x++) {
        int64_t rest = x, at[3] = {base[0], base[1], base[2]};
        for (int i = w.rank - 1; i >= 0; i--) {
            for (int o = 0; o < 3; o++) at[o] += rest % w.dim[i] * w.stride[o][i];
            rest /= w.dim[i];
        }
        g.a.offset = at[0];
        g.b.offset = at[1];
        g.c.offset = at[2];
        if (tl__gemm(&s->err, s->device, &g, "matmul") != 0) return -1;
    }
    return 0;
}

/* `t` with a dimension of length 1 put in at `axis`. */
static tl_tensor *unsqueezed(tl_scope *s, tl_tensor *t, int axis)
{
    int64_t dims[TL_MAX_RANK + 1];
    if (!t || t->shape.rank == TL_MAX_RANK) return NULL;
    int r = t->shape.rank;
    for (int i = 0, k = 0; i <= r; i++) dims[i] = i == axis ? 1 : t->shape.dim[k++];
    return tl_reshape(s, t, r + 1, dims);
}

/* (..., rows, cols) -> (all rows, cols) */
static tl_tensor *flat_rows(tl_scope *s, tl_tensor *t)
{
    return t && t->shape.rank > 2 ? tl_reshape(s, t, 2, (int64_t[]){-1, tl_dim(t, -1)}) : t;
}

/* The gradient of a vector loses the dimension that made it a matrix. */
static tl_tensor *without(tl_scope *s, tl_tensor *t, int axis)
{
    int64_t dims[TL_MAX_RANK];
    if (!t) return NULL;
    int r = t->shape.rank, at = tl__axis(axis, r), k = 0;
    for (int i = 0; i < r; i++)
        if (i != at) dims[k++] = t->shape.dim[i];
    return tl_reshape(s, t, k, dims);
}

/* y = a b: da = gy b^T, db = a^T gy; where an operand is stored transposed, so is its gradient. */
static void matmul_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    int ra = c->in_meta[0].shape.rank, rb = c->in_meta[1].shape.rank;
    int ta = ra > 1 && c->attr[0].i, tb = rb > 1 && c->attr[1].i;
    tl_tensor *g = gy[0], *a = c->in[0], *b = c->in[1];
    if (rb == 1) {
        g = unsqueezed(s, g, g ? g->shape.rank : 0);
        b = unsqueezed(s, b, 1);
    }
    if (ra == 1) {
        g = unsqueezed(s, g, g ? g->shape.rank - 1 : 0);
        a = unsqueezed(s, a, 0);
    }
    if (c->needs[0]) {
        tl_tensor *da = ta ? tl_matmul(s, b, g, tb, 1) : tl_matmul(s, g, b, 0, !tb);
        gx[0] = ra == 1 ? without(s, da, -2) : da;
    }
    if (c->needs[1]) {
        if (rb <= 2 && ra > 2 && !ta) { /* one b for the whole batch: one product over all rows */
            g = flat_rows(s, g);
            a = flat_rows(s, a);
        }
        tl_tensor *db = tb ? tl_matmul(s, g, a, 1, ta) : tl_matmul(s, a, g, !ta, 0);
        gx[1] = rb == 1 ? without(s, db, -1) : db;
    }
}

static double matmul_flops(const tl_call *c)
{
    const tl_shape *a = &c->in_meta[0].shape;
    int last = a->rank - 1;
    return 2.0 * (double)tl__numel(&c->out_meta[0].shape) * (double)a->dim[a->rank > 1 && c->attr[0].i ? last - 1 : last];
}

static double linear_flops(const tl_call *c)
{
    return 2.0 * (double)tl__numel(&c->out_meta[0].shape) * (double)c->in_meta[1].shape.dim[1];
}

static void take_matmul(tl_sampler *to, const tl_op *op, int ra, const int64_t *a, int rb, const int64_t *b, int ta, int tb)
{
    tl_sample x = tl__sample(op);
    tl__sample_input(&x, ra, a, -1, 1);
    tl__sample_input(&x, rb, b, -1, 1);
    x.attr[0].i = ta;
    x.attr[1].i = tb;
    to->take(to, &x);
}

#define DIMS(...) (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]){__VA_ARGS__}
extern const tl_op tl__op_matmul, tl__op_linear;

static void matmul_samples(tl_sampler *to)
{
    const tl_op *op = &tl__op_matmul;
    take_matmul(to, op, DIMS(3, 4), DIMS(4, 5), 0, 0);
    take_matmul(to, op, DIMS(4, 3), DIMS(5, 4), 1, 1);
    take_matmul(to, op, DIMS(4), DIMS(4), 0, 0);
    take_matmul(to, op, DIMS(4), DIMS(2, 4, 3), 0, 0);
    take_matmul(to, op, DIMS(2, 3, 4), DIMS(4), 0, 0);
    take_matmul(to, op, DIMS(2, 3, 4), DIMS(4, 5), 0, 0);
    take_matmul(to, op, DIMS(2, 1, 3, 4), DIMS(3, 5, 4), 0, 1);
    take_matmul(to, op, DIMS(3, 1, 1), DIMS(1, 1, 2), 0, 0);
    for (int i = -1; i <= 1 && !to->small; i++) {
        take_matmul(to, op, DIMS(to->tile_m + i, 5), DIMS(5, to->tile_n + i), 0, 0);
        take_matmul(to, op, DIMS(2, 3, to->tile_m + i), DIMS(2, to->tile_n - i, 3), 1, 1);
    }
}

const tl_op tl__op_matmul = {
    .name = "matmul", .mixed = TL_LOWERED, .brief = "Matrix product of `a` (..., m, k) and `b` (..., k, n); batches broadcast, vectors are a row of `a` or a column of `b`.",
    .inputs = {"a", "b"},
    .attrs = {TL_BOOL_("transpose_a", 0, "`a` is given as (..., k, m)"), TL_BOOL_("transpose_b", 0, "`b` is given as (..., n, k)")},
    .layout = {TL_ANY, TL_ANY}, .halves = 1u << 1, .infer = matmul_infer, .forward = matmul_forward,
    .vjp = matmul_vjp, .flops = matmul_flops, .saves = TL_SAVE_IN(0) | TL_SAVE_IN(1),
    .torch = "torch.matmul(a.mT if transpose_a else a, b.mT if transpose_b else b)", .samples = matmul_samples,
};

tl_tensor *tl_matmul(tl_scope *s, tl_tensor *a, tl_tensor *b, int transpose_a, int transpose_b)
{
    tl_value attr[TL_MAX_ATTRS] = {{.i = transpose_a != 0}, {.i = transpose_b != 0}};
    return tl__apply(s, &tl__op_matmul, (tl_tensor *[]){a, b}, 2, attr, NULL);
}

/* ---- linear ---- */

enum { X, WEIGHT, BIAS, RESIDUAL };

static int linear_infer(tl_error *err, tl_call *c)
{
    const tl_shape *x = &c->in_meta[X].shape, *w = &c->in_meta[WEIGHT].shape;
    char got[TL__SHAPE_TEXT], want[TL__SHAPE_TEXT];
    if (w->rank != 2) return tl__op_fail(err, c, TL_ESHAPE, "the weight must be (out, in), not %s", tl__shape_text(w, got, sizeof got));
    if (x->rank == 0) return tl__op_fail(err, c, TL_ESHAPE, "the input is a single number, the weight wants %lld features", (long long)w->dim[1]);
    if (x->dim[x->rank - 1] != w->dim[1])
        return tl__op_fail(err, c, TL_ESHAPE, "the input has %lld features, the weight wants %lld", (long long)x->dim[x->rank - 1], (long long)w->dim[1]);
    const tl_shape *bias = &c->in_meta[BIAS].shape;
    if (c->n_in > BIAS && c->present[BIAS] && (bias->rank != 1 || bias->dim[0] != w->dim[0]))
        return tl__op_fail(err, c, TL_ESHAPE, "the bias is %s, the weight gives %lld features", tl__shape_text(bias, got, sizeof got), (long long)w->dim[0]);
    c->n_out = 1;
    c->out_meta[0] = (tl_meta){*x, TL_F32};
    c->out_meta[0].shape.dim[x->rank - 1] = w->dim[0];
    if (c->n_in > RESIDUAL && c->present[RESIDUAL] && !tl__shape_equal(&c->in_meta[RESIDUAL].shape, &c->out_meta[0].shape))
        return tl__op_fail(err, c, TL_ESHAPE, "the residual is %s, the output %s", tl__shape_text(&c->in_meta[RESIDUAL].shape, got, sizeof got),
                           tl__shape_text(&c->out_meta[0].shape, want, sizeof want));
    return 0;
}

static tl_tensor *input(const tl_call *c, int i) { return i < c->n_in ? c->in[i] : NULL; }

static int linear_forward(tl_scope *s, const tl_call *c)
{
    const tl_tensor *x = c->in[X], *w = c->in[WEIGHT], *bias = input(c, BIAS), *residual = input(c, RESIDUAL), *y = c->out[0];
    int64_t in = w->shape.dim[1], out = w->shape.dim[0], row, r_row = 0;
    tl__is_rows(x, &row);
    if (residual) tl__is_rows(residual, &r_row);
    tl_gemm g = {.m = out ? tl_numel(y) / out : 0, .n = out, .k = in, .batch = 1, .alpha = 1,
                 .a = {x->buffer, x->offset, row, 1, 0},
                 .b = {w->buffer, w->offset, w->stride[1], w->stride[0], 0}, .c = {y->buffer, y->offset, out, 1, 0},
                 .bias = bias ? bias->buffer : NULL, .bias_offset = bias ? bias->offset : 0,
                 .activation = (tl_act)c->attr[0].i,
                 /* A weight that is trained is written in every step; a frozen one is worth keeping packed. */
                 .constant_b = w->node == NULL};
    if (residual) g.residual = (tl_matrix){residual->buffer, residual->offset, r_row, 1, 0};
    if (w->dtype != TL_F32 && take_half(s, &g, c->in[WEIGHT], 1) != 0) return -1;
    return tl__gemm(&s->err, s->device, &g, "linear");
}

static const tl_program columns = {"gemm_columns", NULL};

/* Sums of the columns of x (m, n): in parts of rows whose number depends on the shape alone, then over the parts. */
tl_tensor *tl__sum_columns(tl_scope *s, tl_tensor *x)
{
    if (s->err.code || !x) return NULL;
    int64_t m = tl_dim(x, 0), n = tl_dim(x, 1), v = s->device->traits.vector_width, length = m > 256 ? 64 : m > 0 ? m : 1;
    while (m / length > 256) length *= 2;
    int64_t parts = m > 0 ? (m + length - 1) / length : 1;
    tl_tensor *y = tl_empty(s, TL_F32, 1, &n), *partial = parts > 1 ? tl_empty(s, TL_F32, 2, (int64_t[]){parts, n}) : y;
    if (!y || !partial) return NULL;
    tl_launch l = {.program = &columns, .kernel = "sum_columns", .dims = 2, .global = {(size_t)((n + 4 * v - 1) / (4 * v)), (size_t)parts}};
    if (TL__LAUNCH(&s->err, s->device, &l, "linear", TL_KL(m), TL_KL(n), TL_KL(length), TL_KT(x), TL_KL(n), TL_KT(partial)) != 0) return NULL;
    if (parts == 1) return y;
    l.global[1] = 1;
    return TL__LAUNCH(&s->err, s->device, &l, "linear", TL_KL(parts), TL_KL(n), TL_KL(parts), TL_KT(partial), TL_KL(n), TL_KT(y)) == 0 ? y : NULL;
}

/* g = gy * act'(.); dx = g w, dw = g^T x, db = column sums of g, dresidual = g */
static void linear_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_act act = (tl_act)c->attr[0].i;
    tl_tensor *g = tl__packed(s, gy[0]), *from = c->out[0];
    /* What went into a smooth activation is not kept but computed again; tl_linear avoids it. */
    if (tl__act_needs_input(act)) from = tl_linear(s, c->in[X], c->in[WEIGHT], input(c, BIAS), input(c, RESIDUAL), "none");
    if (act != TL_ACT_NONE) g = tl__activation_gradient(s, act, g, from);
    const tl_shape *x = &c->in_meta[X].shape, *w = &c->in_meta[WEIGHT].shape;
    int64_t m = tl__numel(&c->out_meta[0].shape) / (w->dim[0] ? w->dim[0] : 1);
    tl_tensor *rows = tl_reshape(s, g, 2, (int64_t[]){m, w->dim[0]});
    if (!rows) return;
    if (c->needs[X]) gx[X] = tl_reshape(s, tl_matmul(s, rows, c->in[WEIGHT], 0, 0), x->rank, x->dim);
    if (c->needs[WEIGHT]) {
        int64_t row;
        tl_shape flat = {2, {m, w->dim[1]}};
        tl__is_rows(c->in[X], &row);
        tl_tensor *xs = tl__scope_own(s, tl__tensor_view(&s->err, c->in[X], &flat, (int64_t[TL_MAX_RANK]){row, 1}, c->in[X]->offset));
        gx[WEIGHT] = tl_matmul(s, rows, xs, 1, 0);
    }
    if (c->n_in > BIAS && c->needs[BIAS]) gx[BIAS] = tl__sum_columns(s, rows);
    if (c->n_in > RESIDUAL && c->needs[RESIDUAL]) gx[RESIDUAL] = g;
}

/* As for a convolution: what is frozen on one side is not needed from the other. */
static unsigned linear_saves(const tl_call *c)
{
    tl_act act = (tl_act)c->attr[0].i;
    unsigned saves = 0;
    if (tl__act_needs_input(act)) return TL_SAVE_IN(X) | TL_SAVE_IN(WEIGHT) | TL_SAVE_IN(BIAS) | TL_SAVE_IN(RESIDUAL);
    if (c->needs[WEIGHT]) saves |= TL_SAVE_IN(X);
    if (c->needs[X]) saves |= TL_SAVE_IN(WEIGHT);
    return act == TL_ACT_NONE ? saves : saves | TL_SAVE_OUT(0);
}

static void take_linear(tl_sampler *to, int rank, const int64_t *x, int64_t out, int bias, int residual, int act)
{
    tl_sample v = tl__sample(&tl__op_linear);
    int64_t y[TL_MAX_RANK];
    for (int i = 0; i < rank; i++) y[i] = i < rank - 1 ? x[i] : out;
    tl__sample_input(&v, rank, x, -1, 1);
    tl__sample_input(&v, 2, (int64_t[]){out, x[rank - 1]}, -1, 1);
    if (bias) tl__sample_input(&v, 1, &out, -1, 1);
    else tl__sample_absent(&v);
    if (residual) tl__sample_input(&v, rank, y, -1, 1);
    else tl__sample_absent(&v);
    v.attr[0].i = act;
    to->take(to, &v);
}

static void linear_samples(tl_sampler *to)
{
    for (int act = TL_ACT_NONE; act <= TL_ACT_GELU; act++) take_linear(to, DIMS(3, 4), 5, act != TL_ACT_RELU, act & 1, act);
    take_linear(to, DIMS(2, 3, 4), 5, 1, 1, TL_ACT_NONE);
    take_linear(to, DIMS(4), 3, 1, 0, TL_ACT_NONE);
    take_linear(to, DIMS(1, 7), 10, 0, 0, TL_ACT_NONE);
    for (int i = -1; i <= 1 && !to->small; i++) take_linear(to, DIMS(to->tile_m + i, 6), to->tile_n + i, 1, 0, TL_ACT_NONE);
    if (!to->small) take_linear(to, DIMS(300, 3), 5, 1, 0, TL_ACT_SILU);
}

const tl_op tl__op_linear = {
    .name = "linear", .mixed = TL_LOWERED, .brief = "activation(`x` `weight`^T + `bias` + `residual`): x (..., in), weight (out, in), bias (out), residual (..., out).",
    .inputs = {"x", "weight", "bias?", "residual?"},
    .attrs = {TL_CHOICE("activation", tl__activations, "applied to the sum")},
    .layout = {TL_ROWS, TL_ANY, TL_PACKED, TL_ROWS}, .halves = 1u << WEIGHT, .infer = linear_infer,
    .forward = linear_forward, .vjp = linear_vjp,
    .saves_for = linear_saves, .flops = linear_flops,
    .torch = "{'none': lambda v: v, 'relu': torch.relu, 'relu6': F.relu6, 'silu': F.silu, 'hardswish': F.hardswish, 'gelu': F.gelu}[activation]"
             "(F.linear(x, weight, bias) + (0 if residual is None else residual))",
    .samples = linear_samples,
};

tl_tensor *tl_linear(tl_scope *s, tl_tensor *x, tl_tensor *weight, tl_tensor *bias, tl_tensor *residual, const char *activation)
{
    tl_tensor *in[] = {x, weight, bias, residual};
    tl_value attr[TL_MAX_ATTRS] = {{0}};
    if (!s || s->err.code) return NULL;
    tl_act act;
    int recorded = 0;
    if (tl__activation_named(&s->err, "linear", activation, &act) != 0) return NULL;
    for (int i = 0; i < 4; i++) recorded |= s->recording && in[i] && in[i]->node;
    /* Their gradient needs what went in: while recording it is made, and kept, as a result of its own. */
    int smooth = tl__act_needs_input(act);
    attr[0].i = recorded && smooth ? TL_ACT_NONE : act;
    tl_tensor *y = tl__apply(s, &tl__op_linear, in, 4, attr, NULL);
    if (!recorded || !smooth) return y;
    return tl__activation(s, act, y);
}
