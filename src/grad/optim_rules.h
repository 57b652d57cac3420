/* optim_rules.h - kinds of optimisers: what each keeps beside a parameter, and its step over a stretch of the flat buffers. */
#ifndef TLUA_OPTIM_RULES_H
#define TLUA_OPTIM_RULES_H

#include "grad/optim.h"

/* Running values of a parameter, under the names of tl__optim_moment_names. The last is no rule's: the average of the weights, which
 * tl_optim_ema begins. */
enum { TL__MOMENT_M, TL__MOMENT_V, TL__MOMENT_A, TL__MOMENT_EMA, TL__MOMENTS };

/* Parameters that lie in one flat buffer. Each begins on a cache line; the gaps are zero, of gradients too. */
typedef struct tl__group {
    tl_optim_options options;
    int count;
    unsigned has;              /* moments that there are: bits of 1 << TL__MOMENT_x */
    tl_tensor **params;
    int64_t *at;               /* where each begins in the flat buffers */
    tl_home **homes;           /* of their gradients, held: stretches of whole parameters, cut every 32 MB */
    int64_t *home_at;          /* where each home begins in the flat buffers, and `total` at the end */
    int home_count;
    int *home_of;              /* of each parameter, its index in `homes` */
    int64_t *steps;            /* of each: PyTorch counts per parameter */
    int64_t total;
    tl_tensor *weights, *moment[TL__MOMENTS];  /* flat; held */
    tl_tensor **view[TL__MOMENTS];   /* moments of single parameters, made when asked for */
    /* For kinds that need the norm of each parameter: pieces (n, 4) int32 {start / 16, length, parameter, 0}, none of which
     * spans two; the first of each parameter, and their number at the end. NULL otherwise. */
    tl_tensor *pieces;
    int64_t *first_piece;
} tl__group;

/* Neighbours in a group with one home, parameters from..to-1: `n` elements from `at` on, their gradients, where these begin in the
 * flat buffers, and the number of their step from 1. */
typedef struct tl__stretch { int64_t at, n, step; int from, to; tl_buffer *gradients; int64_t gradients_at; } tl__stretch;

/* A kind of optimiser. `apply` is one launch over a stretch, three where norms are needed; it says how many were made. */
typedef struct tl__rule {
    const char *name;
    tl_optim_options defaults;
    unsigned (*moments)(const tl_optim_options *o);   /* bits of 1 << TL__MOMENT_x */
    int (*apply)(tl_scope *s, const tl__group *g, tl__stretch at);
    int norms;                                        /* wants `pieces` */
} tl__rule;

/* NULL for an unknown name. */
const tl__rule *tl__rule_find(const char *name);
/* What is wrong with the options, in one line; NULL: nothing. */
const char *tl__rule_check(const tl_optim_options *o);
/* Fills in g->pieces and g->first_piece from g->at and the parameters to be. 0 or -1. */
int tl__group_cut(tl_scope *s, tl__group *g, tl_tensor *const *params);
/* A launch with one work-item for each `chunk` of n elements (the device's choice) of a kernel in optim.cl. */
tl_launch tl__optim_launch(const tl_scope *s, const char *kernel, int64_t n, int64_t *chunk);

#endif
