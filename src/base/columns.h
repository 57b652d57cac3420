/* columns.h - how wide texts are on a terminal, which gives some characters two columns and others none. */
#ifndef TLUA_COLUMNS_H
#define TLUA_COLUMNS_H

#include "base/base.h"

/* Columns of UTF-8: wide characters have two, combining marks none (Unicode Standard Annex 11). A byte that is no
 * UTF-8 has one. */
int64_t tl__columns(const char *text, size_t bytes);
/* Bytes of the user-perceived character that `text` begins with (Unicode Standard Annex 29, extended grapheme
 * clusters), at least 1, and its columns; `columns` may be NULL. A byte that is no UTF-8 is one of its own. 0 of an
 * empty text. */
size_t tl__cluster(const char *text, size_t bytes, int64_t *columns);
/* Bytes of as many whole clusters from the beginning as have at most `most` columns, or from the end. */
size_t tl__columns_fit(const char *text, size_t bytes, int64_t most, int from_end);

#endif
