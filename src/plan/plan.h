/* plan.h - a forward as a list of calls, traced once in a dry run and run many times without Lua, tape or history.
 *
 * The calls are those of the operators (op/op.h) and run by the very same functions; a plan only knows more: which
 * tensors are constants (batch norms are folded into the convolutions before them, and the folded weights kept packed
 * alone), what follows what (residuals and activations become part of the call before), and how long a result is
 * needed (all intermediate results share one buffer). The number of pictures may change from run to run. */
#ifndef TLUA_PLAN_H
#define TLUA_PLAN_H

#include "op/op.h"

typedef struct tl_plan tl_plan;

/* Begins: a dry run is on until tl__plan_end, and calls made in any scope of the device meanwhile are listed. `*x` is a
 * stand-in for the input, of the given shape but with a batch of the plan's own choosing; the caller has one reference. */
tl_plan *tl__plan_begin(tl_error *err, tl_device *d, const tl_shape *shape, tl_tensor **x);
/* Ends the dry run. `y` is the result, made from *x by operators alone; NULL abandons the plan. Returns 0, or -1 with
 * the reason why there can be no plan (TL_ESTATE; tl__plan_free then). */
int tl__plan_end(tl_error *err, tl_plan *p, tl_tensor *y);
void tl__plan_free(tl_plan *p);
/* Ends the dry run without working on the list: what comes out is for tl__plan_write, and cannot run. 0 or -1, as above. */
int tl__plan_stop(tl_error *err, tl_plan *p, tl_tensor *y);

/* y for x: (N, ...) with any N. No gradient flows. Owned by the scope. */
tl_tensor *tl__plan_run(tl_scope *s, tl_plan *p, tl_tensor *x);
/* Bytes that a run of n pictures needs beside weights, input and result: the shared buffer. 0 and an error on failure. */
size_t tl__plan_bytes(tl_scope *s, tl_plan *p, int64_t n);
/* One line a call: operator, inputs, result, place. The caller frees it. */
char *tl__plan_text(tl_error *err, const tl_plan *p);

/* The calls as text (listing.c), of a plan that was stopped. `name` gives the name that a constant has in the file; NULL for one that is
 * not there, which is an error. The caller frees the text. */
typedef const char *(*tl_name_of)(void *user, const tl_tensor *t);
char *tl__plan_write(tl_error *err, const tl_plan *p, tl_name_of name, void *user);
/* A plan from such a text, which may come from a stranger. `find` gives the tensor of a name, borrowed, or NULL; the plan holds
 * what it needs. NULL and an error on failure. */
typedef tl_tensor *(*tl_tensor_named)(void *user, const char *name);
tl_plan *tl__plan_read(tl_error *err, tl_device *d, const char *text, tl_tensor_named find, void *user);

/* ---- inside ---- */

enum { TL_PLAN_BATCH = 37 };  /* of the dry run: a prime that no network has as a width, so that it is recognised in attributes */

/* Weights of a convolution with a batch norm folded in. They are made when a call first wants them and given back once
 * the kernels have packed what they need; `stays`: a kernel reads them as they are. */
typedef struct tl_fold {
    tl_tensor *from[6];          /* weight, bias, norm's weight, bias, mean, variance; held */
    const tl_buffer *buffer[6];  /* where and in which version they were when folded */
    unsigned version[6];
    double eps;
    tl_tensor *weight, *bias;
    int stays;
} tl_fold;

typedef struct tl_slot {
    tl_meta meta;
    tl_tensor *constant;  /* held; NULL: a value of the run */
    int fold, which;      /* number of a fold or -1; 0 its weight, 1 its bias */
    int base;             /* of a view: the slot that it looks at; else itself */
    int maker, last;      /* numbers of calls; -1: the input */
    int64_t at;           /* place in the shared buffer, in elements; -1: not there */
} tl_slot;

typedef struct tl_plan_call {
    const tl_op *op;
    int n_in, n_out;      /* with hidden outputs */
    int *in;              /* slots; -1: absent */
    int out[TL_MAX_OUTPUTS];
    tl_value attr[TL_MAX_ATTRS];
    int where;            /* the layer, for profiles */
    int dead;
    int64_t batches;      /* of an expand: the dimension `batch_at` is so many times the batch; else 0 */
    int batch_at;
} tl_plan_call;

struct tl_plan {
    tl_trace trace;       /* first, so that the hook finds the plan */
    tl_device *device;
    tl_error failed;      /* why it cannot be */
    tl_slot *slots;
    tl_plan_call *calls;
    tl_fold *folds;
    tl_tensor **seen;     /* the slots' tensors while tracing */
    int slot_count, call_count, fold_count, slot_room, call_room, fold_room;
    int input, output;
    int64_t batch;        /* for which shapes and places are worked out */
    int64_t elements;     /* of the shared buffer */
};

int tl__plan_slot(tl_plan *p, const tl_slot *slot, tl_tensor *t);
/* Rewrites the list: folds, epilogues, what nobody uses. */
int tl__plan_improve(tl_error *err, tl_plan *p);
/* Works out shapes and places for a batch. */
int tl__plan_place(tl_scope *s, tl_plan *p, int64_t batch);
/* A folded weight or bias as it is now; hollow unless `filled`. */
tl_tensor *tl__fold_get(tl_scope *s, tl_fold *f, int which);
int tl__fold_fill(tl_scope *s, tl_fold *f);

#endif
