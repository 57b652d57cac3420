/* arena.c - best fit over the free stretches of all slabs; neighbours are joined when one is freed. */
#define CL_TARGET_OPENCL_VERSION 120
#include "device/arena.h"

#include <CL/cl.h>
#include <stdlib.h>
#include <sys/mman.h>

typedef struct slab {
    char *host;
    size_t bytes, touched, used;
    tl_place *first;
    struct slab *next;
} slab;

/* A stretch of a slab, in order of address. */
struct tl_place {
    slab *in;
    size_t at, bytes;
    int is_free;
    tl_place *previous, *next;
};

struct tl_arena {
    cl_context context;
    size_t slab_bytes, align;
    slab *slabs;
};

tl_arena *tl__arena_new(tl_error *err, void *context, size_t slab_bytes, size_t align)
{
    tl_arena *a = tl__calloc(err, 1, sizeof *a);
    if (a) *a = (tl_arena){.context = context, .slab_bytes = slab_bytes, .align = align < 4096 ? 4096 : align};
    return a;
}

static void free_slab(slab *s)
{
    munmap(s->host, s->bytes);
    free(s->first);
    free(s);
}

void tl__arena_flush(tl_arena *a)
{
    for (slab **p = &a->slabs; *p;) {
        slab *s = *p;
        if (!s->used) {
            *p = s->next;
            free_slab(s); /* free as a whole: one place */
            continue;
        }
        tl_place *last = s->first;
        while (last->next) last = last->next;
        if (last->is_free && last->at < s->touched) {
            madvise(s->host + last->at, s->touched - last->at, MADV_DONTNEED);
            s->touched = last->at;
        }
        p = &s->next;
    }
}

void tl__arena_free(tl_arena *a)
{
    if (!a) return;
    tl__arena_flush(a);
    free(a);
}

size_t tl__arena_rounded(const tl_arena *a, size_t bytes) { return (bytes + a->align - 1) / a->align * a->align; }

size_t tl__arena_touched(const tl_arena *a)
{
    size_t sum = 0;
    for (const slab *s = a->slabs; s; s = s->next) sum += s->touched;
    return sum;
}

/* A slab for a request: of the usual size, or smaller ones where the system does not give so much in one piece. */
static slab *grow(tl_arena *a, size_t bytes)
{
    slab *s = calloc(1, sizeof *s);
    tl_place *p = calloc(1, sizeof *p);
    void *host = MAP_FAILED;
    for (size_t size = a->slab_bytes > bytes ? a->slab_bytes : bytes; s && p; size = size / 2 > bytes ? size / 2 : bytes) {
        s->bytes = size;
        host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (host != MAP_FAILED || size == bytes) break;
    }
    if (host == MAP_FAILED) {
        free(s);
        free(p);
        return NULL;
    }
    *p = (tl_place){.in = s, .bytes = s->bytes, .is_free = 1};
    s->host = host;
    s->first = p;
    s->next = a->slabs;
    a->slabs = s;
    return s;
}

/* Of a free stretch, what has been in use before. */
static size_t touched_part(const tl_place *p)
{
    size_t end = p->at + p->bytes, touched = p->in->touched;
    return touched <= p->at ? 0 : (end < touched ? end : touched) - p->at;
}

/* The smallest free stretch that will do without new memory from the system, else one that wants some. */
static tl_place *best_fit(const tl_arena *a, size_t bytes)
{
    tl_place *best = NULL, *end = NULL;
    size_t least = 0;
    for (slab *s = a->slabs; s; s = s->next)
        for (tl_place *p = s->first; p; p = p->next) {
            if (!p->is_free || p->bytes < bytes) continue;
            size_t part = touched_part(p);
            if (part < bytes) end = end ? end : p;
            else if (!best || part < least) best = p, least = part;
        }
    return best ? best : end;
}

static tl_place *cut(tl_place *p, size_t bytes)
{
    if (p->bytes > bytes) {
        tl_place *rest = calloc(1, sizeof *rest);
        if (!rest) return NULL;
        *rest = (tl_place){p->in, p->at + bytes, p->bytes - bytes, 1, p, p->next};
        if (p->next) p->next->previous = rest;
        p->next = rest;
        p->bytes = bytes;
    }
    p->is_free = 0;
    p->in->used += bytes;
    if (p->at + bytes > p->in->touched) p->in->touched = p->at + bytes;
    return p;
}

/* Takes `p` away, whose stretch goes to the one before it. */
static void join(tl_place *before, tl_place *p)
{
    before->bytes += p->bytes;
    before->next = p->next;
    if (p->next) p->next->previous = before;
    free(p);
}

static void set_free(tl_place *p)
{
    p->is_free = 1;
    p->in->used -= p->bytes;
    if (p->next && p->next->is_free) join(p, p->next);
    if (p->previous && p->previous->is_free) join(p->previous, p);
}

void *tl__arena_take(tl_arena *a, size_t bytes, tl_place **place)
{
    bytes = tl__arena_rounded(a, bytes);
    tl_place *p = best_fit(a, bytes);
    if (!p && grow(a, bytes)) p = best_fit(a, bytes);
    if (!p || !(p = cut(p, bytes))) return NULL;
    cl_int e = CL_SUCCESS;
    cl_mem mem = clCreateBuffer(a->context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, bytes, p->in->host + p->at, &e);
    if (e != CL_SUCCESS) {
        set_free(p);
        return NULL;
    }
    *place = p;
    return mem;
}

void tl__arena_give(tl_arena *a, void *mem, tl_place *place)
{
    (void)a;
    clReleaseMemObject(mem);
    set_free(place);
}
