/* augment.h - steps that change training pictures at random, for the table in transforms.c. Names, parameters
 * and order of the draws are torchvision's; a range whose ends are equal makes a step that is not random. */
#ifndef TLUA_AUGMENT_H
#define TLUA_AUGMENT_H

#include "data/transform.h"

/* Parameters of two numbers go from small to large. */
int tl__ranges_check(tl_error *err, const tl_transform *t);

/* degrees, interpolation, fill */
int tl__random_rotation_apply(tl_error *err, const tl_transform *t, tl_record *s);
/* degrees, translate, scale, shear, interpolation, fill */
int tl__random_affine_check(tl_error *err, const tl_transform *t);
int tl__random_affine_apply(tl_error *err, const tl_transform *t, tl_record *s);
/* brightness, contrast, saturation, hue */
int tl__color_jitter_apply(tl_error *err, const tl_transform *t, tl_record *s);
/* p */
int tl__random_grayscale_apply(tl_error *err, const tl_transform *t, tl_record *s);
/* hue (of 180), saturation, value (of 255), as OpenCV counts them */
int tl__random_hsv_apply(tl_error *err, const tl_transform *t, tl_record *s);
/* p, scale, ratio, value, noise */
int tl__random_erasing_apply(tl_error *err, const tl_transform *t, tl_record *s);

/* For both of the following: the magnitude is one of the bins. */
int tl__bins_check(tl_error *err, const tl_transform *t);
/* operations, magnitude, bins, interpolation, fill */
int tl__rand_augment_apply(tl_error *err, const tl_transform *t, tl_record *s);
/* name, magnitude, bins, negative, interpolation, fill: one of RandAugment's operations as it is told */
int tl__operation_apply(tl_error *err, const tl_transform *t, tl_record *s);

/* RandAugment's operations, and how the affine ones take pixels. Both end with NULL. */
#define TL_OPERATION_NAMES                                                                                                                          \
    "identity", "shear_x", "shear_y", "translate_x", "translate_y", "rotate", "brightness", "color", "contrast", "sharpness", "posterize", "solarize", \
        "autocontrast", "equalize", NULL
#define TL_AFFINE_FILTER_NAMES "nearest", "bilinear", NULL

#endif
