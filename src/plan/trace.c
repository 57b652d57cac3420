/* trace.c - listing the calls of a forward. It runs in a dry run, so tracing costs neither time nor memory of the
 * device; all tensors of it are held meanwhile, so that a pointer means one tensor. */
#include "plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *grown(tl_error *err, void *list, int count, int *room, size_t size)
{
    if (count < *room) return list;
    int more = *room ? 2 * *room : 64;
    void *bigger = tl__realloc(err, list, (size_t)more * size);
    if (bigger) *room = more;
    return bigger;
}

int tl__plan_slot(tl_plan *p, const tl_slot *slot, tl_tensor *t)
{
    int room = p->slot_room;
    tl_slot *slots = grown(&p->failed, p->slots, p->slot_count, &room, sizeof *slots);
    if (!slots) return -1;
    p->slots = slots;
    tl_tensor **seen = grown(&p->failed, p->seen, p->slot_count, &p->slot_room, sizeof *seen);
    if (!seen) return -1;
    p->seen = seen;
    p->slots[p->slot_count] = *slot;
    p->seen[p->slot_count] = t;
    if (t) tl_tensor_retain(t);
    return p->slot_count++;
}

static int find(const tl_plan *p, const tl_tensor *t)
{
    for (int i = p->slot_count - 1; i >= 0; i--)
        if (p->seen[i] == t) return i;
    return -1;
}

/* The slot of an input: known, or a constant. Something made in the dry run by other means than operators has contents
 * that nobody knows. */
static int input_slot(tl_plan *p, const tl_call *c, tl_tensor *t)
{
    int i = find(p, t);
    if (i >= 0) return i;
    if (t->buffer->dry) {
        tl__fail(&p->failed, TL_ESTATE, "%s takes a tensor that was made on the way by something else than operators",
                 c->op->name);
        return -1;
    }
    tl_slot constant = {
        .meta = {t->shape, t->dtype}, .constant = t, .fold = -1, .base = p->slot_count, .maker = -1, .at = -1};
    i = tl__plan_slot(p, &constant, t);
    if (i >= 0) tl_tensor_retain(t);
    return i;
}

static int outputs(tl_plan *p, const tl_call *c, tl_plan_call *call, tl_tensor *const *out)
{
    for (int i = 0; i < c->n_out; i++) {
        int hidden = i >= c->n_out - c->op->hidden;
        tl_slot value = {.meta = hidden ? c->out_meta[i] : (tl_meta){out[i]->shape, out[i]->dtype},
                         .fold = -1,
                         .base = p->slot_count,
                         .maker = p->call_count,
                         .at = -1};
        if (c->op->view) value.base = p->slots[call->in[0]].base;
        call->out[i] = tl__plan_slot(p, &value, hidden ? NULL : out[i]);
        if (call->out[i] < 0) return -1;
    }
    return 0;
}

/* What a plan cannot repeat: chance, and statistics of the batch. */
static int repeatable(tl_plan *p, const tl_call *c)
{
    for (int i = 0; c->op->random && c->op->attrs[i].kind != TL_A_END; i++)
        if (strcmp(c->op->attrs[i].name, "training") == 0 && c->attr[i].i)
            return tl__fail(&p->failed, TL_ESTATE, "%s draws numbers", c->op->name);
    if (strcmp(c->op->name, "batch_norm") == 0 && c->attr[0].i)
        return tl__fail(&p->failed, TL_ESTATE, "batch_norm uses the batch's statistics");
    if (tl__op_mutates(c->op, c->attr)) return tl__fail(&p->failed, TL_ESTATE, "%s changes its input", c->op->name);
    return 0;
}

static void listen(tl_trace *t, const tl_call *c, tl_tensor *const *in, tl_tensor *const *out)
{
    tl_plan *p = (tl_plan *)t;
    if (p->failed.code || repeatable(p, c) != 0) return;
    tl_plan_call *calls = grown(&p->failed, p->calls, p->call_count, &p->call_room, sizeof *calls);
    if (!calls) return;
    p->calls = calls;
    tl_plan_call call = {.op = c->op,
                         .n_in = c->n_in,
                         .n_out = c->n_out,
                         .in = tl__calloc(&p->failed, (size_t)c->n_in + 1, sizeof(int))};
    if (!call.in) return;
    memcpy(call.attr, c->attr, sizeof call.attr);
    call.where = c->where;
    int bad = 0;
    for (int i = 0; i < c->n_in && !bad; i++) {
        call.in[i] = in[i] ? input_slot(p, c, in[i]) : -1;
        bad = in[i] && call.in[i] < 0;
    }
    if (bad || outputs(p, c, &call, out) != 0) free(call.in);
    else p->calls[p->call_count++] = call;
}

/* ---- beginning and ending ---- */

int tl__signature_symbol(tl_error *err, tl_signature *g, const char *name, int64_t size)
{
    for (int i = 0; i < g->symbols; i++)
        if (strcmp(g->symbol[i].name, name) == 0) return i;
    if (g->symbols == TL_PLAN_SYMBOLS || !*name || strlen(name) >= TL_PLAN_NAME || size < 1)
        return tl__fail(err, TL_EARG,
                        g->symbols == TL_PLAN_SYMBOLS ? "plan: too many symbols" : "plan: '%.80s' is no symbol", name);
    strcpy(g->symbol[g->symbols].name, name);
    g->symbol[g->symbols].size = size;
    return g->symbols++;
}

int64_t tl__size_of(const tl_symbol *symbol, tl_size size)
{
    int64_t n;
    if (size.symbol == TL_SIZE_FIXED) return size.times;
    if (size.symbol < 0 || tl__mul_size(size.times, symbol[size.symbol].size, &n) != 0) return 0;
    return n;
}

/* Stand-ins for the inputs, one reference each to the caller; each is a slot. */
static int begin_inputs(tl_error *err, tl_plan *p, tl_tensor **x)
{
    for (int i = 0; i < p->g->inputs; i++) {
        tl_port *in = &p->g->in[i];
        tl_slot slot = {
            .meta = {{.rank = in->rank}, in->dtype}, .fold = -1, .base = p->slot_count, .maker = -1, .at = -1};
        for (int k = 0; k < in->rank; k++) slot.meta.shape.dim[k] = tl__size_of(p->g->symbol, in->dim[k]);
        x[i] = tl__tensor_new(err, p->device, in->dtype, &slot.meta.shape);
        in->slot = x[i] ? tl__plan_slot(p, &slot, x[i]) : -1;
        if (in->slot < 0) return -1;
    }
    return 0;
}

/* An empty plan of what goes in. */
static tl_plan *plan_new(tl_error *err, tl_device *d, const tl_signature *g)
{
    tl_plan *p = tl__calloc(err, 1, sizeof *p);
    if (!p) return NULL;
    p->device = d;
    tl_device_retain(d);
    p->g = tl__malloc(err, sizeof *p->g);
    if (p->g) *p->g = *g;
    if (p->g && tl__dry_begin(err, d) == 0) return p;
    tl__plan_free(p);
    return NULL;
}

tl_plan *tl__plan_begin(tl_error *err, tl_device *d, const tl_signature *g, tl_tensor **x)
{
    memset(x, 0, (size_t)g->inputs * sizeof *x);
    if (g->inputs < 1) tl__fail(err, TL_EARG, "plan: there is no input");
    else if (d->trace) tl__fail(err, TL_ESTATE, "plan: another plan is being made");
    else {
        tl_plan *p = plan_new(err, d, g);
        if (!p) return NULL;
        p->trace.call = listen;
        d->trace = &p->trace;
        if (begin_inputs(err, p, x) == 0) return p;
        if (p->failed.code) *err = p->failed;
        for (int i = 0; i < g->inputs; i++) tl_tensor_release(x[i]);
        memset(x, 0, (size_t)g->inputs * sizeof *x);
        tl_error ignored = {0};
        tl__plan_stop(&ignored, p, NULL, 0);
        tl__plan_free(p);
    }
    return NULL;
}

static void forget_tensors(tl_plan *p)
{
    for (int i = 0; i < p->slot_count; i++) {
        tl_tensor_release(p->seen[i]);
        p->seen[i] = NULL;
    }
}

/* The n results as ports, called "output" or "output1", ...; an input may come out as it is beside results of calls. */
static int take_outputs(tl_plan *p, tl_tensor *const *y, int n)
{
    int made = 0;
    if (n > TL_PLAN_PORTS) return tl__fail(&p->failed, TL_EARG, "plan: more than %d results", TL_PLAN_PORTS);
    p->out = tl__calloc(&p->failed, (size_t)n + 1, sizeof *p->out);
    for (int i = 0; i < n && p->out; i++) {
        tl_port *out = &p->out[i];
        out->slot = y[i] ? find(p, y[i]) : -1;
        if (out->slot < 0 || p->slots[out->slot].constant) break;
        const tl_slot *slot = &p->slots[out->slot];
        made |= slot->maker >= 0;
        snprintf(out->name, sizeof out->name, n == 1 ? "output" : "output%d", i + 1);
        out->dtype = slot->meta.dtype;
        out->rank = slot->meta.shape.rank;
        for (int k = 0; k < out->rank; k++) out->dim[k] = (tl_size){TL_SIZE_FIXED, slot->meta.shape.dim[k]};
        p->outputs++;
    }
    if (p->failed.code) return -1;
    return p->outputs == n && made
               ? 0
               : tl__fail(&p->failed, TL_ESTATE, "the result does not come from the input by operators");
}

int tl__plan_stop(tl_error *err, tl_plan *p, tl_tensor *const *y, int n)
{
    if (!p->failed.code) take_outputs(p, y, n);
    forget_tensors(p);
    p->device->trace = NULL;
    tl__dry_end(p->device);
    if (!p->failed.code) return 0;
    *err = p->failed;
    return -1;
}

void tl__plan_free(tl_plan *p)
{
    if (!p) return;
    for (int i = 0; i < p->slot_count; i++) tl_tensor_release(p->slots[i].constant);
    for (int i = 0; i < p->call_count; i++) free(p->calls[i].in);
    for (int i = 0; i < p->fold_count; i++) {
        for (int k = 0; k < 6; k++) tl_tensor_release(p->folds[i].from[k]);
        tl_tensor_release(p->folds[i].weight);
        tl_tensor_release(p->folds[i].bias);
    }
    free(p->g);
    free(p->out);
    free(p->slots);
    free(p->seen);
    free(p->calls);
    free(p->folds);
    tl_device_release(p->device);
    free(p);
}
