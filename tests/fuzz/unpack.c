/* unpack.c - archives of data sets. Whatever is in one, nothing may come to lie outside of the folder it is unpacked into, and after a
 * failure nothing inside. */
#include "fuzz.h"
#include "io/unpack.h"

#include <dirent.h>
#include <sys/stat.h>

/* How many files and folders are in `path`, itself not counted. No links, nothing but files and folders. */
static int entries(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        char inner[4096];
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (snprintf(inner, sizeof inner, "%s/%s", path, e->d_name) >= (int)sizeof inner) continue;
        never(lstat(inner, &st) != 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)));
        n += 1 + (S_ISDIR(st.st_mode) ? entries(inner) : 0);
    }
    if (d) closedir(d);
    return n;
}

static void empty(const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        char inner[4096];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
        empty(inner);
        remove(inner);
    }
    if (d) closedir(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char archive[256], folder[256];
    snprintf(archive, sizeof archive, "%s", fuzz_put("a", data, bytes));
    snprintf(folder, sizeof folder, "%s/in/to", fuzz_folder());
    tl_error err = {0};
    int bad = tl__unpack(&err, archive, folder, 1 << 20);
    never((bad == 0) != (err.code == TL_OK));
    if (bad) {
        check_error(&err, "");
        never(entries(folder) > 0);
    }
    char root[256];
    snprintf(root, sizeof root, "%s/in", fuzz_folder());
    never(entries(fuzz_folder()) != 1 + entries(root) + 1); /* the archive, and the folder around */
    empty(root);
    return 0;
}
