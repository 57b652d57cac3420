/* records.c - samples with masks, values, boxes and points: they go where their pixels go. */
#include "data_files.h"

#include <math.h>

/* A grey picture of `width` x `height` whose values are 0 to 199, as a file. */
static void put_grey(const char *folder, const char *name, int width, int height, int first)
{
    char path[256];
    tl_error err = {0};
    tl_image m = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    cr_assert_eq(tl__image_reserve(&err, &m, width, height, 1), 0);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) m.data[y * width + x] = (uint8_t)((first + 7 * (x / 3) + 31 * (y / 2)) % 200);
    cr_assert_eq(tl__image_write_png(&err, path, &m), 0, "%s", err.text);
    tl__image_free(&m);
}

static char *joined(const char *folder, const char *name) { return tl__path_join(NULL, folder, name); }

static tl_source *open_records(tl_records r)
{
    tl_error err = {0};
    tl_source *s = tl__source_records(&err, &r);
    cr_assert(s, "%s", err.text);
    return s;
}

static void refuse(tl_records r, const char *part)
{
    tl_error err = {0};
    cr_assert_null(tl__source_records(&err, &r));
    expect_error(err, part);
}

/* ---- the way of the pixels ---- */

/* A mask that is its own picture comes out as the picture does, where that takes nearest pixels. */
Test(records, masks_follow_pictures)
{
    static const char *const texts[] = {
        "", "resize(size=13, interpolation=nearest)", "resize(size=[50, 31], interpolation=nearest)", "center_crop(size=16)", "center_crop(size=[41, 60])",
        "random_crop(size=17)", "random_crop(size=32, padding=6, fill=255)", "random_crop(size=[90, 20], pad_if_needed=1, fill=255)",
        "random_horizontal_flip(p=1)", "random_vertical_flip(p=1)", "random_resized_crop(size=19, interpolation=nearest)",
        "random_rotation(degrees=[-50, 50], fill=255)", "random_affine(degrees=[-20, 20], translate=[0.2, 0.2], scale=[0.7, 1.3], shear=[-10, 10], fill=255)",
        "augment_operation(name=shear_x, fill=255)", "augment_operation(name=translate_y, fill=255)", "augment_operation(name=rotate, fill=255)",
        "random_horizontal_flip(p=1); random_vertical_flip(p=1); random_crop(size=20); random_horizontal_flip(p=1)",
        "center_crop(size=24); random_affine(translate=[0.4, 0.4], fill=255); random_vertical_flip(p=1)",
        "center_crop(size=24); random_rotation(degrees=[20, 70], fill=255); random_affine(translate=[0.4, 0.4], fill=255); random_crop(size=30, padding=3, fill=255)",
    };
    char *folder = temporary_folder(), *path = joined(folder, "a.png");
    put_grey(folder, "a.png", 37, 29, 5);
    const char *const paths[] = {path};
    tl_source *s = open_records((tl_records){.count = 1, .path = paths, .mask = paths});
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        tl_error err = {0};
        tl_pipeline *p = pipeline(texts[k]);
        for (int64_t seed = 0; seed < 8; seed++) {
            tl_loader_config c = {.batch = 1, .threads = TL_THREADS_NONE, .seed = (uint64_t)seed};
            tl_loader *l = tl__loader_open(&err, s, p, &c);
            cr_assert(l, "%s", err.text);
            tl_batch b;
            cr_assert_eq(tl__loader_start(l, &err, 0), 0);
            cr_assert_eq(tl__loader_next(l, &err, &b), 1, "%s: %s", texts[k], err.text);
            int off = 0, n = b.height * b.width;
            for (int i = 0; i < n; i++) { /* the fill of a border may be black */
                long v = lrintf(b.x[i] * 255);
                off += v != b.mask[i] && !(b.mask[i] == TL_MASK_IGNORED && v == 0);
            }
            int most = strstr(texts[k], "rotat") || strstr(texts[k], "affine(deg") ? n / 50 : 0; /* maps in a row round once, not twice */
            cr_assert_leq(off, most, "%s, seed %d: %d of %d pixels", texts[k], (int)seed, off, n);
            tl__loader_recycle(l, &b);
            tl__loader_close(l);
        }
        tl__pipeline_free(p);
    }
    tl__source_free(s);
    free(path);
    remove_folder(folder);
}

static void move(tl_geometry *g, const double a[6], int width, int height)
{
    tl_affine m;
    memcpy(m.a, a, sizeof m.a);
    tl__geometry_move(g, &m, width, height);
}

Test(records, boxes_follow_and_are_clipped)
{
    tl_geometry g;
    tl_error err = {0};
    float box[] = {10, 20, 30, 60, 0, 0, 8, 8, 90, 90, 99, 99}, point[] = {10, 20, 200, NAN};
    int32_t label[] = {3, 4, 5};
    tl_marks in = {.boxes = 3, .points = 2, .box = box, .box_label = label, .point = point}, out = {0};
    tl__geometry_start(&g, 100, 100);
    cr_assert_eq(tl__geometry_marks(&err, &g, &in, &out), 0);
    cr_assert(out.boxes == 3 && out.points == 2 && memcmp(out.box, box, sizeof box) == 0 && memcmp(out.box_label, label, sizeof label) == 0);
    move(&g, (double[]){-1, 0, 100, 0, 1, 0}, 100, 100);    /* left and right exchanged */
    move(&g, (double[]){1, 0, 35, 0, 1, 40}, 60, 60);       /* a part at (35, 40): the last box is cut off, the second too */
    move(&g, (double[]){0.5, 0, 0, 0, 0.5, 0}, 120, 120);   /* twice as large */
    cr_assert_eq(g.count, 1);
    cr_assert_eq(tl__geometry_marks(&err, &g, &in, &out), 0);
    cr_assert_eq(out.boxes, 1);
    cr_assert_eq(out.box_label[0], 3);
    static const float wanted[] = {70, 0, 110, 40};
    for (int i = 0; i < 4; i++) cr_assert_float_eq(out.box[i], wanted[i], 1e-5, "%d: %g", i, (double)out.box[i]);
    cr_assert_float_eq(out.point[0], 110, 1e-5);
    cr_assert_float_eq(out.point[1], -40, 1e-5);
    cr_assert(isnan(out.point[3]));
    /* A quarter turn, and a shift that shows what the part has not: clipped to the part before it moves. */
    move(&g, (double[]){0, 1, 0, -1, 0, 120}, 120, 120);
    move(&g, (double[]){1, 0, -20, 0, 1, 0}, 120, 120);
    cr_assert_eq(g.count, 2);
    cr_assert_eq(tl__geometry_marks(&err, &g, &in, &out), 0);
    cr_assert_eq(out.boxes, 1);
    static const float turned[] = {100, 70, 120, 110};
    for (int i = 0; i < 4; i++) cr_assert_float_eq(out.box[i], turned[i], 1e-4, "%d: %g", i, (double)out.box[i]);
    tl__marks_free(&out);
}

Test(records, too_long_a_way_is_told)
{
    tl_geometry g;
    tl_error err = {0};
    tl_marks in = {0}, out = {0};
    int32_t to[4];
    uint8_t pixels[4] = {0};
    tl_image mask = {.width = 2, .height = 2, .channels = 1, .data = pixels};
    tl__geometry_start(&g, 2, 2);
    for (int i = 0; i < 40; i++) move(&g, (double[]){1, 0, 1, 0, 1, 0}, 2, 2);
    cr_assert_neq(tl__geometry_marks(&err, &g, &in, &out), 0);
    expect_error(err, "can follow 16 turns and shifts of a picture, and these are 40");
    cr_assert_neq(tl__geometry_mask(&err, &g, &mask, to), 0);
    expect_error(err, "16 turns");
}

Test(records, steps_that_cannot_keep_a_field)
{
    tl_error err = {0};
    tl_pipeline *p = pipeline("random_crop(size=8, padding=2, mode=reflect)");
    cr_assert_eq(tl__pipeline_keeps(&err, p, TL_FIELD_IMAGE | TL_FIELD_LABEL | TL_FIELD_VALUES | TL_FIELD_MASK), 0);
    cr_assert_neq(tl__pipeline_keeps(&err, p, TL_FIELD_BOXES), 0);
    expect_error(err, "random_crop with mode = reflect cannot keep boxes: what it mirrors would have none; take mode = constant");
    tl_transform_row row = *p->step[0].row; /* a step of the time before there were masks */
    row.touches = TL_FIELD_IMAGE | TL_FIELD_POINTS;
    row.keeps = NULL;
    p->step[0].row = &row;
    cr_assert_eq(tl__pipeline_keeps(&err, p, TL_FIELD_IMAGE | TL_FIELD_POINTS), 0);
    cr_assert_neq(tl__pipeline_keeps(&err, p, TL_FIELD_MASK | TL_FIELD_BOXES), 0);
    expect_error(err, "random_crop cannot keep mask; leave that step out");
    tl__pipeline_free(p);
}

/* ---- sources ---- */

static const char *const classes[] = {"cell", "vessel", "rest"};

Test(records, batches)
{
    char *folder = temporary_folder(), *path[5], *mask[5];
    for (int i = 0; i < 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d.png", i);
        put_grey(folder, name, 12, 10, i);
        path[i] = joined(folder, name);
        snprintf(name, sizeof name, "m%d.png", i);
        uint8_t v[120];
        memset(v, i == 4 ? 255 : 64 * (i % 3), sizeof v);
        tl_error err = {0};
        mask[i] = joined(folder, name);
        cr_assert_eq(tl__image_write_png(&err, mask[i], &(tl_image){.width = 12, .height = 10, .channels = 1, .data = v}), 0);
    }
    int16_t values_of_mask[256];
    memset(values_of_mask, -1, sizeof values_of_mask);
    values_of_mask[0] = 0, values_of_mask[64] = 2, values_of_mask[128] = 1;
    static const int32_t label[] = {0, 1, 2, -1, 1};
    static const float values[] = {1, 2, 3, NAN, 5, 6, 7, 8, 9, 10}, box[] = {1, 1, 5, 5, 2, 2, 12, 10, 0, 0, 3, 3}, point[] = {1, 2, 3, 4};
    static const int64_t box_offset[] = {0, 2, 2, 3, 3, 3}, point_offset[] = {0, 0, 0, 0, 0, 2};
    static const int32_t box_label[] = {2, 0, 1};
    static const char *const value_name[] = {"age", "dose"};
    tl_records r = {.count = 5, .path = (const char *const *)path, .label = label, .class_name = classes, .class_count = 3, .values = values,
                    .value_name = value_name, .value_count = 2, .mask = (const char *const *)mask, .mask_value = values_of_mask, .box_offset = box_offset,
                    .box = box, .box_label = box_label, .point_offset = point_offset, .point = point};
    tl_source *s = open_records(r), *view;
    tl_error err = {0};
    cr_assert_eq(s->fields, 63);
    static const int64_t order[] = {4, 2, 0, 1, 3};
    cr_assert(view = tl__source_subset(&err, s, order, 5));
    cr_assert(view->fields == 63 && view->value_count == 2 && strcmp(view->value_name[1], "dose") == 0);
    char a[65], c[65];
    cr_assert(tl__source_list_hash(&err, s, folder, a) == 0 && tl__source_list_hash(&err, view, folder, c) == 0 && strcmp(a, c) != 0);
    tl_pipeline *p = pipeline("random_horizontal_flip(p=1)");
    for (int threads = TL_THREADS_NONE; threads < 4; threads += 2) {
        tl_loader_config config = {.batch = 3, .threads = threads};
        tl_loader *l = tl__loader_open(&err, view, p, &config);
        tl_batch b;
        cr_assert(l, "%s", err.text);
        cr_assert_eq(tl__loader_start(l, &err, 0), 0);
        cr_assert_eq(tl__loader_next(l, &err, &b), 1);
        cr_assert(b.n == 3 && b.value_count == 2 && b.values[0] == 9 && b.values[4] == 1 && b.labels[0] == 1);
        cr_assert(b.mask[0] == TL_MASK_IGNORED && b.mask[120] == 1 && b.mask[240] == 0);
        static const int64_t offsets[] = {0, 0, 1, 3}, points[] = {0, 2, 2, 2};
        cr_assert(memcmp(b.box_offsets, offsets, sizeof offsets) == 0 && memcmp(b.point_offsets, points, sizeof points) == 0);
        cr_assert(b.box_labels[0] == 1 && b.box_labels[1] == 2 && b.box_labels[2] == 0);
        cr_assert(b.boxes[0] == 9 && b.boxes[2] == 12 && b.boxes[4] == 7 && b.boxes[5] == 1 && b.boxes[8] == 0);
        cr_assert(b.points[0] == 11 && b.points[1] == 2);
        tl__loader_recycle(l, &b);
        cr_assert_eq(tl__loader_next(l, &err, &b), 1);
        cr_assert(b.n == 2 && isnan(b.values[1]) && b.mask[0] == 2 && b.box_offsets[2] == 0 && b.labels[1] == -1);
        tl__loader_recycle(l, &b);
        tl__loader_close(l);
    }
    static const char *const mixes[] = {"mixup cannot mix values", "cutmix cannot mix values"};
    for (int k = 0; k < 2; k++) {
        tl_loader_config config = {.batch = 3, .mixup = k ? 0 : 1, .cutmix = k};
        cr_assert_null(tl__loader_open(&err, s, p, &config));
        expect_error(err, mixes[k]);
    }
    tl__pipeline_free(p);
    tl__source_free(s);
    tl__source_free(view);
    for (int i = 0; i < 5; i++) free(path[i]), free(mask[i]);
    remove_folder(folder);
}

/* Each allocation of opening, reading and a batch fails once. */
Test(records, survive_a_lack_of_memory)
{
    char *folder = temporary_folder(), *path = joined(folder, "a.png");
    put_grey(folder, "a.png", 12, 10, 0);
    const char *const paths[] = {path, path};
    static const float values[] = {1, 2}, box[] = {1, 1, 5, 5}, point[] = {1, 2};
    static const int64_t offset[] = {0, 0, 1};
    static const int32_t label[] = {0, 1};
    static const char *const value_name[] = {"age"};
    int16_t mask_value[256] = {0};
    tl_records r = {.count = 2, .path = paths, .label = label, .class_name = classes, .class_count = 3, .values = values, .value_name = value_name,
                    .value_count = 1, .mask = paths, .mask_value = mask_value, .box_offset = offset, .box = box, .box_label = label,
                    .point_offset = offset, .point = point};
    tl_pipeline *p = pipeline("resize(size=5)");
    long n = 1, status = 0;
    for (; status != 1; n++) {
        tl_error err = {0};
        tl_batch b = {.slot = -1};
        tl_loader *l = NULL;
        tl__inject_failure(n);
        tl_source *s = tl__source_records(&err, &r), *view = s ? tl__source_subset(&err, s, (int64_t[]){1, 0}, 2) : NULL;
        if (view) l = tl__loader_open(&err, view, p, &(tl_loader_config){.batch = 2, .threads = TL_THREADS_NONE});
        status = l && tl__loader_start(l, &err, 0) == 0 ? tl__loader_next(l, &err, &b) : -1;
        tl__inject_failure(0);
        cr_assert(status == 1 || err.code == TL_EMEMORY, "%ld: %s", n, err.text);
        if (l) tl__loader_recycle(l, &b);
        tl__loader_close(l);
        tl__source_free(view);
        tl__source_free(s);
    }
    cr_assert_gt(n, 30);
    tl__pipeline_free(p);
    free(path);
    remove_folder(folder);
}

Test(records, refuses)
{
    char *folder = temporary_folder(), *path = joined(folder, "a.png"), *other = joined(folder, "b.png"), *colour = joined(folder, "c.png");
    put_grey(folder, "a.png", 12, 10, 0);
    put_grey(folder, "b.png", 10, 12, 0);
    put_golden(folder, "c.png", "colour.png");
    const char *const paths[] = {path}, *const others[] = {other}, *const colours[] = {colour};
    static const int64_t offset[] = {0, 1};
    static const float box[] = {1, 1, 5, 5}, wrong[] = {5, 1, 1, 5};
    tl_records r = {.count = 1, .path = paths, .class_name = classes, .class_count = 3};
    r.label = (int32_t[]){3};
    refuse(r, "a.png: label 3 of 3 classes");
    r.label = NULL;
    r.box_offset = offset;
    r.box = wrong;
    r.box_label = (int32_t[]){0};
    refuse(r, "a.png: box 1 is (5, 1, 1, 5), and must be left, top, right, bottom");
    r.box = box;
    r.box_label = (int32_t[]){-1};
    refuse(r, "a.png: box 1 has label -1 of 3 classes");
    r.box = NULL;
    int16_t values[256] = {9};
    r.mask = paths;
    r.mask_value = values;
    refuse(r, "mask value 0 is to be class 9, and there are 3");
    r.mask_value = NULL;
    tl_target t = {0};
    tl_error err = {0};
    tl_source *s = open_records(r);
    cr_assert_neq(tl__source_target(&err, s, 0, TL_FIELD_MASK, &t), 0);
    expect_error(err, "a.png: the mask has the value 7 in row 1, column 4 (counted from 1), and no class has it");
    tl__source_free(s);
    r.class_count = 0;
    r.mask = others;
    s = open_records(r);
    tl_check_report report = {0};
    cr_assert_null(tl__loader_check(&err, s, 1, TL_BAD_ERROR, &report));
    tl__check_report_free(&report);
    expect_error(err, "b.png: the mask has 12 x 10 pixels (height x width), and its picture 10 x 12");
    tl_pipeline *p = pipeline("");
    tl_loader *l = tl__loader_open(&err, s, p, &(tl_loader_config){.batch = 1, .threads = TL_THREADS_NONE});
    tl_batch b;
    cr_assert(l && tl__loader_start(l, &err, 0) == 0 && tl__loader_next(l, &err, &b) == -1);
    expect_error(err, "b.png: the mask has 12 x 10 pixels (height x width), and its picture 10 x 12");
    tl__loader_close(l);
    tl__pipeline_free(p);
    tl__source_free(s);
    r.mask = colours;
    s = open_records(r);
    cr_assert_neq(tl__source_target(&err, s, 0, TL_FIELD_MASK, &t), 0);
    expect_error(err, "c.png: a mask has one number of 8 bits a pixel (grey, or a palette), and this has 3 of 8");
    tl__source_free(s);
    tl__target_free(&t);
    free(path), free(other), free(colour);
    remove_folder(folder);
}

/* Palettes give the index, grey pictures of few bits their own numbers. */
Test(records, masks_are_numbers)
{
    static const struct {
        const char *name;
        int most, colours;
    } cases[] = {{"palette.png", 255, 0}, {"grey1.png", 1, 2}, {"grey2.png", 3, 4}, {"grey4.png", 15, 16}, {"grey.png", 255, 0}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char path[128];
        int seen[256] = {0}, count = 0, highest = 0;
        tl_error err = {0};
        tl_image m = {0};
        tl_image_request request = {.indices = 1};
        snprintf(path, sizeof path, GOLDEN "%s", cases[k].name);
        cr_assert_eq(tl__image_read_as(&err, path, &request, &m), 0, "%s", err.text);
        cr_assert_eq(m.channels, 1);
        for (int i = 0; i < m.width * m.height; i++) {
            count += !seen[m.data[i]]++;
            if (m.data[i] > highest) highest = m.data[i];
        }
        cr_assert_leq(highest, cases[k].most);
        if (cases[k].colours) cr_assert_eq(count, cases[k].colours, "%s: %d", cases[k].name, count);
        tl__image_free(&m);
    }
}

/* A hash of the first batch of an epoch, 0 where allocation n (0: none) failed. */
static uint64_t batch_without(long n, const tl_records *r, const tl_pipeline *p, const tl_loader_config *c)
{
    tl_error err = {0};
    tl_batch b = {.slot = -1};
    uint64_t hash = 0;
    tl__inject_failure(n);
    tl_source *s = tl__source_records(&err, r);
    tl_loader *l = s ? tl__loader_open(&err, s, p, c) : NULL;
    int status = l && tl__loader_start(l, &err, 4) == 0 ? tl__loader_next(l, &err, &b) : -1;
    tl__inject_failure(0);
    cr_assert(status == 1 || err.code == TL_EMEMORY, "%ld: %s", n, err.text);
    if (status == 1) {
        cr_assert(b.height % 32 == 0 && b.box_offsets[b.n] > 0);
        hash = tl__hash64(b.x, sizeof *b.x * (size_t)(b.n * b.height * b.width * b.channels), 1);
        hash = tl__hash64(b.boxes, sizeof *b.boxes * 4 * (size_t)b.box_offsets[b.n], hash);
    }
    if (l) tl__loader_recycle(l, &b);
    tl__loader_close(l);
    tl__source_free(s);
    return hash;
}

/* The same of tiles that are put together, mixed, and of changing size. */
Test(records, mosaics_survive_a_lack_of_memory)
{
    char *folder = temporary_folder(), *path = joined(folder, "a.png");
    put_grey(folder, "a.png", 60, 40, 0);
    const char *const paths[] = {path, path, path};
    static const int32_t tile[] = {0, 0, 30, 40, 1, 20, 5, 40, 30, 2, 0, 0, 60, 40, 3}, label[] = {0, 1, 2};
    static const float box[] = {1, 1, 25, 30, 5, 5, 35, 20, 2, 2, 58, 38};
    static const int64_t offset[] = {0, 1, 2, 3};
    tl_records r = {.count = 3, .path = paths, .tile = tile, .class_name = classes, .class_count = 3,
                    .box_offset = offset, .box = box, .box_label = label};
    tl_loader_config c = {.batch = 3, .threads = TL_THREADS_NONE, .sizes = {32, 64},
                          .mosaic = {1, 1, 0, {-9, 9}, {0.5, 1.5}, {-2, 2, -2, 2}, {0.1, 0.1}, {0.5, 1.5}}};
    tl_pipeline *p = pipeline("to_channels(channels=3); letterbox(size=48); random_horizontal_flip(); random_hsv(); "
                              "normalize(mean=0, std=1)");
    uint64_t whole = batch_without(0, &r, p, &c), hash = 0;
    long n = 1;
    for (; hash == 0; n++) hash = batch_without(n, &r, p, &c);
    cr_assert_eq(hash, whole);
    cr_assert_gt(n, 50);
    tl__pipeline_free(p);
    free(path);
    remove_folder(folder);
}
