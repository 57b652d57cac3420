/* doubles.h - pictures that look nearly the same: what is learnt from one must not be tested on the other, also where
 * it was written anew, in another size, light or format. Each picture has a difference hash: in grey at 9 x 8 pixels,
 * a bit for each neighbour that is brighter than the pixel to the left of it (N. Krawetz, 2013). */
#ifndef TLUA_DOUBLES_H
#define TLUA_DOUBLES_H

#include "data/resize.h"
#include "data/source.h"

/* What is known of a picture: nothing, that it is too even to be told from others, or its hash. */
enum { TL_PRINT_NONE = 0, TL_PRINT_EVEN, TL_PRINT_SEEN };
typedef struct tl_print {
    uint64_t bits;
    int kind;
} tl_print;

/* A picture of 9 x 8 grey bytes. Fewer than TL_PRINT_STEPS steps between neighbours of TL_PRINT_STEP or more: even. */
#define TL_PRINT_WIDTH 9
#define TL_PRINT_HEIGHT 8
#define TL_PRINT_STEPS 8
#define TL_PRINT_STEP 3
tl_print tl__print_of(const uint8_t *grey);

/* The prints of all pictures of a source, by threads (as of loaders); the caller frees them. A picture that cannot be
 * read has none. `cache`: a file in which prints are kept by file, size and time of change; NULL, or one that
 * cannot be read or written: they are worked out. NULL with an error. */
tl_print *tl__source_prints(tl_error *err, tl_source *s, int threads, const char *cache);

/* Pictures a of one list and b of another, `distance` bits apart. */
typedef struct tl_near { int64_t a, b; int distance; } tl_near;
/* All that are at most `most` bits apart (below 16), in the order of b, then of distance, then of a; the caller frees
 * them. Of two equal pointers each pair is there once, a < b. Beyond `room` pairs they are counted alone: *found is how
 * many there are, *count how many are given. NULL with an error. */
tl_near *tl__near_pairs(tl_error *err, const tl_print *a, int64_t a_count, const tl_print *b, int64_t b_count, int most,
                        int64_t room, int64_t *count, int64_t *found);
/* Numbers from 0 for n pictures: those that are near to each other, or by others between them, have one. 0 or -1. */
int tl__near_groups(tl_error *err, const tl_print *list, int64_t n, int most, int64_t *group);

#endif
