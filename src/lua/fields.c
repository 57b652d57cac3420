/* fields.c - fields of the table on top, by kinds of values: what bindings tell comes in tables with names. */
#include "lua/binding.h"

void tl__lua_set_integer(lua_State *L, const char *key, int64_t v)
{
    lua_pushinteger(L, v);
    lua_setfield(L, -2, key);
}

void tl__lua_set_number(lua_State *L, const char *key, double v)
{
    lua_pushnumber(L, v);
    lua_setfield(L, -2, key);
}

void tl__lua_set_bool(lua_State *L, const char *key, int v)
{
    lua_pushboolean(L, v);
    lua_setfield(L, -2, key);
}

void tl__lua_set_text(lua_State *L, const char *key, const char *v)
{
    if (!v) return;
    lua_pushstring(L, v);
    lua_setfield(L, -2, key);
}

void tl__lua_set_filled(lua_State *L, const char *key, const char *v)
{
    if (v && *v) tl__lua_set_text(L, key, v);
}
