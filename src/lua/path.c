/* path.c - paths as people write them, and what lies in folders of pictures, in Lua. */
#include "lua/binding.h"

#include "base/characters.h"
#include "base/path.h"
#include "data/folders.h"

#include <stdlib.h>
#include <sys/stat.h>

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

/* core.same_file(a, b) -> do both paths lead to the same file or folder? */
static int same_file(lua_State *L)
{
    struct stat a, b;
    const char *first = luaL_checkstring(L, 1), *second = luaL_checkstring(L, 2);
    lua_pushboolean(L, stat(first, &a) == 0 && stat(second, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino);
    return 1;
}

/* core.composed(text) -> the text in Unicode's composed form, in which names are compared */
static int composed(lua_State *L)
{
    tl_error err = {0};
    return push_text(L, &err, tl__text_form(&err, luaL_checkstring(L, 1), 1));
}

/* core.lower(text) -> the text with small letters */
static int lower(lua_State *L)
{
    tl_error err = {0};
    return push_text(L, &err, tl__text_lower(&err, luaL_checkstring(L, 1)));
}

/* core.characters(text) -> {character...}, {category...} of its code points, categories as Unicode names them: "Ll" */
static int characters(lua_State *L)
{
    size_t bytes, at = 0;
    const char *text = luaL_checklstring(L, 1, &bytes);
    tl_character c;
    lua_newtable(L);
    lua_newtable(L);
    for (lua_Integer i = 1; at < bytes; i++, at += c.bytes) {
        if (tl__character(text + at, bytes - at, &c) != 0)
            return tl__lua_raisef(L, "byte %zu of a text is no UTF-8", at + 1);
        lua_pushlstring(L, text + at, c.bytes);
        lua_rawseti(L, -3, i);
        lua_pushstring(L, c.category);
        lua_rawseti(L, -2, i);
    }
    return 2;
}

/* ---- folders of pictures ---- */

void tl__lua_push_passed(lua_State *L, const tl_passed *p)
{
    lua_createtable(L, p ? p->count : 0, 1);
    lua_pushinteger(L, p ? p->stray : 0);
    lua_setfield(L, -2, "stray");
    for (int i = 0; p && i < p->count; i++) {
        lua_createtable(L, 0, 2);
        lua_pushstring(L, p->at[i].ending);
        lua_setfield(L, -2, "ending");
        lua_pushinteger(L, p->at[i].count);
        lua_setfield(L, -2, "count");
        lua_rawseti(L, -2, i + 1);
    }
}

static void push_texts(lua_State *L, const tl_texts *l)
{
    lua_createtable(L, (int)l->count, 0);
    for (int64_t i = 0; i < l->count; i++) {
        lua_pushstring(L, l->at[i]);
        lua_rawseti(L, -2, i + 1);
    }
}

/* data.pictures(folder) -> the pictures below it, {{ending=, count=}..., stray=} of the files passed over */
static int pictures(lua_State *L)
{
    tl_error err = {0};
    tl_texts list = {0};
    tl_passed passed = {0};
    int bad = tl__pictures_below(&err, luaL_checkstring(L, 1), &list, &passed) != 0;
    if (!bad) {
        push_texts(L, &list);
        tl__lua_push_passed(L, &passed);
    }
    tl__texts_free(&list);
    tl__passed_free(&passed);
    return bad ? tl__lua_raise(L, err.text) : 2;
}

/* data.parts(root) -> {train=, test=, apart=, unused={...}}, the folders of class folders */
static int parts(lua_State *L)
{
    tl_error err = {0};
    tl_parts p;
    if (tl__folder_parts(&err, luaL_checkstring(L, 1), &p) != 0) return tl__lua_raise(L, err.text);
    lua_createtable(L, 0, 4);
    lua_pushstring(L, p.train);
    lua_setfield(L, -2, "train");
    lua_pushstring(L, p.test);
    lua_setfield(L, -2, "test");
    lua_pushboolean(L, p.apart);
    lua_setfield(L, -2, "apart");
    push_texts(L, &p.unused);
    lua_setfield(L, -2, "unused");
    tl__parts_free(&p);
    return 1;
}

void tl__lua_open_path(lua_State *L)
{
    static const luaL_Reg functions[] = {{"path", path}, {"composed", composed}, {"same_file", same_file},
                                         {"lower", lower}, {"characters", characters}, {NULL, NULL}};
    static const luaL_Reg of_data[] = {{"pictures", pictures}, {"parts", parts}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    lua_getfield(L, -1, "data");
    luaL_setfuncs(L, of_data, 0);
    lua_pop(L, 1);
}
