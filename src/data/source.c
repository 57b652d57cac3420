/* source.c - what all sources share: opening by kind, held-out parts, limits, labels by name, views. */
#include "data/source.h"

#include "base/near.h"
#include "base/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *const tl__source_kinds[] = {"cifar10", "cifar100", "mnist", "fashion_mnist", "folder", NULL};

static tl_source *(*const binary_openers[])(tl_error *, const char *, const char *, int64_t, int *) = {
    tl__open_cifar10, tl__open_cifar100, tl__open_mnist, tl__open_fashion_mnist};
enum { FOLDER = 4 };

/* ---- small helpers ---- */

char *tl__path_join(tl_error *err, const char *folder, const char *name)
{
    size_t n = strlen(folder);
    return tl__asprintf(err, "%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", name);
}

int tl__is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int tl__is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

void tl__names_free(char **names, int64_t count)
{
    for (int64_t i = 0; names && i < count; i++) free(names[i]);
    free(names);
}

char **tl__names_copy(tl_error *err, const char *const *name, int64_t count)
{
    char **copy = tl__calloc(err, (size_t)count + 1, sizeof *copy);
    for (int64_t i = 0; copy && i < count; i++) {
        if ((copy[i] = tl__strdup(err, name[i])) != NULL) continue;
        tl__names_free(copy, i);
        return NULL;
    }
    return copy;
}

int tl__fail_missing_part(tl_error *err, const char *folder, const char *part, const char *what, int may_split)
{
    if (strcmp(part, "test") != 0) return tl__fail(err, TL_EIO, "%s: no training part (%s)", folder, what);
    return tl__fail(err, TL_EIO, "%s: no test part (%s)%s", folder, what,
                    may_split ? "; `split = 0.2` holds a fifth of the training part out instead" : "; its files belong beside those of the training part");
}

int tl__names_read(tl_error *err, const char *path, int most, char ***names)
{
    *names = NULL;
    if (!tl__is_file(path)) return 0;
    char *text = tl__read_file(err, path, NULL), **list = text ? tl__calloc(err, (size_t)most, sizeof *list) : NULL;
    int count = 0, bad = !list;
    for (char *line = list ? text : NULL; line && *line && !bad;) {
        size_t n = strcspn(line, "\r\n");
        char after = line[n];
        line[n] = 0;
        if (n && count == most) bad = tl__fail(err, TL_EFORMAT, "%s: more than %d class names", path, most);
        if (n && !bad) bad = (list[count++] = tl__strdup(err, line)) == NULL;
        line += n + (after != 0);
    }
    free(text);
    if (bad) {
        tl__names_free(list, count);
        return -1;
    }
    *names = list;
    return count;
}

int tl__source_prepare(tl_error *err, tl_source *s, int64_t count, const char *const *class_name, int class_count)
{
    s->references = 1;
    s->count = count;
    s->fields = TL_FIELD_IMAGE | (class_count ? TL_FIELD_LABEL : 0);
    s->label = tl__calloc(err, (size_t)count, sizeof *s->label);
    s->class_name = s->label ? tl__calloc(err, (size_t)class_count, sizeof *s->class_name) : NULL;
    if (!s->class_name) return -1;
    for (s->class_count = 0; s->class_count < class_count; s->class_count++)
        if ((s->class_name[s->class_count] = tl__strdup(err, class_name[s->class_count])) == NULL) return -1;
    return 0;
}

tl_source *tl__source_retain(tl_source *s)
{
    s->references++;
    return s;
}

void tl__source_free(tl_source *s)
{
    if (!s || --s->references > 0) return;
    free(s->label);
    tl__names_free(s->class_name, s->class_count);
    tl__names_free(s->value_name, s->value_count);
    tl__names_free(s->alias, s->count);
    s->ops->close(s); /* frees the rest and `s` itself */
}

const char *tl__source_word(const tl_source *s, int one)
{
    if (s->fields & TL_FIELD_WAVE) return one ? "a clip" : "clips";
    if (s->fields & TL_FIELD_VOLUME) return one ? "a volume" : "volumes";
    if (s->fields & TL_FIELD_PIECES) return one ? "a text" : "texts";
    return one ? "a picture" : "pictures";
}

int tl__source_read(tl_error *err, const tl_source *s, int64_t i, const tl_image_request *request, tl_image *out)
{
    if (i < 0 || i >= s->count) return tl__fail(err, TL_EINDEX, "picture %lld of a source of %lld", (long long)i, (long long)s->count);
    if (!s->ops->read || s->fields & (TL_FIELD_WAVE | TL_FIELD_VOLUME | TL_FIELD_PIECES))
        return tl__fail(err, TL_EARG, "a source of %s has no pictures",
                        s->fields & TL_FIELD_WAVE ? "sound" : tl__source_word(s, 0));
    return s->ops->read(err, s, i, request, out);
}

int tl__source_wave(tl_error *err, const tl_source *s, int64_t i, const tl_audio_request *request,
                    tl_audio_heard *heard, tl_wave *out)
{
    if (!(s->fields & TL_FIELD_WAVE)) return tl__fail(err, TL_EARG, "a source of pictures has no sound");
    if (i < 0 || i >= s->count)
        return tl__fail(err, TL_EINDEX, "clip %lld of a source of %lld", (long long)i, (long long)s->count);
    return s->ops->wave(err, s, i, request, heard, out);
}

tl_clip tl__source_clip(const tl_source *s, int64_t i)
{
    return s->fields & TL_FIELD_WAVE ? s->ops->clip(s, i) : (tl_clip){0};
}

const char *tl__source_text(const tl_source *s, int64_t i)
{
    return s->fields & TL_FIELD_TEXT ? s->ops->text(s, i) : NULL;
}

int tl__source_volume(tl_error *err, const tl_source *s, int64_t i, tl_volume *image, tl_volume *mask)
{
    if (!(s->fields & TL_FIELD_VOLUME)) return tl__fail(err, TL_EARG, "the source has no volumes");
    if (mask && !(s->fields & TL_FIELD_MASK)) return tl__fail(err, TL_EARG, "the volumes have no masks");
    if (i < 0 || i >= s->count)
        return tl__fail(err, TL_EINDEX, "volume %lld of a source of %lld", (long long)i, (long long)s->count);
    return s->ops->volume(err, s, i, image, mask);
}

tl_extent tl__source_extent(const tl_source *s, int64_t i)
{
    return s->fields & TL_FIELD_VOLUME ? *s->ops->extent(s, i) : (tl_extent){.channels = 0};
}

tl_piece_row tl__source_pieces(const tl_source *s, int64_t i)
{
    while (s->ops->behind) s = s->ops->behind(s, &i);
    return s->fields & TL_FIELD_PIECES ? s->ops->pieces(s, i) : (tl_piece_row){.count = 0};
}

int tl__source_target(tl_error *err, const tl_source *s, int64_t i, unsigned fields, tl_target *out)
{
    out->value_count = 0;
    out->marks.boxes = out->marks.points = 0;
    if (i < 0 || i >= s->count) return tl__fail(err, TL_EINDEX, "sample %lld of a source of %lld", (long long)i, (long long)s->count);
    return s->ops->target ? s->ops->target(err, s, i, fields & s->fields, out) : 0;
}

char *tl__source_identity(tl_error *err, const tl_source *s, int64_t i)
{
    int64_t number = -1;
    if (s->ops->identity) return s->ops->identity(err, s, i);
    const char *path = s->ops->locate(s, i, &number);
    struct stat st;
    if (stat(path, &st) != 0) {
        tl__fail(err, TL_EIO, "%s: %s", path, strerror(errno));
        return NULL;
    }
    return tl__asprintf(err, "%s#%lld %lld %lld.%09ld", path, (long long)number, (long long)st.st_size, (long long)st.st_mtim.tv_sec,
                        (long)st.st_mtim.tv_nsec);
}

const char *tl__path_below(const char *root, const char *path)
{
    size_t n = strlen(root);
    if (strncmp(path, root, n) != 0) return path;
    path += n;
    return path + strspn(path, "/");
}

int tl__source_list_hash(tl_error *err, const tl_source *s, const char *root, char hex[65])
{
    tl_sha256 h;
    struct stat st = {0};
    const char *before = NULL;
    char *name = NULL, line[64];
    tl__sha256_init(&h);
    for (int64_t i = 0; i < s->count; i++) {
        int64_t number = -1;
        const char *path = s->ops->locate(s, i, &number), *label = s->label[i] >= 0 ? s->class_name[s->label[i]] : "";
        if (path != before) { /* many pictures may lie in one file */
            free(name);
            name = tl__text_form(err, tl__path_below(root, path), 1);
            if (!name) return -1;
            if (stat(path, &st) != 0) st.st_size = -1;
        }
        before = path;
        snprintf(line, sizeof line, "#%lld %lld", (long long)number, (long long)st.st_size);
        tl__sha256_update(&h, name, strlen(name));
        tl__sha256_update(&h, line, strlen(line) + 1);
        tl__sha256_update(&h, label, strlen(label) + 1);
        if (s->ops->target_hash && s->ops->target_hash(err, s, i, root, &h) != 0) {
            free(name);
            return -1;
        }
    }
    free(name);
    tl__sha256_final(&h, hex);
    return 0;
}

/* ---- a view of some pictures ---- */

typedef struct subset {
    tl_source base;
    tl_source *parent;
    int64_t *index;
} subset;

static void subset_close(tl_source *s)
{
    subset *v = (subset *)s;
    tl__source_free(v->parent);
    free(v->index);
    free(v);
}

static int subset_read(tl_error *err, const tl_source *s, int64_t i, const tl_image_request *request, tl_image *out)
{
    const subset *v = (const subset *)s;
    int bad = tl__source_read(err, v->parent, v->index[i], request, out);
    if (s->alone) s->label[i] = v->parent->label[v->index[i]];
    return bad;
}

static const char *subset_locate(const tl_source *s, int64_t i, int64_t *number)
{
    const subset *v = (const subset *)s;
    return v->parent->ops->locate(v->parent, v->index[i], number);
}

static int subset_target(tl_error *err, const tl_source *s, int64_t i, unsigned fields, tl_target *out)
{
    const subset *v = (const subset *)s;
    return tl__source_target(err, v->parent, v->index[i], fields, out);
}

static int subset_target_hash(tl_error *err, const tl_source *s, int64_t i, const char *root, tl_sha256 *h)
{
    const subset *v = (const subset *)s;
    return v->parent->ops->target_hash ? v->parent->ops->target_hash(err, v->parent, v->index[i], root, h) : 0;
}

static char *subset_identity(tl_error *err, const tl_source *s, int64_t i)
{
    const subset *v = (const subset *)s;
    return tl__source_identity(err, v->parent, v->index[i]);
}

static int subset_wave(tl_error *err, const tl_source *s, int64_t i, const tl_audio_request *request,
                       tl_audio_heard *heard, tl_wave *out)
{
    const subset *v = (const subset *)s;
    return tl__source_wave(err, v->parent, v->index[i], request, heard, out);
}

static tl_clip subset_clip(const tl_source *s, int64_t i)
{
    const subset *v = (const subset *)s;
    return tl__source_clip(v->parent, v->index[i]);
}

static const char *subset_text(const tl_source *s, int64_t i)
{
    const subset *v = (const subset *)s;
    return tl__source_text(v->parent, v->index[i]);
}

static const tl_source *subset_behind(const tl_source *s, int64_t *i)
{
    const subset *v = (const subset *)s;
    *i = v->index[*i];
    return v->parent;
}

static int subset_volume(tl_error *err, const tl_source *s, int64_t i, tl_volume *image, tl_volume *mask)
{
    const subset *v = (const subset *)s;
    return tl__source_volume(err, v->parent, v->index[i], image, mask);
}

static const tl_extent *subset_extent(const tl_source *s, int64_t i)
{
    const subset *v = (const subset *)s;
    return v->parent->ops->extent(v->parent, v->index[i]);
}

#define SUBSET(files) \
    { \
        .kind = "subset", .from_files = files, .close = subset_close, .read = subset_read, .locate = subset_locate, \
        .target = subset_target, .target_hash = subset_target_hash, .identity = subset_identity, \
        .wave = subset_wave, .clip = subset_clip, .text = subset_text, .volume = subset_volume, \
        .extent = subset_extent, .behind = subset_behind \
    }
static const tl_source_ops subset_ops = SUBSET(0), file_subset_ops = SUBSET(1);

int64_t tl__source_origin(const tl_source *s, int64_t i)
{
    while (s->ops->behind) s = s->ops->behind(s, &i);
    return i;
}

tl_source *tl__source_subset(tl_error *err, tl_source *parent, const int64_t *index, int64_t count)
{
    subset *v = tl__calloc(err, 1, sizeof *v);
    if (!v) return NULL;
    v->base.ops = parent->ops->from_files ? &file_subset_ops : &subset_ops;
    v->base.height = parent->height;
    v->base.width = parent->width;
    v->base.channels = parent->channels;
    v->base.passed = parent->passed;
    v->parent = tl__source_retain(parent);
    if (tl__source_prepare(err, &v->base, count, (const char *const *)parent->class_name, parent->class_count) == 0 &&
        (v->index = tl__malloc(err, (size_t)count * sizeof *v->index)) != NULL) {
        memcpy(v->index, index, (size_t)count * sizeof *index);
        for (int64_t i = 0; i < count; i++) v->base.label[i] = parent->label[index[i]];
        v->base.fields = parent->fields;
        v->base.alone = parent->alone;
        v->base.unknown = parent->unknown;
        v->base.tiled = parent->tiled;
        v->base.value_count = parent->value_count;
        if (!parent->value_name) return &v->base;
        if ((v->base.value_name = tl__names_copy(err, (const char *const *)parent->value_name, parent->value_count)) != NULL) return &v->base;
    }
    tl__source_free(&v->base);
    return NULL;
}

/* ---- opening ---- */

/* A folder's class that no model's list has: what is near to it, else what there is, whole names that fit.
 * Returns -1. */
static int unknown_class(tl_error *err, const char *name, char **known, int count, const char *root)
{
    char hint[160];
    if (!*tl__did_you_mean(name, (const char *const *)known, hint, sizeof hint))
        for (size_t at = 0, i = 0; i < (size_t)count; i++) {
            size_t wanted = strlen(known[i]) + 2;
            int last = i + 1 == (size_t)count;
            if (at + wanted + (last ? 0 : 5) >= sizeof hint) {
                snprintf(hint + at, sizeof hint - at, "%s", at ? ", ..." : "");
                break;
            }
            at += (size_t)snprintf(hint + at, sizeof hint - at, "%s%s", i ? ", " : ": ", known[i]);
        }
    return tl__fail(err, TL_EARG, "%s: class \"%s\" is not one of the %d that are known%s", root, name, count, hint);
}

/* Gives the labels the numbers that their names have in the imposed list. */
static int impose(tl_error *err, tl_source *s, const tl_source_options *o, const char *root)
{
    int32_t *map = tl__malloc(err, (size_t)s->class_count * sizeof *map);
    char **names = map ? tl__calloc(err, (size_t)o->class_count + 1, sizeof *names) : NULL;
    int bad = !names, copied = 0;
    for (; !bad && copied < o->class_count; copied++) bad = (names[copied] = tl__strdup(err, o->class_name[copied])) == NULL;
    for (int c = 0; !bad && c < s->class_count; c++) {
        map[c] = -1;
        for (int k = 0; k < o->class_count && map[c] < 0 && !bad; k++) {
            int same = tl__same_name(err, names[k], s->class_name[c]);
            if (same > 0) map[c] = k;
            bad = same < 0;
        }
        if (map[c] < 0 && !bad) bad = unknown_class(err, s->class_name[c], names, o->class_count, root);
    }
    for (int64_t i = 0; !bad && i < s->count; i++) s->label[i] = map[s->label[i]];
    if (!bad) {
        tl__names_free(s->class_name, s->class_count);
        s->class_name = names;
        s->class_count = o->class_count;
    } else {
        tl__names_free(names, copied);
    }
    free(map);
    return bad ? -1 : 0;
}

static tl_source *open_part(tl_error *err, int kind, const char *root, const char *part, const tl_source_options *o,
                            int lenient, int *missing)
{
    *missing = 0;
    return kind == FOLDER ? tl__open_folder(err, root, part, o, lenient, missing)
                          : binary_openers[kind](err, root, part, o->limit, missing);
}

/* Does the data have a test part of its own, whole or damaged? -1 when memory is short. */
static int has_test_part(tl_error *err, int kind, const char *root)
{
    tl_error none = {0};
    int missing;
    tl_source *s = open_part(&none, kind, root, "test", &(tl_source_options){.limit = 1}, 1, &missing);
    int found = s || !missing;
    tl__source_free(s);
    return none.code == TL_EMEMORY ? tl__fail(err, none.code, "%s", none.text) : found;
}

/* A share is held out, or it stays as it is where a test part of its own makes that needless (split_if_none). */
static int settle_split(tl_error *err, int kind, const char *root, tl_source_options *o)
{
    int found = o->split > 0 ? has_test_part(err, kind, root) : 0;
    if (found <= 0) return found;
    if (!o->split_if_none) return tl__fail(err, TL_EARG, "%s: the data has a test part of its own; leave `split` out", root);
    o->split = 0;
    return 0;
}

/* The part asked for, which may have to be made by holding out a share of the only one. */
static tl_source *open_or_split(tl_error *err, int kind, const char *root, const tl_source_options *o, int test)
{
    int missing, lenient = o->lenient || (o->class_name && o->class_name != o->only);
    tl_source_options all = *o;
    all.limit = 0;
    if (o->split == 0) return open_part(err, kind, root, test ? "test" : "train", o, lenient || test, &missing);
    tl_source *s = open_part(err, kind, root, "train", &all, lenient, &missing);
    return s ? tl__source_split(err, s, o, test) : NULL;
}

static int check_options(tl_error *err, const char *kind, const char *root, const tl_source_options *o, int *test)
{
    int k = 0;
    char hint[96];
    *test = o->part && strcmp(o->part, "test") == 0;
    while (tl__source_kinds[k] && strcmp(tl__source_kinds[k], kind) != 0) k++;
    if (!tl__source_kinds[k])
        return tl__fail(err, TL_EARG, "unknown kind of data \"%s\"%s", kind, tl__did_you_mean(kind, tl__source_kinds, hint, sizeof hint));
    if (o->part && !*test && strcmp(o->part, "train") != 0) return tl__fail(err, TL_EARG, "unknown part \"%s\" (train, test)", o->part);
    if (!(o->split >= 0 && o->split < 1)) return tl__fail(err, TL_EARG, "split is %g, and must be at least 0 and less than 1", o->split);
    if (o->limit < 0) return tl__fail(err, TL_EARG, "limit is %lld, and must not be negative", (long long)o->limit);
    struct stat st;
    if (stat(root, &st) != 0) return errno == ENOENT ? tl__fail(err, TL_EIO, "%s: no such folder", root) : tl__fail(err, TL_EIO, "%s: cannot be opened: %s", root, strerror(errno));
    if (!S_ISDIR(st.st_mode)) return tl__fail(err, TL_EIO, "%s: it is no folder", root);
    return k;
}

static tl_source *open_checked(tl_error *err, int kind, const char *root, const tl_source_options *o, int test)
{
    tl_source *s = open_or_split(err, kind, root, o, test);
    if (s && o->limit > 0 && o->limit < s->count)
        s = kind == FOLDER ? tl__source_limit_classes(err, s, o->limit, o->seed)
                           : tl__source_limit_first(err, s, o->limit);
    if (!s || !o->class_name || impose(err, s, o, root) == 0) return s;
    tl__source_free(s);
    return NULL;
}

tl_source *tl__source_open(tl_error *err, const char *kind, const char *root, const tl_source_options *options)
{
    tl_source_options o = *options;
    char **names = NULL;
    int test, n = 0, k = check_options(err, kind, root, &o, &test);
    if (k < 0 || settle_split(err, k, root, &o) != 0) return NULL;
    if (k == FOLDER && o.only && !o.class_name) {
        o.class_name = o.only;
        o.class_count = o.only_count;
    }
    /* The test folder may lack a class; labels are numbered by the training folder all the same. */
    if (k == FOLDER && test && o.split == 0 && !o.class_name) {
        if ((n = tl__folder_classes(err, root, &names)) < 0) return NULL;
        o.class_name = (const char *const *)names;
        o.class_count = n;
    }
    tl_source *s = open_checked(err, k, root, &o, test);
    tl__names_free(names, n);
    return s;
}
