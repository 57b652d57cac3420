/* tensor.h - a tensor is a buffer, a 64-bit offset and strides: views share the buffer and never
 * copy. Reference-counted; a scope, the tape, a parameter and a Lua handle hold one reference each. */
#ifndef TLUA_TENSOR_H
#define TLUA_TENSOR_H

#include "device/device.h"

struct tl_call;

/* Where the gradients of neighbours in an optimiser lie side by side: a flat float32 buffer that is there only while one of
 * them has a gradient. So a backward can have the memory of activations that it has done with. */
typedef struct tl_home {
    long refs;
    tl_device *device;      /* held */
    int64_t length;         /* elements; a multiple of 16 */
    tl_tensor *flat;        /* held; NULL: nobody has a gradient */
    int used;               /* how many do */
    int by_rows;            /* of a table alone: a gradient that has some rows only is welcome as it is (tl_rows) */
} tl_home;

/* The place of a tensor in the graph that backward walks: its shape, who made it, its gradient.
 * It lives apart from the tensor, so that the graph can outlive the values. */
typedef struct tl_node {
    long refs;
    tl_shape shape;
    tl_dtype dtype;
    struct tl_call *call;   /* who made it, held; NULL for a leaf */
    int index;              /* which output of the call */
    void (*leave)(struct tl_call *call, int index); /* tells the call that the node goes, and drops it (op/apply.c) */
    tl_home *home;          /* held; of a parameter of an optimiser: its gradient is a view into home->flat from `at` on */
    int64_t at;
    tl_tensor *grad;        /* accumulated, held; of a leaf (and of others only while backward runs) */
} tl_node;

/* Which rows a gradient by rows has, in ascending order, each once. Its tensor is (count + 1, width), the last row
 * zero. */
typedef struct tl_rows {
    int64_t count;
    tl_tensor *whole;       /* held; the same as a tensor of all rows, where somebody has asked for it */
    int32_t id[];
} tl_rows;

struct tl_tensor {
    long refs;
    tl_buffer *buffer;
    tl_dtype dtype;
    tl_shape shape;
    int64_t stride[TL_MAX_RANK];  /* in elements; 0 where broadcast */
    int64_t offset;               /* in elements */
    tl_node *node;                /* NULL where no gradient is wanted */
    tl_rows *rows;                /* of a gradient that has some rows only; NULL: of all else */
};

struct tl_scope {
    tl_error err;
    tl_device *device;
    tl_tensor **items;
    int count, room;
    int recording;
    struct tl_scope *parent;     /* of a scope inside the library, whose failure passes upwards */
    struct tl_trace *trace;      /* where calls are listed while a plan is made (plan/) */
};

/* Scopes on the C stack, for intermediate results inside the library. A failed parent fails the child. */
void tl__scope_begin(tl_scope *s, tl_scope *parent);
/* Drops the child's tensors; a failure passes to the parent. */
void tl__scope_end(tl_scope *s);
/* A scope on the C stack without a parent, for callers that turn its failure into their own (bindings). */
void tl__scope_root(tl_scope *s, tl_device *d, int recording);
void tl__scope_drop(tl_scope *s);
/* Makes `s` own one reference to `t` (which it takes over; released on failure). Returns t or NULL. */
tl_tensor *tl__scope_own(tl_scope *s, tl_tensor *t);
/* Hands a child's tensor to its parent: adds a reference there. */
tl_tensor *tl__scope_hand_up(tl_scope *child, tl_tensor *t);

/* A packed tensor, not owned by any scope; one reference, the caller's. */
tl_tensor *tl__tensor_new(tl_error *err, tl_device *d, tl_dtype dtype, const tl_shape *shape);
/* Another tensor on the same buffer, without a node; one reference, the caller's. */
tl_tensor *tl__tensor_alias(tl_error *err, const tl_tensor *t);
/* The same, with new geometry. */
tl_tensor *tl__tensor_view(tl_error *err, const tl_tensor *t, const tl_shape *shape, const int64_t *stride, int64_t offset);

int tl__is_packed(const tl_tensor *t);
/* Last axis contiguous, and the axes before it fold into one row stride. Gives that stride. */
int tl__is_rows(const tl_tensor *t, int64_t *row_stride);

tl_node *tl__node_new(tl_error *err, const tl_tensor *t);
void tl__node_retain(tl_node *n);
/* Drops the gradient, and the memory of its home with the last one there. */
void tl__node_zero_grad(tl_node *n);
void tl__node_release(tl_node *n);

/* The two kernel arguments of a tensor: buffer and offset in elements. */
#define TL_KT(t) TL_KBUF((t) ? (t)->buffer : NULL), TL_KL((t) ? (t)->offset : 0)

/* ---- homes of gradients (home.c) ---- */

/* One reference, the caller's. */
tl_home *tl__home_new(tl_error *err, tl_device *d, int64_t length);
void tl__home_release(tl_home *h);
/* `g`, of the node's shape and any strides, becomes the gradient of a node that has a home and no gradient: copied to its place
 * there; what is left of its last 16 elements becomes 0. 0 or -1. */
int tl__home_take(tl_scope *s, tl_node *n, const tl_tensor *g);
/* The gradient, if there is one, stays with the node; another will not come here. */
void tl__home_leave(tl_node *n);

/* ---- gradients by rows (rows.c) ---- */

/* Zeros for `count` rows of a table, whose numbers are copied from `id`; of the scope. */
tl_tensor *tl__rows_new(tl_scope *s, int64_t count, const int32_t *id, int64_t width);
/* The sum of two gradients by rows, which has the rows of both. */
tl_tensor *tl__rows_sum(tl_scope *s, const tl_tensor *a, const tl_tensor *b);
/* Adds the rows to a whole packed gradient. 0 or -1. */
int tl__rows_add_into(tl_scope *s, tl_tensor *whole, const tl_tensor *rows);
/* The same gradient as a tensor of all rows. */
tl_tensor *tl__rows_whole(tl_scope *s, const tl_tensor *rows, const tl_shape *shape);
/* Of a tl_debt. */
int tl__rows_settle(tl_error *err, tl_buffer *of);

/* ---- helpers for kernels over any strides ---- */

/* Up to three operands walked together: adjacent dimensions that advance evenly are merged, the last
 * is `inner`, the others are rows. Passed to kernels by value (cl/common.clh has the same struct). */
typedef struct tl_walk {
    int64_t inner, rows;
    int64_t chunk, row_block;        /* how much of each one work-item does */
    int64_t inner_stride[3];
    int32_t rank, unused;
    int64_t dim[TL_MAX_RANK];
    int64_t stride[3][TL_MAX_RANK];
} tl_walk;

/* Walks `shape` with up to three operands of the given strides, for this device. */
void tl__walk(tl_walk *w, const tl_device *d, const tl_shape *shape, int operands, const int64_t *const *strides);
/* Global sizes for a launch over a walk. */
void tl__walk_grid(const tl_walk *w, tl_launch *l);

/* `t` itself if it is packed, else a packed copy (counted in device->copies), owned by the scope. No history. */
tl_tensor *tl__packed(tl_scope *s, tl_tensor *t);
/* `t` in another type, packed. No history. */
tl_tensor *tl__cast(tl_scope *s, tl_tensor *t, tl_dtype dtype);
/* y += x in place; y packed float32, x of the same shape, any strides. 0 or -1. */
int tl__add_into(tl_scope *s, tl_tensor *y, const tl_tensor *x);
/* Copies `from` into `to` (same shape, any strides, any types). 0 or -1. */
int tl__copy_into(tl_scope *s, const tl_tensor *from, const tl_tensor *to);

#endif
