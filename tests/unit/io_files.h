/* io_files.h - what the tests of files of weights share (io.c, io_memory.c). */
#ifndef TLUA_IO_FILES_H
#define TLUA_IO_FILES_H

#include "io/io.h"
#include "golden_file.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GOLDEN "tests/golden/io/"

static inline tl_archive *open_golden(const char *name)
{
    char path[256];
    tl_error err = {0};
    snprintf(path, sizeof path, GOLDEN "%s", name);
    tl_archive *a = tl__archive_read(&err, path);
    cr_assert(a, "%s", err.text);
    cr_assert_eq(err.code, TL_OK);
    return a;
}

/* An error must be one line that begins with the path. */
static inline void check_error(const tl_error *err, const char *path, const char *part)
{
    cr_assert_neq(err->code, TL_OK);
    cr_assert(strncmp(err->text, path, strlen(path)) == 0, "no path in: %s", err->text);
    cr_assert(!strchr(err->text, '\n'), "two lines: %s", err->text);
    cr_assert(strstr(err->text, part), "no \"%s\" in: %s", part, err->text);
}

static inline char *temporary_folder(void)
{
    static char folder[] = "/tmp/tlua-io-XXXXXX";
    cr_assert(mkdtemp(folder));
    return folder;
}

static inline char *load(const char *name, size_t *n) { return golden_file(GOLDEN, name, n); }

static const char *const forms[] = {"expect.safetensors", "zip.pth", "deflated.pth", "zip64.pth", "legacy.pth", "legacy4.pth", "checkpoint.pth", "people.pth", "odd_legacy.pth"};

#endif
