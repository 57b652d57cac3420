/* tlua.h - the public C interface of tlua: transfer learning on any OpenCL device.
 *
 * Three rules hold everywhere.
 * 1. An operator takes a scope, writes its result into that scope and returns a tensor that the
 *    scope owns. Closing the scope drops its references; tl_tensor_retain keeps one longer.
 * 2. The first failure in a scope is recorded there and is sticky: every operator called in a failed
 *    scope returns NULL at once, and every operator given NULL for a tensor that is not optional does
 *    too. So write the whole expression, then test tl_scope_failed(scope) once.
 * 3. Nothing here prints, exits or aborts.
 * Threads: a device belongs to one thread at a time, with all that was made on it (scopes, tensors, optimisers, models). Threads with a device
 * each, of the same hardware too, run side by side and get what each would get alone. Opening or listing devices for the first time may set
 * POCL_AFFINITY and POCL_CACHE_DIR in the environment: do it before other threads of yours read or change the environment.
 *
 * Shapes are written as letters: N pictures, H rows, W columns, C channels. Dimensions in C count
 * from 0 (from the end where negative); the Lua interface counts from 1. */
#ifndef TLUA_H
#define TLUA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TLUA_VERSION "0.1.0"
#define TL_MAX_RANK 8

#if defined(__GNUC__)
#define TL_API __attribute__((visibility("default")))
#else
#define TL_API
#endif

/* ---- errors ---- */

typedef enum tl_code {
    TL_OK = 0,
    TL_ESHAPE,      /* shapes that do not go together */
    TL_EDTYPE,      /* a type that the operator does not take */
    TL_EARG,        /* an argument out of its range, an unknown name */
    TL_EMEMORY,     /* host or device memory */
    TL_EDEVICE,     /* the OpenCL driver refused or failed */
    TL_EIO,         /* the operating system refused a file or the network */
    TL_EFORMAT,     /* a file that is not what it claims to be */
    TL_ESTATE,      /* the call is not allowed now (freed, changed in place, no gradient) */
    TL_EINDEX,      /* an index or a label out of range, found on the device */
    TL_EINTERRUPT,  /* the user asked to stop */
    TL_EHOLLOW      /* inside the library: the memory of a buffer was given back and must be filled in again */
} tl_code;

/* One failure: a code and one line of text. Zero it before use. */
typedef struct tl_error {
    int code;
    char text[1024];
} tl_error;

TL_API const char *tl_version(void);

/* ---- types ---- */

/* Storage types. Kernels compute in float32 whatever the storage. TL_I64 and TL_F64 and the other
 * wide types exist in files only and become TL_I32 and TL_F32 on the device. */
typedef enum tl_dtype { TL_F32 = 0, TL_F16, TL_BF16, TL_I32, TL_U8, TL_I64, TL_F64, TL_I16, TL_I8, TL_BOOL } tl_dtype;

typedef struct tl_device tl_device;
typedef struct tl_scope tl_scope;
typedef struct tl_tensor tl_tensor;

/* ---- devices ---- */

/* Opens a device. `spec` is a number of tl_device_list, "cpu", "gpu", or a part of the name; NULL asks the
 * environment variable TLUA_DEVICE and then takes the best there is (a GPU before a CPU). NULL on failure. */
TL_API tl_device *tl_device_open(const char *spec, tl_error *err);
TL_API void tl_device_retain(tl_device *d);
TL_API void tl_device_release(tl_device *d);
TL_API const char *tl_device_name(const tl_device *d);
TL_API const char *tl_device_platform(const tl_device *d);
/* Calls `each` for every device, counted from 1; returns how many there are. */
TL_API int tl_device_list(void (*each)(void *user, int index, const char *type, const char *name, const char *platform,
                                       uint64_t bytes, int compute_units), void *user);
/* Bytes held by tensors, bytes kept for reuse, and the highest value of the first since the last reset. */
TL_API void tl_device_memory(const tl_device *d, size_t *live, size_t *pooled, size_t *peak);
TL_API void tl_device_reset_peak(tl_device *d);
/* Gives memory kept for reuse back to the driver. */
TL_API void tl_device_flush(tl_device *d);
/* Waits until all launched work is done, and reports indices found out of range on the device. 0 or -1. */
TL_API int tl_device_sync(tl_device *d, tl_error *err);
/* What operators draw from now on (dropout's masks) depends on this seed, of which all 64 bits count, and on the number of draws since. */
TL_API void tl_manual_seed(tl_device *d, uint64_t seed);

/* ---- scopes ---- */

/* A scope owns the tensors made in it and records the first failure. */
TL_API tl_scope *tl_scope_open(tl_device *d, tl_error *err);
TL_API void tl_scope_close(tl_scope *s);  /* NULL is allowed */
TL_API int tl_scope_failed(const tl_scope *s);
TL_API const tl_error *tl_scope_error(const tl_scope *s);
TL_API tl_device *tl_scope_device(const tl_scope *s);
/* Whether operators record what backward needs (they do when a scope opens). Returns the former value. */
TL_API int tl_scope_record(tl_scope *s, int on);

/* ---- tensors ---- */

/* A new tensor of the given shape, owned by the scope. _empty is not initialised; _from copies
 * packed row-major host memory of `dtype`. */
TL_API tl_tensor *tl_empty(tl_scope *s, tl_dtype dtype, int rank, const int64_t *dims);
TL_API tl_tensor *tl_full(tl_scope *s, tl_dtype dtype, int rank, const int64_t *dims, double value);
TL_API tl_tensor *tl_from(tl_scope *s, tl_dtype dtype, int rank, const int64_t *dims, const void *host);
/* Standard normal or uniform [0, 1) float32 numbers; number i depends on (seed, ordinal, i) alone, on every device. */
TL_API tl_tensor *tl_randn(tl_scope *s, int rank, const int64_t *dims, uint64_t seed, uint64_t ordinal);
TL_API tl_tensor *tl_rand(tl_scope *s, int rank, const int64_t *dims, uint64_t seed, uint64_t ordinal);
TL_API void tl_tensor_retain(tl_tensor *t);
TL_API void tl_tensor_release(tl_tensor *t);  /* NULL is allowed */
TL_API int tl_rank(const tl_tensor *t);
TL_API int64_t tl_dim(const tl_tensor *t, int axis);  /* -1 when the axis does not exist */
TL_API const int64_t *tl_dims(const tl_tensor *t);
TL_API int64_t tl_numel(const tl_tensor *t);
TL_API tl_dtype tl_dtype_of(const tl_tensor *t);
/* Copies out, packed row-major, in the tensor's own type. `bytes` must be its size. Waits. 0 or -1. */
TL_API int tl_read(tl_scope *s, tl_tensor *t, void *host, size_t bytes);
/* Overwrites in place from packed host memory. */
TL_API int tl_write(tl_scope *s, tl_tensor *t, const void *host, size_t bytes);
/* The single element, as a number. */
TL_API double tl_item(tl_scope *s, tl_tensor *t);

/* ---- gradients ---- */

/* Marks a leaf whose gradient is wanted. 0, or -1 for a tensor that an operator recorded. */
TL_API int tl_require_grad(tl_scope *s, tl_tensor *t, int on);
TL_API int tl_requires_grad(const tl_tensor *t);
/* The gradient accumulated in a leaf, borrowed; NULL where there is none. */
TL_API tl_tensor *tl_grad(const tl_tensor *t);
TL_API void tl_zero_grad(tl_tensor *t);
/* The same values, without history. */
TL_API tl_tensor *tl_detach(tl_scope *s, tl_tensor *x);
/* Adds d(y)/d(leaf) to each leaf's gradient. `gy` has y's shape; NULL: y must have one element, and ones are taken.
 * What was saved is dropped on the way unless `retain`. 0 or -1. */
TL_API int tl_backward(tl_scope *s, tl_tensor *y, tl_tensor *gy, int retain);

/* ---- optimisers ---- */

typedef struct tl_optim tl_optim;

/* Names, meanings and defaults are PyTorch's (lion, lamb: their papers'); tl_optim_defaults fills it in. */
typedef struct tl_optim_options {
    double lr, weight_decay;
    double momentum, dampening;   /* sgd; rmsprop has momentum too */
    int nesterov;
    double beta1, beta2, eps;     /* adam, adamw, lion (no eps), lamb; rmsprop has eps too */
    double alpha;                 /* rmsprop: decay of the running mean of squares */
    int centered;                 /* rmsprop: divide by the deviation, not by the root of the mean square */
} tl_optim_options;

/* The defaults of "sgd", "adam", "adamw", "rmsprop", "lion" or "lamb". 0, or -1 where the name is unknown. */
TL_API int tl_optim_defaults(const char *name, tl_optim_options *o);
/* An optimiser over one group of parameters: float32 leaves that want a gradient. They move into one flat buffer, and
 * every handle to them stays good; the optimiser keeps a reference to each. `options` NULL: the defaults. NULL on
 * failure, and then no parameter has moved. */
TL_API tl_optim *tl_optim_new(tl_scope *s, const char *name, tl_tensor *const *params, int n, const tl_optim_options *options);
/* Another group, with options of its own. 0 or -1. */
TL_API int tl_optim_add_group(tl_scope *s, tl_optim *o, tl_tensor *const *params, int n, const tl_optim_options *options);
/* One step. Parameters that got no gradient since the last zero_grad are left alone, and their state too. 0 or -1. */
TL_API int tl_optim_step(tl_scope *s, tl_optim *o);
TL_API void tl_optim_zero_grad(tl_optim *o);
/* All gradients (group -1) or a group's: times a factor in place; their Euclidean norm; scaled so that the norm is at most `most`, as
 * torch.nn.utils.clip_grad_norm_ does: *norm is what it was before. Parameters without a gradient do not count; `most` is above 0. 0, or -1 with an error. */
TL_API int tl_optim_scale_grad(tl_scope *s, tl_optim *o, int group, double factor);
TL_API int tl_optim_grad_norm(tl_scope *s, tl_optim *o, int group, double *norm);
TL_API int tl_optim_clip_grad_norm(tl_scope *s, tl_optim *o, int group, double most, double *norm);
/* The learning rate of a group, counted from 0; -1: of all (of the first). */
TL_API void tl_optim_set_lr(tl_optim *o, int group, double lr);
TL_API double tl_optim_lr(const tl_optim *o, int group);
/* Calls `each` for every tensor of the state: "1.3.m", "1.3.v", "1.3.a" (what the kind keeps beside parameter 3 of group 1:
 * views of the state itself) and "1.3.step" (one int32). 0 or -1. */
TL_API int tl_optim_state(tl_scope *s, tl_optim *o, void (*each)(void *user, const char *name, tl_tensor *t), void *user);
/* Takes the state back: `find` gives the tensor of a name, or NULL, which is an error. 0 or -1. */
TL_API int tl_optim_load_state(tl_scope *s, tl_optim *o, tl_tensor *(*find)(void *user, const char *name), void *user);
/* The average of all weights of the optimiser, one launch a group: average = decay average + (1 - decay) weight; the first call begins it
 * with the weights, as torch.optim.swa_utils.AveragedModel does. Part of the state ("1.3.ema"). Swapping exchanges weights and averages. 0 or -1. */
TL_API int tl_optim_ema(tl_scope *s, tl_optim *o, double decay);
TL_API int tl_optim_swap_ema(tl_scope *s, tl_optim *o);
/* The same in place for two packed float32 tensors of one shape (running statistics, say). 0 or -1. */
TL_API int tl_ema(tl_scope *s, tl_tensor *average, tl_tensor *x, double decay);
TL_API int tl_swap(tl_scope *s, tl_tensor *a, tl_tensor *b);
/* The parameters stay where they are and usable. NULL is allowed. */
TL_API void tl_optim_free(tl_optim *o);

/* ---- trained networks ---- */

/* A trained network: plan, weights, preprocessing, task and names out of one file (docs/format.md). */
typedef struct tl_model tl_model;

/* The network of a model.safetensors that a run or `tlua export` has written, on the scope's device. No Lua is needed: the file
 * holds the calls of its network as data, and every size in it is checked. The caller frees it (not the scope); it keeps the
 * device open. NULL on failure, and the scope then says in one line that begins with the path what is wrong with the file. */
TL_API tl_model *tl_model_load(tl_scope *s, const char *path);
/* The same from the contents of such a file, which are no longer needed afterwards; `name` stands for the path in messages. */
TL_API tl_model *tl_model_load_memory(tl_scope *s, const char *name, const void *data, size_t bytes);
TL_API void tl_model_free(tl_model *m);  /* NULL is allowed */
/* What the network was trained for: "classify" (one label a picture), "multilabel", "regress", "segment", ...; "classify" where the file says
 * nothing. Owned by the model, as all names here. */
TL_API const char *tl_model_task(const tl_model *m);
/* The names of what it tells apart, classes or values, counted from 0: how many, and the name of one; NULL where there is no such one. */
TL_API int tl_model_classes(const tl_model *m);
TL_API const char *tl_model_class(const tl_model *m, int i);
/* A tensor that goes in or comes out. A dimension of -1 is open: the number of pictures, say, which stands first. */
typedef struct tl_model_tensor {
    const char *name;
    tl_dtype dtype;
    int rank;
    int64_t dim[TL_MAX_RANK];
} tl_model_tensor;
/* How many go in or come out. `list`, where it is not NULL, is set to the model's own list of them. */
TL_API int tl_model_inputs(const tl_model *m, const tl_model_tensor **list);
TL_API int tl_model_outputs(const tl_model *m, const tl_model_tensor **list);
/* A tensor and its name; where there is but one, the name may be NULL. */
typedef struct tl_named {
    const char *name;
    tl_tensor *tensor;
} tl_named;
/* Runs the network: all inputs by their names, and those outputs that `out` names, whose tensors are filled in, owned by the scope. They are as the
 * network says them: scores before a sigmoid or softmax. No gradient flows. 0 or -1. */
TL_API int tl_model_run(tl_scope *s, tl_model *m, const tl_named *in, int n_in, tl_named *out, int n_out);
/* Height, width and channels of the pictures that the network sees; a 0 is any. All are 0 of one that hears. */
TL_API void tl_model_input(const tl_model *m, int64_t hwc[3]);
/* Picture files as the network was trained to see them: float32 (n, H, W, C), owned by the scope. Threads read them side by
 * side. A file that cannot be read fails the scope, with an error that names it. */
TL_API tl_tensor *tl_model_pictures(tl_scope *s, const tl_model *m, const char *const *paths, int n);
/* A picture in memory, read only during the calls that are given it. Zero the whole before filling it in. It is one of two:
 * the contents of a picture file: `data` and `bytes`, with channels 0;
 * pixels of 8 bits: `data` points at the first channel of the upper left one, `channels` is 1 (grey), 3 (red, green, blue), 2 or 4 (the same
 * with alpha, which is not looked at), and `bytes` is 0. The strides say how many bytes lie between rows, pixels and channels, and may
 * be negative; 0 stands for packed. Blue, green, red: data + 2 and a channel_stride of -1, with the pixel_stride of 3. Planes: a pixel_stride
 * of 1 and a channel_stride of width * height. The caller answers for all of it being there. */
typedef struct tl_picture {
    const char *name;     /* stands for a path in messages; NULL: "pictures[2]" */
    const void *data;
    size_t bytes;
    int width, height, channels;
    ptrdiff_t row_stride, pixel_stride, channel_stride;
} tl_picture;
/* tl_model_pictures of pictures in memory. Pixels give what a PNG file of them gives. */
TL_API tl_tensor *tl_model_pictures_memory(tl_scope *s, const tl_model *m, const tl_picture *pictures, int n);
/* Logits of pictures x (N, H, W, C) with any N, owned by the scope: (N, classes), or what else the first output is. No gradient flows. */
TL_API tl_tensor *tl_model_logits(tl_scope *s, tl_model *m, tl_tensor *x);
/* Probabilities (n, classes) of n picture files, owned by the scope: the softmax of the two above. For one label a picture alone. */
TL_API tl_tensor *tl_model_predict(tl_scope *s, tl_model *m, const char *const *paths, int n);
TL_API tl_tensor *tl_model_predict_memory(tl_scope *s, tl_model *m, const tl_picture *pictures, int n);
/* A box that was found: in which of the pictures that were given, from 0; its class, from 0 (tl_model_class); how sure
 * the network is, from 0 to 1; and its sides in pixels of that picture as it stands upright, from its upper left
 * corner, clipped to it. */
typedef struct tl_box {
    int picture, label;
    double score, left, top, right, bottom;
} tl_box;
/* What a network that finds boxes (task "detect") finds in n picture files, as `tlua predict` says it of whole
 * pictures: they are prepared as in training, and of boxes that overlap the surest stays. `confidence`: from which
 * score on a box is said; below 0: the model's own, which may be another for each class. Writes the boxes into `out`,
 * picture by picture, the surest first, as many as there is room for, and returns how many there are: where that is
 * more than `room`, the rest is missing, and room 0 with out NULL only counts. A picture has no more than the model's
 * `most` (100). -1 on failure. */
TL_API int64_t tl_model_boxes(tl_scope *s, tl_model *m, const char *const *paths, int n, double confidence,
                              tl_box *out, int64_t room);
/* The same of pictures in memory. */
TL_API int64_t tl_model_boxes_memory(tl_scope *s, tl_model *m, const tl_picture *pictures, int n, double confidence,
                                     tl_box *out, int64_t room);

#include "tlua_ops.h"

#ifdef __cplusplus
}
#endif
#endif
