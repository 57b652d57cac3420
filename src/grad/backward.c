/* backward.c - reverse-mode differentiation: the calls that lead to y, newest first, each in a scope
 * of its own. What a call saved is dropped as soon as its gradient is taken. */
#include "device/profile.h"
#include "op/op.h"

#include <stdlib.h>

typedef struct walk { tl_call **calls; int count, room; } walk;

static int push(tl_error *err, walk *w, tl_call *c)
{
    if (w->count == w->room) {
        int room = w->room ? 2 * w->room : 64;
        tl_call **calls = tl__realloc(err, w->calls, (size_t)room * sizeof *calls);
        if (!calls) return -1;
        w->calls = calls;
        w->room = room;
    }
    w->calls[w->count++] = c;
    return 0;
}

/* All calls reachable from `top`: the list is its own work queue. */
static int collect(tl_error *err, tl_device *d, walk *w, tl_call *top)
{
    uint64_t mark = ++d->walks;
    top->mark = mark;
    if (push(err, w, top) != 0) return -1;
    for (int at = 0; at < w->count; at++) {
        tl_call *c = w->calls[at];
        if (c->consumed)
            return tl__fail(err, TL_ESTATE, "backward: the graph of %s was used by an earlier backward and its values are gone; "
                            "compute the loss again, or pass retain", c->op->name);
        for (int i = 0; i < c->n_in; i++) {
            tl_call *maker = c->in_node[i] ? c->in_node[i]->call : NULL;
            if (!maker || maker->mark == mark) continue;
            maker->mark = mark;
            if (push(err, w, maker) != 0) return -1;
        }
    }
    for (int i = 0; i < w->count; i++) tl__call_retain(w->calls[i]);
    return 0;
}

static int newest_first(const void *a, const void *b)
{
    const tl_call *x = *(tl_call *const *)a, *y = *(tl_call *const *)b;
    return x->serial < y->serial ? 1 : x->serial > y->serial ? -1 : 0;
}

/* Sums g back to `shape`: broadcasting repeated values, so their gradients add up. */
static tl_tensor *unbroadcast(tl_scope *s, tl_tensor *g, const tl_shape *shape)
{
    if (!g || g->rows || tl__shape_equal(&g->shape, shape)) return g;
    int extra = g->shape.rank - shape->rank, n = 0, axes[TL_MAX_RANK];
    for (int i = 0; i < g->shape.rank; i++)
        if (i < extra || (shape->dim[i - extra] == 1 && g->shape.dim[i] != 1)) axes[n++] = i;
    if (extra < 0) n = 0;
    if (n) g = tl_sum(s, g, axes, n, 1);
    return tl_reshape(s, g, shape->rank, shape->dim);
}

/* A tensor that nobody else can see may be added to in place. */
static int is_alone(const tl_tensor *t) { return t->refs == 1 && t->buffer->refs == 1; }

/* A gradient by rows, on one of the same kind, on a whole one, or on nothing. */
static int accumulate_rows(tl_scope *s, tl_node *n, tl_tensor *g)
{
    tl_tensor *old = n->grad;
    if (old && !old->rows) return tl__rows_add_into(s, old, g);
    if (old && !(g = tl__rows_sum(s, old, g))) return -1;
    n->grad = g;
    tl_tensor_retain(g);
    tl_tensor_release(old);
    return 0;
}

/* A gradient by rows becomes a whole one, since another of a whole tensor comes. */
static int make_whole(tl_scope *s, tl_node *n)
{
    tl_tensor *old = n->grad, *whole = tl__rows_whole(s, old, &n->shape);
    n->grad = NULL;
    if (whole && (!n->home || tl__home_take(s, n, whole) == 0)) {
        if (!n->home) {
            n->grad = whole;
            tl_tensor_retain(whole);
        }
        tl_tensor_release(old);
        return 0;
    }
    n->grad = old;
    return -1;
}

/* The gradient of a result that is stored as halves is stored so too. */
static int accumulate_half(tl_scope *s, tl_node *n, tl_tensor *g)
{
    tl_tensor *old = n->grad;
    tl_tensor *sum = old ? tl_add(s, tl__cast(s, old, TL_F32), g) : g;
    if (!sum || !(sum = tl__cast(s, sum, n->dtype))) return -1;
    n->grad = sum;
    tl_tensor_retain(sum);
    tl_tensor_release(old);
    return 0;
}

static int accumulate(tl_scope *s, tl_node *n, tl_tensor *g)
{
    if (s->err.code || !g) return -1;
    if (g->rows) return accumulate_rows(s, n, g);
    if (n->dtype == TL_F16 || n->dtype == TL_BF16) return accumulate_half(s, n, g);
    if (n->grad && n->grad->rows && make_whole(s, n) != 0) return -1;
    tl_tensor *old = n->grad;
    if (n->home) return old ? tl__add_into(s, old, g) : tl__home_take(s, n, g);
    if (old && is_alone(old) && tl__is_packed(old)) return tl__add_into(s, old, g);
    tl_tensor *sum = old ? tl_add(s, old, g) : tl__packed(s, g);
    if (!sum) return -1;
    /* A leaf's gradient outlives this walk: it must not share memory with another's. */
    if (!old && !n->call && sum->buffer->refs > 1 && !(sum = tl__cast(s, sum, sum->dtype))) return -1;
    n->grad = sum;
    tl_tensor_retain(sum);
    tl_tensor_release(old);
    return 0;
}

static int check_versions(tl_error *err, const tl_call *c)
{
    for (int i = 0; i < c->n_in; i++)
        if (c->in[i] && c->in[i]->buffer->version != c->in_version[i])
            return tl__op_fail(err, c, TL_ESTATE, "an input was changed in place after it was used; backward needs the value of then");
    for (int i = 0; i < c->n_out; i++)
        if (c->out[i] && c->out[i]->buffer->version != c->out_version[i])
            return tl__op_fail(err, c, TL_ESTATE, "the result was changed in place; backward needs the value of then");
    return 0;
}

static int gather(tl_scope *s, const tl_call *c, tl_tensor **gy)
{
    int any = 0;
    for (int i = 0; i < c->n_out; i++) {
        gy[i] = c->out_node[i] ? c->out_node[i]->grad : NULL;
        if (gy[i]) any = 1;
        if (!gy[i] || gy[i]->dtype == TL_F32 || gy[i]->rows) continue;
        tl_tensor *half = gy[i];
        if (!(gy[i] = tl__cast(s, half, TL_F32))) continue; /* the scope knows */
        c->out_node[i]->grad = NULL;
        tl_tensor_release(half);
    }
    for (int i = 0; i < c->n_out - c->op->hidden && any; i++)
        if (!gy[i] && tl__is_float(c->out_meta[i].dtype))
            gy[i] = tl_full(s, TL_F32, c->out_meta[i].shape.rank, c->out_meta[i].shape.dim, 0);
    return any;
}

/* A span of the profile for a call's work in backward: so many times the operations and bytes of its forward. */
static tl_span span_of(const tl_device *d, const tl_call *c, double flops, double bytes)
{
    tl_span span = {.op = c->op->name, .where = c->where, .backward = 1};
    if (d->profile) {
        span.flops = tl__call_flops(c) * flops;
        span.bytes = tl__call_bytes(c) * bytes;
    }
    return span;
}

static tl_tensor *compute_again(tl_scope *s, tl_call *maker)
{
    tl_widened kept;
    tl_span span = span_of(s->device, maker, 1, 1);
    int entered = tl__profile_enter(s->device, &span);
    tl_tensor *y = tl__mixed_widen(s, maker, 0, &kept) == 0 ? maker->op->again(s, maker) : NULL;
    tl__mixed_restore(maker, &kept);
    tl__profile_leave(s->device, entered);
    return y;
}

/* Inputs that were not kept come from their makers again, which are older and have what they saved, or can have that again in turn:
 * what a maker had so waits for the maker's own gradient, which comes soon. */
static int take_again(tl_scope *s, tl_call *c)
{
    for (int i = 0; i < c->n_in && i < 16; i++) {
        if (!(c->again >> i & 1) || c->in[i]) continue;
        tl_call *maker = c->in_node[i]->call;
        if (check_versions(&s->err, maker) != 0 || take_again(s, maker) != 0 || !(c->in[i] = compute_again(s, maker))) return -1;
        tl_tensor_retain(c->in[i]);
        c->in_version[i] = c->in[i]->buffer->version;
    }
    return 0;
}

static void drop_again(tl_call *c)
{
    for (int i = 0; i < c->n_in && i < 16; i++) {
        if (!(c->again >> i & 1)) continue;
        tl_tensor_release(c->in[i]);
        c->in[i] = NULL;
    }
}

/* The gradient, as a span of its own while a profile is open: as much work for each of the two main inputs as forward. */
static void differentiate(tl_scope *s, tl_call *c, int last, tl_tensor *const *gy, tl_tensor **gx)
{
    tl_device *d = s->device;
    int inputs = c->needs[0] + (c->n_in > 1 && c->needs[1]);
    tl_span span = span_of(d, c, c->op->flops ? inputs : 1, 1.5);
    int entered = tl__profile_enter(d, &span);
    tl_widened kept;
    if (tl__mixed_widen(s, c, last, &kept) == 0) c->op->vjp(s, c, gy, gx);
    tl__mixed_restore(c, &kept);
    tl__profile_leave(d, entered);
}

static int step(tl_scope *s, tl_call *c, int last)
{
    tl_tensor *gy[TL_MAX_OUTPUTS] = {0};
    if (!gather(s, c, gy)) return 0;
    tl_tensor **gx = tl__calloc(&s->err, (size_t)c->n_in, sizeof *gx);
    int bad = !gx || s->err.code || check_versions(&s->err, c) != 0 || take_again(s, c) != 0;
    if (!bad) {
        differentiate(s, c, last, gy, gx);
        bad = s->err.code != 0;
    }
    drop_again(c);
    for (int i = 0; i < c->n_in && !bad; i++) {
        if (!c->needs[i]) continue;
        if (!gx[i]) bad = tl__op_fail(&s->err, c, TL_ESTATE, "there is no gradient for input %d", i + 1);
        else bad = accumulate(s, c->in_node[i], unbroadcast(s, gx[i], &c->in_meta[i].shape));
    }
    free(gx);
    return bad;
}

static void drop_saved(tl_call *c)
{
    for (int i = 0; i < c->n_in; i++) {
        tl_tensor_release(c->in[i]);
        c->in[i] = NULL;
    }
    for (int i = 0; i < c->n_out; i++) {
        tl_tensor_release(c->out[i]);
        c->out[i] = NULL;
    }
    c->consumed = 1;
}

static void drop_gradients(tl_call *c)
{
    for (int i = 0; i < c->n_out; i++) {
        if (!c->out_node[i]) continue;
        tl_tensor_release(c->out_node[i]->grad);
        c->out_node[i]->grad = NULL;
    }
}

static int seed_gradient(tl_scope *s, tl_tensor *y, tl_tensor *gy)
{
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT];
    if (!gy && tl_numel(y) != 1)
        return tl__fail(&s->err, TL_ESHAPE, "backward: the loss must be one number, this tensor is %s; take its mean or give its gradient",
                        tl__shape_text(&y->shape, a, sizeof a));
    if (gy && !tl__shape_equal(&gy->shape, &y->shape))
        return tl__fail(&s->err, TL_ESHAPE, "backward: the gradient is %s, the tensor %s", tl__shape_text(&gy->shape, a, sizeof a),
                        tl__shape_text(&y->shape, b, sizeof b));
    if (!gy) gy = tl_full(s, TL_F32, y->shape.rank, y->shape.dim, 1);
    /* Without its own history: where that leads back to a leaf that is given this very tensor, nobody would ever free the circle. */
    else if (gy->node) gy = tl__scope_own(s, tl__tensor_alias(&s->err, gy));
    return gy ? accumulate(s, y->node, gy) : -1;
}

int tl_backward(tl_scope *s, tl_tensor *y, tl_tensor *gy, int retain)
{
    if (!s || s->err.code || !y) return -1;
    if (!y->node)
        return tl__fail(&s->err, TL_ESTATE, "backward: nothing that led to this tensor wants a gradient (is everything frozen, or was it computed without recording?)");
    walk w = {0};
    tl_scope inner;
    tl_dtype low = s->device->lowered;
    s->device->lowered = TL_F32;
    tl__scope_begin(&inner, s);
    inner.recording = 0;
    int bad = y->node->call ? collect(&inner.err, s->device, &w, y->node->call) : 0;
    int held = bad ? 0 : w.count;
    if (!bad) bad = seed_gradient(&inner, y, gy);
    if (held) qsort(w.calls, (size_t)held, sizeof *w.calls, newest_first);
    for (int i = 0; i < held; i++) {
        tl_call *c = w.calls[i];
        if (!bad) {
            tl_scope each;
            tl__scope_begin(&each, &inner);
            bad = step(&each, c, !retain);
            tl__scope_end(&each);
            if (inner.err.code) bad = -1;
        }
        drop_gradients(c);
        if (!retain) drop_saved(c);
        tl__call_release(c);
    }
    free(w.calls);
    s->device->lowered = low;
    tl__scope_end(&inner);
    return bad ? -1 : 0;
}
