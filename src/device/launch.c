/* launch.c - from a number of work-items to groups that the device can run. Kernels either have groups of their own, which the
 * caller names, or take any: then the size is chosen here by the kernel and the class of device, the count is rounded up to whole
 * groups and passed as a last argument, which the kernel compares its place with (BOUND and INSIDE in cl/common.clh). */
#define CL_TARGET_OPENCL_VERSION 120
#include "device/profile.h"

#include <CL/cl.h>
#include <stdlib.h>
#include <string.h>

/* A group of a size that is left to us: wide enough for two wavefronts of any maker; on processors only so wide that handing out
 * groups costs little, since each size is another compilation there. */
enum { WIDEST_GPU = 256, WIDEST_CPU = 64, STEP_CPU = 8 };
/* Groups for each compute unit below which groups are made smaller. */
enum { GROUPS_GPU = 4, GROUPS_CPU = 16 };

/* The largest power of two up to n, and the smallest from n on; n is at least 1. */
static size_t power_below(size_t n)
{
    size_t p = 1;
    while (p <= n / 2) p *= 2;
    return p;
}
static size_t power_above(size_t n)
{
    size_t p = 1;
    while (p < n) p *= 2;
    return p;
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Work-items of a group for a kernel that takes any number: a power of two that the device, the kernel and the driver allow. */
static void choose_group(const tl_device *d, const tl_kernel *k, const tl_launch *l, size_t local[3])
{
    const tl_traits *t = &d->traits;
    size_t items = 1, units = t->compute_units > 0 ? (size_t)t->compute_units : 1;
    size_t width = power_below(smaller(k->most, t->is_cpu ? WIDEST_CPU : WIDEST_GPU));
    size_t narrowest = t->is_cpu ? 1 : smaller(power_below(k->multiple), width), step = t->is_cpu ? STEP_CPU : 2;
    for (int i = 0; i < l->dims; i++) items *= l->global[i];
    if (t->group) width = narrowest = power_below(smaller(t->group, k->most));
    while (width > narrowest && items / width < units * (t->is_cpu ? GROUPS_CPU : GROUPS_GPU)) width = width / step > narrowest ? width / step : narrowest;
    for (int i = 0; i < l->dims; i++) {
        local[i] = smaller(smaller(width, power_above(l->global[i])), t->max_items[i] ? power_below(t->max_items[i]) : width);
        width /= local[i];
    }
}

/* A kernel with groups of its own must find room; nothing smaller is left to take here, so makers ask tl__kernel_fits first. */
static int check_group(tl_error *err, const tl_device *d, const tl_kernel *k, const tl_launch *l, const tl_karg *args, int count, const char *label)
{
    size_t items = 1, bytes = k->local_bytes;
    for (int i = 0; i < l->dims; i++) {
        if (l->local[i] == 0 || l->global[i] % l->local[i] != 0)
            return tl__fail(err, TL_EDEVICE, "%s: %s has groups of its own, but dimension %d has %zu work-items in groups of %zu", label, l->kernel, i,
                            l->global[i], l->local[i]);
        items *= l->local[i];
    }
    for (int i = 0; i < count; i++)
        if (args[i].kind == TL_K_LOCAL) bytes += args[i].u.bytes;
    if (items > k->most)
        return tl__fail(err, TL_EDEVICE, "%s: %s wants %zu work-items in a group, %s has room for %zu of this kernel", label, l->kernel, items, d->traits.name, k->most);
    if (d->traits.local_bytes && bytes > d->traits.local_bytes)
        return tl__fail(err, TL_EDEVICE, "%s: %s wants %zu bytes of local memory, a group of %s has %zu", label, l->kernel, bytes, d->traits.name,
                        d->traits.local_bytes);
    return 0;
}

static int set_argument(tl_error *err, tl_device *d, cl_kernel k, cl_uint at, const tl_karg *a, const char *label)
{
    cl_int e;
    switch (a->kind) {
    case TL_K_BUFFER:
    case TL_K_RAW: {
        if (a->u.buffer && tl__buffer_check(err, a->u.buffer, label) != 0) return -1;
        cl_mem m = a->u.buffer ? a->u.buffer->mem : d->nothing->mem;
        e = clSetKernelArg(k, at, sizeof m, &m);
        break;
    }
    case TL_K_INT: e = clSetKernelArg(k, at, 4, &a->u.i); break;
    case TL_K_LONG: e = clSetKernelArg(k, at, 8, &a->u.l); break;
    case TL_K_FLOAT: e = clSetKernelArg(k, at, 4, &a->u.f); break;
    case TL_K_LOCAL: e = clSetKernelArg(k, at, a->u.bytes, NULL); break;
    default: e = clSetKernelArg(k, at, a->size, a->u.data); break;
    }
    if (e == CL_SUCCESS) return 0;
    char what[48];
    snprintf(what, sizeof what, "kernel argument %u is refused", (unsigned)at);
    return tl__cl_check(err, e, what, label);
}

static int enqueue(tl_error *err, tl_device *d, const tl_kernel *k, const tl_launch *l, const size_t *first, const size_t *global, const size_t *local, const char *label)
{
    cl_event event = NULL;
    int whole = first[0] == 0 && first[1] == 0 && first[2] == 0;
    cl_int e = clEnqueueNDRangeKernel(d->queue, k->handle, (cl_uint)l->dims, whole ? NULL : first, global, local, 0, NULL, tl__profile_wants_events(d) ? &event : NULL);
    if (tl__cl_check(err, e, l->kernel, label) != 0) return -1;
    if (event) tl__profile_launch(d, l->kernel, label, event);
    d->launches++;
    return d->sync_each ? tl__cl_check(err, clFinish(d->queue), l->kernel, label) : 0;
}

/* Enqueues all groups, in pieces that the device takes: `most[i]` work-items of dimension i at once. */
static int enqueue_pieces(tl_error *err, tl_device *d, const tl_kernel *k, const tl_launch *l, const size_t *global, const size_t *local, const char *label)
{
    size_t most[3], first[3];
    for (int i = 0; i < 3; i++) most[i] = d->traits.max_groups[i] && local[i] ? d->traits.max_groups[i] * local[i] : global[i];
    for (first[2] = 0; first[2] < global[2]; first[2] += most[2])
        for (first[1] = 0; first[1] < global[1]; first[1] += most[1])
            for (first[0] = 0; first[0] < global[0]; first[0] += most[0]) {
                size_t piece[3];
                for (int i = 0; i < 3; i++) piece[i] = smaller(most[i], global[i] - first[i]);
                if (enqueue(err, d, k, l, first, piece, local, label) != 0) return -1;
            }
    return 0;
}

int tl__launch(tl_error *err, tl_device *d, const tl_launch *l, const tl_karg *args, int count, const char *label)
{
    for (int i = 0; i < l->dims; i++)
        if (l->global[i] == 0) return 0;  /* nothing to do; OpenCL 1.2 refuses empty ranges */
    if (d->dry) return 0;
    for (int i = 0; i < count; i++)
        if (args[i].kind == TL_K_BUFFER && args[i].u.buffer && tl__buffer_settle(err, args[i].u.buffer) != 0) return -1;
    if (tl__may_launch(err, d) != 0) return -1;
    const tl_kernel *k = tl__kernel_get(err, d, l->program, l->options, l->kernel);
    if (!k) return -1;
    int bounded = k->args == count + 1;
    if (!bounded && k->args != count)
        return tl__fail(err, TL_EDEVICE, "%s: %s takes %d arguments and was given %d", label, l->kernel, k->args, count);
    size_t global[3] = {1, 1, 1}, local[3] = {1, 1, 1};
    cl_ulong bound[4] = {1, 1, 1, 1};
    for (int i = 0; i < l->dims; i++) bound[i] = l->global[i];
    if (bounded && !l->local[0]) choose_group(d, k, l, local);
    else {
        if (check_group(err, d, k, l, args, count, label) != 0) return -1;
        memcpy(local, l->local, (size_t)l->dims * sizeof *local);
    }
    for (int i = 0; i < l->dims; i++) global[i] = (l->global[i] + local[i] - 1) / local[i] * local[i];
    for (int i = 0; i < count; i++)
        if (set_argument(err, d, k->handle, (cl_uint)i, &args[i], l->kernel) != 0) return -1;
    if (bounded && tl__cl_check(err, clSetKernelArg(k->handle, (cl_uint)count, sizeof bound, bound), "the bound is refused", l->kernel) != 0) return -1;
    return enqueue_pieces(err, d, k, l, global, local, label);
}

int tl__kernel_fits(tl_error *err, tl_device *d, const tl_program *program, const char *options, const char *name, size_t items)
{
    tl_error own = {0};
    if (d->dry) return 1; /* nothing is compiled in a dry run, and no variant takes more memory than another */
    const tl_kernel *k = tl__kernel_get(&own, d, program, options, name);
    if (own.code == TL_EMEMORY) return tl__fail(err, TL_EMEMORY, "%s", own.text);
    if (!k && !d->note[0]) snprintf(d->note, sizeof d->note, "%.220s; another kernel does its work", own.text);
    return k && items <= k->most && (!d->traits.local_bytes || k->local_bytes <= d->traits.local_bytes);
}

size_t tl__items_that_fit(tl_error *err, tl_device *d, const tl_program *program, const char *options, const char *name,
                          size_t most)
{
    for (size_t items = most; items > 1; items /= 2) {
        int fits = tl__kernel_fits(err, d, program, options, name, items);
        if (fits != 0) return fits < 0 ? 0 : items;
    }
    return 1;
}
