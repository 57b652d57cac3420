/* source_folder.c - one folder per class, with torchvision's ImageFolder rules: classes are the sorted names
 * of the folders, and their pictures all files below with a picture's ending, folder by folder in sorted
 * order. Names that start with a dot are passed over, since they are some program's and not the user's. */
#include "data/source.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 32 /* folders linked to themselves end here */

typedef struct list {
    char **at;
    int64_t count, capacity;
} list;

typedef struct folder {
    tl_source base;
    list path;
} folder;

/* Takes `text` over. */
static int list_add(tl_error *err, list *l, char *text)
{
    if (!text) return -1;
    if (l->count == l->capacity) {
        int64_t capacity = l->capacity ? 2 * l->capacity : 64;
        char **at = tl__realloc(err, l->at, (size_t)capacity * sizeof *at);
        if (!at) {
            free(text);
            return -1;
        }
        l->at = at;
        l->capacity = capacity;
    }
    l->at[l->count++] = text;
    return 0;
}

static void list_free(list *l)
{
    for (int64_t i = 0; i < l->count; i++) free(l->at[i]);
    free(l->at);
    *l = (list){0};
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void sort(list *l)
{
    if (l->count) qsort(l->at, (size_t)l->count, sizeof *l->at, by_bytes);
}

static void folder_close(tl_source *s)
{
    folder *f = (folder *)s;
    list_free(&f->path);
    free(f);
}

static int folder_read(tl_error *err, const tl_source *s, int64_t i, const tl_image_request *request, tl_image *out)
{
    return tl__image_read_as(err, ((const folder *)s)->path.at[i], request, out);
}

static const char *folder_locate(const tl_source *s, int64_t i, int64_t *number)
{
    *number = -1;
    return ((const folder *)s)->path.at[i];
}

static const tl_source_ops folder_ops = {"folder", 1, folder_close, folder_read, folder_locate};

/* Adds what is in `path`: folders to `folders` (whole paths, or names alone), picture files to `files`;
 * either may be NULL. */
static int scan(tl_error *err, const char *path, int names_alone, list *folders, list *files)
{
    DIR *d = opendir(path);
    if (!d) return tl__fail(err, TL_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    int status = 0;
    for (struct dirent *e; status == 0 && (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.') continue;
        int unsure = e->d_type != DT_DIR && e->d_type != DT_REG; /* a link, or a file system that does not say */
        int picture = files && e->d_type != DT_DIR && tl__image_is_name(e->d_name);
        if (e->d_type == DT_REG && !picture) continue;
        char *whole = tl__path_join(err, path, e->d_name);
        if (!whole) {
            status = -1;
        } else if (e->d_type == DT_DIR || (unsure && tl__is_folder(whole))) {
            if (folders)
                status = list_add(err, folders, names_alone ? tl__strdup(err, e->d_name) : whole);
            if (folders && !names_alone) whole = NULL;
        } else if (picture && (e->d_type == DT_REG || tl__is_file(whole))) {
            status = list_add(err, files, whole);
            whole = NULL;
        }
        free(whole);
    }
    closedir(d);
    return status;
}

/* The folder itself and all below, in the order in which Python sorts their paths. */
static int walk(tl_error *err, const char *path, int depth, list *all)
{
    list inner = {0};
    int status = depth > MAX_DEPTH ? tl__fail(err, TL_EIO, "%s: folders nested deeper than %d", path, MAX_DEPTH) : scan(err, path, 0, &inner, NULL);
    for (int64_t i = 0; status == 0 && i < inner.count; i++) status = walk(err, inner.at[i], depth + 1, all);
    if (status == 0) status = list_add(err, all, tl__strdup(err, path));
    list_free(&inner);
    return status;
}

/* Appends the pictures of one class. */
static int add_class(tl_error *err, folder *f, const char *path)
{
    list folders = {0};
    int status = walk(err, path, 0, &folders);
    sort(&folders);
    for (int64_t i = 0; status == 0 && i < folders.count; i++) {
        list files = {0};
        status = scan(err, folders.at[i], 0, NULL, &files);
        sort(&files);
        for (int64_t k = 0; status == 0 && k < files.count; k++) {
            status = list_add(err, &f->path, files.at[k]);
            files.at[k] = NULL;
        }
        list_free(&files);
    }
    list_free(&folders);
    return status;
}

/* root/train, root/test and so on where there is a training folder; else `root` is the training part. */
static char *part_folder(tl_error *err, const char *root, const char *part, int *missing)
{
    static const char *const tests[] = {"test", "val", "valid", "validation"};
    char *train = tl__path_join(err, root, "train");
    if (!train) return NULL;
    int parted = tl__is_folder(train);
    if (strcmp(part, "test") != 0) {
        if (parted) return train;
        free(train);
        return tl__strdup(err, root);
    }
    free(train);
    for (size_t i = 0; parted && i < sizeof tests / sizeof *tests; i++) {
        char *path = tl__path_join(err, root, tests[i]);
        if (!path || tl__is_folder(path)) return path;
        free(path);
    }
    *missing = 1;
    tl__fail_missing_part(err, root, part, parted ? "no folder test, val or valid beside train" : "no folders train and test");
    return NULL;
}

/* Every class folder's pictures and labels. */
static int fill(tl_error *err, folder *f, const char *path, const list *classes, int lenient)
{
    int64_t *end = tl__malloc(err, (size_t)classes->count * sizeof *end);
    int status = end ? 0 : -1;
    for (int64_t c = 0; status == 0 && c < classes->count; c++) {
        int64_t before = f->path.count;
        char *inner = tl__path_join(err, path, classes->at[c]);
        status = inner ? add_class(err, f, inner) : -1;
        if (status == 0 && f->path.count == before && !lenient)
            status = tl__fail(err, TL_EIO, "%s: the class folder has no picture (.jpg, .jpeg or .png)", inner);
        end[c] = f->path.count;
        free(inner);
    }
    if (status == 0 && f->path.count == 0) status = tl__fail(err, TL_EIO, "%s: no picture (.jpg, .jpeg or .png) in its class folders", path);
    if (status == 0) status = tl__source_prepare(err, &f->base, f->path.count, (const char *const *)classes->at, (int)classes->count);
    for (int64_t c = 0, i = 0; status == 0 && c < classes->count; c++)
        for (; i < end[c]; i++) f->base.label[i] = (int32_t)c;
    free(end);
    return status;
}

tl_source *tl__open_folder(tl_error *err, const char *root, const char *part, int lenient, int *missing)
{
    char *path = part_folder(err, root, part, missing);
    folder *f = path ? tl__calloc(err, 1, sizeof *f) : NULL;
    list classes = {0};
    int status = -1;
    if (f) {
        f->base.ops = &folder_ops;
        f->base.references = 1;
        status = scan(err, path, 1, &classes, NULL);
        sort(&classes);
        if (status == 0 && classes.count == 0)
            status = tl__fail(err, TL_EIO, "%s: no class folder in it; pictures lie in one folder per class", path);
        else if (status == 0 && classes.count == 1 && !lenient)
            status = tl__fail(err, TL_EIO, "%s: only one class (%s); a classifier needs two or more", path, classes.at[0]);
        else if (status == 0)
            status = fill(err, f, path, &classes, lenient);
    }
    list_free(&classes);
    free(path);
    if (status == 0) return &f->base;
    if (f) tl__source_free(&f->base);
    return NULL;
}

int tl__folder_classes(tl_error *err, const char *root, char ***names)
{
    int missing;
    char *path = part_folder(err, root, "train", &missing);
    list classes = {0};
    int status = path ? scan(err, path, 1, &classes, NULL) : -1;
    sort(&classes);
    free(path);
    if (status != 0) list_free(&classes);
    *names = classes.at;
    return status == 0 ? (int)classes.count : -1;
}
