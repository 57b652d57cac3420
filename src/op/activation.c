/* activation.c - see activation.h. Which there are stands in cl/activations.clh. */
#include "op/activation.h"

#include <string.h>

const char *const tl__activations[] = {
#define ACT(NUMBER, name) #name,
#include "../../cl/activations.clh"
    NULL};

int tl__activation_named(tl_error *err, const char *op, const char *name, tl_act *act)
{
    int i = 0;
    while (name && tl__activations[i] && strcmp(name, tl__activations[i]) != 0) i++;
    if (!tl__activations[i]) return tl__fail(err, TL_EARG, "%s: there is no activation \"%s\"", op, name);
    *act = (tl_act)i;
    return 0;
}

tl_tensor *tl__activation(tl_scope *s, tl_act act, tl_tensor *x)
{
    return act == TL_ACT_NONE ? x : tl__apply(s, tl__op_find(tl__activations[act]), &x, 1, NULL, NULL);
}

static const tl_program program = {"gemm_columns", NULL};

tl_tensor *tl__activation_gradient(tl_scope *s, tl_act act, tl_tensor *gy, tl_tensor *from)
{
    tl_tensor *g = tl__packed(s, gy), *y = g && from ? tl_empty(s, TL_F32, g->shape.rank, g->shape.dim) : NULL;
    if (!y) return NULL;
    const tl_traits *t = &s->device->traits;
    int64_t n = tl_numel(y), v = t->vector_width, chunk = t->is_cpu ? 4096 : v;
    tl_launch l = {.program = &program, .kernel = "activation_gradient", .dims = 1,
                   .global = {(size_t)((n + chunk - 1) / chunk)}, .local = {(size_t)t->is_cpu}};
    int bad = TL__LAUNCH(&s->err, s->device, &l, "linear", TL_KL(n), TL_KL(chunk), TL_KI(act), TL_KT(g), TL_KT(from),
                        TL_KT(y));
    return bad ? NULL : y;
}
