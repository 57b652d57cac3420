/* embedding.c - rows of a table by ids; the gradient sums by sorted ids: on the host, or on GPUs on the device. */
#include "op/op.h"

#include <stdlib.h>

static const tl_program program = {"cpu/embedding", NULL}, on_gpu = {"gpu/embedding_gpu", NULL};

static int embedding_infer(tl_error *err, tl_call *c)
{
    const tl_shape *t = &c->in_meta[0].shape, *ids = &c->in_meta[1].shape;
    char text[TL__SHAPE_TEXT];
    if (t->rank != 2)
        return tl__op_fail(err, c, TL_ESHAPE, "the table must be (rows, width), not %s",
                           tl__shape_text(t, text, sizeof text));
    if (ids->rank == TL_MAX_RANK) return tl__op_fail(err, c, TL_ESHAPE, "the ids have too many dimensions");
    c->n_out = 1;
    c->out_meta[0] = (tl_meta){*ids, c->in_meta[0].dtype};
    c->out_meta[0].shape.dim[c->out_meta[0].shape.rank++] = t->dim[1];
    return 0;
}

static int embedding_forward(tl_scope *s, const tl_call *c)
{
    tl_tensor *t = c->in[0], *ids = c->in[1];
    /* Rows of halves are copied as they are. */
    const char *options = t->dtype == TL_I32 ? "-DT=int" : t->dtype != TL_F32 ? "-DT=ushort" : NULL;
    int gpu = tl__in_groups(s->device);
    tl_launch l = {
        .program = &program, .options = options, .kernel = "embedding", .dims = 1, .global = {(size_t)tl_numel(ids)}};
    if (gpu)
        l = (tl_launch){.program = &on_gpu, .options = options, .kernel = "embedding_gpu", .dims = 2,
                        .global = {(size_t)t->shape.dim[1], (size_t)tl_numel(ids)}};
    const tl_debt *debt = t->buffer->debt;
    tl__arm_error_word(s->device);
    if (!debt || !debt->count || t->dtype != TL_F32 || t->offset != debt->at || t->shape.dim[1] != debt->width)
        return TL__LAUNCH(&s->err, s->device, &l, "embedding", TL_KT(t), TL_KT(ids), TL_KT(c->out[0]),
                          TL_KL(t->shape.dim[0]), TL_KL(t->shape.dim[1]), TL_KBUF(s->device->error_word));
    l.kernel = gpu ? "embedding_owing_gpu" : "embedding_owing";
    return TL__LAUNCH(&s->err, s->device, &l, "embedding", TL_KRAW(t->buffer), TL_KL(t->offset), TL_KT(ids),
                      TL_KT(c->out[0]), TL_KL(t->shape.dim[0]), TL_KL(t->shape.dim[1]), TL_KBUF(s->device->error_word),
                      TL_KBUF(debt->paid), TL_KBUF(debt->factors), TL_KL(debt->count));
}

/* Counting sort: `order` lists places by id, ascending within an id; `segments` is (id, where it begins in order)
 * for each id that occurs, closed by (-1, n). Returns how many occur. */
static int64_t sort_ids(const int32_t *ids, int64_t n, int64_t rows, int32_t *start, int32_t *order, int32_t *segments)
{
    int64_t count = 0, at = 0;
    for (int64_t i = 0; i < n; i++)
        if (ids[i] >= 0 && ids[i] < rows) start[ids[i]]++;
    for (int64_t r = 0; r < rows; r++) {
        int32_t k = start[r];
        start[r] = (int32_t)at;
        if (!k) continue;
        segments[2 * count] = (int32_t)r;
        segments[2 * count++ + 1] = (int32_t)at;
        at += k;
    }
    segments[2 * count] = -1;
    segments[2 * count + 1] = (int32_t)at;
    for (int64_t i = 0; i < n; i++)
        if (ids[i] >= 0 && ids[i] < rows) order[start[ids[i]]++] = (int32_t)i;
    return count;
}

/* Zeros for the rows that occur, which the segments number from 0 on from now on. `ids` is written over. */
static tl_tensor *rows_that_occur(tl_scope *s, int64_t count, int32_t *segments, int32_t *ids, int64_t width)
{
    for (int64_t i = 0; i < count; i++) {
        ids[i] = segments[2 * i];
        segments[2 * i] = (int32_t)i;
    }
    return tl__rows_new(s, count, ids, width);
}

/* ---- on GPUs ---- */

/* Keys to a group (BLOCK of cl/gpu/embedding_gpu.cl), its work-items, sorted places whose rows are summed together. */
enum { BLOCK = 1024, ITEMS = 256, CHUNK = 64 };

/* Of no work-items with an error. */
static tl_launch over_blocks(tl_scope *s, const char *kernel, int64_t blocks)
{
    size_t items = tl__items_that_fit(&s->err, s->device, &on_gpu, "", kernel, ITEMS);
    return (tl_launch){.program = &on_gpu, .kernel = kernel, .dims = 1, .global = {(size_t)blocks * items},
                       .local = {items}};
}

/* Keys of n ids (cl/gpu/embedding_gpu.cl) in ascending order; those outside of the table come last. */
static tl_tensor *sorted_keys(tl_scope *s, const tl_tensor *ids, int64_t n, int64_t rows)
{
    int64_t blocks = 1, room;
    while (blocks * BLOCK < n) blocks *= 2;
    room = blocks * BLOCK;
    tl_tensor *keys = tl_empty(s, TL_I32, 2, (int64_t[]){room, 2});
    tl_launch sort = over_blocks(s, "embedding_sort_gpu", blocks),
              rest = over_blocks(s, "embedding_merge_block_gpu", blocks),
              merge = {.program = &on_gpu, .kernel = "embedding_merge_gpu", .dims = 1, .global = {(size_t)room / 2}};
    if (!keys || s->err.code ||
        TL__LAUNCH(&s->err, s->device, &sort, "embedding", TL_KT(ids), TL_KBUF(keys->buffer), TL_KL(n),
                   TL_KL(rows)) != 0)
        return NULL;
    for (int64_t length = 2 * BLOCK; length <= room; length *= 2) {
        for (int64_t apart = length / 2; apart >= BLOCK; apart /= 2)
            if (TL__LAUNCH(&s->err, s->device, &merge, "embedding", TL_KBUF(keys->buffer), TL_KL(apart),
                           TL_KL(length)) != 0)
                return NULL;
        if (TL__LAUNCH(&s->err, s->device, &rest, "embedding", TL_KBUF(keys->buffer), TL_KL(length)) != 0) return NULL;
    }
    return keys;
}

/* d[number] = sum of g over the places of n sorted keys; d was zero. */
static int sum_segments(tl_scope *s, const tl_tensor *g, const tl_tensor *keys, tl_tensor *d, int64_t n)
{
    int64_t width = d->shape.dim[1], chunks = (n + CHUNK - 1) / CHUNK;
    tl_tensor *parts = tl_empty(s, TL_F32, 3, (int64_t[]){chunks, 2, width});
    tl_launch l = {.program = &on_gpu, .kernel = "embedding_sums_gpu", .dims = 2,
                   .global = {(size_t)width, (size_t)chunks}};
    if (!parts || TL__LAUNCH(&s->err, s->device, &l, "embedding", TL_KT(g), TL_KBUF(keys->buffer), TL_KT(d),
                             TL_KBUF(parts->buffer), TL_KL(n), TL_KL(CHUNK), TL_KL(width)) != 0)
        return -1;
    l.kernel = "embedding_join_gpu";
    return chunks < 2 ? 0
                      : TL__LAUNCH(&s->err, s->device, &l, "embedding", TL_KBUF(keys->buffer), TL_KT(d),
                                   TL_KBUF(parts->buffer), TL_KL(n), TL_KL(CHUNK), TL_KL(width));
}

/* Whole tables: nothing is read by the host. */
static tl_tensor *whole_gradient(tl_scope *s, const tl_call *c, const tl_tensor *g)
{
    const tl_shape *t = &c->in_meta[0].shape;
    int64_t n = tl_numel(c->in[1]);
    tl_tensor *d = tl_full(s, TL_F32, 2, t->dim, 0), *keys;
    if (!d || n == 0 || tl_numel(d) == 0) return d;
    keys = sorted_keys(s, c->in[1], n, t->dim[0]);
    return keys && sum_segments(s, g, keys, d, n) == 0 ? d : NULL;
}

/* Of a gradient by rows the host has sorted the ids, since it keeps the list of rows; keys have their places in it. */
static tl_tensor *keys_of_segments(tl_scope *s, const int32_t *order, const int32_t *segments, int64_t n, int64_t count)
{
    int dry = s->device->dry; /* then segments are not known */
    int32_t *pairs = tl__calloc(&s->err, (size_t)(2 * n + 1), sizeof *pairs); /* place, number: a key of 64 bits */
    if (!pairs) return NULL;
    for (int64_t k = 0; k < count && !dry; k++)
        for (int64_t i = segments[2 * k + 1]; i < segments[2 * k + 3]; i++) {
            pairs[2 * i] = order[i];
            pairs[2 * i + 1] = segments[2 * k];
        }
    tl_tensor *keys = tl_from(s, TL_I32, 2, (int64_t[]){dry ? n : segments[2 * count + 1], 2}, pairs);
    free(pairs);
    return keys;
}

static int sum_by_segments(tl_scope *s, const tl_tensor *g, tl_tensor *d, const int32_t *order, const int32_t *segments,
                           int64_t n, int64_t count)
{
    if (tl__in_groups(s->device)) {
        tl_tensor *keys = keys_of_segments(s, order, segments, n, count);
        return keys ? sum_segments(s, g, keys, d, keys->shape.dim[0]) : -1;
    }
    tl_tensor *o = tl_from(s, TL_I32, 1, &n, order), *seg = tl_from(s, TL_I32, 2, (int64_t[]){count + 1, 2}, segments);
    tl_launch l = {.program = &program, .kernel = "embedding_grad", .dims = 1, .global = {(size_t)count}};
    return o && seg ? TL__LAUNCH(&s->err, s->device, &l, "embedding", TL_KT(g), TL_KBUF(o->buffer),
                                 TL_KBUF(seg->buffer), TL_KT(d), TL_KL(d->shape.dim[1]), TL_KL(count))
                    : -1;
}

/* dtable[id] = sum of gy at the places that hold id; sorted, since float atomics have no fixed order. Where
 * the table's gradient may come by rows it has those that occur alone. */
static void embedding_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    const tl_shape *t = &c->in_meta[0].shape;
    const tl_home *home = c->in_node[0] && !c->in_node[0]->call ? c->in_node[0]->home : NULL;
    int64_t n = tl_numel(c->in[1]), rows = t->dim[0], by_rows = home && home->by_rows, count = 0;
    tl_tensor *g = tl__packed(s, gy[0]), *d = NULL;
    if (g && !by_rows && tl__in_groups(s->device)) {
        gx[0] = whole_gradient(s, c, g);
        return;
    }
    int32_t *host = g ? tl__calloc(&s->err, (size_t)(4 * n + rows + 4), sizeof *host) : NULL;
    if (!host) return;
    int32_t *ids = host, *order = host + n, *segments = host + 2 * n, *start = host + 4 * n + 2;
    if (n > 0 && tl_read(s, c->in[1], ids, (size_t)n * 4) == 0) count = sort_ids(ids, n, rows, start, order, segments);
    if (s->device->dry && by_rows) { /* what is read there says nothing of how many rows there will be */
        count = n < rows ? n : rows;
        for (int64_t i = 0; i < count; i++) segments[2 * i] = (int32_t)i;
    }
    if (!s->err.code)
        d = by_rows ? rows_that_occur(s, count, segments, ids, t->dim[1]) : tl_full(s, TL_F32, 2, t->dim, 0);
    if (d && count > 0) sum_by_segments(s, g, d, order, segments, n, count);
    free(host);
    if (!s->err.code) gx[0] = d;
}

extern const tl_op tl__op_embedding;

static void embedding_samples(tl_sampler *to)
{
    static const int64_t ids[][2] = {{3, 4}, {1, 1}, {2, 9}};
    for (int i = 0; i < 3; i++) {
        tl_sample v = tl__sample(&tl__op_embedding);
        tl__sample_input(&v, 2, (int64_t[]){7, i == 1 ? 17 : 3}, -1, 1);
        tl__sample_input(&v, 2, ids[i], 0, 6);
        to->take(to, &v);
    }
    tl_sample v = tl__sample(&tl__op_embedding);
    tl__sample_whole(&v, 2, (int64_t[]){7, 3}, -9, 9);
    tl__sample_input(&v, 2, ids[0], 0, 6);
    to->take(to, &v);
}

const tl_op tl__op_embedding = {
    .name = "embedding", .brief = "Rows of `table` (rows, width) by `ids` (...), counted from 0: (..., width).",
    .inputs = {"table", "ids"}, .int_inputs = 1u << 1, .ints = 1, .halves = 1,
    .infer = embedding_infer, .forward = embedding_forward, .vjp = embedding_vjp, .saves = TL_SAVE_IN(1),
    .torch = "F.embedding(ids.long(), table)", .samples = embedding_samples,
};

tl_tensor *tl_embedding(tl_scope *s, tl_tensor *table, tl_tensor *ids)
{
    return tl__apply(s, &tl__op_embedding, (tl_tensor *[]){table, ids}, 2, NULL, NULL);
}
