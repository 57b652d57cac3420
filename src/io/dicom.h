/* dicom.h - pictures as scanners write them. The data set is read here, every length held against the bytes that are
 * there before it is used; pixels that are compressed go through GDCM (dicom_shim.h), which is loaded with the first
 * of them, so that uncompressed files need no library. A file is data from a stranger: each failure is one line that
 * begins with the path. Names, birth dates and addresses of patients are not read at all; the patient's identifier is
 * kept for splitting by patient and stands in no message. */
#ifndef TLUA_DICOM_H
#define TLUA_DICOM_H

#include "base/base.h"

#define TL_DICOM_MOST_WINDOWS 8
/* What stands before the pixels is at most this long: no scanner writes more, and a lie is found out early. */
#define TL_DICOM_MOST_HEADER ((size_t)64 << 20)

typedef struct tl_dicom_window {
    double centre, width;
} tl_dicom_window;

/* Where a frame lies, and how its numbers become values; what a file with one position says stands for all frames. */
typedef struct tl_dicom_frame {
    double position[3],
        orientation[6]; /* mm in the patient's system LPS: the first pixel's centre; along a row, a column */
    double slope, intercept;
    int placed, oriented; /* position, orientation are known */
    int segment;          /* of a SEG object: whose pixels these are; 0: it does not say */
} tl_dicom_frame;

/* What a SEG object marks. */
typedef struct tl_dicom_segment {
    int number;
    char label[65];
} tl_dicom_segment;

typedef struct tl_dicom {
    char *name; /* the path, for messages */
    char syntax[65], photometric[17];
    int rows, columns, frames;
    int samples, planar;                       /* 1 or 3 numbers a pixel; planes apart */
    int bits_allocated, bits_stored, high_bit; /* 1, 8, 16 or 32; the lowest `bits_stored` up to high_bit count */
    int is_signed;
    tl_dicom_window windows[TL_DICOM_MOST_WINDOWS];
    int window_count;
    char window_function[17]; /* empty or LINEAR: what tl__window does */
    int seen_by_table;        /* there is a table for what is seen (VOI LUT): tl__dicom_seen */
    double spacing[2];    /* mm between rows, between columns; 0: not known */
    double thickness;     /* mm; 0: not known */
    double slice_spacing; /* SpacingBetweenSlices; 0: not known */
    tl_dicom_frame *frame;
    /* Of SEG objects: BINARY, FRACTIONAL or LABELMAP, the number that stands for a whole, what is marked, and the
     * series that it is marked in. */
    char segmentation[17], marked_series[65];
    int whole, segments;
    tl_dicom_segment *segment;
    int64_t instance, series_number; /* as people number them; -1: not known */
    char patient[65], study[65], series[65], uid[65];
    char modality[17], body_part[17], laterality[17], sex[17], age[17], manufacturer[65], scanner[65];
    char burned_in[17];   /* BurnedInAnnotation: YES, NO, or not said */
    char description[65]; /* of the series, by whoever sat at the scanner: for choosing, never printed */
    struct tl_dicom_private *own;
} tl_dicom;

/* Do these bytes begin a DICOM file? Those of old programs lack the head, and begin with the data set itself. */
int tl__looks_like_dicom(const uint8_t *data, size_t bytes);
/* What a file says before its pixels. NULL on failure, of which TL_EARG says that the file is in order and no picture
 * (a report, contours), and anything else that it cannot be used. The file stays mapped until it is closed. */
tl_dicom *tl__dicom_open(tl_error *err, const char *path);
/* The same of a file in memory, which must outlive it; `name` is for messages. */
tl_dicom *tl__dicom_open_memory(tl_error *err, const char *name, const void *data, size_t bytes);
void tl__dicom_close(tl_dicom *d); /* NULL is allowed */

/* Numbers of one frame: rows * columns * samples. */
int64_t tl__dicom_numel(const tl_dicom *d);
/* The numbers of a frame (from 0) as they are stored, samples of a pixel together. With 32 bits and no sign the upper
 * half comes as negative numbers. Any number of threads may read frames of one file. 0 or -1. */
int tl__dicom_stored(tl_error *err, const tl_dicom *d, int frame, int32_t *out);

/* Values: rescaled (Hounsfield units for CT), looked up in the modality's table where there is one, colours as RGB
 * from 0 to 255. */
enum {
    TL_DICOM_INVERT =
        1 /* MONOCHROME1, where much is dark, is turned about: lowest and highest stored value change places */
};
/* 3 where a pixel's value is a colour, else 1. */
int tl__dicom_channels(const tl_dicom *d);
/* (rows, columns, channels) of a frame (from 0). 0 or -1. */
int tl__dicom_values(tl_error *err, const tl_dicom *d, int frame, int flags, float *out);

/* Values, in place, to 0..1 by the table of a file that has one. 0 or -1. */
int tl__dicom_seen(tl_error *err, const tl_dicom *d, float *values, int64_t n);

/* Is the library for compressed pixels there? 0, or -1 with an error that says what to install. */
int tl__dicom_library(tl_error *err, const char *name);

#endif
