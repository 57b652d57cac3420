/* predict_memory.c - says what is on a picture that never was a file of its own: one that comes over a pipe.
 *
 *     cc predict_memory.c $(pkg-config --cflags --libs tlua) -o predict_memory
 *     curl -s https://.../cat.jpg | ./predict_memory runs/NAME/model.safetensors
 *     ffmpeg -i film.mp4 -frames:v 1 -f rawvideo -pix_fmt bgr24 - | ./predict_memory MODEL 640 480
 *
 * With width and height the input is pixels: rows of blue, green, red, as cameras and OpenCV have them. */
#include <tlua.h>

#include <stdio.h>
#include <stdlib.h>

/* All of the standard input; the caller frees it. NULL where it is empty or too large. */
static unsigned char *read_all(size_t *n)
{
    enum { MOST = 1 << 28 };
    unsigned char *data = malloc(MOST);
    *n = data ? fread(data, 1, MOST, stdin) : 0;
    if (*n > 0 && *n < MOST) return data;
    free(data);
    return NULL;
}

int main(int argc, char **argv)
{
    int pixels = argc == 4, width = pixels ? atoi(argv[2]) : 0, height = pixels ? atoi(argv[3]) : 0;
    if (argc != 2 && !pixels) return fprintf(stderr, "usage: %s MODEL [WIDTH HEIGHT] < PICTURE\n", argv[0]), 2;
    size_t n;
    unsigned char *data = read_all(&n);
    if (pixels && (double)width * height * 3 != (double)n) return fprintf(stderr, "%zu bytes are no such pixels\n", n), 1;
    tl_picture picture = {.name = "standard input", .data = data, .bytes = n};
    if (pixels) /* data points at red; green and blue lie before it */
        picture = (tl_picture){.name = "standard input", .data = data + 2, .width = width, .height = height, .channels = 3,
                               .pixel_stride = 3, .channel_stride = -1};
    tl_error err = {0};
    tl_device *device = tl_device_open(NULL, &err);
    tl_scope *s = device ? tl_scope_open(device, &err) : NULL;
    tl_model *model = s ? tl_model_load(s, argv[1]) : NULL;
    tl_tensor *y = model ? tl_model_predict_memory(s, model, &picture, 1) : NULL; /* (1, classes) */
    size_t classes = y ? (size_t)tl_model_classes(model) : 0;
    float *p = malloc(classes * sizeof *p + 1);
    int bad = !p || !y || tl_read(s, y, p, classes * sizeof *p) != 0;
    for (size_t c = 0; c < classes && !bad; c++) printf("%s\t%.9g\n", tl_model_class(model, (int)c), (double)p[c]);
    if (bad) fprintf(stderr, "%s\n", s ? tl_scope_error(s)->text : err.text);
    free(p);
    free(data);
    tl_model_free(model);
    tl_scope_close(s);
    if (device) tl_device_release(device);
    return bad;
}
