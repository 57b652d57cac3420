/* device.h - the only door to OpenCL. Above it nobody sees a cl_ type: a device hands out buffers
 * from its pool and launches kernels by program and name. One in-order queue, one launching thread. */
#ifndef TLUA_DEVICE_H
#define TLUA_DEVICE_H

#include "base/base.h"

#include <signal.h>

typedef struct tl_pool tl_pool;
typedef struct tl_programs tl_programs;

/* What kernel makers choose by. */
typedef struct tl_traits {
    int is_cpu;             /* one work-item per group with a register tile, against many per group */
    int vector_width;       /* floats in a vector register worth using: 16, 8 or 4; 1 on GPUs */
    int compute_units;
    int simulated;          /* Oclgrind: has no instructions for prefetching and the like */
    int commits_late;       /* memory of a buffer counts when it is first written (PoCL, Intel's runtime on processors) */
    int keeps_programs;     /* the driver keeps compiled kernels on disk itself, and asking it for binaries is dear (PoCL) */
    int takes_builtins;     /* cl/builtins.clh can stand for the driver's header, which takes long to read (PoCL 3) */
    int short_loops;        /* a kernel's loops end after 65,536 turns in all, without an error (llvmpipe) */
    int fragile;            /* drivers that break on wide vectors in private arrays (rusticl) */
    size_t local_bytes;     /* local memory of a group */
    size_t max_group;       /* work-items in a group */
    size_t max_items[3];    /* of them along each dimension */
    size_t max_groups[3];   /* groups along each dimension of one launch; 0: any number */
    size_t group;           /* work-items of the groups that tl__launch chooses; 0: it chooses their number too */
    int shares_host;        /* its memory is the host's (graphics within a processor) */
    uint64_t global_bytes, max_buffer;
    uint64_t budget;        /* bytes of it that the pool may hold: room.c */
    uint64_t limit;         /* TLUA_MEMORY: a card of so many bytes, which has no more; 0: what the driver says */
    char name[128], platform[128], driver[128], version[128];
} tl_traits;

/* The name of the kind of device on which tlua's tests have run, that this is one of (tested.c); NULL: they never have. */
const char *tl__device_tested(const tl_traits *t);
/* Memory that is left to others, and so the budget, from global_bytes (room.c). */
void tl__traits_budget(tl_traits *t);
/* Whether TLUA_VECTOR, TLUA_GROUP, TLUA_MAX_GROUPS, TLUA_MEMORY and TLUA_GEMM hold what they may (wishes.c). 0, or -1 with an error that names one. */
int tl__wishes_check(tl_error *err);

struct tl_device {
    void *context, *queue, *id;  /* cl_context, cl_command_queue, cl_device_id */
    tl_traits traits;
    tl_pool *pool;
    tl_programs *programs;
    struct tl_buffer *error_word;  /* int[4]: code, index, limit, serial; 0 = no error */
    struct tl_buffer *nothing;     /* what an absent optional buffer is bound to */
    int error_word_armed;          /* a kernel that may write it has been launched since the last look */
    tl_dtype lowered;              /* the half type that results are stored in where their operators say so (op/mixed.c); TL_F32: none */
    uint64_t seed, ordinal;        /* of operators that draw numbers: tl_manual_seed */
    int sync_each;                 /* TLUA_SYNC=1: finish after each launch and name the operator */
    int dry;                       /* the number of the dry run that is under way, 0: none. See tl__dry_begin */
    int dry_runs;                  /* so many were begun */
    uint64_t calls, walks;         /* recorded calls, and backward's walks over them: each has a number of its own */
    struct tl_profile *profile;    /* profile.h; NULL: none is open */
    struct tl_longest *longest;    /* longest.c; NULL: launches are not timed */
    struct tl_trace *trace;        /* where calls are listed while a plan is made (plan/) */
    int ahead;                     /* launches since the last wait, while somebody may interrupt */
    int whole;                     /* launches belong together: nobody interrupts between them */
    long launches, copies, casts, programs_built, programs_cached;
    long buffers_made, buffers_dropped;  /* that the driver was asked for one by one, and that it got back */
    char note[320];                /* what does not work here and is done another way, for people; empty: nothing */
    void *clblast;                 /* state of the CLBlast maker */
    long orders, fail_at;          /* of tests: tl__inject_launch_failure */
    int fail_code;
    struct tl_tuning *tuning;      /* measured choices of kernel makers: gemm/tuning.h; NULL: none */
    long refs;
};

/* A stretch of device memory. Reference-counted; the last release gives it back to the pool, where a
 * later tensor finds it. The version counts in-place writes (backward checks it). */
typedef struct tl_buffer {
    tl_device *device;
    void *mem;                /* cl_mem */
    struct tl_place *place;   /* where it lies in the pool's arena; NULL: memory of its own */
    size_t bytes;             /* as handed out by the pool: at least what was asked */
    long refs;
    unsigned version;
    int dry;                  /* number of the dry run it was made in: there is no memory behind it */
    struct tl_buffer *next;   /* in the pool's free list */
    struct tl_buffer *older, *newer;  /* among all free ones */
    uint64_t returned;        /* when it became free, by the pool's clock */
    struct tl_debt *debt;     /* what its contents owe; NULL: they are what they are. The buffer's own */
    struct tl_derived *derived;  /* what was worked out from the contents and is kept beside them */
} tl_buffer;

/* What the rows of a table still owe (tensor/rows.c): every number of a row for which `paid` (int32, one a row) is 0 is
 * to be multiplied by the first `count` of `factors` in turn. So a step that only shrinks the rows that it does not
 * know costs nothing. What reads or writes a buffer settles its debt first (tl__buffer_settle); only a kernel that was
 * given it as TL_KRAW sees the rows as they lie there. */
typedef struct tl_debt {
    struct tl_buffer *paid, *factors; /* held */
    int64_t at, rows, width;          /* where the table begins in the buffer, in elements */
    int64_t count;
    int (*settle)(tl_error *err, struct tl_buffer *of);
} tl_debt;

tl_buffer *tl__buffer_new(tl_error *err, tl_device *d, size_t bytes);
/* 0, or -1 where the debt could not be settled: then it stands. */
int tl__buffer_settle(tl_error *err, tl_buffer *b);
void tl__buffer_retain(tl_buffer *b);
void tl__buffer_release(tl_buffer *b);
/* What was derived from a buffer's contents (packed or transformed weights) can be kept beside it, under a key of
 * a few plain bytes: kind and geometry. It goes when the buffer goes back to the pool, and a write to the buffer
 * (a new version) makes it stale. `find` gives a borrowed buffer or NULL; `keep` adds a reference of its own. */
tl_buffer *tl__buffer_find_derived(tl_buffer *of, const void *key, size_t key_bytes);
int tl__buffer_keep_derived(tl_error *err, tl_buffer *of, const void *key, size_t key_bytes, tl_buffer *made);
/* Host <-> device. Blocking: the host memory may be reused on return. `at` and `bytes` in bytes. */
int tl__buffer_write(tl_error *err, tl_buffer *b, size_t at, size_t bytes, const void *host);
int tl__buffer_read(tl_error *err, tl_buffer *b, size_t at, size_t bytes, void *host);
int tl__buffer_fill(tl_error *err, tl_buffer *b, size_t at, size_t bytes, uint32_t pattern);
int tl__buffer_copy(tl_error *err, tl_buffer *from, size_t from_at, tl_buffer *to, size_t to_at, size_t bytes);

tl_pool *tl__pool_new(tl_error *err, tl_device *d);
void tl__pool_free(tl_pool *p);
/* Large buffers are cut from slabs from now on, where that suits the driver. */
int tl__pool_use_arena(tl_error *err, tl_pool *p);
/* Gives the free buffers back to the driver. */
void tl__pool_flush(tl_pool *p);
void tl__pool_stats(const tl_pool *p, size_t *live, size_t *pooled, size_t *peak);
void tl__pool_reset_peak(tl_pool *p);
/* Bytes that tlua can hold on the device now, with what it holds already (room.c). */
uint64_t tl__device_room(const tl_device *d);
/* A dry run: until tl__dry_end the same code works out the same shapes and asks for the same buffers, but nothing is
 * allocated on the device, launched or moved, and what is read back is zero. `live` goes on from the real figure. What
 * was made in it must not be used afterwards (a launch refuses it). tl__dry_end gives the highest figure of the run. A dry
 * run may contain another one. */
int tl__dry_begin(tl_error *err, tl_device *d);
size_t tl__dry_end(tl_device *d);
/* Hollow buffers have no memory behind them, only what was derived from what they held. A launch that names one fails
 * with TL_EHOLLOW before anything happens. `hollow` gives the memory of a buffer to the pool; `fill` gives it that of
 * `from` (of the same size and its caller's alone), which is hollow afterwards. */
tl_buffer *tl__buffer_new_hollow(tl_error *err, tl_device *d, size_t bytes);
void tl__buffer_hollow(tl_buffer *b);
void tl__buffer_fill_from(tl_buffer *b, tl_buffer *from);
/* Whether a kernel can be given this buffer. */
int tl__buffer_check(tl_error *err, const tl_buffer *b, const char *label);

/* ---- programs and launches ---- */

/* A family of kernels: `cl/NAME.cl` with its #include lines expanded, or what `source` returns
 * (a text that the caller frees), built once per option string and kept on disk. */
typedef struct tl_program {
    const char *name;
    char *(*source)(tl_error *err);
} tl_program;

typedef struct tl_karg {
    enum { TL_K_BUFFER, TL_K_RAW, TL_K_INT, TL_K_LONG, TL_K_FLOAT, TL_K_LOCAL, TL_K_DATA } kind;
    union { tl_buffer *buffer; int32_t i; int64_t l; float f; size_t bytes; const void *data; } u;
    size_t size;  /* of TL_K_DATA */
} tl_karg;

#define TL_KBUF(b) ((tl_karg){.kind = TL_K_BUFFER, .u.buffer = (b)})   /* NULL: nothing */
#define TL_KRAW(b) ((tl_karg){.kind = TL_K_RAW, .u.buffer = (b)})      /* its debt stands: see tl_debt */
#define TL_KI(v) ((tl_karg){.kind = TL_K_INT, .u.i = (int32_t)(v)})
#define TL_KL(v) ((tl_karg){.kind = TL_K_LONG, .u.l = (int64_t)(v)})
#define TL_KF(v) ((tl_karg){.kind = TL_K_FLOAT, .u.f = (float)(v)})
#define TL_KLOCAL(n) ((tl_karg){.kind = TL_K_LOCAL, .u.bytes = (n)})
#define TL_KDATA(p) ((tl_karg){.kind = TL_K_DATA, .u.data = (p), .size = sizeof *(p)})  /* a struct by value */

typedef struct tl_launch {
    const tl_program *program;
    const char *options;      /* "-DMR=14 -DNR=32", or NULL; the device's own -D are added */
    const char *kernel;
    int dims;                 /* 1 to 3 */
    size_t global[3], local[3];  /* work-items; local[0] == 0: tl__launch chooses the group, of kernels that end with BOUND */
} tl_launch;

/* A compiled kernel, and what the driver says of it. */
typedef struct tl_kernel {
    void *handle;            /* cl_kernel */
    int args;
    size_t most, multiple;   /* work-items in a group: at most, and the multiple that the device runs together */
    size_t local_bytes;
} tl_kernel;

/* The driver's binary in what a file of the kernel cache holds, or NULL where it is cut, changed or something else. Borrowed. */
const unsigned char *tl__program_in_file(const char *data, size_t bytes, size_t *length);
/* Enqueues the kernel; `label` names the operator in errors. Returns 0 or -1. Where the kernel's last argument is BOUND (cl/common.clh)
 * and was not given, it is added: `global` is then any number. More groups than the device takes at once come in several pieces. */
int tl__launch(tl_error *err, tl_device *d, const tl_launch *l, const tl_karg *args, int count, const char *label);
/* The macro counts the arguments. */
#define TL__LAUNCH(err, d, l, label, ...) \
    tl__launch(err, d, l, (tl_karg[]){__VA_ARGS__}, (int)(sizeof((tl_karg[]){__VA_ARGS__}) / sizeof(tl_karg)), label)

/* Waits for the queue and reads the device error word. */
int tl__device_finish(tl_error *err, tl_device *d);
/* For programs that sit at a prompt: from now on, where *stop is not 0, launches are refused and waiting ends with TL_EINTERRUPT. A
 * signal handler may set it. What is enqueued goes on; the queue is kept short meanwhile. NULL: nobody interrupts. */
void tl__interruptible(const volatile sig_atomic_t *stop);
/* Waits for the queue where somebody may interrupt; otherwise returns at once. Stands before all that blocks. */
int tl__wait(tl_error *err, tl_device *d);
/* Launches that must not be interrupted half-way, since they write in place: between the two nobody does. 0 or -1 (interrupted before). */
int tl__begin_whole(tl_error *err, tl_device *d);
void tl__end_whole(tl_device *d);
/* Stands before each launch. */
int tl__may_launch(tl_error *err, tl_device *d);
/* For tests: the n-th order to the device from now on (launches, copies, fills, reads and writes count alike) fails with this code instead
 * of being carried out; 0 turns it off. Returns how many were counted since the last call. */
long tl__inject_launch_failure(tl_device *d, long nth, int code);
/* True, with the error, when the injected failure is due now. Stands before every order; tl__may_launch has it. */
int tl__launch_fails(tl_error *err, tl_device *d);
/* Declares that a kernel given `d->error_word` was launched; `what` (static text) names it in the error. */
void tl__arm_error_word(tl_device *d);

tl_programs *tl__programs_new(tl_error *err);
void tl__programs_free(tl_programs *p);
/* Compiled when first asked for; the device's own. NULL with an error. */
const tl_kernel *tl__kernel_get(tl_error *err, tl_device *d, const tl_program *program, const char *options, const char *name);
/* Whether a kernel compiles on this device and a group of `items` of it has room, with its static local memory: 1, 0, or -1 with an error where there
 * is no memory to find out, which is no answer: by it another kernel would be taken, and the numbers be others. */
int tl__kernel_fits(tl_error *err, tl_device *d, const tl_program *program, const char *options, const char *name, size_t items);
/* `most` work-items, a power of two, halved until a group of the kernel has room for them; 1 at least, 0 with an error. */
size_t tl__items_that_fit(tl_error *err, tl_device *d, const tl_program *program, const char *options, const char *name,
                          size_t most);
/* Records an OpenCL status: 0 passes, anything else becomes one clear line. */
int tl__cl_check(tl_error *err, int status, const char *what, const char *label);

#endif
