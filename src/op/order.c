/* order.c - the largest and least elements along an axis, and where they are. */
#include "op/op.h"

#include <string.h>

static const tl_program program = {"order", NULL}, grouped = {"gpu/order_gpu", NULL};
extern const tl_op tl__op_argmax, tl__op_argmin, tl__op_topk;

static tl_launch launch_of(const tl_call *c, const char *kernel, int largest, const tl_lines *g)
{
    static const char *const options[2][2] = {{"-DT=float -DLARGEST=0", "-DT=float -DLARGEST=1"},
                                              {"-DT=int -DLARGEST=0", "-DT=int -DLARGEST=1"}};
    return (tl_launch){.program = &program,
                       .options = options[c->in_meta[0].dtype == TL_I32][largest],
                       .kernel = kernel,
                       .dims = 2,
                       .global = {(size_t)g->inner, (size_t)g->outer}};
}

/* ---- argmax and argmin ---- */

static int is_max(const tl_call *c) { return strcmp(c->op->name, "argmax") == 0; }

static int arg_infer(tl_error *err, tl_call *c)
{
    const tl_shape *x = &c->in_meta[0].shape;
    tl_lines g;
    if (tl__lines(err, c, 0, &g) != 0) return -1;
    if (g.n == 0)
        return tl__op_fail(err, c, TL_ESHAPE, "there is nothing to take the %s of", is_max(c) ? "largest" : "least");
    tl_shape y = {0, {0}};
    for (int i = 0; i < x->rank; i++)
        if (i != g.axis || c->attr[1].i) y.dim[y.rank++] = i == g.axis ? 1 : x->dim[i];
    c->n_out = 1;
    c->out_meta[0] = (tl_meta){y, TL_I32};
    return 0;
}

static int arg_forward(tl_scope *s, const tl_call *c)
{
    tl_lines g;
    if (tl__lines(&s->err, c, 0, &g) != 0) return -1;
    tl_launch l = launch_of(c, "arg", is_max(c), &g);
    tl_karg args[] = {TL_KT(c->in[0]), TL_KT(c->out[0]), TL_KL(g.n), TL_KL(g.inner)};
    enum { COUNT = sizeof args / sizeof *args };
    if (g.inner != 1 || !tl__in_groups(s->device)) return tl__launch(&s->err, s->device, &l, args, COUNT, c->op->name);
    l.program = &grouped;
    l.kernel = "arg_gpu";
    return tl__launch_row_groups(s, &l, c->op->name, g.outer, g.n, args, COUNT - 1);
}

static void arg_samples_of(tl_sampler *to, const tl_op *op)
{
    static const int64_t dims[][3] = {{2, 3, 5}, {1, 1, 1}, {3, 2, 17}, {2, 4, 16}, {1, 3, 33}};
    for (int i = 0; i < 5; i++)
        for (int axis = -1; axis <= 1; axis++) {
            tl_sample s = tl__sample(op);
            tl__sample_input(&s, 3, dims[i], -2, 2);
            s.attr[0].i = axis;
            to->take(to, &s);
        }
    for (int axis = 0; axis <= 1; axis++) {
        tl_sample s = tl__sample(op);
        tl__sample_whole(&s, 2, (const int64_t[]){6, 5}, -4000, 4000);
        s.attr[0].i = axis;
        s.attr[1].i = axis;
        to->take(to, &s);
    }
}
static void argmax_samples(tl_sampler *to) { arg_samples_of(to, &tl__op_argmax); }
static void argmin_samples(tl_sampler *to) { arg_samples_of(to, &tl__op_argmin); }

#define ATTRS {TL_AXIS("axis", -1, "dimension that disappears"), TL_BOOL_("keep", 0, "keep it with length 1")}
const tl_op tl__op_argmax = {
    .name = "argmax",
    .brief = "Position of the largest element along `axis`, counted from 0 (it is data: a class), as int32.",
    .inputs = {"x"},
    .attrs = ATTRS,
    .ints = 1,
    .infer = arg_infer,
    .forward = arg_forward,
    .torch = "torch.argmax(x, dim=axis, keepdim=keep)",
    .samples = argmax_samples,
};
const tl_op tl__op_argmin = {
    .name = "argmin",
    .brief = "Position of the least element along `axis`, counted from 0, as int32; of equals the first.",
    .inputs = {"x"},
    .attrs = ATTRS,
    .ints = 1,
    .infer = arg_infer,
    .forward = arg_forward,
    .torch = "torch.argmin(x, dim=axis, keepdim=keep)",
    .samples = argmin_samples,
};

/* ---- topk ---- */

enum { K, AXIS, LARGEST };

static int topk_infer(tl_error *err, tl_call *c)
{
    tl_lines g;
    tl_shape y = c->in_meta[0].shape;
    if (tl__lines(err, c, AXIS, &g) != 0) return -1;
    if (c->attr[K].i < 0 || c->attr[K].i > g.n)
        return tl__op_fail(err, c, TL_EARG, "%lld elements of a dimension of %lld", (long long)c->attr[K].i,
                           (long long)g.n);
    y.dim[g.axis] = c->attr[K].i;
    c->n_out = 2;
    c->out_meta[0] = (tl_meta){y, c->in_meta[0].dtype};
    c->out_meta[1] = (tl_meta){y, TL_I32};
    return 0;
}

static int topk_forward(tl_scope *s, const tl_call *c)
{
    tl_lines g;
    if (tl__lines(&s->err, c, AXIS, &g) != 0) return -1;
    if (c->attr[K].i == 0) return 0;
    tl_launch l = launch_of(c, "topk", c->attr[LARGEST].i != 0, &g);
    return TL__LAUNCH(&s->err, s->device, &l, "topk", TL_KT(c->in[0]), TL_KT(c->out[0]), TL_KT(c->out[1]), TL_KL(g.n),
                      TL_KL(c->attr[K].i), TL_KL(g.inner));
}

/* dx = gy where the elements were, else 0 */
static void topk_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    const tl_shape *x = &c->in_meta[0].shape;
    gx[0] = tl__gather_gradient(s, gy[0], c->out[1], x, tl__axis((int)c->attr[AXIS].i, x->rank));
}

static void topk_samples(tl_sampler *to)
{
    static const struct { int64_t x[3]; int axis, k, largest;
    } shapes[] = {{{2, 3, 5}, -1, 2, 1},
                  {{2, 3, 5}, -1, 5, 0},
                  {{3, 17, 2}, 1, 4, 1},
                  {{7, 1, 3}, 0, 1, 0},
                  {{2, 3, 33}, -1, 16, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int whole = 0; whole < (i == 3 ? 2 : 1); whole++) {
            tl_sample v = tl__sample(&tl__op_topk);
            if (whole) tl__sample_whole(&v, 3, shapes[i].x, -9, 9);
            else tl__sample_input(&v, 3, shapes[i].x, -2, 2);
            v.attr[K].i = shapes[i].k;
            v.attr[AXIS].i = shapes[i].axis;
            v.attr[LARGEST].i = shapes[i].largest;
            to->take(to, &v);
        }
}

const tl_op tl__op_topk = {
    .name = "topk",
    .brief = "The `k` largest (or least) elements along `axis`, in order, and second their positions from 0 as int32. "
             "A NaN counts as the largest; among equals the first comes first.",
    .inputs = {"x"},
    .attrs = {{TL_A_INT, "k", "how many", 0, NULL, 1, 0, 0},
              TL_AXIS("axis", -1, "dimension in which they are looked for"),
              TL_BOOL_("largest", 1, "the largest first; false: the least")},
    .ints = 1,
    .infer = topk_infer,
    .forward = topk_forward,
    .vjp = topk_vjp,
    .saves = TL_SAVE_OUT(1),
    .torch = "torch.topk(x, k, dim=axis, largest=largest)",
    .samples = topk_samples,
};

/* ---- the C interface ---- */

tl_tensor *tl_argmax(tl_scope *s, tl_tensor *x, int axis)
{
    tl_value a[TL_MAX_ATTRS] = {{.i = axis}};
    return tl__apply(s, &tl__op_argmax, &x, 1, a, NULL);
}

tl_tensor *tl_argmin(tl_scope *s, tl_tensor *x, int axis)
{
    tl_value a[TL_MAX_ATTRS] = {{.i = axis}};
    return tl__apply(s, &tl__op_argmin, &x, 1, a, NULL);
}

tl_tensor *tl_topk(tl_scope *s, tl_tensor *x, int64_t k, int axis, int largest, tl_tensor **places)
{
    tl_value a[TL_MAX_ATTRS] = {{.i = k}, {.i = axis}, {.i = largest}};
    tl_tensor *out[TL_MAX_OUTPUTS] = {0};
    tl_tensor *y = tl__apply(s, &tl__op_topk, &x, 1, a, out);
    if (places) *places = out[1];
    return y;
}
