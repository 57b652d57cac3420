/* stacks.h - slices of scanners as pictures: a sample is a frame of a DICOM file, or it and its neighbours in the
 * series, one behind the other as channels (2.5-D). Which slices are neighbours is the caller's to say. */
#ifndef TLUA_STACKS_H
#define TLUA_STACKS_H

#include "base/base.h"
#include "io/image.h"

typedef struct tl_stacks tl_stacks;

typedef struct tl_stacks_given {
    int64_t count; /* of slices */
    const char *const *path;
    const int64_t *frame; /* in the file, from 1; NULL: the first of each */
    int width;            /* slices of a sample, an odd number; its own stands in the middle */
    const int64_t *slice; /* (samples, width), from 1 */
    /* How a slice is seen where a request says no windows: to be checked, or looked at by people. */
    int window_count;
    tl_image_window window[TL_IMAGE_MOST_WINDOWS];
} tl_stacks_given;

/* All of it is copied. NULL on failure. */
tl_stacks *tl__stacks_open(tl_error *err, int64_t samples, const tl_stacks_given *given);
void tl__stacks_free(tl_stacks *s); /* NULL is allowed */
/* With windows in the request: channels of all slices, those of the first slice first. Without: the sample's own slice
 * alone, in the first window. 0 or -1. Any thread. */
int tl__stacks_read(tl_error *err, const tl_stacks *s, int64_t i, const tl_image_request *request, tl_image *out);
/* The file of the sample's own slice, and its frame where the file has several, else -1. */
const char *tl__stacks_locate(const tl_stacks *s, int64_t i, int64_t *number);
/* Which slices a sample has, by name below `root` where there is one, into `h`. */
void tl__stacks_hash(const tl_stacks *s, int64_t i, const char *root, tl_sha256 *h);

#endif
