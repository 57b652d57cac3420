/* op.h - what an operator is: one descriptor, from which follow the call, the gradient, the Lua
 * method, option parsing, the documentation and the tests.
 *
 * To add one: write its kernel in cl/, its descriptor in a family file here, one line in ops.def, one
 * prototype in tlua_ops.h. `infer` gives types and shapes of the outputs, apply allocates them,
 * `forward` only writes what it is given. `vjp` is written in public operators wherever that is fast
 * enough; it sees `needs`, so that a frozen input costs nothing. Shapes of inputs are always in
 * `in_meta`; the values only of those that `saves` names. */
#ifndef TLUA_OP_H
#define TLUA_OP_H

#include "tensor/tensor.h"

#include <float.h>

enum { TL_MAX_INPUTS = 8, TL_MAX_OUTPUTS = 4, TL_MAX_ATTRS = 12, TL_ATTR_LIST = 8 };

typedef struct tl_meta { tl_shape shape; tl_dtype dtype; } tl_meta;

typedef enum tl_attr_kind {
    TL_A_END = 0,
    TL_A_INT,
    TL_A_FLOAT,
    TL_A_BOOL,
    TL_A_AXIS,    /* one dimension; -1 is the last; from Lua counted from 1 */
    TL_A_AXES,    /* a list of dimensions; empty: all */
    TL_A_INTS,    /* a list of whole numbers */
    TL_A_FLOATS,  /* a list of numbers */
    TL_A_CHOICE   /* one of `choices`, held as its index */
} tl_attr_kind;

typedef struct tl_attr {
    tl_attr_kind kind;
    const char *name, *brief;
    double fallback;             /* value when not given (lists: empty) */
    const char *const *choices;  /* NULL-ended */
    int required;
    double least, most;          /* what a number may be, checked for every call; both 0: anything */
} tl_attr;

#define TL_INT(n, d, b) {TL_A_INT, n, b, d, NULL, 0, 0, 0}
#define TL_FLOAT(n, d, b) {TL_A_FLOAT, n, b, d, NULL, 0, 0, 0}
#define TL_RANGE(n, d, least, most, b) {TL_A_FLOAT, n, b, d, NULL, 0, least, most}
#define TL_FROM_0(n, d, b) TL_RANGE(n, d, 0, DBL_MAX, b)
#define TL_NUMBER(n, b) {TL_A_FLOAT, n, b, 0, NULL, 1, 0, 0}
#define TL_BOOL_(n, d, b) {TL_A_BOOL, n, b, d, NULL, 0, 0, 0}
#define TL_AXIS(n, d, b) {TL_A_AXIS, n, b, d, NULL, 0, 0, 0}
#define TL_AXES(n, b) {TL_A_AXES, n, b, 0, NULL, 0, 0, 0}
#define TL_INTS(n, b) {TL_A_INTS, n, b, 0, NULL, 0, 0, 0}
#define TL_FLOATS(n, b) {TL_A_FLOATS, n, b, 0, NULL, 0, 0, 0}
#define TL_CHOICE(n, list, b) {TL_A_CHOICE, n, b, 0, list, 0, 0, 0}

typedef struct tl_value {
    int64_t i;       /* TL_A_INT, BOOL, AXIS, CHOICE */
    double f;        /* TL_A_FLOAT */
    int n;           /* lists: how many */
    union {
        int64_t list[TL_ATTR_LIST];
        double numbers[TL_ATTR_LIST];  /* TL_A_FLOATS */
    };
} tl_value;

struct tl_op;

typedef struct tl_call {
    const struct tl_op *op;
    int n_in, n_out;
    tl_tensor **in;              /* while forward runs: all; in vjp: those that were saved, else NULL */
    tl_meta *in_meta;
    uint8_t *present;            /* an optional input was given */
    uint8_t *needs;              /* vjp: a gradient is wanted for this input */
    tl_tensor *out[TL_MAX_OUTPUTS];  /* while forward runs: all; in vjp: those that were saved */
    tl_meta out_meta[TL_MAX_OUTPUTS];
    tl_value attr[TL_MAX_ATTRS];
    tl_rng_key key;              /* of operators that draw numbers */
    /* the rest belongs to apply and backward */
    tl_node **in_node;
    unsigned *in_version;
    unsigned out_version[TL_MAX_OUTPUTS];
    tl_node *out_node[TL_MAX_OUTPUTS];   /* not held: a node takes itself out when it goes */
    uint64_t serial, mark;
    long refs;
    int where;                   /* the layer, for profiles */
    unsigned again;              /* inputs that were not kept: their maker computes them again */
    int consumed;
    struct tl_call *next;
} tl_call;

/* What an input must look like in memory; apply copies it when it does not. */
typedef enum tl_layout { TL_PACKED = 0, TL_ROWS, TL_ANY } tl_layout;

#define TL_SAVE_IN(i) (1u << (i))
#define TL_SAVE_OUT(i) (1u << (16 + (i)))

/* One call to try: shapes and attributes. The tests (tests/op/) evaluate it, check its gradient by
 * central differences on plain, transposed and sliced inputs, and compare it with PyTorch. */
typedef struct tl_sample {
    const struct tl_op *op;
    int n_in;
    struct {
        tl_shape shape;
        int absent, whole, integer;
        double low, high;
    } in[TL_MAX_INPUTS]; /* values uniform in low..high; whole numbers for int inputs and `whole`;
            `integer`: int32 where the operator takes either type */
    tl_value attr[TL_MAX_ATTRS];
    double tolerance;   /* relative, of the gradient check; 0: the default */
    int no_gradient;    /* not differentiable at these values */
    int only_packed;    /* not worth trying on views (large) */
} tl_sample;

/* Where samples go. `small`: only tiny shapes are wanted (Oclgrind). `tile_m`, `tile_n`: the device's register
 * tile, so that shapes one less, equal and one more can be tried. */
typedef struct tl_sampler {
    void (*take)(struct tl_sampler *to, const tl_sample *sample);
    void *user;
    int small, tile_m, tile_n;
} tl_sampler;

/* A sample with default attributes, no inputs. */
tl_sample tl__sample(const struct tl_op *op);
/* Appends an input of the given shape with values in low..high (tl__sample_absent: an optional one left out). */
void tl__sample_input(tl_sample *s, int rank, const int64_t *dims, double low, double high);
void tl__sample_absent(tl_sample *s);
/* The same as tl__sample_input, of whole numbers in int32. */
void tl__sample_whole(tl_sample *s, int rank, const int64_t *dims, double low, double high);
/* Whether input i is int32: because the operator wants it so, or the sample. */
int tl__sample_is_int(const tl_sample *s, int i);
/* Gives `to` all samples of an operator: its own, or made-up ones. Sets the tile to the device's (NULL: a fixed one). */
void tl__samples(const struct tl_op *op, const tl_device *d, tl_sampler *to);
/* The values of input i of sample number `at`: float, or int32 for labels and ids; the caller frees them. NULL: no memory. */
void *tl__sample_values(tl_error *err, const tl_sample *s, int at, int i);
/* The operator is not smooth everywhere: its values keep their distance, and differences want small steps. */
int tl__sample_has_kinks(const struct tl_op *op);

/* What type the results have while the device lowers them (tl_device.lowered): that of a half type that all float inputs share, else
 * float32; the half type, whatever comes in, but where a residual of float32 is added; that of the first input; float32. */
typedef enum tl_mixed { TL_AS_ALL = 0, TL_LOWERED, TL_AS_FIRST, TL_WIDE } tl_mixed;

typedef struct tl_op {
    const char *name, *brief;
    const char *inputs[TL_MAX_INPUTS + 1];   /* "x", "bias?" where it may be absent, "x..." for any number */
    tl_attr attrs[TL_MAX_ATTRS + 1];
    tl_layout layout[TL_MAX_INPUTS];
    int (*infer)(tl_error *err, tl_call *c); /* sets n_out and out_meta; may complete attributes. 0 or -1 */
    int (*forward)(tl_scope *s, const tl_call *c);
    tl_tensor *(*view)(tl_scope *s, const tl_call *c); /* instead of forward: the single output, on the input's buffer */
    /* Sets gx[i] for each i with needs[i]; a shape that broadcasting enlarged is summed back by the caller. */
    void (*vjp)(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx);
    unsigned saves;
    unsigned (*saves_for)(const tl_call *c);  /* instead of saves, where it depends on `needs`, `present` and attributes */
    /* Computes the first output again from what the call saved (or could have again itself), for a cheap operator: then those who
     * need that output in their gradient need not keep it. The same bits as the forward's. NULL: not to be had. */
    tl_tensor *(*again)(tl_scope *s, const tl_call *c);
    int (*can_again)(const tl_call *c);       /* whether `again` can for this call; NULL: always */
    int hidden;                  /* so many last outputs are for the gradient only and not the caller's */
    /* Inputs that a call with these attributes writes in place (running statistics), as bits; NULL: none ever. A plan has no such call.
     * Then `move` writes them, in one launch, when all else is done: a call that fails has changed nothing and may be tried again.
     * `in` are the inputs; of c->out it sees those that `saves` names. */
    unsigned (*mutates)(const tl_value *attr);
    int (*move)(tl_scope *s, const struct tl_call *c, tl_tensor *const *in);
    int any_dtype;               /* takes inputs as they are; otherwise floats are converted to float32 */
    unsigned constants;          /* inputs that never get a gradient (running statistics, class weights) */
    unsigned int_inputs;         /* inputs that must be int32 (labels, ids) */
    tl_mixed mixed;
    unsigned halves;             /* inputs that forward takes as float16 and bfloat16 too: large and seldom changed */
    unsigned ints; /* inputs that may be int32 as well as floats; bit 31 stands for all from the 32nd on */
    unsigned alike;              /* of these: int32 where all of them are, else converted to float32 like the others */
    double (*flops)(const tl_call *c);  /* additions and multiplications of the forward, for profiles; NULL: one an output */
    int random;                  /* wants a key */
    void (*release)(tl_call *c); /* frees what the attributes stand for, when the call goes; NULL: nothing */
    const char *torch;           /* the PyTorch expression that gives the same, for goldens and docs */
    void (*samples)(tl_sampler *to);   /* NULL: the tests make up shapes from the inputs (pointwise) */
} tl_op;

/* All operators, NULL-ended. */
const tl_op *const *tl__ops(void);
const tl_op *tl__op_find(const char *name);

/* Fills `attr` with the descriptor's defaults. */
void tl__attr_defaults(const tl_op *op, tl_value *attr);
/* Inputs that a call writes in place, as bits. */
unsigned tl__op_mutates(const tl_op *op, const tl_value *attr);
/* Runs `op`. `attr` NULL: the defaults. The outputs are owned by the scope; the first is returned, all
 * are put in `out` if that is not NULL. */
tl_tensor *tl__apply(tl_scope *s, const tl_op *op, tl_tensor *const *in, int n_in, const tl_value *attr, tl_tensor **out);
/* The same without a tape, into outputs that the caller has (out[i] not NULL: a packed tensor of the right type and
 * shape); others are made. All are held by the caller afterwards, one reference each added. 0 or -1. */
int tl__apply_into(tl_scope *s, const tl_op *op, tl_tensor *const *in, int n_in, const tl_value *attr, tl_tensor **out);
/* ---- half precision (mixed.c) ---- */

/* The type of a call's results; `low`: what the device lowers to, TL_F32: nothing. */
tl_dtype tl__mixed_result(const tl_call *c, tl_tensor *const *in, tl_dtype low);
/* What the tape keeps of input i, of which the forward saw c->in[i]: the half that was given, a half of what a lowered operator was given,
 * or what the forward saw. One reference for the caller; NULL: no memory. */
tl_tensor *tl__mixed_kept(tl_scope *s, const tl_call *c, tl_tensor *const *in, int i, tl_dtype low);
/* Puts float32 in the place of what the tape keeps as halves, for the length of a gradient, and takes it away again. `last`: nobody will
 * ask for the halves afterwards, which go at once. */
typedef struct tl_widened { tl_tensor *in[16], *out[TL_MAX_OUTPUTS]; } tl_widened;
int tl__mixed_widen(tl_scope *s, tl_call *c, int last, tl_widened *kept);
void tl__mixed_restore(tl_call *c, const tl_widened *kept);

/* Somebody who wants to know of each call that is made in a scope: not of those inside operators. `out` has all
 * outputs that are not hidden. Set in device->trace. */
typedef struct tl_trace {
    void (*call)(struct tl_trace *t, const tl_call *c, tl_tensor *const *in, tl_tensor *const *out);
} tl_trace;
void tl__call_retain(tl_call *c);
void tl__call_release(tl_call *c);

/* What a forward is worth: operations, and bytes of inputs and outputs. */
double tl__call_flops(const tl_call *c);
double tl__call_bytes(const tl_call *c);

/* Messages: the operator's name comes first. */
int tl__op_fail(tl_error *err, const tl_call *c, int code, const char *format, ...) TL__PRINTF(4, 5);

/* ---- infer functions shared by families ---- */
int tl__infer_like_first(tl_error *err, tl_call *c);
/* Launches `kernel` with a work-item for each of `rows`; its name stands for the operator in errors. */
int tl__launch_rows(tl_scope *s, const tl_program *program, const char *kernel, int64_t rows, const tl_karg *args, int count);
int tl__infer_broadcast(tl_error *err, tl_call *c);
/* A launch with work-items over parts of `channels`, whose length goes into `part`, and over `rows`. */
tl_launch tl__launch_of_channels(const tl_scope *s, const tl_program *program, const char *kernel, int64_t channels,
                                 int64_t rows, int64_t *part);
/* A tensor as (outer, n, inner) around one of its dimensions. */
typedef struct tl_lines { int axis; int64_t outer, n, inner; } tl_lines;
/* 0, or -1 where attribute `attr` of the call names no dimension of input 0. */
int tl__lines(tl_error *err, const tl_call *c, int attr, tl_lines *lines);
/* ---- rows and columns shared by a group of work-items (row_groups.c) ---- */
/* Whether kernels of this kind are the device's: a GPU. */
int tl__in_groups(const tl_device *d);
/* Kernel NAME of `each` with a work-item a row, or on GPUs NAME_gpu of `grouped` with lanes to each of the rows of n
 * numbers: its arguments are the same and those of ROW_ARGS (cl/gpu/row_group.clh). */
int tl__launch_by_rows(tl_scope *s, const tl_program *each, const tl_program *grouped, const char *kernel,
                       const char *label, int64_t rows, int64_t n, const tl_karg *args, int count);
/* The latter alone: program, options and kernel of `of`. */
int tl__launch_row_groups(tl_scope *s, const tl_launch *of, const char *label, int64_t rows, int64_t n,
                          const tl_karg *args, int count);
/* How (outer, rows, columns) is summed down its columns: in `parts` of `length` rows, which follow from the shape. */
typedef struct tl_column_parts { int64_t outer, rows, columns, length, parts; } tl_column_parts;
tl_column_parts tl__column_parts(int64_t outer, int64_t rows, int64_t columns);
/* A kernel with groups (columns, part, outer), whose arguments end with COLUMN_ARGS (cl/gpu/column_group.clh). */
int tl__launch_columns(tl_scope *s, const tl_launch *of, const char *label, const tl_column_parts *g,
                       const tl_karg *args, int count);
/* Mean and sum of squared distances from it of the columns of x (outer, rows, columns), on GPUs:
 * (outer, 2, columns). */
tl_tensor *tl__moments_in_groups(tl_scope *s, const tl_tensor *x, int64_t outer, int64_t rows, int64_t columns,
                                 const char *label);

/* The gradient of a choice of `index` along an axis of x: gy added to where each came from. */
tl_tensor *tl__gather_gradient(tl_scope *s, tl_tensor *gy, tl_tensor *index, const tl_shape *x, int axis);

#endif
