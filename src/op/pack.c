/* pack.c - sequences of different lengths without their padding, one behind the other, and back: what works row by row
 * then computes nothing for what does not count, and attention knows where each begins by the lengths. */
#include "op/op.h"

static const tl_program program = {"pack", NULL};
enum { X, LENGTHS };

/* A row's numbers: what stands behind the first `from` dimensions. */
static int64_t inner_of(const tl_shape *x, int from)
{
    int64_t n = 1;
    for (int i = from; i < x->rank; i++) n *= x->dim[i];
    return n;
}

/* Launches `kernel` from x to y; `first`: sequences of x where it packs, rows of x where it does not. */
static int move(tl_scope *s, const char *kernel, tl_tensor *x, tl_tensor *lengths, tl_tensor *y, int64_t first,
                int64_t steps, int64_t rows, int64_t inner)
{
    int64_t chunk = s->device->traits.is_cpu && inner > 0 ? inner : 1;
    tl_launch l = {.program = &program,
                   .options = x->dtype == TL_I32 ? "-DT=int" : NULL,
                   .kernel = kernel,
                   .dims = 2,
                   .global = {(size_t)(inner / chunk), (size_t)rows}};
    return TL__LAUNCH(&s->err, s->device, &l, kernel, TL_KT(x), TL_KT(lengths), TL_KT(y), TL_KL(first), TL_KL(steps),
                      TL_KL(inner), TL_KL(chunk));
}

/* (n, steps, ...) -> (rows, ...) */
static int pack_into(tl_scope *s, tl_tensor *x, tl_tensor *lengths, tl_tensor *y)
{
    return move(s, "pack", x, lengths, y, x->shape.dim[0], x->shape.dim[1], y->shape.dim[0], inner_of(&y->shape, 1));
}

/* (rows, ...) -> (n, steps, ...) */
static int unpack_into(tl_scope *s, tl_tensor *x, tl_tensor *lengths, tl_tensor *y)
{
    return move(s, "unpack", x, lengths, y, x->shape.dim[0], y->shape.dim[1], y->shape.dim[0] * y->shape.dim[1],
                inner_of(&x->shape, 1));
}

/* ---- pack ---- */

static int pack_infer(tl_error *err, tl_call *c)
{
    const tl_shape *x = &c->in_meta[X].shape, *lengths = &c->in_meta[LENGTHS].shape;
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT];
    int64_t rows = c->attr[0].i;
    if (x->rank < 2 || lengths->rank != 1 || lengths->dim[0] != x->dim[0])
        return tl__op_fail(err, c, TL_ESHAPE, "x (N, T, ...) and lengths (N) are needed, not %s and %s",
                           tl__shape_text(x, a, sizeof a), tl__shape_text(lengths, b, sizeof b));
    if (rows < 0 || rows > x->dim[0] * x->dim[1])
        return tl__op_fail(err, c, TL_EARG, "%s has no %lld rows that count", tl__shape_text(x, a, sizeof a),
                           (long long)rows);
    c->n_out = 1;
    c->out_meta[0] = (tl_meta){{x->rank - 1, {rows}}, c->in_meta[X].dtype};
    for (int i = 2; i < x->rank; i++) c->out_meta[0].shape.dim[i - 1] = x->dim[i];
    return 0;
}

static int pack_forward(tl_scope *s, const tl_call *c) { return pack_into(s, c->in[X], c->in[LENGTHS], c->out[0]); }

/* dx = gy at the places it came from, zeros elsewhere */
static void pack_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    const tl_shape *x = &c->in_meta[X].shape;
    tl_tensor *g = tl__packed(s, gy[0]), *dx = g ? tl_empty(s, TL_F32, x->rank, x->dim) : NULL;
    if (dx && unpack_into(s, g, c->in[LENGTHS], dx) == 0) gx[X] = dx;
}

extern const tl_op tl__op_pack, tl__op_unpack;

static void take(tl_sampler *to, const tl_op *op, int rank, const int64_t *dims, int64_t n, int64_t most, int64_t attr,
                 int whole)
{
    tl_sample v = tl__sample(op);
    if (whole) tl__sample_whole(&v, rank, dims, -9, 9);
    else tl__sample_input(&v, rank, dims, -1, 1);
    tl__sample_input(&v, 1, &n, 0, (double)most);
    v.attr[0].i = attr;
    to->take(to, &v);
}

static void pack_samples(tl_sampler *to)
{
    take(to, &tl__op_pack, 3, (int64_t[]){3, 4, 5}, 3, 4, 6, 0);
    take(to, &tl__op_pack, 2, (int64_t[]){4, 3}, 4, 3, 12, 1); /* more rows than count */
    take(to, &tl__op_pack, 4, (int64_t[]){2, 9, 1, 17}, 2, 9, 3, 0);
}

const tl_op tl__op_pack = {
    .name = "pack",
    .brief = "Of `x` (N, T, ...) the rows that count, sequence by sequence: (rows, ...). Of sequence n the first "
             "`lengths`[n] do; `rows` is their sum (zeros stand behind them where it is more).",
    .inputs = {"x", "lengths"},
    .attrs = {{TL_A_INT, "rows", "the sum of the lengths", 0, NULL, 1, 0, 0}},
    .int_inputs = 1u << LENGTHS,
    .ints = 1,
    .infer = pack_infer,
    .forward = pack_forward,
    .vjp = pack_vjp,
    .saves = TL_SAVE_IN(LENGTHS),
    .torch = "pack(x, lengths, rows)",
    .samples = pack_samples,
};

tl_tensor *tl_pack(tl_scope *s, tl_tensor *x, tl_tensor *lengths, int64_t rows)
{
    tl_value a[TL_MAX_ATTRS] = {{.i = rows}};
    return tl__apply(s, &tl__op_pack, (tl_tensor *[]){x, lengths}, 2, a, NULL);
}

/* ---- unpack ---- */

static int unpack_infer(tl_error *err, tl_call *c)
{
    const tl_shape *x = &c->in_meta[X].shape, *lengths = &c->in_meta[LENGTHS].shape;
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT];
    int64_t longest = c->attr[0].i;
    if (x->rank < 1 || x->rank == TL_MAX_RANK || lengths->rank != 1)
        return tl__op_fail(err, c, TL_ESHAPE, "x (rows, ...) and lengths (N) are needed, not %s and %s",
                           tl__shape_text(x, a, sizeof a), tl__shape_text(lengths, b, sizeof b));
    if (longest < 1)
        return tl__op_fail(err, c, TL_EARG, "the longest sequence has a row at least, not %lld", (long long)longest);
    c->n_out = 1;
    c->out_meta[0] = (tl_meta){{x->rank + 1, {lengths->dim[0], longest}}, c->in_meta[X].dtype};
    for (int i = 1; i < x->rank; i++) c->out_meta[0].shape.dim[i + 1] = x->dim[i];
    return 0;
}

static int unpack_forward(tl_scope *s, const tl_call *c) { return unpack_into(s, c->in[X], c->in[LENGTHS], c->out[0]); }

/* dx = gy at the places it went to */
static void unpack_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    const tl_shape *x = &c->in_meta[X].shape;
    tl_tensor *g = tl__packed(s, gy[0]), *dx = g ? tl_empty(s, TL_F32, x->rank, x->dim) : NULL;
    if (dx && pack_into(s, g, c->in[LENGTHS], dx) == 0) gx[X] = dx;
}

static void unpack_samples(tl_sampler *to)
{
    take(to, &tl__op_unpack, 2, (int64_t[]){7, 5}, 3, 4, 4, 0);
    take(to, &tl__op_unpack, 1, (int64_t[]){5}, 4, 3, 3, 1); /* fewer or more rows than are told of */
    take(to, &tl__op_unpack, 3, (int64_t[]){12, 1, 17}, 2, 9, 9, 0);
}

const tl_op tl__op_unpack = {
    .name = "unpack",
    .brief =
        "Sequences one behind the other, `x` (rows, ...), each at its place: (N, longest, ...), zeros behind the first "
        "`lengths`[n] rows of sequence n. What `pack` undoes.",
    .inputs = {"x", "lengths"},
    .attrs = {{TL_A_INT, "longest", "rows of each sequence in the result", 0, NULL, 1, 0, 0}},
    .int_inputs = 1u << LENGTHS,
    .ints = 1,
    .infer = unpack_infer,
    .forward = unpack_forward,
    .vjp = unpack_vjp,
    .saves = TL_SAVE_IN(LENGTHS),
    .torch = "unpack(x, lengths, longest)",
    .samples = unpack_samples,
};

tl_tensor *tl_unpack(tl_scope *s, tl_tensor *x, tl_tensor *lengths, int64_t longest)
{
    tl_value a[TL_MAX_ATTRS] = {{.i = longest}};
    return tl__apply(s, &tl__op_unpack, (tl_tensor *[]){x, lengths}, 2, a, NULL);
}
