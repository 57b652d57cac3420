/* optim_rules.c - SGD, Adam, AdamW, RMSprop, Lion and LAMB. Formulas stand at the kernels (cl/optim.cl). What depends on
 * the step is worked out here in double precision, 1 - beta too: in float32 it would be off by 1e-5. */
#include "grad/optim_rules.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const tl_program program = {"optim", NULL};
enum { M = 1u << TL__MOMENT_M, V = 1u << TL__MOMENT_V, A = 1u << TL__MOMENT_A };

tl_launch tl__optim_launch(const tl_scope *s, const char *kernel, int64_t n, int64_t *chunk)
{
    const tl_traits *t = &s->device->traits;
    *chunk = t->is_cpu ? 16384 : 1;
    return (tl_launch){.program = &program, .kernel = kernel, .dims = 1, .global = {(size_t)((n + *chunk - 1) / *chunk)}, .local = {t->is_cpu ? 1u : 0u}};
}

/* The same for a rule's step: over rows of a table on processors a row to a work-item. */
static tl_launch step_launch(const tl_scope *s, const char *kernel, const tl__stretch *at, int64_t *chunk)
{
    tl_launch l = tl__optim_launch(s, kernel, at->n, chunk);
    if (!at->place) return l;
    if (s->device->traits.is_cpu) *chunk = at->gradients_at;
    l.global[0] = (size_t)(at->n / *chunk);
    l.options = "-DROWS";
    return l;
}

static tl_buffer *buffer_of(const tl_tensor *t) { return t ? t->buffer : NULL; }

/* The arguments that all kernels of a step begin with. */
#define STRETCH(g, at, chunk) \
    TL_KL((at).at), TL_KL((at).n), TL_KL(chunk), \
        (at).place ? TL_KRAW((g)->weights->buffer) : TL_KBUF((g)->weights->buffer), TL_KBUF((at).gradients), \
        TL_KL((at).gradients_at), TL_KBUF((at).place)
#define MOMENT(g, which) TL_KBUF(buffer_of((g)->moment[TL__MOMENT_##which]))

static unsigned sgd_moments(const tl_optim_options *o) { return o->momentum != 0 ? M : 0; }

static int sgd_apply(tl_scope *s, const tl__group *g, tl__stretch at)
{
    const tl_optim_options *p = &g->options;
    int64_t chunk;
    tl_launch l = step_launch(s, "sgd", &at, &chunk);
    return TL__LAUNCH(&s->err, s->device, &l, "sgd", STRETCH(g, at, chunk), MOMENT(g, M), TL_KF(p->lr), TL_KF(p->weight_decay),
                      TL_KF(g->has & M ? p->momentum : 0), TL_KF(1 - p->dampening), TL_KI(p->nesterov), TL_KI(at.step == 1)) == 0;
}

static unsigned adam_moments(const tl_optim_options *o)
{
    (void)o;
    return M | V;
}

/* `decay` is added to the gradient, `shrink` multiplies the weights. */
static int adam(tl_scope *s, const tl__group *g, tl__stretch at, double decay, double shrink)
{
    const tl_optim_options *p = &g->options;
    int64_t chunk;
    tl_launch l = step_launch(s, "adam", &at, &chunk);
    double step = p->lr / (1 - pow(p->beta1, (double)at.step)), root = sqrt(1 - pow(p->beta2, (double)at.step));
    return TL__LAUNCH(&s->err, s->device, &l, "adam", STRETCH(g, at, chunk), MOMENT(g, M), MOMENT(g, V), TL_KF(step), TL_KF(root),
                      TL_KF(1 - p->beta1), TL_KF(p->beta2), TL_KF(1 - p->beta2), TL_KF(p->eps), TL_KF(decay), TL_KF(shrink)) == 0;
}

static int adam_apply(tl_scope *s, const tl__group *g, tl__stretch at) { return adam(s, g, at, g->options.weight_decay, 1); }
static int adamw_apply(tl_scope *s, const tl__group *g, tl__stretch at) { return adam(s, g, at, 0, 1 - g->options.lr * g->options.weight_decay); }

static unsigned rmsprop_moments(const tl_optim_options *o) { return V | (o->momentum != 0 ? M : 0) | (o->centered ? A : 0); }

static int rmsprop_apply(tl_scope *s, const tl__group *g, tl__stretch at)
{
    const tl_optim_options *p = &g->options;
    int64_t chunk;
    tl_launch l = step_launch(s, "rmsprop", &at, &chunk);
    return TL__LAUNCH(&s->err, s->device, &l, "rmsprop", STRETCH(g, at, chunk), MOMENT(g, V), MOMENT(g, M), MOMENT(g, A), TL_KF(p->lr),
                      TL_KF(p->weight_decay), TL_KF(p->alpha), TL_KF(1 - p->alpha), TL_KF(p->eps), TL_KF(g->has & M ? p->momentum : 0), TL_KI(p->centered)) == 0;
}

static unsigned lion_moments(const tl_optim_options *o)
{
    (void)o;
    return M;
}

static int lion_apply(tl_scope *s, const tl__group *g, tl__stretch at)
{
    const tl_optim_options *p = &g->options;
    int64_t chunk;
    tl_launch l = step_launch(s, "lion", &at, &chunk);
    return TL__LAUNCH(&s->err, s->device, &l, "lion", STRETCH(g, at, chunk), MOMENT(g, M), TL_KF(p->lr), TL_KF(1 - p->lr * p->weight_decay),
                      TL_KF(p->beta1), TL_KF(1 - p->beta1), TL_KF(p->beta2), TL_KF(1 - p->beta2)) == 0;
}

/* ---- LAMB: three launches, since a parameter's step depends on the norms of it all ---- */

enum { PIECE = 4096 };  /* elements; a multiple of 16 */

int tl__group_cut(tl_scope *s, tl__group *g, tl_tensor *const *params)
{
    int64_t n = 0;
    g->first_piece = tl__calloc(&s->err, (size_t)g->count + 1, sizeof *g->first_piece);
    if (!g->first_piece) return -1;
    for (int i = 0; i < g->count; i++) {
        g->first_piece[i] = n;
        n += (tl_numel(params[i]) + PIECE - 1) / PIECE;
    }
    g->first_piece[g->count] = n;
    int32_t *table = tl__calloc(&s->err, (size_t)n * 4 + 1, sizeof *table), *at = table;
    for (int i = 0; i < g->count && table; i++)
        for (int64_t from = 0, all = tl_numel(params[i]); from < all; from += PIECE, at += 4) {
            at[0] = (int32_t)((g->at[i] + from) / 16);
            at[1] = (int32_t)(all - from < PIECE ? all - from : PIECE);
            at[2] = i;
        }
    g->pieces = table ? tl_from(s, TL_I32, 2, (int64_t[]){n, 4}, table) : NULL;
    if (g->pieces) tl_tensor_retain(g->pieces);
    free(table);
    return g->pieces ? 0 : -1;
}

static int lamb_apply(tl_scope *s, const tl__group *g, tl__stretch at)
{
    const tl_optim_options *p = &g->options;
    int64_t first = g->first_piece[at.from], count = g->first_piece[at.to] - first;
    tl_tensor *sums = tl_empty(s, TL_F32, 2, (int64_t[]){count, 2}), *ratio = tl_empty(s, TL_F32, 1, (int64_t[]){at.to - at.from});
    if (!sums || !ratio) return 0;
    size_t local = s->device->traits.is_cpu ? 1u : 0u;
    double fix1 = 1 / (1 - pow(p->beta1, (double)at.step)), root = sqrt(1 - pow(p->beta2, (double)at.step));
    tl_launch moments = {.program = &program, .kernel = "lamb_moments", .dims = 1, .global = {(size_t)count}, .local = {local}};
    tl_launch ratios = {.program = &program, .kernel = "lamb_ratio", .dims = 1, .global = {(size_t)(at.to - at.from)}, .local = {local}};
    tl_launch step = {.program = &program, .kernel = "lamb_step", .dims = 1, .global = {(size_t)count}, .local = {local}};
    tl_karg table = TL_KBUF(g->pieces->buffer), weights = TL_KBUF(g->weights->buffer);
    if (TL__LAUNCH(&s->err, s->device, &moments, "lamb", TL_KL(first), table, weights, TL_KBUF(at.gradients), TL_KL(at.gradients_at), MOMENT(g, M), MOMENT(g, V),
                   TL_KBUF(sums->buffer), TL_KF(1 - p->beta1), TL_KF(p->beta2), TL_KF(1 - p->beta2), TL_KF(fix1), TL_KF(root), TL_KF(p->eps),
                   TL_KF(p->weight_decay)) != 0)
        return 0;
    if (TL__LAUNCH(&s->err, s->device, &ratios, "lamb", TL_KL(first), TL_KL(count), TL_KI(at.from), table, TL_KBUF(sums->buffer), TL_KBUF(ratio->buffer)) != 0) return 1;
    return TL__LAUNCH(&s->err, s->device, &step, "lamb", TL_KL(first), TL_KI(at.from), table, weights, MOMENT(g, M), MOMENT(g, V), TL_KBUF(ratio->buffer),
                      TL_KF(p->lr), TL_KF(fix1), TL_KF(root), TL_KF(p->eps), TL_KF(p->weight_decay)) == 0 ? 3 : 2;
}

/* ---- rows without gradient and moments: what a step multiplies them by; 0 where it does something else to them ----
 */

/* A decay that is part of the gradient makes one for every row. */
static double stands(const tl_optim_options *o) { return o->weight_decay == 0 ? 1 : 0; }
static double stands_beside_eps(const tl_optim_options *o) { return o->eps > 0 ? stands(o) : 0; } /* 0 / 0 otherwise */
static double shrinks(const tl_optim_options *o) { return 1 - o->lr * o->weight_decay; }
static double shrinks_beside_eps(const tl_optim_options *o) { return o->eps > 0 ? shrinks(o) : 0; }

/* ---- the table ---- */

static const tl__rule rules[] = {
    {"sgd", {.lr = 1e-3}, sgd_moments, sgd_apply, 0, stands},
    {"adam", {.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8}, adam_moments, adam_apply, 0, stands_beside_eps},
    {"adamw",
     {.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 1e-2},
     adam_moments,
     adamw_apply,
     0,
     shrinks_beside_eps},
    {"rmsprop", {.lr = 1e-2, .alpha = 0.99, .eps = 1e-8}, rmsprop_moments, rmsprop_apply, 0, stands_beside_eps},
    {"lion", {.lr = 1e-4, .beta1 = 0.9, .beta2 = 0.99}, lion_moments, lion_apply, 0, shrinks},
    {"lamb", {.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-6}, adam_moments, lamb_apply, 1, NULL},
};
enum { RULES = sizeof rules / sizeof *rules };
const char *const tl__optim_names[] = {"sgd", "adam", "adamw", "rmsprop", "lion", "lamb", NULL};
const char *const tl__optim_moment_names[] = {"m", "v", "a", "ema", NULL};

const tl__rule *tl__rule_find(const char *name)
{
    for (int i = 0; i < RULES && name; i++)
        if (strcmp(rules[i].name, name) == 0) return &rules[i];
    return NULL;
}

const char *tl__rule_check(const tl_optim_options *o)
{
    if (!(o->lr >= 0) || !(o->eps >= 0) || !(o->weight_decay >= 0) || !(o->momentum >= 0)) return "lr, weight_decay, momentum and eps must not be negative";
    if (!(o->beta1 >= 0 && o->beta1 < 1 && o->beta2 >= 0 && o->beta2 < 1)) return "betas lie between 0 and 1";
    if (!(o->alpha >= 0 && o->alpha < 1)) return "alpha lies between 0 and 1";
    if (o->nesterov && (o->momentum == 0 || o->dampening != 0)) return "Nesterov's form wants a momentum, and no dampening";
    return NULL;
}

int tl_optim_defaults(const char *name, tl_optim_options *o)
{
    const tl__rule *r = tl__rule_find(name);
    if (r) *o = r->defaults;
    return r ? 0 : -1;
}
