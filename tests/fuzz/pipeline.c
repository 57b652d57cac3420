/* pipeline.c - the steps of pictures and volumes in a model file. What is read is written and read again, and run on a
 * small picture or volume where what comes out is small. */
#include "fuzz.h"
#include "data/blocks.h"
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

/* Takes a sample of a small volume: classes are those of its mask, or ignored. */
static void run_volume(const tl_pipeline *p)
{
    enum { D = 6, H = 5, W = 7, C = 2 };
    static float data[D * H * W * C];
    static uint8_t mask[D * H * W];
    tl_error err = {0};
    tl_block b = {.size = {D, H, W}, .channels = C, .data = data, .mask = mask};
    tl_draw_key who = {1, 2, 3};
    int64_t size[3], n;
    int of_volumes = 0;
    for (int i = 0; i < p->count; i++) of_volumes |= (p->step[i].row->touches & TL_FIELD_VOLUME) != 0;
    if (!of_volumes || p->count > 20) return;
    for (int r = 0; r < 3; r++) b.affine[r][r] = 1 + r;
    for (int i = 0; i < D * H * W; i++) {
        mask[i] = (uint8_t)(i % 5 == 0);
        b.of_class[mask[i]]++;
        for (int c = 0; c < C; c++) data[i * C + c] = (float)(i % 11) / 10 - (float)c;
    }
    const tl_extent from = {.grid = {.size = {W, H, D}, .affine = {{1, 0, 0, 0}, {0, 2, 0, 0}, {0, 0, 3, 0}}},
                            .channels = C};
    tl_extent to;
    tl__block_extent(p, &from, &to);
    tl__block_sample_size(p, b.size, size);
    n = size[0] * size[1] * size[2];
    never(n < 1);
    if (size[0] > MOST || size[1] > MOST || size[2] > MOST || n > 1 << 15) return;
    float *out = malloc((size_t)n * C * sizeof *out);
    int32_t *class = malloc((size_t)n * sizeof *class);
    if (tl__block_sample(&err, p, &who, &b, out, class) != 0) check_error(&err, "");
    else
        for (int64_t i = 0; i < n; i++) never(class[i] != 0 && class[i] != 1 && class[i] != TL_MASK_IGNORED);
    free(class);
    free(out);
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
        run_volume(p);
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
