/* xml.c - annotations in XML as tables of Lua.
 *   core.xml(text, name) -> {name=, text=, children...}    an element: its text without blanks around it, and the
 *     elements in it; attributes are not read (src/io/xml.h) */
#include "lua/binding.h"

#include "io/xml.h"

#include <string.h>

enum { MOST_TEXT = 1 << 16 };

typedef struct building { lua_State *L; int failed; } building;

static void open_element(void *with, const char *name, size_t n)
{
    lua_State *L = ((building *)with)->L;
    lua_createtable(L, 0, 2);
    lua_pushlstring(L, name, n);
    lua_setfield(L, -2, "name");
    lua_pushliteral(L, "");
    lua_setfield(L, -2, "text");
}

static void add_text(void *with, const char *text, size_t n)
{
    building *b = with;
    lua_getfield(b->L, -1, "text");
    if (lua_rawlen(b->L, -1) + n > MOST_TEXT) {
        b->failed = 1;
        lua_pop(b->L, 1);
        return;
    }
    lua_pushlstring(b->L, text, n);
    lua_concat(b->L, 2);
    lua_setfield(b->L, -2, "text");
}

static void close_element(void *with)
{
    lua_State *L = ((building *)with)->L;
    size_t n, from = 0;
    lua_getfield(L, -1, "text");
    const char *text = lua_tolstring(L, -1, &n);
    while (n > from && strchr(" \t\r\n", text[n - 1])) n--;
    while (from < n && strchr(" \t\r\n", text[from])) from++;
    lua_pushlstring(L, text + from, n - from);
    lua_setfield(L, -3, "text");
    lua_pop(L, 1);
    if (lua_istable(L, -2)) lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

static int xml(lua_State *L)
{
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n), *name = luaL_checkstring(L, 2);
    building b = {L, 0};
    tl_error err = {0};
    luaL_checkstack(L, TL_XML_DEEP + 8, "XML");
    char *own = lua_newuserdatauv(L, n + 1, 0);
    memcpy(own, text, n);
    own[n] = 0;
    lua_pushnil(L); /* below the first table */
    if (tl__xml_read(&err, name, own, n, &(tl_xml_handler){&b, open_element, add_text, close_element}) != 0)
        return tl__lua_raise(L, err.text);
    if (b.failed) return tl__lua_raisef(L, "%s: a text of more than %d bytes", name, MOST_TEXT);
    return 1;
}

void tl__lua_open_xml(lua_State *L)
{
    static const tl__lua_entry functions[] = {{"xml", xml, 2, NULL}, {NULL, NULL, 0, NULL}};
    tl__lua_functions(L, functions, 0);
}
