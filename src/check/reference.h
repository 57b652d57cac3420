/* reference.h - operators once more, written down as their formulas say, in double precision and without a thought of
 * speed. What a device computes is held against them by `tlua check` (check.h). */
#ifndef TLUA_REFERENCE_H
#define TLUA_REFERENCE_H

#include "op/op.h"

/* One sample, and where its result goes. */
typedef struct tl__reference {
    const tl_sample *s;
    const double *in[TL_MAX_INPUTS];  /* packed; labels and ids as numbers too; NULL: absent */
    tl_shape out;                     /* of the first output, which the operator's own infer gave */
    double *y;                        /* packed, cleared */
} tl__reference;

typedef void tl__reference_fn(const tl__reference *r);

/* The reference of an operator; NULL where nobody has written one. */
tl__reference_fn *tl__reference_of(const tl_op *op);

/* The same for operators of networks (reference_nets.c): products, convolutions, pooling, norms, attention, sequences.
 */
tl__reference_fn *tl__reference_of_nets(const char *name);
/* And for maps and masks (reference_maps.c). */
tl__reference_fn *tl__reference_of_maps(const char *name);

/* The activation that products and convolutions end with. */
double tl__reference_activation(int act, double x);
/* An attribute that is one number for all dimensions or one for each. */
int64_t tl__reference_number(const tl_value *v, int i, int64_t fallback);

#endif
