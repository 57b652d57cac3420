/* recurrent.c - recurrent layers over whole sequences (N, T, C): RNN, GRU and LSTM as PyTorch's, one direction a call.
 * What comes from x is one product for all steps, what comes from the state one a step. */
#include "op/op.h"

static const tl_program program = {"recurrent", NULL};
extern const tl_op tl__op_rnn, tl__op_gru, tl__op_lstm;

enum { X, WEIGHT_X, WEIGHT_H, BIAS_X, BIAS_H, STATE, CELL };
enum { TANH, RELU, GRU, LSTM };
static const char *const activations[] = {"tanh", "relu", NULL};

/* cl/recurrent.cl has the same struct. */
typedef struct step_args {
    int64_t steps, step, width;
    int32_t reverse, lengths;
} step_args;

typedef struct layer {
    int kind, gates, kept;      /* times `width`: what is computed, and what the gradient wants */
    int lengths;                /* number of that input */
    int64_t n, in;
    step_args a;
} layer;

static tl_tensor *input(const tl_call *c, int i) { return i < c->n_in ? c->in[i] : NULL; }

static layer layer_of(const tl_call *c)
{
    layer l = {.kind = c->op == &tl__op_lstm ? LSTM : c->op == &tl__op_gru ? GRU : (int)c->attr[1].i};
    const tl_shape *x = &c->in_meta[X].shape;
    l.gates = l.kind == LSTM ? 4 : l.kind == GRU ? 3 : 1;
    l.kept = l.kind == LSTM ? 5 : l.kind == GRU ? 4 : 0;
    l.lengths = l.kind == LSTM ? CELL + 1 : CELL;
    l.n = x->dim[0];
    l.in = x->dim[2];
    l.a = (step_args){.steps = x->dim[1],
                      .width = c->in_meta[WEIGHT_H].shape.dim[1],
                      .reverse = c->attr[0].i != 0,
                      .lengths = l.lengths < c->n_in && c->present[l.lengths]};
    return l;
}

/* An input must be there in this shape, if at all. */
static int check_shape(tl_error *err, const tl_call *c, int i, int rank, const int64_t *dims)
{
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT];
    tl_shape want = tl__shape(rank, dims);
    if (i >= c->n_in || !c->present[i] || tl__shape_equal(&c->in_meta[i].shape, &want)) return 0;
    const char *name = c->op->inputs[i];
    int length = 0;
    while (name[length] && name[length] != '?') length++;
    return tl__op_fail(err, c, TL_ESHAPE, "%.*s must be %s, not %s", length, name, tl__shape_text(&want, a, sizeof a),
                       tl__shape_text(&c->in_meta[i].shape, b, sizeof b));
}

static int recurrent_infer(tl_error *err, tl_call *c)
{
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT];
    const tl_shape *x = &c->in_meta[X].shape, *w = &c->in_meta[WEIGHT_H].shape;
    if (x->rank != 3 || w->rank != 2)
        return tl__op_fail(err, c, TL_ESHAPE,
                           "sequences (N, T, C) and a weight of the state (gates, width) are needed, not %s and %s",
                           tl__shape_text(x, a, sizeof a), tl__shape_text(w, b, sizeof b));
    layer l = layer_of(c);
    int64_t width = l.a.width, gates = l.gates * width, state[] = {l.n, width};
    if (check_shape(err, c, WEIGHT_H, 2, (int64_t[]){gates, width}) != 0 ||
        check_shape(err, c, WEIGHT_X, 2, (int64_t[]){gates, l.in}) != 0 ||
        check_shape(err, c, BIAS_X, 1, &gates) != 0 || check_shape(err, c, BIAS_H, 1, &gates) != 0 ||
        check_shape(err, c, STATE, 2, state) != 0 || check_shape(err, c, l.lengths, 1, &l.n) != 0 ||
        (l.kind == LSTM && check_shape(err, c, CELL, 2, state) != 0))
        return -1;
    tl_meta end = {tl__shape(2, state), TL_F32};
    c->out_meta[0] = (tl_meta){tl__shape(3, (int64_t[]){l.n, l.a.steps, width}), TL_F32};
    c->out_meta[1] = end;
    if (l.kind == LSTM) c->out_meta[2] = end;
    c->n_out = l.kind == LSTM ? 3 : 2;
    if (l.kept) c->out_meta[c->n_out++] = (tl_meta){tl__shape(3, (int64_t[]){l.n, l.a.steps, l.kept * width}), TL_F32};
    return 0;
}

static tl_launch launch_of(const layer *l, const char *kernel)
{
    static const char *const kinds[] = {"-DKIND=0", "-DKIND=1", "-DKIND=2", "-DKIND=3"};
    return (tl_launch){.program = &program,
                       .options = kinds[l->kind],
                       .kernel = kernel,
                       .dims = 2,
                       .global = {(size_t)l->a.width, (size_t)l->n}};
}

/* A step takes vectors of features where the width is a whole number of them. */
static tl_launch launch_of_steps(const tl_device *d, const layer *l, const char *kernel)
{
    static const char *const kinds[] = {"-DKIND=0 -DWIDE", "-DKIND=1 -DWIDE", "-DKIND=2 -DWIDE", "-DKIND=3 -DWIDE"};
    int64_t v = d->traits.is_cpu ? d->traits.vector_width : 1;
    tl_launch step = launch_of(l, kernel);
    if (v < 2 || l->a.width % v) return step;
    step.options = kinds[l->kind];
    step.global[0] /= (size_t)v;
    return step;
}

static tl_tensor *kept_of(const tl_call *c, const layer *l) { return l->kept ? c->out[c->n_out - 1] : NULL; }
static tl_tensor *lengths_of(const tl_call *c, const layer *l) { return l->a.lengths ? c->in[l->lengths] : NULL; }

/* The state in the beginning, where the result will be. */
static int begin(tl_scope *s, tl_tensor *from, tl_tensor *to)
{
    if (!from) from = tl_expand(s, tl_full(s, TL_F32, 0, NULL, 0), to->shape.rank, to->shape.dim);
    return from ? tl__copy_into(s, from, to) : -1;
}

/* The weight of the state for one sequence, or turned over for its gradient: a tensor that no one trains, so that it
 * is packed once and not in every step. */
static tl_tensor *state_weight(tl_scope *s, const tl_call *c, int turned)
{
    tl_tensor *from = c->in[WEIGHT_H];
    if (turned) from = tl_permute(s, from, 2, (int[]){1, 0});
    tl_tensor *to = from ? tl_empty(s, TL_F32, 2, from->shape.dim) : NULL;
    return to && tl__copy_into(s, from, to) == 0 ? to : NULL;
}

static int forward_step(tl_scope *s, const tl_call *c, const layer *l, tl_tensor *from_x, tl_tensor *weight)
{
    tl_tensor *h = c->out[1], *cell = l->kind == LSTM ? c->out[2] : NULL, *lengths = lengths_of(c, l);
    tl_tensor *from_h = tl_linear(s, h, weight, input(c, BIAS_H), NULL, NULL), *kept = kept_of(c, l);
    tl_launch step = launch_of_steps(s->device, l, "step_on");
    if (!from_h) return -1;
    return TL__LAUNCH(&s->err, s->device, &step, c->op->name, TL_KDATA(&l->a), TL_KT(from_x), TL_KT(from_h),
                      TL_KT(lengths), TL_KT(h), TL_KT(cell), TL_KT(c->out[0]), TL_KT(kept));
}

static int recurrent_forward(tl_scope *s, const tl_call *c)
{
    layer l = layer_of(c);
    tl_tensor *from_x = tl_linear(s, c->in[X], c->in[WEIGHT_X], input(c, BIAS_X), NULL, NULL);
    tl_tensor *weight = state_weight(s, c, 0);
    int bad = !from_x || !weight || begin(s, input(c, STATE), c->out[1]) != 0 ||
              (l.kind == LSTM && begin(s, input(c, CELL), c->out[2]) != 0);
    for (; l.a.step < l.a.steps && !bad; l.a.step++) {
        tl_scope each;
        tl__scope_begin(&each, s);
        bad = forward_step(&each, c, &l, from_x, weight) != 0;
        tl__scope_end(&each);
    }
    return bad ? -1 : 0;
}

/* ---- the gradient ---- */

typedef struct back {
    tl_tensor *gy, *none;             /* towards y; zeros (N, width) */
    tl_tensor *weight;                /* of the state, turned */
    tl_tensor *carry, *cell; /* towards the state past the gates, and towards the cell: moved from step to step */
    tl_tensor *before;                /* the states that steps began with (N, T, width) */
    tl_tensor *to_x, *to_h,
        *to_step; /* towards the gates (N, T, gates width), from x and from the state; the latter of one step */
} back;

static int backward_step(tl_scope *s, const tl_call *c, const layer *l, const back *b)
{
    int last = l->a.step == l->a.steps - 1;
    tl_tensor *dh = last ? b->none : tl_linear(s, b->to_step, b->weight, NULL, NULL, NULL);
    tl_tensor *lengths = lengths_of(c, l), *kept = kept_of(c, l), *cell = l->kind == LSTM ? input(c, CELL) : NULL;
    tl_launch step = launch_of_steps(s->device, l, "step_back");
    if (!dh) return -1;
    return TL__LAUNCH(&s->err, s->device, &step, c->op->name, TL_KDATA(&l->a), TL_KT(lengths), TL_KT(b->gy),
                      TL_KT(c->out[0]), TL_KT(b->before), TL_KT(kept), TL_KT(cell), TL_KT(dh), TL_KT(b->carry),
                      TL_KT(b->cell), TL_KT(b->to_x), TL_KT(b->to_h), TL_KT(b->to_step), TL_KI(cell != NULL));
}

/* All that the steps need; 0 or -1. */
static int prepare(tl_scope *s, const tl_call *c, const layer *l, tl_tensor *const *gy, back *b)
{
    int64_t width = l->a.width, gates = l->gates * width, all[] = {l->n, l->a.steps, gates}, one[] = {l->n, gates};
    tl_tensor *first = input(c, STATE), *lengths = lengths_of(c, l);
    b->gy = tl__packed(s, gy[0]);
    b->weight = state_weight(s, c, 1);
    b->none = tl_full(s, TL_F32, 2, (int64_t[]){l->n, width}, 0);
    b->carry = tl__cast(s, gy[1], TL_F32);
    b->cell = l->kind == LSTM ? tl__cast(s, gy[2], TL_F32) : NULL;
    b->before = tl_empty(s, TL_F32, 3, (int64_t[]){l->n, l->a.steps, width});
    b->to_x = tl_empty(s, TL_F32, 3, all);
    b->to_h = tl_empty(s, TL_F32, 3, all);
    b->to_step = tl_full(s, TL_F32, 2, one, 0);
    if (s->err.code) return -1;
    tl_launch previous = launch_of(l, "previous");
    return TL__LAUNCH(&s->err, s->device, &previous, c->op->name, TL_KDATA(&l->a), TL_KT(lengths), TL_KT(first),
                      TL_KT(c->out[0]), TL_KT(b->before), TL_KI(first != NULL));
}

/* The gates' gradients step by step from the end; from them, in one product each, those of the weights and of x. */
static void recurrent_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    layer l = layer_of(c);
    back b = {0};
    int bad = prepare(s, c, &l, gy, &b) != 0;
    for (l.a.step = l.a.steps - 1; l.a.step >= 0 && !bad; l.a.step--) {
        tl_scope each;
        tl__scope_begin(&each, s);
        bad = backward_step(&each, c, &l, &b) != 0;
        tl__scope_end(&each);
    }
    if (bad) return;
    int64_t gates = l.gates * l.a.width;
    tl_tensor *to_x = tl_reshape(s, b.to_x, 2, (int64_t[]){l.n * l.a.steps, gates});
    tl_tensor *to_h = tl_reshape(s, b.to_h, 2, (int64_t[]){l.n * l.a.steps, gates});
    tl_tensor *x = tl_reshape(s, c->in[X], 2, (int64_t[]){l.n * l.a.steps, l.in});
    tl_tensor *before = tl_reshape(s, b.before, 2, (int64_t[]){l.n * l.a.steps, l.a.width});
    if (c->needs[X]) gx[X] = tl_matmul(s, b.to_x, c->in[WEIGHT_X], 0, 0);
    if (c->needs[WEIGHT_X]) gx[WEIGHT_X] = tl_matmul(s, to_x, x, 1, 0);
    if (c->needs[WEIGHT_H]) gx[WEIGHT_H] = tl_matmul(s, to_h, before, 1, 0);
    if (c->n_in > BIAS_X && c->needs[BIAS_X]) gx[BIAS_X] = tl_sum(s, to_x, (int[]){0}, 1, 0);
    if (c->n_in > BIAS_H && c->needs[BIAS_H]) gx[BIAS_H] = tl_sum(s, to_h, (int[]){0}, 1, 0);
    if (c->n_in > STATE && c->needs[STATE])
        gx[STATE] = tl_add(s, b.carry, tl_matmul(s, b.to_step, c->in[WEIGHT_H], 0, 0));
    if (l.kind == LSTM && c->n_in > CELL && c->needs[CELL]) gx[CELL] = b.cell;
}

static double recurrent_flops(const tl_call *c)
{
    const tl_shape *x = &c->in_meta[X].shape, *w = &c->in_meta[WEIGHT_X].shape;
    return 2.0 * (double)(x->dim[0] * x->dim[1]) * (double)w->dim[0] *
           (double)(x->dim[2] + c->in_meta[WEIGHT_H].shape.dim[1]);
}

/* ---- samples and descriptors ---- */

static void recurrent_samples(tl_sampler *to, const tl_op *op)
{
    static const struct { int64_t n, t, in, width; int biases, states, lengths, reverse;
    } cases[] = {{2, 4, 3, 5, 1, 1, 0, 0},
                 {3, 3, 4, 4, 1, 0, 1, 0},
                 {3, 5, 2, 3, 1, 1, 1, 1},
                 {1, 6, 5, 17, 0, 0, 0, 1},
                 {2, 1, 3, 2, 0, 1, 0, 0},
                 {2, 3, 2, 16, 1, 1, 1, 1}};
    int64_t gates = op == &tl__op_lstm ? 4 : op == &tl__op_gru ? 3 : 1;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_sample v = tl__sample(op);
        int64_t n = cases[i].n, width = cases[i].width, all = gates * width;
        tl__sample_input(&v, 3, (int64_t[]){n, cases[i].t, cases[i].in}, -1, 1);
        tl__sample_input(&v, 2, (int64_t[]){all, cases[i].in}, -1, 1);
        tl__sample_input(&v, 2, (int64_t[]){all, width}, -1, 1);
        for (int k = 0; k < 2; k++) {
            if (cases[i].biases) tl__sample_input(&v, 1, &all, -1, 1);
            else tl__sample_absent(&v);
        }
        for (int k = 0; k < (gates == 4 ? 2 : 1); k++) {
            if (cases[i].states) tl__sample_input(&v, 2, (int64_t[]){n, width}, -1, 1);
            else tl__sample_absent(&v);
        }
        if (cases[i].lengths) tl__sample_input(&v, 1, &n, 1, (double)cases[i].t);
        else tl__sample_absent(&v);
        v.attr[0].i = cases[i].reverse;
        if (gates == 1) v.attr[1].i = i % 2 ? RELU : TANH;
        to->take(to, &v);
    }
}
static void rnn_samples(tl_sampler *to) { recurrent_samples(to, &tl__op_rnn); }
static void gru_samples(tl_sampler *to) { recurrent_samples(to, &tl__op_gru); }
static void lstm_samples(tl_sampler *to) { recurrent_samples(to, &tl__op_lstm); }

#define REVERSE TL_BOOL_("reverse", 0, "from the end of each sequence to its beginning")
#define SAVES (TL_SAVE_IN(X) | TL_SAVE_IN(WEIGHT_X) | TL_SAVE_IN(WEIGHT_H) | TL_SAVE_IN(STATE) | TL_SAVE_OUT(0))
#define SEQUENCES                                                                                                     \
    "The results are y (N, T, width) and the last state (N, width); `h` is the first one. Sequence n ends after its " \
    "first `lengths`[n] elements: y is 0 behind them"
const tl_op tl__op_rnn = {
    .name = "rnn",
    .brief = "Recurrent layer over `x` (N, T, C): h = activation(x weight_x^T + bias_x + h weight_h^T + bias_h), "
             "`weight_x` "
             "(width, C), `weight_h` (width, width). " SEQUENCES ".",
    .inputs = {"x", "weight_x", "weight_h", "bias_x?", "bias_h?", "h?", "lengths?"},
    .attrs = {REVERSE, TL_CHOICE("activation", activations, "of the state")},
    .int_inputs = 1u << CELL,
    .infer = recurrent_infer,
    .forward = recurrent_forward,
    .vjp = recurrent_vjp,
    .saves = SAVES | TL_SAVE_IN(CELL),
    .flops = recurrent_flops,
    .torch = "rnn(x, weight_x, weight_h, bias_x, bias_h, h, lengths, reverse, activation)",
    .samples = rnn_samples,
};
const tl_op tl__op_gru = {
    .name = "gru",
    .brief =
        "Gated recurrent units over `x` (N, T, C), `weight_x` (3 width, C), `weight_h` (3 width, width), gates in "
        "PyTorch's "
        "order (reset, update, new). " SEQUENCES ".",
    .inputs = {"x", "weight_x", "weight_h", "bias_x?", "bias_h?", "h?", "lengths?"},
    .attrs = {REVERSE},
    .int_inputs = 1u << CELL,
    .infer = recurrent_infer,
    .forward = recurrent_forward,
    .vjp = recurrent_vjp,
    .saves = SAVES | TL_SAVE_IN(CELL) | TL_SAVE_OUT(2),
    .hidden = 1,
    .flops = recurrent_flops,
    .torch = "gru(x, weight_x, weight_h, bias_x, bias_h, h, lengths, reverse)",
    .samples = gru_samples,
};
const tl_op tl__op_lstm = {
    .name = "lstm",
    .brief =
        "Long short-term memory over `x` (N, T, C), `weight_x` (4 width, C), `weight_h` (4 width, width), gates in "
        "PyTorch's "
        "order (input, forget, cell, output). " SEQUENCES ". Third comes the last cell, of which `c` is the first.",
    .inputs = {"x", "weight_x", "weight_h", "bias_x?", "bias_h?", "h?", "c?", "lengths?"},
    .attrs = {REVERSE},
    .int_inputs = 1u << (CELL + 1),
    .infer = recurrent_infer,
    .forward = recurrent_forward,
    .vjp = recurrent_vjp,
    .saves = SAVES | TL_SAVE_IN(CELL) | TL_SAVE_IN(CELL + 1) | TL_SAVE_OUT(3),
    .hidden = 1,
    .flops = recurrent_flops,
    .torch = "lstm(x, weight_x, weight_h, bias_x, bias_h, h, c, lengths, reverse)",
    .samples = lstm_samples,
};

/* ---- the C interface ---- */

static tl_tensor *run(tl_scope *s, const tl_op *op, tl_tensor *x, const tl_recurrent *o, int reverse, tl_tensor **ends)
{
    int lstm = op == &tl__op_lstm;
    tl_value a[TL_MAX_ATTRS] = {{.i = reverse}, {.i = o->relu ? RELU : TANH}};
    tl_tensor *out[TL_MAX_OUTPUTS] = {0}, *last = lstm ? o->c : o->lengths;
    tl_tensor *in[] = {x, o->weight_x, o->weight_h, o->bias_x, o->bias_h, o->h, last, o->lengths};
    tl_tensor *y = tl__apply(s, op, in, lstm ? 8 : 7, a, out);
    for (int i = 0; ends && i < 1 + lstm; i++) ends[i] = y ? out[1 + i] : NULL;
    return y;
}

tl_tensor *tl_rnn(tl_scope *s, tl_tensor *x, const tl_recurrent *o, int reverse, tl_tensor **end)
{
    return run(s, &tl__op_rnn, x, o, reverse, end);
}
tl_tensor *tl_gru(tl_scope *s, tl_tensor *x, const tl_recurrent *o, int reverse, tl_tensor **end)
{
    return run(s, &tl__op_gru, x, o, reverse, end);
}
tl_tensor *tl_lstm(tl_scope *s, tl_tensor *x, const tl_recurrent *o, int reverse, tl_tensor **ends)
{
    return run(s, &tl__op_lstm, x, o, reverse, ends);
}
