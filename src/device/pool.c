/* pool.c - device memory, kept for reuse. Drivers allocate slowly and a training step asks for the
 * same sizes again and again, so a freed buffer waits in a free list of its size class: eight
 * classes per doubling, which wastes at most an eighth. One in-order queue makes reuse safe at once. */
#define CL_TARGET_OPENCL_VERSION 120
#include "device/device.h"

#include <CL/cl.h>
#include <stdlib.h>
#include <string.h>

enum { CLASSES = 8 * 56, SMALLEST = 256 };

struct tl_pool {
    tl_device *device;
    tl_buffer *free[CLASSES];
    size_t live, pooled, peak;
};

/* The class of a size and the bytes that class holds. */
static int class_of(size_t bytes, size_t *rounded)
{
    if (bytes < SMALLEST) bytes = SMALLEST;
    int doubling = 0;
    while (((size_t)SMALLEST << (doubling + 1)) <= bytes) doubling++;
    size_t base = (size_t)SMALLEST << doubling, step = base / 8, n = (bytes - base + step - 1) / step;
    *rounded = base + n * step;
    return doubling * 8 + (int)n;  /* n == 8 is the next doubling's first class */
}

tl_pool *tl__pool_new(tl_error *err, tl_device *d)
{
    tl_pool *p = tl__calloc(err, 1, sizeof *p);
    if (p) p->device = d;
    return p;
}

void tl__pool_flush(tl_pool *p)
{
    for (int c = 0; c < CLASSES; c++)
        while (p->free[c]) {
            tl_buffer *b = p->free[c];
            p->free[c] = b->next;
            p->pooled -= b->bytes;
            clReleaseMemObject(b->mem);
            free(b);
        }
}

void tl__pool_free(tl_pool *p)
{
    if (!p) return;
    tl__pool_flush(p);
    free(p);
}

void tl__pool_stats(const tl_pool *p, size_t *live, size_t *pooled, size_t *peak)
{
    if (live) *live = p->live;
    if (pooled) *pooled = p->pooled;
    if (peak) *peak = p->peak;
}

void tl__pool_reset_peak(tl_pool *p) { p->peak = p->live; }

static cl_mem create(tl_pool *p, size_t bytes, cl_int *status)
{
    if (tl__allocation_fails()) {
        *status = CL_MEM_OBJECT_ALLOCATION_FAILURE;
        return NULL;
    }
    cl_mem m = clCreateBuffer(p->device->context, CL_MEM_READ_WRITE, bytes, NULL, status);
    if (*status != CL_SUCCESS && p->pooled > 0) {
        /* What lies in the free lists may be all that is missing. */
        clFinish(p->device->queue);
        tl__pool_flush(p);
        m = clCreateBuffer(p->device->context, CL_MEM_READ_WRITE, bytes, NULL, status);
    }
    return m;
}

static tl_buffer *fresh(tl_error *err, tl_pool *p, size_t bytes)
{
    tl_buffer *b = tl__calloc(err, 1, sizeof *b);
    if (!b) return NULL;
    cl_int e = CL_SUCCESS;
    /* Device memory is shared with the free lists: do not let them grow past a half of it. */
    if (p->device->traits.global_bytes && p->live + p->pooled + bytes > p->device->traits.global_bytes / 2) tl__pool_flush(p);
    b->mem = create(p, bytes, &e);
    if (e != CL_SUCCESS || !b->mem) {
        tl__fail(err, TL_EMEMORY, "no device memory for %.1f MB (%.1f MB are in use on %s); a smaller batch needs less",
                 (double)bytes / 1e6, (double)p->live / 1e6, p->device->traits.name);
        free(b);
        return NULL;
    }
    b->device = p->device;
    b->bytes = bytes;
    return b;
}

tl_buffer *tl__buffer_new(tl_error *err, tl_device *d, size_t bytes)
{
    size_t rounded;
    tl_pool *p = d->pool;
    if (bytes > (size_t)1 << 46) {
        tl__fail(err, TL_EMEMORY, "no device memory for %.0f GB", (double)bytes / 1e9);
        return NULL;
    }
    int c = class_of(bytes, &rounded);
    tl_buffer *b = p->free[c];
    if (b) {
        p->free[c] = b->next;
        p->pooled -= b->bytes;
    } else {
        b = fresh(err, p, rounded);
        if (!b) return NULL;
    }
    b->refs = 1;
    b->version = 0;
    b->next = NULL;
    p->live += b->bytes;
    if (p->live > p->peak) p->peak = p->live;
    return b;
}

void tl__buffer_retain(tl_buffer *b) { b->refs++; }

/* ---- what is kept beside a buffer ---- */

typedef struct tl_derived {
    struct tl_derived *next;
    tl_buffer *made;
    unsigned version;       /* of the buffer it was made from */
    size_t key_bytes;
    unsigned char key[];
} tl_derived;

/* Drops all, or only what a write has made stale. */
static void drop_derived(tl_buffer *b, int stale_only)
{
    for (tl_derived **p = &b->derived; *p;) {
        tl_derived *x = *p;
        if (stale_only && x->version == b->version) {
            p = &x->next;
            continue;
        }
        *p = x->next;
        tl__buffer_release(x->made);
        free(x);
    }
}

tl_buffer *tl__buffer_find_derived(tl_buffer *of, const void *key, size_t key_bytes)
{
    drop_derived(of, 1);
    for (tl_derived *x = of->derived; x; x = x->next)
        if (x->key_bytes == key_bytes && memcmp(x->key, key, key_bytes) == 0) return x->made;
    return NULL;
}

int tl__buffer_keep_derived(tl_error *err, tl_buffer *of, const void *key, size_t key_bytes, tl_buffer *made)
{
    tl_derived *x = tl__malloc(err, sizeof *x + key_bytes);
    if (!x) return -1;
    *x = (tl_derived){.next = of->derived, .made = made, .version = of->version, .key_bytes = key_bytes};
    memcpy(x->key, key, key_bytes);
    tl__buffer_retain(made);
    of->derived = x;
    return 0;
}

void tl__buffer_release(tl_buffer *b)
{
    if (--b->refs > 0) return;
    drop_derived(b, 0);
    tl_pool *p = b->device->pool;
    size_t rounded;
    int c = class_of(b->bytes, &rounded);
    b->next = p->free[c];
    p->free[c] = b;
    p->live -= b->bytes;
    p->pooled += b->bytes;
}

int tl__buffer_write(tl_error *err, tl_buffer *b, size_t at, size_t bytes, const void *host)
{
    if (!bytes) return 0;
    return tl__cl_check(err, clEnqueueWriteBuffer(b->device->queue, b->mem, CL_TRUE, at, bytes, host, 0, NULL, NULL),
                        "copying to the device failed", NULL);
}

int tl__buffer_read(tl_error *err, tl_buffer *b, size_t at, size_t bytes, void *host)
{
    if (!bytes) return 0;
    return tl__cl_check(err, clEnqueueReadBuffer(b->device->queue, b->mem, CL_TRUE, at, bytes, host, 0, NULL, NULL),
                        "copying from the device failed", NULL);
}

int tl__buffer_fill(tl_error *err, tl_buffer *b, size_t at, size_t bytes, uint32_t pattern)
{
    if (!bytes) return 0;
    /* A pattern of four bytes wants a length of fours; buffers are whole size classes, so round up. */
    size_t n = (bytes + 3) / 4 * 4;
    return tl__cl_check(err, clEnqueueFillBuffer(b->device->queue, b->mem, &pattern, 4, at, n, 0, NULL, NULL),
                        "filling device memory failed", NULL);
}

int tl__buffer_copy(tl_error *err, tl_buffer *from, size_t from_at, tl_buffer *to, size_t to_at, size_t bytes)
{
    if (!bytes) return 0;
    return tl__cl_check(err, clEnqueueCopyBuffer(from->device->queue, from->mem, to->mem, from_at, to_at, bytes, 0, NULL, NULL),
                        "copying device memory failed", NULL);
}
