/* folders.c - looking into folders of pictures. */
#include "data/folders.h"

#include "data/source.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_DEPTH 32

/* ---- lists ---- */

int tl__texts_add(tl_error *err, tl_texts *l, char *text)
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

void tl__texts_free(tl_texts *l)
{
    for (int64_t i = 0; i < l->count; i++) free(l->at[i]);
    free(l->at);
    *l = (tl_texts){0};
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

void tl__texts_sort(tl_texts *l)
{
    if (l->count) qsort(l->at, (size_t)l->count, sizeof *l->at, by_bytes);
}

void tl__passed_free(tl_passed *p)
{
    free(p->at);
    *p = (tl_passed){0};
}

/* Counts a file that is passed over. */
static int pass(tl_error *err, tl_passed *p, const char *name)
{
    char ending[sizeof p->at->ending] = "";
    const char *dot = strrchr(name, '.');
    if (dot && strlen(dot) < sizeof ending)
        for (int i = 0; dot[i]; i++) ending[i] = (char)tolower((unsigned char)dot[i]);
    for (int i = 0; i < p->count; i++)
        if (strcmp(p->at[i].ending, ending) == 0) {
            p->at[i].count++;
            return 0;
        }
    if (p->count == p->capacity) {
        int capacity = p->capacity ? 2 * p->capacity : 8;
        void *at = tl__realloc(err, p->at, (size_t)capacity * sizeof *p->at);
        if (!at) return -1;
        p->at = at;
        p->capacity = capacity;
    }
    memcpy(p->at[p->count].ending, ending, sizeof ending);
    p->at[p->count++].count = 1;
    return 0;
}

/* ---- one folder ---- */

enum { NOTHING, FOLDER, PICTURE, OTHER };

static int is_hidden(const char *name) { return name[0] == '.' || strcmp(name, "__MACOSX") == 0; }

/* What an entry is. A link counts as what it leads to; a picture's name that leads nowhere stays a picture, so that reading it says so. */
static int kind_of(const struct dirent *e, const char *path)
{
    int picture = tl__image_is_name(e->d_name) ? PICTURE : OTHER;
    struct stat st;
    if (e->d_type == DT_DIR) return FOLDER;
    if (e->d_type == DT_REG) return picture;
    if (stat(path, &st) != 0) return picture;
    return S_ISDIR(st.st_mode) ? FOLDER : S_ISREG(st.st_mode) ? picture : OTHER;
}

/* Calls take(with, err, name, path, kind) for what is in a folder, hidden names left out; `take` owns `path`. */
typedef int entry_taker(void *with, tl_error *err, const char *name, char *path, int kind);

static int each_entry(tl_error *err, const char *folder, entry_taker *take, void *with)
{
    DIR *d = opendir(folder);
    if (!d) return tl__fail(err, TL_EIO, "%s: cannot be opened: %s", folder, strerror(errno));
    int status = 0;
    while (status == 0) {
        errno = 0; /* NULL is the end, or an error */
        struct dirent *e = readdir(d);
        if (!e) {
            if (errno) status = tl__fail(err, TL_EIO, "%s: cannot be read to its end: %s", folder, strerror(errno));
            break;
        }
        if (is_hidden(e->d_name)) continue;
        char *path = tl__path_join(err, folder, e->d_name);
        status = path ? take(with, err, e->d_name, path, kind_of(e, path)) : -1;
    }
    closedir(d);
    return status;
}

struct names { tl_texts *names; tl_passed *passed; };

static int take_name(void *with, tl_error *err, const char *name, char *path, int kind)
{
    struct names *n = with;
    free(path);
    if (kind == FOLDER) return tl__texts_add(err, n->names, tl__strdup(err, name));
    if (kind == PICTURE && n->passed) n->passed->stray++;
    return 0;
}

int tl__folder_names(tl_error *err, const char *path, tl_texts *names, tl_passed *passed)
{
    struct names n = {names, passed};
    return each_entry(err, path, take_name, &n);
}

/* ---- folders below ---- */

/* The folders above one, up to where the walk began: by these a link that leads back is seen. */
typedef struct above {
    const char *path;
    dev_t device;
    ino_t number;
    const struct above *up;
    int depth;
} above;

struct inner { tl_texts folders, files; tl_passed *passed; };

static int take_inner(void *with, tl_error *err, const char *name, char *path, int kind)
{
    struct inner *n = with;
    if (kind == FOLDER) return tl__texts_add(err, &n->folders, path);
    if (kind == PICTURE) return tl__texts_add(err, &n->files, path);
    free(path);
    return pass(err, n->passed, name);
}

static int enter(tl_error *err, const char *path, above *here)
{
    struct stat st;
    if (stat(path, &st) != 0) return tl__fail(err, TL_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    here->path = path;
    here->device = st.st_dev;
    here->number = st.st_ino;
    here->depth = here->up ? here->up->depth + 1 : 0;
    if (here->depth > MAX_DEPTH) return tl__fail(err, TL_EIO, "%s: folders nested deeper than %d", path, MAX_DEPTH);
    for (const above *a = here->up; a; a = a->up)
        if (a->device == st.st_dev && a->number == st.st_ino)
            return tl__fail(err, TL_EIO, "%s: a link back to %s, in which it lies; remove the link", path, a->path);
    return 0;
}

/* A folder with what it holds, for sorting. */
typedef struct found {
    char *path;
    tl_texts files;
} found;

struct walk { found *at; int64_t count, capacity; tl_passed *passed; };

static int keep_folder(tl_error *err, struct walk *w, const char *path, tl_texts *files)
{
    if (w->count == w->capacity) {
        int64_t capacity = w->capacity ? 2 * w->capacity : 16;
        found *at = tl__realloc(err, w->at, (size_t)capacity * sizeof *at);
        if (!at) return -1;
        w->at = at;
        w->capacity = capacity;
    }
    found *f = &w->at[w->count];
    if ((f->path = tl__strdup(err, path)) == NULL) return -1;
    f->files = *files;
    *files = (tl_texts){0};
    w->count++;
    return 0;
}

static int walk_below(tl_error *err, struct walk *w, const char *path, const above *up)
{
    above here = {.up = up};
    struct inner inner = {.passed = w->passed};
    int status = enter(err, path, &here);
    if (status == 0) status = each_entry(err, path, take_inner, &inner);
    for (int64_t i = 0; status == 0 && i < inner.folders.count; i++) status = walk_below(err, w, inner.folders.at[i], &here);
    if (status == 0) status = keep_folder(err, w, path, &inner.files);
    tl__texts_free(&inner.folders);
    tl__texts_free(&inner.files);
    return status;
}

static int by_path(const void *a, const void *b) { return strcmp(((const found *)a)->path, ((const found *)b)->path); }

int tl__pictures_below(tl_error *err, const char *path, tl_texts *pictures, tl_passed *passed)
{
    struct walk w = {.passed = passed};
    int status = walk_below(err, &w, path, NULL);
    if (w.count) qsort(w.at, (size_t)w.count, sizeof *w.at, by_path);
    for (int64_t i = 0; i < w.count; i++) {
        tl_texts *files = &w.at[i].files;
        tl__texts_sort(files);
        for (int64_t k = 0; status == 0 && k < files->count; k++) {
            status = tl__texts_add(err, pictures, files->at[k]);
            files->at[k] = NULL;
        }
        tl__texts_free(files);
        free(w.at[i].path);
    }
    free(w.at);
    return status;
}

/* ---- parts ---- */

enum { CLASS, TRAIN, TEST, VALIDATION };

/* What the name of a folder means: "Train", "training_set" and "test data" without their case, marks and "set", "data" or "images". */
static int role_of(const char *name)
{
    static const struct { const char *word; int role; } words[] = {{"train", TRAIN}, {"training", TRAIN}, {"test", TEST}, {"testing", TEST},
                                                                   {"val", VALIDATION}, {"valid", VALIDATION}, {"validation", VALIDATION}};
    static const char *const endings[] = {"set", "data", "images"};
    char word[32];
    size_t n = 0;
    for (; *name && n + 1 < sizeof word; name++) {
        if (*name != '_' && *name != '-' && *name != ' ') word[n++] = (char)tolower((unsigned char)*name);
    }
    word[n] = 0;
    if (*name) return CLASS;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t m = strlen(endings[i]);
        if (n > m && strcmp(word + n - m, endings[i]) == 0) {
            word[n - m] = 0;
            break;
        }
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i].word) == 0) return words[i].role;
    return CLASS;
}

/* Does the folder root/name hold folders? -1 on error. */
static int has_folders(tl_error *err, const char *root, const char *name)
{
    char *path = tl__path_join(err, root, name);
    tl_texts inner = {0};
    int status = path ? tl__folder_names(err, path, &inner, NULL) : -1, any = inner.count > 0;
    tl__texts_free(&inner);
    free(path);
    return status == 0 ? any : -1;
}

/* The first folder of a role; a second one is an error, since nothing says which is meant. */
static int only_one(tl_error *err, const char *root, const tl_texts *names, int role, const char **name)
{
    *name = NULL;
    for (int64_t i = 0; i < names->count; i++) {
        if (role_of(names->at[i]) != role) continue;
        if (*name)
            return tl__fail(err, TL_EIO, "%s: %s and %s could both be the %s part; move one of them elsewhere", root, *name, names->at[i],
                            role == TRAIN ? "training" : "test");
        *name = names->at[i];
    }
    return 0;
}

/* Without a training part: are the folders classes? A part's name among them is one too where it holds pictures and no folders. */
static int check_classes(tl_error *err, const char *root, const tl_texts *names)
{
    for (int64_t i = 0; i < names->count; i++) {
        if (role_of(names->at[i]) == CLASS) continue;
        int inner = has_folders(err, root, names->at[i]);
        if (inner < 0) return -1;
        if (inner)
            return tl__fail(err, TL_EIO, "%s: %s looks like a part beside class folders; put these into a folder train beside it, or move it elsewhere", root,
                            names->at[i]);
    }
    return 0;
}

static int set_parts(tl_error *err, const char *root, const tl_texts *names, const char *train, const char *test, tl_parts *p)
{
    p->apart = 1;
    if (train && (p->train = tl__path_join(err, root, train)) == NULL) return -1;
    if (test && (p->test = tl__path_join(err, root, test)) == NULL) return -1;
    for (int64_t i = 0; i < names->count; i++)
        if (names->at[i] != train && names->at[i] != test && tl__texts_add(err, &p->unused, tl__path_join(err, root, names->at[i])) != 0) return -1;
    return 0;
}

static int sort_out(tl_error *err, const char *root, const tl_texts *names, tl_parts *p)
{
    const char *train, *test;
    int64_t classes = 0;
    for (int64_t i = 0; i < names->count; i++) classes += role_of(names->at[i]) == CLASS;
    if (only_one(err, root, names, TRAIN, &train) != 0 || only_one(err, root, names, TEST, &test) != 0) return -1;
    if (!test && only_one(err, root, names, VALIDATION, &test) != 0) return -1;
    /* A folder of pictures beside class folders is a class that happens to be called so: a train among cars. */
    if (train && classes) {
        int inner = has_folders(err, root, train);
        if (inner < 0) return -1;
        if (!inner) train = NULL;
    }
    if (train || (test && !classes)) return set_parts(err, root, names, train, test, p);
    if (check_classes(err, root, names) != 0) return -1;
    return (p->train = tl__strdup(err, root)) ? 0 : -1;
}

int tl__folder_parts(tl_error *err, const char *root, tl_parts *p)
{
    tl_texts names = {0};
    *p = (tl_parts){0};
    int status = tl__folder_names(err, root, &names, NULL);
    tl__texts_sort(&names);
    if (status == 0) status = sort_out(err, root, &names, p);
    tl__texts_free(&names);
    if (status != 0) tl__parts_free(p);
    return status;
}

void tl__parts_free(tl_parts *p)
{
    free(p->train);
    free(p->test);
    tl__texts_free(&p->unused);
    *p = (tl_parts){0};
}
