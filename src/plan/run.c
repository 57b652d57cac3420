/* run.c - shapes, places and runs of a plan. */
#include "device/profile.h"
#include "plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- folded weights ---- */

static int is_stale(const tl_fold *f)
{
    for (int k = 0; k < 6; k++)
        if (f->from[k] && (f->from[k]->buffer != f->buffer[k] || f->from[k]->buffer->version != f->version[k]))
            return 1;
    return 0;
}

static tl_tensor *hollow_like(tl_error *err, tl_device *d, int rank, const int64_t *dims)
{
    tl_shape shape = tl__shape(rank, dims);
    int64_t strides[TL_MAX_RANK];
    tl__packed_strides(&shape, strides);
    tl_tensor bare = {.buffer = tl__buffer_new_hollow(err, d, (size_t)tl__numel(&shape) * sizeof(float)),
                      .dtype = TL_F32};
    if (!bare.buffer) return NULL;
    tl_tensor *t = tl__tensor_view(err, &bare, &shape, strides, 0);
    tl__buffer_release(bare.buffer);
    return t;
}

/* Hollow weights of their own for what is folded now; the old ones stay where there is no memory for new ones. */
static int begin_fold(tl_scope *s, tl_fold *f)
{
    const tl_tensor *w = f->from[0];
    tl_tensor *weight = hollow_like(&s->err, s->device, w->shape.rank, w->shape.dim),
              *bias = weight ? hollow_like(&s->err, s->device, 1, w->shape.dim) : NULL;
    if (!bias) {
        tl_tensor_release(weight);
        return -1;
    }
    tl_tensor_release(f->weight);
    tl_tensor_release(f->bias);
    f->weight = weight;
    f->bias = bias;
    for (int k = 0; k < 6; k++) {
        f->buffer[k] = f->from[k] ? f->from[k]->buffer : NULL;
        f->version[k] = f->from[k] ? f->from[k]->buffer->version : 0;
    }
    return 0;
}

tl_tensor *tl__fold_get(tl_scope *s, tl_fold *f, int which)
{
    if ((!f->weight || is_stale(f)) && begin_fold(s, f) != 0) return NULL;
    return which ? f->bias : f->weight;
}

int tl__fold_fill(tl_scope *s, tl_fold *f)
{
    tl_tensor *w, *b;
    if (tl_fold_batch_norm(s, f->from[0], f->from[1], f->from[2], f->from[3], f->from[4], f->from[5], f->eps, &w, &b) !=
        0)
        return -1;
    if (!f->weight->buffer->mem) tl__buffer_fill_from(f->weight->buffer, w->buffer);
    if (!f->bias->buffer->mem) tl__buffer_fill_from(f->bias->buffer, b->buffer);
    return 0;
}

/* ---- running ---- */

typedef struct run {
    tl_plan *p;
    tl_scope *s;
    tl_tensor **values;  /* of the slots; one reference each */
    tl_tensor *shared;
} run;

static tl_tensor *value_of(run *r, int slot)
{
    tl_slot *v = slot < 0 ? NULL : &r->p->slots[slot];
    if (!v) return NULL;
    if (v->fold >= 0) return tl__fold_get(r->s, &r->p->folds[v->fold], v->which);
    if (!v->constant) return r->values[slot];
    /* Without its node: the weights of a plan are constants, whoever trains them. */
    return v->constant->node ? tl__scope_own(r->s, tl__tensor_alias(&r->s->err, v->constant)) : v->constant;
}

static int prepare_outputs(run *r, const tl_plan_call *c, tl_tensor **out)
{
    for (int k = 0; k < c->n_out; k++) {
        const tl_slot *v = &r->p->slots[c->out[k]];
        int64_t strides[TL_MAX_RANK];
        out[k] = NULL;
        if (v->at < 0 || !r->shared || c->op->view) continue;
        tl_tensor bare = {.buffer = r->shared->buffer, .dtype = v->meta.dtype};
        tl__packed_strides(&v->meta.shape, strides);
        out[k] = tl__tensor_view(&r->s->err, &bare, &v->meta.shape, strides, v->at);
        if (!out[k]) return -1;
    }
    return 0;
}

/* The fold whose weight is input k; NULL where it is another thing. */
static tl_fold *fold_of(run *r, const tl_plan_call *c, int k)
{
    const tl_slot *v = c->in[k] >= 0 ? &r->p->slots[c->in[k]] : NULL;
    return v && v->fold >= 0 && v->which == 0 ? &r->p->folds[v->fold] : NULL;
}

static int has_folds(run *r, const tl_plan_call *c)
{
    for (int k = 0; k < c->n_in; k++)
        if (fold_of(r, c, k)) return 1;
    return 0;
}

/* The call with its folded weights as they are. 0, -1, or 1 where a weight's memory is wanted. */
static int try_call(run *r, const tl_plan_call *c, tl_tensor **out)
{
    tl_tensor *few[TL_MAX_INPUTS], **in = few;
    if (c->n_in > TL_MAX_INPUTS && !(in = tl__calloc(&r->s->err, (size_t)c->n_in, sizeof *in))) return -1;
    for (int k = 0; k < c->n_in; k++) in[k] = value_of(r, c->in[k]);
    tl_scope each;
    tl__scope_begin(&each, r->s);
    int before = tl__profile_at(r->p->device, c->where);
    int status = tl__apply_into(&each, c->op, in, c->n_in, c->attr, out);
    tl__profile_at(r->p->device, before);
    if (each.err.code == TL_EHOLLOW && !r->s->err.code && has_folds(r, c)) {
        each.err = (tl_error){0};
        status = 1;
    }
    tl__scope_end(&each);
    if (in != few) free(in);
    return status;
}

static int one_call(run *r, const tl_plan_call *c, tl_tensor **out)
{
    int status = try_call(r, c, out);
    if (status != 1) return status;
    tl_scope each;
    tl__scope_begin(&each, r->s);
    status = 0;
    for (int k = 0; k < c->n_in && status == 0; k++) {
        tl_fold *f = fold_of(r, c, k);
        if (f) status = tl__fold_fill(&each, f);
    }
    tl__scope_end(&each);
    if (status == 0 && try_call(r, c, out) != 0) status = -1;
    /* Packed or transformed weights lie beside the buffer now; without any, the kernels read it as it is. */
    for (int k = 0; k < c->n_in; k++) {
        tl_fold *f = fold_of(r, c, k);
        if (f && f->weight->buffer->derived) tl__buffer_hollow(f->weight->buffer);
    }
    return status;
}

static void drop(run *r, int slot)
{
    tl_tensor_release(r->values[slot]);
    r->values[slot] = NULL;
}

/* All calls; `shapes`: the slots' shapes are noted. */
static int all_calls(run *r, int shapes)
{
    tl_plan *p = r->p;
    for (int i = 0; i < p->call_count; i++) {
        const tl_plan_call *c = &p->calls[i];
        tl_tensor *out[TL_MAX_OUTPUTS] = {0};
        int bad = prepare_outputs(r, c, out) != 0 || one_call(r, c, out) != 0;
        for (int k = 0; k < c->n_out; k++) {
            r->values[c->out[k]] = out[k];
            if (!bad && shapes) p->slots[c->out[k]].meta = (tl_meta){out[k]->shape, out[k]->dtype};
        }
        if (bad) return -1;
        for (int k = 0; k < c->n_in; k++)
            if (c->in[k] >= 0 && p->slots[c->in[k]].last == i) drop(r, c->in[k]);
        for (int k = 0; k < c->n_out; k++)
            if (p->slots[c->out[k]].last < 0) drop(r, c->out[k]);
    }
    return 0;
}

/* Runs on x (of the sizes that are in place) and gives each result one reference. 0 or -1. */
static int run_on(tl_scope *s, tl_plan *p, tl_tensor *const *x, tl_tensor **y, int shapes)
{
    tl_scope inner;
    tl__scope_begin(&inner, s);
    inner.recording = 0;
    inner.trace = NULL;
    run r = {.p = p, .s = &inner, .values = tl__calloc(&inner.err, (size_t)p->slot_count, sizeof *r.values)};
    if (p->elements > 0 && !shapes) r.shared = tl_empty(&inner, TL_F32, 1, &p->elements);
    for (int i = 0; i < p->g->inputs && r.values && !inner.err.code; i++)
        r.values[p->g->in[i].slot] = tl__tensor_alias(&inner.err, x[i]);
    int bad = !r.values || inner.err.code || all_calls(&r, shapes) != 0;
    for (int i = 0; i < p->outputs && !bad; i++) {
        y[i] = r.values[p->out[i].slot];
        tl_tensor_retain(y[i]);
    }
    for (int i = 0; i < p->slot_count && r.values; i++) tl_tensor_release(r.values[i]);
    free(r.values);
    tl__scope_end(&inner);
    return bad ? -1 : 0;
}

/* ---- places ---- */

/* When each value is wanted last; one that is looked at by a view, as long as the view. */
static void lifetimes(tl_plan *p)
{
    for (int i = 0; i < p->slot_count; i++) p->slots[i].last = -1;
    for (int i = 0; i < p->call_count; i++)
        for (int k = 0; k < p->calls[i].n_in; k++)
            if (p->calls[i].in[k] >= 0) p->slots[p->calls[i].in[k]].last = i;
    for (int i = 0; i < p->outputs; i++) p->slots[p->out[i].slot].last = p->call_count;
    for (int i = p->slot_count - 1; i >= 0; i--) {
        tl_slot *base = &p->slots[p->slots[i].base];
        if (base->last < p->slots[i].last) base->last = p->slots[i].last;
    }
}

static int64_t size_of(const tl_slot *v) { return (tl__numel(&v->meta.shape) + 63) / 64 * 64; }

/* A value that lies in the plan's own memory, unless it is large: such a one has a buffer of its own, whose memory the
 * results of the plan, which never lie in the plan's, and what comes after it can have too. */
static int is_inner(const tl_plan *p, int i)
{
    const tl_slot *v = &p->slots[i];
    for (int k = 0; k < p->outputs; k++)
        if (v->base == p->slots[p->out[k].slot].base) return 0;
    return v->maker >= 0 && v->base == i && !p->calls[v->maker].op->view;
}

static int has_place(const tl_plan *p, int i)
{
    enum { LARGE = 64 << 20 };
    return is_inner(p, i) && size_of(&p->slots[i]) * (int64_t)sizeof(float) <= LARGE;
}

static int alive_together(const tl_slot *a, const tl_slot *b)
{
    int a_end = a->last > a->maker ? a->last : a->maker, b_end = b->last > b->maker ? b->last : b->maker;
    return a->maker <= b_end && b->maker <= a_end;
}

/* The lowest place where slot i meets nothing that is placed and alive at the same time. */
static int64_t lowest(const tl_plan *p, int i)
{
    int64_t at = 0, size = size_of(&p->slots[i]);
    for (int moved = 1; moved;) {
        moved = 0;
        for (int k = 0; k < p->slot_count; k++) {
            const tl_slot *o = &p->slots[k];
            if (k == i || o->at < 0 || !alive_together(o, &p->slots[i])) continue;
            if (at < o->at + size_of(o) && o->at < at + size) {
                at = o->at + size_of(o);
                moved = 1;
            }
        }
    }
    return at;
}

/* The largest first: small ones fit between them. */
static void place(tl_plan *p)
{
    p->elements = 0;
    for (int i = 0; i < p->slot_count; i++) p->slots[i].at = -1;
    for (;;) {
        int best = -1;
        for (int i = 0; i < p->slot_count; i++)
            if (p->slots[i].at < 0 && has_place(p, i) && (best < 0 || size_of(&p->slots[i]) > size_of(&p->slots[best])))
                best = i;
        if (best < 0) break;
        p->slots[best].at = lowest(p, best);
        int64_t end = p->slots[best].at + size_of(&p->slots[best]);
        if (end > p->elements) p->elements = end;
    }
    if ((uint64_t)p->elements * 4 > p->device->traits.max_buffer) { /* each result has a buffer of its own then */
        p->elements = 0;
        for (int i = 0; i < p->slot_count; i++) p->slots[i].at = -1;
    }
}

int tl__plan_is_output(const tl_plan *p, int slot)
{
    for (int i = 0; i < p->outputs; i++)
        if (p->out[i].slot == slot) return 1;
    return 0;
}

void tl__plan_resize(const tl_plan *p, tl_value *attr, const tl_sized *sized, int n)
{
    for (int i = 0; i < n; i++) {
        int64_t *v = sized[i].at < 0 ? &attr[sized[i].attr].i : &attr[sized[i].attr].list[sized[i].at];
        *v = tl__size_of(p->g->symbol, sized[i].size);
    }
}

/* Are the results as long as the plan says? */
static int check_results(tl_error *err, const tl_plan *p, tl_tensor *const *y)
{
    for (int i = 0; i < p->outputs; i++) {
        const tl_port *out = &p->out[i];
        int right = y[i]->shape.rank == out->rank && y[i]->dtype == out->dtype;
        for (int k = 0; k < out->rank && right; k++)
            right =
                out->dim[k].symbol == TL_SIZE_FOLLOWS || y[i]->shape.dim[k] == tl__size_of(p->g->symbol, out->dim[k]);
        char text[TL__SHAPE_TEXT];
        if (!right)
            return tl__fail(err, TL_ESTATE, "plan: the result '%s' is %s, which is not what the plan says", out->name,
                            tl__shape_text(&y[i]->shape, text, sizeof text));
    }
    return 0;
}

int tl__plan_place(tl_scope *s, tl_plan *p, const int64_t *sizes)
{
    int same = p->placed;
    for (int i = 0; i < p->g->symbols; i++) {
        same &= p->g->symbol[i].size == sizes[i];
        p->g->symbol[i].size = sizes[i];
    }
    if (same) return 0;
    p->placed = 0;
    for (int i = 0; i < p->call_count; i++) tl__plan_resize(p, p->calls[i].attr, p->calls[i].sized, p->calls[i].sizes);
    lifetimes(p);
    for (int i = 0; i < p->slot_count; i++) p->slots[i].at = -1;
    tl_tensor *x[TL_PLAN_PORTS] = {0}, *y[TL_PLAN_PORTS] = {0};
    if (tl__dry_begin(&s->err, p->device) != 0) return -1;
    for (int i = 0; i < p->g->inputs && !s->err.code; i++) {
        const tl_port *in = &p->g->in[i];
        tl_shape shape = {.rank = in->rank};
        for (int k = 0; k < in->rank; k++) shape.dim[k] = tl__size_of(p->g->symbol, in->dim[k]);
        p->slots[in->slot].meta.shape = shape;
        x[i] = tl__tensor_new(&s->err, p->device, in->dtype, &shape);
    }
    int bad = s->err.code || run_on(s, p, x, y, 1) != 0 || check_results(&s->err, p, y) != 0;
    for (int i = 0; i < p->outputs; i++) tl_tensor_release(y[i]);
    for (int i = 0; i < p->g->inputs; i++) tl_tensor_release(x[i]);
    tl__dry_end(p->device);
    if (bad) return -1;
    place(p);
    p->placed = 1;
    return 0;
}

static int wrong_input(tl_scope *s, const tl_port *in, const tl_tensor *x, const tl_symbol *symbol)
{
    char a[TL__SHAPE_TEXT] = "", b[TL__SHAPE_TEXT];
    size_t n = 0;
    for (int k = 0; k < in->rank && n < sizeof a - TL_PLAN_NAME - 24; k++) {
        tl_size d = in->dim[k];
        if (d.symbol >= 0) n += (size_t)snprintf(a + n, sizeof a - n, "%s%s", k ? ", " : "", symbol[d.symbol].name);
        else n += (size_t)snprintf(a + n, sizeof a - n, "%s%lld", k ? ", " : "", (long long)d.times);
    }
    return tl__fail(&s->err, TL_ESHAPE, "plan: it was made for an input '%s' (%s), not %s", in->name, a,
                    tl__shape_text(&x->shape, b, sizeof b));
}

/* The symbols' sizes from what goes in. */
static int sizes_of(tl_scope *s, const tl_plan *p, tl_tensor *const *x, int64_t *sizes)
{
    for (int i = 0; i < p->g->symbols; i++) sizes[i] = 0;
    for (int i = 0; i < p->g->inputs; i++) {
        const tl_port *in = &p->g->in[i];
        int right = x[i]->shape.rank == in->rank;
        for (int k = 0; k < in->rank && right; k++) {
            int64_t d = x[i]->shape.dim[k], *size = in->dim[k].symbol >= 0 ? &sizes[in->dim[k].symbol] : NULL;
            if (size && *size == 0) *size = d;
            right = d > 0 && d == (size ? *size : in->dim[k].times);
        }
        if (!right) return wrong_input(s, in, x[i], p->g->symbol);
        if ((in->dtype == TL_I32) != (x[i]->dtype == TL_I32))
            return tl__fail(&s->err, TL_EDTYPE, "plan: the input '%s' is of another type", in->name);
    }
    return 0;
}

int tl__plan_run(tl_scope *s, tl_plan *p, tl_tensor *const *x, tl_tensor **y)
{
    tl_tensor *in[TL_PLAN_PORTS] = {0};
    int64_t sizes[TL_PLAN_SYMBOLS];
    memset(y, 0, (size_t)p->outputs * sizeof *y);
    if (!s || s->err.code) return -1;
    for (int i = 0; i < p->g->inputs; i++)
        if (!x[i]) return tl__fail(&s->err, TL_EARG, "plan: the input '%s' is missing", p->g->in[i].name);
    if (sizes_of(s, p, x, sizes) != 0 || tl__plan_place(s, p, sizes) != 0) return -1;
    for (int i = 0; i < p->g->inputs; i++) {
        in[i] = x[i]->dtype == p->g->in[i].dtype ? tl__packed(s, x[i]) : tl__cast(s, x[i], p->g->in[i].dtype);
        if (!in[i]) return -1;
    }
    tl_tensor *made[TL_PLAN_PORTS] = {0};
    int bad = run_on(s, p, in, made, 0) != 0;
    for (int i = 0; i < p->outputs; i++) /* whoever cannot own one releases it */
        if (!bad || made[i]) y[i] = tl__scope_own(s, made[i]);
    return bad || s->err.code ? -1 : 0;
}

/* The symbol that counts pictures; -1: there is none. */
int tl__plan_batch(const tl_plan *p)
{
    return p->g->in[0].rank > 0 && p->g->in[0].dim[0].symbol >= 0 ? p->g->in[0].dim[0].symbol : -1;
}

size_t tl__plan_bytes(tl_scope *s, tl_plan *p, int64_t n)
{
    int64_t sizes[TL_PLAN_SYMBOLS];
    int batch = tl__plan_batch(p);
    for (int i = 0; i < p->g->symbols; i++) sizes[i] = i == batch ? n : p->g->symbol[i].size;
    if (tl__plan_place(s, p, sizes) != 0) return 0;
    int64_t most = 0;
    for (int k = 0; k < p->call_count; k++) {
        int64_t apart = 0;
        for (int i = 0; i < p->slot_count; i++) {
            const tl_slot *v = &p->slots[i];
            if (v->at < 0 && is_inner(p, i) && v->maker <= k && k <= (v->last > v->maker ? v->last : v->maker))
                apart += size_of(v);
        }
        if (apart > most) most = apart;
    }
    return (size_t)(p->elements + most) * sizeof(float);
}

/* ---- telling ---- */

char *tl__plan_text(tl_error *err, const tl_plan *p)
{
    size_t room = (size_t)(p->call_count + 1) * 256, used = 0;
    char *text = tl__malloc(err, room), shape[TL__SHAPE_TEXT];
    if (!text) return NULL;
    text[0] = 0;
    for (int i = 0; i < p->call_count && used < room - 256; i++) {
        const tl_plan_call *c = &p->calls[i];
        const tl_slot *y = &p->slots[c->out[0]];
        int act = -1;
        for (int k = 0; c->op->attrs[k].kind != TL_A_END; k++)
            if (strcmp(c->op->attrs[k].name, "activation") == 0) act = k;
        used += (size_t)snprintf(text + used, room - used, "%s", c->op->name);
        for (int k = 0; k < c->n_in && k < TL_MAX_INPUTS; k++)
            if (c->in[k] >= 0)
                used += (size_t)snprintf(text + used, room - used, "%c%s%d", k ? ',' : ' ',
                                         p->slots[c->in[k]].constant    ? "w"
                                         : p->slots[c->in[k]].fold >= 0 ? "folded"
                                                                        : "",
                                         c->in[k]);
        used += (size_t)snprintf(text + used, room - used, "%s%s -> %d %s", act >= 0 && c->attr[act].i ? " " : "",
                                 act >= 0 && c->attr[act].i ? c->op->attrs[act].choices[c->attr[act].i] : "", c->out[0],
                                 tl__shape_text(&y->meta.shape, shape, sizeof shape));
        if (y->at >= 0) used += (size_t)snprintf(text + used, room - used, " at %lld", (long long)y->at);
        used += (size_t)snprintf(text + used, room - used, "\n");
    }
    return text;
}
