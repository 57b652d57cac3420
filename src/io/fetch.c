/* fetch.c - downloads through libcurl, which is loaded when the first download is asked for: it brings
 * some thirty libraries along, and most runs of tlua fetch nothing. */
#define CURL_DISABLE_DEPRECATION
#define CURL_DISABLE_TYPECHECK
#include "io/fetch.h"

#include <ctype.h>
#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONNECT_SECONDS = 20, STALL_SECONDS = 30, STALL_BYTES = 100, REDIRECTS = 10 };

/* ---- libcurl ---- */

static struct {
    CURLcode (*global_init)(long flags);
    CURL *(*init)(void);
    CURLcode (*setopt)(CURL *curl, CURLoption option, ...);
    CURLcode (*perform)(CURL *curl);
    CURLcode (*getinfo)(CURL *curl, CURLINFO info, ...);
    void (*cleanup)(CURL *curl);
    const char *(*strerror)(CURLcode code);
} lib;
static int loaded;

/* ISO C has no cast from dlsym's result to a function, POSIX promises that the bytes agree. */
static int find_symbol(void *library, const char *name, void *function)
{
    void *p = dlsym(library, name);
    memcpy(function, &p, sizeof p);
    return p != NULL;
}

static void load(void)
{
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!library) library = dlopen("libcurl-gnutls.so.4", RTLD_NOW | RTLD_LOCAL);
    loaded = library && find_symbol(library, "curl_global_init", &lib.global_init) && find_symbol(library, "curl_easy_init", &lib.init) &&
             find_symbol(library, "curl_easy_setopt", &lib.setopt) && find_symbol(library, "curl_easy_perform", &lib.perform) &&
             find_symbol(library, "curl_easy_getinfo", &lib.getinfo) && find_symbol(library, "curl_easy_cleanup", &lib.cleanup) &&
             find_symbol(library, "curl_easy_strerror", &lib.strerror) && lib.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

static int load_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    return loaded;
}

/* ---- one transfer ---- */

typedef struct transfer {
    const char *url, *path, *sha256;
    char *part;
    FILE *f;            /* the part, locked */
    int64_t had;        /* bytes of it when the transfer began */
    tl_fetch_progress *progress;
    void *user;
    int write_errno, stopped;
    CURL *curl;
    char reason[CURL_ERROR_SIZE];
} transfer;

static size_t on_bytes(char *bytes, size_t size, size_t count, void *user)
{
    transfer *t = user;
    size_t n = fwrite(bytes, size, count, t->f);
    if (n != count) t->write_errno = errno;
    return n * size;
}

static int on_progress(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now)
{
    transfer *t = user;
    (void)up_total;
    (void)up_now;
    if (t->progress) t->stopped = t->progress(t->user, t->had + now, total > 0 ? t->had + total : 0) != 0;
    return t->stopped;
}

/* Only http may follow a redirection: a server must not make us read a file of the user's. */
static void limit_protocols(CURL *curl)
{
    if (lib.setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https,file") != CURLE_OK)
        lib.setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS | CURLPROTO_FILE));
    if (lib.setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") != CURLE_OK)
        lib.setopt(curl, CURLOPT_REDIR_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
}

static CURLcode perform(transfer *t)
{
    CURL *curl = t->curl;
    limit_protocols(curl);
    lib.setopt(curl, CURLOPT_URL, t->url);
    lib.setopt(curl, CURLOPT_USERAGENT, "tlua/" TLUA_VERSION);
    lib.setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    lib.setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS);
    lib.setopt(curl, CURLOPT_FAILONERROR, 1L);
    lib.setopt(curl, CURLOPT_NOSIGNAL, 1L);
    lib.setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    lib.setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)STALL_SECONDS);
    lib.setopt(curl, CURLOPT_LOW_SPEED_LIMIT, (long)STALL_BYTES);
    lib.setopt(curl, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)t->had);
    lib.setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    lib.setopt(curl, CURLOPT_WRITEDATA, t);
    lib.setopt(curl, CURLOPT_NOPROGRESS, 0L);
    lib.setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    lib.setopt(curl, CURLOPT_XFERINFODATA, t);
    lib.setopt(curl, CURLOPT_ERRORBUFFER, t->reason);
    t->reason[0] = 0;
    CURLcode code = lib.perform(curl);
    if (code == CURLE_OK && fflush(t->f) != 0) {
        t->write_errno = errno;
        code = CURLE_WRITE_ERROR;
    }
    return code;
}

static int forget_part(transfer *t)
{
    t->had = 0;
    return fflush(t->f) != 0 || ftruncate(fileno(t->f), 0) != 0;
}

/* Whether the server, or the file, has nothing that could follow the part: then the part is of no use. */
static int refused_to_resume(transfer *t, CURLcode code)
{
    long status = 0;
    lib.getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    return t->had > 0 && (code == CURLE_RANGE_ERROR || code == CURLE_BAD_DOWNLOAD_RESUME || status == 416);
}

/* One line of libcurl's may end in a newline or hold several. */
static const char *reason(transfer *t, CURLcode code)
{
    if (!t->reason[0]) return lib.strerror(code);
    t->reason[strcspn(t->reason, "\r\n")] = 0;
    return t->reason;
}

static int transfer_failed(tl_error *err, transfer *t, CURLcode code)
{
    if (t->stopped) return tl__fail(err, TL_EINTERRUPT, "%s: stopped while fetching; what was had stays in %s", t->path, t->part);
    if (t->write_errno) {
        /* On a full disk the part would only be in the way. */
        unlink(t->part);
        return tl__fail(err, TL_EIO, "%s: cannot be written: %s", t->path, strerror(t->write_errno));
    }
    struct stat st;
    if (fstat(fileno(t->f), &st) == 0 && st.st_size == 0) unlink(t->part);
    return tl__fail(err, TL_EIO, "%s: could not be had from %s (%s); fetch it elsewhere and put it there", t->path, t->url, reason(t, code));
}

static int download(tl_error *err, transfer *t)
{
    CURLcode code = perform(t);
    if (code != CURLE_OK && refused_to_resume(t, code)) {
        if (forget_part(t) != 0) return tl__fail(err, TL_EIO, "%s: cannot be written: %s", t->part, strerror(errno));
        code = perform(t);
    }
    return code == CURLE_OK ? 0 : transfer_failed(err, t, code);
}

/* ---- around it ---- */

int tl__sha256_file(tl_error *err, const char *path, char hex[65])
{
    struct stat st;
    FILE *f = tl__open_to_read(path, &st);
    if (!f) return tl__fail(err, TL_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    tl_sha256 hash;
    tl__sha256_init(&hash);
    unsigned char block[1 << 15];
    size_t n;
    while ((n = fread(block, 1, sizeof block, f)) > 0) tl__sha256_update(&hash, block, n);
    int bad = ferror(f) ? tl__fail(err, TL_EIO, "%s: cannot be read: %s", path, strerror(errno)) : 0;
    if (!bad && !S_ISREG(st.st_mode)) bad = tl__fail(err, TL_EIO, "%s: not a regular file", path);
    fclose(f);
    tl__sha256_final(&hash, hex);
    return bad;
}

/* Opens PATH.part at its end and locks it, so that two programs do not write into one file. */
static int open_part(tl_error *err, transfer *t)
{
    t->f = fopen(t->part, "ab");
    struct stat st, named;
    if (!t->f) return tl__fail(err, TL_EIO, "%s: cannot be written: %s", t->part, strerror(errno));
    int lock = flock(fileno(t->f), LOCK_EX | LOCK_NB);
    /* Another program may have renamed its finished part between our open and our lock. */
    if ((lock != 0 && errno == EWOULDBLOCK) || fstat(fileno(t->f), &st) != 0 || stat(t->part, &named) != 0 || st.st_ino != named.st_ino)
        return tl__fail(err, TL_EIO, "%s: another program is fetching it now; wait for it", t->path);
    t->had = st.st_size;
    if ((!t->sha256 || !*t->sha256) && forget_part(t) != 0) return tl__fail(err, TL_EIO, "%s: cannot be written: %s", t->part, strerror(errno));
    return 0;
}

/* 1 when the part has the wrong hash, which is put into `hex`. */
static int hash_differs(tl_error *err, const transfer *t, char hex[65])
{
    if (!t->sha256 || !*t->sha256) return 0;
    if (tl__sha256_file(err, t->part, hex) != 0) return -1;
    return strncasecmp(hex, t->sha256, strlen(t->sha256)) != 0;
}

/* Leaves a part whose hash is right. If a wrong one was made of an older part, that part is to blame,
 * and the file is had once more from its beginning. */
static int download_verified(tl_error *err, transfer *t)
{
    char hex[65];
    if (download(err, t) != 0) return -1;
    int differs = hash_differs(err, t, hex);
    if (differs == 1 && t->had > 0) {
        if (forget_part(t) != 0) return tl__fail(err, TL_EIO, "%s: cannot be written: %s", t->part, strerror(errno));
        if (download(err, t) != 0) return -1;
        differs = hash_differs(err, t, hex);
    }
    if (differs != 1) return differs;
    unlink(t->part);
    return tl__fail(err, TL_EFORMAT, "%s: the SHA-256 of what came from %s begins with %.12s and not with %.12s; it was deleted, fetch it again", t->path,
                    t->url, hex, t->sha256);
}

/* Syncs and renames as base does for any file that is written whole. */
static int commit(tl_error *err, transfer *t)
{
    tl_atomic_file a = {.path = tl__strdup(err, t->path)};
    if (!a.path) return -1;
    a.f = t->f;
    a.temporary = t->part;
    t->f = NULL;
    t->part = NULL;
    return tl__atomic_commit(err, &a);
}

static int make_folder_of(tl_error *err, const char *path)
{
    char *folder = tl__strdup(err, path), *slash = folder ? strrchr(folder, '/') : NULL;
    int bad = folder ? 0 : -1;
    if (slash && slash != folder) {
        *slash = 0;
        bad = tl__make_folders(err, folder);
    }
    free(folder);
    return bad;
}

static int has_prefix(const char *url, const char *scheme) { return strncasecmp(url, scheme, strlen(scheme)) == 0; }

int tl__fetch(tl_error *err, const char *url, const char *path, const char *sha256, tl_fetch_progress *progress, void *user)
{
    if (!has_prefix(url, "http://") && !has_prefix(url, "https://") && !has_prefix(url, "file://"))
        return tl__fail(err, TL_EARG, "%s: %s is not an address of http, https or file", path, url);
    for (const char *c = sha256; c && *c; c++)
        if (!isxdigit((unsigned char)*c) || c - sha256 >= 64) return tl__fail(err, TL_EARG, "%s: %s is not the beginning of a SHA-256", path, sha256);
    if (!load_once())
        return tl__fail(err, TL_EIO, "%s: libcurl is not installed (Debian's package is libcurl4); install it, or fetch %s yourself and put it there", path, url);
    tl_error inner = {0};
    transfer t = {.url = url, .path = path, .sha256 = sha256, .progress = progress, .user = user};
    int bad = make_folder_of(&inner, path);
    if (!bad && (t.part = tl__asprintf(&inner, "%s.part", path)) == NULL) bad = -1;
    if (!bad) bad = open_part(&inner, &t);
    if (!bad && (t.curl = lib.init()) == NULL) bad = tl__fail(&inner, TL_EMEMORY, "libcurl has no memory");
    if (!bad) bad = download_verified(&inner, &t) || commit(&inner, &t);
    if (t.curl) lib.cleanup(t.curl);
    if (t.f) fclose(t.f);
    free(t.part);
    if (!bad) return 0;
    if (!has_prefix(inner.text, path)) tl__error_prefix(&inner, "%s: ", path);
    return tl__fail(err, inner.code, "%s", inner.text);
}
