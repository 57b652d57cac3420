/* folders.c - parts under many names, what is passed over, links, class names in Unicode's two forms, and files that two sources share. */
#include "data/folders.h"

#include "data/shared.h"
#include "data_files.h"

#include <dlfcn.h>
#include <errno.h>

/* "고양이", composed and decomposed. */
#define CAT "\352\263\240\354\226\221\354\235\264"
#define CAT_APART "\341\204\200\341\205\251\341\204\213\341\205\243\341\206\274\341\204\213\341\205\265"

/* In place of libc's: a disk that fails after so many entries; below 0: none. */
static int entries_left = -1, read_failures;
struct dirent *readdir(DIR *d)
{
    static struct dirent *(*real)(DIR *);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "readdir");
    if (entries_left == 0) {
        read_failures++;
        errno = EIO;
        return NULL;
    }
    if (entries_left > 0) entries_left--;
    return real(d);
}

/* Makes root/FILE for each FILE of a list with spaces between. */
static void put_all(const char *root, const char *files)
{
    char *copy = strdup(files);
    for (char *name = strtok(copy, " "); name; name = strtok(NULL, " ")) {
        char *real = strdup(name);
        for (char *c = real; (c = strchr(c, '+')) != NULL;) *c = ' ';
        put_golden(root, real, "one.png");
        free(real);
    }
    free(copy);
}

Test(folders, parts_by_their_names)
{
    /* files; training, test and unused folders ("" is the root), or the error */
    static const struct { const char *files, *train, *test, *unused, *error; } cases[] = {
        {"train/a/1.png test/a/1.png", "/train", "/test", "", NULL},
        {"Train/a/1.png Test/a/1.png", "/Train", "/Test", "", NULL},
        {"TRAIN/a/1.png TEST/a/1.png", "/TRAIN", "/TEST", "", NULL},
        {"training/a/1.png testing/a/1.png", "/training", "/testing", "", NULL},
        {"train_set/a/1.png Test-Set/a/1.png", "/train_set", "/Test-Set", "", NULL},
        {"training+data/a/1.png Validation_Data/a/1.png", "/training data", "/Validation_Data", "", NULL},
        {"train/a/1.png valid/a/1.png", "/train", "/valid", "", NULL},
        {"train/a/1.png test/a/1.png val/a/1.png extra/x.png", "/train", "/test", "/extra /val", NULL},
        {"train/a/1.png", "/train", NULL, "", NULL},
        {"a/1.png b/1.png", "", NULL, "", NULL},
        {"test/a/1.png val/a/1.png", NULL, "/test", "/val", NULL},
        {"car/1.png train/1.png plane/1.png", "", NULL, "", NULL},        /* a class called so */
        {"control/1.png test/1.png", "", NULL, "", NULL},
        {"tests/1.png trainers/1.png", "", NULL, "", NULL},
        {"train/a/1.png __MACOSX/train/x.png .git/x.png", "/train", NULL, "", NULL},
        {"train/a/1.png Train/a/1.png", NULL, NULL, NULL, "Train and train could both be the training part"},
        {"train/a/1.png test/a/1.png Testing/a/1.png", NULL, NULL, NULL, "Testing and test could both be the test part"},
        {"train/a/1.png val/a/1.png validation/a/1.png", NULL, NULL, NULL, "val and validation could both be the test part"},
        {"a/1.png b/1.png test/a/1.png", NULL, NULL, NULL, "test looks like a part beside class folders"},
        {"a/1.png b/1.png val/a/1.png", NULL, NULL, NULL, "val looks like a part beside class folders"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *root = temporary_folder(), unused[256] = "";
        size_t n = strlen(root);
        tl_error err = {0};
        tl_parts p;
        put_all(root, cases[i].files);
        int status = tl__folder_parts(&err, root, &p);
        if (cases[i].error) {
            cr_assert_neq(status, 0, "%s", cases[i].files);
            expect_error(err, cases[i].error);
        } else {
            cr_assert_eq(status, 0, "%s: %s", cases[i].files, err.text);
            cr_assert_eq(p.train != NULL, cases[i].train != NULL, "%s", cases[i].files);
            cr_assert_eq(p.test != NULL, cases[i].test != NULL, "%s", cases[i].files);
            if (p.train) cr_expect_str_eq(p.train + n, cases[i].train, "%s: %s", cases[i].files, p.train);
            if (p.test) cr_expect_str_eq(p.test + n, cases[i].test, "%s: %s", cases[i].files, p.test);
            for (int64_t k = 0; k < p.unused.count; k++) sprintf(unused + strlen(unused), "%s%s", k ? " " : "", p.unused.at[k] + n);
            cr_expect_str_eq(unused, cases[i].unused, "%s: %s", cases[i].files, unused);
        }
        tl__parts_free(&p);
        remove_folder(root);
    }
}

Test(folders, parts_make_sources)
{
    char *root = temporary_folder();
    tl_error err = {0};
    put_all(root, "Training/a/1.png Training/b/1.png Training/c/1.png TESTING/c/1.png");
    tl_source *train = open_source(&err, "folder", root, (tl_source_options){0}), *test = open_source(&err, "folder", root, (tl_source_options){.part = "test"});
    cr_assert(train && test, "%s", err.text);
    cr_assert(train->count == 3 && train->class_count == 3 && test->count == 1 && test->label[0] == 2);
    tl__source_free(train);
    tl__source_free(test);
    remove_folder(root);
    /* A test part alone can be tested with a model's classes, and not trained on. */
    root = temporary_folder();
    static const char *const model[] = {"b", "a"};
    put_all(root, "Test/a/1.png Test/b/1.png");
    test = open_source(&err, "folder", root, (tl_source_options){.part = "test", .class_name = model, .class_count = 2});
    cr_assert(test && test->count == 2 && test->label[0] == 1, "%s", err.text);
    tl__source_free(test);
    cr_assert_null(open_source(&err, "folder", root, (tl_source_options){0}));
    expect_error(err, "/Test) and no training part; put the training pictures into a folder train beside it");
    remove_folder(root);
}

static int64_t passed_of(const tl_passed *p, const char *ending)
{
    for (int i = 0; p && i < p->count; i++)
        if (strcmp(p->at[i].ending, ending) == 0) return p->at[i].count;
    return 0;
}

Test(folders, a_folder_that_cannot_be_read_to_its_end)
{
    char *root = temporary_folder();
    put_all(root, "a/1.png a/2.png a/3.png b/1.png");
    int failed = 0;
    for (int n = 0, whole = 0; !whole; n++) {
        tl_error err = {0};
        tl_texts pictures = {0};
        tl_passed passed = {0};
        entries_left = n;
        read_failures = 0;
        int status = tl__pictures_below(&err, root, &pictures, &passed);
        whole = read_failures == 0;
        entries_left = -1;
        cr_assert_eq(status == 0, whole, "after %d entries", n);
        if (whole) cr_assert_eq(pictures.count, 4);
        else expect_error(err, "cannot be read to its end: Input/output error");
        failed += !whole;
        tl__texts_free(&pictures);
        tl__passed_free(&passed);
        cr_assert(n < 50);
    }
    cr_assert_geq(failed, 10);
    remove_folder(root);
}

Test(folders, what_is_no_jpeg_or_png_is_counted)
{
    char *root = temporary_folder();
    tl_error err = {0};
    put_all(root, "train/a/1.png train/a/2.JPG train/b/1.png train/b/deep/2.jpeg train/stray.png test/a/1.png test/b/1.png");
    static const char *const others[] = {"train/a/3.heic", "train/a/4.HEIC", "train/b/deep/5.heic", "train/b/1.nrrd",
                                         "train/b/README", "train/b/a.longer-than-any-ending", "train/a/.DS_Store",
                                         "train/notes.txt"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) put(root, others[i], "x", 1);
    char *fifo = tl__asprintf(NULL, "%s/train/a/pipe.png", root);
    cr_assert_eq(mkfifo(fifo, 0600), 0); /* reading it would wait for ever */
    tl_source *s = open_source(&err, "folder", root, (tl_source_options){.limit = 3}), *test = open_source(&err, "folder", root, (tl_source_options){.part = "test"});
    cr_assert(s && test, "%s", err.text);
    cr_expect_eq(s->count, 3);
    cr_expect_eq(passed_of(s->passed, ".heic"), 3);
    cr_expect_eq(passed_of(s->passed, ".nrrd"), 1);
    cr_expect_eq(passed_of(s->passed, ""), 2);
    cr_expect_eq(passed_of(s->passed, ".png"), 1); /* the pipe */
    cr_expect(s->passed->count == 4 && s->passed->stray == 1);
    cr_expect(test->passed->count == 0 && test->passed->stray == 0);
    tl__source_free(s);
    tl__source_free(test);
    free(fifo);
    remove_folder(root);
    root = temporary_folder();
    put_all(root, "a/1.png");
    put(root, "b/1.heic", "x", 1);
    cr_assert_null(open_source(&err, "folder", root, (tl_source_options){0}));
    expect_error(err, "/b: the class folder has no picture (JPEG, PNG, WebP, TIFF, BMP, GIF or DICOM); passed over: "
                      "1 .heic");
    remove_folder(root);
}

Test(folders, links)
{
    char *root = temporary_folder(), *elsewhere = temporary_folder();
    tl_error err = {0};
    tl_texts list = {0};
    tl_passed passed = {0};
    put_all(root, "a/1.png a/b/2.png");
    put_all(elsewhere, "3.png 4/5.png");
    char *to_folder = tl__asprintf(NULL, "%s/a/linked", root), *to_file = tl__asprintf(NULL, "%s/3.png", elsewhere), *file = tl__asprintf(NULL, "%s/a/6.png", root),
         *nowhere = tl__asprintf(NULL, "%s/a/gone.png", root), *back = tl__asprintf(NULL, "%s/a/b/back", root), *a = tl__asprintf(NULL, "%s/a", root);
    cr_assert(symlink(elsewhere, to_folder) == 0 && symlink(to_file, file) == 0 && symlink("no/such.png", nowhere) == 0);
    cr_assert_eq(tl__pictures_below(&err, a, &list, &passed), 0, "%s", err.text);
    static const char *const order[] = {"1.png", "6.png", "gone.png", "b/2.png", "linked/3.png", "linked/4/5.png"};
    cr_assert_eq(list.count, 6);
    for (int i = 0; i < 6; i++) cr_expect_str_eq(list.at[i] + strlen(a) + 1, order[i]);
    cr_expect_eq(passed.count, 0);
    tl__texts_free(&list);
    /* One that leads back up would never end. */
    cr_assert_eq(symlink(root, back), 0);
    cr_assert_neq(tl__pictures_below(&err, a, &list, &passed), 0);
    expect_error(err, "/a/b/back/a: a link back to ");
    tl__texts_free(&list);
    tl__passed_free(&passed);
    char *all[] = {to_folder, to_file, file, nowhere, back, a};
    unlink(back);
    unlink(to_folder);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    remove_folder(root);
    remove_folder(elsewhere);
}

Test(folders, composed_and_decomposed_names_are_one)
{
    char *root = temporary_folder();
    tl_error err = {0};
    put_all(root, "train/dog/1.png train/" CAT "/1.png test/dog/1.png test/" CAT_APART "/1.png");
    tl_source *train = open_source(&err, "folder", root, (tl_source_options){0}), *test = open_source(&err, "folder", root, (tl_source_options){.part = "test"});
    cr_assert(train && test, "%s", err.text);
    cr_assert(train->class_count == 2 && strcmp(train->class_name[1], CAT) == 0 && test->count == 2 && test->label[1] == 1);
    tl__source_free(train);
    tl__source_free(test);
    /* Labels of a model of before, and folders, in either form. */
    static const char *const model[] = {CAT_APART, "dog"};
    test = open_source(&err, "folder", root, (tl_source_options){.part = "test", .class_name = model, .class_count = 2});
    cr_assert(test && test->label[0] == 1 && test->label[1] == 0, "%s", err.text);
    tl__source_free(test);
    put_all(root, "train/" CAT_APART "/1.png");
    cr_assert_null(open_source(&err, "folder", root, (tl_source_options){0}));
    expect_error(err, "/train: two folders are called " CAT ", in Unicode's composed and decomposed form");
    remove_folder(root);
}

Test(folders, the_same_file_in_two_sources)
{
    char *root = temporary_folder(), *large = calloc(1, 30000);
    tl_error err = {0};
    int64_t count;
    memset(large, 'x', 30000);
    put(root, "train/a/1.png", large, 30000);
    put(root, "train/a/2.png", large, 30000); /* twice in training */
    put(root, "train/b/3.png", "small", 5);
    put(root, "train/b/5.png", "", 0);
    put(root, "test/b/1.png", large, 30000);
    put(root, "test/a/2.png", "small", 5);
    put(root, "test/a/3.png", "other", 5);
    large[29999] = 'y'; /* the same in the middle */
    put(root, "test/b/4.png", large, 30000);
    large[15000] = 'z';
    put(root, "test/b/5.png", large, 30000);
    tl_source *a = open_source(&err, "folder", root, (tl_source_options){0}), *b = open_source(&err, "folder", root, (tl_source_options){.part = "test"});
    cr_assert(a && b, "%s", err.text);
    tl_shared *list = tl__source_shared(&err, a, b, &count);
    cr_assert(list && count == 2, "%d: %s", (int)count, err.text);
    cr_expect(list[0].a == 2 && list[0].b == 0, "test/a/2 is train/b/3");
    cr_expect(list[1].a == 0 && list[1].b == 2, "test/b/1 is train/a/1, the first of two");
    free(list);
    put_cifar(root, "train.bin", 20, 2, 10);
    tl_source *binary = open_source(&err, "cifar100", root, (tl_source_options){0});
    list = tl__source_shared(&err, binary, binary, &count);
    cr_assert(list && count == 0);
    free(list);
    tl__source_free(binary);
    for (long nth = 1, done = 0; !done; nth++) {
        err = (tl_error){0};
        tl__inject_failure(nth);
        list = tl__source_shared(&err, a, b, &count);
        done = tl__inject_failure(0) < nth;
        cr_assert_eq(list != NULL, done, "allocation %ld", nth);
        cr_assert_eq(err.code, done ? TL_OK : TL_EMEMORY);
        free(list);
    }
    tl__source_free(a);
    tl__source_free(b);
    free(large);
    remove_folder(root);
}

Test(folders, allocation_failures)
{
    char *root = temporary_folder();
    put_all(root, "train/a/1.png train/" CAT_APART "/x/1.png test/a/1.png val/a/1.png");
    put(root, "train/a/2.heic", "x", 1);
    for (long nth = 1, done = 0; !done; nth++) {
        tl_error err = {0};
        tl_parts p;
        tl__inject_failure(nth);
        int status = tl__folder_parts(&err, root, &p);
        tl_source *s = status == 0 ? open_source(&err, "folder", root, (tl_source_options){.part = "test"}) : NULL;
        tl_source *t = s ? open_source(&err, "folder", root, (tl_source_options){0}) : NULL;
        done = tl__inject_failure(0) < nth;
        cr_assert_eq(t != NULL, done, "allocation %ld: %s", nth, err.text);
        cr_assert_eq(err.code, done ? TL_OK : TL_EMEMORY, "%s", err.text);
        tl__parts_free(&p);
        tl__source_free(s);
        tl__source_free(t);
    }
    remove_folder(root);
}
