/* error.c - errors as the user sees them: their own line first, then what is wrong, then the modules
 * that were passed through. */
#include "lua/binding.h"

#include "base/near.h"

#include <string.h>

static int is_library(const lua_Debug *ar)
{
    return strncmp(ar->source, "=tlua/", 6) == 0 || strncmp(ar->source, "=[C]", 4) == 0;
}

/* "in nn.Linear(5 -> 2)" for each library frame whose first local is a module (a table `self` with a method
 * `describe`); the innermost first, each module once. */
static void add_modules(lua_State *L, luaL_Buffer *text, int levels)
{
    const void *last = NULL;
    for (int level = 0; level < levels; level++) {
        lua_Debug ar;
        if (!lua_getstack(L, level, &ar) || !lua_getinfo(L, "S", &ar) || strncmp(ar.source, "=tlua/", 6) != 0) continue;
        const char *name = lua_getlocal(L, &ar, 1);
        if (!name) continue;
        if (strcmp(name, "self") == 0 && lua_istable(L, -1) && lua_topointer(L, -1) != last) {
            last = lua_topointer(L, -1);
            if (lua_getfield(L, -1, "describe") == LUA_TFUNCTION) {
                lua_pushvalue(L, -2);
                if (lua_pcall(L, 1, 1, 0) == LUA_OK && lua_isstring(L, -1)) {
                    lua_pushfstring(L, "\n  in %s", lua_tostring(L, -1));
                    lua_remove(L, -2);
                    lua_remove(L, -2);
                    lua_remove(L, -2); /* the text alone stays, as the buffer wants it */
                    luaL_addvalue(text);
                    continue;
                }
            }
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
}

int tl__lua_raise(lua_State *L, const char *message)
{
    lua_Debug ar;
    int level = 0, found = 0;
    for (; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (!is_library(&ar) && ar.currentline > 0) {
            found = 1;
            break;
        }
    }
    char own[1100];
    snprintf(own, sizeof own, "%s", message); /* the caller's text may lie in what is about to go */
    luaL_Buffer text;
    luaL_buffinit(L, &text);
    if (found) {
        lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
        luaL_addvalue(&text);
    }
    luaL_addstring(&text, own);
    add_modules(L, &text, level);
    luaL_pushresult(&text);
    return lua_error(L);
}

int tl__lua_raisef(lua_State *L, const char *format, ...)
{
    char text[1100];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    return tl__lua_raise(L, text);
}

int tl__lua_scope_error(lua_State *L, tl_scope *s)
{
    char text[sizeof s->err.text];
    memcpy(text, s->err.text, sizeof text);
    tl__scope_drop(s);
    return tl__lua_raise(L, text);
}

int tl__lua_unknown(lua_State *L, const char *what, const char *word, const char *const *known)
{
    const char *near = tl__near_miss(word, known);
    if (near) return tl__lua_raisef(L, "unknown %s '%s'; did you mean '%s'?", what, word, near);
    char list[600] = "";
    for (int i = 0; known[i]; i++) {
        size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", known[i]);
    }
    return tl__lua_raisef(L, "unknown %s '%s'; there is %s", what, word, *list ? list : "none");
}
