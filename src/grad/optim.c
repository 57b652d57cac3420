/* optim.c - groups of parameters in flat buffers, gradients as a whole, steps and state. The kinds are in optim_rules.c. */
#include "grad/optim_rules.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const tl_program program = {"optim", NULL};
typedef tl__group group;

struct tl_optim {
    tl_device *device;
    const tl__rule *rule;
    group *groups;
    int count;
    const char *half;      /* what failed after it had written some weights or moments and not the others; NULL: nothing did */
    int half_scaled;       /* the same of a scaling of the gradients */
};

/* What is written in place by several launches is not to be trusted when one of them fails, and nothing can take the others back. So
 * nobody interrupts between them, and after a failure on the way no step is taken from what is left. */
static int begin(tl_scope *s, tl_optim *o)
{
    if (s->err.code) return -1;
    if (o->half)
        return tl__fail(&s->err, TL_ESTATE, "optimiser: %s failed half-way, some weights have moved and others have not; take up the weights and the optimiser's "
                        "state of a checkpoint", o->half);
    if (o->half_scaled) return tl__fail(&s->err, TL_ESTATE, "optimiser: scaling the gradients failed half-way; zero_grad and compute them again");
    return tl__begin_whole(&s->err, o->device);
}

/* `done`: launches that wrote something. */
static int end(tl_scope *s, tl_optim *o, const char *what, int done)
{
    tl__end_whole(o->device);
    if (s->err.code && done) o->half = what;
    return s->err.code ? -1 : 0;
}

void tl__optim_mended(tl_optim *o) { o->half = NULL; }

/* ---- making and freeing ---- */

tl_optim *tl__optim_new(tl_error *err, tl_device *d, const char *name)
{
    const tl__rule *r = tl__rule_find(name);
    if (!r) tl__fail(err, TL_EARG, "optimiser: \"%s\" is unknown; there are sgd, adam, adamw, rmsprop, lion and lamb", name ? name : "");
    tl_optim *o = r ? tl__calloc(err, 1, sizeof *o) : NULL;
    if (!o) return NULL;
    o->device = d;
    o->rule = r;
    tl_device_retain(d);
    return o;
}

static void free_group(group *g)
{
    for (int i = 0; i < g->count; i++) {
        tl_tensor *p = g->params ? g->params[i] : NULL;
        if (!p) continue;
        /* The parameter keeps its place in the flat buffer; its gradient, if it has one, is an ordinary one from now on. */
        if (p->node) tl__home_leave(p->node);
        tl_tensor_release(p);
    }
    for (int k = 0; k < TL__MOMENTS; k++) {
        for (int i = 0; g->view[k] && i < g->count; i++) tl_tensor_release(g->view[k][i]);
        free(g->view[k]);
        tl_tensor_release(g->moment[k]);
    }
    for (int i = 0; i < g->table_count; i++) tl__table_free(&g->tables[i]);
    free(g->tables);
    tl_tensor_release(g->weights);
    for (int i = 0; i < g->home_count; i++) tl__home_release(g->homes[i]);
    free(g->homes);
    free(g->home_at);
    free(g->home_of);
    tl_tensor_release(g->pieces);
    free(g->first_piece);
    free(g->params);
    free(g->at);
    free(g->steps);
}

void tl_optim_free(tl_optim *o)
{
    if (!o) return;
    for (int i = 0; i < o->count; i++) free_group(&o->groups[i]);
    free(o->groups);
    tl_device_release(o->device);
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
        if (p->node->home) return tl__fail(err, TL_ESTATE, "optimiser: parameter %d belongs to an optimiser already", i + 1);
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

enum { HOME = 8 << 20 }; /* elements: large, so that a step is few launches; small beside a large network, so that backward makes room for it as it goes */

/* Homes for the gradients, from g->at and g->total; of tables one each, of their own. */
static int cut_homes(tl_error *err, tl_device *d, group *g)
{
    g->homes = tl__calloc(err, (size_t)g->count, sizeof *g->homes);
    g->home_at = tl__calloc(err, (size_t)g->count + 1, sizeof *g->home_at);
    g->home_of = tl__calloc(err, (size_t)g->count, sizeof *g->home_of);
    if (!g->homes || !g->home_at || !g->home_of) return -1;
    for (int from = 0, to; from < g->count; from = to) {
        const tl__table *table = tl__table_of(g, from);
        int64_t end = g->total;
        for (to = from; to < g->count; to++) {
            end = to + 1 < g->count ? g->at[to + 1] : g->total;
            if (to > from && (end - g->at[from] > HOME || table || tl__table_of(g, to))) {
                end = g->at[to];
                break;
            }
            g->home_of[to] = g->home_count;
        }
        g->home_at[g->home_count] = g->at[from];
        int64_t length = table ? (table->rows * table->width + 15) / 16 * 16 : end - g->at[from];
        if (!(g->homes[g->home_count] = tl__home_new(err, d, length))) return -1;
        g->homes[g->home_count]->by_rows = table != NULL;
        g->home_at[++g->home_count] = end;
    }
    return 0;
}

/* The parameters that keep a buffer of their own. */
static int set_tables_up(tl_scope *s, const tl_optim *o, group *g, tl_tensor *const *params)
{
    g->tables = tl__calloc(&s->err, (size_t)g->count, sizeof *g->tables);
    for (int i = 0; g->tables && i < g->count; i++)
        if (tl__table_suits(o->rule, &g->options, params[i]) &&
            tl__table_init(&s->err, &g->tables[g->table_count++], params[i], i) != 0)
            return -1;
    return g->tables ? 0 : -1;
}

/* A gradient that parameter i brings along, copied to where it will be. NULL on failure. */
static tl_tensor *bring(tl_scope *s, const group *g, int i, const tl_node *old)
{
    tl_node n = {.shape = old->shape, .home = g->homes[g->home_of[i]], .at = g->at[i] - g->home_at[g->home_of[i]]};
    tl_tensor *grad = old->grad;
    if (grad->rows && tl__table_of(g, i)) {
        tl_tensor_retain(grad);
        return grad;
    }
    if (grad->rows && !(grad = tl__rows_whole(s, grad, &old->shape))) return NULL;
    return tl__home_take(s, &n, grad) == 0 ? n.grad : NULL;
}

/* All that can fail, before any parameter moves: flat buffers with the values in place, views for them and for gradients that there are. */
static int prepare(tl_scope *s, tl_optim *o, group *g, tl_tensor *const *params, tl_tensor **values, tl_tensor **grads)
{
    tl_error *err = &s->err;
    g->at = tl__calloc(err, (size_t)g->count, sizeof *g->at);
    g->steps = tl__calloc(err, (size_t)g->count, sizeof *g->steps);
    g->params = tl__calloc(err, (size_t)g->count, sizeof *g->params);
    if (!g->at || !g->steps || !g->params || set_tables_up(s, o, g, params) != 0) return -1;
    for (int i = 0; i < g->count; i++) {
        g->at[i] = g->total;
        if (!tl__table_of(g, i)) g->total += (tl_numel(params[i]) + 15) / 16 * 16; /* each begins on a cache line */
    }
    g->has = o->rule->moments(&g->options);
    if (!(g->weights = flat(err, o->device, g->total, 1)) || cut_homes(err, o->device, g) != 0) return -1;
    for (int k = 0; k < TL__MOMENTS; k++)
        if (g->has >> k & 1 && !(g->moment[k] = flat(err, o->device, g->total, 1))) return -1;
    if (o->rule->norms && tl__group_cut(s, g, params) != 0) return -1;
    for (int i = 0; i < g->count; i++) {
        values[i] = tl__table_of(g, i) ? tl__tensor_alias(err, params[i])
                                       : part_of(err, g->weights, g->at[i], &params[i]->shape);
        if (!values[i] || (!tl__table_of(g, i) && tl__copy_into(s, params[i], values[i]) != 0)) return -1;
        if (params[i]->node->grad && !(grads[i] = bring(s, g, i, params[i]->node))) return -1;
    }
    return 0;
}

/* The parameter's own tensor now lies in the flat buffer, but that of a table, which stays; every handle to it sees
 * that. */
static void move_in(group *g, int i, tl_tensor *p, tl_tensor *value, tl_tensor *grad)
{
    tl_buffer *old = p->buffer;
    tl_node *n = p->node;
    p->buffer = value->buffer;
    p->offset = value->offset;
    memcpy(p->stride, value->stride, sizeof p->stride);
    tl__buffer_retain(p->buffer);
    tl__buffer_release(old);
    tl_tensor_release(n->grad);
    n->grad = grad;
    n->home = g->homes[g->home_of[i]];
    n->home->refs++;
    n->at = g->at[i] - g->home_at[g->home_of[i]];
    g->params[i] = p;
    tl_tensor_retain(p);
}

int tl_optim_add_group(tl_scope *s, tl_optim *o, tl_tensor *const *params, int n, const tl_optim_options *options)
{
    if (!options) options = &o->rule->defaults;
    const char *wrong = tl__rule_check(options);
    if (s->err.code) return -1;
    if (wrong) return tl__fail(&s->err, TL_EARG, "optimiser: %s", wrong);
    if (check_params(&s->err, params, n) != 0) return -1;
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
    /* The many small buffers that the parameters had will hardly be asked for again. */
    if (!bad) tl__pool_flush(o->device->pool);
    return bad ? -1 : 0;
}

tl_optim *tl_optim_new(tl_scope *s, const char *name, tl_tensor *const *params, int n, const tl_optim_options *options)
{
    tl_optim *o = s->err.code ? NULL : tl__optim_new(&s->err, s->device, name);
    if (o && tl_optim_add_group(s, o, params, n, options) == 0) return o;
    tl_optim_free(o);
    return NULL;
}

/* ---- gradients as a whole ---- */

static int has_gradient(const group *g, int i)
{
    const tl_node *n = g->params[i]->node;
    return n && n->home && n->grad;
}

/* The next run of neighbours with a gradient in one home, and (if asked for) the same count of steps, from parameter
 * run->to on: usually a whole home. 0 at the end. Begin with {0}. */
static int next_run(const group *g, tl__stretch *run, int same_step)
{
    int i = run->to;
    while (i < g->count && !has_gradient(g, i)) i++;
    if (i == g->count) return 0;
    int home = g->home_of[i], j = i;
    while (j < g->count && g->home_of[j] == home && has_gradient(g, j) && (!same_step || g->steps[j] == g->steps[i]))
        j++;
    tl__table *table = tl__table_of(g, i);
    if (table) {
        const tl_tensor *grad = g->params[i]->node->grad;
        int64_t rows = grad->rows ? grad->rows->count : table->rows;
        *run = (tl__stretch){0, rows * table->width, g->steps[i] + 1, i, j, grad->buffer, 0, table, NULL};
        return 1;
    }
    int64_t end = j < g->count ? g->at[j] : g->total;
    *run = (tl__stretch){
        g->at[i], end - g->at[i], g->steps[i] + 1, i, j, g->homes[home]->flat->buffer, g->home_at[home], NULL, NULL};
    return 1;
}

#define GRADIENTS(run) TL_KBUF((run)->gradients), TL_KL((run)->gradients_at)

int tl_optim_scale_grad(tl_scope *s, tl_optim *o, int only, double factor)
{
    int done = 0;
    if (begin(s, o) != 0) return -1;
    for (int k = 0; k < o->count && !s->err.code; k++) {
        group *g = &o->groups[k];
        int64_t chunk;
        if (only >= 0 && k != only) continue;
        for (tl__stretch run = {0}; !s->err.code && next_run(g, &run, 0);) {
            tl_launch l = tl__optim_launch(s, "scale_gradients", run.n, &chunk);
            run.gradients->version++;
            done += TL__LAUNCH(&s->err, s->device, &l, "scale_grad", TL_KL(run.at), TL_KL(run.n), TL_KL(chunk),
                               GRADIENTS(&run), TL_KF(factor)) == 0;
        }
    }
    tl__end_whole(o->device);
    o->half_scaled = s->err.code && done;
    return s->err.code ? -1 : 0;
}

/* Adds the squares of a run of gradients to *sum: float32 within stretches of fixed length, which the host adds in
 * double precision. */
static int add_squares(tl_scope *s, const tl__stretch *run, double *sum)
{
    enum { STRETCH = 4096 };
    int64_t parts = (run->n + STRETCH - 1) / STRETCH;
    tl_tensor *t = flat(&s->err, s->device, parts, 0);
    float *host = t ? tl__malloc(&s->err, (size_t)parts * sizeof *host) : NULL;
    tl_launch l = {.program = &program, .kernel = "square_sums", .dims = 1, .global = {(size_t)parts}, .local = {s->device->traits.is_cpu ? 1u : 0u}};
    int bad = !host || TL__LAUNCH(&s->err, s->device, &l, "grad_norm", TL_KL(run->at), TL_KL(run->n), TL_KL((int64_t)STRETCH), GRADIENTS(run), TL_KBUF(t->buffer)) != 0;
    bad = bad || tl_read(s, t, host, (size_t)parts * sizeof *host) != 0;
    for (int64_t i = 0; i < parts && !bad; i++) *sum += host[i];
    free(host);
    tl_tensor_release(t);
    return bad ? -1 : 0;
}

int tl_optim_grad_norm(tl_scope *s, tl_optim *o, int only, double *norm)
{
    double sum = 0;
    for (int k = 0; k < o->count && !s->err.code; k++) {
        if (only >= 0 && k != only) continue;
        for (tl__stretch run = {0}; next_run(&o->groups[k], &run, 0);)
            if (add_squares(s, &run, &sum) != 0) return -1;
    }
    *norm = sqrt(sum);
    return s->err.code ? -1 : 0;
}

int tl_optim_clip_grad_norm(tl_scope *s, tl_optim *o, int only, double most, double *norm)
{
    if (!(most > 0)) return tl__fail(&s->err, TL_EARG, "the largest norm of a gradient must be above 0, not %g: nothing would be trained", most);
    if (tl_optim_grad_norm(s, o, only, norm) != 0) return -1;
    double factor = most / (*norm + 1e-6); /* NaN, of a gradient with one in it, goes to all, as in PyTorch */
    return !(factor >= 1) ? tl_optim_scale_grad(s, o, only, factor) : 0;
}

/* ---- a step ---- */

int tl_optim_step(tl_scope *s, tl_optim *o)
{
    int done = 0;
    if (begin(s, o) != 0) return -1;
    for (int k = 0; k < o->count && !s->err.code; k++)
        for (int i = 0; i < o->groups[k].table_count && !s->err.code; i++)
            if (has_gradient(&o->groups[k], o->groups[k].tables[i].param))
                tl__table_ready(s, &o->groups[k], &o->groups[k].tables[i]);
    for (int k = 0; k < o->count && !s->err.code; k++) {
        group *g = &o->groups[k];
        g->weights->buffer->version++;
        for (tl__stretch run = {0}; !s->err.code && next_run(g, &run, 1);) {
            int launched = run.table ? tl__table_step(s, o->rule, g, run) : o->rule->apply(s, g, run);
            done += launched;
            for (int i = run.from; i < run.to && !s->err.code; i++) g->steps[i] = run.step;
        }
    }
    return end(s, o, "a step", done);
}

void tl_optim_zero_grad(tl_optim *o)
{
    o->half_scaled = 0;
    for (int k = 0; k < o->count; k++)
        for (int i = 0; i < o->groups[k].count; i++) tl_zero_grad(o->groups[k].params[i]);
}

/* ---- averages of the weights ---- */

/* A kernel over all elements of two tensors. */
static int on_pair(tl_scope *s, const char *kernel, tl_tensor *a, tl_tensor *b, double rest)
{
    char one[TL__SHAPE_TEXT], two[TL__SHAPE_TEXT];
    if (s->err.code) return -1;
    if (!tl__shape_equal(&a->shape, &b->shape) || a->dtype != TL_F32 || b->dtype != TL_F32 || !tl__is_packed(a) || !tl__is_packed(b))
        return tl__fail(&s->err, TL_ESHAPE, "%s: %s and %s must be packed float32 of one shape", kernel, tl__shape_text(&a->shape, one, sizeof one),
                        tl__shape_text(&b->shape, two, sizeof two));
    int64_t n = tl_numel(a), chunk;
    tl_launch l = tl__optim_launch(s, kernel, n, &chunk);
    a->buffer->version++;
    return n ? TL__LAUNCH(&s->err, s->device, &l, kernel, TL_KL(n), TL_KL(chunk), TL_KT(a), TL_KT(b), TL_KF(rest)) : 0;
}

int tl_ema(tl_scope *s, tl_tensor *average, tl_tensor *x, double decay) { return on_pair(s, "ema", average, x, 1 - decay); }

int tl_swap(tl_scope *s, tl_tensor *a, tl_tensor *b)
{
    b->buffer->version++;
    return on_pair(s, "swap", a, b, 0);
}

int tl__optim_begin_ema(tl_scope *s, tl_optim *o, int k)
{
    group *g = &o->groups[k];
    if (s->err.code || g->has >> TL__MOMENT_EMA & 1) return s->err.code ? -1 : 0;
    tl_tensor *t = flat(&s->err, o->device, g->total, 0);
    int bad = !t || tl__copy_into(s, g->weights, t) != 0;
    for (int i = 0; i < g->table_count && !bad; i++) {
        tl__table *own = &g->tables[i];
        if (!own->moment[TL__MOMENT_EMA])
            own->moment[TL__MOMENT_EMA] = tl__tensor_new(&s->err, o->device, TL_F32, &own->weights->shape);
        bad = !own->moment[TL__MOMENT_EMA] || tl__copy_into(s, own->weights, own->moment[TL__MOMENT_EMA]) != 0;
    }
    if (bad) {
        tl_tensor_release(t);
        return -1;
    }
    g->moment[TL__MOMENT_EMA] = t;
    g->has |= 1u << TL__MOMENT_EMA;
    return 0;
}

int tl_optim_ema(tl_scope *s, tl_optim *o, double decay)
{
    int done = 0;
    if (!(decay >= 0 && decay <= 1)) return s->err.code ? -1 : tl__fail(&s->err, TL_EARG, "ema: the decay lies between 0 and 1, not %g", decay);
    if (begin(s, o) != 0) return -1;
    for (int k = 0; k < o->count && !s->err.code; k++) {
        group *g = &o->groups[k];
        int has = g->has >> TL__MOMENT_EMA & 1;
        done += (has ? tl_ema(s, g->moment[TL__MOMENT_EMA], g->weights, decay) : tl__optim_begin_ema(s, o, k)) == 0;
        for (int i = 0; i < g->table_count && has && !s->err.code; i++)
            done += tl_ema(s, g->tables[i].moment[TL__MOMENT_EMA], g->tables[i].weights, decay) == 0;
    }
    return end(s, o, "an average of the weights", done);
}

int tl_optim_swap_ema(tl_scope *s, tl_optim *o)
{
    int done = 0;
    for (int k = 0; k < o->count && !s->err.code; k++)
        if (!(o->groups[k].has >> TL__MOMENT_EMA & 1)) return tl__fail(&s->err, TL_ESTATE, "ema: there is no average yet; update it after a step");
    if (begin(s, o) != 0) return -1;
    for (int k = 0; k < o->count && !s->err.code; k++) {
        group *g = &o->groups[k];
        done += tl_swap(s, g->weights, g->moment[TL__MOMENT_EMA]) == 0;
        for (int i = 0; i < g->table_count && !s->err.code; i++)
            done += tl_swap(s, g->tables[i].weights, g->tables[i].moment[TL__MOMENT_EMA]) == 0;
    }
    return end(s, o, "an exchange of weights and averages", done);
}

/* ---- state ---- */

int tl__optim_groups(const tl_optim *o) { return o->count; }
tl_optim_options *tl__optim_group_options(tl_optim *o, int k) { return &o->groups[k].options; }
int tl__optim_group_size(const tl_optim *o, int k) { return o->groups[k].count; }
int64_t *tl__optim_steps(tl_optim *o, int k, int i) { return &o->groups[k].steps[i]; }

tl_tensor *tl__optim_moment(tl_optim *o, int k, int i, int which)
{
    group *g = &o->groups[k];
    tl__table *table = tl__table_of(g, i);
    if (table) return tl__table_moment(g, table, which);
    if (!(g->has >> which & 1)) return NULL;
    if (!g->view[which]) g->view[which] = tl__calloc(NULL, (size_t)g->count, sizeof **g->view);
    if (g->view[which] && !g->view[which][i]) g->view[which][i] = part_of(NULL, g->moment[which], g->at[i], &g->params[i]->shape);
    return g->view[which] ? g->view[which][i] : NULL;
}

void tl_optim_set_lr(tl_optim *o, int k, double lr)
{
    for (int i = 0; i < o->count; i++)
        if (k < 0 || i == k) o->groups[i].options.lr = lr;
}

double tl_optim_lr(const tl_optim *o, int k)
{
    k = k < 0 ? 0 : k;
    return k < o->count ? o->groups[k].options.lr : 0;
}

tl_tensor *tl__optim_rows(tl_scope *s, tl_optim *o, int k, int i)
{
    const tl__table *t = tl__table_of(&o->groups[k], i);
    return t && !t->whole && t->used ? tl_from(s, TL_I32, 1, &t->used, t->row) : NULL;
}

int tl__optim_take_rows(tl_scope *s, tl_optim *o, int k, int i, const tl_tensor *rows, int moments)
{
    tl__table *t = tl__table_of(&o->groups[k], i);
    if (!t)
        return rows ? tl__fail(&s->err, TL_EARG,
                               "optimiser: the state of parameter %d is of some rows alone, and it has moments for all",
                               i + 1)
                    : 0;
    return rows || !moments ? tl__table_take_rows(s, &o->groups[k], t, rows) : tl__table_take_all(s, &o->groups[k], t);
}

static void state_name(char name[64], int k, int i, const char *what) { snprintf(name, 64, "%d.%d.%s", k + 1, i + 1, what); }

int tl_optim_state(tl_scope *s, tl_optim *o, void (*each)(void *user, const char *name, tl_tensor *t), void *user)
{
    char name[64];
    for (int k = 0; k < o->count && !s->err.code; k++)
        for (int i = 0; i < o->groups[k].count; i++) {
            for (int m = 0; m < TL__MOMENTS; m++) {
                if (!(o->groups[k].has >> m & 1)) continue;
                tl_tensor *t = tl__optim_moment(o, k, i, m);
                if (!t) return tl__fail(&s->err, TL_EMEMORY, "optimiser: no memory for its state");
                state_name(name, k, i, tl__optim_moment_names[m]);
                each(user, name, t);
            }
            tl_tensor *rows = tl__optim_rows(s, o, k, i);
            if (rows) {
                state_name(name, k, i, "rows");
                each(user, name, rows);
            }
            tl_tensor *step = tl_full(s, TL_I32, 0, NULL, (double)o->groups[k].steps[i]);
            if (!step) return -1;
            state_name(name, k, i, "step");
            each(user, name, step);
        }
    return s->err.code ? -1 : 0;
}

int tl_optim_load_state(tl_scope *s, tl_optim *o, tl_tensor *(*find)(void *user, const char *name), void *user)
{
    char name[64];
    for (int k = 0; k < o->count && !s->err.code; k++) {
        state_name(name, k, 0, tl__optim_moment_names[TL__MOMENT_EMA]);
        if (find(user, name) && tl__optim_begin_ema(s, o, k) != 0) return -1;
        for (int i = 0; i < o->groups[k].count; i++) {
            state_name(name, k, i, "rows");
            const tl_tensor *rows = find(user, name);
            state_name(
                name, k, i,
                tl__optim_moment_names[o->rule->moments(&o->groups[k].options) & 1u << TL__MOMENT_M ? TL__MOMENT_M
                                                                                                    : TL__MOMENT_V]);
            if (tl__optim_take_rows(s, o, k, i, rows, find(user, name) != NULL) != 0) return -1;
            for (int m = 0; m <= TL__MOMENTS; m++) {
                int is_step = m == TL__MOMENTS;
                if (!is_step &&
                    (!(o->groups[k].has >> m & 1) || (tl__table_of(&o->groups[k], i) && !tl__optim_moment(o, k, i, m))))
                    continue;
                state_name(name, k, i, is_step ? "step" : tl__optim_moment_names[m]);
                tl_tensor *from = find(user, name), *to = is_step ? NULL : tl__optim_moment(o, k, i, m);
                if (!from) return tl__fail(&s->err, TL_EARG, "the optimiser's state has no %s", name);
                if (to && !tl__shape_equal(&from->shape, &to->shape)) return tl__fail(&s->err, TL_ESHAPE, "the optimiser's state %s has another shape", name);
                if (is_step) o->groups[k].steps[i] = (int64_t)tl_item(s, from);
                else if (!to || tl__copy_into(s, from, to) != 0) return s->err.code ? -1 : tl__fail(&s->err, TL_EMEMORY, "optimiser: no memory for its state");
            }
        }
    }
    if (!s->err.code) tl__optim_mended(o);
    return s->err.code ? -1 : 0;
}
