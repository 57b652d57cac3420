/* device.c - finding and opening OpenCL devices, and the words for what drivers refuse. */
#define _GNU_SOURCE /* sched_getaffinity */
#define CL_TARGET_OPENCL_VERSION 120
#include "device/describe.h"
#include "device/profile.h"
#include "device/gemm/tuning.h"

#include <CL/cl.h>
#include <ctype.h>
#include <pthread.h>
#ifdef __linux__
#include <sched.h>
#endif
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct { int code; const char *name; } names[] = {
    {CL_DEVICE_NOT_FOUND, "device not found"}, {CL_DEVICE_NOT_AVAILABLE, "device not available"},
    {CL_COMPILER_NOT_AVAILABLE, "no compiler"}, {CL_MEM_OBJECT_ALLOCATION_FAILURE, "memory object allocation failure"},
    {CL_OUT_OF_RESOURCES, "out of resources"}, {CL_OUT_OF_HOST_MEMORY, "out of host memory"},
    {CL_BUILD_PROGRAM_FAILURE, "program build failure"}, {CL_INVALID_VALUE, "invalid value"},
    {CL_INVALID_BINARY, "invalid binary"}, {CL_INVALID_KERNEL_NAME, "invalid kernel name"},
    {CL_INVALID_ARG_INDEX, "invalid argument index"}, {CL_INVALID_ARG_SIZE, "invalid argument size"},
    {CL_INVALID_KERNEL_ARGS, "invalid kernel arguments"}, {CL_INVALID_WORK_GROUP_SIZE, "invalid work-group size"},
    {CL_INVALID_GLOBAL_WORK_SIZE, "invalid global work size"}, {CL_INVALID_MEM_OBJECT, "invalid memory object"},
    {CL_INVALID_BUFFER_SIZE, "invalid buffer size"}, {CL_INVALID_COMMAND_QUEUE, "invalid command queue"},
    {-1001, "no OpenCL platform"},
};

int tl__cl_check(tl_error *err, int status, const char *what, const char *label)
{
    if (status == CL_SUCCESS) return 0;
    const char *name = "unknown error";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].code == status) name = names[i].name;
    /* Many drivers allocate when a buffer is first used, so a launch may be what runs out of memory. */
    int code = status == CL_MEM_OBJECT_ALLOCATION_FAILURE || status == CL_OUT_OF_RESOURCES || status == CL_OUT_OF_HOST_MEMORY
                   ? TL_EMEMORY : TL_EDEVICE;
    /* This one drivers say of anything that a kernel lacked or broke. */
    const char *advice = status == CL_OUT_OF_RESOURCES
                             ? "; it may lack memory (a smaller batch needs less), or want more registers or local memory than a unit has, or it was ended "
                               "because it crashed or ran for too long: TLUA_SYNC=1 names the kernel"
                         : code == TL_EMEMORY ? "; a smaller batch needs less memory" : "";
    return tl__fail(err, code, "%s%sOpenCL: %s: %s (%d)%s", label ? label : "", label ? ": " : "", what, name, status, advice);
}

typedef struct found { cl_device_id id; char name[128], platform[128]; cl_device_type type; int index; } found;

static void info_text(cl_device_id id, cl_device_info what, char *out, size_t size)
{
    size_t n = 0;
    char buf[1024] = "";
    if (clGetDeviceInfo(id, what, sizeof buf, buf, &n) != CL_SUCCESS) buf[0] = 0;
    buf[sizeof buf - 1] = 0;
    const char *p = buf;
    while (isspace((unsigned char)*p)) p++;
    snprintf(out, size, "%.*s", (int)size - 1, p);
}

/* Asks PoCL to keep each of its threads on a processor of its own: after a pause some schedulers wake them all on one, and
 * a forward takes twice as long. Not where the process is confined to some processors, which PoCL's threads would leave, nor
 * against what the environment says. */
static void keep_threads_apart(void)
{
#ifdef __linux__
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) == sysconf(_SC_NPROCESSORS_ONLN)) setenv("POCL_AFFINITY", "1", 0);
#endif
}

/* Could a folder be made here, or does it stand there and can be written? */
static int can_hold(const char *path)
{
    char *copy = tl__asprintf(NULL, "%s%s", *path == '/' ? "" : "./", path), *slash;
    struct stat st;
    while (copy && stat(copy, &st) != 0 && (slash = strrchr(copy, '/')) != NULL) *(slash == copy ? slash + 1 : slash) = 0;
    int good = copy && stat(copy, &st) == 0 && S_ISDIR(st.st_mode) && access(copy, W_OK | X_OK) == 0;
    free(copy);
    return good;
}

/* PoCL has no device without a folder for its kernels. Where its own cannot be made (no home, as under `docker run --user`) it gets one in
 * our cache folder. `path` is what it will use: for the error when there is no device. 0, or -1 where there is no such folder. */
static int house_pocl(char *path, size_t size)
{
    const char *said = getenv("POCL_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (said && *said) snprintf(path, size, "%s", said);
    else if (xdg && *xdg) snprintf(path, size, "%s/pocl/kcache", xdg);
    else if (home && *home) snprintf(path, size, "%s/.cache/pocl/kcache", strcmp(home, "/") == 0 ? "" : home);
    else snprintf(path, size, "/tmp/pocl/kcache");
    if (can_hold(path)) return 0;
    char *own = said && *said ? NULL : tl__cache_folder(NULL, "pocl");
    int good = own && can_hold(own);
    if (good) setenv("POCL_CACHE_DIR", own, 1);
    free(own);
    return good ? 0 : -1;
}

/* What is said to drivers through the environment is said once, before any of our threads can read it: setenv beside getenv is a race. */
static struct { int homeless; char folder[512]; } pocl;

static void prepare_environment(void)
{
    keep_threads_apart();
    pocl.homeless = house_pocl(pocl.folder, sizeof pocl.folder) != 0;
}

static void prepare_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, prepare_environment);
}

/* Loaders of drivers set themselves up when they are first asked, and not all of them expect two threads then: one finds no platform. */
static pthread_mutex_t looking = PTHREAD_MUTEX_INITIALIZER;

static int look_for_devices(found *out, int room)
{
    cl_platform_id platforms[16];
    cl_uint np = 0;
    int n = 0;
    if (clGetPlatformIDs(16, platforms, &np) != CL_SUCCESS) return 0;
    for (cl_uint p = 0; p < np && p < 16; p++) {
        cl_device_id ids[16];
        cl_uint nd = 0;
        if (clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, 16, ids, &nd) != CL_SUCCESS) continue;
        for (cl_uint i = 0; i < nd && i < 16 && n < room; i++) {
            found *f = &out[n];
            *f = (found){.id = ids[i], .index = n + 1};
            if (clGetPlatformInfo(platforms[p], CL_PLATFORM_NAME, sizeof f->platform, f->platform, NULL) != CL_SUCCESS)
                f->platform[0] = 0;
            info_text(ids[i], CL_DEVICE_NAME, f->name, sizeof f->name);
            clGetDeviceInfo(ids[i], CL_DEVICE_TYPE, sizeof f->type, &f->type, NULL);
            n++;
        }
    }
    return n;
}

/* All devices of all platforms, in the loader's order; returns the count, at most `room`. */
static int find_devices(found *out, int room)
{
    prepare_once();
    pthread_mutex_lock(&looking);
    int n = look_for_devices(out, room);
    pthread_mutex_unlock(&looking);
    return n;
}

static int contains(const char *text, const char *part)
{
    size_t n = strlen(part);
    for (; *text; text++)
        if (strncasecmp(text, part, n) == 0) return 1;
    return 0;
}

static const char *type_name(cl_device_type t)
{
    return t & CL_DEVICE_TYPE_GPU ? "gpu" : t & CL_DEVICE_TYPE_ACCELERATOR ? "accelerator" : "cpu";
}

/* GPUs first; software renderers (llvmpipe) last, since a real CPU runtime is many times faster. */
static int rank_of(const found *f)
{
    int soft = contains(f->name, "llvmpipe") || contains(f->platform, "rusticl") || contains(f->platform, "clover");
    return (f->type & (CL_DEVICE_TYPE_GPU | CL_DEVICE_TYPE_ACCELERATOR) ? 10 : 5) - (soft ? 4 : 0);
}

static const found *choose(tl_error *err, const found *all, int n, const char *spec)
{
    if (n == 0 && pocl.homeless) {
        tl__fail(err, TL_EDEVICE, "no OpenCL device: PoCL, which makes one of the processor, needs a folder that it can write, and %s is none; set TLUA_CACHE, or "
                 "POCL_CACHE_DIR, to one", pocl.folder);
        return NULL;
    }
    if (n == 0) {
        tl__fail(err, TL_EDEVICE, "no OpenCL device on this machine: install a driver (Debian and Ubuntu: pocl-opencl-icd for the "
                 "CPU, mesa-opencl-icd, intel-opencl-icd or the maker's driver for a GPU), then see `tlua devices`");
        return NULL;
    }
    const found *best = NULL;
    char *end;
    long index = spec ? strtol(spec, &end, 10) : 0;
    int by_index = spec && *spec && !*end, by_type = spec && (!strcasecmp(spec, "cpu") || !strcasecmp(spec, "gpu"));
    for (int i = 0; i < n; i++) {
        int fits = !spec || !*spec ? 1
                 : by_index ? all[i].index == index
                 : by_type ? !strcasecmp(spec, type_name(all[i].type))
                           : contains(all[i].name, spec) || contains(all[i].platform, spec);
        if (fits && (!best || rank_of(&all[i]) > rank_of(best))) best = &all[i];
    }
    if (!best) {
        char list[512] = "", what[160];
        for (int i = 0; i < n; i++) {
            size_t used = strlen(list);
            snprintf(list + used, sizeof list - used, "%s%d (%s, %.60s)", i ? ", " : "", all[i].index, type_name(all[i].type), all[i].name);
        }
        if (by_type) snprintf(what, sizeof what, "there is no %s with an OpenCL driver", strcasecmp(spec, "gpu") == 0 ? "GPU" : "processor");
        else snprintf(what, sizeof what, "unknown device \"%.100s\"", spec);
        static const char *const elsewhere[] = {"cuda", "rocm", "hip", "gpu:"}; /* what a GPU is called there */
        const char *way = by_type && strcasecmp(spec, "gpu") == 0
                              ? "; a GPU wants the OpenCL driver of its maker (`tlua devices --all`)"
                              : "";
        for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere && !by_type; i++)
            if (contains(spec, elsewhere[i])) way = "; a GPU of any maker is gpu here";
        tl__fail(err, TL_EARG, "%s: there is %s; name one by number, by cpu or gpu, or by a part of its name%s", what, list,
                 way);
    }
    return best;
}

int tl_device_list(void (*each)(void *user, int index, const char *type, const char *name, const char *platform, uint64_t bytes,
                                int compute_units), void *user)
{
    found all[64];
    int n = find_devices(all, 64);
    for (int i = 0; i < n; i++) {
        cl_ulong bytes = 0;
        cl_uint units = 0;
        clGetDeviceInfo(all[i].id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof bytes, &bytes, NULL);
        clGetDeviceInfo(all[i].id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
        each(user, all[i].index, type_name(all[i].type), all[i].name, all[i].platform, bytes, (int)units);
    }
    return n;
}

static int host_vector_width(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    if (__builtin_cpu_supports("avx512f")) return 16;
    if (__builtin_cpu_supports("avx2")) return 8;
    return 4;
#else
    return 4;
#endif
}

/* Groups of one launch. NVIDIA's hardware takes 2^31 - 1 along the first dimension and 65,535 along the others, AMD's fewer than 2^32
 * work-items; drivers differ in what they say when it is more. Processors have no such bound, and their kernels count with get_group_id, which
 * begins anew with every piece. For tests of the kernels for GPUs: TLUA_MAX_GROUPS, and TLUA_GROUP, the work-items of groups whose size is
 * left to tl__launch. */
static void limit_groups(tl_traits *t)
{
    const char *most = getenv("TLUA_MAX_GROUPS"), *width = getenv("TLUA_GROUP");
    size_t n = most ? (size_t)strtoul(most, NULL, 10) : 0;
    t->group = width ? (size_t)strtoul(width, NULL, 10) : 0;
    for (int i = 0; i < 3; i++) t->max_groups[i] = t->is_cpu ? 0 : n ? n : i == 0 ? (size_t)1 << 22 : 65535;
}

/* For tests of what happens on a small card: TLUA_MEMORY, in MB, in buffers of the driver's as cards have them. */
static void limit_memory(tl_traits *t)
{
    const char *megabytes = getenv("TLUA_MEMORY");
    t->limit = megabytes ? (uint64_t)strtoul(megabytes, NULL, 10) << 20 : 0;
    if (t->limit && t->limit < t->global_bytes) t->global_bytes = t->limit;
    if (t->max_buffer > t->global_bytes) t->max_buffer = t->global_bytes;
    tl__traits_budget(t);
}

static void read_traits(tl_traits *t, const found *f)
{
    cl_device_type type = f->type;
    cl_ulong u = 0;
    cl_uint units = 1;
    size_t group = 1;
    t->is_cpu = (type & CL_DEVICE_TYPE_CPU) != 0;
    snprintf(t->name, sizeof t->name, "%s", f->name);
    snprintf(t->platform, sizeof t->platform, "%s", f->platform);
    info_text(f->id, CL_DRIVER_VERSION, t->driver, sizeof t->driver);
    info_text(f->id, CL_DEVICE_VERSION, t->version, sizeof t->version);
    clGetDeviceInfo(f->id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof u, &u, NULL);
    t->global_bytes = u;
    u = 0;
    clGetDeviceInfo(f->id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof u, &u, NULL);
    t->max_buffer = u;
    u = 0;
    clGetDeviceInfo(f->id, CL_DEVICE_LOCAL_MEM_SIZE, sizeof u, &u, NULL);
    t->local_bytes = (size_t)u;
    clGetDeviceInfo(f->id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
    clGetDeviceInfo(f->id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof group, &group, NULL);
    t->compute_units = (int)units;
    t->max_group = group;
    clGetDeviceInfo(f->id, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof t->max_items, t->max_items, NULL);
    t->simulated = contains(t->platform, "oclgrind");
    t->short_loops = contains(t->name, "llvmpipe");
    t->fragile = contains(t->name, "llvmpipe") || contains(t->platform, "rusticl");
    /* Mesa's llvmpipe calls itself a CPU but is compiled like a GPU: plain kernels only. */
    if (t->fragile) t->is_cpu = 0;
    cl_bool shared = CL_FALSE;
    clGetDeviceInfo(f->id, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof shared, &shared, NULL);
    t->shares_host = shared != CL_FALSE;
    limit_memory(t);
    t->commits_late = t->is_cpu && !t->limit && (contains(t->platform, "portable computing") || contains(t->platform, "intel"));
    const char *own_cache = getenv("POCL_KERNEL_CACHE");
    t->keeps_programs = contains(t->platform, "portable computing") && !(own_cache && strcmp(own_cache, "0") == 0);
    /* PoCL 3 on x86-64 is where that was tried; others may have another guard, or none. */
    t->takes_builtins = contains(t->platform, "portable computing") && t->driver[0] == '3' && t->driver[1] == '.';
    t->vector_width = t->is_cpu ? host_vector_width() : 1;
    /* For tests: the kernels of narrower machines run on wide ones; 1 makes a CPU look like a GPU to them. */
    const char *width = getenv("TLUA_VECTOR");
    int asked = width ? atoi(width) : 0;
    if (t->is_cpu && (asked == 4 || asked == 8 || asked == 16)) t->vector_width = asked;
    if (asked == 1) {
        t->vector_width = t->fragile = 1;
        t->is_cpu = 0;
    }
    limit_groups(t);
}

int tl__device_each(void (*each)(void *user, int index, void *id, const char *type, const tl_traits *t, int chosen), void *user)
{
    found all[64];
    tl_error ignored = {0};
    int n = find_devices(all, 64);
    const found *best = choose(&ignored, all, n, getenv("TLUA_DEVICE"));
    for (int i = 0; i < n; i++) {
        tl_traits t = {0};
        read_traits(&t, &all[i]);
        each(user, all[i].index, all[i].id, type_name(all[i].type), &t, best == &all[i]);
    }
    return n;
}

static int open_queue(tl_error *err, tl_device *d)
{
    cl_int e;
    cl_device_id id = d->id;
    d->context = clCreateContext(NULL, 1, &id, NULL, NULL, &e);
    if (tl__cl_check(err, e, "no context on the device", NULL)) return -1;
    if (tl__longest_open(err, d) != 0) return -1;
    d->queue = clCreateCommandQueue(d->context, id, d->longest ? CL_QUEUE_PROFILING_ENABLE : 0, &e);
    return tl__cl_check(err, e, "no command queue on the device", NULL);
}

tl_device *tl_device_open(const char *spec, tl_error *err)
{
    tl_error own = {0};
    if (!err) err = &own;
    if (!spec || !*spec) spec = getenv("TLUA_DEVICE");
    found all[64];
    const found *f = choose(err, all, find_devices(all, 64), spec);
    tl_device *d = f && tl__wishes_check(err) == 0 ? tl__calloc(err, 1, sizeof *d) : NULL;
    if (!d) return NULL;
    d->refs = 1;
    d->id = f->id;
    read_traits(&d->traits, f);
    const char *sync = getenv("TLUA_SYNC");
    d->sync_each = sync && *sync && *sync != '0';
    if (open_queue(err, d) != 0 || !(d->pool = tl__pool_new(err, d)) || tl__pool_use_arena(err, d->pool) != 0 || !(d->programs = tl__programs_new(err)) ||
        !(d->error_word = tl__buffer_new(err, d, 16)) || tl__buffer_fill(err, d->error_word, 0, 16, 0) != 0 ||
        !(d->nothing = tl__buffer_new(err, d, 256)) || tl__buffer_fill(err, d->nothing, 0, 256, 0) != 0 ||
        tl__tuning_load(err, d) != 0) {
        tl_device_release(d);
        return NULL;
    }
    tl__gemm_prepare(d);
    return d;
}

void tl_device_retain(tl_device *d) { d->refs++; }

void tl_device_release(tl_device *d)
{
    if (!d || --d->refs > 0) return;
    if (d->queue) clFinish(d->queue);
    if (d->error_word) tl__buffer_release(d->error_word);
    if (d->nothing) tl__buffer_release(d->nothing);
    tl__programs_free(d->programs);
    tl__pool_free(d->pool);
    tl__longest_close(d);
    if (d->queue) clReleaseCommandQueue(d->queue);
    if (d->context) clReleaseContext(d->context);
    free(d->tuning);
    free(d->clblast);
    free(d);
}

const char *tl_device_name(const tl_device *d) { return d->traits.name; }
const char *tl_device_platform(const tl_device *d) { return d->traits.platform; }

void tl_device_memory(const tl_device *d, size_t *live, size_t *pooled, size_t *peak)
{
    /* The two words that the device keeps for itself are not the user's. */
    size_t l, own = d->error_word->bytes + d->nothing->bytes;
    tl__pool_stats(d->pool, &l, pooled, peak);
    if (live) *live = l - own;
}

void tl_device_reset_peak(tl_device *d) { tl__pool_reset_peak(d->pool); }
void tl_device_flush(tl_device *d) { tl__pool_flush(d->pool); }
int tl_device_sync(tl_device *d, tl_error *err) { return tl__device_finish(err, d); }

void tl_manual_seed(tl_device *d, uint64_t seed)
{
    d->seed = seed;
    d->ordinal = 0;
}

void tl__arm_error_word(tl_device *d) { d->error_word_armed |= !d->dry; }

/* A kernel that met a bad index wrote {kind, index, limit}; a length may be as much as its limit. */
static int look_at_error_word(tl_error *err, tl_device *d)
{
    enum { BLANK_LABEL = 5 };
    static const char *const kinds[] = {"", "label", "index", "input length", "target length"};
    int32_t w[4] = {0};
    if (tl__launch_fails(err, d)) return -1;
    cl_int e = clEnqueueReadBuffer(d->queue, d->error_word->mem, CL_TRUE, 0, sizeof w, w, 0, NULL, NULL);
    if (tl__cl_check(err, e, "reading the error word failed", NULL)) return -1;
    /* It has been looked at only now, and is clean only when it could be cleared: a failure on the way must not hide a bad index. */
    tl_error ignored = {0};
    if (w[0] == 0 || tl__buffer_fill(&ignored, d->error_word, 0, 16, 0) == 0) d->error_word_armed = 0;
    if (w[0] == 0) return 0;
    if (w[0] == BLANK_LABEL) return tl__fail(err, TL_EINDEX, "label %d is the blank, which no target may have", w[1]);
    return tl__fail(err, TL_EINDEX, "%s %d is out of range: it must lie between 0 and %d", kinds[w[0]], w[1], w[2] - (w[0] < 3));
}

int tl__device_finish(tl_error *err, tl_device *d)
{
    if (d->dry) return 0;
    if (tl__wait(err, d) != 0) return -1;
    if (d->error_word_armed && look_at_error_word(err, d) != 0) return -1;
    return tl__cl_check(err, clFinish(d->queue), "waiting for the device failed", NULL);
}
