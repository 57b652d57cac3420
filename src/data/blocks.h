/* blocks.h - volumes on their way from the file to the network: steps of a pipeline (transform.h) that work on
 * voxels. What is the same each time (the grid, windows, normalisation, a size) makes a block of a volume, which
 * can be kept. A sample is a part of a block: which part, flips, turns and bends are put together and its voxels
 * taken once, linearly, and of the mask the nearest; then their values change. Steps draw by (seed, epoch, number
 * of the sample) alone. Dimensions are in the order (slices, rows, columns) here, as in tensors. */
#ifndef TLUA_BLOCKS_H
#define TLUA_BLOCKS_H

#include "data/source.h"
#include "data/transform.h"

typedef struct tl_block {
    int64_t size[3];
    int channels;
    float *data;           /* (slices, rows, columns, channels) */
    uint8_t *mask;         /* (slices, rows, columns): classes, TL_MASK_IGNORED; NULL: none */
    double affine[3][4];   /* of (column, row, slice) to RAS */
    int64_t of_class[256]; /* voxels of each class in the mask */
} tl_block;
void tl__block_free(tl_block *b);

/* Where a sample comes from: its voxel `o` shows the block at centre + turn (o - middle + bend(o)). */
typedef struct tl_placing {
    const tl_block *block;
    int64_t size[3]; /* of the sample */
    double centre[3], turn[3][3];
    int64_t knots[3]; /* of the bend, a cubic B-spline: how many along each dimension; 0: none */
    float *knot;      /* (knots, 3): by how many voxels */
} tl_placing;
#define TL_PLACING_MOST_KNOTS 64

/* The size and channels of the block that the pipeline makes of a volume. */
void tl__block_extent(const tl_pipeline *p, const tl_extent *e, tl_extent *out);
/* Reads volume i of a source, with its mask where it has one, and makes the block of it. 0 or -1. */
int tl__block_make(tl_error *err, const tl_pipeline *p, const tl_source *source, int64_t i, tl_block *out);
/* The size of the samples of a block of this size. */
void tl__block_sample_size(const tl_pipeline *p, const int64_t block[3], int64_t size[3]);
/* A sample into `out` (size, channels) and, where it is not NULL, `mask` (size). 0 or -1. */
int tl__block_sample(tl_error *err, const tl_pipeline *p, const tl_draw_key *who, const tl_block *b, float *out,
                     int32_t *mask);

/* ---- for the steps ---- */

/* A place as nothing is moved: the whole block. */
void tl__placing_start(tl_placing *p, const tl_block *b);
/* The middle `size` of the block, or with more than it has voxels around it, from `first` on. */
void tl__placing_part(tl_placing *p, const int64_t first[3], const int64_t size[3]);
/* One more change before those that are there: voxels at `o` from the middle show what was at m o + t. */
void tl__placing_turn(tl_placing *p, double m[3][3], const double t[3]);
/* Takes the voxels: `out` (size, channels), 0 outside of the block; `mask` (size) or NULL, TL_MASK_IGNORED
 * outside. */
void tl__placing_take(const tl_placing *p, float *out, int32_t *mask);
/* Millimetres between neighbours along each dimension. */
void tl__block_spacing(const tl_block *b, double spacing[3]);
/* The voxel of class `c` that has `k` of them before it. */
void tl__block_find(const tl_block *b, int c, int64_t k, int64_t at[3]);
/* Does a step of this name stand in the pipeline? */
const tl_transform *tl__pipeline_step(const tl_pipeline *p, const char *name);

#endif
