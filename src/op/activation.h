/* activation.h - activations that products, convolutions and batch norms take along, by name and as operators of their
 * own. */
#ifndef TLUA_ACTIVATION_H
#define TLUA_ACTIVATION_H

#include "device/gemm/gemm.h"
#include "op/op.h"

/* Names in the order of tl_act, ended by NULL: the choices of an attribute. */
extern const char *const tl__activations[];
/* The activation of that name; NULL is none. `op` begins the error. 0 or -1. */
int tl__activation_named(tl_error *err, const char *op, const char *name, tl_act *act);
/* One of tl_act as an operator of its own. */
tl_tensor *tl__activation(tl_scope *s, tl_act act, tl_tensor *x);
/* gy * activation'(.), `from` being the output for relu and relu6, else what went into the activation. */
tl_tensor *tl__activation_gradient(tl_scope *s, tl_act act, tl_tensor *gy, tl_tensor *from);

#endif
