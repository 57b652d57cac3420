/* dicom_inside.h - what the files of src/io/dicom*.c share. */
#ifndef TLUA_DICOM_INSIDE_H
#define TLUA_DICOM_INSIDE_H

#include "io/dicom.h"

typedef struct tl_bytes {
    const uint8_t *at; /* NULL: there are none */
    size_t bytes;
} tl_bytes;

/* A table that numbers are looked up in: `count` entries, those below `first` are the first one. */
typedef struct tl_dicom_table {
    int64_t count, first;
    int bits;
    tl_bytes values; /* 16 bits each, or 8 where that is what there are */
    int known;
} tl_dicom_table;

typedef struct tl_dicom_private {
    void *map; /* of the file, to be unmapped */
    size_t map_bytes;
    uint8_t *inflated;  /* the data set of a deflated file */
    int big;            /* the highest byte first */
    int swapped_pairs;  /* bytes that were written as words with the highest byte first */
    tl_bytes pixels;    /* as they are, or */
    tl_bytes *fragment; /* compressed, in pieces */
    int64_t fragments;
    tl_bytes offsets, wide_offsets; /* where in them frames begin: 32 bits, 64 bits */
    tl_dicom_table palette[3], modality, seen;
} tl_dicom_private;

/* An element of a data set. */
typedef struct tl_element {
    uint32_t tag;
    const uint8_t *value;
    size_t bytes;
} tl_element;

/* Where in the file it stands: sequences of the functional groups say what holds for all frames, or for one. */
enum {
    TL_DICOM_TOP,
    TL_DICOM_SHARED,
    TL_DICOM_ONE_FRAME,
    TL_DICOM_MODALITY,
    TL_DICOM_SEEN, /* a table of what is seen, in the place of a window */
    TL_DICOM_SEGMENT, /* of a SEG object */
    TL_DICOM_MARKED,  /* the series that it is of */
    TL_DICOM_ELSEWHERE
};
typedef struct tl_place {
    int kind;
    int64_t frame; /* from 0; of segments their number in the sequence */
} tl_place;

/* Takes an element that is no sequence. 0 or -1. */
typedef int tl__dicom_take(tl_error *err, void *with, const tl_element *e, tl_place place);
/* Goes through the data set at `data` up to its pixels; `pixels`: where the element of the pixels begins. 0 or -1. */
typedef struct tl_walk {
    const char *name;
    const uint8_t *data;
    size_t bytes;
    int big, explicit_types;
    tl__dicom_take *take;
    void *with;
    tl_bytes pixels;
    int undefined;         /* the pixels are in pieces up to the end of the data */
    int has_pixels, words; /* words: they are of type OW */
} tl_walk;
int tl__dicom_walk(tl_error *err, tl_walk *w);
/* The elements about the file, of group 2, from *behind on: the transfer syntax, and where the data set begins. 0 or
 * -1. */
int tl__dicom_meta(tl_error *err, tl_walk *w, char *syntax, size_t room, size_t *behind);

uint16_t tl__dicom_u16(const uint8_t *p, int big);
uint32_t tl__dicom_u32(const uint8_t *p, int big);

/* How the pixels of a transfer syntax are kept; TL_DICOM_UNREAD with `why`. */
typedef enum tl_dicom_codec {
    TL_DICOM_NATIVE,
    TL_DICOM_JPEG,
    TL_DICOM_JPEG_LS,
    TL_DICOM_JPEG_2000,
    TL_DICOM_RLE,
    TL_DICOM_UNREAD
} tl_dicom_codec;
tl_dicom_codec tl__dicom_codec(const char *syntax, const char **why);

/* The pieces of compressed pixels, behind their table of offsets. 0 or -1. */
int tl__dicom_fragments(tl_error *err, tl_dicom *d, tl_bytes pixels);
/* One compressed frame to `n` numbers, samples of a pixel together. 0 or -1. */
int tl__dicom_decode(tl_error *err, const tl_dicom *d, int frame, int32_t *out);

#endif
