/* cross_entropy.c - losses between rows of logits and classes: cross entropy with labels and with shares of all
 * classes, and the focal loss. Kernels and formulas are in cl/cpu/cross_entropy.cl. The loss of a row and what the row
 * weighs in the mean are added up in the order of the rows, in parts where there are many. */
#include "op/op.h"

#include <string.h>

static const tl_program program = {"cpu/cross_entropy", NULL}, grouped = {"gpu/cross_entropy_gpu", NULL};
enum { MEAN, SUM, NONE };
static const char *const reductions[] = {"mean", "sum", "none", NULL};
#define REDUCTION(mean) TL_CHOICE("reduction", reductions, mean)

static int64_t classes_of(const tl_meta *logits) { return logits->shape.dim[logits->shape.rank - 1]; }

static tl_shape rows_shape(const tl_meta *logits)
{
    tl_shape rows = logits->shape;
    rows.rank--;
    return rows;
}

static int64_t row_count(const tl_call *c)
{
    tl_shape rows = rows_shape(&c->in_meta[0]);
    return tl__numel(&rows);
}

#define ROWS_OF(s, kernel, rows, n, ...)                                                                    \
    tl__launch_by_rows(s, &program, &grouped, kernel, kernel, rows, n, (tl_karg[]){__VA_ARGS__}, \
                       (int)(sizeof((tl_karg[]){__VA_ARGS__}) / sizeof(tl_karg)))
#define ROWS(s, kernel, rows, ...) ROWS_OF(s, kernel, rows, classes_of(c->in_meta), __VA_ARGS__)

/* The first attribute of all of them is the reduction; inputs are logits, labels or target, weights. */
static int infer_rows(tl_error *err, tl_call *c, int with_labels)
{
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT];
    const tl_shape *x = &c->in_meta[0].shape, *y = &c->in_meta[1].shape;
    tl_shape rows = rows_shape(&c->in_meta[0]);
    if (x->rank < 1 || !tl__shape_equal(with_labels ? &rows : x, y))
        return tl__op_fail(err, c, TL_ESHAPE, with_labels ? "logits %s want labels for all but the last dimension, not %s" : "logits %s want a target of the same shape, not %s",
                           tl__shape_text(x, a, sizeof a), tl__shape_text(y, b, sizeof b));
    if (c->present[2] && (c->in_meta[2].shape.rank != 1 || c->in_meta[2].shape.dim[0] != classes_of(c->in_meta)))
        return tl__op_fail(err, c, TL_ESHAPE, "there are %lld classes, the class weights are %s", (long long)classes_of(c->in_meta),
                           tl__shape_text(&c->in_meta[2].shape, a, sizeof a));
    c->n_out = 1;
    c->out_meta[0] = (tl_meta){c->attr[0].i == NONE ? rows : (tl_shape){0, {0}}, TL_F32};
    return 0;
}
static int infer_labels(tl_error *err, tl_call *c) { return infer_rows(err, c, 1); }
static int infer_target(tl_error *err, tl_call *c) { return infer_rows(err, c, 0); }

/* Rows that are summed together, on processors and in groups: a plain sum over millions would lose digits, and keep
 * one unit busy. */
enum { TOGETHER = 1024, BY_A_GROUP = 16384 };

/* Losses and weights of the rows (rows, 2) -> their totals (2): loss, divided by the weights for the mean, and weights. */
static tl_tensor *total_of(tl_scope *s, const tl_call *c, tl_tensor *rows)
{
    const int64_t together = tl__in_groups(s->device) ? BY_A_GROUP : TOGETHER;
    for (int64_t n = row_count(c), parts; rows; n = parts) {
        parts = n > together ? (n + together - 1) / together : 1;
        tl_tensor *total = tl_empty(s, TL_F32, 1, (int64_t[]){2 * parts});
        if (!total || ROWS_OF(s, "cross_entropy_total", parts, n < together ? n : together, TL_KT(rows), TL_KL(n),
                              TL_KL(together), TL_KI(parts == 1 && c->attr[0].i == MEAN), TL_KT(total)) != 0)
            return NULL;
        if (parts == 1) return total;
        rows = total;
    }
    return NULL;
}

/* The output from the rows' losses. */
static int reduce_into(tl_scope *s, const tl_call *c, tl_tensor *rows)
{
    tl_tensor *y = c->out[0], *from;
    if (c->attr[0].i == NONE) from = rows ? tl_reshape(s, tl_slice(s, rows, 1, 0, 1), y->shape.rank, y->shape.dim) : NULL;
    else from = tl_reshape(s, tl_slice(s, total_of(s, c, rows), 0, 0, 1), 0, NULL);
    return from ? tl__copy_into(s, from, y) : -1;
}

/* What every gradient kernel ends with: gy, whether it has one number a row, the totals, whether the mean was taken. */
#define SHARE(c, g, total) TL_KT(g), TL_KI((c)->attr[0].i == NONE), TL_KT(total), TL_KI((c)->attr[0].i == MEAN)

/* ---- labels ---- */

static tl_tensor *cross_entropy_rows(tl_scope *s, const tl_call *c)
{
    tl_tensor *w = c->in[2], *rows = tl_empty(s, TL_F32, 2, (int64_t[]){row_count(c), 2});
    if (!rows) return NULL;
    tl__arm_error_word(s->device);
    int bad = ROWS(s, "cross_entropy_rows", row_count(c), TL_KT(c->in[0]), TL_KT(c->in[1]), TL_KT(w), TL_KI(w != NULL), TL_KT(rows), TL_KL(classes_of(c->in_meta)),
                   TL_KF(c->attr[1].f), TL_KI(c->attr[2].i), TL_KBUF(s->device->error_word));
    return bad ? NULL : rows;
}

static int cross_entropy_forward(tl_scope *s, const tl_call *c) { return reduce_into(s, c, cross_entropy_rows(s, c)); }

static void cross_entropy_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_tensor *x = c->in[0], *w = c->in[2], *g = tl__packed(s, gy[0]), *total = total_of(s, c, cross_entropy_rows(s, c));
    tl_tensor *d = tl_empty(s, TL_F32, x->shape.rank, x->shape.dim);
    if (g && d && total && ROWS(s, "cross_entropy_grad", row_count(c), TL_KT(x), TL_KT(c->in[1]), TL_KT(w), TL_KI(w != NULL), SHARE(c, g, total), TL_KT(d),
                                TL_KL(classes_of(c->in_meta)), TL_KF(c->attr[1].f), TL_KI(c->attr[2].i)) == 0)
        gx[0] = d;
}

extern const tl_op tl__op_cross_entropy, tl__op_soft_cross_entropy, tl__op_focal_loss;

static void labels_samples(tl_sampler *to, const tl_op *op)
{
    for (int i = 0; i < 18; i++) {
        int64_t n = i % 4 == 3 ? 17 : i % 4 + 1, classes = i % 3 == 0 ? 10 : i % 3 == 1 ? 3 : 33, dims[] = {2, n, classes};
        int rank = i >= 16 ? 3 : 2;
        tl_sample s = tl__sample(op);
        tl__sample_input(&s, rank, dims + 3 - rank, -2, 2);
        tl__sample_input(&s, rank - 1, dims + 3 - rank, 0, (double)classes - 1);
        if (i & 1) tl__sample_input(&s, 1, &classes, 0.5, 1.5);
        else tl__sample_absent(&s);
        s.attr[0].i = i % 3;
        s.attr[1].f = op == &tl__op_focal_loss ? (i % 5) * 0.5 + 0.5 : i & 2 ? 0.1 : 0;
        if (i >= 12 && n > 1) s.attr[2].i = 1; /* some labels do not count */
        to->take(to, &s);
    }
}
static void cross_entropy_samples(tl_sampler *to) { labels_samples(to, &tl__op_cross_entropy); }
static void focal_samples(tl_sampler *to) { labels_samples(to, &tl__op_focal_loss); }

const tl_op tl__op_cross_entropy = {
    .name = "cross_entropy", .brief = "Cross entropy of `logits` (..., C) with `labels` (...), classes counted from 0.",
    .inputs = {"logits", "labels", "weights?"},
    .attrs = {REDUCTION("mean (over the weights of the labels), sum or none"),
              TL_RANGE("label_smoothing", 0, 0, 1, "share of the target that is spread over all classes"),
              TL_INT("ignore_index", -100, "a label that does not count")},
    .int_inputs = 1u << 1, .constants = 1u << 2, .infer = infer_labels, .forward = cross_entropy_forward, .vjp = cross_entropy_vjp,
    .saves = TL_SAVE_IN(0) | TL_SAVE_IN(1) | TL_SAVE_IN(2),
    .torch = "F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.long().reshape(-1), weight=weights, reduction=reduction, "
             "label_smoothing=label_smoothing, ignore_index=ignore_index)",
    .samples = cross_entropy_samples,
};

/* ---- a target of shares ---- */

static int soft_forward(tl_scope *s, const tl_call *c)
{
    tl_tensor *w = c->in[2], *rows = tl_empty(s, TL_F32, 2, (int64_t[]){row_count(c), 2});
    if (!rows || ROWS(s, "soft_cross_entropy_rows", row_count(c), TL_KT(c->in[0]), TL_KT(c->in[1]), TL_KT(w), TL_KI(w != NULL), TL_KT(rows),
                      TL_KL(classes_of(c->in_meta)), TL_KF(c->attr[1].f)) != 0)
        return -1;
    return reduce_into(s, c, rows);
}

static void soft_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_tensor *x = c->in[0], *w = c->in[2], *g = tl__packed(s, gy[0]), *d[2];
    for (int i = 0; i < 2; i++) d[i] = c->needs[i] ? tl_empty(s, TL_F32, x->shape.rank, x->shape.dim) : NULL;
    double share = c->attr[0].i == MEAN ? 1.0 / (double)row_count(c) : 1;
    if (s->err.code || ROWS(s, "soft_cross_entropy_grad", row_count(c), TL_KT(x), TL_KT(c->in[1]), TL_KT(w), TL_KI(w != NULL), TL_KT(g), TL_KI(c->attr[0].i == NONE),
                            TL_KF(share), TL_KT(d[0]), TL_KI(d[0] != NULL), TL_KT(d[1]), TL_KI(d[1] != NULL), TL_KL(classes_of(c->in_meta)), TL_KF(c->attr[1].f)) != 0)
        return;
    memcpy(gx, d, sizeof d);
}

static void soft_samples(tl_sampler *to)
{
    for (int i = 0; i < 12; i++) {
        int64_t dims[] = {2, i % 4 == 3 ? 17 : i % 4 + 1, i % 3 == 0 ? 10 : i % 3 == 1 ? 3 : 33};
        int rank = i == 8 ? 3 : 2;
        tl_sample s = tl__sample(&tl__op_soft_cross_entropy);
        tl__sample_input(&s, rank, dims + 3 - rank, -2, 2);
        tl__sample_input(&s, rank, dims + 3 - rank, 0, 1);
        if (i & 1) tl__sample_input(&s, 1, &dims[2], 0.5, 1.5);
        else tl__sample_absent(&s);
        s.attr[0].i = i % 3;
        s.attr[1].f = i & 2 ? 0.1 : 0;
        to->take(to, &s);
    }
}

const tl_op tl__op_soft_cross_entropy = {
    .name = "soft_cross_entropy", .brief = "Cross entropy of `logits` (..., C) with `target` (..., C), the share of each class; PyTorch's with probabilities.",
    .inputs = {"logits", "target", "weights?"},
    .attrs = {REDUCTION("mean (over the rows), sum or none"), TL_RANGE("label_smoothing", 0, 0, 1, "share of the target that is spread over all classes")},
    .constants = 1u << 2, .infer = infer_target, .forward = soft_forward, .vjp = soft_vjp, .saves = TL_SAVE_IN(0) | TL_SAVE_IN(1) | TL_SAVE_IN(2),
    .torch = "F.cross_entropy(logits.reshape(-1, logits.shape[-1]), target.reshape(-1, logits.shape[-1]), weight=weights, reduction=reduction, "
             "label_smoothing=label_smoothing)",
    .samples = soft_samples,
};

/* ---- focal loss ---- */

static tl_tensor *focal_rows(tl_scope *s, const tl_call *c)
{
    tl_tensor *w = c->in[2], *rows = tl_empty(s, TL_F32, 2, (int64_t[]){row_count(c), 2});
    if (!rows) return NULL;
    tl__arm_error_word(s->device);
    int bad = ROWS(s, "focal_rows", row_count(c), TL_KT(c->in[0]), TL_KT(c->in[1]), TL_KT(w), TL_KI(w != NULL), TL_KT(rows), TL_KL(classes_of(c->in_meta)),
                   TL_KF(c->attr[1].f), TL_KI(c->attr[2].i), TL_KBUF(s->device->error_word));
    return bad ? NULL : rows;
}

static int focal_forward(tl_scope *s, const tl_call *c) { return reduce_into(s, c, focal_rows(s, c)); }

static void focal_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_tensor *x = c->in[0], *w = c->in[2], *g = tl__packed(s, gy[0]), *total = total_of(s, c, focal_rows(s, c));
    tl_tensor *d = tl_empty(s, TL_F32, x->shape.rank, x->shape.dim);
    if (g && d && total && ROWS(s, "focal_grad", row_count(c), TL_KT(x), TL_KT(c->in[1]), TL_KT(w), TL_KI(w != NULL), SHARE(c, g, total), TL_KT(d),
                                TL_KL(classes_of(c->in_meta)), TL_KF(c->attr[1].f), TL_KI(c->attr[2].i)) == 0)
        gx[0] = d;
}

const tl_op tl__op_focal_loss = {
    .name = "focal_loss", .brief = "Cross entropy of `logits` (..., C) with `labels` (...), each row's times (1 - probability of its label)^gamma (Lin et al. 2017).",
    .inputs = {"logits", "labels", "weights?"},
    .attrs = {REDUCTION("mean (over the labels that count), sum or none"), TL_FROM_0("gamma", 2, "how much less rows count that are right already"),
              TL_INT("ignore_index", -100, "a label that does not count")},
    .int_inputs = 1u << 1, .constants = 1u << 2, .infer = infer_labels, .forward = focal_forward, .vjp = focal_vjp,
    .saves = TL_SAVE_IN(0) | TL_SAVE_IN(1) | TL_SAVE_IN(2), .torch = "focal_loss(logits, labels, weights, gamma, reduction, ignore_index)", .samples = focal_samples,
};

/* ---- the C interface ---- */

/* attr[0] from its name; NULL is mean. 0, or -1 with an error. */
static int reduction_of(tl_scope *s, const tl_op *op, const char *name, tl_value *attr)
{
    tl__attr_defaults(op, attr);
    for (attr[0].i = 0; name && reductions[attr[0].i]; attr[0].i++)
        if (strcmp(reductions[attr[0].i], name) == 0) return 0;
    if (!name || !s || s->err.code) return name ? -1 : 0;
    return tl__fail(&s->err, TL_EARG, "%s: the reduction is mean, sum or none, not %s", op->name, name);
}

tl_tensor *tl_cross_entropy(tl_scope *s, tl_tensor *logits, tl_tensor *labels, tl_tensor *weights, double label_smoothing)
{
    tl_value a[TL_MAX_ATTRS];
    tl__attr_defaults(&tl__op_cross_entropy, a);
    a[1].f = label_smoothing;
    return tl__apply(s, &tl__op_cross_entropy, (tl_tensor *[]){logits, labels, weights}, 3, a, NULL);
}

tl_tensor *tl_soft_cross_entropy(tl_scope *s, tl_tensor *logits, tl_tensor *target, tl_tensor *weights, double label_smoothing, const char *reduction)
{
    tl_value a[TL_MAX_ATTRS];
    if (reduction_of(s, &tl__op_soft_cross_entropy, reduction, a) != 0) return NULL;
    a[1].f = label_smoothing;
    return tl__apply(s, &tl__op_soft_cross_entropy, (tl_tensor *[]){logits, target, weights}, 3, a, NULL);
}

tl_tensor *tl_focal_loss(tl_scope *s, tl_tensor *logits, tl_tensor *labels, tl_tensor *weights, double gamma, const char *reduction)
{
    tl_value a[TL_MAX_ATTRS];
    if (reduction_of(s, &tl__op_focal_loss, reduction, a) != 0) return NULL;
    a[1].f = gamma;
    return tl__apply(s, &tl__op_focal_loss, (tl_tensor *[]){logits, labels, weights}, 3, a, NULL);
}
