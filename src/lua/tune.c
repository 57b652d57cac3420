/* tune.c - tables of choices in Lua: core.tuning, tune, tuning_save, tuning_path. What a choice is: src/device/gemm/tuning.h. */
#include "lua/binding.h"

#include "device/gemm/maker.h"
#include "device/gemm/tuning.h"

#include <stdlib.h>

/* core.tuning() -> {hash = "shipped" or the hash of the table in use, [1..] = {class =, maker =, percent =}}; the table
 * that is there, in use or not (TLUA_GEMM, TLUA_TUNING=0) */
static int tuning(lua_State *L)
{
    const tl_device *d = tl__lua_device(L);
    const tl_tuning *t = d->tuning, *used = tl__tuning_used(d);
    char text[TL_CLASS_TEXT];
    lua_createtable(L, t ? t->count : 0, 1);
    lua_pushstring(L, used ? used->hash : "shipped");
    lua_setfield(L, -2, "hash");
    for (int i = 0; t && i < t->count; i++) {
        lua_createtable(L, 0, 3);
        lua_pushstring(L, tl__gemm_class_text(t->choices[i].what, text));
        lua_setfield(L, -2, "class");
        lua_pushstring(L, t->choices[i].maker->name);
        lua_setfield(L, -2, "maker");
        lua_pushinteger(L, t->choices[i].percent);
        lua_setfield(L, -2, "percent");
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int tuning_path(lua_State *L)
{
    tl_error err = {0};
    char *path = tl__tuning_path(&err, tl__lua_device(L));
    if (!path) return tl__lua_raise(L, err.text);
    lua_pushstring(L, path);
    free(path);
    return 1;
}

static tl_gemm_class check_class(lua_State *L, const char *text)
{
    tl_gemm_class c = 0;
    if (!text || tl__gemm_class_parse(text, &c) != 0) tl__lua_raisef(L, "\"%s\" is no class of products; one is \"4096 512 512 nt kept one\"", text ? text : "nil");
    return c;
}

/* core.tuning_save{ {class =, maker =, percent =}, ... } writes the device's table and uses it; an empty one removes it. */
static int tuning_save(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    tl_device *d = tl__lua_device(L);
    int n = (int)lua_rawlen(L, 1);
    tl_choice *list = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *list, 0);
    for (int i = 0; i < n; i++) {
        lua_rawgeti(L, 1, i + 1);
        const char *name = tl__lua_field_text(L, -1, "maker", "");
        list[i].what = check_class(L, tl__lua_field_text(L, -1, "class", NULL));
        list[i].maker = tl__gemm_maker_named(name);
        list[i].percent = (int)tl__lua_field_number(L, -1, "percent", 0);
        if (!list[i].maker) return tl__lua_raisef(L, "there is no maker of matrix products \"%s\"", name);
        lua_pop(L, 1);
    }
    tl_error err = {0};
    if (tl__tuning_save(&err, d, list, n) != 0) return tl__lua_raise(L, err.text);
    return 0;
}

/* core.tune(class, rounds) -> {shipped =, choice =, gain =, [1..] = {name =, gflops =, wrong =}}; shipped and choice are numbers in
 * the list. Seconds of work. nil and why where the device cannot measure this class (too large for it). */
static int tune(lua_State *L)
{
    tl_gemm_class c = check_class(L, luaL_checkstring(L, 1));
    int rounds = (int)luaL_checkinteger(L, 2);
    tl_error err = {0};
    tl_tuned x;
    if (tl__tune(&err, tl__lua_device(L), c, rounds, &x) != 0) {
        lua_pushnil(L);
        lua_pushstring(L, err.text);
        return 2;
    }
    lua_createtable(L, x.count, 3);
    lua_pushinteger(L, x.shipped + 1);
    lua_setfield(L, -2, "shipped");
    lua_pushinteger(L, x.choice + 1);
    lua_setfield(L, -2, "choice");
    lua_pushnumber(L, x.gain);
    lua_setfield(L, -2, "gain");
    for (int i = 0; i < x.count; i++) {
        lua_createtable(L, 0, 3);
        lua_pushstring(L, x.each[i].maker->name);
        lua_setfield(L, -2, "name");
        lua_pushnumber(L, x.each[i].gflops);
        lua_setfield(L, -2, "gflops");
        lua_pushboolean(L, x.each[i].wrong);
        lua_setfield(L, -2, "wrong");
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

void tl__lua_open_tune(lua_State *L)
{
    static const luaL_Reg functions[] = {{"tuning", tuning}, {"tuning_path", tuning_path}, {"tuning_save", tuning_save}, {"tune", tune}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
