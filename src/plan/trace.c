/* trace.c - listing the calls of a forward. It runs in a dry run, so tracing costs neither time nor memory of the device;
 * all tensors of it are held meanwhile, so that a pointer means one tensor. */
#include "plan/plan.h"

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
        tl__fail(&p->failed, TL_ESTATE, "%s takes a tensor that was made on the way by something else than operators", c->op->name);
        return -1;
    }
    tl_slot constant = {.meta = {t->shape, t->dtype}, .constant = t, .fold = -1, .base = p->slot_count, .maker = -1, .at = -1};
    i = tl__plan_slot(p, &constant, t);
    if (i >= 0) tl_tensor_retain(t);
    return i;
}

static int outputs(tl_plan *p, const tl_call *c, tl_plan_call *call, tl_tensor *const *out)
{
    for (int i = 0; i < c->n_out; i++) {
        int hidden = i >= c->n_out - c->op->hidden;
        tl_slot value = {.meta = hidden ? c->out_meta[i] : (tl_meta){out[i]->shape, out[i]->dtype}, .fold = -1, .base = p->slot_count, .maker = p->call_count, .at = -1};
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
        if (strcmp(c->op->attrs[i].name, "training") == 0 && c->attr[i].i) return tl__fail(&p->failed, TL_ESTATE, "%s draws numbers", c->op->name);
    if (strcmp(c->op->name, "batch_norm") == 0 && c->attr[0].i) return tl__fail(&p->failed, TL_ESTATE, "batch_norm uses the batch's statistics");
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
    tl_plan_call call = {.op = c->op, .n_in = c->n_in, .n_out = c->n_out, .in = tl__calloc(&p->failed, (size_t)c->n_in + 1, sizeof(int))};
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

tl_plan *tl__plan_begin(tl_error *err, tl_device *d, const tl_shape *shape, tl_tensor **x)
{
    *x = NULL;
    if (shape->rank < 1) {
        tl__fail(err, TL_ESHAPE, "plan: an input (N, ...) is needed");
        return NULL;
    }
    if (d->trace) {
        tl__fail(err, TL_ESTATE, "plan: another plan is being made");
        return NULL;
    }
    tl_plan *p = tl__calloc(err, 1, sizeof *p);
    if (!p) return NULL;
    p->device = d;
    p->output = -1;
    tl_device_retain(d);
    tl_slot input = {.meta = {*shape, TL_F32}, .fold = -1, .maker = -1, .at = -1};
    input.meta.shape.dim[0] = TL_PLAN_BATCH;
    if (tl__dry_begin(err, d) != 0) {
        tl__plan_free(p);
        return NULL;
    }
    p->trace.call = listen;
    d->trace = &p->trace;
    *x = tl__tensor_new(err, d, TL_F32, &input.meta.shape);
    if (*x) p->input = tl__plan_slot(p, &input, *x);
    if (*x && !p->failed.code) return p;
    if (p->failed.code) *err = p->failed;
    tl_tensor_release(*x);
    *x = NULL;
    tl_error ignored = {0};
    tl__plan_end(&ignored, p, NULL);
    tl__plan_free(p);
    return NULL;
}

static void forget_tensors(tl_plan *p)
{
    for (int i = 0; i < p->slot_count; i++) {
        tl_tensor_release(p->seen[i]);
        p->seen[i] = NULL;
    }
}

int tl__plan_stop(tl_error *err, tl_plan *p, tl_tensor *y)
{
    if (y && !p->failed.code) p->output = find(p, y);
    forget_tensors(p);
    p->device->trace = NULL;
    tl__dry_end(p->device);
    if (p->failed.code) {
        *err = p->failed;
        return -1;
    }
    if (p->output < 0 || p->slots[p->output].maker < 0) return tl__fail(err, TL_ESTATE, "the result does not come from the input by operators");
    return 0;
}

int tl__plan_end(tl_error *err, tl_plan *p, tl_tensor *y) { return tl__plan_stop(err, p, y) == 0 ? tl__plan_improve(err, p) : -1; }

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
    free(p->slots);
    free(p->seen);
    free(p->calls);
    free(p->folds);
    tl_device_release(p->device);
    free(p);
}
