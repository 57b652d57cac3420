/* letterbox.h - a picture made as large as fits into a square or rectangle with its shape kept, in the upper left
 * corner, and grey around it: how YOLOX is fed (Ge et al. 2021, its `preproc`). */
#ifndef TLUA_LETTERBOX_H
#define TLUA_LETTERBOX_H

#include "data/transform.h"

/* The first is OpenCV's INTER_LINEAR, which takes two pixels by two and leaves out the rest of what becomes smaller;
 * the others are those of the resize. */
#define TL_LETTERBOX_FILTERS "linear", "box", "bilinear", "bicubic", "lanczos", NULL

/* Of a picture of in_width x in_height: how many times as large it becomes, and its size. */
double tl__letterbox_scale(int in_width, int in_height, int width, int height, int *wide, int *high);
/* What is pasted of the step's letterbox of height x width: `in` scaled, into `out`, another picture. `scale` becomes
 * how many times as large it is. 0 or -1. */
int tl__letterbox_fit(tl_error *err, const tl_transform *t, tl_resizer *resizer, const tl_image *in, int height,
                      int width, tl_image *out, double *scale);
/* Parameters: size, fill, interpolation. */
int tl__letterbox_apply(tl_error *err, const tl_transform *t, tl_record *s);
/* As tl_transform_row has it. */
void tl__letterbox_from(const tl_transform *t, int *width, int *height, tl_affine *from);
/* OpenCV's linear resize of 8 bits: weights of 11 bits, rounded once at the end. */
int tl__resize_linear(tl_error *err, const tl_image *in, int width, int height, tl_image *out);

#endif
