/* model.c - a whole model file: archive, pipeline, plan and labels as tl_model_load puts them together. The weights go
 * to the device. Small networks that find boxes are asked about a picture. */
#include "fuzz.h"
#include "model/model.h"

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

/* Boxes have classes that there are, lie within the picture, and are no more than are said to be. Larger networks would
 * take the fuzzer's time. */
static void find_boxes(tl_scope *s, tl_model *m)
{
    enum { W = 9, H = 7, ROOM = 5, MOST_SIDE = 64, MOST_BYTES = 1 << 22 };
    static const unsigned char pixels[W * H * 3] = {1, 2, 3};
    tl_picture picture = {.data = pixels, .width = W, .height = H, .channels = 3};
    tl_box box[ROOM];
    if (m->hwc[0] > MOST_SIDE || m->hwc[1] > MOST_SIDE) return;
    if (tl__plan_bytes(s, m->plan, 1) > MOST_BYTES || tl_scope_failed(s)) return;
    int64_t n = tl_model_boxes_memory(s, m, &picture, 1, -1, box, ROOM);
    never((n < 0) != tl_scope_failed(s));
    if (n < 0) never(strchr(tl_scope_error(s)->text, '\n') != NULL);
    if (n >= 0) never(!m->finder || n > m->finder->most);
    for (int64_t i = 0; i < n && i < ROOM; i++) {
        const tl_box *b = &box[i];
        never(b->picture != 0 || !tl_model_class(m, b->label) || !(b->score >= 0 && b->score <= 1));
        never(!(b->left >= 0 && b->right <= W && b->top >= 0 && b->bottom <= H));
    }
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
        find_boxes(s, m);
    } else {
        check_error(tl_scope_error(s), "f: ");
    }
    tl_model_free(m);
    tl_scope_close(s);
    return 0;
}
