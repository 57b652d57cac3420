/* features.c - the feature cache in Lua, and the order that loaders use, for batches that come from the cache. */
#include "lua/binding.h"

#include "data/features.h"

#include <string.h>
#include <sys/statvfs.h>

#define FEATURES "tlua.features"

static tl_features *to_features(lua_State *L)
{
    tl_features **f = luaL_checkudata(L, 1, FEATURES);
    if (!*f) tl__lua_raise(L, "this feature cache was closed");
    return *f;
}

static int features_close(lua_State *L)
{
    tl_features **f = luaL_checkudata(L, 1, FEATURES);
    tl__features_close(*f);
    *f = NULL;
    return 0;
}

/* data.features(path, key, rows, elements, "float32" or "float16", text, own) -> features; nil and a message where another run
 * is making the file. `own`: a file of this run alone, without a name */
static int features_open(lua_State *L)
{
    lua_settop(L, 7);
    tl_features **f = lua_newuserdatauv(L, sizeof *f, 0);
    *f = NULL;
    luaL_setmetatable(L, FEATURES);
    const char *path = luaL_checkstring(L, 1), *key = luaL_checkstring(L, 2), *text = luaL_optstring(L, 6, NULL);
    int64_t rows = luaL_checkinteger(L, 3), elements = luaL_checkinteger(L, 4);
    tl_dtype dtype = tl__lua_dtype(L, luaL_optstring(L, 5, "float32"));
    tl_error err = {0};
    *f = (lua_toboolean(L, 7) ? tl__features_own : tl__features_open)(&err, path, key, rows, elements, dtype, text);
    if (*f) return 1;
    if (err.code != TL_ESTATE) return tl__lua_raise(L, err.text);
    lua_pushnil(L);
    lua_pushstring(L, err.text);
    return 2;
}

/* data.features_about(path) -> {key=, text=, rows=, elements=, done=, bytes=, used=, dtype=, busy=}; nil, a message and whether somebody has the
 * file open */
static int features_about(lua_State *L)
{
    tl_features_about *a = lua_newuserdatauv(L, sizeof *a, 0);
    tl_error err = {0};
    if (tl__features_about(&err, luaL_checkstring(L, 1), a) != 0) {
        lua_pushnil(L);
        lua_pushstring(L, err.text);
        lua_pushboolean(L, a->busy);
        return 3;
    }
    lua_createtable(L, 0, 9);
    lua_pushstring(L, a->key);
    lua_setfield(L, -2, "key");
    lua_pushstring(L, a->text);
    lua_setfield(L, -2, "text");
    lua_pushstring(L, a->dtype == TL_F16 ? "float16" : "float32");
    lua_setfield(L, -2, "dtype");
    tl__lua_set_integer(L, "rows", a->rows);
    tl__lua_set_integer(L, "elements", a->elements);
    tl__lua_set_integer(L, "done", a->done);
    tl__lua_set_integer(L, "bytes", a->bytes);
    tl__lua_set_integer(L, "used", a->used);
    lua_pushboolean(L, a->busy);
    lua_setfield(L, -2, "busy");
    return 1;
}

/* data.features_bytes(rows, elements, dtype) -> bytes of the whole file */
static int features_bytes(lua_State *L)
{
    lua_pushinteger(L, tl__features_bytes(luaL_checkinteger(L, 1), luaL_checkinteger(L, 2), tl__lua_dtype(L, luaL_checkstring(L, 3))));
    return 1;
}

/* data.disk_free(folder) -> bytes that this user may still write there; nothing where nobody knows (some network folders say 0 of 0) */
static int disk_free(lua_State *L)
{
    struct statvfs v;
    if (statvfs(luaL_checkstring(L, 1), &v) != 0 || v.f_blocks == 0) return 0;
    lua_pushinteger(L, (lua_Integer)(v.f_bavail * v.f_frsize));
    return 1;
}

static int features_done(lua_State *L)
{
    lua_pushinteger(L, tl__features_done(to_features(L)));
    return 1;
}

/* true, or nil and a message where a number does not fit float16 or the file could not be written */
static int written(lua_State *L, const tl_error *err)
{
    if (!err->code) {
        lua_pushboolean(L, 1);
        return 1;
    }
    if (err->code != TL_EARG && err->code != TL_EIO) return tl__lua_raise(L, err->text);
    lua_pushnil(L);
    lua_pushstring(L, err->text);
    return 2;
}

/* f:sync() -> as append */
static int features_sync(lua_State *L)
{
    tl_error err = {0};
    tl__features_sync(&err, to_features(L));
    return written(L, &err);
}

/* f:append(x): x (N, ...) with as many elements a row as the file was made for. true; nil and a message where a number
 * does not fit float16 or the file could not be written */
static int features_append(lua_State *L)
{
    tl_features *f = to_features(L);
    tl_tensor *t = tl__lua_tensor(L, 2);
    int64_t n = tl_numel(t), elements = tl__features_elements(f);
    if (t->dtype != TL_F32 || n % elements != 0) return tl__lua_raise(L, "append: float32 rows of the cache's size are needed");
    float *host = lua_newuserdatauv(L, (size_t)n * 4 + 1, 0);
    tl_scope s;
    tl__scope_root(&s, t->buffer->device, 0);
    tl_read(&s, t, host, (size_t)n * 4);
    if (s.err.code) return tl__lua_scope_error(L, &s);
    tl__scope_drop(&s);
    tl_error err = {0};
    tl__features_append(&err, f, host, n / elements);
    return written(L, &err);
}

/* f:append_missing(n): rows of pictures that could not be read. As append */
static int features_append_missing(lua_State *L)
{
    tl_error err = {0};
    tl__features_append(&err, to_features(L), NULL, luaL_checkinteger(L, 2));
    return written(L, &err);
}

/* f:missing(number from 1) */
static int features_missing(lua_State *L)
{
    tl_error err = {0};
    int m = tl__features_missing(&err, to_features(L), luaL_checkinteger(L, 2) - 1);
    if (m < 0) return tl__lua_raise(L, err.text);
    lua_pushboolean(L, m);
    return 1;
}

static tl_tensor *upload(tl_scope *s, const tl_shape *shape, tl_dtype dtype, const void *with)
{
    return tl_from(s, dtype, shape->rank, shape->dim, with);
}

/* f:read(numbers from 1, ...dims of a row) -> (N, dims...); nil and a message where a row is damaged */
static int features_read(lua_State *L)
{
    tl_features *f = to_features(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    int64_t n = (int64_t)lua_rawlen(L, 2), elements = tl__features_elements(f);
    tl_shape shape = {1, {n}};
    int top = lua_gettop(L);
    for (int i = 3; i <= top && shape.rank < TL_MAX_RANK; i++) shape.dim[shape.rank++] = luaL_checkinteger(L, i);
    if (shape.rank == 1) shape.dim[shape.rank++] = elements;
    if (tl__numel(&shape) != n * elements) return tl__lua_raise(L, "read: these dimensions are not those of a row");
    int64_t *index = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *index, 0);
    for (int64_t i = 0; i < n; i++) {
        lua_rawgeti(L, 2, i + 1);
        index[i] = lua_tointeger(L, -1) - 1;
        lua_pop(L, 1);
    }
    float *host = lua_newuserdatauv(L, (size_t)(n * elements) * 4 + 1, 0);
    tl_error err = {0};
    if (tl__features_read(&err, f, index, n, host) != 0) {
        if (err.code != TL_EFORMAT) return tl__lua_raise(L, err.text);
        lua_pushnil(L);
        lua_pushstring(L, err.text);
        return 2;
    }
    return tl__lua_make(L, upload, &shape, TL_F32, host);
}

/* data.permutation(seed, epoch, n): the order in which a shuffling loader takes n pictures, from 1 */
static int permutation(lua_State *L)
{
    uint64_t seed = tl__lua_seed(L, 1);
    int64_t epoch = luaL_checkinteger(L, 2), n = luaL_checkinteger(L, 3);
    if (n < 0 || n > ((int64_t)1 << 31)) return tl__lua_raise(L, "permutation: too many");
    int64_t *order = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *order, 0);
    tl__rng_permutation(tl__rng_key(seed, TL_RNG_SHUFFLE, (uint64_t)epoch), n, order);
    lua_createtable(L, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        lua_pushinteger(L, order[i] + 1);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

void tl__lua_open_features(lua_State *L)
{
    static const luaL_Reg methods[] = {{"__gc", features_close}, {"__close", features_close}, {"close", features_close}, {"done", features_done},
                                       {"append", features_append}, {"append_missing", features_append_missing}, {"missing", features_missing}, {"read", features_read}, {"sync", features_sync}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"features", features_open}, {"features_about", features_about}, {"features_bytes", features_bytes},
                                         {"disk_free", disk_free}, {"permutation", permutation}, {NULL, NULL}};
    luaL_newmetatable(L, FEATURES);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_getfield(L, -1, "data");
    luaL_setfuncs(L, functions, 0);
    lua_pop(L, 1);
}
