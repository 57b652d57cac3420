/* tlua_ops.h - the operators of tlua in C; included by tlua.h. docs/ops.md describes each, with its attributes.
 * `axes` count from 0, from the end where negative; n = 0 means all of them. */
#ifndef TLUA_OPS_H
#define TLUA_OPS_H

/* Element by element (src/op/pointwise.def). */
TL_API tl_tensor *tl_neg(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_exp(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_log(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_sqrt(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_rsqrt(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_square(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_abs(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_sin(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_cos(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_tanh(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_sigmoid(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_softplus(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_relu(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_relu6(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_silu(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_gelu(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_gelu_tanh(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_hardsigmoid(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_hardswish(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_leaky_relu(tl_scope *s, tl_tensor *x, double slope);
TL_API tl_tensor *tl_erf(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_expm1(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_log1p(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_reciprocal(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_floor(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_ceil(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_round(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_sign(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_tan(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_asin(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_acos(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_atan(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_sinh(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_cosh(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_asinh(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_acosh(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_atanh(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_elu(tl_scope *s, tl_tensor *x, double alpha);
TL_API tl_tensor *tl_selu(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_celu(tl_scope *s, tl_tensor *x, double alpha);
TL_API tl_tensor *tl_softsign(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_mish(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_threshold(tl_scope *s, tl_tensor *x, double threshold, double value);
TL_API tl_tensor *tl_shrink(tl_scope *s, tl_tensor *x, double lambd, double bias);
TL_API tl_tensor *tl_isnan(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_isinf(tl_scope *s, tl_tensor *x);
TL_API tl_tensor *tl_clamp(tl_scope *s, tl_tensor *x, double min, double max);
TL_API tl_tensor *tl_add_scalar(tl_scope *s, tl_tensor *x, double value);
TL_API tl_tensor *tl_mul_scalar(tl_scope *s, tl_tensor *x, double value);
TL_API tl_tensor *tl_rsub_scalar(tl_scope *s, tl_tensor *x, double value); /* value - x */
TL_API tl_tensor *tl_rdiv_scalar(tl_scope *s, tl_tensor *x, double value); /* value / x */
TL_API tl_tensor *tl_pow_scalar(tl_scope *s, tl_tensor *x, double value);
TL_API tl_tensor *tl_add(tl_scope *s, tl_tensor *a, tl_tensor *b);
TL_API tl_tensor *tl_sub(tl_scope *s, tl_tensor *a, tl_tensor *b);
TL_API tl_tensor *tl_mul(tl_scope *s, tl_tensor *a, tl_tensor *b);
TL_API tl_tensor *tl_div(tl_scope *s, tl_tensor *a, tl_tensor *b);
TL_API tl_tensor *tl_maximum(tl_scope *s, tl_tensor *a, tl_tensor *b);
TL_API tl_tensor *tl_minimum(tl_scope *s, tl_tensor *a, tl_tensor *b);
TL_API tl_tensor *tl_eq(tl_scope *s, tl_tensor *a, tl_tensor *b);
TL_API tl_tensor *tl_gt(tl_scope *s, tl_tensor *a, tl_tensor *b);
TL_API tl_tensor *tl_lt(tl_scope *s, tl_tensor *a, tl_tensor *b);
TL_API tl_tensor *tl_ge(tl_scope *s, tl_tensor *a, tl_tensor *b);
TL_API tl_tensor *tl_le(tl_scope *s, tl_tensor *a, tl_tensor *b);
TL_API tl_tensor *tl_ne(tl_scope *s, tl_tensor *a, tl_tensor *b);
TL_API tl_tensor *tl_pow(tl_scope *s, tl_tensor *a, tl_tensor *b);
TL_API tl_tensor *tl_mod(tl_scope *s, tl_tensor *a, tl_tensor *b);  /* the sign of b, as Python's % */
TL_API tl_tensor *tl_fmod(tl_scope *s, tl_tensor *a, tl_tensor *b); /* the sign of a, as C's */

/* In another type, TL_F32 or TL_I32; floats become whole numbers towards 0. */
TL_API tl_tensor *tl_cast(tl_scope *s, tl_tensor *x, tl_dtype dtype);
/* start, start + step, ...: `count` of them, int32. */
TL_API tl_tensor *tl_range(tl_scope *s, int64_t start, int64_t count, int64_t step);

/* Views: the same memory, seen otherwise (reshape copies where strides do not allow a view). */
TL_API tl_tensor *tl_reshape(tl_scope *s, tl_tensor *x, int rank, const int64_t *dims); /* one -1 is worked out */
TL_API tl_tensor *tl_permute(tl_scope *s, tl_tensor *x, int rank, const int *axes);
TL_API tl_tensor *tl_slice(tl_scope *s, tl_tensor *x, int axis, int64_t start, int64_t length);
TL_API tl_tensor *tl_expand(tl_scope *s, tl_tensor *x, int rank, const int64_t *dims);

/* a where condition is not 0, elsewhere b; all three broadcast. */
TL_API tl_tensor *tl_where(tl_scope *s, tl_tensor *condition, tl_tensor *a, tl_tensor *b);
/* Elements of x along `axis` by index (int32 from 0), of x's shape but for that dimension. One out of range is reported at the
 * next read or sync. */
TL_API tl_tensor *tl_gather(tl_scope *s, tl_tensor *x, tl_tensor *index, int axis);
/* x with the updates written along `axis` where index (int32 from 0, of the updates' shape) says. reduce "none" (NULL
 * too): the last stays; "add", "mul", "max" or "min". */
TL_API tl_tensor *tl_scatter(tl_scope *s, tl_tensor *x, tl_tensor *index, tl_tensor *updates, int axis,
                             const char *reduce);
/* Elements added before and after: one number a dimension, NULL: none. mode "constant" (NULL too), "reflect" or "replicate". */
TL_API tl_tensor *tl_pad(tl_scope *s, tl_tensor *x, const int64_t *before, const int64_t *after, const char *mode, double value);

/* Reductions. */
TL_API tl_tensor *tl_sum(tl_scope *s, tl_tensor *x, const int *axes, int n, int keep);
TL_API tl_tensor *tl_mean(tl_scope *s, tl_tensor *x, const int *axes, int n, int keep);
TL_API tl_tensor *tl_amax(tl_scope *s, tl_tensor *x, const int *axes, int n, int keep);
TL_API tl_tensor *tl_amin(tl_scope *s, tl_tensor *x, const int *axes, int n, int keep);
TL_API tl_tensor *tl_prod(tl_scope *s, tl_tensor *x, const int *axes, int n, int keep);
/* Sums of all elements up to each place; `exclusive`: without that itself; `reverse`: from the last on. */
TL_API tl_tensor *tl_cumsum(tl_scope *s, tl_tensor *x, int axis, int exclusive, int reverse);

/* Products. `matmul`: (..., m, k) x (..., k, n), batches broadcast, vectors as in PyTorch. `linear`: activation(x weight^T + bias +
 * residual) with x (..., in), weight (out, in); bias, residual and activation ("relu", "relu6", "silu", "hardswish", "gelu") may
 * be NULL. */
TL_API tl_tensor *tl_matmul(tl_scope *s, tl_tensor *a, tl_tensor *b, int transpose_a, int transpose_b);
TL_API tl_tensor *tl_linear(tl_scope *s, tl_tensor *x, tl_tensor *weight, tl_tensor *bias, tl_tensor *residual, const char *activation);

/* Rows of scores. `axis` from 0, from the end where negative. */
TL_API tl_tensor *tl_softmax(tl_scope *s, tl_tensor *x, int axis);
TL_API tl_tensor *tl_log_softmax(tl_scope *s, tl_tensor *x, int axis);
TL_API tl_tensor *tl_argmax(tl_scope *s, tl_tensor *x, int axis); /* int32 */
TL_API tl_tensor *tl_argmin(tl_scope *s, tl_tensor *x, int axis); /* int32 */
/* The k largest (or least) elements in order; `places`, which may be NULL, becomes their positions from 0, int32. */
TL_API tl_tensor *tl_topk(tl_scope *s, tl_tensor *x, int64_t k, int axis, int largest, tl_tensor **places);
/* The mean over the rows. logits (..., C), labels (...) int32 from 0; weights (C) may be NULL. */
TL_API tl_tensor *tl_cross_entropy(tl_scope *s, tl_tensor *logits, tl_tensor *labels, tl_tensor *weights, double label_smoothing);
/* The others have a reduction: "mean" (NULL too), "sum" or "none". target (..., C): the share of each class. The focal loss is
 * that of Lin et al. 2017, its mean that over the rows. */
TL_API tl_tensor *tl_soft_cross_entropy(tl_scope *s, tl_tensor *logits, tl_tensor *target, tl_tensor *weights, double label_smoothing, const char *reduction);
TL_API tl_tensor *tl_focal_loss(tl_scope *s, tl_tensor *logits, tl_tensor *labels, tl_tensor *weights, double gamma, const char *reduction);
/* Connectionist temporal classification of logits (N, T, K) with targets (N, L) int32; how many frames and labels of
 * each clip count, (N) int32, may be NULL: all. `blank` is a class from 0. */
TL_API tl_tensor *tl_ctc_loss(tl_scope *s, tl_tensor *logits, tl_tensor *targets, tl_tensor *input_lengths,
                              tl_tensor *target_lengths, int64_t blank, int zero_infinity, const char *reduction);
/* Losses of each element: x and target of one shape. `pos_weight` broadcasts to x and may be NULL; a negative alpha: no weights. */
TL_API tl_tensor *tl_mse_loss(tl_scope *s, tl_tensor *x, tl_tensor *target, const char *reduction);
TL_API tl_tensor *tl_smooth_l1_loss(tl_scope *s, tl_tensor *x, tl_tensor *target, double beta, const char *reduction);
TL_API tl_tensor *tl_bce_with_logits(tl_scope *s, tl_tensor *x, tl_tensor *target, tl_tensor *pos_weight, const char *reduction);
TL_API tl_tensor *tl_sigmoid_focal_loss(tl_scope *s, tl_tensor *x, tl_tensor *target, double alpha, double gamma, const char *reduction);

/* How a convolution runs; zeroed: stride 1, no padding, one group. One number a spatial dimension. */
typedef struct tl_conv_options {
    int stride[3], padding[3], dilation[3];
    int more_at_end[3];          /* zeros at the end beyond `padding` (TensorFlow's "same" at stride 2 wants one) */
    int groups;
    const char *activation;      /* "relu", "relu6", "silu", "hardswish", "gelu"; NULL: none */
} tl_conv_options;
/* activation(x * weight + bias + residual): x (N, ..., C), weight (O, C / groups, kernel...); bias (O), residual (of the
 * output's shape) and options may be NULL. */
TL_API tl_tensor *tl_conv(tl_scope *s, tl_tensor *x, tl_tensor *weight, tl_tensor *bias, tl_tensor *residual, const tl_conv_options *o);
/* The transposed convolution: weight (C, O / groups, kernel...); bias (O) and options may be NULL. */
typedef struct tl_conv_transpose_options {
    int stride[3], padding[3], output_padding[3], dilation[3];
    int groups;
} tl_conv_transpose_options;
TL_API tl_tensor *tl_conv_transpose(tl_scope *s, tl_tensor *x, tl_tensor *weight, tl_tensor *bias, const tl_conv_transpose_options *o);
/* x (N, ..., C) at another size, one number a spatial dimension, or (size NULL) `scale` times as large; by the nearest pixel or
 * linearly. */
TL_API tl_tensor *tl_interpolate(tl_scope *s, tl_tensor *x, const int64_t *size, int scale, int linear, int align_corners);
/* x (N, ..., C) at the places of grid (N, ..., 2 or 3), from -1 to 1 over each dimension, the width first; zeros
 * outside. */
TL_API tl_tensor *tl_grid_sample(tl_scope *s, tl_tensor *x, tl_tensor *grid, int nearest, int align_corners);
/* Means over the regions `boxes` (R, 4) of pictures x (N, H, W, C), `picture` (R) int32 says of which: (R, height,
 * width, C). points 0: one a pixel. */
TL_API tl_tensor *tl_roi_align(tl_scope *s, tl_tensor *x, tl_tensor *boxes, tl_tensor *picture, int64_t height,
                               int64_t width, double scale, int points, int aligned);
TL_API tl_tensor *tl_max_pool(tl_scope *s, tl_tensor *x, int kernel, int stride, int padding);
/* Where the largest is: number of the pixel within its picture, int32. */
TL_API tl_tensor *tl_max_pool_places(tl_scope *s, tl_tensor *x, int kernel, int stride, int padding);
TL_API tl_tensor *tl_avg_pool(tl_scope *s, tl_tensor *x, int kernel, int stride, int padding);
/* x (N, ..., C); all others (C). In training the batch's statistics are used and move mean and var in place. */
TL_API tl_tensor *tl_batch_norm(tl_scope *s, tl_tensor *x, tl_tensor *weight, tl_tensor *bias, tl_tensor *mean, tl_tensor *var, int training,
                                double momentum, double eps);
/* Weights and bias of one convolution (or linear layer) that does what w, b and the batch norm behind it did. b, weight
 * and bias may be NULL. 0 or -1. */
TL_API int tl_fold_batch_norm(tl_scope *s, tl_tensor *w, tl_tensor *b, tl_tensor *weight, tl_tensor *bias, tl_tensor *mean, tl_tensor *var,
                              double eps, tl_tensor **w2, tl_tensor **b2);

/* x (..., C); weight and bias (C) may be NULL. */
TL_API tl_tensor *tl_layer_norm(tl_scope *s, tl_tensor *x, tl_tensor *weight, tl_tensor *bias, double eps);
/* x (N, ..., C) normalised for each sample and group of channels, over all places; groups of 0: each channel is its own. weight and bias
 * (C) may be NULL. */
TL_API tl_tensor *tl_group_norm(tl_scope *s, tl_tensor *x, tl_tensor *weight, tl_tensor *bias, int64_t groups, double eps);
/* table (rows, width), ids (...) int32 from 0 -> (..., width). An id out of range is reported at the next read or sync. */
TL_API tl_tensor *tl_embedding(tl_scope *s, tl_tensor *table, tl_tensor *ids);
/* softmax(scale q k^T) v by heads: q (N, T, C), k and v (N, S, C), lengths (N) int32 or NULL. Rows may be any distance apart, so
 * that q, k and v can be slices of one tensor. bias (N or 1, heads or 1, T or 1, S), or NULL, is added to scale q k^T.
 * q, k and v (rows, C) are sequences one behind the other, of `lengths`, which look at themselves. */
typedef struct tl_attention_options {
    int heads, causal;
    double scale;    /* 0: 1 / sqrt(C / heads) */
    double dropout;  /* of the probabilities, while `training` */
    int training;
    int longest;     /* of sequences one behind the other: the most rows of one; 0: any number */
    int offset;      /* with `causal`, row i sees keys up to i + offset: keys that lie before the first row's own */
} tl_attention_options;
TL_API tl_tensor *tl_attention(tl_scope *s, tl_tensor *q, tl_tensor *k, tl_tensor *v, tl_tensor *lengths, tl_tensor *bias,
                               const tl_attention_options *o);
/* x (N, T, ...), lengths (N) int32 -> (rows, ...), the rows that count one behind the other; and back: (N, longest,
 * ...). */
TL_API tl_tensor *tl_pack(tl_scope *s, tl_tensor *x, tl_tensor *lengths, int64_t rows);
TL_API tl_tensor *tl_unpack(tl_scope *s, tl_tensor *x, tl_tensor *lengths, int64_t longest);
/* The mask depends on the device's seed and the number of the call. */
TL_API tl_tensor *tl_dropout(tl_scope *s, tl_tensor *x, double p, int training);
TL_API tl_tensor *tl_concat(tl_scope *s, tl_tensor *const *xs, int n, int axis);

/* Recurrent layers over x (N, T, C), one direction a call: weights as PyTorch's, weight_x (gates width, C), weight_h
 * (gates width, width); biases, first states h and c (N, width) and lengths (N) int32 may be NULL. The result is (N, T,
 * width); `end`, which may be NULL, becomes the last state (N, width), of an LSTM ends[0] that and ends[1] the last
 * cell. */
typedef struct tl_recurrent {
    tl_tensor *weight_x, *weight_h, *bias_x, *bias_h, *h, *c, *lengths;
    int relu;        /* of an RNN: instead of tanh */
} tl_recurrent;
TL_API tl_tensor *tl_rnn(tl_scope *s, tl_tensor *x, const tl_recurrent *o, int reverse, tl_tensor **end);
TL_API tl_tensor *tl_gru(tl_scope *s, tl_tensor *x, const tl_recurrent *o, int reverse, tl_tensor **end);
TL_API tl_tensor *tl_lstm(tl_scope *s, tl_tensor *x, const tl_recurrent *o, int reverse, tl_tensor **ends);

/* Spectra of waves (N, samples) by frames: window (W), lengths (N) int32 samples of each clip or NULL. */
typedef struct tl_stft_options {
    int64_t n_fft, hop;          /* 0: the window's length, a quarter of it */
    int64_t before, after;       /* samples added to each clip */
    const char *pad_mode;        /* "constant" (NULL too), "reflect", "replicate", "symmetric" */
    int remove_mean;             /* of each frame */
    double preemphasis;          /* within each frame */
    int power;                   /* 0: complex numbers, 1: magnitudes, 2: their squares */
    const char *log;             /* of bands: "none" (NULL too), "log", "log10", "db" */
    double floor, offset;        /* log(max(v, floor) + offset) */
} tl_stft_options;
/* (N, frames, bins, 2), or with power (N, frames, bins). */
TL_API tl_tensor *tl_stft(tl_scope *s, tl_tensor *wave, tl_tensor *window, tl_tensor *lengths,
                          const tl_stft_options *o);
/* bank (bands, bins): (N, frames, bands), in one launch. */
TL_API tl_tensor *tl_mel_spectrogram(tl_scope *s, tl_tensor *wave, tl_tensor *window, tl_tensor *bank,
                                     tl_tensor *lengths, const tl_stft_options *o);
/* x (N, F, B), lengths (N) int32 frames of each clip or NULL: slopes over `reach` frames to each side. */
TL_API tl_tensor *tl_deltas(tl_scope *s, tl_tensor *x, tl_tensor *lengths, int64_t reach);
/* Stretches of bands and frames become `value`, by the device's seed and the number of the call. */
typedef struct tl_spec_augment_options {
    int freq_masks, freq_width, time_masks, time_width;
    double time_share, value;
} tl_spec_augment_options;
TL_API tl_tensor *tl_spec_augment(tl_scope *s, tl_tensor *x, tl_tensor *lengths, const tl_spec_augment_options *o);

#endif
