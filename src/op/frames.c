/* frames.c - slopes along time, and masks by chance, of frames of sound. */
#include "op/op.h"

static const tl_program program = {"frames", NULL};
enum { X, LENGTHS };
extern const tl_op tl__op_deltas, tl__op_spec_augment;

static int frames_infer(tl_error *err, tl_call *c)
{
    const tl_shape *x = &c->in_meta[X].shape, *n = &c->in_meta[LENGTHS].shape;
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT];
    if (x->rank != 3)
        return tl__op_fail(err, c, TL_ESHAPE, "frames (N, F, B) are needed, not %s", tl__shape_text(x, a, sizeof a));
    if (c->n_in > LENGTHS && c->present[LENGTHS] && (n->rank != 1 || n->dim[0] != x->dim[0]))
        return tl__op_fail(err, c, TL_ESHAPE, "lengths %s are not one for each clip of %s",
                           tl__shape_text(n, a, sizeof a), tl__shape_text(x, b, sizeof b));
    return tl__infer_like_first(err, c);
}

static tl_tensor *lengths_of(const tl_call *c) { return c->n_in > LENGTHS ? c->in[LENGTHS] : NULL; }

/* ---- deltas ---- */

enum { REACH, MOST_REACH = 64 };

static int deltas_infer(tl_error *err, tl_call *c)
{
    if (c->attr[REACH].i < 1 || c->attr[REACH].i > MOST_REACH)
        return tl__op_fail(err, c, TL_EARG, "reach must be from 1 to %d, not %lld", MOST_REACH,
                           (long long)c->attr[REACH].i);
    return frames_infer(err, c);
}

static int deltas_into(tl_scope *s, const tl_call *c, const char *kernel, tl_tensor *x, tl_tensor *y)
{
    const int64_t *d = x->shape.dim;
    double sum = 0;
    for (int64_t k = 1; k <= c->attr[REACH].i; k++) sum += 2 * (double)(k * k);
    tl_launch l = {
        .program = &program, .kernel = kernel, .dims = 3, .global = {(size_t)d[2], (size_t)d[1], (size_t)d[0]}};
    return TL__LAUNCH(&s->err, s->device, &l, "deltas", TL_KT(x), TL_KT(lengths_of(c)), TL_KI(lengths_of(c) != NULL),
                      TL_KT(y), TL_KL(d[1]), TL_KL(d[2]), TL_KI(c->attr[REACH].i), TL_KF(1 / sum));
}

static int deltas_forward(tl_scope *s, const tl_call *c) { return deltas_into(s, c, "deltas", c->in[X], c->out[0]); }

/* The formula stands at the kernel. */
static void deltas_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_tensor *g = tl__packed(s, gy[0]), *dx = g ? tl_empty(s, TL_F32, 3, g->shape.dim) : NULL;
    if (dx && deltas_into(s, c, "deltas_dx", g, dx) == 0) gx[X] = dx;
}

static void deltas_samples(tl_sampler *to)
{
    static const struct {
        int64_t x[3], reach;
        int counted;
    } cases[] = {{{2, 9, 3}, 2, 0}, {{3, 7, 2}, 1, 1}, {{2, 3, 17}, 4, 1}, {{1, 1, 2}, 2, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_sample v = tl__sample(&tl__op_deltas);
        tl__sample_input(&v, 3, cases[i].x, -1, 1);
        if (cases[i].counted) tl__sample_whole(&v, 1, cases[i].x, 1, (double)cases[i].x[1]);
        else tl__sample_absent(&v);
        v.attr[REACH].i = cases[i].reach;
        to->take(to, &v);
    }
}

const tl_op tl__op_deltas = {
    .name = "deltas",
    .brief = "Slopes of `x` (N, F, B) over frames up to `reach` before and behind each, of least squares; the first "
             "and last "
             "of the `lengths` (N, int32) frames that a clip has go on at its ends, and behind them is 0.",
    .inputs = {"x", "lengths?"},
    .attrs = {TL_INT("reach", 2, "frames to each side")},
    .int_inputs = 1u << LENGTHS,
    .infer = deltas_infer,
    .forward = deltas_forward,
    .vjp = deltas_vjp,
    .saves = TL_SAVE_IN(LENGTHS),
    .torch = "deltas(x, lengths, reach)",
    .samples = deltas_samples,
};

tl_tensor *tl_deltas(tl_scope *s, tl_tensor *x, tl_tensor *lengths, int64_t reach)
{
    tl_value a[TL_MAX_ATTRS] = {{.i = reach}};
    return tl__apply(s, &tl__op_deltas, (tl_tensor *[]){x, lengths}, 2, a, NULL);
}

/* ---- spec_augment ---- */

enum { FREQ_MASKS, FREQ_WIDTH, TIME_MASKS, TIME_WIDTH, TIME_SHARE, VALUE, MOST_MASKS = 64 };

static int augment_infer(tl_error *err, tl_call *c)
{
    for (int i = FREQ_MASKS; i <= TIME_WIDTH; i++) {
        int64_t v = c->attr[i].i, most = i == FREQ_MASKS || i == TIME_MASKS ? MOST_MASKS : (int64_t)1 << 24;
        if (v < 0 || v > most)
            return tl__op_fail(err, c, TL_EARG, "%s must be from 0 to %lld, not %lld", c->op->attrs[i].name,
                               (long long)most, (long long)v);
    }
    return frames_infer(err, c);
}

static int augment_into(tl_scope *s, const tl_call *c, tl_tensor *x, tl_tensor *y, double value)
{
    const int64_t *d = x->shape.dim;
    const tl_value *a = c->attr;
    tl_launch l = {.program = &program, .kernel = "spec_augment", .dims = 2, .global = {(size_t)d[1], (size_t)d[0]}};
    return TL__LAUNCH(&s->err, s->device, &l, "spec_augment", TL_KT(x), TL_KT(lengths_of(c)),
                      TL_KI(lengths_of(c) != NULL), TL_KT(y), TL_KL(d[1]), TL_KL(d[2]), TL_KI(a[FREQ_MASKS].i),
                      TL_KL(a[FREQ_WIDTH].i < d[2] ? a[FREQ_WIDTH].i : d[2]), TL_KI(a[TIME_MASKS].i),
                      TL_KL(a[TIME_WIDTH].i), TL_KF(a[TIME_SHARE].f), TL_KF(value), TL_KI(c->key.k0), TL_KI(c->key.k1));
}

static int augment_forward(tl_scope *s, const tl_call *c)
{
    return augment_into(s, c, c->in[X], c->out[0], c->attr[VALUE].f);
}

/* dx = gy where nothing was hidden, drawn again from the call's key */
static void augment_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_tensor *g = tl__packed(s, gy[0]), *dx = g ? tl_empty(s, TL_F32, 3, g->shape.dim) : NULL;
    if (dx && augment_into(s, c, g, dx, 0) == 0) gx[X] = dx;
}

static void augment_samples(tl_sampler *to)
{
    static const struct {
        int64_t x[3];
        int counted;
    } cases[] = {{{2, 9, 7}, 0}, {{3, 17, 5}, 1}, {{1, 1, 1}, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_sample v = tl__sample(&tl__op_spec_augment);
        tl__sample_input(&v, 3, cases[i].x, -1, 1);
        if (cases[i].counted) tl__sample_whole(&v, 1, cases[i].x, 1, (double)cases[i].x[1]);
        else tl__sample_absent(&v);
        v.attr[FREQ_WIDTH].i = 3;
        v.attr[TIME_WIDTH].i = 5;
        v.attr[TIME_SHARE].f = 0.5;
        v.attr[VALUE].f = 0.25 * (double)i;
        to->take(to, &v);
    }
}

const tl_op tl__op_spec_augment = {
    .name = "spec_augment",
    .brief = "`x` (N, F, B) with stretches of bands and of frames replaced by `value`, each clip its own, within its "
             "`lengths` (N, int32) frames (Park et al. 2019). Widths are drawn from 0 to the largest, places evenly.",
    .inputs = {"x", "lengths?"},
    .attrs = {TL_INT("freq_masks", 2, "stretches of bands"), TL_INT("freq_width", 27, "bands of one at most"),
              TL_INT("time_masks", 2, "stretches of frames"), TL_INT("time_width", 100, "frames of one at most"),
              TL_RANGE("time_share", 1, 0, 1, "and at most this share of the clip"),
              TL_FLOAT("value", 0, "what stands there")},
    .int_inputs = 1u << LENGTHS,
    .random = 1,
    .infer = augment_infer,
    .forward = augment_forward,
    .vjp = augment_vjp,
    .saves = TL_SAVE_IN(LENGTHS),
    .torch = "x with torchaudio.transforms.FrequencyMasking and TimeMasking of each clip",
    .samples = augment_samples,
};

tl_tensor *tl_spec_augment(tl_scope *s, tl_tensor *x, tl_tensor *lengths, const tl_spec_augment_options *o)
{
    tl_value a[TL_MAX_ATTRS] = {{.i = o->freq_masks}, {.i = o->freq_width}, {.i = o->time_masks},
                                {.i = o->time_width}, {.f = o->time_share}, {.f = o->value}};
    return tl__apply(s, &tl__op_spec_augment, (tl_tensor *[]){x, lengths}, 2, a, NULL);
}
