/* model.c - a whole model file: archive, pipeline, plan and labels as tl_model_load puts them together. The weights go to the device. */
#include "fuzz.h"

static tl_device *device;

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    tl_error err = {0};
    uint8_t *copy = fuzz_copy(data, bytes);
    tl_scope *s = tl_scope_open(device, &err);
    never(!s);
    tl_model *m = tl_model_load_memory(s, "f", copy, bytes);
    free(copy);
    if (m) {
        int64_t hwc[3];
        tl_model_input(m, hwc);
        const tl_model_tensor *in, *out;
        never(tl_model_inputs(m, &in) < 1 || tl_model_outputs(m, &out) < 1 || !tl_model_task(m) || !in->name[0] || !out->name[0]);
        never(tl_model_classes(m) < 0 || tl_model_class(m, -1) || tl_model_class(m, tl_model_classes(m)));
        for (int i = 0; i < tl_model_classes(m) && i < 100; i++) never(!tl_model_class(m, i));
    } else {
        check_error(tl_scope_error(s), "f: ");
    }
    tl_model_free(m);
    tl_scope_close(s);
    return 0;
}
