/* file.c - whole files in and out. A file that tlua writes is either there whole or not there: it is
 * written under a temporary name, synced and renamed, and its folder synced. */
#define _POSIX_C_SOURCE 200809L
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail_path(tl_error *err, const char *verb, const char *path)
{
    return tl__fail(err, TL_EIO, "cannot %s %s: %s", verb, path, strerror(errno));
}

FILE *tl__open_to_read(const char *path, struct stat *st)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    FILE *f = fd >= 0 && fstat(fd, st) == 0 ? fdopen(fd, "rb") : NULL;
    if (!f && fd >= 0) {
        int why = errno;
        close(fd);
        errno = why;
    }
    return f;
}

char *tl__read_file(tl_error *err, const char *path, size_t *bytes)
{
    struct stat st;
    FILE *f = tl__open_to_read(path, &st);
    char *data = NULL;
    if (!f) {
        fail_path(err, "open", path);
    } else if (S_ISDIR(st.st_mode)) {
        tl__fail(err, TL_EIO, "cannot read %s: it is a folder", path);
    } else if (!S_ISREG(st.st_mode)) {
        tl__fail(err, TL_EIO, "cannot read %s: it is a pipe or a device, and not a regular file", path);
    } else if (st.st_size < 0 || (data = tl__malloc(err, (size_t)st.st_size + 1)) == NULL) {
        tl__error_prefix(err, "%s: ", path);
    } else if (fread(data, 1, (size_t)st.st_size, f) != (size_t)st.st_size) {
        tl__fail(err, TL_EIO, "cannot read %s: %s", path, ferror(f) ? strerror(errno) : "it became shorter");
        free(data);
        data = NULL;
    } else {
        data[st.st_size] = 0;
        if (bytes) *bytes = (size_t)st.st_size;
    }
    if (f) fclose(f);
    return data;
}

int tl__map_file(tl_error *err, const char *path, const char *what, void **map, size_t *bytes)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), bad = 0;
    if (fd < 0 || fstat(fd, &st) != 0) bad = tl__fail(err, TL_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    else if (S_ISDIR(st.st_mode)) bad = tl__fail(err, TL_EIO, "%s: this is a folder; give %s", path, what);
    else if (!S_ISREG(st.st_mode)) bad = tl__fail(err, TL_EIO, "%s: not a regular file; give %s", path, what);
    *map = NULL;
    *bytes = bad ? 0 : (size_t)st.st_size;
    if (*bytes && (*map = mmap(NULL, *bytes, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED) {
        *map = NULL;
        bad = tl__fail(err, TL_EIO, "%s: cannot be mapped: %s", path, strerror(errno));
    }
    if (fd >= 0) close(fd);
    return bad;
}

void tl__unmap_file(void *map, size_t bytes)
{
    if (map) munmap(map, bytes);
}

static int open_with_mode(tl_error *err, tl_atomic_file *a, const char *path, mode_t mode)
{
    static atomic_uint opened; /* two threads may write the same file at once: whoever is later stays */
    *a = (tl_atomic_file){0};
    struct stat st; /* a device, a pipe or a folder would be replaced by the file */
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return tl__fail(err, TL_EIO, "%s is no regular file, and is not written over", path);
    a->path = tl__strdup(err, path);
    a->temporary = a->path ? tl__asprintf(err, "%s.tmp%ld%06u", path, (long)getpid(), atomic_fetch_add(&opened, 1) % 1000000) : NULL;
    int fd = a->temporary ? open(a->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode) : -1;
    if (fd >= 0 && (a->f = fdopen(fd, "wb")) != NULL) return 0;
    if (a->temporary) fail_path(err, "write", path);
    if (fd >= 0) close(fd);
    tl__atomic_abort(a);
    return -1;
}

int tl__atomic_open(tl_error *err, tl_atomic_file *a, const char *path) { return open_with_mode(err, a, path, 0666); }

int tl__atomic_write(tl_error *err, tl_atomic_file *a, const void *data, size_t bytes)
{
    if (bytes && fwrite(data, 1, bytes, a->f) != bytes) return fail_path(err, "write", a->path);
    return 0;
}

static void sync_folder_of(const char *path)
{
    char *copy = tl__strdup(NULL, path), *slash = copy ? strrchr(copy, '/') : NULL;
    if (slash) slash[slash == copy] = 0;
    int fd = copy ? open(slash ? copy : ".", O_RDONLY | O_DIRECTORY) : -1;
    if (fd >= 0) {
        (void)fsync(fd); /* some file systems refuse; the rename itself has been done */
        close(fd);
    }
    free(copy);
}

int tl__atomic_commit(tl_error *err, tl_atomic_file *a)
{
    int bad = fflush(a->f) != 0 || fsync(fileno(a->f)) != 0;
    if (bad) fail_path(err, "write", a->path);
    FILE *f = a->f;
    a->f = NULL;
    if (fclose(f) != 0 && !bad) bad = fail_path(err, "write", a->path);
    if (!bad && rename(a->temporary, a->path) != 0) bad = fail_path(err, "rename to", a->path);
    if (!bad) {
        sync_folder_of(a->path);
        free(a->temporary);
        a->temporary = NULL;
    }
    tl__atomic_abort(a);
    return bad ? -1 : 0;
}

void tl__atomic_abort(tl_atomic_file *a)
{
    if (a->f) fclose(a->f);
    if (a->temporary) unlink(a->temporary);
    free(a->temporary);
    free(a->path);
    *a = (tl_atomic_file){0};
}

static int write_with_mode(tl_error *err, const char *path, const void *data, size_t bytes, mode_t mode)
{
    tl_atomic_file a;
    if (open_with_mode(err, &a, path, mode) != 0) return -1;
    if (tl__atomic_write(err, &a, data, bytes) != 0) {
        tl__atomic_abort(&a);
        return -1;
    }
    return tl__atomic_commit(err, &a);
}

int tl__write_file(tl_error *err, const char *path, const void *data, size_t bytes)
{
    return write_with_mode(err, path, data, bytes, 0666);
}

int tl__write_private_file(tl_error *err, const char *path, const void *data, size_t bytes)
{
    return write_with_mode(err, path, data, bytes, 0600);
}

int tl__make_folders(tl_error *err, const char *path)
{
    if (!*path) return tl__fail(err, TL_EARG, "cannot make a folder without a name");
    char *copy = tl__strdup(err, path);
    if (!copy) return -1;
    int bad = 0;
    for (char *p = copy + 1; !bad; p++) {
        if (*p && *p != '/') continue;
        char c = *p;
        *p = 0;
        struct stat st;
        if (mkdir(copy, 0777) != 0) {
            int why = errno; /* of mkdir: stat has another one */
            if (stat(copy, &st) != 0 || !S_ISDIR(st.st_mode)) {
                errno = why;
                bad = fail_path(err, "make folder", copy);
            }
        }
        *p = c;
        if (!c) break;
    }
    free(copy);
    return bad;
}

char *tl__cache_folder(tl_error *err, const char *sub)
{
    const char *own = getenv("TLUA_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char *path;
    if (own && *own) path = tl__asprintf(err, "%s/%s", own, sub);
    else if (xdg && *xdg) path = tl__asprintf(err, "%s/tlua/%s", xdg, sub);
    else path = tl__asprintf(err, "%s/.cache/tlua/%s", home && *home ? home : "/tmp", sub);
    tl_error why = {0};
    if (path && tl__make_folders(&why, path) != 0) {
        tl__fail(err, why.code, "%s; TLUA_CACHE names another folder for what is kept", why.text);
        free(path);
        path = NULL;
    }
    return path;
}
