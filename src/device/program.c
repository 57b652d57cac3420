/* program.c - kernels compiled once: in memory by (program, options, name), on disk by a hash of all
 * that the result depends on (expanded source, options, device, driver). An entry carries a hash of
 * its own content: what is cut short or damaged is built anew. */
#define CL_TARGET_OPENCL_VERSION 120
#include "base/embed.h"
#include "device/profile.h"

#include <CL/cl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* handle is NULL where the driver refuses the program; `why` has its words. */
typedef struct built { const tl_program *program; char *options, *why; cl_program handle; struct built *next; } built;
typedef struct slot { const tl_program *program; char *options, *name; tl_kernel *kernel; } slot;

struct tl_programs {
    built *programs;
    slot *slots;
    size_t room, used;
};

tl_programs *tl__programs_new(tl_error *err) { return tl__calloc(err, 1, sizeof(tl_programs)); }

void tl__programs_free(tl_programs *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->room; i++)
        if (p->slots[i].kernel) {
            clReleaseKernel(p->slots[i].kernel->handle);
            free(p->slots[i].kernel);
            free(p->slots[i].options);
            free(p->slots[i].name);
        }
    free(p->slots);
    while (p->programs) {
        built *b = p->programs;
        p->programs = b->next;
        if (b->handle) clReleaseProgram(b->handle);
        free(b->options);
        free(b->why);
        free(b);
    }
    free(p);
}

/* ---- source ---- */

static const tl_embedded *embedded(const char *name, size_t n)
{
    for (const tl_embedded *e = tl__kernel_files; e->name; e++)
        if (strlen(e->name) == n && memcmp(e->name, name, n) == 0) return e;
    return NULL;
}

/* Text of an embedded file with `#include "x"` lines replaced by the files they name, once each level. */
static char *expand(tl_error *err, const char *text, int depth)
{
    char *out = tl__strdup(err, "");
    size_t n = 0;
    while (out && *text) {
        const char *end = strchr(text, '\n'), *piece = text;
        size_t length = end ? (size_t)(end - text + 1) : strlen(text);
        char *inner = NULL;
        if (strncmp(text, "#include \"", 10) == 0) {
            const char *close = strchr(text + 10, '"');
            const tl_embedded *e = close ? embedded(text + 10, (size_t)(close - text - 10)) : NULL;
            if (!e || depth > 4) {
                tl__fail(err, TL_EARG, "kernel source: cannot include %.40s", text + 10);
                free(out);
                return NULL;
            }
            if (!(inner = expand(err, e->text, depth + 1))) {
                free(out);
                return NULL;
            }
            piece = inner;
        }
        size_t m = inner ? strlen(inner) : length;
        char *bigger = tl__realloc(err, out, n + m + 1);
        if (!bigger) free(out);
        out = bigger;
        if (out) {
            memcpy(out + n, piece, m);
            n += m;
            out[n] = 0;
        }
        free(inner);
        text += length;
    }
    return out;
}

static char *source_of(tl_error *err, const tl_program *program)
{
    if (program->source) {
        char *raw = program->source(err), *whole = raw ? expand(err, raw, 0) : NULL;
        free(raw);
        return whole;
    }
    char file[64];
    snprintf(file, sizeof file, "%s.cl", program->name);
    const tl_embedded *e = embedded(file, strlen(file));
    if (!e) {
        tl__fail(err, TL_EARG, "there is no kernel file %s", file);
        return NULL;
    }
    return expand(err, e->text, 0);
}

/* ---- the cache on disk ---- */

/* A file is the magic, SHA-256 of what follows in hexadecimal, and the driver's binary. */
static const char magic[8] = "tluaCL1\n";
enum { HEAD = 8 + 64 };

/* Where the program is kept, NULL where it is not: TLUA_KERNEL_CACHE=0, or the driver keeps what it compiled itself. PoCL would
 * have to compile every kernel of the program, used or not, before it gives a binary: 14 of the 18 seconds that a first
 * step with empty caches took. TLUA_KERNEL_CACHE=1 keeps it all the same. */
static char *cache_path(tl_device *d, const char *source, const char *options)
{
    const char *wish = getenv("TLUA_KERNEL_CACHE");
    if (wish && *wish ? strcmp(wish, "0") == 0 : d->traits.keeps_programs) return NULL;
    tl_error quiet = {0};
    char hex[65], *folder = tl__cache_folder(&quiet, "kernels");
    if (!folder) return NULL;  /* no cache is slower, not wrong */
    const char *parts[] = {source, options, d->traits.name, d->traits.platform, d->traits.driver, d->traits.version};
    tl_sha256 h;
    tl__sha256_init(&h);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) tl__sha256_update(&h, parts[i], strlen(parts[i]) + 1);
    tl__sha256_final(&h, hex);
    char *path = tl__asprintf(&quiet, "%s/%.40s.bin", folder, hex);
    free(folder);
    return path;
}

static void content_hash(const void *data, size_t bytes, char hex[65])
{
    tl_sha256 h;
    tl__sha256_init(&h);
    tl__sha256_update(&h, data, bytes);
    tl__sha256_final(&h, hex);
}

const unsigned char *tl__program_in_file(const char *data, size_t bytes, size_t *length)
{
    char hex[65];
    if (bytes <= HEAD || memcmp(data, magic, sizeof magic) != 0) return NULL;
    content_hash(data + HEAD, bytes - HEAD, hex);
    if (memcmp(hex, data + sizeof magic, 64) != 0) return NULL;
    *length = bytes - HEAD;
    return (const unsigned char *)data + HEAD;
}

static cl_program from_cache(tl_device *d, const char *path, const char *options)
{
    tl_error quiet = {0};
    struct stat st;
    size_t n = 0, length;
    if (stat(path, &st) != 0) return NULL;
    char *data = tl__read_file(&quiet, path, &n);
    const unsigned char *binary = data ? tl__program_in_file(data, n, &length) : NULL;
    cl_program p = NULL;
    if (binary) {
        cl_int status, e;
        cl_device_id id = d->id;
        p = clCreateProgramWithBinary(d->context, 1, &id, &length, &binary, &status, &e);
        if (e != CL_SUCCESS || status != CL_SUCCESS || clBuildProgram(p, 1, &id, options, NULL, NULL) != CL_SUCCESS) {
            if (p && e == CL_SUCCESS) clReleaseProgram(p);
            p = NULL;
        }
    }
    free(data);
    return p;
}

static void to_cache(cl_program p, const char *path)
{
    tl_error quiet = {0};
    size_t n = 0;
    if (clGetProgramInfo(p, CL_PROGRAM_BINARY_SIZES, sizeof n, &n, NULL) != CL_SUCCESS || n == 0) return;
    char *data = tl__malloc(&quiet, n + HEAD), hex[65];
    if (!data) return;
    unsigned char *binary = (unsigned char *)data + HEAD;
    if (clGetProgramInfo(p, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL) == CL_SUCCESS) {
        memcpy(data, magic, 8);
        content_hash(binary, n, hex);
        memcpy(data + 8, hex, 64);
        tl__write_file(&quiet, path, data, n + HEAD);
    }
    free(data);
}

/* ---- building ---- */

static int build_failed(tl_error *err, tl_device *d, cl_program p, const tl_program *program, int status)
{
    size_t n = 0;
    clGetProgramBuildInfo(p, d->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &n);
    char *log = n ? tl__calloc(NULL, n + 1, 1) : NULL; /* whole: drivers give no part of it */
    if (log) clGetProgramBuildInfo(p, d->id, CL_PROGRAM_BUILD_LOG, n, log, NULL);
    for (char *c = log; c && *c; c++)
        if (*c == '\n') *c = ' ';
    if (status == CL_OUT_OF_HOST_MEMORY) tl__cl_check(err, status, "compiling failed", program->name); /* says nothing of the kernel */
    tl__fail(err, TL_EDEVICE, "the driver %s cannot compile %s (%d): %.700s", d->traits.platform, program->name, status,
             log && *log ? log : "it does not say why");
    free(log);
    return -1;
}

/* The program of that text, built, with `builtins` in the place of the driver's header where they are given; NULL where
 * it cannot be made, which `err` says. *e: what the driver says of building it. */
static cl_program compiled(tl_error *err, tl_device *d, const char *name, const char *builtins, const char *source,
                           const char *options, cl_int *e)
{
    const char *texts[] = {builtins ? builtins : "", source};
    char *all = tl__asprintf(err, "%s%s", options, builtins ? " -D_OPENCL_H_" : "");
    if (!all) return NULL;
    cl_device_id id = d->id;
    cl_program p = clCreateProgramWithSource(d->context, 2, texts, NULL, e);
    if (tl__cl_check(err, *e, "creating a program failed", name) != 0) p = NULL;
    if (p) *e = clBuildProgram(p, 1, &id, all, NULL, NULL);
    free(all);
    return p;
}

/* The same with cl/builtins.clh where the device takes them: as long as what is refused so is refused with the driver's
 * header too. Else it has another header than we know, or builtins.clh lacks a function. */
static cl_program compiled_either_way(tl_error *err, tl_device *d, const char *name, const char *source,
                                      const char *options, cl_int *e)
{
    const tl_embedded *own = d->traits.takes_builtins ? embedded("builtins.clh", 12) : NULL;
    if (!own) return compiled(err, d, name, NULL, source, options, e);
    cl_program p = compiled(err, d, name, own->text, source, options, e);
    if (!p || *e != CL_BUILD_PROGRAM_FAILURE) return p;
    clReleaseProgram(p);
    p = compiled(err, d, name, NULL, source, options, e);
    if (p && *e == CL_SUCCESS) d->traits.takes_builtins = 0;
    return p;
}

/* *refused: the driver has something against the program itself. */
static cl_program build(tl_error *err, tl_device *d, const tl_program *program, const char *extra, int *refused)
{
    char *source = source_of(err, program);
    /* No finite-math or unsafe options: a loss that is not finite must stay visible. */
    char *options = source ? tl__asprintf(err, "-cl-std=CL1.2 -cl-mad-enable -DTL_CPU=%d -DTL_VECTOR=%d -DTL_FRAGILE=%d%s %s", d->traits.is_cpu,
                                          d->traits.vector_width, d->traits.fragile, d->traits.simulated ? " -DTL_SIMULATED" : "", extra) : NULL;
    cl_program p = NULL;
    if (options) {
        char *path = cache_path(d, source, options);
        cl_int e;
        if (path && (p = from_cache(d, path, options)) != NULL) d->programs_cached++;
        else if ((p = compiled_either_way(err, d, program->name, source, options, &e)) != NULL && e != CL_SUCCESS) {
            build_failed(err, d, p, program, e);
            *refused = e == CL_BUILD_PROGRAM_FAILURE || e == CL_COMPILE_PROGRAM_FAILURE;
            clReleaseProgram(p);
            p = NULL;
        } else if (p) {
            d->programs_built++;
            if (path) to_cache(p, path);
        }
        free(path);
    }
    free(options);
    free(source);
    return p;
}

static cl_program program_get(tl_error *err, tl_device *d, const tl_program *program, const char *options)
{
    for (built *b = d->programs->programs; b; b = b->next)
        if (b->program == program && strcmp(b->options, options) == 0) {
            if (b->why) tl__fail(err, TL_EDEVICE, "%s", b->why);
            return b->handle;
        }
    tl_error own = {0};
    int refused = 0;
    built *b = tl__calloc(err, 1, sizeof *b);
    if (!b) return NULL;
    b->program = program;
    b->options = tl__strdup(err, options);
    b->handle = b->options ? build(&own, d, program, options, &refused) : NULL;
    if (own.code) tl__fail(err, own.code, "%s", own.text);
    /* What the driver refuses it refuses again, after as long: kept with its reason. What there was no memory for may be there later. */
    if (!b->handle && refused && own.code == TL_EDEVICE) b->why = tl__strdup(err, own.text);
    if (!b->handle && !b->why) {
        free(b->options);
        free(b);
        return NULL;
    }
    b->next = d->programs->programs;
    d->programs->programs = b;
    return b->handle;
}

static size_t place_of(const tl_programs *p, const tl_program *program, const char *options, const char *name)
{
    uint64_t h = tl__hash64(options, strlen(options), (uint64_t)(uintptr_t)program);
    h = tl__hash64(name, strlen(name), h);
    size_t i = (size_t)(h ^ h >> 32) & (p->room - 1);
    while (p->slots[i].kernel && (p->slots[i].program != program || strcmp(p->slots[i].name, name) != 0 ||
                                  strcmp(p->slots[i].options, options) != 0))
        i = (i + 1) & (p->room - 1);
    return i;
}

static int grow(tl_error *err, tl_programs *p)
{
    tl_programs old = *p;
    size_t room = old.room ? 2 * old.room : 128;
    slot *slots = tl__calloc(err, room, sizeof *slots);
    if (!slots) return -1;
    p->slots = slots;
    p->room = room;
    for (size_t i = 0; i < old.room; i++)
        if (old.slots[i].kernel) p->slots[place_of(p, old.slots[i].program, old.slots[i].options, old.slots[i].name)] = old.slots[i];
    free(old.slots);
    return 0;
}

/* What the driver says of a compiled kernel. What it does not say is left open: no fault of the kernel's. */
static void read_kernel(tl_kernel *k, const tl_device *d)
{
    cl_device_id id = d->id;
    cl_uint args = 0;
    cl_ulong local = 0;
    k->most = d->traits.max_group;
    k->multiple = 1;
    clGetKernelInfo(k->handle, CL_KERNEL_NUM_ARGS, sizeof args, &args, NULL);
    clGetKernelWorkGroupInfo(k->handle, id, CL_KERNEL_WORK_GROUP_SIZE, sizeof k->most, &k->most, NULL);
    clGetKernelWorkGroupInfo(k->handle, id, CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE, sizeof k->multiple, &k->multiple, NULL);
    clGetKernelWorkGroupInfo(k->handle, id, CL_KERNEL_LOCAL_MEM_SIZE, sizeof local, &local, NULL);
    k->args = (int)args;
    k->local_bytes = (size_t)local;
    if (k->most == 0) k->most = 1;
    if (k->multiple == 0) k->multiple = 1;
}

const tl_kernel *tl__kernel_get(tl_error *err, tl_device *d, const tl_program *program, const char *options, const char *name)
{
    tl_programs *p = d->programs;
    if (!options) options = "";
    if (2 * (p->used + 1) > p->room && grow(err, p) != 0) return NULL;
    size_t i = place_of(p, program, options, name);
    if (p->slots[i].kernel) return p->slots[i].kernel;
    cl_program handle = program_get(err, d, program, options);
    if (!handle) return NULL;
    slot s = {.program = program, .options = tl__strdup(err, options), .name = tl__strdup(err, name)};
    cl_int e = CL_SUCCESS;
    if (s.options && s.name) s.kernel = tl__calloc(err, 1, sizeof *s.kernel);
    if (s.kernel) s.kernel->handle = clCreateKernel(handle, name, &e);
    if (tl__cl_check(err, e, name, program->name) != 0 || !s.kernel || !s.kernel->handle) {
        free(s.kernel);
        free(s.options);
        free(s.name);
        return NULL;
    }
    read_kernel(s.kernel, d);
    p->slots[i] = s;
    p->used++;
    return s.kernel;
}
