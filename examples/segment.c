/* segment.c - which class each pixel of a picture belongs to: writes them as a grey picture (PGM), class 0 black.
 *
 *     cc segment.c $(pkg-config --cflags --libs tlua) -o segment
 *     ./segment runs/NAME/model.safetensors picture.jpg mask.pgm
 *
 * The mask is as large as the network's pictures. */
#include <tlua.h>

#include <stdio.h>
#include <stdlib.h>

/* The map (1, H, W, classes) of scores becomes classes (1, H, W); one score alone says whether it is the thing or
 * not. */
static tl_tensor *classes_of(tl_scope *s, tl_tensor *map)
{
    if (tl_rank(map) != 4) return NULL;
    if (tl_dim(map, 3) > 1) return tl_argmax(s, map, 3);
    return tl_argmax(s, tl_concat(s, (tl_tensor *[]){tl_mul_scalar(s, map, -1), map}, 2, 3), 3);
}

static int write_mask(tl_scope *s, tl_tensor *mask, int classes, const char *path)
{
    int64_t height = tl_dim(mask, 1), width = tl_dim(mask, 2), n = height * width;
    int32_t *ids = malloc((size_t)n * sizeof *ids);
    FILE *f = ids && tl_read(s, mask, ids, (size_t)n * sizeof *ids) == 0 ? fopen(path, "wb") : NULL;
    if (f) fprintf(f, "P5\n%d %d\n255\n", (int)width, (int)height);
    for (int64_t i = 0; f && i < n; i++) fputc(ids[i] * 255 / (classes > 1 ? classes - 1 : 1), f);
    free(ids);
    return f ? fclose(f) : -1;
}

int main(int argc, char **argv)
{
    if (argc != 4) return fprintf(stderr, "usage: %s MODEL.safetensors PICTURE MASK.pgm\n", argv[0]), 2;
    tl_error err = {0};
    tl_device *device = tl_device_open(NULL, &err);
    tl_scope *s = device ? tl_scope_open(device, &err) : NULL;
    tl_model *model = s ? tl_model_load(s, argv[1]) : NULL;
    const tl_model_tensor *outputs = NULL;
    int bad = !model || tl_model_outputs(model, &outputs) < 1;
    tl_tensor *map =
        bad ? NULL : tl_model_logits(s, model, tl_model_pictures(s, model, (const char *const *)&argv[2], 1));
    tl_tensor *mask = map ? classes_of(s, map) : NULL;
    bad = !mask || write_mask(s, mask, tl_dim(map, 3) > 1 ? (int)tl_dim(map, 3) : 2, argv[3]) != 0;
    if (map && tl_rank(map) != 4)
        fprintf(stderr, "%s gives no map: its output '%s' has %d dimensions\n", argv[1], outputs->name, outputs->rank);
    else if (bad)
        fprintf(stderr, "%s\n",
                s && tl_scope_failed(s) ? tl_scope_error(s)->text
                : model                 ? "the mask cannot be written"
                                        : err.text);
    tl_model_free(model);
    tl_scope_close(s);
    if (device) tl_device_release(device);
    return bad;
}
