/* room.c - how much of a device's memory tlua may hold. A card's memory is never all ours: the driver has its own in
 * it, the desktop its pictures, and what kernels spill lies there too. A reserve is left to them: a sixteenth, at least
 * 256 MB, but no more than a quarter of a small card. A processor's device has the host's memory, of which the system
 * knows what is free (lua/tlua/train/memory.lua). */
#define CL_TARGET_OPENCL_VERSION 120
#include "device/device.h"

#include <CL/cl.h>
#include <string.h>

enum { FREE_MEMORY_AMD = 0x4039 }; /* of cl_amd_device_attribute_query: free KB in all, and in one piece */

void tl__traits_budget(tl_traits *t)
{
    uint64_t most = t->global_bytes, reserve = most / 16;
    if (reserve < (uint64_t)256 << 20) reserve = (uint64_t)256 << 20;
    if (reserve > most / 4) reserve = most / 4;
    t->budget = t->is_cpu && !t->limit ? most : most - reserve;
}

/* Bytes that the driver says are free; UINT64_MAX where it does not say. Only AMD's has words for it in OpenCL. */
static uint64_t free_bytes(const tl_device *d)
{
    size_t kb[4] = {0}, got = 0;
    if (d->traits.is_cpu || !strstr(d->traits.platform, "AMD") ||
        clGetDeviceInfo(d->id, FREE_MEMORY_AMD, sizeof kb, kb, &got) != CL_SUCCESS || got < sizeof *kb)
        return UINT64_MAX;
    return (uint64_t)kb[0] << 10;
}

uint64_t tl__device_room(const tl_device *d)
{
    size_t live, pooled;
    const tl_pool *p = d->pool;
    uint64_t most = d->traits.budget, left = free_bytes(d);
    tl__pool_stats(p, &live, &pooled, NULL);
    return left < most && left + live + pooled < most ? left + live + pooled : most;
}
