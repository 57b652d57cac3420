/* conv.h - what the files of the convolution share. */
#ifndef TLUA_OP_CONV_H
#define TLUA_OP_CONV_H

#include "device/gemm/gemm.h"
#include "op/op.h"

enum { TL_CONV_X, TL_CONV_WEIGHT, TL_CONV_BIAS, TL_CONV_RESIDUAL };
enum { TL_CONV_STRIDE, TL_CONV_PADDING, TL_CONV_PADDING_END, TL_CONV_DILATION, TL_CONV_GROUPS, TL_CONV_ACTIVATION };

extern const tl_op tl__op_conv;

/* A convolution with its one to three spatial dimensions widened to three (leading ones of length 1). */
typedef struct tl_conv_shape {
    int spatial;                 /* how many there really are */
    int64_t n, ci, co, groups, taps;
    int64_t in[3], out[3], kernel[3], stride[3], padding[3], padding_end[3], dilation[3];
} tl_conv_shape;

/* From the shapes and attributes of a call; 0, or -1 with an error. */
int tl__conv_shape(tl_error *err, const tl_call *c, tl_conv_shape *g);
int64_t tl__conv_pixels_out(const tl_conv_shape *g);  /* of one picture */
int64_t tl__conv_pixels_in(const tl_conv_shape *g);
int tl__conv_is_pointwise(const tl_conv_shape *g);    /* kernel, stride and padding of a plain matrix product */
int tl__conv_is_depthwise(const tl_conv_shape *g);

/* ---- computing one: conv_makers.c ---- */

/* y = act(x * w + bias + residual), all packed. The weights are read through strides, so that the turned ones of a
 * gradient need no copy: element (o, tap, i) lies at w->offset + at + o * out + tap * tap_step + i * in, where i counts the
 * channels of one group. */
typedef struct tl_conv_job {
    tl_conv_shape g;
    tl_tensor *x, *w, *bias, *residual, *y;   /* bias, residual: or NULL */
    struct { int64_t at, out, tap, in; } stride;
    tl_act act;
    int keep;        /* the weights seldom change: what is packed of them is kept beside their buffer */
    int inference;   /* nothing is recorded: a transform that rounds a little differently is allowed */
} tl_conv_job;

/* The strides of a parameter (O, I, kernel...). */
void tl__conv_plain_weight(tl_conv_job *j, tl_tensor *w);
/* Computes it by the first maker that suits; 0 or -1. TLUA_CONV names one to be preferred wherever it can. */
int tl__conv_run(tl_scope *s, const tl_conv_job *j);

/* A way to compute it: `needs` says whether it can, `suits` whether it should where it can. */
typedef struct tl_conv_maker {
    const char *name;
    int (*needs)(const tl_device *d, const tl_conv_job *j);
    int (*suits)(const tl_device *d, const tl_conv_job *j);
    int (*run)(tl_scope *s, const tl_conv_job *j);
} tl_conv_maker;

/* Ends with a row without a name. The order is that of preference. */
const tl_conv_maker *tl__conv_makers(void);
const tl_conv_maker *tl__conv_choose(const tl_device *d, const tl_conv_job *j);

#define TL__CONV_MAKER(name)                                                     \
    int tl__conv_##name##_needs(const tl_device *d, const tl_conv_job *j);       \
    int tl__conv_##name##_suits(const tl_device *d, const tl_conv_job *j);       \
    int tl__conv_##name(tl_scope *s, const tl_conv_job *j);
TL__CONV_MAKER(depthwise)
TL__CONV_MAKER(winograd)
TL__CONV_MAKER(narrow)
TL__CONV_MAKER(direct)
TL__CONV_MAKER(winograd_gpu)
TL__CONV_MAKER(gather)
#undef TL__CONV_MAKER

/* The register tile of our kernels for CPU devices: mr pixels by nr channels. NULL where they do not run. */
typedef struct tl_conv_tile { int vector, mr, nr; } tl_conv_tile;
const tl_conv_tile *tl__conv_tile(const tl_device *d);
/* Whether results go past the caches: they must be larger than what a cache would keep, and vectors aligned. */
int tl__conv_is_large(const tl_conv_job *j);
int tl__conv_streams(const tl_device *d, const tl_conv_job *j);

/* The geometry as our kernels for CPU devices take it, cl/cpu/conv_gather.clh; channels are those of one group. */
typedef struct tl_conv_args {
    int64_t n, in[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
    int64_t ci, co, x_pixel, y_pixel, k, mb, nb;
    int64_t w_out, w_tap, w_in;
    int32_t bias, residual, activation, stream, ahead, unused;
} tl_conv_args;
tl_conv_args tl__conv_args(const tl_device *d, const tl_conv_job *j);

/* A buffer of `floats` numbers derived from the job's weights, kept beside them where the job says so: found, or new and filled
 * by `fill`. `kind` and `detail` tell apart what is derived. One reference, the caller's. NULL on failure. */
typedef int tl_conv_fill(tl_scope *s, const tl_conv_job *j, tl_buffer *b);
tl_buffer *tl__conv_derived(tl_scope *s, const tl_conv_job *j, uint32_t kind, int64_t detail, int64_t floats, tl_conv_fill *fill);
/* The whole of such a buffer as a packed tensor. */
tl_tensor *tl__conv_on(tl_scope *s, tl_buffer *b, const tl_shape *shape);

/* The panels of weights that cl/cpu/conv_direct.cl packs: (group, panel, k, NR). One reference, the caller's. */
tl_buffer *tl__conv_panels(tl_scope *s, const tl_conv_job *j);
/* Bytes of the lines in which cl/cpu/conv_pack.clh gathers patches of k numbers. */
int64_t tl__conv_lines(const tl_conv_tile *t, int64_t ci, int64_t k);
/* Depthwise weights (C, 1, KH, KW) as (KH * KW, C). */
tl_tensor *tl__depthwise_by_tap(tl_scope *s, const tl_conv_job *j);
/* Weights as (O, taps, I), packed. */
tl_tensor *tl__conv_weight_rows(tl_scope *s, const tl_conv_job *j);
/* Patches of the pictures first..first+count as a matrix (count * pixels out, taps * ci / groups); group `group`. */
int tl__conv_patches(tl_scope *s, const tl_conv_shape *g, tl_tensor *x, int64_t first, int64_t count, int64_t group, tl_tensor *patches);
/* The transpose of that: adds up patches into pictures, each element of which gathers its own. */
int tl__conv_unpatch(tl_scope *s, const tl_conv_shape *g, tl_tensor *patches, int64_t first, int64_t count, int64_t group, tl_tensor *x);
/* How many pictures' patches are laid out at once. */
int64_t tl__conv_chunk(const tl_conv_shape *g);

/* ---- three in one: inverted_residual.c ---- */

/* act(project(act(depthwise(act(expand(x))))) + residual), of plans alone (src/plan/improve.c): it has no gradient, and
 * eager code says it in three convolutions. Any convolution can expand. */
extern const tl_op tl__op_inverted_residual;
enum { TL_RESIDUAL_X, TL_RESIDUAL_EXPAND, TL_RESIDUAL_EXPAND_BIAS, TL_RESIDUAL_MIDDLE, TL_RESIDUAL_MIDDLE_BIAS, TL_RESIDUAL_PROJECT, TL_RESIDUAL_BIAS,
       TL_RESIDUAL_RESIDUAL };
/* Whether it should do the work of three convolutions of these attributes on inputs `in` of these shapes; `attr` becomes its
 * own attributes then. */
int tl__inverted_residual_joins(const tl_device *d, const tl_value *expand, const tl_value *middle, const tl_value *project, const tl_meta *in, tl_value *attr);

/* A list attribute of one number for all `spatial` dimensions or one for each, into the last of `out`. 0 or -1. */
int tl__conv_spread(tl_error *err, const tl_call *c, int attr, int spatial, int64_t fallback, int64_t least, int64_t *out);

/* ---- gradients ---- */
/* dx, packed and of the pictures' shape, from gy; `keep`: the weights seldom change. 0 or -1. It is what a transposed convolution
 * computes (conv_transpose.c), as its gradient is the convolution. */
int tl__conv_gradient_x(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *weight, int keep, tl_tensor *dx);
/* dw of shape `w`. */
tl_tensor *tl__conv_gradient_w(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *x, const tl_shape *w);
/* dw of a convolution by cl/cpu/conv_weight.cl; the second only where the first says so. */
int tl__conv_weight_gradient_needs(const tl_device *d, const tl_conv_shape *g);
tl_tensor *tl__conv_weight_gradient(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *x, const tl_shape *w);
/* The same of few channels by cl/cpu/conv_narrow.cl. */
int tl__conv_narrow_weight_needs(const tl_device *d, const tl_conv_shape *g);
tl_tensor *tl__conv_narrow_weight(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *x, const tl_shape *w);
/* The same of 3x3x3 kernels by cl/cpu/conv_winograd_weight.cl. */
int tl__conv_winograd_weight_needs(const tl_device *d, const tl_conv_shape *g);
tl_tensor *tl__conv_winograd_weight(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *x,
                                    const tl_shape *w);
/* The same by products that gather patches as they load, on GPUs (conv_gather.c): dx, all of which is written, and dw;
 * each only where its `needs` says so. */
int tl__conv_gather_dx_needs(tl_device *d, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *dx);
int tl__conv_gather_dx(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *weight, tl_tensor *dx);
int tl__conv_gather_dw_needs(tl_device *d, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *x);
tl_tensor *tl__conv_gather_dw(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *x, const tl_shape *w);
int tl__depthwise_dx(tl_scope *s, const tl_conv_job *j, tl_tensor *gy, tl_tensor *dx);
tl_tensor *tl__depthwise_dw(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *x, const tl_shape *w);
void tl__conv_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx);
/* The result computed again for the gradient of what follows, instead of keeping it: op.h. */
int tl__conv_can_again(const tl_call *c);
tl_tensor *tl__conv_again(tl_scope *s, const tl_call *c);

/* src/op/matmul.c */
tl_tensor *tl__sum_columns(tl_scope *s, tl_tensor *x);

#endif
