/* source_files.c - single files without labels, for prediction. */
#include "data/source.h"

#include <stdlib.h>

typedef struct files {
    tl_source base;
    char **path;
} files;

static void files_close(tl_source *s)
{
    files *f = (files *)s;
    for (int64_t i = 0; f->path && i < s->count; i++) free(f->path[i]);
    free(f->path);
    free(f);
}

static int files_read(tl_error *err, const tl_source *s, int64_t i, const tl_image_request *request, tl_image *out)
{
    return tl__image_read_as(err, ((const files *)s)->path[i], request, out);
}

static const char *files_locate(const tl_source *s, int64_t i, int64_t *number)
{
    *number = -1;
    return ((const files *)s)->path[i];
}

static const tl_source_ops files_ops = {.kind = "files", .from_files = 1, .close = files_close, .read = files_read, .locate = files_locate};

tl_source *tl__source_files(tl_error *err, const char *const *path, int64_t count)
{
    files *f = tl__calloc(err, 1, sizeof *f);
    if (!f) return NULL;
    f->base.ops = &files_ops;
    int bad = tl__source_prepare(err, &f->base, count, NULL, 0) != 0 || (f->path = tl__calloc(err, (size_t)count, sizeof *f->path)) == NULL;
    for (int64_t i = 0; !bad && i < count; i++) {
        f->base.label[i] = -1;
        bad = (f->path[i] = tl__strdup(err, path[i])) == NULL;
    }
    if (!bad) return &f->base;
    tl__source_free(&f->base);
    return NULL;
}
