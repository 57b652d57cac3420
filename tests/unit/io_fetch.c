/* io_fetch.c - downloads against a small web server in a thread of this test: whole files, resumed ones,
 * servers that know no ranges, that break off, that send something else. */
#include "io/fetch.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 300000 };

/* ---- the server ---- */

static struct {
    int socket, port;
    pthread_t thread;
    unsigned char content[SIZE];
    char hash[65];
    int requests, ranges;       /* seen so far */
    long last_from;
} server;

static void send_all(int to, const void *data, size_t n)
{
    for (const char *p = data; n;) {
        ssize_t sent = send(to, p, n, MSG_NOSIGNAL);
        if (sent <= 0) return;
        p += sent;
        n -= (size_t)sent;
    }
}

static void send_text(int to, const char *text) { send_all(to, text, strlen(text)); }

/* /file knows ranges, /plain does not, /cut breaks off half way, /go redirects to /file, /trap to a file. */
static void answer(int to, const char *request)
{
    char head[256];
    const char *range = strstr(request, "Range: bytes=");
    long from = range ? atol(range + 13) : 0;
    server.requests++;
    server.ranges += range != NULL;
    server.last_from = from;
    int plain = strncmp(request, "GET /plain ", 11) == 0, cut = strncmp(request, "GET /cut ", 9) == 0;
    if (strncmp(request, "GET /go ", 8) == 0) {
        send_text(to, "HTTP/1.1 302 Found\r\nLocation: /file\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    } else if (strncmp(request, "GET /trap ", 10) == 0) {
        send_text(to, "HTTP/1.1 302 Found\r\nLocation: file:///etc/hostname\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    } else if (!plain && !cut && strncmp(request, "GET /file ", 10) != 0) {
        send_text(to, "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nConnection: close\r\n\r\nnone\n");
    } else if (range && !plain && from >= SIZE) {
        send_text(to, "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    } else {
        if (plain) from = 0;
        if (range && !plain)
            snprintf(head, sizeof head, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %ld-%d/%d\r\nContent-Length: %ld\r\nConnection: close\r\n\r\n",
                     from, SIZE - 1, SIZE, SIZE - from);
        else
            snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", SIZE);
        send_text(to, head);
        send_all(to, server.content + from, (size_t)(SIZE - from) / (cut ? 2 : 1));
    }
}

static void *serve(void *unused)
{
    for (;;) {
        int to = accept(server.socket, NULL, NULL);
        if (to < 0) return unused;
        char request[4096];
        size_t n = 0;
        ssize_t got;
        while (n < sizeof request - 1 && (got = recv(to, request + n, sizeof request - 1 - n, 0)) > 0) {
            n += (size_t)got;
            request[n] = 0;
            if (strstr(request, "\r\n\r\n")) break;
        }
        request[n] = 0;
        answer(to, request);
        shutdown(to, SHUT_WR);
        while (recv(to, request, sizeof request, 0) > 0) {}
        close(to);
    }
}

static char folder[] = "/tmp/tlua-fetch-XXXXXX", path[64], part[80];

static void start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    tl_sha256 hash;
    for (int i = 0; i < SIZE; i++) server.content[i] = (unsigned char)(i * 7 + i / 251);
    tl__sha256_init(&hash);
    tl__sha256_update(&hash, server.content, SIZE);
    tl__sha256_final(&hash, server.hash);
    server.socket = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(server.socket, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(server.socket, 8), 0);
    getsockname(server.socket, (struct sockaddr *)&address, &size);
    server.port = ntohs(address.sin_port);
    pthread_create(&server.thread, NULL, serve, NULL);
    setenv("no_proxy", "*", 1); /* loopback is not to go through anyone's proxy */
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/deep/er/file.bin", folder);
    snprintf(part, sizeof part, "%s.part", path);
}

static void stop(void)
{
    char *const inner[] = {path, part};
    for (int i = 0; i < 2; i++) unlink(inner[i]);
    char name[128];
    snprintf(name, sizeof name, "%s/deep/er", folder);
    rmdir(name);
    snprintf(name, sizeof name, "%s/deep", folder);
    rmdir(name);
    cr_assert_eq(rmdir(folder), 0, "something was left behind");
    shutdown(server.socket, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    close(server.socket);
}

TestSuite(fetch, .init = start, .fini = stop);

static const char *url(const char *what)
{
    static char text[128];
    snprintf(text, sizeof text, "http://127.0.0.1:%d/%s", server.port, what);
    return text;
}

static void check_content(void)
{
    tl_error err = {0};
    size_t n = 0;
    char *data = tl__read_file(&err, path, &n);
    cr_assert(data, "%s", err.text);
    cr_assert(n == SIZE && memcmp(data, server.content, SIZE) == 0);
    free(data);
    cr_assert_neq(access(part, F_OK), 0, "the part is still there");
}

static void write_part(const void *data, size_t n)
{
    tl_error err = {0};
    char name[128];
    snprintf(name, sizeof name, "%s/deep/er", folder);
    cr_assert_eq(tl__make_folders(&err, name), 0);
    cr_assert_eq(tl__write_file(&err, part, data, n), 0, "%s", err.text);
}

static void check_error(const tl_error *err, int code, const char *text)
{
    cr_assert_eq(err->code, code, "%s", err->text);
    cr_assert(strncmp(err->text, path, strlen(path)) == 0 && !strchr(err->text, '\n') && strstr(err->text, text), "%s", err->text);
    cr_assert_neq(access(path, F_OK), 0, "a file is there");
}

/* ---- what is right ---- */

static int64_t seen_done, seen_total;
static int watch(void *user, int64_t done, int64_t total)
{
    cr_assert_eq(user, &server);
    cr_assert(done >= seen_done && (total == 0 || done <= total));
    seen_done = done;
    seen_total = total;
    return 0;
}

Test(fetch, whole)
{
    tl_error err = {0};
    char prefix[9] = {0};
    memcpy(prefix, server.hash, 8); /* eight digits, as torchvision's names carry */
    cr_assert_eq(tl__fetch(&err, url("file"), path, prefix, watch, &server), 0, "%s", err.text);
    check_content();
    cr_assert(seen_done == SIZE && seen_total == SIZE);
    char hex[65];
    cr_assert_eq(tl__sha256_file(&err, path, hex), 0);
    cr_assert_str_eq(hex, server.hash);
    cr_assert_eq(tl__fetch(&err, url("file"), path, NULL, NULL, NULL), 0, "over a file that is there: %s", err.text);
    check_content();
}

Test(fetch, redirected)
{
    tl_error err = {0};
    cr_assert_eq(tl__fetch(&err, url("go"), path, server.hash, NULL, NULL), 0, "%s", err.text);
    check_content();
}

Test(fetch, resumed)
{
    tl_error err = {0};
    write_part(server.content, 100001);
    cr_assert_eq(tl__fetch(&err, url("file"), path, server.hash, watch, &server), 0, "%s", err.text);
    check_content();
    cr_assert(server.requests == 1 && server.ranges == 1 && server.last_from == 100001);
    cr_assert(seen_done == SIZE && seen_total == SIZE);
}

Test(fetch, resumed_when_all_was_there)
{
    tl_error err = {0};
    write_part(server.content, SIZE);
    cr_assert_eq(tl__fetch(&err, url("file"), path, server.hash, NULL, NULL), 0, "%s", err.text);
    check_content();
}

Test(fetch, not_resumed_without_a_hash)
{
    tl_error err = {0};
    write_part("something older", 15);
    cr_assert_eq(tl__fetch(&err, url("file"), path, NULL, NULL, NULL), 0, "%s", err.text);
    check_content();
    cr_assert_eq(server.ranges, 0);
}

Test(fetch, server_without_ranges)
{
    tl_error err = {0};
    write_part(server.content, 5000);
    cr_assert_eq(tl__fetch(&err, url("plain"), path, server.hash, NULL, NULL), 0, "%s", err.text);
    check_content();
}

Test(fetch, broken_off_then_resumed)
{
    tl_error err = {0};
    cr_assert_eq(tl__fetch(&err, url("cut"), path, server.hash, NULL, NULL), -1);
    check_error(&err, TL_EIO, "could not be had from http://127.0.0.1");
    cr_assert_eq(access(part, F_OK), 0, "nothing was kept");
    err = (tl_error){0};
    cr_assert_eq(tl__fetch(&err, url("file"), path, server.hash, NULL, NULL), 0, "%s", err.text);
    cr_assert_eq(server.last_from, SIZE / 2);
    check_content();
}

Test(fetch, from_a_file)
{
    tl_error err = {0};
    char source[128], address[160];
    snprintf(source, sizeof source, "%s/source.bin", folder);
    snprintf(address, sizeof address, "file://%s", source);
    cr_assert_eq(tl__write_file(&err, source, server.content, SIZE), 0);
    cr_assert_eq(tl__fetch(&err, address, path, server.hash, NULL, NULL), 0, "%s", err.text);
    check_content();
    unlink(path);
    for (size_t had = 1000; had <= SIZE; had += SIZE - 1000) { /* some of it, all of it */
        write_part(server.content, had);
        cr_assert_eq(tl__fetch(&err, address, path, server.hash, NULL, NULL), 0, "%zu: %s", had, err.text);
        check_content();
        unlink(path);
    }
    unlink(source);
    cr_assert_eq(tl__fetch(&err, address, path, NULL, NULL, NULL), -1);
    check_error(&err, TL_EIO, "put it there");
    cr_assert_neq(access(part, F_OK), 0, "an empty part is left");
}

/* ---- what is wrong ---- */

Test(fetch, wrong_hash)
{
    tl_error err = {0};
    cr_assert_eq(tl__fetch(&err, url("file"), path, "00000000", NULL, NULL), -1);
    check_error(&err, TL_EFORMAT, "SHA-256");
    cr_assert_neq(access(part, F_OK), 0, "the wrong file is still there");
    /* A part that belongs to another file, or is longer than this one, is found out, and the file had anew. */
    char *other = calloc(1, SIZE + 10);
    for (size_t n = 15; n <= SIZE + 10; n += SIZE - 5) {
        err = (tl_error){0};
        write_part(other, n);
        cr_assert_eq(tl__fetch(&err, url("file"), path, server.hash, NULL, NULL), 0, "%zu: %s", n, err.text);
        check_content();
        unlink(path);
    }
    err = (tl_error){0};
    write_part(other, 15);
    free(other);
    cr_assert_eq(tl__fetch(&err, url("file"), path, "00000000", NULL, NULL), -1);
    check_error(&err, TL_EFORMAT, "fetch it again");
    cr_assert_neq(access(part, F_OK), 0, "the wrong file is still there");
}

Test(fetch, refusals)
{
    tl_error err = {0};
    cr_assert_eq(tl__fetch(&err, url("none"), path, NULL, NULL, NULL), -1);
    check_error(&err, TL_EIO, "404");
    cr_assert_neq(access(part, F_OK), 0, "an empty part is left");
    err = (tl_error){0};
    cr_assert_eq(tl__fetch(&err, url("trap"), path, NULL, NULL, NULL), -1);
    check_error(&err, TL_EIO, "could not be had");
    err = (tl_error){0};
    cr_assert_eq(tl__fetch(&err, "http://127.0.0.1:1/x", path, NULL, NULL, NULL), -1);
    check_error(&err, TL_EIO, "put it there");
    err = (tl_error){0};
    cr_assert_eq(tl__fetch(&err, "ftp://127.0.0.1/x", path, NULL, NULL, NULL), -1);
    check_error(&err, TL_EARG, "ftp");
    err = (tl_error){0};
    cr_assert_eq(tl__fetch(&err, url("file"), path, "nothex", NULL, NULL), -1);
    check_error(&err, TL_EARG, "nothex");
    err = (tl_error){0};
    cr_assert_eq(tl__fetch(&err, url("file"), "/proc/no/file", NULL, NULL, NULL), -1);
    cr_assert(strncmp(err.text, "/proc/no/file: ", 15) == 0 && !strchr(err.text, '\n'), "%s", err.text);
}

/* A limit on the size of files acts like a full disk, without needing one. */
Test(fetch, no_room)
{
    tl_error err = {0};
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){100000, 100000}), 0);
    cr_assert_eq(tl__fetch(&err, url("file"), path, server.hash, NULL, NULL), -1);
    check_error(&err, TL_EIO, "too large");
    cr_assert_neq(access(part, F_OK), 0, "a part fills the disk");
}

static int give_up(void *user, int64_t done, int64_t total)
{
    (void)user;
    (void)total;
    return done > 0;
}

Test(fetch, stopped)
{
    tl_error err = {0};
    cr_assert_eq(tl__fetch(&err, url("cut"), path, server.hash, give_up, NULL), -1);
    check_error(&err, TL_EINTERRUPT, "stopped");
    err = (tl_error){0};
    cr_assert_eq(tl__fetch(&err, url("file"), path, server.hash, NULL, NULL), 0, "%s", err.text);
    check_content();
}

Test(fetch, every_allocation_may_fail)
{
    int failed = 0;
    for (long nth = 1;; nth++) {
        tl_error err = {0};
        tl__inject_failure(nth);
        int bad = tl__fetch(&err, url("file"), path, server.hash, NULL, NULL);
        tl__inject_failure(0);
        if (!bad) break;
        failed++;
        check_error(&err, TL_EMEMORY, "memory");
    }
    cr_assert_geq(failed, 2);
    check_content();
}
