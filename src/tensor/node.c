/* node.c - the places of tensors in the graph. Calls belong to a floor above: a node that goes tells its maker through
 * a hook. */
#include "tensor/tensor.h"

#include <stdlib.h>

tl_node *tl__node_new(tl_error *err, const tl_tensor *t)
{
    tl_node *n = tl__calloc(err, 1, sizeof *n);
    if (!n) return NULL;
    n->refs = 1;
    n->shape = t->shape;
    n->dtype = t->dtype;
    return n;
}

void tl__node_retain(tl_node *n) { n->refs++; }

void tl__node_release(tl_node *n)
{
    if (!n || --n->refs > 0) return;
    if (n->call) n->leave(n->call, n->index);
    tl__node_zero_grad(n);
    tl__home_leave(n);
    free(n);
}
