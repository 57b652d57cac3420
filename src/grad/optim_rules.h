/* optim_rules.h - kinds of optimisers: what each keeps beside a parameter, and its step over a stretch of the flat buffers. */
#ifndef TLUA_OPTIM_RULES_H
#define TLUA_OPTIM_RULES_H

#include "grad/optim.h"

/* Running values of a parameter, under the names of tl__optim_moment_names. The last is no rule's: the average of the weights, which
 * tl_optim_ema begins. */
enum { TL__MOMENT_M, TL__MOMENT_V, TL__MOMENT_A, TL__MOMENT_EMA, TL__MOMENTS };

/* A parameter of many rows of which a step may touch few, as a vocabulary's (optim_table.c). It stays where it is, and
 * while its gradients come by rows it has moments for the rows alone that ever had one: the others have none, and a
 * step only shrinks them, which they may owe (tl_debt). From the first whole gradient on it is like any other. */
typedef struct tl__table {
    int param;                 /* which of its group */
    int whole;                 /* moments are of all rows */
    int account;               /* the buffer of weights can have debts */
    int64_t rows, width;
    tl_tensor *weights;        /* an alias of the parameter; held */
    tl_tensor *moment[TL__MOMENTS]; /* (room, width), or of all rows; the average of the weights always of all; held */
    tl_tensor *view[TL__MOMENTS];   /* what tl__optim_moment gave; held */
    int64_t used, room, paid;  /* rows with moments, for how many there is room, how many have no debts any more */
    int32_t *row, *slot;       /* of each of `used` its row; of each row which of them it is, or -1 */
    tl_tensor *place;          /* (used, 2) int32 of the step under way: row and row of the gradient; held */
} tl__table;

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
    tl__table *tables;         /* parameters with a buffer of their own; they take no place in the flat ones */
    int table_count;
    /* For kinds that need the norm of each parameter: pieces (n, 4) int32 {start / 16, length, parameter, 0}, none of which
     * spans two; the first of each parameter, and their number at the end. NULL otherwise. */
    tl_tensor *pieces;
    int64_t *first_piece;
} tl__group;

/* Neighbours in a group with one home, parameters from..to-1: `n` elements from `at` on, their gradients, where these begin in the
 * flat buffers, and the number of their step from 1. */
typedef struct tl__stretch {
    int64_t at, n, step;
    int from, to;
    tl_buffer *gradients;
    int64_t gradients_at;
    tl__table *table;          /* a table instead, and `n` its gradient's elements; NULL: neighbours */
    tl_buffer *place; /* for a rule, of some rows of it: `n` elements of moments, gradients_at the width (cl/optim.cl);
                         or NULL */
} tl__stretch;

/* A kind of optimiser. `apply` is one launch over a stretch, three where norms are needed; it says how many were made. */
typedef struct tl__rule {
    const char *name;
    tl_optim_options defaults;
    unsigned (*moments)(const tl_optim_options *o);   /* bits of 1 << TL__MOMENT_x */
    int (*apply)(tl_scope *s, const tl__group *g, tl__stretch at);
    int norms;                                        /* wants `pieces` */
    double (*shrink)(const tl_optim_options
                         *o); /* of rows without gradient and moments, 0: they are not left alone; NULL: never are */
} tl__rule;

/* NULL for an unknown name. */
const tl__rule *tl__rule_find(const char *name);
/* What is wrong with the options, in one line; NULL: nothing. */
const char *tl__rule_check(const tl_optim_options *o);
/* Fills in g->pieces and g->first_piece from g->at and the parameters to be. 0 or -1. */
int tl__group_cut(tl_scope *s, tl__group *g, tl_tensor *const *params);
/* ---- tables (optim_table.c) ---- */

/* Whether a parameter is to be one. */
int tl__table_suits(const tl__rule *r, const tl_optim_options *o, const tl_tensor *p);
/* Fills in a table of `p`, parameter number i. 0 or -1. */
int tl__table_init(tl_error *err, tl__table *t, const tl_tensor *p, int i);
/* The table that parameter i is; NULL: it lies in the flat buffers. */
tl__table *tl__table_of(const tl__group *g, int i);
void tl__table_free(tl__table *t);
/* All that can fail before a step: places for rows that are new, or moments of all rows. `has`: moments of the kind. 0
 * or -1. */
int tl__table_ready(tl_scope *s, const tl__group *g, tl__table *t);
/* A step of a table that is ready; how many launches were made that count. */
int tl__table_step(tl_scope *s, const tl__rule *r, const tl__group *g, tl__stretch at);
/* As a state is taken up: no moments but of these rows (int32, NULL: of none), or of all. 0 or -1. */
int tl__table_take_rows(tl_scope *s, const tl__group *g, tl__table *t, const tl_tensor *rows);
int tl__table_take_all(tl_scope *s, const tl__group *g, tl__table *t);
/* A moment as a view: of the rows with moments in their order, or whole; NULL: there is none. */
tl_tensor *tl__table_moment(const tl__group *g, tl__table *t, int which);

/* A launch with one work-item for each `chunk` of n elements (the device's choice) of a kernel in optim.cl. */
tl_launch tl__optim_launch(const tl_scope *s, const char *kernel, int64_t n, int64_t *chunk);

#endif
