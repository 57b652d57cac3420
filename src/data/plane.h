/* plane.h - masks of slices in memory: pictures of classes, which deflate makes a hundredth of. */
#ifndef TLUA_PLANE_H
#define TLUA_PLANE_H

#include "base/base.h"
#include "io/image.h"

typedef struct tl_plane {
    const char *data;
    size_t bytes;
} tl_plane;

/* (height, width) numbers of 8 bits, packed; the caller frees `data`. 0 or -1. */
int tl__plane_pack(tl_error *err, const uint8_t *values, int height, int width, tl_plane *out);
/* Into a picture of one channel. 0 or -1. */
int tl__plane_unpack(tl_error *err, const tl_plane *plane, tl_image *out);

#endif
