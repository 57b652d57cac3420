/* plan.h - a forward as a list of calls, traced once in a dry run and run many times without Lua, tape or history.
 *
 * The calls are those of the operators (op/op.h) and run by the very same functions; a plan only knows more: which
 * tensors are constants (batch norms are folded into the convolutions before them, and the folded weights kept packed
 * alone), what follows what (residuals and activations become part of the call before), and how long a result is
 * needed (all intermediate results share one buffer). The number of pictures may change from run to run. */
#ifndef TLUA_PLAN_H
#define TLUA_PLAN_H

#include "base/text.h"
#include "op/op.h"

typedef struct tl_plan tl_plan;

/* ---- what goes in and comes out ---- */

enum { TL_PLAN_NAME = 64, TL_PLAN_PORTS = 64, TL_PLAN_SYMBOLS = 8 };

/* A size that is left open, like the number of pictures "N", and what it was (is) in the trace. */
typedef struct tl_symbol {
    char name[TL_PLAN_NAME];
    int64_t size;
} tl_symbol;

/* How long a dimension is: `times` a symbol, by its number; or, where that is one of these, `times` itself, or what
 * the calls make of it. */
enum { TL_SIZE_FIXED = -1, TL_SIZE_FOLLOWS = -2 };
typedef struct tl_size {
    int symbol;
    int64_t times;
} tl_size;

/* A named tensor that goes in or comes out. */
typedef struct tl_port {
    char name[TL_PLAN_NAME];
    int slot;                    /* of the plan */
    tl_dtype dtype;              /* TL_F32 or TL_I32 */
    int rank;
    tl_size dim[TL_MAX_RANK];
} tl_port;

/* What goes in, before there is a plan of it. `outputs` may name what comes out. */
typedef struct tl_signature {
    tl_symbol symbol[TL_PLAN_SYMBOLS];
    int symbols, inputs;
    tl_port in[TL_PLAN_PORTS];
} tl_signature;

/* The symbol of a name, which is added with that size where it is new. Its number, or -1 with an error. */
int tl__signature_symbol(tl_error *err, tl_signature *g, const char *name, int64_t size);
/* How long a dimension is with these symbols; 0 where that does not fit a size. */
int64_t tl__size_of(const tl_symbol *symbol, tl_size size);

/* ---- tracing ---- */

/* Begins: a dry run is on until tl__plan_stop, and calls made in any scope of the device meanwhile are listed. `x`
 * gets a stand-in for each input, of which the caller has one reference. */
tl_plan *tl__plan_begin(tl_error *err, tl_device *d, const tl_signature *g, tl_tensor **x);
/* Ends the dry run. y are the n results, made from the inputs by operators alone; n = 0 abandons the plan. Which
 * attributes and sizes are symbols' is not known yet. Returns 0, or -1 with the reason why there can be no plan
 * (TL_ESTATE; tl__plan_free then). */
int tl__plan_stop(tl_error *err, tl_plan *p, tl_tensor *const *y, int n);
/* Another trace of the same calls, with another size of symbol number `symbol` alone, tells what in p depends on it:
 * sizes.c. 0, or -1 and why that cannot be written down. */
int tl__plan_compare(tl_error *err, tl_plan *p, const tl_plan *other, int symbol);
/* The size for such another trace. */
int64_t tl__plan_other_size(const tl_symbol *symbol);
/* Makes of the list what runs (improve.c). 0 or -1. */
int tl__plan_improve(tl_error *err, tl_plan *p);
void tl__plan_free(tl_plan *p);

/* ---- running ---- */

/* y for x, each in the order of the plan's; the symbols take the sizes of x. No gradient flows. Owned by the scope.
 * 0 or -1. */
int tl__plan_run(tl_scope *s, tl_plan *p, tl_tensor *const *x, tl_tensor **y);
/* Bytes that a run of n pictures (of the symbol "N") needs beside weights, input and result: the shared buffer. 0
 * and an error on failure. */
size_t tl__plan_bytes(tl_scope *s, tl_plan *p, int64_t n);
/* One line a call: operator, inputs, result, place. The caller frees it. */
char *tl__plan_text(tl_error *err, const tl_plan *p);

/* ---- as text: docs/format.md ---- */

/* How a file calls the tensors of a network: the name of one, NULL where it is not there; and whether that is a
 * buffer, which is never trained. */
typedef struct tl_names {
    const char *(*name)(void *user, const tl_tensor *t);
    int (*is_buffer)(void *user, const char *name);
    void *user;
} tl_names;
/* The calls as text (listing.c), of a plan that was stopped and compared. A constant without a name is an error. The
 * caller frees the text. */
char *tl__plan_write(tl_error *err, const tl_plan *p, const tl_names *names);
/* A plan from such a text, which may come from a stranger. `find` gives the tensor of a name, borrowed, or NULL; the
 * plan holds what it needs. NULL and an error on failure. */
typedef tl_tensor *(*tl_tensor_named)(void *user, const char *name);
tl_plan *tl__plan_read(tl_error *err, tl_device *d, const char *text, tl_tensor_named find, void *user);
/* The same, not yet improved: it can be written, and cannot run. So a text of an older format becomes one of today. */
tl_plan *tl__plan_retrace(tl_error *err, tl_device *d, const char *text, tl_tensor_named find, void *user);

/* ---- inside ---- */

/* Of format 1: a prime that no network has as a width, by which the number of pictures is recognised in attributes. */
enum { TL_PLAN_BATCH = 37 };

/* A number in a call's attributes that is `times` a symbol. */
typedef struct tl_sized {
    int attr, at;                /* which attribute; which of its list, -1: it is no list */
    tl_size size;
} tl_sized;

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
    int sizes;            /* how many numbers are symbols' */
    tl_sized sized[TL_ATTR_LIST];
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
    tl_signature *g;      /* what goes in; its symbols have the sizes for which shapes and places are worked out */
    tl_port *out;
    int outputs;
    int placed;           /* they are */
    int64_t elements;     /* of the shared buffer */
};

int tl__plan_slot(tl_plan *p, const tl_slot *slot, tl_tensor *t);
/* Works out shapes and places for these sizes of the symbols. */
int tl__plan_place(tl_scope *s, tl_plan *p, const int64_t *sizes);
/* Gives the numbers of a call that are symbols' the sizes that these have now. */
void tl__plan_resize(const tl_plan *p, tl_value *attr, const tl_sized *sized, int n);
int tl__plan_is_output(const tl_plan *p, int slot);
/* The symbol that counts pictures, that of the first dimension of the first input; -1: there is none. */
int tl__plan_batch(const tl_plan *p);

/* A text of calls, read one by one (reading.c). */
typedef struct tl_listed {
    const tl_op *op;
    int n_in;
    struct {
        int value;
        const char *name;
    } in[256]; /* number of a value; -1: absent, or the tensor of that name, which the listing keeps */
    tl_value attr[TL_MAX_ATTRS];
    int sizes;
    tl_sized sized[TL_ATTR_LIST];
} tl_listed;
typedef struct tl_listing {
    cJSON *json;
    const cJSON *next;
    int format, calls;
    tl_signature g;
    tl_port out[TL_PLAN_PORTS];   /* `slot` is the number of the value */
    int outputs;
} tl_listing;
/* 0 or -1; closed in any case. */
int tl__listing_open(tl_error *err, tl_listing *l, const char *text);
/* The next call: 1, 0 at the end, -1. */
int tl__listing_next(tl_error *err, tl_listing *l, tl_listed *call);
void tl__listing_close(tl_listing *l);

/* A folded weight or bias as it is now; hollow unless `filled`. */
tl_tensor *tl__fold_get(tl_scope *s, tl_fold *f, int which);
int tl__fold_fill(tl_scope *s, tl_fold *f);

#endif
