/* improve.c - passes over the list of a plan. A call that is joined with a later one takes the later one's place, where
 * all inputs of both are there. */
#include "op/conv.h"
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

static int is(const tl_plan_call *c, const char *name) { return !c->dead && strcmp(c->op->name, name) == 0; }

static int uses(const tl_plan *p, int slot)
{
    int n = tl__plan_is_output(p, slot);
    for (int i = 0; i < p->call_count; i++)
        for (int k = 0; k < p->calls[i].n_in && !p->calls[i].dead; k++) n += p->calls[i].in[k] == slot;
    return n;
}

/* The live call that makes a slot whose only use is the caller's; NULL otherwise. */
static tl_plan_call *sole_maker(tl_plan *p, int slot)
{
    if (slot < 0 || p->slots[slot].maker < 0 || uses(p, slot) != 1) return NULL;
    tl_plan_call *m = &p->calls[p->slots[slot].maker];
    return m->dead || m->out[0] != slot ? NULL : m;
}

static int attribute(const tl_op *op, const char *name)
{
    for (int i = 0; op->attrs[i].kind != TL_A_END; i++)
        if (strcmp(op->attrs[i].name, name) == 0) return i;
    return -1;
}

static int input(const tl_op *op, const char *name)
{
    for (int i = 0; i < TL_MAX_INPUTS && op->inputs[i]; i++)
        if (strcmp(op->inputs[i], name) == 0) return i;
    return -1;
}

static int choice(const tl_op *op, int attr, const char *word)
{
    for (int i = 0; op->attrs[attr].choices[i]; i++)
        if (strcmp(op->attrs[attr].choices[i], word) == 0) return i;
    return -1;
}

/* A convolution or linear layer that can take a residual or activation along: its activation attribute, -1 if not. */
static int open_epilogue(const tl_plan_call *c)
{
    int a = attribute(c->op, "activation");
    return a >= 0 && input(c->op, "residual?") >= 0 && (is(c, "conv") || is(c, "linear")) && c->attr[a].i == 0 ? a : -1;
}

static int residual_slot(const tl_plan_call *c)
{
    int i = input(c->op, "residual?");
    return i >= 0 && i < c->n_in ? c->in[i] : -1;
}

/* `early` as it is now moves to where `late` stands and makes its result; its inputs have room for all that it may
 * take. */
static void join(tl_plan *p, tl_plan_call *early, tl_plan_call *late)
{
    int out = late->out[0];
    int *room = late->in;
    for (int i = 1; i < late->n_out; i++) p->slots[late->out[i]].maker = -1;
    *late = *early; /* neither has numbers that are symbols' but for those of early */
    late->out[0] = out;
    early->in = room;
    early->n_in = 0;
    early->dead = 1;
}

/* Lengthens the list of inputs so that optional ones at its end have a place. */
static int with_all_inputs(tl_error *err, tl_plan_call *c)
{
    int n = 0;
    while (n < TL_MAX_INPUTS && c->op->inputs[n]) n++;
    if (c->n_in >= n) return 0;
    int *in = tl__realloc(err, c->in, (size_t)n * sizeof *in);
    if (!in) return -1;
    while (c->n_in < n) in[c->n_in++] = -1;
    c->in = in;
    return 0;
}

/* ---- folding ---- */

static int constant(const tl_plan *p, int slot) { return slot < 0 || p->slots[slot].constant != NULL; }

static int add_fold(tl_plan *p, const tl_plan_call *conv, const tl_plan_call *norm, int *weight, int *bias)
{
    const int from[6] = {conv->in[1], conv->in[2], norm->in[1], norm->in[2], norm->in[3], norm->in[4]};
    if (p->fold_count == p->fold_room) {
        int room = p->fold_room ? 2 * p->fold_room : 64;
        tl_fold *folds = tl__realloc(&p->failed, p->folds, (size_t)room * sizeof *folds);
        if (!folds) return -1;
        p->folds = folds;
        p->fold_room = room;
    }
    tl_fold f = {.eps = norm->attr[attribute(norm->op, "eps")].f};
    for (int k = 0; k < 6; k++) {
        if (from[k] < 0) continue;
        f.from[k] = p->slots[from[k]].constant;
        tl_tensor_retain(f.from[k]);
    }
    p->folds[p->fold_count] = f;
    tl_slot w = {.meta = p->slots[from[0]].meta,
                 .fold = p->fold_count++,
                 .which = 0,
                 .base = p->slot_count,
                 .maker = -1,
                 .at = -1};
    *weight = tl__plan_slot(p, &w, NULL);
    tl_slot b = {.meta = {{1, {w.meta.shape.dim[0]}}, TL_F32},
                 .fold = w.fold,
                 .which = 1,
                 .base = p->slot_count,
                 .maker = -1,
                 .at = -1};
    *bias = tl__plan_slot(p, &b, NULL);
    return *weight < 0 || *bias < 0 ? -1 : 0;
}

/* batch_norm(conv(x)) with constants becomes conv(x) with the norm's residual and activation. */
static int fold_norms(tl_error *err, tl_plan *p)
{
    for (int j = 0; j < p->call_count; j++) {
        tl_plan_call *norm = &p->calls[j];
        if (!is(norm, "batch_norm")) continue;
        tl_plan_call *conv = sole_maker(p, norm->in[0]);
        int act, fixed = 1, weight, bias;
        if (!conv || !is(conv, "conv") || (act = open_epilogue(conv)) < 0 || residual_slot(conv) >= 0) continue;
        for (int k = 1; k <= 4; k++) fixed &= constant(p, norm->in[k]);
        if (!fixed || with_all_inputs(err, conv) != 0 || !constant(p, conv->in[1]) || !constant(p, conv->in[2]))
            continue;
        if (add_fold(p, conv, norm, &weight, &bias) != 0) return -1;
        conv->in[1] = weight;
        conv->in[2] = bias;
        conv->in[input(conv->op, "residual?")] = residual_slot(norm);
        /* Both operators list their activations in the order of tl_act. */
        conv->attr[act].i = norm->attr[attribute(norm->op, "activation")].i;
        join(p, conv, norm);
    }
    return err->code ? -1 : 0;
}

/* ---- epilogues ---- */

static int take_residuals(tl_error *err, tl_plan *p)
{
    for (int j = 0; j < p->call_count; j++) {
        tl_plan_call *add = &p->calls[j];
        if (!is(add, "add")) continue;
        for (int side = 0; side < 2; side++) {
            tl_plan_call *m = sole_maker(p, add->in[side]);
            int other = add->in[1 - side];
            if (!m || add->in[0] == add->in[1] || open_epilogue(m) < 0 || residual_slot(m) >= 0) continue;
            if (!tl__shape_equal(&p->slots[other].meta.shape, &p->slots[add->in[side]].meta.shape)) continue;
            if (with_all_inputs(err, m) != 0) return -1;
            m->in[input(m->op, "residual?")] = other;
            join(p, m, add);
            break;
        }
    }
    return 0;
}

static int take_activations(tl_error *err, tl_plan *p)
{
    for (int j = 0; j < p->call_count; j++) {
        tl_plan_call *a = &p->calls[j];
        if (a->dead || a->n_in != 1) continue;
        tl_plan_call *m = sole_maker(p, a->in[0]);
        int at = m ? open_epilogue(m) : -1, which = at >= 0 ? choice(m->op, at, a->op->name) : -1;
        if (which <= 0) continue;
        if (with_all_inputs(err, m) != 0) return -1;
        m->attr[at].i = which;
        join(p, m, a);
    }
    return 0;
}

/* ---- inverted residuals ---- */

enum { MANY = 37 }; /* pictures */

/* Three convolutions of which the second is depthwise become one call, where that is faster. */
static int join_residuals(tl_error *err, tl_plan *p)
{
    for (int j = 0; j < p->call_count; j++) {
        tl_plan_call *project = &p->calls[j];
        tl_plan_call *middle = is(project, "conv") ? sole_maker(p, project->in[0]) : NULL;
        tl_plan_call *expand =
            middle && is(middle, "conv") && residual_slot(middle) < 0 ? sole_maker(p, middle->in[0]) : NULL;
        if (!expand || !is(expand, "conv") || residual_slot(expand) >= 0) continue;
        if (with_all_inputs(err, expand) != 0 || with_all_inputs(err, middle) != 0 ||
            with_all_inputs(err, project) != 0)
            return -1;
        const int in[TL_MAX_INPUTS] = {expand->in[0], expand->in[1],  expand->in[2],  middle->in[1],
                                       middle->in[2], project->in[1], project->in[2], residual_slot(project)};
        tl_meta meta[TL_MAX_INPUTS] = {0};
        tl_value attr[TL_MAX_ATTRS];
        for (int k = 0; k < TL_MAX_INPUTS; k++)
            if (in[k] >= 0) meta[k] = p->slots[in[k]].meta;
        /* Traced with few pictures, run with any number: asked for many; a run with too few takes the three apart. */
        if (tl__plan_batch(p) >= 0 && meta[0].shape.dim[0] < MANY) meta[0].shape.dim[0] = MANY;
        if (!tl__inverted_residual_joins(p->device, expand->attr, middle->attr, project->attr, meta, attr)) continue;
        project->op = &tl__op_inverted_residual;
        if (with_all_inputs(err, project) != 0) return -1;
        memcpy(project->in, in, sizeof in);
        memcpy(project->attr, attr, sizeof attr);
        middle->dead = expand->dead = 1;
    }
    return 0;
}

/* ---- what does nothing ---- */

static void replace(tl_plan *p, int slot, int by)
{
    for (int i = 0; i < p->call_count; i++)
        for (int k = 0; k < p->calls[i].n_in; k++)
            if (p->calls[i].in[k] == slot) p->calls[i].in[k] = by;
    for (int i = 0; i < p->outputs; i++)
        if (p->out[i].slot == slot) p->out[i].slot = by;
}

static void drop_idle(tl_plan *p)
{
    for (int i = 0; i < p->call_count; i++) {
        tl_plan_call *c = &p->calls[i];
        if (!is(c, "dropout") || tl__plan_is_output(p, c->out[0])) continue; /* it does not draw: trace.c */
        replace(p, c->out[0], c->in[0]);
        c->dead = 1;
    }
    for (int i = p->call_count - 1; i >= 0; i--) {
        int used = 0;
        for (int k = 0; k < p->calls[i].n_out; k++) used |= uses(p, p->calls[i].out[k]) > 0;
        if (!used) p->calls[i].dead = 1;
    }
}

/* Takes out the dead and numbers makers anew. */
static void compact(tl_plan *p)
{
    int n = 0;
    for (int i = 0; i < p->slot_count; i++) p->slots[i].maker = -1;
    for (int i = 0; i < p->call_count; i++) {
        if (p->calls[i].dead) {
            free(p->calls[i].in);
            continue;
        }
        for (int k = 0; k < p->calls[i].n_out; k++) p->slots[p->calls[i].out[k]].maker = n;
        p->calls[n++] = p->calls[i];
    }
    p->call_count = n;
}

/* Another number of pictures must be possible: numbers written out where nobody looked for them are noticed here and
 * not in a run. */
static int try_sizes(tl_error *err, tl_plan *p)
{
    int64_t sizes[TL_PLAN_SYMBOLS];
    int batch = tl__plan_batch(p), bad = 0;
    tl_scope s;
    tl__scope_root(&s, p->device, 0);
    for (int i = 0; i < p->g->symbols; i++) sizes[i] = p->g->symbol[i].size;
    for (int n = 1; n <= (batch < 0 ? 1 : 2) && !bad; n++) {
        if (batch >= 0) sizes[batch] = n;
        bad = tl__plan_place(&s, p, sizes) != 0;
    }
    if (bad) *err = s.err;
    tl__scope_drop(&s);
    return bad ? -1 : 0;
}

int tl__plan_improve(tl_error *err, tl_plan *p)
{
    drop_idle(p);
    if (fold_norms(err, p) != 0 || take_residuals(err, p) != 0 || take_activations(err, p) != 0 ||
        join_residuals(err, p) != 0)
        return -1;
    drop_idle(p);
    compact(p);
    if (p->failed.code) {
        *err = p->failed;
        return -1;
    }
    return try_sizes(err, p);
}
