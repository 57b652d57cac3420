/* serve.c - a small server for `tlua watch`: one thread, one poll, a connection for each answer (src/io/http.h reads
 * the requests).
 *   core.serve(address, port) -> a server that listens on this numeric address; port 0: any that is free
 *   server:port(), server:is_loopback(), server:close()
 *   server:turn(seconds, answer): waits for what comes, at most so long, and does what can be done without waiting
 *     on anybody. answer(path, host) -> status, fields (lines that end in CR LF), body. An error of it is answered 500.
 * Nobody can make it wait: sockets do not block, a request has READ seconds, an answer may stand still for WRITE
 * seconds, and where all places are taken the oldest guest goes. What a guest can make it keep is the head of a request
 * and one answer. */
#include "lua/binding.h"

#include "io/http.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

enum { GUESTS = 32, AT_ONCE = 1 << 20 };
static const double READ = 10, WRITE = 30, WHOLE = 300, DRAIN = 2; /* seconds */

typedef enum phase { FREE, READING, WRITING, DRAINING } phase;

typedef struct guest {
    phase phase;
    int fd;
    double since, until; /* when it came, and when it goes unless something happens */
    size_t have, bytes, sent;
    char *answer;
    char head[TL_HTTP_HEAD];
} guest;

typedef struct server {
    int fd, port, loopback;
    guest guests[GUESTS];
} server;

#define SERVER "tlua.server"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void leave(guest *g)
{
    if (g->phase != FREE) close(g->fd);
    free(g->answer);
    g->answer = NULL;
    g->phase = FREE;
}

static void make_quiet(int fd)
{
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* ---- answers ---- */

/* Puts the answer behind the request; NULL fields and body: the reason of the status as text. */
static void answer(guest *g, int status, const char *fields, const char *body, size_t bytes)
{
    int head_only = strncmp(g->head, "HEAD ", 5) == 0;
    const char *reason = tl__http_reason(status);
    tl_error err = {0};
    if (!body) {
        fields = "Content-Type: text/plain; charset=utf-8\r\n";
        body = reason;
        bytes = strlen(reason);
    }
    char *head = tl__asprintf(&err, "HTTP/1.1 %d %s\r\n%s%sContent-Length: %zu\r\nConnection: close\r\n\r\n", status,
                              reason, fields, status == 405 ? "Allow: GET, HEAD\r\n" : "", bytes);
    size_t n = head ? strlen(head) : 0, more = head_only ? 0 : bytes;
    g->answer = head ? tl__malloc(&err, n + more + 1) : NULL;
    if (!g->answer) leave(g);
    else {
        memcpy(g->answer, head, n);
        memcpy(g->answer + n, body, more);
        g->bytes = n + more;
        g->sent = 0;
        g->phase = WRITING;
        g->until = now() + WRITE;
    }
    free(head);
}

/* What the function at index 3 says about a request. */
static void ask(lua_State *L, guest *g, const tl_http_request *r)
{
    int top = lua_gettop(L);
    lua_pushvalue(L, 3);
    lua_pushstring(L, r->path);
    lua_pushstring(L, r->host);
    size_t bytes = 0;
    int bad = lua_pcall(L, 2, 3, 0) != LUA_OK;
    if (bad || !lua_isinteger(L, -3) || !lua_isstring(L, -2) || !lua_isstring(L, -1)) answer(g, 500, NULL, NULL, 0);
    else {
        const char *body = lua_tolstring(L, -1, &bytes);
        answer(g, (int)lua_tointeger(L, -3), lua_tostring(L, -2), body, bytes);
    }
    lua_settop(L, top);
}

/* ---- what a guest does ---- */

static void read_some(lua_State *L, guest *g)
{
    ssize_t n = recv(g->fd, g->head + g->have, sizeof g->head - g->have, 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    if (n <= 0) {
        leave(g);
        return;
    }
    g->have += (size_t)n;
    tl_http_request r;
    int status = tl__http_read(g->head, g->have, &r);
    if (status == 1) ask(L, g, &r);
    else if (status) answer(g, status, NULL, NULL, 0);
}

static void write_some(guest *g)
{
    size_t most = g->sent + AT_ONCE;
    while (g->sent < g->bytes && g->sent < most) {
        ssize_t n = send(g->fd, g->answer + g->sent, g->bytes - g->sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) break;
        if (n <= 0) {
            leave(g);
            return;
        }
        g->sent += (size_t)n;
        g->until = now() + WRITE;
    }
    if (g->sent < g->bytes) return;
    free(g->answer);
    g->answer = NULL;
    shutdown(g->fd, SHUT_WR); /* a close with bytes unread would take the answer back */
    g->phase = DRAINING;
    g->until = now() + DRAIN;
}

static void drain_some(guest *g)
{
    ssize_t n = recv(g->fd, g->head, sizeof g->head, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) leave(g);
}

/* A free place; where there is none that of the guest who came first. */
static guest *place_of(server *s)
{
    guest *oldest = &s->guests[0];
    for (int i = 0; i < GUESTS; i++) {
        guest *g = &s->guests[i];
        if (g->phase == FREE) return g;
        if (g->since < oldest->since) oldest = g;
    }
    leave(oldest);
    return oldest;
}

static void let_in(server *s)
{
    for (int i = 0; i < GUESTS; i++) {
        int fd = accept(s->fd, NULL, NULL);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            leave(place_of(s)); /* somebody must go, or poll would return at once for ever */
            nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        }
        if (fd < 0) return;
        make_quiet(fd);
        guest *g = place_of(s);
        g->phase = READING;
        g->fd = fd;
        g->since = now();
        g->until = g->since + READ;
        g->have = 0;
    }
}

/* ---- in Lua ---- */

static server *server_of(lua_State *L)
{
    server *s = luaL_checkudata(L, 1, SERVER);
    if (s->fd < 0) tl__lua_raise(L, "the server is closed");
    return s;
}

static int turn(lua_State *L)
{
    server *s = server_of(L);
    double end = now() + luaL_checknumber(L, 2), wake = end;
    luaL_checktype(L, 3, LUA_TFUNCTION);
    struct pollfd list[GUESTS + 1] = {{.fd = s->fd, .events = POLLIN}};
    for (int i = 0; i < GUESTS; i++) {
        guest *g = &s->guests[i];
        if (g->phase != FREE && (g->until < now() || g->since + WHOLE < now())) leave(g);
        list[i + 1].fd = g->phase == FREE ? -1 : g->fd;
        list[i + 1].events = g->phase == WRITING ? POLLOUT : POLLIN;
        if (g->phase != FREE && g->until < wake) wake = g->until;
    }
    double left = wake - now();
    if (poll(list, GUESTS + 1, left > 0 ? (int)(1000 * left) + 1 : 0) <= 0) return 0;
    for (int i = 0; i < GUESTS; i++) {
        guest *g = &s->guests[i];
        if (!list[i + 1].revents || g->phase == FREE) continue;
        if (g->phase == READING) read_some(L, g);
        else if (g->phase == WRITING) write_some(g);
        else drain_some(g);
    }
    if (list[0].revents) let_in(s);
    return 0;
}

static int port(lua_State *L)
{
    lua_pushinteger(L, server_of(L)->port);
    return 1;
}

static int is_loopback(lua_State *L)
{
    lua_pushboolean(L, server_of(L)->loopback);
    return 1;
}

static int close_(lua_State *L)
{
    server *s = luaL_checkudata(L, 1, SERVER);
    for (int i = 0; i < GUESTS; i++) leave(&s->guests[i]);
    if (s->fd >= 0) close(s->fd);
    s->fd = -1;
    return 0;
}

/* 127.0.0.0/8 and ::1 */
static int is_own(const struct sockaddr *a)
{
    const void *any = a;
    if (a->sa_family == AF_INET) return ntohl(((const struct sockaddr_in *)any)->sin_addr.s_addr) >> 24 == 127;
    return a->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)any)->sin6_addr);
}

/* Opens the socket at `a`; -1 with errno. */
static int listen_at(const struct addrinfo *a)
{
    int fd = socket(a->ai_family, SOCK_STREAM, 0), on = 1;
    if (fd < 0) return -1;
    make_quiet(fd);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (a->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, GUESTS) == 0) return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static int serve(lua_State *L)
{
    const char *address = luaL_checkstring(L, 1);
    lua_Integer wanted = luaL_checkinteger(L, 2);
    if (wanted < 0 || wanted > 65535)
        return tl__lua_raisef(L, "a port is a number from 0 to 65535, not %lld", (long long)wanted);
    server *s = lua_newuserdatauv(L, sizeof *s, 0);
    memset(s, 0, sizeof *s);
    s->fd = -1;
    luaL_setmetatable(L, SERVER);
    char text[8];
    snprintf(text, sizeof text, "%d", (int)wanted);
    const int numeric = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
    struct addrinfo hints = {.ai_flags = numeric, .ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(address, text, &hints, &found) != 0)
        return tl__lua_raisef(L, "'%s' is no numeric address, like 127.0.0.1, 192.168.1.5 or ::1", address);
    s->fd = listen_at(found);
    int why = errno;
    s->loopback = is_own(found->ai_addr);
    freeaddrinfo(found);
    if (s->fd < 0) return tl__lua_raisef(L, "cannot listen on %s, port %d: %s", address, (int)wanted, strerror(why));
    struct sockaddr_storage own;
    socklen_t n = sizeof own;
    char number[8] = "0";
    if (getsockname(s->fd, (struct sockaddr *)&own, &n) == 0)
        getnameinfo((const struct sockaddr *)&own, n, NULL, 0, number, sizeof number, NI_NUMERICSERV);
    s->port = atoi(number);
    return 1;
}

void tl__lua_open_serve(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"turn", turn}, {"port", port}, {"is_loopback", is_loopback}, {"close", close_}, {NULL, NULL}};
    luaL_newmetatable(L, SERVER);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, close_);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, close_);
    lua_setfield(L, -2, "__close");
    lua_pop(L, 1);
    lua_pushcfunction(L, serve);
    lua_setfield(L, -2, "serve");
}
