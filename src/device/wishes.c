/* wishes.c - the environment's say in how a device is used, read and checked in one place: a value that nobody would understand is an error,
 * since whoever sets one wants to know that it has an effect. For tests and for looking into a problem; docs/internals.md lists them. */
#include "device/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A whole number from 1 to `most`, or the unset value 0. */
static int number(tl_error *err, const char *name, unsigned long most, unsigned long *n)
{
    const char *text = getenv(name);
    char *end = NULL;
    *n = 0;
    if (!text || !*text) return 0;
    errno = 0;
    *n = strtoul(text, &end, 10);
    if (*text >= '0' && *text <= '9' && !*end && !errno && *n >= 1 && *n <= most) return 0;
    return tl__fail(err, TL_EARG, "%s: a whole number from 1 to %lu is needed, not '%s'", name, most, text);
}

/* 0, 1, empty or unset. */
static int yes_or_no(tl_error *err, const char *name)
{
    const char *text = getenv(name);
    if (!text || !*text || strcmp(text, "0") == 0 || strcmp(text, "1") == 0) return 0;
    return tl__fail(err, TL_EARG, "%s: 0 or 1 is needed, not '%s'", name, text);
}

int tl__wishes_check(tl_error *err)
{
    unsigned long n;
    if (yes_or_no(err, "TLUA_SYNC") != 0 || yes_or_no(err, "TLUA_KERNEL_CACHE") != 0 ||
        yes_or_no(err, "TLUA_TUNING") != 0) return -1;
    const char *maker = getenv("TLUA_GEMM");
    if (number(err, "TLUA_MEMORY", 1 << 24, &n) != 0 || number(err, "TLUA_GROUP", 1 << 16, &n) != 0 ||
        number(err, "TLUA_MAX_GROUPS", 1ul << 31, &n) != 0 || number(err, "TLUA_VECTOR", 16, &n) != 0)
        return -1;
    if (n && n != 1 && n != 4 && n != 8 && n != 16) return tl__fail(err, TL_EARG, "TLUA_VECTOR: 1 (kernels for GPUs), 4, 8 or 16 floats, not %lu", n);
    if (maker && *maker && strcmp(maker, "own") != 0 && strcmp(maker, "clblast") != 0)
        return tl__fail(err, TL_EARG, "TLUA_GEMM: own or clblast is needed, not '%s'", maker);
    return 0;
}
