/* check.h - a short test of the operators on one device, for those whose device nobody has tested: results against
 * references in double precision on the host, gradients against differences, the same bits twice, other layouts. What
 * descriptors bring as samples drives it, so a new operator is checked without a line here. */
#ifndef TLUA_CHECK_H
#define TLUA_CHECK_H

#include "op/op.h"

/* What became of a family of operators. */
typedef struct tl__check_family {
    const char *name;
    long checks, failures;
    int reached;            /* to its end; 0: the time was over before */
    int compared, others;   /* operators with a reference, and those held against themselves alone */
    double seconds;
    char first[400];        /* the first failure: operator, sample, what is wrong */
} tl__check_family;

/* Who wants to hear: `begin` before a family is tried (a driver may take the program down with it), `end` after it. */
typedef struct tl__check_listener {
    void (*begin)(void *user, const char *family);
    void (*end)(void *user, const tl__check_family *result);
    void *user;
} tl__check_listener;

/* Checks family by family on a device of its own, until `seconds` are over. `traits` gets what the device is. 0, or -1
 * where there is no such device; failures are told to the listener. TLUA_CHECK_WRONG=softmax takes the reference of
 * that operator wrong, for tests of what is said then. */
int tl__check(tl_error *err, const char *spec, double seconds, const tl__check_listener *listener, tl_traits *traits);

/* ---- inside ---- */

typedef struct tl__checker {
    tl_device *d;
    double until;                 /* on the monotonic clock */
    int cut;                      /* something was left out since the time was over */
    int lost;                     /* the driver failed: the device is opened anew before the next family */
    tl__check_family *family;     /* that is being checked */
    const char *wrong;
} tl__checker;

/* Counts a check; a failed one is described, the first of a family kept. Returns ok. */
int tl__check_that(tl__checker *k, int ok, const char *format, ...) TL__PRINTF(3, 4);
/* Counts a failure with a scope's error. */
void tl__check_error(tl__checker *k, const char *what, const tl_error *err);
/* Whether to go on; where not, the family counts as cut short. */
int tl__check_time_left(tl__checker *k);
/* Some samples of an operator. */
void tl__check_op(tl__checker *k, const tl_op *op);
/* Numbers in [-1, 1), the same ones for a name. */
float *tl__check_numbers(const char *name, int64_t n);

/* What no sample shows (check_more.c): types and layouts, long and many rows, each maker of the matrix product, the
 * mask of dropout, steps of optimisers. */
void tl__check_copies(tl__checker *k);
void tl__check_rows(tl__checker *k);
void tl__check_makers(tl__checker *k);
void tl__check_dropout(tl__checker *k);
void tl__check_optimisers(tl__checker *k);

#endif
