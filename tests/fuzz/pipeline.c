/* pipeline.c - the steps of pictures in a model file. What is read is written and read again, and run on a small picture where what comes out
 * is small. */
#include "fuzz.h"
#include "data/transform.h"

enum { SIDE = 9, MOST = 64 };

/* A mask and a box go where the pixels went, and stay inside. */
static void follow(const tl_geometry *g)
{
    tl_error err = {0};
    tl_image mask = {0};
    float box[] = {1, 2, 8, 9}, point[] = {4, 4};
    int32_t label = 0, *out = malloc((size_t)g->width * (size_t)g->height * sizeof *out);
    tl_marks in = {.boxes = 1, .points = 1, .box = box, .box_label = &label, .point = point}, to = {0};
    never(tl__image_reserve(&err, &mask, SIDE, SIDE, 1) != 0);
    for (int i = 0; i < SIDE * SIDE; i++) mask.data[i] = (uint8_t)i;
    if (tl__geometry_mask(&err, g, &mask, out) == 0)
        for (int i = 0; i < g->width * g->height; i++) never(out[i] != TL_MASK_IGNORED && (out[i] < 0 || out[i] >= SIDE * SIDE));
    else
        check_error(&err, "");
    err = (tl_error){0};
    if (tl__geometry_marks(&err, g, &in, &to) == 0)
        for (int k = 0; k < 4 && to.boxes; k++) never(!(to.box[k] >= 0 && to.box[k] <= (float)(k % 2 ? g->height : g->width)));
    else
        check_error(&err, "");
    tl__marks_free(&to);
    tl__image_free(&mask);
    free(out);
}

static void run(const tl_pipeline *p, tl_depth depth)
{
    tl_error err = {0};
    int hwc[3] = {SIDE, SIDE, 3};
    tl__pipeline_shape(p, hwc);
    /* A large picture on the way is no fault: sizes are the user's. */
    for (int i = 0; i < p->count; i++)
        for (int k = 0; p->step[i].row->param[k].name; k++)
            for (int v = 0; v < p->step[i].value[k].count; v++) {
                const char *name = p->step[i].row->param[k].name;
                if ((strcmp(name, "size") == 0 || strcmp(name, "padding") == 0) && p->step[i].value[k].at[v] > MOST) return;
            }
    if (p->count > 20) return;
    if (hwc[0] < 1 || hwc[1] < 1 || hwc[2] < 1 || hwc[0] > MOST || hwc[1] > MOST || hwc[2] > 4) return;
    tl_image image = {0};
    tl_scratch scratch = {0};
    tl_draw_key who = {1, 2, 3};
    never(tl__image_reserve_deep(&err, &image, SIDE, SIDE, 3, depth) != 0);
    for (int i = 0; i < SIDE * SIDE * 3 * (int)tl__depth_bytes(depth); i++) image.data[i] = (uint8_t)(i * 7);
    if (depth == TL_DEPTH_FLOAT)
        for (int i = 0; i < SIDE * SIDE * 3; i++) memcpy(image.data + 4 * i, &(float){(float)i / 100 - 1}, 4);
    float *out = malloc((size_t)hwc[0] * (size_t)hwc[1] * (size_t)hwc[2] * sizeof *out);
    if (tl__pipeline_run(&err, p, &scratch, &who, &image, hwc, out) != 0) check_error(&err, "");
    else follow(&scratch.geometry);
    free(out);
    tl__image_free(&image);
    tl__scratch_free(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *text = fuzz_text(data, bytes);
    tl_error err = {0};
    tl_pipeline *p = tl__pipeline_parse(&err, text);
    if (p) {
        char *again = tl__pipeline_text(&err, p);
        tl_pipeline *q = again ? tl__pipeline_parse(&err, again) : NULL;
        never(!q);
        char *third = tl__pipeline_text(&err, q);
        never(!third || strcmp(third, again) != 0);
        tl_image_request request;
        tl__pipeline_request(p, &request);
        for (int depth = TL_DEPTH_8; depth <= TL_DEPTH_FLOAT; depth++) run(p, (tl_depth)depth);
        free(third);
        free(again);
        tl__pipeline_free(q);
        tl__pipeline_free(p);
    } else {
        check_error(&err, "");
    }
    free(text);
    return 0;
}
