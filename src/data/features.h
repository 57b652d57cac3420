/* features.h - outputs of a frozen network kept on disk, so that each picture goes through it once. One file a
 * part of the data (training, test): a header that holds the key, then a row a picture in the order of the
 * source, each with a checksum of its own. Rows are appended in order, so a killed run goes on where it
 * stopped; a row whose checksum differs is never used. */
#ifndef TLUA_FEATURES_H
#define TLUA_FEATURES_H

#include "base/base.h"

typedef struct tl_features tl_features;

enum { TL_FEATURES_TEXT = 3072 };

/* Opens or makes the file. `key` is 64 hex digits that stand for all that the values depend on (weights,
 * cut, preprocessing, files); a file with another key, another geometry or a damaged header is made anew.
 * `rows` pictures of `elements` numbers each, stored as TL_F32 or TL_F16. `text` (up to TL_FEATURES_TEXT - 1 bytes, may
 * be NULL) says to people what it is. While it is incomplete the file is locked: a second run gets TL_ESTATE and waits, until it is complete or
 * its maker has ended. Complete ones are read by many. NULL on failure; TL_EIO where the folder cannot be written or locked. */
tl_features *tl__features_open(tl_error *err, const char *path, const char *key, int64_t rows, int64_t elements, tl_dtype dtype, const char *text);
/* The same as a file of this run alone, which has no name (`path` stands in messages, and what is there is removed) and goes when it is closed. */
tl_features *tl__features_own(tl_error *err, const char *path, const char *key, int64_t rows, int64_t elements, tl_dtype dtype, const char *text);

/* What a file says of itself, for lists. */
typedef struct tl_features_about {
    char key[65], text[TL_FEATURES_TEXT];
    int64_t rows, elements, done, bytes, used; /* used: time of the last use, seconds since 1970 */
    tl_dtype dtype;
    int busy;                                  /* somebody has it open */
} tl_features_about;
/* 0, or -1 where it is no such file or damaged (TL_EFORMAT) or cannot be read. `busy`, `bytes` and `used` are said of any file that can be
 * opened: one without a readable header may be somebody's who has just begun it, or of another version of tlua. */
int tl__features_about(tl_error *err, const char *path, tl_features_about *about);
void tl__features_close(tl_features *f);  /* NULL is allowed */
/* How many rows are there, from the first on without a gap. */
int64_t tl__features_done(const tl_features *f);
int64_t tl__features_rows(const tl_features *f);
int64_t tl__features_elements(const tl_features *f);
/* Appends `count` rows of float32 (count, elements). 0 or -1; after -1 the file ends with its last whole row. A number
 * that float16 cannot hold is TL_EARG. `rows` NULL: pictures that could not be read; their rows are there but missing. */
int tl__features_append(tl_error *err, tl_features *f, const float *rows, int64_t count);
/* Reads the rows `index[0..count)` as float32. A damaged row is TL_EFORMAT, and the file is cut before it,
 * so that the next opening makes it again from there; where others read it, it loses its name to the one that is made again. */
int tl__features_read(tl_error *err, tl_features *f, const int64_t *index, int64_t count, float *out);
/* Whether row r stands for a picture that could not be read: 1, 0, or -1 on failure. */
int tl__features_missing(tl_error *err, tl_features *f, int64_t r);
/* Makes what was appended survive a crash of the machine (fsync). A complete file is open to others from now on. */
int tl__features_sync(tl_error *err, tl_features *f);
/* What the file will hold when whole, in bytes. */
int64_t tl__features_bytes(int64_t rows, int64_t elements, tl_dtype dtype);

#endif
