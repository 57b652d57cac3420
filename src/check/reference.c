/* reference.c - references of operators that work element by element, over dimensions, or over rows. Formulas are the
 * textbook's; those of losses are PyTorch's definitions. */
#include "check/reference.h"

#include "device/gemm/gemm.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- element by element ---- */

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }
static double limited(double x, double low, double high) { return fmin(fmax(x, low), high); }
static double gelu(double x) { return 0.5 * x * (1 + erf(x * sqrt(0.5))); }

/* x, or a and b; p and q are the attributes. */
#define POINTWISE(F)                                                                                                   \
    F(neg, -x)                                                                                                         \
    F(exp, exp(x)) F(log, log(x)) F(sqrt, sqrt(x)) F(rsqrt, 1 / sqrt(x)) F(square, x *x) F(abs, fabs(x))               \
        F(sin, sin(x)) F(cos, cos(x)) F(tanh, tanh(x)) F(sigmoid, sigmoid(x)) F(softplus, softplus(x))                 \
            F(relu, fmax(x, 0)) F(relu6, limited(x, 0, 6)) F(silu, x *sigmoid(x)) F(gelu, gelu(x))                     \
                F(gelu_tanh, 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x))))      \
                    F(hardsigmoid, limited(x + 3, 0, 6) / 6) F(hardswish, x *limited(x + 3, 0, 6) / 6)                 \
                        F(leaky_relu, x > 0 ? x : x * p) F(clamp, limited(x, p, q)) F(add_scalar, x + p)               \
                            F(mul_scalar, x *p) F(rsub_scalar, p - x) F(rdiv_scalar, p / x) F(pow_scalar, pow(x, p))   \
                                F(add, x + b) F(sub, x - b) F(mul, x *b) F(div, x / b) F(maximum, fmax(x, b))          \
                                    F(minimum, fmin(x, b)) F(eq, x == b) F(gt, x > b) F(lt, x < b)         \
    F(ge, x >= b) F(le, x <= b) F(ne, x != b) F(mod, x - floor(x / b) * b) F(fmod, fmod(x, b)) F(pow, pow(x, b))       \
    F(erf, erf(x)) F(expm1, expm1(x)) F(log1p, log1p(x)) F(reciprocal, 1 / x) F(floor, floor(x)) F(ceil, ceil(x))      \
    F(round, nearbyint(x)) F(sign, (x > 0) - (x < 0)) F(tan, tan(x)) F(asin, asin(x)) F(acos, acos(x))                 \
    F(atan, atan(x)) F(sinh, sinh(x)) F(cosh, cosh(x)) F(asinh, asinh(x)) F(acosh, acosh(x)) F(atanh, atanh(x))        \
    F(elu, x > 0 ? x : p * expm1(x)) F(selu, 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * expm1(x)))         \
    F(celu, x > 0 ? x : p * expm1(x / p)) F(softsign, x / (1 + fabs(x))) F(mish, x * tanh(softplus(x)))                \
    F(threshold, x > p ? x : q) F(shrink, x < -p ? x + q : x > p ? x - q : 0) F(isnan, x != x) F(isinf, isinf(x) != 0)

#define ONE(name, formula)                                             \
    static double at_##name(double x, double b, double p, double q)    \
    {                                                                  \
        (void)b, (void)p, (void)q;                                     \
        return formula;                                                \
    }
POINTWISE(ONE)
#undef ONE

static const struct { const char *name; double (*f)(double x, double b, double p, double q); } pointwise[] = {
#define ONE(name, formula) {#name, at_##name},
    POINTWISE(ONE)
#undef ONE
    {NULL, NULL}};

/* Where element k of `out` lies in an operand that is broadcast to it. */
static int64_t broadcast_at(const tl_shape *out, const tl_shape *in, int64_t k)
{
    int64_t at = 0, step = 1;
    for (int i = out->rank - 1, j = in->rank - 1; i >= 0; i--, j--) {
        int64_t index = k % out->dim[i];
        k /= out->dim[i];
        if (j < 0) continue;
        if (in->dim[j] > 1) at += index * step;
        step *= in->dim[j];
    }
    return at;
}

static void each_element(const tl__reference *r)
{
    int n = 0;
    while (strcmp(pointwise[n].name, r->s->op->name) != 0) n++;
    for (int64_t k = 0, all = tl__numel(&r->out); k < all; k++) {
        double x = r->in[0][broadcast_at(&r->out, &r->s->in[0].shape, k)];
        double b = r->s->n_in > 1 ? r->in[1][broadcast_at(&r->out, &r->s->in[1].shape, k)] : 0;
        r->y[k] = pointwise[n].f(x, b, r->s->attr[0].f, r->s->attr[1].f);
    }
}

/* ---- over dimensions ---- */

static void reduction(const tl__reference *r)
{
    const tl_shape *x = &r->s->in[0].shape;
    const tl_value *axes = &r->s->attr[0];
    int mask = axes->n ? 0 : (1 << x->rank) - 1, most = r->s->op->name[0] == 'a';
    for (int i = 0; i < axes->n; i++) mask |= 1 << tl__axis((int)axes->list[i], x->rank);
    int64_t all = tl__numel(x), outputs = tl__numel(&r->out);
    for (int64_t k = 0; k < outputs && most; k++) r->y[k] = -INFINITY;
    for (int64_t k = 0; k < all; k++) {
        int64_t at = 0, step = 1, rest = k;
        for (int i = x->rank - 1; i >= 0; i--) {
            int64_t index = rest % x->dim[i];
            rest /= x->dim[i];
            if (mask >> i & 1) continue;
            at += index * step;
            step *= x->dim[i];
        }
        if (most) r->y[at] = fmax(r->y[at], r->in[0][k]);
        else r->y[at] += r->s->op->name[0] == 'm' ? r->in[0][k] * (double)outputs / (double)all : r->in[0][k];
    }
}

/* Softmax, its logarithm and argmax along one axis. */
static void along_axis(const tl__reference *r)
{
    const tl_shape *x = &r->s->in[0].shape;
    int axis = tl__axis((int)r->s->attr[0].i, x->rank);
    int64_t n = x->dim[axis], inner = 1, outer = 1;
    for (int i = 0; i < x->rank; i++) *(i < axis ? &outer : i > axis ? &inner : &n) *= i == axis ? 1 : x->dim[i];
    for (int64_t row = 0; row < outer * inner; row++) {
        const double *v = r->in[0] + row / inner * n * inner + row % inner;
        double *y = r->y + row / inner * n * inner + row % inner, sum = 0;
        int64_t best = 0;
        for (int64_t i = 1; i < n; i++)
            if (v[i * inner] > v[best * inner]) best = i;
        if (r->s->op->name[0] == 'a') {
            r->y[row] = (double)best;
            continue;
        }
        for (int64_t i = 0; i < n; i++) sum += exp(v[i * inner] - v[best * inner]);
        for (int64_t i = 0; i < n; i++) {
            double logarithm = v[i * inner] - v[best * inner] - log(sum);
            y[i * inner] = r->s->op->name[0] == 'l' ? logarithm : exp(logarithm);
        }
    }
}

/* ---- losses ---- */

enum { MEAN, SUM, NONE };

/* One loss of the whole, or of a row or element: what `weight` sums up to divides the mean. */
static void add_loss(const tl__reference *r, int64_t at, double loss)
{
    r->y[r->s->attr[0].i == NONE ? at : 0] += loss;
}
static void take_mean(const tl__reference *r, double weight)
{
    if (r->s->attr[0].i == MEAN) r->y[0] /= weight;
}

static double log_of_sum(const double *x, int64_t n)
{
    double most = x[0], sum = 0;
    for (int64_t i = 1; i < n; i++) most = fmax(most, x[i]);
    for (int64_t i = 0; i < n; i++) sum += exp(x[i] - most);
    return most + log(sum);
}

/* Rows of logits with a label each, or with shares of all classes. */
static void row_losses(const tl__reference *r)
{
    const tl_shape *x = &r->s->in[0].shape;
    int64_t classes = x->dim[x->rank - 1], rows = tl__numel(x) / classes;
    int soft = r->s->op->name[0] == 's', focal = r->s->op->name[0] == 'f';
    double spread = focal ? 0 : r->s->attr[1].f, weights = 0;
    for (int64_t i = 0; i < rows; i++) {
        const double *v = r->in[0] + i * classes;
        double norm = log_of_sum(v, classes), loss = 0;
        int64_t label = soft ? -1 : (int64_t)r->in[1][i];
        if (!soft && label == r->s->attr[2].i) continue;
        for (int64_t c = 0; c < classes; c++) {
            double target = soft ? r->in[1][i * classes + c] : label == c;
            loss += (r->in[2] ? r->in[2][c] : 1) * ((1 - spread) * target + spread / (double)classes) * (norm - v[c]);
        }
        if (focal) loss *= pow(1 - exp(v[label] - norm), r->s->attr[1].f);
        weights += !soft && !focal && r->in[2] ? r->in[2][label] : 1;
        add_loss(r, i, loss);
    }
    take_mean(r, weights);
}

static double distance_loss(const tl__reference *r, double x, double t)
{
    double a = fabs(x - t), beta = r->s->attr[1].f;
    if (strcmp(r->s->op->name, "mse_loss") == 0) return a * a;
    return a < beta ? a * a / (2 * beta) : a - beta / 2;
}

static double binary_loss(const tl__reference *r, double x, double t, double ones)
{
    double loss = t * ones * softplus(-x) + (1 - t) * softplus(x), p = sigmoid(x), alpha = r->s->attr[1].f;
    if (strcmp(r->s->op->name, "bce_with_logits") == 0) return loss;
    loss *= pow(fmax(p * (1 - t) + (1 - p) * t, (double)FLT_MIN), r->s->attr[2].f);
    return alpha < 0 ? loss : loss * (alpha * t + (1 - alpha) * (1 - t));
}

static void element_losses(const tl__reference *r)
{
    const tl_shape *x = &r->s->in[0].shape;
    int64_t n = tl__numel(x);
    int distance = r->s->op->name[0] == 'm' || strcmp(r->s->op->name, "smooth_l1_loss") == 0;
    for (int64_t k = 0; k < n; k++) {
        double ones = r->in[2] ? r->in[2][broadcast_at(x, &r->s->in[2].shape, k)] : 1;
        add_loss(r, k,
                 distance ? distance_loss(r, r->in[0][k], r->in[1][k])
                          : binary_loss(r, r->in[0][k], r->in[1][k], ones));
    }
    take_mean(r, (double)n);
}

/* ---- views ---- */

static void view(const tl__reference *r)
{
    const tl_shape *x = &r->s->in[0].shape;
    const tl_value *a = r->s->attr;
    char kind = r->s->op->name[0];
    int64_t strides[TL_MAX_RANK];
    tl__packed_strides(x, strides);
    int axis = kind == 's' ? tl__axis((int)a[0].i, x->rank) : 0;
    for (int64_t k = 0, all = tl__numel(&r->out); k < all; k++) {
        int64_t at = 0, rest = k;
        for (int i = r->out.rank - 1; i >= 0; i--) {
            int64_t index = rest % r->out.dim[i];
            rest /= r->out.dim[i];
            if (kind == 'p') at += index * strides[a[0].list[i]];
            if (kind == 's') at += (index + (i == axis ? a[1].i : 0)) * strides[i];
        }
        r->y[k] = r->in[0][kind == 'r' ? k : kind == 'e' ? broadcast_at(&r->out, x, k) : at];
    }
}

/* ---- the table ---- */

static const struct { const char *name; tl__reference_fn *f;
} others[] = {{"sum", reduction},
              {"mean", reduction},
              {"amax", reduction},
              {"softmax", along_axis},
              {"log_softmax", along_axis},
              {"argmax", along_axis},
              {"cross_entropy", row_losses},
              {"soft_cross_entropy", row_losses},
              {"focal_loss", row_losses},
              {"mse_loss", element_losses},
              {"smooth_l1_loss", element_losses},
              {"bce_with_logits", element_losses},
              {"sigmoid_focal_loss", element_losses},
              {"reshape", view},
              {"permute", view},
              {"slice", view},
              {"expand", view},
              {NULL, NULL}};

tl__reference_fn *tl__reference_of(const tl_op *op)
{
    for (int i = 0; pointwise[i].name; i++)
        if (strcmp(pointwise[i].name, op->name) == 0) return each_element;
    for (int i = 0; others[i].name; i++)
        if (strcmp(others[i].name, op->name) == 0) return others[i].f;
    tl__reference_fn *f = tl__reference_of_nets(op->name);
    return f ? f : tl__reference_of_maps(op->name);
}

double tl__reference_activation(int act, double x)
{
    switch (act) {
    case TL_ACT_RELU: return fmax(x, 0);
    case TL_ACT_RELU6: return limited(x, 0, 6);
    case TL_ACT_SILU: return x * sigmoid(x);
    case TL_ACT_HARDSWISH: return x * limited(x + 3, 0, 6) / 6;
    case TL_ACT_GELU: return gelu(x);
    default: return x;
    }
}

int64_t tl__reference_number(const tl_value *v, int i, int64_t fallback)
{
    return v->n == 0 ? fallback : v->list[v->n == 1 ? 0 : i];
}
