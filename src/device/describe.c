/* describe.c - see describe.h. A table of OpenCL's properties by key; then what a compiled kernel says, and tlua's own
 * view. */
#define CL_TARGET_OPENCL_VERSION 120
#include "device/describe.h"

#include <CL/cl.h>
#include <stdlib.h>
#include <string.h>

/* Properties of extensions that older headers lack. */
enum {
    WARP_SIZE_NV = 0x4003,
    CAPABILITY_MAJOR_NV = 0x4000,
    CAPABILITY_MINOR_NV = 0x4001,
    BOARD_NAME_AMD = 0x4038,
    WAVEFRONT_WIDTH_AMD = 0x4043
};

typedef enum form { TEXT, UINT, ULONG, SIZE, BOOLEAN, SIZES } form;

static const struct { const char *key; cl_device_info what; form form;
} properties[] = {
    {"vendor", CL_DEVICE_VENDOR, TEXT},
    {"driver", CL_DRIVER_VERSION, TEXT},
    {"version", CL_DEVICE_VERSION, TEXT},
    {"language", CL_DEVICE_OPENCL_C_VERSION, TEXT},
    {"board", BOARD_NAME_AMD, TEXT},
    {"units", CL_DEVICE_MAX_COMPUTE_UNITS, UINT},
    {"megahertz", CL_DEVICE_MAX_CLOCK_FREQUENCY, UINT},
    {"address_bits", CL_DEVICE_ADDRESS_BITS, UINT},
    {"bytes", CL_DEVICE_GLOBAL_MEM_SIZE, ULONG},
    {"max_buffer", CL_DEVICE_MAX_MEM_ALLOC_SIZE, ULONG},
    {"cache_bytes", CL_DEVICE_GLOBAL_MEM_CACHE_SIZE, ULONG},
    {"cache_line", CL_DEVICE_GLOBAL_MEM_CACHELINE_SIZE, UINT},
    {"constant_bytes", CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE, ULONG},
    {"parameter_bytes", CL_DEVICE_MAX_PARAMETER_SIZE, SIZE},
    {"alignment_bits", CL_DEVICE_MEM_BASE_ADDR_ALIGN, UINT},
    {"shares_host_memory", CL_DEVICE_HOST_UNIFIED_MEMORY, BOOLEAN},
    {"local_bytes", CL_DEVICE_LOCAL_MEM_SIZE, ULONG},
    {"max_group", CL_DEVICE_MAX_WORK_GROUP_SIZE, SIZE},
    {"max_items", CL_DEVICE_MAX_WORK_ITEM_SIZES, SIZES},
    {"preferred_vector", CL_DEVICE_PREFERRED_VECTOR_WIDTH_FLOAT, UINT},
    {"native_vector", CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, UINT},
    {"warp", WARP_SIZE_NV, UINT},
    {"wavefront", WAVEFRONT_WIDTH_AMD, UINT},
    {"capability_major", CAPABILITY_MAJOR_NV, UINT},
    {"capability_minor", CAPABILITY_MINOR_NV, UINT},
    {"timer_nanoseconds", CL_DEVICE_PROFILING_TIMER_RESOLUTION, SIZE},
    {"error_correction", CL_DEVICE_ERROR_CORRECTION_SUPPORT, BOOLEAN},
    {"compiler", CL_DEVICE_COMPILER_AVAILABLE, BOOLEAN},
    {"extensions", CL_DEVICE_EXTENSIONS, TEXT},
};

typedef struct listener {
    void (*each)(void *user, int index, const tl_detail *detail);
    void *user;
    int index;
} listener;

static void say(const listener *to, tl_detail d) { to->each(to->user, to->index, &d); }
static void say_text(const listener *to, const char *key, const char *text)
{
    say(to, (tl_detail){.key = key, .kind = TL_D_TEXT, .text = text});
}
static void say_number(const listener *to, const char *key, int64_t n)
{
    say(to, (tl_detail){.key = key, .kind = TL_D_NUMBER, .number = {n}});
}
static void say_flag(const listener *to, const char *key, int on)
{
    say(to, (tl_detail){.key = key, .kind = TL_D_FLAG, .number = {on}});
}

static void say_text_of(const listener *to, const char *key, cl_device_id id, cl_device_info what)
{
    size_t n = 0;
    if (clGetDeviceInfo(id, what, 0, NULL, &n) != CL_SUCCESS || n == 0 || n > 1 << 20) return;
    char *text = tl__calloc(NULL, n + 1, 1), *from = text;
    if (text && clGetDeviceInfo(id, what, n, text, NULL) == CL_SUCCESS) {
        while (*from == ' ') from++;
        for (size_t k = strlen(from); k > 0 && from[k - 1] == ' '; k--) from[k - 1] = 0;
        if (*from) say_text(to, key, from);
    }
    free(text);
}

static void say_property(const listener *to, cl_device_id id, int i)
{
    union { cl_uint u; cl_ulong l; size_t s; cl_bool b; size_t list[16]; } v;
    static const size_t sizes[] = {[UINT] = sizeof v.u,
                                   [ULONG] = sizeof v.l,
                                   [SIZE] = sizeof v.s,
                                   [BOOLEAN] = sizeof v.b,
                                   [SIZES] = sizeof v.list};
    form f = properties[i].form;
    const char *key = properties[i].key;
    memset(&v, 0, sizeof v);
    if (f == TEXT) {
        say_text_of(to, key, id, properties[i].what);
        return;
    }
    if (clGetDeviceInfo(id, properties[i].what, sizes[f], &v, NULL) != CL_SUCCESS) return;
    if (f == UINT) say_number(to, key, v.u);
    else if (f == ULONG) say_number(to, key, v.l > INT64_MAX ? INT64_MAX : (int64_t)v.l);
    else if (f == SIZE) say_number(to, key, (int64_t)v.s);
    else if (f == BOOLEAN) say_flag(to, key, v.b != CL_FALSE);
    else
        say(to, (tl_detail){.key = key,
                            .kind = TL_D_LIST,
                            .number = {(int64_t)v.list[0], (int64_t)v.list[1], (int64_t)v.list[2]}});
}

/* What a kernel that does next to nothing is compiled to; "builds" is false where that fails. */
static void say_kernel(const listener *to, cl_device_id id)
{
    const char *source = "__kernel void add_one(__global float *x) { x[get_global_id(0)] += 1.0f; }";
    cl_int e;
    cl_context context = clCreateContext(NULL, 1, &id, NULL, NULL, &e);
    cl_program p = e == CL_SUCCESS ? clCreateProgramWithSource(context, 1, &source, NULL, &e) : NULL;
    cl_kernel k = NULL;
    if (e == CL_SUCCESS && (e = clBuildProgram(p, 1, &id, "-cl-std=CL1.2", NULL, NULL)) == CL_SUCCESS)
        k = clCreateKernel(p, "add_one", &e);
    size_t n = 0;
    say_flag(to, "builds", e == CL_SUCCESS);
    if (e == CL_SUCCESS &&
        clGetKernelWorkGroupInfo(k, id, CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE, sizeof n, &n, NULL) == CL_SUCCESS)
        say_number(to, "preferred_multiple", (int64_t)n);
    if (e == CL_SUCCESS && clGetKernelWorkGroupInfo(k, id, CL_KERNEL_WORK_GROUP_SIZE, sizeof n, &n, NULL) == CL_SUCCESS)
        say_number(to, "kernel_group", (int64_t)n);
    if (k) clReleaseKernel(k);
    if (p) clReleaseProgram(p);
    if (context) clReleaseContext(context);
}

static void say_platform(const listener *to, cl_device_id id)
{
    cl_platform_id platform;
    char version[256] = "";
    if (clGetDeviceInfo(id, CL_DEVICE_PLATFORM, sizeof platform, &platform, NULL) != CL_SUCCESS) return;
    if (clGetPlatformInfo(platform, CL_PLATFORM_VERSION, sizeof version - 1, version, NULL) == CL_SUCCESS)
        say_text(to, "platform_version", version);
}

static void say_device(void *user, int index, void *handle, const char *type, const tl_traits *t, int chosen)
{
    listener *to = user;
    cl_device_id id = handle;
    cl_device_local_mem_type memory = CL_NONE;
    to->index = index;
    say_number(to, "index", index);
    say_text(to, "type", type);
    say_text(to, "name", t->name);
    say_text(to, "platform", t->platform);
    say_platform(to, id);
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++) say_property(to, id, (int)i);
    if (clGetDeviceInfo(id, CL_DEVICE_LOCAL_MEM_TYPE, sizeof memory, &memory, NULL) == CL_SUCCESS)
        say_flag(to, "local_is_its_own", memory == CL_LOCAL);
    say_kernel(to, id);
    /* tlua's view. */
    say_flag(to, "chosen", chosen);
    say_text(to, "kernels", t->is_cpu ? "processor" : "gpu");
    say_number(to, "vector", t->vector_width);
    say(to, (tl_detail){.key = "max_groups",
                        .kind = TL_D_LIST,
                        .number = {(int64_t)t->max_groups[0], (int64_t)t->max_groups[1], (int64_t)t->max_groups[2]}});
    say_text(to, "kernels_kept_by", t->keeps_programs ? "driver" : "tlua");
    say_flag(to, "takes_builtins", t->takes_builtins);
    say_flag(to, "fragile", t->fragile);
    say_flag(to, "short_loops", t->short_loops);
    say_flag(to, "simulated", t->simulated);
    if (tl__device_tested(t)) say_text(to, "tested", tl__device_tested(t));
}

int tl__devices_describe(void (*each)(void *user, int index, const tl_detail *detail), void *user)
{
    listener to = {.each = each, .user = user};
    return tl__device_each(say_device, &to);
}
