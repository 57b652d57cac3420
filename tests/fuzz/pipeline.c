/* pipeline.c - the steps of pictures in a model file. What is read is written and read again, and run on a small picture where what comes out
 * is small. */
#include "fuzz.h"
#include "data/transform.h"

static void run(const tl_pipeline *p)
{
    enum { SIDE = 9, MOST = 64 };
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
    never(tl__image_reserve(&err, &image, SIDE, SIDE, 3) != 0);
    for (int i = 0; i < SIDE * SIDE * 3; i++) image.data[i] = (uint8_t)(i * 7);
    float *out = malloc((size_t)hwc[0] * (size_t)hwc[1] * (size_t)hwc[2] * sizeof *out);
    if (tl__pipeline_run(&err, p, &scratch, &who, &image, hwc, out) != 0) check_error(&err, "");
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
        run(p);
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
