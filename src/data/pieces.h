/* pieces.h - texts as the numbers of their pieces, in windows: what networks of text are fed. A window is a sample; it
 * may have a mark for each piece (a class, TL_MARK_IGNORED where nobody asks), or a span of pieces that is to be
 * found. */
#ifndef TLUA_PIECES_H
#define TLUA_PIECES_H

#include "text/tokenizer.h"

/* The mark of pieces that nobody asks for, in losses and in figures. */
#define TL_MARK_IGNORED (-100)

typedef struct tl_pieces tl_pieces;

typedef struct tl_pieces_given {
    tl_encodings *windows;    /* taken over (and zeroed) where that succeeds */
    const int32_t *mark;      /* of each piece of all windows, or NULL; copied like all below */
    const int32_t *span;      /* (windows, 2): first and last piece, from 0; or NULL */
    const char *const *place; /* of each text, as "reviews.tsv:12"; NULL: "texts#12" */
    int64_t place_count;
} tl_pieces_given;

/* One window: pieces `at` to `at + count` of `all`. */
typedef struct tl_piece_row {
    const tl_encoding *all;
    int64_t at, count;
    int64_t text;              /* number of the text among those encoded, from 0 */
    const int32_t *mark;       /* (count), or NULL */
    const int32_t *span;       /* (2), or NULL */
} tl_piece_row;

/* NULL on failure: no windows, spans outside of theirs, numbers that do not fit. */
tl_pieces *tl__pieces_open(tl_error *err, const tl_pieces_given *given);
void tl__pieces_free(tl_pieces *p); /* NULL is allowed */

tl_piece_row tl__pieces_row(const tl_pieces *p, int64_t i);
/* The place of window i's text, and -1; or "texts" and the text's number from 1. */
const char *tl__pieces_locate(const tl_pieces *p, int64_t i, int64_t *number);
/* Puts into `h` what differs when window i differs. */
void tl__pieces_hash(const tl_pieces *p, int64_t i, tl_sha256 *h);

#endif
