/* loader.c - the same batches whatever the number of threads, and a clean end at any moment. */
#include "data_files.h"

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

static const char *const augmented = "random_resized_crop(size=20); random_horizontal_flip(); random_affine(degrees=[-20, 20], shear=[-5, 5]); "
                                      "to_channels(channels=3); color_jitter(brightness=[0.5, 1.5], hue=[-0.1, 0.1]); rand_augment(); normalize(mean=0.5, std=0.5); "
                                      "random_erasing(noise=1)";

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
        tl_loader *l = open_loader(s, p, (tl_loader_config){.batch = 5, .threads = threads[t], .shuffle = 1, .seed = 9, .mixup = 0.4, .cutmix = 1, .max_prefetch = t % 2 ? 1 : 0});
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
    tl_loader *l = open_loader(s, p, (tl_loader_config){.batch = 5, .threads = 2, .shuffle = 1, .seed = 10, .mixup = 0.4, .cutmix = 1});
    cr_assert_neq(epoch_hash(l, 0, 0, &n), hash[0]);
    tl__loader_close(l);
    tl__source_free(s);
    tl__pipeline_free(p);
    remove_folder(root);
}

/* Batches are what the unmixed loader gives, mixed by what (seed, epoch, batch) draw; from an epoch on no more. */
Test(loader, mixes_batches)
{
    char *root = mixed_folder();
    tl_error err = {0};
    tl_source *s = open_source(&err, "folder", root, (tl_source_options){0});
    tl_pipeline *p = pipeline(augmented);
    tl_loader *plain = open_loader(s, p, (tl_loader_config){.batch = 5, .shuffle = 1, .seed = 9});
    tl_loader *mixed = open_loader(s, p, (tl_loader_config){.batch = 5, .shuffle = 1, .seed = 9, .mixup = 0.4, .cutmix = 1, .unmixed_from = 6});
    tl_batch a, b;
    int kinds[3] = {0}, hwc[3] = {20, 20, 3};
    for (int64_t epoch = 1; epoch < 8; epoch++) {
        int64_t first = epoch % 3; /* going on in mid-epoch gives the same */
        cr_assert_eq(tl__loader_start_at(plain, &err, epoch, first), 0);
        cr_assert_eq(tl__loader_start_at(mixed, &err, epoch, first), 0);
        for (int64_t i = first; tl__loader_next(plain, &err, &a) == 1; i++) {
            cr_assert_eq(tl__loader_next(mixed, &err, &b), 1);
            tl_mix m = tl__mix_draw(tl__rng_key(9, TL_RNG_MIX, (uint64_t)epoch << 40 ^ (uint64_t)i), epoch < 6 ? 0.4 : 0, epoch < 6 ? 1 : 0, 20, 20);
            kinds[m.kind]++;
            tl__mix_pictures(&m, a.x, a.n, hwc);
            cr_assert(a.n == b.n && b.share == m.share && a.share == 1.0);
            cr_assert_eq(memcmp(a.x, b.x, sizeof(float) * 1200 * (size_t)a.n), 0, "epoch %d, batch %d", (int)epoch, (int)i);
            cr_assert_eq(memcmp(a.labels, b.labels, sizeof *a.labels * (size_t)a.n), 0);
            tl__loader_recycle(plain, &a);
            tl__loader_recycle(mixed, &b);
        }
    }
    cr_assert(kinds[0] == 5 && kinds[1] > 1 && kinds[2] > 1, "%d, %d, %d", kinds[0], kinds[1], kinds[2]);
    tl__loader_close(plain);
    tl__loader_close(mixed);
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
        expect_error(err, "class0/08.x.png: no picture of a known format"); /* the first in order, whoever was quicker */
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
