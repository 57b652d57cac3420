/* path.c - homes and Unicode forms in paths; the tables of Unicode are utf8proc's. */
#define _POSIX_C_SOURCE 200809L
#include "base/path.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utf8proc.h>

/* ASCII alone is the same in both forms, and nearly all names are. */
static int is_plain(const char *text)
{
    while (*text && (unsigned char)*text < 0x80) text++;
    return *text == 0;
}

char *tl__text_form(tl_error *err, const char *text, int composed)
{
    if (is_plain(text)) return tl__strdup(err, text);
    int form = UTF8PROC_NULLTERM | UTF8PROC_STABLE | (composed ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE);
    utf8proc_uint8_t *made = NULL;
    utf8proc_ssize_t n = tl__allocation_fails() ? UTF8PROC_ERROR_NOMEM : utf8proc_map((const utf8proc_uint8_t *)text, 0, &made, (utf8proc_option_t)form);
    if (n == UTF8PROC_ERROR_NOMEM) {
        tl__fail(err, TL_EMEMORY, "no host memory for a name of %zu bytes", strlen(text));
        return NULL;
    }
    char *own = tl__strdup(err, n < 0 ? text : (const char *)made); /* below 0: it is not UTF-8 */
    free(made);
    return own;
}

int tl__same_name(tl_error *err, const char *a, const char *b)
{
    if (strcmp(a, b) == 0) return 1;
    if (is_plain(a) || is_plain(b)) return 0;
    char *x = tl__text_form(err, a, 1), *y = x ? tl__text_form(err, b, 1) : NULL;
    int same = y ? strcmp(x, y) == 0 : -1;
    free(x);
    free(y);
    return same;
}

/* The home of a user, of the one who runs this where `name` is empty; NULL where none is known. */
static char *home_of(tl_error *err, const char *name)
{
    const char *own = *name ? NULL : getenv("HOME");
    if (own && *own) return tl__strdup(err, own);
    char buffer[4096];
    struct passwd entry, *found = NULL;
    int status = *name ? getpwnam_r(name, &entry, buffer, sizeof buffer, &found) : getpwuid_r(getuid(), &entry, buffer, sizeof buffer, &found);
    return status == 0 && found ? tl__strdup(err, found->pw_dir) : NULL;
}

char *tl__path_home(tl_error *err, const char *path)
{
    size_t n = strcspn(path, "/");
    if (path[0] != '~') return tl__strdup(err, path);
    char *name = tl__strdup(err, path + 1), *whole = NULL;
    if (!name) return NULL;
    name[n - 1] = 0;
    tl_error failed = {0};
    char *home = home_of(&failed, name);
    if (failed.code)
        tl__fail(err, failed.code, "%s", failed.text);
    else
        whole = home ? tl__asprintf(err, "%s%s", strcmp(home, "/") == 0 && path[n] ? "" : home, path + n) : tl__strdup(err, path);
    free(name);
    free(home);
    return whole;
}

static int is_there(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

/* `found` and the name behind it, in the form in which it is there; as it is written where it is not. Takes `found` over. */
static char *add_name(tl_error *err, char *found, const char *name)
{
    char *path = NULL;
    for (int form = -1; form < 2 && found; form++) {
        char *other = form < 0 ? tl__strdup(err, name) : tl__text_form(err, name, form);
        char *tried = other ? tl__asprintf(err, "%s%s", found, other) : NULL;
        free(other);
        if (!tried) {
            free(path);
            path = NULL;
            break;
        }
        int there = is_there(tried);
        if (!path || there) {
            free(path);
            path = tried;
        } else {
            free(tried);
        }
        if (there) break;
    }
    free(found);
    return path;
}

char *tl__path_resolve(tl_error *err, const char *path)
{
    char *rest = tl__path_home(err, path);
    if (!rest || is_plain(rest) || is_there(rest)) return rest;
    char *found = tl__strdup(err, "");
    for (char *at = rest; found && *at;) {
        size_t slashes = strspn(at, "/"), n = slashes + strcspn(at + slashes, "/");
        char after = at[n];
        at[n] = 0;
        found = add_name(err, found, at);
        at[n] = after;
        at += n;
    }
    free(rest);
    return found;
}
