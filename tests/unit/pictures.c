/* pictures.c - WebP, TIFF, BMP and GIF, orientations, and pixels deeper than 8 bits, as Pillow has them (tests/golden/make_pictures.py). */
#include "data_files.h"
#include "data/affine.h"

#include <math.h>

#define PICTURES "tests/golden/pictures/"

static char *load(const char *name, size_t *bytes) { return golden_file(PICTURES, name, bytes); }

/* How far two rows of samples are apart: in units of 8 or 16 bits, or in floats. */
static double farthest(const void *a, const void *b, size_t n, tl_depth depth)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        uint16_t wa, wb;
        float fa, fb;
        memcpy(&wa, (const char *)a + 2 * i * (depth == TL_DEPTH_16), 2);
        memcpy(&wb, (const char *)b + 2 * i * (depth == TL_DEPTH_16), 2);
        memcpy(&fa, (const char *)a + 4 * i * (depth == TL_DEPTH_FLOAT), depth == TL_DEPTH_FLOAT ? 4 : 1);
        memcpy(&fb, (const char *)b + 4 * i * (depth == TL_DEPTH_FLOAT), depth == TL_DEPTH_FLOAT ? 4 : 1);
        double d = depth == TL_DEPTH_8 ? ((const uint8_t *)a)[i] - ((const uint8_t *)b)[i] : depth == TL_DEPTH_16 ? wa - wb : (double)(fa - fb);
        worst = fabs(d) > worst ? fabs(d) : worst;
    }
    return worst;
}

Test(pictures, decoded_as_pillow)
{
    size_t bytes;
    char *list = load("decode.txt", &bytes), *rest = list, *line, name[64], path[128];
    char *golden = load("decode.bin", &bytes);
    long offset = 0;
    int want[4], cases = 0;
    tl_image image = {0};
    while ((line = golden_line(&rest, &offset)) != NULL) {
        tl_error err = {0};
        tl_image_request request = {.deep = TL_DEEP_ALL};
        cr_assert_eq(sscanf(line, "%63s %d %d %d %d", name, &want[0], &want[1], &want[2], &want[3]), 5);
        snprintf(path, sizeof path, PICTURES "%s", name);
        cr_assert_eq(tl__image_read_as(&err, path, &request, &image), 0, "%s", err.text);
        cr_expect(image.width == want[0] && image.height == want[1] && image.channels == want[2] && (int)image.depth == want[3], "%s: %d x %d x %d, depth %d", line, image.width,
                  image.height, image.channels, (int)image.depth);
        size_t n = (size_t)want[0] * (size_t)want[1] * (size_t)want[2];
        double d = farthest(image.data, golden + offset, n, image.depth);
        cr_expect_leq(d, strstr(name, "jpeg.tif") ? 2 : 0, "%s: %g", line, d);
        cases++;
    }
    cr_assert_geq(cases, 70);
    tl__image_free(&image);
    free(list);
    free(golden);
}

Test(pictures, deep_ones_resized_as_pillow)
{
    size_t bytes;
    char *list = load("resize.txt", &bytes), *rest = list, *line, name[64], filter[16], path[128];
    char *golden = load("resize.bin", &bytes);
    long offset = 0;
    int w, h, cases = 0;
    tl_image image = {0}, out = {0};
    tl_resizer r = {0};
    while ((line = golden_line(&rest, &offset)) != NULL) {
        tl_error err = {0};
        tl_image_request request = {.deep = TL_DEEP_ALL};
        int f = 0;
        cr_assert_eq(sscanf(line, "%63s %15s %d %d", name, filter, &w, &h), 4);
        while (strcmp(tl__filter_names[f], filter) != 0) f++;
        snprintf(path, sizeof path, PICTURES "%s", name);
        cr_assert_eq(tl__image_read_as(&err, path, &request, &image), 0, "%s", err.text);
        tl_view view = tl__image_view(&image);
        cr_assert_eq(tl__resize(&err, &r, &view, NULL, (tl_filter)f, w, h, &out), 0);
        cr_assert_eq(out.depth, image.depth);
        double d = farthest(out.data, golden + offset, (size_t)w * (size_t)h, out.depth);
        cr_expect_leq(d, image.depth == TL_DEPTH_16 ? 0 : 3e-7, "%s: %g", line, d);
        cases++;
    }
    cr_assert_eq(cases, 40);
    tl__image_free(&image);
    tl__image_free(&out);
    tl__resizer_free(&r);
    free(list);
    free(golden);
}

Test(pictures, masks_are_the_numbers_of_the_file)
{
    size_t bytes;
    char *list = load("masks.txt", &bytes), *rest = list, *line, name[64], path[128];
    char *golden = load("masks.bin", &bytes);
    long offset = 0;
    int w, h;
    tl_image image = {0};
    while ((line = golden_line(&rest, &offset)) != NULL) {
        tl_error err = {0};
        tl_image_request request = {.indices = 1};
        cr_assert_eq(sscanf(line, "%63s %d %d", name, &w, &h), 3);
        snprintf(path, sizeof path, PICTURES "%s", name);
        cr_assert_eq(tl__image_read_as(&err, path, &request, &image), 0, "%s", err.text);
        cr_assert(image.channels == 1 && image.depth == TL_DEPTH_8);
        cr_expect_eq(farthest(image.data, golden + offset, (size_t)w * (size_t)h, TL_DEPTH_8), 0, "%s", line);
    }
    static const char *const none[] = {"colour.bmp", "lossless.webp", "wide_grey.tif", "wide_grey.png", "colour_raw.tif", "turned1.jpg"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        tl_error err = {0};
        tl_image_request request = {.indices = 1};
        snprintf(path, sizeof path, PICTURES "%s", none[i]);
        cr_assert_neq(tl__image_read_as(&err, path, &request, &image), 0, "%s", path);
        cr_assert_eq(strncmp(err.text, path, strlen(path)), 0, "%s", err.text);
        cr_assert(strstr(err.text, "a mask"), "%s", err.text);
    }
    tl__image_free(&image);
    free(list);
    free(golden);
}

/* What is deep becomes 8 bits where nobody asks for more. */
Test(pictures, eight_bits_unless_asked)
{
    static const char *const names[] = {"wide_grey.png", "wide_colour.png", "wide_grey.tif", "float_grey.tif", "seven.tif"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        tl_error err = {0};
        tl_image deep = {0}, plain = {0};
        tl_image_request all = {.deep = TL_DEEP_ALL}, none = {0};
        char path[128];
        snprintf(path, sizeof path, PICTURES "%s", names[i]);
        cr_assert(tl__image_read_as(&err, path, &all, &deep) == 0 && tl__image_read_as(&err, path, &none, &plain) == 0, "%s", err.text);
        cr_assert_eq(plain.depth, TL_DEPTH_8);
        int n = deep.width * deep.height * deep.channels;
        for (int k = 0; k < n; k++) {
            int v = 0;
            if (deep.depth == TL_DEPTH_16) v = ((uint16_t *)(void *)deep.data)[k] >> 8;
            else {
                float f = ((float *)(void *)deep.data)[k] * 255.0f + 0.5f;
                v = f < 0 ? 0 : f >= 255 ? 255 : (int)f;
            }
            cr_assert_eq(plain.data[k], v, "%s: %d", names[i], k);
        }
        tl__image_free(&deep);
        tl__image_free(&plain);
    }
}

/* Steps do to 16 bits and floats what they do to 8 bits. */
Test(pictures, steps_on_any_depth)
{
    static const char *const texts[] = {
        "color_jitter(brightness=[0.7, 0.7])", "color_jitter(contrast=[0.6, 0.6])", "color_jitter(saturation=[0.5, 0.5])", "random_grayscale(p=1)",
        "resize(size=13); center_crop(size=24)", "random_crop(size=30, padding=9, fill=77)", "random_crop(size=20, padding=7, mode=reflect)",
        "random_horizontal_flip(p=1); random_vertical_flip(p=1)", "random_resized_crop(size=9)", "random_rotation(degrees=[20, 20], fill=9)",
        "random_affine(degrees=[5, 5], scale=[0.6, 0.6], interpolation=bilinear)", "normalize(mean=0.3, std=0.2)", "to_channels(channels=1)", "random_erasing(p=1, value=0.5)",
    };
    tl_scratch scratch = {0};
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        tl_pipeline *p = pipeline(texts[k]);
        float *values[3] = {NULL};
        int hwc[3] = {0};
        for (int depth = 0; depth < 3; depth++) {
            tl_error err = {0};
            tl_image image = {0};
            tl_image_request request = {.channels = 3};
            cr_assert_eq(tl__image_read_as(&err, PICTURES "colour_raw.tif", &request, &image), 0, "%s", err.text);
            tl_image deep = {0};
            int n = image.width * image.height * 3;
            cr_assert_eq(tl__image_reserve_deep(&err, &deep, image.width, image.height, 3, (tl_depth)depth), 0);
            for (int i = 0; i < n; i++) {
                if (depth == 0) deep.data[i] = image.data[i];
                if (depth == 1) ((uint16_t *)(void *)deep.data)[i] = (uint16_t)(image.data[i] * 257);
                if (depth == 2) ((float *)(void *)deep.data)[i] = (float)image.data[i] / 255.0f;
            }
            hwc[0] = image.height, hwc[1] = image.width, hwc[2] = 3;
            tl__pipeline_shape(p, hwc);
            values[depth] = malloc(sizeof(float) * (size_t)(hwc[0] * hwc[1] * hwc[2]));
            cr_assert_eq(tl__pipeline_run(&err, p, &scratch, &(tl_draw_key){3, 1, 4}, &deep, hwc, values[depth]), 0, "%s: %s", texts[k], err.text);
            tl__image_free(&image);
            tl__image_free(&deep);
        }
        for (int i = 0; i < hwc[0] * hwc[1] * hwc[2]; i++) {
            double scale = strstr(texts[k], "std") ? 5 : 1, d = fabs((double)(values[0][i] - values[2][i])), e = fabs((double)(values[1][i] - values[2][i]));
            cr_assert_lt(d, scale * 2.01 / 255, "%s: %d: %g", texts[k], i, d);
            cr_assert_lt(e, scale * 3 / 65535, "%s: %d: %g", texts[k], i, e);
        }
        for (int depth = 0; depth < 3; depth++) free(values[depth]);
        tl__pipeline_free(p);
    }
    tl__scratch_free(&scratch);
}

/* Floats against torchvision's on float tensors, and 16 bits against floats. */
Test(pictures, deep_colours_as_torchvision)
{
    size_t bytes;
    char *list = load("colour.txt", &bytes), *rest = list, *line;
    char *golden = load("colour.bin", &bytes);
    long offset = 0;
    int cases = 0;
    tl_scratch scratch = {0};
    while ((line = golden_line(&rest, &offset)) != NULL) {
        tl_pipeline *p = pipeline(line);
        for (int k = 0; k < 2; k++) {
            tl_error err = {0};
            tl_image image = {0};
            tl_image_request request = {.deep = TL_DEEP_ALL};
            float out[19 * 27 * 3], want;
            cr_assert_eq(tl__image_read_as(&err, k ? PICTURES "wide_colour.tif" : PICTURES "unit_colour.tif", &request, &image), 0, "%s", err.text);
            cr_assert_eq(tl__pipeline_run(&err, p, &scratch, &(tl_draw_key){0}, &image, (int[]){19, 27, 3}, out), 0, "%s", err.text);
            for (size_t i = 0; i < 19 * 27 * 3; i++) {
                memcpy(&want, golden + offset + 4 * i, 4);
                float got = out[i] < 0 ? 0 : out[i] > 1 ? 1 : out[i]; /* it cuts floats too */
                cr_assert_float_eq(got, want, 2.5e-4, "%s: %zu: %g, not %g", line, i, (double)got, (double)want);
            }
            tl__image_free(&image);
        }
        tl__pipeline_free(p);
        cases++;
    }
    cr_assert_eq(cases, 7);
    tl__scratch_free(&scratch);
    free(list);
    free(golden);
}

Test(pictures, steps_for_bytes_alone)
{
    static const char *const texts[] = {"rand_augment()", "augment_operation(name=equalize)"};
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        tl_pipeline *p = pipeline(texts[k]);
        tl_image_request request;
        tl_image image = {0};
        tl_scratch scratch = {0};
        tl_error err = {0};
        float out[4 * 4 * 5];
        tl__pipeline_request(p, &request);
        cr_assert_eq(request.deep, TL_DEEP_FLOATS); /* files of 16 bits are read as 8, so that the step can work */
        cr_assert_eq(tl__image_reserve(&err, &image, 4, 4, 5), 0);
        memset(image.data, 0, 80);
        cr_assert_neq(tl__pipeline_run(&err, p, &scratch, &(tl_draw_key){0}, &image, (int[]){4, 4, 5}, out), 0);
        expect_error(err, "is for pictures of 8 bits with 1 or 3 channels, and this has 5 of 8 bits; leave that step out");
        tl__image_free(&image);
        tl__scratch_free(&scratch);
        tl__pipeline_free(p);
    }
}

static void refuse(const char *name, const void *data, size_t bytes)
{
    tl_error err = {0};
    tl_image image = {0};
    tl_image_request request = {.channels = 3};
    cr_assert_neq(tl__image_decode(&err, name, data, bytes, &request, &image), 0, "%s of %zu bytes was taken", name, bytes);
    cr_assert_eq(strncmp(err.text, name, strlen(name)), 0, "%s", err.text);
    cr_assert_null(strchr(err.text, '\n'));
    tl__image_free(&image);
}

Test(pictures, every_cut_is_noticed)
{
    static const char *const names[] = {"lossy.webp", "lossless.webp", "colour.bmp", "runs8.bmp", "four_bits.bmp", "palette.gif", "interlaced.gif", "colour_tiff_lzw.tif", "tiles.tif", "jpeg.tif"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t bytes;
        char *data = load(names[i], &bytes);
        /* A GIF's end mark, a bitmap's end and padding of its last row, and where a TIFF's next picture is, tell nothing more. */
        size_t most = strstr(names[i], ".gif") ? bytes - 2 : strstr(names[i], ".webp") ? bytes : bytes - 4;
        for (size_t n = 0; n < most; n += n < 64 || n + 64 > most ? 1 : 7) {
            char *exact = malloc(n ? n : 1);
            memcpy(exact, data, n);
            refuse(names[i], exact, n);
            free(exact);
        }
        free(data);
    }
}

Test(pictures, damage_is_an_error_or_a_picture)
{
    static const char *const names[] = {"lossy.webp", "animated.webp", "runs4.bmp", "masked.bmp", "animated.gif", "jpeg.tif", "tiled_planes.tif", "one_bit.tif", "turned6.tif", "xmp.jpg"};
    tl_rng_key key = tl__rng_key(1, 100, 0);
    uint64_t draw = 0;
    setenv("TLUA_MAX_PIXELS", "100000", 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t bytes;
        char *data = load(names[i], &bytes);
        for (int t = 0; t < 300; t++) {
            char *copy = malloc(bytes);
            memcpy(copy, data, bytes);
            size_t at = tl__rng_below(key, draw++, t % 2 && bytes > 100 ? 100 : bytes);
            copy[at] = (char)tl__rng_below(key, draw++, 256);
            tl_error err = {0};
            tl_image image = {0};
            tl_image_request request = {.channels = t % 3, .indices = t % 5 == 0, .deep = t % 3};
            request.channels = request.channels == 2 ? 3 : request.channels;
            int status = tl__image_decode(&err, "x", copy, bytes, &request, &image);
            cr_assert_eq(status != 0, err.code != 0);
            cr_assert_null(strchr(err.text, '\n'));
            tl__image_free(&image);
            free(copy);
        }
        free(data);
    }
}

/* Each allocation of our own fails once. */
Test(pictures, survive_a_lack_of_memory)
{
    static const char *const names[] = {"animated.webp", "palette.bmp", "palette.gif", "palette.tif", "tiles.tif", "turned6.png", "turned6.jpg", "wide_colour.png"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t bytes;
        char *data = load(names[i], &bytes);
        for (long n = 1;; n++) {
            tl_error err = {0};
            tl_image image = {0};
            tl_image_request request = {.deep = TL_DEEP_ALL};
            tl__inject_failure(n);
            int status = tl__image_decode(&err, "x", data, bytes, &request, &image);
            tl__inject_failure(0);
            tl__image_free(&image);
            if (status == 0) break;
            cr_assert_eq(err.code, TL_EMEMORY, "%s: %s", names[i], err.text);
        }
        free(data);
    }
}
