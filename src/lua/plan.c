/* plan.c - plans and dry runs in Lua. */
#include "lua/binding.h"

#include "plan/plan.h"

#include <stdlib.h>

#define PLAN "tlua.plan"

static tl_plan *to_plan(lua_State *L)
{
    tl_plan **p = luaL_checkudata(L, 1, PLAN);
    if (!*p) tl__lua_raise(L, "this plan was closed");
    return *p;
}

static int plan_gc(lua_State *L)
{
    tl_plan **p = luaL_checkudata(L, 1, PLAN);
    tl__plan_free(*p);
    *p = NULL;
    return 0;
}

/* Calls the function at index 1 with the tensor x under a dry run and ends that by `end`. nil and the reason on failure. */
static int traced(lua_State *L, tl_plan **p, tl_tensor *x, int (*end)(tl_error *, tl_plan *, tl_tensor *))
{
    tl_error err = {0};
    lua_pushvalue(L, 1);
    box *b = tl__lua_box(L);
    tl__lua_fill(L, b, x);
    int ok = lua_pcall(L, 1, 1, 0) == LUA_OK;
    box *y = ok ? luaL_testudata(L, -1, TENSOR) : NULL;
    if (end(&err, *p, y ? y->tensor : NULL) == 0) {
        lua_pop(L, 1);
        return 1;
    }
    tl__plan_free(*p);
    *p = NULL;
    lua_pushnil(L);
    if (ok || !lua_isstring(L, -2)) lua_pushstring(L, err.text);
    else lua_pushvalue(L, -2);
    return 2;
}

/* core.plan(f, dims) -> plan: y = f(x) for x of these dims and any batch; or nil and why there can be none. f runs once, on
 * a stand-in without contents. */
static int new_plan(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    tl_shape shape = tl__lua_shape(L, 2, 2);
    tl_plan **p = lua_newuserdatauv(L, sizeof *p, 0);
    *p = NULL;
    luaL_setmetatable(L, PLAN);
    int at = lua_gettop(L);
    tl_error err = {0};
    tl_tensor *x;
    *p = tl__plan_begin(&err, tl__lua_device(L), &shape, &x);
    if (!*p) return tl__lua_raise(L, err.text);
    int results = traced(L, p, x, tl__plan_end);
    if (results == 1) lua_pushvalue(L, at);
    return results;
}

/* Who a tensor is in a table name -> tensor at index 3. */
static const char *name_in_table(void *user, const tl_tensor *t)
{
    lua_State *L = user;
    const char *name = NULL;
    for (lua_pushnil(L); !name && lua_next(L, 3); lua_pop(L, 1)) {
        box *b = luaL_testudata(L, -1, TENSOR);
        const tl_tensor *each = b ? b->tensor : NULL;
        if (each == t || (each && each->buffer == t->buffer && each->offset == t->offset && tl__shape_equal(&each->shape, &t->shape)))
            name = lua_tostring(L, -2); /* the table keeps it alive */
    }
    if (name) lua_pop(L, 1); /* the key, which lua_next has not used up */
    return name;
}

/* core.plan_text(f, dims, tensors) -> the calls of y = f(x) as text for a model file, constants by their names in `tensors`; or nil and why
 * there can be none. */
static int plan_text_of(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_settop(L, 3);
    tl_shape shape = tl__lua_shape(L, 2, 2);
    tl_plan **p = lua_newuserdatauv(L, sizeof *p, 0);
    *p = NULL;
    luaL_setmetatable(L, PLAN);
    tl_error err = {0};
    tl_tensor *x;
    *p = tl__plan_begin(&err, tl__lua_device(L), &shape, &x);
    if (!*p) return tl__lua_raise(L, err.text);
    int results = traced(L, p, x, tl__plan_stop);
    if (results != 1) return results;
    char *text = tl__plan_write(&err, *p, name_in_table, L);
    if (!text) {
        lua_pushnil(L);
        lua_pushstring(L, err.text);
        return 2;
    }
    lua_pushstring(L, text);
    free(text);
    return 1;
}

static int plan_run(lua_State *L)
{
    tl_plan *p = to_plan(L);
    tl_tensor *x = tl__lua_tensor(L, 2), *y;
    box *b = tl__lua_box(L);
    int tried = 0;
    tl_scope s;
    do {
        tl__scope_root(&s, p->device, 0);
        y = tl__plan_run(&s, p, x);
    } while (s.err.code && tl__lua_relieve(L, &s, &tried));
    if (s.err.code) return tl__lua_scope_error(L, &s);
    tl_tensor_retain(y);
    tl__scope_drop(&s);
    tl__lua_fill(L, b, y);
    return 1;
}

/* plan:bytes(n) -> what a run of n pictures needs beside weights, input and result */
static int plan_bytes(lua_State *L)
{
    tl_plan *p = to_plan(L);
    tl_scope s;
    tl__scope_root(&s, p->device, 0);
    size_t bytes = tl__plan_bytes(&s, p, luaL_checkinteger(L, 2));
    if (s.err.code) return tl__lua_scope_error(L, &s);
    tl__scope_drop(&s);
    lua_pushinteger(L, (lua_Integer)bytes);
    return 1;
}

static int plan_text(lua_State *L)
{
    tl_error err = {0};
    char *text = tl__plan_text(&err, to_plan(L));
    if (!text) return tl__lua_raise(L, err.text);
    lua_pushstring(L, text);
    free(text);
    return 1;
}

/* core.dry(f) -> the highest number of device bytes that f() would need, with what is alive now. Nothing is computed:
 * what f reads is zero, and what it makes must not be used afterwards. Errors of f pass. */
static int dry(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    tl_device *d = tl__lua_device(L);
    context *c = tl__lua_context(L);
    uint64_t ordinal = c->ordinal;
    tl_error err = {0};
    if (tl__dry_begin(&err, d) != 0) return tl__lua_raise(L, err.text);
    lua_settop(L, 1);
    int status = lua_pcall(L, 0, 0, 0);
    size_t peak = tl__dry_end(d);
    c->ordinal = ordinal;
    if (status != LUA_OK) return lua_error(L);
    lua_pushinteger(L, (lua_Integer)peak);
    return 1;
}

void tl__lua_open_plan(lua_State *L)
{
    static const luaL_Reg methods[] = {{"__gc", plan_gc}, {"close", plan_gc}, {"run", plan_run}, {"bytes", plan_bytes}, {"text", plan_text}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"plan", new_plan}, {"plan_text", plan_text_of}, {"dry", dry}, {NULL, NULL}};
    luaL_newmetatable(L, PLAN);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
}
