/* audio_library.c - libsndfile, loaded with the first sound: it brings FLAC, Vorbis, Opus and MP3 along, and runs on
 * pictures never need them. */
#include "io/audio_inside.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

struct tl__sndfile_library tl__sndfile;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *lacks = ""; /* NULL: nothing */

static void load(void)
{
    void *handle = dlopen("libsndfile.so.1", RTLD_NOW | RTLD_LOCAL), *f;
    lacks = handle ? NULL : "libsndfile";
#define LOOK_UP(name) \
    f = handle ? dlsym(handle, #name) : NULL; \
    memcpy(&tl__sndfile.name, &f, sizeof f); /* ISO C has no cast between the two kinds of pointer */ \
    if (!f && !lacks) lacks = #name " of libsndfile 1.1";
    TL__SNDFILE_FUNCTIONS(LOOK_UP)
}

int tl__sndfile_load(tl_error *err, const char *name)
{
    pthread_once(&once, load);
    return lacks ? tl__fail(err, TL_EARG, "%s: sound needs %s: install it (Debian package libsndfile1)", name, lacks)
                 : 0;
}
