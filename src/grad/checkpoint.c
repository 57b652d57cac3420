/* checkpoint.c - a call on the tape that stands for a whole part of the forward. */
#include "grad/checkpoint.h"

#include <stdlib.h>
#include <string.h>

/* What the call's first attribute points to. */
typedef struct held { tl_part part; tl_tensor *y; int refs; } held;

static held *held_of(const tl_call *c) { return (held *)(intptr_t)c->attr[0].i; }

static tl_tensor *view(tl_scope *s, const tl_call *c)
{
    held *h = held_of(c);
    tl_tensor *y = tl__scope_own(s, tl__tensor_alias(&s->err, h->y));
    tl_tensor_release(h->y); /* the caller has it; the tape must not */
    h->y = NULL;
    h->refs++;               /* release is sure to come from here on */
    return y;
}

/* The second input is a leaf that wants a gradient, so that the call is on the tape though x may want none. */
static void vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    const tl_part *p = &held_of(c)->part;
    gx[0] = p->again(p->user, s, c->in[0], c->needs[0], gy[0]);
    gx[1] = tl_full(s, TL_F32, 0, NULL, 0);
}

static void drop(held *h)
{
    if (--h->refs > 0) return;
    h->part.free(h->part.user);
    tl_tensor_release(h->y);
    free(h);
}

/* A call that failed before its view has no share in what it points to. */
static void release(tl_call *c)
{
    if (c->n_out == 1 && held_of(c)) drop(held_of(c));
}

static const tl_op op = {
    .name = "checkpoint", .brief = "a part of the forward that backward computes again",
    .inputs = {"x", "anchor"}, .attrs = {TL_INT("part", 0, "the part")}, .layout = {TL_ANY, TL_ANY},
    .infer = tl__infer_like_first, .view = view, .vjp = vjp, .release = release, .saves = TL_SAVE_IN(0), .any_dtype = 1};

tl_tensor *tl__checkpoint(tl_scope *s, tl_tensor *x, tl_tensor *y, const tl_part *part)
{
    held *h = s->err.code ? NULL : tl__calloc(&s->err, 1, sizeof *h);
    tl_tensor *anchor = h ? tl_full(s, TL_F32, 0, NULL, 0) : NULL;
    if (!anchor || !(anchor->node = tl__node_new(&s->err, anchor))) {
        part->free(part->user);
        free(h);
        return NULL;
    }
    *h = (held){*part, y, 1};
    tl_tensor_retain(y);
    tl_value attr[TL_MAX_ATTRS] = {{.i = (int64_t)(intptr_t)h}};
    tl_tensor *in[2] = {x, anchor}, *out[TL_MAX_OUTPUTS] = {0};
    tl_tensor *made = tl__apply(s, &op, in, 2, attr, out);
    drop(h);
    return made;
}
