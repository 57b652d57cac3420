/* lock.c - who is at work on a folder: locks that go with their process, however that ends, and that others can
 * ask for without taking them. */
#define _GNU_SOURCE /* locks of open files (F_OFD_SETLK) */
#include "lua/binding.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* So that others see the lock without trying it: who tries takes it for a moment, and a run that begins in that
 * moment would be refused. A lock of the open file and not of the process, which any close() of the same file
 * would end. 0 where the file system has none. */
static int show_lock(int fd)
{
#ifdef F_OFD_SETLK
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &whole) == 0;
#else
    (void)fd;
    return 0;
#endif
}

/* core.lock(path): takes the file for this process until it ends or core.unlock(number); false where another has
 * it. Beside the number whether core.is_locked sees it. The file stays behind, empty of meaning: the lock is the
 * kernel's and goes with the process, however that ends. */
static int lock(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return tl__lua_raisef(L, "cannot open %s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        lua_pushinteger(L, fd);
        lua_pushboolean(L, show_lock(fd));
        return 2;
    }
    int why = errno;
    close(fd);
    if (why != EWOULDBLOCK) return tl__lua_raisef(L, "cannot lock %s: %s", path, strerror(why));
    lua_pushboolean(L, 0);
    return 1;
}

static int unlock(lua_State *L)
{
    close((int)luaL_checkinteger(L, 1));
    return 0;
}

/* core.is_locked(path): has a living process, this one among them, taken the file with core.lock? nil where it
 * cannot be known. Nothing is taken. */
static int is_locked(lua_State *L)
{
    int fd = open(luaL_checkstring(L, 1), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        if (errno != ENOENT && errno != ENOTDIR) return 0;
        lua_pushboolean(L, 0);
        return 1;
    }
    struct flock asked = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    int bad = fcntl(fd, F_GETLK, &asked);
    close(fd);
    if (bad) return 0;
    lua_pushboolean(L, asked.l_type != F_UNLCK);
    return 1;
}

/* core.host_name(): what this machine calls itself; "" where it has no name */
static int host_name(lua_State *L)
{
    char name[256] = "";
    if (gethostname(name, sizeof name - 1) != 0) name[0] = 0;
    lua_pushstring(L, name);
    return 1;
}

void tl__lua_open_lock(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"lock", lock}, {"unlock", unlock}, {"is_locked", is_locked}, {"host_name", host_name}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
