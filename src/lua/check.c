/* check.c - core.check: the short test of a device (src/check/check.h) in Lua. */
#include "lua/binding.h"

#include "check/check.h"

typedef struct told { lua_State *L; int begin, end, failed; } told;

/* An error of the functions ends nothing: it is kept on the stack and raised when the check is over. */
static void call(told *t, int args)
{
    if (t->failed) lua_pop(t->L, args + 1);
    else if (lua_pcall(t->L, args, 0, 0) != LUA_OK) t->failed = 1;
}

static void on_begin(void *user, const char *family)
{
    told *t = user;
    lua_pushvalue(t->L, t->begin);
    lua_pushstring(t->L, family);
    call(t, 1);
}

static void on_end(void *user, const tl__check_family *f)
{
    told *t = user;
    lua_pushvalue(t->L, t->end);
    lua_createtable(t->L, 0, 8);
    lua_pushstring(t->L, f->name);
    lua_setfield(t->L, -2, "name");
    tl__lua_set_integer(t->L, "checks", f->checks);
    tl__lua_set_integer(t->L, "failures", f->failures);
    tl__lua_set_integer(t->L, "compared", f->compared);
    tl__lua_set_integer(t->L, "others", f->others);
    tl__lua_set_number(t->L, "seconds", f->seconds);
    lua_pushboolean(t->L, f->reached);
    lua_setfield(t->L, -2, "reached");
    if (f->failures) {
        lua_pushstring(t->L, f->first);
        lua_setfield(t->L, -2, "first");
    }
    call(t, 1);
}

/* core.check(spec or nil, seconds, begin(family), finish(result)) -> {name =, platform =, driver =, version =, type =}:
 * what was checked. The check has a device of its own. */
static int check(lua_State *L)
{
    const char *spec = luaL_optstring(L, 1, NULL);
    double seconds = luaL_checknumber(L, 2);
    luaL_checktype(L, 3, LUA_TFUNCTION);
    luaL_checktype(L, 4, LUA_TFUNCTION);
    told t = {.L = L, .begin = 3, .end = 4};
    tl__check_listener listener = {.begin = on_begin, .end = on_end, .user = &t};
    tl_error err = {0};
    tl_traits traits;
    int bad = tl__check(&err, spec, seconds, &listener, &traits);
    if (t.failed) return lua_error(L);
    if (bad) return tl__lua_raise(L, err.text);
    const char *const fields[][2] = {
        {"name", traits.name},       {"platform", traits.platform},           {"driver", traits.driver},
        {"version", traits.version}, {"type", traits.is_cpu ? "cpu" : "gpu"}, {"tested", tl__device_tested(&traits)}};
    lua_createtable(L, 0, 6);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        lua_pushstring(L, fields[i][1]); /* NULL: nil */
        lua_setfield(L, -2, fields[i][0]);
    }
    return 1;
}

void tl__lua_open_check(lua_State *L)
{
    static const luaL_Reg functions[] = {{"check", check}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
