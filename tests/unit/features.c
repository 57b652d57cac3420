/* features.c - the cache of features: what was appended comes back, a killed writer's file goes on, and nothing
 * damaged is ever used. */
#include "data/features.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static const char *other = "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
enum { ROWS = 20, ELEMENTS = 33 };

static char path[64];
static void make_path(void)
{
    snprintf(path, sizeof path, "/tmp/tlua-features-%ld", (long)getpid());
    unlink(path);
}
/* In place of libc's: a folder on which files cannot be locked, as some of a network are. */
static int refuses_locks;
int flock(int fd, int how)
{
    if (!refuses_locks) return (int)syscall(SYS_flock, fd, how);
    errno = ENOLCK;
    return -1;
}

static float number(int64_t r, int i) { return (float)r + (float)i / 64; }

static void fill(tl_features *f, int64_t upto)
{
    tl_error err = {0};
    float row[ELEMENTS];
    for (int64_t r = tl__features_done(f); r < upto; r++) {
        for (int i = 0; i < ELEMENTS; i++) row[i] = number(r, i);
        cr_assert_eq(tl__features_append(&err, f, row, 1), 0, "%s", err.text);
    }
}

static void check_rows(tl_features *f, int64_t n)
{
    tl_error err = {0};
    float out[3 * ELEMENTS];
    for (int64_t r = 0; r + 2 < n; r++) {
        int64_t index[3] = {r + 2, r, r + 1};
        cr_assert_eq(tl__features_read(&err, f, index, 3, out), 0, "%s", err.text);
        for (int k = 0; k < 3; k++)
            for (int i = 0; i < ELEMENTS; i++) cr_assert_eq(out[k * ELEMENTS + i], number(index[k], i));
    }
}

Test(features, kept_and_continued, .fini = NULL)
{
    make_path();
    for (int half = 0; half < 2; half++) {
        tl_error err = {0};
        tl_dtype dtype = half ? TL_F16 : TL_F32;
        tl_features *f = tl__features_open(&err, path, key, ROWS, ELEMENTS, dtype, NULL);
        cr_assert(f, "%s", err.text);
        cr_assert_eq(tl__features_done(f), 0); /* the second time the type differs: made anew */
        fill(f, 7);
        cr_assert_null(tl__features_open(&err, path, key, ROWS, ELEMENTS, dtype, NULL));
        cr_assert_eq(err.code, TL_ESTATE);
        err = (tl_error){0};
        tl__features_close(f);
        f = tl__features_open(&err, path, key, ROWS, ELEMENTS, dtype, NULL);
        cr_assert_eq(tl__features_done(f), 7);
        fill(f, ROWS);
        check_rows(f, ROWS);
        cr_assert_neq(tl__features_append(&err, f, (float[ELEMENTS]){0}, 1), 0);
        tl__features_close(f);
        struct stat st;
        stat(path, &st);
        cr_assert_eq(st.st_size, tl__features_bytes(ROWS, ELEMENTS, dtype));
    }
    unlink(path);
}

Test(features, another_key_is_another_cache)
{
    make_path();
    tl_error err = {0};
    tl_features *f = tl__features_open(&err, path, key, ROWS, ELEMENTS, TL_F32, NULL);
    fill(f, ROWS);
    tl__features_close(f);
    f = tl__features_open(&err, path, other, ROWS, ELEMENTS, TL_F32, NULL);
    cr_assert_eq(tl__features_done(f), 0);
    tl__features_close(f);
    unlink(path);
}

Test(features, cut_at_every_length)
{
    make_path();
    tl_error err = {0};
    int64_t row = ELEMENTS * 4 + 4, whole = tl__features_bytes(ROWS, ELEMENTS, TL_F32);
    for (int64_t cut = 0; cut < whole; cut += 17) {
        tl_features *f = tl__features_open(&err, path, key, ROWS, ELEMENTS, TL_F32, NULL);
        fill(f, ROWS);
        tl__features_close(f);
        cr_assert_eq(truncate(path, cut), 0);
        f = tl__features_open(&err, path, key, ROWS, ELEMENTS, TL_F32, NULL);
        cr_assert(f, "%s", err.text);
        cr_assert_eq(tl__features_done(f), cut < 4096 ? 0 : (cut - 4096) / row);
        fill(f, ROWS);
        check_rows(f, ROWS);
        tl__features_close(f);
    }
    unlink(path);
}

Test(features, a_flipped_bit_is_noticed)
{
    make_path();
    tl_error err = {0};
    for (int64_t at = 0; at < tl__features_bytes(ROWS, ELEMENTS, TL_F32); at += at < 120 ? 1 : 61) {
        tl_features *f = tl__features_open(&err, path, key, ROWS, ELEMENTS, TL_F32, NULL);
        fill(f, ROWS);
        tl__features_close(f);
        FILE *file = fopen(path, "r+b");
        fseek(file, at, SEEK_SET);
        int c = fgetc(file);
        fseek(file, at, SEEK_SET);
        fputc(c ^ 4, file);
        fclose(file);
        f = tl__features_open(&err, path, key, ROWS, ELEMENTS, TL_F32, NULL);
        cr_assert(f);
        float out[ELEMENTS];
        int wrong = 0;
        for (int64_t r = 0; r < tl__features_done(f); r++) {
            tl_error e = {0};
            if (tl__features_read(&e, f, &r, 1, out) != 0) break;
            for (int i = 0; i < ELEMENTS; i++) wrong += out[i] != number(r, i);
        }
        cr_assert_eq(wrong, 0, "byte %lld", (long long)at);
        fill(f, ROWS); /* from where it was cut */
        check_rows(f, ROWS);
        tl__features_close(f);
    }
    unlink(path);
}

static tl_features *opened(tl_error *err) { return tl__features_open(err, path, key, ROWS, ELEMENTS, TL_F32, NULL); }

/* A file that somebody has just begun, or one of another version: no header that is understood, and in use all the same. */
Test(features, in_use_without_a_header)
{
    make_path();
    tl_error err = {0};
    tl_features_about about;
    cr_assert_neq(tl__features_about(&err, path, &about), 0); /* gone */
    cr_expect_eq(about.busy, 0);
    for (int64_t bytes = 0; bytes < 10000; bytes += 5000) {
        int fd = open(path, O_RDWR | O_CREAT, 0666);
        cr_assert(ftruncate(fd, bytes) == 0 && flock(fd, LOCK_SH) == 0);
        err = (tl_error){0};
        cr_assert_neq(tl__features_about(&err, path, &about), 0);
        cr_expect(about.busy == 1 && about.bytes == bytes);
        close(fd);
        err = (tl_error){0};
        cr_assert_neq(tl__features_about(&err, path, &about), 0);
        cr_expect_eq(about.busy, 0);
    }
    unlink(path);
}

Test(features, several_at_one_file)
{
    make_path();
    tl_error err = {0};
    tl_features *maker = opened(&err);
    fill(maker, 7);
    cr_assert_null(opened(&err));
    cr_expect_eq(err.code, TL_ESTATE, "%s", err.text);
    fill(maker, ROWS);
    err = (tl_error){0};
    tl_features *reader = opened(&err); /* whole, though its maker has not let go of it */
    cr_assert(reader, "%s", err.text);
    cr_assert_eq(tl__features_sync(&err, maker), 0);
    tl_features_about about;
    cr_assert_eq(tl__features_about(&err, path, &about), 0, "%s", err.text);
    cr_expect_eq(about.busy, 1);
    check_rows(reader, ROWS);
    check_rows(maker, ROWS);
    /* Damage that one of them meets: the other keeps what it has, and who comes next begins a file under the same name. */
    int64_t row = 11;
    float out[ELEMENTS];
    int fd = open(path, O_WRONLY);
    cr_assert_eq(pwrite(fd, "?", 1, 4096 + row * (ELEMENTS * 4 + 4) + 5), 1);
    close(fd);
    cr_assert_neq(tl__features_read(&err, reader, &row, 1, out), 0);
    cr_expect_eq(err.code, TL_EFORMAT, "%s", err.text);
    tl__features_close(reader);
    err = (tl_error){0};
    check_rows(maker, row);
    reader = opened(&err);
    cr_assert(reader, "%s", err.text);
    cr_expect_eq(tl__features_done(reader), 0);
    fill(reader, ROWS);
    check_rows(reader, ROWS);
    cr_assert_neq(tl__features_read(&err, maker, &row, 1, out), 0);
    tl__features_close(maker);
    tl__features_close(reader);
    err = (tl_error){0};
    reader = opened(&err);
    cr_expect_eq(tl__features_done(reader), ROWS);
    tl__features_close(reader);
    unlink(path);
}

/* A file that was cut while others read it is remade under them without being cut again. */
Test(features, an_unfinished_file_that_others_read)
{
    make_path();
    tl_error err = {0};
    tl_features *f = opened(&err);
    fill(f, ROWS);
    tl__features_close(f);
    tl_features *reader = opened(&err);
    cr_assert_eq(truncate(path, 4096 + 3 * (ELEMENTS * 4 + 4)), 0);
    f = opened(&err);
    cr_assert(f, "%s", err.text);
    cr_expect_eq(tl__features_done(f), 0);
    fill(f, ROWS);
    int64_t row = 5;
    float out[ELEMENTS];
    cr_assert_neq(tl__features_read(&err, reader, &row, 1, out), 0);
    cr_expect_eq(err.code, TL_EFORMAT, "what ends too early is damaged like any other: %s", err.text);
    tl__features_close(reader);
    check_rows(f, ROWS);
    tl__features_close(f);
    unlink(path);
}

Test(features, of_one_run_alone)
{
    make_path();
    tl_error err = {0};
    refuses_locks = 1;
    cr_assert_null(opened(&err));
    cr_expect_eq(err.code, TL_EIO);
    cr_expect(strstr(err.text, "cannot lock the feature cache: No locks available"), "%s", err.text);
    err = (tl_error){0};
    for (int i = 0; i < 2; i++) {
        tl_features *f = tl__features_own(&err, path, key, ROWS, ELEMENTS, TL_F32, "text");
        cr_assert(f, "%s", err.text);
        cr_expect_neq(access(path, F_OK), 0);
        fill(f, ROWS);
        cr_assert_eq(tl__features_sync(&err, f), 0);
        check_rows(f, ROWS);
        tl__features_close(f);
    }
    cr_assert_null(tl__features_own(&err, "/tmp/no such folder/features", key, ROWS, ELEMENTS, TL_F32, NULL));
    cr_expect_eq(err.code, TL_EIO);
}
