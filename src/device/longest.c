/* longest.c - TLUA_LONGEST=FILE: every launch is waited for and timed by the driver's own clock, and when the device is
 * closed a line for each kernel is added to FILE: seconds of its longest launch, launches whose times the driver does not
 * tell, launches, kernel, operator. A desktop's watchdog kills a launch that takes some seconds, so the tests' are to stay
 * far below. Of CLBlast's launches the last of each product is seen. */
#define CL_TARGET_OPENCL_VERSION 120
#include "device/profile.h"

#include <CL/cl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct row { char kernel[48], label[48]; double seconds; long launches, untimed; } row;

struct tl_longest { char *path; row *rows; int count, room; };

int tl__longest_open(tl_error *err, tl_device *d)
{
    const char *path = getenv("TLUA_LONGEST");
    if (!path || !*path) return 0;
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return tl__fail(err, TL_EIO, "TLUA_LONGEST: cannot write %s: %s", path, strerror(errno));
    close(fd);
    d->longest = tl__calloc(err, 1, sizeof *d->longest);
    if (!d->longest) return -1;
    d->longest->path = tl__strdup(err, path);
    return d->longest->path ? 0 : -1;
}

static row *row_of(struct tl_longest *l, const char *kernel, const char *label)
{
    for (int i = 0; i < l->count; i++)
        if (strncmp(l->rows[i].kernel, kernel, sizeof l->rows->kernel - 1) == 0 &&
            strncmp(l->rows[i].label, label, sizeof l->rows->label - 1) == 0)
            return &l->rows[i];
    if (l->count == l->room) {
        int room = l->room ? 2 * l->room : 64;
        row *more = tl__realloc(NULL, l->rows, (size_t)room * sizeof *more);
        if (!more) return NULL;
        l->rows = more;
        l->room = room;
    }
    row *r = &l->rows[l->count++];
    memset(r, 0, sizeof *r);
    snprintf(r->kernel, sizeof r->kernel, "%s", kernel);
    snprintf(r->label, sizeof r->label, "%s", label);
    return r;
}

void tl__longest_launch(tl_device *d, const char *kernel, const char *label, void *event)
{
    cl_event e = event;
    cl_ulong start = 0, end = 0;
    row *r = row_of(d->longest, kernel, label ? label : "");
    if (clWaitForEvents(1, &e) != CL_SUCCESS || !r) return; /* whoever waits next hears of it */
    if (clGetEventProfilingInfo(e, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL) != CL_SUCCESS ||
        clGetEventProfilingInfo(e, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL) != CL_SUCCESS)
        r->untimed++;
    double seconds = end > start ? 1e-9 * (double)(end - start) : 0;
    r->launches++;
    if (seconds > r->seconds) r->seconds = seconds;
}

void tl__longest_close(tl_device *d)
{
    struct tl_longest *l = d->longest;
    if (!l) return;
    FILE *f = l->path && l->count ? fopen(l->path, "a") : NULL;
    for (int i = 0; i < l->count && f; i++)
        fprintf(f, "%.9f\t%ld\t%ld\t%s\t%s\n", l->rows[i].seconds, l->rows[i].untimed, l->rows[i].launches, l->rows[i].kernel, l->rows[i].label);
    if (f) fclose(f); /* a device that closes has no one to tell */
    free(l->path);
    free(l->rows);
    free(l);
}
