/* wait.c - waiting that can be broken off. A prompt wants to be back at once after Ctrl-C, whatever the device is about. What
 * has been enqueued cannot be taken back, but the queue is kept short and nobody waits for the rest: the queue is in order, so
 * whatever comes later finds the memory as it should be. */
#define CL_TARGET_OPENCL_VERSION 120
#include "device/device.h"

#include <CL/cl.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { AHEAD = 8 }; /* launches between two waits while somebody may interrupt */

/* Of the process: Ctrl-C is meant for whatever runs. A program that sits at a prompt sets it, from any thread. */
static const volatile sig_atomic_t *_Atomic stop_flag;

void tl__interruptible(const volatile sig_atomic_t *stop) { stop_flag = stop; }

static int stops(void)
{
    const volatile sig_atomic_t *stop = stop_flag;
    return stop && *stop;
}

static int interrupted(tl_error *err) { return tl__fail(err, TL_EINTERRUPT, "interrupted"); }

/* Shared by who waits and by the driver's callback; whoever is done last frees it, since a wait may be abandoned. */
typedef struct waiter {
    sem_t done;
    atomic_int holders;
} waiter;

static void let_go(waiter *w)
{
    if (atomic_fetch_sub(&w->holders, 1) != 1) return;
    sem_destroy(&w->done);
    free(w);
}

static void CL_CALLBACK on_done(cl_event event, cl_int status, void *data)
{
    (void)event, (void)status;
    waiter *w = data;
    sem_post(&w->done);
    let_go(w);
}

static int wait_for(tl_error *err, tl_device *d, cl_event event)
{
    waiter *w = tl__calloc(err, 1, sizeof *w);
    if (!w) return -1;
    sem_init(&w->done, 0, 0);
    atomic_init(&w->holders, 2);
    cl_int e = clSetEventCallback(event, CL_COMPLETE, on_done, w);
    if (e != CL_SUCCESS) let_go(w);
    int bad = tl__cl_check(err, e, "waiting for the device failed", NULL) || tl__cl_check(err, clFlush(d->queue), "waiting for the device failed", NULL);
    while (!bad && sem_trywait(&w->done) != 0) {
        if (stops()) bad = interrupted(err);
        struct timespec until; /* a signal that another thread has taken wakes nobody here: look now and then */
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 50000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (!bad && sem_timedwait(&w->done, &until) == 0) break;
    }
    let_go(w);
    return bad ? -1 : 0;
}

int tl__wait(tl_error *err, tl_device *d)
{
    cl_event event = NULL;
    d->ahead = 0;
    if (!stop_flag || d->dry) return 0;
    if (stops()) return interrupted(err);
    if (tl__cl_check(err, clEnqueueMarkerWithWaitList(d->queue, 0, NULL, &event), "waiting for the device failed", NULL)) return -1;
    int bad = wait_for(err, d, event);
    clReleaseEvent(event);
    return bad;
}

int tl__may_launch(tl_error *err, tl_device *d)
{
    if (tl__launch_fails(err, d)) return -1;
    if (!stop_flag || d->whole) return 0;
    if (stops()) return interrupted(err);
    return ++d->ahead > AHEAD ? tl__wait(err, d) : 0;
}

int tl__begin_whole(tl_error *err, tl_device *d)
{
    if (stops() && !d->whole) return interrupted(err);
    d->whole++;
    return 0;
}

void tl__end_whole(tl_device *d) { d->whole--; }

/* ---- launches that fail on purpose ---- */

long tl__inject_launch_failure(tl_device *d, long nth, int code)
{
    long n = d->orders;
    d->orders = 0;
    d->fail_at = nth;
    d->fail_code = code;
    return n;
}

int tl__launch_fails(tl_error *err, tl_device *d)
{
    if (d->fail_at == 0 || ++d->orders != d->fail_at) return 0;
    return tl__fail(err, d->fail_code, d->fail_code == TL_EINTERRUPT ? "interrupted" : "a launch was made to fail");
}
