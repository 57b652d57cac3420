/* json.c - texts of JSON from values of Lua and back: core.json_encode and core.json_decode. */
#include "lua/binding.h"

#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* C ends a text at its first zero, so zeros become U+FFFD: what follows them must not be lost. */
static cJSON *text_to_json(lua_State *L, int index)
{
    size_t n;
    const char *text = lua_tolstring(L, index, &n);
    if (!memchr(text, 0, n)) return cJSON_CreateString(text);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (size_t i = 0; i < n; i++)
        if (text[i]) luaL_addchar(&b, text[i]);
        else luaL_addstring(&b, "\xef\xbf\xbd");
    luaL_pushresult(&b);
    cJSON *j = cJSON_CreateString(lua_tostring(L, -1));
    lua_pop(L, 1);
    return j;
}

static cJSON *to_json(lua_State *L, int index, int depth)
{
    if (depth > 100) return NULL;
    luaL_checkstack(L, 4, "JSON nested too deep");
    switch (lua_type(L, index)) {
    case LUA_TNIL: return cJSON_CreateNull();
    case LUA_TBOOLEAN: return cJSON_CreateBool(lua_toboolean(L, index));
    case LUA_TNUMBER:
        if (lua_isinteger(L, index)) return tl__json_whole(lua_tointeger(L, index));
        return isfinite(lua_tonumber(L, index)) ? cJSON_CreateNumber(lua_tonumber(L, index)) : cJSON_CreateNull();
    case LUA_TSTRING: return text_to_json(L, index);
    case LUA_TTABLE: break;
    default: return NULL;
    }
    index = lua_absindex(L, index);
    int64_t n = (int64_t)lua_rawlen(L, index);
    cJSON *j = n > 0 ? cJSON_CreateArray() : cJSON_CreateObject();
    for (int64_t i = 1; n > 0 && i <= n && j; i++) {
        lua_rawgeti(L, index, i);
        cJSON *item = to_json(L, lua_gettop(L), depth + 1);
        lua_pop(L, 1);
        if (!item) {
            cJSON_Delete(j);
            return NULL;
        }
        cJSON_AddItemToArray(j, item);
    }
    if (n > 0 || !j) return j;
    /* Keys in order, so that the same value gives the same text. */
    lua_newtable(L);
    int sorted = lua_gettop(L), count = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING) {
            lua_pushvalue(L, -2);
            lua_rawseti(L, sorted, ++count);
        }
    lua_getglobal(L, "table");
    lua_getfield(L, -1, "sort");
    lua_pushvalue(L, sorted);
    lua_call(L, 1, 0);
    lua_settop(L, sorted);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, sorted, i);
        lua_pushvalue(L, -1);
        lua_rawget(L, index);
        cJSON *item = to_json(L, lua_gettop(L), depth + 1);
        if (!item) {
            cJSON_Delete(j);
            return NULL;
        }
        cJSON_AddItemToObject(j, lua_tostring(L, -2), item);
        lua_pop(L, 2);
    }
    lua_settop(L, sorted - 1);
    return j;
}

static int json_encode(lua_State *L)
{
    luaL_checkany(L, 1);
    cJSON *j = to_json(L, 1, 0);
    if (!j) return tl__lua_raise(L, "json: only nil, booleans, numbers, texts and tables of them have a JSON form");
    tl_error err = {0};
    char *text = tl__json_text(&err, j, lua_toboolean(L, 2));
    cJSON_Delete(j);
    if (!text) return tl__lua_raise(L, err.text);
    lua_pushstring(L, text);
    free(text);
    return 1;
}

enum { MOST_DEEP = 100 };

static void from_json(lua_State *L, const cJSON *j, int depth)
{
    lua_checkstack(L, 4); /* for MOST_DEEP there is room */
    int64_t whole;
    if (cJSON_IsNumber(j)) {
        if (tl__json_is_whole(j, &whole)) lua_pushinteger(L, whole);
        else lua_pushnumber(L, j->valuedouble);
    } else if (cJSON_IsString(j)) lua_pushstring(L, j->valuestring);
    else if (cJSON_IsBool(j)) lua_pushboolean(L, cJSON_IsTrue(j));
    else if (cJSON_IsArray(j) || cJSON_IsObject(j)) {
        lua_newtable(L);
        int i = 0;
        for (const cJSON *c = j->child; c; c = c->next) {
            from_json(L, c, depth + 1);
            if (cJSON_IsArray(j)) lua_rawseti(L, -2, ++i);
            else lua_setfield(L, -2, c->string);
        }
    } else lua_pushnil(L);
}

/* Are there lists in lists beyond what from_json should follow? */
static int too_deep(const cJSON *j, int depth)
{
    for (const cJSON *c = j->child; c; c = c->next)
        if (depth == MOST_DEEP || too_deep(c, depth + 1)) return 1;
    return 0;
}

static int json_decode(lua_State *L)
{
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    char place[TL_JSON_PLACE];
    cJSON *j = tl__json_parse_at(text, n, place);
    if (!j) return tl__lua_raisef(L, "this text is not JSON%s%s", *place ? ": " : "", place);
    if (too_deep(j, 0)) {
        cJSON_Delete(j);
        return tl__lua_raisef(L, "this JSON has lists in lists more than %d deep", MOST_DEEP);
    }
    from_json(L, j, 0);
    cJSON_Delete(j);
    return 1;
}

void tl__lua_open_json(lua_State *L)
{
    static const luaL_Reg functions[] = {{"json_encode", json_encode}, {"json_decode", json_decode}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
