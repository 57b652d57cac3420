/* ctc_loss.c - connectionist temporal classification: the loss of frames of scores against a shorter row of labels
 * whose places are not known. Kernels and formulas are in cl/ctc_loss.cl. Logits are wanted; logarithms of chances
 * are logits whose softmax they are already, so PyTorch's form of input gives the same loss, and the same gradient. */
#include "op/op.h"

#include <string.h>

static const tl_program program = {"ctc_loss", NULL};
enum { X, TARGETS, FRAMES, LABELS };
enum { REDUCTION, BLANK, FINITE };
enum { MEAN, SUM, NONE };
static const char *const reductions[] = {"mean", "sum", "none", NULL};
/* Of a group, which has a clip on GPUs: 64 where the device has room for them. Kernels without a group of their own are
 * those of 64. */
enum { ITEMS = 64, SIZES = 4 };
static const char *const sizes[SIZES] = {"-DITEMS=64", "-DITEMS=32", "-DITEMS=16", "-DITEMS=8"};
#define OPTIONS sizes[0]

/* cl/ctc_loss.cl has the same struct. */
typedef struct ctc_args {
    int64_t frames, classes, labels, width, row;
    int32_t blank, some_frames, some_labels, unused;
} ctc_args;

static int64_t clips_of(const tl_call *c) { return c->in_meta[X].shape.dim[0]; }
static tl_tensor *input(const tl_call *c, int i) { return i < c->n_in ? c->in[i] : NULL; }
static int given(const tl_call *c, int i) { return i < c->n_in && c->present[i]; }

/* `vector`: floats of a vector of the device. */
static ctc_args args_of(const tl_call *c, int64_t vector)
{
    const tl_shape *x = &c->in_meta[X].shape;
    ctc_args a = {.frames = x->dim[1], .classes = x->dim[2], .labels = c->in_meta[TARGETS].shape.dim[1],
                  .blank = (int32_t)c->attr[BLANK].i, .some_frames = given(c, FRAMES), .some_labels = given(c, LABELS)};
    a.width = (a.labels + vector) / vector * vector;
    a.row = vector + 2 * a.width;
    return a;
}

/* Rows of states are as wide as any vector wants, since a shape cannot hang on the device. */
enum { WIDEST = 16 };

static int ctc_infer(tl_error *err, tl_call *c)
{
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT];
    const tl_shape *x = &c->in_meta[X].shape, *y = &c->in_meta[TARGETS].shape;
    if (x->rank != 3 || y->rank != 2 || x->dim[0] != y->dim[0])
        return tl__op_fail(err, c, TL_ESHAPE, "logits (N, T, K) and targets (N, L) are needed, not %s and %s",
                           tl__shape_text(x, a, sizeof a), tl__shape_text(y, b, sizeof b));
    for (int i = FRAMES; i <= LABELS; i++)
        if (given(c, i) && (c->in_meta[i].shape.rank != 1 || c->in_meta[i].shape.dim[0] != x->dim[0]))
            return tl__op_fail(err, c, TL_ESHAPE, "there are %lld clips, but the lengths of their %s are %s",
                               (long long)x->dim[0], i == FRAMES ? "frames" : "targets",
                               tl__shape_text(&c->in_meta[i].shape, a, sizeof a));
    if (c->attr[BLANK].i < 0 || c->attr[BLANK].i >= x->dim[2])
        return tl__op_fail(err, c, TL_EARG, "the blank must be one of the %lld classes, counted from 0, not %lld",
                           (long long)x->dim[2], (long long)c->attr[BLANK].i);
    ctc_args o = args_of(c, WIDEST);
    c->n_out = 3;
    c->out_meta[0] = (tl_meta){c->attr[REDUCTION].i == NONE ? tl__shape(1, x->dim) : (tl_shape){0, {0}}, TL_F32};
    c->out_meta[1] = (tl_meta){tl__shape(3, (int64_t[]){x->dim[0], x->dim[1], o.row}), TL_F32};
    c->out_meta[2] = (tl_meta){tl__shape(1, x->dim), TL_F32};
    return 0;
}

/* What both directions want of the inputs, on the device. */
typedef struct ready {
    ctc_args o;
    tl_tensor *use, *labels, *lse;
} ready;

static int make_ready(tl_scope *s, const tl_call *c, ready *r)
{
    r->o = args_of(c, s->device->traits.vector_width);
    int64_t n = clips_of(c);
    r->use = tl_empty(s, TL_I32, 2, (int64_t[]){n, 2});
    r->labels = tl_empty(s, TL_I32, 2, (int64_t[]){n, r->o.width + 2});
    r->lse = tl_empty(s, TL_F32, 2, (int64_t[]){n, r->o.frames});
    if (s->err.code) return -1;
    tl_launch clips = {.program = &program, .options = OPTIONS, .kernel = "ctc_prepare", .dims = 1,
                       .global = {(size_t)n}};
    tl_launch frames = {.program = &program, .options = OPTIONS, .kernel = "ctc_frames", .dims = 2,
                        .global = {(size_t)r->o.frames, (size_t)n}};
    tl__arm_error_word(s->device);
    if (TL__LAUNCH(&s->err, s->device, &clips, "ctc_loss", TL_KDATA(&r->o), TL_KT(c->in[TARGETS]),
                   TL_KT(input(c, FRAMES)), TL_KT(input(c, LABELS)), TL_KT(r->use), TL_KT(r->labels),
                   TL_KBUF(s->device->error_word)) != 0)
        return -1;
    return TL__LAUNCH(&s->err, s->device, &frames, "ctc_loss", TL_KDATA(&r->o), TL_KT(c->in[X]), TL_KT(r->use),
                      TL_KT(r->lse));
}

/* A launch with a clip to a work-item or to a group. Where there is no memory to find out what fits, the scope
 * fails. */
static tl_launch launch_of(tl_scope *s, const tl_call *c, const char *kernel)
{
    int size = 0;
    size_t items = s->device->traits.is_cpu ? 1 : ITEMS;
    while (items > 1 && size < SIZES - 1 &&
           tl__kernel_fits(&s->err, s->device, &program, sizes[size], kernel, items) == 0)
        size++, items /= 2;
    return (tl_launch){.program = &program, .options = sizes[size], .kernel = kernel, .dims = 1,
                       .global = {(size_t)clips_of(c) * items}, .local = {items}};
}

/* What a loss counts in the result besides its own division by the labels. */
static double share_of(const tl_call *c) { return c->attr[REDUCTION].i == MEAN ? 1.0 / (double)clips_of(c) : 1; }

static int ctc_forward(tl_scope *s, const tl_call *c)
{
    ready r;
    int together = c->attr[REDUCTION].i != NONE;
    if (make_ready(s, c, &r) != 0) return -1;
    tl_launch alpha = launch_of(s, c, "ctc_alpha");
    tl_launch total = {.program = &program, .options = OPTIONS, .kernel = "ctc_total", .dims = 1,
                       .global = {together ? 1 : (size_t)clips_of(c)}};
    if (s->err.code || TL__LAUNCH(&s->err, s->device, &alpha, "ctc_loss", TL_KDATA(&r.o), TL_KT(c->in[X]), TL_KT(r.use),
                   TL_KT(r.labels), TL_KT(r.lse), TL_KT(c->out[1]), TL_KT(c->out[2])) != 0)
        return -1;
    return TL__LAUNCH(&s->err, s->device, &total, "ctc_loss", TL_KT(c->out[2]), TL_KT(r.use), TL_KT(c->out[0]),
                      TL_KL(clips_of(c)), TL_KI(together), TL_KI(c->attr[REDUCTION].i == MEAN), TL_KF(share_of(c)),
                      TL_KI(c->attr[FINITE].i));
}

static void ctc_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    ready r;
    tl_tensor *g = tl__packed(s, gy[0]);
    if (!g || make_ready(s, c, &r) != 0) return;
    int64_t n = clips_of(c), v = s->device->traits.vector_width;
    tl_tensor *sum = tl_empty(s, TL_F32, 3, (int64_t[]){n, r.o.frames, r.o.row});
    tl_tensor *states = tl_empty(s, TL_F32, 2, (int64_t[]){n, 4 * r.o.width + 2 * v});
    tl_tensor *d = tl_empty(s, TL_F32, 3, c->in_meta[X].shape.dim);
    tl_launch beta = launch_of(s, c, "ctc_beta");
    tl_launch grad = {.program = &program, .options = OPTIONS, .kernel = "ctc_grad", .dims = 2,
                      .global = {(size_t)r.o.frames, (size_t)n}};
    if (s->err.code ||
        TL__LAUNCH(&s->err, s->device, &beta, "ctc_loss", TL_KDATA(&r.o), TL_KT(c->in[X]), TL_KT(r.use),
                   TL_KT(r.labels), TL_KT(r.lse), TL_KT(c->out[1]), TL_KT(sum), TL_KT(states)) != 0 ||
        TL__LAUNCH(&s->err, s->device, &grad, "ctc_loss", TL_KDATA(&r.o), TL_KT(c->in[X]), TL_KT(r.use),
                   TL_KT(r.labels), TL_KT(r.lse), TL_KT(sum), TL_KT(c->out[2]), TL_KT(g), TL_KT(d),
                   TL_KI(c->attr[REDUCTION].i != NONE), TL_KI(c->attr[REDUCTION].i == MEAN), TL_KF(share_of(c)),
                   TL_KI(c->attr[FINITE].i)) != 0)
        return;
    gx[X] = d;
}

/* Of a softmax, and of both directions through two states a label. */
static double ctc_flops(const tl_call *c)
{
    ctc_args o = args_of(c, 1);
    return (double)(clips_of(c) * o.frames) * (4.0 * (double)o.classes + 12.0 * (double)o.labels);
}

extern const tl_op tl__op_ctc_loss;

/* Targets are drawn, so some repeat a label and want more frames than there are, whose infinite loss is left out. */
static void ctc_samples(tl_sampler *to)
{
    static const struct {
        int64_t n, t, k, l;
        int64_t shortest, least;  /* frames, labels of a clip that has fewest */
        int blank_last, reduction, all;
    } cases[] = {{2, 5, 4, 2, 4, 1, 0, MEAN, 0}, {3, 7, 3, 3, 5, 0, 1, SUM, 0}, {1, 12, 9, 5, 12, 5, 0, NONE, 1},
                 {4, 9, 5, 4, 2, 0, 1, MEAN, 0}, {2, 20, 6, 9, 18, 7, 0, NONE, 0}, {2, 3, 4, 0, 2, 0, 0, SUM, 0},
                 {1, 1, 3, 1, 1, 1, 1, MEAN, 1}, {2, 40, 17, 16, 34, 15, 1, SUM, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_sample v = tl__sample(&tl__op_ctc_loss);
        int64_t n = cases[i].n, k = cases[i].k;
        int last = cases[i].blank_last;
        tl__sample_input(&v, 3, (int64_t[]){n, cases[i].t, k}, -2, 2);
        tl__sample_input(&v, 2, (int64_t[]){n, cases[i].l}, last ? 0 : 1, (double)(last ? k - 2 : k - 1));
        if (!cases[i].all) {
            tl__sample_input(&v, 1, &n, (double)cases[i].shortest, (double)cases[i].t);
            tl__sample_input(&v, 1, &n, (double)cases[i].least, (double)cases[i].l);
        } else {
            tl__sample_absent(&v);
            tl__sample_absent(&v);
        }
        v.attr[REDUCTION].i = cases[i].reduction;
        v.attr[BLANK].i = last ? k - 1 : 0;
        v.attr[FINITE].i = 1;
        to->take(to, &v);
    }
}

const tl_op tl__op_ctc_loss = {
    .name = "ctc_loss",
    .brief = "Connectionist temporal classification (Graves et al. 2006): minus the logarithm of the chance of all "
             "paths through `logits` (N, T, K), or their log_softmax, that spell `targets` (N, L) int32, classes "
             "counted from 0. Of clip n count the first `input_lengths`[n] frames and `target_lengths`[n] labels.",
    .inputs = {"logits", "targets", "input_lengths?", "target_lengths?"},
    .attrs = {TL_CHOICE("reduction", reductions, "mean (of the losses, each over its number of labels), sum or none"),
              TL_INT("blank", 0, "the class that stands for no label"),
              TL_BOOL_("zero_infinity", 0, "a target that its frames cannot say has a loss of 0 instead of infinity")},
    .int_inputs = 1u << TARGETS | 1u << FRAMES | 1u << LABELS,
    .infer = ctc_infer, .forward = ctc_forward, .vjp = ctc_vjp,
    .saves = TL_SAVE_IN(X) | TL_SAVE_IN(TARGETS) | TL_SAVE_IN(FRAMES) | TL_SAVE_IN(LABELS) | TL_SAVE_OUT(1) |
             TL_SAVE_OUT(2),
    .hidden = 2, .flops = ctc_flops,
    .torch = "ctc_loss(logits, targets, input_lengths, target_lengths, reduction, blank, zero_infinity)",
    .samples = ctc_samples,
};

tl_tensor *tl_ctc_loss(tl_scope *s, tl_tensor *logits, tl_tensor *targets, tl_tensor *input_lengths,
                       tl_tensor *target_lengths, int64_t blank, int zero_infinity, const char *reduction)
{
    tl_value a[TL_MAX_ATTRS];
    tl__attr_defaults(&tl__op_ctc_loss, a);
    while (reduction && reductions[a[REDUCTION].i] && strcmp(reductions[a[REDUCTION].i], reduction) != 0)
        a[REDUCTION].i++;
    if (!reductions[a[REDUCTION].i]) {
        if (s && !s->err.code)
            tl__fail(&s->err, TL_EARG, "ctc_loss: the reduction is mean, sum or none, not %s", reduction);
        return NULL;
    }
    a[BLANK].i = blank;
    a[FINITE].i = zero_infinity;
    return tl__apply(s, &tl__op_ctc_loss, (tl_tensor *[]){logits, targets, input_lengths, target_lengths}, 4, a, NULL);
}
