/* system.c - what recipes need of the machine: devices, time, files, downloads, the process. */
#include "lua/binding.h"

#include "base/near.h"
#include "device/describe.h"
#include "base/text.h"
#include "io/fetch.h"
#include "io/image.h"
#include "io/unpack.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- devices and time ---- */

static void push_device(lua_State *L, tl_device *d)
{
    lua_createtable(L, 0, 4);
    lua_pushstring(L, tl_device_name(d));
    lua_setfield(L, -2, "name");
    lua_pushstring(L, tl_device_platform(d));
    lua_setfield(L, -2, "platform");
    lua_pushstring(L, d->traits.driver);
    lua_setfield(L, -2, "driver");
    lua_pushstring(L, d->traits.version);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, d->traits.is_cpu ? "cpu" : "gpu");
    lua_setfield(L, -2, "type");
    lua_pushinteger(L, d->traits.compute_units);
    lua_setfield(L, -2, "units");
    lua_pushinteger(L, (lua_Integer)d->traits.global_bytes);
    lua_setfield(L, -2, "bytes");
    lua_pushinteger(L, (lua_Integer)tl__device_room(d));
    lua_setfield(L, -2, "room");
    lua_pushboolean(L, d->traits.shares_host);
    lua_setfield(L, -2, "shares_host");
    lua_pushstring(L, tl__device_tested(&d->traits)); /* NULL: nil */
    lua_setfield(L, -2, "tested");
    lua_pushstring(L, d->note[0] ? d->note : NULL);
    lua_setfield(L, -2, "note");
}

/* core.device([spec]) opens the device (once a program) and returns what it is. */
static int device(lua_State *L)
{
    context *c = tl__lua_context(L);
    const char *spec = luaL_optstring(L, 1, NULL);
    if (!c->device) tl__lua_open_device(L, spec);
    else if (spec && *spec) {
        tl_error err = {0};
        tl_device *other = tl_device_open(spec, &err);
        if (!other) return tl__lua_raise(L, err.text);
        int same = other->id == c->device->id;
        tl_device_release(other);
        if (!same) return tl__lua_raisef(L, "the device %s is in use already; choose another before the first tensor is made", tl_device_name(c->device));
    }
    push_device(L, c->device);
    return 1;
}

static int device_info(lua_State *L)
{
    push_device(L, tl__lua_device(L));
    return 1;
}

static void add_device(void *user, int index, const char *type, const char *name, const char *platform, uint64_t bytes, int units)
{
    lua_State *L = user;
    lua_createtable(L, 0, 6);
    lua_pushinteger(L, index);
    lua_setfield(L, -2, "index");
    lua_pushstring(L, type);
    lua_setfield(L, -2, "type");
    lua_pushstring(L, name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, platform);
    lua_setfield(L, -2, "platform");
    lua_pushinteger(L, (lua_Integer)bytes);
    lua_setfield(L, -2, "bytes");
    lua_pushinteger(L, units);
    lua_setfield(L, -2, "units");
    lua_rawseti(L, -2, index);
}

static int devices(lua_State *L)
{
    lua_newtable(L);
    tl_device_list(add_device, L);
    return 1;
}

static void add_detail(void *user, int index, const tl_detail *d)
{
    lua_State *L = user;
    if (lua_rawgeti(L, -1, index) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, index);
    }
    if (d->kind == TL_D_TEXT) lua_pushstring(L, d->text);
    else if (d->kind == TL_D_FLAG) lua_pushboolean(L, d->number[0] != 0);
    else if (d->kind == TL_D_NUMBER) lua_pushinteger(L, d->number[0]);
    else {
        lua_createtable(L, 3, 0);
        for (int i = 0; i < 3; i++) {
            lua_pushinteger(L, d->number[i]);
            lua_rawseti(L, -2, i + 1);
        }
    }
    lua_setfield(L, -2, d->key);
    lua_pop(L, 1);
}

/* core.device_details() -> for each device all that its driver says and what tlua makes of it (src/device/describe.h) */
static int device_details(lua_State *L)
{
    lua_newtable(L);
    tl__devices_describe(add_detail, L);
    return 1;
}

/* core.memory() -> live, pooled, peak bytes */
static int memory(lua_State *L)
{
    context *c = tl__lua_context(L);
    size_t live = 0, pooled = 0, peak = 0;
    if (c->device) tl_device_memory(c->device, &live, &pooled, &peak);
    lua_pushinteger(L, (lua_Integer)live);
    lua_pushinteger(L, (lua_Integer)pooled);
    lua_pushinteger(L, (lua_Integer)peak);
    return 3;
}

static int reset_peak(lua_State *L)
{
    context *c = tl__lua_context(L);
    if (c->device) tl_device_reset_peak(c->device);
    return 0;
}

/* core.counters() -> launches, copies, casts, programs built, programs from the cache, buffers that the driver made, and that it got back */
static int counters(lua_State *L)
{
    context *c = tl__lua_context(L);
    long v[7] = {0};
    if (c->device) {
        v[0] = c->device->launches;
        v[1] = c->device->copies;
        v[2] = c->device->casts;
        v[3] = c->device->programs_built;
        v[4] = c->device->programs_cached;
        v[5] = c->device->buffers_made;
        v[6] = c->device->buffers_dropped;
    }
    for (int i = 0; i < 7; i++) lua_pushinteger(L, v[i]);
    return 7;
}

static int sync_(lua_State *L)
{
    context *c = tl__lua_context(L);
    tl_error err = {0};
    if (c->device && tl_device_sync(c->device, &err) != 0) return tl__lua_raise(L, err.text);
    return 0;
}

static int time_(lua_State *L)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    lua_pushnumber(L, (double)t.tv_sec + 1e-9 * (double)t.tv_nsec);
    return 1;
}

/* ---- files ---- */

static int raise_error(lua_State *L, const tl_error *err) { return tl__lua_raise(L, err->text); }

static int read_file(lua_State *L)
{
    tl_error err = {0};
    size_t n;
    char *data = tl__read_file(&err, luaL_checkstring(L, 1), &n);
    if (!data) return raise_error(L, &err);
    lua_pushlstring(L, data, n);
    free(data);
    return 1;
}

static int write_file(lua_State *L)
{
    tl_error err = {0};
    size_t n;
    const char *text = luaL_checklstring(L, 2, &n);
    if (tl__write_file(&err, luaL_checkstring(L, 1), text, n) != 0) return raise_error(L, &err);
    return 0;
}

/* core.write_private(path, text): none but the owner may read it */
static int write_private(lua_State *L)
{
    tl_error err = {0};
    size_t n;
    const char *text = luaL_checklstring(L, 2, &n);
    if (tl__write_private_file(&err, luaL_checkstring(L, 1), text, n) != 0) return raise_error(L, &err);
    return 0;
}

/* core.append_file(path, text [, sync]); sync: it is on the disk when this returns. */
static int append_file(lua_State *L)
{
    size_t n;
    const char *path = luaL_checkstring(L, 1), *text = luaL_checklstring(L, 2, &n);
    FILE *f = fopen(path, "ab");
    int bad = !f || fwrite(text, 1, n, f) != n || (lua_toboolean(L, 3) && (fflush(f) != 0 || fsync(fileno(f)) != 0));
    int code = errno;
    if (f && fclose(f) != 0 && !bad) {
        code = errno;
        bad = 1;
    }
    return bad ? tl__lua_raisef(L, "cannot write %s: %s", path, strerror(code)) : 0;
}

static int truncate_(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    if (truncate(path, (off_t)luaL_checkinteger(L, 2)) != 0) return tl__lua_raisef(L, "cannot cut %s: %s", path, strerror(errno));
    return 0;
}

static int mkdirs(lua_State *L)
{
    tl_error err = {0};
    if (tl__make_folders(&err, luaL_checkstring(L, 1)) != 0) return raise_error(L, &err);
    return 0;
}

static int cache_folder(lua_State *L)
{
    tl_error err = {0};
    char *path = tl__cache_folder(&err, luaL_checkstring(L, 1));
    if (!path) return raise_error(L, &err);
    lua_pushstring(L, path);
    free(path);
    return 1;
}

/* core.exists(path) -> true; or false, and why it cannot be known where that is another reason than that nothing is there */
static int exists(lua_State *L)
{
    struct stat st;
    int bad = stat(luaL_checkstring(L, 1), &st), why = errno;
    lua_pushboolean(L, !bad);
    if (!bad || why == ENOENT || why == ENOTDIR) return 1;
    lua_pushstring(L, strerror(why));
    return 2;
}

static int is_folder(lua_State *L)
{
    struct stat st;
    lua_pushboolean(L, stat(luaL_checkstring(L, 1), &st) == 0 && S_ISDIR(st.st_mode));
    return 1;
}

/* core.file_kind(path) -> "file", "folder" or "other" (a pipe, a device), and a text that two paths to the same
 * have in common; nothing where there is none */
static int file_kind(lua_State *L)
{
    struct stat st;
    if (stat(luaL_checkstring(L, 1), &st) != 0) return 0;
    lua_pushstring(L, S_ISREG(st.st_mode) ? "file" : S_ISDIR(st.st_mode) ? "folder" : "other");
    lua_pushfstring(L, "%I:%I", (LUAI_UACINT)st.st_dev, (LUAI_UACINT)st.st_ino);
    return 2;
}

/* core.file_size(path) -> bytes, time of the last change in seconds, the file's number, which its other names have too; nothing where there
 * is no such file */
static int file_size(lua_State *L)
{
    struct stat st;
    if (stat(luaL_checkstring(L, 1), &st) != 0) return 0;
    lua_pushinteger(L, (lua_Integer)st.st_size);
    lua_pushnumber(L, (double)st.st_mtim.tv_sec + 1e-9 * (double)st.st_mtim.tv_nsec);
    lua_pushinteger(L, (lua_Integer)st.st_ino);
    return 3;
}

/* By bytes, whatever order the user's locale has. */
static int compare_names(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

/* core.list_folder(path) -> sorted names */
static int list_folder(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct dirent **names;
    int n = scandir(path, &names, NULL, compare_names);
    if (n < 0) return tl__lua_raisef(L, "cannot open %s: %s", path, strerror(errno));
    lua_newtable(L);
    for (int i = 0, k = 0; i < n; i++) {
        if (strcmp(names[i]->d_name, ".") != 0 && strcmp(names[i]->d_name, "..") != 0) {
            lua_pushstring(L, names[i]->d_name);
            lua_rawseti(L, -2, ++k);
        }
        free(names[i]);
    }
    free(names);
    return 1;
}

static int remove_(lua_State *L)
{
    lua_pushboolean(L, remove(luaL_checkstring(L, 1)) == 0);
    return 1;
}

/* core.rename(from, to): on one file system; what was called `to` is replaced */
static int rename_(lua_State *L)
{
    const char *from = luaL_checkstring(L, 1), *to = luaL_checkstring(L, 2);
    if (rename(from, to) != 0) return tl__lua_raisef(L, "cannot rename %s to %s: %s", from, to, strerror(errno));
    return 0;
}

static int sha256_(lua_State *L)
{
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    char hex[65];
    tl_sha256 h;
    tl__sha256_init(&h);
    tl__sha256_update(&h, text, n);
    tl__sha256_final(&h, hex);
    lua_pushstring(L, hex);
    return 1;
}

/* core.hmac_sha256(key, text) -> 64 hexadecimal digits */
static int hmac_sha256_(lua_State *L)
{
    size_t n, m;
    const char *key = luaL_checklstring(L, 1, &n), *text = luaL_checklstring(L, 2, &m);
    char hex[65];
    tl__hmac_sha256(key, n, text, m, hex);
    lua_pushstring(L, hex);
    return 1;
}

/* core.sha256_file(path): of what a file holds. */
static int sha256_file(lua_State *L)
{
    tl_error err = {0};
    char hex[65];
    if (tl__sha256_file(&err, luaL_checkstring(L, 1), hex) != 0) return tl__lua_raise(L, err.text);
    lua_pushstring(L, hex);
    return 1;
}

static int near_miss(lua_State *L)
{
    const char *word = luaL_checkstring(L, 1), *known[1024];
    luaL_checktype(L, 2, LUA_TTABLE);
    int n = 0;
    for (; n < 1023; n++) {
        int type = lua_rawgeti(L, 2, n + 1);
        known[n] = type == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
        lua_pop(L, 1);
        if (!known[n]) break;
    }
    known[n] = NULL;
    const char *near = tl__near_miss(word, known);
    if (near) lua_pushstring(L, near);
    else lua_pushnil(L);
    return 1;
}

/* core.environment(prefix): the names of the environment's variables that begin with it. */
static int environment(lua_State *L)
{
    extern char **environ;
    size_t n, length;
    const char *prefix = luaL_checklstring(L, 1, &n);
    lua_newtable(L);
    for (char **e = environ; e && *e; e++)
        if (strncmp(*e, prefix, n) == 0 && (length = strcspn(*e, "=")) >= n) {
            lua_pushlstring(L, *e, length);
            lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
        }
    return 1;
}

/* ---- downloads ---- */

typedef struct report { lua_State *L; int function; } report;

static int on_progress(void *user, int64_t done, int64_t total)
{
    report *r = user;
    if (!r->function) return 0;
    lua_pushvalue(r->L, r->function);
    lua_pushinteger(r->L, done);
    lua_pushinteger(r->L, total);
    int stop = lua_pcall(r->L, 2, 1, 0) != LUA_OK || lua_toboolean(r->L, -1);
    lua_pop(r->L, 1);
    return stop;
}

/* core.fetch(url, path, sha256_prefix or nil, progress or nil) */
static int fetch(lua_State *L)
{
    const char *url = luaL_checkstring(L, 1), *path = luaL_checkstring(L, 2), *sum = luaL_optstring(L, 3, NULL);
    report r = {L, lua_isfunction(L, 4) ? 4 : 0};
    tl_error err = {0};
    if (tl__fetch(&err, url, path, sum, on_progress, &r) != 0) return raise_error(L, &err);
    return 0;
}

/* core.untar(archive, folder) */
static int untar(lua_State *L)
{
    tl_error err = {0};
    if (tl__unpack(&err, luaL_checkstring(L, 1), luaL_checkstring(L, 2), 0) != 0) return raise_error(L, &err);
    return 0;
}

/* ---- the process ---- */

/* core.link(from, to): `to` becomes another name of the file `from`, or a copy where the file system has no such names. What was
 * called so before is replaced, and at no moment is there no file. */
static int link_(lua_State *L)
{
    const char *from = luaL_checkstring(L, 1), *to = luaL_checkstring(L, 2);
    lua_pushfstring(L, "%s.link%d", to, (int)getpid());
    const char *between = lua_tostring(L, -1);
    unlink(between);
    if (link(from, between) == 0) {
        int bad = rename(between, to), why = errno;
        unlink(between); /* rename leaves it where both were one file already */
        return bad ? tl__lua_raisef(L, "cannot name %s %s: %s", from, to, strerror(why)) : 0;
    }
    tl_error err = {0};
    size_t n = 0;
    char *data = tl__read_file(&err, from, &n);
    if (data) tl__write_file(&err, to, data, n);
    free(data);
    return err.code ? raise_error(L, &err) : 0;
}

/* core.lowered([type]) -> the half type that results are stored in so far, or "float32"; a type becomes it. */
static int lowered(lua_State *L)
{
    static const char *const names[] = {"float32", "float16", "bfloat16", NULL};
    static const tl_dtype types[] = {TL_F32, TL_F16, TL_BF16};
    tl_device *d = tl__lua_device(L);
    const char *before = tl__dtype_name(d->lowered);
    if (!lua_isnoneornil(L, 1)) d->lowered = types[luaL_checkoption(L, 1, NULL, names)];
    lua_pushstring(L, before);
    return 1;
}

/* core.random_step(n): what the device draws from now on depends on seed, n and the order of draws since. */
static int random_step(lua_State *L)
{
    tl__lua_device(L)->ordinal = (uint64_t)luaL_checkinteger(L, 1) << 32;
    return 0;
}

static int getpid_(lua_State *L)
{
    lua_pushinteger(L, getpid());
    return 1;
}

/* core.memory_failures(): how often there was no memory so far, whatever became of it */
static int memory_failures(lua_State *L)
{
    lua_pushinteger(L, tl__memory_failures());
    return 1;
}

/* For tests: makes the n-th allocation of the core fail; returns how many were counted since. */
static int inject_failure(lua_State *L)
{
    lua_pushinteger(L, tl__inject_failure((long)luaL_checkinteger(L, 1)));
    return 1;
}

/* For tests: core.inject_launch_failure(n [, code]) makes the n-th order to the device fail: "memory" (after which the bindings try once
 * more), "interrupt" or "device". Returns how many there were since. */
static int inject_launch_failure(lua_State *L)
{
    static const char *const names[] = {"memory", "interrupt", "device", NULL};
    static const int codes[] = {TL_EMEMORY, TL_EINTERRUPT, TL_EDEVICE};
    int code = codes[luaL_checkoption(L, 2, "memory", names)];
    lua_pushinteger(L, tl__inject_launch_failure(tl__lua_device(L), (long)luaL_checkinteger(L, 1), code));
    return 1;
}

static int error_(lua_State *L) { return tl__lua_raise(L, luaL_tolstring(L, 1, NULL)); }

void tl__lua_open_system(lua_State *L)
{
    static const tl__lua_entry of_api[] = {{"device", device, 1, NULL}, {"devices", devices, 0, NULL}, {"memory", memory, 0, NULL}, {"reset_peak", reset_peak, 0, NULL},
                                           {"sync", sync_, 0, NULL}, {"time", time_, 0, NULL}, {NULL, NULL, 0, NULL}};
    static const luaL_Reg functions[] = {
        {"device_info", device_info}, {"device_details", device_details}, {"counters", counters}, {"read_file", read_file}, {"write_file", write_file},
        {"write_private", write_private},
        {"append_file", append_file}, {"truncate", truncate_}, {"mkdirs", mkdirs}, {"cache_folder", cache_folder}, {"exists", exists}, {"is_folder", is_folder},
        {"file_kind", file_kind},
        {"file_size", file_size}, {"list_folder", list_folder}, {"remove", remove_}, {"rename", rename_}, {"sha256", sha256_},
        {"hmac_sha256", hmac_sha256_},
        {"sha256_file", sha256_file}, {"near_miss", near_miss}, {"environment", environment},
        {"fetch", fetch}, {"untar", untar}, 
        {"getpid", getpid_}, {"link", link_}, {"random_step", random_step}, {"lowered", lowered}, {"inject_failure", inject_failure},
        {"memory_failures", memory_failures},
        {"inject_launch_failure", inject_launch_failure}, {"error", error_}, {NULL, NULL}};
    tl__lua_functions(L, of_api, 0);
    luaL_setfuncs(L, functions, 0);
    char decoders[100];
    lua_pushstring(L, tl__image_decoders(decoders, sizeof decoders));
    lua_setfield(L, -2, "decoders");
    lua_pushstring(L, TLUA_VERSION);
    lua_setfield(L, -2, "version");
}
