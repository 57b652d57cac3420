/* columns.c - texts on a terminal in Lua: core.text. */
#include "lua/binding.h"

#include "base/columns.h"

/* text.width(text) -> how many columns it takes */
static int width(lua_State *L)
{
    size_t bytes;
    const char *text = luaL_checklstring(L, 1, &bytes);
    lua_pushinteger(L, tl__columns(text, bytes));
    return 1;
}

/* text.pad(text, columns [, right]) -> the text with blanks behind it, or before it where `right`; a wider one as
 * it is */
static int pad(lua_State *L)
{
    size_t bytes;
    const char *text = luaL_checklstring(L, 1, &bytes);
    lua_Integer blanks = luaL_checkinteger(L, 2) - tl__columns(text, bytes);
    int right = lua_toboolean(L, 3);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    if (!right) luaL_addlstring(&b, text, bytes);
    for (lua_Integer i = 0; i < blanks; i++) luaL_addchar(&b, ' ');
    if (right) luaL_addlstring(&b, text, bytes);
    luaL_pushresult(&b);
    return 1;
}

/* text.cut(text, most [, mark [, from_end]]) -> at most so many columns of it, and how many; what is left out at
 * its end, or at its beginning where `from_end`, is told by the mark ("…"). No character loses its marks. */
static int cut(lua_State *L)
{
    size_t bytes, length;
    const char *text = luaL_checklstring(L, 1, &bytes), *mark = luaL_optlstring(L, 3, "\xe2\x80\xa6", &length);
    lua_Integer most = luaL_checkinteger(L, 2);
    int from_end = lua_toboolean(L, 4);
    int64_t wide = tl__columns(text, bytes);
    if (wide > most) {
        int64_t room = most - tl__columns(mark, length);
        if (room < 0) length = 0, room = most > 0 ? most : 0;
        size_t kept = tl__columns_fit(text, bytes, room, from_end);
        luaL_Buffer b;
        luaL_buffinit(L, &b);
        if (from_end) luaL_addlstring(&b, mark, length);
        luaL_addlstring(&b, from_end ? text + bytes - kept : text, kept);
        if (!from_end) luaL_addlstring(&b, mark, length);
        luaL_pushresult(&b);
        text = lua_tolstring(L, -1, &bytes);
        wide = tl__columns(text, bytes);
    } else lua_pushvalue(L, 1);
    lua_pushinteger(L, wide);
    return 2;
}

void tl__lua_open_columns(lua_State *L)
{
    static const luaL_Reg functions[] = {{"width", width}, {"pad", pad}, {"cut", cut}, {NULL, NULL}};
    luaL_newlib(L, functions);
    lua_setfield(L, -2, "text");
}
