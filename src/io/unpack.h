/* unpack.h - archives of data sets: tar, zip and 7z, packed by any of the usual programs. */
#ifndef TLUA_UNPACK_H
#define TLUA_UNPACK_H

#include "base/base.h"

/* Unpacks `archive` into `folder` (made if absent): regular files and folders only. A name that is absolute or leads
 * outside with "..", and any link, is refused, as is more than `limit` bytes in all (0: 20 GB). Everything is
 * unpacked beside its place first and moved there at the end, so a damaged archive leaves nothing. 0 or -1. */
int tl__unpack(tl_error *err, const char *archive, const char *folder, int64_t limit);

#endif
