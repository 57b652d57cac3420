/* profile.c - see profile.h. Events are read in one go when the profile ends. */
#define CL_TARGET_OPENCL_VERSION 120
#include "device/profile.h"

#include <CL/cl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* `from`: of a stretch of commands, the one before its first; else NULL. */
typedef struct launch { cl_event event, from; char *kernel; int span; } launch;

struct tl_profile {
    launch *launches;
    tl_profiled *times;
    tl_span *spans;
    char **places;
    int launch_count, span_count, place_count, most, span_room, place_room;
    int open, where;        /* the open span or -1; the place of the next */
    long lost;
    double began, wall;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Another queue in place of the device's, which is idle. */
static int change_queue(tl_error *err, tl_device *d, cl_command_queue_properties properties)
{
    cl_int e;
    if (tl__cl_check(err, clFinish(d->queue), "waiting for the device failed", NULL)) return -1;
    if (d->longest) properties |= CL_QUEUE_PROFILING_ENABLE;
    cl_command_queue q = clCreateCommandQueue(d->context, d->id, properties, &e);
    if (tl__cl_check(err, e, "no command queue that tells times", NULL)) return -1;
    clReleaseCommandQueue(d->queue);
    d->queue = q;
    return 0;
}

int tl__profile_begin(tl_error *err, tl_device *d, int most)
{
    if (d->profile) return tl__fail(err, TL_ESTATE, "a profile is open already");
    tl_profile *p = tl__calloc(err, 1, sizeof *p);
    if (!p) return -1;
    p->most = most;
    p->open = -1;
    p->launches = tl__calloc(err, (size_t)most + 1, sizeof *p->launches);
    if (!p->launches || change_queue(err, d, CL_QUEUE_PROFILING_ENABLE) != 0) {
        tl__profile_free(p);
        return -1;
    }
    p->began = now();
    d->profile = p;
    return 0;
}

static double seconds(cl_event e, cl_profiling_info which)
{
    cl_ulong ns = 0;
    clGetEventProfilingInfo(e, which, sizeof ns, &ns, NULL);
    return 1e-9 * (double)ns;
}

/* A stretch begins where the command before it ends; a driver that does not tell that of a marker leaves its last command. */
static double start_of(const launch *l)
{
    double own = seconds(l->event, CL_PROFILING_COMMAND_START), before = l->from ? seconds(l->from, CL_PROFILING_COMMAND_END) : 0;
    return before > 0 && before < own ? before : own;
}

tl_profile *tl__profile_end(tl_error *err, tl_device *d)
{
    tl_profile *p = d->profile;
    if (!p) {
        tl__fail(err, TL_ESTATE, "no profile is open");
        return NULL;
    }
    clFinish(d->queue);
    p->wall = now() - p->began;
    p->times = tl__calloc(err, (size_t)p->launch_count + 1, sizeof *p->times);
    double first = p->launch_count ? start_of(&p->launches[0]) : 0;
    for (int i = 0; i < p->launch_count && p->times; i++) {
        const launch *l = &p->launches[i];
        p->times[i] = (tl_profiled){l->kernel, l->span, start_of(l) - first, seconds(l->event, CL_PROFILING_COMMAND_END) - first};
    }
    d->profile = NULL;
    if (p->times && change_queue(err, d, 0) == 0) return p;
    tl__profile_free(p);
    return NULL;
}

void tl__profile_free(tl_profile *p)
{
    if (!p) return;
    for (int i = 0; i < p->launch_count; i++) {
        clReleaseEvent(p->launches[i].event);
        if (p->launches[i].from) clReleaseEvent(p->launches[i].from);
        free(p->launches[i].kernel);
    }
    for (int i = 0; i < p->place_count; i++) free(p->places[i]);
    free(p->launches);
    free(p->times);
    free(p->spans);
    free(p->places);
    free(p);
}

int tl__profile_launches(const tl_profile *p, const tl_profiled **list)
{
    *list = p->times;
    return p->launch_count;
}

int tl__profile_spans(const tl_profile *p, const tl_span **list)
{
    *list = p->spans;
    return p->span_count;
}

const char *tl__profile_where(const tl_profile *p, int where) { return where > 0 && where <= p->place_count ? p->places[where - 1] : ""; }
long tl__profile_lost(const tl_profile *p) { return p->lost; }
double tl__profile_wall(const tl_profile *p) { return p->wall; }

/* ---- recording: a lack of memory loses entries, never the run ---- */

static void *room_for(void *list, int count, int *room, size_t size)
{
    tl_error ignored = {0};
    if (count < *room) return list;
    int more = *room ? 2 * *room : 256;
    void *bigger = tl__realloc(&ignored, list, (size_t)more * size);
    if (bigger) *room = more;
    return bigger;
}

int tl__profile_place(tl_device *d, const char *path)
{
    tl_profile *p = d->profile;
    if (!p) return 0;
    int before = p->where;
    p->where = 0;
    for (int i = p->place_count; path && i > 0 && !p->where; i--)
        if (strcmp(p->places[i - 1], path) == 0) p->where = i;
    if (!path || p->where) return before;
    tl_error ignored = {0};
    char **places = room_for(p->places, p->place_count, &p->place_room, sizeof *places), *copy = places ? tl__strdup(&ignored, path) : NULL;
    if (places) p->places = places;
    if (copy) {
        p->places[p->place_count++] = copy;
        p->where = p->place_count;
    }
    return before;
}

int tl__profile_at(tl_device *d, int where)
{
    if (!d->profile) return 0;
    int before = d->profile->where;
    d->profile->where = where;
    return before;
}

int tl__profile_now(const tl_device *d) { return d->profile ? d->profile->where : 0; }

int tl__profile_enter(tl_device *d, const tl_span *span)
{
    tl_profile *p = d->profile;
    if (!p || p->open >= 0 || p->launch_count >= p->most) return 0;
    tl_span *spans = room_for(p->spans, p->span_count, &p->span_room, sizeof *spans);
    if (!spans) return 0;
    p->spans = spans;
    p->open = p->span_count;
    p->spans[p->span_count++] = *span;
    return 1;
}

void tl__profile_leave(tl_device *d, int entered)
{
    if (entered && d->profile) d->profile->open = -1;
}

int tl__profile_wants_events(const tl_device *d) { return d->profile || d->longest; }

void tl__profile_launch(tl_device *d, const char *kernel, const char *label, void *event) { tl__profile_stretch(d, kernel, label, NULL, event); }

void tl__profile_stretch(tl_device *d, const char *kernel, const char *label, void *from, void *event)
{
    tl_profile *p = d->profile;
    tl_error ignored = {0};
    if (d->longest) tl__longest_launch(d, kernel, label, event);
    char *copy = p && p->launch_count < p->most ? tl__strdup(&ignored, kernel) : NULL;
    if (copy) {
        p->launches[p->launch_count++] = (launch){event, from, copy, p->open};
        return;
    }
    if (p) p->lost++;
    clReleaseEvent(event);
    if (from) clReleaseEvent(from);
}
