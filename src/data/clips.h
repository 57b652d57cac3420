/* clips.h - sound by list: each clip a file, a part of one, or samples in memory. How long each is was read from the
 * headers, so that batches can be planned by length before anything is decoded. */
#ifndef TLUA_CLIPS_H
#define TLUA_CLIPS_H

#include "io/audio.h"

/* How long a clip is. */
typedef struct tl_clip {
    int64_t frames; /* at its rate; 0: it cannot be read, and reading it says why */
    int rate;
} tl_clip;

typedef struct tl_clips tl_clips;

/* `count` clips: files by path, of which clip i is `frames[i]` frames from `first[i]` on (NULL: from the first; NULL or
 * 0: to the end); or with `path` NULL the waves of `wave`, which are taken over (and zeroed) where that succeeds.
 * Everything else is copied. NULL on failure; a file that cannot be read is none. */
tl_clips *tl__clips_open(tl_error *err, int64_t count, const char *const *path, const int64_t *first,
                         const int64_t *frames, tl_wave *wave);
void tl__clips_free(tl_clips *c); /* NULL is allowed */

tl_clip tl__clips_about(const tl_clips *c, int64_t i);
/* What `request` asks of clip i, counted from its own first frame. Any thread. */
int tl__clips_read(tl_error *err, const tl_clips *c, int64_t i, const tl_audio_request *request, tl_audio_heard *heard,
                   tl_wave *out);
/* The file of clip i, and its first frame, or -1 where the clip is the file. */
const char *tl__clips_locate(const tl_clips *c, int64_t i, int64_t *number);
/* Puts into `h` what differs when a clip in memory differs, or the part of a file that it is. */
void tl__clips_hash(const tl_clips *c, int64_t i, tl_sha256 *h);
/* A text that differs when clip i, in memory, differs; the caller frees it. */
char *tl__clips_identity(tl_error *err, const tl_clips *c, int64_t i);

#endif
