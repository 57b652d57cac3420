/* plain_device.h - for tests that take the device as it comes, and look at how much is in use on it. */
#ifndef TLUA_PLAIN_DEVICE_H
#define TLUA_PLAIN_DEVICE_H

#include "tlua.h"

#include <criterion/criterion.h>

/* The device that is opened where nobody says which. */
static inline tl_device *open_device(void)
{
    tl_error err = {0};
    tl_device *d = tl_device_open(NULL, &err);
    cr_assert(d, "%s", err.text);
    return d;
}

/* Bytes in use. */
static inline size_t live(tl_device *d)
{
    size_t l;
    tl_device_memory(d, &l, NULL, NULL);
    return l;
}

#endif
