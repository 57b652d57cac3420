/* doubles.c - pictures that look nearly the same, in Lua: the prints of a source, pairs of them, groups. */
#include "lua/binding.h"

#include "data/doubles.h"

#include <stdlib.h>

#define PRINTS "tlua.prints"

typedef struct prints {
    tl_print *list;
    int64_t count;
} prints;

static prints *check_prints(lua_State *L, int index)
{
    prints *p = luaL_checkudata(L, index, PRINTS);
    return p;
}

/* data.prints(source [, threads [, file that keeps them]]) */
static int new_prints(lua_State *L)
{
    tl_source *s = tl__lua_source(L, 1);
    int threads = (int)luaL_optinteger(L, 2, 0);
    const char *cache = luaL_optstring(L, 3, NULL);
    prints *p = lua_newuserdatauv(L, sizeof *p, 0);
    *p = (prints){NULL, s->count};
    luaL_setmetatable(L, PRINTS);
    tl_error err = {0};
    p->list = tl__source_prints(&err, s, threads, cache);
    return p->list ? 1 : tl__lua_raise(L, err.text);
}

static int prints_gc(lua_State *L)
{
    prints *p = check_prints(L, 1);
    free(p->list);
    *p = (prints){NULL, 0};
    return 0;
}

/* prints:get(i) -> 16 hexadecimal digits; false: it is too even; nil: it cannot be read */
static int prints_get(lua_State *L)
{
    prints *p = check_prints(L, 1);
    int64_t i = luaL_checkinteger(L, 2) - 1;
    char hex[20];
    if (i < 0 || i >= p->count)
        return tl__lua_raisef(L, "there is no picture %lld of %lld", (long long)i + 1, (long long)p->count);
    if (p->list[i].kind == TL_PRINT_NONE) return 0;
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)p->list[i].bits);
    if (p->list[i].kind == TL_PRINT_SEEN)
        lua_pushstring(L, hex);
    else
        lua_pushboolean(L, 0);
    return 1;
}

/* prints:even() -> how many pictures are too even to be told apart */
static int prints_even(lua_State *L)
{
    prints *p = check_prints(L, 1);
    int64_t n = 0;
    for (int64_t i = 0; i < p->count; i++) n += p->list[i].kind == TL_PRINT_EVEN;
    lua_pushinteger(L, n);
    return 1;
}

static void push_pair(lua_State *L, const tl_near *near)
{
    const int64_t values[] = {near->a + 1, near->b + 1, near->distance};
    lua_createtable(L, 3, 0);
    for (int k = 0; k < 3; k++) {
        lua_pushinteger(L, values[k]);
        lua_rawseti(L, -2, k + 1);
    }
}

/* data.near(a, b, bits, room) -> {{picture of a, picture of b, bits apart}...}, how many there are in all; of the same
 * prints twice each pair once */
static int near_pairs(lua_State *L)
{
    const prints *a = check_prints(L, 1), *b = check_prints(L, 2);
    int most = (int)luaL_checkinteger(L, 3);
    int64_t room = luaL_checkinteger(L, 4), count = 0, found = 0;
    tl_error err = {0};
    tl_near *list = tl__near_pairs(&err, a->list, a->count, b->list, b->count, most, room, &count, &found);
    if (!list) return tl__lua_raise(L, err.text);
    lua_createtable(L, (int)count, 0);
    for (int64_t i = 0; i < count; i++) {
        push_pair(L, &list[i]);
        lua_rawseti(L, -2, i + 1);
    }
    free(list);
    lua_pushinteger(L, found);
    return 2;
}

/* data.near_groups(prints, bits) -> the group of each picture, from 1 */
static int near_groups(lua_State *L)
{
    const prints *p = check_prints(L, 1);
    int most = (int)luaL_checkinteger(L, 2);
    int64_t *group = lua_newuserdatauv(L, (size_t)(p->count + 1) * sizeof *group, 0);
    tl_error err = {0};
    if (tl__near_groups(&err, p->list, p->count, most, group) != 0) return tl__lua_raise(L, err.text);
    lua_createtable(L, (int)p->count, 0);
    for (int64_t i = 0; i < p->count; i++) {
        lua_pushinteger(L, group[i] + 1);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* Adds to the table on the stack. */
void tl__lua_open_doubles(lua_State *L)
{
    static const tl__lua_entry methods[] = {{"__gc", prints_gc, TL__ANY, NULL}, {"get", prints_get, 2, NULL},
                                            {"even", prints_even, 1, NULL}, {NULL, NULL, 0, NULL}};
    static const luaL_Reg functions[] = {
        {"prints", new_prints}, {"near", near_pairs}, {"near_groups", near_groups}, {NULL, NULL}};
    luaL_newmetatable(L, PRINTS);
    tl__lua_functions(L, methods, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
}
