/* attention.c - scaled dot product attention (Vaswani et al. 2017) as one operator: what is kept for the gradient is the
 * result and one number a row; probabilities are computed again (Dao et al. 2022). */
#include "op/op.h"

#include <math.h>
#include <string.h>

static const tl_program on_cpu = {"attention", NULL}, anywhere = {"attention_any", NULL}, on_gpu = {"attention_gpu", NULL};
enum { Q, K, V, LENGTHS };
enum { HEADS, CAUSAL, SCALE, DROPOUT, TRAINING };
enum { ROWS_16 = 8, ROWS_NARROW = 4, GROUP = 32, TILE = 16, WIDEST = 256 };
enum { SLICE = 8, ITEMS = 128, MOST_ROWS = 64, WIDE = 128 }; /* of the kernels for GPUs */

/* cl/attention.clh has the same struct. */
typedef struct attention_args {
    int64_t q_at, q_row, k_at, k_row, v_at, v_row, l_at, o_row, o_at, s_at, go_at;
    int32_t batch, heads, tq, tk, lengths, causal;
    float scale, p, keep;
    uint32_t key0, key1;
    int32_t unused;
} attention_args;

static tl_tensor *lengths_of(const tl_call *c) { return c->n_in > LENGTHS ? c->in[LENGTHS] : NULL; }
static int64_t head_width(const tl_call *c) { return c->in_meta[Q].shape.dim[2] / c->attr[HEADS].i; }

static int attention_infer(tl_error *err, tl_call *c)
{
    const tl_shape *q = &c->in_meta[Q].shape, *k = &c->in_meta[K].shape, *v = &c->in_meta[V].shape;
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT], d[TL__SHAPE_TEXT];
    int64_t heads = c->attr[HEADS].i;
    if (q->rank != 3 || k->rank != 3 || !tl__shape_equal(k, v) || q->dim[0] != k->dim[0] || q->dim[2] != k->dim[2])
        return tl__op_fail(err, c, TL_ESHAPE, "q (N, T, C), k and v (N, S, C) are needed, not %s, %s, %s", tl__shape_text(q, a, sizeof a),
                           tl__shape_text(k, b, sizeof b), tl__shape_text(v, d, sizeof d));
    if (heads < 1 || q->dim[2] % heads || q->dim[2] / heads > WIDEST || q->dim[2] == 0)
        return tl__op_fail(err, c, TL_EARG, "%lld heads do not share %lld features (%d a head at most)", (long long)heads, (long long)q->dim[2], WIDEST);
    if (q->dim[1] > 1 << 24 || k->dim[1] > 1 << 24) return tl__op_fail(err, c, TL_ESHAPE, "the sequence is too long");
    if (!(c->attr[DROPOUT].f >= 0 && c->attr[DROPOUT].f < 1)) return tl__op_fail(err, c, TL_EARG, "p is a share, 0 <= p < 1, not %g", c->attr[DROPOUT].f);
    if (c->n_in > LENGTHS && c->present[LENGTHS] && (c->in_meta[LENGTHS].shape.rank != 1 || c->in_meta[LENGTHS].shape.dim[0] != q->dim[0]))
        return tl__op_fail(err, c, TL_ESHAPE, "lengths must be (%lld), one a sequence", (long long)q->dim[0]);
    c->n_out = 2;
    c->out_meta[0] = (tl_meta){*q, TL_F32};
    c->out_meta[1] = (tl_meta){{3, {q->dim[0], heads, q->dim[1]}}, TL_F32}; /* logarithms of the softmax's sums */
    return 0;
}

static attention_args args_of(const tl_call *c)
{
    const tl_shape *q = &c->in_meta[Q].shape;
    double p = c->attr[TRAINING].i ? c->attr[DROPOUT].f : 0, scale = c->attr[SCALE].f;
    attention_args a = {.batch = (int32_t)q->dim[0], .heads = (int32_t)c->attr[HEADS].i, .tq = (int32_t)q->dim[1], .tk = (int32_t)c->in_meta[K].shape.dim[1],
                        .lengths = lengths_of(c) != NULL, .causal = (int32_t)c->attr[CAUSAL].i, .o_row = q->dim[2], .p = (float)p, .keep = (float)(1 / (1 - p)),
                        .scale = (float)(scale > 0 ? scale : 1 / sqrt((double)head_width(c))), .key0 = c->key.k0, .key1 = c->key.k1};
    a.q_at = c->in[Q]->offset;
    a.k_at = c->in[K]->offset;
    a.v_at = c->in[V]->offset;
    tl__is_rows(c->in[Q], &a.q_row);
    tl__is_rows(c->in[K], &a.k_row);
    tl__is_rows(c->in[V], &a.v_row);
    a.l_at = a.lengths ? lengths_of(c)->offset : 0;
    a.o_at = c->out[0]->offset;
    a.s_at = c->out[1]->offset;
    return a;
}

/* The kernels for processors: how many rows to a tile and how wide a row of scores is, or 0 where they cannot. */
static int cpu_rows(const tl_device *d, const tl_call *c, int gradient, int64_t *width)
{
    int64_t v = d->traits.vector_width, head = head_width(c), rows = v == 16 ? ROWS_16 : ROWS_NARROW, keys = c->in_meta[K].shape.dim[1];
    *width = (keys + 4 * v - 1) / (4 * v) * 4 * v;
    int64_t floats = gradient ? 2 * head * *width + (2 * rows + 1) * *width + 2 * keys * head : head * *width + (rows + 1) * *width;
    return d->traits.is_cpu && v > 1 && head % (2 * v) == 0 && floats * 4 <= (int64_t)d->traits.local_bytes ? (int)rows : 0;
}

/* The launch of `kernel` of attention_any.cl, or of its namesake in attention_gpu.cl, over `rows` rows of the heads of all sequences. On GPUs a
 * work-item has SLICE features of a row, and a group as many rows as make ITEMS of them, which with tiles of 16 rows, 8 of wide heads, is
 * less than 32 KB of local memory; where the kernel has no room on the device, fewer; where there is no memory to find out,
 * the scope fails. `options` and `name` have room for 64. */
static tl_launch over_rows(tl_scope *s, const char *kernel, char *options, char *name, const tl_call *c, int64_t rows)
{
    const tl_device *d = s->device;
    int head = (int)head_width(c), owners = (head + SLICE - 1) / SLICE, tile = head > WIDE ? TILE / 2 : TILE;
    int64_t many = ITEMS / owners < MOST_ROWS ? ITEMS / owners : MOST_ROWS, items = GROUP, a_group = GROUP;
    snprintf(name, 64, "attention_%s%s", d->traits.is_cpu ? "any" : "gpu", kernel);
    snprintf(options, 64, "-DHEAD=%d -DGROUP=%d -DTILE=%d", head, GROUP, TILE);
    for (; !d->traits.is_cpu; many /= 2, tile = tile > 4 ? tile / 2 : tile) {
        a_group = many;
        items = many * owners;
        snprintf(options, 64, "-DHEAD=%d -DSLICE=%d -DROWS=%d -DTILE=%d", head, SLICE, (int)many, tile);
        if (many == 1 || tl__kernel_fits(&s->err, s->device, &on_gpu, options, name, (size_t)items) != 0) break;
    }
    return (tl_launch){.program = d->traits.is_cpu ? &anywhere : &on_gpu, .options = options, .kernel = name, .dims = 3,
                       .global = {(size_t)((rows + a_group - 1) / a_group * items), (size_t)c->attr[HEADS].i, (size_t)c->in_meta[Q].shape.dim[0]},
                       .local = {(size_t)items, 1, 1}};
}

#define INPUTS(c) TL_KBUF((c)->in[Q]->buffer), TL_KBUF((c)->in[K]->buffer), TL_KBUF((c)->in[V]->buffer), TL_KBUF(lengths_of(c) ? lengths_of(c)->buffer : NULL)
#define FLOATS(n) TL_KLOCAL((size_t)(n) * sizeof(float))

static int attention_forward(tl_scope *s, const tl_call *c)
{
    attention_args a = args_of(c);
    char options[64], name[64];
    int64_t width, head = head_width(c);
    int rows = cpu_rows(s->device, c, 0, &width);
    if (a.batch == 0 || a.tq == 0) return 0;
    if (!rows) {
        tl_launch l = over_rows(s, "", options, name, c, a.tq);
        if (s->err.code) return -1;
        return TL__LAUNCH(&s->err, s->device, &l, "attention", TL_KDATA(&a), INPUTS(c), TL_KBUF(c->out[0]->buffer), TL_KBUF(c->out[1]->buffer));
    }
    snprintf(options, sizeof options, "-DHEAD=%d -DMR=%d", (int)head, rows);
    tl_launch l = {.program = &on_cpu, .options = options, .kernel = "attention", .dims = 2, .global = {(size_t)a.heads, (size_t)a.batch}, .local = {1, 1}};
    return TL__LAUNCH(&s->err, s->device, &l, "attention", TL_KDATA(&a), INPUTS(c), TL_KBUF(c->out[0]->buffer), TL_KBUF(c->out[1]->buffer), FLOATS(head * width),
                      FLOATS(rows * width), FLOATS(width), TL_KI(width));
}

static int gradient_anywhere(tl_scope *s, const tl_call *c, const attention_args *a, tl_tensor *g, tl_tensor **d)
{
    char options[2][64], names[2][64];
    tl_tensor *own = tl_empty(s, TL_F32, 3, (int64_t[]){a->batch, a->heads, a->tq});
    tl_launch lq = over_rows(s, "_dq", options[0], names[0], c, a->tq), lk = over_rows(s, "_dkv", options[1], names[1], c, a->tk);
    if (!own || s->err.code || TL__LAUNCH(&s->err, s->device, &lq, "attention", TL_KDATA(a), INPUTS(c), TL_KBUF(c->out[0]->buffer), TL_KBUF(c->out[1]->buffer), TL_KBUF(g->buffer),
                           TL_KBUF(own->buffer), TL_KBUF(d[Q]->buffer)) != 0)
        return -1;
    return TL__LAUNCH(&s->err, s->device, &lk, "attention", TL_KDATA(a), INPUTS(c), TL_KBUF(c->out[0]->buffer), TL_KBUF(c->out[1]->buffer), TL_KBUF(g->buffer),
                      TL_KBUF(own->buffer), TL_KBUF(d[K]->buffer), TL_KBUF(d[V]->buffer));
}

/* The formulas stand at the kernels. */
static void attention_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    attention_args a = args_of(c);
    char options[64];
    int64_t width, head = head_width(c);
    int rows = cpu_rows(s->device, c, 1, &width);
    tl_tensor *g = tl__packed(s, gy[0]), *d[3];
    for (int i = Q; i <= V; i++)
        if (!(d[i] = tl_empty(s, TL_F32, 3, c->in_meta[i].shape.dim))) return;
    if (!g) return;
    a.go_at = g->offset;
    int bad = 0;
    if (a.batch == 0 || (a.tq == 0 && a.tk == 0)) bad = 0;
    else if (!rows) bad = gradient_anywhere(s, c, &a, g, d);
    else {
        snprintf(options, sizeof options, "-DHEAD=%d -DMR=%d", (int)head, rows);
        tl_launch l = {.program = &on_cpu, .options = options, .kernel = "attention_gradient", .dims = 2, .global = {(size_t)a.heads, (size_t)a.batch}, .local = {1, 1}};
        bad = TL__LAUNCH(&s->err, s->device, &l, "attention", TL_KDATA(&a), INPUTS(c), TL_KBUF(c->out[0]->buffer), TL_KBUF(c->out[1]->buffer), TL_KBUF(g->buffer),
                         TL_KBUF(d[Q]->buffer), TL_KBUF(d[K]->buffer), TL_KBUF(d[V]->buffer), FLOATS(head * width), FLOATS(head * width), FLOATS(rows * width),
                         FLOATS(rows * width), FLOATS(width), FLOATS(a.tk * head + 1), FLOATS(a.tk * head + 1), TL_KI(width));
    }
    for (int i = Q; i <= V && !bad; i++) gx[i] = d[i];
}

static double attention_flops(const tl_call *c)
{
    return 4.0 * (double)tl__numel(&c->out_meta[0].shape) * (double)c->in_meta[K].shape.dim[1];
}

extern const tl_op tl__op_attention;

static void take(tl_sampler *to, int64_t n, int64_t tq, int64_t tk, int64_t width, int heads, int lengths, int causal)
{
    tl_sample v = tl__sample(&tl__op_attention);
    tl__sample_input(&v, 3, (int64_t[]){n, tq, width}, -1, 1);
    tl__sample_input(&v, 3, (int64_t[]){n, tk, width}, -1, 1);
    tl__sample_input(&v, 3, (int64_t[]){n, tk, width}, -1, 1);
    if (lengths) tl__sample_input(&v, 1, &n, 0, (double)tk);
    else tl__sample_absent(&v);
    v.attr[HEADS].i = heads;
    v.attr[CAUSAL].i = causal;
    to->take(to, &v);
}

static void attention_samples(tl_sampler *to)
{
    take(to, 2, 3, 3, 6, 2, 0, 0);
    take(to, 1, 2, 5, 4, 1, 0, 0);
    take(to, 2, 4, 4, 3, 1, 1, 0);
    take(to, 2, 5, 5, 6, 3, 1, 1);
    take(to, 1, 3, 3, 4, 2, 0, 1);
    take(to, 3, 2, 4, 4, 2, 1, 0);
    if (to->small) return;
    take(to, 2, 9, 9, 64, 2, 0, 0); /* heads of 32: the kernels for processors */
    take(to, 2, 11, 11, 32, 1, 1, 1);
    take(to, 1, 5, 35, 64, 2, 0, 0);
    take(to, 1, 7, 7, 128, 2, 1, 0);
}

const tl_op tl__op_attention = {
    .name = "attention",
    .brief = "softmax(scale q k^T) v by heads: `q` (N, T, C), `k` and `v` (N, S, C), a head being C / heads features. Of sequence n only the first `lengths`[n] "
             "keys count, and where T = S rows of padding are zero.",
    .inputs = {"q", "k", "v", "lengths?"},
    .attrs = {TL_INT("heads", 1, "how many"), TL_BOOL_("causal", 0, "row i sees keys up to i"), TL_FLOAT("scale", 0, "0: 1 / sqrt(C / heads)"),
              TL_FLOAT("dropout", 0, "share of the probabilities that is dropped"), TL_BOOL_("training", 0, "otherwise none is")},
    .layout = {TL_ROWS, TL_ROWS, TL_ROWS}, .int_inputs = 1u << LENGTHS, .random = 1, .infer = attention_infer, .forward = attention_forward, .vjp = attention_vjp, .flops = attention_flops,
    .saves = TL_SAVE_IN(Q) | TL_SAVE_IN(K) | TL_SAVE_IN(V) | TL_SAVE_IN(LENGTHS) | TL_SAVE_OUT(0) | TL_SAVE_OUT(1), .hidden = 1,
    .torch = "attention(q, k, v, lengths, heads, causal, scale)", .samples = attention_samples,
};

tl_tensor *tl_attention(tl_scope *s, tl_tensor *q, tl_tensor *k, tl_tensor *v, tl_tensor *lengths, const tl_attention_options *o)
{
    static const tl_attention_options plain = {.heads = 1};
    if (!o) o = &plain;
    tl_value a[TL_MAX_ATTRS] = {{.i = o->heads}, {.i = o->causal != 0}, {.f = o->scale}, {.f = o->dropout}, {.i = o->training != 0}};
    return tl__apply(s, &tl__op_attention, (tl_tensor *[]){q, k, v, lengths}, 4, a, NULL);
}
