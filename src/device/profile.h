/* profile.h - where the time of a device goes: every launch with its kernel, the operator that made it, the layer, and the
 * work that it stands for. Costs nothing while no profile is open. */
#ifndef TLUA_PROFILE_H
#define TLUA_PROFILE_H

#include "device/device.h"

/* One operator call (or its gradient): what launches belong to. */
typedef struct tl_span {
    const char *op;          /* static text */
    int where;               /* number of a place, see tl__profile_place; 0: unknown */
    int backward;
    double flops, bytes;     /* that the operator is worth, whatever its kernels do */
} tl_span;

typedef struct tl_profiled {
    const char *kernel;      /* belongs to the profile */
    int span;                /* number, or -1: copies, optimisers and the like */
    double start, end;       /* seconds since the first launch */
} tl_profiled;

typedef struct tl_profile tl_profile;

/* Opens a profile: from now on the device's queue tells times. At most `most` launches are kept. */
int tl__profile_begin(tl_error *err, tl_device *d, int most);
/* Waits for the device and closes the profile, which the caller reads and frees. NULL on failure. */
tl_profile *tl__profile_end(tl_error *err, tl_device *d);
void tl__profile_free(tl_profile *p);
int tl__profile_launches(const tl_profile *p, const tl_profiled **list);
int tl__profile_spans(const tl_profile *p, const tl_span **list);
const char *tl__profile_where(const tl_profile *p, int where);
/* Launches that there was no room for; seconds that the profile was open. */
long tl__profile_lost(const tl_profile *p);
double tl__profile_wall(const tl_profile *p);

/* ---- for those who launch; all do nothing without a profile ---- */

/* The number of a place ("layer1.0.conv2") for spans that begin from now on; NULL: none. Returns the former one, which
 * tl__profile_at puts back. */
int tl__profile_place(tl_device *d, const char *path);
int tl__profile_at(tl_device *d, int where);
int tl__profile_now(const tl_device *d);
/* Begins a span unless one is open. Returns whether it did; then tl__profile_leave ends it. */
int tl__profile_enter(tl_device *d, const tl_span *span);
void tl__profile_leave(tl_device *d, int entered);
/* Whether a launch's event (a cl_event) is wanted; and taking it over. `label` names the operator. */
int tl__profile_wants_events(const tl_device *d);
void tl__profile_launch(tl_device *d, const char *kernel, const char *label, void *event);
/* The same of a library's commands between `from` (a marker before the first, or NULL) and `event` (of the last). */
void tl__profile_stretch(tl_device *d, const char *kernel, const char *label, void *from, void *event);

/* ---- the longest launch of each kernel: TLUA_LONGEST=FILE (longest.c) ---- */

/* When a device is opened, before its queue; 0, or -1 where FILE cannot be written. */
int tl__longest_open(tl_error *err, tl_device *d);
/* Waits for a launch and takes its time; the event stays the caller's. */
void tl__longest_launch(tl_device *d, const char *kernel, const char *label, void *event);
/* When a device is closed: adds the lines to FILE. */
void tl__longest_close(tl_device *d);

/* ---- what the device can do ---- */

/* GFLOP/s of plain multiply-adds, and GB/s of copying in memory (read and written counted), the best of some tries: about
 * half a second. 0 or -1. */
int tl__device_peaks(tl_error *err, tl_device *d, double *gflops, double *gbytes);

/* A model of the device (roofline.c): the two, the first also in float16 (0: it has none), and the seconds of a launch that does
 * nothing, in a queue of 200 of them and alone with waiting for it. About a second. 0 or -1. */
typedef struct tl_roofline { double gflops, half_gflops, gbytes, launch, round_trip; } tl_roofline;
int tl__device_roofline(tl_error *err, tl_device *d, tl_roofline *r);

#endif
