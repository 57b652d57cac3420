/* make.c - making tensors in Lua: from values, constants, random draws; and reading arguments. */
#include "lua/binding.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- options and shapes ---- */

const char *tl__lua_field_text(lua_State *L, int table, const char *key, const char *fallback)
{
    if (!lua_istable(L, table)) return fallback;
    lua_getfield(L, table, key);
    const char *text = lua_isstring(L, -1) ? lua_tostring(L, -1) : fallback; /* the table keeps it alive */
    lua_pop(L, 1);
    return text;
}

double tl__lua_field_number(lua_State *L, int table, const char *key, double fallback)
{
    if (!lua_istable(L, table)) return fallback;
    lua_getfield(L, table, key);
    int ok, absent = lua_isnil(L, -1);
    double v = lua_tonumberx(L, -1, &ok);
    lua_pop(L, 1);
    if (!ok && !absent) tl__lua_raisef(L, "%s must be a number", key);
    return ok ? v : fallback;
}

/* A float has 53 bits: beyond that it may not be the number that was meant. */
static int is_whole(lua_State *L, int index, int64_t *v)
{
    int ok;
    *v = lua_tointegerx(L, index, &ok);
    return ok && lua_type(L, index) == LUA_TNUMBER && (lua_isinteger(L, index) || (*v > -((int64_t)1 << 53) && *v < (int64_t)1 << 53));
}

int64_t tl__lua_field_integer(lua_State *L, int table, const char *key, int64_t fallback, int64_t least, int64_t most)
{
    int64_t v = fallback;
    if (!lua_istable(L, table)) return fallback;
    if (lua_getfield(L, table, key) != LUA_TNIL && (!is_whole(L, -1, &v) || v < least || v > most))
        tl__lua_raisef(L, "%s must be a whole number from %lld to %lld, not %s", key, (long long)least, (long long)most, luaL_tolstring(L, -1, NULL));
    lua_pop(L, 1);
    return v;
}

uint64_t tl__lua_seed(lua_State *L, int index)
{
    int64_t v;
    if (!is_whole(L, index, &v))
        tl__lua_raisef(L, "a seed is a whole number of 64 bits (%lld to %lld), not %s", (long long)INT64_MIN, (long long)INT64_MAX, luaL_tolstring(L, index, NULL));
    return (uint64_t)v;
}

uint64_t tl__lua_field_seed(lua_State *L, int table, const char *key)
{
    if (!lua_istable(L, table)) return 0;
    uint64_t seed = lua_getfield(L, table, key) == LUA_TNIL ? 0 : tl__lua_seed(L, -1);
    lua_pop(L, 1);
    return seed;
}

int tl__lua_field_bool(lua_State *L, int table, const char *key, int fallback)
{
    if (!lua_istable(L, table)) return fallback;
    lua_getfield(L, table, key);
    int v = lua_isnil(L, -1) ? fallback : lua_toboolean(L, -1);
    lua_pop(L, 1);
    return v;
}

tl_dtype tl__lua_dtype(lua_State *L, const char *name)
{
    static const char *const known[] = {"float32", "float16", "bfloat16", "int32", "uint8", NULL};
    for (int i = 0; known[i]; i++)
        if (strcmp(known[i], name) == 0) return (tl_dtype)i;
    tl__lua_unknown(L, "dtype", name, known);
    return TL_F32;
}

tl_shape tl__lua_shape(lua_State *L, int first, int last)
{
    tl_shape shape = {0, {0}};
    int table = lua_istable(L, first);
    int n = table ? (int)lua_rawlen(L, first) : last - first + 1;
    if (n > TL_MAX_RANK) tl__lua_raisef(L, "a tensor has at most %d dimensions, not %d", TL_MAX_RANK, n);
    for (int i = 0; i < n; i++) {
        if (table) lua_rawgeti(L, first, i + 1);
        else lua_pushvalue(L, first + i);
        int ok;
        shape.dim[shape.rank++] = lua_tointegerx(L, -1, &ok);
        lua_pop(L, 1);
        if (!ok) tl__lua_raise(L, "dimensions must be whole numbers");
    }
    return shape;
}

/* ---- from Lua values ---- */

/* The shape of a nested table: lengths along the first elements. */
static tl_shape shape_of_table(lua_State *L, int index)
{
    tl_shape shape = {0, {0}};
    lua_pushvalue(L, index);
    while (lua_istable(L, -1)) {
        if (shape.rank == TL_MAX_RANK) tl__lua_raisef(L, "a tensor has at most %d dimensions", TL_MAX_RANK);
        int64_t n = (int64_t)lua_rawlen(L, -1);
        shape.dim[shape.rank++] = n;
        if (n == 0) break;
        lua_rawgeti(L, -1, 1);
        lua_remove(L, -2);
    }
    lua_pop(L, 1);
    return shape;
}

static void store(lua_State *L, int index, tl_dtype dtype, void *out, int64_t at)
{
    int ok;
    double v = lua_tonumberx(L, index, &ok);
    if (!ok && lua_isboolean(L, index)) {
        v = lua_toboolean(L, index);
        ok = 1;
    }
    if (!ok) tl__lua_raisef(L, "a tensor is made of numbers, not %s", luaL_typename(L, index));
    if (dtype == TL_I32) {
        if (v != floor(v) || fabs(v) > 2147483647) tl__lua_raisef(L, "%g is not an int32", v);
        ((int32_t *)out)[at] = (int32_t)v;
    } else if (dtype == TL_U8) {
        if (v != floor(v) || v < 0 || v > 255) tl__lua_raisef(L, "%g is not a uint8", v);
        ((uint8_t *)out)[at] = (uint8_t)v;
    } else if (dtype == TL_F16) ((uint16_t *)out)[at] = tl__float_to_half((float)v);
    else if (dtype == TL_BF16) ((uint16_t *)out)[at] = tl__float_to_bf16((float)v);
    else ((float *)out)[at] = (float)v;
}

static int64_t flatten(lua_State *L, const tl_shape *shape, int level, tl_dtype dtype, void *out, int64_t at)
{
    int top = lua_gettop(L);
    if (level == shape->rank) {
        store(L, top, dtype, out, at);
        return at + 1;
    }
    if (!lua_istable(L, top) || (int64_t)lua_rawlen(L, top) != shape->dim[level]) tl__lua_raise(L, "the rows of a tensor must be equally long");
    luaL_checkstack(L, 4, "nested too deep");
    for (int64_t i = 1; i <= shape->dim[level]; i++) {
        lua_rawgeti(L, top, i);
        at = flatten(L, shape, level + 1, dtype, out, at);
        lua_pop(L, 1);
    }
    return at;
}

int tl__lua_make(lua_State *L, tl__lua_maker *how, const tl_shape *shape, tl_dtype dtype, const void *with)
{
    tl_device *d = tl__lua_device(L);
    box *b = tl__lua_box(L);
    tl_scope s;
    tl_tensor *t;
    int tried = 0;
    do {
        tl__scope_root(&s, d, 0);
        t = how(&s, shape, dtype, with);
    } while (s.err.code && tl__lua_relieve(L, &s, &tried));
    if (s.err.code) return tl__lua_scope_error(L, &s);
    tl_tensor_retain(t);
    tl__scope_drop(&s);
    tl__lua_fill(L, b, t);
    return 1;
}

static tl_tensor *from_host(tl_scope *s, const tl_shape *shape, tl_dtype dtype, const void *with) { return tl_from(s, dtype, shape->rank, shape->dim, with); }
static tl_tensor *filled(tl_scope *s, const tl_shape *shape, tl_dtype dtype, const void *with) { return tl_full(s, dtype, shape->rank, shape->dim, *(const double *)with); }

/* core.tensor(values [, {dtype=}]) */
static int new_tensor(lua_State *L)
{
    tl_dtype dtype = tl__lua_dtype(L, tl__lua_field_text(L, 2, "dtype", "float32"));
    if (!lua_istable(L, 1)) luaL_checknumber(L, 1);
    tl_shape shape = shape_of_table(L, 1);
    void *host = lua_newuserdatauv(L, (size_t)tl__numel(&shape) * 4 + 4, 0); /* the collector frees it should an error be raised */
    lua_pushvalue(L, 1);
    flatten(L, &shape, 0, dtype, host, 0);
    lua_pop(L, 1);
    return tl__lua_make(L, from_host, &shape, dtype, host);
}

/* Dimensions from the first argument to the last: numbers, or one table. */
static tl_shape dimensions(lua_State *L, const char *function, int last)
{
    if (last > 1 && lua_istable(L, 1)) tl__lua_raisef(L, "%s: too many arguments: the table before them has all dimensions", function);
    return tl__lua_shape(L, 1, last);
}

/* Arguments: dimensions, then maybe an options table. Returns the dtype. */
static tl_dtype shape_and_dtype(lua_State *L, const char *function, tl_shape *shape)
{
    int last = lua_gettop(L);
    tl_dtype dtype = TL_F32;
    if (last > 1 && lua_istable(L, last) && lua_rawlen(L, last) == 0) {
        tl__lua_options(L, last, function, "dtype");
        dtype = tl__lua_dtype(L, tl__lua_field_text(L, last, "dtype", "float32"));
        last--;
    }
    *shape = dimensions(L, function, last);
    return dtype;
}

static int constant(lua_State *L, const char *function, double value)
{
    tl_shape shape;
    tl_dtype dtype = shape_and_dtype(L, function, &shape);
    return tl__lua_make(L, filled, &shape, dtype, &value);
}

static int zeros(lua_State *L) { return constant(L, "zeros", 0); }
static int ones(lua_State *L) { return constant(L, "ones", 1); }

/* core.full(shape, value [, {dtype=}]) */
static int full(lua_State *L)
{
    double value = luaL_checknumber(L, 2);
    tl_shape shape = tl__lua_shape(L, 1, 1);
    return tl__lua_make(L, filled, &shape, tl__lua_dtype(L, tl__lua_field_text(L, 3, "dtype", "float32")), &value);
}

static int arange(lua_State *L)
{
    int64_t n = luaL_checkinteger(L, 1);
    tl_dtype dtype = tl__lua_dtype(L, tl__lua_field_text(L, 2, "dtype", "float32"));
    tl_shape shape = {1, {n}};
    if (dtype != TL_F32 && dtype != TL_I32) return tl__lua_raisef(L, "arange: dtype is float32 or int32, not %s", tl__dtype_name(dtype));
    if (n < 0 || n > (1 << 30)) return tl__lua_raisef(L, "arange: %lld elements", (long long)n);
    float *host = lua_newuserdatauv(L, (size_t)n * 4 + 4, 0);
    for (int64_t i = 0; i < n; i++) {
        if (dtype == TL_I32) ((int32_t *)(void *)host)[i] = (int32_t)i;
        else host[i] = (float)i;
    }
    return tl__lua_make(L, from_host, &shape, dtype == TL_I32 ? TL_I32 : TL_F32, host);
}

typedef struct draw { uint64_t seed, ordinal; } draw;
static tl_tensor *drawn_normal(tl_scope *s, const tl_shape *shape, tl_dtype dtype, const void *with)
{
    const draw *d = with;
    (void)dtype;
    return tl_randn(s, shape->rank, shape->dim, d->seed, d->ordinal);
}
static tl_tensor *drawn_uniform(tl_scope *s, const tl_shape *shape, tl_dtype dtype, const void *with)
{
    const draw *d = with;
    (void)dtype;
    return tl_rand(s, shape->rank, shape->dim, d->seed, d->ordinal);
}

static int random_tensor(lua_State *L, const char *function, tl__lua_maker *how)
{
    context *c = tl__lua_context(L);
    if (lua_gettop(L) > 1 && lua_istable(L, -1)) tl__lua_raisef(L, "%s: there are no options; the numbers are float32", function);
    tl_shape shape = dimensions(L, function, lua_gettop(L));
    draw d = {c->seed, c->ordinal};
    int results = tl__lua_make(L, how, &shape, TL_F32, &d);
    c->ordinal++; /* not where it failed: tried again it draws the same */
    return results;
}
static int randn(lua_State *L) { return random_tensor(L, "randn", drawn_normal); }
static int rand_(lua_State *L) { return random_tensor(L, "rand", drawn_uniform); }

/* core.normal(shape, mean, std, name), core.uniform(shape, low, high, name): drawn by (seed, name). */
static int named_draw(lua_State *L, int normal)
{
    tl_shape shape = tl__lua_shape(L, 1, 1);
    double a = luaL_checknumber(L, 2), b = luaL_checknumber(L, 3);
    size_t length;
    const char *name = luaL_checklstring(L, 4, &length);
    int64_t n = 1;
    for (int i = 0; i < shape.rank; i++)
        if (tl__mul_size(n, shape.dim[i], &n) != 0 || n > (int64_t)1 << 34) return tl__lua_raise(L, "impossible shape");
    float *host = lua_newuserdatauv(L, (size_t)n * 4 + 4, 0);
    tl_rng_key key = tl__rng_key(tl__lua_context(L)->seed, TL_RNG_INIT, tl__hash64(name, length, 0));
    if (normal) tl__rng_normals(key, n, host);
    else tl__rng_uniforms(key, n, host);
    for (int64_t i = 0; i < n; i++) host[i] = (float)(a + (normal ? b : b - a) * host[i]);
    return tl__lua_make(L, from_host, &shape, TL_F32, host);
}
static int normal(lua_State *L) { return named_draw(L, 1); }
static int uniform(lua_State *L) { return named_draw(L, 0); }

static int manual_seed(lua_State *L)
{
    context *c = tl__lua_context(L);
    c->seed = tl__lua_seed(L, 1);
    c->ordinal = 0;
    if (c->device) {
        c->device->seed = c->seed;
        c->device->ordinal = 0;
    }
    return 0;
}

void tl__lua_open_make(lua_State *L)
{
    static const tl__lua_entry functions[] = {
        {"tensor", new_tensor, 2, "dtype"}, {"zeros", zeros, TL__ANY, NULL}, {"ones", ones, TL__ANY, NULL}, {"full", full, 3, "dtype"}, {"arange", arange, 2, "dtype"},
        {"randn", randn, TL__ANY, NULL}, {"rand", rand_, TL__ANY, NULL}, {"normal", normal, 4, NULL}, {"uniform", uniform, 4, NULL}, {"manual_seed", manual_seed, 1, NULL},
        {NULL, NULL, 0, NULL}};
    tl__lua_functions(L, functions, 0);
}
