/* tested.c - on which kinds of device tests of tlua have run: the one place that says so. A kind is added when tools/test_devices.sh (or
 * tools/gpu_bundle.sh's run) was green there; which tests those are, on each kind, stands in docs/internals.md. */
#include "device/device.h"

#include <string.h>

typedef struct kind { const char *name, *platform, *device; int is_cpu; } kind;

/* Parts of names, as the driver gives them; NULL: any. No GPU so far. */
static const kind kinds[] = {
    {"PoCL on a processor", "Portable Computing Language", NULL, 1},
    {"Intel's runtime for processors", "Intel(R) OpenCL", NULL, 1},
    {"Mesa's rusticl with llvmpipe", "rusticl", "llvmpipe", 0},
    {"Oclgrind", "Oclgrind", NULL, 1},
};

const char *tl__device_tested(const tl_traits *t)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strstr(t->platform, kinds[i].platform) && (!kinds[i].device || strstr(t->name, kinds[i].device)) &&
            t->is_cpu == kinds[i].is_cpu)
            return kinds[i].name;
    return NULL;
}
