/* source.c - sources read what other tools have written, and say what is wrong with their files. */
#include "data_files.h"

#include <zlib.h>

static void refuse(const char *kind, const char *root, tl_source_options o, const char *part)
{
    tl_error err = {0};
    cr_assert_null(tl__source_open(&err, kind, root, &o), "expected: %s", part);
    expect_error(err, part);
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

/* What unpackers and mirrors make of the names. */
Test(source, idx_under_other_names)
{
    static const char *const names[][2] = {{"train-images.idx3-ubyte", "train-labels.idx1-ubyte"},
                                           {"train-images.idx3-ubyte", "train-labels-idx1-ubyte"},
                                           {"train-images-idx3-ubyte/train-images-idx3-ubyte", "train-labels-idx1-ubyte/train-labels-idx1-ubyte"},
                                           {"raw/train-images.idx3-ubyte", "raw/train-labels.idx1-ubyte"},
                                           {"MNIST/raw/train-images.idx3-ubyte", "MNIST/raw/train-labels.idx1-ubyte"}};
    static const uint8_t pixels[16] = {0}, labels[4] = {3, 1, 4, 1};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int gz = 0; gz < (i == 2 ? 1 : 2); gz++) {
            char *root = temporary_folder();
            tl_error err = {0};
            put(root, names[i][0], "", 0); /* the folders */
            put(root, names[i][1], "", 0);
            put_idx(root, names[i][0], gz, (uint32_t[]){0x803, 4, 2, 2}, 4, pixels, 16);
            put_idx(root, names[i][1], gz, (uint32_t[]){0x801, 4}, 2, labels, 4);
            if (gz) {
                char *plain = tl__asprintf(NULL, "%s/%s", root, names[i][0]);
                unlink(plain);
                strcpy(strstr(plain, "train-images"), strstr(names[i][1], "train-labels"));
                unlink(plain);
                free(plain);
            }
            tl_source *s = open_source(&err, "mnist", root, (tl_source_options){0});
            cr_assert(s && s->count == 4 && s->label[2] == 4, "%s: %s", names[i][0], err.text);
            tl__source_free(s);
            remove_folder(root);
        }
    char *root = temporary_folder();
    put(root, "emnist-letters-train-images-idx3-ubyte.gz", "x", 1);
    refuse("mnist", root, (tl_source_options){0}, "no training part (train-images-idx3-ubyte; there is emnist-letters-train-images-idx3-ubyte.gz)");
    remove_folder(root);
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
    refuse("folder", root, o, "dog: the class folder has no picture (JPEG, PNG, WebP, TIFF, BMP, GIF or DICOM)");
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
    s = open_source(&err, "folder", root, (tl_source_options){.split = 0.5, .split_if_none = 1, .part = "test"});
    cr_assert(s && s->count == 1 && s->class_count == 3, "%s", err.text); /* its own part, whole */
    tl__source_free(s);
    s = open_source(&err, "folder", root, (tl_source_options){.split = 0.5, .split_if_none = 1});
    cr_assert(s && s->count == 3, "%s", err.text);
    tl__source_free(s);
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
    static const char *const far[] = {"고양이", "새", "강아지"};
    refuse("folder", root, (tl_source_options){.class_name = far, .class_count = 3},
           "class \"cat\" is not one of the 3 that are known: 고양이, 새, 강아지");
    const char *many[40];
    for (int i = 0; i < 40; i++) many[i] = i % 2 ? "고슴도치 한 마리" : "하늘다람쥐";
    refuse("folder", root, (tl_source_options){.class_name = many, .class_count = 40}, "하늘다람쥐, ...");
    remove_folder(root);
}

Test(source, some_of_the_class_folders)
{
    char *root = temporary_folder();
    tl_error err = {0};
    static const char *const names[] = {"ant", "bee", "cat", "dog"};
    char name[64];
    for (int c = 0; c < 4; c++)
        for (int i = 0; i < 2 + c; i++) {
            snprintf(name, sizeof name, "train/%s/%d.png", names[c], i);
            put_golden(root, name, "one.png");
        }
    put_golden(root, "test/cat/9.png", "one.png");
    put_golden(root, "test/dog/9.png", "one.png");
    put_golden(root, "test/owl/9.png", "one.png");
    static const char *const only[] = {"dog", "bee"}, *const wrong[] = {"dog", "be"}, *const single[] = {"dog"};
    tl_source_options o = {.only = only, .only_count = 2};
    tl_source *s = open_source(&err, "folder", root, o);
    cr_assert(s, "%s", err.text);
    cr_assert(s->count == 8 && s->class_count == 2);
    cr_assert_str_eq(s->class_name[0], "dog"); /* in the order that is said */
    cr_assert_str_eq(s->class_name[1], "bee");
    for (int i = 0; i < 8; i++) cr_assert_eq(s->label[i], i < 3, "%d", i);
    tl__source_free(s);
    o.part = "test"; /* which lacks bee, and has an owl */
    s = open_source(&err, "folder", root, o);
    cr_assert(s && s->count == 1 && s->class_count == 2 && s->label[0] == 0, "%s", err.text);
    tl__source_free(s);
    static const char *const model[] = {"ant", "bee", "cat", "dog"};
    s = open_source(&err, "folder", root,
                    (tl_source_options){.only = only, .only_count = 2, .class_name = model, .class_count = 4});
    cr_assert(s && s->count == 8 && s->class_count == 4 && s->label[0] == 1 && s->label[7] == 3, "%s", err.text);
    tl__source_free(s);
    refuse("folder", root, (tl_source_options){.only = wrong, .only_count = 2},
           "train: it has no class folder \"be\"; did you mean \"bee\"?");
    refuse("folder", root, (tl_source_options){.only = single, .only_count = 1}, "only one class (dog)");
    put(root, "train/eel/readme.txt", "x", 1); /* an empty folder is no matter where it is not read */
    s = open_source(&err, "folder", root, (tl_source_options){.only = only, .only_count = 2});
    cr_assert(s && s->count == 8, "%s", err.text);
    tl__source_free(s);
    static const char *const empty[] = {"bee", "eel"};
    refuse("folder", root, (tl_source_options){.only = empty, .only_count = 2}, "eel: the class folder has no picture");
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

/* Ten patients of one to ten pictures in each of two classes, some of them in both. */
Test(source, split_keeps_groups_whole)
{
    enum { COUNT = 110 };
    char *root = temporary_folder(), name[64];
    int64_t group[COUNT], n = 0;
    tl_error err = {0};
    for (int c = 0; c < 2; c++)
        for (int g = 0; g < 10; g++)
            for (int i = 0; i <= g; i++) {
                snprintf(name, sizeof name, "class%d/%d_%02d.png", c, g, i);
                put_golden(root, name, "one.png");
                group[n++] = c == 1 && g < 5 ? g + 10 : g;
            }
    cr_assert_eq(n, COUNT);
    for (uint64_t seed = 0; seed < 20; seed++) {
        tl_source_options o = {.split = 0.3, .seed = seed, .group = group, .group_count = COUNT};
        tl_source *train = open_source(&err, "folder", root, o), *whole = open_source(&err, "folder", root, (tl_source_options){0});
        o.part = "test";
        tl_source *test = open_source(&err, "folder", root, o);
        cr_assert(train && test && whole, "%s", err.text);
        cr_assert_eq(train->count + test->count, COUNT);
        cr_expect(llabs(test->count - 34) <= 10, "%d test pictures of %d", (int)test->count, COUNT); /* half the largest group */
        int side[15] = {0};
        char *of_test = names_of(test);
        for (int64_t i = 0; i < COUNT; i++) {
            char *path = tl__source_name(&err, whole, i);
            side[group[i]] |= strstr(of_test, path) ? 1 : 2;
            free(path);
        }
        for (int g = 0; g < 15; g++) cr_expect(side[g] == 1 || side[g] == 2, "group %d is on both sides", g);
        free(of_test);
        tl__source_free(train);
        tl__source_free(test);
        tl__source_free(whole);
    }
    refuse("folder", root, (tl_source_options){.split = 0.3, .group = group, .group_count = 7}, "there are 110 pictures, and groups of 7");
    for (int i = 0; i < 55; i++) group[i] = 3;
    refuse("folder", root, (tl_source_options){.split = 0.3, .group = group, .group_count = COUNT}, "class \"class0\" is left with no test picture when groups stay whole");
    group[9] = COUNT;
    refuse("folder", root, (tl_source_options){.split = 0.3, .group = group, .group_count = COUNT}, "group 110 of picture 9");
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
