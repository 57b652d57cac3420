/* series.h - a folder as it comes from a scanner: which files belong together, in which order they lie in the
 * patient, and what is missing. The order is that of positions along the normal of the slices, never that of names.
 * What looks wrong is said in one line each (`notes`); whether a volume is made all the same is the caller's to say.
 */
#ifndef TLUA_SERIES_H
#define TLUA_SERIES_H

#include "data/folders.h"
#include "io/volume.h"

typedef struct tl_series_slice {
    char *path;
    int frame;          /* of the file, from 0 */
    double position[3]; /* mm, LPS */
    double along;       /* mm along the normal */
    int64_t instance;
} tl_series_slice;

typedef struct tl_series {
    char patient[65], study[65], uid[65];
    char modality[17], body_part[17], laterality[17], sex[17], age[17], manufacturer[65], scanner[65];
    char burned_in[17];   /* BurnedInAnnotation of the first file */
    char description[65]; /* for choosing, never printed */
    int64_t number; /* -1: not known */
    int rows, columns, files;
    tl_series_slice *slice; /* in order */
    int64_t count, capacity;
    double orientation[6], spacing[3]; /* of columns, rows, slices; LPS; spacing 0: not known */
    double centre, width;              /* the first window of the first file; width 0: none */
    int placed;                        /* positions are known; else the order is that of instance numbers */
    int64_t missing, doubles;          /* slices */
    int uneven, mixed;                 /* distances differ; slices differ in size or direction, or are colours */
    tl_texts notes;
} tl_series;

typedef struct tl_series_list {
    tl_series *at;
    int64_t count, capacity;
    int64_t passed; /* files that are no DICOM files */
    tl_texts notes;   /* DICOM files that could not be read, or have no pictures */
    tl_texts damaged; /* the lines of those that should be pictures and cannot be read */
} tl_series_list;

/* All series below a folder, by patient, study and number. 0 or -1. */
int tl__series_scan(tl_error *err, const char *folder, tl_series_list *list);
void tl__series_free(tl_series_list *list);

/* What is done about slices that are missing or lie at one place; else they are an error. The last two are about that
 * error: how who asks can say otherwise. */
enum {
    TL_SERIES_FILL = 1 /* between their neighbours' values */,
    TL_SERIES_FIRST = 2 /* the one of the lowest number */,
    TL_SERIES_RECIPE = 4 /* by options of a recipe's data */,
    TL_SERIES_ASKED = 8 /* not at all */
};
/* The slices as a volume of values (Hounsfield units of CT), read by `threads` (0: as many as there are processors;
 * TL_THREADS_NONE: by the caller's). 0 or -1. */
int tl__series_volume(tl_error *err, const tl_series *s, int flags, int threads, tl_volume *out);
/* The same without values: size and affine of `out`. */
int tl__series_head(tl_error *err, const tl_series *s, int flags, tl_volume *out);
/* A series of its own that is the same; freed by tl__series_clear. 0 or -1. */
int tl__series_copy(tl_error *err, const tl_series *from, tl_series *to);
void tl__series_clear(tl_series *s);

/* A mask beside a series: a DICOM SEG object, whose segments become value[number] where that is not 0, the later frame
 * before the earlier; or a NIfTI volume whose voxels are those of the series, and of which value[v] is taken. Into
 * `planes` (slices, rows, columns), which a SEG object fills only where it marks something. 0 or -1. */
int tl__series_mask(tl_error *err, const tl_series *s, const char *path, const uint8_t value[256], uint8_t *planes);

#endif
