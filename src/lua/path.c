/* path.c - paths as people write them, in Lua. */
#include "lua/binding.h"

#include "base/path.h"

#include <stdlib.h>

static int push_text(lua_State *L, const tl_error *err, char *text)
{
    if (!text) return tl__lua_raise(L, err->text);
    lua_pushstring(L, text);
    free(text);
    return 1;
}

const char *tl__lua_path(lua_State *L, int index)
{
    tl_error err = {0};
    push_text(L, &err, tl__path_resolve(&err, luaL_checkstring(L, index)));
    lua_replace(L, index);
    return lua_tostring(L, index);
}

/* core.path(text) -> the path that is meant */
static int path(lua_State *L)
{
    tl__lua_path(L, 1);
    lua_settop(L, 1);
    return 1;
}

/* core.composed(text) -> the text in Unicode's composed form, in which names are compared */
static int composed(lua_State *L)
{
    tl_error err = {0};
    return push_text(L, &err, tl__text_form(&err, luaL_checkstring(L, 1), 1));
}

void tl__lua_open_path(lua_State *L)
{
    static const luaL_Reg functions[] = {{"path", path}, {"composed", composed}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
