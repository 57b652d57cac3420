/* volumes.c - every allocation on the way of volumes from the file to the batch made to fail: one line, nothing kept,
 * and the next try works. */
#include "data/loader.h"
#include "data/volumes.h"
#include "data_files.h"

#define NIFTI "tests/golden/nifti/"

static const char steps[] =
    "volume_grid(orientation=LPS, spacing=[1.2, 1.4, 2]); volume_normalise(how=quantiles, low=1, high=99); "
    "volume_fit(size=[4, 5, 6]); volume_patch(size=[3, 4, 4], foreground=0.5); volume_flip(p=[0.5, 0.5, 0.5]); "
    "volume_affine(degrees=[-9, 9, -9, 9, -9, 9], scale=[0.9, 1.1], p=1); volume_elastic(knots=5, mm=2, p=1); "
    "volume_gamma(gamma=[0.8, 1.2], p=1); volume_contrast(factor=[0.9, 1.1], p=1); volume_noise(deviation=[0, 0.1], "
    "p=1); volume_blur(sigma=[0.5, 1], p=1)";

/* Two epochs of batches of a source, all in one thread. 0 or -1. */
static int learn(tl_error *err, tl_source *s, const tl_pipeline *p)
{
    tl_loader_config config = {
        .batch = 2, .threads = TL_THREADS_NONE, .shuffle = 1, .seed = 3, .repeats = 3, .keep = 1 << 20};
    tl_loader *l = tl__loader_open(err, s, p, &config);
    tl_batch b;
    int status = l ? 0 : -1;
    for (int epoch = 0; status == 0 && epoch < 2; epoch++) {
        status = tl__loader_start(l, err, epoch);
        while (status == 0 && (status = tl__loader_next(l, err, &b)) == 1) {
            cr_assert(b.depth == 3 && b.height == 4 && b.width == 4 && b.mask);
            tl__loader_recycle(l, &b);
            status = 0;
        }
    }
    tl__loader_close(l);
    return status;
}

static int attempt(tl_error *err, const tl_records *r)
{
    tl_pipeline *p = tl__pipeline_parse(err, steps);
    tl_source *s = p ? tl__source_records(err, r) : NULL;
    int bad = !s || learn(err, s, p) != 0;
    tl__source_free(s);
    tl__pipeline_free(p);
    return bad;
}

/* Fails each allocation in turn, until so many are not asked for. */
static void walk(const tl_records *r, int least)
{
    for (long nth = 1;; nth++) {
        tl_error err = {0};
        tl__inject_failure(nth);
        int bad = attempt(&err, r);
        long asked = tl__inject_failure(0);
        if (!bad && asked < nth) {
            cr_assert_geq(nth - 1, least, "only %ld allocations", nth - 1);
            return;
        }
        cr_assert(bad, "allocation %ld failed, and nobody said so", nth);
        cr_assert(err.code == TL_EMEMORY && !strchr(err.text, '\n'), "%ld: %s", nth, err.text);
        cr_assert_lt(nth, 10000);
    }
}

Test(volumes, files_without_memory)
{
    static const char *const path[] = {NIFTI "int16.nii", NIFTI "float32.nii"};
    static const char *const mask[] = {NIFTI "uint8.nii", NIFTI "uint8.nii"}, *const names[] = {"none", "some"};
    const tl_volume_list list = {.count = 2, .files = 1, .path = path, .mask = mask, .classes = 2, .rest = 1};
    walk(&(tl_records){.count = 2, .volumes = &list, .class_name = names, .class_count = 2}, 60);
}

Test(volumes, channels_without_memory)
{
    static const char *const path[] = {NIFTI "int16.nii", NIFTI "int8.nii"};
    static const char *const mask[] = {NIFTI "uint8.nii"}, *const names[] = {"none", "some"};
    const tl_volume_list list = {.count = 1, .files = 2, .path = path, .mask = mask, .classes = 2, .rest = 0};
    walk(&(tl_records){.count = 1, .volumes = &list, .class_name = names, .class_count = 2}, 40);
}
