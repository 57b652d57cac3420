/* affine.h - pictures turned, sheared, scaled and moved, bit for bit as Pillow does it for torchvision. */
#ifndef TLUA_AFFINE_H
#define TLUA_AFFINE_H

#include "io/image.h"

/* Where a point of the result comes from: x' = a[0] x + a[1] y + a[2], y' = a[3] x + a[4] y + a[5]. */
typedef struct tl_affine {
    double a[6];
} tl_affine;

/* What is done to a picture: turned clockwise by `angle` and sheared, both in degrees, scaled about `center`
 * (x, y), then moved by `translate` pixels. */
typedef struct tl_affine_change {
    double angle, scale, center[2], translate[2], shear[2];
} tl_affine_change;

enum { TL_AFFINE_NEAREST, TL_AFFINE_BILINEAR };

/* torchvision's matrix of F.affine. */
tl_affine tl__affine_inverse(const tl_affine_change *c);
/* Pillow's matrix of Image.rotate about the middle: counter-clockwise by `degrees`. */
tl_affine tl__affine_rotation(int width, int height, double degrees);
/* All samples become `value` of 255. */
void tl__image_fill(tl_image *image, uint8_t value);
/* Writes the picture seen through `m` at its own size into `out` (another picture); outside it is `fill`. */
int tl__affine(tl_error *err, const tl_image *in, const tl_affine *m, int filter, uint8_t fill, tl_image *out);

/* OpenCV's way (warpAffine, INTER_LINEAR): `m` says where a point of the picture goes, pixels count from the middle of
 * the first, and the mean of four is rounded; what lies beyond an edge is `fill` there too. Pictures of 8 bits, `out`
 * of width x height. A map that shrinks to nothing is an error. */
int tl__warp_linear(tl_error *err, const tl_image *in, const tl_affine *m, int width, int height, uint8_t fill,
                    tl_image *out);

#endif
