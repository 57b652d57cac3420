/* detect.c - what is where on pictures: a network that finds boxes, from C.
 *
 *     cc detect.c $(pkg-config --cflags --libs tlua) -o detect
 *     ./detect runs/NAME/model.safetensors picture.jpg...
 *
 * A line a box: file, class, score, and left, top, right, bottom in pixels of the picture. */
#include <tlua.h>

#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 8, ROOM = 100 * BATCH }; /* a model says 100 boxes of a picture, where its recipe does not say otherwise */

/* 0 or -1. */
static int detect(tl_scope *s, tl_model *model, const char *const *files, int n)
{
    tl_box *box = malloc(ROOM * sizeof *box);
    int64_t found = box ? tl_model_boxes(s, model, files, n, -1, box, ROOM) : -1;
    if (found > ROOM) {
        fprintf(stderr, "of %lld boxes %d are shown\n", (long long)found, ROOM);
        found = ROOM;
    }
    for (int64_t i = 0; i < found; i++)
        printf("%s\t%s\t%.6f\t%.2f\t%.2f\t%.2f\t%.2f\n", files[box[i].picture], tl_model_class(model, box[i].label),
               box[i].score, box[i].left, box[i].top, box[i].right, box[i].bottom);
    free(box);
    return found < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    if (argc < 3) return fprintf(stderr, "usage: %s MODEL.safetensors PICTURE...\n", argv[0]), 2;
    tl_error err = {0};
    tl_device *device = tl_device_open(NULL, &err);
    tl_scope *s = device ? tl_scope_open(device, &err) : NULL;
    tl_model *model = s ? tl_model_load(s, argv[1]) : NULL;
    int bad = !model;
    for (int i = 2; i < argc && !bad; i += BATCH) {
        tl_scope *batch = tl_scope_open(device, &err); /* what one batch made is freed before the next */
        bad = !batch || detect(batch, model, (const char *const *)argv + i, argc - i < BATCH ? argc - i : BATCH) != 0;
        if (batch && bad) err = *tl_scope_error(batch);
        tl_scope_close(batch);
    }
    if (bad) fprintf(stderr, "%s\n", s && tl_scope_failed(s) ? tl_scope_error(s)->text : err.text);
    tl_model_free(model);
    tl_scope_close(s);
    if (device) tl_device_release(device);
    return bad;
}
