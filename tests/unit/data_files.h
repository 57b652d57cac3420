/* data_files.h - what the tests of pictures, transforms, sources and loaders share: goldens by list,
 * folders to throw away, small data sets. */
#ifndef TLUA_TEST_DATA_FILES_H
#define TLUA_TEST_DATA_FILES_H

#include "data/loader.h"
#include "golden_file.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GOLDEN "tests/golden/data/"

/* Loads a golden file whole. */
static inline char *golden_load(const char *name, size_t *bytes) { return golden_file(GOLDEN, name, bytes); }

/* The next line of a list, cut off from the rest; its "@ OFFSET" goes to `*offset`. */
static inline char *golden_line(char **rest, long *offset)
{
    char *line = *rest, *end = strchr(line, '\n');
    if (!end) return NULL;
    *end = 0;
    *rest = end + 1;
    char *at = strrchr(line, '@');
    if (at) {
        *offset = atol(at + 1);
        at[-1] = 0;
    }
    return line;
}

static inline char *temporary_folder(void)
{
    char *path = strdup("/tmp/tlua_test_XXXXXX");
    cr_assert(mkdtemp(path));
    return path;
}

static inline void remove_below(const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        char *inner = tl__asprintf(NULL, "%s/%s", path, e->d_name);
        if (inner && remove(inner) != 0) remove_below(inner);
        free(inner);
    }
    if (d) closedir(d);
    remove(path);
}

static inline void remove_folder(char *path)
{
    remove_below(path);
    free(path);
}

/* Writes `bytes` into folder/name, making the folders between. */
static inline void put(const char *folder, const char *name, const void *data, size_t bytes)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *p = path + strlen(folder) + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = 0;
        mkdir(path, 0777);
        *p = '/';
    }
    FILE *f = fopen(path, "wb");
    cr_assert(f, "%s", path);
    cr_assert_eq(fwrite(data, 1, bytes, f), bytes);
    fclose(f);
}

/* Copies a golden into folder/name. */
static inline void put_golden(const char *folder, const char *name, const char *golden)
{
    size_t bytes;
    char *data = golden_load(golden, &bytes);
    put(folder, name, data, bytes);
    free(data);
}

static inline tl_source *open_source(tl_error *err, const char *kind, const char *root, tl_source_options o) { return tl__source_open(err, kind, root, &o); }

/* A CIFAR file of `n` records; picture i has the label i % classes and the pixels i + plane. */
static inline void put_cifar(const char *folder, const char *name, int n, int labels, int classes)
{
    size_t record = (size_t)labels + 3072;
    uint8_t *data = calloc((size_t)n, record);
    for (int i = 0; i < n; i++) {
        uint8_t *r = data + (size_t)i * record;
        r[labels - 1] = (uint8_t)(i % classes);
        for (int k = 0; k < 3072; k++) r[labels + k] = (uint8_t)(i + 50 * (k / 1024) + k % 1024 % 32);
    }
    put(folder, name, data, (size_t)n * record);
    free(data);
}

static inline tl_pipeline *pipeline(const char *text)
{
    tl_error err = {0};
    tl_pipeline *p = tl__pipeline_parse(&err, text);
    cr_assert(p, "%s", err.text);
    return p;
}

/* The error says `part`, in one line; it is cleared. */
#define expect_error(err, part)                                                          \
    do {                                                                                 \
        cr_assert((err).code != 0, "no error, expected: %s", part);                      \
        cr_assert(strstr((err).text, part), "\"%s\" lacks \"%s\"", (err).text, part);    \
        cr_assert_null(strchr((err).text, '\n'));                                        \
        (err) = (tl_error){0};                                                           \
    } while (0)

#endif
