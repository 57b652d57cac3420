/* source_folder.c - one folder per class, with torchvision's ImageFolder rules: classes are the sorted names of the folders, and
 * their pictures all files below with a picture's ending (data/folders.h). Names are compared and kept in Unicode's composed form. */
#include "base/near.h"
#include "base/path.h"
#include "data/source.h"

#include <stdlib.h>
#include <string.h>

typedef struct folder {
    tl_source base;
    tl_texts path;
    tl_passed passed;
} folder;

static void folder_close(tl_source *s)
{
    folder *f = (folder *)s;
    tl__texts_free(&f->path);
    tl__passed_free(&f->passed);
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

static const tl_source_ops folder_ops = {.kind = "folder", .from_files = 1, .close = folder_close, .read = folder_read, .locate = folder_locate};

/* ---- classes ---- */

/* The folder of a class and its name in the composed form. */
typedef struct class_folder { char *name, *folder; } class_folder;

typedef struct class_list { class_folder *at; int64_t count; } class_list;

static void classes_free(class_list *c)
{
    for (int64_t i = 0; i < c->count; i++) {
        free(c->at[i].name);
        free(c->at[i].folder);
    }
    free(c->at);
    *c = (class_list){0};
}

static int by_name(const void *a, const void *b) { return strcmp(((const class_folder *)a)->name, ((const class_folder *)b)->name); }

/* The classes in `path`, sorted by name. */
static int list_classes(tl_error *err, const char *path, class_list *c, tl_passed *passed)
{
    tl_texts names = {0};
    int status = tl__folder_names(err, path, &names, passed);
    if (status == 0) status = (c->at = tl__calloc(err, (size_t)names.count + 1, sizeof *c->at)) ? 0 : -1;
    for (int64_t i = 0; status == 0 && i < names.count; i++) {
        class_folder *each = &c->at[c->count++];
        each->folder = tl__strdup(err, names.at[i]);
        each->name = each->folder ? tl__text_form(err, names.at[i], 1) : NULL;
        status = each->name ? 0 : -1;
    }
    if (status == 0 && c->count) qsort(c->at, (size_t)c->count, sizeof *c->at, by_name);
    for (int64_t i = 1; status == 0 && i < c->count; i++)
        if (strcmp(c->at[i - 1].name, c->at[i].name) == 0)
            status = tl__fail(err, TL_EIO, "%s: two folders are called %s, in Unicode's composed and decomposed form; put their pictures into one", path, c->at[i].name);
    tl__texts_free(&names);
    if (status != 0) classes_free(c);
    return status;
}

/* The names of a list of classes, as an array that ends with NULL; they stay the list's. */
static const char **names_of(tl_error *err, const class_list *c)
{
    const char **names = tl__calloc(err, (size_t)c->count + 1, sizeof *names);
    for (int64_t i = 0; names && i < c->count; i++) names[i] = c->at[i].name;
    return names;
}

/* Keeps of the classes those that `o->only` names. Of a training part each must be there. */
static int select_classes(tl_error *err, const char *path, class_list *c, const tl_source_options *o, int whole)
{
    const char **names = names_of(err, c);
    int status = names ? 0 : -1;
    int64_t kept = 0;
    for (int k = 0; status == 0 && whole && k < o->only_count; k++) {
        int found = 0;
        char hint[96];
        for (int64_t i = 0; i < c->count && found == 0; i++) found = tl__same_name(err, o->only[k], c->at[i].name);
        if (found == 0)
            tl__fail(err, TL_EARG, "%s: it has no class folder \"%s\"%s", path, o->only[k],
                     tl__did_you_mean(o->only[k], names, hint, sizeof hint));
        status = found > 0 ? 0 : -1;
    }
    for (int64_t i = 0; status == 0 && i < c->count; i++) {
        int found = 0;
        for (int k = 0; k < o->only_count && found == 0; k++) found = tl__same_name(err, o->only[k], c->at[i].name);
        if (found < 0) status = -1;
        if (found <= 0) continue;
        class_folder each = c->at[i]; /* exchanged, so that the list still owns both */
        c->at[i] = c->at[kept];
        c->at[kept++] = each;
    }
    for (int64_t i = kept; status == 0 && i < c->count; i++) {
        free(c->at[i].name);
        free(c->at[i].folder);
    }
    if (status == 0) c->count = kept;
    free(names);
    return status;
}

/* ---- opening ---- */

/* The folder of a part; NULL with `*missing` where the data have none. */
static char *part_folder(tl_error *err, const char *root, const char *part, int *missing)
{
    tl_parts parts;
    int test = strcmp(part, "test") == 0;
    if (tl__folder_parts(err, root, &parts) != 0) return NULL;
    char *path = test ? parts.test : parts.train;
    if (path) {
        path = tl__strdup(err, path);
    } else {
        *missing = 1;
        if (test)
            tl__fail_missing_part(err, root, part, parts.apart ? "no folder test, val or valid beside train" : "no folders train and test", 1);
        else
            tl__fail(err, TL_EIO, "%s: it has a test part (%s) and no training part; put the training pictures into a folder train beside it, or name the folder of the classes itself",
                     root, parts.test);
    }
    tl__parts_free(&parts);
    return path;
}

/* "; 5 .webp, 3 .bmp are passed over", into `text`; empty where nothing is. */
static const char *passed_text(const tl_passed *p, char *text, size_t size)
{
    text[0] = 0;
    for (int i = 0; i < p->count && i < 5; i++) {
        size_t used = strlen(text);
        snprintf(text + used, size - used, "%s%lld %s", i ? ", " : "; passed over: ", (long long)p->at[i].count, p->at[i].ending[0] ? p->at[i].ending : "without an ending");
    }
    return text;
}

/* Every class folder's pictures and labels. */
static int fill(tl_error *err, folder *f, const char *path, const class_list *classes, int lenient)
{
    char text[192];
    int64_t *end = tl__malloc(err, (size_t)classes->count * sizeof *end);
    const char **names = end ? names_of(err, classes) : NULL;
    int status = names ? 0 : -1;
    for (int64_t c = 0; status == 0 && c < classes->count; c++) {
        int64_t before = f->path.count;
        char *inner = tl__path_join(err, path, classes->at[c].folder);
        status = inner ? tl__pictures_below(err, inner, &f->path, &f->passed) : -1;
        if (status == 0 && f->path.count == before && !lenient)
            status = tl__fail(
                err, TL_EIO, "%s: the class folder has no picture (JPEG, PNG, WebP, TIFF, BMP, GIF or DICOM)%s", inner,
                passed_text(&f->passed, text, sizeof text));
        end[c] = f->path.count;
        free(inner);
    }
    if (status == 0 && f->path.count == 0)
        status = tl__fail(
                err, TL_EIO, "%s: no picture (JPEG, PNG, WebP, TIFF, BMP, GIF or DICOM) in its class folders%s", path,
                passed_text(&f->passed, text, sizeof text));
    if (status == 0) status = tl__source_prepare(err, &f->base, f->path.count, names, (int)classes->count);
    for (int64_t c = 0, i = 0; status == 0 && c < classes->count; c++)
        for (; i < end[c]; i++) f->base.label[i] = (int32_t)c;
    free(names);
    free(end);
    return status;
}

static int open_classes(tl_error *err, folder *f, const char *path, const tl_source_options *o, int lenient, int test)
{
    class_list classes = {0};
    int status = list_classes(err, path, &classes, &f->passed);
    if (status == 0 && classes.count && o->only) status = select_classes(err, path, &classes, o, !test);
    if (status == 0 && classes.count == 0)
        status = tl__fail(err, TL_EIO, "%s: no class folder in it; pictures lie in one folder per class", path);
    else if (status == 0 && classes.count == 1 && !lenient)
        status = tl__fail(err, TL_EIO, "%s: only one class (%s); a classifier needs two or more", path, classes.at[0].name);
    if (status == 0) status = fill(err, f, path, &classes, lenient);
    classes_free(&classes);
    return status;
}

tl_source *tl__open_folder(tl_error *err, const char *root, const char *part, const tl_source_options *options,
                           int lenient, int *missing)
{
    char *path = part_folder(err, root, part, missing);
    folder *f = path ? tl__calloc(err, 1, sizeof *f) : NULL;
    int status = -1;
    if (f) {
        f->base.ops = &folder_ops;
        f->base.references = 1;
        status = open_classes(err, f, path, options, lenient, strcmp(part, "test") == 0);
        f->base.passed = &f->passed;
    }
    free(path);
    if (status == 0) return &f->base;
    if (f) tl__source_free(&f->base);
    return NULL;
}

int tl__folder_classes(tl_error *err, const char *root, char ***names)
{
    int missing, n = 0;
    char *path = part_folder(err, root, "train", &missing);
    class_list classes = {0};
    int status = path ? list_classes(err, path, &classes, NULL) : -1;
    *names = status == 0 ? tl__calloc(err, (size_t)classes.count + 1, sizeof **names) : NULL;
    for (; *names && n < classes.count; n++) {
        (*names)[n] = classes.at[n].name; /* taken over */
        classes.at[n].name = NULL;
    }
    free(path);
    classes_free(&classes);
    return *names ? n : -1;
}
