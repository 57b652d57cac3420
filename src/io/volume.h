/* volume.h - numbers on a grid in space: what slices of a scanner and NIfTI files become, and what one does to them
 * before a network sees them. Voxel (i, j, k) is column i of row j of slice k; the affine puts its centre at
 * millimetres to the patient's right, to the front and up (RAS), the system of NIfTI; DICOM's LPS differs by the
 * signs of the first two. */
#ifndef TLUA_VOLUME_H
#define TLUA_VOLUME_H

#include "base/base.h"

typedef struct tl_volume {
    int64_t size[4]; /* columns, rows, slices, and parts (times, channels): mostly 1 */
    float *data;     /* (parts, slices, rows, columns) */
    double affine[3][4];
} tl_volume;

/* Takes memory for `size`; what was there is freed. 0 or -1. */
int tl__volume_reserve(tl_error *err, tl_volume *v, const int64_t size[4]);
void tl__volume_free(tl_volume *v);
int64_t tl__volume_numel(const tl_volume *v);

/* Millimetres between neighbours along columns, rows, slices. */
void tl__volume_spacing(const tl_volume *v, double spacing[3]);
/* Which way each index grows: "LPS": to the left, to the back, up. */
void tl__volume_axes(const tl_volume *v, char axes[4]);
/* How far the axes are from standing on each other: the largest cosine between two. A tilted gantry shears slices. */
double tl__volume_shear(const tl_volume *v);

/* Three letters, one of each pair L R, P A, S I? 0, or -1 with an error. */
int tl__volume_check_axes(tl_error *err, const char *axes);
/* The same voxels with indices that grow as `axes` says: dimensions change places and are turned about, nothing is
 * computed anew. In place. 0 or -1. */
int tl__volume_orient(tl_error *err, tl_volume *v, const char *axes);
/* The same of size and affine alone. */
int tl__volume_orient_grid(tl_error *err, tl_volume *v, const char *axes);

typedef struct tl_grid {
    int64_t size[3];
    double affine[3][4];
} tl_grid;
/* The grid that covers the same space with another spacing (0: as it is): as many voxels as fit best, at least one,
 * their outer faces' middle where it was. */
void tl__volume_spaced(const tl_volume *v, const double spacing[3], tl_grid *grid);
/* `in` on another grid, trilinear or, for masks, the nearest voxel. Up to half a voxel beyond the outermost centres
 * their values hold, farther out is `fill`. Nothing is smoothed before it is thinned out. 0 or -1. */
int tl__volume_resample(tl_error *err, const tl_volume *in, const tl_grid *grid, int nearest, float fill,
                        tl_volume *out);

/* A window of grey values to 0..1, as DICOM has it (part 3, C.11.2.1.2): half at centre - 0.5, straight over width
 * - 1. */
typedef struct tl_window {
    const char *name;
    double centre, width;
} tl_window;
extern const tl_window tl__windows[]; /* lung, bone, brain, soft; ends with NULL */
void tl__window(float *data, int64_t n, double centre, double width);

/* ---- NIfTI-1 and -2: .nii, .nii.gz, and pairs of .hdr and .img ---- */

/* Values scaled as the file says; the affine of its sform, else of its qform, else of its spacing alone. `about` may
 * be NULL. Known by content; of a pair either file may be named. 0 or -1. */
typedef struct tl_nifti {
    int version, datatype; /* 1 or 2; NIfTI's number of the type of its values */
    int scaled;            /* there is a slope or an intercept */
    char placed[8];        /* "sform", "qform", or "spacing" where the file says neither */
} tl_nifti;
int tl__nifti_read(tl_error *err, const char *path, tl_volume *v, tl_nifti *about);
/* The same without values: size and affine of `v`, whose data stay as they are. */
int tl__nifti_head(tl_error *err, const char *path, tl_volume *v, tl_nifti *about);
/* A file in memory, a whole one; `name` is for messages. */
int tl__nifti_decode(tl_error *err, const char *name, const void *data, size_t bytes, tl_volume *v, tl_nifti *about);
/* Writes .nii or, by its ending, .nii.gz, with values of float32, or where all are whole numbers and `whole` says so
 * of the smallest of uint8, int16 and int32. Whole or not at all. 0 or -1. */
int tl__nifti_write(tl_error *err, const char *path, const tl_volume *v, int whole);

#endif
