/* optim.h - optimisers. The trained parameters of a group, their gradients and their moments are views into flat
 * buffers, so that a step is one launch a group, whatever the number of parameters. */
#ifndef TLUA_OPTIM_H
#define TLUA_OPTIM_H

#include "op/op.h"

typedef struct tl_optim tl_optim;

typedef enum tl_optim_kind { TL_SGD, TL_ADAM, TL_ADAMW } tl_optim_kind;

/* Zero it, then tl__optim_defaults. Names and meanings are PyTorch's. */
typedef struct tl_optim_options {
    double lr, weight_decay;
    double momentum, dampening;   /* SGD */
    int nesterov;
    double beta1, beta2, eps;     /* Adam, AdamW */
} tl_optim_options;

int tl__optim_kind(const char *name);  /* -1 where unknown */
extern const char *const tl__optim_names[];
void tl__optim_defaults(tl_optim_kind kind, tl_optim_options *o);

tl_optim *tl__optim_new(tl_error *err, tl_device *d, tl_optim_kind kind);
/* Moves the parameters (float32 leaves that want a gradient) into a flat buffer; their handles stay good. The
 * group keeps a reference to each. 0 or -1; after -1 no parameter has moved. */
int tl__optim_add_group(tl_scope *s, tl_optim *o, tl_tensor *const *params, int n, const tl_optim_options *options);
/* One step. Parameters without a gradient since the last zero_grad are left alone, their moments too. */
int tl__optim_step(tl_scope *s, tl_optim *o);
void tl__optim_zero_grad(tl_optim *o);
void tl__optim_free(tl_optim *o);

int tl__optim_groups(const tl_optim *o);
tl_optim_options *tl__optim_group_options(tl_optim *o, int group);
/* State for checkpoints: the moments of parameter i of a group as views (borrowed; NULL where the kind has none), and its steps. */
int tl__optim_group_size(const tl_optim *o, int group);
tl_tensor *tl__optim_moment(tl_optim *o, int group, int param, int which);
int64_t *tl__optim_steps(tl_optim *o, int group, int param);

#endif
