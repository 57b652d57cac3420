/* sequence.c - operators that networks of layers and tokens need: layer norm, embedding, dropout, concatenation. */
#include "op/op.h"

#include <stdlib.h>
#include <string.h>

/* ---- dropout ---- */

static const tl_program random_program = {"random", NULL};

static int dropout_infer(tl_error *err, tl_call *c)
{
    if (!(c->attr[0].f >= 0 && c->attr[0].f < 1)) return tl__op_fail(err, c, TL_EARG, "p is a share of elements, 0 <= p < 1, not %g", c->attr[0].f);
    return tl__infer_like_first(err, c);
}

static int dropout_apply(tl_scope *s, const tl_call *c, tl_tensor *x, tl_tensor *y)
{
    int64_t n = tl_numel(y), chunk = s->device->traits.is_cpu ? 1024 : 1;
    double p = c->attr[0].f;
    if (!c->attr[1].i || p == 0) return tl__copy_into(s, x, y);
    tl_launch l = {.program = &random_program, .kernel = "dropout", .dims = 1, .global = {(size_t)((n + 4 * chunk - 1) / (4 * chunk))}};
    return TL__LAUNCH(&s->err, s->device, &l, "dropout", TL_KL(n), TL_KL(chunk), TL_KT(x), TL_KT(y), TL_KF(p), TL_KF(1 / (1 - p)), TL_KI(c->key.k0), TL_KI(c->key.k1));
}

static int dropout_forward(tl_scope *s, const tl_call *c) { return dropout_apply(s, c, c->in[0], c->out[0]); }

/* dx = gy with the same mask, drawn again from the call's key */
static void dropout_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_tensor *g = tl__packed(s, gy[0]), *dx = g ? tl_empty(s, TL_F32, g->shape.rank, g->shape.dim) : NULL;
    if (dx && dropout_apply(s, c, g, dx) == 0) gx[0] = dx;
}

extern const tl_op tl__op_dropout, tl__op_concat, tl__op_layer_norm, tl__op_embedding;
const tl_op tl__op_dropout = {
    .name = "dropout", .brief = "`x` with a share `p` of its elements set to zero and the others scaled by 1 / (1 - p), while `training`.",
    .inputs = {"x"}, .attrs = {TL_FLOAT("p", 0.5, "share that is dropped"), TL_BOOL_("training", 0, "otherwise x is returned as it is")},
    .random = 1, .infer = dropout_infer, .forward = dropout_forward, .vjp = dropout_vjp, .torch = "F.dropout(x, p, training)",
};

/* ---- concat ---- */

static int concat_infer(tl_error *err, tl_call *c)
{
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT];
    if (c->n_in < 1) return tl__op_fail(err, c, TL_EARG, "nothing to put together");
    tl_shape y = c->in_meta[0].shape;
    int axis = tl__axis((int)c->attr[0].i, y.rank);
    if (axis < 0) return tl__op_fail(err, c, TL_EARG, "there is no dimension %lld in a tensor of %d", tl__axis_name(c->attr[0].i), y.rank);
    for (int i = 1; i < c->n_in; i++) {
        tl_shape x = c->in_meta[i].shape, like = x;
        if (x.rank == y.rank) like.dim[axis] = y.dim[axis];
        if (!tl__shape_equal(&like, &y) || c->in_meta[i].dtype != c->in_meta[0].dtype)
            return tl__op_fail(err, c, TL_ESHAPE, "%s and %s differ in more than dimension %lld", tl__shape_text(&c->in_meta[0].shape, a, sizeof a),
                               tl__shape_text(&x, b, sizeof b), tl__axis_name(axis));
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
}

const tl_op tl__op_concat = {
    .name = "concat", .brief = "Tensors put together along `axis`; their other dimensions agree.", .inputs = {"x..."},
    .attrs = {TL_AXIS("axis", -1, "dimension along which they follow each other")}, .layout = {TL_ANY, TL_ANY, TL_ANY, TL_ANY, TL_ANY, TL_ANY, TL_ANY, TL_ANY},
    .infer = concat_infer, .forward = concat_forward, .vjp = concat_vjp, .torch = "torch.cat(xs, dim=axis)", .samples = concat_samples,
};

tl_tensor *tl_dropout(tl_scope *s, tl_tensor *x, double p, int training)
{
    tl_value a[TL_MAX_ATTRS] = {{.f = p}, {.i = training != 0}};
    return tl__apply(s, &tl__op_dropout, &x, 1, a, NULL);
}

tl_tensor *tl_concat(tl_scope *s, tl_tensor *const *xs, int n, int axis)
{
    tl_value a[TL_MAX_ATTRS] = {{.i = axis}};
    return tl__apply(s, &tl__op_concat, xs, n, a, NULL);
}

/* ---- layer norm ---- */

static const tl_program layer_norm_program = {"layer_norm", NULL};
static int64_t width_of(const tl_shape *x) { return x->dim[x->rank - 1]; }

static int layer_norm_infer(tl_error *err, tl_call *c)
{
    const tl_shape *x = &c->in_meta[0].shape;
    char text[TL__SHAPE_TEXT];
    if (x->rank < 1 || width_of(x) < 1) return tl__op_fail(err, c, TL_ESHAPE, "rows of one number or more are needed, not %s", tl__shape_text(x, text, sizeof text));
    for (int i = 1; i <= 2; i++)
        if (c->present[i] && (c->in_meta[i].shape.rank != 1 || c->in_meta[i].shape.dim[0] != width_of(x)))
            return tl__op_fail(err, c, TL_ESHAPE, "the input has %lld features, the %s is %s", (long long)width_of(x), i == 1 ? "weight" : "bias",
                               tl__shape_text(&c->in_meta[i].shape, text, sizeof text));
    c->n_out = 2;
    c->out_meta[0] = c->in_meta[0];
    c->out_meta[1] = (tl_meta){{2, {tl__numel(x) / width_of(x), 2}}, TL_F32};
    return 0;
}

/* Statistics and result; the same bits each time. */
static int layer_norm_into(tl_scope *s, const tl_call *c, tl_tensor *y)
{
    tl_tensor *x = c->in[0], *w = c->in[1], *b = c->in[2];
    int64_t n = width_of(&x->shape);
    tl_launch l = {.program = &layer_norm_program, .kernel = "layer_norm", .dims = 1, .global = {(size_t)(tl_numel(x) / n)}};
    return TL__LAUNCH(&s->err, s->device, &l, "layer_norm", TL_KT(x), TL_KT(w), TL_KI(w != NULL), TL_KT(b), TL_KI(b != NULL), TL_KT(y), TL_KT(c->out[1]),
                      TL_KL(n), TL_KF(c->attr[0].f));
}

static int layer_norm_forward(tl_scope *s, const tl_call *c) { return layer_norm_into(s, c, c->out[0]); }

static tl_tensor *layer_norm_again(tl_scope *s, const tl_call *c)
{
    tl_tensor *y = tl_empty(s, TL_F32, c->out_meta[0].shape.rank, c->out_meta[0].shape.dim);
    return y && layer_norm_into(s, c, y) == 0 ? y : NULL;
}

/* The formulas stand at the kernels. */
static void layer_norm_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_tensor *x = c->in[0], *w = c->in[1], *stats = c->out[1], *g = tl__packed(s, gy[0]);
    if (!g) return;
    int64_t n = width_of(&x->shape), rows = tl_numel(x) / n, v = s->device->traits.vector_width;
    if (c->needs[0]) {
        tl_tensor *dx = tl_empty(s, TL_F32, x->shape.rank, x->shape.dim);
        tl_launch l = {.program = &layer_norm_program, .kernel = "layer_norm_dx", .dims = 1, .global = {(size_t)rows}};
        if (!dx || TL__LAUNCH(&s->err, s->device, &l, "layer_norm", TL_KT(x), TL_KT(g), TL_KT(w), TL_KI(w != NULL), TL_KT(stats), TL_KT(dx), TL_KL(n)) != 0) return;
        gx[0] = dx;
    }
    if (!c->needs[1] && !c->needs[2]) return;
    int64_t length = rows > 64 * 32 ? (rows + 63) / 64 : 32, parts = (rows + length - 1) / length;
    tl_tensor *p = tl_empty(s, TL_F32, 3, (int64_t[]){parts, 2, n});
    tl_launch l = {.program = &layer_norm_program, .kernel = "layer_norm_sums", .dims = 2, .global = {(size_t)((n + v - 1) / v), (size_t)parts}};
    if (!p || TL__LAUNCH(&s->err, s->device, &l, "layer_norm", TL_KT(x), TL_KT(g), TL_KT(stats), TL_KT(p), TL_KL(rows), TL_KL(n), TL_KL(length)) != 0) return;
    tl_tensor *sums = tl_sum(s, p, (int[]){0}, 1, 0);
    for (int i = 1; i <= 2; i++)
        if (c->needs[i]) gx[i] = tl_reshape(s, tl_slice(s, sums, 0, i - 1, 1), 1, &n);
}

static void layer_norm_samples(tl_sampler *to)
{
    static const int64_t dims[][3] = {{2, 3, 5}, {1, 2, 1}, {2, 2, 17}, {3, 1, 32}, {9, 8, 3}};
    for (int i = 0; i < 5; i++) {
        tl_sample v = tl__sample(&tl__op_layer_norm);
        tl__sample_input(&v, 3, dims[i], -1, 1);
        tl__sample_input(&v, 1, &dims[i][2], 0.5, 1.5);
        tl__sample_input(&v, 1, &dims[i][2], -1, 1);
        v.no_gradient = dims[i][2] == 1; /* one number a row is always normalised to zero */
        to->take(to, &v);
    }
}

const tl_op tl__op_layer_norm = {
    .name = "layer_norm", .brief = "`x` normalised along its last dimension, times `weight` plus `bias` (Ba, Kiros, Hinton 2016).",
    .inputs = {"x", "weight?", "bias?"}, .attrs = {TL_FROM_0("eps", 1e-5, "added to the variance")}, .infer = layer_norm_infer, .forward = layer_norm_forward,
    .vjp = layer_norm_vjp, .again = layer_norm_again, .saves = TL_SAVE_IN(0) | TL_SAVE_IN(1) | TL_SAVE_IN(2) | TL_SAVE_OUT(1), .hidden = 1,
    .torch = "F.layer_norm(x, x.shape[-1:], weight, bias, eps)", .samples = layer_norm_samples,
};

tl_tensor *tl_layer_norm(tl_scope *s, tl_tensor *x, tl_tensor *weight, tl_tensor *bias, double eps)
{
    tl_value a[TL_MAX_ATTRS] = {{.f = eps}};
    return tl__apply(s, &tl__op_layer_norm, (tl_tensor *[]){x, weight, bias}, 3, a, NULL);
}

/* ---- embedding ---- */

static const tl_program embedding_program = {"embedding", NULL};

static int embedding_infer(tl_error *err, tl_call *c)
{
    const tl_shape *t = &c->in_meta[0].shape, *ids = &c->in_meta[1].shape;
    char text[TL__SHAPE_TEXT];
    if (t->rank != 2) return tl__op_fail(err, c, TL_ESHAPE, "the table must be (rows, width), not %s", tl__shape_text(t, text, sizeof text));
    if (ids->rank == TL_MAX_RANK) return tl__op_fail(err, c, TL_ESHAPE, "the ids have too many dimensions");
    c->n_out = 1;
    c->out_meta[0] = (tl_meta){*ids, TL_F32};
    c->out_meta[0].shape.dim[c->out_meta[0].shape.rank++] = t->dim[1];
    return 0;
}

static int embedding_forward(tl_scope *s, const tl_call *c)
{
    tl_tensor *t = c->in[0], *ids = c->in[1];
    tl_launch l = {.program = &embedding_program, .kernel = "embedding", .dims = 1, .global = {(size_t)tl_numel(ids)}};
    tl__arm_error_word(s->device);
    return TL__LAUNCH(&s->err, s->device, &l, "embedding", TL_KT(t), TL_KT(ids), TL_KT(c->out[0]), TL_KL(t->shape.dim[0]), TL_KL(t->shape.dim[1]),
                      TL_KBUF(s->device->error_word));
}

/* Counting sort: `order` lists places by id, ascending within an id; `segments` is (id, where it begins in order)
 * for each id that occurs, closed by (-1, n). Returns how many occur. */
static int64_t sort_ids(const int32_t *ids, int64_t n, int64_t rows, int32_t *start, int32_t *order, int32_t *segments)
{
    int64_t count = 0, at = 0;
    for (int64_t i = 0; i < n; i++)
        if (ids[i] >= 0 && ids[i] < rows) start[ids[i]]++;
    for (int64_t r = 0; r < rows; r++) {
        int32_t k = start[r];
        start[r] = (int32_t)at;
        if (!k) continue;
        segments[2 * count] = (int32_t)r;
        segments[2 * count++ + 1] = (int32_t)at;
        at += k;
    }
    segments[2 * count] = -1;
    segments[2 * count + 1] = (int32_t)at;
    for (int64_t i = 0; i < n; i++)
        if (ids[i] >= 0 && ids[i] < rows) order[start[ids[i]]++] = (int32_t)i;
    return count;
}

/* dtable[id] = sum of gy at the places that hold id; sorted on the host, since float atomics have no fixed order */
static void embedding_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    const tl_shape *t = &c->in_meta[0].shape;
    int64_t n = tl_numel(c->in[1]), rows = t->dim[0];
    tl_tensor *g = tl__packed(s, gy[0]), *d = tl_full(s, TL_F32, 2, t->dim, 0);
    int32_t *host = g && d ? tl__calloc(&s->err, (size_t)(4 * n + rows + 4), sizeof *host) : NULL;
    if (!host) return;
    int32_t *ids = host, *order = host + n, *segments = host + 2 * n, *start = host + 4 * n + 2;
    if (n > 0 && tl_read(s, c->in[1], ids, (size_t)n * 4) == 0) {
        int64_t count = sort_ids(ids, n, rows, start, order, segments);
        tl_tensor *o = tl_from(s, TL_I32, 1, &n, order), *seg = tl_from(s, TL_I32, 2, (int64_t[]){count + 1, 2}, segments);
        tl_launch l = {.program = &embedding_program, .kernel = "embedding_grad", .dims = 1, .global = {(size_t)count}};
        if (o && seg)
            TL__LAUNCH(&s->err, s->device, &l, "embedding", TL_KT(g), TL_KBUF(o->buffer), TL_KBUF(seg->buffer), TL_KT(d), TL_KL(t->dim[1]), TL_KL(count));
    }
    free(host);
    if (!s->err.code) gx[0] = d;
}

static void embedding_samples(tl_sampler *to)
{
    static const int64_t ids[][2] = {{3, 4}, {1, 1}, {2, 9}};
    for (int i = 0; i < 3; i++) {
        tl_sample v = tl__sample(&tl__op_embedding);
        tl__sample_input(&v, 2, (int64_t[]){7, i == 1 ? 17 : 3}, -1, 1);
        tl__sample_input(&v, 2, ids[i], 0, 6);
        to->take(to, &v);
    }
}

const tl_op tl__op_embedding = {
    .name = "embedding", .brief = "Rows of `table` (rows, width) by `ids` (...), counted from 0: (..., width).", .inputs = {"table", "ids"},
    .int_inputs = 1u << 1, .infer = embedding_infer, .forward = embedding_forward, .vjp = embedding_vjp, .saves = TL_SAVE_IN(1),
    .torch = "F.embedding(ids.long(), table)", .samples = embedding_samples,
};

tl_tensor *tl_embedding(tl_scope *s, tl_tensor *table, tl_tensor *ids) { return tl__apply(s, &tl__op_embedding, (tl_tensor *[]){table, ids}, 2, NULL, NULL); }
