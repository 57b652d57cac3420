/* image.c - pictures are what Pillow makes of them, resized as Pillow does, and damage never passes. */
#include "data/resize.h"

#include "data_files.h"

#include <sys/resource.h>

static int difference(const uint8_t *a, const uint8_t *b, size_t n)
{
    int worst = 0;
    for (size_t i = 0; i < n; i++) {
        int d = abs(a[i] - b[i]);
        if (d > worst) worst = d;
    }
    return worst;
}

Test(image, decodes_as_pillow)
{
    size_t bytes;
    char *list = golden_load("decode.txt", &bytes), *rest = list, *line, name[64], path[128];
    uint8_t *golden = (uint8_t *)golden_load("decode.bin", &bytes);
    long offset = 0;
    int width, height, channels, cases = 0, worst = 0;
    while ((line = golden_line(&rest, &offset)) != NULL) {
        tl_error err = {0};
        tl_image image = {0};
        cr_assert_eq(sscanf(line, "%63s %d %d %d", name, &width, &height, &channels), 4);
        snprintf(path, sizeof path, GOLDEN "%s", name);
        cr_assert_eq(tl__image_read(&err, path, channels, &image), 0, "%s", err.text);
        cr_assert(image.width == width && image.height == height && image.channels == channels, "%s", line);
        int d = difference(image.data, golden + offset, (size_t)width * (size_t)height * (size_t)channels);
        /* Another build of libjpeg may round its transform differently. */
        cr_expect_leq(d, strstr(name, ".jpg") ? 2 : 0, "%s: %d", line, d);
        worst = d > worst ? d : worst;
        cases++;
        tl__image_free(&image);
    }
    cr_assert_geq(cases, 40);
    fprintf(stderr, "%d decodes, largest difference %d of 255\n", cases, worst);
    free(list);
    free(golden);
}

Test(image, native_channels_and_reduction)
{
    static const struct { const char *name; int side, width, height, channels; } want[] = {
        {"420.jpg", 0, 31, 23, 3}, {"grey.jpg", 0, 31, 23, 1}, {"cmyk.jpg", 0, 31, 23, 3},   {"grey16.png", 0, 31, 23, 1}, {"la.png", 0, 31, 23, 1},
        {"rgba.png", 0, 31, 23, 3}, {"420.jpg", 1, 4, 3, 3},   {"420.jpg", 6, 8, 6, 3},     {"420.jpg", 12, 16, 12, 3},   {"420.jpg", 13, 31, 23, 3},
        {"grey.jpg", 3, 4, 3, 1},   {"ycck.jpg", 12, 16, 12, 3}, {"rgba.png", 1, 31, 23, 3}};
    tl_image image = {0};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        tl_error err = {0};
        char path[128];
        tl_image_request request = {.smallest_side = want[i].side};
        snprintf(path, sizeof path, GOLDEN "%s", want[i].name);
        cr_assert_eq(tl__image_read_as(&err, path, &request, &image), 0, "%s", err.text);
        cr_expect(image.width == want[i].width && image.height == want[i].height && image.channels == want[i].channels, "%s side %d: %d x %d x %d",
                  want[i].name, want[i].side, image.width, image.height, image.channels);
    }
    tl__image_free(&image);
}

/* Tries to decode and expects a refusal that starts with the name. */
static void refuse(const char *name, const void *data, size_t bytes, const char *part)
{
    tl_error err = {0};
    tl_image image = {0};
    tl_image_request request = {.channels = 3};
    cr_assert_neq(tl__image_decode(&err, name, data, bytes, &request, &image), 0, "%s of %zu bytes was taken", name, bytes);
    cr_assert_eq(strncmp(err.text, name, strlen(name)), 0, "%s", err.text);
    expect_error(err, part);
    tl__image_free(&image);
}

Test(image, every_cut_is_noticed)
{
    static const char *const names[] = {"420.jpg", "progressive.jpg", "grey.jpg", "cmyk.jpg", "rgba.png", "interlaced.png", "grey16.png"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t bytes;
        char *data = golden_load(names[i], &bytes);
        /* The last bytes of a PNG are the end mark's checksum, which tells nothing more. */
        size_t most = strstr(names[i], ".png") ? bytes - 4 : bytes;
        for (size_t n = 0; n < most; n++) {
            char *exact = malloc(n ? n : 1); /* so that a read past the end is seen by the sanitizer */
            memcpy(exact, data, n);
            refuse(names[i], exact, n, n ? ":" : "empty");
            free(exact);
        }
        free(data);
    }
}

Test(image, damage_is_an_error_or_a_picture)
{
    static const char *const names[] = {"420.jpg", "progressive.jpg", "cmyk.jpg", "palette_trns.png", "interlaced.png", "la16.png"};
    tl_rng_key key = tl__rng_key(1, 100, 0);
    uint64_t draw = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t bytes;
        char *data = golden_load(names[i], &bytes);
        int refused = 0;
        for (int t = 0; t < 300; t++) {
            char *copy = malloc(bytes);
            memcpy(copy, data, bytes);
            size_t at = tl__rng_below(key, draw++, bytes);
            copy[at] = (char)tl__rng_below(key, draw++, 256);
            tl_error err = {0};
            tl_image image = {0};
            tl_image_request request = {.channels = t % 2 ? 3 : 1};
            int status = tl__image_decode(&err, "x", copy, bytes, &request, &image);
            refused += status != 0;
            cr_assert_eq(status != 0, err.code != 0);
            cr_assert_null(strchr(err.text, '\n'));
            tl__image_free(&image);
            free(copy);
        }
        cr_expect_geq(refused, strstr(names[i], ".png") ? 200 : 10, "%s: %d of 300 refused", names[i], refused);
        free(data);
    }
}

Test(image, extra_bytes_do_not_matter)
{
    /* Bytes before a marker are a warning of the library that costs no pixel. */
    size_t bytes;
    char *data = golden_load("420.jpg", &bytes), *longer = malloc(bytes + 64);
    memcpy(longer, data, bytes - 2);
    memset(longer + bytes - 2, 0x55, 20);
    memcpy(longer + bytes + 18, "\xff\xd9trailing", 10);
    tl_error err = {0};
    tl_image a = {0}, b = {0};
    tl_image_request request = {.channels = 3};
    cr_assert_eq(tl__image_decode(&err, "x", data, bytes, &request, &a), 0);
    cr_assert_eq(tl__image_decode(&err, "x", longer, bytes + 28, &request, &b), 0, "%s", err.text);
    cr_assert_eq(memcmp(a.data, b.data, 31 * 23 * 3), 0);
    refuse("x", longer, bytes + 10, ":"); /* the same without an end */
    free(data);
    free(longer);
    tl__image_free(&a);
    tl__image_free(&b);
}

Test(image, sizes_are_checked_first)
{
    size_t bytes;
    char *jpeg = golden_load("444.jpg", &bytes);
    for (size_t i = 0; i + 9 < bytes; i++)
        if ((uint8_t)jpeg[i] == 0xff && (uint8_t)jpeg[i + 1] == 0xc0) memset(jpeg + i + 5, 0xff, 4);
    refuse("big.jpg", jpeg, bytes, "65535 x 65535 pixels");
    free(jpeg);
    uint8_t png[57] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H', 'D', 'R', 0, 1, 0, 0, 0, 1, 0, 0, 8, 2, 0, 0, 0, 0x50, 0x7e, 0xde, 0x9b};
    refuse("big.png", png, sizeof png, "big.png: ");
    refuse("text", "hello, this is no picture", 25,
           "no picture of a known format (JPEG, PNG, WebP, TIFF, BMP, GIF and DICOM)");
    tl_error err = {0};
    tl_image image = {0};
    cr_assert_neq(tl__image_reserve(&err, &image, 20000, 20000, 3), 0);
    expect_error(err, "20000 x 20000");
    cr_assert_neq(tl__image_reserve(&err, &image, 0, 5, 3), 0);
    expect_error(err, "0 x 5");
}

Test(image, as_many_pixels_as_pillow_reads)
{
    char *folder = temporary_folder(), *path = tl__asprintf(NULL, "%s/large.png", folder);
    tl_error err = {0};
    tl_image image = {0}, again = {0};
    cr_assert_eq(tl__image_check_size(&err, 178956970, 1), 0);
    cr_assert_neq(tl__image_check_size(&err, 178956971, 1), 0);
    expect_error(err, "178956971 x 1 pixels are more than the 178956970 that are read; TLUA_MAX_PIXELS=715827882 in the environment reads more");
    cr_assert_eq(tl__image_reserve(&err, &image, 10001, 10000, 1), 0, "%s", err.text); /* one row above 100 million */
    memset(image.data, 7, 100010000);
    cr_assert_eq(tl__image_write_png(&err, path, &image), 0, "%s", err.text);
    cr_assert_eq(tl__image_read(&err, path, 1, &again), 0, "%s", err.text);
    cr_assert(again.width == 10001 && again.height == 10000 && again.data[100009999] == 7);
    setenv("TLUA_MAX_PIXELS", "100000000", 1);
    cr_assert_neq(tl__image_read(&err, path, 1, &again), 0);
    cr_assert_eq(strncmp(err.text, path, strlen(path)), 0, "%s", err.text);
    expect_error(err, "10001 x 10000 pixels are more than the 100000000 that are read");
    setenv("TLUA_MAX_PIXELS", "715827882", 1);
    cr_assert_eq(tl__image_check_size(&err, 20000, 20000), 0, "%s", err.text);
    static const char *const wrong[] = {"many", "0", "-5", "1e9", "715827883", "99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        setenv("TLUA_MAX_PIXELS", wrong[i], 1);
        cr_assert_neq(tl__image_read(&err, path, 1, &again), 0, "%s", wrong[i]);
        expect_error(err, "must be a whole number from 1 to 715827882");
    }
    tl__image_free(&image);
    tl__image_free(&again);
    free(path);
    remove_folder(folder);
}

Test(image, files_that_cannot_be_read)
{
    tl_error err = {0};
    tl_image image = {0};
    cr_assert_neq(tl__image_read(&err, "no/such.jpg", 3, &image), 0);
    cr_assert_eq(err.code, TL_EIO);
    expect_error(err, "no/such.jpg: cannot be opened: No such file");
    cr_assert_neq(tl__image_read(&err, "tests", 3, &image), 0);
    expect_error(err, "tests: a folder");
    char *folder = temporary_folder();
    put(folder, "empty.png", "", 0);
    char *path = tl__asprintf(NULL, "%s/empty.png", folder);
    cr_assert_neq(tl__image_read(&err, path, 3, &image), 0);
    expect_error(err, "the file is empty");
    free(path);
    remove_folder(folder);
    cr_assert(tl__image_is_name("a/b.JPeG") && tl__image_is_name("x.png") && tl__image_is_name("x.jpg") && tl__image_is_name("x.TIFF") && tl__image_is_name("x.gif") && !tl__image_is_name("x.svg") && !tl__image_is_name(".png"));
}

Test(image, writes_png)
{
    char *folder = temporary_folder(), *path = tl__asprintf(NULL, "%s/a.png", folder);
    for (int channels = 1; channels <= 3; channels += 2) {
        tl_error err = {0};
        tl_image a = {0}, b = {0};
        cr_assert_eq(tl__image_read(&err, GOLDEN "colour.png", channels, &a), 0);
        cr_assert_eq(tl__image_write_png(&err, path, &a), 0, "%s", err.text);
        cr_assert_eq(tl__image_read(&err, path, 0, &b), 0, "%s", err.text);
        cr_assert(b.width == 61 && b.height == 47 && b.channels == channels);
        cr_assert_eq(memcmp(a.data, b.data, 61 * 47 * (size_t)channels), 0);
        cr_assert_neq(tl__image_write_png(&err, "no/such/folder/a.png", &a), 0);
        expect_error(err, "no/such/folder/a.png");
        tl__image_free(&a);
        tl__image_free(&b);
    }
    free(path);
    remove_folder(folder);
}

Test(image, resizes_as_pillow)
{
    size_t bytes;
    uint8_t *golden = (uint8_t *)golden_load("resize.bin", &bytes);
    for (tl__resize_plain = 0; tl__resize_plain < 2; tl__resize_plain++) {
        char *list = golden_load("resize.txt", &bytes), *rest = list, *line, name[64], filter[16], path[128];
        tl_resizer resizer = {0};
        tl_image in = {0}, out = {0};
        int cases = 0, worst = 0, width, height;
        long offset = 0;
        float box[4];
        while ((line = golden_line(&rest, &offset)) != NULL) {
            tl_error err = {0};
            cr_assert_eq(sscanf(line, "%63s %15s %d %d %f %f %f %f", name, filter, &width, &height, box, box + 1, box + 2, box + 3), 8);
            snprintf(path, sizeof path, GOLDEN "%s", name);
            cr_assert_eq(tl__image_read(&err, path, 0, &in), 0, "%s", err.text);
            int f = 0;
            while (strcmp(tl__filter_names[f], filter) != 0) f++;
            tl_view view = tl__image_view(&in);
            cr_assert_eq(tl__resize(&err, &resizer, &view, box[2] > 0 ? box : NULL, (tl_filter)f, width, height, &out), 0, "%s", err.text);
            int d = difference(out.data, golden + offset, (size_t)width * (size_t)height * (size_t)in.channels);
            cr_expect_leq(d, 0, "%s: differs by %d", line, d);
            worst = d > worst ? d : worst;
            cases++;
        }
        cr_assert_geq(cases, 24);
        fprintf(stderr, "%d resizes%s, largest difference %d of 255\n", cases, tl__resize_plain ? " (plain loops)" : "", worst);
        tl__image_free(&in);
        tl__image_free(&out);
        tl__resizer_free(&resizer);
        free(list);
    }
    free(golden);
}

/* The vector loops and the plain ones give the same bits, and nothing is touched outside of the memory, for
 * sizes around every vector width. */
Test(image, loops_agree)
{
    tl_resizer a = {0}, b = {0};
    tl_rng_key key = tl__rng_key(2, 100, 0);
    uint64_t draw = 0;
    for (int t = 0; t < 400; t++) {
        tl_error err = {0};
        tl_image in = {0}, fast = {0}, plain = {0};
        int size[4], channels = t % 2 ? 3 : 1;
        for (int i = 0; i < 4; i++) size[i] = 1 + (int)tl__rng_below(key, draw++, t % 3 ? 40 : 5);
        cr_assert_eq(tl__image_reserve(&err, &in, size[0], size[1], channels), 0);
        for (int i = 0; i < size[0] * size[1] * channels; i++) in.data[i] = (uint8_t)tl__rng_below(key, draw++, 256);
        tl_view view = tl__image_crop(&in, size[0] / 3, size[1] / 3, size[0] - size[0] / 3, size[1] - size[1] / 3);
        tl_filter filter = (tl_filter)(t % TL_FILTER_COUNT);
        tl__resize_plain = 0;
        cr_assert_eq(tl__resize(&err, &a, &view, NULL, filter, size[2], size[3], &fast), 0);
        tl__resize_plain = 1;
        cr_assert_eq(tl__resize(&err, &b, &view, NULL, filter, size[2], size[3], &plain), 0);
        cr_assert_eq(memcmp(fast.data, plain.data, (size_t)(size[2] * size[3] * channels)), 0, "case %d", t);
        tl__image_free(&in);
        tl__image_free(&fast);
        tl__image_free(&plain);
    }
    tl__resizer_free(&a);
    tl__resizer_free(&b);
}

Test(image, boxes_are_checked)
{
    tl_error err = {0};
    tl_image in = {0}, out = {0};
    tl_resizer r = {0};
    tl__image_reserve(&err, &in, 10, 8, 1);
    memset(in.data, 7, 80);
    tl_view view = tl__image_view(&in);
    const float bad[][4] = {{-1, 0, 5, 5}, {0, 0, 11, 5}, {5, 0, 5, 5}, {0, 6, 5, 2}, {0, 0, 5, 8.5f}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_neq(tl__resize(&err, &r, &view, bad[i], TL_FILTER_BILINEAR, 4, 4, &out), 0);
        expect_error(err, "does not lie in a picture of 10 x 8");
    }
    tl__image_free(&in);
    tl__image_free(&out);
    tl__resizer_free(&r);
}

Test(image, allocation_failures)
{
    static const char *const names[] = {"420.jpg", "cmyk.jpg", "grey.jpg", "rgba.png", "la16.png"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        snprintf(path, sizeof path, GOLDEN "%s", names[i]);
        for (long nth = 1, done = 0; !done; nth++) {
            tl_error err = {0};
            tl_image in = {0}, out = {0};
            tl_resizer r = {0};
            tl__inject_failure(nth);
            int status = tl__image_read(&err, path, 3, &in);
            tl_view view = status ? (tl_view){0} : tl__image_view(&in);
            if (status == 0) status = tl__resize(&err, &r, &view, NULL, TL_FILTER_BICUBIC, 7, 9, &out);
            done = tl__inject_failure(0) < nth;
            cr_assert_eq(status == 0, done);
            cr_assert_eq(err.code, done ? TL_OK : TL_EMEMORY, "%s", err.text);
            tl__image_free(&in);
            tl__image_free(&out);
            tl__resizer_free(&r);
        }
    }
}

/* A shortage of the moment is no damage: a picture that is left out for it changes the run. */
Test(image, too_many_open_files)
{
    tl_error err = {0};
    tl_image in = {0};
    struct rlimit before, none;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    int status = tl__image_read(&err, GOLDEN "420.jpg", 3, &in);
    setrlimit(RLIMIT_NOFILE, &before);
    cr_assert_neq(status, 0);
    cr_expect_eq(err.code, TL_EMEMORY);
    expect_error(err, "420.jpg: cannot be opened: Too many open files");
}
