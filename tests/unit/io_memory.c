/* io_memory.c - files of weights without memory: whatever allocation fails, reading and writing end with one line and leave nothing behind. */
#include "io_files.h"

#include <malloc.h>

/* glibc counts some of the freed blocks that it keeps at hand as in use, so a leak shows only as growth
 * over many of the same calls: at least one smallest block for each. Assertions allocate, so none
 * stands between the calls. */
enum { ROUNDS = 200, SMALLEST_BLOCK = 32 };
static size_t in_use(void) { return mallinfo2().uordblks; }

/* Calls `work` many times with the `nth` allocation failing each time. Whether it succeeded all the same. */
static int works_without(int (*work)(tl_error *err, void *user), void *user, long nth, tl_error *err)
{
    size_t before = 0;
    for (int round = 0; round < ROUNDS; round++) {
        *err = (tl_error){0};
        if (round == ROUNDS / 2) before = in_use();
        tl__inject_failure(nth);
        int bad = work(err, user);
        tl__inject_failure(0);
        if (!bad) return 1;
    }
    size_t after = in_use();
    cr_assert_lt(after, before + ROUNDS / 2 * SMALLEST_BLOCK, "allocation %ld leaks: %s", nth, err->text);
    cr_assert_eq(err->code, TL_EMEMORY, "%s", err->text);
    return 0;
}

typedef struct file { const char *data; size_t n; } file;

static int read_it(tl_error *err, void *user)
{
    const file *f = user;
    tl_archive *a = tl__archive_read_memory(err, "f", NULL, f->data, f->n);
    tl__archive_free(a);
    return a ? 0 : -1;
}

Test(io_memory, every_allocation_may_fail)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        file f;
        tl_error err;
        char *data = load(forms[i], &f.n);
        f.data = data;
        long nth = 1;
        for (; !works_without(read_it, &f, nth, &err); nth++) check_error(&err, "f: ", "memory");
        cr_assert_geq(nth, 10, "%s: %ld", forms[i], nth);
        free(data);
    }
}

static char written[256];

static int write_it(tl_error *err, void *user)
{
    const tl_archive *a = user;
    return tl__safetensors_write(err, written, a->entries, a->count, (const char *[]){"k"}, (const char *[]){"v"}, 1);
}

Test(io_memory, every_allocation_of_writing_may_fail)
{
    char *folder = temporary_folder();
    snprintf(written, sizeof written, "%s/x.safetensors", folder);
    tl_archive *a = open_golden("zip.pth");
    long nth = 1;
    /* It ends at the latest at the folder's name for the last sync, whose lack is no failure. */
    for (tl_error err; !works_without(write_it, a, nth, &err); nth++) cr_assert_neq(access(written, F_OK), 0);
    cr_assert_geq(nth, 4);
    tl__archive_free(a);
    unlink(written);
    cr_assert_eq(rmdir(folder), 0, "something was left behind");
}
