/* shared.h - pictures that are the same file in two sources: what is learned in training should not be tested. */
#ifndef TLUA_SHARED_H
#define TLUA_SHARED_H

#include "data/source.h"

/* A picture of one source and one of another whose files hold the same bytes. */
typedef struct tl_shared { int64_t a, b; } tl_shared;

/* The pictures of `b` whose file is that of a picture of `a` too (its first one), in the order of `b`; the caller frees them.
 * Sizes are compared first, then a part of the files, then the whole of what is left, so that most files are not read. A file that
 * cannot be read is like no other. NULL with an error; *count may be 0. Sources that are not made of files share nothing. */
tl_shared *tl__source_shared(tl_error *err, const tl_source *a, const tl_source *b, int64_t *count);

#endif
