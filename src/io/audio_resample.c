/* audio_resample.c - other rates through soxr, at the quality that its makers call high (20 bits), which is what
 * librosa and soxr's own Python module use too. One thread each, so that the same samples give the same bits. */
#include "io/audio_inside.h"

#include <dlfcn.h>
#include <pthread.h>
#include <soxr.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTIONS(X) \
    X(soxr_create) X(soxr_process) X(soxr_delete) X(soxr_quality_spec) X(soxr_io_spec) X(soxr_runtime_spec)

/* Filled once, and never unloaded. */
#define MEMBER(f) __typeof__(&f) f;
static struct {
    FUNCTIONS(MEMBER)
} lib;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *lacks = ""; /* NULL: nothing */

static void load(void)
{
    void *handle = dlopen("libsoxr.so.0", RTLD_NOW | RTLD_LOCAL), *f;
    lacks = handle ? NULL : "libsoxr";
#define LOOK_UP(name) \
    f = handle ? dlsym(handle, #name) : NULL; \
    memcpy(&lib.name, &f, sizeof f); /* ISO C has no cast between the two kinds of pointer */ \
    if (!f && !lacks) lacks = #name " of libsoxr 0.1.3";
    FUNCTIONS(LOOK_UP)
}

/* Samples that come out in one step. */
#define STEP 16384

struct tl_rates {
    char *name;
    soxr_t soxr; /* NULL: the rates are equal */
};

static int make(tl_error *err, tl_rates *r, int from, int to)
{
    pthread_once(&once, load);
    if (lacks)
        return tl__fail(err, TL_EARG, "%s: another rate needs %s: install it (Debian package libsoxr0)", r->name,
                        lacks);
    soxr_error_t said = NULL;
    soxr_io_spec_t io = lib.soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
    soxr_quality_spec_t quality = lib.soxr_quality_spec(SOXR_HQ, 0);
    soxr_runtime_spec_t runtime = lib.soxr_runtime_spec(1);
    r->soxr = lib.soxr_create(from, to, 1, &said, &io, &quality, &runtime);
    if (r->soxr) return 0;
    return tl__fail(err, TL_EMEMORY, "%s: from %d Hz to %d Hz: %s", r->name, from, to, said ? said : "soxr failed");
}

tl_rates *tl__rates_open(tl_error *err, const char *name, int from, int to)
{
    if (tl__sound_check(err, name, from, 1) != 0 || tl__sound_check(err, name, to, 1) != 0) return NULL;
    tl_rates *r = tl__calloc(err, 1, sizeof *r);
    if (r && (r->name = tl__strdup(err, name)) != NULL && (from == to || make(err, r, from, to) == 0)) return r;
    tl__rates_close(r);
    return NULL;
}

static int append(tl_error *err, tl_wave *out, const float *in, int64_t count)
{
    if (tl__wave_reserve(err, out, out->count + count) != 0) return -1;
    if (count) memcpy(out->data + out->count, in, (size_t)count * sizeof *in);
    out->count += count;
    return 0;
}

int tl__rates_push(tl_error *err, tl_rates *r, const float *in, int64_t count, tl_wave *out)
{
    if (!r->soxr) return in ? append(err, out, in, count) : 0;
    size_t left = in ? (size_t)count : 0;
    for (;;) {
        size_t used = 0, made = 0;
        if (tl__wave_reserve(err, out, out->count + STEP) != 0) return -1;
        soxr_error_t said = lib.soxr_process(r->soxr, in, left, in ? &used : NULL, out->data + out->count, STEP, &made);
        if (said) return tl__fail(err, TL_EMEMORY, "%s: another rate: %s", r->name, said);
        out->count += (int64_t)made;
        if (in) in += used, left -= used;
        if (made < STEP && left == 0) return 0;
    }
}

void tl__rates_close(tl_rates *r)
{
    if (!r) return;
    if (r->soxr) lib.soxr_delete(r->soxr);
    free(r->name);
    free(r);
}

/* (count to + from / 2) / from, with the whole of count / from apart, so that no header makes the product overflow. */
int64_t tl__audio_length(int64_t count, int64_t from, int64_t to)
{
    return count / from * to + (count % from * to + from / 2) / from;
}

int tl__audio_resample(tl_error *err, const float *in, int64_t count, int from, int to, tl_wave *out)
{
    out->count = 0;
    out->rate = to;
    tl_rates *r = tl__rates_open(err, "resample", from, to);
    if (!r) return -1;
    int64_t wanted = tl__audio_length(count, from, to);
    int status = tl__wave_reserve(err, out, wanted + STEP);
    if (status == 0 && count) status = tl__rates_push(err, r, in, count, out);
    if (status == 0) status = tl__rates_push(err, r, NULL, 0, out);
    tl__rates_close(r);
    if (status != 0) return -1;
    for (; out->count < wanted; out->count++) out->data[out->count] = 0; /* soxr may round a half the other way */
    out->count = wanted;
    return 0;
}
