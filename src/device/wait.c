/* wait.c - waiting that can be broken off. A prompt wants to be back at once after Ctrl-C, whatever the device is about. What
 * has been enqueued cannot be taken back, but the queue is kept short and nobody waits for the rest: the queue is in order, so
 * whatever comes later finds the memory as it should be. */
#define CL_TARGET_OPENCL_VERSION 120
#include "device/device.h"

#include <CL/cl.h>
#include <time.h>

enum { AHEAD = 8 }; /* launches between two waits while somebody may interrupt */

static const volatile sig_atomic_t *stop_flag;

void tl__interruptible(const volatile sig_atomic_t *stop) { stop_flag = stop; }

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int interrupted(tl_error *err) { return tl__fail(err, TL_EINTERRUPT, "interrupted"); }

/* Looks at the event from time to time, the more rarely the longer it takes: about a thirtieth of the time is lost. */
static int wait_for(tl_error *err, cl_event event)
{
    double begin = now();
    for (;;) {
        cl_int state = CL_QUEUED;
        if (tl__cl_check(err, clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, NULL), "waiting for the device failed", NULL)) return -1;
        if (state <= CL_COMPLETE) return tl__cl_check(err, state, "waiting for the device failed", NULL);
        if (*stop_flag) return interrupted(err);
        double pause = (now() - begin) / 32;
        pause = pause < 5e-6 ? 5e-6 : pause > 0.02 ? 0.02 : pause;
        nanosleep(&(struct timespec){0, (long)(pause * 1e9)}, NULL);
    }
}

int tl__wait(tl_error *err, tl_device *d)
{
    cl_event event = NULL;
    d->ahead = 0;
    if (!stop_flag || d->dry) return 0;
    if (*stop_flag) return interrupted(err);
    if (tl__cl_check(err, clEnqueueMarkerWithWaitList(d->queue, 0, NULL, &event), "waiting for the device failed", NULL)) return -1;
    int bad = tl__cl_check(err, clFlush(d->queue), "waiting for the device failed", NULL) || wait_for(err, event) != 0;
    clReleaseEvent(event);
    return bad ? -1 : 0;
}

int tl__may_launch(tl_error *err, tl_device *d)
{
    if (!stop_flag) return 0;
    if (*stop_flag) return interrupted(err);
    return ++d->ahead > AHEAD ? tl__wait(err, d) : 0;
}
