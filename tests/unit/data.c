/* data.c - transforms are torchvision's, and their draws depend on seed, epoch and index alone. */
#include "base/near.h"
#include "data_files.h"

#include <math.h>

/* ---- near misses ---- */

Test(near, names_what_was_meant)
{
    static const char *const names[] = {"bilinear", "bicubic", "size", "std", NULL};
    char hint[64];
    cr_assert_str_eq(tl__near_miss("bilnear", names), "bilinear");
    cr_assert_str_eq(tl__near_miss("szie", names), "size");
    cr_assert_str_eq(tl__near_miss("Size", names), "size");
    cr_assert_null(tl__near_miss("momentum", names));
    cr_assert_null(tl__near_miss("", names));
    cr_assert_eq(tl__edit_distance("abcd", "acbd"), 1);
    cr_assert_eq(tl__edit_distance("", "abc"), 3);
    cr_assert_eq(tl__edit_distance("kitten", "sitting"), 3);
    cr_assert_str_eq(tl__did_you_mean("stf", names, hint, sizeof hint), "; did you mean \"std\"?");
    cr_assert_str_eq(tl__did_you_mean("rotation", names, hint, sizeof hint), "");
}

/* ---- transforms ---- */

static const tl_draw_key first_draw = {7, 0, 0};

Test(transform, as_torchvision)
{
    size_t bytes;
    char *list = golden_load("pipeline.txt", &bytes), *rest = list, *line, name[64], path[128];
    char *golden = golden_load("pipeline.bin", &bytes);
    int cases = 0, hwc[3], at;
    double worst = 0;
    long offset = 0;
    tl_scratch scratch = {0};
    tl_image image = {0};
    while ((line = golden_line(&rest, &offset)) != NULL) {
        tl_error err = {0};
        cr_assert_eq(sscanf(line, "%63s %d %d %d %n", name, &hwc[0], &hwc[1], &hwc[2], &at), 4);
        tl_pipeline *p = pipeline(line + at);
        snprintf(path, sizeof path, GOLDEN "%s", name);
        cr_assert_eq(tl__image_read(&err, path, 0, &image), 0);
        int shape[3] = {image.height, image.width, image.channels};
        tl__pipeline_shape(p, shape);
        cr_assert(memcmp(shape, hwc, sizeof shape) == 0, "%s: %d x %d x %d", line, shape[0], shape[1], shape[2]);
        size_t n = (size_t)hwc[0] * (size_t)hwc[1] * (size_t)hwc[2];
        float *x = malloc(n * sizeof *x);
        cr_assert_eq(tl__pipeline_run(&err, p, &scratch, &first_draw, &image, hwc, x), 0, "%s", err.text);
        for (size_t i = 0; i < n; i++) {
            float g;
            memcpy(&g, golden + offset + i * sizeof g, sizeof g);
            double d = fabs((double)x[i] - (double)g);
            worst = d > worst ? d : worst;
        }
        cr_expect_lt(worst, 1e-6, "%s: %g", line, worst);
        free(x);
        tl__pipeline_free(p);
        cases++;
    }
    cr_assert_geq(cases, 14);
    fprintf(stderr, "%d pipelines, largest difference %g\n", cases, worst);
    tl__image_free(&image);
    tl__scratch_free(&scratch);
    free(list);
    free(golden);
}

Test(transform, resize_rounds_as_torchvision)
{
    size_t bytes;
    char *list = golden_load("sizes.txt", &bytes), *rest = list, *line, text[64];
    int w, h, size, ow, oh, cases = 0;
    long unused;
    while ((line = golden_line(&rest, &unused)) != NULL) {
        cr_assert_eq(sscanf(line, "%d %d %d %d %d", &w, &h, &size, &ow, &oh), 5);
        snprintf(text, sizeof text, "resize(size=%d)", size);
        tl_pipeline *p = pipeline(text);
        int hwc[3] = {h, w, 3};
        tl__pipeline_shape(p, hwc);
        cr_expect(hwc[0] == oh && hwc[1] == ow, "%s: %d x %d", line, hwc[1], hwc[0]);
        tl__pipeline_free(p);
        cases++;
    }
    cr_assert_eq(cases, 9);
    free(list);
}

Test(transform, text_is_canonical)
{
    static const struct { const char *in, *out; } cases[] = {
        {"", ""},
        {"resize(size=256)", "resize(size=256, interpolation=bilinear)"},
        {" center_crop ( size = [224,200] ) ; normalize(std=[0.229, 0.224, 0.225], mean=[0.485,0.456,0.406]);",
         "center_crop(size=[224, 200]); normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])"},
        {"random_resized_crop(size=8)", "random_resized_crop(size=8, scale=[0.08, 1], ratio=[0.75, 1.3333333333333333], interpolation=bilinear)"},
        {"random_horizontal_flip()", "random_horizontal_flip(p=0.5)"},
        {"decode(gap=2); random_crop(size=32, padding=4, mode=reflect)",
         "decode(gap=2); random_crop(size=32, padding=4, fill=0, mode=reflect, pad_if_needed=0)"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_error err = {0};
        tl_pipeline *p = pipeline(cases[i].in);
        char *text = tl__pipeline_text(&err, p);
        cr_assert_str_eq(text, cases[i].out);
        tl_pipeline *again = pipeline(text);
        char *same = tl__pipeline_text(&err, again);
        cr_assert_str_eq(same, text);
        tl__pipeline_free(p);
        tl__pipeline_free(again);
        free(text);
        free(same);
    }
}

Test(transform, errors_name_the_cause)
{
    static const struct { const char *text, *part; } cases[] = {
        {"centre_crop(size=2)", "unknown transform \"centre_crop\"; did you mean \"center_crop\"?"},
        {"xyz()", "unknown transform \"xyz\""},
        {"resize(sise=2)", "resize takes no \"sise\"; did you mean \"size\"?"},
        {"resize(colour=2)", "resize takes no \"colour\" (it takes size, interpolation)"},
        {"resize(size=2, interpolation=bilnear)", "interpolation cannot be \"bilnear\" (nearest, box, bilinear, bicubic, lanczos); did you mean \"bilinear\"?"},
        {"resize(size=2, interpolation=3)", "interpolation is a name, not a number"},
        {"resize(size=big)", "size is a number, not \"big\""},
        {"resize(size=0)", "size is 0, and must lie between 1 and 16384"},
        {"resize(size=2.5)", "size is 2.5, and must be a whole number"},
        {"resize(size=[1, 2, 3])", "size takes 1 to 2 numbers, not 3"},
        {"resize()", "resize: size must be given"},
        {"random_resized_crop(size=4, scale=0.5)", "scale takes 2 numbers, not 1"},
        {"random_resized_crop(size=4, scale=[0.5, 0.1])", "scale goes from 0.5 down to 0.1"},
        {"random_horizontal_flip(p=1.5)", "p is 1.5, and must lie between 0 and 1"},
        {"random_affine(degrees=[3, 1])", "degrees goes from 3 down to 1"},
        {"random_affine(degrees=3)", "degrees takes 2 numbers, not 1"},
        {"random_affine(shear=[0, 1, 2])", "shear takes 2 numbers or 4, not 3"},
        {"random_affine(translate=[0.1, -0.1])", "translate is -0.1; two numbers go both ways"},
        {"random_affine(translate=[0, 0, 0.2, 0.1])", "translate goes from 0.2 down to 0.1"},
        {"random_affine(interpolation=bicubic)", "interpolation cannot be \"bicubic\" (nearest, bilinear)"},
        {"color_jitter(hue=[0, 0.6])", "hue is 0.6, and must lie between -0.5 and 0.5"},
        {"color_jitter(brightness=[1.5, 1])", "brightness goes from 1.5 down to 1"},
        {"rand_augment(magnitude=31)", "magnitude is 31, and must be below 31 (bins)"},
        {"augment_operation(magnitude=3)", "augment_operation: name must be given"},
        {"random_erasing(p=1); normalize(mean=0, std=1)", "normalize cannot stand behind random_erasing"},
        {"random_erasing(scale=[0.5, 0.1])", "scale goes from 0.5 down to 0.1"},
        {"to_channels(channels=2)", "channels is 2, and must be 1 or 3"},
        {"normalize(mean=[0, 0, 0], std=1)", "3 numbers in mean and 1 in std"},
        {"normalize(mean=0, std=0)", "std is 0"},
        {"normalize(mean=0, std=1); resize(size=2)", "resize cannot stand behind normalize"},
        {"normalize(mean=0, std=1); normalize(mean=0, std=1)", "normalize cannot stand behind normalize"},
        {"resize(size=2); decode(gap=1)", "decode cannot stand behind resize"},
        {"resize(size=2", "')' expected"},
        {"resize size=2)", "'(' expected"},
        {"resize(size=[1,)", "a number expected"},
        {"resize(size=[1,2,3,4,5])", "size takes 1 to 2 numbers, not 5"},
        {"resize(size=2) center_crop(size=2)", "';' expected"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_error err = {0};
        cr_assert_null(tl__pipeline_parse(&err, cases[i].text), "%s", cases[i].text);
        expect_error(err, cases[i].part);
    }
}

Test(transform, set_by_key)
{
    tl_error err = {0};
    tl_pipeline *p = tl__pipeline_new(&err);
    tl_transform *t = tl__transform_new(&err, "resize");
    cr_assert_eq(tl__transform_set_number(&err, t, "size", 12), 0);
    cr_assert_eq(tl__transform_set_text(&err, t, "interpolation", "bicubic"), 0);
    cr_assert_eq(tl__pipeline_add(&err, p, t), 0);
    t = tl__transform_new(&err, "normalize");
    cr_assert_eq(tl__transform_set_numbers(&err, t, "mean", (double[]){0.5, 0.4, 0.3}, 3), 0);
    cr_assert_neq(tl__pipeline_add(&err, p, t), 0);
    expect_error(err, "normalize: std must be given");
    char *text = tl__pipeline_text(&err, p);
    cr_assert_str_eq(text, "resize(size=12, interpolation=bicubic)");
    free(text);
    tl__pipeline_free(p);
}

Test(transform, what_cannot_be_done_is_said)
{
    static const struct { const char *name, *text, *part; } cases[] = {
        {"grey.png", "normalize(mean=[0, 0, 0], std=[1, 1, 1])", "3 means for a picture of 1 channel; put to_channels { channels = 3 } before it"},
        {"colour.png", "random_crop(size=48)", "a picture of 47 x 61 (height x width, padded) is smaller than 48 x 48"},
        {"one.png", "resize(size=16384)", "resize: 16384 x 16384 pixels"}};
    tl_scratch scratch = {0};
    tl_image image = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_error err = {0};
        char path[128];
        tl_pipeline *p = pipeline(cases[i].text);
        snprintf(path, sizeof path, GOLDEN "%s", cases[i].name);
        cr_assert_eq(tl__image_read(&err, path, 0, &image), 0);
        int hwc[3] = {image.height, image.width, image.channels};
        float *x = malloc(sizeof *x * 3 * 61 * 47);
        cr_assert_neq(tl__pipeline_run(&err, p, &scratch, &first_draw, &image, hwc, x), 0);
        expect_error(err, cases[i].part);
        free(x);
        tl__pipeline_free(p);
    }
    tl__image_free(&image);
    tl__scratch_free(&scratch);
}

/* A picture of the pipeline for these draws, as bytes. */
static tl_image drawn(const tl_pipeline *p, const char *name, uint64_t seed, uint64_t epoch, uint64_t index)
{
    tl_error err = {0};
    tl_scratch scratch = {0};
    tl_image image = {0};
    char path[128];
    tl_draw_key who = {seed, epoch, index};
    snprintf(path, sizeof path, GOLDEN "%s", name);
    cr_assert_eq(tl__image_read(&err, path, 0, &image), 0);
    cr_assert_eq(tl__pipeline_run_bytes(&err, p, &scratch, &who, &image), 0, "%s", err.text);
    tl__scratch_free(&scratch);
    return image;
}

static int same_picture(tl_image a, tl_image b)
{
    int same = a.width == b.width && a.height == b.height && a.channels == b.channels &&
               memcmp(a.data, b.data, (size_t)(a.width * a.height * a.channels)) == 0;
    tl__image_free(&a);
    tl__image_free(&b);
    return same;
}

Test(transform, draws_depend_on_seed_epoch_and_index)
{
    tl_pipeline *p = pipeline("random_resized_crop(size=20); random_horizontal_flip()"), *fixed = pipeline("resize(size=9)");
    cr_assert(tl__pipeline_is_random(p) && !tl__pipeline_is_random(fixed));
    cr_assert(same_picture(drawn(p, "colour.png", 1, 2, 3), drawn(p, "colour.png", 1, 2, 3)));
    cr_assert(!same_picture(drawn(p, "colour.png", 1, 2, 3), drawn(p, "colour.png", 2, 2, 3)));
    cr_assert(!same_picture(drawn(p, "colour.png", 1, 2, 3), drawn(p, "colour.png", 1, 3, 3)));
    cr_assert(!same_picture(drawn(p, "colour.png", 1, 2, 3), drawn(p, "colour.png", 1, 2, 4)));
    /* A step behind others leaves their draws alone. */
    tl_pipeline *crop = pipeline("random_resized_crop(size=20)"), *both = pipeline("random_resized_crop(size=20); random_vertical_flip(p=0)");
    cr_assert(same_picture(drawn(crop, "colour.png", 5, 0, 9), drawn(both, "colour.png", 5, 0, 9)));
    tl__pipeline_free(p);
    tl__pipeline_free(fixed);
    tl__pipeline_free(crop);
    tl__pipeline_free(both);
}

Test(transform, draws_are_spread)
{
    /* A crop to one pixel of a ramp tells where it was; a flip of the ramp tells whether it happened. */
    tl_pipeline *crop = pipeline("random_crop(size=1)"), *flip = pipeline("random_horizontal_flip()");
    tl_error err = {0};
    tl_scratch scratch = {0};
    int seen[10] = {0}, flipped = 0;
    for (uint64_t i = 0; i < 2000; i++) {
        tl_draw_key who = {3, 1, i};
        tl_image a = {0};
        for (int pass = 0; pass < 2; pass++) {
            cr_assert_eq(tl__image_reserve(&err, &a, 10, 1, 1), 0);
            for (int x = 0; x < 10; x++) a.data[x] = (uint8_t)x;
            cr_assert_eq(tl__pipeline_run_bytes(&err, pass ? flip : crop, &scratch, &who, &a), 0);
            if (pass)
                flipped += a.data[0] == 9;
            else
                seen[a.data[0]]++;
        }
        tl__image_free(&a);
    }
    cr_assert(flipped > 900 && flipped < 1100, "%d of 2000 flipped", flipped);
    for (int x = 0; x < 10; x++) cr_assert(seen[x] > 140 && seen[x] < 260, "%d at %d", seen[x], x);
    tl__scratch_free(&scratch);
    tl__pipeline_free(crop);
    tl__pipeline_free(flip);
}

Test(transform, tiny_pictures_survive)
{
    static const char *const texts[] = {"resize(size=7)", "resize(size=[3, 9], interpolation=lanczos)", "center_crop(size=5)", "random_resized_crop(size=6)",
                                        "random_crop(size=3, padding=2, mode=reflect)", "random_crop(size=4, pad_if_needed=1)",
                                        "random_resized_crop(size=2, ratio=[5, 9])", "random_vertical_flip(p=1); random_horizontal_flip(p=1)",
                                        "to_channels(channels=1); resize(size=1, interpolation=nearest)",
                                        "random_rotation(degrees=[-50, 50]); random_affine(translate=[0.5, 0.5], scale=[0.5, 2], interpolation=bilinear)",
                                        "rand_augment(operations=14, magnitude=30)", "color_jitter(brightness=[0, 2], hue=[-0.5, 0.5]); random_grayscale(p=1)"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        tl_pipeline *p = pipeline(texts[i]);
        for (uint64_t k = 0; k < 20; k++) {
            tl_image image = drawn(p, "one.png", 1, 0, k);
            cr_assert(image.width >= 1 && image.width <= 9);
            tl__image_free(&image);
        }
        tl__pipeline_free(p);
    }
}

Test(transform, picture_for_people)
{
    tl_pipeline *p = pipeline("to_channels(channels=3); normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])");
    tl_error err = {0};
    tl_scratch scratch = {0};
    tl_image image = {0}, back = {0};
    int hwc[3] = {47, 61, 3};
    float *x = malloc(sizeof *x * 47 * 61 * 3);
    cr_assert_eq(tl__image_read(&err, GOLDEN "colour.png", 3, &image), 0);
    cr_assert_eq(tl__pipeline_run(&err, p, &scratch, &first_draw, &image, hwc, x), 0);
    cr_assert_eq(tl__pipeline_picture(&err, p, x, hwc, &back), 0);
    cr_assert(same_picture(image, back));
    free(x);
    tl__scratch_free(&scratch);
    tl__pipeline_free(p);
}

Test(transform, reduced_decoding_is_asked_for)
{
    static const struct { const char *text; int side; } cases[] = {{"resize(size=100)", 0}, {"decode(gap=2); resize(size=100)", 200},
        {"decode(gap=1.5); resize(size=[10, 20])", 30}, {"decode(gap=2); center_crop(size=9)", 0}, {"decode(gap=1); random_resized_crop(size=10, scale=[0.25, 1])", 20}, {"decode()", 0},
        {"decode(gap=2); to_channels(channels=3); resize(size=100)", 200}, {"decode(gap=2); to_channels(channels=3)", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_pipeline *p = pipeline(cases[i].text);
        tl_image_request request;
        tl__pipeline_request(p, &request);
        cr_assert_eq(request.smallest_side, cases[i].side, "%s: %d", cases[i].text, request.smallest_side);
        tl__pipeline_free(p);
    }
}
