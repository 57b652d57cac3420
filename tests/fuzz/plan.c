/* plan.c - the calls of a network in a model file. A name like "8x3x3" is a tensor of that shape, so that the fuzzer makes its own
 * weights. The plan is traced, folded and joined, all of it dry; nothing is launched. */
#include "fuzz.h"
#include "device/device.h"
#include "plan/plan.h"

enum { MOST_TENSORS = 64, MOST_NUMBERS = 4096 };

static tl_device *device;
static tl_scope root;
static struct { char name[32]; tl_tensor *t; } tensors[MOST_TENSORS];
static int count;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    tl_error err = {0};
    device = tl_device_open(NULL, &err);
    if (!device) fprintf(stderr, "%s\n", err.text);
    never(!device);
    return 0;
}

/* Makes the tensor of such a name, where there is room for it. */
static void make(const char *name, size_t length)
{
    static const float zeros[MOST_NUMBERS];
    int64_t dims[TL_MAX_RANK], n = 1;
    int rank = 0;
    char own[sizeof tensors->name];
    if (count == MOST_TENSORS || length == 0 || length >= sizeof own) return;
    memcpy(own, name, length);
    own[length] = 0;
    for (int i = 0; i < count; i++)
        if (strcmp(tensors[i].name, own) == 0) return;
    for (const char *p = own; *p;) {
        char *end;
        if (rank == TL_MAX_RANK || *p < '0' || *p > '9') return;
        dims[rank] = strtol(p, &end, 10);
        if (dims[rank] > MOST_NUMBERS || (n *= dims[rank++]) > MOST_NUMBERS || (*end && *end != 'x')) return;
        p = *end ? end + 1 : end;
    }
    tl_tensor *t = tl_from(&root, TL_F32, rank, dims, zeros);
    never(!t);
    strcpy(tensors[count].name, own);
    tensors[count++].t = t;
}

/* Weights are there before the dry run of a plan begins: every text in quotes may be the name of one. */
static void make_all(const char *text)
{
    for (const char *q = strchr(text, '"'), *end; q && (end = strchr(q + 1, '"')) != NULL; q = end) make(q + 1, (size_t)(end - q - 1));
}

static tl_tensor *named(void *user, const char *name)
{
    (void)user;
    for (int i = 0; i < count; i++)
        if (strcmp(tensors[i].name, name) == 0) return tensors[i].t;
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *text = fuzz_text(data, bytes);
    tl_error err = {0};
    count = 0;
    tl__scope_root(&root, device, 0);
    make_all(text);
    tl_plan *p = tl__plan_read(&err, device, text, named, NULL);
    if (p) {
        char *lines = tl__plan_text(&err, p);
        never(!lines);
        free(lines);
        tl_scope s;
        tl__scope_root(&s, device, 0);
        tl__plan_bytes(&s, p, 2);
        tl__scope_drop(&s);
    } else {
        check_error(&err, "");
    }
    never(device->dry || device->trace);
    tl__plan_free(p);
    tl__scope_drop(&root);
    free(text);
    return 0;
}
