/* volumes.c - sources of volumes in Lua: the lists that core.data.source("records", {volumes = ...}) takes, and
 * what such a source tells of a volume. Sizes and tensors are in the order slices, rows, columns, channels. */
#include "lua/binding.h"

#include "data/blocks.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK "tlua.block"

/* ---- lists ---- */

/* A text of field `key`, one of two or none, as a flag. */
static unsigned flag(lua_State *L, int t, const char *key, const char *word, unsigned value)
{
    const char *text = tl__lua_field_text(L, t, key, NULL);
    if (!text) return 0;
    if (strcmp(text, word) != 0) tl__lua_raisef(L, "records: %s is \"%s\", or not given", key, word);
    return value;
}

/* The element on top: a path, a list of paths, or a series. */
static void take_one(lua_State *L, int64_t i, tl_volume_list *l, const char **path, const tl_series **series)
{
    int top = lua_gettop(L);
    if (lua_type(L, top) == LUA_TSTRING && l->files == 1) {
        path[i] = lua_tostring(L, top);
        return;
    }
    if (!lua_istable(L, top))
        tl__lua_raisef(L, "records: volumes[%lld] is no path, list of paths or series", (long long)i + 1);
    series[i] = tl__lua_series(L, top);
    if (series[i]) {
        if (l->files > 1) tl__lua_raise(L, "records: volumes are several files each, or series, not both");
        return;
    }
    if ((int64_t)lua_rawlen(L, top) != l->files)
        tl__lua_raisef(L, "records: volumes[%lld] has %lld files, and the first has %d", (long long)i + 1,
                       (long long)lua_rawlen(L, top), l->files);
    for (int k = 0; k < l->files; k++) {
        if (lua_rawgeti(L, top, k + 1) != LUA_TSTRING)
            tl__lua_raisef(L, "records: volumes[%lld]: file %d is no path", (long long)i + 1, k + 1);
        path[i * l->files + k] = lua_tostring(L, -1); /* the table keeps it alive */
        lua_pop(L, 1);
    }
}

/* {[value in the file] = class} as two lists, which the stack keeps. */
static void take_meanings(lua_State *L, int t, tl_volume_list *l)
{
    int type = lua_getfield(L, t, "mask_values"), table = lua_gettop(L);
    l->rest = (int)tl__lua_field_integer(L, t, "mask_rest", -1, -1, 255);
    if (type == LUA_TNIL) return;
    if (type != LUA_TTABLE) tl__lua_raise(L, "records: mask_values is a table, { [value in the file] = class }");
    int64_t n = 0;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) n++;
    int32_t *value = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *value, 0);
    int32_t *meaning = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *meaning, 0);
    for (lua_pushnil(L); lua_next(L, table) && l->values < n; lua_pop(L, 1)) {
        int whole[2];
        lua_Integer v = lua_tointegerx(L, -2, &whole[0]), class = lua_tointegerx(L, -1, &whole[1]);
        if (!whole[0] || !whole[1] || v < 0 || v > TL_VOLUMES_MOST_VALUE || class < 0 || class > 255)
            tl__lua_raisef(L, "records: mask_values takes values from 0 to %d to classes from 0 on",
                           TL_VOLUMES_MOST_VALUE);
        value[l->values] = (int32_t)v;
        meaning[l->values++] = (int32_t) class;
    }
    l->value = value;
    l->meaning = meaning;
}

const tl_volume_list *tl__lua_volumes(lua_State *L, int t, int classes, int64_t *count)
{
    lua_getfield(L, t, "volumes");
    int list = lua_gettop(L);
    luaL_checktype(L, list, LUA_TTABLE);
    tl_volume_list *l = lua_newuserdatauv(L, sizeof *l, 0);
    *l = (tl_volume_list){.count = (int64_t)lua_rawlen(L, list), .files = 1, .classes = classes};
    if (lua_rawgeti(L, list, 1) == LUA_TTABLE && !tl__lua_series(L, lua_gettop(L))) {
        int64_t files = (int64_t)lua_rawlen(L, -1);
        l->files = files > TL_VOLUMES_MOST_FILES ? TL_VOLUMES_MOST_FILES + 1 : (int)files;
    }
    lua_pop(L, 1);
    size_t n = (size_t)l->count * (size_t)(l->files > 1 ? l->files : 1) + 1;
    const char **path = lua_newuserdatauv(L, n * sizeof *path, 0);
    const tl_series **series = lua_newuserdatauv(L, ((size_t)l->count + 1) * sizeof *series, 0);
    memset(path, 0, n * sizeof *path);
    memset(series, 0, ((size_t)l->count + 1) * sizeof *series);
    l->path = path;
    l->series = series;
    for (int64_t i = 0; i < l->count; i++) {
        lua_rawgeti(L, list, i + 1);
        take_one(L, i, l, path, series);
        lua_pop(L, 1); /* the list keeps it alive */
    }
    l->flags = flag(L, t, "gaps", "fill", TL_SERIES_FILL) | flag(L, t, "doubles", "first", TL_SERIES_FIRST) |
               flag(L, t, "nan", "zero", TL_VOLUMES_NAN) |
               (tl__lua_field_bool(L, t, "asked", 0) ? TL_SERIES_ASKED : 0);
    const char *parts = tl__lua_field_text(L, t, "parts", "");
    if (*parts && strcmp(parts, "first") != 0 && strcmp(parts, "channels") != 0)
        tl__lua_raise(L, "records: parts is \"channels\", \"first\", or not given");
    if (*parts) l->flags |= *parts == 'c' ? TL_VOLUMES_PARTS : TL_VOLUMES_FIRST;
    take_meanings(L, t, l);
    *count = l->count;
    return l;
}

/* ---- what a source tells ---- */

static int block_gc(lua_State *L)
{
    tl__block_free(luaL_checkudata(L, 1, BLOCK));
    return 0;
}

static int64_t volume_number(lua_State *L, const tl_source *s)
{
    int64_t i = luaL_checkinteger(L, 2);
    if (i < 1 || i > s->count)
        tl__lua_raisef(L, "there is no sample %lld of %lld", (long long)i, (long long)s->count);
    return i - 1;
}

static tl_tensor *upload(tl_scope *s, const tl_shape *shape, tl_dtype dtype, const void *with)
{
    return tl_from(s, dtype, shape->rank, shape->dim, with);
}

/* The steps at argument 3, or none. */
static const tl_pipeline *steps_of(lua_State *L)
{
    static const tl_pipeline none = {0};
    return lua_isnoneornil(L, 3) ? &none : tl__lua_pipeline(L, 3);
}

static tl_block *read_block(lua_State *L)
{
    const tl_source *s = tl__lua_source(L, 1);
    int64_t i = volume_number(L, s);
    const tl_pipeline *p = steps_of(L);
    tl_error err = {0};
    if (!(s->fields & TL_FIELD_VOLUME)) return NULL;
    tl__lua_device(L);
    tl_block *b = lua_newuserdatauv(L, sizeof *b, 0);
    *b = (tl_block){.data = NULL};
    luaL_setmetatable(L, BLOCK);
    if (tl__block_make(&err, p, s, i, b) != 0) tl__lua_raise(L, err.text);
    return b;
}

/* source:volume(i [, pipeline]) -> {x = (D, H, W, C), mask = uint8 (D, H, W) or nil, affine =, spacing =, axes =}
 * behind those steps of the pipeline that are the same each time; nil of other sources */
static int source_volume(lua_State *L)
{
    tl_block *b = read_block(L);
    if (!b) return 0;
    tl_shape shape = {4, {b->size[0], b->size[1], b->size[2], b->channels}};
    tl_volume place = {.size = {b->size[2], b->size[1], b->size[0], 1}};
    memcpy(place.affine, b->affine, sizeof place.affine);
    lua_createtable(L, 0, 6);
    tl__lua_push_place(L, &place);
    tl__lua_make(L, upload, &shape, TL_F32, b->data);
    lua_setfield(L, -2, "x");
    if (!b->mask) return 1;
    shape.rank = 3;
    tl__lua_make(L, upload, &shape, TL_U8, b->mask);
    lua_setfield(L, -2, "mask");
    return 1;
}

/* source:extent(i [, pipeline]) -> {size = {D, H, W}, channels =, affine =, spacing =, axes =} by the headers
 * alone; nil where they cannot be read, and of other sources */
static int source_extent(lua_State *L)
{
    const tl_source *s = tl__lua_source(L, 1);
    tl_extent own = tl__source_extent(s, volume_number(L, s)), e;
    if (!own.channels) return 0;
    tl__block_extent(steps_of(L), &own, &e);
    tl_volume place = {.size = {e.grid.size[0], e.grid.size[1], e.grid.size[2], 1}};
    memcpy(place.affine, e.grid.affine, sizeof place.affine);
    lua_createtable(L, 0, 6);
    tl__lua_push_place(L, &place);
    lua_createtable(L, 3, 0);
    for (int d = 0; d < 3; d++) {
        lua_pushinteger(L, e.grid.size[2 - d]);
        lua_rawseti(L, -2, d + 1);
    }
    lua_setfield(L, -2, "size");
    lua_pushinteger(L, e.channels);
    lua_setfield(L, -2, "channels");
    return 1;
}

int tl__lua_push_mask(lua_State *L)
{
    lua_settop(L, 2);
    tl_block *b = read_block(L);
    if (!b || !b->mask) return 0;
    tl_shape shape = {3, {b->size[0], b->size[1], b->size[2]}};
    return tl__lua_make(L, upload, &shape, TL_U8, b->mask);
}

void tl__lua_add_volumes(lua_State *L)
{
    static const tl__lua_entry block_methods[] = {{"__gc", block_gc, TL__ANY, NULL}, {NULL, NULL, 0, NULL}};
    static const tl__lua_entry methods[] = {
        {"volume", source_volume, 3, NULL}, {"extent", source_extent, 3, NULL}, {NULL, NULL, 0, NULL}};
    luaL_newmetatable(L, BLOCK);
    tl__lua_functions(L, block_methods, 1);
    lua_pop(L, 1);
    tl__lua_functions(L, methods, 1);
}
