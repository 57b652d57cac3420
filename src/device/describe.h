/* describe.h - all that a driver says about a device, and what tlua makes of it: for `tlua devices --all` and reports.
 */
#ifndef TLUA_DESCRIBE_H
#define TLUA_DESCRIBE_H

#include "device/device.h"

/* One property. Keys are those of `tlua devices --all --json`. */
typedef struct tl_detail {
    const char *key;
    enum { TL_D_TEXT, TL_D_NUMBER, TL_D_FLAG, TL_D_LIST } kind;
    const char *text;      /* TL_D_TEXT */
    int64_t number[3];     /* TL_D_LIST: all three */
} tl_detail;

/* Tells the details of every device, which is counted from 1 as in tl_device_list. What a driver does not know is left
 * out. Returns how many devices there are. A small kernel is compiled on each, since some properties are a kernel's. */
int tl__devices_describe(void (*each)(void *user, int index, const tl_detail *detail), void *user);

/* The traits of every device; `chosen`: it is the one that tl_device_open takes where nobody names one. Returns how
 * many there are. */
int tl__device_each(void (*each)(void *user, int index, void *id, const char *type, const tl_traits *t, int chosen),
                    void *user);

#endif
