/* home.c - flat buffers for the gradients of neighbours, there only while they are needed. */
#include "tensor/tensor.h"

#include <stdlib.h>

tl_home *tl__home_new(tl_error *err, tl_device *d, int64_t length)
{
    tl_home *h = tl__calloc(err, 1, sizeof *h);
    if (!h) return NULL;
    *h = (tl_home){.refs = 1, .device = d, .length = length};
    tl_device_retain(d);
    return h;
}

void tl__home_release(tl_home *h)
{
    if (!h || --h->refs > 0) return;
    tl_tensor_release(h->flat);
    tl_device_release(h->device);
    free(h);
}

static void one_less(tl_home *h)
{
    if (--h->used > 0) return;
    tl_tensor_release(h->flat);
    h->flat = NULL;
}

int tl__home_take(tl_scope *s, tl_node *n, const tl_tensor *g)
{
    tl_home *h = n->home;
    tl_shape whole = {1, {h->length}};
    int64_t strides[TL_MAX_RANK] = {0}, count = tl__numel(&n->shape), end = (count + 15) / 16 * 16;
    if (!h->flat && !(h->flat = tl__tensor_new(&s->err, h->device, TL_F32, &whole))) return -1;
    tl__packed_strides(&n->shape, strides);
    h->used++;
    h->flat->buffer->version++;
    n->grad = tl__tensor_view(&s->err, h->flat, &n->shape, strides, n->at);
    if (n->grad && tl__copy_into(s, g, n->grad) == 0 &&
        tl__buffer_fill(&s->err, h->flat->buffer, (size_t)(n->at + count) * 4, (size_t)(end - count) * 4, 0) == 0)
        return 0;
    tl_tensor_release(n->grad);
    n->grad = NULL;
    one_less(h);
    return -1;
}

void tl__node_zero_grad(tl_node *n)
{
    int lodging = n->home && n->grad && !n->grad->rows;
    tl_tensor_release(n->grad);
    n->grad = NULL;
    if (lodging) one_less(n->home);
}

void tl__home_leave(tl_node *n)
{
    tl_home *h = n->home;
    if (!h) return;
    n->home = NULL;
    if (n->grad && !n->grad->rows) one_less(h);
    tl__home_release(h);
}
