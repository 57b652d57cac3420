/* conv.h - what the files of the convolution share. */
#ifndef TLUA_OP_CONV_H
#define TLUA_OP_CONV_H

#include "device/gemm/gemm.h"
#include "op/op.h"

enum { TL_CONV_X, TL_CONV_WEIGHT, TL_CONV_BIAS, TL_CONV_RESIDUAL };
enum { TL_CONV_STRIDE, TL_CONV_PADDING, TL_CONV_PADDING_END, TL_CONV_DILATION, TL_CONV_GROUPS, TL_CONV_ACTIVATION };

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

/* Weights (O, I, taps) as (O, taps, I), packed; kept beside the weights where `keep`. */
tl_tensor *tl__conv_weight_rows(tl_scope *s, tl_tensor *w, const tl_conv_shape *g, int keep);
/* The product of a convolution without groups: y = act(x * w + bias + residual). `w` is (O, taps, I). */
int tl__conv_product(tl_scope *s, const tl_conv_shape *g, tl_tensor *x, tl_tensor *w, tl_tensor *bias, tl_tensor *residual, tl_tensor *y, tl_act act, int keep);
/* Patches of the pictures first..first+count as a matrix (count * pixels out, taps * ci / groups); group `group`. */
int tl__conv_patches(tl_scope *s, const tl_conv_shape *g, tl_tensor *x, int64_t first, int64_t count, int64_t group, tl_tensor *patches);
/* The transpose of that: adds up patches into pictures, each element of which gathers its own. */
int tl__conv_unpatch(tl_scope *s, const tl_conv_shape *g, tl_tensor *patches, int64_t first, int64_t count, int64_t group, tl_tensor *x);
/* How many pictures' patches are laid out at once. */
int64_t tl__conv_chunk(const tl_conv_shape *g);

/* Depthwise kernels (conv_depthwise.c). */
int tl__depthwise_forward(tl_scope *s, const tl_conv_shape *g, tl_tensor *x, tl_tensor *w, tl_tensor *bias, tl_tensor *residual, tl_tensor *y, tl_act act, int keep);
tl_tensor *tl__depthwise_dx(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *w, int keep);
tl_tensor *tl__depthwise_dw(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *x, const tl_shape *w);

void tl__conv_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx);

/* src/op/matmul.c */
tl_tensor *tl__activation_gradient(tl_scope *s, tl_act act, tl_tensor *gy, tl_tensor *from);
tl_tensor *tl__sum_columns(tl_scope *s, tl_tensor *x);

#endif
