/* scope.c - Lua's side of ownership: the context, thread states, scopes and recording. */
#include "lua/binding.h"

#include "device/gemm/tuning.h"

#include <stdlib.h>
#include <string.h>

static const char context_key, threads_key;

context *tl__lua_context(lua_State *L) { return *(context **)lua_getextraspace(L); }

static int context_gc(lua_State *L)
{
    context *c = lua_touserdata(L, 1);
    if (c->device) tl_device_release(c->device);
    c->device = NULL;
    return 0;
}

static int thread_gc(lua_State *L)
{
    thread_state *t = lua_touserdata(L, 1);
    /* A new coroutine may get the address of a dead one. */
    if (t->context->cached_state == t) {
        t->context->cached_state = NULL;
        t->context->cached_thread = NULL;
    }
    return 0;
}

thread_state *tl__lua_thread(lua_State *L)
{
    context *c = tl__lua_context(L);
    if (c->cached_thread == L && c->cached_state) return c->cached_state;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &threads_key);
    lua_pushthread(L);
    if (lua_rawget(L, -2) != LUA_TUSERDATA) {
        lua_pop(L, 1);
        thread_state *t = lua_newuserdatauv(L, sizeof *t, 1);
        *t = (thread_state){.recording = 1, .context = c};
        luaL_setmetatable(L, "tlua.thread");
        lua_pushthread(L);
        lua_pushvalue(L, -2);
        lua_rawset(L, -4);
    }
    thread_state *t = lua_touserdata(L, -1);
    lua_pop(L, 2);
    c->cached_thread = L;
    c->cached_state = t;
    return t;
}

/* Pushes the thread state's userdata. */
static void push_thread(lua_State *L)
{
    tl__lua_thread(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &threads_key);
    lua_pushthread(L);
    lua_rawget(L, -2);
    lua_remove(L, -2);
}

tl_device *tl__lua_open_device(lua_State *L, const char *spec)
{
    context *c = tl__lua_context(L);
    tl_error err = {0};
    c->device = tl_device_open(spec, &err);
    if (!c->device) tl__lua_raise(L, err.text);
    c->device->seed = c->seed;
    if (c->device->tuning && c->device->tuning->note[0]) fprintf(stderr, "tlua: %s\n", c->device->tuning->note);
    return c->device;
}

tl_device *tl__lua_device(lua_State *L)
{
    context *c = tl__lua_context(L);
    return c->device ? c->device : tl__lua_open_device(L, NULL);
}

/* ---- boxes ---- */

static void unlink_box(box *b)
{
    if (b->next) {
        b->next->previous = b->previous;
        b->previous->next = b->next;
    }
    b->next = b->previous = NULL;
}

static void link_box(box *b, lua_scope *s)
{
    b->scope = s;
    if (!s) return;
    b->next = s->first.next;
    b->previous = &s->first;
    b->next->previous = b;
    s->first.next = b;
}

static void free_box(context *c, box *b)
{
    tl_tensor *t = b->tensor;
    b->tensor = NULL;
    c->debt -= b->bytes < c->debt ? b->bytes : c->debt;
    b->bytes = 0;
    unlink_box(b);
    tl_tensor_release(t);
}

void tl__lua_empty(lua_State *L, box *b) { free_box(tl__lua_context(L), b); }

static int box_gc(lua_State *L)
{
    free_box(tl__lua_context(L), lua_touserdata(L, 1));
    return 0;
}

/* Pushes the userdata of the innermost open scope of this coroutine, or nil. */
static void push_top(lua_State *L)
{
    push_thread(L);
    lua_getiuservalue(L, -1, 1);
    lua_remove(L, -2);
}

box *tl__lua_box(lua_State *L)
{
    thread_state *t = tl__lua_thread(L);
    box *b = lua_newuserdatauv(L, sizeof *b, 1);
    memset(b, 0, sizeof *b);
    luaL_setmetatable(L, TENSOR);
    if (t->top) {
        push_top(L); /* the scope lives as long as its boxes, and can tell where it was opened */
        lua_setiuservalue(L, -2, 1);
        link_box(b, t->top);
    }
    return b;
}

void tl__lua_fill(lua_State *L, box *b, tl_tensor *t)
{
    b->tensor = t;
    b->bytes = t->buffer->bytes;
    tl__lua_context(L)->debt += b->bytes;
    tl__lua_pressure(L);
}

void tl__lua_pressure(lua_State *L)
{
    context *c = tl__lua_context(L);
    size_t limit = (size_t)256 << 20, live = 0;
    if (!c->device || c->debt < limit) return;
    tl_device_memory(c->device, &live, NULL, NULL);
    if (c->debt < live / 2) return;
    c->debt = 0; /* counted anew from here, whatever the collector finds */
    lua_gc(L, LUA_GCCOLLECT);
}

int tl__lua_relieve(lua_State *L, tl_scope *s, int *tried)
{
    if (s->err.code != TL_EMEMORY || *tried) return 0;
    *tried = 1;
    tl__scope_drop(s);
    lua_gc(L, LUA_GCCOLLECT);
    tl_device_flush(s->device);
    s->err = (tl_error){0};
    return 1;
}

tl_tensor *tl__lua_tensor(lua_State *L, int index)
{
    box *b = luaL_testudata(L, index, TENSOR);
    if (!b) {
        tl__lua_raisef(L, "a tensor is needed here, not %s", luaL_typename(L, index));
        return NULL;
    }
    if (!b->tensor) tl__lua_raisef(L, "this tensor was freed with the scope opened at %s; take it out with scope:keep(x)", b->scope ? b->scope->where : "?");
    return b->tensor;
}

tl_tensor *tl__lua_opt_tensor(lua_State *L, int index) { return lua_isnoneornil(L, index) ? NULL : tl__lua_tensor(L, index); }

/* ---- scopes ---- */

#define SCOPE "tlua.scope"

static void where_opened(lua_State *L, char *out, size_t size)
{
    lua_Debug ar;
    snprintf(out, size, "?");
    for (int level = 1; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline <= 0) continue;
        snprintf(out, size, "%s:%d", ar.short_src, ar.currentline);
        if (strncmp(ar.source, "=tlua/", 6) != 0) return;
    }
}

static int scope_open(lua_State *L)
{
    thread_state *t = tl__lua_thread(L);
    lua_scope *s = lua_newuserdatauv(L, sizeof *s, 2);
    memset(s, 0, sizeof *s);
    s->first.next = s->first.previous = &s->first;
    s->outer = t->top;
    s->thread = t;
    where_opened(L, s->where, sizeof s->where);
    luaL_setmetatable(L, SCOPE);
    push_top(L);
    lua_setiuservalue(L, -2, 1);
    push_thread(L); /* the state outlives the scope */
    lua_setiuservalue(L, -2, 2);
    push_thread(L);
    lua_pushvalue(L, -2);
    lua_setiuservalue(L, -2, 1);
    lua_pop(L, 1);
    t->top = s;
    return 1;
}

/* Closes this scope and any opened inside it that is still open. */
static int scope_close(lua_State *L)
{
    lua_scope *s = luaL_checkudata(L, 1, SCOPE);
    if (s->closed) return 0;
    context *c = tl__lua_context(L);
    thread_state *t = s->thread;
    for (lua_scope *each = t->top; each; each = each->outer) {
        while (each->first.next != &each->first) free_box(c, each->first.next);
        each->closed = 1;
        if (each == s) break;
    }
    t->top = s->outer;
    lua_getiuservalue(L, 1, 2);
    lua_getiuservalue(L, 1, 1);
    lua_setiuservalue(L, -2, 1);
    return 0;
}

/* scope:keep(x, ...) -> x, ...   moves handles made in this scope to the one around it; what belongs to a scope
 * further out, or to none, stays there. */
static int scope_keep(lua_State *L)
{
    lua_scope *s = luaL_checkudata(L, 1, SCOPE);
    int n = lua_gettop(L);
    for (int i = 2; i <= n; i++) {
        tl__lua_tensor(L, i);
        box *b = lua_touserdata(L, i);
        if (b->scope != s) continue;
        unlink_box(b);
        link_box(b, s->outer);
        lua_getiuservalue(L, 1, 1);
        lua_setiuservalue(L, i, 1);
    }
    return n - 1;
}

/* core.persist(x, ...) -> x, ...   takes handles out of every scope: parameters and caches made in mid-step. */
static int persist(lua_State *L)
{
    int n = lua_gettop(L);
    for (int i = 1; i <= n; i++) {
        tl__lua_tensor(L, i);
        box *b = lua_touserdata(L, i);
        unlink_box(b);
        b->scope = NULL;
        lua_pushnil(L);
        lua_setiuservalue(L, i, 1);
    }
    return n;
}

/* core.discard(x, ...)   the handles are empty from now on, as with the end of their scope: for who runs a long list of calls. */
static int discard(lua_State *L)
{
    for (int i = 1; i <= lua_gettop(L); i++)
        if (luaL_testudata(L, i, TENSOR)) free_box(tl__lua_context(L), lua_touserdata(L, i));
    return 0;
}

/* ---- recording ---- */

#define GUARD "tlua.guard"
typedef struct guard { thread_state *thread; int was, done; } guard;

static int set_recording(lua_State *L, int on)
{
    thread_state *t = tl__lua_thread(L);
    guard *g = lua_newuserdatauv(L, sizeof *g, 1);
    *g = (guard){.thread = t, .was = t->recording};
    luaL_setmetatable(L, GUARD);
    push_thread(L);
    lua_setiuservalue(L, -2, 1);
    t->recording = on;
    return 1;
}

static int no_grad(lua_State *L) { return set_recording(L, 0); }
static int with_grad(lua_State *L) { return set_recording(L, 1); }

static int guard_close(lua_State *L)
{
    guard *g = luaL_checkudata(L, 1, GUARD);
    if (!g->done) g->thread->recording = g->was;
    g->done = 1;
    return 0;
}

static int recording(lua_State *L)
{
    lua_pushboolean(L, tl__lua_thread(L)->recording);
    return 1;
}

static void metatable(lua_State *L, const char *name, const tl__lua_entry *functions)
{
    luaL_newmetatable(L, name);
    tl__lua_functions(L, functions, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

void tl__lua_open_scope(lua_State *L)
{
    static const tl__lua_entry context_meta[] = {{"__gc", context_gc, TL__ANY, NULL}, {NULL, NULL, 0, NULL}};
    static const tl__lua_entry thread_meta[] = {{"__gc", thread_gc, TL__ANY, NULL}, {NULL, NULL, 0, NULL}};
    static const tl__lua_entry scope_meta[] = {
        {"__close", scope_close, TL__ANY, NULL}, {"close", scope_close, 1, NULL}, {"keep", scope_keep, TL__ANY, NULL}, {NULL, NULL, 0, NULL}};
    static const tl__lua_entry guard_meta[] = {{"__close", guard_close, TL__ANY, NULL}, {"close", guard_close, 1, NULL}, {NULL, NULL, 0, NULL}};
    static const tl__lua_entry functions[] = {
        {"scope", scope_open, 0, NULL}, {"no_grad", no_grad, 0, NULL}, {"enable_grad", with_grad, 0, NULL}, {"recording", recording, 0, NULL},
        {"persist", persist, TL__ANY, NULL}, {"discard", discard, TL__ANY, NULL}, {NULL, NULL, 0, NULL}};
    metatable(L, "tlua.context", context_meta);
    metatable(L, "tlua.thread", thread_meta);
    metatable(L, SCOPE, scope_meta);
    metatable(L, GUARD, guard_meta);
    luaL_newmetatable(L, TENSOR);
    lua_pushcfunction(L, box_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    context *c = lua_newuserdatauv(L, sizeof *c, 0);
    memset(c, 0, sizeof *c);
    *(context **)lua_getextraspace(L) = c;
    luaL_setmetatable(L, "tlua.context");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &context_key);
    lua_newtable(L); /* coroutine -> its state, as long as the coroutine lives */
    lua_newtable(L);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &threads_key);
    tl__lua_functions(L, functions, 0);
}
