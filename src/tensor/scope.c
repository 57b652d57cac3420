/* scope.c - scopes: who owns what an expression made, and where its first failure is kept. */
#include "tensor/tensor.h"

#include <stdlib.h>

tl_scope *tl_scope_open(tl_device *d, tl_error *err)
{
    tl_scope *s = tl__calloc(err, 1, sizeof *s);
    if (!s) return NULL;
    s->device = d;
    s->recording = 1;
    s->trace = d->trace;
    tl_device_retain(d);
    return s;
}

static void drop_items(tl_scope *s)
{
    for (int i = 0; i < s->count; i++) tl_tensor_release(s->items[i]);
    free(s->items);
    s->items = NULL;
    s->count = s->room = 0;
}

void tl_scope_close(tl_scope *s)
{
    if (!s) return;
    drop_items(s);
    tl_device_release(s->device);
    free(s);
}

int tl_scope_failed(const tl_scope *s) { return s->err.code != TL_OK; }
const tl_error *tl_scope_error(const tl_scope *s) { return &s->err; }
tl_device *tl_scope_device(const tl_scope *s) { return s->device; }

int tl_scope_record(tl_scope *s, int on)
{
    int was = s->recording;
    s->recording = on;
    return was;
}

void tl__scope_root(tl_scope *s, tl_device *d, int recording)
{
    *s = (tl_scope){.device = d, .recording = recording, .trace = d->trace};
}

void tl__scope_drop(tl_scope *s) { drop_items(s); }

void tl__scope_begin(tl_scope *s, tl_scope *parent)
{
    *s = (tl_scope){.err = parent->err, .device = parent->device, .recording = parent->recording, .parent = parent,
                    .trace = parent->trace};
}

void tl__scope_end(tl_scope *s)
{
    drop_items(s);
    if (s->err.code && !s->parent->err.code) s->parent->err = s->err;
}

tl_tensor *tl__scope_own(tl_scope *s, tl_tensor *t)
{
    if (!t) return NULL;
    if (s->count == s->room) {
        int room = s->room ? 2 * s->room : 8;
        tl_tensor **items = tl__realloc(&s->err, s->items, (size_t)room * sizeof *items);
        if (!items) {
            tl_tensor_release(t);
            return NULL;
        }
        s->items = items;
        s->room = room;
    }
    return s->items[s->count++] = t;
}

tl_tensor *tl__scope_hand_up(tl_scope *child, tl_tensor *t)
{
    if (!t) return NULL;
    tl_tensor_retain(t);
    return tl__scope_own(child->parent, t);
}
