/* scores.c - what a network of several labels or of values says of pictures: each name with its score or value.
 *
 *     cc scores.c $(pkg-config --cflags --libs tlua) -o scores
 *     ./scores runs/NAME/model.safetensors picture.jpg...
 *
 * A score of several labels is a probability of its own (sigmoid); a value of a regression is as it was learnt. */
#include <tlua.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Prints a line a name: its file, the name, and the number. 0 or -1. */
static int scores(tl_scope *s, tl_model *model, const char *file)
{
    tl_named in = {NULL, tl_model_pictures(s, model, &file, 1)}, out = {0}; /* without names: there is one of each */
    if (tl_model_run(s, model, &in, 1, &out, 1) != 0) return -1;
    tl_tensor *y = out.tensor; /* (1, names) */
    if (strcmp(tl_model_task(model), "multilabel") == 0) y = tl_sigmoid(s, y);
    if (strcmp(tl_model_task(model), "classify") == 0) y = tl_softmax(s, y, -1);
    size_t n = y ? (size_t)tl_numel(y) : 0;
    float *values = malloc(n * sizeof *values + 1);
    int status = values ? tl_read(s, y, values, n * sizeof *values) : -1;
    for (size_t i = 0; i < n && status == 0; i++) {
        const char *name = tl_model_class(model, (int)i);
        printf("%s\t%s\t%.9g\n", file, name ? name : "?", (double)values[i]);
    }
    free(values);
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
    for (int i = 2; i < argc && !bad; i++) bad = scores(s, model, argv[i]) != 0;
    if (bad) fprintf(stderr, "%s\n", s && tl_scope_failed(s) ? tl_scope_error(s)->text : err.text);
    tl_model_free(model);
    tl_scope_close(s);
    if (device) tl_device_release(device);
    return bad;
}
