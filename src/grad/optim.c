/* optim.c - SGD, Adam and AdamW over flat buffers. */
#include "grad/optim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const tl_program program = {"optim", NULL};
const char *const tl__optim_names[] = {"sgd", "adam", "adamw", NULL};

typedef struct group {
    tl_optim_options options;
    int count, moments;
    tl_tensor **params;
    int64_t *at;               /* where each begins in the flat buffers */
    int64_t *steps;            /* of each: PyTorch counts per parameter */
    int64_t total;
    tl_tensor *weights, *gradients, *moment[2];  /* flat; held */
    tl_tensor **view[2];       /* moments of single parameters, made when asked for */
} group;

struct tl_optim {
    tl_device *device;
    tl_optim_kind kind;
    group *groups;
    int count;
};

int tl__optim_kind(const char *name)
{
    for (int i = 0; tl__optim_names[i]; i++)
        if (strcmp(tl__optim_names[i], name) == 0) return i;
    return -1;
}

void tl__optim_defaults(tl_optim_kind kind, tl_optim_options *o)
{
    *o = (tl_optim_options){.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    if (kind == TL_ADAMW) o->weight_decay = 1e-2;
}

tl_optim *tl__optim_new(tl_error *err, tl_device *d, tl_optim_kind kind)
{
    tl_optim *o = tl__calloc(err, 1, sizeof *o);
    if (!o) return NULL;
    o->device = d;
    o->kind = kind;
    return o;
}

static void free_group(group *g)
{
    for (int i = 0; i < g->count; i++) {
        tl_tensor *p = g->params ? g->params[i] : NULL;
        if (!p) continue;
        /* The parameter keeps its place in the flat buffer; its gradient is an ordinary one from now on. */
        if (p->node) p->node->pinned = 0;
        tl_zero_grad(p);
        tl_tensor_release(p);
    }
    for (int k = 0; k < 2; k++) {
        for (int i = 0; g->view[k] && i < g->count; i++) tl_tensor_release(g->view[k][i]);
        free(g->view[k]);
        tl_tensor_release(g->moment[k]);
    }
    tl_tensor_release(g->weights);
    tl_tensor_release(g->gradients);
    free(g->params);
    free(g->at);
    free(g->steps);
}

void tl__optim_free(tl_optim *o)
{
    if (!o) return;
    for (int i = 0; i < o->count; i++) free_group(&o->groups[i]);
    free(o->groups);
    free(o);
}

/* ---- groups ---- */

static int check_params(tl_error *err, tl_tensor *const *params, int n)
{
    if (n < 1) return tl__fail(err, TL_EARG, "optimiser: there is nothing to train (no parameter wants a gradient)");
    for (int i = 0; i < n; i++) {
        const tl_tensor *p = params[i];
        if (p->dtype != TL_F32) return tl__fail(err, TL_EDTYPE, "optimiser: parameter %d is %s; train float32", i + 1, tl__dtype_name(p->dtype));
        if (!p->node || p->node->call) return tl__fail(err, TL_ESTATE, "optimiser: parameter %d is not a leaf that wants a gradient", i + 1);
        if (p->node->pinned) return tl__fail(err, TL_ESTATE, "optimiser: parameter %d belongs to an optimiser already", i + 1);
        for (int k = 0; k < i; k++)
            if (params[k] == p) return tl__fail(err, TL_EARG, "optimiser: parameter %d is named twice", i + 1);
    }
    return 0;
}

static tl_tensor *flat(tl_error *err, tl_device *d, int64_t n, int zero)
{
    tl_shape shape = {1, {n}};
    tl_tensor *t = tl__tensor_new(err, d, TL_F32, &shape);
    if (t && zero && tl__buffer_fill(err, t->buffer, 0, (size_t)n * 4, 0) != 0) {
        tl_tensor_release(t);
        return NULL;
    }
    return t;
}

static tl_tensor *part_of(tl_error *err, const tl_tensor *whole, int64_t at, const tl_shape *shape)
{
    int64_t strides[TL_MAX_RANK] = {0};
    tl__packed_strides(shape, strides);
    return tl__tensor_view(err, whole, shape, strides, at);
}

/* All that can fail, before any parameter moves: flat buffers with the values in place, views for values and gradients. */
static int prepare(tl_scope *s, tl_optim *o, group *g, tl_tensor *const *params, tl_tensor **values, tl_tensor **grads)
{
    tl_error *err = &s->err;
    g->at = tl__calloc(err, (size_t)g->count, sizeof *g->at);
    g->steps = tl__calloc(err, (size_t)g->count, sizeof *g->steps);
    g->params = tl__calloc(err, (size_t)g->count, sizeof *g->params);
    if (!g->at || !g->steps || !g->params) return -1;
    for (int i = 0; i < g->count; i++) {
        g->at[i] = g->total;
        g->total += (tl_numel(params[i]) + 15) / 16 * 16; /* each begins on a cache line */
    }
    g->moments = o->kind == TL_SGD ? g->options.momentum != 0 : 2;
    if (!(g->weights = flat(err, o->device, g->total, 1)) || !(g->gradients = flat(err, o->device, g->total, 1))) return -1;
    for (int k = 0; k < g->moments; k++)
        if (!(g->moment[k] = flat(err, o->device, g->total, 1))) return -1;
    for (int i = 0; i < g->count; i++) {
        values[i] = part_of(err, g->weights, g->at[i], &params[i]->shape);
        grads[i] = part_of(err, g->gradients, g->at[i], &params[i]->shape);
        if (!values[i] || !grads[i] || tl__copy_into(s, params[i], values[i]) != 0) return -1;
        if (params[i]->node->grad && tl__copy_into(s, params[i]->node->grad, grads[i]) != 0) return -1;
    }
    return 0;
}

/* The parameter's own tensor now lies in the flat buffer; every handle to it sees that. */
static void move_in(group *g, int i, tl_tensor *p, tl_tensor *value, tl_tensor *grad)
{
    tl_buffer *old = p->buffer;
    tl_node *n = p->node;
    p->buffer = value->buffer;
    p->offset = value->offset;
    memcpy(p->stride, value->stride, sizeof p->stride);
    tl__buffer_retain(p->buffer);
    tl__buffer_release(old);
    n->pinned = n->grad ? TL_PINNED : TL_PINNED_EMPTY;
    tl_tensor_release(n->grad);
    n->grad = grad;
    g->params[i] = p;
    tl_tensor_retain(p);
}

int tl__optim_add_group(tl_scope *s, tl_optim *o, tl_tensor *const *params, int n, const tl_optim_options *options)
{
    if (s->err.code || check_params(&s->err, params, n) != 0) return -1;
    group *groups = tl__realloc(&s->err, o->groups, (size_t)(o->count + 1) * sizeof *groups);
    if (!groups) return -1;
    o->groups = groups;
    group g = {.options = *options, .count = n};
    tl_tensor **values = tl__calloc(&s->err, (size_t)n, sizeof *values), **grads = tl__calloc(&s->err, (size_t)n, sizeof *grads);
    int bad = !values || !grads || prepare(s, o, &g, params, values, grads) != 0;
    for (int i = 0; i < n && values && grads; i++) {
        if (!bad) move_in(&g, i, params[i], values[i], grads[i]);
        else tl_tensor_release(grads[i]);
        tl_tensor_release(values[i]);
    }
    free(values);
    free(grads);
    if (bad) free_group(&g);
    else o->groups[o->count++] = g;
    return bad ? -1 : 0;
}

/* ---- a step ---- */

static int launch(tl_scope *s, tl_optim *o, group *g, int64_t at, int64_t n, int64_t t)
{
    const tl_optim_options *p = &g->options;
    const tl_traits *traits = &o->device->traits;
    int64_t chunk = traits->is_cpu ? 16384 : 1;
    tl_launch l = {.program = &program, .dims = 1, .global = {(size_t)((n + chunk - 1) / chunk)}, .local = {traits->is_cpu ? 1u : 0u}};
    tl_tensor *w = g->weights, *gr = g->gradients, *m = g->moment[0], *v = g->moment[1];
    if (o->kind == TL_SGD) {
        l.kernel = "sgd";
        return TL__LAUNCH(&s->err, o->device, &l, "sgd", TL_KL(at), TL_KL(n), TL_KL(chunk), TL_KBUF(w->buffer), TL_KBUF(gr->buffer),
                          TL_KBUF(m ? m->buffer : NULL), TL_KF(p->lr), TL_KF(p->weight_decay), TL_KF(p->momentum), TL_KF(p->dampening),
                          TL_KI(p->nesterov), TL_KI(t == 1));
    }
    l.kernel = "adam";
    int decoupled = o->kind == TL_ADAMW;
    double step = p->lr / (1 - pow(p->beta1, (double)t)), root = sqrt(1 - pow(p->beta2, (double)t));
    return TL__LAUNCH(&s->err, o->device, &l, "adam", TL_KL(at), TL_KL(n), TL_KL(chunk), TL_KBUF(w->buffer), TL_KBUF(gr->buffer),
                      TL_KBUF(m->buffer), TL_KBUF(v->buffer), TL_KF(step), TL_KF(root), TL_KF(p->beta1), TL_KF(p->beta2), TL_KF(p->eps),
                      TL_KF(decoupled ? 0 : p->weight_decay), TL_KF(decoupled ? 1 - p->lr * p->weight_decay : 1));
}

static int has_gradient(const group *g, int i) { return g->params[i]->node && g->params[i]->node->pinned == TL_PINNED; }

int tl__optim_step(tl_scope *s, tl_optim *o)
{
    for (int k = 0; k < o->count && !s->err.code; k++) {
        group *g = &o->groups[k];
        g->weights->buffer->version++;
        /* Runs of neighbours with a gradient and the same count of steps: usually the whole group. */
        for (int i = 0; i < g->count;) {
            if (!has_gradient(g, i)) {
                i++;
                continue;
            }
            int j = i;
            while (j < g->count && has_gradient(g, j) && g->steps[j] == g->steps[i]) j++;
            int64_t end = j < g->count ? g->at[j] : g->total, t = g->steps[i] + 1;
            if (launch(s, o, g, g->at[i], end - g->at[i], t) != 0) return -1;
            for (; i < j; i++) g->steps[i] = t;
        }
    }
    return s->err.code ? -1 : 0;
}

void tl__optim_zero_grad(tl_optim *o)
{
    for (int k = 0; k < o->count; k++)
        for (int i = 0; i < o->groups[k].count; i++) tl_zero_grad(o->groups[k].params[i]);
}

/* ---- state ---- */

int tl__optim_groups(const tl_optim *o) { return o->count; }
tl_optim_options *tl__optim_group_options(tl_optim *o, int k) { return &o->groups[k].options; }
int tl__optim_group_size(const tl_optim *o, int k) { return o->groups[k].count; }
int64_t *tl__optim_steps(tl_optim *o, int k, int i) { return &o->groups[k].steps[i]; }

tl_tensor *tl__optim_moment(tl_optim *o, int k, int i, int which)
{
    group *g = &o->groups[k];
    if (which >= g->moments) return NULL;
    if (!g->view[which]) g->view[which] = tl__calloc(NULL, (size_t)g->count, sizeof **g->view);
    if (g->view[which] && !g->view[which][i]) g->view[which][i] = part_of(NULL, g->moment[which], g->at[i], &g->params[i]->shape);
    return g->view[which] ? g->view[which][i] : NULL;
}
