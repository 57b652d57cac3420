/* volumes.h - volumes by list: each NIfTI files, or the slices of a DICOM series, with a mask beside it or none.
 * Sizes and places are known from the headers, so that batches and memory can be planned, and a mask on another
 * grid than its volume be refused, before anything is decoded. */
#ifndef TLUA_VOLUMES_H
#define TLUA_VOLUMES_H

#include "data/series.h"

/* What the samples are; all of it is copied. */
typedef struct tl_volume_list {
    int64_t count;
    int files;                      /* of a volume, each a channel; 1 mostly */
    const char *const *path;        /* (count, files) NIfTI files; NULL where the volume is a series */
    const tl_series *const *series; /* (count), or NULL */
    const char *const *mask;        /* (count) NIfTI files of classes, or NULL */
    int64_t values; /* of masks that mean a class: `value` (values) from 0 to 65535, `meaning` (values) */
    const int32_t *value, *meaning; /* NULL: values are classes */
    int classes;                    /* meanings without a table, and TL_MASK_IGNORED */
    int rest;                       /* what other values mean: a class, TL_MASK_IGNORED, or -1: they are an error */
    unsigned flags; /* TL_SERIES_... and TL_VOLUMES_...; with TL_SERIES_ASKED no error names an option of a recipe */
} tl_volume_list;

enum {
    TL_VOLUMES_PARTS = 16, /* the parts of a volume (times, contrasts) are channels; else it has one */
    TL_VOLUMES_FIRST = 32, /* the first part alone */
    TL_VOLUMES_NAN = 64    /* what is not finite counts as 0; else it is an error */
};
#define TL_VOLUMES_MOST_VALUE 65535
#define TL_VOLUMES_MOST_FILES 16

/* Where a volume lies, and how many channels it has. */
typedef struct tl_extent {
    tl_grid grid;
    int channels; /* 0: it cannot be read, and reading it says why */
} tl_extent;

typedef struct tl_volumes tl_volumes;

/* NULL on failure; a file that cannot be read is none. */
tl_volumes *tl__volumes_open(tl_error *err, const tl_volume_list *list);
void tl__volumes_free(tl_volumes *v); /* NULL is allowed */

const tl_extent *tl__volumes_about(const tl_volumes *v, int64_t i);
/* Volume i as its files have it, parts being its channels, and where `mask` is not NULL the classes of its mask, one
 * part. Any thread. 0 or -1: errors begin with the path. */
int tl__volumes_read(tl_error *err, const tl_volumes *v, int64_t i, tl_volume *image, tl_volume *mask);
/* The first file of volume i. */
const char *tl__volumes_locate(const tl_volumes *v, int64_t i);
/* Puts into `h` what differs when a file of volume i may differ, its mask's too; with `root` what stays when the
 * data are moved. 0 or -1. */
int tl__volumes_hash(tl_error *err, const tl_volumes *v, int64_t i, const char *root, tl_sha256 *h);

#endif
