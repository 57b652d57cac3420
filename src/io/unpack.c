/* unpack.c - unpacking through libarchive, which is loaded when first needed: it brings many libraries along, and
 * most runs never unpack anything. */
#include "io/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What data sets come in. The library knows more, of which some runs other programs (lrzip) or reads other files (mtree). */
enum { READABLE = 10 };
static const char *const readable[READABLE] = {
    "format_tar", "format_zip", "format_7zip", "filter_gzip", "filter_bzip2", "filter_xz", "filter_lzma", "filter_zstd", "filter_lz4", "filter_compress"};

typedef struct library {
    void *handle;
    struct archive *(*read_new)(void);
    int (*support[READABLE])(struct archive *), (*read_free)(struct archive *);
    int (*open_filename)(struct archive *, const char *, size_t);
    int (*next_header)(struct archive *, struct archive_entry **);
    la_ssize_t (*read_data)(struct archive *, void *, size_t);
    const char *(*error_string)(struct archive *);
    const char *(*pathname)(struct archive_entry *);
    __LA_MODE_T (*filetype)(struct archive_entry *);
    const char *(*hardlink)(struct archive_entry *);
} library;

static int load_library(tl_error *err, library *l)
{
    const struct { const char *name; void *to; } wanted[] = {
        {"archive_read_new", &l->read_new}, {"archive_read_free", &l->read_free}, {"archive_read_open_filename", &l->open_filename}, {"archive_read_next_header", &l->next_header},
        {"archive_read_data", &l->read_data}, {"archive_error_string", &l->error_string}, {"archive_entry_pathname", &l->pathname},
        {"archive_entry_filetype", &l->filetype}, {"archive_entry_hardlink", &l->hardlink}};
    l->handle = dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL);
    if (!l->handle) return tl__fail(err, TL_EIO, "unpacking needs libarchive: install it (Debian package libarchive13), or unpack by hand");
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted + READABLE; i++) {
        int k = (int)i - READABLE;
        char name[64];
        snprintf(name, sizeof name, k < 0 ? "archive_read_support_%s" : "%s", k < 0 ? readable[i] : wanted[k].name);
        void *f = dlsym(l->handle, name), *to = k < 0 ? (void *)&l->support[i] : wanted[k].to;
        if (!f) {
            dlclose(l->handle);
            return tl__fail(err, TL_EIO, "the installed libarchive has no %s", name);
        }
        memcpy(to, &f, sizeof f); /* ISO C has no cast between the two kinds of pointer */
    }
    return 0;
}

/* A relative name without "..". */
static int is_safe(const char *name)
{
    if (!name || !*name || *name == '/') return 0;
    for (const char *p = name; p; p = strchr(p, '/')) {
        while (*p == '/') p++;
        if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == 0)) return 0;
        if (!*p) break;
    }
    return 1;
}

static int write_entry(tl_error *err, const library *l, struct archive *a, const char *archive, const char *path, int64_t *left)
{
    FILE *f = fopen(path, "wb");
    char buffer[65536];
    la_ssize_t n = 0;
    int bad = !f;
    if (bad) tl__fail(err, TL_EIO, "cannot write %s: %s", path, strerror(errno));
    while (!bad && (n = l->read_data(a, buffer, sizeof buffer)) > 0) {
        *left -= n;
        if (*left < 0) bad = tl__fail(err, TL_EFORMAT, "%s: it unpacks to more than is believable", archive);
        else if (fwrite(buffer, 1, (size_t)n, f) != (size_t)n) bad = tl__fail(err, TL_EIO, "cannot write %s: %s", path, strerror(errno));
    }
    if (!bad && n < 0) bad = tl__fail(err, TL_EFORMAT, "%s: damaged archive: %s", archive, l->error_string(a) ? l->error_string(a) : "unknown error");
    if (f && fclose(f) != 0 && !bad) bad = tl__fail(err, TL_EIO, "cannot write %s: %s", path, strerror(errno));
    return bad;
}

static int unpack_entry(tl_error *err, const library *l, struct archive *a, struct archive_entry *e, const char *archive, const char *into, int64_t *left)
{
    const char *name = l->pathname(e);
    __LA_MODE_T type = l->filetype(e);
    if (!is_safe(name)) return tl__fail(err, TL_EFORMAT, "%s: it holds the name \"%.100s\", which leads outside; it was not unpacked", archive, name ? name : "");
    if ((type != AE_IFREG && type != AE_IFDIR) || l->hardlink(e))
        return tl__fail(err, TL_EFORMAT, "%s: \"%.100s\" is neither a file nor a folder; it was not unpacked", archive, name);
    char *path = tl__asprintf(err, "%s/%s", into, name), *slash = path ? strrchr(path, '/') : NULL;
    if (!path) return -1;
    int bad;
    if (type == AE_IFDIR) bad = tl__make_folders(err, path);
    else {
        *slash = 0;
        bad = tl__make_folders(err, path);
        *slash = '/';
        if (!bad) bad = write_entry(err, l, a, archive, path, left);
    }
    free(path);
    return bad;
}

static int unpack_all(tl_error *err, const library *l, const char *archive, const char *into, int64_t limit)
{
    struct archive *a = l->read_new();
    struct archive_entry *e;
    int status = ARCHIVE_OK, bad = !a;
    if (bad) return tl__fail(err, TL_EMEMORY, "%s: no memory to unpack", archive);
    for (int i = 0; i < READABLE; i++) l->support[i](a);
    if (l->open_filename(a, archive, 65536) != ARCHIVE_OK)
        bad = tl__fail(err, TL_EFORMAT, "%s: not an archive: %s", archive, l->error_string(a) ? l->error_string(a) : "unknown error");
    while (!bad && (status = l->next_header(a, &e)) == ARCHIVE_OK) bad = unpack_entry(err, l, a, e, archive, into, &limit);
    if (!bad && status != ARCHIVE_EOF) bad = tl__fail(err, TL_EFORMAT, "%s: damaged archive: %s", archive, l->error_string(a) ? l->error_string(a) : "unknown error");
    l->read_free(a);
    return bad;
}

/* Moves what lies in `from` to `to`, or (to NULL) removes `from` and all in it. */
static int empty_folder(tl_error *err, const char *from, const char *to)
{
    DIR *d = opendir(from);
    int bad = d ? 0 : tl__fail(err, TL_EIO, "cannot open %s: %s", from, strerror(errno));
    while (!bad) {
        errno = 0; /* NULL is the end, or an error */
        struct dirent *e = readdir(d);
        if (!e) {
            if (errno) bad = tl__fail(err, TL_EIO, "cannot read %s to its end: %s", from, strerror(errno));
            break;
        }
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        char *a = tl__asprintf(err, "%s/%s", from, e->d_name), *b = a && to ? tl__asprintf(err, "%s/%s", to, e->d_name) : NULL;
        struct stat st;
        if (!a || (to && !b)) bad = -1;
        else if (to) bad = rename(a, b) != 0 ? tl__fail(err, TL_EIO, "cannot put %s in its place: %s", b, strerror(errno)) : 0;
        else if (lstat(a, &st) == 0 && S_ISDIR(st.st_mode)) bad = empty_folder(err, a, NULL);
        else unlink(a);
        free(a);
        free(b);
    }
    if (d) closedir(d);
    if (!to) rmdir(from);
    return bad;
}

int tl__unpack(tl_error *err, const char *archive, const char *folder, int64_t limit)
{
    library l = {0};
    struct stat st;
    if (stat(archive, &st) != 0) return tl__fail(err, TL_EIO, "cannot open %s: %s", archive, strerror(errno));
    if (load_library(err, &l) != 0 || tl__make_folders(err, folder) != 0) return -1;
    char *part = tl__asprintf(err, "%s/.unpack-%ld", folder, (long)getpid());
    int bad = !part || tl__make_folders(err, part) != 0 || unpack_all(err, &l, archive, part, limit > 0 ? limit : (int64_t)20e9) != 0 ||
              empty_folder(err, part, folder) != 0;
    tl_error quiet = {0};
    if (part) empty_folder(&quiet, part, NULL);
    free(part);
    dlclose(l.handle);
    return bad ? -1 : 0;
}
