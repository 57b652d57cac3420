/* pool.c - device memory, kept for reuse. Drivers allocate slowly and a training step asks for the
 * same sizes again and again, so a freed buffer waits in a free list of its size class: eight
 * classes per doubling, which wastes at most an eighth; a request whose class is empty takes the next
 * larger free buffer up to twice its size. Large buffers come from an arena where there is one (arena.h). One
 * in-order queue makes reuse safe at once.
 *
 * All buffers together stay within a budget (room.c): where a new one would not, free ones go back to the driver, no
 * more than it takes. Which: the one that has lain longest, unless the size that is wanted now went the same way a
 * short while ago. Then a step goes round and round through more than fits, each time missing what went last, and
 * giving up the oldest would empty the pool once a step; so the one that was given back last goes instead, and most
 * of what a step wants is there in the next. */
#define CL_TARGET_OPENCL_VERSION 120
#include "device/arena.h"
#include "device/device.h"

#include <CL/cl.h>
#include <stdlib.h>
#include <string.h>

enum { CLASSES = 8 * 56, SMALLEST = 256, ARENA_FROM = 1 << 20 };

struct tl_pool {
    tl_device *device;
    tl_arena *arena;         /* NULL: large buffers are kept like small ones */
    tl_buffer *free[CLASSES];
    tl_buffer *oldest, *newest;  /* all free buffers, in the order in which they came back */
    uint64_t now;                /* buffers handed out so far: the pool's clock */
    /* of each class: how many went to the driver and were not asked for since, and when the last of them had come back */
    uint64_t gone[CLASSES], gone_at[CLASSES];
    size_t live, pooled, peak;
    size_t in_arena;         /* bytes of live that lie there */
    /* of a dry run: what it put aside, which may be that of an outer dry run */
    tl_pool *outer;
    int outer_dry;
    uint64_t outer_ordinal;
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

/* Slabs are large, since a driver of a processor commits a page when it is first written. Where that is not known, or where a
 * simulator looks whether kernels stay within their buffers, each buffer is one of the driver's. */
int tl__pool_use_arena(tl_error *err, tl_pool *p)
{
    const tl_traits *t = &p->device->traits;
    cl_uint bits = 0;
    if (!t->commits_late) return 0;
    clGetDeviceInfo(p->device->id, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof bits, &bits, NULL);
    size_t slab = (size_t)1 << 30;
    if (t->max_buffer && slab > t->max_buffer) slab = (size_t)t->max_buffer;
    p->arena = tl__arena_new(err, p->device->context, slab, bits / 8);
    return p->arena ? 0 : -1;
}

static int is_for_arena(const tl_pool *p, size_t bytes)
{
    while (p->outer) p = p->outer; /* a dry run counts as the real one would */
    return p->arena && bytes >= ARENA_FROM;
}

/* Puts a buffer among the free ones of its class, the newest in front. */
static void keep(tl_pool *p, tl_buffer *b)
{
    size_t rounded;
    int c = class_of(b->bytes, &rounded);
    b->next = p->free[c];
    p->free[c] = b;
    b->returned = p->now;
    b->newer = NULL;
    b->older = p->newest;
    *(p->newest ? &p->newest->newer : &p->oldest) = b;
    p->newest = b;
    p->pooled += b->bytes;
}

/* Takes a buffer out of the free ones. */
static void unkeep(tl_pool *p, tl_buffer *b)
{
    size_t rounded;
    tl_buffer **at = &p->free[class_of(b->bytes, &rounded)];
    while (*at != b) at = &(*at)->next;
    *at = b->next;
    *(b->older ? &b->older->newer : &p->oldest) = b->newer;
    *(b->newer ? &b->newer->older : &p->newest) = b->older;
    b->older = b->newer = b->next = NULL;
    p->pooled -= b->bytes;
}

/* Gives a free buffer back to the driver, which waits for what still uses it. */
static void drop(tl_pool *p, tl_buffer *b)
{
    unkeep(p, b);
    if (b->mem) {
        clReleaseMemObject(b->mem);
        p->device->buffers_dropped++;
    }
    free(b);
}

/* Room for `bytes` of class c within the budget, as far as free buffers are in the way. */
static void make_room(tl_pool *p, int c, size_t bytes)
{
    size_t rounded, others = p->live - p->in_arena;
    uint64_t budget = p->device->traits.budget, ago = p->gone[c] ? p->now - p->gone_at[c] : 0;
    if (p->gone[c]) p->gone[c]--;
    while (budget && p->oldest && others + p->pooled + bytes > budget) {
        /* What has lain for more than two rounds of what was missed is of some other work, whatever goes round. */
        int round = ago && p->now - p->oldest->returned <= 2 * ago;
        tl_buffer *b = round ? p->newest : p->oldest;
        int k = class_of(b->bytes, &rounded);
        p->gone[k]++;
        p->gone_at[k] = b->returned;
        drop(p, b);
    }
}

void tl__pool_flush(tl_pool *p)
{
    while (p->oldest) drop(p, p->oldest);
    if (p->arena) {
        clFinish(p->device->queue); /* the memory is taken away at once, whoever may still use it */
        tl__arena_flush(p->arena);
    }
}

void tl__pool_free(tl_pool *p)
{
    if (!p) return;
    tl__pool_flush(p);
    tl__arena_free(p->arena);
    free(p);
}

void tl__pool_stats(const tl_pool *p, size_t *live, size_t *pooled, size_t *peak)
{
    if (live) *live = p->live;
    if (pooled) *pooled = p->pooled + (p->arena ? tl__arena_touched(p->arena) - p->in_arena : 0);
    if (peak) *peak = p->peak;
}

void tl__pool_reset_peak(tl_pool *p) { p->peak = p->live; }

static cl_mem ask_driver(tl_pool *p, size_t bytes, cl_int *status)
{
    uint64_t most = p->device->traits.limit; /* of tests: a card of that size has no more */
    if (most && p->live + p->pooled + bytes > most) {
        *status = CL_MEM_OBJECT_ALLOCATION_FAILURE;
        return NULL;
    }
    cl_mem m = clCreateBuffer(p->device->context, CL_MEM_READ_WRITE, bytes, NULL, status);
    if (*status == CL_SUCCESS) p->device->buffers_made++;
    return m;
}

static cl_mem create(tl_pool *p, size_t bytes, cl_int *status, tl_place **place)
{
    if (tl__allocation_fails()) {
        *status = CL_MEM_OBJECT_ALLOCATION_FAILURE;
        return NULL;
    }
    if (is_for_arena(p, bytes)) {
        cl_mem part = tl__arena_take(p->arena, bytes, place);
        *status = part ? CL_SUCCESS : CL_MEM_OBJECT_ALLOCATION_FAILURE;
        if (part) p->in_arena += bytes;
        return part;
    }
    cl_mem m = ask_driver(p, bytes, status);
    if (*status != CL_SUCCESS) {
        /* Buffers that were given back may only go when the queue is done with them; then, what lies in the free lists may be all
         * that is missing. */
        clFinish(p->device->queue);
        m = ask_driver(p, bytes, status);
    }
    if (*status != CL_SUCCESS && p->pooled > 0) {
        tl__pool_flush(p);
        m = ask_driver(p, bytes, status);
    }
    return m;
}

static tl_buffer *fresh(tl_error *err, tl_pool *p, int c, size_t bytes)
{
    tl_buffer *b = tl__calloc(err, 1, sizeof *b);
    if (!b) return NULL;
    cl_int e = CL_SUCCESS;
    b->device = p->device;
    b->bytes = bytes;
    if ((b->dry = p->device->dry)) return b;
    if (!is_for_arena(p, bytes)) make_room(p, c, bytes);
    b->mem = create(p, bytes, &e, &b->place);
    if (e != CL_SUCCESS || !b->mem) {
        tl__fail(err, TL_EMEMORY, "no device memory for %.1f MB (%.1f MB are in use on %s); a smaller batch needs less",
                 (double)bytes / 1e6, (double)p->live / 1e6, p->device->traits.name);
        free(b);
        return NULL;
    }
    return b;
}

/* The smallest free buffer from class c up to twice its size; it goes back to its own class one day. */
static tl_buffer *take_free(tl_pool *p, int c)
{
    for (int k = c; k <= c + 8 && k < CLASSES; k++) {
        tl_buffer *b = p->free[k];
        if (!b) continue;
        unkeep(p, b);
        return b;
    }
    return NULL;
}

tl_buffer *tl__buffer_new(tl_error *err, tl_device *d, size_t bytes)
{
    size_t rounded;
    tl_pool *p = d->pool;
    if (bytes > (size_t)1 << 46) {
        tl__fail(err, TL_EMEMORY, "no device memory for %.0f GB", (double)bytes / 1e9);
        return NULL;
    }
    int c = class_of(bytes, &rounded), cut = is_for_arena(p, bytes);
    if (cut) {
        const tl_pool *real = p;
        while (real->outer) real = real->outer;
        rounded = tl__arena_rounded(real->arena, bytes);
    }
    tl_buffer *b = cut ? NULL : take_free(p, c);
    p->now++;
    if (!b) b = fresh(err, p, c, rounded);
    if (!b) return NULL;
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

/* The pool of a dry run that is under way (0: the device's own); NULL where that run is over. */
static tl_pool *pool_of(const tl_device *d, int dry)
{
    tl_pool *p = d->pool;
    for (int now = d->dry; p && now != dry; p = p->outer) now = p->outer_dry;
    return p;
}

/* Drops all, or only what a write has made stale or a dry run left behind: its bytes were counted in that run alone. */
static void drop_derived(tl_buffer *b, int stale_only)
{
    for (tl_derived **p = &b->derived; *p;) {
        tl_derived *x = *p;
        if (stale_only && x->version == b->version && pool_of(b->device, x->made->dry)) {
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

static void give_back(tl_pool *p, tl_buffer *b)
{
    if (is_for_arena(p, b->bytes)) {
        p->live -= b->bytes;
        if (b->place) {
            tl__arena_give(p->arena, b->mem, b->place);
            p->in_arena -= b->bytes;
        }
        free(b);
        return;
    }
    p->live -= b->bytes;
    keep(p, b);
}

int tl__buffer_settle(tl_error *err, tl_buffer *b)
{
    return b->debt && b->debt->count && !b->device->dry ? b->debt->settle(err, b) : 0;
}

static void drop_debt(tl_buffer *b)
{
    if (!b->debt) return;
    tl__buffer_release(b->debt->paid);
    tl__buffer_release(b->debt->factors);
    free(b->debt);
    b->debt = NULL;
}

void tl__buffer_release(tl_buffer *b)
{
    if (--b->refs > 0) return;
    drop_derived(b, 0);
    drop_debt(b);
    tl_pool *p = pool_of(b->device, b->dry);
    if (!p || (!b->mem && !b->dry)) { /* it outlived its run, or is hollow */
        free(b);
        return;
    }
    give_back(p, b);
}

/* ---- hollow buffers ---- */

tl_buffer *tl__buffer_new_hollow(tl_error *err, tl_device *d, size_t bytes)
{
    tl_buffer *b = tl__calloc(err, 1, sizeof *b);
    if (b) *b = (tl_buffer){.device = d, .bytes = bytes, .refs = 1};
    return b;
}

void tl__buffer_hollow(tl_buffer *b)
{
    tl_error ignored = {0};
    tl_buffer *shell = b->mem ? tl__calloc(&ignored, 1, sizeof *shell) : NULL;
    if (!shell) return; /* it stays as it is */
    *shell = (tl_buffer){.device = b->device, .mem = b->mem, .place = b->place, .bytes = b->bytes};
    b->mem = NULL;
    b->place = NULL;
    give_back(b->device->pool, shell);
}

void tl__buffer_fill_from(tl_buffer *b, tl_buffer *from)
{
    b->mem = from->mem;
    b->place = from->place;
    b->bytes = from->bytes;
    from->mem = NULL;
    from->place = NULL;
}

int tl__buffer_check(tl_error *err, const tl_buffer *b, const char *label)
{
    if (!label) label = "launch";
    if (b->mem) return 0;
    if (b->dry) return tl__fail(err, TL_ESTATE, "%s: a tensor of a dry run is used after it", label);
    return tl__fail(err, TL_EHOLLOW, "%s: the memory of a weight was given back", label);
}

/* ---- dry runs ---- */

int tl__dry_begin(tl_error *err, tl_device *d)
{
    tl_pool *p = tl__pool_new(err, d);
    if (!p) return -1;
    p->live = p->peak = d->pool->live;
    p->outer = d->pool;
    p->outer_dry = d->dry;
    p->outer_ordinal = d->ordinal;
    d->pool = p;
    d->dry = ++d->dry_runs;
    return 0;
}

size_t tl__dry_end(tl_device *d)
{
    tl_pool *p = d->pool;
    size_t peak = p->peak;
    d->pool = p->outer;
    d->dry = p->outer_dry;
    d->ordinal = p->outer_ordinal;
    tl__pool_free(p);
    return peak;
}

int tl__buffer_write(tl_error *err, tl_buffer *b, size_t at, size_t bytes, const void *host)
{
    if (!bytes || b->device->dry) return 0;
    if (tl__buffer_settle(err, b) != 0 || tl__launch_fails(err, b->device) || tl__wait(err, b->device) != 0) return -1;
    return tl__cl_check(err, clEnqueueWriteBuffer(b->device->queue, b->mem, CL_TRUE, at, bytes, host, 0, NULL, NULL),
                        "copying to the device failed", NULL);
}

int tl__buffer_read(tl_error *err, tl_buffer *b, size_t at, size_t bytes, void *host)
{
    if (!bytes) return 0;
    if (b->device->dry) {
        memset(host, 0, bytes);
        return 0;
    }
    if (tl__buffer_settle(err, b) != 0 || tl__launch_fails(err, b->device) || tl__wait(err, b->device) != 0) return -1;
    return tl__cl_check(err, clEnqueueReadBuffer(b->device->queue, b->mem, CL_TRUE, at, bytes, host, 0, NULL, NULL),
                        "copying from the device failed", NULL);
}

int tl__buffer_fill(tl_error *err, tl_buffer *b, size_t at, size_t bytes, uint32_t pattern)
{
    if (!bytes || b->device->dry) return 0;
    if (tl__buffer_settle(err, b) != 0 || tl__launch_fails(err, b->device)) return -1;
    /* A pattern of four bytes wants a length of fours; buffers are whole size classes, so round up. */
    size_t n = (bytes + 3) / 4 * 4;
    return tl__cl_check(err, clEnqueueFillBuffer(b->device->queue, b->mem, &pattern, 4, at, n, 0, NULL, NULL),
                        "filling device memory failed", NULL);
}

int tl__buffer_copy(tl_error *err, tl_buffer *from, size_t from_at, tl_buffer *to, size_t to_at, size_t bytes)
{
    if (!bytes || from->device->dry) return 0;
    if (tl__buffer_settle(err, from) != 0 || tl__buffer_settle(err, to) != 0 || tl__launch_fails(err, from->device))
        return -1;
    return tl__cl_check(err, clEnqueueCopyBuffer(from->device->queue, from->mem, to->mem, from_at, to_at, bytes, 0, NULL, NULL),
                        "copying device memory failed", NULL);
}
