/* mixed.c - half precision: results are stored as float16 or bfloat16 where the device is told to (tl_device.lowered), the tape keeps
 * halves, and everything is computed in float32. Which operators lower their results is in their descriptors and follows PyTorch's
 * autocast: products and convolutions do, norms have the type of what they are given, softmax and sums are float32. */
#include "op/op.h"

#include <string.h>

static int is_half(tl_dtype t) { return t == TL_F16 || t == TL_BF16; }

/* A residual of float32 keeps the sum in float32: that is the stream through a network, in which errors would add up. */
static int has_wide_residual(const tl_call *c, tl_tensor *const *in)
{
    for (int i = 0; i < c->n_in && i < TL_MAX_INPUTS && c->op->inputs[i]; i++)
        if (in[i] && in[i]->dtype == TL_F32 && strncmp(c->op->inputs[i], "residual", 8) == 0) return 1;
    return 0;
}

/* The half type that all float inputs share. */
static tl_dtype shared_half(const tl_call *c, tl_tensor *const *in)
{
    tl_dtype common = TL_F32;
    int first = 1;
    for (int i = 0; i < c->n_in; i++) {
        if (!in[i] || !tl__is_float(in[i]->dtype)) continue;
        if (!first && in[i]->dtype != common) return TL_F32;
        common = in[i]->dtype;
        first = 0;
    }
    return common;
}

tl_dtype tl__mixed_result(const tl_call *c, tl_tensor *const *in, tl_dtype low)
{
    if (c->op->any_dtype) return TL_F32;
    if (low == TL_F32 || c->op->mixed == TL_AS_ALL) return shared_half(c, in);
    if (c->op->mixed == TL_WIDE || has_wide_residual(c, in)) return TL_F32;
    if (c->op->mixed == TL_LOWERED) return low;
    return c->n_in > 0 && in[0] && is_half(in[0]->dtype) ? in[0]->dtype : TL_F32;
}

/* A half of a packed tensor, kept beside its buffer: what goes into three products is made once. */
static tl_tensor *narrowed(tl_scope *s, tl_tensor *t, tl_dtype low)
{
    struct { char kind[8]; int64_t offset, n, type; } key;
    memset(&key, 0, sizeof key);
    memcpy(key.kind, "narrow", 6);
    key.offset = t->offset;
    key.n = tl__numel(&t->shape);
    key.type = low;
    tl_buffer *found = tl__buffer_find_derived(t->buffer, &key, sizeof key);
    if (!found) {
        tl_tensor *made = tl__cast(s, t, low);
        if (!made || tl__buffer_keep_derived(&s->err, t->buffer, &key, sizeof key, made->buffer) != 0) return NULL;
        tl_tensor_retain(made);
        return made;
    }
    tl_tensor *y = tl__tensor_alias(&s->err, t);
    if (!y) return NULL;
    tl__buffer_retain(found);
    tl__buffer_release(y->buffer);
    y->buffer = found;
    y->offset = 0;
    y->dtype = low;
    return y;
}

tl_tensor *tl__mixed_kept(tl_scope *s, const tl_call *c, tl_tensor *const *in, int i, tl_dtype low)
{
    tl_tensor *seen = c->in[i], *given = in[i];
    int own = c->op->any_dtype || (c->op->halves >> i & 1);
    /* The half of which the forward saw a copy in float32; and what a recorded call made: parameters and pictures are kept as they are. */
    if (!own && is_half(given->dtype) && seen->dtype == TL_F32) seen = given;
    else if (!own && low != TL_F32 && c->op->mixed == TL_LOWERED && seen->dtype == TL_F32 && tl__is_packed(seen) &&
             given->node && given->node->call)
        return narrowed(s, seen, low);
    if (seen->node) return tl__tensor_alias(&s->err, seen);
    tl_tensor_retain(seen);
    return seen;
}

/* *at in float32. */
static int widen(tl_scope *s, tl_tensor **at, int last, tl_tensor **kept)
{
    tl_tensor *t = tl__cast(s, *at, TL_F32);
    if (!t) return -1;
    if (last) {
        tl_tensor_retain(t);
        tl_tensor_release(*at);
    } else *kept = *at;
    *at = t;
    return 0;
}

int tl__mixed_widen(tl_scope *s, tl_call *c, int last, tl_widened *kept)
{
    memset(kept, 0, sizeof *kept);
    if (c->op->any_dtype) return 0;
    for (int i = 0; i < c->n_in && i < 16; i++) {
        tl_tensor *t = c->in[i];
        if (!t || !is_half(t->dtype) || (c->op->halves >> i & 1)) continue;
        if (widen(s, &c->in[i], last, &kept->in[i]) != 0) return -1;
    }
    for (int i = 0; i < c->n_out; i++) {
        tl_tensor *t = c->out[i];
        if (!t || !is_half(t->dtype)) continue;
        if (widen(s, &c->out[i], last, &kept->out[i]) != 0) return -1;
    }
    return 0;
}

void tl__mixed_restore(tl_call *c, const tl_widened *kept)
{
    for (int i = 0; i < c->n_in && i < 16; i++)
        if (kept->in[i]) c->in[i] = kept->in[i];
    for (int i = 0; i < c->n_out; i++)
        if (kept->out[i]) c->out[i] = kept->out[i];
}
