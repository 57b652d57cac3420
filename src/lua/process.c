/* process.c - the program among others: standard output that may be full or closed, signals that must not lose work, and numbers
 * that keep their point. */
#include "lua/binding.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- standard output ---- */

static int left, left_failed, print_errno, survives;

static int is_gone_code(int code) { return code == EPIPE || code == EIO || code == EBADF; }

/* A command whose output is cut must not say that all went well. */
static void check_output(void)
{
    if (left && !left_failed) return;
    errno = 0;
    int bad = fflush(stdout) != 0, code = print_errno ? print_errno : errno;
    if (!left && !bad && !ferror(stdout)) return;
    /* Another library may have flushed the buffer in vain, and nobody knows why any more: the next byte tells. */
    if (!code && write(STDOUT_FILENO, "\n", 1) < 0) code = errno;
    if (!left && survives && is_gone_code(code)) return;
    if (!left) fprintf(stderr, "tlua: cannot write to stdout%s%s\n", code ? ": " : "", code ? strerror(code) : "");
    fflush(NULL);
    _exit(1);
}

/* Lua's print, which keeps why it could not: the next one would find the buffer empty, and no reason any more. */
static int print_(lua_State *L)
{
    int n = lua_gettop(L), bad = 0;
    for (int i = 1; i <= n; i++) {
        size_t bytes;
        const char *text = luaL_tolstring(L, i, &bytes);
        bad |= (i > 1 && fputc('\t', stdout) == EOF) || fwrite(text, 1, bytes, stdout) != bytes;
        lua_pop(L, 1);
    }
    if ((bad | (fputc('\n', stdout) == EOF) | (fflush(stdout) != 0)) && !print_errno) print_errno = errno;
    return 0;
}

/* core.leave_output(failed): what becomes of standard output has been said, or is of no interest; with `failed` the exit status is
 * 1 for it. */
static int leave_output(lua_State *L)
{
    left = 1;
    left_failed |= lua_toboolean(L, 1);
    return 0;
}

/* core.is_gone(errno): is it a reader that went away (a pipe, a terminal), and not a disk? */
static int is_gone(lua_State *L)
{
    lua_pushboolean(L, is_gone_code((int)luaL_optinteger(L, 1, 0)));
    return 1;
}

static void ignore(int sig) { (void)sig; }

/* core.survive_pipes(): a closed pipe is an error of writing from now on, which ends nothing and is not spoken of. Other programs that are started
 * from here are ended by it as always, since a handler, unlike SIG_IGN, is not passed on. */
static int survive_pipes(lua_State *L)
{
    (void)L;
    survives = 1;
    struct sigaction a = {.sa_handler = ignore, .sa_flags = SA_RESTART}, before;
    if (sigaction(SIGPIPE, NULL, &before) == 0 && before.sa_handler == SIG_DFL) sigaction(SIGPIPE, &a, NULL);
    return 0;
}

/* ---- locale ---- */

/* os.setlocale, but for numbers and the order of texts, which stay those of C: files that are written here are read elsewhere, and Lua sorts
 * by them. Asked for another locale of these it gives nil, as Lua says for what cannot be done; "all" sets the others. The original is
 * the upvalue. */
static int set_locale(lua_State *L)
{
    const char *what = luaL_optstring(L, 2, "all");
    int asks = lua_isnoneornil(L, 1), all = strcmp(what, "all") == 0, fixed = strcmp(what, "numeric") == 0 || strcmp(what, "collate") == 0;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    if (asks || !(fixed || all) || lua_isnil(L, -1)) return 1;
    int other = strcmp(lua_tostring(L, -1), "C") != 0 && strcmp(lua_tostring(L, -1), "POSIX") != 0;
    setlocale(LC_NUMERIC, "C");
    setlocale(LC_COLLATE, "C");
    if (fixed && other) lua_pushnil(L);
    else if (all) lua_pushstring(L, setlocale(LC_ALL, NULL));
    return 1;
}

/* ---- the beginning ---- */

/* A program that is started without one of its three streams would get a file of its own under that number, and write into it. What
 * is put there instead refuses to be used. */
static void hold_streams(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0) return;
}

/* core.sleep(seconds): a signal ends it early */
static int sleep_(lua_State *L)
{
    double s = luaL_checknumber(L, 1);
    if (s > 0 && s < 1e6) nanosleep(&(struct timespec){.tv_sec = (time_t)s, .tv_nsec = (long)((s - floor(s)) * 1e9)}, NULL);
    return 0;
}

void tl__lua_begin_process(void)
{
    hold_streams();
    signal(SIGXFSZ, SIG_IGN); /* a file beyond `ulimit -f` is an error of writing that says so */
    atexit(check_output);
}

void tl__lua_open_process(lua_State *L)
{
    static const luaL_Reg functions[] = {{"leave_output", leave_output}, {"is_gone", is_gone}, {"sleep", sleep_}, {"survive_pipes", survive_pipes}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    lua_pushcfunction(L, print_);
    lua_setglobal(L, "print");
    lua_getglobal(L, LUA_OSLIBNAME);
    lua_getfield(L, -1, "setlocale");
    lua_pushcclosure(L, set_locale, 1);
    lua_setfield(L, -2, "setlocale");
    lua_pop(L, 1);
}
