/* io.c - files of tensors in Lua: load, entries, save. */
#include "lua/binding.h"

#include "io/io.h"

#include <stdlib.h>
#include <string.h>

/* An archive that the collector closes should an error be raised. */
#define ARCHIVE "tlua.archive"

static int archive_gc(lua_State *L)
{
    tl_archive **a = luaL_checkudata(L, 1, ARCHIVE);
    tl__archive_free(*a);
    *a = NULL;
    return 0;
}

/* The file at stack place 1, of which the options at 2 may want a part. */
static tl_archive *open_archive(lua_State *L, const char *const *options)
{
    const char *path = tl__lua_path(L, 1);
    lua_settop(L, 2);
    for (lua_pushnil(L); lua_istable(L, 2) && lua_next(L, 2); lua_pop(L, 1)) {
        const char *word = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "(no text)";
        int known = 0;
        for (int i = 0; options[i]; i++) known |= strcmp(options[i], word) == 0;
        if (!known) tl__lua_unknown(L, "option of load:", word, options);
    }
    lua_settop(L, 2);
    const char *key = tl__lua_field_text(L, 2, "key", NULL);
    tl_archive **a = lua_newuserdatauv(L, sizeof *a, 0);
    *a = NULL;
    luaL_setmetatable(L, ARCHIVE);
    tl_error err = {0};
    *a = tl__archive_read_part(&err, path, key);
    if (!*a) tl__lua_raise(L, err.text);
    return *a;
}

static void push_metadata(lua_State *L, const tl_archive *a)
{
    lua_newtable(L);
    for (int i = 0; i < a->meta_count; i++) {
        lua_pushstring(L, a->meta_values[i]);
        lua_setfield(L, -2, a->meta_keys[i]);
    }
}

static tl_dtype device_dtype(tl_dtype file, int keep_half)
{
    if (file == TL_F32 || file == TL_F64) return TL_F32;
    if (file == TL_F16 || file == TL_BF16) return keep_half ? file : TL_F32;
    return file == TL_U8 ? TL_U8 : TL_I32;
}

static tl_tensor *upload(tl_scope *s, const tl_shape *shape, tl_dtype dtype, const void *with)
{
    return tl_from(s, dtype, shape->rank, shape->dim, with);
}

/* Uploads one entry into a new box on the stack. 0, or -1 and nothing pushed where its whole numbers do not fit the device's. */
static int push_entry(lua_State *L, const tl_entry *e, int keep_half)
{
    tl_dtype dtype = device_dtype(e->dtype, keep_half);
    int64_t n = tl__numel(&e->shape);
    const void *host = e->data;
    int top = lua_gettop(L);
    tl_error err = {0};
    if (dtype != e->dtype) {
        void *converted = lua_newuserdatauv(L, (size_t)n * 4 + 4, 0);
        int bad = dtype == TL_F32 ? tl__entry_to_f32(&err, e, converted) : tl__entry_to_i32(&err, e, converted);
        if (bad && err.code != TL_EINDEX) tl__lua_raise(L, err.text);
        if (bad) lua_settop(L, top);
        if (bad) return -1;
        host = converted;
    }
    tl__lua_make(L, upload, &e->shape, dtype, host);
    if (lua_gettop(L) > top + 1) lua_replace(L, top + 1); /* over the converted values */
    return 0;
}

/* {key = the part of the file that was read, others = {names of other parts}, odd = {name = why it cannot be read}} */
static void push_about(lua_State *L, const tl_archive *a)
{
    lua_createtable(L, 0, 3);
    lua_pushstring(L, a->key);
    lua_setfield(L, -2, "key");
    lua_createtable(L, a->other_count, 0);
    for (int i = 0; i < a->other_count; i++) {
        lua_pushstring(L, a->other_keys[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "others");
    lua_createtable(L, 0, a->odd_count);
    for (int i = 0; i < a->odd_count; i++) {
        lua_pushstring(L, a->odd[i].why);
        lua_setfield(L, -2, a->odd[i].name);
    }
    lua_setfield(L, -2, "odd");
}

/* tensors.NAME of a tensor that is in the file but cannot be read; upvalues: why, by name, and the path. */
static int odd_index(lua_State *L)
{
    lua_settop(L, 2);
    if (lua_type(L, 2) != LUA_TSTRING || lua_getfield(L, lua_upvalueindex(1), lua_tostring(L, 2)) == LUA_TNIL) return 0;
    return tl__lua_raisef(L, "%s: %s %s", lua_tostring(L, lua_upvalueindex(2)), lua_tostring(L, 2), lua_tostring(L, -1));
}

/* core.load(path [, {half=true keeps half types, key= a part of the file}]) -> tensors by name, metadata, about the file. What cannot be
 * read is an error where it is asked for. */
static int load(lua_State *L)
{
    static const char *const options[] = {"half", "key", NULL};
    tl_archive *a = open_archive(L, options);
    int keep_half = tl__lua_field_bool(L, 2, "half", 0);
    push_about(L, a);
    int about = lua_gettop(L);
    lua_getfield(L, about, "odd");
    lua_createtable(L, 0, a->count);
    for (int i = 0; i < a->count; i++) {
        const char *name = a->entries[i].name;
        int odd = push_entry(L, &a->entries[i], keep_half) != 0;
        if (odd) lua_pushstring(L, "holds whole numbers that do not fit into 32 bits, which is all that devices have here");
        lua_setfield(L, odd ? about + 1 : -2, name);
    }
    lua_pushvalue(L, about + 1);
    lua_pushnil(L);
    if (lua_next(L, -2)) {
        lua_pop(L, 3);
        lua_createtable(L, 0, 1);
        lua_pushvalue(L, about + 1);
        lua_pushvalue(L, 1);
        lua_pushcclosure(L, odd_index, 2);
        lua_setfield(L, -2, "__index");
        lua_setmetatable(L, -2);
    } else {
        lua_pop(L, 1);
    }
    push_metadata(L, a);
    lua_pushvalue(L, about);
    return 3;
}

/* core.entries(path [, {key=}]) -> list of {name=, dtype=, shape=}, metadata, about the file; nothing is uploaded */
static int entries(lua_State *L)
{
    static const char *const options[] = {"key", NULL};
    tl_archive *a = open_archive(L, options);
    lua_createtable(L, a->count, 0);
    for (int i = 0; i < a->count; i++) {
        const tl_entry *e = &a->entries[i];
        lua_createtable(L, 0, 3);
        lua_pushstring(L, e->name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, tl__dtype_name(e->dtype));
        lua_setfield(L, -2, "dtype");
        lua_createtable(L, e->shape.rank, 0);
        for (int k = 0; k < e->shape.rank; k++) {
            lua_pushinteger(L, e->shape.dim[k]);
            lua_rawseti(L, -2, k + 1);
        }
        lua_setfield(L, -2, "shape");
        lua_rawseti(L, -2, i + 1);
    }
    push_metadata(L, a);
    push_about(L, a);
    return 3;
}

/* ---- saving ---- */

/* A whole number as PyTorch keeps one: an int64 scalar. Its memory is a userdata left on the stack. */
static tl_entry whole_number(lua_State *L, int64_t n)
{
    int64_t *host = lua_newuserdatauv(L, 8, 0);
    *host = n;
    return (tl_entry){.dtype = TL_I64, .data = host, .bytes = 8};
}

/* The entry of a tensor, or of a scalar {int64 = n}, at `value`; its host memory is a userdata left on the stack. */
static tl_entry entry_of(lua_State *L, int value)
{
    tl_entry e = {0};
    if (luaL_testudata(L, value, TENSOR)) {
        tl_tensor *t = tl__lua_tensor(L, value);
        e.dtype = t->dtype;
        e.shape = t->shape;
        e.bytes = (size_t)tl_numel(t) * tl__dtype_size(t->dtype);
        void *host = lua_newuserdatauv(L, e.bytes + 1, 0);
        tl_scope s;
        tl__scope_root(&s, t->buffer->device, 0);
        tl_read(&s, t, host, e.bytes);
        if (s.err.code) tl__lua_scope_error(L, &s);
        tl__scope_drop(&s);
        if (t->dtype == TL_I32 && t->shape.rank == 0) return whole_number(L, *(const int32_t *)host);
        e.data = host;
        return e;
    }
    lua_getfield(L, value, "int64");
    int64_t n = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return whole_number(L, n);
}

static void check_tables(lua_State *L, int *count, int *meta)
{
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1), ++*count) {
        if (lua_type(L, -2) != LUA_TSTRING) tl__lua_raise(L, "save: tensors are named by text keys");
        if (!luaL_testudata(L, -1, TENSOR) && !lua_istable(L, -1))
            tl__lua_raisef(L, "save: '%s' is a %s, not a tensor", lua_tostring(L, -2), luaL_typename(L, -1));
    }
    if (!lua_istable(L, 3)) return;
    for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1), ++*meta)
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) tl__lua_raise(L, "save: metadata are texts named by texts");
}

/* core.save(path, tensors, metadata) */
static int save(lua_State *L)
{
    const char *path = tl__lua_path(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 3);
    int count = 0, meta = 0, i = 0;
    check_tables(L, &count, &meta);
    tl_entry *list = lua_newuserdatauv(L, (size_t)(count + 1) * sizeof *list, 0);
    const char **keys = lua_newuserdatauv(L, (size_t)(2 * meta + 1) * sizeof *keys, 0), **texts = keys + meta;
    lua_createtable(L, count, 0); /* keeps the host copies */
    int keep = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
        union { const char *from; char *to; } name = {.from = lua_tostring(L, -2)};
        list[i] = entry_of(L, lua_gettop(L));
        list[i].name = name.to;
        lua_rawseti(L, keep, ++i);
        lua_settop(L, keep + 2); /* the key and the value */
    }
    i = 0;
    if (lua_istable(L, 3))
        for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1), i++) {
            keys[i] = lua_tostring(L, -2);
            texts[i] = lua_tostring(L, -1);
        }
    tl_error err = {0};
    if (tl__safetensors_write(&err, path, list, count, keys, texts, meta) != 0) return tl__lua_raise(L, err.text);
    return 0;
}

void tl__lua_open_io(lua_State *L)
{
    static const luaL_Reg functions[] = {{"load", load}, {"entries", entries}, {"save", save}, {NULL, NULL}};
    luaL_newmetatable(L, ARCHIVE);
    lua_pushcfunction(L, archive_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
}
