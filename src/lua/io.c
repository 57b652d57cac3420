/* io.c - files of tensors in Lua: load, entries, save; and tables of texts. */
#include "lua/binding.h"

#include "io/csv.h"
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
static tl_archive *open_archive(lua_State *L)
{
    const char *path = tl__lua_path(L, 1);
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

/* Sets the list of texts as a field of the table on top. */
static void set_texts(lua_State *L, const char *field, char *const *texts, int count)
{
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        lua_pushstring(L, texts[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, field);
}

/* {key = the part of the file that was read, others = {names of other parts}, odd = {name = why it cannot be read},
 * labels = {names of the classes}, which is nil where there are none} */
static void push_about(lua_State *L, const tl_archive *a)
{
    lua_createtable(L, 0, 4);
    lua_pushstring(L, a->key);
    lua_setfield(L, -2, "key");
    set_texts(L, "others", a->other_keys, a->other_count);
    if (a->label_count) set_texts(L, "labels", a->labels, a->label_count);
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

/* core.load(path [, {half=true keeps half types, key= a part of the file, only= the one tensor that is wanted}]) ->
 * tensors by name, metadata, about the file. What cannot be read is an error where it is asked for. */
static int load(lua_State *L)
{
    tl_archive *a = open_archive(L);
    int keep_half = tl__lua_field_bool(L, 2, "half", 0);
    const char *only = tl__lua_field_text(L, 2, "only", NULL);
    push_about(L, a);
    int about = lua_gettop(L);
    lua_getfield(L, about, "odd");
    lua_createtable(L, 0, a->count);
    for (int i = 0; i < a->count; i++) {
        const char *name = a->entries[i].name;
        if (only && strcmp(name, only) != 0) continue;
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
    tl_archive *a = open_archive(L);
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

/* Is it {int64 = n}, a whole number as it stands in states of optimisers and counters? */
static int is_whole_number(lua_State *L, int index)
{
    if (!lua_istable(L, index)) return 0;
    lua_pushnil(L);
    if (!lua_next(L, index)) return 0;
    int own = lua_isinteger(L, -1) && lua_type(L, -2) == LUA_TSTRING && strcmp(lua_tostring(L, -2), "int64") == 0;
    lua_pop(L, 1);
    int more = lua_next(L, index);
    lua_pop(L, more ? 2 : 0);
    return own && !more;
}

/* What stands where tensors are wanted: refused, with what to do about it. */
static void refuse(lua_State *L, const char *name, int value)
{
    int type = lua_type(L, value);
    const char *way = "";
    if (type == LUA_TNUMBER || type == LUA_TBOOLEAN) way = "; tlua.tensor makes one of numbers";
    else if (type == LUA_TSTRING) way = "; texts go into the metadata, the third argument";
    tl__lua_raisef(L, "save: '%s' is a %s, not a tensor%s", name, luaL_typename(L, value), way);
}

/* Where flatten() puts what it finds: stack places of names and values in their order, and of the names so far. */
typedef struct flat_list { int names, values, seen, count; } flat_list;
enum { DEEPEST = 32 };

/* The tensors of the table at `t` and of the tables within it, as PREFIX.KEY. */
static void flatten(lua_State *L, flat_list *f, int t, const char *prefix, int depth)
{
    if (depth > DEEPEST) tl__lua_raisef(L, "save: tables in tables deeper than %d, or one within itself", DEEPEST);
    luaL_checkstack(L, 8, "nested too deep");
    for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 2)) { /* the name and the value; the key stays */
        int value = lua_gettop(L);
        if (lua_type(L, -2) == LUA_TSTRING) {
            size_t length;
            const char *key = lua_tolstring(L, -2, &length);
            if (strlen(key) != length) tl__lua_raise(L, "save: a name has a byte of value 0 in it");
            lua_pushfstring(L, "%s%s%s", prefix, *prefix ? "." : "", key);
        } else if (lua_isinteger(L, -2) && depth > 0) {
            lua_pushfstring(L, "%s.%I", prefix, (LUAI_UACINT)lua_tointeger(L, -2));
        } else {
            tl__lua_raise(L, depth ? "save: tensors are named by texts, or by whole numbers in tables within tables" : "save: tensors are named by text keys");
        }
        const char *name = lua_tostring(L, -1);
        if (luaL_testudata(L, value, TENSOR) || is_whole_number(L, value)) {
            if (lua_getfield(L, f->seen, name) != LUA_TNIL) tl__lua_raisef(L, "save: two tensors would be named '%s'", name);
            lua_pop(L, 1);
            lua_pushboolean(L, 1);
            lua_setfield(L, f->seen, name);
            lua_pushvalue(L, -1);
            lua_rawseti(L, f->names, ++f->count);
            lua_pushvalue(L, value);
            lua_rawseti(L, f->values, f->count);
        } else if (lua_istable(L, value)) {
            flatten(L, f, value, name, depth + 1);
        } else {
            refuse(L, name, value);
        }
    }
}

/* How many texts the metadata at stack place 3 are. */
static int check_metadata(lua_State *L)
{
    int meta = 0;
    if (lua_isnil(L, 3)) return 0;
    if (!lua_istable(L, 3)) tl__lua_raisef(L, "save: metadata are a table of texts, not a %s", luaL_typename(L, 3));
    for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1), meta++)
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) tl__lua_raise(L, "save: metadata are texts named by texts");
    return meta;
}

/* core.save(path, tensors, metadata): tables within `tensors` are flattened, {a = {b = x}} is a.b */
static int save(lua_State *L)
{
    const char *path = tl__lua_path(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 3);
    int meta = check_metadata(L), m = 0;
    flat_list f = {4, 5, 6, 0};
    for (int i = 0; i < 3; i++) lua_newtable(L);
    flatten(L, &f, 2, "", 0);
    tl_entry *list = lua_newuserdatauv(L, (size_t)(f.count + 1) * sizeof *list, 0);
    const char **keys = lua_newuserdatauv(L, (size_t)(2 * meta + 1) * sizeof *keys, 0), **texts = keys + meta;
    lua_createtable(L, f.count, 0); /* keeps the host copies */
    int keep = lua_gettop(L);
    for (int i = 0; i < f.count; i++) {
        lua_rawgeti(L, f.names, i + 1);
        union { const char *from; char *to; } name = {.from = lua_tostring(L, -1)}; /* kept by its table */
        lua_rawgeti(L, f.values, i + 1);
        list[i] = entry_of(L, lua_gettop(L));
        list[i].name = name.to;
        lua_rawseti(L, keep, i + 1);
        lua_settop(L, keep);
    }
    if (meta)
        for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1), m++) {
            keys[m] = lua_tostring(L, -2);
            texts[m] = lua_tostring(L, -1);
        }
    tl_error err = {0};
    if (tl__safetensors_write(&err, path, list, f.count, keys, texts, meta) != 0) return tl__lua_raise(L, err.text);
    return 0;
}

/* ---- tables of texts ---- */

#define CSV "tlua.csv"

static int csv_gc(lua_State *L)
{
    tl_csv **t = luaL_checkudata(L, 1, CSV);
    tl__csv_free(*t);
    *t = NULL;
    return 0;
}

static void push_row(lua_State *L, const tl_csv *t, int64_t row)
{
    lua_createtable(L, (int)t->columns, 0);
    for (int64_t k = 0; k < t->columns; k++) {
        lua_pushstring(L, t->cell[row * t->columns + k]);
        lua_rawseti(L, -2, k + 1);
    }
}

/* core.csv(path [, quotes]) ("quotes", "letters", "letters of tsv": src/io/csv.h) -> list of the header's texts, list
 * of rows (lists of texts), list of the lines that these stand in */
static int csv(lua_State *L)
{
    static const char *const ways[] = {"quotes", "letters", "letters of tsv", NULL};
    const char *path = tl__lua_path(L, 1);
    int quotes = luaL_checkoption(L, 2, "quotes", ways);
    tl_csv **t = lua_newuserdatauv(L, sizeof *t, 0);
    *t = NULL;
    luaL_setmetatable(L, CSV);
    tl_error err = {0};
    *t = tl__csv_read_as(&err, path, quotes);
    if (!*t) return tl__lua_raise(L, err.text);
    push_row(L, *t, 0);
    lua_createtable(L, (int)(*t)->rows, 0);
    lua_createtable(L, (int)(*t)->rows, 0);
    for (int64_t i = 1; i <= (*t)->rows; i++) {
        push_row(L, *t, i);
        lua_rawseti(L, -3, i);
        lua_pushinteger(L, (*t)->line[i]);
        lua_rawseti(L, -2, i);
    }
    return 3;
}

void tl__lua_open_io(lua_State *L)
{
    static const tl__lua_entry functions[] = {{"load", load, 2, "half key only"},
                                              {"entries", entries, 2, "key"},
                                              {"save", save, 3, NULL},
                                              {"csv", csv, 2, NULL},
                                              {NULL, NULL, 0, NULL}};
    luaL_newmetatable(L, CSV);
    lua_pushcfunction(L, csv_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_newmetatable(L, ARCHIVE);
    lua_pushcfunction(L, archive_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    tl__lua_functions(L, functions, 0);
}
