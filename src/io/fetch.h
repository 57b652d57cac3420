/* fetch.h - getting a file of weights or data from the network or from a file:// address, whole and
 * verified or not at all. */
#ifndef TLUA_IO_FETCH_H
#define TLUA_IO_FETCH_H

#include "base/base.h"

/* Bytes had and bytes in all (0 while unknown). Return nonzero to stop; what was had is kept. */
typedef int tl_fetch_progress(void *user, int64_t done, int64_t total);

/* Fetches `url` (http, https, file) into `path`, making its folder. `sha256` is the beginning of the
 * file's SHA-256 in hex, of any length, or NULL. What was had of an interrupted transfer stays in
 * PATH.part, and is continued by the next call if there is a hash that can prove the joint whole. 0, or -1
 * with one line that begins with the path and says what to do. */
int tl__fetch(tl_error *err, const char *url, const char *path, const char *sha256, tl_fetch_progress *progress, void *user);

/* The SHA-256 of a file in hex. 0 or -1. */
int tl__sha256_file(tl_error *err, const char *path, char hex[65]);

#endif
