/* attention.c - scaled dot product attention (Vaswani et al. 2017) as one operator: what is kept for the gradient is
 * the result and one number a row; probabilities are computed again (Dao et al. 2022). */
#include "op/op.h"

#include <math.h>
#include <string.h>

static const tl_program on_cpu = {"cpu/attention", NULL}, anywhere = {"cpu/attention_any", NULL},
                        on_gpu = {"gpu/attention_gpu", NULL}, of_bias = {"attention_bias", NULL};
enum { Q, K, V, LENGTHS, BIAS };
enum { HEADS, CAUSAL, SCALE, DROPOUT, TRAINING, LONGEST, OFFSET };
/* Of a sequence. */
enum { MOST_STEPS = 1 << 24 };
enum { GROUP = 32, TILE = 16, WIDEST = 256 };
/* Of the kernels for GPUs: work-items of a group and how many share rows, with heads up to NARROW and wider ones;
 * numbers of values in local memory at once; heads from WIDE on have one row to a work-item, others two; the side of
 * a bias' square. */
enum { NARROW = 64, WIDE = 128, ITEMS = 128, ITEMS_WIDE = 256, LANES = 8, LANES_WIDE = 16, VALUES = 2048, SIDE = 16 };
/* Of the kernels for processors: rows of a register tile with vectors of 16 floats and with others, tiles to a block
 * of queries, keys to a block, queries to a work-item, and how many work-items each processor should have where there
 * are few heads. */
enum { ROWS_16 = 8, ROWS_NARROW = 6, TILES = 8, KEYS = 256, QUERIES = 2048, ITEMS_A_UNIT = 4 };

/* cl/cpu/attention.clh has the same struct. */
typedef struct attention_args {
    int64_t q_at, q_row, k_at, k_row, v_at, v_row, l_at, o_row, o_at, s_at, go_at, bias_at, bias_n, bias_h, bias_q,
        bias_k;
    int32_t batch, heads, tq, tk, lengths, reach;
    float scale, p, keep;
    uint32_t key0, key1;
    int32_t rows, block_q, block_k;
    int32_t packed, quads;
} attention_args;

static tl_tensor *optional(const tl_call *c, int i) { return c->n_in > i ? c->in[i] : NULL; }
static tl_tensor *lengths_of(const tl_call *c) { return optional(c, LENGTHS); }
static int has_bias(const tl_call *c) { return c->n_in > BIAS && c->present[BIAS]; }
/* Sequences one behind the other, (rows of all, C). */
static int is_packed(const tl_call *c) { return c->in_meta[Q].shape.rank == 2; }
static int64_t width_of(const tl_call *c) { return c->in_meta[Q].shape.dim[c->in_meta[Q].shape.rank - 1]; }
static int64_t head_width(const tl_call *c) { return width_of(c) / c->attr[HEADS].i; }
/* How many sequences there are, and the most rows of one among queries and keys. */
static int64_t batch_of(const tl_call *c) { return c->in_meta[is_packed(c) ? LENGTHS : Q].shape.dim[0]; }
static int64_t steps_of(const tl_call *c, int input)
{
    const tl_shape *x = &c->in_meta[input].shape;
    int64_t longest = c->attr[LONGEST].i;
    if (!is_packed(c)) return x->dim[1];
    return longest > 0 && longest < x->dim[0] ? longest : x->dim[0];
}

static int bias_infer(tl_error *err, const tl_call *c)
{
    const tl_shape *q = &c->in_meta[Q].shape, *bias = &c->in_meta[BIAS].shape;
    const int64_t all[4] = {q->dim[0], c->attr[HEADS].i, q->dim[1], c->in_meta[K].shape.dim[1]};
    char text[TL__SHAPE_TEXT];
    int fits = bias->rank == 4 && bias->dim[3] == all[3];
    for (int i = 0; fits && i < 3; i++) fits = bias->dim[i] == all[i] || bias->dim[i] == 1;
    if (fits) return 0;
    return tl__op_fail(
        err, c, TL_ESHAPE,
        "the bias must be (%lld or 1, %lld or 1, %lld or 1, %lld): sequences, heads, queries, keys; not %s",
        (long long)all[0], (long long)all[1], (long long)all[2], (long long)all[3],
        tl__shape_text(bias, text, sizeof text));
}

/* What is said of packed sequences; 0, or -1 with an error. */
static int packed_infer(tl_error *err, const tl_call *c)
{
    const tl_shape *q = &c->in_meta[Q].shape, *k = &c->in_meta[K].shape, *v = &c->in_meta[V].shape;
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT], d[TL__SHAPE_TEXT];
    if (!tl__shape_equal(q, k) || !tl__shape_equal(q, v))
        return tl__op_fail(err, c, TL_ESHAPE, "of packed sequences q, k and v are alike, not %s, %s, %s",
                           tl__shape_text(q, a, sizeof a), tl__shape_text(k, b, sizeof b),
                           tl__shape_text(v, d, sizeof d));
    if (!(c->n_in > LENGTHS && c->present[LENGTHS]) || c->in_meta[LENGTHS].shape.rank != 1)
        return tl__op_fail(err, c, TL_ESHAPE, "packed sequences (rows, C) want their lengths (N)");
    if (has_bias(c)) return tl__op_fail(err, c, TL_EARG, "packed sequences take no bias");
    return 0;
}

static int attention_infer(tl_error *err, tl_call *c)
{
    const tl_shape *q = &c->in_meta[Q].shape, *k = &c->in_meta[K].shape, *v = &c->in_meta[V].shape;
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT], d[TL__SHAPE_TEXT];
    int64_t heads = c->attr[HEADS].i;
    int packed = is_packed(c);
    if (packed && packed_infer(err, c) != 0) return -1;
    if (!packed && c->attr[LONGEST].i)
        return tl__op_fail(err, c, TL_EARG, "longest is of packed sequences (rows, C), not of %s",
                           tl__shape_text(q, a, sizeof a));
    if (!packed &&
        (q->rank != 3 || k->rank != 3 || !tl__shape_equal(k, v) || q->dim[0] != k->dim[0] || q->dim[2] != k->dim[2]))
        return tl__op_fail(err, c, TL_ESHAPE, "q (N, T, C), k and v (N, S, C) are needed, not %s, %s, %s",
                           tl__shape_text(q, a, sizeof a), tl__shape_text(k, b, sizeof b),
                           tl__shape_text(v, d, sizeof d));
    int64_t width = width_of(c);
    if (heads < 1 || width % heads || width / heads > WIDEST || width == 0)
        return tl__op_fail(err, c, TL_EARG, "%lld heads do not share %lld features (%d a head at most)",
                           (long long)heads, (long long)width, WIDEST);
    if (steps_of(c, Q) > MOST_STEPS || steps_of(c, K) > MOST_STEPS || (packed && q->dim[0] > INT32_MAX))
        return tl__op_fail(err, c, TL_ESHAPE, "the sequence is too long");
    if (c->attr[OFFSET].i < 0 || c->attr[OFFSET].i > MOST_STEPS || (c->attr[OFFSET].i && !c->attr[CAUSAL].i))
        return tl__op_fail(err, c, TL_EARG, "the offset (%lld) is of causal attention, 0 to %d",
                           (long long)c->attr[OFFSET].i, MOST_STEPS);
    if (!(c->attr[DROPOUT].f >= 0 && c->attr[DROPOUT].f < 1))
        return tl__op_fail(err, c, TL_EARG, "p is a share, 0 <= p < 1, not %g", c->attr[DROPOUT].f);
    if (!packed && c->n_in > LENGTHS && c->present[LENGTHS] &&
        (c->in_meta[LENGTHS].shape.rank != 1 || c->in_meta[LENGTHS].shape.dim[0] != q->dim[0]))
        return tl__op_fail(err, c, TL_ESHAPE, "lengths must be (%lld), one a sequence", (long long)q->dim[0]);
    if (has_bias(c) && bias_infer(err, c) != 0) return -1;
    c->n_out = 2;
    c->out_meta[0] = (tl_meta){*q, TL_F32};
    /* Logarithms of the softmax's sums. */
    c->out_meta[1] = (tl_meta){{3, {packed ? 1 : q->dim[0], heads, packed ? q->dim[0] : q->dim[1]}}, TL_F32};
    return 0;
}

static void add_bias(attention_args *a, const tl_tensor *bias)
{
    int64_t *at[4] = {&a->bias_n, &a->bias_h, &a->bias_q, &a->bias_k};
    a->bias_at = bias->offset;
    for (int i = 0; i < 4; i++) *at[i] = bias->shape.dim[i] == 1 ? 0 : bias->stride[i];
}

static attention_args args_of(const tl_call *c)
{
    double p = c->attr[TRAINING].i ? c->attr[DROPOUT].f : 0, scale = c->attr[SCALE].f;
    attention_args a = {.batch = (int32_t)batch_of(c),
                        .heads = (int32_t)c->attr[HEADS].i,
                        .tq = (int32_t)steps_of(c, Q),
                        .tk = (int32_t)steps_of(c, K),
                        .packed = is_packed(c) ? (int32_t)c->in_meta[Q].shape.dim[0] : 0,
                        .quads = (int32_t)((steps_of(c, K) + 3) / 4),
                        .lengths = lengths_of(c) != NULL,
                        .reach = (int32_t)(c->attr[CAUSAL].i ? c->attr[OFFSET].i + 1 : MOST_STEPS),
                        .o_row = width_of(c),
                        .p = (float)p,
                        .keep = (float)(1 / (1 - p)),
                        .scale = (float)(scale > 0 ? scale : 1 / sqrt((double)head_width(c))),
                        .key0 = c->key.k0,
                        .key1 = c->key.k1};
    a.q_at = c->in[Q]->offset;
    a.k_at = c->in[K]->offset;
    a.v_at = c->in[V]->offset;
    tl__is_rows(c->in[Q], &a.q_row);
    tl__is_rows(c->in[K], &a.k_row);
    tl__is_rows(c->in[V], &a.v_row);
    a.l_at = a.lengths ? lengths_of(c)->offset : 0;
    a.o_at = c->out[0]->offset;
    a.s_at = c->out[1]->offset;
    if (has_bias(c)) add_bias(&a, c->in[BIAS]);
    return a;
}

static int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* A tile of the kernels for processors: its rows, 0 where they do not serve, and how far rows of scores lie apart. */
typedef struct cpu_tile { int rows, keys; } cpu_tile;

/* Floats of local memory that attention.cl takes with the blocks in `a`, rows of scores `keys` apart. */
static int64_t cpu_floats(const attention_args *a, int64_t head, int64_t v, int64_t keys, int gradient)
{
    int64_t width = up(head, 2 * v), k = a->block_k, q = a->block_q, spare = k + 4 * v;
    return gradient ? 2 * head * k + 3 * width * k + 2 * width * q + 2 * (q * keys + 2 * v) + spare
                    : head * k + width * k + width * q + q * keys + spare + 2 * a->rows + 2 * q;
}

/* The kernels for processors: sets the blocks of `a`, as large as local memory allows, so that the last block of keys
 * is about as large as the others, and gives the tile. `shares` work-items have a stretch of queries each. */
static cpu_tile cpu_blocks(const tl_device *d, attention_args *a, int64_t head, int64_t shares, int gradient)
{
    int64_t v = d->traits.vector_width, rows = v == 16 ? ROWS_16 : ROWS_NARROW, most = KEYS,
            units = d->traits.compute_units > 0 ? d->traits.compute_units : 1;
    if (!d->traits.is_cpu || v < 2) return (cpu_tile){0};
    a->block_q = (int32_t)(TILES * rows);
    for (;; most /= 2, a->block_q = (int32_t)(a->block_q > 2 * rows ? up(a->block_q / 2, rows) : rows)) {
        int64_t blocks = a->tk > most ? (a->tk + most - 1) / most : 1,
                stretch = (shares * a->tq + ITEMS_A_UNIT * units - 1) / (ITEMS_A_UNIT * units);
        a->block_k = (int32_t)up(a->tk > 0 ? (a->tk + blocks - 1) / blocks : 1, 2 * v);
        a->rows = (int32_t)up(stretch < QUERIES ? stretch : QUERIES, 2 * a->block_q);
        if (cpu_floats(a, head, v, most, gradient) * 4 <= (int64_t)d->traits.local_bytes)
            return (cpu_tile){(int)rows, (int)most};
        if (most <= 2 * v) return (cpu_tile){0};
    }
}

/* The launch of attention_any.cl's `kernel` over `rows` rows of the heads of all sequences. */
static tl_launch over_groups(const tl_call *c, const char *kernel, char *options, char *name, int64_t rows)
{
    snprintf(name, 64, "attention_any%s", kernel);
    snprintf(options, 64, "-DHEAD=%d -DGROUP=%d -DTILE=%d -DBIAS=%d", (int)head_width(c), GROUP, TILE, has_bias(c));
    return (tl_launch){.program = &anywhere,
                       .options = options,
                       .kernel = name,
                       .dims = 3,
                       .global = {(size_t)((rows + GROUP - 1) / GROUP * GROUP), (size_t)c->attr[HEADS].i,
                                  (size_t)batch_of(c)},
                       .local = {GROUP, 1, 1}};
}

/* The same, or that of its namesake in attention_gpu.cl: `each` rows to a work-item, or one where there are few, and
 * so many lanes that its share of a head is four vectors of four. That is at most 32 KB of local memory; where the
 * kernel has no room on the device, groups have fewer rows and values come in smaller pieces; where there is no memory
 * to find out, the scope fails. `options` has room for 80, `name` for 64. */
static tl_launch over_rows(tl_scope *s, const char *kernel, char *options, char *name, const tl_call *c, int64_t rows)
{
    const tl_device *d = s->device;
    int head = (int)head_width(c), wide = head > NARROW, lanes = wide ? LANES_WIDE : LANES,
        values = VALUES / (1 + wide), each = head > WIDE ? 1 : 2, items = wide ? ITEMS_WIDE : ITEMS;
    if (d->traits.is_cpu) return over_groups(c, kernel, options, name, rows);
    if (rows <= items / lanes) each = 1;
    snprintf(name, 64, "attention_gpu%s", kernel);
    for (;; each = 1, values = values > 256 ? values / 2 : values, items = values < VALUES / 4 ? items / 2 : items) {
        snprintf(options, 80, "-DHEAD=%d -DITEMS=%d -DLANES=%d -DSR=%d -DVROOM=%d -DBIAS=%d", head, items, lanes, each,
                 values, has_bias(c));
        if (items == lanes || tl__kernel_fits(&s->err, s->device, &on_gpu, options, name, (size_t)items) != 0) break;
    }
    int64_t a_group = items / lanes * each;
    return (tl_launch){.program = &on_gpu,
                       .options = options,
                       .kernel = name,
                       .dims = 3,
                       .global = {(size_t)((rows + a_group - 1) / a_group * items), (size_t)c->attr[HEADS].i,
                                  (size_t)batch_of(c)},
                       .local = {(size_t)items, 1, 1}};
}

#define BUFFER(t) TL_KBUF((t) ? (t)->buffer : NULL)
#define INPUTS(c) \
    TL_KBUF((c)->in[Q]->buffer), TL_KBUF((c)->in[K]->buffer), TL_KBUF((c)->in[V]->buffer), BUFFER(lengths_of(c))
#define FLOATS(n) TL_KLOCAL((size_t)(n) * sizeof(float))

/* Rows behind the last packed sequence are nobody's: zero. */
static int no_rows(tl_scope *s, const attention_args *a, const tl_tensor *t)
{
    return a->packed ? tl__buffer_fill(&s->err, t->buffer, (size_t)t->offset * 4, (size_t)tl__numel(&t->shape) * 4, 0)
                     : 0;
}

static void cpu_options(char *options, size_t room, const tl_call *c, cpu_tile tile)
{
    snprintf(options, room, "-DHEAD=%d -DMR=%d -DKEYS=%d -DBIAS=%d", (int)head_width(c), tile.rows, tile.keys,
             has_bias(c));
}

static int attention_forward(tl_scope *s, const tl_call *c)
{
    attention_args a = args_of(c);
    char options[80], name[64];
    int64_t head = head_width(c);
    cpu_tile tile = cpu_blocks(s->device, &a, head, (int64_t)a.batch * a.heads, 0);
    if (no_rows(s, &a, c->out[0]) != 0) return -1;
    if (a.batch == 0 || a.tq == 0) return 0;
    if (!tile.rows) {
        tl_launch l = over_rows(s, "", options, name, c, a.tq);
        if (s->err.code) return -1;
        return TL__LAUNCH(&s->err, s->device, &l, "attention", TL_KDATA(&a), INPUTS(c), BUFFER(optional(c, BIAS)),
                          TL_KBUF(c->out[0]->buffer), TL_KBUF(c->out[1]->buffer));
    }
    cpu_options(options, sizeof options, c, tile);
    /* What attention_any.cl's gradient reads is natural. */
    attention_args b = a;
    float unit = cpu_blocks(s->device, &b, head, (int64_t)a.batch * a.heads, 1).rows ? 1 : (float)log(2);
    tl_launch l = {.program = &on_cpu,
                   .options = options,
                   .kernel = "attention",
                   .dims = 3,
                   .global = {(size_t)((a.tq + a.rows - 1) / a.rows), (size_t)a.heads, (size_t)a.batch},
                   .local = {1, 1, 1}};
    return TL__LAUNCH(&s->err, s->device, &l, "attention", TL_KDATA(&a), INPUTS(c), BUFFER(optional(c, BIAS)),
                      TL_KBUF(c->out[0]->buffer), TL_KBUF(c->out[1]->buffer), TL_KF(unit),
                      FLOATS(cpu_floats(&a, head, s->device->traits.vector_width, tile.keys, 0)));
}

/* What the kernels of the gradient are given: gradients of q, k, v, and of the bias where one is wanted. */
typedef struct gradients { tl_tensor *bias, *out, *d[V + 1], *d_bias; } gradients;
#define RESULTS(c, g) \
    BUFFER((g)->bias), TL_KBUF((c)->out[0]->buffer), TL_KBUF((c)->out[1]->buffer), TL_KBUF((g)->out->buffer)

/* A group a square of the bias; where groups are small, smaller squares. */
static int bias_anywhere(tl_scope *s, const tl_call *c, const attention_args *a, const gradients *g, tl_tensor *own)
{
    char options[64];
    int64_t side = SIDE, squares;
    for (;; side /= 2) {
        snprintf(options, sizeof options, "-DHEAD=%d -DSIDE=%d -DBIAS=1", (int)head_width(c), (int)side);
        if (side == 1 ||
            tl__kernel_fits(&s->err, s->device, &of_bias, options, "attention_bias", (size_t)(side * side)) != 0)
            break;
    }
    if (s->err.code) return -1;
    squares = (a->tk + side - 1) / side * (a->bias_q ? (a->tq + side - 1) / side : 1);
    tl_launch l = {
        .program = &of_bias,
        .options = options,
        .kernel = "attention_bias",
        .dims = 3,
        .global = {(size_t)(squares * side * side), (size_t)g->bias->shape.dim[1], (size_t)g->bias->shape.dim[0]},
        .local = {(size_t)(side * side), 1, 1}};
    return TL__LAUNCH(&s->err, s->device, &l, "attention", TL_KDATA(a), INPUTS(c), RESULTS(c, g), TL_KBUF(own->buffer),
                      TL_KBUF(g->d_bias->buffer));
}

static int gradient_anywhere(tl_scope *s, const tl_call *c, const attention_args *a, const gradients *g)
{
    char options[2][80], names[2][64];
    tl_tensor *own = tl_empty(s, TL_F32, 3, c->out_meta[1].shape.dim);
    tl_launch lq = over_rows(s, "_dq", options[0], names[0], c, a->tq),
              lk = over_rows(s, "_dkv", options[1], names[1], c, a->tk);
    if (!own || s->err.code ||
        TL__LAUNCH(&s->err, s->device, &lq, "attention", TL_KDATA(a), INPUTS(c), RESULTS(c, g), TL_KBUF(own->buffer),
                   TL_KBUF(g->d[Q]->buffer)) != 0 ||
        TL__LAUNCH(&s->err, s->device, &lk, "attention", TL_KDATA(a), INPUTS(c), RESULTS(c, g), TL_KBUF(own->buffer),
                   TL_KBUF(g->d[K]->buffer), TL_KBUF(g->d[V]->buffer)) != 0)
        return -1;
    return g->d_bias ? bias_anywhere(s, c, a, g, own) : 0;
}

/* A bias that no two scores share has its gradient from the main kernel; one that is shared has a kernel of its own.
 */
static int gradient_on_cpu(tl_scope *s, const tl_call *c, const attention_args *a, const gradients *g, cpu_tile tile)
{
    char options[80];
    int64_t head = head_width(c);
    int own = g->d_bias && a->bias_n && a->bias_h && a->bias_q, shared = g->d_bias && !own;
    attention_args b = *a;
    tl_karg room = FLOATS(cpu_floats(a, head, s->device->traits.vector_width, tile.keys, 1));
    cpu_options(options, sizeof options, c, tile);
    tl_launch l = {.program = &on_cpu,
                   .options = options,
                   .kernel = "attention_gradient",
                   .dims = 2,
                   .global = {(size_t)a->heads, (size_t)a->batch},
                   .local = {1, 1}};
    if (TL__LAUNCH(&s->err, s->device, &l, "attention", TL_KDATA(a), INPUTS(c), RESULTS(c, g),
                   TL_KBUF(g->d[Q]->buffer), TL_KBUF(g->d[K]->buffer), TL_KBUF(g->d[V]->buffer),
                   TL_KBUF(own ? g->d_bias->buffer : NULL), TL_KI(own), room) != 0)
        return -1;
    if (!shared) return 0;
    if (!b.bias_q) b.rows = b.tq;
    l = (tl_launch){.program = &on_cpu,
                    .options = options,
                    .kernel = "attention_bias",
                    .dims = 3,
                    .global = {(size_t)((b.tq + b.rows - 1) / b.rows), (size_t)g->bias->shape.dim[1],
                               (size_t)g->bias->shape.dim[0]},
                    .local = {1, 1, 1}};
    return TL__LAUNCH(&s->err, s->device, &l, "attention", TL_KDATA(&b), INPUTS(c), RESULTS(c, g),
                      TL_KBUF(g->d_bias->buffer), room);
}

/* The formulas stand at the kernels. */
static void attention_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    attention_args a = args_of(c);
    gradients g = {.out = tl__packed(s, gy[0])};
    for (int i = Q; i <= V; i++)
        if (!(g.d[i] = tl_empty(s, TL_F32, c->in_meta[i].shape.rank, c->in_meta[i].shape.dim)) ||
            no_rows(s, &a, g.d[i]) != 0)
            return;
    if (has_bias(c)) {
        if (!(g.bias = tl__packed(s, c->in[BIAS]))) return;
        add_bias(&a, g.bias);
        if (c->needs[BIAS] && !(g.d_bias = tl_full(s, TL_F32, 4, c->in_meta[BIAS].shape.dim, 0))) return;
    }
    if (!g.out) return;
    a.go_at = g.out->offset;
    int64_t sharers =
        g.bias && !(a.bias_n && a.bias_h) ? g.bias->shape.dim[0] * g.bias->shape.dim[1] : (int64_t)a.batch * a.heads;
    cpu_tile tile = cpu_blocks(s->device, &a, head_width(c), sharers, 1);
    int bad = 0;
    /* A bias that all keys of a row share moves none against another: its gradient is zero. */
    gradients of_scores = g;
    if (!a.bias_k) of_scores.d_bias = NULL;
    if (a.batch > 0 && (a.tq > 0 || a.tk > 0))
        bad = tile.rows ? gradient_on_cpu(s, c, &a, &of_scores, tile) : gradient_anywhere(s, c, &a, &of_scores);
    for (int i = Q; i <= V && !bad; i++) gx[i] = g.d[i];
    if (g.d_bias && !bad) gx[BIAS] = g.d_bias;
}

static double attention_flops(const tl_call *c)
{
    return 4.0 * (double)tl__numel(&c->out_meta[0].shape) * (double)steps_of(c, K);
}

extern const tl_op tl__op_attention;

/* `causal`: 0, or 1 and the offset. */
static void see(tl_sample *v, int causal)
{
    v->attr[CAUSAL].i = causal > 0;
    v->attr[OFFSET].i = causal > 0 ? causal - 1 : 0;
}

/* A sample; `bias` has four letters, of which 1 stands for a dimension that is shared: "1htk" is a bias for all
 * sequences. NULL: none. */
static void take(tl_sampler *to, int64_t n, int64_t tq, int64_t tk, int64_t width, int heads, int lengths, int causal,
                 const char *bias)
{
    tl_sample v = tl__sample(&tl__op_attention);
    const int64_t all[4] = {n, heads, tq, tk};
    int64_t dims[4];
    tl__sample_input(&v, 3, (int64_t[]){n, tq, width}, -1, 1);
    tl__sample_input(&v, 3, (int64_t[]){n, tk, width}, -1, 1);
    tl__sample_input(&v, 3, (int64_t[]){n, tk, width}, -1, 1);
    if (lengths) tl__sample_input(&v, 1, &n, 0, (double)tk);
    else tl__sample_absent(&v);
    for (int i = 0; i < 4 && bias; i++) dims[i] = bias[i] == '1' ? 1 : all[i];
    if (bias) tl__sample_input(&v, 4, dims, -1, 1);
    else tl__sample_absent(&v);
    v.attr[HEADS].i = heads;
    see(&v, causal);
    v.only_packed = tq > 64;
    to->take(to, &v);
}

/* Sequences one behind the other. */
static void take_packed(tl_sampler *to, int64_t rows, int64_t n, int64_t longest, int64_t width, int heads, int causal)
{
    tl_sample v = tl__sample(&tl__op_attention);
    for (int i = Q; i <= V; i++) tl__sample_input(&v, 2, (int64_t[]){rows, width}, -1, 1);
    tl__sample_input(&v, 1, &n, 0, (double)longest);
    tl__sample_absent(&v);
    v.attr[HEADS].i = heads;
    see(&v, causal);
    v.attr[LONGEST].i = longest;
    to->take(to, &v);
}

static void attention_samples(tl_sampler *to)
{
    take(to, 2, 3, 3, 6, 2, 0, 0, NULL);
    take(to, 1, 2, 5, 4, 1, 0, 0, NULL);
    take(to, 2, 4, 4, 3, 1, 1, 0, NULL);
    take(to, 2, 5, 5, 6, 3, 1, 1, NULL);
    take(to, 1, 3, 3, 4, 2, 0, 1, NULL);
    take(to, 3, 2, 4, 4, 2, 1, 0, NULL);
    take(to, 2, 3, 3, 4, 2, 0, 0, "nhtk");
    take(to, 2, 3, 4, 4, 2, 1, 0, "1htk");
    take(to, 2, 3, 3, 4, 2, 1, 1, "n11k");
    take(to, 2, 2, 5, 4, 2, 1, 3, NULL);
    if (to->small) take_packed(to, 7, 3, 4, 6, 2, 0);
    if (to->small) return;
    take(to, 2, 3, 3, 4, 2, 0, 1, "n1tk");
    take(to, 2, 3, 3, 4, 2, 0, 0, "nh1k");
    take(to, 2, 9, 9, 64, 2, 0, 0,
         NULL); /* heads of whole panels in the kernels for processors, and below of others */
    take(to, 2, 11, 11, 32, 1, 1, 1, NULL);
    take(to, 1, 5, 35, 64, 2, 0, 0, "11tk");
    take(to, 1, 19, 35, 32, 1, 0, 17, "1htk");
    take(to, 1, 7, 7, 128, 2, 1, 0, NULL);
    take(to, 1, 9, 33, 36, 1, 0, 0, "1h1k");
    take_packed(to, 7, 3, 4, 6, 2, 0);
    take_packed(to, 9, 4, 5, 4, 1, 1);
    take_packed(to, 15, 3, 5, 4, 1, 2);
    take_packed(to, 21, 2, 15, 64, 2, 0);
}

const tl_op tl__op_attention = {
    .name = "attention", .mixed = TL_LOWERED,
    .brief =
        "softmax(scale q k^T) v by heads: `q` (N, T, C), `k` and `v` (N, S, C), a head being C / heads features. "
        "Of sequence n only the first `lengths`[n] "
        "keys count, and where T = S rows of padding are zero. `bias` (N or 1, heads or 1, T or 1, S) is added "
        "to the scaled products: positions, or a mask; "
        "a row of which it hides all keys with -inf is zero. `q`, `k` and `v` (rows, C) are sequences one behind "
        "the other (pack), of `lengths`, which look at themselves; a row has at most `longest` before and behind it.",
    .inputs = {"q", "k", "v", "lengths?", "bias?"},
    .attrs = {TL_INT("heads", 1, "how many"), TL_BOOL_("causal", 0, "row i sees keys up to i + `offset`"),
              TL_FLOAT("scale", 0, "0: 1 / sqrt(C / heads)"),
              TL_FLOAT("dropout", 0, "share of the probabilities that is dropped"),
              TL_BOOL_("training", 0, "otherwise none is"),
              TL_INT("longest", 0, "of packed sequences: the most rows of one (0: any number)"),
              TL_INT("offset", 0, "with `causal`: how many keys lie before the first row's own")},
    .layout = {TL_ROWS, TL_ROWS, TL_ROWS, TL_PACKED, TL_ANY},
    .int_inputs = 1u << LENGTHS,
    .random = 1,
    .infer = attention_infer,
    .forward = attention_forward,
    .vjp = attention_vjp,
    .flops = attention_flops,
    .saves = TL_SAVE_IN(Q) | TL_SAVE_IN(K) | TL_SAVE_IN(V) | TL_SAVE_IN(LENGTHS) | TL_SAVE_IN(BIAS) | TL_SAVE_OUT(0) |
             TL_SAVE_OUT(1),
    .hidden = 1,
    .torch = "attention(q, k, v, lengths, bias, heads, causal, scale, longest, offset)",
    .samples = attention_samples,
};

tl_tensor *tl_attention(tl_scope *s, tl_tensor *q, tl_tensor *k, tl_tensor *v, tl_tensor *lengths, tl_tensor *bias,
                        const tl_attention_options *o)
{
    static const tl_attention_options plain = {.heads = 1};
    if (!o) o = &plain;
    tl_value a[TL_MAX_ATTRS] = {
        {.i = o->heads}, {.i = o->causal != 0}, {.f = o->scale}, {.f = o->dropout}, {.i = o->training != 0},
        {.i = o->longest}, {.i = o->offset}};
    return tl__apply(s, &tl__op_attention, (tl_tensor *[]){q, k, v, lengths, bias}, 5, a, NULL);
}
