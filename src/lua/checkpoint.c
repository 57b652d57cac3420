/* checkpoint.c - gradient checkpointing in Lua: the part that backward computes again is a Lua function. */
#include "lua/binding.h"

#include "grad/checkpoint.h"

#include <stdlib.h>

typedef struct closure { context *context; lua_State *main; int ref; } closure;

static box *push_tensor(lua_State *L, tl_tensor *t)
{
    box *b = tl__lua_box(L);
    tl_tensor_retain(t);
    tl__lua_fill(L, b, t);
    return b;
}

/* (again, x, wanted, gy) as light userdata and values -> the gradient; runs protected. The boxes lie in the scope in which backward was
 * called, which may hold the parts of a whole network: they are emptied here, and that of the result by the caller. */
static int protected_again(lua_State *L)
{
    tl_tensor *x = lua_touserdata(L, 2), *gy = lua_touserdata(L, 4);
    box *of_x = push_tensor(L, x), *of_gy = push_tensor(L, gy);
    int at = lua_gettop(L);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, at - 1);
    lua_pushvalue(L, 3);
    lua_pushvalue(L, at);
    lua_call(L, 3, 1);
    tl__lua_empty(L, of_x);
    tl__lua_empty(L, of_gy);
    return 1;
}

static tl_tensor *again(void *user, tl_scope *s, tl_tensor *x, int wanted, tl_tensor *gy)
{
    closure *c = user;
    lua_State *L = c->context->in_backward;
    tl_tensor *gx = NULL;
    if (!L) {
        tl__fail(&s->err, TL_ESTATE, "backward: this graph has parts that Lua computes again, so backward must be called from Lua");
        return NULL;
    }
    int top = lua_gettop(L);
    luaL_checkstack(L, 12, NULL);
    lua_pushcfunction(L, protected_again);
    lua_rawgeti(L, LUA_REGISTRYINDEX, c->ref);
    lua_pushlightuserdata(L, x);
    lua_pushboolean(L, wanted);
    lua_pushlightuserdata(L, gy);
    if (lua_pcall(L, 4, 1, 0) != LUA_OK) {
        const char *text = luaL_tolstring(L, -1, NULL);
        if (!s->err.code) { /* the lines that name the modules stay, which tl__fail would join */
            snprintf(s->err.text, sizeof s->err.text, "%s", text);
            s->err.code = TL_ESTATE;
        }
    } else if (wanted) {
        box *b = luaL_testudata(L, -1, TENSOR);
        if (!b || !b->tensor) tl__fail(&s->err, TL_ESTATE, "backward: a part that was computed again gave no gradient");
        else {
            tl_tensor_retain(b->tensor);
            gx = tl__scope_own(s, b->tensor);
            tl__lua_empty(L, b);
        }
    }
    lua_settop(L, top);
    return gx;
}

static void free_closure(void *user)
{
    closure *c = user;
    luaL_unref(c->main, LUA_REGISTRYINDEX, c->ref);
    free(c);
}

/* core.checkpoint(again, x, y): y, which was computed from x without recording, as a tensor through which backward finds its way by
 * again(x, wanted, gy) -> gradient of x. See tlua/recompute.lua. */
static int checkpoint(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    tl_tensor *x = tl__lua_tensor(L, 2), *y = tl__lua_tensor(L, 3);
    closure *c = malloc(sizeof *c);
    if (!c) return tl__lua_raise(L, "no memory");
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    *c = (closure){tl__lua_context(L), lua_tothread(L, -1), LUA_NOREF};
    lua_pop(L, 1);
    lua_pushvalue(L, 1);
    c->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    box *b = tl__lua_box(L);
    tl_scope s;
    tl__scope_root(&s, y->buffer->device, 1);
    tl_tensor *t = tl__checkpoint(&s, x, y, &(tl_part){again, free_closure, c});
    if (s.err.code) return tl__lua_scope_error(L, &s);
    tl_tensor_retain(t);
    tl__scope_drop(&s);
    tl__lua_fill(L, b, t);
    return 1;
}

/* core.random_ordinal([n]): how many operators have drawn numbers; n sets it. */
static int random_ordinal(lua_State *L)
{
    tl_device *d = tl__lua_device(L);
    lua_pushinteger(L, (lua_Integer)d->ordinal);
    if (!lua_isnoneornil(L, 1)) d->ordinal = (uint64_t)luaL_checkinteger(L, 1);
    return 1;
}

void tl__lua_open_checkpoint(lua_State *L)
{
    static const luaL_Reg functions[] = {{"checkpoint", checkpoint}, {"random_ordinal", random_ordinal}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
