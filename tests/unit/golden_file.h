/* golden_file.h - a golden file, whole. */
#ifndef TLUA_GOLDEN_FILE_H
#define TLUA_GOLDEN_FILE_H

#include "base/base.h"

#include <criterion/criterion.h>

/* The caller frees it. */
static inline char *golden_file(const char *folder, const char *name, size_t *bytes)
{
    char path[256];
    tl_error err = {0};
    snprintf(path, sizeof path, "%s%s", folder, name);
    char *data = tl__read_file(&err, path, bytes);
    cr_assert(data, "%s", err.text);
    return data;
}

#endif
