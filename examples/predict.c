/* predict.c - a trained network from C: loads the model.safetensors of a run and says what is on pictures.
 *
 *     cc predict.c $(pkg-config --cflags --libs tlua) -o predict
 *     ./predict runs/NAME/model.safetensors picture.jpg...
 *
 * Neither Lua nor the recipe is needed: the file holds network, weights, preprocessing and class names. */
#include <tlua.h>

#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 16 };

/* Prints a line a picture: its file, the likeliest class and its probability. 0 or -1. */
static int predict(tl_scope *s, tl_model *model, const char *const *files, int n)
{
    int classes = tl_model_classes(model);
    size_t bytes = (size_t)n * (size_t)classes * sizeof(float);
    float *p = malloc(bytes);
    tl_tensor *y = tl_model_predict(s, model, files, n); /* (n, classes); NULL after a failure, and so is what follows */
    int status = p ? tl_read(s, y, p, bytes) : -1;
    for (int i = 0; i < n && status == 0; i++) {
        const float *row = p + (size_t)i * (size_t)classes;
        int best = 0;
        for (int c = 1; c < classes; c++)
            if (row[c] > row[best]) best = c;
        printf("%s\t%s\t%.9g\n", files[i], tl_model_class(model, best), (double)row[best]);
    }
    free(p);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s MODEL.safetensors PICTURE...\n", argv[0]);
        return 2;
    }
    tl_error err = {0};
    tl_device *device = tl_device_open(NULL, &err);
    tl_scope *s = device ? tl_scope_open(device, &err) : NULL;
    tl_model *model = s ? tl_model_load(s, argv[1]) : NULL;
    int bad = !model;
    for (int i = 2; i < argc && !bad; i += BATCH) {
        tl_scope *batch = tl_scope_open(device, &err); /* what one batch made is freed before the next */
        bad = !batch || predict(batch, model, (const char *const *)argv + i, argc - i < BATCH ? argc - i : BATCH) != 0;
        if (batch && bad) err = *tl_scope_error(batch);
        tl_scope_close(batch);
    }
    if (bad) fprintf(stderr, "%s\n", s && tl_scope_failed(s) ? tl_scope_error(s)->text : err.text);
    tl_model_free(model);
    tl_scope_close(s);
    if (device) tl_device_release(device);
    return bad;
}
