/* optim.h - optimisers. The trained parameters of a group and their moments are views into flat buffers, so that a step is one
 * launch a group, whatever the number of parameters; their gradients too, every 32 MB into another, each there only while it
 * holds one (tensor/tensor.h, tl_home), so a large group takes a launch for each of these. The public part is in tlua.h. */
#ifndef TLUA_OPTIM_H
#define TLUA_OPTIM_H

#include "op/op.h"

extern const char *const tl__optim_names[];  /* NULL-ended */

/* An optimiser without groups yet; NULL for an unknown name. */
tl_optim *tl__optim_new(tl_error *err, tl_device *d, const char *name);

int tl__optim_groups(const tl_optim *o);
/* The rate may be changed between steps; the rest was settled when the group was added. */
tl_optim_options *tl__optim_group_options(tl_optim *o, int group);
int tl__optim_group_size(const tl_optim *o, int group);
/* The moments of parameter i of a group as views (borrowed; NULL where the kind has none), and its count of steps. Of a
 * table that is trained by rows they are of the rows that tl__optim_rows names. */
tl_tensor *tl__optim_moment(tl_optim *o, int group, int param, int which);
int64_t *tl__optim_steps(tl_optim *o, int group, int param);
/* The rows that have moments, int32, of the scope; NULL: all, or none has yet. */
tl_tensor *tl__optim_rows(tl_scope *s, tl_optim *o, int group, int param);
/* Stands before moments of a state are copied: they are of these rows, or of all (`rows` NULL), or there are none. 0 or
 * -1. */
int tl__optim_take_rows(tl_scope *s, tl_optim *o, int group, int param, const tl_tensor *rows, int moments);
extern const char *const tl__optim_moment_names[];  /* "m", "v", "a", "ema"; NULL-ended */
/* The state of a checkpoint was taken up: what an earlier call left half-done does not count any more. */
void tl__optim_mended(tl_optim *o);
/* The average of a group's weights begins with their values, if it has not yet. 0 or -1. */
int tl__optim_begin_ema(tl_scope *s, tl_optim *o, int group);

#endif
