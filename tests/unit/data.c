/* data.c - transforms are torchvision's, sources say what is wrong with their files, and the loader gives
 * the same batches whatever the number of threads. */
#include "base/near.h"
#include "data/loader.h"

#include "data_files.h"

#include <math.h>
#include <pthread.h>
#include <zlib.h>

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

static tl_pipeline *pipeline(const char *text)
{
    tl_error err = {0};
    tl_pipeline *p = tl__pipeline_parse(&err, text);
    cr_assert(p, "%s", err.text);
    return p;
}

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
    cr_log_warn("%d pipelines, largest difference %g", cases, worst);
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
        {"to_channels(channels=2)", "channels is 2, and must be 1 or 3"},
        {"normalize(mean=[0, 0, 0], std=1)", "3 numbers in mean and 1 in std"},
        {"normalize(mean=[0, 0], std=[1, 1])", "1 number or 3"},
        {"normalize(mean=0, std=0)", "std is 0"},
        {"normalize(mean=0, std=1); resize(size=2)", "resize cannot stand behind normalize"},
        {"normalize(mean=0, std=1); normalize(mean=0, std=1)", "normalize cannot stand behind normalize"},
        {"resize(size=2); decode(gap=1)", "decode cannot stand behind resize"},
        {"resize(size=2", "')' expected"},
        {"resize size=2)", "'(' expected"},
        {"resize(size=[1,)", "a number expected"},
        {"resize(size=[1,2,3,4,5])", "a number expected"},
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
                                        "to_channels(channels=1); resize(size=1, interpolation=nearest)"};
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
        {"decode(gap=1.5); resize(size=[10, 20])", 30}, {"decode(gap=2); center_crop(size=9)", 0}, {"decode(gap=1); random_resized_crop(size=10, scale=[0.25, 1])", 20}, {"decode()", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_pipeline *p = pipeline(cases[i].text);
        tl_image_request request;
        tl__pipeline_request(p, &request);
        cr_assert_eq(request.smallest_side, cases[i].side, "%s: %d", cases[i].text, request.smallest_side);
        tl__pipeline_free(p);
    }
}

/* ---- sources ---- */

static tl_source *open_source(tl_error *err, const char *kind, const char *root, tl_source_options o) { return tl__source_open(err, kind, root, &o); }

static void refuse(const char *kind, const char *root, tl_source_options o, const char *part)
{
    tl_error err = {0};
    cr_assert_null(tl__source_open(&err, kind, root, &o), "expected: %s", part);
    expect_error(err, part);
}

/* A CIFAR file of `n` records; picture i has the label i % classes and the pixels i + plane. */
static void put_cifar(const char *folder, const char *name, int n, int labels, int classes)
{
    size_t record = (size_t)labels + 3072;
    uint8_t *data = calloc((size_t)n, record);
    for (int i = 0; i < n; i++) {
        uint8_t *r = data + (size_t)i * record;
        r[labels - 1] = (uint8_t)(i % classes);
        for (int k = 0; k < 3072; k++) r[labels + k] = (uint8_t)(i + 50 * (k / 1024) + k % 1024 % 32);
    }
    put(folder, name, data, (size_t)n * record);
    free(data);
}

Test(source, cifar)
{
    char *root = temporary_folder(), name[64];
    tl_error err = {0};
    for (int i = 1; i <= 5; i++) {
        snprintf(name, sizeof name, "cifar-10-batches-bin/data_batch_%d.bin", i);
        put_cifar(root, name, 20 + i, 1, 10);
    }
    refuse("cifar10", root, (tl_source_options){.part = "test"}, "no test part (test_batch.bin)");
    put_cifar(root, "cifar-10-batches-bin/test_batch.bin", 7, 1, 10);
    tl_source *s = open_source(&err, "cifar10", root, (tl_source_options){0});
    cr_assert(s, "%s", err.text);
    cr_assert(s->count == 115 && s->class_count == 10 && s->height == 32 && s->channels == 3);
    cr_assert_str_eq(s->class_name[9], "truck");
    cr_assert(s->label[0] == 0 && s->label[21] == 0 && s->label[24] == 3 && s->label[114] == 4);
    tl_image image = {0};
    tl_image_request any = {0}, grey = {.channels = 1};
    cr_assert_eq(tl__source_read(&err, s, 24, &any, &image), 0); /* the fourth of the second file */
    cr_assert(image.data[0] == 3 && image.data[1] == 53 && image.data[2] == 103 && image.data[3] == 4);
    cr_assert_eq(tl__source_read(&err, s, 24, &grey, &image), 0);
    cr_assert_eq(image.channels, 1);
    cr_assert_neq(tl__source_read(&err, s, 115, &any, &image), 0);
    expect_error(err, "picture 115 of a source of 115");
    char *who = tl__source_name(&err, s, 24), *identity = tl__source_identity(&err, s, 24);
    cr_assert(strstr(who, "data_batch_2.bin#3") && strncmp(identity, who, strlen(who)) == 0 && strlen(identity) > strlen(who) + 10);
    free(who);
    free(identity);
    tl__source_free(s);
    s = open_source(&err, "cifar10", root, (tl_source_options){.part = "test"});
    cr_assert_eq(s->count, 7);
    tl__source_free(s);
    tl__image_free(&image);
    remove_folder(root);
}

Test(source, cifar_names_and_hundred)
{
    char *root = temporary_folder();
    tl_error err = {0};
    put_cifar(root, "train.bin", 205, 2, 100);
    put_cifar(root, "test.bin", 3, 2, 100);
    tl_source *s = open_source(&err, "cifar100", root, (tl_source_options){0});
    cr_assert(s, "%s", err.text);
    cr_assert(s->count == 205 && s->class_count == 100 && s->label[101] == 1);
    cr_assert_str_eq(s->class_name[0], "apple");
    cr_assert_str_eq(s->class_name[99], "worm");
    tl__source_free(s);
    put(root, "fine_label_names.txt", "one\ntwo\n", 8);
    refuse("cifar100", root, (tl_source_options){0}, "fine_label_names.txt: 2 class names; CIFAR-100 has 100");
    /* CIFAR-10's own list of names wins over the built-in one. */
    put_cifar(root, "data_batch_1.bin", 12, 1, 10);
    put(root, "batches.meta.txt", "A\r\nB\r\nC\r\nD\r\nE\r\nF\r\nG\r\nH\r\nI\r\nJ\r\n\r\n", 32);
    s = open_source(&err, "cifar10", root, (tl_source_options){.limit = 10});
    cr_assert(s, "%s", err.text); /* files behind the limit are not needed */
    cr_assert_eq(s->count, 10);
    cr_assert_str_eq(s->class_name[9], "J");
    tl__source_free(s);
    refuse("cifar10", root, (tl_source_options){.limit = 13}, "data_batch_2.bin: cannot be opened");
    remove_folder(root);
}

Test(source, cifar_errors)
{
    char *root = temporary_folder();
    refuse("cifar10", "no/such/folder", (tl_source_options){0}, "no/such/folder: no such folder");
    refuse("cifar10", root, (tl_source_options){0}, "no CIFAR-10 in binary form (data_batch_1.bin) here or in cifar-10-batches-bin");
    put(root, "cifar-10-batches-py/data_batch_1", "x", 1);
    refuse("cifar10", root, (tl_source_options){0}, "there is the Python form, which is not read");
    put_cifar(root, "test_batch.bin", 3, 1, 10);
    refuse("cifar10", root, (tl_source_options){0}, "no training part (data_batch_1.bin)");
    put(root, "test_batch.bin", "short", 5);
    refuse("cifar10", root, (tl_source_options){.part = "test"}, "test_batch.bin: 5 bytes are not a whole number of CIFAR-10 records of 3073 bytes");
    put_cifar(root, "test_batch.bin", 12, 1, 12);
    refuse("cifar10", root, (tl_source_options){.part = "test"}, "test_batch.bin: picture 10 has the label 10; CIFAR-10 has 0 to 9");
    refuse("cifar", root, (tl_source_options){0}, "unknown kind of data \"cifar\"; did you mean \"cifar10\"?");
    refuse("cifar10", root, (tl_source_options){.part = "dev"}, "unknown part \"dev\" (train, test)");
    refuse("cifar10", root, (tl_source_options){.split = 1}, "split is 1");
    refuse("cifar10", root, (tl_source_options){.limit = -1}, "limit is -1");
    remove_folder(root);
}

/* An IDX file; header words as given, then `n` bytes of `value(i)`. */
static void put_idx(const char *folder, const char *name, int compressed, const uint32_t *header, int words, const uint8_t *data, size_t n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s%s", folder, name, compressed ? ".gz" : "");
    gzFile f = gzopen(path, compressed ? "wb" : "wbT"); /* T: as it is */
    for (int i = 0; i < words; i++) {
        uint8_t b[4] = {(uint8_t)(header[i] >> 24), (uint8_t)(header[i] >> 16), (uint8_t)(header[i] >> 8), (uint8_t)header[i]};
        gzwrite(f, b, 4);
    }
    if (n) gzwrite(f, data, (unsigned)n);
    gzclose(f);
}

static const char *const train_x = "train-images-idx3-ubyte", *const train_y = "train-labels-idx1-ubyte";

Test(source, idx)
{
    for (int compressed = 0; compressed < 2; compressed++) {
        char *root = temporary_folder();
        tl_error err = {0};
        uint8_t pixels[5 * 6], labels[5] = {3, 1, 4, 1, 9};
        for (int i = 0; i < 30; i++) pixels[i] = (uint8_t)(i * 8);
        put_idx(root, train_x, compressed, (uint32_t[]){0x803, 5, 2, 3}, 4, pixels, 30);
        put_idx(root, train_y, compressed, (uint32_t[]){0x801, 5}, 2, labels, 5);
        tl_source *s = open_source(&err, "fashion_mnist", root, (tl_source_options){0});
        cr_assert(s, "%s", err.text);
        cr_assert(s->count == 5 && s->height == 2 && s->width == 3 && s->channels == 1 && s->label[2] == 4);
        cr_assert_str_eq(s->class_name[9], "Ankle boot");
        tl_image image = {0};
        tl_image_request any = {0}, colour = {.channels = 3};
        cr_assert_eq(tl__source_read(&err, s, 4, &any, &image), 0);
        cr_assert(image.width == 3 && image.height == 2 && image.channels == 1 && image.data[1] == 200);
        cr_assert_eq(tl__source_read(&err, s, 4, &colour, &image), 0);
        cr_assert(image.channels == 3 && image.data[3] == 200 && image.data[5] == 200);
        tl__source_free(s);
        s = open_source(&err, "mnist", root, (tl_source_options){.limit = 2});
        cr_assert(s && s->count == 2);
        cr_assert_str_eq(s->class_name[7], "7");
        tl__source_free(s);
        tl__image_free(&image);
        refuse("mnist", root, (tl_source_options){.part = "test"}, "no test part (t10k-images-idx3-ubyte)");
        remove_folder(root);
    }
}

Test(source, idx_errors)
{
    static const uint8_t data[64] = {0};
    uint8_t wrong[4] = {0, 1, 10, 2};
    for (int gz = 0; gz < 2; gz++) {
        char *root = temporary_folder();
        tl_source_options o = {0};
        refuse("mnist", root, o, "no training part (train-images-idx3-ubyte)");
        put_idx(root, train_x, gz, (uint32_t[]){0x803, 4, 2, 2}, 4, data, 16);
        refuse("mnist", root, o, "no training part (train-labels-idx1-ubyte)");
        put_idx(root, train_y, gz, (uint32_t[]){0x801, 3}, 2, data, 3);
        refuse("mnist", root, o, "3 labels for 4 pictures");
        put_idx(root, train_y, gz, (uint32_t[]){0x801, 4}, 2, wrong, 4);
        refuse("mnist", root, o, "picture 2 has the label 10; there are 0 to 9");
        put_idx(root, train_y, gz, (uint32_t[]){0x803, 4}, 2, data, 4);
        refuse("mnist", root, o, "not an IDX file of bytes with 1 dimension (it starts with 00 00 08 03)");
        put_idx(root, train_y, gz, (uint32_t[]){0x801, 4}, 2, data, 3);
        refuse("mnist", root, o, gz ? "it is cut short" : "claims 12 bytes and the file has 11");
        put_idx(root, train_y, gz, (uint32_t[]){0x801, 4}, 2, data, 5);
        refuse("mnist", root, o, gz ? "longer than its header says" : "claims 12 bytes and the file has 13");
        put_idx(root, train_x, gz, (uint32_t[]){0x803, 0xffffffffu, 4000, 4000}, 4, data, 16);
        refuse("mnist", root, o, gz ? "more than the file can hold" : "and the file has 32");
        put_idx(root, train_x, gz, (uint32_t[]){0x803, 4, 0, 2}, 4, data, 0);
        refuse("mnist", root, o, "claims a dimension of 0");
        put_idx(root, train_x, gz, (uint32_t[]){0x803}, 1, data, 0);
        refuse("mnist", root, o, "it is cut short");
        remove_folder(root);
    }
    char *root = temporary_folder();
    put_idx(root, train_x, 1, (uint32_t[]){0x803, 4, 2, 2}, 4, data, 16);
    char *path = tl__asprintf(NULL, "%s/%s.gz", root, train_x);
    put_idx(root, train_y, 1, (uint32_t[]){0x801, 4}, 2, data, 4);
    cr_assert_eq(truncate(path, 25), 0);
    refuse("mnist", root, (tl_source_options){0}, "train-images-idx3-ubyte.gz: ");
    free(path);
    remove_folder(root);
}

Test(source, folder)
{
    char *root = temporary_folder();
    tl_error err = {0};
    put_golden(root, "zebra/2.png", "grey.png");
    put_golden(root, "zebra/10.PNG", "grey.png");
    put_golden(root, "ant/b-c/x.jpg", "420.jpg");
    put_golden(root, "ant/b/y.JPEG", "420.jpg");
    put_golden(root, "ant/b/q/w.jpg", "420.jpg");
    put_golden(root, "ant/z.jpg", "420.jpg");
    put(root, "ant/notes.txt", "x", 1);
    put(root, "ant/.hidden.png", "x", 1);
    put(root, ".git/x.png", "x", 1);
    put(root, "readme.txt", "x", 1);
    tl_source *s = open_source(&err, "folder", root, (tl_source_options){0});
    cr_assert(s, "%s", err.text);
    static const char *const order[] = {"ant/z.jpg", "ant/b/y.JPEG", "ant/b-c/x.jpg", "ant/b/q/w.jpg", "zebra/10.PNG", "zebra/2.png"};
    cr_assert_eq(s->count, 6);
    cr_assert(s->class_count == 2 && strcmp(s->class_name[0], "ant") == 0 && strcmp(s->class_name[1], "zebra") == 0);
    for (int i = 0; i < 6; i++) {
        char *name = tl__source_name(&err, s, i);
        cr_assert_str_eq(name + strlen(root) + 1, order[i]);
        cr_assert_eq(s->label[i], i > 3);
        free(name);
    }
    char *identity = tl__source_identity(&err, s, 0), *same = tl__source_identity(&err, s, 0);
    cr_assert_str_eq(identity, same);
    free(same);
    put_golden(root, "ant/z.jpg", "444.jpg");
    same = tl__source_identity(&err, s, 0);
    cr_assert_str_neq(identity, same);
    free(identity);
    free(same);
    tl__source_free(s);
    remove_folder(root);
}

Test(source, folder_errors)
{
    char *root = temporary_folder();
    tl_source_options o = {0};
    refuse("folder", "no/such", o, "no/such: no such folder");
    refuse("folder", root, o, "no class folder in it");
    put_golden(root, "cat/1.png", "grey.png");
    refuse("folder", root, o, "only one class (cat); a classifier needs two or more");
    put(root, "dog/readme.txt", "x", 1);
    refuse("folder", root, o, "dog: the class folder has no picture (.jpg, .jpeg or .png)");
    refuse("folder", root, (tl_source_options){.part = "test"}, "no test part (no folders train and test); `split = 0.2`");
    remove_folder(root);
}

Test(source, folder_parts_and_imposed_classes)
{
    char *root = temporary_folder();
    tl_error err = {0};
    put_golden(root, "train/cat/1.png", "grey.png");
    put_golden(root, "train/dog/1.png", "grey.png");
    put_golden(root, "train/eel/1.png", "grey.png");
    refuse("folder", root, (tl_source_options){.part = "test"}, "no test part (no folder test, val or valid beside train)");
    put_golden(root, "val/eel/1.png", "grey.png");
    tl_source *s = open_source(&err, "folder", root, (tl_source_options){.part = "test"});
    cr_assert(s, "%s", err.text); /* numbered by the training part, though it has one class only */
    cr_assert(s->count == 1 && s->class_count == 3 && s->label[0] == 2);
    tl__source_free(s);
    refuse("folder", root, (tl_source_options){.split = 0.5}, "the data has a test part of its own; leave `split` out");
    static const char *const model[] = {"dog", "eel", "fox", "cat"};
    s = open_source(&err, "folder", root, (tl_source_options){.class_name = model, .class_count = 4});
    cr_assert(s, "%s", err.text);
    cr_assert(s->class_count == 4 && s->label[0] == 3 && s->label[1] == 0 && s->label[2] == 1);
    tl__source_free(s);
    static const char *const other[] = {"dogs", "eel", "cat"};
    refuse("folder", root, (tl_source_options){.class_name = other, .class_count = 3},
           "class \"dog\" is not one of the 3 that are known; did you mean \"dogs\"?");
    put_golden(root, "val/ray/1.png", "grey.png");
    refuse("folder", root, (tl_source_options){.part = "test"}, "class \"ray\" is not one of the 3 that are known");
    remove_folder(root);
}

/* A folder of 40, 20, 20 and 2 pictures. */
static char *uneven_folder(void)
{
    static const int sizes[] = {40, 20, 20, 2};
    char *root = temporary_folder(), name[64];
    for (int c = 0; c < 4; c++)
        for (int i = 0; i < sizes[c]; i++) {
            snprintf(name, sizeof name, "class%d/%02d.png", c, i);
            put_golden(root, name, "one.png");
        }
    return root;
}

static void sizes_of(const tl_source *s, int *size)
{
    memset(size, 0, 4 * sizeof *size);
    for (int64_t i = 0; i < s->count; i++) size[s->label[i]]++;
}

static char *names_of(const tl_source *s)
{
    char *all = calloc(1, (size_t)s->count * 64 + 1);
    for (int64_t i = 0; i < s->count; i++) {
        char *name = tl__source_name(NULL, s, i);
        strcat(all, name);
        strcat(all, "\n");
        free(name);
    }
    return all;
}

Test(source, limits_keep_shares)
{
    char *root = uneven_folder();
    tl_error err = {0};
    static const struct { int64_t limit; int size[4]; } cases[] = {{41, {20, 10, 10, 1}}, {10, {4, 3, 2, 1}}, {4, {1, 1, 1, 1}}, {500, {40, 20, 20, 2}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int size[4];
        tl_source *s = open_source(&err, "folder", root, (tl_source_options){.limit = cases[i].limit, .seed = 1});
        cr_assert(s, "%s", err.text);
        sizes_of(s, size);
        int sum = size[0] + size[1] + size[2] + size[3];
        cr_expect(s->count == sum && (s->count == cases[i].limit || s->count == 82));
        for (int c = 0; c < 4; c++) cr_expect(abs(size[c] - cases[i].size[c]) <= 1 && size[c] >= 1, "limit %ld class %d: %d", (long)cases[i].limit, c, size[c]);
        tl__source_free(s);
    }
    tl_source *a = open_source(&err, "folder", root, (tl_source_options){.limit = 20, .seed = 1});
    tl_source *b = open_source(&err, "folder", root, (tl_source_options){.limit = 20, .seed = 1});
    tl_source *c = open_source(&err, "folder", root, (tl_source_options){.limit = 20, .seed = 2});
    char *na = names_of(a), *nb = names_of(b), *nc = names_of(c);
    cr_assert_str_eq(na, nb);
    cr_assert_str_neq(na, nc);
    free(na);
    free(nb);
    free(nc);
    tl__source_free(a);
    tl__source_free(b);
    tl__source_free(c);
    remove_folder(root);
}

Test(source, split_is_stratified_and_disjoint)
{
    char *root = uneven_folder();
    tl_error err = {0};
    tl_source *train = open_source(&err, "folder", root, (tl_source_options){.split = 0.25, .seed = 4});
    tl_source *test = open_source(&err, "folder", root, (tl_source_options){.part = "test", .split = 0.25, .seed = 4});
    cr_assert(train && test, "%s", err.text);
    int a[4], b[4];
    sizes_of(train, a);
    sizes_of(test, b);
    cr_assert(a[0] == 30 && a[1] == 15 && a[2] == 15 && a[3] == 1);
    cr_assert(b[0] == 10 && b[1] == 5 && b[2] == 5 && b[3] == 1);
    char *na = names_of(train), *nb = names_of(test);
    for (char *line = strtok(nb, "\n"); line; line = strtok(NULL, "\n")) cr_assert_null(strstr(na, line));
    free(na);
    free(nb);
    tl_source *few = open_source(&err, "folder", root, (tl_source_options){.split = 0.25, .seed = 4, .limit = 12});
    cr_assert_eq(few->count, 12);
    tl__source_free(few);
    tl__source_free(train);
    tl__source_free(test);
    remove_folder(root);
    /* Binary files without a test part can be split as well. */
    root = temporary_folder();
    put_cifar(root, "train.bin", 200, 2, 100);
    test = open_source(&err, "cifar100", root, (tl_source_options){.part = "test", .split = 0.5});
    cr_assert(test && test->count == 100, "%s", err.text);
    tl__source_free(test);
    remove_folder(root);
}

Test(source, files_and_views)
{
    static const char *const paths[] = {GOLDEN "grey.png", GOLDEN "missing.png", GOLDEN "420.jpg"};
    tl_error err = {0};
    tl_source *s = tl__source_files(&err, paths, 3);
    tl_image image = {0};
    tl_image_request any = {0};
    cr_assert(s->count == 3 && s->label[0] == -1 && s->class_count == 0);
    cr_assert_eq(tl__source_read(&err, s, 2, &any, &image), 0);
    cr_assert_neq(tl__source_read(&err, s, 1, &any, &image), 0);
    expect_error(err, GOLDEN "missing.png: cannot be opened");
    cr_assert_null(tl__source_identity(&err, s, 1));
    expect_error(err, "missing.png: No such file");
    tl_source *view = tl__source_subset(&err, s, (int64_t[]){2, 0}, 2), *inner = tl__source_subset(&err, view, (int64_t[]){1}, 1);
    tl__source_free(view);
    tl__source_free(s);
    char *name = tl__source_name(&err, inner, 0);
    cr_assert_str_eq(name, GOLDEN "grey.png");
    cr_assert_eq(tl__source_read(&err, inner, 0, &any, &image), 0);
    cr_assert_eq(image.width, 33);
    free(name);
    tl__source_free(inner);
    tl__image_free(&image);
}

Test(source, allocation_failures)
{
    char *root = temporary_folder(), *tree = temporary_folder();
    put_cifar(root, "train.bin", 20, 2, 10);
    put_idx(root, train_x, 1, (uint32_t[]){0x803, 4, 2, 2}, 4, (const uint8_t[16]){0}, 16);
    put_idx(root, train_y, 1, (uint32_t[]){0x801, 4}, 2, (const uint8_t[4]){0}, 4);
    for (int i = 0; i < 6; i++) {
        char name[32];
        snprintf(name, sizeof name, "class%d/%d.png", i % 2, i);
        put_golden(tree, name, "one.png");
    }
    static const char *const model[] = {"class1", "class0"};
    const struct { const char *kind, *root; tl_source_options o; } cases[] = {
        {"cifar100", root, {0}}, {"mnist", root, {.limit = 3}}, {"folder", tree, {.split = 0.3, .limit = 2}}, {"folder", tree, {.class_name = model, .class_count = 2}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int done = 0;
        for (long nth = 1; !done; nth++) {
            tl_error err = {0};
            tl__inject_failure(nth);
            tl_source *s = tl__source_open(&err, cases[i].kind, cases[i].root, &cases[i].o);
            done = tl__inject_failure(0) < nth;
            cr_assert_eq(s != NULL, done, "%s, allocation %ld: %s", cases[i].kind, nth, err.text);
            cr_assert_eq(err.code, done ? TL_OK : TL_EMEMORY, "%s", err.text);
            tl__source_free(s);
        }
    }
    remove_folder(root);
    remove_folder(tree);
}

/* ---- the loader ---- */

static tl_loader *open_loader(tl_source *s, const tl_pipeline *p, tl_loader_config c)
{
    tl_error err = {0};
    tl_loader *l = tl__loader_open(&err, s, p, &c);
    cr_assert(l, "%s", err.text);
    return l;
}

/* A hash of every batch of an epoch from batch `from` on, in order. */
static uint64_t epoch_hash(tl_loader *l, int64_t epoch, int64_t from, int *batches)
{
    tl_error err = {0};
    tl_batch b;
    uint64_t hash = 1;
    int status;
    *batches = 0;
    cr_assert_eq(tl__loader_start_at(l, &err, epoch, from), 0);
    while ((status = tl__loader_next(l, &err, &b)) == 1) {
        hash = tl__hash64(b.x, sizeof(float) * (size_t)b.n * (size_t)(b.height * b.width * b.channels), hash);
        hash = tl__hash64(b.labels, sizeof *b.labels * (size_t)b.n, hash);
        hash = tl__hash64(b.indices, sizeof *b.indices * (size_t)b.n, hash);
        tl__loader_recycle(l, &b);
        ++*batches;
    }
    cr_assert_eq(status, 0, "%s", err.text);
    return hash;
}

/* 12 colour and grey pictures of four sizes in two classes. */
static char *mixed_folder(void)
{
    static const char *const files[] = {"colour.png", "420.jpg", "grey.png", "progressive.jpg"};
    char *root = temporary_folder(), name[64];
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "class%d/%02d.x%s", i % 2, i, strrchr(files[i % 4], '.'));
        put_golden(root, name, files[i % 4]);
    }
    return root;
}

static const char *const augmented = "random_resized_crop(size=20); random_horizontal_flip(); to_channels(channels=3); normalize(mean=0.5, std=0.5)";

Test(loader, same_batches_for_any_number_of_threads)
{
    char *root = mixed_folder();
    tl_error err = {0};
    tl_source *s = open_source(&err, "folder", root, (tl_source_options){0});
    tl_pipeline *p = pipeline(augmented);
    static const int threads[] = {TL_THREADS_NONE, 1, 2, 4, 16, 0};
    uint64_t hash[2] = {0};
    int n;
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        tl_loader *l = open_loader(s, p, (tl_loader_config){.batch = 5, .threads = threads[t], .shuffle = 1, .seed = 9, .max_prefetch = t % 2 ? 1 : 0});
        cr_assert(threads[t] < 0 ? tl__loader_threads(l) == 0 : tl__loader_threads(l) >= 1);
        cr_assert_eq(tl__loader_batches(l), 3);
        for (int epoch = 0; epoch < 2; epoch++) {
            uint64_t h = epoch_hash(l, epoch, 0, &n);
            cr_assert_eq(n, 3);
            if (t == 0) hash[epoch] = h;
            cr_assert_eq(h, hash[epoch], "%d threads, epoch %d", threads[t], epoch);
        }
        cr_assert_eq(epoch_hash(l, 0, 0, &n), hash[0]);
        cr_assert_geq(tl__loader_waited(l), 0);
        tl__loader_close(l);
    }
    cr_assert_neq(hash[0], hash[1]);
    tl_loader *l = open_loader(s, p, (tl_loader_config){.batch = 5, .threads = 2, .shuffle = 1, .seed = 10});
    cr_assert_neq(epoch_hash(l, 0, 0, &n), hash[0]);
    tl__loader_close(l);
    tl__source_free(s);
    tl__pipeline_free(p);
    remove_folder(root);
}

Test(loader, order_and_rest)
{
    char *root = temporary_folder();
    tl_error err = {0};
    put_cifar(root, "train.bin", 23, 2, 100);
    tl_source *s = open_source(&err, "cifar100", root, (tl_source_options){0});
    tl_pipeline *p = pipeline("");
    tl_batch b;
    for (int drop = 0; drop < 2; drop++) {
        tl_loader *l = open_loader(s, p, (tl_loader_config){.batch = 5, .threads = 3, .shuffle = drop, .drop_last = drop});
        int hwc[3], seen[23] = {0}, count = 0;
        tl__loader_shape(l, hwc);
        cr_assert(hwc[0] == 32 && hwc[1] == 32 && hwc[2] == 3);
        cr_assert_eq(tl__loader_start(l, &err, 0), 0);
        while (tl__loader_next(l, &err, &b) == 1) {
            for (int i = 0; i < b.n; i++) {
                int k = (int)b.indices[i];
                if (!drop) cr_assert_eq(k, count);
                cr_assert_eq(seen[k]++, 0);
                cr_assert_eq(b.labels[i], k % 100);
                cr_assert_eq(b.x[(size_t)i * 3072], (float)k / 255.0f); /* without a normalisation: bytes / 255 */
                count++;
            }
            tl__loader_recycle(l, &b);
        }
        cr_assert_eq(count, drop ? 20 : 23);
        cr_assert_eq(tl__loader_next(l, &err, &b), 0);
        tl__loader_close(l);
    }
    tl__source_free(s);
    tl__pipeline_free(p);
    remove_folder(root);
}

Test(loader, starts_in_mid_epoch)
{
    char *root = temporary_folder();
    tl_error err = {0};
    put_cifar(root, "train.bin", 40, 2, 100);
    tl_source *s = open_source(&err, "cifar100", root, (tl_source_options){0});
    tl_pipeline *p = pipeline("random_crop(size=32, padding=4); random_horizontal_flip()");
    tl_loader *l = open_loader(s, p, (tl_loader_config){.batch = 6, .threads = 2, .shuffle = 1, .seed = 3});
    uint64_t whole[8];
    tl_batch b;
    int n;
    cr_assert_eq(tl__loader_start(l, &err, 4), 0);
    for (n = 0; tl__loader_next(l, &err, &b) == 1; n++) {
        whole[n] = tl__hash64(b.x, sizeof(float) * 3072 * (size_t)b.n, 1);
        tl__loader_recycle(l, &b);
    }
    cr_assert_eq(n, 7);
    for (int from = 0; from <= 7; from++) { /* each restart drops what the one before had under way */
        cr_assert_eq(tl__loader_start_at(l, &err, 4, from), 0);
        int status = tl__loader_next(l, &err, &b);
        cr_assert_eq(status, from < 7);
        if (status) cr_assert_eq(tl__hash64(b.x, sizeof(float) * 3072 * (size_t)b.n, 1), whole[from]);
        tl__loader_recycle(l, &b);
    }
    cr_assert_neq(tl__loader_start_at(l, &err, 0, 8), 0);
    expect_error(err, "batch 8 of an epoch of 7");
    tl__loader_close(l);
    tl__source_free(s);
    tl__pipeline_free(p);
    remove_folder(root);
}

Test(loader, lending)
{
    char *root = temporary_folder();
    tl_error err = {0};
    put_cifar(root, "train.bin", 40, 2, 100);
    tl_source *s = open_source(&err, "cifar100", root, (tl_source_options){0});
    tl_pipeline *p = pipeline("");
    for (int threads = -1; threads < 3; threads += 2) {
        tl_loader *l = open_loader(s, p, (tl_loader_config){.batch = 4, .threads = threads});
        tl_batch held[8];
        int n = 0;
        cr_assert_eq(tl__loader_next(l, &err, &held[0]), -1);
        expect_error(err, "no epoch has been started");
        tl__loader_start(l, &err, 0);
        while (n < 8 && tl__loader_next(l, &err, &held[n]) == 1) n++;
        cr_assert(n >= 2 && n < 8);
        expect_error(err, "batches are lent; give one back before the next");
        for (int i = 0; i < n; i++) cr_assert_eq(held[i].indices[0], 4 * i);
        tl__loader_recycle(l, &held[0]);
        tl_batch b;
        cr_assert_eq(tl__loader_next(l, &err, &b), 1);
        cr_assert_eq(b.indices[0], 4 * n);
        cr_assert_eq(tl__loader_start(l, &err, 1), 0); /* what is held stays valid */
        cr_assert_eq(held[1].indices[0], 4);
        tl__loader_recycle(l, &held[1]);
        cr_assert_eq(tl__loader_next(l, &err, &held[1]), 1);
        cr_assert_eq(held[1].indices[0], 0);
        tl__loader_close(l); /* with batches lent and others under way */
    }
    tl__source_free(s);
    tl__pipeline_free(p);
    remove_folder(root);
}

Test(loader, closes_at_any_moment)
{
    char *root = mixed_folder();
    tl_error err = {0};
    tl_source *s = open_source(&err, "folder", root, (tl_source_options){0});
    tl_pipeline *p = pipeline(augmented);
    for (int t = 0; t < 60; t++) {
        tl_loader *l = open_loader(s, p, (tl_loader_config){.batch = 2, .threads = 1 + t % 4, .shuffle = 1});
        tl_batch b;
        if (t % 5) tl__loader_start(l, &err, t);
        for (int i = 0; i < t % 4 && t % 5; i++) {
            cr_assert_eq(tl__loader_next(l, &err, &b), 1);
            tl__loader_recycle(l, &b);
            if (i == 1) tl__loader_start(l, &err, t + 1);
        }
        tl__loader_close(l);
    }
    tl__loader_close(NULL);
    tl__source_free(s);
    tl__pipeline_free(p);
    remove_folder(root);
}

Test(loader, pictures_that_do_not_go_together)
{
    char *root = mixed_folder();
    tl_error err = {0};
    tl_source *s = open_source(&err, "folder", root, (tl_source_options){0});
    static const struct { const char *text, *part; } cases[] = {
        {"resize(size=20); to_channels(channels=3)", "pixels (height x width) after the transforms, others have 20 x 25: add a center_crop or resize { size = {20, 25} }"},
        {"center_crop(size=20)", "1 channel after the transforms, others have 3: add to_channels { channels = 3 }"},
        {"random_crop(size=24); to_channels(channels=3)", "random_crop: a picture of 23 x 31"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char first[1024] = "";
        for (int threads = -1; threads < 5; threads++) {
            if (threads == 0) continue;
            tl_pipeline *p = pipeline(cases[i].text);
            tl_loader *l = open_loader(s, p, (tl_loader_config){.batch = 3, .threads = threads, .on_bad = TL_BAD_SKIP});
            tl_batch b;
            int status;
            tl__loader_start(l, &err, 0);
            while ((status = tl__loader_next(l, &err, &b)) == 1) tl__loader_recycle(l, &b);
            cr_assert_eq(status, -1);
            cr_assert_eq(strncmp(err.text, root, strlen(root)), 0, "%s", err.text); /* names the picture */
            if (first[0]) cr_assert_str_eq(first, err.text);
            strcpy(first, err.text);
            expect_error(err, cases[i].part);
            cr_assert_eq(tl__loader_next(l, &err, &b), -1);
            expect_error(err, "no epoch has been started");
            tl__loader_close(l);
            tl__pipeline_free(p);
        }
    }
    tl__source_free(s);
    remove_folder(root);
}

/* The mixed folder with two damaged pictures, one in each class. */
static char *damaged_folder(void)
{
    char *root = mixed_folder();
    size_t bytes;
    char *data = golden_load("420.jpg", &bytes);
    put(root, "class1/05.x.jpg", data, bytes / 2);
    put(root, "class0/08.x.png", "rubbish", 7);
    free(data);
    return root;
}

Test(loader, damaged_pictures)
{
    char *root = damaged_folder();
    tl_error err = {0};
    tl_source *s = open_source(&err, "folder", root, (tl_source_options){0});
    tl_pipeline *p = pipeline("center_crop(size=20); to_channels(channels=3)");
    for (int threads = -1; threads < 4; threads += 2) {
        tl_batch b;
        tl_loader *l = open_loader(s, p, (tl_loader_config){.batch = 4, .threads = threads, .on_bad = TL_BAD_ERROR});
        int status, count = 0;
        tl__loader_start(l, &err, 0);
        while ((status = tl__loader_next(l, &err, &b)) == 1) tl__loader_recycle(l, &b);
        cr_assert_eq(status, -1);
        expect_error(err, "class0/08.x.png: neither a JPEG nor a PNG picture"); /* the first in order, whoever was quicker */
        tl__loader_close(l);
        /* Batches of one: a damaged picture leaves its batch empty, which is passed over. */
        l = open_loader(s, p, (tl_loader_config){.batch = threads == 1 ? 1 : 4, .threads = threads, .on_bad = TL_BAD_SKIP, .shuffle = threads > 1});
        tl__loader_start(l, &err, 0);
        while ((status = tl__loader_next(l, &err, &b)) == 1) {
            for (int i = 0; i < b.n; i++) cr_assert_eq(b.labels[i], s->label[b.indices[i]]);
            count += b.n;
            tl__loader_recycle(l, &b);
        }
        cr_assert_eq(status, 0, "%s", err.text);
        cr_assert_eq(count, 10);
        cr_assert_eq(tl__loader_skipped(l), 2);
        tl__loader_close(l);
    }
    tl__source_free(s);
    tl__pipeline_free(p);
    remove_folder(root);
}

Test(loader, bad_settings)
{
    static const char *const paths[] = {GOLDEN "missing.png"};
    tl_error err = {0};
    tl_source *s = tl__source_files(&err, paths, 1);
    tl_pipeline *p = pipeline("");
    cr_assert_null(tl__loader_open(&err, s, p, &(tl_loader_config){.batch = 0}));
    expect_error(err, "batch is 0");
    cr_assert_null(tl__loader_open(&err, s, p, &(tl_loader_config){.batch = 2, .drop_last = 1}));
    expect_error(err, "1 pictures do not fill a batch of 2");
    cr_assert_null(tl__loader_open(&err, s, p, &(tl_loader_config){.batch = 1}));
    expect_error(err, GOLDEN "missing.png: cannot be opened");
    tl__source_free(s);
    tl__pipeline_free(p);
}

Test(loader, allocation_failures)
{
    char *root = mixed_folder();
    tl_error none = {0};
    tl_source *s = open_source(&none, "folder", root, (tl_source_options){0});
    tl_pipeline *p = pipeline(augmented);
    int done = 0;
    for (long nth = 1; !done; nth++) {
        tl_error err = {0};
        tl__inject_failure(nth);
        tl_loader *l = tl__loader_open(&err, s, p, &(tl_loader_config){.batch = 5, .threads = TL_THREADS_NONE});
        int status = l ? tl__loader_start(l, &err, 0) : -1;
        if (status == 0) {
            tl_batch b;
            while ((status = tl__loader_next(l, &err, &b)) == 1) tl__loader_recycle(l, &b);
        }
        done = tl__inject_failure(0) < nth;
        cr_assert_eq(status == 0, done, "allocation %ld", nth);
        cr_assert_eq(err.code, done ? TL_OK : TL_EMEMORY, "%s", err.text);
        tl__loader_close(l);
    }
    tl__source_free(s);
    tl__pipeline_free(p);
    remove_folder(root);
}

/* ---- the check ---- */

static int stop_at_once(void *user, int64_t done, int64_t total)
{
    (void)done;
    (void)total;
    ++*(int *)user;
    return 1;
}

Test(check, names_and_counts)
{
    char *root = damaged_folder();
    tl_error err = {0};
    tl_source *s = open_source(&err, "folder", root, (tl_source_options){0});
    for (int threads = -1; threads < 4; threads++) {
        tl_check_report r = {0};
        cr_assert_null(tl__loader_check(&err, s, threads, TL_BAD_ERROR, &r));
        cr_assert(r.checked == 12 && r.bad_count == 2 && r.bad[0].index == 4 && r.bad[1].index == 8);
        cr_assert(strstr(r.bad[1].reason, "05.x.jpg: damaged JPEG"), "%s", r.bad[1].reason);
        cr_assert(strstr(err.text, "05.x.jpg: damaged JPEG"));
        cr_assert(strstr(err.text, "(on_bad = \"skip\" leaves them out)"));
        expect_error(err, "2 of 12 pictures cannot be read: ");
        tl__check_report_free(&r);
        tl_source *good = tl__loader_check(&err, s, threads, TL_BAD_SKIP, &r);
        cr_assert(good && good->count == 10 && r.bad_count == 2, "%s", err.text);
        tl__check_report_free(&r);
        tl_source *again = tl__loader_check(&err, good, threads, TL_BAD_ERROR, &r);
        cr_assert(again == good && r.checked == 10 && r.bad_count == 0);
        tl__source_free(again);
        tl__source_free(good);
        tl__check_report_free(&r);
    }
    tl__source_free(s);
    remove_folder(root);
}

Test(check, many_and_all_damaged)
{
    char *root = temporary_folder(), name[64];
    tl_error err = {0};
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "class%d/%02d.jpg", i % 2, i);
        put(root, name, "nothing", 7);
    }
    tl_source *s = open_source(&err, "folder", root, (tl_source_options){0});
    tl_check_report r = {0};
    cr_assert_null(tl__loader_check(&err, s, 2, TL_BAD_ERROR, &r));
    cr_assert(strstr(err.text, "04.jpg") && !strstr(err.text, "06.jpg") && strstr(err.text, "; ..."), "%s", err.text);
    expect_error(err, "40 of 40 pictures cannot be read");
    tl__check_report_free(&r);
    cr_assert_null(tl__loader_check(&err, s, 2, TL_BAD_SKIP, &r));
    expect_error(err, "none of the 40 pictures can be read; the first: ");
    tl__check_report_free(&r);
    int calls = 0;
    r = (tl_check_report){.progress = stop_at_once, .user = &calls};
    cr_assert_null(tl__loader_check(&err, s, 1, TL_BAD_SKIP, &r));
    cr_assert(calls >= 1 && err.code == TL_EINTERRUPT);
    expect_error(err, "stopped after");
    tl__check_report_free(&r);
    tl__source_free(s);
    remove_folder(root);
}
