/* fake_gpu.c - a GPU on paper: an OpenCL driver, to preload before the real loader, that calls itself a card of some maker, keeps
 * buffers in ordinary memory, and neither compiles nor runs anything. What a program would build and launch on such a card is
 * written down instead, so that the makers' compilers can be asked about it without the card (tools/test_compilers.sh):
 *
 *   $FAKE_GPU_OUT/KEY.cl    each program, its options in the first line; KEY is a hash of the text after preprocessing, so that
 *                           options which change nothing make no second program
 *   $FAKE_GPU_OUT/launches  "KEY KERNEL ITEMS BYTES": work-items of a group and local memory given as arguments, at most
 *   $FAKE_GPU_OUT/refused   launches that the card would refuse, or that leave the size of groups to the driver
 *
 * Results of kernels are whatever the buffers held, so tests of values fail on it and nobody looks.
 *
 *   cc -shared -fPIC -o fake_gpu.so fake_gpu.c;  FAKE_GPU=sm_80 FAKE_GPU_OUT=DIR LD_PRELOAD=./fake_gpu.so PROGRAM ... */
#define _GNU_SOURCE
#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#include <CL/cl.h>
#include <ctype.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_KERNELS = 128, MOST_ARGS = 64 };

/* What the cards' drivers say of them. `groups`: of one launch, along the second and third dimension. */
typedef struct card {
    const char *target, *platform, *vendor, *name;
    cl_uint units;
    size_t group, multiple, local_bytes, groups;
} card;
static const card cards[] = {
    {"sm_80", "NVIDIA CUDA", "NVIDIA Corporation", "NVIDIA A100-PCIE-40GB", 108, 1024, 32, 48 << 10, 65535},
    {"gfx906", "AMD Accelerated Parallel Processing", "Advanced Micro Devices, Inc.", "gfx906:sramecc+:xnack-", 60, 256, 64, 64 << 10, 0xffffffff},
    {"gfx1030", "AMD Accelerated Parallel Processing", "Advanced Micro Devices, Inc.", "gfx1030", 36, 256, 32, 64 << 10, 0xffffffff},
    {"dg2", "Intel(R) OpenCL Graphics", "Intel(R) Corporation", "Intel(R) Arc(TM) A770 Graphics", 512, 1024, 16, 64 << 10, 0xffffffff},
};

/* Handles point to these; things of which there is one are a static byte. */
typedef struct entry { char name[128]; int args; } entry;
typedef struct program {
    char *text, key[17];
    int own, count; /* own: tlua's, not CLBlast's */
    entry kernels[MOST_KERNELS];
    long refs;
} program;
typedef struct kernel {
    program *of;
    const entry *what;
    size_t local[MOST_ARGS], most_items, most_bytes;
    char set[MOST_ARGS], seen;
} kernel;
typedef struct memory { char *bytes; size_t size; int borrowed; long refs; } memory;
static char the_platform, the_device, the_context, the_queue, the_event;

static const card *the_card(void)
{
    static const card *c;
    const char *wish = getenv("FAKE_GPU");
    for (size_t i = 0; !c && wish && i < sizeof cards / sizeof *cards; i++)
        if (strcmp(cards[i].target, wish) == 0) c = &cards[i];
    if (!c || !getenv("FAKE_GPU_OUT")) {
        fprintf(stderr, "fake_gpu: FAKE_GPU names one of sm_80, gfx906, gfx1030, dg2, and FAKE_GPU_OUT a folder\n");
        _exit(2);
    }
    return c;
}

/* ---- files ---- */

static void path_of(char *path, size_t size, const char *name) { snprintf(path, size, "%s/%s", getenv("FAKE_GPU_OUT"), name); }

/* Adds a line in one write, since tests run in several processes. */
static void note(const char *file, const char *line)
{
    char path[1024];
    path_of(path, sizeof path, file);
    int f = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (f < 0 || write(f, line, strlen(line)) != (ssize_t)strlen(line)) {
        fprintf(stderr, "fake_gpu: cannot write %s\n", path);
        _exit(2);
    }
    close(f);
}

static char *read_all(const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f) return NULL;
    size_t n = 0, room = 1 << 16;
    char *text = malloc(room + 1);
    for (size_t got; text && (got = fread(text + n, 1, room - n, f)) > 0;) {
        n += got;
        if (n == room) text = realloc(text, (room *= 2) + 1);
    }
    fclose(f);
    if (text) text[n] = 0;
    return text;
}

/* Whole or not at all, as another process may read it. */
static void write_all(const char *path, const char *before, const char *text)
{
    char other[1100];
    snprintf(other, sizeof other, "%s.%ld", path, (long)getpid());
    FILE *f = fopen(other, "w");
    if (!f || fprintf(f, "%s%s", before, text) < 0 || fclose(f) != 0 || rename(other, path) != 0) {
        fprintf(stderr, "fake_gpu: cannot write %s\n", path);
        _exit(2);
    }
}

static uint64_t hash(uint64_t h, const char *text)
{
    for (; *text; text++) h = (h ^ (unsigned char)*text) * 1099511628211u;
    return h;
}

/* ---- programs ---- */

/* The words of `options` that define macros (`defines`), or the others, each in quotes for a shell. */
static void words_of(char *to, size_t size, const char *options, int defines)
{
    size_t n = 0;
    to[0] = 0;
    while (*options) {
        size_t length = strcspn(options, " ");
        int is = length > 2 && options[0] == '-' && options[1] == 'D';
        if (length && is == defines && !memchr(options, '\'', length) && n + length + 4 < size) n += (size_t)sprintf(to + n, "'%.*s' ", (int)length, options);
        options += length + (options[length] == ' ');
    }
}

/* The text with macros replaced, by the C preprocessor; kept on disk, since every test is a process. */
static char *preprocessed(const char *text, const char *options)
{
    char name[64], in[1100], out[1024], words[4096], command[8192];
    snprintf(name, sizeof name, "raw/%016llx", (unsigned long long)hash(hash(1469598103934665603u, options), text));
    path_of(out, sizeof out, name);
    char *made = read_all(out);
    if (made) return made;
    snprintf(in, sizeof in, "%s.%ld.c", out, (long)getpid());
    write_all(in, "", text);
    words_of(words, sizeof words, options, 1);
    snprintf(command, sizeof command, "LD_PRELOAD= ${CC:-cc} -E -P -undef -x c -D__OPENCL_VERSION__=120 -D__OPENCL_C_VERSION__=120 %s '%s' -o '%s.i'", words, in, in);
    int status = system(command);
    unlink(in);
    strcat(in, ".i");
    if (status == 0 && rename(in, out) == 0) made = read_all(out);
    return made;
}

static const char *skip_space(const char *p)
{
    while (isspace((unsigned char)*p)) p++;
    return p;
}

/* From an opening bracket to behind its partner; counts the commas on its own level. */
static const char *skip_brackets(const char *p, int *commas)
{
    int depth = 0;
    *commas = 0;
    do {
        if (*p == '(' || *p == '[' || *p == '{') depth++;
        else if (*p == ')' || *p == ']' || *p == '}') depth--;
        else if (*p == ',' && depth == 1) ++*commas;
    } while (*p && (p++, depth > 0));
    return p;
}

/* Names and numbers of arguments of the kernels in a preprocessed text. */
static void find_kernels(program *p, const char *text)
{
    int commas;
    for (const char *at = text; (at = strstr(at, "kernel")) != NULL;) {
        int word = !isalnum((unsigned char)at[6]) && at[6] != '_' && (at == text || !isalnum((unsigned char)at[-1]));
        at += 6;
        if (!word) continue;
        const char *q = skip_space(at), *name = NULL;
        size_t length = 0;
        while (isalpha((unsigned char)*q) || *q == '_') { /* attributes, void, the name */
            const char *start = q;
            while (isalnum((unsigned char)*q) || *q == '_') q++;
            if (strncmp(start, "__attribute__", 13) == 0) q = skip_brackets(skip_space(q), &commas);
            else name = start, length = (size_t)(q - start);
            q = skip_space(q);
        }
        if (!name || *q != '(' || p->count == MOST_KERNELS || length >= sizeof p->kernels->name) continue;
        entry *e = &p->kernels[p->count++];
        memcpy(e->name, name, length);
        skip_brackets(q, &commas);
        e->args = commas + 1;
    }
}

cl_program clCreateProgramWithSource(cl_context c, cl_uint n, const char **texts, const size_t *lengths, cl_int *e)
{
    (void)c;
    program *p = calloc(1, sizeof *p);
    size_t all = 0;
    for (cl_uint i = 0; i < n; i++) all += lengths && lengths[i] ? lengths[i] : strlen(texts[i]);
    p->text = calloc(1, all + 1);
    p->refs = 1;
    for (cl_uint i = 0, at = 0; i < n; i++) {
        size_t m = lengths && lengths[i] ? lengths[i] : strlen(texts[i]);
        memcpy(p->text + at, texts[i], m);
        at += (cl_uint)m;
    }
    if (e) *e = CL_SUCCESS;
    return (cl_program)p;
}

cl_program clCreateProgramWithBinary(cl_context c, cl_uint n, const cl_device_id *d, const size_t *l, const unsigned char **b, cl_int *s, cl_int *e)
{
    (void)c, (void)n, (void)d, (void)l, (void)b, (void)s;
    if (e) *e = CL_INVALID_BINARY;
    return NULL;
}

cl_int clBuildProgram(cl_program handle, cl_uint n, const cl_device_id *d, const char *options, void(CL_CALLBACK *f)(cl_program, void *), void *user)
{
    (void)n, (void)d, (void)f, (void)user;
    program *p = (program *)handle;
    char path[1024], name[32], first[4096], rest[4096];
    if (!options) options = "";
    char *text = preprocessed(p->text, options);
    if (!text) return CL_BUILD_PROGRAM_FAILURE;
    words_of(rest, sizeof rest, options, 0);
    snprintf(p->key, sizeof p->key, "%016llx", (unsigned long long)hash(hash(1469598103934665603u, rest), text));
    p->own = strstr(options, "-DTL_CPU=") != NULL;
    p->count = 0;
    find_kernels(p, text);
    free(text);
    snprintf(name, sizeof name, "%s.cl", p->key);
    path_of(path, sizeof path, name);
    snprintf(first, sizeof first, "// OPTIONS %s\n", options);
    if (access(path, F_OK) != 0) write_all(path, first, p->text);
    return CL_SUCCESS;
}

cl_int clReleaseProgram(cl_program handle)
{
    program *p = (program *)handle;
    if (--p->refs > 0) return CL_SUCCESS;
    free(p->text);
    free(p);
    return CL_SUCCESS;
}

/* ---- answers to questions ---- */

static cl_int answer(const void *data, size_t n, size_t size, void *value, size_t *got)
{
    if (got) *got = n;
    if (value && size < n) return CL_INVALID_VALUE;
    if (value) memcpy(value, data, n);
    return CL_SUCCESS;
}
static cl_int say(const char *text, size_t size, void *value, size_t *got) { return answer(text, strlen(text) + 1, size, value, got); }
static cl_int say_int(cl_uint n, size_t size, void *value, size_t *got) { return answer(&n, sizeof n, size, value, got); }
static cl_int say_long(cl_ulong n, size_t size, void *value, size_t *got) { return answer(&n, sizeof n, size, value, got); }
static cl_int say_size(size_t n, size_t size, void *value, size_t *got) { return answer(&n, sizeof n, size, value, got); }
static cl_int say_handle(void *p, size_t size, void *value, size_t *got) { return answer(&p, sizeof p, size, value, got); }

cl_int clGetPlatformIDs(cl_uint n, cl_platform_id *ids, cl_uint *count)
{
    the_card();
    if (count) *count = 1;
    if (ids && n) ids[0] = (cl_platform_id)&the_platform;
    return CL_SUCCESS;
}

cl_int clGetDeviceIDs(cl_platform_id p, cl_device_type type, cl_uint n, cl_device_id *ids, cl_uint *count)
{
    (void)p;
    if (!(type & (CL_DEVICE_TYPE_GPU | CL_DEVICE_TYPE_DEFAULT))) return CL_DEVICE_NOT_FOUND;
    if (count) *count = 1;
    if (ids && n) ids[0] = (cl_device_id)&the_device;
    return CL_SUCCESS;
}

cl_int clGetPlatformInfo(cl_platform_id p, cl_platform_info what, size_t size, void *value, size_t *got)
{
    (void)p;
    return say(what == CL_PLATFORM_NAME ? the_card()->platform : what == CL_PLATFORM_VENDOR ? the_card()->vendor : "OpenCL 1.2", size, value, got);
}

cl_int clGetDeviceInfo(cl_device_id d, cl_device_info what, size_t size, void *value, size_t *got)
{
    const card *c = the_card();
    (void)d;
    switch (what) {
    case CL_DEVICE_TYPE: return say_long(CL_DEVICE_TYPE_GPU, size, value, got);
    case CL_DEVICE_NAME: return say(c->name, size, value, got);
    case CL_DEVICE_VENDOR: return say(c->vendor, size, value, got);
    case CL_DEVICE_VERSION: return say("OpenCL 1.2", size, value, got);
    case CL_DEVICE_OPENCL_C_VERSION: return say("OpenCL C 1.2", size, value, got);
    case CL_DRIVER_VERSION: return say("on paper", size, value, got);
    case CL_DEVICE_EXTENSIONS: return say("cl_khr_fp64 cl_khr_byte_addressable_store", size, value, got);
    case CL_DEVICE_PLATFORM: return say_handle(&the_platform, size, value, got);
    case CL_DEVICE_MAX_COMPUTE_UNITS: return say_int(c->units, size, value, got);
    case CL_DEVICE_MEM_BASE_ADDR_ALIGN: return say_int(4096, size, value, got);
    case CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS: return say_int(3, size, value, got);
    case CL_DEVICE_MAX_WORK_ITEM_SIZES: return answer((size_t[]){c->group, c->group, c->group < 64 ? c->group : 64}, 3 * sizeof(size_t), size, value, got);
    case CL_DEVICE_MAX_WORK_GROUP_SIZE: return say_size(c->group, size, value, got);
    case CL_DEVICE_LOCAL_MEM_SIZE: return say_long(c->local_bytes, size, value, got);
    case CL_DEVICE_GLOBAL_MEM_SIZE: return say_long((cl_ulong)16 << 30, size, value, got);
    case CL_DEVICE_MAX_MEM_ALLOC_SIZE: return say_long((cl_ulong)4 << 30, size, value, got);
    default: return CL_INVALID_VALUE; /* what a card of another maker would know */
    }
}

cl_int clGetProgramInfo(cl_program p, cl_program_info what, size_t size, void *value, size_t *got)
{
    if (what == CL_PROGRAM_NUM_DEVICES) return say_int(1, size, value, got);
    if (what == CL_PROGRAM_BINARY_SIZES) return say_size(16, size, value, got);
    if (what == CL_PROGRAM_BINARIES && value) memcpy(*(char **)value, ((program *)p)->key, 16);
    return what == CL_PROGRAM_BINARIES ? CL_SUCCESS : CL_INVALID_VALUE;
}

cl_int clGetProgramBuildInfo(cl_program p, cl_device_id d, cl_program_build_info what, size_t size, void *value, size_t *got)
{
    (void)p, (void)d, (void)what;
    return say("the C preprocessor refuses it", size, value, got);
}

cl_int clGetKernelInfo(cl_kernel k, cl_kernel_info what, size_t size, void *value, size_t *got)
{
    const entry *e = ((kernel *)k)->what;
    if (what == CL_KERNEL_NUM_ARGS) return say_int((cl_uint)e->args, size, value, got);
    return what == CL_KERNEL_FUNCTION_NAME ? say(e->name, size, value, got) : CL_INVALID_VALUE;
}

cl_int clGetKernelWorkGroupInfo(cl_kernel k, cl_device_id d, cl_kernel_work_group_info what, size_t size, void *value, size_t *got)
{
    (void)k, (void)d;
    if (what == CL_KERNEL_WORK_GROUP_SIZE) return say_size(the_card()->group, size, value, got);
    if (what == CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE) return say_size(the_card()->multiple, size, value, got);
    if (what == CL_KERNEL_LOCAL_MEM_SIZE || what == CL_KERNEL_PRIVATE_MEM_SIZE) return say_long(0, size, value, got);
    return CL_INVALID_VALUE;
}

cl_int clGetCommandQueueInfo(cl_command_queue q, cl_command_queue_info what, size_t size, void *value, size_t *got)
{
    (void)q;
    return say_handle(what == CL_QUEUE_CONTEXT ? (void *)&the_context : (void *)&the_device, size, value, got);
}

cl_int clGetMemObjectInfo(cl_mem m, cl_mem_info what, size_t size, void *value, size_t *got)
{
    return what == CL_MEM_SIZE ? say_size(((memory *)m)->size, size, value, got) : CL_INVALID_VALUE;
}

cl_int clGetEventProfilingInfo(cl_event e, cl_profiling_info what, size_t size, void *value, size_t *got)
{
    (void)e;
    return say_long(what == CL_PROFILING_COMMAND_END, size, value, got);
}

/* ---- contexts, queues, events: there is nothing behind them ---- */

cl_context clCreateContext(const cl_context_properties *p, cl_uint n, const cl_device_id *d, void(CL_CALLBACK *f)(const char *, const void *, size_t, void *),
                           void *user, cl_int *e)
{
    (void)p, (void)n, (void)d, (void)f, (void)user;
    if (e) *e = CL_SUCCESS;
    return (cl_context)&the_context;
}
cl_command_queue clCreateCommandQueue(cl_context c, cl_device_id d, cl_command_queue_properties p, cl_int *e)
{
    (void)c, (void)d, (void)p;
    if (e) *e = CL_SUCCESS;
    return (cl_command_queue)&the_queue;
}
cl_int clReleaseContext(cl_context c) { return c ? CL_SUCCESS : CL_INVALID_CONTEXT; }
cl_int clReleaseCommandQueue(cl_command_queue q) { return q ? CL_SUCCESS : CL_INVALID_COMMAND_QUEUE; }
cl_int clReleaseEvent(cl_event e) { return e ? CL_SUCCESS : CL_INVALID_EVENT; }
cl_int clFinish(cl_command_queue q) { return q ? CL_SUCCESS : CL_INVALID_COMMAND_QUEUE; }
cl_int clFlush(cl_command_queue q) { return q ? CL_SUCCESS : CL_INVALID_COMMAND_QUEUE; }
cl_int clWaitForEvents(cl_uint n, const cl_event *e) { return n && e ? CL_SUCCESS : CL_INVALID_VALUE; }
cl_int clSetEventCallback(cl_event e, cl_int status, void(CL_CALLBACK *f)(cl_event, cl_int, void *), void *user)
{
    f(e, status, user);
    return CL_SUCCESS;
}
static cl_int done(cl_event *e)
{
    if (e) *e = (cl_event)&the_event;
    return CL_SUCCESS;
}
cl_int clEnqueueMarkerWithWaitList(cl_command_queue q, cl_uint n, const cl_event *w, cl_event *e)
{
    (void)q, (void)n, (void)w;
    return done(e);
}

/* ---- buffers: ordinary memory, of which the system gives what is touched ---- */

cl_mem clCreateBuffer(cl_context c, cl_mem_flags flags, size_t size, void *host, cl_int *e)
{
    (void)c;
    memory *m = calloc(1, sizeof *m);
    m->borrowed = (flags & CL_MEM_USE_HOST_PTR) != 0;
    m->size = size;
    m->refs = 1;
    m->bytes = m->borrowed ? host : calloc(1, size);
    if (host && (flags & CL_MEM_COPY_HOST_PTR)) memcpy(m->bytes, host, size);
    if (e) *e = CL_SUCCESS;
    return (cl_mem)m;
}
cl_int clReleaseMemObject(cl_mem handle)
{
    memory *m = (memory *)handle;
    if (--m->refs > 0) return CL_SUCCESS;
    if (!m->borrowed) free(m->bytes);
    free(m);
    return CL_SUCCESS;
}
cl_int clEnqueueReadBuffer(cl_command_queue q, cl_mem m, cl_bool wait, size_t at, size_t n, void *to, cl_uint waits, const cl_event *w, cl_event *e)
{
    (void)q, (void)wait, (void)waits, (void)w;
    memcpy(to, ((memory *)m)->bytes + at, n);
    return done(e);
}
cl_int clEnqueueWriteBuffer(cl_command_queue q, cl_mem m, cl_bool wait, size_t at, size_t n, const void *from, cl_uint waits, const cl_event *w, cl_event *e)
{
    (void)q, (void)wait, (void)waits, (void)w;
    memcpy(((memory *)m)->bytes + at, from, n);
    return done(e);
}
cl_int clEnqueueCopyBuffer(cl_command_queue q, cl_mem from, cl_mem to, size_t from_at, size_t to_at, size_t n, cl_uint waits, const cl_event *w, cl_event *e)
{
    (void)q, (void)waits, (void)w;
    memmove(((memory *)to)->bytes + to_at, ((memory *)from)->bytes + from_at, n);
    return done(e);
}
cl_int clEnqueueFillBuffer(cl_command_queue q, cl_mem m, const void *pattern, size_t length, size_t at, size_t n, cl_uint waits, const cl_event *w, cl_event *e)
{
    (void)q, (void)waits, (void)w;
    char *to = ((memory *)m)->bytes + at;
    uint32_t word = 0;
    if (length == 4) memcpy(&word, pattern, 4);
    if (length == 4 && word == 0) memset(to, 0, n);
    else
        for (size_t i = 0; i < n; i += length) memcpy(to + i, pattern, length);
    return done(e);
}

/* ---- kernels ---- */

cl_kernel clCreateKernel(cl_program handle, const char *name, cl_int *e)
{
    program *p = (program *)handle;
    const entry *found = NULL;
    for (int i = 0; i < p->count; i++)
        if (strcmp(p->kernels[i].name, name) == 0) found = &p->kernels[i];
    if (e) *e = found ? CL_SUCCESS : CL_INVALID_KERNEL_NAME;
    kernel *k = found ? calloc(1, sizeof *k) : NULL;
    if (!k) return NULL;
    k->of = p;
    k->what = found;
    p->refs++;
    return (cl_kernel)k;
}

cl_int clReleaseKernel(cl_kernel handle)
{
    kernel *k = (kernel *)handle;
    clReleaseProgram((cl_program)k->of);
    free(k);
    return CL_SUCCESS;
}

cl_int clSetKernelArg(cl_kernel handle, cl_uint at, size_t size, const void *value)
{
    kernel *k = (kernel *)handle;
    if ((int)at >= k->what->args || at >= MOST_ARGS) return CL_INVALID_ARG_INDEX;
    k->set[at] = 1;
    k->local[at] = value ? 0 : size;
    return CL_SUCCESS;
}

static cl_int refuse(const kernel *k, cl_int code, const char *why)
{
    char line[512];
    snprintf(line, sizeof line, "%s: %s: %s\n", the_card()->target, k->what->name, why);
    note("refused", line);
    return code;
}

cl_int clEnqueueNDRangeKernel(cl_command_queue q, cl_kernel handle, cl_uint dims, const size_t *offset, const size_t *global, const size_t *local, cl_uint n,
                              const cl_event *w, cl_event *e)
{
    const card *c = the_card();
    kernel *k = (kernel *)handle;
    size_t items = 1, bytes = 0;
    (void)q, (void)offset, (void)n, (void)w;
    for (int i = 0; i < k->what->args && i < MOST_ARGS; i++) {
        if (!k->set[i]) return refuse(k, CL_INVALID_KERNEL_ARGS, "an argument is missing");
        bytes += k->local[i];
    }
    if (!local) return refuse(k, CL_SUCCESS, "the size of its groups is left to the driver");
    for (cl_uint i = 0; i < dims; i++) {
        if (local[i] == 0 || global[i] % local[i] != 0) return refuse(k, CL_INVALID_WORK_GROUP_SIZE, "the last group is not whole");
        if (local[i] > (i == 2 && c->group > 64 ? 64 : c->group)) return refuse(k, CL_INVALID_WORK_ITEM_SIZE, "a group is too long in one dimension");
        if (global[i] / local[i] > (i ? c->groups : 0x7fffffff) || global[i] > 0xffffffff) return refuse(k, CL_INVALID_GLOBAL_WORK_SIZE, "too many groups");
        items *= local[i];
    }
    if (items > c->group) return refuse(k, CL_INVALID_WORK_GROUP_SIZE, "too many work-items in a group");
    if (bytes > c->local_bytes) return refuse(k, CL_OUT_OF_RESOURCES, "too much local memory");
    if (!k->seen || items > k->most_items || bytes > k->most_bytes) {
        char line[256];
        k->seen = 1;
        k->most_items = items > k->most_items ? items : k->most_items;
        k->most_bytes = bytes > k->most_bytes ? bytes : k->most_bytes;
        snprintf(line, sizeof line, "%s %s %zu %zu\n", k->of->key, k->what->name, items, bytes);
        note("launches", line);
    }
    return done(e);
}
