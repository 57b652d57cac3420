/* surface.h - how far the surfaces of two masks are apart, on the host: Hausdorff's distance and its 95th percentile,
 * the mean distance, and both volumes. Masks have any number of dimensions. The surface of a mask is what a binary
 * erosion takes off: its elements with a neighbour across one of their faces that is not in it, and what lies outside
 * of the grid is not. Distances are Euclidean, from centre to centre, in the unit of the spacing. MONAI's
 * compute_hausdorff_distance and compute_average_surface_distance are the same. */
#ifndef TLUA_TASK_SURFACE_H
#define TLUA_TASK_SURFACE_H

#include "base/base.h"

/* Bounds of a spacing, so that the square of no distance leaves float32's range. */
#define TL_SURFACE_LEAST 1e-6
#define TL_SURFACE_MOST 1e6

typedef struct tl_surface {
    int64_t elements[2], surface[2];  /* of the first and the second mask, and of their surfaces */
    double directed[2];   /* mean distance from the first's surface to the second's, and back */
    double mean;          /* over the elements of both surfaces */
    double hausdorff;     /* the longest distance, either way */
    double hausdorff_95;  /* the larger of both ways' 95th percentiles, interpolated linearly between two distances */
} tl_surface;

/* Compares two label maps of one shape: masks are where each equals `label`; where `known` is 0 an element is in
 * neither (NULL: all are known). `spacing` has a number for each dimension. All distances are infinite where one mask
 * is empty, and NaN where both are. 0 or -1. */
int tl__surface(tl_error *err, const int32_t *first, const int32_t *second, const uint8_t *known, int32_t label,
                const tl_shape *shape, const double *spacing, tl_surface *out);

#endif
