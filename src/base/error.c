/* error.c - recording failures, and allocation that can be made to fail on purpose, so that every
 * path that handles a lack of memory is walked by a test and not only by an unlucky user. */
#include "base/text.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

const char *tl_version(void) { return TLUA_VERSION; }

/* An error is one line, whatever text out of a file or path it quotes. */
static void make_one_line(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 32 || *text == 127) *text = '?';
}

static _Thread_local long memory_failures;

long tl__memory_failures(void) { return memory_failures; }

int tl__vfail(tl_error *err, int code, const char *format, va_list ap)
{
    memory_failures += code == TL_EMEMORY;
    if (err && err->code == TL_OK) {
        locale_t before = tl__point_begin();
        vsnprintf(err->text, sizeof err->text, format, ap);
        tl__point_end(before);
        make_one_line(err->text);
        err->code = code;
    }
    return -1;
}

int tl__fail(tl_error *err, int code, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    tl__vfail(err, code, format, ap);
    va_end(ap);
    return -1;
}

void tl__error_prefix(tl_error *err, const char *format, ...)
{
    if (!err || err->code == TL_OK) return;
    char prefix[sizeof err->text], whole[2 * sizeof err->text];
    va_list ap;
    va_start(ap, format);
    vsnprintf(prefix, sizeof prefix, format, ap);
    va_end(ap);
    make_one_line(prefix);
    snprintf(whole, sizeof whole, "%s%s", prefix, err->text);
    memcpy(err->text, whole, sizeof err->text - 1);
    err->text[sizeof err->text - 1] = 0;
}

/* One counter for the process, whichever thread allocates: the threads of a loader belong to what a test walks. */
static atomic_long counted, fail_at;

int tl__allocation_fails(void)
{
    long at = atomic_load_explicit(&fail_at, memory_order_relaxed);
    return at != 0 && atomic_fetch_add(&counted, 1) + 1 == at;
}

long tl__inject_failure(long nth)
{
    long n = atomic_exchange(&counted, 0);
    atomic_store(&fail_at, nth);
    return n;
}

static void *note(tl_error *err, void *p, size_t bytes)
{
    if (!p) tl__fail(err, TL_EMEMORY, "no host memory for %zu bytes", bytes);
    return p;
}

void *tl__malloc(tl_error *err, size_t bytes)
{
    return note(err, tl__allocation_fails() ? NULL : malloc(bytes ? bytes : 1), bytes);
}

void *tl__calloc(tl_error *err, size_t count, size_t size)
{
    size_t n = count ? count : 1, m = size ? size : 1;
    return note(err, tl__allocation_fails() ? NULL : calloc(n, m), n > SIZE_MAX / m ? SIZE_MAX : n * m);
}

void *tl__realloc(tl_error *err, void *old, size_t bytes)
{
    return note(err, tl__allocation_fails() ? NULL : realloc(old, bytes ? bytes : 1), bytes);
}

char *tl__strdup(tl_error *err, const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = tl__malloc(err, n);
    if (copy) memcpy(copy, text, n);
    return copy;
}

char *tl__asprintf(tl_error *err, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    char *text = n < 0 ? NULL : tl__malloc(err, (size_t)n + 1);
    if (!text) return NULL;
    va_start(ap, format);
    vsnprintf(text, (size_t)n + 1, format, ap);
    va_end(ap);
    return text;
}
