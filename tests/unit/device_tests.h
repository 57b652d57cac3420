/* device_tests.h - what tests of kernels begin and end with: a device of a given vector width, scopes that must not have failed,
 * nothing left in use, numbers to compute with. */
#ifndef TLUA_DEVICE_TESTS_H
#define TLUA_DEVICE_TESTS_H

#include "op/op.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* Whether all there is is tried: `make test-devices` does; `make test` has no time for every program of the kernels for GPUs. */
static inline int is_whole(void) { return getenv("TLUA_TEST_WHOLE") != NULL; }

/* The kernels for GPUs are built for each shape, and on processors take longer to compile than to run; so do those for processors
 * that these tests alone use, and make test has them compiled so, too (tests/run.sh). A value that PoCL's users have set stays. */
static inline void compile_quickly(const char *vector)
{
    const char *quick = "-cl-opt-disable", *now = getenv("POCL_EXTRA_BUILD_FLAGS");
    if (strcmp(vector, "1") == 0) setenv("POCL_EXTRA_BUILD_FLAGS", quick, 0);
    else if (is_whole() && now && strcmp(now, quick) == 0) unsetenv("POCL_EXTRA_BUILD_FLAGS");
}

static int takes_builtins;
static tl_device *open_device(const char *vector)
{
    tl_error err = {0};
    setenv("TLUA_VECTOR", vector, 1);
    tl_device *d = tl_device_open(NULL, &err);
    cr_assert(d, "%s", err.text);
    takes_builtins = d->traits.takes_builtins;
    return d;
}

static void close_device(tl_device *d)
{
    size_t live;
    cr_expect_eq(d->traits.takes_builtins, takes_builtins, "cl/builtins.clh lacks what a kernel calls");
    tl_device_memory(d, &live, NULL, NULL);
    cr_expect_eq(live, 0, "%zu bytes are still in use", live);
    tl_device_release(d);
}

static tl_scope *open_scope(tl_device *d)
{
    tl_error err = {0};
    tl_scope *s = tl_scope_open(d, &err);
    cr_assert(s, "%s", err.text);
    return s;
}

static void close_scope(tl_scope *s)
{
    cr_expect(!tl_scope_failed(s), "%s", tl_scope_error(s)->text);
    tl_scope_close(s);
}

static float *random_floats(int64_t n, uint64_t stream)
{
    float *x = malloc((size_t)(n + 1) * sizeof *x);
    cr_assert(x);
    for (int64_t i = 0; i < n; i++) x[i] = 2 * tl__rng_uniform(tl__rng_key(11, TL_RNG_UNIFORM, stream), (uint64_t)i) - 1;
    return x;
}

#endif
