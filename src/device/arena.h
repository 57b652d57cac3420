/* arena.h - memory for the large buffers of a processor's device, cut to measure from a few slabs of the host's; neighbours that are
 * free become one again. A training step asks for many sizes; whole buffers kept by size cannot take each other's place, so that a
 * process would hold half as much again as is ever alive at once. The driver is given the host's memory (CL_MEM_USE_HOST_PTR), which
 * it works in without a copy; sub-buffers of large buffers would do too, but newer PoCL treats them with so much care (one launch
 * waits for another, issue 1969 there) that they are better left alone. */
#ifndef TLUA_ARENA_H
#define TLUA_ARENA_H

#include "base/base.h"

typedef struct tl_arena tl_arena;
typedef struct tl_place tl_place;

/* `context` is a cl_context; slabs of `slab` bytes of address space are made when they are needed, larger ones where one request wants
 * more. `align` is the device's for buffers, in bytes. NULL where memory is lacking. */
tl_arena *tl__arena_new(tl_error *err, void *context, size_t slab, size_t align);
/* All places must have been given back. */
void tl__arena_free(tl_arena *a);
/* What a request of `bytes` takes. */
size_t tl__arena_rounded(const tl_arena *a, size_t bytes);
/* A cl_mem of `bytes` (rounded), and where it lies; NULL without an error where the device has no memory. */
void *tl__arena_take(tl_arena *a, size_t bytes, tl_place **place);
/* Gives a place and its cl_mem back. Commands in the queue that use it still may: the queue is in order. */
void tl__arena_give(tl_arena *a, void *mem, tl_place *place);
/* Gives slabs that are free as a whole, and free ends of others, back to the system. No command that uses them may be under way. */
void tl__arena_flush(tl_arena *a);
/* Bytes that were in use at one time: what the system has committed. */
size_t tl__arena_touched(const tl_arena *a);

#endif
