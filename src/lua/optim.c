/* optim.c - optimisers in Lua. */
#include "lua/binding.h"

#include "grad/optim_rules.h"

#include <string.h>

#define OPTIM "tlua.optim"

static tl_optim *to_optim(lua_State *L)
{
    tl_optim **o = luaL_checkudata(L, 1, OPTIM);
    if (!*o) tl__lua_raise(L, "this optimiser was closed");
    return *o;
}

static int optim_gc(lua_State *L)
{
    tl_optim **o = luaL_checkudata(L, 1, OPTIM);
    tl_optim_free(*o);
    *o = NULL;
    return 0;
}

static void read_options(lua_State *L, int t, tl_optim_options *o)
{
    o->lr = tl__lua_field_number(L, t, "lr", o->lr);
    o->weight_decay = tl__lua_field_number(L, t, "weight_decay", o->weight_decay);
    o->momentum = tl__lua_field_number(L, t, "momentum", o->momentum);
    o->dampening = tl__lua_field_number(L, t, "dampening", o->dampening);
    o->nesterov = tl__lua_field_bool(L, t, "nesterov", o->nesterov);
    o->eps = tl__lua_field_number(L, t, "eps", o->eps);
    o->alpha = tl__lua_field_number(L, t, "alpha", o->alpha);
    o->centered = tl__lua_field_bool(L, t, "centered", o->centered);
    if (lua_getfield(L, t, "betas") == LUA_TTABLE) {
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        o->beta1 = luaL_checknumber(L, -2);
        o->beta2 = luaL_checknumber(L, -1);
        lua_pop(L, 2);
    }
    lua_pop(L, 1);
}

static void add_group(lua_State *L, tl_optim *o, tl_device *d, int t, const char *name)
{
    tl_optim_options options;
    tl_optim_defaults(name, &options);
    read_options(L, t, &options);
    if (lua_getfield(L, t, "params") != LUA_TTABLE) tl__lua_raise(L, "optimiser: params must be a list of tensors");
    int n = (int)lua_rawlen(L, -1), list = lua_gettop(L);
    tl_tensor **params = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *params, 0);
    for (int i = 0; i < n; i++) {
        lua_rawgeti(L, list, i + 1);
        params[i] = tl__lua_tensor(L, -1);
        lua_pop(L, 1);
    }
    tl_scope s;
    tl__scope_root(&s, d, 0);
    tl_optim_add_group(&s, o, params, n, &options);
    if (s.err.code) tl__lua_scope_error(L, &s);
    tl__scope_drop(&s);
    lua_settop(L, list - 1);
}

/* core.optimizer(kind, list of {params=, lr=, ...}) */
static int optimizer(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    tl_optim_options known;
    if (tl_optim_defaults(name, &known) != 0) return tl__lua_unknown(L, "optimiser", name, tl__optim_names);
    tl_device *d = tl__lua_device(L);
    tl_optim **o = lua_newuserdatauv(L, sizeof *o, 0);
    *o = NULL;
    luaL_setmetatable(L, OPTIM);
    tl_error err = {0};
    *o = tl__optim_new(&err, d, name);
    if (!*o) return tl__lua_raise(L, err.text);
    int n = (int)lua_rawlen(L, 2);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, 2, i);
        if (!lua_istable(L, -1)) return tl__lua_raise(L, "optimiser: a group is a table");
        add_group(L, *o, d, lua_gettop(L), name);
        lua_pop(L, 1);
    }
    return 1;
}

static int step(lua_State *L)
{
    tl_optim *o = to_optim(L);
    tl_scope s;
    tl__scope_root(&s, tl__lua_device(L), 0);
    tl_optim_step(&s, o);
    if (s.err.code) return tl__lua_scope_error(L, &s);
    tl__scope_drop(&s);
    return 0;
}

static int zero_grad(lua_State *L)
{
    tl_optim_zero_grad(to_optim(L));
    return 0;
}

enum { SCALE, NORM, CLIP };

/* Group from argument `at`, or -1 for all; then one of the three over the gradients. Pushes the norm, but of scaling. */
static int gradients(lua_State *L, int what, int at)
{
    tl_optim *o = to_optim(L);
    int64_t k = luaL_optinteger(L, at, 0);
    if (k < 0 || k > tl__optim_groups(o)) return tl__lua_raisef(L, "this optimiser has no group %lld", (long long)k);
    double x = what == NORM ? 0 : luaL_checknumber(L, 2), norm = 0;
    tl_scope s;
    tl__scope_root(&s, tl__lua_device(L), 0);
    if (what == SCALE) tl_optim_scale_grad(&s, o, (int)k - 1, x);
    else if (what == NORM) tl_optim_grad_norm(&s, o, (int)k - 1, &norm);
    else tl_optim_clip_grad_norm(&s, o, (int)k - 1, x, &norm);
    if (s.err.code) return tl__lua_scope_error(L, &s);
    tl__scope_drop(&s);
    if (what == SCALE) return 0;
    lua_pushnumber(L, norm);
    return 1;
}

/* o:scale_grad(factor [, group]); o:grad_norm([group]) -> norm; o:clip_grad_norm(most [, group]) -> norm before */
static int scale_grad(lua_State *L) { return gradients(L, SCALE, 3); }
static int grad_norm(lua_State *L) { return gradients(L, NORM, 2); }
static int clip_grad_norm(lua_State *L) { return gradients(L, CLIP, 3); }

/* o:ema(decay): the averages of the weights take them in; o:swap_ema(): exchanges the two. core.ema(average, x, decay) and core.swap(a, b)
 * do the same with tensors. */
static int finish_launch(lua_State *L, tl_scope *s)
{
    if (s->err.code) return tl__lua_scope_error(L, s);
    tl__scope_drop(s);
    return 0;
}

static int ema(lua_State *L)
{
    tl_optim *o = to_optim(L);
    double decay = luaL_checknumber(L, 2);
    tl_scope s;
    tl__scope_root(&s, tl__lua_device(L), 0);
    tl_optim_ema(&s, o, decay);
    return finish_launch(L, &s);
}

static int swap_ema(lua_State *L)
{
    tl_optim *o = to_optim(L);
    tl_scope s;
    tl__scope_root(&s, tl__lua_device(L), 0);
    tl_optim_swap_ema(&s, o);
    return finish_launch(L, &s);
}

/* o:has_ema() -> whether the averages have begun */
static int has_ema(lua_State *L)
{
    tl_optim *o = to_optim(L);
    lua_pushboolean(L, tl__optim_groups(o) && tl__optim_moment(o, 0, 0, TL__MOMENT_EMA) != NULL);
    return 1;
}

static int tensor_ema(lua_State *L)
{
    tl_tensor *average = tl__lua_tensor(L, 1), *x = tl__lua_tensor(L, 2);
    double decay = luaL_checknumber(L, 3);
    tl_scope s;
    tl__scope_root(&s, average->buffer->device, 0);
    tl_ema(&s, average, x, decay);
    return finish_launch(L, &s);
}

static int tensor_swap(lua_State *L)
{
    tl_tensor *a = tl__lua_tensor(L, 1), *b = tl__lua_tensor(L, 2);
    tl_scope s;
    tl__scope_root(&s, a->buffer->device, 0);
    tl_swap(&s, a, b);
    return finish_launch(L, &s);
}

static tl_optim_options *group_options(lua_State *L, tl_optim *o, int64_t k)
{
    if (k < 1 || k > tl__optim_groups(o)) tl__lua_raisef(L, "this optimiser has no group %lld", (long long)k);
    return tl__optim_group_options(o, (int)k - 1);
}

/* o:set_lr(x [, group]) */
static int set_lr(lua_State *L)
{
    tl_optim *o = to_optim(L);
    double lr = luaL_checknumber(L, 2);
    if (!lua_isnoneornil(L, 3)) group_options(L, o, luaL_checkinteger(L, 3))->lr = lr;
    else
        for (int k = 0; k < tl__optim_groups(o); k++) tl__optim_group_options(o, k)->lr = lr;
    return 0;
}

static int lr(lua_State *L)
{
    lua_pushnumber(L, group_options(L, to_optim(L), luaL_optinteger(L, 2, 1))->lr);
    return 1;
}

/* The rows of a table that have moments go into the table on top as "1.3.rows". */
static void put_rows(lua_State *L, tl_optim *o, int k, int i)
{
    char key[64];
    tl_scope s;
    box *b = tl__lua_box(L);
    tl__scope_root(&s, tl__lua_device(L), 0);
    tl_tensor *t = tl__optim_rows(&s, o, k, i);
    if (s.err.code) tl__lua_scope_error(L, &s);
    if (t) tl_tensor_retain(t);
    tl__scope_drop(&s);
    if (!t) {
        lua_pop(L, 1);
        return;
    }
    tl__lua_fill(L, b, t);
    snprintf(key, sizeof key, "%d.%d.rows", k + 1, i + 1);
    lua_setfield(L, -2, key);
}

/* o:state() -> { ["1.3.m"] = tensor, ["1.3.v"] = tensor, ["1.3.step"] = {int64 = n} }: group, parameter, what. A table
 * of many rows has moments for those that ["1.3.rows"] names. */
static int state(lua_State *L)
{
    tl_optim *o = to_optim(L);
    char key[64];
    lua_newtable(L);
    for (int k = 0; k < tl__optim_groups(o); k++)
        for (int i = 0; i < tl__optim_group_size(o, k); i++) {
            for (int w = 0; tl__optim_moment_names[w]; w++) {
                tl_tensor *t = tl__optim_moment(o, k, i, w);
                if (!t) continue;
                box *b = tl__lua_box(L);
                tl_tensor_retain(t);
                tl__lua_fill(L, b, t);
                snprintf(key, sizeof key, "%d.%d.%s", k + 1, i + 1, tl__optim_moment_names[w]);
                lua_setfield(L, -2, key);
            }
            put_rows(L, o, k, i);
            lua_createtable(L, 0, 1);
            lua_pushinteger(L, *tl__optim_steps(o, k, i));
            lua_setfield(L, -2, "int64");
            snprintf(key, sizeof key, "%d.%d.step", k + 1, i + 1);
            lua_setfield(L, -2, key);
        }
    return 1;
}

/* Makes room for the moments of parameter i as the state at 2 has them: of some rows of a table, of all, or none. */
static void take_rows(lua_State *L, tl_optim *o, int k, int i)
{
    char key[64];
    int moments = 0;
    for (int w = 0; w < TL__MOMENT_EMA; w++) {
        snprintf(key, sizeof key, "%d.%d.%s", k + 1, i + 1, tl__optim_moment_names[w]);
        moments |= lua_getfield(L, 2, key) != LUA_TNIL;
        lua_pop(L, 1);
    }
    snprintf(key, sizeof key, "%d.%d.rows", k + 1, i + 1);
    tl_tensor *rows = lua_getfield(L, 2, key) == LUA_TNIL ? NULL : tl__lua_tensor(L, -1);
    tl_scope s;
    tl__scope_root(&s, tl__lua_device(L), 0);
    tl__optim_take_rows(&s, o, k, i, rows, moments);
    if (s.err.code) tl__lua_scope_error(L, &s);
    tl__scope_drop(&s);
    lua_pop(L, 1);
}

/* o:load_state(table as state() gives it; steps may be tensors or numbers too) */
static int load_state(lua_State *L)
{
    tl_optim *o = to_optim(L);
    char key[64];
    luaL_checktype(L, 2, LUA_TTABLE);
    tl_scope s;
    for (int k = 0; k < tl__optim_groups(o); k++) {
        snprintf(key, sizeof key, "%d.1.ema", k + 1);
        if (lua_getfield(L, 2, key) != LUA_TNIL) {
            tl__scope_root(&s, tl__lua_device(L), 0);
            tl__optim_begin_ema(&s, o, k);
            finish_launch(L, &s);
        }
        lua_pop(L, 1);
        for (int i = 0; i < tl__optim_group_size(o, k); i++) {
            take_rows(L, o, k, i);
            for (int w = 0; tl__optim_moment_names[w]; w++) {
                tl_tensor *t = tl__optim_moment(o, k, i, w);
                if (!t) continue;
                snprintf(key, sizeof key, "%d.%d.%s", k + 1, i + 1, tl__optim_moment_names[w]);
                if (lua_getfield(L, 2, key) == LUA_TNIL) return tl__lua_raisef(L, "the optimiser's state has no %s", key);
                tl_tensor *from = tl__lua_tensor(L, -1);
                if (!tl__shape_equal(&from->shape, &t->shape)) return tl__lua_raisef(L, "the optimiser's state %s has another shape", key);
                tl__scope_root(&s, t->buffer->device, 0);
                tl__copy_into(&s, from, t);
                if (s.err.code) return tl__lua_scope_error(L, &s);
                tl__scope_drop(&s);
                lua_pop(L, 1);
            }
            snprintf(key, sizeof key, "%d.%d.step", k + 1, i + 1);
            int type = lua_getfield(L, 2, key);
            if (type == LUA_TTABLE) lua_getfield(L, -1, "int64");
            else if (type == LUA_TUSERDATA) {
                lua_getfield(L, -1, "item");
                lua_pushvalue(L, -2);
                lua_call(L, 1, 1);
            } else lua_pushvalue(L, -1);
            *tl__optim_steps(o, k, i) = lua_tointeger(L, -1);
            lua_pop(L, 2);
        }
    }
    tl__optim_mended(o);
    return 0;
}

void tl__lua_open_optim(lua_State *L)
{
    static const tl__lua_entry methods[] = {
        {"__gc", optim_gc, TL__ANY, NULL}, {"close", optim_gc, 1, NULL}, {"step", step, 1, NULL}, {"zero_grad", zero_grad, 1, NULL}, {"scale_grad", scale_grad, 3, NULL},
        {"grad_norm", grad_norm, 2, NULL}, {"clip_grad_norm", clip_grad_norm, 3, NULL}, {"set_lr", set_lr, 3, NULL}, {"lr", lr, 2, NULL}, {"state", state, 1, NULL},
        {"load_state", load_state, 2, NULL}, {"ema", ema, 2, NULL}, {"swap_ema", swap_ema, 1, NULL}, {"has_ema", has_ema, 1, NULL}, {NULL, NULL, 0, NULL}};
    luaL_newmetatable(L, OPTIM);
    tl__lua_functions(L, methods, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_setfield(L, -2, "optimizer_methods"); /* for help() */
    lua_pushcfunction(L, optimizer);
    lua_setfield(L, -2, "optimizer");
    lua_pushcfunction(L, tensor_ema);
    lua_setfield(L, -2, "ema");
    lua_pushcfunction(L, tensor_swap);
    lua_setfield(L, -2, "swap");
}
