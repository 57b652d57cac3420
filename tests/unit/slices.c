/* slices.c - frames of DICOM files as pictures, stacks of slices and masks of series: every allocation made to fail,
 * and threads that read one source. */
#include "data/loader.h"
#include "data/series.h"
#include "data/source.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER "tests/golden/dicom_masks"

/* Fails each allocation in turn, until so many are not asked for. */
static void walk(int (*f)(tl_error *err, const char *path), const char *path, int least)
{
    for (long nth = 1; nth < 10000; nth++) {
        tl_error err = {0};
        tl__inject_failure(nth);
        int bad = f(&err, path);
        long asked = tl__inject_failure(0);
        if (!bad && asked < nth) {
            cr_assert_geq(nth - 1, least, "%s: only %ld allocations", path, nth - 1);
            return;
        }
        if (bad) cr_assert(err.code == TL_EMEMORY && !strchr(err.text, '\n'), "%s, %ld: %s", path, nth, err.text);
    }
    cr_assert(0, "%s: no end of allocations", path);
}

static int read_picture(tl_error *err, const char *path)
{
    tl_image_request r = {.deep = TL_DEEP_ALL, .channels = 3};
    tl_image one = {0}, two = {0};
    int bad = tl__image_read_as(err, path, &r, &one) != 0;
    r.window_count = 2;
    r.window[0] = (tl_image_window){40, 400};
    r.window[1] = (tl_image_window){0, TL_WINDOW_RANGE};
    bad = bad || tl__dicom_picture(err, path, 0, &r, &two) != 0 || two.channels != 2;
    tl__image_free(&one);
    tl__image_free(&two);
    return bad;
}

Test(slices, pictures_without_memory)
{
    walk(read_picture, "tests/golden/dicom/explicit.dcm", 8);
    walk(read_picture, "tests/golden/dicom/monochrome1.dcm", 8);
}

/* The golden series with its mask, three slices a sample. */
static tl_source *open_stacks(tl_error *err, const char *mask)
{
    tl_series_list list;
    uint8_t value[256], planes[5 * 7 * 9] = {0};
    const char *path[5], *name[5];
    int64_t slice[15];
    tl_plane plane[5] = {{0}};
    tl_source *s = NULL;
    for (int i = 0; i < 256; i++) value[i] = (uint8_t)i;
    if (tl__series_scan(err, FOLDER "/p1", &list) != 0) return NULL;
    int bad = list.count != 1 || list.at[0].count != 5;
    bad = bad || tl__series_mask(err, &list.at[0], mask, value, planes) != 0;
    for (int k = 0; !bad && k < 5; k++) {
        path[k] = list.at[0].slice[k].path;
        name[k] = mask;
        for (int j = 0; j < 3; j++) slice[3 * k + j] = (k + j < 1 ? 1 : k + j > 5 ? 5 : k + j);
        bad = tl__plane_pack(err, planes + k * 63, 7, 9, &plane[k]) != 0;
    }
    tl_stacks_given stacks = {.count = 5, .path = path, .width = 3, .slice = slice};
    tl_records r = {.count = 5, .stacks = &stacks, .mask = name, .plane = plane};
    if (!bad) s = tl__source_records(err, &r);
    for (int k = 0; k < 5; k++) free((char *)plane[k].data);
    tl__series_free(&list);
    return s;
}

static int read_stacks(tl_error *err, const char *mask)
{
    tl_source *s = open_stacks(err, mask);
    tl_image_request r = {.deep = TL_DEEP_ALL, .window_count = 1, .window = {{0, TL_WINDOW_RANGE}}};
    tl_image image = {0};
    tl_target target = {0};
    int bad = !s;
    for (int64_t i = 0; !bad && i < s->count; i++)
        bad = tl__source_read(err, s, i, &r, &image) != 0 || image.channels != 3 ||
              tl__source_target(err, s, i, TL_FIELD_MASK, &target) != 0;
    tl__image_free(&image);
    tl__target_free(&target);
    if (s) tl__source_free(s);
    return bad;
}

Test(slices, stacks_without_memory)
{
    walk(read_stacks, FOLDER "/bits.dcm", 60);
    walk(read_stacks, FOLDER "/plain.nii.gz", 60);
}

static void *read_all(void *argument)
{
    const tl_source *s = argument;
    tl_image_request r = {.deep = TL_DEEP_ALL, .window_count = 1, .window = {{150, 100}}};
    tl_image image = {0};
    tl_error err = {0};
    double sum = 0;
    for (int turn = 0; turn < 20; turn++)
        for (int64_t i = 0; i < s->count; i++) {
            if (tl__source_read(&err, s, i, &r, &image) != 0) return NULL;
            const float *x = (const float *)(const void *)image.data;
            for (int k = 0; k < 7 * 9 * 3; k++) sum += (double)x[k] * (double)(k + 1);
        }
    tl__image_free(&image);
    double *out = malloc(sizeof *out);
    *out = sum;
    return out;
}

Test(slices, threads_agree)
{
    tl_error err = {0};
    tl_source *s = open_stacks(&err, FOLDER "/map.dcm");
    cr_assert(s, "%s", err.text);
    double *alone = read_all(s);
    cr_assert(alone && *alone > 0);
    pthread_t thread[4];
    for (int i = 0; i < 4; i++) pthread_create(&thread[i], NULL, read_all, s);
    for (int i = 0; i < 4; i++) {
        void *got;
        pthread_join(thread[i], &got);
        cr_assert(got && *(double *)got == *alone);
        free(got);
    }
    free(alone);
    tl__source_free(s);
}

Test(slices, what_is_no_stack_is_refused)
{
    static const char *const path[] = {"a.dcm", "b.dcm"};
    static const int64_t slice[] = {1, 2, 3};
    tl_error err = {0};
    tl_stacks_given g = {.count = 2, .path = path, .width = 3, .slice = slice};
    tl_records r = {.count = 1, .stacks = &g};
    cr_assert_null(tl__source_records(&err, &r));
    cr_assert_str_eq(err.text, "stack 1: there is no slice 3 of 2");
    err = (tl_error){0};
    g.width = 2;
    cr_assert_null(tl__source_records(&err, &r));
    cr_assert_str_eq(err.text, "stacks of 2 slices; their number is odd");
}
