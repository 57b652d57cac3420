/* embedding.c - the library as somebody else's C program sees it: the public header alone. Fits a line by
 * gradient descent. With arguments (tests/cli/model.sh) it asks a model about pictures in memory:
 *
 *     embedding MODEL PICTURE.png PIXELS WIDTH HEIGHT
 *
 * where the file PIXELS holds what is on the picture as red, green, blue. */
#include "tlua.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed;
static void check(int ok, const char *what, const char *text)
{
    if (ok) return;
    failed++;
    fprintf(stderr, "FAILED: %s: %s\n", what, text);
}

static unsigned char *contents(const char *path, size_t *n)
{
    static unsigned char buffer[1 << 24];
    FILE *f = fopen(path, "rb");
    *n = f ? fread(buffer, 1, sizeof buffer, f) : 0;
    if (f) fclose(f);
    unsigned char *copy = malloc(*n + 1); /* of its own, so that reading past its end is seen by a sanitizer */
    if (copy) memcpy(copy, buffer, *n);
    return copy;
}

enum { MOST = 64 };

/* The probabilities of the first picture; those of all others must be the same, bit by bit. */
static void ask(tl_device *d, tl_model *m, const char *what, const char *path, const tl_picture *pictures, int n, float *out)
{
    tl_error err = {0};
    tl_scope *s = tl_scope_open(d, &err);
    size_t classes = (size_t)tl_model_classes(m);
    float all[MOST] = {0};
    tl_tensor *y = path ? tl_model_predict(s, m, &path, 1) : tl_model_predict_memory(s, m, pictures, n);
    int ok = classes * (size_t)n <= MOST && tl_read(s, y, all, classes * (size_t)n * sizeof *all) == 0;
    check(ok, what, tl_scope_error(s)->text);
    for (int i = 1; i < n; i++) check(memcmp(all, all + (size_t)i * classes, classes * sizeof *all) == 0, what, "the pictures of a call differ");
    memcpy(out, all, classes * sizeof *all);
    tl_scope_close(s);
}

/* Refused, with a message that holds `part`. */
static void refused(tl_device *d, tl_model *m, const char *part, tl_picture picture)
{
    tl_error err = {0};
    tl_scope *s = tl_scope_open(d, &err);
    tl_tensor *y = tl_model_predict_memory(s, m, &picture, 1);
    const char *text = tl_scope_error(s)->text;
    check(!y && strstr(text, part) && !strchr(text, '\n'), part, text);
    check(strncmp(text, "pictures[0]: ", 13) == 0 || (picture.name && strncmp(text, picture.name, strlen(picture.name)) == 0), part, text);
    tl_scope_close(s);
}

/* The same pixels in other orders; each copy has no byte more than it needs. */
static void strides(tl_device *d, tl_model *m, const unsigned char *rgb, int w, int h, const float *wanted)
{
    size_t pixels = (size_t)w * (size_t)h, row = (size_t)w * 3 + 5;
    unsigned char *bgr = malloc(3 * pixels), *planes = malloc(3 * pixels), *padded = malloc(row * (size_t)h - 5), *rgba = malloc(4 * pixels), *flipped = malloc(3 * pixels);
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < 3; c++) {
            unsigned char v = rgb[3 * i + c];
            size_t y = i / (size_t)w, x = i % (size_t)w;
            bgr[3 * i + 2 - c] = v;
            planes[c * pixels + i] = v;
            padded[y * row + 3 * x + c] = v;
            rgba[4 * i + c] = v;
            rgba[4 * i + 3] = (unsigned char)i;
            flipped[3 * (((size_t)h - 1 - y) * (size_t)w + x) + c] = v;
        }
    tl_picture all[] = {
        {.data = rgb, .width = w, .height = h, .channels = 3},
        {.data = bgr + 2, .width = w, .height = h, .channels = 3, .pixel_stride = 3, .channel_stride = -1},
        {.data = planes, .width = w, .height = h, .channels = 3, .pixel_stride = 1, .channel_stride = (ptrdiff_t)pixels},
        {.data = padded, .width = w, .height = h, .channels = 3, .row_stride = (ptrdiff_t)row},
        {.data = rgba, .width = w, .height = h, .channels = 4},
        {.data = flipped + 3 * (pixels - (size_t)w), .width = w, .height = h, .channels = 3, .row_stride = -3 * w},
    };
    float p[MOST];
    ask(d, m, "strides", NULL, all, (int)(sizeof all / sizeof *all), p);
    check(memcmp(p, wanted, (size_t)tl_model_classes(m) * sizeof *p) == 0, "strides", "pixels differ from the file");
    /* Grey, with alpha and without, is three equal channels. */
    for (size_t i = 0; i < pixels; i++) memset(flipped + 3 * i, rgb[3 * i], 3);
    tl_picture grey[] = {{.data = flipped, .width = w, .height = h, .channels = 3}, {.data = rgb, .width = w, .height = h, .channels = 1, .pixel_stride = 3},
                         {.data = rgb, .width = w, .height = h, .channels = 2, .pixel_stride = 3}};
    ask(d, m, "grey", NULL, grey, 3, p);
    free(bgr);
    free(planes);
    free(padded);
    free(rgba);
    free(flipped);
}

static int pictures_in_memory(tl_device *d, char **argv)
{
    tl_error err = {0};
    size_t model_bytes, file_bytes, pixel_bytes, live;
    unsigned char *model = contents(argv[1], &model_bytes), *file = contents(argv[2], &file_bytes), *rgb = contents(argv[3], &pixel_bytes);
    int w = atoi(argv[4]), h = atoi(argv[5]);
    float wanted[MOST], p[MOST];
    check(pixel_bytes == (size_t)w * (size_t)h * 3, "the test", "PIXELS has another size");
    tl_scope *s = tl_scope_open(d, &err);
    tl_model *m = tl_model_load_memory(s, "a model", model, model_bytes);
    check(m != NULL, "tl_model_load_memory", tl_scope_error(s)->text);
    if (!m) return 1;
    free(model);
    size_t row = (size_t)tl_model_classes(m) * sizeof *p;
    ask(d, m, "a file", argv[2], NULL, 1, wanted);
    ask(d, m, "its contents", NULL, &(tl_picture){.data = file, .bytes = file_bytes}, 1, p);
    check(memcmp(p, wanted, row) == 0, "its contents", "they differ from the file");
    ask(d, m, "both kinds", NULL, (tl_picture[]){{.data = rgb, .width = w, .height = h, .channels = 3}, {.data = file, .bytes = file_bytes}}, 2, p);
    check(memcmp(p, wanted, row) == 0, "both kinds", "they differ from the file");
    strides(d, m, rgb, w, h, wanted);
    refused(d, m, "data is NULL", (tl_picture){.bytes = 5});
    refused(d, m, "neither bytes", (tl_picture){.data = file});
    refused(d, m, "or pixels", (tl_picture){.data = file, .bytes = file_bytes, .channels = 3, .width = w, .height = h});
    refused(d, m, "width, height and strides", (tl_picture){.data = file, .bytes = file_bytes, .width = w});
    refused(d, m, "5 channels", (tl_picture){.data = rgb, .channels = 5, .width = w, .height = h});
    refused(d, m, "-1 channels", (tl_picture){.data = rgb, .channels = -1, .width = w, .height = h});
    refused(d, m, "0 x 3 pixels", (tl_picture){.data = rgb, .channels = 3, .height = 3});
    refused(d, m, "2147483647 x 2147483647 pixels", (tl_picture){.data = rgb, .channels = 3, .width = 2147483647, .height = 2147483647});
    refused(d, m, "is impossible", (tl_picture){.data = rgb, .channels = 3, .width = w, .height = h, .row_stride = PTRDIFF_MAX});
    refused(d, m, "no picture of a known format", (tl_picture){.name = "frame 7", .data = rgb, .bytes = pixel_bytes});
    refused(d, m, "frame 8: damaged PNG", (tl_picture){.name = "frame 8", .data = file, .bytes = file_bytes / 2});
    tl_scope *bad = tl_scope_open(d, &err);
    check(!tl_model_load_memory(bad, "half a model", file, file_bytes) && strncmp(tl_scope_error(bad)->text, "half a model: ", 14) == 0, "half a model", tl_scope_error(bad)->text);
    tl_scope_close(bad);
    tl_model_free(m);
    tl_scope_close(s);
    free(file);
    free(rgb);
    tl_device_memory(d, &live, NULL, NULL);
    tl_device_release(d);
    printf("pictures in memory: %d failed, %zu bytes left\n", failed, live);
    return failed || live;
}

int main(int argc, char **argv)
{
    tl_error err = {0};
    tl_device *d = tl_device_open(NULL, &err);
    if (!d) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    if (argc == 6) return pictures_in_memory(d, argv);
    float xs[64], ys[64], w = 0;
    for (int i = 0; i < 64; i++) {
        xs[i] = (float)i / 32 - 1;
        ys[i] = 3 * xs[i];
    }
    for (int step = 0; step < 100; step++) {
        tl_scope *s = tl_scope_open(d, &err);
        tl_tensor *x = tl_from(s, TL_F32, 1, (int64_t[]){64}, xs), *y = tl_from(s, TL_F32, 1, (int64_t[]){64}, ys);
        tl_tensor *weight = tl_full(s, TL_F32, 0, NULL, w);
        tl_require_grad(s, weight, 1);
        tl_backward(s, tl_mean(s, tl_square(s, tl_sub(s, tl_mul(s, x, weight), y)), NULL, 0, 0), NULL, 0);
        if (tl_scope_failed(s)) {
            fprintf(stderr, "%s\n", tl_scope_error(s)->text);
            return 1;
        }
        w -= 0.5f * (float)tl_item(s, tl_grad(weight));
        tl_scope_close(s);
    }
    size_t live;
    tl_device_memory(d, &live, NULL, NULL);
    tl_device_release(d);
    printf("embedding: slope %.4f, %zu bytes left\n", (double)w, live);
    return fabsf(w - 3) < 1e-3f && live == 0 ? 0 : 1;
}
