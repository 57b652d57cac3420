/* checkpoint.h - gradient checkpointing: a part of the forward of which only the input is kept; backward computes the part again and
 * goes through what that leaves. Memory for time (Chen, Xu, Zhang, Guestrin, "Training deep nets with sublinear memory cost", 2016). */
#ifndef TLUA_CHECKPOINT_H
#define TLUA_CHECKPOINT_H

#include "op/op.h"

/* A part that can be run again. */
typedef struct tl_part {
    /* Computes the part for `x` anew with the same random numbers, recording, and goes backward from `gy`: gradients of parameters are
     * added where they belong, that of x is returned (owned by the scope) where `wanted`. NULL with an error in the scope. */
    tl_tensor *(*again)(void *user, tl_scope *s, tl_tensor *x, int wanted, tl_tensor *gy);
    void (*free)(void *user);
    void *user;
} tl_part;

/* y, which the part made of x while nothing was recorded, as a result that backward knows: `part` is taken over, whatever happens. */
tl_tensor *tl__checkpoint(tl_scope *s, tl_tensor *x, tl_tensor *y, const tl_part *part);

#endif
