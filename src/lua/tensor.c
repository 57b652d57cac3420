/* tensor.c - tensors in Lua: reading, arithmetic, gradients. */
#include "lua/binding.h"

#include <zlib.h>

#include "base/near.h"

#include <stdlib.h>
#include <string.h>

/* ---- looking at a tensor ---- */

static int shape_(lua_State *L)
{
    tl_tensor *t = tl__lua_tensor(L, 1);
    if (!lua_isnoneornil(L, 2)) {
        int64_t i = luaL_checkinteger(L, 2);
        int a = i == 0 ? -1 : tl__axis((int)(i > 0 ? i - 1 : i), t->shape.rank);
        if (a < 0) return tl__lua_raisef(L, "there is no dimension %lld in a tensor of %d", (long long)i, t->shape.rank);
        lua_pushinteger(L, t->shape.dim[a]);
        return 1;
    }
    lua_createtable(L, t->shape.rank, 0);
    for (int i = 0; i < t->shape.rank; i++) {
        lua_pushinteger(L, t->shape.dim[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int rank_(lua_State *L)
{
    lua_pushinteger(L, tl__lua_tensor(L, 1)->shape.rank);
    return 1;
}

static int numel(lua_State *L)
{
    lua_pushinteger(L, tl_numel(tl__lua_tensor(L, 1)));
    return 1;
}

static int dtype_(lua_State *L)
{
    lua_pushstring(L, tl__dtype_name(tl__lua_tensor(L, 1)->dtype));
    return 1;
}

void *tl__lua_values(lua_State *L, tl_tensor *t)
{
    size_t bytes = (size_t)tl_numel(t) * tl__dtype_size(t->dtype);
    void *host = lua_newuserdatauv(L, bytes + 1, 0);
    tl_scope s;
    int tried = 0;
    do {
        tl__scope_root(&s, t->buffer->device, 0);
        tl_read(&s, t, host, bytes);
    } while (s.err.code && tl__lua_relieve(L, &s, &tried));
    if (s.err.code) tl__lua_scope_error(L, &s);
    tl__scope_drop(&s);
    return host;
}

double tl__lua_value_at(const void *host, tl_dtype dtype, int64_t i)
{
    switch (dtype) {
    case TL_F16: return tl__half_to_float(((const uint16_t *)host)[i]);
    case TL_BF16: return tl__bf16_to_float(((const uint16_t *)host)[i]);
    case TL_I32: return ((const int32_t *)host)[i];
    case TL_U8: return ((const uint8_t *)host)[i];
    default: return (double)((const float *)host)[i];
    }
}

static void push_value(lua_State *L, const void *host, tl_dtype dtype, int64_t i)
{
    double v = tl__lua_value_at(host, dtype, i);
    if (tl__is_float(dtype)) lua_pushnumber(L, v);
    else lua_pushinteger(L, (lua_Integer)v);
}

static int64_t push_nested(lua_State *L, const tl_shape *shape, int level, const void *host, tl_dtype dtype, int64_t at)
{
    if (level == shape->rank) {
        push_value(L, host, dtype, at);
        return at + 1;
    }
    luaL_checkstack(L, 4, "nested too deep");
    lua_createtable(L, (int)shape->dim[level], 0);
    for (int64_t i = 1; i <= shape->dim[level]; i++) {
        at = push_nested(L, shape, level + 1, host, dtype, at);
        lua_rawseti(L, -2, i);
    }
    return at;
}

static int tolist(lua_State *L)
{
    tl_tensor *t = tl__lua_tensor(L, 1);
    const void *host = tl__lua_values(L, t);
    push_nested(L, &t->shape, 0, host, t->dtype, 0);
    return 1;
}

static int item(lua_State *L)
{
    tl_tensor *t = tl__lua_tensor(L, 1);
    char text[TL__SHAPE_TEXT];
    if (tl_numel(t) != 1) return tl__lua_raisef(L, "item: one element is needed, this tensor is %s", tl__shape_text(&t->shape, text, sizeof text));
    push_value(L, tl__lua_values(L, t), t->dtype, 0);
    return 1;
}

static int hash(lua_State *L)
{
    tl_tensor *t = tl__lua_tensor(L, 1);
    const void *host = tl__lua_values(L, t);
    char hex[65];
    tl_sha256 h;
    tl__sha256_init(&h);
    tl__sha256_update(&h, host, (size_t)tl_numel(t) * tl__dtype_size(t->dtype));
    tl__sha256_final(&h, hex);
    lua_pushstring(L, hex);
    return 1;
}

/* x:crc32() of the numbers: quick, against accidents and not against people. */
static int crc(lua_State *L)
{
    tl_tensor *t = tl__lua_tensor(L, 1);
    const void *host = tl__lua_values(L, t);
    lua_pushinteger(L, (lua_Integer)crc32_z(crc32_z(0, NULL, 0), host, (size_t)tl_numel(t) * tl__dtype_size(t->dtype)));
    return 1;
}

/* ---- copies and gradients ---- */

typedef struct pair { tl_tensor *t; tl_dtype dtype; } pair;
static tl_tensor *converted(tl_scope *s, const tl_shape *shape, tl_dtype dtype, const void *with)
{
    (void)shape;
    return tl__cast(s, ((const pair *)with)->t, dtype);
}
static tl_tensor *detached(tl_scope *s, const tl_shape *shape, tl_dtype dtype, const void *with)
{
    (void)shape;
    (void)dtype;
    return tl_detach(s, ((const pair *)with)->t);
}

static int to(lua_State *L)
{
    tl_tensor *t = tl__lua_tensor(L, 1);
    pair p = {t, tl__lua_dtype(L, luaL_checkstring(L, 2))};
    return tl__lua_make(L, converted, &t->shape, p.dtype, &p);
}

static int clone(lua_State *L)
{
    pair p = {tl__lua_tensor(L, 1), TL_F32};
    return tl__lua_make(L, converted, &p.t->shape, p.t->dtype, &p);
}

static int detach(lua_State *L)
{
    pair p = {tl__lua_tensor(L, 1), TL_F32};
    return tl__lua_make(L, detached, &p.t->shape, p.t->dtype, &p);
}

/* x:copy_(y): overwrites in place; y of the same shape, any type. */
static int copy_(lua_State *L)
{
    tl_tensor *x = tl__lua_tensor(L, 1), *y = tl__lua_tensor(L, 2);
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT];
    if (!tl__shape_equal(&x->shape, &y->shape))
        return tl__lua_raisef(L, "copy_: %s into %s", tl__shape_text(&y->shape, a, sizeof a), tl__shape_text(&x->shape, b, sizeof b));
    tl_scope s;
    tl__scope_root(&s, x->buffer->device, 0);
    x->buffer->version++;
    tl__copy_into(&s, y, x);
    if (s.err.code) return tl__lua_scope_error(L, &s);
    tl__scope_drop(&s);
    lua_settop(L, 1);
    return 1;
}

static int fill_(lua_State *L)
{
    tl_tensor *x = tl__lua_tensor(L, 1);
    double v = luaL_checknumber(L, 2);
    tl_scope s;
    tl__scope_root(&s, x->buffer->device, 0);
    tl_tensor *one = tl_full(&s, x->dtype, 0, NULL, v), *all = tl_expand(&s, one, x->shape.rank, x->shape.dim);
    x->buffer->version++;
    if (all) tl__copy_into(&s, all, x);
    if (s.err.code) return tl__lua_scope_error(L, &s);
    tl__scope_drop(&s);
    lua_settop(L, 1);
    return 1;
}

/* x:requires_grad() -> boolean; x:requires_grad(on) -> x */
static int requires_grad(lua_State *L)
{
    tl_tensor *t = tl__lua_tensor(L, 1);
    if (lua_isnone(L, 2)) {
        lua_pushboolean(L, tl_requires_grad(t));
        return 1;
    }
    tl_scope s;
    tl__scope_root(&s, t->buffer->device, 0);
    tl_require_grad(&s, t, lua_toboolean(L, 2));
    if (s.err.code) return tl__lua_scope_error(L, &s);
    tl__scope_drop(&s);
    lua_settop(L, 1);
    return 1;
}

/* x:version(): differs after every write in place; folded weights are compared by it. */
static int version(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)tl__lua_tensor(L, 1)->buffer->version);
    return 1;
}

static int zero_grad(lua_State *L)
{
    tl_zero_grad(tl__lua_tensor(L, 1));
    return 0;
}

/* loss:backward([gy] [, {retain=}]) */
static int backward(lua_State *L)
{
    tl_tensor *y = tl__lua_tensor(L, 1), *gy = NULL;
    int options = 2;
    if (luaL_testudata(L, 2, TENSOR) || lua_isnil(L, 2)) {
        gy = tl__lua_opt_tensor(L, 2);
        options = 3;
    }
    tl__lua_options(L, options, "backward", "retain");
    if (options == 2 && !lua_isnoneornil(L, 3)) return tl__lua_too_many(L, "backward", 2, 1);
    int retain = tl__lua_field_bool(L, options, "retain", 0);
    context *c = tl__lua_context(L);
    lua_State *outer = c->in_backward;
    tl_scope s;
    tl__scope_root(&s, y->buffer->device, 0);
    c->in_backward = L;
    tl_backward(&s, y, gy, retain);
    c->in_backward = outer;
    if (s.err.code) return tl__lua_scope_error(L, &s);
    tl__scope_drop(&s);
    return 0;
}

/* x:transpose(a, b) */
static int transpose(lua_State *L)
{
    tl_tensor *t = tl__lua_tensor(L, 1);
    int r = t->shape.rank;
    int64_t i = luaL_optinteger(L, 2, -2), j = luaL_optinteger(L, 3, -1);
    int a = i ? tl__axis((int)(i > 0 ? i - 1 : i), r) : -1, b = j ? tl__axis((int)(j > 0 ? j - 1 : j), r) : -1;
    if (a < 0 || b < 0) return tl__lua_raisef(L, "transpose: dimensions %lld and %lld of a tensor of %d", (long long)i, (long long)j, r);
    lua_settop(L, 1);
    lua_createtable(L, r, 0);
    for (int k = 0; k < r; k++) {
        lua_pushinteger(L, 1 + (k == a ? b : k == b ? a : k));
        lua_rawseti(L, -2, k + 1);
    }
    return tl__lua_call_op(L, tl__op_find("permute"), 1);
}

/* ---- arithmetic ---- */

/* Which scalar operator stands for `tensor op number` and for `number op tensor`. */
typedef struct arithmetic { const char *both, *right, *left; int negate, invert; } arithmetic;
static const arithmetic sums[] = {
    {"add", "add_scalar", "add_scalar", 0, 0},
    {"sub", "add_scalar", "rsub_scalar", 1, 0},
    {"mul", "mul_scalar", "mul_scalar", 0, 0},
    {"div", "mul_scalar", "rdiv_scalar", 0, 1},
    {"pow", "pow_scalar", NULL, 0, 0},
};

static int arithmetic_call(lua_State *L, const arithmetic *a)
{
    int left = lua_type(L, 1) == LUA_TNUMBER, right = lua_type(L, 2) == LUA_TNUMBER;
    lua_settop(L, 2);
    int of_whole = left != right && tl__lua_tensor(L, left ? 2 : 1)->dtype == TL_I32;
    if (((!left && !right) || of_whole) && a->both) return tl__lua_call_op(L, tl__op_find(a->both), 1);
    const char *name = right ? a->right : a->left;
    if (!name || (!left && !right)) return tl__lua_raise(L, "a tensor is raised to the power of a number only");
    double v = lua_tonumber(L, right ? 2 : 1);
    if (right && a->negate) v = -v;
    if (right && a->invert) v = 1 / v;
    if (left) lua_remove(L, 1);
    lua_settop(L, 1);
    lua_pushnumber(L, v);
    return tl__lua_call_op(L, tl__op_find(name), 1);
}

static int m_add(lua_State *L) { return arithmetic_call(L, &sums[0]); }
static int m_sub(lua_State *L) { return arithmetic_call(L, &sums[1]); }
static int m_mul(lua_State *L) { return arithmetic_call(L, &sums[2]); }
static int m_div(lua_State *L) { return arithmetic_call(L, &sums[3]); }
static int m_pow(lua_State *L) { return arithmetic_call(L, &sums[4]); }

static int m_unm(lua_State *L)
{
    lua_settop(L, 1);
    return tl__lua_call_op(L, tl__op_find("neg"), 1);
}

static int m_len(lua_State *L)
{
    tl_tensor *t = tl__lua_tensor(L, 1);
    lua_pushinteger(L, t->shape.rank ? t->shape.dim[0] : 0);
    return 1;
}

/* x[i]: the i-th along the first dimension. */
static int element(lua_State *L, tl_tensor *t, int64_t i)
{
    if (t->shape.rank == 0) return tl__lua_raise(L, "a single number has no elements to index");
    int64_t n = t->shape.dim[0], at = i > 0 ? i - 1 : n + i;
    if (i == 0 || at < 0 || at >= n) return tl__lua_raisef(L, "there is no element %lld of %lld (they count from 1)", (long long)i, (long long)n);
    lua_settop(L, 1);
    lua_pushinteger(L, 1);
    lua_pushinteger(L, at);
    lua_pushinteger(L, 1);
    tl__lua_call_op(L, tl__op_find("slice"), 1);
    lua_createtable(L, TL_MAX_RANK, 0);
    for (int k = 1; k < t->shape.rank; k++) {
        lua_pushinteger(L, t->shape.dim[k]);
        lua_rawseti(L, -2, k);
    }
    if (t->shape.rank == 1) { /* an empty table would read as options */
        lua_pop(L, 1);
        tl_value none[TL_MAX_ATTRS];
        memset(none, 0, sizeof none);
        tl_tensor *one = tl__lua_tensor(L, -1), *y;
        box *b = tl__lua_box(L);
        tl_scope s;
        tl__scope_root(&s, one->buffer->device, tl__lua_thread(L)->recording);
        y = tl__apply(&s, tl__op_find("reshape"), &one, 1, none, NULL);
        if (s.err.code) return tl__lua_scope_error(L, &s);
        tl_tensor_retain(y);
        tl__scope_drop(&s);
        tl__lua_fill(L, b, y);
        return 1;
    }
    return tl__lua_call_op(L, tl__op_find("reshape"), lua_gettop(L) - 1);
}

static int push_grad(lua_State *L, tl_tensor *t)
{
    tl_tensor *g = tl_grad(t);
    if (!g) {
        lua_pushnil(L);
        return 1;
    }
    box *b = tl__lua_box(L);
    tl_tensor_retain(g);
    tl__lua_fill(L, b, g);
    return 1;
}

static int unknown_method(lua_State *L, const char *name)
{
    const char *known[512];
    int n = 0;
    lua_pushnil(L);
    while (lua_next(L, lua_upvalueindex(1)) && n < 511) {
        if (lua_type(L, -2) == LUA_TSTRING) known[n++] = lua_tostring(L, -2);
        lua_pop(L, 1);
    }
    known[n] = NULL;
    const char *near = tl__near_miss(name, known);
    return near ? tl__lua_raisef(L, "a tensor has no method '%s'; did you mean '%s'?", name, near)
                : tl__lua_raisef(L, "a tensor has no method '%s'; help: docs/ops.md lists them", name);
}

static int m_index(lua_State *L)
{
    if (lua_type(L, 2) == LUA_TNUMBER) return element(L, tl__lua_tensor(L, 1), luaL_checkinteger(L, 2));
    const char *name = luaL_checkstring(L, 2);
    if (strcmp(name, "grad") == 0) return push_grad(L, tl__lua_tensor(L, 1));
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    return unknown_method(L, name);
}

static int is_tensor(lua_State *L)
{
    lua_pushboolean(L, luaL_testudata(L, 1, TENSOR) != NULL);
    return 1;
}

static int freed(lua_State *L)
{
    box *b = luaL_checkudata(L, 1, TENSOR);
    lua_pushboolean(L, b->tensor == NULL);
    return 1;
}

void tl__lua_open_tensor(lua_State *L)
{
    static const tl__lua_entry methods[] = {
        {"shape", shape_, 2, NULL}, {"dim", shape_, 2, NULL}, {"rank", rank_, 1, NULL}, {"numel", numel, 1, NULL}, {"dtype", dtype_, 1, NULL}, {"tolist", tolist, 1, NULL},
        {"item", item, 1, NULL}, {"to", to, 2, NULL}, {"clone", clone, 1, NULL}, {"detach", detach, 1, NULL}, {"copy_", copy_, 2, NULL}, {"fill_", fill_, 2, NULL},
        {"requires_grad", requires_grad, 2, NULL}, {"zero_grad", zero_grad, 1, NULL}, {"version", version, 1, NULL}, {"backward", backward, 3, NULL},
        {"transpose", transpose, 3, NULL}, {"hash", hash, 1, NULL}, {"crc32", crc, 1, NULL}, {"freed", freed, 1, NULL}, {NULL, NULL, 0, NULL}};
    static const luaL_Reg meta[] = {{"__add", m_add}, {"__sub", m_sub}, {"__mul", m_mul}, {"__div", m_div}, {"__pow", m_pow},
                                    {"__unm", m_unm}, {"__len", m_len}, {NULL, NULL}};
    static const tl__lua_entry functions[] = {{"is_tensor", is_tensor, 1, NULL}, {NULL, NULL, 0, NULL}};
    luaL_getmetatable(L, TENSOR);
    luaL_setfuncs(L, meta, 0);
    lua_newtable(L);
    tl__lua_add_ops(L);
    tl__lua_functions(L, methods, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "methods");
    lua_pushcclosure(L, m_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    tl__lua_functions(L, functions, 0);
    tl__lua_open_make(L);
}
