/* arguments.c - what every function of the API has in common: more arguments than it takes are an error that names it, and so are options that it
 * does not know. Lua itself drops the first without a word, and a table of options would keep the second to itself. */
#include "lua/binding.h"

#include <string.h>

enum { MOST_OPTIONS = 48 };

void tl__lua_options(lua_State *L, int table, const char *function, const char *options)
{
    if (lua_isnoneornil(L, table)) return;
    if (!lua_istable(L, table)) tl__lua_raisef(L, "%s: options come in a table, not a %s", function, luaL_typename(L, table));
    char words[500], what[80];
    const char *known[MOST_OPTIONS + 1] = {NULL};
    int n = 0;
    snprintf(words, sizeof words, "%s", options);
    for (char *word = words; *word && n < MOST_OPTIONS;) {
        known[n++] = word;
        word += strcspn(word, " ");
        if (*word) *word++ = 0;
    }
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "(no text)";
        int found = 0;
        for (int i = 0; known[i]; i++) found |= strcmp(known[i], key) == 0;
        snprintf(what, sizeof what, "option of %s:", function);
        if (!found) tl__lua_unknown(L, what, key, known);
    }
}

int tl__lua_too_many(lua_State *L, const char *function, int given, int most)
{
    return tl__lua_raisef(L, "%s: too many arguments: %d, and it takes %s%d", function, given, most ? "at most " : "", most);
}

/* Calls the function of the entry in the first upvalue; the second says whether it is a method, whose own object does not count. */
static int checked(lua_State *L)
{
    const tl__lua_entry *e = lua_touserdata(L, lua_upvalueindex(1));
    int self = (int)lua_tointeger(L, lua_upvalueindex(2)), top = lua_gettop(L);
    while (top > e->most && lua_isnil(L, top)) top--; /* nothing is lost with nil */
    if (top > e->most) return tl__lua_too_many(L, e->name, top - self, e->most - self);
    lua_settop(L, top);
    if (e->options) tl__lua_options(L, e->most, e->name, e->options);
    return e->function(L);
}

void tl__lua_functions(lua_State *L, const tl__lua_entry *list, int self)
{
    for (const tl__lua_entry *e = list; e->name; e++) {
        if (e->most < 0) lua_pushcfunction(L, e->function);
        else {
            union { const tl__lua_entry *from; void *to; } u = {.from = e};
            lua_pushlightuserdata(L, u.to);
            lua_pushinteger(L, self);
            lua_pushcclosure(L, checked, 2);
        }
        lua_setfield(L, -2, e->name);
    }
}
