/* medical.c - every allocation of the readers of DICOM, series and NIfTI made to fail: one line, nothing kept, and
 * the next try works. */
#include "data/series.h"
#include "data_files.h"
#include "io/dicom.h"

typedef int attempt(tl_error *err, const char *path);

/* Fails each allocation in turn, until so many are not asked for. */
static void walk(attempt *f, const char *path, int least)
{
    int n = 0;
    for (long nth = 1; n == 0 || nth <= n; nth++) {
        tl_error err = {0};
        tl__inject_failure(nth);
        int bad = f(&err, path);
        long asked = tl__inject_failure(0);
        if (!bad && asked < nth) {
            cr_assert_geq(nth - 1, least, "%s: only %ld allocations", path, nth - 1);
            return;
        }
        if (bad) cr_assert(err.code == TL_EMEMORY && !strchr(err.text, '\n'), "%s, %ld: %s", path, nth, err.text);
        cr_assert_lt(nth, 10000);
    }
}

static int read_dicom(tl_error *err, const char *path)
{
    tl_dicom *d = tl__dicom_open(err, path);
    float *values = d ? malloc((size_t)tl__dicom_numel(d) * 3 * sizeof *values) : NULL;
    int bad = !d;
    for (int i = 0; !bad && i < d->frames; i++) bad = tl__dicom_values(err, d, i, 0, values) != 0;
    free(values);
    tl__dicom_close(d);
    return bad;
}

Test(medical, dicom_without_memory)
{
    setenv("TLUA_DICOM_LIBRARY", "build/libtlua_dicom.so", 1);
    static const char *const all[] = {"explicit", "deflated",    "groups",      "palette",
                                      "rle",      "jpeg_pieces", "jpeg_ls_zero"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char path[80];
        snprintf(path, sizeof path, "tests/golden/dicom/%s.dcm", all[i]);
        walk(read_dicom, path, 4);
    }
}

static int read_series(tl_error *err, const char *folder)
{
    tl_series_list list;
    tl_volume v = {0};
    int bad = tl__series_scan(err, folder, &list) != 0;
    /* A line for a file that could not be read is kept, unless it was for want of memory. */
    for (int64_t i = 0; !bad && i < list.count; i++)
        if (!list.at[i].mixed && !list.at[i].doubles)
            bad = tl__series_volume(err, &list.at[i], TL_SERIES_FILL, 1, &v) != 0;
    if (!bad) cr_assert_eq(list.notes.count, 0, "%s", list.notes.at[0]);
    tl__volume_free(&v);
    tl__series_free(&list);
    return bad;
}

Test(medical, series_without_memory)
{
    char *root = temporary_folder(), *path = tl__path_join(NULL, root, "a.dcm");
    size_t bytes;
    char *data = tl__read_file(NULL, "tests/golden/dicom/groups.dcm", &bytes);
    cr_assert(data && tl__write_file(NULL, path, data, bytes) == 0);
    walk(read_series, root, 8);
    free(data);
    free(path);
    remove_folder(root);
}

static char *written;
static int read_nifti(tl_error *err, const char *path)
{
    static const double spacing[3] = {1, 1.3, 2};
    tl_volume v = {0}, out = {0};
    tl_grid grid;
    int bad = tl__nifti_read(err, path, &v, NULL) != 0 || tl__volume_orient(err, &v, "RAS") != 0;
    if (!bad) tl__volume_spaced(&v, spacing, &grid);
    bad = bad || tl__volume_resample(err, &v, &grid, 0, 0, &out) != 0 || tl__nifti_write(err, written, &out, 0) != 0;
    tl__volume_free(&v);
    tl__volume_free(&out);
    return bad;
}

Test(medical, nifti_without_memory)
{
    char *root = temporary_folder();
    written = tl__path_join(NULL, root, "b.nii.gz");
    walk(read_nifti, "tests/golden/nifti/times.nii.gz", 3);
    walk(read_nifti, "tests/golden/nifti/int16.nii", 3);
    free(written);
    remove_folder(root);
}

/* Several threads read the frames of one file and slices of one series. */
Test(medical, threads_agree)
{
    tl_series_list list;
    tl_error err = {0};
    tl_volume one = {0}, many = {0};
    char *root = temporary_folder(), *path = tl__path_join(NULL, root, "a.dcm");
    size_t bytes;
    char *data = tl__read_file(NULL, "tests/golden/dicom/groups.dcm", &bytes);
    cr_assert(data && tl__write_file(NULL, path, data, bytes) == 0);
    cr_assert_eq(tl__series_scan(&err, root, &list), 0, "%s", err.text);
    cr_assert_eq(tl__series_volume(&err, &list.at[0], 0, 1, &one), 0, "%s", err.text);
    cr_assert_eq(tl__series_volume(&err, &list.at[0], 0, 8, &many), 0, "%s", err.text);
    cr_assert_eq(memcmp(one.data, many.data, (size_t)tl__volume_numel(&one) * sizeof *one.data), 0);
    cr_assert_eq(memcmp(one.affine, many.affine, sizeof one.affine), 0);
    tl__volume_free(&one);
    tl__volume_free(&many);
    tl__series_free(&list);
    free(data);
    free(path);
    remove_folder(root);
}
