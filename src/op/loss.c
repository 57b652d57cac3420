/* loss.c - losses between a prediction and a target of the same shape. Both directions are written in public operators: these run
 * once a step on a few numbers. */
#include "op/op.h"

#include <float.h>
#include <string.h>

enum { MEAN, SUM, NONE };
static const char *const reductions[] = {"mean", "sum", "none", NULL};
#define REDUCTION TL_CHOICE("reduction", reductions, "mean, sum or none (a loss for each element)")

static int loss_infer(tl_error *err, tl_call *c)
{
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT];
    const tl_shape *x = &c->in_meta[0].shape, *t = &c->in_meta[1].shape, *w = c->n_in > 2 && c->present[2] ? &c->in_meta[2].shape : NULL;
    tl_shape both;
    if (!tl__shape_equal(x, t))
        return tl__op_fail(err, c, TL_ESHAPE, "x is %s, the target %s; they must agree", tl__shape_text(x, a, sizeof a), tl__shape_text(t, b, sizeof b));
    if (w && (tl__broadcast(x, w, &both) != 0 || !tl__shape_equal(&both, x)))
        return tl__op_fail(err, c, TL_ESHAPE, "the weights %s do not broadcast to %s", tl__shape_text(w, b, sizeof b), tl__shape_text(x, a, sizeof a));
    c->n_out = 1;
    c->out_meta[0] = c->in_meta[0];
    if (c->attr[0].i != NONE) c->out_meta[0].shape = (tl_shape){0, {0}};
    return 0;
}

static int reduce_into(tl_scope *s, const tl_call *c, tl_tensor *each)
{
    tl_tensor *y = c->attr[0].i == MEAN ? tl_mean(s, each, NULL, 0, 0) : c->attr[0].i == SUM ? tl_sum(s, each, NULL, 0, 0) : each;
    return y ? tl__copy_into(s, y, c->out[0]) : -1;
}

/* gy of each element's loss; it broadcasts where there is one number. */
static tl_tensor *share(tl_scope *s, const tl_call *c, tl_tensor *gy)
{
    return c->attr[0].i == MEAN ? tl_mul_scalar(s, gy, 1.0 / (double)tl__numel(&c->in_meta[0].shape)) : gy;
}

/* dx = d, dtarget = -d */
static void both_ways(tl_scope *s, const tl_call *c, tl_tensor *d, tl_tensor **gx)
{
    if (c->needs[0]) gx[0] = d;
    if (c->needs[1]) gx[1] = tl_neg(s, d);
}

/* ---- distances ---- */

static int mse_forward(tl_scope *s, const tl_call *c) { return reduce_into(s, c, tl_square(s, tl_sub(s, c->in[0], c->in[1]))); }

/* dx = 2 (x - t) gy */
static void mse_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    both_ways(s, c, tl_mul(s, tl_sub(s, c->in[0], c->in[1]), tl_mul_scalar(s, share(s, c, gy[0]), 2)), gx);
}

/* With a = |x - t| and m = min(a, beta): m (a - m / 2) / beta, which is a^2 / (2 beta) below beta and a - beta / 2 above. beta 0: a. */
static int smooth_l1_forward(tl_scope *s, const tl_call *c)
{
    tl_tensor *a = tl_abs(s, tl_sub(s, c->in[0], c->in[1]));
    double beta = c->attr[1].f;
    if (beta > 0) {
        tl_tensor *m = tl_clamp(s, a, 0, beta);
        a = tl_mul(s, tl_mul_scalar(s, m, 1 / beta), tl_sub(s, a, tl_mul_scalar(s, m, 0.5)));
    }
    return reduce_into(s, c, a);
}

/* dx = (x - t) / beta gy, limited to -gy..gy; beta 0: sign(x - t) gy */
static void smooth_l1_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_tensor *x = c->in[0], *t = c->in[1], *slope;
    double beta = c->attr[1].f;
    if (beta > 0) slope = tl_clamp(s, tl_mul_scalar(s, tl_sub(s, x, t), 1 / beta), -1, 1);
    else slope = tl_sub(s, tl_gt(s, x, t), tl_lt(s, x, t));
    both_ways(s, c, tl_mul(s, slope, share(s, c, gy[0])), gx);
}

/* ---- binary cross entropy ---- */

/* 1 + (p - 1) t, the weight of the softplus; NULL for 1 */
static tl_tensor *positive_weight(tl_scope *s, const tl_call *c)
{
    return c->in[2] ? tl_add_scalar(s, tl_mul(s, tl_add_scalar(s, c->in[2], -1), c->in[1]), 1) : NULL;
}

/* (1 - t) x + w softplus(-x), w = 1 + (pos_weight - 1) t */
static tl_tensor *bce(tl_scope *s, tl_tensor *x, tl_tensor *t, tl_tensor *w)
{
    tl_tensor *plus = tl_softplus(s, tl_neg(s, x));
    return tl_add(s, tl_mul(s, tl_rsub_scalar(s, t, 1), x), w ? tl_mul(s, w, plus) : plus);
}

static int bce_forward(tl_scope *s, const tl_call *c) { return reduce_into(s, c, bce(s, c->in[0], c->in[1], positive_weight(s, c))); }

/* dx = (1 - t - w sigmoid(-x)) gy,  dt = ((pos_weight - 1) softplus(-x) - x) gy */
static void bce_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_tensor *x = c->in[0], *t = c->in[1], *p = c->in[2], *w = positive_weight(s, c), *g = share(s, c, gy[0]);
    if (c->needs[0]) {
        tl_tensor *tail = tl_sigmoid(s, tl_neg(s, x));
        gx[0] = tl_mul(s, tl_sub(s, tl_rsub_scalar(s, t, 1), w ? tl_mul(s, w, tail) : tail), g);
    }
    if (c->needs[1]) {
        tl_tensor *d = tl_neg(s, x);
        if (p) d = tl_add(s, d, tl_mul(s, tl_add_scalar(s, p, -1), tl_softplus(s, d)));
        gx[1] = tl_mul(s, d, g);
    }
}

/* ---- focal loss of independent classes (Lin et al. 2017) ---- */

/* a + (b - a) t */
static tl_tensor *between(tl_scope *s, tl_tensor *a, tl_tensor *b, tl_tensor *t) { return tl_add(s, a, tl_mul(s, tl_sub(s, b, a), t)); }

/* The chance given to what is not the target: q = (1 - t) p + t (1 - p), p = sigmoid(x). The smallest float instead of 0: q^(gamma - 1). */
static tl_tensor *missed(tl_scope *s, const tl_call *c)
{
    return tl_clamp(s, between(s, tl_sigmoid(s, c->in[0]), tl_sigmoid(s, tl_neg(s, c->in[0])), c->in[1]), (double)FLT_MIN, 1);
}

/* alpha t + (1 - alpha) (1 - t) times y; a negative alpha: y */
static tl_tensor *balanced(tl_scope *s, const tl_call *c, tl_tensor *y)
{
    double alpha = c->attr[1].f;
    return alpha < 0 ? y : tl_mul(s, y, tl_add_scalar(s, tl_mul_scalar(s, c->in[1], 2 * alpha - 1), 1 - alpha));
}

/* The balanced cross entropy times q^gamma. */
static int sigmoid_focal_forward(tl_scope *s, const tl_call *c)
{
    tl_tensor *loss = tl_mul(s, bce(s, c->in[0], c->in[1], NULL), tl_pow_scalar(s, missed(s, c), c->attr[2].f));
    return reduce_into(s, c, balanced(s, c, loss));
}

/* With ce the cross entropy and dq = (1 - 2t) p (1 - p): dx = balance ((p - t) q^gamma + gamma q^(gamma - 1) ce dq) gy */
static void sigmoid_focal_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_tensor *x = c->in[0], *t = c->in[1], *p = tl_sigmoid(s, x), *q = missed(s, c);
    double gamma = c->attr[2].f;
    tl_tensor *d = tl_mul(s, tl_sub(s, p, t), tl_pow_scalar(s, q, gamma));
    if (gamma != 0) {
        tl_tensor *dq = tl_mul(s, tl_rsub_scalar(s, tl_mul_scalar(s, t, 2), 1), tl_mul(s, p, tl_sigmoid(s, tl_neg(s, x))));
        tl_tensor *power = tl_mul_scalar(s, tl_pow_scalar(s, q, gamma - 1), gamma);
        d = tl_add(s, d, tl_mul(s, tl_mul(s, power, dq), bce(s, x, t, NULL)));
    }
    gx[0] = tl_mul(s, balanced(s, c, d), share(s, c, gy[0]));
}

/* ---- descriptors ---- */

extern const tl_op tl__op_mse_loss, tl__op_smooth_l1_loss, tl__op_bce_with_logits, tl__op_sigmoid_focal_loss;

static void loss_samples(tl_sampler *to, const tl_op *op)
{
    static const int64_t dims[][2] = {{3, 5}, {1, 17}, {4, 4}, {2, 33}};
    int shares = op == &tl__op_bce_with_logits || op == &tl__op_sigmoid_focal_loss;
    for (int i = 0; i < 8; i++) {
        tl_sample v = tl__sample(op);
        tl__sample_input(&v, 2, dims[i % 4], -2, 2);
        tl__sample_input(&v, 2, dims[i % 4], shares ? 0 : -2, shares ? 1 : 2);
        if (op == &tl__op_bce_with_logits && i % 2) tl__sample_input(&v, 1, &dims[i % 4][1], 0.5, 3);
        else if (op == &tl__op_bce_with_logits) tl__sample_absent(&v);
        v.attr[0].i = i % 3;
        if (op == &tl__op_smooth_l1_loss) v.attr[1].f = i % 4 * 0.5;
        if (op == &tl__op_sigmoid_focal_loss) v.attr[1].f = i % 3 ? 0.25 : -1, v.attr[2].f = i % 4 * 0.75;
        to->take(to, &v);
    }
}
static void mse_samples(tl_sampler *to) { loss_samples(to, &tl__op_mse_loss); }
static void smooth_l1_samples(tl_sampler *to) { loss_samples(to, &tl__op_smooth_l1_loss); }
static void bce_samples(tl_sampler *to) { loss_samples(to, &tl__op_bce_with_logits); }
static void focal_samples(tl_sampler *to) { loss_samples(to, &tl__op_sigmoid_focal_loss); }

const tl_op tl__op_mse_loss = {
    .name = "mse_loss", .brief = "The square of `x` minus `target`.", .inputs = {"x", "target"}, .attrs = {REDUCTION}, .layout = {TL_ANY, TL_ANY},
    .infer = loss_infer, .forward = mse_forward, .vjp = mse_vjp, .saves = TL_SAVE_IN(0) | TL_SAVE_IN(1),
    .torch = "F.mse_loss(x, target, reduction=reduction)", .samples = mse_samples,
};
const tl_op tl__op_smooth_l1_loss = {
    .name = "smooth_l1_loss", .brief = "The distance of `x` and `target`, less `beta` / 2; below `beta` a parabola. `beta` 0: the distance.",
    .inputs = {"x", "target"}, .attrs = {REDUCTION, TL_FROM_0("beta", 1, "from where on it is straight")}, .layout = {TL_ANY, TL_ANY},
    .infer = loss_infer, .forward = smooth_l1_forward, .vjp = smooth_l1_vjp, .saves = TL_SAVE_IN(0) | TL_SAVE_IN(1),
    .torch = "F.smooth_l1_loss(x, target, reduction=reduction, beta=beta)", .samples = smooth_l1_samples,
};
const tl_op tl__op_bce_with_logits = {
    .name = "bce_with_logits", .brief = "Binary cross entropy of the sigmoid of `x` with `target` (0 to 1); `pos_weight`, broadcast, multiplies the share of the ones.",
    .inputs = {"x", "target", "pos_weight?"}, .attrs = {REDUCTION}, .layout = {TL_ANY, TL_ANY, TL_ANY}, .constants = 1u << 2, .infer = loss_infer,
    .forward = bce_forward, .vjp = bce_vjp, .saves = TL_SAVE_IN(0) | TL_SAVE_IN(1) | TL_SAVE_IN(2),
    .torch = "F.binary_cross_entropy_with_logits(x, target, pos_weight=pos_weight, reduction=reduction)", .samples = bce_samples,
};
const tl_op tl__op_sigmoid_focal_loss = {
    .name = "sigmoid_focal_loss", .brief = "Binary cross entropy of the sigmoid of `x` with `target`, each element's times (1 - probability of its target)^gamma (Lin et al. 2017).",
    .inputs = {"x", "target"},
    .attrs = {REDUCTION, TL_RANGE("alpha", 0.25, -DBL_MAX, 1, "weight of the ones, 1 - alpha that of the zeros; negative: no weights"),
              TL_FROM_0("gamma", 2, "how much less elements count that are right already")},
    .layout = {TL_ANY, TL_ANY}, .constants = 1u << 1, .infer = loss_infer, .forward = sigmoid_focal_forward, .vjp = sigmoid_focal_vjp,
    .saves = TL_SAVE_IN(0) | TL_SAVE_IN(1), .torch = "torchvision.ops.sigmoid_focal_loss(x, target, alpha=alpha, gamma=gamma, reduction=reduction)",
    .samples = focal_samples,
};

/* ---- the C interface ---- */

/* `reduction` NULL: mean; `first` and `second`: the attributes after it. */
static tl_tensor *loss(tl_scope *s, const tl_op *op, tl_tensor *const *in, int n, const char *reduction, double first, double second)
{
    tl_value a[TL_MAX_ATTRS] = {{.i = 0}, {.f = first}, {.f = second}};
    while (reduction && reductions[a[0].i] && strcmp(reductions[a[0].i], reduction) != 0) a[0].i++;
    if (reductions[a[0].i]) return tl__apply(s, op, in, n, a, NULL);
    if (s && !s->err.code) tl__fail(&s->err, TL_EARG, "%s: the reduction is mean, sum or none, not %s", op->name, reduction);
    return NULL;
}

tl_tensor *tl_mse_loss(tl_scope *s, tl_tensor *x, tl_tensor *target, const char *reduction)
{
    return loss(s, &tl__op_mse_loss, (tl_tensor *[]){x, target}, 2, reduction, 0, 0);
}
tl_tensor *tl_smooth_l1_loss(tl_scope *s, tl_tensor *x, tl_tensor *target, double beta, const char *reduction)
{
    return loss(s, &tl__op_smooth_l1_loss, (tl_tensor *[]){x, target}, 2, reduction, beta, 0);
}
tl_tensor *tl_bce_with_logits(tl_scope *s, tl_tensor *x, tl_tensor *target, tl_tensor *pos_weight, const char *reduction)
{
    return loss(s, &tl__op_bce_with_logits, (tl_tensor *[]){x, target, pos_weight}, 3, reduction, 0, 0);
}
tl_tensor *tl_sigmoid_focal_loss(tl_scope *s, tl_tensor *x, tl_tensor *target, double alpha, double gamma, const char *reduction)
{
    return loss(s, &tl__op_sigmoid_focal_loss, (tl_tensor *[]){x, target}, 2, reduction, alpha, gamma);
}
